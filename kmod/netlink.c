// SPDX-License-Identifier: GPL-2.0
/*
 * netlink.c - the generic netlink family "espsync": requests.
 *
 * Job: check what is asked, take es->lock, call the room that does it, answer. Every refusal says in its extended ack what is wrong and what helps.
 * What may not enter: how things are done. What is shown is nl_fill.c's.
 *
 * Context: process. Handlers run in parallel (parallel_ops): a promote that waits must not hold up the other families.
 */
#include <linux/delay.h>
#include <net/genetlink.h>

#include "channel.h"
#include "events.h"
#include "group.h"
#include "handover.h"
#include "in.h"
#include "km.h"
#include "netlink.h"
#include "nl_fill.h"
#include "nl_scope.h"
#include "out.h"
#include "place.h"
#include "ready.h"
#include "sa.h"

#define ES_FLUSH_MS	1000
#define ES_READY_BYTES	16384	/* of a message of reasons: what libnl has room for at once */

static const struct nla_policy channel_policy[ESPSYNC_A_CHANNEL_MAX + 1] = {
	[ESPSYNC_A_CHANNEL_NODE] = NLA_POLICY_MIN(NLA_U8, 1),
	[ESPSYNC_A_CHANNEL_LOCAL] = { .type = NLA_BINARY, .len = 16 },
	[ESPSYNC_A_CHANNEL_PORT] = { .type = NLA_U16 },
	[ESPSYNC_A_CHANNEL_DEV] = { .type = NLA_NUL_STRING, .len = IFNAMSIZ - 1 },
	[ESPSYNC_A_CHANNEL_KEY] = NLA_POLICY_EXACT_LEN(ESPSYNC_KEY_LEN),
	[ESPSYNC_A_CHANNEL_TICK_US] = { .type = NLA_U32 },
	[ESPSYNC_A_CHANNEL_DEAD_MS] = { .type = NLA_U32 },
	[ESPSYNC_A_CHANNEL_DETECT_MS] = { .type = NLA_U32 },
	[ESPSYNC_A_CHANNEL_EVICT_MS] = { .type = NLA_U32 },
	[ESPSYNC_A_CHANNEL_RELEASE] = { .type = NLA_FLAG },
	[ESPSYNC_A_CHANNEL_LOCAL2] = { .type = NLA_BINARY, .len = 16 },
	[ESPSYNC_A_CHANNEL_RECORDS_PER_S] = { .type = NLA_U32 },
	[ESPSYNC_A_CHANNEL_RATE_KBIT] = { .type = NLA_U32 },
};

static const struct nla_policy peer_policy[ESPSYNC_A_PEER_MAX + 1] = {
	[ESPSYNC_A_PEER_NODE] = NLA_POLICY_MIN(NLA_U8, 1),
	[ESPSYNC_A_PEER_ADDR] = { .type = NLA_BINARY, .len = 16 },
	[ESPSYNC_A_PEER_PORT] = { .type = NLA_U16 },
	[ESPSYNC_A_PEER_ADDR2] = { .type = NLA_BINARY, .len = 16 },
	[ESPSYNC_A_PEER_PORT2] = { .type = NLA_U16 },
};

/* More than a policy's own s16 holds. */
static struct netlink_range_validation timeout_range = { .max = 60000 };

static struct netlink_range_validation group_range = { .max = ESPSYNC_MAX_GROUP };

static const struct nla_policy addr_policy[__ESPSYNC_A_ADDR_MAX] = {
	[ESPSYNC_A_ADDR] = { .type = NLA_BINARY, .len = 16 },
};

static const struct nla_policy remote_policy[__ESPSYNC_A_REMOTE_MAX] = {
	[ESPSYNC_A_PREFIX] = NLA_POLICY_NESTED(es_prefix_policy),
};

static const struct nla_policy group_policy[ESPSYNC_A_GROUP_MAX + 1] = {
	[ESPSYNC_A_GROUP_ID] = NLA_POLICY_FULL_RANGE(NLA_U32, &group_range),
	[ESPSYNC_A_GROUP_ADDRS] = NLA_POLICY_NESTED(addr_policy),
	[ESPSYNC_A_GROUP_DOUBT] = NLA_POLICY_MAX(NLA_U8, ESPSYNC_DOUBT_HOLD),
	[ESPSYNC_A_GROUP_OVERRUN] = NLA_POLICY_MAX(NLA_U8, 1),
	[ESPSYNC_A_GROUP_EVICT_NEVER] = NLA_POLICY_MAX(NLA_U8, 1),
	[ESPSYNC_A_GROUP_TIMEOUT_MS] = NLA_POLICY_FULL_RANGE(NLA_U32, &timeout_range),
	[ESPSYNC_A_GROUP_REMOTES] = NLA_POLICY_NESTED(remote_policy),
	[ESPSYNC_A_GROUP_STORE] = NLA_POLICY_MAX(NLA_U8, 1),
	[ESPSYNC_A_GROUP_MARK] = { .type = NLA_U32 },
	[ESPSYNC_A_GROUP_MARK_MASK] = { .type = NLA_U32 },
	[ESPSYNC_A_GROUP_IF_ID] = { .type = NLA_U32 },
	[ESPSYNC_A_GROUP_REQID_MIN] = { .type = NLA_U32 },
	[ESPSYNC_A_GROUP_REQID_MAX] = { .type = NLA_U32 },
	[ESPSYNC_A_GROUP_INBOUND] = NLA_POLICY_MAX(NLA_U8, ESPSYNC_INBOUND_STRICT),
};

static const struct nla_policy sa_policy[ESPSYNC_A_SA_MAX + 1] = {
	[ESPSYNC_A_SA_DST] = { .type = NLA_BINARY, .len = 16 },
	[ESPSYNC_A_SA_SPI] = { .type = NLA_U32 },
	[ESPSYNC_A_SA_PROTO] = { .type = NLA_U8 },
	[ESPSYNC_A_SA_FINGERPRINT] = NLA_POLICY_EXACT_LEN(ES_FP_LEN),
	[ESPSYNC_A_SA_DIR] = NLA_POLICY_MAX(NLA_U8, ESPSYNC_DIR_OUT),
	[ESPSYNC_A_SA_OSEQ] = { .type = NLA_U64 },
	[ESPSYNC_A_SA_CEILING] = { .type = NLA_U64 },
	[ESPSYNC_A_SA_SEQ] = { .type = NLA_U64 },
	[ESPSYNC_A_SA_WINDOW] = { .type = NLA_U32 },
	[ESPSYNC_A_SA_BITMAP] = { .type = NLA_BINARY, .len = ES_WINDOW_MAX / 8 },
	[ESPSYNC_A_SA_BYTES] = { .type = NLA_U64 },
	[ESPSYNC_A_SA_PACKETS] = { .type = NLA_U64 },
};

