// SPDX-License-Identifier: GPL-2.0
/*
 * out.c - outbound SAs: the owner's leases and the standby's stored ceilings, on real states.
 *
 * Job: the rules of lease.c carried out with x->lock held: raise the number, arm xfrm's own threshold at the middle of the lease
 * (renew) and at ceiling - 65535 (stop), set XFRM_STATE_ERROR there and VALID again. A packet never meets code of this file unless it is the one that
 * reaches a threshold (invariant I7).
 * What may not enter: sockets, datagrams' layout, windows, roles' transitions.
 */
#include "events.h"
#include "out.h"
#include "sa.h"
#include "trace.h"
#include "xstate.h"

/* Distance at which an unbounded SA asks for attention, so that its ceiling stays near when a peer comes. */
#define ES_SOLO_STEP	(ES_LEASE_MIN / 2)

static u64 slot_of(const struct es_net *es, const struct es_sa *sa)
{
	if (sa->l.target && sa->owner)
		return es_lease_slot(sa->l.target, sa->l.lease, sa->rank);
	if (sa->l.target)
		return es_lease_own_slot(&sa->l, es->n_nodes);
	/* Never told: its creator may have used a slot. */
	return es_lease_slot(ES_LEASE_MIN, ES_LEASE_MIN, READ_ONCE(sa->g->rank));
}

static u64 above_all(const struct es_net *es, const struct es_sa *sa)
{
	if (sa->l.target)
		return es_lease_slot(sa->l.target, sa->l.lease, es->n_nodes);
	return es_lease_slot(ES_LEASE_MIN, ES_LEASE_MIN, es->n_nodes);
}

static u64 cap(const struct xfrm_state *x, u64 n)
{
	return es_x_esn(x) ? n : min_t(u64, n, ES_OSEQ_MAX32);
}

/* Not while undecided: a state found in ERROR is one that a standby's module left guarded. */
static void go(const struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	if (READ_ONCE(sa->g->role) == ESPSYNC_ROLE_UNDECIDED)
		return;
	if (!test_and_clear_bit(ES_SA_STOPPED, &sa->flags))
		return;
	es_x_go(x);
	trace_espsync_lease(es, sa, ES_TURN_GOES_ON, es_x_oseq(x));
}

static void hold(struct es_sa *sa, struct xfrm_state *x)
{
	if (es_x_stop(x))
		set_bit(ES_SA_STOPPED, &sa->flags);
}

/* Nothing stands between a standby's packets and its numbers: there is no guard, or it meets them afterwards. */
static bool unguarded(const struct es_sa *sa, const struct xfrm_state *x)
{
	const struct es_group *g = sa->g;

	return READ_ONCE(g->unguarded) || (es_x_iptfs(x) && READ_ONCE(g->role) == ESPSYNC_ROLE_STANDBY);
}

/*
 * Set the next threshold; stop the state if there is none left. x->lock held, any context.
 * Returns whether the thread should look.
 */
static bool arm(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	u64 oseq = es_x_oseq(x), limit = sa->l.limit, hard;
	bool late = oseq >= sa->mid;

	if (test_bit(ES_SA_HELD, &sa->flags) || unguarded(sa, x)) {
		hold(sa, x);
		return false;
	}
	if (test_bit(ES_SA_INEXACT, &sa->flags)) {
		go(es, sa, x);
		return late;
	}
	if (limit == ES_NO_LIMIT) {
		go(es, sa, x);
		es_x_arm(x, late ? ES_SOLO_STEP : sa->mid - oseq);
		return late;
	}
	hard = limit > ES_GSO_MAX ? limit - ES_GSO_MAX : 0;
	if (oseq >= hard && !READ_ONCE(sa->g->go_on)) {
		if (es_x_stop(x)) {
			set_bit(ES_SA_STOPPED, &sa->flags);
			es->stalls++;
			trace_espsync_lease(es, sa, ES_TURN_STOPPED, limit);
		}
		es_x_arm(x, 0);
		return true;
	}
	go(es, sa, x);
	if (oseq >= hard) {	/* overrun go-on: named by the thread */
		es_x_arm(x, ES_SOLO_STEP);
		return true;
	}
	es_x_arm(x, late ? hard - oseq : min(sa->mid, hard) - oseq);
	return late;
}

/* A standby's SA: stored ahead, with its own slot ready to be used without another word. */
static void stand_by(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	u64 slot = cap(x, slot_of(es, sa));

	es_x_raise(x, slot);
	sa->l.limit = READ_ONCE(sa->g->role) == ESPSYNC_ROLE_UNDECIDED ? ES_NO_LIMIT : cap(x, slot + ES_LEASE_MIN);
	sa->mid = slot + ES_LEASE_MIN / 2;
	arm(es, sa, x);
}

