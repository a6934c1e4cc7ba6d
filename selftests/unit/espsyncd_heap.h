/* SPDX-License-Identifier: GPL-2.0 */
/*
 * espsyncd_heap.h - the heap, counted as malloc() counts it, and every piece that is given back searched for a secret.
 *
 * Job: calloc() and free() of a program that is linked with -Wl,--wrap=calloc -Wl,--wrap=free. To be included first.
 */
#ifndef UNIT_ESPSYNCD_HEAP_H
#define UNIT_ESPSYNCD_HEAP_H

#define _GNU_SOURCE
#include <malloc.h>
#include <stdint.h>
#include <string.h>

#define SECRET	0xd5	/* in all bytes of each secret, and eight times in a row nowhere else */

static size_t heap;
static unsigned int left_behind;

void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

/* Eight bytes in front, in pieces of 16, 32 at least; the sanitizer's malloc() says the size that was asked for. */
static size_t piece(void *p)
{
	size_t n = (malloc_usable_size(p) + 8 + 15) / 16 * 16;

	return n < 32 ? 32 : n;
}

void *__wrap_calloc(size_t n, size_t size)
{
	void *p = __real_calloc(n, size);

	heap += p ? piece(p) : 0;
	return p;
}

void __wrap_free(void *p)
{
	static const uint8_t secret[8] = { SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET };

	if (!p)
		return;
	heap -= piece(p);
	left_behind += memmem(p, malloc_usable_size(p), secret, sizeof(secret)) != NULL;
	__real_free(p);
}

#endif /* UNIT_ESPSYNCD_HEAP_H */
