// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_text.c - user/espsyncd's smaller pure parts: configuration, keepalived's lines, vici's encoding, the stream of records.
 *
 * Job: what is taken, and the sentence for what is not.
 */
// SOURCES: ../../user/espsyncd/config.c ../../user/espsyncd/vrrp_line.c ../../user/espsyncd/vici_msg.c ../../user/espsyncd/stream.c ../../user/espsyncd/bytes.c
#include <string.h>

#include "../../user/espsyncd/config.h"
#include "../../user/espsyncd/stream.h"
#include "../../user/espsyncd/vici_msg.h"
#include "../../user/espsyncd/vrrp.h"
#include "ktap.h"

#define GOOD	"[node]\nnumber = 1\n[link]\nlocal = 10.99.0.1\n[peer 2]\naddress = 10.99.0.2\n[group 0]\naddresses = 192.0.2.1\n"

static bool takes_a_configuration(void)
{
	char error[CONFIG_ERROR];
	struct config c;

	ktap_expect(!config_parse(&c, "f", GOOD "[vrrp] # x\n instance=a b \n[limits]\nhold_s = 5 # s", error));
	ktap_expect(c.node == 1 && c.n_peers == 1 && c.peers[0].node == 2 && c.peers[0].port == 4521 && c.hold_s == 5);
	ktap_expect(!strcmp(c.instance, "a b") && c.n_addrs == 1 && c.addrs[0].bytes[3] == 1);
	ktap_expect(c.tunnel_kib == 256 && c.journal_mib == 1024);
	ktap_expect(!strcmp(c.strongswan, "/etc/strongswan.conf") && !strcmp(c.swanctl, "/etc/swanctl/swanctl.conf"));
	ktap_expect(config_may_be_ours(&c, "192.0.2.1") && config_may_be_ours(&c, "%any") && !config_may_be_ours(&c, "192.0.2.2"));
	ktap_expect(!config_parse(&c, "f", GOOD "[limits]\ntunnel_kib = 8\njournal_mib = 1", error) && c.tunnel_kib == 8 && c.journal_mib == 1);
	ktap_expect(!*c.move_to && !c.fetch);
	ktap_expect(!config_parse(&c, "f", GOOD "[move]\nto = /run/a/control\nfetch = yes", error) && !strcmp(c.move_to, "/run/a/control") && c.fetch);
	return true;
}

static bool takes_what_the_gateway_initiates(void)
{
	char error[CONFIG_ERROR];
	struct config c;

	ktap_expect(!config_parse(&c, "f", GOOD "[initiate a]\nchildren = x, y\nchildren = z\n[initiate b.c]\nchildren = x", error));
	ktap_expect(c.n_initiate == 2 && !strcmp(c.initiate[0].conn, "a") && !strcmp(c.initiate[1].conn, "b.c"));
	ktap_expect(c.initiate[0].n_children == 3 && !strcmp(c.initiate[0].children[1], "y") && !strcmp(c.initiate[0].children[2], "z"));
	ktap_expect(c.initiate[1].n_children == 1 && !strcmp(c.initiate[1].children[0], "x"));
	ktap_expect(!config_parse(&c, "f", GOOD, error) && !c.n_initiate);
	return true;
}

