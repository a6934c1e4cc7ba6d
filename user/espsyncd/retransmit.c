// SPDX-License-Identifier: GPL-2.0-or-later
/* retransmit: hears what far ends ask again after a takeover. See retransmit.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"
#include "bytes.h"
#include "ikehdr.h"
#include "log.h"
#include "relay.h"
#include "retransmit.h"
#include "unanswered.h"
#include "wire.h"

#define LISTEN_S	180	/* strongSwan gives up after 165 s, others before */
#define TICK_S		1
#define BURST		64	/* packets, before others have their turn */

static const uint8_t families[] = { 4, 16 };	/* length of an address */

#define N_FAMILIES	sizeof(families)

struct retransmit {
	struct event_base *base;
	const struct config *c;
	struct charon *ch;
	struct relay *relay;
	struct unanswered *unanswered;
	struct answers *answers;
	struct event *tick;		/* while something is to be settled */
	struct event *readable[N_FAMILIES];
	struct event *end;		/* of listening */
	bool listening;
	bool allowed;
};

static void expect_request(struct retransmit *r, const struct ike_id *id, uint32_t mid)
{
	uint8_t made[HA_MAX_MADE];
	size_t len = ha_make_mid(made, charon_version(r->ch), HA_IKE_MID_RESPONDER, id, mid);
	struct ha_msg m;

	if (ha_parse(&m, made, len) == HA_OK)
		relay_inject(r->relay, &m, made, len);
}

static void expect_second(void *ctx, const struct ike_id *id)
{
	expect_request(ctx, id, 1);
}

static void arm(struct retransmit *r)
{
	struct timeval tv = { TICK_S, 0 };

	if (!event_pending(r->tick, EV_TIMEOUT, NULL))
		event_add(r->tick, &tv);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct retransmit *r = arg;

	(void)fd;
	(void)what;
	if (unanswered_settle(r->unanswered, relay_journal(r->relay), r->listening, now_ms(), expect_second, r))
		arm(r);
}

void retransmit_first(struct retransmit *r, const struct ike_id *id)
{
	unanswered_first(r->unanswered, id, now_ms());
	arm(r);
}

bool retransmit_withholds(struct retransmit *r, const struct ike_id *id)
{
	return r->allowed && unanswered_withholds(r->unanswered, id);
}

void retransmit_answered(struct retransmit *r, const uint8_t *packet, size_t len)
{
	answers_keep(r->answers, packet, len, now_ms());
}

/* As it is, with its headers: they are what the far end knows the gateway by. If it is lost it is asked for once more. */
static void send_again(void *ctx, const struct ike_request *q, const uint8_t *packet, size_t len)
{
	(void)ctx;
	wire_send(&q->src, packet, len);
}

static bool answer_again(struct retransmit *r, const struct ike_request *q)
{
	unsigned int asked = answers_again(r->answers, q, send_again, NULL);

	if (asked == 1)
		log_info("request %u was answered by a charon that is gone: the far end gets that answer once more", q->mid);
	return asked;
}

static void heard(struct retransmit *r, const struct ike_request *q)
{
	const struct journal *j = relay_journal(r->relay);
	struct ike_id id;

	if (!config_is_ours(r->c, q->dst.bytes, q->dst.len) || charon_segment(r->ch) != CHARON_ACTIVE || answer_again(r, q) ||
	    relay_was_answered(r->relay, &q->id, q->mid) || !unanswered_asks(r->unanswered, j, q))
		return;
	id = journal_find(j, &q->id)->id;	/* with what the packet does not say: who has begun the IKE SA */
	log_info("connection %.64s: request %u came to a charon that is gone: it may be made again", journal_name(journal_find(j, &id)), q->mid);
	expect_request(r, &id, q->mid);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t packet[IKEHDR_MAX];
	struct ike_request q;
	unsigned int i;

	(void)what;
	for (i = 0; i < BURST; i++) {
		ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (n < 0)
			return;
		if (ikehdr_request(&q, packet, n))
			heard(arg, &q);
	}
}

void retransmit_stop(struct retransmit *r)
{
	size_t i;

	r->listening = false;
	event_del(r->end);
	for (i = 0; i < N_FAMILIES; i++) {
		if (!r->readable[i])
			continue;
		close(event_get_fd(r->readable[i]));
		event_free(r->readable[i]);
		r->readable[i] = NULL;
	}
}

void retransmit_listen(struct retransmit *r)
{
	struct timeval tv = { LISTEN_S, 0 };
	size_t i;

	retransmit_stop(r);
	if (!r->allowed)
		return;
	r->listening = true;
	unanswered_begin(r->unanswered);
	for (i = 0; i < N_FAMILIES; i++) {
		int fd = wire_hear(families[i]);

		if (fd < 0)
			continue;	/* a kernel without IPv6 */
		r->readable[i] = event_new(r->base, fd, EV_READ | EV_PERSIST, on_readable, r);
		event_add(r->readable[i], NULL);
	}
	event_add(r->end, &tv);
	answers_fresh(r->answers, now_ms(), send_again, NULL);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	retransmit_stop(arg);
}

/* Better known now than after a crash. */
static bool try_to_open(void)
{
	int fd = wire_hear(families[0]);

	if (fd < 0) {
		log_warn("cannot hear what far ends ask again: %s (CAP_NET_RAW is needed)", strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

struct retransmit *retransmit_alloc(struct event_base *base, const struct config *c, struct charon *ch, struct relay *relay)
{
	struct retransmit *r = secret_alloc(sizeof(*r));

	r->base = base;
	r->c = c;
	r->ch = ch;
	r->relay = relay;
	r->unanswered = unanswered_alloc();
	r->answers = answers_alloc();
	r->tick = evtimer_new(base, on_tick, r);
	r->end = evtimer_new(base, on_end, r);
	r->allowed = try_to_open();
	return r;
}

void retransmit_free(struct retransmit *r)
{
	retransmit_stop(r);
	unanswered_free(r->unanswered);
	answers_free(r->answers);
	event_free(r->tick);
	event_free(r->end);
	secret_free(r, sizeof(*r));
}
