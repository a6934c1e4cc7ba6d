// SPDX-License-Identifier: GPL-2.0-or-later
/* json: the little of JSON that is written here. Pure. See json.h. */
#include <stdio.h>
#include <string.h>

#include "json.h"

static void add(struct bytes *b, const char *text)
{
	bytes_add(b, text, strlen(text));
}

/* Names are of configurations, in whatever encoding: what is not ASCII could be no UTF-8. */
static void add_quoted(struct bytes *b, const char *s)
{
	char escape[8];

	bytes_add_u8(b, '"');
	for (; *s; s++) {
		unsigned char c = *s;

		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
			bytes_add_u8(b, c);
		} else {
			snprintf(escape, sizeof(escape), "\\u%04x", c);
			add(b, escape);
		}
	}
	bytes_add_u8(b, '"');
}

static void begin(struct bytes *b, const char *key)
{
	char last = bytes_left(b) ? b->data[b->len - 1] : '[';

	if (last != '[' && last != '{')
		bytes_add_u8(b, ',');
	if (!key)
		return;
	add_quoted(b, key);
	bytes_add_u8(b, ':');
}

void json_begin(struct bytes *b, const char *key, char bracket)
{
	begin(b, key);
	bytes_add_u8(b, bracket);
}

void json_end(struct bytes *b, char bracket)
{
	bytes_add_u8(b, bracket);
}

void json_string(struct bytes *b, const char *key, const char *value)
{
	begin(b, key);
	add_quoted(b, value);
}

void json_number(struct bytes *b, const char *key, uint32_t value)
{
	char text[16];

	begin(b, key);
	snprintf(text, sizeof(text), "%u", value);
	add(b, text);
}

void json_null(struct bytes *b, const char *key)
{
	begin(b, key);
	add(b, "null");
}

void json_bool(struct bytes *b, const char *key, bool value)
{
	begin(b, key);
	add(b, value ? "true" : "false");
}
