// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_group.c - espsync group: which addresses (and far ends, and which of their SAs) belong to a group, and what happens in doubt.
 */
#include <linux/espsync.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "knl.h"
#include "parse.h"
#include "word.h"

/* Options that are one word of a list, sent as a u8. */
static const struct {
	const char *word;
	const struct words *values;
	int type;
} choices[] = {
	{ "doubt", &words_doubt, ESPSYNC_A_GROUP_DOUBT },
	{ "overrun", &words_overrun, ESPSYNC_A_GROUP_OVERRUN },
	{ "evict", &words_evict, ESPSYNC_A_GROUP_EVICT_NEVER },
	{ "role", &words_store, ESPSYNC_A_GROUP_STORE },
	{ "inbound", &words_inbound, ESPSYNC_A_GROUP_INBOUND },
};

#define N_CHOICES (sizeof(choices) / sizeof(*choices))

/* The options behind the choices. */
#define ADDR N_CHOICES
#define REMOTE (N_CHOICES + 1)
#define MARK (N_CHOICES + 2)
#define IF_ID (N_CHOICES + 3)
#define REQID (N_CHOICES + 4)
#define N_OPTS (N_CHOICES + 5)

struct prefix {
	struct addr addr;
	uint8_t bits;
};

struct group {
	uint32_t id;
	int choice[N_CHOICES]; /* -1: not given */
	bool set_addrs;
	struct addr addrs[ESPSYNC_MAX_ADDRS];
	int n_addrs;
	struct prefix remotes[ESPSYNC_MAX_ADDRS];
	int n_remotes;
	bool set_mark, set_if_id, set_reqid;
	uint32_t mark, mask, if_id, reqid_min, reqid_max;
};

static int parse_addrs(const char *what, const struct opt *opt, struct group *group)
{
	group->set_addrs = true;
	if (opt->n == 1 && !strcmp(opt->v[0], "none"))
		return 0;
	if (opt->n > ESPSYNC_MAX_ADDRS)
		return fail(BAD, what, NULL, "a group has at most %d addresses, not %d", ESPSYNC_MAX_ADDRS, opt->n);
	for (; group->n_addrs < opt->n; group->n_addrs++) {
		struct addr *addr = &group->addrs[group->n_addrs];

		if (parse_addr(what, opt->v[group->n_addrs], addr))
			return BAD;
		for (int i = 0; i < group->n_addrs; i++)
			if (group->addrs[i].len == addr->len && !memcmp(group->addrs[i].b, addr->b, addr->len))
				return fail(BAD, what, "say it once", "'%s' stands there twice", opt->v[group->n_addrs]);
	}
	return 0;
}

static bool same(const struct prefix *a, const struct prefix *b)
{
	return a->bits == b->bits && a->addr.len == b->addr.len && !memcmp(a->addr.b, b->addr.b, a->addr.len);
}

static int parse_remotes(const char *what, const struct opt *opt, struct group *group)
{
	if (opt->n > ESPSYNC_MAX_ADDRS)
		return fail(BAD, what, NULL, "a group has at most %d remote prefixes, not %d", ESPSYNC_MAX_ADDRS, opt->n);
	for (; group->n_remotes < opt->n; group->n_remotes++) {
		struct prefix *p = &group->remotes[group->n_remotes];

		if (parse_prefix(what, opt->v[group->n_remotes], &p->addr, &p->bits))
			return BAD;
		for (int i = 0; i < group->n_remotes; i++)
			if (same(p, &group->remotes[i]))
				return fail(BAD, what, "say it once", "'%s' stands there twice", opt->v[group->n_remotes]);
	}
	return 0;
}

static int parse_mark(const char *what, const struct opt *opt, struct group *group)
{
	group->set_mark = true;
	group->mask = UINT32_MAX;
	if (parse_two(what, "mark", opt->v[0], '/', &group->mark, &group->mask))
		return BAD;
	if (!group->mask)
		return fail(BAD, what, "leave it out for any mark", "the mask of mark '%s' has no bits", opt->v[0]);
	if (group->mark & ~group->mask)
		return fail(BAD, what, "clear them", "mark '%s' has bits that its mask has not", opt->v[0]);
	return 0;
}

static int parse_reqid(const char *what, const struct opt *opt, struct group *group)
{
	group->set_reqid = true;
	if (parse_two(what, "reqid", opt->v[0], '-', &group->reqid_min, &group->reqid_max))
		return BAD;
	if (!strchr(opt->v[0], '-'))
		group->reqid_max = group->reqid_min;
	if (group->reqid_min > group->reqid_max)
		return fail(BAD, what, "the lowest comes first", "reqid '%s' is no range", opt->v[0]);
	return 0;
}

/* What narrows a group's addresses. */
static int parse_narrower(const char *what, const struct opt *opts, struct group *group)
{
	int err = 0;

	for (size_t i = REMOTE; i < N_OPTS; i++)
		if (opts[i].seen && !group->n_addrs)
			return fail(BAD, what, "espsync group set N addr ADDR ...", "'%s' narrows addresses, and none is given", opts[i].word);
	if (opts[REMOTE].seen)
		err = parse_remotes(what, &opts[REMOTE], group);
	if (!err && opts[MARK].seen)
		err = parse_mark(what, &opts[MARK], group);
	if (!err && opts[IF_ID].seen) {
		group->set_if_id = true;
		err = parse_two(what, "if_id", opts[IF_ID].v[0], '\0', &group->if_id, NULL);
	}
	if (!err && opts[REQID].seen)
		err = parse_reqid(what, &opts[REQID], group);
	return err;
}

