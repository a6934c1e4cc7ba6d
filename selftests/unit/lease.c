// SPDX-License-Identifier: GPL-2.0
/*
 * lease.c - kmod/lease.c on chosen values.
 *
 * Job: rows that a reader can check by hand. Whether the numbers together keep
 * the promise that none is used twice is lease_random.c's to ask.
 */
// SOURCES: ../../kmod/lease.c
#include "ktap.h"
#include "lease.h"

#define LMIN	((u64)ES_LEASE_MIN)

static bool slots_are_apart(void)
{
	ktap_expect(es_lease_span(0) == LMIN);
	ktap_expect(es_lease_span(ES_LEASE_MAX64) == (1ULL << 28) + LMIN);
	ktap_expect(es_lease_slot(1000, 5000, 0) == 1000);
	ktap_expect(es_lease_slot(1000, 5000, 1) == 1000 + 5000 + LMIN);
	ktap_expect(es_lease_slot(1ULL << 40, U32_MAX, 254) == (1ULL << 40) + 254 * (U32_MAX + LMIN));
	return true;
}

/* Two nodes, and every doubling that renewals can do: the owner asks for more, the peer has not heard, and counts from what it knows. */
static bool an_owners_slot_ends_where_its_peers_begin(void)
{
	for (u64 known = LMIN; known <= 16 * LMIN; known += LMIN) {
		for (u32 lease = ES_LEASE_MIN; lease <= 1u << 24; lease *= 2) {
			struct es_lease l = { .target = known + lease, .lease = 2 * lease, .before = lease };
			u64 above_all = es_lease_slot(known, lease, 2);

			ktap_expect(es_lease_own_slot(&l, 2) + LMIN <= above_all);
			ktap_expect(es_lease_own_slot(&l, 2) >= l.target + LMIN);	/* nor does it meet the peer's own slot, which begins there */
		}
	}
	return true;
}

