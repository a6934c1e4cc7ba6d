// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../kmod/wire.c
/*
 * seeds.c - writes what the fuzzers begin with: seeds DIRECTORY.
 *
 * Job: a few valid inputs for each target whose input is not text, from the unit tests' messages. What a target makes of its input is
 * written at its top.
 */
#include <errno.h>
#include <sys/stat.h>

#include "../unit/espsyncd_messages.h"
#include "fuzz.h"
#include "wire.h"

struct seed {
	uint8_t b[4096];
	size_t n;
};

static const char *top;

static void add(struct seed *s, const void *p, size_t n)
{
	must(s->n + n <= sizeof(s->b));
	memcpy(s->b + s->n, p, n);
	s->n += n;
}

static void add8(struct seed *s, uint8_t v)
{
	add(s, &v, 1);
}

static void add16(struct seed *s, uint16_t v)
{
	add8(s, v >> 8);
	add8(s, v);
}

static void add32(struct seed *s, uint32_t v)
{
	add16(s, v >> 16);
	add16(s, v);
}

static void add64(struct seed *s, uint64_t v)
{
	add32(s, v >> 32);
	add32(s, v);
}

static void save(const char *target, const char *name, const struct seed *s)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, target);
	must(!mkdir(path, 0777) || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s", top, target, name);
	f = fopen(path, "w");
	must(f && fwrite(s->b, 1, s->n, f) == s->n && !fclose(f));
}

/* ---- wire: head, groups, a record of each kind ---- */

static void of_wire(void)
{
	static const u8 types[] = { ES_WIRE_NAME, ES_WIRE_OUT, ES_WIRE_IN, ES_WIRE_GONE, ES_WIRE_SYNCED, ES_WIRE_UNKNOWN };
	struct es_wire_head h = { .ts = 1000000, .echo = 999000, .hold_us = 96, .ack_seq = 7, .ack_bits = 0x7f, .links = 1, .ngroups = 1 };
	struct es_wire_group g = { .role = 2, .flags = ES_GROUP_IN, .node = 1, .epoch = 1700000000, .evict_ms = 5000 };
	struct es_wire_rec r = {
		.handle = 3, .proto = 50, .dir = 1, .family = 2, .flags = 1, .spi = 0xc0000001, .fp = 0x1122334455667788, .lease = 1 << 20,
		.ceiling = 1 << 21, .bytes = 1 << 20, .packets = 1000, .win = { .seq = 70, .nbits = 64, .bits = { 0xffff7fff, 0xfffffffe } },
	};
	struct seed s = { 0 };
	struct es_cursor c = { .p = s.b, .end = s.b + sizeof(s.b) };

	es_wire_put_head(&c, &h);
	es_wire_put_group(&c, &g);
	s.n = c.p - s.b;
	save("wire", "head", &s);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		r.type = types[i];
		must(es_wire_put_rec(&c, &r));
	}
	s.n = c.p - s.b;
	save("wire", "records", &s);
	r.type = ES_WIRE_IN;
	r.win.nbits = ES_WINDOW_MAX;
	r.win.seq = 1ULL << 40;
	must(es_wire_put_rec(&c, &r));
	s.n = c.p - s.b;
	save("wire", "wide", &s);
}

/* ---- session: steps ---- */

static void of_session(void)
{
	/* n1 asks, all is answered; both speak; one datagram again, damaged, by others; n2 restarts; it is asked. */
	static const uint8_t connect[] = { 0, 0x83, 0, 1, 0x83, 3, 0x81, 3, 4 };
	static const uint8_t again[] = { 0, 0x83, 0, 1, 0x82, 5, 0x82, 5, 0x84, 5, 1, 0, 60, 0x84, 5, 2, 0, 50, 8, 80, 0x86, 8, 100, 0, 0x83, 9 };
	static const uint8_t stranger[] = { 0, 0x83, 0, 0x85, 3, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 9, 1 };
	struct seed s = { 0 };

	add(&s, connect, sizeof(connect));
	save("session", "connect", &s);
	s.n = 0;
	add(&s, again, sizeof(again));
	save("session", "again", &s);
	s.n = 0;
	add(&s, stranger, sizeof(stranger));
	save("session", "stranger", &s);
	s.n = 0;
	add(&s, connect, sizeof(connect));
	add(&s, "\x0b\x01\x01", 3);
	for (int i = 0; i < 8; i++)
		add64(&s, 0x0000000000000101 * i);
	add(&s, "\x8b\x00\x84", 3);
	add64(&s, 2050);
	add64(&s, 1);
	add64(&s, 2);
	save("session", "insider", &s);
}

