// SPDX-License-Identifier: GPL-2.0-or-later
/* vrrp_line: a line of keepalived's notify_fifo. Pure. See vrrp.h. */
#include <string.h>

#include "vrrp.h"

static const char *skip_word(const char *s, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(s, word, n) && (s[n] == ' ' || !s[n]) ? s + n + (s[n] == ' ') : NULL;
}

/* Which states there are, and what each means for a gateway. Others (priority changes) say nothing about the role. */
static const struct {
	const char *word;
	enum vrrp_state state;
} states[] = {
	{ "MASTER", VRRP_MASTER },
	{ "BACKUP", VRRP_NOT_MASTER },
	{ "FAULT", VRRP_NOT_MASTER },
	{ "STOP", VRRP_NOT_MASTER },
	{ "DELETED", VRRP_NOT_MASTER },
};

enum vrrp_state vrrp_parse_line(const char *line, const char *instance)
{
	const char *name = skip_word(line, "INSTANCE"), *end;
	bool group = false;
	size_t i;

	if (!name) {
		name = skip_word(line, "GROUP");
		group = true;
	}
	if (!name || *name != '"')
		return VRRP_UNKNOWN;
	end = strchr(++name, '"');
	if (!end || end[1] != ' ')
		return VRRP_UNKNOWN;
	if (*instance ? strlen(instance) != (size_t)(end - name) || strncmp(name, instance, end - name) : group)
		return VRRP_UNKNOWN;
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (skip_word(end + 2, states[i].word))
			return states[i].state;
	}
	return VRRP_UNKNOWN;
}
