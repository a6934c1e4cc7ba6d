// SPDX-License-Identifier: GPL-2.0-or-later
/* sync: makes a passive charon hold what the journal says. See sync.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "fill.h"
#include "log.h"
#include "sync.h"
#include "xfrm_list.h"

#define STEP_MS		20
#define RETRY_MS	300	/* charon is not answering, or has no connections yet */
#define CHECK_MS	10000	/* a look for drift */
#define RECHECK_MS	1000	/* after something was found, be it mended or not */
#define GAP_MS		900	/* what charon has processed shows at once: at the next look */
#define COMPLAIN_MS	10000

enum phase {
	WAITING,	/* for charon to be there, and to have processed what it was given */
	LISTING,	/* connections, then IKE SAs, then the kernel's SAs */
	FILLING,	/* the difference is being injected */
	DONE,
};

struct sync {
	const struct config *c;
	struct charon *ch;
	struct vici *vici;
	const struct sync_ops *ops;
	void *ctx;
	struct event *timer;
	enum phase state;
	bool check;		/* only looking for drift: charon was in sync before */
	bool withheld;		/* live messages were, since listing began */
	bool hurry;		/* a takeover waits: what the kernel has is not asked for */
	bool dumping;		/* the kernel is being asked */
	unsigned int round;	/* answers to an earlier round's questions are void */
	unsigned int asked;	/* the round that vici is answering */
	struct xfrm_list *xfrm;
	struct bytes conns;	/* names of FILL_CONN bytes, sorted */
	struct bytes sas;	/* struct vici_sa, sorted */
	struct suspects suspects;
	struct unprotected unprotected;
	unsigned int unlisted;	/* charon has so many more */
	bool was_new;
	bool soon;		/* there is something to look at again */
	uint64_t loaded;	/* a sum of what charon has loaded: with other connections it may take what it did not */
	uint64_t loading;
	unsigned int missing;
	unsigned int injected;
	char why[FILL_WHY];
	uint64_t complained_ms;
};

static void arm(struct sync *s, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(s->timer, &tv);
}

/* IKE SAs that should be there. */
static unsigned int count(const struct sync *s)
{
	const struct journal *j = s->ops->journal(s->ctx);

	return j ? journal_count(j) : 0;
}

/* Say why it takes so long, now and then. */
static void complain(struct sync *s, const char *why)
{
	snprintf(s->why, sizeof(s->why), "%s", why);
	if (!count(s) || now_ms() - s->complained_ms < COMPLAIN_MS)
		return;
	s->complained_ms = now_ms();
	log_warn("IKE SAs wait: %s", why);
}

static void retry(struct sync *s, const char *why)
{
	complain(s, why);
	s->state = WAITING;
	arm(s, RETRY_MS);
}

static void finish(struct sync *s)
{
	bool check = s->check;

	s->state = DONE;
	s->check = false;
	arm(s, s->soon ? RECHECK_MS : CHECK_MS);
	if (s->injected && !check)
		log_info("charon was given %u messages for %u IKE SAs", s->injected,
			 count(s));
	s->ops->done(s->ctx);
}

/* A mere look for drift has told charon all: what differs has to be seen twice, and what does not is left be. */
static void compare(struct sync *s, const struct journal *j, const struct bytes *states)
{
	bool at_once = !s->check || s->withheld;
	struct fill f = {
		.c = s->c, .j = j, .version = charon_version(s->ch), .conns = &s->conns, .sas = &s->sas, .states = states,
		.unlisted = s->unlisted, .at_once = at_once, .refresh = at_once, .was_new = &s->was_new, .suspects = &s->suspects,
		.inject = s->ops->inject, .remove = s->ops->remove, .begun = s->ops->begun, .ctx = s->ctx,
		.unprotected = &s->unprotected, .why = s->why,
	};

	fill(&f);
	s->missing = f.missing;
	s->injected = f.injected;
	s->soon = f.soon;
}

static void fill_charon(struct sync *s, const struct bytes *states)
{
	const struct journal *j = s->ops->journal(s->ctx);

	s->missing = 0;
	s->injected = 0;
	s->soon = false;
	s->why[0] = 0;
	s->unprotected.n = 0;
	s->state = FILLING;
	if (j && charon_segment(s->ch) != CHARON_ACTIVE)
		compare(s, j, states);
	else
		suspects_forget(&s->suspects);
	if (charon_idle(s->ch))
		finish(s);
	else
		arm(s, STEP_MS);
}

/* An answer to a question of a round that is over. Whoever began the new round has the timer running. */
static bool is_void(struct sync *s)
{
	if (s->asked == s->round && s->state == LISTING)
		return false;
	s->asked = 0;
	return true;
}

static void on_sa(void *ctx, const struct vici_sa *sa)
{
	struct sync *s = ctx;

	vici_sas_add(&s->sas, sa);
}

