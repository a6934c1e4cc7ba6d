/* SPDX-License-Identifier: GPL-2.0 */
/*
 * xstate.h - the door to the counters of a struct xfrm_state.
 */
#ifndef ESPSYNC_XSTATE_H
#define ESPSYNC_XSTATE_H

#include "espsync.h"

/* What xfrm writes with x->lock held and without a mark, read without the lock: a hint of the moment, which a stale value does not harm. */
#define es_x_peek(field) data_race(READ_ONCE(field))

bool es_x_esn(const struct xfrm_state *x);
u64 es_x_oseq(const struct xfrm_state *x);
u64 es_x_seq(struct xfrm_state *x);
u32 es_x_window_size(const struct xfrm_state *x);
bool es_x_raise(struct xfrm_state *x, u64 oseq);
void es_x_read(struct xfrm_state *x, struct es_window *w, u32 max_bits);
bool es_x_merge(struct xfrm_state *x, const struct es_window *w);
bool es_x_limited(const struct xfrm_state *x);
u64 es_x_merge_life(struct xfrm_state *x, u64 bytes, u64 packets);
void es_x_arm(struct xfrm_state *x, u64 diff);
void es_x_hot(struct xfrm_state *x);
void es_x_cold(struct xfrm_state *x);
bool es_x_stop(struct xfrm_state *x);
void es_x_go(struct xfrm_state *x);
bool es_x_dead(const struct xfrm_state *x);
bool es_x_live(const struct xfrm_state *x);
u64 es_x_packets(const struct xfrm_state *x);
u64 es_x_fingerprint(const struct xfrm_state *x);
bool es_x_used(const struct xfrm_state *x);
bool es_x_offloaded(const struct xfrm_state *x);

#endif /* ESPSYNC_XSTATE_H */
