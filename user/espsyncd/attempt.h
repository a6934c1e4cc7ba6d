/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attempt: one child of a connection that this gateway initiates: is it there, and what is to be done about it.
 *
 * Room: when to begin, when to wait, when to try again, and what whoever runs the gateway should hear of it. Pure: what charon lists
 * and the time are passed in; the words that come out are carried out elsewhere.
 */
#ifndef ESPSYNCD_ATTEMPT_H
#define ESPSYNCD_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "vici_sas.h"

/* What is to be done, or said, once. */
enum attempt_word {
	ATTEMPT_NOTHING,
	ATTEMPT_GO,		/* initiate it; attempt_begun() follows */
	ATTEMPT_UP,		/* it is there, and had to be waited for */
	ATTEMPT_SILENT,		/* the far end does not answer */
	ATTEMPT_FAILED,		/* it came to nothing */
};

/**
 * struct attempt - a child that is to be there
 * @conn: of this connection
 * @child: its name
 * @loaded: charon knows them
 * @here: charon lists it
 * @busy: its connection is being set up or changed: nothing may be begun
 * @silent: nothing has come back from the far end yet
 * @tries: that were begun since it was there last
 * @begun: the last one's end is not known yet
 * @begun_ms: when
 * @next_ms: not before that
 * @said: that it is not there
 */
struct attempt {
	const char *conn;
	const char *child;
	bool loaded;
	bool here;
	bool busy;
	bool silent;
	unsigned int tries;
	bool begun;
	uint64_t begun_ms;
	uint64_t next_ms;
	bool said;
};

/* A list begins; attempt_see() follows for each IKE SA in it. */
void attempt_look(struct attempt *a);
void attempt_see(struct attempt *a, const struct vici_sa *sa);

/* The list is over. Return: what follows from it */
enum attempt_word attempt_judge(struct attempt *a, uint64_t now);

/* charon was told to initiate it. */
void attempt_begun(struct attempt *a, uint64_t now);

/* What happened before counts for nothing: another node is active. */
void attempt_forget(struct attempt *a);

#endif /* ESPSYNCD_ATTEMPT_H */
