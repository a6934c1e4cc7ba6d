/* SPDX-License-Identifier: GPL-2.0 */
/*
 * sa.h - the table of SAs.
 */
#ifndef ESPSYNC_SA_H
#define ESPSYNC_SA_H

#include "espsync.h"

int es_sa_table_init(struct es_net *es);
void es_sa_table_free(struct es_net *es);

struct es_sa *es_sa_find(struct es_net *es, u8 proto, __be32 spi, u64 fp);
struct es_sa *es_sa_by_state(struct es_net *es, const struct xfrm_state *x);
struct es_sa *es_sa_by_addr(struct es_net *es, const struct es_addr *dst, __be32 spi, u8 proto);
struct es_group *es_sa_sender(struct es_net *es, u16 family, const void *dst, __be32 spi);
struct es_sa *es_sa_new(struct es_net *es, u8 proto, __be32 spi, u64 fp);
struct es_sa *es_sa_get(struct es_net *es, u32 handle);
bool es_sa_clashes(struct es_net *es, const struct es_sa *sa);
void *es_sa_ref(const struct es_sa *sa);
struct es_sa *es_sa_deref(struct es_net *es, void *ref);
void es_sa_revive(struct es_net *es, struct es_sa *sa);
void es_sa_entomb(struct es_net *es, struct es_sa *sa, bool orphan);
void es_sa_free(struct es_net *es, struct es_sa *sa);
void es_sa_queue(struct es_net *es, struct es_sa *sa);
struct es_sa *es_sa_next_queued(struct es_net *es);
bool es_sa_keep(struct es_net *es, struct es_sa *sa, u64 oseq, const struct es_window *w, u64 bytes, u64 packets);

#endif /* ESPSYNC_SA_H */
