/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vici: asks this node's charon, without ever waiting for it.
 *
 * Room: the unix socket, one request at a time, its answers read into the few values that the helper needs. What to do with
 * them is the callers' business.
 */
#ifndef ESPSYNCD_VICI_H
#define ESPSYNCD_VICI_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "codec.h"

/**
 * struct vici_child - a CHILD SA as charon lists it
 * @unique: charon's number for it
 * @spi_in: host order
 * @spi_out: host order
 * @installed: neither replaced nor being made or deleted
 * @has_rekey: @rekey_s is known
 * @rekey_s: seconds until it is to be rekeyed, negative if that is past
 */
struct vici_child {
	uint32_t unique;
	uint32_t spi_in;
	uint32_t spi_out;
	bool installed;
	bool has_rekey;
	int64_t rekey_s;
};

/**
 * struct vici_sa - an IKE SA as charon lists it
 * @name: of the connection
 * @unique: charon's number for it
 * @id: its SPIs
 * @state: PASSIVE, ESTABLISHED, ...
 * @local: the gateway's address, as text
 * @has_rekey: @rekey_s is known
 * @rekey_s: seconds until it is to be rekeyed
 * @n_children: how many
 * @children: them; the caller's only until the call returns, see vici_sas_add()
 */
struct vici_sa {
	char name[HA_NAME_MAX];
	uint32_t unique;
	struct ike_id id;
	char state[32];
	char local[64];
	bool has_rekey;
	int64_t rekey_s;
	unsigned int n_children;
	struct vici_child *children;
};

/* Keeps a copy of what was listed, as one more struct vici_sa; vici_sas_free() ends all of them. */
void vici_sas_add(struct bytes *sas, const struct vici_sa *sa);
void vici_sas_free(struct bytes *sas);

struct vici;

struct vici *vici_alloc(struct event_base *base, const char *path);
void vici_free(struct vici *v);

/**
 * vici_list_sas() - all IKE SAs
 * @v: the client
 * @each: called for each
 * @done: called once, with false if charon did not answer
 * @ctx: for both
 */
void vici_list_sas(struct vici *v, void (*each)(void *ctx, const struct vici_sa *sa),
		   void (*done)(void *ctx, bool ok), void *ctx);

/* The same for connections, by name. */
void vici_list_conns(struct vici *v, void (*each)(void *ctx, const char *name),
		     void (*done)(void *ctx, bool ok), void *ctx);

/* Ask for a rekeying; what becomes of it shows in charon's messages. */
void vici_rekey_ike(struct vici *v, uint32_t unique);
void vici_rekey_child(struct vici *v, uint32_t unique);

#endif /* ESPSYNCD_VICI_H */
