// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aevent-relay.c - what replication of counters by xfrm's own events costs, done by userspace as well as it can be.
 *
 *	aevent-relay send TO PORT	tells what xfrm raises in this network namespace. SIGUSR1: stop listening, SIGUSR2: listen again
 *	aevent-relay take AT PORT	writes what it is told into this namespace's states
 *
 * Room: XFRM_MSG_NEWAE in, datagrams across, XFRM_MSG_NEWAE out. Nothing is ciphered, acknowledged or sent again, so that it is no slower and sends no
 * more than anything that would be dependable.
 *
 * What makes it fast: one call takes up to MANY events, of several for one SA only the newest is sent, as many as fit share a datagram,
 * and the receiver writes all of a datagram in one call. Without listening xfrm raises nothing, so that the same load can be measured without it.
 * Each second it prints how many events it has seen and sent, and how often the kernel had more than its socket holds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MANY		64
#define EVENT_BYTES	2048
#define PAYLOAD		1400
#define SLOTS		4096	/* of events that one call brought, by SPI */

/* On the wire: as little as tells which state, and what it is at. Words of one machine to another of its kind. */
struct record {
	uint32_t daddr;
	uint32_t spi;
	uint32_t oseq, seq, bitmap;
} __attribute__((packed));

struct relay {
	int nl, udp;
	bool listens;
	struct record newest[MANY];
	unsigned int n;
	uint16_t slot[SLOTS];	/* of an SPI: its place in newest, and one */
	unsigned long seen, sent, lost;
};

static volatile sig_atomic_t wish = 1;

static void on_signal(int sig)
{
	wish = sig == SIGUSR2;
}

static void die(const char *what)
{
	fprintf(stderr, "aevent-relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int netlink(void)
{
	struct sockaddr_nl here = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM), bytes = 8 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)))
		die("netlink");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	return fd;
}

static int udp(const char *address, const char *port, bool take)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !inet_aton(address, &at.sin_addr))
		die(address);
	if (take ? bind(fd, (struct sockaddr *)&at, sizeof(at)) : connect(fd, (struct sockaddr *)&at, sizeof(at)))
		die("udp");
	return fd;
}

static void listen_or_not(struct relay *r)
{
	int group = XFRMNLGRP_AEVENTS;

	if (r->listens == !!wish)
		return;
	r->listens = wish;
	if (setsockopt(r->nl, SOL_NETLINK, r->listens ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &group, sizeof(group)))
		die("membership");
}

/* Of several events of an SA in one batch the last one counts: numbers only rise. */
static void remember(struct relay *r, const struct xfrm_aevent_id *id, const struct xfrm_replay_state *at)
{
	uint16_t *slot = &r->slot[(ntohl(id->sa_id.spi) ^ ntohl(id->sa_id.spi) >> 12) % SLOTS];
	struct record *rec = *slot ? &r->newest[*slot - 1] : NULL;

	if (!rec || rec->spi != id->sa_id.spi || rec->daddr != id->sa_id.daddr.a4) {
		rec = &r->newest[r->n++];
		*slot = (uint16_t)r->n;
		rec->spi = id->sa_id.spi;
		rec->daddr = id->sa_id.daddr.a4;
	}
	rec->oseq = at->oseq;
	rec->seq = at->seq;
	rec->bitmap = at->bitmap;
}

static void read_event(struct relay *r, const struct nlmsghdr *h)
{
	const struct xfrm_aevent_id *id = NLMSG_DATA(h);
	const struct nlattr *a = (const void *)((const char *)id + NLMSG_ALIGN(sizeof(*id)));
	const char *end = (const char *)h + h->nlmsg_len;

	for (; (const char *)(a + 1) <= end && a->nla_len >= sizeof(*a); a = (const void *)((const char *)a + NLA_ALIGN(a->nla_len)))
		if (a->nla_type == XFRMA_REPLAY_VAL) {
			remember(r, id, (const void *)(a + 1));
			r->seen++;
			return;
		}
}

