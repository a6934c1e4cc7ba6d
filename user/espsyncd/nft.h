/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft: runs nft with a script of ours.
 *
 * Room: the only other program that the helper ever runs, when it begins and when it ends. It inherits no descriptor but the script, which
 * lies in memory until it has been read. No rule is known here.
 */
#ifndef ESPSYNCD_NFT_H
#define ESPSYNCD_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* It takes some milliseconds. Return: true if nft has taken the script; else it has said why, where the log goes */
bool nft_run(const uint8_t *script, size_t len);

#endif /* ESPSYNCD_NFT_H */
