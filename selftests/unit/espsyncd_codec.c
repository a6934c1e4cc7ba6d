// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_codec.c - user/espsyncd/codec.c: what is read, what is refused, what is made.
 *
 * Job: every attribute of the three wire versions by hand; every message cut at every length; bytes at random.
 */
// SOURCES: ../../user/espsyncd/codec.c
#include <stdlib.h>

#include "espsyncd_messages.h"
#include "ktap.h"

static enum ha_error parse(struct ha_msg *m, const struct wire *w)
{
	return ha_parse(m, w->b, w->n);
}

static bool reads_what_it_needs(void)
{
	struct wire w = ike_update(7, "office", 1);
	struct ha_msg m;

	ktap_expect(parse(&m, &w) == HA_OK);
	ktap_expect(m.version == 3 && m.type == HA_IKE_UPDATE && m.has_id && !m.has_rekey_id);
	struct ike_id seven = name(7);
	ktap_expect(ike_id_equal(&m.id, &seven));
	ktap_expect(!strcmp(m.name, "office"));
	ktap_expect(m.local.len == 4 && m.local.port == 500 && m.local.bytes[3] == 1);
	ktap_expect(m.remote.len == 4 && m.remote.bytes[0] == 198);

	w = ike_add(2, 1);
	struct ike_id one = name(1);
	ktap_expect(parse(&m, &w) == HA_OK && m.has_rekey_id && ike_id_equal(&m.rekey_id, &one));
	w = ike_vips(2);
	ktap_expect(parse(&m, &w) == HA_OK && m.has_vip && !m.name[0]);
	w = child(2, HA_CHILD_ADD, 0xcf1121a3);
	ktap_expect(parse(&m, &w) == HA_OK && m.spi_in == 0xcf1121a3 && m.spi_out == 0xcf1121a4);
	w = mid(2, HA_IKE_MID_RESPONDER, 9);
	ktap_expect(parse(&m, &w) == HA_OK && m.mid == 9);
	return true;
}

/* Attributes and their lengths by version; the chunk, string and identity are given with content. */
static const struct value {
	uint8_t v3, v4;		/* 0: the version does not have it */
	const char *bytes;
	size_t n;
} values[] = {
	{ 3, 3, "\x02\x03""abc", 5 }, { 5, 5, "\x02\x00", 2 }, { 6, 6, "\x01\xf4\x02\x0a\x00\x00\x01", 7 },
	{ 13, 13, "\x01\xf4\x0a" "0123456789abcdef", 19 }, { 8, 8, "name\0", 5 }, { 9, 9, "\0\0\0\1", 4 },
	{ 10, 10, "\x80\0\0\1", 4 }, { 14, 14, "\1", 1 }, { 16, 16, "\0\2nn", 4 }, { 17, 17, "\0\2ss", 4 },
	{ 0, 18, "\0\2ss", 4 }, { 18, 19, "\0\2ss", 4 }, { 19, 20, "\0\5", 2 }, { 24, 25, "\0\x1f", 2 },
	{ 0, 26, "\0\2\0\1", 4 }, { 25, 27, "\2", 1 }, { 26, 28, "\0", 1 }, { 27, 29, "\1\2\3\4", 4 },
	{ 28, 30, "\1\2\3\4", 4 }, { 29, 31, "\0\1", 2 }, { 30, 32, "\0\1", 2 },
	{ 31, 33, "\x07\0\0\0\xff\xff\0" "\x0a\0\0\0\x0a\0\0\xff", 15 },
	{ 32, 34, "\x08\0\0\0\xff\xff\0" "0123456789abcdef0123456789abcdef", 39 },
	{ 33, 35, "\0\0\0\1", 4 }, { 34, 36, "\0\1", 2 }, { 35, 37, "\0\1", 2 }, { 36, 38, "\2", 1 },
	{ 37, 39, "\0\1d", 3 }, { 38, 40, "\0\1d", 3 }, { 39, 41, "\0\1p", 3 }, { 40, 42, "\0\1v", 3 }, { 41, 43, "\0\1", 2 },
};

