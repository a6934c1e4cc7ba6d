/* SPDX-License-Identifier: GPL-2.0 */
/*
 * window.h - anti-replay windows as values, and the one rule that merges them.
 */
#ifndef ESPSYNC_WINDOW_H
#define ESPSYNC_WINDOW_H

#include "pure.h"

/* xfrm's own limit for the bitmap of an SA (XFRMA_REPLAY_ESN_MAX). */
#define ES_WINDOW_MAX 4096

/**
 * struct es_window - the newest part of an anti-replay window, as a value
 * @seq: highest number accepted (the edge), 64 bits also where ESN is off
 * @nbits: how many of @bits say something
 * @bits: newest first: bit i (word i / 32, bit i % 32) says that number
 *	@seq - i was accepted; bits from @nbits on mean nothing
 *
 * It has neither the shape nor the size of the window that it was read from,
 * so that nodes whose SAs differ in both can merge it.
 */
struct es_window {
	u64 seq;
	u32 nbits;
	u32 bits[ES_WINDOW_MAX / 32];
};

/**
 * enum es_shape - the three ways in which xfrm keeps an anti-replay window
 * @ES_LEGACY: struct xfrm_replay_state, at most 32 numbers
 * @ES_BMP: struct xfrm_replay_state_esn without ESN: a ring, 32-bit numbers
 * @ES_ESN: struct xfrm_replay_state_esn with ESN: a ring, 64-bit numbers
 */
enum es_shape { ES_LEGACY, ES_BMP, ES_ESN };

/**
 * struct es_replay - where an xfrm_state keeps its anti-replay window
 * @shape: how to read what the pointers point at
 * @size: replay_window: how many numbers xfrm checks; 0 is no check
 * @seq: low half of the edge
 * @seq_hi: high half of the edge, used with ES_ESN only
 * @bits: ES_LEGACY: bit i says that edge - i was accepted; else the ring
 * @words: 32-bit words at @bits: 1 for ES_LEGACY, else bmp_len
 *
 * Whoever fills one in holds x->lock for as long as it is used.
 */
struct es_replay {
	enum es_shape shape;
	u32 size;
	u32 *seq;
	u32 *seq_hi;
	u32 *bits;
	u32 words;
};

u64 es_replay_seq(const struct es_replay *r);
void es_window_read(const struct es_replay *r, struct es_window *w, u32 max_bits);
void es_window_all(struct es_window *w, u64 seq);
bool es_window_merge(const struct es_replay *r, const struct es_window *w);
void es_window_join(struct es_window *own, const struct es_window *w);

#endif /* ESPSYNC_WINDOW_H */
