// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_demote.c - espsync demote: this node is standby; the answer comes when it is silent and its last numbers have arrived.
 */
#include <stdio.h>
#include <string.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "parse.h"
#include "text.h"

#define MAX_TIMEOUT_MS 60000

static struct nl_msg *build(struct knl *nl, uint32_t group, const uint32_t *timeout)
{
	struct nl_msg *msg = knl_request(nl, ESPSYNC_CMD_DEMOTE);
	struct nlattr *nest = knl_nest(msg, ESPSYNC_A_GROUP);

	knl_put_u32(msg, ESPSYNC_A_GROUP_ID, group);
	if (timeout)
		knl_put_u32(msg, ESPSYNC_A_GROUP_TIMEOUT_MS, *timeout);
	knl_nest_end(msg, nest);
	return msg;
}

/* Why it was not flushed: the kernel's word where there is one, else who could have taken the numbers and did not. */
static void find_reason(struct knl *nl, char *reason, size_t size)
{
	json_t *peers, *peer;
	int up = 0, last = 0;
	size_t i;

	if (*nl->why) {
		snprintf(reason, size, "%s", nl->why);
		return;
	}
	if (knl_array(nl, knl_request(nl, ESPSYNC_CMD_PEER_GET), &object_peer, &peers) || !json_array_size(peers)) {
		snprintf(reason, size, "no peer is configured");
	} else {
		json_array_foreach(peers, i, peer)
			if (!strcmp(json_string_value(json_object_get(peer, "state")) ?: "", "up")) {
				last = (int)json_integer_value(json_object_get(peer, "node"));
				up++;
			}
		if (!up)
			snprintf(reason, size, "no peer is up");
		else
			snprintf(reason, size, "peer %d%s did not acknowledge in time", last, up > 1 ? " or another" : "");
	}
	json_decref(peers);
}

static void print_demoted(const struct cli *cli, struct knl *nl, json_t *reply)
{
	bool flushed = json_is_true(json_object_get(reply, "flushed"));
	char reason[300] = "";

	if (!flushed)
		find_reason(nl, reason, sizeof(reason));
	if (cli->json) {
		json_object_set_new(reply, "reason", flushed ? json_null() : json_string(reason));
		json_print(json_incref(reply), JSON_INDENT(2));
	} else if (flushed) {
		puts("flushed");
	} else {
		printf("not flushed: %s\n", reason);
	}
}

int cmd_demote(const struct cli *cli, int argc, char **argv)
{
	struct opt opts[] = { { "group", 1 }, { "timeout", 1 }, { .word = NULL } };
	static const char what[] = "demote";
	uint32_t group = 0, timeout = 0;
	json_t *reply = NULL;
	char name[32];
	struct knl nl;
	int err;

	err = opts_parse(what, opts, argc, argv);
	if (!err && opts[0].seen)
		err = parse_u32(what, "group", opts[0].v[0], 0, ESPSYNC_MAX_GROUP, &group);
	if (!err && opts[1].seen)
		err = parse_u32(what, "timeout", opts[1].v[0], 0, MAX_TIMEOUT_MS, &timeout);
	if (err)
		return err;
	err = knl_open(&nl, cli, what);
	if (!err) {
		snprintf(name, sizeof(name), "group %u", group);
		if (knl_send_and_wait(&nl, build(&nl, group, opts[1].seen ? &timeout : NULL), &object_demoted, &reply))
			err = knl_refused(&nl, name);
		else
			print_demoted(cli, &nl, reply);
	}
	json_decref(reply);
	knl_close(&nl);
	return err;
}
