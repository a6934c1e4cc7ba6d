/* SPDX-License-Identifier: GPL-2.0 */
/*
 * session.h - the sessions between two nodes.
 *
 * How a caller uses it, with its own lock held around every call:
 *
 *	timer, every 50 to 200 ms, while es_session_wants_hello() or the peer is silent; every second or so while es_session_wants_key():
 *		n = es_session_hello(s, k, buf, sizeof(buf)), send buf
 *	datagram received:
 *		err = es_session_open(s, k, data, len, now_ms, &out)
 *		if (err)		count drop reason -err - 1
 *		if (out.send_hello)	n = es_session_hello(...), send at once
 *		if (out.send_data)	seal and send any DATA at once, after the HELLO
 *		if (out.kind == ES_IN_DATA)	the peer is alive; out.data is what it says
 *
 * Only DATA shows that a peer is alive: a recorded HELLO can be played back.
 */
#ifndef ESPSYNC_SESSION_H
#define ESPSYNC_SESSION_H

#include "keys.h"

#define ES_WIRE_VERSION		1
#define ES_WIRE_VERSION_MIN	1

#define ES_NONCE_LEN		16	/* of the handshake */

/* The second byte of a datagram, in clear: what it is, and whether it may overtake others. */
#define ES_SESSION_TYPE_HELLO	1
#define ES_SESSION_TYPE_DATA	2
#define ES_SESSION_URGENT	0x80

/* A HELLO has exactly this length. */
#define ES_SESSION_HELLO_LEN	120

/* Room around the payload of a DATA datagram. */
#define ES_SESSION_HEAD		52
#define ES_SESSION_TAIL		16

/* How many numbers back a datagram may come late. */
#define ES_SESSION_WINDOW	1024
#define ES_SESSION_WORDS	(ES_SESSION_WINDOW / 64 + 1)

/* A HELLO is answered at most once in so many milliseconds. */
#define ES_SESSION_REPLY_MS	50

/**
 * struct es_session_keys - one session: two keys and a window
 * @live: the rest means something
 * @key: slot of the cluster key that it was made from
 * @id: names the session on the wire; both sides derive the same
 * @mine: my nonce that it was made from
 * @yours: the peer's
 * @boot: the peer's boot id, as in the HELLO that it was made from
 * @caps: the peer's capabilities, from the same HELLO
 * @version: the wire version that both speak
 * @tx: key of what I send
 * @rx: key of what I receive
 * @rx_top: highest number accepted
 * @rx_seen: ring of bits, number n in bit n % 64 of word n / 64 % ES_SESSION_WORDS
 */
struct es_session_keys {
	bool live;
	u8 key;
	u32 id;
	u8 mine[ES_NONCE_LEN];
	u8 yours[ES_NONCE_LEN];
	u64 boot;
	u32 caps;
	u8 version;
	u8 tx[ES_KEY_LEN];
	u8 rx[ES_KEY_LEN];
	u64 rx_top;
	u64 rx_seen[ES_SESSION_WORDS];
};

/**
 * struct es_session - what one node knows of its sessions with one peer
 * @self: own node number
 * @peer: the peer's
 * @have_boot: @peer_boot means something
 * @probe: the next DATA goes under the candidate
 * @reply: the next HELLO is an answer to @reply_to
 * @reply_key: slot of the cluster key under which @reply_to came
 * @wish: a cluster key was chosen to be used, and no session under it was confirmed since: ask for one beside the session that there is
 * @replied: @replied_ms means something
 * @boot: own boot id
 * @peer_boot: the peer's, of the newest confirmed session
 * @replied_ms: when a HELLO was last answered
 * @tx_seq: number of the last DATA sent, under whichever keys
 * @nonce: own nonce for the next handshake; makes at most one session
 * @reply_to: the peer's nonce to be answered
 * @cur: the session that the peer has confirmed
 * @cand: the session that it has not confirmed yet
 * @prev: the one before @cur, of the same life of the peer: what it sent before it heard of @cur is still taken
 *
 * Guarded by the channel's lock.
 */
struct es_session {
	u8 self;
	u8 peer;
	bool have_boot;
	bool probe;
	bool reply;
	u8 reply_key;
	bool wish;
	bool replied;
	u64 boot;
	u64 peer_boot;
	u64 replied_ms;
	u64 tx_seq;
	u8 nonce[ES_NONCE_LEN];
	u8 reply_to[ES_NONCE_LEN];
	struct es_session_keys cur;
	struct es_session_keys cand;
	struct es_session_keys prev;
};

/**
 * enum es_in - what a datagram was
 * @ES_IN_HELLO_REPLY: a HELLO that asks for an answer: send a HELLO
 * @ES_IN_HELLO_DONE: a HELLO that made, or shows that the peer has made, a session: send a DATA
 * @ES_IN_DATA: payload
 */
enum es_in {
	ES_IN_HELLO_REPLY,
	ES_IN_HELLO_DONE,
	ES_IN_DATA,
};

/**
 * struct es_opened - what es_session_open() found
 * @kind: what the datagram was
 * @send_hello: send what es_session_hello() makes, at once
 * @send_data: then send a DATA, of whatever content, at once
 * @new_session: DATA: the first of a new session; what was said before it counts for nothing
 *	unless the peer kept its memory (@new_boot is false)
 * @new_boot: with @new_session: the peer's boot id is not that of the session before, or there was none
 * @urgent: DATA: the sender called it urgent
 * @version: wire version of the session, or with ESPSYNC_DROP_VERSION the newest that the authenticated
 *	peer speaks; 0 if it was not authenticated, or asks
 * @caps: the peer's capabilities
 * @seq: DATA: its number; the sender counts on through its sessions, until it gets a new boot id
 * @data: DATA: payload, inside the datagram
 * @len: length of @data
 */
struct es_opened {
	enum es_in kind;
	bool send_hello;
	bool send_data;
	bool new_session;
	bool new_boot;
	bool urgent;
	u8 version;
	u32 caps;
	u64 seq;
	u8 *data;
	size_t len;
};

void es_session_init(struct es_session *s, u8 self, u8 peer, u64 boot);
void es_session_drop(struct es_session *s);
void es_session_rekey(struct es_session *s);
void es_session_unkey(struct es_session *s, u8 slot);
void es_session_wipe(struct es_session *s);

bool es_session_ready(const struct es_session *s);
bool es_session_wants_hello(const struct es_session *s);
bool es_session_wants_key(const struct es_session *s);
int es_session_key(const struct es_session *s);

int es_session_hello(struct es_session *s, const struct es_keys *k, u8 *buf, size_t size);
int es_session_seal(struct es_session *s, const struct es_keys *k, u8 *buf, size_t payload_len,
		    bool urgent, u64 *seq);
int es_session_open(struct es_session *s, const struct es_keys *k, u8 *data, size_t len,
		    u64 now_ms, struct es_opened *out);

#endif /* ESPSYNC_SESSION_H */
