/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync: makes a passive charon hold what the journal says, whatever it holds now.
 *
 * Room: when charon's and the kernel's lists are compared with the journal, which fill.h does: when charon has started, when a peer's
 * journal has replaced ours, and every 10 s to find drift. An active charon is left alone: it is the truth itself.
 *
 * While lists are being made, live messages are only written to the journal: the comparison, which comes later, has them.
 */
#ifndef ESPSYNCD_SYNC_H
#define ESPSYNCD_SYNC_H

#include <event2/event.h>
#include <stdbool.h>

#include "charon.h"
#include "config.h"
#include "journal.h"
#include "states.h"
#include "unprotected.h"
#include "vici.h"

/**
 * struct sync_ops - what sync needs of its owner
 * @journal: the journal as it is now, or NULL if this node has never had one: then charon may know more
 * @inject: give charon a message
 * @remove: take a state from the kernel that charon does not know, if it is the cluster's. Return: whether it is
 * @begun: a passive charon has an IKE SA that nobody gave it, or is to add a CHILD SA to one; it is told to forget that
 * @done: charon holds what the journal says
 */
struct sync_ops {
	const struct journal *(*journal)(void *ctx);
	journal_emit inject;
	bool (*remove)(void *ctx, const struct state *state);
	void (*begun)(void *ctx, const struct vici_sa *sa);
	void (*done)(void *ctx);
};

struct sync;

struct sync *sync_alloc(struct event_base *base, const struct config *c, struct charon *ch, struct vici *v,
			const struct sync_ops *ops, void *ctx);
void sync_free(struct sync *s);

/* Start over, from charon's lists. */
void sync_request(struct sync *s);

/* A takeover is due: end a mere look for drift, if it has withheld nothing, or as soon as charon has listed what it has. */
void sync_hurry(struct sync *s);

/* May a live message be injected now? If not, sync will find it in the journal. */
bool sync_takes_live(struct sync *s);

bool sync_is_done(const struct sync *s);

/* IKE SAs that charon did not hold when it was last asked; @why says for one of them. */
unsigned int sync_missing(const struct sync *s, const char **why);

/* Tunnels that charon, or its kernel, did not take however often. */
const struct unprotected *sync_unprotected(const struct sync *s);

#endif /* ESPSYNCD_SYNC_H */