static bool sizes_follow_the_rate(void)
{
	static const struct row {
		u64 numbers, us;
		u32 alone_ms;
		bool esn;
		u32 size;
	} rows[] = {
		{ 0, 0, 5000, false, ES_LEASE_MIN },
		{ 0, 1000000, 5000, true, ES_LEASE_MIN },
		{ 1000000, 1000000, 5000, false, 10000000 + 2 * ES_GSO_MAX },	/* 1 Mpps: twice 5 s of it */
		{ 100000, 1000000, 5600, true, 1120000 + 2 * ES_GSO_MAX },
		{ 1000000, 1000000, 450, false, ES_LEASE_MIN },
		{ 2000000, 1000000, 5000, false, ES_LEASE_MAX32 },
		{ 2000000, 1000000, 5000, true, 20000000 + 2 * ES_GSO_MAX },
		{ 500000, 250000, 5000, true, 20000000 + 2 * ES_GSO_MAX },
		{ 1ULL << 31, 1000, 5000, true, ES_LEASE_MAX64 },
		{ 1ULL << 40, 0, U32_MAX, true, ES_LEASE_MAX64 },
		{ 100, U64_MAX, 5000, true, ES_LEASE_MIN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (es_lease_size(rows[i].numbers, rows[i].us, rows[i].alone_ms, rows[i].esn) != rows[i].size) {
			ktap_diag("row %zu: %u", i, es_lease_size(rows[i].numbers, rows[i].us,
								  rows[i].alone_ms, rows[i].esn));
			return false;
		}
	return true;
}

/* Peers' voices for the limit; start is 1000 throughout. */
static bool limits_are_the_lowest_voice(void)
{
	static const struct row {
		const char *what;
		struct es_voice v[3];
		unsigned int n;
		bool settling;
		u64 limit;
	} rows[] = {
		{ "alone", {}, 0, false, ES_NO_LIMIT },
		{ "alone, just promoted", {}, 0, true, ES_NO_LIMIT },
		{ "one in", { { true, true, 9000 } }, 1, false, 9000 },
		{ "lowest of two", { { true, true, 9000 }, { true, true, 8000 } }, 2, false, 8000 },
		{ "lowest of two, said first", { { true, true, 8000 }, { true, true, 9000 } }, 2, false, 8000 },
		{ "one that is out does not count", { { true, true, 9000 }, { false, true, 8000 } }, 2, false, 9000 },
		{ "all out", { { false, true, 9000 }, { false, true, 8000 } }, 2, false, ES_NO_LIMIT },
		{ "in but unheard", { { true, false, 0 } }, 1, false, 1000 },
		{ "unheard and settling: the slot", { { false, false, 0 } }, 1, true, 1000 + LMIN },
		{ "unheard and settled", { { false, false, 0 } }, 1, false, ES_NO_LIMIT },
		{ "heard all: the slot is no bound", { { true, true, 1000 + 9 * LMIN } }, 1, true, 1000 + 9 * LMIN },
		{ "one heard, one not, settling", { { true, true, 1000 + 9 * LMIN }, { false, false, 0 } }, 2, true,
		  1000 + LMIN },
		{ "what was acknowledged unheard is not", { { true, false, 9000 } }, 1, false, 1000 },
	};
	struct es_lease l = { .start = 1000, .above = 5000 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 limit = es_lease_limit(&l, rows[i].v, rows[i].n, rows[i].settling);

		if (limit != rows[i].limit) {
			ktap_diag("%s: %llu", rows[i].what, limit);
			return false;
		}
	}
	return true;
}

static bool the_own_slot_comes_first(void)
{
	struct es_lease l = { .start = 1000, .above = 1000 + 9 * LMIN };

	ktap_expect(es_lease_enter(&l, 1000, l.above, false) == 1000);		/* nothing granted above */
	ktap_expect(es_lease_enter(&l, 1000, l.above + 1, false) == l.above);	/* all agreed */
	ktap_expect(es_lease_enter(&l, 1000, ES_NO_LIMIT, true) == 1000);	/* own slot is not used up */
	ktap_expect(es_lease_enter(&l, 1000 + LMIN, ES_NO_LIMIT, true) == l.above);
	ktap_expect(es_lease_enter(&l, 1000 + LMIN - ES_GSO_MAX, ES_NO_LIMIT, true) == l.above);
	ktap_expect(es_lease_enter(&l, 1000 + LMIN - ES_GSO_MAX - 1, ES_NO_LIMIT, true) == 1000 + LMIN - ES_GSO_MAX - 1);
	ktap_expect(es_lease_enter(&l, l.above + 7, ES_NO_LIMIT, true) == l.above + 7);
	return true;
}

static bool ceilings_only_rise(void)
{
	struct es_lease l = { .start = 0, .above = 0, .target = 50000, .lease = 10000 };

	ktap_expect(es_lease_next(&l, 45000, 10000, true) == 55000);
	ktap_expect(es_lease_next(&l, 45000, 90000, true) == 60000);	/* by one lease at most */
	ktap_expect(es_lease_next(&l, 45000, 90000, false) == 135000);	/* nobody to differ from */
	ktap_expect(es_lease_next(&l, 10000, 10000, true) == 50000);
	ktap_expect(es_lease_next(&l, 10000, 10000, false) == 50000);
	l.above = 70000;
	l.target = 70000;
	ktap_expect(es_lease_next(&l, 10000, 10000, false) == 80000);	/* it is asked for above all slots */
	return true;
}

static bool doubt_is_bounded(void)
{
	ktap_expect(es_lease_doubt(5000, 0, 0, false) == 5000);
	ktap_expect(es_lease_doubt(5000, 1000, 10000, false) == 20000);
	ktap_expect(es_lease_doubt(5000, 1000000, 3600000, false) == 1U << 28);
	ktap_expect(es_lease_doubt(5000, 1000000, 3600000, true) == 1U << 30);
	ktap_expect(es_lease_doubt(U32_MAX, U64_MAX, U64_MAX, true) == 1U << 30);
	return true;
}

/* I4: what lies between the last number that was sent and the next one of an heir, be it in sync or in doubt, of two nodes and the biggest leases. */
static bool no_move_is_half_an_esn(void)
{
	u64 ceiling = 1000 + ES_LEASE_MAX64;	/* 1000 was sent, and a lease asked for */
	u64 above = es_lease_slot(ceiling, ES_LEASE_MAX64, 2);
	u64 doubt = es_lease_doubt(ES_LEASE_MAX64, U64_MAX, U64_MAX, true);

	ktap_expect(above - 1000 < 1ULL << 31);
	ktap_expect(es_lease_slot(ceiling + doubt, ES_LEASE_MAX64, 2) - 1000 < 1ULL << 31);
	return true;
}

static const struct ktap_case cases[] = {
	{ "slots of two ranks are a lease and a slot apart", slots_are_apart },
	{ "an owner's slot ends where its peers begin", an_owners_slot_ends_where_its_peers_begin },
	{ "a lease is twice what is used while a peer is evicted, within bounds", sizes_follow_the_rate },
	{ "the limit is the lowest voice that binds", limits_are_the_lowest_voice },
	{ "after promote the own slot first, then above all", the_own_slot_comes_first },
	{ "ceilings only rise, and by one lease while somebody is bound", ceilings_only_rise },
	{ "a move in doubt is bounded", doubt_is_bounded },
	{ "no move is 2^31 or more", no_move_is_half_an_esn },
};

KTAP_MAIN(cases)
