/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vici_msg: the encoding of strongSwan's vici protocol.
 *
 * Room: elements in and out of a message. Pure: no I/O, no allocation but bytes.h. Written from the protocol's description;
 * what charon sends is checked like anything from outside.
 */
#ifndef ESPSYNCD_VICI_MSG_H
#define ESPSYNCD_VICI_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum vici_element {
	VICI_END,		/* of the message */
	VICI_SECTION_START,
	VICI_SECTION_END,
	VICI_KEY_VALUE,
	VICI_LIST_START,
	VICI_LIST_ITEM,
	VICI_LIST_END,
	VICI_MALFORMED = -1,
};

#define VICI_NAME	256
#define VICI_VALUE	256
#define VICI_DEPTH	8

/**
 * struct vici_reader - where reading stands
 * @p: what is left
 * @left: how much of it
 * @depth: sections open
 * @section: their names, outermost first
 * @name: of the element read last
 * @value: of the element read last, cut to what fits, ending with NUL
 */
struct vici_reader {
	const uint8_t *p;
	size_t left;
	int depth;
	char section[VICI_DEPTH][VICI_NAME];
	char name[VICI_NAME];
	char value[VICI_VALUE];
};

void vici_read(struct vici_reader *r, const uint8_t *data, size_t len);
enum vici_element vici_next(struct vici_reader *r);

void vici_put(struct bytes *b, const char *name, const char *value);

#endif /* ESPSYNCD_VICI_MSG_H */
