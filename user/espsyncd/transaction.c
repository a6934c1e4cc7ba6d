// SPDX-License-Identifier: GPL-2.0-or-later
/* transaction: lets messages through only as whole IKE SAs. Pure. See transaction.h. */
#include <string.h>

#include "bytes.h"
#include "transaction.h"

struct group {
	TAILQ_ENTRY(group) link;
	struct ike_id id;
	bool has_old;
	struct ike_id old;
	uint64_t since_ms;
	unsigned int n;
	struct journal_raw raw[TXN_MAX_MESSAGES];
};

TAILQ_HEAD(group_list, group);

struct txn {
	struct txn_rules rules;
	struct group_list groups;	/* oldest first */
	unsigned int n;
	size_t size;			/* of all that is held */
};

struct txn *txn_alloc(const struct txn_rules *rules)
{
	struct txn *t = secret_alloc(sizeof(*t));

	t->rules = *rules;
	TAILQ_INIT(&t->groups);
	return t;
}

static void group_free(struct txn *t, struct group *g)
{
	unsigned int i;

	TAILQ_REMOVE(&t->groups, g, link);
	t->n--;
	for (i = 0; i < g->n; i++) {
		t->size -= g->raw[i].len;
		secret_free(g->raw[i].data, g->raw[i].len);
	}
	secret_free(g, sizeof(*g));
}

unsigned int txn_discard(struct txn *t)
{
	unsigned int n = t->n;

	while (!TAILQ_EMPTY(&t->groups))
		group_free(t, TAILQ_FIRST(&t->groups));
	return n;
}

void txn_free(struct txn *t)
{
	if (!t)
		return;
	txn_discard(t);
	secret_free(t, sizeof(*t));
}

static struct group *group_find(const struct txn *t, const struct ike_id *id)
{
	struct group *g;

	TAILQ_FOREACH(g, &t->groups, link) {
		if (ike_id_equal(&g->id, id))
			return g;
	}
	return NULL;
}

/* If both ends rekeyed at once there are two successors; the newest is the one that lives more often. */
static struct group *group_replacing(struct txn *t, const struct ike_id *old)
{
	struct group *g;

	TAILQ_FOREACH_REVERSE(g, &t->groups, group_list, link) {
		if (g->has_old && ike_id_equal(&g->old, old))
			return g;
	}
	return NULL;
}

static void emit_raw(struct txn *t, const struct journal_raw *r)
{
	struct ha_msg m;

	if (ha_parse(&m, r->data, r->len) == HA_OK)
		t->rules.emit(t->rules.ctx, &m, r->data, r->len);
}

/* The new IKE SA came to nothing. That the old one went is true all the same, unless another successor has it. */
static void group_drop(struct txn *t, const struct journal *j, struct group *g)
{
	const struct journal_sa *old = g->has_old ? journal_find(j, &g->old) : NULL;
	struct ha_msg m;
	unsigned int i;

	for (i = 0; old && !old->next && i < g->n; i++) {
		const struct journal_raw *r = &g->raw[i];

		if (ha_parse(&m, r->data, r->len) != HA_OK || !ike_id_equal(&m.id, &g->old))
			continue;
		t->rules.emit(t->rules.ctx, &m, r->data, r->len);
		break;
	}
	group_free(t, g);
}

static void group_release(struct txn *t, struct group *g)
{
	unsigned int i;

	for (i = 0; i < g->n; i++)
		emit_raw(t, &g->raw[i]);
	group_free(t, g);
}

/* Room for @len more in @g, by letting the oldest of the others go. Only a peer that means harm, or is broken, makes that necessary. */
static bool make_room(struct txn *t, const struct journal *j, const struct group *g, size_t len)
{
	size_t max = (size_t)t->rules.max_groups * TXN_GROUP + HA_MAX_LEN;

	while (t->size + len > max) {
		struct group *oldest = TAILQ_FIRST(&t->groups);

		if (oldest == g)
			oldest = TAILQ_NEXT(oldest, link);
		if (!oldest)
			return false;
		group_drop(t, j, oldest);
	}
	return true;
}

