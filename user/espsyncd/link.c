// SPDX-License-Identifier: GPL-2.0-or-later
/* link: one TLS 1.3 connection to each other node's espsyncd. See link.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <linux/pkt_sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "link.h"
#include "log.h"
#include "xfrm.h"

#define PSK_LEN		32
#define PSK_LABEL	"espsyncd tls 1.3 psk v1"
#define PRIORITY	"SECURE128:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"
#define USERNAME	"espsyncd-%u"
#define HANDSHAKE_MS	5000
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	2000
#define USEFUL_MS	10000	/* a session that ends sooner has come to nothing */
#define FLUSH_STEP_MS	5
#define MAX_GUESTS	(2 * CONFIG_MAX_PEERS)	/* connections that are not authenticated yet: all peers may come at once, and again */
#define FRAME_HEAD	5	/* length u32, type u8; the length counts what follows the head */
#define RECORD		16384

enum phase { CONNECTING, HANDSHAKE, UP };

/**
 * struct conn - a TCP connection
 * @link: among all
 * @l: the links
 * @fd: socket
 * @tls: session
 * @readable: event
 * @writable: event
 * @phase: how far it is
 * @peer: index of the peer, or -1 while that is unknown
 * @sending: bytes that TLS has taken and could not send yet
 * @since_ms: when it began, and from when on it was up
 * @heard_ms: when something came last
 * @in: arrived, not yet whole frames
 * @out: to be sent
 */
struct conn {
	TAILQ_ENTRY(conn) link;
	struct links *l;
	int fd;
	gnutls_session_t tls;
	struct event *readable;
	struct event *writable;
	enum phase phase;
	int peer;
	size_t sending;
	uint64_t since_ms;
	uint64_t heard_ms;
	struct bytes in;
	struct bytes out;
};

struct peer {
	struct conn *conn;		/* the one that is up, or being made by us */
	uint64_t next_try_ms;
	unsigned int backoff_ms;
	unsigned int futile_ms;		/* the last pause after a session that came to nothing */
	char complained[128];		/* the last complaint, said once */
};

struct links {
	struct event_base *base;
	const struct config *c;
	const struct link_ops *ops;
	void *ctx;
	int listener;
	struct event *acceptable;
	struct event *timer;
	gnutls_psk_client_credentials_t client;
	gnutls_psk_server_credentials_t server;
	uint8_t psk[PSK_LEN];
	struct peer peers[CONFIG_MAX_PEERS];
	unsigned int guests;
	TAILQ_HEAD(, conn) conns;
};

static const char *addr_text(const struct config_addr *a, char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->bytes, text, INET6_ADDRSTRLEN);
}

static socklen_t put_sockaddr(struct sockaddr_storage *ss, const struct config_addr *a, uint16_t port)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->len == 4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, a->bytes, 4);
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	memcpy(&sin6->sin6_addr, a->bytes, 16);
	return sizeof(*sin6);
}

/* Each complaint about a peer once, until another one or success comes between. */
static void complain(struct links *l, unsigned int peer, const char *what)
{
	struct peer *p = &l->peers[peer];

	if (!strcmp(p->complained, what))
		return;
	snprintf(p->complained, sizeof(p->complained), "%s", what);
	log_warn("peer %u: %s", l->c->peers[peer].node, what);
}

static bool we_connect(const struct links *l, unsigned int peer)
{
	return l->c->node < l->c->peers[peer].node;
}

static unsigned int longer(unsigned int ms)
{
	return ms * 2 < BACKOFF_MAX_MS ? ms * 2 : BACKOFF_MAX_MS;
}

/* Whoever cannot do with what the other says ends the session, and would be told the same again without a pause. */
static void session_ended(struct peer *p, const struct conn *c)
{
	if (now_ms() - c->since_ms >= USEFUL_MS) {
		p->futile_ms = BACKOFF_MIN_MS;
		return;
	}
	p->futile_ms = longer(p->futile_ms);
	p->next_try_ms = now_ms() + p->futile_ms;
}

