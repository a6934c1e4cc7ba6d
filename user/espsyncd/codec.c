// SPDX-License-Identifier: GPL-2.0-or-later
/* codec: the datagrams of strongSwan's ha plugin. Pure. See codec.h. */
#include <string.h>

#include "codec.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define FAMILY_INET	2
#define FAMILY_INET6	10
#define PRIVATE_SET	0x80	/* version 5 tells each set of bits twice; in the second these are private */
#define TS_IPV4		7
#define TS_IPV6		8
#define TS_FROM		7	/* where the first of its addresses stands */
#define IKE_ID_LEN	18
#define ATTR_IKE_ID	1	/* in all versions */
#define COND_BEGAN	(1 << 6)
#define EXT_MOBIKE	(1 << 1)

/* How an attribute's value is encoded; the length follows from it. */
enum encoding {
	ENC_NONE,
	ENC_IKE_ID,
	ENC_IDENTITY,		/* type u8, length u8, data */
	ENC_HOST,		/* port u16, family u8, 4 or 16 bytes */
	ENC_STRING,		/* ends with NUL */
	ENC_U8,
	ENC_U16,
	ENC_U32,
	ENC_CHUNK,		/* length u16, data */
	ENC_TS,			/* type, proto, two ports, dynamic, two addresses */
};

/* What the helper wants to know of an attribute. */
enum meaning {
	IS_OPAQUE,
	IS_ID,
	IS_REKEY_ID,
	IS_LOCAL,
	IS_REMOTE,
	IS_CONDITIONS,
	IS_EXTENSIONS,
	IS_VIP,
	IS_NAME,
	IS_SPI_IN,
	IS_SPI_OUT,
	IS_INITIATOR,
	IS_MID,
	IS_SEGMENT,
	IS_LOCAL_TS,
};

struct attribute {
	uint8_t encoding;
	uint8_t meaning;
};

/* Up to NONCE_R all versions agree. */
#define COMMON_ATTRIBUTES \
	[ATTR_IKE_ID] = { ENC_IKE_ID, IS_ID }, [2] = { ENC_IKE_ID, IS_REKEY_ID }, \
	[3] = { ENC_IDENTITY }, [4] = { ENC_IDENTITY }, [5] = { ENC_IDENTITY }, \
	[6] = { ENC_HOST, IS_LOCAL }, [7] = { ENC_HOST, IS_REMOTE }, \
	[8] = { ENC_STRING, IS_NAME }, \
	[9] = { ENC_U32, IS_CONDITIONS }, [10] = { ENC_U32, IS_EXTENSIONS }, \
	[11] = { ENC_HOST }, [12] = { ENC_HOST, IS_VIP }, [13] = { ENC_HOST }, \
	[14] = { ENC_U8, IS_INITIATOR }, \
	[15] = { ENC_CHUNK }, [16] = { ENC_CHUNK }

static const struct attribute attributes_v3[] = {
	COMMON_ATTRIBUTES,
	[17] = { ENC_CHUNK }, [18] = { ENC_CHUNK },			/* secrets */
	[19] = { ENC_U16 }, [20] = { ENC_U16 }, [21] = { ENC_U16 },
	[22] = { ENC_U16 }, [23] = { ENC_U16 }, [24] = { ENC_U16 },
	[25] = { ENC_U8 }, [26] = { ENC_U8 },
	[27] = { ENC_U32, IS_SPI_IN }, [28] = { ENC_U32, IS_SPI_OUT },
	[29] = { ENC_U16 }, [30] = { ENC_U16 },
	[31] = { ENC_TS, IS_LOCAL_TS }, [32] = { ENC_TS },
	[33] = { ENC_U32, IS_MID }, [34] = { ENC_U16, IS_SEGMENT },
	[35] = { ENC_U16 }, [36] = { ENC_U8 },
	[37] = { ENC_CHUNK }, [38] = { ENC_CHUNK }, [39] = { ENC_CHUNK },
	[40] = { ENC_CHUNK }, [41] = { ENC_U16 },
};

