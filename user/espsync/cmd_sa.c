// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_sa.c - espsync sa: the counters of one SA, out (get) and in (put).
 *
 * `put` takes what `get` and `monitor counters -j` print. A value of the input is one transaction: an object, or an array of them;
 * and all of the input if it is a file. A transaction with an SA that would be refused changes nothing. A stream goes on behind
 * an SA that this node does not have, because the next may be known: its exit code tells at the end.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "parse.h"
#include "sajson.h"
#include "text.h"
#include "word.h"

static struct nl_msg *request_sa(struct knl *nl, uint8_t cmd, const struct sa_counters *sa, struct nlattr **nest)
{
	struct nl_msg *msg = knl_request(nl, cmd);

	*nest = knl_nest(msg, ESPSYNC_A_SA);
	knl_put_addr(msg, ESPSYNC_A_SA_DST, &sa->dst);
	knl_put_be32(msg, ESPSYNC_A_SA_SPI, sa->spi);
	knl_put_u8(msg, ESPSYNC_A_SA_PROTO, sa->proto);
	return msg;
}

static int fetch(struct knl *nl, const struct sa_counters *sa, json_t **json)
{
	struct nlattr *nest;
	struct nl_msg *msg = request_sa(nl, ESPSYNC_CMD_SA_GET, sa, &nest);

	knl_nest_end(msg, nest);
	return knl_send_and_wait(nl, msg, &object_counters, json);
}

static void name_sa(const struct sa_counters *sa, char *name, size_t size)
{
	snprintf(name, size, "SA 0x%08x", sa->spi);
}

static int parse_proto(const char *what, const char *s, struct sa_counters *sa)
{
	int proto = word_find(&words_proto, s);

	if (proto < 0)
		return word_unknown(what, &words_proto, s);
	sa->proto = (uint8_t)proto;
	return 0;
}

static int sa_get(const struct cli *cli, int argc, char **argv)
{
	enum { DST, SPI, PROTO };
	struct opt opts[] = { { "dst", 1 }, { "spi", 1 }, { "proto", 1 }, { .word = NULL } };
	struct sa_counters sa = { .proto = IPPROTO_ESP };
	static const char what[] = "sa get";
	json_t *json = NULL;
	char name[32];
	struct knl nl;
	int err;

	err = opts_parse(what, opts, argc, argv);
	if (!err && (!opts[DST].seen || !opts[SPI].seen))
		err = fail(BAD, what, "espsync sa get dst ADDR spi SPI", "'%s' is missing", opts[DST].seen ? "spi" : "dst");
	if (!err)
		err = parse_addr(what, opts[DST].v[0], &sa.dst);
	if (!err)
		err = parse_spi(what, opts[SPI].v[0], &sa.spi);
	if (!err && opts[PROTO].seen)
		err = parse_proto(what, opts[PROTO].v[0], &sa);
	if (err)
		return err;
	err = knl_open(&nl, cli, what);
	if (!err) {
		name_sa(&sa, name, sizeof(name));
		if (fetch(&nl, &sa, &json))
			err = knl_refused(&nl, name);
		else if (cli->json)
			json_print(json_incref(json), JSON_INDENT(2));
		else
			text_list(&object_counters, json);
	}
	json_decref(json);
	knl_close(&nl);
	return err;
}

static int put_one(struct knl *nl, const struct sa_counters *sa)
{
	static const struct {
		enum sa_has has;
		int type;
		size_t at;
	} numbers[] = {
		{ SA_HAS_OSEQ, ESPSYNC_A_SA_OSEQ, offsetof(struct sa_counters, oseq) },
		{ SA_HAS_SEQ, ESPSYNC_A_SA_SEQ, offsetof(struct sa_counters, seq) },
		{ SA_HAS_BYTES, ESPSYNC_A_SA_BYTES, offsetof(struct sa_counters, bytes) },
		{ SA_HAS_PACKETS, ESPSYNC_A_SA_PACKETS, offsetof(struct sa_counters, packets) },
	};
	struct nlattr *nest;
	struct nl_msg *msg = request_sa(nl, ESPSYNC_CMD_SA_PUT, sa, &nest);

	if (sa->has & SA_HAS_FINGERPRINT)
		knl_put(msg, ESPSYNC_A_SA_FINGERPRINT, sa->fingerprint, sizeof(sa->fingerprint));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (sa->has & numbers[i].has)
			knl_put(msg, numbers[i].type, (const char *)sa + numbers[i].at, sizeof(uint64_t));
	if (sa->has & SA_HAS_WINDOW)
		knl_put_u32(msg, ESPSYNC_A_SA_WINDOW, sa->window);
	if (sa->has & SA_HAS_BITMAP)
		knl_put(msg, ESPSYNC_A_SA_BITMAP, sa->bitmap, sa->bitmap_len);
	knl_nest_end(msg, nest);
	return knl_send_and_wait(nl, msg, NULL, NULL);
}

