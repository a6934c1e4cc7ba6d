// SPDX-License-Identifier: GPL-2.0-or-later
/* facts: what there is to say of a node's configuration. Pure. See facts.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "spis.h"
#include "vici_msg.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PATH		256	/* of a setting: section.section.name */

/* What a value is, and so how the same is written in one way. */
enum kind { WORD, LIST, TIME, BOOL };

/**
 * struct known - a setting of swanctl.conf's connections
 * @key: its name
 * @otherwise: what it is if it is not set; NULL: it depends
 * @kind: what its value is
 * @told: charon says it over vici, as it is in force
 */
struct known {
	const char *key;
	const char *otherwise;
	enum kind kind;
	bool told;
};

/* As the manual of swanctl.conf says, of 5.9.8 to 6.1. A name means the same in a connection and in a child. */
static const struct known known[] = {
	{ "version", "0", WORD, true },
	{ "local_addrs", "%any", LIST, true },
	{ "remote_addrs", "%any", LIST, true },
	{ "rekey_time", NULL, TIME, true },
	{ "reauth_time", "0", TIME, true },
	{ "unique", "no", WORD, true },
	{ "dpd_delay", "0", TIME, true },
	{ "dpd_timeout", "0", TIME, true },
	{ "ppk_id", NULL, WORD, true },
	{ "ppk_required", "no", BOOL, true },
	{ "mode", "tunnel", WORD, true },
	{ "label", NULL, WORD, true },
	{ "rekey_bytes", NULL, WORD, true },
	{ "rekey_packets", NULL, WORD, true },
	{ "dpd_action", "clear", WORD, true },
	{ "close_action", "none", WORD, true },
	{ "local_ts", "dynamic", LIST, true },
	{ "remote_ts", "dynamic", LIST, true },
	{ "interface", NULL, WORD, true },
	{ "priority", "0", WORD, true },
	{ "local_port", "500", WORD, false },
	{ "remote_port", "500", WORD, false },
	{ "proposals", "default", LIST, false },
	{ "esp_proposals", "default", LIST, false },
	{ "ah_proposals", NULL, LIST, false },
	{ "vips", NULL, LIST, false },
	{ "pools", NULL, LIST, false },
	{ "mobike", "yes", BOOL, false },
	{ "aggressive", "no", BOOL, false },
	{ "pull", "yes", BOOL, false },
	{ "encap", "no", BOOL, false },
	{ "dscp", "000000", WORD, false },
	{ "fragmentation", "yes", WORD, false },
	{ "childless", "allow", WORD, false },
	{ "send_certreq", "yes", BOOL, false },
	{ "send_cert", "ifasked", WORD, false },
	{ "ocsp", "reply", WORD, false },
	{ "keyingtries", "1", WORD, false },
	{ "mediation", "no", BOOL, false },
	{ "over_time", NULL, TIME, false },
	{ "rand_time", NULL, TIME, false },
	{ "life_time", NULL, TIME, false },
	{ "inactivity", "0", TIME, false },
	{ "replay_window", "32", WORD, false },
	{ "start_action", "none", WORD, false },
	{ "updown", NULL, WORD, false },
	{ "per_cpu_sas", "no", BOOL, false },
	{ "hw_offload", "no", WORD, false },
	{ "reqid", "0", WORD, false },
	{ "if_id_in", "0", WORD, false },
	{ "if_id_out", "0", WORD, false },
	{ "mark_in", "0", WORD, false },
	{ "mark_out", "0", WORD, false },
	{ "set_mark_in", "0", WORD, false },
	{ "set_mark_out", "0", WORD, false },
	{ "mark_in_sa", "no", BOOL, false },
	{ "sha256_96", "no", BOOL, false },
	{ "hostaccess", "no", BOOL, false },
	{ "policies", "yes", BOOL, false },
	{ "policies_fwd_out", "no", BOOL, false },
	{ "ipcomp", "no", BOOL, false },
	{ "tfc_padding", "0", WORD, false },
	{ "copy_df", "yes", BOOL, false },
	{ "copy_ecn", "yes", BOOL, false },
	{ "copy_dscp", "out", WORD, false },
	{ "icmp", "no", BOOL, false },
};

/* Settings of charon that are each node's own: where and how much it logs, how many threads it has, whose user it is, which SPIs it takes. */
static const char *const own[] = {
	"filelog", "syslog", "journal", "customlog", "threads", "processor", "user", "group", "interfaces_use", "interfaces_ignore",
	"spi_min", "spi_max", "spi_mask", "spi_label",
	"replay_window",	/* in force in the children that have none of their own, and said of them */
};

