/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sk: what goes under an IKE SA's keys (RFC 7296 3.14): one request that charon has no words for, and whether it was answered.
 *
 * Room: the keys of an IKE SA, from what charon has told of it (2.14, 2.18), and INFORMATIONAL messages under them. Pure but for GnuTLS. What
 * such a message is to say, and how it gets there, are others' business.
 */
#ifndef ESPSYNCD_SK_H
#define ESPSYNCD_SK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal.h"

#define SK_MAX		1024	/* of a message */
#define SK_PAYLOADS	768	/* of what is in it */
#define SK_KEY		64	/* of any one key */
#define SK_WHY		160

struct sk_cipher;
struct sk_mac;

/**
 * struct sk_side - what one end's messages are sealed with
 * @auth: SK_ai or SK_ar; none with an AEAD
 * @encr: SK_ei or SK_er, an AEAD's salt behind it
 */
struct sk_side {
	uint8_t auth[SK_KEY];
	uint8_t encr[SK_KEY];
};

/**
 * struct sk - of an IKE SA; sk_wipe() ends it
 * @id: which one
 * @cipher: how it encrypts
 * @mac: how it authenticates; NULL with an AEAD
 * @ours: what this gateway's messages are sealed with
 * @theirs: the same of the far end
 */
struct sk {
	struct ike_id id;
	const struct sk_cipher *cipher;
	const struct sk_mac *mac;
	struct sk_side ours;
	struct sk_side theirs;
};

/**
 * sk_derive() - the keys of an IKE SA
 * @k: filled
 * @sa: it
 * @why: one sentence, if they cannot be derived here
 *
 * Return: whether they are there
 */
bool sk_derive(struct sk *k, const struct journal_sa *sa, char why[SK_WHY]);

void sk_wipe(struct sk *k);

/**
 * sk_request() - an INFORMATIONAL request of this gateway
 * @k: keys
 * @mid: message ID
 * @first: type of its first payload
 * @payloads: them
 * @len: their length, SK_PAYLOADS at most
 * @out: the message, from its IKE header on
 *
 * Return: length of @out, or 0 if GnuTLS refuses
 */
size_t sk_request(const struct sk *k, uint32_t mid, uint8_t first, const uint8_t *payloads, size_t len, uint8_t out[SK_MAX]);

/**
 * sk_is_answer() - has the far end answered
 * @k: keys
 * @mid: message ID of the request
 * @message: what came, from its IKE header on
 * @len: its length
 *
 * Return: whether it is that answer, and from nobody else
 */
bool sk_is_answer(const struct sk *k, uint32_t mid, const uint8_t *message, size_t len);

#endif /* ESPSYNCD_SK_H */
