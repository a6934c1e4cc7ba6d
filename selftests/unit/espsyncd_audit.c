// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_audit.c - user/espsyncd's audit: what it has rekeyed because the journal lacks it, and what it only names because there is no room.
 *
 * Job: what charon lists and what the journal has, one after another, each looked at twice, for once it may be on its way.
 */
// SOURCES: ../../user/espsyncd/audit.c ../../user/espsyncd/journal.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/config.c ../../user/espsyncd/vici_sas.c
// SOURCES: ../../user/espsyncd/roam.c ../../user/espsyncd/states.c ../../user/espsyncd/suspects.c ../../user/espsyncd/unprotected.c
#include <time.h>

#include "../../user/espsyncd/audit.h"
#include "../../user/espsyncd/xfrm_list.h"
#include "../fuzz/noevents.h"
#include "espsyncd_messages.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

static const struct config config = { .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } } };
static struct journal *journal;
static struct audit *it;

/* What charon lists: IKE SAs from 1 on, all CHILD SAs under the first. */
static unsigned int n_ike, n_child, n_unlisted;
static struct vici_child children[1000];
static unsigned int rekeyed_ike, rekeyed_child;
static const char *local, *remote;
static bool asks;		/* charon is in the middle of an exchange of its own */
static unsigned int moves;

/* ---- what audit calls ---- */

void vici_list_sas(struct vici *v, void (*each)(void *ctx, const struct vici_sa *sa), void (*done)(void *ctx, bool ok), void *ctx)
{
	(void)v;
	for (unsigned int n = n_ike; n; n--) {
		struct vici_sa sa = { .name = "office", .state = "ESTABLISHED", .unique = n, .id = name(n) };

		snprintf(sa.local, sizeof(sa.local), "%s", local);
		snprintf(sa.remote, sizeof(sa.remote), "%s", remote);
		sa.local_port = sa.remote_port = 500;
		sa.children = children;
		sa.n_children = n == 1 ? n_child : 0;
		sa.asks = asks;
		each(ctx, &sa);
	}
	done(ctx, true);
}

static const struct vici_sa *asked_for;
static bool answers = true;
static unsigned int lists;
static void (*one_done)(void *ctx, bool ok);

static void answer_one(void)
{
	one_done(it, true);
}

void vici_list_sa(struct vici *v, uint32_t unique, void (*each)(void *ctx, const struct vici_sa *sa), void (*done)(void *ctx, bool ok),
		  void *ctx)
{
	(void)v, (void)unique;
	lists++;
	one_done = done;
	if (!answers)
		return;
	each(ctx, asked_for);
	done(ctx, true);
}

unsigned int vici_unlisted(const struct vici *v)
{
	(void)v;
	return n_unlisted;
}

const struct journal *relay_journal(void *relay)
{
	(void)relay;
	return journal;
}

bool relay_is_auditable(const struct relay *r)
{
	(void)r;
	return true;
}

bool relay_is_held(const struct relay *r, const struct ike_id *id)
{
	(void)r, (void)id;
	return false;
}

static unsigned int whole;

void relay_found_whole(struct relay *r)
{
	(void)r;
	whole++;
}

void relay_local_message(struct relay *r, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	(void)r;
	moves += m->type == HA_IKE_UPDATE;
	journal_apply(journal, m, data, len);
}

static uint32_t injected;	/* the message ID that charon was told last */

void relay_inject(void *relay, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	(void)relay, (void)data, (void)len;
	injected = m->type == HA_IKE_MID_INITIATOR && m->has_id ? m->mid : UINT32_MAX;
}

static uint32_t queue_ms;

uint32_t rekey_add(struct rekey *r, bool ike, uint32_t unique)
{
	(void)r, (void)unique;
	*(ike ? &rekeyed_ike : &rekeyed_child) += 1;
	return queue_ms;
}

static struct unprotected told;

void relay_unprotected(struct relay *r, const struct unprotected *u)
{
	(void)r;
	told = *u;
}

/* What the kernel has: both SAs of each CHILD SA that is listed, but for these, and this one more. */
static uint32_t lost_in, lost_out, strange;
static bool theirs;

