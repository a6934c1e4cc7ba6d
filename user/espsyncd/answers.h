/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * answers: what another node's charon has answered to far ends, packet by packet.
 *
 * Room: the newest such packets, and which of them answer a request. Pure: no I/O. They are as they go over the wire, so whoever has them
 * knows no more than whoever listens there.
 *
 * A request is carried out once (RFC 7296 2.1): whoever asks again gets the answer that was made for it. The next owner's charon cannot
 * make it, having been told of the outcome only.
 */
#ifndef ESPSYNCD_ANSWERS_H
#define ESPSYNCD_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ikehdr.h"

#define ANSWERS_MAX	4096	/* who asks again does so within a second or some, and most never have to */
#define ANSWERS_LEN	2048	/* of a packet; charon sends longer ones in fragments */
#define ANSWERS_FRESH_MS 10000	/* whoever has not got one by then has asked again */
#define ANSWERS_AGAIN	8	/* anybody can say what the header of a request says; who has not got it by then never will */

struct answers;

/**
 * typedef answers_each - takes an answer's packet
 * @ctx: the caller's
 * @to: the request that it answers
 * @packet: the packet
 * @len: length of @packet
 */
typedef void (*answers_each)(void *ctx, const struct ike_request *to, const uint8_t *packet, size_t len);

struct answers *answers_alloc(void);
void answers_free(struct answers *a);

/* Anything but an answer is passed over; @now: milliseconds. The oldest one goes when there are too many. */
void answers_keep(struct answers *a, const uint8_t *packet, size_t len, uint64_t now);

/**
 * answers_again() - a far end asks for what was answered
 * @a: the answers
 * @q: the request
 * @each: takes each packet, in their order: a long answer has several. Not for ever: ANSWERS_AGAIN
 * @ctx: for @each
 *
 * Return: how often it has asked now; 0 if that was not answered, or to other ends than these
 */
unsigned int answers_again(struct answers *a, const struct ike_request *q, answers_each each, void *ctx);

/**
 * answers_fresh() - what may have died with the charon that made it
 * @a: the answers
 * @now: milliseconds
 * @each: takes each packet of the last ANSWERS_FRESH_MS, in their order
 * @ctx: for @each
 */
void answers_fresh(const struct answers *a, uint64_t now, answers_each each, void *ctx);

#endif /* ESPSYNCD_ANSWERS_H */
