// SPDX-License-Identifier: GPL-2.0-or-later
/* audit: does the journal of an active node say what its charon has? See audit.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "bytes.h"
#include "log.h"
#include "roam.h"

#define INTERVAL_MS	5000
#define MAX_UPDATED	64
#define SAY_MS		3600000	/* that one is not listed, which stays so */

/* A difference must be seen twice: once it may be a message that is on its way. */
enum kind { IKE_NOT_KNOWN, CHILD_NOT_KNOWN, IKE_NOT_THERE, CHILD_NOT_THERE };

struct suspect {
	enum kind kind;
	struct ike_id id;
	uint32_t spi_in;
};

struct audit {
	const struct config *c;
	struct vici *vici;
	struct relay *relay;
	struct rekey *rekey;
	struct event *timer;
	struct bytes before;	/* struct suspect, of the last look, sorted */
	struct bytes now;	/* of this one */
	struct bytes listed;	/* struct vici_sa, sorted */
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

static int by_all(const void *a, const void *b)
{
	const struct suspect *x = a, *y = b;
	int r = memcmp(x->id.spi_i, y->id.spi_i, sizeof(x->id.spi_i));

	r = r ? r : memcmp(x->id.spi_r, y->id.spi_r, sizeof(x->id.spi_r));
	r = r ? r : (x->spi_in > y->spi_in) - (x->spi_in < y->spi_in);
	return r ? r : (int)x->kind - (int)y->kind;
}

/* There may be as many as IKE SAs: after a takeover without a journal, all of them. */
static void sort(struct bytes *suspects)
{
	if (bytes_left(suspects))
		qsort(suspects->data + suspects->off, bytes_left(suspects) / sizeof(struct suspect), sizeof(struct suspect), by_all);
}

/* Return: true if it was suspected before */
static bool suspect(struct audit *a, enum kind kind, const struct ike_id *id, uint32_t spi_in)
{
	struct suspect s = { .kind = kind, .id = *id, .spi_in = spi_in };

	if (bsearch(&s, bytes_at(&a->before), bytes_left(&a->before) / sizeof(s), sizeof(s), by_all))
		return true;
	bytes_add(&a->now, &s, sizeof(s));
	return false;
}

static void rekey_all(struct audit *a, const struct vici_sa *sa)
{
	unsigned int i;

	log_warn("an IKE SA of connection %.64s is not in the journal: rekeying it", sa->name);
	rekey_add(a->rekey, true, sa->unique);
	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].installed)
			rekey_add(a->rekey, false, sa->children[i].unique);
	}
}

static void ike_unknown(struct audit *a, const struct vici_sa *sa)
{
	a->unknown++;
	a->lacking = true;
	if (journal_room(relay_journal(a->relay), NULL) != JOURNAL_ROOM) {
		snprintf(a->why, sizeof(a->why), "no room in the journal (raise journal_mib) for %u IKE SAs, one of them of connection %.40s",
			 a->unknown, sa->name);
		return;
	}
	snprintf(a->why, sizeof(a->why), "%u IKE SAs are not in the journal yet", a->unknown);
	if (suspect(a, IKE_NOT_KNOWN, &sa->id, 0))
		rekey_all(a, sa);
}

/* Return: what there is no room for, if anything of the journal's IKE SA @known is missing there */
static enum journal_room child_unknown(struct audit *a, const struct journal_sa *known, const struct vici_child *c)
{
	enum journal_room room = journal_room(relay_journal(a->relay), known);

	a->lacking = true;
	if (room == JOURNAL_ROOM && suspect(a, CHILD_NOT_KNOWN, &known->id, c->spi_in)) {
		log_warn("CHILD SA %08x is not in the journal: rekeying it", c->spi_in);
		rekey_add(a->rekey, false, c->unique);
	}
	return room;
}

/* A client was told of that address, and has moved to it (MOBIKE). */
static void strayed(struct audit *a, const struct vici_sa *sa)
{
	a->unknown++;
	snprintf(a->why, sizeof(a->why), "a far end of connection %.30s uses %.40s, which does not move (set interfaces_use)", sa->name, sa->local);
}

/* What charon has and the journal has not. */
static void check_listed(struct audit *a, const struct vici_sa *sa)
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
	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].installed && !journal_child_find(known, sa->children[i].spi_in, NULL))
			crowded = child_unknown(a, known, &sa->children[i]);
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

/* One in a look: what charon has forgotten by itself. The walk does not go on behind it. */
static void check_children(struct audit *a, const struct journal_sa *sa, const struct vici_sa *there)
{
	uint8_t made[HA_MAX_MADE];
	const struct journal_sa *under;
	const struct journal_child *c;

	for (under = sa; under; under = under->prev) {
		TAILQ_FOREACH(c, &under->children, link) {
			if (child_listed(there, c->spi_in) || !suspect(a, CHILD_NOT_THERE, &sa->id, c->spi_in))
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
	if (!suspect(a, IKE_NOT_THERE, &sa->id, 0))
		return;
	log_warn("an IKE SA of connection %.64s is in the journal alone: forgetting it", journal_name(sa));
	tell(a, made, ha_make_ike_delete(made, sa->adds[0].data[0], &sa->id));
}

static void compare(struct audit *a)
{
	const struct vici_sa *sa = (const struct vici_sa *)bytes_at(&a->listed);
	size_t n = bytes_left(&a->listed) / sizeof(*sa);
	const struct journal *j = relay_journal(a->relay);
	const struct journal_sa *known, *next;

	a->unknown = 0;
	a->lacking = false;
	a->unlisted = vici_unlisted(a->vici);
	a->omitted = 0;
	for (; n--; sa++)
		check_listed(a, sa);
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

static void on_done(void *ctx, bool ok)
{
	struct audit *a = ctx;

	vici_sas_sort(&a->listed);
	if (ok && relay_is_auditable(a->relay))
		compare(a);
	bytes_free(&a->before);
	sort(&a->now);
	a->before = a->now;
	memset(&a->now, 0, sizeof(a->now));
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
	bytes_free(&a->before);
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

struct audit *audit_alloc(struct event_base *base, const struct config *c, struct vici *v, struct relay *r,
			  struct rekey *rekey)
{
	struct audit *a = secret_alloc(sizeof(*a));

	a->c = c;
	a->vici = v;
	a->relay = r;
	a->rekey = rekey;
	a->timer = evtimer_new(base, on_timer, a);
	arm(a);
	return a;
}

void audit_free(struct audit *a)
{
	event_free(a->timer);
	bytes_free(&a->before);
	bytes_free(&a->now);
	vici_sas_free(&a->listed);
	secret_free(a, sizeof(*a));
}
