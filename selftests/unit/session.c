// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../kmod/keys.c ../../kmod/session.c
/*
 * session.c - the handshake and the replay window, against a bad network.
 *
 * Job: first the steps one by one, then thousands of random lives of two nodes:
 * loss, delay, duplicates, restarts, dropped sessions, cluster keys that are added,
 * used and deleted, and somebody who plays back, cuts and changes what it
 * recorded. In each of them, at each datagram:
 *  - what was refused has changed nothing, and a HELLO has not touched the session;
 *  - no payload is taken twice, by however many lives of a node;
 *  - what is taken was sent in the life that the session was made with;
 * and when the network is good again both sides come to the same session and
 * stay in it, while the playing back goes on.
 *
 * UNIT_SEED=N repeats a run, UNIT_ROUNDS=N makes it longer.
 */
#include <linux/espsync.h>

#include "ktap.h"
#include "random.h"
#include "session.h"

/* In the kernel nonces are its own: there a seed repeats the network only. */
#ifndef __KERNEL__
void get_random_bytes(void *buf, size_t len)
{
	for (u8 *p = buf; len--; p++)
		*p = rnd();
}
#endif

#define DGRAM_MAX 200

struct dgram {
	int to;			/* 0 or 1 */
	u64 at;			/* ms */
	size_t len;
	u8 b[DGRAM_MAX];
};

/* What a DATA says. */
struct words {
	u64 id;
	u64 boot;
};

/* ---- the steps, by hand ---- */

static struct es_keys keys, keys2;
static struct es_session n1, n2;
static struct es_opened out;
static u8 buf[DGRAM_MAX];
static u64 clock_ms;

static const u8 old_key[ES_KEY_LEN] = { 7 }, new_key[ES_KEY_LEN] = { 8 }, third_key[ES_KEY_LEN] = { 9 };

static struct es_keys *keys_of(const struct es_session *s);

static void begin(void)
{
	es_keys_set(&keys, old_key);
	es_keys_set(&keys2, old_key);
	es_session_init(&n1, 1, 2, 0x11);
	es_session_init(&n2, 2, 1, 0x22);
	clock_ms = 1000;
}

static struct dgram hello(struct es_session *s)
{
	struct dgram d = { .len = ES_SESSION_HELLO_LEN };
	int n = es_session_hello(s, keys_of(s), d.b, sizeof(d.b));

	assert(n == ES_SESSION_HELLO_LEN);
	return d;
}

static struct dgram words(struct es_session *s, u64 id)
{
	struct words w = { .id = id, .boot = s->boot };
	struct dgram d = { 0 };
	int n;

	memcpy(d.b + ES_SESSION_HEAD, &w, sizeof(w));
	n = es_session_seal(s, keys_of(s), d.b, sizeof(w), id % 2, NULL);
	assert(n < 0 || n == (int)sizeof(w) + ES_SESSION_HEAD + ES_SESSION_TAIL);
	d.len = n < 0 ? 0 : n;
	return d;
}

static int take(struct es_session *s, const struct dgram *d)
{
	clock_ms += ES_SESSION_REPLY_MS;
	memcpy(buf, d->b, d->len);
	return es_session_open(s, keys_of(s), buf, d->len, clock_ms, &out);
}

#define REFUSED(why) (-1 - ESPSYNC_DROP_##why)

