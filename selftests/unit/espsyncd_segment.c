// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_segment.c - user/espsyncd's segment: what is written to charon's FIFO, and when charon is spoken to meanwhile.
 *
 * Job: one charon after another that obeys, does not answer or dies, with a clock and a timer that the cases move.
 */
// SOURCES: ../../user/espsyncd/segment.c ../../user/espsyncd/bytes.c
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/espsyncd/charon.h"
#include "../../user/espsyncd/segment.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

static struct segment *it;
static char dir[64], path[sizeof(dir) + 8];
static int fifo;

/* ---- what segment calls ---- */

static event_callback_fn timer;
static bool armed, present, paused;
static enum charon_segment segment;
static int settled;		/* +1, -1: charon has the segment, or not; 0: not told */

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn fn, void *arg)
{
	(void)base, (void)fd, (void)what;
	timer = fn;
	return arg;
}

int event_add(struct event *ev, const struct timeval *tv)
{
	(void)ev, (void)tv;
	armed = true;
	return 0;
}

int event_del(struct event *ev)
{
	(void)ev;
	armed = false;
	return 0;
}

int event_pending(const struct event *ev, short what, struct timeval *tv)
{
	(void)ev, (void)what, (void)tv;
	return armed;
}

void event_free(struct event *ev)
{
	(void)ev;
}

bool charon_present(const struct charon *ch)
{
	(void)ch;
	return present;
}

enum charon_segment charon_segment(const struct charon *ch)
{
	(void)ch;
	return segment;
}

void charon_pause(struct charon *ch, bool on)
{
	(void)ch;
	paused = on;
}

static void on_settled(void *ctx, bool active)
{
	(void)ctx;
	settled = active ? 1 : -1;
}

/* ---- the cases' words ---- */

static void fresh(void)
{
	if (it)
		segment_free(it);
	present = true;
	segment = CHARON_PASSIVE;
	settled = 0;
	armed = paused = false;
	clock_ms = 1000000;
	it = segment_alloc(NULL, path, NULL, on_settled, NULL);
}

/* So long, a timer's tick after the other. */
static void pass(unsigned int ms)
{
	for (; ms; ms -= 20) {
		clock_ms += 20;
		if (armed) {
			armed = false;
			timer(-1, EV_TIMEOUT, it);
		}
	}
}

/* What was written since the last time. */
static bool written(const char *want)
{
	char got[64] = "";
	ssize_t n = read(fifo, got, sizeof(got) - 1);

	if (n < 0 && !*want)
		return true;
	got[n < 0 ? 0 : n] = 0;
	if (strcmp(got, want))
		ktap_diag("written '%s', not '%s'", got, want);
	return !strcmp(got, want);
}

static void says(enum charon_segment now, bool confirms)
{
	segment = now;
	segment_heard(it, now, confirms);
}

static bool it_is_spoken_to_again_when_it_has_obeyed(void)
{
	fresh();
	segment_want(it, true);
	ktap_expect(written("+1\n") && paused && !settled);
	says(CHARON_PASSIVE, false);	/* was on its way */
	ktap_expect(paused && !settled);
	says(CHARON_ACTIVE, true);
	ktap_expect(!paused && settled == 1 && !armed);
	pass(2000);
	ktap_expect(written(""));
	return true;
}

static bool one_that_does_not_answer_is_told_again(void)
{
	fresh();
	segment_want(it, true);
	ktap_expect(written("+1\n"));
	pass(980);
	ktap_expect(written("") && paused);
	pass(60);
	ktap_expect(written("+1\n") && paused);
	return true;
}

/* 6.0.1 dies of a half-open IKE SA when it takes its segment. The next one is filled, which it cannot be while nobody speaks to it. */
static bool who_dies_of_the_command_is_not_waited_for(void)
{
	fresh();
	segment_want(it, true);
	ktap_expect(written("+1\n") && paused);
	present = false;
	segment = CHARON_UNKNOWN;
	segment_hold(it, true);
	pass(200);
	present = true;
	segment = CHARON_PASSIVE;
	pass(2000);
	ktap_expect(!paused && written(""));
	segment_hold(it, false);	/* it is filled */
	ktap_expect(written("+1\n") && paused);
	says(CHARON_ACTIVE, true);
	ktap_expect(!paused && settled == 1);
	segment_free(it);
	it = NULL;
	return true;
}

static const struct ktap_case cases[] = {
	{ "it is spoken to again when it has obeyed", it_is_spoken_to_again_when_it_has_obeyed },
	{ "one that does not answer is told again", one_that_does_not_answer_is_told_again },
	{ "who dies of the command is not waited for", who_dies_of_the_command_is_not_waited_for },
};

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/espsyncd-segment-XXXXXX");
	if (!mkdtemp(dir))
		exit(1);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	if (mkfifo(path, 0600))
		exit(1);
	fifo = open(path, O_RDWR | O_NONBLOCK);
}

static void end(void)
{
	close(fifo);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	int status;

	begin();
	status = ktap_run(cases, sizeof(cases) / sizeof(*cases));
	end();
	return status;
}
