// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_dialect.c - user/espsyncd/dialect.c: a message of one wire version said in another, and what there are no words for.
 *
 * Job: by hand, every attribute by its number in the three versions.
 */
// SOURCES: ../../user/espsyncd/dialect.c ../../user/espsyncd/codec.c
#include "../../user/espsyncd/dialect.h"
#include "../../user/espsyncd/journal.h"
#include "espsyncd_messages.h"
#include "ktap.h"

static size_t say(struct wire *out, uint8_t version, const struct wire *w)
{
	memset(out, 0xa5, sizeof(*out));
	return out->n = dialect_say(out->b, version, w->b, w->n);
}

static bool same(const struct wire *a, const struct wire *b)
{
	return a->n == b->n && !memcmp(a->b, b->b, a->n);
}

/* As the wire format is described: number in version 3, in 4 and 5, and a value of its encoding. */
static const struct { uint8_t v3, v4; const char *value; size_t n; } attributes[] = {
	{ 3, 3, "\x02\x03" "abc", 5 }, { 5, 5, "\x02\x00", 2 }, { 6, 6, "\x01\xf4\x02\x0a\x00\x00\x01", 7 },
	{ 13, 13, "\x01\xf4\x0a" "0123456789abcdef", 19 }, { 8, 8, "name\0", 5 }, { 9, 9, "\0\0\0\x47", 4 }, { 10, 10, "\0\1\2\3", 4 },
	{ 14, 14, "\1", 1 }, { 15, 15, "\0\2nn", 4 }, { 16, 16, "\0\2nn", 4 }, { 17, 17, "\0\2ss", 4 },
	{ 18, 19, "\0\2kk", 4 }, { 19, 20, "\0\5", 2 }, { 20, 21, "\0\5", 2 }, { 21, 22, "\0\x0c", 2 }, { 22, 23, "\0\x10", 2 }, { 23, 24, "\0\x0c", 2 },
	{ 24, 25, "\0\x1f", 2 }, { 25, 27, "\2", 1 }, { 26, 28, "\0", 1 }, { 27, 29, "\1\2\3\4", 4 }, { 28, 30, "\1\2\3\4", 4 },
	{ 29, 31, "\0\1", 2 }, { 30, 32, "\0\1", 2 }, { 31, 33, "\x07\0\0\0\xff\xff\0" "\x0a\0\0\0\x0a\0\0\xff", 15 },
	{ 32, 34, "\x08\0\0\0\xff\xff\0" "0123456789abcdef0123456789abcdef", 39 }, { 33, 35, "\0\0\0\1", 4 }, { 34, 36, "\0\1", 2 },
	{ 35, 37, "\0\1", 2 }, { 36, 38, "\2", 1 }, { 37, 39, "\0\1d", 3 }, { 38, 40, "\0\1d", 3 }, { 39, 41, "\0\1p", 3 }, { 40, 42, "\0\1v", 3 },
	{ 41, 43, "\0\1", 2 },
};

static struct wire with_all(uint8_t version)
{
	struct wire w = begin(version, HA_IKE_ADD, 1);

	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		put8(&w, version == 3 ? attributes[i].v3 : attributes[i].v4);
		put(&w, attributes[i].value, attributes[i].n);
	}
	return w;
}

static bool says_every_attribute(void)
{
	for (uint8_t from = 3; from <= 5; from++) {
		for (uint8_t to = 3; to <= 5; to++) {
			struct wire w = with_all(from), want = with_all(to), got;

			ktap_expect(!dialect_lacks(to, w.b, w.n) && say(&got, to, &w) && same(&got, &want));
		}
	}
	return true;
}

/* The rest would be taken for another IKE SA or CHILD SA. */
static bool lacks(uint8_t from, uint8_t to, const char *attribute, size_t n, const char *what)
{
	struct wire w = with_all(from), got;
	const char *said;

	put(&w, attribute, n);
	said = dialect_lacks(to, w.b, w.n);
	if (!what)
		return !said && say(&got, to, &w);
	return said && !strcmp(said, what) && !say(&got, to, &w);
}

