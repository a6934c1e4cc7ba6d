// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * summary.c - groups, peers, SAs and the last takeover in one line. Pure: JSON in, a string out.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "summary.h"
#include "text.h"

struct line {
	char text[2048];
	size_t used;
};

static void __attribute__((format(printf, 2, 3))) add(struct line *line, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line->text + line->used, sizeof(line->text) - line->used, format, ap);
	va_end(ap);
	if (n > 0)
		line->used += (size_t)n;
	if (line->used >= sizeof(line->text))
		line->used = sizeof(line->text) - 1;
}

static const char *word_of(const json_t *object, const char *key)
{
	const char *word = json_string_value(json_object_get(object, key));

	return word ? word : "unknown";
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void add_groups(struct line *line, const json_t *groups)
{
	json_t *group;
	size_t i;

	if (!json_array_size(groups))
		add(line, "no group");
	json_array_foreach(groups, i, group) {
		uint64_t epoch = json_u64(json_object_get(group, "epoch"));

		add(line, "%sgroup %" JSON_INTEGER_FORMAT " %s", i ? ", " : "", number_of(group, "group"),
		    word_of(group, "role"));
		if (epoch)
			add(line, " epoch %" PRIu64, epoch);
		if (!strcmp(word_of(group, "role"), "standby") && json_is_false(json_object_get(group, "in")))
			add(line, " out of sync");
	}
}

/* Redundancy that is lost is said, though nothing else is. */
static void add_links(struct line *line, const json_t *links)
{
	size_t n = json_array_size(links), up = 0, i;
	json_t *one;

	json_array_foreach(links, i, one)
		up += !strcmp(word_of(one, "state"), "up");
	if (n > 1 && up < n)
		add(line, ", %zu of %zu links", up, n);
}

static void add_peers(struct line *line, const json_t *peers)
{
	json_t *peer, *rtt;
	char buf[32];
	size_t i;

	add(line, json_array_size(peers) ? " | " : " | no peers");
	json_array_foreach(peers, i, peer) {
		add(line, "%speer %" JSON_INTEGER_FORMAT " %s", i ? ", " : "", number_of(peer, "node"),
		    word_of(peer, "state"));
		rtt = json_object_get(peer, "rtt_us");
		if (json_is_integer(rtt) && strcmp(word_of(peer, "state"), "down"))
			add(line, " %s", text_us((uint64_t)json_integer_value(rtt), buf, sizeof(buf)));
		if (strcmp(word_of(peer, "state"), "down"))
			add_links(line, json_object_get(peer, "links"));
	}
}

static void add_sas(struct line *line, const json_t *groups)
{
	json_int_t total = 0, good = 0;
	json_t *group;
	size_t i;

	json_array_foreach(groups, i, group) {
		total += number_of(group, "sas_total");
		good += number_of(group, "sas_protected");
	}
	add(line, " | %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " SAs protected", good, total);
}

static void add_takeover(struct line *line, const json_t *groups)
{
	int64_t last = 0;
	json_t *group;
	char buf[32];
	size_t i;

	json_array_foreach(groups, i, group) {
		int64_t then = (int64_t)json_u64(json_object_get(group, "takeover"));

		if (then > last)
			last = then;
	}
	if (last)
		add(line, " | last takeover %s", text_clock(last, buf, sizeof(buf)));
	else
		add(line, " | no takeover yet");
}

json_t *summary(const json_t *channel, const json_t *groups, const json_t *peers)
{
	struct line line = { .used = 0 };

	if (json_is_null(channel))
		add(&line, "no channel | ");
	add_groups(&line, groups);
	add_peers(&line, peers);
	add_sas(&line, groups);
	add_takeover(&line, groups);
	return json_string(line.text);
}
