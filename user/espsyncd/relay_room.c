// SPDX-License-Identifier: GPL-2.0-or-later
/* relay_room: what the journal has no room for, in words. See relay.h. */
#include <stdio.h>

#include "log.h"
#include "relay_priv.h"
#include "vici_sas.h"

#define SAY_MS	10000	/* a far end may make SAs faster than anybody reads */

/* Which of [limits] to raise. */
static const char *key(unsigned int room)
{
	return room == JOURNAL_TUNNEL_FULL ? "tunnel_kib" : "journal_mib";
}

void relay_refused(struct ledger *l, const struct ha_msg *m)
{
	const struct journal_sa *sa = journal_find(l->journal, &m->id);
	struct relay *r = l->r;
	char far[VICI_ADDR_TEXT];

	if (m->type != HA_CHILD_ADD && !m->name[0])
		return;			/* the message that names its connection is refused, too, or was not */
	if (r->said_room_ms && now_ms() - r->said_room_ms < SAY_MS) {
		r->unsaid++;
		return;
	}
	if (m->type == HA_CHILD_ADD && sa)
		log_warn("no room in the journal for a CHILD SA of connection %.64s, far end %s: not carried (raise %s; %u more since the last such line)",
			 journal_name(sa), vici_addr_text(&sa->remote, far), key(journal_room(l->journal, sa)), r->unsaid);
	else
		log_warn("no room in the journal for an IKE SA of connection %.64s, far end %s: not carried (raise %s; %u more since the last such line)",
			 m->name, vici_addr_text(&m->remote, far), key(JOURNAL_FULL), r->unsaid);
	r->said_room_ms = now_ms();
	r->unsaid = 0;
}

/*
 * A peer that has less room than the owner. What it has refused may have gone since, and it does not hear of that: so what counts is
 * what it has. What others lack, who refused nothing, is on its way.
 */
bool relay_report_room_of(const struct relay *r, unsigned int peer, struct kernel_report *report)
{
	const struct peer_state *s = &r->peers[peer].state;
	unsigned int children = journal_children(r->ledger->journal);

	if (!r->active || s->refused == JOURNAL_ROOM || (s->known >= report->known && s->children >= children))
		return false;
	snprintf(report->text, sizeof(report->text),
		 "no room in the journal of node %u (raise %s there): it has %u of %u IKE SAs, %u of %u CHILD SAs",
		 r->p.c->peers[peer].node, key(s->refused), s->known, report->known, s->children, children);
	return true;
}

void relay_report_room(const struct relay *r, struct kernel_report *report)
{
	const struct journal_sa *sa = r->active ? journal_crowded(r->ledger->journal) : NULL;
	char far[VICI_ADDR_TEXT];

	if (sa)
		snprintf(report->text, sizeof(report->text), "no room in the journal (raise %.11s): CHILD SAs of %.24s with %.39s",
			 key(sa->crowded), journal_name(sa), vici_addr_text(&sa->remote, far));
}
