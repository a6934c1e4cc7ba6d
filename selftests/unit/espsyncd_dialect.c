// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_dialect.c - user/espsyncd/dialect.c: a message of one wire version said in another, and what there are no words for.
 *
 * Job: by hand, every attribute by its number in the three versions; and the same as two releases said it.
 */
// SOURCES: ../../user/espsyncd/dialect.c ../../user/espsyncd/codec.c
#include <stdio.h>

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

/* Recorded: the same exchanges of the same client, negotiated by 5.9.8 and by 6.1.0. Nonces, secrets and SPIs differ. */
static const struct { const char *v3, *v5; } recorded[] = {
	/* IKE_ADD */
	{ "030124020102f77a9ea913249bbf0aa3616e865422800015000c16008017000c13000518001f0f0020c82dc7c475c5c9d942bc33"
	  "b8cb858d66b65d5bc649c56b9be5afb9e4e5658c99100020ba231cf1cdd17e92a09a819d7ee87f6d69af52d61556d822759d8d6a"
	  "213bab3211002007c5b7a7f9fc8d7e32a44f48bfaf22ac4cb62e21ee6b7730f093b1dc458bcb160701f402c0000264",
	  "0501260201025330c0642567af0d0afd7b2814b99fba0016000c17008018000c14000519001f0f0020e7985d9889de5cc3e146cf"
	  "bb0810aaaaaecc589d3ad0c3df43ccd35a7cae257010002078c9fca20750e7d999071b157e177a28de0fcd24ad2e817a4333ab53"
	  "999ea0481100207b7bbbb523e5b77e5a79632f5c5d53fb56953126d63ff7ab0c783c504a058c3b0701f402c0000264" },
	/* IKE_MID_RESPONDER */
	{ "03040102f77a9ea913249bbf0aa3616e86542280002100000002",
	  "050401025330c0642567af0d0afd7b2814b99fba002300000002" },
	/* IKE_UPDATE */
	{ "03020102f77a9ea913249bbf0aa3616e865422800003020e67772e6578616d706c652e6f7267040312636c69656e74406578616d"
	  "706c652e6f72670601f402c00002010701f402c000026409000040000a0000392908726f61642d77617272696f72000d01f402c0"
	  "000264",
	  "050201025330c0642567af0d0afd7b2814b99fba0003020e67772e6578616d706c652e6f7267040312636c69656e74406578616d"
	  "706c652e6f72670601f402c00002010701f402c0000264090000400009800000000a000039290a8000000008726f61642d776172"
	  "72696f72000d01f402c0000264" },
	/* CHILD_ADD */
	{ "03060102f77a9ea913249bbf0aa3616e86542280000e001b8edfd5c01cbec568c71d00001e000019021a00086c616e0015001416"
	  "00802300010f0020c82dc7c475c5c9d942bc33b8cb858d66b65d5bc649c56b9be5afb9e4e5658c99100020ba231cf1cdd17e92a0"
	  "9a819d7ee87f6d69af52d61556d822759d8d6a213bab321f07000000ffff000a0100000a0100ff2007000000ffff000a4200010a"
	  "420001",
	  "050601025330c0642567af0d0afd7b2814b99fba000e001db1449fc11eb90b7ece1f00002000001b021c00086c616e0016001417"
	  "00802500010f0020e7985d9889de5cc3e146cfbb0810aaaaaecc589d3ad0c3df43ccd35a7cae257010002078c9fca20750e7d999"
	  "071b157e177a28de0fcd24ad2e817a4333ab53999ea0482107000000ffff000a0100000a0100ff2207000000ffff000a4200010a"
	  "420001" },
	/* IKE_UPDATE with an inner address */
	{ "03020102f77a9ea913249bbf0aa3616e86542280000c0000020a420001",
	  "050201025330c0642567af0d0afd7b2814b99fba000c0000020a420001" },
	/* CHILD_ADD of a rekeying */
	{ "03060102f77a9ea913249bbf0aa3616e86542280000e001b606106c21c6c4063c21d00001e000019021a00086c616e0015001416"
	  "008018001f2300010f002064311829ce6f9ed3278dbc31d22e3eeca8edf5b16dbc5562be1864672909f94c1000204e2e6e214401"
	  "986b61c301447167c068b23a52a9a7058357d4c880a3c1ab43e81100203c9fb362040e7318085411eb40361a448f0c504bef34e8"
	  "720244e4b7e297b1041f07000000ffff000a0100000a0100ff2007000000ffff000a4200010a420001",
	  "050601025330c0642567af0d0afd7b2814b99fba000e001d4bcb41c71edd7055c91f00002000001b021c00086c616e0016001417"
	  "008019001f2500010f0020bbc8ea503805574a46127285ef116945ed3f6b0fa116e24bf0be58c842a30c0410002070f8ed4ea522"
	  "f5540e388e0bc7896a33c17bf6d29ea7ab6baa8728d6ef3a45a111002000468422b96d32345a4df042699d450d6dcbc78c376b9b"
	  "34ad9f605f7afcbc3e2107000000ffff000a0100000a0100ff2207000000ffff000a4200010a420001" },
	/* IKE_ADD of a rekeying */
	{ "030124020102c92f15819ac1ef2d0a526fb2a1ad0d05000202f77a9ea913249bbf0aa3616e86542280001400051200209cf91532"
	  "53787a3ac45fdb711a3311c2a8200da09e61de6f420526d9a71b034015000c16008017000c13000518001f0f0020b2af7f8be663"
	  "99c171b696c2be001a692436a481ce27befe43fae1395657ebe31000201c44ce37d66cdc07ef54c3b7ccb9de6938b53414bdc191"
	  "ae936b752e1f95a688110020adb26cdb2a3d3371520d05ddbb6572a3c4debc7d430f15a16b01a094bd3a59740701f402c0000264",
	  "0501260201026e9b1e7fdf9d7e700a937390bae7cf000002025330c0642567af0d0afd7b2814b99fba0015000513002023ebeff7"
	  "e3e4f91342ba2efcda2ec659721059db363e19b113ee1ab38ab066a016000c17008018000c14000519001f0f0020644092179424"
	  "27040270b0478bafa663a77f3db9a7335e8af4c104e3807ea9361000201f9a3fc6bfd09db4507ce4b6da47590951b7c70c7e317e"
	  "b0ecd283a7212219c01100209bc4a56bd0c02abb31d14741b8d9b9302341251b6eb59cc8e34956670f0255720701f402c0000264" },
};