static const struct attribute attributes_v4[] = {
	COMMON_ATTRIBUTES,
	[17] = { ENC_CHUNK }, [18] = { ENC_CHUNK }, [19] = { ENC_CHUNK }, /* secrets */
	[20] = { ENC_U16 }, [21] = { ENC_U16 }, [22] = { ENC_U16 },
	[23] = { ENC_U16 }, [24] = { ENC_U16 }, [25] = { ENC_U16 },
	[26] = { ENC_CHUNK },
	[27] = { ENC_U8 }, [28] = { ENC_U8 },
	[29] = { ENC_U32, IS_SPI_IN }, [30] = { ENC_U32, IS_SPI_OUT },
	[31] = { ENC_U16 }, [32] = { ENC_U16 },
	[33] = { ENC_TS, IS_LOCAL_TS }, [34] = { ENC_TS },
	[35] = { ENC_U32, IS_MID }, [36] = { ENC_U16, IS_SEGMENT },
	[37] = { ENC_U16 }, [38] = { ENC_U8 },
	[39] = { ENC_CHUNK }, [40] = { ENC_CHUNK }, [41] = { ENC_CHUNK },
	[42] = { ENC_CHUNK }, [43] = { ENC_U16 },
};

static const struct attribute *attribute_of(uint8_t version, uint8_t id)
{
	const struct attribute *table = version == 3 ? attributes_v3 : attributes_v4;
	size_t n = version == 3 ? ARRAY_SIZE(attributes_v3) : ARRAY_SIZE(attributes_v4);

	return id < n && table[id].encoding != ENC_NONE ? &table[id] : NULL;
}

static bool means(uint8_t version, uint8_t id, enum meaning meaning)
{
	const struct attribute *known = attribute_of(version, id);

	return known && known->meaning == meaning;
}

static uint16_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* charon swaps an SPI that is in network order already, so the wire carries it in the byte order of the machine. */
static uint32_t wire_spi(const uint8_t *p)
{
	uint32_t spi;

	memcpy(&spi, p, sizeof(spi));
	return spi;
}

/* Length of the value at @p, or 0 if @left does not hold one: no value is empty. */
static size_t value_len(uint8_t encoding, const uint8_t *p, size_t left)
{
	const uint8_t *nul;
	size_t want = 0;

	switch (encoding) {
	case ENC_IKE_ID:
		want = IKE_ID_LEN;
		break;
	case ENC_IDENTITY:
		want = left >= 2 ? 2 + (size_t)p[1] : 0;
		break;
	case ENC_HOST:
		if (left >= 3)
			want = p[2] == FAMILY_INET ? 7 : p[2] == FAMILY_INET6 ? 19 : 0;
		break;
	case ENC_STRING:
		nul = memchr(p, 0, left);
		want = nul ? (size_t)(nul - p) + 1 : 0;
		break;
	case ENC_U8:
		want = 1;
		break;
	case ENC_U16:
		want = 2;
		break;
	case ENC_U32:
		want = 4;
		break;
	case ENC_CHUNK:
		want = left >= 2 ? 2 + (size_t)be16(p) : 0;
		break;
	case ENC_TS:
		want = left && p[0] == TS_IPV4 ? 15 : left && p[0] == TS_IPV6 ? 39 : 0;
		break;
	}
	return want <= left ? want : 0;
}

static void read_id(struct ike_id *id, const uint8_t *p)
{
	id->version = p[0];
	memcpy(id->spi_i, p + 1, 8);
	memcpy(id->spi_r, p + 9, 8);
	id->initiator = p[17];
}

static void read_host(struct ha_addr *a, const uint8_t *p)
{
	a->port = be16(p);
	a->len = p[2] == FAMILY_INET ? 4 : 16;
	memcpy(a->bytes, p + 3, a->len);
}

static bool read_value(struct ha_msg *m, enum meaning meaning, const uint8_t *p, size_t len)
{
	switch (meaning) {
	case IS_OPAQUE:
	case IS_LOCAL_TS:
		break;
	case IS_CONDITIONS:
		if (!(p[0] & PRIVATE_SET)) {
			m->nat = p[3] & HA_NAT_ALL;
			m->began = p[3] & COND_BEGAN;
		}
		break;
	case IS_EXTENSIONS:
		if (!(p[0] & PRIVATE_SET))
			m->mobike = p[3] & EXT_MOBIKE;
		break;
	case IS_ID:
		if (m->has_id)
			return false;
		read_id(&m->id, p);
		m->has_id = true;
		break;
	case IS_REKEY_ID:
		if (m->has_rekey_id)
			return false;
		read_id(&m->rekey_id, p);
		m->has_rekey_id = true;
		break;
	case IS_LOCAL:
		read_host(&m->local, p);
		break;
	case IS_REMOTE:
		read_host(&m->remote, p);
		break;
	case IS_VIP:
		m->has_vip = true;
		break;
	case IS_NAME:
		if (len > sizeof(m->name))
			return false;
		memcpy(m->name, p, len);
		break;
	case IS_SPI_IN:
		m->spi_in = wire_spi(p);
		break;
	case IS_SPI_OUT:
		m->spi_out = wire_spi(p);
		break;
	case IS_INITIATOR:
		m->initiator = p[0];
		break;
	case IS_MID:
		m->mid = be32(p);
		break;
	case IS_SEGMENT:
		if (be16(p) > 31)
			return false;
		m->segments |= 1U << be16(p);
		break;
	}
	return true;
}

