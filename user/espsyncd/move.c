// SPDX-License-Identifier: GPL-2.0-or-later
/* move: gives one VPN of this active node to a group that another node is active in. See move.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "forget.h"
#include "log.h"
#include "move.h"
#include "still.h"
#include "xfrm_list.h"

#define TRY_MS		15000
#define QUIET_MS	200	/* for charon to finish what it was answering */
#define TAKE_MS		30000	/* to take it, a bounce included */
#define ASK_MS		1000	/* whether it was taken */
#define PATIENCE_MS	10000	/* of who waits at the tool for that to be known */
#define STEP_MS		20
#define REKEYINGS	3	/* and all of them together: */
#define REKEYED_MS	10000
#define FETCH_MS	60000	/* between two times that the same one is asked for */
#define GOES_MS		10000	/* for charon and kernel to forget */

enum phase {
	IDLE,
	TRYING,		/* would it be taken? */
	REKEYING,	/* one of its SPIs is another's there */
	WAITING,	/* it has another, and the one before is still here */
	QUIETING,	/* its IKE stands still */
	TAKING,		/* all of it does */
	ASKING,		/* nobody has said whether it was taken */
	FORGETTING,
};

struct move {
	struct move_parts p;
	struct event *timer;
	struct xfrm_list *xfrm;
	enum phase phase;
	unsigned int peer;
	uint32_t node;
	uint32_t id;			/* of the question that is asked */
	struct ike_id ike;
	char called[CONFIG_NAME];
	struct context context;
	bool has_context;
	struct hush *ike_still;
	struct hush *esp_still;
	uint32_t replaced[REKEYINGS];	/* those that were, and go when the far end has let go of them, and charon after it */
	unsigned int rekeyings;
	unsigned int lasting;		/* how many CHILD SAs there are to be, without those */
	uint64_t mids;			/* a sum of its message IDs, when its IKE stood still */
	uint64_t since_ms;		/* its ESP stands still */
	uint64_t until_ms;
	unsigned int silent_ms;
	unsigned int deaf_ms;
	bool listed;			/* charon has it still */
	enum control_code code;
	char text[MOVE_TEXT];
	char unknown[MOVE_TEXT];
	void (*done)(void *ctx, const struct move_result *result);
	void *ctx;
	struct ike_id fetched;		/* the last one that was asked for by another node */
	uint64_t fetched_ms;
};

static void arm(struct move *m, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(m->timer, &tv);
}

static void say(struct move *m, enum control_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct move *m, enum control_code code, const char *fmt, ...)
{
	va_list ap;

	m->code = code;
	va_start(ap, fmt);
	vsnprintf(m->text, sizeof(m->text), fmt, ap);
	va_end(ap);
}

/* Whoever waits is told once. */
static void tell(struct move *m)
{
	struct move_result result = { m->code, m->text, m->has_context ? &m->context : NULL, m->silent_ms, m->deaf_ms };
	void (*done)(void *ctx, const struct move_result *result) = m->done;

	m->done = NULL;
	if (done)
		done(m->ctx, &result);
}

static void drop_context(struct move *m)
{
	if (m->has_context)
		context_free(&m->context);
	m->has_context = false;
}

/* It goes on, here or elsewhere. */
static void finish(struct move *m)
{
	hush_end(m->esp_still);
	hush_end(m->ike_still);
	m->esp_still = NULL;
	m->ike_still = NULL;
	event_del(m->timer);
	m->phase = IDLE;
	m->unknown[0] = 0;
	tell(m);
	drop_context(m);
}

static const struct config *config(const struct move *m)
{
	return m->p.pick.c;
}

static struct journal_sa *known(const struct move *m)
{
	return journal_find(relay_journal(m->p.pick.relay), &m->ike);
}

/* ---- the other node is asked ---- */

