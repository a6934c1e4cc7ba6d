// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/bytes.c
// LIBS: -lgnutls
/*
 * link.c - the framing between the helpers: what another espsyncd may send through TLS.
 *
 * Job: link.c itself, with TLS, sockets and the event loop left out. The input says how it is cut into TLS records; however that is, the
 * frames that come out are those that a straight reading of the bytes gives, up to the first that is too long, and no more is kept
 * than one frame and one record. What a node queues is framed so that the other gets it whole.
 */
#include <event2/event.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../user/espsyncd/xfrm.h"
#include "quiet.h"

static ssize_t records_in(void *buf, size_t room);
static ssize_t records_out(const void *buf, size_t n);

#define event_add(ev, tv)			((void)(ev), (void)(tv), 0)
#define event_new(base, fd, what, fn, arg)	((void)(base), (void)(fd), (void)(fn), (struct event *)(arg))
#define event_free(ev)				((void)(ev))
#define close(fd)				((void)(fd))
#define gnutls_deinit(tls)			((void)(tls))
#define gnutls_record_recv(tls, buf, room)	((void)(tls), records_in(buf, room))
#define gnutls_record_send(tls, buf, n)		((void)(tls), records_out(buf, n))
#define gnutls_error_is_fatal(r)		((r) == GNUTLS_E_PULL_ERROR)
#include "../../user/espsyncd/link.c"
#undef event_add
#undef event_new
#undef event_free
#undef close

/* Never called, but named. */
int xfrm_bypass(int fd, int family)
{
	return fd + family;
}

#define WIRE	(1 << 20)

static struct input wire;		/* what comes in */
static uint8_t cuts[16];
static unsigned int n_cuts, cut;
static uint8_t sent[WIRE];
static size_t n_sent;
static size_t expected;			/* where in the input the next frame begins */
static const uint8_t *whole;
static bool refuse_next, gone;

static ssize_t records_in(void *buf, size_t room)
{
	size_t n;
	uint8_t want = n_cuts ? cuts[cut++ % n_cuts] : 255;
	const uint8_t *p;

	if (!want)
		return GNUTLS_E_AGAIN;
	p = take(&wire, want == 255 ? room : want, &n);
	memcpy(buf, p, n);
	return n ? (ssize_t)n : GNUTLS_E_PULL_ERROR;
}

static ssize_t records_out(const void *buf, size_t n)
{
	if (!buf)
		return GNUTLS_E_AGAIN;
	must(n && n <= RECORD && n_sent + n <= sizeof(sent));
	memcpy(sent + n_sent, buf, n);
	n_sent += n;
	return n;
}

static bool on_frame(void *ctx, unsigned int peer, uint8_t type, const uint8_t *data, size_t len)
{
	struct links *l = ctx;
	const uint8_t *head = whole + expected;

	must(peer == 0 && !gone);
	must(get_u32(head) == len && head[4] == type && !memcmp(head + FRAME_HEAD, data, len));
	expected += FRAME_HEAD + len;
	link_send(l, peer, type, data, len / 2, data + len / 2, len - len / 2);
	refuse_next = type == 0xff;
	return !refuse_next;
}

static void on_down(void *ctx, unsigned int peer)
{
	(void)ctx, (void)peer;
	gone = true;
}

static const struct link_ops ops = { .frame = on_frame, .down = on_down };
static const struct config config = { .node = 1, .n_peers = 1, .peers = { { .node = 2 } } };

static struct conn *connection(struct links *l)
{
	struct conn *c = secret_alloc(sizeof(*c));

	memset(l, 0, sizeof(*l));
	TAILQ_INIT(&l->conns);
	l->c = &config;
	l->ops = &ops;
	l->ctx = l;
	l->peers[0].conn = c;
	c->l = l;
	c->phase = UP;
	TAILQ_INSERT_TAIL(&l->conns, c, link);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct links l;
	struct conn *c = connection(&l);
	size_t total;

	n_cuts = take8(&in) % (sizeof(cuts) + 1);
	for (unsigned int i = 0; i < n_cuts; i++)
		cuts[i] = take8(&in);
	cut = expected = n_sent = 0;
	refuse_next = gone = false;
	whole = in.p;
	total = in.left;
	wire = in;
	for (int i = 0; i < 1000 && !gone; i++) {
		if (receive(c))
			must(bytes_left(&c->in) < FRAME_HEAD + LINK_MAX_FRAME);
		else
			must(gone);
	}
	if (gone) {
		/* It ended with the input, with a frame that was refused, or with one that is too long. */
		must(TAILQ_EMPTY(&l.conns) && !l.peers[0].conn);
		must(!wire.left || refuse_next || get_u32(whole + expected) > LINK_MAX_FRAME);
		return 0;
	}
	must(transmit(c) && !bytes_left(&c->out) && n_sent == expected && !memcmp(sent, whole, expected));
	must(expected <= total);
	conn_close(c);
	return 0;
}
