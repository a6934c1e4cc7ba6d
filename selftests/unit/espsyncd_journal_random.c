// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_journal_random.c - what the journal keeps rebuilds in an empty charon what there is: a slow and obvious model on random histories.
 *
 * Job: an active charon with a few tunnels says what such a one says, in the order of each tunnel's exchanges; what passes goes to a charon
 * that has been there all the time. At every step a charon that was empty, and is told the journal, must be like that one; whenever all has been
 * said, like the active one: IKE SAs and their keys, CHILD SAs and theirs, message IDs, addresses, inner addresses, connections. Keys are hashes
 * of what charon derives them from, so a CHILD SA that is told of another IKE SA than it was made under has another one.
 */
// SOURCES: ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/transaction.c
#include "../../user/espsyncd/journal.h"
#include "../../user/espsyncd/transaction.h"
#include "espsyncd_messages.h"
#include "ktap.h"
#include "random.h"

#define TUNNELS	4
#define CHILDREN 6	/* of a tunnel */
#define STEPS	400

static uint8_t version;

static uint64_t hash(uint64_t h, const uint8_t *p, size_t n)
{
	while (n--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

/* ---- an IKE SA and a CHILD SA, as a charon has them ---- */

struct child_sa {
	uint32_t spi_in, spi_out;
	uint64_t key;
	uint32_t at;		/* the IKE SA that has it */
};

struct ike_sa {
	uint32_t n;
	uint64_t key;
	bool passive;		/* complete */
	uint32_t mid_i, mid_r;
	uint8_t remote, vip;
	char name[8];
};

/**
 * struct charon - all that it has
 * @ike: IKE SAs
 * @child: CHILD SAs
 * @n_ike: how many
 * @n_child: how many
 * @harm: it was told something that harms it: twice, or of nothing
 */
struct charon {
	struct ike_sa ike[4 * TUNNELS];
	struct child_sa child[8 * TUNNELS * CHILDREN];
	unsigned int n_ike, n_child;
	const char *harm;
};

static struct ike_sa *ike_find(struct charon *c, uint32_t n)
{
	for (unsigned int i = 0; i < c->n_ike; i++) {
		if (c->ike[i].n == n)
			return &c->ike[i];
	}
	return NULL;
}

static void ike_remove(struct charon *c, struct ike_sa *sa)
{
	for (unsigned int i = c->n_child; i--; ) {
		if (c->child[i].at == sa->n)
			c->child[i] = c->child[--c->n_child];
	}
	*sa = c->ike[--c->n_ike];
}

/* The names of name(): backwards. */
static uint32_t number(const struct ike_id *id)
{
	return id->spi_i[0] | (uint32_t)(id->spi_i[4] ^ id->spi_i[0]) << 8 | (uint32_t)(id->spi_i[5] ^ id->spi_i[0]) << 16;
}

/* What keys are made of is all but the names, which stand in front: type, IKE_ID, IKE_REKEY_ID. */
static uint64_t ike_key(uint64_t before, uint32_t n, const uint8_t *data, size_t len)
{
	size_t skip = 21 + (data[21] == 2 ? 19 : 0);

	return hash(before ^ n, data + skip, len - skip);
}

static void ike_added(struct charon *c, uint32_t n, uint32_t replaced, const uint8_t *data, size_t len)
{
	struct ike_sa *sa = ike_find(c, n), *old = replaced ? ike_find(c, replaced) : NULL, new = { .n = n };

	if (sa && sa->passive)
		c->harm = "an IKE_ADD for a complete IKE SA";
	if (sa) {
		sa->key = ike_key(sa->key, n, data, len);
		return;
	}
	if (old) {
		new = *old;
		new.n = n;
		new.passive = false;
		new.mid_i = new.mid_r = 0;
		for (unsigned int i = 0; i < c->n_child; i++) {
			if (c->child[i].at == replaced)
				c->child[i].at = n;
		}
		ike_remove(c, old);
	}
	new.key = ike_key(0, n, data, len);
	c->ike[c->n_ike++] = new;
}

static void child_added(struct charon *c, struct ike_sa *sa, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	for (unsigned int i = 0; i < c->n_child; i++) {
		if (c->child[i].spi_in == m->spi_in)
			c->harm = "a CHILD SA twice";
	}
	if (!sa->passive)
		c->harm = "a CHILD SA of half an IKE SA";
	c->child[c->n_child++] = (struct child_sa){ m->spi_in, m->spi_out, hash(sa->key, data + 21, len - 21), sa->n };
}

static void child_deleted(struct charon *c, const struct ike_sa *sa, uint32_t spi)
{
	for (unsigned int i = c->n_child; i--; ) {
		if (c->child[i].spi_in == spi && c->child[i].at == sa->n)
			c->child[i] = c->child[--c->n_child];
	}
}

static void charon_takes(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct charon *c = ctx;
	struct ike_sa *sa = ike_find(c, number(&m->id));

	if (m->type == HA_IKE_ADD) {
		ike_added(c, number(&m->id), m->has_rekey_id ? number(&m->rekey_id) : 0, data, len);
		return;
	}
	if (!sa) {
		c->harm = m->type == HA_IKE_DELETE ? c->harm : "something of an IKE SA that is not there";
		return;
	}
	if (m->type == HA_IKE_UPDATE && m->name[0]) {
		snprintf(sa->name, sizeof(sa->name), "%.7s", m->name);
		sa->remote = m->remote.bytes[3];
		sa->passive = true;
	} else if (m->type == HA_IKE_UPDATE) {
		sa->vip = data[len - 1];
	} else if (m->type == HA_IKE_MID_INITIATOR) {
		sa->mid_i = m->mid;
	} else if (m->type == HA_IKE_MID_RESPONDER) {
		sa->mid_r = m->mid;
	} else if (m->type == HA_IKE_DELETE) {
		ike_remove(c, sa);
	} else if (m->type == HA_CHILD_ADD) {
		child_added(c, sa, m, data, len);
	} else if (m->type == HA_CHILD_DELETE) {
		child_deleted(c, sa, m->spi_in);
	}
}

static const struct child_sa *child_find(const struct charon *c, uint32_t spi)
{
	for (unsigned int i = 0; i < c->n_child; i++) {
		if (c->child[i].spi_in == spi)
			return &c->child[i];
	}
	return NULL;
}

static bool same_ike(const struct ike_sa *x, const struct ike_sa *y)
{
	return y && x->key == y->key && x->passive == y->passive && x->mid_i == y->mid_i && x->mid_r == y->mid_r &&
	       x->remote == y->remote && x->vip == y->vip && !strcmp(x->name, y->name);
}

static bool same_child(const struct child_sa *x, const struct child_sa *y)
{
	return y && x->spi_out == y->spi_out && x->key == y->key && x->at == y->at;
}

static bool same(struct charon *is, struct charon *should)
{
	ktap_expect(!is->harm && is->n_ike == should->n_ike && is->n_child == should->n_child);
	for (unsigned int i = 0; i < should->n_ike; i++)
		ktap_expect(same_ike(&should->ike[i], ike_find(is, should->ike[i].n)));
	for (unsigned int i = 0; i < should->n_child; i++)
		ktap_expect(same_child(&should->child[i], child_find(is, should->child[i].spi_in)));
	return true;
}

/* ---- the active charon: what it has, and what it is about to say of each tunnel ---- */

struct queue {
	struct wire w[32];
	unsigned int first, n;
};

static struct charon active, standby;
static uint32_t tunnel[TUNNELS];	/* the IKE SA that it is at, or 0 */
static struct queue queue[TUNNELS];
static uint32_t next_ike, next_spi;

static void say(int t, struct wire w)
{
	struct queue *q = &queue[t];

	assert(q->n < 32);
	q->w[(q->first + q->n++) % 32] = w;
}

static void put_chunk(struct wire *w, uint8_t attribute, uint64_t value)
{
	put8(w, attribute);
	put(w, "\0\x08", 2);
	put(w, &value, 8);
}

static struct wire new_keys(uint32_t n, uint32_t old)
{
	struct wire w = begin(version, HA_IKE_ADD, n);

	if (old) {
		put_name(&w, 2, old);
		put_chunk(&w, version == 3 ? 18 : 19, ike_find(&active, old)->key);
	}
	put_chunk(&w, 15, rnd());
	put_chunk(&w, 17, rnd());
	return w;
}

static struct wire of_version(struct wire w)
{
	w.b[0] = version;
	return w;
}

static struct wire new_child(uint32_t n, uint32_t spi)
{
	struct wire w = begin(version, HA_CHILD_ADD, n);
	uint32_t out = ~spi;

	put8(&w, version == 3 ? 27 : 29);
	put(&w, &spi, 4);
	put8(&w, version == 3 ? 28 : 30);
	put(&w, &out, 4);
	put_chunk(&w, 15, rnd());
	return w;
}

static struct wire no_child(uint32_t n, uint32_t spi)
{
	struct wire w = begin(version, HA_CHILD_DELETE, n);

	put8(&w, version == 3 ? 27 : 29);
	put(&w, &spi, 4);
	return w;
}

static struct wire message_id(uint32_t n, uint8_t type, uint8_t value)
{
	struct wire w = mid(n, type, value);

	w.b[21] = version == 3 ? 33 : 35;
	return of_version(w);
}

static struct wire inner_address(uint32_t n, uint8_t last)
{
	struct wire w = of_version(ike_vips(n));

	w.b[w.n - 1] = last;
	return w;
}

static struct wire update(uint32_t n, uint8_t last)
{
	struct wire w = of_version(ike_update(n, below(2) ? "office" : "home", 1));

	w.b[21 + 8 + 7] = last;		/* of REMOTE_ADDR, behind LOCAL_ADDR */
	return w;
}

/* It has happened, and is said. */
static void does(int t, struct wire w)
{
	struct ha_msg m;

	if (ha_parse(&m, w.b, w.n) != HA_OK)
		active.harm = "it says what cannot be read";
	charon_takes(&active, &m, w.b, w.n);
	say(t, w);
}

/* ---- what happens ---- */

static void exchange(int t)
{
	uint8_t type = below(2) ? HA_IKE_MID_INITIATOR : HA_IKE_MID_RESPONDER;

	does(t, message_id(tunnel[t], type, 1 + below(250)));
}

static void establish(int t)
{
	uint32_t n = tunnel[t] = next_ike++;

	does(t, new_keys(n, 0));
	for (int more = version > 3 ? below(3) : 0; more; more--)
		does(t, new_keys(n, 0));
	exchange(t);
	does(t, update(n, below(250)));
	does(t, new_child(n, next_spi++));
	if (below(2))
		does(t, inner_address(n, below(250)));
}

static unsigned int children_of(uint32_t n, uint32_t *one)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < active.n_child; i++) {
		if (active.child[i].at == n && !below(++count))
			*one = active.child[i].spi_in;
	}
	return count;
}