static const struct nla_policy helper_policy[ESPSYNC_A_HELPER_MAX + 1] = {
	[ESPSYNC_A_HELPER_KNOWN] = { .type = NLA_U32 },
	[ESPSYNC_A_HELPER_APPLIED] = { .type = NLA_U32 },
	[ESPSYNC_A_HELPER_MISSING] = { .type = NLA_U32 },
	[ESPSYNC_A_HELPER_REASON] = NLA_POLICY_RANGE(NLA_U8, ESPSYNC_REASON_IKE_MISSING, ESPSYNC_REASON_DRIFT),
	[ESPSYNC_A_HELPER_TEXT] = { .type = NLA_NUL_STRING, .len = 127 },
	[ESPSYNC_A_HELPER_DRIFT] = { .type = NLA_NUL_STRING, .len = ES_SAID_LEN - 1 },
	[ESPSYNC_A_HELPER_TUNNEL] = { .type = NLA_NUL_STRING, .len = 127 },
};

static const struct nla_policy key_policy[ESPSYNC_A_KEY_MAX + 1] = {
	[ESPSYNC_A_KEY_NUMBER] = { .type = NLA_U8 },
	[ESPSYNC_A_KEY_SECRET] = NLA_POLICY_EXACT_LEN(ESPSYNC_KEY_LEN),
};

static const struct nla_policy es_policy[ESPSYNC_A_MAX + 1] = {
	[ESPSYNC_A_CHANNEL] = NLA_POLICY_NESTED(channel_policy),
	[ESPSYNC_A_PEER] = NLA_POLICY_NESTED(peer_policy),
	[ESPSYNC_A_GROUP] = NLA_POLICY_NESTED(group_policy),
	[ESPSYNC_A_SA] = NLA_POLICY_NESTED(sa_policy),
	[ESPSYNC_A_HELPER] = NLA_POLICY_NESTED(helper_policy),
	[ESPSYNC_A_LOCAL] = { .type = NLA_FLAG },
	[ESPSYNC_A_KEY] = NLA_POLICY_NESTED(key_policy),
};

/* The request's nest, taken apart; NULL attributes where there is none. */
static int open_nest(struct genl_info *info, int type, struct nlattr **tb, int max, const struct nla_policy *policy)
{
	memset(tb, 0, sizeof(*tb) * (max + 1));
	if (!info->attrs[type])
		return 0;
	return nla_parse_nested(tb, max, info->attrs[type], policy, info->extack);
}

static struct es_net *lock_net(struct genl_info *info)
{
	struct es_net *es = es_net_of(genl_info_net(info));

	mutex_lock(&es->lock);
	return es;
}

static struct es_net *lock_channel(struct genl_info *info)
{
	struct es_net *es = lock_net(info);

	if (es->up) {
		es->clock_us = max(es->clock_us, es_clock_us());
		return es;
	}
	mutex_unlock(&es->lock);
	GENL_SET_ERR_MSG(info, "no channel in this network namespace: espsync channel set node N local ADDR");
	return NULL;
}

/* A sentence that outlives the request; NL_SET_ERR_MSG() takes literals only. */
static int refuse(struct genl_info *info, int err, const char *sentence)
{
	if (info->extack)
		info->extack->_msg = sentence;
	return err;
}

static struct sk_buff *reply_new(struct genl_info *info, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);

	if (!skb)
		return NULL;
	*hdr = genlmsg_put_reply(skb, info, &es_family, 0, info->genlhdr->cmd);
	if (*hdr)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

