// SPDX-License-Identifier: GPL-2.0-or-later
/* sk: what goes under an IKE SA's keys. See sk.h. */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "sk.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Attributes of an IKE_ADD, as version 3 numbers them. Later versions have one more before OLD_SKD. */
enum { NONCE_I = 15, NONCE_R, SECRET, OLD_SKD, PRF, OLD_PRF, ENCR, ENCR_LEN, INTEG };

#define MORE_SECRETS	18	/* that one: of further key exchanges */

#define HEADER		28
#define GENERIC		4	/* header of a payload */
#define PAYLOAD_SK	46
#define VERSION_2	0x20
#define INFORMATIONAL	37
#define FLAG_INITIATOR	0x08
#define FLAG_RESPONSE	0x20
#define NONCE_MAX	256
#define HASH_MAX	64
#define SALT		4
#define AEAD_IV		8
#define AEAD_TAG	16
#define BLOCK		16

/* IANA's numbers: of a cipher with the bits of its key. */
static const struct sk_cipher {
	uint16_t id;
	uint16_t bits;
	gnutls_cipher_algorithm_t cipher;
	bool aead;
} ciphers[] = {
	{ 12, 128, GNUTLS_CIPHER_AES_128_CBC, false },
	{ 12, 192, GNUTLS_CIPHER_AES_192_CBC, false },
	{ 12, 256, GNUTLS_CIPHER_AES_256_CBC, false },
	{ 20, 128, GNUTLS_CIPHER_AES_128_GCM, true },
	{ 20, 192, GNUTLS_CIPHER_AES_192_GCM, true },
	{ 20, 256, GNUTLS_CIPHER_AES_256_GCM, true },
	{ 28, 256, GNUTLS_CIPHER_CHACHA20_POLY1305, true },
};

static const struct sk_mac {
	uint16_t id;
	gnutls_mac_algorithm_t mac;
	uint8_t key;
	uint8_t tag;
} macs[] = {
	{ 2, GNUTLS_MAC_SHA1, 20, 12 }, { 12, GNUTLS_MAC_SHA256, 32, 16 }, { 13, GNUTLS_MAC_SHA384, 48, 24 }, { 14, GNUTLS_MAC_SHA512, 64, 32 },
};

static const struct prf {
	uint16_t id;
	gnutls_mac_algorithm_t mac;
	uint8_t size;
} prfs[] = {
	{ 2, GNUTLS_MAC_SHA1, 20 }, { 5, GNUTLS_MAC_SHA256, 32 }, { 6, GNUTLS_MAC_SHA384, 48 }, { 7, GNUTLS_MAC_SHA512, 64 },
};

/* ---- what charon has told ---- */

static bool find_numbered(const struct journal_raw *add, uint8_t id, struct ha_attribute *a)
{
	size_t at = 2;

	while (ha_next(add->data, add->len, &at, a)) {
		if (a->id == id)
			return true;
	}
	return false;
}

static bool find(const struct journal_raw *add, uint8_t id, struct ha_attribute *a)
{
	return find_numbered(add, id >= OLD_SKD && add->data[0] > 3 ? id + 1 : id, a);
}

static bool has_more_exchanges(const struct journal_sa *sa)
{
	struct ha_attribute a;

	return sa->n_adds > 1 || (sa->adds[0].data[0] > 3 && find_numbered(&sa->adds[0], MORE_SECRETS, &a));
}

static uint16_t number(const struct journal_raw *add, uint8_t id, uint16_t otherwise)
{
	struct ha_attribute a;

	return find(add, id, &a) ? get_u16(a.value) : otherwise;
}

/* Its value without the length before it. */
static bool chunk(const struct journal_raw *add, uint8_t id, struct bytes *b)
{
	struct ha_attribute a;

	if (!find(add, id, &a))
		return false;
	bytes_add(b, a.value + 2, a.len - 2);
	return true;
}

static const struct prf *prf_of(uint16_t id)
{
	size_t n;

	for (n = 0; n < ARRAY_SIZE(prfs); n++) {
		if (prfs[n].id == id)
			return &prfs[n];
	}
	return NULL;
}

static const struct sk_mac *mac_of(uint16_t id)
{
	size_t n;

	for (n = 0; n < ARRAY_SIZE(macs); n++) {
		if (macs[n].id == id)
			return &macs[n];
	}
	return NULL;
}

static const struct sk_cipher *cipher_of(uint16_t id, uint16_t bits)
{
	size_t n;

	for (n = 0; n < ARRAY_SIZE(ciphers); n++) {
		if (ciphers[n].id == id && (ciphers[n].bits == bits || !bits))
			return &ciphers[n];
	}
	return NULL;
}

/* ---- keys ---- */

static bool prf(const struct prf *p, const struct bytes *key, const struct bytes *data, struct bytes *out)
{
	uint8_t hash[HASH_MAX];
	bool ok = !gnutls_hmac_fast(p->mac, bytes_at(key), bytes_left(key), bytes_at(data), bytes_left(data), hash);

	bytes_add(out, hash, p->size);
	explicit_bzero(hash, sizeof(hash));
	return ok;
}

