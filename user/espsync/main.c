// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - espsync, the control tool: global options and the table of commands. Each command is a file of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "err.h"
#include "word.h"

static const struct command commands[] = {
	{ "show", cmd_show, "[channel|groups|peers|sas|stats]", "how this node is; the bare command does the same" },
	{ "channel", cmd_channel,
	  "set node N local ADDR [ADDR2] [port P] [dev IF|none] [psk-file FILE] [tick_us N] [records_per_s N] [rate_kbit N]\n"
	  "    [dead_ms N] [detect_ms N] [evict_ms N]\n"
	  "set ...   of an existing channel: node and local may be left out\n"
	  "del [--release]",
	  "make, change or end this namespace's channel" },
	{ "key", cmd_key, "add ID psk-file FILE\nuse ID\ndel ID",
	  "another cluster key while the channel goes on: add it on every node, use it on every node, del the old one" },
	{ "peer", cmd_peer, "add NODE ADDR[:PORT] [ADDR2[:PORT]]\ndel NODE", "the other nodes" },
	{ "group", cmd_group,
	  "set N [addr ADDR...|none] [remote PREFIX...] [mark M[/MASK]] [if_id I] [reqid LO[-HI]]\n"
	  "set N [doubt jump|hold] [overrun stop|go-on] [evict default|never]\n"
	  "set N [role any|store]   store: it keeps the numbers, and this node is never promoted\n"
	  "set N [inbound lenient|strict]   strict: no replay is taken after a takeover, nor some good packets\n"
	  "del N",
	  "what a group guards, and how; remote: only with these far ends; mark, if_id, reqid: only such SAs" },
	{ "promote", cmd_promote, "[group N]", "this node is active from now on" },
	{ "demote", cmd_demote, "[group N] [timeout MS]", "this node is standby; answers when silent and flushed" },
	{ "ready", cmd_ready, "[group N] [--local]", "could some standby (--local: this node) carry on? exit 0: yes, 1: no" },
	{ "sa", cmd_sa, "get dst ADDR spi SPI [proto esp|ah]\nput < JSON", "counters of an SA: read, or merge, never backwards" },
	{ "ike", cmd_ike, "list\nget ID > FILE   ID: number, name or SPI of an IKE SA, as list has them\nput < FILE\nmove ID NODE\n"
	  "drop ID         forgotten, without a word to its far end",
	  "the whole context of a VPN (IKE SA, SAs, numbers): out into a file that only the cluster's key opens, and into an active node; or in one go\n"
	  "to a group that another node is active in" },
	{ "resync", cmd_resync, "[NODE]", "send everything again" },
	{ "monitor", cmd_monitor, "[events|counters]", "print what happens until interrupted" },
	{ "steer", cmd_steer, "from DEV... over DEV to NODE@ADDR...",
	  "hand on what arrives for groups that are active elsewhere, until interrupted" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static void help(FILE *out)
{
	fputs("usage: espsync [-j] [-n NETNS] [COMMAND ...]\n"
	      "  -j JSON   -n NETNS in that namespace   -V version   -h this\n\n",
	      out);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		fprintf(out, "  %s: %s\n", commands[i].name, commands[i].what);
		for (const char *line = commands[i].usage; line; line = strchr(line, '\n')) {
			line += *line == '\n';
			fprintf(out, "      espsync %s %.*s\n", commands[i].name, (int)strcspn(line, "\n"), line);
		}
	}
}

static int run_command(const struct cli *cli, int argc, char **argv)
{
	const char *names[N_COMMANDS];
	struct words words = { .v = names, .n = N_COMMANDS };
	int i;

	if (!argc)
		return cmd_show(cli, 0, argv);
	for (size_t c = 0; c < N_COMMANDS; c++)
		names[c] = commands[c].name;
	if (!strcmp(*argv, "help")) {
		help(stdout);
		return DONE;
	}
	i = word_find(&words, *argv);
	if (i < 0)
		return word_unknown("command", &words, *argv);
	return commands[i].run(cli, argc - 1, argv + 1);
}

/* A name, not a path: it goes behind /run/netns/. */
static int check_netns(const char *name)
{
	if (!*name || strlen(name) > 255 || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return fail(BAD, "-n", "ip netns list shows what there is", "'%s' is not the name of a namespace", name);
	return 0;
}

/* -j is also understood behind the command: people put it there. */
static int strip_json(struct cli *cli, int argc, char **argv)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "-j"))
			cli->json = true;
		else
			argv[n++] = argv[i];
	}
	return n;
}

/* What was printed must have arrived, or exit 0 would lie. */
static int flushed(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	return fail(code ? code : REFUSED, "output", NULL, "%s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct cli cli = { .json = false };
	char name[] = "espsync";
	int c;

	if (argc < 1)
		return BAD;
	argv[0] = name;
	while ((c = getopt(argc, argv, "+jn:Vh")) >= 0) {
		switch (c) {
		case 'j':
			cli.json = true;
			break;
		case 'n':
			cli.netns = optarg;
			if (check_netns(optarg))
				return BAD;
			break;
		case 'V':
			puts("espsync " VERSION);
			return flushed(DONE);
		case 'h':
			help(stdout);
			return flushed(DONE);
		default:
			return BAD; /* getopt has said why */
		}
	}
	argc = strip_json(&cli, argc - optind, argv + optind);
	return flushed(run_command(&cli, argc, argv + optind));
}
