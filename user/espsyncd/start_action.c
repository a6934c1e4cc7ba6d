// SPDX-License-Identifier: GPL-2.0-or-later
/* start_action: does this node's charon begin connections by itself? See start_action.h. */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "log.h"
#include "start_action.h"

#define LOOK_MS		30000
#define SAY_MS		60000	/* charon is told to forget such an IKE SA, and may begin it again */

struct start_action {
	struct vici *vici;
	struct event *timer;
	unsigned int traps;	/* in this list */
	char trap[128];		/* the first of them */
	bool trap_said;
	uint64_t said_ms;
};

static void arm(struct start_action *s)
{
	struct timeval tv = { LOOK_MS / 1000, 0 };

	event_add(s->timer, &tv);
}

static void on_trap(void *ctx, const char *name, uint64_t sum)
{
	struct start_action *s = ctx;

	(void)sum;
	if (!s->traps++)
		snprintf(s->trap, sizeof(s->trap), "%.127s", name);
}

static void on_done(void *ctx, bool ok)
{
	struct start_action *s = ctx;

	if (ok && s->traps && !s->trap_said)
		log_warn("charon traps packets itself: %u policies, one of them of %.127s (start_action = none, and [initiate] in espsyncd.conf)",
			 s->traps, s->trap);
	if (ok)
		s->trap_said = s->traps;
	arm(s);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct start_action *s = arg;

	(void)fd;
	(void)what;
	s->traps = 0;
	vici_list_traps(s->vici, on_trap, on_done, s);
}

void start_action_seen(struct start_action *s, const struct vici_sa *sa)
{
	if ((!sa->id.initiator && !sa->adding) || (s->said_ms && now_ms() - s->said_ms < SAY_MS))
		return;
	s->said_ms = now_ms();
	log_warn("charon began connection %.64s by itself while it is passive (start_action = none, and [initiate] in espsyncd.conf)", sa->name);
}

struct start_action *start_action_alloc(struct event_base *base, struct vici *v)
{
	struct start_action *s = secret_alloc(sizeof(*s));

	s->vici = v;
	s->timer = evtimer_new(base, on_timer, s);
	arm(s);
	return s;
}

void start_action_free(struct start_action *s)
{
	event_free(s->timer);
	secret_free(s, sizeof(*s));
}