/* All steps in order, and what each tells the caller to do. */
static bool test_steps(void)
{
	struct dgram d;

	begin();
	ktap_expect(es_session_wants_hello(&n1));
	ktap_expect(!words(&n1, 1).len);
	ktap_expect(es_session_seal(&n1, &keys, buf, 8, false, NULL) == -ENOTCONN);
	ktap_expect(es_session_hello(&n1, &keys, buf, ES_SESSION_HELLO_LEN - 1) == -ENOSPC);

	d = hello(&n1);
	ktap_expect(!take(&n2, &d) && out.kind == ES_IN_HELLO_REPLY && out.send_hello && !out.send_data);
	ktap_expect(!n2.cand.live);
	d = hello(&n2);
	ktap_expect(!take(&n1, &d) && out.kind == ES_IN_HELLO_DONE && out.send_hello && out.send_data);
	ktap_expect(out.version == ES_WIRE_VERSION && !es_session_ready(&n1));
	d = hello(&n1);
	ktap_expect(!take(&n2, &d) && out.kind == ES_IN_HELLO_DONE && !out.send_hello && out.send_data);
	d = words(&n2, 1);
	ktap_expect(!take(&n1, &d) && out.kind == ES_IN_DATA && out.new_session && out.new_boot && out.urgent);
	ktap_expect(out.seq == 1 && out.len == sizeof(struct words) && es_session_ready(&n1));
	ktap_expect(!es_session_wants_hello(&n1) && es_session_wants_hello(&n2));
	d = words(&n1, 2);
	ktap_expect(!take(&n2, &d) && out.new_session && out.new_boot && !out.urgent);
	ktap_expect(!es_session_wants_hello(&n2));
	d = words(&n1, 3);
	ktap_expect(!take(&n2, &d) && !out.new_session && out.seq == 2);
	return true;
}

static void connect(void)
{
	struct dgram d;

	d = hello(&n1), take(&n2, &d);
	d = hello(&n2), take(&n1, &d);
	d = hello(&n1), take(&n2, &d);
	d = words(&n2, 1), take(&n1, &d);
	d = words(&n1, 2), take(&n2, &d);
}

/* A new handshake of nodes that lost nothing but keys says so, and ends nothing before its DATA. */
static bool test_again(void)
{
	struct dgram d, old;

	begin();
	connect();
	old = words(&n1, 3);
	es_session_drop(&n1);
	d = hello(&n1), take(&n2, &d);
	d = hello(&n2), take(&n1, &d);
	d = hello(&n1), take(&n2, &d);
	ktap_expect(n1.cand.live && n2.cand.live && n2.cur.live);
	ktap_expect(!take(&n2, &old) && !out.new_session);
	d = words(&n2, 4);	/* the probe */
	ktap_expect(!take(&n1, &d) && out.new_session && !out.new_boot);
	d = words(&n2, 5);	/* n2 has not heard of it yet */
	ktap_expect(take(&n1, &d) == REFUSED(REPLAY));
	d = words(&n1, 6);
	ktap_expect(!take(&n2, &d) && out.new_session && !out.new_boot);
	ktap_expect(take(&n2, &old) == REFUSED(REPLAY));

	es_session_init(&n1, 1, 2, 0x33);
	connect();
	d = words(&n1, 7);
	ktap_expect(n2.peer_boot == 0x33 && !take(&n2, &d) && n1.peer_boot == 0x22);
	return true;
}

/* Whatever is changed, cut or made longer is refused, and nothing else changes. */
static bool test_damage(void)
{
	struct dgram good[2], d;
	struct es_session before;

	begin();
	connect();
	good[0] = words(&n1, 9);
	good[1] = hello(&n1);
	for (int g = 0; g < 2; g++) {
		for (size_t i = 0; i < good[g].len * 8; i++) {
			d = good[g];
			d.b[i / 8] ^= 1 << i % 8;
			before = n2;
			ktap_expect(take(&n2, &d) < 0 && !memcmp(&before, &n2, sizeof(n2)));
			ktap_expect(!out.version);
		}
		for (size_t i = 0; i < good[g].len; i++) {
			d = good[g];
			d.len = i;
			before = n2;
			ktap_expect(take(&n2, &d) == REFUSED(TRUNCATED) && !memcmp(&before, &n2, sizeof(n2)));
		}
		d = good[g];
		d.len++;
		ktap_expect(take(&n2, &d) == REFUSED(TRUNCATED));
		d = good[g], d.b[0] = 2;
		ktap_expect(take(&n2, &d) == REFUSED(VERSION));
		d = good[g], d.b[1] = 7;
		ktap_expect(take(&n2, &d) == REFUSED(VERSION));
		d = good[g], d.b[2] = 3;
		ktap_expect(take(&n2, &d) == REFUSED(UNKNOWN_PEER));
		d = good[g], d.b[3] = 3;
		ktap_expect(take(&n2, &d) == REFUSED(UNKNOWN_PEER));
		d = good[g], d.b[9] ^= 1;
		ktap_expect(take(&n2, &d) == REFUSED(KEY_ID));
		d = good[g], d.b[d.len - 1] ^= 1;
		ktap_expect(take(&n2, &d) == REFUSED(AUTH));
		ktap_expect(take(&n1, &good[g]) == REFUSED(UNKNOWN_PEER));	/* sent back */
	}
	ktap_expect(!take(&n2, &good[0]));
	ktap_expect(take(&n2, &good[0]) == REFUSED(REPLAY));
	return true;
}

