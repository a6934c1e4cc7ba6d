// SPDX-License-Identifier: GPL-2.0-or-later
/* config: espsyncd.conf, from text to values. Pure. See config.h. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define LINE		1024

enum kind { NUMBER, SWITCH, PATH, NAME, ADDRESS, ADDRESS4, ADDRESSES, CHILDREN };

/**
 * struct key - what a line may say
 * @section: where
 * @name: left of the =
 * @kind: what stands right of it
 * @offset: in struct config; in struct config_peer for section "peer"; unused for section "initiate"
 * @min: of a number
 * @max: of a number
 */
struct key {
	const char *section;
	const char *name;
	enum kind kind;
	size_t offset;
	uint32_t min;
	uint32_t max;
};

#define IN(field)	offsetof(struct config, field)
#define IN_PEER(field)	offsetof(struct config_peer, field)

static const struct key keys[] = {
	{ "node", "number", NUMBER, IN(node), 1, 255 },
	{ "node", "key_file", PATH, IN(key_file), 0, 0 },
	{ "link", "local", ADDRESS, IN(local), 0, 0 },
	{ "link", "port", NUMBER, IN(port), 1, 65535 },
	{ "link", "keepalive_ms", NUMBER, IN(keepalive_ms), 50, 60000 },
	{ "link", "dead_ms", NUMBER, IN(dead_ms), 200, 600000 },
	{ "peer", "address", ADDRESS, IN_PEER(addr), 0, 0 },
	{ "peer", "port", NUMBER, IN_PEER(port), 1, 65535 },
	{ "charon", "helper", ADDRESS4, IN(ha_helper), 0, 0 },
	{ "charon", "charon", ADDRESS4, IN(ha_charon), 0, 0 },
	{ "charon", "fifo", PATH, IN(fifo), 0, 0 },
	{ "charon", "vici", PATH, IN(vici), 0, 0 },
	{ "charon", "strongswan", PATH, IN(strongswan), 0, 0 },
	{ "charon", "swanctl", PATH, IN(swanctl), 0, 0 },
	{ "charon", "rekey_after_takeover", NUMBER, IN(rekey_per_s), 0, 1000 },
	{ "charon", "commit", SWITCH, IN(commit), 0, 0 },
	{ "initiate", "children", CHILDREN, 0, 0, 0 },
	{ "move", "to", PATH, IN(move_to), 0, 0 },
	{ "move", "fetch", SWITCH, IN(fetch), 0, 0 },
	{ "group", "addresses", ADDRESSES, IN(addrs), 0, 0 },
	{ "vrrp", "notify_fifo", PATH, IN(notify_fifo), 0, 0 },
	{ "vrrp", "instance", NAME, IN(instance), 0, 0 },
	{ "vrrp", "track_file", PATH, IN(track_file), 0, 0 },
	{ "limits", "buffer_mib", NUMBER, IN(buffer_mib), 1, 4096 },
	{ "limits", "held_groups", NUMBER, IN(held_groups), 1, 65536 },
	{ "limits", "hold_s", NUMBER, IN(hold_s), 1, 3600 },
	{ "limits", "tunnel_kib", NUMBER, IN(tunnel_kib), 8, 65536 },
	{ "limits", "journal_mib", NUMBER, IN(journal_mib), 1, 65536 },
};

/* Where the reading stands. */
struct reader {
	struct config *c;
	const char *file;
	unsigned int line;
	char section[CONFIG_NAME];
	struct config_peer *peer;
	struct config_initiate *initiate;
	uint64_t seen;		/* bit per entry of keys[] */
	char *error;
};

#define fail(r, ...) (complain(r, __VA_ARGS__), -1)

static void __attribute__((format(printf, 2, 3))) complain(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(r->error, CONFIG_ERROR, "%s:%u: ", r->file, r->line);

	if (n < 0 || n >= CONFIG_ERROR)
		return;
	va_start(ap, fmt);
	vsnprintf(r->error + n, CONFIG_ERROR - n, fmt, ap);
	va_end(ap);
}

