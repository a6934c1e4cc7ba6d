// SPDX-License-Identifier: GPL-2.0
/*
 * tool_sajson.c - the reader of `espsync sa put`: what it takes, what it refuses and with which words, and random damage.
 */
// SOURCES: ../../user/espsync/sajson.c ../../user/espsync/parse.c ../../user/espsync/word.c ../../user/espsync/err.c
// LIBS: -ljansson
#include <stdlib.h>
#include <string.h>

#include "../../user/espsync/sajson.h"
#include "ktap.h"

struct text {
	const char *at, *end;
};

static int from_text(void *arg)
{
	struct text *t = arg;

	return t->at < t->end ? (unsigned char)*t->at++ : -1;
}

/* The first value of a text; its SAs are freed by the caller. */
static int first(const char *json, struct sajson *in, struct sa_counters **sas, size_t *n)
{
	static struct text text;

	text = (struct text){ json, json + strlen(json) };
	sajson_init(in, from_text, &text);
	return sajson_next(in, sas, n);
}

#define SA(rest) "{\"dst\": \"192.0.2.1\", \"spi\": \"0xc0000001\"" rest "}"

static bool takes_all(void)
{
	struct sa_counters *sa;
	struct sajson in;
	size_t n;

	ktap_expect(first(SA(", \"proto\": \"esp\", \"fingerprint\": \"0123456789abcdef\", \"oseq\": \"18446744073709551615\", \"seq\": 7,"
			     "\"window\": 4096, \"bitmap\": \"ff01\", \"bytes\": null, \"packets\": \"9\""),
			  &in, &sa, &n) == 1);
	ktap_expect(n == 1 && sa->dst.len == 4 && sa->spi == 0xc0000001 && sa->proto == 50);
	ktap_expect(sa->oseq == UINT64_MAX && sa->seq == 7 && sa->window == 4096 && sa->packets == 9);
	ktap_expect(sa->bitmap_len == 2 && sa->bitmap[0] == 0xff && sa->bitmap[1] == 1 && sa->fingerprint[7] == 0xef);
	ktap_expect(!(sa->has & SA_HAS_BYTES) && sa->has & SA_HAS_PACKETS);
	free(sa);
	ktap_expect(first(SA(", \"proto\": \"ah\""), &in, &sa, &n) == 1 && sa->proto == 51);
	free(sa);
	ktap_expect(first(SA(", \"proto\": 51"), &in, &sa, &n) == 1 && sa->proto == 51);
	free(sa);
	return true;
}

