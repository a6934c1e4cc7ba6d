// SPDX-License-Identifier: GPL-2.0
/*
 * in.c - inbound SAs: hot ones are looked at in turn, cold ones wake us with their next packet.
 *
 * Job: the anti-replay window of a state on its way to the peers and back (RFC 4303 3.4.3), the way NAPI polls: an idle SA raises one event, a
 * busy one is visited by the thread every interval and costs its packets nothing.
 * What may not enter: outbound numbers, sockets, roles' transitions.
 */
#include "in.h"
#include "sa.h"
#include "trace.h"
#include "xstate.h"

#define ES_IN_BATCH		64	/* SAs between two chances to schedule */

/*
 * A standby of a group that is strict takes no packet: its owner may have taken it and not told yet. x->lock held, any context.
 */
static void listen(struct es_sa *sa, struct xfrm_state *x)
{
	u8 role = READ_ONCE(sa->g->role);

	if (role == ESPSYNC_ROLE_STANDBY && READ_ONCE(sa->g->strict)) {
		if (es_x_stop(x))
			set_bit(ES_SA_STOPPED, &sa->flags);
	} else if (role != ESPSYNC_ROLE_UNDECIDED && test_and_clear_bit(ES_SA_STOPPED, &sa->flags)) {
		es_x_go(x);
	}
}

/**
 * es_in_adopt() - a state has come for an SA
 * @es: namespace
 * @sa: the SA
 * @x: its state, locked
 * Context: notification or process, x->lock held
 */
void es_in_adopt(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	sa->seen = x->curlft.packets;
	sa->sent_seq = 0;
	if (!test_bit(ES_SA_INEXACT, &sa->flags))
		es_x_cold(x);
	listen(sa, x);
}

/**
 * es_in_event() - a cold SA has received a packet
 * @es: namespace
 * @sa: the SA
 * @x: its state
 * Context: packet path, x->lock held, BH off
 */
void es_in_event(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	if (!test_bit(ES_SA_INEXACT, &sa->flags))
		es_x_hot(x);
	spin_lock(&es->sa_lock);
	es_sa_queue(es, sa);
	spin_unlock(&es->sa_lock);
}

/**
 * es_in_woken() - the thread has been told that an SA is busy
 * @es: namespace, locked
 * @sa: inbound, with a state
 */
void es_in_woken(struct es_net *es, struct es_sa *sa)
{
	if (!list_empty(&sa->hot))
		return;
	list_add_tail(&sa->hot, &es->hot);
	es->n_hot++;
	sa->moved_us = es->clock_us;
}

/**
 * es_in_interval() - how often a hot SA is visited: the sync interval of invariant I3
 * @es: namespace, locked
 * Return: microseconds; longer the more SAs are hot, and the bigger their records where there is a limit: they get half of it. What a round of
 * them leaves is for all else that there is to say, so that this is at most a round late
 */
u32 es_in_interval(const struct es_net *es)
{
	u64 us = max_t(u64, es->cfg.tick_us, div_u64((u64)es->n_hot * 1000000, es->cfg.records_per_s));

	if (es->cfg.rate_kbit)
		us = max(us, div_u64((u64)es->n_hot * es->n_peers * es->in_bytes * 8 * 2 * 1000, es->cfg.rate_kbit));
	return min_t(u64, us, U32_MAX);
}

/**
 * es_in_listen() - an SA takes packets or not, as its group and role have become
 * @sa: inbound or not, with or without a state
 * Context: process, es->lock held
 */
void es_in_listen(struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (!x || sa->dir != ESPSYNC_DIR_IN)
		return;
	spin_lock_bh(&x->lock);
	listen(sa, x);
	spin_unlock_bh(&x->lock);
}

static u64 kept_seq(struct es_net *es, const struct es_sa *sa)
{
	u64 seq;

	spin_lock_bh(&es->sa_lock);
	seq = sa->kept ? sa->kept->win.seq : 0;
	spin_unlock_bh(&es->sa_lock);
	return seq;
}

/* A window without a state: it counts once the state comes. */
static void close_kept(struct es_net *es, struct es_sa *sa, u32 rtt_us)
{
	u64 seq = kept_seq(es, sa);

	if (!seq)
		return;
	es_window_all(&es->win, seq + es_pace_reach(&sa->pace, seq, sa->moved_us, sa->g->heard_us, es->clock_us, rtt_us, sa->g->interval_us, false));
	es_sa_keep(es, sa, 0, &es->win, 0, 0);
}

/**
 * es_in_open() - this node is about to be active in a group that is strict: the SA takes packets from now on
 * @es: namespace, locked
 * @sa: inbound or not, with or without a state
 * @unsure: another node may have taken packets and not told: what it can have taken counts as seen
 * @rtt_us: of the link to it, 0 unknown
 */
void es_in_open(struct es_net *es, struct es_sa *sa, bool unsure, u32 rtt_us)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	u64 seq;

	if (sa->dir != ESPSYNC_DIR_IN)
		return;
	if (!x) {
		if (unsure)
			close_kept(es, sa, rtt_us);
		return;
	}
	spin_lock_bh(&x->lock);
	if (unsure) {
		seq = es_x_seq(x);
		seq += es_pace_reach(&sa->pace, seq, sa->moved_us, sa->g->heard_us, es->clock_us, rtt_us,
				     sa->g->interval_us, es_x_esn(x));
		es_window_all(&es->win, es_x_esn(x) ? seq : min_t(u64, seq, U32_MAX));
		es_x_merge(x, &es->win);
		trace_espsync_merge(es, sa, ESPSYNC_DIR_IN, seq);
	}
	if (test_and_clear_bit(ES_SA_STOPPED, &sa->flags))
		es_x_go(x);
	spin_unlock_bh(&x->lock);
}

