// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_ike.c - espsync ike: which IKE SAs there are, the whole context of one out (get) and in (put), one to another node (move), and forgetting one (drop).
 * espsyncd does it: it has the keys.
 */
#include <errno.h>
#include <jansson.h>
#include <linux/espsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "helper.h"
#include "parse.h"
#include "text.h"
#include "word.h"

#define COLUMNS 7
#define CELL 80
#define PIECE (64 << 10)

static json_t *read_json(const char *what, const char *text, size_t type)
{
	json_t *json = json_loads(text, 0, NULL);

	if (json && (size_t)json_typeof(json) == type)
		return json;
	json_decref(json);
	fail(REFUSED, what, "the same version of espsync and espsyncd?", "espsyncd's answer cannot be read");
	return NULL;
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "-";
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* Names are of configurations, here or elsewhere. */
static void printable(char *cell)
{
	for (; *cell; cell++)
		if ((unsigned char)*cell < ' ' || *cell == 0x7f)
			*cell = '?';
}

/* The first row of an IKE SA has its first CHILD SA, further rows have further ones. */
static void fill_row(char row[COLUMNS][CELL], const json_t *sa, size_t i)
{
	const json_t *child = json_array_get(json_object_get(sa, "children"), i), *unique = json_object_get(sa, "uniqueid");

	memset(row, 0, COLUMNS * CELL);
	if (!i) {
		snprintf(row[0], CELL, "%s", "-");
		if (json_is_integer(unique))
			snprintf(row[0], CELL, "%" JSON_INTEGER_FORMAT, json_integer_value(unique));
		snprintf(row[1], CELL, "%s", string_of(sa, "name"));
		snprintf(row[2], CELL, "%s", string_of(sa, "state"));
		snprintf(row[4], CELL, "%s", string_of(sa, "remote"));
		snprintf(row[5], CELL, "%s_%s", string_of(sa, "initiator_spi"), string_of(sa, "responder_spi"));
	}
	snprintf(row[3], CELL, "%s", is_true(child ? child : sa, "journalled") && is_true(sa, "journalled") ? "yes" : "NO");
	snprintf(row[6], CELL, "%s", "-");
	if (child)
		snprintf(row[6], CELL, "%s %s", string_of(child, "spi_in"), string_of(child, "spi_out"));
	for (int c = 0; c < COLUMNS; c++)
		printable(row[c]);
}

static void each_row(const json_t *sas, void (*each)(char row[COLUMNS][CELL], void *arg), void *arg)
{
	char row[COLUMNS][CELL];
	const json_t *sa;
	size_t i, n, k;

	json_array_foreach((json_t *)sas, i, sa) {
		n = json_array_size(json_object_get(sa, "children"));
		for (k = 0; k < (n ? n : 1); k++) {
			fill_row(row, sa, k);
			each(row, arg);
		}
	}
}

struct table {
	FILE *out;
	int width[COLUMNS];
};

static void measure(char row[COLUMNS][CELL], void *arg)
{
	struct table *t = arg;

	for (int c = 0; c < COLUMNS; c++)
		if ((int)strlen(row[c]) > t->width[c])
			t->width[c] = (int)strlen(row[c]);
}

static void print_row(char row[COLUMNS][CELL], void *arg)
{
	const struct table *t = arg;

	for (int c = 0; c < COLUMNS - 1; c++)
		fprintf(t->out, "%-*s  ", t->width[c], row[c]);
	fprintf(t->out, "%s\n", row[COLUMNS - 1]);
}

static void print_table(FILE *out, const json_t *sas)
{
	char head[COLUMNS][CELL] = { "id", "name", "state", "journalled", "remote", "IKE SPIs", "SPIs in, out" };
	struct table t = { .out = out };

	measure(head, &t);
	each_row(sas, measure, &t);
	print_row(head, &t);
	each_row(sas, print_row, &t);
}

/* What espsyncd refuses in a sentence. A line behind it says which there are. */
static int refused(const char *what, struct answer *a)
{
	char *more = strchr(a->data, '\n');
	int code = a->code;
	json_t *sas;

	if (more)
		*more++ = '\0';
	fail(code, what, NULL, "%s", a->data);
	sas = more ? json_loads(more, 0, NULL) : NULL;
	if (json_is_array(sas))
		print_table(stderr, sas);
	json_decref(sas);
	free(a->data);
	return code;
}

static int ike_list(const struct cli *cli, const char *what, int argc)
{
	struct answer a;
	json_t *sas;
	int err;

	if (argc)
		return fail(BAD, what, NULL, "too many words");
	err = helper_ask(what, "list", "", 0, &a);
	if (err || a.code)
		return err ? err : refused(what, &a);
	sas = read_json(what, a.data, JSON_ARRAY);
	free(a.data);
	if (!sas)
		return REFUSED;
	if (cli->json) {
		json_print(sas, JSON_INDENT(2));
		return DONE;
	}
	print_table(stdout, sas);
	json_decref(sas);
	return DONE;
}

/* The file is sealed; all the same it is nobody else's. */
static int write_file(const char *what, const struct answer *a)
{
	struct stat st;

	if (!fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) && fchmod(STDOUT_FILENO, 0600))
		return fail(REFUSED, what, NULL, "the file cannot be made root's alone: %s", strerror(errno));
	if (fwrite(a->data, 1, a->len, stdout) != a->len)
		return fail(REFUSED, what, NULL, "output: %s", strerror(errno));
	return DONE;
}