static int reply_send(struct genl_info *info, struct sk_buff *skb, void *hdr, int err)
{
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

static int channel_get(struct sk_buff *req, struct genl_info *info)
{
	struct es_net *es = lock_channel(info);
	struct sk_buff *skb;
	void *hdr;
	int err;

	if (!es)
		return -ENOENT;
	skb = reply_new(info, &hdr);
	err = skb ? es_nl_channel(es, skb) : -ENOMEM;
	mutex_unlock(&es->lock);
	return skb ? reply_send(info, skb, hdr, err) : err;
}

/**
 * es_config_port() - the port, of all sync addresses
 * @c: result
 * @port: it
 */
void es_config_port(struct es_config *c, __be16 port)
{
	unsigned int i;

	for (i = 0; i < ES_LINKS; i++)
		c->local[i].port = port;
}

/**
 * es_config_defaults() - as documented
 * @c: result
 */
void es_config_defaults(struct es_config *c)
{
	memset(c, 0, sizeof(*c));
	es_config_port(c, htons(ESPSYNC_PORT));
	c->tick_us = ES_TICK_US;
	c->records_per_s = ES_RECORDS_PER_S;
	c->dead_ms = ES_DEAD_MS;
	c->detect_ms = ES_DETECT_MS;
	c->evict_ms = ES_EVICT_MS;
}

/**
 * es_config_check() - whether values fit their ranges and each other
 * @c: values
 * @why: result: a sentence
 * Return: 0 or -ERANGE
 */
int es_config_check(const struct es_config *c, const char **why)
{
	*why = NULL;
	if (!c->node)
		*why = "node must be 1 to 255";
	else if (!c->local[0].port)
		*why = "port must be 1 to 65535";
	else if (c->local[1].family && es_addr_equal_ip(&c->local[0], &c->local[1]))
		*why = "the second local address is the first one: give the one on the other link";
	else if (c->tick_us < 100 || c->tick_us > ES_TICK_MAX_US)
		*why = "tick_us must be 100 to 10000";
	else if (c->records_per_s < ES_RECORDS_MIN || c->records_per_s > ES_RECORDS_MAX)
		*why = "records_per_s must be 1000 to 10000000";
	else if (c->rate_kbit && (c->rate_kbit < ES_RATE_MIN_KBIT || c->rate_kbit > ES_RATE_MAX_KBIT))
		*why = "rate_kbit must be 64 to 10000000, or 0 for no limit";
	else if (c->dead_ms < ES_NOTICE_MIN_MS || c->dead_ms > 60000)
		*why = "dead_ms must be 50 to 60000";
	else if (c->detect_ms < ES_NOTICE_MIN_MS || c->detect_ms > 60000)
		*why = "detect_ms must be 50 to 60000";
	else if (c->evict_ms <= 2 * c->detect_ms || c->evict_ms > ES_EVICT_MAX_MS)
		*why = "evict_ms must be more than twice detect_ms, and at most 600000";
	return *why ? -ERANGE : 0;
}

/* The second address belongs to the first: without it there is one link. */
static int read_local(struct genl_info *info, struct nlattr **tb, struct es_config *c)
{
	__be16 port = c->local[0].port;
	int err;

	if (!tb[ESPSYNC_A_CHANNEL_LOCAL])
		return tb[ESPSYNC_A_CHANNEL_LOCAL2] ? refuse(info, -EINVAL, "the second local address is given together with the first") : 0;
	memset(c->local, 0, sizeof(c->local));
	err = es_nl_get_addr(info, tb[ESPSYNC_A_CHANNEL_LOCAL], &c->local[0]);
	if (!err && tb[ESPSYNC_A_CHANNEL_LOCAL2])
		err = es_nl_get_addr(info, tb[ESPSYNC_A_CHANNEL_LOCAL2], &c->local[1]);
	es_config_port(c, port);
	return err;
}

static int read_config(struct genl_info *info, struct nlattr **tb, struct es_config *c)
{
	const char *why;
	int err;

	if (tb[ESPSYNC_A_CHANNEL_NODE])
		c->node = nla_get_u8(tb[ESPSYNC_A_CHANNEL_NODE]);
	err = read_local(info, tb, c);
	if (err)
		return err;
	if (tb[ESPSYNC_A_CHANNEL_PORT])
		es_config_port(c, nla_get_be16(tb[ESPSYNC_A_CHANNEL_PORT]));
	if (tb[ESPSYNC_A_CHANNEL_DEV])
		nla_strscpy(c->dev, tb[ESPSYNC_A_CHANNEL_DEV], sizeof(c->dev));
	if (tb[ESPSYNC_A_CHANNEL_TICK_US])
		c->tick_us = nla_get_u32(tb[ESPSYNC_A_CHANNEL_TICK_US]);
	if (tb[ESPSYNC_A_CHANNEL_RECORDS_PER_S])
		c->records_per_s = nla_get_u32(tb[ESPSYNC_A_CHANNEL_RECORDS_PER_S]);
	if (tb[ESPSYNC_A_CHANNEL_RATE_KBIT])
		c->rate_kbit = nla_get_u32(tb[ESPSYNC_A_CHANNEL_RATE_KBIT]);
	if (tb[ESPSYNC_A_CHANNEL_DEAD_MS])
		c->dead_ms = nla_get_u32(tb[ESPSYNC_A_CHANNEL_DEAD_MS]);
	if (tb[ESPSYNC_A_CHANNEL_DETECT_MS])
		c->detect_ms = nla_get_u32(tb[ESPSYNC_A_CHANNEL_DETECT_MS]);
	if (tb[ESPSYNC_A_CHANNEL_EVICT_MS])
		c->evict_ms = nla_get_u32(tb[ESPSYNC_A_CHANNEL_EVICT_MS]);
	if (!c->node)
		return refuse(info, -EINVAL, "node is missing");
	if (!c->local[0].family)
		return refuse(info, -EINVAL, "local address is missing");
	err = es_config_check(c, &why);
	return err ? refuse(info, err, why) : 0;
}

static int channel_apply(struct es_net *es, struct genl_info *info, struct nlattr **tb)
{
	struct es_config c;
	int err;

	if (es->closing) {
		GENL_SET_ERR_MSG(info, "the channel is being deleted: ask again");
		return -EBUSY;
	}
	if (es->up)
		c = es->cfg;
	else
		es_config_defaults(&c);
	err = read_config(info, tb, &c);
	if (err)
		return err;
	if (es->up && c.node != es->cfg.node) {
		GENL_SET_ERR_MSG(info, "a channel keeps its node number: espsync channel del first");
		return -EBUSY;
	}
	err = es->up ? es_channel_rebind(es, &c, info->extack) : es_channel_start(es, &c, info->extack);
	if (!err && tb[ESPSYNC_A_CHANNEL_KEY])
		es_channel_key(es, nla_data(tb[ESPSYNC_A_CHANNEL_KEY]));
	return err;
}

/* The request is freed after us; the key is not left in it. */
static void forget_key(struct nlattr *key)
{
	if (key)
		memzero_explicit(nla_data(key), ESPSYNC_KEY_LEN);
}

static int channel_set(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_CHANNEL_MAX + 1];
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_CHANNEL, tb, ESPSYNC_A_CHANNEL_MAX, channel_policy);

	if (err)
		return err;
	es = lock_net(info);
	err = channel_apply(es, info, tb);
	mutex_unlock(&es->lock);
	forget_key(tb[ESPSYNC_A_CHANNEL_KEY]);
	return err;
}

static int channel_del(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_CHANNEL_MAX + 1];
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_CHANNEL, tb, ESPSYNC_A_CHANNEL_MAX, channel_policy);

	if (err)
		return err;
	es = lock_channel(info);
	if (!es)
		return -ENOENT;
	es_channel_stop(es, tb[ESPSYNC_A_CHANNEL_RELEASE]);
	mutex_unlock(&es->lock);
	return 0;
}

static int key_apply(struct es_net *es, struct genl_info *info, u8 number, const struct nlattr *secret)
{
	switch (info->genlhdr->cmd) {
	case ESPSYNC_CMD_KEY_ADD:
		return es_channel_key_add(es, number, nla_data(secret), info->extack);
	case ESPSYNC_CMD_KEY_USE:
		return es_channel_key_use(es, number, info->extack);
	default:
		return es_channel_key_del(es, number, info->extack);
	}
}

