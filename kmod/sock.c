// SPDX-License-Identifier: GPL-2.0
/*
 * sock.c - the UDP socket of a channel.
 *
 * Job: carry datagrams past the tunnels' own policies; queue what arrives,
 * bounded, for the channel's thread.
 * What may not enter: keys, peers, SAs. A datagram is bytes, but for the one
 * that says, in clear and unproved, how soon it wants to be read.
 *
 * Contexts: receive() runs in softirq, under rcu_read_lock(), and only queues;
 * all else in process context. @lock guards the queues and is a leaf.
 *
 * The socket holds no reference on its netns, and what waits in the queues
 * none on routes, devices or conntrack entries: es_sock_close() before the
 * netns goes is all that is needed.
 */
#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/udp.h>
#include <linux/workqueue.h>
#include <net/addrconf.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>
#include <net/xfrm.h>

#include "addr.h"
#include "compat.h"
#include "session.h"
#include "sock.h"

/* Large datagrams are not ours, but hold memory while they wait. */
#define QUEUE_BYTES	(8 << 20)

/*
 * HELLOs taken in a tenth of a second; opening one costs as much as it costs
 * to forge one. A session needs none, and sixteen nodes that all begin send fewer.
 */
#define HELLO_BURST	128

/*
 * How soon a datagram is read. Each line has its own room, or a flood of one kind
 * would shut the others out. What is of no known kind waits with the HELLOs.
 */
enum line { URGENT, PLAIN, HELLO, LINES };

static const unsigned int line_room[LINES] = {
	[URGENT] = ES_SOCK_QUEUE / 2,
	[PLAIN] = ES_SOCK_QUEUE / 2 - HELLO_BURST,
	[HELLO] = HELLO_BURST,
};

/* Which line goes first, by turns: each gets on. */
static const enum line turns[] = { URGENT, URGENT, URGENT, PLAIN, URGENT, URGENT, URGENT, HELLO };

/**
 * struct es_sock - socket of a channel
 * @sock: the socket; its user data points here
 * @wake: the channel's thread sleeps here
 * @lock: guards what follows, up to @hellos
 * @lines: datagrams that wait
 * @bytes: memory held by them
 * @turn: counts datagrams handed out
 * @hello_from: beginning of the tenth of a second that @hellos is of, in jiffies
 * @hellos: taken in it
 * @rate_drops: dropped because there was no room, or as one HELLO too many
 * @nomem_drops: dropped for lack of memory
 */
struct es_sock {
	struct socket *sock;
	wait_queue_head_t *wake;
	spinlock_t lock;	/* see above */
	struct sk_buff_head lines[LINES];
	unsigned int bytes;
	unsigned int turn;
	unsigned long hello_from;
	unsigned int hellos;
	atomic64_t rate_drops;
	atomic64_t nomem_drops;
};

/* In skb->cb while a datagram waits. */
static struct es_addr *from_of(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct es_addr) > sizeof(skb->cb));
	return (struct es_addr *)skb->cb;
}

static void read_source(struct es_addr *from, const struct sk_buff *skb)
{
	memset(from, 0, sizeof(*from));
	from->port = udp_hdr(skb)->source;
	if (ip_hdr(skb)->version == 4) {
		from->family = AF_INET;
		from->v4 = ip_hdr(skb)->saddr;
	} else {
		from->family = AF_INET6;
		from->v6 = ipv6_hdr(skb)->saddr;
		from->scope = ipv6_iface_scope_id(&from->v6, inet6_iif(skb));
	}
}

/* Nothing of the path that it came may be held while it waits. */
static void detach(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	skb->dev = NULL;
}

static enum line line_of(const struct sk_buff *skb)
{
	const u8 *type;
	u8 buf;

	type = skb_header_pointer(skb, 1, 1, &buf);
	if (!type || (*type & ~ES_SESSION_URGENT) != ES_SESSION_TYPE_DATA)
		return HELLO;
	return *type & ES_SESSION_URGENT ? URGENT : PLAIN;
}

static bool one_too_many(struct es_sock *s)
{
	if (time_after_eq(jiffies, s->hello_from + HZ / 10)) {
		s->hello_from = jiffies;
		s->hellos = 0;
	}
	return s->hellos++ >= HELLO_BURST;
}

