// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../kmod/role.c
/*
 * role.c - kmod/role.c: every case of a word heard, and what many nodes come to.
 *
 * Job: all combinations where there are few enough, against the rule said the
 * long way round; then nodes that are promoted, partitioned, restarted and heard
 * late at random, of which at most one may be active once all have heard all.
 *
 * UNIT_SEED=N repeats a run, UNIT_ROUNDS=N makes it longer.
 */
#include <linux/espsync.h>

#include "ktap.h"
#include "random.h"
#include "role.h"

#define SELF	2
#define PEER	3

static bool epochs_are_ordered(void)
{
	static const struct { u64 counter; u8 node; } rising[] = {
		{ 0, 0 }, { 0, 1 }, { 0, 255 }, { 1, 0 }, { 1, 7 }, { 1ULL << 32, 1 }, { U64_MAX, 0 }, { U64_MAX, 255 },
	};
	int n = ARRAY_SIZE(rising);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			int c = es_epoch_cmp(rising[i].counter, rising[i].node, rising[j].counter, rising[j].node);

			ktap_expect((c < 0) == (i < j) && (c > 0) == (i > j));
		}
	return true;
}

/* One word, with what follows said once more, case by case. */
static bool heard_one(u8 role, u64 counter, u8 node, u8 said, bool newest)
{
	struct es_wire_group w = { .role = said, .epoch = counter, .node = node };
	unsigned int what = es_role_heard(role, 10, SELF, PEER, &w, newest);
	bool active = said == ESPSYNC_ROLE_ACTIVE && node == PEER;
	bool newer = counter > 10 || (counter == 10 && node > SELF);
	bool older = counter < 10 || (counter == 10 && node < SELF);
	bool self = role == ESPSYNC_ROLE_ACTIVE;

	ktap_expect(!(what & ES_HEARD_HIGHER) == !newer);
	ktap_expect(!(what & ES_HEARD_YIELD) == !(newer && self));
	ktap_expect(!(what & ES_HEARD_BOTH) == !(newer && self && active));
	ktap_expect(!(what & ES_HEARD_LOWER) == !(older && self && active));
	ktap_expect(!(what & ES_HEARD_OWNER) == !(!older && active));
	ktap_expect(!(what & ES_HEARD_DECIDE) == !(!older && active && role == ESPSYNC_ROLE_UNDECIDED));
	ktap_expect(!(what & ES_HEARD_REST) == !(!older && !newer && !active && newest && role == ESPSYNC_ROLE_STANDBY));
	return true;
}

static bool every_word(void)
{
	for (int role = ESPSYNC_ROLE_UNDECIDED; role <= ESPSYNC_ROLE_ACTIVE; role++)
		for (int said = ESPSYNC_ROLE_UNDECIDED; said <= ES_ROLE_CLAIM; said++)
			for (u64 counter = 9; counter <= 11; counter++)
				for (int node = 1; node <= 4; node++)
					for (int newest = 0; newest < 2; newest++)
						if (!heard_one(role, counter, node, said, newest)) {
							ktap_diag("role %d, peer says %d in (%llu, %d)", role, said, counter, node);
							return false;
						}
	return true;
}

/* The way into sync, every combination: nobody is told "in" without having all, within limits that were applied. */
static bool every_way_in(void)
{
	for (int bits = 0; bits < 64; bits++) {
		bool is_in = bits & 1, enforcing = bits & 2;
		struct es_join j = { .able = bits & 4, .unsynced = bits & 8 ? 3 : 0, .walking = bits & 16, .behind = bits & 32 };
		enum es_join_step step = es_role_join(&j, is_in, enforcing);

		ktap_expect((step == ES_JOIN_LEAVE) == (!j.able && (is_in || enforcing)));
		ktap_expect((step == ES_JOIN_IN) ==
			    (j.able && !is_in && enforcing && !j.unsynced && !j.walking && !j.behind));
		ktap_expect((step == ES_JOIN_ENFORCE) == (j.able && !is_in && !enforcing && !j.unsynced));
		ktap_expect((step == ES_JOIN_AGAIN) == (j.able && !is_in && enforcing && !j.walking && j.behind));
	}
	return true;
}

