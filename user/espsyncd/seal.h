/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal: a file that only the cluster's key opens.
 *
 * Room: its head, the key that is derived for it, and the sentence for each thing that may be wrong with it. Pure but for GnuTLS. What
 * is in it is the caller's business.
 *
 *   magic 8, version u8, key id 8, length of the rest u32, random 32, ciphertext, tag 16
 *
 * AES-256-GCM under a key of its own for each file (HKDF of the cluster key, over its random number), so that no key meets a nonce twice however
 * many there are. All of it is authenticated.
 */
#ifndef ESPSYNCD_SEAL_H
#define ESPSYNCD_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define SEAL_ERROR	160
#define SEAL_MORE	69	/* what a file is longer than what is in it */

/**
 * struct seal - what is kept of the cluster key
 * @prk: derived from it, for files alone
 * @id: public: which key it is
 */
struct seal {
	uint8_t prk[32];
	uint8_t id[8];
};

/* Return: false if GnuTLS refuses, which was logged. */
bool seal_init(struct seal *s, const uint8_t key[32]);

/* Return: false if GnuTLS refuses; then @file is empty. */
bool seal_close(const struct seal *s, const uint8_t *data, size_t len, struct bytes *file);

/**
 * seal_open() - what is in a file
 * @s: of this cluster
 * @file: the file
 * @len: its length
 * @data: result, if it opens
 * @error: one sentence, if it does not
 *
 * Return: whether it opens
 */
bool seal_open(const struct seal *s, const uint8_t *file, size_t len, struct bytes *data, char error[SEAL_ERROR]);

#endif /* ESPSYNCD_SEAL_H */
