// SPDX-License-Identifier: GPL-2.0
/*
 * ready.c - would a failover lose nothing, and if not, why.
 *
 * Job: reasons, group by group, in the order in which they are shown. On the active node: some standby could take over now. On a standby: this one could.
 * --local: this node could be, or is rightly, active; a node whose peers are gone may be.
 * That the answer has changed is told. What may not enter: changes of anything else.
 *
 * Context: process, es->lock held.
 */
#include <linux/slab.h>

#include "channel.h"
#include "events.h"
#include "group.h"
#include "nl_fill.h"
#include "place.h"
#include "ready.h"
#include "session.h"

#define ES_HELPER_US 3000000
#define ES_UNREADY_US 3000000	/* an SA that a standby lacks while it is being rekeyed is no news */

struct list {
	struct es_reason *r;
	unsigned int n;
	u32 group;
};

static void add(struct list *l, u8 code, u8 peer, u32 count, __be32 spi, const char *text)
{
	if (l->n < ES_MAX_REASONS)
		l->r[l->n++] = (struct es_reason) { .code = code, .peer = peer, .count = count, .spi = spi, .group = l->group,
						   .text = text };
}

static void this_node(const struct es_group *g, struct list *l, bool local)
{
	if (!es_placed(g))
		add(l, ESPSYNC_REASON_NO_VIP, 0, 0, 0, "the group has no address, nothing is guarded: espsync group set 0 addr ADDR");
	if (g->role == ESPSYNC_ROLE_UNDECIDED && !local)
		add(l, ESPSYNC_REASON_UNDECIDED, 0, 0, 0,
		    "this node was neither promoted nor demoted and has heard no active peer: look at keepalived");
	if (g->store && local)
		add(l, ESPSYNC_REASON_STORE_ONLY, 0, 0, 0, "this node is never active in this group (role store)");
	if (g->go_on)
		add(l, ESPSYNC_REASON_OVERRUN_GO_ON, 0, 0, 0, "the group says overrun go-on: numbers may repeat after a failover");
}

/* The active node, or one that hears no active one. */
static bool on_its_own(const struct es_group *g)
{
	struct es_peer *owner = es_peer_find(g->es, g->owner);

	return g->role == ESPSYNC_ROLE_ACTIVE || !owner || !es_peer_heard(owner);
}

/*
 * A text with nothing missing is about the peers' helpers, and what differs or is not protected is about the peers: no reasons for a node that is
 * asked about itself and has nobody to wait for.
 */
static void helper(const struct es_group *g, struct list *l, bool local)
{
	bool alone = local && on_its_own(g);
	struct es_net *es = g->es;
	const struct es_helper *h = &es->helper;
	unsigned int i;

	if (!h->at_us)
		return;		/* this cluster has none: SAs made by hand, or another daemon */
	if (es->clock_us - h->at_us > ES_HELPER_US) {
		add(l, ESPSYNC_REASON_HELPER_SILENT, 0, 0, 0, "espsyncd here has not reported for 3 s: systemctl status espsyncd");
		return;
	}
	if (h->missing || (*h->text && !alone))
		add(l, *h->text ? h->reason : ESPSYNC_REASON_IKE_MISSING, 0, h->missing, 0,
		    *h->text ? h->text : "charon here lacks IKE SAs that the cluster has: look at espsyncd's log");
	for (i = 0; i < h->n_said && !alone; i++)
		add(l, h->said[i].reason, 0, 0, 0, h->said[i].text);
}

/**
 * es_ready_tally() - one look at an SA, whatever the number of groups
 * @es: namespace, locked
 * @sa: the SA
 * @t: result, by slot
 */
void es_ready_tally(struct es_net *es, struct es_sa *sa, struct es_tally *t)
{
	t += sa->g->slot;
	if (test_bit(ES_SA_DEAD, &sa->flags))
		return;
	switch (es_sa_state(es, sa)) {
	case ESPSYNC_SA_STALE:
		t->stale++;
		t->a_stale = sa->spi;
		break;
	case ESPSYNC_SA_UNPROTECTED:
		t->bare++;
		t->a_bare = sa->spi;
		break;
	case ESPSYNC_SA_KEY_MISMATCH:
		t->clash++;
		t->a_clash = sa->spi;
		break;
	default:
		break;
	}
}

