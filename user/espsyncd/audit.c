// SPDX-License-Identifier: GPL-2.0-or-later
/* audit: does the journal of an active node say what its charon has? See audit.h. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "bytes.h"
#include "log.h"
#include "roam.h"
#include "suspects.h"
#include "xfrm_list.h"

#define INTERVAL_MS	5000
#define GAP_MS		20000	/* a far end is asked, and asked again */
#define MAX_UPDATED	64
#define AWAY_MS		60000	/* a far end that has been out of reach for so long hardly has what was answered before */
#define SAY_MS		3600000	/* that one is not listed, which stays so */

enum kind {
	IKE_NOT_KNOWN,		/* to the journal */
	CHILD_NOT_KNOWN,
	IKE_NOT_THERE,		/* in charon */
	CHILD_NOT_THERE,
	STATE_NOT_THERE,	/* in the kernel, while charon has it */
	STATE_STRANGE,		/* only in the kernel */
	REQUEST_HANGS,		/* of charon's own */
};

struct audit {
	const struct config *c;
	struct vici *vici;
	struct kernel *kernel;
	struct relay *relay;
	struct rekey *rekey;
	struct event *timer;
	struct xfrm_list *xfrm;
	struct suspects suspects;
	struct bytes listed;	/* struct vici_sa, sorted */
	struct unprotected unprotected;
	unsigned int unlisted;	/* charon has so many more */
	unsigned int omitted;	/* and these may be among them */
	uint64_t said_ms;
	uint32_t updated[MAX_UPDATED];	/* IKE SAs that charon is to be asked for, by its numbers */
	unsigned int n_updated;
	bool asking;		/* for one of these */
	bool lacking;		/* the last look found something that the journal has not */
	unsigned int unknown;
	char why[128];
};

static enum verdict see(struct audit *a, enum kind kind, const struct ike_id *id, uint32_t spi)
{
	return suspects_see(&a->suspects, kind, id, spi, now_ms(), false);
}

static bool is_given_up(enum verdict v)
{
	return v == SUSPECT_GIVE_UP || v == SUSPECT_GIVEN_UP;
}

/* Of an IKE SA, or of one of its CHILD SAs. */
static void name(struct audit *a, const struct vici_sa *sa, const struct vici_child *c, const char *what, bool first)
{
	char child[24] = "";

	if (c)
		snprintf(child, sizeof(child), ", CHILD SA %08x", c->spi_in);
	unprotected_add(&a->unprotected, "%.24s, %.39s%s: %s (swanctl --terminate --%s-id %u)", sa->name, sa->remote, child, what,
			c ? "child" : "ike", c ? c->unique : sa->unique);
	if (first)
		log_warn("not protected: connection %.64s, far end %.64s%s: %s", sa->name, sa->remote, child, what);
}

static void rekey_all(struct audit *a, const struct vici_sa *sa)
{
	uint32_t ms;
	unsigned int i;

	log_warn("an IKE SA of connection %.64s is not in the journal: rekeying it", sa->name);
	ms = rekey_add(a->rekey, true, sa->unique);
	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].installed)
			ms = rekey_add(a->rekey, false, sa->children[i].unique);
	}
	suspects_later(&a->suspects, ms);
}

static void rekey_child(struct audit *a, const struct vici_child *c, const char *why)
{
	log_warn("CHILD SA %08x is %s: rekeying it", c->spi_in, why);
	suspects_later(&a->suspects, rekey_add(a->rekey, false, c->unique));
}

static void ike_unknown(struct audit *a, const struct vici_sa *sa)
{
	enum verdict v;

	a->unknown++;
	a->lacking = true;
	if (journal_room(relay_journal(a->relay), NULL) != JOURNAL_ROOM) {
		snprintf(a->why, sizeof(a->why), "no room in the journal (raise journal_mib) for %u IKE SAs, one of them of connection %.40s",
			 a->unknown, sa->name);
		return;
	}
	snprintf(a->why, sizeof(a->why), "%u IKE SAs are not in the journal yet", a->unknown);
	v = see(a, IKE_NOT_KNOWN, &sa->id, 0);
	if (v == SUSPECT_MEND)
		rekey_all(a, sa);
	else if (is_given_up(v))
		name(a, sa, NULL, "charon does not rekey the IKE SA", v == SUSPECT_GIVE_UP);
}

