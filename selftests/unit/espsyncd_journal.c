// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_journal.c - user/espsyncd's transactions and journal: what charon gets to see, and what rebuilds it.
 *
 * Job: histories by hand, each with the exact messages that must come out; and random histories, in which the journal's replay
 * must lead a model of charon to the same IKE and CHILD SAs as the history itself.
 */
// SOURCES: ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/transaction.c
#include <stdlib.h>

#include "../../user/espsyncd/journal.h"
#include "../../user/espsyncd/transaction.h"
#include "espsyncd_messages.h"
#include "ktap.h"

/* What came out, as text: A1 (IKE_ADD of 1), U1, V1 (vips), I1, R1 (message IDs), D1, C1:5 (CHILD_ADD), X1:5 (CHILD_DELETE). */
static char out[4096];
static struct journal *journal;
static struct txn *txn;
static bool ours = true;

static void say(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	static const char letter[] = "?AUIRDCX";
	char one[32];

	(void)ctx, (void)data, (void)len;
	if (m->type == HA_IKE_UPDATE && !m->name[0])
		snprintf(one, sizeof(one), "V%u ", m->id.spi_i[0]);
	else if (m->spi_in)
		snprintf(one, sizeof(one), "%c%u:%u ", letter[m->type], m->id.spi_i[0], m->spi_in);
	else
		snprintf(one, sizeof(one), "%c%u ", letter[m->type], m->id.spi_i[0]);
	strncat(out, one, sizeof(out) - strlen(out) - 1);
}

static void through(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	say(ctx, m, data, len);
	journal_apply(journal, m, data, len);
}

static bool is_ours(void *ctx, const struct ha_addr *local)
{
	(void)ctx;
	return ours && local->len == 4;
}

static void fresh(unsigned int max_groups)
{
	struct txn_rules rules = { .max_groups = max_groups, .max_age_ms = 1000, .is_ours = is_ours, .emit = through };

	txn_free(txn);
	journal_free(journal);
	journal = journal_alloc();
	txn = txn_alloc(&rules);
	out[0] = 0;
	ours = true;
}

static enum txn_result feed_at(struct wire w, uint64_t now)
{
	struct ha_msg m;

	if (ha_parse(&m, w.b, w.n) != HA_OK)
		return -1;
	return txn_feed(txn, journal, &m, w.b, w.n, now);
}

static enum txn_result feed(struct wire w)
{
	return feed_at(w, 0);
}

static bool came(const char *want)
{
	bool same = !strcmp(out, want);

	if (!same)
		ktap_diag("came '%s', not '%s'", out, want);
	out[0] = 0;
	return same;
}

static bool replays(const char *want)
{
	out[0] = 0;
	journal_replay_all(journal, say, NULL);
	return came(want);
}

static void establish(uint8_t n, uint32_t spi)
{
	feed(ike_add(n, 0));
	feed(mid(n, HA_IKE_MID_RESPONDER, 2));
	feed(ike_update(n, "office", 1));
	feed(child(n, HA_CHILD_ADD, spi));
	feed(ike_vips(n));
}

static void rekey(uint8_t n, uint8_t old)
{
	feed(ike_add(n, old));
	feed(ike_delete(old));
	feed(ike_update(n, "office", 1));
}

static bool holds_until_the_connection_is_named(void)
{
	fresh(8);
	ktap_expect(feed(ike_add(1, 0)) == TXN_HELD);
	ktap_expect(feed(mid(1, HA_IKE_MID_RESPONDER, 2)) == TXN_HELD);
	ktap_expect(feed(ike_vips(1)) == TXN_HELD);
	ktap_expect(came("") && txn_held(txn) == 1);
	ktap_expect(feed(ike_update(1, "office", 1)) == TXN_RELEASED);
	ktap_expect(came("A1 R1 V1 U1 ") && txn_held(txn) == 0);
	ktap_expect(feed(child(1, HA_CHILD_ADD, 5)) == TXN_PASSED);
	ktap_expect(came("C1:5 "));
	return true;
}

