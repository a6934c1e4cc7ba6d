// SPDX-License-Identifier: GPL-2.0
/*
 * channel.c - the channel of a namespace: its thread, its clocks, its beginning and end.
 *
 * Job: one thread per channel that receives, follows SAs, keeps time and sends, in that order, again and again.
 * What may not enter: how any of it is done.
 *
 * The end comes in phases: no new notification (keyed), none running (synchronize_rcu), the peers are told, the thread stops, SAs are released, then memory.
 */
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "aevent.h"
#include "channel.h"
#include "events.h"
#include "group.h"
#include "handover.h"
#include "in.h"
#include "km.h"
#include "out.h"
#include "place.h"
#include "ready.h"
#include "role.h"
#include "sa.h"
#include "trace.h"
#include "xstate.h"

#define ES_RX_MANY	256	/* datagrams left after a round: a flood */
#define ES_IDLE_US	10000	/* longest sleep */
#define ES_OWN_STEP_US	50000	/* a tick counts for at most so much own time */
#define ES_WALK_STEP	4096	/* SAs of a walk in one go */
#define ES_FOLLOW_STEP	1024
#define ES_SCAN_US	1000000
#define ES_RESCAN_US	60000000
#define ES_HELLO_US	100000
#define ES_WISH_US	1000000	/* a HELLO under a key that the peer may not have */
#define ES_USE_MS	1000

/**
 * es_clock_us() - the clock that ran furthest
 * Return: microseconds; never goes back, does not follow the wall clock
 */
u64 es_clock_us(void)
{
	return div_u64(max_t(u64, ktime_get_boottime_ns(), ktime_get_raw_ns()), 1000);
}

/* A gap between two ticks: somebody may have been promoted meanwhile. */
static void gap(struct es_group *g, u64 passed)
{
	struct es_net *es = g->es;
	struct es_peer *p;
	bool bound = false;

	es_group_unsaid(g);
	if (g->role != ESPSYNC_ROLE_ACTIVE)
		return;
	list_for_each_entry(p, &es->peers, list)
		bound |= es_binds(g, p) || p->believed;
	if (!es_role_gap(bound, es_out_settled(g), es->cfg.node, g->before, es->n_nodes))
		return;
	g->gap_own_us = es->own_us;
	if (!es_any_gap(g) && !g->gap_doubt)
		g->gap_us = es->clock_us - passed;	/* the first of several */
	list_for_each_entry(p, &es->peers, list) {
		struct es_peer_in *in = &p->in[g->slot];

		if (in->after_gap)
			continue;
		in->after_gap = true;
		in->gap_boot = p->boot;
	}
}

/* Somebody may count an SA to another group than this node does: who may have been promoted in one of them is to be heard in all. */
static void gaps(struct es_net *es, u64 passed)
{
	bool again = es_stood_still(es);
	struct es_group *g;
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		p->believed = es_believes(es, p) || (again && p->believed);
	es_each_group(g, es)
		gap(g, passed);
}

static void tick(struct es_net *es)
{
	u64 now = es_clock_us(), passed;

	now = max(now, es->clock_us);
	passed = es->tick_at_us ? now - es->tick_at_us : 0;
	es->clock_us = now;
	es->tick_at_us = now;
	WRITE_ONCE(es->own_us, es->own_us + min_t(u64, passed, ES_OWN_STEP_US));
	if (passed <= es->cfg.detect_ms * 1000ull)
		return;
	es->echo_floor_us = now;
	gaps(es, passed);
}

static void lost(struct es_net *es, struct es_sa *sa, struct xfrm_state *x)
{
	u64 oseq, bytes, packets;
	bool gone, kept;

	spin_lock_bh(&x->lock);
	oseq = es_x_oseq(x);
	es_x_read(x, &es->win, ES_WINDOW_MAX);
	bytes = x->curlft.bytes;
	packets = x->curlft.packets;
	spin_unlock_bh(&x->lock);
	kept = es_sa_keep(es, sa, oseq, &es->win, bytes, packets);
	spin_lock_bh(&es->sa_lock);
	gone = sa->x == x;	/* or a successor has come meanwhile */
	if (gone) {
		WRITE_ONCE(sa->x, NULL);
		es_sa_entomb(es, sa, false);
		if (!kept)
			es_out_forgotten(sa, oseq);
	}
	spin_unlock_bh(&es->sa_lock);
	if (!gone)
		return;
	trace_espsync_lease(es, sa, ES_TURN_LOST, oseq);
	xfrm_state_put(x);
	es_sa_set_todo(es, sa);
	es_event_sa(es, ESPSYNC_EVENT_SA, sa, "gone");
}