static char *strip(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = 0;
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static int parse_address(struct config_addr *a, const char *s, bool v4_only)
{
	struct config_addr got = { 0 };

	if (inet_pton(AF_INET, s, got.bytes) == 1)
		got.len = 4;
	else if (!v4_only && inet_pton(AF_INET6, s, got.bytes) == 1)
		got.len = 16;
	else
		return -1;
	*a = got;
	return 0;
}

static int parse_number(uint32_t *v, const char *s, uint32_t min, uint32_t max)
{
	unsigned long n;
	char *end;

	if (!isdigit((unsigned char)*s) || strlen(s) > 9)
		return -1;
	n = strtoul(s, &end, 10);
	if (*end || n < min || n > max)
		return -1;
	*v = n;
	return 0;
}

static int parse_addresses(struct reader *r, char *value)
{
	char *save, *s;

	for (s = strtok_r(value, " \t,", &save); s; s = strtok_r(NULL, " \t,", &save)) {
		if (r->c->n_addrs == CONFIG_MAX_ADDRS)
			return fail(r, "a group has at most %d addresses (remove some)", CONFIG_MAX_ADDRS);
		if (parse_address(&r->c->addrs[r->c->n_addrs++], s, false))
			return fail(r, "'%.64s' is no address (write it in digits, like 192.0.2.1)", s);
	}
	return 0;
}

static int parse_children(struct reader *r, struct config_initiate *in, char *value)
{
	char *save, *s;

	for (s = strtok_r(value, " \t,", &save); s; s = strtok_r(NULL, " \t,", &save)) {
		if (in->n_children == CONFIG_MAX_CHILDREN)
			return fail(r, "at most %d children of a connection are initiated (remove some)", CONFIG_MAX_CHILDREN);
		if (strlen(s) >= CONFIG_NAME)
			return fail(r, "a child's name has at most %d bytes here (shorten it)", CONFIG_NAME - 1);
		strcpy(in->children[in->n_children++], s);
	}
	return 0;
}

static int set_value(struct reader *r, const struct key *k, void *base, char *value)
{
	void *at = (char *)base + k->offset;

	switch (k->kind) {
	case NUMBER:
		if (parse_number(at, value, k->min, k->max))
			return fail(r, "%s is '%.32s' (give a number from %u to %u)", k->name, value, k->min, k->max);
		return 0;
	case SWITCH:
		if (strcmp(value, "yes") && strcmp(value, "no"))
			return fail(r, "%s is '%.32s' (give yes or no)", k->name, value);
		*(bool *)at = *value == 'y';
		return 0;
	case PATH:
		if (*value != '/' || strlen(value) >= CONFIG_PATH)
			return fail(r, "%s must be an absolute path of at most %d bytes", k->name, CONFIG_PATH - 1);
		strcpy(at, value);
		return 0;
	case NAME:
		if (!*value || strlen(value) >= CONFIG_NAME || strchr(value, '"'))
			return fail(r, "%s must be a name of 1 to %d bytes without quotes", k->name, CONFIG_NAME - 1);
		strcpy(at, value);
		return 0;
	case ADDRESS:
	case ADDRESS4:
		if (parse_address(at, value, k->kind == ADDRESS4))
			return fail(r, "%s is '%.64s' (give an %s address in digits)", k->name, value,
				    k->kind == ADDRESS4 ? "IPv4" : "IPv4 or IPv6");
		return 0;
	case ADDRESSES:
		return parse_addresses(r, value);
	case CHILDREN:
		return parse_children(r, base, value);
	}
	return 0;
}

static bool section_known(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!strcmp(keys[i].section, name))
			return true;
	}
	return false;
}

static int open_peer(struct reader *r, const char *arg)
{
	uint32_t node;
	unsigned int i;

	if (parse_number(&node, arg, 1, 255))
		return fail(r, "[peer %.32s] (name the peer by its node number, 1 to 255)", arg);
	for (i = 0; i < r->c->n_peers; i++) {
		if (r->c->peers[i].node == node)
			return fail(r, "peer %u was already named in line %u (name it once)", node, r->c->peers[i].line);
	}
	if (r->c->n_peers == CONFIG_MAX_PEERS)
		return fail(r, "there are more than %d peers (remove some)", CONFIG_MAX_PEERS);
	r->peer = &r->c->peers[r->c->n_peers++];
	r->peer->node = node;
	r->peer->line = r->line;
	r->peer->port = 0;
	return 0;
}

