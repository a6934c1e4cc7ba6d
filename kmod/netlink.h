/* SPDX-License-Identifier: GPL-2.0 */
/*
 * netlink.h - the generic netlink family.
 */
#ifndef ESPSYNC_NETLINK_H
#define ESPSYNC_NETLINK_H

#include <net/genetlink.h>

#include "espsync.h"

enum es_mcgrp { ES_MCGRP_EVENT, ES_MCGRP_COUNTER };

extern struct genl_family es_family;

int es_netlink_register(void);
void es_netlink_unregister(void);
int es_config_check(const struct es_config *c, const char **why);
void es_config_defaults(struct es_config *c);
void es_config_port(struct es_config *c, __be16 port);

#endif /* ESPSYNC_NETLINK_H */
