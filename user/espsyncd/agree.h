/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agree: do two nodes' journals say the same.
 *
 * Room: one number for what a journal says of the IKE SAs that live, and what follows when a peer's is another one. Pure: no I/O, no
 * clock. Numbers can be compared where both journals stand at the same record of the same stream, and only there.
 *
 * The records are numbered and acknowledged, so they differ only through a fault. Then the standby asks for the whole journal; if that
 * has not helped a few times, it is told what differs: the nodes, not the journals.
 */
#ifndef ESPSYNCD_AGREE_H
#define ESPSYNCD_AGREE_H

#include <stdbool.h>
#include <stdint.h>

#include "journal.h"

/* Names, ends and message IDs of the IKE SAs, SPIs of their CHILD SAs; in whatever order they are. */
uint64_t agree_sum(const struct journal *j);

/**
 * struct agree - how often a journal differed from its source's
 * @differs: comparisons in a row
 * @asked: how often it was fetched anew for that
 */
struct agree {
	uint8_t differs;
	uint8_t asked;
};

enum agree_result {
	AGREE_MAYBE,		/* they do, or may at the next look */
	AGREE_FETCH,
	AGREE_NEVER,
};

/* One more comparison. */
enum agree_result agree_compare(struct agree *a, bool equal);

#endif /* ESPSYNCD_AGREE_H */
