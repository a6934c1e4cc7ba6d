/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relay: carries IKE state from the active node's charon to the journals and charons of all.
 *
 * Room: the stream of records between helpers - who sends to whom, what was taken, where to go on after a reconnect - and this
 * node's journal. Roles are decided elsewhere; TLS, charon's socket and the comparison with charon's lists have their own files.
 *
 *   active                                                   standby
 *   charon -> journal -> stream (epoch, seq) --- RECORD --->  dedupe -> transaction -> journal -> charon
 *                                            <--- ACK ------  once charon has processed it
 *
 * A standby asks (SUBSCRIBE) for what comes behind the last record that it applied. If the active node still has that, it goes
 * on there; if not, it sends its whole journal (SNAP_*) first. A helper that starts beside an active charon gets its journal
 * back from a standby (FETCH, GIVE_*).
 *
 * With several peers each goes on where it was. Of those that say that they are active the newest is followed, of those that could give a
 * journal back the one that has most is asked, also by who takes over and has less than that one.
 */
#ifndef ESPSYNCD_RELAY_H
#define ESPSYNCD_RELAY_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "charon.h"
#include "commit.h"
#include "config.h"
#include "drift.h"
#include "journal.h"
#include "kernel.h"
#include "link.h"
#include "parcel.h"
#include "retransmit.h"
#include "sync.h"
#include "unprotected.h"
#include "vici.h"

struct relay;

/**
 * struct relay_parts - what relay works with; all outlive it
 * @c: configuration
 * @ch: this node's charon
 * @links: to the other helpers
 * @kernel: the module
 * @sync: fills charon from the journal
 * @retransmit: knows which requests may not have been answered
 * @drift: takes the frames that are about configurations
 * @commit: waits for what the standbys apply
 * @parcels: takes the frames that are about a VPN that moves
 */
struct relay_parts {
	const struct config *c;
	struct charon *ch;
	struct links *links;
	struct kernel *kernel;
	struct sync *sync;
	struct retransmit *retransmit;
	struct drift *drift;
	struct commit *commit;
	struct parcels *parcels;
};

struct relay *relay_alloc(struct event_base *base, const struct config *c);
void relay_set_parts(struct relay *r, const struct relay_parts *parts);
void relay_free(struct relay *r);

/**
 * relay_activate() - from now on this node's charon is the source
 * @r: the relay
 * @adopted: it has been so all the time, and only this helper is new: its journal must be fetched first
 *
 * What peers have sent until now is taken in first, their later records are refused, half groups are dropped.
 */
void relay_activate(struct relay *r, bool adopted);

/* From now on a peer's charon is the source. */
void relay_deactivate(struct relay *r);

/* The ops of charon, links and sync end here. */
void relay_local_message(struct relay *r, const struct ha_msg *m, const uint8_t *data, size_t len);
void relay_version(struct relay *r, uint8_t version);
void relay_charon_restarted(struct relay *r);
void relay_applied(struct relay *r, uint64_t token);
void relay_lost(struct relay *r, bool from_charon);
void relay_link_up(struct relay *r, unsigned int peer);
void relay_link_down(struct relay *r, unsigned int peer);
bool relay_link_frame(struct relay *r, unsigned int peer, uint8_t type, const uint8_t *data, size_t len);
void relay_link_writable(struct relay *r, unsigned int peer);
const struct journal *relay_journal(void *relay);

/**
 * relay_was_answered() - has the far end the answer to a request
 * @r: the relay, active
 * @id: an IKE SA
 * @mid: the request's message ID
 *
 * Return: true if the far end uses the CHILD SA that a charon which is gone made for it; false says nothing
 */
bool relay_was_answered(const struct relay *r, const struct ike_id *id, uint32_t mid);

/* What a passive charon is to hold; NULL if nobody can say, for then charon may know more. */
const struct journal *relay_truth(void *relay);

/**
 * relay_newest() - what charon has said last
 * @r: the relay
 *
 * Return: number of the newest record; 0 if this node is not active, or there was none
 */
uint64_t relay_newest(const struct relay *r);

/* A packet of IKE is to leave, or none (NULL): the standbys are told all that charon has said, and get an answer if all understand that. */
void relay_leaves(struct relay *r, const uint8_t *packet, size_t len);

/* Has every standby that is in step, if any is, applied that record? */
bool relay_is_applied(const struct relay *r, uint64_t seq);

/* Whose stream this standby takes: a peer, or -1. */
int relay_source(const struct relay *r);

/* Whether an active node's journal is as whole as it will get. */
bool relay_is_complete(const struct relay *r);
void relay_inject(void *relay, const struct ha_msg *m, const uint8_t *data, size_t len);

/* An active node's journal is whole, as far as anybody can tell, and its charon is the active one that it describes. */
bool relay_is_auditable(const struct relay *r);

/**
 * relay_found_whole() - charon was looked at, and has nothing that the journal lacks
 * @r: the relay, active
 */
void relay_found_whole(struct relay *r);

/* Tunnels of an active node that its charon does not let be protected; taken as they are now. */
void relay_unprotected(struct relay *r, const struct unprotected *u);

/* IKE SAs that wait for their other messages: they are not missing. */
bool relay_is_held(const struct relay *r, const struct ike_id *id);

void relay_report(struct relay *r, struct kernel_report *report);

#endif /* ESPSYNCD_RELAY_H */
