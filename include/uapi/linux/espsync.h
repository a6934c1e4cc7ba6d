/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * espsync: the generic netlink family, the only thing that kernel and userspace share.
 *
 * Room: numbers and their meaning. No code, no inline helper, nothing of the wire between nodes.
 *
 * Every request that changes state or shows an SA needs CAP_NET_ADMIN in the namespace's owner; every refusal carries an
 * extended ack. Each request and reply carries one nest of the object it is about (ESPSYNC_A_CHANNEL for CHANNEL_*, and so on).
 * Addresses are raw, 4 or 16 bytes; ports, SPIs are big endian; all else is host order. An attribute that is absent is unknown.
 */
#ifndef _UAPI_LINUX_ESPSYNC_H
#define _UAPI_LINUX_ESPSYNC_H

#define ESPSYNC_GENL_NAME	"espsync"
#define ESPSYNC_GENL_VERSION	1
#define ESPSYNC_MCGRP_EVENT	"event"
#define ESPSYNC_MCGRP_COUNTER	"counter"

#define ESPSYNC_PORT		4520	/* UDP, the channel's default */
#define ESPSYNC_KEY_LEN		32	/* the cluster key */
#define ESPSYNC_MAX_NODE	255
#define ESPSYNC_MAX_PEERS	15	/* sixteen nodes */
#define ESPSYNC_MAX_ADDRS	64	/* of a group; as many prefixes of remote addresses */
#define ESPSYNC_MAX_GROUPS	16	/* of a namespace */
#define ESPSYNC_MAX_GROUP	65535
#define ESPSYNC_MAX_KEYS	4	/* loaded at a time */

/**
 * enum espsync_cmd - requests; a reply has its request's number
 * @ESPSYNC_CMD_CHANNEL_GET: do: the channel of this namespace; ENOENT if there is none
 * @ESPSYNC_CMD_CHANNEL_SET: make or change it. Given attributes change, others stay; making needs NODE and LOCAL
 * @ESPSYNC_CMD_CHANNEL_DEL: end it; SAs of standby groups stay in XFRM_STATE_ERROR unless ESPSYNC_A_CHANNEL_RELEASE
 * @ESPSYNC_CMD_PEER_GET: dump
 * @ESPSYNC_CMD_PEER_ADD: add, or change the addresses of, a peer
 * @ESPSYNC_CMD_PEER_DEL: forget a peer; it stalls nobody any more
 * @ESPSYNC_CMD_GROUP_GET: dump
 * @ESPSYNC_CMD_GROUP_SET: make or change a group; ADDRS replaces what belongs to it, together with REMOTES, MARK, IF_ID and REQID. A new group
 *	begins with the role and epoch of the group that its first address and prefix were in. EBUSY: SAs would come into a group that has another
 *	role here, or this node stood still and its peers have not answered since
 * @ESPSYNC_CMD_GROUP_DEL: forget a group (group 0: its addresses); EBUSY as above
 * @ESPSYNC_CMD_PROMOTE: this node is active in a group (GROUP_ID; without it group 0) from now on. Waits at most dead_ms for an old owner that is
 *	heard to be silent. The reply is the group, with DOUBTFUL. ETIMEDOUT: the old owner is heard and did not answer (ask again)
 * @ESPSYNC_CMD_DEMOTE: this node is standby. Waits until it is silent and its last numbers are acknowledged, at most TIMEOUT_MS. The
 *	reply is the group with FLUSHED
 * @ESPSYNC_CMD_READY: dump of ESPSYNC_A_REASON, of all groups or of that of ESPSYNC_A_GROUP; none means ready
 * @ESPSYNC_CMD_SA_GET: do: one SA by DST, SPI, PROTO; dump: all
 * @ESPSYNC_CMD_SA_PUT: merge counters into one SA, never backwards. ENOENT: no such SA; EKEYREJECTED: other fingerprint
 * @ESPSYNC_CMD_SA_EXPECT: the SA (DST, SPI, PROTO) that appears next is a mirror of another node's, even if this node is active then. With
 *	FINGERPRINT and DIR it begins with the numbers that are given as for SA_PUT. EEXIST: it is here already
 * @ESPSYNC_CMD_RESYNC: send everything again to one peer (ESPSYNC_A_PEER_NODE) or, without it, to all
 * @ESPSYNC_CMD_STATS_GET: do: counters of this namespace
 * @ESPSYNC_CMD_HELPER_REPORT: what espsyncd knows of IKE; also its heartbeat
 * @ESPSYNC_CMD_EVENT: only sent, to the group "event"; to "counter" go messages of ESPSYNC_CMD_SA_GET
 * @ESPSYNC_CMD_KEY_ADD: accept a cluster key (NUMBER, SECRET) besides those that are loaded. EEXIST: another number has it, or the number
 *	another key; ENOSPC: ESPSYNC_MAX_KEYS are loaded
 * @ESPSYNC_CMD_KEY_USE: seal with the key NUMBER from now on; waits at most 1 s until the peers that are heard do so too. A peer that does not
 *	have it goes on with the old one. ENOENT: no such key
 * @ESPSYNC_CMD_KEY_DEL: accept the key NUMBER no more; what is still sealed with it ends. EBUSY: it is the one that is used
 * @__ESPSYNC_CMD_MAX: bound
 */
