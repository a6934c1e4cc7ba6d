// SPDX-License-Identifier: GPL-2.0-or-later
/* relay: this node's journal, its charon's messages, and who is the source. See relay.h. */
#include <stdio.h>
#include <string.h>

#include "dialect.h"
#include "log.h"
#include "relay_priv.h"
#include "xfrm.h"

#define FETCH_MS	3000		/* how long a new helper waits for its journal, or for more of it */
#define TAKEOVER_FETCH_MS 1000	/* ... while charon is still passive */
#define MAX_PENDING	(16 << 20)
#define MAX_BACKLOG	(64 << 20)	/* what charon has not read, beyond a replay of the journal */
#define SUM_MS		10000		/* a look at all that the journal has */
#define SILENT_MS	5000		/* charon beats every heartbeat_delay, a second at most */

static bool is_ours(void *ctx, const struct ha_addr *local)
{
	struct ledger *l = ctx;

	return config_is_ours(l->r->p.c, local->bytes, local->len);
}

static void on_replay(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	relay_inject(ctx, m, data, len);
}

/* An IKE SA that charon has, one of whose ends is elsewhere than it was. */
static bool moves(const struct ledger *l, const struct ha_msg *m)
{
	const struct journal_sa *sa = m->type == HA_IKE_UPDATE && m->name[0] && m->local.len && m->remote.len ?
		journal_find(l->journal, &m->id) : NULL;

	return sa && !sa->next && sa->update.len && !(ha_addr_equal(&m->local, &sa->local) && ha_addr_equal(&m->remote, &sa->remote));
}

/* charon would follow with the IKE SA, and leave its CHILD SAs where they are. */
static void build_anew(struct relay *r, const struct ha_msg *m)
{
	uint8_t made[HA_MAX_MADE];
	size_t len = ha_make_ike_delete(made, m->version, &m->id);
	struct ha_msg gone;

	if (ha_parse(&gone, made, len) != HA_OK)
		return;
	relay_inject(r, &gone, made, len);
	journal_replay(journal_find(r->ledger->journal, &m->id), on_replay, r);
}

static void on_complete(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct ledger *l = ctx;
	bool moved = moves(l, m);
	enum journal_result result = journal_apply(l->journal, m, data, len);

	if (result == JOURNAL_REFUSED)
		relay_refused(l, m);
	if (result != JOURNAL_TAKEN)
		return;
	if (l->live)
		journal_asked(l->journal, m, now_ms());
	if (l->live && m->type == HA_IKE_MID_RESPONDER && m->mid == 1)
		retransmit_first(l->r->p.retransmit, &m->id);
	if (!l->live || l->r->active || !sync_takes_live(l->r->p.sync))
		return;
	if (charon_backlog(l->r->p.ch) >= 2 * journal_size(l->journal) + MAX_BACKLOG) {
		/* It hangs. The journal has all that it is not told now. */
		charon_drop_backlog(l->r->p.ch);
		sync_request(l->r->p.sync);
	} else if (moved) {
		build_anew(l->r, m);
	} else {
		relay_inject(l->r, m, data, len);
	}
}

struct ledger *ledger_alloc(struct relay *r)
{
	struct ledger *l = secret_alloc(sizeof(*l));
	struct txn_rules rules = {
		.max_groups = r->p.c->held_groups,
		.max_age_ms = r->p.c->hold_s * 1000ULL,
		.is_ours = is_ours,
		.emit = on_complete,
		.ctx = l,
	};

	l->r = r;
	l->journal = journal_alloc();
	l->txn = txn_alloc(&rules);
	return l;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	journal_free(l->journal);
	txn_free(l->txn);
	secret_free(l, sizeof(*l));
}

enum txn_result ledger_feed(struct ledger *l, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	return txn_feed(l->txn, l->journal, m, data, len, now_ms());
}

