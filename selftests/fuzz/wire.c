// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../kmod/wire.c ../../kmod/window.c
/*
 * wire.c - the content of a datagram of the channel, as a peer with the key may send it.
 *
 * Job: read it as kmod/rx.c does. What was read must be written back to the very bytes that it came from, must not fit into one
 * byte less, and a window that was read must do no harm to whom it is merged into: no edge falls, no number becomes unseen.
 */
#include "fuzz.h"
#include "wire.h"

#define WORDS	(ES_WINDOW_MAX / 32)
#define HEAD	44	/* bytes of this version's head */
#define MORE	38	/* where it says how many of them older versions do not know */

/* An SA's replay state of each shape. */
static u32 seq, seq_hi, ring[WORDS];
static struct es_window joined;

static bool seen(const struct es_window *w, u64 number)
{
	u64 i = w->seq - number;

	return i < w->nbits && w->bits[i / 32] >> i % 32 & 1;
}

/* @after is as high as @before, and has seen what @before had where it still looks. */
static void judge(const struct es_window *before, const struct es_window *after)
{
	must(after->seq >= before->seq);
	for (u64 i = 0; i < before->nbits; i++) {
		u64 number = before->seq - i;

		if (after->seq - number >= after->nbits)
			break;
		must(!seen(before, number) || seen(after, number));
	}
}

static void merge(const struct es_window *w, enum es_shape shape, u32 size, u64 edge)
{
	struct es_replay r = {
		.shape = shape, .size = size, .seq = &seq, .seq_hi = &seq_hi, .bits = ring, .words = shape == ES_LEGACY ? 1 : WORDS,
	};
	struct es_window before, after;
	bool changed;

	seq = edge;
	seq_hi = shape == ES_ESN ? edge >> 32 : 0;
	for (u32 i = 0; i < WORDS; i++)
		ring[i] = (edge + i) * 2654435761u;
	es_window_read(&r, &before, size);
	changed = es_window_merge(&r, w);
	es_window_read(&r, &after, size);
	judge(&before, &after);
	must(changed || (after.seq == before.seq && !memcmp(after.bits, before.bits, sizeof(after.bits))));
	must(!changed || after.seq == before.seq || after.seq == w->seq);
	must(!es_window_merge(&r, w));
}

static void windows(const struct es_window *w, const struct es_wire_head *h)
{
	struct es_window before = joined;

	must(w->nbits <= ES_WINDOW_MAX);
	merge(w, ES_LEGACY, h->hold_us % 33, h->ts);
	merge(w, ES_BMP, h->hold_us % (ES_WINDOW_MAX + 1), h->ts);
	merge(w, ES_ESN, h->hold_us % (ES_WINDOW_MAX + 1), h->ts);
	es_window_join(&joined, w);
	judge(&before, &joined);
}

/* @n bytes at @from were read: written again they must be the same. */
#define written_back(put, value, from, n) do {					\
	u8 *room = malloc(n);							\
	struct es_cursor w = { .p = room, .end = room + (n) };			\
										\
	put(&w, value);								\
	must(!w.bad && w.p == w.end && !memcmp(room, from, n));			\
	w = (struct es_cursor){ .p = room, .end = room + (n) - 1 };		\
	put(&w, value);								\
	must(w.p <= w.end);							\
	free(room);								\
} while (0)

static void records(struct es_cursor *c, const struct es_wire_head *h)
{
	static struct es_wire_rec rec;	/* one for all, as in the module */
	u8 *from = c->p;
	enum es_wire_got got;

	memset(&joined, 0, sizeof(joined));
	while ((got = es_wire_get_rec(c, &rec)) > ES_WIRE_NO_MORE) {
		must(c->p > from && c->p <= c->end && rec.type != ES_WIRE_END);
		must((got == ES_WIRE_RECORD) == (rec.type <= ES_WIRE_PACKET));
		if (got == ES_WIRE_RECORD)
			written_back(es_wire_put_rec, &rec, from, (size_t)(c->p - from));
		if (rec.type == ES_WIRE_IN)
			windows(&rec.win, h);
		from = c->p;
	}
	must(got == ES_WIRE_MALFORMED || c->p == c->end || c->p[-1] == ES_WIRE_END);
	must(c->p <= c->end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *copy = exact(data, size), *from = copy;
	struct es_cursor c = { .p = copy, .end = copy + size };
	struct es_wire_group g;
	struct es_wire_head h;
	bool good = es_wire_get_head(&c, &h);

	must(!good || h.ngroups <= ES_WIRE_MAX_GROUPS);
	if (good && c.p - from == HEAD && copy[MORE] == 4)	/* one of this version */
		written_back(es_wire_put_head, &h, from, (size_t)(c.p - from));
	for (u8 i = 0; good && i < h.ngroups; i++) {
		from = c.p;
		good = es_wire_get_group(&c, &h, &g);
		if (good && !h.group_more)
			written_back(es_wire_put_group, &g, from, (size_t)(c.p - from));
	}
	if (good)
		records(&c, &h);
	free(copy);
	return 0;
}
