/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * survey: asks this node's charon, and reads strongSwan's files, for the digest of this node's configuration.
 *
 * Room: which questions, in which order, and what becomes of those that nobody answers. What the answers mean is facts' business.
 */
#ifndef ESPSYNCD_SURVEY_H
#define ESPSYNCD_SURVEY_H

#include <stdbool.h>

#include "config.h"
#include "digest.h"
#include "vici.h"

struct survey;

/**
 * survey_alloc() - be ready to ask
 * @c: configuration
 * @v: the client
 * @done: called at the end of each survey; @digest is the callee's from then on. @told: charon has answered; else it is about files alone
 * @ctx: for @done
 *
 * Return: the survey
 */
struct survey *survey_alloc(const struct config *c, struct vici *v, void (*done)(void *ctx, struct digest *digest, bool told), void *ctx);
void survey_free(struct survey *s);

/* Begin, unless one is under way. */
void survey_begin(struct survey *s);

#endif /* ESPSYNCD_SURVEY_H */
