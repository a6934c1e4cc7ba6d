// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../kmod/wire.c
/*
 * wire.c - kmod/wire.c: what is written is read, what is cut or strange is refused.
 *
 * Job: the bytes of each part once, literally, for two nodes of different
 * releases must agree on them; then random values there and back, each length
 * cut, and random bytes. Every text stands at the end of its array, so that a
 * read behind it is one behind the array, which the sanitizers see.
 *
 * UNIT_SEED=N repeats a run, UNIT_ROUNDS=N makes it longer.
 */
#include "ktap.h"
#include "random.h"
#include "wire.h"

#define ROOM	(64 + 2 * ES_WINDOW_MAX / 8)

static u8 room[ROOM];

/* The last @len bytes of the room. */
static struct es_cursor last(size_t len)
{
	return (struct es_cursor){ .p = room + ROOM - len, .end = room + ROOM };
}

static const struct es_wire_head a_head = {
	.ts = 0x0102030405060708ULL, .echo = 2, .hold_us = 3, .ack_seq = 4, .ack_bits = 0x8000000000000005ULL, .links = 3,
	.interval_us = 0x01020304, .ngroups = 1,
};

static const u8 head_bytes[] = {
	1, 2, 3, 4, 5, 6, 7, 8,		0, 0, 0, 0, 0, 0, 0, 2,		0, 0, 0, 3,
	0, 0, 0, 0, 0, 0, 0, 4,		0x80, 0, 0, 0, 0, 0, 0, 5,	3,	1,	4,	0,
	1, 2, 3, 4,
};

static const struct es_wire_group a_group = {
	.id = 0x0102, .role = ES_ROLE_CLAIM, .flags = ES_GROUP_IN | ES_GROUP_HELPER, .node = 7, .epoch = 8, .waiting = 9,
	.mismatched = 10, .evict_ms = 5000,
};

static const u8 group_bytes[] = {
	1, 2,	3,	0x11,	7,	0, 0, 0, 0, 0, 0, 0, 8,	0, 0, 0, 9,	0, 0, 0, 10,	0, 0, 0x13, 0x88,
};

static const struct row {
	struct es_wire_rec r;
	size_t len;
	u8 bytes[64];
} rows[] = {
	{ { .type = ES_WIRE_NAME, .handle = 1, .flags = ES_NAME_HELD, .proto = 50, .dir = 2, .family = 2, .group = 3,
	    .spi = 0xc0ffee01, .daddr = { 192, 0, 2, 1 }, .fp = 0x1122334455667788ULL }, 39,
	  { 1, 0, 0, 0, 1,	1, 50, 2, 2,	0, 3,	0xc0, 0xff, 0xee, 1,	192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 } },
	{ { .type = ES_WIRE_OUT, .handle = 2, .flags = ES_OUT_GRANT, .ceiling = 1ULL << 32, .lease = 1 << 20, .bytes = 5,
	    .packets = 6 }, 34,
	  { 2, 0, 0, 0, 2, 1,	0, 0, 0, 1, 0, 0, 0, 0,	0, 0x10, 0, 0,	0, 0, 0, 0, 0, 0, 0, 5,	0, 0, 0, 0, 0, 0, 0, 6 } },
	{ { .type = ES_WIRE_IN, .handle = 3, .bytes = 5, .packets = 6,
	    .win = { .seq = 40, .nbits = 33, .bits = { 0xdeadbeef, 1 } } }, 39,
	  { 3, 0, 0, 0, 3,	0, 0, 0, 0, 0, 0, 0, 5,	0, 0, 0, 0, 0, 0, 0, 6,	0, 0, 0, 0, 0, 0, 0, 40,	0, 33,
	    0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1 } },
	{ { .type = ES_WIRE_GONE, .handle = 0x01020304 }, 5, { 4, 1, 2, 3, 4 } },
	{ { .type = ES_WIRE_SYNCED }, 5, { 5 } },
	{ { .type = ES_WIRE_UNKNOWN, .handle = U32_MAX }, 5, { 6, 255, 255, 255, 255 } },
	{ { .type = ES_WIRE_PACKET, .packet = (const u8 *)"\x45\0\1", .packet_len = 3 }, 6, { 7, 0, 3, 0x45, 0, 1 } },
};

