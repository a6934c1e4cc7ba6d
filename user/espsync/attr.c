// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attr.c - attributes to JSON, one function per kind. No object by name, no text form.
 *
 * Lengths are checked here: what does not have the length of its kind counts as absent.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/espsync.h>

#include "attr.h"
#include "word.h"

static uint64_t get_unsigned(const struct nlattr *nla, size_t size)
{
	uint64_t u64 = 0;
	uint32_t u32;
	uint8_t u8;

	switch (size) {
	case 1:
		memcpy(&u8, nla_data(nla), size);
		return u8;
	case 4:
		memcpy(&u32, nla_data(nla), size);
		return u32;
	default:
		memcpy(&u64, nla_data(nla), size);
		return u64;
	}
}

static json_t *decimal(uint64_t value)
{
	return json_sprintf("%" PRIu64, value);
}

static json_t *from_signed(const struct nlattr *nla)
{
	int64_t value;

	memcpy(&value, nla_data(nla), sizeof(value));
	return json_sprintf("%" PRId64, value);
}

static json_t *from_word(const struct nlattr *nla, const struct words *words)
{
	unsigned int value = (unsigned int)get_unsigned(nla, 1);
	const char *name = word_name(words, value);

	if (name)
		return json_string(name);
	return value < words->n ? json_null() : json_sprintf("unknown-%u", value);
}

/* Texts come from kernel, helper and device names: control characters do not reach a terminal. */
static json_t *from_string(const struct nlattr *nla)
{
	char text[512];

	snprintf(text, sizeof(text), "%.*s", nla_len(nla), (const char *)nla_data(nla));
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return json_string(text);
}