static void fresh(struct es_net *es, struct es_sa *sa)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		__clear_bit(sa->handle, p->named);	/* named again: it is held now */
	es_sa_set_todo(es, sa);
	sa->moved_us = es->clock_us;
	if (sa->x)
		sa->counted = es_x_packets(sa->x);
	es_event_sa(es, ESPSYNC_EVENT_SA, sa, "adopted");
	es_rx_mismatch(es, sa);
	if (test_bit(ES_SA_INEXACT, &sa->flags))
		es_event_sa(es, ESPSYNC_EVENT_UNPROTECTED, sa, "has aevent thresholds of its own; remove them (XFRMA_REPLAY_THRESH)");
	es_out_named(es, sa);
	es_in_listen(sa);
	if (test_bit(ES_SA_OFFLOAD, &sa->flags))
		es_event_sa(es, ESPSYNC_EVENT_UNPROTECTED, sa, "is offloaded as whole packets; its numbers are in the NIC");
	if (sa->x && sa->dir == ESPSYNC_DIR_IN && !es_x_window_size(sa->x))
		es_event_sa(es, ESPSYNC_EVENT_UNPROTECTED, sa, "has no anti-replay window: give it one (replay_window)");
}

/*
 * The group does not cover it any more: peers are told, and it goes on by itself. Not a standby's, whose owner may still send; nor, while this node is
 * undecided, what a standby's module before this one left.
 */
static void dismiss(struct es_net *es, struct es_sa *sa)
{
	struct xfrm_state *x;

	es_out_release(es, sa, sa->g->role == ESPSYNC_ROLE_ACTIVE);
	spin_lock_bh(&es->sa_lock);
	x = sa->x;
	WRITE_ONCE(sa->x, NULL);
	es_sa_entomb(es, sa, false);
	spin_unlock_bh(&es->sa_lock);
	es_sa_set_todo(es, sa);
	if (x)
		xfrm_state_put(x);
}

/*
 * Userspace can change what a group asks of an SA, or delete one and add it again as another group's. That group knows nothing of what is in doubt in the
 * old one. One of another role follows it as an SA that has come anew; and what was said of it to a standby does not cover what this node is active in.
 */
static void replace(struct es_net *es, struct es_sa *sa, struct es_group *g)
{
	if (g == sa->g)
		return;
	if (es_any_gap(sa->g) || sa->g->gap_doubt)
		es_out_leaves_gap(es, sa);
	if (g && g->role == sa->g->role) {
		es_place_sa(es, sa, g);
		return;
	}
	if (g && g->role == ESPSYNC_ROLE_ACTIVE && sa->g->role == ESPSYNC_ROLE_STANDBY)
		es_out_doubt(es, sa, false, "it comes from a group that this node is standby in: its number is in doubt");
	dismiss(es, sa);
	if (g) {
		es_place_sa(es, sa, g);
		es->rescan = true;
	}
}

static void follow(struct es_net *es)
{
	struct xfrm_state *x;
	struct es_sa *sa;
	unsigned int n;
	u8 dir;

	for (n = 0; n < ES_FOLLOW_STEP && (sa = es_sa_next_queued(es)); n++) {
		x = READ_ONCE(sa->x);
		if (!x)
			continue;
		if (es_x_dead(x)) {
			lost(es, sa, x);
			continue;
		}
		if (test_and_clear_bit(ES_SA_FRESH, &sa->flags)) {
			replace(es, sa, es_place_state(es, x, &dir));
			if (READ_ONCE(sa->x) != x)
				continue;	/* it will come anew, or has */
			fresh(es, sa);
		}
		if (sa->dir == ESPSYNC_DIR_OUT)
			es_out_update(es, sa);
		else if (sa->dir == ESPSYNC_DIR_IN)
			es_in_woken(es, sa);
		cond_resched();
	}
	if (n == ES_FOLLOW_STEP)
		WRITE_ONCE(es->kick, true);
}

