// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_fanout.c - user/espsyncd's relay on sixteen nodes: one tells all, and what becomes of it when nodes die, return, leave and lag.
 *
 * Job: sixteen relays, each with a connection to each other one, of which this program says how much it lets through, and whether it is there.
 * What is delivered is what relays say; nothing is made up but where a case says so.
 */
// SOURCES: ../../user/espsyncd/relay.c ../../user/espsyncd/relay_send.c ../../user/espsyncd/relay_take.c ../../user/espsyncd/relay_whom.c
// SOURCES: ../../user/espsyncd/relay_room.c ../../user/espsyncd/relay_state.c ../../user/espsyncd/journal.c ../../user/espsyncd/agree.c
// SOURCES: ../../user/espsyncd/unprotected.c ../../user/espsyncd/vici_sas.c ../../user/espsyncd/config.c ../../user/espsyncd/transaction.c
// SOURCES: ../../user/espsyncd/stream.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c ../../user/espsyncd/dialect.c ../../user/espsyncd/ikehdr.c
#include "../../user/espsyncd/relay_priv.h"
#include "../fuzz/noevents.h"
#include "espsyncd_messages.h"
#include "espsyncd_quiet.h"
#include "espsyncd_synced.h"
#include "ktap.h"

#define NODES	16
#define MIB	(1 << 20)
#define ALL	SIZE_MAX

/* A connection's one way: frames, each behind its length u32 and its type u8. */
struct way {
	struct bytes sent;
	size_t lets;		/* through, of what was sent */
};

struct links {
	unsigned int node;	/* from 0 */
	struct way to[NODES];	/* by node */
	bool up[NODES];
};

struct charon {
	enum charon_segment segment;
};

static struct helper {
	struct config config;
	struct links links;
	struct charon charon;
	struct relay *r;
	unsigned int fetched;	/* so often it was asked for its journal */
	unsigned int records;	/* it took from others */
	unsigned int journals;
} nodes[NODES];
static size_t most_queued;	/* by one node, to all others */

/* ---- what relay calls ---- */

bool charon_present(const struct charon *ch)
{
	(void)ch;
	return true;
}

bool charon_idle(const struct charon *ch)
{
	(void)ch;
	return true;
}

uint8_t charon_version(const struct charon *ch)
{
	(void)ch;
	return 3;
}

enum charon_segment charon_segment(const struct charon *ch)
{
	return ch->segment;
}

void charon_drop_backlog(struct charon *ch)
{
	(void)ch;
}

void charon_inject(struct charon *ch, const uint8_t *data, size_t len, uint64_t token)
{
	(void)ch, (void)data, (void)len, (void)token;
}

void commit_look(struct commit *c)
{
	(void)c;
}

void retransmit_answered(struct retransmit *r, const uint8_t *packet, size_t len)
{
	(void)r, (void)packet, (void)len;
}

void sync_request(struct sync *s)
{
	(void)s;
}

/* Peers are named by their place in the configuration, which leaves the node itself out. */
static unsigned int peer_of(unsigned int of, unsigned int other)
{
	return other - (other > of);
}

static unsigned int node_of(unsigned int of, unsigned int peer)
{
	return peer + (peer >= of);
}

bool link_is_up(const struct links *l, unsigned int peer)
{
	return l->up[node_of(l->node, peer)];
}

size_t link_queued(const struct links *l, unsigned int peer)
{
	return bytes_left(&l->to[node_of(l->node, peer)].sent);
}

void link_send(struct links *l, unsigned int peer, uint8_t type, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct bytes *b = &l->to[node_of(l->node, peer)].sent;
	size_t queued = 0;

	if (!l->up[node_of(l->node, peer)])
		return;
	bytes_add_u32(b, head_len + body_len);
	bytes_add_u8(b, type);
	bytes_add(b, head, head_len);
	bytes_add(b, body, body_len);
	for (unsigned int i = 0; i < NODES; i++)
		queued += bytes_left(&l->to[i].sent);
	if (queued > most_queued)
		most_queued = queued;
}

/* ---- the wires ---- */

static void disconnect(unsigned int a, unsigned int b)
{
	if (!nodes[a].links.up[b])
		return;
	nodes[a].links.up[b] = nodes[b].links.up[a] = false;
	bytes_free(&nodes[a].links.to[b].sent);
	bytes_free(&nodes[b].links.to[a].sent);
	relay_link_down(nodes[a].r, peer_of(a, b));
	relay_link_down(nodes[b].r, peer_of(b, a));
}