static enum txn_result group_add(struct txn *t, const struct journal *j, struct group *g, const uint8_t *data, size_t len)
{
	if (g->n == TXN_MAX_MESSAGES || !make_room(t, j, g, len)) {
		group_drop(t, j, g);
		return TXN_DROPPED;
	}
	g->raw[g->n].data = secret_dup(data, len);
	g->raw[g->n++].len = len;
	t->size += len;
	return TXN_HELD;
}

static enum txn_result feed_add(struct txn *t, const struct journal *j, const struct ha_msg *m, const uint8_t *data,
				size_t len, uint64_t now_ms)
{
	struct group *g = group_find(t, &m->id);

	if (g)
		return group_add(t, j, g, data, len);
	if (journal_find(j, &m->id))
		return TXN_REPEATED;
	if (t->n >= t->rules.max_groups)
		group_drop(t, j, TAILQ_FIRST(&t->groups));

	g = secret_alloc(sizeof(*g));
	g->id = m->id;
	g->has_old = m->has_rekey_id;
	g->old = m->rekey_id;
	g->since_ms = now_ms;
	TAILQ_INSERT_TAIL(&t->groups, g, link);
	t->n++;
	return group_add(t, j, g, data, len);
}

static enum txn_result pass(struct txn *t, const struct journal *j, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	if (!journal_find(j, &m->id))
		return TXN_UNKNOWN;
	t->rules.emit(t->rules.ctx, m, data, len);
	return TXN_PASSED;
}

static enum txn_result feed_delete(struct txn *t, const struct journal *j, const struct ha_msg *m, const uint8_t *data,
				   size_t len)
{
	struct group *g = group_find(t, &m->id);

	if (g) {
		group_drop(t, j, g);
		return TXN_DROPPED;
	}
	g = group_replacing(t, &m->id);
	if (g)
		return group_add(t, j, g, data, len);
	return pass(t, j, m, data, len);
}

enum txn_result txn_feed(struct txn *t, const struct journal *j, const struct ha_msg *m, const uint8_t *data,
			 size_t len, uint64_t now_ms)
{
	enum txn_result r;
	struct group *g;

	if (!ha_is_state(m->type))
		return TXN_UNKNOWN;
	if (m->type == HA_IKE_ADD)
		return feed_add(t, j, m, data, len, now_ms);
	if (m->type == HA_IKE_DELETE)
		return feed_delete(t, j, m, data, len);

	g = group_find(t, &m->id);
	if (!g)
		return pass(t, j, m, data, len);
	r = group_add(t, j, g, data, len);
	if (r != TXN_HELD || m->type != HA_IKE_UPDATE || !m->name[0])
		return r;
	if (!t->rules.is_ours(t->rules.ctx, &m->local)) {
		group_drop(t, j, g);
		return TXN_DROPPED;
	}
	group_release(t, g);
	return TXN_RELEASED;
}

bool txn_overdue(const struct txn *t, uint64_t now_ms, struct ike_id *id)
{
	const struct group *g = TAILQ_FIRST(&t->groups);

	if (!g || now_ms - g->since_ms <= t->rules.max_age_ms)
		return false;
	*id = g->id;
	return true;
}

unsigned int txn_held(const struct txn *t)
{
	return t->n;
}

bool txn_holds(const struct txn *t, const struct ike_id *id)
{
	return group_find(t, id);
}

void txn_walk(const struct txn *t, journal_emit emit, void *ctx)
{
	const struct group *g;
	struct ha_msg m;
	unsigned int i;

	TAILQ_FOREACH(g, &t->groups, link) {
		for (i = 0; i < g->n; i++) {
			if (ha_parse(&m, g->raw[i].data, g->raw[i].len) == HA_OK)
				emit(ctx, &m, g->raw[i].data, g->raw[i].len);
		}
	}
}
