/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trace.h - tracepoints: what the module looked at, sent, took in, merged, and why it did not.
 *
 * Job: one event for each thing that a counter alone does not explain, for `trace-cmd record -e espsync`. They cost a branch that is
 * patched out while nobody listens.
 * What may not enter: keys, payload, decisions. Nobody's behaviour depends on them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM espsync

#if !defined(ESPSYNC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ESPSYNC_TRACE_H

#include <linux/tracepoint.h>

#include "espsync.h"

TRACE_DEFINE_ENUM(ESPSYNC_DROP_AUTH);
TRACE_DEFINE_ENUM(ESPSYNC_DROP_REPLAY);
TRACE_DEFINE_ENUM(ESPSYNC_DROP_TRUNCATED);
TRACE_DEFINE_ENUM(ESPSYNC_DROP_VERSION);
TRACE_DEFINE_ENUM(ESPSYNC_DROP_KEY_ID);
TRACE_DEFINE_ENUM(ESPSYNC_DROP_UNKNOWN_PEER);
TRACE_DEFINE_ENUM(ESPSYNC_DROP_RATE);
TRACE_DEFINE_ENUM(ESPSYNC_DIR_UNKNOWN);
TRACE_DEFINE_ENUM(ESPSYNC_DIR_IN);
TRACE_DEFINE_ENUM(ESPSYNC_DIR_OUT);
TRACE_DEFINE_ENUM(ESPSYNC_PEER_DOWN);
TRACE_DEFINE_ENUM(ESPSYNC_PEER_JOINING);
TRACE_DEFINE_ENUM(ESPSYNC_PEER_UP);
TRACE_DEFINE_ENUM(ESPSYNC_PEER_OUT);
TRACE_DEFINE_ENUM(ES_PEER_SESSION);
TRACE_DEFINE_ENUM(ES_PEER_NEW_MEMORY);
TRACE_DEFINE_ENUM(ES_PEER_SYNCED);
TRACE_DEFINE_ENUM(ES_PEER_ENFORCING);
TRACE_DEFINE_ENUM(ES_PEER_IN);
TRACE_DEFINE_ENUM(ES_PEER_NOT_IN);
TRACE_DEFINE_ENUM(ES_PEER_EVICTED);
TRACE_DEFINE_ENUM(ES_PEER_LEFT);
TRACE_DEFINE_ENUM(ES_TURN_ADOPTED);
TRACE_DEFINE_ENUM(ES_TURN_CREATED);
TRACE_DEFINE_ENUM(ES_TURN_STORED);
TRACE_DEFINE_ENUM(ES_TURN_BEGUN);
TRACE_DEFINE_ENUM(ES_TURN_ASKED);
TRACE_DEFINE_ENUM(ES_TURN_AGREED);
TRACE_DEFINE_ENUM(ES_TURN_STOPPED);
TRACE_DEFINE_ENUM(ES_TURN_GOES_ON);
TRACE_DEFINE_ENUM(ES_TURN_DOUBT);
TRACE_DEFINE_ENUM(ES_TURN_DEMOTED);
TRACE_DEFINE_ENUM(ES_TURN_LOST);
TRACE_DEFINE_ENUM(ES_TURN_ENTOMBED);
TRACE_DEFINE_ENUM(ESPSYNC_ROLE_UNDECIDED);
TRACE_DEFINE_ENUM(ESPSYNC_ROLE_STANDBY);
TRACE_DEFINE_ENUM(ESPSYNC_ROLE_ACTIVE);
TRACE_DEFINE_ENUM(ES_TURN_CLAIM);
TRACE_DEFINE_ENUM(ES_TURN_CLAIMED);
TRACE_DEFINE_ENUM(ES_TURN_REFUSED);

/* A busy inbound SA was looked at and had moved. */
TRACE_EVENT(espsync_sample,
	TP_PROTO(const struct es_net *es, const struct es_sa *sa),
	TP_ARGS(es, sa),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, spi)
		__field(u64, packets)
		__field(u32, hot)
		__field(u32, interval_us)
	),
	TP_fast_assign(
		__entry->netns = es->net->ns.inum;
		__entry->spi = be32_to_cpu(sa->spi);
		__entry->packets = sa->seen;
		__entry->hot = es->n_hot;
		__entry->interval_us = es->interval_us;
	),
	TP_printk("netns=%u spi=0x%08x packets=%llu hot=%u interval_us=%u", __entry->netns, __entry->spi, __entry->packets,
		  __entry->hot, __entry->interval_us)
);

