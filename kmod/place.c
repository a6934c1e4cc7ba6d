// SPDX-License-Identifier: GPL-2.0
/*
 * place.c - which group an SA belongs to: what groups there are, and the most specific match.
 *
 * Job: the definitions of groups (local addresses, optionally only for some remote ones, and only SAs of some mark, interface or request id) and what
 * follows from a change of them for SAs that are followed already. What no group asks for is nobody's: neither followed nor guarded. A group that is
 * carved out of another one begins with its role and epoch, and no change moves an SA to a group that has another role here: so nobody's right to send
 * changes with a definition.
 * What may not enter: roles' transitions, numbers, netlink.
 *
 * Of the groups that match, the one with the longest remote prefix has it; then the one that asks for most of mark, interface and request id; then the
 * one with the lowest number.
 *
 * Context: es_place(), es_place_out(), es_place_state() and es_placed(): any. The rest: process, es->lock held.
 */
#include <linux/netlink.h>
#include <linux/slab.h>

#include "channel.h"
#include "group.h"
#include "handover.h"
#include "place.h"

static bool covers(const struct es_prefix *p, u16 family, const xfrm_address_t *a)
{
	if (p->a.family != family)
		return false;
	if (family == AF_INET)
		return !p->len || !((p->a.v4 ^ a->a4) & htonl(~0u << (32 - p->len)));
	return ipv6_prefix_equal(&p->a.v6, &a->in6, p->len);
}

/* Which SA is asked about, but for its addresses. */
struct traits {
	u32 mark;
	u32 if_id;
	u32 reqid;
};

static struct traits traits_of(const struct xfrm_state *x)
{
	return (struct traits) { .mark = x->mark.v & x->mark.m, .if_id = READ_ONCE(x->if_id), .reqid = x->props.reqid };
}

static bool selected(const struct es_select *s, const struct traits *t)
{
	return (!(s->asks & ES_ASKS_MARK) || (t->mark & s->mask) == s->mark) &&
	       (!(s->asks & ES_ASKS_IF_ID) || t->if_id == s->if_id) &&
	       (!(s->asks & ES_ASKS_REQID) || (t->reqid >= s->reqid_min && t->reqid <= s->reqid_max));
}

/* How well addresses match: -1 not at all, 0 any remote address, else 1 and the bits that had to be equal. */
static int match(const struct es_scope *s, u16 family, const xfrm_address_t *local, const xfrm_address_t *remote)
{
	unsigned int i;
	int best = -1;

	for (i = 0; i < s->n_local; i++)
		if (covers(&s->p[i], family, local))
			break;
	if (i == s->n_local)
		return -1;
	if (!s->n_remote)
		return 0;
	for (i = s->n_local; i < s->n_local + s->n_remote; i++)
		if (covers(&s->p[i], family, remote))
			best = max(best, 1 + s->p[i].len);
	return best;
}

/* The same of all that is asked for. @t: NULL: of no SA, so that the group that asks for least has it. */
static int rate(const struct es_scope *s, u16 family, const xfrm_address_t *local, const xfrm_address_t *remote, const struct traits *t)
{
	int m = s ? match(s, family, local, remote) : -1, asks;

	if (m < 0 || (t && !selected(&s->select, t)))
		return -1;
	asks = hweight8(s->select.asks);
	return m * (ES_ASKS_MAX + 1) + (t ? asks : ES_ASKS_MAX - asks);
}

/* As if @other were the scope of the group in @slot. rcu_read_lock or es->lock held. */
static struct es_group *place(struct es_net *es, u16 family, const xfrm_address_t *local, const xfrm_address_t *remote,
			      const struct traits *t, int slot, const struct es_scope *other)
{
	struct es_group *g, *found = NULL;
	int best = -1;

	for (g = es->groups; g < es->groups + ES_MAX_GROUPS; g++) {
		const struct es_scope *s = g->slot == slot ? other : rcu_dereference_check(g->scope, lockdep_is_held(&es->lock));
		int m = rate(s, family, local, remote, t);

		if (m > best || (m >= 0 && m == best && g->id < found->id)) {
			best = m;
			found = g;
		}
	}
	return found;
}

/**
 * es_place() - the group of a pair of addresses, whatever SAs it asks for
 * @es: namespace
 * @family: AF_INET or AF_INET6
 * @local: this cluster's address
 * @remote: the far end's
 * Return: the group that matches most specifically, and of those the one that asks for least; or NULL. Context: any
 */
struct es_group *es_place(struct es_net *es, u16 family, const xfrm_address_t *local, const xfrm_address_t *remote)
{
	struct es_group *g;

	rcu_read_lock();
	g = place(es, family, local, remote, NULL, -1, NULL);
	rcu_read_unlock();
	return g;
}

