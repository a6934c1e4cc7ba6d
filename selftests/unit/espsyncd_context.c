// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_context.c - user/espsyncd's context and seal: what one VPN is made of comes back from what was written, and nothing else does.
 *
 * Job: contexts by hand, written and read; each length and each byte of a file wrong; what is in it wrong under a right seal.
 */
// SOURCES: ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/digest.c ../../user/espsyncd/seal.c
// LIBS: -lgnutls
#define _GNU_SOURCE
#include "../../user/espsyncd/context.c"
#include "../../user/espsyncd/seal.h"
#include "espsyncd_messages.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

static char out[512];

static void feed(struct journal *j, struct wire w)
{
	struct ha_msg m;

	assert(ha_parse(&m, w.b, w.n) == HA_OK);
	journal_apply(j, &m, w.b, w.n);
}

static void add_item(struct digest *d, enum digest_part part, const char *conn, const char *key, const char *value)
{
	digest_add(d, &(struct digest_item){ part, conn, "", key, value });
}

static struct digest configuration(void)
{
	struct digest d = { 0 };

	add_item(&d, DIGEST_NODE, "", FACTS_BYTE_ORDER, "little-endian");
	add_item(&d, DIGEST_NODE, "", FACTS_RELEASE, "5.9.8");
	add_item(&d, DIGEST_NODE, "", FACTS_POOL "a", "10.66.0.0, 254 addresses");
	add_item(&d, DIGEST_LOADED, "home", "", "");
	add_item(&d, DIGEST_LOADED, "home", "rekey_time", "3600");
	add_item(&d, DIGEST_LOADED, "other", "rekey_time", "7200");
	add_item(&d, DIGEST_WRITTEN, "home", "proposals", "aes128-sha256-x25519");
	digest_sort(&d);
	return d;
}

/* An IKE SA that replaced another, with a CHILD SA of each, in a journal with others. */
static struct journal *busy_journal(void)
{
	struct journal *j = journal_alloc();

	feed(j, ike_add(7, 0));
	feed(j, ike_update(7, "other", 1));
	feed(j, ike_add(1, 0));
	feed(j, ike_update(1, "home", 1));
	feed(j, ike_vips(1));
	feed(j, child(1, HA_CHILD_ADD, 0x11));
	feed(j, ike_add(2, 1));
	feed(j, ike_delete(1));
	feed(j, ike_update(2, "home", 1));
	feed(j, mid(2, HA_IKE_MID_INITIATOR, 4));
	feed(j, mid(2, HA_IKE_MID_RESPONDER, 9));
	feed(j, child(2, HA_CHILD_ADD, 0x21));
	return j;
}

static void number(void *ctx, enum espsync_dir dir, const struct ha_addr *dst, uint32_t spi)
{
	struct context *c = ctx;
	struct numbers n = {
		.dst = *dst, .spi = spi, .proto = 50, .dir = dir, .fingerprint = { spi, 1, 2 }, .oseq = 5000 + spi, .ceiling = 1 << 20, .lease = 1 << 21,
		.seq = 0x100000000 + spi, .window = 1024, .bytes = 1ULL << 40, .packets = 77, .bitmap = { 0xfe, spi }, .bitmap_len = 128,
	};

	bytes_add(&c->numbers, &n, sizeof(n));
}

static struct context one(void)
{
	struct journal *j = busy_journal();
	struct digest d = configuration();
	struct ike_id id = name(2);
	struct context c;

	context_take(&c, journal_find(j, &id), &d);
	c.node = 3;
	c.time_s = 1795230155;
	context_each_spi(context_sa(&c), number, &c);
	journal_free(j);
	digest_free(&d);
	return c;
}

static void say(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	static const char letter[] = "?AUIRDCX";
	char text[32];

	(void)ctx, (void)data, (void)len;
	snprintf(text, sizeof(text), "%c%u:%u ", letter[m->type], m->id.spi_i[0], m->spi_in ? m->spi_in : m->mid);
	strncat(out, text, sizeof(out) - strlen(out) - 1);
}

