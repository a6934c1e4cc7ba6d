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
	{ ESPSYNC_A_CHANNEL_NODE, ATTR_U8, .name = "node", .column = "node" },
	{ ESPSYNC_A_CHANNEL_LOCAL, ATTR_ADDR, .name = "local", .column = "local" },
	{ ESPSYNC_A_CHANNEL_LOCAL2, ATTR_ADDR, .name = "local2", .column = "local2" },
	{ ESPSYNC_A_CHANNEL_PORT, ATTR_BE16, .name = "port", .column = "port" },
	{ ESPSYNC_A_CHANNEL_DEV, ATTR_STRING, .name = "dev", .column = "dev" },
	{ ESPSYNC_A_CHANNEL_KEY_ID, ATTR_HEX, .name = "key_id" },
	{ ESPSYNC_A_CHANNEL_KEYS, ATTR_KEYS, .name = "keys", .column = "keys" },
	{ ESPSYNC_A_CHANNEL_TICK_US, ATTR_U32, .name = "tick_us", .style = STYLE_US },
	{ ESPSYNC_A_CHANNEL_RECORDS_PER_S, ATTR_U32, .name = "records_per_s" },
	{ ESPSYNC_A_CHANNEL_RATE_KBIT, ATTR_U32, .name = "rate_kbit" },
	{ ESPSYNC_A_CHANNEL_DEAD_MS, ATTR_U32, .name = "dead_ms", .style = STYLE_MS },
	{ ESPSYNC_A_CHANNEL_DETECT_MS, ATTR_U32, .name = "detect_ms", .style = STYLE_MS },
	{ ESPSYNC_A_CHANNEL_EVICT_MS, ATTR_U32, .name = "evict_ms", .style = STYLE_MS },
	{ ESPSYNC_A_CHANNEL_INTERVAL_US, ATTR_U32, .name = "interval_us", .column = "sync interval", .style = STYLE_US },
	{ ESPSYNC_A_CHANNEL_VERSION, ATTR_STRING, .name = "version", .column = "module" });

OBJECT(peer, ESPSYNC_A_PEER,
	{ ESPSYNC_A_PEER_NODE, ATTR_U8, .name = "node", .column = "node" },
	{ ESPSYNC_A_PEER_ADDR, ATTR_ADDR, .name = "addr", .column = "addr" },
	{ ESPSYNC_A_PEER_PORT, ATTR_BE16, .name = "port", .column = "port" },
	{ ESPSYNC_A_PEER_STATE, ATTR_WORD, .name = "state", .words = &words_peer_state, .column = "state" },
	{ ESPSYNC_A_PEER_SAS_SYNCED, ATTR_U32, .name = "sas_synced", .column = "synced" },
	{ ESPSYNC_A_PEER_SAS_TOTAL, ATTR_U32, .name = "sas_total", .column = "of" },
	{ ESPSYNC_A_PEER_RTT_US, ATTR_U32, .name = "rtt_us", .column = "rtt", .style = STYLE_US },
	{ ESPSYNC_A_PEER_TX_BYTES, ATTR_U64, .name = "tx_bytes", .column = "sent", .style = STYLE_BYTES },
	{ ESPSYNC_A_PEER_RX_BYTES, ATTR_U64, .name = "rx_bytes", .column = "received", .style = STYLE_BYTES },
	{ ESPSYNC_A_PEER_KEY_ID, ATTR_HEX, .name = "key_id", .column = "key id" },
	{ ESPSYNC_A_PEER_DROPPED, ATTR_DROPS, .name = "dropped", .column = "dropped" },
	{ ESPSYNC_A_PEER_LAG_PACKETS, ATTR_HIST, .name = "lag_packets" },
	{ ESPSYNC_A_PEER_LAG_US, ATTR_HIST, .name = "lag_us" },
	{ ESPSYNC_A_PEER_VERSION, ATTR_U8, .name = "version" },
	{ ESPSYNC_A_PEER_LINK, ATTR_LINKS, .name = "links", .column = "links" },
	{ ESPSYNC_A_PEER_SKIPPED, ATTR_U64, .name = "skipped" });

