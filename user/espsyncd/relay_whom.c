// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * relay_whom: of several peers, which one: whose stream is taken, and who gives a journal back. See relay.h.
 *
 * Streams' names are ordered: each is higher than all that its node had heard of, so the stream of the node that became active last has the
 * highest. With the number of a record it says how much a journal has, whoever has it.
 */
#include <time.h>

#include "relay_priv.h"

static bool has_more(const struct peer_state *s, uint64_t epoch, uint64_t seq)
{
	return s->epoch > epoch || (s->epoch == epoch && s->seq > seq);
}

int relay_owner(struct relay *r)
{
	int owner = -1;
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		const struct peer_state *s = &r->peers[i].state;

		if (r->peers[i].heard_state && s->active && relay_compatible(r, i) && (owner < 0 || s->epoch > r->peers[owner].state.epoch))
			owner = i;
	}
	return owner;
}

bool relay_may_give(const struct relay *r, unsigned int peer)
{
	const struct relay_peer *p = &r->peers[peer];

	return p->heard_state && p->state.valid && !p->state.active;
}

bool relay_has_most(const struct relay *r, unsigned int peer)
{
	const struct peer_state *s = &r->peers[peer].state;
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		if (relay_may_give(r, i) && has_more(&r->peers[i].state, s->epoch, s->seq))
			return false;
	}
	return true;
}

int relay_giver(const struct relay *r)
{
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		if (relay_may_give(r, i) && relay_has_most(r, i))
			return i;
	}
	return -1;
}

bool relay_is_behind(const struct relay *r)
{
	int giver = relay_giver(r);

	return giver >= 0 && has_more(&r->peers[giver].state, r->source_epoch, r->source_seq);
}

uint64_t relay_new_epoch(const struct relay *r)
{
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	return ns > r->newest ? ns : r->newest + 1;
}
