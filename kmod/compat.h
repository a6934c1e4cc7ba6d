/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - what differs between the kernels that the module builds for.
 *
 * Job: give 6.1, 6.12 and 7.2 one face. Written against the newest: each entry
 * says since when the new way exists, and goes when the floor rises above it.
 * What may not enter: anything else. No other file looks at LINUX_VERSION_CODE.
 */
#ifndef ESPSYNC_COMPAT_H
#define ESPSYNC_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "espsync needs Linux 6.1 or newer: build it for a newer kernel (KDIR=)"
#endif

/* 6.12: asm/unaligned.h moved. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* 6.19: struct blake2s_state is now blake2s_ctx. The calls on it are the same. */
#include <crypto/blake2s.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
typedef struct blake2s_ctx es_blake2s;
#else
typedef struct blake2s_state es_blake2s;
#endif

/* Since 7.x setup_udp_tunnel_sock() takes a struct sock, no longer a struct socket. */
#define es_setup_udp_tunnel_sock(net, socket, cfg)				\
	setup_udp_tunnel_sock(net, _Generic(&setup_udp_tunnel_sock,		\
		void (*)(struct net *, struct sock *, struct udp_tunnel_sock_cfg *): (socket)->sk, \
		default: (socket)), cfg)

/* 6.10: an SA knows its direction. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define es_x_dir(x) ((x)->dir)
#else
#define es_x_dir(x) ESPSYNC_DIR_UNKNOWN
#endif

/* 6.14: packets of such an SA are queued by themselves, and do not pass POST_ROUTING before they are numbered. */
#ifdef XFRM_MODE_IPTFS
#define es_x_iptfs(x) ((x)->props.mode == XFRM_MODE_IPTFS)
#else
#define es_x_iptfs(x) false
#endif

/* 6.6: dumps have the attributes of struct genl_info. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define es_dump_attrs(i) ((i)->info.attrs)
#else
#define es_dump_attrs(i) ((i)->attrs)
#endif

/* 6.5: skb_gso_segment() has a header of its own. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#include <net/gso.h>
#else
#include <linux/netdevice.h>
#endif

/* 6.8: it is told the namespace. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define es_decode_session(net, skb, fl, family) xfrm_decode_session(net, skb, fl, family)
#else
#define es_decode_session(net, skb, fl, family) xfrm_decode_session(skb, fl, family)
#endif

#endif /* ESPSYNC_COMPAT_H */
