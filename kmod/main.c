// SPDX-License-Identifier: GPL-2.0
/*
 * main.c - load and unload.
 *
 * Job: bring the rooms up in the order in which they depend on each other, and down in the reverse.
 * What may not enter: anything else.
 *
 * ORDER: xfrm_user first (a netlink socket made while it is missing would wait for it inside pernet_ops_rwsem); namespaces before notifications, which
 * look them up; the family last, because then userspace may ask.
 */
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/random.h>
#include <net/netns/generic.h>

#include "aevent.h"
#include "channel.h"
#include "km.h"
#include "netlink.h"
#include "params.h"
#include "place.h"

#if BITS_PER_LONG != 64
#error "espsync is for 64-bit kernels: what peers acknowledged is kept in the words of an xarray"
#endif

unsigned int espsync_net_id __read_mostly;

/**
 * es_net_of() - what the module knows of a namespace
 * @net: namespace
 * Return: never NULL while the module is loaded. Context: any
 */
struct es_net *es_net_of(struct net *net)
{
	return net_generic(net, espsync_net_id);
}

static int __net_init es_net_init(struct net *net)
{
	struct es_net *es = es_net_of(net);

	es->net = net;
	mutex_init(&es->lock);
	spin_lock_init(&es->sa_lock);
	init_waitqueue_head(&es->wait);
	es->generation = 1;
	INIT_LIST_HEAD(&es->peers);
	INIT_LIST_HEAD(&es->work);
	INIT_LIST_HEAD(&es->hot);
	INIT_LIST_HEAD(&es->expect);
	xa_init_flags(&es->sas, XA_FLAGS_ALLOC);
	es_place_init(es);
	es_aevent_net_init(es);
	return 0;
}

static void __net_exit es_net_exit(struct net *net)
{
	struct es_net *es = es_net_of(net);

	mutex_lock(&es->lock);
	es_channel_stop(es, false);
	mutex_unlock(&es->lock);
	es_place_free(es);
	xa_destroy(&es->sas);
}

static struct pernet_operations es_net_ops = {
	.init = es_net_init,
	.exit = es_net_exit,
	.id = &espsync_net_id,
	.size = sizeof(struct es_net),
};

/* A snapshot was restored: the threads of all channels find out. */
static int rolled_back(struct notifier_block *nb, unsigned long action, void *data)
{
	struct net *net;

	rcu_read_lock();
	for_each_net_rcu(net) {
		struct es_net *es = es_net_of(net);

		if (READ_ONCE(es->up)) {
			WRITE_ONCE(es->vmfork, true);
			es_wake(es);
		}
	}
	rcu_read_unlock();
	return NOTIFY_DONE;
}

static struct notifier_block vmfork = { .notifier_call = rolled_back };

/* Some namespace that still has a channel, with a reference. */
static struct net *net_with_channel(void)
{
	struct net *net, *found = NULL;

	rcu_read_lock();
	for_each_net_rcu(net) {
		if (!READ_ONCE(((struct es_net *)es_net_of(net))->up))
			continue;
		found = maybe_get_net(net);
		if (found)
			break;
	}
	rcu_read_unlock();
	return found;
}

static void stop_channels(void)
{
	struct net *net;

	while ((net = net_with_channel())) {
		struct es_net *es = es_net_of(net);

		mutex_lock(&es->lock);
		es_channel_stop(es, false);
		mutex_unlock(&es->lock);
		put_net(net);
	}
}

static int __init es_init(void)
{
	int err = es_params_check();

	if (err)
		return err;
	request_module("net-pf-16-proto-6");
	err = register_pernet_subsys(&es_net_ops);
	if (err)
		return err;
	es_km_register();
	err = es_netlink_register();
	if (err)
		goto err_km;
	err = es_params_apply(es_net_of(&init_net));
	if (err)
		goto err_netlink;
	register_random_vmfork_notifier(&vmfork);
	return 0;
err_netlink:
	es_netlink_unregister();
err_km:
	es_km_unregister();
	unregister_pernet_subsys(&es_net_ops);
	return err;
}

static void __exit es_exit(void)
{
	unregister_random_vmfork_notifier(&vmfork);
	es_netlink_unregister();
	/* Channels end while ceilings still stop their SAs; namespaces go when no notification looks them up any more. */
	stop_channels();
	es_km_unregister();
	unregister_pernet_subsys(&es_net_ops);
	rcu_barrier();
}

module_init(es_init);
module_exit(es_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stateful failover of IPsec gateways: ESP counters and anti-replay windows, kernel to kernel");
MODULE_VERSION(ES_VERSION);
MODULE_ALIAS_GENL_FAMILY(ESPSYNC_GENL_NAME);
