// SPDX-License-Identifier: GPL-2.0
/*
 * tx.c - builds datagrams and remembers what was in them.
 *
 * Job: from dirty bits to sealed datagrams, and from acknowledgements back to clean ones. What is lost is not sent again: its SAs are dirty again,
 * and current values go out.
 * What may not enter: what a received record means, timers of peers, the handshake's rules.
 *
 * Context: process, es->lock held.
 */
#include "channel.h"
#include "group.h"
#include "in.h"
#include "out.h"
#include "sa.h"
#include "trace.h"

#define ES_BURST	16	/* datagrams to one peer in one go */
#define ES_REORDER	8	/* acknowledged so far ahead: the one before is lost */
#define ES_RTO_MIN_US	20000
#define ES_RTOS		8	/* so often in a row nothing was acknowledged */
#define ES_LINK_HEAD	62	/* of Ethernet, IPv6 and UDP, in front of a datagram */

/*
 * The datagram that is built, over these links. One that refuses it is tried again when its next keepalive is due; records are none, for they
 * may wait behind others.
 */
static void transmit(struct es_net *es, struct es_peer *p, unsigned long links, size_t len, bool urgent)
{
	unsigned int i;

	for_each_set_bit(i, &links, ES_LINKS) {
		if (urgent)
			p->link[i].sent_us = es->clock_us;
		if (es->sock[i] && !es_sock_send(es->sock[i], &p->link[i].addr, es->buf, len, urgent))
			p->tx_bytes += len;
	}
}

/**
 * es_tx_hello() - send a HELLO, over every link
 * @es: namespace, locked
 * @p: to whom
 */
void es_tx_hello(struct es_net *es, struct es_peer *p)
{
	int len = es_session_hello(&p->session, &es->keys, es->buf, ES_SOCK_PAYLOAD_MAX);

	p->hello_us = es->clock_us;
	if (len > 0)
		transmit(es, p, es_link_all(p), len, true);
}

/* @i: the link that it is for */
static void start(struct es_net *es, struct es_peer *p, unsigned int i, struct es_cursor *c, u8 extra_flags)
{
	unsigned int payload = es->sock[i] ? es_sock_payload(es->sock[i], &p->link[i].addr) : ES_SOCK_PAYLOAD_MIN;
	unsigned int room = payload - ES_SESSION_HEAD - ES_SESSION_TAIL;
	const struct es_link *l = es_link_echo(p, i);
	u64 now = es_clock_us();
	struct es_wire_head h = {
		.ts = now,
		.echo = l->echo_ts,
		.hold_us = min_t(u64, now - min(now, l->echo_at_us), U32_MAX),
		.ack_seq = p->ack_high,
		.ack_bits = p->ack_bits,
		.links = es_link_heard(p),
		.interval_us = es->interval_us,
	};
	struct es_wire_group w;
	struct es_group *g;

	es_each_group(g, es)
		h.ngroups++;
	c->p = es->buf + ES_SESSION_HEAD;
	c->end = c->p + room;
	c->bad = false;
	es_wire_put_head(c, &h);
	es_each_group(g, es) {
		es_group_tell(g, p, &w);
		w.flags |= extra_flags;
		if (extra_flags & ES_GROUP_LEAVE)
			w.flags &= ~ES_GROUP_IN;
		es_wire_put_group(c, &w);
	}
	p->ack_due = false;
}

/* Seal and send. Returns the datagram's number, 0 if there is no session. */
static u64 finish(struct es_net *es, struct es_peer *p, unsigned long links, struct es_cursor *c, bool urgent)
{
	size_t payload = c->p - es->buf - ES_SESSION_HEAD;
	u64 seq;
	int len = es_session_seal(&p->session, &es->keys, es->buf, payload, urgent, &seq);

	if (len < 0)
		return 0;
	trace_espsync_send(p, seq, len, urgent ? 0 : es->draft->n);
	transmit(es, p, links, len, urgent);
	return seq;
}

/**
 * es_tx_speak() - a datagram without records: alive, acknowledgements, role
 * @es: namespace, locked
 * @p: to whom
 * @links: over which links; bits
 * @extra_flags: ES_GROUP_LEAVE or 0
 *
 * One of its own for each link, for what it says of time is the link's. But the one that a handshake waits for goes over all of them: it is the
 * only one of its kind, and which of the links are cut is not known then.
 */