/**
 * es_in_untold() - whether an SA may have taken packets that no peer was told of
 * @sa: the SA
 * Return: true for an inbound one that is hot, or has just been woken. Context: es->lock held
 */
bool es_in_untold(const struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	return sa->dir == ESPSYNC_DIR_IN && x && (!list_empty(&sa->hot) || es_x_packets(x) != sa->seen);
}

/* Returns whether it stays hot. */
static bool visit(struct es_net *es, struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	bool stays = true;

	if (!x)
		return false;
	if (es_x_dead(x)) {
		es->rescan = true;	/* migrated, which nobody tells: its successor carries packets already */
		return false;
	}
	if (es_x_packets(x) != sa->seen) {
		sa->seen = es_x_packets(x);
		sa->moved_us = es->clock_us;
		es_sa_set_dirty(es, sa);
		trace_espsync_sample(es, sa);
		return true;
	}
	if (es->clock_us - sa->moved_us < ES_HOT_US || test_bit(ES_SA_INEXACT, &sa->flags))
		return true;	/* an SA with thresholds of its own would not wake us */
	spin_lock_bh(&x->lock);
	if (x->curlft.packets == sa->seen) {
		es_x_cold(x);
		stays = false;
	}
	spin_unlock_bh(&x->lock);
	return stays;
}

/**
 * es_in_sample() - visit every hot SA once, if the interval has passed
 * @es: namespace, locked
 * Context: the thread
 */
void es_in_sample(struct es_net *es)
{
	struct es_sa *sa, *next;
	unsigned int n = 0;

	es->interval_us = es_in_interval(es);
	if (list_empty(&es->hot) || es->clock_us - es->sample_us < es->interval_us)
		return;
	es->sample_us = es->clock_us;
	list_for_each_entry_safe(sa, next, &es->hot, hot) {
		if (!visit(es, sa)) {
			list_del_init(&sa->hot);
			es->n_hot--;
		}
		if (++n % ES_IN_BATCH == 0)
			cond_resched();
	}
}

/* Its owner's stream has moved the edge. */
static void told(struct es_net *es, struct es_sa *sa, u64 from, u64 to)
{
	if (sa->dir == ESPSYNC_DIR_IN)
		es_pace_note(&sa->pace, from, to, es->clock_us, sa->g->interval_us);
	sa->moved_us = es->clock_us;
}

/**
 * es_in_merge() - what another node has accepted
 * @es: namespace, locked
 * @sa: inbound, with or without a state here
 * @r: the record
 * Return: false without memory: it is not stored
 */
bool es_in_merge(struct es_net *es, struct es_sa *sa, const struct es_wire_rec *r)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	u64 was, now;

	trace_espsync_merge(es, sa, ESPSYNC_DIR_IN, r->win.seq);
	if (!x) {	/* kept until it comes */
		was = kept_seq(es, sa);
		if (!es_sa_keep(es, sa, 0, &r->win, r->bytes, r->packets))
			return false;
		told(es, sa, was, max(was, r->win.seq));
		return true;
	}
	spin_lock_bh(&x->lock);
	was = es_x_seq(x);
	if (es_x_merge(x, &r->win))
		es->merges++;
	now = es_x_seq(x);
	if (x->curlft.packets == sa->seen)
		sa->seen = max_t(u64, x->curlft.packets, r->packets);
	sa->counted += es_x_merge_life(x, r->bytes, r->packets);
	spin_unlock_bh(&x->lock);
	told(es, sa, was, now);
	return true;
}

/**
 * es_in_since() - how many numbers have been accepted since some edge
 * @sa: inbound
 * @seq: that edge
 * Return: numbers; 0 of one that is not in this kernel
 */
u64 es_in_since(const struct es_sa *sa, u64 seq)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	u64 now = seq;

	if (x) {
		spin_lock_bh(&x->lock);
		now = max(seq, es_x_seq(x));
		spin_unlock_bh(&x->lock);
	}
	return now - seq;
}

static void kept(struct es_net *es, const struct es_sa *sa, struct es_wire_rec *r)
{
	spin_lock_bh(&es->sa_lock);
	if (sa->kept) {
		r->win = sa->kept->win;
		r->bytes = sa->kept->bytes;
		r->packets = sa->kept->packets;
	} else {
		r->type = ES_WIRE_END;	/* a state has come meanwhile, and will be told */
	}
	spin_unlock_bh(&es->sa_lock);
}

/**
 * es_in_fill() - what to tell a peer about an inbound SA
 * @es: namespace, locked
 * @sa: the SA, with a state or numbers that were kept
 * @r: record; handle is the caller's
 *
 * The whole window: a late packet sets a bit anywhere in it, and a datagram before this one may have been lost.
 */
void es_in_fill(struct es_net *es, struct es_sa *sa, struct es_wire_rec *r)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	r->type = ES_WIRE_IN;
	if (!x) {
		kept(es, sa, r);
		return;
	}
	spin_lock_bh(&x->lock);
	es_x_read(x, &r->win, ES_WINDOW_MAX);
	r->bytes = x->curlft.bytes;
	r->packets = x->curlft.packets;
	spin_unlock_bh(&x->lock);
	sa->sent_seq = r->win.seq;
}
