/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * helper.h - a question to this node's espsyncd, and its answer.
 */
#ifndef ESPSYNC_HELPER_H
#define ESPSYNC_HELPER_H

#include <stddef.h>

#include "cli.h"

#define HELPER_MAX (16 << 20) /* of what is asked, and of what is answered */

/**
 * struct answer - what espsyncd says
 * @code: enum exit_code
 * @data: of @len bytes, and NUL behind; the caller frees it
 * @len: its length
 */
struct answer {
	int code;
	char *data;
	size_t len;
};

/**
 * helper_ask() - ask, and wait
 * @what: the command, for refusals
 * @word: what is asked
 * @data: what belongs to it
 * @len: its length
 * @answer: result
 *
 * Return: 0, or an exit code after having said why there is no answer.
 */
int helper_ask(const char *what, const char *word, const void *data, size_t len, struct answer *answer);

#endif /* ESPSYNC_HELPER_H */
