// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_journal_memory.c - how much memory user/espsyncd's journal takes, where it ends, and that no key is left in what it gave back.
 *
 * Job: a tunnel's life as a helper hears of it, with messages as long as charon's; what it takes and leaves is counted by espsyncd_heap.h.
 */
// SOURCES: ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/transaction.c
// SOURCES: ../../user/espsyncd/stream.c
// LIBS: -Wl,--wrap=calloc -Wl,--wrap=free
#include "espsyncd_heap.h"

#include "../../user/espsyncd/bytes.h"
#include "../../user/espsyncd/journal.h"
#include "../../user/espsyncd/stream.h"
#include "../../user/espsyncd/transaction.h"
#include "espsyncd_messages.h"
#include "ktap.h"
#include "random.h"

/* ---- messages as long as charon's ---- */

/**
 * struct kind - of tunnel
 * @name: for people
 * @secret: bytes that a key exchange yields
 * @more: bytes of additional key exchanges (RFC 9370)
 * @identity: bytes of each end's
 * @pfs: CHILD SAs have a key exchange of their own
 * @children: how many
 */
static const struct kind {
	const char *name;
	size_t secret, more, identity;
	bool pfs;
	unsigned int children;
} kinds[] = {
	{ "x25519", 32, 0, 30, false, 4 },
	{ "x25519 and ML-KEM-768, PFS, certificates", 32, 32, 120, true, 4 },
	{ "modp2048, PFS, certificates", 256, 0, 120, true, 4 },
};

#define VERSION	5

static void put_filled(struct wire *w, uint8_t attribute, size_t n, uint8_t with)
{
	put8(w, attribute);
	put8(w, n >> 8);
	put8(w, n);
	memset(w->b + w->n, with, n);
	w->n += n;
}

static void put_u16s(struct wire *w, uint8_t first, unsigned int n)
{
	while (n--) {
		put8(w, first++);
		put(w, "\0\x01", 2);
	}
}

static struct wire big_ike_add(const struct kind *k, uint32_t n, uint32_t old)
{
	struct wire w = begin(VERSION, HA_IKE_ADD, n);

	if (old) {
		put_name(&w, 2, old);
		put_u16s(&w, 21, 1);
		put_filled(&w, 19, 64, SECRET);
	}
	put_u16s(&w, 20, 1);
	put_u16s(&w, 22, 4);
	put_filled(&w, 15, 32, 'n');
	put_filled(&w, 16, 32, 'n');
	put_filled(&w, 17, k->secret, SECRET);
	if (k->more)
		put_filled(&w, 18, k->more, SECRET);
	return w;
}

static void put_identity(struct wire *w, uint8_t attribute, size_t n)
{
	put8(w, attribute);
	put8(w, 9);
	put8(w, n);
	memset(w->b + w->n, 'i', n);
	w->n += n;
}

static struct wire big_update(const struct kind *k, uint32_t n)
{
	struct wire w = ike_update(n, "office-of-somebody", 1);

	w.b[0] = VERSION;
	put_identity(&w, 3, k->identity);
	put_identity(&w, 4, k->identity);
	for (int i = 0; i < 2; i++)
		put(&w, "\x09\0\0\0\0\x0a\0\0\0", 10);
	put(&w, "\x0d\x01\xf4\x02\xc6\x33\x64\x01", 8);
	return w;
}

static struct wire big_child(const struct kind *k, uint32_t n, uint32_t spi)
{
	struct wire w = begin(VERSION, HA_CHILD_ADD, n);
	uint8_t selector[] = { 33, 7, 0, 0, 0, 255, 255, 0, 10, 0, 0, 0, 10, 255, 255, 255 };

	put8(&w, 29);
	put(&w, &spi, 4);
	put8(&w, 30);
	put(&w, &spi, 4);
	put(&w, "\x08net-of-somebody", 17);
	put_u16s(&w, 22, 3);
	put_filled(&w, 15, 32, 'n');
	put_filled(&w, 16, 32, 'n');
	if (k->pfs)
		put_filled(&w, 17, k->secret, SECRET);
	put(&w, selector, sizeof(selector));
	selector[0] = 34;
	put(&w, selector, sizeof(selector));
	return w;
}

static struct wire no_child(uint32_t n, uint32_t spi)
{
	struct wire w = begin(VERSION, HA_CHILD_DELETE, n);

	put8(&w, 29);
	put(&w, &spi, 4);
	return w;
}

static struct wire message_id(uint32_t n, uint8_t type)
{
	struct wire w = mid(n, type, 9);

	w.b[0] = VERSION;
	w.b[21] = 35;
	return w;
}

/* ---- the helper ---- */

