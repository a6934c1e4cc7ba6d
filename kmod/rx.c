// SPDX-License-Identifier: GPL-2.0
/*
 * rx.c - from received datagrams to what they change.
 *
 * Job: whom a datagram is from, whether it is believed (session.c), and each of its records handed to the room that it concerns. A datagram is
 * read to its end before anything of it is applied, and acknowledged only if all of it was stored.
 * What may not enter: building datagrams, timers.
 *
 * Context: the channel's thread, es->lock held.
 */
#include "channel.h"
#include "events.h"
#include "group.h"
#include "handover.h"
#include "in.h"
#include "out.h"
#include "place.h"
#include "role.h"
#include "sa.h"
#include "trace.h"

#define ES_RX_BATCH	256

static bool any_epoch(struct es_net *es)
{
	const struct es_group *g;

	es_each_group(g, es)
		if (g->epoch)
			return true;
	return false;
}

/* What it said of groups counts for nothing; what it was told still binds. */
static void unspoken(struct es_peer *p)
{
	struct es_peer_in *in;

	for (in = p->in; in < p->in + ES_MAX_GROUPS; in++) {
		in->speaks = false;
		memset(&in->w, 0, sizeof(in->w));
	}
}

/* The peer has lost its memory: what it said and what it was told counts for nothing. */
static void new_memory(struct es_net *es, struct es_peer *p)
{
	if (p->boot || any_epoch(es))		/* else it is met for the first time, when there has been no owner */
		es_group_forgotten(es);
	p->boot = p->session.peer_boot;
	es_tx_reset(p);
	p->synced_sent = false;
	p->ack_high = 0;
	p->ack_bits = 0;
	p->name_seq = 0;
	p->n_unknown = 0;
	p->ask_names = false;
	xa_destroy(&p->map);
	/* acked stays: while the peer may still believe that it is in, what it agreed to binds */
	bitmap_zero(p->named, ES_MAX_SAS);
	es_peer_unheard(es, p, false);
	es_peer_resync(p);
	p->peer_synced = false;
	p->rt_us = 0;
	es_link_forget(p);
	unspoken(p);
	trace_espsync_peer(p, ES_PEER_NEW_MEMORY);
	es_event_text(es, ESPSYNC_EVENT_RESYNC, p->node, "new session: everything is told again");
}

/* It has answered what this node said after it stood still, in the session that it had before: nobody has been promoted meanwhile, or it would say so. */
static void after_gap(struct es_net *es, struct es_peer *p)
{
	struct es_peer_in *in;

	for (in = p->in; in < p->in + ES_MAX_GROUPS; in++) {
		if (!in->after_gap || p->boot != in->gap_boot)
			continue;
		in->after_gap = false;
		es->walk = 1;
	}
}

/* What came over a link says of it how long it takes, as far as it echoes what came over the same one. */
static void note_rtt(struct es_net *es, struct es_link *l, const struct es_wire_head *h)
{
	u64 passed = es->clock_us - h->echo;

	if (h->echo < l->rt_us)
		return;
	l->rt_us = h->echo;
	if (h->hold_us <= passed) {
		u32 rtt = passed - h->hold_us;

		l->rtt_us = l->rtt_us ? (7 * l->rtt_us + rtt) / 8 : max(rtt, 1u);
	}
}

static void note_echo(struct es_net *es, struct es_peer *p, struct es_link *l, const struct es_wire_head *h, bool newest)
{
	u64 now = es->clock_us, e = h->echo;

	if (h->ts > l->echo_ts) {
		l->echo_ts = h->ts;
		l->echo_at_us = now;
	}
	if (!e || e > now || now - e > es->cfg.dead_ms * 1000ull)
		return;
	note_rtt(es, l, h);
	if (newest) {
		es_link_said(p, h->links);
		p->interval_us = min(h->interval_us, ES_INTERVAL_MAX_US);
	}
	if (e < p->rt_us)
		return;
	p->rt_us = e;
	p->rt_own_us = es->own_us;
	if (e >= es->echo_floor_us)
		after_gap(es, p);
}

