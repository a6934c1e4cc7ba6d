// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_sync.c - user/espsyncd's sync: what a passive charon is given, for what it lists and what the journal says.
 *
 * Job: one list and one journal after another, each with the exact messages that must go to charon, and whether the kernel is emptied.
 */
// SOURCES: ../../user/espsyncd/sync.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/config.c
// SOURCES: ../../user/espsyncd/vici_sas.c
#include <stdlib.h>

#include "../../user/espsyncd/sync.h"
#include "../../user/espsyncd/xfrm.h"
#include "../fuzz/noevents.h"
#include "espsyncd_charon.h"
#include "espsyncd_messages.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

static const struct config config = { .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } } };
static struct journal *journal;
static bool journal_known;	/* else nobody can say */
static struct sync *it;
static char out[65536];
static unsigned int flushes;

/* What charon lists. */
static struct vici_child children[128];
static struct vici_sa listed[4];
static unsigned int n_listed, n_children, n_unlisted;
static const char *far_end;	/* as charon lists it, if it does */
static void (*during_listing)(void);

static void lists(uint8_t n, const char *state, unsigned int count, const uint32_t *spis)
{
	struct vici_sa *sa = &listed[n_listed++];

	memset(sa, 0, sizeof(*sa));
	snprintf(sa->name, sizeof(sa->name), "office");
	snprintf(sa->state, sizeof(sa->state), "%s", state);
	snprintf(sa->local, sizeof(sa->local), "192.0.2.1");
	snprintf(sa->remote, sizeof(sa->remote), "%s", far_end);
	sa->local_port = sa->remote_port = 500;
	sa->id = name(n);
	sa->children = &children[n_children];
	for (; sa->n_children < count; sa->n_children++)
		children[n_children++] = (struct vici_child){ .spi_in = spis[sa->n_children], .installed = true };
}

/* ---- what sync calls ---- */

void vici_list_conns(struct vici *v, void (*each)(void *ctx, const char *conn), void (*done)(void *ctx, bool ok), void *ctx)
{
	(void)v;
	each(ctx, "office");
	done(ctx, true);
}

void vici_list_sas(struct vici *v, void (*each)(void *ctx, const struct vici_sa *sa), void (*done)(void *ctx, bool ok), void *ctx)
{
	unsigned int i;

	(void)v;
	for (i = 0; i < n_listed; i++)
		each(ctx, &listed[i]);
	if (during_listing)
		during_listing();
	done(ctx, true);
}

unsigned int vici_unlisted(const struct vici *v)
{
	(void)v;
	return n_unlisted;
}

int xfrm_flush(const struct config *c)
{
	(void)c;
	strcat(out, "flush ");
	return flushes++;
}

static const struct journal *truth(void *ctx)
{
	(void)ctx;
	return journal_known ? journal : NULL;
}

/* As in espsyncd_journal.c: A1 (IKE_ADD of 1), U1, R1 (message IDs), D1, C1:5 (CHILD_ADD), X1:5 (CHILD_DELETE). */
static void injected(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	static const char letter[] = "?AUIRDCX";
	char one[32];

	(void)ctx, (void)data, (void)len;
	if (m->spi_in)
		snprintf(one, sizeof(one), "%c%u:%u ", letter[m->type], m->id.spi_i[0], m->spi_in);
	else
		snprintf(one, sizeof(one), "%c%u ", letter[m->type], m->id.spi_i[0]);
	strncat(out, one, sizeof(out) - strlen(out) - 1);
}

static void is_done(void *ctx)
{
	(void)ctx;
}

static const struct sync_ops ops = { .journal = truth, .inject = injected, .done = is_done };

/* ---- the cases' words ---- */

static void said(struct wire w)
{
	struct ha_msg m;

	if (ha_parse(&m, w.b, w.n) == HA_OK)
		journal_apply(journal, &m, w.b, w.n);
}

static void fresh(void)
{
	if (it)
		sync_free(it);
	journal_free(journal);
	journal = journal_alloc();
	journal_known = true;
	segment = CHARON_PASSIVE;
	n_listed = n_children = n_unlisted = flushes = 0;
	during_listing = NULL;
	far_end = "198.51.100.1";
	it = sync_alloc(NULL, &config, NULL, NULL, &ops, NULL);
	/* 1 with CHILD SA 5 */
	said(ike_add(1, 0));
	said(mid(1, HA_IKE_MID_RESPONDER, 2));
	said(ike_update(1, "office", 1));
	said(child(1, HA_CHILD_ADD, 5));
}

static void next_event(void)
{
	event_calls(-1, 0, it);
}

static void is_given(void)
{
	out[0] = 0;
	next_event();
}

static bool gives(const char *want)
{
	bool same;

	is_given();
	same = !strcmp(out, want);
	if (!same)
		ktap_diag("gives '%s', not '%s'", out, want);
	return same;
}

static const uint32_t five[] = { 5 };

static bool an_empty_charon_gets_all(void)
{
	fresh();
	ktap_expect(gives("flush A1 U1 R1 C1:5 "));
	return true;
}

static bool what_is_there_is_left(void)
{
	fresh();
	lists(1, "PASSIVE", 1, five);
	ktap_expect(gives("U1 R1 ") && !flushes);
	return true;
}

static bool a_journal_that_nobody_vouches_for_removes_nothing(void)
{
	fresh();
	journal_known = false;
	lists(1, "PASSIVE", 1, five);
	lists(2, "PASSIVE", 0, NULL);
	ktap_expect(gives("") && sync_is_done(it));
	return true;
}