/* In the name of what nobody else is to read. */
static const char *const secret[] = { "secret", "password", "passphrase", "psk", "database" };

static const struct known *known_as(const char *key)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(known[i].key, key))
			return &known[i];
	}
	return NULL;
}

const char *facts_default(enum digest_part part, const char *key)
{
	const struct known *k = part == DIGEST_NODE ? NULL : known_as(key);

	return k ? k->otherwise : NULL;
}

static void add(struct digest *d, enum digest_part part, const char *conn, const char *child, const char *key, const char *value)
{
	digest_add(d, &(struct digest_item){ part, conn, child, key, value });
}

/* ---- what charon tells ---- */

void facts_release(struct digest *d, const uint8_t *data, size_t len)
{
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, data, len);
	while ((e = vici_next(&r)) > VICI_END) {
		if (e == VICI_KEY_VALUE && !r.depth && !strcmp(r.name, "version"))
			add(d, DIGEST_NODE, "", "", FACTS_RELEASE, r.value);
	}
	/* The ha plugin's messages have SPIs in it. */
	add(d, DIGEST_NODE, "", "", FACTS_BYTE_ORDER, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little-endian" : "big-endian");
}

/* name { base = 10.9.0.0, size = 254, ... } */
void facts_pools(struct digest *d, const uint8_t *data, size_t len)
{
	char key[PATH], base[64] = "", value[128];
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, data, len);
	while ((e = vici_next(&r)) > VICI_END) {
		if (e != VICI_KEY_VALUE || r.depth != 1)
			continue;
		if (!strcmp(r.name, "base"))
			snprintf(base, sizeof(base), "%.63s", r.value);
		if (strcmp(r.name, "size"))
			continue;
		snprintf(key, sizeof(key), FACTS_POOL "%.200s", r.section[0]);
		snprintf(value, sizeof(value), "%s, %.20s addresses", base, r.value);
		add(d, DIGEST_NODE, "", "", key, value);
	}
}

/* Lists read as one value. */
struct told {
	struct digest *d;
	struct vici_reader r;
	char list[DIGEST_VALUE + 1];
	size_t len;
};

/* In which child, if in any, and under which name. Return: false if it is of no interest */
static bool place(const struct told *t, char key[PATH], const char **child)
{
	const struct vici_reader *r = &t->r;

	*child = "";
	if (r->depth == 1) {
		snprintf(key, PATH, "%s", r->name);
	} else if (r->depth == 2 && strcmp(r->section[1], "children")) {
		snprintf(key, PATH, "%.100s.%.100s", r->section[1], r->name);
	} else if (r->depth == 3 && !strcmp(r->section[1], "children")) {
		*child = r->section[2];
		snprintf(key, PATH, "%s", r->name);
	} else {
		return false;
	}
	/* As the file has it. Of ports only newer ones tell. */
	if (!strcmp(key, "local-ts") || !strcmp(key, "remote-ts"))
		*strchr(key, '-') = '_';
	return strcmp(key, "local_port") && strcmp(key, "remote_port");
}

static void tell(struct told *t, const char *value)
{
	const char *child;
	char key[PATH];

	if (place(t, key, &child))
		add(t->d, DIGEST_LOADED, t->r.section[0], child, key, value);
}

static void tell_item(struct told *t)
{
	int n = snprintf(t->list + t->len, sizeof(t->list) - t->len, "%s%s", t->len ? ", " : "", t->r.value);

	t->len = t->len + n < sizeof(t->list) ? t->len + n : sizeof(t->list) - 1;
}

static void tell_element(struct told *t, enum vici_element e)
{
	const struct vici_reader *r = &t->r;

	switch (e) {
	case VICI_SECTION_START:
		if (r->depth == 1)
			add(t->d, DIGEST_LOADED, r->name, "", "", "");
		if (r->depth == 3 && !strcmp(r->section[1], "children"))
			add(t->d, DIGEST_LOADED, r->section[0], r->name, "", "");
		break;
	case VICI_KEY_VALUE:
		tell(t, r->value);
		break;
	case VICI_LIST_START:
		t->len = 0;
		break;
	case VICI_LIST_ITEM:
		tell_item(t);
		break;
	case VICI_LIST_END:
		if (t->len)
			tell(t, t->list);
		break;
	default:
		break;
	}
}