static struct wire from_hex(const char *hex)
{
	struct wire w = { .n = 0 };
	unsigned int byte;

	for (; *hex && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		put8(&w, byte);
	return w;
}

/* The same attributes in the same order, and of the same length. */
static bool alike(const struct wire *a, const struct wire *b)
{
	struct ha_attribute x, y;
	size_t at = 2, bt = 2;

	ktap_expect(a->n == b->n && a->b[0] == b->b[0] && a->b[1] == b->b[1]);
	while (ha_next(a->b, a->n, &at, &x))
		ktap_expect(ha_next(b->b, b->n, &bt, &y) && x.id == y.id && x.len == y.len);
	return at == a->n && bt == b->n;
}

static bool says_it_as_a_charon_of_that_release(void)
{
	for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
		struct wire v3 = from_hex(recorded[i].v3), v5 = from_hex(recorded[i].v5), got, again;

		ktap_expect(say(&got, 3, &v5) && alike(&got, &v3));
		/* And back, but for the empty sets. */
		ktap_expect(say(&again, 5, &got) && again.n <= v5.n && say(&got, 3, &again) && alike(&got, &v3));
		ktap_expect(say(&got, 5, &v3) && say(&again, 3, &got) && same(&again, &v3));
		ktap_expect(got.n == v5.n || (v5.b[1] == HA_IKE_UPDATE && got.n + 10 == v5.n));
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
	{ "says it as a charon of that release", says_it_as_a_charon_of_that_release },
	{ "has no words for additional key exchanges", has_no_words_for_additional_key_exchanges },
	{ "has no words for what others do not have", has_no_words_for_what_others_do_not_have },
	{ "leaves out empty private sets", leaves_out_empty_private_sets },
	{ "an IKE SA is told with those it came from", an_ike_sa_is_told_with_those_it_came_from },
};

KTAP_MAIN(cases)
