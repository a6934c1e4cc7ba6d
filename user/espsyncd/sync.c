// SPDX-License-Identifier: GPL-2.0-or-later
/* sync: makes a passive charon hold what the journal says. See sync.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "log.h"
#include "sync.h"
#include "xfrm.h"

#define STEP_MS		20
#define RETRY_MS	300	/* charon is not answering, or has no connections yet */
#define CHECK_MS	10000	/* a look for drift */
#define RECHECK_MS	1000	/* after something was injected */
#define COMPLAIN_MS	10000

enum state {
	WAITING,	/* for charon to be there, and to have processed what it was given */
	LISTING,	/* connections, then IKE SAs */
	FILLING,	/* the difference is being injected */
	DONE,
};

struct conn_name {
	char name[HA_NAME_MAX];
};

struct sync {
	const struct config *c;
	struct charon *ch;
	struct vici *vici;
	const struct sync_ops *ops;
	void *ctx;
	struct event *timer;
	enum state state;
	bool check;		/* only looking for drift: charon was in sync before */
	bool withheld;		/* live messages were, since listing began */
	unsigned int round;	/* answers to an earlier round's questions are void */
	unsigned int asked;	/* the round that vici is answering */
	struct bytes conns;	/* struct conn_name, sorted */
	struct bytes sas;	/* struct vici_sa, sorted */
	unsigned int unlisted;	/* charon has so many more */
	unsigned int omitted;	/* of what is not listed these may be among them */
	unsigned int missing;
	unsigned int injected;
	char why[160];
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

static const struct vici_sa *sa_array(const struct sync *s, size_t *n)
{
	*n = bytes_left(&s->sas) / sizeof(struct vici_sa);
	return (const struct vici_sa *)bytes_at(&s->sas);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool conn_loaded(const struct sync *s, const char *name)
{
	return bsearch(name, bytes_at(&s->conns), bytes_left(&s->conns) / sizeof(struct conn_name), sizeof(struct conn_name), by_name);
}

static void inject(struct sync *s, const uint8_t *data, size_t len)
{
	struct ha_msg m;

	s->injected++;
	if (ha_parse(&m, data, len) == HA_OK)
		s->ops->inject(s->ctx, &m, data, len);
}

static void on_replay(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct sync *s = ctx;

	s->injected++;
	s->ops->inject(s->ctx, m, data, len);
}

static void inject_ike_delete(struct sync *s, const struct ike_id *id)
{
	uint8_t made[HA_MAX_MADE];

	inject(s, made, ha_make_ike_delete(made, charon_version(s->ch), id));
}

static const struct vici_child *listed_child(const struct vici_sa *sa, uint32_t spi_in)
{
	unsigned int i;

	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].spi_in == spi_in)
			return &sa->children[i];
	}
	return NULL;
}

/* CHILD SAs that charon lacks can be added, if they were made under the IKE SA as it is now: the keys depend on that. */
static bool add_children(struct sync *s, const struct journal_sa *sa, const struct vici_sa *listed)
{
	const struct journal_sa *old;
	const struct journal_child *c;

	for (old = sa->prev; old; old = old->prev) {
		TAILQ_FOREACH(c, &old->children, link) {
			if (!listed_child(listed, c->spi_in))
				return false;
		}
	}
	TAILQ_FOREACH(c, &sa->children, link) {
		if (!listed_child(listed, c->spi_in))
			inject(s, c->raw.data, c->raw.len);
	}
	return true;
}

static void remove_children(struct sync *s, struct journal_sa *sa, const struct vici_sa *listed)
{
	uint8_t made[HA_MAX_MADE];
	unsigned int i;

	for (i = 0; i < listed->n_children; i++) {
		uint32_t spi = listed->children[i].spi_in;

		if (!journal_child_find(sa, spi, NULL))
			inject(s, made, ha_make_child_delete(made, charon_version(s->ch), &sa->id, spi));
	}
}

static bool may_be_omitted(const struct sync *s, const struct journal_sa *sa)
{
	return s->unlisted && vici_may_omit(sa) && !vici_sas_find(&s->sas, &sa->id);
}

static unsigned int count_omitted(const struct sync *s, const struct journal *j)
{
	const struct journal_sa *sa = NULL;
	unsigned int n = 0;

	while (s->unlisted && (sa = journal_next(j, sa)))
		n += may_be_omitted(s, sa);
	return n;
}

/* Replaying begins with the oldest: what charon has of the chain would be there twice, and a CHILD SA that is added twice is gone. */
static void remove_chain(struct sync *s, const struct journal_sa *sa)
{
	bool omitted = may_be_omitted(s, sa);

	for (; sa; sa = sa->prev) {
		if (omitted || vici_sas_find(&s->sas, &sa->id))
			inject_ike_delete(s, &sa->id);
	}
}

/* What a mere look for drift has not withheld is left be. */
static void refresh(struct sync *s, const struct journal_sa *sa)
{
	if (!s->check || s->withheld)
		journal_refresh(sa, on_replay, s);
}