static json_t *from_hex(const struct nlattr *nla)
{
	const uint8_t *b = nla_data(nla);
	size_t len = (size_t)nla_len(nla);
	char *hex = malloc(2 * len + 1);
	json_t *json;

	if (!hex)
		return NULL;
	for (size_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", b[i]);
	json = json_stringn(hex, 2 * len);
	free(hex);
	return json;
}

static json_t *from_addr(const struct nlattr *nla)
{
	char text[INET6_ADDRSTRLEN];
	int len = nla_len(nla);

	if (len != 4 && len != 16)
		return NULL;
	return json_string(inet_ntop(len == 4 ? AF_INET : AF_INET6, nla_data(nla), text, sizeof(text)));
}

static json_t *from_addrs(struct nlattr *nest)
{
	json_t *array = json_array();
	struct nlattr *nla;
	int left;

	nla_for_each_nested(nla, nest, left)
		if (nla_type(nla) == ESPSYNC_A_ADDR)
			json_array_append_new(array, from_addr(nla));
	return array;
}

static json_t *from_prefix(struct nlattr *nest)
{
	char text[INET6_ADDRSTRLEN];
	const char *addr = NULL;
	unsigned int bits = 0;
	struct nlattr *nla;
	int left;

	nla_for_each_nested(nla, nest, left) {
		if (nla_type(nla) == ESPSYNC_A_PREFIX_ADDR && (nla_len(nla) == 4 || nla_len(nla) == 16))
			addr = inet_ntop(nla_len(nla) == 4 ? AF_INET : AF_INET6, nla_data(nla), text, sizeof(text));
		else if (nla_type(nla) == ESPSYNC_A_PREFIX_LEN && nla_len(nla) == 1)
			bits = (unsigned int)get_unsigned(nla, 1);
	}
	return addr ? json_sprintf("%s/%u", addr, bits) : NULL;
}

static json_t *from_prefixes(struct nlattr *nest)
{
	json_t *array = json_array();
	struct nlattr *nla;
	int left;

	nla_for_each_nested(nla, nest, left)
		if (nla_type(nla) == ESPSYNC_A_PREFIX)
			json_array_append_new(array, from_prefix(nla));
	return array;
}

static json_t *from_spi(const struct nlattr *nla)
{
	return json_sprintf("0x%08x", ntohl((uint32_t)get_unsigned(nla, 4)));
}

static json_t *from_port(const struct nlattr *nla)
{
	uint16_t be;

	memcpy(&be, nla_data(nla), sizeof(be));
	return json_integer(ntohs(be));
}

static json_t *from_proto(const struct nlattr *nla)
{
	unsigned int proto = (unsigned int)get_unsigned(nla, 1);
	const char *name = word_name(&words_proto, proto);

	return name ? json_string(name) : json_integer(proto);
}

static json_t *from_hist(struct nlattr *nest)
{
	json_t *array = json_array();
	struct nlattr *nla;
	int left;

	nla_for_each_nested(nla, nest, left)
		if (nla_type(nla) == ESPSYNC_A_HIST_BUCKET && nla_len(nla) == sizeof(uint64_t))
			json_array_append_new(array, decimal(get_unsigned(nla, 8)));
	return array;
}

static json_t *no_drops(void)
{
	json_t *drops = json_object();

	for (size_t i = 0; i < words_drop.n; i++)
		json_object_set_new(drops, words_drop.v[i], json_string("0"));
	return drops;
}

/* Each nest has one reason; all go into the object that is there already. */
static void add_drop(json_t *drops, struct nlattr *nest)
{
	const char *name = NULL;
	struct nlattr *nla;
	uint64_t count = 0;
	int left;

	nla_for_each_nested(nla, nest, left) {
		if (nla_type(nla) == ESPSYNC_A_DROP_REASON && nla_len(nla) == 1)
			name = word_name(&words_drop, (unsigned int)get_unsigned(nla, 1));
		else if (nla_type(nla) == ESPSYNC_A_DROP_COUNT && nla_len(nla) == 8)
			count = get_unsigned(nla, 8);
	}
	if (name)
		json_object_set_new(drops, name, decimal(count));
}

/* Each nest is a key. */
static json_t *from_key(struct nlattr *nest)
{
	json_t *key = json_object();
	struct nlattr *nla;
	int left;

	nla_for_each_nested(nla, nest, left) {
		if (nla_type(nla) == ESPSYNC_A_KEY_NUMBER && nla_len(nla) == 1)
			json_object_set_new(key, "id", json_integer((json_int_t)get_unsigned(nla, 1)));
		else if (nla_type(nla) == ESPSYNC_A_KEY_ID)
			json_object_set_new(key, "key_id", from_hex(nla));
		else if (nla_type(nla) == ESPSYNC_A_KEY_USED && nla_len(nla) == 1)
			json_object_set_new(key, "used", json_boolean(get_unsigned(nla, 1)));
	}
	return key;
}

static const struct {
	size_t size; /* 0: any */
} forms[] = {
	[ATTR_U8] = { 1 },    [ATTR_U32] = { 4 },    [ATTR_BE16] = { 2 }, [ATTR_U64] = { 8 },  [ATTR_S64] = { 8 },
	[ATTR_BOOL] = { 1 },  [ATTR_WORD] = { 1 },   [ATTR_STRING] = { 0 }, [ATTR_HEX] = { 0 }, [ATTR_ADDR] = { 0 },
	[ATTR_ADDRS] = { 0 }, [ATTR_PREFIXES] = { 0 }, [ATTR_SPI] = { 4 },    [ATTR_PROTO] = { 1 },
	[ATTR_KEYS] = { 0 },  [ATTR_LINKS] = { 0 }, [ATTR_DROPS] = { 0 }, [ATTR_HIST] = { 0 },
};

static json_t *decode(const struct attr *attr, struct nlattr *nla)
{
	if (forms[attr->kind].size && (size_t)nla_len(nla) != forms[attr->kind].size)
		return NULL;
	switch (attr->kind) {
	case ATTR_U8:
	case ATTR_U32:
		return json_integer((json_int_t)get_unsigned(nla, forms[attr->kind].size));
	case ATTR_BE16:
		return from_port(nla);
	case ATTR_U64:
		return decimal(get_unsigned(nla, 8));
	case ATTR_S64:
		return from_signed(nla);
	case ATTR_BOOL:
		return json_boolean(get_unsigned(nla, 1));
	case ATTR_WORD:
		return from_word(nla, attr->words);
	case ATTR_STRING:
		return from_string(nla);
	case ATTR_HEX:
		return from_hex(nla);
	case ATTR_ADDR:
		return from_addr(nla);
	case ATTR_ADDRS:
		return from_addrs(nla);
	case ATTR_PREFIXES:
		return from_prefixes(nla);
	case ATTR_SPI:
		return from_spi(nla);
	case ATTR_PROTO:
		return from_proto(nla);
	case ATTR_HIST:
		return from_hist(nla);
	case ATTR_KEYS:
	case ATTR_DROPS:
	case ATTR_LINKS:
		break; /* repeated: see object_decode() */
	}
	return NULL;
}

static const struct attr *attr_find(const struct object *object, int type)
{
	for (size_t i = 0; i < object->n; i++)
		if (object->attrs[i].type == type)
			return &object->attrs[i];
	return NULL;
}

/* What an attribute is that does not come. */
static json_t *absent(const struct attr *attr)
{
	switch (attr->kind) {
	case ATTR_DROPS:
		return no_drops();
	case ATTR_KEYS:
	case ATTR_LINKS:
		return json_array();
	default:
		return json_null();
	}
}

json_t *object_decode(const struct object *object, struct nlattr *nest)
{
	json_t *json = json_object();
	const struct attr *attr;
	struct nlattr *nla;
	int left;

	for (size_t i = 0; i < object->n; i++)
		json_object_set_new(json, object->attrs[i].name, absent(&object->attrs[i]));
	nla_for_each_nested(nla, nest, left) {
		attr = attr_find(object, nla_type(nla));
		if (attr && attr->kind == ATTR_DROPS)
			add_drop(json_object_get(json, attr->name), nla);
		else if (attr && attr->kind == ATTR_KEYS)
			json_array_append_new(json_object_get(json, attr->name), from_key(nla));
		else if (attr && attr->kind == ATTR_LINKS)
			json_array_append_new(json_object_get(json, attr->name), object_decode(&object_link, nla));
		else if (attr)
			json_object_set_new(json, attr->name, decode(attr, nla));	/* NULL sets nothing */
	}
	return json;
}

uint64_t json_u64(const json_t *json)
{
	const char *s = json_string_value(json);

	return s ? strtoull(s, NULL, 10) : 0;
}
