/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parcel: what helpers say to each other of a VPN that moves.
 *
 * Room: which questions there are, cutting one into frames and putting it together again, and how long one may be. Who asks is move's business,
 * who answers ferry's.
 */
#ifndef ESPSYNCD_PARCEL_H
#define ESPSYNCD_PARCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "link.h"

#define PARCEL_FRAME	14	/* id u32, kind u8, how much of it is still to come u32, a piece of it. Frames are named in relay_priv.h */
#define PARCEL_MAX	(1 << 20)
#define PARCEL_UNKNOWN	255	/* answered in the place of an exit code: nobody can say what has become of it */

enum parcel_kind {
	PARCEL_TRY = 1,	/* a context: would it be taken? */
	PARCEL_TAKE,	/* a context: take it */
	PARCEL_HAS,	/* a context: was it taken? */
	PARCEL_ANSWER,	/* exit code u8, a sentence; of 1 to the first two, before it: an SPI that is another's there, and a blank */
	PARCEL_FETCH,	/* the SPIs of an IKE SA: its far end's packets come to this node, move it here. Not answered */
	__PARCEL_MAX,
};

/**
 * struct parcel - what has come
 * @peer: from whom
 * @id: its number there; an answer has that of its question
 * @kind: what it is
 * @data: the caller's only until the call returns
 * @len: of @data
 */
struct parcel {
	unsigned int peer;
	uint32_t id;
	enum parcel_kind kind;
	const uint8_t *data;
	size_t len;
};

struct parcels;

struct parcels *parcels_alloc(const struct config *c, struct links *l, void (*arrived)(void *ctx, const struct parcel *p), void *ctx);
void parcels_free(struct parcels *ps);

/* A peer said that it takes our frames; it may say so again. */
void parcels_listens(struct parcels *ps, unsigned int peer);
void parcels_peer_down(struct parcels *ps, unsigned int peer);
bool parcels_can(const struct parcels *ps, unsigned int peer);

/* What does not leave because the peer is gone is lost. @len: PARCEL_MAX at most. */
void parcels_send(struct parcels *ps, unsigned int peer, uint32_t id, enum parcel_kind kind, const void *data, size_t len);

/* Return: false if it is none */
bool parcels_frame(struct parcels *ps, unsigned int peer, const uint8_t *data, size_t len);

#endif /* ESPSYNCD_PARCEL_H */
