/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * roam: far ends that are elsewhere than the journal says.
 *
 * Room: the message that says so. The ha plugin tells of a far end's address once, when an IKE SA is established; a client that moves
 * (MOBIKE, RFC 4555), or whose NAT gives it another port, is followed by charon alone. So the active node tells the journal and the
 * peers as if the plugin had: the IKE_UPDATE with other addresses. A standby builds the IKE SA anew for it, for charon follows an
 * IKE_UPDATE with the IKE SA's addresses and not with those of its CHILD SAs.
 */
#ifndef ESPSYNCD_ROAM_H
#define ESPSYNCD_ROAM_H

#include "relay.h"
#include "vici_sas.h"

/**
 * roam_check() - tell where an IKE SA's ends are, if they are not where they were
 * @relay: of an active node
 * @known: an IKE SA that lives
 * @listed: the same, as charon lists it
 */
void roam_check(struct relay *relay, const struct journal_sa *known, const struct vici_sa *listed);

#endif /* ESPSYNCD_ROAM_H */
