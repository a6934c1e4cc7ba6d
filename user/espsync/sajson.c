// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sajson.c - JSON to counters of SAs. Hostile input: sizes are bounded, unknown and repeated keys are refused, every refusal names the key.
 *
 * Pure: no netlink, no file; bytes in, structs out, so that it can be fuzzed.
 */
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sajson.h"
#include "word.h"

static bool get_u64(const json_t *value, uint64_t max, uint64_t *out)
{
	const char *s = json_string_value(value);

	if (s && !text_to_u64(s, out))
		return false;
	if (json_is_integer(value)) {
		if (json_integer_value(value) < 0)
			return false;
		*out = (uint64_t)json_integer_value(value);
	} else if (!s) {
		return false;
	}
	return *out <= max;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_hex(const json_t *value, uint8_t *out, size_t max, size_t *len)
{
	size_t n = json_string_length(value);
	const char *s = json_string_value(value);

	if (!s || n % 2 || n / 2 > max)
		return false;
	for (size_t i = 0; i < n; i += 2) {
		int hi = nibble(s[i]), lo = nibble(s[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	*len = n / 2;
	return true;
}

static bool read_dst(struct sa_counters *sa, const json_t *value)
{
	const char *s = json_string_value(value);

	return s && text_to_addr(s, &sa->dst);
}

static bool read_spi(struct sa_counters *sa, const json_t *value)
{
	const char *s = json_string_value(value);
	uint64_t n = 0;

	if (s && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		size_t len = strlen(s + 2);

		if (!len || len > 8 || strspn(s + 2, "0123456789abcdefABCDEF") != len)
			return false;
		n = strtoull(s + 2, NULL, 16);
	} else if (!get_u64(value, UINT32_MAX, &n)) {
		return false;
	}
	sa->spi = (uint32_t)n;
	return n != 0;
}

static bool read_proto(struct sa_counters *sa, const json_t *value)
{
	const char *s = json_string_value(value);
	json_int_t n = s ? word_find(&words_proto, s) : json_integer_value(value);

	if (n < 0 || n > UINT8_MAX || !word_name(&words_proto, (unsigned int)n))
		return false;
	sa->proto = (uint8_t)n;
	return true;
}

static bool read_fingerprint(struct sa_counters *sa, const json_t *value)
{
	size_t len;

	return get_hex(value, sa->fingerprint, sizeof(sa->fingerprint), &len) && len == sizeof(sa->fingerprint);
}

static bool read_oseq(struct sa_counters *sa, const json_t *value)
{
	return get_u64(value, UINT64_MAX, &sa->oseq);
}

static bool read_seq(struct sa_counters *sa, const json_t *value)
{
	return get_u64(value, UINT64_MAX, &sa->seq);
}

static bool read_window(struct sa_counters *sa, const json_t *value)
{
	uint64_t n;

	if (!get_u64(value, SAJSON_BITMAP_BYTES * 8, &n))
		return false;
	sa->window = (uint32_t)n;
	return true;
}

static bool read_bitmap(struct sa_counters *sa, const json_t *value)
{
	return get_hex(value, sa->bitmap, sizeof(sa->bitmap), &sa->bitmap_len);
}

static bool read_bytes(struct sa_counters *sa, const json_t *value)
{
	return get_u64(value, UINT64_MAX, &sa->bytes);
}

static bool read_packets(struct sa_counters *sa, const json_t *value)
{
	return get_u64(value, UINT64_MAX, &sa->packets);
}

/* The keys that `sa get` writes; see object_counters. */
static const struct key {
	const char *name;
	enum sa_has has;
	bool (*read)(struct sa_counters *sa, const json_t *value);
	const char *form;
} keys[] = {
	{ "dst", SA_HAS_DST, read_dst, "an address" },
	{ "spi", SA_HAS_SPI, read_spi, "a number from 1 to 0xffffffff, as \"0x...\" or decimal" },
	{ "proto", SA_HAS_PROTO, read_proto, "\"esp\" or \"ah\"" },
	{ "fingerprint", SA_HAS_FINGERPRINT, read_fingerprint, "16 hex digits" },
	{ "oseq", SA_HAS_OSEQ, read_oseq, "a 64-bit number, best as a string" },
	{ "seq", SA_HAS_SEQ, read_seq, "a 64-bit number, best as a string" },
	{ "window", SA_HAS_WINDOW, read_window, "a number up to 4096" },
	{ "bitmap", SA_HAS_BITMAP, read_bitmap, "an even count of hex digits, at most 1024" },
	{ "bytes", SA_HAS_BYTES, read_bytes, "a 64-bit number, best as a string" },
	{ "packets", SA_HAS_PACKETS, read_packets, "a 64-bit number, best as a string" },
};

static const struct key *key_find(const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int read_sa(struct sajson *in, json_t *object, struct sa_counters *sa)
{
	const struct key *key;
	const char *name;
	json_t *value;

	*sa = (struct sa_counters){ .proto = IPPROTO_ESP };
	if (!json_is_object(object)) {
		snprintf(in->why, sizeof(in->why), "an SA is an object, {\"dst\": ..., \"spi\": ..., ...}");
		return -1;
	}
	json_object_foreach(object, name, value) {
		key = key_find(name);
		if (!key) {
			snprintf(in->why, sizeof(in->why), "unknown key '%.64s'", name);
			return -1;
		}
		if (json_is_null(value))
			continue;
		if (!key->read(sa, value)) {
			snprintf(in->why, sizeof(in->why), "'%s' is not %s", key->name, key->form);
			return -1;
		}
		sa->has |= key->has;
	}
	if (!(sa->has & SA_HAS_DST) || !(sa->has & SA_HAS_SPI))
		snprintf(in->why, sizeof(in->why), "'%s' is missing", sa->has & SA_HAS_DST ? "spi" : "dst");
	else if ((sa->has & SA_HAS_BITMAP) && !(sa->has & SA_HAS_SEQ))
		snprintf(in->why, sizeof(in->why), "'bitmap' says nothing without 'seq'");
	else
		return 0;
	return -1;
}

static int read_value(struct sajson *in, json_t *value, struct sa_counters **sas, size_t *n)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;

	if (count > SAJSON_MAX_SAS) {
		snprintf(in->why, sizeof(in->why), "more than %d SAs in one array", SAJSON_MAX_SAS);
		return -1;
	}
	*sas = calloc(count ? count : 1, sizeof(**sas));
	if (!*sas) {
		snprintf(in->why, sizeof(in->why), "out of memory");
		return -1;
	}
	for (*n = 0; *n < count; ++*n)
		if (read_sa(in, json_is_array(value) ? json_array_get(value, *n) : value, &(*sas)[*n])) {
			free(*sas);
			*sas = NULL;
			return -1;
		}
	return 1;
}

/* One byte at a time: what lies behind the value stays in the stream, and a pipe is not waited for. */
static size_t feed(void *buf, size_t size, void *arg)
{
	struct sajson *in = arg;
	int c = in->ahead;

	if (!size || !in->left)
		return 0;
	in->left--;
	in->ahead = -1;
	if (c < 0)
		c = in->getc(in->arg);
	if (c < 0)
		return 0;
	*(char *)buf = (char)c;
	return 1;
}

void sajson_init(struct sajson *in, int (*getc)(void *arg), void *arg)
{
	*in = (struct sajson){ .getc = getc, .arg = arg, .ahead = -1 };
}

int sajson_next(struct sajson *in, struct sa_counters **sas, size_t *n)
{
	json_error_t error;
	json_t *value;
	int ret;

	*sas = NULL;
	do {
		in->ahead = in->getc(in->arg);
	} while (in->ahead == ' ' || in->ahead == '\t' || in->ahead == '\n' || in->ahead == '\r');
	if (in->ahead < 0)
		return 0;
	in->left = in->ahead == '[' ? SAJSON_ARRAY_BYTES : SAJSON_OBJECT_BYTES;
	value = json_load_callback(feed, in, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
	if (!value && !in->left)
		snprintf(in->why, sizeof(in->why), "one SA's text is longer than %d bytes, or an array's than %d",
			 SAJSON_OBJECT_BYTES, SAJSON_ARRAY_BYTES);
	else if (!value)
		snprintf(in->why, sizeof(in->why), "not JSON: %s", error.text);
	if (!value)
		return -1;
	ret = read_value(in, value, sas, n);
	json_decref(value);
	return ret;
}
