// SPDX-License-Identifier: GPL-2.0-or-later
/* initiate: the active node's charon begins the connections that espsyncd.conf marks. See initiate.h. */
#include <stdio.h>
#include <string.h>

#include "attempt.h"
#include "bytes.h"
#include "initiate.h"
#include "journal.h"
#include "log.h"

#define PACE_MS		100	/* far ends and charon do DH for each */
#define MISSING_MS	2000	/* from look to look, while one is not there */
#define COMPLETE_MS	5000
#define PASSIVE_MS	10000
#define LEFT_MS		300000	/* charon asks a far end for no longer */

struct item {
	struct initiate *in;
	struct attempt a;
	bool go;			/* it is its turn */
	bool unloaded_said;
	unsigned int in_journal;	/* IKE SAs of its connection */
	unsigned int listed;		/* of these, by charon */
};

struct initiate {
	struct vici *vici;
	struct relay *relay;
	bool (*active)(void *ctx);
	void *ctx;
	struct event *timer;		/* to the next look */
	struct event *pace;
	struct item *items;		/* those of a connection side by side */
	unsigned int n;
	bool looking;
	bool again;			/* the role changed meanwhile */
	unsigned int not_loaded;
	char why[128];
};

static void arm(struct event *timer, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(timer, &tv);
}

static void next_look(struct initiate *in, unsigned int ms)
{
	in->looking = false;
	arm(in->timer, in->again ? 0 : ms);
	in->again = false;
}

static void forget(struct initiate *in)
{
	unsigned int i;

	event_del(in->pace);
	for (i = 0; i < in->n; i++) {
		attempt_forget(&in->items[i].a);
		in->items[i].go = false;
	}
}

static void on_begun(void *ctx, bool ok)
{
	struct item *it = ctx;

	if (!ok)
		log_warn("charon does not initiate connection %.63s, child %.63s: %.127s (it is tried again)", it->a.conn, it->a.child,
			 vici_why(it->in->vici));
}

static void on_pace(evutil_socket_t fd, short what, void *arg)
{
	struct initiate *in = arg;
	struct item *it = in->items;

	(void)fd;
	(void)what;
	if (!in->active(in->ctx)) {
		forget(in);
		next_look(in, PASSIVE_MS);
		return;
	}
	while (it < in->items + in->n && !it->go)
		it++;
	if (it == in->items + in->n) {
		next_look(in, MISSING_MS);
		return;
	}
	it->go = false;
	log_info("initiating connection %.63s, child %.63s", it->a.conn, it->a.child);
	attempt_begun(&it->a, now_ms());
	vici_initiate(in->vici, it->a.conn, it->a.child, on_begun, it);
	arm(in->pace, PACE_MS);
}

static void carry_out(struct item *it, enum attempt_word word)
{
	switch (word) {
	case ATTEMPT_NOTHING:
		break;
	case ATTEMPT_GO:
		it->go = true;
		break;
	case ATTEMPT_UP:
		log_info("connection %.63s, child %.63s is up", it->a.conn, it->a.child);
		break;
	case ATTEMPT_SILENT:
		log_warn("the far end does not answer: connection %.63s, child %.63s (it is tried again)", it->a.conn, it->a.child);
		break;
	case ATTEMPT_FAILED:
		log_warn("the far end does not agree, or has not answered: connection %.63s, child %.63s (it is tried again; charon's log says more)",
			 it->a.conn, it->a.child);
		break;
	}
}

/* One child of a connection at a time: what is begun for one may still become the IKE SA of all. */
static bool sibling_under_way(const struct initiate *in, const struct item *it)
{
	const struct item *other;

	for (other = in->items; other < in->items + in->n; other++) {
		if (other != it && !strcmp(other->a.conn, it->a.conn) && (other->go || other->a.begun))
			return true;
	}
	return false;
}

/* charon may be another one than a moment ago, and not have been given yet what the cluster has. */
static bool still_to_come(const struct item *it)
{
	return it->in_journal > it->listed;
}

static void count_journal(struct initiate *in)
{
	const struct journal *j = relay_journal(in->relay);
	const struct journal_sa *sa = NULL;
	unsigned int i;

	while ((sa = journal_next(j, sa))) {
		for (i = 0; i < in->n; i++)
			in->items[i].in_journal += !strcmp(in->items[i].a.conn, journal_name(sa));
	}
}

static void on_sa(void *ctx, const struct vici_sa *sa)
{
	struct initiate *in = ctx;
	const struct journal_sa *known = journal_find(relay_journal(in->relay), &sa->id);
	unsigned int i;

	for (i = 0; i < in->n; i++) {
		attempt_see(&in->items[i].a, sa);
		if (known && !known->next && !strcmp(in->items[i].a.conn, journal_name(known)))
			in->items[i].listed++;
	}
}

