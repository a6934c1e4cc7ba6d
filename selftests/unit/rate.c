// SPDX-License-Identifier: GPL-2.0
/*
 * rate.c - kmod/rate.c: what goes in a second is what was allowed, in bursts of 5 ms at most.
 */
// SOURCES: ../../kmod/rate.c
#include "ktap.h"
#include "rate.h"

/* Datagrams of so many bytes as often as it is allowed, asked every so many microseconds. Returns bytes; *burst is the most at once. */
static u64 sent(struct es_rate *r, u32 kbit, u64 from, u64 for_us, u32 every_us, u32 bytes, u64 *burst)
{
	u64 t, all = 0, now;

	*burst = 0;
	for (t = from; t < from + for_us; t += every_us) {
		for (now = 0; now < 10000000 && es_rate_allows(r, kbit, t); now += bytes)
			es_rate_spend(r, kbit, bytes);
		all += now;
		*burst = max(*burst, now);
	}
	return all;
}

static bool seconds_hold_what_was_allowed(void)
{
	static const u32 kbits[] = { 64, 1000, 5000, 100000 };
	static const u32 every[] = { 100, 1000, 3000 };
	unsigned int i, j;

	for (i = 0; i < sizeof(kbits) / sizeof(*kbits); i++) {
		for (j = 0; j < 3; j++) {
			struct es_rate r = {};
			u64 burst, limit = kbits[i] * 1000ull / 8 * 10, most = kbits[i] * 5ull / 8 + 1462;
			u64 got = sent(&r, kbits[i], 1000000, 10000000, every[j], 1462, &burst);

			ktap_expect(got <= limit + most && burst <= most);
			ktap_expect(got >= limit - limit / 100 - 1462);
		}
	}
	return true;
}

static bool rest_is_not_saved_up(void)
{
	struct es_rate r = {};
	u64 burst;

	sent(&r, 1000, 1000000, 1000000, 1000, 1462, &burst);
	sent(&r, 1000, 100000000, 1, 1, 100, &burst);	/* after a long rest */
	ktap_expect(burst <= 1000 * 5 / 8 + 100);
	r = (struct es_rate){};
	sent(&r, 10000000, U64_MAX - 10, 1, 1, 1000, &burst);	/* the fastest, after the longest */
	ktap_expect(burst >= 6250000 && burst <= 6250000 + 1000);
	return true;
}

static bool a_debt_is_paid_and_a_clock_may_stand(void)
{
	struct es_rate r = {};

	ktap_expect(es_rate_allows(&r, 8, 1000000));
	es_rate_spend(&r, 8, 1000);			/* a second's worth, of which 5 ms were saved up */
	ktap_expect(!es_rate_allows(&r, 8, 1000000));
	ktap_expect(!es_rate_allows(&r, 8, 990000));
	ktap_expect(!es_rate_allows(&r, 8, 1900000));
	ktap_expect(es_rate_allows(&r, 8, 2010000));
	return true;
}

static bool without_a_limit(void)
{
	struct es_rate r = {};
	u64 burst;

	ktap_expect(sent(&r, 0, 1000000, 1, 1, 1462, &burst) >= 10000000 && !r.credit);
	return true;
}

static const struct ktap_case cases[] = {
	{ "seconds hold what was allowed", seconds_hold_what_was_allowed },
	{ "rest is not saved up", rest_is_not_saved_up },
	{ "a debt is paid, and a clock may stand", a_debt_is_paid_and_a_clock_may_stand },
	{ "without a limit", without_a_limit },
};

KTAP_MAIN(cases)
