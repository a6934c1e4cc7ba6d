// SPDX-License-Identifier: GPL-2.0-or-later
/* unanswered: far ends' requests that died with the charon that was answering them. See unanswered.h. */
#include <string.h>

#include "bytes.h"
#include "unanswered.h"

#define ANSWERED_MS	15000	/* after it a charon has answered that is neither dead nor locked up and about to be killed by systemd */
#define MAX_LET		65536
#define MAX_CHANGES	8

/* A request that charon was told to expect. */
struct let {
	struct ike_id id;
	uint32_t mid;
	bool let;		/* else it was taken back */
	unsigned int changes;
};

/* An IKE SA of which the first request came not long ago. */
struct first {
	struct ike_id id;
	uint64_t since_ms;
	bool withheld;		/* charon was not told */
	bool asked_on;		/* the far end has its answer: charon may be told */
};

struct unanswered {
	struct bytes let;	/* struct let */
	struct bytes firsts;	/* struct first, oldest first */
};

static struct first *first_find(struct unanswered *u, const struct ike_id *id)
{
	struct first *f = (struct first *)(u->firsts.data + u->firsts.off);
	size_t n = bytes_left(&u->firsts) / sizeof(*f);

	for (; n--; f++) {
		if (ike_id_equal(&f->id, id))
			return f;
	}
	return NULL;
}

void unanswered_first(struct unanswered *u, const struct ike_id *id, uint64_t now)
{
	struct first *known = first_find(u, id), f = { .id = *id, .since_ms = now };

	if (known)
		*known = f;
	else
		bytes_add(&u->firsts, &f, sizeof(f));
}

bool unanswered_withholds(struct unanswered *u, const struct ike_id *id)
{
	struct first *f = first_find(u, id);

	if (!f || f->asked_on)
		return false;
	f->withheld = true;
	return true;
}

static struct let *let_find(struct unanswered *u, const struct ike_id *id, uint32_t mid)
{
	struct let *l = (struct let *)(u->let.data + u->let.off);
	size_t n = bytes_left(&u->let) / sizeof(*l);

	for (; n--; l++) {
		if (l->mid == mid && ike_id_equal(&l->id, id))
			return l;
	}
	return NULL;
}

/* Anybody can say anything in a header: the far end has the last word, as long as nobody changes it too often. */
static bool let_changes(struct let *l, bool let)
{
	if (l->let == let || l->changes == MAX_CHANGES)
		return false;
	l->let = let;
	l->changes++;
	return true;
}

static bool let(struct unanswered *u, const struct ike_request *q)
{
	struct let *known = let_find(u, &q->id, q->mid), l;

	if (known)
		return let_changes(known, true);
	if (bytes_left(&u->let) / sizeof(l) >= MAX_LET)
		return false;
	memset(&l, 0, sizeof(l));
	l.id = q->id;
	l.mid = q->mid;
	l.let = true;
	bytes_add(&u->let, &l, sizeof(l));
	return true;
}

/* It asks for the next one: the one before was answered after all. */
static bool take_back(struct unanswered *u, const struct ike_request *q)
{
	struct let *l = let_find(u, &q->id, q->mid - 1);

	return l && let_changes(l, false);
}

bool unanswered_asks(struct unanswered *u, const struct journal *j, const struct ike_request *q)
{
	const struct journal_sa *sa = journal_find(j, &q->id);
	struct first *f = first_find(u, &q->id);
	uint32_t next;

	if (!sa || sa->next || !journal_next_request(sa, &next))
		return false;
	if (f && f->withheld && !f->asked_on && next == 1 && q->mid == 1) {
		f->asked_on = true;
		return true;
	}
	if (next < 2 || !journal_unanswered(j, sa))
		return false;
	return q->mid == next ? take_back(u, q) : q->mid == next - 1 && let(u, q);
}

/* Its charon has lived on; or it has not, and the far end has ceased to retransmit, or never did. */
static bool is_over(const struct first *f, bool listening, uint64_t now)
{
	return now - f->since_ms >= ANSWERED_MS && !(listening && f->withheld && !f->asked_on);
}

static bool second_is_next(const struct first *f, const struct journal *j)
{
	const struct journal_sa *sa = journal_find(j, &f->id);
	uint32_t next;

	return f->withheld && !f->asked_on && sa && !sa->next && journal_next_request(sa, &next) && next == 1;
}

bool unanswered_settle(struct unanswered *u, const struct journal *j, bool listening, uint64_t now,
		       void (*second)(void *ctx, const struct ike_id *id), void *ctx)
{
	struct bytes all = u->firsts;
	struct first f;

	memset(&u->firsts, 0, sizeof(u->firsts));
	while (bytes_left(&all)) {
		memcpy(&f, bytes_at(&all), sizeof(f));
		bytes_consume(&all, sizeof(f));
		if (!is_over(&f, listening, now))
			bytes_add(&u->firsts, &f, sizeof(f));
		else if (second_is_next(&f, j))
			second(ctx, &f.id);
	}
	bytes_free(&all);
	return bytes_left(&u->firsts);
}

void unanswered_begin(struct unanswered *u)
{
	bytes_free(&u->let);
}

struct unanswered *unanswered_alloc(void)
{
	return secret_alloc(sizeof(struct unanswered));
}

void unanswered_free(struct unanswered *u)
{
	bytes_free(&u->let);
	bytes_free(&u->firsts);
	secret_free(u, sizeof(*u));
}
