// SPDX-License-Identifier: GPL-2.0
/*
 * session.c - the sessions between two nodes.
 *
 * Job: everything that decides whether a datagram is believed (design, 4.5 and
 * I6): session keys, handshake, sealing, and the replay window of datagrams.
 * What may not enter: sockets, SAs, clocks, locks (the caller holds the
 * channel's), and what the payload means.
 *
 * Datagrams, version 1. All numbers are big endian.
 *
 *	 0 version  1 type  2 from  3 to  4 length (2)  6 zero (2)  8 key id (8)
 *	HELLO	16 nonce (24)  40 sealed { fresh (16) mine (16) yours (16) boot (8)
 *		caps (4) min (1) max (1) flags (1) zero (1) }  104 tag (16)
 *	DATA	16 session (4)  20 sequence (8)  28 nonce (24)  52 sealed payload, tag (16)
 *
 * What lies before the nonce is authenticated too. The cipher is
 * XChaCha20-Poly1305 with random nonces, so that a machine that is rolled back
 * cannot use one twice. Version 1 of the HELLO stays as it is: min and max say
 * which versions of DATA a node speaks.
 *
 * The handshake has three steps and no roles; A is whoever wants a session.
 *
 *	A  HELLO { fresh a }				asks
 *	B  HELLO { fresh b, mine b, yours a, REPLY }	shows that B is there now; B keeps nothing
 *	A  HELLO { fresh a', mine a, yours b }		A has the candidate (a, b); so has B when this arrives
 *	B  DATA						under (a, b): A's candidate becomes its session
 *	A  DATA						under (a, b): so does B's
 *
 * Every rule follows from one: *a nonce makes at most one session.* The moment
 * a candidate is made from it, it is replaced by a fresh one, and again when a
 * session is confirmed: else a question that was lost, but recorded, could be
 * answered later on. So no HELLO that was recorded can make the keys
 * of an earlier session come back, with an empty replay window. A pair of
 * nonces can only be made into a session by HELLOs that echo a nonce which is
 * still waiting, and a recorded one does not. All that it can provoke is an answer
 * (rate limited) that its own sender then finds to be an answer to nothing.
 * For the same reason a REPLY is never answered by a REPLY: otherwise a
 * recorded question would make two nodes that have a session make another.
 *
 * Neither does a HELLO end a session. The candidate takes the place of the
 * session only when a DATA of the peer arrived under it. Until then DATA goes out
 * under the session, if there is one, except one that answers each HELLO that made
 * or repeated the candidate: the probe. (Not one behind a HELLO: where DATA is taken
 * before HELLOs it would come too early.) What arrives is accepted under both, and
 * for a while under the session before: a peer that has not heard yet that it was
 * replaced goes on with it.
 *
 * Cluster keys may be several (keys.h): the key id says which one a datagram is
 * sealed with. A node asks under the one that it uses, and answers under any; the
 * pair and its session belong to the key of the HELLO that made them. A session
 * goes on when its node uses another key, until a session under that one, which
 * the node asks for beside it, has taken its place: so nothing is refused while
 * keys change, and a peer that does not have the new key stays with the old one.
 * Nobody asks for that more often than he was told to use a key, so two nodes
 * that use different ones do not replace each other's sessions in turn.
 *
 * That both sides end with the same session, whatever is lost, repeated or overtaken:
 *  - The question or the REPLY is lost: A asks again.
 *  - The third step is lost: A repeats it while it has a candidate; B still
 *    waits for b, and makes the candidate then.
 *  - B's DATA is lost: A repeats the third step, B knows the pair and sends
 *    another DATA. The same if B has confirmed it already, or if both are B.
 *  - B no longer waits for b and does not know the pair either (it restarted, or
 *    another handshake won): the third step carries a fresh nonce too, so that it
 *    is a question as well. B answers, and A replaces its candidate.
 *  - Both ask at the same time: each answers the other, and each may make a
 *    candidate from another pair. The third step of one reaches the other while
 *    that still waits for its nonce, which ends with one pair, or after, which
 *    was the case before. It cannot go round: a candidate is only replaced by a
 *    pair whose nonces were both made later than one of the pair before.
 *  - One restarts: it asks, or the other does, which has fallen silent to it. The
 *    other goes on with its session, in vain, until the candidate carries DATA.
 * selftests/unit/session.c tries all of it at random.
 */