static bool same_rec(const struct es_wire_rec *a, const struct es_wire_rec *b)
{
	if (a->type == ES_WIRE_PACKET)
		return b->type == a->type && a->packet_len == b->packet_len && !memcmp(a->packet, b->packet, a->packet_len);
	if (a->type != b->type || a->handle != b->handle)
		return false;
	switch (a->type) {
	case ES_WIRE_NAME:
		return a->flags == b->flags && a->proto == b->proto && a->dir == b->dir && a->family == b->family &&
		       a->group == b->group && a->spi == b->spi && a->fp == b->fp &&
		       !memcmp(a->daddr, b->daddr, sizeof(a->daddr));
	case ES_WIRE_OUT:
		return a->flags == b->flags && a->ceiling == b->ceiling && a->lease == b->lease &&
		       a->bytes == b->bytes && a->packets == b->packets;
	case ES_WIRE_IN:
		return a->bytes == b->bytes && a->packets == b->packets && a->win.seq == b->win.seq &&
		       a->win.nbits == b->win.nbits &&
		       !memcmp(a->win.bits, b->win.bits, DIV_ROUND_UP(a->win.nbits, 32) * 4);
	}
	return true;
}

static bool bytes_are_these(void)
{
	struct es_cursor c = last(sizeof(head_bytes) + sizeof(group_bytes));

	es_wire_put_head(&c, &a_head);
	es_wire_put_group(&c, &a_group);
	ktap_expect(!c.bad && c.p == c.end);
	c = last(sizeof(head_bytes) + sizeof(group_bytes));
	ktap_expect(!memcmp(c.p, head_bytes, sizeof(head_bytes)));
	ktap_expect(!memcmp(c.p + sizeof(head_bytes), group_bytes, sizeof(group_bytes)));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		c = last(rows[i].len);
		ktap_expect(es_wire_put_rec(&c, &rows[i].r) && c.p == c.end);
		ktap_expect(!memcmp(room + ROOM - rows[i].len, rows[i].bytes, rows[i].len));
	}
	return true;
}

static bool head_and_group_are_read(void)
{
	struct es_wire_head h;
	struct es_wire_group g;
	struct es_cursor c = last(sizeof(head_bytes) + sizeof(group_bytes));

	memcpy(c.p, head_bytes, sizeof(head_bytes));
	memcpy(c.p + sizeof(head_bytes), group_bytes, sizeof(group_bytes));
	ktap_expect(es_wire_get_head(&c, &h) && es_wire_get_group(&c, &h, &g) && c.p == c.end);
	ktap_expect(h.ts == a_head.ts && h.echo == a_head.echo && h.hold_us == a_head.hold_us &&
		    h.ack_seq == a_head.ack_seq && h.ack_bits == a_head.ack_bits &&
		    h.links == a_head.links && h.interval_us == a_head.interval_us && h.ngroups == a_head.ngroups);
	ktap_expect(g.id == a_group.id && g.role == a_group.role && g.flags == a_group.flags && g.node == a_group.node &&
		    g.epoch == a_group.epoch && g.waiting == a_group.waiting && g.mismatched == a_group.mismatched &&
		    g.evict_ms == a_group.evict_ms);
	return true;
}