/* prf+ (2.13). */
static bool expand(const struct prf *p, const struct bytes *seed, const struct bytes *data, uint8_t *out, size_t len)
{
	struct bytes last = { 0 }, text = { 0 };
	uint8_t i = 0;
	bool ok = true;
	size_t n;

	for (; ok && len; len -= n, out += n) {
		bytes_add(&text, bytes_at(&last), bytes_left(&last));
		bytes_add(&text, bytes_at(data), bytes_left(data));
		bytes_add_u8(&text, ++i);
		bytes_free(&last);
		ok = prf(p, seed, &text, &last);
		bytes_free(&text);
		n = len < p->size ? len : p->size;
		memcpy(out, bytes_at(&last), n);
	}
	bytes_free(&last);
	return ok;
}

/* SKEYSEED: of an IKE SA's first exchange (2.14), or of one that replaced another (2.18). */
static bool seed_of(const struct journal_raw *add, const struct prf *p, const struct bytes *nonces, struct bytes *seed)
{
	const struct prf *old = prf_of(number(add, OLD_PRF, p->id));
	struct bytes secret = { 0 }, skd = { 0 };
	bool ok = chunk(add, SECRET, &secret);

	if (chunk(add, OLD_SKD, &skd)) {
		bytes_add(&secret, bytes_at(nonces), bytes_left(nonces));
		ok = ok && old && prf(old, &skd, &secret, seed);
	} else {
		ok = ok && prf(p, nonces, &secret, seed);
	}
	bytes_free(&secret);
	bytes_free(&skd);
	return ok;
}

/* SK_d, SK_ai, SK_ar, SK_ei, SK_er; what comes behind is for IKE_AUTH. */
static void cut(struct sk *k, const uint8_t *all, size_t skip)
{
	size_t encr = k->cipher->bits / 8 + (k->cipher->aead ? SALT : 0), auth = k->mac ? k->mac->key : 0;
	struct sk_side *i = k->id.initiator ? &k->ours : &k->theirs, *r = k->id.initiator ? &k->theirs : &k->ours;

	all += skip;
	memcpy(i->auth, all, auth);
	memcpy(r->auth, all + auth, auth);
	memcpy(i->encr, all + 2 * auth, encr);
	memcpy(r->encr, all + 2 * auth + encr, encr);
}

static bool derive(struct sk *k, const struct journal_raw *add, const struct prf *p)
{
	struct bytes nonces = { 0 }, seed = { 0 };
	uint8_t all[HASH_MAX + 4 * SK_KEY];
	bool ok = chunk(add, NONCE_I, &nonces) && chunk(add, NONCE_R, &nonces) && seed_of(add, p, &nonces, &seed);

	bytes_add(&nonces, k->id.spi_i, 8);
	bytes_add(&nonces, k->id.spi_r, 8);
	ok = ok && expand(p, &seed, &nonces, all, sizeof(all));
	if (ok)
		cut(k, all, p->size);
	explicit_bzero(all, sizeof(all));
	bytes_free(&nonces);
	bytes_free(&seed);
	return ok;
}

bool sk_derive(struct sk *k, const struct journal_sa *sa, char why[SK_WHY])
{
	const struct journal_raw *add = &sa->adds[0];
	uint16_t encr = number(add, ENCR, 0), bits = number(add, ENCR_LEN, 0), integ = number(add, INTEG, 0);
	const struct prf *p = prf_of(number(add, PRF, 0));

	memset(k, 0, sizeof(*k));
	k->id = sa->id;
	k->cipher = cipher_of(encr, bits);
	k->mac = mac_of(integ);
	if (has_more_exchanges(sa))
		snprintf(why, SK_WHY, "its IKE SA has several key exchanges (RFC 9370)");
	else if (!p || !k->cipher || (!k->mac && !k->cipher->aead))
		snprintf(why, SK_WHY, "its IKE SA uses algorithms that espsyncd does not (encryption %u, integrity %u, PRF %u)", encr, integ,
			 number(add, PRF, 0));
	else if (!derive(k, add, p))
		snprintf(why, SK_WHY, "the keys of its IKE SA cannot be derived");
	else
		return true;
	sk_wipe(k);
	return false;
}

void sk_wipe(struct sk *k)
{
	explicit_bzero(k, sizeof(*k));
}

/* ---- messages ---- */

static size_t iv_len(const struct sk *k)
{
	return k->cipher->aead ? AEAD_IV : BLOCK;
}