static void conn_close(struct conn *c)
{
	struct links *l = c->l;
	int peer = c->peer;
	bool was_up = c->phase == UP;

	if (peer < 0)
		l->guests--;
	else if (l->peers[peer].conn == c)
		l->peers[peer].conn = NULL;
	if (was_up) {
		log_info("peer %u: disconnected", l->c->peers[peer].node);
		session_ended(&l->peers[peer], c);
	}
	TAILQ_REMOVE(&l->conns, c, link);
	event_free(c->readable);
	event_free(c->writable);
	gnutls_deinit(c->tls);
	close(c->fd);
	bytes_free(&c->in);
	bytes_free(&c->out);
	secret_free(c, sizeof(*c));
	if (was_up)
		l->ops->down(l->ctx, peer);
}

static void fail(struct conn *c, const char *what)
{
	if (c->peer >= 0)
		complain(c->l, c->peer, what);
	conn_close(c);
}

/* Return: index of the peer of that name, or -1 */
static int peer_of_username(const struct links *l, const char *name)
{
	unsigned int i;
	char want[32];

	for (i = 0; i < l->c->n_peers; i++) {
		snprintf(want, sizeof(want), USERNAME, l->c->peers[i].node);
		if (!strcmp(name, want))
			return i;
	}
	return -1;
}

static int on_psk(gnutls_session_t tls, const char *name, gnutls_datum_t *key)
{
	struct conn *c = gnutls_session_get_ptr(tls);
	int peer = peer_of_username(c->l, name);

	if (peer < 0 || we_connect(c->l, peer))
		return -1;
	key->data = gnutls_malloc(PSK_LEN);
	if (!key->data)
		return -1;
	memcpy(key->data, c->l->psk, PSK_LEN);
	key->size = PSK_LEN;
	return 0;
}

static void went_up(struct conn *c)
{
	struct links *l = c->l;
	struct peer *p;

	if (c->peer < 0) {
		const char *name = gnutls_psk_server_get_username(c->tls);

		c->peer = name ? peer_of_username(l, name) : -1;
		if (c->peer < 0) {
			conn_close(c);
			return;
		}
		l->guests--;
	}
	p = &l->peers[c->peer];
	if (p->conn && p->conn != c)
		conn_close(p->conn);	/* it connected anew: the old one is dead, even if nobody told us */
	p->conn = c;
	p->backoff_ms = BACKOFF_MIN_MS;
	p->complained[0] = 0;
	c->phase = UP;
	c->since_ms = now_ms();
	c->heard_ms = c->since_ms;
	log_info("peer %u: connected", l->c->peers[c->peer].node);
	l->ops->up(l->ctx, c->peer);
}

static void handshake(struct conn *c)
{
	char why[128];
	int r = gnutls_handshake(c->tls);

	if (r == GNUTLS_E_SUCCESS) {
		went_up(c);
		return;
	}
	if (gnutls_error_is_fatal(r)) {
		gnutls_alert_send_appropriate(c->tls, r);
		snprintf(why, sizeof(why), "TLS handshake failed: %s (is the cluster key the same on both nodes?)",
			 gnutls_strerror(r));
		fail(c, why);
		return;
	}
	if (gnutls_record_get_direction(c->tls))
		event_add(c->writable, NULL);
}

/* Return: false if @c is gone. */
static bool take_frames(struct conn *c)
{
	struct links *l = c->l;

	while (bytes_left(&c->in) >= FRAME_HEAD) {
		uint32_t len = get_u32(bytes_at(&c->in));
		unsigned int peer = c->peer;

		if (len > LINK_MAX_FRAME) {
			fail(c, "sent a frame that is too long (is it the same version of espsyncd?)");
			return false;
		}
		if (bytes_left(&c->in) < FRAME_HEAD + len)
			break;
		if (!l->ops->frame(l->ctx, peer, bytes_at(&c->in)[4], bytes_at(&c->in) + FRAME_HEAD, len)) {
			conn_close(c);
			return false;
		}
		bytes_consume(&c->in, FRAME_HEAD + len);
	}
	return true;
}

