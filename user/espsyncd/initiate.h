/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * initiate: the active node's charon begins the connections that espsyncd.conf marks, and no other node's does.
 *
 * Room: looking whether their children are there, the pace, and what is said. When one is tried again is attempt's business. charon's
 * own start_action knows neither roles nor what is still being mirrored: it would begin on a standby, and beside an IKE SA that is there.
 */
#ifndef ESPSYNCD_INITIATE_H
#define ESPSYNCD_INITIATE_H

#include <event2/event.h>
#include <stdbool.h>

#include "config.h"
#include "relay.h"
#include "vici.h"

struct initiate;

/**
 * initiate_alloc() - begin nothing yet
 * @base: event loop
 * @c: names the connections
 * @v: to charon
 * @r: its journal knows what charon is still to be given
 * @active: is this node active, and its charon, with all that there is to mirror?
 * @ctx: for @active
 *
 * Return: the initiator
 */
struct initiate *initiate_alloc(struct event_base *base, const struct config *c, struct vici *v, struct relay *r,
				bool (*active)(void *ctx), void *ctx);
void initiate_free(struct initiate *in);

/* The node's role has changed: look now. */
void initiate_look(struct initiate *in);

/* Was this connection begun here lately? Then it may be half done, though the node is not active any more. */
bool initiate_left(const struct initiate *in, const char *conn);

/* How many marked children charon does not know: after a takeover they could not be begun. @why says it. */
unsigned int initiate_not_loaded(const struct initiate *in, const char **why);

#endif /* ESPSYNCD_INITIATE_H */
