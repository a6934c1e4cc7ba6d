// SPDX-License-Identifier: GPL-2.0
/*
 * handover.c - packets that wait while a group changes hands.
 *
 * Job: what a node that has just ceased to be active would still encrypt is not dropped at once, nor what comes to its successor before that is told.
 * For ES_HOLD_US it waits, is given to the node that is active then, over the channel and before encryption, or is let go if that is this one.
 * What may not enter: who is active, numbers. A packet is bytes with an IP header.
 *
 * Contexts: es_handover_hold() runs in the guard, softirq or process, BH off, and RCU; the rest is the thread's, es->lock held. g->held has a lock of
 * its own, a leaf. What waits holds its route and so devices: no longer than some rounds of the thread behind ES_HOLD_US. It may have come over a device
 * that is gone by then.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/ip6_route.h>
#include <net/route.h>

#include "channel.h"
#include "group.h"
#include "handover.h"
#include "place.h"

#define ES_HOLD_US	100000
#define ES_HOLD_PACKETS	4096	/* of a group; a big one that a device is to cut counts as what it is cut into */
#define ES_HAND_PACKETS	64	/* handed over at a time: the channel has more to say, and the other node's line is short */

static int pieces(const struct sk_buff *skb)
{
	return max_t(int, skb_shinfo(skb)->gso_segs, 1);
}

/* What a policy asked of it beside its addresses does not travel: elsewhere it could meet somebody else's. */
static bool marked(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	return skb->mark || (dst && dst->xfrm && (dst->xfrm->mark.m || dst->xfrm->if_id));
}

static struct sk_buff *next_held(struct es_group *g)
{
	struct sk_buff *skb = skb_dequeue(&g->held);

	if (!skb)
		return NULL;
	atomic_sub(pieces(skb), &g->held_pieces);
	skb->dev = skb_dst(skb) ? skb_dst(skb)->dev : g->es->net->loopback_dev;
	return skb;
}

/**
 * es_handover_hold() - keep a packet that the guard would drop
 * @g: its group
 * @skb: the packet, with its route
 * Return: true if it is this room's now. Context: the guard, no lock held
 */
bool es_handover_hold(struct es_group *g, struct sk_buff *skb)
{
	if (!READ_ONCE(g->holding))
		return false;
	if (atomic_add_return(pieces(skb), &g->held_pieces) > ES_HOLD_PACKETS || (marked(skb) && !skb_dst_force(skb))) {
		atomic_sub(pieces(skb), &g->held_pieces);
		return false;
	}
	skb_dst_force(skb);	/* without a route, which is just going, it can still be handed over */
	skb->dev = NULL;
	skb_queue_tail(&g->held, skb);
	return true;
}

/**
 * es_handover_begin() - this node is no longer active, or its owner has ceased to be; from now on packets wait
 * @g: group, locked
 */
void es_handover_begin(struct es_group *g)
{
	g->hold_until_us = es_clock_us() + ES_HOLD_US;
	WRITE_ONCE(g->holding, true);
}

/* Another node is active, and can be told. */
static struct es_peer *successor(const struct es_group *g)
{
	struct es_peer *p;

	list_for_each_entry(p, &g->es->peers, list) {
		const struct es_wire_group *w = &p->in[g->slot].w;

		if (es_peer_heard(p) && w->role == ESPSYNC_ROLE_ACTIVE && w->epoch == g->epoch && w->node == p->node)
			return p;
	}
	return NULL;
}

/* Active again: as if it had not stopped. */
static void let_go(struct es_group *g)
{
	struct sk_buff *skb;

	while ((skb = next_held(g))) {
		if (!skb_dst(skb)) {
			g->es->unheld++;
			kfree_skb(skb);
			continue;
		}
		local_bh_disable();
		dst_output(g->es->net, skb->sk, skb);
		local_bh_enable();
	}
}

static void drop(struct es_group *g)
{
	struct sk_buff *skb;

	while ((skb = next_held(g))) {
		g->es->unheld++;
		kfree_skb(skb);
	}
}

/* As it would go over a wire: in one piece, with its checksum. */
static bool plain(struct sk_buff *skb)
{
	return (skb->ip_summed != CHECKSUM_PARTIAL || !skb_checksum_help(skb)) && !skb_linearize(skb);
}

/* Into @q, cut if it is a big one that a device was to cut. Returns how many could not be. */
static unsigned int cut(struct sk_buff *skb, struct sk_buff_head *q)
{
	struct sk_buff *segs = NULL, *next;
	unsigned int lost = 0;

	if (skb_is_gso(skb)) {
		segs = skb_gso_segment(skb, 0);
		if (IS_ERR_OR_NULL(segs)) {
			kfree_skb(skb);
			return 1;
		}
		consume_skb(skb);
		skb = segs;
	}
	skb_list_walk_safe(skb, skb, next) {
		skb_mark_not_on_list(skb);
		if (plain(skb)) {
			__skb_queue_tail(q, skb);
		} else {
			kfree_skb(skb);
			lost++;
		}
	}
	return lost;
}

/* Some at a time. */
static void hand_over(struct es_group *g, struct es_peer *p)
{
	struct es_net *es = g->es;
	struct sk_buff_head q;
	struct sk_buff *skb;

	__skb_queue_head_init(&q);
	while (skb_queue_len(&q) < ES_HAND_PACKETS && (skb = next_held(g))) {
		if (marked(skb)) {
			kfree_skb(skb);
			es->unheld++;
			continue;
		}
		es->unheld += cut(skb, &q);
	}
	if (!skb_queue_empty_lockless(&g->held))
		WRITE_ONCE(es->kick, true);
	es->handed += skb_queue_len(&q);
	es->unheld += es_tx_packets(es, p, &q);
}

