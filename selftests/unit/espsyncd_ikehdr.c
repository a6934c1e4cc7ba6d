// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_ikehdr.c - user/espsyncd's ikehdr: which packets are requests of far ends, and what the kernel lets through to it.
 *
 * Job: packets made by hand and cut off or changed at each byte; and the filters run by the kernel, on a pair of sockets.
 */
// SOURCES: ../../user/espsyncd/ikehdr.c
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "../../user/espsyncd/ikehdr.h"
#include "ktap.h"
#include "random.h"

struct packet {
	uint8_t b[256];
	size_t n;
};

static void put(struct packet *p, const void *data, size_t n)
{
	memcpy(p->b + p->n, data, n);
	p->n += n;
}

static void put_udp(struct packet *p, uint16_t port)
{
	uint8_t udp[8] = { 0x1f, 0x90, port >> 8, port };

	put(p, udp, sizeof(udp));
	if (port == 4500)
		put(p, "\0\0\0\0", 4);
}

/* A CREATE_CHILD_SA request 7 of the initiator. */
static void put_ike(struct packet *p, uint8_t exchange, uint8_t flags)
{
	uint8_t ike[28] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 46, 0x20, exchange, flags, 0, 0, 0, 7, 0, 0, 0, 80 };

	put(p, ike, sizeof(ike));
}

static struct packet over_ipv4(uint16_t port, uint8_t exchange, uint8_t flags, size_t options)
{
	uint8_t ip[20] = { 0x45 + options / 4, 0, 0, 80, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 100, 192, 0, 2, 1 };
	struct packet p = { .n = 0 };

	put(&p, ip, sizeof(ip));
	p.n += options;
	put_udp(&p, port);
	put_ike(&p, exchange, flags);
	return p;
}

static struct packet over_ipv6(uint16_t port, uint8_t exchange, uint8_t flags)
{
	uint8_t ip[40] = { 0x60, 0, 0, 0, 0, 60, 17, 64, 0x20, 1, 0xd, 0xb8, [23] = 100, [24] = 0x20, 1, 0xd, 0xb8, [39] = 1 };
	struct packet p = { .n = 0 };

	put(&p, ip, sizeof(ip));
	put_udp(&p, port);
	put_ike(&p, exchange, flags);
	return p;
}

static bool taken(const struct packet *p, struct ike_request *q)
{
	uint8_t *exact = malloc(p->n ? p->n : 1);	/* what is read behind it is noticed */
	bool is;

	memcpy(exact, p->b, p->n);
	is = ikehdr_request(q, exact, p->n);
	free(exact);
	return is;
}

static bool says_all(const struct packet *p, uint16_t port, uint8_t size)
{
	struct ike_request q;

	ktap_expect(taken(p, &q));
	ktap_expect(q.mid == 7 && q.id.spi_i[0] == 1 && q.id.spi_i[7] == 8 && q.id.spi_r[0] == 9 && q.id.spi_r[7] == 16);
	ktap_expect(q.src.len == size && q.dst.len == size && q.src.bytes[size - 1] == 100 && q.dst.bytes[size - 1] == 1);
	ktap_expect(q.src.port == 8080 && q.dst.port == port);
	return true;
}

static bool requests_are_read(void)
{
	static const uint16_t ports[] = { 500, 4500 };
	struct packet p;
	size_t i, options;

	for (i = 0; i < 2; i++) {
		for (options = 0; options <= 40; options += 4) {
			p = over_ipv4(ports[i], 36, 8, options);
			ktap_expect(says_all(&p, ports[i], 4));
		}
		p = over_ipv6(ports[i], 37, 0);
		ktap_expect(says_all(&p, ports[i], 16));
	}
	return true;
}

static bool nothing_else_is(void)
{
	struct ike_request q;
	struct packet p;

	p = over_ipv4(500, 36, 0x28, 0);
	ktap_expect(!taken(&p, &q));		/* a response */
	p = over_ipv4(500, 34, 8, 0);
	ktap_expect(!taken(&p, &q));		/* IKE_SA_INIT */
	p = over_ipv4(500, 35, 8, 0);
	ktap_expect(!taken(&p, &q));		/* IKE_AUTH */
	p = over_ipv4(501, 36, 8, 0);
	ktap_expect(!taken(&p, &q));
	p = over_ipv4(4500, 36, 8, 0);
	p.b[28] = 0xc0;
	ktap_expect(!taken(&p, &q));		/* ESP */
	p = over_ipv4(500, 36, 8, 0);
	p.b[7] = 1;
	ktap_expect(!taken(&p, &q));		/* a later fragment */
	p = over_ipv4(500, 36, 8, 0);
	p.b[9] = 6;
	ktap_expect(!taken(&p, &q));
	p = over_ipv4(500, 36, 8, 0);
	p.b[28 + 17] = 0x10;
	ktap_expect(!taken(&p, &q));		/* IKEv1 */
	return true;
}

static bool what_is_cut_off_is_not(void)
{
	struct packet whole[] = { over_ipv4(500, 36, 8, 0), over_ipv4(4500, 36, 8, 12), over_ipv6(500, 36, 8), over_ipv6(4500, 36, 8) };
	struct ike_request q;
	size_t i, n;

	for (i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		for (n = whole[i].n; n--;) {
			struct packet p = whole[i];

			p.n = n;
			ktap_expect(!taken(&p, &q));
		}
	}
	return true;
}

