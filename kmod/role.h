/* SPDX-License-Identifier: GPL-2.0 */
/*
 * role.h - the rules of roles and epochs, of a peer's way into sync, and of what it may have said before.
 */
#ifndef ESPSYNC_ROLE_H
#define ESPSYNC_ROLE_H

#include "pure.h"
#include "wire.h"

/* What follows from what a peer says that it is, in this order. */
#define ES_HEARD_LOWER	0x01	/* both active, and it is the one that will step down */
#define ES_HEARD_HIGHER	0x02	/* its epoch is the newest known; what was said to this standby holds no longer */
#define ES_HEARD_BOTH	0x04	/* ... and it is active too: a conflict */
#define ES_HEARD_YIELD	0x08	/* ... and this node was active: it steps down */
#define ES_HEARD_DECIDE	0x10	/* this node was undecided: it is standby now */
#define ES_HEARD_OWNER	0x20	/* it is the owner: what it says of "in" counts */
#define ES_HEARD_REST	0x40	/* it may be the owner that has become silent */

/**
 * struct es_join - what an owner knows of a peer that may become in
 * @able: it answers, told all that it knows, can store what it is told, and does not claim to be active
 * @unsynced: SAs of which it has acknowledged nothing yet
 * @walking: limits are being computed anew
 * @behind: some SA has passed what the peer agreed to
 */
struct es_join {
	bool able;
	u32 unsynced;
	bool walking;
	bool behind;
};

enum es_join_step {
	ES_JOIN_STAY,
	ES_JOIN_LEAVE,		/* it was in, or nearly: not any more */
	ES_JOIN_ENFORCE,	/* it has all: its word limits SAs from now on, limits are to be computed anew */
	ES_JOIN_AGAIN,		/* some SA was beyond: compute limits once more */
	ES_JOIN_IN,		/* every SA is within what it agreed to: it may be told that it is in */
};

/**
 * struct es_peer_view - what a peer's state is made of
 * @heard: lately
 * @answers: lately, both ways
 * @synced: it has been told everything in this session
 * @told_all: it has told everything in this session
 * @full: it says that it cannot store what it is told
 * @is_in: as owner: it may be told that it is in
 * @owner: it is the owner
 * @self_in: as standby: this node is in
 */
struct es_peer_view {
	bool heard;
	bool answers;
	bool synced;
	bool told_all;
	bool full;
	bool is_in;
	bool owner;
	bool self_in;
};

int es_epoch_cmp(u64 a, u8 a_node, u64 b, u8 b_node);
unsigned int es_role_heard(u8 role, u64 epoch, u8 epoch_node, u8 from, const struct es_wire_group *w, bool newest);
enum es_join_step es_role_join(const struct es_join *j, bool is_in, bool enforcing);
bool es_role_name_counts(bool known, bool same, u64 seq, u64 newest);
bool es_role_promoted(const struct es_epochs *before, const struct es_epochs *now, u8 self);
bool es_role_gap(bool bound, bool settled, u8 self, u8 before, unsigned int nodes);
u8 es_role_peer_state(u8 role, const struct es_peer_view *v);

#endif /* ESPSYNC_ROLE_H */