#define NAME_64		"0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
	const char *text, *sentence;
} bad[] = {
	{ "", "f:0: [node] number is missing" },
	{ "x = 1", "f:1: 'x' stands before any section" },
	{ "[node]\nnumber", "f:2: 'number' is neither" },
	{ "[node]\nnumber = 0", "f:2: number is '0' (give a number from 1 to 255)" },
	{ "[node]\nnumber = 256", "f:2: number is '256'" },
	{ "[node]\nnumber = -1", "f:2: number is '-1'" },
	{ "[node]\nnumber = 1x", "f:2: number is '1x'" },
	{ "[node]\nnumber = 1\nnumber = 1", "f:3: number was already given" },
	{ "[node]\ncolour = 1", "f:2: [node] knows no 'colour'" },
	{ "[nodes]", "f:1: unknown section [nodes]" },
	{ "[move]\nto = here", "f:2: to must be an absolute path" },
	{ "[move]\nfetch = perhaps", "f:2: fetch is 'perhaps' (give yes or no)" },
	{ GOOD "[move]\nfetch = yes", "[move] fetch = yes without to" },
	{ "[node", "f:1: a section is written [name]" },
	{ "[node] x", "f:1: a section is written [name]" },
	{ "[node 1]", "f:1: [node] takes no '1'" },
	{ "[group 1]", "f:1: [group 1] (espsyncd serves group 0; one with IKE of its own has a namespace of its own)" },
	{ "[peer x]", "f:1: [peer x] (name the peer by its node number" },
	{ "[peer 2]\n[peer 2]", "f:2: peer 2 was already named in line 1" },
	{ "[peer 2]\naddress = host", "f:2: address is 'host'" },
	{ "[charon]\nhelper = ::1", "f:2: helper is '::1' (give an IPv4 address" },
	{ "[charon]\nfifo = run/x", "f:2: fifo must be an absolute path" },
	{ "[group 0]\naddresses = 1.2.3", "f:2: '1.2.3' is no address" },
	{ "[charon]\ncommit = 1", "f:2: commit is '1' (give yes or no)" },
	{ "[charon]\nrekey_after_takeover = 1001", "f:2: rekey_after_takeover is '1001' (give a number from 0 to 1000)" },
	{ "[initiate]", "f:1: [initiate ] (name one connection of swanctl.conf" },
	{ "[initiate a b]", "f:1: [initiate a b] (name one connection of swanctl.conf" },
	{ "[initiate " NAME_64 "]", "(name one connection of swanctl.conf, at most 63 bytes" },
	{ "[initiate a]\nchildren = x\n[initiate a]", "f:3: [initiate a] was already there in line 1" },
	{ "[initiate a]\nchildren = a b c d e f g h i", "f:2: at most 8 children" },
	{ "[initiate a]\nchildren = " NAME_64, "f:2: a child's name has at most 63 bytes here" },
	{ "[initiate a]\nchild = x", "f:2: [initiate] knows no 'child'" },
	{ GOOD "[initiate a]\n[initiate b]\nchildren = x", "f:9: [initiate a] has no children" },
	{ GOOD "[initiate a]\nchildren =", "f:9: [initiate a] has no children" },
	{ "[limits]\ntunnel_kib = 7", "f:2: tunnel_kib is '7' (give a number from 8 to 65536)" },
	{ "[vrrp]\ninstance = \"x\"", "f:2: instance must be a name" },
	{ GOOD "[peer 1]\naddress = 10.99.0.3", "f:9: peer 1 is this node" },
	{ GOOD "[peer 3]", "f:9: peer 3 has no address" },
	{ GOOD "[peer 3]\naddress = ::3", "f:9: peer 3's address is not of the same family" },
	{ GOOD "[link]\ndead_ms = 1000", "dead_ms 1000 is less than twice keepalive_ms 1000" },
};

static bool has_a_sentence_for_each_mistake(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char error[CONFIG_ERROR] = "";
		struct config c;

		bool refused = config_parse(&c, "f", bad[i].text, error) && strstr(error, bad[i].sentence);

		if (!refused)
			ktap_diag("'%s': '%s', not '%s'", bad[i].text, error, bad[i].sentence);
		ktap_expect(refused);
	}
	return true;
}

static bool keys_are_64_digits(void)
{
	const char *good = " 000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";
	uint8_t key[32];

	ktap_expect(!config_parse_key(key, good, strlen(good)) && key[1] == 1 && key[31] == 0x1f && key[26] == 0x1a);
	ktap_expect(config_parse_key(key, good, 64));
	ktap_expect(config_parse_key(key, "", 0));
	ktap_expect(config_parse_key(key, "g00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", 64));
	ktap_expect(key[31] == 0x1f);
	return true;
}

static const struct {
	const char *line, *instance;
	enum vrrp_state state;
} lines[] = {
	{ "INSTANCE \"espsync\" MASTER 100", "espsync", VRRP_MASTER },
	{ "INSTANCE \"espsync\" BACKUP 100", "espsync", VRRP_NOT_MASTER },
	{ "INSTANCE \"espsync\" FAULT 100", "", VRRP_NOT_MASTER },
	{ "INSTANCE \"espsync\" STOP 100", "", VRRP_NOT_MASTER },
	{ "INSTANCE \"other\" MASTER 100", "espsync", VRRP_UNKNOWN },
	{ "INSTANCE \"espsync2\" MASTER 100", "espsync", VRRP_UNKNOWN },
	{ "INSTANCE \"esp\" MASTER 100", "espsync", VRRP_UNKNOWN },
	{ "GROUP \"espsync\" MASTER 100", "espsync", VRRP_MASTER },
	{ "GROUP \"espsync\" MASTER 100", "", VRRP_UNKNOWN },
	{ "INSTANCE \"espsync\" MASTER_PRIORITY 100", "espsync", VRRP_UNKNOWN },
	{ "INSTANCE \"espsync MASTER", "", VRRP_UNKNOWN },
	{ "INSTANCE espsync MASTER", "", VRRP_UNKNOWN },
	{ "INSTANCES \"x\" MASTER", "", VRRP_UNKNOWN },
	{ "", "", VRRP_UNKNOWN },
};