static void on_sas_done(void *ctx, bool ok)
{
	struct initiate *in = ctx;
	bool missing = false;
	unsigned int i;

	if (!ok || !in->active(in->ctx)) {
		next_look(in, MISSING_MS);
		return;
	}
	count_journal(in);
	for (i = 0; i < in->n; i++) {
		struct item *it = &in->items[i];

		missing |= !it->a.here;
		if (still_to_come(it) || sibling_under_way(in, it))
			it->a.busy = true;
		carry_out(it, attempt_judge(&it->a, now_ms()));
	}
	if (missing)
		arm(in->pace, 0);
	else
		next_look(in, COMPLETE_MS);
}

static void list_sas(struct initiate *in)
{
	unsigned int i;

	for (i = 0; i < in->n; i++) {
		attempt_look(&in->items[i].a);
		in->items[i].in_journal = 0;
		in->items[i].listed = 0;
	}
	vici_list_sas(in->vici, on_sa, on_sas_done, in);
}

static void on_child(void *ctx, const char *conn, const char *child)
{
	struct initiate *in = ctx;
	unsigned int i;

	for (i = 0; i < in->n; i++) {
		if (!strcmp(in->items[i].a.conn, conn) && !strcmp(in->items[i].a.child, child))
			in->items[i].a.loaded = true;
	}
}

static void name_unloaded(struct initiate *in)
{
	unsigned int i;

	in->not_loaded = 0;
	for (i = 0; i < in->n; i++) {
		struct item *it = &in->items[i];

		if (!it->a.loaded && !in->not_loaded++)
			snprintf(in->why, sizeof(in->why), "connection %.40s, child %.40s is not loaded here", it->a.conn, it->a.child);
		if (!it->a.loaded && !it->unloaded_said)
			log_warn("to be initiated, but charon does not know it: connection %.63s, child %.63s (swanctl --load-all)", it->a.conn,
				 it->a.child);
		it->unloaded_said = !it->a.loaded;
	}
}

static void on_children_done(void *ctx, bool ok)
{
	struct initiate *in = ctx;

	if (!ok) {
		next_look(in, MISSING_MS);
		return;
	}
	name_unloaded(in);
	if (in->active(in->ctx)) {
		list_sas(in);
		return;
	}
	forget(in);
	next_look(in, PASSIVE_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct initiate *in = arg;
	unsigned int i;

	(void)fd;
	(void)what;
	in->looking = true;
	for (i = 0; i < in->n; i++)
		in->items[i].a.loaded = false;
	vici_list_children(in->vici, on_child, on_children_done, in);
}

void initiate_look(struct initiate *in)
{
	if (in->looking)
		in->again = true;
	else if (in->n)
		arm(in->timer, 0);
}

bool initiate_left(const struct initiate *in, const char *conn)
{
	const struct item *it;

	for (it = in->items; it < in->items + in->n; it++) {
		if (!strcmp(it->a.conn, conn) && it->a.begun_ms && now_ms() - it->a.begun_ms < LEFT_MS)
			return true;
	}
	return false;
}

unsigned int initiate_not_loaded(const struct initiate *in, const char **why)
{
	*why = in->why;
	return in->not_loaded;
}

static unsigned int count(const struct config *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < c->n_initiate; i++)
		n += c->initiate[i].n_children;
	return n;
}

struct initiate *initiate_alloc(struct event_base *base, const struct config *c, struct vici *v, struct relay *r,
				bool (*active)(void *ctx), void *ctx)
{
	struct initiate *in = secret_alloc(sizeof(*in));
	unsigned int i, j;

	in->vici = v;
	in->relay = r;
	in->active = active;
	in->ctx = ctx;
	in->timer = evtimer_new(base, on_timer, in);
	in->pace = evtimer_new(base, on_pace, in);
	in->items = secret_alloc(count(c) * sizeof(*in->items));
	for (i = 0; i < c->n_initiate; i++) {
		for (j = 0; j < c->initiate[i].n_children; j++) {
			struct item *it = &in->items[in->n++];

			it->in = in;
			it->a.conn = c->initiate[i].conn;
			it->a.child = c->initiate[i].children[j];
		}
	}
	if (in->n)
		arm(in->timer, PASSIVE_MS);	/* charon may be about to load its connections */
	return in;
}

void initiate_free(struct initiate *in)
{
	event_free(in->timer);
	event_free(in->pace);
	secret_free(in->items, in->n * sizeof(*in->items));
	secret_free(in, sizeof(*in));
}
