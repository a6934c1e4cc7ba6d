// SPDX-License-Identifier: GPL-2.0
/*
 * window.c - kmod/window.c on chosen values: what is stored, read and merged.
 *
 * Job: literal rows that a reader can check by hand, and every pair of edges,
 * sizes and shapes around the places where such code goes wrong: 0, 1, the
 * window's size, 2^32. Random histories are window_random.c's.
 */
// SOURCES: ../../kmod/window.c
#include "ktap.h"
#include "xfrm_window.h"

#define G	(1ULL << 32)	/* the first number of the second subspace */

/* Lists of numbers end with 0, which is no number. */
typedef u64 list[10];

static void put(struct xw *x, enum es_shape shape, u32 size, u64 edge, const u64 *seen)
{
	memset(x, 0, sizeof(*x));
	x->shape = shape;
	x->size = size;
	x->seq = (u32)edge;
	x->seq_hi = edge >> 32;
	for (; *seen; seen++)
		xw_set(x, xw_bit(x, (u32)(edge - *seen)), true);
}

static bool seen_in(const struct es_window *w, u64 number)
{
	u64 i = w->seq - number;

	return i < w->nbits && w->bits[i / 32] >> i % 32 & 1;
}

/* The raw words of xfrm, and what must be read from them. */
static const struct stored {
	const char *what;
	enum es_shape shape;
	u32 size, seq, seq_hi;
	u32 words[4];
	u32 max_bits, nbits;
	u32 bits[4];
} stored[] = {
	{ "legacy: nothing yet", ES_LEGACY, 32, 0, 0, { 0 }, 32, 0, { 0 } },
	{ "legacy: 5 and 3 of 5", ES_LEGACY, 32, 5, 0, { 0x5 }, 32, 5, { 0x5 } },
	{ "legacy: bits below number 1 are nothing", ES_LEGACY, 32, 2, 0, { ~0U }, 32, 2, { 0x3 } },
	{ "legacy: bits beyond the size are nothing", ES_LEGACY, 5, 90, 0, { ~0U }, 32, 5, { 0x1f } },
	{ "legacy: cut", ES_LEGACY, 32, 90, 0, { 0x80000105 }, 8, 8, { 0x05 } },
	{ "legacy: high half is not looked at", ES_LEGACY, 32, 9, 7, { 1 }, 32, 9, { 1 } },
	{ "no window: the edge alone", ES_LEGACY, 0, 77, 0, { ~0U }, 32, 0, { 0 } },
	{ "bmp: 1 is the ring's first bit", ES_BMP, 64, 1, 0, { 0x1 }, 64, 1, { 0x1 } },
	{ "bmp: 5 and 2", ES_BMP, 64, 5, 0, { 0x12 }, 64, 5, { 0x9 } },
	{ "bmp: round the ring's end", ES_BMP, 64, 65, 0, { 0x1, 0x80000000 }, 64, 64, { 0x3 } },
	{ "bmp: oldest is the next one up", ES_BMP, 64, 65, 0, { 0x3 }, 64, 64, { 0x1, 0x80000000 } },
	{ "bmp: size 100, round its end", ES_BMP, 100, 101, 0, { 1, 0, 0, 0x8 }, 100, 100, { 0x3 } },
	{ "bmp: high half is not looked at", ES_BMP, 64, 5, 3, { 0x10 }, 64, 5, { 0x1 } },
	{ "esn: high half counts", ES_ESN, 64, 5, 3, { 0x10 }, 64, 64, { 0x1 } },
	{ "esn: 2^32 sits in the ring's last bit", ES_ESN, 64, 0, 1, { 0, 0x80000000 }, 64, 64, { 0x1 } },
	{ "esn: 2^32 + 1 and 2^32 - 1", ES_ESN, 64, 1, 1, { 0x1, 0x40000000 }, 64, 64, { 0x5 } },
	/* (2^32 - 1) mod 100 is 95: at edge 2^32 xfrm looks there ... */
	{ "esn: size 100 at 2^32", ES_ESN, 100, 0, 1, { 0, 0, 0x80000000, 0 }, 100, 100, { 0x1 } },
	/* ... and one further it looks at bit 0 and takes 99 for its neighbour */
	{ "esn: size 100 at 2^32 + 1", ES_ESN, 100, 1, 1, { 0x1, 0, 0, 0x8 }, 100, 100, { 0x3 } },
};

