// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_relay.c - user/espsyncd's relay: what a helper that has just started may believe of its journal, and from whom it gets it back.
 *
 * Job: one relay of three nodes, the other two being this program: frames by hand, and what may be made of the journal then.
 */
// SOURCES: ../../user/espsyncd/relay.c ../../user/espsyncd/dialect.c ../../user/espsyncd/relay_send.c ../../user/espsyncd/relay_take.c ../../user/espsyncd/relay_room.c ../../user/espsyncd/journal.c ../../user/espsyncd/ikehdr.c ../../user/espsyncd/relay_whom.c
// SOURCES: ../../user/espsyncd/relay_state.c ../../user/espsyncd/agree.c ../../user/espsyncd/unprotected.c ../../user/espsyncd/vici_sas.c
// SOURCES: ../../user/espsyncd/config.c ../../user/espsyncd/transaction.c ../../user/espsyncd/stream.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c
#include "../../user/espsyncd/relay_priv.h"
#include "../fuzz/noevents.h"
#include "espsyncd_charon.h"
#include "espsyncd_messages.h"
#include "espsyncd_quiet.h"
#include "espsyncd_synced.h"
#include "ktap.h"

static const struct config config = {
	.node = 1, .n_peers = 2, .peers = { { .node = 2 }, { .node = 3 } }, .held_groups = 8, .hold_s = 60, .keepalive_ms = 1000,
	.buffer_mib = 1, .tunnel_kib = 8, .journal_mib = 1, .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } },
};
static struct relay *it;
static unsigned int fetches[2], acks, sync_requests;
static size_t queued;
static char told[64];		/* to charon, a letter each: A(DD) U(PDATE) I, R (message IDs) D(ELETE) C(HILD_ADD) X (CHILD_DELETE) */
static uint8_t state[2048];	/* that was told last */
static uint8_t answered;	/* the end of the answer that a standby keeps */
static unsigned int looks;	/* whether packets may leave */
static unsigned int subscribes;	/* from the beginning */
static size_t state_len;

/* ---- what relay calls ---- */

void commit_look(struct commit *c)
{
	(void)c;
	looks++;
}

void retransmit_answered(struct retransmit *r, const uint8_t *packet, size_t len)
{
	(void)r;
	answered = packet[len - 1];
}

void charon_drop_backlog(struct charon *ch)
{
	(void)ch;
}

void charon_inject(struct charon *ch, const uint8_t *data, size_t len, uint64_t token)
{
	(void)ch, (void)len, (void)token;
	if (strlen(told) < sizeof(told) - 1)
		strncat(told, &"?\0A\0U\0I\0R\0D\0C\0X"[2 * data[1]], 1);
}

void sync_request(struct sync *s)
{
	(void)s;
	sync_requests++;
}

bool link_is_up(const struct links *l, unsigned int peer)
{
	(void)l, (void)peer;
	return true;
}

size_t link_queued(const struct links *l, unsigned int peer)
{
	(void)l, (void)peer;
	return queued;
}

void links_read_all(struct links *l)
{
	(void)l;
}

void link_send(struct links *l, unsigned int peer, uint8_t type, const void *head, size_t head_len, const void *body, size_t body_len)
{
	(void)l, (void)head_len, (void)body, (void)body_len;
	fetches[peer] += type == FRAME_FETCH;
	acks += type == FRAME_ACK;
	subscribes += type == FRAME_SUBSCRIBE && !get_u64(head);
	if (type == FRAME_STATE)
		memcpy(state, head, state_len = head_len);
}

/* ---- the cases' words ---- */

static void fresh(void)
{
	if (it)
		relay_free(it);
	segment = CHARON_PASSIVE;
	fetches[0] = fetches[1] = acks = sync_requests = subscribes = 0;
	in_charon.n = 0;
	queued = 0;
	clock_ms = 1000000;
	it = relay_alloc(NULL, &config);
	relay_set_parts(it, &(struct relay_parts){ .c = &config });
}

static bool frame(unsigned int peer, enum frame type, const struct bytes *b)
{
	return relay_link_frame(it, peer, type, bytes_at(b), bytes_left(b));
}

static bool says_state(unsigned int peer, bool active, bool valid)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add_u8(&b, active);
	bytes_add_u8(&b, 3);
	bytes_add_u8(&b, valid);
	bytes_add_u64(&b, active ? 77 : 0);
	bytes_add_u32(&b, 1);
	bytes_add_u32(&b, 0);
	ok = frame(peer, FRAME_STATE, &b);
	bytes_free(&b);
	return ok;
}

static bool meets(unsigned int peer, bool valid)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[peer].node };

	return relay_link_frame(it, peer, FRAME_HELLO, hello, sizeof(hello)) && says_state(peer, false, valid);
}

static bool gives_none(unsigned int peer)
{
	return relay_link_frame(it, peer, FRAME_GIVE_BEGIN, (const uint8_t[]){ 0 }, 1);
}

static bool begins_to_give(unsigned int peer)
{
	return relay_link_frame(it, peer, FRAME_GIVE_BEGIN, (const uint8_t[]){ 1 }, 1);
}

static bool gives(unsigned int peer, struct wire w)
{
	return relay_link_frame(it, peer, FRAME_GIVE_MESSAGE, w.b, w.n);
}

