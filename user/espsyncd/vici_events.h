/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vici_events: what this node's charon tells unasked.
 *
 * Room: a connection to the unix socket on which nothing is asked, made again when it breaks. What follows is the callers' business:
 * what happens while there is no connection is not told later.
 */
#ifndef ESPSYNCD_VICI_EVENTS_H
#define ESPSYNCD_VICI_EVENTS_H

#include <event2/event.h>
#include <stdint.h>

struct vici_events;

/**
 * vici_events_alloc() - listen from now on
 * @base: event loop
 * @path: of the socket
 * @updated: called with charon's number of an IKE SA whose addresses change
 * @ctx: for @updated
 *
 * Return: the listener
 */
struct vici_events *vici_events_alloc(struct event_base *base, const char *path, void (*updated)(void *ctx, uint32_t unique), void *ctx);
void vici_events_free(struct vici_events *v);

#endif /* ESPSYNCD_VICI_EVENTS_H */
