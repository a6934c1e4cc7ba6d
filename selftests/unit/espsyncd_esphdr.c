// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_esphdr.c - user/espsyncd's esphdr: which packets are ESP, whose, and what the kernel lets through to it.
 *
 * Job: packets made by hand and cut off; and the filters run by the kernel, on a pair of sockets.
 */
// SOURCES: ../../user/espsyncd/esphdr.c
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../user/espsyncd/esphdr.h"
#include "ktap.h"

#define ESP	50
#define UDP	17

struct packet {
	uint8_t b[256];
	size_t n;
};

static void put(struct packet *p, const void *data, size_t n)
{
	memcpy(p->b + p->n, data, n);
	p->n += n;
}

/* An SPI and what follows it, within UDP to that port if one is given. */
static void put_esp(struct packet *p, uint16_t port, uint32_t spi)
{
	uint8_t udp[8] = { 0x11, 0x94, port >> 8, port }, esp[60] = { spi >> 24, spi >> 16, spi >> 8, spi, 0, 0, 0, 1 };

	if (port)
		put(p, udp, sizeof(udp));
	put(p, esp, sizeof(esp));
}

static struct packet over_ipv4(uint16_t port, uint32_t spi, size_t options, uint16_t fragment)
{
	uint8_t ip[20] = { 0x45 + options / 4, 0, 0, 90, 0, 0, fragment >> 8, fragment, 64, port ? UDP : ESP, 0, 0, 192, 0, 2, 100, 192, 0, 2, 1 };
	struct packet p = { .n = 0 };

	put(&p, ip, sizeof(ip));
	p.n += options;
	put_esp(&p, port, spi);
	return p;
}

static struct packet over_ipv6(uint16_t port, uint32_t spi)
{
	uint8_t ip[40] = { 0x60, 0, 0, 0, 0, 60, port ? UDP : ESP, 64, 0x20, 1, 0xd, 0xb8, [23] = 100, [24] = 0x20, 1, 0xd, 0xb8, [39] = 1 };
	struct packet p = { .n = 0 };

	put(&p, ip, sizeof(ip));
	put_esp(&p, port, spi);
	return p;
}

/* Return: so many bytes as the kernel lets through the filter */
static ssize_t filtered(const struct sock_fprog *f, const struct packet *p)
{
	uint8_t buffer[256];
	ssize_t n;
	int s[2];

	assert(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	assert(!setsockopt(s[1], SOL_SOCKET, SO_ATTACH_FILTER, f, sizeof(*f)));
	n = send(s[0], p->b, p->n, MSG_DONTWAIT);
	n = n < 0 ? 0 : recv(s[1], buffer, sizeof(buffer), MSG_DONTWAIT);
	close(s[0]);
	close(s[1]);
	return n < 0 ? 0 : n;
}

/* What is let through is read, and the other way round. */
static bool is_esp(const struct packet *p, uint32_t spi)
{
	const struct sock_fprog *f = p->b[0] >> 4 == 4 ? &esphdr_filter_ipv4 : &esphdr_filter_ipv6;
	struct esp_packet e;
	bool ok = esphdr_read(&e, p->b, p->n);

	if (ok != !!filtered(f, p))
		return false;
	return spi ? ok && e.spi == spi && e.src.bytes[e.src.len - 1] == 100 && e.dst.bytes[e.dst.len - 1] == 1 : !ok;
}

static bool what_is_esp_is_read(void)
{
	struct packet p;

	p = over_ipv4(0, 0x01020304, 0, 0);
	ktap_expect(is_esp(&p, 0x01020304));
	p = over_ipv4(0, 0x01020304, 24, 0x4000);
	ktap_expect(is_esp(&p, 0x01020304));
	p = over_ipv4(4500, 0xffffffff, 0, 0);
	ktap_expect(is_esp(&p, 0xffffffff));
	p = over_ipv4(4500, 0x100, 40, 0);
	ktap_expect(is_esp(&p, 0x100));
	p = over_ipv6(0, 0x01020304);
	ktap_expect(is_esp(&p, 0x01020304));
	p = over_ipv6(4500, 0x01020304);
	ktap_expect(is_esp(&p, 0x01020304));
	return true;
}

static bool what_is_none_is_not(void)
{
	struct packet p;

	p = over_ipv4(500, 0x01020304, 0, 0);
	ktap_expect(is_esp(&p, 0));
	p = over_ipv4(4500, 0, 0, 0);	/* IKE */
	ktap_expect(is_esp(&p, 0));
	p = over_ipv4(0, 0x01020304, 0, 0x2001);	/* a later fragment */
	ktap_expect(is_esp(&p, 0));
	p = over_ipv6(500, 0x01020304);
	ktap_expect(is_esp(&p, 0));
	p = over_ipv6(4500, 0);
	ktap_expect(is_esp(&p, 0));
	p = over_ipv4(0, 1, 0, 0);
	p.b[9] = 6;
	ktap_expect(is_esp(&p, 0));
	p.b[0] = 0;
	ktap_expect(is_esp(&p, 0));
	return true;
}

static bool what_is_cut_off_is_survived(void)
{
	struct packet whole[] = { over_ipv4(0, 7, 40, 0), over_ipv4(4500, 7, 40, 0), over_ipv6(0, 7), over_ipv6(4500, 7) };
	struct esp_packet e;
	unsigned int i;
	size_t n, least;

	for (i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		least = whole[i].n - 56;
		for (n = 0; n <= whole[i].n; n++) {
			uint8_t *cut = malloc(n ? n : 1);

			memcpy(cut, whole[i].b, n);
			ktap_expect(esphdr_read(&e, cut, n) == (n >= least));
			free(cut);
		}
		ktap_expect(least <= ESPHDR_MAX);
	}
	return true;
}

static const struct ktap_case cases[] = {
	{ "what is ESP is read", what_is_esp_is_read },
	{ "what is none is not", what_is_none_is_not },
	{ "what is cut off is survived", what_is_cut_off_is_survived },
};

KTAP_MAIN(cases)
