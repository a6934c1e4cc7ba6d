// SPDX-License-Identifier: GPL-2.0
/*
 * sa.c - the table of SAs: found by what they are (protocol, SPI, fingerprint), by their state, by their handle.
 *
 * Job: memory and lookup of struct es_sa, bounded by ES_MAX_SAS, and the list of those that want the thread.
 * What may not enter: counters, peers, roles.
 */
#include <linux/hash.h>
#include <linux/slab.h>

#include "sa.h"
#include "trace.h"

/* A slab of that size holds it; the next one is twice as big. */
static_assert(sizeof(struct es_sa) <= 256);

static struct hlist_head *bucket(struct es_net *es, u8 proto, __be32 spi)
{
	return &es->hash[hash_32((__force u32)spi ^ proto, ES_HASH_BITS)];
}

/**
 * es_sa_table_init() - make room for SAs
 * @es: namespace, locked
 * Return: 0 or -ENOMEM. Context: process, may sleep
 */
int es_sa_table_init(struct es_net *es)
{
	es->hash = kvcalloc(1u << ES_HASH_BITS, sizeof(*es->hash), GFP_KERNEL);
	es->used = kvcalloc(BITS_TO_LONGS(ES_MAX_SAS), sizeof(long), GFP_KERNEL);
	es->counter_dirty = kvcalloc(BITS_TO_LONGS(ES_MAX_SAS), sizeof(long), GFP_KERNEL);
	if (es->hash && es->used && es->counter_dirty)
		return 0;
	es_sa_table_free(es);
	return -ENOMEM;
}

/**
 * es_sa_table_free() - give it back; no SA may be left
 * @es: namespace, locked; no notification runs any more
 * Context: process
 */
void es_sa_table_free(struct es_net *es)
{
	kvfree(es->hash);
	kvfree(es->used);
	kvfree(es->counter_dirty);
	es->hash = NULL;
	es->used = NULL;
	es->counter_dirty = NULL;
}

/**
 * es_sa_find() - by what it is
 * @es: namespace
 * @proto: IPPROTO_ESP or IPPROTO_AH
 * @spi: big endian
 * @fp: fingerprint
 * Return: the SA or NULL. Context: es->sa_lock held
 */
struct es_sa *es_sa_find(struct es_net *es, u8 proto, __be32 spi, u64 fp)
{
	struct es_sa *sa;

	hlist_for_each_entry(sa, bucket(es, proto, spi), node)
		if (sa->spi == spi && sa->proto == proto && sa->fp == fp)
			return sa;
	return NULL;
}

/**
 * es_sa_by_state() - by its state
 * @es: namespace
 * @x: state
 * Return: the SA or NULL. Context: es->sa_lock held
 */
struct es_sa *es_sa_by_state(struct es_net *es, const struct xfrm_state *x)
{
	struct es_sa *sa;

	lockdep_assert_held(&es->sa_lock);
	hlist_for_each_entry(sa, bucket(es, x->id.proto, x->id.spi), node)
		if (sa->x == x)
			return sa;
	return NULL;
}

static bool same_daddr(const struct es_sa *sa, const struct es_addr *dst)
{
	return sa->family == dst->family && !memcmp(&sa->daddr, &dst->v6, es_addr_len(dst));
}

/**
 * es_sa_by_addr() - as userspace names it
 * @es: namespace
 * @dst: destination
 * @spi: big endian
 * @proto: IPPROTO_ESP or IPPROTO_AH
 * Return: the SA, one with a state first, or NULL. Context: es->lock held
 */
struct es_sa *es_sa_by_addr(struct es_net *es, const struct es_addr *dst, __be32 spi, u8 proto)
{
	struct es_sa *sa, *found = NULL;

	spin_lock_bh(&es->sa_lock);
	hlist_for_each_entry(sa, bucket(es, proto, spi), node)
		if (sa->spi == spi && sa->proto == proto && same_daddr(sa, dst) && !test_bit(ES_SA_DEAD, &sa->flags) &&
		    (!found || sa->x))
			found = sa;
	spin_unlock_bh(&es->sa_lock);
	return found;
}

/* One SPI with two keys. Where both have a state in this kernel, xfrm tells them apart by their marks. Context: es->sa_lock held. */
static bool rivals(const struct es_sa *a, const struct es_sa *b)
{
	return a->spi == b->spi && a->proto == b->proto && a->fp != b->fp && a->family == b->family &&
	       !memcmp(&a->daddr, &b->daddr, sizeof(a->daddr)) && !(a->x && b->x);
}

