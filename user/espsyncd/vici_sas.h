/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vici_sas: what charon listed, kept for as long as it takes to compare.
 *
 * Room: a list of IKE SAs in memory, and what may be concluded from one that is not in it. Pure: no I/O.
 */
#ifndef ESPSYNCD_VICI_SAS_H
#define ESPSYNCD_VICI_SAS_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "journal.h"

#define VICI_ADDR_TEXT	46	/* an IPv6 address, and NUL */
#define VICI_CHILD_NAME	80	/* cut to this: longer than one that espsyncd.conf may name */

/**
 * struct vici_child - a CHILD SA as charon lists it
 * @name: in the configuration
 * @unique: charon's number for it
 * @spi_in: host order
 * @spi_out: host order
 * @installed: neither replaced nor being made or deleted
 * @leaving: replaced, or being deleted
 * @has_rekey: @rekey_s is known
 * @rekey_s: seconds until it is to be rekeyed, negative if that is past
 * @heard: @heard_s is known
 * @heard_s: seconds since a packet came in through it
 */
struct vici_child {
	char name[VICI_CHILD_NAME];
	uint32_t unique;
	uint32_t spi_in;
	uint32_t spi_out;
	bool installed;
	bool leaving;
	bool has_rekey;
	int64_t rekey_s;
	bool heard;
	uint32_t heard_s;
};

/**
 * struct vici_sa - an IKE SA as charon lists it
 * @name: of the connection
 * @unique: charon's number for it
 * @id: its SPIs
 * @state: PASSIVE, ESTABLISHED, ...
 * @local: the gateway's address, as text
 * @local_port: of IKE there
 * @remote: the far end's address, as text
 * @remote_port: of IKE there
 * @nat: enum ha_nat
 * @adding: a CHILD SA is being made, or is to be, that is not listed yet
 * @has_rekey: @rekey_s is known
 * @rekey_s: seconds until it is to be rekeyed
 * @asks: it is in the middle of an exchange that it has begun
 * @n_children: how many
 * @children: them; the caller's only until the call returns, see vici_sas_add()
 */
struct vici_sa {
	char name[HA_NAME_MAX];
	uint32_t unique;
	struct ike_id id;
	char state[32];
	char local[64];
	uint16_t local_port;
	char remote[64];
	uint16_t remote_port;
	uint32_t nat;
	bool adding;
	bool has_rekey;
	int64_t rekey_s;
	bool asks;
	unsigned int n_children;
	struct vici_child *children;
};

/* Keeps a copy of what was listed, as one more struct vici_sa; vici_sas_free() ends all of them. */
void vici_sas_add(struct bytes *sas, const struct vici_sa *sa);
void vici_sas_free(struct bytes *sas);

/* Once all are there, and before the first vici_sas_find(): that is asked for each IKE SA of a journal. */
void vici_sas_sort(struct bytes *sas);
const struct vici_sa *vici_sas_find(const struct bytes *sas, const struct ike_id *id);

/**
 * vici_may_omit() - can an IKE SA be there that is not listed, if charon has more than it lists
 * @sa: what the journal has of it
 *
 * charon lists an IKE SA with its CHILD SAs in one message, and drops that when it is longer than 512 KiB: at some 1100 CHILD SAs, fewer
 * if their names and selectors are long. No filter helps, for there is none that leaves CHILD SAs out. But it counts them all.
 *
 * Return: false if it is so small that its message fits, however long names and selectors are as text
 */
bool vici_may_omit(const struct journal_sa *sa);

/* As charon writes it; "unknown" if it is absent. Return: @text */
const char *vici_addr_text(const struct ha_addr *a, char text[VICI_ADDR_TEXT]);

/* Where an IKE SA's ends are. Return: false if charon did not say it. */
bool vici_ends(struct ha_addr *local, struct ha_addr *remote, const struct vici_sa *listed);

/**
 * vici_moved() - are an IKE SA's ends elsewhere than the journal says
 * @known: an IKE SA that lives
 * @listed: the same, as charon lists it
 *
 * Return: false if they are not, and if charon did not say it
 */
bool vici_moved(const struct journal_sa *known, const struct vici_sa *listed);

/**
 * vici_child_of() - the CHILD SA of a listed IKE SA that has an SPI
 * @sa: the IKE SA
 * @spi_in: its inbound SPI
 *
 * Return: it, or NULL
 */
const struct vici_child *vici_child_of(const struct vici_sa *sa, uint32_t spi_in);

#endif /* ESPSYNCD_VICI_SAS_H */
