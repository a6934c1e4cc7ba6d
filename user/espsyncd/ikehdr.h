/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ikehdr: the part of an IKEv2 message that is not encrypted (RFC 7296 3.1), in an IP packet as it came.
 *
 * Room: bytes in, a few values out. Pure: no I/O, no state. Anybody can send such a packet: what it says is no evidence of who did.
 */
#ifndef ESPSYNCD_IKEHDR_H
#define ESPSYNCD_IKEHDR_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"

#define IKEHDR_MAX	512	/* IP header with options, UDP, non-ESP marker, IKE header, and an answer without content: more is not looked at */
#define IKEHDR_MORE	52	/* what a packet is longer than the message in it: IPv6, UDP, non-ESP marker */

/**
 * struct ike_request - a request of a far end
 * @id: the IKE SA: only its SPIs are told
 * @mid: message ID
 * @at: where in the packet its IKE header begins
 * @src: where it came from, with its port
 * @dst: where it went to
 */
struct ike_request {
	struct ike_id id;
	uint32_t mid;
	size_t at;
	struct ha_addr src;
	struct ha_addr dst;
};

/**
 * ikehdr_request() - read a request within an IKE SA that is established
 * @q: filled
 * @packet: an IPv4 or IPv6 packet, from its first byte on
 * @len: so much of it is here
 *
 * Return: false if it is none: a response, an IKE_SA_INIT or IKE_AUTH, a later fragment, not IKEv2 on UDP 500 or 4500, or cut off
 */
bool ikehdr_request(struct ike_request *q, const uint8_t *packet, size_t len);

/* The same of a response: @q is the request that it answers. */
bool ikehdr_answer(struct ike_request *q, const uint8_t *packet, size_t len);

/**
 * ikehdr_packet() - what goes over the wire
 * @out: room for @len + IKEHDR_MORE bytes
 * @src: from where, with its port
 * @dst: to where, of the same family
 * @message: from its IKE header on
 * @len: its length
 *
 * Return: length of @out
 */
size_t ikehdr_packet(uint8_t *out, const struct ha_addr *src, const struct ha_addr *dst, const uint8_t *message, size_t len);

/*
 * For sockets that are given such packets: UDP to port 500, and to port 4500 with the non-ESP marker, for ESP comes there by the
 * thousand. All that ikehdr_request() takes passes.
 */
extern const struct sock_fprog ikehdr_filter_ipv4;
extern const struct sock_fprog ikehdr_filter_ipv6;

#endif /* ESPSYNCD_IKEHDR_H */
