// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsync/sajson.c ../../user/espsync/parse.c ../../user/espsync/word.c ../../user/espsync/err.c
// LIBS: -ljansson
/*
 * sajson.c - what `espsync sa put` reads.
 *
 * Job: value after value is taken until one is refused, which is said with a sentence. Each SA that was taken has what an SA needs, and
 * written down anew it is read as the same. Nothing behind a value is taken from the stream with it.
 */
#include <arpa/inet.h>
#include <stdarg.h>

#include "../../user/espsync/sajson.h"
#include "fuzz.h"

static int next_byte(void *arg)
{
	struct input *in = arg;

	return in->left ? take8(in) : -1;
}

static char text[8192];
static size_t len;

static void __attribute__((format(printf, 1, 2))) add(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	len += vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
	must(len < sizeof(text));
}

static void add_hex(const char *key, const uint8_t *p, size_t n)
{
	add(", \"%s\": \"", key);
	while (n--)
		add("%02x", *p++);
	add("\"");
}

static void write_down(const struct sa_counters *sa)
{
	char dst[INET6_ADDRSTRLEN];

	len = 0;
	inet_ntop(sa->dst.len == 4 ? AF_INET : AF_INET6, sa->dst.b, dst, sizeof(dst));
	add("{\"dst\": \"%s\", \"spi\": \"0x%08x\"", dst, sa->spi);
	if (sa->has & SA_HAS_PROTO)
		add(", \"proto\": %u", sa->proto);
	if (sa->has & SA_HAS_FINGERPRINT)
		add_hex("fingerprint", sa->fingerprint, sizeof(sa->fingerprint));
	if (sa->has & SA_HAS_OSEQ)
		add(", \"oseq\": \"%llu\"", (unsigned long long)sa->oseq);
	if (sa->has & SA_HAS_SEQ)
		add(", \"seq\": \"%llu\"", (unsigned long long)sa->seq);
	if (sa->has & SA_HAS_WINDOW)
		add(", \"window\": %u", sa->window);
	if (sa->has & SA_HAS_BITMAP)
		add_hex("bitmap", sa->bitmap, sa->bitmap_len);
	if (sa->has & SA_HAS_BYTES)
		add(", \"bytes\": \"%llu\"", (unsigned long long)sa->bytes);
	if (sa->has & SA_HAS_PACKETS)
		add(", \"packets\": \"%llu\"", (unsigned long long)sa->packets);
	add("} and more");
}

static void read_again(const struct sa_counters *sa)
{
	struct input in = { (const uint8_t *)text, len };
	struct sa_counters *again;
	struct sajson j;
	size_t n;

	sajson_init(&j, next_byte, &in);
	must(sajson_next(&j, &again, &n) == 1 && n == 1);
	must(in.left == strlen(" and more"));
	must(again->has == sa->has && again->spi == sa->spi && again->proto == sa->proto);
	must(again->dst.len == sa->dst.len && !memcmp(again->dst.b, sa->dst.b, sa->dst.len));
	must(!memcmp(again->fingerprint, sa->fingerprint, sizeof(sa->fingerprint)));
	must(again->oseq == sa->oseq && again->seq == sa->seq && again->bytes == sa->bytes && again->packets == sa->packets);
	must(again->window == sa->window && again->bitmap_len == sa->bitmap_len);
	must(!memcmp(again->bitmap, sa->bitmap, sa->bitmap_len));
	free(again);
}

static void judge(const struct sa_counters *sa)
{
	must(sa->has & SA_HAS_DST && sa->has & SA_HAS_SPI && sa->spi && (sa->proto == 50 || sa->proto == 51));
	must(sa->dst.len == 4 || sa->dst.len == 16);
	must(sa->bitmap_len <= SAJSON_BITMAP_BYTES && sa->window <= SAJSON_BITMAP_BYTES * 8);
	must(!(sa->has & SA_HAS_BITMAP) || sa->has & SA_HAS_SEQ);
	write_down(sa);
	read_again(sa);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct sa_counters *sas;
	struct sajson j;
	size_t n;
	int got;

	sajson_init(&j, next_byte, &in);
	while ((got = sajson_next(&j, &sas, &n)) == 1) {
		must(n <= SAJSON_MAX_SAS && (data + size - in.left)[-1] != ' ');
		for (size_t i = 0; i < n; i++)
			judge(&sas[i]);
		free(sas);
	}
	must(!sas);
	if (got < 0)
		must(*j.why && memchr(j.why, 0, sizeof(j.why)));
	else
		must(!in.left);
	return 0;
}