static int parse_set(const char *what, struct group *group, int argc, char **argv)
{
	struct opt opts[N_OPTS + 1] = { [ADDR] = { "addr", OPT_LIST }, [REMOTE] = { "remote", OPT_LIST }, [MARK] = { "mark", 1 },
					[IF_ID] = { "if_id", 1 }, [REQID] = { "reqid", 1 } };
	int err;

	for (size_t i = 0; i < N_CHOICES; i++)
		opts[i] = (struct opt){ choices[i].word, 1 };
	err = opts_parse(what, opts, argc, argv);
	if (err)
		return err;
	if (!argc)
		return fail(BAD, what, "addr ADDR..., doubt, overrun, evict, role or inbound", "nothing to set");
	for (size_t i = 0; i < N_CHOICES; i++) {
		group->choice[i] = opts[i].seen ? word_find(choices[i].values, opts[i].v[0]) : -1;
		if (opts[i].seen && group->choice[i] < 0)
			return word_unknown(what, choices[i].values, opts[i].v[0]);
	}
	if (opts[ADDR].seen)
		err = parse_addrs(what, &opts[ADDR], group);
	return err ? err : parse_narrower(what, opts, group);
}

static void put_remotes(struct nl_msg *msg, const struct group *group)
{
	struct nlattr *remotes, *prefix;

	if (!group->n_remotes)
		return;
	remotes = knl_nest(msg, ESPSYNC_A_GROUP_REMOTES);
	for (int i = 0; i < group->n_remotes; i++) {
		prefix = knl_nest(msg, ESPSYNC_A_PREFIX);
		knl_put_addr(msg, ESPSYNC_A_PREFIX_ADDR, &group->remotes[i].addr);
		knl_put_u8(msg, ESPSYNC_A_PREFIX_LEN, group->remotes[i].bits);
		knl_nest_end(msg, prefix);
	}
	knl_nest_end(msg, remotes);
}

static void put_select(struct nl_msg *msg, const struct group *group)
{
	if (group->set_mark) {
		knl_put_u32(msg, ESPSYNC_A_GROUP_MARK, group->mark);
		knl_put_u32(msg, ESPSYNC_A_GROUP_MARK_MASK, group->mask);
	}
	if (group->set_if_id)
		knl_put_u32(msg, ESPSYNC_A_GROUP_IF_ID, group->if_id);
	if (group->set_reqid) {
		knl_put_u32(msg, ESPSYNC_A_GROUP_REQID_MIN, group->reqid_min);
		knl_put_u32(msg, ESPSYNC_A_GROUP_REQID_MAX, group->reqid_max);
	}
}

static void put_set(struct nl_msg *msg, const struct group *group)
{
	struct nlattr *addrs;

	for (size_t i = 0; i < N_CHOICES; i++)
		if (group->choice[i] >= 0)
			knl_put_u8(msg, choices[i].type, (uint8_t)group->choice[i]);
	if (!group->set_addrs)
		return;
	addrs = knl_nest(msg, ESPSYNC_A_GROUP_ADDRS);
	for (int i = 0; i < group->n_addrs; i++)
		knl_put_addr(msg, ESPSYNC_A_ADDR, &group->addrs[i]);
	knl_nest_end(msg, addrs);
	put_remotes(msg, group);
	put_select(msg, group);
}

static void put_id(struct nl_msg *msg, const void *arg)
{
	const struct group *group = arg;

	knl_put_u32(msg, ESPSYNC_A_GROUP_ID, group->id);
}

static void put_group(struct nl_msg *msg, const void *arg)
{
	put_id(msg, arg);
	put_set(msg, arg);
}

static int group_send(const struct cli *cli, const char *what, uint8_t cmd, const struct group *group)
{
	char name[32];

	snprintf(name, sizeof(name), "group %u", group->id);
	return knl_order(cli, what, cmd, ESPSYNC_A_GROUP, name, cmd == ESPSYNC_CMD_GROUP_SET ? put_group : put_id, group);
}

static const struct words verbs = WORDS("set", "del");

int cmd_group(const struct cli *cli, int argc, char **argv)
{
	static const char *const whats[] = { "group set", "group del" };
	struct group group = { .id = 0 };
	int verb, err;

	if (!argc)
		return fail(BAD, "group", "set or del", "what to do is missing");
	verb = word_find(&verbs, *argv);
	if (verb < 0)
		return word_unknown("group", &verbs, *argv);
	if (argc < 2)
		return fail(BAD, whats[verb], "group 0 exists from the start", "the group's number is missing");
	err = parse_u32(whats[verb], "group", argv[1], 0, ESPSYNC_MAX_GROUP, &group.id);
	if (err)
		return err;
	if (!verb)
		err = parse_set(whats[verb], &group, argc - 2, argv + 2);
	else if (argc > 2)
		err = fail(BAD, whats[verb], "espsync group del N", "too many words");
	return err ? err : group_send(cli, whats[verb], verb ? ESPSYNC_CMD_GROUP_DEL : ESPSYNC_CMD_GROUP_SET, &group);
}
