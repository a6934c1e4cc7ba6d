// SPDX-License-Identifier: GPL-2.0-or-later
/* carried: which options of a node's connections no standby could carry on. Pure. See carried.h. */
#include <stdlib.h>
#include <string.h>

#include "carried.h"
#include "facts.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define LONGEST		65507	/* a charon sends whatever fits into a datagram */

static bool is_set(const char *value)
{
	return *value;
}

/* As charon tells it, or as the file does. */
static bool is_not_v2_alone(const char *value)
{
	return strcmp(value, "IKEv2") && strcmp(value, "2");
}

static bool is_not_no(const char *value)
{
	return strcmp(value, "no");
}

static bool is_not_none(const char *value)
{
	return strcmp(value, "none");
}

static bool is_unique(const char *value)
{
	return !strncmp(value, "%unique", strlen("%unique"));
}

/* What is not carried if a value says so; of a connection, and of its children. */
static const struct {
	const char *key;
	bool (*says)(const char *value);
	const char *text;
} options[] = {
	{ "version", is_not_v2_alone, "IKEv1 is accepted, and is not carried: set version = 2" },
	{ "ppk_id", is_set, "PPK (ppk_id) is not carried, a standby would have other keys: remove it" },
	{ "ppk_required", is_not_no, "PPK (ppk_required) is not carried, a standby would have other keys: remove it" },
	{ "per_cpu_sas", is_not_no, "SAs for each CPU (per_cpu_sas) are not carried: set it to no" },
	{ "mark_in", is_unique, "mark_in = %unique is another one on each node: give a number" },
	{ "mark_out", is_unique, "mark_out = %unique is another one on each node: give a number" },
	{ "set_mark_in", is_unique, "set_mark_in = %unique is another one on each node: give a number" },
	{ "set_mark_out", is_unique, "set_mark_out = %unique is another one on each node: give a number" },
	{ "if_id_in", is_unique, "if_id_in = %unique is another one on each node: give a number" },
	{ "if_id_out", is_unique, "if_id_out = %unique is another one on each node: give a number" },
	{ "updown", is_set, "updown scripts are run neither on a standby nor at a takeover: make static what it does, and remove it" },
	{ "start_action", is_not_none, "start_action would make a standby initiate or trap: set it to none ([initiate] in espsyncd.conf is for that)" },
	{ "mediation", is_not_no, "mediation is not carried: set it to no" },
};

/* What charon does as a whole. */
static const struct {
	const char *key;
	const char *value;
	const char *text;
} settings[] = {
	{ "charon.plugins.eap-radius.accounting", "yes", "RADIUS accounting does not go on after a takeover: set plugins.eap-radius.accounting to no" },
	{ "charon.plugins.ha.monitor", "no", "plugins.ha.monitor = no: a stop of charon would delete all tunnels: set it to yes" },
};

static void check_value(const struct digest_item *item, struct lines *l)
{
	bool in_child = *item->child;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (!strcmp(options[i].key, item->key) && options[i].says(item->value))
			lines_add(l, "connection %.48s%s%.32s: %s", item->conn, in_child ? ", child " : "", item->child, options[i].text);
	}
}

static void check_node(const struct digest_item *item, struct lines *l)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		if (!strcmp(settings[i].key, item->key) && !strcmp(settings[i].value, item->value))
			lines_add(l, "strongSwan: %s", settings[i].text);
	}
	if (!strncmp(item->key, FACTS_POOL, strlen(FACTS_POOL)))
		lines_add(l, "%.64s: who has which of its addresses is not carried, a new owner would give them again: take plugins.ha.pools", item->key);
}

/* A file that says nothing of it leaves both. */
static bool takes_v1_by_default(const struct digest *d, const struct digest_item *conn)
{
	return conn->part == DIGEST_WRITTEN && !*conn->child && !*conn->key && !digest_value(d, DIGEST_LOADED, conn->conn, "", "") &&
		!digest_value(d, DIGEST_WRITTEN, conn->conn, "", "version");
}

/* charon moves its clients to another address of the node, when the one that moves goes. */
static bool roams(const struct digest *d, const struct digest_item *conn)
{
	const char *mobike = digest_value(d, DIGEST_WRITTEN, conn->conn, "", "mobike");
	const char *roam = digest_value(d, DIGEST_NODE, "", "", "charon.plugins.kernel-netlink.roam_events");

	return conn->part == DIGEST_WRITTEN && !*conn->child && !*conn->key && !(mobike && !strcmp(mobike, "no")) &&
		digest_value(d, DIGEST_NODE, "", "", FACTS_SETTINGS) && !(roam && !strcmp(roam, "no"));
}

/* What is longer than its ha plugin's buffer a charon drops, and says so in its own log alone: some 100 traffic selectors, by default. */
static void check_buffer(const struct digest *d, struct lines *l)
{
	const char *buflen = digest_value(d, DIGEST_NODE, "", "", "charon.plugins.ha.buflen") ?: "2048";

	if (digest_value(d, DIGEST_NODE, "", "", "charon.plugins.ha.remote") && strtoul(buflen, NULL, 10) < LONGEST)
		lines_add(l, "strongSwan: plugins.ha.buflen is %.16s: a CHILD SA with many traffic selectors would not be carried: set it to 65535",
			  buflen);
}

void carried_check(const struct digest *d, struct lines *l)
{
	unsigned int i;

	check_buffer(d, l);

	for (i = 0; i < digest_count(d); i++) {
		struct digest_item item = digest_item(d, i);

		if (item.part == DIGEST_NODE)
			check_node(&item, l);
		else
			check_value(&item, l);
		if (takes_v1_by_default(d, &item))
			lines_add(l, "connection %.48s: %s", item.conn, options[0].text);
		if (roams(d, &item))
			lines_add(l, "connection %.48s: mobike with kernel-netlink.roam_events = yes would move tunnels to other addresses: set that to no",
				  item.conn);
	}
}
