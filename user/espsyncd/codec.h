/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * codec: the datagrams of strongSwan's ha plugin, wire versions 3, 4 and 5.
 *
 * Room: bytes in, a view of them out; and the few messages that the helper makes itself. Pure: no I/O, no allocation, no
 * state. Whatever comes in is hostile: an attribute that is cut off or unknown makes the whole message unreadable, because
 * the format has no lengths to skip by.
 */
#ifndef ESPSYNCD_CODEC_H
#define ESPSYNCD_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HA_VERSION_MIN	3
#define HA_VERSION_MAX	5
#define HA_MAX_LEN	65507	/* of one UDP datagram over IPv4 */
#define HA_MAX_MADE	64	/* room for any message that ha_make_*() makes */
#define HA_NAME_MAX	256
#define HA_IKE_ID_END	21	/* messages about an IKE SA say first of which version and type they are, and its name */

enum ha_type {
	HA_IKE_ADD = 1,
	HA_IKE_UPDATE,
	HA_IKE_MID_INITIATOR,
	HA_IKE_MID_RESPONDER,
	HA_IKE_DELETE,
	HA_CHILD_ADD,
	HA_CHILD_DELETE,
	HA_SEGMENT_DROP,
	HA_SEGMENT_TAKE,
	HA_STATUS,
	HA_RESYNC,
	HA_IKE_IV,
	__HA_TYPE_MAX
};

/**
 * struct ike_id - names an IKE SA
 * @version: 1 or 2
 * @spi_i: initiator's SPI
 * @spi_r: responder's SPI
 * @initiator: 1 if the gateway initiated it
 */
struct ike_id {
	uint8_t version;
	uint8_t spi_i[8];
	uint8_t spi_r[8];
	uint8_t initiator;
};

/**
 * struct ha_addr - an address in a message
 * @len: 0 (absent), 4 or 16
 * @bytes: network order
 * @port: host order
 */
struct ha_addr {
	uint8_t len;
	uint8_t bytes[16];
	uint16_t port;
};

/**
 * struct ha_msg - what the helper needs to know of a message; values that are absent are zero
 * @version: of the wire
 * @type: enum ha_type
 * @has_id: @id is there; always so for messages about an IKE SA
 * @id: the IKE SA
 * @has_rekey_id: the message is an IKE_ADD that replaces @rekey_id
 * @rekey_id: the IKE SA that is replaced
 * @spi_in: of a CHILD SA, host order
 * @spi_out: of a CHILD SA, host order
 * @initiator: the gateway has begun the exchange that made the CHILD SA
 * @mid: message ID
 * @segments: bit n stands for segment n
 * @local: of an IKE_UPDATE
 * @remote: of an IKE_UPDATE or IKE_ADD
 * @nat: enum ha_nat, of an IKE_UPDATE
 * @began: the gateway has begun the first of its chain of IKE SAs (IKE_UPDATE); who did may change with each rekeying, this does not
 * @mobike: both ends have MOBIKE (IKE_UPDATE)
 * @has_vip: an inner address is given
 * @name: of the connection or child, "" if absent
 */
struct ha_msg {
	uint8_t version;
	uint8_t type;
	bool has_id;
	struct ike_id id;
	bool has_rekey_id;
	struct ike_id rekey_id;
	uint32_t spi_in;
	uint32_t spi_out;
	bool initiator;
	uint32_t mid;
	uint32_t segments;
	struct ha_addr local;
	struct ha_addr remote;
	uint32_t nat;
	bool began;
	bool mobike;
	bool has_vip;
	char name[HA_NAME_MAX];
};

/* How the IKE SA stands to NATs, as bits of an IKE_UPDATE's conditions and here. */
enum ha_nat {
	HA_NAT_ANY = 1 << 0,
	HA_NAT_HERE = 1 << 1,
	HA_NAT_THERE = 1 << 2,
	HA_NAT_FAKE = 1 << 3,
	HA_NAT_ALL = HA_NAT_ANY | HA_NAT_HERE | HA_NAT_THERE | HA_NAT_FAKE,
};

enum ha_error {
	HA_OK,
	HA_TRUNCATED,
	HA_BAD_VERSION,
	HA_BAD_TYPE,
	HA_BAD_ATTRIBUTE,
	HA_NO_ID,
};

