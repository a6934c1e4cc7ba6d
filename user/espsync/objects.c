// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * objects.c - the tables: which attributes each object has, by what name, and which of them are columns. Data only.
 */
#include <linux/espsync.h>

#include "attr.h"
#include "word.h"

#define OBJECT(id, top, ...)                                                                                          \
	static const struct attr attrs_##id[] = { __VA_ARGS__ };                                                       \
	const struct object object_##id = { .nest = (top), .attrs = attrs_##id, .n = sizeof(attrs_##id) / sizeof(*attrs_##id) }

/* clang-format off */
OBJECT(channel, ESPSYNC_A_CHANNEL,
	{ ESPSYNC_A_CHANNEL_NODE, ATTR_U8, "node", .column = "node" },
	{ ESPSYNC_A_CHANNEL_LOCAL, ATTR_ADDR, "local", .column = "local" },
	{ ESPSYNC_A_CHANNEL_PORT, ATTR_BE16, "port", .column = "port" },
	{ ESPSYNC_A_CHANNEL_DEV, ATTR_STRING, "dev", .column = "dev" },
	{ ESPSYNC_A_CHANNEL_KEY_ID, ATTR_HEX, "key_id", .column = "key id" },
	{ ESPSYNC_A_CHANNEL_TICK_US, ATTR_U32, "tick_us", .style = STYLE_US },
	{ ESPSYNC_A_CHANNEL_DEAD_MS, ATTR_U32, "dead_ms", .style = STYLE_MS },
	{ ESPSYNC_A_CHANNEL_DETECT_MS, ATTR_U32, "detect_ms", .style = STYLE_MS },
	{ ESPSYNC_A_CHANNEL_EVICT_MS, ATTR_U32, "evict_ms", .style = STYLE_MS },
	{ ESPSYNC_A_CHANNEL_INTERVAL_US, ATTR_U32, "interval_us", .column = "sync interval", .style = STYLE_US },
	{ ESPSYNC_A_CHANNEL_VERSION, ATTR_STRING, "version", .column = "module" });

OBJECT(peer, ESPSYNC_A_PEER,
	{ ESPSYNC_A_PEER_NODE, ATTR_U8, "node", .column = "node" },
	{ ESPSYNC_A_PEER_ADDR, ATTR_ADDR, "addr", .column = "addr" },
	{ ESPSYNC_A_PEER_PORT, ATTR_BE16, "port", .column = "port" },
	{ ESPSYNC_A_PEER_STATE, ATTR_WORD, "state", &words_peer_state, .column = "state" },
	{ ESPSYNC_A_PEER_SAS_SYNCED, ATTR_U32, "sas_synced", .column = "synced" },
	{ ESPSYNC_A_PEER_SAS_TOTAL, ATTR_U32, "sas_total", .column = "of" },
	{ ESPSYNC_A_PEER_RTT_US, ATTR_U32, "rtt_us", .column = "rtt", .style = STYLE_US },
	{ ESPSYNC_A_PEER_TX_BYTES, ATTR_U64, "tx_bytes", .column = "sent", .style = STYLE_BYTES },
	{ ESPSYNC_A_PEER_RX_BYTES, ATTR_U64, "rx_bytes", .column = "received", .style = STYLE_BYTES },
	{ ESPSYNC_A_PEER_DROPPED, ATTR_DROPS, "dropped", .column = "dropped" },
	{ ESPSYNC_A_PEER_LAG_PACKETS, ATTR_HIST, "lag_packets" },
	{ ESPSYNC_A_PEER_LAG_US, ATTR_HIST, "lag_us" },
	{ ESPSYNC_A_PEER_VERSION, ATTR_U8, "version" });

OBJECT(group, ESPSYNC_A_GROUP,
	{ ESPSYNC_A_GROUP_ID, ATTR_U32, "group", .column = "group" },
	{ ESPSYNC_A_GROUP_ADDRS, ATTR_ADDRS, "addrs", .column = "addr" },
	{ ESPSYNC_A_GROUP_ROLE, ATTR_WORD, "role", &words_role, .column = "role" },
	{ ESPSYNC_A_GROUP_EPOCH, ATTR_U64, "epoch", .column = "epoch" },
	{ ESPSYNC_A_GROUP_EPOCH_NODE, ATTR_U8, "epoch_node" },
	{ ESPSYNC_A_GROUP_OWNER, ATTR_U8, "owner", .column = "owner" },
	{ ESPSYNC_A_GROUP_IN, ATTR_BOOL, "in", .column = "in" },
	{ ESPSYNC_A_GROUP_DOUBT, ATTR_WORD, "doubt", &words_doubt, .column = "doubt" },
	{ ESPSYNC_A_GROUP_OVERRUN, ATTR_WORD, "overrun", &words_overrun, .column = "overrun" },
	{ ESPSYNC_A_GROUP_EVICT_NEVER, ATTR_WORD, "evict", &words_evict, .column = "evict" },
	{ ESPSYNC_A_GROUP_SAS_TOTAL, ATTR_U32, "sas_total", .column = "sas" },
	{ ESPSYNC_A_GROUP_SAS_PROTECTED, ATTR_U32, "sas_protected", .column = "protected" },
	{ ESPSYNC_A_GROUP_TAKEOVER, ATTR_S64, "takeover", .column = "last takeover", .style = STYLE_CLOCK });

OBJECT(promoted, ESPSYNC_A_GROUP,
	{ ESPSYNC_A_GROUP_ID, ATTR_U32, "group" },
	{ ESPSYNC_A_GROUP_ROLE, ATTR_WORD, "role", &words_role },
	{ ESPSYNC_A_GROUP_EPOCH, ATTR_U64, "epoch" },
	{ ESPSYNC_A_GROUP_DOUBTFUL, ATTR_U32, "doubtful" });