/* One byte less than it takes, at every length. */
static bool what_is_cut_is_refused(void)
{
	static struct es_wire_rec r;
	struct es_wire_head h;
	struct es_wire_group g;
	struct es_cursor c;

	for (size_t n = 0; n < sizeof(head_bytes); n++) {
		c = last(n);
		memcpy(c.p, head_bytes, n);
		ktap_expect(!es_wire_get_head(&c, &h));
	}
	for (size_t n = 0; n < sizeof(group_bytes); n++) {
		c = last(n);
		memcpy(c.p, group_bytes, n);
		ktap_expect(!es_wire_get_group(&c, &a_head, &g));
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t n = 1; n < rows[i].len; n++) {
			c = last(n);
			memcpy(c.p, rows[i].bytes, n);
			ktap_expect(es_wire_get_rec(&c, &r) == -1);
			c = last(n);
			ktap_expect(!es_wire_put_rec(&c, &rows[i].r));
			ktap_expect(!c.bad && c.p == room + ROOM - n);
		}
	return true;
}

static bool what_is_strange_is_refused(void)
{
	static struct es_wire_rec r;
	struct es_wire_head h;
	struct es_wire_group g;
	struct es_cursor c = last(sizeof(head_bytes));

	memcpy(c.p, head_bytes, sizeof(head_bytes));
	c.end[-7] = ES_WIRE_MAX_GROUPS + 1;
	ktap_expect(!es_wire_get_head(&c, &h));
	c = last(sizeof(group_bytes));
	memcpy(c.p, group_bytes, sizeof(group_bytes));
	c.p[2] = ES_ROLE_CLAIM + 1;
	ktap_expect(!es_wire_get_group(&c, &a_head, &g));
	memset(room, 0xff, ROOM);
	c = last(ROOM);
	c.p[0] = ES_WIRE_IN;				/* a window of 65535 bits */
	ktap_expect(es_wire_get_rec(&c, &r) == -1);
	c = last(0);
	ktap_expect(!es_wire_get_rec(&c, &r));
	c = last(3);
	c.p[0] = ES_WIRE_END;				/* padding ends it, whatever follows */
	ktap_expect(!es_wire_get_rec(&c, &r));
	return true;
}

/* What a newer version has more, between what this one knows; and each length at which it is cut. */
static bool what_is_newer_is_passed_over(void)
{
	static struct es_wire_rec r;
	static const u8 longer[] = { 0xee, 0xee, 0xee };
	size_t head = sizeof(head_bytes) + sizeof(longer), group = sizeof(group_bytes) + 2;
	struct es_wire_head h;
	struct es_wire_group g;
	struct es_cursor c;
	u8 text[sizeof(head_bytes) + 3 + sizeof(group_bytes) + 2], *p;

	memcpy(text, head_bytes, sizeof(head_bytes));
	text[sizeof(head_bytes) - 6] = 4 + sizeof(longer);
	text[sizeof(head_bytes) - 5] = 2;
	memcpy(text + sizeof(head_bytes), longer, sizeof(longer));
	memcpy(text + head, group_bytes, sizeof(group_bytes));
	memset(text + head + sizeof(group_bytes), 0xee, 2);
	for (size_t n = 0; n <= sizeof(text); n++) {
		c = last(n);
		memcpy(c.p, text, n);
		ktap_expect(es_wire_get_head(&c, &h) == (n >= head));
		ktap_expect(n < head || es_wire_get_group(&c, &h, &g) == (n >= head + group));
	}
	ktap_expect(h.ts == a_head.ts && h.group_more == 2 && g.id == a_group.id && g.evict_ms == a_group.evict_ms && c.p == c.end);
	for (unsigned int type = ES_WIRE_PACKET + 1; type < 256; type++) {
		static const u8 before[] = { ES_WIRE_GONE, 0, 0, 0, 7 }, after[] = { ES_WIRE_UNKNOWN, 0, 0, 0, 9 };
		size_t len = type % 5;

		c = last(sizeof(before) + 3 + len + sizeof(after));
		p = c.p;
		memcpy(p, before, sizeof(before));
		p += sizeof(before);
		*p++ = type;
		*p++ = 0;
		*p++ = len;
		memset(p, 0xff, len);
		memcpy(p + len, after, sizeof(after));
		ktap_expect(es_wire_get_rec(&c, &r) == ES_WIRE_RECORD && r.handle == 7);
		ktap_expect(es_wire_get_rec(&c, &r) == ES_WIRE_PASSED_OVER && r.type == type && c.p == p + len);
		ktap_expect(es_wire_get_rec(&c, &r) == ES_WIRE_RECORD && r.type == ES_WIRE_UNKNOWN && r.handle == 9);
		ktap_expect(es_wire_get_rec(&c, &r) == ES_WIRE_NO_MORE);
	}
	memset(room, 0xff, ROOM);
	c = last(0xffff % ROOM);
	ktap_expect(es_wire_get_rec(&c, &r) == ES_WIRE_MALFORMED);	/* longer than what is left */
	for (size_t n = 1; n < 8; n++) {
		c = last(n);
		c.p[0] = 200;
		if (n > 2)
			c.p[1] = 0, c.p[2] = 5;
		ktap_expect(es_wire_get_rec(&c, &r) == ES_WIRE_MALFORMED);
	}
	return true;
}

