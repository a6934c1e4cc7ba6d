/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forget: this cluster forgets an IKE SA without a word to its far end, which goes on elsewhere.
 *
 * Room: the messages for that, to the journal and the standbys first, then to this active node's charon. Why is the caller's business.
 */
#ifndef ESPSYNCD_FORGET_H
#define ESPSYNCD_FORGET_H

#include "relay.h"

/* With its CHILD SAs, and what it replaced. Return: false if the journal had none such: charon may have. */
bool forget(struct relay *r, uint8_t version, const struct ike_id *id);

#endif /* ESPSYNCD_FORGET_H */