static bool has_given(unsigned int peer, uint32_t n)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add_u32(&b, n);
	ok = frame(peer, FRAME_GIVE_END, &b);
	bytes_free(&b);
	return ok;
}

static void ticks(unsigned int ms)
{
	clock_ms += ms;
	event_calls(-1, 0, it);
}

static void charon_says(struct wire w)
{
	struct ha_msg m;

	if (ha_parse(&m, w.b, w.n) == HA_OK)
		relay_local_message(it, &m, w.b, w.n);
}

/* keepalived says MASTER to a helper that has just started, beside a charon that holds everything; the other nodes are dead. */
static bool a_master_without_a_journal_believes_charon(void)
{
	fresh();
	relay_activate(it, false);
	ktap_expect(!relay_truth(it) && !relay_is_complete(it));
	ticks(1001);
	ktap_expect(relay_is_complete(it) && !relay_truth(it));
	/* From when charon is active the journal is what it says, but no standby may lose for its sake what charon said before. */
	segment = CHARON_ACTIVE;
	charon_says(ike_add(1, 0));
	charon_says(ike_update(1, "office", 1));
	ktap_expect(!relay_truth(it));
	relay_found_whole(it);
	ktap_expect(relay_truth(it) && journal_count(relay_truth(it)) == 1);
	return true;
}

static bool a_master_without_a_journal_asks_for_it(void)
{
	fresh();
	ktap_expect(meets(0, true));
	relay_activate(it, false);
	ktap_expect(fetches[0] == 1 && !relay_is_complete(it));
	ktap_expect(begins_to_give(0) && gives(0, ike_add(1, 0)) && gives(0, ike_update(1, "office", 1)) && has_given(0, 2));
	ktap_expect(relay_is_complete(it) && relay_truth(it) && journal_count(relay_truth(it)) == 1 && sync_requests == 1);
	return true;
}

/* The old owner is active still when it is asked, and says so; then it is standby. */
static bool who_had_none_is_asked_again_when_it_has_one(void)
{
	fresh();
	ktap_expect(meets(0, true) && meets(1, true));
	relay_activate(it, true);
	ktap_expect(fetches[0] == 1 && !fetches[1]);	/* each would send all of it */
	ktap_expect(gives_none(0) && fetches[1] == 1 && !relay_is_complete(it));
	ktap_expect(says_state(0, false, true) && fetches[0] == 2);
	return true;
}

static bool one_that_has_none_does_not_end_anothers_giving(void)
{
	fresh();
	ktap_expect(meets(0, true) && meets(1, false));
	relay_activate(it, true);
	ktap_expect(begins_to_give(0) && gives(0, ike_add(1, 0)) && gives_none(1) && !relay_is_complete(it));
	ktap_expect(gives(0, ike_update(1, "office", 1)) && has_given(0, 2));
	ktap_expect(relay_is_complete(it) && journal_count(relay_truth(it)) == 1);
	return true;
}

static bool nobody_has_one(void)
{
	fresh();
	ktap_expect(meets(0, false) && meets(1, false));
	relay_activate(it, true);
	ktap_expect(gives_none(0) && !relay_is_complete(it) && gives_none(1));
	ktap_expect(relay_is_complete(it) && !relay_truth(it));
	return true;
}

static bool a_long_journal_gets_its_time(void)
{
	fresh();
	ktap_expect(meets(0, true));
	relay_activate(it, true);
	ktap_expect(begins_to_give(0) && gives(0, ike_add(1, 0)));
	ticks(3001);
	ktap_expect(!relay_is_complete(it) && gives(0, ike_update(1, "office", 1)));
	ticks(3001);
	ktap_expect(!relay_is_complete(it));
	/* It stands still. */
	ticks(3001);
	ktap_expect(relay_is_complete(it));
	return true;
}

static bool has_snapped(unsigned int peer, uint64_t epoch)
{
	struct bytes head = { 0 }, n = { 0 };
	struct wire w = ike_add(1, 0), u = ike_update(1, "office", 1);
	bool ok;

	bytes_add_u64(&head, epoch);
	bytes_add_u64(&head, 0);
	bytes_add_u32(&n, 2);
	ok = frame(peer, FRAME_SNAP_BEGIN, &head) && relay_link_frame(it, peer, FRAME_SNAP_MESSAGE, w.b, w.n) &&
	     relay_link_frame(it, peer, FRAME_SNAP_MESSAGE, u.b, u.n) && frame(peer, FRAME_SNAP_END, &n);
	bytes_free(&head);
	bytes_free(&n);
	return ok;
}

/* The owner's helper has lost its journal. What its standby's charon has goes only when the owner says that it knows all again. */
static bool a_journal_that_lacks_something_removes_nothing(void)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[0].node };

	fresh();
	ktap_expect(relay_link_frame(it, 0, FRAME_HELLO, hello, sizeof(hello)) && says_state(0, true, false));
	ktap_expect(has_snapped(0, 77) && sync_requests == 1 && !relay_truth(it));
	ktap_expect(says_state(0, true, true) && relay_truth(it) && journal_count(relay_truth(it)) == 1);
	return true;
}

static bool record(unsigned int peer, uint64_t epoch, uint64_t seq, struct wire w)
{
	struct bytes b = { 0 };
	bool ok;

	told[0] = 0;
	bytes_add_u64(&b, epoch);
	bytes_add_u64(&b, seq);
	bytes_add(&b, w.b, w.n);
	ok = frame(peer, FRAME_RECORD, &b);
	bytes_free(&b);
	return ok;
}