static void sas(const struct es_tally *t, struct list *l)
{
	if (t->stale)
		add(l, ESPSYNC_REASON_SA_STALE, 0, t->stale, t->a_stale, "SAs are in doubt since a takeover out of sync: rekey them");
	if (t->bare)
		add(l, ESPSYNC_REASON_SA_UNPROTECTED, 0, t->bare, t->a_bare,
		    "SAs cannot be protected: whole packets are offloaded, the anti-replay window is 0, or they have aevent thresholds of their own");
	if (t->clash)
		add(l, ESPSYNC_REASON_KEY_MISMATCH, 0, t->clash, t->a_clash,
		    "a peer has the same SPI with another key: let the SA be mirrored again");
}

/* Why one peer could not take over from this active node. */
static void peer(const struct es_group *g, struct es_peer *p, struct list *l)
{
	const struct es_peer_in *in = &p->in[g->slot];
	const struct es_wire_group *w = &in->w;

	if (p->version && p->version != ES_WIRE_VERSION)
		add(l, ESPSYNC_REASON_MODULE_VERSION, p->node, 0, 0, "the peer's module speaks another version: upgrade the standby, then this node");
	switch (es_peer_state_in(g, p)) {
	case ESPSYNC_PEER_DOWN:
		add(l, ESPSYNC_REASON_NO_PEER, p->node, 0, 0, "the peer is not heard: is it up, is the sync link, is its key the same?");
		return;
	case ESPSYNC_PEER_JOINING:
		add(l, ESPSYNC_REASON_PEER_JOINING, p->node, es_peer_unsynced(p), 0, "the peer is being told every SA: wait");
		break;
	case ESPSYNC_PEER_OUT:
		add(l, ESPSYNC_REASON_PEER_OUT, p->node, 0, 0, "the peer is out of sync: its table of SAs is full, or it misses what it is told");
		break;
	}
	if (!in->speaks)
		add(l, ESPSYNC_REASON_DRIFT, p->node, 0, 0, "the peer does not have this group: give all nodes the same groups (espsync group set)");
	else if (w->role == ESPSYNC_ROLE_UNDECIDED)
		add(l, ESPSYNC_REASON_UNDECIDED, p->node, 0, 0, "the peer is neither standby nor active: look at its keepalived");
	if (w->flags & ES_GROUP_STORE)
		add(l, ESPSYNC_REASON_STORE_ONLY, p->node, 0, 0, "the peer is never active in this group (role store): it only keeps the numbers");
	if (w->waiting)
		add(l, ESPSYNC_REASON_SA_MISSING, p->node, w->waiting, 0, "SAs are missing in the peer's kernel: look at its charon and espsyncd");
	if (w->mismatched)
		add(l, ESPSYNC_REASON_KEY_MISMATCH, p->node, w->mismatched, 0, "the peer has SAs with the same SPI and another key");
	if (g->es->helper.at_us && !(w->flags & ES_GROUP_HELPER))
		add(l, ESPSYNC_REASON_HELPER_SILENT, p->node, 0, 0, "espsyncd of the peer does not report: systemctl status espsyncd there");
	else if (g->es->helper.at_us && !(w->flags & ES_GROUP_IKE))
		add(l, ESPSYNC_REASON_IKE_MISSING, p->node, 0, 0, "the peer's charon lacks IKE SAs: look at espsyncd's log there");
}

/* One standby that could take over is enough; if there is none, each says why. */
static void standbys(const struct es_group *g, struct list *l)
{
	unsigned int before = l->n, n;
	struct es_peer *p;

	if (!g->es->n_peers)
		add(l, ESPSYNC_REASON_NO_PEER, 0, 0, 0, "no other node is configured: espsync peer add NODE ADDR");
	list_for_each_entry(p, &g->es->peers, list) {
		n = l->n;
		peer(g, p, l);
		if (l->n == n) {
			l->n = before;
			return;
		}
	}
}