static void meet(unsigned int a, unsigned int b)
{
	if (a == b || nodes[a].links.up[b] || !nodes[a].r || !nodes[b].r)
		return;
	nodes[a].links.up[b] = nodes[b].links.up[a] = true;
	nodes[a].links.to[b].lets = nodes[b].links.to[a].lets = ALL;
	relay_link_up(nodes[a].r, peer_of(a, b));
	relay_link_up(nodes[b].r, peer_of(b, a));
}

/* One frame. Return: false if there is none, or it is not let through */
static bool deliver_one(unsigned int from, unsigned int to)
{
	struct way *w = &nodes[from].links.to[to];
	uint8_t copy[4096], type;
	uint32_t len;

	if (bytes_left(&w->sent) < 5 || w->lets < get_u32(bytes_at(&w->sent)) + 5)
		return false;
	len = get_u32(bytes_at(&w->sent));
	type = bytes_at(&w->sent)[4];
	assert(len <= sizeof(copy));
	memcpy(copy, bytes_at(&w->sent) + 5, len);
	bytes_consume(&w->sent, 5 + len);
	w->lets -= w->lets == ALL ? 0 : len + 5;
	nodes[to].fetched += type == FRAME_FETCH;
	nodes[to].records += type == FRAME_RECORD;
	nodes[to].journals += type == FRAME_SNAP_BEGIN || (type == FRAME_GIVE_BEGIN && copy[0]);
	if (!relay_link_frame(nodes[to].r, peer_of(to, from), type, copy, len))
		disconnect(from, to);
	if (!bytes_left(&w->sent))
		relay_link_writable(nodes[from].r, peer_of(from, to));
	return true;
}

void links_read_all(struct links *l)
{
	for (unsigned int i = 0; i < NODES; i++)
		while (deliver_one(i, l->node))
			;
}

/* Until nobody has anything to say that is let through. */
static void deliver(void)
{
	bool more;

	do {
		more = false;
		for (unsigned int a = 0; a < NODES; a++)
			for (unsigned int b = 0; b < NODES; b++)
				while (deliver_one(a, b))
					more = true;
	} while (more);
}

/* Clocks go on, all say how they are. */
static void seconds(unsigned int n)
{
	while (n--) {
		clock_ms += 1000;
		for (unsigned int i = 0; i < NODES; i++)
			if (nodes[i].r)
				event_calls(-1, 0, nodes[i].r);
		deliver();
	}
}

/* ---- the cases' words ---- */

static void power_off(unsigned int n)
{
	for (unsigned int i = 0; i < NODES; i++)
		disconnect(n, i);
	if (nodes[n].r)
		relay_free(nodes[n].r);
	nodes[n].r = NULL;
}

static void plug(unsigned int n)
{
	for (unsigned int i = 0; i < NODES; i++)
		meet(n, i);
}

static void unplug(unsigned int n)
{
	for (unsigned int i = 0; i < NODES; i++)
		disconnect(n, i);
}

/* Its helper is new, and knows nothing. */
static void start_helper(unsigned int n)
{
	struct helper *h = &nodes[n];
	struct relay_parts parts = { .c = &h->config, .ch = &h->charon, .links = &h->links };

	h->config = (struct config){
		.node = n + 1, .n_peers = NODES - 1, .held_groups = 64, .hold_s = 60, .keepalive_ms = 1000, .buffer_mib = 1, .tunnel_kib = 64,
		.journal_mib = 64, .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } },
	};
	for (unsigned int i = 0; i < NODES - 1; i++)
		h->config.peers[i].node = node_of(n, i) + 1;
	h->links.node = n;
	h->r = relay_alloc(NULL, &h->config);
	relay_set_parts(h->r, &parts);
	h->fetched = h->records = h->journals = 0;
}

static void power_on(unsigned int n)
{
	nodes[n].charon.segment = CHARON_PASSIVE;
	start_helper(n);
	relay_deactivate(nodes[n].r);
	plug(n);
}

static void promote(unsigned int n)
{
	relay_activate(nodes[n].r, false);
	nodes[n].charon.segment = CHARON_ACTIVE;
}

