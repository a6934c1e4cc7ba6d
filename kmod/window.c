// SPDX-License-Identifier: GPL-2.0
/*
 * window.c - reads and merges the anti-replay windows of xfrm.
 *
 * Job: turn any of xfrm's three shapes (net/xfrm/xfrm_replay.c; the checks are
 * those of RFC 4303, section 3.4.3 and appendix A2) into a value, and merge
 * such a value into any of them, number by number. Here is the rule of the
 * domain (design, I2 and I3): a merge never lowers an edge and never un-sees a
 * number.
 * What may not enter: locks, allocation, xfrm's structs, the wire.
 *
 * The rings of BMP and ESN: number edge - i is kept in bit
 * ((u32)edge - 1 - i) mod size, counted from the edge *as it is now*. Only the
 * low half of the edge takes part, so where the size is not a power of two the
 * whole ring turns when the low half passes from 0 to 1: at the very first
 * number, and at every multiple of 2^32. xfrm does not turn its bits along,
 * and forgets then what it had accepted before. A merge that moves the edge
 * does turn them. What is read is always what xfrm would check at that moment.
 */
#include "window.h"

static u64 low_mask(u32 n)
{
	return (1ULL << n) - 1;
}

/* Mirror the lowest @n (1 to 32) bits of @v: rings run oldest first. */
static u32 mirror(u32 v, u32 n)
{
	v = (v & 0x55555555) << 1 | (v >> 1 & 0x55555555);
	v = (v & 0x33333333) << 2 | (v >> 2 & 0x33333333);
	v = (v & 0x0f0f0f0f) << 4 | (v >> 4 & 0x0f0f0f0f);
	v = (v & 0x00ff00ff) << 8 | (v >> 8 & 0x00ff00ff);
	v = v << 16 | v >> 16;
	return v >> (32 - n);
}

/* The @n (1 to 32) bits from bit @at on, which may lie in two words. */
static u32 bits_get(const u32 *bits, u32 at, u32 n)
{
	u64 two = bits[at / 32];

	if (at % 32 + n > 32)
		two |= (u64)bits[at / 32 + 1] << 32;
	return two >> at % 32 & low_mask(n);
}

static void bits_put(u32 *bits, u32 at, u32 n, u32 v)
{
	u64 mask = low_mask(n) << at % 32;
	u64 two = (u64)v << at % 32;

	bits[at / 32] = (bits[at / 32] & ~(u32)mask) | (u32)two;
	if (at % 32 + n > 32)
		bits[at / 32 + 1] = (bits[at / 32 + 1] & ~(u32)(mask >> 32)) | (u32)(two >> 32);
}

/* One past the ring's bit for the edge @seq: pieces of the ring end there. */
static u32 ring_end(u32 size, u64 seq)
{
	return ((u32)seq - 1) % size + 1;
}

/* Longest piece, newest first, that crosses neither the ring's end nor a word. */
static u32 piece(u32 end, u32 left)
{
	return min_t(u32, min(end, left), 32);
}

static void ring_read(const u32 *ring, u32 size, u64 seq, u32 *out, u32 nbits)
{
	u32 end = ring_end(size, seq);
	u32 i, n;

	for (i = 0; i < nbits; i += n) {
		n = piece(end, nbits - i);
		bits_put(out, i, n, mirror(bits_get(ring, end - n, n), n));
		end = end == n ? size : end - n;
	}
}

static void ring_write(u32 *ring, u32 size, u64 seq, const u32 *in)
{
	u32 end = ring_end(size, seq);
	u32 i, n;

	for (i = 0; i < size; i += n) {
		n = piece(end, size - i);
		bits_put(ring, end - n, n, mirror(bits_get(in, i, n), n));
		end = end == n ? size : end - n;
	}
}

/*
 * Result bits @at to @at + 31 of the first @nbits of @bits moved @shift numbers
 * towards the past, which is where bits go when the edge rises by @shift.
 */
static u32 moved(const u32 *bits, u32 nbits, u32 at, u32 shift)
{
	u32 skip = at < shift ? min(shift - at, (u32)32) : 0;
	u32 from = at + skip - shift;

	if (skip == 32 || from >= nbits)
		return 0;
	return bits_get(bits, from, min(32 - skip, nbits - from)) << skip;
}

/* Those of result bits @at to @at + 31 that are in [@lo, @hi): above the old edge, not sent. */
static u32 untold(u32 at, u32 lo, u32 hi)
{
	u32 from = lo > at ? min(lo - at, (u32)32) : 0;
	u32 to = hi > at ? min(hi - at, (u32)32) : 0;

	return low_mask(to) & ~low_mask(from);
}

/* xfrm_init_replay() sees to it; this file does not rely on that. */
static bool replay_fits(const struct es_replay *r)
{
	return r->size <= ES_WINDOW_MAX && r->size <= r->words * 32;
}