/* Why this standby could not take over. */
static void takeover(const struct es_group *g, struct list *l, bool local)
{
	struct es_peer *owner = es_peer_find(g->es, g->owner);
	const struct es_peer_in *in = owner ? &owner->in[g->slot] : NULL;

	if (!owner || !es_peer_heard(owner)) {
		if (!local)
			add(l, ESPSYNC_REASON_NO_PEER, g->owner, 0, 0, "no active node is heard");
	} else if (!es_group_in(g)) {
		add(l, ESPSYNC_REASON_PEER_OUT, owner->node, 0, 0, "the active node does not count this one as in sync (yet)");
	}
	if (in && in->n_waiting)
		add(l, ESPSYNC_REASON_SA_MISSING, owner->node, in->n_waiting, 0,
		    "SAs that the active node has are missing in this kernel: look at charon and espsyncd here");
	if (in && in->n_astray)
		add(l, ESPSYNC_REASON_DRIFT, owner->node, in->n_astray, 0,
		    "the active node counts SAs to another group: give all nodes the same groups (espsync group set)");
}

static void group(const struct es_group *g, struct list *l, const struct es_tally *t, bool local)
{
	l->group = g->id;
	this_node(g, l, local);
	if (g->role == ESPSYNC_ROLE_ACTIVE && !local)
		standbys(g, l);
	if (g->role == ESPSYNC_ROLE_STANDBY)
		takeover(g, l, local);
	if (!local || g->role == ESPSYNC_ROLE_STANDBY)
		sas(t, l);
}

/* Peers that will be cut off when what they seal with is deleted here; one that is not heard is named as that. */
static void keys(const struct es_net *es, struct list *l)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (es_peer_heard(p) && es_peer_key(p) && es_peer_key(p) != es_keys_used(&es->keys))
			add(l, ESPSYNC_REASON_NO_KEY, p->node, 0, 0,
			    "the peer seals with another key than this node uses: espsync key add and key use there, or use here the one that all have");
}

static unsigned int reasons(struct es_net *es, const struct es_group *only, bool local, const struct es_tally *t, struct es_reason *r)
{
	const struct es_group *g, *first = only ?: &es->groups[0];
	struct list l = { .r = r, .group = first->id };

	if (!es->keyed)
		add(&l, ESPSYNC_REASON_NO_KEY, 0, 0, 0, "the channel has no key: espsync channel set ... psk-file FILE");
	if (es->full)
		add(&l, ESPSYNC_REASON_SA_UNPROTECTED, 0, 0, 0, "the table of SAs is full, or memory is short: not every SA is followed here");
	if (!local)
		keys(es, &l);
	es_each_group(g, es)
		if (!only || g == only)
			group(g, &l, &t[g->slot], local);
	l.group = first->id;
	helper(first, &l, local);
	return l.n;
}

/**
 * es_ready() - reasons why not
 * @es: namespace, locked, with a channel
 * @only: of this group; NULL: of all
 * @local: about this node only
 * @r: room for ES_MAX_REASONS
 * Return: how many; 0 is ready
 */
unsigned int es_ready(struct es_net *es, const struct es_group *only, bool local, struct es_reason *r)
{
	struct es_tally t[ES_MAX_GROUPS] = {};
	struct es_sa *sa;
	unsigned long i;

	xa_for_each(&es->sas, i, sa)
		es_ready_tally(es, sa, t);
	return reasons(es, only, local, t, r);
}

/**
 * es_ready_watch() - tell whether a failover would lose nothing, when that has changed and lasts
 * @es: namespace, locked
 * @t: a fresh look at every SA, by slot
 */
void es_ready_watch(struct es_net *es, const struct es_tally *t)
{
	struct es_reason *r = kcalloc(ES_MAX_REASONS, sizeof(*r), GFP_KERNEL);
	unsigned int n, i, first = 0;

	if (!r)
		return;
	n = reasons(es, NULL, false, t, r);
	for (i = 1; i < n; i++)
		if (r[i].code < r[first].code)
			first = i;
	if (es->ready == !n) {
		es->ready_us = es->clock_us;
	} else if (!n || es->clock_us - es->ready_us >= ES_UNREADY_US) {
		es->ready = !n;
		es->ready_us = es->clock_us;
		es_event_ready(es, n ? &r[first] : NULL);
	}
	kfree(r);
}
