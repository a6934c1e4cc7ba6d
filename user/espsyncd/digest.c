// SPDX-License-Identifier: GPL-2.0-or-later
/* digest: what a node says of its configuration, to be compared with what others say. Pure. See digest.h. */
#include <stdlib.h>
#include <string.h>

#include "digest.h"

#define STRINGS	4

static struct digest_item item_at(const uint8_t *p)
{
	struct digest_item item = { .part = *p, .conn = (const char *)p + 1 };

	item.child = item.conn + strlen(item.conn) + 1;
	item.key = item.child + strlen(item.child) + 1;
	item.value = item.key + strlen(item.key) + 1;
	return item;
}

unsigned int digest_count(const struct digest *d)
{
	return bytes_left(&d->at) / sizeof(uint32_t);
}

struct digest_item digest_item(const struct digest *d, unsigned int i)
{
	return item_at(bytes_at(&d->text) + ((const uint32_t *)bytes_at(&d->at))[i]);
}

int digest_order(const struct digest_item *a, const struct digest_item *b)
{
	int r = (int)a->part - (int)b->part;

	r = r ? r : strcmp(a->conn, b->conn);
	r = r ? r : strcmp(a->child, b->child);
	return r ? r : strcmp(a->key, b->key);
}

static void add_string(struct bytes *b, const char *s, size_t max)
{
	bytes_add(b, s, strnlen(s, max));
	bytes_add_u8(b, 0);
}

void digest_add(struct digest *d, const struct digest_item *item)
{
	uint32_t at = bytes_left(&d->text);

	if (at + 1 + STRINGS * (DIGEST_NAME + 1) + DIGEST_VALUE > DIGEST_MAX) {
		d->too_large = true;
		return;
	}
	bytes_add(&d->at, &at, sizeof(at));
	bytes_add_u8(&d->text, item->part);
	add_string(&d->text, item->conn, DIGEST_NAME);
	add_string(&d->text, item->child, DIGEST_NAME);
	add_string(&d->text, item->key, DIGEST_NAME);
	add_string(&d->text, item->value, DIGEST_VALUE);
}

/* Of two about the same thing, what was added first comes first. */
static int by_order(const void *a, const void *b)
{
	const uint8_t *x = *(const uint8_t *const *)a, *y = *(const uint8_t *const *)b;
	struct digest_item one = item_at(x), two = item_at(y);
	int r = digest_order(&one, &two);

	return r ? r : (x > y) - (x < y);
}

void digest_sort(struct digest *d)
{
	unsigned int n = digest_count(d), i;
	struct digest sorted = { .too_large = d->too_large };
	struct digest_item before = { 0 }, item;
	const uint8_t **p;

	if (!n)
		return;
	p = secret_alloc(n * sizeof(*p));
	for (i = 0; i < n; i++)
		p[i] = bytes_at(&d->text) + ((const uint32_t *)bytes_at(&d->at))[i];
	qsort(p, n, sizeof(*p), by_order);
	for (i = 0; i < n; i++, before = item) {
		item = item_at(p[i]);
		if (!before.conn || digest_order(&before, &item))
			digest_add(&sorted, &item);
	}
	secret_free(p, n * sizeof(*p));
	digest_free(d);
	*d = sorted;
}

/* Return: what the item takes, or 0 if it is none */
static size_t check_item(const uint8_t *p, size_t left)
{
	size_t len = 1, max, n;
	int i;

	if (*p >= DIGEST_PARTS)
		return 0;
	for (i = 0; i < STRINGS; i++) {
		max = i == STRINGS - 1 ? DIGEST_VALUE : DIGEST_NAME;
		n = strnlen((const char *)p + len, left - len);
		if (n == left - len || n > max)
			return 0;
		len += n + 1;
	}
	return len;
}

static bool take(struct digest *d, const uint8_t *data, size_t len)
{
	struct digest_item before = { 0 }, item;
	size_t n;

	for (; len; data += n, len -= n, before = item) {
		n = check_item(data, len);
		if (!n)
			return false;
		item = item_at(data);
		if (before.conn && digest_order(&before, &item) >= 0)
			return false;
		digest_add(d, &item);
	}
	return !d->too_large;
}

bool digest_read(struct digest *d, const uint8_t *data, size_t len)
{
	memset(d, 0, sizeof(*d));
	if (take(d, data, len))
		return true;
	digest_free(d);
	return false;
}

const char *digest_value(const struct digest *d, enum digest_part part, const char *conn, const char *child, const char *key)
{
	struct digest_item want = { part, conn, child, key, NULL }, item;
	unsigned int low = 0, high = digest_count(d), mid;
	int r;

	while (low < high) {
		mid = low + (high - low) / 2;
		item = digest_item(d, mid);
		r = digest_order(&item, &want);
		if (!r)
			return item.value;
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return a->too_large == b->too_large && bytes_left(&a->text) == bytes_left(&b->text) &&
		!memcmp(bytes_at(&a->text), bytes_at(&b->text), bytes_left(&a->text));
}

void digest_free(struct digest *d)
{
	bytes_free(&d->text);
	bytes_free(&d->at);
	d->too_large = false;
}