/* Return: false if @c is gone. */
static bool receive(struct conn *c)
{
	ssize_t n;

	do {
		n = gnutls_record_recv(c->tls, bytes_room(&c->in, RECORD), RECORD);
		if (n > 0) {
			c->in.len += n;
			c->heard_ms = now_ms();
			if (!take_frames(c))
				return false;
		}
	} while (n > 0 || n == GNUTLS_E_INTERRUPTED);
	if (n == GNUTLS_E_AGAIN || (n < 0 && !gnutls_error_is_fatal(n)))
		return true;
	conn_close(c);
	return false;
}

/* Return: false if @c is gone. */
static bool transmit(struct conn *c)
{
	while (c->sending || bytes_left(&c->out)) {
		size_t want = bytes_left(&c->out) < RECORD ? bytes_left(&c->out) : RECORD;
		ssize_t n;

		/* What TLS could not send it has kept: it goes on by itself, without the data. */
		n = c->sending ? gnutls_record_send(c->tls, NULL, 0) : gnutls_record_send(c->tls, bytes_at(&c->out), want);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
			c->sending = c->sending ? c->sending : want;
			event_add(c->writable, NULL);
			return true;
		}
		if (n < 0) {
			conn_close(c);
			return false;
		}
		bytes_consume(&c->out, c->sending ? c->sending : (size_t)n);
		c->sending = 0;
	}
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->phase == UP)
		receive(c);
	else if (c->phase == HANDSHAKE)
		handshake(c);
}

static void connected(struct conn *c)
{
	socklen_t len = sizeof(int);
	char why[128];
	int err = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		snprintf(why, sizeof(why), "cannot connect: %s", strerror(err));
		fail(c, why);
		return;
	}
	c->phase = HANDSHAKE;
	event_add(c->readable, NULL);
	handshake(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->phase == CONNECTING)
		connected(c);
	else if (c->phase == HANDSHAKE)
		handshake(c);
	else if (transmit(c) && !bytes_left(&c->out))
		c->l->ops->writable(c->l->ctx, c->peer);
}

static void tls_start(struct conn *c, bool client)
{
	gnutls_init(&c->tls, (client ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS |
			     GNUTLS_NO_SIGNAL);
	gnutls_priority_set_direct(c->tls, PRIORITY, NULL);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_PSK, client ? (void *)c->l->client : (void *)c->l->server);
	gnutls_session_set_ptr(c->tls, c);
	gnutls_transport_set_int(c->tls, c->fd);
}

static void prepare_socket(const struct links *l, int fd)
{
	unsigned int dead = l->c->dead_ms;
	int on = 1, first = TC_PRIO_INTERACTIVE;

	/* Before the module's counters, wherever a queue has bands: those are said again, and IKE may be waiting for its standby. */
	setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &first, sizeof(first));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof(dead));
	xfrm_bypass(fd, l->c->local.len == 4 ? AF_INET : AF_INET6);
}

static struct conn *conn_alloc(struct links *l, int fd, int peer)
{
	struct conn *c = secret_alloc(sizeof(*c));

	c->l = l;
	c->fd = fd;
	c->peer = peer;
	c->since_ms = now_ms();
	c->readable = event_new(l->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(l->base, fd, EV_WRITE, on_writable, c);
	TAILQ_INSERT_TAIL(&l->conns, c, link);
	tls_start(c, peer >= 0);
	return c;
}

static void connect_to(struct links *l, unsigned int peer)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = put_sockaddr(&from, &l->c->local, 0);
	socklen_t to_len = put_sockaddr(&to, &l->c->peers[peer].addr, l->c->peers[peer].port);
	struct peer *p = &l->peers[peer];
	int fd = socket(from.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char why[128];

	p->backoff_ms = longer(p->backoff_ms);
	p->next_try_ms = now_ms() + p->backoff_ms;
	if (fd >= 0)
		prepare_socket(l, fd);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, from_len) ||
	    (connect(fd, (struct sockaddr *)&to, to_len) && errno != EINPROGRESS)) {
		snprintf(why, sizeof(why), "cannot connect: %s", strerror(errno));
		complain(l, peer, why);
		if (fd >= 0)
			close(fd);
		return;
	}
	p->conn = conn_alloc(l, fd, peer);
	event_add(p->conn->writable, NULL);
}

