// SPDX-License-Identifier: GPL-2.0
/*
 * group.c - who is active: roles and epochs of a group.
 *
 * Job: carry out what keepalived or an operator decided (promote, demote) and step down when a higher epoch is heard. Epochs are
 * (counter, node), compared in that order; what follows from a peer's word is role.c's to say.
 * What may not enter: which SA belongs to which group (place.c), numbers of SAs, the layout of datagrams, netlink.
 *
 * Context: process, es->lock held, but for es_group_settling().
 */
#include <linux/delay.h>
#include <linux/netlink.h>
#include <linux/slab.h>

#include "channel.h"
#include "events.h"
#include "group.h"
#include "handover.h"
#include "in.h"
#include "out.h"
#include "role.h"
#include "sa.h"
#include "trace.h"

/**
 * es_group_settling() - promoted so lately that SAs may still appear that were mirrored late
 * @g: group
 * Return: true within ES_SETTLE_MS of promote. Context: any
 */
bool es_group_settling(const struct es_group *g)
{
	return READ_ONCE(g->es->own_us) - READ_ONCE(g->promoted_own_us) < ES_SETTLE_MS * 1000ull;
}

/* Every peer has answered just now and has the group, and none knows of an epoch after this node's. What was under way for long is no answer. */
static bool all_answered(const struct es_group *g)
{
	struct es_peer *p;

	list_for_each_entry(p, &g->es->peers, list) {
		const struct es_wire_group *w = &p->in[g->slot].w;

		if (!es_peer_answered(p) || !p->in[g->slot].speaks || es_epoch_cmp(w->epoch, w->node, g->epoch, g->epoch_node) > 0)
			return false;
	}
	return true;
}

/**
 * es_group_in() - whether this standby may take over and repeat nothing
 * @g: group, locked
 * Return: the owner said "in", and evict_ms have not passed since; or it became silent before they had, and nobody was promoted since
 */
bool es_group_in(const struct es_group *g)
{
	return g->told && (g->es->clock_us <= g->in_until_us || (g->rested && all_answered(g)));
}

/**
 * es_group_keep_silent() - have the guard; without one SAs are stopped one by one, and stay so until this node is promoted
 * @g: group, locked, standby
 * Return: 0, or why there is no guard
 */
int es_group_keep_silent(struct es_group *g)
{
	int err = es_guard_update(g->es);
	struct es_sa *sa;
	unsigned long i;

	if (!err)
		return 0;
	WRITE_ONCE(g->unguarded, true);
	xa_for_each(&g->es->sas, i, sa)
		if (sa->g == g)
			es_out_silence(sa);
	return err;
}

/**
 * es_group_unsaid() - what the owner said of this standby holds no longer
 * @g: group, locked
 */
void es_group_unsaid(struct es_group *g)
{
	g->told = false;
	g->rested = false;
	g->in_until_us = 0;
}

/**
 * es_group_forgotten() - a peer has lost its memory: it may have been active since this node was, or since the owner rested, and cannot say so
 * @es: namespace, locked
 */
void es_group_forgotten(struct es_net *es)
{
	struct es_group *g;

	es_each_group(g, es) {
		g->rested = false;
		if (g->role != ESPSYNC_ROLE_ACTIVE)
			g->own_epoch = ES_EPOCH_NONE;
	}
}

static void place_among(struct es_group *g)
{
	struct es_net *es = g->es;
	struct es_peer *p;
	u8 rank = 0;

	if (g->role == ESPSYNC_ROLE_ACTIVE)
		return;		/* late mirrors still begin in the slot that this node had as a standby */
	list_for_each_entry(p, &es->peers, list)
		rank += p->node < es->cfg.node && p->node != g->owner;
	if (rank > g->rank)
		es->walk = 1;		/* what it was told before is somebody else's place now */
	WRITE_ONCE(g->rank, rank);
}

/**
 * es_group_ranks() - this node's place among the standbys of each group
 * @es: namespace, locked
 */
void es_group_ranks(struct es_net *es)
{
	struct es_group *g;

	WRITE_ONCE(es->n_nodes, es->n_peers + 1);
	es_each_group(g, es)
		place_among(g);
}

static void set_role(struct es_group *g, u8 role, const char *why)
{
	WRITE_ONCE(g->role, role);
	trace_espsync_role(g, role);
	es_event_role(g, why);
}

/* A peer that is heard and says that it is active. */
static struct es_peer *owner_heard(struct es_group *g)
{
	struct es_peer *p;

	list_for_each_entry(p, &g->es->peers, list)
		if (es_peer_heard(p) && p->in[g->slot].w.role == ESPSYNC_ROLE_ACTIVE)
			return p;
	return NULL;
}

/*
 * Tell an old owner that is heard that it is replaced, and wait until it is silent. es->lock is let go meanwhile.
 */