/* A DATA datagram goes out; without records it only says that this node lives. */
TRACE_EVENT(espsync_send,
	TP_PROTO(const struct es_peer *p, u64 seq, unsigned int len, unsigned int records),
	TP_ARGS(p, seq, len, records),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u8, peer)
		__field(u64, seq)
		__field(u32, len)
		__field(u32, records)
	),
	TP_fast_assign(
		__entry->netns = p->es->net->ns.inum;
		__entry->peer = p->node;
		__entry->seq = seq;
		__entry->len = len;
		__entry->records = records;
	),
	TP_printk("netns=%u peer=%u seq=%llu len=%u records=%u", __entry->netns, __entry->peer, __entry->seq, __entry->len,
		  __entry->records)
);

/* A datagram was taken from the queue. @drop: negative if it was believed, else enum espsync_drop; then @seq says nothing. */
TRACE_EVENT(espsync_receive,
	TP_PROTO(const struct es_net *es, u8 peer, u64 seq, unsigned int len, int drop),
	TP_ARGS(es, peer, seq, len, drop),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u8, peer)
		__field(u64, seq)
		__field(u32, len)
		__field(int, drop)
	),
	TP_fast_assign(
		__entry->netns = es->net->ns.inum;
		__entry->peer = peer;
		__entry->seq = seq;
		__entry->len = len;
		__entry->drop = drop;
	),
	TP_printk("netns=%u peer=%u seq=%llu len=%u %s", __entry->netns, __entry->peer, __entry->seq, __entry->len,
		  __print_symbolic(__entry->drop, { -1, "believed" },
				   { ESPSYNC_DROP_AUTH, "auth" },
				   { ESPSYNC_DROP_REPLAY, "replay" },
				   { ESPSYNC_DROP_TRUNCATED, "truncated" },
				   { ESPSYNC_DROP_VERSION, "version" },
				   { ESPSYNC_DROP_KEY_ID, "key-id" },
				   { ESPSYNC_DROP_UNKNOWN_PEER, "unknown-peer" },
				   { ESPSYNC_DROP_RATE, "rate" }))
);

/* Another node's numbers of an SA: a ceiling, or the edge of a window. */
TRACE_EVENT(espsync_merge,
	TP_PROTO(const struct es_net *es, const struct es_sa *sa, u8 dir, u64 number),
	TP_ARGS(es, sa, dir, number),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, spi)
		__field(u8, dir)
		__field(u64, number)
		__field(bool, held)
	),
	TP_fast_assign(
		__entry->netns = es->net->ns.inum;
		__entry->spi = be32_to_cpu(sa->spi);
		__entry->dir = dir;
		__entry->number = number;
		__entry->held = sa->x;
	),
	TP_printk("netns=%u spi=0x%08x %s=%llu%s", __entry->netns, __entry->spi,
		  __print_symbolic(__entry->dir, { ESPSYNC_DIR_UNKNOWN, "number" }, { ESPSYNC_DIR_IN, "edge" },
				   { ESPSYNC_DIR_OUT, "ceiling" }),
		  __entry->number, __entry->held ? "" : " waits for its SA")
);

/* This node is active from now on. */
TRACE_EVENT(espsync_promote,
	TP_PROTO(const struct es_group *g, u32 doubtful),
	TP_ARGS(g, doubtful),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, group)
		__field(u64, epoch)
		__field(u32, sas)
		__field(u32, doubtful)
	),
	TP_fast_assign(
		__entry->netns = g->es->net->ns.inum;
		__entry->group = g->id;
		__entry->epoch = g->epoch;
		__entry->sas = g->es->n_sas;
		__entry->doubtful = doubtful;
	),
	TP_printk("netns=%u group=%u epoch=%llu sas=%u doubtful=%u", __entry->netns, __entry->group, __entry->epoch, __entry->sas,
		  __entry->doubtful)
);

