// SPDX-License-Identifier: GPL-2.0
/*
 * pace.c - kmod/pace.c on chosen streams: how far an inbound SA can have come since its owner last told.
 */
// SOURCES: ../../kmod/pace.c
#include "ktap.h"
#include "pace.h"

#define SECOND	1000000ull
#define BEGIN	(1000 * SECOND)

/* So many numbers every so many microseconds, for a while from @at on. Returns when the last was told; *seq is the edge then. */
static u64 stream(struct es_pace *p, u64 at, u64 for_us, u32 every_us, u32 numbers, u64 *seq)
{
	u64 t;

	for (t = at; t < at + for_us; t += every_us) {
		es_pace_note(p, *seq, *seq + numbers, t, 0);
		*seq += numbers;
	}
	return t - every_us;
}

static bool a_steady_stream_reaches_as_far_as_its_rate(void)
{
	struct es_pace p = {};
	u64 seq = 5000, told = stream(&p, BEGIN, SECOND, 1000, 2, &seq);	/* 2000 a second */

	ktap_expect(es_pace_reach(&p, seq, told, told, told, 0, 0, false) == 2);	/* what comes between two streams */
	ktap_expect(es_pace_reach(&p, seq, told, told, told + 300000, 0, 0, false) >= 600 + 2);
	ktap_expect(es_pace_reach(&p, seq, told, told, told + 300000, 0, 0, false) <= 660 + 2);
	ktap_expect(es_pace_reach(&p, seq, told, told + 40000, told + 40000, 0, 0, false) >= 80 + 2);	/* lost datagrams: not told, and yet heard */
	ktap_expect(es_pace_reach(&p, seq, told, told, told, 100000, 0, false) >= 200 + 2);	/* as old as the way is long */
	return true;
}

static bool history_is_no_rate(void)
{
	struct es_pace p = {};

	ktap_expect(es_pace_reach(&p, 0, 0, BEGIN, BEGIN + SECOND, 0, 0, false) == 1);	/* never told */
	es_pace_note(&p, 0, 1000000, BEGIN, 0);
	ktap_expect(es_pace_reach(&p, 1000000, BEGIN, BEGIN, BEGIN + SECOND, 0, 0, false) == 1);
	es_pace_note(&p, 1000000, 1000000 + (5ull << 32), BEGIN + 10 * SECOND, 0);
	ktap_expect(es_pace_reach(&p, 1000000 + (5ull << 32), BEGIN + 10 * SECOND, BEGIN + 10 * SECOND, BEGIN + 11 * SECOND, 0, 0, true) == 1);
	return true;
}

static bool a_burst_counts_from_its_beginning(void)
{
	struct es_pace p = {};
	u64 seq = 1, told;

	es_pace_note(&p, 0, 1, BEGIN, 0);
	told = stream(&p, BEGIN + 1000, 20000, 1000, 10, &seq);		/* 10,000 a second for 20 ms: 200 numbers so far */
	ktap_expect(es_pace_reach(&p, seq, told, told, told + 10000, 0, 0, false) >= 40 + 10);
	told = stream(&p, told + 1000, 100000, 1000, 10, &seq);
	ktap_expect(es_pace_reach(&p, seq, told, told, told + 10000, 0, 0, false) >= 100 + 10);
	return true;
}

static bool the_highest_of_the_last_spans_counts(void)
{
	struct es_pace p = {};
	u64 seq = 1, told;

	told = stream(&p, BEGIN, SECOND, 1000, 10, &seq);
	told = stream(&p, told + 50000, 100000, 50000, 5, &seq);	/* slower for two spans: 100 a second */
	ktap_expect(es_pace_reach(&p, seq, told, told, told + SECOND, 0, 0, false) > 7000);
	told = stream(&p, told + 50000, 3 * SECOND, 50000, 5, &seq);	/* and then for long */
	ktap_expect(es_pace_reach(&p, seq, told, told, told + SECOND, 0, 0, false) < 200);
	return true;
}

static bool one_that_is_idle_may_have_got_a_packet(void)
{
	struct es_pace p = {};
	u64 seq = 1, told = stream(&p, BEGIN, SECOND, 1000, 10, &seq);

	ktap_expect(es_pace_reach(&p, seq, told, told + 3 * SECOND, told + 3 * SECOND + 300000, 0, 0, false) == 1);
	return true;
}

static bool a_move_is_bounded(void)
{
	struct es_pace p = { .span_ms = 1, .rate = U32_MAX, .step = U32_MAX };

	ktap_expect(es_pace_reach(&p, 0, BEGIN, BEGIN, U64_MAX, 0, 0, false) == 1u << 28);
	ktap_expect(es_pace_reach(&p, 0, BEGIN, BEGIN, U64_MAX, 0, 0, true) == 1u << 30);
	ktap_expect(es_pace_reach(&p, 0, BEGIN, BEGIN, 0, 0, 0, true) == 1u << 30);	/* a clock that is behind */
	p = (struct es_pace){ .span_ms = U32_MAX, .rate = 1000, .step = 1 };
	es_pace_note(&p, 10, 20, 60000, 0);	/* 32 bits of milliseconds have passed their end: 61 ms */
	ktap_expect(p.span_ms == 60 && p.rate < 1000 && p.step == 10);
	return true;
}

static bool a_long_interval_is_waited_for(void)
{
	struct es_pace p = {};
	u64 told = 0, seq = 0, t;

	for (t = BEGIN; t < BEGIN + 30 * SECOND; t += 3 * SECOND) {	/* 2000 a second, told every three */
		es_pace_note(&p, seq, seq + 6000, t, 3000000);
		seq += 6000;
		told = t;
	}
	/* Heard all the while, and nothing told for as long as the interval is. */
	ktap_expect(es_pace_reach(&p, seq, told, told + 2900000, told + 3200000, 0, 3000000, false) >= 6400 + 6000);
	ktap_expect(es_pace_reach(&p, seq, told, told + 2900000, told + 3200000, 0, 0, false) == 1);	/* as if it were short */
	return true;
}

static const struct ktap_case cases[] = {
	{ "a steady stream reaches as far as its rate", a_steady_stream_reaches_as_far_as_its_rate },
	{ "what an SA has told of its past is no rate", history_is_no_rate },
	{ "a burst counts from its beginning", a_burst_counts_from_its_beginning },
	{ "the highest of the last spans counts, and fades", the_highest_of_the_last_spans_counts },
	{ "an SA that is idle may have got one packet", one_that_is_idle_may_have_got_a_packet },
	{ "a move is bounded", a_move_is_bounded },
	{ "a long interval is waited for", a_long_interval_is_waited_for },
};

KTAP_MAIN(cases)
