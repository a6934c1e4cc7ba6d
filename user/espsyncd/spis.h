/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spis: from which SPIs a node's charon chooses, so that two that are active by mistake never choose the same one.
 *
 * Room: the SPIs of each node, in charon's words, and the sentences for those that are not set, or are another node's too. Pure: what a
 * node's settings say is in its digest.
 *
 * The first byte of each SPI, of ESP and of IKE, is the number of the node that chose it. Others may be set as long as no two nodes share any.
 */
#ifndef ESPSYNCD_SPIS_H
#define ESPSYNCD_SPIS_H

#include <stddef.h>

#include "digest.h"
#include "lines.h"

#define SPIS_TEXT	512

/* What a node's strongswan.d has to say of it. */
void spis_write(char text[SPIS_TEXT], unsigned int node);

/**
 * spis_tell() - an item for each setting
 * @d: the digest
 * @value: a setting of charon by its name, or NULL if it is not set
 * @ctx: for @value
 */
void spis_tell(struct digest *d, const char *(*value)(const void *ctx, const char *name), const void *ctx);

/* Of this node alone. */
void spis_check(const struct digest *d, struct lines *l);

/**
 * spis_compare() - with another node
 * @ours: this node's digest
 * @theirs: the other one's; NULL, or one of a helper that does not tell: it has what spis_write() says
 * @node: its number
 * @l: gets the sentences
 */
void spis_compare(const struct digest *ours, const struct digest *theirs, unsigned int node, struct lines *l);

#endif /* ESPSYNCD_SPIS_H */
