// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_unanswered.c - user/espsyncd's unanswered: which request charon is told to expect again, and which second one it is told of late.
 *
 * Job: a journal, a charon's death, and what far ends ask then. Most cases are about when nothing may be told.
 */
// SOURCES: ../../user/espsyncd/unanswered.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c
#include "../../user/espsyncd/bytes.h"
#include "../../user/espsyncd/unanswered.h"
#include "espsyncd_messages.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

static struct journal *journal;
static struct unanswered *it;
static unsigned int seconds;	/* IKE SAs whose charon was told that the second request is next */

static void said(struct wire w)
{
	struct ha_msg m;

	if (ha_parse(&m, w.b, w.n) != HA_OK)
		return;
	journal_apply(journal, &m, w.b, w.n);
	journal_asked(journal, &m, clock_ms);
}

/* IKE SA 1, of which charon expects @next. */
static void fresh(uint8_t next)
{
	if (it)
		unanswered_free(it);
	journal_free(journal);
	journal = journal_alloc();
	it = unanswered_alloc();
	clock_ms = 1000;
	said(ike_add(1, 0));
	said(ike_update(1, "office", 1));
	said(mid(1, HA_IKE_MID_RESPONDER, next));
}

static bool asks(uint8_t n, uint32_t message)
{
	struct ike_request q = { .id = name(n), .mid = message };

	return unanswered_asks(it, journal, &q);
}

static void told_second(void *ctx, const struct ike_id *id)
{
	(void)ctx, (void)id;
	seconds++;
}

/* Return: how many charon is told of; @more: whether there is more to settle */
static unsigned int settled(uint64_t now, bool listening, bool *more)
{
	seconds = 0;
	*more = unanswered_settle(it, journal, listening, now, told_second, NULL);
	return seconds;
}

static bool what_died_with_its_charon_is_let_once(void)
{
	fresh(3);
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(asks(1, 2));
	ktap_expect(!asks(1, 2));
	/* It was answered after all: whoever asked was another. */
	ktap_expect(asks(1, 3));
	ktap_expect(!asks(1, 3) && !asks(1, 4));
	for (int i = 0; i < 3; i++)
		ktap_expect(asks(1, 2) && asks(1, 3));
	ktap_expect(!asks(1, 2) || !asks(1, 3));	/* but not for ever */
	unanswered_begin(it);		/* that charon has died, too */
	ktap_expect(asks(1, 2));
	return true;
}

/* It would drop the answer to what it has asked, and the IKE SA with it. */
static bool a_charon_that_asks_is_let_be(void)
{
	fresh(3);
	journal_inherit(journal, clock_ms + 100);
	said(mid(1, HA_IKE_MID_INITIATOR, 1));
	ktap_expect(!asks(1, 2));
	return true;
}

static bool a_charon_that_lives_answers_itself(void)
{
	fresh(3);
	ktap_expect(!asks(1, 2));
	journal_inherit(journal, clock_ms + 100);
	said(mid(1, HA_IKE_MID_RESPONDER, 4));
	ktap_expect(!asks(1, 3));
	return true;
}

/* Anybody can send an old request once more: it must be one that may have died with its charon. */
static bool what_is_old_was_answered(void)
{
	fresh(3);
	journal_inherit(journal, clock_ms + 59999);
	ktap_expect(asks(1, 2));
	fresh(3);
	journal_inherit(journal, clock_ms + 60000);
	ktap_expect(!asks(1, 2));
	return true;
}

static bool of_what_is_told_later_nobody_knows(void)
{
	struct wire w = mid(1, HA_IKE_MID_RESPONDER, 5);
	struct ha_msg m;

	fresh(3);
	clock_ms += 100000;
	ktap_expect(ha_parse(&m, w.b, w.n) == HA_OK && journal_apply(journal, &m, w.b, w.n) == JOURNAL_TAKEN);
	journal_inherit(journal, clock_ms);
	ktap_expect(!asks(1, 4));
	/* Nor of what was never said but told. */
	journal_free(journal);
	journal = journal_alloc();
	for (struct wire *s = (struct wire[]){ ike_add(1, 0), ike_update(1, "office", 1), w, { .n = 0 } }; s->n; s++)
		ktap_expect(ha_parse(&m, s->b, s->n) == HA_OK && journal_apply(journal, &m, s->b, s->n) == JOURNAL_TAKEN);
	journal_inherit(journal, 1000);
	ktap_expect(!asks(1, 4));
	return true;
}

static uint32_t in_vain(uint32_t message)
{
	struct ike_id one = name(1);

	return journal_made_in_vain(journal, &one, message);
}

static bool what_such_a_request_made_is_known(void)
{
	struct wire own = child(1, HA_CHILD_ADD, 9);

	fresh(3);
	said(child(1, HA_CHILD_ADD, 5));
	ktap_expect(!in_vain(2));	/* it is being answered */
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(in_vain(2) == 5 && !in_vain(1) && !in_vain(3));
	/* Made by an exchange that the gateway began: the far end knows it. */
	fresh(3);
	put(&own, "\x0e\x01", 2);
	said(own);
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(!in_vain(2));
	/* Made by the request before. */
	fresh(3);
	said(child(1, HA_CHILD_ADD, 5));
	said(mid(1, HA_IKE_MID_RESPONDER, 4));
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(!in_vain(3) && !in_vain(2));
	return true;
}