static int ike_get(const char *what, int argc, char **argv)
{
	static const char usage[] = "espsync ike get ID > FILE";
	struct answer a;
	int err;

	if (!argc)
		return fail(BAD, what, usage, "which IKE SA is missing");
	if (argc > 1)
		return fail(BAD, what, usage, "too many words");
	if (isatty(STDOUT_FILENO))
		return fail(BAD, what, usage, "a terminal is no place for it");
	err = helper_ask(what, "get", argv[0], strlen(argv[0]), &a);
	if (err || a.code)
		return err ? err : refused(what, &a);
	err = write_file(what, &a);
	free(a.data);
	return err;
}

static int read_file(const char *what, char **data, size_t *len)
{
	size_t room = 0, n;
	char *bigger;

	do {
		if (room - *len < PIECE) {
			room = 2 * room + PIECE;
			bigger = realloc(*data, room);
			if (!bigger)
				return fail(REFUSED, what, NULL, "out of memory");
			*data = bigger;
		}
		n = fread(*data + *len, 1, PIECE, stdin);
		*len += n;
	} while (n && *len <= HELPER_MAX);
	if (ferror(stdin))
		return fail(BAD, what, NULL, "standard input: %s", strerror(errno));
	if (!*len)
		return fail(BAD, what, "espsync ike put < FILE", "the file is empty");
	if (*len > HELPER_MAX)
		return fail(BAD, what, "give what espsync ike get wrote", "the file is larger than any that espsync writes");
	return 0;
}

static void print_sas(const json_t *report)
{
	const json_t *sas = json_object_get(report, "sas"), *sa;
	size_t i;

	json_array_foreach((json_t *)sas, i, sa)
		printf("SA %s %-3s goes on from %s\n", string_of(sa, "spi"), string_of(sa, "dir"), string_of(sa, "from"));
}

static void print_put(const json_t *report)
{
	const json_t *told = json_object_get(report, "announced");
	char when[64];

	text_clock(strtoll(string_of(report, "time"), NULL, 10), when, sizeof(when));
	printf("IKE SA %s %s_%s is established, as node %" JSON_INTEGER_FORMAT " had it %s; no IKE was heard for %" JSON_INTEGER_FORMAT " ms\n",
	       string_of(report, "name"), string_of(report, "initiator_spi"), string_of(report, "responder_spi"),
	       json_integer_value(json_object_get(report, "node")), when, json_integer_value(json_object_get(report, "deaf_ms")));
	if (told)
		printf("its far end goes on with %s: %" JSON_INTEGER_FORMAT " messages, %" JSON_INTEGER_FORMAT " bytes, %" JSON_INTEGER_FORMAT " ms\n",
		       string_of(told, "local"), json_integer_value(json_object_get(told, "messages")),
		       json_integer_value(json_object_get(told, "bytes")), json_integer_value(json_object_get(told, "ms")));
	print_sas(report);
}

