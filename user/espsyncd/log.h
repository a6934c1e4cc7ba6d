/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log: short lines for whoever runs the gateway, to stderr or syslog.
 *
 * Room: where a line goes. Never a key, a secret or a message's bytes: callers pass names, numbers and sentences.
 */
#ifndef ESPSYNCD_LOG_H
#define ESPSYNCD_LOG_H

#include <stdbool.h>
#include <stdint.h>

/**
 * log_open() - choose where lines go
 * @foreground: to stderr; else to syslog
 */
void log_open(bool foreground);

void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Milliseconds that never go back. */
uint64_t now_ms(void);

#endif /* ESPSYNCD_LOG_H */
