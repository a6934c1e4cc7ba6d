/* SPDX-License-Identifier: GPL-2.0 */
/*
 * noevents.h - libevent's calls, after which nothing ever happens: the target itself calls event_calls() when it wants.
 */
#ifndef FUZZ_NOEVENTS_H
#define FUZZ_NOEVENTS_H

#include <event2/event.h>

static event_callback_fn event_calls;	/* of the newest event */

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn fn, void *arg)
{
	(void)base, (void)fd, (void)what;
	event_calls = fn;
	return arg;
}

int event_add(struct event *ev, const struct timeval *tv)
{
	(void)ev, (void)tv;
	return 0;
}

void event_free(struct event *ev)
{
	(void)ev;
}

#endif /* FUZZ_NOEVENTS_H */