static void on_states(void *ctx, const struct bytes *states)
{
	struct sync *s = ctx;

	s->dumping = false;
	if (is_void(s))
		return;
	s->asked = 0;
	fill_charon(s, states);
}

static void on_sas_done(void *ctx, bool ok)
{
	struct sync *s = ctx;

	if (is_void(s))
		return;
	if (!ok) {
		s->asked = 0;
		retry(s, "charon does not answer over vici");
		return;
	}
	vici_sas_sort(&s->sas);
	s->unlisted = vici_unlisted(s->vici);
	if (s->check && !s->hurry) {
		s->dumping = true;
		xfrm_list_states(s->xfrm, on_states, s);
		return;
	}
	/* Somebody waits for this; the next look has what the kernel says. */
	s->asked = 0;
	fill_charon(s, NULL);
}

static void on_conn(void *ctx, const char *name, uint64_t sum)
{
	struct sync *s = ctx;
	char c[FILL_CONN] = "";

	snprintf(c, sizeof(c), "%s", name);
	bytes_add(&s->conns, c, sizeof(c));
	s->loading += sum;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void on_conns_done(void *ctx, bool ok)
{
	struct sync *s = ctx;

	if (is_void(s))
		return;
	if (ok && s->loading != s->loaded)
		suspects_forget(&s->suspects);
	if (ok)
		s->loaded = s->loading;
	if (ok && bytes_left(&s->conns)) {
		qsort(s->conns.data + s->conns.off, bytes_left(&s->conns) / FILL_CONN, FILL_CONN, by_name);
		vici_list_sas(s->vici, on_sa, on_sas_done, s);
		return;
	}
	s->asked = 0;
	retry(s, ok ? "charon has no connections loaded" : "charon does not answer over vici");
}

static void start_listing(struct sync *s)
{
	if (s->asked) {			/* an earlier round's questions are still being answered */
		arm(s, STEP_MS);
		return;
	}
	s->state = LISTING;
	s->asked = s->round;
	s->withheld = false;
	s->injected = 0;
	s->soon = false;
	s->loading = 0;
	bytes_free(&s->conns);
	vici_sas_free(&s->sas);
	vici_list_conns(s->vici, on_conn, on_conns_done, s);
}

static void begin(struct sync *s)
{
	s->round++;
	s->state = WAITING;
	s->check = false;
	s->hurry = false;
	arm(s, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sync *s = arg;

	(void)fd;
	(void)what;
	switch (s->state) {
	case WAITING:
		if (!charon_present(s->ch))
			retry(s, "charon is not running");
		else if (charon_segment(s->ch) == CHARON_UNKNOWN)
			retry(s, "charon's ha plugin has not been heard (is it loaded, with monitor = yes?)");
		else if (!charon_idle(s->ch))
			arm(s, STEP_MS);
		else
			start_listing(s);
		break;
	case LISTING:
		break;
	case FILLING:
		if (charon_idle(s->ch))
			finish(s);
		else
			arm(s, STEP_MS);
		break;
	case DONE:
		begin(s);
		s->check = true;
		break;
	}
}

void sync_request(struct sync *s)
{
	suspects_forget(&s->suspects);
	begin(s);
}

void sync_hurry(struct sync *s)
{
	if (!s->check || s->state == DONE)
		return;
	s->hurry = true;
	if (!s->withheld) {
		s->round++;
		finish(s);
	} else if (s->state == LISTING && s->dumping) {
		fill_charon(s, NULL);
	}
}

bool sync_takes_live(struct sync *s)
{
	if (s->state == FILLING || s->state == DONE || (s->state == WAITING && s->check))
		return true;
	s->withheld = true;
	return false;
}

bool sync_is_done(const struct sync *s)
{
	return s->state == DONE || (s->check && !s->withheld);
}

unsigned int sync_missing(const struct sync *s, const char **why)
{
	*why = s->why;
	if (s->state != DONE && !s->check)
		return count(s);
	return s->missing;
}

const struct unprotected *sync_unprotected(const struct sync *s)
{
	return &s->unprotected;
}

struct sync *sync_alloc(struct event_base *base, const struct config *c, struct charon *ch, struct vici *v,
			const struct sync_ops *ops, void *ctx)
{
	struct sync *s = secret_alloc(sizeof(*s));

	s->c = c;
	s->ch = ch;
	s->vici = v;
	s->ops = ops;
	s->ctx = ctx;
	s->round = 1;
	s->suspects.gap_ms = GAP_MS;
	s->xfrm = xfrm_list_alloc(base, c);
	s->timer = evtimer_new(base, on_timer, s);
	arm(s, 0);
	return s;
}

void sync_free(struct sync *s)
{
	event_free(s->timer);
	xfrm_list_free(s->xfrm);
	suspects_forget(&s->suspects);
	bytes_free(&s->conns);
	vici_sas_free(&s->sas);
	secret_free(s, sizeof(*s));
}