static int key_change(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_KEY_MAX + 1];
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_KEY, tb, ESPSYNC_A_KEY_MAX, key_policy);

	if (err)
		return err;
	if (!tb[ESPSYNC_A_KEY_NUMBER])
		err = refuse(info, -EINVAL, "the key's number is missing");
	else if (!tb[ESPSYNC_A_KEY_SECRET] && info->genlhdr->cmd == ESPSYNC_CMD_KEY_ADD)
		err = refuse(info, -EINVAL, "the key is missing");
	es = err ? NULL : lock_channel(info);
	if (es) {
		err = key_apply(es, info, nla_get_u8(tb[ESPSYNC_A_KEY_NUMBER]), tb[ESPSYNC_A_KEY_SECRET]);
		mutex_unlock(&es->lock);
	}
	forget_key(tb[ESPSYNC_A_KEY_SECRET]);
	return es || err ? err : -ENOTCONN;
}

/* An address and its port. One that is not given is of no family. */
static int read_end(struct genl_info *info, const struct nlattr *a, const struct nlattr *port, struct es_addr *to)
{
	int err;

	memset(to, 0, sizeof(*to));
	if (!a)
		return port ? refuse(info, -EINVAL, "the peer's second port is given together with its second address") : 0;
	err = es_nl_get_addr(info, a, to);
	to->port = port ? nla_get_be16(port) : htons(ESPSYNC_PORT);
	return err;
}

static int peer_add(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_PEER_MAX + 1];
	struct es_addr addr[ES_LINKS];
	const char *why;
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_PEER, tb, ESPSYNC_A_PEER_MAX, peer_policy);

	if (err)
		return err;
	if (!tb[ESPSYNC_A_PEER_NODE] || !tb[ESPSYNC_A_PEER_ADDR])
		return refuse(info, -EINVAL, "the peer's node or address is missing");
	err = read_end(info, tb[ESPSYNC_A_PEER_ADDR], tb[ESPSYNC_A_PEER_PORT], &addr[0]);
	if (!err)
		err = read_end(info, tb[ESPSYNC_A_PEER_ADDR2], tb[ESPSYNC_A_PEER_PORT2], &addr[1]);
	if (err)
		return err;
	es = lock_channel(info);
	if (!es)
		return -ENOTCONN;
	why = es_link_why_not(&es->cfg, addr);
	if (nla_get_u8(tb[ESPSYNC_A_PEER_NODE]) == es->cfg.node)
		why = "that is this node's own number: each node has its own";
	err = why ? refuse(info, -EINVAL, why) : es_peer_add(es, nla_get_u8(tb[ESPSYNC_A_PEER_NODE]), addr, info->extack);
	mutex_unlock(&es->lock);
	return err;
}

static int peer_of(struct genl_info *info, struct es_net *es, struct es_peer **p, bool needed)
{
	struct nlattr *tb[ESPSYNC_A_PEER_MAX + 1];
	int err = open_nest(info, ESPSYNC_A_PEER, tb, ESPSYNC_A_PEER_MAX, peer_policy);

	*p = NULL;
	if (err)
		return err;
	if (!tb[ESPSYNC_A_PEER_NODE])
		return needed ? refuse(info, -EINVAL, "the peer's node is missing") : 0;
	*p = es_peer_find(es, nla_get_u8(tb[ESPSYNC_A_PEER_NODE]));
	if (*p)
		return 0;
	GENL_SET_ERR_MSG(info, "no such peer: espsync show peers");
	return -ENOENT;
}

static int peer_del(struct sk_buff *req, struct genl_info *info)
{
	struct es_net *es = lock_channel(info);
	struct es_peer *p;
	int err;

	if (!es)
		return -ENOTCONN;
	err = peer_of(info, es, &p, true);
	if (!err)
		es_peer_del(es, p);
	mutex_unlock(&es->lock);
	return err;
}

static int resync(struct sk_buff *req, struct genl_info *info)
{
	struct es_net *es = lock_channel(info);
	struct es_peer *p, *i;
	int err;

	if (!es)
		return -ENOTCONN;
	err = peer_of(info, es, &p, false);
	list_for_each_entry(i, &es->peers, list)
		if (!err && (!p || i == p))
			es_peer_resync(i);
	es_wake(es);
	mutex_unlock(&es->lock);
	return err;
}

static u32 group_id(struct nlattr **tb)
{
	return tb[ESPSYNC_A_GROUP_ID] ? nla_get_u32(tb[ESPSYNC_A_GROUP_ID]) : 0;
}

static struct es_group *group_of(struct es_net *es, struct netlink_ext_ack *extack, struct nlattr **tb)
{
	struct es_group *g = es_place_find(es, group_id(tb));

	if (!g)
		NL_SET_ERR_MSG(extack, "no such group: espsync show groups, or make it with espsync group set N addr ADDR");
	return g;
}

/* Which of a group's options a request has; the group exists. */
static void set_options(struct es_group *g, struct nlattr **tb)
{
	if (tb[ESPSYNC_A_GROUP_DOUBT])
		g->doubt = nla_get_u8(tb[ESPSYNC_A_GROUP_DOUBT]);
	if (tb[ESPSYNC_A_GROUP_OVERRUN])
		WRITE_ONCE(g->go_on, nla_get_u8(tb[ESPSYNC_A_GROUP_OVERRUN]));
	if (tb[ESPSYNC_A_GROUP_EVICT_NEVER])
		g->evict_never = nla_get_u8(tb[ESPSYNC_A_GROUP_EVICT_NEVER]);
	if (tb[ESPSYNC_A_GROUP_STORE])
		g->store = nla_get_u8(tb[ESPSYNC_A_GROUP_STORE]);
	if (tb[ESPSYNC_A_GROUP_INBOUND])
		WRITE_ONCE(g->strict, nla_get_u8(tb[ESPSYNC_A_GROUP_INBOUND]) == ESPSYNC_INBOUND_STRICT);
	g->es->walk = g->es->up;
}

