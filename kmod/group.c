// SPDX-License-Identifier: GPL-2.0
/*
 * group.c - who is active: roles, epochs, the group's addresses.
 *
 * Job: carry out what keepalived or an operator decided (promote, demote) and step down when a higher epoch is heard. Epochs are
 * (counter, node), compared in that order; what follows from a peer's word is role.c's to say.
 * What may not enter: numbers of SAs, the layout of datagrams, netlink.
 *
 * Context: process, es->lock held, but for the three es_group_ predicates that read locklessly.
 */
#include <linux/delay.h>
#include <linux/netlink.h>
#include <linux/slab.h>

#include "channel.h"
#include "events.h"
#include "group.h"
#include "out.h"
#include "role.h"
#include "sa.h"
#include "trace.h"

/**
 * es_group_has() - whether an address is one of the group's
 * @g: group
 * @family: AF_INET or AF_INET6
 * @a: address
 * Return: true if it is. Context: any
 */
bool es_group_has(const struct es_group *g, u16 family, const xfrm_address_t *a)
{
	const struct es_addrs *set;
	bool found = false;
	unsigned int i;

	rcu_read_lock();
	set = rcu_dereference(g->addrs);
	for (i = 0; set && i < set->n && !found; i++)
		found = set->a[i].family == family && !memcmp(&set->a[i].v6, a, es_addr_len(&set->a[i]));
	rcu_read_unlock();
	return found;
}

/**
 * es_group_named() - whether the group has addresses at all
 * @g: group
 * Return: true if so; without any, every SA belongs to it and nothing is guarded. Context: any
 */
bool es_group_named(const struct es_group *g)
{
	return rcu_access_pointer(g->addrs);
}

/**
 * es_group_settling() - promoted so lately that SAs may still appear that were mirrored late
 * @es: namespace
 * Return: true within ES_SETTLE_MS of promote. Context: any
 */
bool es_group_settling(const struct es_net *es)
{
	return READ_ONCE(es->own_us) - READ_ONCE(es->group.promoted_own_us) < ES_SETTLE_MS * 1000ull;
}

/* Every peer has answered just now, and none knows of an epoch after this node's. What was under way for long is no answer. */
static bool all_answered(const struct es_net *es)
{
	const struct es_group *g = &es->group;
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (!es_peer_answered(p) || es_epoch_cmp(p->g.epoch, p->g.node, g->epoch, g->epoch_node) > 0)
			return false;
	return true;
}

/**
 * es_group_in() - whether this standby may take over and repeat nothing
 * @es: namespace, locked
 * Return: the owner said "in", and evict_ms have not passed since; or it became silent before they had, and nobody was promoted since
 */
bool es_group_in(const struct es_net *es)
{
	return es->group.told && (es->clock_us <= es->group.in_until_us || (es->group.rested && all_answered(es)));
}

/* No guard: SAs are stopped one by one, and stay so until this node is promoted. */
static int keep_silent(struct es_net *es)
{
	int err = es_guard_update(es);
	struct es_sa *sa;
	unsigned long i;

	if (!err)
		return 0;
	WRITE_ONCE(es->unguarded, true);
	xa_for_each(&es->sas, i, sa)
		es_out_silence(sa);
	return err;
}

/**
 * es_group_unsaid() - what the owner said of this standby holds no longer
 * @es: namespace, locked
 */
void es_group_unsaid(struct es_net *es)
{
	es->group.told = false;
	es->group.rested = false;
	es->group.in_until_us = 0;
}

/**
 * es_group_forgotten() - a peer has lost its memory: it may have been active since this node was, or since the owner rested, and cannot say so
 * @es: namespace, locked
 */
void es_group_forgotten(struct es_net *es)
{
	es->group.rested = false;
	if (es->group.role != ESPSYNC_ROLE_ACTIVE)
		es->group.own_epoch = ES_EPOCH_NONE;
}

/**
 * es_group_set_addrs() - replace the group's addresses
 * @es: namespace, locked
 * @a: addresses
 * @n: how many; 0 empties the group
 * Return: 0 or -ENOMEM
 */