static void acknowledge(struct es_peer *p, u64 seq)
{
	if (seq > p->ack_high) {
		u64 shift = seq - p->ack_high;

		p->ack_bits = shift < 64 ? p->ack_bits << shift : 0;
		p->ack_high = seq;
	}
	if (p->ack_high - seq < 64)
		p->ack_bits |= 1ull << (p->ack_high - seq);
}

/**
 * es_rx_mismatch() - whether a peer has another key for an SA's SPI, told once
 * @es: namespace, locked
 * @sa: an SA that a peer named, or that has come here
 */
void es_rx_mismatch(struct es_net *es, struct es_sa *sa)
{
	bool clash = es_sa_clashes(es, sa);

	if (!clash)
		clear_bit(ES_SA_MISMATCH, &sa->flags);
	else if (!test_and_set_bit(ES_SA_MISMATCH, &sa->flags))
		es_event_sa(es, ESPSYNC_EVENT_KEY_MISMATCH, sa,
			    "a peer has this SPI with another key: it is not protected; delete it on the standby and let it be mirrored again");
}

/* Not overtaken by a newer name, as far as one can tell: that would put the SA back to the group that it has left. */
static bool counts(struct es_net *es, struct es_peer *p, const struct es_wire_rec *r, u64 seq)
{
	struct es_sa *sa = es_sa_deref(es, xa_load(&p->map, r->handle));
	bool same = sa && sa->spi == cpu_to_be32(r->spi) && sa->proto == r->proto && sa->fp == r->fp && r->group == sa->g->id &&
		    !(sa->astray & BIT(p->index));

	return es_role_name_counts(sa, same, seq, p->name_seq);
}

static bool apply_name(struct es_net *es, struct es_peer *p, const struct es_wire_rec *r, u64 seq)
{
	struct es_group *g = es_place_find(es, r->group);
	__be32 spi = cpu_to_be32(r->spi);
	struct es_sa *sa;

	if (!counts(es, p, r, seq))
		return false;
	spin_lock_bh(&es->sa_lock);
	sa = es_sa_find(es, r->proto, spi, r->fp);
	if (!sa)
		sa = es_sa_new(es, r->proto, spi, r->fp);
	if (sa && !sa->x) {
		if (r->flags & ES_NAME_HELD)
			es_sa_revive(es, sa);
		es_place_named(es, sa, g ?: &es->groups[0]);
		sa->dir = r->dir;
		sa->family = r->family;
		memcpy(&sa->daddr, r->daddr, sizeof(sa->daddr));
	}
	spin_unlock_bh(&es->sa_lock);
	if (!sa || xa_err(xa_store(&p->map, r->handle, es_sa_ref(sa), GFP_KERNEL))) {
		es->full = true;
		p->drops[ESPSYNC_DROP_NO_MEMORY]++;
		return false;
	}
	p->name_seq = max(p->name_seq, seq);
	if (r->flags & ES_NAME_HELD) {
		sa->ann |= BIT(p->index);
		sa->ann_seen |= BIT(p->index);
		set_bit(ES_SA_NAMED, &sa->flags);
	}
	if (r->group == sa->g->id && sa->astray & BIT(p->index))
		__set_bit(sa->handle, p->dirty);	/* what it agreed to meanwhile did not count: it is told again */
	es_sa_astray(es, sa, p, r->group != sa->g->id);
	if (!sa->x)
		es->scan_us = min(es->scan_us, es->clock_us - 900000);
	es_rx_mismatch(es, sa);
	return true;
}

/*
 * The peer has it no more. Its numbers stay for a while: charon deletes and adds again when an address changes. Longer if it did not say so, but has
 * lost its memory: then its charon may be given the SA again.
 */
