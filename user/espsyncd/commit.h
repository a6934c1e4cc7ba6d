/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commit: outgoing IKE waits until the standbys have what charon said before it.
 *
 * Room: the packets that wait, in order, and for how long; the kernel's queue in which they lie, and the nft table that sends them there.
 * What the standbys have applied is relay's to say.
 *
 * charon speaks to its ha plugin's socket before it sends, so whoever has the packet can read all that a standby must know first. And
 * until it sends nothing of that is so: the standbys are told when the packet is there, with it if it is an answer (answers.h), so that
 * they know either what the far end cannot know yet, or how to tell it. What no packet follows within TELL_MS is told without. A
 * standby that does not say in COMMIT_MS that it has it holds nothing up: the packet goes, and is counted. If this process dies the
 * table stays, and sends everything on (`bypass`).
 */
#ifndef ESPSYNCD_COMMIT_H
#define ESPSYNCD_COMMIT_H

#include <event2/event.h>
#include <stdbool.h>

#include "charon.h"
#include "config.h"

#define COMMIT_MS	50
#define TELL_MS		5

struct commit;
struct relay;

/**
 * commit_alloc() - from now on packets wait, if the configuration wants it
 * @base: event loop
 * @c: configuration
 * @ch: this node's charon
 * @relay: knows what the standbys have applied
 *
 * Return: the commit; if it cannot be done that was logged, and nothing waits
 */
struct commit *commit_alloc(struct event_base *base, const struct config *c, struct charon *ch, struct relay *relay);

/* The table is gone, and nothing waits any more. */
void commit_stop(struct commit *c);
void commit_free(struct commit *c);

/* charon has said something. Return: true if commit has the standbys told of it */
bool commit_tells(struct commit *c);

/* A standby has applied more, or is not waited for any longer. */
void commit_look(struct commit *c);

#endif /* ESPSYNCD_COMMIT_H */
