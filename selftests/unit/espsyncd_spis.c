// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_spis.c - user/espsyncd's spis: that no two nodes choose the same SPI, and what is said where they might.
 *
 * Job: what each node is told to write, read as strongSwan's file is, told to another node, and compared there; and files that are wrong.
 */
// SOURCES: ../../user/espsyncd/spis.c ../../user/espsyncd/digest.c ../../user/espsyncd/facts.c ../../user/espsyncd/lines.c
// SOURCES: ../../user/espsyncd/settings.c ../../user/espsyncd/config.c ../../user/espsyncd/vici_msg.c ../../user/espsyncd/bytes.c
// SOURCES: ../../user/espsyncd/differ.c ../../user/espsyncd/carried.c
#include <stdint.h>
#include <string.h>

#include "../../user/espsyncd/carried.h"
#include "../../user/espsyncd/differ.h"
#include "../../user/espsyncd/facts.h"
#include "../../user/espsyncd/spis.h"
#include "ktap.h"

#define NODES	16

static struct lines lines;

static bool no_file(struct settings_reader *r, struct settings *into, const char *pattern)
{
	(void)r, (void)into, (void)pattern;
	return true;
}

/* What a node says whose strongswan.conf has that text, as a peer reads it. */
static struct digest says(const char *text)
{
	struct settings_reader r = { .include = no_file, .room = 1 << 20 };
	struct settings *s = settings_alloc();
	struct digest d = { 0 }, read;

	assert(settings_parse(&r, s, "f", text));
	facts_settings(&d, s);
	digest_sort(&d);
	settings_free(s);
	assert(digest_read(&read, bytes_at(&d.text), bytes_left(&d.text)));
	digest_free(&d);
	return read;
}

static struct digest as_told(unsigned int node)
{
	char text[SPIS_TEXT];

	spis_write(text, node);
	assert(strlen(text) < SPIS_TEXT - 1);
	return says(text);
}

/* Return: how many sentences, with the first one that has this in it; all of the node and of another one */
static unsigned int compared(struct digest ours, const struct digest *theirs, unsigned int node)
{
	lines = (struct lines){ .n = 0 };
	spis_check(&ours, &lines);
	spis_compare(&ours, theirs, node, &lines);
	digest_free(&ours);
	return lines.n;
}

static bool no_two_of_sixteen_share_any(void)
{
	for (unsigned int a = 1; a <= NODES; a++) {
		for (unsigned int b = 1; b <= NODES; b++) {
			struct digest theirs = as_told(b);

			ktap_expect(compared(as_told(a), &theirs, b) == (a == b ? 2 : 0));
			ktap_expect(compared(as_told(a), NULL, b) == (a == b ? 2 : 0));
			digest_free(&theirs);
		}
	}
	return true;
}

static bool nor_do_those_with_the_highest_numbers(void)
{
	for (unsigned int a = 240; a <= 255; a++)
		ktap_expect(!compared(as_told(a), NULL, a == 255 ? 254 : a + 1) && !compared(as_told(a), NULL, 1));
	return true;
}