/**
 * es_place_esp() - the same for ESP of an SA that is not followed here
 * @es: namespace
 * @family: AF_INET or AF_INET6
 * @local: this cluster's address
 * @remote: the far end's
 * Return: the group of es_place() if it has all SAs between these addresses, else NULL. Context: any
 */
struct es_group *es_place_esp(struct es_net *es, u16 family, const xfrm_address_t *local, const xfrm_address_t *remote)
{
	const struct es_scope *s;
	struct es_group *g;

	rcu_read_lock();
	g = place(es, family, local, remote, NULL, -1, NULL);
	s = g ? rcu_dereference(g->scope) : NULL;
	if (!s || s->select.asks)
		g = NULL;
	rcu_read_unlock();
	return g;
}

/**
 * es_place_out() - the group that an outbound state sends for
 * @es: namespace
 * @x: the state
 * Return: the group, or NULL if it is nobody's, or of a group 0 without addresses. Context: any
 */
struct es_group *es_place_out(struct es_net *es, const struct xfrm_state *x)
{
	struct traits t = traits_of(x);
	struct es_group *g;

	rcu_read_lock();
	g = place(es, x->props.family, &x->props.saddr, &x->id.daddr, &t, -1, NULL);
	rcu_read_unlock();
	return g;
}

/**
 * es_placed() - whether a group has addresses at all
 * @g: group
 * Return: true if so. Group 0 without any has every SA that no other group has, and nothing of it is guarded. Context: any
 */
bool es_placed(const struct es_group *g)
{
	return rcu_access_pointer(g->scope);
}

static struct es_group *place_state(struct es_net *es, const struct xfrm_state *x, u8 *dir, int slot, const struct es_scope *other)
{
	struct traits t = traits_of(x);
	struct es_group *in = place(es, x->props.family, &x->id.daddr, &x->props.saddr, &t, slot, other);
	struct es_group *out = place(es, x->props.family, &x->props.saddr, &x->id.daddr, &t, slot, other), *g;
	bool bounded = slot ? es_placed(&es->groups[0]) : !!other;

	*dir = es_x_dir(x);
	if (*dir == ESPSYNC_DIR_UNKNOWN && !in != !out)
		*dir = in ? ESPSYNC_DIR_IN : ESPSYNC_DIR_OUT;
	g = *dir == ESPSYNC_DIR_IN ? in : *dir == ESPSYNC_DIR_OUT ? out : out ?: in;
	return g || bounded ? g : &es->groups[0];
}

/**
 * es_place_state() - the group and the direction of a state
 * @es: namespace
 * @x: the state
 * @dir: result: what xfrm knows, else what follows from its addresses
 * Return: the group, or NULL if it is nobody's. Context: any
 */
struct es_group *es_place_state(struct es_net *es, const struct xfrm_state *x, u8 *dir)
{
	struct es_group *g;

	rcu_read_lock();
	g = place_state(es, x, dir, -1, NULL);
	rcu_read_unlock();
	return g;
}

/* One that was not begun in an epoch of its old group is begun in its new one. */
static void assign(struct es_sa *sa, struct es_group *g)
{
	if (sa->gen && sa->gen == sa->g->gen && sa->g->role == g->role)
		sa->gen = g->gen;
	else
		sa->gen = 0;
	WRITE_ONCE(sa->g, g);
}

/* Who has the SA counts it to its old group, for all that is known: what he says of "in" covers it when he has named it again. */
static void stray(struct es_net *es, struct es_sa *sa)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		if (sa->ann & BIT(p->index))
			es_sa_astray(es, sa, p, true);
}

/* What was said of "in" in the old group goes on to bind in the new one. Who counted it to yet another group is asked: it may be this one. */
static void carry_over(struct es_net *es, struct es_sa *sa, struct es_group *g)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list) {
		struct es_peer_in *from = &p->in[sa->g->slot], *to = &p->in[g->slot];

		to->last_in_own_us = max(to->last_in_own_us, from->last_in_own_us);
		p->ask_names |= !!(sa->astray & BIT(p->index));
	}
	if (g->role != ESPSYNC_ROLE_ACTIVE)
		stray(es, sa);
}

/**
 * es_place_named() - an SA without a state here belongs to the group that a peer names
 * @es: namespace, locked
 * @sa: the SA
 * @g: group
 * Context: es->sa_lock held, so that no state comes meanwhile. What the peer itself counts is the caller's to note
 */
void es_place_named(struct es_net *es, struct es_sa *sa, struct es_group *g)
{
	lockdep_assert_held(&es->sa_lock);
	if (sa->g != g)
		stray(es, sa);
	WRITE_ONCE(sa->g, g);
}

