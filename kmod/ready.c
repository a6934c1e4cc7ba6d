// SPDX-License-Identifier: GPL-2.0
/*
 * ready.c - would a failover lose nothing, and if not, why.
 *
 * Job: reasons, in the order in which they are shown. On the active node: some standby could take over now. On a standby: this one could.
 * --local: this node could be, or is rightly, active; a node whose peers are gone may be.
 * What may not enter: changes.
 *
 * Context: process, es->lock held.
 */
#include "channel.h"
#include "group.h"
#include "nl_fill.h"
#include "ready.h"
#include "session.h"

#define ES_HELPER_US 3000000

struct list {
	struct es_reason *r;
	unsigned int n;
};

static void add(struct list *l, u8 code, u8 peer, u32 count, __be32 spi, const char *text)
{
	if (l->n < ES_MAX_REASONS)
		l->r[l->n++] = (struct es_reason) { .code = code, .peer = peer, .count = count, .spi = spi, .text = text };
}

static void this_node(struct es_net *es, struct list *l, bool local)
{
	if (!es->keyed)
		add(l, ESPSYNC_REASON_NO_KEY, 0, 0, 0, "the channel has no key: espsync channel set ... psk-file FILE");
	if (!es_group_named(&es->group))
		add(l, ESPSYNC_REASON_NO_VIP, 0, 0, 0, "the group has no address, nothing is guarded: espsync group set 0 addr ADDR");
	if (es->group.role == ESPSYNC_ROLE_UNDECIDED && !local)
		add(l, ESPSYNC_REASON_UNDECIDED, 0, 0, 0,
		    "this node was neither promoted nor demoted and has heard no active peer: look at keepalived");
	if (es->group.go_on)
		add(l, ESPSYNC_REASON_OVERRUN_GO_ON, 0, 0, 0, "the group says overrun go-on: numbers may repeat after a failover");
}

/* The active node, or one that hears no active one. */
static bool on_its_own(struct es_net *es)
{
	struct es_peer *owner = es_peer_find(es, es->group.owner);

	return es->group.role == ESPSYNC_ROLE_ACTIVE || !owner || !es_peer_heard(owner);
}

/* A text with nothing missing is about the peers' helpers: no reason for a node that is asked about itself and has nobody to wait for. */
static void helper(struct es_net *es, struct list *l, bool local)
{
	const struct es_helper *h = &es->helper;

	if (!h->at_us)
		return;		/* this cluster has none: SAs made by hand, or another daemon */
	if (es->clock_us - h->at_us > ES_HELPER_US)
		add(l, ESPSYNC_REASON_HELPER_SILENT, 0, 0, 0, "espsyncd here has not reported for 3 s: systemctl status espsyncd");
	else if (h->missing || (*h->text && !(local && on_its_own(es))))
		add(l, *h->text ? h->reason : ESPSYNC_REASON_IKE_MISSING, 0, h->missing, 0,
		    *h->text ? h->text : "charon here lacks IKE SAs that the cluster has: look at espsyncd's log");
}

/* SAs of this kernel that no other node could carry on. */
static void sas(struct es_net *es, struct list *l)
{
	u32 stale = 0, bare = 0, clash = 0;
	__be32 s = 0, b = 0, c = 0;
	unsigned long i;
	struct es_sa *sa;

	xa_for_each(&es->sas, i, sa) {
		if (test_bit(ES_SA_DEAD, &sa->flags))
			continue;
		switch (es_sa_state(es, sa)) {
		case ESPSYNC_SA_STALE:
			stale++;
			s = sa->spi;
			break;
		case ESPSYNC_SA_UNPROTECTED:
			bare++;
			b = sa->spi;
			break;
		case ESPSYNC_SA_KEY_MISMATCH:
			clash++;
			c = sa->spi;
			break;
		default:
			break;
		}
	}
	if (stale)
		add(l, ESPSYNC_REASON_SA_STALE, 0, stale, s, "SAs are in doubt since a takeover out of sync: rekey them");
	if (bare)
		add(l, ESPSYNC_REASON_SA_UNPROTECTED, 0, bare, b,
		    "SAs cannot be protected: whole packets are offloaded, the anti-replay window is 0, or they have aevent thresholds of their own");
	if (clash)
		add(l, ESPSYNC_REASON_KEY_MISMATCH, 0, clash, c, "a peer has the same SPI with another key: let the SA be mirrored again");
}

