/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfrm: what a charon that died has left in the kernel.
 *
 * Room: removing the states and policies of the cluster's addresses, and keeping the sync link out of tunnels. charon removes
 * nothing at its start, and installing over what is left would destroy half of it.
 */
#ifndef ESPSYNCD_XFRM_H
#define ESPSYNCD_XFRM_H

#include "config.h"

/**
 * xfrm_flush() - remove states to or from, and policies with templates of, the cluster's addresses
 * @c: has the addresses
 *
 * Return: how many were removed, or a negative errno
 */
int xfrm_flush(const struct config *c);

/* A socket of that family whose traffic no tunnel takes. Return: 0 or a negative errno. */
int xfrm_bypass(int fd, int family);

#endif /* ESPSYNCD_XFRM_H */