static struct journal *journal;
static struct txn *txn;
static enum journal_result result;	/* of the last message that came through */
static uint32_t next_ike, next_spi;
static size_t empty, most;

static bool is_ours(void *ctx, const struct ha_addr *local)
{
	(void)ctx;
	return local->len == 4;
}

static void through(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	(void)ctx;
	result = journal_apply(journal, m, data, len);
}

static void fresh(size_t tunnel, size_t all)
{
	struct txn_rules rules = { .max_groups = 8, .max_age_ms = 1000, .is_ours = is_ours, .emit = through };

	txn_free(txn);
	journal_free(journal);
	journal = journal_alloc();
	txn = txn_alloc(&rules);
	journal_limit(journal, &(struct journal_limits){ tunnel, all });
	next_ike = next_spi = 1;
	empty = heap;
	most = 0;
}

static bool feed(struct wire w)
{
	struct ha_msg m;

	if (ha_parse(&m, w.b, w.n) != HA_OK)
		abort();
	result = JOURNAL_IGNORED;
	txn_feed(txn, journal, &m, w.b, w.n, 0);
	if (!txn_held(txn) && heap - empty > most)
		most = heap - empty;
	return result == JOURNAL_TAKEN;
}

static uint32_t establish(const struct kind *k)
{
	uint32_t n = next_ike++;

	feed(big_ike_add(k, n, 0));
	return feed(big_update(k, n)) ? n : 0;
}

static bool exchanges(uint32_t n)
{
	return feed(message_id(n, HA_IKE_MID_INITIATOR)) && feed(message_id(n, HA_IKE_MID_RESPONDER));
}

static uint32_t rekey_ike(const struct kind *k, uint32_t old)
{
	uint32_t n = next_ike++;
	struct wire gone = ike_delete(old);

	gone.b[0] = VERSION;
	feed(big_ike_add(k, n, old));
	feed(gone);
	return feed(big_update(k, n)) && exchanges(n) ? n : 0;
}

/* Every CHILD SA may hang on an ancestor of its own in between; and while it is rekeyed there are two. */
static bool a_thousand_rekeyings_of_both_kinds(const struct kind *k)
{
	unsigned int ike = 1000, children = 1000, i;
	uint32_t n, spi[8];

	fresh(JOURNAL_TUNNEL, 1 << 20);
	n = establish(k);
	ktap_expect(n && exchanges(n));
	for (i = 0; i < k->children; i++)
		ktap_expect(feed(big_child(k, n, spi[i] = next_spi++)));
	while (ike || children) {
		if (below(ike + children) < ike) {
			n = rekey_ike(k, n);
			ktap_expect(n);
			ike--;
		} else {
			i = below(k->children);
			ktap_expect(feed(big_child(k, n, next_spi)) && feed(no_child(n, spi[i])));
			spi[i] = next_spi++;
			children--;
		}
		ktap_expect(journal_count(journal) == 1 && heap - empty <= journal_size(journal) * 17 / 16);
	}
	ktap_diag("bytes per tunnel: %zu at most, %zu CHILD SAs, %s", most, (size_t)k->children, k->name);
	ktap_expect(most > 1000 && most <= JOURNAL_TUNNEL);
	return true;
}

static bool rekeyings_do_not_make_it_grow(void)
{
	unsigned long long seed = ktap_seed();

	ktap_diag("UNIT_SEED=%llu", seed);
	rng = seed;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		ktap_expect(a_thousand_rekeyings_of_both_kinds(&kinds[i]));
	return true;
}

/* A CHILD SA that is never rekeyed, and an IKE SA that is, for weeks. */
static bool an_old_child_sa_keeps_only_its_own_ike_sa(void)
{
	uint32_t n;
	size_t after_one;

	fresh(JOURNAL_TUNNEL, 1 << 20);
	n = establish(&kinds[0]);
	ktap_expect(exchanges(n) && feed(big_child(&kinds[0], n, 7)));
	n = rekey_ike(&kinds[0], n);
	after_one = heap;
	for (int i = 0; i < 1000; i++) {
		n = rekey_ike(&kinds[0], n);
		ktap_expect(n && heap == after_one);
	}
	return true;
}

