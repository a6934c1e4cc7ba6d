// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_sync.c - user/espsyncd's sync: what a passive charon is given, for what it lists and what the journal says.
 *
 * Job: one list and one journal after another, each with the exact messages that must go to charon, and whether the kernel is emptied.
 */
// SOURCES: ../../user/espsyncd/sync.c ../../user/espsyncd/dialect.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/journal.c ../../user/espsyncd/config.c
// SOURCES: ../../user/espsyncd/vici_sas.c ../../user/espsyncd/fill.c ../../user/espsyncd/states.c ../../user/espsyncd/suspects.c ../../user/espsyncd/unprotected.c
#include <stdlib.h>

#include "../../user/espsyncd/sync.h"
#include "../../user/espsyncd/xfrm.h"
#include "../../user/espsyncd/xfrm_list.h"
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
static uint64_t loaded;	/* a sum of what charon has loaded */
static const char *conn;

/* What the kernel has: both SAs of each CHILD SA that is listed, but for this inbound one, and this one more. */
static uint32_t not_in_kernel, only_in_kernel;
static bool kernel_answers, kernel_waits;
static void (*kernel_done)(void *ctx, const struct bytes *states);
static unsigned int dumps;

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
		children[n_children++] = (struct vici_child){ .spi_in = spis[sa->n_children], .spi_out = spis[sa->n_children] + 1, .installed = true };
}

/* ---- what sync calls ---- */