struct journal_limits relay_limits(const struct relay *r)
{
	return (struct journal_limits){ (size_t)r->p.c->tunnel_kib << 10, (size_t)r->p.c->journal_mib << 20 };
}

void relay_use_ledger(struct relay *r, struct ledger *l)
{
	struct journal_limits limits = relay_limits(r);

	ledger_free(r->ledger);
	journal_limit(l->journal, &limits);
	r->ledger = l;
	l->live = true;
}

/* The module must know that these SAs are mirrors, even if this node is active while it gets them. */
static void expect(struct relay *r, const struct ha_msg *m)
{
	const struct journal_sa *sa = journal_find(r->ledger->journal, &m->id);

	if (!sa || m->type != HA_CHILD_ADD)
		return;
	kernel_expect(r->p.kernel, &sa->local, m->spi_in);
	kernel_expect(r->p.kernel, &sa->remote, m->spi_out);
}

/* Of an IKE SA that cannot be told whole charon hears nothing: half of one has wrong keys. */
static bool is_sayable(const struct relay *r, const struct ha_msg *m)
{
	return !dialect_lacks_keys(charon_version(r->p.ch), journal_find(r->ledger->journal, &m->id));
}

void relay_inject(void *relay, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct relay *r = relay;

	if (!is_sayable(r, m))
		return;

	if (m->type == HA_IKE_MID_RESPONDER && m->mid == 1 && retransmit_withholds(r->p.retransmit, &m->id))
		return;
	if (r->active)
		expect(r, m);
	charon_inject(r->p.ch, data, len, relay_token(r));
}

const struct journal *relay_journal(void *relay)
{
	struct relay *r = relay;

	return r->ledger->journal;
}

const struct journal *relay_truth(void *relay)
{
	struct relay *r = relay;

	return r->valid ? r->ledger->journal : NULL;
}

int relay_source(const struct relay *r)
{
	return r->active ? -1 : r->source;
}

bool relay_is_complete(const struct relay *r)
{
	return r->complete;
}

static bool in_use(const struct relay *r, const struct ike_id *id, uint32_t made)
{
	return made && xfrm_in_use(&journal_find(r->ledger->journal, id)->local, made);
}

bool relay_was_answered(const struct relay *r, const struct ike_id *id, uint32_t mid)
{
	return in_use(r, id, journal_made_in_vain(r->ledger->journal, id, mid));
}

static void remove_child(struct relay *r, const struct ike_id *id, uint32_t spi_in);

static void record(struct relay *r, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	uint32_t vain = m->type == HA_IKE_MID_RESPONDER ? journal_made_in_vain(r->ledger->journal, &m->id, m->mid - 1) : 0;
	bool remove = vain && !in_use(r, &m->id, vain);

	ledger_feed(r->ledger, m, data, len);
	if (charon_segment(r->p.ch) == CHARON_ACTIVE && !r->lacks)
		r->valid = true;
	stream_add(&r->stream, data, len);
	if (!commit_tells(r->p.commit))
		relay_leaves(r, NULL, 0);
	if (remove)
		remove_child(r, &m->id, vain);
}

/* From this node's charon, the journal and the standbys, without a word to the far end, which does not know it. */
static void remove_child(struct relay *r, const struct ike_id *id, uint32_t spi_in)
{
	uint8_t made[HA_MAX_MADE];
	size_t len = ha_make_child_delete(made, charon_version(r->p.ch), id, spi_in);
	struct ha_msg m;

	if (ha_parse(&m, made, len) != HA_OK)
		return;
	log_info("CHILD SA %08x was made for a request that is made again: removing it", spi_in);
	record(r, &m, made, len);
	relay_inject(r, &m, made, len);
}

