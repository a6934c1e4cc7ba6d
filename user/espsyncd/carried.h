/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carried: which options of a node's connections no standby could carry on.
 *
 * Room: the list of them, each with a sentence that says what to do. Pure: it is about a digest. That nodes differ is differ's business.
 */
#ifndef ESPSYNCD_CARRIED_H
#define ESPSYNCD_CARRIED_H

#include "digest.h"
#include "lines.h"

void carried_check(const struct digest *d, struct lines *l);

#endif /* ESPSYNCD_CARRIED_H */
