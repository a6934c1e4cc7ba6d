/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * err.h - one sentence on stderr: `espsync: WHAT: WHY (REMEDY)`.
 */
#ifndef ESPSYNC_ERR_H
#define ESPSYNC_ERR_H

/**
 * fail() - say what went wrong
 * @code: the exit code that follows from it
 * @what: the command or the thing that is meant
 * @remedy: what to do about it, or NULL
 * @why: format of the reason
 *
 * Return: @code, so that a caller can return at once.
 */
int fail(int code, const char *what, const char *remedy, const char *why, ...) __attribute__((format(printf, 4, 5)));

#endif /* ESPSYNC_ERR_H */
