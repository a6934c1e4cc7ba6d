/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * audit: does the journal of an active node say what its charon has?
 *
 * Room: comparing the two now and then, and mending. It differs only after a loss: a helper that was killed between hearing and
 * telling, a queue that overflowed, a takeover without a journal. What the journal lacks, charon is asked to rekey, which tells
 * all that the cluster needs; what only the journal has, goes from everybody's. What the journal has no room for is only named:
 * rekeyed it would have none either.
 */
#ifndef ESPSYNCD_AUDIT_H
#define ESPSYNCD_AUDIT_H

#include <event2/event.h>

#include "config.h"
#include "rekey.h"
#include "relay.h"
#include "vici.h"

struct audit;

struct audit *audit_alloc(struct event_base *base, const struct config *c, struct vici *v, struct relay *r,
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
