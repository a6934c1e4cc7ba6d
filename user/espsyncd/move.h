/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move: gives one VPN of this active node to a group that another node is active in.
 *
 * Room: in which order it is done, what is done about an SPI that is another's there, and what becomes of the VPN when something fails. That
 * node's helper of this group hands on what is asked (ferry.h), its helper of the other group takes (restore.h).
 *
 *   it would be taken -> its IKE stands still here -> its ESP does -> it is taken, with the numbers that are the last ones now -> it is forgotten
 *   here, on the standbys too
 *
 * An SPI that is another's there is never written over: charon rekeys that CHILD SA first. Until it is taken the VPN is here, and goes on when
 * anything fails. When nobody says whether it was taken, it stands still here until somebody does, and is named: on two nodes at a time it
 * must not be.
 */
#ifndef ESPSYNCD_MOVE_H
#define ESPSYNCD_MOVE_H

#include <event2/event.h>

#include "charon.h"
#include "control.h"
#include "parcel.h"
#include "pick.h"
#include "rekey.h"
#include "vici.h"

#define MOVE_TEXT	512

/**
 * struct move_parts - what it works with
 * @pick: picks contexts; has configuration, module and journal
 * @ch: this node's charon
 * @vici: asks it
 * @rekey: rekeys a CHILD SA
 * @parcels: go to the other node
 */
struct move_parts {
	struct pick_parts pick;
	struct charon *ch;
	struct vici *vici;
	struct rekey *rekey;
	struct parcels *parcels;
};

/**
 * struct move_result - what came of it
 * @code: exit code
 * @text: why it was not, or was not in the best order; "" if all is well
 * @context: what the other node has been given
 * @silent_ms: for how long no packet of its ESP was taken by anybody
 * @deaf_ms: for how long the other node heard no IKE
 */
struct move_result {
	enum control_code code;
	const char *text;
	const struct context *context;
	unsigned int silent_ms;
	unsigned int deaf_ms;
};

struct move;

struct move *move_alloc(struct event_base *base, const struct move_parts *parts);
void move_free(struct move *m);

/**
 * move_begin() - one
 * @m: the move
 * @sa: the VPN, as this node's journal has it; NULL: it is not there
 * @listed: as charon lists it
 * @called: how it was asked for
 * @node: where it is to be
 * @done: called once, maybe at once
 * @ctx: for @done
 */
void move_begin(struct move *m, const struct journal_sa *sa, const struct vici_sa *listed, const char *called, uint32_t node,
		void (*done)(void *ctx, const struct move_result *result), void *ctx);

/* Packets of one of its VPNs come to a peer, which asks for it. Not for the same one all the time: anybody can send such packets. */
void move_fetch(struct move *m, const struct parcel *p);

void move_answer(struct move *m, const struct parcel *p);
void move_peer_down(struct move *m, unsigned int peer);

/* This node is not active any more: what has not been given away stays with whoever is. */
void move_cancel(struct move *m);

/* About one that nobody knows the place of, for espsync ready; NULL: there is none. */
const char *move_unknown(const struct move *m);

#endif /* ESPSYNCD_MOVE_H */
