// SPDX-License-Identifier: GPL-2.0
/*
 * rate.c - how much may go to a peer: a token bucket.
 *
 * Job: from time passed and bytes sent to whether another datagram may be built. Nothing waits in a queue for it: what was not said is still dirty,
 * and is said as it is by then.
 * What may not enter: datagrams, peers, clocks. Pure: runs in userspace too.
 */
#include "rate.h"

/**
 * es_rate_allows() - whether a datagram may go now
 * @r: the bucket; all 0 is one that is new
 * @kbit: thousands of bits a second; 0 is no limit
 * @now_us: clock
 * Return: true unless what went before is still to be paid for
 */
bool es_rate_allows(struct es_rate *r, u32 kbit, u64 now_us)
{
	u64 passed = min_t(u64, now_us - min(now_us, r->us), 1000000);

	if (!kbit)
		return true;
	r->us = now_us;
	r->credit = min_t(s64, r->credit + (s64)(passed * kbit), (s64)kbit * ES_RATE_BURST_US);
	return r->credit > 0;
}

/**
 * es_rate_spend() - a datagram went
 * @r: the bucket
 * @kbit: as es_rate_allows() was told
 * @bytes: on the link
 */
void es_rate_spend(struct es_rate *r, u32 kbit, u32 bytes)
{
	if (kbit)
		r->credit -= (s64)bytes * 8 * 1000;
}