static bool drops_what_fails(void)
{
	fresh(8);
	feed(ike_add(1, 0));
	ktap_expect(feed(ike_delete(1)) == TXN_DROPPED && came(""));
	ktap_expect(feed(ike_update(1, "office", 1)) == TXN_UNKNOWN && came(""));
	ktap_expect(feed(child(1, HA_CHILD_ADD, 5)) == TXN_UNKNOWN && came(""));
	ours = false;
	feed(ike_add(2, 0));
	ktap_expect(feed(ike_update(2, "other", 9)) == TXN_DROPPED && came(""));
	return true;
}

static bool refuses_a_second_ike_add(void)
{
	fresh(8);
	establish(1, 5);
	out[0] = 0;
	ktap_expect(feed(ike_add(1, 0)) == TXN_REPEATED && came(""));
	/* But before it is complete there may be several, with RFC 9370. */
	feed(ike_add(2, 0));
	ktap_expect(feed(ike_add(2, 0)) == TXN_HELD);
	feed(ike_update(2, "office", 1));
	ktap_expect(came("A2 A2 U2 "));
	return true;
}

static bool rekeys_as_a_whole(void)
{
	fresh(8);
	establish(1, 5);
	out[0] = 0;
	ktap_expect(feed(ike_add(2, 1)) == TXN_HELD);
	ktap_expect(feed(mid(1, HA_IKE_MID_RESPONDER, 3)) == TXN_PASSED && came("R1 "));
	ktap_expect(feed(ike_delete(1)) == TXN_HELD && came(""));
	ktap_expect(feed(ike_update(2, "office", 1)) == TXN_RELEASED && came("A2 D1 U2 "));
	ktap_expect(journal_count(journal) == 1);
	return true;
}

static bool a_takeover_inside_a_rekeying_keeps_the_old(void)
{
	fresh(8);
	establish(1, 5);
	feed(ike_add(2, 1));
	feed(ike_delete(1));
	out[0] = 0;
	ktap_expect(txn_discard(txn) == 1 && came(""));
	ktap_expect(replays("A1 U1 V1 R1 C1:5 "));
	return true;
}

static bool an_old_group_lets_the_deletion_go(void)
{
	struct ike_id id, two = name(2);

	fresh(8);
	establish(1, 5);
	out[0] = 0;
	feed_at(ike_add(2, 1), 100);
	feed_at(ike_delete(1), 100);
	ktap_expect(!txn_overdue(txn, 1100, &id));
	ktap_expect(txn_overdue(txn, 1101, &id) && ike_id_equal(&id, &two) && came(""));
	ktap_expect(feed(ike_delete(2)) == TXN_DROPPED && came("D1 ") && !txn_overdue(txn, 5000, &id));
	ktap_expect(journal_count(journal) == 0);
	return true;
}

static bool is_bounded(void)
{
	fresh(2);
	feed(ike_add(1, 0));
	feed(ike_add(2, 0));
	feed(ike_add(3, 0));
	ktap_expect(txn_held(txn) == 2);
	ktap_expect(feed(ike_update(1, "office", 1)) == TXN_UNKNOWN);
	ktap_expect(feed(ike_update(3, "office", 1)) == TXN_RELEASED);
	for (int i = 0; i < TXN_MAX_MESSAGES - 1; i++)
		ktap_expect(feed(mid(2, HA_IKE_MID_RESPONDER, i)) == TXN_HELD);
	ktap_expect(feed(mid(2, HA_IKE_MID_RESPONDER, 1)) == TXN_DROPPED && txn_held(txn) == 0);
	return true;
}

/* A message of a thousand bytes is none of charon's. Four groups have 32 KiB, and there is room for one message, however long. */
static bool is_bounded_in_bytes(void)
{
	struct wire longest = mid(4, HA_IKE_MID_RESPONDER, 1);
	uint8_t filler[900] = { 15, (sizeof(filler) - 3) >> 8, (uint8_t)(sizeof(filler) - 3) };

	put(&longest, filler, sizeof(filler));
	fresh(4);
	for (uint32_t n = 4; n; n--) {
		feed(ike_add(n, 0));
		for (int i = 0; i < TXN_MAX_MESSAGES / 2; i++) {
			struct wire w = longest;
			struct ike_id id = name(n);

			ktap_expect(ha_rename(w.b, w.n, &id) && feed(w) == TXN_HELD);
		}
	}
	/* 3 have 87 KiB, and 4, the oldest, was the one too many. */
	ktap_expect(txn_held(txn) == 3 && feed(longest) == TXN_UNKNOWN);
	ktap_expect(feed(ike_update(3, "office", 1)) == TXN_RELEASED);
	return true;
}