static bool enqueue(struct es_sock *s, struct sk_buff *skb)
{
	enum line l = line_of(skb);
	bool room;

	spin_lock(&s->lock);
	room = skb_queue_len(&s->lines[l]) < line_room[l] && s->bytes + skb->truesize <= QUEUE_BYTES &&
	       !(l == HELLO && one_too_many(s));
	if (room) {
		s->bytes += skb->truesize;
		__skb_queue_tail(&s->lines[l], skb);
	}
	spin_unlock(&s->lock);
	return room;
}

/* The socket's encap_rcv: softirq, BH off. Takes every datagram. */
static int receive(struct sock *sk, struct sk_buff *skb)
{
	struct es_sock *s = rcu_dereference_sk_user_data(sk);
	struct es_addr from;

	if (!s)
		goto drop;
	read_source(&from, skb);
	__skb_pull(skb, sizeof(struct udphdr));
	detach(skb);
	*from_of(skb) = from;
	if (!enqueue(s, skb)) {
		atomic64_inc(&s->rate_drops);
		goto drop;
	}
	wake_up(s->wake);
	return 0;
drop:
	kfree_skb(skb);
	return 0;
}

/* A policy of the socket's own comes before those of the namespace. */
static int allow(struct sock *sk, u8 dir)
{
	struct xfrm_userpolicy_info p = {
		.sel.family = sk->sk_family,
		.lft.soft_byte_limit = XFRM_INF,
		.lft.hard_byte_limit = XFRM_INF,
		.lft.soft_packet_limit = XFRM_INF,
		.lft.hard_packet_limit = XFRM_INF,
		.dir = dir,
		.action = XFRM_POLICY_ALLOW,
		.share = XFRM_SHARE_ANY,
	};
	int opt = sk->sk_family == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY;
	int err;

	lock_sock(sk);
	err = xfrm_user_policy(sk, opt, KERNEL_SOCKPTR(&p), sizeof(p));
	release_sock(sk);
	return err;
}

struct bypass {
	struct work_struct work;
	struct sock *sk;
	int err;
};

static void bypass_work(struct work_struct *work)
{
	struct bypass *b = container_of(work, struct bypass, work);

	b->err = allow(b->sk, XFRM_POLICY_IN);
	if (!b->err)
		b->err = allow(b->sk, XFRM_POLICY_OUT);
}

/*
 * xfrm_user_policy() asks for no capability, but reads the policy as current
 * would lay it out, which is another layout if the tool is a 32-bit one on a 64-bit
 * kernel. A kworker has the kernel's.
 */
static int bypass_tunnels(struct sock *sk)
{
	struct bypass b = { .sk = sk };

	INIT_WORK_ONSTACK(&b.work, bypass_work);
	schedule_work(&b.work);
	flush_work(&b.work);
	destroy_work_on_stack(&b.work);
	return b.err;
}

static int find_dev(struct net *net, const char *dev, struct netlink_ext_ack *extack)
{
	struct net_device *d;
	int index = 0;

	rcu_read_lock();
	d = dev_get_by_name_rcu(net, dev);
	if (d)
		index = d->ifindex;
	rcu_read_unlock();
	if (index)
		return index;
	NL_SET_ERR_MSG(extack, "the device to bind to does not exist here (create it first, or choose another)");
	return -ENODEV;
}

static void explain_bind(int err, struct netlink_ext_ack *extack)
{
	switch (err) {
	case -EADDRINUSE:
		NL_SET_ERR_MSG(extack, "the sync address and port are in use (choose another port, or end what holds it)");
		break;
	case -EADDRNOTAVAIL:
		NL_SET_ERR_MSG(extack, "the sync address is not one of this machine's (add it to an interface first)");
		break;
	case -EACCES:
		NL_SET_ERR_MSG(extack, "the port is a privileged one (choose one above 1023)");
		break;
	case -EINVAL:
		NL_SET_ERR_MSG(extack, "a link-local sync address needs the device that it is on");
		break;
	default:
		NL_SET_ERR_MSG(extack, "cannot make a UDP socket for the sync address (is its address family enabled?)");
	}
}