/* An SA that began on this node: a slot may be used before anybody agreed. */
static void create(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	u64 oseq = es_x_oseq(x);

	sa->l = (struct es_lease) {
		.start = oseq,
		.target = oseq < ES_LEASE_MIN ? ES_LEASE_MIN : cap(x, oseq + ES_LEASE_MIN),
		.limit = max_t(u64, ES_LEASE_MIN, oseq + 4 * ES_GSO_MAX),
		.lease = ES_LEASE_MIN,
		.before = ES_LEASE_MIN,
	};
	sa->implicit = ES_LEASE_MIN;
	sa->gen = READ_ONCE(sa->g->gen);
	sa->owner = 0;
	sa->mid = sa->l.start + ES_LEASE_MIN / 2;
	sa->renewed_at = oseq;
	sa->renewed_us = 0;
	trace_espsync_lease(es, sa, ES_TURN_CREATED, sa->l.target);
	arm(es, sa, x);
}

static u64 per_second(u64 numbers, u64 us)
{
	return us ? div64_u64(min_t(u64, numbers, 1ull << 40) * 1000000, us) : 0;
}

/*
 * How far an owner that has not been heard since @heard_us may have come, from what it last said: its lease, which is to be twice what evict_ms
 * needs, and @seen, the rate at which it used numbers. Had it used up the lease since it last renewed it, it would have renewed it again.
 */
static u64 unknown_use(const struct es_net *es, const struct es_sa *sa, u64 heard_us, u64 seen, bool esn)
{
	u32 lease = max_t(u32, sa->l.lease, ES_LEASE_MIN);
	u64 rate = max(seen, div_u64((u64)lease * 500, es->cfg.evict_ms));

	if (sa->renewed_us && heard_us > sa->renewed_us)
		rate = min(rate, per_second(lease, heard_us - sa->renewed_us));
	return es_lease_doubt(lease, rate, div_u64(es->clock_us - min(es->clock_us, heard_us), 1000), esn);
}

/*
 * A standby's SA that its owner went on with, nobody knows how far. One that was not @known may be a new one: it moves up too, but is not named.
 */
static void doubt(struct es_net *es, struct es_sa *sa, struct xfrm_state *x, bool known)
{
	u64 heard = sa->g->heard_us ?: sa->moved_us;

	if (known) {
		set_bit(ES_SA_STALE, &sa->flags);
		if (sa->g->doubt == ESPSYNC_DOUBT_HOLD)
			set_bit(ES_SA_HELD, &sa->flags);
	} else if (!heard) {
		stand_by(es, sa, x);	/* and nobody ever said that he had it */
		return;
	}
	sa->l.lease = max_t(u32, sa->l.lease, ES_LEASE_MIN);
	sa->l.before = sa->l.lease;
	sa->l.target = max3(sa->l.target, es_x_oseq(x), slot_of(es, sa)) +
		       unknown_use(es, sa, heard, sa->renewed_us ? sa->renewed_at : 0, es_x_esn(x));
	trace_espsync_lease(es, sa, ES_TURN_DOUBT, sa->l.target);
	stand_by(es, sa, x);
}

/**
 * es_out_adopt() - a state has come for an SA
 * @es: namespace
 * @sa: the SA
 * @x: its state, locked
 * @known: the SA was known: re-added, or announced by its owner
 * @mirror: its numbers are another node's
 *
 * Context: notification, or process; x->lock held. The numbers that a state before this one had were merged by the caller.
 */
void es_out_adopt(struct es_net *es, struct es_sa *sa, struct xfrm_state *x, bool known, bool mirror)
{
	bool foretold = test_and_clear_bit(ES_SA_FORETOLD, &sa->flags);
	u8 role = READ_ONCE(sa->g->role);

	trace_espsync_lease(es, sa, ES_TURN_ADOPTED, es_x_oseq(x));
	assign_bit(ES_SA_FOUND, &sa->flags, !mirror && role != ESPSYNC_ROLE_ACTIVE);
	if (mirror)
		set_bit(ES_SA_MIRROR, &sa->flags);
	if (role == ESPSYNC_ROLE_ACTIVE && known && sa->gen == READ_ONCE(sa->g->gen)) {
		arm(es, sa, x);
	} else if (mirror || (known && sa->l.target)) {
		if (READ_ONCE(sa->g->in_doubt) && !foretold)
			doubt(es, sa, x, known && sa->l.target);
		else
			stand_by(es, sa, x);
	} else {
		create(es, sa, x);
		if (role != ESPSYNC_ROLE_ACTIVE) {
			sa->l.limit = ES_NO_LIMIT;
			arm(es, sa, x);
		}
	}
}

/**
 * es_out_event() - xfrm reached a threshold that we set
 * @es: namespace
 * @sa: the SA
 * @x: its state, locked
 * Context: packet path, x->lock held, BH off
 */
void es_out_event(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	if (!arm(es, sa, x))
		return;
	spin_lock(&es->sa_lock);
	es_sa_queue(es, sa);
	spin_unlock(&es->sa_lock);
}

