/* SPDX-License-Identifier: GPL-2.0 */
/*
 * group.h - roles and epochs.
 */
#ifndef ESPSYNC_GROUP_H
#define ESPSYNC_GROUP_H

#include "espsync.h"

bool es_group_settling(const struct es_group *g);
bool es_group_in(const struct es_group *g);
int es_group_keep_silent(struct es_group *g);
int es_group_promote(struct es_group *g, u32 *doubtful, struct netlink_ext_ack *extack);
void es_group_stand_down(struct es_group *g, const char *why);
void es_group_heard(struct es_group *g, struct es_peer *p, const struct es_wire_group *w, u64 echo, bool newest);
void es_group_tell(struct es_group *g, struct es_peer *p, struct es_wire_group *w);
void es_group_unsaid(struct es_group *g);
void es_group_forgotten(struct es_net *es);
void es_group_reset(struct es_group *g);
void es_group_ranks(struct es_net *es);

int es_guard_update(struct es_net *es);
void es_guard_remove(struct es_net *es);

#endif /* ESPSYNC_GROUP_H */
