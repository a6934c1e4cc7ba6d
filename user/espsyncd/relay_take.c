// SPDX-License-Identifier: GPL-2.0-or-later
/* relay_take: the side that wants the truth: subscribing, taking each record once, acknowledging. See relay.h. */
#include <string.h>

#include "log.h"
#include "relay_priv.h"

#define SEQ_BITS	48

static void subscribe(struct relay *r, unsigned int peer)
{
	struct relay_peer *p = &r->peers[peer];
	struct bytes b = { 0 };
	bool known = r->source == (int)peer && r->source_epoch == p->state.epoch;

	if (p->asked_epoch == p->state.epoch || !relay_listens(r, peer))
		return;
	p->asked_epoch = p->state.epoch;
	bytes_add_u64(&b, known ? r->source_epoch : 0);
	bytes_add_u64(&b, known ? r->applied_seq : 0);
	link_send(r->p.links, peer, FRAME_SUBSCRIBE, bytes_at(&b), bytes_left(&b), NULL, 0);
	bytes_free(&b);
}

/* What is on its way of its journal is not wanted any more, and it will have to be asked again. */
static void unsubscribe(struct relay_peer *p)
{
	p->asked_epoch = 0;
	ledger_free(p->incoming);
	p->incoming = NULL;
}

/* Of several that say that they are active the newest has the truth; the others have not heard of it yet. */
void relay_follow(struct relay *r)
{
	int owner = r->active ? -1 : relay_owner(r);
	unsigned int i;

	if (r->active)
		return;
	for (i = 0; i < r->p.c->n_peers; i++) {
		if ((int)i != owner)
			unsubscribe(&r->peers[i]);
	}
	if (owner >= 0)
		subscribe(r, owner);
}

/* All of it, and no record twice: what is on its way comes before the journal that has it. */
void relay_fetch_anew(struct relay *r, unsigned int peer)
{
	static const uint8_t nowhere[16];

	if (relay_listens(r, peer))
		link_send(r->p.links, peer, FRAME_SUBSCRIBE, nowhere, sizeof(nowhere), NULL, 0);
}

void relay_forget_source(struct relay *r)
{
	r->source = -1;
	r->generation++;
	memset(&r->agree, 0, sizeof(r->agree));
	r->disagrees = false;
	relay_forget_incoming(r);
}

void relay_forget_incoming(struct relay *r)
{
	unsigned int i;

	for (i = 0; i < CONFIG_MAX_PEERS; i++)
		unsubscribe(&r->peers[i]);
}

/* Names the record that is being taken in, for charon to give back when it is applied. */
uint64_t relay_token(const struct relay *r)
{
	return (uint64_t)r->generation << SEQ_BITS | r->source_seq;
}

void relay_ack(struct relay *r, uint64_t seq)
{
	struct bytes b = { 0 };

	if (r->source < 0 || seq <= r->applied_seq || !relay_listens(r, r->source))
		return;
	r->applied_seq = seq;
	bytes_add_u64(&b, r->source_epoch);
	bytes_add_u64(&b, seq);
	link_send(r->p.links, r->source, FRAME_ACK, bytes_at(&b), bytes_left(&b), NULL, 0);
	bytes_free(&b);
}

void relay_applied(struct relay *r, uint64_t token)
{
	if (r->active || token >> SEQ_BITS != r->generation)
		return;
	/* With nothing left to inject, what came behind needed none. */
	relay_ack(r, charon_idle(r->p.ch) ? r->source_seq : token & ((1ULL << SEQ_BITS) - 1));
}

static void take(struct relay *r, unsigned int peer, const uint8_t *data, size_t len)
{
	struct ha_msg m;
	enum ha_error e;

	if (len && data[0] == ANSWER_RECORD) {
		retransmit_answered(r->p.retransmit, data + 1, len - 1);
		return;
	}
	e = ha_parse(&m, data, len);
	if (e == HA_OK && ha_is_state(m.type)) {
		if (ledger_feed(r->ledger, &m, data, len) == TXN_REPEATED)
			log_warn("peer %u: a second IKE_ADD for a complete IKE SA was dropped", r->p.c->peers[peer].node);
	} else {
		log_warn("peer %u: a %s cannot be used: %s", r->p.c->peers[peer].node, ha_type_name(m.type),
			 ha_error_text(e));
	}
	explicit_bzero(&m, sizeof(m));
}

bool relay_on_record(struct relay *r, unsigned int peer, const uint8_t *data, size_t len)
{
	uint64_t epoch, seq;

	if (len < 16)
		return false;
	epoch = get_u64(data);
	seq = get_u64(data + 8);
	if (r->active || !relay_compatible(r, peer)) {
		if (!r->refused++)
			log_warn("peer %u: its records are refused: %s", r->p.c->peers[peer].node,
				 r->active ? "this node is active" : "its strongSwan is another");
		return true;
	}
	if (r->source != (int)peer || epoch != r->source_epoch)
		return true;	/* of before we asked anew */
	if (seq <= r->source_seq)
		return true;	/* sent again after a reconnect */
	if (seq != r->source_seq + 1) {
		log_warn("peer %u: record %llu came instead of %llu; asking again", r->p.c->peers[peer].node,
			 (unsigned long long)seq, (unsigned long long)r->source_seq + 1);
		return false;
	}
	r->source_seq = seq;
	take(r, peer, data + 16, len - 16);
	if (charon_idle(r->p.ch))
		relay_ack(r, seq);
	return true;
}