/* A standby's charon would follow with the IKE SA, and leave the CHILD SAs where they were. */
static bool who_moved_is_built_anew(void)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[0].node };

	fresh();
	relay_deactivate(it);
	ktap_expect(relay_link_frame(it, 0, FRAME_HELLO, hello, sizeof(hello)) && says_state(0, true, true) && has_snapped(0, 77));
	ktap_expect(record(0, 77, 1, child(1, HA_CHILD_ADD, 5)) && !strcmp(told, "C"));
	ktap_expect(record(0, 77, 2, ike_moved(3, 1, "office", 9)) && !strcmp(told, "DAUC"));
	ktap_expect(record(0, 77, 3, ike_moved(3, 1, "office", 9)) && !strcmp(told, "U"));
	ktap_expect(record(0, 77, 4, mid(1, HA_IKE_MID_RESPONDER, 5)) && !strcmp(told, "R"));
	return true;
}

/* What was made for a request that its charon has not answered goes when the far end makes it again, here and at the peers. */
static bool what_was_made_in_vain_goes(void)
{
	struct wire asked = mid(1, HA_IKE_MID_RESPONDER, 5);
	struct ha_msg m;

	fresh();
	ktap_expect(meets(0, false) && meets(1, false));
	relay_activate(it, false);
	ktap_expect(gives_none(0) && gives_none(1));
	ticks(1001);
	segment = CHARON_ACTIVE;
	for (struct wire *w = (struct wire[]){ ike_add(1, 0), ike_update(1, "office", 1), asked, child(1, HA_CHILD_ADD, 5), { .n = 0 } }; w->n; w++) {
		ktap_expect(ha_parse(&m, w->b, w->n) == HA_OK);
		relay_local_message(it, &m, w->b, w->n);
	}
	told[0] = 0;
	relay_charon_restarted(it);
	ktap_expect(ha_parse(&m, asked.b, asked.n) == HA_OK);
	/* One that the far end uses was answered: somebody only sends an old request once more. */
	far_end_uses_it = true;
	ktap_expect(relay_was_answered(it, &m.id, 4) && !relay_was_answered(it, &m.id, 3));
	relay_local_message(it, &m, asked.b, asked.n);
	ktap_expect(!told[0]);
	far_end_uses_it = false;
	relay_charon_restarted(it);
	for (struct wire *w = (struct wire[]){ asked, child(1, HA_CHILD_ADD, 6), { .n = 0 } }; w->n; w++) {
		ktap_expect(ha_parse(&m, w->b, w->n) == HA_OK);
		relay_local_message(it, &m, w->b, w->n);
	}
	told[0] = 0;
	relay_charon_restarted(it);
	ktap_expect(ha_parse(&m, asked.b, asked.n) == HA_OK && !relay_was_answered(it, &m.id, 4));
	relay_local_message(it, &m, asked.b, asked.n);
	ktap_expect(!strcmp(told, "X") && !journal_child_find(journal_next(relay_journal(it), NULL), 6, NULL));
	return true;
}

static bool says(const char *sentence)
{
	bool same = !strncmp(warning, sentence, strlen(sentence));

	if (!same)
		ktap_diag("says '%s', not '%s'", warning, sentence);
	warning[0] = 0;
	return same;
}

static bool begins_to_snap(unsigned int peer, uint64_t epoch)
{
	struct bytes head = { 0 };
	bool ok;

	bytes_add_u64(&head, epoch);
	bytes_add_u64(&head, 0);
	ok = frame(peer, FRAME_SNAP_BEGIN, &head);
	bytes_free(&head);
	return ok;
}

static bool snaps(unsigned int peer, struct wire w)
{
	return relay_link_frame(it, peer, FRAME_SNAP_MESSAGE, w.b, w.n);
}

/* Twice 1 MiB is what a journal may have here, in its short life before it is limited. */
static bool a_journal_without_end_ends_the_connection(void)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[0].node };
	uint32_t n = 1;

	fresh();
	ktap_expect(relay_link_frame(it, 0, FRAME_HELLO, hello, sizeof(hello)) && says_state(0, true, true) && has_snapped(0, 77));
	warning[0] = 0;
	ktap_expect(begins_to_snap(0, 77));
	while (n < 10000 && snaps(0, ike_add(n, 0)) && snaps(0, ike_update(n, "office", 1)))
		n++;
	ktap_diag("%u IKE SAs", n);
	ktap_expect(n > 1000 && n < 10000);
	ktap_expect(says("peer 2: its journal is more than twice as large as journal_mib here: not taken, disconnecting (raise journal_mib, "));
	/* What was there before is there, and goes on where it stood; the owner is told why it has not more. */
	relay_link_down(it, 0);
	relay_link_up(it, 0);
	ktap_expect(state[23] == JOURNAL_FULL);
	ktap_expect(relay_truth(it) && journal_count(relay_truth(it)) == 1 && it->source == 0 && it->source_epoch == 77);
	return true;
}

