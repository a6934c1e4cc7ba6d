// SPDX-License-Identifier: GPL-2.0-or-later
/* still: one VPN stands still on this node. See still.h. */
#include <errno.h>
#include <string.h>

#include "still.h"

struct hush *still_ike(const struct journal_sa *sa)
{
	struct hush_whom whom = { .remote = sa->remote, .ike = true };

	memcpy(whom.spi_i, sa->id.spi_i, sizeof(whom.spi_i));
	return hush_vpn(&whom);
}

struct hush *still_esp(const struct journal_sa *sa)
{
	uint32_t in[STILL_CHILDREN], out[STILL_CHILDREN];
	struct hush_whom whom = { .remote = sa->remote, .spis_in = in, .spis_out = out };
	const struct journal_child *c;

	for (; sa; sa = sa->prev) {
		TAILQ_FOREACH(c, &sa->children, link) {
			if (whom.n == STILL_CHILDREN) {
				errno = E2BIG;
				return NULL;
			}
			in[whom.n] = c->spi_in;
			out[whom.n++] = c->spi_out;
		}
	}
	return hush_vpn(&whom);
}