static int bind_socket(struct es_sock *s, struct net *net, const struct es_addr *local,
		       const char *dev, struct netlink_ext_ack *extack)
{
	struct udp_port_cfg cfg = {
		.family = local->family,
		.local_udp_port = local->port,
		.bind_ifindex = local->scope,
		.use_udp_checksums = 1,
		.use_udp6_tx_checksums = 1,
		.use_udp6_rx_checksums = 1,
		.ipv6_v6only = 1,
	};
	int err;

	if (dev && *dev) {
		err = find_dev(net, dev, extack);
		if (err < 0)
			return err;
		cfg.bind_ifindex = err;
	}
	if (local->family == AF_INET)
		cfg.local_ip.s_addr = local->v4;
#if IS_ENABLED(CONFIG_IPV6)
	else
		cfg.local_ip6 = local->v6;
#endif
	err = udp_sock_create(net, &cfg, &s->sock);
	if (err < 0)
		explain_bind(err, extack);
	return err;
}

/**
 * es_sock_open() - make the socket of a channel
 * @net: its netns; es_sock_close() before it goes
 * @local: address and port to bind to
 * @dev: device or VRF to bind to, or NULL or "" for none
 * @wake: woken when a datagram was queued
 * @extack: says in a sentence what failed
 *
 * Context: process, may sleep; not from a pernet init, because xfrm_user must be loaded.
 * Return: the socket, or an error pointer.
 */
struct es_sock *es_sock_open(struct net *net, const struct es_addr *local, const char *dev,
			     wait_queue_head_t *wake, struct netlink_ext_ack *extack)
{
	struct udp_tunnel_sock_cfg cfg = { .encap_type = 1, .encap_rcv = receive };
	struct es_sock *s;
	int err, i;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return ERR_PTR(-ENOMEM);
	s->wake = wake;
	spin_lock_init(&s->lock);
	for (i = 0; i < LINES; i++)
		__skb_queue_head_init(&s->lines[i]);
	s->hello_from = jiffies;

	err = bind_socket(s, net, local, dev, extack);
	if (err)
		goto err_free;
	err = bypass_tunnels(s->sock->sk);
	if (err) {
		NL_SET_ERR_MSG(extack, "cannot exempt the channel from IPsec policies (load xfrm_user)");
		goto err_sock;
	}
	cfg.sk_user_data = s;
	es_setup_udp_tunnel_sock(net, s->sock, &cfg);
	return s;

err_sock:
	sock_release(s->sock);
err_free:
	kfree(s);
	return ERR_PTR(err);
}

/**
 * es_sock_close() - end the socket and all that waits in it
 * @s: the socket, NULL or an error pointer; not used by anybody else any more
 *
 * When it returns, no receive callback runs or will run.
 *
 * Context: process, may sleep.
 */
void es_sock_close(struct es_sock *s)
{
	int i;

	if (IS_ERR_OR_NULL(s))
		return;
	/* Who looks the socket up from here on finds no user data, and after the release no socket. */
	rcu_assign_sk_user_data(s->sock->sk, NULL);
	sock_release(s->sock);
	/* Who looked it up before is through. */
	synchronize_net();
	for (i = 0; i < LINES; i++)
		__skb_queue_purge(&s->lines[i]);
	kfree(s);
}

/**
 * es_sock_send() - send a datagram
 * @s: the socket
 * @to: where to
 * @data: the datagram
 * @len: its length
 * @urgent: it goes first where a queue has bands
 *
 * Context: process, one at a time. Does not wait for room in a queue.
 * Return: 0, -EAGAIN if there is no room at the moment, or another error; the
 *	datagram is lost then, and no state has changed.
 */
int es_sock_send(struct es_sock *s, const struct es_addr *to, const void *data, size_t len, bool urgent)
{
	struct sockaddr_storage ss;
	struct msghdr msg = {
		.msg_name = &ss,
		.msg_namelen = es_addr_to_sockaddr(to, &ss),
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
	};
	struct kvec vec = { .iov_base = (void *)data, .iov_len = len };
	int err;

	if (to->family != s->sock->sk->sk_family)
		return -EAFNOSUPPORT;
	/* What waits behind others leaves room for what does not. */
	if (!urgent && sk_wmem_alloc_get(s->sock->sk) > READ_ONCE(s->sock->sk->sk_sndbuf) / 2)
		return -EAGAIN;
	s->sock->sk->sk_priority = urgent ? TC_PRIO_CONTROL : TC_PRIO_BESTEFFORT;
	err = kernel_sendmsg(s->sock, &msg, &vec, 1, len);
	return err < 0 ? err : 0;
}

static struct sk_buff *dequeue(struct es_sock *s)
{
	struct sk_buff *skb;
	int i;