void es_tx_speak(struct es_net *es, struct es_peer *p, unsigned long links, u8 extra_flags)
{
	struct es_cursor c;
	unsigned int i;

	if (es_session_wants_hello(&p->session)) {
		start(es, p, es_link_data(p), &c, extra_flags);
		finish(es, p, links, &c, true);
		return;
	}
	for_each_set_bit(i, &links, ES_LINKS) {
		start(es, p, i, &c, extra_flags);
		finish(es, p, BIT(i), &c, true);
	}
}

/**
 * es_tx_leave() - what this node said to a peer holds no longer; twice, for it is not acknowledged
 * @es: namespace, locked
 * @p: to whom
 */
void es_tx_leave(struct es_net *es, struct es_peer *p)
{
	if (!es->keyed)
		return;
	es_tx_speak(es, p, es_link_all(p), ES_GROUP_LEAVE);
	es_tx_speak(es, p, es_link_all(p), ES_GROUP_LEAVE);
}

/* In the value that is remembered of a NAME. */
#define ES_NOTE_ALL	0x01	/* nothing else was to be said: its direction is unknown */
#define ES_NOTE_HELD	0x02
#define ES_NOTE_GROUP	8	/* from this bit on: the group that it was said of */

static bool note(struct es_sent *d, u32 handle, u8 type, u64 value)
{
	if (d->n == ES_MAX_RECS)
		return false;
	d->rec[d->n].handle = handle;
	d->rec[d->n].type = type;
	d->rec[d->n].value = value;
	d->n++;
	return true;
}

static void fill_name(struct es_sa *sa, struct es_wire_rec *r)
{
	r->type = ES_WIRE_NAME;
	r->flags = sa->x ? ES_NAME_HELD : 0;
	r->proto = sa->proto;
	r->dir = sa->dir;
	r->family = sa->family;
	r->group = sa->g->id;
	r->spi = be32_to_cpu(sa->spi);
	memcpy(r->daddr, &sa->daddr, sizeof(r->daddr));
	r->fp = sa->fp;
}

/* Held here, or numbers known of it that those who had it may have forgotten. Numbers from hearsay are not passed on: nobody would ever forget them. */
static bool tellable(const struct es_sa *sa)
{
	if (sa->x)
		return true;
	if (test_bit(ES_SA_DEAD, &sa->flags) && !test_bit(ES_SA_ORPHAN, &sa->flags))
		return false;
	return (test_bit(ES_SA_OURS, &sa->flags) || test_bit(ES_SA_NAMED, &sa->flags)) && (sa->dir == ESPSYNC_DIR_OUT ? sa->l.target : !!sa->kept);
}

/* The peer was told that it is in this kernel, and it is not. */
static bool is_gone(const struct es_peer *p, const struct es_sa *sa)
{
	return !sa->x && test_bit(sa->handle, p->named) && (test_bit(ES_SA_OURS, &sa->flags) || !tellable(sa));
}

/* The record that says how an SA is; ES_WIRE_END if there is nothing to say. Returns the value to remember. */
static u64 fill_state(struct es_net *es, struct es_peer *p, struct es_sa *sa, struct es_wire_rec *r)
{
	r->type = ES_WIRE_END;
	if (is_gone(p, sa)) {
		r->type = ES_WIRE_GONE;
	} else if (!tellable(sa)) {
		;
	} else if (sa->dir == ESPSYNC_DIR_OUT) {
		es_out_fill(es, p, sa, r);
		return r->ceiling;
	} else if (sa->dir == ESPSYNC_DIR_IN) {
		es_in_fill(es, sa, r);
		return r->type == ES_WIRE_IN ? r->win.seq : 0;
	}
	return 0;
}

/* A window that is too big for a whole datagram goes with its newest part. */
static bool fits(struct es_cursor *c, struct es_wire_rec *r, bool alone)
{
	if (es_wire_put_rec(c, r))
		return true;
	if (!alone || r->type != ES_WIRE_IN)
		return false;
	r->win.nbits = max_t(long, c->end - c->p - 64, 0) / 4 * 32;
	return es_wire_put_rec(c, r);
}

/* A record has been put. */
static void measure(struct es_net *es, const struct es_wire_rec *r, unsigned int len)
{
	if (r->type == ES_WIRE_IN)
		es->in_bytes = es->in_bytes ? (7 * es->in_bytes + len) / 8 : len;
}

