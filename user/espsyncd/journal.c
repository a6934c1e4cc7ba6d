// SPDX-License-Identifier: GPL-2.0-or-later
/* journal: per IKE SA, the messages that rebuild it in an empty charon. Pure. See journal.h. */
#include <string.h>

#include "bytes.h"
#include "journal.h"

#define ANSWERED_MS	60000	/* whoever lived on for so long has answered; a charon may take seconds to die, and to be started anew */
#define BUCKETS		4096

TAILQ_HEAD(sa_list, journal_sa);

struct journal {
	struct sa_list all;
	struct sa_list bucket[BUCKETS];
	struct journal_limits limits;
	unsigned int living;
	unsigned int children;
	size_t size;
	bool full;	/* an IKE SA was refused, and there is not much room again */
	uint16_t life;	/* of the charon that tells now */
	uint64_t inherited_ms;	/* when it began */
};

/* SPIs are random: some bits of both will do. */
static unsigned int bucket_of(const struct ike_id *id)
{
	return (id->spi_i[0] << 8 ^ id->spi_i[7] ^ id->spi_r[7] << 4 ^ id->spi_r[0]) % BUCKETS;
}

/* What malloc() takes for a piece: eight bytes in front, in steps of 16, 32 at least. */
static size_t cost(size_t len)
{
	size_t piece = (len + 8 + 15) / 16 * 16;

	return !len ? 0 : piece < 32 ? 32 : piece;
}

static void grow(struct journal *j, struct journal_sa *sa, size_t len)
{
	j->size += cost(len);
	sa->size += cost(len);
}

static void shrink(struct journal *j, struct journal_sa *sa, size_t len)
{
	j->size -= cost(len);
	sa->size -= cost(len);
}

/* What is there goes; with a length of 0 nothing comes in its place. */
static void raw_set(struct journal *j, struct journal_sa *sa, struct journal_raw *r, const uint8_t *data, size_t len)
{
	shrink(j, sa, r->len);
	secret_free(r->data, r->len);
	r->data = len ? secret_dup(data, len) : NULL;
	r->len = len;
	grow(j, sa, len);
}

static void set_name(struct journal *j, struct journal_sa *sa, const char *name)
{
	size_t before = sa->name ? strlen(sa->name) + 1 : 0, after = name ? strlen(name) + 1 : 0;

	shrink(j, sa, before);
	secret_free(sa->name, before);
	sa->name = name ? secret_dup(name, after) : NULL;
	grow(j, sa, after);
}

struct journal *journal_alloc(void)
{
	struct journal *j = secret_alloc(sizeof(*j));
	int i;

	j->limits = (struct journal_limits){ SIZE_MAX, SIZE_MAX };
	TAILQ_INIT(&j->all);
	for (i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&j->bucket[i]);
	return j;
}

void journal_limit(struct journal *j, const struct journal_limits *limits)
{
	j->limits = *limits;
}

size_t journal_ceiling(const struct journal_limits *limits)
{
	return limits->all > SIZE_MAX / 2 ? SIZE_MAX : 2 * limits->all;
}

/* What may be used of a limit: after a refusal less, so that not each that goes lets one more in. */
static size_t part_of(size_t limit, bool carefully)
{
	return carefully ? limit / 4 * 3 : limit;
}

/* So many tunnels, if each took what it may. */
static size_t tunnels_size(unsigned int n)
{
	return (size_t)n * JOURNAL_TUNNEL;
}

static bool beyond_ceiling(const struct journal *j, size_t more, bool carefully)
{
	return j->size + more > part_of(journal_ceiling(&j->limits), carefully);
}

static void child_free(struct journal *j, struct journal_sa *sa, struct journal_child *c)
{
	TAILQ_REMOVE(&sa->children, c, link);
	j->children--;
	raw_set(j, sa, &c->raw, NULL, 0);
	shrink(j, sa, sizeof(*c));
	secret_free(c, sizeof(*c));
}

/* Nearly all IKE SAs have one, so there is no room for more in advance. */
static void add_keys(struct journal *j, struct journal_sa *sa, const uint8_t *data, size_t len)
{
	size_t before = sa->n_adds * sizeof(*sa->adds), after = before + sizeof(*sa->adds);
	struct journal_raw *more = secret_alloc(after);

	if (before)
		memcpy(more, sa->adds, before);
	secret_free(sa->adds, before);
	shrink(j, sa, before);
	grow(j, sa, after);
	sa->adds = more;
	raw_set(j, sa, &sa->adds[sa->n_adds++], data, len);
}

static void free_keys(struct journal *j, struct journal_sa *sa)
{
	size_t size = sa->n_adds * sizeof(*sa->adds);

	while (sa->n_adds)
		raw_set(j, sa, &sa->adds[--sa->n_adds], NULL, 0);
	shrink(j, sa, size);
	secret_free(sa->adds, size);
}

