/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sajson.h - counters of SAs from JSON, which anybody may have written.
 */
#ifndef ESPSYNC_SAJSON_H
#define ESPSYNC_SAJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parse.h"

#define SAJSON_BITMAP_BYTES 512 /* XFRMA_REPLAY_ESN_MAX: 4096 packets */
#define SAJSON_MAX_SAS 65536 /* in one array */
#define SAJSON_OBJECT_BYTES (16 << 10) /* of one SA's text */
#define SAJSON_ARRAY_BYTES (64 << 20) /* of an array's text: SAJSON_MAX_SAS of the usual size */

/**
 * struct sa_counters - what `sa get` says of an SA
 * @dst: destination
 * @spi: host order
 * @proto: IPPROTO_ESP or IPPROTO_AH
 * @fingerprint: 8 bytes
 * @has: bits of enum sa_has: which of the following were given
 * @oseq: last number used
 * @seq: highest number accepted
 * @bytes: lifetime
 * @packets: lifetime
 * @window: size of the anti-replay window
 * @bitmap_len: bytes of @bitmap
 * @bitmap: newest bits
 */
struct sa_counters {
	struct addr dst;
	uint32_t spi;
	uint8_t proto;
	uint8_t fingerprint[8];
	unsigned int has;
	uint64_t oseq, seq, bytes, packets;
	uint32_t window;
	size_t bitmap_len;
	uint8_t bitmap[SAJSON_BITMAP_BYTES];
};

enum sa_has {
	SA_HAS_DST = 1 << 0,
	SA_HAS_SPI = 1 << 1,
	SA_HAS_PROTO = 1 << 2,
	SA_HAS_FINGERPRINT = 1 << 3,
	SA_HAS_OSEQ = 1 << 4,
	SA_HAS_SEQ = 1 << 5,
	SA_HAS_WINDOW = 1 << 6,
	SA_HAS_BITMAP = 1 << 7,
	SA_HAS_BYTES = 1 << 8,
	SA_HAS_PACKETS = 1 << 9,
};

/**
 * struct sajson - a stream of JSON values, each an SA or an array of SAs
 * @getc: the next byte, or -1 at the end
 * @arg: its argument
 * @left: bytes that the value being read may still have
 * @ahead: a byte already taken from the stream, or -1
 * @why: what is wrong, a sentence
 */
struct sajson {
	int (*getc)(void *arg);
	void *arg;
	size_t left;
	int ahead;
	char why[256];
};

/**
 * sajson_init() - begin
 * @in: to be filled
 * @getc: the next byte, or -1 at the end
 * @arg: its argument
 */
void sajson_init(struct sajson *in, int (*getc)(void *arg), void *arg);

/**
 * sajson_next() - read the next value
 * @in: the stream; nothing behind the value is taken from it
 * @sas: the SAs of the value; the caller frees it
 * @n: how many
 *
 * Return: 1 if there was a value, 0 at the end, -1 if it is refused (@in->why says why).
 */
int sajson_next(struct sajson *in, struct sa_counters **sas, size_t *n);

#endif /* ESPSYNC_SAJSON_H */
