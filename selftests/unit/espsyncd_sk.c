// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_sk.c - user/espsyncd's sk: keys from what charon tells are those of its far ends, and only their answers are taken.
 *
 * Job: what stock charons have told their ha plugin, and what stock clients have answered, recorded; each algorithm that is known. What is sealed
 * here is opened with the far end's keys.
 */
// SOURCES: ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c
// LIBS: -lgnutls
#define _GNU_SOURCE
#include "../../user/espsyncd/sk.c"
#include "espsyncd_messages.h"
#include "ktap.h"

#define MAX 1024

/* strongSwan 5.9.8: its IKE_ADD, and what the client answered to request @mid. */
static const struct recorded {
	const char *proposal;
	const char *add;
	uint32_t mid;
	const char *answer;
} recorded[] = {
	{ "aes128-sha256-x25519",
		"0301240201022801d50ece16373e01fbd4cc3ceb5e7c0015000c16008017000c13000518001f0f00207eb5d69c1d90e10840c948f7c8ab98c5767d3308d3d2e11030"
		"aa8c05c60454ed1000209101cd598c011791cdf161b497af0cf82ab577ec0863139dd91cb7c800ba6b81110020f247605fbdb19143c254e3ceea6ea07ec744f95504"
		"a6aca83f36d4dc8932c8070701f402c0000264", 0,
		"2801d50ece16373e01fbd4cc3ceb5e7c2e20252800000000000000502a000034c2266e74b9efd98f1f0c4079c48053c2fed2dd2d5db986ef555a249f117befeef4b0"
		"56e15c623c15da4bbc24667949af" },
	{ "aes192-sha1-x25519",
		"03012402010271620db3eb3fa9ff01149e6d237dadeb0015000c1600c017000213000218001f0f002046395078c27495dee241bf0b2a9d7d125eb51d9514359bfb7a"
		"7f9a06feef0bee100020e37753bf1cf8fb83412b17ed3f866144a6789412e80c50e0498ba7a99d1179d2110020f6819635a0c8fde49b4f866acc084aff0cc5e2bd3a"
		"0f6ca9ca14d095584e01760701f402c0000264", 0,
		"71620db3eb3fa9ff01149e6d237dadeb2e202528000000000000004c2a000030d9d07e91f10042309c1bfcd122c029c5d908dd7d618e7b0a8c9d48ee1470f3e09950"
		"9b431caa7f0ebde085a3" },
	{ "aes256-sha512-x25519",
		"030124020102f84839466866b3b7018802683f1026320015000c16010017000e13000718001f0f002018a8f21fb3ff24db5086686ca527f3480a16a9caea2a34f181"
		"c6e49e2de217e7100020291e5d9652d49ab05c12e6b25a9256a3ba62f49496db400f6d45121a6c33bb6b11002000f03221ff6fca5689b45d85a07749c33e3da771d2"
		"bdfe983de3038ae584854d0701f402c0000264", 0,
		"f84839466866b3b7018802683f1026322e20252800000000000000602a0000444dd4d6a3751dd4b13d79e56ba542cfad2df006e8667ee553bbc44cadff67909739cf"
		"6ddfad76d68982ac159d127fa21cd8398457a56a57864a436878b53f86a7" },
	{ "aes256gcm16-prfsha384-x25519",
		"030124020102a0bb90e1d65f962f011cb7b6263651020015001416010013000618001f0f00206e9ba4fe18fa9cd9d97791e94efc1d8687dade3176c2b058cb6d563b"
		"6bedce85100020459fde733ff34e3fbf07baca75efe768a5ec3378db91c3ccf9dcab3e857c84bf110020792f4a69fdba7bb220b4f6cf0e0e313d56c6e5833c653b4c"
		"b73d6a0e7c57a27e0701f402c0000264", 0,
		"a0bb90e1d65f962f011cb7b6263651022e20252800000000000000452a000029eb2f8baf8ee147e48daebbab50513f913d25af360f3a03e56218425575c53f4d7bad"
		"a54e0c" },
	{ "chacha20poly1305-prfsha512-x25519",
		"030124020102d13e64a700633fe1013e18eefc7c19d80015001c13000718001f0f002008c3411c94f59cabfc717b1d30132d2e01a349344a27d2a0b944508126692b"
		"db1000201e11535aff53087f4f4f0b41175e2fa2ec7c0a8e1bb6aeae23e448c60085c131110020b44a0b2f12e1ebcd8d8b81b59582c525c53fe0256ae837057fea38"
		"945d7ef74f0701f402c0000264", 0,
		"d13e64a700633fe1013e18eefc7c19d82e20252800000000000000452a00002916c25abe7f4b51d79a901e0901ac6e4bb463a231d54dc3e862ac99861ac5cfd48711"
		"ee63be" },
	{ "aes256-sha384-prfsha256-x25519, rekeyed by the client",
		"030124020102b74bb770d74f373c01c14984d0b77dab000202b9e36518360dc4cb0131b3f14a696fce0014000512002096cfe821a70bde5f673a191dd29c1bea2846"
		"baf25ffb7895734b6b1d241a141c15000c16010017000d13000518001f0f002029074a22e926ea24201accfa07901718f34282a370d05b45c71ed75f80fa053b1000"
		"20d471118be3dbd6b1cc26fa725bf6935836e095e1fc65452d626df735667ad303110020f8fbb91c70cf96af149f26bb13535728d616e7d8d684cca3e14bd9f4d97f"
		"235c07119402c0000264", 0,
		"b74bb770d74f373c01c14984d0b77dab2e20252800000000000000582a00003ccceec1aca4a7f6ac9a02d337ed1534f43e6bb5c389d9e596675bc9063622e7a7d71c"
		"e64d3805f22f213d9ac3199896cb13cac0df4db58f9f" },
	{ "aes128gcm16-prfsha256-x25519, rekeyed by the gateway",
		"03012402010201ef86645f3a198dc6042793d2316f6f010202e9a784d47614649e01a6dbad218bde01001400051200208d6cd28718765eb322a6b5ce099a346e0b9f"
		"981a05032c17b7fed247efb7913115001416008013000518001f0f0020457b992255fa0b5ad27bc11788b864ae557fca430063738f76e7602451be482210002076ed"
		"fe4b578e90fdbe8468405a79ccb4fce9681b7ceaacf5d15a9bf674db2d3c11002096ba25879143dcd3f4e86fddf7ea2d40dc8a5516f5de741d9362b1212ea0eb6707"
		"119402c0000264", 0,
		"01ef86645f3a198dc6042793d2316f6f2e20252000000000000000452a000029fd9e4417177a9e1546442d5eec0176f89672d45a282ce93596e1288f2b5072516db7"
		"52d5a6" },
};