static int claim(struct es_group *g, struct netlink_ext_ack *extack)
{
	struct es_net *es = g->es;
	u64 until;

	if (!owner_heard(g))
		return 0;
	g->claiming = true;
	trace_espsync_role(g, ES_TURN_CLAIM);
	es_channel_speak(es);
	until = es_clock_us() + es->cfg.dead_ms * 1000ull;
	while (es->up && g->claiming && owner_heard(g) && es_clock_us() < until) {
		mutex_unlock(&es->lock);
		usleep_range(500, 1000);
		mutex_lock(&es->lock);
	}
	if (!es->up) {
		g->claiming = false;
		NL_SET_ERR_MSG(extack, "the channel was deleted meanwhile");
		return -ENOTCONN;
	}
	if (!g->claiming) {
		NL_SET_ERR_MSG(extack, "another demote or promote came meanwhile; ask again if this node is to be active");
		return -ETIMEDOUT;
	}
	g->claiming = false;
	if (owner_heard(g)) {
		NL_SET_ERR_MSG(extack, "the active node is heard but does not become silent; ask again, or demote it there");
		return -ETIMEDOUT;
	}
	return 0;
}

/* A claim that failed and that nobody took up: what the owner says is to be believed again. */
static void unclaim(struct es_group *g, u64 epoch, u8 node)
{
	struct es_peer *p;

	if (g->epoch_node != g->es->cfg.node)
		return;
	list_for_each_entry(p, &g->es->peers, list)
		if (p->in[g->slot].w.epoch >= g->epoch)
			return;
	g->epoch = epoch;
	g->epoch_node = node;
}

/* This node was the last owner, or there never was one; and every peer answers and knows of none after. */
static bool still_mine(struct es_group *g)
{
	return (!g->epoch || g->epoch_node == g->es->cfg.node) && all_answered(g);
}

/* All SAs of the group, or those that an owner may have counted to another one: it did not mean them when it said "in". */
static u32 doubt_all(struct es_group *g, bool astray, bool spare)
{
	struct es_net *es = g->es;
	struct es_sa *sa;
	unsigned long i;
	u32 n = 0;

	xa_for_each(&es->sas, i, sa) {
		if (sa->g == g && (!astray || sa->astray))
			n += es_out_doubt(es, sa, spare, "this node was promoted while out of sync: its number is in doubt");
		cond_resched();
	}
	return n;
}

/* Whether the old owner has told all that it accepted: there never was one, or it is heard, silent and deaf, and says so. */
static bool told_all(const struct es_group *g)
{
	struct es_peer *p = es_peer_find(g->es, g->owner);

	if (!g->heard_us)
		return true;
	return p && es_peer_heard(p) && p->in[g->slot].w.role == ESPSYNC_ROLE_STANDBY && p->in[g->slot].w.flags & ES_GROUP_SILENT &&
	       p->in[g->slot].w.flags & ES_GROUP_TOLD;
}

/* Inbound strict: SAs take packets again, but none that the old owner may have taken. Work for each SA, before the role changes. */
static void open_all(struct es_group *g, bool unsure)
{
	struct es_peer *p = es_peer_find(g->es, g->owner);
	struct es_net *es = g->es;
	struct es_sa *sa;
	unsigned long i;

	xa_for_each(&es->sas, i, sa) {
		if (sa->g == g)
			es_in_open(es, sa, unsure, p ? es_link_rtt_us(p) : 0);
		cond_resched();
	}
}

/* What peers agreed to in another epoch is forgotten SA by SA, when the walk comes to it. */
static void forget_peers(struct es_group *g)
{
	struct es_peer *p;

	list_for_each_entry(p, &g->es->peers, list) {
		struct es_peer_in *in = &p->in[g->slot];

		es_tx_reset(p);		/* what is under way is of another epoch */
		in->is_in = false;
		in->enforcing = false;
		in->last_in_own_us = 0;
		in->after_gap = false;
	}
}

static int never_active(const struct es_group *g, struct netlink_ext_ack *extack)
{
	if (!g->store)
		return 0;
	NL_SET_ERR_MSG(extack, "this node is never active in this group (role store): promote another one, or espsync group set N role any");
	return -EPERM;
}

/**
 * es_group_promote() - this node is active from now on; idempotent
 * @g: group, locked; the lock is let go while an old owner that is heard becomes silent
 * @doubtful: result: SAs whose numbers are in doubt
 * @extack: for the reason
 * Return: 0, -EPERM (role store), -ETIMEDOUT (the old owner is heard and not silent), -ENOTCONN, -ENOKEY
 *
 * In sync this costs no work per SA: each state already stands at its stored ceiling with its slot armed. But with inbound strict, where none takes
 * packets before its window is right.
 */
