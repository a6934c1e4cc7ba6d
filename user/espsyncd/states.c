// SPDX-License-Identifier: GPL-2.0-or-later
/* states: what the kernel listed of the cluster's SAs, kept for as long as it takes to compare. Pure. See states.h. */
#include <stdlib.h>
#include <string.h>

#include "states.h"

void states_add(struct bytes *states, const struct state *state)
{
	bytes_add(states, state, sizeof(*state));
}

static size_t count(const struct bytes *states)
{
	return bytes_left(states) / sizeof(struct state);
}

static int by_spi_and_dst(const void *a, const void *b)
{
	const struct state *x = a, *y = b;
	int r = (x->spi > y->spi) - (x->spi < y->spi);

	r = r ? r : (int)x->dst.len - (int)y->dst.len;
	return r ? r : memcmp(x->dst.bytes, y->dst.bytes, sizeof(x->dst.bytes));
}

void states_sort(struct bytes *states)
{
	if (count(states))
		qsort(states->data + states->off, count(states), sizeof(struct state), by_spi_and_dst);
}

bool states_find(const struct bytes *states, const struct ha_addr *dst, uint32_t spi)
{
	struct state key = { .dst = *dst, .spi = spi };

	return bsearch(&key, bytes_at(states), count(states), sizeof(key), by_spi_and_dst);
}

static bool is_replacing(const struct vici_sa *sa)
{
	unsigned int i;

	for (i = 0; i < sa->n_children; i++) {
		if (!sa->children[i].installed)
			return true;
	}
	return false;
}

bool states_have(const struct bytes *states, const struct vici_sa *sa, const struct vici_child *child)
{
	struct ha_addr local, remote;

	if (!states || !child->installed || !vici_ends(&local, &remote, sa))
		return true;
	return states_find(states, &local, child->spi_in) && (states_find(states, &remote, child->spi_out) || is_replacing(sa));
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* SPIs of all CHILD SAs, be they installed or not, sorted. */
static struct bytes listed_spis(const struct bytes *sas)
{
	const struct vici_sa *sa = (const struct vici_sa *)bytes_at(sas);
	size_t n = bytes_left(sas) / sizeof(*sa);
	struct bytes spis = { 0 };
	unsigned int i;

	for (; n--; sa++) {
		for (i = 0; i < sa->n_children; i++) {
			bytes_add(&spis, &sa->children[i].spi_in, sizeof(uint32_t));
			bytes_add(&spis, &sa->children[i].spi_out, sizeof(uint32_t));
		}
	}
	if (bytes_left(&spis))
		qsort(spis.data + spis.off, bytes_left(&spis) / sizeof(uint32_t), sizeof(uint32_t), by_number);
	return spis;
}

void states_strange(const struct bytes *states, const struct bytes *sas, void (*each)(void *ctx, const struct state *state), void *ctx)
{
	const struct state *state = (const struct state *)bytes_at(states);
	struct bytes spis = listed_spis(sas);
	size_t n = count(states);

	for (; n--; state++) {
		if (!bsearch(&state->spi, bytes_at(&spis), bytes_left(&spis) / sizeof(uint32_t), sizeof(uint32_t), by_number))
			each(ctx, state);
	}
	bytes_free(&spis);
}
