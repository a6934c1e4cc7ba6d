/* SPDX-License-Identifier: GPL-2.0 */
/*
 * espsync.h - the structures that the rooms of the module share, and who may touch what.
 */
#ifndef ESPSYNC_H
#define ESPSYNC_H

#include <linux/bitmap.h>
#include <linux/kthread.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>
#include <net/xfrm.h>
#include <linux/espsync.h>

#include "addr.h"
#include "compat.h"
#include "lease.h"
#include "pace.h"
#include "rate.h"
#include "session.h"
#include "sock.h"
#include "window.h"
#include "wire.h"

#define ES_VERSION	"0.1"

/**
 * DOC: Locking
 *
 * Per network namespace there is one struct es_net, for as long as the module is loaded.
 *
 * es->lock (mutex) guards the channel, the peers, the groups and everything of an SA that has no other guard. The channel's thread
 * holds it while it works, genetlink handlers while they read or change. It is never taken where sleeping is forbidden.
 *
 * x->lock (spinlock, xfrm's) guards a state's counters and thresholds and, in struct es_sa, limit and mid: the numbers that the packet
 * path compares with.
 *
 * es->sa_lock (spinlock, BH off) guards the table of SAs: the hash, sa->x, the flags, the list of SAs that want the thread.
 *
 * Order: es->lock, x->lock, xfrm_state_lock (xfrm's), es->sa_lock. es->sa_lock is a leaf. So nothing takes x->lock inside
 * a walk of xfrm's states, and nothing takes es->lock inside a notification.
 *
 * RCU: what belongs to a group (read by the guard and by notifications). Roles are read locklessly by the guard. Groups themselves live as long as
 * their namespace: sa->g points to one whatever becomes of it; it changes under es->lock, x->lock and es->sa_lock.
 *
 * Contexts: notifications of the key manager come in process context or softirq, for NEWAE of the packet path and EXPIRE with x->lock
 * held. They adopt an SA, note a death, stop or wake an SA; the rest is the thread's.
 */

#define ES_MAX_GROUPS	16		/* every datagram says of each what this node is */
#define ES_LINKS	2		/* addresses of a node */
#define ES_MAX_SAS	(1u << 18)	/* of one namespace: handles, and the bits of a peer's bitmaps */
#define ES_HASH_BITS	14
#define ES_FP_LEN	8		/* a fingerprint */
#define ES_INFLIGHT	64		/* datagrams of a peer that wait for an acknowledgement */
#define ES_MAX_RECS	96		/* records of one datagram */
#define ES_SETTLE_MS	5000		/* after promote: SAs that appear may be mirrors that come late */
#define ES_TOMB_MS	60000		/* how long a dead SA's numbers are kept at least */
#define ES_ORPHAN_MS	86400000	/* ... and those of one that nobody said is gone: longer than SAs live */
#define ES_EVICT_MAX_MS	600000u
#define ES_INTERVAL_MAX_US	60000000u	/* that a peer's word is taken for */
#define ES_RECORDS_MIN	1000u
#define ES_RECORDS_MAX	10000000u
#define ES_RATE_MIN_KBIT	64u
#define ES_RATE_MAX_KBIT	10000000u
#define ES_TICK_MAX_US	10000u
#define ES_NOTICE_MIN_MS	50	/* dead_ms and detect_ms: some of the longest sleeps between two ticks */
#define ES_EPOCH_NONE	U64_MAX		/* a counter that no promotion has */
#define ES_HOT_US	100000		/* an inbound SA stays hot so long after it moved */
#define ES_UNKNOWN	16	/* handles that a peer is asked to name again at a time */
#define ES_HIST		24		/* log2 buckets of the lag histograms */

/* What CHANNEL_SET and the module's parameters say where they say nothing. A keepalived with advert_int 0.1 replaces a node after 300 ms at the soonest. */
#define ES_TICK_US	1000
#define ES_RECORDS_PER_S	100000
#define ES_DEAD_MS	300
#define ES_DETECT_MS	300
#define ES_EVICT_MS	5000

struct es_net;

