// SPDX-License-Identifier: GPL-2.0-or-later
/* rekey: asks charon to rekey, a few at a time. See rekey.h. */
#include <string.h>

#include "bytes.h"
#include "log.h"
#include "rekey.h"

#define PACE_MS		100	/* far ends and charon do DH for each */
#define MAX_JOBS	65536
#define MAX_SPIS	1024

struct job {
	bool ike;
	uint32_t unique;
};

struct rekey {
	struct vici *vici;
	struct event *timer;
	struct bytes jobs;	/* struct job */
	struct bytes spis;	/* uint32_t, to be looked up */
	bool active;		/* before that an SPI only waits: charon rekeys nothing that is passive */
	bool overdue;		/* the list is looked at for what is overdue */
	bool listing;
	bool again;		/* more was asked for meanwhile */
};

static void arm(struct rekey *r)
{
	struct timeval tv = { 0, PACE_MS * 1000 };

	if (!event_pending(r->timer, EV_TIMEOUT, NULL))
		event_add(r->timer, &tv);
}

static bool queued(const struct rekey *r, const struct job *job)
{
	const struct job *j = (const struct job *)bytes_at(&r->jobs);
	size_t n = bytes_left(&r->jobs) / sizeof(*j);

	for (; n--; j++) {
		if (j->ike == job->ike && j->unique == job->unique)
			return true;
	}
	return false;
}

void rekey_add(struct rekey *r, bool ike, uint32_t unique)
{
	struct job job;

	memset(&job, 0, sizeof(job));
	job.ike = ike;
	job.unique = unique;
	if (queued(r, &job) || bytes_left(&r->jobs) / sizeof(job) == MAX_JOBS)
		return;
	bytes_add(&r->jobs, &job, sizeof(job));
	arm(r);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct rekey *r = arg;
	struct job job;

	(void)fd;
	(void)what;
	if (bytes_left(&r->jobs) < sizeof(job))
		return;
	memcpy(&job, bytes_at(&r->jobs), sizeof(job));
	bytes_consume(&r->jobs, sizeof(job));
	if (job.ike)
		vici_rekey_ike(r->vici, job.unique);
	else
		vici_rekey_child(r->vici, job.unique);
	if (bytes_left(&r->jobs))
		arm(r);
}

static bool spi_wanted(const struct rekey *r, const struct vici_child *c)
{
	size_t i, n = bytes_left(&r->spis) / sizeof(uint32_t);
	uint32_t spi;

	for (i = 0; i < n; i++) {
		memcpy(&spi, bytes_at(&r->spis) + i * sizeof(spi), sizeof(spi));
		if (spi == c->spi_in || spi == c->spi_out)
			return true;
	}
	return false;
}

static void on_sa(void *ctx, const struct vici_sa *sa)
{
	struct rekey *r = ctx;
	unsigned int i;

	if (strcmp(sa->state, "ESTABLISHED"))
		return;
	if (r->overdue && sa->has_rekey && sa->rekey_s <= 0)
		rekey_add(r, true, sa->unique);
	for (i = 0; i < sa->n_children; i++) {
		const struct vici_child *c = &sa->children[i];

		if (c->installed && ((r->overdue && c->has_rekey && c->rekey_s <= 0) || spi_wanted(r, c)))
			rekey_add(r, false, c->unique);
	}
}

static void list(struct rekey *r);

static void on_done(void *ctx, bool ok)
{
	struct rekey *r = ctx;

	(void)ok;
	r->listing = false;
	if (r->again) {
		r->again = false;
		list(r);
		return;
	}
	r->overdue = false;
	bytes_free(&r->spis);
	if (bytes_left(&r->jobs))
		log_info("%zu SAs are to be rekeyed", bytes_left(&r->jobs) / sizeof(struct job));
}

static void list(struct rekey *r)
{
	if (r->listing) {
		r->again = true;
		return;
	}
	r->listing = true;
	vici_list_sas(r->vici, on_sa, on_done, r);
}

void rekey_overdue(struct rekey *r)
{
	r->active = true;
	r->overdue = true;
	list(r);
}

void rekey_spi(struct rekey *r, uint32_t spi)
{
	if (bytes_left(&r->spis) / sizeof(spi) == MAX_SPIS)
		return;
	bytes_add(&r->spis, &spi, sizeof(spi));
	if (r->active)
		list(r);
}

void rekey_stop(struct rekey *r)
{
	bytes_free(&r->jobs);
	bytes_free(&r->spis);
	r->active = false;
	r->overdue = false;
}

struct rekey *rekey_alloc(struct event_base *base, struct vici *v)
{
	struct rekey *r = secret_alloc(sizeof(*r));

	r->vici = v;
	r->timer = evtimer_new(base, on_timer, r);
	return r;
}

void rekey_free(struct rekey *r)
{
	rekey_stop(r);
	event_free(r->timer);
	secret_free(r, sizeof(*r));
}