/* Say all about one SA. Returns false if it does not fit any more. */
static bool say(struct es_net *es, struct es_peer *p, struct es_sa *sa, struct es_cursor *c)
{
	struct es_wire_rec *r = &es->rec;
	struct es_sent *d = es->draft;
	struct es_cursor at = *c;
	u16 n = d->n;
	u64 value;
	u8 *start;

	r->handle = sa->handle;
	if (!test_bit(sa->handle, p->named) && tellable(sa)) {
		fill_name(sa, r);
		value = (sa->dir == ESPSYNC_DIR_UNKNOWN ? ES_NOTE_ALL : 0) | (r->flags & ES_NAME_HELD ? ES_NOTE_HELD : 0) |
			(u64)r->group << ES_NOTE_GROUP;
		if (!note(d, sa->handle, ES_WIRE_NAME, value) || !es_wire_put_rec(c, r))
			goto full;
	}
	value = fill_state(es, p, sa, r);
	if (r->type == ES_WIRE_END) {
		if (d->n == n)
			__clear_bit(sa->handle, p->todo);	/* nothing to say about it */
		return true;
	}
	start = c->p;
	if (note(d, sa->handle, r->type, value) && fits(c, r, !n)) {
		measure(es, r, c->p - start);
		return true;
	}
full:
	d->n = n;
	*c = at;
	return false;
}

/* Dirty SAs from the cursor on, round and round, until the datagram is full. */
static void fill(struct es_net *es, struct es_peer *p, struct es_cursor *c)
{
	unsigned long h = find_next_bit(p->dirty, ES_MAX_SAS, p->cursor);
	struct es_sa *sa;

	if (h >= ES_MAX_SAS && p->cursor > 1)
		h = find_next_bit(p->dirty, ES_MAX_SAS, 1);
	while (h < ES_MAX_SAS) {
		p->cursor = h;
		sa = es_sa_get(es, h);
		__clear_bit(h, p->dirty);
		if (!sa)
			__clear_bit(h, p->todo);
		if (sa && !say(es, p, sa, c)) {
			__set_bit(h, p->dirty);
			return;
		}
		h = find_next_bit(p->dirty, ES_MAX_SAS, h + 1);
	}
	p->cursor = 1;
}

/* Handles of the peer that mean nothing here. Said once; it uses them again if that is lost. But that all are to be named is said until it is heard. */
static void fill_unknown(struct es_net *es, struct es_peer *p, struct es_cursor *c)
{
	es->rec.type = ES_WIRE_UNKNOWN;
	es->rec.handle = 0;
	if (p->ask_names && note(es->draft, 0, ES_WIRE_UNKNOWN, 0)) {
		p->ask_names = !es_wire_put_rec(c, &es->rec);
		es->draft->n -= p->ask_names;
	}
	while (p->n_unknown) {
		es->rec.handle = p->unknown[p->n_unknown - 1];
		if (!es_wire_put_rec(c, &es->rec))
			return;
		p->n_unknown--;
	}
}

/* All has been said and acknowledged: the peer may forget what was not named. */
static void fill_synced(struct es_net *es, struct es_peer *p, struct es_cursor *c)
{
	if (p->synced || p->synced_sent || es_peer_unsynced(p))
		return;
	es->rec.type = ES_WIRE_SYNCED;
	es->rec.handle = 0;
	if (!note(es->draft, 0, ES_WIRE_SYNCED, 0))
		return;
	p->synced_sent = es_wire_put_rec(c, &es->rec);
	es->draft->n -= !p->synced_sent;
}

/* As many as fit, but one in any case if some datagram can hold it. */
static unsigned int fill_packets(struct es_net *es, struct es_cursor *c, struct sk_buff_head *q)
{
	struct es_wire_rec *r = &es->rec;
	u8 *end = c->end;
	unsigned int n;

	c->end = es->buf + ES_SOCK_DATAGRAM_MAX - ES_SESSION_TAIL;
	for (n = 0; !skb_queue_empty(q); n++) {
		struct sk_buff *skb = skb_peek(q);

		r->type = ES_WIRE_PACKET;
		r->handle = 0;
		r->packet = skb->data;
		r->packet_len = skb->len;
		if (!es_wire_put_rec(c, r))
			break;
		__skb_unlink(skb, q);
		consume_skb(skb);
		c->end = max(end, c->p);
	}
	return n;
}

/**
 * es_tx_packets() - give packets to a peer that may send them
 * @es: namespace, locked
 * @p: to whom
 * @q: packets, linear, from their IP headers on; empty afterwards
 * Return: how many could not be given. Nothing tells whether the others arrive
 */
unsigned int es_tx_packets(struct es_net *es, struct es_peer *p, struct sk_buff_head *q)
{
	unsigned int n, unfit = 0, link = es_link_data(p);
	struct es_cursor c;

	while (!skb_queue_empty(q)) {
		start(es, p, link, &c, 0);
		es->draft->n = 0;
		n = fill_packets(es, &c, q);
		if (n && finish(es, p, BIT(link), &c, false))
			continue;
		unfit += n;
		if (!n) {
			kfree_skb(__skb_dequeue(q));
			unfit++;
		}
	}
	return unfit;
}

