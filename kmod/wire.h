/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wire.h - what two nodes say to each other inside a sealed datagram.
 *
 * How a newer version may say more to this one, which passes over what it does not know: its head and its groups are longer, and say by how much;
 * records of its own have a type behind ES_WIRE_UNKNOWN, and their length behind it. What this version knows never changes its form. What a peer
 * must not pass over is said only to one whose HELLO has a capability for it (session.c).
 */
#ifndef ESPSYNC_WIRE_H
#define ESPSYNC_WIRE_H

#include "pure.h"
#include "window.h"

#define ES_WIRE_MAX_GROUPS 64	/* in one datagram */

/**
 * struct es_wire_head - how every datagram begins
 * @ts: sender's clock when it sent this, microseconds
 * @echo: newest @ts that the sender has seen of the receiver; 0 if none
 * @hold_us: how long the sender held that echo
 * @ack_seq: highest datagram of the receiver that the sender has applied
 * @ack_bits: bit i: datagram @ack_seq - i is applied
 * @links: bit i: the sender hears the receiver on its link i
 * @interval_us: the sender's sync interval; 0: not told
 * @ngroups: groups that follow
 * @group_more: bytes that each of them has beyond those of this version
 */
struct es_wire_head {
	u64 ts;
	u64 echo;
	u32 hold_us;
	u64 ack_seq;
	u64 ack_bits;
	u8 links;
	u32 interval_us;
	u8 ngroups;
	u8 group_more;
};

#define ES_GROUP_IN	0x01	/* sender is active: the receiver is in */
#define ES_GROUP_SILENT	0x02	/* sender's guard is up and what was under way has left */
#define ES_GROUP_FULL	0x04	/* sender cannot store all that it is told */
#define ES_GROUP_LEAVE	0x08	/* sender goes away in order */
#define ES_GROUP_HELPER	0x10	/* sender's espsyncd reports */
#define ES_GROUP_IKE	0x20	/* ... and has every IKE SA */
#define ES_GROUP_STORE	0x40	/* sender is never promoted */
#define ES_GROUP_TOLD	0x80	/* receiver has acknowledged all that the sender had to say */

/* A role on the wire is an enum espsync_role, or a claim to be active that waits for the old owner's silence. */
#define ES_ROLE_CLAIM	3

/**
 * struct es_wire_group - what the sender is in one group
 * @id: group
 * @role: enum espsync_role or ES_ROLE_CLAIM
 * @flags: ES_GROUP_*
 * @node: node of the highest epoch that the sender knows
 * @epoch: counter of that epoch
 * @waiting: SAs announced by the receiver that are not in the sender's kernel
 * @mismatched: ... that are there with another key
 * @evict_ms: how long "in" lasts, as the sender counts
 */
struct es_wire_group {
	u16 id;
	u8 role;
	u8 flags;
	u8 node;
	u64 epoch;
	u32 waiting;
	u32 mismatched;
	u32 evict_ms;
};

/**
 * struct es_epochs - the epochs that the sender of a datagram knows
 * @n: how many
 * @of: one for each of its groups, as in struct es_wire_group
 */
struct es_epochs {
	unsigned int n;
	struct es_epoch {
		u64 counter;
		u16 group;
		u8 node;
	} of[ES_WIRE_MAX_GROUPS];
};

enum es_wire_type {
	ES_WIRE_END,		/* padding: nothing follows */
	ES_WIRE_NAME,		/* a handle and the SA that it stands for */
	ES_WIRE_OUT,		/* an outbound SA's ceiling */
	ES_WIRE_IN,		/* an inbound SA's window */
	ES_WIRE_GONE,		/* the sender has the SA no more */
	ES_WIRE_SYNCED,		/* every SA of the sender has been named in this session */
	ES_WIRE_UNKNOWN,	/* the receiver's handle means nothing to the sender: name it again */
	/* what follows has a 16-bit length behind its type, and no handle */
	ES_WIRE_PACKET,		/* a packet that the sender, no longer active, had yet to encrypt: the receiver sends it */
};

#define ES_NAME_HELD	0x01	/* the sender has the SA in its kernel, not only numbers of it */
#define ES_OUT_GRANT	0x01	/* from the owner: it will not pass it before the receiver agreed to more */
#define ES_OUT_PASSED	0x02	/* from one that was the owner: the last number it sent, beyond what the receiver had agreed to */
#define ES_OUT_TWICE	0x04	/* some node was put back to a snapshot while it was the owner: numbers and IVs may have been sent twice */

/**
 * struct es_wire_rec - one record
 * @type: enum es_wire_type; says which of the others mean something
 * @handle: sender's number for the SA
 * @proto: NAME
 * @dir: NAME, enum espsync_dir
 * @family: NAME, of @daddr
 * @flags: NAME, ES_NAME_*; OUT, ES_OUT_*
 * @group: NAME
 * @spi: NAME, big endian as in the packet
 * @daddr: NAME, 16 bytes
 * @fp: NAME, fingerprint
 * @ceiling: OUT
 * @lease: OUT: the next ceiling is at most @ceiling + @lease
 * @bytes: OUT, IN: lifetime so far
 * @packets: OUT, IN
 * @win: IN
 * @packet: PACKET, from its IP header on; when read: inside the datagram
 * @packet_len: PACKET
 */
struct es_wire_rec {
	u8 type;
	u32 handle;
	u8 proto;
	u8 dir;
	u8 family;
	u8 flags;
	u16 group;
	u32 spi;
	u8 daddr[16];
	u64 fp;
	u64 ceiling;
	u32 lease;
	u64 bytes;
	u64 packets;
	struct es_window win;
	const u8 *packet;
	u16 packet_len;
};

/**
 * struct es_cursor - a place in a datagram being written or read
 * @p: next byte
 * @end: behind the last one
 * @bad: something did not fit or was not there
 */
struct es_cursor {
	u8 *p;
	u8 *end;
	bool bad;
};

void es_wire_put_head(struct es_cursor *c, const struct es_wire_head *h);
void es_wire_put_group(struct es_cursor *c, const struct es_wire_group *g);
bool es_wire_put_rec(struct es_cursor *c, const struct es_wire_rec *r);

bool es_wire_get_head(struct es_cursor *c, struct es_wire_head *h);
bool es_wire_get_group(struct es_cursor *c, const struct es_wire_head *h, struct es_wire_group *g);

/* What es_wire_get_rec() found. */
enum es_wire_got {
	ES_WIRE_MALFORMED = -1,
	ES_WIRE_NO_MORE,
	ES_WIRE_RECORD,
	ES_WIRE_PASSED_OVER,	/* a record of a newer version */
};

enum es_wire_got es_wire_get_rec(struct es_cursor *c, struct es_wire_rec *r);

#endif /* ESPSYNC_WIRE_H */
