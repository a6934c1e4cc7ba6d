/* SPDX-License-Identifier: GPL-2.0 */
/*
 * espsyncd_quiet.h - the helper's log, of which the last warning is kept for the program, and a clock that it sets.
 */
#ifndef UNIT_ESPSYNCD_QUIET_H
#define UNIT_ESPSYNCD_QUIET_H

#include <stdarg.h>
#include <stdio.h>

#include "../../user/espsyncd/log.h"

static uint64_t clock_ms;
static char warning[512];

uint64_t now_ms(void)
{
	return clock_ms;
}

void log_info(const char *fmt, ...)
{
	(void)fmt;
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(warning, sizeof(warning), fmt, ap);
	va_end(ap);
}

#endif /* UNIT_ESPSYNCD_QUIET_H */