/* A header cut to @len that says so itself is refused as well. */
static bool test_short(void)
{
	struct dgram d;

	begin();
	connect();
	for (int type = 1; type <= 2; type++) {
		for (size_t len = 16; len < 120; len++) {
			bool good;

			d = type == 1 ? hello(&n1) : words(&n1, 1);
			good = d.len == len;
			d.len = len;
			d.b[4] = 0;
			d.b[5] = len;
			ktap_expect(good || take(&n2, &d) < 0);
		}
	}
	return true;
}

static bool test_window(void)
{
	static const struct { u64 back; int want; } rows[] = {
		{ 0, REFUSED(REPLAY) },
		{ ES_SESSION_WINDOW - 1, 0 },
		{ ES_SESSION_WINDOW - 1, REFUSED(REPLAY) },
		{ ES_SESSION_WINDOW, REFUSED(REPLAY) },
		{ ES_SESSION_WINDOW + 1, REFUSED(REPLAY) },
		{ 1, 0 }, { 1, REFUSED(REPLAY) },
		{ 63, 0 }, { 64, 0 }, { 65, 0 }, { 64, REFUSED(REPLAY) },
	};
	static struct dgram sent[3 * ES_SESSION_WINDOW + 1];
	size_t top = 3 * ES_SESSION_WINDOW;

	begin();
	connect();
	for (size_t i = 0; i <= top; i++)
		sent[i] = words(&n1, i);
	ktap_expect(!take(&n2, &sent[5]) && !take(&n2, &sent[4]) && !take(&n2, &sent[top]));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int got = take(&n2, &sent[top - rows[i].back]);

		if (got != rows[i].want)
			ktap_diag("row %zu: %d, not %d", i, got, rows[i].want);
		ktap_expect(got == rows[i].want);
	}
	return true;
}

/* Every HELLO of a connection's making, played back to both, and all answers delivered. */
static bool test_playback(void)
{
	static struct dgram tape[64];
	size_t n = 0;

	begin();
	for (int i = 0; i < 3; i++) {
		es_session_init(&n1, 1, 2, i);
		tape[n] = hello(&n1), take(&n2, &tape[n++]);
		tape[n] = hello(&n2), take(&n1, &tape[n++]);
		tape[n] = hello(&n1), take(&n2, &tape[n++]);
		tape[n] = words(&n2, 1), take(&n1, &tape[n++]);
		tape[n] = words(&n1, 2), take(&n2, &tape[n++]);
	}
	for (size_t i = 0; i < n; i++) {
		for (int j = 0; j < 2; j++) {
			struct es_session *to = j ? &n1 : &n2, *other = j ? &n2 : &n1;
			struct es_session_keys cur = to->cur, theirs = other->cur;
			struct dgram answer;

			if (!take(to, &tape[i])) {
				ktap_expect(out.kind != ES_IN_DATA);
				if (out.send_hello) {
					answer = hello(to);
					ktap_expect(take(other, &answer) == REFUSED(REPLAY));
				}
			}
			ktap_expect(!to->cand.live && !other->cand.live);
			ktap_expect(!memcmp(&cur, &to->cur, sizeof(cur)));
			ktap_expect(!memcmp(&theirs, &other->cur, sizeof(cur)));
		}
	}
	return true;
}

