// SPDX-License-Identifier: GPL-2.0
/*
 * km.c - the module as a key manager of xfrm: which SAs there are.
 *
 * Job: hear of every SA that appears or dies in this kernel (xfrm's notifications, and a walk for what nobody tells), bind it to
 * its struct es_sa and hand it to out.c or in.c.
 * What may not enter: what is done with numbers, peers, datagrams.
 *
 * Contexts: NEWAE of the packet path and EXPIRE come with x->lock held and BH off; NEWAE with XFRM_AE_CU is userspace's and comes
 * without it, as do NEWSA, UPDSA, DELSA; FLUSHSA has no state. All run under rcu_read_lock and must not sleep.
 */
#include <linux/slab.h>

#include "events.h"
#include "group.h"
#include "in.h"
#include "km.h"
#include "out.h"
#include "place.h"
#include "sa.h"
#include "xstate.h"

#define ES_WALK_BATCH	64
#define ES_MAX_EXPECT	4096

/* Thresholds that neither we nor the defaults set belong to somebody else. */
static bool own_thresholds(const struct es_net *es, const struct xfrm_state *x)
{
	u32 age = es->saved_etime * HZ / XFRM_AE_ETH_M;

	return (x->replay_maxdiff > 1 && x->replay_maxdiff != es->saved_rseqth) ||
	       (x->replay_maxage && x->replay_maxage != age);
}

static bool expected(struct es_net *es, const struct xfrm_state *x)
{
	struct es_expect *e;

	list_for_each_entry(e, &es->expect, list)
		if (e->spi == x->id.spi && e->proto == x->id.proto)
			return true;
	return false;
}

/*
 * Whose numbers a state that appears has: another node's, unless this node is active and has been for settle time, or the state
 * was already in use here. One that is found in ERROR is what a standby's module left, whatever its number. sa_lock held.
 */
static bool is_mirror(const struct es_group *g, const struct xfrm_state *x, bool told)
{
	u8 role = READ_ONCE(g->role);

	if (role != ESPSYNC_ROLE_ACTIVE)
		return told || role == ESPSYNC_ROLE_STANDBY || !es_x_oseq(x) || !es_x_used(x) || x->km.state == XFRM_STATE_ERROR;
	return (READ_ONCE(g->owner) && es_group_settling(g)) || expected(g->es, x);
}

/*
 * x->lock of the state before this one, inside this one's. A dead one never looks for a successor, so waiting for its last sender is safe;
 * with two live ones (MIGRATE) each might wait for the other.
 */
static bool lock_old(struct xfrm_state *old)
{
	if (!es_x_dead(old))
		return spin_trylock(&old->lock);
	spin_lock_nested(&old->lock, SINGLE_DEPTH_NESTING);
	return true;
}

/*
 * @oseq: of the state before this one. A packet that this one sent before anybody could raise it may have had a number of that one, also the last: that
 * packet is not counted yet, while a state that was migrated has the count of the one before it.
 */
static void go_on(struct es_net *es, struct xfrm_state *x, u64 oseq)
{
	bool last = oseq && es_x_oseq(x) == oseq && !x->curlft.packets;

	if ((es_x_raise(x, oseq) || last) && es_x_used(x))
		es->readd++;
}

/* A state before this one, or what was kept of it: its numbers go on here. x->lock and sa_lock not held for the kept ones' memory. */
static void inherit(struct es_net *es, struct es_sa *sa, struct xfrm_state *x, struct es_old *o)
{
	struct es_kept *k;

	if (o && lock_old(o->x)) {
		u64 oseq = es_x_oseq(o->x), bytes = o->x->curlft.bytes, packets = o->x->curlft.packets;

		es_x_read(o->x, &o->win, ES_WINDOW_MAX);	/* too big for a stack */
		spin_unlock(&o->x->lock);
		es_x_merge_life(x, bytes, packets);
		if (sa->dir != ESPSYNC_DIR_IN)
			go_on(es, x, oseq);
		if (sa->dir != ESPSYNC_DIR_OUT)
			es_x_merge(x, &o->win);
	}
	spin_lock(&es->sa_lock);
	k = sa->kept;
	sa->kept = NULL;
	es_sa_revive(es, sa);
	spin_unlock(&es->sa_lock);
	if (!k)
		return;
	if (sa->dir != ESPSYNC_DIR_IN)
		go_on(es, x, k->oseq);
	if (sa->dir != ESPSYNC_DIR_OUT)
		es_x_merge(x, &k->win);
	es_x_merge_life(x, k->bytes, k->packets);
	kfree(k);
}