static bool reads_what_is_stored(void)
{
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(stored); i++) {
		const struct stored *s = &stored[i];
		struct xw x = { s->shape, s->size, s->seq, s->seq_hi, { 0 } };
		struct es_replay r = xw_view(&x);
		struct es_window w, want = { .nbits = s->nbits };

		memcpy(x.bits, s->words, sizeof(s->words));
		memcpy(want.bits, s->bits, sizeof(s->bits));
		want.seq = xw_edge(&x);
		memset(&w, 0xff, sizeof(w));
		es_window_read(&r, &w, s->max_bits);
		if (es_replay_seq(&r) == want.seq && w.seq == want.seq &&
		    w.nbits == want.nbits && !memcmp(w.bits, want.bits, sizeof(w.bits)))
			continue;
		ktap_diag("%s: seq %llu nbits %u bits %08x %08x", s->what, w.seq, w.nbits,
			  w.bits[0], w.bits[1]);
		ok = false;
	}
	return ok;
}

/* One merge: an SA, what arrives, and what is so afterwards. */
static const struct merge {
	const char *what;
	enum es_shape shape;
	u32 size;
	u64 own;
	list own_seen;
	u64 edge;
	u32 nbits;
	list seen;
	bool changes;
	u64 after;
	list refused, accepted;
} merges[] = {
	{ "nothing to nothing", ES_LEGACY, 32, 0, {}, 0, 0, {}, false, 0, {}, { 1, 2 } },
	{ "first number", ES_LEGACY, 32, 0, {}, 1, 1, { 1 }, true, 1, { 1 }, { 2 } },
	{ "covered above the edge: as told", ES_LEGACY, 32, 10, { 10 }, 14, 8, { 14, 12 }, true, 14,
	  { 10, 12, 14 }, { 9, 11, 13, 15 } },
	{ "uncovered above the edge: seen", ES_LEGACY, 32, 10, { 10 }, 14, 2, { 14 }, true, 14,
	  { 10, 11, 12, 14 }, { 9, 13, 15 } },
	{ "uncovered below the edge: as it was", ES_LEGACY, 32, 10, { 10, 8 }, 10, 1, { 10 }, false, 10,
	  { 8, 10 }, { 9, 11 } },
	{ "an older edge adds its bits", ES_LEGACY, 32, 20, { 20 }, 15, 15, { 15, 14, 1 }, true, 20,
	  { 1, 14, 15, 20 }, { 2, 13, 16, 19, 21 } },
	{ "an older edge never lowers", ES_LEGACY, 32, 20, { 20 }, 15, 0, {}, false, 20,
	  { 20 }, { 15, 16, 21 } },
	{ "own bits survive a rise", ES_LEGACY, 32, 20, { 20, 19, 1 }, 22, 22, { 22 }, true, 22,
	  { 1, 19, 20, 22 }, { 2, 18, 21, 23 } },
	{ "a rise past the whole window", ES_LEGACY, 32, 20, { 20 }, 500, 32, { 500, 470 }, true, 500,
	  { 20, 468, 470, 500 }, { 469, 499, 501 } },
	{ "the same, and nothing told", ES_LEGACY, 32, 20, { 20 }, 500, 0, {}, true, 500,
	  { 20, 468, 470, 499, 500 }, { 501 } },
	{ "an older edge below the window", ES_LEGACY, 32, 500, { 500 }, 468, 32, { 468, 440 }, false, 500,
	  { 468, 440, 500 }, { 469, 499 } },
	{ "bits below number 1 are not believed", ES_LEGACY, 32, 0, {}, 2, 32, { 2 }, true, 2,
	  { 2 }, { 1, 3, 33 } },
	{ "legacy up to its last number", ES_LEGACY, 32, 9, { 9 }, G - 1, 32, { G - 1 }, true, G - 1,
	  { 9, G - 1 }, { G - 2 } },
	{ "legacy beyond it: refused", ES_LEGACY, 32, 9, { 9 }, G, 32, { G }, false, 9, { 9 }, { 10 } },
	{ "bmp beyond its last number: refused", ES_BMP, 64, 9, { 9 }, G + 8, 32, { G }, false, 9, { 9 }, { 10 } },
	{ "bmp, uncovered", ES_BMP, 64, 60, { 60, 59, 1 }, 70, 3, { 70, 69 }, true, 70,
	  { 6, 59, 60, 61, 67, 69, 70 }, { 7, 58, 68, 71 } },
	{ "bmp of 100 from empty", ES_BMP, 100, 0, {}, 3, 3, { 3, 1 }, true, 3, { 1, 3 }, { 2, 4 } },
	{ "esn over 2^32", ES_ESN, 64, G - 2, { G - 2, G - 5 }, G + 2, 5, { G + 2, G }, true, G + 2,
	  { G - 5, G - 2, G, G + 2 }, { G - 4, G - 3, G - 1, G + 1, G + 3 } },
	{ "esn of 100 over 2^32", ES_ESN, 100, G - 2, { G - 2, G - 5 }, G + 2, 5, { G + 2, G }, true, G + 2,
	  { G - 5, G - 2, G, G + 2 }, { G - 4, G - 3, G - 1, G + 1, G + 3 } },
	{ "esn, older edge across 2^32", ES_ESN, 64, G + 5, { G + 5 }, G - 1, 20, { G - 1, G - 9 }, true, G + 5,
	  { G - 1, G - 9, G + 5 }, { G - 2, G, G + 4 } },
	{ "esn, same low half, older high one", ES_ESN, 64, 2 * G + 5, { 2 * G + 5 }, G + 5, 20, { G + 4 }, false,
	  2 * G + 5, { 2 * G + 5 }, { 2 * G + 4 } },
	{ "esn, rise by more than 2^32", ES_ESN, 64, 7, { 7 }, 3 * G + 7, 64, { 3 * G + 7 }, true, 3 * G + 7,
	  { 7, 3 * G + 7 }, { 3 * G + 6 } },
	{ "no window: the edge rises", ES_LEGACY, 0, 5, {}, 9, 9, { 9 }, true, 9, {}, { 5, 9 } },
	{ "no window: and never falls", ES_LEGACY, 0, 5, {}, 4, 4, { 4 }, false, 5, {}, { 5 } },
};