/* It is in, or may still believe so. */
static bool believes(const struct es_group *g, const struct es_peer *p)
{
	const struct es_peer_in *in = &p->in[g->slot];

	return in->is_in || in->enforcing || es_lasts(g->es, in->last_in_own_us);
}

/**
 * es_binds() - whether a ceiling may not be passed without a peer
 * @g: group, locked
 * @p: the peer
 * Return: it is in, may still believe so, or is never evicted
 */
bool es_binds(const struct es_group *g, const struct es_peer *p)
{
	return g->evict_never || believes(g, p);
}

/**
 * es_believes() - whether a peer may be promoted in sync in some group, which it may count an SA to that is in another one here
 * @es: namespace, locked
 * @p: the peer
 * Return: it is in somewhere, or may still believe so
 */
bool es_believes(const struct es_net *es, const struct es_peer *p)
{
	const struct es_group *g;

	es_each_group(g, es)
		if (believes(g, p))
			return true;
	return es_lasts(es, p->deleted_in_own_us);
}

/**
 * es_out_settled() - enough time has passed since the promote for every peer to have had its say
 * @g: group, locked
 * Return: evict_ms have passed, and what the owner before this one lent others
 */
bool es_out_settled(const struct es_group *g)
{
	return g->es->own_us - g->promoted_own_us > max(g->es->cfg.evict_ms, g->lent_ms) * 1000ull;
}

/* Who has not been heard since the promote may use the slots of others: its time is not over, or never is. */
static bool keeps_to_slot(const struct es_group *g)
{
	return g->evict_never || !es_out_settled(g);
}

/* It may still count the SA in another group, in which it is in: it has not said that it knows the SA as it is now. */
static bool misplaces(const struct es_net *es, const struct es_sa *sa, const struct es_peer *p)
{
	return !test_bit(sa->handle, p->named) && es_believes(es, p);
}

static unsigned int voices(struct es_net *es, struct es_sa *sa, struct es_voice *v, bool *bound, bool *unheard,
			   bool *agreed)
{
	struct es_peer *p;
	unsigned int n = 0;

	*bound = false;
	*unheard = false;
	*agreed = true;
	list_for_each_entry(p, &es->peers, list) {
		void *e = xa_load(&p->acked, sa->handle);

		v[n].heard = e || sa->implicit;
		v[n].binding = (v[n].heard ? es_binds(sa->g, p) : believes(sa->g, p)) || misplaces(es, sa, p);
		v[n].acked = e ? (u64)xa_to_value(e) : sa->implicit;
		*bound |= v[n].binding;
		*unheard |= !v[n].heard;
		if (v[n].binding && v[n].acked < sa->l.target)
			*agreed = false;
		n++;
	}
	return n;
}

/* First look at an SA after a promote: its slot, and the space above all slots. */
static void begin(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	u64 start = slot_of(es, sa);

	if (sa->l.limit == ES_NO_LIMIT)		/* was undecided: it may have been used beyond its slot */
		start = max(start, es_x_oseq(x));
	if (!test_bit(ES_SA_MIRROR, &sa->flags) && !sa->gen) {
		create(es, sa, x);	/* was used here before anybody decided */
		sa->gen = sa->g->gen;
		return;
	}
	es_x_raise(x, cap(x, start));
	/* A state that a module before this one left may stand beyond its slot. */
	sa->l.above = max3(above_all(es, sa), start, es_x_oseq(x));
	sa->l.start = start;
	sa->l.lease = max_t(u32, sa->l.lease, ES_LEASE_MIN);
	sa->l.before = sa->l.lease;
	sa->l.target = cap(x, sa->l.above + ES_LEASE_MIN);
	sa->implicit = 0;
	sa->passed = 0;
	sa->gen = sa->g->gen;
	sa->owner = 0;
	sa->renewed_us = es->clock_us;
	sa->renewed_at = es_x_oseq(x);
	clear_bit(ES_SA_MIRROR, &sa->flags);
	clear_bit(ES_SA_GRANTED, &sa->flags);
	trace_espsync_lease(es, sa, ES_TURN_BEGUN, sa->l.target);
}

/*
 * How long what is left of a lease has to last when a standby dies as it is asked for the next one: an acknowledgement takes at most dead_ms, so
 * long it is told "in" when it has died, and evict_ms later it binds no more. What is asked may wait for a round of what is hot.
 */
static u32 alone_ms(const struct es_net *es)
{
	return es->cfg.evict_ms + 2 * es->cfg.dead_ms + es->interval_us / 1000;
}

