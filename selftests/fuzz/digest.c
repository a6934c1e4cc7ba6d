// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/digest.c ../../user/espsyncd/differ.c ../../user/espsyncd/carried.c ../../user/espsyncd/lines.c ../../user/espsyncd/facts.c ../../user/espsyncd/spis.c
// SOURCES: ../../user/espsyncd/settings.c ../../user/espsyncd/config.c ../../user/espsyncd/vici_msg.c ../../user/espsyncd/bytes.c
/*
 * digest.c - what a peer says of its configuration: a length u16, the bytes of one, and behind it the bytes of another one.
 *
 * Job: what is taken is the bytes that came, each item found where it belongs; it differs in nothing from itself, and if two differ, that is said
 * to either side. Lines are as many and as long as they may be, and are text.
 */
#include <ctype.h>
#include <stdbool.h>

#include "../../user/espsyncd/carried.h"
#include "../../user/espsyncd/differ.h"
#include "../../user/espsyncd/spis.h"
#include "fuzz.h"

static void judge_lines(const struct lines *l)
{
	must(l->n <= LINES_MAX && (!l->more || l->n == LINES_MAX));
	for (unsigned int i = 0; i < l->n; i++) {
		const char *end = memchr(l->text[i], 0, LINES_LEN);

		must(end && end > l->text[i]);
		for (const char *c = l->text[i]; c < end; c++)
			must((unsigned char)*c >= ' ' && *c != 0x7f);
	}
}

static void judge(const struct digest *d, const uint8_t *data, size_t len)
{
	struct digest_item before = { 0 };

	must(bytes_left(&d->text) == len && !memcmp(bytes_at(&d->text), data, len) && !d->too_large);
	for (unsigned int i = 0; i < digest_count(d); i++) {
		struct digest_item item = digest_item(d, i);

		must(!i || digest_order(&before, &item) < 0);
		must(digest_value(d, item.part, item.conn, item.child, item.key) == item.value);
		must(strlen(item.conn) <= DIGEST_NAME && strlen(item.child) <= DIGEST_NAME && strlen(item.key) <= DIGEST_NAME);
		before = item;
	}
}

static unsigned int lines_between(const struct digest *a, const struct digest *b)
{
	struct lines l = { .n = 0 };

	differ_check(a, b, 2, &l);
	lines_end(&l);
	judge_lines(&l);
	return l.n;
}

static bool taken(struct digest *d, const uint8_t *data, size_t len)
{
	uint8_t *copy = exact(data, len);
	bool ok = digest_read(d, copy, len);
	struct lines l = { .n = 0 };

	free(copy);
	if (!ok) {
		must(!d->text.data && !d->at.data);
		return false;
	}
	judge(d, data, len);
	must(!lines_between(d, d));
	carried_check(d, &l);
	spis_check(d, &l);
	spis_compare(d, d, 2, &l);
	lines_end(&l);
	judge_lines(&l);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct digest one, two;
	const uint8_t *p;
	size_t len;

	len = take16(&in);
	p = take(&in, len, &len);
	if (!taken(&one, p, len))
		return 0;
	if (taken(&two, in.p, in.left))
		must(!lines_between(&one, &two) == !lines_between(&two, &one));
	digest_free(&one);
	digest_free(&two);
	return 0;
}
