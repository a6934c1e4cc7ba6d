/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ike: what the tool asks of IKE SAs: which there are, the context of one, and to put one.
 *
 * Room: reading a question, which IKE SA it means, and the answer. How a context is sealed, and how one is put, are others' business.
 */
#ifndef ESPSYNCD_IKE_H
#define ESPSYNCD_IKE_H

#include <event2/event.h>

#include "charon.h"
#include "config.h"
#include "drift.h"
#include "kernel.h"
#include "relay.h"
#include "restore.h"
#include "seal.h"
#include "vici.h"

/**
 * struct ike_parts - what it works with
 * @c: configuration
 * @ch: this node's charon
 * @vici: asks it
 * @kernel: the module
 * @relay: has the journal
 * @drift: knows this node's configuration
 * @restore: puts
 * @seal: of the cluster key
 */
struct ike_parts {
	const struct config *c;
	struct charon *ch;
	struct vici *vici;
	struct kernel *kernel;
	struct relay *relay;
	struct drift *drift;
	struct restore *restore;
	struct seal seal;
};

struct ike;

struct ike *ike_open(struct event_base *base, const struct ike_parts *parts);
void ike_close(struct ike *i);

#endif /* ESPSYNCD_IKE_H */