static void lost(struct es_net *es, struct es_peer *p, struct es_sent *s)
{
	struct es_sa *sa;
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		p->synced_sent &= s->rec[i].type != ES_WIRE_SYNCED;
		p->ask_names |= s->rec[i].type == ES_WIRE_UNKNOWN;
		sa = es_sa_get(es, s->rec[i].handle);
		if (sa)
			__set_bit(sa->handle, p->dirty);
	}
	p->n_recs -= s->n;
	p->n_inflight--;
	s->seq = 0;
}

static void remember(struct es_net *es, struct es_peer *p, u64 seq)
{
	struct es_sent *s = &p->inflight[seq % ES_INFLIGHT];

	if (s->seq)
		lost(es, p, s);
	*s = *es->draft;
	s->seq = seq;
	s->sent_us = es->clock_us;
	s->promotions = es->promotions;
	if (!p->unacked_us)
		p->unacked_us = es->clock_us;
	p->n_inflight++;
	p->n_recs += s->n;
	if (!seq) {			/* could not be sealed */
		s->seq = 1;
		lost(es, p, s);
	}
}

static bool anything_to_say(const struct es_peer *p)
{
	return p->n_unknown || p->ask_names || find_next_bit(p->dirty, ES_MAX_SAS, 1) < ES_MAX_SAS ||
	       !(p->synced || p->synced_sent || es_peer_unsynced(p));
}

/* A datagram of records. Returns false if there was nothing to say after all. */
static bool say_some(struct es_net *es, struct es_peer *p, u32 kbit)
{
	bool ask = p->n_unknown || p->ask_names;
	unsigned int link = es_link_data(p);
	u64 before = p->tx_bytes;
	struct es_cursor c;

	start(es, p, link, &c, 0);
	es->draft->n = 0;
	fill_unknown(es, p, &c);
	fill_synced(es, p, &c);
	fill(es, p, &c);
	if (!es->draft->n && !ask)
		return false;
	remember(es, p, finish(es, p, BIT(link), &c, false));
	es_rate_spend(&p->rate, kbit, p->tx_bytes - before + ES_LINK_HEAD);
	return true;
}

/**
 * es_tx_data() - say what there is to say to a peer, as fast as it may go
 * @es: namespace, locked
 * @p: the peer
 *
 * Peers share the limit evenly. What has to wait is not queued: its SAs stay dirty.
 */
void es_tx_data(struct es_net *es, struct es_peer *p)
{
	u32 kbit = es->cfg.rate_kbit / es->n_peers;
	unsigned int i;

	p->paced = false;
	p->told_all = false;
	if (!es_session_ready(&p->session))
		return;
	for (i = 0; i < ES_BURST && p->n_inflight < ES_INFLIGHT; i++) {
		if (!anything_to_say(p)) {
			p->told_all = !p->n_inflight;
			if (p->told_all)
				p->unacked_us = 0;
			return;
		}
		p->paced = !es_rate_allows(&p->rate, kbit, es->clock_us);
		if (p->paced || !say_some(es, p, kbit))
			return;
	}
}

static unsigned int bucket_of(u64 v)
{
	return min_t(unsigned int, fls64(v), ES_HIST - 1);
}

/* It knows the SA now, as it was said; what became of it meanwhile is to be said again. */
static void named(struct es_peer *p, struct es_sa *sa, u64 value)
{
	bool held = value & ES_NOTE_HELD;

	if (value >> ES_NOTE_GROUP != sa->g->id) {	/* it was of another one when that was said */
		__set_bit(sa->handle, p->dirty);
		return;
	}
	if (!__test_and_set_bit(sa->handle, p->named))
		es_out_update(p->es, sa);	/* it may have bound for want of this */
	if (sa->x && !held)
		__clear_bit(sa->handle, p->named);
	if (!!sa->x != held || !tellable(sa))
		__set_bit(sa->handle, p->dirty);
}

/* It has stored a promise of this epoch: one that has the group and is not active in it itself. */
static bool agreed(const struct es_peer *p, const struct es_sa *sa, const struct es_sent *s)
{
	const struct es_peer_in *in = &p->in[sa->g->slot];

	return sa->g->role == ESPSYNC_ROLE_ACTIVE && (s32)(s->promotions - sa->g->gen) >= 0 && in->speaks &&
	       in->w.role != ESPSYNC_ROLE_ACTIVE && !(sa->astray & BIT(p->index));
}