/* The guard dropped what this standby would have sent. @spi: of the SA, 0 for what was ready made (IKE). */
TRACE_EVENT(espsync_refuse,
	TP_PROTO(const struct es_net *es, u8 family, __be32 spi, unsigned int len),
	TP_ARGS(es, family, spi, len),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u8, family)
		__field(u32, spi)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->netns = es->net->ns.inum;
		__entry->family = family;
		__entry->spi = be32_to_cpu(spi);
		__entry->len = len;
	),
	TP_printk("netns=%u family=%u spi=0x%08x len=%u", __entry->netns, __entry->family, __entry->spi, __entry->len)
);

/* What is known of a peer has changed. @what: enum espsync_peer_state as told, or enum es_peer_turn. */
TRACE_EVENT(espsync_peer,
	TP_PROTO(const struct es_peer *p, u8 what),
	TP_ARGS(p, what),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u8, peer)
		__field(u8, what)
	),
	TP_fast_assign(
		__entry->netns = p->es->net->ns.inum;
		__entry->peer = p->node;
		__entry->what = what;
	),
	TP_printk("netns=%u peer=%u %s", __entry->netns, __entry->peer,
		  __print_symbolic(__entry->what, { ESPSYNC_PEER_DOWN, "down" },
				   { ESPSYNC_PEER_JOINING, "joining" },
				   { ESPSYNC_PEER_UP, "up" },
				   { ESPSYNC_PEER_OUT, "out" },
				   { ES_PEER_SESSION, "session" },
				   { ES_PEER_NEW_MEMORY, "new memory" },
				   { ES_PEER_SYNCED, "synced" },
				   { ES_PEER_ENFORCING, "enforcing" },
				   { ES_PEER_IN, "in" },
				   { ES_PEER_NOT_IN, "not in" },
				   { ES_PEER_EVICTED, "evicted" },
				   { ES_PEER_LEFT, "left" }))
);

/* An outbound SA's lease has turned. @what: enum es_lease_turn. @value: its ceiling, or the number where it stands. */
TRACE_EVENT(espsync_lease,
	TP_PROTO(const struct es_net *es, const struct es_sa *sa, u8 what, u64 value),
	TP_ARGS(es, sa, what, value),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, spi)
		__field(u8, what)
		__field(u64, value)
	),
	TP_fast_assign(
		__entry->netns = es->net->ns.inum;
		__entry->spi = be32_to_cpu(sa->spi);
		__entry->what = what;
		__entry->value = value;
	),
	TP_printk("netns=%u spi=0x%08x %s value=%llu", __entry->netns, __entry->spi,
		  __print_symbolic(__entry->what, { ES_TURN_ADOPTED, "adopted" },
				   { ES_TURN_CREATED, "created" },
				   { ES_TURN_STORED, "stored" },
				   { ES_TURN_BEGUN, "begun" },
				   { ES_TURN_ASKED, "asked" },
				   { ES_TURN_AGREED, "agreed" },
				   { ES_TURN_STOPPED, "stopped" },
				   { ES_TURN_GOES_ON, "goes on" },
				   { ES_TURN_DOUBT, "in doubt" },
				   { ES_TURN_DEMOTED, "demoted" },
				   { ES_TURN_LOST, "lost" },
				   { ES_TURN_ENTOMBED, "entombed" }), __entry->value)
);

/* A group's role, or a claim to it, has changed here. @what: enum espsync_role or enum es_role_turn. */
TRACE_EVENT(espsync_role,
	TP_PROTO(const struct es_group *g, u8 what),
	TP_ARGS(g, what),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, group)
		__field(u8, what)
		__field(u64, epoch)
	),
	TP_fast_assign(
		__entry->netns = g->es->net->ns.inum;
		__entry->group = g->id;
		__entry->what = what;
		__entry->epoch = g->epoch;
	),
	TP_printk("netns=%u group=%u %s epoch=%llu", __entry->netns, __entry->group,
		  __print_symbolic(__entry->what, { ESPSYNC_ROLE_UNDECIDED, "undecided" },
				   { ESPSYNC_ROLE_STANDBY, "standby" },
				   { ESPSYNC_ROLE_ACTIVE, "active" },
				   { ES_TURN_CLAIM, "claims" },
				   { ES_TURN_CLAIMED, "claimed" },
				   { ES_TURN_REFUSED, "refused" }), __entry->epoch)
);

#endif /* ESPSYNC_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
