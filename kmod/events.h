/* SPDX-License-Identifier: GPL-2.0 */
/*
 * events.h - what userspace is told unasked.
 */
#ifndef ESPSYNC_EVENTS_H
#define ESPSYNC_EVENTS_H

#include "espsync.h"

struct es_reason;

void es_event_sa(struct es_net *es, enum espsync_event type, const struct es_sa *sa, const char *text);
void es_event_peer(const struct es_peer *p, const struct es_group *g, const char *text);
void es_event_link(const struct es_peer *p, const struct es_link *l, u8 state);
void es_event_role(const struct es_group *g, const char *text);
void es_event_conflict(const struct es_group *g, u8 node, const char *text);
void es_event_ready(struct es_net *es, const struct es_reason *r);
void es_event_text(struct es_net *es, enum espsync_event type, u8 node, const char *text);
void es_event_counters(struct es_net *es);

#endif /* ESPSYNC_EVENTS_H */
