/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * announce: tells a far end that its gateway has another address now (MOBIKE, RFC 4555 3.6).
 *
 * Room: what is told, how often, and whether it was answered. Which address it is, and what follows, are others' business.
 *
 * The far end, which has begun the IKE SA, takes the list of a gateway's addresses from wherever it comes from under the right keys, and
 * goes on with the gateway there. charon makes such a list only when its own node's addresses change, and then for every IKE SA that it has;
 * so espsyncd makes it, of what charon has told, and charon is told that this message ID is used.
 */
#ifndef ESPSYNCD_ANNOUNCE_H
#define ESPSYNCD_ANNOUNCE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "journal.h"
#include "sk.h"

struct announce;

struct announce *announce_alloc(struct event_base *base, const struct config *c);
void announce_free(struct announce *a);

/**
 * announce_may() - can that be told
 * @sa: an IKE SA
 * @why: one sentence, if not
 *
 * Return: whether it can
 */
bool announce_may(const struct journal_sa *sa, char why[SK_WHY]);

/**
 * announce_begin() - tell it
 * @a: of nobody else yet; until @done was called
 * @sa: the IKE SA, at the gateway's new address
 * @done: called at its end, never at once: did it answer?
 * @ctx: for @done
 *
 * Return: NULL, or why not; then @done is not called
 */
const char *announce_begin(struct announce *a, const struct journal_sa *sa, void (*done)(void *ctx, bool answered), void *ctx);

/* What was told last: its message ID, bytes of its IP packet and of the answer's, how often it was said, and milliseconds until the answer. */
struct announced {
	uint32_t mid;
	unsigned int bytes;
	unsigned int answer_bytes;
	unsigned int times;
	unsigned int ms;
};

const struct announced *announce_last(const struct announce *a);

#endif /* ESPSYNCD_ANNOUNCE_H */