/* Nobody needs a tombstone any more whose time is over. */
static bool buried(struct es_net *es, struct es_sa *sa)
{
	u32 age_ms = (u32)div_u64(es->clock_us, 1000) - sa->died_ms;
	struct es_peer *p;

	if (!test_bit(ES_SA_DEAD, &sa->flags))
		return false;
	if (test_bit(ES_SA_ORPHAN, &sa->flags) && (es->full || age_ms >= ES_ORPHAN_MS)) {
		clear_bit(ES_SA_ORPHAN, &sa->flags);
		es_sa_set_dirty(es, sa);	/* peers are told that it is gone */
	}
	if (test_bit(ES_SA_ORPHAN, &sa->flags) || age_ms < ES_TOMB_MS)
		return false;
	list_for_each_entry(p, &es->peers, list)
		if (test_bit(sa->handle, p->named) && es_peer_heard(p))
			return false;
	return true;
}

static void bury(struct es_net *es, struct es_sa *sa)
{
	bool dead;

	/* Unhashed first, so that no notification revives it meanwhile. */
	spin_lock_bh(&es->sa_lock);
	dead = !sa->x && test_bit(ES_SA_DEAD, &sa->flags);
	if (dead) {
		hlist_del_init(&sa->node);
		es->n_tombs--;
	}
	spin_unlock_bh(&es->sa_lock);
	if (dead)
		es_sa_free(es, sa);
}

/* What peers have and this kernel lacks. */
static void short_of(struct es_net *es, struct es_sa *sa)
{
	bool clash = test_bit(ES_SA_MISMATCH, &sa->flags) && es_sa_clashes(es, sa);
	struct es_peer *p;

	es->n_waiting += !sa->x;
	list_for_each_entry(p, &es->peers, list) {
		struct es_peer_in *in = &p->in[sa->g->slot];

		if (!(sa->ann & BIT(p->index)))
			continue;
		in->n_waiting += !sa->x;
		in->n_mismatched += clash;
		in->n_astray += !!(sa->astray & BIT(p->index));
	}
}

/* Numbers of an SA that nobody has any more, as when a peer was deleted, and mismatches that are over. */
static void tidy(struct es_net *es, struct es_sa *sa)
{
	if (test_bit(ES_SA_MISMATCH, &sa->flags) && !es_sa_clashes(es, sa))
		clear_bit(ES_SA_MISMATCH, &sa->flags);
	if (sa->x || sa->ann || test_bit(ES_SA_DEAD, &sa->flags))
		return;
	spin_lock_bh(&es->sa_lock);
	es_sa_entomb(es, sa, true);
	spin_unlock_bh(&es->sa_lock);
	es_sa_set_dirty(es, sa);
}

/* Packets that this node has carried for an SA since the last look. */
static void meter(struct es_sa *sa, const struct xfrm_state *x)
{
	u32 now = es_x_packets(x), more = now - sa->counted;

	if ((s32)more > 0)
		sa->g->packets += more;
	sa->counted = now;
}

static void metered(struct es_net *es)
{
	u64 us = es->clock_us - es->meter_us;
	struct es_group *g;

	es_each_group(g, es) {
		g->pps = min_t(u64, div64_u64(g->packets * 1000000, us), U32_MAX);
		g->packets = 0;
	}
	es->meter_us = es->clock_us;
}

static void count_anew(struct es_peer *p)
{
	struct es_peer_in *in;

	for (in = p->in; in < p->in + ES_MAX_GROUPS; in++) {
		in->n_waiting = 0;
		in->n_mismatched = 0;
		in->n_astray = 0;
	}
}