int es_group_set_addrs(struct es_net *es, const struct es_addr *a, unsigned int n)
{
	struct es_addrs *set = NULL, *old;

	if (n) {
		set = kmalloc(struct_size(set, a, n), GFP_KERNEL);
		if (!set)
			return -ENOMEM;
		set->n = n;
		memcpy(set->a, a, n * sizeof(*a));
	}
	old = rcu_replace_pointer(es->group.addrs, set, lockdep_is_held(&es->lock));
	if (old)
		kfree_rcu(old, rcu);
	es->rescan = true;
	es_wake(es);
	return keep_silent(es);
}

/**
 * es_group_ranks() - this node's place among the standbys
 * @es: namespace, locked
 */
void es_group_ranks(struct es_net *es)
{
	struct es_peer *p;
	u8 rank = 0;

	WRITE_ONCE(es->n_nodes, es->n_peers + 1);
	if (es->group.role == ESPSYNC_ROLE_ACTIVE)
		return;		/* late mirrors still begin in the slot that this node had as a standby */
	list_for_each_entry(p, &es->peers, list)
		rank += p->node < es->cfg.node && p->node != es->group.owner;
	WRITE_ONCE(es->rank, rank);
}

static void set_role(struct es_net *es, u8 role, const char *why)
{
	WRITE_ONCE(es->group.role, role);
	trace_espsync_role(es, role);
	es_event_role(es, why);
}

/* A peer that is heard and says that it is active. */
static struct es_peer *owner_heard(struct es_net *es)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (es_peer_heard(p) && p->g.role == ESPSYNC_ROLE_ACTIVE)
			return p;
	return NULL;
}

/*
 * Tell an old owner that is heard that it is replaced, and wait until it is silent. es->lock is let go meanwhile.
 */
static int claim(struct es_net *es, struct netlink_ext_ack *extack)
{
	struct es_group *g = &es->group;
	u64 until;

	if (!owner_heard(es))
		return 0;
	g->claiming = true;
	trace_espsync_role(es, ES_TURN_CLAIM);
	es_channel_speak(es);
	until = es_clock_us() + es->cfg.dead_ms * 1000ull;
	while (es->up && g->claiming && owner_heard(es) && es_clock_us() < until) {
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
	if (owner_heard(es)) {
		NL_SET_ERR_MSG(extack, "the active node is heard but does not become silent; ask again, or demote it there");
		return -ETIMEDOUT;
	}
	return 0;
}

/* A claim that failed and that nobody took up: what the owner says is to be believed again. */
static void unclaim(struct es_net *es, u64 epoch, u8 node)
{
	struct es_group *g = &es->group;
	struct es_peer *p;

	if (g->epoch_node != es->cfg.node)
		return;
	list_for_each_entry(p, &es->peers, list)
		if (p->g.epoch >= g->epoch)
			return;
	g->epoch = epoch;
	g->epoch_node = node;
}

/* This node was the last owner, or there never was one; and every peer answers and knows of none after. */
static bool still_mine(struct es_net *es)
{
	return (!es->group.epoch || es->group.epoch_node == es->cfg.node) && all_answered(es);
}

static u32 doubt_all(struct es_net *es, bool spare)
{
	struct es_sa *sa;
	unsigned long i;
	u32 n = 0;

	xa_for_each(&es->sas, i, sa) {
		n += es_out_doubt(es, sa, spare);
		cond_resched();
	}
	return n;
}

static void forget_acks(struct es_net *es)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list) {
		es_tx_reset(p);		/* what is under way is of another epoch */
		xa_destroy(&p->acked);
		p->is_in = false;
		p->enforcing = false;
		p->last_in_own_us = 0;
		p->after_gap = false;
		bitmap_copy(p->dirty, es->used, ES_MAX_SAS);
		bitmap_copy(p->todo, es->used, ES_MAX_SAS);
	}
	bitmap_copy(es->counter_dirty, es->used, ES_MAX_SAS);
}