static bool ask(struct move *m, enum parcel_kind kind)
{
	struct bytes b = { 0 };
	bool fits;

	context_write(&m->context, &b);
	fits = bytes_left(&b) <= PARCEL_MAX;
	if (fits)
		parcels_send(m->p.parcels, m->peer, ++m->id, kind, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
	return fits;
}

/* Nobody knows where it is. Until that is known it is nowhere. */
static void become_unknown(struct move *m)
{
	const struct journal_sa *sa = context_sa(&m->context);
	char far[VICI_ADDR_TEXT];

	m->phase = ASKING;
	m->until_ms = now_ms() + PATIENCE_MS;
	snprintf(m->unknown, sizeof(m->unknown), "%.32s, %.39s: node %u has not said whether it has it: silent until it does",
		 journal_name(sa), vici_addr_text(&sa->remote, far), m->node);
	log_warn("connection %.64s, far end %.64s: node %u has not said whether it has taken it; it stands still here until it does", journal_name(sa), far,
		 m->node);
	arm(m, ASK_MS);
}

static void ask_again(struct move *m)
{
	if (m->done && now_ms() > m->until_ms) {
		say(m, CONTROL_NO, "node %u has not said whether it has taken it: it is silent here until that is known (espsync ready)", m->node);
		tell(m);
	}
	if (parcels_can(m->p.parcels, m->peer))
		ask(m, PARCEL_HAS);
	arm(m, ASK_MS);
}

/* ---- it goes, or stays ---- */

static void stay(struct move *m)
{
	log_info("IKE SA '%.64s' stays here: %s", m->called, m->text);
	finish(m);
}

static void say_no_stillness(struct move *m)
{
	say(m, CONTROL_REFUSED, "its packets cannot be held back for a moment: %s (does the kernel have nf_tables?)", strerror(errno));
}

static uint64_t sum_mids(const struct journal_sa *sa)
{
	uint64_t sum = bytes_sum(BYTES_SUM_NOTHING, sa->mid_i.data, sa->mid_i.len);

	return bytes_sum(sum, sa->mid_r.data, sa->mid_r.len);
}

static bool is_replaced(const struct move *m, const struct journal_child *c)
{
	unsigned int i;

	for (i = 0; i < m->rekeyings; i++) {
		if (c->spi_in == m->replaced[i] || c->spi_out == m->replaced[i])
			return true;
	}
	return false;
}

/* How many CHILD SAs there are that were replaced, or were not. */
static unsigned int count(const struct move *m, bool replaced)
{
	const struct journal_sa *sa = known(m);
	const struct journal_child *c;
	unsigned int n = 0;

	for (; sa; sa = sa->prev) {
		TAILQ_FOREACH(c, &sa->children, link)
			n += is_replaced(m, c) == replaced;
	}
	return n;
}

static void rekey(struct move *m, uint32_t spi)
{
	if (!m->rekeyings)
		m->until_ms = now_ms() + REKEYED_MS;
	if (m->rekeyings == REKEYINGS || now_ms() > m->until_ms) {
		stay(m);
		return;
	}
	log_warn("IKE SA '%.64s': SPI %08x is another one's on node %u: rekeying its CHILD SA", m->called, spi, m->node);
	m->lasting = count(m, false);
	m->replaced[m->rekeyings++] = spi;
	rekey_spi(m->p.rekey, spi);
	m->phase = REKEYING;
	arm(m, STEP_MS);
}

static void ask_whether(struct move *m)
{
	char why[PICK_WHY];
	unsigned int i;

	drop_context(m);
	m->has_context = pick(&m->p.pick, &m->context, known(m), NULL, m->called, why);
	for (i = 0; m->has_context && i < m->rekeyings; i++)
		context_leave_out(&m->context, m->replaced[i]);
	m->phase = TRYING;
	say(m, CONTROL_REFUSED, "%s", m->has_context ? "its context is too large to be moved" : why);
	if (m->has_context && ask(m, PARCEL_TRY))
		arm(m, TRY_MS);
	else
		stay(m);
}

/* It would be taken. */
static void quiet(struct move *m)
{
	const struct journal_sa *sa = known(m);

	charon_read_all(m->p.ch);
	m->ike_still = sa ? still_ike(sa) : NULL;
	if (!m->ike_still) {
		say_no_stillness(m);
		stay(m);
		return;
	}
	m->mids = sum_mids(sa);
	m->phase = QUIETING;
	arm(m, QUIET_MS);
}

/* The new one may be another's, too; once none is, those before must go. */
static void wait_for_rekeying(struct move *m)
{
	charon_read_all(m->p.ch);
	if (m->phase == REKEYING && count(m, false) >= m->lasting)
		ask_whether(m);
	else if (m->phase == WAITING && !count(m, true))
		quiet(m);
	else if (now_ms() < m->until_ms)
		arm(m, STEP_MS);
	else
		stay(m);
}

static void wait_for_the_last(struct move *m)
{
	say(m, CONTROL_REFUSED, "charon keeps a CHILD SA that it has rekeyed (try again)");
	m->phase = WAITING;
	wait_for_rekeying(m);
}

/* What was asked and answered meanwhile the other end may not have heard. */
static bool is_quiet(struct move *m)
{
	const struct journal_sa *sa;

	charon_read_all(m->p.ch);
	sa = known(m);
	return sa && !sa->next && sum_mids(sa) == m->mids;
}

static void take(struct move *m)
{
	bool is = is_quiet(m);
	char why[PICK_WHY];

	m->esp_still = is ? still_esp(known(m)) : NULL;
	m->since_ms = now_ms();
	drop_context(m);
	if (!is)
		say(m, CONTROL_REFUSED, "its far end, or charon, was in the middle of an exchange (try again)");
	else if (!m->esp_still)
		say_no_stillness(m);
	else if (!pick(&m->p.pick, &m->context, known(m), NULL, m->called, why))
		say(m, CONTROL_REFUSED, "%s", why);
	else
		m->has_context = true;
	m->phase = TAKING;
	if (!m->has_context || !ask(m, PARCEL_TAKE))
		stay(m);
	else
		arm(m, TAKE_MS);
}

static void is_gone(struct move *m)
{
	log_info("connection %.64s is on node %u from now on; its ESP stood still for %u ms", journal_name(context_sa(&m->context)), m->node, m->silent_ms);
	finish(m);
}

static void goes(struct move *m)
{
	m->silent_ms = now_ms() - m->since_ms;
	m->phase = FORGETTING;
	m->unknown[0] = 0;
	m->until_ms = now_ms() + GOES_MS;
	forget(m->p.pick.relay, charon_version(m->p.ch), &context_sa(&m->context)->id);
	arm(m, STEP_MS);
}

/* ---- is it gone? ---- */

static void on_states(void *ctx, const struct bytes *states)
{
	const struct numbers *n;
	struct move *m = ctx;
	bool there = m->listed || !states;
	size_t left;

	n = (const struct numbers *)bytes_at(&m->context.numbers);
	left = bytes_left(&m->context.numbers) / sizeof(*n);
	for (; states && left--; n++)
		there |= states_find(states, &n->dst, n->spi);
	if (!there) {
		is_gone(m);
		return;
	}
	if (now_ms() < m->until_ms) {
		arm(m, STEP_MS);
		return;
	}
	say(m, CONTROL_NO, "node %u has it, but charon or the kernel here does not forget it: look at charon's log", m->node);
	finish(m);
}

static void on_sa(void *ctx, const struct vici_sa *sa)
{
	struct move *m = ctx;

	m->listed |= ike_id_equal(&sa->id, &m->ike);
}

static void on_listed(void *ctx, bool ok)
{
	struct move *m = ctx;

	m->listed |= !ok;
	xfrm_list_states(m->xfrm, on_states, m);
}

static void look(struct move *m)
{
	if (!charon_idle(m->p.ch) && now_ms() < m->until_ms) {
		arm(m, STEP_MS);
		return;
	}
	m->listed = false;
	vici_list_sas(m->p.vici, on_sa, on_listed, m);
}

/* ---- what comes ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct move *m = arg;

	(void)fd;
	(void)what;
	switch (m->phase) {
	case TRYING:
		say(m, CONTROL_REFUSED, "node %u does not answer (is its espsyncd well?)", m->node);
		stay(m);
		break;
	case REKEYING:
	case WAITING:
		wait_for_rekeying(m);
		break;
	case QUIETING:
		take(m);
		break;
	case TAKING:
		become_unknown(m);
		break;
	case ASKING:
		ask_again(m);
		break;
	case FORGETTING:
		look(m);
		break;
	case IDLE:
		break;
	}
}

/* Taken, for how many ms IKE was not heard, and maybe what is not well. */
static void is_taken(struct move *m, const char *text)
{
	char *rest;

	say(m, CONTROL_DONE, "%s", "");
	m->deaf_ms = strtoul(text, &rest, 10);
	if (*rest)
		say(m, CONTROL_NO, "node %u has it, but not all is well there: %s", m->node, rest + 1);
	goes(m);
}

/* Behind an SPI the sentence. */
static const char *sentence(enum phase phase, uint8_t code, const char *text, uint32_t *spi)
{
	char *rest;

	*spi = code == CONTROL_NO && phase != ASKING ? strtoul(text, &rest, 16) : 0;
	return *spi && *rest ? rest + 1 : text;
}

static void on_answer(struct move *m, uint8_t code, const char *text)
{
	uint32_t spi;

	text = sentence(m->phase, code, text, &spi);
	if (code != CONTROL_DONE && code != PARCEL_UNKNOWN)
		say(m, code == CONTROL_BAD ? CONTROL_REFUSED : code, "node %u: %s", m->node, text);
	if (m->phase == TRYING && code == CONTROL_DONE)
		wait_for_the_last(m);
	else if (m->phase == TRYING && spi)
		rekey(m, spi);
	else if (m->phase == TRYING || (m->phase == TAKING && code != CONTROL_DONE && code != PARCEL_UNKNOWN) || (m->phase == ASKING && code == CONTROL_NO))
		stay(m);
	else if (m->phase == TAKING && code == PARCEL_UNKNOWN)
		become_unknown(m);
	else if (code == CONTROL_DONE)
		is_taken(m, text);
}

void move_answer(struct move *m, const struct parcel *p)
{
	char text[MOVE_TEXT];

	if (p->peer != m->peer || p->id != m->id || !p->len || (m->phase != TRYING && m->phase != TAKING && m->phase != ASKING))
		return;
	snprintf(text, sizeof(text), "%.*s", (int)p->len - 1, (const char *)p->data + 1);
	on_answer(m, p->data[0], text);
}

void move_peer_down(struct move *m, unsigned int peer)
{
	if (m->phase == IDLE || peer != m->peer)
		return;
	if (m->phase == TRYING || m->phase == REKEYING || m->phase == WAITING || m->phase == QUIETING) {
		say(m, CONTROL_REFUSED, "node %u was lost", m->node);
		stay(m);
	} else if (m->phase == TAKING) {
		become_unknown(m);
	}
}

void move_cancel(struct move *m)
{
	if (m->phase != TRYING && m->phase != REKEYING && m->phase != WAITING && m->phase != QUIETING)
		return;
	say(m, CONTROL_REFUSED, "this node's role changes");
	stay(m);
}

const char *move_unknown(const struct move *m)
{
	return *m->unknown ? m->unknown : NULL;
}

/* ---- what must be so ---- */

static bool find_peer(struct move *m)
{
	for (m->peer = 0; m->peer < config(m)->n_peers; m->peer++) {
		if (config(m)->peers[m->peer].node == m->node)
			return true;
	}
	return false;
}

static bool is_initiated(const struct move *m, const char *conn)
{
	unsigned int i;

	for (i = 0; i < config(m)->n_initiate; i++) {
		if (!strcmp(config(m)->initiate[i].conn, conn))
			return true;
	}
	return false;
}

static unsigned int count_children(const struct journal_sa *sa)
{
	const struct journal_child *c;
	unsigned int n = 0;

	for (; sa; sa = sa->prev) {
		TAILQ_FOREACH(c, &sa->children, link)
			n++;
	}
	return n;
}

static bool may_go(struct move *m, const struct journal_sa *sa, const struct vici_sa *listed)
{
	if (m->node == config(m)->node)
		say(m, CONTROL_BAD, "this is node %u (give the number of another one)", m->node);
	else if (!find_peer(m))
		say(m, CONTROL_BAD, "there is no node %u (see [peer N] of espsyncd.conf)", m->node);
	else if (!relay_is_auditable(m->p.pick.relay))
		say(m, CONTROL_REFUSED, "this node is not active, or has not taken over yet (move it where it is: espsync show)");
	else if (!parcels_can(m->p.parcels, m->peer))
		say(m, CONTROL_REFUSED, "espsyncd of node %u is not connected, or an older one", m->node);
	else if (!sa)
		say(m, CONTROL_REFUSED, "IKE SA '%.64s' is not in the journal (espsync ready says why, swanctl --rekey --ike-id %u helps)", m->called,
		    listed ? listed->unique : 0);
	else if (listed && strcmp(listed->state, "ESTABLISHED"))
		say(m, CONTROL_REFUSED, "IKE SA '%.64s' is being made, rekeyed or deleted (try again)", m->called);
	else if (is_initiated(m, journal_name(sa)))
		say(m, CONTROL_REFUSED, "connection %.64s is initiated here ([initiate] in espsyncd.conf): it would be begun anew (take that out first)",
		    journal_name(sa));
	else if (count_children(sa) > STILL_CHILDREN)
		say(m, CONTROL_REFUSED, "it has more than %u CHILD SAs", STILL_CHILDREN);
	else if (listed && (listed->asks || listed->adding))
		say(m, CONTROL_REFUSED, "IKE SA '%.64s' is in the middle of an exchange (try again)", m->called);
	else
		return true;
	return false;
}

void move_begin(struct move *m, const struct journal_sa *sa, const struct vici_sa *listed, const char *called, uint32_t node,
		void (*done)(void *ctx, const struct move_result *result), void *ctx)
{
	static const struct move_result busy = { CONTROL_REFUSED, "another VPN is being moved (try again)", NULL, 0, 0 };

	if (m->phase != IDLE) {
		done(ctx, &busy);
		return;
	}
	m->done = done;
	m->ctx = ctx;
	m->node = node;
	m->silent_ms = 0;
	m->deaf_ms = 0;
	snprintf(m->called, sizeof(m->called), "%s", called);
	if (!may_go(m, sa, listed)) {
		tell(m);
		return;
	}
	m->ike = sa->id;
	m->rekeyings = 0;
	ask_whether(m);
}

static void on_fetched(void *ctx, const struct move_result *result)
{
	(void)ctx;
	if (result->code != CONTROL_DONE)
		log_warn("a VPN that was asked for was not moved: %s", result->text);
}

void move_fetch(struct move *m, const struct parcel *p)
{
	const struct journal_sa *sa;
	struct ike_id id = { .version = 2 };
	char called[CONFIG_NAME];

	if (m->phase != IDLE || p->len != sizeof(id.spi_i) + sizeof(id.spi_r))
		return;
	memcpy(id.spi_i, p->data, sizeof(id.spi_i));
	memcpy(id.spi_r, p->data + sizeof(id.spi_i), sizeof(id.spi_r));
	sa = journal_find(relay_journal(m->p.pick.relay), &id);
	if (!sa || !relay_is_complete(m->p.pick.relay) || (ike_id_equal(&m->fetched, &id) && now_ms() - m->fetched_ms < FETCH_MS))
		return;
	m->fetched = id;
	m->fetched_ms = now_ms();
	snprintf(called, sizeof(called), "%.*s", CONFIG_NAME - 1, journal_name(sa));
	log_info("connection %.64s: node %u has packets of it, and asks for it", called, config(m)->peers[p->peer].node);
	move_begin(m, sa, NULL, called, config(m)->peers[p->peer].node, on_fetched, m);
}

struct move *move_alloc(struct event_base *base, const struct move_parts *parts)
{
	struct move *m = secret_alloc(sizeof(*m));

	m->p = *parts;
	m->xfrm = xfrm_list_alloc(base, parts->pick.c);
	m->timer = evtimer_new(base, on_timer, m);
	return m;
}

void move_free(struct move *m)
{
	m->done = NULL;
	finish(m);
	event_free(m->timer);
	xfrm_list_free(m->xfrm);
	secret_free(m, sizeof(*m));
}
