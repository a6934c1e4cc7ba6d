// SPDX-License-Identifier: GPL-2.0-or-later
/* esphdr: whose an ESP packet is, in an IP packet as it came, also within UDP. Pure. See esphdr.h. */
#include <netinet/in.h>
#include <string.h>

#include "esphdr.h"

#define PORT_NAT_T	4500
#define UDP_LEN		8
#define LEN_IPV4	20
#define LEN_IPV6	40

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* Return: where ESP or UDP begins, 0 if neither does */
static size_t read_ip(struct esp_packet *e, const uint8_t *p, size_t len, uint8_t *proto)
{
	bool v4 = len >= LEN_IPV4 && p[0] >> 4 == 4, v6 = len >= LEN_IPV6 && p[0] >> 4 == 6;

	if (!v4 && !v6)
		return 0;
	*proto = p[v4 ? 9 : 6];
	e->src.len = v4 ? 4 : 16;
	e->dst.len = e->src.len;
	memcpy(e->src.bytes, p + (v4 ? 12 : 8), e->src.len);
	memcpy(e->dst.bytes, p + (v4 ? 16 : 24), e->dst.len);
	if (v4 && ((p[6] & 0x1f) || p[7]))
		return 0;
	return v4 ? (p[0] & 15) * 4 : LEN_IPV6;
}

bool esphdr_read(struct esp_packet *e, const uint8_t *packet, size_t len)
{
	uint8_t proto;
	size_t at;

	memset(e, 0, sizeof(*e));
	at = read_ip(e, packet, len, &proto);
	if (!at || (proto != IPPROTO_ESP && proto != IPPROTO_UDP))
		return false;
	if (proto == IPPROTO_UDP && (len < at + UDP_LEN || be32(packet + at) % 0x10000 != PORT_NAT_T))
		return false;
	at += proto == IPPROTO_UDP ? UDP_LEN : 0;
	if (len < at + sizeof(e->spi))
		return false;
	e->spi = be32(packet + at);
	return e->spi;
}

static struct sock_filter ipv4[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 9, 0),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ESP, 6, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT_NAT_T, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_IND, 8),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, ESPHDR_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static struct sock_filter ipv6[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ESP, 5, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 5),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT_NAT_T, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 48),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, ESPHDR_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

const struct sock_fprog esphdr_filter_ipv4 = { sizeof(ipv4) / sizeof(*ipv4), ipv4 };
const struct sock_fprog esphdr_filter_ipv6 = { sizeof(ipv6) / sizeof(*ipv6), ipv6 };