enum es_sa_flag {
	ES_SA_MIRROR,		/* its numbers come from another node */
	ES_SA_STOPPED,		/* we set XFRM_STATE_ERROR; inbound: the group is strict and this node standby */
	ES_SA_DEAD,		/* no state here, and no node has one: a tombstone */
	ES_SA_ORPHAN,		/* ... because all that had one were lost: it may come back, and is told to who joins */
	ES_SA_OURS,		/* had a state here */
	ES_SA_NAMED,		/* a peer had it in its kernel and said so */
	ES_SA_STALE,		/* in doubt */
	ES_SA_INEXACT,		/* thresholds of its own: cannot be stopped */
	ES_SA_OFFLOAD,		/* counts in the NIC */
	ES_SA_MISMATCH,		/* a peer names the SPI with another fingerprint */
	ES_SA_REKEY_TOLD,	/* rekey-needed was said */
	ES_SA_GRANTED,		/* holds a ceiling that its owner told us */
	ES_SA_HELD,		/* in doubt, and doubt is hold: stays stopped */
	ES_SA_FOUND,		/* was in use here before this module came: its own number is the truth */
	ES_SA_TWICE,		/* its owner was put back to a snapshot: to be rekeyed by whoever is active */
	ES_SA_GAP,		/* to be moved up once, for a gap that is in doubt */
	ES_SA_FORETOLD,		/* comes with numbers that were said beforehand: no doubt of a takeover is about it */
	ES_SA_FRESH,		/* adopted since the thread last looked: an event is due */
};

/**
 * enum es_peer_turn - where the state machine of a peer turns, as the tracepoint espsync_peer tells it; 0-3: enum espsync_peer_state
 * @ES_PEER_SESSION: first datagram of a session that it confirmed
 * @ES_PEER_NEW_MEMORY: what it knew is gone: it is told everything
 * @ES_PEER_SYNCED: it has acknowledged everything
 * @ES_PEER_ENFORCING: limits hold as if it were in
 * @ES_PEER_IN: it is in
 * @ES_PEER_NOT_IN: it is out: it does not acknowledge
 * @ES_PEER_EVICTED: and it binds nobody any more
 * @ES_PEER_LEFT: it leaves in order
 */
enum es_peer_turn {
	ES_PEER_SESSION = 4,
	ES_PEER_NEW_MEMORY,
	ES_PEER_SYNCED,
	ES_PEER_ENFORCING,
	ES_PEER_IN,
	ES_PEER_NOT_IN,
	ES_PEER_EVICTED,
	ES_PEER_LEFT,
};

/**
 * enum es_lease_turn - the same of an outbound SA's lease, espsync_lease
 * @ES_TURN_ADOPTED: its state has come
 * @ES_TURN_CREATED: it began here: a slot is free to use
 * @ES_TURN_STORED: another node's ceiling stands in its counter
 * @ES_TURN_BEGUN: first look after a promote
 * @ES_TURN_ASKED: a new ceiling is asked for
 * @ES_TURN_AGREED: a peer has stored it
 * @ES_TURN_STOPPED: it stands at its ceiling
 * @ES_TURN_GOES_ON: and may send again
 * @ES_TURN_DOUBT: somebody else may have used numbers
 * @ES_TURN_DEMOTED: it waits in the last slot
 * @ES_TURN_LOST: its state is gone
 * @ES_TURN_ENTOMBED: nobody has it
 */
enum es_lease_turn {
	ES_TURN_ADOPTED,
	ES_TURN_CREATED,
	ES_TURN_STORED,
	ES_TURN_BEGUN,
	ES_TURN_ASKED,
	ES_TURN_AGREED,
	ES_TURN_STOPPED,
	ES_TURN_GOES_ON,
	ES_TURN_DOUBT,
	ES_TURN_DEMOTED,
	ES_TURN_LOST,
	ES_TURN_ENTOMBED,
};

/**
 * enum es_role_turn - the same of a group's role, espsync_role; 0-2: enum espsync_role
 * @ES_TURN_CLAIM: an owner that is heard is told to be silent
 * @ES_TURN_CLAIMED: it is silent, or was never heard
 * @ES_TURN_REFUSED: it does not become silent, or somebody else decided meanwhile
 */
enum es_role_turn {
	ES_TURN_CLAIM = 3,
	ES_TURN_CLAIMED,
	ES_TURN_REFUSED,
};

/**
 * struct es_kept - numbers without a state: of one that is gone, or that has not come yet
 * @oseq: last number sent
 * @bytes: lifetime
 * @packets: lifetime
 * @win: anti-replay window
 */
struct es_kept {
	u64 oseq;
	u64 bytes;
	u64 packets;
	struct es_window win;
};