OBJECT(demoted, ESPSYNC_A_GROUP,
	{ ESPSYNC_A_GROUP_ID, ATTR_U32, "group" },
	{ ESPSYNC_A_GROUP_ROLE, ATTR_WORD, "role", &words_role },
	{ ESPSYNC_A_GROUP_EPOCH, ATTR_U64, "epoch" },
	{ ESPSYNC_A_GROUP_FLUSHED, ATTR_BOOL, "flushed" });

OBJECT(sas, ESPSYNC_A_SA,
	{ ESPSYNC_A_SA_DST, ATTR_ADDR, "dst", .column = "dst" },
	{ ESPSYNC_A_SA_SPI, ATTR_SPI, "spi", .column = "spi" },
	{ ESPSYNC_A_SA_PROTO, ATTR_PROTO, "proto" },
	{ ESPSYNC_A_SA_DIR, ATTR_WORD, "dir", &words_dir, .column = "dir" },
	{ ESPSYNC_A_SA_FINGERPRINT, ATTR_HEX, "fingerprint" },
	{ ESPSYNC_A_SA_OSEQ, ATTR_U64, "oseq", .column = "oseq" },
	{ ESPSYNC_A_SA_CEILING, ATTR_U64, "ceiling", .column = "ceiling" },
	{ ESPSYNC_A_SA_SEQ, ATTR_U64, "seq", .column = "seq" },
	{ ESPSYNC_A_SA_OWNER, ATTR_U8, "owner", .column = "owner" },
	{ ESPSYNC_A_SA_LAG_PACKETS, ATTR_U64, "lag_packets", .column = "lag" },
	{ ESPSYNC_A_SA_AGE_US, ATTR_U64, "age_us", .column = "age", .style = STYLE_US },
	{ ESPSYNC_A_SA_STATE, ATTR_WORD, "state", &words_sa_state, .column = "state" });

/* What replicates an SA: `sa get` writes it, `sa put` reads it (sajson.c). */
OBJECT(counters, ESPSYNC_A_SA,
	{ ESPSYNC_A_SA_DST, ATTR_ADDR, "dst" },
	{ ESPSYNC_A_SA_SPI, ATTR_SPI, "spi" },
	{ ESPSYNC_A_SA_PROTO, ATTR_PROTO, "proto" },
	{ ESPSYNC_A_SA_FINGERPRINT, ATTR_HEX, "fingerprint" },
	{ ESPSYNC_A_SA_OSEQ, ATTR_U64, "oseq" },
	{ ESPSYNC_A_SA_SEQ, ATTR_U64, "seq" },
	{ ESPSYNC_A_SA_WINDOW, ATTR_U32, "window" },
	{ ESPSYNC_A_SA_BITMAP, ATTR_HEX, "bitmap" },
	{ ESPSYNC_A_SA_BYTES, ATTR_U64, "bytes" },
	{ ESPSYNC_A_SA_PACKETS, ATTR_U64, "packets" });

OBJECT(stats, ESPSYNC_A_STATS,
	{ ESPSYNC_A_STATS_SAS, ATTR_U32, "sas" },
	{ ESPSYNC_A_STATS_HOT, ATTR_U32, "hot" },
	{ ESPSYNC_A_STATS_WAITING, ATTR_U32, "waiting" },
	{ ESPSYNC_A_STATS_TOMBSTONES, ATTR_U32, "tombstones" },
	{ ESPSYNC_A_STATS_RENEWALS, ATTR_U64, "renewals" },
	{ ESPSYNC_A_STATS_STALLS, ATTR_U64, "stalls" },
	{ ESPSYNC_A_STATS_MERGES, ATTR_U64, "merges" },
	{ ESPSYNC_A_STATS_REFUSED, ATTR_U64, "refused" },
	{ ESPSYNC_A_STATS_READD_WINDOW, ATTR_U64, "readd_window" },
	{ ESPSYNC_A_STATS_RX_QUEUE, ATTR_U32, "rx_queue" },
	{ ESPSYNC_A_STATS_DROPPED, ATTR_DROPS, "dropped" });

OBJECT(reason, ESPSYNC_A_REASON,
	{ ESPSYNC_A_REASON_CODE, ATTR_WORD, "reason", &words_reason },
	{ ESPSYNC_A_REASON_GROUP, ATTR_U32, "group" },
	{ ESPSYNC_A_REASON_PEER, ATTR_U8, "peer" },
	{ ESPSYNC_A_REASON_SPI, ATTR_SPI, "sa" },
	{ ESPSYNC_A_REASON_TEXT, ATTR_STRING, "text" });

OBJECT(event, ESPSYNC_A_EVENT,
	{ ESPSYNC_A_EVENT_TYPE, ATTR_WORD, "event", &words_event },
	{ ESPSYNC_A_EVENT_GROUP, ATTR_U32, "group" },
	{ ESPSYNC_A_EVENT_PEER, ATTR_U8, "peer" },
	{ ESPSYNC_A_EVENT_PEER_STATE, ATTR_WORD, "state", &words_peer_state },
	{ ESPSYNC_A_EVENT_ROLE, ATTR_WORD, "role", &words_role },
	{ ESPSYNC_A_EVENT_EPOCH, ATTR_U64, "epoch" },
	{ ESPSYNC_A_EVENT_DST, ATTR_ADDR, "dst" },
	{ ESPSYNC_A_EVENT_SPI, ATTR_SPI, "spi" },
	{ ESPSYNC_A_EVENT_PROTO, ATTR_PROTO, "proto" },
	{ ESPSYNC_A_EVENT_TEXT, ATTR_STRING, "text" });
/* clang-format on */
