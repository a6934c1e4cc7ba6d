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

struct peer {
	uint32_t node, port[NODE_LINKS];
	struct addr addr[NODE_LINKS];
};

static void put_peer(struct nl_msg *msg, const void *arg)
{
	const struct peer *peer = arg;

	knl_put_u8(msg, ESPSYNC_A_PEER_NODE, (uint8_t)peer->node);
	for (int i = 0; i < NODE_LINKS && peer->addr[i].len; i++) {
		knl_put_addr(msg, i ? ESPSYNC_A_PEER_ADDR2 : ESPSYNC_A_PEER_ADDR, &peer->addr[i]);
		if (peer->port[i])
			knl_put_be16(msg, i ? ESPSYNC_A_PEER_PORT2 : ESPSYNC_A_PEER_PORT, (uint16_t)peer->port[i]);
	}
}

static int peer_send(const struct cli *cli, const char *what, uint8_t cmd, const struct peer *peer)
{
	char name[32];

	snprintf(name, sizeof(name), "peer %u", peer->node);
	return knl_order(cli, what, cmd, ESPSYNC_A_PEER, name, put_peer, peer);
}

static int peer_add(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "peer add";
	struct peer peer = { .node = 0 };
	int err;

	if (argc < 2)
		return fail(BAD, what, "espsync peer add NODE ADDR[:PORT] [ADDR2[:PORT]]", "something is missing");
	err = parse_u32(what, "node", argv[0], 1, ESPSYNC_MAX_NODE, &peer.node);
	if (!err)
		err = parse_links(what, argc - 1, argv + 1, peer.addr, peer.port);
	return err ? err : peer_send(cli, what, ESPSYNC_CMD_PEER_ADD, &peer);
}

static int peer_del(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "peer del";
	struct peer peer = { .node = 0 };
	int err;

	if (argc != 1)
		return fail(BAD, what, "espsync peer del NODE", "%s", argc ? "too many words" : "the node is missing");
	err = parse_u32(what, "node", argv[0], 1, ESPSYNC_MAX_NODE, &peer.node);
	return err ? err : peer_send(cli, what, ESPSYNC_CMD_PEER_DEL, &peer);
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
