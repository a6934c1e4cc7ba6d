/* SPDX-License-Identifier: GPL-2.0 */
/*
 * place.h - which group an SA belongs to.
 */
#ifndef ESPSYNC_PLACE_H
#define ESPSYNC_PLACE_H

#include "espsync.h"

struct es_group *es_place(struct es_net *es, u16 family, const xfrm_address_t *local, const xfrm_address_t *remote);
struct es_group *es_place_esp(struct es_net *es, u16 family, const xfrm_address_t *local, const xfrm_address_t *remote);
struct es_group *es_place_out(struct es_net *es, const struct xfrm_state *x);
struct es_group *es_place_state(struct es_net *es, const struct xfrm_state *x, u8 *dir);
bool es_placed(const struct es_group *g);
void es_place_sa(struct es_net *es, struct es_sa *sa, struct es_group *g);
void es_place_named(struct es_net *es, struct es_sa *sa, struct es_group *g);

struct es_group *es_place_find(struct es_net *es, u32 id);
u8 es_place_role(struct es_net *es, u32 id, const struct es_scope *scope);
int es_place_set(struct es_net *es, u32 id, struct es_scope *scope, struct netlink_ext_ack *extack);
int es_place_del(struct es_net *es, struct es_group *g, struct netlink_ext_ack *extack);
void es_place_init(struct es_net *es);
void es_place_free(struct es_net *es);

#endif /* ESPSYNC_PLACE_H */
