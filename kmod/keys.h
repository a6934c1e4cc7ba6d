/* SPDX-License-Identifier: GPL-2.0 */
/*
 * keys.h - the cluster keys that are loaded: the one under which this node begins sessions, and those that it still, or already, accepts.
 */
#ifndef ESPSYNC_KEYS_H
#define ESPSYNC_KEYS_H

#include "crypt.h"

#define ES_KEY_LEN		32
#define ES_KEY_ID_LEN		8
#define ES_MAX_KEYS		4	/* the old one, the new one, and some that a slow cluster has not let go of */

/**
 * struct es_key - a cluster key and what it is used as
 * @live: there is one; the rest means something
 * @number: as the operator calls it, here
 * @key: the cluster key itself, from which session keys come
 * @hello: seals HELLOs
 * @id: names the cluster key on the wire
 */
struct es_key {
	bool live;
	u8 number;
	u8 key[ES_KEY_LEN];
	u8 hello[ES_KEY_LEN];
	u8 id[ES_KEY_ID_LEN];
};

/**
 * struct es_keys - the cluster keys that are loaded
 * @key: they, each in a slot that it keeps
 * @used: slot + 1 of the one under which this node begins sessions; 0: none
 */
struct es_keys {
	struct es_key key[ES_MAX_KEYS];
	u8 used;
};

void es_keys_set(struct es_keys *k, const u8 key[ES_KEY_LEN]);
struct es_key *es_keys_add(struct es_keys *k, u8 number, const u8 key[ES_KEY_LEN]);
void es_keys_use(struct es_keys *k, const struct es_key *key);
void es_keys_del(struct es_key *key);
void es_keys_wipe(struct es_keys *k);

const struct es_key *es_keys_used(const struct es_keys *k);
struct es_key *es_keys_find(struct es_keys *k, u8 number);
const struct es_key *es_keys_same(const struct es_keys *k, const u8 key[ES_KEY_LEN]);
int es_keys_by_id(const struct es_keys *k, const u8 id[ES_KEY_ID_LEN]);

static inline u8 es_keys_slot(const struct es_keys *k, const struct es_key *key)
{
	return key - k->key;
}

#endif /* ESPSYNC_KEYS_H */
