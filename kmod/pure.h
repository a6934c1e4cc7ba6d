/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pure.h - lets the pure sources of the module compile in userspace too.
 *
 * Job: the few types and helpers that value-in, value-out code needs, from the
 * kernel's headers where there is a kernel and from libc where there is none.
 * What may not enter: anything that allocates, sleeps, locks or prints, and
 * anything that behaves differently on the two sides.
 */
#ifndef ESPSYNC_PURE_H
#define ESPSYNC_PURE_H

#ifdef __KERNEL__

#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>

#else /* !__KERNEL__ */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
typedef unsigned long long u64;
typedef long long s64;

#define U8_MAX	((u8)~0U)
#define U16_MAX	((u16)~0U)
#define U32_MAX	((u32)~0U)
#define U64_MAX	((u64)~0ULL)

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define lower_32_bits(n)	((u32)((n) & 0xffffffff))
#define upper_32_bits(n)	((u32)((n) >> 32))

/* As in the kernel, both sides must have the same type. */
#define pure_pick(a, op, b) ({				\
	__typeof__(a) pick_a = (a);			\
	__typeof__(b) pick_b = (b);			\
	(void)(&pick_a == &pick_b);			\
	pick_a op pick_b ? pick_a : pick_b; })

#define min(a, b)		pure_pick(a, <, b)
#define max(a, b)		pure_pick(a, >, b)
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define clamp_t(type, v, lo, hi) clamp((type)(v), (type)(lo), (type)(hi))

/* 64-bit division is a function call in the kernel, for 32-bit machines. */
static inline u64 div_u64(u64 a, u32 b)
{
	return a / b;
}

static inline u64 div64_u64(u64 a, u64 b)
{
	return a / b;
}

#endif /* __KERNEL__ */

#endif /* ESPSYNC_PURE_H */
