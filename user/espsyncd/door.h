/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * door: asks the helper of another group of this machine, where the tool would.
 *
 * Room: the unix socket of its control.h from the other side, one question at a time, and how long is waited. What is asked is the caller's
 * business.
 */
#ifndef ESPSYNCD_DOOR_H
#define ESPSYNCD_DOOR_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum door_result {
	DOOR_ANSWERED,
	DOOR_CLOSED,	/* it cannot have heard all of the question */
	DOOR_SILENT,	/* it may have heard it, and has not answered */
};

/**
 * struct door_answer - what came of a question
 * @result: whether there is an answer
 * @code: its exit code
 * @data: its text, which is the caller's only until the call returns; or why there is none
 * @len: of @data
 */
struct door_answer {
	enum door_result result;
	uint8_t code;
	const uint8_t *data;
	size_t len;
};

struct door;

struct door *door_alloc(struct event_base *base, const char *path);
void door_free(struct door *d);

/**
 * door_ask() - a question
 * @d: the door, at which nobody waits for an answer
 * @word: what is asked
 * @data: what belongs to it
 * @len: of @data
 * @done: called once, maybe at once
 * @ctx: for @done
 */
void door_ask(struct door *d, const char *word, const uint8_t *data, size_t len, void (*done)(void *ctx, const struct door_answer *a), void *ctx);

bool door_is_busy(const struct door *d);

#endif /* ESPSYNCD_DOOR_H */