/**
 * es_sa_sender() - whose an ESP packet is that may have been sent here
 * @es: namespace, with a channel
 * @family: of @dst
 * @dst: its destination
 * @spi: big endian
 * Return: the group of the SA that is followed here, or NULL: none is. Context: any
 */
struct es_group *es_sa_sender(struct es_net *es, u16 family, const void *dst, __be32 spi)
{
	struct es_group *g = NULL;
	struct es_sa *sa;

	spin_lock_bh(&es->sa_lock);
	hlist_for_each_entry(sa, bucket(es, IPPROTO_ESP, spi), node)
		if (sa->x && sa->spi == spi && sa->family == family && !memcmp(&sa->daddr, dst, family == AF_INET ? 4 : 16))
			g = sa->g;
	spin_unlock_bh(&es->sa_lock);
	return g;
}

/**
 * es_sa_clashes() - another live SA has the same SPI and destination, but not the same key
 * @es: namespace
 * @sa: the one
 * Return: true for a key mismatch; then the others are marked with ES_SA_MISMATCH. Context: es->lock held
 */
bool es_sa_clashes(struct es_net *es, const struct es_sa *sa)
{
	bool clash = false;
	struct es_sa *o;

	if (test_bit(ES_SA_DEAD, &sa->flags))
		return false;
	spin_lock_bh(&es->sa_lock);
	hlist_for_each_entry(o, bucket(es, sa->proto, sa->spi), node)
		if (rivals(o, sa) && !test_bit(ES_SA_DEAD, &o->flags)) {
			set_bit(ES_SA_MISMATCH, &o->flags);
			clash = true;
		}
	spin_unlock_bh(&es->sa_lock);
	return clash;
}

/**
 * es_sa_new() - an SA that was not known
 * @es: namespace
 * @proto: IPPROTO_ESP or IPPROTO_AH
 * @spi: big endian
 * @fp: fingerprint
 * Return: the SA or NULL: no memory, or more than ES_MAX_SAS. Context: es->sa_lock held, any
 */
struct es_sa *es_sa_new(struct es_net *es, u8 proto, __be32 spi, u64 fp)
{
	struct es_sa *sa = kzalloc(sizeof(*sa), GFP_ATOMIC);

	lockdep_assert_held(&es->sa_lock);
	if (!sa)
		return NULL;
	INIT_LIST_HEAD(&sa->work);
	INIT_LIST_HEAD(&sa->hot);
	sa->g = &es->groups[0];
	sa->proto = proto;
	sa->spi = spi;
	sa->fp = fp;
	if (xa_alloc_cyclic(&es->sas, &sa->handle, sa, XA_LIMIT(1, ES_MAX_SAS - 1), &es->next_handle, GFP_ATOMIC) < 0) {
		kfree(sa);
		return NULL;
	}
	sa->serial = es->serial++;
	set_bit(sa->handle, es->used);
	es->n_sas++;
	hlist_add_head(&sa->node, bucket(es, proto, spi));
	return sa;
}

/**
 * es_sa_get() - by our handle
 * @es: namespace, locked
 * @handle: ours
 * Return: the SA or NULL
 */
struct es_sa *es_sa_get(struct es_net *es, u32 handle)
{
	return xa_load(&es->sas, handle);
}

#define ES_REF_SERIAL	(BITS_PER_XA_VALUE - ilog2(ES_MAX_SAS))	/* bits */

/**
 * es_sa_ref() - an SA as a peer's map remembers it
 * @sa: the SA
 * Return: an xarray value; it does not keep the SA
 */
void *es_sa_ref(const struct es_sa *sa)
{
	unsigned long serial = sa->serial & (BIT(min(ES_REF_SERIAL, 32)) - 1);

	return xa_mk_value(serial << ilog2(ES_MAX_SAS) | sa->handle);
}

/**
 * es_sa_deref() - the SA that was remembered
 * @es: namespace, locked
 * @ref: from es_sa_ref(), or NULL
 * Return: the SA; NULL if it is gone, also if another one has its handle now
 */
struct es_sa *es_sa_deref(struct es_net *es, void *ref)
{
	struct es_sa *sa = ref ? es_sa_get(es, xa_to_value(ref) & (ES_MAX_SAS - 1)) : NULL;

	return sa && es_sa_ref(sa) == ref ? sa : NULL;
}