/* It has what it may have, and keeps what it had first; others are none the worse for it. */
static bool child_sas_without_end_are_refused(void)
{
	const struct kind *k = &kinds[0];
	unsigned int taken = 0;
	struct journal_sa *sa;
	uint32_t n, other;
	struct ike_id id;

	fresh(64 << 10, 1 << 20);
	n = establish(k);
	other = establish(k);
	while (taken < 10000 && feed(big_child(k, n, next_spi + taken)))
		taken++;
	ktap_diag("%u CHILD SAs in 64 KiB", taken);
	ktap_expect(result == JOURNAL_REFUSED && taken > 100 && most <= (64 << 10) + JOURNAL_TUNNEL);
	for (int i = 0; i < 10000; i++)
		ktap_expect(!feed(big_child(k, n, next_spi + taken + i)));
	ktap_expect(most <= (64 << 10) + JOURNAL_TUNNEL);
	id = name(n);
	sa = journal_find(journal, &id);
	ktap_expect(journal_crowded(journal) == sa && sa->crowded == JOURNAL_TUNNEL_FULL && journal_room(journal, sa) == JOURNAL_TUNNEL_FULL);
	ktap_expect(journal_child_find(sa, next_spi, NULL) && journal_child_find(sa, next_spi + taken - 1, NULL));
	ktap_expect(rekey_ike(k, other) && feed(big_child(k, other + 1, 1 << 20)));

	/* It is still rekeyed, and that it is crowded is not forgotten with the old IKE SA. */
	n = rekey_ike(k, n);
	id = name(n);
	sa = journal_find(journal, &id);
	ktap_expect(n && journal_crowded(journal) == sa);

	/* There is room again when a quarter is free. */
	for (unsigned int i = 0; i < taken / 5; i++)
		ktap_expect(feed(no_child(n, next_spi + i)));
	ktap_expect(journal_room(journal, sa) == JOURNAL_TUNNEL_FULL);
	for (unsigned int i = taken / 5; i < taken / 3; i++)
		ktap_expect(feed(no_child(n, next_spi + i)));
	ktap_expect(journal_room(journal, sa) == JOURNAL_ROOM && feed(big_child(k, n, 1 << 21)));
	return true;
}

/* Each has an ancestor of its own: they count, too. */
static bool ancestors_without_end_are_refused(void)
{
	const struct kind *k = &kinds[0];
	unsigned int taken = 0;
	uint32_t n;

	fresh(64 << 10, 1 << 20);
	n = establish(k);
	for (int i = 0; i < 1000; i++) {
		taken += feed(big_child(k, n, next_spi++));
		n = rekey_ike(k, n);
		ktap_expect(n);
	}
	ktap_diag("%u chains in 64 KiB", taken);
	ktap_expect(taken > 20 && taken < 100 && most <= (64 << 10) + 2048);
	return true;
}

static bool ike_sas_without_end_are_refused(void)
{
	const struct kind *k = &kinds[0];
	struct wire gone;

	/* Room for 16. */
	fresh(64 << 10, 16 * JOURNAL_TUNNEL);
	for (uint32_t n = 1; n <= 16; n++)
		ktap_expect(establish(k) == n && journal_room(journal, NULL) == (n < 16 ? JOURNAL_ROOM : JOURNAL_FULL));
	for (int i = 0; i < 1000; i++) {
		/* Also the message that names the connection is, so that somebody can say it. */
		ktap_expect(!establish(k) && result == JOURNAL_REFUSED && journal_count(journal) == 16);
	}
	ktap_expect(most <= 16 * JOURNAL_TUNNEL);
	/* Those that are there live on. */
	ktap_expect(rekey_ike(k, 16) && feed(big_child(k, 15, 5)) && journal_count(journal) == 16);
	/* There is room again when a quarter is free. */
	for (uint32_t n = 1; n <= 5; n++) {
		ktap_expect(journal_room(journal, NULL) == JOURNAL_FULL);
		gone = ike_delete(n);
		gone.b[0] = VERSION;
		feed(gone);
	}
	ktap_expect(journal_room(journal, NULL) == JOURNAL_ROOM && establish(k));
	return true;
}

/* What is each one's in any case is not what others, who came first, have used up. */
static bool large_tunnels_leave_small_ones_their_part(void)
{
	const struct kind *k = &kinds[0];
	size_t all = 16 * JOURNAL_TUNNEL;
	uint32_t big, small;
	struct ike_id id;

	fresh(1 << 20, all);
	big = establish(k);
	small = establish(k);
	while (feed(big_child(k, big, next_spi)))
		next_spi++;
	id = name(big);
	ktap_expect(journal_room(journal, journal_find(journal, &id)) == JOURNAL_FULL && journal_size(journal) > all - 1024);
	for (int i = 0; i < 10; i++) {
		ktap_expect(feed(big_child(k, small, ++next_spi)));
		small = rekey_ike(k, small);
		ktap_expect(small && feed(no_child(small, next_spi)));
	}
	while (establish(k))
		;
	ktap_expect(journal_count(journal) == 16 && most <= 2 * all);
	return true;
}

/* As a peer might make it up: about an IKE SA, and of any length. */
static enum journal_result feed_long(uint32_t n, uint8_t type, size_t len)
{
	struct wire w = begin(VERSION, type, n);
	uint8_t *p = secret_alloc(w.n + 3 + len);
	struct ha_msg m;