static void apply_gone(struct es_net *es, struct es_peer *p, struct es_sa *sa, bool said)
{
	sa->ann &= ~BIT(p->index);
	sa->ann_seen &= ~BIT(p->index);
	es_sa_astray(es, sa, p, false);
	spin_lock_bh(&es->sa_lock);
	es_sa_entomb(es, sa, !said);
	spin_unlock_bh(&es->sa_lock);
	es_sa_set_dirty(es, sa);
}

static void apply_synced(struct es_net *es, struct es_peer *p)
{
	struct es_sa *sa;
	unsigned long i;

	p->peer_synced = true;
	xa_for_each(&es->sas, i, sa)
		if (sa->ann & ~sa->ann_seen & BIT(p->index))
			apply_gone(es, p, sa, false);
}

/* A handle of ours that means nothing to the peer: named again. Handle 0: all of them, its groups have changed. */
/* What it acknowledged before it had a group counts for nothing there: it is in once it has acknowledged all anew. */
static void tell_again(struct es_peer *p)
{
	bitmap_or(p->dirty, p->dirty, p->es->used, ES_MAX_SAS);
	bitmap_or(p->todo, p->todo, p->es->used, ES_MAX_SAS);
}

static void apply_unknown(struct es_net *es, struct es_peer *p, u32 handle)
{
	struct es_sa *sa = es_sa_get(es, handle);

	if (!handle) {
		bitmap_zero(p->named, ES_MAX_SAS);
		tell_again(p);
	}
	if (!sa)
		return;
	__clear_bit(handle, p->named);
	__set_bit(handle, p->dirty);
	__set_bit(handle, p->todo);
}

/* @owned: bit for each slot of a group whose owner says this. @seq: of the datagram */
static bool apply(struct es_net *es, struct es_peer *p, const struct es_wire_rec *r, unsigned long owned, u64 seq)
{
	struct es_sa *sa;

	if (r->type == ES_WIRE_NAME)
		return apply_name(es, p, r, seq);
	if (r->type == ES_WIRE_SYNCED) {
		apply_synced(es, p);
		return true;
	}
	if (r->type == ES_WIRE_UNKNOWN) {
		apply_unknown(es, p, r->handle);
		return true;
	}
	if (r->type == ES_WIRE_PACKET) {
		es_handover_take(es, r->packet, r->packet_len);
		return true;
	}
	sa = es_sa_deref(es, xa_load(&p->map, r->handle));
	if (!sa) {
		if (r->type == ES_WIRE_GONE)
			return true;
		p->drops[ESPSYNC_DROP_UNKNOWN_SA]++;
		if (p->n_unknown < ES_UNKNOWN)
			p->unknown[p->n_unknown++] = r->handle;
		return false;	/* not stored: not acknowledged */
	}
	switch (r->type) {
	case ES_WIRE_OUT:	/* the same key is the same direction on every node */
		if (sa->dir != ESPSYNC_DIR_IN)
			es_out_store(es, sa, r, p->node, owned & BIT(sa->g->slot) && r->flags & ES_OUT_GRANT);
		break;
	case ES_WIRE_IN:
		if (sa->dir != ESPSYNC_DIR_OUT && !es_in_merge(es, sa, r)) {
			p->drops[ESPSYNC_DROP_NO_MEMORY]++;
			return false;
		}
		break;
	case ES_WIRE_GONE:
		xa_erase(&p->map, r->handle);
		apply_gone(es, p, sa, true);
		break;
	}
	return true;
}

static bool sane(const struct es_wire_rec *r)
{
	if (r->handle >= ES_MAX_SAS || (r->type == ES_WIRE_OUT && r->ceiling > ES_CEILING_MAX))
		return false;
	return r->type != ES_WIRE_NAME ||
	       (r->dir <= ESPSYNC_DIR_OUT && (r->family == AF_INET || r->family == AF_INET6) && es_proto_numbered(r->proto));
}

