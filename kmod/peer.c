// SPDX-License-Identifier: GPL-2.0
/*
 * peer.c - what this node knows of another one, and when it counts as in.
 *
 * Job: life of a struct es_peer, its timers (dead, joining, in, out) and its states as shown.
 * What may not enter: bytes of datagrams, counters of states.
 *
 * Context: process, es->lock held.
 */
#include <linux/slab.h>

#include "channel.h"
#include "events.h"
#include "group.h"
#include "out.h"
#include "role.h"
#include "sa.h"
#include "trace.h"

/**
 * es_peer_find() - by its number
 * @es: namespace, locked
 * @node: number
 * Return: the peer or NULL
 */
struct es_peer *es_peer_find(struct es_net *es, u8 node)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (p->node == node)
			return p;
	return NULL;
}

static void peer_free(struct es_peer *p)
{
	es_session_wipe(&p->session);
	xa_destroy(&p->acked);
	xa_destroy(&p->map);
	kvfree(p->dirty);
	kvfree(p->named);
	kvfree(p->todo);
	kvfree(p->inflight);
	kfree(p);
}

static struct es_peer *peer_alloc(struct es_net *es, u8 node)
{
	struct es_peer *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	p->es = es;
	p->node = node;
	p->cursor = 1;
	xa_init(&p->acked);
	xa_init(&p->map);
	p->dirty = kvcalloc(BITS_TO_LONGS(ES_MAX_SAS), sizeof(long), GFP_KERNEL);
	p->named = kvcalloc(BITS_TO_LONGS(ES_MAX_SAS), sizeof(long), GFP_KERNEL);
	p->todo = kvcalloc(BITS_TO_LONGS(ES_MAX_SAS), sizeof(long), GFP_KERNEL);
	p->inflight = kvcalloc(ES_INFLIGHT, sizeof(*p->inflight), GFP_KERNEL);
	if (p->dirty && p->named && p->todo && p->inflight)
		return p;
	peer_free(p);
	return NULL;
}

static u8 free_index(struct es_net *es)
{
	unsigned long taken = 0;
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		taken |= BIT(p->index);
	return ffz(taken);
}

/**
 * es_peer_unheard() - nothing that a peer said about SAs counts any more, or nothing unless it says it again
 * @es: namespace, locked
 * @p: the peer
 * @forget: it is gone for good
 */
void es_peer_unheard(struct es_net *es, struct es_peer *p, bool forget)
{
	struct es_sa *sa;
	unsigned long i;

	xa_for_each(&es->sas, i, sa) {
		sa->ann_seen &= ~BIT(p->index);
		if (!forget)
			continue;
		sa->ann &= ~BIT(p->index);
		sa->passed &= ~BIT(p->index);
		es_sa_astray(es, sa, p, false);
	}
}

/**
 * es_peer_add() - another node, or new addresses of one
 * @es: namespace, locked, with a channel
 * @node: its number
 * @addr: where it is; es_link_why_not() has nothing against them
 * @extack: for the reason
 * Return: 0 or an error
 */
int es_peer_add(struct es_net *es, u8 node, const struct es_addr addr[ES_LINKS], struct netlink_ext_ack *extack)
{
	struct es_peer *p = es_peer_find(es, node);

	if (p) {
		es_link_set(p, addr);
		return 0;
	}
	if (es->n_peers >= ESPSYNC_MAX_PEERS) {
		NL_SET_ERR_MSG(extack, "a cluster has at most 16 nodes; delete a peer first");
		return -ENOSPC;
	}
	p = peer_alloc(es, node);
	if (!p)
		return -ENOMEM;
	es_link_set(p, addr);
	/* a boot id of its own: what the other side remembers of a peer that was deleted and added again counts for nothing */
	es_session_init(&p->session, es->cfg.node, node, get_random_u64());
	p->index = free_index(es);
	es_peer_resync(p);
	list_add_tail(&p->list, &es->peers);
	es->n_peers++;
	es->generation++;
	es_group_ranks(es);
	es_wake(es);
	return 0;
}

