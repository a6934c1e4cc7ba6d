/* SPDX-License-Identifier: GPL-2.0 */
/*
 * channel.h - the channel of a namespace, and its peers.
 */
#ifndef ESPSYNC_CHANNEL_H
#define ESPSYNC_CHANNEL_H

#include "espsync.h"

/* channel.c */
int es_channel_start(struct es_net *es, const struct es_config *cfg, struct netlink_ext_ack *extack);
int es_channel_rebind(struct es_net *es, const struct es_config *cfg, struct netlink_ext_ack *extack);
void es_channel_stop(struct es_net *es, bool release);
void es_channel_key(struct es_net *es, const u8 *key);
int es_channel_key_add(struct es_net *es, u8 number, const u8 *key, struct netlink_ext_ack *extack);
int es_channel_key_use(struct es_net *es, u8 number, struct netlink_ext_ack *extack);
int es_channel_key_del(struct es_net *es, u8 number, struct netlink_ext_ack *extack);
void es_channel_speak(struct es_net *es);
u64 es_clock_us(void);

/* peer.c */
struct es_peer *es_peer_find(struct es_net *es, u8 node);
int es_peer_add(struct es_net *es, u8 node, const struct es_addr addr[ES_LINKS], struct netlink_ext_ack *extack);
void es_peer_del(struct es_net *es, struct es_peer *p);
bool es_peer_heard(const struct es_peer *p);
bool es_peer_answered(const struct es_peer *p);
void es_peer_resync(struct es_peer *p);
void es_peer_unheard(struct es_net *es, struct es_peer *p, bool forget);
void es_peer_out(struct es_peer *p);
u8 es_peer_state(const struct es_peer *p);
const struct es_key *es_peer_key(const struct es_peer *p);
u8 es_peer_state_in(const struct es_group *g, const struct es_peer *p);
u32 es_peer_unsynced(const struct es_peer *p);
void es_peer_tick(struct es_net *es, struct es_peer *p);

/* link.c */
const char *es_link_why_not(const struct es_config *c, const struct es_addr addr[ES_LINKS]);
void es_link_set(struct es_peer *p, const struct es_addr addr[ES_LINKS]);
unsigned int es_link_data(const struct es_peer *p);
unsigned long es_link_all(const struct es_peer *p);
unsigned long es_link_heard(const struct es_peer *p);
unsigned long es_link_quiet(const struct es_peer *p, u64 us);
void es_link_forget(struct es_peer *p);
void es_link_said(struct es_peer *p, unsigned long links);
const struct es_link *es_link_echo(const struct es_peer *p, unsigned int i);
u32 es_link_rtt_us(const struct es_peer *p);
u8 es_link_state(const struct es_peer *p, const struct es_link *l);
void es_link_tick(struct es_peer *p);

/* tx.c */
void es_tx_hello(struct es_net *es, struct es_peer *p);
void es_tx_data(struct es_net *es, struct es_peer *p);
void es_tx_speak(struct es_net *es, struct es_peer *p, unsigned long links, u8 extra_flags);
unsigned int es_tx_packets(struct es_net *es, struct es_peer *p, struct sk_buff_head *q);
void es_tx_leave(struct es_net *es, struct es_peer *p);
void es_tx_acked(struct es_net *es, struct es_peer *p, u64 high, u64 bits);
bool es_tx_unheard(const struct es_peer *p);
void es_tx_timeout(struct es_net *es, struct es_peer *p);
void es_tx_reset(struct es_peer *p);

/* rx.c */
void es_rx(struct es_net *es);
void es_rx_mismatch(struct es_net *es, struct es_sa *sa);
void es_rx_discard(struct es_net *es);

#endif /* ESPSYNC_CHANNEL_H */
