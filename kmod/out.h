/* SPDX-License-Identifier: GPL-2.0 */
/*
 * out.h - outbound SAs: ceilings granted, stored, enforced.
 */
#ifndef ESPSYNC_OUT_H
#define ESPSYNC_OUT_H

#include "espsync.h"

void es_out_adopt(struct es_net *es, struct es_sa *sa, struct xfrm_state *x, bool known, bool mirror);
void es_out_event(struct es_net *es, struct es_sa *sa, struct xfrm_state *x);
void es_out_rank(struct es_net *es, struct es_sa *sa);
void es_out_update(struct es_net *es, struct es_sa *sa);
void es_out_rolled_back(struct es_net *es, struct es_sa *sa);
void es_out_store(struct es_net *es, struct es_sa *sa, const struct es_wire_rec *r, u8 from, bool grant);
void es_out_acked(struct es_net *es, struct es_peer *p, struct es_sa *sa, u64 ceiling);
void es_out_demoted(struct es_net *es, struct es_sa *sa);
void es_out_sent(struct es_net *es, struct es_sa *sa, u64 oseq);
void es_out_guess(struct es_net *es, struct es_sa *sa, struct xfrm_state *x);
void es_out_gap_begins(struct es_group *g);
void es_out_gap_taken(struct es_net *es);
void es_out_leaves_gap(struct es_net *es, struct es_sa *sa);
void es_out_silence(struct es_sa *sa);
bool es_out_doubt(struct es_net *es, struct es_sa *sa, bool spare, const char *why);
void es_out_named(struct es_net *es, struct es_sa *sa);
void es_out_passed_heard(struct es_net *es, struct es_peer *p, struct es_sa *sa, u64 ceiling);
void es_out_forgotten(struct es_sa *sa, u64 oseq);
void es_out_release(struct es_net *es, struct es_sa *sa, bool open);
void es_out_lifetime(struct es_net *es, struct es_sa *sa);
void es_out_fill(struct es_net *es, const struct es_peer *p, struct es_sa *sa, struct es_wire_rec *r);
bool es_out_settled(const struct es_group *g);
bool es_binds(const struct es_group *g, const struct es_peer *p);
bool es_believes(const struct es_net *es, const struct es_peer *p);

#endif /* ESPSYNC_OUT_H */