/**
 * es_group_promote() - this node is active from now on; idempotent
 * @es: namespace, locked; the lock is let go while an old owner that is heard becomes silent
 * @doubtful: result: SAs whose numbers are in doubt
 * @extack: for the reason
 * Return: 0, -ETIMEDOUT (the old owner is heard and not silent), -ENOTCONN, -ENOKEY
 *
 * In sync this costs no work per SA: each state already stands at its stored ceiling with its slot armed.
 */
int es_group_promote(struct es_net *es, u32 *doubtful, struct netlink_ext_ack *extack)
{
	struct es_group *g = &es->group;
	u64 epoch = g->epoch;
	u8 node = g->epoch_node;
	bool sure, mine;
	int err;

	*doubtful = 0;
	if (g->role == ESPSYNC_ROLE_ACTIVE)
		return 0;
	sure = still_mine(es);
	mine = sure && g->own_epoch == g->epoch;	/* and this module remembers what it did then */
	g->epoch = max_t(u64, g->epoch + 1, ktime_get_real_seconds());
	g->epoch_node = es->cfg.node;
	err = claim(es, extack);
	trace_espsync_role(es, err ? ES_TURN_REFUSED : ES_TURN_CLAIMED);
	if (g->role == ESPSYNC_ROLE_ACTIVE)
		return 0;	/* somebody else asked meanwhile */
	if (err) {
		unclaim(es, epoch, node);
		return err;
	}
	if (g->epoch_node != es->cfg.node) {
		NL_SET_ERR_MSG(extack, "another node was promoted meanwhile; demote it, or ask again");
		return -ETIMEDOUT;
	}
	WRITE_ONCE(g->in_doubt, !mine && !es_group_in(es));
	if (g->in_doubt)
		*doubtful = doubt_all(es, sure);
	if (!++g->gen)
		g->gen = 1;
	g->promoted_own_us = es->own_us;
	g->settled = false;
	g->takeover = ktime_get_real_seconds();
	g->own_epoch = g->epoch;
	g->before = node;
	g->silent = false;
	es_group_unsaid(es);
	WRITE_ONCE(es->unguarded, false);
	forget_acks(es);
	set_role(es, ESPSYNC_ROLE_ACTIVE, *doubtful ? "promoted while out of sync" : "promoted");
	trace_espsync_promote(es, *doubtful);
	g->owner = es->cfg.node;
	es_guard_update(es);
	es->walk = 1;
	es_group_ranks(es);
	es_channel_speak(es);
	es_wake(es);
	return 0;
}

static void demote_all(struct es_net *es)
{
	struct es_sa *sa;
	unsigned long i;

	xa_for_each(&es->sas, i, sa) {
		es_out_demoted(es, sa);
		if (!list_empty(&sa->hot))
			es_sa_set_todo(es, sa);
		cond_resched();
	}
}

/**
 * es_group_stand_down() - this node is standby: silent when this returns; idempotent
 * @es: namespace, locked
 * @why: for the event
 *
 * Silent means: the guard is up, and what was on its way through it has left (synchronize_net).
 */
void es_group_stand_down(struct es_net *es, const char *why)
{
	struct es_group *g = &es->group;
	struct es_peer *p;

	g->claiming = false;	/* a promote that waits is overtaken */
	if (g->role == ESPSYNC_ROLE_STANDBY)
		return;
	if (g->owner == es->cfg.node)
		g->owner = 0;
	set_role(es, ESPSYNC_ROLE_STANDBY, why);
	keep_silent(es);
	synchronize_net();
	g->silent = true;
	WRITE_ONCE(g->in_doubt, false);
	es_group_unsaid(es);
	list_for_each_entry(p, &es->peers, list) {
		es_tx_reset(p);		/* nor do acknowledgements of what was said before count as flushed */
		p->is_in = false;
		p->enforcing = false;
		p->after_gap = false;
	}
	es->walk = 0;
	es->gap_doubt = false;
	es_group_ranks(es);
	es_channel_speak(es);
	demote_all(es);
	es_wake(es);
}

