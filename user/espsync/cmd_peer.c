// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_peer.c - espsync peer: the other nodes.
 */
#include <linux/espsync.h>
#include <stdio.h>

#include "err.h"
#include "knl.h"
#include "parse.h"
#include "word.h"

/* @addr, @port: NODE_LINKS of them, or NULL */
static int peer_send(const struct cli *cli, const char *what, uint8_t cmd, uint32_t node, const struct addr *addr,
		     const uint32_t *port)
{
	struct nlattr *nest;
	struct nl_msg *msg;
	char name[32];
	struct knl nl;
	int err;

	err = knl_open(&nl, cli, what);
	if (!err) {
		msg = knl_request(&nl, cmd);
		nest = knl_nest(msg, ESPSYNC_A_PEER);
		knl_put_u8(msg, ESPSYNC_A_PEER_NODE, (uint8_t)node);
		for (int i = 0; addr && i < NODE_LINKS && addr[i].len; i++) {
			knl_put_addr(msg, i ? ESPSYNC_A_PEER_ADDR2 : ESPSYNC_A_PEER_ADDR, &addr[i]);
			if (port[i])
				knl_put_be16(msg, i ? ESPSYNC_A_PEER_PORT2 : ESPSYNC_A_PEER_PORT, (uint16_t)port[i]);
		}
		knl_nest_end(msg, nest);
		snprintf(name, sizeof(name), "peer %u", node);
		if (knl_send_and_wait(&nl, msg, NULL, NULL))
			err = knl_refused(&nl, name);
	}
	knl_close(&nl);
	return err;
}

static int peer_add(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "peer add";
	uint32_t node, port[NODE_LINKS] = { 0 };
	struct addr addr[NODE_LINKS] = { { .len = 0 } };
	int err;

	if (argc < 2)
		return fail(BAD, what, "espsync peer add NODE ADDR[:PORT] [ADDR2[:PORT]]", "something is missing");
	err = parse_u32(what, "node", argv[0], 1, ESPSYNC_MAX_NODE, &node);
	if (!err)
		err = parse_links(what, argc - 1, argv + 1, addr, port);
	return err ? err : peer_send(cli, what, ESPSYNC_CMD_PEER_ADD, node, addr, port);
}

static int peer_del(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "peer del";
	uint32_t node;
	int err;

	if (argc != 1)
		return fail(BAD, what, "espsync peer del NODE", "%s", argc ? "too many words" : "the node is missing");
	err = parse_u32(what, "node", argv[0], 1, ESPSYNC_MAX_NODE, &node);
	return err ? err : peer_send(cli, what, ESPSYNC_CMD_PEER_DEL, node, NULL, NULL);
}

static const struct words verbs = WORDS("add", "del");

int cmd_peer(const struct cli *cli, int argc, char **argv)
{
	if (!argc)
		return fail(BAD, "peer", "add or del", "what to do is missing");
	switch (word_find(&verbs, *argv)) {
	case 0:
		return peer_add(cli, argc - 1, argv + 1);
	case 1:
		return peer_del(cli, argc - 1, argv + 1);
	default:
		return word_unknown("peer", &verbs, *argv);
	}
}
