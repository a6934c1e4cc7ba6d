/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hush: this node hears no IKE for a moment.
 *
 * Room: an nftables table that drops it as it comes in. Far ends retransmit. The table belongs to a socket and goes with it, also if this process
 * is killed: a gateway must not stay deaf.
 */
#ifndef ESPSYNCD_HUSH_H
#define ESPSYNCD_HUSH_H

struct hush;

/* Return: to be given to hush_end(), or NULL with errno: the kernel has no nftables. */
struct hush *hush_begin(void);
void hush_end(struct hush *h);

#endif /* ESPSYNCD_HUSH_H */
