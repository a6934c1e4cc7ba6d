// SPDX-License-Identifier: GPL-2.0
/*
 * link.c - the links to a peer: which of them are heard, and which carries the data.
 *
 * Job: a peer has one address or two, and this node one of its own for each. Both links are watched: keepalives go over each, and every datagram says
 * on which links its sender hears the receiver, so that a link which is cut one way only is noticed by the side that hears nothing wrong. Sessions and
 * numbers belong to the peer, not to a link: a datagram may go over either.
 * What may not enter: whether a peer lives (peer.c), bytes of datagrams, sockets.
 *
 * Context: process, es->lock held.
 */
#include "channel.h"
#include "events.h"

/* Data leaves a link that is silent for a third of dead_ms, which is five keepalives: the other one is to have it before anybody counts as down. */
#define ES_LINK_PART	3

/**
 * es_link_why_not() - what is wrong with the addresses of a peer
 * @c: this node's
 * @addr: the peer's
 * Return: a sentence, or NULL
 */
const char *es_link_why_not(const struct es_config *c, const struct es_addr addr[ES_LINKS])
{
	if (addr[0].family != c->local[0].family)
		return "the peer's address has not the family of the channel's: give both as IPv4 or both as IPv6";
	if (!addr[0].port)
		return "port must be 1 to 65535";
	if (!addr[1].family)
		return NULL;
	if (!c->local[1].family)
		return "the peer has a second address and this node has none: give it one first (local ADDR ADDR2, as a module parameter local=ADDR;ADDR2)";
	if (addr[1].family != c->local[1].family)
		return "the peer's second address has not the family of the channel's second: give both as IPv4 or both as IPv6";
	if (!addr[1].port)
		return "port must be 1 to 65535";
	if (es_addr_equal_ip(&addr[0], &addr[1]))
		return "the peer's second address is its first one: give the one that it has on the other link";
	return NULL;
}

/**
 * es_link_set() - where a peer is
 * @p: the peer
 * @addr: its addresses
 */
void es_link_set(struct es_peer *p, const struct es_addr addr[ES_LINKS])
{
	unsigned int i;

	for (i = 0; i < ES_LINKS; i++) {
		struct es_link *l = &p->link[i];

		if (!addr[i].family || !l->addr.family)
			*l = (struct es_link) { .told = ESPSYNC_LINK_UP, .since_us = p->es->clock_us };
		l->addr = addr[i];
	}
}

static bool lately(const struct es_peer *p, u64 then_us, unsigned int part)
{
	return then_us && p->es->clock_us - then_us <= p->es->cfg.dead_ms * 1000ull / part;
}

/**
 * es_link_data() - the link that what is to be acknowledged goes over
 * @p: the peer
 * Return: its index: the first that is heard both ways; else one on which the peer hears this node; else one on which it is heard
 */
unsigned int es_link_data(const struct es_peer *p)
{
	unsigned int best = 0, best_rank = 0;
	const struct es_link *l;

	es_each_link(l, p) {
		unsigned int rank = 2 * lately(p, l->said_us, ES_LINK_PART) + lately(p, l->heard_us, ES_LINK_PART);

		if (rank > best_rank) {
			best = l - p->link;
			best_rank = rank;
		}
	}
	return best;
}

/**
 * es_link_all() - the links that there are
 * @p: the peer
 * Return: bits
 */
unsigned long es_link_all(const struct es_peer *p)
{
	return p->link[1].addr.family ? BIT(0) | BIT(1) : BIT(0);
}

/**
 * es_link_heard() - the links on which a peer is heard, as it is told
 * @p: the peer
 * Return: bits
 */
unsigned long es_link_heard(const struct es_peer *p)
{
	const struct es_link *l;
	unsigned long links = 0;

	es_each_link(l, p)
		if (lately(p, l->heard_us, ES_LINK_PART))
			links |= BIT(l - p->link);
	return links;
}

/**
 * es_link_quiet() - the links over which nothing has gone for some time
 * @p: the peer
 * @us: so long
 * Return: bits
 */
unsigned long es_link_quiet(const struct es_peer *p, u64 us)
{
	const struct es_link *l;
	unsigned long links = 0;

	es_each_link(l, p)
		if (p->es->clock_us - l->sent_us >= us)
			links |= BIT(l - p->link);
	return links;
}

/**
 * es_link_said() - a peer says on which links it hears this node
 * @p: the peer
 * @links: bits
 */
void es_link_said(struct es_peer *p, unsigned long links)
{
	struct es_link *l;

	es_each_link(l, p)
		if (links & BIT(l - p->link))
			l->said_us = p->es->clock_us;
}

/**
 * es_link_forget() - a peer has lost its memory: its clock may have begun anew, and so have echoes
 * @p: the peer
 */
void es_link_forget(struct es_peer *p)
{
	struct es_link *l;

	es_each_link(l, p) {
		l->echo_ts = 0;
		l->rt_us = 0;
	}
}

/**
 * es_link_echo() - whose timestamp a datagram echoes
 * @p: the peer
 * @i: the link that the datagram will go over
 * Return: the same link while the peer is heard there, so that the answer says how long that link takes; else where it was heard last
 *
 * An older timestamp than the newest errs safely: it proves less.
 */
const struct es_link *es_link_echo(const struct es_peer *p, unsigned int i)
{
	const struct es_link *l, *newest = &p->link[0];

	if (lately(p, p->link[i].heard_us, ES_LINK_PART))
		return &p->link[i];
	es_each_link(l, p)
		if (l->echo_ts > newest->echo_ts)
			newest = l;
	return newest;
}

/**
 * es_link_rtt_us() - how long an answer may take
 * @p: the peer
 * Return: microseconds: of the link that carries the data, or of a slower one that the answer may come over; 0 unknown
 */
u32 es_link_rtt_us(const struct es_peer *p)
{
	u32 rtt_us = p->link[es_link_data(p)].rtt_us;
	const struct es_link *l;

	es_each_link(l, p)
		if (lately(p, l->heard_us, 1))
			rtt_us = max(rtt_us, l->rtt_us);
	return rtt_us;
}

/**
 * es_link_state() - as shown
 * @p: the peer
 * @l: one of its links
 * Return: enum espsync_link_state
 */
u8 es_link_state(const struct es_peer *p, const struct es_link *l)
{
	if (!es_peer_heard(p) || !lately(p, l->heard_us, 1))
		return ESPSYNC_LINK_DOWN;
	return lately(p, l->said_us, 1) ? ESPSYNC_LINK_UP : ESPSYNC_LINK_ONE_WAY;
}

/**
 * es_link_tick() - tell what has become of one link of two
 * @p: the peer
 *
 * Told once it has been so for dead_ms while the peer was heard: a peer that dies takes both links with it, and says so as a peer.
 */
void es_link_tick(struct es_peer *p)
{
	u64 now = p->es->clock_us;
	struct es_link *l;

	if (!p->link[1].addr.family)
		return;
	es_each_link(l, p) {
		u8 state = es_link_state(p, l);

		if (state == l->told || !lately(p, p->heard_us, ES_LINK_PART)) {
			l->since_us = now;
		} else if (now - l->since_us > p->es->cfg.dead_ms * 1000ull) {
			l->told = state;
			es_event_link(p, l, state);
		}
	}
}