static void demote(unsigned int n)
{
	relay_deactivate(nodes[n].r);
	nodes[n].charon.segment = CHARON_PASSIVE;
}

static void charon_says(unsigned int n, struct wire w)
{
	struct ha_msg m;

	assert(ha_parse(&m, w.b, w.n) == HA_OK);
	relay_local_message(nodes[n].r, &m, w.b, w.n);
}

static void begins_tunnel(unsigned int n, uint32_t number)
{
	static const char name[] = "a-connection-that-has-a-very-long-name-x";

	charon_says(n, ike_add(number, 0));
	charon_says(n, ike_update(number, name, 1));
	charon_says(n, child(number, HA_CHILD_ADD, number));
}

static unsigned int tunnels(unsigned int n)
{
	return journal_count(relay_journal(nodes[n].r));
}

/* So many have what the owner has, all of it, and it knows it. */
static unsigned int in_sync(unsigned int owner)
{
	struct relay *o = nodes[owner].r;
	unsigned int n = 0;

	for (unsigned int i = 0; i < NODES; i++) {
		struct relay *r = nodes[i].r;

		if (r && i != owner && r->source == (int)peer_of(i, owner) && r->source_epoch == o->stream.epoch && r->valid &&
		    agree_sum(relay_journal(r)) == agree_sum(relay_journal(o)) && o->peers[peer_of(owner, i)].acked == o->stream.last)
			n++;
	}
	return n;
}

/* Sixteen, the first one active, with a tunnel. */
static void all_of_them(void)
{
	for (unsigned int i = 0; i < NODES; i++)
		power_off(i);
	clock_ms = 1000000;
	for (unsigned int i = 0; i < NODES; i++)
		power_on(i);
	deliver();
	promote(0);
	seconds(4);
	begins_tunnel(0, 1);
	relay_found_whole(nodes[0].r);
	seconds(2);
	for (unsigned int i = 0; i < NODES; i++)
		nodes[i].fetched = 0;
	most_queued = 0;
	warning[0] = 0;
}

static bool warns(const char *sentence)
{
	bool same = !strncmp(warning, sentence, strlen(sentence));

	if (!same)
		ktap_diag("says '%s', not '%s'", warning, sentence);
	warning[0] = 0;
	return same;
}

static bool reports(unsigned int n, const char *text)
{
	struct kernel_report report;

	relay_report(nodes[n].r, &report);
	if (strcmp(report.text, text))
		ktap_diag("node %u reports '%s', not '%s'", n + 1, report.text, text);
	return !strcmp(report.text, text);
}

static bool one_tells_fifteen(void)
{
	all_of_them();
	ktap_expect(in_sync(0) == 15 && reports(0, ""));
	for (uint32_t i = 2; i < 100; i++)
		begins_tunnel(0, i);
	deliver();
	seconds(1);
	ktap_expect(in_sync(0) == 15 && tunnels(15) == 99);
	/* What all have applied nobody keeps, and each got it once. */
	ktap_expect(!nodes[0].r->stream.n);
	for (unsigned int i = 1; i < NODES; i++)
		ktap_expect(nodes[i].journals == 1 && nodes[i].records <= 3 * 99);
	return true;
}

static bool each_goes_on_where_it_was(void)
{
	all_of_them();
	for (unsigned int i = 1; i < NODES; i++) {
		unplug(i);
		begins_tunnel(0, 1 + i);
		deliver();
	}
	for (unsigned int i = 1; i < NODES; i++)
		plug(i);
	for (unsigned int i = 1; i < NODES; i++)
		nodes[i].records = nodes[i].journals = 0;
	seconds(2);
	ktap_expect(in_sync(0) == 15 && tunnels(1) == 16);
	for (unsigned int i = 1; i < NODES; i++)
		ktap_expect(!nodes[i].journals && nodes[i].records == 3 * (16 - i));
	ktap_expect(!nodes[0].r->stream.n);
	return true;
}