static void renew(struct es_net *es, struct es_sa *sa, struct xfrm_state *x, bool bound)
{
	u64 oseq = es_x_oseq(x);
	u32 lease = sa->l.lease;
	u64 next;

	/*
	 * It doubles at most, so that a moment's burst is not taken for a rate, and never shrinks: slots are counted in leases, and a
	 * standby may know an older one. With more than two nodes a lease that grows would let slots overlap, so there it stays as it is; and where
	 * nobody binds, for who comes back may know a ceiling of long ago.
	 */
	if (bound && sa->renewed_us && es->n_nodes <= 2)
		lease = clamp(es_lease_size(oseq - min(oseq, sa->renewed_at), es->clock_us - sa->renewed_us,
					    alone_ms(es), es_x_esn(x)), lease, 2 * lease);
	next = cap(x, es_lease_next(&sa->l, oseq, lease, bound));
	if (next == sa->l.target)
		return;
	sa->l.before = sa->l.lease;
	sa->l.lease = lease;
	sa->l.target = next;
	sa->renewed_us = es->clock_us;
	sa->renewed_at = oseq;
	es->renewals++;
	trace_espsync_lease(es, sa, ES_TURN_ASKED, next);
	es_sa_set_dirty(es, sa);
}

/* A 32-bit counter near its end, once. */
static void near_end(struct es_net *es, struct es_sa *sa, bool esn, u64 oseq)
{
	if (esn || oseq < ES_OSEQ_MAX32 - 4ull * ES_LEASE_MAX32)
		return;
	if (!test_and_set_bit(ES_SA_REKEY_TOLD, &sa->flags))
		es_event_sa(es, ESPSYNC_EVENT_REKEY_NEEDED, sa, "its 32-bit counter is near its end: rekey it, or use ESN");
}

/* Numbers that nobody agreed to, and the group's option says to go on. */
static void overrun(struct es_net *es, struct es_sa *sa, u64 oseq)
{
	if (!sa->g->go_on || sa->l.limit == ES_NO_LIMIT || oseq + ES_GSO_MAX < sa->l.limit)
		return;
	es_event_sa(es, ESPSYNC_EVENT_OVERRUN, sa, "passed its ceiling because the group says overrun go-on");
}

/* An active node's SA that somebody else may have used: above everybody's slots, and what he may have used. */
static void jump(struct es_net *es, struct es_sa *sa, struct xfrm_state *x, u64 heard_us)
{
	u64 oseq = es_x_oseq(x), seen = 0;

	if (sa->renewed_us && heard_us > sa->renewed_us)
		seen = per_second(oseq - min(oseq, sa->renewed_at), heard_us - sa->renewed_us);
	sa->l.start = es_lease_slot(max(sa->l.target, oseq), sa->l.lease, es->n_nodes) +
		      unknown_use(es, sa, heard_us, seen, es_x_esn(x));
	sa->l.above = sa->l.start;
	sa->l.target = cap(x, sa->l.start + ES_LEASE_MIN);
	es_x_raise(x, cap(x, sa->l.start));
	trace_espsync_lease(es, sa, ES_TURN_DOUBT, sa->l.target);
}

/* What peers agreed to in an epoch before this one counts for nothing, and they are told anew. */
static void forget_agreed(struct es_net *es, struct es_sa *sa)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		xa_erase(&p->acked, sa->handle);
	es_sa_set_todo(es, sa);
}

static void name_doubt(struct es_net *es, struct es_sa *sa, const char *text)
{
	if (test_bit(ES_SA_HELD, &sa->flags))
		text = "its number is in doubt: it is held until it is rekeyed, or the group says doubt jump";
	es_event_sa(es, ESPSYNC_EVENT_STALE, sa, text);
	if (!test_and_set_bit(ES_SA_REKEY_TOLD, &sa->flags))
		es_event_sa(es, ESPSYNC_EVENT_REKEY_NEEDED, sa, "its number is in doubt: rekey it");
}

/* The active node names it, whichever that is by then. */
static void name_twice(struct es_net *es, struct es_sa *sa)
{
	if (!test_bit(ES_SA_TWICE, &sa->flags) || test_and_set_bit(ES_SA_STALE, &sa->flags))
		return;
	if (sa->g->doubt == ESPSYNC_DOUBT_HOLD)
		set_bit(ES_SA_HELD, &sa->flags);
	name_doubt(es, sa, "a node was restored from a snapshot while it was active: numbers and IVs may have been sent twice");
}

/* For the gap that is in doubt. @x: of an active node's outbound SA, begun in this epoch. */
static void jump_gap(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	spin_lock_bh(&x->lock);
	if (!es_x_live(x)) {		/* its successor does */
		spin_unlock_bh(&x->lock);
		return;
	}
	if (test_and_clear_bit(ES_SA_GAP, &sa->flags)) {
		set_bit(ES_SA_STALE, &sa->flags);
		if (sa->g->doubt == ESPSYNC_DOUBT_HOLD)
			set_bit(ES_SA_HELD, &sa->flags);
		jump(es, sa, x, sa->g->gap_us);
	}
	spin_unlock_bh(&x->lock);
	es_sa_set_dirty(es, sa);
	name_doubt(es, sa, "this node stood still, and another one may have sent meanwhile: its number is in doubt");
}

/**
 * es_out_rank() - a standby's SA is ready in the slot of this node's place among the standbys, which may have risen since it was stored
 * @es: namespace, locked
 * @sa: any
 * Context: process
 */
