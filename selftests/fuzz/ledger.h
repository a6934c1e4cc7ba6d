/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ledger.h - a journal judged: its lists, its sizes, and that what it tells makes the same journal again.
 */
#ifndef FUZZ_LEDGER_H
#define FUZZ_LEDGER_H

#include "../../user/espsyncd/bytes.h"
#include "../../user/espsyncd/journal.h"
#include "../../user/espsyncd/transaction.h"
#include "fuzz.h"

/* What malloc() takes for it. */
static inline size_t piece(size_t len)
{
	size_t n = (len + 23) / 16 * 16;

	return !len ? 0 : n < 32 ? 32 : n;
}

static inline size_t raw_size(const struct journal_raw *r)
{
	must(!r->len == !r->data);
	return piece(r->len);
}

static inline size_t sa_size(const struct journal *j, const struct journal_sa *sa)
{
	const struct journal_child *c;
	size_t n = raw_size(&sa->update) + raw_size(&sa->vips) + raw_size(&sa->mid_i) + raw_size(&sa->mid_r) + raw_size(&sa->iv);

	must(journal_find(j, &sa->id) == sa);
	must(sa->n_adds >= 1 && sa->n_adds <= JOURNAL_MAX_ADDS);
	must(!sa->next || sa->next->prev == sa);
	must(sa->update.len && (sa->next ? !sa->name : sa->name && *sa->name));
	for (int i = 0; i < sa->n_adds; i++)
		n += raw_size(&sa->adds[i]);
	n += piece(sizeof(*sa)) + piece(sa->n_adds * sizeof(*sa->adds)) + piece(sa->name ? strlen(sa->name) + 1 : 0);
	TAILQ_FOREACH(c, &sa->children, link)
		n += piece(sizeof(*c)) + raw_size(&c->raw);
	must(n == sa->size);
	return n;
}

/* All that is there hangs on an IKE SA that lives, and is counted. */
static inline void judge_journal(const struct journal *j)
{
	const struct journal_sa *sa = NULL, *old;
	unsigned int n = 0;
	size_t size = 0;

	while ((sa = journal_next(j, sa))) {
		must(!sa->next && !sa->deleted);
		n++;
		size += sa_size(j, sa);
		for (old = sa->prev; old; old = old->prev) {
			must(old->next && !TAILQ_EMPTY(&old->children) && !old->vips.len && !old->mid_i.len && !old->crowded);
			size += sa_size(j, old);
		}
	}
	must(n == journal_count(j) && size == journal_size(j));
}

/* All that a journal tells, one message behind the other, each behind its length. */
static inline void told(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	must(m->type && ha_is_state(m->type));
	bytes_add_u32(ctx, len);
	bytes_add(ctx, data, len);
}

static inline bool same_bytes(const struct bytes *a, const struct bytes *b)
{
	return bytes_left(a) == bytes_left(b) && (!bytes_left(a) || !memcmp(bytes_at(a), bytes_at(b), bytes_left(a)));
}

#endif /* FUZZ_LEDGER_H */
