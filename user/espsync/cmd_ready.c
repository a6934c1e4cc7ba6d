// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_ready.c - espsync ready: could some standby take over now and lose nothing? --local: could this node be, or is it rightly, active?
 */
#include <stdio.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "parse.h"
#include "text.h"
#include "word.h"

static struct nl_msg *build(struct knl *nl, const uint32_t *group, bool local)
{
	struct nl_msg *msg = knl_request(nl, ESPSYNC_CMD_READY);
	struct nlattr *nest;

	if (group) {
		nest = knl_nest(msg, ESPSYNC_A_GROUP);
		knl_put_u32(msg, ESPSYNC_A_GROUP_ID, *group);
		knl_nest_end(msg, nest);
	}
	if (local)
		knl_put(msg, ESPSYNC_A_LOCAL, NULL, 0);
	return msg;
}

/* The enum's order is the order of importance; the kernel may find them in another. Stable, so that peers stay in theirs. */
static json_t *in_order(json_t *reasons)
{
	json_t *sorted = json_array(), *reason;
	size_t i;

	for (int code = 0; code <= (int)words_reason.n; code++)
		json_array_foreach(reasons, i, reason) {
			const char *name = json_string_value(json_object_get(reason, "reason"));
			int found = name ? word_find(&words_reason, name) : -1;

			if (found == code || (found < 0 && code == (int)words_reason.n))
				json_array_append(sorted, reason);
		}
	return sorted;
}

/* "sa-missing: group 1: peer 2: SAs are missing in the peer's kernel [5, such as 0x00001234]"; of group 0, which most have alone, only the rest */
static void print_reason(const json_t *reason)
{
	json_int_t count = json_integer_value(json_object_get(reason, "count"));
	const char *spi = json_string_value(json_object_get(reason, "sa"));
	json_t *peer = json_object_get(reason, "peer");

	json_int_t group = json_integer_value(json_object_get(reason, "group"));

	printf("%s:", json_string_value(json_object_get(reason, "reason")) ?: "?");
	if (group)
		printf(" group %" JSON_INTEGER_FORMAT ":", group);
	if (json_is_integer(peer))
		printf(" peer %" JSON_INTEGER_FORMAT ":", json_integer_value(peer));
	printf(" %s", json_string_value(json_object_get(reason, "text")) ?: "?");
	if (count)
		printf(" [%" JSON_INTEGER_FORMAT "%s%s]", count, spi ? ", such as " : "", spi ? spi : "");
	putchar('\n');
}

static int print_ready(const struct cli *cli, json_t *reasons)
{
	bool ready = !json_array_size(reasons);
	json_t *reason;
	size_t i;

	if (cli->json) {
		json_print(json_pack("{s:b, s:O}", "ready", (int)ready, "reasons", reasons), JSON_INDENT(2));
	} else if (ready) {
		puts("ready");
	} else {
		json_array_foreach(reasons, i, reason)
			print_reason(reason);
	}
	return ready ? DONE : NO;
}

int cmd_ready(const struct cli *cli, int argc, char **argv)
{
	struct opt opts[] = { { "group", 1 }, { "--local", 0 }, { .word = NULL } };
	json_t *reasons = NULL, *sorted;
	static const char what[] = "ready";
	uint32_t group = 0;
	struct knl nl;
	int err;

	err = opts_parse(what, opts, argc, argv);
	if (!err && opts[0].seen)
		err = parse_u32(what, "group", opts[0].v[0], 0, ESPSYNC_MAX_GROUP, &group);
	if (err)
		return err;
	err = knl_open(&nl, cli, what);
	if (!err) {
		if (knl_array(&nl, build(&nl, opts[0].seen ? &group : NULL, opts[1].seen), &object_reason, &reasons)) {
			err = knl_refused(&nl, NULL);
		} else {
			sorted = in_order(reasons);
			err = print_ready(cli, sorted);
			json_decref(sorted);
		}
	}
	json_decref(reasons);
	knl_close(&nl);
	return err;
}