/* Addresses that move, or any, or what only a resolver knows. */
static bool is_the_clusters(const struct config *c, const uint8_t *data, size_t len)
{
	bool some = false, within = false;
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, data, len);
	while ((e = vici_next(&r)) > VICI_END) {
		if (e == VICI_LIST_START)
			within = r.depth == 1 && !strcmp(r.name, "local_addrs");
		if (e != VICI_LIST_ITEM || !within)
			continue;
		if (config_may_be_ours(c, r.value))
			return true;
		some = true;
	}
	return !some;
}

void facts_conn(struct digest *d, const struct config *c, const uint8_t *data, size_t len)
{
	struct told *t;
	enum vici_element e;

	if (!is_the_clusters(c, data, len))
		return;
	t = secret_alloc(sizeof(*t));
	t->d = d;
	vici_read(&t->r, data, len);
	while ((e = vici_next(&t->r)) > VICI_END)
		tell_element(t, e);
	secret_free(t, sizeof(*t));
}

/* ---- what stands in files ---- */

/* Word by word of a list, without the blanks around. Return: where the next one begins, or NULL */
static const char *next_of(const char *s, char *to, size_t room)
{
	size_t n;

	s += strspn(s, ", \t\n");
	if (!*s)
		return NULL;
	n = strcspn(s, ",");
	snprintf(to, room, "%.*s", (int)n, s);
	s += n;
	for (n = strlen(to); n && isspace((unsigned char)to[n - 1]); n--)
		to[n - 1] = 0;
	return s;
}

static void write_list(char to[DIGEST_VALUE + 1], const char *s)
{
	char word[DIGEST_NAME + 1];
	size_t n = 0;

	*to = 0;
	while ((s = next_of(s, word, sizeof(word))) && n < DIGEST_VALUE)
		n += snprintf(to + n, DIGEST_VALUE + 1 - n, "%s%s", n ? ", " : "", word);
}

/* 4h is 14400, as charon has it. */
static bool write_time(char to[DIGEST_VALUE + 1], const char *s)
{
	static const struct { char unit; unsigned int s; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 0, 1 } };
	unsigned long long n;
	char *end;
	size_t i;

	if (!isdigit((unsigned char)*s))
		return false;
	n = strtoull(s, &end, 10);
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (*end != units[i].unit || (*end && end[1]))
			continue;
		snprintf(to, DIGEST_VALUE + 1, "%llu", n * units[i].s);
		return true;
	}
	return false;
}

static bool write_bool(char to[DIGEST_VALUE + 1], const char *s, bool digits)
{
	bool yes = !strcasecmp(s, "yes") || !strcasecmp(s, "true") || !strcasecmp(s, "enabled") || (digits && !strcmp(s, "1"));
	bool no = !strcasecmp(s, "no") || !strcasecmp(s, "false") || !strcasecmp(s, "disabled") || (digits && !strcmp(s, "0"));

	if (yes || no)
		strcpy(to, yes ? "yes" : "no");
	return yes || no;
}

/* The same in one way, whoever wrote it. */
static void write_value(char to[DIGEST_VALUE + 1], const char *s, enum kind kind)
{
	if (kind == LIST)
		write_list(to, s);
	else if (!(kind == TIME && write_time(to, s)) && !write_bool(to, s, kind == BOOL))
		snprintf(to, DIGEST_VALUE + 1, "%s", s);
}

/* Where facts_written() is at it. */
struct written {
	struct digest *d;
	const struct settings *strongswan;
	bool told;
};

static void write_setting(const struct written *w, const char *conn, const char *child, const char *key, const char *s)
{
	const struct known *k = known_as(key);
	char value[DIGEST_VALUE + 1];

	if (k && k->told && w->told)
		return;
	write_value(value, s, k ? k->kind : WORD);
	if (*value && !(k && k->otherwise && !strcmp(value, k->otherwise)))
		add(w->d, DIGEST_WRITTEN, conn, child, key, value);
}

/* charon-systemd's own section comes before charon's. */
static const char *charon_setting(const void *of, const char *key)
{
	const struct settings *strongswan = of;
	const char *value = settings_value(settings_section(strongswan, "charon-systemd"), key);

	return value ? value : settings_value(settings_section(strongswan, "charon"), key);
}

