// SPDX-License-Identifier: GPL-2.0
/*
 * nl_fill.c - what userspace is shown of channel, peers, groups, SAs and counters.
 *
 * Job: objects to attributes. Reads, never changes.
 * What may not enter: requests, cluster keys.
 *
 * Context: process, es->lock held.
 */
#include "channel.h"
#include "group.h"
#include "nl_fill.h"
#include "place.h"
#include "sa.h"
#include "xstate.h"

int es_nl_addr(struct sk_buff *skb, int type, u16 family, const void *raw)
{
	return nla_put(skb, type, family == AF_INET ? 4 : 16, raw);
}

/* Which keys are loaded: their numbers and public ids, never more. */
static int put_keys(const struct es_keys *k, struct sk_buff *skb)
{
	const struct es_key *key;

	for (key = k->key; key < k->key + ES_MAX_KEYS; key++) {
		struct nlattr *nest;

		if (!key->live)
			continue;
		nest = nla_nest_start(skb, ESPSYNC_A_CHANNEL_KEYS);
		if (!nest || nla_put_u8(skb, ESPSYNC_A_KEY_NUMBER, key->number) ||
		    nla_put(skb, ESPSYNC_A_KEY_ID, sizeof(key->id), key->id) ||
		    nla_put_u8(skb, ESPSYNC_A_KEY_USED, key == es_keys_used(k)))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

/**
 * es_nl_channel() - the channel's nest
 * @es: namespace, locked, with a channel
 * @skb: message
 * Return: 0 or -EMSGSIZE
 */
int es_nl_channel(struct es_net *es, struct sk_buff *skb)
{
	const struct es_key *used = es_keys_used(&es->keys);
	const struct es_config *c = &es->cfg;
	struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_CHANNEL);

	if (!nest || nla_put_u8(skb, ESPSYNC_A_CHANNEL_NODE, c->node) ||
	    es_nl_addr(skb, ESPSYNC_A_CHANNEL_LOCAL, c->local[0].family, &c->local[0].v6) ||
	    (c->local[1].family && es_nl_addr(skb, ESPSYNC_A_CHANNEL_LOCAL2, c->local[1].family, &c->local[1].v6)) ||
	    nla_put_be16(skb, ESPSYNC_A_CHANNEL_PORT, c->local[0].port) ||
	    (*c->dev && nla_put_string(skb, ESPSYNC_A_CHANNEL_DEV, c->dev)) ||
	    (used && nla_put(skb, ESPSYNC_A_CHANNEL_KEY_ID, sizeof(used->id), used->id)) ||
	    nla_put_u32(skb, ESPSYNC_A_CHANNEL_TICK_US, c->tick_us) ||
	    nla_put_u32(skb, ESPSYNC_A_CHANNEL_RECORDS_PER_S, c->records_per_s) ||
	    nla_put_u32(skb, ESPSYNC_A_CHANNEL_RATE_KBIT, c->rate_kbit) ||
	    nla_put_u32(skb, ESPSYNC_A_CHANNEL_DEAD_MS, c->dead_ms) ||
	    nla_put_u32(skb, ESPSYNC_A_CHANNEL_DETECT_MS, c->detect_ms) ||
	    nla_put_u32(skb, ESPSYNC_A_CHANNEL_EVICT_MS, c->evict_ms) ||
	    nla_put_u32(skb, ESPSYNC_A_CHANNEL_INTERVAL_US, max(es->interval_us, c->tick_us)) ||
	    nla_put_string(skb, ESPSYNC_A_CHANNEL_VERSION, ES_VERSION) || put_keys(&es->keys, skb))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_drops(struct sk_buff *skb, int type, const u64 *drops)
{
	unsigned int i;

	for (i = 0; i < __ESPSYNC_DROP_MAX; i++) {
		struct nlattr *nest;

		if (!drops[i])
			continue;
		nest = nla_nest_start(skb, type);
		if (!nest || nla_put_u8(skb, ESPSYNC_A_DROP_REASON, i) ||
		    nla_put_u64_64bit(skb, ESPSYNC_A_DROP_COUNT, drops[i], ESPSYNC_A_DROP_PAD))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

static int put_hist(struct sk_buff *skb, int type, const u64 *hist)
{
	struct nlattr *nest = nla_nest_start(skb, type);
	unsigned int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < ES_HIST; i++)
		if (nla_put_u64_64bit(skb, ESPSYNC_A_HIST_BUCKET, hist[i], ESPSYNC_A_HIST_PAD))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_links(struct es_net *es, const struct es_peer *p, struct sk_buff *skb)
{
	const struct es_link *l, *data = &p->link[es_link_data(p)];

	es_each_link(l, p) {
		struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_PEER_LINK);
		u64 ago_us = es->clock_us - min(es->clock_us, l->heard_us);

		if (!nest || es_nl_addr(skb, ESPSYNC_A_LINK_ADDR, l->addr.family, &l->addr.v6) ||
		    nla_put_be16(skb, ESPSYNC_A_LINK_PORT, l->addr.port) ||
		    nla_put_u8(skb, ESPSYNC_A_LINK_STATE, es_link_state(p, l)) ||
		    (l->heard_us && nla_put_u32(skb, ESPSYNC_A_LINK_HEARD_MS, min_t(u64, div_u64(ago_us, 1000), U32_MAX))) ||
		    (l->rtt_us && nla_put_u32(skb, ESPSYNC_A_LINK_RTT_US, l->rtt_us)) ||
		    nla_put_u8(skb, ESPSYNC_A_LINK_DATA, l == data))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

/* SAs of ours that the peer has in its kernel; not all before it has heard that it was told of all. */
static u32 synced(struct es_peer *p, u32 total)
{
	u64 lacks = es_peer_unsynced(p) + !p->synced;
	const struct es_group *g;

	es_each_group(g, p->es)
		lacks += p->in[g->slot].w.waiting + p->in[g->slot].w.mismatched;
	return p->heard_us && es_peer_heard(p) ? total - min_t(u64, total, lacks) : 0;
}

/**
 * es_sa_live() - SAs that are in this kernel
 * @es: namespace, locked
 * Return: how many
 */
u32 es_sa_live(struct es_net *es)
{
	struct es_sa *sa;
	unsigned long i;
	u32 n = 0;

	xa_for_each(&es->sas, i, sa)
		n += !!sa->x;
	return n;
}

/**
 * es_nl_peer() - a peer's nest
 * @p: the peer, locked
 * @total: SAs that are in this kernel
 * @skb: message
 * Return: 0 or -EMSGSIZE
 */
int es_nl_peer(struct es_peer *p, u32 total, struct sk_buff *skb)
{
	struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_PEER);
	const struct es_key *key = es_peer_key(p);
	const struct es_addr *addr = &p->link[0].addr;
	u32 rtt_us = p->link[es_link_data(p)].rtt_us;

	if (!nest || nla_put_u8(skb, ESPSYNC_A_PEER_NODE, p->node) ||
	    es_nl_addr(skb, ESPSYNC_A_PEER_ADDR, addr->family, &addr->v6) ||
	    nla_put_be16(skb, ESPSYNC_A_PEER_PORT, addr->port) ||
	    nla_put_u8(skb, ESPSYNC_A_PEER_STATE, es_peer_state(p)) ||
	    nla_put_u32(skb, ESPSYNC_A_PEER_SAS_SYNCED, synced(p, total)) ||
	    nla_put_u32(skb, ESPSYNC_A_PEER_SAS_TOTAL, total) ||
	    (rtt_us && nla_put_u32(skb, ESPSYNC_A_PEER_RTT_US, rtt_us)) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_PEER_TX_BYTES, p->tx_bytes, ESPSYNC_A_PEER_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_PEER_RX_BYTES, p->rx_bytes, ESPSYNC_A_PEER_PAD) ||
	    (p->version && nla_put_u8(skb, ESPSYNC_A_PEER_VERSION, p->version)) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_PEER_SKIPPED, p->skipped, ESPSYNC_A_PEER_PAD) ||
	    (key && nla_put(skb, ESPSYNC_A_PEER_KEY_ID, sizeof(key->id), key->id)) ||
	    put_links(p->es, p, skb) || put_drops(skb, ESPSYNC_A_PEER_DROPPED, p->drops) ||
	    put_hist(skb, ESPSYNC_A_PEER_LAG_PACKETS, p->lag_packets) ||
	    put_hist(skb, ESPSYNC_A_PEER_LAG_US, p->lag_us))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static bool unprotectable(const struct es_sa *sa)
{
	return test_bit(ES_SA_INEXACT, &sa->flags) || test_bit(ES_SA_OFFLOAD, &sa->flags) ||
	       (sa->x && sa->dir == ESPSYNC_DIR_IN && !es_x_window_size(sa->x));
}

static bool is_hot(const struct es_sa *sa)
{
	if (sa->dir == ESPSYNC_DIR_IN)
		return !list_empty(&sa->hot);
	return ktime_get_real_seconds() - es_x_peek(sa->x->lastused) <= 1;
}

/**
 * es_sa_state() - as shown
 * @es: namespace, locked
 * @sa: the SA
 * Return: enum espsync_sa_state
 */
enum espsync_sa_state es_sa_state(struct es_net *es, struct es_sa *sa)
{
	if (test_bit(ES_SA_MISMATCH, &sa->flags))
		return ESPSYNC_SA_KEY_MISMATCH;
	if (!sa->x)
		return ESPSYNC_SA_WAITING;
	if (unprotectable(sa))
		return ESPSYNC_SA_UNPROTECTED;
	if (test_bit(ES_SA_STALE, &sa->flags))
		return ESPSYNC_SA_STALE;
	return is_hot(sa) ? ESPSYNC_SA_HOT : ESPSYNC_SA_COLD;
}

static bool owner_has(struct es_net *es, const struct es_sa *sa)
{
	struct es_peer *p = es_peer_find(es, sa->g->owner);

	return p && sa->ann & BIT(p->index);
}

/* Known by a peer that could take over, or told by an owner. */
static bool backed(struct es_net *es, const struct es_sa *sa)
{
	struct es_peer *p;

	if (sa->g->role == ESPSYNC_ROLE_STANDBY)
		return owner_has(es, sa) && !sa->astray && es_group_in(sa->g);
	list_for_each_entry(p, &es->peers, list)
		if (p->in[sa->g->slot].is_in && test_bit(sa->handle, p->named) && !(sa->astray & BIT(p->index)))
			return true;
	return false;
}

/* The least that a peer which is in lacks in its kernel. */
static u32 lacking(const struct es_group *g)
{
	const struct es_peer *p;
	u32 least = U32_MAX;

	list_for_each_entry(p, &g->es->peers, list)
		if (p->in[g->slot].is_in)
			least = min(least, p->in[g->slot].w.waiting + p->in[g->slot].w.mismatched);
	return least;
}

/**
 * es_sa_census() - how many SAs would survive this node or their owner
 * @es: namespace, locked
 * @c: result, by slot
 */
void es_sa_census(struct es_net *es, struct es_census *c)
{
	struct es_group *g;
	struct es_sa *sa;
	unsigned long i;

	memset(c, 0, ES_MAX_GROUPS * sizeof(*c));
	xa_for_each(&es->sas, i, sa) {
		enum espsync_sa_state state;

		if (test_bit(ES_SA_DEAD, &sa->flags) || (!sa->x && !owner_has(es, sa)))
			continue;
		c[sa->g->slot].total++;
		state = es_sa_state(es, sa);
		if (state == ESPSYNC_SA_COLD || state == ESPSYNC_SA_HOT)
			c[sa->g->slot].protected += backed(es, sa);
	}
	es_each_group(g, es)
		if (g->role == ESPSYNC_ROLE_ACTIVE)
			c[g->slot].protected -= min(c[g->slot].protected, lacking(g));
}

static int put_prefix(struct sk_buff *skb, const struct es_prefix *p)
{
	struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_PREFIX);

	if (!nest || es_nl_addr(skb, ESPSYNC_A_PREFIX_ADDR, p->a.family, &p->a.v6) ||
	    nla_put_u8(skb, ESPSYNC_A_PREFIX_LEN, p->len))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_select(const struct es_select *s, struct sk_buff *skb)
{
	if ((s->asks & ES_ASKS_MARK &&
	     (nla_put_u32(skb, ESPSYNC_A_GROUP_MARK, s->mark) || nla_put_u32(skb, ESPSYNC_A_GROUP_MARK_MASK, s->mask))) ||
	    (s->asks & ES_ASKS_IF_ID && nla_put_u32(skb, ESPSYNC_A_GROUP_IF_ID, s->if_id)) ||
	    (s->asks & ES_ASKS_REQID &&
	     (nla_put_u32(skb, ESPSYNC_A_GROUP_REQID_MIN, s->reqid_min) || nla_put_u32(skb, ESPSYNC_A_GROUP_REQID_MAX, s->reqid_max))))
		return -EMSGSIZE;
	return 0;
}

static int put_scope(const struct es_group *g, struct sk_buff *skb)
{
	const struct es_scope *s = rcu_dereference_protected(g->scope, lockdep_is_held(&g->es->lock));
	struct nlattr *nest;
	unsigned int i;

	if (!s)
		return 0;
	nest = nla_nest_start(skb, ESPSYNC_A_GROUP_ADDRS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < s->n_local; i++)
		if (es_nl_addr(skb, ESPSYNC_A_ADDR, s->p[i].a.family, &s->p[i].a.v6))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	if (!s->n_remote)
		return put_select(&s->select, skb);
	nest = nla_nest_start(skb, ESPSYNC_A_GROUP_REMOTES);
	if (!nest)
		return -EMSGSIZE;
	for (; i < s->n_local + s->n_remote; i++)
		if (put_prefix(skb, &s->p[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return put_select(&s->select, skb);
}

/**
 * es_nl_group() - a group's nest
 * @g: group, locked
 * @skb: message
 * @c: its SAs
 * @doubtful: of a promote
 * @flushed: of a demote; negative: not one
 * Return: 0 or -EMSGSIZE
 */
int es_nl_group(const struct es_group *g, struct sk_buff *skb, const struct es_census *c, u32 doubtful, int flushed)
{
	struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_GROUP);

	if (!nest || nla_put_u32(skb, ESPSYNC_A_GROUP_ID, g->id) || put_scope(g, skb) ||
	    nla_put_u8(skb, ESPSYNC_A_GROUP_ROLE, g->role) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_GROUP_EPOCH, g->epoch, ESPSYNC_A_GROUP_PAD) ||
	    nla_put_u8(skb, ESPSYNC_A_GROUP_EPOCH_NODE, g->epoch_node) ||
	    (g->owner && nla_put_u8(skb, ESPSYNC_A_GROUP_OWNER, g->owner)) ||
	    nla_put_u8(skb, ESPSYNC_A_GROUP_DOUBT, g->doubt) ||
	    nla_put_u8(skb, ESPSYNC_A_GROUP_OVERRUN, g->go_on) ||
	    nla_put_u8(skb, ESPSYNC_A_GROUP_EVICT_NEVER, g->evict_never) ||
	    nla_put_u8(skb, ESPSYNC_A_GROUP_STORE, g->store) ||
	    nla_put_u8(skb, ESPSYNC_A_GROUP_INBOUND, g->strict ? ESPSYNC_INBOUND_STRICT : ESPSYNC_INBOUND_LENIENT) ||
	    nla_put_u32(skb, ESPSYNC_A_GROUP_SAS_TOTAL, c->total) ||
	    nla_put_u32(skb, ESPSYNC_A_GROUP_SAS_PROTECTED, c->protected) ||
	    nla_put_u32(skb, ESPSYNC_A_GROUP_PPS, g->pps) ||
	    (g->takeover && nla_put_s64(skb, ESPSYNC_A_GROUP_TAKEOVER, g->takeover, ESPSYNC_A_GROUP_PAD)) ||
	    nla_put_u32(skb, ESPSYNC_A_GROUP_DOUBTFUL, doubtful) ||
	    (flushed >= 0 && nla_put_u8(skb, ESPSYNC_A_GROUP_FLUSHED, flushed)) ||
	    (g->role == ESPSYNC_ROLE_STANDBY && nla_put_u8(skb, ESPSYNC_A_GROUP_IN, es_group_in(g))))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* 64-bit words of bits to bytes, bit i of byte i / 8 is number seq - i. */
static int put_bitmap(struct sk_buff *skb, const struct es_window *w)
{
	unsigned int i, n = DIV_ROUND_UP(w->nbits, 8);
	struct nlattr *a = nla_reserve(skb, ESPSYNC_A_SA_BITMAP, n);
	u8 *b;

	if (!a)
		return -EMSGSIZE;
	b = nla_data(a);
	for (i = 0; i < n; i++)
		b[i] = w->bits[i / 4] >> (8 * (i % 4));
	return 0;
}

static int put_numbers(struct es_net *es, struct es_sa *sa, struct sk_buff *skb)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	u64 oseq, bytes, packets;

	if (!x)
		return 0;
	spin_lock_bh(&x->lock);
	oseq = es_x_oseq(x);
	bytes = x->curlft.bytes;
	packets = x->curlft.packets;
	es_x_read(x, &es->win, ES_WINDOW_MAX);
	spin_unlock_bh(&x->lock);
	if (nla_put_u64_64bit(skb, ESPSYNC_A_SA_OSEQ, oseq, ESPSYNC_A_SA_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_SA_SEQ, es->win.seq, ESPSYNC_A_SA_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_SA_BYTES, bytes, ESPSYNC_A_SA_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_SA_PACKETS, packets, ESPSYNC_A_SA_PAD) ||
	    nla_put_u32(skb, ESPSYNC_A_SA_WINDOW, es_x_window_size(x)) || put_bitmap(skb, &es->win))
		return -EMSGSIZE;
	if (sa->g->role != ESPSYNC_ROLE_ACTIVE || sa->dir != ESPSYNC_DIR_IN)
		return 0;
	return nla_put_u64_64bit(skb, ESPSYNC_A_SA_LAG_PACKETS, es->win.seq - min(es->win.seq, sa->sent_seq), ESPSYNC_A_SA_PAD);
}

static u8 owner_of(struct es_net *es, const struct es_sa *sa)
{
	if (sa->g->role == ESPSYNC_ROLE_ACTIVE)
		return es->cfg.node;
	return sa->g->owner;
}

/**
 * es_nl_sa() - an SA's nest
 * @es: namespace, locked
 * @sa: the SA
 * @skb: message
 * Return: 0 or -EMSGSIZE
 */
int es_nl_sa(struct es_net *es, struct es_sa *sa, struct sk_buff *skb)
{
	struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_SA);
	__be64 fp = cpu_to_be64(sa->fp);
	u8 owner = owner_of(es, sa);

	if (!nest || es_nl_addr(skb, ESPSYNC_A_SA_DST, sa->family, &sa->daddr) ||
	    nla_put_be32(skb, ESPSYNC_A_SA_SPI, sa->spi) || nla_put_u8(skb, ESPSYNC_A_SA_PROTO, sa->proto) ||
	    nla_put(skb, ESPSYNC_A_SA_FINGERPRINT, sizeof(fp), &fp) || nla_put_u8(skb, ESPSYNC_A_SA_DIR, sa->dir) ||
	    nla_put_u8(skb, ESPSYNC_A_SA_STATE, es_sa_state(es, sa)) || nla_put_u32(skb, ESPSYNC_A_SA_GROUP, sa->g->id) ||
	    (sa->dir == ESPSYNC_DIR_OUT && sa->l.target &&
	     (nla_put_u64_64bit(skb, ESPSYNC_A_SA_CEILING, sa->l.target, ESPSYNC_A_SA_PAD) ||
	      nla_put_u32(skb, ESPSYNC_A_SA_LEASE, sa->l.lease))) ||
	    (owner && nla_put_u8(skb, ESPSYNC_A_SA_OWNER, owner)) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_SA_AGE_US, es->clock_us - min(es->clock_us, sa->moved_us), ESPSYNC_A_SA_PAD) ||
	    put_numbers(es, sa, skb))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * es_nl_stats() - the namespace's counters
 * @es: namespace, locked, with a channel
 * @skb: message
 * Return: 0 or -EMSGSIZE
 */
int es_nl_stats(struct es_net *es, struct sk_buff *skb)
{
	struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_STATS);
	u64 drops[__ESPSYNC_DROP_MAX];
	u32 queued = 0;
	unsigned int i;

	memcpy(drops, es->drops, sizeof(drops));
	for (i = 0; i < ES_LINKS && es->sock[i]; i++) {
		drops[ESPSYNC_DROP_RATE] += es_sock_rate_drops(es->sock[i]);
		drops[ESPSYNC_DROP_NO_MEMORY] += es_sock_nomem_drops(es->sock[i]);
		queued += es_sock_queued(es->sock[i]);
	}
	if (!nest || put_drops(skb, ESPSYNC_A_STATS_DROPPED, drops) || nla_put_u32(skb, ESPSYNC_A_STATS_SAS, es_sa_live(es)) ||
	    nla_put_u32(skb, ESPSYNC_A_STATS_HOT, es->n_hot) || nla_put_u32(skb, ESPSYNC_A_STATS_WAITING, es->n_waiting) ||
	    nla_put_u32(skb, ESPSYNC_A_STATS_TOMBSTONES, es->n_tombs) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_RENEWALS, es->renewals, ESPSYNC_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_STALLS, READ_ONCE(es->stalls), ESPSYNC_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_MERGES, es->merges, ESPSYNC_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_REFUSED, atomic64_read(&es->refused), ESPSYNC_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_HANDED, es->handed, ESPSYNC_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_TAKEN, es->taken, ESPSYNC_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_UNHELD, es->unheld, ESPSYNC_A_STATS_PAD) ||
	    nla_put_u64_64bit(skb, ESPSYNC_A_STATS_READD_WINDOW, READ_ONCE(es->readd), ESPSYNC_A_STATS_PAD) ||
	    nla_put_u32(skb, ESPSYNC_A_STATS_RX_QUEUE, queued))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}
