/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drift: are the nodes' strongSwans alike, and can all of it be carried?
 *
 * Room: when this node's configuration is looked at, telling it to the other helpers, keeping what they tell, and the sentences that follow.
 * What is looked at is survey's business, what differs differ's, what cannot be carried carried's.
 *
 * Each helper tells its digest to each other one, whole, whenever it has changed or a connection is made, in frames that a peer takes at its
 * own pace; each compares for itself. A helper that does not know of it is told nothing, and says nothing.
 */
#ifndef ESPSYNCD_DRIFT_H
#define ESPSYNCD_DRIFT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "digest.h"
#include "lines.h"
#include "link.h"
#include "vici.h"

#define DRIFT_FRAME	13	/* offset u32, length of the whole u32, a piece of the digest. Frames are named in relay_priv.h */

struct drift;

struct drift *drift_alloc(struct event_base *base, const struct config *c, struct vici *v, struct links *l);
void drift_free(struct drift *d);

/* charon is another process: its configuration may be another one. */
void drift_restarted(struct drift *d);

/* A peer said that it takes our frames; it may say so again. */
void drift_listens(struct drift *d, unsigned int peer);
void drift_peer_down(struct drift *d, unsigned int peer);
void drift_writable(struct drift *d, unsigned int peer);

/**
 * drift_frame() - a piece of a peer's digest
 * @d: the drift
 * @peer: its index in the configuration
 * @data: the frame
 * @len: its length
 *
 * Return: false if it is none. One that says what nobody understands is only named: it may be a newer one's
 */
bool drift_frame(struct drift *d, unsigned int peer, const uint8_t *data, size_t len);

/* What this node's configuration is, as it was seen last; NULL: not yet. */
const struct digest *drift_own(const struct drift *d);

/* What there is to say, as it was seen last. */
const struct lines *drift_lines(const struct drift *d);

#endif /* ESPSYNCD_DRIFT_H */