#include <linux/espsync.h>

#include "session.h"

#define HELLO_REPLY	0x01	/* flag: answers, and is not to be answered */

#define XNONCE_LEN	24
#define TAG_LEN		16

/* Bytes only: no padding, no alignment, no host order. */
struct head {
	u8 version;
	u8 type;
	u8 from;
	u8 to;
	u8 len[2];
	u8 zero[2];
	u8 key_id[ES_KEY_ID_LEN];
};

struct hello_body {
	u8 fresh[ES_NONCE_LEN];
	u8 mine[ES_NONCE_LEN];
	u8 yours[ES_NONCE_LEN];
	u8 boot[8];
	u8 caps[4];
	u8 min;
	u8 max;
	u8 flags;
	u8 zero;
};

struct hello {
	struct head head;
	u8 xnonce[XNONCE_LEN];
	struct hello_body body;
	u8 tag[TAG_LEN];
};

struct data {
	struct head head;
	u8 session[4];
	u8 seq[8];
	u8 xnonce[XNONCE_LEN];
	u8 payload[];
};

static_assert(sizeof(struct hello) == ES_SESSION_HELLO_LEN);
static_assert(sizeof(struct data) == ES_SESSION_HEAD);
static_assert(TAG_LEN == ES_SESSION_TAIL);

/* What in front of the nonce is authenticated. */
#define HELLO_AD	offsetof(struct hello, xnonce)
#define DATA_AD		offsetof(struct data, xnonce)

/* The capabilities of this version of the module. */
#define CAPS		0

/* Labels, with their final 0 so that none begins another. */
static const char label_session[] = "espsync v1 session";
static const char label_session_id[] = "espsync v1 session id";

static int refuse(enum espsync_drop why)
{
	return -1 - (int)why;
}

/* One value derived from a pair of nonces; @from tells the two directions apart. */
static void derive(const struct es_session *s, const struct es_keys *k,
		   const struct es_session_keys *t, const char *label, size_t label_len,
		   u8 from, u8 *out, size_t len)
{
	bool first = s->self < s->peer;
	const u8 nodes[3] = { min(s->self, s->peer), max(s->self, s->peer), from };
	es_blake2s h;

	blake2s_init_key(&h, len, k->key[t->key].key, ES_KEY_LEN);
	blake2s_update(&h, (const u8 *)label, label_len);
	blake2s_update(&h, nodes, sizeof(nodes));
	blake2s_update(&h, first ? t->mine : t->yours, ES_NONCE_LEN);
	blake2s_update(&h, first ? t->yours : t->mine, ES_NONCE_LEN);
	blake2s_final(&h, out);
}

static void derive_keys(const struct es_session *s, const struct es_keys *k,
			struct es_session_keys *t)
{
	u8 id[4];

	derive(s, k, t, label_session, sizeof(label_session), s->self, t->tx, sizeof(t->tx));
	derive(s, k, t, label_session, sizeof(label_session), s->peer, t->rx, sizeof(t->rx));
	derive(s, k, t, label_session_id, sizeof(label_session_id), 0, id, sizeof(id));
	t->id = get_unaligned_be32(id);
}

static void fresh_nonce(struct es_session *s)
{
	get_random_bytes(s->nonce, sizeof(s->nonce));
}

/**
 * es_session_init() - begin with a peer
 * @s: session
 * @self: own node number
 * @peer: the peer's, another one
 * @boot: random number of this channel's lifetime: the peer takes a change of it
 *	for the loss of all that this node knew
 *
 * Context: any. Once the random number generator is ready.
 */
void es_session_init(struct es_session *s, u8 self, u8 peer, u64 boot)
{
	memset(s, 0, sizeof(*s));
	s->self = self;
	s->peer = peer;
	s->boot = boot;
	fresh_nonce(s);
}

/**
 * es_session_drop() - forget all keys, so that a new handshake is needed
 * @s: session
 *
 * For a new cluster key. After a snapshot was restored memory was lost as
 * well: then es_session_init() with a new boot id.
 *
 * Context: any; the channel's lock.
 */
