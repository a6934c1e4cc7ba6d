// SPDX-License-Identifier: GPL-2.0-or-later
/* drift: are the nodes' strongSwans alike, and can all of it be carried? See drift.h. */
#include <string.h>

#include "bytes.h"
#include "carried.h"
#include "differ.h"
#include "digest.h"
#include "drift.h"
#include "log.h"
#include "spis.h"
#include "survey.h"

#define INTERVAL_MS	5000	/* charon tells nobody that connections were loaded */
#define SOON_MS		1000
#define PIECE		(16 << 10)
#define QUEUED		(64 << 10)	/* records of IKE SAs shall not wait behind more than that */
#define HEAD		8

/**
 * struct drift_peer - another node
 * @listens: it takes our frames
 * @sent: how much of our digest it has got, in bytes
 * @incoming: what has arrived of its digest
 * @total: how long that will be
 * @known: @theirs is what it has said
 * @theirs: its digest
 * @garbled: it says what cannot be read
 */
struct drift_peer {
	bool listens;
	size_t sent;
	struct bytes incoming;
	size_t total;
	bool known;
	struct digest theirs;
	bool garbled;
};

struct drift {
	const struct config *c;
	struct links *links;
	struct survey *survey;
	struct event *timer;
	bool known;		/* @own is what charon has said */
	struct digest own;
	struct digest seen;	/* at the last look, if that was another one */
	struct drift_peer peers[CONFIG_MAX_PEERS];
	struct lines lines;
};

static void arm(struct drift *d, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(d->timer, &tv);
}

/* Each sentence is logged when it begins to be true. */
static void tell(struct drift *d, const struct lines *now)
{
	unsigned int i;

	for (i = 0; i < now->n; i++) {
		if (!lines_has(&d->lines, now->text[i]))
			log_warn("the nodes are not alike, or not all is carried: %s", now->text[i]);
	}
	if (d->lines.n && !now->n)
		log_info("the nodes are alike, and all is carried");
	d->lines = *now;
}

static void compare(struct drift *d)
{
	struct lines now = { .n = 0 };
	unsigned int i;

	if (!d->known)
		return;
	for (i = 0; i < d->c->n_peers; i++) {
		const struct drift_peer *p = &d->peers[i];
		unsigned int node = d->c->peers[i].node;

		if (p->garbled)
			lines_add(&now, "what node %u says of its configuration cannot be read: run the same version of espsync", node);
		else if (p->known)
			differ_check(&d->own, &p->theirs, node, &now);
		spis_compare(&d->own, p->known ? &p->theirs : NULL, node, &now);
	}
	carried_check(&d->own, &now);
	spis_check(&d->own, &now);
	if (d->own.too_large)
		lines_add(&now, "there are more connections than can be compared: compare their files by other means");
	lines_end(&now);
	tell(d, &now);
}

static void pump(struct drift *d, unsigned int peer)
{
	struct drift_peer *p = &d->peers[peer];
	size_t total = bytes_left(&d->own.text), n;
	struct bytes head = { 0 };

	while (d->known && p->listens && p->sent < total && link_queued(d->links, peer) < QUEUED) {
		n = total - p->sent < PIECE ? total - p->sent : PIECE;
		bytes_add_u32(&head, p->sent);
		bytes_add_u32(&head, total);
		link_send(d->links, peer, DRIFT_FRAME, bytes_at(&head), HEAD, bytes_at(&d->own.text) + p->sent, n);
		bytes_consume(&head, HEAD);
		p->sent += n;
	}
	bytes_free(&head);
}

/*
 * What has changed is looked at twice: charon's threads may garble each other's names of ports (getservbyport()), which it writes selectors with.
 * Return: true if @digest is what is so
 */
static bool stands(struct drift *d, struct digest *digest)
{
	if (!d->known || digest_equal(digest, &d->seen))
		return true;
	digest_free(&d->seen);
	d->seen = *digest;
	arm(d, SOON_MS);
	return false;
}

/* One that charon does not answer for stays what it was: what becomes of a charon that does not answer is said by others. */
static void on_surveyed(void *ctx, struct digest *digest, bool told)
{
	struct drift *d = ctx;
	unsigned int i;

	arm(d, INTERVAL_MS);
	if (!told || (d->known && digest_equal(digest, &d->own))) {
		digest_free(digest);
		digest_free(&d->seen);
		return;
	}
	if (!stands(d, digest))
		return;
	digest_free(&d->own);
	d->own = *digest;
	d->known = true;
	for (i = 0; i < d->c->n_peers; i++) {
		d->peers[i].sent = 0;
		pump(d, i);
	}
	compare(d);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct drift *d = arg;

	(void)fd;
	(void)what;
	survey_begin(d->survey);
}

void drift_restarted(struct drift *d)
{
	arm(d, SOON_MS);
}

void drift_listens(struct drift *d, unsigned int peer)
{
	d->peers[peer].listens = true;
	pump(d, peer);
}

void drift_writable(struct drift *d, unsigned int peer)
{
	pump(d, peer);
}

static void peer_forget(struct drift_peer *p)
{
	bytes_free(&p->incoming);
	digest_free(&p->theirs);
	memset(p, 0, sizeof(*p));
}

void drift_peer_down(struct drift *d, unsigned int peer)
{
	peer_forget(&d->peers[peer]);
	compare(d);
}

static void arrived(struct drift *d, struct drift_peer *p)
{
	digest_free(&p->theirs);
	p->known = digest_read(&p->theirs, bytes_at(&p->incoming), bytes_left(&p->incoming));
	p->garbled = !p->known;
	bytes_free(&p->incoming);
	compare(d);
}

/* Until it begins anew. */
static void is_garbled(struct drift *d, struct drift_peer *p)
{
	bytes_free(&p->incoming);
	p->garbled = true;
	compare(d);
}

bool drift_frame(struct drift *d, unsigned int peer, const uint8_t *data, size_t len)
{
	struct drift_peer *p = &d->peers[peer];
	size_t offset, total;

	if (len < HEAD)
		return false;
	offset = get_u32(data);
	total = get_u32(data + 4);
	if (!offset) {
		bytes_free(&p->incoming);
		p->total = total;
		p->garbled = false;
	}
	if (p->garbled)
		return true;
	if (total > DIGEST_MAX || total != p->total || offset != bytes_left(&p->incoming) || len - HEAD > total - offset) {
		is_garbled(d, p);
		return true;
	}
	bytes_add(&p->incoming, data + HEAD, len - HEAD);
	if (bytes_left(&p->incoming) == total)
		arrived(d, p);
	return true;
}

const struct digest *drift_own(const struct drift *d)
{
	return d->known ? &d->own : NULL;
}

const struct lines *drift_lines(const struct drift *d)
{
	return &d->lines;
}

struct drift *drift_alloc(struct event_base *base, const struct config *c, struct vici *v, struct links *l)
{
	struct drift *d = secret_alloc(sizeof(*d));

	d->c = c;
	d->links = l;
	d->survey = survey_alloc(c, v, on_surveyed, d);
	d->timer = evtimer_new(base, on_timer, d);
	arm(d, 0);
	return d;
}

void drift_free(struct drift *d)
{
	unsigned int i;

	event_free(d->timer);
	survey_free(d->survey);
	for (i = 0; i < CONFIG_MAX_PEERS; i++)
		peer_forget(&d->peers[i]);
	digest_free(&d->own);
	digest_free(&d->seen);
	secret_free(d, sizeof(*d));
}
