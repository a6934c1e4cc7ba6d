/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.h - what the kernel multicasts, as JSON, until a signal ends the program.
 */
#ifndef ESPSYNC_LISTEN_H
#define ESPSYNC_LISTEN_H

#include <jansson.h>
#include <stdint.h>

struct knl;
struct object;

/**
 * struct listener - who is told, and of what
 * @group: the multicast group
 * @cmd: that of its messages
 * @object: what each carries
 * @buffer: bytes that may wait to be read; 0: the kernel's default
 * @each_ms: @on_pause is called at least so often, 0: only when something came
 * @on_object: called for each; takes the JSON
 * @on_lost: called when some were lost, because the buffer was full
 * @on_pause: called at the beginning, and whenever all that came has been told. Returns 0 to go on, else the exit code to end with
 * @arg: their argument
 */
struct listener {
	const char *group;
	uint8_t cmd;
	const struct object *object;
	int buffer;
	int each_ms;
	void (*on_object)(json_t *json, void *arg);
	void (*on_lost)(void *arg);
	int (*on_pause)(void *arg);
	void *arg;
};

/**
 * listen_until_signal() - subscribe, and tell a listener what comes, until SIGINT or SIGTERM
 * @nl: opened; not for requests any more
 * @l: the listener
 *
 * The signals stay blocked afterwards, so that what is to be done at the end is done.
 *
 * Return: DONE after a signal, what @l->on_pause returned, or REFUSED after having said why.
 */
int listen_until_signal(struct knl *nl, const struct listener *l);

#endif /* ESPSYNC_LISTEN_H */
