/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attr.h - objects as tables of attributes. One table makes the JSON, and the text is made of the JSON, so they cannot differ.
 */
#ifndef ESPSYNC_ATTR_H
#define ESPSYNC_ATTR_H

#include <jansson.h>
#include <netlink/attr.h>
#include <stddef.h>
#include <stdint.h>

struct words;

/**
 * enum attr_kind - how an attribute lies in its message, and what it is in JSON
 * @ATTR_U8: a number
 * @ATTR_U32: a number
 * @ATTR_BE16: big endian, a number
 * @ATTR_U64: a string of decimal digits
 * @ATTR_S64: the same, signed
 * @ATTR_BOOL: a u8, true or false
 * @ATTR_WORD: a u8, a word of the attribute's list; null where the list has a hole
 * @ATTR_STRING: a string
 * @ATTR_HEX: bytes, a string of hex digits
 * @ATTR_ADDR: 4 or 16 bytes, an address
 * @ATTR_ADDRS: a nest of addresses, an array
 * @ATTR_PREFIXES: a nest of prefixes, an array of "ADDR/LEN"
 * @ATTR_SPI: big endian, "0x%08x"
 * @ATTR_PROTO: a u8, "esp", "ah" or a number
 * @ATTR_KEYS: repeated nests, an array of { id, key_id, used }
 * @ATTR_DROPS: repeated nests of reason and count, an object with every reason
 * @ATTR_HIST: a nest of u64, an array of strings
 * @ATTR_LINKS: repeated nests, an array of objects
 */
enum attr_kind {
	ATTR_U8,
	ATTR_U32,
	ATTR_BE16,
	ATTR_U64,
	ATTR_S64,
	ATTR_BOOL,
	ATTR_WORD,
	ATTR_STRING,
	ATTR_HEX,
	ATTR_ADDR,
	ATTR_ADDRS,
	ATTR_PREFIXES,
	ATTR_SPI,
	ATTR_PROTO,
	ATTR_KEYS,
	ATTR_DROPS,
	ATTR_HIST,
	ATTR_LINKS,
};

/**
 * enum attr_style - how the value reads as text
 * @STYLE_PLAIN: as it is
 * @STYLE_US: microseconds, as milliseconds or seconds
 * @STYLE_MS: milliseconds
 * @STYLE_BYTES: with a unit
 * @STYLE_CLOCK: seconds since 1970, as local time
 * @STYLE_RARE: as it is; no column where nobody has one
 */
enum attr_style { STYLE_PLAIN, STYLE_US, STYLE_MS, STYLE_BYTES, STYLE_CLOCK, STYLE_RARE };

/**
 * struct attr - a row of an object's table
 * @type: the attribute in its nest
 * @kind: how it lies there
 * @name: its key in JSON, and its label in text
 * @words: for ATTR_WORD
 * @column: its heading in tables of text; NULL: only in the long form
 * @style: how it reads as text
 */
struct attr {
	int type;
	enum attr_kind kind;
	const char *name;
	const struct words *words;
	const char *column;
	enum attr_style style;
};

/**
 * struct object - what a message can be about
 * @nest: enum espsync_attr
 * @attrs: the table
 * @n: its rows
 */
struct object {
	int nest;
	const struct attr *attrs;
	size_t n;
};

extern const struct object object_channel, object_peer, object_group, object_promoted, object_demoted, object_sas;
extern const struct object object_counters, object_stats, object_reason, object_event, object_link;

/**
 * object_decode() - a nest to JSON
 * @object: the table
 * @nest: the nest, from the kernel
 *
 * Return: a JSON object with every name of the table in its order; what the nest lacks, or has in another form, is null.
 */
json_t *object_decode(const struct object *object, struct nlattr *nest);

/**
 * json_u64() - a 64-bit number that object_decode() wrote
 * @json: the string, or null
 *
 * Return: the number, 0 if unknown.
 */
uint64_t json_u64(const json_t *json);

#endif /* ESPSYNC_ATTR_H */
