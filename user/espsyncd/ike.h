/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ike: what the tool asks of IKE SAs: which there are, the context of one, to put one, to move one; and what other groups' helpers ask, who move one
 * here.
 *
 * Room: reading a question, which IKE SA it means, and the answer. How a context is sealed, and how one is put or moved, are others' business.
 */
#ifndef ESPSYNCD_IKE_H
#define ESPSYNCD_IKE_H

#include <event2/event.h>

#include "charon.h"
#include "config.h"
#include "move.h"
#include "pick.h"
#include "relay.h"
#include "restore.h"
#include "seal.h"
#include "vici.h"

/**
 * struct ike_parts - what it works with
 * @c: configuration
 * @ch: this node's charon
 * @vici: asks it
 * @relay: has the journal
 * @pick: picks contexts
 * @parcels: go to the group's active node
 * @restore: puts
 * @move: moves
 * @seal: of the cluster key
 */
struct ike_parts {
	const struct config *c;
	struct charon *ch;
	struct vici *vici;
	struct relay *relay;
	struct pick_parts pick;
	struct parcels *parcels;
	struct restore *restore;
	struct move *move;
	struct seal seal;
};

struct ike;

struct ike *ike_open(struct event_base *base, const struct ike_parts *parts);
void ike_close(struct ike *i);

#endif /* ESPSYNCD_IKE_H */
