/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hush: this node hears no IKE for a moment, or one VPN is neither heard nor sent.
 *
 * Room: an nftables table that drops it as it comes in, and as it goes out. Far ends retransmit. The table belongs to a socket and goes with it,
 * also if this process is killed: a gateway must not stay deaf.
 */
#ifndef ESPSYNCD_HUSH_H
#define ESPSYNCD_HUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"

struct hush;

/**
 * struct hush_whom - packets of one VPN
 * @remote: its far end
 * @ike: its IKE, too
 * @spi_i: of its IKE SA, the initiator's
 * @n: SAs each way that are meant
 * @spis_in: of those that come in, host order
 * @spis_out: of those that go out
 */
struct hush_whom {
	struct ha_addr remote;
	bool ike;
	uint8_t spi_i[8];
	unsigned int n;
	const uint32_t *spis_in;
	const uint32_t *spis_out;
};

/* Return: to be given to hush_end(), or NULL with errno: the kernel has no nftables. */
struct hush *hush_begin(void);
void hush_end(struct hush *h);

/* The same for one VPN, both ways: when it returns none of it comes in, and what gets a number from then on does not leave. */
struct hush *hush_vpn(const struct hush_whom *whom);

#endif /* ESPSYNCD_HUSH_H */
