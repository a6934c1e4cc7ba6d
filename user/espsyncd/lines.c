// SPDX-License-Identifier: GPL-2.0-or-later
/* lines: sentences for whoever asks whether all nodes are alike. Pure. See lines.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lines.h"

bool lines_has(const struct lines *l, const char *text)
{
	unsigned int i;

	for (i = 0; i < l->n; i++) {
		if (!strcmp(l->text[i], text))
			return true;
	}
	return false;
}

void lines_add(struct lines *l, const char *fmt, ...)
{
	char text[LINES_LEN], *c;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	if (lines_has(l, text))
		return;
	if (l->n == LINES_MAX)
		l->more++;
	else
		memcpy(l->text[l->n++], text, sizeof(text));
}

void lines_end(struct lines *l)
{
	if (l->more)
		snprintf(l->text[LINES_MAX - 1], LINES_LEN, "%u more differences and options that are not carried: mend these, then look again", l->more + 1);
}
