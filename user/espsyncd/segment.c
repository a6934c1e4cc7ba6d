// SPDX-License-Identifier: GPL-2.0-or-later
/* segment: makes charon's one segment what this node's role wants. See segment.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"
#include "segment.h"

#define RETRY_MS	20	/* charon opens the FIFO anew after each command */
#define CONFIRM_MS	1000
#define COMPLAIN_MS	5000
/* A charon that is told to stop drops its segment first; only one that goes on beating has really changed its mind. */
#define BEATS_APART	3

struct segment {
	char path[CONFIG_PATH];
	struct charon *ch;
	struct event *timer;
	void (*settled)(void *ctx, bool active);
	void *ctx;
	bool wanted;		/* a wish exists */
	bool active;		/* the wish */
	bool done;		/* @settled was called for it */
	bool held;
	bool outstanding;	/* written, not confirmed */
	int beats_apart;	/* heartbeats that contradict a fulfilled wish */
	uint64_t since_ms;
	uint64_t written_ms;
	uint64_t complained_ms;
};

static void arm(struct segment *s, long ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(s->timer, &tv);
}

static bool fulfilled(const struct segment *s)
{
	if (s->active)
		return charon_segment(s->ch) == CHARON_ACTIVE;
	/* A charon that is not there is passive, and starts passive. */
	return charon_segment(s->ch) == CHARON_PASSIVE || !charon_present(s->ch);
}

static void finish(struct segment *s)
{
	s->outstanding = false;
	s->beats_apart = 0;
	charon_pause(s->ch, false);
	event_del(s->timer);
	if (s->done)
		return;
	s->done = true;
	s->settled(s->ctx, s->active);
}

static bool write_command(const struct segment *s)
{
	int fd = open(s->path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	ok = !fstat(fd, &st) && S_ISFIFO(st.st_mode) && write(fd, s->active ? "+1\n" : "-1\n", 3) == 3;
	if (!ok && !errno)
		errno = EINVAL;
	close(fd);
	return ok;
}

static void complain(struct segment *s, const char *why)
{
	uint64_t now = now_ms();

	if (now - s->since_ms < COMPLAIN_MS || now - s->complained_ms < COMPLAIN_MS)
		return;
	s->complained_ms = now;
	log_warn("charon's segment could not be %s yet: %s: %s", s->active ? "taken" : "dropped", s->path, why);
}

/* The charon that was commanded may have died with it. The one that is filled instead must not wait for an answer that nobody gives. */
static void give_up(struct segment *s)
{
	if (!s->outstanding)
		return;
	if (now_ms() - s->written_ms < CONFIRM_MS) {
		arm(s, RETRY_MS);
		return;
	}
	s->outstanding = false;
	charon_pause(s->ch, false);
}

static void step(struct segment *s)
{
	if (!s->wanted)
		return;
	if (s->held && s->active) {
		give_up(s);
		return;
	}
	if (!charon_present(s->ch)) {
		s->outstanding = false;
		charon_pause(s->ch, false);
		if (s->active)
			arm(s, RETRY_MS);
		else
			finish(s);
		return;
	}
	if (s->outstanding && now_ms() - s->written_ms < CONFIRM_MS) {
		arm(s, RETRY_MS);
		return;
	}
	charon_pause(s->ch, true);
	if (write_command(s)) {
		if (s->outstanding)
			complain(s, "no answer");
		s->outstanding = true;
		s->written_ms = now_ms();
	} else {
		complain(s, strerror(errno));
		if (!s->outstanding)
			charon_pause(s->ch, false);
	}
	arm(s, RETRY_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct segment *s = arg;

	(void)fd;
	(void)what;
	if (s->wanted && !s->done && !s->outstanding && fulfilled(s))
		finish(s);
	else
		step(s);
}

void segment_want(struct segment *s, bool active)
{
	bool unsure = s->outstanding;	/* charon may still obey an earlier command */

	s->wanted = true;
	s->active = active;
	s->done = false;
	s->outstanding = false;
	s->since_ms = now_ms();
	if (!unsure && fulfilled(s))
		finish(s);
	else
		step(s);
}

void segment_hold(struct segment *s, bool held)
{
	if (s->held == held)
		return;
	s->held = held;
	if (!held && s->wanted && !fulfilled(s)) {
		s->since_ms = now_ms();
		step(s);
	}
}

void segment_heard(struct segment *s, enum charon_segment now, bool confirms)
{
	if (!s->wanted)
		return;
	if ((now == CHARON_ACTIVE) == s->active) {
		/* A heartbeat may have been on its way before the command was: only a confirmation ends one. */
		if (confirms || !s->outstanding)
			finish(s);
		return;
	}
	if (s->outstanding && confirms) {
		s->written_ms = 0;	/* it obeyed an earlier command, and lost this one: write it again */
		arm(s, RETRY_MS);
	}
	if (s->outstanding || !s->done)
		return;
	if (confirms) {
		s->beats_apart = 0;
		log_info("charon has %s its segment by itself", s->active ? "dropped" : "taken");
	} else if (++s->beats_apart >= BEATS_APART && !event_pending(s->timer, EV_TIMEOUT, NULL)) {
		s->since_ms = now_ms();
		step(s);
	}
}

struct segment *segment_alloc(struct event_base *base, const char *path, struct charon *ch,
			      void (*settled)(void *ctx, bool active), void *ctx)
{
	struct segment *s = secret_alloc(sizeof(*s));

	snprintf(s->path, sizeof(s->path), "%s", path);
	s->ch = ch;
	s->settled = settled;
	s->ctx = ctx;
	s->timer = evtimer_new(base, on_timer, s);
	return s;
}

void segment_free(struct segment *s)
{
	event_free(s->timer);
	secret_free(s, sizeof(*s));
}