	spin_lock_bh(&s->lock);
	skb = __skb_dequeue(&s->lines[turns[s->turn++ % ARRAY_SIZE(turns)]]);
	for (i = 0; !skb && i < LINES; i++)
		skb = __skb_dequeue(&s->lines[i]);
	if (skb)
		s->bytes -= skb->truesize;
	spin_unlock_bh(&s->lock);
	return skb;
}

/**
 * es_sock_recv() - take the next datagram
 * @s: the socket
 * @from: gets where it came from
 *
 * Context: process.
 * Return: the datagram, for the caller to kfree_skb(): linear, its own to write
 *	into, @data at the payload, @len the payload's. NULL if none waits.
 */
struct sk_buff *es_sock_recv(struct es_sock *s, struct es_addr *from)
{
	struct sk_buff *skb;

	while ((skb = dequeue(s))) {
		*from = *from_of(skb);
		/* It is opened in place, and a packet socket may hold a clone. */
		if (!skb_linearize(skb) && !skb_unclone(skb, GFP_KERNEL))
			return skb;
		atomic64_inc(&s->nomem_drops);
		kfree_skb(skb);
	}
	return NULL;
}

static struct dst_entry *route4(struct sock *sk, const struct es_addr *to)
{
	struct inet_sock *inet = inet_sk(sk);
	struct flowi4 fl4;
	struct rtable *rt;

	rt = ip_route_output_ports(sock_net(sk), &fl4, sk, to->v4, inet->inet_saddr, to->port,
				   inet->inet_sport, IPPROTO_UDP, 0, sk->sk_bound_dev_if);
	return IS_ERR(rt) ? ERR_CAST(rt) : &rt->dst;
}

static struct dst_entry *route6(struct sock *sk, const struct es_addr *to)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct flowi6 fl6 = {
		.flowi6_oif = to->scope ? to->scope : sk->sk_bound_dev_if,
		.flowi6_proto = IPPROTO_UDP,
		.daddr = to->v6,
		.saddr = inet6_sk(sk)->saddr,
		.fl6_dport = to->port,
		.fl6_sport = inet_sk(sk)->inet_sport,
	};

	return ip6_dst_lookup_flow(sock_net(sk), sk, &fl6, NULL);
#else
	return ERR_PTR(-EAFNOSUPPORT);
#endif
}

/**
 * es_sock_payload() - how long a datagram may be without being cut on its way
 * @s: the socket
 * @to: where it goes
 *
 * From the route, and so from what the path has told of its MTU. A path that
 * tells less than the minimum has its datagrams cut by IP.
 *
 * Context: process.
 * Return: bytes of UDP payload, ES_SOCK_PAYLOAD_MIN to ES_SOCK_PAYLOAD_MAX; the
 *	minimum if there is no route.
 */
unsigned int es_sock_payload(struct es_sock *s, const struct es_addr *to)
{
	struct sock *sk = s->sock->sk;
	struct dst_entry *dst;
	unsigned int heads;
	int room;

	if (to->family != sk->sk_family)
		return ES_SOCK_PAYLOAD_MIN;
	if (to->family == AF_INET) {
		dst = route4(sk, to);
		heads = sizeof(struct iphdr) + sizeof(struct udphdr);
	} else {
		dst = route6(sk, to);
		heads = sizeof(struct ipv6hdr) + sizeof(struct udphdr);
	}
	if (IS_ERR(dst))
		return ES_SOCK_PAYLOAD_MIN;
	room = dst_mtu(dst) - heads;
	dst_release(dst);
	return clamp(room, ES_SOCK_PAYLOAD_MIN, ES_SOCK_PAYLOAD_MAX);
}

/**
 * es_sock_queued() - how many datagrams wait
 * @s: the socket
 *
 * Context: any.
 * Return: their number
 */
unsigned int es_sock_queued(const struct es_sock *s)
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < LINES; i++)
		n += skb_queue_len_lockless(&s->lines[i]);
	return n;
}

/**
 * es_sock_rate_drops() - how many were dropped because they were too many
 * @s: the socket
 *
 * Context: any.
 * Return: their number since the socket was opened
 */
u64 es_sock_rate_drops(const struct es_sock *s)
{
	return atomic64_read(&s->rate_drops);
}

/**
 * es_sock_nomem_drops() - how many were dropped for lack of memory
 * @s: the socket
 *
 * Context: any.
 * Return: their number since the socket was opened
 */
u64 es_sock_nomem_drops(const struct es_sock *s)
{
	return atomic64_read(&s->nomem_drops);
}
