// SPDX-License-Identifier: GPL-2.0-or-later
/* rekey: asks charon to rekey, a few at a time. See rekey.h. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "log.h"
#include "rekey.h"

#define PACE_MS		100	/* far ends and charon do DH for each */
#define MAX_JOBS	65536
#define MAX_SPIS	262144	/* those of all SAs that the module follows, both ways */
#define AGAIN_MS	1000	/* charon did not answer */
#define ALL_MS		15000	/* after a takeover far ends retransmit first what died with the other charon; an exchange would be in their way */

struct job {
	bool ike;
	uint32_t unique;
};

struct rekey {
	struct vici *vici;
	struct event *timer;
	struct bytes jobs;	/* struct job */
	struct event *all_timer;
	struct bytes all_jobs;	/* struct job: those that are only wanted */
	struct event *later;	/* to ask once more */
	struct event *all_later;	/* to ask for all */
	struct bytes spis;	/* uint32_t, to be looked up */
	size_t sorted;		/* so many of them are, since listing began: those that are looked up */
	bool active;		/* before that an SPI only waits: charon rekeys nothing that is passive */
	bool overdue;		/* the list is looked at for what is overdue */
	bool all;		/* ... for every CHILD SA */
	bool all_wanted;	/* with the next list */
	uint32_t per_s;		/* of these */
	bool listing;
	bool again;		/* more was asked for meanwhile */
};

static void arm(struct event *timer, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (!event_pending(timer, EV_TIMEOUT, NULL))
		event_add(timer, &tv);
}

/* Return: how many are before it; all, if it is not queued */
static size_t place_of(const struct rekey *r, const struct job *job)
{
	const struct job *j = (const struct job *)bytes_at(&r->jobs);
	size_t i, n = bytes_left(&r->jobs) / sizeof(*j);

	for (i = 0; i < n; i++, j++) {
		if (j->ike == job->ike && j->unique == job->unique)
			break;
	}
	return i;
}

static size_t n_jobs(const struct rekey *r)
{
	return bytes_left(&r->jobs) / sizeof(struct job);
}

uint32_t rekey_add(struct rekey *r, bool ike, uint32_t unique)
{
	struct job job;
	size_t place;

	memset(&job, 0, sizeof(job));
	job.ike = ike;
	job.unique = unique;
	place = place_of(r, &job);
	if (place == n_jobs(r) && place < MAX_JOBS) {
		bytes_add(&r->jobs, &job, sizeof(job));
		arm(r->timer, PACE_MS);
	}
	return (place + 1) * PACE_MS;
}

/* One that is only wanted. A list names each once. */
static void add_wanted(struct rekey *r, uint32_t unique)
{
	struct job job;

	memset(&job, 0, sizeof(job));
	job.unique = unique;
	if (place_of(r, &job) < n_jobs(r) || bytes_left(&r->all_jobs) / sizeof(job) == MAX_JOBS)
		return;
	bytes_add(&r->all_jobs, &job, sizeof(job));
	arm(r->all_timer, 1000 / r->per_s);
}

/* Return: false if there was none */
static bool next_job(struct rekey *r, struct bytes *jobs)
{
	struct job job;

	if (bytes_left(jobs) < sizeof(job))
		return false;
	memcpy(&job, bytes_at(jobs), sizeof(job));
	bytes_consume(jobs, sizeof(job));
	if (job.ike)
		vici_rekey_ike(r->vici, job.unique);
	else
		vici_rekey_child(r->vici, job.unique);
	return true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct rekey *r = arg;

	(void)fd;
	(void)what;
	if (next_job(r, &r->jobs))
		arm(r->timer, PACE_MS);
}

/* What must be rekeyed goes first. */
static void on_all_timer(evutil_socket_t fd, short what, void *arg)
{
	struct rekey *r = arg;

	(void)fd;
	(void)what;
	if (bytes_left(&r->jobs) || next_job(r, &r->all_jobs))
		arm(r->all_timer, 1000 / r->per_s);
}