static void print_move(const json_t *report)
{
	printf("IKE SA %s %s_%s is on node %" JSON_INTEGER_FORMAT "; its ESP stood still for %" JSON_INTEGER_FORMAT
	       " ms, and that node heard no IKE for %" JSON_INTEGER_FORMAT " ms\n",
	       string_of(report, "name"), string_of(report, "initiator_spi"), string_of(report, "responder_spi"),
	       json_integer_value(json_object_get(report, "node")), json_integer_value(json_object_get(report, "silent_ms")),
	       json_integer_value(json_object_get(report, "deaf_ms")));
	print_sas(report);
}

/* What is answered with a report. */
static int ask(const struct cli *cli, const char *what, const char *word, const char *data, size_t len, void (*print)(const json_t *report))
{
	struct answer a;
	int err = helper_ask(what, word, data, len, &a);
	json_t *report;

	if (err || a.code)
		return err ? err : refused(what, &a);
	report = read_json(what, a.data, JSON_OBJECT);
	free(a.data);
	if (!report)
		return REFUSED;
	if (cli->json) {
		json_print(report, JSON_INDENT(2));
		return DONE;
	}
	print(report);
	json_decref(report);
	return DONE;
}

static int ike_put(const struct cli *cli, const char *what, int argc, char **argv)
{
	char *data = NULL;
	size_t len = 0;
	int err;

	if (argc)
		return fail(BAD, what, "espsync ike put < FILE", "'%s' is too much", *argv);
	if (isatty(STDIN_FILENO))
		return fail(BAD, what, "espsync ike put < FILE", "a terminal has no such file");
	err = read_file(what, &data, &len);
	if (!err)
		err = ask(cli, what, "put", data, len, print_put);
	free(data);
	return err;
}

static int ike_drop(const char *what, int argc, char **argv)
{
	struct answer a;
	int err;

	if (!argc)
		return fail(BAD, what, "espsync ike drop ID", "which IKE SA is missing");
	if (argc > 1)
		return fail(BAD, what, "espsync ike drop ID", "too many words");
	err = helper_ask(what, "drop", argv[0], strlen(argv[0]), &a);
	if (err || a.code)
		return err ? err : refused(what, &a);
	free(a.data);
	return DONE;
}

static int ike_move(const struct cli *cli, const char *what, int argc, char **argv)
{
	static const char usage[] = "espsync ike move ID NODE";
	char question[512];
	uint32_t node;
	int err;

	if (argc != 2)
		return fail(BAD, what, usage, argc < 2 ? "which IKE SA, or the node, is missing" : "too many words");
	err = parse_u32(what, "node", argv[1], 1, ESPSYNC_MAX_NODE, &node);
	if (err)
		return err;
	if (!*argv[0] || strlen(argv[0]) > sizeof(question) - sizeof("255 "))
		return fail(BAD, what, usage, "that is the name of no IKE SA");
	snprintf(question, sizeof(question), "%u %s", node, argv[0]);
	return ask(cli, what, "move", question, strlen(question), print_move);
}

static const struct words verbs = WORDS("list", "get", "put", "move", "drop");

int cmd_ike(const struct cli *cli, int argc, char **argv)
{
	if (!argc)
		return fail(BAD, "ike", "list, get, put, move or drop", "what to do is missing");
	if (cli->netns)
		return fail(BAD, "ike", "run it where that espsyncd has its /run", "-n says nothing of which espsyncd is meant");
	switch (word_find(&verbs, *argv)) {
	case 0:
		return ike_list(cli, "ike list", argc - 1);
	case 1:
		return ike_get("ike get", argc - 1, argv + 1);
	case 2:
		return ike_put(cli, "ike put", argc - 1, argv + 1);
	case 3:
		return ike_move(cli, "ike move", argc - 1, argv + 1);
	case 4:
		return ike_drop("ike drop", argc - 1, argv + 1);
	default:
		return word_unknown("ike", &verbs, *argv);
	}
}
