// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_drift.c - user/espsyncd's drift: what is told to other helpers, what is believed of them, and when.
 *
 * Job: drift.c itself, with a survey of which this program says what it finds, and links that are a list of frames. Which sentences follow
 * from which difference is another program's.
 */
// SOURCES: ../../user/espsyncd/digest.c ../../user/espsyncd/facts.c ../../user/espsyncd/spis.c ../../user/espsyncd/differ.c ../../user/espsyncd/carried.c ../../user/espsyncd/lines.c
// SOURCES: ../../user/espsyncd/settings.c ../../user/espsyncd/config.c ../../user/espsyncd/vici_msg.c ../../user/espsyncd/bytes.c
#define _GNU_SOURCE
#include "../../user/espsyncd/drift.c"
#include "../fuzz/noevents.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

#define FRAMES	64

static const struct config config = { .node = 1, .n_peers = 2, .peers = { { .node = 2 }, { .node = 3 } } };
static struct { uint8_t data[PIECE + HEAD]; size_t len; } sent[2][FRAMES];
static unsigned int n_sent[2], surveys;
static size_t queued;

/* ---- what drift calls ---- */

struct survey {
	void (*done)(void *ctx, struct digest *digest, bool told);
	void *ctx;
};

static struct survey it;

struct survey *survey_alloc(const struct config *c, struct vici *v, void (*done)(void *ctx, struct digest *digest, bool told), void *ctx)
{
	(void)c, (void)v;
	it = (struct survey){ done, ctx };
	return &it;
}

void survey_free(struct survey *s)
{
	(void)s;
}

void survey_begin(struct survey *s)
{
	(void)s;
	surveys++;
}

size_t link_queued(const struct links *l, unsigned int peer)
{
	(void)l, (void)peer;
	return queued;
}

void link_send(struct links *l, unsigned int peer, uint8_t type, const void *head, size_t head_len, const void *body, size_t body_len)
{
	(void)l;
	assert(type == DRIFT_FRAME && head_len == HEAD && body_len <= PIECE && n_sent[peer] < FRAMES);
	memcpy(sent[peer][n_sent[peer]].data, head, head_len);
	memcpy(sent[peer][n_sent[peer]].data + head_len, body, body_len);
	sent[peer][n_sent[peer]++].len = head_len + body_len;
}

/* ---- the cases' words ---- */

static struct drift *fresh(void)
{
	n_sent[0] = n_sent[1] = surveys = 0;
	queued = 0;
	warning[0] = 0;
	return drift_alloc(NULL, &config, NULL, NULL);
}

/* One that has so many connections, of which the last one is of that version. */
static struct digest digest_of(unsigned int conns, const char *version)
{
	struct digest d = { 0 };
	char name[16];

	for (unsigned int i = 0; i < conns; i++) {
		snprintf(name, sizeof(name), "c%05u", i);
		digest_add(&d, &(struct digest_item){ DIGEST_LOADED, name, "", "", "" });
		digest_add(&d, &(struct digest_item){ DIGEST_LOADED, name, "", "version", i == conns - 1 ? version : "IKEv2" });
	}
	digest_sort(&d);
	return d;
}

static void finds(struct digest d)
{
	it.done(it.ctx, &d, true);
}

/* At one look, and at the next. */
static void finds_twice(unsigned int conns, const char *version)
{
	finds(digest_of(conns, version));
	finds(digest_of(conns, version));
}

/* What was sent to a peer is what another one sends to us. Return: how many frames that were */
static unsigned int comes_back(struct drift *d, unsigned int from, unsigned int to)
{
	unsigned int i, n = n_sent[from];

	for (i = 0; i < n; i++) {
		if (!drift_frame(d, to, sent[from][i].data, sent[from][i].len))
			return 0;
	}
	n_sent[from] = 0;
	return n;
}

static bool says(struct drift *d, const char *sentence)
{
	for (unsigned int i = 0; i < drift_lines(d)->n; i++) {
		if (strstr(drift_lines(d)->text[i], sentence))
			return true;
	}
	return false;
}

/* ---- cases ---- */

static bool who_takes_it_is_told_once_and_when_it_changes(void)
{
	struct drift *d = fresh();

	event_calls(-1, EV_TIMEOUT, d);
	ktap_expect(surveys == 1);
	drift_listens(d, 0);
	ktap_expect(!n_sent[0]);
	finds(digest_of(2, "IKEv2"));
	ktap_expect(n_sent[0] == 1 && !n_sent[1]);
	drift_listens(d, 0);
	finds(digest_of(2, "IKEv2"));
	ktap_expect(n_sent[0] == 1);
	finds_twice(3, "IKEv2");
	ktap_expect(n_sent[0] == 2);
	/* After a new connection it has forgotten all. */
	drift_peer_down(d, 0);
	drift_writable(d, 0);
	ktap_expect(n_sent[0] == 2);
	drift_listens(d, 0);
	ktap_expect(n_sent[0] == 3);
	drift_free(d);
	return true;
}

