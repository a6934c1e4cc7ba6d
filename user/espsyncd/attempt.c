// SPDX-License-Identifier: GPL-2.0-or-later
/* attempt: one child of a connection that this gateway initiates. Pure. See attempt.h. */
#include <string.h>

#include "attempt.h"

#define SILENT_MS	10000	/* charon has asked again by then */
#define STARTS_MS	3000	/* charon may take so long to begin */
#define FIRST_MS	5000	/* to the second try; each waits twice as long as the one before */
#define MOST_MS		300000

void attempt_look(struct attempt *a)
{
	a->here = false;
	a->busy = false;
	a->silent = false;
}

static bool no_answer(const struct vici_sa *sa)
{
	static const uint8_t none[sizeof(sa->id.spi_r)];

	return sa->id.initiator && !strcmp(sa->state, "CONNECTING") && !memcmp(sa->id.spi_r, none, sizeof(none));
}

/* charon would take an ESTABLISHED one for what is begun, and make another one where it finds none that is. */
void attempt_see(struct attempt *a, const struct vici_sa *sa)
{
	unsigned int i;

	if (strcmp(a->conn, sa->name) || !strcmp(sa->state, "DESTROYING"))
		return;
	if (strcmp(sa->state, "ESTABLISHED") || sa->adding)
		a->busy = true;
	if (no_answer(sa))
		a->silent = true;
	for (i = 0; i < sa->n_children; i++) {
		if (!strcmp(a->child, sa->children[i].name) && !sa->children[i].leaving)
			a->here = true;
	}
}

static uint64_t pause_ms(unsigned int tries)
{
	unsigned int doublings = tries > 7 ? 7 : tries;
	uint64_t ms = FIRST_MS << (doublings ? doublings - 1 : 0);

	return ms < MOST_MS ? ms : MOST_MS;
}

static enum attempt_word is_here(struct attempt *a, uint64_t now)
{
	bool waited = a->tries;

	a->begun = false;
	a->tries = 0;
	a->said = false;
	a->next_ms = waited ? now + FIRST_MS : 0;	/* one that is lost again at once is not begun again at once */
	return waited ? ATTEMPT_UP : ATTEMPT_NOTHING;
}

static enum attempt_word say(struct attempt *a, enum attempt_word word)
{
	if (a->said)
		return ATTEMPT_NOTHING;
	a->said = true;
	return word;
}

enum attempt_word attempt_judge(struct attempt *a, uint64_t now)
{
	if (a->here)
		return is_here(a, now);
	if (a->busy)
		return a->silent && a->begun && now - a->begun_ms >= SILENT_MS ? say(a, ATTEMPT_SILENT) : ATTEMPT_NOTHING;
	if (a->begun && now - a->begun_ms < STARTS_MS)
		return ATTEMPT_NOTHING;
	if (a->begun) {
		a->begun = false;
		a->next_ms = now + pause_ms(a->tries);
		return say(a, ATTEMPT_FAILED);
	}
	return a->loaded && now >= a->next_ms ? ATTEMPT_GO : ATTEMPT_NOTHING;
}

void attempt_begun(struct attempt *a, uint64_t now)
{
	a->tries++;
	a->begun = true;
	a->begun_ms = now;
}

void attempt_forget(struct attempt *a)
{
	attempt_look(a);
	a->tries = 0;
	a->begun = false;
	a->next_ms = 0;
	a->said = false;
}