struct xfrm_list *xfrm_list_alloc(struct event_base *base, const struct config *c)
{
	(void)base, (void)c;
	return NULL;
}

void xfrm_list_free(struct xfrm_list *l)
{
	(void)l;
}

static void has_state(struct bytes *states, const char *dst, uint32_t spi)
{
	struct vici_sa ends = { .local_port = 500, .remote_port = 500 };
	struct state s = { .spi = spi, .proto = 50 };
	struct ha_addr unused;

	snprintf(ends.local, sizeof(ends.local), "%s", dst);
	snprintf(ends.remote, sizeof(ends.remote), "%s", dst);
	vici_ends(&s.dst, &unused, &ends);
	s.dst.port = 0;
	states_add(states, &s);
}

void xfrm_list_states(struct xfrm_list *l, void (*done)(void *ctx, const struct bytes *states), void *ctx)
{
	struct bytes states = { 0 };
	unsigned int i;

	(void)l;
	for (i = 0; i < n_child; i++) {
		if (children[i].spi_in != lost_in)
			has_state(&states, local, children[i].spi_in);
		if (children[i].spi_out != lost_out)
			has_state(&states, remote, children[i].spi_out);
	}
	if (strange)
		has_state(&states, local, strange);
	states_sort(&states);
	done(ctx, &states);
	bytes_free(&states);
}

bool kernel_serves(struct kernel *k, const struct ha_addr *dst, uint32_t spi, uint8_t proto)
{
	(void)k, (void)dst, (void)spi, (void)proto;
	return !theirs;
}

/* ---- the cases' words ---- */

static bool said(struct wire w)
{
	struct ha_msg m;

	return ha_parse(&m, w.b, w.n) == HA_OK && journal_apply(journal, &m, w.b, w.n) == JOURNAL_TAKEN;
}

static void establish(uint32_t n)
{
	said(ike_add(n, 0));
	said(ike_update(n, "office", 1));
}

/* Room for 8 tunnels, of 16 KiB at most; the first is there. */
static void fresh(void)
{
	if (it)
		audit_free(it);
	journal_free(journal);
	journal = journal_alloc();
	journal_limit(journal, &(struct journal_limits){ 2 * JOURNAL_TUNNEL, 8 * JOURNAL_TUNNEL });
	it = audit_alloc(NULL, &config, NULL, NULL, NULL, NULL);
	for (uint32_t spi = 0; spi < 1000; spi++)
		children[spi] = (struct vici_child){ .unique = spi, .spi_in = spi, .spi_out = 100000 + spi, .installed = true };
	lost_in = lost_out = 100000 - 1;
	strange = queue_ms = injected = 0;
	asks = false;
	theirs = false;
	n_ike = 1;
	n_child = n_unlisted = 0;
	local = "192.0.2.1";
	remote = "198.51.100.1";
	moves = 0;
	warning[0] = 0;
	establish(1);
}

static void looks_twice(void)
{
	rekeyed_ike = rekeyed_child = whole = 0;
	event_calls(-1, 0, it);
	event_calls(-1, 0, it);
}

static unsigned int unknown(const char *why)
{
	const char *said;
	unsigned int n = audit_unknown(it, &said);

	if (n && strcmp(said, why)) {
		ktap_diag("says '%s', not '%s'", said, why);
		return -1;
	}
	return n;
}

static bool what_the_journal_lacks_is_rekeyed(void)
{
	fresh();
	n_ike = 3;
	n_child = 2;
	said(child(1, HA_CHILD_ADD, 1));
	looks_twice();
	ktap_expect(rekeyed_ike == 2 && rekeyed_child == 1 && unknown("2 IKE SAs are not in the journal yet") == 2 && !whole);
	n_ike = 1;
	looks_twice();
	ktap_expect(!rekeyed_child && !whole);		/* the far end is being asked */
	clock_ms += 30000;
	looks_twice();
	ktap_expect(rekeyed_child == 1 && !whole);	/* a CHILD SA alone */
	n_child = 0;
	looks_twice();
	ktap_expect(whole == 2);
	return true;
}

