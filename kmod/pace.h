/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pace.h - how fast another node's inbound SA moves, and how far it can have come since.
 */
#ifndef ESPSYNC_PACE_H
#define ESPSYNC_PACE_H

#include "pure.h"

#define ES_PACE_SPAN_MS	50	/* numbers are counted over so long at least */
#define ES_PACE_OLD_MS	2000	/* what moved before is no measure any more; or before four of the owner's sync intervals */
#define ES_PACE_LATE_US	50000	/* the owner is heard and has not told: a lost datagram is made good within this, or two intervals, and four round trips */
#define ES_PACE_MAX32	(1u << 28)	/* a move is no longer than this; without ESN */
#define ES_PACE_MAX64	(1u << 30)

/**
 * struct es_pace - of one inbound SA, as its owner's stream shows it
 * @span_ms: clock when the span began that is being counted; 0: nothing was told yet
 * @span_seq: the edge then, low half
 * @rate: numbers a second, the highest of the last spans
 * @step: numbers between two streams, the highest of the last ones
 */
struct es_pace {
	u32 span_ms;
	u32 span_seq;
	u32 rate;
	u32 step;
};

void es_pace_note(struct es_pace *p, u64 from, u64 to, u64 now_us, u32 interval_us);
u64 es_pace_reach(const struct es_pace *p, u64 seq, u64 told_us, u64 heard_us, u64 now_us, u32 rtt_us, u32 interval_us, bool esn);

#endif /* ESPSYNC_PACE_H */