void relay_local_message(struct relay *r, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	if (!r->active && !r->undecided)
		return;		/* a passive charon tidies up: not the cluster's business */
	if (r->complete) {
		record(r, m, data, len);
		return;
	}
	if (bytes_left(&r->pending) + len > MAX_PENDING) {
		log_warn("charon says more than can be kept before the journal is here; what it lacks will be rekeyed");
		bytes_free(&r->pending);
	}
	bytes_add_u32(&r->pending, len);
	bytes_add(&r->pending, data, len);
}

static void begin_stream(struct relay *r)
{
	unsigned int i;

	r->newest = relay_new_epoch(r);
	stream_begin(&r->stream, r->newest);
	for (i = 0; i < CONFIG_MAX_PEERS; i++) {
		r->peers[i].subscribed = false;
		r->peers[i].next = 0;
		r->peers[i].acked = 0;
		r->peers[i].journal_until = 0;
	}
}

static void tell_all(struct relay *r)
{
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++)
		relay_tell_state(r, i);
}

/* The journal is as whole as it will get; charon's messages of the meantime come on top. */
void relay_completed(struct relay *r)
{
	struct bytes pending = r->pending;

	r->complete = true;
	relay_forget_incoming(r);
	if (r->inherits)
		journal_inherit(r->ledger->journal, now_ms());
	memset(&r->pending, 0, sizeof(r->pending));
	begin_stream(r);
	while (bytes_left(&pending) > 4) {
		uint32_t len = get_u32(bytes_at(&pending));
		struct ha_msg m;

		if (ha_parse(&m, bytes_at(&pending) + 4, len) == HA_OK)
			record(r, &m, bytes_at(&pending) + 4, len);
		bytes_consume(&pending, 4 + len);
	}
	bytes_free(&pending);
	tell_all(r);
}

/* Of those who have one, the one that has most, for each sends all of it. The others may have one by now. */
static void fetch(struct relay *r)
{
	int giver = relay_giver(r);
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		struct relay_peer *p = &r->peers[i];

		if (!p->heard_state || p->asked || p->has_none || p->incoming || (relay_may_give(r, i) && (int)i != giver) || !relay_listens(r, i))
			continue;
		p->asked = true;
		link_send(r->p.links, i, FRAME_FETCH, NULL, 0, NULL, 0);
	}
}

/* An active node's journal: its own will do, unless it has none, or somebody else's has more. */
void relay_seek(struct relay *r)
{
	if (!r->active || r->complete)
		return;
	if (r->valid && !relay_is_behind(r))
		relay_completed(r);
	else
		fetch(r);
}

/* Messages of journals that are being given. */
static uint32_t arrived(const struct relay *r)
{
	uint32_t n = 0;
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++)
		n += r->peers[i].incoming ? r->peers[i].incoming_n : 0;
	return n;
}

/* Nobody gave the journal back in time; whoever is at it gets more. */
static void give_up_fetching(struct relay *r)
{
	if (arrived(r) > r->arrived) {
		r->arrived = arrived(r);
		r->complete_by_ms = now_ms() + FETCH_MS;
		return;
	}
	log_warn("nobody gave the journal back; SAs that it lacks will be rekeyed");
	r->lacks = true;
	relay_completed(r);
}

void relay_activate(struct relay *r, bool adopted)
{
	unsigned int half, i;

	if (r->active)
		return;
	links_read_all(r->p.links);
	half = txn_discard(r->ledger->txn);
	if (half)
		log_info("%u half IKE SAs of the former owner were dropped", half);
	relay_forget_source(r);
	if (!adopted)
		bytes_free(&r->pending);
	r->undecided = false;
	r->unprotected.n = 0;
	r->active = true;
	r->inherits = !adopted;
	r->refused = 0;
	r->complete = false;
	r->complete_by_ms = now_ms() + (adopted ? FETCH_MS : TAKEOVER_FETCH_MS);
	r->arrived = 0;
	for (i = 0; i < CONFIG_MAX_PEERS; i++)
		r->peers[i].has_none = false;
	relay_seek(r);
}