/* ---- codec and journal: a charon's messages ---- */

static struct wire of_version_5(struct wire w)
{
	w.b[0] = 5;
	return w;
}

static void of_codec(void)
{
	struct wire all[] = {
		ike_add(2, 1), ike_update(1, "office", 1), ike_vips(1), mid(1, HA_IKE_MID_RESPONDER, 9), child(1, HA_CHILD_ADD, 0xcf1121a3),
		child(1, HA_CHILD_DELETE, 0xcf1121a3), ike_delete(1), begin(3, HA_STATUS, 0), of_version_5(ike_update(3, "five", 1)),
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct seed s = { 0 };
		char name[16];

		add(&s, all[i].b, all[i].n);
		snprintf(name, sizeof(name), "message-%zu", i);
		save("codec", name, &s);
	}
}

static void message(struct seed *s, uint8_t how, struct wire w)
{
	add8(s, how);
	add16(s, w.n);
	add(s, w.b, w.n);
}

static void establish(struct seed *s, uint8_t n)
{
	message(s, 0, ike_add(n, 0));
	message(s, 0, mid(n, HA_IKE_MID_RESPONDER, 2));
	message(s, 0, ike_update(n, "office", 1));
	message(s, 0, child(n, HA_CHILD_ADD, n * 100));
	message(s, 0, ike_vips(n));
}

static void rekey(struct seed *s, uint8_t n, uint8_t old)
{
	message(s, 0, ike_add(n, old));
	message(s, 0, ike_delete(old));
	message(s, 0, ike_update(n, "office", 1));
}

static void of_journal(void)
{
	struct seed s = { 0 };

	establish(&s, 1);
	save("journal", "established", &s);
	rekey(&s, 2, 1);
	message(&s, 0, child(2, HA_CHILD_ADD, 201));
	save("journal", "rekeyed", &s);
	message(&s, 0, child(2, HA_CHILD_DELETE, 100));
	rekey(&s, 3, 2);
	establish(&s, 9);
	message(&s, 1, ike_add(4, 3));
	add8(&s, 3);
	add16(&s, 0);
	message(&s, 0, ike_delete(9));
	save("journal", "trimmed", &s);
}

/* ---- the helpers: framing, records, what frames mean ---- */

static void of_stream(void)
{
	struct seed s = { 0 };

	add8(&s, 20);
	for (int i = 0; i < 30; i++) {
		add8(&s, 22);
		add(&s, "eleven bytes", 11);
	}
	add(&s, "\x20\xc9", 2);
	add8(&s, 4);
	add(&s, "ab", 2);
	save("stream", "steps", &s);
}

static void frame(struct seed *s, uint8_t type, const void *p, size_t n)
{
	add32(s, n);
	add8(s, type);
	add(s, p, n);
}

static void of_link(void)
{
	struct wire w = ike_update(1, "office", 1);
	struct seed s = { 0 };

	add(&s, "\x03\xff\x02\x00", 4);
	frame(&s, 1, "\1\2", 2);
	frame(&s, 4, w.b, w.n);
	frame(&s, 9, "", 0);
	save("link", "frames", &s);
	add32(&s, 66 << 10 | 1);
	add8(&s, 4);
	save("link", "too-long", &s);
}

/* The charon of the first node, which is active; frames to the other; its charon has applied them. */
static void said(struct seed *s, struct wire w)
{
	add8(s, 0);
	add16(s, w.n);
	add(s, w.b, w.n);
	add(s, "\xf6\x76\xf6\x87", 4);
}

static void thirds(struct seed *s, uint8_t type, const void *p, size_t n)
{
	add8(s, 0x8d);
	add8(s, type);
	add16(s, n);
	add(s, p, n);
}