OBJECT(link, ESPSYNC_A_PEER_LINK,
	{ ESPSYNC_A_LINK_ADDR, ATTR_ADDR, .name = "addr", .column = "addr" },
	{ ESPSYNC_A_LINK_PORT, ATTR_BE16, .name = "port" },
	{ ESPSYNC_A_LINK_STATE, ATTR_WORD, .name = "state", .words = &words_link_state, .column = "state" },
	{ ESPSYNC_A_LINK_HEARD_MS, ATTR_U32, .name = "heard_ms", .style = STYLE_MS },
	{ ESPSYNC_A_LINK_RTT_US, ATTR_U32, .name = "rtt_us", .column = "rtt", .style = STYLE_US },
	{ ESPSYNC_A_LINK_DATA, ATTR_BOOL, .name = "data" });

OBJECT(group, ESPSYNC_A_GROUP,
	{ ESPSYNC_A_GROUP_ID, ATTR_U32, .name = "group", .column = "group" },
	{ ESPSYNC_A_GROUP_ADDRS, ATTR_ADDRS, .name = "addrs", .column = "addr" },
	{ ESPSYNC_A_GROUP_REMOTES, ATTR_PREFIXES, .name = "remotes", .column = "remote" },
	{ ESPSYNC_A_GROUP_MARK, ATTR_U32, .name = "mark", .column = "mark", .style = STYLE_RARE },
	{ ESPSYNC_A_GROUP_MARK_MASK, ATTR_U32, .name = "mark_mask", .column = "mask", .style = STYLE_RARE },
	{ ESPSYNC_A_GROUP_IF_ID, ATTR_U32, .name = "if_id", .column = "if_id", .style = STYLE_RARE },
	{ ESPSYNC_A_GROUP_REQID_MIN, ATTR_U32, .name = "reqid", .column = "reqid", .style = STYLE_RARE },
	{ ESPSYNC_A_GROUP_REQID_MAX, ATTR_U32, .name = "reqid_max", .column = "to", .style = STYLE_RARE },
	{ ESPSYNC_A_GROUP_ROLE, ATTR_WORD, .name = "role", .words = &words_role, .column = "role" },
	{ ESPSYNC_A_GROUP_EPOCH, ATTR_U64, .name = "epoch", .column = "epoch" },
	{ ESPSYNC_A_GROUP_EPOCH_NODE, ATTR_U8, .name = "epoch_node" },
	{ ESPSYNC_A_GROUP_OWNER, ATTR_U8, .name = "owner", .column = "owner" },
	{ ESPSYNC_A_GROUP_IN, ATTR_BOOL, .name = "in", .column = "in" },
	{ ESPSYNC_A_GROUP_DOUBT, ATTR_WORD, .name = "doubt", .words = &words_doubt, .column = "doubt" },
	{ ESPSYNC_A_GROUP_OVERRUN, ATTR_WORD, .name = "overrun", .words = &words_overrun, .column = "overrun" },
	{ ESPSYNC_A_GROUP_EVICT_NEVER, ATTR_WORD, .name = "evict", .words = &words_evict, .column = "evict" },
	{ ESPSYNC_A_GROUP_STORE, ATTR_BOOL, .name = "store", .column = "store" },
	{ ESPSYNC_A_GROUP_INBOUND, ATTR_WORD, .name = "inbound", .words = &words_inbound, .column = "inbound" },
	{ ESPSYNC_A_GROUP_SAS_TOTAL, ATTR_U32, .name = "sas_total", .column = "sas" },
	{ ESPSYNC_A_GROUP_SAS_PROTECTED, ATTR_U32, .name = "sas_protected", .column = "protected" },
	{ ESPSYNC_A_GROUP_PPS, ATTR_U32, .name = "packets_per_s", .column = "packets/s" },
	{ ESPSYNC_A_GROUP_TAKEOVER, ATTR_S64, .name = "takeover", .column = "last takeover", .style = STYLE_CLOCK });