enum espsync_cmd {
	ESPSYNC_CMD_CHANNEL_GET = 1,
	ESPSYNC_CMD_CHANNEL_SET,
	ESPSYNC_CMD_CHANNEL_DEL,
	ESPSYNC_CMD_PEER_GET,
	ESPSYNC_CMD_PEER_ADD,
	ESPSYNC_CMD_PEER_DEL,
	ESPSYNC_CMD_GROUP_GET,
	ESPSYNC_CMD_GROUP_SET,
	ESPSYNC_CMD_GROUP_DEL,
	ESPSYNC_CMD_PROMOTE,
	ESPSYNC_CMD_DEMOTE,
	ESPSYNC_CMD_READY,
	ESPSYNC_CMD_SA_GET,
	ESPSYNC_CMD_SA_PUT,
	ESPSYNC_CMD_SA_EXPECT,
	ESPSYNC_CMD_RESYNC,
	ESPSYNC_CMD_STATS_GET,
	ESPSYNC_CMD_HELPER_REPORT,
	ESPSYNC_CMD_EVENT,
	ESPSYNC_CMD_KEY_ADD,
	ESPSYNC_CMD_KEY_USE,
	ESPSYNC_CMD_KEY_DEL,
	__ESPSYNC_CMD_MAX
};

#define ESPSYNC_CMD_MAX (__ESPSYNC_CMD_MAX - 1)

/* Top level: one nest per message, but READY's request, which may carry both a group and LOCAL. */
enum espsync_attr {
	ESPSYNC_A_UNSPEC,
	ESPSYNC_A_CHANNEL,		/* nest, enum espsync_channel_attr */
	ESPSYNC_A_PEER,			/* nest, enum espsync_peer_attr */
	ESPSYNC_A_GROUP,		/* nest, enum espsync_group_attr */
	ESPSYNC_A_SA,			/* nest, enum espsync_sa_attr */
	ESPSYNC_A_REASON,		/* nest, enum espsync_reason_attr */
	ESPSYNC_A_STATS,		/* nest, enum espsync_stats_attr */
	ESPSYNC_A_HELPER,		/* nest, enum espsync_helper_attr */
	ESPSYNC_A_EVENT,		/* nest, enum espsync_event_attr */
	ESPSYNC_A_LOCAL,		/* flag: READY asks for this node, not for some standby */
	ESPSYNC_A_PAD,
	ESPSYNC_A_KEY,			/* nest, enum espsync_key_attr */
	__ESPSYNC_A_MAX
};

#define ESPSYNC_A_MAX (__ESPSYNC_A_MAX - 1)

