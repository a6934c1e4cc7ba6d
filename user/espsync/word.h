/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * word.h - lists of words: the names behind enums, and which word somebody may have meant.
 */
#ifndef ESPSYNC_WORD_H
#define ESPSYNC_WORD_H

#include <stddef.h>

/**
 * struct words - names of an enum's values, by value
 * @v: the names; a NULL is a value without a name
 * @n: how many
 */
struct words {
	const char *const *v;
	size_t n;
};

#define WORDS(...)                                                                                                     \
	{                                                                                                              \
		.v = (const char *const[]){ __VA_ARGS__ },                                                             \
		.n = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)                               \
	}

extern const struct words words_peer_state, words_link_state, words_drop, words_role, words_doubt, words_overrun, words_evict, words_store, words_inbound;
extern const struct words words_sa_state, words_dir, words_proto, words_reason, words_event;

/**
 * word_name() - the name of a value
 * @words: the list
 * @value: the value
 *
 * Return: the name, or NULL where the list has none.
 */
const char *word_name(const struct words *words, unsigned int value);

/**
 * word_find() - the value of a name
 * @words: the list
 * @name: the name
 *
 * Return: the value, or -1.
 */
int word_find(const struct words *words, const char *name);

/**
 * word_nearest() - what somebody who wrote @name may have meant
 * @words: the list
 * @name: what was written
 *
 * Return: the nearest word if it is near, else NULL.
 */
const char *word_nearest(const struct words *words, const char *name);

/**
 * word_unknown() - refuse a word, suggesting the nearest or naming all
 * @what: the command
 * @words: what would have been understood
 * @name: what was written
 *
 * Return: the exit code BAD.
 */
int word_unknown(const char *what, const struct words *words, const char *name);

#endif /* ESPSYNC_WORD_H */
