// SPDX-License-Identifier: GPL-2.0-or-later
/* suspects: differences between what should be and what is, from one look to the next. Pure. See suspects.h. */
#include <stdlib.h>
#include <string.h>

#include "suspects.h"

#define REMEMBER_MS	600000

struct suspect {
	uint64_t seen_ms;
	uint64_t due_ms;	/* the last mending has had its time */
	struct ike_id id;
	uint32_t spi;
	uint8_t kind;
	uint8_t tried;
	bool seen;		/* at the last look, not only before */
	bool told;		/* that it was given up */
	bool ignored;
};

static int by_all(const void *a, const void *b)
{
	const struct suspect *x = a, *y = b;
	int r = memcmp(x->id.spi_i, y->id.spi_i, sizeof(x->id.spi_i));

	r = r ? r : memcmp(x->id.spi_r, y->id.spi_r, sizeof(x->id.spi_r));
	r = r ? r : (x->spi > y->spi) - (x->spi < y->spi);
	return r ? r : (int)x->kind - (int)y->kind;
}

static size_t count(const struct bytes *b)
{
	return bytes_left(b) / sizeof(struct suspect);
}

static const struct suspect *find(const struct bytes *b, const struct suspect *key)
{
	return bsearch(key, bytes_at(b), count(b), sizeof(*key), by_all);
}

/* There may be as many as IKE SAs: after a takeover without a journal, all of them. */
static void sort(struct bytes *b)
{
	if (count(b))
		qsort(b->data + b->off, count(b), sizeof(struct suspect), by_all);
}

static enum verdict judge(struct suspect *e, uint32_t gap_ms, uint64_t now, bool at_once)
{
	bool stands = e->seen || at_once;

	e->seen = true;
	e->seen_ms = now;
	if (e->ignored)
		return SUSPECT_IGNORED;
	if (!stands)
		return SUSPECT_NEW;
	if (e->tried && now < e->due_ms)
		return SUSPECT_WAIT;
	if (e->tried < SUSPECTS_TRIES) {
		e->tried++;
		e->due_ms = now + gap_ms;
		return SUSPECT_MEND;
	}
	if (e->told)
		return SUSPECT_GIVEN_UP;
	e->told = true;
	return SUSPECT_GIVE_UP;
}

enum verdict suspects_see(struct suspects *s, uint8_t kind, const struct ike_id *id, uint32_t spi, uint64_t now, bool at_once)
{
	const struct suspect *known;
	enum verdict verdict;
	struct suspect e;

	memset(&e, 0, sizeof(e));
	e.id = *id;
	e.spi = spi;
	e.kind = kind;
	known = find(&s->before, &e);
	if (known)
		e = *known;
	verdict = judge(&e, s->gap_ms, now, at_once);
	bytes_add(&s->now, &e, sizeof(e));
	return verdict;
}

static struct suspect *newest(struct suspects *s)
{
	return (struct suspect *)(s->now.data + s->now.len - sizeof(struct suspect));
}

void suspects_later(struct suspects *s, uint32_t ms)
{
	newest(s)->due_ms += ms;
}

void suspects_ignore(struct suspects *s)
{
	newest(s)->ignored = true;
}

/* What was mended, and is well now. */
static void remember(struct suspects *s, uint64_t now)
{
	const struct suspect *e = (const struct suspect *)bytes_at(&s->before);
	size_t n = count(&s->before);
	struct bytes well = { 0 };
	struct suspect old;

	for (; n--; e++) {
		if (!e->tried || e->ignored || now - e->seen_ms > REMEMBER_MS || find(&s->now, e))
			continue;
		old = *e;
		old.seen = false;
		old.told = false;
		bytes_add(&well, &old, sizeof(old));
	}
	bytes_add(&s->now, bytes_at(&well), bytes_left(&well));
	bytes_free(&well);
}

void suspects_end(struct suspects *s, uint64_t now)
{
	sort(&s->now);
	remember(s, now);
	sort(&s->now);
	bytes_free(&s->before);
	s->before = s->now;
	memset(&s->now, 0, sizeof(s->now));
}

void suspects_forget(struct suspects *s)
{
	bytes_free(&s->before);
	bytes_free(&s->now);
}
