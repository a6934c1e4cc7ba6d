// SPDX-License-Identifier: GPL-2.0
/*
 * aevent.c - xfrm raises NEWAE only while somebody listens.
 *
 * Job: one kernel socket in the initial namespace that listens to XFRMNLGRP_AEVENTS while any namespace has a channel. xfrm's bitmap of
 * listeners is machine-wide, so every other SA of the machine would pay: before the socket opens, the defaults for thresholds go to 0
 * everywhere, and those of SAs that carry the defaults too. Everything is put back when the last channel goes.
 * What may not enter: what is done with an event (km.c).
 *
 * aevent_lock (mutex) guards the socket and the count; it is taken with es->lock held and takes net_rwsem.
 */
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "aevent.h"

#define ES_WALK_BATCH 64

static DEFINE_MUTEX(aevent_lock);
static struct socket *listener;
static unsigned int channels;

struct batch {
	struct xfrm_state *x[ES_WALK_BATCH];
	unsigned int n;
};

/* Under xfrm_state_lock: only take a reference, and let go of the lock now and then. xfrm keeps the place. */
static int collect(struct xfrm_state *x, int count, void *data)
{
	struct batch *b = data;

	if (b->n == ES_WALK_BATCH)
		return -EAGAIN;
	xfrm_state_hold(x);
	b->x[b->n++] = x;
	return 0;
}

/* x->lock held. An armed timer would set XFRM_TIME_DEFER, and then every packet raises an event. */
static void quiet_one(struct es_net *es, struct xfrm_state *x)
{
	if (x->replay_maxdiff != es->saved_rseqth || x->replay_maxage != es->saved_etime * HZ / XFRM_AE_ETH_M)
		return;
	x->replay_maxdiff = 0;
	x->replay_maxage = 0;
	x->xflags &= ~XFRM_TIME_DEFER;
	timer_delete(&x->rtimer);
}

static void restore_one(struct es_net *es, struct xfrm_state *x)
{
	if (x->replay_maxdiff || x->replay_maxage)
		return;
	x->replay_maxdiff = es->saved_rseqth;
	x->replay_maxage = es->saved_etime * HZ / XFRM_AE_ETH_M;
	if (x->replay_maxage && x->km.state == XFRM_STATE_VALID)
		mod_timer(&x->rtimer, jiffies + x->replay_maxage);
}

static void each_state(struct es_net *es, void (*one)(struct es_net *, struct xfrm_state *))
{
	struct batch *b = kmalloc(sizeof(*b), GFP_KERNEL | __GFP_NOFAIL);
	struct xfrm_state_walk walk;
	unsigned int i;
	int err;

	xfrm_state_walk_init(&walk, IPSEC_PROTO_ANY, NULL);
	do {
		b->n = 0;
		err = xfrm_state_walk(es->net, &walk, collect, b);
		for (i = 0; i < b->n; i++) {
			spin_lock_bh(&b->x[i]->lock);
			one(es, b->x[i]);
			spin_unlock_bh(&b->x[i]->lock);
			xfrm_state_put(b->x[i]);
		}
	} while (err == -EAGAIN);
	xfrm_state_walk_done(&walk, es->net);
	kfree(b);
}

static void quiet(struct es_net *es)
{
	struct netns_xfrm *xfrm = &es->net->xfrm;

	if (es->thresholds)
		return;
	es->saved_rseqth = xfrm->sysctl_aevent_rseqth;
	es->saved_etime = xfrm->sysctl_aevent_etime;
	WRITE_ONCE(xfrm->sysctl_aevent_rseqth, 0);
	WRITE_ONCE(xfrm->sysctl_aevent_etime, 0);
	es->thresholds = true;
	each_state(es, quiet_one);
}

static void restore(struct es_net *es)
{
	struct netns_xfrm *xfrm = &es->net->xfrm;

	if (!es->thresholds)
		return;
	WRITE_ONCE(xfrm->sysctl_aevent_rseqth, es->saved_rseqth);
	WRITE_ONCE(xfrm->sysctl_aevent_etime, es->saved_etime);
	es->thresholds = false;
	each_state(es, restore_one);
}

static void every_net(void (*what)(struct es_net *es))
{
	struct net *net;

	down_read(&net_rwsem);
	for_each_net(net) {
		struct es_net *es = es_net_of(net);

		if (es)
			what(es);
	}
	up_read(&net_rwsem);
}

/* Multicast that nobody reads. Softirq or process. */
static void discard(struct sock *sk)
{
	skb_queue_purge(&sk->sk_receive_queue);
}

static int listen(void)
{
	struct sockaddr_nl a = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (XFRMNLGRP_AEVENTS - 1),
	};
	struct socket *s;
	int err;

	err = sock_create_kern(&init_net, PF_NETLINK, SOCK_RAW, NETLINK_XFRM, &s);
	if (err)
		return err;
	s->sk->sk_data_ready = discard;
	err = kernel_bind(s, (void *)&a, sizeof(a));	/* the type of the address changed in 6.19 */
	if (err) {
		sock_release(s);
		return err;
	}
	listener = s;
	return 0;
}

/**
 * es_aevent_get() - a namespace has a channel: its SAs raise NEWAE from now on
 * @es: namespace, locked
 * Return: 0 or an error. Context: process, not in a pernet init
 */
int es_aevent_get(struct es_net *es)
{
	int err = 0;

	mutex_lock(&aevent_lock);
	if (!channels) {
		every_net(quiet);
		err = listen();
		if (err)
			every_net(restore);
	}
	if (!err) {
		channels++;
		quiet(es);
		/* the first packet of a state that is not adopted yet adopts it */
		WRITE_ONCE(es->net->xfrm.sysctl_aevent_rseqth, 1);
	}
	mutex_unlock(&aevent_lock);
	return err;
}

/**
 * es_aevent_put() - a channel is gone; with the last one all is as it was
 * @es: namespace, locked, its SAs released
 */
void es_aevent_put(struct es_net *es)
{
	mutex_lock(&aevent_lock);
	WRITE_ONCE(es->net->xfrm.sysctl_aevent_rseqth, 0);
	if (!--channels) {
		sock_release(listener);
		listener = NULL;
		every_net(restore);
	} else {
		each_state(es, quiet_one);	/* those just released carry the defaults again */
	}
	mutex_unlock(&aevent_lock);
}

/**
 * es_aevent_net_init() - a namespace begins while somebody listens
 * @es: the new one
 * Context: pernet init; takes no lock that its callers hold
 */
void es_aevent_net_init(struct es_net *es)
{
	if (READ_ONCE(channels))
		quiet(es);
}
