/* SPDX-License-Identifier: GPL-2.0 */
/*
 * in.h - inbound SAs: windows sampled, told, merged.
 */
#ifndef ESPSYNC_IN_H
#define ESPSYNC_IN_H

#include "espsync.h"

void es_in_adopt(struct es_net *es, struct es_sa *sa, struct xfrm_state *x);
void es_in_event(struct es_net *es, struct es_sa *sa, struct xfrm_state *x);
void es_in_woken(struct es_net *es, struct es_sa *sa);
void es_in_listen(struct es_sa *sa);
void es_in_open(struct es_net *es, struct es_sa *sa, bool unsure, u32 rtt_us);
bool es_in_untold(const struct es_sa *sa);
void es_in_sample(struct es_net *es);
u32 es_in_interval(const struct es_net *es);
bool es_in_merge(struct es_net *es, struct es_sa *sa, const struct es_wire_rec *r);
u64 es_in_since(const struct es_sa *sa, u64 seq);
void es_in_fill(struct es_net *es, struct es_sa *sa, struct es_wire_rec *r);

#endif /* ESPSYNC_IN_H */