void relay_deactivate(struct relay *r)
{
	if (r->active) {
		charon_read_all(r->p.ch);
		relay_leaves(r, NULL, 0);
	}
	r->undecided = false;
	bytes_free(&r->pending);
	if (!r->active)
		return;
	r->active = false;
	r->complete = false;
	r->unprotected.n = 0;
	r->refused = 0;
	txn_discard(r->ledger->txn);
	relay_forget_source(r);
	r->source_epoch = r->stream.epoch;
	r->source_seq = r->stream.last;
	stream_begin(&r->stream, 0);
	tell_all(r);
	relay_follow(r);
}

void relay_charon_restarted(struct relay *r)
{
	if (r->active)
		journal_inherit(r->ledger->journal, now_ms());
}

void relay_version(struct relay *r, uint8_t version)
{
	log_info("charon's ha plugin speaks version %u", version);
	tell_all(r);
}

void relay_lost(struct relay *r, bool from_charon)
{
	if (from_charon) {
		log_warn("datagrams of charon were lost: the receive queue overflowed");
		return;
	}
	log_warn("charon has lost datagrams: its receive queue overflowed; comparing");
	sync_request(r->p.sync);
}

bool relay_compatible(struct relay *r, unsigned int peer)
{
	struct relay_peer *p = &r->peers[peer];
	uint8_t ours = charon_version(r->p.ch);

	if (!ours || !p->state.version || ours == p->state.version || (p->state.flags & STATE_TRANSLATES)) {
		p->told_mismatch = false;
		return true;
	}
	if (!p->told_mismatch)
		log_warn("peer %u: strongSwan's ha plugin there speaks version %u, here %u, and its espsyncd does not translate: nothing is relayed (run the same release of strongSwan on both nodes, or of espsync)",
			 r->p.c->peers[peer].node, p->state.version, ours);
	p->told_mismatch = true;
	return false;
}

void relay_tell_state(struct relay *r, unsigned int peer)
{
	struct bytes b = { 0 };

	relay_put_state(r, peer, &b);
	link_send(r->p.links, peer, FRAME_STATE, bytes_at(&b), bytes_left(&b), NULL, 0);
	bytes_free(&b);
}

static bool on_state(struct relay *r, unsigned int peer, const uint8_t *data, size_t len)
{
	struct relay_peer *p = &r->peers[peer];
	if (!relay_get_state(&p->state, data, len))
		return false;
	p->heard_state = true;
	if (p->state.epoch > r->newest)
		r->newest = p->state.epoch;
	if (relay_may_give(r, peer))
		p->has_none = false;
	if (r->source == (int)peer && r->source_epoch == p->state.epoch && p->state.valid)
		r->valid = true;
	relay_compatible(r, peer);
	relay_seek(r);
	relay_follow(r);
	relay_pump(r, peer);
	relay_compare(r, peer);
	if (p->state.flags & STATE_TAKES_DRIFT)
		drift_listens(r->p.drift, peer);
	if (p->state.flags & STATE_TAKES_PARCELS)
		parcels_listens(r->p.parcels, peer);
	return true;
}

static bool on_hello(struct relay *r, unsigned int peer, const uint8_t *data, size_t len)
{
	uint32_t node = r->p.c->peers[peer].node;

	if (len < 2 || data[0] != PROTOCOL_VERSION) {
		log_warn("peer %u: its espsyncd speaks another protocol (run the same version on both nodes)", node);
		return false;
	}
	if (data[1] != node) {
		log_warn("peer %u: says that it is node %u (correct [node] number there or [peer] here)", node, data[1]);
		return false;
	}
	r->peers[peer].said_hello = true;
	return true;
}

void relay_link_up(struct relay *r, unsigned int peer)
{
	uint8_t hello[] = { PROTOCOL_VERSION, r->p.c->node };

	link_send(r->p.links, peer, FRAME_HELLO, hello, sizeof(hello), NULL, 0);
	relay_tell_state(r, peer);
}