/* The old one goes sooner or later: delete_rekeyed_delay, and the other rekeyings meanwhile. */
static void rekey_child(int t)
{
	uint32_t one;

	if (children_of(tunnel[t], &one) < CHILDREN)
		does(t, new_child(tunnel[t], next_spi++));
}

static void delete_child(int t)
{
	uint32_t one;

	if (children_of(tunnel[t], &one))
		does(t, no_child(tunnel[t], one));
}

static void rekey_ike(int t)
{
	uint32_t old = tunnel[t], n = tunnel[t] = next_ike++;
	uint8_t remote = ike_find(&active, old)->remote;

	does(t, new_keys(n, old));
	if (below(2))
		say(t, message_id(old, HA_IKE_MID_RESPONDER, 7));
	does(t, of_version(ike_delete(old)));
	does(t, update(n, remote));
	if (below(3))
		say(t, message_id(old, HA_IKE_MID_RESPONDER, 8));	/* the far end deletes the old one: of no use to anybody */
}

/* The new IKE SA comes to nothing. */
static void fail_to_rekey(int t)
{
	uint32_t n = next_ike++;

	say(t, new_keys(n, tunnel[t]));
	say(t, of_version(ike_delete(n)));
}

/* Both ends begin at once; one of the two new IKE SAs takes all. */
static void collide(int t)
{
	uint32_t old = tunnel[t], first = next_ike++, second = next_ike++, winner = below(2) ? first : second;
	uint32_t loser = winner == first ? second : first;
	struct wire won = new_keys(winner, old), lost = new_keys(loser, old), gone = of_version(ike_delete(old)), done;
	struct ha_msg m;

	say(t, winner == first ? won : lost);
	say(t, winner == first ? lost : won);
	say(t, gone);
	ha_parse(&m, won.b, won.n);
	charon_takes(&active, &m, won.b, won.n);
	done = update(winner, below(250));
	does(t, done);
	say(t, of_version(ike_delete(loser)));
	tunnel[t] = winner;
}

