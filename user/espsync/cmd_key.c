// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_key.c - espsync key: the cluster keys that are loaded, and the one that is used. A key is changed while the channel goes on: add it on every
 * node, use it on every node, delete the old one on every node.
 */
#include <linux/espsync.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "keyfile.h"
#include "knl.h"
#include "parse.h"
#include "word.h"

struct key {
	uint32_t number;
	const uint8_t *secret; /* NULL: not told */
};

static void put_key(struct nl_msg *msg, const void *arg)
{
	const struct key *key = arg;

	knl_put_u8(msg, ESPSYNC_A_KEY_NUMBER, (uint8_t)key->number);
	if (key->secret)
		knl_put(msg, ESPSYNC_A_KEY_SECRET, key->secret, ESPSYNC_KEY_LEN);
}

static int key_send(const struct cli *cli, const char *what, uint8_t cmd, const struct key *key)
{
	char name[32];

	snprintf(name, sizeof(name), "key %u", key->number);
	return knl_order(cli, what, cmd, ESPSYNC_A_KEY, name, put_key, key);
}

static int key_add(const struct cli *cli, const char *what, uint32_t number, int argc, char **argv)
{
	struct opt opts[] = { { "psk-file", 1 }, { .word = NULL } };
	uint8_t secret[ESPSYNC_KEY_LEN];
	int err;

	err = opts_parse(what, opts, argc, argv);
	if (!err && !opts[0].seen)
		err = fail(BAD, what, "espsync key add ID psk-file FILE", "'psk-file' is missing");
	if (!err)
		err = keyfile_read(what, opts[0].v[0], secret);
	if (!err)
		err = key_send(cli, what, ESPSYNC_CMD_KEY_ADD, &(struct key){ number, secret });
	explicit_bzero(secret, sizeof(secret));
	return err;
}

enum { ADD, USE, DEL };

static const struct words verbs = WORDS("add", "use", "del");
static const char *const titles[] = { "key add", "key use", "key del" };

int cmd_key(const struct cli *cli, int argc, char **argv)
{
	uint32_t number;
	int verb, err;

	if (!argc)
		return fail(BAD, "key", "add, use or del", "what to do is missing");
	verb = word_find(&verbs, *argv);
	if (verb < 0)
		return word_unknown("key", &verbs, *argv);
	if (argc < 2)
		return fail(BAD, titles[verb], "a number for the key, 0 to 255", "the key's ID is missing");
	err = parse_u32(titles[verb], "ID", argv[1], 0, 255, &number);
	if (err)
		return err;
	if (verb == ADD)
		return key_add(cli, titles[verb], number, argc - 2, argv + 2);
	if (argc > 2)
		return fail(BAD, titles[verb], NULL, "too many words");
	return key_send(cli, titles[verb], verb == USE ? ESPSYNC_CMD_KEY_USE : ESPSYNC_CMD_KEY_DEL, &(struct key){ number, NULL });
}