enum espsync_channel_attr {
	ESPSYNC_A_CHANNEL_UNSPEC,
	ESPSYNC_A_CHANNEL_NODE,		/* u8, 1-255; cannot change while the channel exists */
	ESPSYNC_A_CHANNEL_LOCAL,	/* binary 4|16: the sync address */
	ESPSYNC_A_CHANNEL_PORT,		/* u16 big endian */
	ESPSYNC_A_CHANNEL_DEV,		/* string: bind to this device; "" unbinds */
	ESPSYNC_A_CHANNEL_KEY,		/* binary 32, write only: the only key from now on, number 0; sessions under others end */
	ESPSYNC_A_CHANNEL_KEY_ID,	/* binary 8, read only: of the key that is used; absent without one */
	ESPSYNC_A_CHANNEL_TICK_US,	/* u32, 100-10000 */
	ESPSYNC_A_CHANNEL_DEAD_MS,	/* u32, 50-60000: a peer not heard for so long is down */
	ESPSYNC_A_CHANNEL_DETECT_MS,	/* u32, 50-60000: how long failover detection takes at least */
	ESPSYNC_A_CHANNEL_EVICT_MS,	/* u32, more than twice DETECT_MS, up to 600000 */
	ESPSYNC_A_CHANNEL_RELEASE,	/* flag, CHANNEL_DEL: open what is guarded */
	ESPSYNC_A_CHANNEL_INTERVAL_US,	/* u32, read only: the sync interval in force */
	ESPSYNC_A_CHANNEL_VERSION,	/* string, read only: the module's version */
	ESPSYNC_A_CHANNEL_PAD,
	ESPSYNC_A_CHANNEL_KEYS,		/* nest, repeated, read only: enum espsync_key_attr, what is loaded */
	ESPSYNC_A_CHANNEL_LOCAL2,	/* binary 4|16: the sync address on a second link; only with LOCAL, which without it means one link */
	ESPSYNC_A_CHANNEL_RECORDS_PER_S,	/* u32, 1000-10000000: busy SAs looked at in a second, at most */
	ESPSYNC_A_CHANNEL_RATE_KBIT,	/* u32, 64-10000000: what records may take of the links; 0: no limit */
	__ESPSYNC_A_CHANNEL_MAX
};

#define ESPSYNC_A_CHANNEL_MAX (__ESPSYNC_A_CHANNEL_MAX - 1)

enum espsync_key_attr {
	ESPSYNC_A_KEY_UNSPEC,
	ESPSYNC_A_KEY_NUMBER,		/* u8: as the operator calls it */
	ESPSYNC_A_KEY_SECRET,		/* binary 32, write only: KEY_ADD */
	ESPSYNC_A_KEY_ID,		/* binary 8, read only: as it is called on the wire */
	ESPSYNC_A_KEY_USED,		/* u8, read only: 1 = this node begins sessions under it */
	__ESPSYNC_A_KEY_MAX
};

#define ESPSYNC_A_KEY_MAX (__ESPSYNC_A_KEY_MAX - 1)

enum espsync_peer_state {
	ESPSYNC_PEER_DOWN,		/* not heard */
	ESPSYNC_PEER_JOINING,		/* heard, full resync under way */
	ESPSYNC_PEER_UP,		/* in sync */
	ESPSYNC_PEER_OUT,		/* heard, but said or was told that it is out of sync */
};

/* One of the ways to a peer. */
enum espsync_link_state {
	ESPSYNC_LINK_DOWN,		/* nothing is heard on it */
	ESPSYNC_LINK_ONE_WAY,		/* the peer is heard, and says that it does not hear this node */
	ESPSYNC_LINK_UP,
};

