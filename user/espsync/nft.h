/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft.h - scripts for nft.
 */
#ifndef ESPSYNC_NFT_H
#define ESPSYNC_NFT_H

/**
 * nft_run() - have nft carry out a script, all of it or nothing
 * @what: the command, for the refusal
 * @script: the text
 *
 * Return: 0, or REFUSED after having said why; nft's own words go to stderr before.
 */
int nft_run(const char *what, const char *script);

#endif /* ESPSYNC_NFT_H */
