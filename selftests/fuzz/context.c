// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/context.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/digest.c ../../user/espsyncd/sk.c
// LIBS: -lgnutls
/*
 * context.c - the context of a VPN, as it travels.
 *
 * Job: what is taken holds one IKE SA that is whole, and the numbers of each of its SAs and of no other; written down it is read as the same. At
 * another address it still does, or it is as it was. Keys come of it, or a sentence. What is refused has a sentence, and nothing is left of it.
 */
#include "../../user/espsyncd/context.h"
#include "../../user/espsyncd/sk.h"
#include "fuzz.h"

static const struct config_addr elsewhere = { 4, { 203, 0, 113, 9 } };

struct count {
	const struct context *c;
	size_t n;
};

static void numbered(void *ctx, enum espsync_dir dir, const struct ha_addr *dst, uint32_t spi)
{
	struct count *count = ctx;
	const struct numbers *n = context_numbers(count->c, dir, spi);

	count->n++;
	must(n && n->dst.len == dst->len && !memcmp(n->dst.bytes, dst->bytes, dst->len) && n->bitmap_len <= sizeof(n->bitmap));
	must(numbers_start(n) > n->oseq && numbers_start(n) > n->ceiling);
}

static void judge(const struct context *c)
{
	const struct journal_sa *sa = context_sa(c);
	struct count count = { .c = c };

	must(sa && journal_count(c->journal) == 1 && !sa->next);
	context_each_spi(sa, numbered, &count);
	must(bytes_left(&c->numbers) == count.n * sizeof(struct numbers));
	for (; sa; sa = sa->prev)
		must(sa->n_adds && sa->update.len && sa->adds[0].data[0] == context_version(c));
}

/* What came is no answer: it would be one by chance. */
static void try_keys(const struct journal_sa *sa, const uint8_t *data, size_t len)
{
	static const uint8_t said[8];
	uint8_t message[SK_MAX];
	char why[SK_WHY];
	struct sk k;

	if (!sk_derive(&k, sa, why)) {
		must(*why && !k.cipher);
		return;
	}
	must(!sk_is_answer(&k, 0, data, len));
	must(sk_request(&k, 0, 41, said, sizeof(said), message));
	sk_wipe(&k);
}

/* Return: whether it was taken */
static bool read_and_write(const uint8_t *data, size_t len, struct bytes *written)
{
	uint8_t *copy = exact(data, len);
	struct context c;
	const char *wrong = context_read(&c, copy, len);

	free(copy);
	if (wrong) {
		must(*wrong && !c.journal && !c.numbers.data && !c.config.text.data);
		return false;
	}
	judge(&c);
	context_write(&c, written);
	try_keys(context_sa(&c), data, len);
	context_move(&c, &elsewhere);
	judge(&c);
	context_free(&c);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes one = { 0 }, two = { 0 };

	if (!read_and_write(data, size, &one))
		return 0;
	must(read_and_write(bytes_at(&one), bytes_left(&one), &two));
	must(bytes_left(&one) == bytes_left(&two) && !memcmp(bytes_at(&one), bytes_at(&two), bytes_left(&one)));
	bytes_free(&one);
	bytes_free(&two);
	return 0;
}
