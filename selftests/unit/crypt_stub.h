/* SPDX-License-Identifier: GPL-2.0 */
/*
 * crypt_stub.h - primitives with the kernel's calls and none of their strength.
 *
 * Job: let kmod/session.c run in a unit test, fast and with random numbers from
 * a seed. A changed bit, another key, nonce or associated data is found out,
 * as with the real ones, but not by somebody who tries. That the real ones are
 * used rightly is for channel-hostile, which speaks the wire with other code.
 */
#ifndef UNIT_CRYPT_STUB_H
#define UNIT_CRYPT_STUB_H

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "pure.h"

typedef struct {
	u64 h[4];
	u64 n;
	size_t outlen;
} es_blake2s;

static inline void stub_mix(es_blake2s *c, u64 v)
{
	u64 *h = c->h;

	c->n++;
	h[c->n % 4] ^= v + 0x9e3779b97f4a7c15ULL * c->n;
	for (int i = 0; i < 4; i++) {
		h[i] = (h[i] ^ h[(i + 1) % 4] >> 29) * 0xbf58476d1ce4e5b9ULL;
		h[(i + 1) % 4] += h[i] ^ h[i] >> 32;
	}
}

static inline void blake2s_update(es_blake2s *c, const u8 *in, size_t len)
{
	while (len--)
		stub_mix(c, *in++);
}

static inline void blake2s_init_key(es_blake2s *c, size_t outlen, const void *key, size_t keylen)
{
	*c = (es_blake2s){ .h = { 1, 2, 3, outlen }, .outlen = outlen };
	blake2s_update(c, key, keylen);
}

static inline void blake2s_final(es_blake2s *c, u8 *out)
{
	for (size_t i = 0; i < c->outlen; i++) {
		if (i % 8 == 0)
			for (int j = 0; j < 4; j++)
				stub_mix(c, i);
		out[i] = c->h[0] >> i % 8 * 8;
	}
	memset(c, 0, sizeof(*c));
}

static inline void stub_stream(u8 *dst, const u8 *src, size_t len, const u8 *nonce, const u8 *key)
{
	es_blake2s c;

	blake2s_init_key(&c, 0, key, 32);
	blake2s_update(&c, nonce, 24);
	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			stub_mix(&c, i);
		dst[i] = src[i] ^ (u8)(c.h[0] >> i % 8 * 8);
	}
}

static inline void stub_tag(u8 tag[16], const u8 *text, size_t len, const u8 *ad, size_t ad_len,
			    const u8 *nonce, const u8 *key)
{
	es_blake2s c;

	blake2s_init_key(&c, 16, key, 32);
	blake2s_update(&c, nonce, 24);
	blake2s_update(&c, ad, ad_len);
	stub_mix(&c, ad_len);
	blake2s_update(&c, text, len);
	blake2s_final(&c, tag);
}

static inline void xchacha20poly1305_encrypt(u8 *dst, const u8 *src, size_t len, const u8 *ad,
					     size_t ad_len, const u8 *nonce, const u8 *key)
{
	stub_stream(dst, src, len, nonce, key);
	stub_tag(dst + len, dst, len, ad, ad_len, nonce, key);
}

static inline bool xchacha20poly1305_decrypt(u8 *dst, const u8 *src, size_t len, const u8 *ad,
					     size_t ad_len, const u8 *nonce, const u8 *key)
{
	u8 tag[16];

	assert(len >= sizeof(tag));
	len -= sizeof(tag);
	stub_tag(tag, src, len, ad, ad_len, nonce, key);
	if (memcmp(tag, src + len, sizeof(tag)))
		return false;
	stub_stream(dst, src, len, nonce, key);
	return true;
}

/* The test's, so that a seed gives the same run again. */
void get_random_bytes(void *buf, size_t len);

static inline void memzero_explicit(void *p, size_t len)
{
	memset(p, 0, len);
}

static inline u64 stub_get(const u8 *p, int n)
{
	u64 v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static inline void stub_put(u64 v, u8 *p, int n)
{
	for (; n--; v >>= 8)
		p[n] = v;
}

#define get_unaligned_be16(p)		((u16)stub_get((p), 2))
#define get_unaligned_be32(p)		((u32)stub_get((p), 4))
#define get_unaligned_be64(p)		stub_get((p), 8)
#define put_unaligned_be16(v, p)	stub_put((v), (p), 2)
#define put_unaligned_be32(v, p)	stub_put((v), (p), 4)
#define put_unaligned_be64(v, p)	stub_put((v), (p), 8)

#endif /* UNIT_CRYPT_STUB_H */