static bool is_peer_address(const struct links *l, const struct sockaddr_storage *ss)
{
	const void *a = ss->ss_family == AF_INET ? (void *)&((struct sockaddr_in *)ss)->sin_addr :
						   (void *)&((struct sockaddr_in6 *)ss)->sin6_addr;
	unsigned int i;

	for (i = 0; i < l->c->n_peers; i++) {
		if (!memcmp(l->c->peers[i].addr.bytes, a, l->c->peers[i].addr.len))
			return true;
	}
	return false;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct links *l = arg;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int s = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	(void)what;
	if (s < 0)
		return;
	if (!is_peer_address(l, &ss) || l->guests == MAX_GUESTS) {
		close(s);
		return;
	}
	prepare_socket(l, s);
	l->guests++;
	c = conn_alloc(l, s, -1);
	c->phase = HANDSHAKE;
	event_add(c->readable, NULL);
}

static bool listen_now(struct links *l)
{
	struct sockaddr_storage ss;
	socklen_t len = put_sockaddr(&ss, &l->c->local, l->c->port);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	prepare_socket(l, fd);
	if (bind(fd, (struct sockaddr *)&ss, len) || listen(fd, MAX_GUESTS)) {
		close(fd);
		return false;
	}
	l->listener = fd;
	l->acceptable = event_new(l->base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
	event_add(l->acceptable, NULL);
	return true;
}

static void keep_listening(struct links *l)
{
	char text[INET6_ADDRSTRLEN], why[128];
	bool needed = false;
	unsigned int i;

	for (i = 0; i < l->c->n_peers; i++)
		needed |= !we_connect(l, i);
	if (!needed || l->listener >= 0 || listen_now(l))
		return;
	snprintf(why, sizeof(why), "cannot listen on %s port %u: %s (is the address there?)",
		 addr_text(&l->c->local, text), l->c->port, strerror(errno));
	for (i = 0; i < l->c->n_peers; i++) {
		if (!we_connect(l, i))
			complain(l, i, why);
	}
}

static void check_conns(struct links *l)
{
	struct conn *c, *next;
	uint64_t now = now_ms();

	for (c = TAILQ_FIRST(&l->conns); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->phase == UP && now - c->heard_ms > l->c->dead_ms)
			fail(c, "is silent");
		else if (c->phase != UP && now - c->since_ms > HANDSHAKE_MS)
			fail(c, "does not finish the TLS handshake");
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 0, BACKOFF_MIN_MS * 1000 };
	struct links *l = arg;
	unsigned int i;

	(void)fd;
	(void)what;
	check_conns(l);
	keep_listening(l);
	for (i = 0; i < l->c->n_peers; i++) {
		if (we_connect(l, i) && !l->peers[i].conn && now_ms() >= l->peers[i].next_try_ms)
			connect_to(l, i);
	}
	event_add(l->timer, &tv);
}

void link_send(struct links *l, unsigned int peer, uint8_t type, const void *head, size_t head_len,
	       const void *body, size_t body_len)
{
	struct conn *c = l->peers[peer].conn;

	if (!c || c->phase != UP)
		return;
	bytes_add_u32(&c->out, head_len + body_len);
	bytes_add_u8(&c->out, type);
	bytes_add(&c->out, head, head_len);
	bytes_add(&c->out, body, body_len);
	/* From the event loop, so that a caller never sees its connection vanish within the call. */
	event_add(c->writable, NULL);
}

bool link_is_up(const struct links *l, unsigned int peer)
{
	return l->peers[peer].conn && l->peers[peer].conn->phase == UP;
}

