// SPDX-License-Identifier: GPL-2.0
/*
 * espsync_nic.c - a device that takes IPsec states and does nothing for them, for tests of what a NIC is told.
 *
 * Job: `ip link add NAME type espsync_nic` makes one; it accepts any ESP state, for crypto and for packet offload. Packets that leave by another device are
 * ciphered by xfrm itself, as with a NIC that a route leads past. Its statistics are what it was told by xdo_dev_state_advance_esn(): rx for inbound
 * states, tx for outbound ones, `packets` how often, `bytes` the number itself (64 bits). `errors` counts what no driver expects: a state without ESN,
 * whose replay_esn some drivers use unasked, or one whose packets the NIC numbers.
 * What may not enter: packets, and espsync.
 *
 * Context: xdo_dev_state_advance_esn() comes with x->lock held; one state of a direction at a time writes.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <net/rtnetlink.h>
#include <net/xfrm.h>

struct told {
	u64 times;
	u64 number;
	u64 wrong;
};

struct nic {
	struct told in;
	struct told out;
};

static int state_add(struct net_device *dev, struct xfrm_state *x, struct netlink_ext_ack *extack)
{
	x->xso.offload_handle = 1;
	return 0;
}

static void state_delete(struct net_device *dev, struct xfrm_state *x)
{
}

static void advance_esn(struct xfrm_state *x)
{
	struct nic *nic = netdev_priv(x->xso.dev);
	bool out = x->xso.dir == XFRM_DEV_OFFLOAD_OUT;
	const struct xfrm_replay_state_esn *r = x->replay_esn;
	struct told *t = out ? &nic->out : &nic->in;

	if (x->repl_mode != XFRM_REPLAY_MODE_ESN || x->xso.type != XFRM_DEV_OFFLOAD_CRYPTO) {
		t->wrong++;
		return;
	}
	WRITE_ONCE(t->number, out ? (u64)r->oseq_hi << 32 | r->oseq : (u64)r->seq_hi << 32 | r->seq);
	t->times++;
}

static const struct xfrmdev_ops nic_xfrm_ops = {
	.xdo_dev_state_add = state_add,
	.xdo_dev_state_delete = state_delete,
	.xdo_dev_state_advance_esn = advance_esn,
};

static netdev_tx_t xmit(struct sk_buff *skb, struct net_device *dev)
{
	kfree_skb(skb);
	return NETDEV_TX_OK;
}

static void get_stats(struct net_device *dev, struct rtnl_link_stats64 *s)
{
	const struct nic *nic = netdev_priv(dev);

	s->rx_packets = nic->in.times;
	s->rx_bytes = READ_ONCE(nic->in.number);
	s->rx_errors = nic->in.wrong;
	s->tx_packets = nic->out.times;
	s->tx_bytes = READ_ONCE(nic->out.number);
	s->tx_errors = nic->out.wrong;
}

static const struct net_device_ops nic_ops = {
	.ndo_start_xmit = xmit,
	.ndo_get_stats64 = get_stats,
};

static void setup(struct net_device *dev)
{
	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &nic_ops;
	dev->xfrmdev_ops = &nic_xfrm_ops;
	dev->flags |= IFF_NOARP;
	dev->needs_free_netdev = true;
}

static struct rtnl_link_ops nic_link = {
	.kind = "espsync_nic",
	.priv_size = sizeof(struct nic),
	.setup = setup,
};

static int __init nic_init(void)
{
	return rtnl_link_register(&nic_link);
}

static void __exit nic_exit(void)
{
	rtnl_link_unregister(&nic_link);
}

module_init(nic_init);
module_exit(nic_exit);
MODULE_DESCRIPTION("Tests of espsync: a NIC that is told of sequence numbers");
MODULE_LICENSE("GPL");