/* What was between a group of this node and a peer that is to be deleted: it was agreed to by two. */
static void parted(struct es_group *g, struct es_peer *p)
{
	if (g->owner == p->node)
		es_group_unsaid(g);		/* once it knows, this standby binds it no more */
	if (g->role != ESPSYNC_ROLE_ACTIVE)
		return;
	if (es_binds(g, p) || es_believes(g->es, p))
		g->left_own_us = max_t(u64, g->es->own_us, 1);
	if (p->in[g->slot].after_gap)
		es_out_gap_begins(g);		/* it gives no word any more */
}

/**
 * es_peer_del() - forget a node
 * @es: namespace, locked
 * @p: the peer, freed
 */
void es_peer_del(struct es_net *es, struct es_peer *p)
{
	struct es_group *g;

	es_each_group(g, es)
		parted(g, p);
	es_tx_leave(es, p);
	es_group_forgotten(es);		/* nobody will say what it has done since it was heard */
	es_peer_unheard(es, p, true);
	list_del(&p->list);
	es->n_peers--;
	es->generation++;
	es_each_group(g, es)
		if (g->owner == p->node) {
			g->owner = 0;
			es_event_role(g, "its owner was deleted as a peer");
		}
	es_group_ranks(es);
	peer_free(p);
	es->walk = 1;
	es_wake(es);
}

/**
 * es_peer_heard() - whether it lives, as far as one can hear
 * @p: the peer
 * Return: an authenticated datagram came within dead_ms
 */
bool es_peer_heard(const struct es_peer *p)
{
	return p->heard_us && p->es->clock_us - p->heard_us <= p->es->cfg.dead_ms * 1000ull;
}

/**
 * es_peer_answered() - whether what it says of its role still holds, however long datagrams are under way
 * @p: the peer
 * Return: it has echoed what this node sent within detect_ms, by the clock that ran furthest: since then nobody can have been promoted and replaced
 */
bool es_peer_answered(const struct es_peer *p)
{
	return p->rt_us && p->es->clock_us - p->rt_us <= p->es->cfg.detect_ms * 1000ull;
}

/* Both ways: it has echoed something that this node sent within dead_ms of own time. */
static bool answers(const struct es_peer *p)
{
	return p->rt_us && p->es->own_us - p->rt_own_us <= p->es->cfg.dead_ms * 1000ull;
}

/**
 * es_peer_unsynced() - SAs of which a peer has acknowledged nothing since it joined, or since they appeared
 * @p: the peer
 * Return: how many. A busy SA is always a little ahead of what was acknowledged; that does not count
 */
u32 es_peer_unsynced(const struct es_peer *p)
{
	return bitmap_weight(p->todo, ES_MAX_SAS);
}

/**
 * es_peer_out() - it is in no group any more; while it may believe that it is, it binds
 * @p: the peer
 */
void es_peer_out(struct es_peer *p)
{
	struct es_peer_in *in;

	for (in = p->in; in < p->in + ES_MAX_GROUPS; in++) {
		in->is_in = false;
		in->enforcing = false;
	}
}

/**
 * es_peer_resync() - tell it everything again
 * @p: the peer
 */
void es_peer_resync(struct es_peer *p)
{
	bitmap_copy(p->dirty, p->es->used, ES_MAX_SAS);
	bitmap_copy(p->todo, p->es->used, ES_MAX_SAS);
	p->synced = false;
	p->synced_sent = false;
	es_peer_out(p);
}

/**
 * es_peer_state_in() - as shown, in one group
 * @g: group, locked
 * @p: the peer
 * Return: enum espsync_peer_state
 */
u8 es_peer_state_in(const struct es_group *g, const struct es_peer *p)
{
	const struct es_peer_in *in = &p->in[g->slot];
	struct es_peer_view v = {
		.heard = es_peer_heard(p), .answers = answers(p), .synced = p->synced, .told_all = p->peer_synced,
		.full = in->w.flags & ES_GROUP_FULL, .is_in = in->is_in, .owner = g->owner == p->node,
		.self_in = es_group_in(g),
	};

	return es_role_peer_state(g->role, &v);
}

/**
 * es_peer_state() - as shown: in the group where it is worst
 * @p: the peer
 * Return: enum espsync_peer_state
 */
