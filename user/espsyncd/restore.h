/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore: puts the context of one VPN into this active node.
 *
 * Room: what must be so before, in which order it is done, and that it was done. Where the context is from is the caller's business.
 *
 *   charon, kernel and journal have none of it -> the module is told its numbers -> charon is given its IKE SA -> charon and kernel
 *   have it, with these numbers -> the journal and the standbys get it -> charon makes it established (bounce.h)
 *
 * Until charon and kernel have it all, nobody else is told, and none of its packets leaves: it is taken back without a trace. Where its gateway
 * had another address than any of this cluster it gets the connection's address here, and its far end is told (announce.h) once charon and
 * kernel have it: if that one does not answer it is taken back, too, and no ESP has left.
 */
#ifndef ESPSYNCD_RESTORE_H
#define ESPSYNCD_RESTORE_H

#include <event2/event.h>

#include "announce.h"
#include "bounce.h"
#include "charon.h"
#include "config.h"
#include "context.h"
#include "drift.h"
#include "kernel.h"
#include "relay.h"
#include "vici.h"

#define RESTORE_WHY	400

/**
 * struct restore_parts - what it works with
 * @c: configuration
 * @ch: this node's charon
 * @vici: asks it
 * @kernel: the module
 * @relay: has the journal
 * @drift: knows this node's configuration
 * @bounce: makes charon's passive IKE SAs established
 * @announce: tells a far end of the gateway's new address
 */
struct restore_parts {
	const struct config *c;
	struct charon *ch;
	struct vici *vici;
	struct kernel *kernel;
	struct relay *relay;
	struct drift *drift;
	struct bounce *bounce;
	struct announce *announce;
};

struct restore;

struct restore *restore_alloc(struct event_base *base, const struct restore_parts *parts);
void restore_free(struct restore *r);

/**
 * restore_begin() - put one
 * @r: the restore
 * @context: it; not the caller's any more, whatever comes
 * @only_try: only say whether it would be
 * @done: called at its end, maybe at once: NULL and for how many ms this node heard no IKE, or why it is not there
 * @ctx: for @done
 */
void restore_begin(struct restore *r, struct context *context, bool only_try, void (*done)(void *ctx, const char *why, unsigned int deaf_ms), void *ctx);

/* Until @done returns: it is here, and the standbys have it, though not all may be well. */
bool restore_is_kept(const struct restore *r);

/* Until @done returns: which of its SPIs is another SA's here, or 0. */
uint32_t restore_collides(const struct restore *r);

/* Is one here that was to be put, or has its far end another one by now? */
bool restore_has(const struct restore *r, const struct context *context);

/* The one that is being put, until @done returns. */
const struct context *restore_context(const struct restore *r);

/* How its far end was told of another address; NULL: it was not. */
const struct announced *restore_announced(const struct restore *r);

#endif /* ESPSYNCD_RESTORE_H */
