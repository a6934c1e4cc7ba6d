/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lines: sentences for whoever asks whether all nodes are alike.
 *
 * Room: so many at most, each so long at most, each once, and nothing in them that a terminal would take for more than text: names in
 * them come from configurations, and from peers. Pure.
 */
#ifndef ESPSYNCD_LINES_H
#define ESPSYNCD_LINES_H

#include <stdbool.h>

#define LINES_MAX	32	/* as many as the module takes */
#define LINES_LEN	256

/**
 * struct lines - them
 * @text: each ends with NUL
 * @n: how many
 * @more: further ones, that found no room
 */
struct lines {
	char text[LINES_MAX][LINES_LEN];
	unsigned int n;
	unsigned int more;
};

/* One more, unless it is there. */
void lines_add(struct lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool lines_has(const struct lines *l, const char *text);

/* Once all are there: the last one says how many more there are, if there are. */
void lines_end(struct lines *l);

#endif /* ESPSYNCD_LINES_H */
