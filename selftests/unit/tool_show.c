// SPDX-License-Identifier: GPL-2.0
/*
 * tool_show.c - what the tool makes of the kernel's attributes: JSON, text, and the one line that says it all.
 */
// SOURCES: ../../user/espsync/attr.c ../../user/espsync/objects.c ../../user/espsync/text.c ../../user/espsync/summary.c ../../user/espsync/word.c ../../user/espsync/err.c
// LIBS: `pkg-config --cflags --libs libnl-3.0 jansson`
#include <linux/espsync.h>
#include <stdlib.h>
#include <string.h>
#include <netlink/msg.h>

#include "../../user/espsync/attr.h"
#include "../../user/espsync/summary.h"
#include "../../user/espsync/text.h"
#include "../../user/espsync/word.h"
#include "ktap.h"

/* Does a decoded object hold this JSON under this key? */
static bool holds(const json_t *object, const char *key, const char *want)
{
	json_t *value = json_object_get(object, key);
	char *got = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_PRESERVE_ORDER) : strdup("(none)");
	bool same = !strcmp(got, want);

	if (!same)
		ktap_diag("%s is %s, not %s", key, got, want);
	free(got);
	return same;
}

static bool sa_to_json(void)
{
	static const uint8_t dst[4] = { 192, 0, 2, 1 }, fingerprint[8] = { 1, 2, 3, 4, 5, 6, 7, 0xff };
	struct nl_msg *msg = nlmsg_alloc();
	struct nlattr *nest;
	json_t *json;

	nlmsg_put(msg, 0, 0, 0, 0, 0);
	nest = nla_nest_start(msg, ESPSYNC_A_SA);
	nla_put(msg, ESPSYNC_A_SA_DST, 4, dst);
	nla_put_u32(msg, ESPSYNC_A_SA_SPI, htonl(0x1234));
	nla_put_u8(msg, ESPSYNC_A_SA_PROTO, 50);
	nla_put(msg, ESPSYNC_A_SA_FINGERPRINT, 8, fingerprint);
	nla_put_u8(msg, ESPSYNC_A_SA_DIR, ESPSYNC_DIR_UNKNOWN);
	nla_put_u64(msg, ESPSYNC_A_SA_OSEQ, UINT64_MAX);
	nla_put_u32(msg, ESPSYNC_A_SA_SEQ, 7); /* not of its length: as if absent */
	nla_put_u8(msg, ESPSYNC_A_SA_OWNER, 2);
	nla_put_u8(msg, ESPSYNC_A_SA_STATE, ESPSYNC_SA_KEY_MISMATCH);
	nla_put_u32(msg, 999, 7);
	nla_nest_end(msg, nest);
	json = object_decode(&object_sas, nest);
	ktap_expect(holds(json, "dst", "\"192.0.2.1\"") && holds(json, "spi", "\"0x00001234\""));
	ktap_expect(holds(json, "proto", "\"esp\"") && holds(json, "fingerprint", "\"01020304050607ff\""));
	ktap_expect(holds(json, "dir", "null") && holds(json, "oseq", "\"18446744073709551615\""));
	ktap_expect(holds(json, "seq", "null") && holds(json, "owner", "2") && holds(json, "state", "\"key-mismatch\""));
	ktap_expect(json_object_size(json) == object_sas.n);
	json_decref(json);
	nlmsg_free(msg);
	return true;
}

static void add_drop(struct nl_msg *msg, uint8_t reason, uint64_t count)
{
	struct nlattr *nest = nla_nest_start(msg, ESPSYNC_A_PEER_DROPPED);

	nla_put_u8(msg, ESPSYNC_A_DROP_REASON, reason);
	nla_put_u64(msg, ESPSYNC_A_DROP_COUNT, count);
	nla_nest_end(msg, nest);
}

