/* SPDX-License-Identifier: GPL-2.0 */
/*
 * xfrm_window.h - xfrm's anti-replay window, as far as a test needs it.
 *
 * Job: say for each of the three shapes which numbers xfrm would accept, and
 * what it stores when it does: net/xfrm/xfrm_replay.c of Linux 6.1 to 7.2,
 * xfrm_replay_check() and xfrm_replay_advance(), put in other words. It is
 * the judge of kmod/window.c and shares no code with it.
 */
#ifndef UNIT_XFRM_WINDOW_H
#define UNIT_XFRM_WINDOW_H

#include "window.h"

struct xw {
	enum es_shape shape;
	u32 size;
	u32 seq;
	u32 seq_hi;
	u32 bits[ES_WINDOW_MAX / 32];
};

static inline struct es_replay xw_view(struct xw *x)
{
	return (struct es_replay) {
		.shape = x->shape,
		.size = x->size,
		.seq = &x->seq,
		.seq_hi = x->shape == ES_LEGACY ? NULL : &x->seq_hi,
		.bits = x->bits,
		.words = x->shape == ES_LEGACY ? 1 : (x->size + 31) / 32,
	};
}

static inline u64 xw_edge(const struct xw *x)
{
	return x->shape == ES_ESN ? (u64)x->seq_hi << 32 | x->seq : x->seq;
}

/* Which bit stands for the number that is diff below the edge. */
static inline u32 xw_bit(const struct xw *x, u32 diff)
{
	u32 pos;

	if (x->shape == ES_LEGACY)
		return diff;
	pos = (x->seq - 1) % x->size;
	return pos >= diff ? pos - diff : x->size - (diff - pos);
}

static inline bool xw_test(const struct xw *x, u32 bit)
{
	return x->bits[bit / 32] >> bit % 32 & 1;
}

static inline void xw_set(struct xw *x, u32 bit, bool on)
{
	x->bits[bit / 32] &= ~(1U << bit % 32);
	x->bits[bit / 32] |= (u32)on << bit % 32;
}

/* The high half that xfrm guesses for a low one (xfrm_replay_seqhi()). */
static inline u32 xw_guess_hi(const struct xw *x, u32 low)
{
	u32 bottom = x->seq - x->size + 1;

	if (x->seq >= x->size - 1)
		return low < bottom ? x->seq_hi + 1 : x->seq_hi;
	return low >= bottom ? x->seq_hi - 1 : x->seq_hi;
}

/*
 * Would a genuine packet with this number be let in? With ESN the number's high
 * half is not in the packet but is in its ICV, so a wrong guess is a refusal.
 */
static inline bool xw_accepts(const struct xw *x, u64 number)
{
	u32 low = (u32)number, diff = x->seq - low;

	if (x->shape != ES_ESN) {
		if (number > U32_MAX)
			return false;
		if (!x->size)
			return true;
		if (!low)
			return false;
		if (low > x->seq)
			return true;
		return diff < x->size && !xw_test(x, xw_bit(x, diff));
	}

	if (!x->size)
		return true;
	if (!low && !x->seq_hi && x->seq < x->size - 1)
		return false;
	if (xw_guess_hi(x, low) != number >> 32)
		return false;
	if (number > xw_edge(x))
		return true;
	return diff < x->size && !xw_test(x, xw_bit(x, diff));
}

/* What xfrm stores for a packet that it let in (xfrm_replay_advance()). */
static inline void xw_advance(struct xw *x, u64 number)
{
	u64 edge = xw_edge(x);
	u32 i, pos;

	if (!x->size)
		return;
	if (number <= edge) {
		xw_set(x, xw_bit(x, (u32)(edge - number)), true);
		return;
	}
	if (x->shape == ES_LEGACY) {
		x->bits[0] = number - edge < x->size ? x->bits[0] << (number - edge) | 1 : 1;
	} else {
		/* xfrm goes on from where the old edge stood, also over a wrap */
		pos = (x->seq - 1) % x->size;
		if (number - edge < x->size)
			for (i = 1; i < number - edge; i++)
				xw_set(x, (pos + i) % x->size, false);
		else
			memset(x->bits, 0, (x->size + 31) / 32 * 4);
		xw_set(x, (u32)((pos + (u32)(number - edge)) % x->size), true);
	}
	x->seq = (u32)number;
	if (x->shape == ES_ESN)
		x->seq_hi = number >> 32;
}

#endif /* UNIT_XFRM_WINDOW_H */
