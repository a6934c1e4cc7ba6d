/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * roles: who is active, carried out in the right order.
 *
 * Room: keepalived's word, the module's word, and the steps that follow from either. Whether this node should be active is
 * decided by keepalived, or by hand with the tool; never here.
 *
 *   to active:   module promoted -> what the peer sent is taken in, half groups dropped -> charon has processed all -> +1
 *   to standby:  module demoted (silent) -> -1 -> the peers' records are taken again
 */
#ifndef ESPSYNCD_ROLES_H
#define ESPSYNCD_ROLES_H

#include <event2/event.h>
#include <stdbool.h>

#include "audit.h"
#include "bounce.h"
#include "move.h"
#include "charon.h"
#include "config.h"
#include "drift.h"
#include "initiate.h"
#include "kernel.h"
#include "rekey.h"
#include "relay.h"
#include "segment.h"
#include "sync.h"
#include "vrrp.h"

struct roles;

/**
 * struct roles_parts - what roles works with
 * @ch: this node's charon
 * @kernel: the module
 * @relay: the relay
 * @segment: charon's segment
 * @sync: fills charon
 * @vrrp: keepalived
 * @rekey: what is overdue after a takeover
 * @audit: what the journal lacks
 * @initiate: what could not be initiated here
 * @drift: what is not alike, or not carried
 * @bounce: of charon's segment, which ends where a role changes
 * @move: may have a VPN that nobody knows the place of
 */
struct roles_parts {
	struct charon *ch;
	struct kernel *kernel;
	struct relay *relay;
	struct segment *segment;
	struct sync *sync;
	struct vrrp *vrrp;
	struct rekey *rekey;
	struct audit *audit;
	struct initiate *initiate;
	struct drift *drift;
	struct bounce *bounce;
	struct move *move;
};

struct roles *roles_alloc(struct event_base *base);
void roles_set_parts(struct roles *r, const struct roles_parts *parts);
void roles_free(struct roles *r);

/* keepalived says */
void roles_vrrp(struct roles *r, enum vrrp_state s);

/* the module may have changed its role: by hand, or by itself */
void roles_kernel(struct roles *r);

/* Is this node active, its charon too, with all that it was to be given? */
bool roles_is_active(const struct roles *r);

/* charon's segment is what was wanted */
void roles_segment_settled(struct roles *r, bool active);

/* charon says what its segment is: the last resort of a helper that has just started without a module */
void roles_charon(struct roles *r, enum charon_segment s);

/* charon is another process: it must be filled before it may be active */
void roles_charon_restarted(struct roles *r);

/* charon holds what the journal says */
void roles_sync_done(struct roles *r);

#endif /* ESPSYNCD_ROLES_H */