static void settle(struct es_group *g)
{
	struct es_peer *heir;

	if (g->holding && g->es->clock_us > g->hold_until_us)
		WRITE_ONCE(g->holding, false);
	if (skb_queue_empty_lockless(&g->held))
		return;
	heir = successor(g);
	if (g->role == ESPSYNC_ROLE_ACTIVE)
		let_go(g);
	else if (heir)
		hand_over(g, heir);
	else if (!g->holding)
		drop(g);
}

/**
 * es_handover() - what has become of packets that wait
 * @es: namespace, locked
 */
void es_handover(struct es_net *es)
{
	struct es_group *g;

	es_each_group(g, es)
		settle(g);
}

/**
 * es_handover_forget() - nothing waits for a group that is to go
 * @g: group, locked
 */
void es_handover_forget(struct es_group *g)
{
	WRITE_ONCE(g->holding, false);
	synchronize_rcu();	/* the guard may just be keeping one */
	drop(g);
}

/**
 * es_handover_end() - nothing waits any more
 * @es: namespace, locked; the guard is gone
 */
void es_handover_end(struct es_net *es)
{
	struct es_group *g;

	for (g = es->groups; g < es->groups + ES_MAX_GROUPS; g++) {
		WRITE_ONCE(g->holding, false);
		drop(g);
	}
}

static struct sk_buff *packet(const u8 *data, size_t len)
{
	struct sk_buff *skb = alloc_skb(LL_MAX_HEADER + len, GFP_KERNEL);

	if (!skb)
		return NULL;
	skb_reserve(skb, LL_MAX_HEADER);
	skb_put_data(skb, data, len);
	skb_reset_network_header(skb);
	return skb;
}

/* Both: the route, and what policies make of it. Only a whole packet gets one. */
static struct dst_entry *route4(struct net *net, struct sk_buff *skb)
{
	const struct iphdr *ip = ip_hdr(skb);
	struct flowi4 fl4 = {};
	struct rtable *rt;

	if (skb->len < sizeof(*ip) || ip->ihl < 5 || skb->len < ip->ihl * 4 || ntohs(ip->tot_len) != skb->len)
		return ERR_PTR(-EINVAL);
	skb->protocol = htons(ETH_P_IP);
	skb_set_transport_header(skb, ip->ihl * 4);
	fl4.daddr = ip->daddr;
	fl4.saddr = ip->saddr;
	fl4.flowi4_flags = FLOWI_FLAG_ANYSRC;
	rt = ip_route_output_key(net, &fl4);
	if (IS_ERR(rt) || es_decode_session(net, skb, flowi4_to_flowi(&fl4), AF_INET))
		return IS_ERR(rt) ? ERR_CAST(rt) : &rt->dst;
	return xfrm_lookup(net, &rt->dst, flowi4_to_flowi(&fl4), NULL, 0);
}

static struct dst_entry *route6(struct net *net, struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_IPV6)
	const struct ipv6hdr *ip = ipv6_hdr(skb);
	struct flowi6 fl6 = {};
	struct dst_entry *dst;

	if (skb->len < sizeof(*ip) || ntohs(ip->payload_len) + sizeof(*ip) != skb->len)
		return ERR_PTR(-EINVAL);
	skb->protocol = htons(ETH_P_IPV6);
	skb_set_transport_header(skb, sizeof(*ip));
	fl6.daddr = ip->daddr;
	fl6.saddr = ip->saddr;
	fl6.flowi6_flags = FLOWI_FLAG_ANYSRC;
	dst = ip6_route_output(net, NULL, &fl6);
	if (dst->error || es_decode_session(net, skb, flowi6_to_flowi(&fl6), AF_INET6))
		return dst;
	return xfrm_lookup(net, dst, flowi6_to_flowi(&fl6), NULL, 0);
#else
	return ERR_PTR(-EAFNOSUPPORT);
#endif
}

/* Whether the first state that it would meet is of a group that is active here. What nothing would encrypt is never sent. */
static bool ours(struct es_net *es, const struct dst_entry *dst)
{
	const struct es_group *g;
	u8 dir;

	if (dst->error || !dst->xfrm)
		return false;
	g = es_place_state(es, dst->xfrm, &dir);
	return g && g->role == ESPSYNC_ROLE_ACTIVE;
}

/**
 * es_handover_take() - a packet that another node could not send any more
 * @es: namespace, locked
 * @data: the packet, from its IP header on, as its old owner had forwarded it
 * @len: length
 *
 * It goes out as if it had come here, if it meets an SA of a group that is active here; else it is counted as lost.
 */
void es_handover_take(struct es_net *es, const u8 *data, size_t len)
{
	struct sk_buff *skb = len ? packet(data, len) : NULL;
	struct dst_entry *dst;

	if (!skb) {
		es->unheld++;
		return;
	}
	dst = data[0] >> 4 == 4 ? route4(es->net, skb) : data[0] >> 4 == 6 ? route6(es->net, skb) : ERR_PTR(-EINVAL);
	if (IS_ERR(dst) || !ours(es, dst)) {
		if (!IS_ERR(dst))
			dst_release(dst);
		kfree_skb(skb);
		es->unheld++;
		return;
	}
	skb_dst_set(skb, dst);
	skb->dev = dst->dev;
	es->taken++;
	local_bh_disable();
	dst_output(es->net, NULL, skb);
	local_bh_enable();
}