enum espsync_peer_attr {
	ESPSYNC_A_PEER_UNSPEC,
	ESPSYNC_A_PEER_NODE,		/* u8 */
	ESPSYNC_A_PEER_ADDR,		/* binary 4|16, same family as LOCAL */
	ESPSYNC_A_PEER_PORT,		/* u16 big endian */
	ESPSYNC_A_PEER_STATE,		/* u8, enum espsync_peer_state */
	ESPSYNC_A_PEER_SAS_SYNCED,	/* u32: SAs of ours that the peer has, with an SA in its kernel */
	ESPSYNC_A_PEER_SAS_TOTAL,	/* u32 */
	ESPSYNC_A_PEER_RTT_US,		/* u32; absent until measured */
	ESPSYNC_A_PEER_TX_BYTES,	/* u64: UDP payload */
	ESPSYNC_A_PEER_RX_BYTES,	/* u64: of authenticated datagrams */
	ESPSYNC_A_PEER_DROPPED,		/* nest, repeated: enum espsync_drop_attr */
	ESPSYNC_A_PEER_LAG_PACKETS,	/* nest of ESPSYNC_A_HIST_BUCKET: how many packets it was behind with each window that it acknowledged */
	ESPSYNC_A_PEER_LAG_US,		/* the same, microseconds since that window was sent */
	ESPSYNC_A_PEER_VERSION,		/* u8: the wire version that it speaks */
	ESPSYNC_A_PEER_PAD,
	ESPSYNC_A_PEER_KEY_ID,		/* binary 8: of the key that both seal with; absent without a session */
	ESPSYNC_A_PEER_SKIPPED,		/* u64: its records that a newer version has and this one passed over */
	ESPSYNC_A_PEER_ADDR2,		/* binary 4|16, same family as LOCAL2: on a second link; PEER_ADD, which without it means one link */
	ESPSYNC_A_PEER_PORT2,		/* u16 big endian; PEER_ADD */
	ESPSYNC_A_PEER_LINK,		/* nest, repeated: enum espsync_link_attr; read only */
	__ESPSYNC_A_PEER_MAX
};

#define ESPSYNC_A_PEER_MAX (__ESPSYNC_A_PEER_MAX - 1)

enum espsync_link_attr {
	ESPSYNC_A_LINK_UNSPEC,
	ESPSYNC_A_LINK_ADDR,		/* binary 4|16: the peer's */
	ESPSYNC_A_LINK_PORT,		/* u16 big endian */
	ESPSYNC_A_LINK_STATE,		/* u8, enum espsync_link_state */
	ESPSYNC_A_LINK_HEARD_MS,	/* u32: so long ago the peer was heard on it; absent if never */
	ESPSYNC_A_LINK_RTT_US,		/* u32; absent until measured */
	ESPSYNC_A_LINK_DATA,		/* u8: 1 = it carries the data */
	__ESPSYNC_A_LINK_MAX
};

#define ESPSYNC_A_LINK_MAX (__ESPSYNC_A_LINK_MAX - 1)

enum espsync_hist_attr {
	ESPSYNC_A_HIST_UNSPEC,
	ESPSYNC_A_HIST_BUCKET,		/* u64, repeated: counts of 0, 1, 2-3, 4-7, ... */
	ESPSYNC_A_HIST_PAD,
	__ESPSYNC_A_HIST_MAX
};

/* What is not believed, and why; counted, never answered. */
enum espsync_drop {
	ESPSYNC_DROP_AUTH,		/* "auth": forged or damaged */
	ESPSYNC_DROP_REPLAY,		/* "replay" */
	ESPSYNC_DROP_TRUNCATED,		/* "truncated" */
	ESPSYNC_DROP_VERSION,		/* "version" */
	ESPSYNC_DROP_KEY_ID,		/* "key-id": another cluster key */
	ESPSYNC_DROP_UNKNOWN_PEER,	/* "unknown-peer" */
	ESPSYNC_DROP_UNKNOWN_SA,	/* "unknown-sa": a handle that was never named */
	ESPSYNC_DROP_NO_MEMORY,		/* "no-memory" */
	ESPSYNC_DROP_RATE,		/* "rate": more than the receive queue holds */
	__ESPSYNC_DROP_MAX
};

enum espsync_drop_attr {
	ESPSYNC_A_DROP_UNSPEC,
	ESPSYNC_A_DROP_REASON,		/* u8, enum espsync_drop */
	ESPSYNC_A_DROP_COUNT,		/* u64 */
	ESPSYNC_A_DROP_PAD,
	__ESPSYNC_A_DROP_MAX
};

