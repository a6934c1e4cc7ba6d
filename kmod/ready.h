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

/**
 * struct es_tally - SAs of a group that no other node could carry on
 * @stale: in doubt
 * @bare: not protected
 * @clash: that a peer has with another key
 * @a_stale: SPI of one of them, big endian
 * @a_bare: the same
 * @a_clash: the same
 */
struct es_tally {
	u32 stale, bare, clash;
	__be32 a_stale, a_bare, a_clash;
};

void es_ready_tally(struct es_net *es, struct es_sa *sa, struct es_tally *t);
void es_ready_watch(struct es_net *es, const struct es_tally *t);
unsigned int es_ready(struct es_net *es, const struct es_group *only, bool local, struct es_reason *r);

#endif /* ESPSYNC_READY_H */
