/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ready.h - whether a failover would lose nothing.
 */
#ifndef ESPSYNC_READY_H
#define ESPSYNC_READY_H

#include "espsync.h"

/**
 * struct es_reason - why not
 * @code: enum espsync_reason
 * @peer: node, 0 none
 * @group: number
 * @spi: an example, big endian, 0 none
 * @count: how many, 0 unknown
 * @text: one sentence with the remedy
 */
struct es_reason {
	u8 code;
	u8 peer;
	u32 group;
	__be32 spi;
	u32 count;
	const char *text;
};

#define ES_MAX_REASONS 64

unsigned int es_ready(struct es_net *es, const struct es_group *only, bool local, struct es_reason *r);

#endif /* ESPSYNC_READY_H */
