// SPDX-License-Identifier: GPL-2.0-or-later
/* unprotected: tunnels that a failover would lose, in words. Pure. See unprotected.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "unprotected.h"

static void make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void unprotected_add(struct unprotected *u, const char *fmt, ...)
{
	va_list ap;

	if (u->n++ >= UNPROTECTED_SHOWN)
		return;
	va_start(ap, fmt);
	vsnprintf(u->text[u->n - 1], UNPROTECTED_TEXT, fmt, ap);
	va_end(ap);
	make_printable(u->text[u->n - 1]);
}

unsigned int unprotected_shown(const struct unprotected *u)
{
	return u->n < UNPROTECTED_SHOWN ? u->n : UNPROTECTED_SHOWN;
}

void unprotected_join(struct unprotected *u, const struct unprotected *more, const char *who)
{
	unsigned int i, shown = unprotected_shown(more);

	for (i = 0; i < shown; i++)
		unprotected_add(u, "%s%s", who, more->text[i]);
	u->n += more->n - shown;
}

void unprotected_sum_up(struct unprotected *u)
{
	if (u->n > UNPROTECTED_SHOWN)
		snprintf(u->text[UNPROTECTED_SHOWN - 1], UNPROTECTED_TEXT, "%u more tunnels are not protected: look at the logs of espsyncd",
			 u->n - UNPROTECTED_SHOWN + 1);
}

void unprotected_put(struct bytes *b, const struct unprotected *u)
{
	unsigned int i, shown = unprotected_shown(u);

	bytes_add_u32(b, u->n);
	for (i = 0; i < shown; i++) {
		size_t len = strlen(u->text[i]);

		bytes_add_u8(b, len);
		bytes_add(b, u->text[i], len);
	}
}

bool unprotected_get(struct unprotected *u, const uint8_t *data, size_t len)
{
	unsigned int i, n = len < 4 ? 0 : get_u32(data);
	size_t at = 4;

	memset(u, 0, sizeof(*u));
	if (len < 4 || n > INT32_MAX)
		return false;
	for (i = 0; i < n && i < UNPROTECTED_SHOWN; i++) {
		if (at == len || data[at] >= UNPROTECTED_TEXT || len - at - 1 < data[at]) {
			memset(u, 0, sizeof(*u));
			return false;
		}
		memcpy(u->text[i], data + at + 1, data[at]);
		at += 1 + data[at];
	}
	u->n = n;
	return true;
}
