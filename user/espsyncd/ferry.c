// SPDX-License-Identifier: GPL-2.0-or-later
/* ferry: what another node of this group moves to this node goes on to the helper of this node's other group. See ferry.h. */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "context.h"
#include "control.h"
#include "door.h"
#include "ferry.h"
#include "forget.h"
#include "log.h"

#define TAKEN	16	/* the newest ones: who gave one away says so to its standbys at once, if it lives */
#define LOOK_MS	200
#define TEXT	512

struct ferry {
	struct ferry_parts p;
	struct door *door;		/* NULL: this node has no other group */
	unsigned int peer;		/* who asks */
	uint32_t id;
	enum parcel_kind kind;
	struct ike_id moving;		/* what it asks about */
	struct event *timer;
	struct ike_id taken[TAKEN];	/* and not heard yet that they are gone here */
	unsigned int n;
};

static void answer(struct ferry *f, unsigned int peer, uint32_t id, uint8_t code, const char *text)
{
	struct bytes b = { 0 };

	bytes_add_u8(&b, code);
	bytes_add(&b, text, strlen(text));
	parcels_send(f->p.parcels, peer, id, PARCEL_ANSWER, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
}

/* Who gave it away may be dead by now, and this node in its place. */
static void forget_taken(struct ferry *f, const struct ike_id *id)
{
	if (forget(f->p.relay, charon_version(f->p.ch), id))
		log_info("an IKE SA that was moved to another group is not this one's any more");
}

static void look_again(struct ferry *f)
{
	struct timeval tv = { 0, LOOK_MS * 1000 };

	if (f->n)
		event_add(f->timer, &tv);
}

static bool is_here(const struct ferry *f, const struct ike_id *id)
{
	return journal_find(relay_journal(f->p.relay), id);
}

/* What was said to be gone may come back some day, and is this group's then. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ferry *f = arg;
	unsigned int i, n = f->n;

	(void)fd;
	(void)what;
	f->n = 0;
	for (i = 0; i < n; i++) {
		if (is_here(f, &f->taken[i]))
			f->taken[f->n++] = f->taken[i];
	}
	look_again(f);
}

static void took(struct ferry *f)
{
	if (relay_is_complete(f->p.relay)) {
		forget_taken(f, &f->moving);
		return;
	}
	if (f->n == TAKEN)
		memmove(f->taken, f->taken + 1, --f->n * sizeof(*f->taken));
	f->taken[f->n++] = f->moving;
	look_again(f);
}

static void on_answer(void *ctx, const struct door_answer *a)
{
	char text[TEXT];
	struct ferry *f = ctx;

	if (a->result == DOOR_ANSWERED) {
		if (a->code == CONTROL_DONE && f->kind != PARCEL_TRY)
			took(f);
		snprintf(text, sizeof(text), "%.*s", (int)a->len, (const char *)a->data);
		answer(f, f->peer, f->id, a->code, text);
		return;
	}
	snprintf(text, sizeof(text), "its other group's helper cannot be asked at %s: %.*s", f->p.c->move_to, (int)a->len, (const char *)a->data);
	answer(f, f->peer, f->id, a->result == DOOR_CLOSED && f->kind != PARCEL_HAS ? CONTROL_REFUSED : PARCEL_UNKNOWN, text);
}

/* Which IKE SA it is about. */
static bool read_name(struct ferry *f, const struct parcel *p)
{
	struct context context;

	if (context_read(&context, p->data, p->len))
		return false;
	f->moving = context_sa(&context)->id;
	context_free(&context);
	return true;
}

void ferry_question(struct ferry *f, const struct parcel *p)
{
	static const char *const words[] = { [PARCEL_TRY] = "try", [PARCEL_TAKE] = "take", [PARCEL_HAS] = "has" };

	if (!f->door) {
		answer(f, p->peer, p->id, CONTROL_REFUSED, "it has no other group to take it ([move] to in its espsyncd.conf)");
	} else if (door_is_busy(f->door)) {
		answer(f, p->peer, p->id, p->kind == PARCEL_HAS ? PARCEL_UNKNOWN : CONTROL_REFUSED, "another VPN is being moved to it (try again)");
	} else if (!read_name(f, p)) {
		answer(f, p->peer, p->id, CONTROL_REFUSED, "it cannot read the context (run the same version of espsync on all nodes)");
	} else {
		f->peer = p->peer;
		f->id = p->id;
		f->kind = p->kind;
		door_ask(f->door, words[p->kind], p->data, p->len, on_answer, f);
	}
}

void ferry_active(struct ferry *f)
{
	unsigned int i;

	for (i = 0; i < f->n; i++)
		forget_taken(f, &f->taken[i]);
}

struct ferry *ferry_alloc(struct event_base *base, const struct ferry_parts *parts)
{
	struct ferry *f = secret_alloc(sizeof(*f));

	f->p = *parts;
	f->timer = evtimer_new(base, on_timer, f);
	if (*parts->c->move_to)
		f->door = door_alloc(base, parts->c->move_to);
	return f;
}

void ferry_free(struct ferry *f)
{
	if (f->door)
		door_free(f->door);
	event_free(f->timer);
	secret_free(f, sizeof(*f));
}
