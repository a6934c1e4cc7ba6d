// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_rekey.c - user/espsyncd's rekey: every SA that is in doubt is rekeyed, however many there are and whatever charon says first.
 */
// SOURCES: ../../user/espsyncd/bytes.c
// LIBS: -levent_core
#include "../../user/espsyncd/rekey.c"
#include "espsyncd_quiet.h"
#include "ktap.h"

#define MANY	3000

static unsigned int rekeyed[MANY], lists;
static void (*list_done)(void *ctx, bool ok);
static void (*list_each)(void *ctx, const struct vici_sa *sa);
static struct rekey *it;
static uint32_t per_s;

void vici_list_sas(struct vici *v, void (*each)(void *ctx, const struct vici_sa *sa), void (*done)(void *ctx, bool ok), void *ctx)
{
	(void)v, (void)ctx;
	lists++;
	list_each = each;
	list_done = done;
}

void vici_rekey_child(struct vici *v, uint32_t unique)
{
	(void)v;
	rekeyed[unique]++;
}

void vici_rekey_ike(struct vici *v, uint32_t unique)
{
	(void)v, (void)unique;
}

/* charon answers: an IKE SA for each CHILD SA. */
static void answer(bool ok)
{
	void (*done)(void *ctx, bool ok) = list_done;
	unsigned int i;

	list_done = NULL;
	for (i = 0; ok && i < MANY; i++) {
		struct vici_child c = { .unique = i, .spi_in = 2 * i + 1, .spi_out = 2 * i + 2, .installed = true };
		struct vici_sa sa = { .state = "ESTABLISHED", .n_children = 1, .children = &c };

		list_each(it, &sa);
	}
	done(it, ok);
}

static void jobs_are_done(void)
{
	while (bytes_left(&it->jobs))
		on_timer(-1, 0, it);
}

static bool each_once(void)
{
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		if (rekeyed[i] != 1)
			ktap_diag("CHILD SA %u: %u times", i, rekeyed[i]);
		ktap_expect(rekeyed[i] == 1);
	}
	return true;
}

static bool fresh(void)
{
	static struct event_base *base;

	if (!base)
		base = event_base_new();
	if (it)
		rekey_free(it);
	it = rekey_alloc(base, NULL, per_s);
	memset(rekeyed, 0, sizeof(rekeyed));
	lists = 0;
	list_done = NULL;
	return base;
}

/* By an event that comes while this node is not active yet, and by who asks the module. */
static void named_twice(void)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		rekey_spi(it, 2 * i + 1);
	for (i = MANY; i--;)
		rekey_spi(it, 2 * i + 2), rekey_spi(it, 2 * i + 1);
}

static bool all_that_are_named(void)
{
	ktap_expect(fresh());
	named_twice();
	ktap_expect(!lists);
	rekey_overdue(it);
	answer(true);
	jobs_are_done();
	return each_once();
}

static bool charon_does_not_answer_at_first(void)
{
	ktap_expect(fresh());
	named_twice();
	rekey_overdue(it);
	answer(false);
	ktap_expect(!list_done && event_pending(it->later, EV_TIMEOUT, NULL));
	on_later(-1, 0, it);
	ktap_expect(list_done);
	answer(true);
	jobs_are_done();
	return each_once();
}

static bool named_while_charon_lists(void)
{
	ktap_expect(fresh());
	rekey_spi(it, 1);
	rekey_overdue(it);
	named_twice();
	answer(true);
	ktap_expect(list_done);
	answer(true);
	jobs_are_done();
	return each_once();
}

/* Also those that are in doubt, and those that were asked for before: once, and before those that are only wanted. */
static bool all_after_a_takeover(void)
{
	unsigned int i;

	per_s = 40;
	ktap_expect(fresh());
	per_s = 0;
	rekey_add(it, false, 7);
	for (i = 0; i < 100; i++)
		rekey_spi(it, 2 * i + 1);
	rekey_taken_over(it);
	answer(true);
	ktap_expect(bytes_left(&it->jobs) == 100 * sizeof(struct job) && !bytes_left(&it->all_jobs));
	ktap_expect(event_pending(it->all_later, EV_TIMEOUT, NULL));
	on_all_later(-1, 0, it);
	answer(false);
	on_later(-1, 0, it);
	answer(true);
	ktap_expect(bytes_left(&it->all_jobs) == (MANY - 100) * sizeof(struct job));
	on_all_timer(-1, 0, it);
	ktap_expect(bytes_left(&it->all_jobs) == (MANY - 100) * sizeof(struct job));
	jobs_are_done();
	while (bytes_left(&it->all_jobs))
		on_all_timer(-1, 0, it);
	return each_once();
}

static bool none_after_a_takeover_unless_it_is_wanted(void)
{
	ktap_expect(fresh());
	rekey_taken_over(it);
	answer(true);
	ktap_expect(!bytes_left(&it->jobs) && !event_pending(it->all_later, EV_TIMEOUT, NULL));
	return true;
}

static bool a_node_that_is_active_no_more_asks_for_nothing(void)
{
	ktap_expect(fresh());
	named_twice();
	rekey_overdue(it);
	rekey_stop(it);
	answer(true);
	ktap_expect(!bytes_left(&it->jobs) && !list_done);
	rekey_free(it);
	it = NULL;
	return true;
}

static const struct ktap_case cases[] = {
	{ "all after a takeover", all_after_a_takeover },
	{ "none after a takeover unless it is wanted", none_after_a_takeover_unless_it_is_wanted },
	{ "all that are named", all_that_are_named },
	{ "charon does not answer at first", charon_does_not_answer_at_first },
	{ "named while charon lists", named_while_charon_lists },
	{ "a node that is active no more asks for nothing", a_node_that_is_active_no_more_asks_for_nothing },
};

KTAP_MAIN(cases)
