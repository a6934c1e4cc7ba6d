/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fuzz.h - what every target here has in common: reading its input, and saying what must hold.
 *
 * A target is libFuzzer's LLVMFuzzerTestOneInput() around real sources, and a judge: the sanitizers find what is read or written
 * beyond its place, must() what is decoded wrongly. An input is read from its front; what is not there is zero.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(cond) do {								\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);	\
		abort();							\
	}									\
} while (0)

struct input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t take8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint16_t take16(struct input *in)
{
	uint16_t high = take8(in);

	return high << 8 | take8(in);
}

static inline uint64_t take64(struct input *in)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | take8(in);
	return v;
}

/* The next @want bytes, or what there is; @got says how many. */
static inline const uint8_t *take(struct input *in, size_t want, size_t *got)
{
	const uint8_t *p = in->p;

	*got = want < in->left ? want : in->left;
	in->p += *got;
	in->left -= *got;
	return p;
}

/* Of exactly that size, so that the byte behind it is nobody's. */
static inline uint8_t *exact(const void *p, size_t len)
{
	uint8_t *copy = malloc(len);

	if (len)
		memcpy(copy, p, len);
	return copy;
}

/* Names an input. What is made of it - keys, random numbers - is another for each, so that the fuzzer cannot learn it by heart. */
static inline uint64_t digest(const uint8_t *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

#endif /* FUZZ_H */
