// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_channel.c - espsync channel: make, change, end the channel of a namespace.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <linux/espsync.h>

#include "err.h"
#include "keyfile.h"
#include "knl.h"
#include "parse.h"
#include "word.h"

enum { NODE, LOCAL, PORT, DEV, PSK_FILE, TICK_US, RECORDS_PER_S, RATE_KBIT, DEAD_MS, DETECT_MS, EVICT_MS, N_OPTS };

struct channel {
	uint32_t node, port, tick_us, records_per_s, rate_kbit, dead_ms, detect_ms, evict_ms;
	struct addr local[NODE_LINKS];
	char dev[IFNAMSIZ];
	uint8_t key[ESPSYNC_KEY_LEN];
};

/* The numbers, with their ranges; 0 is what a number is that was not given. */
static const struct {
	int opt, type;
	size_t at;
	uint32_t min, max;
} numbers[] = {
	{ NODE, ESPSYNC_A_CHANNEL_NODE, offsetof(struct channel, node), 1, ESPSYNC_MAX_NODE },
	{ PORT, ESPSYNC_A_CHANNEL_PORT, offsetof(struct channel, port), 1, 65535 },
	{ TICK_US, ESPSYNC_A_CHANNEL_TICK_US, offsetof(struct channel, tick_us), 100, 10000 },
	{ RECORDS_PER_S, ESPSYNC_A_CHANNEL_RECORDS_PER_S, offsetof(struct channel, records_per_s), 1000, 10000000 },
	{ RATE_KBIT, ESPSYNC_A_CHANNEL_RATE_KBIT, offsetof(struct channel, rate_kbit), 0, 10000000 },
	{ DEAD_MS, ESPSYNC_A_CHANNEL_DEAD_MS, offsetof(struct channel, dead_ms), 50, 60000 },
	{ DETECT_MS, ESPSYNC_A_CHANNEL_DETECT_MS, offsetof(struct channel, detect_ms), 50, 60000 },
	{ EVICT_MS, ESPSYNC_A_CHANNEL_EVICT_MS, offsetof(struct channel, evict_ms), 21, 600000 },
};

static uint32_t *number(struct channel *ch, size_t i)
{
	return (uint32_t *)((char *)ch + numbers[i].at);
}

static int parse_dev(const char *what, const char *s, char dev[IFNAMSIZ])
{
	if (!strcmp(s, "none"))
		s = "";
	else if (parse_device(what, s))
		return BAD;
	strcpy(dev, s);
	return 0;
}

static int parse_set(const char *what, struct opt *opts, struct channel *ch)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers) && !err; i++)
		if (opts[numbers[i].opt].seen)
			err = parse_u32(what, opts[numbers[i].opt].word, opts[numbers[i].opt].v[0], numbers[i].min,
					numbers[i].max, number(ch, i));
	if (!err && opts[LOCAL].seen)
		err = parse_links(what, opts[LOCAL].n, opts[LOCAL].v, ch->local, NULL);
	if (!err && opts[DEV].seen)
		err = parse_dev(what, opts[DEV].v[0], ch->dev);
	if (!err && ch->detect_ms && ch->evict_ms && ch->evict_ms <= 2 * ch->detect_ms)
		err = fail(BAD, what, "a failover must be over before a peer is given up",
			   "evict_ms %u is not more than twice detect_ms %u", ch->evict_ms, ch->detect_ms);
	if (!err && opts[NODE].seen != opts[LOCAL].seen)
		err = fail(BAD, what, "node N local ADDR", "'%s' is missing", opts[NODE].seen ? "local" : "node");
	if (!err && opts[PSK_FILE].seen)
		err = keyfile_read(what, opts[PSK_FILE].v[0], ch->key);
	return err;
}

