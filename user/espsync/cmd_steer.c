// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_steer.c - espsync steer: while it runs, what arrives here for a group that is active on another node goes on to that node unchanged.
 *
 * Events only say when to look: the rules are always made of a dump, so what is lost of the events is made up for by looking again. An orderly
 * end takes the rules away; they outlive a crash, and the next start replaces them. What the rules are: steer.c.
 */
#include <errno.h>
#include <linux/espsync.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "knl.h"
#include "listen.h"
#include "nft.h"
#include "parse.h"
#include "steer.h"
#include "word.h"

#define LOOK_AT_DEVICES_MS 1000 /* nobody tells that one was made anew */
#define MAX_FROM 16
#define MAX_HOPS (2 * ESPSYNC_MAX_NODE)

static const char what[] = "steer";

struct steer {
	struct steering way;
	struct hop hops[MAX_HOPS];
	struct knl nl;
	bool look; /* the groups may have changed */
	char *rules; /* those in force, NULL: not known */
	unsigned int index[MAX_FROM + 1]; /* of the devices when the rules were made */
};

static int parse_hop(char *text, struct steer *st)
{
	struct hop *hop = &st->hops[st->way.n_hops];
	char *at = strchr(text, '@');

	if (!at)
		return fail(BAD, what, "give it as 2@10.99.0.2", "'%s' is not NODE@ADDR", text);
	if (st->way.n_hops == MAX_HOPS)
		return fail(BAD, what, NULL, "more than %d addresses", MAX_HOPS);
	*at = '\0';
	if (parse_u32(what, "node", text, 1, ESPSYNC_MAX_NODE, &hop->node) || parse_addr(what, at + 1, &hop->addr))
		return BAD;
	for (int i = 0; i < st->way.n_hops; i++)
		if (st->hops[i].node == hop->node && st->hops[i].addr.len == hop->addr.len)
			return fail(BAD, what, "one IPv4 and one IPv6 address each", "node %u stands there twice", hop->node);
	st->way.n_hops++;
	return 0;
}

static int check_from(const struct steering *way)
{
	for (int i = 0; i < way->n_from; i++) {
		if (parse_device(what, way->from[i]))
			return BAD;
		if (!strcmp(way->from[i], way->over))
			return fail(BAD, what, "give the nodes a device of their own, a VLAN will do",
				    "what goes on over '%s' would come back from it: packets could go round in circles", way->over);
		for (int j = 0; j < i; j++)
			if (!strcmp(way->from[i], way->from[j]))
				return fail(BAD, what, "say it once", "'%s' stands there twice", way->from[i]);
	}
	return 0;
}

static int parse(struct steer *st, int argc, char **argv)
{
	enum { FROM, OVER, TO };
	struct opt opts[] = { [FROM] = { "from", OPT_LIST }, [OVER] = { "over", 1 }, [TO] = { "to", OPT_LIST }, { NULL } };
	int err = opts_parse(what, opts, argc, argv);

	if (err)
		return err;
	for (const struct opt *opt = opts; opt->word; opt++)
		if (!opt->seen)
			return fail(BAD, what, "espsync steer from DEV... over DEV to NODE@ADDR...", "'%s' is missing", opt->word);
	if (opts[FROM].n > MAX_FROM)
		return fail(BAD, what, NULL, "more than %d devices", MAX_FROM);
	st->way = (struct steering){ .from = opts[FROM].v, .n_from = opts[FROM].n, .over = opts[OVER].v[0], .hops = st->hops };
	if (parse_device(what, st->way.over) || check_from(&st->way))
		return BAD;
	for (int i = 0; i < opts[TO].n && !err; i++)
		err = parse_hop(opts[TO].v[i], st);
	return err;
}

/* Rules hold on to devices by their index: one that was made anew with its old name needs new ones. */
static bool devices_changed(struct steer *st)
{
	bool changed = false;

	for (int i = 0; i <= st->way.n_from; i++) {
		unsigned int now = if_nametoindex(i < st->way.n_from ? st->way.from[i] : st->way.over);

		changed |= now != st->index[i];
		st->index[i] = now;
	}
	return changed;
}

/* Without a channel there are no owners. */
static int get_groups(struct steer *st, json_t **groups)
{
	int err = knl_array(&st->nl, knl_request(&st->nl, ESPSYNC_CMD_GROUP_GET), &object_group, groups);

	if (!err || err == -ENOENT || err == -ENOTCONN)
		return 0;
	json_decref(*groups);
	return knl_refused(&st->nl, NULL);
}

static void say_what_lacks(const struct steer *st, const json_t *groups)
{
	const json_t *group;
	const char *family;
	uint32_t node;
	size_t i;

	json_array_foreach((json_t *)groups, i, group) {
		node = steer_lacks(&st->way, group, &family);
		if (node)
			fail(DONE, what, "give it behind 'to' as NODE@ADDR", "no %s address of node %u is known: packets of group %d stay here", family, node,
			     (int)json_integer_value(json_object_get(group, "group")));
	}
}

static int renew_rules(struct steer *st, const json_t *groups)
{
	char *rules = steer_rules(&st->way, groups);
	int err;

	if (!rules)
		return fail(REFUSED, what, NULL, "out of memory");
	if (st->rules && !strcmp(rules, st->rules)) {
		free(rules);
		return 0;
	}
	say_what_lacks(st, groups);
	err = nft_run(what, rules);
	if (err) {
		free(rules);
		rules = NULL;
	}
	free(st->rules);
	st->rules = rules;
	return err;
}

static int follow(struct steer *st)
{
	json_t *groups;
	int err = get_groups(st, &groups);

	if (err)
		return err;
	err = renew_rules(st, groups);
	json_decref(groups);
	return err;
}

static void on_event(json_t *json, void *arg)
{
	const char *event = json_string_value(json_object_get(json, "event"));
	struct steer *st = arg;

	st->look |= event && (!strcmp(event, words_event.v[ESPSYNC_EVENT_ROLE]) || !strcmp(event, words_event.v[ESPSYNC_EVENT_PEER]));
	json_decref(json);
}

static void on_lost(void *arg)
{
	struct steer *st = arg;

	st->look = true;
}

static int on_pause(void *arg)
{
	struct steer *st = arg;

	if (devices_changed(st)) {
		free(st->rules);
		st->rules = NULL;
		st->look = true;
	}
	if (!st->look)
		return 0;
	st->look = false;
	return follow(st);
}

int cmd_steer(const struct cli *cli, int argc, char **argv)
{
	struct steer st = { .look = true };
	const struct listener l = { .group = ESPSYNC_MCGRP_EVENT, .cmd = ESPSYNC_CMD_EVENT, .object = &object_event, .each_ms = LOOK_AT_DEVICES_MS,
				    .on_object = on_event, .on_lost = on_lost, .on_pause = on_pause, .arg = &st };
	struct knl events = { .sk = NULL };
	int err = parse(&st, argc, argv);

	if (err)
		return err;
	err = knl_open(&st.nl, cli, what);
	if (!err)
		err = knl_open(&events, cli, what);
	if (!err)
		err = listen_until_signal(&events, &l);
	if (st.rules && nft_run(what, steer_nothing))
		err = REFUSED;
	free(st.rules);
	knl_close(&events);
	knl_close(&st.nl);
	return err;
}