static bool knows_every_attribute(void)
{
	for (int version = 3; version <= 5; version++) {
		struct wire all = begin(version, HA_CHILD_ADD, 1);
		struct ha_msg m;

		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			uint8_t id = version == 3 ? values[i].v3 : values[i].v4;
			struct wire w = begin(version, HA_CHILD_ADD, 1);

			if (!id)
				continue;
			put8(&w, id), put(&w, values[i].bytes, values[i].n);
			put8(&all, id), put(&all, values[i].bytes, values[i].n);
			if (parse(&m, &w) != HA_OK)
				ktap_diag("version %d, attribute %d", version, id);
			ktap_expect(parse(&m, &w) == HA_OK);
			/* Cut anywhere it must be refused. */
			for (size_t cut = 1; cut <= values[i].n; cut++)
				ktap_expect(ha_parse(&m, w.b, w.n - cut) != HA_OK);
		}
		ktap_expect(parse(&m, &all) == HA_OK);
		for (int id = version == 3 ? 42 : 44; id < 256; id++) {
			struct wire w = begin(version, HA_CHILD_ADD, 1);

			put8(&w, id), put(&w, "\0\0\0\0", 4);
			ktap_expect(parse(&m, &w) == HA_BAD_ATTRIBUTE);
		}
	}
	return true;
}

static bool refuses_bad_heads(void)
{
	struct ha_msg m;

	ktap_expect(ha_parse(&m, (const uint8_t *)"", 0) == HA_TRUNCATED);
	ktap_expect(ha_parse(&m, (const uint8_t *)"\3", 1) == HA_TRUNCATED);
	ktap_expect(ha_parse(&m, (const uint8_t *)"\2\x0a", 2) == HA_BAD_VERSION);
	ktap_expect(ha_parse(&m, (const uint8_t *)"\6\x0a", 2) == HA_BAD_VERSION);
	ktap_expect(ha_parse(&m, (const uint8_t *)"\3\0", 2) == HA_BAD_TYPE);
	ktap_expect(ha_parse(&m, (const uint8_t *)"\3\x0d", 2) == HA_BAD_TYPE);
	ktap_expect(ha_parse(&m, (const uint8_t *)"\3\5", 2) == HA_NO_ID);
	ktap_expect(ha_parse(&m, (const uint8_t *)"\3\x0a", 2) == HA_OK);
	return true;
}

static bool makes_what_it_reads(void)
{
	for (uint8_t version = 3; version <= 5; version++) {
		uint8_t out[HA_MAX_MADE];
		struct ike_id id = name(5);
		struct ha_msg m;

		ktap_expect(ha_parse(&m, out, ha_make_status(out, version, true)) == HA_OK);
		ktap_expect(m.type == HA_STATUS && m.segments == 2 && m.version == version);
		ktap_expect(ha_parse(&m, out, ha_make_status(out, version, false)) == HA_OK && m.segments == 0);
		ktap_expect(ha_parse(&m, out, ha_make_ike_delete(out, version, &id)) == HA_OK);
		ktap_expect(m.type == HA_IKE_DELETE && ike_id_equal(&m.id, &id));
		ktap_expect(ha_parse(&m, out, ha_make_child_delete(out, version, &id, 0xc0ffee01)) == HA_OK);
		ktap_expect(m.type == HA_CHILD_DELETE && m.spi_in == 0xc0ffee01 && ike_id_equal(&m.id, &id));
	}
	return true;
}

