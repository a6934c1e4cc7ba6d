// SPDX-License-Identifier: GPL-2.0-or-later
/* dialect: a message of one wire version of strongSwan's ha plugin, said in another. Pure. See dialect.h. */
#include <stdbool.h>
#include <string.h>

#include "codec.h"
#include "dialect.h"
#include "journal.h"

/* In all versions. */
#define CONDITIONS	9
#define EXTENSIONS	10

/* In version 4 and 5; version 3 has the other attributes in the same order, and lacks these two. */
#define ADD_SECRET	18
#define ALG_PRF		20
#define ALG_KE		25
#define ADD_KES		26

/* The highest key exchange (RFC 7296, "Diffie-Hellman group") that all releases know: Curve448. Of those behind it 5.9 has some and 6.0 others. */
#define LAST_KE		32

#define PRIVATE_SET	0x80	/* of CONDITIONS and EXTENSIONS in version 5: these are private, and those that are not have been told before */

static uint8_t to_v4(uint8_t id)
{
	return id + (id >= ADD_SECRET) + (id + 1 >= ADD_KES);
}

static uint8_t to_v3(uint8_t id)
{
	return id - (id > ADD_SECRET) - (id > ADD_KES);
}

/* As versions 4 and 5 number it. */
static uint8_t number(const uint8_t *data, const struct ha_attribute *a)
{
	return data[0] == 3 ? to_v4(a->id) : a->id;
}

static bool is_private_set(uint8_t id, const struct ha_attribute *a)
{
	return (id == CONDITIONS || id == EXTENSIONS) && (a->value[0] & PRIVATE_SET);
}

static bool is_empty_set(const struct ha_attribute *a)
{
	return a->value[0] == PRIVATE_SET && !a->value[1] && !a->value[2] && !a->value[3];
}

static const char *lacks(uint8_t version, uint8_t id, const struct ha_attribute *a)
{
	if (version == 3 && (id == ADD_SECRET || id == ADD_KES))
		return "additional key exchanges";
	if (id == ALG_KE && (a->value[0] || a->value[1] > LAST_KE))
		return "its key exchange method";
	if (is_private_set(id, a) && !is_empty_set(a))
		return "private conditions or extensions";
	return NULL;
}

/* Versions 4 and 5 number alike, and know the same key exchanges. */
static bool are_alike(uint8_t a, uint8_t b)
{
	return a == b || (a > 3 && b > 3);
}

const char *dialect_lacks(uint8_t version, const uint8_t *data, size_t len)
{
	bool has_algorithms = false;
	struct ha_attribute a;
	const char *what;
	size_t at = 2;

	if (!version || version == data[0])
		return NULL;
	while (ha_next(data, len, &at, &a)) {
		uint8_t id = number(data, &a);

		what = are_alike(version, data[0]) && id == ALG_KE ? NULL : lacks(version, id, &a);
		if (what)
			return what;
		has_algorithms |= id == ALG_PRF;
	}
	/* It adds keys to those of the IKE_ADD before it. */
	return version == 3 && data[1] == HA_IKE_ADD && !has_algorithms ? "additional key exchanges" : NULL;
}

size_t dialect_say(uint8_t *out, uint8_t version, const uint8_t *data, size_t len)
{
	struct ha_attribute a;
	size_t at = 2, n = 2;

	if (version == data[0]) {
		memcpy(out, data, len);
		return len;
	}
	if (dialect_lacks(version, data, len))
		return 0;
	out[0] = version;
	out[1] = data[1];
	while (ha_next(data, len, &at, &a)) {
		uint8_t id = number(data, &a);

		/* Whoever has no such sets would take the bits for those that it has, and forget what was told before. */
		if (is_private_set(id, &a))
			continue;
		out[n++] = version == 3 ? to_v3(id) : id;
		memcpy(out + n, a.value, a.len);
		n += a.len;
	}
	return n;
}

const char *dialect_lacks_keys(uint8_t version, const struct journal_sa *sa)
{
	const char *what = NULL;
	int i;

	for (; sa && !what; sa = sa->prev) {
		for (i = 0; i < sa->n_adds && !what; i++)
			what = dialect_lacks(version, sa->adds[i].data, sa->adds[i].len);
	}
	return what;
}