void vici_list_conns(struct vici *v, void (*each)(void *ctx, const char *conn, uint64_t sum), void (*done)(void *ctx, bool ok), void *ctx)
{
	(void)v;
	each(ctx, conn, loaded);
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

struct xfrm_list *xfrm_list_alloc(struct event_base *base, const struct config *c)
{
	(void)base, (void)c;
	return NULL;
}

void xfrm_list_free(struct xfrm_list *l)
{
	(void)l;
}

static void has_state(struct bytes *states, uint32_t spi, uint8_t net)
{
	struct state s = { .dst = { 4, { net == 192 ? 192 : 198, net == 192 ? 0 : 51, net == 192 ? 2 : 100, 1 } }, .spi = spi, .proto = 50 };

	if (spi && spi != not_in_kernel)
		states_add(states, &s);
}

static void kernel_tells(void (*done)(void *ctx, const struct bytes *states), void *ctx)
{
	struct bytes states = { 0 };
	unsigned int i, c;

	for (i = 0; i < n_listed; i++) {
		for (c = 0; c < listed[i].n_children; c++) {
			has_state(&states, listed[i].children[c].spi_in, 192);
			has_state(&states, listed[i].children[c].spi_out, 198);
		}
	}
	has_state(&states, only_in_kernel, 192);
	states_sort(&states);
	done(ctx, kernel_answers ? &states : NULL);
	bytes_free(&states);
}

void xfrm_list_states(struct xfrm_list *l, void (*done)(void *ctx, const struct bytes *states), void *ctx)
{
	(void)l;
	dumps++;
	kernel_done = done;
	if (!kernel_waits)
		kernel_tells(done, ctx);
}

static bool theirs;

/* S:9 (a state is removed) */
static bool removed(void *ctx, const struct state *state)
{
	char one[32];

	(void)ctx;
	if (theirs)
		return false;
	snprintf(one, sizeof(one), "S:%u ", state->spi);
	strncat(out, one, sizeof(out) - strlen(out) - 1);
	return true;
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

static unsigned int begun;	/* by charon itself */

static void is_begun(void *ctx, const struct vici_sa *sa)
{
	(void)ctx, (void)sa;
	begun++;
}

static const struct sync_ops ops = { .journal = truth, .inject = injected, .remove = removed, .begun = is_begun, .done = is_done };

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
	not_in_kernel = only_in_kernel = dumps = begun = 0;
	kernel_answers = true;
	kernel_waits = theirs = false;
	conn = "office";
	loaded++;
	warning[0] = 0;
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
	/* charon is a new one, and has nothing that it does not list: seen twice. */
	n_unlisted = 0;
	next_event();
	is_given();
	ktap_expect(!flushes);
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

/* ---- differences that come later ---- */

/* A look for drift, a second after the last one. */
static bool then_gives(const char *want)
{
	clock_ms += 1000;
	next_event();
	return gives(want);
}

/* charon and journal are at one, as a first look has found. */
static bool at_one(void)
{
	fresh();
	lists(1, "PASSIVE", 1, five);
	return gives("U1 R1 ") && then_gives("");
}

static unsigned int missing(void)
{
	const char *why;

	return sync_missing(it, &why);
}

static bool what_charon_loses_is_added_when_it_is_seen_twice(void)
{
	ktap_expect(at_one());
	listed[0].n_children = 0;
	ktap_expect(then_gives("") && !missing() && then_gives("C1:5 ") && missing() == 1);
	listed[0].n_children = 1;
	ktap_expect(then_gives("") && !missing());
	/* All of it, which looks as if charon had just started; the kernel is emptied too, but not at once. */
	n_listed = 0;
	ktap_expect(then_gives("") && !flushes && then_gives("flush A1 U1 R1 C1:5 "));
	n_listed = 1;
	ktap_expect(then_gives(""));
	return true;
}

static bool an_ike_sa_that_charon_has_alone_goes_when_it_is_seen_twice(void)
{
	ktap_expect(at_one());
	lists(2, "PASSIVE", 0, NULL);
	ktap_expect(then_gives("") && !begun && then_gives("D2 ") && begun == 1);
	n_listed = 1;
	ktap_expect(then_gives(""));
	return true;
}

/* It would make it once it is active. */
static bool what_charon_is_to_add_by_itself_is_taken_back(void)
{
	ktap_expect(at_one());
	listed[0].adding = true;
	ktap_expect(then_gives("") && !begun && then_gives("D1 A1 U1 R1 C1:5 ") && begun == 1);
	listed[0].adding = false;
	ktap_expect(then_gives("") && !missing() && begun == 1);
	/* A new one may have begun before it was given anything. */
	fresh();
	lists(2, "CONNECTING", 0, NULL);
	ktap_expect(gives("D2 flush A1 U1 R1 C1:5 ") && begun == 1);
	return true;
}

/* The other half is there still: added over that, none of it would be. */
static bool what_the_kernel_loses_is_built_anew(void)
{
	ktap_expect(at_one());
	not_in_kernel = 5;
	ktap_expect(then_gives("") && then_gives("X1:5 C1:5 ") && missing() == 1);
	not_in_kernel = 0;
	ktap_expect(then_gives("") && !missing());
	not_in_kernel = 6;		/* the outbound one */
	ktap_expect(then_gives("") && then_gives("X1:5 C1:5 "));
	return true;
}

/* Its keys come from an IKE SA that is gone. */
static bool what_the_kernel_loses_of_an_ancestor_takes_the_chain(void)
{
	ktap_expect(at_one());
	said(ike_add(3, 1));
	said(ike_delete(1));
	said(ike_update(3, "office", 1));
	listed[0].id = name(3);
	not_in_kernel = 5;
	ktap_expect(then_gives("") && then_gives("D3 A1 U1 C1:5 A3 D1 U3 "));
	return true;
}

static bool what_the_kernel_did_not_say_is_believed(void)
{
	ktap_expect(at_one());
	kernel_answers = false;
	not_in_kernel = 5;
	only_in_kernel = 99;
	ktap_expect(dumps && then_gives("") && then_gives("") && !missing());
	return true;
}

static bool what_only_the_kernel_has_goes(void)
{
	ktap_expect(at_one());
	only_in_kernel = 99;
	ktap_expect(then_gives("") && then_gives("S:99 "));
	only_in_kernel = 0;
	ktap_expect(then_gives(""));
	/* Of another group: let be, and nothing to hurry for. */
	only_in_kernel = 98;
	theirs = true;
	ktap_expect(then_gives("") && then_gives("") && then_gives("") && !sync_unprotected(it)->n);
	/* What is too large for the list is in the kernel, too. */
	theirs = false;
	n_unlisted = 1;
	only_in_kernel = 97;
	ktap_expect(then_gives("") && then_gives("") && then_gives(""));
	return true;
}

static unsigned int tries(unsigned int looks)
{
	unsigned int n = 0;

	while (looks--) {
		clock_ms += 1000;
		next_event();
		is_given();
		n += strstr(out, "C1:5 ") != NULL;
	}
	return n;
}

/* Whatever it is that charon or the kernel minds. */
static bool what_mending_does_not_help_is_named(void)
{
	ktap_expect(at_one());
	listed[0].n_children = 0;
	ktap_expect(tries(30) == 3 && missing() == 1 && sync_unprotected(it)->n == 1);
	ktap_expect(!strcmp(sync_unprotected(it)->text[0],
			    "office, 198.51.100.1, CHILD SA 00000005: charon does not take it: look at its log; is swanctl.conf the same?"));
	ktap_expect(!strncmp(warning, "not protected: connection office, far end 198.51.100.1, CHILD SA 00000005: charon does not take it: ", 99));
	warning[0] = 0;
	ktap_expect(!tries(3) && !warning[0]);
	/* Somebody has loaded other connections: it is tried again. */
	loaded++;
	ktap_expect(tries(30) == 3);
	/* It has come by itself. */
	listed[0].n_children = 1;
	ktap_expect(!tries(2) && !sync_unprotected(it)->n && !missing());
	/* Gone again at once: it has not become well. */
	not_in_kernel = 5;
	ktap_expect(tries(30) == 3 && sync_unprotected(it)->n == 1);
	not_in_kernel = 0;
	ktap_expect(!tries(2));
	not_in_kernel = 5;
	ktap_expect(!tries(10) && sync_unprotected(it)->n == 1);
	not_in_kernel = 0;
	ktap_expect(!tries(2));
	clock_ms += 3600000;
	ktap_expect(!tries(2));
	not_in_kernel = 5;
	ktap_expect(tries(30) == 3);
	return true;
}

static bool a_connection_that_is_not_loaded_is_named(void)
{
	fresh();
	conn = "other";
	ktap_expect(gives("flush ") && missing() == 1 && sync_unprotected(it)->n == 1);
	ktap_expect(strstr(sync_unprotected(it)->text[0], "office, 198.51.100.1: the connection is not loaded: swanctl --load-all"));
	conn = "office";
	ktap_expect(then_gives("flush A1 U1 R1 C1:5 ") && !sync_unprotected(it)->n);
	return true;
}

static bool names_one(const char *text)
{
	const struct unprotected *u = sync_unprotected(it);

	if (u->n != 1 || strcmp(u->text[0], text))
		ktap_diag("%u, the first: %s", u->n, u->n ? u->text[0] : "");
	return u->n == 1 && !strcmp(u->text[0], text);
}

/* Of several key exchanges, by a charon of version 5, to one of version 3: not a word of it, and the other one as ever. Version 4 knows them. */
static bool what_charon_has_no_words_for_is_named(void)
{
	struct wire w = ike_add(2, 0);
	const char *why;

	fresh();
	w.b[0] = 5;
	put(&w, "\x1a\x00\x02\x00\x24", 5);
	said(w);
	said(ike_update(2, "office", 1));
	lists(1, "PASSIVE", 1, five);
	ktap_expect(gives("U1 R1 ") && sync_missing(it, &why) == 1);
	ktap_expect(names_one("office, 198.51.100.1: this strongSwan lacks additional key exchanges: run the same release"));
	wire_version = 4;
	sync_request(it);
	is_given();
	ktap_expect(!strcmp(out, "A2 U2 U1 R1 ") || !strcmp(out, "U1 R1 A2 U2 "));
	wire_version = 3;
	return true;
}

/* A CHILD SA alone: its IKE SA is there, with the others. */
static bool a_child_sa_that_charon_has_no_words_for_is_named(void)
{
	struct wire w = child(1, HA_CHILD_ADD, 9);

	ktap_expect(at_one());
	w.b[0] = 5;
	w.b[21] = 29;
	w.b[26] = 30;
	put(&w, "\x12\x00\x04ssss", 7);
	said(w);
	ktap_expect(!tries(30) && !missing() && !strstr(out, "C1:9 "));
	ktap_expect(names_one("office, 198.51.100.1, CHILD SA 00000009: this strongSwan lacks additional key exchanges: run the same release"));
	ktap_expect(!strncmp(warning, "not protected: connection office, far end 198.51.100.1, CHILD SA 00000009: this strongSwan lacks ", 97));
	warning[0] = 0;
	ktap_expect(!tries(3) && !warning[0]);
	return true;
}

/* What charon was not told meanwhile it is told now; what the kernel lacks is seen twice all the same. */
static bool a_message_that_is_withheld_proves_nothing_about_the_kernel(void)
{
	ktap_expect(at_one());
	during_listing = an_exchange;
	not_in_kernel = 5;
	ktap_expect(then_gives("U1 R1 ") && then_gives("X1:5 C1:5 U1 R1 "));
	return true;
}

static bool a_takeover_does_not_wait_for_the_kernel(void)
{
	ktap_expect(at_one());
	during_listing = an_exchange;
	kernel_waits = true;
	ktap_expect(then_gives("") && !sync_is_done(it));
	sync_hurry(it);
	ktap_expect(!strcmp(out, "U1 R1 ") && sync_is_done(it));
	out[0] = 0;
	only_in_kernel = 99;
	kernel_tells(kernel_done, it);
	ktap_expect(!out[0] && sync_is_done(it));
	kernel_waits = false;
	during_listing = NULL;
	ktap_expect(then_gives("") && then_gives("S:99 "));
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
	{ "what charon loses is added when it is seen twice", what_charon_loses_is_added_when_it_is_seen_twice },
	{ "an IKE SA that charon has alone goes when it is seen twice", an_ike_sa_that_charon_has_alone_goes_when_it_is_seen_twice },
	{ "what charon is to add by itself is taken back", what_charon_is_to_add_by_itself_is_taken_back },
	{ "what the kernel loses is built anew", what_the_kernel_loses_is_built_anew },
	{ "what the kernel loses of an ancestor takes the chain", what_the_kernel_loses_of_an_ancestor_takes_the_chain },
	{ "what the kernel did not say is believed", what_the_kernel_did_not_say_is_believed },
	{ "what only the kernel has goes", what_only_the_kernel_has_goes },
	{ "what mending does not help is named", what_mending_does_not_help_is_named },
	{ "a connection that is not loaded is named", a_connection_that_is_not_loaded_is_named },
	{ "what charon has no words for is named", what_charon_has_no_words_for_is_named },
	{ "a CHILD SA that charon has no words for is named", a_child_sa_that_charon_has_no_words_for_is_named },
	{ "a message that is withheld proves nothing about the kernel", a_message_that_is_withheld_proves_nothing_about_the_kernel },
	{ "a takeover does not wait for the kernel", a_takeover_does_not_wait_for_the_kernel },
};

KTAP_MAIN(cases)