/**
 * struct es_sa - an SA, or what is known of one that is not in this kernel
 * @node: es->hash by (proto, spi); sa_lock
 * @work: es->work; sa_lock
 * @hot: es->hot; es->lock
 * @x: the state, with a reference; written under sa_lock and es->lock or in notifications under sa_lock
 * @rcu: freeing
 * @g: its group: of the addresses of @x, else as a peer names it
 * @flags: enum es_sa_flag, atomic bits
 * @handle: index in es->sas
 * @serial: which of the SAs that ever had @handle
 * @gen: the promotion (es_group.gen) for which @l.start and @l.above are right
 * @spi: big endian
 * @proto: IPPROTO_ESP or IPPROTO_AH
 * @family: of @daddr
 * @dir: enum espsync_dir
 * @owner: the node that granted @l.target, or told it first; 0: this one
 * @rank: of this node when the ceiling was stored
 * @ann: peers that have the SA in their kernel, a bit for each es_peer.index
 * @ann_seen: those of them that said so in their present session
 * @astray: those of them that count it to another group: what they say of "in" does not cover it
 * @passed: outbound, of one that was the owner: peers that had not agreed to all that it sent, and have not heard of it
 * @passed_oseq: how far it came then
 * @daddr: destination, informational: not part of the identity
 * @fp: fingerprint
 * @l: outbound lease. A standby stores the owner's ceiling in @l.target. @l.limit under x->lock when @x
 * @mid: outbound: NEWAE there means renew; under x->lock
 * @implicit: outbound: what counts as acknowledged by a peer that said nothing yet
 * @kept: numbers of a state that is gone, or that has not come yet; sa_lock
 * @renewed_us: outbound: when the ceiling was last raised, here or by the owner
 * @renewed_at: outbound: the number then; on a standby: numbers a second that the owner asked for
 * @seen: inbound: curlft.packets when last streamed or merged
 * @sent_seq: inbound: edge when last streamed
 * @told: outbound: number last multicast to the group "counter"
 * @pace: inbound: how fast another node's stream moves it
 * @moved_us: when it last moved or was merged
 * @died_ms: tombstone since, low half: one has no state, and so no @mid
 * @counted: its packets, low half, as of the last look at every SA; those that other nodes carried are in it
 * @used: outbound: the same, when peers were last told of a limited lifetime
 */
struct es_sa {
	struct hlist_node node;
	struct list_head work;
	struct list_head hot;
	struct xfrm_state *x;
	struct rcu_head rcu;
	struct es_group *g;
	unsigned long flags;
	u32 handle;
	u32 serial;
	u32 gen;
	__be32 spi;
	u8 proto;
	u8 family;
	u8 dir;
	u8 owner;
	u8 rank;
	u16 ann;
	u16 ann_seen;
	u16 astray;
	u16 passed;
	u32 counted;
	xfrm_address_t daddr;
	u32 used;
	u64 fp;
	struct es_lease l;
	union {
		u64 mid;
		u32 died_ms;
	};
	u64 implicit;
	struct es_kept *kept;
	union {
		struct {
			u64 renewed_us;
			u64 renewed_at;
			u64 told;
			u64 passed_oseq;
		};
		struct {
			u64 seen;
			u64 sent_seq;
			struct es_pace pace;
		};
	};
	u64 moved_us;
};

/**
 * struct es_old - a state that was replaced, until the thread lets go of it
 * @list: es->old
 * @x: with a reference
 * @win: its window, on its way to the successor
 *
 * Who holds es->lock may use sa->x as long as it does: references are dropped only under it.
 */
struct es_old {
	struct llist_node list;
	struct xfrm_state *x;
	struct es_window win;
};

/**
 * struct es_prefix - addresses that begin alike
 * @a: one of them
 * @len: how many bits count
 */
struct es_prefix {
	struct es_addr a;
	u8 len;
};

/* What a group may ask of an SA besides its addresses. */
#define ES_ASKS_MARK	BIT(0)
#define ES_ASKS_IF_ID	BIT(1)
#define ES_ASKS_REQID	BIT(2)
#define ES_ASKS_MAX	3

/**
 * struct es_select - which of the SAs between its addresses are a group's: those that are as it asks
 * @asks: ES_ASKS_* bits; what is not asked for may be anything
 * @mark: the SA's mark
 * @mask: of its bits, those that count
 * @if_id: the SA's xfrm interface
 * @reqid_min: the SA's request id is at least this one
 * @reqid_max: and at most this one
 */
