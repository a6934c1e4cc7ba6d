/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nl_scope.h - what is to belong to a group, as a request says it.
 */
#ifndef ESPSYNC_NL_SCOPE_H
#define ESPSYNC_NL_SCOPE_H

#include <net/genetlink.h>

#include "espsync.h"

extern const struct nla_policy es_prefix_policy[ESPSYNC_A_PREFIX_MAX + 1];

int es_nl_get_addr(struct genl_info *info, const struct nlattr *a, struct es_addr *to);
int es_nl_get_scope(struct genl_info *info, struct nlattr **tb, struct es_scope **scope);

#endif /* ESPSYNC_NL_SCOPE_H */