/* Read to the end without applying: a datagram that is malformed anywhere changes nothing. */
static bool well_formed(struct es_net *es, struct es_cursor c)
{
	struct es_wire_group g;
	struct es_wire_head h;
	enum es_wire_got got;

	if (!es_wire_get_head(&c, &h))
		return false;
	while (h.ngroups--)
		if (!es_wire_get_group(&c, &h, &g))
			return false;
	do {
		got = es_wire_get_rec(&c, &es->rec);
		if (got == ES_WIRE_RECORD && !sane(&es->rec))
			return false;
	} while (got > ES_WIRE_NO_MORE);
	return got == ES_WIRE_NO_MORE;
}

/* It goes away in order: it stalls nobody, and what it said holds no longer. */
static void leaves(struct es_net *es, struct es_peer *p)
{
	struct es_group *g;

	es_peer_out(p);
	p->synced = false;
	p->synced_sent = false;
	p->heard_us = 0;
	p->deleted_in_own_us = 0;
	es->walk = 1;
	es_each_group(g, es) {
		p->in[g->slot].last_in_own_us = 0;
		if (g->owner == p->node)
			es_group_unsaid(g);
	}
	es->echo_floor_us = es->clock_us;	/* what it sent before, and was overtaken, is of before */
	trace_espsync_peer(p, ES_PEER_LEFT);
}

/* What a peer says of each group. Returns the slots of those whose owner it is; groups that this node does not have are passed over. */
static unsigned long groups(struct es_net *es, struct es_peer *p, struct es_cursor *c, const struct es_wire_head *h, bool newest, bool *left)
{
	unsigned long owned = 0, named = 0;
	struct es_wire_group w;
	struct es_group *g;
	unsigned int i;

	es->epochs.n = h->ngroups;
	for (i = 0; i < h->ngroups; i++) {
		es_wire_get_group(c, h, &w);
		*left |= w.flags & ES_GROUP_LEAVE;
		es->epochs.of[i] = (struct es_epoch){ .counter = w.epoch, .group = w.id, .node = w.node };
		g = es_place_find(es, w.id);
		if (!g)
			continue;
		named |= BIT(g->slot);
		es_group_heard(g, p, &w, h->echo, newest);
		if (w.role == ESPSYNC_ROLE_ACTIVE && w.epoch == g->epoch && w.node == g->epoch_node)
			owned |= BIT(g->slot);
	}
	for (i = 0; newest && i < ES_MAX_GROUPS; i++) {
		if (named & BIT(i) && !p->in[i].speaks)
			tell_again(p);
		p->in[i].speaks = named & BIT(i);
		if (!p->in[i].speaks)
			memset(&p->in[i].w, 0, sizeof(p->in[i].w));
	}
	if (newest) {
		if (es_role_promoted(&p->epochs, &es->epochs, es->cfg.node))
			es_out_gap_taken(es);
		p->epochs = es->epochs;
	}
	return owned;
}

static void content(struct es_net *es, struct es_peer *p, struct es_link *l, const struct es_opened *o)
{
	struct es_cursor c = { .p = o->data, .end = o->data + o->len };
	bool newest = o->seq >= p->ack_high, stored = true, records = false, left = false;
	struct es_wire_head h;
	enum es_wire_got got;
	unsigned long owned;

	if (!well_formed(es, c)) {
		p->drops[ESPSYNC_DROP_TRUNCATED]++;
		return;
	}
	es_wire_get_head(&c, &h);
	owned = groups(es, p, &c, &h, newest, &left);
	if (left) {
		leaves(es, p);
		return;
	}
	note_echo(es, p, l, &h, newest);
	es_tx_acked(es, p, h.ack_seq, h.ack_bits);
	while ((got = es_wire_get_rec(&c, &es->rec)) > ES_WIRE_NO_MORE) {
		records = true;
		if (got == ES_WIRE_PASSED_OVER)
			p->skipped++;
		else
			stored &= apply(es, p, &es->rec, owned, o->seq);
	}
	if (stored)
		acknowledge(p, o->seq);
	p->ack_due |= records;
}