static bool it_comes_back(void)
{
	struct context c = one(), back;
	struct bytes b = { 0 }, again = { 0 };
	const struct numbers *n;

	context_write(&c, &b);
	assert(!context_read(&back, bytes_at(&b), bytes_left(&b)));
	out[0] = 0;
	journal_replay(context_sa(&back), say, NULL);
	ktap_expect(!strcmp(out, "A1:0 U1:0 C1:17 A2:0 D1:0 U2:0 U2:0 I2:4 R2:9 C2:33 "));
	ktap_expect(back.node == 3 && back.time_s == 1795230155 && !strcmp(journal_name(context_sa(&back)), "home") && context_version(&back) == 3);
	n = context_numbers(&back, ESPSYNC_DIR_OUT, 0x22);
	assert(n);
	ktap_expect(!memcmp(n, context_numbers(&c, ESPSYNC_DIR_OUT, 0x22), sizeof(*n)) && n->dst.bytes[0] == 198);
	ktap_expect(context_numbers(&back, ESPSYNC_DIR_IN, 0x11)->dst.bytes[0] == 192 && !context_numbers(&back, ESPSYNC_DIR_IN, 0x22));
	context_write(&back, &again);
	ktap_expect(bytes_left(&again) == bytes_left(&b) && !memcmp(bytes_at(&again), bytes_at(&b), bytes_left(&b)));
	bytes_free(&b);
	bytes_free(&again);
	context_free(&c);
	context_free(&back);
	return true;
}

static bool only_what_concerns_the_connection_is_said(void)
{
	struct context c = one();

	ktap_expect(digest_count(&c.config) == 5);
	ktap_expect(digest_value(&c.config, DIGEST_LOADED, "home", "", "rekey_time") && digest_value(&c.config, DIGEST_NODE, "", "", FACTS_POOL "a"));
	ktap_expect(!digest_value(&c.config, DIGEST_LOADED, "other", "", "rekey_time") && !digest_value(&c.config, DIGEST_NODE, "", "", FACTS_RELEASE));
	context_free(&c);
	return true;
}

/* The chain's ancestor too, for what was made under it. */
static bool it_can_be_elsewhere(void)
{
	const struct config_addr there = { 4, { 203, 0, 113, 9 } }, v6 = { 16, { 0x20, 1 } };
	struct context c = one();
	const struct journal_sa *sa;
	struct ha_msg m;

	ktap_expect(!context_move(&c, &v6) && context_sa(&c)->local.bytes[0] == 192);
	ktap_expect(context_move(&c, &there));
	out[0] = 0;
	journal_replay(context_sa(&c), say, NULL);
	ktap_expect(!strcmp(out, "A1:0 U1:0 C1:17 A2:0 D1:0 U2:0 U2:0 I2:4 R2:9 C2:33 "));
	for (sa = context_sa(&c); sa; sa = sa->prev) {
		ktap_expect(sa->local.len == 4 && !memcmp(sa->local.bytes, there.bytes, 4) && sa->local.port == 500 && sa->remote.bytes[0] == 198);
		ktap_expect(ha_parse(&m, sa->update.data, sa->update.len) == HA_OK && !memcmp(m.local.bytes, there.bytes, 4));
	}
	ktap_expect(!memcmp(context_numbers(&c, ESPSYNC_DIR_IN, 0x11)->dst.bytes, there.bytes, 4));
	ktap_expect(context_numbers(&c, ESPSYNC_DIR_OUT, 0x22)->dst.bytes[0] == 198);
	context_free(&c);
	return true;
}

