// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_link.c - user/espsyncd's link: how often it connects, and that all is said before it ends.
 *
 * Job: link.c itself, between sockets and a TLS of which this program says what becomes of them, and a clock that it sets. What frames
 * are made of bytes is a fuzzer's.
 */
// SOURCES: ../../user/espsyncd/bytes.c
// LIBS: -lgnutls
#define _GNU_SOURCE
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../user/espsyncd/xfrm.h"
#include "../fuzz/noevents.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

#define MS_BETWEEN_TICKS	100
#define RECORD_SIZE		16384	/* of TLS */

static unsigned int connects;
static int connect_error;	/* what becomes of one */

static int makes_socket(int family, int type, int proto)
{
	(void)family, (void)type, (void)proto;
	connects++;
	return 100;
}

static int begins(int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)fd, (void)sa, (void)len;
	errno = EINPROGRESS;
	return -1;
}

static int only_says(int what, ...)
{
	return what;
}

/* What the wire takes of what is for each peer until the clock goes on, and what it has taken; each is told by its TLS session. */
static size_t takes[2], rate[2], taken[2];
static size_t in_flight;

static ssize_t sends(gnutls_session_t tls, const void *buf, size_t n)
{
	unsigned int peer = (uintptr_t)tls - 1;

	if (!takes[peer])
		return GNUTLS_E_AGAIN;
	takes[peer] -= n < takes[peer] ? n : takes[peer];
	/* With nothing to send TLS goes on with what it could not send before. */
	taken[peer] += buf ? n : RECORD_SIZE;
	return n;
}

static int sleeps(struct pollfd *fds, nfds_t n, int ms)
{
	(void)fds, (void)n;
	clock_ms += ms;
	takes[0] = rate[0];
	takes[1] = rate[1];
	in_flight -= in_flight ? 1 : 0;
	return 0;
}

static int counts(int fd, unsigned long request, int *bytes)
{
	(void)fd, (void)request;
	*bytes = in_flight;
	return 0;
}

static int socket_error(int fd, int level, int name, int *err, socklen_t *len)
{
	(void)fd, (void)level, (void)name, (void)len;
	*err = connect_error;
	return 0;
}

#undef gnutls_transport_set_int
#define socket(...)			makes_socket(__VA_ARGS__)
#define bind(...)			only_says(0, __VA_ARGS__)
#define connect(...)			begins(__VA_ARGS__)
#define setsockopt(...)			only_says(0, __VA_ARGS__)
#define getsockopt(...)			socket_error(__VA_ARGS__)
#define close(...)			only_says(0, __VA_ARGS__)
#define poll(...)			sleeps(__VA_ARGS__)
#define ioctl(...)			counts(__VA_ARGS__)
#define gnutls_init(...)		only_says(0, __VA_ARGS__)
#define gnutls_deinit(...)		only_says(0, __VA_ARGS__)
#define gnutls_priority_set_direct(...)	only_says(0, __VA_ARGS__)
#define gnutls_credentials_set(...)	only_says(0, __VA_ARGS__)
#define gnutls_session_set_ptr(...)	only_says(0, __VA_ARGS__)
#define gnutls_transport_set_int(...)	only_says(0, __VA_ARGS__)
#define gnutls_handshake(...)		only_says(GNUTLS_E_SUCCESS, __VA_ARGS__)
#define gnutls_record_recv(...)		only_says(GNUTLS_E_PULL_ERROR, __VA_ARGS__)
#define gnutls_record_send(...)		sends(__VA_ARGS__)
#include "../../user/espsyncd/link.c"

int xfrm_bypass(int fd, int family)
{
	return fd + family;
}

static void on_up_or_down(void *ctx, unsigned int peer)
{
	(void)ctx, (void)peer;
}

static const struct config config = { .node = 1, .dead_ms = 4000, .n_peers = 1, .peers = { { .node = 2, .addr = { .len = 4 } } },
				      .local = { .len = 4 } };
/* As relay does: a piece at a time, of what it has for each. */
static size_t waits[2];

static void on_writable_again(void *ctx, unsigned int peer)
{
	static const uint8_t frame[1000];

	(void)ctx;
	for (int i = 0; i < 256 && waits[peer]; i++, waits[peer]--)
		link_send(ctx, peer, 1, NULL, 0, frame, sizeof(frame));
}

static const struct link_ops ops = { .up = on_up_or_down, .down = on_up_or_down, .writable = on_writable_again };
static struct links links;

