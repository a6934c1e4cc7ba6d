// SPDX-License-Identifier: GPL-2.0-or-later
/* vici_sas: what charon listed, kept for as long as it takes to compare. Pure. See vici_sas.h. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "vici_sas.h"

#define FITS	(32 << 10)	/* as text a tunnel is four times as long as in the journal, not sixteen times */

void vici_sas_add(struct bytes *sas, const struct vici_sa *sa)
{
	struct vici_sa copy = *sa;

	copy.children = sa->n_children ? secret_dup(sa->children, sa->n_children * sizeof(*sa->children)) : NULL;
	bytes_add(sas, &copy, sizeof(copy));
}

void vici_sas_free(struct bytes *sas)
{
	const struct vici_sa *sa = (const struct vici_sa *)bytes_at(sas);
	size_t n = bytes_left(sas) / sizeof(*sa);

	for (; n--; sa++)
		secret_free(sa->children, sa->n_children * sizeof(*sa->children));
	bytes_free(sas);
}

static int order(const struct ike_id *a, const struct ike_id *b)
{
	int r = memcmp(a->spi_i, b->spi_i, sizeof(a->spi_i));

	return r ? r : memcmp(a->spi_r, b->spi_r, sizeof(a->spi_r));
}

static int by_id(const void *a, const void *b)
{
	const struct vici_sa *x = a, *y = b;

	return order(&x->id, &y->id);
}

static int id_and_sa(const void *id, const void *sa)
{
	return order(id, &((const struct vici_sa *)sa)->id);
}

void vici_sas_sort(struct bytes *sas)
{
	size_t n = bytes_left(sas) / sizeof(struct vici_sa);

	if (n)
		qsort(sas->data + sas->off, n, sizeof(struct vici_sa), by_id);
}

const struct vici_sa *vici_sas_find(const struct bytes *sas, const struct ike_id *id)
{
	return bsearch(id, bytes_at(sas), bytes_left(sas) / sizeof(struct vici_sa), sizeof(struct vici_sa), id_and_sa);
}

bool vici_may_omit(const struct journal_sa *sa)
{
	return sa->crowded || journal_chain_size(sa) > FITS;
}

const char *vici_addr_text(const struct ha_addr *a, char text[VICI_ADDR_TEXT])
{
	static const char unknown[] = "unknown";

	if (!a->len || !inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->bytes, text, VICI_ADDR_TEXT))
		memcpy(text, unknown, sizeof(unknown));
	return text;
}

static bool read_addr(struct ha_addr *a, const char *text, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->port = port;
	if (inet_pton(AF_INET, text, a->bytes) == 1)
		a->len = 4;
	else if (inet_pton(AF_INET6, text, a->bytes) == 1)
		a->len = 16;
	return a->len && a->port;
}

bool vici_ends(struct ha_addr *local, struct ha_addr *remote, const struct vici_sa *listed)
{
	return read_addr(local, listed->local, listed->local_port) && read_addr(remote, listed->remote, listed->remote_port);
}

bool vici_moved(const struct journal_sa *known, const struct vici_sa *listed)
{
	struct ha_addr local, remote;

	return known->update.len && vici_ends(&local, &remote, listed) &&
		!(ha_addr_equal(&local, &known->local) && ha_addr_equal(&remote, &known->remote));
}

const struct vici_child *vici_child_of(const struct vici_sa *sa, uint32_t spi_in)
{
	unsigned int i;

	for (i = 0; i < sa->n_children; i++) {
		if (sa->children[i].spi_in == spi_in)
			return &sa->children[i];
	}
	return NULL;
}