static void begin(struct es_net *es, struct es_sa *sa, struct xfrm_state *x, struct es_old *o, bool known, bool mirror)
{
	/* a clone of a state that we followed carries our thresholds */
	if (!known || !own_thresholds(es, x))
		assign_bit(ES_SA_INEXACT, &sa->flags, own_thresholds(es, x));
	assign_bit(ES_SA_OFFLOAD, &sa->flags, es_x_offloaded(x));
	inherit(es, sa, x, o);
	if (x->km.state == XFRM_STATE_ERROR)
		set_bit(ES_SA_STOPPED, &sa->flags);	/* a module before this one left it guarded */
	else
		clear_bit(ES_SA_STOPPED, &sa->flags);
	if (sa->dir == ESPSYNC_DIR_OUT)
		es_out_adopt(es, sa, x, known, mirror);
	else if (sa->dir == ESPSYNC_DIR_IN)
		es_in_adopt(es, sa, x);
	else
		es_out_guess(es, sa, x);
	if (sa->dir == ESPSYNC_DIR_UNKNOWN)
		es_x_cold(x);	/* the first packet tells the direction */
}

/* Nothing about it is news: a walk over all states asks for no hash of theirs. If its group is, the thread has to see to it. */
static bool followed(struct es_net *es, struct xfrm_state *x, const struct es_group *g, u8 dir)
{
	struct es_sa *sa;
	bool yes, moved;

	spin_lock_bh(&es->sa_lock);
	sa = es_sa_by_state(es, x);
	yes = sa && (sa->dir != ESPSYNC_DIR_UNKNOWN || dir == ESPSYNC_DIR_UNKNOWN);
	moved = sa && sa->g != g;
	spin_unlock_bh(&es->sa_lock);
	if (moved) {
		WRITE_ONCE(es->rescan, true);
		es_wake(es);
	}
	return yes;
}

/**
 * es_km_adopt() - follow a state
 * @es: namespace
 * @x: the state
 * @locked: x->lock is held
 * @told: xfrm says that it is new; otherwise it was found
 *
 * Context: any, under rcu_read_lock or es->lock. Adopting twice is harmless.
 */
void es_km_adopt(struct es_net *es, struct xfrm_state *x, bool locked, bool told)
{
	struct es_old *o = NULL;
	struct es_group *g;
	struct es_sa *sa;
	bool known, mirror;
	u8 dir;
	u64 fp;

	if (!READ_ONCE(es->keyed) || !es_proto_numbered(x->id.proto) || !es_x_live(x))
		return;
	g = es_place_state(es, x, &dir);
	if (followed(es, x, g, dir) || !g)
		return;
	fp = es_x_fingerprint(x);
	if (!locked)
		spin_lock_bh(&x->lock);
	spin_lock(&es->sa_lock);
	sa = es_sa_find(es, x->id.proto, x->id.spi, fp);
	known = sa;
	if (sa && sa->x == x && (sa->dir != ESPSYNC_DIR_UNKNOWN || dir == ESPSYNC_DIR_UNKNOWN))
		goto unlock;
	if (!es_x_live(x))
		goto unlock;
	if (!sa)
		sa = es_sa_new(es, x->id.proto, x->id.spi, fp);
	if (sa && sa->x && sa->x != x)
		o = kmalloc(sizeof(*o), GFP_ATOMIC);
	if (!sa || (sa->x && sa->x != x && !o)) {
		es->full = true;
		es->rescan = true;
		goto unlock;
	}
	if (o)
		o->x = sa->x;
	if (sa->x != x)		/* else only its direction is news: the group has an address now */
		xfrm_state_hold(x);
	WRITE_ONCE(sa->x, x);
	if (!known || (test_bit(ES_SA_FORETOLD, &sa->flags) && !sa->ann))
		WRITE_ONCE(sa->g, g);	/* else the thread moves it: what is known of it was said of the group that it is in */
	sa->family = x->props.family;
	sa->daddr = x->id.daddr;
	if (!known || dir != ESPSYNC_DIR_UNKNOWN)
		sa->dir = dir;
	mirror = is_mirror(READ_ONCE(sa->g), x, told);
	set_bit(ES_SA_FRESH, &sa->flags);
	set_bit(ES_SA_OURS, &sa->flags);
	es_sa_queue(es, sa);
	spin_unlock(&es->sa_lock);
	begin(es, sa, x, o, known, mirror);
	if (!locked)
		spin_unlock_bh(&x->lock);
	if (o)
		llist_add(&o->list, &es->old);
	return;
unlock:
	spin_unlock(&es->sa_lock);
	if (!locked)
		spin_unlock_bh(&x->lock);
}