/* A wire that takes nothing does not keep the others waiting, nor more than the stream may. */
static bool the_slowest_gets_the_journal(void)
{
	struct relay *r;

	all_of_them();
	r = nodes[0].r;
	nodes[0].links.to[9].lets = 0;
	for (uint32_t i = 2; i < 6000; i++) {
		begins_tunnel(0, i);
		deliver();
		ktap_expect(r->stream.size <= MIB && link_queued(&nodes[0].links, peer_of(0, 9)) < MIB / 2);
	}
	ktap_expect(in_sync(0) == 14 && tunnels(9) < 6000 && r->stream.n);
	seconds(1);
	ktap_expect(!warning[0]);
	nodes[0].links.to[9].lets = MIB / 2;
	deliver();
	ktap_expect(warns("peer 10: is more than buffer_mib behind, and gets the whole journal (is the link slow? raise buffer_mib)"));
	ktap_expect(reports(0, ""));		/* another one could take over */
	nodes[0].links.to[9].lets = ALL;
	seconds(2);
	ktap_expect(in_sync(0) == 15 && nodes[9].journals == 2 && !r->stream.n && !warning[0]);
	return true;
}

static bool who_is_the_only_one_and_slow_is_named(void)
{
	all_of_them();
	for (unsigned int i = 2; i < NODES; i++)
		unplug(i);
	nodes[0].links.to[1].lets = 0;
	for (uint32_t i = 2; i < 6000; i++)
		begins_tunnel(0, i);
	nodes[0].links.to[1].lets = MIB / 2;
	deliver();
	ktap_expect(reports(0, "node 2 was more than buffer_mib behind: is the link slow? Raise buffer_mib"));
	nodes[0].links.to[1].lets = ALL;
	seconds(2);
	ktap_expect(in_sync(0) == 1 && reports(0, ""));
	return true;
}

/* What is kept for all together is the stream's bound and one journal. */
static bool journals_go_in_turn(void)
{
	size_t journal;

	all_of_them();
	for (unsigned int i = 1; i < NODES; i++)
		unplug(i);
	for (uint32_t i = 2; i < 8000; i++)
		begins_tunnel(0, i);
	journal = 0;
	for (unsigned int i = 1; i < NODES; i++) {
		meet(0, i);
		nodes[0].links.to[i].lets = MIB / 64;
	}
	deliver();
	for (unsigned int i = 1; i < NODES; i++)
		journal += link_queued(&nodes[0].links, peer_of(0, i)) > MIB;
	ktap_expect(journal == 1);		/* one gets it, fourteen wait */
	most_queued = 0;
	for (unsigned int i = 1; i < NODES; i++)
		nodes[0].links.to[i].lets = ALL;
	deliver();
	ktap_diag("%zu KiB", most_queued >> 10);
	ktap_expect(most_queued > MIB && most_queued < 5 * MIB);
	seconds(2);
	ktap_expect(in_sync(0) == 15 && tunnels(15) == 7999);
	return true;
}

static bool small_journals_go_at_once(void)
{
	all_of_them();
	for (unsigned int i = 1; i < NODES; i++)
		unplug(i);
	for (uint32_t i = 2; i < 6000; i++)	/* so that none can go on where it was */
		charon_says(0, mid(1, HA_IKE_MID_RESPONDER, i)), begins_tunnel(0, 2), charon_says(0, ike_delete(2));
	for (unsigned int i = 1; i < NODES; i++)
		plug(i);
	nodes[0].links.to[1].lets = 100;	/* who it is, and how */
	deliver();
	seconds(1);
	ktap_expect(in_sync(0) == 14);		/* nobody waits for the slow one */
	return true;
}

/* One after the other dies, and whoever is left has all. */
static bool the_others_follow_whoever_takes_over(void)
{
	all_of_them();
	for (unsigned int n = 0; n < NODES - 1; n++) {
		power_off(n);
		promote(n + 1);
		seconds(1);
		ktap_expect(in_sync(n + 1) == NODES - 2 - n && tunnels(n + 1) == n + 1);
		begins_tunnel(n + 1, n + 2);
		deliver();
	}
	/* All return to what the last one has. */
	for (unsigned int n = 0; n < NODES - 1; n++)
		power_on(n);
	seconds(2);
	ktap_expect(in_sync(NODES - 1) == 15 && tunnels(0) == NODES);
	return true;
}