void es_session_drop(struct es_session *s)
{
	memzero_explicit(&s->cur, sizeof(s->cur));
	memzero_explicit(&s->cand, sizeof(s->cand));
	memzero_explicit(&s->prev, sizeof(s->prev));
	s->probe = false;
	s->reply = false;
	s->wish = false;
	fresh_nonce(s);
}

/**
 * es_session_rekey() - another cluster key is used from now on
 * @s: session
 *
 * The session goes on until one under that key has carried a datagram of the peer. A new one is asked for even if it is under that key:
 * what was asked under another key may still be answered.
 *
 * Context: any; the channel's lock.
 */
void es_session_rekey(struct es_session *s)
{
	s->wish = true;
}

static void unkey(struct es_session_keys *t, u8 slot)
{
	if (t->live && t->key == slot)
		memzero_explicit(t, sizeof(*t));
}

/**
 * es_session_unkey() - a cluster key is accepted no more: sessions that were made from it end
 * @s: session
 * @slot: of the key
 *
 * Context: any; the channel's lock.
 */
void es_session_unkey(struct es_session *s, u8 slot)
{
	unkey(&s->cur, slot);
	unkey(&s->cand, slot);
	unkey(&s->prev, slot);
	if (!s->cur.live)
		memzero_explicit(&s->prev, sizeof(s->prev));
	s->probe &= s->cand.live;
	s->reply &= s->reply_key != slot;
}

/**
 * es_session_wipe() - end with a peer
 * @s: session; es_session_init() before it is used again
 *
 * Context: any; the channel's lock.
 */
void es_session_wipe(struct es_session *s)
{
	memzero_explicit(s, sizeof(*s));
}

/**
 * es_session_ready() - is there a session that the peer has confirmed?
 * @s: session
 *
 * Context: any; the channel's lock.
 * Return: true if there is
 */
bool es_session_ready(const struct es_session *s)
{
	return s->cur.live;
}

/**
 * es_session_wants_hello() - is there a handshake to begin or to finish?
 * @s: session
 *
 * Context: any; the channel's lock.
 * Return: true if there is
 */
bool es_session_wants_hello(const struct es_session *s)
{
	return !s->cur.live || s->cand.live;
}

/**
 * es_session_wants_key() - is the session to be replaced by one under the cluster key that is used now?
 * @s: session
 *
 * Context: any; the channel's lock.
 * Return: true until the peer has confirmed one. A peer without that key never does
 */
bool es_session_wants_key(const struct es_session *s)
{
	return s->cur.live && s->wish;
}

/**
 * es_session_key() - the cluster key that the session was made from
 * @s: session
 *
 * Context: any; the channel's lock.
 * Return: its slot, or -1 without a session
 */
int es_session_key(const struct es_session *s)
{
	return s->cur.live ? s->cur.key : -1;
}

static void put_head(const struct es_session *s, const struct es_key *k, struct head *h,
		     u8 type, size_t len)
{
	h->version = ES_WIRE_VERSION;
	h->type = type;
	h->from = s->self;
	h->to = s->peer;
	put_unaligned_be16(len, h->len);
	memset(h->zero, 0, sizeof(h->zero));
	memcpy(h->key_id, k->id, ES_KEY_ID_LEN);
}

/* The session that a HELLO is about; NULL: it only asks. */
static const struct es_session_keys *about(const struct es_session *s, const struct es_keys *k)
{
	if (s->cand.live && (!s->wish || s->cand.key + 1 == k->used))
		return &s->cand;
	return s->cur.live && !s->wish ? &s->cur : NULL;
}

/**
 * es_session_hello() - build the HELLO that is to be sent now
 * @s: session
 * @k: keys, one of them used
 * @buf: where to
 * @size: room in @buf, at least ES_SESSION_HELLO_LEN
 *
 * It answers if es_session_open() just said so; else it goes on with the
 * candidate, if there is one, else it asks for a session. With a live session,
 * which is right when the peer has fallen silent, it asks whether the peer still
 * has it: who has answers with a DATA, who has not with the second step.
 *
 * Context: any; the channel's lock.
 * Return: its length, or -ENOSPC.
 */