/**
 * es_replay_seq() - the highest number that an SA has accepted
 * @r: where the SA keeps its window
 *
 * Return: the edge of the window, 64 bits where ESN is on.
 */
u64 es_replay_seq(const struct es_replay *r)
{
	u64 hi = r->shape == ES_ESN ? *r->seq_hi : 0;

	return hi << 32 | *r->seq;
}

/**
 * es_window_read() - take an SA's window out as a value
 * @r: where the SA keeps it
 * @w: filled in whole; bits that say nothing are 0
 * @max_bits: give no more than the newest @max_bits
 *
 * Only numbers from 1 on are given, because ESP has no others: a window that
 * has not filled yet reaches below 1 and yields fewer bits than its size. A
 * window of size 0 checks nothing and yields its edge alone.
 *
 * What @max_bits cuts off is lost to a receiver whose edge is already above
 * it: a late packet there goes untold (see es_window_merge()).
 */
void es_window_read(const struct es_replay *r, struct es_window *w, u32 max_bits)
{
	memset(w, 0, sizeof(*w));
	w->seq = es_replay_seq(r);
	if (!replay_fits(r))
		return;

	w->nbits = min_t(u64, min(r->size, max_bits), w->seq);
	if (!w->nbits)
		return;
	if (r->shape == ES_LEGACY)
		w->bits[0] = *r->bits & low_mask(w->nbits);
	else
		ring_read(r->bits, r->size, w->seq, w->bits, w->nbits);
}

/**
 * es_window_all() - a window that has seen every number
 * @w: result
 * @seq: its edge
 */
void es_window_all(struct es_window *w, u64 seq)
{
	w->seq = seq;
	w->nbits = min_t(u64, ES_WINDOW_MAX, seq);
	memset(w->bits, 0xff, sizeof(w->bits));
}

/*
 * Make @own, whose edge and size are the SA's, the union with @w at edge @seq.
 * From the oldest word to the newest, because bits only move that way.
 */
static bool window_unite(struct es_window *own, u32 size, const struct es_window *w, u64 seq)
{
	u32 nbits = min_t(u64, min_t(u32, w->nbits, ES_WINDOW_MAX), w->seq);
	u32 own_shift = min_t(u64, seq - own->seq, size);
	u32 w_shift = min_t(u64, seq - w->seq, size);
	bool changed = seq > own->seq;
	u32 k, at, was;

	for (k = DIV_ROUND_UP(size, 32); k-- > 0; ) {
		at = 32 * k;
		was = own->bits[k];
		own->bits[k] = moved(own->bits, own->nbits, at, own_shift) |
			       moved(w->bits, nbits, at, w_shift) |
			       untold(at, nbits, own_shift);
		own->bits[k] &= low_mask(min(size - at, (u32)32));
		changed |= own->bits[k] != was;
	}
	own->nbits = size;
	own->seq = seq;
	return changed;
}

static void replay_write(const struct es_replay *r, const struct es_window *w)
{
	*r->seq = lower_32_bits(w->seq);
	if (r->shape == ES_ESN)
		*r->seq_hi = upper_32_bits(w->seq);
	if (!r->size)
		return;
	if (r->shape == ES_LEGACY)
		*r->bits = w->bits[0];
	else
		ring_write(r->bits, r->size, w->seq, w->bits);
}

/**
 * es_window_merge() - unite an SA's window with one from elsewhere
 * @r: where the SA keeps its window; written
 * @w: the other window; may hold anything, it is not trusted
 *
 * By number, whatever the two shapes and sizes are. At or below the SA's edge
 * what either has seen is seen. Above it, what @w's bits cover is as they say,
 * and what they do not cover counts as seen: the other node knew, and did not
 * say. An SA with a window of size 0 checks nothing and so cannot keep I3; its
 * edge is raised all the same, so that it can be told to others.
 *
 * Without ESN a number above 2^32 - 1 is none of this SA's: nothing changes.
 *
 * Return: true if the edge rose or a number became seen, so that the SA is
 * worth telling on; false if nothing changed.
 */
bool es_window_merge(const struct es_replay *r, const struct es_window *w)
{
	struct es_window own;

	if (!replay_fits(r) || (r->shape != ES_ESN && w->seq > U32_MAX))
		return false;

	es_window_read(r, &own, r->size);
	if (!window_unite(&own, r->size, w, max(own.seq, w->seq)))
		return false;
	replay_write(r, &own);
	return true;
}

/**
 * es_window_join() - unite two windows that are values
 * @own: the one that grows; an empty one takes over the other
 * @w: the other
 *
 * As es_window_merge(), for an SA that has no state.
 */
void es_window_join(struct es_window *own, const struct es_window *w)
{
	u32 size = min_t(u32, max(own->nbits, w->nbits), ES_WINDOW_MAX);

	window_unite(own, size, w, max(own->seq, w->seq));
}
