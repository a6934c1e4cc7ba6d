// SPDX-License-Identifier: GPL-2.0
/*
 * session.c - two nodes and everybody else on their network: handshake and datagrams of kmod/session.c.
 *
 * Job: an input is a list of steps: nodes speak, time passes, they restart, change cluster keys; what was said is delivered, twice, late, damaged; a stranger
 * without the key sends bytes, or seals with a key of his own; an insider with the key sends any HELLO and any DATA. At each datagram:
 *  - what was refused has changed nothing, and a HELLO has not touched the session;
 *  - nothing of a stranger, and nothing damaged, is ever taken;
 *  - no number is taken twice in a session, no payload twice at all.
 * When no insider has spoken the nodes come to a session in the end, and understand each other.
 *
 * The primitives are the unit test's; the key is made of the input, so that a tag learned from one run is worth nothing in the next.
 */
#include <linux/espsync.h>
#include <sanitizer/asan_interface.h>

#include "fuzz.h"
#include "pure.h"

/* Not measured and not watched, for they are most of the work; so what they are told to read and write is looked at before. */
#pragma clang attribute push(__attribute__((no_sanitize("address", "undefined", "coverage"))), apply_to = function)
#include "../unit/crypt_stub.h"
#pragma clang attribute pop

static bool watched_decrypt(u8 *dst, const u8 *src, size_t len, const u8 *ad, size_t ad_len, const u8 *nonce, const u8 *key)
{
	must(!__asan_region_is_poisoned((void *)src, len) && !__asan_region_is_poisoned((void *)ad, ad_len));
	must(!__asan_region_is_poisoned((void *)nonce, 24) && !__asan_region_is_poisoned((void *)key, 32));
	return xchacha20poly1305_decrypt(dst, src, len, ad, ad_len, nonce, key);
}

static void watched_encrypt(u8 *dst, const u8 *src, size_t len, const u8 *ad, size_t ad_len, const u8 *nonce, const u8 *key)
{
	must(!__asan_region_is_poisoned((void *)dst, len + 16) && !__asan_region_is_poisoned((void *)ad, ad_len));
	xchacha20poly1305_encrypt(dst, src, len, ad, ad_len, nonce, key);
}

#define xchacha20poly1305_decrypt watched_decrypt
#define xchacha20poly1305_encrypt watched_encrypt
#include "../../kmod/keys.c"
#include "../../kmod/session.c"

#define TAPE		64
#define DGRAM_MAX	320
#define TAKEN		512
#define BODY		64	/* of a HELLO, sealed, without its tag */
#define HELLO_AT	40
#define NOBODYS		U64_MAX	/* an insider's payload */

static u64 rng;

void get_random_bytes(void *buf, size_t len)
{
	for (u8 *p = buf; len--; p++) {
		u64 z = (rng += 0x9e3779b97f4a7c15ULL);

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
		*p = z >> 56 ^ z >> 20;
	}
}

struct dgram {
	size_t len;
	u8 b[DGRAM_MAX];
};

/* What a DATA says; also what is noted of each that was taken. */
struct words {
	u64 id;
	u64 boot;
};

struct number {
	int by;
	u8 mine[ES_NONCE_LEN];
	u64 seq;
};

static struct es_keys keys, wrong, ring[2];	/* both true keys, a stranger's, what each node has loaded */
static struct es_session node[2];
static struct dgram tape[TAPE];
static struct number numbers[TAKEN];
static u8 taken[TAKEN];
static unsigned int taped, n_numbers;
static u64 ids, now_ms, heard_ms[2];
static bool insider;

static void begin(const uint8_t *data, size_t size)
{
	u8 key[ES_KEY_LEN];

	rng = digest(data, size);
	get_random_bytes(key, sizeof(key));
	es_keys_set(&keys, key);
	ring[0] = ring[1] = keys;
	key[1]++;
	es_keys_add(&keys, 1, key);
	key[0]++;
	es_keys_set(&wrong, key);
	memcpy(wrong.key[0].id, keys.key[0].id, sizeof(wrong.key[0].id));	/* he lies about which key he has */
	memset(node, 0, sizeof(node));
	es_session_init(&node[0], 1, 2, 0x11);
	es_session_init(&node[1], 2, 1, 0x22);
	taped = n_numbers = ids = 0;
	memset(taken, 0, sizeof(taken));
	memset(heard_ms, 0, sizeof(heard_ms));
	now_ms = 1000;
	insider = false;
}

