// SPDX-License-Identifier: GPL-2.0-or-later
/* stray: a far end's ESP comes to this node before its VPN does. See stray.h. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "door.h"
#include "esphdr.h"
#include "log.h"
#include "stray.h"
#include "wire.h"
#include "xfrm.h"

#define LOOK_MS		200
#define LISTEN_MS	300
#define REST_MS		1000	/* between two times of listening: strangers can send as much as they like */
#define ASKED		64
#define ASKED_MS	5000	/* an SPI is asked for once in that time */
#define BURST		64
#define STAT		"/proc/self/net/xfrm_stat"

struct asked {
	uint32_t spi;
	uint64_t ms;
};

struct stray {
	struct event_base *base;
	const struct config *c;
	bool (*active)(void *ctx);
	void *ctx;
	struct door *door;
	struct event *timer;
	struct event *readable[2];
	unsigned long count;		/* of packets without an SA, at the last look */
	uint64_t until_ms;		/* listening */
	uint64_t rest_ms;
	struct asked asked[ASKED];
	unsigned int n;
};

static const struct {
	uint8_t len;	/* of an address */
	const struct sock_fprog *filter;
} families[2] = { { 4, &esphdr_filter_ipv4 }, { 16, &esphdr_filter_ipv6 } };

static void arm(struct stray *s)
{
	struct timeval tv = { 0, LOOK_MS * 1000 };

	event_add(s->timer, &tv);
}

/* Return: what it was, if it cannot be read */
static unsigned long count(const struct stray *s)
{
	FILE *f = fopen(STAT, "re");
	unsigned long n = s->count;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "XfrmInNoStates %lu", &n) == 1)
			break;
	}
	if (f)
		fclose(f);
	return n;
}

/* Asked for lately? It is by now, in the place of the one that was asked for first. */
static bool was_asked(struct stray *s, uint32_t spi)
{
	uint64_t now = now_ms();
	unsigned int i;

	for (i = 0; i < ASKED; i++) {
		if (s->asked[i].spi == spi && now - s->asked[i].ms < ASKED_MS)
			return true;
	}
	s->asked[s->n++ % ASKED] = (struct asked){ spi, now };
	return false;
}

static void on_answer(void *ctx, const struct door_answer *a)
{
	(void)ctx;
	if (a->result != DOOR_ANSWERED)
		log_warn("the other group's helper cannot be asked for an SA: %.*s", (int)a->len, (const char *)a->data);
}

static void heard(struct stray *s, const struct esp_packet *e)
{
	struct bytes b = { 0 };

	if (!config_is_ours(s->c, e->dst.bytes, e->dst.len) || door_is_busy(s->door) || xfrm_has(&e->dst, e->spi) || was_asked(s, e->spi))
		return;
	bytes_add_u32(&b, e->spi);
	bytes_add_u8(&b, e->dst.len);
	bytes_add(&b, e->dst.bytes, e->dst.len);
	bytes_add(&b, e->src.bytes, e->src.len);
	door_ask(s->door, "fetch", bytes_at(&b), bytes_left(&b), on_answer, s);
	bytes_free(&b);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t packet[ESPHDR_MAX];
	struct esp_packet e;
	unsigned int i;

	(void)what;
	for (i = 0; i < BURST; i++) {
		ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (n < 0)
			return;
		if (esphdr_read(&e, packet, n))
			heard(arg, &e);
	}
}

static void stop(struct stray *s)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (!s->readable[i])
			continue;
		close(event_get_fd(s->readable[i]));
		event_free(s->readable[i]);
		s->readable[i] = NULL;
	}
	s->until_ms = 0;
}

static void listen_now(struct stray *s)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		int fd = wire_open(families[i].len, families[i].filter);

		if (fd < 0)
			continue;	/* a kernel without IPv6 */
		s->readable[i] = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, s);
		event_add(s->readable[i], NULL);
	}
	s->until_ms = now_ms() + LISTEN_MS;
	s->rest_ms = s->until_ms + REST_MS;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct stray *s = arg;
	unsigned long n = count(s);
	uint64_t now = now_ms();

	(void)fd;
	(void)what;
	arm(s);
	if (s->until_ms && now >= s->until_ms)
		stop(s);
	if (n == s->count || now < s->rest_ms)
		return;
	s->count = n;
	if (s->active(s->ctx))
		listen_now(s);
}

struct stray *stray_alloc(struct event_base *base, const struct config *c, bool (*active)(void *ctx), void *ctx)
{
	struct stray *s = secret_alloc(sizeof(*s));

	s->base = base;
	s->c = c;
	s->active = active;
	s->ctx = ctx;
	s->door = door_alloc(base, c->move_to);
	s->timer = evtimer_new(base, on_timer, s);
	s->count = count(s);
	if (c->fetch)
		arm(s);
	return s;
}

void stray_free(struct stray *s)
{
	stop(s);
	door_free(s->door);
	event_free(s->timer);
	secret_free(s, sizeof(*s));
}