static bool only_the_one_before_the_next(void)
{
	fresh(3);
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(!asks(1, 1) && !asks(1, 3) && !asks(1, 4) && !asks(1, UINT32_MAX));
	ktap_expect(!asks(2, 2));	/* of an IKE SA that is not known */
	said(ike_add(3, 1));
	said(ike_delete(1));
	said(ike_update(3, "office", 1));
	ktap_expect(!asks(1, 2));	/* which was replaced */
	return true;
}

static bool nothing_is_told_of_an_id_of_0(void)
{
	fresh(1);
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(!asks(1, 0));
	fresh(0);
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(!asks(1, UINT32_MAX));
	return true;
}

static bool a_standby_is_told_of_the_second_late(void)
{
	struct ike_id one = name(1);
	bool more;

	fresh(1);
	unanswered_first(it, &one, 1000);
	ktap_expect(unanswered_withholds(it, &one));
	ktap_expect(!settled(15999, false, &more) && more);
	ktap_expect(settled(16000, false, &more) == 1 && !more);
	ktap_expect(!unanswered_withholds(it, &one));
	return true;
}

static bool who_was_asked_more_needs_no_word(void)
{
	struct ike_id one = name(1);
	bool more;

	fresh(1);
	unanswered_first(it, &one, 1000);
	unanswered_withholds(it, &one);
	said(mid(1, HA_IKE_MID_RESPONDER, 2));
	ktap_expect(!settled(16000, false, &more) && !more);
	fresh(1);
	unanswered_first(it, &one, 1000);
	unanswered_withholds(it, &one);
	said(ike_delete(1));
	ktap_expect(!settled(16000, false, &more) && !more);
	return true;
}

/* While far ends may retransmit: whoever asks for the second one has the answer to the first. */
static bool after_a_takeover_the_far_end_decides(void)
{
	struct ike_id one = name(1);
	bool more;

	fresh(1);
	unanswered_first(it, &one, 1000);
	unanswered_withholds(it, &one);
	journal_inherit(journal, clock_ms + 100);
	unanswered_begin(it);
	ktap_expect(!settled(60000, true, &more) && more);
	ktap_expect(!asks(1, 0));
	ktap_expect(asks(1, 1) && !asks(1, 1));
	ktap_expect(!unanswered_withholds(it, &one));
	ktap_expect(!settled(60000, true, &more) && !more);
	return true;
}

/* What was withheld for a moment is no news when charon has been told more since. */
static bool a_second_request_of_long_ago_is_nobodys(void)
{
	struct ike_id one = name(1);

	fresh(1);
	unanswered_first(it, &one, 1000);
	unanswered_withholds(it, &one);
	said(mid(1, HA_IKE_MID_RESPONDER, 2));
	said(mid(1, HA_IKE_MID_RESPONDER, 3));
	journal_inherit(journal, clock_ms + 100);
	ktap_expect(!asks(1, 1) && !asks(1, 0));
	return true;
}

static bool when_nobody_asks_any_more_charon_is_told(void)
{
	struct ike_id one = name(1);
	bool more;

	fresh(1);
	unanswered_first(it, &one, 1000);
	unanswered_withholds(it, &one);
	ktap_expect(settled(181000, false, &more) == 1 && !more);
	return true;
}

/* The successor has been asked for the first one and says so: it is not told what it knows, whenever it dies. */
static bool a_first_request_is_answered_by_the_successor(void)
{
	struct ike_id one = name(1);
	bool more;

	fresh(1);
	unanswered_first(it, &one, 1000);
	unanswered_withholds(it, &one);
	unanswered_first(it, &one, 9000);
	ktap_expect(!settled(23999, true, &more) && more);
	ktap_expect(unanswered_withholds(it, &one));	/* it died, too */
	ktap_expect(!settled(24000, true, &more) && more);
	return true;
}

static const struct ktap_case cases[] = {
	{ "what-died-with-its-charon-is-let-once", what_died_with_its_charon_is_let_once },
	{ "a-charon-that-lives-answers-itself", a_charon_that_lives_answers_itself },
	{ "a-charon-that-asks-is-let-be", a_charon_that_asks_is_let_be },
	{ "what-is-old-was-answered", what_is_old_was_answered },
	{ "of-what-is-told-later-nobody-knows", of_what_is_told_later_nobody_knows },
	{ "what-such-a-request-made-is-known", what_such_a_request_made_is_known },
	{ "only-the-one-before-the-next", only_the_one_before_the_next },
	{ "nothing-is-told-of-an-id-of-0", nothing_is_told_of_an_id_of_0 },
	{ "a-standby-is-told-of-the-second-late", a_standby_is_told_of_the_second_late },
	{ "who-was-asked-more-needs-no-word", who_was_asked_more_needs_no_word },
	{ "after-a-takeover-the-far-end-decides", after_a_takeover_the_far_end_decides },
	{ "a-second-request-of-long-ago-is-nobodys", a_second_request_of_long_ago_is_nobodys },
	{ "when-nobody-asks-any-more-charon-is-told", when_nobody_asks_any_more_charon_is_told },
	{ "a-first-request-is-answered-by-the-successor", a_first_request_is_answered_by_the_successor },
};

KTAP_MAIN(cases)
