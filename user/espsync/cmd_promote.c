// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_promote.c - espsync promote: this node is active from now on.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "parse.h"
#include "text.h"

#define PATIENCE_MS 2000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ETIMEDOUT: an old owner is heard and has not said yet that it is silent. The kernel has waited dead_ms; ask again. */
static int promote(struct knl *nl, uint32_t group, json_t **reply)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int64_t end = now_ms() + PATIENCE_MS;
	struct nlattr *nest;
	struct nl_msg *msg;
	int err;

	for (;;) {
		msg = knl_request(nl, ESPSYNC_CMD_PROMOTE);
		nest = knl_nest(msg, ESPSYNC_A_GROUP);
		knl_put_u32(msg, ESPSYNC_A_GROUP_ID, group);
		knl_nest_end(msg, nest);
		err = knl_send_and_wait(nl, msg, &object_promoted, reply);
		if (err != -ETIMEDOUT || now_ms() >= end)
			return err;
		json_decref(*reply);
		nanosleep(&pause, NULL);
	}
}

static void print_promoted(const struct cli *cli, json_t *reply)
{
	json_t *doubtful = json_object_get(reply, "doubtful");
	json_int_t n = json_integer_value(doubtful);

	if (cli->json) {
		json_print(json_incref(reply), JSON_INDENT(2));
		return;
	}
	if (n)
		printf("active, %" JSON_INTEGER_FORMAT " SA%s in doubt\n", n, n == 1 ? "" : "s");
	else
		printf("active, no SA in doubt\n");
}

int cmd_promote(const struct cli *cli, int argc, char **argv)
{
	struct opt opts[] = { { "group", 1 }, { .word = NULL } };
	static const char what[] = "promote";
	json_t *reply = NULL;
	uint32_t group = 0;
	char name[32];
	struct knl nl;
	int err;

	err = opts_parse(what, opts, argc, argv);
	if (!err && opts[0].seen)
		err = parse_u32(what, "group", opts[0].v[0], 0, ESPSYNC_MAX_GROUP, &group);
	if (err)
		return err;
	err = knl_open(&nl, cli, what);
	if (!err) {
		snprintf(name, sizeof(name), "group %u", group);
		if (!promote(&nl, group, &reply))
			print_promoted(cli, reply);
		else if (nl.err == -ETIMEDOUT)
			err = fail(REFUSED, what, "fence the old owner, or run it again", "%s: %s", name,
				   *nl.why ? nl.why : "the old owner is heard and does not become silent");
		else
			err = knl_refused(&nl, name);
	}
	json_decref(reply);
	knl_close(&nl);
	return err;
}
