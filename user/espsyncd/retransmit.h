/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * retransmit: hears what far ends ask again after a takeover.
 *
 * Room: the packet sockets, open only while far ends may retransmit what a charon that is gone did not answer, and what follows for
 * this node's charon. Which requests those are, and why, is unanswered.h's business; what was answered and is sent again, answers.h's.
 * Nothing is listened to at other times, and nothing but IKE reaches this process: the kernel's filter sees to that.
 */
#ifndef ESPSYNCD_RETRANSMIT_H
#define ESPSYNCD_RETRANSMIT_H

#include <event2/event.h>
#include <stdbool.h>

#include "charon.h"
#include "config.h"

struct relay;
struct retransmit;

/**
 * retransmit_alloc() - nothing is listened to yet
 * @base: event loop
 * @c: configuration
 * @ch: this node's charon
 * @relay: has the journal
 *
 * Return: the listener; if it will not be allowed to listen, that was logged
 */
struct retransmit *retransmit_alloc(struct event_base *base, const struct config *c, struct charon *ch, struct relay *relay);
void retransmit_free(struct retransmit *r);

/*
 * Another charon than before answers for this node's IKE SAs: listen from now on, for three minutes. What the one before has answered
 * last is sent once more at once: who waits for it may be without traffic until it comes, and whoever has it passes it over.
 */
void retransmit_listen(struct retransmit *r);
void retransmit_stop(struct retransmit *r);

/* Another node's charon has answered a far end with this packet. It is sent again once this node is active, and for one that asks again. */
void retransmit_answered(struct retransmit *r, const uint8_t *packet, size_t len);

/* unanswered_first() and unanswered_withholds(), of messages that pass here. */
void retransmit_first(struct retransmit *r, const struct ike_id *id);
bool retransmit_withholds(struct retransmit *r, const struct ike_id *id);

#endif /* ESPSYNCD_RETRANSMIT_H */