static int group_apply(struct es_net *es, struct genl_info *info, struct nlattr **tb, struct es_scope *scope)
{
	bool store = tb[ESPSYNC_A_GROUP_STORE] && nla_get_u8(tb[ESPSYNC_A_GROUP_STORE]);
	struct es_group *g;
	int err;

	if (store && es_place_role(es, group_id(tb), scope) == ESPSYNC_ROLE_ACTIVE) {
		kfree(scope);
		GENL_SET_ERR_MSG(info, "this node is active in this group: demote it first, then it can be told to store only");
		return -EBUSY;
	}
	if (tb[ESPSYNC_A_GROUP_ADDRS]) {
		err = es_place_set(es, group_id(tb), scope, info->extack);
		if (err)
			return err;
		es_event_role(es_place_find(es, group_id(tb)), scope ? "its addresses were set" : "it has no addresses any more");
	}
	g = group_of(es, info->extack, tb);
	if (!g)
		return -ENOENT;
	set_options(g, tb);
	return 0;
}

static int group_set(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_GROUP_MAX + 1];
	struct es_scope *scope = NULL;
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_GROUP, tb, ESPSYNC_A_GROUP_MAX, group_policy);

	if (!err)
		err = es_nl_get_scope(info, tb, &scope);
	if (!err && !scope && tb[ESPSYNC_A_GROUP_ADDRS] && group_id(tb))
		err = refuse(info, -EINVAL, "a group needs an address: espsync group set N addr ADDR, or espsync group del N");
	if (err)
		return err;
	es = lock_net(info);
	err = group_apply(es, info, tb, scope);
	mutex_unlock(&es->lock);
	return err;
}

static int group_del(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_GROUP_MAX + 1];
	struct es_group *g;
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_GROUP, tb, ESPSYNC_A_GROUP_MAX, group_policy);

	if (err)
		return err;
	es = lock_net(info);
	g = group_of(es, info->extack, tb);
	err = g ? es_place_del(es, g, info->extack) : -ENOENT;
	if (!err)
		es_event_role(g, g->used ? "it has no addresses any more" : "it is deleted");
	mutex_unlock(&es->lock);
	return err;
}

/* Every peer that is heard has the last numbers; es->lock is let go while they are on their way. */
static bool flush(struct es_net *es, u32 ms)
{
	u64 until = es_clock_us() + ms * 1000ull;
	struct es_peer *p;

	for (;;) {
		bool heard = false, clean = true;

		list_for_each_entry(p, &es->peers, list) {
			if (!es_peer_heard(p))
				continue;
			heard = true;
			clean &= !es_peer_unsynced(p);
		}
		if (heard && clean)
			return true;
		if (!heard || es_clock_us() > until || !es->up)
			return false;
		mutex_unlock(&es->lock);
		usleep_range(500, 1000);
		mutex_lock(&es->lock);
		es->clock_us = max(es->clock_us, es_clock_us());
	}
}

static int role_set(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_GROUP_MAX + 1];
	bool up = info->genlhdr->cmd == ESPSYNC_CMD_PROMOTE;
	struct es_census c[ES_MAX_GROUPS];
	struct es_group *g;
	struct sk_buff *skb;
	struct es_net *es;
	u32 doubtful = 0;
	int flushed = -1;
	void *hdr;
	int err = open_nest(info, ESPSYNC_A_GROUP, tb, ESPSYNC_A_GROUP_MAX, group_policy);

	if (err)
		return err;
	skb = reply_new(info, &hdr);
	if (!skb)
		return -ENOMEM;
	es = lock_channel(info);
	if (!es) {
		nlmsg_free(skb);
		return -ENOTCONN;
	}
	g = group_of(es, info->extack, tb);
	if (!g) {
		err = -ENOENT;
	} else if (!es->keyed) {
		GENL_SET_ERR_MSG(info, "the channel has no key: espsync channel set ... psk-file FILE");
		err = -ENOKEY;
	} else if (up) {
		err = es_group_promote(g, &doubtful, info->extack);
	} else {
		bool was_active = g->role == ESPSYNC_ROLE_ACTIVE;

		es_group_stand_down(g, "demoted");
		flushed = flush(es, tb[ESPSYNC_A_GROUP_TIMEOUT_MS] ? nla_get_u32(tb[ESPSYNC_A_GROUP_TIMEOUT_MS]) : ES_FLUSH_MS);
		if (was_active && g->role == ESPSYNC_ROLE_STANDBY)
			es_handover_begin(g);	/* anew: whoever asked may promote another one only now */
	}
	if (!err) {
		es_sa_census(es, c);
		err = es_nl_group(g, skb, &c[g->slot], doubtful, flushed);
	}
	mutex_unlock(&es->lock);
	return reply_send(info, skb, hdr, err);
}

static int sa_name(struct genl_info *info, struct nlattr **tb, struct es_addr *dst)
{
	if (!tb[ESPSYNC_A_SA_DST] || !tb[ESPSYNC_A_SA_SPI])
		return refuse(info, -EINVAL, "the SA's destination or SPI is missing");
	return es_nl_get_addr(info, tb[ESPSYNC_A_SA_DST], dst);
}

static struct es_sa *sa_of(struct es_net *es, struct genl_info *info, struct nlattr **tb, const struct es_addr *dst)
{
	u8 proto = tb[ESPSYNC_A_SA_PROTO] ? nla_get_u8(tb[ESPSYNC_A_SA_PROTO]) : IPPROTO_ESP;
	struct es_sa *sa = es_sa_by_addr(es, dst, nla_get_be32(tb[ESPSYNC_A_SA_SPI]), proto);

	if (!sa)
		GENL_SET_ERR_MSG(info, "no such SA is followed here: espsync show sas");
	return sa;
}

static int sa_get(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_SA_MAX + 1];
	struct es_addr dst;
	struct sk_buff *skb;
	struct es_net *es;
	struct es_sa *sa;
	void *hdr;
	int err = open_nest(info, ESPSYNC_A_SA, tb, ESPSYNC_A_SA_MAX, sa_policy);

	if (!err)
		err = sa_name(info, tb, &dst);
	if (err)
		return err;
	skb = reply_new(info, &hdr);
	if (!skb)
		return -ENOMEM;
	es = lock_channel(info);
	if (!es) {
		nlmsg_free(skb);
		return -ENOTCONN;
	}
	sa = sa_of(es, info, tb, &dst);
	err = sa ? es_nl_sa(es, sa, skb) : -ENOENT;
	mutex_unlock(&es->lock);
	return reply_send(info, skb, hdr, err);
}