static struct nl_msg *build_set(struct knl *nl, const struct opt *opts, struct channel *ch)
{
	struct nl_msg *msg = knl_request(nl, ESPSYNC_CMD_CHANNEL_SET);
	struct nlattr *nest = knl_nest(msg, ESPSYNC_A_CHANNEL);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (!opts[numbers[i].opt].seen)
			continue;
		if (numbers[i].opt == NODE)
			knl_put_u8(msg, numbers[i].type, (uint8_t)ch->node);
		else if (numbers[i].opt == PORT)
			knl_put_be16(msg, numbers[i].type, (uint16_t)ch->port);
		else
			knl_put_u32(msg, numbers[i].type, *number(ch, i));
	}
	if (opts[LOCAL].seen)
		knl_put_addr(msg, ESPSYNC_A_CHANNEL_LOCAL, &ch->local[0]);
	if (ch->local[1].len)
		knl_put_addr(msg, ESPSYNC_A_CHANNEL_LOCAL2, &ch->local[1]);
	if (opts[DEV].seen)
		knl_put(msg, ESPSYNC_A_CHANNEL_DEV, ch->dev, strlen(ch->dev) + 1);
	if (opts[PSK_FILE].seen)
		knl_put(msg, ESPSYNC_A_CHANNEL_KEY, ch->key, sizeof(ch->key));
	knl_nest_end(msg, nest);
	return msg;
}

/* A channel that does not exist yet cannot be changed; asked first, so that the answer is about the command line. */
static int must_exist(struct knl *nl)
{
	knl_send_and_wait(nl, knl_request(nl, ESPSYNC_CMD_CHANNEL_GET), NULL, NULL);
	if (nl->err == -ENOENT)
		return fail(BAD, nl->what, "say node N local ADDR to make one", "there is no channel yet");
	return nl->err ? knl_refused(nl, NULL) : 0;
}

static int channel_set(const struct cli *cli, int argc, char **argv)
{
	struct opt opts[] = {
		[NODE] = { "node", 1 },	      [LOCAL] = { "local", OPT_ADDRS },	      [PORT] = { "port", 1 },
		[DEV] = { "dev", 1 },	      [PSK_FILE] = { "psk-file", 1 }, [TICK_US] = { "tick_us", 1 },
		[RECORDS_PER_S] = { "records_per_s", 1 }, [RATE_KBIT] = { "rate_kbit", 1 },
		[DEAD_MS] = { "dead_ms", 1 }, [DETECT_MS] = { "detect_ms", 1 }, [EVICT_MS] = { "evict_ms", 1 },
		[N_OPTS] = { .word = NULL },
	};
	static const char what[] = "channel set";
	struct channel ch = { .node = 0 };
	struct knl nl = { .sk = NULL };
	int err;

	err = opts_parse(what, opts, argc, argv);
	if (!err && !argc)
		err = fail(BAD, what, "node N local ADDR", "nothing to set");
	if (!err)
		err = parse_set(what, opts, &ch);
	if (!err)
		err = knl_open(&nl, cli, what);
	if (!err && !opts[NODE].seen)
		err = must_exist(&nl);
	if (!err && knl_send_and_wait(&nl, build_set(&nl, opts, &ch), NULL, NULL))
		err = knl_refused(&nl, NULL);
	explicit_bzero(&ch, sizeof(ch));
	knl_close(&nl);
	return err;
}

static int channel_del(const struct cli *cli, int argc, char **argv)
{
	struct opt opts[] = { { "--release", 0 }, { .word = NULL } };
	static const char what[] = "channel del";
	struct nlattr *nest;
	struct nl_msg *msg;
	struct knl nl;
	int err;

	err = opts_parse(what, opts, argc, argv);
	if (err)
		return err;
	err = knl_open(&nl, cli, what);
	if (!err) {
		msg = knl_request(&nl, ESPSYNC_CMD_CHANNEL_DEL);
		nest = knl_nest(msg, ESPSYNC_A_CHANNEL);
		if (opts[0].seen)
			knl_put(msg, ESPSYNC_A_CHANNEL_RELEASE, NULL, 0);
		knl_nest_end(msg, nest);
		if (knl_send_and_wait(&nl, msg, NULL, NULL))
			err = knl_refused(&nl, NULL);
	}
	knl_close(&nl);
	return err;
}

static const struct words verbs = WORDS("set", "del");

int cmd_channel(const struct cli *cli, int argc, char **argv)
{
	if (!argc)
		return fail(BAD, "channel", "set or del", "what to do is missing");
	switch (word_find(&verbs, *argv)) {
	case 0:
		return channel_set(cli, argc - 1, argv + 1);
	case 1:
		return channel_del(cli, argc - 1, argv + 1);
	default:
		return word_unknown("channel", &verbs, *argv);
	}
}