struct es_select {
	u8 asks;
	u32 mark;
	u32 mask;
	u32 if_id;
	u32 reqid_min;
	u32 reqid_max;
};

/**
 * struct es_scope - what belongs to a group, replaced as a whole
 * @select: of the SAs between these addresses
 * @n_local: local addresses: the first of @p
 * @n_remote: prefixes of remote addresses, behind them; none: any
 * @p: both
 */
struct es_scope {
	struct es_select select;
	unsigned int n_local;
	unsigned int n_remote;
	struct es_prefix p[];
};

/**
 * struct es_group - a set of local addresses with a role; es->lock, but @scope, @role and what notifications look at is read locklessly
 * @es: namespace
 * @id: 0-65535
 * @slot: its place in es->groups, and in es_peer.in
 * @used: it exists; group 0 always does
 * @scope: RCU; NULL: it has no address
 * @claiming: promote waits for the old owner's silence
 * @behind: the walk met an SA beyond its limit
 * @doubt: enum espsync_doubt
 * @go_on: option overrun go-on
 * @evict_never: option
 * @strict: option inbound strict: a standby takes no packets, and after a takeover none that the old owner may have taken
 * @store: option role store: this node is never promoted
 * @epoch: highest counter seen
 * @epoch_node: and its node
 * @role: enum espsync_role
 * @silent: the guard is up and everything under way has left
 * @before: as active: node of the epoch before, which may be this one; 0 none
 * @own_epoch: counter of the newest promotion here that nobody has forgotten anything since; 0 before the first, ES_EPOCH_NONE if somebody has
 * @in_doubt: that promotion was out of sync: what appears late is in doubt too
 * @owner: node that says that it is active in that epoch; 0 unknown
 * @gen: es->promotions at the last one here; 0 before the first
 * @promoted_own_us: own time of the last promote
 * @demoted_own_us: own time when it was active last; 0 never
 * @held: packets that wait for its next owner; a lock of its own
 * @held_pieces: how many those are, cut
 * @holding: they may; read locklessly by the guard
 * @hold_until_us: until then
 * @settled: evict_ms have passed since @promoted_own_us, and limits were computed anew
 * @takeover: wall clock of it; 0 never
 * @told: the owner has told all and said in
 * @in_until_us: clock until which that holds
 * @rested: the owner became silent while it held
 * @lent_ms: evict_ms of the owner, as it last said
 * @heard_us: clock when the owner was last heard
 * @interval_us: its sync interval, as it said then
 * @gap_own_us: own time when this active node's last gap was noticed
 * @gap_us: clock of the last tick before it, or before the first of those that no peer has answered yet
 * @left_own_us: own time when a peer was deleted that this active node's SAs were bound by, or 0: it may not have heard that it was
 * @gap_doubt: not every peer gave its word after it in time, or somebody was promoted: the walk puts what is marked in doubt
 * @rank: this node's among the standbys
 * @unguarded: the guard could not be registered: SAs stay stopped
 * @packets: carried for its SAs since the last look at every SA
 * @pps: the same a second, as that look found
 *
 * A group that is carved out of another one begins with what it inherits of it. A channel that ends leaves nothing of what is in run.
 */
struct es_group {
	struct es_net *es;
	u32 id;
	u8 slot;
	bool used;
	struct es_scope __rcu *scope;
	bool claiming;
	bool store;
	struct sk_buff_head held;
	atomic_t held_pieces;
	bool holding;
	u64 hold_until_us;
	u64 packets;
	u32 pps;
	bool behind;
	struct_group(inherited,
		u8 doubt;
		bool go_on;
		bool evict_never;
		bool strict;
		u64 epoch;
		u8 epoch_node;
		struct_group(run,
			u8 role;
			bool silent;
			u8 before;
			u64 own_epoch;
			bool in_doubt;
			u8 owner;
			u32 gen;
			u64 promoted_own_us;
			u64 demoted_own_us;
			bool settled;
			time64_t takeover;
			bool told;
			u64 in_until_us;
			bool rested;
			u32 lent_ms;
			u64 heard_us;
			u32 interval_us;
			u64 gap_own_us;
			u64 gap_us;
			u64 left_own_us;
			bool gap_doubt;
			u8 rank;
			bool unguarded;
		);
	);
};

