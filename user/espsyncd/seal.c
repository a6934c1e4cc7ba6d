// SPDX-License-Identifier: GPL-2.0-or-later
/* seal: a file that only the cluster's key opens. See seal.h. */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "seal.h"

#define MAGIC		"espsync\001"
#define VERSION_NOW	1
#define LABEL		"espsync context file"
#define LABEL_ID	"espsync context file: key id"
#define LABEL_KEY	"espsync context file: key of "
#define RANDOM		32
#define TAG		16

/* Where things are in the head. */
enum { AT_MAGIC, AT_VERSION = 8, AT_ID = 9, AT_LENGTH = 17, AT_RANDOM = 21, HEAD = AT_RANDOM + RANDOM };

_Static_assert(HEAD + TAG == SEAL_MORE, "the head, and the tag behind");

static int expand(const struct seal *s, const void *label, size_t len, uint8_t *out, size_t n)
{
	gnutls_datum_t prk = { (void *)s->prk, sizeof(s->prk) }, info = { (void *)label, len };

	return gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &prk, &info, out, n);
}

bool seal_init(struct seal *s, const uint8_t key[32])
{
	gnutls_datum_t in = { (void *)key, 32 }, salt = { (void *)LABEL, strlen(LABEL) };
	int r = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &in, &salt, s->prk);

	if (!r)
		r = expand(s, LABEL_ID, strlen(LABEL_ID), s->id, sizeof(s->id));
	if (r)
		log_warn("no key can be derived for files: %s", gnutls_strerror(r));
	return !r;
}

/* With the key of the file that begins with that head. */
static gnutls_aead_cipher_hd_t cipher_of(const struct seal *s, const uint8_t *head)
{
	uint8_t label[sizeof(LABEL_KEY) - 1 + RANDOM], key[32];
	gnutls_datum_t datum = { key, sizeof(key) };
	gnutls_aead_cipher_hd_t h = NULL;

	memcpy(label, LABEL_KEY, sizeof(LABEL_KEY) - 1);
	memcpy(label + sizeof(LABEL_KEY) - 1, head + AT_RANDOM, RANDOM);
	if (expand(s, label, sizeof(label), key, sizeof(key)) || gnutls_aead_cipher_init(&h, GNUTLS_CIPHER_AES_256_GCM, &datum))
		h = NULL;
	explicit_bzero(key, sizeof(key));
	return h;
}

static bool put_head(const struct seal *s, size_t len, struct bytes *file)
{
	uint8_t random[RANDOM];

	if (gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof(random)))
		return false;
	bytes_add(file, MAGIC, AT_VERSION);
	bytes_add_u8(file, VERSION_NOW);
	bytes_add(file, s->id, sizeof(s->id));
	bytes_add_u32(file, RANDOM + len + TAG);
	bytes_add(file, random, sizeof(random));
	return true;
}

bool seal_close(const struct seal *s, const uint8_t *data, size_t len, struct bytes *file)
{
	static const uint8_t nonce[12];	/* the key is used once */
	gnutls_aead_cipher_hd_t h = NULL;
	size_t n = len + TAG;
	uint8_t *to;
	bool ok;

	memset(file, 0, sizeof(*file));
	if (put_head(s, len, file))
		h = cipher_of(s, bytes_at(file));
	to = bytes_room(file, n);
	ok = h && !gnutls_aead_cipher_encrypt(h, nonce, sizeof(nonce), bytes_at(file), HEAD, TAG, data, len, to, &n);
	if (h)
		gnutls_aead_cipher_deinit(h);
	if (ok)
		file->len += n;
	else
		bytes_free(file);
	return ok;
}

static void key_text(char text[17], const uint8_t id[8])
{
	int i;

	for (i = 0; i < 8; i++)
		sprintf(text + 2 * i, "%02x", id[i]);
}

/* What can be said without opening it. Return: whether there is nothing */
static bool check_head(const struct seal *s, const uint8_t *file, size_t len, char error[SEAL_ERROR])
{
	char theirs[17], ours[17];
	size_t whole;

	*error = 0;
	if (len < AT_ID || memcmp(file, MAGIC, AT_VERSION)) {
		snprintf(error, SEAL_ERROR, "it is no file of espsync ike get");
		return false;
	}
	if (file[AT_VERSION] != VERSION_NOW) {
		snprintf(error, SEAL_ERROR, "the file is of version %u, this espsyncd reads version %u: use the release that wrote it", file[AT_VERSION],
			 VERSION_NOW);
		return false;
	}
	whole = len < HEAD ? 0 : AT_RANDOM + (size_t)get_u32(file + AT_LENGTH);
	if (len < SEAL_MORE || len < whole) {
		snprintf(error, SEAL_ERROR, "the file is cut off: get it anew");
		return false;
	}
	if (memcmp(file + AT_ID, s->id, sizeof(s->id))) {
		key_text(theirs, file + AT_ID);
		key_text(ours, s->id);
		snprintf(error, SEAL_ERROR, "the file is of another cluster key: its id is %s, that of this node's is %s", theirs, ours);
		return false;
	}
	return true;
}

bool seal_open(const struct seal *s, const uint8_t *file, size_t len, struct bytes *data, char error[SEAL_ERROR])
{
	static const uint8_t nonce[12];
	gnutls_aead_cipher_hd_t h;
	size_t n;
	bool ok;

	memset(data, 0, sizeof(*data));
	if (!check_head(s, file, len, error))
		return false;
	n = len - SEAL_MORE;
	h = len == AT_RANDOM + (size_t)get_u32(file + AT_LENGTH) ? cipher_of(s, file) : NULL;
	ok = h && !gnutls_aead_cipher_decrypt(h, nonce, sizeof(nonce), file, HEAD, TAG, file + HEAD, n + TAG, bytes_room(data, n + TAG), &n);
	if (h)
		gnutls_aead_cipher_deinit(h);
	if (ok) {
		data->len += n;
		return true;
	}
	bytes_free(data);
	snprintf(error, SEAL_ERROR, "the file was changed, or damaged: get it anew");
	return false;
}
