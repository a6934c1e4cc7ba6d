// SPDX-License-Identifier: GPL-2.0
/*
 * events.c - multicast: events, and the stream of counters.
 *
 * Job: tell subscribers what happened. Nobody there, or no memory: nothing is lost but the message.
 * What may not enter: decisions.
 */
#include "channel.h"
#include "events.h"
#include "netlink.h"
#include "nl_fill.h"
#include "ready.h"
#include "sa.h"
#include "xstate.h"

#define ES_COUNTER_US		10000
#define ES_COUNTER_BATCH	256
#define ES_COUNTER_SCAN		4096

/* @g: NULL: it concerns no group, or all */
static struct sk_buff *begin(struct es_net *es, enum espsync_event type, const struct es_group *g, void **hdr, struct nlattr **nest)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&es_family, es->net, ES_MCGRP_EVENT))
		return NULL;
	skb = genlmsg_new(NLMSG_GOODSIZE, GFP_ATOMIC);
	if (!skb)
		return NULL;
	*hdr = genlmsg_put(skb, 0, 0, &es_family, 0, ESPSYNC_CMD_EVENT);
	*nest = *hdr ? nla_nest_start(skb, ESPSYNC_A_EVENT) : NULL;
	if (*nest && !nla_put_u8(skb, ESPSYNC_A_EVENT_TYPE, type) && (!g || !nla_put_u32(skb, ESPSYNC_A_EVENT_GROUP, g->id)))
		return skb;
	nlmsg_free(skb);
	return NULL;
}

static void end(struct es_net *es, struct sk_buff *skb, void *hdr, struct nlattr *nest, const char *text)
{
	if (text && nla_put_string(skb, ESPSYNC_A_EVENT_TEXT, text)) {
		nlmsg_free(skb);
		return;
	}
	nla_nest_end(skb, nest);
	genlmsg_end(skb, hdr);
	genlmsg_multicast_netns(&es_family, es->net, skb, 0, ES_MCGRP_EVENT, GFP_ATOMIC);
}

/**
 * es_event_sa() - something happened to an SA
 * @es: namespace
 * @type: what
 * @sa: to whom
 * @text: one sentence
 * Context: any
 */
void es_event_sa(struct es_net *es, enum espsync_event type, const struct es_sa *sa, const char *text)
{
	struct nlattr *nest;
	struct sk_buff *skb;
	void *hdr;

	if (type != ESPSYNC_EVENT_SA)
		pr_warn_ratelimited("espsync: SA spi 0x%08x: %s\n", be32_to_cpu(sa->spi), text);
	skb = begin(es, type, READ_ONCE(sa->g), &hdr, &nest);
	if (!skb)
		return;
	if (es_nl_addr(skb, ESPSYNC_A_EVENT_DST, sa->family, &sa->daddr) || nla_put_be32(skb, ESPSYNC_A_EVENT_SPI, sa->spi) ||
	    nla_put_u8(skb, ESPSYNC_A_EVENT_PROTO, sa->proto))
		nlmsg_free(skb);
	else
		end(es, skb, hdr, nest, text);
}

/**
 * es_event_peer() - a peer's state changed
 * @p: the peer, locked
 * @g: group in which it did, or NULL
 * @text: or NULL
 * Context: process
 */
void es_event_peer(const struct es_peer *p, const struct es_group *g, const char *text)
{
	static const char * const name[] = { "down", "joining", "up", "out" };
	u8 state = g ? es_peer_state_in(g, p) : es_peer_state(p);
	struct es_net *es = p->es;
	struct nlattr *nest;
	struct sk_buff *skb;
	void *hdr;

	if (g && g->slot)
		pr_info_ratelimited("espsync: peer %u in group %u is %s\n", p->node, g->id, text ?: name[state]);
	else
		pr_info_ratelimited("espsync: peer %u is %s\n", p->node, text ?: name[state]);
	skb = begin(es, ESPSYNC_EVENT_PEER, g, &hdr, &nest);
	if (!skb)
		return;
	if (nla_put_u8(skb, ESPSYNC_A_EVENT_PEER, p->node) || nla_put_u8(skb, ESPSYNC_A_EVENT_PEER_STATE, state))
		nlmsg_free(skb);
	else
		end(es, skb, hdr, nest, text);
}