static struct dgram *note(const struct dgram *d)
{
	tape[taped % TAPE] = *d;
	return &tape[taped++ % TAPE];
}

static struct dgram *ask(int from)
{
	struct dgram d = { .len = ES_SESSION_HELLO_LEN };

	must(es_session_hello(&node[from], &ring[from], d.b, sizeof(d.b)) == ES_SESSION_HELLO_LEN);
	return note(&d);
}

static struct dgram *say(int from)
{
	struct words w = { .id = ids, .boot = node[from].boot };
	struct dgram d = { 0 };
	int n;

	memcpy(d.b + ES_SESSION_HEAD, &w, sizeof(w));
	n = es_session_seal(&node[from], &ring[from], d.b, sizeof(w), ids % 2, NULL);
	must(n == -ENOTCONN || n == (int)(ES_SESSION_HEAD + sizeof(w) + ES_SESSION_TAIL));
	if (n < 0 || ids + 1 >= TAKEN)
		return NULL;
	ids++;
	d.len = n;
	return note(&d);
}

/* Under which session a DATA came: the one before if that has changed and is the same. */
static const struct es_session_keys *came_under(const struct es_session *s, const struct es_session *before)
{
	bool late = s->prev.live && !memcmp(s->prev.mine, before->prev.mine, sizeof(s->prev.mine)) &&
		    memcmp(&s->prev, &before->prev, sizeof(s->prev));

	return late ? &s->prev : &s->cur;
}

static void number_is_new(int to, const struct es_session *before, u64 seq)
{
	struct number n = { .by = to, .seq = seq };

	memcpy(n.mine, came_under(&node[to], before)->mine, sizeof(n.mine));
	for (unsigned int i = 0; i < n_numbers; i++)
		must(numbers[i].by != to || numbers[i].seq != seq || memcmp(numbers[i].mine, n.mine, sizeof(n.mine)));
	if (n_numbers < TAKEN)
		numbers[n_numbers++] = n;
}

static void content(int to, const struct es_session *before, const struct es_opened *o)
{
	struct words said;

	number_is_new(to, before, o->seq);
	if (o->len == sizeof(said)) {
		memcpy(&said, o->data, sizeof(said));
		if (said.id == NOBODYS)
			return;
		must(said.id < ids && !taken[said.id]++);
		must(said.boot == node[to].cur.boot);
	}
	heard_ms[to] = now_ms;
}

/* Return: 0 or es_session_open()'s refusal */
static int arrive(int to, const struct dgram *d, struct es_opened *out)
{
	static struct es_session before;
	struct es_session *s = &node[to];
	u8 *copy = exact(d->b, d->len);
	int err;

	memcpy(&before, s, sizeof(before));
	err = es_session_open(s, &ring[to], copy, d->len, now_ms, out);
	must(err <= 0 && err >= -__ESPSYNC_DROP_MAX);
	if (err)
		must(!memcmp(&before, s, sizeof(before)));
	else if (out->kind == ES_IN_DATA)
		content(to, &before, out);
	else
		must(!memcmp(&before.cur, &s->cur, sizeof(before.cur)));
	free(copy);
	return err;
}

static void answered(int to, const struct dgram *d, int depth)
{
	struct es_opened o;
	struct dgram *answer;

	if (arrive(to, d, &o) || depth == 4)
		return;
	if (o.send_hello)
		answered(!to, ask(to), depth + 1);
	if (o.send_data) {
		answer = say(to);
		if (answer)
			answered(!to, answer, depth + 1);
	}
}

static void refused(int to, const struct dgram *d)
{
	struct es_opened o;

	must(arrive(to, d, &o));
}