static bool has_no_words_for_additional_key_exchanges(void)
{
	static const char *const what = "additional key exchanges";
	struct wire w = begin(5, HA_IKE_ADD, 1), got;

	ktap_expect(lacks(5, 3, "\x12\0\2ss", 5, what) && lacks(4, 3, "\x1a\0\2\0\x24", 5, what));
	ktap_expect(lacks(5, 4, "\x12\0\2ss", 5, NULL) && lacks(4, 5, "\x1a\0\2\0\x24", 5, NULL));
	/* The one that follows has nonces and a secret alone: in version 3 it would begin another IKE SA. */
	put(&w, "\x0f\0\2nn\x10\0\2nn\x11\0\2ss", 15);
	ktap_expect(dialect_lacks(3, w.b, w.n) && !strcmp(dialect_lacks(3, w.b, w.n), what) && !say(&got, 3, &w) && say(&got, 4, &w));
	/* Nobody knows the version yet. */
	ktap_expect(!dialect_lacks(0, w.b, w.n));
	return true;
}

static bool has_no_words_for_what_others_do_not_have(void)
{
	ktap_expect(lacks(5, 3, "\x19\0\x24", 3, "its key exchange method") && lacks(3, 5, "\x18\x04\x06", 3, "its key exchange method"));
	ktap_expect(lacks(5, 4, "\x19\0\x24", 3, NULL) && lacks(5, 3, "\x19\0\x20", 3, NULL) && lacks(5, 3, "\x19\0\x21", 3, "its key exchange method"));
	ktap_expect(lacks(5, 3, "\x09\x80\0\0\1", 5, "private conditions or extensions"));
	ktap_expect(lacks(5, 4, "\x0a\x81\0\0\0", 5, "private conditions or extensions"));
	ktap_expect(lacks(3, 5, "\x0a\x80\0\1\0", 5, "private conditions or extensions"));
	return true;
}

/* They are empty with a stock charon; an older one would take an empty set for all that there is, and drop what it was told just before. */
static bool leaves_out_empty_private_sets(void)
{
	struct wire w = ike_moved(5, 1, "office", 1), want = ike_moved(3, 1, "office", 1), got;

	put(&w, "\x09\x80\0\0\0\x0a\0\0\0\2\x0a\x80\0\0\0", 15);
	put(&want, "\x0a\0\0\0\2", 5);
	ktap_expect(say(&got, 3, &w) && same(&got, &want));
	want.b[0] = 4;
	ktap_expect(say(&got, 4, &w) && same(&got, &want));
	ktap_expect(say(&got, 5, &w) && same(&got, &w));
	return true;
}

/* One that was made of several key exchanges may be what a CHILD SA's keys came from. */
static bool an_ike_sa_is_told_with_those_it_came_from(void)
{
	struct wire w = with_all(5), first = w;
	struct journal_raw adds[2] = { { w.b, w.n }, { w.b, w.n } };
	struct journal_sa old = { .adds = adds, .n_adds = 1 }, sa = { .adds = adds, .n_adds = 1, .prev = &old };

	ktap_expect(!dialect_lacks_keys(3, &sa));
	put(&first, "\x12\0\2ss", 5);
	old.adds = &(struct journal_raw){ first.b, first.n };
	ktap_expect(dialect_lacks_keys(3, &sa) && !dialect_lacks_keys(4, &sa) && !dialect_lacks_keys(0, &sa));
	adds[1] = (struct journal_raw){ first.b, first.n };
	sa.prev = NULL;
	ktap_expect(!dialect_lacks_keys(3, &sa));
	sa.n_adds = 2;
	ktap_expect(dialect_lacks_keys(3, &sa) && !dialect_lacks_keys(3, NULL));
	return true;
}

static const struct ktap_case cases[] = {
	{ "says every attribute", says_every_attribute },
	{ "has no words for additional key exchanges", has_no_words_for_additional_key_exchanges },
	{ "has no words for what others do not have", has_no_words_for_what_others_do_not_have },
	{ "leaves out empty private sets", leaves_out_empty_private_sets },
	{ "an IKE SA is told with those it came from", an_ike_sa_is_told_with_those_it_came_from },
};

KTAP_MAIN(cases)