/**
 * es_event_link() - one of two links to a peer has changed
 * @p: the peer, locked
 * @l: the link
 * @state: enum espsync_link_state
 * Context: process
 */
void es_event_link(const struct es_peer *p, const struct es_link *l, u8 state)
{
	static const char * const text[] = {
		[ESPSYNC_LINK_DOWN] = "nothing is heard on this link, the other one carries all",
		[ESPSYNC_LINK_ONE_WAY] = "the peer does not hear this node on this link, the other one carries all",
		[ESPSYNC_LINK_UP] = "heard both ways",
	};
	struct es_net *es = p->es;
	struct nlattr *nest;
	struct sk_buff *skb;
	void *hdr;

	if (l->addr.family == AF_INET)
		pr_warn_ratelimited("espsync: peer %u at %pI4: %s\n", p->node, &l->addr.v4, text[state]);
	else
		pr_warn_ratelimited("espsync: peer %u at %pI6c: %s\n", p->node, &l->addr.v6, text[state]);
	skb = begin(es, ESPSYNC_EVENT_LINK, NULL, &hdr, &nest);
	if (!skb)
		return;
	if (nla_put_u8(skb, ESPSYNC_A_EVENT_PEER, p->node) || es_nl_addr(skb, ESPSYNC_A_EVENT_LINK, l->addr.family, &l->addr.v6) ||
	    nla_put_u8(skb, ESPSYNC_A_EVENT_LINK_STATE, state))
		nlmsg_free(skb);
	else
		end(es, skb, hdr, nest, text[state]);
}

/**
 * es_event_role() - this node's role changed
 * @g: group, locked
 * @text: why
 * Context: process
 */
void es_event_role(const struct es_group *g, const char *text)
{
	static const char * const name[] = { "undecided", "standby", "active" };
	struct es_net *es = g->es;
	struct nlattr *nest;
	struct sk_buff *skb;
	void *hdr;

	pr_info("espsync: group %u is %s here, epoch %llu: %s\n", g->id, name[g->role], g->epoch, text);
	skb = begin(es, ESPSYNC_EVENT_ROLE, g, &hdr, &nest);
	if (!skb)
		return;
	if (nla_put_u8(skb, ESPSYNC_A_EVENT_ROLE, g->role) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_EVENT_EPOCH, g->epoch, ESPSYNC_A_EVENT_PAD))
		nlmsg_free(skb);
	else
		end(es, skb, hdr, nest, text);
}

static void tell(struct es_net *es, enum espsync_event type, const struct es_group *g, u8 node, const char *text)
{
	struct nlattr *nest;
	struct sk_buff *skb;
	void *hdr;

	if (node && g && g->slot)
		pr_warn_ratelimited("espsync: peer %u in group %u: %s\n", node, g->id, text);
	else if (node)
		pr_warn_ratelimited("espsync: peer %u: %s\n", node, text);
	else
		pr_warn_ratelimited("espsync: %s\n", text);
	skb = begin(es, type, g, &hdr, &nest);
	if (!skb)
		return;
	if (node && nla_put_u8(skb, ESPSYNC_A_EVENT_PEER, node))
		nlmsg_free(skb);
	else
		end(es, skb, hdr, nest, text);
}

/**
 * es_event_conflict() - two nodes are active in a group
 * @g: group, locked
 * @node: the other one
 * @text: one sentence
 * Context: process
 */
void es_event_conflict(const struct es_group *g, u8 node, const char *text)
{
	tell(g->es, ESPSYNC_EVENT_CONFLICT, g, node, text);
}