/* Return: what there is no room for, if anything of the journal's IKE SA @known is missing there */
static enum journal_room child_unknown(struct audit *a, const struct journal_sa *known, const struct vici_sa *sa, const struct vici_child *c)
{
	enum journal_room room = journal_room(relay_journal(a->relay), known);
	enum verdict v;

	a->lacking = true;
	if (room != JOURNAL_ROOM)
		return room;
	v = see(a, CHILD_NOT_KNOWN, &known->id, c->spi_in);
	if (v == SUSPECT_MEND)
		rekey_child(a, c, "not in the journal");
	else if (is_given_up(v))
		name(a, sa, c, "charon does not rekey it", v == SUSPECT_GIVE_UP);
	return room;
}

/* charon goes on as if it had it, and a far end's packets come to nothing. */
static void not_in_kernel(struct audit *a, const struct vici_sa *sa, const struct vici_child *c)
{
	enum verdict v = see(a, STATE_NOT_THERE, &sa->id, c->spi_in);

	if (v == SUSPECT_MEND)
		rekey_child(a, c, "not in the kernel");
	else if (is_given_up(v))
		name(a, sa, c, "the kernel does not have it", v == SUSPECT_GIVE_UP);
}

static void check_states(struct audit *a, const struct vici_sa *sa, const struct bytes *states)
{
	unsigned int i;

	for (i = 0; i < sa->n_children; i++) {
		if (!states_have(states, sa, &sa->children[i]))
			not_in_kernel(a, sa, &sa->children[i]);
	}
}

/* It may be somebody's all the same: an active node's SAs are let be. */
static void on_strange(void *ctx, const struct state *state)
{
	static const struct ike_id nobody;
	char dst[VICI_ADDR_TEXT];
	struct audit *a = ctx;
	enum verdict v = see(a, STATE_STRANGE, &nobody, state->spi);

	if (v == SUSPECT_NEW || v == SUSPECT_IGNORED)
		return;
	if (v == SUSPECT_MEND && !kernel_serves(a->kernel, &state->dst, state->spi, state->proto)) {
		suspects_ignore(&a->suspects);
		return;
	}
	vici_addr_text(&state->dst, dst);
	unprotected_add(&a->unprotected, "an SA is in the kernel alone: ip xfrm state delete dst %s proto %s spi 0x%08x", dst,
			state->proto == IPPROTO_AH ? "ah" : "esp", state->spi);
	if (v == SUSPECT_GIVE_UP)
		log_warn("SA %08x to %s is in the kernel alone: charon does not know it, and no standby has it", state->spi, dst);
}

/* A client was told of that address, and has moved to it (MOBIKE). */
static void strayed(struct audit *a, const struct vici_sa *sa)
{
	a->unknown++;
	snprintf(a->why, sizeof(a->why), "a far end of connection %.30s uses %.40s, which does not move (set interfaces_use)", sa->name, sa->local);
}

/*
 * The far end is there, and lets charon's newest request be. One that is out of reach may have answered the one before: to that message ID
 * it would give that answer again, which does not fit, and charon would give the IKE SA up.
 */
static bool is_ignored(const struct vici_sa *sa, const struct journal_sa *known)
{
	uint32_t ms = journal_asks_for(known, now_ms());
	unsigned int i;

	if (journal_asked_since(known) || ms > AWAY_MS)
		return true;
	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].heard && (sa->children[i].heard_s + 1ULL) * 1000 < ms)
			return true;
	}
	return false;
}

/* The far end waits for the one before, which charon's predecessor never made: it is made now. */
static void check_request(struct audit *a, const struct vici_sa *sa)
{
	const struct journal_sa *known = journal_find(relay_journal(a->relay), &sa->id);
	uint8_t made[HA_MAX_MADE];
	struct ha_msg m;
	uint32_t mid;
	size_t len;

	if (!sa->asks || !known || known->next || !journal_skipped(known, &mid) || !is_ignored(sa, known) ||
	    see(a, REQUEST_HANGS, &sa->id, mid) != SUSPECT_MEND)
		return;
	log_info("connection %.64s: the far end does not answer request %u: it may be waiting for %u, which died with a charon that is gone",
		 sa->name, mid + 1, mid);
	len = ha_make_mid(made, known->adds[0].data[0], HA_IKE_MID_INITIATOR, &sa->id, mid);
	if (ha_parse(&m, made, len) == HA_OK)
		relay_inject(a->relay, &m, made, len);
	rekey_add(a->rekey, !sa->n_children, sa->n_children ? sa->children[0].unique : sa->unique);
}