/* All SAs, once a second: deaths that nobody told, tombstones, what announced SAs lack, lifetimes, packets, and whether a failover would lose nothing. */
static void scan(struct es_net *es)
{
	bool due = es->clock_us - es->meter_us >= ES_SCAN_US;
	struct es_tally t[ES_MAX_GROUPS] = {};
	struct xfrm_state *x;
	struct es_peer *p;
	struct es_sa *sa;
	unsigned long i;

	if (es->clock_us - es->scan_us < ES_SCAN_US)
		return;
	es->scan_us = es->clock_us;
	es->full = es->n_sas >= ES_MAX_SAS - 1;
	es->n_waiting = 0;
	list_for_each_entry(p, &es->peers, list)
		count_anew(p);
	xa_for_each(&es->sas, i, sa) {
		x = READ_ONCE(sa->x);
		if (x && es_x_dead(x)) {
			lost(es, sa, x);
			es->rescan = true;	/* it may have a successor */
		} else if (buried(es, sa)) {
			bury(es, sa);
			continue;
		} else if (x && due) {
			meter(sa, x);
		}
		tidy(es, sa);
		es_out_lifetime(es, sa);
		if (sa->ann)
			short_of(es, sa);
		es_ready_tally(es, sa, t);
	}
	if (due)
		metered(es);
	es_ready_watch(es, t);
}

/* First looks after a promote, and limits. An inbound SA's whole window is told once, too. */
static void look(struct es_net *es, struct es_sa *sa)
{
	struct es_group *g = sa->g;

	if (g->role == ESPSYNC_ROLE_ACTIVE && sa->dir == ESPSYNC_DIR_IN && sa->gen != g->gen) {
		sa->gen = g->gen;
		es_sa_set_todo(es, sa);
	}
	es_in_listen(sa);
	es_out_rank(es, sa);
	es_out_update(es, sa);
}

static void walk(struct es_net *es)
{
	struct es_group *g;
	struct es_sa *sa;
	unsigned long i;
	unsigned int n = 0;

	es_each_group(g, es) {
		if (g->role == ESPSYNC_ROLE_ACTIVE && !g->settled && es_out_settled(g)) {
			g->settled = true;	/* who did not answer has had its time: SAs leave their slots */
			es->walk = 1;
		}
	}
	es_each_group(g, es)
		if (g->left_own_us && !es_any_left(g)) {
			g->left_own_us = 0;
			es->walk = 1;
		}
	if (!es->walk)
		return;
	es_each_group(g, es)
		g->behind &= es->walk != 1;
	xa_for_each_start(&es->sas, i, sa, es->walk) {
		if (n++ == ES_WALK_STEP) {
			es->walk = i;
			WRITE_ONCE(es->kick, true);
			return;
		}
		look(es, sa);
	}
	es->walk = 0;
	es_each_group(g, es)
		g->gap_doubt = false;
}

static void release(struct es_net *es, struct es_sa *sa, bool open)
{
	struct xfrm_state *x;

	es_out_release(es, sa, open);
	spin_lock_bh(&es->sa_lock);
	x = sa->x;
	WRITE_ONCE(sa->x, NULL);
	hlist_del_init(&sa->node);
	spin_unlock_bh(&es->sa_lock);
	es_sa_free(es, sa);
	if (x)
		xfrm_state_put(x);
}

static void rescan(struct es_net *es)
{
	struct es_sa *sa;
	unsigned long i;
	u8 dir;

	if (!es->keyed || (!es->rescan && es->clock_us - es->rescan_us < ES_RESCAN_US))
		return;
	es->rescan = false;
	es->rescan_us = es->clock_us;
	if (es_km_walk(es))
		es->rescan = true;
	xa_for_each(&es->sas, i, sa)
		if (sa->x)
			replace(es, sa, es_place_state(es, sa->x, &dir));
}

/* A snapshot was restored: everything that this node knows may be old. */
static void rolled_back(struct es_net *es)
{
	struct es_group *g;
	struct es_peer *p;
	struct es_sa *sa;
	unsigned long i;

	if (!READ_ONCE(es->vmfork))
		return;
	WRITE_ONCE(es->vmfork, false);
	list_for_each_entry(p, &es->peers, list) {
		es_session_wipe(&p->session);
		es_session_init(&p->session, es->cfg.node, p->node, get_random_u64());
		es_tx_reset(p);
		es_peer_resync(p);
	}
	es->echo_floor_us = es->clock_us;
	xa_for_each(&es->sas, i, sa)
		es_out_rolled_back(es, sa);
	es_each_group(g, es) {
		g->own_epoch = ES_EPOCH_NONE;
		if (g->role == ESPSYNC_ROLE_ACTIVE)
			es_group_stand_down(g, "this machine was restored from a snapshot: promote it again if it is to be active");
		es_group_unsaid(g);
		g->epoch_node = 0;
	}
}

