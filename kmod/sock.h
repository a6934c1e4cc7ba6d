/* SPDX-License-Identifier: GPL-2.0 */
/*
 * sock.h - the UDP socket of a channel.
 */
#ifndef ESPSYNC_SOCK_H
#define ESPSYNC_SOCK_H

#include <linux/skbuff.h>
#include <linux/types.h>
#include <linux/wait.h>

struct es_addr;
struct es_sock;
struct net;
struct netlink_ext_ack;

/* What waits at most, in datagrams. More is dropped and counted. */
#define ES_SOCK_QUEUE		1024

/* es_sock_payload() is between these. */
#define ES_SOCK_PAYLOAD_MIN	768
#define ES_SOCK_PAYLOAD_MAX	1400

/* A packet that is handed over may need more: IP cuts such a datagram. */
#define ES_SOCK_DATAGRAM_MAX	9216

struct es_sock *es_sock_open(struct net *net, const struct es_addr *local, const char *dev,
			     wait_queue_head_t *wake, struct netlink_ext_ack *extack);
void es_sock_close(struct es_sock *s);

int es_sock_send(struct es_sock *s, const struct es_addr *to, const void *data, size_t len, bool urgent);
struct sk_buff *es_sock_recv(struct es_sock *s, struct es_addr *from);

unsigned int es_sock_payload(struct es_sock *s, const struct es_addr *to);
unsigned int es_sock_queued(const struct es_sock *s);
u64 es_sock_rate_drops(const struct es_sock *s);
u64 es_sock_nomem_drops(const struct es_sock *s);

#endif /* ESPSYNC_SOCK_H */