static void acked(struct es_net *es, struct es_peer *p, struct es_sent *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		u32 h = s->rec[i].handle;
		struct es_sa *sa = es_sa_get(es, h);

		if (s->rec[i].type == ES_WIRE_SYNCED) {
			p->synced = true;
			trace_espsync_peer(p, ES_PEER_SYNCED);
			continue;
		}
		if (!sa)
			continue;
		if (s->rec[i].type != ES_WIRE_NAME || s->rec[i].value & ES_NOTE_ALL)
			__clear_bit(h, p->todo);
		switch (s->rec[i].type) {
		case ES_WIRE_NAME:
			named(p, sa, s->rec[i].value);
			break;
		case ES_WIRE_GONE:
			__clear_bit(h, p->named);
			break;
		case ES_WIRE_OUT:
			if (agreed(p, sa, s))
				es_out_acked(es, p, sa, s->rec[i].value);
			else
				es_out_passed_heard(es, p, sa, s->rec[i].value);
			break;
		case ES_WIRE_IN:
			p->lag_packets[bucket_of(es_in_since(sa, s->rec[i].value))]++;
			p->lag_us[bucket_of(es->clock_us - s->sent_us)]++;
			break;
		}
	}
	p->n_recs -= s->n;
	p->n_inflight--;
	p->acked_seq = max(p->acked_seq, s->seq);
	p->took_us += ((s64)(es->clock_us - s->sent_us) - p->took_us) / 4;
	p->backoff = 0;
	p->unacked_us = 0;
	s->seq = 0;
}

/**
 * es_tx_acked() - a peer says which datagrams it has applied
 * @es: namespace, locked
 * @p: the peer
 * @high: the highest
 * @bits: bit i: @high - i
 *
 * In the order in which they were sent: what a later one says of an SA holds.
 */
void es_tx_acked(struct es_net *es, struct es_peer *p, u64 high, u64 bits)
{
	struct es_sent *s;
	unsigned int i;

	for (i = 64; i-- > 0 && p->n_inflight; ) {
		s = &p->inflight[(high - i) % ES_INFLIGHT];
		if (high > i && s->seq == high - i && bits >> i & 1)
			acked(es, p, s);
	}
	for (i = 0; i < ES_INFLIGHT && p->n_inflight; i++) {
		s = &p->inflight[i];
		if (s->seq && s->seq < p->acked_seq && p->acked_seq - s->seq >= ES_REORDER)
			lost(es, p, s);		/* what overtakes records as urgent is no sign of that */
	}
}

static u64 rto_us(const struct es_peer *p)
{
	return max_t(u64, 3ull * max_t(u64, es_link_rtt_us(p), p->took_us) + 2 * p->es->cfg.tick_us, ES_RTO_MIN_US);
}

/**
 * es_tx_unheard() - whether records are lost on the way, or not taken, although the peer is heard
 * @p: the peer
 * Return: true if records wait for so long that some must have been acknowledged
 */
bool es_tx_unheard(const struct es_peer *p)
{
	u64 long_us = max(p->es->cfg.dead_ms * 1000ull, ES_RTOS * rto_us(p));

	return p->unacked_us && p->es->clock_us - p->unacked_us > long_us;
}

/**
 * es_tx_timeout() - what was not acknowledged in time is lost
 * @es: namespace, locked
 * @p: the peer
 *
 * Where nothing is acknowledged at all the next ones have twice the time: records may wait in a queue that keepalives, and so es_link_rtt_us(), do
 * not know of.
 */
void es_tx_timeout(struct es_net *es, struct es_peer *p)
{
	u64 rto = rto_us(p), longest = max(rto, es->cfg.dead_ms * 250ull);
	unsigned int i, before = p->n_inflight;

	rto = min(rto << p->backoff, longest);
	for (i = 0; i < ES_INFLIGHT && p->n_inflight; i++)
		if (p->inflight[i].seq && es->clock_us - p->inflight[i].sent_us > rto)
			lost(es, p, &p->inflight[i]);
	if (p->n_inflight < before && rto < longest)
		p->backoff++;
}

/**
 * es_tx_reset() - a new session: what is under way will never be acknowledged
 * @p: the peer
 */
void es_tx_reset(struct es_peer *p)
{
	unsigned int i;

	for (i = 0; i < ES_INFLIGHT; i++)
		if (p->inflight[i].seq)
			lost(p->es, p, &p->inflight[i]);
	p->acked_seq = 0;
	p->took_us = 0;
	p->backoff = 0;
	p->unacked_us = 0;
}
