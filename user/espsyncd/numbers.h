/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * numbers: what the module counts with of one SA.
 *
 * Room: the values, and from where somebody else may go on. No code but that.
 */
#ifndef ESPSYNCD_NUMBERS_H
#define ESPSYNCD_NUMBERS_H

#include <stdint.h>

#include <linux/espsync.h>

#include "codec.h"

#define NUMBERS_BITMAP	512	/* bytes: XFRMA_REPLAY_ESN_MAX */
#define NUMBERS_LEASE	(1u << 20)	/* the smallest, and what may be used before anybody agreed */

/**
 * struct numbers - as ESPSYNC_CMD_SA_GET tells them; what is not told is 0
 * @dst: destination
 * @spi: host order
 * @proto: ESP or AH
 * @dir: enum espsync_dir
 * @fingerprint: of SPI, algorithms and key
 * @oseq: last number sent
 * @ceiling: that its owner does not pass before others agree
 * @lease: how far the next ceiling may be above
 * @seq: highest number accepted
 * @window: its size
 * @bytes: lifetime
 * @packets: lifetime
 * @bitmap: newest bits of the window
 * @bitmap_len: in bytes
 */
struct numbers {
	struct ha_addr dst;
	uint32_t spi;
	uint8_t proto;
	uint8_t dir;
	uint8_t fingerprint[8];
	uint64_t oseq;
	uint64_t ceiling;
	uint32_t lease;
	uint64_t seq;
	uint32_t window;
	uint64_t bytes;
	uint64_t packets;
	uint8_t bitmap[NUMBERS_BITMAP];
	uint16_t bitmap_len;
};

/*
 * The last number that may have been sent since by who had it, if that is no more than what one lease allows: whoever carries the SA on begins above.
 */
static inline uint64_t numbers_start(const struct numbers *n)
{
	uint64_t from = n->oseq > n->ceiling ? n->oseq : n->ceiling;

	return from + (n->lease > NUMBERS_LEASE ? n->lease : NUMBERS_LEASE);
}

#endif /* ESPSYNCD_NUMBERS_H */