static bool keeps_the_newest_of_what_replaces(void)
{
	fresh(8);
	establish(1, 5);
	feed(mid(1, HA_IKE_MID_RESPONDER, 3));
	feed(mid(1, HA_IKE_MID_INITIATOR, 1));
	feed(child(1, HA_CHILD_ADD, 6));
	feed(child(1, HA_CHILD_DELETE, 5));
	ktap_expect(replays("A1 U1 V1 I1 R1 C1:6 "));
	ktap_expect(journal_find(journal, &(struct ike_id){ 0 }) == NULL);
	feed(ike_delete(1));
	ktap_expect(replays("") && journal_count(journal) == 0 && journal_size(journal) == 0);
	return true;
}

static bool keeps_a_chain_while_it_is_needed(void)
{
	fresh(8);
	establish(1, 5);
	rekey(2, 1);
	rekey(3, 2);
	feed(child(3, HA_CHILD_ADD, 6));
	ktap_expect(journal_count(journal) == 1);
	/* Nothing was made under 2: 3 takes its place, and the inner addresses are told where they are now. */
	ktap_expect(replays("A1 U1 C1:5 A3 D1 U3 V3 C3:6 "));
	/* The CHILD SA that was made under 1 goes, said of the IKE SA that has it now. */
	feed(child(3, HA_CHILD_DELETE, 5));
	ktap_expect(replays("A3 U3 V3 C3:6 "));
	return true;
}

static bool inner_addresses_are_inherited(void)
{
	fresh(8);
	establish(1, 5);
	feed(child(1, HA_CHILD_DELETE, 5));
	rekey(2, 1);
	ktap_expect(replays("A2 U2 V2 "));
	return true;
}

static bool a_chain_goes_as_a_whole(void)
{
	fresh(8);
	establish(1, 5);
	rekey(2, 1);
	establish(9, 8);
	feed(ike_delete(2));
	ktap_expect(replays("A9 U9 V9 R9 C9:8 ") && journal_count(journal) == 1);
	return true;
}

static unsigned int elsewhere;

static void count_elsewhere(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	(void)ctx, (void)data, (void)len;
	elsewhere += m->type == HA_IKE_UPDATE && m->name[0] && m->remote.bytes[3] == 9;
}

/* CHILD SAs are built where the IKE SA is that they were made under. */
static bool ancestors_move_along(void)
{
	fresh(8);
	establish(1, 5);
	rekey(2, 1);
	feed(ike_moved(3, 2, "office", 9));
	ktap_expect(replays("A1 U1 C1:5 A2 D1 U2 V2 "));
	elsewhere = 0;
	journal_replay_all(journal, count_elsewhere, NULL);
	ktap_expect(elsewhere == 2);
	feed(ike_delete(2));
	ktap_expect(journal_size(journal) == 0);
	return true;
}

static bool a_child_is_never_told_twice(void)
{
	struct wire w = child(1, HA_CHILD_ADD, 5);
	struct ha_msg m;

	fresh(8);
	establish(1, 5);
	ha_parse(&m, w.b, w.n);
	ktap_expect(journal_apply(journal, &m, w.b, w.n) == JOURNAL_IGNORED);
	rekey(2, 1);
	w = child(2, HA_CHILD_ADD, 5);
	ha_parse(&m, w.b, w.n);
	ktap_expect(journal_apply(journal, &m, w.b, w.n) == JOURNAL_IGNORED);
	return true;
}

/* A charon, as far as it matters: which IKE SAs are there, and which CHILD SAs under which. */
struct model {
	bool ike[256];
	uint8_t owner[256];	/* of CHILD SA i; 0: not there */
	bool bad;
};