void relay_link_down(struct relay *r, unsigned int peer)
{
	struct relay_peer *p = &r->peers[peer];

	p->said_hello = false;
	p->heard_state = false;
	p->subscribed = false;
	p->asked_epoch = 0;
	p->asked = false;
	p->has_none = false;
	memset(&p->state, 0, sizeof(p->state));
	ledger_free(p->incoming);
	p->incoming = NULL;
	drift_peer_down(r->p.drift, peer);
	parcels_peer_down(r->p.parcels, peer);
	commit_look(r->p.commit);
	relay_seek(r);
	relay_follow(r);
}

bool relay_link_frame(struct relay *r, unsigned int peer, uint8_t type, const uint8_t *data, size_t len)
{
	if (type == FRAME_HELLO)
		return on_hello(r, peer, data, len);
	if (!r->peers[peer].said_hello)
		return false;
	switch (type) {
	case FRAME_STATE:
		return on_state(r, peer, data, len);
	case FRAME_SUBSCRIBE:
		return len == 16 && relay_on_subscribe(r, peer, get_u64(data), get_u64(data + 8));
	case FRAME_RECORD:
		return relay_on_record(r, peer, data, len);
	case FRAME_ACK:
		return len == 16 && relay_on_ack(r, peer, get_u64(data), get_u64(data + 8));
	case FRAME_FETCH:
		return relay_on_fetch(r, peer);
	case FRAME_DRIFT:
		return drift_frame(r->p.drift, peer, data, len);
	case FRAME_PARCEL:
		return parcels_frame(r->p.parcels, peer, data, len);
	default:
		return relay_on_journal(r, peer, type, data, len);
	}
}

/* What has left makes room for other peers' journals, too. */
void relay_link_writable(struct relay *r, unsigned int peer)
{
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++)
		relay_pump(r, i);
	drift_writable(r->p.drift, peer);
}

bool relay_is_auditable(const struct relay *r)
{
	return r->active && r->complete && charon_segment(r->p.ch) == CHARON_ACTIVE && sync_is_done(r->p.sync);
}

void relay_found_whole(struct relay *r)
{
	if (!r->active || !r->complete || !r->lacks)
		return;
	r->lacks = false;
	r->valid = true;
	log_info("the journal has all that charon has");
	tell_all(r);
}

void relay_unprotected(struct relay *r, const struct unprotected *u)
{
	r->unprotected = *u;
}

bool relay_is_held(const struct relay *r, const struct ike_id *id)
{
	return txn_holds(r->ledger->txn, id);
}

/* Something that time may mend. Return: false if that peer could take over, or is the owner and this node has all of its */
static bool report_lag(const struct relay *r, unsigned int peer, char text[128])
{
	const struct relay_peer *p = &r->peers[peer];
	unsigned int node = r->p.c->peers[peer].node, known = journal_count(r->ledger->journal);

	if (!p->heard_state)
		snprintf(text, 128, "espsyncd of node %u is not connected", node);
	else if (r->active && p->journal_until)
		snprintf(text, 128, "node %u was more than buffer_mib behind: is the link slow? Raise buffer_mib", node);
	else if (r->active && (p->state.missing || p->state.known != known))
		snprintf(text, 128, "node %u has %u of %u IKE SAs", node, p->state.known - p->state.missing, known);
	else if (!r->active && p->state.active && (r->source != (int)peer || p->state.epoch != r->source_epoch))
		snprintf(text, 128, "the journal of node %u has not arrived yet", node);
	else
		return false;
	return true;
}

/*
 * One standby that lacks nothing is enough for an active node, and a standby needs nobody but the owner. What is so until somebody mends it is
 * said of each.
 */
