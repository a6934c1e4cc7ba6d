/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unprotected: tunnels that a failover would lose, in words.
 *
 * Room: a few sentences, how many there would be in all, and how they travel to the peers. Pure: no I/O. What a peer says goes to the
 * kernel and to terminals: only what can be printed, and no more than fits.
 */
#ifndef ESPSYNCD_UNPROTECTED_H
#define ESPSYNCD_UNPROTECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define UNPROTECTED_SHOWN	8
#define UNPROTECTED_TEXT	128	/* with its NUL; what the module takes */

/**
 * struct unprotected - some of them
 * @n: how many there are, also beyond those that are shown
 * @text: a sentence each: which tunnel, why, and what to do
 */
struct unprotected {
	unsigned int n;
	char text[UNPROTECTED_SHOWN][UNPROTECTED_TEXT];
};

/* One more; a sentence that is too long is cut off. */
__attribute__((format(printf, 2, 3))) void unprotected_add(struct unprotected *u, const char *fmt, ...);

/* How many sentences there are. */
unsigned int unprotected_shown(const struct unprotected *u);

/* All of @more, each behind @who. */
void unprotected_join(struct unprotected *u, const struct unprotected *more, const char *who);

/* If there are more than are shown, the last one that is says how many. */
void unprotected_sum_up(struct unprotected *u);

void unprotected_put(struct bytes *b, const struct unprotected *u);

/**
 * unprotected_get() - what a peer says, as it is: to be shown by unprotected_join() alone
 * @u: filled
 * @data: as unprotected_put() has written it, and maybe more that a newer one says behind it
 * @len: how much
 *
 * Return: false if it is cut off, or says more than it may; then @u is empty
 */
bool unprotected_get(struct unprotected *u, const uint8_t *data, size_t len);

#endif /* ESPSYNCD_UNPROTECTED_H */
