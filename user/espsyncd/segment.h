/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * segment: makes charon's one segment what this node's role wants, through the FIFO /run/charon.ha.
 *
 * Room: one command at a time, written, confirmed by SEGMENT_TAKE or SEGMENT_DROP, written again if not. Who wants what is
 * roles' business. charon reads one command per opening and drops the rest, hence the patience here.
 */
#ifndef ESPSYNCD_SEGMENT_H
#define ESPSYNCD_SEGMENT_H

#include <event2/event.h>
#include <stdbool.h>

#include "charon.h"

struct segment;

/**
 * segment_alloc() - nothing is wanted yet
 * @base: event loop
 * @path: of the FIFO
 * @ch: paused while a command is outstanding
 * @settled: called when charon's segment is what was wanted last
 * @ctx: for @settled
 *
 * Return: the segment
 */
struct segment *segment_alloc(struct event_base *base, const char *path, struct charon *ch,
			      void (*settled)(void *ctx, bool active), void *ctx);
void segment_free(struct segment *s);

/**
 * segment_want() - what charon's segment should be from now on, also after it restarts
 * @s: the segment
 * @active: take or drop it
 *
 * @settled follows, maybe at once.
 */
void segment_want(struct segment *s, bool active);

/* While charon is being filled it must not become active. */
void segment_hold(struct segment *s, bool held);

/* From charon's ops: what it says. */
void segment_heard(struct segment *s, enum charon_segment now, bool confirms);

#endif /* ESPSYNCD_SEGMENT_H */