/* What the owner says about this standby. @echo: own clock when this node said what the datagram answers. */
static void heard_owner(struct es_net *es, struct es_peer *p, const struct es_wire_group *w, u64 echo, bool newest)
{
	struct es_group *g = &es->group;

	if (g->owner != p->node) {
		g->owner = p->node;
		es_group_ranks(es);
	}
	g->heard_us = es->clock_us;
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
static void heard_rest(struct es_net *es, const struct es_peer *p, const struct es_wire_group *w)
{
	struct es_group *g = &es->group;

	if (g->owner == p->node && w->role == ESPSYNC_ROLE_STANDBY && w->flags & ES_GROUP_SILENT && es_group_in(es))
		g->rested = true;
	else if (g->owner == p->node)
		g->rested = false;
}

/**
 * es_group_heard() - a peer said what it is
 * @es: namespace, locked
 * @p: the peer
 * @w: what it said
 * @echo: newest own timestamp that it had heard then; 0 none
 * @newest: nothing newer of it has been heard
 */
void es_group_heard(struct es_net *es, struct es_peer *p, const struct es_wire_group *w, u64 echo, bool newest)
{
	struct es_group *g = &es->group;
	unsigned int what = es_role_heard(g->role, g->epoch, g->epoch_node, p->node, w, newest);

	if (newest)
		p->g = *w;
	if (what & ES_HEARD_LOWER)
		es_event_text(es, ESPSYNC_EVENT_CONFLICT, p->node, "also active, with a lower epoch: it will step down");
	if (what & ES_HEARD_BOTH)
		es_event_text(es, ESPSYNC_EVENT_CONFLICT, p->node, "also active, with a higher epoch: this node steps down");
	if (what & ES_HEARD_HIGHER) {
		g->epoch = w->epoch;
		g->epoch_node = w->node;
		es_group_unsaid(es);
	}
	if (what & ES_HEARD_YIELD)
		es_group_stand_down(es, "another node was promoted");
	if (what & ES_HEARD_DECIDE)
		es_group_stand_down(es, "a peer is active");
	if (what & ES_HEARD_OWNER)
		heard_owner(es, p, w, echo, newest);
	if (what & ES_HEARD_REST)
		heard_rest(es, p, w);
}

/**
 * es_group_tell() - what this node says to a peer about the group
 * @es: namespace, locked
 * @p: the peer
 * @w: result
 */
void es_group_tell(struct es_net *es, struct es_peer *p, struct es_wire_group *w)
{
	struct es_group *g = &es->group;

	memset(w, 0, sizeof(*w));
	w->id = g->id;
	w->role = g->claiming ? ES_ROLE_CLAIM : g->role;
	w->epoch = g->epoch;
	w->node = g->epoch_node;
	w->evict_ms = es->cfg.evict_ms;
	w->flags = (g->silent ? ES_GROUP_SILENT : 0) | (es->full ? ES_GROUP_FULL : 0);
	if (g->role == ESPSYNC_ROLE_ACTIVE && p->is_in && !es_any_gap(es)) {
		w->flags |= ES_GROUP_IN;
		p->last_in_own_us = max(es->own_us, p->last_in_own_us);
	}
	if (es->helper.at_us && es->clock_us - es->helper.at_us < 3000000)
		w->flags |= ES_GROUP_HELPER | (es->helper.missing ? 0 : ES_GROUP_IKE);
	es_peer_shortfall(es, p, &w->waiting, &w->mismatched);
}

/**
 * es_group_reset() - as after load
 * @es: namespace, locked; no channel
 */
void es_group_reset(struct es_net *es)
{
	struct es_group *g = &es->group;

	WRITE_ONCE(g->role, ESPSYNC_ROLE_UNDECIDED);
	trace_espsync_role(es, ESPSYNC_ROLE_UNDECIDED);
	g->claiming = false;
	g->silent = false;
	g->owner = 0;
	g->gen = 0;
	g->before = 0;
	g->own_epoch = 0;
	g->in_doubt = false;
	g->lent_ms = 0;
	es_group_unsaid(es);
	g->takeover = 0;
	g->heard_us = 0;
}

/**
 * es_group_free() - forget the group's addresses
 * @es: namespace, nobody uses it any more
 */
void es_group_free(struct es_net *es)
{
	struct es_addrs *set = rcu_replace_pointer(es->group.addrs, NULL, true);

	if (set)
		kfree_rcu(set, rcu);
}