/* Each asks for something, and nothing of it is read. */
static bool a_peer_that_takes_nothing_is_told_little(void)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[0].node };
	struct wire w = mid(1, HA_IKE_MID_RESPONDER, 1);

	fresh();
	ktap_expect(relay_link_frame(it, 0, FRAME_HELLO, hello, sizeof(hello)) && says_state(0, true, true) && has_snapped(0, 77));
	queued = 1 << 20;
	for (uint64_t seq = 1; seq <= 100; seq++) {
		struct bytes b = { 0 };

		bytes_add_u64(&b, 77);
		bytes_add_u64(&b, seq);
		bytes_add(&b, w.b, w.n);
		ktap_expect(frame(0, FRAME_RECORD, &b));
		bytes_free(&b);
	}
	ktap_expect(!acks && it->source_seq == 100);
	warning[0] = 0;
	ktap_expect(!relay_link_frame(it, 0, FRAME_FETCH, NULL, 0));
	ktap_expect(says("peer 2: asks for the journal again before it has taken the one before: disconnecting (is it the same version"));
	/* It only was slow: it is told all of it, at once. */
	queued = 0;
	ticks(1000);
	ktap_expect(acks == 1 && it->applied_seq == 100 && relay_link_frame(it, 0, FRAME_FETCH, NULL, 0) && !warning[0]);
	return true;
}

static bool whoever_takes_nothing_is_not_asked(void)
{
	fresh();
	ktap_expect(meets(0, true) && meets(1, true));
	relay_activate(it, true);
	ktap_expect(fetches[0] == 1);
	queued = 1 << 20;
	for (int i = 0; i < 10; i++)
		ktap_expect(gives_none(0) && says_state(0, false, true));
	ktap_expect(fetches[0] == 1);
	queued = 0;
	ktap_expect(says_state(0, false, true) && fetches[0] == 2);
	return true;
}

static void becomes_a_source(void)
{
	fresh();
	relay_activate(it, false);
	ticks(1001);
	segment = CHARON_ACTIVE;
	relay_found_whole(it);
	warning[0] = 0;
}

static bool reports(const char *text)
{
	struct kernel_report report;

	relay_report(it, &report);
	if (strcmp(report.text, text))
		ktap_diag("reports '%s', not '%s'", report.text, text);
	return !strcmp(report.text, text);
}

/* Each tunnel has 8 KiB here. */
static bool a_child_sa_without_room_is_named(void)
{
	becomes_a_source();
	ktap_expect(meets(0, false) && meets(1, false));
	charon_says(ike_add(1, 0));
	charon_says(ike_update(1, "office", 1));
	for (uint32_t spi = 1; !warning[0] && spi < 1000; spi++)
		charon_says(child(1, HA_CHILD_ADD, spi));
	ktap_expect(says("no room in the journal for a CHILD SA of connection office, far end 198.51.100.1: not carried (raise tunnel_kib; 0 more"));
	/* Not more often than anybody reads. */
	for (int i = 0; i < 50; i++)
		charon_says(child(1, HA_CHILD_ADD, 2000 + i));
	ktap_expect(!warning[0]);
	clock_ms += 10000;
	charon_says(child(1, HA_CHILD_ADD, 3000));
	ktap_expect(says("no room in the journal for a CHILD SA of connection office, far end 198.51.100.1: not carried (raise tunnel_kib; 50 more"));
	ktap_expect(reports("no room in the journal (raise tunnel_kib): CHILD SAs of office with 198.51.100.1"));
	/* Whoever takes over says it of its own journal, when it has seen what charon has. */
	relay_deactivate(it);
	ktap_expect(reports(""));
	return true;
}

/* As a standby says it that has so many. */
static bool has(unsigned int peer, uint32_t ike, uint32_t children, enum journal_room refused)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add(&b, (const uint8_t[11]) { [1] = 3, [2] = 1 }, 11);
	bytes_add_u32(&b, ike);
	bytes_add_u32(&b, 0);
	bytes_add_u32(&b, children);
	bytes_add_u8(&b, refused);
	bytes_add(&b, (const uint8_t[17 + 4]) { 0 }, 17 + 4);
	bytes_add(&b, "and what one says that is newer still", 37);
	ok = frame(peer, FRAME_STATE, &b);
	bytes_free(&b);
	return ok;
}

static bool a_peer_without_room_is_named(void)
{
	becomes_a_source();
	ktap_expect(meets(0, true) && meets(1, true));
	charon_says(ike_add(1, 0));
	charon_says(ike_update(1, "office", 1));
	for (uint32_t spi = 1; spi <= 10; spi++)
		charon_says(child(1, HA_CHILD_ADD, spi));
	ktap_expect(reports(""));		/* both say too little for that, as before they could */
	ktap_expect(has(0, 1, 9, JOURNAL_ROOM) && has(1, 1, 10, JOURNAL_ROOM) && reports(""));	/* it is on its way */
	ktap_expect(has(0, 1, 9, JOURNAL_TUNNEL_FULL));
	ktap_expect(reports("no room in the journal of node 2 (raise tunnel_kib there): it has 1 of 1 IKE SAs, 9 of 10 CHILD SAs"));
	ktap_expect(has(0, 1, 10, JOURNAL_ROOM) && has(1, 0, 0, JOURNAL_FULL));
	ktap_expect(reports("no room in the journal of node 3 (raise journal_mib there): it has 0 of 1 IKE SAs, 0 of 10 CHILD SAs"));
	/* What it refused has gone, and what remains it has. */
	charon_says(child(1, HA_CHILD_DELETE, 10));
	ktap_expect(has(1, 1, 9, JOURNAL_TUNNEL_FULL) && reports(""));
	return true;
}