static bool what_the_journal_lacks_goes(void)
{
	static const uint32_t two[] = { 5, 7 };

	fresh();
	lists(1, "PASSIVE", 2, two);
	lists(2, "PASSIVE", 0, NULL);
	ktap_expect(gives("D2 X1:7 U1 R1 "));
	return true;
}

/* charon has the IKE SA of before a rekeying that it was not told of. A CHILD SA that is added twice is gone. */
static bool an_ancestor_is_not_added_twice(void)
{
	fresh();
	said(ike_add(3, 1));
	said(ike_delete(1));
	said(ike_update(3, "office", 1));
	lists(1, "PASSIVE", 1, five);
	ktap_expect(gives("D1 A1 U1 C1:5 A3 D1 U3 "));
	return true;
}

static void an_exchange(void)
{
	said(mid(1, HA_IKE_MID_RESPONDER, 9));
	if (sync_takes_live(it))
		strcat(out, "live ");
}

static bool message_ids_of_while_it_was_listing_are_told(void)
{
	fresh();
	lists(1, "PASSIVE", 1, five);
	ktap_expect(gives("U1 R1 "));
	/* A look for drift, with nothing new: nothing is told. */
	next_event();
	ktap_expect(gives(""));
	/* And with something. */
	during_listing = an_exchange;
	next_event();
	ktap_expect(gives("U1 R1 "));
	return true;
}

/* Its SAs are gone, what is in the kernel is nobody's, and a client that has begun since does not change that. */
static bool a_new_charon_with_a_new_client_gets_all(void)
{
	fresh();
	lists(2, "CONNECTING", 0, NULL);
	ktap_expect(gives("D2 flush A1 U1 R1 C1:5 "));
	return true;
}

static bool many_child_sas_are_left(void)
{
	uint32_t spis[100];
	unsigned int i;

	fresh();
	for (i = 0; i < 100; i++) {
		spis[i] = i + 5;
		if (i)
			said(child(1, HA_CHILD_ADD, spis[i]));
	}
	lists(1, "PASSIVE", 100, spis);
	ktap_expect(gives("U1 R1 "));
	return true;
}

static bool an_active_charon_is_let_be(void)
{
	fresh();
	segment = CHARON_ACTIVE;
	ktap_expect(gives("") && sync_is_done(it));
	return true;
}

static bool begins_with(const char *want)
{
	bool same = !strncmp(out, want, strlen(want));

	if (!same)
		ktap_diag("gave '%.60s', not '%s'", out, want);
	return same;
}

/* charon drops the message that lists so many CHILD SAs. Told again they would be there twice, and gone from the kernel. */
static bool one_that_is_too_large_for_the_list_is_left(void)
{
	fresh();
	for (uint32_t spi = 6; spi <= 1205; spi++)
		said(child(1, HA_CHILD_ADD, spi));
	n_unlisted = 1;
	ktap_expect(gives("U1 R1 ") && !flushes);
	/* It is the only one, and a look for drift. */
	next_event();
	ktap_expect(gives("") && !flushes);
	/* charon is a new one, and has nothing that it does not list. */
	n_unlisted = 0;
	next_event();
	is_given();
	ktap_expect(flushes == 1 && begins_with("flush A1 U1 R1 C1:5 C1:6 "));
	return true;
}

/* Which one is there does not show: both are told anew, and neither is there twice. */
static bool one_of_two_that_are_too_large_is_missing(void)
{
	fresh();
	said(ike_add(2, 0));
	said(ike_update(2, "office", 1));
	for (uint32_t spi = 6; spi <= 1205; spi++) {
		said(child(1, HA_CHILD_ADD, spi));
		said(child(2, HA_CHILD_ADD, 2000 + spi));
	}
	n_unlisted = 1;
	is_given();
	ktap_expect(!flushes && begins_with("D1 A1 U1 R1 C1:5 C1:6 ") && strstr(out, " D2 A2 U2 C2:2006 "));
	/* A look for drift: both are there now. */
	n_unlisted = 2;
	next_event();
	is_given();
	ktap_expect(!out[0]);
	return true;
}

/* Its connection is not told yet. */
/* charon would follow with the IKE SA alone. */
static bool one_whose_far_end_moved_is_built_anew(void)
{
	fresh();
	far_end = "198.51.100.2";
	lists(1, "PASSIVE", 1, five);
	ktap_expect(gives("D1 A1 U1 R1 C1:5 ") && !flushes);
	return true;
}

static bool one_that_is_not_complete_waits(void)
{
	fresh();
	said(ike_add(2, 0));
	ktap_expect(gives("flush A1 U1 R1 C1:5 "));
	return true;
}

static const struct ktap_case cases[] = {
	{ "an empty charon gets all", an_empty_charon_gets_all },
	{ "what is there is left", what_is_there_is_left },
	{ "a journal that nobody vouches for removes nothing", a_journal_that_nobody_vouches_for_removes_nothing },
	{ "what the journal lacks goes", what_the_journal_lacks_goes },
	{ "an ancestor is not added twice", an_ancestor_is_not_added_twice },
	{ "message IDs of while it was listing are told", message_ids_of_while_it_was_listing_are_told },
	{ "a new charon with a new client gets all", a_new_charon_with_a_new_client_gets_all },
	{ "many CHILD SAs are left", many_child_sas_are_left },
	{ "an active charon is let be", an_active_charon_is_let_be },
	{ "one that is too large for the list is left", one_that_is_too_large_for_the_list_is_left },
	{ "one of two that are too large is missing", one_of_two_that_are_too_large_is_missing },
	{ "one whose far end moved is built anew", one_whose_far_end_moved_is_built_anew },
	{ "one that is not complete waits", one_that_is_not_complete_waits },
};

KTAP_MAIN(cases)