enum espsync_role {
	ESPSYNC_ROLE_UNDECIDED,		/* since load: nothing owned, nothing guarded */
	ESPSYNC_ROLE_STANDBY,
	ESPSYNC_ROLE_ACTIVE,
};

enum espsync_doubt {
	ESPSYNC_DOUBT_JUMP,
	ESPSYNC_DOUBT_HOLD,
};

enum espsync_inbound {
	ESPSYNC_INBOUND_LENIENT,	/* a takeover goes on from what was streamed */
	ESPSYNC_INBOUND_STRICT,		/* ... and counts as seen what the old owner can have accepted since */
};

#define ESPSYNC_EVICT_NEVER	0xffffffffU

enum espsync_group_attr {
	ESPSYNC_A_GROUP_UNSPEC,
	ESPSYNC_A_GROUP_ID,		/* u32, 0-65535 */
	ESPSYNC_A_GROUP_ADDRS,		/* nest of ESPSYNC_A_ADDR, repeated; at most ESPSYNC_MAX_ADDRS */
	ESPSYNC_A_GROUP_ROLE,		/* u8, enum espsync_role; read only */
	ESPSYNC_A_GROUP_EPOCH,		/* u64; read only */
	ESPSYNC_A_GROUP_EPOCH_NODE,	/* u8; read only */
	ESPSYNC_A_GROUP_OWNER,		/* u8: the node that is active as far as known; absent if unknown, read only */
	ESPSYNC_A_GROUP_DOUBT,		/* u8, enum espsync_doubt */
	ESPSYNC_A_GROUP_OVERRUN,	/* u8: 1 = go-on: I1 is given up for availability */
	ESPSYNC_A_GROUP_EVICT_NEVER,	/* u8: 1 = never pass a ceiling without every peer */
	ESPSYNC_A_GROUP_SAS_TOTAL,	/* u32: SAs of the group known here; read only */
	ESPSYNC_A_GROUP_SAS_PROTECTED,	/* u32; read only */
	ESPSYNC_A_GROUP_TAKEOVER,	/* s64: wall-clock seconds of the last promote; read only, absent if never */
	ESPSYNC_A_GROUP_DOUBTFUL,	/* u32: PROMOTE's reply: SAs that were in doubt */
	ESPSYNC_A_GROUP_FLUSHED,	/* u8: DEMOTE's reply; 1 = every peer that is in has the last numbers */
	ESPSYNC_A_GROUP_TIMEOUT_MS,	/* u32: DEMOTE; default 1000, at most 60000 */
	ESPSYNC_A_GROUP_IN,		/* u8, standbys only: 1 = in sync with its owner; read only */
	ESPSYNC_A_GROUP_PAD,
	ESPSYNC_A_GROUP_REMOTES,	/* nest of ESPSYNC_A_PREFIX, repeated, at most ESPSYNC_MAX_ADDRS: these far ends; absent: any */
	ESPSYNC_A_GROUP_STORE,		/* u8: 1 = this node is never promoted in it (role store) */
	ESPSYNC_A_GROUP_MARK,		/* u32: only SAs with this mark; absent: any */
	ESPSYNC_A_GROUP_MARK_MASK,	/* u32: of its bits, those that count; absent: all */
	ESPSYNC_A_GROUP_IF_ID,		/* u32: only SAs of this xfrm interface, 0: of none; absent: any */
	ESPSYNC_A_GROUP_REQID_MIN,	/* u32: only SAs whose request id is at least this; absent: any */
	ESPSYNC_A_GROUP_REQID_MAX,	/* u32: and at most this; absent: MIN */
	ESPSYNC_A_GROUP_PPS,		/* u32: packets a second that this node carried for its SAs, both ways, last second or two; read only */
	ESPSYNC_A_GROUP_INBOUND,	/* u8, enum espsync_inbound */
	__ESPSYNC_A_GROUP_MAX
};