static bool refuses(void)
{
	static const struct {
		const char *json, *why;
	} rows[] = {
		{ "7", "not JSON" },
		{ "{", "not JSON" },
		{ SA("") "", NULL },
		{ "[" SA("") ", 7]", "an SA is an object" },
		{ "[[]]", "an SA is an object" },
		{ "{\"dst\": \"192.0.2.1\"}", "'spi' is missing" },
		{ "{\"spi\": 1}", "'dst' is missing" },
		{ SA(", \"osq\": \"1\""), "unknown key 'osq'" },
		{ SA(", \"oseq\": \"1\", \"oseq\": \"2\""), "not JSON: duplicate" },
		{ SA(", \"oseq\": \"18446744073709551616\""), "'oseq' is not" },
		{ SA(", \"oseq\": -1"), "'oseq' is not" },
		{ SA(", \"oseq\": 1.5"), "'oseq' is not" },
		{ SA(", \"oseq\": \"\""), "'oseq' is not" },
		{ SA(", \"oseq\": \"0x10\""), "'oseq' is not" },
		{ SA(", \"oseq\": true"), "'oseq' is not" },
		{ SA(", \"seq\": \" 1\""), "'seq' is not" },
		{ SA(", \"window\": 4097"), "'window' is not" },
		{ SA(", \"seq\": 1, \"bitmap\": \"0\""), "'bitmap' is not" },
		{ SA(", \"seq\": 1, \"bitmap\": \"0g\""), "'bitmap' is not" },
		{ SA(", \"bitmap\": \"00\""), "without 'seq'" },
		{ SA(", \"fingerprint\": \"0123\""), "'fingerprint' is not" },
		{ SA(", \"proto\": \"comp\""), "'proto' is not" },
		{ SA(", \"proto\": 108"), "'proto' is not" },
		{ SA(", \"proto\": 306"), "'proto' is not" },
		{ SA(", \"proto\": 4294967346"), "'proto' is not" },
		{ SA(", \"proto\": true"), "'proto' is not" },
		{ "{\"dst\": \"192.0.2.256\", \"spi\": 1}", "'dst' is not" },
		{ "{\"dst\": \"192.0.2.1\", \"spi\": 0}", "'spi' is not" },
		{ "{\"dst\": \"192.0.2.1\", \"spi\": 4294967296}", "'spi' is not" },
		{ "{\"dst\": \"192.0.2.1\", \"spi\": \"0x100000000\"}", "'spi' is not" },
		{ "{\"dst\": \"192.0.2.1\", \"spi\": \"0x\"}", "'spi' is not" },
		{ "{\"ds\\u0000t\": 1}", "not JSON" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sa_counters *sas;
		struct sajson in;
		size_t n;
		int got = first(rows[i].json, &in, &sas, &n);

		if (got != (rows[i].why ? -1 : 1) || (rows[i].why && !strstr(in.why, rows[i].why))) {
			ktap_diag("%s: %d, %s", rows[i].json, got, in.why);
			return false;
		}
		free(sas);
	}
	return true;
}

/* What lies behind a value is not touched before it is asked for. */
static bool streams(void)
{
	static const char json[] = "\n" SA(", \"oseq\": \"1\"") SA(", \"oseq\": \"2\"") "\n[" SA("") "," SA("") "]\n []{";
	struct text text = { json, json + strlen(json) };
	struct sa_counters *sas;
	struct sajson in;
	size_t n;

	sajson_init(&in, from_text, &text);
	for (unsigned int i = 1; i <= 2; i++) {
		ktap_expect(sajson_next(&in, &sas, &n) == 1 && n == 1 && sas->oseq == i);
		free(sas);
		ktap_expect(text.at[-1] == '}');
	}
	ktap_expect(sajson_next(&in, &sas, &n) == 1 && n == 2);
	free(sas);
	ktap_expect(sajson_next(&in, &sas, &n) == 1 && n == 0);
	free(sas);
	ktap_expect(sajson_next(&in, &sas, &n) == -1);
	return true;
}

static int endless(void *arg)
{
	size_t *taken = arg;

	return (*taken)++ ? ' ' : '{';
}

static bool bounded(void)
{
	struct sa_counters *sas;
	size_t taken = 0, n;
	struct sajson in;

	sajson_init(&in, endless, &taken);
	ktap_expect(sajson_next(&in, &sas, &n) == -1);
	ktap_expect(strstr(in.why, "longer than") && taken <= SAJSON_OBJECT_BYTES + 1);
	return true;
}

/* The sanitizers judge; a text that is taken must have what an SA needs. */
static bool damaged(void)
{
	static const char good[] = "[" SA(", \"fingerprint\": \"0123456789abcdef\", \"seq\": \"77\", \"window\": 64, \"bitmap\": \"ffff00ff\"") "]";
	unsigned int seed = ktap_seed();

	ktap_diag("UNIT_SEED=%u", seed);
	srandom(seed);
	for (unsigned long long i = ktap_rounds(20000); i; i--) {
		struct sa_counters *sas;
		char text[sizeof(good)];
		struct sajson in;
		size_t n;

		memcpy(text, good, sizeof(good));
		for (long hits = random() % 4; hits >= 0; hits--)
			text[(size_t)random() % (sizeof(good) - 1)] = (char)(1 + random() % 255);
		if (first(text, &in, &sas, &n) != 1)
			continue;
		for (size_t k = 0; k < n; k++)
			ktap_expect(sas[k].spi && sas[k].dst.len && sas[k].bitmap_len <= SAJSON_BITMAP_BYTES);
		free(sas);
	}
	return true;
}

static const struct ktap_case cases[] = {
	{ "takes every key", takes_all }, { "refuses, naming the key", refuses }, { "a stream, value by value", streams },
	{ "an endless text", bounded },	  { "random damage", damaged },
};

KTAP_MAIN(cases)
