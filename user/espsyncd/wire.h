/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire: packets as they go over the wire, past charon and the kernel's SAs.
 *
 * Room: a socket that hears what comes in, and sending one packet with the headers that it has. What they say is others' business. charon
 * has the ports: it hears all the same, and what is sent here it does not know of.
 */
#ifndef ESPSYNCD_WIRE_H
#define ESPSYNCD_WIRE_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"

/**
 * wire_open() - what comes in from now on
 * @len: 4: IPv4, 16: IPv6
 * @filter: what of it
 *
 * Return: a socket that does not block, or -1 with errno: it takes CAP_NET_RAW
 */
int wire_open(uint8_t len, const struct sock_fprog *filter);

/**
 * wire_hear() - IKE that comes in from now on, as ikehdr_filter_ipv4 and ikehdr_filter_ipv6 let it through
 * @len: 4: IPv4, 16: IPv6
 *
 * Return: as wire_open()
 */
int wire_hear(uint8_t len);

/* If it is lost, it is lost. No tunnel takes it. */
void wire_send(const struct ha_addr *to, const uint8_t *packet, size_t len);

#endif /* ESPSYNCD_WIRE_H */