#define ESPSYNC_A_GROUP_MAX (__ESPSYNC_A_GROUP_MAX - 1)

enum espsync_addr_attr {
	ESPSYNC_A_ADDR_UNSPEC,
	ESPSYNC_A_ADDR,			/* binary 4|16 */
	__ESPSYNC_A_ADDR_MAX
};

enum espsync_remote_attr {
	ESPSYNC_A_REMOTE_UNSPEC,
	ESPSYNC_A_PREFIX,		/* nest, enum espsync_prefix_attr */
	__ESPSYNC_A_REMOTE_MAX
};

enum espsync_prefix_attr {
	ESPSYNC_A_PREFIX_UNSPEC,
	ESPSYNC_A_PREFIX_ADDR,		/* binary 4|16 */
	ESPSYNC_A_PREFIX_LEN,		/* u8: bits */
	__ESPSYNC_A_PREFIX_MAX
};

#define ESPSYNC_A_PREFIX_MAX (__ESPSYNC_A_PREFIX_MAX - 1)

enum espsync_sa_state {
	ESPSYNC_SA_COLD,		/* idle */
	ESPSYNC_SA_HOT,			/* busy, streamed */
	ESPSYNC_SA_WAITING,		/* announced by its owner, no SA in this kernel */
	ESPSYNC_SA_STALE,		/* promoted out of sync: in doubt */
	ESPSYNC_SA_UNPROTECTED,		/* offloaded as whole packets, window 0, thresholds of its own, ... */
	ESPSYNC_SA_KEY_MISMATCH,	/* same SPI, other fingerprint on a peer */
};

enum espsync_dir {
	ESPSYNC_DIR_UNKNOWN,
	ESPSYNC_DIR_IN,
	ESPSYNC_DIR_OUT,
};

enum espsync_sa_attr {
	ESPSYNC_A_SA_UNSPEC,
	ESPSYNC_A_SA_DST,		/* binary 4|16 */
	ESPSYNC_A_SA_SPI,		/* u32 big endian */
	ESPSYNC_A_SA_PROTO,		/* u8, IPPROTO_ESP or IPPROTO_AH */
	ESPSYNC_A_SA_FINGERPRINT,	/* binary 8 */
	ESPSYNC_A_SA_DIR,		/* u8, enum espsync_dir */
	ESPSYNC_A_SA_STATE,		/* u8, enum espsync_sa_state */
	ESPSYNC_A_SA_GROUP,		/* u32; absent if in no group */
	ESPSYNC_A_SA_OSEQ,		/* u64: last number used; on a standby: the number it would go on from */
	ESPSYNC_A_SA_CEILING,		/* u64: the owner does not pass it before the standbys agreed to a new one */
	ESPSYNC_A_SA_SEQ,		/* u64: highest number accepted */
	ESPSYNC_A_SA_WINDOW,		/* u32: size of the anti-replay window */
	ESPSYNC_A_SA_BITMAP,		/* binary: newest bits; bit i of byte i/8 (LSB first) is number SEQ - i */
	ESPSYNC_A_SA_BYTES,		/* u64: lifetime, so far */
	ESPSYNC_A_SA_PACKETS,		/* u64 */
	ESPSYNC_A_SA_OWNER,		/* u8: node; absent if unknown */
	ESPSYNC_A_SA_LAG_PACKETS,	/* u64: numbers accepted since it was last streamed; absent on a standby */
	ESPSYNC_A_SA_AGE_US,		/* u64: age of what the peer has (owner) or of the newest record (standby) */
	ESPSYNC_A_SA_PAD,
	ESPSYNC_A_SA_LEASE,		/* u32: numbers; a takeover in sync skips at most (nodes + 1) x (lease + 2^20) */
	__ESPSYNC_A_SA_MAX
};

#define ESPSYNC_A_SA_MAX (__ESPSYNC_A_SA_MAX - 1)