static void write_child(const struct written *w, const char *conn, const struct settings *child)
{
	const char *window = charon_setting(w->strongswan, "replay_window");
	const struct setting *v;

	add(w->d, DIGEST_WRITTEN, conn, child->name, "", "");
	for (v = child->values; v; v = v->next)
		write_setting(w, conn, child->name, v->name, v->value);
	if (window && !settings_value(child, "replay_window"))
		write_setting(w, conn, child->name, "replay_window", window);
}

/* Who proves to be who, and how, is in sections of its own, and is told by charon. */
static void write_conn(const struct written *w, const struct settings *conn)
{
	const struct settings *children = settings_section(conn, "children"), *child;
	const struct setting *v;

	add(w->d, DIGEST_WRITTEN, conn->name, "", "", "");
	for (v = conn->values; v; v = v->next)
		write_setting(w, conn->name, "", v->name, v->value);
	for (child = children ? children->sections : NULL; child; child = child->next)
		write_child(w, conn->name, child);
}

static bool is_taken(const struct written *w, const struct config *c, const struct settings *conn)
{
	const char *addrs = settings_value(conn, "local_addrs");
	char word[DIGEST_NAME + 1];
	bool some = false;

	if (w->told)
		return digest_value(w->d, DIGEST_LOADED, conn->name, "", "");
	while (addrs && (addrs = next_of(addrs, word, sizeof(word)))) {
		if (config_may_be_ours(c, word))
			return true;
		some = true;
	}
	return !some;
}

static void write_pools(const struct written *w, const struct settings *pools)
{
	char key[PATH], value[DIGEST_VALUE + 1];
	const struct settings *pool;

	for (pool = pools ? pools->sections : NULL; pool; pool = pool->next) {
		snprintf(key, sizeof(key), FACTS_POOL "%.200s", pool->name);
		write_list(value, settings_value(pool, "addrs") ?: "");
		add(w->d, DIGEST_NODE, "", "", key, value);
	}
}

void facts_written(struct digest *d, const struct config *c, const struct settings *swanctl, const struct settings *strongswan, bool told)
{
	const struct settings *conns = settings_section(swanctl, "connections"), *conn;
	struct digest more = { 0 };
	struct written w = { .d = d, .strongswan = strongswan, .told = told };
	unsigned int i;

	if (!told)
		write_pools(&w, settings_section(swanctl, "pools"));
	for (conn = conns ? conns->sections : NULL; conn; conn = conn->next) {
		if (!is_taken(&w, c, conn))
			continue;
		w.d = &more;
		write_conn(&w, conn);
		w.d = d;
	}
	for (i = 0; i < digest_count(&more); i++) {
		struct digest_item item = digest_item(&more, i);

		digest_add(d, &item);
	}
	d->too_large |= more.too_large;
	digest_free(&more);
}

static bool is_one_of(const char *const *words, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!strcmp(words[i], name))
			return true;
	}
	return false;
}

static bool is_secret(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(secret); i++) {
		if (strstr(name, secret[i]))
			return true;
	}
	return false;
}

static void write_section(struct digest *d, const struct settings *s, const char *path, bool outermost)
{
	char longer[PATH], value[DIGEST_VALUE + 1];
	const struct settings *sub;
	const struct setting *v;

	for (v = s->values; v; v = v->next) {
		if (is_secret(v->name) || (outermost && is_one_of(own, ARRAY_SIZE(own), v->name)))
			continue;
		snprintf(longer, sizeof(longer), "%.150s.%.100s", path, v->name);
		write_value(value, v->value, WORD);
		if (*value)
			add(d, DIGEST_NODE, "", "", longer, value);
	}
	for (sub = s->sections; sub; sub = sub->next) {
		if (is_secret(sub->name) || (outermost && is_one_of(own, ARRAY_SIZE(own), sub->name)))
			continue;
		snprintf(longer, sizeof(longer), "%.150s.%.100s", path, sub->name);
		write_section(d, sub, longer, false);
	}
}

void facts_settings(struct digest *d, const struct settings *strongswan)
{
	const struct settings *daemon = settings_section(strongswan, "charon-systemd"), *charon = settings_section(strongswan, "charon");

	add(d, DIGEST_NODE, "", "", FACTS_SETTINGS, "");
	spis_tell(d, charon_setting, strongswan);
	if (daemon)
		write_section(d, daemon, FACTS_SETTINGS, true);
	if (charon)
		write_section(d, charon, FACTS_SETTINGS, true);
}