static const struct dgram *taped_one(struct input *in)
{
	u8 i = take8(in);

	return taped ? &tape[i % (taped < TAPE ? taped : TAPE)] : NULL;
}

static void damaged(int to, struct input *in)
{
	const struct dgram *true_one = taped_one(in);
	struct dgram d;
	u8 how = take8(in);
	u16 where = take16(in);

	if (!true_one || !true_one->len)
		return;
	d = *true_one;
	if (how & 1)
		d.b[where % d.len] ^= how | 1;
	else
		d.len = where % (d.len + 8);
	if (how & 2 && d.len >= 6)
		put_unaligned_be16(d.len, d.b + 4);	/* and says so */
	if (d.len != true_one->len || memcmp(d.b, true_one->b, d.len))
		refused(to, &d);
}

static void true_head(struct dgram *d, int to, u8 type, const struct es_key *key)
{
	d->b[0] = ES_WIRE_VERSION;
	d->b[1] = type;
	d->b[2] = node[to].peer;
	d->b[3] = node[to].self;
	put_unaligned_be16(d->len, d->b + 4);
	d->b[6] = d->b[7] = 0;
	memcpy(d->b + 8, key->id, ES_KEY_ID_LEN);
}

/* Bytes, behind a true head if that is wished. */
static void noise(int to, struct input *in)
{
	struct dgram d = { 0 };
	u8 how = take8(in);
	const uint8_t *p = take(in, take8(in), &d.len);
	const struct es_session_keys *t = how & 4 ? &node[to].cand : &node[to].cur;

	memcpy(d.b, p, d.len);
	if (how & 1 && d.len >= 16)
		true_head(&d, to, how & 2 ? ES_SESSION_TYPE_HELLO : ES_SESSION_TYPE_DATA, es_keys_used(&ring[to]));
	if (how & 8 && d.len >= 20)
		put_unaligned_be32(t->id, d.b + 16);
	refused(to, &d);
}

/* A HELLO of whoever has @k; how & 1, 2, 4: it echoes the nonce that waits, the session's, the candidate's. */
static void sealed_hello(int to, struct input *in, const struct es_keys *k, struct dgram *d)
{
	const struct es_session *s = &node[to];
	u8 how = take8(in);
	const struct es_key *key = k == &keys ? &k->key[how >> 7] : &k->key[0];
	size_t n;
	const uint8_t *p = take(in, BODY, &n);

	memset(d, 0, sizeof(*d));
	d->len = ES_SESSION_HELLO_LEN;
	true_head(d, to, ES_SESSION_TYPE_HELLO, key);
	memcpy(d->b + HELLO_AT, p, n);
	if (how & 1)
		memcpy(d->b + HELLO_AT + 32, s->nonce, ES_NONCE_LEN);
	if (how & 6) {
		memcpy(d->b + HELLO_AT + 16, how & 2 ? s->cur.yours : s->cand.yours, ES_NONCE_LEN);
		memcpy(d->b + HELLO_AT + 32, how & 2 ? s->cur.mine : s->cand.mine, ES_NONCE_LEN);
	}
	get_random_bytes(d->b + 16, 24);
	xchacha20poly1305_encrypt(d->b + HELLO_AT, d->b + HELLO_AT, BODY, d->b, 16, d->b + 16, key->hello);
}

