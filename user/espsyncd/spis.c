// SPDX-License-Identifier: GPL-2.0-or-later
/* spis: from which SPIs a node's charon chooses. Pure. See spis.h. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spis.h"

#define REMEDY	"put what `espsyncd -s` prints into strongswan.d, restart strongSwan"

/* charon's settings, and what they are if they are not set. */
static const struct {
	const char *name;
	const char *otherwise;
} settings[] = {
	{ "spi_min", "0xc0000000" }, { "spi_max", "0xcfffffff" }, { "spi_mask", "0" }, { "spi_label", "0" },
};

enum { MIN, MAX, MASK, LABEL, SETTINGS };

struct spis {
	uint64_t v[SETTINGS];
};

/* Any IKE SPI, and charon's own range of ESP SPIs, if nothing is set. */
static const struct spis not_set = { { 0xc0000000, 0xcfffffff, 0, 0 } };

static struct spis of_node(unsigned int node)
{
	uint64_t n = node;

	return (struct spis){ { n << 24, n << 24 | 0xffffff, 0xffULL << 56, n << 56 } };
}

void spis_write(char text[SPIS_TEXT], unsigned int node)
{
	struct spis s = of_node(node);

	snprintf(text, SPIS_TEXT,
		 "# The first byte of each SPI, of ESP and of IKE, is the number of the node that chooses it: so two that are active by mistake\n"
		 "# never choose the same one. This is node %u's; `espsyncd -s` prints each node's.\n"
		 "charon {\n"
		 "\tspi_min = 0x%08" PRIx64 "\n\tspi_max = 0x%08" PRIx64 "\n\tspi_mask = 0x%016" PRIx64 "\n\tspi_label = 0x%016" PRIx64 "\n}\n",
		 node, s.v[MIN], s.v[MAX], s.v[MASK], s.v[LABEL]);
}

/* They stand where no connection has its own: a helper that does not know of them passes over what is of none that is loaded. */
void spis_tell(struct digest *d, const char *(*value)(const void *ctx, const char *name), const void *ctx)
{
	unsigned int i;

	for (i = 0; i < SETTINGS; i++) {
		const char *is = value(ctx, settings[i].name);

		digest_add(d, &(struct digest_item){ DIGEST_WRITTEN, "", "", settings[i].name, is ? is : settings[i].otherwise });
	}
}

/* As charon reads it: of 16 digits only behind 0x. */
static bool read_number(const char *text, uint64_t *v)
{
	bool hex = !strncmp(text, "0x", 2);
	const char *digits = text + (hex ? 2 : 0);
	char *end;

	if (!*digits || strlen(digits) > 16 || strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits))
		return false;
	*v = strtoull(digits, &end, hex ? 16 : 10);
	return true;
}

/* Return: -1 if it is not told, SETTINGS if all is well, or which one is no number */
static int read_spis(struct spis *s, const struct digest *d)
{
	int i;

	for (i = 0; i < SETTINGS; i++) {
		const char *text = digest_value(d, DIGEST_WRITTEN, "", "", settings[i].name);

		if (!text)
			return -1;
		if (!read_number(text, &s->v[i]))
			return i;
	}
	return s->v[MAX] > UINT32_MAX || s->v[MIN] > s->v[MAX] ? MAX : SETTINGS;
}

static bool has_default_esp(const struct spis *s)
{
	return s->v[MIN] == not_set.v[MIN] && s->v[MAX] == not_set.v[MAX];
}

void spis_check(const struct digest *d, struct lines *l)
{
	struct spis s;
	int n = read_spis(&s, d);

	if (n >= 0 && n < SETTINGS)
		lines_add(l, "strongSwan: %s = %.24s is no number, or out of range: " REMEDY, settings[n].name,
			  digest_value(d, DIGEST_WRITTEN, "", "", settings[n].name));
	if (n != SETTINGS)
		return;
	if (has_default_esp(&s))
		lines_add(l, "strongSwan: spi_min and spi_max are not set, and all nodes choose from the same ESP SPIs: " REMEDY);
	if (!s.v[MASK])
		lines_add(l, "strongSwan: spi_mask and spi_label are not set, and all nodes choose from the same IKE SPIs: " REMEDY);
}

void spis_compare(const struct digest *ours, const struct digest *theirs, unsigned int node, struct lines *l)
{
	struct spis a, b;

	if (read_spis(&a, ours) != SETTINGS)
		return;
	if (!theirs || read_spis(&b, theirs) != SETTINGS)
		b = of_node(node);
	/* What is not set is everybody's, and is said where that is. */
	if (!has_default_esp(&a) && !has_default_esp(&b) && a.v[MIN] <= b.v[MAX] && b.v[MIN] <= a.v[MAX])
		lines_add(l, "strongSwan: ESP SPIs 0x%08" PRIx64 " to 0x%08" PRIx64 " (spi_min, spi_max) are node %u's too: " REMEDY, a.v[MIN], a.v[MAX], node);
	if (a.v[MASK] && b.v[MASK] && !((a.v[LABEL] ^ b.v[LABEL]) & a.v[MASK] & b.v[MASK]))
		lines_add(l, "strongSwan: IKE SPIs like 0x%016" PRIx64 " (spi_mask, spi_label) are node %u's too: " REMEDY, a.v[LABEL], node);
}