static void report_peers(struct relay *r, struct kernel_report *report)
{
	int owner = r->active ? -1 : relay_owner(r);
	char lag[128] = "", text[128];
	bool enough = false;
	unsigned int i;

	for (i = 0; i < r->p.c->n_peers; i++) {
		if (r->peers[i].told_mismatch) {
			snprintf(report->text, sizeof(report->text), "strongSwan of node %u speaks version %u, here %u, and its espsyncd does not translate",
				 r->p.c->peers[i].node, r->peers[i].state.version, charon_version(r->p.ch));
			report->drift = true;
		} else if (!relay_report_room_of(r, i, report) && (owner < 0 || owner == (int)i)) {
			if (!report_lag(r, i, text))
				enough = true;
			else if (!*lag || r->peers[i].heard_state)
				memcpy(lag, text, sizeof(lag));
		}
	}
	if (!enough && !*report->text)
		memcpy(report->text, lag, sizeof(lag));
}

void relay_report(struct relay *r, struct kernel_report *report)
{
	const char *why;

	memset(report, 0, sizeof(*report));
	report->known = journal_count(r->ledger->journal);
	report->missing = sync_missing(r->p.sync, &why);
	report->applied = report->known - (report->missing < report->known ? report->missing : report->known);
	report_peers(r, report);
	relay_report_room(r, report);
	relay_report_unprotected(r, report);
	if (!charon_present(r->p.ch))
		snprintf(report->text, sizeof(report->text), "charon is not running");
	else if (charon_silence_ms(r->p.ch) > SILENT_MS)
		snprintf(report->text, sizeof(report->text), "charon is silent (does it hang, or is monitor = no?)");
	else if (report->missing)
		snprintf(report->text, sizeof(report->text), "%.127s", *why ? why : "charon is being filled");
}

/*
 * Half IKE SAs that nobody completes end where they began. The stream says so: a standby may have heard of them later, and has no clock of its
 * own for them. It keeps them until then, or until it takes over.
 */
static unsigned int expire(struct relay *r)
{
	uint8_t made[HA_MAX_MADE];
	unsigned int n = 0;
	struct ike_id id;
	struct ha_msg m;

	for (; r->active && r->complete && txn_overdue(r->ledger->txn, now_ms(), &id); n++) {
		size_t len = ha_make_ike_delete(made, charon_version(r->p.ch), &id);

		if (ha_parse(&m, made, len) != HA_OK)
			break;
		record(r, &m, made, len);
	}
	return n;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	unsigned int n;

	(void)fd;
	(void)what;
	r->says_sum = r->active && r->complete && now_ms() - r->sum_ms >= SUM_MS;
	tell_all(r);
	if (r->says_sum)
		r->sum_ms = now_ms();
	r->says_sum = false;
	if (!r->active && charon_idle(r->p.ch))
		relay_ack(r, r->source_seq);
	n = expire(r);
	if (n)
		log_info("%u IKE SAs were never completed", n);
	if (r->active && !r->complete && now_ms() > r->complete_by_ms)
		give_up_fetching(r);
}

struct relay *relay_alloc(struct event_base *base, const struct config *c)
{
	struct timeval tv = { c->keepalive_ms / 1000, c->keepalive_ms % 1000 * 1000 };
	struct relay *r = secret_alloc(sizeof(*r));

	r->p.c = c;
	r->source = -1;
	r->undecided = true;
	stream_init(&r->stream, (size_t)c->buffer_mib << 20);
	relay_use_ledger(r, ledger_alloc(r));
	r->timer = event_new(base, -1, EV_PERSIST, on_timer, r);
	event_add(r->timer, &tv);
	return r;
}

void relay_set_parts(struct relay *r, const struct relay_parts *parts)
{
	r->p = *parts;
}

void relay_free(struct relay *r)
{
	unsigned int i;

	for (i = 0; i < CONFIG_MAX_PEERS; i++)
		ledger_free(r->peers[i].incoming);
	ledger_free(r->ledger);
	stream_exit(&r->stream);
	bytes_free(&r->pending);
	event_free(r->timer);
	secret_free(r, sizeof(*r));
}