int es_group_promote(struct es_group *g, u32 *doubtful, struct netlink_ext_ack *extack)
{
	struct es_net *es = g->es;
	u64 epoch = g->epoch;
	u8 node = g->epoch_node;
	bool sure, mine;
	int err;

	*doubtful = 0;
	if (g->role == ESPSYNC_ROLE_ACTIVE)
		return 0;
	err = never_active(g, extack);
	if (err)
		return err;
	sure = still_mine(g);
	mine = sure && g->own_epoch == g->epoch;	/* and this module remembers what it did then */
	g->epoch = max_t(u64, g->epoch + 1, ktime_get_real_seconds());
	g->epoch_node = es->cfg.node;
	err = claim(g, extack);
	trace_espsync_role(g, err ? ES_TURN_REFUSED : ES_TURN_CLAIMED);
	if (g->role == ESPSYNC_ROLE_ACTIVE)
		return 0;	/* somebody else asked meanwhile */
	if (err) {
		unclaim(g, epoch, node);
		return err;
	}
	err = never_active(g, extack);	/* told so meanwhile */
	if (err)
		return err;
	if (g->epoch_node != es->cfg.node) {
		NL_SET_ERR_MSG(extack, "another node was promoted meanwhile; demote it, or ask again");
		return -ETIMEDOUT;
	}
	es->clock_us = max(es->clock_us, es_clock_us());	/* the claim may have waited */
	WRITE_ONCE(g->in_doubt, !mine && !es_group_in(g));
	if (g->in_doubt || (!mine && es->n_astray))
		*doubtful = doubt_all(g, !g->in_doubt, sure);
	if (g->strict)
		open_all(g, !mine && !told_all(g));
	if (!++es->promotions)
		es->promotions = 1;
	g->gen = es->promotions;
	g->promoted_own_us = es->own_us;
	g->settled = false;
	g->takeover = ktime_get_real_seconds();
	g->own_epoch = g->epoch;
	g->before = node;
	WRITE_ONCE(g->silent, false);
	es_group_unsaid(g);
	WRITE_ONCE(g->unguarded, false);
	forget_peers(g);
	set_role(g, ESPSYNC_ROLE_ACTIVE, *doubtful ? "promoted while out of sync" : "promoted");
	trace_espsync_promote(g, *doubtful);
	g->owner = es->cfg.node;
	es_guard_update(es);
	es->walk = 1;
	es_channel_speak(es);
	es_wake(es);
	return 0;
}

static void demote_all(struct es_group *g)
{
	struct es_net *es = g->es;
	struct es_sa *sa;
	unsigned long i;

	xa_for_each(&es->sas, i, sa) {
		if (sa->g != g)
			continue;
		es_out_demoted(es, sa);
		if (es_in_untold(sa))
			es_sa_set_todo(es, sa);
		cond_resched();
	}
}

/* Inbound strict: what another node accepts from now on is not accepted here. */
static void deafen(struct es_group *g)
{
	struct es_sa *sa;
	unsigned long i;

	xa_for_each(&g->es->sas, i, sa) {
		if (sa->g == g)
			es_in_listen(sa);
		cond_resched();
	}
}

/**
 * es_group_stand_down() - this node is standby: silent when this returns; idempotent
 * @g: group, locked
 * @why: for the event
 *
 * Silent means: the guard is up, and what was on its way through it has left. Packets wait meanwhile, and another node: the wait is expedited.
 */
void es_group_stand_down(struct es_group *g, const char *why)
{
	struct es_net *es = g->es;
	struct es_peer *p;

	g->claiming = false;	/* a promote that waits is overtaken */
	if (g->role == ESPSYNC_ROLE_STANDBY)
		return;
	if (g->owner == es->cfg.node)
		g->owner = 0;
	if (g->role == ESPSYNC_ROLE_ACTIVE)
		es_handover_begin(g);
	if (g->role == ESPSYNC_ROLE_ACTIVE)
		g->demoted_own_us = es->own_us;
	set_role(g, ESPSYNC_ROLE_STANDBY, why);
	es_group_keep_silent(g);
	if (g->strict)
		deafen(g);
	synchronize_rcu_expedited();
	WRITE_ONCE(g->silent, true);
	WRITE_ONCE(g->in_doubt, false);
	es_group_unsaid(g);
	list_for_each_entry(p, &es->peers, list) {
		struct es_peer_in *in = &p->in[g->slot];

		es_tx_reset(p);		/* nor do acknowledgements of what was said before count as flushed */
		p->told_all = false;
		p->ack_bits = 0;	/* what an active node passes over is not stored: it is to be said again */
		in->is_in = false;
		in->enforcing = false;
		in->after_gap = false;
	}
	g->gap_doubt = false;
	g->left_own_us = 0;
	place_among(g);
	es_channel_speak(es);
	demote_all(g);
	es_wake(es);
}

