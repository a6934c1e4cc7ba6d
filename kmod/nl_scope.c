// SPDX-License-Identifier: GPL-2.0
/*
 * nl_scope.c - what is to belong to a group, as a request says it.
 *
 * Job: attributes to a struct es_scope, checked: addresses, prefixes, how many of them, and which SAs. Every refusal says what is wrong.
 * What may not enter: groups that exist, es->lock.
 *
 * Context: process, no lock held.
 */
#include <linux/slab.h>

#include "nl_scope.h"

const struct nla_policy es_prefix_policy[ESPSYNC_A_PREFIX_MAX + 1] = {
	[ESPSYNC_A_PREFIX_ADDR] = { .type = NLA_BINARY, .len = 16 },
	[ESPSYNC_A_PREFIX_LEN] = NLA_POLICY_MAX(NLA_U8, 128),
};

/**
 * es_nl_get_addr() - the address of a host
 * @info: request, for the reason
 * @a: attribute
 * @to: result
 * Return: 0 or -EINVAL
 */
int es_nl_get_addr(struct genl_info *info, const struct nlattr *a, struct es_addr *to)
{
	if (!es_addr_set(to, nla_data(a), nla_len(a)) && !es_addr_is_any(to))
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, a, "not an IPv4 or IPv6 address of a host");
	return -EINVAL;
}

static int read_locals(struct genl_info *info, struct nlattr *nest, struct es_scope *s)
{
	struct nlattr *i;
	int rem, err;

	nla_for_each_nested(i, nest, rem) {
		struct es_prefix *p = &s->p[s->n_local];

		if (nla_type(i) != ESPSYNC_A_ADDR)
			continue;
		if (s->n_local == ESPSYNC_MAX_ADDRS) {
			NL_SET_ERR_MSG_ATTR(info->extack, i, "a group has at most 64 addresses");
			return -E2BIG;
		}
		err = es_nl_get_addr(info, i, &p->a);
		if (err)
			return err;
		p->len = es_addr_len(&p->a) * 8;
		s->n_local++;
	}
	return 0;
}

static int read_prefix(struct genl_info *info, struct nlattr *nest, struct es_prefix *p)
{
	struct nlattr *tb[ESPSYNC_A_PREFIX_MAX + 1];
	int err = nla_parse_nested(tb, ESPSYNC_A_PREFIX_MAX, nest, es_prefix_policy, info->extack);

	if (err)
		return err;
	if (!tb[ESPSYNC_A_PREFIX_ADDR] || !tb[ESPSYNC_A_PREFIX_LEN] ||
	    es_addr_set(&p->a, nla_data(tb[ESPSYNC_A_PREFIX_ADDR]), nla_len(tb[ESPSYNC_A_PREFIX_ADDR])) ||
	    nla_get_u8(tb[ESPSYNC_A_PREFIX_LEN]) > es_addr_len(&p->a) * 8) {
		NL_SET_ERR_MSG_ATTR(info->extack, nest, "not a prefix: an IPv4 address and 0 to 32, or an IPv6 address and 0 to 128");
		return -EINVAL;
	}
	p->len = nla_get_u8(tb[ESPSYNC_A_PREFIX_LEN]);
	return 0;
}

static int read_remotes(struct genl_info *info, struct nlattr *nest, struct es_scope *s)
{
	struct nlattr *i;
	int rem, err;

	nla_for_each_nested(i, nest, rem) {
		if (nla_type(i) != ESPSYNC_A_PREFIX)
			continue;
		if (s->n_remote == ESPSYNC_MAX_ADDRS) {
			NL_SET_ERR_MSG_ATTR(info->extack, i, "a group has at most 64 remote prefixes");
			return -E2BIG;
		}
		err = read_prefix(info, i, &s->p[s->n_local + s->n_remote]);
		if (err)
			return err;
		s->n_remote++;
	}
	return 0;
}