/* What charon has and the journal has not. */
static void check_listed(struct audit *a, const struct vici_sa *sa, const struct bytes *states)
{
	struct journal_sa *known = journal_find(relay_journal(a->relay), &sa->id);
	enum journal_room crowded = JOURNAL_ROOM;
	unsigned int i;

	if (strcmp(sa->state, "ESTABLISHED") || relay_is_held(a->relay, &sa->id))
		return;
	if (!config_is_ours_text(a->c, sa->local)) {
		if (known)
			strayed(a, sa);
		return;
	}
	if (!known) {
		ike_unknown(a, sa);
		return;
	}
	if (known->next)
		return;		/* it was replaced while charon listed */
	roam_check(a->relay, known, sa);
	check_states(a, sa, states);
	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].installed && !journal_child_find(known, sa->children[i].spi_in, NULL))
			crowded = child_unknown(a, known, sa, &sa->children[i]);
	}
	known->crowded = crowded;
}

static bool child_listed(const struct vici_sa *sa, uint32_t spi_in)
{
	unsigned int i;

	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].spi_in == spi_in)
			return true;
	}
	return false;
}

/* As if charon had said it: the journal and the peers follow. */
static void tell(struct audit *a, const uint8_t *data, size_t len)
{
	struct ha_msg m;

	if (ha_parse(&m, data, len) == HA_OK)
		relay_local_message(a->relay, &m, data, len);
}

/* For what is not charon's to do: that helps whenever it is done. */
static bool stands(struct audit *a, enum kind kind, const struct ike_id *id, uint32_t spi)
{
	return see(a, kind, id, spi) != SUSPECT_NEW;
}

/* One in a look: what charon has forgotten by itself. The walk does not go on behind it. */
static void check_children(struct audit *a, const struct journal_sa *sa, const struct vici_sa *there)
{
	uint8_t made[HA_MAX_MADE];
	const struct journal_sa *under;
	const struct journal_child *c;

	for (under = sa; under; under = under->prev) {
		TAILQ_FOREACH(c, &under->children, link) {
			if (child_listed(there, c->spi_in) || !stands(a, CHILD_NOT_THERE, &sa->id, c->spi_in))
				continue;
			log_warn("CHILD SA %08x is in the journal alone: forgetting it", c->spi_in);
			tell(a, made, ha_make_child_delete(made, sa->adds[0].data[0], &sa->id, c->spi_in));
			return;
		}
	}
}

/* Not listed, but it may be there all the same: then forgetting it would take it from the peers' charons. */
static void keep(struct audit *a, const struct journal_sa *sa)
{
	a->omitted++;
	if (a->said_ms && now_ms() - a->said_ms < SAY_MS)
		return;
	a->said_ms = now_ms();
	log_warn("charon has more IKE SAs than it lists: one of connection %.64s stays in the journal, and is not compared (too many CHILD SAs?)",
		 journal_name(sa));
}

/* What the journal has and charon has not. @sa may be gone afterwards, and no other. */
static void check_known(struct audit *a, const struct journal_sa *sa)
{
	const struct vici_sa *there = vici_sas_find(&a->listed, &sa->id);
	uint8_t made[HA_MAX_MADE];

	if (there) {
		check_children(a, sa, there);
		return;
	}
	if (a->unlisted && vici_may_omit(sa)) {
		keep(a, sa);
		return;
	}
	if (!stands(a, IKE_NOT_THERE, &sa->id, 0))
		return;
	log_warn("an IKE SA of connection %.64s is in the journal alone: forgetting it", journal_name(sa));
	tell(a, made, ha_make_ike_delete(made, sa->adds[0].data[0], &sa->id));
}

