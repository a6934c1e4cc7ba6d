/* SPDX-License-Identifier: GPL-2.0 */
/*
 * km.h - the key manager: how the module hears of SAs.
 */
#ifndef ESPSYNC_KM_H
#define ESPSYNC_KM_H

#include "espsync.h"

void es_km_register(void);
void es_km_unregister(void);
int es_km_walk(struct es_net *es);
void es_km_adopt(struct es_net *es, struct xfrm_state *x, bool locked, bool told);
void es_km_put_old(struct es_net *es);
bool es_km_expect(struct es_net *es, u8 proto, __be32 spi);
void es_km_expect_purge(struct es_net *es, bool all);

#endif /* ESPSYNC_KM_H */