static size_t tag_len(const struct sk *k)
{
	return k->cipher->aead ? AEAD_TAG : k->mac->tag;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static void head(const struct sk *k, uint8_t *out, uint8_t flags, uint32_t mid, uint8_t first, size_t len)
{
	memset(out, 0, HEADER + GENERIC);
	memcpy(out, k->id.spi_i, 8);
	memcpy(out + 8, k->id.spi_r, 8);
	out[16] = PAYLOAD_SK;
	out[17] = VERSION_2;
	out[18] = INFORMATIONAL;
	out[19] = flags;
	put32(out + 20, mid);
	put32(out + 24, len);
	out[HEADER] = first;
	put16(out + HEADER + 2, len - HEADER);
}

static gnutls_aead_cipher_hd_t aead_of(const struct sk *k, const struct sk_side *side, const uint8_t *iv, uint8_t nonce[SALT + AEAD_IV])
{
	gnutls_datum_t key = { (void *)side->encr, k->cipher->bits / 8 };
	gnutls_aead_cipher_hd_t h;

	memcpy(nonce, side->encr + key.size, SALT);
	memcpy(nonce + SALT, iv, AEAD_IV);
	return gnutls_aead_cipher_init(&h, k->cipher->cipher, &key) ? NULL : h;
}

/* @len: of what is encrypted; its tag goes behind. */
static bool seal_aead(const struct sk *k, uint8_t *message, uint8_t *text, size_t len)
{
	uint8_t nonce[SALT + AEAD_IV], plain[SK_PAYLOADS + BLOCK];
	gnutls_aead_cipher_hd_t h = aead_of(k, &k->ours, text - AEAD_IV, nonce);
	size_t n = len + AEAD_TAG;
	bool ok;

	memcpy(plain, text, len);
	ok = h && !gnutls_aead_cipher_encrypt(h, nonce, sizeof(nonce), message, HEADER + GENERIC, AEAD_TAG, plain, len, text, &n);
	if (h)
		gnutls_aead_cipher_deinit(h);
	return ok;
}

static bool seal_cbc(const struct sk *k, uint8_t *message, uint8_t *text, size_t len)
{
	gnutls_datum_t key = { (void *)k->ours.encr, k->cipher->bits / 8 }, iv = { text - BLOCK, BLOCK };
	uint8_t tag[HASH_MAX];
	gnutls_cipher_hd_t h;
	bool ok;

	if (gnutls_cipher_init(&h, k->cipher->cipher, &key, &iv))
		return false;
	ok = !gnutls_cipher_encrypt(h, text, len) &&
		!gnutls_hmac_fast(k->mac->mac, k->ours.auth, k->mac->key, message, text + len - message, tag);
	gnutls_cipher_deinit(h);
	if (ok)
		memcpy(text + len, tag, k->mac->tag);
	return ok;
}

size_t sk_request(const struct sk *k, uint32_t mid, uint8_t first, const uint8_t *payloads, size_t len, uint8_t out[SK_MAX])
{
	size_t pad = k->cipher->aead ? 0 : (BLOCK - (len + 1) % BLOCK) % BLOCK, iv = iv_len(k), whole;
	uint8_t *text = out + HEADER + GENERIC + iv;
	bool ok;

	if (len > SK_PAYLOADS || gnutls_rnd(GNUTLS_RND_NONCE, text - iv, iv))
		return 0;
	whole = HEADER + GENERIC + iv + len + pad + 1 + tag_len(k);
	head(k, out, k->id.initiator ? FLAG_INITIATOR : 0, mid, first, whole);
	memcpy(text, payloads, len);
	memset(text + len, 0, pad);
	text[len + pad] = pad;
	ok = k->cipher->aead ? seal_aead(k, out, text, len + pad + 1) : seal_cbc(k, out, text, len + pad + 1);
	return ok ? whole : 0;
}

static bool is_sealed_aead(const struct sk *k, const uint8_t *message, size_t len)
{
	const uint8_t *text = message + HEADER + GENERIC + AEAD_IV;
	uint8_t nonce[SALT + AEAD_IV], plain[SK_MAX];
	gnutls_aead_cipher_hd_t h = aead_of(k, &k->theirs, text - AEAD_IV, nonce);
	size_t n = sizeof(plain);
	bool ok = h && !gnutls_aead_cipher_decrypt(h, nonce, sizeof(nonce), message, HEADER + GENERIC, AEAD_TAG, text, len - (text - message), plain, &n);

	if (h)
		gnutls_aead_cipher_deinit(h);
	return ok;
}

static bool is_sealed_cbc(const struct sk *k, const uint8_t *message, size_t len)
{
	size_t n = len - k->mac->tag;
	uint8_t tag[HASH_MAX];

	return !gnutls_hmac_fast(k->mac->mac, k->theirs.auth, k->mac->key, message, n, tag) &&
		!gnutls_memcmp(tag, message + n, k->mac->tag);
}

bool sk_is_answer(const struct sk *k, uint32_t mid, const uint8_t *message, size_t len)
{
	uint8_t want[HEADER + GENERIC];

	if (len < HEADER + GENERIC + iv_len(k) + 1 + tag_len(k) || len > SK_MAX)
		return false;
	/* What it says is not looked at, so neither is of which payload it is. */
	head(k, want, FLAG_RESPONSE | (k->id.initiator ? 0 : FLAG_INITIATOR), mid, message[HEADER], len);
	want[HEADER + 1] = message[HEADER + 1];
	if (memcmp(want, message, sizeof(want)))
		return false;
	return k->cipher->aead ? is_sealed_aead(k, message, len) : is_sealed_cbc(k, message, len);
}
