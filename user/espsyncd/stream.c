// SPDX-License-Identifier: GPL-2.0-or-later
/* stream: the records of an active node, kept until the peers have them. Pure. See stream.h. */
#include <string.h>

#include "bytes.h"
#include "stream.h"

#define FIRST_CAP	64
#define OVERHEAD	64	/* of a record, so that empty ones are bounded too */

static struct record *slot(const struct stream *s, uint64_t seq)
{
	return &s->ring[seq % s->cap];
}

static void drop_oldest(struct stream *s)
{
	struct record *r = slot(s, s->last - s->n + 1);

	s->size -= r->len + OVERHEAD;
	s->n--;
	secret_free(r->data, r->len);
}

static void grow(struct stream *s)
{
	struct stream bigger = *s;
	uint64_t seq;

	bigger.cap = s->cap ? s->cap * 2 : FIRST_CAP;
	bigger.ring = secret_alloc(bigger.cap * sizeof(*s->ring));
	for (seq = s->last - s->n + 1; s->n && seq <= s->last; seq++)
		*slot(&bigger, seq) = *slot(s, seq);
	secret_free(s->ring, s->cap * sizeof(*s->ring));
	*s = bigger;
}

void stream_init(struct stream *s, size_t max_size)
{
	memset(s, 0, sizeof(*s));
	s->max_size = max_size;
}

void stream_exit(struct stream *s)
{
	while (s->n)
		drop_oldest(s);
	secret_free(s->ring, s->cap * sizeof(*s->ring));
	s->ring = NULL;
	s->cap = 0;
}

void stream_begin(struct stream *s, uint64_t epoch)
{
	stream_exit(s);
	s->epoch = epoch;
	s->last = 0;
}

void stream_add(struct stream *s, const uint8_t *data, size_t len)
{
	struct record *r;

	if (s->n == s->cap)
		grow(s);
	r = slot(s, ++s->last);
	r->data = secret_dup(data, len);
	r->len = len;
	s->n++;
	s->size += len + OVERHEAD;
	while (s->size > s->max_size)
		drop_oldest(s);
}

void stream_forget(struct stream *s, uint64_t seq)
{
	while (s->n && s->last - s->n + 1 <= seq)
		drop_oldest(s);
}

bool stream_has_after(const struct stream *s, uint64_t seq)
{
	return seq <= s->last && s->last - s->n <= seq;
}

const struct record *stream_get(const struct stream *s, uint64_t seq)
{
	if (seq > s->last || seq <= s->last - s->n)
		return NULL;
	return slot(s, seq);
}