static void of_relay(void)
{
	struct wire w = ike_add(3, 0);
	struct seed s = { 0 };

	add(&s, "\x18\x88\x04\xf6\x76\x0a\xf6\x76", 8);
	said(&s, ike_add(1, 0));
	said(&s, mid(1, HA_IKE_MID_RESPONDER, 2));
	said(&s, ike_update(1, "office", 1));
	said(&s, child(1, HA_CHILD_ADD, 100));
	save("relay", "relayed", &s);
	add(&s, "\x05\x04\xf6\x76\x0a\xf6\x76\xf6", 8);
	said(&s, ike_add(2, 1));
	said(&s, ike_delete(1));
	said(&s, ike_update(2, "office", 1));
	add(&s, "\x98\x08", 2);
	save("relay", "rekeyed", &s);
	s.n = 0;
	add(&s, "\x88", 1);
	thirds(&s, 1, "\1\3", 2);
	thirds(&s, 2, "\1\3\1\0\0\0\0\0\0\0\7\0\0\0\1\0\0\0\0", 19);
	thirds(&s, 6, "\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0", 16);
	thirds(&s, 7, w.b, w.n);
	w = ike_update(3, "office", 1);
	thirds(&s, 7, w.b, w.n);
	thirds(&s, 8, "\0\0\0\2", 4);
	save("relay", "third", &s);
}

/* ---- vici and keepalived ---- */

static void packet(struct seed *s, uint8_t type, const char *event, const void *p, size_t n)
{
	size_t name = event ? 1 + strlen(event) : 0;

	add32(s, 1 + name + n);
	add8(s, type);
	if (event) {
		add8(s, strlen(event));
		add(s, event, strlen(event));
	}
	add(s, p, n);
}

static void of_vici(void)
{
	static const char conn[] = "\1\6office\2";
	static const char sa[] = "\1\6office\3\10uniqueid\0\1" "7\3\15initiator-spi\0\20" "c0ffee01c0ffee01\3\5state\0\13" "ESTABLISHED"
		"\3\12local-host\0\11" "192.0.2.1\1\11child-sas\1\5net-1\3\6spi-in\0\10" "cf1121a3\2\2\2";
	static const char list[] = "\1\4conn\3\1k\0\1v\4\1l\5\0\2i1\6\1\1s\2\2";
	struct seed s = { 0 };

	add(&s, list, sizeof(list) - 1);
	save("vici", "elements", &s);
	s.n = 0;
	packet(&s, 5, NULL, "", 0);
	packet(&s, 7, "list-conn", conn, sizeof(conn) - 1);
	packet(&s, 1, NULL, "", 0);
	packet(&s, 5, NULL, "", 0);
	packet(&s, 5, NULL, "", 0);
	packet(&s, 7, "list-sa", sa, sizeof(sa) - 1);
	packet(&s, 1, NULL, "", 0);
	packet(&s, 5, NULL, "", 0);
	packet(&s, 1, NULL, "\3\7success\0\3yes", 14);
	save("vici", "answers", &s);
}

/* ---- configurations: of two nodes; a connection as charon tells it, and as its file says it ---- */

static void of_digest(void)
{
	static const char one[] = "\0\0\0strongSwan\0" "5.9.8\0\1office\0\0\0\0\1office\0\0version\0IKEv2\0\1office\0net\0\0\0\1office\0net\0rekey_time\0" "3600\0"
		"\2office\0\0\0\0\2office\0\0proposals\0aes128-sha256\0";
	static const char two[] = "\0\0\0charon\0\0\0\0\0charon.x\0y\0\0\0\0strongSwan\0" "6.1.0\0\1home\0\0\0\0\1office\0\0\0\0\1office\0\0version\0IKEv1\0"
		"\2office\0\0\0\0\2office\0\0mobike\0no\0";
	struct seed s = { 0 };

	add16(&s, sizeof(one) - 1);
	add(&s, one, sizeof(one) - 1);
	add(&s, two, sizeof(two) - 1);
	save("digest", "two", &s);
}

/* ---- context: an IKE SA with a CHILD SA, and its numbers ---- */

static void add_message(struct seed *s, struct wire w)
{
	add32(s, w.n);
	add(s, w.b, w.n);
}