/**
 * struct es_sent - a datagram that waits for its acknowledgement
 * @seq: its number; 0: free
 * @sent_us: clock
 * @promotions: es->promotions when it was built; grants of a group that was promoted since count for nothing
 * @n: records
 * @rec: what it said
 */
struct es_sent {
	u64 seq;
	u64 sent_us;
	u32 promotions;
	u16 n;
	struct {
		u32 handle;
		u8 type;
		u64 value;
	} rec[ES_MAX_RECS];
};

/**
 * struct es_peer_in - what is known of a peer in one group; es->lock
 * @w: what it last said; zero if it did not mention the group
 * @speaks: it did: it has the group
 * @enforcing: limits hold as if it were in; last step of joining
 * @is_in: as owner: told so
 * @last_in_own_us: own time of the last "in" sent; 0 never
 * @after_gap: has not acknowledged since this node's last gap
 * @gap_boot: its boot id before the gap
 * @n_waiting: SAs that it announced and that have no state here
 * @n_mismatched: SAs of its that are here with another key
 * @n_astray: SAs of its that are in another group here
 */
struct es_peer_in {
	struct es_wire_group w;
	bool speaks;
	bool enforcing;
	bool is_in;
	u64 last_in_own_us;
	bool after_gap;
	u64 gap_boot;
	u32 n_waiting;
	u32 n_mismatched;
	u32 n_astray;
};

/**
 * struct es_link - a way to a peer: from one of this node's addresses to the one that is its counterpart; es->lock
 * @addr: the peer's; of no family: there is no such link
 * @heard_us: clock of the newest authenticated datagram that came over it
 * @said_us: clock when the peer last said that it hears this node on it
 * @sent_us: clock of the last datagram that went over it
 * @rt_us: newest own timestamp that was echoed over it
 * @rtt_us: smoothed; 0 unknown
 * @echo_ts: newest timestamp of the peer that came over it
 * @echo_at_us: clock when that came
 * @told: enum espsync_link_state as last told
 * @since_us: clock since which it is not as told
 */
struct es_link {
	struct es_addr addr;
	u64 heard_us;
	u64 said_us;
	u64 sent_us;
	u64 rt_us;
	u32 rtt_us;
	u64 echo_ts;
	u64 echo_at_us;
	u8 told;
	u64 since_us;
};

/**
 * struct es_peer - another node; es->lock
 * @list: es->peers
 * @es: namespace
 * @node: its number
 * @index: 0-14, its bit in es_sa.ann
 * @link: where it is: one way, or two
 * @session: keys and handshake
 * @state: enum espsync_peer_state as last told
 * @version: wire version that it speaks; 0 unknown
 * @boot: its boot id, for the rule of gaps
 * @heard_us: clock of the newest authenticated datagram
 * @rt_us: newest own timestamp that it echoed
 * @rt_own_us: own time when that came
 * @ack_high: highest datagram of its that was applied
 * @ack_bits: bit i: @ack_high - i applied
 * @name_seq: newest datagram of its that named an SA
 * @ack_due: it waits for an acknowledgement
 * @interval_us: its sync interval
 * @epochs: those that it knows, as it said last
 * @believed: it may have believed to be in, in some group, when this node stood still
 * @told_all: all that was said to it is acknowledged, and there was no more
 * @hello_us: clock of the last HELLO to it
 * @synced: it has heard of every SA in this session
 * @synced_sent: that it has is said, and not yet acknowledged
 * @in: what it is in each group, by es_group.slot
 * @deleted_in_own_us: own time of the last "in" sent of groups that were deleted; 0 never
 * @peer_synced: it said SYNCED in this session
 * @cursor: next handle to look at when sending
 * @dirty: handles with something to say, bits
 * @named: handles whose name it has acknowledged
 * @todo: handles of which it has acknowledged nothing since it joined, or since they appeared
 * @unknown: its handles that mean nothing here: it is to name them again
 * @n_unknown: how many
 * @ask_names: it is to name all of its SAs again: groups have changed here
 * @acked: handle to acknowledged ceiling, as xa_mk_value
 * @map: its handles to ours, as es_sa_ref()
 * @inflight: ES_INFLIGHT datagrams, slot seq % ES_INFLIGHT
 * @n_inflight: how many are taken
 * @n_recs: records in them
 * @acked_seq: the highest one that was acknowledged
 * @took_us: how long acknowledgements took lately
 * @backoff: times in a row that some were lost for want of one
 * @unacked_us: clock since which some wait and none was acknowledged; 0: none waits
 * @rate: what it may be sent of records
 * @paced: there is more to say than it may be sent now
 * @tx_bytes: UDP payload
 * @rx_bytes: UDP payload
 * @drops: enum espsync_drop
 * @skipped: its records of a type that this version does not know
 * @lag_packets: histogram
 * @lag_us: histogram
 */
