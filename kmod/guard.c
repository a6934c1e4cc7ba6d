// SPDX-License-Identifier: GPL-2.0
/*
 * guard.c - a standby is silent.
 *
 * Job: a netfilter hook that drops what a guarded group's address would send: packets that one of its SAs would transform, ESP, ESP in UDP
 * and IKE. Registered only while some group is standby.
 * What may not enter: anything that a packet does not need.
 *
 * It stands at NF_IP_PRI_LAST - 1, behind SNAT, which attaches the IPsec bundle at priority 100 inside POST_ROUTING; it walks the whole bundle, because
 * transport-mode states behind IPComp are not the first of it. IPTFS passes it with packets that have their numbers already: out.c stops those states.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/udp.h>
#include <net/dst.h>

#include "events.h"
#include "group.h"
#include "handover.h"
#include "place.h"
#include "sa.h"
#include "trace.h"

#define ES_IKE_PORT	500
#define ES_NATT_PORT	4500

static bool is_standby(const struct es_group *g)
{
	return g && READ_ONCE(g->role) == ESPSYNC_ROLE_STANDBY;
}

/* What had its number while the group was active may still leave, until es_group_stand_down() has waited for it. */
static bool is_silent(const struct es_group *g)
{
	return is_standby(g) && READ_ONCE(g->silent);
}

/* The state of the bundle that is a standby group's, or NULL. */
static const struct xfrm_state *guarded(struct es_net *es, const struct sk_buff *skb, struct es_group **g)
{
	const struct dst_entry *dst = skb_dst(skb);

	for (; dst && dst->xfrm; dst = xfrm_dst_child(dst)) {
		*g = es_place_out(es, dst->xfrm);
		if (is_standby(*g))
			return dst->xfrm;
	}
	return NULL;
}

/* ESP, ESP in UDP or IKE. First of all: most of what passes here is none of these. @spi: result: of ESP, else 0. */
static bool is_tunnel_traffic(const struct sk_buff *skb, u8 proto, unsigned int off, bool fragment, __be32 *spi)
{
	const struct udphdr *uh;
	struct udphdr buf;
	const __be32 *p;
	__be32 first;

	*spi = 0;
	if (proto == IPPROTO_UDP && !fragment) {
		uh = skb_header_pointer(skb, off, sizeof(buf), &buf);
		if (!uh || (uh->source != htons(ES_IKE_PORT) && uh->source != htons(ES_NATT_PORT)))
			return false;
		if (uh->source == htons(ES_IKE_PORT))
			return true;
		off += sizeof(*uh);	/* RFC 3948 2.2: an SPI, or 0 before IKE */
	} else if (proto != IPPROTO_ESP) {
		return proto == IPPROTO_AH;
	}
	p = fragment ? NULL : skb_header_pointer(skb, off, sizeof(first), &first);
	if (p)
		*spi = *p;
	return true;
}

/*
 * Whether a silent standby would send it. IKE goes with its addresses, and so does ESP, but where a group has only some of the SAs between them: then it goes
 * with its SA. guarded() has met that one before, or should have.
 */
static bool sent_by_standby(struct es_net *es, u16 family, const void *saddr, const void *daddr, __be32 spi)
{
	if (!spi || !READ_ONCE(es->selects))
		return is_silent(es_place(es, family, saddr, daddr));
	return is_silent(es_sa_sender(es, family, daddr, spi) ?: es_place_esp(es, family, saddr, daddr));
}

static bool sent_from_group(struct es_net *es, const struct sk_buff *skb, u8 pf)
{
	unsigned int at = skb_network_offset(skb);
	__be32 spi;

	if (pf == NFPROTO_IPV4) {
		const struct iphdr *ip = ip_hdr(skb);

		return is_tunnel_traffic(skb, ip->protocol, at + ip->ihl * 4, ip->frag_off & htons(IP_OFFSET), &spi) &&
		       sent_by_standby(es, AF_INET, &ip->saddr, &ip->daddr, spi);
	}
	if (pf == NFPROTO_IPV6) {
		const struct ipv6hdr *ip = ipv6_hdr(skb);
		u8 next = ip->nexthdr;
		__be16 frag = 0;
		int off;

		off = ipv6_skip_exthdr(skb, at + sizeof(*ip), &next, &frag);
		return off > 0 && is_tunnel_traffic(skb, next, off, frag & htons(~7), &spi) &&
		       sent_by_standby(es, AF_INET6, &ip->saddr, &ip->daddr, spi);
	}
	return false;
}

static unsigned int drop_guarded(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct es_net *es = es_net_of(state->net);
	const struct xfrm_state *x;
	struct es_group *g;

	if (!es)
		return NF_ACCEPT;
	x = guarded(es, skb, &g);
	if (x && es_handover_hold(g, skb))
		return NF_STOLEN;
	if (!x && !sent_from_group(es, skb, state->pf))
		return NF_ACCEPT;
	atomic64_inc(&es->refused);
	trace_espsync_refuse(es, state->pf == NFPROTO_IPV4 ? AF_INET : AF_INET6, x ? x->id.spi : 0, skb->len);
	return NF_DROP;
}

static const struct nf_hook_ops guard_ops = {
	.hook = drop_guarded,
	.pf = NFPROTO_INET,
	.hooknum = NF_INET_POST_ROUTING,
	.priority = NF_IP_PRI_LAST - 1,
};

static bool wanted(struct es_net *es)
{
	const struct es_group *g;

	es_each_group(g, es)
		if (es->up && g->role == ESPSYNC_ROLE_STANDBY && es_placed(g))
			return true;
	return false;
}

/**
 * es_guard_update() - have the hook if and only if some group is standby and has addresses
 * @es: namespace, locked
 * Return: 0, or why it could not be registered. Context: process, sleeps
 */
int es_guard_update(struct es_net *es)
{
	bool want = wanted(es);
	int err = 0;

	if (want && !es->guard_up) {
		err = nf_register_net_hook(es->net, &guard_ops);
		es->guard_up = !err;
		if (err)
			es_event_text(es, ESPSYNC_EVENT_UNPROTECTED, 0,
				      "cannot register the guard: this standby's SAs are stopped one by one instead; reload the module");
	} else if (!want) {
		es_guard_remove(es);
	}
	return err;
}

/**
 * es_guard_remove() - take the hook away
 * @es: namespace, locked
 * Context: process, sleeps
 */
void es_guard_remove(struct es_net *es)
{
	if (es->guard_up)
		nf_unregister_net_hook(es->net, &guard_ops);
	es->guard_up = false;
}
