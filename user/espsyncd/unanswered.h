/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unanswered: far ends' requests that died with the charon that was answering them.
 *
 * Room: which request charon must be told to expect, for what a far end asks. Pure: no I/O, time passed in.
 *
 * charon tells of a request (IKE_MID_RESPONDER: the next one's ID) before it has answered it: a key exchange takes milliseconds.
 * If it dies meanwhile, its successor expects the next one and drops the far end's retransmissions, and after minutes the far end
 * gives the IKE SA up. So whoever asks for the one before the next, of an IKE SA whose requests this charon has not answered yet and
 * which it has not asked anything itself, is let: once for each request, until the next one is asked for.
 *
 * The ha plugin ignores an ID of 0, so the first request of an IKE SA cannot be made to be expected again (it is one that was
 * rekeyed: the others begin with IKE_SA_INIT). Instead charon is not told that the second is next before that is safe: some seconds
 * later if its owner lives on, else when the far end asks for it or has ceased to retransmit.
 */
#ifndef ESPSYNCD_UNANSWERED_H
#define ESPSYNCD_UNANSWERED_H

#include <stdbool.h>
#include <stdint.h>

#include "ikehdr.h"
#include "journal.h"

struct unanswered;

struct unanswered *unanswered_alloc(void);
void unanswered_free(struct unanswered *u);

/* Another charon's requests from now on: what was let is forgotten, what is withheld is not. */
void unanswered_begin(struct unanswered *u);

/* The first request of an IKE SA has come to some charon. */
void unanswered_first(struct unanswered *u, const struct ike_id *id, uint64_t now);

/* Charon is about to be told that the second one is next. Return: true if it must not be, yet. */
bool unanswered_withholds(struct unanswered *u, const struct ike_id *id);

/**
 * unanswered_asks() - a far end asks
 * @u: what is known
 * @j: the journal
 * @q: the request
 *
 * Return: true if charon drops it, and must be told that @q->mid is next
 */
bool unanswered_asks(struct unanswered *u, const struct journal *j, const struct ike_request *q);

/**
 * unanswered_settle() - let charon be told what is safe now
 * @u: what is known
 * @j: the journal
 * @listening: far ends may still retransmit what a former charon did not answer
 * @now: milliseconds
 * @second: called for IKE SAs of which the second request is next
 * @ctx: for @second
 *
 * Return: true if there is more to settle later
 */
bool unanswered_settle(struct unanswered *u, const struct journal *j, bool listening, uint64_t now,
		       void (*second)(void *ctx, const struct ike_id *id), void *ctx);

#endif /* ESPSYNCD_UNANSWERED_H */
