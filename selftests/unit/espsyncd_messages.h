/* SPDX-License-Identifier: GPL-2.0 */
/*
 * espsyncd_messages.h - messages of strongSwan's ha plugin, made by hand.
 *
 * Job: what the espsyncd_*.c programs feed to the pure parts of the helper. Written from the description of the wire format, not
 * with the code under test.
 */
#ifndef UNIT_ESPSYNCD_MESSAGES_H
#define UNIT_ESPSYNCD_MESSAGES_H

#include <stdint.h>
#include <string.h>

#include "../../user/espsyncd/codec.h"

struct wire {
	uint8_t b[1024];
	size_t n;
};

static inline void put(struct wire *w, const void *p, size_t n)
{
	memcpy(w->b + w->n, p, n);
	w->n += n;
}

static inline void put8(struct wire *w, uint8_t v)
{
	put(w, &v, 1);
}

/* IKE SAs are told apart by one number here; below 256 it is in each byte of the initiator's SPI. */
static inline struct ike_id name(uint32_t n)
{
	struct ike_id id = { .version = 2, .initiator = 0 };

	memset(id.spi_i, n, 8);
	memset(id.spi_r, 0x80 ^ n, 8);
	id.spi_i[4] ^= n >> 8;
	id.spi_i[5] ^= n >> 16;
	return id;
}

static inline void put_name(struct wire *w, uint8_t attribute, uint32_t n)
{
	struct ike_id id = name(n);

	put8(w, attribute);
	put8(w, id.version);
	put(w, id.spi_i, 8);
	put(w, id.spi_r, 8);
	put8(w, id.initiator);
}

static inline struct wire begin(uint8_t version, uint8_t type, uint32_t n)
{
	struct wire w = { .n = 0 };

	put8(&w, version);
	put8(&w, type);
	if (n)
		put_name(&w, 1, n);
	return w;
}

/* NONCE_I and a secret: chunks. */
static inline struct wire ike_add(uint32_t n, uint32_t old)
{
	struct wire w = begin(3, HA_IKE_ADD, n);

	if (old)
		put_name(&w, 2, old);
	put(&w, "\x0f\x00\x04nnnn", 7);
	put(&w, "\x11\x00\x04ssss", 7);
	return w;
}

static inline struct wire ike_update(uint32_t n, const char *conn, uint8_t last)
{
	struct wire w = begin(3, HA_IKE_UPDATE, n);
	uint8_t local[] = { 6, 0x01, 0xf4, 2, 192, 0, 2, last };
	uint8_t remote[] = { 7, 0x01, 0xf4, 2, 198, 51, 100, 1 };

	put(&w, local, sizeof(local));
	put(&w, remote, sizeof(remote));
	put8(&w, 8);
	put(&w, conn, strlen(conn) + 1);
	return w;
}

/* The same with conditions, NAT on both sides, from a far end whose address ends with @remote. */
static inline struct wire ike_moved(uint8_t version, uint32_t n, const char *conn, uint8_t remote)
{
	struct wire w = ike_update(n, conn, 1);

	w.b[0] = version;
	w.b[36] = remote;
	put(&w, "\x09\x00\x00\x00\x47", 5);
	return w;
}

static inline struct wire ike_vips(uint32_t n)
{
	struct wire w = begin(3, HA_IKE_UPDATE, n);

	put(&w, "\x0c\x00\x00\x02\x0a\x42\x00\x01", 8);
	return w;
}

static inline struct wire mid(uint32_t n, uint8_t type, uint8_t value)
{
	struct wire w = begin(3, type, n);
	uint8_t v[] = { 33, 0, 0, 0, value };

	put(&w, v, sizeof(v));
	return w;
}

static inline struct wire child(uint32_t n, uint8_t type, uint32_t spi_in)
{
	struct wire w = begin(3, type, n);
	uint32_t spi_out = spi_in + 1;

	put8(&w, 27);
	put(&w, &spi_in, 4);
	if (type == HA_CHILD_ADD) {
		put8(&w, 28);
		put(&w, &spi_out, 4);
	}
	return w;
}

static inline struct wire ike_delete(uint32_t n)
{
	return begin(3, HA_IKE_DELETE, n);
}

#endif /* UNIT_ESPSYNCD_MESSAGES_H */
