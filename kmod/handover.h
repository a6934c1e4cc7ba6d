/* SPDX-License-Identifier: GPL-2.0 */
/*
 * handover.h - packets that wait while a group changes hands.
 */
#ifndef ESPSYNC_HANDOVER_H
#define ESPSYNC_HANDOVER_H

#include "espsync.h"

bool es_handover_hold(struct es_group *g, struct sk_buff *skb);
void es_handover_begin(struct es_group *g);
void es_handover(struct es_net *es);
void es_handover_forget(struct es_group *g);
void es_handover_end(struct es_net *es);
void es_handover_take(struct es_net *es, const u8 *data, size_t len);

#endif /* ESPSYNC_HANDOVER_H */
