// SPDX-License-Identifier: GPL-2.0-or-later
/* relay_send: the side that has the truth: records, and whole journals for those who lack them. See relay.h. */
#include "answers.h"
#include "log.h"
#include "relay_priv.h"

#define MAX_QUEUED	(256 << 10)	/* beyond, records wait in the stream, where they are bounded */

struct teller {
	struct relay *r;
	unsigned int peer;
	enum frame type;
	uint32_t n;
};

static void send_point(struct relay *r, unsigned int peer, enum frame type, uint64_t epoch, uint64_t seq,
		       const uint8_t *data, size_t len)
{
	struct bytes head = { 0 };

	bytes_add_u64(&head, epoch);
	bytes_add_u64(&head, seq);
	link_send(r->p.links, peer, type, bytes_at(&head), bytes_left(&head), data, len);
	bytes_free(&head);
}

bool relay_listens(const struct relay *r, unsigned int peer)
{
	return link_queued(r->p.links, peer) < MAX_QUEUED;
}

/* A peer asks once in a connection, and for the next journal when it has taken the one before: only one is kept for it. */
static bool takes_journal(const struct relay *r, unsigned int peer)
{
	if (link_queued(r->p.links, peer) < 2 * MAX_QUEUED)
		return true;
	log_warn("peer %u: asks for the journal again before it has taken the one before: disconnecting (is it the same version of espsync?)",
		 r->p.c->peers[peer].node);
	return false;
}

static void tell(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct teller *t = ctx;

	(void)m;
	t->n++;
	link_send(t->r->p.links, t->peer, t->type, NULL, 0, data, len);
}

static void tell_journal(struct relay *r, unsigned int peer, enum frame type, enum frame end)
{
	struct teller t = { .r = r, .peer = peer, .type = type };
	struct bytes n = { 0 };

	journal_replay_all(r->ledger->journal, tell, &t);
	txn_walk(r->ledger->txn, tell, &t);
	bytes_add_u32(&n, t.n);
	link_send(r->p.links, peer, end, bytes_at(&n), bytes_left(&n), NULL, 0);
	bytes_free(&n);
}

/* A journal is begun while what is on its way to all peers together is less than the stream may have; so small ones go at once, and large ones in turn. */
static bool has_room(const struct relay *r)
{
	size_t queued = 0;
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++)
		queued += link_queued(r->p.links, i);
	return queued < r->stream.max_size;
}

/* It takes its records so slowly that they were forgotten. The journal has what counts. */
static void fell_behind(struct relay *r, unsigned int peer)
{
	struct relay_peer *p = &r->peers[peer];

	if (!p->journal_until)
		log_warn("peer %u: is more than buffer_mib behind, and gets the whole journal (is the link slow? raise buffer_mib)",
			 r->p.c->peers[peer].node);
	p->journal_until = r->stream.last;
	p->next = 0;
}

/* Return: false if it has to wait for its turn. */
static bool tell_snapshot(struct relay *r, unsigned int peer)
{
	struct relay_peer *p = &r->peers[peer];

	if (p->next)
		fell_behind(r, peer);
	if (!has_room(r))
		return false;
	send_point(r, peer, FRAME_SNAP_BEGIN, r->stream.epoch, r->stream.last, NULL, 0);
	tell_journal(r, peer, FRAME_SNAP_MESSAGE, FRAME_SNAP_END);
	p->next = r->stream.last + 1;
	p->acked = 0;
	p->from = r->stream.last;
	log_info("peer %u gets the journal: %u IKE SAs", r->p.c->peers[peer].node, journal_count(r->ledger->journal));
	return true;
}

void relay_pump(struct relay *r, unsigned int peer)
{
	struct relay_peer *p = &r->peers[peer];

	if (!r->active || !p->subscribed || !relay_compatible(r, peer))
		return;
	while (p->next <= r->stream.last && relay_listens(r, peer)) {
		const struct record *rec = stream_get(&r->stream, p->next);

		if (rec)
			send_point(r, peer, FRAME_RECORD, r->stream.epoch, p->next++, rec->data, rec->len);
		else if (!tell_snapshot(r, peer))
			return;		/* when something has left */
	}
}

/* What every peer has applied that could go on. One that is away for long gets the journal: the stream keeps only so much. */
void relay_forget_acked(struct relay *r)
{
	uint64_t least = r->stream.last;
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		if (r->peers[i].next && r->peers[i].acked < least)
			least = r->peers[i].acked;
	}
	stream_forget(&r->stream, least);
}

bool relay_on_subscribe(struct relay *r, unsigned int peer, uint64_t epoch, uint64_t seq)
{
	struct relay_peer *p = &r->peers[peer];

	if (!r->active || !r->complete || !relay_compatible(r, peer))
		return true;	/* it asks again when our state says otherwise */
	if (!takes_journal(r, peer))
		return false;
	p->subscribed = true;
	if (epoch == r->stream.epoch && stream_has_after(&r->stream, seq)) {
		p->next = seq + 1;
		p->acked = seq;
		p->from = seq;
		log_info("peer %u goes on behind record %llu", r->p.c->peers[peer].node, (unsigned long long)seq);
	} else {
		p->next = 0;
	}
	relay_pump(r, peer);
	return true;
}

bool relay_on_ack(struct relay *r, unsigned int peer, uint64_t epoch, uint64_t seq)
{
	struct relay_peer *p = &r->peers[peer];

	if (!r->active || epoch != r->stream.epoch)
		return true;
	if (seq > r->stream.last)
		return false;
	if (seq > p->acked)
		p->acked = seq;
	if (seq >= p->journal_until)
		p->journal_until = 0;
	relay_forget_acked(r);
	commit_look(r->p.commit);
	return true;
}

static bool all_take_answers(const struct relay *r)
{
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		if (r->peers[i].subscribed && !(r->peers[i].state.flags & STATE_TAKES_ANSWERS))
			return false;
	}
	return true;
}

static bool is_for_standbys(const struct relay *r, const uint8_t *packet, size_t len)
{
	struct ike_request to;

	return packet && len <= ANSWERS_LEN && ikehdr_answer(&to, packet, len) && all_take_answers(r);
}

void relay_leaves(struct relay *r, const uint8_t *packet, size_t len)
{
	struct bytes b = { 0 };
	unsigned int i;

	if (!r->active || !r->complete)
		return;
	if (is_for_standbys(r, packet, len)) {
		bytes_add_u8(&b, ANSWER_RECORD);
		bytes_add(&b, packet, len);
		stream_add(&r->stream, bytes_at(&b), bytes_left(&b));
		bytes_free(&b);
	}
	for (i = 0; i < r->p.c->n_peers; i++)
		relay_pump(r, i);
}

uint64_t relay_newest(const struct relay *r)
{
	return r->active ? r->stream.last : 0;
}

bool relay_is_applied(const struct relay *r, uint64_t seq)
{
	unsigned int i;

	for (i = 0; r->active && i < r->p.c->n_peers; i++) {
		const struct relay_peer *p = &r->peers[i];

		if (p->subscribed && p->next && p->acked >= p->from && p->acked < seq)
			return false;
	}
	return true;
}

bool relay_on_fetch(struct relay *r, unsigned int peer)
{
	uint8_t valid = r->valid && !r->active && relay_compatible(r, peer);

	if (!takes_journal(r, peer))
		return false;
	link_send(r->p.links, peer, FRAME_GIVE_BEGIN, &valid, 1, NULL, 0);
	if (valid)
		tell_journal(r, peer, FRAME_GIVE_MESSAGE, FRAME_GIVE_END);
	return true;
}
