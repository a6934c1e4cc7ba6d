/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * esphdr: whose an ESP packet is, in an IP packet as it came, also within UDP.
 *
 * Room: bytes in, a few values out. Pure: no I/O, no state. Anybody can send such a packet: what it says is no evidence of who did.
 */
#ifndef ESPSYNCD_ESPHDR_H
#define ESPSYNCD_ESPHDR_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"

#define ESPHDR_MAX	80	/* IP header with options, UDP, SPI: more is not looked at */

/**
 * struct esp_packet - of an SA
 * @src: where it came from
 * @dst: where it went to
 * @spi: host order
 */
struct esp_packet {
	struct ha_addr src;
	struct ha_addr dst;
	uint32_t spi;
};

/* Return: false if it is none, a later fragment, or cut off */
bool esphdr_read(struct esp_packet *e, const uint8_t *packet, size_t len);

/* For sockets that are given such packets: ESP, and UDP to port 4500 with what is no marker. */
extern const struct sock_fprog esphdr_filter_ipv4;
extern const struct sock_fprog esphdr_filter_ipv6;

#endif /* ESPSYNCD_ESPHDR_H */
