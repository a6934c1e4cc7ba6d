/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control: the unix socket on which the tool asks this helper.
 *
 * Room: who may ask, one question at a time, how long is waited for it, and its framing. What is asked and answered is others' business.
 *
 *   question: length u32, a word, a blank, and whatever belongs to it      answer: length u32, exit code u8, text or data
 */
#ifndef ESPSYNCD_CONTROL_H
#define ESPSYNCD_CONTROL_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_SOCKET	"/run/espsync/control"
#define CONTROL_MAX	((16 << 20) + 4096)	/* of a question */

/* Exit codes of the tool. */
enum control_code {
	CONTROL_DONE,
	CONTROL_NO,
	CONTROL_BAD,
	CONTROL_REFUSED,
};

struct control;

/**
 * control_open() - listen
 * @base: event loop
 * @asked: called with a question; control_answer() is to follow, at once or later, and no other question before
 * @ctx: for @asked
 *
 * Return: the socket; if nobody can be listened to, that was logged
 */
struct control *control_open(struct event_base *base, void (*asked)(void *ctx, const uint8_t *data, size_t len), void *ctx);
void control_close(struct control *c);

void control_answer(struct control *c, enum control_code code, const void *data, size_t len);

#endif /* ESPSYNCD_CONTROL_H */
