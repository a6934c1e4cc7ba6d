/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suspects: differences between what should be and what is, from one look to the next.
 *
 * Room: how often a difference was seen in a row, how often it was mended, and whether it is to be mended now. Pure: no I/O, time is
 * passed in; what a difference is about, and how it is mended, is the caller's business.
 *
 * Once it may be a message that is on its way, so it counts when it is seen again. Mending that does not help is not gone on with:
 * after SUSPECTS_TRIES somebody has to be told instead. One that comes back within minutes has not been mended.
 */
#ifndef ESPSYNCD_SUSPECTS_H
#define ESPSYNCD_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "codec.h"

#define SUSPECTS_TRIES	3

/**
 * struct suspects - those of one comparison that is made again and again
 * @before: struct suspect, of the last look, sorted
 * @now: of this one
 * @gap_ms: what one mending is given to show
 */
struct suspects {
	struct bytes before;
	struct bytes now;
	uint32_t gap_ms;
};

enum verdict {
	SUSPECT_NEW,		/* it was not seen before */
	SUSPECT_IGNORED,
	SUSPECT_WAIT,		/* it is being mended */
	SUSPECT_MEND,
	SUSPECT_GIVE_UP,	/* mending has not helped: said once */
	SUSPECT_GIVEN_UP,	/* ... and ever after */
};

/**
 * suspects_see() - there is a difference
 * @s: the suspects
 * @kind: of the difference, the caller's number
 * @id: the IKE SA that it is about; all zero: none
 * @spi: what of it; 0: all
 * @now: milliseconds
 * @at_once: nothing can be on its way
 *
 * Return: what is to be done
 */
enum verdict suspects_see(struct suspects *s, uint8_t kind, const struct ike_id *id, uint32_t spi, uint64_t now, bool at_once);

/* The one that was seen last is mended, but only in so long: it shows later, too. */
void suspects_later(struct suspects *s, uint32_t ms);

/* The one that was seen last is none, for as long as it is seen. */
void suspects_ignore(struct suspects *s);

/* This look is over. */
void suspects_end(struct suspects *s, uint64_t now);

/* All is different now: nothing is suspected, and whatever was given up is tried again. */
void suspects_forget(struct suspects *s);

#endif /* ESPSYNCD_SUSPECTS_H */