static bool reads_keepalived(void)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (vrrp_parse_line(lines[i].line, lines[i].instance) != lines[i].state)
			ktap_diag("%s", lines[i].line);
		ktap_expect(vrrp_parse_line(lines[i].line, lines[i].instance) == lines[i].state);
	}
	return true;
}

static bool reads_vici(void)
{
	static const uint8_t m[] = "\1\4conn\3\1k\0\1v\4\1l\5\0\2i1\6\1\1s\2\2";
	struct vici_reader r;
	size_t n = sizeof(m) - 1;

	vici_read(&r, m, n);
	ktap_expect(vici_next(&r) == VICI_SECTION_START && r.depth == 1 && !strcmp(r.name, "conn"));
	ktap_expect(vici_next(&r) == VICI_KEY_VALUE && !strcmp(r.name, "k") && !strcmp(r.value, "v"));
	ktap_expect(vici_next(&r) == VICI_LIST_START && vici_next(&r) == VICI_LIST_ITEM && !strcmp(r.value, "i1"));
	ktap_expect(vici_next(&r) == VICI_LIST_END && vici_next(&r) == VICI_SECTION_START && r.depth == 2);
	ktap_expect(vici_next(&r) == VICI_SECTION_END && vici_next(&r) == VICI_SECTION_END && vici_next(&r) == VICI_END);
	for (size_t cut = 1; cut < n; cut++) {
		enum vici_element e;

		vici_read(&r, m, n - cut);
		while ((e = vici_next(&r)) > VICI_END)
			;
		ktap_expect(e == VICI_MALFORMED);
	}
	vici_read(&r, (const uint8_t *)"\2", 1);
	ktap_expect(vici_next(&r) == VICI_MALFORMED);
	vici_read(&r, (const uint8_t *)"\7", 1);
	ktap_expect(vici_next(&r) == VICI_MALFORMED);
	return true;
}

static bool the_stream_is_bounded(void)
{
	uint8_t data[100] = { 0 };
	struct stream s;

	stream_init(&s, 164 * 100);
	stream_begin(&s, 7);
	ktap_expect(stream_has_after(&s, 0) && !stream_get(&s, 1));
	for (int i = 1; i <= 1000; i++) {
		data[0] = i;
		stream_add(&s, data, sizeof(data));
		ktap_expect(s.size <= s.max_size && stream_get(&s, i)->data[0] == (uint8_t)i);
	}
	ktap_expect(s.n == 100 && s.last == 1000);
	ktap_expect(!stream_get(&s, 900) && stream_get(&s, 901)->data[0] == (uint8_t)901 && !stream_get(&s, 1001));
	ktap_expect(!stream_has_after(&s, 899) && stream_has_after(&s, 900) && stream_has_after(&s, 1000) && !stream_has_after(&s, 1001));
	stream_forget(&s, 950);
	ktap_expect(!stream_get(&s, 950) && stream_get(&s, 951) && s.n == 50);
	stream_forget(&s, 5000);
	ktap_expect(s.n == 0 && s.size == 0 && stream_has_after(&s, 1000) && !stream_has_after(&s, 999));
	stream_begin(&s, 8);
	ktap_expect(s.last == 0 && s.epoch == 8);
	stream_exit(&s);
	return true;
}

static const struct ktap_case cases[] = {
	{ "takes a configuration", takes_a_configuration },
	{ "takes what the gateway initiates", takes_what_the_gateway_initiates },
	{ "has a sentence for each mistake", has_a_sentence_for_each_mistake },
	{ "keys are 64 digits", keys_are_64_digits },
	{ "reads keepalived's lines", reads_keepalived },
	{ "reads vici", reads_vici },
	{ "the stream is bounded", the_stream_is_bounded },
};

KTAP_MAIN(cases)