/**
 * es_place_sa() - an SA belongs to a group from now on
 * @es: namespace, locked
 * @sa: the SA
 * @g: group, with the role that its old one has here, if the SA has a state
 */
void es_place_sa(struct es_net *es, struct es_sa *sa, struct es_group *g)
{
	struct xfrm_state *x = READ_ONCE(sa->x);
	struct es_peer *p;

	if (sa->g == g)
		return;
	carry_over(es, sa, g);
	if (x) {
		spin_lock_bh(&x->lock);
		assign(sa, g);
		spin_unlock_bh(&x->lock);
	} else {
		assign(sa, g);
	}
	list_for_each_entry(p, &es->peers, list)
		if (x)
			__clear_bit(sa->handle, p->named);	/* its name says its group; without a state, that it is gone may still have to be said */
	es_sa_set_todo(es, sa);
}

/**
 * es_place_find() - a group by its number
 * @es: namespace, locked
 * @id: number
 * Return: the group or NULL
 */
struct es_group *es_place_find(struct es_net *es, u32 id)
{
	struct es_group *g;

	es_each_group(g, es)
		if (g->id == id)
			return g;
	return NULL;
}

/* Why an SA may not leave its group for another one, or for none; NULL: it may. @copied: that one begins as its group is. */
static const char *stays(const struct es_sa *sa, const struct es_group *to, bool copied)
{
	const struct es_group *g = sa->g;

	if (to && to->role != g->role)
		return "SAs would come into a group that has another role on this node: promote or demote it here first";
	if (!to && g->slot && g->role == ESPSYNC_ROLE_STANDBY)
		return "SAs of a standby would come into no group, where nobody guards them: give them to another group first";
	if (!copied && (es_any_gap(g) || g->gap_doubt))		/* the other group does not know that they may be in doubt */
		return "this node stood still, and waits for what its peers say of the SAs that would leave a group: ask again in a moment, at most evict_ms";
	return NULL;
}

/* Whether every followed SA may go where it would belong with this scope of @g. @from: the group that @g is carved from. */
static bool harmless(struct es_net *es, const struct es_group *g, const struct es_group *from, const struct es_scope *scope,
		     struct netlink_ext_ack *extack)
{
	struct es_sa *sa;
	unsigned long i;
	u8 dir;

	xa_for_each(&es->sas, i, sa) {
		struct es_group *to = sa->x ? place_state(es, sa->x, &dir, g->slot, scope) : sa->g;
		const char *why = to != sa->g ? stays(sa, to, to == g && sa->g == from) : NULL;

		if (why) {
			if (extack)
				extack->_msg = why;
			return false;
		}
		cond_resched();
	}
	return true;
}

static bool any_selects(struct es_net *es)
{
	const struct es_group *g;

	for (g = es->groups; g < es->groups + ES_MAX_GROUPS; g++) {
		const struct es_scope *s = rcu_dereference_protected(g->scope, lockdep_is_held(&es->lock));

		if (s && s->select.asks)
			return true;
	}
	return false;
}

/* The new scope counts, and every notification that has seen the old one is over. */
static void publish(struct es_net *es, struct es_group *g, struct es_scope *scope)
{
	struct es_scope *old = rcu_replace_pointer(g->scope, scope, lockdep_is_held(&es->lock));
	struct es_peer *p;

	WRITE_ONCE(es->selects, any_selects(es));
	synchronize_rcu();
	kfree(old);
	list_for_each_entry(p, &es->peers, list)
		p->ask_names = true;	/* which say where they count SAs */
	es->rescan = true;	/* SAs that belonged to nobody */
	es->walk = es->up;	/* and what those do that have another group now */
	es_wake(es);
}

static void place_all(struct es_net *es)
{
	struct es_group *g;
	struct es_sa *sa;
	unsigned long i;
	u8 dir;

	xa_for_each(&es->sas, i, sa) {
		g = sa->x ? es_place_state(es, sa->x, &dir) : sa->g->used ? NULL : &es->groups[0];
		if (g)
			es_place_sa(es, sa, g);
		cond_resched();
	}
}

/* The group that has what a new one is to have, or at least its addresses: those are silent where it is standby. */
static struct es_group *parent(struct es_net *es, const struct es_scope *s)
{
	const struct es_prefix *first = &s->p[0];
	const xfrm_address_t *local = (const xfrm_address_t *)&first->a.v6;
	const xfrm_address_t *remote = s->n_remote ? (const xfrm_address_t *)&s->p[s->n_local].a.v6 : local;
	struct traits t = { .mark = s->select.mark, .if_id = s->select.if_id, .reqid = s->select.reqid_min };

	if (!s->n_local)
		return NULL;
	return place(es, first->a.family, local, remote, &t, -1, NULL) ?: es_place(es, first->a.family, local, remote) ?:
	       es_placed(&es->groups[0]) ? NULL : &es->groups[0];
}