static void read_window(struct nlattr **tb, struct es_window *w)
{
	const struct nlattr *a = tb[ESPSYNC_A_SA_BITMAP];
	const u8 *b = a ? nla_data(a) : NULL;
	unsigned int i, n = a ? nla_len(a) : 0;

	memset(w, 0, sizeof(*w));
	w->seq = nla_get_u64(tb[ESPSYNC_A_SA_SEQ]);
	w->nbits = n * 8;
	for (i = 0; i < n; i++)
		w->bits[i / 4] |= (u32)b[i] << (8 * (i % 4));
}

static void merge(struct es_net *es, struct es_sa *sa, struct nlattr **tb)
{
	struct es_wire_rec *r = &es->rec;
	u64 oseq = tb[ESPSYNC_A_SA_OSEQ] ? nla_get_u64(tb[ESPSYNC_A_SA_OSEQ]) : 0;
	u64 ceiling = tb[ESPSYNC_A_SA_CEILING] ? nla_get_u64(tb[ESPSYNC_A_SA_CEILING]) : 0;

	r->bytes = tb[ESPSYNC_A_SA_BYTES] ? nla_get_u64(tb[ESPSYNC_A_SA_BYTES]) : 0;
	r->packets = tb[ESPSYNC_A_SA_PACKETS] ? nla_get_u64(tb[ESPSYNC_A_SA_PACKETS]) : 0;
	r->flags = 0;
	r->ceiling = max(oseq, ceiling);
	r->lease = sa->l.lease;
	if (r->ceiling && sa->dir != ESPSYNC_DIR_IN) {
		es_out_store(es, sa, r, 0, false);
		es_out_sent(es, sa, oseq);
	}
	if (tb[ESPSYNC_A_SA_SEQ] && sa->dir != ESPSYNC_DIR_OUT) {
		read_window(tb, &r->win);
		es_in_merge(es, sa, r);
	}
	es_sa_set_dirty(es, sa);
	es_wake(es);
}

static int sa_put(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_SA_MAX + 1];
	struct es_addr dst;
	struct es_net *es;
	struct es_sa *sa;
	int err = open_nest(info, ESPSYNC_A_SA, tb, ESPSYNC_A_SA_MAX, sa_policy);

	if (!err)
		err = sa_name(info, tb, &dst);
	if (err)
		return err;
	es = lock_channel(info);
	if (!es)
		return -ENOTCONN;
	sa = sa_of(es, info, tb, &dst);
	if (!sa) {
		err = -ENOENT;
	} else if (tb[ESPSYNC_A_SA_FINGERPRINT] && get_unaligned_be64(nla_data(tb[ESPSYNC_A_SA_FINGERPRINT])) != sa->fp) {
		GENL_SET_ERR_MSG(info, "the SA here has another fingerprint (key): these are not its counters");
		err = -EKEYREJECTED;
	} else {
		merge(es, sa, tb);
	}
	mutex_unlock(&es->lock);
	return err;
}

/* The SA of that fingerprint, which has not come yet: a tombstone, for it goes as one does if nothing comes. */
static struct es_sa *sa_to_come(struct es_net *es, u8 proto, __be32 spi, u64 fp, const struct es_addr *dst)
{
	struct es_sa *sa;

	spin_lock_bh(&es->sa_lock);
	sa = es_sa_find(es, proto, spi, fp);
	if (!sa) {
		sa = es_sa_new(es, proto, spi, fp);
		if (sa) {
			sa->family = dst->family;
			memcpy(&sa->daddr, &dst->v6, es_addr_len(dst));
		}
	}
	if (sa && !sa->x) {
		es_sa_revive(es, sa);	/* its time begins now */
		es_sa_entomb(es, sa, false);
	}
	spin_unlock_bh(&es->sa_lock);
	return sa;
}

/* The numbers of an SA that is expected are there before it is: what is merged afterwards comes too late for its first packet. */
static int foretell(struct es_net *es, struct genl_info *info, struct nlattr **tb, u8 proto, const struct es_addr *dst)
{
	u64 oseq = tb[ESPSYNC_A_SA_OSEQ] ? nla_get_u64(tb[ESPSYNC_A_SA_OSEQ]) : 0;
	u64 bytes = tb[ESPSYNC_A_SA_BYTES] ? nla_get_u64(tb[ESPSYNC_A_SA_BYTES]) : 0;
	u64 packets = tb[ESPSYNC_A_SA_PACKETS] ? nla_get_u64(tb[ESPSYNC_A_SA_PACKETS]) : 0;
	struct es_sa *sa = sa_to_come(es, proto, nla_get_be32(tb[ESPSYNC_A_SA_SPI]),
				      get_unaligned_be64(nla_data(tb[ESPSYNC_A_SA_FINGERPRINT])), dst);

	if (!sa || (!sa->x && !es_sa_keep(es, sa, oseq, NULL, bytes, packets)))
		return refuse(info, -ENOMEM, "no memory for its numbers");
	if (sa->x)
		return refuse(info, -EEXIST, "the SA is here already: espsync sa put");
	sa->dir = nla_get_u8(tb[ESPSYNC_A_SA_DIR]);
	set_bit(ES_SA_FORETOLD, &sa->flags);
	merge(es, sa, tb);
	return 0;
}

static int sa_expect(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_SA_MAX + 1];
	struct es_addr dst;
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_SA, tb, ESPSYNC_A_SA_MAX, sa_policy);
	u8 proto;

	if (err)
		return err;
	if (!tb[ESPSYNC_A_SA_SPI])
		return refuse(info, -EINVAL, "the SA's SPI is missing");
	if (tb[ESPSYNC_A_SA_FINGERPRINT])
		err = tb[ESPSYNC_A_SA_DIR] ? sa_name(info, tb, &dst) : refuse(info, -EINVAL, "the SA's direction is missing");
	if (err)
		return err;
	proto = tb[ESPSYNC_A_SA_PROTO] ? nla_get_u8(tb[ESPSYNC_A_SA_PROTO]) : IPPROTO_ESP;
	es = lock_channel(info);
	if (!es)
		return -ENOTCONN;
	if (!es_km_expect(es, proto, nla_get_be32(tb[ESPSYNC_A_SA_SPI]))) {
		GENL_SET_ERR_MSG(info, "4096 SAs are expected already: wait until some have come");
		err = -ENOSPC;
	} else if (tb[ESPSYNC_A_SA_FINGERPRINT]) {
		err = foretell(es, info, tb, proto, &dst);
	}
	mutex_unlock(&es->lock);
	return err;
}