static bool begin(struct relay *r, unsigned int peer, uint64_t epoch, uint64_t seq)
{
	struct relay_peer *p = &r->peers[peer];

	ledger_free(p->incoming);
	p->incoming = ledger_alloc(r);
	p->incoming_epoch = epoch;
	p->incoming_seq = seq;
	p->incoming_n = 0;
	return true;
}

/* It is limited once it is whole, for it comes in another order than it grew in; but it must come to an end. */
static bool is_too_large(struct relay *r, unsigned int peer)
{
	struct journal_limits limits = relay_limits(r);

	if (journal_size(r->peers[peer].incoming->journal) <= journal_ceiling(&limits))
		return false;
	r->peers[peer].too_large = true;
	log_warn("peer %u: its journal is more than twice as large as journal_mib here: not taken, disconnecting (raise journal_mib, the same on all nodes)",
		 r->p.c->peers[peer].node);
	return true;
}

static bool add(struct relay *r, unsigned int peer, const uint8_t *data, size_t len)
{
	struct relay_peer *p = &r->peers[peer];
	struct ha_msg m;

	if (!p->incoming)
		return true;	/* of a journal that is no longer wanted */
	p->incoming_n++;
	if (ha_parse(&m, data, len) != HA_OK)
		return false;
	ledger_feed(p->incoming, &m, data, len);
	explicit_bzero(&m, sizeof(m));
	return !is_too_large(r, peer);
}

/* The peer's journal is here: it is ours from now on, and charon follows. */
static bool snap_end(struct relay *r, unsigned int peer, uint32_t n)
{
	struct relay_peer *p = &r->peers[peer];

	if (!p->incoming || r->active)
		return true;
	if (n != p->incoming_n)
		return false;
	relay_use_ledger(r, p->incoming);
	p->incoming = NULL;
	r->source = peer;
	r->source_epoch = p->incoming_epoch;
	r->source_seq = p->incoming_seq;
	r->applied_seq = 0;
	r->generation++;
	p->too_large = false;
	r->valid = p->state.valid;	/* else it may lack what charon has from before: nothing is removed for its sake */
	r->lacks = false;
	log_info("peer %u's journal has %u IKE SAs", r->p.c->peers[peer].node, journal_count(r->ledger->journal));
	sync_request(r->p.sync);
	return true;
}

/* A standby gave our own journal back. Another one may have come up meanwhile that has more. */
static bool give_end(struct relay *r, unsigned int peer, uint32_t n)
{
	struct relay_peer *p = &r->peers[peer];

	if (!p->incoming || !r->active || r->complete)
		return true;
	if (n != p->incoming_n)
		return false;
	if (!relay_has_most(r, peer)) {
		unsubscribe(p);
		return true;
	}
	relay_use_ledger(r, p->incoming);
	p->incoming = NULL;
	r->valid = true;
	r->lacks = false;
	log_info("peer %u gave the journal back: %u IKE SAs", r->p.c->peers[peer].node,
		 journal_count(r->ledger->journal));
	relay_completed(r);
	sync_request(r->p.sync);
	return true;
}

/* The last one of those who were asked: no other is giving, or has not answered yet. */
static bool nobody_has_one(const struct relay *r)
{
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		const struct relay_peer *p = &r->peers[i];

		if (p->asked || p->incoming || relay_may_give(r, i))
			return false;
	}
	return true;
}

static bool give_begin(struct relay *r, unsigned int peer, bool has_one)
{
	struct relay_peer *p = &r->peers[peer];

	bool asked = p->asked;

	p->asked = false;
	if (!asked || !r->active || r->complete)
		return true;
	if (has_one)
		return begin(r, peer, 0, 0);
	log_warn("peer %u has no journal to give back", r->p.c->peers[peer].node);
	p->state.valid = false;		/* until it says otherwise */
	p->has_none = true;
	relay_seek(r);
	if (nobody_has_one(r) && !r->complete)
		relay_completed(r);
	return true;
}

/* The journal of whoever was asked for its stream, and of nobody else. */
static bool snap_begin(struct relay *r, unsigned int peer, uint64_t epoch, uint64_t seq)
{
	return r->active || !epoch || epoch != r->peers[peer].asked_epoch || begin(r, peer, epoch, seq);
}

bool relay_on_journal(struct relay *r, unsigned int peer, enum frame type, const uint8_t *data, size_t len)
{
	switch (type) {
	case FRAME_SNAP_BEGIN:
		if (len != 16)
			return false;
		return snap_begin(r, peer, get_u64(data), get_u64(data + 8));
	case FRAME_GIVE_BEGIN:
		return len == 1 && give_begin(r, peer, data[0]);
	case FRAME_SNAP_MESSAGE:
	case FRAME_GIVE_MESSAGE:
		return add(r, peer, data, len);
	case FRAME_SNAP_END:
		return len == 4 && snap_end(r, peer, get_u32(data));
	case FRAME_GIVE_END:
		return len == 4 && give_end(r, peer, get_u32(data));
	default:
		return false;
	}
}