static bool who_moves_is_followed(void)
{
	struct vici_sa sa = { .name = "office", .state = "ESTABLISHED", .local = "192.0.2.1", .remote = "2001:db8::9", .local_port = 4500,
			      .remote_port = 4500, .id = name(1) };
	const struct journal_sa *known;

	fresh();
	looks_twice();
	ktap_expect(!moves);
	remote = "198.51.100.9";
	looks_twice();
	known = journal_next(journal, NULL);
	ktap_expect(moves == 1 && known->remote.bytes[3] == 9);
	/* At once, when charon says so; but not what it says of an IKE SA that is none of ours, or not there yet. */
	asked_for = &sa;
	audit_updated(it, 1);
	ktap_expect(moves == 2 && known->remote.len == 16 && known->remote.port == 4500);
	snprintf(sa.local, sizeof(sa.local), "192.0.2.99");
	audit_updated(it, 1);
	sa.id = name(2);
	audit_updated(it, 2);
	ktap_expect(moves == 2);
	/* Asked for one at a time, each once, and not more of them than are worth it. */
	answers = false;
	lists = 0;
	for (uint32_t n = 0; n < 1000; n++)
		audit_updated(it, n % 100);
	ktap_expect(lists == 1);
	answers = true;
	answer_one();
	ktap_expect(lists == 1 + 64);
	return true;
}

static bool who_strays_is_named(void)
{
	fresh();
	local = "192.0.2.99";
	looks_twice();
	ktap_expect(unknown("a far end of connection office uses 192.0.2.99, which does not move (set interfaces_use)") == 1 && !moves);
	local = "192.0.2.1";
	looks_twice();
	ktap_expect(unknown("") == 0 && journal_count(journal) == 1);
	return true;
}

static bool what_charon_lacks_goes(void)
{
	fresh();
	establish(2);
	said(child(1, HA_CHILD_ADD, 5));
	looks_twice();
	looks_twice();
	ktap_expect(!rekeyed_ike && !rekeyed_child && journal_count(journal) == 1);
	ktap_expect(!journal_child_find(journal_next(journal, NULL), 5, NULL));
	for (uint32_t n = 2; n <= 8; n++)
		establish(n);
	looks_twice();
	ktap_expect(journal_count(journal) == 1);	/* all of them, however many */
	return true;
}

/* A tunnel has its own room also in a journal that is full; what it refuses for want of a little is not asked for again and again. */
static bool room_is_enough_for_what_was_refused(void)
{
	uint32_t spi = 0;

	fresh();
	for (uint32_t n = 2; n <= 8; n++) {
		establish(n);
		while (said(child(n, HA_CHILD_ADD, spi)))
			spi++;
	}
	for (spi = 0; said(child(1, HA_CHILD_ADD, spi)); spi++)
		;
	ktap_expect(journal_next(journal, NULL)->size <= JOURNAL_TUNNEL && journal_room(journal, journal_next(journal, NULL)) != JOURNAL_ROOM);
	n_child = spi + 1;
	looks_twice();
	ktap_expect(!rekeyed_child && journal_crowded(journal));
	return true;
}

static bool what_has_no_room_is_not_rekeyed(void)
{
	struct journal_sa *sa;
	uint32_t spi = 0;

	fresh();
	while (said(child(1, HA_CHILD_ADD, spi)))
		spi++;
	sa = journal_next(journal, NULL);
	n_child = spi + 10;
	looks_twice();
	ktap_expect(!rekeyed_child && journal_crowded(journal) == sa);
	/* They go, all but two for which there is room again then. */
	for (uint32_t i = 0; i < spi / 2; i++) {
		said(child(1, HA_CHILD_DELETE, i));
		children[i].installed = false;
	}
	n_child = spi + 2;
	looks_twice();
	ktap_expect(rekeyed_child == 2 && !journal_crowded(journal));
	return true;
}