/* To ask a peer that is there makes nothing new; to ask one that has restarted makes a session. */
static bool test_silence(void)
{
	struct dgram asked, d;

	begin();
	connect();
	asked = hello(&n1);
	ktap_expect(!take(&n2, &asked) && out.kind == ES_IN_HELLO_DONE && out.send_data && !out.send_hello);
	ktap_expect(!n2.cand.live && !n2.reply);
	d = words(&n2, 3);
	ktap_expect(!take(&n1, &d) && !out.new_session);

	es_session_init(&n2, 2, 1, 0x33);
	ktap_expect(!take(&n2, &asked) && out.kind == ES_IN_HELLO_REPLY);
	d = hello(&n2);
	ktap_expect(!take(&n1, &d) && out.send_hello && n1.cand.live && n1.cur.live);
	d = hello(&n1), take(&n2, &d);
	d = words(&n2, 4);
	ktap_expect(!take(&n1, &d) && out.new_session && out.new_boot);
	return true;
}

static bool test_reply_rate(void)
{
	struct dgram d;
	int answers = 0;

	begin();
	for (u64 now = 0; now < 1000; now++) {
		d = hello(&n1);
		memcpy(buf, d.b, d.len);
		if (!es_session_open(&n2, &keys, buf, d.len, now, &out))
			answers++;
	}
	ktap_expect(answers == 1000 / ES_SESSION_REPLY_MS);
	return true;
}

/* The newer module's HELLO: only one that echoes is believed about versions. */
static bool test_versions(void)
{
	struct dgram d, newer;
	struct es_session before;

	begin();
	d = hello(&n2), take(&n1, &d);	/* n1 answers ... */
	d = newer = hello(&n1);
	ktap_expect(xchacha20poly1305_decrypt(newer.b + 40, newer.b + 40, 80, newer.b, 16, newer.b + 16, es_keys_used(&keys)->hello));
	newer.b[100] = 2;
	newer.b[101] = 3;
	xchacha20poly1305_encrypt(newer.b + 40, newer.b + 40, 64, newer.b, 16, newer.b + 16, es_keys_used(&keys)->hello);
	before = n2;
	ktap_expect(take(&n2, &newer) == REFUSED(VERSION) && out.version == 3);
	ktap_expect(!memcmp(&before, &n2, sizeof(n2)));
	ktap_expect(!take(&n2, &d) && n2.cand.live);	/* ... and the true one still counts */
	ktap_expect(take(&n2, &newer) == REFUSED(REPLAY) && !out.version);
	return true;
}

static bool test_drop(void)
{
	struct dgram d;
	static const u8 zero[sizeof(struct es_keys) + sizeof(struct es_session_keys)];

	begin();
	connect();
	d = words(&n1, 3);
	es_session_drop(&n2);
	ktap_expect(!es_session_ready(&n2) && !memcmp(&n2.cur, zero, sizeof(n2.cur)));
	ktap_expect(take(&n2, &d) == REFUSED(REPLAY));
	connect();
	ktap_expect(es_session_ready(&n1) && es_session_ready(&n2));
	es_keys_wipe(&keys);
	es_session_wipe(&n2);
	ktap_expect(!memcmp(&keys, zero, sizeof(keys)) && !memcmp(&n2.cur, zero, sizeof(n2.cur)));
	return true;
}

static bool heard(struct es_session *to, const struct dgram *d)
{
	return !take(to, d) && out.kind == ES_IN_DATA;
}

static void use(struct es_session *s, u8 number)
{
	struct es_keys *k = keys_of(s);

	es_keys_use(k, es_keys_find(k, number));
	es_session_rekey(s);
}

static void del(struct es_session *s, u8 number)
{
	struct es_keys *k = keys_of(s);
	struct es_key *key = es_keys_find(k, number);

	es_session_unkey(s, es_keys_slot(k, key));
	es_keys_del(key);
}

