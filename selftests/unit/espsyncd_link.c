// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_link.c - user/espsyncd's link: how often it connects.
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
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../user/espsyncd/xfrm.h"
#include "../fuzz/noevents.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

#define MS_BETWEEN_TICKS	100

static unsigned int connects;
static int connect_error;	/* what becomes of one */

static int made_socket(void)
{
	connects++;
	return 100;
}

static int fails_with(int err)
{
	errno = err;
	return err ? -1 : 0;
}

static int socket_error(int *err)
{
	*err = connect_error;
	return 0;
}

#undef gnutls_transport_set_int
#define socket(family, type, proto)		((void)(family), made_socket())
#define bind(fd, sa, len)			((void)(fd), (void)(sa), (void)(len), fails_with(0))
#define connect(fd, sa, len)			((void)(fd), (void)(sa), (void)(len), fails_with(EINPROGRESS))
#define setsockopt(fd, level, name, p, len)	((void)(fd), (void)(p))
#define getsockopt(fd, level, name, p, len)	((void)(fd), (void)(len), socket_error(p))
#define close(fd)				((void)(fd))
#define gnutls_init(tls, flags)			((void)(tls), (void)(flags))
#define gnutls_deinit(tls)			((void)(tls))
#define gnutls_priority_set_direct(tls, p, err)	((void)(tls))
#define gnutls_credentials_set(tls, type, cred)	((void)(tls), (void)(cred))
#define gnutls_session_set_ptr(tls, p)		((void)(tls))
#define gnutls_transport_set_int(tls, fd)	((void)(tls))
#define gnutls_handshake(tls)			((void)(tls), GNUTLS_E_SUCCESS)
#define gnutls_record_recv(tls, buf, room)	((void)(tls), (void)(buf), GNUTLS_E_PULL_ERROR)
#define gnutls_record_send(tls, buf, n)		((void)(tls), (void)(buf), (ssize_t)(n))
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
static const struct link_ops ops = { .up = on_up_or_down, .down = on_up_or_down };
static struct links links;

static void closes_all(void)
{
	while (links.c && !TAILQ_EMPTY(&links.conns))
		conn_close(TAILQ_FIRST(&links.conns));
}

static void fresh(void)
{
	closes_all();
	links = (struct links){ .c = &config, .ops = &ops, .listener = -1 };
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

static const struct ktap_case cases[] = {
	{ "nobody there is asked less and less", nobody_there_is_asked_less_and_less },
	{ "sessions that come to nothing become rare", sessions_that_come_to_nothing_become_rare },
	{ "one that was of use is made again at once", one_that_was_of_use_is_made_again_at_once },
};

KTAP_MAIN(cases)