int es_session_hello(struct es_session *s, const struct es_keys *k, u8 *buf, size_t size)
{
	const struct es_session_keys *t = about(s, k);
	const struct es_key *key = t ? &k->key[t->key] : es_keys_used(k);
	struct hello *h = (struct hello *)buf;
	struct hello_body *b = &h->body;

	if (size < sizeof(*h))
		return -ENOSPC;
	memset(h, 0, sizeof(*h));
	get_random_bytes(h->xnonce, sizeof(h->xnonce));
	memcpy(b->fresh, s->nonce, sizeof(b->fresh));
	if (s->reply) {
		key = &k->key[s->reply_key];
		memcpy(b->mine, s->nonce, sizeof(b->mine));
		memcpy(b->yours, s->reply_to, sizeof(b->yours));
		b->flags = HELLO_REPLY;
		s->reply = false;
	} else if (t) {
		memcpy(b->mine, t->mine, sizeof(b->mine));
		memcpy(b->yours, t->yours, sizeof(b->yours));
	}
	put_head(s, key, &h->head, ES_SESSION_TYPE_HELLO, sizeof(*h));
	put_unaligned_be64(s->boot, b->boot);
	put_unaligned_be32(CAPS, b->caps);
	b->min = ES_WIRE_VERSION_MIN;
	b->max = ES_WIRE_VERSION;
	xchacha20poly1305_encrypt((u8 *)b, (u8 *)b, sizeof(*b), buf, HELLO_AD, h->xnonce,
				  key->hello);
	return sizeof(*h);
}

/**
 * es_session_seal() - make a DATA datagram around a payload
 * @s: session
 * @k: keys
 * @buf: ES_SESSION_HEAD bytes of room, the payload, ES_SESSION_TAIL bytes of room
 * @payload_len: length of the payload
 * @urgent: the receiver takes it before others
 * @seq: if not NULL, gets the datagram's number. It only grows, from session to
 *	session too, so that an acknowledgement can mean but one datagram
 *
 * Under the session if there is one, else under the candidate; under the
 * candidate once for each HELLO of the peer about it (see above).
 *
 * Context: any; the channel's lock.
 * Return: length of the datagram in @buf, -ENOTCONN if there is no session,
 *	-EMSGSIZE if the payload fits into no datagram.
 */
int es_session_seal(struct es_session *s, const struct es_keys *k, u8 *buf, size_t payload_len,
		    bool urgent, u64 *seq)
{
	struct es_session_keys *t = &s->cur;
	struct data *d = (struct data *)buf;
	size_t len = sizeof(*d) + payload_len + TAG_LEN;

	if (len > U16_MAX)
		return -EMSGSIZE;
	if (s->cand.live && (s->probe || !s->cur.live))
		t = &s->cand;
	if (!t->live)
		return -ENOTCONN;
	s->probe = false;

	put_head(s, &k->key[t->key], &d->head, ES_SESSION_TYPE_DATA | (urgent ? ES_SESSION_URGENT : 0), len);
	put_unaligned_be32(t->id, d->session);
	put_unaligned_be64(++s->tx_seq, d->seq);
	get_random_bytes(d->xnonce, sizeof(d->xnonce));
	xchacha20poly1305_encrypt(d->payload, d->payload, payload_len, buf, DATA_AD, d->xnonce,
				  t->tx);
	if (seq)
		*seq = s->tx_seq;
	return len;
}

/* Take a number if it is new. */
static bool window_take(struct es_session_keys *t, u64 seq)
{
	u64 word = seq / 64, top = t->rx_top / 64, bit = 1ULL << (seq % 64);

	if (!seq || (t->rx_top >= ES_SESSION_WINDOW && seq <= t->rx_top - ES_SESSION_WINDOW))
		return false;
	if (seq > t->rx_top) {
		if (word - top > ES_SESSION_WORDS)
			top = word - ES_SESSION_WORDS;
		while (top < word)
			t->rx_seen[++top % ES_SESSION_WORDS] = 0;
		t->rx_top = seq;
	}
	if (t->rx_seen[word % ES_SESSION_WORDS] & bit)
		return false;
	t->rx_seen[word % ES_SESSION_WORDS] |= bit;
	return true;
}

