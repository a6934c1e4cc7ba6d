// SPDX-License-Identifier: GPL-2.0-or-later
/* announce: tells a far end that its gateway has another address now. See announce.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "announce.h"
#include "bytes.h"
#include "ikehdr.h"
#include "log.h"
#include "wire.h"

#define FIRST_MS	500	/* until it is said again; then twice as long each time */
#define TIMES		3
#define BURST		64	/* packets, before others have their turn */

#define NOTIFY		41
#define NOTIFY_LEN	8
#define ADDITIONAL_IP4	16397
#define ADDITIONAL_IP6	16398
#define NO_ADDITIONAL	16399
#define ADDITIONAL_MAX	8	/* as charon does: some do not like more */

struct announce {
	struct event_base *base;
	const struct config *c;
	struct event *timer;
	struct event *readable;
	struct sk keys;
	struct ha_addr to;
	uint8_t packet[SK_MAX + IKEHDR_MORE];
	size_t len;
	uint64_t since_ms;
	struct announced last;
	char why[128];
	void (*done)(void *ctx, bool answered);
	void *ctx;
};

/* ---- what is told ---- */

static void add_notify(struct bytes *b, uint16_t type, const uint8_t *data, size_t len, bool more)
{
	bytes_add_u8(b, more ? NOTIFY : 0);
	bytes_add_u8(b, 0);
	bytes_add_u16(b, NOTIFY_LEN + len);
	bytes_add_u16(b, 0);	/* of no protocol, no SPI */
	bytes_add_u16(b, type);
	bytes_add(b, data, len);
}

/* The gateway's addresses but for the one that the packet comes from. */
static void add_list(struct bytes *b, const struct config *c, const struct ha_addr *at)
{
	const struct config_addr *more[ADDITIONAL_MAX];
	unsigned int i, n = 0;

	for (i = 0; i < c->n_addrs && n < ADDITIONAL_MAX; i++) {
		if (c->addrs[i].len != at->len || memcmp(c->addrs[i].bytes, at->bytes, at->len))
			more[n++] = &c->addrs[i];
	}
	for (i = 0; i < n; i++)
		add_notify(b, more[i]->len == 4 ? ADDITIONAL_IP4 : ADDITIONAL_IP6, more[i]->bytes, more[i]->len, i + 1 < n);
	if (!n)
		add_notify(b, NO_ADDITIONAL, NULL, 0, false);
}

static uint32_t next_request(const struct journal_sa *sa)
{
	struct ha_msg m;

	return sa->mid_i.len && ha_parse(&m, sa->mid_i.data, sa->mid_i.len) == HA_OK ? m.mid : 0;
}

static bool make(struct announce *a, const struct journal_sa *sa)
{
	uint8_t message[SK_MAX];
	struct bytes list = { 0 };
	size_t len;

	add_list(&list, a->c, &sa->local);
	len = sk_request(&a->keys, a->last.mid, NOTIFY, bytes_at(&list), bytes_left(&list), message);
	bytes_free(&list);
	if (len)
		a->len = ikehdr_packet(a->packet, &sa->local, &sa->remote, message, len);
	return len;
}

/* ---- and that it arrives ---- */

static void hear_no_more(struct announce *a)
{
	int fd = a->readable ? event_get_fd(a->readable) : -1;

	if (fd < 0)
		return;
	event_free(a->readable);
	a->readable = NULL;
	close(fd);
}

static void finish(struct announce *a, bool answered)
{
	event_del(a->timer);
	hear_no_more(a);
	sk_wipe(&a->keys);
	a->done(a->ctx, answered);
}

static void say(struct announce *a)
{
	unsigned int ms = FIRST_MS << a->last.times;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	wire_send(&a->to, a->packet, a->len);
	a->last.times++;
	event_add(a->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct announce *a = arg;

	(void)fd;
	(void)what;
	if (a->last.times < TIMES)
		say(a);
	else
		finish(a, false);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct announce *a = arg;
	uint8_t packet[IKEHDR_MAX];
	struct ike_request q;
	unsigned int i;
	ssize_t n;

	(void)what;
	for (i = 0; i < BURST; i++) {
		n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n <= 0)
			return;
		if (!ikehdr_answer(&q, packet, n) || !sk_is_answer(&a->keys, a->last.mid, packet + q.at, n - q.at))
			continue;
		a->last.answer_bytes = n;
		a->last.ms = now_ms() - a->since_ms;
		finish(a, true);
		return;
	}
}

bool announce_may(const struct journal_sa *sa, char why[SK_WHY])
{
	struct sk keys;
	struct ha_msg m;

	if (ha_parse(&m, sa->update.data, sa->update.len) != HA_OK || !m.mobike) {
		snprintf(why, SK_WHY, "its far end has no MOBIKE (RFC 4555)");
		return false;
	}
	if (m.began) {
		snprintf(why, SK_WHY, "the gateway has begun it, and only a far end that has begun it follows a list of addresses");
		return false;
	}
	if (!sk_derive(&keys, sa, why))
		return false;
	sk_wipe(&keys);
	return true;
}

const char *announce_begin(struct announce *a, const struct journal_sa *sa, void (*done)(void *ctx, bool answered), void *ctx)
{
	int fd = wire_hear(sa->remote.len);
	char why[SK_WHY];

	if (fd < 0) {
		snprintf(a->why, sizeof(a->why), "its far end's answer cannot be heard: %s (CAP_NET_RAW is needed)", strerror(errno));
		return a->why;
	}
	memset(&a->last, 0, sizeof(a->last));
	a->last.mid = next_request(sa);
	if (!sk_derive(&a->keys, sa, why) || !make(a, sa)) {
		sk_wipe(&a->keys);
		close(fd);
		return "GnuTLS does not seal what its far end is to be told";
	}
	a->to = sa->remote;
	a->last.bytes = a->len;
	a->done = done;
	a->ctx = ctx;
	a->since_ms = now_ms();
	a->readable = event_new(a->base, fd, EV_READ | EV_PERSIST, on_readable, a);
	event_add(a->readable, NULL);
	say(a);
	return NULL;
}

const struct announced *announce_last(const struct announce *a)
{
	return &a->last;
}

struct announce *announce_alloc(struct event_base *base, const struct config *c)
{
	struct announce *a = secret_alloc(sizeof(*a));

	a->base = base;
	a->c = c;
	a->timer = evtimer_new(base, on_timer, a);
	return a;
}

void announce_free(struct announce *a)
{
	hear_no_more(a);
	event_free(a->timer);
	secret_free(a, sizeof(*a));
}