/* Each tunnel has 8 KiB here, and with its owner more. */
static bool a_standby_says_what_it_has_refused(void)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[0].node };
	uint64_t seq = 0;

	fresh();
	ktap_expect(relay_link_frame(it, 0, FRAME_HELLO, hello, sizeof(hello)) && says_state(0, true, true) && has_snapped(0, 77));
	ticks(1000);
	ktap_expect(state_len == 45 && state[24] == (STATE_TAKES_DRIFT | STATE_TRANSLATES | STATE_TAKES_ANSWERS | STATE_TAKES_PARCELS));
	ktap_expect(get_u32(state + 11) == 1 && get_u32(state + 19) == 0 && state[23] == JOURNAL_ROOM);
	warning[0] = 0;
	while (!warning[0] && seq < 1000) {
		struct wire w = child(1, HA_CHILD_ADD, seq + 1);
		struct bytes b = { 0 };

		bytes_add_u64(&b, 77);
		bytes_add_u64(&b, ++seq);
		bytes_add(&b, w.b, w.n);
		ktap_expect(frame(0, FRAME_RECORD, &b));
		bytes_free(&b);
	}
	ticks(1000);
	ktap_expect(seq < 1000 && get_u32(state + 19) == seq - 1 && state[23] == JOURNAL_TUNNEL_FULL);
	return true;
}

/* There are 128 tunnels here. */
static bool an_ike_sa_without_room_is_named(void)
{
	becomes_a_source();
	for (uint32_t n = 1; n <= 128; n++) {
		charon_says(ike_add(n, 0));
		charon_says(ike_update(n, "office", 1));
	}
	ktap_expect(!warning[0] && journal_count(relay_truth(it)) == 128);
	charon_says(ike_add(129, 0));
	ktap_expect(!warning[0]);
	charon_says(ike_update(129, "home", 1));
	ktap_expect(says("no room in the journal for an IKE SA of connection home, far end 198.51.100.1: not carried (raise journal_mib; 0 more"));
	ktap_expect(journal_count(relay_truth(it)) == 128);
	relay_free(it);
	it = NULL;
	return true;
}

/* An older helper ends the connection at a frame that it does not know. */
static bool only_who_takes_it_is_told_of_configurations(void)
{
	uint8_t piece[8] = { 0 }, older[24] = { 0 }, newer[45] = { [1] = 3, [24] = STATE_TAKES_DRIFT };

	fresh();
	listens = pieces = 0;
	ktap_expect(!relay_link_frame(it, 0, FRAME_DRIFT, piece, sizeof(piece)) && !pieces);	/* before it said who it is */
	ktap_expect(meets(0, false) && relay_link_frame(it, 0, FRAME_STATE, older, sizeof(older)) && !listens);
	ktap_expect(relay_link_frame(it, 0, FRAME_STATE, newer, sizeof(newer)) && listens == 1);
	ktap_expect(relay_link_frame(it, 0, FRAME_DRIFT, piece, sizeof(piece)) && pieces == 1);
	ktap_expect(!relay_link_frame(it, 0, FRAME_PARCEL + 1, piece, sizeof(piece)));
	return true;
}

/* ---- what nodes say of themselves ---- */

/* As an active node says it, of its journal at a record of stream 77. */
static bool says_sum(unsigned int peer, uint64_t seq, uint64_t sum, enum journal_room refused)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add(&b, (const uint8_t[3]) { 1, 3, 1 }, 3);
	bytes_add_u64(&b, 77);
	bytes_add(&b, (const uint8_t[12]) { 0 }, 12);
	bytes_add_u8(&b, refused);
	bytes_add_u8(&b, STATE_SAYS_SUM);
	bytes_add_u64(&b, seq);
	bytes_add_u64(&b, sum);
	bytes_add_u32(&b, 0);
	ok = frame(peer, FRAME_STATE, &b);
	bytes_free(&b);
	return ok;
}

static uint64_t here(void)
{
	return agree_sum(relay_journal(it));
}

static bool becomes_a_standby(void)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[0].node };

	fresh();
	relay_deactivate(it);
	return relay_link_frame(it, 0, FRAME_HELLO, hello, sizeof(hello)) && says_state(0, true, true) && has_snapped(0, 77) &&
		record(0, 77, 1, child(1, HA_CHILD_ADD, 5)) && subscribes == 1;
}

static bool a_journal_that_is_another_is_fetched_anew(void)
{
	struct kernel_report report;

	ktap_expect(becomes_a_standby());
	ktap_expect(says_sum(0, 1, here(), 0) && says_sum(0, 1, here() + 1, 0) && says_sum(0, 1, here(), 0) && says_sum(0, 1, here() + 1, 0));
	ktap_expect(subscribes == 1);		/* never twice in a row */
	/* At another record, or where something had no room, it proves nothing. */
	for (int i = 0; i < 5; i++)
		ktap_expect(says_sum(0, 2, here() + 1, 0) && says_sum(0, 1, here() + 1, JOURNAL_FULL));
	ktap_expect(subscribes == 1);
	warning[0] = 0;
	ktap_expect(says_sum(0, 1, here() + 1, 0) && subscribes == 2);
	ktap_expect(says("peer 2: its journal has become another than the one here: asking for all of it"));
	/* It helps. */
	ktap_expect(has_snapped(0, 77) && says_sum(0, 0, here(), 0) && !it->agree.asked && !warning[0]);
	/* It does not: three times are enough. */
	for (int i = 0; i < 20; i++)
		ktap_expect(says_sum(0, 0, here() + 1, 0));
	ktap_expect(subscribes == 5);
	relay_report(it, &report);
	ktap_expect(report.unprotected.n == 1 && !strncmp(report.unprotected.text[0], "all: the journal is another than the active node's", 50));
	ktap_expect(says("peer 2: its journal is another than the one here, also fetched anew"));
	ktap_expect(says_sum(0, 0, here() + 1, 0) && !warning[0]);
	ktap_expect(says_sum(0, 0, here(), 0));
	relay_report(it, &report);
	ktap_expect(!report.unprotected.n);
	return true;
}

