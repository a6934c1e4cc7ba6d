// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/transaction.c
/*
 * journal.c - messages of a charon, into transactions and the journal behind them.
 *
 * Job: an input is a list of { how u8, length u16, message }, and now and then time passes. At each step the lists and sizes are whole,
 * no more is held or kept than may be, and nothing is kept that was not sent. In the end the journal is told to an empty one, as a
 * standby gets it: that must then tell the same.
 *
 * SPIs are random, so a name is used for one IKE SA only, and one that was said to be replaced is not made afterwards. An input that
 * does otherwise ends there. So does one in which a connection's name comes with an address that is not the group's, or with none:
 * charon says both together, always.
 */
#include "ledger.h"

#define GROUPS	4
#define AGE_MS	1000
#define NAMES	256
#define TUNNELS	4
#define TUNNEL	2048	/* less than any tunnel may have in earnest: it is reached soon */

struct pair {
	struct journal *journal;
	struct txn *txn;
	struct bytes out;
};

static struct ike_id used[NAMES];
static unsigned int n_used;

static bool is_used(const struct ike_id *id)
{
	for (unsigned int i = 0; i < n_used; i++) {
		if (ike_id_equal(&used[i], id))
			return true;
	}
	return false;
}

static bool use(const struct ike_id *id)
{
	if (n_used == NAMES)
		return false;
	used[n_used++] = *id;
	return true;
}

static bool is_ours(void *ctx, const struct ha_addr *local)
{
	(void)ctx;
	return local->len == 4 && local->bytes[0] == 192;
}

static void through(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct pair *p = ctx;

	journal_apply(p->journal, m, data, len);
}

static struct pair *pair_alloc(unsigned int max_groups)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct txn_rules rules = { .max_groups = max_groups, .max_age_ms = AGE_MS, .is_ours = is_ours, .emit = through, .ctx = p };

	p->journal = journal_alloc();
	p->txn = txn_alloc(&rules);
	return p;
}

static void pair_free(struct pair *p)
{
	journal_free(p->journal);
	txn_free(p->txn);
	bytes_free(&p->out);
	free(p);
}

/* As charon would: see above. */
static bool plausible(const struct pair *p, const struct ha_msg *m)
{
	if (m->type == HA_IKE_UPDATE && m->name[0])
		return is_ours(NULL, &m->local);
	if (m->type != HA_IKE_ADD)
		return true;
	if (is_used(&m->id) && !txn_holds(p->txn, &m->id) && !journal_find(p->journal, &m->id))
		return false;
	if (!is_used(&m->id) && !use(&m->id))
		return false;
	return !m->has_rekey_id || is_used(&m->rekey_id) || use(&m->rekey_id);
}

static bool feed(struct pair *p, const uint8_t *data, size_t len, uint64_t now)
{
	uint8_t *copy = exact(data, len);
	struct ha_msg m;
	bool good = ha_parse(&m, copy, len) == HA_OK && plausible(p, &m);

	if (good)
		txn_feed(p->txn, p->journal, &m, copy, len, now);
	free(copy);
	return good;
}

static void expire(struct pair *p, uint64_t now)
{
	uint8_t made[HA_MAX_MADE];
	unsigned int held;
	struct ike_id id;
	struct ha_msg m;

	while (txn_overdue(p->txn, now, &id)) {
		size_t len = ha_make_ike_delete(made, 3, &id);

		held = txn_held(p->txn);
		must(txn_holds(p->txn, &id) && ha_parse(&m, made, len) == HA_OK);
		must(txn_feed(p->txn, p->journal, &m, made, len, now) == TXN_DROPPED && txn_held(p->txn) == held - 1);
	}
}

static void replay(const struct pair *p)
{
	struct pair *copy = pair_alloc(GROUPS);
	struct input in;

	bytes_free((struct bytes *)&p->out);
	journal_replay_all(p->journal, told, (void *)&p->out);
	in = (struct input){ bytes_at(&p->out), bytes_left(&p->out) };
	while (in.left) {
		size_t len = (uint32_t)take16(&in) << 16, got;
		const uint8_t *data;
		struct ha_msg m;

		len |= take16(&in);
		data = take(&in, len, &got);
		must(got == len && ha_parse(&m, data, len) == HA_OK);
		txn_feed(copy->txn, copy->journal, &m, data, len, 0);
	}
	must(!txn_held(copy->txn) && journal_count(copy->journal) == journal_count(p->journal));
	judge_journal(copy->journal);
	journal_replay_all(copy->journal, told, &copy->out);
	must(same_bytes(&copy->out, &p->out));
	pair_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct pair *p = pair_alloc(GROUPS);
	struct journal_limits limits = { .tunnel = TUNNEL, .all = TUNNELS * JOURNAL_TUNNEL };
	struct bytes walked = { 0 };
	uint64_t now = 1;
	size_t fed = 0;

	n_used = 0;
	journal_limit(p->journal, &limits);
	while (in.left) {
		uint8_t how = take8(&in);
		size_t want = take16(&in), len;
		const uint8_t *message = take(&in, want, &len);

		now += how >> 4;
		if ((how & 15) == 1)
			now += AGE_MS + 1;
		if ((how & 15) == 2)
			txn_discard(p->txn);
		if ((how & 15) == 3)
			expire(p, now);
		else if (!feed(p, message, len, now))
			break;
		fed += len;
		must(txn_held(p->txn) <= GROUPS && journal_count(p->journal) <= TUNNELS);
		judge_journal(p->journal);
	}
	txn_walk(p->txn, told, &walked);
	must(bytes_left(&walked) <= GROUPS * TXN_MAX_MESSAGES * (4 + fed));
	bytes_free(&walked);
	replay(p);
	pair_free(p);
	return 0;
}