static bool is_pair(const struct es_session_keys *t, u8 slot, const struct hello_body *b)
{
	return t->live && t->key == slot && !memcmp(t->mine, b->yours, ES_NONCE_LEN) &&
	       !memcmp(t->yours, b->mine, ES_NONCE_LEN);
}

/* The peer echoed the nonce that waits: it is there now, and the nonce is used up. */
static int make_candidate(struct es_session *s, const struct es_keys *k, u8 slot,
			  const struct hello_body *b, struct es_opened *out)
{
	struct es_session_keys *t = &s->cand;

	out->version = b->max;
	out->caps = get_unaligned_be32(b->caps);
	if (b->min > ES_WIRE_VERSION || b->max < ES_WIRE_VERSION_MIN)
		return refuse(ESPSYNC_DROP_VERSION);

	memzero_explicit(t, sizeof(*t));
	t->key = slot;
	memcpy(t->mine, s->nonce, sizeof(t->mine));
	memcpy(t->yours, b->mine, sizeof(t->yours));
	t->boot = get_unaligned_be64(b->boot);
	t->caps = out->caps;
	t->version = min_t(u8, b->max, ES_WIRE_VERSION);
	out->version = t->version;
	derive_keys(s, k, t);
	t->live = true;
	fresh_nonce(s);

	s->probe = !(b->flags & HELLO_REPLY);
	s->reply = false;
	out->kind = ES_IN_HELLO_DONE;
	out->send_hello = b->flags & HELLO_REPLY;	/* else the peer has the pair from me */
	out->send_data = true;
	return 0;
}

/* Both these answers cost the same as what asked for them; still not more than so often. */
static bool may_answer(struct es_session *s, u64 now_ms)
{
	if (s->replied && now_ms - s->replied_ms < ES_SESSION_REPLY_MS)
		return false;
	s->replied = true;
	s->replied_ms = now_ms;
	return true;
}

static int open_hello(struct es_session *s, const struct es_keys *k, u8 slot, u8 *data, size_t len,
		      u64 now_ms, struct es_opened *out)
{
	struct hello *h = (struct hello *)data;
	struct hello_body *b = &h->body;
	bool known;

	if (len != sizeof(*h))
		return refuse(ESPSYNC_DROP_TRUNCATED);
	if (!xchacha20poly1305_decrypt((u8 *)b, (u8 *)b, sizeof(*b) + TAG_LEN, data, HELLO_AD,
				       h->xnonce, k->key[slot].hello))
		return refuse(ESPSYNC_DROP_AUTH);
	if (!memcmp(b->yours, s->nonce, ES_NONCE_LEN))
		return make_candidate(s, k, slot, b, out);
	if (b->flags & HELLO_REPLY)
		return refuse(ESPSYNC_DROP_REPLAY);
	if (!may_answer(s, now_ms))
		return refuse(ESPSYNC_DROP_RATE);

	known = is_pair(&s->cand, slot, b);
	if (known)
		s->probe = true;
	if (known || is_pair(&s->cur, slot, b)) {
		out->kind = ES_IN_HELLO_DONE;
		out->send_data = true;
		return 0;
	}
	memcpy(s->reply_to, b->fresh, ES_NONCE_LEN);
	s->reply = true;
	s->reply_key = slot;
	out->kind = ES_IN_HELLO_REPLY;
	out->send_hello = true;
	return 0;
}

/*
 * The candidate carried a DATA of the peer: it is the session now. What the peer sent under the one before, in the same life, may still be on its way.
 */
static void confirm(struct es_session *s, const struct es_keys *k, struct es_opened *out)
{
	out->new_session = true;
	out->new_boot = !s->have_boot || s->peer_boot != s->cand.boot;
	s->have_boot = true;
	s->peer_boot = s->cand.boot;
	if (out->new_boot)
		memzero_explicit(&s->prev, sizeof(s->prev));
	else
		memcpy(&s->prev, &s->cur, sizeof(s->prev));
	memcpy(&s->cur, &s->cand, sizeof(s->cur));
	memzero_explicit(&s->cand, sizeof(s->cand));
	s->probe = false;
	s->wish &= s->cur.key + 1 != k->used;
	fresh_nonce(s);
}