/* Told to somebody else it is whole without: what is left has its numbers, and no others. */
static bool a_child_sa_is_left_out(void)
{
	static const struct { uint32_t spi; const char *left; size_t numbers; } tries[] = {
		{ 0x11, "A2:0 U2:0 U2:0 I2:4 R2:9 C2:33 ", 2 },
		{ 0x12, "A2:0 U2:0 U2:0 I2:4 R2:9 C2:33 ", 2 },
		{ 0x22, "A1:0 U1:0 C1:17 A2:0 D1:0 U2:0 U2:0 I2:4 R2:9 ", 2 },
		{ 0x99, "A1:0 U1:0 C1:17 A2:0 D1:0 U2:0 U2:0 I2:4 R2:9 C2:33 ", 4 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		struct context c = one(), back;
		struct bytes b = { 0 };

		context_leave_out(&c, tries[i].spi);
		out[0] = 0;
		journal_replay(context_sa(&c), say, NULL);
		ktap_expect(!strcmp(out, tries[i].left));
		ktap_expect(bytes_left(&c.numbers) == tries[i].numbers * sizeof(struct numbers));
		context_write(&c, &b);
		ktap_expect(!context_read(&back, bytes_at(&b), bytes_left(&b)));
		bytes_free(&b);
		context_free(&c);
		context_free(&back);
	}
	return true;
}

static bool where_to_go_on(void)
{
	struct numbers n = { .oseq = 10 };

	ktap_expect(numbers_start(&n) == 10 + NUMBERS_LEASE);
	n.ceiling = 1 << 20;
	ktap_expect(numbers_start(&n) == 2 * NUMBERS_LEASE);
	n.lease = 1 << 24;
	ktap_expect(numbers_start(&n) == (1 << 20) + (1 << 24));
	n.oseq = 1ULL << 33;
	ktap_expect(numbers_start(&n) == (1ULL << 33) + (1 << 24));
	return true;
}

/* Return: whether it is refused, as a sentence that begins so. */
static bool is_refused(struct bytes *b, const char *begins)
{
	struct context c;
	const char *wrong = context_read(&c, bytes_at(b), bytes_left(b));

	if (!wrong)
		context_free(&c);
	else
		assert(!c.journal && !c.numbers.data);
	bytes_free(b);
	return wrong && !strncmp(wrong, begins, strlen(begins));
}

/* What somebody with the key, or a fault of ours, might write. */
static struct bytes with_messages(const struct wire *messages, unsigned int n)
{
	struct bytes b = { 0 };
	unsigned int i;

	bytes_add_u8(&b, 1);
	bytes_add_u64(&b, 0);
	bytes_add_u32(&b, n);
	for (i = 0; i < n; i++) {
		bytes_add_u32(&b, messages[i].n);
		bytes_add(&b, messages[i].b, messages[i].n);
	}
	bytes_add_u32(&b, 0);
	bytes_add_u32(&b, 0);
	return b;
}

static bool half_an_ike_sa_is_none(void)
{
	struct wire add = ike_add(1, 0), update = ike_update(1, "home", 1), newer = ike_update(1, "home", 1);
	struct bytes b;

	newer.b[0] = 5;
	b = with_messages((struct wire[]){ add, update }, 2);
	ktap_expect(!is_refused(&b, ""));
	b = with_messages((struct wire[]){ add, update, child(1, HA_CHILD_ADD, 9) }, 3);
	ktap_expect(is_refused(&b, "it has not the numbers"));
	b = with_messages((struct wire[]){ add }, 1);
	ktap_expect(is_refused(&b, "it does not hold one IKE SA"));
	b = with_messages((struct wire[]){ add, update, ike_add(2, 0), ike_update(2, "home", 1) }, 4);
	ktap_expect(is_refused(&b, "it does not hold one IKE SA"));
	b = with_messages((struct wire[]){ add, ike_add(2, 1), ike_update(2, "home", 1) }, 3);
	ktap_expect(!is_refused(&b, ""));	/* the one before has nothing, and is left out */
	b = with_messages((struct wire[]){ add, child(1, HA_CHILD_ADD, 9), ike_add(2, 1), ike_update(2, "home", 1) }, 4);
	ktap_expect(is_refused(&b, "its IKE SA is not whole") || is_refused(&b, ""));
	b = with_messages((struct wire[]){ add, newer }, 2);
	ktap_expect(is_refused(&b, "its IKE SA is not whole"));
	b = with_messages((struct wire[]){ begin(3, HA_STATUS, 0), add, update }, 3);
	ktap_expect(is_refused(&b, "one of its messages cannot be read"));
	return true;
}

static bool each_length_and_byte_is_survived(void)
{
	struct context c = one(), back;
	struct bytes b = { 0 };
	size_t len, at;

	context_write(&c, &b);
	for (len = 0; len < bytes_left(&b); len++) {
		uint8_t *cut = secret_dup(bytes_at(&b), len);

		ktap_expect(context_read(&back, cut, len));
		secret_free(cut, len);
	}
	for (at = 0; at < bytes_left(&b); at++) {
		b.data[b.off + at] ^= 0xff;
		if (!context_read(&back, bytes_at(&b), bytes_left(&b)))
			context_free(&back);
		b.data[b.off + at] ^= 0xff;
	}
	bytes_add_u8(&b, 0);
	ktap_expect(context_read(&back, bytes_at(&b), bytes_left(&b)));
	bytes_free(&b);
	context_free(&c);
	return true;
}

static bool a_file_opens_with_its_key_alone(void)
{
	static const uint8_t text[] = "the context", key[32] = { 1 }, other[32] = { 2 };
	struct bytes file, second, data;
	char error[SEAL_ERROR];
	struct seal s, t;
	size_t at;

	assert(seal_init(&s, key) && seal_init(&t, other) && seal_close(&s, text, sizeof(text), &file) && seal_close(&s, text, sizeof(text), &second));
	ktap_expect(bytes_left(&file) == sizeof(text) + SEAL_MORE && memcmp(bytes_at(&file), bytes_at(&second), bytes_left(&file)));
	ktap_expect(!memmem(bytes_at(&file), bytes_left(&file), "context", 7));
	assert(seal_open(&s, bytes_at(&file), bytes_left(&file), &data, error));
	ktap_expect(bytes_left(&data) == sizeof(text) && !memcmp(bytes_at(&data), text, sizeof(text)));
	bytes_free(&data);
	ktap_expect(!seal_open(&t, bytes_at(&file), bytes_left(&file), &data, error) && strstr(error, "another cluster key"));
	memcpy(file.data + file.off + 9, t.id, sizeof(t.id));
	ktap_expect(!seal_open(&t, bytes_at(&file), bytes_left(&file), &data, error) && strstr(error, "changed"));
	memcpy(file.data + file.off + 9, s.id, sizeof(s.id));
	for (at = 0; at < bytes_left(&file); at++) {
		uint8_t *cut = secret_dup(bytes_at(&file), at);

		ktap_expect(!seal_open(&s, cut, at, &data, error) && *error && !data.data);
		secret_free(cut, at);
		file.data[file.off + at] ^= 1;
		ktap_expect(!seal_open(&s, bytes_at(&file), bytes_left(&file), &data, error) && *error && !data.data);
		file.data[file.off + at] ^= 1;
	}
	bytes_add_u8(&file, 0);
	ktap_expect(!seal_open(&s, bytes_at(&file), bytes_left(&file), &data, error) && strstr(error, "changed"));
	bytes_free(&file);
	bytes_free(&second);
	return true;
}

static const struct ktap_case cases[] = {
	{ "it comes back", it_comes_back },
	{ "only what concerns the connection is said", only_what_concerns_the_connection_is_said },
	{ "it can be elsewhere", it_can_be_elsewhere },
	{ "a CHILD SA is left out", a_child_sa_is_left_out },
	{ "where to go on", where_to_go_on },
	{ "half an IKE SA is none", half_an_ike_sa_is_none },
	{ "each length and byte is survived", each_length_and_byte_is_survived },
	{ "a file opens with its key alone", a_file_opens_with_its_key_alone },
};

KTAP_MAIN(cases)