struct es_peer {
	struct list_head list;
	struct es_net *es;
	u8 node;
	u8 index;
	struct es_link link[ES_LINKS];
	struct es_session session;
	u8 state;
	u8 version;
	u64 boot;
	u64 heard_us;
	u64 rt_us;
	u64 rt_own_us;
	u64 ack_high;
	u64 ack_bits;
	u64 name_seq;
	bool ack_due;
	u32 interval_us;
	struct es_epochs epochs;
	bool believed;
	bool told_all;
	u64 hello_us;
	bool synced;
	bool synced_sent;
	struct es_peer_in in[ES_MAX_GROUPS];
	u64 deleted_in_own_us;
	bool peer_synced;
	u32 cursor;
	unsigned long *dirty;
	unsigned long *named;
	unsigned long *todo;
	u32 unknown[ES_UNKNOWN];
	unsigned int n_unknown;
	bool ask_names;
	struct xarray acked;
	struct xarray map;
	struct es_sent *inflight;
	unsigned int n_inflight;
	u32 n_recs;
	u64 acked_seq;
	s64 took_us;
	unsigned int backoff;
	u64 unacked_us;
	struct es_rate rate;
	bool paced;
	u64 tx_bytes;
	u64 rx_bytes;
	u64 drops[__ESPSYNC_DROP_MAX];
	u64 skipped;
	u64 lag_packets[ES_HIST];
	u64 lag_us[ES_HIST];
};

/**
 * struct es_config - what CHANNEL_SET and the module's parameters say
 * @node: 1-255
 * @local: sync addresses, with the port that they share; the second may be of no family: there is none
 * @dev: device to bind to, or ""
 * @tick_us: shortest interval
 * @records_per_s: how many hot SAs are looked at in a second, at most
 * @rate_kbit: what records may take of the links, together; 0: no limit
 * @dead_ms: silence after which a peer is down
 * @detect_ms: how long failover detection takes at least: a pause that is longer may have been taken for a death
 * @evict_ms: how long "in" lasts
 */
struct es_config {
	u8 node;
	struct es_addr local[ES_LINKS];
	char dev[IFNAMSIZ];
	u32 tick_us;
	u32 records_per_s;
	u32 rate_kbit;
	u32 dead_ms;
	u32 detect_ms;
	u32 evict_ms;
};

#define ES_MAX_SAID	40u
#define ES_SAID_LEN	256

/**
 * struct es_said - a sentence of espsyncd that is a reason of its own
 * @reason: enum espsync_reason
 * @text: it
 */
struct es_said {
	u8 reason;
	char text[ES_SAID_LEN];
};

/**
 * struct es_helper - espsyncd's newest report; es->lock
 * @at_us: clock; 0: never since the channel was made
 * @known: IKE SAs that it knows of
 * @applied: of these, those that the standby's charon has
 * @missing: of these, those that it lacks
 * @reason: enum espsync_reason that it gives, 0 none
 * @text: its sentence
 * @said: further sentences
 * @n_said: how many
 */
struct es_helper {
	u64 at_us;
	u32 known;
	u32 applied;
	u32 missing;
	u8 reason;
	char text[128];
	struct es_said *said;
	unsigned int n_said;
};

/**
 * struct es_expect - an SA named beforehand by espsyncd
 * @list: es->expect
 * @spi: its SPI
 * @proto: its protocol
 * @until_us: clock at which it is forgotten
 */
struct es_expect {
	struct list_head list;
	__be32 spi;
	u8 proto;
	u64 until_us;
};

/**
 * struct es_rise - a counter whose rise is told, at most once a second
 * @told: as the last event said
 * @at_us: clock of that event
 */
struct es_rise {
	u64 told;
	u64 at_us;
};