/* Both have both, one uses the new one, then the other: nothing that anybody sends is refused. */
static bool test_rotation(void)
{
	struct dgram d, before, late;

	begin();
	connect();
	/* in other slots here and there */
	ktap_expect(es_keys_add(&keys, 1, new_key) && es_keys_add(&keys2, 9, third_key) && es_keys_add(&keys2, 1, new_key));
	use(&n1, 1);
	ktap_expect(es_session_wants_key(&n1) && !es_session_wants_hello(&n1));
	before = words(&n1, 3);
	d = hello(&n1);
	ktap_expect(!take(&n2, &d) && out.kind == ES_IN_HELLO_REPLY);
	d = hello(&n2);
	ktap_expect(!take(&n1, &d) && out.kind == ES_IN_HELLO_DONE);
	d = hello(&n1);
	ktap_expect(!take(&n2, &d) && n1.cand.live && n2.cand.live);
	d = words(&n2, 4);	/* the probe */
	late = words(&n2, 5);	/* n2 goes on as before */
	ktap_expect(heard(&n1, &d) && out.new_session && !out.new_boot);
	ktap_expect(heard(&n1, &late) && !out.new_session && take(&n1, &late) == REFUSED(REPLAY));
	ktap_expect(heard(&n2, &before) && !out.new_session);
	late = words(&n2, 6);
	d = words(&n1, 7);
	ktap_expect(heard(&n2, &d) && out.new_session && !out.new_boot);
	ktap_expect(heard(&n1, &late) && take(&n2, &before) == REFUSED(REPLAY));
	ktap_expect(!es_session_wants_key(&n1) && !es_session_wants_hello(&n2));
	use(&n2, 1);
	d = hello(&n2), take(&n1, &d);
	d = hello(&n1), take(&n2, &d);
	ktap_expect(n2.cand.live && n2.cand.key == n2.cur.key && n2.prev.live);
	del(&n1, 0), del(&n2, 0);
	d = words(&n1, 8);
	ktap_expect(heard(&n2, &d));
	ktap_expect(take(&n2, &before) == REFUSED(KEY_ID) && !n2.prev.live);
	return true;
}

/* One does not have the new key: it is not cut off, and says so itself by what it seals with. */
static bool test_old_key_only(void)
{
	struct dgram d;

	begin();
	connect();
	es_keys_add(&keys, 1, new_key);
	use(&n1, 1);
	for (int i = 0; i < 3; i++) {
		d = hello(&n1);
		ktap_expect(take(&n2, &d) == REFUSED(KEY_ID));
		d = words(&n1, 3);
		ktap_expect(heard(&n2, &d));
		d = words(&n2, 4);
		ktap_expect(heard(&n1, &d) && es_session_wants_key(&n1));
		ktap_expect(keys.key[es_session_key(&n1)].number == 0);
	}
	es_session_init(&n2, 2, 1, 0x33);	/* and it comes back after a restart */
	d = hello(&n2);
	ktap_expect(!take(&n1, &d) && out.kind == ES_IN_HELLO_REPLY);
	d = hello(&n1), take(&n2, &d);
	d = hello(&n2), take(&n1, &d);
	d = words(&n1, 5);
	ktap_expect(heard(&n2, &d));
	d = words(&n2, 6);
	ktap_expect(heard(&n1, &d) && out.new_boot && !n1.prev.live && es_session_wants_key(&n1));
	return true;
}

/* The session before the present one takes what is late, not what is old. */
static bool test_late(void)
{
	static struct dgram old[4];
	struct dgram d;

	begin();
	connect();
	for (int i = 0; i < 4; i++)
		old[i] = words(&n1, i);
	es_keys_add(&keys, 1, new_key), es_keys_add(&keys2, 1, new_key);
	use(&n2, 1);
	d = hello(&n2), take(&n1, &d);
	d = hello(&n1), take(&n2, &d);
	d = hello(&n2), take(&n1, &d);
	d = words(&n1, 5);
	ktap_expect(heard(&n2, &d) && out.new_session && n2.prev.live);
	ktap_expect(heard(&n2, &old[3]));
	d = words(&n2, 6), take(&n1, &d);
	for (u64 i = 0; i < ES_SESSION_WINDOW - 3; i++)
		d = words(&n1, i);
	ktap_expect(heard(&n2, &d) && n2.prev.live);
	ktap_expect(heard(&n2, &old[2]) && take(&n2, &old[0]) == REFUSED(REPLAY));
	d = words(&n1, 7), d = words(&n1, 8), d = words(&n1, 9);
	ktap_expect(heard(&n2, &d) && !n2.prev.live && take(&n2, &old[1]) == REFUSED(REPLAY));
	return true;
}

