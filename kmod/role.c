// SPDX-License-Identifier: GPL-2.0
/*
 * role.c - the rules of roles and epochs, of a peer's way into sync (design 4.3 "in and out", 4.6), and of what it may have said before.
 *
 * Job: from what is known, what follows. Who remembers it and acts on it: group.c for roles, peer.c for peers, rx.c for what they say.
 * What may not enter: state, locks, clocks, events. Pure: runs in userspace too.
 */
#include <linux/espsync.h>

#include "role.h"

/**
 * es_epoch_cmp() - which of two epochs is the newer
 * @a: counter
 * @a_node: node that was promoted
 * @b: counter
 * @b_node: node that was promoted
 * Return: less than, equal to or greater than 0, as @a is older, the same or newer
 */
int es_epoch_cmp(u64 a, u8 a_node, u64 b, u8 b_node)
{
	if (a != b)
		return a < b ? -1 : 1;
	return a_node < b_node ? -1 : a_node > b_node;
}

/**
 * es_role_heard() - a peer said what it is in a group
 * @role: this node's, enum espsync_role
 * @epoch: newest counter that this node knows
 * @epoch_node: and its node
 * @from: the peer
 * @w: what it said
 * @newest: nothing newer of it has been heard
 * Return: ES_HEARD_* bits. Who is active is so in an epoch of its own: who says otherwise is not believed to be active
 */
unsigned int es_role_heard(u8 role, u64 epoch, u8 epoch_node, u8 from, const struct es_wire_group *w, bool newest)
{
	int cmp = es_epoch_cmp(w->epoch, w->node, epoch, epoch_node);
	bool active = w->role == ESPSYNC_ROLE_ACTIVE && w->node == from;
	unsigned int what = 0;

	if (cmp < 0)
		return active && role == ESPSYNC_ROLE_ACTIVE ? ES_HEARD_LOWER : 0;
	if (cmp > 0) {
		what |= ES_HEARD_HIGHER;
		if (role == ESPSYNC_ROLE_ACTIVE)
			what |= active ? ES_HEARD_YIELD | ES_HEARD_BOTH : ES_HEARD_YIELD;
	}
	if (active)
		what |= role == ESPSYNC_ROLE_UNDECIDED ? ES_HEARD_DECIDE | ES_HEARD_OWNER : ES_HEARD_OWNER;
	else if (newest && !cmp && role == ESPSYNC_ROLE_STANDBY)
		what |= ES_HEARD_REST;
	return what;
}

/**
 * es_role_join() - as owner: whether a peer has everything and may be told that it is in
 * @j: what is known of it
 * @is_in: it is
 * @enforcing: its word limits SAs already
 * Return: the next step. Limits come first, then the word: a peer that is told "in" relies on them
 */
enum es_join_step es_role_join(const struct es_join *j, bool is_in, bool enforcing)
{
	if (!j->able)
		return is_in || enforcing ? ES_JOIN_LEAVE : ES_JOIN_STAY;
	if (is_in)
		return ES_JOIN_STAY;
	if (!enforcing)
		return j->unsynced ? ES_JOIN_STAY : ES_JOIN_ENFORCE;
	if (j->walking)
		return ES_JOIN_STAY;
	if (j->behind)
		return ES_JOIN_AGAIN;
	return j->unsynced ? ES_JOIN_STAY : ES_JOIN_IN;
}

/**
 * es_role_name_counts() - a peer says where it counts an SA
 * @known: it has named what the handle stands for before
 * @same: it says what is known already
 * @seq: of its datagram
 * @newest: of its datagrams that had names, the newest
 * Return: false if a name that came before may be the newer one. It is not acknowledged then, and said again
 */
bool es_role_name_counts(bool known, bool same, u64 seq, u64 newest)
{
	return !known || same || seq >= newest;
}

/* @at: where it is most likely. */
static const struct es_epoch *epoch_of(const struct es_epochs *e, unsigned int at, u16 group)
{
	unsigned int i;

	if (at < e->n && e->of[at].group == group)
		return &e->of[at];
	for (i = 0; i < e->n; i++)
		if (e->of[i].group == group)
			return &e->of[i];
	return NULL;
}

static bool has_epoch(const struct es_epochs *e, const struct es_epoch *like)
{
	unsigned int i;

	for (i = 0; i < e->n; i++)
		if (!es_epoch_cmp(e->of[i].counter, e->of[i].node, like->counter, like->node))
			return true;
	return false;
}

/**
 * es_role_promoted() - whether what a peer says tells of another node that was promoted, in whatever group
 * @before: the epochs of all its groups, which this node need not have, as it said them last
 * @now: as it says them now
 * @self: this node, which knows of its own promotions
 * Return: true if so, or if a group is gone, of which it says nothing any more. A group that is new begins with the epoch of another one
 */
bool es_role_promoted(const struct es_epochs *before, const struct es_epochs *now, u8 self)
{
	const struct es_epoch *e, *was;
	unsigned int i;

	for (i = 0; i < now->n; i++) {
		e = &now->of[i];
		was = epoch_of(before, i, e->group);
		if (!e->counter || e->node == self)
			continue;
		if (was ? es_epoch_cmp(e->counter, e->node, was->counter, was->node) > 0 : !has_epoch(before, e))
			return true;
	}
	for (i = 0; i < before->n; i++)
		if (!epoch_of(now, i, before->of[i].group))
			return true;
	return false;
}

/**
 * es_role_gap() - an active node stood still: whether another may have taken its place in sync
 * @bound: some peer is in, or may still believe so, in this group or in another one that it may count an SA to
 * @settled: those whom the owner before told "in" have had their time
 * @self: this node
 * @before: the owner before, which may have been this node; 0 if there was none
 * @nodes: configured, this one too
 * Return: true if it must hear of its peers before it goes on
 */
bool es_role_gap(bool bound, bool settled, u8 self, u8 before, unsigned int nodes)
{
	unsigned int untold = before == self ? 1 : 2;	/* this node, and the owner before: he told others */

	return bound || (!settled && before && nodes > untold);
}

/**
 * es_role_peer_state() - a peer's state as shown
 * @role: this node's
 * @v: what is known of the peer
 * Return: enum espsync_peer_state
 */
u8 es_role_peer_state(u8 role, const struct es_peer_view *v)
{
	if (!v->heard || !v->answers)
		return ESPSYNC_PEER_DOWN;
	if (!v->synced || !v->told_all)
		return ESPSYNC_PEER_JOINING;
	if (role == ESPSYNC_ROLE_ACTIVE && !v->is_in)
		return v->full ? ESPSYNC_PEER_OUT : ESPSYNC_PEER_JOINING;
	if (role == ESPSYNC_ROLE_STANDBY && v->owner && !v->self_in)
		return ESPSYNC_PEER_OUT;
	return ESPSYNC_PEER_UP;
}