/**
 * ha_parse() - read a message
 * @m: filled
 * @data: the datagram
 * @len: its length
 *
 * Return: HA_OK, or why it cannot be read. @m->version and @m->type are valid unless it is HA_TRUNCATED with @len < 2
 */
enum ha_error ha_parse(struct ha_msg *m, const uint8_t *data, size_t len);

/**
 * struct ha_attribute - one attribute of a message
 * @id: as the message's version numbers it
 * @value: within the message
 * @len: length of @value
 */
struct ha_attribute {
	uint8_t id;
	const uint8_t *value;
	size_t len;
};

/**
 * ha_next() - walk a message's attributes
 * @data: the message
 * @len: its length
 * @at: where it stands: 2 for the first one; moved on
 * @a: filled
 *
 * Return: false at the end, and at what cannot be read
 */
bool ha_next(const uint8_t *data, size_t len, size_t *at, struct ha_attribute *a);

const char *ha_error_text(enum ha_error e);
const char *ha_type_name(uint8_t type);

/**
 * ha_is_state() - does the message describe an IKE or CHILD SA, so that the cluster must have it
 * @type: enum ha_type
 *
 * Return: false for what only concerns one charon and its helper
 */
bool ha_is_state(uint8_t type);

/**
 * ike_id_equal() - is it the same IKE SA
 * @a: one
 * @b: the other
 *
 * Return: true if the SPIs are equal; the flags follow from them
 */
bool ike_id_equal(const struct ike_id *a, const struct ike_id *b);

/**
 * ha_rename() - make a message be about another IKE SA
 * @data: a message of ha_is_state(), readable
 * @len: its length
 * @id: the other IKE SA
 *
 * Not for one that keys are derived from: those depend on the IKE SA.
 *
 * Return: false if the message does not begin with the IKE SA's name, and was left alone
 */
bool ha_rename(uint8_t *data, size_t len, const struct ike_id *id);

/**
 * ha_set_replaced() - make an IKE_ADD say that it replaces another IKE SA
 * @data: an IKE_ADD, readable
 * @len: its length
 * @old: the other IKE SA
 *
 * charon takes CHILD SAs and inner addresses over from the IKE SA that is named; the new one's keys come from OLD_SKD beside it.
 *
 * Return: false if the message replaces none, and was left alone
 */
bool ha_set_replaced(uint8_t *data, size_t len, const struct ike_id *old);

#define HA_MOVE_MORE	24	/* what two IPv6 addresses are longer than two IPv4 ones */

/**
 * ha_move() - make an IKE_UPDATE say that the ends are elsewhere
 * @out: room for @len + HA_MOVE_MORE bytes
 * @data: an IKE_UPDATE, readable
 * @len: its length
 * @local: the gateway's address now
 * @remote: the far end's address now
 * @nat: enum ha_nat, as it is now
 *
 * Return: length of @out, or 0 if the message does not tell both addresses
 */
size_t ha_move(uint8_t *out, const uint8_t *data, size_t len, const struct ha_addr *local, const struct ha_addr *remote, uint32_t nat);

/**
 * ha_move_selectors() - make a CHILD_ADD say that the gateway is elsewhere, where it speaks of the gateway itself
 * @data: a CHILD_ADD, readable
 * @len: its length
 * @from: the gateway's address before
 * @to: the one now, of the same family
 *
 * As both ends' charons do when an address changes: a traffic selector that is the gateway's address and no other follows it.
 */
void ha_move_selectors(uint8_t *data, size_t len, const struct ha_addr *from, const struct ha_addr *to);

/* The same address, and the same port. */
bool ha_addr_equal(const struct ha_addr *a, const struct ha_addr *b);

size_t ha_make_status(uint8_t *out, uint8_t version, bool segment_1);
size_t ha_make_ike_delete(uint8_t *out, uint8_t version, const struct ike_id *id);
size_t ha_make_child_delete(uint8_t *out, uint8_t version, const struct ike_id *id, uint32_t spi_in);
/* @type: HA_IKE_MID_INITIATOR or HA_IKE_MID_RESPONDER */
size_t ha_make_mid(uint8_t *out, uint8_t version, uint8_t type, const struct ike_id *id, uint32_t mid);

#endif /* ESPSYNCD_CODEC_H */