static bool test_keys(void)
{
	u8 key[ES_KEY_LEN] = { 1 };
	struct es_key *other;

	es_keys_wipe(&keys);
	ktap_expect(!es_keys_used(&keys) && !es_keys_find(&keys, 0));
	for (u8 i = 0; i < ES_MAX_KEYS; i++) {
		key[1] = i;
		ktap_expect(!es_keys_same(&keys, key) && es_keys_add(&keys, 200 + i, key) == &keys.key[i]);
		ktap_expect(es_keys_same(&keys, key) == &keys.key[i] && es_keys_find(&keys, 200 + i) == &keys.key[i]);
		ktap_expect(es_keys_by_id(&keys, keys.key[i].id) == i && !es_keys_used(&keys));
	}
	key[1] = 100;
	ktap_expect(!es_keys_add(&keys, 7, key));
	ktap_expect(memcmp(keys.key[0].id, keys.key[1].id, ES_KEY_ID_LEN) && memcmp(keys.key[0].hello, keys.key[1].hello, ES_KEY_LEN));
	other = es_keys_find(&keys, 201);
	es_keys_use(&keys, other);
	es_keys_del(es_keys_find(&keys, 202));
	ktap_expect(es_keys_used(&keys) == other && !es_keys_find(&keys, 202) && es_keys_add(&keys, 7, key) == &keys.key[2]);
	es_keys_set(&keys, old_key);
	ktap_expect(es_keys_used(&keys) == es_keys_find(&keys, 0) && !es_keys_find(&keys, 201) && !es_keys_same(&keys, key));
	return true;
}

/* ---- random lives ---- */

#define IN_FLIGHT	512
#define TAPE		1024
#define WORDS_MAX	20000

struct world {
	u64 now;
	u32 loss, dup, delay;		/* percent, percent, ms */
	u32 playback;			/* per 1000 ms */
	bool damage;
	struct es_session s[2];
	u64 heard[2], say_at[2], hello_at[2];
	u32 hello_every;
	u32 sessions;			/* confirmed, by either */
	struct es_keys keys[2];
	u8 agreed;			/* number of the key that both are to use in the end */
	u64 ids;
	u8 taken[WORDS_MAX];
	struct dgram air[IN_FLIGHT], tape[TAPE];
	u32 flying;
	u64 taped;
	const char *wrong;
};

static struct world w;

static struct es_keys *keys_of(const struct es_session *s)
{
	if (s == &w.s[0] || s == &w.s[1])
		return &w.keys[s - w.s];
	return s == &n1 ? &keys : &keys2;
}

static void fly(int to, const struct dgram *d)
{
	struct dgram *slot;

	if (w.flying == IN_FLIGHT)
		return;
	slot = &w.air[w.flying++];
	*slot = *d;
	slot->to = to;
	slot->at = w.now + (w.delay ? below(w.delay) : 0);
}

static void send(int from, struct dgram d)
{
	if (!d.len)
		return;
	d.to = !from;
	w.tape[w.taped++ % TAPE] = d;
	if (below(100) >= w.loss)
		fly(!from, &d);
	if (below(100) < w.dup)
		fly(!from, &d);
}

static void say(int from)
{
	if (w.ids < WORDS_MAX)
		send(from, words(&w.s[from], w.ids++));
}

static void check_words(int to, const struct es_opened *o)
{
	const struct es_session *s = &w.s[to];
	struct words said;

	if (o->len != sizeof(said)) {
		w.wrong = "a payload of another length";
		return;
	}
	memcpy(&said, o->data, sizeof(said));
	if (said.id >= w.ids)
		w.wrong = "a payload that nobody sent";
	else if (w.taken[said.id]++)
		w.wrong = "a payload taken twice";
	else if (said.boot != s->cur.boot || said.boot != s->peer_boot)
		w.wrong = "a payload of another life than the session's";
}