static void rose(struct es_net *es, struct es_rise *r, u64 n, enum espsync_event type, const char *text)
{
	if (n == r->told || es->clock_us - r->at_us < 1000000)
		return;
	r->told = n;
	r->at_us = es->clock_us;
	es_event_text(es, type, 0, text);
}

static void risen(struct es_net *es)
{
	rose(es, &es->refused_rise, atomic64_read(&es->refused), ESPSYNC_EVENT_REFUSED, "the guard dropped packets that this standby would have sent");
	rose(es, &es->stalls_rise, READ_ONCE(es->stalls), ESPSYNC_EVENT_STALLED,
	     "SAs were stopped at their ceilings: no peer agreed to more numbers in time");
}

static bool hello_due(const struct es_net *es, const struct es_peer *p)
{
	u64 since_us = es->clock_us - p->hello_us;

	if (es_session_wants_hello(&p->session) || !es_peer_heard(p))
		return since_us >= ES_HELLO_US;
	return es_session_wants_key(&p->session) && since_us >= ES_WISH_US;
}

static void serve(struct es_net *es, struct es_peer *p)
{
	u64 quiet_us = max_t(u64, es->cfg.dead_ms * 1000ull / 15, es->cfg.tick_us);

	es_peer_tick(es, p);
	if (hello_due(es, p))
		es_tx_hello(es, p);
	es_tx_data(es, p);
	es_tx_speak(es, p, es_link_quiet(p, quiet_us), 0);
}

static bool busy(struct es_net *es)
{
	struct es_peer *p;

	if (es->n_hot || es->walk)
		return true;
	list_for_each_entry(p, &es->peers, list)
		if (p->n_inflight || es_session_wants_hello(&p->session))
			return true;
	return false;
}

/* How long the thread may sleep if nothing wakes it. */
static u64 rest_us(struct es_net *es)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (p->paced)
			return es->cfg.tick_us;
	return busy(es) ? max(es->cfg.tick_us, min_t(u32, es->interval_us, ES_IDLE_US)) : ES_IDLE_US;
}

static void round_of(struct es_net *es)
{
	struct es_peer *p;

	tick(es);
	rolled_back(es);
	es_rx(es);
	rescan(es);
	follow(es);
	es_in_sample(es);
	scan(es);
	walk(es);
	es_handover(es);
	list_for_each_entry(p, &es->peers, list)
		serve(es, p);
	risen(es);
	es_event_counters(es);
}

static unsigned int queued(const struct es_net *es)
{
	unsigned int n = 0, i;

	for (i = 0; i < ES_LINKS; i++)
		n += es->sock[i] ? es_sock_queued(es->sock[i]) : 0;
	return n;
}

/* Not watched for data races: the macro reads whether its timer has ended while that ends. */
static __no_kcsan void wait_for_work(struct es_net *es, u64 us)
{
	wait_event_interruptible_hrtimeout(es->wait,
					   READ_ONCE(es->kick) || queued(es) || kthread_should_stop(),
					   ns_to_ktime(us * 1000));
}

static int channel_thread(void *data)
{
	struct es_net *es = data;
	u64 sleep_us = ES_IDLE_US;
	bool flooded;

	while (!kthread_should_stop()) {
		wait_for_work(es, sleep_us);
		mutex_lock(&es->lock);
		WRITE_ONCE(es->kick, false);
		if (es->keyed)
			round_of(es);
		else
			es_rx_discard(es);
		es_km_put_old(es);
		flooded = queued(es) >= ES_RX_MANY;
		sleep_us = rest_us(es);
		mutex_unlock(&es->lock);
		cond_resched();
		if (flooded)	/* this thread goes before everybody else: leave them some time */
			usleep_range(es->cfg.tick_us / 2, es->cfg.tick_us);
	}
	return 0;
}

/**
 * es_channel_speak() - tell every peer at once what this node is
 * @es: namespace, locked
 */