static bool renames_only_what_begins_with_a_name(void)
{
	struct wire w = ike_vips(1);
	struct ike_id two = name(2);
	struct ha_msg m;

	ktap_expect(ha_rename(w.b, w.n, &two));
	ktap_expect(parse(&m, &w) == HA_OK && ike_id_equal(&m.id, &two) && m.has_vip);
	w = begin(3, HA_STATUS, 0);
	ktap_expect(!ha_rename(w.b, w.n, &two));
	ktap_expect(!ha_rename(w.b, 20, &two));
	return true;
}

/* In no version may anything but the name change: the keys come from the rest. */
static bool says_that_another_is_replaced(void)
{
	for (uint8_t version = 3; version <= 5; version++) {
		struct wire w = ike_add(2, 1), before;
		struct ike_id two = name(2), nine = name(9);
		struct ha_msg m;

		w.b[0] = version;
		before = w;
		ktap_expect(ha_set_replaced(w.b, w.n, &nine));
		ktap_expect(parse(&m, &w) == HA_OK && ike_id_equal(&m.id, &two) && ike_id_equal(&m.rekey_id, &nine));
		ktap_expect(!memcmp(w.b, before.b, 22) && !memcmp(w.b + 40, before.b + 40, w.n - 40));
		w = ike_add(2, 0);
		ktap_expect(!ha_set_replaced(w.b, w.n, &nine));
	}
	return true;
}

static const struct ha_addr v4 = { 4, { 192, 0, 2, 7 }, 4501 }, v6 = { 16, { 0x20, 1, 0xd, 0xb8, [15] = 9 }, 4500 };

/* Whatever stands around them stays; version 5's private conditions, too. */
static bool says_that_the_ends_are_elsewhere(void)
{
	struct wire w = ike_moved(5, 1, "office", 1), without = ike_vips(1);
	uint8_t out[sizeof(w.b) + HA_MOVE_MORE];
	struct ha_msg m;
	size_t n;

	put(&w, "\x09\x80\x00\x00\x0f", 5);
	n = ha_move(out, w.b, w.n, &v6, &v6, HA_NAT_ANY);
	ktap_expect(n == w.n + HA_MOVE_MORE && ha_parse(&m, out, n) == HA_OK);
	ktap_expect(ha_addr_equal(&m.local, &v6) && ha_addr_equal(&m.remote, &v6) && m.nat == HA_NAT_ANY && !strcmp(m.name, "office"));
	ktap_expect(!memcmp(out + n - 10, "\x09\x00\x00\x00\x41\x09\x80\x00\x00\x0f", 10));
	n = ha_move(out, w.b, w.n, &v4, &v4, 0);
	ktap_expect(n == w.n && ha_parse(&m, out, n) == HA_OK && ha_addr_equal(&m.remote, &v4) && m.remote.port == 4501 && !m.nat);
	/* One that tells no addresses, or one twice. */
	ktap_expect(!ha_move(out, without.b, without.n, &v4, &v4, 0));
	put(&w, w.b + 29, 8);
	ktap_expect(!ha_move(out, w.b, w.n, &v4, &v4, 0));
	return true;
}

/* charon would take both out of its table and put only the last one back; and to rename it would mean one of them only. */
static bool refuses_two_names(void)
{
	struct wire w = ike_vips(1);
	struct ha_msg m;

	put_name(&w, 1, 2);
	ktap_expect(parse(&m, &w) == HA_BAD_ATTRIBUTE);
	w = ike_add(2, 1);
	ktap_expect(parse(&m, &w) == HA_OK);
	put_name(&w, 2, 3);
	ktap_expect(parse(&m, &w) == HA_BAD_ATTRIBUTE);
	return true;
}

/* Nothing that is read lies outside: the sanitizer is the judge. */
static bool survives_noise(void)
{
	unsigned int seed = ktap_seed();

	ktap_diag("UNIT_SEED=%u", seed);
	srand(seed);
	for (unsigned long long round = ktap_rounds(200000); round; round--) {
		size_t n = rand() % 64;
		uint8_t *data = malloc(n ? n : 1);
		struct ha_msg m;

		for (size_t i = 0; i < n; i++)
			data[i] = rand() % 4 ? rand() % 48 : rand();
		if (n > 2)
			data[0] = 3 + rand() % 3, data[1] = 1 + rand() % 12;
		ha_parse(&m, data, n);
		ktap_expect(memchr(m.name, 0, sizeof(m.name)));
		free(data);
	}
	return true;
}

