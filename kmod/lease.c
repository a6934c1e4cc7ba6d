// SPDX-License-Identifier: GPL-2.0
/*
 * lease.c - the arithmetic of outbound leases.
 *
 * Job: the numbers of the lease protocol: how big a lease is, which slot a rank has, what an owner may use given what its peers
 * acknowledged. Values in, value out, time passed in.
 * What may not enter: SAs, peers, locks, clocks. Pure: runs in userspace too.
 *
 * The rules are those of the random simulation lease-model: a standby of rank r stores ceiling + r spans; after a takeover a
 * node uses its own slot at once and what lies above all slots once every peer agreed or had its time. RFC 4303 3.3.3: a number
 * is never used twice; a 32-bit counter never cycles.
 */
#include "lease.h"

/**
 * es_lease_span() - distance between the slots of two ranks
 * @lease: lease that was announced with the ceiling
 * Return: numbers
 */
u64 es_lease_span(u32 lease)
{
	return (u64)lease + ES_LEASE_MIN;
}

/**
 * es_lease_slot() - where a standby goes on from
 * @ceiling: the newest that it knows
 * @lease: announced with it
 * @rank: of this node among the standbys, 0 is first
 * Return: the last number that anybody before it may have used
 */
u64 es_lease_slot(u64 ceiling, u32 lease, unsigned int rank)
{
	return ceiling + rank * es_lease_span(lease);
}

/**
 * es_lease_own_slot() - where an owner goes on from that was demoted and is promoted again
 * @l: the SA
 * @n_nodes: of the cluster, with this one
 *
 * Peers know its newest ceiling or the one before, which is lower by no more than the lease of then; and begin above all slots that they count from
 * what they know. So it counts in that lease, too: in the newest, which it may have doubled since, its slot would reach into theirs.
 *
 * Return: the last number that anybody before it may have used
 */
u64 es_lease_own_slot(const struct es_lease *l, unsigned int n_nodes)
{
	return es_lease_slot(l->target, l->before, max(n_nodes, 1u) - 1);
}

/**
 * es_lease_size() - size of the next lease
 * @numbers: used since the last renewal
 * @us: microseconds since then
 * @alone_ms: how long an owner may have to go on without an acknowledgement
 * @esn: 64-bit numbers
 * Return: twice what is used in @alone_ms and kept free for one packet, within bounds: it is renewed in its middle, so half of it is left
 */
u32 es_lease_size(u64 numbers, u64 us, u32 alone_ms, bool esn)
{
	u64 rate = div64_u64(numbers * 1000, max_t(u64, div_u64(us, 1000), 1));	/* per second */
	u64 want = div_u64(min_t(u64, rate, 1ull << 40) * 2 * alone_ms, 1000) + 2 * ES_GSO_MAX;

	return clamp_t(u64, want, ES_LEASE_MIN, esn ? ES_LEASE_MAX64 : ES_LEASE_MAX32);
}

/**
 * es_lease_limit() - the number that the owner may not pass now
 * @l: the SA
 * @v: every configured peer's voice
 * @n: how many
 * @settling: less than evict_ms have passed since this node was promoted
 * Return: the limit, ES_NO_LIMIT if nobody binds
 */
u64 es_lease_limit(const struct es_lease *l, const struct es_voice *v, unsigned int n, bool settling)
{
	u64 limit = ES_NO_LIMIT;
	bool unheard = false;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (v[i].binding)
			limit = min_t(u64, limit, v[i].heard ? v[i].acked : l->start);
		unheard |= !v[i].heard;
	}
	if (unheard && settling)
		limit = min_t(u64, limit, l->start + ES_LEASE_MIN);
	return limit;
}

/**
 * es_lease_enter() - leave the own slot for the space above all slots
 * @l: the SA
 * @oseq: last number used
 * @limit: from es_lease_limit()
 * @unheard: some configured peer has not acknowledged in this epoch
 * Return: the number to go on from: @oseq, or @l->above
 */
u64 es_lease_enter(const struct es_lease *l, u64 oseq, u64 limit, bool unheard)
{
	if (oseq >= l->above || limit <= l->above)
		return oseq;
	if (unheard && oseq + ES_GSO_MAX < l->start + ES_LEASE_MIN)
		return oseq;
	return l->above;
}

/**
 * es_lease_next() - the next ceiling to ask for
 * @l: the SA
 * @oseq: last number used
 * @lease: size from es_lease_size()
 * @bound: some peer binds: two ceilings in force may differ by one lease at most
 * Return: the ceiling, never below the one before
 */
u64 es_lease_next(const struct es_lease *l, u64 oseq, u32 lease, bool bound)
{
	u64 want = max_t(u64, oseq, l->above) + lease;

	if (bound)
		want = min_t(u64, want, l->target + l->lease);
	return max_t(u64, want, l->target);
}

/**
 * es_lease_doubt() - how far to move up where it is unknown what was used
 * @lease: last known
 * @rate_per_s: last known
 * @out_ms: how long this node has heard nothing
 * @esn: 64-bit numbers
 * Return: numbers to skip; at most 2^28, with ESN 2^30
 */
u64 es_lease_doubt(u32 lease, u64 rate_per_s, u64 out_ms, bool esn)
{
	u64 gone = div_u64(min_t(u64, rate_per_s, 1u << 24) * 2 * min_t(u64, out_ms, 1u << 30), 1000);

	return min_t(u64, max_t(u64, lease, gone), esn ? 1u << 30 : 1u << 28);
}
