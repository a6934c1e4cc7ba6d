/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * steer.h - which packets of the far ends go on to which node, as rules of nft.
 */
#ifndef ESPSYNC_STEER_H
#define ESPSYNC_STEER_H

#include <jansson.h>
#include <stdint.h>

#include "parse.h"

/**
 * struct hop - where a node takes what is forwarded to it
 * @node: its number
 * @addr: its address on the device that leads to it
 */
struct hop {
	uint32_t node;
	struct addr addr;
};

/**
 * struct steering - how packets go on, whatever groups there are
 * @from: devices at which the far ends' packets arrive
 * @n_from: how many
 * @over: the device that leads to the other nodes
 * @hops: the nodes, this one may be among them; one for each node and family
 * @n_hops: how many
 */
struct steering {
	char *const *from;
	int n_from;
	const char *over;
	const struct hop *hops;
	int n_hops;
};

/* What takes away all that steer_rules() makes; nothing to take away is no error. */
extern const char steer_nothing[];

/**
 * steer_rules() - the rules for what the groups are now
 * @s: the way
 * @groups: as `espsync -j show groups` has them, in that order
 *
 * Return: a script for nft that replaces all rules in one step; to be freed. NULL: out of memory.
 */
char *steer_rules(const struct steering *s, const json_t *groups);

/**
 * steer_lacks() - whether some packets of a group stay here because its owner's address is not known
 * @s: the way
 * @group: one of them
 * @family: result: "IPv4" or "IPv6"
 *
 * Return: the owner's number, 0 if nothing is missing.
 */
uint32_t steer_lacks(const struct steering *s, const json_t *group, const char **family);

#endif /* ESPSYNC_STEER_H */