static size_t bytes_of(const char *hex, uint8_t *b)
{
	size_t n;

	for (n = 0; hex[2 * n]; n++) {
		unsigned int v;

		assert(n < MAX && sscanf(hex + 2 * n, "%2x", &v) == 1);
		b[n] = v;
	}
	return n;
}

struct case_of {
	uint8_t add[MAX];
	struct journal_raw raw;
	struct journal_sa sa;
	uint8_t answer[MAX];
	size_t len;
};

static void take(struct case_of *c, const struct recorded *r)
{
	struct ha_msg m;

	memset(c, 0, sizeof(*c));
	c->raw.data = c->add;
	c->raw.len = bytes_of(r->add, c->add);
	assert(ha_parse(&m, c->add, c->raw.len) == HA_OK);
	c->sa.id = m.id;
	c->sa.adds = &c->raw;
	c->sa.n_adds = 1;
	c->len = bytes_of(r->answer, c->answer);
}

static bool keys(struct sk *k, const struct recorded *r, struct case_of *c)
{
	char why[SK_WHY];

	take(c, r);
	if (sk_derive(k, &c->sa, why))
		return true;
	ktap_diag("%s: %s", r->proposal, why);
	return false;
}

static bool stock_clients_answers_are_taken(void)
{
	struct case_of c;
	struct sk k;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(recorded); i++) {
		ktap_expect(keys(&k, &recorded[i], &c));
		if (!sk_is_answer(&k, recorded[i].mid, c.answer, c.len)) {
			ktap_diag("%s: not taken", recorded[i].proposal);
			return false;
		}
		ktap_expect(!sk_is_answer(&k, recorded[i].mid + 1, c.answer, c.len));
	}
	return true;
}

static bool nothing_else_is(void)
{
	struct case_of c;
	struct sk k;
	size_t i, at;

	for (i = 0; i < ARRAY_SIZE(recorded); i++) {
		ktap_expect(keys(&k, &recorded[i], &c));
		for (at = 0; at < c.len; at++) {
			ktap_expect(!sk_is_answer(&k, recorded[i].mid, c.answer, at));
			c.answer[at] ^= 0x10;
			ktap_expect(!sk_is_answer(&k, recorded[i].mid, c.answer, c.len));
			c.answer[at] ^= 0x10;
		}
		ktap_expect(!sk_is_answer(&k, recorded[i].mid, c.answer, SK_MAX + 1));
	}
	return true;
}

/* As the far end has them. */
static struct sk mirrored(const struct sk *k)
{
	struct sk m = *k;

	m.ours = k->theirs;
	m.theirs = k->ours;
	m.id.initiator = !k->id.initiator;
	return m;
}