/* Why a node is not ready. In this order the tool shows them. */
enum espsync_reason {
	ESPSYNC_REASON_NO_PEER,		/* "no-peer" */
	ESPSYNC_REASON_PEER_JOINING,	/* "peer-joining" */
	ESPSYNC_REASON_PEER_OUT,	/* "peer-out" */
	ESPSYNC_REASON_SA_MISSING,	/* "sa-missing" */
	ESPSYNC_REASON_SA_STALE,	/* "sa-stale" */
	ESPSYNC_REASON_SA_UNPROTECTED,	/* "sa-unprotected" */
	ESPSYNC_REASON_KEY_MISMATCH,	/* "key-mismatch" */
	ESPSYNC_REASON_HELPER_SILENT,	/* "helper-silent" */
	ESPSYNC_REASON_IKE_MISSING,	/* "ike-missing" */
	ESPSYNC_REASON_DRIFT,		/* "drift" */
	ESPSYNC_REASON_NO_VIP,		/* "no-vip" */
	ESPSYNC_REASON_NO_KEY,		/* "no-key": the channel has none, or a peer not the one that is used */
	ESPSYNC_REASON_UNDECIDED,	/* "undecided" */
	ESPSYNC_REASON_OVERRUN_GO_ON,	/* "overrun-go-on" */
	ESPSYNC_REASON_MODULE_VERSION,	/* "module-version": a peer speaks another wire version */
	ESPSYNC_REASON_STORE_ONLY,	/* "store-only": the node is never promoted (role store) */
	__ESPSYNC_REASON_MAX
};

enum espsync_reason_attr {
	ESPSYNC_A_REASON_UNSPEC,
	ESPSYNC_A_REASON_CODE,		/* u8, enum espsync_reason */
	ESPSYNC_A_REASON_GROUP,		/* u32; absent: it concerns all */
	ESPSYNC_A_REASON_PEER,		/* u8 */
	ESPSYNC_A_REASON_SPI,		/* u32 big endian: an example */
	ESPSYNC_A_REASON_COUNT,		/* u32 */
	ESPSYNC_A_REASON_TEXT,		/* string: what is wrong and what to do, one sentence */
	__ESPSYNC_A_REASON_MAX
};

#define ESPSYNC_A_REASON_MAX (__ESPSYNC_A_REASON_MAX - 1)

enum espsync_stats_attr {
	ESPSYNC_A_STATS_UNSPEC,
	ESPSYNC_A_STATS_DROPPED,	/* nest, repeated: what no peer can be blamed for; enum espsync_drop_attr */
	ESPSYNC_A_STATS_SAS,		/* u32: SAs known */
	ESPSYNC_A_STATS_HOT,		/* u32 */
	ESPSYNC_A_STATS_WAITING,	/* u32 */
	ESPSYNC_A_STATS_TOMBSTONES,	/* u32 */
	ESPSYNC_A_STATS_RENEWALS,	/* u64: ceilings granted */
	ESPSYNC_A_STATS_STALLS,		/* u64: SAs stopped at a ceiling */
	ESPSYNC_A_STATS_MERGES,		/* u64: records that raised a number or set a bit */
	ESPSYNC_A_STATS_REFUSED,	/* u64: packets dropped by the guard */
	ESPSYNC_A_STATS_READD_WINDOW,	/* u64: re-added SAs that may have repeated one number */
	ESPSYNC_A_STATS_RX_QUEUE,	/* u32: datagrams waiting */
	ESPSYNC_A_STATS_PAD,
	ESPSYNC_A_STATS_HANDED,		/* u64: packets given to a new owner before they were encrypted */
	ESPSYNC_A_STATS_TAKEN,		/* u64: packets taken from an old owner, encrypted and sent */
	ESPSYNC_A_STATS_UNHELD,		/* u64: packets that waited for a new owner, or came from an old one, and were dropped */
	__ESPSYNC_A_STATS_MAX
};

#define ESPSYNC_A_STATS_MAX (__ESPSYNC_A_STATS_MAX - 1)

