/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * states: what the kernel listed of the cluster's SAs, kept for as long as it takes to compare.
 *
 * Room: a list of states in memory, and how it differs from what charon lists. Pure: no I/O. A state is found by its destination and
 * SPI: reqid, mark and if_id may be charon's choice.
 */
#ifndef ESPSYNCD_STATES_H
#define ESPSYNCD_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "codec.h"
#include "vici_sas.h"

/**
 * struct state - an SA that the kernel has
 * @dst: whom it leads to
 * @src: whence
 * @spi: host order
 * @proto: ESP or AH
 * @mark: by which it is found, with @mask
 * @mask: of @mark
 * @if_id: by which it is found
 */
struct state {
	struct ha_addr dst;
	struct ha_addr src;
	uint32_t spi;
	uint8_t proto;
	uint32_t mark;
	uint32_t mask;
	uint32_t if_id;
};

/* One more; then, once all are there, in the order in which they are looked for. */
void states_add(struct bytes *states, const struct state *state);
void states_sort(struct bytes *states);

/* Is there one of that destination and SPI? @states: sorted. */
bool states_find(const struct bytes *states, const struct ha_addr *dst, uint32_t spi);

/**
 * states_have() - has the kernel both SAs of a CHILD SA
 * @states: sorted; NULL: nobody has looked, and what charon says is believed
 * @sa: its IKE SA, as charon lists it
 * @child: the CHILD SA
 *
 * While one is being replaced in its IKE SA only the inbound SA is asked for: charon installs the other when the far end has begun to use it.
 *
 * Return: false if one is missing that should be there
 */
bool states_have(const struct bytes *states, const struct vici_sa *sa, const struct vici_child *child);

/**
 * states_strange() - what the kernel has and charon does not list
 * @states: what the kernel listed
 * @sas: struct vici_sa, all that charon has
 * @each: called for each
 * @ctx: for @each
 */
void states_strange(const struct bytes *states, const struct bytes *sas, void (*each)(void *ctx, const struct state *state), void *ctx);

#endif /* ESPSYNCD_STATES_H */