/**
 * struct es_net - a network namespace
 * @net: itself
 * @lock: see DOC: Locking
 * @cfg: es->lock
 * @up: a channel exists: es->lock; read locklessly by notifications
 * @keyed: there is a key to begin sessions with, and SAs are followed; the same
 * @keys: cluster keys; es->lock
 * @sock: one for each sync address, the rest NULL; es->lock
 * @thread: the channel's
 * @wait: what it sleeps on
 * @kick: it has work
 * @groups: by slot; the first is group 0
 * @promotions: of all groups here; never 0 after the first
 * @selects: some group asks for more than addresses; written under es->lock, read by the guard
 * @guard_up: the hook is registered
 * @peers: list, es->lock
 * @n_peers: how many
 * @sa_lock: see DOC: Locking
 * @hash: SAs by (proto, spi)
 * @sas: handle to SA, es->lock to walk, xarray's own lock (BH) to change
 * @next_handle: cyclic
 * @serial: counts SAs
 * @used: handles in use, bits; atomic
 * @work: SAs that want the thread; sa_lock
 * @hot: inbound SAs that are sampled; es->lock
 * @n_hot: how many
 * @expect: SAs named beforehand; sa_lock
 * @old: struct es_old, lock-free
 * @rescan: walk xfrm's states for what nobody told us
 * @rescan_us: clock of the last such walk
 * @scan_us: clock of the last look at every SA of ours
 * @meter_us: clock of the last one that counted packets
 * @ready: a failover would lose nothing, as last told
 * @ready_us: clock when that was last so
 * @clock_us: newest reading; es->lock
 * @own_us: own time: only what ran
 * @tick_at_us: clock of the last tick
 * @echo_floor_us: own timestamps before this one are not believed when echoed
 * @n_waiting: SAs that have no state here, as that look counted them
 * @sample_us: clock of the last sampling of @hot
 * @counter_us: clock of the last multicast of counters
 * @interval_us: how long between two samplings
 * @in_bytes: what an inbound SA's record takes of a datagram, as the last ones did
 * @walk: handle from which limits are computed anew; 0: no walk is due
 * @counter_cursor: handle at which a round of marking goes on
 * @counter_next: handle at which the stream of counters goes on
 * @full: something could not be stored
 * @vmfork: the machine was restored from a snapshot
 * @closing: es_channel_stop() has let go of the lock
 * @generation: changes whenever the set of peers does: their dump says so
 * @helper: espsyncd's newest report
 * @counter_dirty: handles whose counters are to be multicast, bits
 * @n_sas: SAs in the table
 * @n_astray: SAs that some peer counts to another group
 * @n_tombs: of these, those whose state is gone and whose numbers are kept
 * @drops: enum espsync_drop, of datagrams that are from nobody known
 * @renewals: leases renewed
 * @stalls: times that an SA reached its ceiling and was stopped
 * @merges: records that changed a state
 * @refused: packets that the guard dropped
 * @refused_rise: what was told of @refused
 * @stalls_rise: what was told of @stalls
 * @handed: packets given to a new owner
 * @taken: ... and taken from an old one
 * @unheld: packets that waited for a new owner, or came from an old one, in vain
 * @readd: states that replaced another and may have sent a number of it before they were raised
 * @buf: a datagram being built
 * @draft: what it says
 * @rec: a record being built or read: too big for a stack
 * @win: a window being read, for the same reason
 * @epochs: what a peer says of its groups, likewise
 * @saved_rseqth: net.core.xfrm_aevent_rseqth as it was
 * @saved_etime: net.core.xfrm_aevent_etime as it was
 * @thresholds: both are saved and changed
 * @n_nodes: peers and this one
 */