/* Names, ends, message IDs, CHILD SAs; not the order in which they came. */
static bool the_sum_is_of_what_counts(void)
{
	struct wire w[] = { ike_add(1, 0), ike_update(1, "office", 1), ike_add(2, 0), ike_update(2, "office", 1), child(1, HA_CHILD_ADD, 5),
			    mid(1, HA_IKE_MID_RESPONDER, 4), mid(1, HA_IKE_MID_INITIATOR, 4), ike_moved(3, 2, "office", 9) };
	struct journal *one = journal_alloc(), *two = journal_alloc();
	static const int other_order[] = { 2, 3, 0, 1, 7, 6, 5, 4 };
	struct ha_msg m;

	for (unsigned int i = 0; i < sizeof(w) / sizeof(*w); i++) {
		uint64_t before = agree_sum(one);

		ktap_expect(ha_parse(&m, w[i].b, w[i].n) == HA_OK && journal_apply(one, &m, w[i].b, w[i].n) == JOURNAL_TAKEN);
		ktap_expect(agree_sum(one) != before);
	}
	for (unsigned int i = 0; i < sizeof(w) / sizeof(*w); i++) {
		const struct wire *o = &w[other_order[i]];

		ktap_expect(agree_sum(one) != agree_sum(two) && ha_parse(&m, o->b, o->n) == HA_OK);
		journal_apply(two, &m, o->b, o->n);
	}
	ktap_expect(agree_sum(one) == agree_sum(two));
	journal_free(one);
	journal_free(two);
	return true;
}

/* The far end has rekeyed, and what became of it nobody said. When that is over is a record as others are. */
static bool what_is_never_completed_ends_on_all_nodes_at_once(void)
{
	struct wire gone = ike_delete(2);
	const struct record *last;

	becomes_a_source();
	ktap_expect(meets(0, true));
	charon_says(ike_add(1, 0));
	charon_says(ike_update(1, "office", 1));
	charon_says(ike_add(2, 1));
	charon_says(ike_delete(1));
	ticks(60000);
	ktap_expect(journal_count(relay_journal(it)) == 1 && it->stream.last == 4);
	ticks(1001);
	last = stream_get(&it->stream, 5);
	ktap_expect(journal_count(relay_journal(it)) == 0 && last && last->len == gone.n && !memcmp(last->data, gone.b, gone.n));

	ktap_expect(becomes_a_standby() && record(0, 77, 2, ike_add(2, 1)) && record(0, 77, 3, ike_delete(1)));
	ticks(600000);
	ktap_expect(journal_count(relay_journal(it)) == 1 && txn_held(it->ledger->txn) == 1);
	ktap_expect(record(0, 77, 4, gone) && journal_count(relay_journal(it)) == 0 && !txn_held(it->ledger->txn));
	return true;
}

static bool an_active_node_says_what_its_journal_says_now_and_then(void)
{
	becomes_a_source();
	ktap_expect(meets(0, true));
	charon_says(ike_add(1, 0));
	charon_says(ike_update(1, "office", 1));
	ticks(20000);
	ktap_expect(state[24] & STATE_SAYS_SUM && get_u64(state + 25) == it->stream.last && get_u64(state + 33) == here());
	ticks(9000);
	ktap_expect(!(state[24] & STATE_SAYS_SUM));
	ticks(1000);
	ktap_expect(state[24] & STATE_SAYS_SUM);
	return true;
}

/* As a standby says it: so many tunnels, of which it names the first ones. */
static bool names(unsigned int peer, uint32_t n, const char *text, size_t len, size_t cut)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add(&b, (const uint8_t[41]) { [1] = 3, [2] = 1 }, 41);
	bytes_add_u32(&b, n);
	for (uint32_t i = 0; i < n && i < UNPROTECTED_SHOWN; i++) {
		bytes_add_u8(&b, len);
		bytes_add(&b, text, len);
	}
	b.len -= cut;
	ok = frame(peer, FRAME_STATE, &b);
	bytes_free(&b);
	return ok;
}

/* A standby's charon of version 3; the active node's says @version, its helper that it translates, or it is too old to. */
static bool speaks(unsigned int peer, uint8_t version, uint8_t flags)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add_u8(&b, true);
	bytes_add_u8(&b, version);
	bytes_add_u8(&b, true);
	bytes_add_u64(&b, 77);
	bytes_add_u32(&b, 1);
	bytes_add_u32(&b, 0);
	bytes_add_u32(&b, 0);
	bytes_add_u8(&b, JOURNAL_ROOM);
	bytes_add_u8(&b, flags);
	bytes_add_u64(&b, 0);
	bytes_add_u64(&b, 0);
	bytes_add_u32(&b, 0);
	ok = frame(peer, FRAME_STATE, &b);
	bytes_free(&b);
	return ok;
}

