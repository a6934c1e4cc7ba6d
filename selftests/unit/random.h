/* SPDX-License-Identifier: GPL-2.0 */
/*
 * random.h - numbers that a seed makes again.
 *
 * Job: splitmix64, whose state is one number: whoever sets rng begins anew.
 * Two beginnings must not differ by a multiple of its step, or they overlap.
 */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include "pure.h"

static u64 rng;

static inline u64 rnd(void)
{
	u64 z = (rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* 0 to @n - 1 */
static inline u32 below(u32 n)
{
	return (u32)(rnd() >> 32) % n;
}

#endif /* UNIT_RANDOM_H */
