// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_resync.c - espsync resync: send everything again.
 */
#include <linux/espsync.h>
#include <stdio.h>

#include "err.h"
#include "knl.h"
#include "parse.h"

int cmd_resync(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "resync";
	char name[32] = "all peers";
	uint32_t node = 0;
	struct nlattr *nest;
	struct nl_msg *msg;
	struct knl nl;
	int err;

	if (argc > 1)
		return fail(BAD, what, "espsync resync [NODE]", "too many words");
	if (argc && parse_u32(what, "node", *argv, 1, ESPSYNC_MAX_NODE, &node))
		return BAD;
	err = knl_open(&nl, cli, what);
	if (!err) {
		msg = knl_request(&nl, ESPSYNC_CMD_RESYNC);
		if (node) {
			nest = knl_nest(msg, ESPSYNC_A_PEER);
			knl_put_u8(msg, ESPSYNC_A_PEER_NODE, (uint8_t)node);
			knl_nest_end(msg, nest);
			snprintf(name, sizeof(name), "peer %u", node);
		}
		if (knl_send_and_wait(&nl, msg, NULL, NULL))
			err = knl_refused(&nl, name);
	}
	knl_close(&nl);
	return err;
}
