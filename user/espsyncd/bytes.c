// SPDX-License-Identifier: GPL-2.0-or-later
/* bytes: memory that may hold keys. See bytes.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define KEPT	(256 << 10)	/* of one that is empty; what was more was a journal, and each of fifteen peers had one */

void *secret_alloc(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	if (!p) {
		fputs("espsyncd: out of memory, or of what may be locked (LimitMEMLOCK=infinity)\n", stderr);
		abort();
	}
	return p;
}

void *secret_dup(const void *src, size_t len)
{
	void *p = secret_alloc(len);

	if (len)
		memcpy(p, src, len);
	return p;
}

void secret_free(void *p, size_t len)
{
	if (!p)
		return;
	explicit_bzero(p, len);
	free(p);
}

uint8_t *bytes_room(struct bytes *b, size_t len)
{
	size_t left = bytes_left(b);
	uint8_t *bigger;
	size_t cap;

	if (b->cap - b->len >= len)
		return b->data + b->len;

	cap = b->cap ? b->cap : 512;
	while (cap < left + len)
		cap *= 2;
	bigger = secret_alloc(cap);
	if (left)
		memcpy(bigger, b->data + b->off, left);
	secret_free(b->data, b->cap);
	b->data = bigger;
	b->off = 0;
	b->len = left;
	b->cap = cap;
	return b->data + b->len;
}

void bytes_add(struct bytes *b, const void *src, size_t len)
{
	if (!len)
		return;
	memcpy(bytes_room(b, len), src, len);
	b->len += len;
}

void bytes_add_u8(struct bytes *b, uint8_t v)
{
	bytes_add(b, &v, 1);
}

void bytes_add_u16(struct bytes *b, uint16_t v)
{
	uint8_t p[2] = { v >> 8, v };

	bytes_add(b, p, sizeof(p));
}

void bytes_add_u32(struct bytes *b, uint32_t v)
{
	bytes_add_u16(b, v >> 16);
	bytes_add_u16(b, v);
}

void bytes_add_u64(struct bytes *b, uint64_t v)
{
	bytes_add_u32(b, v >> 32);
	bytes_add_u32(b, v);
}

void bytes_free(struct bytes *b)
{
	secret_free(b->data, b->cap);
	memset(b, 0, sizeof(*b));
}

void bytes_consume(struct bytes *b, size_t len)
{
	explicit_bzero(b->data + b->off, len);
	b->off += len;
	if (b->off < b->len)
		return;
	b->off = 0;
	b->len = 0;
	if (b->cap > KEPT)
		bytes_free(b);
}

uint64_t bytes_sum(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len--; p++)
		sum = (sum ^ *p) * 0x100000001b3;
	return sum;
}

uint16_t get_u16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

uint64_t get_u64(const uint8_t *p)
{
	return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}
