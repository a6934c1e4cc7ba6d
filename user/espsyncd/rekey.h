/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rekey: asks charon to rekey, a few at a time.
 *
 * Room: which SAs are due - those whose time passed while this node was passive, those whose numbers the module doubts - and
 * the pace. Only an active node has any business here.
 */
#ifndef ESPSYNCD_REKEY_H
#define ESPSYNCD_REKEY_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "vici.h"

struct rekey;

/* @per_s: CHILD SAs that rekey_taken_over() has rekeyed per second, 0 for none. */
struct rekey *rekey_alloc(struct event_base *base, struct vici *v, uint32_t per_s);
void rekey_free(struct rekey *r);

/* After a takeover, charon being active: whatever should have been rekeyed meanwhile, and the SPIs that were named since. */
void rekey_overdue(struct rekey *r);

/* The same where another charon was active before; and, if that is wanted, each CHILD SA that there is a quarter of a minute later. */
void rekey_taken_over(struct rekey *r);

/* The CHILD SA that has this SPI, whichever way; once this node is active, if it is not yet. */
void rekey_spi(struct rekey *r, uint32_t spi);

/* That IKE or CHILD SA, by charon's number. Return: in how many milliseconds it will be asked for */
uint32_t rekey_add(struct rekey *r, bool ike, uint32_t unique);

/* charon is another one: its numbers name other SAs now. */
void rekey_forget(struct rekey *r);

/* This node is active no more. */
void rekey_stop(struct rekey *r);

#endif /* ESPSYNCD_REKEY_H */
