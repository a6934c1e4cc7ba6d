/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ferry: what another node of this group moves to this node goes on to the helper of this node's other group.
 *
 * Room: handing a question through the door (door.h), and the answer back; and what this helper knows by that: a VPN that was taken there is not this
 * group's any more, also if the node that gave it away dies before it could say so to its standbys, of which this is one.
 */
#ifndef ESPSYNCD_FERRY_H
#define ESPSYNCD_FERRY_H

#include <event2/event.h>

#include "charon.h"
#include "config.h"
#include "parcel.h"
#include "relay.h"

/**
 * struct ferry_parts - what it works with
 * @c: configuration
 * @ch: this node's charon
 * @relay: has the journal
 * @parcels: bring questions, take answers
 */
struct ferry_parts {
	const struct config *c;
	struct charon *ch;
	struct relay *relay;
	struct parcels *parcels;
};

struct ferry;

struct ferry *ferry_alloc(struct event_base *base, const struct ferry_parts *parts);
void ferry_free(struct ferry *f);

/* A question of another node. */
void ferry_question(struct ferry *f, const struct parcel *p);

/* This node has become active. */
void ferry_active(struct ferry *f);

#endif /* ESPSYNCD_FERRY_H */
