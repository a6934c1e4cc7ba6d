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

/**
 * es_role_epochs() - the epochs that a peer knows, as one number: another one as soon as somebody is promoted in any group
 * @sum: of the groups before this one; 0 for the first
 * @w: what it said of a group, which this node need not have
 * Return: the sum
 */
u64 es_role_epochs(u64 sum, const struct es_wire_group *w)
{
	return sum + (w->epoch << 8 | w->node) * (2ull * w->id + 1);	/* odd: no change of one group is lost */
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