/* The helper may have begun when they were there already, and the journal come from another: nothing was ever refused. */
static bool it_is_crowded_when_there_are_more_than_have_room(void)
{
	uint32_t spi = 0;

	fresh();
	while (journal_room(journal, journal_next(journal, NULL)) == JOURNAL_ROOM) {
		journal_limit(journal, &(struct journal_limits){ 1 << 20, 1 << 20 });
		said(child(1, HA_CHILD_ADD, spi++));
		journal_limit(journal, &(struct journal_limits){ 2 * JOURNAL_TUNNEL, 8 * JOURNAL_TUNNEL });
	}
	n_child = spi + 1;
	looks_twice();
	ktap_expect(!rekeyed_child && journal_crowded(journal));
	n_child = spi;
	looks_twice();
	ktap_expect(!journal_crowded(journal));
	return true;
}

static bool ike_sas_without_room_are_not_rekeyed(void)
{
	fresh();
	for (n_ike = 1; n_ike <= 10; n_ike++)
		establish(n_ike);
	n_ike = 10;
	looks_twice();
	ktap_expect(!rekeyed_ike && journal_count(journal) == 8);
	ktap_expect(unknown("no room in the journal (raise journal_mib) for 2 IKE SAs, one of them of connection office") == 2);
	audit_free(it);
	journal_free(journal), journal = NULL;
	return true;
}

/* Of 1,200 CHILD SAs, say; charon drops the message that lists them, but counts the IKE SA. */
static bool one_that_is_too_large_for_the_list_stays(void)
{
	fresh();
	journal_limit(journal, &(struct journal_limits){ 1 << 20, 1 << 20 });
	for (uint32_t spi = 1; spi <= 1200; spi++)
		ktap_expect(said(child(1, HA_CHILD_ADD, spi)));
	n_ike = 0;
	n_unlisted = 1;
	clock_ms = 1000000;
	looks_twice();
	looks_twice();
	ktap_expect(journal_count(journal) == 1 && journal_child_find(journal_next(journal, NULL), 1200, NULL) && whole);
	ktap_expect(strstr(warning, "charon has more IKE SAs than it lists: one of connection office stays in the journal") == warning);
	warning[0] = 0;
	looks_twice();
	ktap_expect(!warning[0]);		/* once an hour will do */
	establish(2);
	looks_twice();
	ktap_expect(journal_count(journal) == 1 && journal_next(journal, NULL)->id.spi_i[0] == 1);	/* a small one would be listed */
	n_unlisted = 2;
	looks_twice();
	ktap_expect(!whole);			/* there is one more, which nobody knows */
	n_unlisted = 0;
	looks_twice();
	ktap_expect(!journal_count(journal));	/* all that charon has it has listed */
	return true;
}

