// SPDX-License-Identifier: GPL-2.0-or-later
/* pick: the context of an IKE SA of this node, as it is in this moment. See pick.h. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pick.h"

struct gathering {
	const struct pick_parts *p;
	struct context *context;
	uint32_t lacks;		/* SPI of one that has no numbers */
};

static void gather(void *ctx, enum espsync_dir dir, const struct ha_addr *dst, uint32_t spi)
{
	struct gathering *g = ctx;
	struct numbers n = { .dst = *dst, .spi = spi, .proto = IPPROTO_ESP };

	if (g->lacks)
		return;
	if (kernel_numbers(g->p->kernel, &n) || (n.dir != ESPSYNC_DIR_UNKNOWN && n.dir != dir)) {
		g->lacks = spi;
		return;
	}
	n.dir = dir;
	bytes_add(&g->context->numbers, &n, sizeof(n));
}

static bool refuse(char why[PICK_WHY], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(char why[PICK_WHY], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, PICK_WHY, fmt, ap);
	va_end(ap);
	return false;
}

static bool take(const struct pick_parts *p, struct context *c, const struct journal_sa *sa, const struct digest *config, char why[PICK_WHY])
{
	struct gathering g = { .p = p, .context = c };

	context_take(c, sa, config);
	c->node = p->c->node;
	c->time_s = time(NULL);
	context_each_spi(context_sa(c), gather, &g);
	if (!g.lacks)
		return true;
	context_free(c);
	return refuse(why, "the module does not follow its SA %08x: %s (espsync show sas)", g.lacks, kernel_why(p->kernel));
}

/* One that is changing is half of what it was and half of what it will be. */
bool pick(const struct pick_parts *p, struct context *c, const struct journal_sa *known, const struct vici_sa *listed, const char *called,
	  char why[PICK_WHY])
{
	const struct digest *config = drift_own(p->drift);

	if (!known)
		return refuse(why, "IKE SA '%.64s' is not in the journal (espsync ready says why, swanctl --rekey --ike-id %u helps)", called,
			      listed ? listed->unique : 0);
	if (known->next || relay_is_held(p->relay, &known->id) ||
	    (listed && strcmp(listed->state, "ESTABLISHED") && strcmp(listed->state, "PASSIVE")))
		return refuse(why, "IKE SA '%.64s' is being made, rekeyed or deleted (try again)", called);
	if (!config || !digest_value(config, DIGEST_LOADED, journal_name(known), "", ""))
		return refuse(why, "charon has not said its connection '%.64s' (swanctl --load-all, and try again)", journal_name(known));
	return take(p, c, known, config, why);
}
