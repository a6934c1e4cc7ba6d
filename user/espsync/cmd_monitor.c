// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_monitor.c - espsync monitor: print what the kernel multicasts, a line each, until interrupted.
 *
 * Reads only. What was lost because the reader is slow is said on stderr, so that a stream piped into `sa put` stays a stream.
 */
#include <stdio.h>
#include <time.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "listen.h"
#include "text.h"
#include "word.h"

#define RECEIVE_BYTES (4 << 20)

static const struct words streams = WORDS("events", "counters");

static const struct stream {
	const char *group;
	uint8_t cmd;
	const struct object *object;
} table[] = {
	{ ESPSYNC_MCGRP_EVENT, ESPSYNC_CMD_EVENT, &object_event },
	{ ESPSYNC_MCGRP_COUNTER, ESPSYNC_CMD_SA_GET, &object_counters },
};

struct monitor {
	const struct cli *cli;
	const struct stream *stream;
};

/* "12:03:11.042 role group 0 role active epoch 5": the names and values of what is known; the first and the last without a name. */
static void print_line(const struct object *object, const json_t *json)
{
	char buf[512], clock[16];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	printf("%s.%03ld", clock, now.tv_nsec / 1000000);
	for (size_t i = 0; i < object->n; i++) {
		const struct attr *attr = &object->attrs[i];
		const json_t *value = json_object_get(json, attr->name);

		if (json_is_null(value))
			continue;
		text_value(attr, value, buf, sizeof(buf));
		if (attr->type == ESPSYNC_A_EVENT_TEXT && attr->kind == ATTR_STRING)
			printf(": %s", buf);
		else if (!i && attr->kind == ATTR_WORD)
			printf(" %s", buf);
		else
			printf(" %s %s", attr->name, buf);
	}
	putchar('\n');
}

static void print_object(json_t *json, void *arg)
{
	const struct monitor *m = arg;

	if (m->cli->json) {
		json_print(json, JSON_COMPACT);
		return;
	}
	print_line(m->stream->object, json);
	json_decref(json);
}

static void say_lost(void *arg)
{
	(void)arg;
	fail(DONE, "monitor", "espsync show tells how it is now", "overrun: some messages were lost, the reader is too slow");
}

/* Ends when nobody reads any more; main() says so. */
static int flush_lines(void *arg)
{
	(void)arg;
	return fflush(stdout) ? REFUSED : DONE;
}

int cmd_monitor(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "monitor";
	struct monitor m = { .cli = cli, .stream = table };
	struct listener l = { .buffer = RECEIVE_BYTES, .on_object = print_object, .on_lost = say_lost, .on_pause = flush_lines, .arg = &m };
	struct knl nl;
	int which, err;

	if (argc > 0) {
		which = word_find(&streams, *argv);
		if (which < 0)
			return word_unknown(what, &streams, *argv);
		m.stream = &table[which];
	}
	if (argc > 1)
		return fail(BAD, what, "one thing at a time", "'%s' is too much", argv[1]);
	l.group = m.stream->group;
	l.cmd = m.stream->cmd;
	l.object = m.stream->object;
	err = knl_open(&nl, cli, what);
	if (!err)
		err = listen_until_signal(&nl, &l);
	knl_close(&nl);
	return err;
}
