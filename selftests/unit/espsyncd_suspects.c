// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_suspects.c - user/espsyncd's suspects: when a difference counts, how often it is mended, and when that is given up.
 *
 * Job: looks of one difference or many, one after another, with the verdict of each as a letter.
 */
// SOURCES: ../../user/espsyncd/suspects.c ../../user/espsyncd/bytes.c
#include "../../user/espsyncd/suspects.h"
#include "ktap.h"

static struct suspects it;
static uint64_t clock_ms;

static void fresh(void)
{
	suspects_forget(&it);
	it.gap_ms = 3000;
	clock_ms = 1000000;
}

/* n(ew) - (ignored) w(ait) M(end) G(ive up) g(iven up) */
static char sees(uint8_t kind, uint8_t ike, uint32_t spi, bool at_once)
{
	struct ike_id id = { .version = 2, .spi_i = { ike } };

	return "n-wMGg"[suspects_see(&it, kind, &id, spi, clock_ms, at_once)];
}

static void next_look(void)
{
	suspects_end(&it, clock_ms);
	clock_ms += 1000;
}

/* The same difference at each of so many looks, a second apart. */
static bool looks(const char *want)
{
	for (; *want; want++) {
		char v = *want == '.' ? '.' : sees(1, 1, 5, false);

		next_look();
		if (v != *want) {
			ktap_diag("%c instead of %s", v, want);
			return false;
		}
	}
	return true;
}

static bool it_counts_when_it_is_seen_twice(void)
{
	fresh();
	ktap_expect(looks("n.n.nM"));
	return true;
}

static bool it_is_mended_three_times(void)
{
	fresh();
	ktap_expect(looks("nMwwMwwMwwGggggg"));
	return true;
}

static bool at_once_is_at_once(void)
{
	fresh();
	ktap_expect(sees(1, 1, 5, true) == 'M');
	next_look();
	ktap_expect(looks("wwM"));
	return true;
}

static bool what_is_done_later_shows_later(void)
{
	fresh();
	ktap_expect(sees(1, 1, 5, true) == 'M');
	suspects_later(&it, 2000);
	next_look();
	ktap_expect(looks("wwwwM"));
	return true;
}

static bool what_comes_back_has_not_become_well(void)
{
	fresh();
	ktap_expect(looks("nMwwMwwM........nGgg"));
	/* Ten minutes are enough to be well. */
	ktap_expect(looks("."));
	clock_ms += 600000;
	ktap_expect(looks(".nMww"));
	return true;
}

static bool what_is_ignored_is_ignored_while_it_is_there(void)
{
	fresh();
	ktap_expect(looks("n") && sees(1, 1, 5, false) == 'M');
	suspects_ignore(&it);
	next_look();
	ktap_expect(looks("------.nM"));
	return true;
}

static bool all_is_forgotten_at_once(void)
{
	fresh();
	ktap_expect(looks("nMwwMwwMwwGg"));
	suspects_forget(&it);
	ktap_expect(looks("nM"));
	return true;
}

/* Kind, IKE SA and SPI: each is another one. */
static bool one_is_not_another(void)
{
	fresh();
	ktap_expect(looks("n"));
	ktap_expect(sees(2, 1, 5, false) == 'n' && sees(1, 2, 5, false) == 'n' && sees(1, 1, 6, false) == 'n' && sees(1, 1, 5, false) == 'M');
	next_look();
	ktap_expect(sees(1, 1, 6, false) == 'M' && sees(1, 2, 5, false) == 'M' && sees(2, 1, 5, false) == 'M' && sees(1, 1, 5, false) == 'w');
	next_look();
	/* Of many each is remembered, in whatever order they come. */
	for (uint32_t spi = 10000; spi; spi--)
		ktap_expect(sees(3, spi, spi * 2654435761U, true) == 'M');
	next_look();
	for (uint32_t spi = 1; spi <= 10000; spi++)
		ktap_expect(sees(3, spi, spi * 2654435761U, false) == 'w');
	suspects_forget(&it);
	return true;
}

static const struct ktap_case cases[] = {
	{ "it counts when it is seen twice", it_counts_when_it_is_seen_twice },
	{ "it is mended three times", it_is_mended_three_times },
	{ "at once is at once", at_once_is_at_once },
	{ "what is done later shows later", what_is_done_later_shows_later },
	{ "what comes back has not become well", what_comes_back_has_not_become_well },
	{ "what is ignored is ignored while it is there", what_is_ignored_is_ignored_while_it_is_there },
	{ "all is forgotten at once", all_is_forgotten_at_once },
	{ "one is not another", one_is_not_another },
};

KTAP_MAIN(cases)
