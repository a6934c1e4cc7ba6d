/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * still: one VPN stands still on this node.
 *
 * Room: which packets belong to an IKE SA of a journal. That they are dropped is hush's business.
 */
#ifndef ESPSYNCD_STILL_H
#define ESPSYNCD_STILL_H

#include "hush.h"
#include "journal.h"

#define STILL_CHILDREN	64	/* a VPN with more does not stand still */

/* Its IKE alone, or its ESP alone. Return: to be given to hush_end(), or NULL with errno. */
struct hush *still_ike(const struct journal_sa *sa);
struct hush *still_esp(const struct journal_sa *sa);

#endif /* ESPSYNCD_STILL_H */
