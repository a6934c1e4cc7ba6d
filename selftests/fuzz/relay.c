// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/relay.c ../../user/espsyncd/dialect.c ../../user/espsyncd/relay_send.c ../../user/espsyncd/relay_take.c ../../user/espsyncd/relay_room.c ../../user/espsyncd/ikehdr.c ../../user/espsyncd/relay_whom.c
// SOURCES: ../../user/espsyncd/journal.c ../../user/espsyncd/relay_state.c ../../user/espsyncd/agree.c ../../user/espsyncd/unprotected.c ../../user/espsyncd/vici_sas.c
// SOURCES: ../../user/espsyncd/config.c ../../user/espsyncd/transaction.c ../../user/espsyncd/stream.c ../../user/espsyncd/codec.c ../../user/espsyncd/bytes.c
/*
 * relay.c - what frames between helpers mean: two helpers, their charons' messages, and a third that says anything.
 *
 * Job: two relays with a connection between them that may be cut at any frame, and to each a connection of a third node. The input says
 * which charon sends what, which frame arrives, who is active, and what the third node sends. At each step:
 *  - a frame that is refused changes no journal, and neither does anything before the other said who it is;
 *  - the journal of an active node that is whole is changed by its charon alone;
 *  - streams keep to their bound; nothing is acknowledged that was not taken;
 *  - no record goes to a helper that has not said who it is.
 * Unless the third node spoke, in the end the standby has what the active node has.
 */
#include "../../user/espsyncd/relay_priv.h"
#include "ledger.h"
#include "noevents.h"
#include "quiet.h"
#include "../unit/espsyncd_synced.h"

#define QUEUE	512
#define US	0	/* peer number of the other of the two */
#define THIRD	1

struct frame_in {
	uint8_t type;
	uint8_t *data;
	size_t len;
};

struct links {
	bool up[2];
	struct frame_in queue[QUEUE];	/* to the other of the two */
	unsigned int first, n;
	bool overflow;			/* more than is kept: the connection ends */
};

/* A node's other parts, as far as relay sees them. */
struct charon {
	bool busy;
	bool has_token;
	uint64_t token;
	enum charon_segment segment;
};

struct helper {
	struct relay *r;
	struct links links;
	struct charon charon;
};

static struct helper node[2];
static bool third_spoke;

static const struct config configs[2] = {
	{ .node = 1, .n_peers = 2, .peers = { { .node = 2 }, { .node = 3 } }, .held_groups = 8, .hold_s = 60, .keepalive_ms = 1000,
	  .buffer_mib = 1, .tunnel_kib = 64, .journal_mib = 64, .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } } },
	{ .node = 2, .n_peers = 2, .peers = { { .node = 1 }, { .node = 3 } }, .held_groups = 8, .hold_s = 60, .keepalive_ms = 1000,
	  .buffer_mib = 1, .tunnel_kib = 64, .journal_mib = 64, .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } } },
};

/* ---- what relay calls ---- */