OBJECT(promoted, ESPSYNC_A_GROUP,
	{ ESPSYNC_A_GROUP_ID, ATTR_U32, .name = "group" },
	{ ESPSYNC_A_GROUP_ROLE, ATTR_WORD, .name = "role", .words = &words_role },
	{ ESPSYNC_A_GROUP_EPOCH, ATTR_U64, .name = "epoch" },
	{ ESPSYNC_A_GROUP_DOUBTFUL, ATTR_U32, .name = "doubtful" });

OBJECT(demoted, ESPSYNC_A_GROUP,
	{ ESPSYNC_A_GROUP_ID, ATTR_U32, .name = "group" },
	{ ESPSYNC_A_GROUP_ROLE, ATTR_WORD, .name = "role", .words = &words_role },
	{ ESPSYNC_A_GROUP_EPOCH, ATTR_U64, .name = "epoch" },
	{ ESPSYNC_A_GROUP_FLUSHED, ATTR_BOOL, .name = "flushed" });

OBJECT(sas, ESPSYNC_A_SA,
	{ ESPSYNC_A_SA_DST, ATTR_ADDR, .name = "dst", .column = "dst" },
	{ ESPSYNC_A_SA_SPI, ATTR_SPI, .name = "spi", .column = "spi" },
	{ ESPSYNC_A_SA_PROTO, ATTR_PROTO, .name = "proto" },
	{ ESPSYNC_A_SA_DIR, ATTR_WORD, .name = "dir", .words = &words_dir, .column = "dir" },
	{ ESPSYNC_A_SA_FINGERPRINT, ATTR_HEX, .name = "fingerprint" },
	{ ESPSYNC_A_SA_GROUP, ATTR_U32, .name = "group" },
	{ ESPSYNC_A_SA_OSEQ, ATTR_U64, .name = "oseq", .column = "oseq" },
	{ ESPSYNC_A_SA_CEILING, ATTR_U64, .name = "ceiling", .column = "ceiling" },
	{ ESPSYNC_A_SA_LEASE, ATTR_U32, .name = "lease" },
	{ ESPSYNC_A_SA_SEQ, ATTR_U64, .name = "seq", .column = "seq" },
	{ ESPSYNC_A_SA_OWNER, ATTR_U8, .name = "owner", .column = "owner" },
	{ ESPSYNC_A_SA_LAG_PACKETS, ATTR_U64, .name = "lag_packets", .column = "lag" },
	{ ESPSYNC_A_SA_AGE_US, ATTR_U64, .name = "age_us", .column = "age", .style = STYLE_US },
	{ ESPSYNC_A_SA_STATE, ATTR_WORD, .name = "state", .words = &words_sa_state, .column = "state" });

/* What replicates an SA: `sa get` writes it, `sa put` reads it (sajson.c). */
OBJECT(counters, ESPSYNC_A_SA,
	{ ESPSYNC_A_SA_DST, ATTR_ADDR, .name = "dst" },
	{ ESPSYNC_A_SA_SPI, ATTR_SPI, .name = "spi" },
	{ ESPSYNC_A_SA_PROTO, ATTR_PROTO, .name = "proto" },
	{ ESPSYNC_A_SA_FINGERPRINT, ATTR_HEX, .name = "fingerprint" },
	{ ESPSYNC_A_SA_OSEQ, ATTR_U64, .name = "oseq" },
	{ ESPSYNC_A_SA_SEQ, ATTR_U64, .name = "seq" },
	{ ESPSYNC_A_SA_WINDOW, ATTR_U32, .name = "window" },
	{ ESPSYNC_A_SA_BITMAP, ATTR_HEX, .name = "bitmap" },
	{ ESPSYNC_A_SA_BYTES, ATTR_U64, .name = "bytes" },
	{ ESPSYNC_A_SA_PACKETS, ATTR_U64, .name = "packets" });

