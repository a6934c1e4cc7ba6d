// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_show.c - espsync show: everything the kernel says of itself. Reads only.
 */
#include <errno.h>
#include <stdio.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "summary.h"
#include "text.h"
#include "word.h"

enum { CHANNEL, GROUPS, PEERS, SAS, STATS };

static const struct words nouns = WORDS("channel", "groups", "peers", "sas", "stats");

/* What can be shown: how it is asked for, and what it is made of. */
static const struct noun {
	uint8_t cmd;
	const struct object *object;
	bool many;
} table[] = {
	[CHANNEL] = { ESPSYNC_CMD_CHANNEL_GET, &object_channel, false },
	[GROUPS] = { ESPSYNC_CMD_GROUP_GET, &object_group, true },
	[PEERS] = { ESPSYNC_CMD_PEER_GET, &object_peer, true },
	[SAS] = { ESPSYNC_CMD_SA_GET, &object_sas, true },
	[STATS] = { ESPSYNC_CMD_STATS_GET, &object_stats, false },
};

static int fetch(struct knl *nl, const struct noun *noun, json_t **out)
{
	struct nl_msg *msg = knl_request(nl, noun->cmd);
	int err;

	*out = NULL;
	err = noun->many ? knl_array(nl, msg, noun->object, out) : knl_send_and_wait(nl, msg, noun->object, out);
	if (err) {
		json_decref(*out);
		*out = NULL;
	}
	return err;
}

/* ENOENT: the channel was asked for. ENOTCONN: something that only a channel has. */
static bool no_channel(const struct knl *nl)
{
	return nl->err == -ENOENT || nl->err == -ENOTCONN;
}

static int show_noun(const struct cli *cli, struct knl *nl, const struct noun *noun)
{
	json_t *json;

	if (fetch(nl, noun, &json)) {
		if (no_channel(nl))
			return fail(NO, nl->what, "make one: espsync channel set node N local ADDR", "there is no channel here");
		return knl_refused(nl, NULL);
	}
	if (cli->json)
		json_print(json_incref(json), JSON_INDENT(2));
	else if (noun->many)
		text_table(NULL, noun->object, json);
	else
		text_list(noun->object, json);
	json_decref(json);
	return DONE;
}

static void print_all(json_t *all)
{
	static const struct {
		const char *title;
		int noun;
	} parts[] = { { "channel", CHANNEL }, { "groups", GROUPS }, { "peers", PEERS } };

	puts(json_string_value(json_object_get(all, "summary")));
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const struct noun *noun = &table[parts[i].noun];
		json_t *json = json_object_get(all, parts[i].title), *array;

		array = noun->many ? json_incref(json) : json_pack("[O]", json);
		if (!json_is_null(json) && json_array_size(array)) {
			putchar('\n');
			text_table(parts[i].title, noun->object, array);
		}
		json_decref(array);
	}
}

/* Everything but the SAs, of which there may be thousands. */
static int show_all(const struct cli *cli, struct knl *nl)
{
	static const int parts[] = { CHANNEL, GROUPS, PEERS, STATS };
	json_t *all = json_object(), *json;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (fetch(nl, &table[parts[i]], &json)) {
			if (!no_channel(nl)) {
				json_decref(all);
				return knl_refused(nl, NULL);
			}
			json = table[parts[i]].many ? json_array() : json_null();
		}
		json_object_set_new(all, nouns.v[parts[i]], json ? json : json_null());
	}
	json_object_set_new(all, "summary",
			    summary(json_object_get(all, "channel"), json_object_get(all, "groups"),
				    json_object_get(all, "peers")));
	if (cli->json)
		json_print(json_incref(all), JSON_INDENT(2));
	else
		print_all(all);
	json_decref(all);
	return DONE;
}

int cmd_show(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "show";
	int noun = -1, err;
	struct knl nl;

	if (argc > 0) {
		noun = word_find(&nouns, *argv);
		if (noun < 0)
			return word_unknown(what, &nouns, *argv);
	}
	if (argc > 1)
		return fail(BAD, what, "one thing at a time", "'%s' is too much", argv[1]);
	err = knl_open(&nl, cli, what);
	if (!err)
		err = noun < 0 ? show_all(cli, &nl) : show_noun(cli, &nl, &table[noun]);
	knl_close(&nl);
	return err;
}