void es_channel_speak(struct es_net *es)
{
	struct es_peer *p;

	if (!es->keyed)
		return;
	es->clock_us = max(es->clock_us, es_clock_us());
	list_for_each_entry(p, &es->peers, list)
		es_tx_speak(es, p, es_link_all(p), 0);
}

/* Nothing is followed any more; SAs stay as they are until released. */
static void unfollow(struct es_net *es)
{
	WRITE_ONCE(es->keyed, false);
	synchronize_rcu();
}

static void release_all(struct es_net *es, bool open)
{
	struct es_sa *sa;
	unsigned long i;

	xa_for_each(&es->sas, i, sa) {
		release(es, sa, open);
		cond_resched();
	}
	es_km_put_old(es);
	es->n_tombs = 0;
	es->n_astray = 0;
	es->n_hot = 0;
	es_km_expect_purge(es, true);
}

static void leave(struct es_net *es)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		es_tx_leave(es, p);
}

static void close_sockets(struct es_net *es)
{
	unsigned int i;

	for (i = 0; i < ES_LINKS; i++) {
		es_sock_close(es->sock[i]);
		es->sock[i] = NULL;
	}
}

/* One for each sync address, or none. */
static int open_sockets(struct es_net *es, const struct es_config *cfg, struct netlink_ext_ack *extack)
{
	unsigned int i;

	for (i = 0; i < ES_LINKS && cfg->local[i].family; i++) {
		struct es_sock *s = es_sock_open(es->net, &cfg->local[i], cfg->dev, &es->wait, extack);

		if (IS_ERR(s)) {
			close_sockets(es);
			return PTR_ERR(s);
		}
		es->sock[i] = s;
	}
	return 0;
}

static void free_all(struct es_net *es)
{
	struct es_peer *p, *next;

	list_for_each_entry_safe(p, next, &es->peers, list)
		es_peer_del(es, p);
	close_sockets(es);
	kfree(es->helper.said);
	es->helper.said = NULL;
	es->helper.n_said = 0;
	es_keys_wipe(&es->keys);
	es_sa_table_free(es);
	kfree(es->buf);
	kfree(es->draft);
	es->buf = NULL;
	es->draft = NULL;
}

static int run_thread(struct es_net *es)
{
	struct task_struct *t = kthread_run(channel_thread, es, "espsync/%u", es->cfg.node);

	if (IS_ERR(t))
		return PTR_ERR(t);
	es->thread = t;
	sched_set_fifo_low(t);
	return 0;
}

/* The thread reads es->sock while it sleeps, without es->lock: it must be gone before the sockets are. */
static void end_thread(struct es_net *es)
{
	struct task_struct *t = es->thread;

	es->thread = NULL;
	es->closing = true;
	mutex_unlock(&es->lock);
	if (t)
		kthread_stop(t);
	mutex_lock(&es->lock);
	es->closing = false;
}

/**
 * es_channel_start() - make the channel of a namespace
 * @es: namespace, locked, without a channel
 * @cfg: checked
 * @extack: for the reason
 * Return: 0 or an error; then nothing is left. Context: process, not in a pernet init
 */
int es_channel_start(struct es_net *es, const struct es_config *cfg, struct netlink_ext_ack *extack)
{
	struct es_group *g;
	int err;

	es->cfg = *cfg;
	es->clock_us = es_clock_us();
	es->echo_floor_us = es->clock_us;
	es->walk = 0;
	es->tick_at_us = 0;
	es->own_us = 1;
	es->rescan = true;
	es->scan_us = 0;
	es->meter_us = es->clock_us;
	es->ready = true;
	es->ready_us = es->clock_us;
	es->helper.at_us = 0;
	es->buf = kzalloc(ES_SOCK_DATAGRAM_MAX, GFP_KERNEL);
	es->draft = kzalloc(sizeof(*es->draft), GFP_KERNEL);
	err = es_sa_table_init(es);
	if (err || !es->buf || !es->draft) {
		err = -ENOMEM;
		goto fail;
	}
	err = open_sockets(es, cfg, extack);
	if (err)
		goto fail;
	err = es_aevent_get(es);
	if (err) {
		NL_SET_ERR_MSG(extack, "cannot listen to xfrm's events: is xfrm_user missing from this kernel?");
		goto fail;
	}
	es_each_group(g, es)
		es_group_reset(g);
	es_group_ranks(es);
	es->up = true;
	err = run_thread(es);
	if (!err)
		return 0;
	es->up = false;
	es_aevent_put(es);
fail:
	free_all(es);
	return err;
}