static void add_link(struct nl_msg *msg, uint8_t last, uint8_t state, uint32_t rtt_us)
{
	struct nlattr *nest = nla_nest_start(msg, ESPSYNC_A_PEER_LINK);
	uint8_t addr[4] = { 10, 99, 0, last };

	nla_put(msg, ESPSYNC_A_LINK_ADDR, sizeof(addr), addr);
	nla_put_u8(msg, ESPSYNC_A_LINK_STATE, state);
	if (rtt_us)
		nla_put_u32(msg, ESPSYNC_A_LINK_RTT_US, rtt_us);
	nla_put_u8(msg, ESPSYNC_A_LINK_DATA, state == ESPSYNC_LINK_UP);
	nla_nest_end(msg, nest);
}

static bool peer_to_json(void)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlattr *nest, *hist;
	json_t *json;
	char buf[128];

	nlmsg_put(msg, 0, 0, 0, 0, 0);
	nest = nla_nest_start(msg, ESPSYNC_A_PEER);
	add_link(msg, 2, ESPSYNC_LINK_UP, 312);
	add_link(msg, 3, ESPSYNC_LINK_ONE_WAY, 0);
	nla_put_u16(msg, ESPSYNC_A_PEER_PORT, htons(4520));
	add_drop(msg, ESPSYNC_DROP_AUTH, 3);
	add_drop(msg, ESPSYNC_DROP_RATE, 1);
	add_drop(msg, 200, 1);
	hist = nla_nest_start(msg, ESPSYNC_A_PEER_LAG_US);
	nla_put_u64(msg, ESPSYNC_A_HIST_BUCKET, 5);
	nla_put_u64(msg, ESPSYNC_A_HIST_BUCKET, 6);
	nla_nest_end(msg, hist);
	nla_nest_end(msg, nest);
	json = object_decode(&object_peer, nest);
	ktap_expect(holds(json, "port", "4520") && holds(json, "lag_us", "[\"5\",\"6\"]") && holds(json, "state", "null"));
	ktap_expect(holds(json, "dropped",
			  "{\"auth\":\"3\",\"replay\":\"0\",\"truncated\":\"0\",\"version\":\"0\",\"key-id\":\"0\",\"unknown-peer\":\"0\","
			  "\"unknown-sa\":\"0\",\"no-memory\":\"0\",\"rate\":\"1\"}"));
	ktap_expect(holds(json, "links",
			  "[{\"addr\":\"10.99.0.2\",\"port\":null,\"state\":\"up\",\"heard_ms\":null,\"rtt_us\":312,\"data\":true},"
			  "{\"addr\":\"10.99.0.3\",\"port\":null,\"state\":\"one-way\",\"heard_ms\":null,\"rtt_us\":null,\"data\":false}]"));
	for (size_t i = 0; i < object_peer.n; i++) {
		const struct attr *attr = &object_peer.attrs[i];

		text_value(attr, json_object_get(json, attr->name), buf, sizeof(buf));
		ktap_expect(attr->type != ESPSYNC_A_PEER_DROPPED || !strcmp(buf, "auth 3, rate 1"));
		ktap_expect(attr->type != ESPSYNC_A_PEER_LINK || !strcmp(buf, "10.99.0.2 up 0.3 ms, 10.99.0.3 one-way -"));
	}
	json_decref(json);
	nlmsg_free(msg);
	return true;
}

static void add_key(struct nl_msg *msg, uint8_t number, bool used)
{
	const uint8_t id[8] = { 0xab, number };
	struct nlattr *nest = nla_nest_start(msg, ESPSYNC_A_CHANNEL_KEYS);

	nla_put_u8(msg, ESPSYNC_A_KEY_NUMBER, number);
	nla_put(msg, ESPSYNC_A_KEY_ID, sizeof(id), id);
	nla_put_u8(msg, ESPSYNC_A_KEY_USED, used);
	nla_nest_end(msg, nest);
}