static bool merges_by_number(void)
{
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		const struct merge *m = &merges[i];
		struct es_window w = { .seq = m->edge, .nbits = m->nbits };
		bool changed, good;
		struct es_replay r;
		struct xw x;

		put(&x, m->shape, m->size, m->own, m->own_seen);
		r = xw_view(&x);
		for (const u64 *n = m->seen; *n; n++)
			w.bits[(m->edge - *n) / 32] |= 1U << (m->edge - *n) % 32;
		if (m->edge < m->nbits) /* bits that stand for no number are set too */
			w.bits[m->edge / 32] |= ~0U << m->edge % 32;

		changed = es_window_merge(&r, &w);
		good = changed == m->changes && xw_edge(&x) == m->after;
		for (const u64 *n = m->refused; *n; n++)
			good &= !xw_accepts(&x, *n);
		for (const u64 *n = m->accepted; *n; n++)
			good &= xw_accepts(&x, *n);
		good &= !es_window_merge(&r, &w); /* twice is once: nodes tell on what changed */
		if (good)
			continue;
		ktap_diag("%s: changed %d edge %llu bits %08x %08x", m->what, changed, xw_edge(&x),
			  x.bits[0], x.bits[1]);
		ok = false;
	}
	return ok;
}

/* Every edge that an off-by-one could sit at, for a window of this size. */
static size_t edges_of(u32 size, u64 *edges)
{
	const u64 all[] = {
		0, 1, 2, size - 1, size, size + 1, 2 * size + 7, G - 2 * size, G - size, G - size / 2,
		G - 1, G, G + 1, G + size / 2, G + size - 1, G + size, 2 * G - 1, 2 * G + 3, U64_MAX - 5000,
	};

	memcpy(edges, all, sizeof(all));
	return ARRAY_SIZE(all);
}

/* What the rule says of one number; was: what the SA held before. */
static bool must_refuse(const struct xw *was, const struct es_window *w, u64 number)
{
	u64 old = xw_edge(was), edge = max(old, w->seq);

	if (number > edge)
		return false;
	if (edge - number >= was->size)
		return true;
	if (number <= old && !xw_accepts(was, number))
		return true;
	if (number > w->seq)
		return false;
	return w->seq - number < w->nbits ? seen_in(w, number) : number > old;
}

static bool merge_obeys(const struct xw *was, const struct es_window *w)
{
	bool fits = was->shape == ES_ESN || w->seq <= U32_MAX;
	u64 edge = max(xw_edge(was), w->seq), number;
	struct xw x = *was;
	struct es_replay r = xw_view(&x);
	bool changed = es_window_merge(&r, w);

	if (!fits)
		return !changed && !memcmp(&x, was, sizeof(x));
	if (xw_edge(&x) != edge || (!changed && memcmp(&x, was, sizeof(x))))
		return false;
	for (number = edge > was->size + 40 ? edge - was->size - 40 : 1; number <= edge + 3; number++)
		if (xw_accepts(&x, number) == must_refuse(was, w, number) &&
		    (was->shape == ES_ESN || number <= U32_MAX)) {
			ktap_diag("shape %d size %u edge %llu <- edge %llu nbits %u: number %llu %s",
				  was->shape, was->size, xw_edge(was), w->seq, w->nbits, number,
				  xw_accepts(&x, number) ? "accepted" : "refused");
			return false;
		}
	return !es_window_merge(&r, w); /* a second time changes nothing */
}