static int by_spi(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool spi_wanted(const struct rekey *r, const struct vici_child *c)
{
	const void *spis = bytes_at(&r->spis);

	return r->sorted && (bsearch(&c->spi_in, spis, r->sorted, sizeof(uint32_t), by_spi) ||
			     bsearch(&c->spi_out, spis, r->sorted, sizeof(uint32_t), by_spi));
}

/* An SA is named more than once: by an event, and by whoever asks the module what is stale. */
static void sort_spis(struct rekey *r)
{
	uint32_t *spi = (uint32_t *)(r->spis.data + r->spis.off);
	size_t i, n = bytes_left(&r->spis) / sizeof(*spi);

	r->sorted = 0;
	if (!n)
		return;
	qsort(spi, n, sizeof(*spi), by_spi);
	for (i = 0; i < n; i++) {
		if (!r->sorted || spi[i] != spi[r->sorted - 1])
			spi[r->sorted++] = spi[i];
	}
	r->spis.len = r->spis.off + r->sorted * sizeof(*spi);
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

		if (!c->installed)
			continue;
		if ((r->overdue && c->has_rekey && c->rekey_s <= 0) || spi_wanted(r, c))
			rekey_add(r, false, c->unique);
		else if (r->all)
			add_wanted(r, c->unique);
	}
}

static void list(struct rekey *r);

static void on_done(void *ctx, bool ok)
{
	struct rekey *r = ctx;
	bool all = r->all;

	r->listing = false;
	r->all = false;
	if (!ok) {
		struct timeval tv = { AGAIN_MS / 1000, 0 };

		r->all_wanted |= all;
		event_add(r->later, &tv);
		return;
	}
	if (r->again) {
		list(r);
		return;
	}
	r->overdue = false;
	bytes_free(&r->spis);
	if (bytes_left(&r->jobs) || bytes_left(&r->all_jobs))
		log_info("%zu SAs are to be rekeyed", (bytes_left(&r->jobs) + bytes_left(&r->all_jobs)) / sizeof(struct job));
}

static void list(struct rekey *r)
{
	if (r->listing) {
		r->again = true;
		return;
	}
	r->listing = true;
	r->again = false;
	r->all = r->all_wanted;
	r->all_wanted = false;
	sort_spis(r);
	vici_list_sas(r->vici, on_sa, on_done, r);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct rekey *r = arg;

	(void)fd;
	(void)what;
	if (r->active)
		list(r);
}

static void on_all_later(evutil_socket_t fd, short what, void *arg)
{
	struct rekey *r = arg;

	r->all_wanted = true;
	on_later(fd, what, r);
}

void rekey_overdue(struct rekey *r)
{
	r->active = true;
	r->overdue = true;
	list(r);
}

void rekey_taken_over(struct rekey *r)
{
	struct timeval tv = { ALL_MS / 1000, 0 };

	rekey_overdue(r);
	if (r->per_s)
		event_add(r->all_later, &tv);
}

void rekey_spi(struct rekey *r, uint32_t spi)
{
	if (bytes_left(&r->spis) / sizeof(spi) == MAX_SPIS)
		return;
	bytes_add(&r->spis, &spi, sizeof(spi));
	if (r->active)
		list(r);
}

void rekey_forget(struct rekey *r)
{
	bytes_free(&r->jobs);
	bytes_free(&r->all_jobs);
}

void rekey_stop(struct rekey *r)
{
	rekey_forget(r);
	bytes_free(&r->spis);
	r->sorted = 0;
	r->active = false;
	r->overdue = false;
	r->all = false;
	r->all_wanted = false;
	event_del(r->all_later);
}

struct rekey *rekey_alloc(struct event_base *base, struct vici *v, uint32_t per_s)
{
	struct rekey *r = secret_alloc(sizeof(*r));

	r->vici = v;
	r->per_s = per_s;
	r->timer = evtimer_new(base, on_timer, r);
	r->later = evtimer_new(base, on_later, r);
	r->all_timer = evtimer_new(base, on_all_timer, r);
	r->all_later = evtimer_new(base, on_all_later, r);
	return r;
}

void rekey_free(struct rekey *r)
{
	rekey_stop(r);
	event_free(r->timer);
	event_free(r->later);
	event_free(r->all_timer);
	event_free(r->all_later);
	secret_free(r, sizeof(*r));
}
