/* SPDX-License-Identifier: GPL-2.0 */
/*
 * espsyncd_conns.h - vici messages from text, as swanctl --raw shows them: name { key=value list=[ a b ] }
 */
#ifndef UNIT_ESPSYNCD_CONNS_H
#define UNIT_ESPSYNCD_CONNS_H

#include <stdio.h>
#include <string.h>

#include "../../user/espsyncd/bytes.h"
#include "../../user/espsyncd/vici_msg.h"

static inline void conns_named(struct bytes *b, enum vici_element e, const char *name, size_t len)
{
	bytes_add_u8(b, e);
	bytes_add_u8(b, len);
	bytes_add(b, name, len);
}

static inline struct bytes conns_message(const char *text)
{
	struct bytes b = { 0 };
	char all[4096], *save, *w, *eq;

	snprintf(all, sizeof(all), "%s", text);
	for (w = strtok_r(all, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		eq = strchr(w, '=');
		if (!strcmp(w, "}")) {
			bytes_add_u8(&b, VICI_SECTION_END);
		} else if (!strcmp(w, "]")) {
			bytes_add_u8(&b, VICI_LIST_END);
		} else if (eq && eq[1] == '[') {
			conns_named(&b, VICI_LIST_START, w, eq - w);
		} else if (eq) {
			*eq = 0;
			vici_put(&b, w, eq + 1);
		} else if (save && *save == '{') {
			conns_named(&b, VICI_SECTION_START, w, strlen(w));
			strtok_r(NULL, " \n", &save);
		} else {
			bytes_add_u8(&b, VICI_LIST_ITEM);
			bytes_add_u16(&b, strlen(w));
			bytes_add(&b, w, strlen(w));
		}
	}
	return b;
}

#endif /* UNIT_ESPSYNCD_CONNS_H */