/* 0.3 s under the sanitizers; with a square in it fifty times as long. */
static bool many_take_no_longer_than_few(void)
{
	unsigned int many = ktap_rounds(20000);
	struct timespec before, after;

	fresh();
	journal_limit(journal, &(struct journal_limits){ 1 << 30, 1 << 30 });
	for (uint32_t n = 2; n <= many; n++)
		establish(n);
	n_ike = many;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	looks_twice();
	ktap_expect(!rekeyed_ike && journal_count(journal) == many);
	/* None is there any more, and then all that are there are unknown. */
	n_ike = 0;
	looks_twice();
	looks_twice();
	ktap_expect(!journal_count(journal));
	n_ike = many;
	looks_twice();
	ktap_expect(rekeyed_ike == many);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	ktap_diag("%ld ms of CPU time for %u IKE SAs", (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000, many);
	ktap_expect(after.tv_sec - before.tv_sec < 5);
	return true;
}

/* Looks so long, every five seconds. */
static void looks_for(unsigned int seconds)
{
	rekeyed_ike = rekeyed_child = 0;
	for (; seconds; seconds -= 5) {
		clock_ms += 5000;
		event_calls(-1, 0, it);
	}
}

static bool what_is_not_rekeyed_is_named(void)
{
	fresh();
	n_ike = 2;
	looks_for(30);
	ktap_expect(rekeyed_ike == 2 && !told.n);
	looks_for(40);
	ktap_expect(rekeyed_ike == 1 && told.n == 1);
	ktap_expect(!strcmp(told.text[0], "office, 198.51.100.1: charon does not rekey the IKE SA (swanctl --terminate --ike-id 2)"));
	ktap_expect(!strcmp(warning, "not protected: connection office, far end 198.51.100.1: charon does not rekey the IKE SA"));
	warning[0] = 0;
	looks_for(60);
	ktap_expect(!rekeyed_ike && told.n == 1 && !warning[0] && unknown("1 IKE SAs are not in the journal yet") == 1);
	n_ike = 1;
	looks_for(5);
	ktap_expect(!told.n);
	return true;
}

/* Of very many each waits for its turn: before that nothing has been tried in vain. */
static bool who_waits_to_be_rekeyed_is_not_given_up(void)
{
	fresh();
	n_child = 2;
	queue_ms = 600000;
	said(child(1, HA_CHILD_ADD, 1));
	looks_for(600);
	ktap_expect(rekeyed_child == 1 && !told.n);
	return true;
}

static bool what_the_kernel_has_lost_is_rekeyed(void)
{
	fresh();
	n_child = 3;
	for (uint32_t spi = 0; spi < 3; spi++)
		said(child(1, HA_CHILD_ADD, spi));
	looks_twice();
	ktap_expect(!rekeyed_child);
	lost_in = 1;
	looks_for(5);
	ktap_expect(!rekeyed_child);
	looks_for(20);
	ktap_expect(rekeyed_child == 1 && !told.n);
	looks_for(60);
	ktap_expect(rekeyed_child == 2 && told.n == 1);
	ktap_expect(!strcmp(told.text[0], "office, 198.51.100.1, CHILD SA 00000001: the kernel does not have it (swanctl --terminate --child-id 1)"));
	/* The outbound one, but charon installs that when the far end has replaced the one before. */
	lost_in = 99999;
	lost_out = 100002;
	children[0].installed = false;
	looks_twice();
	ktap_expect(!rekeyed_child && !told.n);
	children[0].installed = true;
	looks_twice();
	ktap_expect(rekeyed_child == 1);
	return true;
}

/* charon's message, as it happens. */
static void tells(struct wire w)
{
	struct ha_msg m;

	if (said(w) && ha_parse(&m, w.b, w.n) == HA_OK)
		journal_asked(journal, &m, clock_ms);
}

static bool there = true;	/* the far end, which makes a request meanwhile */

/* A charon that told of its request with ID @next - 1, and its successor, whose first one is not answered. */

static void hangs(uint8_t next, unsigned int ms)
{
	fresh();
	clock_ms = 1000;
	tells(mid(1, HA_IKE_MID_INITIATOR, next));
	clock_ms += ms;
	journal_inherit(journal, clock_ms);
	tells(mid(1, HA_IKE_MID_INITIATOR, next + 1));
	asks = true;
	clock_ms++;
	if (there)
		tells(mid(1, HA_IKE_MID_RESPONDER, 9));
}

static bool a_request_that_never_left_is_made_again(void)
{
	hangs(5, 4000);
	looks_for(5);
	ktap_expect(!injected && !rekeyed_ike);
	looks_for(5);
	ktap_expect(injected == 4 && rekeyed_ike == 1);
	/* Told so, charon makes it: once must do. */
	injected = 0;
	looks_for(10);
	ktap_expect(!injected);
	tells(mid(1, HA_IKE_MID_INITIATOR, 5));
	clock_ms++;
	tells(mid(1, HA_IKE_MID_RESPONDER, 10));
	looks_for(60);
	ktap_expect(!injected);
	return true;
}

/* It may have the one before: what it would say to that is what it said to another one. */
static bool who_is_out_of_reach_is_waited_for(void)
{
	there = false;
	hangs(5, 4000);
	there = true;
	looks_for(55);
	ktap_expect(!injected);
	looks_for(15);
	ktap_expect(injected == 4);
	/* Packets of before the request say nothing, later ones do. */
	for (unsigned int ago = 6; ago; ago -= 3) {
		there = false;
		hangs(5, 4000);
		there = true;
		n_child = 1;
		children[0] = (struct vici_child){ .spi_in = 0xc0000001, .installed = true, .heard = true, .heard_s = ago };
		looks_for(5);
		children[0].heard_s += 5;
		looks_for(5);
		ktap_expect(injected == (ago == 3 ? 4 : 0));
	}
	return true;
}

static bool what_is_answered_is_not_made_again(void)
{
	hangs(5, 4000);
	looks_for(5);
	asks = false;
	looks_for(5);
	asks = true;
	tells(mid(1, HA_IKE_MID_INITIATOR, 7));
	looks_for(60);
	ktap_expect(!injected);
	/* An answer that makes a CHILD SA, with the next request not begun. */
	hangs(5, 4000);
	n_child = 1;
	struct wire made = child(1, HA_CHILD_ADD, 0);

	put(&made, "\x0e\x01", 2);	/* INITIATOR */
	tells(made);
	looks_for(60);
	ktap_expect(!injected);
	return true;
}

/* What was told long before has been answered, a charon's own request has no predecessor, and charon ignores an ID of 0. */
static bool others_are_waited_for(void)
{
	hangs(5, 60000);
	looks_for(60);
	ktap_expect(!injected);
	hangs(1, 4000);
	looks_for(60);
	ktap_expect(!injected);
	fresh();
	tells(mid(1, HA_IKE_MID_INITIATOR, 5));
	tells(mid(1, HA_IKE_MID_INITIATOR, 6));
	clock_ms++;
	tells(mid(1, HA_IKE_MID_RESPONDER, 9));
	asks = true;
	looks_for(60);
	ktap_expect(!injected);
	return true;
}

static bool what_only_the_kernel_has_is_named_and_left(void)
{
	fresh();
	strange = 0xc0000099;
	looks_for(5);
	ktap_expect(!told.n);
	looks_for(5);
	ktap_expect(told.n == 1);
	ktap_expect(!strcmp(told.text[0], "an SA is in the kernel alone: ip xfrm state delete dst 192.0.2.1 proto esp spi 0xc0000099"));
	looks_for(120);
	ktap_expect(told.n == 1 && !rekeyed_child && !rekeyed_ike);
	strange = 0;
	looks_for(5);
	ktap_expect(!told.n);
	strange = 0xc0000098;
	theirs = true;
	looks_for(120);
	ktap_expect(!told.n);
	/* Nobody knows what charon has not listed. */
	theirs = false;
	strange = 0xc0000097;
	n_unlisted = 1;
	looks_for(60);
	ktap_expect(!told.n);
	return true;
}

static const struct ktap_case cases[] = {
	{ "what the journal lacks is rekeyed", what_the_journal_lacks_is_rekeyed },
	{ "who moves is followed", who_moves_is_followed },
	{ "who strays is named", who_strays_is_named },
	{ "what charon lacks goes", what_charon_lacks_goes },
	{ "room is enough for what was refused", room_is_enough_for_what_was_refused },
	{ "what has no room is not rekeyed", what_has_no_room_is_not_rekeyed },
	{ "it is crowded when there are more than have room", it_is_crowded_when_there_are_more_than_have_room },
	{ "one that is too large for the list stays", one_that_is_too_large_for_the_list_stays },
	{ "many take no longer than few", many_take_no_longer_than_few },
	{ "what is not rekeyed is named", what_is_not_rekeyed_is_named },
	{ "who waits to be rekeyed is not given up", who_waits_to_be_rekeyed_is_not_given_up },
	{ "what the kernel has lost is rekeyed", what_the_kernel_has_lost_is_rekeyed },
	{ "a request that never left is made again", a_request_that_never_left_is_made_again },
	{ "who is out of reach is waited for", who_is_out_of_reach_is_waited_for },
	{ "what is answered is not made again", what_is_answered_is_not_made_again },
	{ "others are waited for", others_are_waited_for },
	{ "what only the kernel has is named and left", what_only_the_kernel_has_is_named_and_left },
	{ "IKE SAs without room are not rekeyed", ike_sas_without_room_are_not_rekeyed },
};

KTAP_MAIN(cases)