/* Return: whether the far end takes it, and what it reads in there */
static bool opened(const struct sk *k, uint8_t *message, size_t len, uint8_t *text, size_t *n)
{
	struct sk far = mirrored(k);
	size_t at = HEADER + GENERIC + iv_len(k);
	gnutls_cipher_hd_t h;

	*n = len - at - tag_len(k);
	if (k->cipher->aead) {
		uint8_t nonce[SALT + AEAD_IV];
		gnutls_aead_cipher_hd_t a = aead_of(&far, &far.theirs, message + HEADER + GENERIC, nonce);
		size_t room = MAX;
		bool ok = !gnutls_aead_cipher_decrypt(a, nonce, sizeof(nonce), message, HEADER + GENERIC, AEAD_TAG, message + at, len - at, text, &room);

		gnutls_aead_cipher_deinit(a);
		return ok && room == *n;
	}
	if (!is_sealed_cbc(&far, message, len))
		return false;
	memcpy(text, message + at, *n);
	assert(!gnutls_cipher_init(&h, k->cipher->cipher, &(gnutls_datum_t){ far.theirs.encr, k->cipher->bits / 8 },
				   &(gnutls_datum_t){ message + HEADER + GENERIC, BLOCK }));
	assert(!gnutls_cipher_decrypt(h, text, *n));
	gnutls_cipher_deinit(h);
	return true;
}

static bool what_is_sealed_the_far_end_opens(void)
{
	uint8_t said[SK_PAYLOADS], message[SK_MAX], text[MAX];
	size_t i, len, n, whole;
	struct case_of c;
	struct sk k;

	for (n = 0; n < sizeof(said); n++)
		said[n] = n;
	for (i = 0; i < ARRAY_SIZE(recorded); i++) {
		ktap_expect(keys(&k, &recorded[i], &c));
		for (len = 0; len <= sizeof(said); len += len < 40 ? 1 : 104) {
			whole = sk_request(&k, 0x01020304, 41, said, len, message);
			ktap_expect(whole && opened(&k, message, whole, text, &n));
			ktap_expect(n == len + 1 + text[n - 1] && !memcmp(text, said, len) && (k.cipher->aead || n % BLOCK == 0));
			ktap_expect(get_u32(message + 24) == whole && get_u16(message + HEADER + 2) == whole - HEADER && get_u32(message + 20) == 0x01020304);
			ktap_expect(message[19] == (k.id.initiator ? 8 : 0) && message[18] == 37 && message[16] == 46 && message[HEADER] == 41);
		}
	}
	ktap_expect(!sk_request(&k, 1, 41, said, SK_PAYLOADS + 1, message));
	return true;
}

static bool no_message_is_like_another(void)
{
	uint8_t one[SK_MAX], two[SK_MAX];
	struct case_of c;
	struct sk k;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(recorded); i++) {
		ktap_expect(keys(&k, &recorded[i], &c));
		ktap_expect(sk_request(&k, 7, 41, (const uint8_t *)"", 0, one) && sk_request(&k, 7, 41, (const uint8_t *)"", 0, two));
		ktap_expect(memcmp(one + HEADER + GENERIC, two + HEADER + GENERIC, iv_len(&k)));
	}
	return true;
}

/* In an IKE_ADD of version 3, the value behind the attribute that has these first bytes. */
static void change(struct case_of *c, const char *what, size_t n, uint8_t value)
{
	uint8_t *at = memmem(c->add, c->raw.len, what, n);

	assert(at);
	at[n] = value;
}

static bool refused(const struct recorded *r, const char *what, size_t n, uint8_t value, const char *sentence)
{
	struct case_of c;
	char why[SK_WHY];
	struct sk k;

	take(&c, r);
	change(&c, what, n, value);
	return !sk_derive(&k, &c.sa, why) && strstr(why, sentence) && !k.cipher;
}

static bool what_is_not_known_is_said(void)
{
	struct case_of c;
	char why[SK_WHY];
	struct sk k;

	ktap_expect(refused(&recorded[0], "\x15\x00", 2, 13, "encryption 13, integrity 12, PRF 5"));	/* AES-CTR */
	ktap_expect(refused(&recorded[0], "\x17\x00", 2, 5, "integrity 5"));				/* AES-XCBC */
	ktap_expect(refused(&recorded[0], "\x13\x00", 2, 4, "PRF 4"));
	take(&c, &recorded[0]);
	c.sa.n_adds = 2;
	ktap_expect(!sk_derive(&k, &c.sa, why) && strstr(why, "several key exchanges"));
	take(&c, &recorded[0]);
	c.add[0] = 5;
	c.add[2] = 38;
	memcpy(c.add + 2 + 2 + 19, "\x12\x00\x01s\x16\x00\x0c\x17\x00\x80", 10);	/* of version 5, with ADD_SECRET */
	c.raw.len = 2 + 2 + 19 + 10;
	ktap_expect(!sk_derive(&k, &c.sa, why) && strstr(why, "several key exchanges"));
	take(&c, &recorded[0]);
	c.raw.len = 2 + 2 + 19 + 4 * 3;		/* neither nonces nor a secret */
	ktap_expect(!sk_derive(&k, &c.sa, why) && strstr(why, "cannot be derived"));
	return true;
}

static const struct ktap_case cases[] = {
	{ "stock-clients-answers-are-taken", stock_clients_answers_are_taken },
	{ "nothing-else-is", nothing_else_is },
	{ "what-is-sealed-the-far-end-opens", what_is_sealed_the_far_end_opens },
	{ "no-message-is-like-another", no_message_is_like_another },
	{ "what-is-not-known-is-said", what_is_not_known_is_said },
};

KTAP_MAIN(cases)