static bool another_version_takes_a_helper_that_translates(void)
{
	uint8_t hello[] = { PROTOCOL_VERSION, config.peers[0].node };

	fresh();
	relay_deactivate(it);
	ktap_expect(meets(1, true) && relay_link_frame(it, 0, FRAME_HELLO, hello, sizeof(hello)));
	ktap_expect(speaks(0, 5, 0) && !subscribes);
	ktap_expect(reports("strongSwan of node 2 speaks version 5, here 3, and its espsyncd does not translate"));
	ktap_expect(says("peer 2: strongSwan's ha plugin there speaks version 5, here 3, and its espsyncd does not translate: nothing is relayed"));
	ktap_expect(speaks(0, 5, STATE_TRANSLATES) && subscribes == 1 && reports("the journal of node 2 has not arrived yet"));
	/* This one says so, too. */
	ticks(1000);
	ktap_expect(state_len > 24 && (state[24] & STATE_TRANSLATES));
	return true;
}

/* Its first IKE_ADD names them, the second one brings the keys of one. */
static bool what_charon_has_no_words_for_is_not_told(void)
{
	struct wire several = ike_add(2, 0), more = ike_add(2, 0);

	ktap_expect(becomes_a_standby() && speaks(0, 5, STATE_TRANSLATES));
	several.b[0] = more.b[0] = 5;
	put(&several, "\x1a\x00\x02\x00\x24", 5);
	ktap_expect(record(0, 77, 2, several) && record(0, 77, 3, more) && record(0, 77, 4, ike_update(2, "office", 1)) && !*told);
	ktap_expect(record(0, 77, 5, child(2, HA_CHILD_ADD, 7)) && !*told && journal_count(relay_journal(it)) == 2);
	wire_version = 5;
	ktap_expect(record(0, 77, 6, child(2, HA_CHILD_ADD, 9)) && !strcmp(told, "C"));
	wire_version = 3;
	return true;
}

static bool what_a_standby_cannot_protect_is_named(void)
{
	struct unprotected own = { .n = 1, .text = { "mine" } };
	struct kernel_report report;

	becomes_a_source();
	ktap_expect(meets(0, true) && meets(1, true));
	relay_unprotected(it, &own);
	ktap_expect(names(0, 1, "office", 6, 0) && names(1, 1, "a\x1b[31mb\0c", 8, 0));
	relay_report(it, &report);
	ktap_expect(report.unprotected.n == 3 && !strcmp(report.unprotected.text[0], "mine") && !strcmp(report.unprotected.text[1], "node 2: office"));
	ktap_expect(!strcmp(report.unprotected.text[2], "node 3: a?[31mb"));
	ktap_expect(names(0, 1000, "office", 6, 0));
	relay_report(it, &report);
	ktap_expect(report.unprotected.n == 1002 && !strcmp(report.unprotected.text[7], "995 more tunnels are not protected: look at the logs of espsyncd"));
	/* It says so to its peers, and forgets it with its role. */
	ticks(1000);
	ktap_expect(get_u32(state + 41) == 1 && state[45] == 4 && !memcmp(state + 46, "mine", 4) && state_len == 50);
	relay_deactivate(it);
	in_charon = (struct unprotected){ .n = 1, .text = { "charon's" } };
	relay_report(it, &report);
	ktap_expect(report.unprotected.n == 1 && !strcmp(report.unprotected.text[0], "charon's"));
	return true;
}

static bool garbage_about_tunnels_ends_the_connection(void)
{
	char text[128];

	memset(text, 'a', sizeof(text));
	becomes_a_source();
	ktap_expect(meets(0, true));
	ktap_expect(names(0, 8, "office", 6, 0) && !names(0, 8, "office", 6, 1) && !names(0, 1, "office", 6, 7) && !names(0, 0, "", 0, 1));
	ktap_expect(!names(0, UINT32_MAX, "office", 6, 0));
	for (size_t len = 0; len < 128; len++)
		ktap_expect(names(0, 1, text, len, 0));
	ktap_expect(!names(0, 1, text, 128, 0));
	return true;
}

static bool point(unsigned int peer, enum frame type, uint64_t epoch, uint64_t seq)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add_u64(&b, epoch);
	bytes_add_u64(&b, seq);
	ok = frame(peer, type, &b);
	bytes_free(&b);
	return ok;
}

