/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pick: the context of an IKE SA of this node, as it is in this moment.
 *
 * Room: whether it can be had whole now, and asking the module for its numbers. What becomes of it is the caller's business.
 */
#ifndef ESPSYNCD_PICK_H
#define ESPSYNCD_PICK_H

#include "config.h"
#include "context.h"
#include "drift.h"
#include "kernel.h"
#include "relay.h"

#define PICK_WHY	320

/**
 * struct pick_parts - what it works with
 * @c: configuration
 * @kernel: has the numbers
 * @relay: has the journal
 * @drift: knows this node's configuration
 */
struct pick_parts {
	const struct config *c;
	struct kernel *kernel;
	struct relay *relay;
	struct drift *drift;
};

/**
 * pick() - one
 * @p: parts
 * @c: filled, if it can be had; context_free() ends it
 * @known: it, in the journal; NULL: it is not there
 * @listed: the same, as charon lists it, or NULL: charon has not been asked, or does not have it
 * @called: how it was asked for
 * @why: why it cannot be had
 *
 * Return: whether it can
 */
bool pick(const struct pick_parts *p, struct context *c, const struct journal_sa *known, const struct vici_sa *listed, const char *called,
	  char why[PICK_WHY]);

#endif /* ESPSYNCD_PICK_H */