/**
 * es_km_put_old() - let go of states that were replaced
 * @es: namespace, locked
 */
void es_km_put_old(struct es_net *es)
{
	struct es_old *o, *next;

	llist_for_each_entry_safe(o, next, llist_del_all(&es->old), list) {
		xfrm_state_put(o->x);
		kfree(o);
	}
}

/* A replaced SA: xfrm tells it with the temporary one; the real one has the same name. */
static void updated(struct es_net *es, struct xfrm_state *x)
{
	struct xfrm_state *real;

	if (es_x_live(x)) {
		es_km_adopt(es, x, false, true);
		return;
	}
	real = xfrm_state_lookup(es->net, x->mark.v & x->mark.m, &x->id.daddr, x->id.spi, x->id.proto, x->props.family);
	if (!real)
		return;
	es_km_adopt(es, real, false, true);
	xfrm_state_put(real);
}

/* A state that is nobody's is told once, for it is new; then its packets cost nothing. x->lock held. */
static void leave_alone(struct es_net *es, struct xfrm_state *x)
{
	u8 dir;

	if ((!es_proto_numbered(x->id.proto) || !es_place_state(es, x, &dir)) && !own_thresholds(es, x))
		es_x_hot(x);
}

/* Numbers reached a threshold, or userspace wrote them. */
static void moved(struct es_net *es, struct xfrm_state *x, u32 aevent)
{
	struct es_sa *sa;
	bool user = aevent == XFRM_AE_CU, mirror;

	spin_lock_bh(&es->sa_lock);
	sa = es_sa_by_state(es, x);
	mirror = sa && sa->dir == ESPSYNC_DIR_UNKNOWN && is_mirror(sa->g, x, false);
	if (sa && user)
		es_sa_queue(es, sa);
	spin_unlock_bh(&es->sa_lock);
	if (user)
		return;
	if (!sa) {
		es_km_adopt(es, x, true, false);	/* a packet of its own found it before the walk did */
		leave_alone(es, x);
		return;
	}
	if (sa->dir == ESPSYNC_DIR_UNKNOWN) {
		sa->dir = es_x_oseq(x) ? ESPSYNC_DIR_OUT : ESPSYNC_DIR_IN;
		if (sa->dir == ESPSYNC_DIR_OUT)
			es_out_adopt(es, sa, x, false, mirror);
		set_bit(ES_SA_FRESH, &sa->flags);	/* peers are told the direction */
		spin_lock_bh(&es->sa_lock);
		es_sa_queue(es, sa);
		spin_unlock_bh(&es->sa_lock);
	}
	if (sa->dir == ESPSYNC_DIR_OUT)
		es_out_event(es, sa, x);
	else
		es_in_event(es, sa, x);
}

/* The thread looks at the dead: it may sleep. */
static void died(struct es_net *es, struct xfrm_state *x)
{
	struct es_sa *sa;

	spin_lock_bh(&es->sa_lock);
	sa = es_sa_by_state(es, x);
	if (sa)
		es_sa_queue(es, sa);
	spin_unlock_bh(&es->sa_lock);
}

static int notify(struct xfrm_state *x, const struct km_event *c)
{
	struct es_net *es = es_net_of(x ? xs_net(x) : c->net);

	if (!es || !READ_ONCE(es->keyed))
		return 0;
	switch (c->event) {
	case XFRM_MSG_NEWSA:
		es_km_adopt(es, x, false, true);
		break;
	case XFRM_MSG_UPDSA:
		updated(es, x);
		break;
	case XFRM_MSG_NEWAE:
		moved(es, x, c->data.aevent);
		break;
	case XFRM_MSG_DELSA:
		died(es, x);
		break;
	case XFRM_MSG_EXPIRE:
		if (c->data.hard)
			died(es, x);
		break;
	case XFRM_MSG_FLUSHSA:
		es->scan_us = 0;
		es_wake(es);
		break;
	}
	return 0;
}