/**
 * es_sa_revive() - somebody has it (again)
 * @es: namespace
 * @sa: the SA
 * Context: es->sa_lock held, any
 */
void es_sa_revive(struct es_net *es, struct es_sa *sa)
{
	clear_bit(ES_SA_ORPHAN, &sa->flags);
	if (test_and_clear_bit(ES_SA_DEAD, &sa->flags))
		es->n_tombs--;
}

/**
 * es_sa_entomb() - its numbers are kept for a while if neither this kernel nor a peer has it
 * @es: namespace, locked
 * @sa: the SA
 * @orphan: nobody said that it is gone: it may come back
 * Context: es->sa_lock held, process
 */
void es_sa_entomb(struct es_net *es, struct es_sa *sa, bool orphan)
{
	lockdep_assert_held(&es->sa_lock);
	if (sa->x || sa->ann || test_and_set_bit(ES_SA_DEAD, &sa->flags))
		return;
	assign_bit(ES_SA_ORPHAN, &sa->flags, orphan);
	sa->died_ms = div_u64(es->clock_us, 1000);
	es->n_tombs++;
	trace_espsync_lease(es, sa, ES_TURN_ENTOMBED, sa->l.target);
}

/**
 * es_sa_free() - forget an SA that has no state
 * @es: namespace, locked
 * @sa: the SA
 * Context: process. The peers' arrays have locks of their own that are not BH safe: they come before es->sa_lock, not inside it
 */
void es_sa_free(struct es_net *es, struct es_sa *sa)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list) {
		__clear_bit(sa->handle, p->dirty);
		__clear_bit(sa->handle, p->named);
		__clear_bit(sa->handle, p->todo);
		xa_erase(&p->acked, sa->handle);
	}
	if (!list_empty(&sa->hot)) {
		list_del(&sa->hot);
		es->n_hot--;
	}
	__clear_bit(sa->handle, es->counter_dirty);
	es->n_astray -= !!sa->astray;
	spin_lock_bh(&es->sa_lock);
	WARN_ON_ONCE(sa->x);
	hlist_del_init(&sa->node);	/* may be out already: see bury() */
	list_del(&sa->work);
	xa_erase(&es->sas, sa->handle);
	clear_bit(sa->handle, es->used);
	es->n_sas--;
	spin_unlock_bh(&es->sa_lock);
	kfree(sa->kept);
	kfree_rcu(sa, rcu);
}

/**
 * es_sa_queue() - have the thread look at an SA
 * @es: namespace
 * @sa: the SA
 * Context: es->sa_lock held, any
 */
void es_sa_queue(struct es_net *es, struct es_sa *sa)
{
	lockdep_assert_held(&es->sa_lock);
	if (list_empty(&sa->work))
		list_add_tail(&sa->work, &es->work);
	es_wake(es);
}

/**
 * es_sa_next_queued() - the next SA that wants the thread
 * @es: namespace, locked
 * Return: an SA, off the list, or NULL
 */
struct es_sa *es_sa_next_queued(struct es_net *es)
{
	struct es_sa *sa;

	spin_lock_bh(&es->sa_lock);
	sa = list_first_entry_or_null(&es->work, struct es_sa, work);
	if (sa)
		list_del_init(&sa->work);
	spin_unlock_bh(&es->sa_lock);
	return sa;
}

/**
 * es_sa_keep() - keep numbers that have no state
 * @es: namespace, locked
 * @sa: the SA
 * @oseq: last number sent, 0 unknown
 * @w: window or NULL
 * @bytes: lifetime
 * @packets: lifetime
 * Return: false without memory: they are forgotten
 * Context: process
 */
bool es_sa_keep(struct es_net *es, struct es_sa *sa, u64 oseq, const struct es_window *w, u64 bytes, u64 packets)
{
	struct es_kept *new = kzalloc(sizeof(*new), GFP_KERNEL);
	struct es_kept *k;
	bool kept;

	spin_lock_bh(&es->sa_lock);
	if (!sa->kept)
		swap(sa->kept, new);
	k = sa->kept;
	if (k) {
		k->oseq = max(k->oseq, oseq);
		k->bytes = max(k->bytes, bytes);
		k->packets = max(k->packets, packets);
		if (w)
			es_window_join(&k->win, w);
	}
	kept = k;
	spin_unlock_bh(&es->sa_lock);
	kfree(new);
	return kept;
}