static bool open_under(const struct es_session_keys *t, u8 slot, u8 *data, size_t len)
{
	struct data *d = (struct data *)data;

	return t->live && t->key == slot && get_unaligned_be32(d->session) == t->id &&
	       xchacha20poly1305_decrypt(d->payload, d->payload, len - sizeof(*d), data, DATA_AD,
					 d->xnonce, t->rx);
}

static bool is_named(const struct es_session_keys *t, u32 id)
{
	return t->live && t->id == id;
}

/* A peer counts on through its sessions: what is too late for the one is so for the one before, which ends when all of it is. */
static bool outrun(const struct es_session *s, u64 seq)
{
	return s->cur.rx_top >= ES_SESSION_WINDOW && seq <= s->cur.rx_top - ES_SESSION_WINDOW;
}

static int open_data(struct es_session *s, const struct es_keys *k, u8 slot, u8 *data, size_t len,
		     struct es_opened *out)
{
	struct data *d = (struct data *)data;
	struct es_session_keys *t;
	u32 id;

	if (len < sizeof(*d) + TAG_LEN)
		return refuse(ESPSYNC_DROP_TRUNCATED);
	id = get_unaligned_be32(d->session);
	if (open_under(&s->cand, slot, data, len))
		t = &s->cand;
	else if (open_under(&s->cur, slot, data, len))
		t = &s->cur;
	else if (open_under(&s->prev, slot, data, len))
		t = &s->prev;
	else if (is_named(&s->cand, id) || is_named(&s->cur, id) || is_named(&s->prev, id))
		return refuse(ESPSYNC_DROP_AUTH);
	else	/* of a session that is over, as every restart leaves some: nothing can tell if it was genuine */
		return refuse(ESPSYNC_DROP_REPLAY);

	out->seq = get_unaligned_be64(d->seq);
	if ((t == &s->prev && outrun(s, out->seq)) || !window_take(t, out->seq))
		return refuse(ESPSYNC_DROP_REPLAY);
	if (t == &s->cand) {
		confirm(s, k, out);
		t = &s->cur;
	}
	out->kind = ES_IN_DATA;
	out->urgent = d->head.type & ES_SESSION_URGENT;
	out->version = t->version;
	out->caps = t->caps;
	out->data = d->payload;
	out->len = len - sizeof(*d) - TAG_LEN;
	if (s->prev.live && outrun(s, s->prev.rx_top))
		memzero_explicit(&s->prev, sizeof(s->prev));
	return 0;
}

/**
 * es_session_open() - decide whether a datagram is believed, and open it
 * @s: session with the peer that the datagram claims to be from
 * @k: keys
 * @data: the datagram; opened in place
 * @len: its length
 * @now_ms: a monotonic clock
 * @out: what it was and what to do
 *
 * Context: any; the channel's lock.
 * Return: 0, or -1 - enum espsync_drop; then nothing has changed, and of @out only
 *	@version means something.
 */
int es_session_open(struct es_session *s, const struct es_keys *k, u8 *data, size_t len,
		    u64 now_ms, struct es_opened *out)
{
	struct head *h = (struct head *)data;
	int slot;

	memset(out, 0, sizeof(*out));
	if (!len)
		return refuse(ESPSYNC_DROP_TRUNCATED);
	if (h->version != ES_WIRE_VERSION)
		return refuse(ESPSYNC_DROP_VERSION);
	if (len < sizeof(*h) || len != get_unaligned_be16(h->len))
		return refuse(ESPSYNC_DROP_TRUNCATED);
	slot = es_keys_by_id(k, h->key_id);
	if (slot < 0)
		return refuse(ESPSYNC_DROP_KEY_ID);
	if (h->from != s->peer || h->to != s->self)
		return refuse(ESPSYNC_DROP_UNKNOWN_PEER);
	switch (h->type & ~ES_SESSION_URGENT) {
	case ES_SESSION_TYPE_HELLO:
		return open_hello(s, k, slot, data, len, now_ms, out);
	case ES_SESSION_TYPE_DATA:
		return open_data(s, k, slot, data, len, out);
	default:
		return refuse(ESPSYNC_DROP_VERSION);
	}
}
