/* SPDX-License-Identifier: GPL-2.0 */
/*
 * quiet.h - the helper's log and clock: what is logged is made, so that its arguments are looked at, and thrown away; time is the
 * target's.
 */
#ifndef FUZZ_QUIET_H
#define FUZZ_QUIET_H

#include <stdarg.h>

#include "../../user/espsyncd/log.h"
#include "fuzz.h"

static uint64_t clock_ms;

uint64_t now_ms(void)
{
	return clock_ms;
}

static void nowhere(const char *fmt, va_list ap)
{
	char line[512];

	must(vsnprintf(line, sizeof(line), fmt, ap) >= 0);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	nowhere(fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	nowhere(fmt, ap);
	va_end(ap);
}

#endif /* FUZZ_QUIET_H */