/* One IKE SA that lives, against what charon lists. */
static void fill_one(struct sync *s, struct journal_sa *sa)
{
	const struct vici_sa *listed = vici_sas_find(&s->sas, &sa->id);
	bool broken = listed && (!strcmp(listed->state, "CONNECTING") || vici_moved(sa, listed));
	unsigned int before = s->injected;

	if (!conn_loaded(s, journal_name(sa))) {
		s->missing++;
		snprintf(s->why, sizeof(s->why), "connection %.64s is not loaded here", journal_name(sa));
		return;
	}
	/* One of them may be missing, but which cannot be known: then all are told anew. */
	if (may_be_omitted(s, sa) && s->omitted <= s->unlisted) {
		refresh(s, sa);
		return;
	}
	if (listed && !broken) {
		remove_children(s, sa, listed);
		if (add_children(s, sa, listed)) {
			s->missing += s->injected != before;
			refresh(s, sa);
			return;
		}
	}
	remove_chain(s, sa);
	journal_replay(sa, on_replay, s);
	s->missing++;
}

static void remove_strangers(struct sync *s, const struct journal *j)
{
	const struct vici_sa *sa;
	size_t n;

	for (sa = sa_array(s, &n); n--; sa++) {
		if (config_is_ours_text(s->c, sa->local) && !journal_find(j, &sa->id))
			inject_ike_delete(s, &sa->id);
	}
}

/* It was started anew: whatever it lists, clients have begun since. */
static bool charon_is_new(const struct sync *s)
{
	const struct vici_sa *sa;
	size_t n;

	if (s->omitted)
		return false;	/* what it does not list it has from us: a new one has nothing so large */
	for (sa = sa_array(s, &n); n--; sa++) {
		if (config_is_ours_text(s->c, sa->local) && !strcmp(sa->state, "PASSIVE"))
			return false;
	}
	return true;
}

/*
 * A new charon owns nothing of what is in the kernel, and cannot add what is there. What clients have begun meanwhile goes too; the journal has
 * it, if it is complete.
 */
static void flush_if_new(struct sync *s, const struct journal *j)
{
	const struct vici_sa *sa;
	size_t n;
	int r;

	if (!journal_count(j) || !charon_is_new(s))
		return;
	for (sa = sa_array(s, &n); n--; sa++) {
		if (config_is_ours_text(s->c, sa->local))
			inject_ike_delete(s, &sa->id);
	}
	vici_sas_free(&s->sas);
	r = xfrm_flush(s->c);
	if (r < 0)
		log_warn("cannot remove what a former charon left in the kernel: %s", strerror(-r));
	else if (r)
		log_info("removed %d states and policies that a former charon left in the kernel", r);
}

static void finish(struct sync *s)
{
	bool check = s->check;

	s->state = DONE;
	s->check = false;
	arm(s, s->injected ? RECHECK_MS : CHECK_MS);
	if (s->injected && !check)
		log_info("charon was given %u messages for %u IKE SAs", s->injected,
			 count(s));
	s->ops->done(s->ctx);
}

static void fill(struct sync *s)
{
	const struct journal *j = s->ops->journal(s->ctx);
	struct journal_sa *sa = NULL;

	s->missing = 0;
	s->injected = 0;
	s->why[0] = 0;
	s->state = FILLING;
	if (!j || charon_segment(s->ch) == CHARON_ACTIVE) {
		finish(s);
		return;
	}
	s->omitted = count_omitted(s, j);
	flush_if_new(s, j);
	remove_strangers(s, j);
	while ((sa = journal_next(j, sa)))
		fill_one(s, sa);
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

static void on_sas_done(void *ctx, bool ok)
{
	struct sync *s = ctx;
	if (is_void(s))
		return;
	s->asked = 0;
	if (!ok) {
		retry(s, "charon does not answer over vici");
		return;
	}
	vici_sas_sort(&s->sas);
	s->unlisted = vici_unlisted(s->vici);
	fill(s);
}

static void on_conn(void *ctx, const char *name)
{
	struct conn_name c = { 0 };
	struct sync *s = ctx;

	snprintf(c.name, sizeof(c.name), "%s", name);
	bytes_add(&s->conns, &c, sizeof(c));
}

static void on_conns_done(void *ctx, bool ok)
{
	struct sync *s = ctx;

	if (is_void(s))
		return;
	if (ok && bytes_left(&s->conns)) {
		qsort(s->conns.data + s->conns.off, bytes_left(&s->conns) / sizeof(struct conn_name), sizeof(struct conn_name), by_name);
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
	bytes_free(&s->conns);
	vici_sas_free(&s->sas);
	vici_list_conns(s->vici, on_conn, on_conns_done, s);
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
		sync_request(s);
		s->check = true;
		break;
	}
}

void sync_request(struct sync *s)
{
	s->round++;
	s->state = WAITING;
	s->check = false;
	arm(s, 0);
}

void sync_hurry(struct sync *s)
{
	if (!s->check || s->withheld || s->state == DONE)
		return;
	s->round++;
	finish(s);
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
	s->timer = evtimer_new(base, on_timer, s);
	arm(s, 0);
	return s;
}

void sync_free(struct sync *s)
{
	event_free(s->timer);
	bytes_free(&s->conns);
	vici_sas_free(&s->sas);
	secret_free(s, sizeof(*s));
}