void es_out_rank(struct es_net *es, struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (sa->g->role != ESPSYNC_ROLE_STANDBY || sa->dir == ESPSYNC_DIR_IN || !sa->owner || sa->rank >= sa->g->rank)
		return;
	sa->rank = sa->g->rank;
	if (!x)
		return;
	spin_lock_bh(&x->lock);
	if (es_x_live(x))
		stand_by(es, sa, x);
	spin_unlock_bh(&x->lock);
}

/**
 * es_out_update() - compute an SA's limit anew and renew its lease if it is due
 * @es: namespace, locked
 * @sa: outbound; nothing happens unless it has a state here and the group is active
 * Context: process
 */
void es_out_update(struct es_net *es, struct es_sa *sa)
{
	struct es_voice v[ESPSYNC_MAX_PEERS];
	struct xfrm_state *x = READ_ONCE(sa->x);
	bool bound, unheard, agreed;
	u64 oseq, limit;
	unsigned int n;

	if (!x || sa->g->role != ESPSYNC_ROLE_ACTIVE || sa->dir != ESPSYNC_DIR_OUT)
		return;
	if (sa->gen != sa->g->gen)
		forget_agreed(es, sa);
	name_twice(es, sa);
	if (test_bit(ES_SA_GAP, &sa->flags) && sa->gen == sa->g->gen)
		jump_gap(es, sa, x);
	spin_lock_bh(&x->lock);
	if (!es_x_live(x)) {
		spin_unlock_bh(&x->lock);
		return;
	}
	if (sa->gen != sa->g->gen)
		begin(es, sa, x);
	if (sa->g->doubt != ESPSYNC_DOUBT_HOLD)
		clear_bit(ES_SA_HELD, &sa->flags);	/* it has jumped: it may go on */
	n = voices(es, sa, v, &bound, &unheard, &agreed);
	oseq = es_x_oseq(x);
	limit = es_lease_limit(&sa->l, v, n, keeps_to_slot(sa->g));
	if (es_any_gap(sa->g) || es_any_left(sa->g))
		limit = min(limit, sa->l.limit);
	if (es_lease_enter(&sa->l, oseq, limit, unheard && keeps_to_slot(sa->g)) > oseq) {
		es_x_raise(x, cap(x, sa->l.above));
		sa->renewed_at += es_x_oseq(x) - oseq;	/* skipped, not used: no rate */
		oseq = es_x_oseq(x);
	} else if (oseq < sa->l.above) {
		limit = min_t(u64, limit, sa->l.start + ES_LEASE_MIN);
	}
	if (agreed && oseq + sa->l.lease / 2 >= sa->l.target)
		renew(es, sa, x, bound);
	sa->l.limit = limit == ES_NO_LIMIT ? limit : cap(x, limit);
	sa->mid = oseq < sa->l.above ? sa->l.start + ES_LEASE_MIN / 2 : sa->l.target - sa->l.lease / 2;
	arm(es, sa, x);
	if (limit != ES_NO_LIMIT && cap(x, oseq) > limit && !test_bit(ES_SA_INEXACT, &sa->flags))
		sa->g->behind = true;
	spin_unlock_bh(&x->lock);
	overrun(es, sa, oseq);
	near_end(es, sa, es_x_esn(x), oseq);
}

/* Another node was active too, and went further than this one had let it: what it sent and what was sent here may be the same. */
static void overlapped(struct es_net *es, struct es_sa *sa)
{
	if (test_and_set_bit(ES_SA_STALE, &sa->flags))
		return;
	if (sa->g->doubt == ESPSYNC_DOUBT_HOLD)
		set_bit(ES_SA_HELD, &sa->flags);
	name_doubt(es, sa, "another node was active too: both may have used the same numbers");
}

/* Told on from node to node until the SA is gone. */
static void sent_twice(struct es_net *es, struct es_sa *sa)
{
	if (!test_and_set_bit(ES_SA_TWICE, &sa->flags))
		es_sa_set_todo(es, sa);
}

/* Now, or until it heard a peer, which may have been sooner than that it was rolled back. */
static bool was_active(const struct es_group *g)
{
	return g->role == ESPSYNC_ROLE_ACTIVE || (g->demoted_own_us && g->es->own_us - g->demoted_own_us < ES_SETTLE_MS * 1000ull);
}

/**
 * es_out_rolled_back() - this machine was restored from a snapshot: what it sends now it may have sent before
 * @es: namespace, locked
 * @sa: the SA
 *
 * Until the kernel is told some packets leave. The state's IV salt came back with its number, so their IVs are those of before, too.
 */
void es_out_rolled_back(struct es_net *es, struct es_sa *sa)
{
	clear_bit(ES_SA_FOUND, &sa->flags);
	if (sa->x && sa->dir == ESPSYNC_DIR_OUT && was_active(sa->g))
		sent_twice(es, sa);
}