static void arrive(const struct dgram *d)
{
	struct es_session *s = &w.s[d->to], before = *s;
	struct es_opened o;
	u8 b[DGRAM_MAX];
	int err;

	memcpy(b, d->b, d->len);
	err = es_session_open(s, keys_of(s), b, d->len, w.now, &o);
	if (err) {
		if (memcmp(&before, s, sizeof(*s)))
			w.wrong = "a refused datagram changed something";
		return;
	}
	if (o.kind == ES_IN_DATA) {
		w.heard[d->to] = w.now;
		w.sessions += o.new_session;
		if (o.new_session && o.new_boot == (before.have_boot && before.peer_boot == s->peer_boot))
			w.wrong = "new_boot is wrong";
		if (!o.new_session && memcmp(before.cur.mine, s->cur.mine, ES_NONCE_LEN))
			w.wrong = "a session that nobody was told of";
		check_words(d->to, &o);
		return;
	}
	if (memcmp(&before.cur, &s->cur, sizeof(s->cur)))
		w.wrong = "a HELLO touched the session";
	if (o.send_hello)
		send(d->to, hello(s));
	if (o.send_data)
		say(d->to);
}

static void play_back(void)
{
	u64 n = min_t(u64, w.taped, TAPE);
	struct dgram d;

	if (!n || below(1000) >= w.playback)
		return;
	d = w.tape[below(n)];
	if (w.damage && below(2)) {
		if (below(2))
			d.b[below(d.len)] ^= 1 << below(8);
		else
			d.len = below(d.len);
	}
	fly(below(4) ? d.to : !d.to, &d);
}

static void tick(void)
{
	w.now++;
	for (int i = 0; i < 2; i++) {
		if (w.now >= w.say_at[i]) {
			w.say_at[i] = w.now + 40 + below(20);
			say(i);
		}
		if (w.now >= w.hello_at[i]) {
			w.hello_at[i] = w.now + w.hello_every / 2 + below(w.hello_every);
			if (es_session_wants_hello(&w.s[i]) || es_session_wants_key(&w.s[i]) || w.now - w.heard[i] > 300)
				send(i, hello(&w.s[i]));
		}
	}
	play_back();
	for (u32 i = 0; i < w.flying;) {
		struct dgram d = w.air[i];

		if (d.at > w.now) {
			i++;
			continue;
		}
		w.air[i] = w.air[--w.flying];
		arrive(&d);
	}
}

static void restart(int i)
{
	es_session_init(&w.s[i], i + 1, 2 - i, rnd());
	w.heard[i] = w.now;
}

static bool same_session(void)
{
	const struct es_session *a = &w.s[0], *b = &w.s[1];

	return es_session_ready(a) && es_session_ready(b) && !a->cand.live && !b->cand.live &&
	       !a->wish && !b->wish && w.keys[0].key[a->cur.key].number == w.agreed && a->cur.id == b->cur.id && !memcmp(a->cur.tx, b->cur.rx, ES_KEY_LEN) &&
	       !memcmp(a->cur.rx, b->cur.tx, ES_KEY_LEN) && memcmp(a->cur.tx, a->cur.rx, ES_KEY_LEN);
}

/* An operator who knows nothing of the other node. */
static void change_keys(int i)
{
	struct es_keys *k = &w.keys[i];
	u8 number = below(2);
	struct es_key *key = es_keys_find(k, number);

	if (!key)
		es_keys_add(k, number, number ? new_key : old_key);
	else if (es_keys_used(k) != key && below(2))
		del(&w.s[i], number);
	else
		use(&w.s[i], number);
}

/* In the end one who has looked: each has both, and is told which one to use. */
static void agree(void)
{
	w.agreed = below(2);
	for (int i = 0; i < 2; i++) {
		if (!es_keys_find(&w.keys[i], 0))
			es_keys_add(&w.keys[i], 0, old_key);
		if (!es_keys_find(&w.keys[i], 1))
			es_keys_add(&w.keys[i], 1, new_key);
		use(&w.s[i], w.agreed);
	}
}