/* A new group goes on as the one that it is carved from; peers that believed to be in that one go by the time that they were told. */
static void inherit(struct es_group *g, const struct es_group *from)
{
	struct es_peer *p;

	g->inherited = from->inherited;
	list_for_each_entry(p, &g->es->peers, list) {
		p->in[g->slot].last_in_own_us = p->in[from->slot].last_in_own_us;
		p->in[g->slot].after_gap = p->in[from->slot].after_gap;
		p->in[g->slot].gap_boot = p->in[from->slot].gap_boot;
	}
}

static struct es_group *new_group(struct es_net *es, u32 id, const struct es_group *from)
{
	struct es_group *g;

	for (g = es->groups; g < es->groups + ES_MAX_GROUPS && g->used; g++)
		;
	if (g == es->groups + ES_MAX_GROUPS)
		return NULL;
	g->id = id;
	g->store = false;
	memset(&g->inherited, 0, sizeof(g->inherited));
	es_group_reset(g);
	if (from)
		inherit(g, from);
	return g;
}

/* But not what they may still believe. */
static void forget_peers(struct es_group *g)
{
	struct es_peer *p;

	list_for_each_entry(p, &g->es->peers, list) {
		struct es_peer_in *in = &p->in[g->slot];

		p->deleted_in_own_us = max(p->deleted_in_own_us, in->last_in_own_us);
		memset(in, 0, sizeof(*in));
	}
}

/**
 * es_place_role() - what a group is, or would begin as
 * @es: namespace, locked
 * @id: its number
 * @scope: addresses of one that does not exist yet
 * Return: enum espsync_role
 */
u8 es_place_role(struct es_net *es, u32 id, const struct es_scope *scope)
{
	const struct es_group *g = es_place_find(es, id) ?: (scope ? parent(es, scope) : NULL);

	return g ? g->role : ESPSYNC_ROLE_UNDECIDED;
}

/**
 * es_place_set() - make a group, or change what belongs to it
 * @es: namespace, locked
 * @id: its number
 * @scope: addresses; NULL: none. Taken over, also on errors
 * @extack: for the reason
 * Return: 0; -ENOSPC: too many groups; -EBUSY: an SA would come into a group that has another role here, or that knows nothing of its doubts. Then
 *	nothing has changed.
 *	What keep_silent() returns: there is no guard, and SAs are stopped instead
 */
int es_place_set(struct es_net *es, u32 id, struct es_scope *scope, struct netlink_ext_ack *extack)
{
	struct es_group *g = es_place_find(es, id), *from = g ? NULL : parent(es, scope);
	bool fresh = !g;
	int err = -ENOSPC;

	if (fresh)
		g = new_group(es, id, from);
	if (!g) {
		NL_SET_ERR_MSG(extack, "there are 16 groups already: delete one first (espsync group del N)");
		goto refuse;
	}
	err = -EBUSY;
	if (!harmless(es, g, from, scope, extack))
		goto refuse;
	g->used = true;
	publish(es, g, scope);
	place_all(es);
	es_group_ranks(es);
	return g->role == ESPSYNC_ROLE_STANDBY ? es_group_keep_silent(g) : es_guard_update(es);
refuse:
	if (fresh && g)
		forget_peers(g);
	kfree(scope);
	return err;
}

/**
 * es_place_del() - forget a group; of group 0 only what belongs to it
 * @es: namespace, locked
 * @g: group
 * @extack: for the reason
 * Return: as es_place_set()
 */
int es_place_del(struct es_net *es, struct es_group *g, struct netlink_ext_ack *extack)
{
	if (!g->slot)
		return es_place_set(es, 0, NULL, extack);
	if (!harmless(es, g, NULL, NULL, extack))
		return -EBUSY;
	publish(es, g, NULL);
	es_handover_forget(g);
	g->used = false;
	g->claiming = false;
	place_all(es);
	forget_peers(g);
	return es_guard_update(es);
}

/**
 * es_place_init() - a namespace has group 0
 * @es: namespace, nobody uses it yet
 */
void es_place_init(struct es_net *es)
{
	unsigned int i;

	for (i = 0; i < ES_MAX_GROUPS; i++) {
		es->groups[i].es = es;
		es->groups[i].slot = i;
		skb_queue_head_init(&es->groups[i].held);
	}
	es->groups[0].used = true;
}

/**
 * es_place_free() - forget what belongs to groups
 * @es: namespace, nobody uses it any more
 */
void es_place_free(struct es_net *es)
{
	struct es_group *g;

	for (g = es->groups; g < es->groups + ES_MAX_GROUPS; g++)
		kfree(rcu_replace_pointer(g->scope, NULL, true));
}