/* Who was told "in" goes by the time that he was told with it. */
static void keep_promises(struct es_net *es, const struct es_config *cfg)
{
	struct es_peer_in *in;
	struct es_group *g;
	struct es_peer *p;
	u64 more_us;

	if (cfg->evict_ms >= es->cfg.evict_ms)
		return;
	more_us = (es->cfg.evict_ms - cfg->evict_ms) * 1000ull;
	list_for_each_entry(p, &es->peers, list) {
		for (in = p->in; in < p->in + ES_MAX_GROUPS; in++)
			if (in->last_in_own_us)
				in->last_in_own_us += more_us;
		if (p->deleted_in_own_us)
			p->deleted_in_own_us += more_us;
	}
	es_each_group(g, es)
		if (g->left_own_us)
			g->left_own_us += more_us;
}

static bool same_end(const struct es_addr *a, const struct es_addr *b)
{
	return a->family == b->family && (!a->family || (es_addr_equal_ip(a, b) && a->port == b->port));
}

static bool same_place(const struct es_config *a, const struct es_config *b)
{
	unsigned int i;

	for (i = 0; i < ES_LINKS; i++)
		if (!same_end(&a->local[i], &b->local[i]))
			return false;
	return !strcmp(a->dev, b->dev);
}

/* A peer's second link needs an end here. */
static bool second_needed(const struct es_net *es)
{
	const struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (p->link[1].addr.family)
			return true;
	return false;
}

/**
 * es_channel_rebind() - change a channel that exists
 * @es: namespace, locked; the lock is let go while the thread ends
 * @cfg: checked; same node
 * @extack: for the reason
 * Return: 0, or an error and nothing changed
 */
int es_channel_rebind(struct es_net *es, const struct es_config *cfg, struct netlink_ext_ack *extack)
{
	int err, broken;

	if (!cfg->local[1].family && second_needed(es)) {
		NL_SET_ERR_MSG(extack, "a peer has a second address and this node would have none: give both local addresses, or that peer one first");
		return -EBUSY;
	}
	keep_promises(es, cfg);
	if (same_place(cfg, &es->cfg)) {
		es->cfg = *cfg;
		return 0;
	}
	end_thread(es);
	if (!es->up)
		return -ENOTCONN;
	close_sockets(es);	/* first: the new ones may want the same ports */
	err = open_sockets(es, cfg, extack);
	if (!err)
		es->cfg = *cfg;
	broken = err ? open_sockets(es, &es->cfg, NULL) : 0;
	if (!broken)
		broken = run_thread(es);
	if (broken) {
		pr_err("espsync: the channel cannot be opened again: it is deleted, make it anew\n");
		es_channel_stop(es, false);
	}
	return err ?: broken;
}

/* With the first key nodes can be heard, and SAs are followed. */
static void follow_sas(struct es_net *es)
{
	if (es->keyed)
		return;
	WRITE_ONCE(es->keyed, true);
	es->rescan = true;
	es_wake(es);
}

/**
 * es_channel_key() - one key, number 0, and no other from this moment
 * @es: namespace, locked, with a channel
 * @key: 32 bytes. The key that is used already changes nothing
 *
 * All sessions end; what this node knows of SAs and peers stays, as if the link had been cut.
 */
void es_channel_key(struct es_net *es, const u8 *key)
{
	const struct es_key *used = es_keys_used(&es->keys);
	struct es_peer *p;

	if (used && es_keys_same(&es->keys, key) == used)
		return;
	es_keys_set(&es->keys, key);
	list_for_each_entry(p, &es->peers, list)
		es_session_drop(&p->session);
	follow_sas(es);
}

/**
 * es_channel_key_add() - accept a key from now on
 * @es: namespace, locked, with a channel
 * @number: as it is called here
 * @key: 32 bytes; adding it again changes nothing
 * @extack: for the reason
 * Return: 0, -EEXIST (the number has another key, or the key another number), -ENOSPC
 */