static bool keys_to_json(void)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlattr *nest;
	json_t *json, *none;
	char buf[64];

	nlmsg_put(msg, 0, 0, 0, 0, 0);
	nest = nla_nest_start(msg, ESPSYNC_A_CHANNEL);
	none = object_decode(&object_channel, nest);
	add_key(msg, 0, false);
	add_key(msg, 7, true);
	nla_nest_end(msg, nest);
	json = object_decode(&object_channel, nest);
	ktap_expect(holds(json, "keys", "[{\"id\":0,\"key_id\":\"ab00000000000000\",\"used\":false},"
					"{\"id\":7,\"key_id\":\"ab07000000000000\",\"used\":true}]"));
	ktap_expect(holds(none, "keys", "[]"));
	for (size_t i = 0; i < object_channel.n; i++)
		if (object_channel.attrs[i].type == ESPSYNC_A_CHANNEL_KEYS)
			ktap_expect(!strcmp(text_value(&object_channel.attrs[i], json_object_get(json, "keys"), buf, sizeof(buf)),
					    "0 ab00000000000000,7 ab07000000000000 used"));
	json_decref(json);
	json_decref(none);
	nlmsg_free(msg);
	return true;
}

static bool times(void)
{
	char buf[32];

	ktap_expect(!strcmp(text_us(312, buf, sizeof(buf)), "0.3 ms"));
	ktap_expect(!strcmp(text_us(5000000, buf, sizeof(buf)), "5.0 s"));
	return true;
}

static bool one_line(void)
{
	static const struct {
		const char *channel, *groups, *peers, *want;
	} rows[] = {
		{ "{}",
		  "[{\"group\":0,\"role\":\"active\",\"epoch\":\"4\",\"sas_total\":132,\"sas_protected\":132,\"takeover\":\"1000000000\"}]",
		  "[{\"node\":2,\"state\":\"up\",\"rtt_us\":312}]",
		  "group 0 active epoch 4 | peer 2 up 0.3 ms | 132 of 132 SAs protected | last takeover 2001-09-09 01:46:40" },
		{ "{}",
		  "[{\"group\":0,\"role\":\"standby\",\"epoch\":\"4\",\"in\":false,\"sas_total\":2,\"sas_protected\":1,\"takeover\":null}]",
		  "[{\"node\":2,\"state\":\"out\",\"rtt_us\":1},{\"node\":3,\"state\":\"down\",\"rtt_us\":312}]",
		  "group 0 standby epoch 4 out of sync | peer 2 out 0.0 ms, peer 3 down | 1 of 2 SAs protected | no takeover yet" },
		{ "{}", "[]",
		  "[{\"node\":2,\"state\":\"up\",\"rtt_us\":312,\"links\":[{\"state\":\"down\"},{\"state\":\"up\"}]},"
		  "{\"node\":3,\"state\":\"down\",\"links\":[{\"state\":\"down\"},{\"state\":\"down\"}]}]",
		  "no group | peer 2 up 0.3 ms, 1 of 2 links, peer 3 down | 0 of 0 SAs protected | no takeover yet" },
		{ "null", "[{\"group\":0,\"role\":\"undecided\",\"epoch\":\"0\"}]", "[]",
		  "no channel | group 0 undecided | no peers | 0 of 0 SAs protected | no takeover yet" },
	};
	bool good = true;

	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		json_t *channel = json_loads(rows[i].channel, JSON_DECODE_ANY, NULL);
		json_t *groups = json_loads(rows[i].groups, 0, NULL), *peers = json_loads(rows[i].peers, 0, NULL);
		json_t *line = summary(channel, groups, peers);

		if (strcmp(json_string_value(line), rows[i].want)) {
			ktap_diag("%s", json_string_value(line));
			good = false;
		}
		json_decref(channel);
		json_decref(groups);
		json_decref(peers);
		json_decref(line);
	}
	return good;
}

static bool nearest(void)
{
	static const struct {
		const char *written, *meant;
	} rows[] = {
		{ "no-per", "no-peer" }, { "helper-slient", "helper-silent" }, { "over", "overrun-go-on" }, { "xyzzy", NULL }, { "", NULL },
		{ "an-utterly-endless-word-that-nobody-would-ever-write", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *got = word_nearest(&words_reason, rows[i].written);

		ktap_expect(rows[i].meant ? got && !strcmp(got, rows[i].meant) : !got);
	}
	return true;
}

static const struct ktap_case cases[] = {
	{ "an SA as JSON", sa_to_json }, { "a peer as JSON and text", peer_to_json }, { "keys as JSON and text", keys_to_json },
	{ "times", times },
	{ "the one line", one_line },	 { "the nearest word", nearest },
};

KTAP_MAIN(cases)
