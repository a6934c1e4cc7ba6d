/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - what every command of the tool shares: the global options, the exit codes, the table's row.
 *
 * Room: the contract between main.c and the commands. Nothing about netlink, nothing about an object.
 */
#ifndef ESPSYNC_CLI_H
#define ESPSYNC_CLI_H

#include <stdbool.h>

/**
 * enum exit_code - what the tool says to its caller
 * @DONE: done
 * @NO: no, or not found
 * @BAD: usage, a bad file or value; nothing was asked of the kernel
 * @REFUSED: refused by the kernel, module not loaded, no permission
 */
enum exit_code { DONE = 0, NO = 1, BAD = 2, REFUSED = 3 };

/**
 * struct cli - the global options
 * @json: print JSON
 * @netns: name of the network namespace to act in, or NULL
 */
struct cli {
	bool json;
	const char *netns;
};

/**
 * struct command - a row of the table of commands
 * @name: the word
 * @run: does it; @argv starts behind the word. Returns an enum exit_code
 * @usage: what may follow the word; lines are parted by '\n'
 * @what: one line for the help
 */
struct command {
	const char *name;
	int (*run)(const struct cli *cli, int argc, char **argv);
	const char *usage;
	const char *what;
};

int cmd_show(const struct cli *cli, int argc, char **argv);
int cmd_channel(const struct cli *cli, int argc, char **argv);
int cmd_key(const struct cli *cli, int argc, char **argv);
int cmd_peer(const struct cli *cli, int argc, char **argv);
int cmd_group(const struct cli *cli, int argc, char **argv);
int cmd_promote(const struct cli *cli, int argc, char **argv);
int cmd_demote(const struct cli *cli, int argc, char **argv);
int cmd_ready(const struct cli *cli, int argc, char **argv);
int cmd_ike(const struct cli *cli, int argc, char **argv);
int cmd_sa(const struct cli *cli, int argc, char **argv);
int cmd_resync(const struct cli *cli, int argc, char **argv);
int cmd_monitor(const struct cli *cli, int argc, char **argv);
int cmd_steer(const struct cli *cli, int argc, char **argv);

#endif /* ESPSYNC_CLI_H */