static int stats_get(struct sk_buff *req, struct genl_info *info)
{
	struct es_net *es = lock_channel(info);
	struct sk_buff *skb;
	void *hdr;
	int err;

	if (!es)
		return -ENOTCONN;
	skb = reply_new(info, &hdr);
	err = skb ? es_nl_stats(es, skb) : -ENOMEM;
	mutex_unlock(&es->lock);
	return skb ? reply_send(info, skb, hdr, err) : err;
}

static u8 reason_said_by(const struct nlattr *a)
{
	switch (nla_type(a)) {
	case ESPSYNC_A_HELPER_DRIFT:
		return ESPSYNC_REASON_DRIFT;
	case ESPSYNC_A_HELPER_TUNNEL:
		return ESPSYNC_REASON_SA_UNPROTECTED;
	default:
		return 0;
	}
}

/* Memory that is short costs sentences, not the heartbeat. */
static void take_said(struct es_helper *h, const struct nlattr *nest)
{
	const struct nlattr *a;
	unsigned int n = 0;
	int rem;

	nla_for_each_nested(a, nest, rem)
		n += !!reason_said_by(a);
	n = min(n, ES_MAX_SAID);
	h->said = n ? kcalloc(n, sizeof(*h->said), GFP_KERNEL) : NULL;
	if (!h->said)
		return;
	nla_for_each_nested(a, nest, rem) {
		u8 reason = reason_said_by(a);

		if (!reason || h->n_said == n)
			continue;
		h->said[h->n_said].reason = reason;
		nla_strscpy(h->said[h->n_said++].text, a, ES_SAID_LEN);
	}
}

static int helper_report(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *tb[ESPSYNC_A_HELPER_MAX + 1];
	struct es_helper *h;
	struct es_net *es;
	int err = open_nest(info, ESPSYNC_A_HELPER, tb, ESPSYNC_A_HELPER_MAX, helper_policy);

	if (err)
		return err;
	es = lock_channel(info);
	if (!es)
		return -ENOTCONN;
	h = &es->helper;
	kfree(h->said);
	memset(h, 0, sizeof(*h));
	h->at_us = es->clock_us;
	if (tb[ESPSYNC_A_HELPER_KNOWN])
		h->known = nla_get_u32(tb[ESPSYNC_A_HELPER_KNOWN]);
	if (tb[ESPSYNC_A_HELPER_APPLIED])
		h->applied = nla_get_u32(tb[ESPSYNC_A_HELPER_APPLIED]);
	if (tb[ESPSYNC_A_HELPER_MISSING])
		h->missing = nla_get_u32(tb[ESPSYNC_A_HELPER_MISSING]);
	if (tb[ESPSYNC_A_HELPER_REASON] && tb[ESPSYNC_A_HELPER_TEXT]) {
		h->reason = nla_get_u8(tb[ESPSYNC_A_HELPER_REASON]);
		nla_strscpy(h->text, tb[ESPSYNC_A_HELPER_TEXT], sizeof(h->text));
	}
	if (info->attrs[ESPSYNC_A_HELPER])
		take_said(h, info->attrs[ESPSYNC_A_HELPER]);
	mutex_unlock(&es->lock);
	return 0;
}

/* Dumps: one message per object; args[0] is where to go on. */
static int dump_one(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd, int (*fill)(struct es_net *, void *, struct sk_buff *),
		    struct es_net *es, void *obj)
{
	void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &es_family, NLM_F_MULTI, cmd);

	if (!hdr)
		return -EMSGSIZE;
	genl_dump_check_consistent(cb, hdr);
	if (fill(es, obj, skb)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

struct peer_row {
	struct es_peer *p;
	u32 sas;
};

static int fill_peer(struct es_net *es, void *obj, struct sk_buff *skb)
{
	const struct peer_row *row = obj;

	return es_nl_peer(row->p, row->sas, skb);
}

struct group_row {
	const struct es_group *g;
	const struct es_census *c;
};

static int fill_group(struct es_net *es, void *obj, struct sk_buff *skb)
{
	const struct group_row *row = obj;

	return es_nl_group(row->g, skb, row->c, 0, -1);
}

static int fill_sa(struct es_net *es, void *sa, struct sk_buff *skb)
{
	return es_nl_sa(es, sa, skb);
}

static int fill_reason(struct es_net *es, void *obj, struct sk_buff *skb)
{
	const struct es_reason *r = obj;
	struct nlattr *nest = nla_nest_start(skb, ESPSYNC_A_REASON);

	if (!nest || nla_put_u8(skb, ESPSYNC_A_REASON_CODE, r->code) || nla_put_u32(skb, ESPSYNC_A_REASON_GROUP, r->group) ||
	    (r->peer && nla_put_u8(skb, ESPSYNC_A_REASON_PEER, r->peer)) ||
	    (r->spi && nla_put_be32(skb, ESPSYNC_A_REASON_SPI, r->spi)) ||
	    (r->count && nla_put_u32(skb, ESPSYNC_A_REASON_COUNT, r->count)) ||
	    nla_put_string(skb, ESPSYNC_A_REASON_TEXT, r->text))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int peer_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct es_net *es = es_net_of(sock_net(skb->sk));
	struct peer_row row;
	long i = 0;

	mutex_lock(&es->lock);
	cb->seq = es->generation;
	row.sas = es_sa_live(es);
	list_for_each_entry(row.p, &es->peers, list) {
		if (i++ < cb->args[0])
			continue;
		if (dump_one(skb, cb, ESPSYNC_CMD_PEER_GET, fill_peer, es, &row))
			break;
		cb->args[0] = i;
	}
	mutex_unlock(&es->lock);
	return skb->len;
}

static int group_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct es_net *es = es_net_of(sock_net(skb->sk));
	struct es_census c[ES_MAX_GROUPS];
	struct es_group *g;

	mutex_lock(&es->lock);
	es_sa_census(es, c);
	es_each_group(g, es) {
		struct group_row row = { .g = g, .c = &c[g->slot] };

		if (g->slot < cb->args[0])
			continue;
		if (dump_one(skb, cb, ESPSYNC_CMD_GROUP_GET, fill_group, es, &row))
			break;
		cb->args[0] = g->slot + 1;
	}
	mutex_unlock(&es->lock);
	return skb->len;
}

