/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nl_fill.h - objects as netlink attributes.
 */
#ifndef ESPSYNC_NL_FILL_H
#define ESPSYNC_NL_FILL_H

#include <net/genetlink.h>

#include "espsync.h"

/**
 * struct es_census - SAs of a group
 * @total: known here
 * @protected: that would survive this node or their owner
 */
struct es_census {
	u32 total;
	u32 protected;
};

int es_nl_addr(struct sk_buff *skb, int type, u16 family, const void *raw);
int es_nl_channel(struct es_net *es, struct sk_buff *skb);
int es_nl_peer(struct es_peer *p, u32 total, struct sk_buff *skb);
int es_nl_group(const struct es_group *g, struct sk_buff *skb, const struct es_census *c, u32 doubtful, int flushed);
int es_nl_sa(struct es_net *es, struct es_sa *sa, struct sk_buff *skb);
int es_nl_stats(struct es_net *es, struct sk_buff *skb);

enum espsync_sa_state es_sa_state(struct es_net *es, struct es_sa *sa);
u32 es_sa_live(struct es_net *es);
void es_sa_census(struct es_net *es, struct es_census *c);

#endif /* ESPSYNC_NL_FILL_H */
