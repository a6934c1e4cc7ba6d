// SPDX-License-Identifier: GPL-2.0
/*
 * wire.c - the codec of a datagram's content: head, groups, records.
 *
 * Job: bytes to values and back, every length checked; big endian on the wire.
 * What may not enter: sockets, keys, SAs, meaning. Pure: runs in userspace too.
 */
#include "wire.h"

static void put(struct es_cursor *c, u64 v, unsigned int n)
{
	if (c->bad || c->end - c->p < (ptrdiff_t)n) {
		c->bad = true;
		return;
	}
	while (n--)
		*c->p++ = v >> (8 * n);
}

static u64 get(struct es_cursor *c, unsigned int n)
{
	u64 v = 0;

	if (c->bad || c->end - c->p < (ptrdiff_t)n) {
		c->bad = true;
		return 0;
	}
	while (n--)
		v = v << 8 | *c->p++;
	return v;
}

static void skip(struct es_cursor *c, unsigned int n)
{
	if (c->bad || c->end - c->p < (ptrdiff_t)n)
		c->bad = true;
	else
		c->p += n;
}

static void put_bytes(struct es_cursor *c, const u8 *b, unsigned int n)
{
	while (n--)
		put(c, *b++, 1);
}

static void get_bytes(struct es_cursor *c, u8 *b, unsigned int n)
{
	while (n--)
		*b++ = get(c, 1);
}

/**
 * es_wire_put_head() - begin a datagram
 * @c: cursor, @c->bad afterwards if it did not fit
 * @h: values
 */
void es_wire_put_head(struct es_cursor *c, const struct es_wire_head *h)
{
	put(c, h->ts, 8);
	put(c, h->echo, 8);
	put(c, h->hold_us, 4);
	put(c, h->ack_seq, 8);
	put(c, h->ack_bits, 8);
	put(c, h->links, 1);
	put(c, h->ngroups, 1);
	put(c, 4, 1);			/* bytes of the head behind group_more */
	put(c, h->group_more, 1);
	put(c, h->interval_us, 4);
}

/**
 * es_wire_get_head() - read what es_wire_put_head() wrote
 * @c: cursor
 * @h: result
 * Return: false if the datagram is cut short or claims too many groups
 */
bool es_wire_get_head(struct es_cursor *c, struct es_wire_head *h)
{
	unsigned int more;

	h->ts = get(c, 8);
	h->echo = get(c, 8);
	h->hold_us = get(c, 4);
	h->ack_seq = get(c, 8);
	h->ack_bits = get(c, 8);
	h->links = get(c, 1);
	h->ngroups = get(c, 1);
	more = get(c, 1);
	h->group_more = get(c, 1);
	h->interval_us = 0;
	if (more >= 4) {
		h->interval_us = get(c, 4);
		more -= 4;
	}
	skip(c, more);
	return !c->bad && h->ngroups <= ES_WIRE_MAX_GROUPS;
}

/**
 * es_wire_put_group() - say what this node is in a group
 * @c: cursor
 * @g: values
 */
void es_wire_put_group(struct es_cursor *c, const struct es_wire_group *g)
{
	put(c, g->id, 2);
	put(c, g->role, 1);
	put(c, g->flags, 1);
	put(c, g->node, 1);
	put(c, g->epoch, 8);
	put(c, g->waiting, 4);
	put(c, g->mismatched, 4);
	put(c, g->evict_ms, 4);
}

/**
 * es_wire_get_group() - read what es_wire_put_group() wrote
 * @c: cursor
 * @h: the datagram's head
 * @g: result
 * Return: false if it is cut short or names a role that does not exist
 */
bool es_wire_get_group(struct es_cursor *c, const struct es_wire_head *h, struct es_wire_group *g)
{
	g->id = get(c, 2);
	g->role = get(c, 1);
	g->flags = get(c, 1);
	g->node = get(c, 1);
	g->epoch = get(c, 8);
	g->waiting = get(c, 4);
	g->mismatched = get(c, 4);
	g->evict_ms = get(c, 4);
	skip(c, h->group_more);
	return !c->bad && g->role <= ES_ROLE_CLAIM;
}

static void put_name(struct es_cursor *c, const struct es_wire_rec *r)
{
	put(c, r->flags, 1);
	put(c, r->proto, 1);
	put(c, r->dir, 1);
	put(c, r->family, 1);
	put(c, r->group, 2);
	put(c, r->spi, 4);
	put_bytes(c, r->daddr, sizeof(r->daddr));
	put(c, r->fp, 8);
}

