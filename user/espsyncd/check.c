// SPDX-License-Identifier: GPL-2.0-or-later
/* check: espsyncd -t, behind the reading of the configuration. See check.h. */
#include <event2/event.h>
#include <stdio.h>

#include "carried.h"
#include "check.h"
#include "digest.h"
#include "kernel.h"
#include "lines.h"
#include "spis.h"
#include "survey.h"
#include "vici.h"

#define PATIENCE_S	3	/* with a charon that does not answer: espsyncd's unit waits for this */

struct check {
	const struct config *c;
	struct event_base *base;
	struct lines lines;
};

static void on_surveyed(void *ctx, struct digest *digest, bool told)
{
	struct check *k = ctx;
	unsigned int i;

	(void)told;
	carried_check(digest, &k->lines);
	spis_check(digest, &k->lines);
	for (i = 0; i < k->c->n_peers; i++)
		spis_compare(digest, NULL, k->c->peers[i].node, &k->lines);
	digest_free(digest);
	event_base_loopbreak(k->base);
}

static void on_drift(void *ctx, const char *text)
{
	struct check *k = ctx;

	lines_add(&k->lines, "%s", text);
}

static void survey(struct check *k)
{
	struct timeval patience = { PATIENCE_S, 0 };
	struct vici *v = vici_alloc(k->base, k->c->vici);
	struct survey *s = survey_alloc(k->c, v, on_surveyed, k);

	event_base_loopexit(k->base, &patience);
	survey_begin(s);
	event_base_dispatch(k->base);
	survey_free(s);
	vici_free(v);
}

/* What a helper that runs here has said to the module. */
static void ask_kernel(struct check *k)
{
	static const struct kernel_ops nobody;
	struct kernel *kernel = kernel_alloc(k->base, &nobody, NULL);

	if (!kernel)
		return;
	kernel_drift(kernel, on_drift, k);
	kernel_free(kernel);
}

void check_print(const struct config *c)
{
	struct check k = { .c = c, .base = event_base_new() };
	unsigned int i;

	survey(&k);
	ask_kernel(&k);
	event_base_free(k.base);
	lines_end(&k.lines);
	for (i = 0; i < k.lines.n; i++)
		puts(k.lines.text[i]);
}