/**
 * es_event_text() - anything else
 * @es: namespace
 * @type: what
 * @node: peer concerned, 0 none
 * @text: one sentence
 * Context: any
 */
void es_event_text(struct es_net *es, enum espsync_event type, u8 node, const char *text)
{
	tell(es, type, NULL, node, text);
}

/**
 * es_event_ready() - a failover would lose something now, or nothing any more
 * @es: namespace, locked
 * @r: the first reason, NULL: none
 * Context: process
 */
void es_event_ready(struct es_net *es, const struct es_reason *r)
{
	const char *text = r ? r->text : "a failover would lose nothing";
	struct nlattr *nest;
	struct sk_buff *skb;
	void *hdr;

	if (!r)
		pr_info("espsync: ready again\n");
	else
		pr_warn("espsync: not ready: group %u: %s\n", r->group, text);
	skb = begin(es, ESPSYNC_EVENT_READY, NULL, &hdr, &nest);
	if (!skb)
		return;
	if (r && (nla_put_u8(skb, ESPSYNC_A_EVENT_REASON, r->code) || nla_put_u32(skb, ESPSYNC_A_EVENT_GROUP, r->group) ||
		  (r->peer && nla_put_u8(skb, ESPSYNC_A_EVENT_PEER, r->peer))))
		nlmsg_free(skb);
	else
		end(es, skb, hdr, nest, text);
}

static bool tell_counters(struct es_net *es, struct es_sa *sa)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *hdr = skb ? genlmsg_put(skb, 0, 0, &es_family, 0, ESPSYNC_CMD_SA_GET) : NULL;

	if (!hdr || es_nl_sa(es, sa, skb)) {
		nlmsg_free(skb);
		return false;
	}
	genlmsg_end(skb, hdr);
	genlmsg_multicast_netns(&es_family, es->net, skb, 0, ES_MCGRP_COUNTER, GFP_KERNEL);
	return true;
}

/* Since subscribers were last told of an outbound SA. */
static bool has_sent(struct es_sa *sa)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	u64 before = sa->told;

	if (!x || sa->dir == ESPSYNC_DIR_IN)
		return false;
	spin_lock_bh(&x->lock);
	sa->told = es_x_oseq(x);
	spin_unlock_bh(&x->lock);
	return sa->told != before;
}

/* Outbound SAs are not sampled for peers; for subscribers they are, a part of them each time. */
static void find_moved(struct es_net *es)
{
	unsigned int n = 0;
	struct es_sa *sa;
	unsigned long i;

	xa_for_each_start(&es->sas, i, sa, es->counter_cursor) {
		es->counter_cursor = i;
		if (n++ == ES_COUNTER_SCAN)
			return;		/* this one is the next round's first */
		if (has_sent(sa))
			__set_bit(sa->handle, es->counter_dirty);
	}
	es->counter_cursor = 0;
}

/**
 * es_event_counters() - the SAs that changed, to the group "counter"
 * @es: namespace, locked
 * Context: the thread
 *
 * What changes while nobody listens waits for the next one who does: a subscriber begins with everything.
 */
void es_event_counters(struct es_net *es)
{
	unsigned int n = 0;
	unsigned long h;
	struct es_sa *sa;

	if (!es->counter_dirty || es->clock_us - es->counter_us < ES_COUNTER_US || !genl_has_listeners(&es_family, es->net, ES_MCGRP_COUNTER))
		return;
	es->counter_us = es->clock_us;
	find_moved(es);
	for_each_set_bit_wrap(h, es->counter_dirty, ES_MAX_SAS, es->counter_next) {
		es->counter_next = h;
		if (n++ == ES_COUNTER_BATCH)
			return;
		sa = es_sa_get(es, h);
		if (sa && sa->x && !tell_counters(es, sa))
			return;
		__clear_bit(h, es->counter_dirty);
	}
}