/* Would the kernel take it? Asked for all of a transaction before the first is put. */
static int would_take(struct knl *nl, const struct sa_counters *sa)
{
	const char *s;
	json_t *json;
	char hex[17];
	int err;

	err = fetch(nl, sa, &json);
	if (!err && (sa->has & SA_HAS_FINGERPRINT)) {
		for (size_t i = 0; i < sizeof(sa->fingerprint); i++)
			sprintf(hex + 2 * i, "%02x", sa->fingerprint[i]);
		s = json_string_value(json_object_get(json, "fingerprint"));
		if (s && strcmp(s, hex)) {
			err = -EKEYREJECTED;
			nl->err = err;
			snprintf(nl->why, sizeof(nl->why), "another fingerprint: not the same SA, or another cluster key");
		}
	}
	json_decref(json);
	return err;
}

/* All or, where the kernel refuses one, none. */
static int put_all(struct knl *nl, const struct sa_counters *sas, size_t n)
{
	char name[32];

	for (int really = n > 1 ? 0 : 1; really <= 1; really++)
		for (size_t i = 0; i < n; i++) {
			if (really ? put_one(nl, &sas[i]) : would_take(nl, &sas[i])) {
				name_sa(&sas[i], name, sizeof(name));
				return knl_refused(nl, name);
			}
		}
	return DONE;
}

static int from_stdin(void *arg)
{
	(void)arg;
	return getchar_unlocked();
}

static int worse(int a, int b)
{
	return a > b ? a : b;
}

static const char as_get[] = "give what espsync -j sa get prints";

/* The first value is read before the kernel is asked for anything, so that nonsense is refused as such everywhere. */
static int put_stream(struct knl *nl, const struct cli *cli, struct sajson *in)
{
	struct sa_counters *sas;
	int got, err, ret = DONE;
	size_t n;

	while ((got = sajson_next(in, &sas, &n)) > 0) {
		err = nl->sk ? DONE : knl_open(nl, cli, nl->what);
		if (!err)
			err = put_all(nl, sas, n);
		free(sas);
		if (err == REFUSED && nl->err != -EKEYREJECTED)
			return err;
		ret = worse(ret, err);
	}
	if (got < 0)
		return fail(BAD, nl->what, as_get, "%s", in->why);
	if (!nl->sk)
		return fail(BAD, nl->what, as_get, "no SA on standard input");
	return ret;
}

/* A file is one transaction, however many values it has. Read before the kernel is asked for anything. */
static int read_file(struct sajson *in, struct sa_counters **all, size_t *total)
{
	struct sa_counters *sas, *bigger;
	size_t n;
	int got;

	while ((got = sajson_next(in, &sas, &n)) > 0) {
		bigger = *total + n > SAJSON_MAX_SAS ? NULL : realloc(*all, (*total + n + 1) * sizeof(**all));
		if (bigger) {
			*all = bigger;
			memcpy(bigger + *total, sas, n * sizeof(*sas));
			*total += n;
		}
		free(sas);
		if (!bigger)
			return fail(BAD, "sa put", NULL, "more than %d SAs in a file", SAJSON_MAX_SAS);
	}
	if (got < 0)
		return fail(BAD, "sa put", as_get, "%s", in->why);
	if (!*total)
		return fail(BAD, "sa put", as_get, "no SA on standard input");
	return 0;
}

static int sa_put(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "sa put";
	struct sa_counters *all = NULL;
	struct knl nl = { .what = what };
	size_t total = 0;
	struct sajson in;
	struct stat st;
	int err;

	if (argc)
		return fail(BAD, what, "the SA is read from standard input", "'%s' is too much", *argv);
	sajson_init(&in, from_stdin, NULL);
	if (fstat(STDIN_FILENO, &st) || !S_ISREG(st.st_mode)) {
		err = put_stream(&nl, cli, &in);
	} else {
		err = read_file(&in, &all, &total);
		if (!err)
			err = knl_open(&nl, cli, what);
		if (!err)
			err = put_all(&nl, all, total);
	}
	free(all);
	knl_close(&nl);
	return err;
}

static const struct words verbs = WORDS("get", "put");

int cmd_sa(const struct cli *cli, int argc, char **argv)
{
	if (!argc)
		return fail(BAD, "sa", "get or put", "what to do is missing");
	switch (word_find(&verbs, *argv)) {
	case 0:
		return sa_get(cli, argc - 1, argv + 1);
	case 1:
		return sa_put(cli, argc - 1, argv + 1);
	default:
		return word_unknown("sa", &verbs, *argv);
	}
}
