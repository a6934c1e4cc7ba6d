/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * start_action: does this node's charon begin connections by itself?
 *
 * Room: seeing it and saying so. What a connection's start_action is charon does not tell, and a file that says it need not be what charon
 * has loaded; what follows from it shows: an IKE SA that a passive charon has begun, and policies that trap packets.
 */
#ifndef ESPSYNCD_START_ACTION_H
#define ESPSYNCD_START_ACTION_H

#include <event2/event.h>

#include "vici.h"

struct start_action;

struct start_action *start_action_alloc(struct event_base *base, struct vici *v);
void start_action_free(struct start_action *s);

/* An IKE SA that charon has while it is passive, and that nobody gave it; or that it is to add a CHILD SA to. */
void start_action_seen(struct start_action *s, const struct vici_sa *sa);

#endif /* ESPSYNCD_START_ACTION_H */
