/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bounce: an active charon takes up what was mirrored into it meanwhile.
 *
 * Room: dropping and taking its segment in one go, while no IKE comes in, and how long that takes. charon makes IKE SAs that are passive
 * established when its segment changes, and at no other time. Whether it is active at all is roles' business, which goes first: a bounce ends where
 * a role begins to change.
 */
#ifndef ESPSYNCD_BOUNCE_H
#define ESPSYNCD_BOUNCE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

struct bounce;

struct bounce *bounce_alloc(struct event_base *base, struct segment *s);
void bounce_free(struct bounce *b);

/**
 * bounce_begin() - once for all that was mirrored
 * @b: the bounce
 * @done: called at its end: NULL and for how many ms no IKE was heard, or why it was none
 * @ctx: for @done
 *
 * Return: NULL, or why it cannot begin: then @done is not called
 */
const char *bounce_begin(struct bounce *b, void (*done)(void *ctx, const char *why, unsigned int deaf_ms), void *ctx);

/* The role changes: whatever is to become of the segment is somebody else's business from now on. */
void bounce_cancel(struct bounce *b);

/* From segment. Return: whether it was for the bounce */
bool bounce_settled(struct bounce *b, bool active);

#endif /* ESPSYNCD_BOUNCE_H */