struct es_net {
	struct net *net;
	struct mutex lock;	/* see DOC: Locking */
	struct es_config cfg;
	bool up;
	bool keyed;
	struct es_keys keys;
	struct es_sock *sock[ES_LINKS];
	struct task_struct *thread;
	wait_queue_head_t wait;
	bool kick;
	struct es_group groups[ES_MAX_GROUPS];
	u32 promotions;
	bool selects;
	bool guard_up;
	struct list_head peers;
	unsigned int n_peers;
	spinlock_t sa_lock;	/* see DOC: Locking */
	struct hlist_head *hash;
	struct xarray sas;
	u32 next_handle;
	u32 serial;
	unsigned long *used;
	struct list_head work;
	struct list_head hot;
	u32 n_hot;
	struct list_head expect;
	struct llist_head old;
	bool rescan;
	u64 rescan_us;
	u64 scan_us;
	u64 meter_us;
	bool ready;
	u64 ready_us;
	u64 clock_us;
	u64 own_us;
	u64 tick_at_us;
	u64 echo_floor_us;
	u32 n_waiting;
	u64 sample_us;
	u64 counter_us;
	u32 interval_us;
	u32 in_bytes;
	u32 walk;
	u32 counter_cursor;
	u32 counter_next;
	bool full;
	bool vmfork;
	bool closing;
	u32 generation;
	struct es_helper helper;
	unsigned long *counter_dirty;
	u32 n_sas;
	u32 n_astray;
	u32 n_tombs;
	u64 drops[__ESPSYNC_DROP_MAX];
	u64 renewals;
	u64 stalls;
	u64 merges;
	atomic64_t refused;
	struct es_rise refused_rise;
	struct es_rise stalls_rise;
	u64 handed;
	u64 taken;
	u64 unheld;
	u64 readd;
	u8 *buf;
	struct es_sent *draft;
	struct es_wire_rec rec;
	struct es_window win;
	struct es_epochs epochs;
	u32 saved_rseqth;
	u32 saved_etime;
	bool thresholds;
	u8 n_nodes;
};

/* The group that exists behind @g; the first one behind NULL. */
static inline struct es_group *es_group_next(const struct es_net *es, const struct es_group *g)
{
	unsigned int i;

	for (i = g ? g->slot + 1 : 0; i < ES_MAX_GROUPS; i++)
		if (es->groups[i].used)
			return (struct es_group *)&es->groups[i];
	return NULL;
}

/* The links that a peer has. */
#define es_each_link(l, p)	for ((l) = (p)->link; (l) < (p)->link + ES_LINKS && (l)->addr.family; (l)++)

#define es_each_group(g, es)	for ((g) = es_group_next(es, NULL); (g); (g) = es_group_next(es, g))

extern unsigned int espsync_net_id;

struct es_net *es_net_of(struct net *net);

/* Whose packets are numbered, and checked for replays in the same way: RFC 4303, RFC 4302. */
static inline bool es_proto_numbered(u8 proto)
{
	return proto == IPPROTO_ESP || proto == IPPROTO_AH;
}

static inline void es_wake(struct es_net *es)
{
	WRITE_ONCE(es->kick, true);
	wake_up_interruptible(&es->wait);
}

/* This active node stood still, and waits for a peer's word since: for all it knows somebody was promoted meanwhile. */
static inline bool es_any_gap(const struct es_group *g)
{
	const struct es_peer *p;

	list_for_each_entry(p, &g->es->peers, list)
		if (p->in[g->slot].after_gap)
			return true;
	return false;
}

/* ... in any of its groups. */
static inline bool es_stood_still(const struct es_net *es)
{
	const struct es_group *g;

	es_each_group(g, es)
		if (es_any_gap(g))
			return true;
	return false;
}

/* "In" that was last said then, by es_net.own_us, may still be believed; 0: it was not said. */
static inline bool es_lasts(const struct es_net *es, u64 last_in_own_us)
{
	return last_in_own_us && es->own_us <= last_in_own_us + es->cfg.evict_ms * 1000ull;
}

/* A peer was deleted that may believe to be in: its farewell is not acknowledged. */
static inline bool es_any_left(const struct es_group *g)
{
	return es_lasts(g->es, g->left_own_us);
}

/* Tell every peer, and none of them is in sync before it has acknowledged it. */
static inline void es_sa_set_todo(struct es_net *es, struct es_sa *sa)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list) {
		__set_bit(sa->handle, p->dirty);
		__set_bit(sa->handle, p->todo);
	}
	__set_bit(sa->handle, es->counter_dirty);
}

/* Whether a peer counts it to another group. */
static inline void es_sa_astray(struct es_net *es, struct es_sa *sa, const struct es_peer *p, bool astray)
{
	u16 bits = astray ? sa->astray | BIT(p->index) : sa->astray & ~BIT(p->index);

	es->n_astray += !!bits - !!sa->astray;
	sa->astray = bits;
}

static inline void es_sa_set_dirty(struct es_net *es, struct es_sa *sa)
{
	struct es_peer *p;

	list_for_each_entry(p, &es->peers, list)
		__set_bit(sa->handle, p->dirty);
	__set_bit(sa->handle, es->counter_dirty);
}

#endif /* ESPSYNC_H */