static void pattern(struct xw *x, enum es_shape shape, u32 size, u64 edge, u32 step)
{
	put(x, shape, size, edge, (list){ 0 });
	for (u32 i = 0; i < size && i < edge; i += 1 + i * step % 5)
		xw_set(x, xw_bit(x, i), true);
}

static bool pair_obeys(enum es_shape shape, u32 size, u64 edge, const struct xw *from)
{
	static const u32 cuts[] = { 0, 1, 5, 31, 32, 33, 100, ES_WINDOW_MAX };
	struct xw sender = *from, was;
	struct es_replay r = xw_view(&sender);
	struct es_window w;

	pattern(&was, shape, size, edge, 3);
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		es_window_read(&r, &w, cuts[i]);
		ktap_expect(w.nbits == min_t(u64, min(cuts[i], from->size), w.seq));
		for (u64 n = w.seq - w.nbits + 1; n <= w.seq; n++)
			ktap_expect(seen_in(&w, n) == !xw_accepts(from, n));
		ktap_expect(merge_obeys(&was, &w));
	}
	return true;
}

static const struct kind {
	enum es_shape shape;
	u32 size;
} kinds[] = {
	{ ES_LEGACY, 32 }, { ES_LEGACY, 7 }, { ES_LEGACY, 1 }, { ES_BMP, 1 }, { ES_BMP, 33 }, { ES_BMP, 64 },
	{ ES_BMP, 100 }, { ES_ESN, 1 }, { ES_ESN, 31 }, { ES_ESN, 64 }, { ES_ESN, 100 },
};

static bool every_edge_into_every_other(void)
{
	u64 from[32], to[32];

	for (size_t a = 0; a < ARRAY_SIZE(kinds); a++)
	for (size_t b = 0; b < ARRAY_SIZE(kinds); b++) {
		size_t nfrom = edges_of(kinds[a].size, from), nto = edges_of(kinds[b].size, to);

		for (size_t i = 0; i < nfrom; i++)
		for (size_t j = 0; j < nto; j++) {
			struct xw x;

			if ((kinds[a].shape != ES_ESN && from[i] > U32_MAX) ||
			    (kinds[b].shape != ES_ESN && to[j] > U32_MAX))
				continue;
			pattern(&x, kinds[a].shape, kinds[a].size, from[i], 2);
			ktap_expect(pair_obeys(kinds[b].shape, kinds[b].size, to[j], &x));
		}
	}
	return true;
}

static bool largest_windows(void)
{
	static const u64 edges[] = { 0, 1, 31, 4095, 4096, 4097, 9000, G - 2048, G - 1, G, G + 1, G + 2048, G + 9000 };
	struct xw x;

	for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
	for (size_t j = 0; j < ARRAY_SIZE(edges); j++) {
		pattern(&x, ES_ESN, ES_WINDOW_MAX, edges[i], 2);
		ktap_expect(pair_obeys(ES_ESN, ES_WINDOW_MAX, edges[j], &x));
		ktap_expect(pair_obeys(ES_ESN, ES_WINDOW_MAX - 1, edges[j], &x));
	}
	return true;
}

/* What no honest node sends, and what xfrm never stores. */
static bool nonsense_is_survived(void)
{
	u32 seq = 7, seq_hi = 0, bits[2] = { 1, 2 };
	struct es_replay r = { ES_ESN, 65, &seq, &seq_hi, bits, 2 };
	struct es_window w;
	struct xw x;

	memset(&w, 0xff, sizeof(w)); /* edge, count and bits all ones */
	pattern(&x, ES_ESN, 64, 9, 2);
	r = xw_view(&x);
	ktap_expect(es_window_merge(&r, &w));
	ktap_expect(xw_edge(&x) == U64_MAX);

	r = (struct es_replay) { ES_ESN, 65, &seq, &seq_hi, bits, 2 }; /* more numbers than bits */
	w = (struct es_window) { .seq = 100, .nbits = 64 };
	ktap_expect(!es_window_merge(&r, &w));
	ktap_expect(seq == 7 && bits[0] == 1 && bits[1] == 2);
	es_window_read(&r, &w, 64);
	ktap_expect(w.seq == 7 && !w.nbits);
	return true;
}

static const struct ktap_case cases[] = {
	{ "read: the bits that xfrm checks, in all shapes", reads_what_is_stored },
	{ "merge: row by row", merges_by_number },
	{ "merge: every edge into every other, all shapes and cuts", every_edge_into_every_other },
	{ "merge: 4096 numbers", largest_windows },
	{ "hostile or impossible values change nothing they should not", nonsense_is_survived },
};

KTAP_MAIN(cases)