/* @i: the link whose socket it came to */
static void datagram(struct es_net *es, unsigned int i, const struct es_addr *from, u8 *data, size_t len)
{
	struct es_opened o = {};
	struct es_peer *p;
	int err;

	if (len < 4) {
		es->drops[ESPSYNC_DROP_TRUNCATED]++;
		trace_espsync_receive(es, 0, 0, len, ESPSYNC_DROP_TRUNCATED);
		return;
	}
	p = es_peer_find(es, data[2]);
	if (!p || !es_addr_equal_ip(from, &p->link[i].addr)) {
		es->drops[ESPSYNC_DROP_UNKNOWN_PEER]++;
		trace_espsync_receive(es, data[2], 0, len, ESPSYNC_DROP_UNKNOWN_PEER);
		return;
	}
	err = es_session_open(&p->session, &es->keys, data, len, div_u64(es->clock_us, 1000), &o);
	trace_espsync_receive(es, p->node, o.seq, len, err < 0 ? -err - 1 : -1);
	if (o.version)
		p->version = o.version;
	if (err < 0) {
		p->drops[min_t(unsigned int, -err - 1, __ESPSYNC_DROP_MAX - 1)]++;
		return;
	}
	if (o.kind == ES_IN_DATA) {
		p->rx_bytes += len;
		p->heard_us = es->clock_us;
		p->link[i].heard_us = es->clock_us;
		if (o.new_session)
			trace_espsync_peer(p, ES_PEER_SESSION);
		if (o.new_session && o.new_boot)
			new_memory(es, p);
	}
	if (o.send_hello)
		es_tx_hello(es, p);
	if (o.send_data)
		es_tx_speak(es, p, es_link_all(p), 0);
	if (o.kind == ES_IN_DATA)
		content(es, p, &p->link[i], &o);
}

/**
 * es_rx_discard() - without a key nobody is believed
 * @es: namespace, locked
 */
void es_rx_discard(struct es_net *es)
{
	struct sk_buff *skb;
	struct es_addr from;
	unsigned int i;

	for (i = 0; i < ES_LINKS; i++) {
		while (es->sock[i] && (skb = es_sock_recv(es->sock[i], &from))) {
			es->drops[ESPSYNC_DROP_KEY_ID]++;
			kfree_skb(skb);
		}
	}
}

/*
 * This node stood still, and tick() has not noticed yet. What has come since, and is about to be read, says who was promoted meanwhile to one who does not
 * know that this concerns him. It is lost.
 */
static bool unnoticed_gap(const struct es_net *es)
{
	return es_clock_us() - es->tick_at_us > es->cfg.detect_ms * 1000ull;
}

static void from_link(struct es_net *es, unsigned int i)
{
	struct sk_buff *skb;
	struct es_addr from;
	unsigned int n;

	for (n = 0; n < ES_RX_BATCH; n++) {
		skb = es_sock_recv(es->sock[i], &from);
		if (!skb)
			return;
		if (!unnoticed_gap(es))
			datagram(es, i, &from, skb->data, skb->len);
		kfree_skb(skb);
	}
	WRITE_ONCE(es->kick, true);
}

/**
 * es_rx() - take in what has come; a flood on one link does not keep the other waiting
 * @es: namespace, locked
 */
void es_rx(struct es_net *es)
{
	struct es_peer *p;
	unsigned int i;

	for (i = 0; i < ES_LINKS; i++)
		if (es->sock[i])
			from_link(es, i);
	list_for_each_entry(p, &es->peers, list)
		if (p->ack_due)
			es_tx_speak(es, p, BIT(es_link_data(p)), 0);
}
