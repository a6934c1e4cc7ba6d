/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relay_priv: what relay.c (roles and this node's charon), relay_send.c (the active side), relay_take.c (the standby side),
 * relay_whom.c (which of several peers), relay_room.c (what finds no room) and relay_state.c (what nodes say of themselves) share.
 * Nobody else includes it.
 */
#ifndef ESPSYNCD_RELAY_PRIV_H
#define ESPSYNCD_RELAY_PRIV_H

#include "agree.h"
#include "bytes.h"
#include "drift.h"
#include "relay.h"
#include "stream.h"
#include "transaction.h"

#define PROTOCOL_VERSION	1

enum frame {
	FRAME_HELLO = 1,	/* protocol u8, node u8 */
	FRAME_STATE,		/* struct peer_state; also keepalive. May be longer than is known: what a newer one says behind it */
	FRAME_SUBSCRIBE,	/* epoch u64, sequence u64: go on behind it */
	FRAME_RECORD,		/* epoch u64, sequence u64, message */
	FRAME_ACK,		/* epoch u64, sequence u64: applied up to it */
	FRAME_SNAP_BEGIN,	/* epoch u64, sequence u64: the journal at that point follows */
	FRAME_SNAP_MESSAGE,	/* message */
	FRAME_SNAP_END,		/* number of messages u32 */
	FRAME_FETCH,		/* give me your journal */
	FRAME_GIVE_BEGIN,	/* valid u8 */
	FRAME_GIVE_MESSAGE,	/* message */
	FRAME_GIVE_END,		/* number of messages u32 */
	FRAME_DRIFT = DRIFT_FRAME,	/* only to those whose state says STATE_TAKES_DRIFT: older ones end the connection at a frame they do not know */
	FRAME_PARCEL = PARCEL_FRAME,	/* STATE_TAKES_PARCELS, likewise */
};

#define STATE_TAKES_DRIFT	1
#define STATE_SAYS_SUM		2
#define STATE_TRANSLATES	4
#define STATE_TAKES_ANSWERS	8
#define STATE_TAKES_PARCELS	16

#define ANSWER_RECORD		0	/* a record that begins with it is a packet, others with the version of a message, which is never 0 */

/**
 * struct peer_state - what a helper says of itself
 * @active: its charon is the source
 * @version: wire version of its charon, 0 if not known yet
 * @valid: its journal is as good as an active node's
 * @epoch: of its stream, if @active; else of the one that its journal is from, 0 from an older one
 * @known: IKE SAs
 * @missing: of these, not in its charon
 * @children: CHILD SAs; this and what follows an older one does not say
 * @refused: its journal has refused something for want of that room: enum journal_room
 * @flags: STATE_TAKES_DRIFT, STATE_SAYS_SUM, STATE_TRANSLATES: messages of any wire version for its charon, STATE_TAKES_ANSWERS, STATE_TAKES_PARCELS;
 *	this and what follows a still older one does not say
 * @seq: the record of that stream at which its journal is
 * @sum: what its journal says there, if the flags say so: agree.h
 * @unprotected: tunnels that its charon or its kernel does not take
 */
struct peer_state {
	bool active;
	uint8_t version;
	bool valid;
	uint64_t epoch;
	uint32_t known;
	uint32_t missing;
	uint32_t children;
	uint8_t refused;
	uint8_t flags;
	uint64_t seq;
	uint64_t sum;
	struct unprotected unprotected;
};

/**
 * struct ledger - a journal and what is on its way into it
 * @r: the relay
 * @journal: complete IKE SAs
 * @txn: half ones
 * @live: what completes may also be for charon
 */
struct ledger {
	struct relay *r;
	struct journal *journal;
	struct txn *txn;
	bool live;
};

/**
 * struct relay_peer - another node
 * @said_hello: its node number is checked
 * @state: what it said last
 * @heard_state: @state is valid
 * @subscribed: it takes our stream
 * @next: number of the record that it gets next; 0: it gets the journal first, and needs no record that is kept
 * @acked: it has applied up to this
 * @from: ... and is in step once that is this
 * @journal_until: it fell behind, and gets the journal as it is at this record; 0 once it has applied that
 * @asked_epoch: we asked for this stream of its, in this connection
 * @incoming: a journal that is arriving, or NULL
 * @incoming_epoch: the stream's point that it describes
 * @incoming_seq: the stream's point that it describes
 * @incoming_n: messages so far
 * @asked: for its journal, and it has not answered
 * @has_none: it answered that it has none, and has not said otherwise since
 * @told_mismatch: that the wire versions differ, and nobody translates, was logged
 * @too_large: its last journal was
 */
struct relay_peer {
	bool said_hello;
	struct peer_state state;
	bool heard_state;
	bool subscribed;
	uint64_t next;
	uint64_t acked;
	uint64_t from;
	uint64_t journal_until;
	uint64_t asked_epoch;
	struct ledger *incoming;
	uint64_t incoming_epoch;
	uint64_t incoming_seq;
	uint32_t incoming_n;
	bool asked;
	bool has_none;
	bool told_mismatch;
	bool too_large;
};

/**
 * struct relay - all of it
 * @p: parts
 * @timer: keepalive and ageing
 * @undecided: this helper is new and does not know yet whether @active
 * @active: this node's charon is the source
 * @inherits: active: what the journal has to begin with was told by another charon
 * @complete: active: the journal is as whole as it will get
 * @complete_by_ms: active, not complete: when to give up fetching it
 * @arrived: messages of journals that are being given, when @complete_by_ms was set
 * @valid: the journal came from another node, or was kept while charon was active; else charon may know more
 * @lacks: ... and does: it was active before this journal began, which nobody gave back
 * @pending: undecided, or active and not complete: charon's messages, each behind its length u32
 * @ledger: this node's journal
 * @stream: active: what peers are to get
 * @peers: by index in the configuration
 * @newest: the highest epoch that was ever heard of
 * @source: standby: peer whose stream is taken, or -1
 * @source_epoch: standby: its stream; without a source: the one that the journal is from
 * @source_seq: standby: last record of it that was taken
 * @applied_seq: standby: last record acknowledged
 * @generation: tokens of an earlier source are void
 * @refused: records refused since the role changed
 * @said_room_ms: when it was logged that something finds no room in the journal
 * @unsaid: how often that was not logged since
 * @sum_ms: active: when peers were last told what the journal says
 * @says_sum: active: they are being told
 * @agree: standby: how often the journal was another than its source's
 * @disagrees: standby: and that did not change
 * @unprotected: active: what audit has found
 */
struct relay {
	struct relay_parts p;
	struct event *timer;
	bool undecided;
	bool active;
	bool inherits;
	bool complete;
	uint64_t complete_by_ms;
	uint32_t arrived;
	bool valid;
	bool lacks;
	struct bytes pending;
	struct ledger *ledger;
	struct stream stream;
	struct relay_peer peers[CONFIG_MAX_PEERS];
	uint64_t newest;
	int source;
	uint64_t source_epoch;
	uint64_t source_seq;
	uint64_t applied_seq;
	uint16_t generation;
	uint64_t refused;
	uint64_t said_room_ms;
	unsigned int unsaid;
	uint64_t sum_ms;
	bool says_sum;
	struct agree agree;
	bool disagrees;
	struct unprotected unprotected;
};

/* relay.c */
struct ledger *ledger_alloc(struct relay *r);
void ledger_free(struct ledger *l);
enum txn_result ledger_feed(struct ledger *l, const struct ha_msg *m, const uint8_t *data, size_t len);
struct journal_limits relay_limits(const struct relay *r);
void relay_use_ledger(struct relay *r, struct ledger *l);
void relay_tell_state(struct relay *r, unsigned int peer);
void relay_completed(struct relay *r);
void relay_seek(struct relay *r);
bool relay_compatible(struct relay *r, unsigned int peer);

/* relay_room.c */
void relay_refused(struct ledger *l, const struct ha_msg *m);
void relay_report_room(const struct relay *r, struct kernel_report *report);
bool relay_report_room_of(const struct relay *r, unsigned int peer, struct kernel_report *report);

/* relay_state.c */
void relay_put_state(const struct relay *r, unsigned int peer, struct bytes *b);
bool relay_get_state(struct peer_state *s, const uint8_t *data, size_t len);
void relay_compare(struct relay *r, unsigned int peer);
void relay_report_unprotected(const struct relay *r, struct kernel_report *report);

/* relay_whom.c */
int relay_owner(struct relay *r);
int relay_giver(const struct relay *r);
bool relay_may_give(const struct relay *r, unsigned int peer);
bool relay_has_most(const struct relay *r, unsigned int peer);
bool relay_is_behind(const struct relay *r);
uint64_t relay_new_epoch(const struct relay *r);

/* relay_send.c */

/**
 * relay_listens() - may something be said that the peer can make us say as often as it likes
 * @r: the relay
 * @peer: whom to
 *
 * Return: false while it does not take what has been said; then it is said later, for all of that would have to be kept
 */
bool relay_listens(const struct relay *r, unsigned int peer);
void relay_pump(struct relay *r, unsigned int peer);
void relay_forget_acked(struct relay *r);
bool relay_on_subscribe(struct relay *r, unsigned int peer, uint64_t epoch, uint64_t seq);
bool relay_on_ack(struct relay *r, unsigned int peer, uint64_t epoch, uint64_t seq);
bool relay_on_fetch(struct relay *r, unsigned int peer);

/* relay_take.c */
void relay_follow(struct relay *r);
void relay_fetch_anew(struct relay *r, unsigned int peer);
void relay_forget_source(struct relay *r);
void relay_forget_incoming(struct relay *r);
void relay_ack(struct relay *r, uint64_t seq);
uint64_t relay_token(const struct relay *r);
bool relay_on_record(struct relay *r, unsigned int peer, const uint8_t *data, size_t len);
bool relay_on_journal(struct relay *r, unsigned int peer, enum frame type, const uint8_t *data, size_t len);

#endif /* ESPSYNCD_RELAY_PRIV_H */