/* Two standbys, one of which is filled; and one record more, which a packet of charon's waits for. */
static bool what_each_standby_in_step_has_is_applied(void)
{
	uint64_t epoch, seq;

	becomes_a_source();
	ktap_expect(meets(0, false) && meets(1, false));
	epoch = it->stream.epoch;
	charon_says(mid(1, HA_IKE_MID_RESPONDER, 5));
	seq = relay_newest(it);
	ktap_expect(seq && relay_is_applied(it, seq));		/* nobody listens */
	ktap_expect(point(0, FRAME_SUBSCRIBE, 0, 0) && point(1, FRAME_SUBSCRIBE, 0, 0));
	charon_says(mid(1, HA_IKE_MID_RESPONDER, 6));
	ktap_expect(relay_newest(it) == seq + 1 && relay_is_applied(it, seq + 1));	/* nobody is in step yet */
	ktap_expect(point(0, FRAME_ACK, epoch, seq) && !relay_is_applied(it, seq + 1));
	looks = 0;
	ktap_expect(point(0, FRAME_ACK, epoch, seq + 1) && relay_is_applied(it, seq + 1) && looks);
	ktap_expect(point(1, FRAME_ACK, epoch, seq) && !relay_is_applied(it, seq + 1));
	looks = 0;
	relay_link_down(it, 1);
	ktap_expect(relay_is_applied(it, seq + 1) && looks);	/* one that is gone holds nothing up */
	/* It comes back, and goes on where it was: it is in step at once. */
	ktap_expect(meets(1, false) && point(1, FRAME_SUBSCRIBE, epoch, seq) && !relay_is_applied(it, seq + 1));
	relay_deactivate(it);
	ktap_expect(!relay_newest(it) && relay_is_applied(it, seq + 1));
	return true;
}

/* An answer of charon's that leaves from the gateway's port 500, or with other flags a request. */
static struct wire leaving(uint8_t flags)
{
	uint8_t ip[20] = { 0x45, 0, 0, 80, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 100 };
	uint8_t udp[8] = { 500 >> 8, 500 & 0xff, 0x1f, 0x90 }, ike[29] = { [16] = 46, 0x20, 36, flags, [23] = 5, [28] = 77 };
	struct wire w = { .n = 0 };

	put(&w, ip, sizeof(ip));
	put(&w, udp, sizeof(udp));
	put(&w, ike, sizeof(ike));
	return w;
}

static uint64_t leaves(uint8_t flags)
{
	uint64_t before = relay_newest(it);
	struct wire w = leaving(flags);

	relay_leaves(it, w.b, w.n);
	return relay_newest(it) - before;
}

/* It is a record like others; but an older helper would complain of each, and gets none. */
static bool answers_are_told_to_those_who_take_them(void)
{
	struct wire packet = leaving(0x20), as_record = { .n = 0 };
	struct bytes old = { 0 };

	becomes_a_source();
	ktap_expect(meets(0, false) && leaves(0x20) == 1 && leaves(0x08) == 0);
	ktap_expect(point(0, FRAME_SUBSCRIBE, 0, 0) && leaves(0x20) == 0);
	relay_put_state(it, 0, &old);
	ktap_expect(relay_get_state(&it->peers[0].state, bytes_at(&old), bytes_left(&old)) && leaves(0x20) == 1);
	bytes_free(&old);
	/* On the other side. */
	put8(&as_record, 0);
	put(&as_record, packet.b, packet.n);
	fresh();
	ktap_expect(meets(0, true) && says_state(0, true, true) && has_snapped(0, 77));
	answered = 0;
	ktap_expect(record(0, 77, 1, as_record) && answered == 77 && !warning[0]);
	return true;
}

static const struct ktap_case cases[] = {
	{ "answers are told to those who take them", answers_are_told_to_those_who_take_them },
	{ "what each standby in step has is applied", what_each_standby_in_step_has_is_applied },
	{ "a master without a journal believes charon", a_master_without_a_journal_believes_charon },
	{ "a master without a journal asks for it", a_master_without_a_journal_asks_for_it },
	{ "who had none is asked again when it has one", who_had_none_is_asked_again_when_it_has_one },
	{ "one that has none does not end another's giving", one_that_has_none_does_not_end_anothers_giving },
	{ "nobody has one", nobody_has_one },
	{ "a long journal gets its time", a_long_journal_gets_its_time },
	{ "a journal that lacks something removes nothing", a_journal_that_lacks_something_removes_nothing },
	{ "who moved is built anew", who_moved_is_built_anew },
	{ "what was made in vain goes", what_was_made_in_vain_goes },
	{ "a journal without end ends the connection", a_journal_without_end_ends_the_connection },
	{ "a peer that takes nothing is told little", a_peer_that_takes_nothing_is_told_little },
	{ "whoever takes nothing is not asked", whoever_takes_nothing_is_not_asked },
	{ "a CHILD SA without room is named", a_child_sa_without_room_is_named },
	{ "a peer without room is named", a_peer_without_room_is_named },
	{ "a standby says what it has refused", a_standby_says_what_it_has_refused },
	{ "an IKE SA without room is named", an_ike_sa_without_room_is_named },
	{ "only who takes it is told of configurations", only_who_takes_it_is_told_of_configurations },
	{ "a journal that is another is fetched anew", a_journal_that_is_another_is_fetched_anew },
	{ "the sum is of what counts", the_sum_is_of_what_counts },
	{ "what is never completed ends on all nodes at once", what_is_never_completed_ends_on_all_nodes_at_once },
	{ "an active node says what its journal says now and then", an_active_node_says_what_its_journal_says_now_and_then },
	{ "another version takes a helper that translates", another_version_takes_a_helper_that_translates },
	{ "what charon has no words for is not told", what_charon_has_no_words_for_is_not_told },
	{ "what a standby cannot protect is named", what_a_standby_cannot_protect_is_named },
	{ "garbage about tunnels ends the connection", garbage_about_tunnels_ends_the_connection },
};

KTAP_MAIN(cases)
