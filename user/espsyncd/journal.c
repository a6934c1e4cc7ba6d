// SPDX-License-Identifier: GPL-2.0-or-later
/* journal: per IKE SA, the messages that rebuild it in an empty charon. Pure. See journal.h. */
#include <string.h>

#include "bytes.h"
#include "journal.h"

#define BUCKETS	4096

TAILQ_HEAD(sa_list, journal_sa);

struct journal {
	struct sa_list all;
	struct sa_list bucket[BUCKETS];
	unsigned int living;
	size_t size;
};

/* SPIs are random: some bits of both will do. */
static unsigned int bucket_of(const struct ike_id *id)
{
	return (id->spi_i[0] << 8 ^ id->spi_i[7] ^ id->spi_r[7] << 4 ^ id->spi_r[0]) % BUCKETS;
}

static void raw_set(struct journal *j, struct journal_raw *r, const uint8_t *data, size_t len)
{
	j->size -= r->len;
	secret_free(r->data, r->len);
	r->data = len ? secret_dup(data, len) : NULL;
	r->len = len;
	j->size += len;
}

struct journal *journal_alloc(void)
{
	struct journal *j = secret_alloc(sizeof(*j));
	int i;

	TAILQ_INIT(&j->all);
	for (i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&j->bucket[i]);
	return j;
}

static void child_free(struct journal *j, struct journal_sa *sa, struct journal_child *c)
{
	TAILQ_REMOVE(&sa->children, c, link);
	raw_set(j, &c->raw, NULL, 0);
	secret_free(c, sizeof(*c));
}

static void sa_free(struct journal *j, struct journal_sa *sa)
{
	int i;

	while (!TAILQ_EMPTY(&sa->children))
		child_free(j, sa, TAILQ_FIRST(&sa->children));
	for (i = 0; i < sa->n_adds; i++)
		raw_set(j, &sa->adds[i], NULL, 0);
	raw_set(j, &sa->update, NULL, 0);
	raw_set(j, &sa->vips, NULL, 0);
	raw_set(j, &sa->mid_i, NULL, 0);
	raw_set(j, &sa->mid_r, NULL, 0);
	raw_set(j, &sa->iv, NULL, 0);

	if (sa->prev)
		sa->prev->next = NULL;
	if (sa->next)
		sa->next->prev = NULL;
	else
		j->living--;
	TAILQ_REMOVE(&j->all, sa, link);
	TAILQ_REMOVE(&j->bucket[bucket_of(&sa->id)], sa, hash);
	secret_free(sa, sizeof(*sa));
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	while (!TAILQ_EMPTY(&j->all))
		sa_free(j, TAILQ_FIRST(&j->all));
	secret_free(j, sizeof(*j));
}

struct journal_sa *journal_find(const struct journal *j, const struct ike_id *id)
{
	struct journal_sa *sa;

	TAILQ_FOREACH(sa, &j->bucket[bucket_of(id)], hash) {
		if (ike_id_equal(&sa->id, id))
			return sa;
	}
	return NULL;
}

struct journal_sa *journal_next(const struct journal *j, const struct journal_sa *sa)
{
	struct journal_sa *next = sa ? TAILQ_NEXT(sa, link) : TAILQ_FIRST(&j->all);

	while (next && next->next)
		next = TAILQ_NEXT(next, link);
	return next;
}

unsigned int journal_count(const struct journal *j)
{
	return j->living;
}

size_t journal_size(const struct journal *j)
{
	return j->size;
}

static struct journal_sa *oldest(struct journal_sa *sa)
{
	while (sa->prev)
		sa = sa->prev;
	return sa;
}

/* A rekeyed IKE SA inherits its inner addresses and is not told of them again. */
static void inherit_vips(struct journal *j, struct journal_sa *sa, struct journal_sa *next)
{
	struct journal_raw r = sa->vips;

	if (!r.len || next->vips.len || !ha_rename(r.data, r.len, &next->id))
		return;
	raw_set(j, &next->vips, r.data, r.len);
}

/* Ancestors go from the oldest on, until one has a CHILD SA: what lies behind that one is needed to move it on. */
static void trim(struct journal *j, struct journal_sa *sa)
{
	struct journal_sa *first = oldest(sa);

	while (first->next && TAILQ_EMPTY(&first->children)) {
		struct journal_sa *next = first->next;

		inherit_vips(j, first, next);
		sa_free(j, first);
		first = next;
	}
}

static bool ike_add(struct journal *j, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct journal_sa *sa = journal_find(j, &m->id), *old;

	if (sa) {
		if (sa->update.len || sa->n_adds == JOURNAL_MAX_ADDS)
			return false;
		raw_set(j, &sa->adds[sa->n_adds++], data, len);
		return true;
	}
	sa = secret_alloc(sizeof(*sa));
	sa->id = m->id;
	TAILQ_INIT(&sa->children);
	raw_set(j, &sa->adds[sa->n_adds++], data, len);

	old = m->has_rekey_id ? journal_find(j, &m->rekey_id) : NULL;
	if (old && !old->next) {
		old->next = sa;
		sa->prev = old;
	} else {
		j->living++;
	}
	TAILQ_INSERT_TAIL(&j->all, sa, link);
	TAILQ_INSERT_TAIL(&j->bucket[bucket_of(&sa->id)], sa, hash);
	return true;
}