/* xfrm calls these two without asking whether they exist: decline. */
static int acquire(struct xfrm_state *x, struct xfrm_tmpl *t, struct xfrm_policy *xp)
{
	return -EINVAL;
}

static struct xfrm_policy *compile_policy(struct sock *sk, int opt, u8 *data, int len, int *dir)
{
	return NULL;
}

/* MIGRATE deletes and inserts states and tells nothing else. */
static int migrate(const struct xfrm_selector *sel, u8 dir, u8 type, const struct xfrm_migrate *m, int num_bundles,
		   const struct xfrm_kmaddress *k, struct net *net, const struct xfrm_encap_tmpl *encap)
{
	struct es_net *es = es_net_of(net);

	if (es && READ_ONCE(es->keyed)) {
		es->rescan = true;
		es_wake(es);
	}
	return 0;
}

static struct xfrm_mgr es_mgr = {
	.notify = notify,
	.acquire = acquire,
	.compile_policy = compile_policy,
	.migrate = migrate,
};

/**
 * es_km_register() - begin to hear of SAs
 * Context: process. Before any walk, so that nothing falls between
 */
void es_km_register(void)
{
	xfrm_register_km(&es_mgr);
}

/**
 * es_km_unregister() - hear no more
 * Context: process, sleeps until no notification runs
 */
void es_km_unregister(void)
{
	xfrm_unregister_km(&es_mgr);
	synchronize_rcu();
}

struct batch {
	struct xfrm_state *x[ES_WALK_BATCH];
	unsigned int n;
	unsigned int seen;
};

/* Under xfrm_state_lock: only take a reference, and let go of the lock now and then. */
static int collect(struct xfrm_state *x, int count, void *data)
{
	struct batch *b = data;

	if (b->seen++ == ES_WALK_BATCH)
		return -EAGAIN;		/* xfrm keeps the place */
	if (es_proto_numbered(x->id.proto) && es_x_live(x)) {
		xfrm_state_hold(x);
		b->x[b->n++] = x;
	}
	return 0;
}

/**
 * es_km_walk() - adopt what nobody told us
 * @es: namespace, locked
 * Return: 0 or -ENOMEM. Context: process
 */
int es_km_walk(struct es_net *es)
{
	struct xfrm_state_walk walk;
	struct batch *b = kmalloc(sizeof(*b), GFP_KERNEL);
	unsigned int i;
	int err;

	if (!b)
		return -ENOMEM;
	xfrm_state_walk_init(&walk, IPSEC_PROTO_ANY, NULL);
	do {
		b->n = 0;
		b->seen = 0;
		err = xfrm_state_walk(es->net, &walk, collect, b);
		for (i = 0; i < b->n; i++) {
			es_km_adopt(es, b->x[i], false, false);
			xfrm_state_put(b->x[i]);
		}
		cond_resched();
	} while (err == -EAGAIN);
	xfrm_state_walk_done(&walk, es->net);
	kfree(b);
	return 0;
}

/**
 * es_km_expect() - the SA that appears next under this name is a mirror
 * @es: namespace, locked
 * @proto: IPPROTO_ESP or IPPROTO_AH
 * @spi: big endian
 * Return: false without memory or with too many expected already. Context: process
 */
bool es_km_expect(struct es_net *es, u8 proto, __be32 spi)
{
	struct es_expect *e, *i;
	unsigned int n = 0;

	es_km_expect_purge(es, false);
	list_for_each_entry(i, &es->expect, list)
		n++;
	e = n < ES_MAX_EXPECT ? kzalloc(sizeof(*e), GFP_KERNEL) : NULL;
	if (!e)
		return false;
	e->proto = proto;
	e->spi = spi;
	e->until_us = es->clock_us + ES_TOMB_MS * 1000ull;
	spin_lock_bh(&es->sa_lock);
	list_add(&e->list, &es->expect);
	spin_unlock_bh(&es->sa_lock);
	return true;
}

/**
 * es_km_expect_purge() - forget what did not come in time
 * @es: namespace, locked
 * @all: forget everything
 */
void es_km_expect_purge(struct es_net *es, bool all)
{
	struct es_expect *e, *next;
	LIST_HEAD(old);

	spin_lock_bh(&es->sa_lock);
	list_for_each_entry_safe(e, next, &es->expect, list)
		if (all || e->until_us < es->clock_us)
			list_move(&e->list, &old);
	spin_unlock_bh(&es->sa_lock);
	list_for_each_entry_safe(e, next, &old, list)
		kfree(e);
}