size_t link_queued(const struct links *l, unsigned int peer)
{
	return link_is_up(l, peer) ? bytes_left(&l->peers[peer].conn->out) : 0;
}

void links_read_all(struct links *l)
{
	unsigned int i;

	for (i = 0; i < l->c->n_peers; i++) {
		if (link_is_up(l, i))
			receive(l->peers[i].conn);
	}
}

/*
 * Return: true if nothing is left to be sent to that peer, or nobody is there. Closing a socket in which something was not read, which may be
 * an ACK of records, throws away what its other end has not confirmed.
 */
static bool has_all(struct links *l, unsigned int peer)
{
	int unconfirmed = 0;

	while (link_is_up(l, peer) && transmit(l->peers[peer].conn) && !link_queued(l, peer)) {
		l->ops->writable(l->ctx, peer);
		if (!link_queued(l, peer))
			return ioctl(l->peers[peer].conn->fd, SIOCOUTQ, &unconfirmed) || !unconfirmed;
	}
	return !link_is_up(l, peer);
}

void links_flush(struct links *l, unsigned int ms)
{
	uint64_t until = now_ms() + ms;
	unsigned int i;
	bool all;

	do {
		all = true;
		for (i = 0; i < l->c->n_peers; i++)
			all &= has_all(l, i);
		if (!all)
			poll(NULL, 0, FLUSH_STEP_MS);
	} while (!all && now_ms() < until);
}

static int derive_psk(struct links *l, const uint8_t key[32])
{
	gnutls_datum_t in = { (void *)key, 32 }, salt = { (void *)"", 0 };
	gnutls_datum_t label = { (void *)PSK_LABEL, strlen(PSK_LABEL) };
	uint8_t prk[32];
	gnutls_datum_t prk_datum = { prk, sizeof(prk) };
	int r = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &in, &salt, prk);

	if (!r)
		r = gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &prk_datum, &label, l->psk, PSK_LEN);
	explicit_bzero(prk, sizeof(prk));
	return r;
}

static int set_credentials(struct links *l)
{
	gnutls_datum_t psk = { l->psk, PSK_LEN };
	char name[32];
	int r;

	snprintf(name, sizeof(name), USERNAME, l->c->node);
	r = gnutls_psk_allocate_client_credentials(&l->client);
	if (!r)
		r = gnutls_psk_set_client_credentials(l->client, name, &psk, GNUTLS_PSK_KEY_RAW);
	if (!r)
		r = gnutls_psk_allocate_server_credentials(&l->server);
	if (!r)
		gnutls_psk_set_server_credentials_function(l->server, on_psk);
	return r;
}

struct links *links_open(struct event_base *base, const struct config *c, const uint8_t key[32],
			 const struct link_ops *ops, void *ctx)
{
	struct timeval now = { 0, 0 };
	struct links *l = secret_alloc(sizeof(*l));
	unsigned int i;
	int r;

	l->base = base;
	l->c = c;
	l->ops = ops;
	l->ctx = ctx;
	l->listener = -1;
	TAILQ_INIT(&l->conns);
	for (i = 0; i < c->n_peers; i++) {
		l->peers[i].backoff_ms = BACKOFF_MIN_MS;
		l->peers[i].futile_ms = BACKOFF_MIN_MS;
	}
	r = derive_psk(l, key);
	if (!r)
		r = set_credentials(l);
	if (r) {
		log_warn("TLS cannot be set up: %s", gnutls_strerror(r));
		secret_free(l, sizeof(*l));
		return NULL;
	}
	l->timer = evtimer_new(base, on_timer, l);
	event_add(l->timer, &now);
	return l;
}

void links_close(struct links *l)
{
	while (!TAILQ_EMPTY(&l->conns))
		conn_close(TAILQ_FIRST(&l->conns));
	if (l->listener >= 0) {
		event_free(l->acceptable);
		close(l->listener);
	}
	event_free(l->timer);
	gnutls_psk_free_client_credentials(l->client);
	gnutls_psk_free_server_credentials(l->server);
	secret_free(l, sizeof(*l));
}