static void model_take(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct model *c = ctx;
	uint8_t n = m->id.spi_i[0], old = m->rekey_id.spi_i[0];
	int i;

	(void)data, (void)len;
	switch (m->type) {
	case HA_IKE_ADD:
		c->bad |= c->ike[n];
		c->ike[n] = true;
		for (i = 0; old && i < 256; i++)
			c->owner[i] = c->owner[i] == old ? n : c->owner[i];
		c->ike[old] = c->ike[old] && !old;
		break;
	case HA_IKE_DELETE:
		c->ike[n] = false;
		for (i = 0; i < 256; i++)
			c->owner[i] = c->owner[i] == n ? 0 : c->owner[i];
		break;
	case HA_CHILD_ADD:
		c->bad |= !c->ike[n] || c->owner[m->spi_in];
		c->owner[m->spi_in] = n;
		break;
	case HA_CHILD_DELETE:
		c->owner[m->spi_in] = 0;
		break;
	default:
		c->bad |= !c->ike[n];
	}
}

static struct model live;

static void to_model(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	(void)ctx;
	if (journal_apply(journal, m, data, len) == JOURNAL_TAKEN)
		model_take(&live, m, data, len);
}

static bool random_histories(void)
{
	struct txn_rules rules = { .max_groups = 8, .max_age_ms = 1000, .is_ours = is_ours, .emit = to_model };
	unsigned int seed = ktap_seed();

	ktap_diag("UNIT_SEED=%u", seed);
	srand(seed);
	for (int round = 0; round < 3000; round++) {
		uint8_t at[4] = { 0 };		/* the IKE SA that tunnel i is at */
		uint8_t next_ike = 1, next_spi = 1;

		fresh(8);
		txn_free(txn);
		txn = txn_alloc(&rules);
		memset(&live, 0, sizeof(live));
		for (int step = 0; step < 60 && next_ike < 250 && next_spi < 250; step++) {
			int i = rand() % 4, what = rand() % 8;

			if (!at[i]) {
				at[i] = next_ike++;
				establish(at[i], next_spi++);
			} else if (what < 3) {
				feed(child(at[i], HA_CHILD_ADD, next_spi++));
			} else if (what < 5) {
				feed(child(at[i], HA_CHILD_DELETE, 1 + rand() % next_spi));
			} else if (what < 7) {
				rekey(next_ike, at[i]);
				at[i] = next_ike++;
			} else {
				feed(ike_delete(at[i]));
				at[i] = 0;
			}

			struct model rebuilt = { 0 };

			journal_replay_all(journal, model_take, &rebuilt);
			ktap_expect(!live.bad && !rebuilt.bad);
			ktap_expect(!memcmp(live.ike, rebuilt.ike, sizeof(live.ike)));
			ktap_expect(!memcmp(live.owner, rebuilt.owner, sizeof(live.owner)));
		}
	}
	fresh(1);
	ktap_expect(journal_size(journal) == 0);
	txn_free(txn), txn = NULL;
	journal_free(journal), journal = NULL;
	return true;
}

static const struct ktap_case cases[] = {
	{ "holds until the connection is named", holds_until_the_connection_is_named },
	{ "drops what fails", drops_what_fails },
	{ "refuses a second IKE_ADD", refuses_a_second_ike_add },
	{ "rekeys as a whole", rekeys_as_a_whole },
	{ "a takeover inside a rekeying keeps the old IKE SA", a_takeover_inside_a_rekeying_keeps_the_old },
	{ "an old group lets the deletion go", an_old_group_lets_the_deletion_go },
	{ "is bounded", is_bounded },
	{ "is bounded in bytes", is_bounded_in_bytes },
	{ "keeps the newest of what replaces", keeps_the_newest_of_what_replaces },
	{ "keeps a chain while it is needed", keeps_a_chain_while_it_is_needed },
	{ "inner addresses are inherited", inner_addresses_are_inherited },
	{ "a chain goes as a whole", a_chain_goes_as_a_whole },
	{ "ancestors move along", ancestors_move_along },
	{ "a child is never told twice", a_child_is_never_told_twice },
	{ "random histories", random_histories },
};

KTAP_MAIN(cases)