/* The old owner was cut off, and believes for a while that it is active still. */
static bool nobody_follows_the_old_owner_again(void)
{
	all_of_them();
	unplug(0);
	begins_tunnel(0, 100);		/* nobody hears of that one */
	promote(1);
	seconds(2);
	begins_tunnel(1, 2);
	deliver();
	ktap_expect(in_sync(1) == 14);
	plug(0);
	seconds(3);
	ktap_expect(in_sync(1) == 14 && in_sync(0) == 0 && tunnels(15) == 2);
	/* A connection that breaks meanwhile makes no difference once it is back. */
	disconnect(1, 7);
	seconds(2);
	meet(1, 7);
	seconds(2);
	ktap_expect(in_sync(1) == 14 && tunnels(7) == 2);
	demote(0);
	seconds(2);
	ktap_expect(in_sync(1) == 15 && tunnels(0) == 2);
	return true;
}

/* Another one was promoted by hand, and demoted again. */
static bool the_owner_is_asked_again(void)
{
	all_of_them();
	promote(3);
	seconds(2);
	ktap_expect(in_sync(3) == 14);
	begins_tunnel(0, 2);
	demote(3);
	seconds(2);
	ktap_expect(in_sync(0) == 15 && tunnels(9) == 2);
	return true;
}

/* Also if the clock of the one that took over is years behind. */
static bool whoever_became_active_last_is_followed(void)
{
	all_of_them();
	nodes[0].r->stream.epoch = nodes[1].r->newest << 1;
	seconds(2);
	ktap_expect(in_sync(0) == 15);
	unplug(0);
	promote(1);
	seconds(1);
	begins_tunnel(1, 2);
	plug(0);
	seconds(2);
	ktap_expect(in_sync(1) == 14);
	return true;
}

/* The one that takes over did not hear of the last tunnels; another one did. */
static bool who_takes_over_gets_what_others_have(void)
{
	all_of_them();
	disconnect(0, 1);
	begins_tunnel(0, 2);
	seconds(2);
	unplug(5);
	begins_tunnel(0, 3);
	seconds(2);
	plug(5);
	nodes[0].links.to[5].lets = 0;		/* node 6 knows of two tunnels, node 2 of one, the others of three */
	deliver();
	power_off(0);
	promote(1);
	ktap_expect(!relay_is_complete(nodes[1].r));
	deliver();
	ktap_expect(relay_is_complete(nodes[1].r) && tunnels(1) == 3);
	ktap_expect(nodes[2].fetched == 1);
	for (unsigned int i = 3; i < NODES; i++)
		ktap_expect(!nodes[i].fetched);
	seconds(1);
	ktap_expect(in_sync(1) == 14 && tunnels(5) == 3);
	return true;
}

static bool who_has_all_waits_for_nobody(void)
{
	all_of_them();
	power_off(0);
	promote(1);
	ktap_expect(relay_is_complete(nodes[1].r));
	for (unsigned int i = 2; i < NODES; i++)
		ktap_expect(!nodes[i].fetched);
	return true;
}

/* The owner's helper restarts, and one standby has been away: another one gives the journal back. */
static bool who_has_most_gives_it_back(void)
{
	all_of_them();
	disconnect(0, 1);
	begins_tunnel(0, 2);
	seconds(2);
	power_off(0);
	start_helper(0);
	relay_activate(nodes[0].r, true);
	meet(0, 1);
	nodes[1].links.to[0].lets = ALL;
	for (unsigned int i = 2; i < NODES; i++) {
		meet(0, i);
		nodes[i].links.to[0].lets = 200;	/* who they are, and how */
	}
	deliver();
	for (unsigned int i = 2; i < NODES; i++)
		nodes[i].links.to[0].lets = ALL;
	deliver();
	ktap_expect(relay_is_complete(nodes[0].r) && tunnels(0) == 2);
	seconds(2);
	ktap_expect(in_sync(0) == 15);
	return true;
}

static bool a_giver_that_dies_is_replaced(void)
{
	all_of_them();
	power_off(0);
	start_helper(0);
	plug(0);
	for (unsigned int i = 1; i < NODES; i++)
		nodes[i].links.to[0].lets = 200;
	deliver();
	relay_activate(nodes[0].r, true);
	deliver();
	ktap_expect(nodes[1].fetched == 1 && !nodes[2].fetched && !relay_is_complete(nodes[0].r));
	for (unsigned int i = 2; i < NODES; i++)
		nodes[i].links.to[0].lets = ALL;
	power_off(1);
	deliver();
	ktap_expect(nodes[2].fetched == 1 && relay_is_complete(nodes[0].r) && tunnels(0) == 1);
	return true;
}

