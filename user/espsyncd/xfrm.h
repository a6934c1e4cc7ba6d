/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfrm: what the kernel has of a charon, also of one that died.
 *
 * Room: removing the states and policies of the cluster's addresses, all or one, whether an SA is there or used, and keeping the sync link out of tunnels.
 * charon removes nothing at its start, and installing over what is left would destroy half of it.
 */
#ifndef ESPSYNCD_XFRM_H
#define ESPSYNCD_XFRM_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "config.h"
#include "states.h"

/**
 * xfrm_flush() - remove states to or from, and policies with templates of, the cluster's addresses
 * @c: has the addresses
 *
 * Return: how many were removed, or a negative errno
 */
int xfrm_flush(const struct config *c);

/**
 * xfrm_in_use() - has a far end sent anything with an SA
 * @dst: this gateway's address
 * @spi: of the inbound SA, host order
 *
 * Return: false also if the kernel does not have it
 */
bool xfrm_in_use(const struct ha_addr *dst, uint32_t spi);

/* Is there one, of ESP, whatever it was used for? */
bool xfrm_has(const struct ha_addr *dst, uint32_t spi);

/* That one goes, if it is still there. Return: true if it has gone. */
bool xfrm_remove(const struct state *state);

/* A socket of that family whose traffic no tunnel takes. Return: 0 or a negative errno. */
int xfrm_bypass(int fd, int family);

#endif /* ESPSYNCD_XFRM_H */
