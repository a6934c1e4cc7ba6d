/* SPDX-License-Identifier: GPL-2.0 */
/*
 * lease.h - the arithmetic of outbound leases (ceilings, ranks, slots).
 */
#ifndef ESPSYNC_LEASE_H
#define ESPSYNC_LEASE_H

#include "pure.h"

#define ES_LEASE_MIN	(1u << 20)	/* a slot: what may be used before anybody agreed */
#define ES_LEASE_MAX32	(1u << 24)	/* of an SA without ESN */
#define ES_LEASE_MAX64	(1u << 28)	/* so that no takeover, nor one in doubt, moves a number by 2^31 */
#define ES_GSO_MAX	65535u		/* numbers that one packet may take before xfrm asks */
#define ES_OSEQ_MAX32	0xfffffffeull	/* the last number of an SA without ESN that is ever granted */
#define ES_CEILING_MAX	(1ull << 62)	/* nobody sends so many; a number above is refused */
#define ES_NO_LIMIT	U64_MAX

/**
 * struct es_voice - what one configured peer has to say about a ceiling
 * @binding: it is in, may believe that it is in, or is never evicted
 * @heard: it has acknowledged a ceiling in this epoch
 * @acked: the highest one
 */
struct es_voice {
	bool binding;
	bool heard;
	u64 acked;
};

/**
 * struct es_lease - one outbound SA, seen by its owner
 * @start: where this node began in this epoch (its own slot)
 * @above: above every node's slot; 0 for an SA that began here
 * @target: the ceiling that is asked for
 * @limit: the number that must not be passed now, or ES_NO_LIMIT
 * @lease: how far the next ceiling may be above @target
 * @before: the same, as it was when @target was asked for: a peer may know nothing newer
 */
struct es_lease {
	u64 start;
	u64 above;
	u64 target;
	u64 limit;
	u32 lease;
	u32 before;
};

u64 es_lease_span(u32 lease);
u64 es_lease_slot(u64 ceiling, u32 lease, unsigned int rank);
u64 es_lease_own_slot(const struct es_lease *l, unsigned int n_nodes);
u32 es_lease_size(u64 numbers, u64 us, u32 alone_ms, bool esn);
u64 es_lease_limit(const struct es_lease *l, const struct es_voice *v, unsigned int n, bool settling);
u64 es_lease_enter(const struct es_lease *l, u64 oseq, u64 limit, bool unheard);
u64 es_lease_next(const struct es_lease *l, u64 oseq, u32 lease, bool bound);
u64 es_lease_doubt(u32 lease, u64 rate_per_s, u64 out_ms, bool esn);

#endif /* ESPSYNC_LEASE_H */