enum ha_error ha_parse(struct ha_msg *m, const uint8_t *data, size_t len)
{
	size_t at = 2;

	memset(m, 0, sizeof(*m));
	if (len < 2)
		return HA_TRUNCATED;
	m->version = data[0];
	m->type = data[1];
	if (m->version < HA_VERSION_MIN || m->version > HA_VERSION_MAX)
		return HA_BAD_VERSION;
	if (!m->type || m->type >= __HA_TYPE_MAX)
		return HA_BAD_TYPE;

	while (at < len) {
		const struct attribute *a = attribute_of(m->version, data[at]);
		size_t n;

		if (!a)
			return HA_BAD_ATTRIBUTE;
		at++;
		n = value_len(a->encoding, data + at, len - at);
		if (!n)
			return HA_TRUNCATED;
		if (!read_value(m, a->meaning, data + at, n))
			return HA_BAD_ATTRIBUTE;
		at += n;
	}
	return ha_is_state(m->type) && !m->has_id ? HA_NO_ID : HA_OK;
}

bool ha_next(const uint8_t *data, size_t len, size_t *at, struct ha_attribute *a)
{
	const struct attribute *known = *at < len ? attribute_of(data[0], data[*at]) : NULL;

	if (!known)
		return false;
	a->id = data[*at];
	a->value = data + *at + 1;
	a->len = value_len(known->encoding, a->value, len - *at - 1);
	*at += 1 + a->len;
	return a->len;
}

const char *ha_error_text(enum ha_error e)
{
	static const char * const text[] = {
		[HA_OK] = "fine",
		[HA_TRUNCATED] = "it is cut off, or an identity in it is longer than 255 bytes",
		[HA_BAD_VERSION] = "its version is none of 3, 4 and 5",
		[HA_BAD_TYPE] = "its type is unknown",
		[HA_BAD_ATTRIBUTE] = "it has an attribute that this version does not know, or one twice that names an IKE SA",
		[HA_NO_ID] = "it names no IKE SA",
	};

	return text[e];
}

const char *ha_type_name(uint8_t type)
{
	static const char * const name[] = {
		[HA_IKE_ADD] = "IKE_ADD",
		[HA_IKE_UPDATE] = "IKE_UPDATE",
		[HA_IKE_MID_INITIATOR] = "IKE_MID_INITIATOR",
		[HA_IKE_MID_RESPONDER] = "IKE_MID_RESPONDER",
		[HA_IKE_DELETE] = "IKE_DELETE",
		[HA_CHILD_ADD] = "CHILD_ADD",
		[HA_CHILD_DELETE] = "CHILD_DELETE",
		[HA_SEGMENT_DROP] = "SEGMENT_DROP",
		[HA_SEGMENT_TAKE] = "SEGMENT_TAKE",
		[HA_STATUS] = "STATUS",
		[HA_RESYNC] = "RESYNC",
		[HA_IKE_IV] = "IKE_IV",
	};

	return type < ARRAY_SIZE(name) && name[type] ? name[type] : "unknown";
}

bool ha_is_state(uint8_t type)
{
	return (type >= HA_IKE_ADD && type <= HA_CHILD_DELETE) || type == HA_IKE_IV;
}

bool ike_id_equal(const struct ike_id *a, const struct ike_id *b)
{
	return !memcmp(a->spi_i, b->spi_i, 8) && !memcmp(a->spi_r, b->spi_r, 8);
}

size_t ha_make_status(uint8_t *out, uint8_t version, bool segment_1)
{
	size_t n = 0;

	out[n++] = version;
	out[n++] = HA_STATUS;
	if (segment_1) {
		out[n++] = version == 3 ? 34 : 36;
		out[n++] = 0;
		out[n++] = 1;
	}
	return n;
}

