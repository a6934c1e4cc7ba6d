// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * err.c - the form of every error. Knows no command and no errno.
 *
 * What is quoted comes from command lines, files and the kernel: control characters do not reach the terminal.
 */
#include <stdarg.h>
#include <stdio.h>

#include "err.h"

int fail(int code, const char *what, const char *remedy, const char *why, ...)
{
	char line[1024];
	int len = 0;
	va_list ap;

	va_start(ap, why);
	len = vsnprintf(line, sizeof(line), why, ap);
	va_end(ap);
	if (len < 0)
		line[0] = '\0';
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (remedy)
		fprintf(stderr, "espsync: %s: %s (%s)\n", what, line, remedy);
	else
		fprintf(stderr, "espsync: %s: %s\n", what, line);
	return code;
}