static void random_rec(struct es_wire_rec *r)
{
	u8 *p = (u8 *)r;

	for (size_t i = 0; i < sizeof(*r); i++)
		p[i] = rnd();
	r->type = 1 + rnd() % ES_WIRE_UNKNOWN;
	r->win.nbits = rnd() % (ES_WINDOW_MAX + 1);
}

static bool there_and_back(void)
{
	static struct es_wire_rec a, b;
	u64 seed = ktap_seed();

	ktap_diag("UNIT_SEED=%llu", seed);
	rng = seed;
	for (u64 i = ktap_rounds(20000); i; i--) {
		struct es_cursor c = last(ROOM);
		u8 *end;

		random_rec(&a);
		ktap_expect(es_wire_put_rec(&c, &a));
		end = c.p;
		c = (struct es_cursor){ .p = room, .end = end };
		ktap_expect(es_wire_get_rec(&c, &b) == 1 && c.p == end && same_rec(&a, &b));
	}
	return true;
}

/* Whatever comes: it ends, reads nothing behind the end, and what it takes is written again as it came. */
static bool noise(void)
{
	static struct es_wire_rec r;
	u64 seed = ktap_seed(), taken = 0;

	ktap_diag("UNIT_SEED=%llu", seed);
	rng = seed;
	for (u64 i = ktap_rounds(20000); i; i--) {
		struct es_cursor c = last(rnd() % 300), again;
		u8 *p = c.p, copy[64 + ES_WINDOW_MAX / 8];

		enum es_wire_got got;

		while (p < c.end)
			*p++ = rnd() % 4 ? rnd() : rnd() % 8;
		for (p = c.p; (got = es_wire_get_rec(&c, &r)) > ES_WIRE_NO_MORE; p = c.p) {
			ktap_expect(c.p > p && c.p <= c.end);
			if (got == ES_WIRE_PASSED_OVER)
				continue;
			again = (struct es_cursor){ .p = copy, .end = copy + (c.p - p) };
			ktap_expect(c.p <= c.end && es_wire_put_rec(&again, &r) && again.p == again.end);
			ktap_expect(!memcmp(copy, p, c.p - p));
			taken++;
		}
	}
	ktap_expect(taken);
	return true;
}

static const struct ktap_case cases[] = {
	{ "bytes: each part of a datagram, literally", bytes_are_these },
	{ "read: head and group say what was written", head_and_group_are_read },
	{ "cut: every length that is too short is refused, and nothing half is written", what_is_cut_is_refused },
	{ "strange: what has no meaning is refused", what_is_strange_is_refused },
	{ "newer: what this version does not know is passed over, and what follows is read", what_is_newer_is_passed_over },
	{ "random records, there and back", there_and_back },
	{ "random bytes: an end, and nothing read behind it", noise },
};

KTAP_MAIN(cases)