static int read_mark(struct genl_info *info, struct nlattr **tb, struct es_select *s)
{
	if (!tb[ESPSYNC_A_GROUP_MARK]) {
		if (!tb[ESPSYNC_A_GROUP_MARK_MASK])
			return 0;
		GENL_SET_ERR_MSG(info, "a mask is given together with a mark");
		return -EINVAL;
	}
	s->asks |= ES_ASKS_MARK;
	s->mark = nla_get_u32(tb[ESPSYNC_A_GROUP_MARK]);
	s->mask = tb[ESPSYNC_A_GROUP_MARK_MASK] ? nla_get_u32(tb[ESPSYNC_A_GROUP_MARK_MASK]) : U32_MAX;
	if (s->mask && !(s->mark & ~s->mask))
		return 0;
	GENL_SET_ERR_MSG(info, "no SA is as this mark says: it has bits that its mask has not, or its mask is 0");
	return -EINVAL;
}

static int read_reqid(struct genl_info *info, struct nlattr **tb, struct es_select *s)
{
	if (!tb[ESPSYNC_A_GROUP_REQID_MIN]) {
		if (!tb[ESPSYNC_A_GROUP_REQID_MAX])
			return 0;
		GENL_SET_ERR_MSG(info, "the highest reqid is given together with the lowest");
		return -EINVAL;
	}
	s->asks |= ES_ASKS_REQID;
	s->reqid_min = nla_get_u32(tb[ESPSYNC_A_GROUP_REQID_MIN]);
	s->reqid_max = tb[ESPSYNC_A_GROUP_REQID_MAX] ? nla_get_u32(tb[ESPSYNC_A_GROUP_REQID_MAX]) : s->reqid_min;
	if (s->reqid_min <= s->reqid_max)
		return 0;
	GENL_SET_ERR_MSG(info, "no reqid is in this range: the lowest comes first");
	return -EINVAL;
}

static int read_select(struct genl_info *info, struct nlattr **tb, struct es_select *s)
{
	if (tb[ESPSYNC_A_GROUP_IF_ID]) {
		s->asks |= ES_ASKS_IF_ID;
		s->if_id = nla_get_u32(tb[ESPSYNC_A_GROUP_IF_ID]);
	}
	return read_mark(info, tb, s) ?: read_reqid(info, tb, s);
}

static bool narrows(struct nlattr **tb)
{
	return tb[ESPSYNC_A_GROUP_REMOTES] || tb[ESPSYNC_A_GROUP_MARK] || tb[ESPSYNC_A_GROUP_MARK_MASK] || tb[ESPSYNC_A_GROUP_IF_ID] ||
	       tb[ESPSYNC_A_GROUP_REQID_MIN] || tb[ESPSYNC_A_GROUP_REQID_MAX];
}

static int no_address(struct genl_info *info)
{
	GENL_SET_ERR_MSG(info, "remote, mark, if_id and reqid narrow a group's addresses, and are given together with them: espsync group set N addr ADDR ...");
	return -EINVAL;
}

/**
 * es_nl_get_scope() - what is to belong to a group
 * @info: request, for the reason
 * @tb: its attributes, enum espsync_group_attr
 * @scope: result; NULL: nothing, or the request does not say
 * Return: 0, -EINVAL, -E2BIG or -ENOMEM
 */
int es_nl_get_scope(struct genl_info *info, struct nlattr **tb, struct es_scope **scope)
{
	struct es_scope *s;
	int err;

	*scope = NULL;
	if (!tb[ESPSYNC_A_GROUP_ADDRS])
		return narrows(tb) ? no_address(info) : 0;
	s = kzalloc(struct_size(s, p, 2 * ESPSYNC_MAX_ADDRS), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	err = read_locals(info, tb[ESPSYNC_A_GROUP_ADDRS], s);
	if (!err && tb[ESPSYNC_A_GROUP_REMOTES])
		err = read_remotes(info, tb[ESPSYNC_A_GROUP_REMOTES], s);
	if (!err)
		err = read_select(info, tb, &s->select);
	if (!err && !s->n_local && narrows(tb))
		err = no_address(info);
	if (!err && s->n_local)
		*scope = s;
	else
		kfree(s);
	return err;
}