static void flush(struct relay *r)
{
	const unsigned int most = PAYLOAD / sizeof(struct record);

	for (unsigned int i = 0; i < r->n; i += most) {
		unsigned int n = r->n - i < most ? r->n - i : most;

		if (send(r->udp, r->newest + i, n * sizeof(struct record), 0) > 0)
			r->sent += n;
	}
	for (unsigned int i = 0; i < r->n; i++)
		r->slot[(ntohl(r->newest[i].spi) ^ ntohl(r->newest[i].spi) >> 12) % SLOTS] = 0;
	r->n = 0;
}

static void tell(struct relay *r)
{
	static time_t told;
	time_t now = time(NULL);

	if (now == told)
		return;
	told = now;
	printf("seen %lu sent %lu lost %lu\n", r->seen, r->sent, r->lost);
	fflush(stdout);
}

static void relay(struct relay *r)
{
	static char buffers[MANY][EVENT_BYTES];
	struct mmsghdr messages[MANY] = { 0 };
	struct iovec parts[MANY];

	for (unsigned int i = 0; i < MANY; i++) {
		parts[i] = (struct iovec){ buffers[i], EVENT_BYTES };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		int n;

		listen_or_not(r);
		tell(r);
		n = recvmmsg(r->nl, messages, MANY, MSG_WAITFORONE, NULL);
		if (n < 0 && errno == ENOBUFS)
			r->lost++;
		else if (n < 0 && errno != EINTR && errno != EAGAIN)
			die("recvmmsg");
		for (int i = 0; i < n; i++) {
			const struct nlmsghdr *h = (const void *)buffers[i];

			if (NLMSG_OK(h, messages[i].msg_len) && h->nlmsg_type == XFRM_MSG_NEWAE)
				read_event(r, h);
		}
		flush(r);
	}
}

/* Returns the length of the request that writes a record into its state. */
static size_t request(char *to, const struct record *rec)
{
	struct xfrm_replay_state at = { .oseq = rec->oseq, .seq = rec->seq, .bitmap = rec->bitmap };
	struct xfrm_aevent_id id = { .sa_id = { .spi = rec->spi, .family = AF_INET, .proto = IPPROTO_ESP } };
	struct nlattr a = { .nla_len = sizeof(a) + sizeof(at), .nla_type = XFRMA_REPLAY_VAL };
	struct nlmsghdr h = { .nlmsg_len = NLMSG_LENGTH(sizeof(id)) + a.nla_len, .nlmsg_type = XFRM_MSG_NEWAE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_REPLACE };

	id.sa_id.daddr.a4 = rec->daddr;
	memcpy(to, &h, sizeof(h));
	memcpy(to + NLMSG_HDRLEN, &id, sizeof(id));
	memcpy(to + NLMSG_LENGTH(sizeof(id)), &a, sizeof(a));
	memcpy(to + NLMSG_LENGTH(sizeof(id)) + sizeof(a), &at, sizeof(at));
	return NLMSG_ALIGN(h.nlmsg_len);
}

static void take(struct relay *r)
{
	static char requests[PAYLOAD / sizeof(struct record) * 256], refusals[65536];
	struct record records[PAYLOAD / sizeof(struct record)];

	for (;;) {
		ssize_t got = recv(r->udp, records, sizeof(records), 0);
		size_t len = 0;

		for (ssize_t i = 0; i < got / (ssize_t)sizeof(*records); i++)
			len += request(requests + len, &records[i]);
		if (len && send(r->nl, requests, len, 0) > 0)
			r->sent += (unsigned long)got / sizeof(*records);
		/* Only what the kernel refuses is answered. */
		while (recv(r->nl, refusals, sizeof(refusals), MSG_DONTWAIT) > 0)
			r->lost++;
		tell(r);
	}
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_signal };	/* without SA_RESTART: a call that waits ends */
	static struct relay r;

	if (argc != 4 || (strcmp(argv[1], "send") && strcmp(argv[1], "take"))) {
		fprintf(stderr, "usage: aevent-relay send|take ADDRESS PORT\n");
		return 2;
	}
	r.nl = netlink();
	r.udp = udp(argv[2], argv[3], !strcmp(argv[1], "take"));
	if (!strcmp(argv[1], "take"))
		take(&r);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGUSR2, &act, NULL);
	relay(&r);
}