u8 es_peer_state(const struct es_peer *p)
{
	static const u8 bad[] = { [ESPSYNC_PEER_UP] = 0, [ESPSYNC_PEER_JOINING] = 1, [ESPSYNC_PEER_OUT] = 2, [ESPSYNC_PEER_DOWN] = 3 };
	const struct es_group *g;
	u8 worst = ESPSYNC_PEER_UP;

	es_each_group(g, p->es) {
		u8 state = es_peer_state_in(g, p);

		if (bad[state] > bad[worst])
			worst = state;
	}
	return worst;
}

/**
 * es_peer_key() - the cluster key that its session was made from: what both seal with
 * @p: the peer
 * Return: the key; NULL without a session
 */
const struct es_key *es_peer_key(const struct es_peer *p)
{
	int slot = es_session_key(&p->session);

	return slot < 0 ? NULL : &p->es->keys.key[slot];
}

/* As owner: whether this peer has everything and may be told that it is in. */
static void join_or_leave(struct es_group *g, struct es_peer *p)
{
	struct es_peer_in *in = &p->in[g->slot];
	struct es_net *es = g->es;
	bool able = answers(p) && !es_tx_unheard(p) && p->synced && in->speaks && !(in->w.flags & ES_GROUP_FULL) && in->w.role != ESPSYNC_ROLE_ACTIVE;
	struct es_join j = {
		.able = able,
		.unsynced = able && !in->is_in ? es_peer_unsynced(p) : 0,
		.walking = es->walk,
		.behind = g->behind,
	};

	switch (es_role_join(&j, in->is_in, in->enforcing)) {
	case ES_JOIN_STAY:
		break;
	case ES_JOIN_LEAVE:
		es_event_peer(p, g, "out: it does not acknowledge");
		trace_espsync_peer(p, ES_PEER_NOT_IN);
		in->is_in = false;
		in->enforcing = false;
		break;
	case ES_JOIN_ENFORCE:
		in->enforcing = true;
		trace_espsync_peer(p, ES_PEER_ENFORCING);
		fallthrough;
	case ES_JOIN_AGAIN:
		es->walk = 1;
		break;
	case ES_JOIN_IN:
		in->is_in = true;
		in->enforcing = false;
		es_event_peer(p, g, "in: it has every SA");
		trace_espsync_peer(p, ES_PEER_IN);
		es_channel_speak(es);	/* what is shown as in should know it */
		break;
	}
}

/* The time in which a peer that is not in any more still binds has passed: limits are computed anew, once. */
static void evict(struct es_group *g, struct es_peer *p)
{
	struct es_peer_in *in = &p->in[g->slot];

	if (in->is_in || in->enforcing || !in->last_in_own_us || es_binds(g, p))
		return;
	in->last_in_own_us = 0;
	g->es->walk = 1;
	trace_espsync_peer(p, ES_PEER_EVICTED);
}

/* Gaps: no word from it for evict_ms in the session that it had. */
static void gap_over(struct es_group *g, struct es_peer *p)
{
	struct es_peer_in *in = &p->in[g->slot];

	if (!in->after_gap || g->es->own_us - g->gap_own_us <= g->es->cfg.evict_ms * 1000ull)
		return;
	in->after_gap = false;
	es_out_gap_begins(g);
	g->es->walk = 1;
}

static void told_state(struct es_peer *p)
{
	u8 state = es_peer_state(p);

	if (state == p->state)
		return;
	p->state = state;
	trace_espsync_peer(p, state);
	es_event_peer(p, NULL, NULL);
}

/**
 * es_peer_tick() - what time does to a peer
 * @es: namespace, locked
 * @p: the peer
 */
void es_peer_tick(struct es_net *es, struct es_peer *p)
{
	struct es_group *g;

	es_tx_timeout(es, p);
	es_each_group(g, es) {
		if (g->role != ESPSYNC_ROLE_ACTIVE)
			continue;
		join_or_leave(g, p);
		evict(g, p);
		gap_over(g, p);
	}
	told_state(p);
	es_link_tick(p);
}