/* A DATA under the session or the candidate; the stranger knows its number, not its key. */
static void sealed_data(int to, struct input *in, bool stranger, struct dgram *d)
{
	u8 how = take8(in);
	const struct es_session_keys *t = how & 1 ? &node[to].cand : &node[to].cur;
	u64 seq = take64(in), nobodys = NOBODYS;
	size_t n;
	const uint8_t *p = take(in, how >> 3, &n);
	u8 key[ES_KEY_LEN];

	memset(d, 0, sizeof(*d));
	if (n >= 8)
		memcpy(d->b + ES_SESSION_HEAD, p, n);
	if (n == sizeof(struct words))
		memcpy(d->b + ES_SESSION_HEAD, &nobodys, sizeof(nobodys));
	d->len = ES_SESSION_HEAD + n + ES_SESSION_TAIL;
	true_head(d, to, ES_SESSION_TYPE_DATA | (how & 2 ? ES_SESSION_URGENT : 0), &ring[to].key[t->key]);
	put_unaligned_be32(t->id, d->b + 16);
	put_unaligned_be64(how & 4 ? t->rx_top + (s32)(seq % 4096) - 2048 : seq, d->b + 20);
	get_random_bytes(d->b + 28, 24);
	memcpy(key, t->rx, sizeof(key));
	key[0] ^= stranger;
	xchacha20poly1305_encrypt(d->b + ES_SESSION_HEAD, d->b + ES_SESSION_HEAD, n, d->b, 28, d->b + 28, key);
}

static void change_key(int to, u8 how)
{
	struct es_key *key = es_keys_find(&ring[to], how & 1);

	if (!key) {
		es_keys_add(&ring[to], how & 1, es_keys_find(&keys, how & 1)->key);
	} else if (how & 2 && key != es_keys_used(&ring[to])) {
		es_session_unkey(&node[to], es_keys_slot(&ring[to], key));
		es_keys_del(key);
	} else {
		es_keys_use(&ring[to], key);
		es_session_rekey(&node[to]);
	}
}

static void step(u8 op, struct input *in)
{
	int to = op >> 7;
	const struct dgram *one;
	struct es_opened o;
	struct dgram d;

	switch ((op & 0x7f) % 13) {
	case 0:
		ask(to);
		break;
	case 1:
		say(to);
		break;
	case 2:
	case 3:
		one = taped_one(in);
		if (one && (op & 0x7f) % 13 == 2)
			arrive(to, one, &o);
		else if (one)
			answered(to, one, 0);
		break;
	case 4:
		damaged(to, in);
		break;
	case 5:
		noise(to, in);
		break;
	case 6:
		es_session_init(&node[to], to + 1, 2 - to, node[to].boot + 0x100);
		break;
	case 7:
		es_session_drop(&node[to]);
		break;
	case 8:
		now_ms += 1 + take8(in);
		break;
	case 9:
		sealed_hello(to, in, &wrong, &d);
		refused(to, &d);
		break;
	case 10:
		sealed_data(to, in, true, &d);
		refused(to, &d);
		break;
	case 11:
		insider = true;
		if (take8(in) & 1)
			sealed_hello(to, in, &keys, &d);
		else
			sealed_data(to, in, false, &d);
		arrive(to, &d, &o);
		break;
	case 12:
		change_key(to, take8(in));
		break;
	}
}

static bool same_session(void)
{
	return es_session_ready(&node[0]) && es_session_ready(&node[1]) && node[0].cur.id == node[1].cur.id;
}

/* On a good network. */
static void come_together(void)
{
	struct dgram *d;
	u64 since;

	for (int i = 0; i < 2; i++) {
		if (!es_keys_find(&ring[i], 1))
			change_key(i, 1);
		change_key(i, 1);	/* both use the same */
	}
	for (int round = 0; round < 12 && (round < 3 || !same_session()); round++) {
		now_ms += 1000;
		for (int i = 0; i < 2; i++) {
			if (es_session_wants_hello(&node[i]) || es_session_wants_key(&node[i]) || now_ms - heard_ms[i] > 1500)
				answered(!i, ask(i), 0);
			now_ms += ES_SESSION_REPLY_MS;
			d = say(i);
			if (d)
				answered(!i, d, 0);
		}
	}
	if (ids + 1 >= TAKEN)
		return;		/* they have nothing left to say */
	must(same_session());
	since = now_ms;
	for (int i = 0; i < 2; i++) {
		d = say(i);
		must(d);
		answered(!i, d, 0);
		must(heard_ms[!i] >= since);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	begin(data, size);
	for (int i = 0; in.left && i < 200; i++)
		step(take8(&in), &in);
	if (!insider)
		come_together();
	return 0;
}