static bool ike_update(struct journal *j, struct journal_sa *sa, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	if (!m->name[0]) {
		raw_set(j, &sa->vips, data, len);
		return true;
	}
	raw_set(j, &sa->update, data, len);
	memcpy(sa->name, m->name, sizeof(sa->name));
	if (m->local.len)
		sa->local = m->local;
	if (m->remote.len)
		sa->remote = m->remote;
	trim(j, sa);
	return true;
}

static bool ike_delete(struct journal *j, struct journal_sa *sa)
{
	if (sa->next) {
		sa->deleted = true;
		return true;
	}
	while (sa) {
		struct journal_sa *prev = sa->prev;

		sa_free(j, sa);
		if (prev)
			j->living++;	/* it has no successor now, and goes in the next round */
		sa = prev;
	}
	return true;
}

struct journal_child *journal_child_find(struct journal_sa *sa, uint32_t spi_in, struct journal_sa **under)
{
	struct journal_child *c;

	for (sa = oldest(sa); sa; sa = sa->next) {
		TAILQ_FOREACH(c, &sa->children, link) {
			if (c->spi_in != spi_in)
				continue;
			if (under)
				*under = sa;
			return c;
		}
	}
	return NULL;
}

static bool child_add(struct journal *j, struct journal_sa *sa, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct journal_child *c;

	if (journal_child_find(sa, m->spi_in, NULL))
		return false;
	c = secret_alloc(sizeof(*c));
	c->spi_in = m->spi_in;
	c->spi_out = m->spi_out;
	raw_set(j, &c->raw, data, len);
	TAILQ_INSERT_TAIL(&sa->children, c, link);
	return true;
}

static bool child_delete(struct journal *j, struct journal_sa *sa, const struct ha_msg *m)
{
	struct journal_sa *under;
	struct journal_child *c = journal_child_find(sa, m->spi_in, &under);

	if (!c)
		return false;
	child_free(j, under, c);
	trim(j, under);
	return true;
}

bool journal_apply(struct journal *j, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct journal_sa *sa;

	if (m->type == HA_IKE_ADD)
		return ike_add(j, m, data, len);

	sa = ha_is_state(m->type) ? journal_find(j, &m->id) : NULL;
	if (!sa)
		return false;
	switch (m->type) {
	case HA_IKE_UPDATE:
		return ike_update(j, sa, m, data, len);
	case HA_IKE_MID_INITIATOR:
		raw_set(j, &sa->mid_i, data, len);
		return true;
	case HA_IKE_MID_RESPONDER:
		raw_set(j, &sa->mid_r, data, len);
		return true;
	case HA_IKE_IV:
		raw_set(j, &sa->iv, data, len);
		return true;
	case HA_IKE_DELETE:
		return ike_delete(j, sa);
	case HA_CHILD_ADD:
		return child_add(j, sa, m, data, len);
	case HA_CHILD_DELETE:
		return child_delete(j, sa, m);
	}
	return false;
}

static void tell(const struct journal_raw *r, journal_emit emit, void *ctx)
{
	struct ha_msg m;

	if (r->len && ha_parse(&m, r->data, r->len) == HA_OK)
		emit(ctx, &m, r->data, r->len);
}

void journal_refresh(const struct journal_sa *sa, journal_emit emit, void *ctx)
{
	tell(&sa->update, emit, ctx);
	tell(&sa->vips, emit, ctx);
	tell(&sa->mid_i, emit, ctx);
	tell(&sa->mid_r, emit, ctx);
	tell(&sa->iv, emit, ctx);
}

static void replay_one(const struct journal_sa *sa, journal_emit emit, void *ctx)
{
	const struct journal_child *c;
	int i;

	for (i = 0; i < sa->n_adds; i++)
		tell(&sa->adds[i], emit, ctx);
	if (sa->prev && sa->prev->deleted) {
		uint8_t made[HA_MAX_MADE];
		struct journal_raw r = { made, ha_make_ike_delete(made, sa->adds[0].data[0], &sa->prev->id) };

		tell(&r, emit, ctx);
	}
	if (sa->next) {
		tell(&sa->update, emit, ctx);
		tell(&sa->vips, emit, ctx);
	} else {
		journal_refresh(sa, emit, ctx);
	}
	TAILQ_FOREACH(c, &sa->children, link)
		tell(&c->raw, emit, ctx);
}

void journal_replay(const struct journal_sa *sa, journal_emit emit, void *ctx)
{
	while (sa->prev)
		sa = sa->prev;
	for (; sa; sa = sa->next)
		replay_one(sa, emit, ctx);
}

void journal_replay_all(const struct journal *j, journal_emit emit, void *ctx)
{
	struct journal_sa *sa = NULL;

	while ((sa = journal_next(j, sa)))
		journal_replay(sa, emit, ctx);
}