static void of_context(void)
{
	static const uint8_t config[] = "\1home\0\0\0", numbers[] = { [15] = 9, [22] = 16, [25] = 16, [35] = 3, [38] = 4, [57] = 4, 1, 2, 3, 4 };
	struct seed s = { 0 };

	add(&s, "\1\0\0\0\0\0\0\0\7", 9);
	add32(&s, 4);
	add_message(&s, ike_add(1, 0));
	add_message(&s, ike_update(1, "home", 1));
	add_message(&s, ike_vips(1));
	add_message(&s, child(1, HA_CHILD_ADD, 0x11));
	add32(&s, 2);
	for (uint8_t dir = 1; dir <= 2; dir++) {
		add(&s, (uint8_t[]){ dir, 50 }, 2);
		add32(&s, 0x10 + dir);
		add(&s, numbers, sizeof(numbers));
	}
	add32(&s, sizeof(config));
	add(&s, config, sizeof(config));
	save("context", "home", &s);
}

static void of_facts(void)
{
	static const char answer[] = "\1\6office\4\13local_addrs\5\0\11" "192.0.2.1\6\3\7version\0\5IKEv2\1\10" "children\1\3net\3\12rekey_time\0\4" "3600"
		"\4\10local-ts\5\0\13" "10.1.0.0/24\6\2\2\2";
	static const char file[] = "base {\n\tversion = 2\n\tpools = p, q # of all\n}\nconnections {\n\toffice : base {\n\t\tlocal_addrs = 192.0.2.1\n"
		"\t\tmobike = no\n\t\tchildren {\n\t\t\tnet {\n\t\t\t\tesp_proposals = \"aes128 \\\"\\n\"\n\t\t\t}\n\t\t}\n\t}\n}\n"
		"secrets {\n\tike {\n\t\tsecret = x\n\t}\n}\ninclude conf.d/*.conf\ncharon {\n\treplay_window = 64\n\tplugins {\n ha {\n"
		"monitor = yes\n\t\t}\n\t}\n}\n";
	struct seed s = { 0 };

	add16(&s, sizeof(answer) - 1);
	add(&s, answer, sizeof(answer) - 1);
	add(&s, file, sizeof(file) - 1);
	save("facts", "office", &s);
}

static void of_vrrp(void)
{
	static const char lines[] = "\1\5INSTANCE \"espsync\" BACKUP 100\nINSTANCE \"espsync\" MASTER 100\nGROUP \"espsync\" FAULT 0\n"
		"INSTANCE \"other\" STOP 0\nINSTANCE \"espsync\" MASTER_PRIORITY 1\n";
	struct seed s = { 0 };

	add(&s, lines, sizeof(lines) - 1);
	save("vrrp", "lines", &s);
}

/* ---- ikehdr: CREATE_CHILD_SA request 7, plain and behind a NAT ---- */

static void of_ikehdr(void)
{
	static const uint8_t ipv4[20] = { 0x45, 0, 0, 80, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 100, 192, 0, 2, 1 };
	static const uint8_t ipv6[40] = { 0x60, 0, 0, 0, 0, 60, 17, 64, 0x20, 1, 0xd, 0xb8, [23] = 100, [24] = 0x20, 1, 0xd, 0xb8, [39] = 1 };
	static const uint8_t plain[8] = { 1, 0xf4, 1, 0xf4 }, natted[12] = { 0x20, 0, 0x11, 0x94 };
	static const uint8_t ike[28] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 46, 0x20, 36, 8, 0, 0, 0, 7, 0, 0, 0, 80 };
	struct seed s = { 0 };

	add(&s, ipv4, sizeof(ipv4));
	add(&s, natted, sizeof(natted));
	add(&s, ike, sizeof(ike));
	save("ikehdr", "natted", &s);
	s.n = 0;
	add(&s, ipv6, sizeof(ipv6));
	add(&s, plain, sizeof(plain));
	add(&s, ike, sizeof(ike));
	save("ikehdr", "ipv6", &s);
}

int main(int argc, char **argv)
{
	must(argc == 2);
	top = argv[1];
	must(!mkdir(top, 0777) || errno == EEXIST);
	of_wire();
	of_session();
	of_codec();
	of_journal();
	of_stream();
	of_link();
	of_relay();
	of_vici();
	of_digest();
	of_facts();
	of_context();
	of_vrrp();
	of_ikehdr();
	return 0;
}