	put8(&w, 15);
	put8(&w, len >> 8);
	put8(&w, len);
	memcpy(p, w.b, w.n);
	if (ha_parse(&m, p, w.n + len) != HA_OK)
		abort();
	result = journal_apply(journal, &m, p, w.n + len);
	secret_free(p, w.n + 3 + len);
	return result;
}

static bool nothing_gets_beyond_the_ceiling(void)
{
	static const uint8_t types[] = { HA_IKE_UPDATE, HA_IKE_IV, HA_IKE_MID_INITIATOR, HA_IKE_MID_RESPONDER };
	const struct kind *k = &kinds[0];
	size_t all = 32 * JOURNAL_TUNNEL;
	unsigned int taken = 0;
	struct wire gone;

	fresh(64 << 10, all);
	for (uint32_t n = 1; n <= 16; n++) {
		ktap_expect(establish(k) && exchanges(n));
		for (unsigned int i = 0; i < 2; i++)
			taken += feed_long(n, types[i], 30000) == JOURNAL_TAKEN;
	}
	ktap_diag("%u messages of 30000 bytes in %zu KiB", taken, 2 * all >> 10);
	ktap_expect(taken == 17 && result == JOURNAL_REFUSED && heap - empty <= 2 * all);
	while (feed(big_child(k, 16, next_spi++)))
		;
	ktap_expect(result == JOURNAL_REFUSED && heap - empty <= 2 * all);
	/* What takes no more than what it replaces is taken still; who is new, is not, and is named. */
	for (uint32_t n = 1; n <= 16; n++) {
		ktap_expect(exchanges(n) && feed(big_update(k, n)));
		for (unsigned int i = 0; i < sizeof(types); i++)
			ktap_expect(feed_long(n, types[i], 60000) == JOURNAL_REFUSED);
	}
	ktap_expect(!rekey_ike(&kinds[2], 16) && heap - empty <= 2 * all);
	/* 16 has gone with its rekeying; with more that go there is room again. */
	for (uint32_t n = 1; n <= 6; n++) {
		gone = ike_delete(n);
		gone.b[0] = VERSION;
		feed(gone);
	}
	ktap_expect(establish(k) && journal_room(journal, NULL) == JOURNAL_ROOM);
	return true;
}

static void hear_nothing(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	(void)m;
	bytes_add(ctx, data, len);
}

/* All ways that memory grows and is left: replaced, moved on, held and dropped, refused, a buffer and a stream that grow. */
static bool no_key_is_left_behind(void)
{
	const struct kind *k = &kinds[1];
	struct bytes told = { 0 };
	struct stream stream;
	struct wire w;

	fresh(16 << 10, 1 << 20);
	stream_init(&stream, 1 << 16);
	uint32_t n = establish(k);

	for (int i = 0; i < 200; i++) {
		feed(big_child(k, n, next_spi++));
		n = rekey_ike(k, n);
		feed(no_child(n, next_spi - below(30)));
		feed(big_update(k, n));
		feed(big_ike_add(k, 1000000 + i, 0));	/* never completed: the oldest of these goes */
		journal_replay_all(journal, hear_nothing, &told);
		w = big_ike_add(k, n, 1);
		stream_add(&stream, w.b, w.n);
	}
	txn_discard(txn);
	stream_begin(&stream, 1);
	stream_exit(&stream);
	bytes_consume(&told, bytes_left(&told) / 2);
	bytes_free(&told);
	txn_free(txn), txn = NULL;
	journal_free(journal), journal = NULL;
	ktap_expect(!heap && !left_behind);

	/* And the search finds one that is. */
	w = big_ike_add(k, 1, 0);
	uint8_t *p = secret_dup(w.b, w.n);

	free(p);
	ktap_expect(left_behind == 1);
	left_behind = 0;
	return true;
}

static const struct ktap_case cases[] = {
	{ "rekeyings do not make it grow", rekeyings_do_not_make_it_grow },
	{ "an old CHILD SA keeps only its own IKE SA", an_old_child_sa_keeps_only_its_own_ike_sa },
	{ "CHILD SAs without end are refused", child_sas_without_end_are_refused },
	{ "ancestors without end are refused", ancestors_without_end_are_refused },
	{ "IKE SAs without end are refused", ike_sas_without_end_are_refused },
	{ "large tunnels leave small ones their part", large_tunnels_leave_small_ones_their_part },
	{ "nothing gets beyond the ceiling", nothing_gets_beyond_the_ceiling },
	{ "no key is left behind", no_key_is_left_behind },
};

KTAP_MAIN(cases)
