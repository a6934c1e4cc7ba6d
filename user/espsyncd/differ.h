/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * differ: in what two nodes' configurations are not the same.
 *
 * Room: comparing two digests, and the sentence for each difference: where, what, both values, and what to do. Pure.
 */
#ifndef ESPSYNCD_DIFFER_H
#define ESPSYNCD_DIFFER_H

#include "digest.h"
#include "lines.h"

/**
 * differ_check() - a sentence for each difference
 * @ours: this node's
 * @theirs: another's
 * @node: its number
 * @l: where they go
 */
void differ_check(const struct digest *ours, const struct digest *theirs, unsigned int node, struct lines *l);

#endif /* ESPSYNCD_DIFFER_H */