/* By handle, which an SA keeps as long as it is known: what was there all the time is told once, whatever came and went meanwhile. */
static int sa_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct es_net *es = es_net_of(sock_net(skb->sk));
	struct es_sa *sa;
	unsigned long i;

	mutex_lock(&es->lock);
	if (es->up) {
		xa_for_each_start(&es->sas, i, sa, cb->args[0]) {
			if (!test_bit(ES_SA_DEAD, &sa->flags) && dump_one(skb, cb, ESPSYNC_CMD_SA_GET, fill_sa, es, sa))
				break;
			cb->args[0] = i + 1;
		}
	}
	mutex_unlock(&es->lock);
	return skb->len;
}

/* Reasons of all groups, or of the one that is asked for. */
static int reasons(struct es_net *es, struct netlink_callback *cb, struct nlattr **attrs, struct es_reason *r)
{
	struct nlattr *tb[ESPSYNC_A_GROUP_MAX + 1];
	struct es_group *g = NULL;
	int err = 0;

	if (!es->up) {
		NL_SET_ERR_MSG(cb->extack, "no channel in this network namespace: espsync channel set node N local ADDR");
		return -ENOTCONN;
	}
	if (attrs[ESPSYNC_A_GROUP]) {
		err = nla_parse_nested(tb, ESPSYNC_A_GROUP_MAX, attrs[ESPSYNC_A_GROUP], group_policy, cb->extack);
		g = err ? NULL : group_of(es, cb->extack, tb);
		if (!g)
			return err ?: -ENOENT;
	}
	es->clock_us = max(es->clock_us, es_clock_us());
	return es_ready(es, g, attrs[ESPSYNC_A_LOCAL], r);
}

/* The usual page is too little if nodes differ in much. */
static int ready_start(struct netlink_callback *cb)
{
	cb->min_dump_alloc = ES_READY_BYTES;
	return 0;
}

/* They fit one message, and are one moment's truth. */
static int ready_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	const struct genl_dumpit_info *info = genl_dumpit_info(cb);
	struct es_net *es = es_net_of(sock_net(skb->sk));
	struct es_reason *r;
	int n, i;

	if (cb->args[0])
		return skb->len;
	r = kcalloc(ES_MAX_REASONS, sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	mutex_lock(&es->lock);
	n = reasons(es, cb, es_dump_attrs(info), r);
	for (i = 0; i < n; i++)		/* what does not fit is left out; one reason is enough to be not ready */
		if (dump_one(skb, cb, ESPSYNC_CMD_READY, fill_reason, es, &r[i]))
			break;
	mutex_unlock(&es->lock);
	kfree(r);
	cb->args[0] = 1;
	return n < 0 ? n : skb->len;
}

#define ES_OP_PERM(_cmd, _do, _dump, _perm) {	\
	.cmd = ESPSYNC_CMD_##_cmd,		\
	.flags = (_perm),			\
	.doit = (_do),				\
	.dumpit = (_dump),			\
}

#define ES_OP_START(_cmd, _do, _dump, _start) {	\
	.cmd = ESPSYNC_CMD_##_cmd,		\
	.flags = GENL_UNS_ADMIN_PERM,		\
	.doit = (_do),				\
	.start = (_start),			\
	.dumpit = (_dump),			\
}

#define ES_OP(_cmd, _do, _dump) ES_OP_PERM(_cmd, _do, _dump, GENL_UNS_ADMIN_PERM)

static const struct genl_ops es_ops[] = {
	ES_OP(CHANNEL_GET, channel_get, NULL),
	/* A channel changes thresholds of the whole machine and gets a thread of high priority: not for a container's own root. */
	ES_OP_PERM(CHANNEL_SET, channel_set, NULL, GENL_ADMIN_PERM),
	ES_OP(CHANNEL_DEL, channel_del, NULL),
	ES_OP(PEER_GET, NULL, peer_dump),
	ES_OP(PEER_ADD, peer_add, NULL),
	ES_OP(PEER_DEL, peer_del, NULL),
	ES_OP(GROUP_GET, NULL, group_dump),
	ES_OP(GROUP_SET, group_set, NULL),
	ES_OP(GROUP_DEL, group_del, NULL),
	ES_OP(PROMOTE, role_set, NULL),
	ES_OP(DEMOTE, role_set, NULL),
	ES_OP_START(READY, NULL, ready_dump, ready_start),
	ES_OP(SA_GET, sa_get, sa_dump),
	ES_OP(SA_PUT, sa_put, NULL),
	ES_OP(SA_EXPECT, sa_expect, NULL),
	ES_OP(RESYNC, resync, NULL),
	ES_OP(STATS_GET, stats_get, NULL),
	ES_OP(HELPER_REPORT, helper_report, NULL),
	ES_OP(KEY_ADD, key_change, NULL),
	ES_OP(KEY_USE, key_change, NULL),
	ES_OP(KEY_DEL, key_change, NULL),
};

static const struct genl_multicast_group es_mcgrps[] = {
	[ES_MCGRP_EVENT] = { .name = ESPSYNC_MCGRP_EVENT, .flags = GENL_MCAST_CAP_NET_ADMIN },
	[ES_MCGRP_COUNTER] = { .name = ESPSYNC_MCGRP_COUNTER, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

struct genl_family es_family = {
	.name = ESPSYNC_GENL_NAME,
	.version = ESPSYNC_GENL_VERSION,
	.maxattr = ESPSYNC_A_MAX,
	.policy = es_policy,
	.netnsok = true,
	.parallel_ops = true,
	.ops = es_ops,
	.n_ops = ARRAY_SIZE(es_ops),
	.resv_start_op = __ESPSYNC_CMD_MAX,
	.mcgrps = es_mcgrps,
	.n_mcgrps = ARRAY_SIZE(es_mcgrps),
	.module = THIS_MODULE,
};

int es_netlink_register(void)
{
	return genl_register_family(&es_family);
}

void es_netlink_unregister(void)
{
	genl_unregister_family(&es_family);
}