int es_channel_key_add(struct es_net *es, u8 number, const u8 *key, struct netlink_ext_ack *extack)
{
	const struct es_key *same = es_keys_same(&es->keys, key), *taken = es_keys_find(&es->keys, number);

	if (same && same == taken)
		return 0;
	if (same) {
		NL_SET_ERR_MSG(extack, "this key is loaded already, as another number: espsync show channel");
		return -EEXIST;
	}
	if (taken) {
		NL_SET_ERR_MSG(extack, "this number has another key: give another number, or espsync key del it first");
		return -EEXIST;
	}
	if (!es_keys_add(&es->keys, number, key)) {
		NL_SET_ERR_MSG(extack, "4 keys are loaded already: delete one first (espsync key del ID)");
		return -ENOSPC;
	}
	return 0;
}

/* A peer that is heard under another key than this node uses. */
static bool behind(struct es_net *es)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (es_peer_heard(p) && es_peer_key(p) != es_keys_used(&es->keys))
			return true;
	return false;
}

/**
 * es_channel_key_use() - begin sessions under a key that is loaded
 * @es: namespace, locked, with a channel; the lock is let go while sessions change
 * @number: the key's
 * @extack: for the reason
 * Return: 0 or -ENOENT
 *
 * Waits, at most ES_USE_MS, until the peers that are heard have a session under it. One that does not have the key stays with the session that it has.
 */
int es_channel_key_use(struct es_net *es, u8 number, struct netlink_ext_ack *extack)
{
	const struct es_key *key = es_keys_find(&es->keys, number);
	u64 until = es_clock_us() + ES_USE_MS * 1000ull;
	struct es_peer *p;

	if (!key) {
		NL_SET_ERR_MSG(extack, "no such key is loaded: espsync key add ID psk-file FILE");
		return -ENOENT;
	}
	es_keys_use(&es->keys, key);
	follow_sas(es);
	list_for_each_entry(p, &es->peers, list) {
		es_session_rekey(&p->session);
		if (es_session_wants_key(&p->session))
			es_tx_hello(es, p);
	}
	while (es->up && es_keys_used(&es->keys) == key && behind(es) && es_clock_us() < until) {
		mutex_unlock(&es->lock);
		usleep_range(500, 1000);
		mutex_lock(&es->lock);
	}
	return 0;
}

/**
 * es_channel_key_del() - accept a key no more; sessions under it end
 * @es: namespace, locked, with a channel
 * @number: the key's
 * @extack: for the reason
 * Return: 0, -ENOENT, -EBUSY (it is used)
 */
int es_channel_key_del(struct es_net *es, u8 number, struct netlink_ext_ack *extack)
{
	struct es_key *key = es_keys_find(&es->keys, number);
	struct es_peer *p;

	if (!key) {
		NL_SET_ERR_MSG(extack, "no such key is loaded: espsync show channel");
		return -ENOENT;
	}
	if (key == es_keys_used(&es->keys)) {
		NL_SET_ERR_MSG(extack, "this key is in use: espsync key use another one first");
		return -EBUSY;
	}
	list_for_each_entry(p, &es->peers, list)
		es_session_unkey(&p->session, es_keys_slot(&es->keys, key));
	es_keys_del(key);
	return 0;
}

/**
 * es_channel_stop() - end the channel
 * @es: namespace, locked; the lock is let go while the thread ends
 * @release: open the SAs of a standby too
 *
 * Without @release outbound SAs of a standby stay in XFRM_STATE_ERROR: it is silent without a module.
 */
void es_channel_stop(struct es_net *es, bool release)
{
	struct es_group *g;

	while (es->closing) {	/* a rebind is at work */
		mutex_unlock(&es->lock);
		usleep_range(1000, 2000);
		mutex_lock(&es->lock);
	}
	if (!es->up)
		return;
	leave(es);
	unfollow(es);
	es->up = false;
	end_thread(es);
	release_all(es, release);
	es_guard_remove(es);
	synchronize_net();	/* it may be looking at SAs */
	es_handover_end(es);
	es_aevent_put(es);
	free_all(es);
	es_each_group(g, es) {
		es_group_reset(g);
		es_event_role(g, "the channel is deleted");
	}
}