/* What is of no use once the IKE SA is replaced. */
static void forget_present(struct journal *j, struct journal_sa *sa)
{
	set_name(j, sa, NULL);
	raw_set(j, sa, &sa->vips, NULL, 0);
	raw_set(j, sa, &sa->mid_i, NULL, 0);
	raw_set(j, sa, &sa->mid_r, NULL, 0);
	raw_set(j, sa, &sa->iv, NULL, 0);
}

/* Of an IKE SA that stands in no chain any more. */
static void sa_free(struct journal *j, struct journal_sa *sa)
{
	while (!TAILQ_EMPTY(&sa->children))
		child_free(j, sa, TAILQ_FIRST(&sa->children));
	free_keys(j, sa);
	raw_set(j, sa, &sa->update, NULL, 0);
	forget_present(j, sa);
	shrink(j, sa, sizeof(*sa));
	TAILQ_REMOVE(&j->all, sa, link);
	TAILQ_REMOVE(&j->bucket[bucket_of(&sa->id)], sa, hash);
	secret_free(sa, sizeof(*sa));
}

/* A whole chain, from its newest on. */
static void chain_free(struct journal *j, struct journal_sa *sa)
{
	j->living--;
	while (sa) {
		struct journal_sa *prev = sa->prev;

		sa_free(j, sa);
		sa = prev;
	}
	if (tunnels_size(j->living + 1) <= part_of(j->limits.all, true) && !beyond_ceiling(j, 0, true))
		j->full = false;
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

unsigned int journal_children(const struct journal *j)
{
	return j->children;
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

static struct journal_sa *newest(struct journal_sa *sa)
{
	while (sa->next)
		sa = sa->next;
	return sa;
}

/* Remembered with what it takes, so that room is not said to be there before there is enough. */
static void refuse(struct journal_sa *sa, enum journal_room room, size_t more)
{
	if (!sa->crowded || more > sa->wanted)
		sa->wanted = more;
	sa->crowded = room;
}

/* charon moves inner addresses on to the IKE SA that replaces this one, and does not tell them again. */
static void move_on(struct journal *j, struct journal_sa *old, struct journal_sa *sa)
{
	struct journal_raw r = old->vips;

	if (r.len && !sa->vips.len && ha_rename(r.data, r.len, &sa->id))
		raw_set(j, sa, &sa->vips, r.data, r.len);
	if (old->crowded)
		refuse(sa, old->crowded, old->wanted);
	old->crowded = JOURNAL_ROOM;
	forget_present(j, old);
}

/* Its successor takes its place. Where it was the oldest the successor goes on naming it, which charon minds as little as in the message itself. */
static void leave_out(struct journal *j, struct journal_sa *sa)
{
	struct journal_sa *prev = sa->prev, *next = sa->next;
	int i;

	for (i = 0; prev && i < next->n_adds; i++)
		ha_set_replaced(next->adds[i].data, next->adds[i].len, &prev->id);
	next->prev = prev;
	if (prev)
		prev->next = next;
	sa_free(j, sa);
}

/* Who is replaced, and has no CHILD SA that was made under it, goes. */
static void compact(struct journal *j, struct journal_sa *sa)
{
	struct journal_sa *next;

	for (sa = oldest(sa); (next = sa->next); sa = next) {
		if (TAILQ_EMPTY(&sa->children))
			leave_out(j, sa);
	}
}

static struct journal_sa *sa_add(struct journal *j, const struct ike_id *id, struct journal_sa *old)
{
	struct journal_sa *sa = secret_alloc(sizeof(*sa));

	sa->id = *id;
	TAILQ_INIT(&sa->children);
	grow(j, sa, sizeof(*sa));
	if (old) {
		old->next = sa;
		sa->prev = old;
	} else {
		j->living++;
	}
	TAILQ_INSERT_TAIL(&j->all, sa, link);
	TAILQ_INSERT_TAIL(&j->bucket[bucket_of(&sa->id)], sa, hash);
	return sa;
}

static enum journal_result ike_add(struct journal *j, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct journal_sa *sa = journal_find(j, &m->id), *old = m->has_rekey_id ? journal_find(j, &m->rekey_id) : NULL;

	if (sa && (sa->update.len || sa->n_adds == JOURNAL_MAX_ADDS))
		return JOURNAL_IGNORED;
	if (old && old->next)
		old = NULL;	/* both ends have rekeyed it at once, and the other one has taken its CHILD SAs along */
	/* One that has begun gets all its keys, for with some of them charon would have wrong ones. */
	if (!sa && ((!old && tunnels_size(j->living + 1) > j->limits.all) || beyond_ceiling(j, len, false))) {
		j->full = true;
		return JOURNAL_REFUSED;
	}
	if (!sa)
		sa = sa_add(j, &m->id, old);
	add_keys(j, sa, data, len);
	return JOURNAL_TAKEN;
}

/* CHILD SAs that were made under an ancestor are built where that is said to be, and have moved along. */
static void move_ancestors(struct journal *j, struct journal_sa *sa, uint32_t nat)
{
	struct journal_sa *old;
	size_t room, len;
	uint8_t *made;

	for (old = sa->prev; old; old = old->prev) {
		if (!old->update.len || (ha_addr_equal(&old->local, &sa->local) && ha_addr_equal(&old->remote, &sa->remote)))
			continue;
		room = old->update.len + HA_MOVE_MORE;
		made = secret_alloc(room);
		len = ha_move(made, old->update.data, old->update.len, &sa->local, &sa->remote, nat);
		if (len) {
			raw_set(j, old, &old->update, made, len);
			old->local = sa->local;
			old->remote = sa->remote;
		}
		secret_free(made, room);
	}
}

/* An IKE_UPDATE has come that names the connection. */
static void named(struct journal *j, struct journal_sa *sa, const struct ha_msg *m)
{
	set_name(j, sa, m->name);
	if (m->local.len)
		sa->local = m->local;
	if (m->remote.len)
		sa->remote = m->remote;
	if (sa->prev)
		move_on(j, sa->prev, sa);
	compact(j, sa);
	move_ancestors(j, sa, m->nat);
}

static void ike_delete(struct journal *j, struct journal_sa *sa)
{
	if (sa->next)
		sa->deleted = true;
	else
		chain_free(j, sa);
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

size_t journal_chain_size(const struct journal_sa *sa)
{
	const struct journal_sa *other;
	size_t size = sa->size;

	for (other = sa->prev; other; other = other->prev)
		size += other->size;
	for (other = sa->next; other; other = other->next)
		size += other->size;
	return size;
}

/* Room for @more in the chain of @sa. */
static enum journal_room room_for(const struct journal *j, const struct journal_sa *sa, size_t more, bool carefully)
{
	size_t size = more + journal_chain_size(sa);

	if (size > part_of(j->limits.tunnel, carefully))
		return JOURNAL_TUNNEL_FULL;
	if ((size > JOURNAL_TUNNEL && j->size + more > part_of(j->limits.all, carefully)) || beyond_ceiling(j, more, carefully))
		return JOURNAL_FULL;
	return JOURNAL_ROOM;
}

enum journal_room journal_room(const struct journal *j, const struct journal_sa *sa)
{
	if (!sa)
		return j->full || tunnels_size(j->living + 1) > j->limits.all ? JOURNAL_FULL : JOURNAL_ROOM;
	return room_for(j, sa, sa->crowded ? sa->wanted : 0, sa->crowded);
}

const struct journal_sa *journal_crowded(const struct journal *j)
{
	const struct journal_sa *sa = NULL;

	while ((sa = journal_next(j, sa))) {
		if (sa->crowded)
			return sa;
	}
	return NULL;
}

enum journal_room journal_refused(const struct journal *j)
{
	const struct journal_sa *sa = j->full ? NULL : journal_crowded(j);

	return j->full ? JOURNAL_FULL : sa ? sa->crowded : JOURNAL_ROOM;
}

static enum journal_result child_add(struct journal *j, struct journal_sa *sa, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct journal_child *c;
	enum journal_room room;

	if (journal_child_find(sa, m->spi_in, NULL))
		return JOURNAL_IGNORED;
	room = room_for(j, sa, cost(len) + cost(sizeof(*c)), false);
	if (room != JOURNAL_ROOM) {
		refuse(newest(sa), room, cost(len) + cost(sizeof(*c)));
		return JOURNAL_REFUSED;
	}
	c = secret_alloc(sizeof(*c));
	c->spi_in = m->spi_in;
	c->spi_out = m->spi_out;
	grow(j, sa, sizeof(*c));
	raw_set(j, sa, &c->raw, data, len);
	TAILQ_INSERT_TAIL(&sa->children, c, link);
	j->children++;
	return JOURNAL_TAKEN;
}

static enum journal_result child_delete(struct journal *j, struct journal_sa *sa, const struct ha_msg *m)
{
	struct journal_sa *under;
	struct journal_child *c = journal_child_find(sa, m->spi_in, &under);

	if (!c)
		return JOURNAL_IGNORED;
	child_free(j, under, c);
	compact(j, under);
	return JOURNAL_TAKEN;
}

/* Where that is kept which says how an IKE SA is now. */
static struct journal_raw *place_of(struct journal_sa *sa, const struct ha_msg *m)
{
	switch (m->type) {
	case HA_IKE_UPDATE:
		return m->name[0] ? &sa->update : &sa->vips;
	case HA_IKE_MID_INITIATOR:
		return &sa->mid_i;
	case HA_IKE_MID_RESPONDER:
		return &sa->mid_r;
	default:
		return &sa->iv;
	}
}

static enum journal_result present(struct journal *j, struct journal_sa *sa, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct journal_raw *r = place_of(sa, m);

	if (sa->next)
		return JOURNAL_IGNORED;		/* charon has it no more */
	/* The first one that names the connection completes it: charon must never see half an IKE SA. */
	if ((r != &sa->update || r->len) && len > r->len && beyond_ceiling(j, len - r->len, false))
		return JOURNAL_REFUSED;
	raw_set(j, sa, r, data, len);
	if (r == &sa->update)
		named(j, sa, m);
	return JOURNAL_TAKEN;
}

enum journal_result journal_apply(struct journal *j, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct journal_sa *sa;

	if (m->type == HA_IKE_ADD)
		return ike_add(j, m, data, len);

	sa = ha_is_state(m->type) ? journal_find(j, &m->id) : NULL;
	if (!sa)
		return m->type == HA_IKE_UPDATE && m->name[0] && j->full ? JOURNAL_REFUSED : JOURNAL_IGNORED;
	switch (m->type) {
	case HA_IKE_DELETE:
		ike_delete(j, sa);
		return JOURNAL_TAKEN;
	case HA_CHILD_ADD:
		return child_add(j, sa, m, data, len);
	case HA_CHILD_DELETE:
		return child_delete(j, sa, m);
	}
	return present(j, sa, m, data, len);
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

static void asked(const struct journal *j, struct journal_sa *sa, uint64_t now)
{
	sa->asked_ms = now;
	sa->asked_ms += !sa->asked_ms;
	sa->asked_life = j->life;
	sa->asked_made = 0;
}

/* What was made so long before it has been answered, or nobody is there to wait for it. */
static void asks(const struct journal *j, struct journal_sa *sa, uint64_t now)
{
	sa->skips = sa->asks_ms && sa->asks_life != j->life && (uint32_t)j->inherited_ms - sa->asks_ms < ANSWERED_MS;
	sa->asks_ms = now;
	sa->asks_ms += !sa->asks_ms;
	sa->asks_life = j->life;
}

void journal_asked(struct journal *j, const struct ha_msg *m, uint64_t now)
{
	struct journal_sa *sa = journal_find(j, &m->id);

	if (!sa)
		return;
	if (m->type == HA_IKE_MID_RESPONDER) {
		asked(j, sa, now);
	} else if (m->type == HA_IKE_MID_INITIATOR) {
		sa->asked_life = j->life;	/* an exchange of charon's own would be lost if it were told another ID now */
		asks(j, sa, now);
	} else if (m->type == HA_CHILD_ADD && m->initiator) {
		sa->skips = false;
	} else if (m->type == HA_CHILD_ADD) {
		sa->asked_made = m->spi_in;
	}
}

void journal_inherit(struct journal *j, uint64_t now)
{
	j->life++;
	j->inherited_ms = now;
}

bool journal_unanswered(const struct journal *j, const struct journal_sa *sa)
{
	return sa->asked_ms && sa->asked_life != j->life && (uint32_t)j->inherited_ms - sa->asked_ms < ANSWERED_MS;
}

bool journal_next_request(const struct journal_sa *sa, uint32_t *mid)
{
	struct ha_msg m;

	if (!sa->mid_r.len || ha_parse(&m, sa->mid_r.data, sa->mid_r.len) != HA_OK)
		return false;
	*mid = m.mid;
	return true;
}

bool journal_skipped(const struct journal_sa *sa, uint32_t *mid)
{
	struct ha_msg m;

	if (!sa->skips || !sa->mid_i.len || ha_parse(&m, sa->mid_i.data, sa->mid_i.len) != HA_OK || m.mid < 3)
		return false;
	*mid = m.mid - 2;
	return true;
}

uint32_t journal_asks_for(const struct journal_sa *sa, uint64_t now)
{
	return (uint32_t)now - sa->asks_ms;
}

bool journal_asked_since(const struct journal_sa *sa)
{
	return sa->asked_ms && (int32_t)(sa->asked_ms - sa->asks_ms) > 0;
}

uint32_t journal_made_in_vain(const struct journal *j, const struct ike_id *id, uint32_t mid)
{
	const struct journal_sa *sa = journal_find(j, id);
	uint32_t next;

	if (!sa || sa->next || !journal_unanswered(j, sa) || !journal_next_request(sa, &next) || next - 1 != mid)
		return 0;
	return sa->asked_made;
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
	journal_refresh(sa, emit, ctx);
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