static void write_id(uint8_t *p, const struct ike_id *id)
{
	p[0] = id->version;
	memcpy(p + 1, id->spi_i, 8);
	memcpy(p + 9, id->spi_r, 8);
	p[17] = id->initiator;
}

bool ha_rename(uint8_t *data, size_t len, const struct ike_id *id)
{
	if (len < HA_IKE_ID_END || data[2] != ATTR_IKE_ID)
		return false;
	write_id(data + 3, id);
	return true;
}

bool ha_set_replaced(uint8_t *data, size_t len, const struct ike_id *old)
{
	struct ha_attribute a;
	size_t at = 2;

	while (ha_next(data, len, &at, &a)) {
		if (!means(data[0], a.id, IS_REKEY_ID))
			continue;
		write_id(data + at - a.len, old);
		return true;
	}
	return false;
}

bool ha_addr_equal(const struct ha_addr *a, const struct ha_addr *b)
{
	return a->len == b->len && a->port == b->port && !memcmp(a->bytes, b->bytes, a->len);
}

static size_t write_host(uint8_t *p, const struct ha_addr *a)
{
	p[0] = a->port >> 8;
	p[1] = a->port;
	p[2] = a->len == 4 ? FAMILY_INET : FAMILY_INET6;
	memcpy(p + 3, a->bytes, a->len);
	return 3 + a->len;
}

size_t ha_move(uint8_t *out, const uint8_t *data, size_t len, const struct ha_addr *local, const struct ha_addr *remote, uint32_t nat)
{
	const struct ha_addr *left[2] = { local, remote };
	size_t at = 2, n = 2;

	memcpy(out, data, 2);
	while (at < len) {
		const struct attribute *a = attribute_of(data[0], data[at]);
		size_t value = a ? value_len(a->encoding, data + at + 1, len - at - 1) : 0;

		const struct ha_addr **now = a && (a->meaning == IS_LOCAL || a->meaning == IS_REMOTE) ? &left[a->meaning == IS_REMOTE] : NULL;

		if (!value || (now && !*now))
			return 0;
		memcpy(out + n, data + at, 1 + value);
		at += 1 + value;
		n++;
		if (now) {
			value = write_host(out + n, *now);
			*now = NULL;
		} else if (a->meaning == IS_CONDITIONS && !(out[n] & PRIVATE_SET)) {
			out[n + 3] = (out[n + 3] & ~HA_NAT_ALL) | (nat & HA_NAT_ALL);
		}
		n += value;
	}
	return left[0] || left[1] ? 0 : n;
}

void ha_move_selectors(uint8_t *data, size_t len, const struct ha_addr *from, const struct ha_addr *to)
{
	struct ha_attribute a;
	size_t at = 2;

	while (ha_next(data, len, &at, &a)) {
		uint8_t *ts = data + at - a.len;

		if (!means(data[0], a.id, IS_LOCAL_TS) || a.len != TS_FROM + 2 * (size_t)from->len ||
		    memcmp(ts + TS_FROM, from->bytes, from->len) || memcmp(ts + TS_FROM + from->len, from->bytes, from->len))
			continue;
		memcpy(ts + TS_FROM, to->bytes, to->len);
		memcpy(ts + TS_FROM + to->len, to->bytes, to->len);
	}
}

size_t ha_make_ike_delete(uint8_t *out, uint8_t version, const struct ike_id *id)
{
	out[0] = version;
	out[1] = HA_IKE_DELETE;
	out[2] = ATTR_IKE_ID;
	write_id(out + 3, id);
	return HA_IKE_ID_END;
}

size_t ha_make_child_delete(uint8_t *out, uint8_t version, const struct ike_id *id, uint32_t spi_in)
{
	size_t n = ha_make_ike_delete(out, version, id);

	out[1] = HA_CHILD_DELETE;
	out[n++] = version == 3 ? 27 : 29;
	memcpy(out + n, &spi_in, sizeof(spi_in));
	return n + sizeof(spi_in);
}

size_t ha_make_mid(uint8_t *out, uint8_t version, uint8_t type, const struct ike_id *id, uint32_t mid)
{
	size_t n = ha_make_ike_delete(out, version, id);
	int shift;

	out[1] = type;
	out[n++] = version == 3 ? 33 : 35;
	for (shift = 24; shift >= 0; shift -= 8)
		out[n++] = mid >> shift;
	return n;
}
