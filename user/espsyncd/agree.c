// SPDX-License-Identifier: GPL-2.0-or-later
/* agree: do two nodes' journals say the same. Pure. See agree.h. */
#include <string.h>

#include "agree.h"
#include "bytes.h"

#define MAX_FETCHES	3

static uint64_t of_message_id(uint64_t sum, const struct journal_raw *r)
{
	struct ha_msg m;

	if (!r->len || ha_parse(&m, r->data, r->len) != HA_OK)
		return bytes_sum(sum, "", 1);
	return bytes_sum(sum, &m.mid, sizeof(m.mid));
}

static uint64_t of_ike_sa(const struct journal_sa *sa)
{
	uint64_t sum = BYTES_SUM_NOTHING;

	sum = bytes_sum(sum, sa->id.spi_i, sizeof(sa->id.spi_i));
	sum = bytes_sum(sum, sa->id.spi_r, sizeof(sa->id.spi_r));
	sum = bytes_sum(sum, sa->local.bytes, sizeof(sa->local.bytes));
	sum = bytes_sum(sum, sa->remote.bytes, sizeof(sa->remote.bytes));
	sum = bytes_sum(sum, &sa->remote.port, sizeof(sa->remote.port));
	sum = of_message_id(sum, &sa->mid_i);
	return of_message_id(sum, &sa->mid_r);
}

/* A journal that was given by another comes in another order. So each is a number, and they are added. */
uint64_t agree_sum(const struct journal *j)
{
	const struct journal_sa *sa = NULL, *under;
	const struct journal_child *c;
	uint64_t sum = 0;

	while ((sa = journal_next(j, sa))) {
		uint64_t tunnel = of_ike_sa(sa);

		sum += tunnel;
		for (under = sa; under; under = under->prev) {
			TAILQ_FOREACH(c, &under->children, link)
				sum += bytes_sum(bytes_sum(tunnel, &c->spi_in, sizeof(c->spi_in)), &c->spi_out, sizeof(c->spi_out));
		}
	}
	return sum;
}

enum agree_result agree_compare(struct agree *a, bool equal)
{
	if (equal) {
		memset(a, 0, sizeof(*a));
		return AGREE_MAYBE;
	}
	if (a->asked == MAX_FETCHES)
		return AGREE_NEVER;
	if (!a->differs++)
		return AGREE_MAYBE;
	a->differs = 0;
	a->asked++;
	return AGREE_FETCH;
}