enum espsync_helper_attr {
	ESPSYNC_A_HELPER_UNSPEC,
	ESPSYNC_A_HELPER_KNOWN,		/* u32: IKE SAs of the cluster that the helper knows */
	ESPSYNC_A_HELPER_APPLIED,	/* u32: of these, in this node's charon */
	ESPSYNC_A_HELPER_MISSING,	/* u32 */
	ESPSYNC_A_HELPER_REASON,	/* u8, enum espsync_reason (IKE_MISSING or DRIFT); only with TEXT */
	ESPSYNC_A_HELPER_TEXT,		/* string, at most 128: why */
	ESPSYNC_A_HELPER_DRIFT,		/* string, repeated: at most 256 each; reasons DRIFT besides that of TEXT */
	ESPSYNC_A_HELPER_TUNNEL,	/* string, repeated: at most 128 each: a tunnel that a failover would lose. Of DRIFT and these 40 are kept */
	__ESPSYNC_A_HELPER_MAX
};

#define ESPSYNC_A_HELPER_MAX (__ESPSYNC_A_HELPER_MAX - 1)

enum espsync_event {
	ESPSYNC_EVENT_ROLE,		/* "role": what GROUP_GET says of this node in a group has changed: role, addresses, owner */
	ESPSYNC_EVENT_PEER,		/* "peer": its state, or with GROUP: that it is in, out, or the owner from now on */
	ESPSYNC_EVENT_SA,		/* "sa": adopted or gone */
	ESPSYNC_EVENT_OVERRUN,		/* "overrun" */
	ESPSYNC_EVENT_STALE,		/* "stale" */
	ESPSYNC_EVENT_REKEY_NEEDED,	/* "rekey-needed" */
	ESPSYNC_EVENT_KEY_MISMATCH,	/* "key-mismatch" */
	ESPSYNC_EVENT_CONFLICT,		/* "conflict": two active nodes */
	ESPSYNC_EVENT_RESYNC,		/* "resync" */
	ESPSYNC_EVENT_UNPROTECTED,	/* "unprotected" */
	ESPSYNC_EVENT_REFUSED,		/* "refused": the guard dropped a packet (at most one event a second) */
	ESPSYNC_EVENT_STALLED,		/* "stalled": SAs stood still at their ceilings (at most one event a second) */
	ESPSYNC_EVENT_READY,		/* "ready": what READY says of all groups has changed; "not ready" is said when it has lasted for 3 s */
	ESPSYNC_EVENT_LINK,		/* "link": one of two links to a peer */
	__ESPSYNC_EVENT_MAX
};

enum espsync_event_attr {
	ESPSYNC_A_EVENT_UNSPEC,
	ESPSYNC_A_EVENT_TYPE,		/* u8, enum espsync_event */
	ESPSYNC_A_EVENT_GROUP,		/* u32; absent: it concerns no group, or all */
	ESPSYNC_A_EVENT_PEER,		/* u8 */
	ESPSYNC_A_EVENT_ROLE,		/* u8, enum espsync_role */
	ESPSYNC_A_EVENT_EPOCH,		/* u64 */
	ESPSYNC_A_EVENT_DST,		/* binary 4|16 */
	ESPSYNC_A_EVENT_SPI,		/* u32 big endian */
	ESPSYNC_A_EVENT_PROTO,		/* u8 */
	ESPSYNC_A_EVENT_TEXT,		/* string */
	ESPSYNC_A_EVENT_PEER_STATE,	/* u8, enum espsync_peer_state */
	ESPSYNC_A_EVENT_PAD,
	ESPSYNC_A_EVENT_REASON,		/* u8, enum espsync_reason: the first reason of a node that is not ready; absent: it is */
	ESPSYNC_A_EVENT_LINK,		/* binary 4|16: the peer's address on the link */
	ESPSYNC_A_EVENT_LINK_STATE,	/* u8, enum espsync_link_state */
	__ESPSYNC_A_EVENT_MAX
};

#define ESPSYNC_A_EVENT_MAX (__ESPSYNC_A_EVENT_MAX - 1)

#endif /* _UAPI_LINUX_ESPSYNC_H */