/**
 * es_out_store() - a ceiling from another node
 * @es: namespace, locked
 * @sa: outbound, with or without a state here
 * @r: the record
 * @from: node that said it
 * @grant: it is the owner's promise; otherwise what some node knows to have been granted or sent
 *
 * A standby stores it at once in the state's own counter, so that taking over needs no arithmetic. An owner that hears of a
 * grant in its name that it does not know moves up to it. What another one promises that is active too counts for nothing, or both would drive each
 * other up for as long as nobody yields; it tells how far it came once it has become silent.
 */
void es_out_store(struct es_net *es, struct es_sa *sa, const struct es_wire_rec *r, u8 from, bool grant)
{
	bool active = sa->g->role == ESPSYNC_ROLE_ACTIVE && sa->gen == sa->g->gen;
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (r->flags & ES_OUT_TWICE)
		sent_twice(es, sa);
	if (r->ceiling > ES_CEILING_MAX || (active && r->flags & ES_OUT_GRANT))
		return;
	trace_espsync_merge(es, sa, ESPSYNC_DIR_OUT, r->ceiling);
	if (x)
		spin_lock_bh(&x->lock);
	if (active && x && r->ceiling > sa->l.target) {
		es_x_raise(x, cap(x, r->ceiling));
		sa->l.target = cap(x, r->ceiling);
		es_sa_set_dirty(es, sa);
		es->merges++;
	} else if (!active && r->ceiling >= sa->l.target) {
		if (r->ceiling > sa->l.target) {
			sa->renewed_at = sa->renewed_us ? per_second(r->ceiling - sa->l.target, es->clock_us - sa->renewed_us) : 0;
			sa->renewed_us = es->clock_us;
		}
		if (grant || !sa->l.target)	/* the slot of an owner before is for one that has been the owner */
			sa->owner = from;
		sa->l.target = r->ceiling;
		sa->l.lease = clamp_t(u32, r->lease, ES_LEASE_MIN, ES_LEASE_MAX64);
		sa->l.before = sa->l.lease;
		sa->rank = sa->g->rank;
		set_bit(ES_SA_MIRROR, &sa->flags);
		clear_bit(ES_SA_GAP, &sa->flags);	/* its owner knows */
		es->merges++;
		trace_espsync_lease(es, sa, ES_TURN_STORED, r->ceiling);
	}
	if (!active && grant) {
		set_bit(ES_SA_GRANTED, &sa->flags);
		clear_bit(ES_SA_STALE, &sa->flags);
		clear_bit(ES_SA_HELD, &sa->flags);
	}
	if (x) {
		sa->counted += es_x_merge_life(x, r->bytes, r->packets);
		if (!active && es_x_live(x) && sa->g->role == ESPSYNC_ROLE_STANDBY)
			stand_by(es, sa, x);
		else if (!active && es_x_raise(x, cap(x, r->ceiling)))
			arm(es, sa, x);
		spin_unlock_bh(&x->lock);
	}
	sa->moved_us = es->clock_us;
	if (active && r->flags & ES_OUT_PASSED && r->ceiling > sa->l.start)
		overlapped(es, sa);
	if (active)
		es_out_update(es, sa);
}

/**
 * es_out_sent() - so many numbers are known to have been sent
 * @es: namespace, locked
 * @sa: the SA
 * @oseq: the last of them
 */
void es_out_sent(struct es_net *es, struct es_sa *sa, u64 oseq)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (!x || oseq > ES_CEILING_MAX)
		return;
	spin_lock_bh(&x->lock);
	if (es_x_live(x) && es_x_raise(x, cap(x, oseq)) && sa->dir == ESPSYNC_DIR_OUT)
		arm(es, sa, x);
	spin_unlock_bh(&x->lock);
	es_out_update(es, sa);
}

/**
 * es_out_guess() - a state whose direction is unknown: what is known of its numbers holds
 * @es: namespace
 * @sa: the SA
 * @x: its state, locked
 * Context: as es_out_adopt()
 */
void es_out_guess(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	if (sa->l.target)
		es_x_raise(x, cap(x, slot_of(es, sa)));
}

/**
 * es_out_acked() - a peer has stored a ceiling of ours
 * @es: namespace, locked
 * @p: the peer
 * @sa: the SA
 * @ceiling: what it was told
 */
void es_out_acked(struct es_net *es, struct es_peer *p, struct es_sa *sa, u64 ceiling)
{
	void *e = xa_load(&p->acked, sa->handle);

	if (e && (u64)xa_to_value(e) >= ceiling)
		return;
	if (xa_err(xa_store(&p->acked, sa->handle, xa_mk_value(ceiling), GFP_KERNEL))) {
		__set_bit(sa->handle, p->dirty);	/* counts as not acknowledged: told again, for no other ceiling is asked for before this one is */
		return;
	}
	trace_espsync_lease(es, sa, ES_TURN_AGREED, ceiling);
	es_out_update(es, sa);
}