static int open_initiate(struct reader *r, const char *conn)
{
	struct config_initiate *in;
	unsigned int i;

	if (!*conn || strlen(conn) >= CONFIG_NAME || strpbrk(conn, " \t\""))
		return fail(r, "[initiate %.32s] (name one connection of swanctl.conf, at most %d bytes, without quotes)", conn, CONFIG_NAME - 1);
	for (i = 0; i < r->c->n_initiate; i++) {
		if (!strcmp(r->c->initiate[i].conn, conn))
			return fail(r, "[initiate %.32s] was already there in line %u (name all its children there)", conn, r->c->initiate[i].line);
	}
	if (r->c->n_initiate == CONFIG_MAX_INITIATE)
		return fail(r, "at most %d connections are initiated (remove some)", CONFIG_MAX_INITIATE);
	in = &r->c->initiate[r->c->n_initiate++];
	in->line = r->line;
	strcpy(in->conn, conn);
	r->initiate = in;
	return 0;
}

static int parse_section(struct reader *r, char *s)
{
	char *end = strchr(s, ']'), *arg;

	if (!end || end[1])
		return fail(r, "a section is written [name] (close the bracket, and nothing behind it)");
	*end = 0;
	s = strip(s + 1);
	arg = s + strcspn(s, " \t");
	if (*arg)
		*arg++ = 0;
	arg = strip(arg);
	if (strlen(s) >= CONFIG_NAME || !section_known(s))
		return fail(r, "unknown section [%.32s] (there are node, link, peer N, charon, initiate CONNECTION, move, group 0, vrrp, limits)", s);
	strcpy(r->section, s);
	r->peer = NULL;
	r->initiate = NULL;
	if (!strcmp(s, "peer"))
		return open_peer(r, arg);
	if (!strcmp(s, "initiate"))
		return open_initiate(r, arg);
	if (!strcmp(s, "group"))
		return strcmp(arg, "0") ? fail(r, "[group %.32s] (espsyncd serves group 0; one with IKE of its own has a namespace of its own)", arg) : 0;
	if (*arg)
		return fail(r, "[%s] takes no '%.32s' (remove it)", s, arg);
	return 0;
}

static int parse_pair(struct reader *r, char *s)
{
	char *value = strchr(s, '=');
	size_t i;

	if (!value)
		return fail(r, "'%.32s' is neither [section] nor name = value", s);
	*value++ = 0;
	s = strip(s);
	value = strip(value);
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].section, r->section) || strcmp(keys[i].name, s))
			continue;
		if (r->peer)
			return set_value(r, &keys[i], r->peer, value);
		if (r->initiate)
			return set_value(r, &keys[i], r->initiate, value);
		if (r->seen & 1ULL << i)
			return fail(r, "%s was already given in [%s] (give it once)", s, r->section);
		r->seen |= 1ULL << i;
		return set_value(r, &keys[i], r->c, value);
	}
	if (!*r->section)
		return fail(r, "'%.32s' stands before any section (begin with [node])", s);
	return fail(r, "[%s] knows no '%.32s' (see espsyncd.conf's example)", r->section, s);
}

static int parse_line(struct reader *r, char *s)
{
	char *comment = strchr(s, '#');

	if (comment)
		*comment = 0;
	s = strip(s);
	if (!*s)
		return 0;
	return *s == '[' ? parse_section(r, s) : parse_pair(r, s);
}