static void end(int t)
{
	does(t, of_version(ike_delete(tunnel[t])));
	tunnel[t] = 0;
}

static void happens(int t)
{
	static void (* const what[])(int t) = {
		exchange, rekey_child, rekey_child, rekey_child, delete_child, delete_child, delete_child, rekey_ike, rekey_ike, rekey_ike, rekey_ike,
		fail_to_rekey, collide,
	};

	if (!tunnel[t])
		establish(t);
	else if (!below(60))
		end(t);
	else if (!below(20))
		does(t, inner_address(tunnel[t], below(250)));
	else if (!below(20))
		does(t, update(tunnel[t], below(250)));
	else
		what[below(sizeof(what) / sizeof(what[0]))](t);
}

/* ---- the helper, and what charons it fills ---- */

static struct journal *journal;
static struct txn *txn;

static bool is_ours(void *ctx, const struct ha_addr *local)
{
	(void)ctx;
	return local->len == 4;
}

static void through(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	if (journal_apply(journal, m, data, len) == JOURNAL_TAKEN)
		charon_takes(ctx, m, data, len);
}

static void helper_begins(struct charon *c)
{
	struct txn_rules rules = { .max_groups = 4 * TUNNELS, .max_age_ms = 1000, .is_ours = is_ours, .emit = through, .ctx = c };

	memset(c, 0, sizeof(*c));
	journal = journal_alloc();
	txn = txn_alloc(&rules);
}