/* The peers that did not let this node come so far, behind the slot that is its own. */
static u16 not_agreed(struct es_net *es, struct es_sa *sa, u64 oseq)
{
	u64 own = max(sa->implicit, sa->l.start + ES_LEASE_MIN);
	struct es_peer *p;
	u16 bits = 0;

	list_for_each_entry(p, &es->peers, list) {
		void *e = xa_load(&p->acked, sa->handle);

		if (oseq > max_t(u64, own, e ? xa_to_value(e) : 0))
			bits |= BIT(p->index);
	}
	return bits;
}

/**
 * es_out_demoted() - this node is no longer the owner
 * @es: namespace, locked
 * @sa: outbound
 *
 * What it was granted stays: it moves to the last slot, which no other standby uses.
 */
void es_out_demoted(struct es_net *es, struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (!x || sa->dir != ESPSYNC_DIR_OUT)
		return;
	spin_lock_bh(&x->lock);
	if (es_x_live(x)) {
		if (!test_bit(ES_SA_MIRROR, &sa->flags) || sa->gen == sa->g->gen) {
			sa->l.target = max(sa->l.target, es_x_oseq(x));
			sa->passed_oseq = es_x_oseq(x);
			sa->passed = sa->gen ? not_agreed(es, sa, sa->passed_oseq) : 0;	/* only what it sent as owner */
		}
		set_bit(ES_SA_MIRROR, &sa->flags);
		clear_bit(ES_SA_FOUND, &sa->flags);	/* from now on others may send */
		sa->renewed_at = 0;
		trace_espsync_lease(es, sa, ES_TURN_DEMOTED, sa->l.target);
		stand_by(es, sa, x);
	}
	spin_unlock_bh(&x->lock);
	es_sa_set_todo(es, sa);
}

/**
 * es_out_passed_heard() - a peer knows how far this node came beyond what that peer had agreed to
 * @es: namespace, locked
 * @p: the peer
 * @sa: the SA
 * @ceiling: what it was told
 *
 * It is told once. What others were granted since follows as what it is, or it would be taken for numbers that this node sent.
 */
void es_out_passed_heard(struct es_net *es, struct es_peer *p, struct es_sa *sa, u64 ceiling)
{
	if (!(sa->passed & BIT(p->index)) || ceiling != sa->passed_oseq)
		return;
	sa->passed &= ~BIT(p->index);
	__set_bit(sa->handle, p->dirty);
	__set_bit(sa->handle, p->todo);
}

/**
 * es_out_forgotten() - a state is gone and its numbers could not be kept
 * @sa: without a state
 * @oseq: the last number that it used
 * Context: es->sa_lock held
 */
void es_out_forgotten(struct es_sa *sa, u64 oseq)
{
	if (sa->dir != ESPSYNC_DIR_OUT)
		return;
	sa->l.target = max(sa->l.target, oseq);
	sa->gen = 0;
	set_bit(ES_SA_MIRROR, &sa->flags);	/* the next one begins in a slot above it */
}

/**
 * es_out_doubt() - this node is to send without being in sync: what was used is unknown
 * @es: namespace, locked, about to be active
 * @sa: outbound
 * @spare: only this kernel can have sent since it was last active: what a module before this one left in use is not in doubt
 * @why: for the event
 * Return: whether it is in doubt (an SA that only this node ever used is not)
 *
 * doubt = jump moves its number up once, hold stops it too; both name it for a rekey.
 */
bool es_out_doubt(struct es_net *es, struct es_sa *sa, bool spare, const char *why)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (!x || sa->dir != ESPSYNC_DIR_OUT || !test_bit(ES_SA_MIRROR, &sa->flags) ||
	    (spare && test_bit(ES_SA_FOUND, &sa->flags)))
		return false;
	spin_lock_bh(&x->lock);
	if (es_x_live(x))
		doubt(es, sa, x, true);
	spin_unlock_bh(&x->lock);
	name_doubt(es, sa, why);
	return true;
}

/**
 * es_out_named() - an SA that has come is in doubt
 * @es: namespace, locked
 * @sa: the SA
 */
void es_out_named(struct es_net *es, struct es_sa *sa)
{
	if (sa->g->role == ESPSYNC_ROLE_ACTIVE && test_bit(ES_SA_STALE, &sa->flags))
		name_doubt(es, sa, "it came after this node was promoted while out of sync: its number is in doubt");
}

/**
 * es_out_gap_begins() - this active node stood still, and nobody has answered since: somebody else may have sent meanwhile
 * @g: group, locked. Each of its SAs moves up once, before it sends what it could not before
 */
void es_out_gap_begins(struct es_group *g)
{
	struct es_sa *sa;
	unsigned long i;

	g->gap_doubt = true;
	xa_for_each(&g->es->sas, i, sa)
		if (sa->g == g)
			set_bit(ES_SA_GAP, &sa->flags);
}

/* Some peer that may have been promoted in sync meanwhile does not know it by its name as it is now. */
static bool unnamed(const struct es_net *es, const struct es_sa *sa)
{
	const struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (p->believed && !test_bit(sa->handle, p->named))
			return true;
	return false;
}

