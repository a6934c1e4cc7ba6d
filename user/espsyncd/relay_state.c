// SPDX-License-Identifier: GPL-2.0-or-later
/* relay_state: what helpers say of themselves, whether their journals say the same, and the tunnels that they cannot protect. See relay.h. */
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "relay_priv.h"

#define LEN_FIRST	19	/* of a helper that counts IKE SAs alone */
#define LEN_ROOM	24	/* ... that says what it has no room for */
#define LEN_ALL		41	/* ... that says what its journal says, too, and behind it which tunnels it cannot protect */

/* Of this node: an active one's audit has looked, or a standby's sync. */
static void own(const struct relay *r, struct unprotected *u)
{
	*u = r->active ? r->unprotected : *sync_unprotected(r->p.sync);
	if (r->disagrees)
		unprotected_add(u, "all: the journal is another than the active node's, also fetched anew: the same espsync and espsyncd.conf?");
}

void relay_put_state(const struct relay *r, unsigned int peer, struct bytes *b)
{
	const struct journal *j = r->ledger->journal;
	struct unprotected u;
	const char *why;

	own(r, &u);
	bytes_add_u8(b, r->active && r->complete);
	bytes_add_u8(b, charon_version(r->p.ch));
	bytes_add_u8(b, r->valid);
	bytes_add_u64(b, r->active ? r->stream.epoch : r->source_epoch);
	bytes_add_u32(b, journal_count(j));
	bytes_add_u32(b, sync_missing(r->p.sync, &why));
	bytes_add_u32(b, journal_children(j));
	bytes_add_u8(b, r->peers[peer].too_large ? JOURNAL_FULL : journal_refused(j));
	bytes_add_u8(b, STATE_TAKES_DRIFT | STATE_TRANSLATES | STATE_TAKES_ANSWERS | STATE_TAKES_PARCELS | (r->says_sum ? STATE_SAYS_SUM : 0));
	bytes_add_u64(b, r->active ? r->stream.last : r->source_seq);
	bytes_add_u64(b, r->says_sum ? agree_sum(j) : 0);
	unprotected_put(b, &u);
}

bool relay_get_state(struct peer_state *s, const uint8_t *data, size_t len)
{
	if (len < LEN_FIRST)
		return false;
	memset(s, 0, sizeof(*s));
	s->active = data[0];
	s->version = data[1];
	s->valid = data[2];
	s->epoch = get_u64(data + 3);
	s->known = get_u32(data + 11);
	s->missing = get_u32(data + 15);
	if (len < LEN_ROOM)
		return true;
	s->children = get_u32(data + 19);
	s->refused = data[23];
	if (len < LEN_ALL)
		return true;
	s->flags = data[24];
	s->seq = get_u64(data + 25);
	s->sum = get_u64(data + 33);
	return unprotected_get(&s->unprotected, data + LEN_ALL, len - LEN_ALL);
}

/* Where both are at the same record, and nothing was left out for want of room. */
static bool is_comparable(const struct relay *r, unsigned int peer)
{
	const struct relay_peer *p = &r->peers[peer];
	const struct peer_state *s = &p->state;

	return (s->flags & STATE_SAYS_SUM) && !r->active && r->valid && r->source == (int)peer && r->source_epoch == s->epoch && r->source_seq == s->seq &&
		!p->incoming && s->refused == JOURNAL_ROOM && journal_refused(r->ledger->journal) == JOURNAL_ROOM;
}

void relay_compare(struct relay *r, unsigned int peer)
{
	unsigned int node = r->p.c->peers[peer].node;
	enum agree_result agreed;

	if (!is_comparable(r, peer))
		return;
	agreed = agree_compare(&r->agree, agree_sum(r->ledger->journal) == r->peers[peer].state.sum);
	if (agreed == AGREE_FETCH) {
		log_warn("peer %u: its journal has become another than the one here: asking for all of it", node);
		relay_fetch_anew(r, peer);
	} else if (agreed == AGREE_NEVER && !r->disagrees) {
		log_warn("peer %u: its journal is another than the one here, also fetched anew (the same espsync and espsyncd.conf?)", node);
	}
	r->disagrees = agreed == AGREE_NEVER;
}

void relay_report_unprotected(const struct relay *r, struct kernel_report *report)
{
	unsigned int i;
	char who[16];

	own(r, &report->unprotected);
	for (i = 0; i < r->p.c->n_peers; i++) {
		const struct relay_peer *p = &r->peers[i];

		snprintf(who, sizeof(who), "node %u: ", r->p.c->peers[i].node);
		if (p->heard_state && (r->active || p->state.active))
			unprotected_join(&report->unprotected, &p->state.unprotected, who);
	}
	unprotected_sum_up(&report->unprotected);
}
