/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * audit: do the journal and the kernel of an active node have what its charon has?
 *
 * Room: comparing them now and then, and mending. They differ only after a loss: a helper that was killed between hearing and
 * telling, a queue that overflowed, a takeover without a journal, somebody at work with `ip xfrm`. What the journal or the kernel lacks,
 * charon is asked to rekey, which tells all that the cluster needs; what only the journal has, goes from everybody's. What only the
 * kernel has is let be, and named; so is what the journal has no room for, which it would not have for a new one either, and what
 * does not become well. An active node's charon is told nothing but to rekey; and, once for an IKE SA, the message ID of a request that
 * its predecessor told of and may not have made (journal_skipped()): if its own first one stays without an answer.
 */
#ifndef ESPSYNCD_AUDIT_H
#define ESPSYNCD_AUDIT_H

#include <event2/event.h>

#include "config.h"
#include "kernel.h"
#include "rekey.h"
#include "relay.h"
#include "vici.h"

struct audit;

struct audit *audit_alloc(struct event_base *base, const struct config *c, struct vici *v, struct kernel *k, struct relay *r,
			  struct rekey *rekey);
void audit_free(struct audit *a);

/**
 * audit_updated() - the ends of an IKE SA change
 * @a: the audit
 * @unique: charon's number for it
 *
 * It is looked at now, not only with the others. charon says so before it is done, and answers when it is.
 */
void audit_updated(struct audit *a, uint32_t unique);

/* IKE SAs of charon that the journal lacked when it was last looked at: a standby cannot have them. @why says what of it. */
unsigned int audit_unknown(const struct audit *a, const char **why);

#endif /* ESPSYNCD_AUDIT_H */
