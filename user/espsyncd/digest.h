/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest: what a node says of its configuration, to be compared with what others say.
 *
 * Room: a sorted list of items in memory and on the wire, which is the same bytes. Pure. What comes from a peer is hostile: it is taken
 * whole, checked to the last byte, or not at all. What stands in the list is facts' business, what follows from a difference differ's.
 */
#ifndef ESPSYNCD_DIGEST_H
#define ESPSYNCD_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define DIGEST_MAX	(4 << 20)	/* of one: some 4000 connections */
#define DIGEST_NAME	255
#define DIGEST_VALUE	8191

/* Where an item is from. */
enum digest_part {
	DIGEST_NODE,		/* of no connection: release, pools, charon's own settings */
	DIGEST_LOADED,		/* of a connection, as charon says over vici */
	DIGEST_WRITTEN,		/* of one that charon has, as its file says: what charon does not tell */
	DIGEST_PARTS,
};

/**
 * struct digest_item - one of the list; its strings are the digest's
 * @part: where it is from
 * @conn: connection, empty for DIGEST_NODE
 * @child: of it, or empty
 * @key: what; empty: that it is there
 * @value: as text
 */
struct digest_item {
	enum digest_part part;
	const char *conn;
	const char *child;
	const char *key;
	const char *value;
};

/**
 * struct digest - the list
 * @text: of each item its part u8 and its four strings, each ending with NUL
 * @at: where each item begins in @text, uint32_t
 * @too_large: not all found room
 */
struct digest {
	struct bytes text;
	struct bytes at;
	bool too_large;
};

/**
 * digest_add() - one more item, in any order
 * @d: the list
 * @item: it; what is longer than it may be is cut
 */
void digest_add(struct digest *d, const struct digest_item *item);

/* Once all are there, and before anything else. Of two that say the same thing, the first one counts. */
void digest_sort(struct digest *d);

/**
 * digest_read() - a peer's
 * @d: filled, if it is one
 * @data: what it sent
 * @len: its length
 *
 * Return: false if it is none: then @d is empty
 */
bool digest_read(struct digest *d, const uint8_t *data, size_t len);

unsigned int digest_count(const struct digest *d);
struct digest_item digest_item(const struct digest *d, unsigned int i);

/* The order of the list: less than 0 if @a comes first, 0 if they are about the same. */
int digest_order(const struct digest_item *a, const struct digest_item *b);

/* An item's value, or NULL. */
const char *digest_value(const struct digest *d, enum digest_part part, const char *conn, const char *child, const char *key);

bool digest_equal(const struct digest *a, const struct digest *b);
void digest_free(struct digest *d);

#endif /* ESPSYNCD_DIGEST_H */