static bool a_long_one_comes_in_pieces_as_they_are_taken(void)
{
	struct drift *d = fresh();
	unsigned int n;

	drift_listens(d, 0);
	queued = QUEUED;
	finds(digest_of(5000, "IKEv2"));
	ktap_expect(!n_sent[0]);
	queued = 0;
	drift_writable(d, 0);
	n = n_sent[0];
	ktap_expect(n > 5);
	ktap_expect(comes_back(d, 0, 1) == n && d->peers[1].known && !drift_lines(d)->n);
	/* The other node's last one is another one. */
	finds_twice(5000, "IKEv1");
	ktap_expect(says(d, "connection c04999: version is IKEv1 here, IKEv2 on node 3") && says(d, "connection c04999: IKEv1 is accepted"));
	ktap_expect(strstr(warning, "not all is carried: connection c04999"));
	drift_free(d);
	return true;
}

static bool a_difference_goes_as_it_came(void)
{
	struct drift *d = fresh();

	drift_listens(d, 0);
	finds(digest_of(1, "IKEv2"));
	comes_back(d, 0, 0);
	ktap_expect(!drift_lines(d)->n);
	finds_twice(2, "IKEv2");
	ktap_expect(says(d, "connection c00001 is loaded here and not on node 2") && strstr(warning, "c00001"));
	comes_back(d, 0, 0);
	ktap_expect(!drift_lines(d)->n);
	finds_twice(1, "IKEv2");
	ktap_expect(says(d, "connection c00001 is loaded on node 2 and not here"));
	drift_peer_down(d, 0);		/* what it has now nobody knows; that it is gone is said by others */
	ktap_expect(!drift_lines(d)->n);
	drift_free(d);
	return true;
}

/* charon writes it, and not the next time. */
static bool what_is_seen_once_is_nothing(void)
{
	struct drift *d = fresh();

	drift_listens(d, 0);
	finds(digest_of(2, "IKEv2"));
	for (unsigned int i = 0; i < 3; i++) {
		finds(digest_of(2, "IKEv1"));
		finds(digest_of(2, "IKEv2"));
	}
	finds(digest_of(2, "IKEv1"));
	finds(digest_of(3, "IKEv1"));
	ktap_expect(n_sent[0] == 1 && !drift_lines(d)->n);
	drift_free(d);
	return true;
}

static bool a_charon_that_does_not_answer_changes_nothing(void)
{
	struct digest files = digest_of(7, "IKEv1");
	struct drift *d = fresh();

	drift_listens(d, 0);
	it.done(it.ctx, &files, false);
	ktap_expect(!n_sent[0] && !drift_lines(d)->n);
	finds(digest_of(1, "IKEv1"));
	ktap_expect(drift_lines(d)->n == 1);
	files = digest_of(7, "IKEv1");
	it.done(it.ctx, &files, false);
	ktap_expect(n_sent[0] == 1 && drift_lines(d)->n == 1);
	drift_free(d);
	return true;
}

static bool piece(struct drift *d, uint32_t offset, uint32_t total, const char *data, size_t len)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add_u32(&b, offset);
	bytes_add_u32(&b, total);
	bytes_add(&b, data, len);
	ok = drift_frame(d, 0, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
	return ok;
}

#define UNREADABLE	"what node 2 says of its configuration cannot be read"

/* It costs no more memory than there is of a good one, and is over when a good one comes. */
static bool garbage_is_named_and_nothing_more(void)
{
	static const char good[] = "\1a\0\0\0", two[] = "\0a\0b\0c\0d\0\0a\0b\0c\0d\0";
	struct drift *d = fresh();

	finds(digest_of(0, ""));
	ktap_expect(!drift_frame(d, 0, (const uint8_t *)good, 7));
	ktap_expect(piece(d, 0, sizeof(two) - 1, two, sizeof(two) - 1) && says(d, UNREADABLE));
	ktap_expect(piece(d, 0, sizeof(good), good, sizeof(good)) && !says(d, UNREADABLE) && says(d, "connection a is loaded on node 2"));
	ktap_expect(piece(d, 0, DIGEST_MAX + 1, good, 1) && says(d, UNREADABLE) && !d->peers[0].incoming.data);
	ktap_expect(piece(d, 1, DIGEST_MAX + 1, good, 1) && !d->peers[0].incoming.data);
	ktap_expect(piece(d, 0, 5, good, 2) && bytes_left(&d->peers[0].incoming) == 2);
	ktap_expect(piece(d, 1, 5, good, 1) && says(d, UNREADABLE));		/* again what was there */
	ktap_expect(piece(d, 0, 5, good, 2) && piece(d, 2, 6, good, 1) && says(d, UNREADABLE));	/* another length */
	ktap_expect(piece(d, 0, 5, good, sizeof(good)) && says(d, UNREADABLE));	/* more than it said */
	ktap_expect(piece(d, 3, 0xffffffff, good, 1) && says(d, UNREADABLE));
	ktap_expect(piece(d, 0, sizeof(good), good, 2) && piece(d, 2, sizeof(good), good + 2, 3) && piece(d, 5, sizeof(good), good + 5, 1));
	ktap_expect(!says(d, UNREADABLE) && d->peers[0].known);
	drift_free(d);
	return true;
}

static const struct ktap_case cases[] = {
	{ "who takes it is told once, and when it changes", who_takes_it_is_told_once_and_when_it_changes },
	{ "a long one comes in pieces, as they are taken", a_long_one_comes_in_pieces_as_they_are_taken },
	{ "a difference goes as it came", a_difference_goes_as_it_came },
	{ "what is seen once is nothing", what_is_seen_once_is_nothing },
	{ "a charon that does not answer changes nothing", a_charon_that_does_not_answer_changes_nothing },
	{ "garbage is named, and nothing more", garbage_is_named_and_nothing_more },
};

KTAP_MAIN(cases)
