// SPDX-License-Identifier: GPL-2.0-or-later
/* bounce: an active charon takes up what was mirrored into it meanwhile. See bounce.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bounce.h"
#include "bytes.h"
#include "hush.h"
#include "log.h"

/*
 * For charon to finish what it was answering: in the middle of an exchange it locks itself up when it drops its segment, as it does when it becomes
 * passive. What far ends say meanwhile they say again.
 */
#define QUIET_MS	200
#define REST_MS		20	/* charon says that it has dropped before it opens its FIFO anew: a command in between is lost, and a second with it */
#define GIVE_UP_MS	5000	/* charon does not follow: its segment is asked for on, but others shall be heard */

enum phase { IDLE, QUIETING, DROPPING, RESTING, TAKING };

struct bounce {
	struct segment *segment;
	struct event *timer;
	struct hush *hush;
	enum phase phase;
	uint64_t since_ms;
	char why[128];
	void (*done)(void *ctx, const char *why, unsigned int deaf_ms);
	void *ctx;
};

static void arm(struct bounce *b, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(b->timer, &tv);
}

static void finish(struct bounce *b, const char *why)
{
	b->phase = IDLE;
	event_del(b->timer);
	hush_end(b->hush);
	b->hush = NULL;
	b->done(b->ctx, why, now_ms() - b->since_ms);
}

static void drop(struct bounce *b)
{
	b->phase = DROPPING;
	arm(b, GIVE_UP_MS);
	segment_want(b->segment, false);
}

static void take(struct bounce *b)
{
	b->phase = TAKING;
	arm(b, GIVE_UP_MS);
	segment_want(b->segment, true);
}

/* It is asked on: this node is active. */
static void give_up(struct bounce *b)
{
	if (b->phase == DROPPING)
		take(b);
	if (b->phase == TAKING)
		finish(b, "charon does not take its segment again: see espsyncd's log");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct bounce *b = arg;

	(void)fd;
	(void)what;
	if (b->phase == QUIETING)
		drop(b);
	else if (b->phase == RESTING)
		take(b);
	else
		give_up(b);
}

bool bounce_settled(struct bounce *b, bool active)
{
	if (!active && b->phase == DROPPING) {
		b->phase = RESTING;
		arm(b, REST_MS);
		return true;
	}
	if (active && b->phase == TAKING) {
		finish(b, NULL);
		return true;
	}
	return false;
}

const char *bounce_begin(struct bounce *b, void (*done)(void *ctx, const char *why, unsigned int deaf_ms), void *ctx)
{
	if (b->phase != IDLE)
		return "charon is taking up another one: try again";
	b->hush = hush_begin();
	if (!b->hush) {
		snprintf(b->why, sizeof(b->why), "IKE cannot be held back for a moment: %s (does the kernel have nf_tables?)", strerror(errno));
		return b->why;
	}
	b->done = done;
	b->ctx = ctx;
	b->since_ms = now_ms();
	b->phase = QUIETING;
	arm(b, QUIET_MS);
	return NULL;
}

void bounce_cancel(struct bounce *b)
{
	if (b->phase != IDLE)
		finish(b, "this node's role changes");
}

struct bounce *bounce_alloc(struct event_base *base, struct segment *s)
{
	struct bounce *b = secret_alloc(sizeof(*b));

	b->segment = s;
	b->timer = evtimer_new(base, on_timer, b);
	return b;
}

void bounce_free(struct bounce *b)
{
	hush_end(b->hush);
	event_free(b->timer);
	secret_free(b, sizeof(*b));
}