static const struct {
	const char *ours, *theirs, *sentence;
	unsigned int n;
} pairs[] = {
	/* of one who did not set them */
	{ "", "charon { spi_min = 0x02000000\n spi_max = 0x02ffffff }", "strongSwan: spi_min and spi_max are not set, and all nodes choose", 2 },
	{ "charon { spi_min = 0x01000000\n spi_max = 0x01ffffff }", "", "strongSwan: spi_mask and spi_label are not set, and all nodes choose", 1 },
	{ "charon { spi_min = 0xc1000000\n spi_max = 0xc1ffffff\n spi_mask = 1\n spi_label = 1 }", "", "", 0 },
	/* of one whose file is the other one's */
	{ "charon { spi_min = 0x02000000\n spi_max = 0x02ffffff\n spi_mask = 0xff00000000000000\n spi_label = 0x0200000000000000 }",
	  "charon { spi_min = 0x02000000\n spi_max = 0x02ffffff\n spi_mask = 0xff00000000000000\n spi_label = 0x0200000000000000 }",
	  "strongSwan: ESP SPIs 0x02000000 to 0x02ffffff (spi_min, spi_max) are node 2's too: ", 2 },
	/* charon-systemd's own section comes first */
	{ "charon { spi_min = 0x01000000\n spi_max = 0x01ffffff\n spi_mask = 0xff00000000000000\n spi_label = 0x0100000000000000 }\n"
	  "charon-systemd { spi_label = 0x0200000000000000 }",
	  "charon { spi_min = 0x02000000\n spi_max = 0x02ffffff\n spi_mask = 0xff00000000000000\n spi_label = 0x0200000000000000 }",
	  "strongSwan: IKE SPIs like 0x0200000000000000 (spi_mask, spi_label) are node 2's too: ", 1 },
	/* ranges of their own kind, which share nothing, and in decimal */
	{ "charon { spi_min = 3221225472\n spi_max = 0xc7ffffff\n spi_mask = 0xf\n spi_label = 1 }",
	  "charon { spi_min = 0xc8000000\n spi_max = 0xcfffffff\n spi_mask = 0x3\n spi_label = 0x2 }", "", 0 },
	/* one number, and one bit */
	{ "charon { spi_min = 0xc0000000\n spi_max = 0xc8000000\n spi_mask = 0xf\n spi_label = 1 }",
	  "charon { spi_min = 0xc8000000\n spi_max = 0xcfffffff\n spi_mask = 0x3\n spi_label = 0x2 }", "strongSwan: ESP SPIs 0xc0000000 to 0xc8000000", 1 },
	{ "charon { spi_min = 0xc0000000\n spi_max = 0xc7ffffff\n spi_mask = 0xc\n spi_label = 4 }",
	  "charon { spi_min = 0xc8000000\n spi_max = 0xcfffffff\n spi_mask = 0x3\n spi_label = 0x2 }", "strongSwan: IKE SPIs like 0x0000000000000004", 1 },
	/* no numbers */
	{ "charon { spi_min = 0x1000000g }", "", "strongSwan: spi_min = 0x1000000g is no number, or out of range: put what `espsyncd -s` prints", 1 },
	{ "charon { spi_max = 0x }", "", "strongSwan: spi_max = 0x is no number", 1 },
	{ "charon { spi_max = 0x100000000 }", "", "strongSwan: spi_max = 0x100000000 is no number, or out of range", 1 },
	{ "charon { spi_max = 0x1000 }", "", "strongSwan: spi_max = 0x1000 is no number, or out of range", 1 },
	{ "charon { spi_label = 0x01000000000000000 }", "", "strongSwan: spi_label = 0x01000000000000000 is no number", 1 },
	{ "charon { spi_mask = -1 }", "", "strongSwan: spi_mask = -1 is no number", 1 },
};

static bool what_two_may_choose_is_said(void)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		struct digest theirs = says(pairs[i].theirs);
		unsigned int n = compared(says(pairs[i].ours), &theirs, 2);

		digest_free(&theirs);
		if (n == pairs[i].n && (!n || !strncmp(lines.text[0], pairs[i].sentence, strlen(pairs[i].sentence))))
			continue;
		ktap_diag("%zu: %u sentences, %s", i, n, lines.text[0]);
		return false;
	}
	return true;
}

/* Neither one who does not know of SPIs, nor the comparison of all the rest, says anything of them. */
static bool they_are_each_nodes_own(void)
{
	struct digest one = as_told(1), two = as_told(2), older = { 0 };

	lines = (struct lines){ .n = 0 };
	differ_check(&one, &two, 2, &lines);
	carried_check(&one, &lines);
	spis_check(&older, &lines);
	spis_compare(&older, &two, 2, &lines);
	ktap_expect(!lines.n);
	/* An older helper has what it should. */
	spis_compare(&one, &older, 2, &lines);
	ktap_expect(!lines.n);
	spis_compare(&one, &older, 1, &lines);
	ktap_expect(lines.n == 2);
	digest_free(&one);
	digest_free(&two);
	return true;
}

static const struct ktap_case cases[] = {
	{ "no two of sixteen share any", no_two_of_sixteen_share_any },
	{ "nor do those with the highest numbers", nor_do_those_with_the_highest_numbers },
	{ "what two may choose is said", what_two_may_choose_is_said },
	{ "they are each node's own", they_are_each_nodes_own },
};

KTAP_MAIN(cases)
