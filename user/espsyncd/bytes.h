/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bytes: memory that may hold keys.
 *
 * Room: allocation that is wiped before it is given back, and a growing buffer made of it. No I/O, no knowledge of formats.
 * Out of memory ends the program: all callers are bounded, and a helper without memory protects nothing.
 */
#ifndef ESPSYNCD_BYTES_H
#define ESPSYNCD_BYTES_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct bytes - a growing buffer, read from the front and written at the end
 * @data: memory, wiped when it is left
 * @off: first byte not yet consumed
 * @len: end of what was written
 * @cap: size of @data
 */
struct bytes {
	uint8_t *data;
	size_t off;
	size_t len;
	size_t cap;
};

/**
 * secret_alloc() - zeroed memory
 * @len: size; 0 is allowed
 *
 * Return: the memory, to be given to secret_free()
 */
void *secret_alloc(size_t len);

/**
 * secret_dup() - a copy
 * @src: what to copy
 * @len: how much
 *
 * Return: the copy, to be given to secret_free()
 */
void *secret_dup(const void *src, size_t len);

/**
 * secret_free() - wipe and free
 * @p: from secret_alloc(), or NULL
 * @len: its size
 */
void secret_free(void *p, size_t len);

void bytes_add(struct bytes *b, const void *src, size_t len);
void bytes_add_u8(struct bytes *b, uint8_t v);
void bytes_add_u16(struct bytes *b, uint16_t v);
void bytes_add_u32(struct bytes *b, uint32_t v);
void bytes_add_u64(struct bytes *b, uint64_t v);

/**
 * bytes_room() - make room at the end
 * @b: the buffer
 * @len: how much may be written
 *
 * Return: where to write; the caller then adds to @b->len what it wrote
 */
uint8_t *bytes_room(struct bytes *b, size_t len);

void bytes_consume(struct bytes *b, size_t len);
void bytes_free(struct bytes *b);

static inline size_t bytes_left(const struct bytes *b)
{
	return b->len - b->off;
}

/* Never NULL: an empty buffer's place is read by nobody, but may be handed to memcpy() with a length of 0. */
static inline const uint8_t *bytes_at(const struct bytes *b)
{
	static const uint8_t nothing[1];

	return b->data ? b->data + b->off : nothing;
}

#define BYTES_SUM_NOTHING	0xcbf29ce484222325	/* what bytes_sum() begins with */

/**
 * bytes_sum() - whether something is what it was, not whether somebody made it look so (FNV-1a)
 * @sum: of what comes before it
 * @data: what
 * @len: how much
 *
 * Return: the sum with it
 */
uint64_t bytes_sum(uint64_t sum, const void *data, size_t len);

uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);

#endif /* ESPSYNCD_BYTES_H */
