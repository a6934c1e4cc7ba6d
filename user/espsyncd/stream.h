/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream: the records of an active node, kept until the peers have them.
 *
 * Room: numbering, keeping, forgetting. Pure: no I/O. Bounded: the oldest go first, and a peer that still needed them gets the
 * whole journal instead.
 */
#ifndef ESPSYNCD_STREAM_H
#define ESPSYNCD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record {
	uint8_t *data;
	size_t len;
};

/**
 * struct stream - the records
 * @epoch: names this stream; 0 if there is none
 * @last: number of the newest record ever, 0 if there was none; the first is 1
 * @size: memory taken by messages
 * @max_size: limit for @size
 * @ring: the newest @n records, number i at i % @cap
 * @cap: slots in @ring, a power of two
 * @n: records kept
 */
struct stream {
	uint64_t epoch;
	uint64_t last;
	size_t size;
	size_t max_size;
	struct record *ring;
	size_t cap;
	size_t n;
};

void stream_init(struct stream *s, size_t max_size);
void stream_exit(struct stream *s);

/* Forget everything and begin anew under a new name. */
void stream_begin(struct stream *s, uint64_t epoch);

void stream_add(struct stream *s, const uint8_t *data, size_t len);

/* All peers have taken everything up to @seq. */
void stream_forget(struct stream *s, uint64_t seq);

/* Can a peer that has taken everything up to @seq go on? */
bool stream_has_after(const struct stream *s, uint64_t seq);

/* Record number @seq, or NULL if it is not kept. */
const struct record *stream_get(const struct stream *s, uint64_t seq);

#endif /* ESPSYNCD_STREAM_H */