/* Why one peer could not take over from this active node. */
static void peer(struct es_net *es, struct es_peer *p, struct list *l)
{
	if (p->version && p->version != ES_WIRE_VERSION)
		add(l, ESPSYNC_REASON_MODULE_VERSION, p->node, 0, 0, "the peer's module speaks another version: upgrade the standby, then this node");
	switch (es_peer_state(p)) {
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
	if (p->g.role == ESPSYNC_ROLE_UNDECIDED)
		add(l, ESPSYNC_REASON_UNDECIDED, p->node, 0, 0, "the peer is neither standby nor active: look at its keepalived");
	if (p->g.waiting)
		add(l, ESPSYNC_REASON_SA_MISSING, p->node, p->g.waiting, 0, "SAs are missing in the peer's kernel: look at its charon and espsyncd");
	if (p->g.mismatched)
		add(l, ESPSYNC_REASON_KEY_MISMATCH, p->node, p->g.mismatched, 0, "the peer has SAs with the same SPI and another key");
	if (es->helper.at_us && !(p->g.flags & ES_GROUP_HELPER))
		add(l, ESPSYNC_REASON_HELPER_SILENT, p->node, 0, 0, "espsyncd of the peer does not report: systemctl status espsyncd there");
	else if (es->helper.at_us && !(p->g.flags & ES_GROUP_IKE))
		add(l, ESPSYNC_REASON_IKE_MISSING, p->node, 0, 0, "the peer's charon lacks IKE SAs: look at espsyncd's log there");
}

/* One standby that could take over is enough; if there is none, each says why. */
static void standbys(struct es_net *es, struct list *l)
{
	unsigned int before = l->n, n;
	struct es_peer *p;

	if (!es->n_peers)
		add(l, ESPSYNC_REASON_NO_PEER, 0, 0, 0, "no other node is configured: espsync peer add NODE ADDR");
	list_for_each_entry(p, &es->peers, list) {
		n = l->n;
		peer(es, p, l);
		if (l->n == n) {
			l->n = before;
			return;
		}
	}
}

/* Why this standby could not take over. */
static void takeover(struct es_net *es, struct list *l, bool local)
{
	struct es_peer *p, *owner = es_peer_find(es, es->group.owner);

	if (!owner || !es_peer_heard(owner)) {
		if (!local)
			add(l, ESPSYNC_REASON_NO_PEER, es->group.owner, 0, 0, "no active node is heard");
	} else if (!es_group_in(es)) {
		add(l, ESPSYNC_REASON_PEER_OUT, owner->node, 0, 0, "the active node does not count this one as in sync (yet)");
	}
	list_for_each_entry(p, &es->peers, list)
		if (p->n_waiting && p->node == es->group.owner)
			add(l, ESPSYNC_REASON_SA_MISSING, p->node, p->n_waiting, 0,
			    "SAs that the active node has are missing in this kernel: look at charon and espsyncd here");
}

/**
 * es_ready() - reasons why not
 * @es: namespace, locked, with a channel
 * @local: about this node only
 * @r: room for ES_MAX_REASONS
 * Return: how many; 0 is ready
 */
unsigned int es_ready(struct es_net *es, bool local, struct es_reason *r)
{
	struct list l = { .r = r };

	this_node(es, &l, local);
	if (es->group.role == ESPSYNC_ROLE_ACTIVE && !local)
		standbys(es, &l);
	if (es->group.role == ESPSYNC_ROLE_STANDBY)
		takeover(es, &l, local);
	if (!local || es->group.role == ESPSYNC_ROLE_STANDBY)
		sas(es, &l);
	helper(es, &l, local);
	return l.n;
}