/* What the owner says about this standby. @echo: own clock when this node said what the datagram answers. */
static void heard_owner(struct es_group *g, struct es_peer *p, const struct es_wire_group *w, u64 echo, bool newest)
{
	struct es_net *es = g->es;

	if (g->owner != p->node) {
		g->owner = p->node;
		place_among(g);
		es_event_peer(p, g, "active");
	}
	g->heard_us = es->clock_us;
	g->interval_us = p->interval_us;
	g->rested = false;
	g->lent_ms = min(w->evict_ms, ES_EVICT_MAX_MS);
	if (w->flags & ES_GROUP_IN && echo >= es->echo_floor_us && echo <= es->clock_us) {
		g->told = true;
		g->in_until_us = max(g->in_until_us, echo + g->lent_ms * 900ull);
	} else if (newest && !(w->flags & ES_GROUP_IN)) {
		g->in_until_us = 0;
	}
}

/*
 * The owner is silent, and was so while this node was in: nobody passes what is stored here as long as nobody is promoted, so "in" does not end
 * with time (a planned move may take longer).
 */
static void heard_rest(struct es_group *g, const struct es_peer *p, const struct es_wire_group *w)
{
	bool rests = w->role == ESPSYNC_ROLE_STANDBY && w->flags & ES_GROUP_SILENT && es_group_in(g);

	if (g->owner != p->node)
		return;
	if (rests && !g->rested)
		es_handover_begin(g);	/* the address may come here before the word does */
	g->rested = rests;
}

/**
 * es_group_heard() - a peer said what it is
 * @g: group, locked
 * @p: the peer
 * @w: what it said
 * @echo: newest own timestamp that it had heard then; 0 none
 * @newest: nothing newer of it has been heard
 */
void es_group_heard(struct es_group *g, struct es_peer *p, const struct es_wire_group *w, u64 echo, bool newest)
{
	unsigned int what = es_role_heard(g->role, g->epoch, g->epoch_node, p->node, w, newest);

	if (newest)
		p->in[g->slot].w = *w;
	if (what & ES_HEARD_LOWER)
		es_event_conflict(g, p->node, "also active, with a lower epoch: it will step down");
	if (what & ES_HEARD_BOTH)
		es_event_conflict(g, p->node, "also active, with a higher epoch: this node steps down");
	if (what & ES_HEARD_HIGHER) {
		g->epoch = w->epoch;
		g->epoch_node = w->node;
		es_group_unsaid(g);
	}
	if (what & ES_HEARD_YIELD)
		es_group_stand_down(g, "another node was promoted");
	if (what & ES_HEARD_DECIDE)
		es_group_stand_down(g, "a peer is active");
	if (what & ES_HEARD_OWNER)
		heard_owner(g, p, w, echo, newest);
	if (what & ES_HEARD_REST)
		heard_rest(g, p, w);
}

/**
 * es_group_tell() - what this node says to a peer about the group
 * @g: group, locked
 * @p: the peer
 * @w: result
 */
void es_group_tell(struct es_group *g, struct es_peer *p, struct es_wire_group *w)
{
	struct es_peer_in *in = &p->in[g->slot];
	struct es_net *es = g->es;

	memset(w, 0, sizeof(*w));
	w->id = g->id;
	w->role = g->claiming ? ES_ROLE_CLAIM : g->role;
	w->epoch = g->epoch;
	w->node = g->epoch_node;
	w->evict_ms = es->cfg.evict_ms;
	w->flags = (g->silent ? ES_GROUP_SILENT : 0) | (es->full ? ES_GROUP_FULL : 0) | (g->store ? ES_GROUP_STORE : 0);
	if (g->silent && p->told_all)
		w->flags |= ES_GROUP_TOLD;
	if (g->role == ESPSYNC_ROLE_ACTIVE && in->is_in && !es_any_gap(g)) {
		w->flags |= ES_GROUP_IN;
		in->last_in_own_us = max(es->own_us, in->last_in_own_us);
	}
	if (es->helper.at_us && es->clock_us - es->helper.at_us < 3000000)
		w->flags |= ES_GROUP_HELPER | (es->helper.missing ? 0 : ES_GROUP_IKE);
	w->waiting = in->n_waiting;
	w->mismatched = in->n_mismatched;
}

/**
 * es_group_reset() - as after load, but for what it was told to do and the newest epoch
 * @g: group, locked; no channel, or nobody is in it
 */
void es_group_reset(struct es_group *g)
{
	if (g->role != ESPSYNC_ROLE_UNDECIDED)
		set_role(g, ESPSYNC_ROLE_UNDECIDED, "the channel was deleted");
	memset(&g->run, 0, sizeof(g->run));
	g->claiming = false;
	g->behind = false;
	g->packets = 0;
	g->pps = 0;
}
