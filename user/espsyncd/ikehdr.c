// SPDX-License-Identifier: GPL-2.0-or-later
/* ikehdr: the part of an IKEv2 message that is not encrypted. See ikehdr.h. */
#include <netinet/in.h>
#include <string.h>

#include "ikehdr.h"

#define PORT_IKE	500
#define PORT_NAT_T	4500
#define MARKER_LEN	4	/* RFC 3948 2.2: four bytes of zero, where ESP has its SPI */
#define IKE_LEN		28
#define HOPS		64
#define CREATE_CHILD_SA	36
#define INFORMATIONAL	37
#define FLAG_RESPONSE	0x20

static uint16_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void take_addr(struct ha_addr *a, const uint8_t *p, uint8_t len)
{
	a->len = len;
	memcpy(a->bytes, p, len);
}

/* Return: where UDP begins, or 0. No extension header is looked behind: nobody sends IKE with one but in fragments. */
static size_t read_ip(struct ike_request *q, const uint8_t *p, size_t len)
{
	size_t header = len ? (p[0] & 15) * 4 : 0;

	if (len >= 20 && p[0] >> 4 == 4 && header >= 20 && p[9] == IPPROTO_UDP && !(be16(p + 6) & 0x1fff)) {
		take_addr(&q->src, p + 12, 4);
		take_addr(&q->dst, p + 16, 4);
		return header;
	}
	if (len >= 40 && p[0] >> 4 == 6 && p[6] == IPPROTO_UDP) {
		take_addr(&q->src, p + 8, 16);
		take_addr(&q->dst, p + 24, 16);
		return 40;
	}
	return 0;
}

/* @flag: FLAG_RESPONSE: only a response, which comes from where requests go to */
static bool read_message(struct ike_request *q, const uint8_t *packet, size_t len, uint8_t flag)
{
	static const uint8_t marker[MARKER_LEN];
	uint16_t port;
	size_t at;

	memset(q, 0, sizeof(*q));
	at = read_ip(q, packet, len);
	if (!at || len < at + 8)
		return false;
	q->src.port = be16(packet + at);
	q->dst.port = be16(packet + at + 2);
	port = flag ? q->src.port : q->dst.port;
	at += 8;
	if (port == PORT_NAT_T) {
		if (len < at + MARKER_LEN || memcmp(packet + at, marker, MARKER_LEN))
			return false;
		at += MARKER_LEN;
	} else if (port != PORT_IKE) {
		return false;
	}
	if (len < at + IKE_LEN || packet[at + 17] >> 4 != 2 || (packet[at + 19] & FLAG_RESPONSE) != flag)
		return false;
	if (packet[at + 18] != CREATE_CHILD_SA && packet[at + 18] != INFORMATIONAL)
		return false;
	q->id.version = 2;
	memcpy(q->id.spi_i, packet + at, 8);
	memcpy(q->id.spi_r, packet + at + 8, 8);
	q->mid = be32(packet + at + 20);
	q->at = at;
	return true;
}

bool ikehdr_request(struct ike_request *q, const uint8_t *packet, size_t len)
{
	return read_message(q, packet, len, 0);
}

bool ikehdr_answer(struct ike_request *q, const uint8_t *packet, size_t len)
{
	struct ha_addr from;

	if (!read_message(q, packet, len, FLAG_RESPONSE))
		return false;
	from = q->src;
	q->src = q->dst;
	q->dst = from;
	return true;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* Over an even number of bytes, and a last one. */
static uint32_t add_up(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += be16(p + i);
	return len % 2 ? sum + (p[len - 1] << 8) : sum;
}

static void put_checksum(uint8_t *udp, size_t len, const struct ha_addr *src, const struct ha_addr *dst)
{
	uint32_t sum = add_up(add_up(IPPROTO_UDP + len, src->bytes, src->len), dst->bytes, dst->len);

	sum = add_up(sum, udp, len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(udp + 6, sum == 0xffff ? sum : ~sum);
}

/* Return: its length. What is 0 in that of IPv4 the kernel fills. */
static size_t put_ip(uint8_t *p, const struct ha_addr *src, const struct ha_addr *dst, size_t behind)
{
	size_t len = src->len == 4 ? 20 : 40;

	memset(p, 0, len);
	if (src->len == 4) {
		p[0] = 0x45;
		put16(p + 2, len + behind);
		p[8] = HOPS;
		p[9] = IPPROTO_UDP;
	} else {
		p[0] = 0x60;
		put16(p + 4, behind);
		p[6] = IPPROTO_UDP;
		p[7] = HOPS;
	}
	memcpy(p + len - 2 * src->len, src->bytes, src->len);
	memcpy(p + len - src->len, dst->bytes, src->len);
	return len;
}

size_t ikehdr_packet(uint8_t *out, const struct ha_addr *src, const struct ha_addr *dst, const uint8_t *message, size_t len)
{
	size_t marker = src->port == PORT_IKE ? 0 : MARKER_LEN, n = 8 + marker + len;
	uint8_t *udp = out + put_ip(out, src, dst, n);

	put16(udp, src->port);
	put16(udp + 2, dst->port);
	put16(udp + 4, n);
	memset(udp + 6, 0, 2 + marker);
	memcpy(udp + 8 + marker, message, len);
	put_checksum(udp, n, src, dst);
	return udp + n - out;
}

static struct sock_filter ipv4[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 9),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 7, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT_IKE, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT_NAT_T, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_IND, 8),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, IKEHDR_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static struct sock_filter ipv6[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT_IKE, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT_NAT_T, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 48),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, IKEHDR_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

const struct sock_fprog ikehdr_filter_ipv4 = { sizeof(ipv4) / sizeof(*ipv4), ipv4 };
const struct sock_fprog ikehdr_filter_ipv6 = { sizeof(ipv6) / sizeof(*ipv6), ipv6 };
