// SPDX-License-Identifier: GPL-2.0
/*
 * pace.c - how far an inbound window that another node keeps can have moved since that node last told.
 *
 * Job: from the edges that were streamed, and when, to the numbers that may have been accepted after the last of them (inbound strict). Values in,
 * value out, time passed in.
 * What may not enter: SAs, windows, locks, clocks. Pure: runs in userspace too.
 *
 * It is an estimate, from what the far end has shown: peaks, which fade over some spans, so that a burst is allowed for. One that
 * is faster after the last stream than ever in the seconds before goes beyond it. That costs no more than it must: while the old owner was dying the
 * far end went on counting, at the same pace.
 */
#include "pace.h"

static u32 per_second(u32 numbers, u32 ms)
{
	return min_t(u64, div_u64(numbers * 1000ull, max_t(u32, ms, 1)), U32_MAX);
}

static u32 ms_of(u64 us)
{
	return max_t(u32, div_u64(us, 1000), 1);
}

static u32 old_ms(u32 interval_us)
{
	return max_t(u32, ES_PACE_OLD_MS, interval_us / 250);
}

/* A peak fades by an eighth each time that less is seen. */
static u32 peak(u32 was, u32 now)
{
	return max(now, was - was / 8);
}

/**
 * es_pace_note() - the owner has told a new edge
 * @p: the SA's pace
 * @from: edge as it was known before
 * @to: edge now
 * @now_us: clock
 * @interval_us: the owner's sync interval
 */
void es_pace_note(struct es_pace *p, u64 from, u64 to, u64 now_us, u32 interval_us)
{
	u32 now = ms_of(now_us), passed = now - p->span_ms;
	u32 rate = per_second((u32)to - p->span_seq, passed);

	if (!p->span_ms || passed > old_ms(interval_us)) {
		/* what came before is history: told when it joined, or by an SA that is idle */
		p->rate = 0;
		p->step = 1;
	} else {
		p->step = peak(p->step, min_t(u64, to - from, U32_MAX));
		if (passed < ES_PACE_SPAN_MS)
			return;
		p->rate = peak(p->rate, rate);
	}
	p->span_ms = now;
	p->span_seq = to;
}

/**
 * es_pace_reach() - how many numbers above the known edge may have been accepted elsewhere
 * @p: the SA's pace
 * @seq: the known edge
 * @told_us: clock when the owner last told it
 * @heard_us: clock when the owner was last heard at all: until shortly before then it had told what it accepted
 * @now_us: clock
 * @rtt_us: of the link to it: what is told is so old when it comes
 * @interval_us: its sync interval
 * @esn: 64-bit numbers
 * Return: at least 1, for a packet may always have come; at most 2^28, with ESN 2^30
 */
u64 es_pace_reach(const struct es_pace *p, u64 seq, u64 told_us, u64 heard_us, u64 now_us, u32 rtt_us, u32 interval_us,
		  bool esn)
{
	u64 late_us = max_t(u64, ES_PACE_LATE_US, 2ull * interval_us) + 4ull * rtt_us;
	u64 since_us = max(told_us, heard_us - min(heard_us, late_us));
	u32 begun = ms_of(told_us) - p->span_ms;
	u64 rate, ms;

	if (!p->span_ms || heard_us > told_us + old_ms(interval_us) * 1000ull)
		return 1;
	rate = max(p->rate, per_second((u32)seq - p->span_seq, max_t(u32, begun, ES_PACE_SPAN_MS)));
	ms = min_t(u64, div_u64(now_us - min(now_us, since_us) + rtt_us + 999, 1000), 1u << 30);
	return min_t(u64, div_u64(rate * ms + 999, 1000) + max_t(u32, p->step, 1), esn ? ES_PACE_MAX64 : ES_PACE_MAX32);
}