static bool who_began_and_who_has_mobike(void)
{
	static const struct { const char *tail; size_t n; bool began, mobike; } said[] = {
		{ "\x09\x00\x00\x40\x00\x0a\x00\x00\x39\x2b", 10, false, true },
		{ "\x09\x00\x00\x40\x40\x0a\x00\x00\x39\x29", 10, true, false },
		/* version 5: the second ones are private */
		{ "\x09\x00\x00\x40\x40\x09\x80\x00\x00\x00\x0a\x00\x00\x39\x2b\x0a\x80\x00\x00\x00", 20, true, true },
	};
	struct wire w;
	struct ha_msg m;
	size_t i;

	for (i = 0; i < sizeof(said) / sizeof(*said); i++) {
		w = ike_update(1, "home", 1);
		w.b[0] = said[i].n == 20 ? 5 : 3;
		put(&w, said[i].tail, said[i].n);
		ktap_expect(ha_parse(&m, w.b, w.n) == HA_OK && m.began == said[i].began && m.mobike == said[i].mobike);
	}
	return true;
}

/* A selector from one address to another; @attribute: LOCAL_TS or REMOTE_TS. */
static void put_ts(struct wire *w, uint8_t attribute, uint8_t from, uint8_t to)
{
	uint8_t ts[] = { attribute, 7, 0, 0, 0, 0xff, 0xff, 0, 192, 0, 2, from, 192, 0, 2, to };

	put(w, ts, sizeof(ts));
}

static bool the_gateway_itself_moves_in_selectors(void)
{
	const struct ha_addr from = { 4, { 192, 0, 2, 1 }, 4500 }, to = { 4, { 203, 0, 113, 9 }, 4500 }, v6 = { 16, { 0x20, 1 }, 4500 };
	uint8_t version, local;

	for (version = 3; version <= 5; version++) {
		struct wire w = begin(version, HA_CHILD_ADD, 1), was;
		size_t first;

		local = version == 3 ? 31 : 33;
		first = w.n + 8;
		put_ts(&w, local, 1, 1);
		put_ts(&w, local, 1, 2);
		put_ts(&w, local, 0, 1);
		put_ts(&w, local + 1, 1, 1);	/* of the far end */
		was = w;
		ha_move_selectors(w.b, w.n, &v6, &v6);
		ktap_expect(!memcmp(w.b, was.b, w.n));
		ha_move_selectors(w.b, w.n, &from, &to);
		ktap_expect(!memcmp(w.b + first, to.bytes, 4) && !memcmp(w.b + first + 4, to.bytes, 4));
		memcpy(w.b + first, was.b + first, 8);
		ktap_expect(!memcmp(w.b, was.b, w.n));
	}
	return true;
}

static const struct ktap_case cases[] = {
	{ "reads what it needs", reads_what_it_needs },
	{ "knows every attribute of the three versions", knows_every_attribute },
	{ "refuses bad heads", refuses_bad_heads },
	{ "says that the ends are elsewhere", says_that_the_ends_are_elsewhere },
	{ "says who began, and who has MOBIKE", who_began_and_who_has_mobike },
	{ "selectors that are the gateway follow it", the_gateway_itself_moves_in_selectors },
	{ "makes what it reads", makes_what_it_reads },
	{ "renames only what begins with a name", renames_only_what_begins_with_a_name },
	{ "says that another is replaced", says_that_another_is_replaced },
	{ "refuses two names", refuses_two_names },
	{ "survives noise", survives_noise },
};

KTAP_MAIN(cases)
