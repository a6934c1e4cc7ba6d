// SPDX-License-Identifier: GPL-2.0-or-later
/* fill: what a passive charon and its kernel hold, against the journal. See fill.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect.h"
#include "fill.h"
#include "log.h"
#include "xfrm.h"

#define MAX_REMOVED	64	/* states in one look: each is a request that is waited for */

enum kind {
	IKE_LACKS,	/* charon does not have it, or has it otherwise */
	IKE_STRANGE,	/* charon has it, the journal not */
	CHILD_LACKS,
	CHILD_STRANGE,
	STATE_LACKS,	/* charon has it, the kernel not */
	STATE_STRANGE,	/* the kernel has it, charon not */
	WITHHELD,	/* charon's wire version has no words for it */
};

struct difference {
	enum kind kind;
	uint32_t spi;
};

static const struct vici_sa *sa_array(const struct fill *f, size_t *n)
{
	*n = bytes_left(f->sas) / sizeof(struct vici_sa);
	return (const struct vici_sa *)bytes_at(f->sas);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool conn_loaded(const struct fill *f, const char *name)
{
	return bsearch(name, bytes_at(f->conns), bytes_left(f->conns) / FILL_CONN, FILL_CONN, by_name);
}

/* The kernel is asked when charon has listed: what has changed in between is none. */
static enum verdict see(struct fill *f, const struct difference *d, const struct ike_id *id)
{
	bool at_once = f->at_once && d->kind != STATE_LACKS && d->kind != STATE_STRANGE;
	enum verdict v = suspects_see(f->suspects, d->kind, id, d->spi, now_ms(), at_once);

	f->soon |= v == SUSPECT_NEW || v == SUSPECT_WAIT || v == SUSPECT_MEND;
	return v;
}

static void on_replay(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct fill *f = ctx;

	f->injected++;
	f->inject(f->ctx, m, data, len);
}

static void inject(struct fill *f, const uint8_t *data, size_t len)
{
	struct ha_msg m;

	if (ha_parse(&m, data, len) == HA_OK)
		on_replay(f, &m, data, len);
}

static void inject_ike_delete(struct fill *f, const struct ike_id *id)
{
	uint8_t made[HA_MAX_MADE];

	inject(f, made, ha_make_ike_delete(made, f->version, id));
}

static void inject_child_delete(struct fill *f, const struct ike_id *id, uint32_t spi_in)
{
	uint8_t made[HA_MAX_MADE];

	inject(f, made, ha_make_child_delete(made, f->version, id, spi_in));
}

static void remove_stranger(struct fill *f, const struct vici_sa *sa)
{
	f->begun(f->ctx, sa);
	inject_ike_delete(f, &sa->id);
}

/* In charon and in the kernel. */
static bool is_there(const struct fill *f, const struct vici_sa *listed, uint32_t spi_in)
{
	const struct vici_child *child = vici_child_of(listed, spi_in);

	return child && states_have(f->states, listed, child);
}

/* What charon has no words for: then it does not have it, and is not told of it. */
static const char *child_lacks(const struct fill *f, const struct journal_child *c)
{
	return dialect_lacks(f->version, c->raw.data, c->raw.len);
}

/* CHILD SAs that charon lacks can be added, if they were made under the IKE SA as it is now: the keys depend on that. */
static bool add_children(struct fill *f, const struct journal_sa *sa, const struct vici_sa *listed)
{
	const struct journal_sa *old;
	const struct journal_child *c;

	for (old = sa->prev; old; old = old->prev) {
		TAILQ_FOREACH(c, &old->children, link) {
			if (!is_there(f, listed, c->spi_in) && !child_lacks(f, c))
				return false;
		}
	}
	TAILQ_FOREACH(c, &sa->children, link) {
		if (is_there(f, listed, c->spi_in))
			continue;
		/* Half of it may be in the kernel still: added over that it would be gone from there. */
		if (vici_child_of(listed, c->spi_in))
			inject_child_delete(f, &sa->id, c->spi_in);
		inject(f, c->raw.data, c->raw.len);
	}
	return true;
}

static void remove_children(struct fill *f, struct journal_sa *sa, const struct vici_sa *listed)
{
	unsigned int i;

	for (i = 0; i < listed->n_children; i++) {
		uint32_t spi = listed->children[i].spi_in;

		if (!journal_child_find(sa, spi, NULL))
			inject_child_delete(f, &sa->id, spi);
	}
}

static bool may_be_omitted(const struct fill *f, const struct journal_sa *sa)
{
	return f->unlisted && vici_may_omit(sa) && !vici_sas_find(f->sas, &sa->id);
}

static void count_omitted(struct fill *f)
{
	const struct journal_sa *sa = NULL;

	while (f->unlisted && (sa = journal_next(f->j, sa)))
		f->omitted += may_be_omitted(f, sa);
}

/* Replaying begins with the oldest: what charon has of the chain would be there twice, and a CHILD SA that is added twice is gone. */
static void remove_chain(struct fill *f, const struct journal_sa *sa)
{
	bool omitted = may_be_omitted(f, sa);

	for (; sa; sa = sa->prev) {
		if (omitted || vici_sas_find(f->sas, &sa->id))
			inject_ike_delete(f, &sa->id);
	}
}

static void refresh(struct fill *f, const struct journal_sa *sa)
{
	if (f->refresh)
		journal_refresh(sa, on_replay, f);
}

/* What waits in a passive charon to be made would be made once it is active. */
static bool is_broken(const struct journal_sa *sa, const struct vici_sa *listed)
{
	return !strcmp(listed->state, "CONNECTING") || vici_moved(sa, listed) || listed->adding;
}

/* The first one that is found stands for the IKE SA: mending mends all of it. */
static bool differs(const struct fill *f, struct journal_sa *sa, const struct vici_sa *listed, struct difference *d)
{
	const struct journal_sa *under;
	const struct journal_child *c;
	unsigned int i;

	*d = (struct difference){ .kind = IKE_LACKS };
	if (!listed || is_broken(sa, listed))
		return true;
	for (i = 0; i < listed->n_children; i++) {
		d->spi = listed->children[i].spi_in;
		d->kind = journal_child_find(sa, d->spi, NULL) ? STATE_LACKS : CHILD_STRANGE;
		if (d->kind == CHILD_STRANGE || !states_have(f->states, listed, &listed->children[i]))
			return true;
	}
	d->kind = CHILD_LACKS;
	for (under = sa; under; under = under->prev) {
		TAILQ_FOREACH(c, &under->children, link) {
			d->spi = c->spi_in;
			if (!vici_child_of(listed, c->spi_in) && !child_lacks(f, c))
				return true;
		}
	}
	return false;
}

static void mend(struct fill *f, struct journal_sa *sa, const struct vici_sa *listed)
{
	if (listed && !is_broken(sa, listed)) {
		remove_children(f, sa, listed);
		if (add_children(f, sa, listed)) {
			refresh(f, sa);
			return;
		}
	}
	if (listed && listed->adding)
		f->begun(f->ctx, listed);
	remove_chain(f, sa);
	journal_replay(sa, on_replay, f);
}

/* A tunnel that a failover would lose, or a part of one. */
static void name(struct fill *f, const struct difference *d, bool first, const char *conn, const char *far, const char *what)
{
	char child[24] = "";

	if (d->spi)
		snprintf(child, sizeof(child), ", CHILD SA %08x", d->spi);
	unprotected_add(f->unprotected, "%.24s, %.39s%s: %s", conn, far, child, what);
	if (first)
		log_warn("not protected: connection %.64s, far end %.64s%s: %s", conn, far, child, what);
}

static void name_unmended(struct fill *f, const struct difference *d, enum verdict v, const char *conn, const char *far)
{
	static const char *const what[] = {
		[IKE_LACKS] = "charon does not take the IKE SA: look at its log; is swanctl.conf the same?",
		[IKE_STRANGE] = "charon keeps the IKE SA, which is gone: restart strongSwan",
		[CHILD_LACKS] = "charon does not take it: look at its log; is swanctl.conf the same?",
		[CHILD_STRANGE] = "charon keeps it, and it is gone: restart strongSwan",
		[STATE_LACKS] = "the kernel does not keep it: look at charon's log",
	};

	if (v == SUSPECT_GIVE_UP || v == SUSPECT_GIVEN_UP)
		name(f, d, v == SUSPECT_GIVE_UP, conn, far, what[d->kind]);
}

/* Nothing can be done about it here, so it is named at once; the log has it once. */
static void withheld(struct fill *f, const struct journal_sa *sa, uint32_t spi, const char *lacks)
{
	struct difference d = { WITHHELD, spi };
	char far[VICI_ADDR_TEXT], what[96];

	vici_addr_text(&sa->remote, far);
	snprintf(what, sizeof(what), "this strongSwan lacks %s: run the same release", lacks);
	name(f, &d, see(f, &d, &sa->id) == SUSPECT_GIVE_UP, journal_name(sa), far, what);
	snprintf(f->why, FILL_WHY, "connection %.40s: %s", journal_name(sa), what);
}

/* Return: whether the IKE SA can be told, if maybe not all of its CHILD SAs */
static bool name_withheld(struct fill *f, const struct journal_sa *sa)
{
	const char *lacks = dialect_lacks_keys(f->version, sa);
	const struct journal_sa *under;
	const struct journal_child *c;

	if (lacks) {
		withheld(f, sa, 0, lacks);
		return false;
	}
	for (under = sa; under; under = under->prev) {
		TAILQ_FOREACH(c, &under->children, link) {
			lacks = child_lacks(f, c);
			if (lacks)
				withheld(f, sa, c->spi_in, lacks);
		}
	}
	return true;
}

/* One IKE SA that lives, against what charon lists. */
static void fill_one(struct fill *f, struct journal_sa *sa)
{
	const struct vici_sa *listed = vici_sas_find(f->sas, &sa->id);
	char far[VICI_ADDR_TEXT];
	struct difference d;
	enum verdict v;

	vici_addr_text(&sa->remote, far);
	if (!conn_loaded(f, journal_name(sa))) {
		f->missing++;
		snprintf(f->why, FILL_WHY, "connection %.64s is not loaded here", journal_name(sa));
		unprotected_add(f->unprotected, "%.24s, %.39s: the connection is not loaded: swanctl --load-all", journal_name(sa), far);
		return;
	}
	if (!name_withheld(f, sa)) {
		f->missing++;
		return;
	}
	/* One of them may be missing, but which cannot be known: then all are told anew. */
	if ((may_be_omitted(f, sa) && f->omitted <= f->unlisted) || !differs(f, sa, listed, &d)) {
		refresh(f, sa);
		return;
	}
	v = see(f, &d, &sa->id);
	f->missing += v != SUSPECT_NEW;
	if (v == SUSPECT_MEND) {
		mend(f, sa, listed);
		return;
	}
	refresh(f, sa);
	name_unmended(f, &d, v, journal_name(sa), far);
}

static void remove_strangers(struct fill *f)
{
	struct difference d = { .kind = IKE_STRANGE };
	const struct vici_sa *sa;
	enum verdict v;
	size_t n;

	for (sa = sa_array(f, &n); n--; sa++) {
		if (!config_is_ours_text(f->c, sa->local) || journal_find(f->j, &sa->id))
			continue;
		v = see(f, &d, &sa->id);
		if (v == SUSPECT_MEND)
			remove_stranger(f, sa);
		else
			name_unmended(f, &d, v, sa->name, sa->remote);
	}
}

/* In the way of what charon is to add, or of nobody: an SA that only this kernel has is no tunnel's. */
static void on_strange(void *ctx, const struct state *state)
{
	static const char *const what = "in the kernel, unknown to charon, cannot be removed: ip xfrm state delete";
	struct difference d = { STATE_STRANGE, state->spi };
	static const struct ike_id nobody;
	char dst[VICI_ADDR_TEXT];
	struct fill *f = ctx;
	enum verdict v;

	if (f->removed == MAX_REMOVED)
		return;
	v = see(f, &d, &nobody);
	vici_addr_text(&state->dst, dst);
	if (v == SUSPECT_GIVE_UP)
		log_warn("SA %08x to %.64s is %s", state->spi, dst, what);
	if (v == SUSPECT_GIVE_UP || v == SUSPECT_GIVEN_UP)
		unprotected_add(f->unprotected, "SA %08x to %.39s: %s", state->spi, dst, what);
	if (v != SUSPECT_MEND)
		return;
	if (!f->remove(f->ctx, state)) {
		suspects_ignore(f->suspects);
		return;
	}
	f->removed++;
	log_warn("SA %08x to %.64s is unknown to charon: removing it from the kernel", state->spi, dst);
}

/* It was started anew: whatever it lists, clients have begun since. */
static bool charon_is_new(const struct fill *f)
{
	const struct vici_sa *sa;
	size_t n;

	if (!journal_count(f->j) || f->omitted)
		return false;	/* what it does not list it has from us: a new one has nothing so large */
	for (sa = sa_array(f, &n); n--; sa++) {
		if (config_is_ours_text(f->c, sa->local) && !strcmp(sa->state, "PASSIVE"))
			return false;
	}
	return true;
}

/*
 * A new charon owns nothing of what is in the kernel, and cannot add what is there. What clients have begun meanwhile goes too; the journal has
 * it, if it is complete.
 */
static void flush(struct fill *f)
{
	const struct vici_sa *sa;
	size_t n;
	int r;

	for (sa = sa_array(f, &n); n--; sa++) {
		if (config_is_ours_text(f->c, sa->local))
			remove_stranger(f, sa);
	}
	vici_sas_free(f->sas);
	r = xfrm_flush(f->c);
	if (r < 0)
		log_warn("cannot remove what a former charon left in the kernel: %s", strerror(-r));
	else if (r)
		log_info("removed %d states and policies that a former charon left in the kernel", r);
}

static void flush_if_new(struct fill *f)
{
	bool was_new = *f->was_new;

	*f->was_new = charon_is_new(f);
	f->soon |= *f->was_new;
	if (!*f->was_new || !(was_new || f->at_once))
		return;
	flush(f);
	f->states = NULL;
	f->at_once = true;
}

void fill(struct fill *f)
{
	struct journal_sa *sa = NULL;

	count_omitted(f);
	flush_if_new(f);
	if (f->states && !f->unlisted)
		states_strange(f->states, f->sas, on_strange, f);
	remove_strangers(f);
	while ((sa = journal_next(f->j, sa)))
		fill_one(f, sa);
	suspects_end(f->suspects, now_ms());
}