/**
 * es_out_gap_taken() - somebody was promoted, in whatever group
 * @es: namespace, locked
 *
 * If this was while this node stood still, he may have sent what he counted to that group then, and this node does to another one, in which his word ends
 * the gap.
 */
void es_out_gap_taken(struct es_net *es)
{
	struct es_sa *sa;
	unsigned long i;

	if (!es_stood_still(es))
		return;
	xa_for_each(&es->sas, i, sa) {
		if (!es_any_gap(sa->g) || !unnamed(es, sa))
			continue;
		set_bit(ES_SA_GAP, &sa->flags);
		sa->g->gap_doubt = true;
		es->walk = 1;
	}
}

/**
 * es_out_leaves_gap() - an SA is to leave its group, which does not know yet what was sent while this node stood still
 * @es: namespace, locked
 * @sa: the SA, still in that group. It moves up first
 */
void es_out_leaves_gap(struct es_net *es, struct es_sa *sa)
{
	set_bit(ES_SA_GAP, &sa->flags);
	es_out_update(es, sa);
}

/**
 * es_out_silence() - stop an SA because the guard could not be had
 * @sa: the SA
 */
void es_out_silence(struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (!x || sa->dir != ESPSYNC_DIR_OUT)
		return;
	spin_lock_bh(&x->lock);
	hold(sa, x);
	spin_unlock_bh(&x->lock);
}

/**
 * es_out_release() - espsync lets go of an SA
 * @es: namespace, locked
 * @sa: outbound
 * @open: it may send, whatever the role
 *
 * A standby's SA stays in XFRM_STATE_ERROR: a guard that needs no code. So does one that is held, for a rekey. An undecided node's stays as it is.
 */
void es_out_release(struct es_net *es, struct es_sa *sa, bool open)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	bool held;

	if (!x)
		return;
	spin_lock_bh(&x->lock);
	if (!test_bit(ES_SA_INEXACT, &sa->flags)) {
		es_x_arm(x, es->saved_rseqth);
		x->replay_maxage = es->saved_etime * HZ / XFRM_AE_ETH_M;
	}
	held = test_bit(ES_SA_HELD, &sa->flags);
	if (open || (sa->g->role == ESPSYNC_ROLE_ACTIVE && !held))
		es_x_go(x);
	else if (held || (sa->g->role == ESPSYNC_ROLE_STANDBY && sa->dir == ESPSYNC_DIR_OUT))
		es_x_stop(x);
	spin_unlock_bh(&x->lock);
}

/**
 * es_out_lifetime() - peers are told how much of a limited lifetime an owner's SA has used
 * @es: namespace, locked
 * @sa: any
 * Context: the thread, once a second: with its ceilings alone it would be told twice a lease
 */
void es_out_lifetime(struct es_net *es, struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	u32 packets = x ? es_x_packets(x) : 0;
	bool limited;

	if (!x || sa->dir != ESPSYNC_DIR_OUT || sa->g->role != ESPSYNC_ROLE_ACTIVE || packets == sa->used)
		return;
	sa->used = packets;
	spin_lock_bh(&x->lock);
	limited = es_x_limited(x);
	spin_unlock_bh(&x->lock);
	if (limited)
		es_sa_set_dirty(es, sa);
}

/**
 * es_out_fill() - what to tell a peer about an outbound SA
 * @es: namespace, locked
 * @p: the peer
 * @sa: the SA
 * @r: record; handle is the caller's
 */
void es_out_fill(struct es_net *es, const struct es_peer *p, struct es_sa *sa, struct es_wire_rec *r)
{
	struct xfrm_state *x = READ_ONCE(sa->x);

	if (sa->g->role == ESPSYNC_ROLE_ACTIVE && sa->gen != sa->g->gen)
		es_out_update(es, sa);
	r->type = ES_WIRE_OUT;
	r->flags = sa->g->role == ESPSYNC_ROLE_ACTIVE && x ? ES_OUT_GRANT : 0;
	if (test_bit(ES_SA_TWICE, &sa->flags))
		r->flags |= ES_OUT_TWICE;
	r->ceiling = sa->l.target;
	if (sa->g->role != ESPSYNC_ROLE_ACTIVE && sa->passed & BIT(p->index)) {
		r->flags |= ES_OUT_PASSED;
		r->ceiling = sa->passed_oseq;
	}
	r->lease = sa->l.lease;
	r->bytes = 0;
	r->packets = 0;
	if (x) {
		spin_lock_bh(&x->lock);
		r->bytes = x->curlft.bytes;
		r->packets = x->curlft.packets;
		if (sa->g->role == ESPSYNC_ROLE_UNDECIDED && !test_bit(ES_SA_MIRROR, &sa->flags))
			r->ceiling = max(r->ceiling, es_x_oseq(x));
		spin_unlock_bh(&x->lock);
	}
}
