/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * context: the IKEv2/IPsec context of one VPN, as one thing that can be carried elsewhere.
 *
 * Room: what belongs to it, and how it travels: an IKE SA with all that rebuilds it and its CHILD SAs (a journal of that chain alone), the
 * numbers of each of its SAs, and what the node that had it said of the connection's configuration. Pure. How it is kept from others on
 * its way, and what becomes of it where it arrives, are others' business; what is read here is believed in nothing until all of it was
 * checked.
 */
#ifndef ESPSYNCD_CONTEXT_H
#define ESPSYNCD_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "codec.h"
#include "config.h"
#include "digest.h"
#include "journal.h"
#include "numbers.h"

#define CONTEXT_MAX	(16 << 20)	/* of one, as it travels */

/**
 * struct context - it
 * @node: that had it
 * @time_s: when it was taken, since 1970
 * @journal: its IKE SA and no other
 * @numbers: struct numbers, of each of its SAs
 * @config: what @node says of the connection, sorted
 */
struct context {
	uint8_t node;
	uint64_t time_s;
	struct journal *journal;
	struct bytes numbers;
	struct digest config;
};

/**
 * context_take() - begin one
 * @c: filled; context_free() ends it
 * @sa: an IKE SA that lives
 * @config: what this node says of all its configuration; what concerns the connection is taken
 *
 * The numbers are the caller's to add.
 */
void context_take(struct context *c, const struct journal_sa *sa, const struct digest *config);

void context_free(struct context *c);

/* Its IKE SA, and the version of the ha plugin's messages that tell of it. */
struct journal_sa *context_sa(const struct context *c);
uint8_t context_version(const struct context *c);

/**
 * context_each_spi() - the SAs that it must have the numbers of
 * @sa: the IKE SA
 * @each: called for each
 * @ctx: for @each
 */
void context_each_spi(const struct journal_sa *sa, void (*each)(void *ctx, enum espsync_dir dir, const struct ha_addr *dst, uint32_t spi), void *ctx);

/**
 * context_move() - from now on its gateway has another address
 * @c: the context
 * @local: that address; of the family of the one before, whose port stays
 *
 * Return: false if one of its messages does not tell both addresses; then @c is as it was
 */
bool context_move(struct context *c, const struct config_addr *local);

/* Leave a CHILD SA out, by its inbound or outbound SPI, with its numbers. */
void context_leave_out(struct context *c, uint32_t spi);

/* Those of one SA, or NULL. */
const struct numbers *context_numbers(const struct context *c, enum espsync_dir dir, uint32_t spi);

/* What a node says of a connection of that name, and of what it needs; sorted, if @all is. */
void context_config(struct digest *some, const struct digest *all, const char *conn);

void context_write(const struct context *c, struct bytes *b);

/**
 * context_read() - what somebody wrote
 * @c: filled, if it is one
 * @data: what came
 * @len: its length
 *
 * Return: NULL, or what is wrong with it; then @c holds nothing
 */
const char *context_read(struct context *c, const uint8_t *data, size_t len);

#endif /* ESPSYNCD_CONTEXT_H */
