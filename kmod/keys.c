// SPDX-License-Identifier: GPL-2.0
/*
 * keys.c - the cluster keys that are loaded.
 *
 * Job: a few slots for keys, what each key is used as, and the wiping of those that go. A key keeps its slot, so that a session can say
 * from which key it was made.
 * What may not enter: sessions, datagrams, who may change keys and when.
 *
 * Context of all: any; the channel's lock.
 */
#include "keys.h"

/* Labels, with their final 0 so that none begins another. */
static const char label_id[] = "espsync v1 key id";
static const char label_hello[] = "espsync v1 hello";

static void derive_use(const struct es_key *k, const char *label, size_t label_len, u8 *out, size_t len)
{
	es_blake2s h;

	blake2s_init_key(&h, len, k->key, ES_KEY_LEN);
	blake2s_update(&h, (const u8 *)label, label_len);
	blake2s_final(&h, out);
}

/**
 * es_keys_add() - accept one more key
 * @k: keys
 * @number: as the operator calls it; not taken
 * @key: the cluster key; the caller wipes its copy
 *
 * Return: the key, or NULL if there is no slot
 */
struct es_key *es_keys_add(struct es_keys *k, u8 number, const u8 key[ES_KEY_LEN])
{
	struct es_key *to;

	for (to = k->key; to < k->key + ES_MAX_KEYS; to++) {
		if (to->live)
			continue;
		to->live = true;
		to->number = number;
		memcpy(to->key, key, ES_KEY_LEN);
		derive_use(to, label_id, sizeof(label_id), to->id, sizeof(to->id));
		derive_use(to, label_hello, sizeof(label_hello), to->hello, sizeof(to->hello));
		return to;
	}
	return NULL;
}

/**
 * es_keys_use() - begin sessions under another key
 * @k: keys
 * @key: one of them
 */
void es_keys_use(struct es_keys *k, const struct es_key *key)
{
	k->used = es_keys_slot(k, key) + 1;
}

/**
 * es_keys_set() - one key, number 0, and no other
 * @k: keys
 * @key: the cluster key; the caller wipes its copy
 */
void es_keys_set(struct es_keys *k, const u8 key[ES_KEY_LEN])
{
	es_keys_wipe(k);
	es_keys_use(k, es_keys_add(k, 0, key));
}

/**
 * es_keys_del() - accept a key no more
 * @key: one of them, not the one that is used; wiped
 */
void es_keys_del(struct es_key *key)
{
	memzero_explicit(key, sizeof(*key));
}

/**
 * es_keys_wipe() - forget all keys
 * @k: keys
 */
void es_keys_wipe(struct es_keys *k)
{
	memzero_explicit(k, sizeof(*k));
}

/**
 * es_keys_used() - the key under which this node begins sessions
 * @k: keys
 *
 * Return: the key, or NULL if there is none yet
 */
const struct es_key *es_keys_used(const struct es_keys *k)
{
	return k->used ? &k->key[k->used - 1] : NULL;
}

/**
 * es_keys_find() - a key by its number
 * @k: keys
 * @number: as the operator calls it
 *
 * Return: the key or NULL
 */
struct es_key *es_keys_find(struct es_keys *k, u8 number)
{
	unsigned int i;

	for (i = 0; i < ES_MAX_KEYS; i++)
		if (k->key[i].live && k->key[i].number == number)
			return &k->key[i];
	return NULL;
}

/**
 * es_keys_same() - whether a key is loaded already
 * @k: keys
 * @key: a cluster key
 *
 * Return: the key or NULL
 */
const struct es_key *es_keys_same(const struct es_keys *k, const u8 key[ES_KEY_LEN])
{
	unsigned int i;

	for (i = 0; i < ES_MAX_KEYS; i++)
		if (k->key[i].live && !memcmp(k->key[i].key, key, ES_KEY_LEN))
			return &k->key[i];
	return NULL;
}

/**
 * es_keys_by_id() - the key that a datagram names
 * @k: keys
 * @id: from the wire
 *
 * Return: its slot, or -1 if it is not loaded
 */
int es_keys_by_id(const struct es_keys *k, const u8 id[ES_KEY_ID_LEN])
{
	unsigned int i;

	for (i = 0; i < ES_MAX_KEYS; i++)
		if (k->key[i].live && !memcmp(k->key[i].id, id, ES_KEY_ID_LEN))
			return i;
	return -1;
}
