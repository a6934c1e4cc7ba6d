/* SPDX-License-Identifier: GPL-2.0 */
/*
 * rate.h - how much may go to a peer.
 */
#ifndef ESPSYNC_RATE_H
#define ESPSYNC_RATE_H

#include "pure.h"

#define ES_RATE_BURST_US	5000	/* what was not used is good for so long */

/**
 * struct es_rate - a token bucket
 * @us: clock when it was filled last
 * @credit: thousandths of a bit; below 0 is a debt
 */
struct es_rate {
	u64 us;
	s64 credit;
};

bool es_rate_allows(struct es_rate *r, u32 kbit, u64 now_us);
void es_rate_spend(struct es_rate *r, u32 kbit, u32 bytes);

#endif /* ESPSYNC_RATE_H */