static void closes_all(void)
{
	while (links.c && !TAILQ_EMPTY(&links.conns))
		conn_close(TAILQ_FIRST(&links.conns));
}

static void fresh(void)
{
	closes_all();
	links = (struct links){ .c = &config, .ops = &ops, .ctx = &links, .listener = -1 };
	TAILQ_INIT(&links.conns);
	links.peers[0].backoff_ms = links.peers[0].futile_ms = BACKOFF_MIN_MS;
	clock_ms = 1000000;
	connects = 0;
	connect_error = 0;
}

/* The event loop, so long. A connection that has been made ends when it is @lasts_ms old. */
static unsigned int connects_in(unsigned int ms, unsigned int lasts_ms)
{
	unsigned int before = connects;

	for (; ms; ms -= MS_BETWEEN_TICKS, clock_ms += MS_BETWEEN_TICKS) {
		struct conn *c = links.peers[0].conn;

		if (c && c->phase == UP) {
			c->heard_ms = clock_ms;
			if (clock_ms - c->since_ms >= lasts_ms)
				on_readable(0, 0, c);
		}
		on_timer(0, 0, &links);
		c = links.peers[0].conn;
		if (c && c->phase == CONNECTING)
			on_writable(0, 0, c);
	}
	return connects - before;
}

static bool nobody_there_is_asked_less_and_less(void)
{
	fresh();
	connect_error = ECONNREFUSED;
	ktap_expect(connects_in(2000, 0) > 2 && connects_in(20000, 0) <= 11);
	return true;
}

/* It is authenticated, and then says or hears what one of the two cannot do with: another protocol, a journal that is too large. */
static bool sessions_that_come_to_nothing_become_rare(void)
{
	fresh();
	ktap_expect(connects_in(2000, 0) > 2);
	ktap_expect(connects_in(20000, 0) <= 10);
	ktap_expect(connects_in(60000, 3000) <= 13);
	return true;
}

static bool one_that_was_of_use_is_made_again_at_once(void)
{
	fresh();
	connects_in(20000, 0);
	ktap_expect(connects_in(3000, 60000) == 1 && connects_in(12000, 60000) == 0);
	/* It ends now, and is there again; also when the next one does not last. */
	ktap_expect(connects_in(100, 0) == 1);
	ktap_expect(connects_in(400, 0) >= 1);
	closes_all();
	return true;
}

/* Two peers that are connected, and have 10000 records to come, which is forty times what is queued at once. */
static void has_much_to_say(void)
{
	static const struct config two = { .node = 1, .n_peers = 2, .peers = { { .node = 2 }, { .node = 3 } } };

	fresh();
	links.c = &two;
	for (unsigned int i = 0; i < 2; i++) {
		struct conn *c = conn_alloc(&links, 100, i);

		c->phase = UP;
		c->tls = (gnutls_session_t)(uintptr_t)(i + 1);
		links.peers[i].conn = c;
		waits[i] = 10000;
		taken[i] = 0;
		takes[i] = rate[i] = 1 << 20;
	}
	in_flight = 0;
}

static bool all_of_it_leaves_at_the_end(void)
{
	has_much_to_say();
	links_flush(&links, 2000);
	ktap_expect(!waits[0] && !waits[1] && taken[0] == 10000 * (1000 + FRAME_HEAD) && taken[1] == taken[0]);
	return true;
}

static bool not_longer_than_it_may_take(void)
{
	has_much_to_say();
	rate[0] = takes[0] = 0;
	links_flush(&links, 2000);
	/* One that takes nothing keeps nothing from the other. */
	ktap_expect(clock_ms >= 1002000 && clock_ms < 1002100 && !taken[0] && taken[1] == 10000 * (1000 + FRAME_HEAD));
	return true;
}

static bool until_the_other_end_has_confirmed_it(void)
{
	has_much_to_say();
	in_flight = 50;
	links_flush(&links, 2000);
	ktap_expect(!in_flight && clock_ms < 1002000);
	closes_all();
	return true;
}

static const struct ktap_case cases[] = {
	{ "nobody there is asked less and less", nobody_there_is_asked_less_and_less },
	{ "sessions that come to nothing become rare", sessions_that_come_to_nothing_become_rare },
	{ "one that was of use is made again at once", one_that_was_of_use_is_made_again_at_once },
	{ "all of it leaves at the end", all_of_it_leaves_at_the_end },
	{ "not longer than it may take", not_longer_than_it_may_take },
	{ "until the other end has confirmed it", until_the_other_end_has_confirmed_it },
};

KTAP_MAIN(cases)
