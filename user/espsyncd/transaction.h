/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transaction: lets messages through only as whole IKE SAs.
 *
 * Room: which messages are held back, until when, and when a held group goes. Pure: no I/O; time is passed in.
 *
 * charon must never see half an IKE SA: 6.0.1 crashes on one at takeover, all keep it as garbage. So what concerns an IKE SA
 * waits for the IKE_UPDATE that names its connection; a rekeyed one's IKE_DELETE waits with its successor.
 */
#ifndef ESPSYNCD_TRANSACTION_H
#define ESPSYNCD_TRANSACTION_H

#include "codec.h"
#include "journal.h"

#define TXN_MAX_MESSAGES	64	/* of one group */
#define TXN_GROUP		8192	/* a group is smaller, as a rule: all together may take that for each, and one message */

enum txn_result {
	TXN_PASSED,		/* let through, alone */
	TXN_HELD,
	TXN_RELEASED,		/* completed a group, which went through */
	TXN_DROPPED,		/* completed nothing: the IKE SA failed, or is not the cluster's */
	TXN_UNKNOWN,		/* about an IKE SA that is neither complete nor held */
	TXN_REPEATED,		/* an IKE_ADD for what is complete: would ruin its keys */
};

/**
 * struct txn_rules - what the owner decides
 * @max_groups: held at once; beyond, and beyond TXN_GROUP for each, the oldest goes
 * @max_age_ms: a group that is not complete by then is overdue
 * @is_ours: does the cluster care for IKE SAs of this local address
 * @emit: takes what goes through
 * @ctx: for @is_ours and @emit
 */
struct txn_rules {
	unsigned int max_groups;
	uint64_t max_age_ms;
	bool (*is_ours)(void *ctx, const struct ha_addr *local);
	journal_emit emit;
	void *ctx;
};

struct txn;

struct txn *txn_alloc(const struct txn_rules *rules);
void txn_free(struct txn *t);

/**
 * txn_feed() - one message
 * @t: the transactions
 * @j: what is complete; @rules->emit may change it
 * @m: the message, read
 * @data: the message, as it travels
 * @len: length of @data
 * @now_ms: monotonic
 *
 * Return: what became of it
 */
enum txn_result txn_feed(struct txn *t, const struct journal *j, const struct ha_msg *m, const uint8_t *data,
			 size_t len, uint64_t now_ms);

/* The oldest group, if it is too old: it goes when an IKE_DELETE of its IKE SA is fed, and what it held of another one goes through. */
bool txn_overdue(const struct txn *t, uint64_t now_ms, struct ike_id *id);

/* All groups go, and nothing goes through: this node takes over. Return: how many. */
unsigned int txn_discard(struct txn *t);

unsigned int txn_held(const struct txn *t);
bool txn_holds(const struct txn *t, const struct ike_id *id);

/* Tell what is held, in order of arrival within a group, without letting it go. */
void txn_walk(const struct txn *t, journal_emit emit, void *ctx);

#endif /* ESPSYNCD_TRANSACTION_H */