OBJECT(stats, ESPSYNC_A_STATS,
	{ ESPSYNC_A_STATS_SAS, ATTR_U32, .name = "sas" },
	{ ESPSYNC_A_STATS_HOT, ATTR_U32, .name = "hot" },
	{ ESPSYNC_A_STATS_WAITING, ATTR_U32, .name = "waiting" },
	{ ESPSYNC_A_STATS_TOMBSTONES, ATTR_U32, .name = "tombstones" },
	{ ESPSYNC_A_STATS_RENEWALS, ATTR_U64, .name = "renewals" },
	{ ESPSYNC_A_STATS_STALLS, ATTR_U64, .name = "stalls" },
	{ ESPSYNC_A_STATS_MERGES, ATTR_U64, .name = "merges" },
	{ ESPSYNC_A_STATS_REFUSED, ATTR_U64, .name = "refused" },
	{ ESPSYNC_A_STATS_HANDED, ATTR_U64, .name = "handed" },
	{ ESPSYNC_A_STATS_TAKEN, ATTR_U64, .name = "taken" },
	{ ESPSYNC_A_STATS_UNHELD, ATTR_U64, .name = "unheld" },
	{ ESPSYNC_A_STATS_READD_WINDOW, ATTR_U64, .name = "readd_window" },
	{ ESPSYNC_A_STATS_RX_QUEUE, ATTR_U32, .name = "rx_queue" },
	{ ESPSYNC_A_STATS_DROPPED, ATTR_DROPS, .name = "dropped" });

OBJECT(reason, ESPSYNC_A_REASON,
	{ ESPSYNC_A_REASON_CODE, ATTR_WORD, .name = "reason", .words = &words_reason },
	{ ESPSYNC_A_REASON_GROUP, ATTR_U32, .name = "group" },
	{ ESPSYNC_A_REASON_PEER, ATTR_U8, .name = "peer" },
	{ ESPSYNC_A_REASON_SPI, ATTR_SPI, .name = "sa" },
	{ ESPSYNC_A_REASON_COUNT, ATTR_U32, .name = "count" },
	{ ESPSYNC_A_REASON_TEXT, ATTR_STRING, .name = "text" });

OBJECT(event, ESPSYNC_A_EVENT,
	{ ESPSYNC_A_EVENT_TYPE, ATTR_WORD, .name = "event", .words = &words_event },
	{ ESPSYNC_A_EVENT_GROUP, ATTR_U32, .name = "group" },
	{ ESPSYNC_A_EVENT_PEER, ATTR_U8, .name = "peer" },
	{ ESPSYNC_A_EVENT_PEER_STATE, ATTR_WORD, .name = "state", .words = &words_peer_state },
	{ ESPSYNC_A_EVENT_ROLE, ATTR_WORD, .name = "role", .words = &words_role },
	{ ESPSYNC_A_EVENT_EPOCH, ATTR_U64, .name = "epoch" },
	{ ESPSYNC_A_EVENT_DST, ATTR_ADDR, .name = "dst" },
	{ ESPSYNC_A_EVENT_SPI, ATTR_SPI, .name = "spi" },
	{ ESPSYNC_A_EVENT_PROTO, ATTR_PROTO, .name = "proto" },
	{ ESPSYNC_A_EVENT_REASON, ATTR_WORD, .name = "reason", .words = &words_reason },
	{ ESPSYNC_A_EVENT_LINK, ATTR_ADDR, .name = "link" },
	{ ESPSYNC_A_EVENT_LINK_STATE, ATTR_WORD, .name = "link_state", .words = &words_link_state },
	{ ESPSYNC_A_EVENT_TEXT, ATTR_STRING, .name = "text" });
/* clang-format on */