/* Who stood still waits for his peers' word if anybody may have been promoted in sync meanwhile. */
static bool every_gap(void)
{
	for (unsigned int n = 1; n <= 16; n++) {
		for (u8 before = 0; before < 4; before++) {
			ktap_expect(es_role_gap(true, false, SELF, before, n) && es_role_gap(true, true, SELF, before, n));
			ktap_expect(!es_role_gap(false, true, SELF, before, n));
		}
		ktap_expect(!es_role_gap(false, false, SELF, 0, n));
		ktap_expect(es_role_gap(false, false, SELF, SELF, n) == (n >= 2));
		ktap_expect(es_role_gap(false, false, SELF, PEER, n) == (n >= 3));
	}
	return true;
}

static bool has_group(const struct es_epochs *e, u16 group)
{
	for (u32 i = 0; i < e->n; i++)
		if (e->of[i].group == group)
			return true;
	return false;
}

/* As es_group_promote() does. */
static void set_epoch(struct es_epoch *e, u64 wall, u8 node)
{
	e->counter = max(e->counter + 1, wall);
	e->node = node;
}

/* A new group, carved out of another one or not. */
static void carve(struct es_epochs *e)
{
	struct es_epoch new = {};

	if (e->n && below(4))
		new = e->of[below(e->n)];
	for (new.group = rnd(); has_group(e, new.group); new.group++)
		;
	e->of[e->n++] = new;
}

/* What a node says of its groups changes at random. Whether what it says then tells of a promotion, or of a group that is gone. */
static bool changes(struct es_epochs *e, u64 wall)
{
	u32 n = e->n;
	bool tells = false;

	while (e->n < ES_WIRE_MAX_GROUPS && !below(4))
		carve(e);
	for (u32 i = 0; i < n; i++) {
		if (!below(2 * n))
			set_epoch(&e->of[i], wall, SELF);
		if (below(8 * n))
			continue;
		set_epoch(&e->of[i], wall, PEER + below(2));
		tells = true;
	}
	if (n && !below(8)) {
		e->of[below(n)] = e->of[e->n - 1];
		e->n--;
		tells = true;
	}
	if (e->n && !below(4)) {	/* said in another order */
		struct es_epoch *a = &e->of[below(e->n)], *b = &e->of[below(e->n)], was = *a;

		*a = *b;
		*b = was;
	}
	return tells;
}

static bool every_promotion_shows(void)
{
	static struct es_epochs before, now;
	u64 wall = 1795230155;

	rng = ktap_seed();
	ktap_diag("UNIT_SEED=%llu", rng);
	before.n = 0;
	now.n = 0;
	for (u64 i = ktap_rounds(200000); i; i--) {
		bool told = changes(&now, wall);

		ktap_expect(es_role_promoted(&before, &now, SELF) == told);
		before = now;
		wall += !below(4);	/* several in one second */
	}
	return true;
}

/* A claim that came to nothing is taken back. */
static bool taken_back(void)
{
	static struct es_epochs before = { 1, { { 20, 1, PEER } } }, now = { 1, { { 10, 1, PEER + 1 } } };

	ktap_expect(!es_role_promoted(&before, &now, SELF));
	ktap_expect(es_role_promoted(&now, &before, SELF));
	return true;
}

/* ---- names of SAs that are moved, in datagrams that overtake each other ---- */

#define MOVED	4	/* SAs */
#define LATE	24	/* datagrams under way */

struct name {
	u64 seq;
	int sa, group;
};

/* Whatever is late or lost: an SA is never put back to a group that a newer name took it out of, and the newest datagram always counts. */
static bool names_hold(void)
{
	struct name late[LATE] = { 0 }, in_force[MOVED] = { 0 };
	u64 seq = 0, newest = 0;
	int group[MOVED] = { 0 };

	for (int i = 0; i < 200; i++) {
		int sa = below(MOVED), k = below(LATE);
		struct name n = late[k];
		bool known = in_force[n.sa].seq, same = known && in_force[n.sa].group == n.group;

		if (!below(4))
			group[sa] = below(3);
		late[k] = (struct name){ ++seq, sa, group[sa] };
		if (!n.seq || !below(8))
			continue;
		if (!es_role_name_counts(known, same, n.seq, newest)) {
			ktap_expect(n.seq < newest);
			continue;
		}
		ktap_expect(same || n.seq > in_force[n.sa].seq);
		newest = max(newest, n.seq);
		n.seq = max(n.seq, in_force[n.sa].seq);
		in_force[n.sa] = n;
	}
	return true;
}