static void get_name(struct es_cursor *c, struct es_wire_rec *r)
{
	r->flags = get(c, 1);
	r->proto = get(c, 1);
	r->dir = get(c, 1);
	r->family = get(c, 1);
	r->group = get(c, 2);
	r->spi = get(c, 4);
	get_bytes(c, r->daddr, sizeof(r->daddr));
	r->fp = get(c, 8);
}

static void put_packet(struct es_cursor *c, const struct es_wire_rec *r)
{
	put(c, r->packet_len, 2);
	if (c->bad || c->end - c->p < r->packet_len) {
		c->bad = true;
		return;
	}
	memcpy(c->p, r->packet, r->packet_len);
	c->p += r->packet_len;
}

static void get_packet(struct es_cursor *c, struct es_wire_rec *r)
{
	r->packet_len = get(c, 2);
	if (c->bad || c->end - c->p < r->packet_len) {
		c->bad = true;
		return;
	}
	r->packet = c->p;
	c->p += r->packet_len;
}

static void put_window(struct es_cursor *c, const struct es_window *w)
{
	u32 i;

	put(c, w->seq, 8);
	put(c, w->nbits, 2);
	for (i = 0; i < DIV_ROUND_UP(w->nbits, 32); i++)
		put(c, w->bits[i], 4);
}

static void get_window(struct es_cursor *c, struct es_window *w)
{
	u32 i;

	w->seq = get(c, 8);
	w->nbits = get(c, 2);
	if (w->nbits > ES_WINDOW_MAX)
		c->bad = true;
	for (i = 0; !c->bad && i < DIV_ROUND_UP(w->nbits, 32); i++)
		w->bits[i] = get(c, 4);
}

/**
 * es_wire_put_rec() - append a record, whole or not at all
 * @c: cursor; unchanged if the record does not fit
 * @r: values
 * Return: whether it fitted
 */
bool es_wire_put_rec(struct es_cursor *c, const struct es_wire_rec *r)
{
	u8 *start = c->p;

	put(c, r->type, 1);
	if (r->type != ES_WIRE_PACKET)
		put(c, r->handle, 4);
	switch (r->type) {
	case ES_WIRE_PACKET:
		put_packet(c, r);
		break;
	case ES_WIRE_NAME:
		put_name(c, r);
		break;
	case ES_WIRE_OUT:
		put(c, r->flags, 1);
		put(c, r->ceiling, 8);
		put(c, r->lease, 4);
		put(c, r->bytes, 8);
		put(c, r->packets, 8);
		break;
	case ES_WIRE_IN:
		put(c, r->bytes, 8);
		put(c, r->packets, 8);
		put_window(c, &r->win);
		break;
	}
	if (!c->bad)
		return true;
	c->p = start;
	c->bad = false;
	return false;
}

/**
 * es_wire_get_rec() - read the next record
 * @c: cursor
 * @r: result; of one that is passed over only the type
 * Return: what it was
 */
enum es_wire_got es_wire_get_rec(struct es_cursor *c, struct es_wire_rec *r)
{
	if (c->p == c->end)
		return ES_WIRE_NO_MORE;
	r->type = get(c, 1);
	if (r->type == ES_WIRE_END)
		return ES_WIRE_NO_MORE;
	if (r->type == ES_WIRE_PACKET) {
		get_packet(c, r);
		return c->bad ? ES_WIRE_MALFORMED : ES_WIRE_RECORD;
	}
	if (r->type > ES_WIRE_UNKNOWN) {
		skip(c, get(c, 2));
		return c->bad ? ES_WIRE_MALFORMED : ES_WIRE_PASSED_OVER;
	}
	r->handle = get(c, 4);
	switch (r->type) {
	case ES_WIRE_NAME:
		get_name(c, r);
		break;
	case ES_WIRE_OUT:
		r->flags = get(c, 1);
		r->ceiling = get(c, 8);
		r->lease = get(c, 4);
		r->bytes = get(c, 8);
		r->packets = get(c, 8);
		break;
	case ES_WIRE_IN:
		r->bytes = get(c, 8);
		r->packets = get(c, 8);
		get_window(c, &r->win);
		break;
	}
	return c->bad ? ES_WIRE_MALFORMED : ES_WIRE_RECORD;
}