static void feed(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	(void)ctx;
	txn_feed(txn, journal, m, data, len, 0);
}

static void said(const struct wire *w)
{
	struct ha_msg m;

	if (ha_parse(&m, w->b, w->n) == HA_OK)
		feed(NULL, &m, w->b, w->n);
}

/* Return: false if nobody has anything to say */
static bool somebody_speaks(void)
{
	unsigned int t = below(TUNNELS), tries = TUNNELS;
	struct queue *q;

	while (tries && !queue[t].n) {
		t = (t + 1) % TUNNELS;
		tries--;
	}
	q = &queue[t];
	if (!tries)
		return false;
	said(&q->w[q->first]);
	q->first = (q->first + 1) % 32;
	q->n--;
	return true;
}

static bool rebuilds(struct charon *should)
{
	struct charon empty = { .n_ike = 0 };

	journal_replay_all(journal, charon_takes, &empty);
	return same(&empty, should);
}

/* No ancestor without a CHILD SA that was made under it. */
static bool is_compact(void)
{
	const struct journal_sa *sa = NULL, *old;

	while ((sa = journal_next(journal, sa))) {
		for (old = sa->prev; old; old = old->prev)
			ktap_expect(!TAILQ_EMPTY(&old->children));
	}
	return true;
}

/* Another helper gets the journal, as a peer does, and goes on with it. */
static void hand_over(void)
{
	struct journal *j = journal;
	struct txn *held = txn;

	helper_begins(&standby);
	journal_replay_all(j, feed, NULL);
	txn_walk(held, feed, NULL);
	txn_free(held);
	journal_free(j);
}

static bool history(void)
{
	helper_begins(&standby);
	memset(&active, 0, sizeof(active));
	memset(tunnel, 0, sizeof(tunnel));
	memset(queue, 0, sizeof(queue));
	next_ike = next_spi = 1;
	version = 3 + below(3);
	for (int step = 0; step < STEPS; step++) {
		int t = below(TUNNELS);

		if (queue[t].n < 16)
			happens(t);
		for (int n = below(6); n; n--)
			somebody_speaks();
		ktap_expect(rebuilds(&standby) && is_compact());
		if (!below(10))
			hand_over();
		if (below(10))
			continue;
		while (somebody_speaks())
			;
		ktap_expect(!active.harm && same(&standby, &active) && rebuilds(&active));
	}
	for (int t = 0; t < TUNNELS; t++) {
		if (tunnel[t])
			end(t);
	}
	while (somebody_speaks())
		;
	ktap_expect(!txn_held(txn) && !journal_count(journal) && !journal_size(journal));
	txn_free(txn);
	journal_free(journal);
	return true;
}

static bool random_histories(void)
{
	unsigned long long seed = ktap_seed();

	ktap_diag("UNIT_SEED=%llu", seed);
	rng = seed;
	for (unsigned long long round = ktap_rounds(400); round; round--)
		ktap_expect(history());
	return true;
}

static const struct ktap_case cases[] = {
	{ "random histories", random_histories },
};

KTAP_MAIN(cases)
