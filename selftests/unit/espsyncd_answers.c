// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_answers.c - user/espsyncd's answers: who gets an answer once more, and who does not.
 *
 * Job: packets made by hand, as many as there is room for and more.
 */
// SOURCES: ../../user/espsyncd/answers.c ../../user/espsyncd/ikehdr.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c
#include "../../user/espsyncd/answers.h"
#include "espsyncd_messages.h"
#include "ktap.h"

static struct answers *it;
static unsigned int n_sent;
static uint8_t sent[ANSWERS_LEN + 1];	/* the last one */
static size_t sent_len;
static uint8_t sent_to;
static uint64_t now = 1;

/* From the gateway, an answer of IKE SA @n unless @flags are a request's. */
static struct wire packet(uint32_t n, uint8_t mid, uint8_t flags, uint8_t last)
{
	uint8_t ip[20] = { 0x45, 0, 0, 80, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, last };
	uint8_t udp[8] = { 500 >> 8, 500 & 0xff, 0x1f, 0x90 }, rest[12] = { 46, 0x20, 36, flags, 0, 0, 0, mid, 0, 0, 0, 80 };
	struct ike_id id = name(n);
	struct wire w = { .n = 0 };

	put(&w, ip, sizeof(ip));
	put(&w, udp, sizeof(udp));
	put(&w, id.spi_i, 8);
	put(&w, id.spi_r, 8);
	put(&w, rest, sizeof(rest));
	return w;
}

static void keep(uint32_t n, uint8_t mid, uint8_t fragment)
{
	struct wire w = packet(n, mid, 0x20, 100);

	put8(&w, fragment);
	answers_keep(it, w.b, w.n, now);
}

static void sends(void *ctx, const struct ike_request *to, const uint8_t *data, size_t len)
{
	(void)ctx;
	sent_to = to->src.bytes[3];
	n_sent++;
	memcpy(sent, data, len);
	sent_len = len;
}

/* How often the far end has asked for it; how many packets that made. */
static unsigned int asks(uint32_t n, uint8_t mid, uint8_t last, uint16_t port)
{
	struct ike_request q = { .id = name(n), .mid = mid, .src = { .port = port, .len = 4, .bytes = { 192, 0, 2, last } },
				 .dst = { .port = 500, .len = 4, .bytes = { 192, 0, 2, 1 } } };

	n_sent = 0;
	return answers_again(it, &q, sends, NULL);
}

static void fresh(void)
{
	if (it)
		answers_free(it);
	it = answers_alloc();
}

static bool who_asks_again_gets_the_same(void)
{
	struct wire w = packet(1, 5, 0x20, 100);

	fresh();
	put8(&w, 7);
	keep(1, 4, 6);
	keep(1, 5, 7);
	ktap_expect(asks(1, 5, 100, 8080) == 1 && n_sent == 1 && sent_len == w.n && !memcmp(sent, w.b, w.n));
	ktap_expect(asks(1, 5, 100, 8080) == 2 && n_sent == 1);
	/* Fragments, in their order. */
	keep(2, 5, 1);
	keep(2, 5, 2);
	ktap_expect(asks(2, 5, 100, 8080) == 1 && n_sent == 2 && sent[sent_len - 1] == 2);
	for (int i = 2; i <= ANSWERS_AGAIN; i++)
		ktap_expect(asks(2, 5, 100, 8080) && n_sent == 2);
	ktap_expect(asks(2, 5, 100, 8080) && !n_sent);		/* but not for ever */
	return true;
}

static bool nobody_else_gets_it(void)
{
	fresh();
	keep(1, 5, 7);
	ktap_expect(!asks(1, 6, 100, 8080) && !asks(2, 5, 100, 8080) && !asks(1, 5, 101, 8080) && !asks(1, 5, 100, 8081) && !n_sent);
	return true;
}

static bool only_answers_are_kept(void)
{
	struct wire w = packet(1, 5, 0x08, 100);
	uint8_t much[ANSWERS_LEN + 1];

	fresh();
	answers_keep(it, w.b, w.n, now);
	ktap_expect(!asks(1, 5, 100, 8080));
	w = packet(1, 5, 0x20, 100);
	for (size_t len = 0; len < w.n; len++)
		answers_keep(it, w.b, len, now);
	ktap_expect(!asks(1, 5, 100, 8080));
	memset(much, 0, sizeof(much));
	memcpy(much, w.b, w.n);
	answers_keep(it, much, sizeof(much), now);
	ktap_expect(!asks(1, 5, 100, 8080));
	answers_keep(it, much, sizeof(much) - 1, now);
	ktap_expect(asks(1, 5, 100, 8080) == 1);
	return true;
}

static bool the_oldest_goes(void)
{
	fresh();
	for (uint32_t n = 1; n <= ANSWERS_MAX + 10; n++)
		keep(n, 5, 0);
	ktap_expect(!asks(10, 5, 100, 8080) && asks(11, 5, 100, 8080) == 1 && asks(ANSWERS_MAX + 10, 5, 100, 8080) == 1);
	answers_free(it), it = NULL;
	return true;
}

static unsigned int fresh_ones(void)
{
	n_sent = 0;
	answers_fresh(it, now, sends, NULL);
	return n_sent;
}

static bool the_newest_go_unasked(void)
{
	fresh();
	ktap_expect(!fresh_ones());
	keep(1, 5, 7);
	now += ANSWERS_FRESH_MS - 1;
	keep(2, 5, 8);
	ktap_expect(fresh_ones() == 2 && sent[sent_len - 1] == 8 && sent_to == 100);
	now++;
	ktap_expect(fresh_ones() == 1 && sent[sent_len - 1] == 8);
	ktap_expect(asks(1, 5, 100, 8080) == 1 && asks(2, 5, 100, 8080) == 1);	/* nobody had asked */
	now += ANSWERS_FRESH_MS;
	ktap_expect(!fresh_ones());
	answers_free(it), it = NULL;
	return true;
}

static const struct ktap_case cases[] = {
	{ "who asks again gets the same", who_asks_again_gets_the_same },
	{ "nobody else gets it", nobody_else_gets_it },
	{ "only answers are kept", only_answers_are_kept },
	{ "the oldest goes", the_oldest_goes },
	{ "the newest go unasked", the_newest_go_unasked },
};

KTAP_MAIN(cases)