static bool names_in_their_order(void)
{
	u64 seed = ktap_seed(), rounds = ktap_rounds(20000);

	ktap_diag("UNIT_SEED=%llu", seed);
	for (u64 r = 0; r < rounds; r++) {
		rng = (seed + r) * 0xd1342543de82ef95ULL;
		if (!names_hold()) {
			ktap_diag("UNIT_SEED=%llu UNIT_ROUNDS=1", seed + r);
			return false;
		}
	}
	return true;
}

static bool states_as_shown(void)
{
	static const struct row {
		u8 role;
		struct es_peer_view v;
		u8 state;
	} rows[] = {
		{ ESPSYNC_ROLE_STANDBY, { 0 }, ESPSYNC_PEER_DOWN },
		{ ESPSYNC_ROLE_STANDBY, { .heard = true, .synced = true, .told_all = true }, ESPSYNC_PEER_DOWN },
		{ ESPSYNC_ROLE_STANDBY, { .answers = true, .synced = true, .told_all = true }, ESPSYNC_PEER_DOWN },
		{ ESPSYNC_ROLE_ACTIVE, { .heard = true, .answers = true, .told_all = true, .is_in = true }, ESPSYNC_PEER_JOINING },
		{ ESPSYNC_ROLE_ACTIVE, { .heard = true, .answers = true, .synced = true, .is_in = true }, ESPSYNC_PEER_JOINING },
		{ ESPSYNC_ROLE_ACTIVE, { .heard = true, .answers = true, .synced = true, .told_all = true }, ESPSYNC_PEER_JOINING },
		{ ESPSYNC_ROLE_ACTIVE, { .heard = true, .answers = true, .synced = true, .told_all = true, .full = true },
		  ESPSYNC_PEER_OUT },
		{ ESPSYNC_ROLE_ACTIVE, { .heard = true, .answers = true, .synced = true, .told_all = true, .is_in = true },
		  ESPSYNC_PEER_UP },
		{ ESPSYNC_ROLE_STANDBY, { .heard = true, .answers = true, .synced = true, .told_all = true, .owner = true },
		  ESPSYNC_PEER_OUT },
		{ ESPSYNC_ROLE_STANDBY, { .heard = true, .answers = true, .synced = true, .told_all = true, .owner = true,
		  .self_in = true }, ESPSYNC_PEER_UP },
		{ ESPSYNC_ROLE_STANDBY, { .heard = true, .answers = true, .synced = true, .told_all = true }, ESPSYNC_PEER_UP },
		{ ESPSYNC_ROLE_UNDECIDED, { .heard = true, .answers = true, .synced = true, .told_all = true, .owner = true },
		  ESPSYNC_PEER_UP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (es_role_peer_state(rows[i].role, &rows[i].v) != rows[i].state) {
			ktap_diag("row %zu: %d", i, es_role_peer_state(rows[i].role, &rows[i].v));
			return false;
		}
	return true;
}

/* ---- many nodes ---- */

#define NODES	4
#define WORDS	32

struct node {
	u8 role;
	u64 epoch;
	u8 epoch_node;
};

struct word {
	bool used;
	u8 from, to;
	struct es_wire_group w;
};

static struct node nodes[NODES];
static struct word words[WORDS];
static bool apart[NODES][NODES];
static u64 yields;

/* As es_group_heard() does, with nothing but the role; a node's number is its index and 1. */
static bool hear(int to, int from, const struct es_wire_group *w)
{
	struct node *n = &nodes[to];
	unsigned int what = es_role_heard(n->role, n->epoch, n->epoch_node, from + 1, w, true);

	ktap_expect(!(what & ES_HEARD_YIELD) || es_epoch_cmp(w->epoch, w->node, n->epoch, n->epoch_node) > 0);
	if (what & ES_HEARD_HIGHER) {
		n->epoch = w->epoch;
		n->epoch_node = w->node;
	}
	if (what & (ES_HEARD_YIELD | ES_HEARD_DECIDE))
		n->role = ESPSYNC_ROLE_STANDBY;
	yields += !!(what & ES_HEARD_YIELD);
	return true;
}

static struct es_wire_group says(int i)
{
	return (struct es_wire_group){ .role = nodes[i].role, .epoch = nodes[i].epoch, .node = nodes[i].epoch_node };
}

static bool step(void)
{
	int i = below(NODES), k = below(NODES), slot = below(WORDS);

	switch (below(20)) {
	case 0:
		nodes[i].epoch = max(nodes[i].epoch + 1, 100ULL + below(3));
		nodes[i].epoch_node = i + 1;
		nodes[i].role = ESPSYNC_ROLE_ACTIVE;
		return true;
	case 1:
		nodes[i] = (struct node){ .role = ESPSYNC_ROLE_UNDECIDED };
		return true;
	case 2:
		apart[i][k] = !apart[i][k];
		return true;
	case 3: case 4: case 5: case 6: case 7:		/* a word arrives, late and perhaps again */
		if (!words[slot].used)
			return true;
		words[slot].used = below(3);
		return hear(words[slot].to, words[slot].from, &words[slot].w);
	}
	if (i != k && !apart[i][k])
		words[slot] = (struct word){ true, i, k, says(i) };
	return true;
}

static bool one_remains(void)
{
	int active = 0, newest = 0;

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < NODES; i++)
			for (int k = 0; k < NODES; k++) {
				struct es_wire_group w = says(i);

				if (i != k && !hear(k, i, &w))
					return false;
			}
	for (int i = 0; i < NODES; i++) {
		active += nodes[i].role == ESPSYNC_ROLE_ACTIVE;
		if (es_epoch_cmp(nodes[i].epoch, nodes[i].epoch_node, nodes[newest].epoch, nodes[newest].epoch_node) > 0)
			newest = i;
	}
	ktap_expect(active <= 1);
	for (int i = 0; i < NODES; i++) {
		ktap_expect(nodes[i].epoch == nodes[newest].epoch && nodes[i].epoch_node == nodes[newest].epoch_node);
		ktap_expect(nodes[i].role != ESPSYNC_ROLE_ACTIVE || nodes[i].epoch_node == i + 1);
	}
	return true;
}

static bool at_most_one_in_the_end(void)
{
	u64 seed = ktap_seed(), rounds = ktap_rounds(20000);

	ktap_diag("UNIT_SEED=%llu", seed);
	for (u64 r = 0; r < rounds; r++) {
		rng = (seed + r) * 0xd1342543de82ef95ULL;
		memset(nodes, 0, sizeof(nodes));
		memset(words, 0, sizeof(words));
		memset(apart, 0, sizeof(apart));
		for (int i = 0; i < 100; i++)
			if (!step())
				return false;
		if (!one_remains()) {
			ktap_diag("UNIT_SEED=%llu UNIT_ROUNDS=1", seed + r);
			return false;
		}
	}
	ktap_diag("%llu histories, %llu times a node stepped down", rounds, yields);
	return yields > rounds / 2;
}

static const struct ktap_case cases[] = {
	{ "epochs: by counter, then by node", epochs_are_ordered },
	{ "words: every role, claim and epoch", every_word },
	{ "joining: every way in", every_way_in },
	{ "gaps: who waits for his peers' word", every_gap },
	{ "epochs: another node's promotion shows, and nothing else does", every_promotion_shows },
	{ "epochs: a claim that is taken back", taken_back },
	{ "names: an SA is not put back to a group that it has left", names_in_their_order },
	{ "states: what is shown of a peer", states_as_shown },
	{ "histories: when all have heard all, at most one is active", at_most_one_in_the_end },
};

KTAP_MAIN(cases)