bool charon_idle(const struct charon *ch)
{
	return !ch->busy;
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

bool charon_present(const struct charon *ch)
{
	(void)ch;
	return true;
}

void commit_look(struct commit *c)
{
	(void)c;
}

void retransmit_answered(struct retransmit *r, const uint8_t *packet, size_t len)
{
	(void)r, (void)packet, (void)len;
}

void charon_drop_backlog(struct charon *ch)
{
	ch->busy = false;
}

void charon_inject(struct charon *ch, const uint8_t *data, size_t len, uint64_t token)
{
	struct ha_msg m;

	must(ha_parse(&m, data, len) == HA_OK && ha_is_state(m.type));
	ch->busy = true;
	ch->has_token = true;
	ch->token = token;
}

void sync_request(struct sync *s)
{
	(void)s;
}

static struct helper *helper_of(const struct links *l)
{
	return l == &node[0].links ? &node[0] : &node[1];
}

bool link_is_up(const struct links *l, unsigned int peer)
{
	return l->up[peer];
}

size_t link_queued(const struct links *l, unsigned int peer)
{
	return peer == US ? l->n * 1024 : 0;
}

/* What a frame may say, and to whom. */
static void judge_sent(const struct helper *h, unsigned int peer, uint8_t type, const uint8_t *head, size_t len)
{
	const struct relay_peer *p = &h->r->peers[peer];

	must(type >= FRAME_HELLO && type <= FRAME_GIVE_END && len <= LINK_MAX_FRAME);
	if (type == FRAME_RECORD)
		must(h->r->active && h->r->complete && p->said_hello && p->subscribed && get_u64(head + 8) <= h->r->stream.last);
	if (type >= FRAME_SNAP_BEGIN && type <= FRAME_SNAP_END)
		must(h->r->active && h->r->complete && p->said_hello);
	if (type >= FRAME_GIVE_BEGIN)
		must(p->said_hello && !h->r->active == (type != FRAME_GIVE_BEGIN || !h->r->active));
	if (type == FRAME_ACK)
		must(!h->r->active && get_u64(head) == h->r->source_epoch && get_u64(head + 8) <= h->r->source_seq);
}

void link_send(struct links *l, unsigned int peer, uint8_t type, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct frame_in *f;
	struct bytes b = { 0 };

	if (!l->up[peer])
		return;
	bytes_add(&b, head, head_len);
	bytes_add(&b, body, body_len);
	judge_sent(helper_of(l), peer, type, bytes_at(&b), bytes_left(&b));
	if (peer == US && l->n < QUEUE) {
		f = &l->queue[(l->first + l->n++) % QUEUE];
		*f = (struct frame_in){ type, exact(bytes_at(&b), bytes_left(&b)), bytes_left(&b) };
	} else if (peer == US) {
		l->overflow = true;
	}
	bytes_free(&b);
}

static void deliver(int to, unsigned int count);

void links_read_all(struct links *l)
{
	deliver(helper_of(l) - node, QUEUE);
}

/* ---- connections ---- */

static void forget_frames(struct links *l)
{
	for (; l->n; l->n--) {
		free(l->queue[l->first].data);
		l->first = (l->first + 1) % QUEUE;
	}
	l->overflow = false;
}

static void disconnect(int who, unsigned int peer)
{
	struct links *l = &node[who].links;

	if (!l->up[peer])
		return;
	l->up[peer] = false;
	if (peer == US)
		forget_frames(l);
	relay_link_down(node[who].r, peer);
	if (peer == US)
		disconnect(!who, US);
}

static void meet(void)
{
	if (node[0].links.up[US])
		return;
	node[0].links.up[US] = node[1].links.up[US] = true;
	relay_link_up(node[0].r, US);
	relay_link_up(node[1].r, US);
}

/* Return: whether the frame was taken */
static bool arrive(int to, unsigned int peer, uint8_t type, const uint8_t *data, size_t len)
{
	struct relay *r = node[to].r;
	struct ledger *ledger = r->ledger;
	size_t size = journal_size(ledger->journal);
	unsigned int held = txn_held(ledger->txn);
	uint64_t seq = r->source_seq;
	bool whole = r->active && r->complete, known = r->peers[peer].said_hello;
	uint8_t *copy = exact(data, len);
	bool ok = relay_link_frame(r, peer, type, copy, len);

	free(copy);
	if (!ok || whole || !known)
		must(r->ledger == ledger && journal_size(ledger->journal) == size && txn_held(ledger->txn) == held);
	if (!ok || !known)
		must(r->source_seq == seq && (ok || !r->peers[peer].said_hello || known));
	if (!ok)
		disconnect(to, peer);
	return ok;
}

static void deliver(int to, unsigned int count)
{
	struct links *from = &node[!to].links;

	while (count-- && from->n) {
		struct frame_in f = from->queue[from->first];

		from->first = (from->first + 1) % QUEUE;
		from->n--;
		must(arrive(to, US, f.type, f.data, f.len) || third_spoke);	/* what the two say to each other is always taken */
		free(f.data);
	}
	if (from->overflow)
		disconnect(to, US);
	else if (count && node[!to].links.up[US])
		relay_link_writable(node[!to].r, US);
}

/* ---- steps ---- */

static void from_charon(int who, const uint8_t *data, size_t len)
{
	uint8_t *copy = exact(data, len);
	struct ha_msg m;

	if (ha_parse(&m, copy, len) == HA_OK && ha_is_state(m.type))
		relay_local_message(node[who].r, &m, copy, len);
	free(copy);
}

static void applied(int who)
{
	struct charon *ch = &node[who].charon;

	ch->busy = false;
	if (ch->has_token)
		relay_applied(node[who].r, ch->token);
	ch->has_token = false;
}

static void set_role(int who, bool active, bool adopted)
{
	if (active)
		relay_activate(node[who].r, adopted);
	else
		relay_deactivate(node[who].r);
	node[who].charon.segment = active ? CHARON_ACTIVE : CHARON_PASSIVE;
}

static void third(int to, uint8_t type, const uint8_t *data, size_t len)
{
	third_spoke = true;
	if (!node[to].links.up[THIRD]) {
		node[to].links.up[THIRD] = true;
		relay_link_up(node[to].r, THIRD);
	}
	arrive(to, THIRD, type, data, len);
}

static void judge(void)
{
	struct kernel_report report;

	for (int i = 0; i < 2; i++) {
		struct relay *r = node[i].r;

		judge_journal(r->ledger->journal);
		must(txn_held(r->ledger->txn) <= r->p.c->held_groups && r->stream.size <= r->stream.max_size);
		must(r->source < 0 || r->applied_seq <= r->source_seq);
		relay_report(r, &report);
		must(report.applied + report.missing == report.known && memchr(report.text, 0, sizeof(report.text)));
	}
}

static void step(struct input *in)
{
	uint8_t op = take8(in), type;
	int who = op >> 7;
	const uint8_t *p;
	size_t len;

	switch (op & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		len = take16(in);
		p = take(in, len, &len);
		from_charon(who, p, len);
		break;
	case 4:
		meet();
		break;
	case 5:
		disconnect(who, US);
		break;
	case 6:
		deliver(who, 1 + (op >> 4 & 7) * 8);
		break;
	case 7:
		applied(who);
		break;
	case 8:
		set_role(who, op & 0x10, op & 0x20);
		break;
	case 9:
		clock_ms += (op >> 4 & 7) * 20000;
		event_calls(-1, EV_TIMEOUT, node[who].r);
		break;
	case 10:
		relay_tell_state(node[who].r, US);
		break;
	case 11:
		relay_lost(node[who].r, op & 0x10);
		break;
	case 12:
		node[who].charon.busy = true;
		break;
	default:
		type = take8(in);
		len = take16(in);
		p = take(in, len, &len);
		third(who, type, p, len);
	}
}

static void exchange(void)
{
	for (int i = 0; i < 20; i++) {
		meet();
		for (int who = 0; who < 2; who++) {
			event_calls(-1, EV_TIMEOUT, node[who].r);	/* the timer tells the state, and acknowledges what needed no charon */
			deliver(!who, QUEUE);
			applied(!who);
		}
	}
}

/* What both would tell, of what is complete. */
static void same_in_the_end(void)
{
	struct bytes one = { 0 }, two = { 0 };

	set_role(1, false, false);
	set_role(0, true, false);
	disconnect(0, US);
	exchange();
	must(node[1].r->source == US && node[1].r->source_epoch == node[0].r->stream.epoch);
	must(node[1].r->source_seq == node[0].r->stream.last && node[1].r->applied_seq == node[1].r->source_seq);
	journal_replay_all(node[0].r->ledger->journal, told, &one);
	journal_replay_all(node[1].r->ledger->journal, told, &two);
	must(same_bytes(&one, &two));
	bytes_free(&one);
	bytes_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	third_spoke = false;
	clock_ms = 1000;
	for (int i = 0; i < 2; i++) {
		struct relay_parts parts = { .c = &configs[i], .ch = &node[i].charon, .links = &node[i].links };

		memset(&node[i], 0, sizeof(node[i]));
		node[i].r = relay_alloc(NULL, &configs[i]);
		node[i].r->stream.max_size = 4096;
		relay_set_parts(node[i].r, &parts);
	}
	for (int i = 0; in.left && i < 500; i++) {
		step(&in);
		judge();
	}
	if (!third_spoke)
		same_in_the_end();
	judge();
	for (int i = 0; i < 2; i++) {
		forget_frames(&node[i].links);
		relay_free(node[i].r);
	}
	return 0;
}