static void compare(struct audit *a, const struct bytes *states)
{
	const struct vici_sa *sa = (const struct vici_sa *)bytes_at(&a->listed);
	size_t n = bytes_left(&a->listed) / sizeof(*sa);
	const struct journal *j = relay_journal(a->relay);
	const struct journal_sa *known, *next;

	a->unknown = 0;
	a->lacking = false;
	a->omitted = 0;
	for (; n--; sa++) {
		check_request(a, sa);
		check_listed(a, sa, states);
	}
	if (states && !a->unlisted)
		states_strange(states, &a->listed, on_strange, a);
	for (known = journal_next(j, NULL); known; known = next) {
		next = journal_next(j, known);
		check_known(a, known);
	}
	/* One that is neither listed nor in the journal would be lacking, too. */
	if (!a->lacking && a->unlisted <= a->omitted)
		relay_found_whole(a->relay);
}

static void arm(struct audit *a)
{
	struct timeval tv = { INTERVAL_MS / 1000, INTERVAL_MS % 1000 * 1000 };

	event_add(a->timer, &tv);
}

static void on_sa(void *ctx, const struct vici_sa *sa)
{
	struct audit *a = ctx;

	vici_sas_add(&a->listed, sa);
}

/* A role that has changed meanwhile finds nothing to compare. */
static void on_states(void *ctx, const struct bytes *states)
{
	struct audit *a = ctx;

	a->unprotected.n = 0;
	if (relay_is_auditable(a->relay)) {
		compare(a, states);
		suspects_end(&a->suspects, now_ms());
		relay_unprotected(a->relay, &a->unprotected);
	}
	vici_sas_free(&a->listed);
	arm(a);
}

static void on_done(void *ctx, bool ok)
{
	struct audit *a = ctx;

	vici_sas_sort(&a->listed);
	a->unlisted = vici_unlisted(a->vici);
	if (ok) {
		xfrm_list_states(a->xfrm, on_states, a);
		return;
	}
	vici_sas_free(&a->listed);
	arm(a);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct audit *a = arg;

	(void)fd;
	(void)what;
	if (relay_is_auditable(a->relay)) {
		vici_list_sas(a->vici, on_sa, on_done, a);
		return;
	}
	a->unknown = 0;
	a->unprotected.n = 0;
	relay_unprotected(a->relay, &a->unprotected);
	suspects_forget(&a->suspects);
	arm(a);
}

static void on_updated_sa(void *ctx, const struct vici_sa *listed)
{
	struct audit *a = ctx;
	const struct journal_sa *known = journal_find(relay_journal(a->relay), &listed->id);

	if (known && !known->next && relay_is_auditable(a->relay) && !strcmp(listed->state, "ESTABLISHED") &&
	    config_is_ours_text(a->c, listed->local))
		roam_check(a->relay, known, listed);
}

/* One at a time: charon has to look for it among all. */
static void on_updated_done(void *ctx, bool ok)
{
	struct audit *a = ctx;

	(void)ok;
	a->asking = false;
	if (!a->n_updated)
		return;
	a->asking = true;
	vici_list_sa(a->vici, a->updated[--a->n_updated], on_updated_sa, on_updated_done, a);
}

void audit_updated(struct audit *a, uint32_t unique)
{
	unsigned int i;

	if (!relay_is_auditable(a->relay))
		return;
	for (i = 0; i < a->n_updated; i++) {
		if (a->updated[i] == unique)
			return;
	}
	if (a->n_updated == MAX_UPDATED)
		return;		/* all are looked at soon */
	a->updated[a->n_updated++] = unique;
	if (!a->asking)
		on_updated_done(a, true);
}

unsigned int audit_unknown(const struct audit *a, const char **why)
{
	*why = a->why;
	return a->unknown;
}

struct audit *audit_alloc(struct event_base *base, const struct config *c, struct vici *v, struct kernel *k, struct relay *r,
			  struct rekey *rekey)
{
	struct audit *a = secret_alloc(sizeof(*a));

	a->c = c;
	a->vici = v;
	a->kernel = k;
	a->relay = r;
	a->rekey = rekey;
	a->suspects.gap_ms = GAP_MS;
	a->xfrm = xfrm_list_alloc(base, c);
	a->timer = evtimer_new(base, on_timer, a);
	arm(a);
	return a;
}

void audit_free(struct audit *a)
{
	event_free(a->timer);
	xfrm_list_free(a->xfrm);
	suspects_forget(&a->suspects);
	vici_sas_free(&a->listed);
	secret_free(a, sizeof(*a));
}