static void defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->port = 4521;
	c->keepalive_ms = 1000;
	c->dead_ms = 4000;
	parse_address(&c->ha_helper, "127.0.0.2", true);
	parse_address(&c->ha_charon, "127.0.0.1", true);
	strcpy(c->key_file, "/etc/espsync/key");
	strcpy(c->fifo, "/run/charon.ha");
	strcpy(c->vici, "/run/charon.vici");
	strcpy(c->strongswan, "/etc/strongswan.conf");
	strcpy(c->swanctl, "/etc/swanctl/swanctl.conf");
	strcpy(c->notify_fifo, "/run/espsync/notify");
	strcpy(c->track_file, "/run/espsync/track");
	c->buffer_mib = 64;
	c->held_groups = 1024;
	c->hold_s = 60;
	c->tunnel_kib = 256;
	c->journal_mib = 1024;
}

/* What only the whole can show. */
static int check(struct reader *r)
{
	struct config *c = r->c;
	unsigned int i;

	if (!c->node)
		return fail(r, "[node] number is missing (give this node's number, 1 to 255)");
	if (!c->local.len)
		return fail(r, "[link] local is missing (give this node's address on the sync link)");
	if (!c->n_peers)
		return fail(r, "there is no [peer N] (name the other node)");
	if (!c->n_addrs)
		return fail(r, "[group 0] addresses is missing (give the tunnel addresses that move between the nodes)");
	if (c->dead_ms < 2 * c->keepalive_ms)
		return fail(r, "dead_ms %u is less than twice keepalive_ms %u (raise it)", c->dead_ms, c->keepalive_ms);
	for (i = 0; i < c->n_peers; i++) {
		struct config_peer *p = &c->peers[i];

		r->line = p->line;
		if (p->node == c->node)
			return fail(r, "peer %u is this node (name the others only)", p->node);
		if (!p->addr.len)
			return fail(r, "peer %u has no address", p->node);
		if (p->addr.len != c->local.len)
			return fail(r, "peer %u's address is not of the same family as [link] local", p->node);
		if (!p->port)
			p->port = c->port;
	}
	if (c->fetch && !*c->move_to)
		return fail(r, "[move] fetch = yes without to (name the other group's helper, or remove it)");
	for (i = 0; i < c->n_initiate; i++) {
		r->line = c->initiate[i].line;
		if (!c->initiate[i].n_children)
			return fail(r, "[initiate %.32s] has no children (name those that the gateway is to initiate)", c->initiate[i].conn);
	}
	return 0;
}

int config_parse(struct config *c, const char *file, const char *text, char error[CONFIG_ERROR])
{
	struct reader r = { .c = c, .file = file, .error = error };
	char line[LINE];

	defaults(c);
	while (*text) {
		size_t n = strcspn(text, "\n");

		r.line++;
		if (n >= sizeof(line))
			return fail(&r, "the line is longer than %d bytes (split it)", LINE - 1);
		memcpy(line, text, n);
		line[n] = 0;
		if (parse_line(&r, line))
			return -1;
		text += n + (text[n] == '\n');
	}
	return check(&r);
}

bool config_is_ours(const struct config *c, const uint8_t *bytes, uint8_t len)
{
	unsigned int i;

	for (i = 0; i < c->n_addrs; i++) {
		if (c->addrs[i].len == len && !memcmp(c->addrs[i].bytes, bytes, len))
			return true;
	}
	return false;
}

bool config_is_ours_text(const struct config *c, const char *text)
{
	struct config_addr a;

	return !parse_address(&a, text, false) && config_is_ours(c, a.bytes, a.len);
}

bool config_may_be_ours(const struct config *c, const char *text)
{
	struct config_addr a;

	return parse_address(&a, text, false) || config_is_ours(c, a.bytes, a.len);
}

int config_parse_key(uint8_t key[32], const char *text, size_t len)
{
	uint8_t got[32];
	size_t i;

	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	if (len != 64)
		return -1;
	for (i = 0; i < 64; i++) {
		int c = tolower((unsigned char)text[i]);

		if (!isxdigit(c)) {
			explicit_bzero(got, sizeof(got));
			return -1;
		}
		c = c <= '9' ? c - '0' : c - 'a' + 10;
		got[i / 2] = i % 2 ? got[i / 2] | c : c << 4;
	}
	memcpy(key, got, sizeof(got));
	explicit_bzero(got, sizeof(got));
	return 0;
}