static bool chaos(void)
{
	u64 end = w.now + 500 + below(5000);
	u32 trouble = below(8);	/* per 4096 ticks and kind */

	w.loss = below(4) ? below(60) : below(100);
	w.dup = below(30);
	w.delay = below(3) ? below(50) : below(600);
	w.playback = below(2) ? below(50) : below(500);
	w.damage = below(2);
	w.hello_every = 30 + below(200);
	while (w.now < end && !w.wrong) {
		tick();
		if (below(4096) < trouble)
			restart(below(2));
		if (below(4096) < trouble)
			es_session_drop(&w.s[below(2)]);
		if (below(4096) < trouble)
			change_keys(below(2));
	}
	agree();
	return !w.wrong;
}

/* The network is fair again, the playing back goes on: how long until they agree. */
static bool heal(u64 limit)
{
	u64 end = w.now + limit;

	w.loss = below(20);
	w.delay = below(60);
	w.playback = below(20);
	while (w.now < end && !same_session() && !w.wrong)
		tick();
	return !w.wrong && same_session();
}

/* Nothing is lost: no playing back may make them leave the session that they have. */
static bool stay(void)
{
	u64 end;
	u32 before;

	w.loss = 0;
	w.playback = below(200);
	end = w.now + 1000;	/* what was asked in the bad times arrives */
	while (w.now < end && !w.wrong)
		tick();
	if (!heal(5000))
		return false;
	w.loss = 0;
	before = w.sessions;
	end = w.now + 2000;
	while (w.now < end && !w.wrong) {
		tick();
		if (w.now - w.heard[0] > 300 || w.now - w.heard[1] > 300)
			w.wrong = "DATA does not arrive in the session";
	}
	if (!w.wrong && (w.sessions != before || !same_session()))
		w.wrong = "a session was left without a reason";
	return !w.wrong;
}

static bool life(u64 seed)
{
	rng = seed;
	memset(&w, 0, sizeof(w));
	begin();
	w.now = 1;
	es_keys_set(&w.keys[0], old_key);
	es_keys_set(&w.keys[1], old_key);
	restart(0);
	restart(1);
	if (!chaos())
		return false;
	if (!heal(5000)) {
		if (!w.wrong)
			w.wrong = "no common session after 5 s of a fair network";
		return false;
	}
	w.heard[0] = w.heard[1] = w.now;
	return stay();
}

static bool test_lives(void)
{
	u64 seed = ktap_seed(), runs = ktap_rounds(1000), sessions = 0, taken = 0;

	ktap_diag("seed %llu, %llu runs", seed, runs);
	for (u64 i = 0; i < runs; i++) {
		if (!life(seed + i)) {
			ktap_diag("UNIT_SEED=%llu UNIT_ROUNDS=1, at %llu ms: %s", seed + i, w.now,
				  w.wrong ? w.wrong : "does not come to rest");
			return false;
		}
		sessions += w.sessions;
		for (u64 j = 0; j < w.ids; j++)
			taken += w.taken[j];
	}
	ktap_diag("%llu sessions confirmed, %llu payloads taken", sessions, taken);
	ktap_expect(sessions > runs && taken > 10 * runs);
	return true;
}

static const struct ktap_case cases[] = {
	{ "steps: what each datagram of a handshake is and asks for", test_steps },
	{ "again: a second handshake ends the session with its first DATA, not before", test_again },
	{ "damage: every bit flipped, every length cut", test_damage },
	{ "short: lengths that agree and are too small", test_short },
	{ "window: a datagram is taken once, and not from before the window", test_window },
	{ "playback: no recorded HELLO makes anything", test_playback },
	{ "silence: to ask a peer that is there makes nothing new", test_silence },
	{ "reply-rate: a flood of HELLOs is answered 20 times a second", test_reply_rate },
	{ "versions: another wire version is told apart from a forged one", test_versions },
	{ "drop: keys are gone at once", test_drop },
	{ "keys: a few, each in its slot, one of them used", test_keys },
	{ "rotation: while keys change nothing is refused", test_rotation },
	{ "old key only: who does not have the new key is not cut off, and asked in vain", test_old_key_only },
	{ "late: the session before takes what is late, not what is old", test_late },
	{ "lives: random networks, restarts and playing back", test_lives },
};

KTAP_MAIN(cases)