/* As a standby's that believes that it is asked. */
static bool begins_to_snap(unsigned int from, unsigned int to, uint64_t epoch)
{
	struct bytes head = { 0 };
	struct wire w = ike_add(77, 0), u = ike_update(77, "office", 1);
	uint8_t n[4] = { 0, 0, 0, 2 };
	unsigned int peer = peer_of(to, from);
	bool ok;

	bytes_add_u64(&head, epoch);
	bytes_add_u64(&head, 0);
	ok = relay_link_frame(nodes[to].r, peer, FRAME_SNAP_BEGIN, bytes_at(&head), bytes_left(&head)) &&
	     relay_link_frame(nodes[to].r, peer, FRAME_SNAP_MESSAGE, w.b, w.n) && relay_link_frame(nodes[to].r, peer, FRAME_SNAP_MESSAGE, u.b, u.n) &&
	     relay_link_frame(nodes[to].r, peer, FRAME_SNAP_END, n, 4);
	bytes_free(&head);
	return ok;
}

static bool a_journal_that_nobody_asked_for_is_not_taken(void)
{
	all_of_them();
	begins_tunnel(0, 2);
	deliver();
	ktap_expect(begins_to_snap(4, 3, nodes[0].r->stream.epoch) && begins_to_snap(4, 3, 0) && begins_to_snap(0, 3, 1));
	ktap_expect(tunnels(3) == 2 && nodes[3].r->source == (int)peer_of(3, 0) && !nodes[3].r->peers[peer_of(3, 4)].incoming);
	seconds(1);
	ktap_expect(in_sync(0) == 15);
	return true;
}

static bool one_that_is_gone_for_good_holds_nobody_up(void)
{
	all_of_them();
	power_off(15);
	seconds(1);
	for (uint32_t i = 2; i < 6000; i++) {
		begins_tunnel(0, i);
		deliver();
		ktap_expect(nodes[0].r->stream.size <= MIB);
	}
	seconds(1);
	ktap_expect(in_sync(0) == 14 && reports(0, "") && reports(7, ""));
	/* An owner that never heard of it keeps nothing for it. */
	power_off(0);
	promote(1);
	seconds(2);
	begins_tunnel(1, 6000);
	seconds(1);
	ktap_expect(in_sync(1) == 13 && !nodes[1].r->stream.n);
	power_on(15);
	seconds(2);
	ktap_expect(in_sync(1) == 14 && tunnels(15) == 6000);
	return true;
}

static bool one_that_lacks_nothing_is_enough(void)
{
	all_of_them();
	for (unsigned int i = 2; i < NODES; i++)
		power_off(i);
	ktap_expect(reports(0, "") && reports(1, ""));
	power_off(1);
	ktap_expect(reports(0, "espsyncd of node 2 is not connected"));
	return true;
}

static const struct ktap_case cases[] = {
	{ "one tells fifteen", one_tells_fifteen },
	{ "each goes on where it was", each_goes_on_where_it_was },
	{ "the slowest gets the journal", the_slowest_gets_the_journal },
	{ "who is the only one, and slow, is named", who_is_the_only_one_and_slow_is_named },
	{ "journals go in turn", journals_go_in_turn },
	{ "small journals go at once", small_journals_go_at_once },
	{ "the others follow whoever takes over", the_others_follow_whoever_takes_over },
	{ "nobody follows the old owner again", nobody_follows_the_old_owner_again },
	{ "the owner is asked again", the_owner_is_asked_again },
	{ "whoever became active last is followed", whoever_became_active_last_is_followed },
	{ "who takes over gets what others have", who_takes_over_gets_what_others_have },
	{ "who has all waits for nobody", who_has_all_waits_for_nobody },
	{ "who has most gives it back", who_has_most_gives_it_back },
	{ "a giver that dies is replaced", a_giver_that_dies_is_replaced },
	{ "a journal that nobody asked for is not taken", a_journal_that_nobody_asked_for_is_not_taken },
	{ "one that is gone for good holds nobody up", one_that_is_gone_for_good_holds_nobody_up },
	{ "one that lacks nothing is enough", one_that_lacks_nothing_is_enough },
};

KTAP_MAIN(cases)
