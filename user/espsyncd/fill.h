/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fill: what a passive charon and its kernel hold, against the journal.
 *
 * Room: which differences there are, and the messages that mend them. Pure but for its owner's calls: it is given lists, and asks for
 * nothing. When lists are made is sync's business, how often a difference is mended that of suspects.h.
 *
 * Nothing here touches a far end: charon takes its ha plugin's messages in silence.
 */
#ifndef ESPSYNCD_FILL_H
#define ESPSYNCD_FILL_H

#include <stdbool.h>

#include "bytes.h"
#include "config.h"
#include "journal.h"
#include "states.h"
#include "suspects.h"
#include "unprotected.h"

#define FILL_CONN	HA_NAME_MAX	/* of each name in @conns */

/**
 * struct fill - one comparison
 * @c: configuration
 * @j: what should be there
 * @version: charon's wire version; what that has no words for is not told, and named
 * @conns: names of the connections that charon has loaded, FILL_CONN bytes each, sorted
 * @sas: struct vici_sa, what charon lists, sorted
 * @states: what the kernel has, or NULL: nobody has looked
 * @unlisted: IKE SAs that charon has and does not list
 * @at_once: what differs was just withheld from charon, or it is a new one: there is nothing to wait for
 * @refresh: message IDs and addresses are told, too
 * @was_new: charon had nothing of ours at the last look, either; kept for the next
 * @suspects: of the looks before
 * @inject: gives charon a message
 * @remove: takes a state from the kernel that charon does not know. Return: whether it was the cluster's
 * @begun: charon has an IKE SA that nobody gave it, or is to add a CHILD SA to one, and is told to forget that
 * @ctx: for @inject, @remove and @begun
 * @injected: messages that charon was given
 * @removed: states that were removed
 * @missing: IKE SAs that charon lacks, in whole or in part
 * @omitted: of what is not listed these may be among them
 * @soon: what was seen is to be looked at again, without waiting for long
 * @unprotected: those that mending does not help
 * @why: about one of them
 */
struct fill {
	const struct config *c;
	const struct journal *j;
	uint8_t version;
	const struct bytes *conns;
	struct bytes *sas;
	const struct bytes *states;
	unsigned int unlisted;
	bool at_once;
	bool refresh;
	bool *was_new;
	struct suspects *suspects;
	journal_emit inject;
	bool (*remove)(void *ctx, const struct state *state);
	void (*begun)(void *ctx, const struct vici_sa *sa);
	void *ctx;
	unsigned int injected;
	unsigned int removed;
	unsigned int missing;
	unsigned int omitted;
	bool soon;
	struct unprotected *unprotected;
	char *why;
};

#define FILL_WHY	160	/* room for @why */

/* All of it. */
void fill(struct fill *f);

#endif /* ESPSYNCD_FILL_H */