/* Return: so many bytes as the kernel lets through the filter */
static ssize_t filtered(const struct sock_fprog *f, const struct packet *p)
{
	uint8_t got[512];
	ssize_t n = -1;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds))
		return -1;
	if (!setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, f, sizeof(*f)) && send(fds[1], p->b, p->n, 0) > 0) {
		n = recv(fds[0], got, sizeof(got), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			n = 0;
	}
	close(fds[0]);
	close(fds[1]);
	return n;
}

static bool the_kernel_lets_ike_through_and_nothing_else(void)
{
	struct packet p;

	p = over_ipv4(500, 36, 8, 0);
	ktap_expect(filtered(&ikehdr_filter_ipv4, &p) == (ssize_t)p.n);
	p = over_ipv4(4500, 36, 8, 40);
	ktap_expect(filtered(&ikehdr_filter_ipv4, &p) == (ssize_t)p.n);
	p.b[68] = 0xc0;
	ktap_expect(!filtered(&ikehdr_filter_ipv4, &p));	/* ESP in UDP */
	p = over_ipv4(4501, 36, 8, 0);
	ktap_expect(!filtered(&ikehdr_filter_ipv4, &p));
	p = over_ipv6(500, 36, 8);
	ktap_expect(filtered(&ikehdr_filter_ipv6, &p) == (ssize_t)p.n);
	p = over_ipv6(4500, 36, 8);
	ktap_expect(filtered(&ikehdr_filter_ipv6, &p) == (ssize_t)p.n);
	p.b[48] = 0xc0;
	ktap_expect(!filtered(&ikehdr_filter_ipv6, &p));
	p = over_ipv6(80, 36, 8);
	ktap_expect(!filtered(&ikehdr_filter_ipv6, &p));
	return true;
}

/* Changed anywhere, whatever is taken has passed: else a far end would not be heard. */
static bool what_is_taken_has_passed(void)
{
	unsigned long long rounds = ktap_rounds(20000), taken_n = 0;
	struct ike_request q;

	rng = ktap_seed();
	ktap_diag("UNIT_SEED=%llu", (unsigned long long)rng);
	while (rounds--) {
		bool four = below(2);
		uint16_t port = below(2) ? 500 : 4500;
		struct packet p = four ? over_ipv4(port, 36, 8, 4 * below(11)) : over_ipv6(port, 36, 8);

		if (below(4))
			p.b[below(p.n)] = below(256);
		if (!taken(&p, &q) || p.b[0] >> 4 != (four ? 4 : 6))
			continue;
		taken_n++;
		ktap_expect(filtered(four ? &ikehdr_filter_ipv4 : &ikehdr_filter_ipv6, &p) > 0);
	}
	ktap_expect(taken_n);
	return true;
}

/* RFC 768: of the pseudo header and all of it, it is nothing. */
static bool is_checked(const uint8_t *packet, size_t n, size_t ip, uint8_t size)
{
	uint32_t sum = 17 + (uint32_t)(n - ip);
	size_t i;

	for (i = ip - 2 * size; i + 1 < n; i += 2)
		sum += packet[i] << 8 | packet[i + 1];
	if (n % 2)
		sum += packet[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff && (packet[ip + 6] || packet[ip + 7]);
}

/* As a far end would read it: an answer of theirs is made, and read. */
static bool packets_are_what_goes_over_the_wire(void)
{
	static const uint16_t ports[] = { 500, 4500 };
	uint8_t message[101] = { 1, [8] = 9, [16] = 46, [17] = 0x20, [18] = 37, [19] = 0x20, [23] = 7, [100] = 0xab }, out[sizeof(message) + IKEHDR_MORE];
	struct ha_addr src = { 4, { 192, 0, 2, 7 }, 0 }, dst = { 4, { 192, 0, 2, 100 }, 1024 };
	struct ike_request q;
	size_t i, n, len, ip;

	for (i = 0; i < 4; i++) {
		src.len = dst.len = i < 2 ? 4 : 16;
		src.port = ports[i % 2];
		ip = i < 2 ? 20 : 40;
		for (len = 28; len <= sizeof(message); len++) {
			n = ikehdr_packet(out, &src, &dst, message, len);
			ktap_expect(n == ip + 8 + (src.port == 500 ? 0 : 4) + len && n <= len + IKEHDR_MORE && is_checked(out, n, ip, src.len));
			ktap_expect((size_t)(out[ip + 4] << 8 | out[ip + 5]) == n - ip);
			ktap_expect((size_t)(i < 2 ? out[2] << 8 | out[3] : 40 + (out[4] << 8 | out[5])) == n);
			ktap_expect(ikehdr_answer(&q, out, n) && q.mid == 7 && n - q.at == len && !memcmp(out + q.at, message, len));
			ktap_expect(q.dst.port == src.port && q.src.port == 1024 && !memcmp(q.dst.bytes, src.bytes, src.len) &&
				    !memcmp(q.src.bytes, dst.bytes, dst.len));
		}
	}
	return true;
}

static const struct ktap_case cases[] = {
	{ "requests-are-read", requests_are_read },
	{ "nothing-else-is", nothing_else_is },
	{ "what-is-cut-off-is-not", what_is_cut_off_is_not },
	{ "the-kernel-lets-IKE-through-and-nothing-else", the_kernel_lets_ike_through_and_nothing_else },
	{ "packets-are-what-goes-over-the-wire", packets_are_what_goes_over_the_wire },
	{ "what-is-taken-has-passed", what_is_taken_has_passed },
};

KTAP_MAIN(cases)
