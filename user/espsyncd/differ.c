// SPDX-License-Identifier: GPL-2.0-or-later
/* differ: in what two nodes' configurations are not the same. Pure. See differ.h. */
#include <stdio.h>
#include <string.h>

#include "differ.h"
#include "facts.h"

#define SHOWN	44	/* of a value, in bytes */

/* Who is compared with whom. */
struct pair {
	const struct digest *ours;
	const struct digest *theirs;
	unsigned int node;
	struct lines *l;
};

static const char *value_of(const struct digest *d, const struct digest_item *item, const char *key)
{
	return digest_value(d, item->part, item->conn, item->child, key);
}

/* Of two long values, where they begin to differ, from the last comma before. */
static size_t first_difference(const char *a, const char *b)
{
	size_t n = 0, from = 0;

	for (; a[n] && a[n] == b[n]; n++) {
		if (a[n] == ',')
			from = n + 1 + strspn(a + n + 1, " ");
	}
	return strlen(a) > SHOWN || strlen(b) > SHOWN ? from : 0;
}

static void show(char text[SHOWN + 8], const char *value, size_t from)
{
	bool short_of = strlen(value) < from;	/* it ends where the other one goes on */
	const char *s = short_of ? "" : value + from;

	snprintf(text, SHOWN + 8, "%s%.*s%s", from ? "..." : "", SHOWN, s, strlen(s) > SHOWN ? "..." : "");
}

/* The same default on both, if there is one. */
static const char *or_default(const char *value, const struct digest_item *item)
{
	const char *otherwise = facts_default(item->part, item->key);

	return value ? value : otherwise ? otherwise : "not set";
}

static void not_equal(const struct pair *p, const struct digest_item *item)
{
	const char *ours = or_default(value_of(p->ours, item, item->key), item);
	const char *theirs = or_default(value_of(p->theirs, item, item->key), item);
	size_t from = first_difference(ours, theirs);
	char here[SHOWN + 8], there[SHOWN + 8];

	show(here, ours, from);
	show(there, theirs, from);
	if (item->part != DIGEST_NODE)
		lines_add(p->l, "connection %.40s%s%.24s: %.40s is %s here, %s on node %u: make it the same", item->conn,
			  *item->child ? ", child " : "", item->child, item->key, here, there, p->node);
	else if (!strcmp(item->key, FACTS_RELEASE))
		lines_add(p->l, "strongSwan is %s here, %s on node %u: run the same release", here, there, p->node);
	else
		lines_add(p->l, "strongSwan: %.80s is %s here, %s on node %u: make it the same", item->key, here, there, p->node);
}

/* A connection or a child that one of them lacks altogether. */
static void not_there(const struct pair *p, const struct digest_item *item, bool here)
{
	const char *child = *item->child ? ", child " : "";
	char where[16] = "this node";

	if (here)
		snprintf(where, sizeof(where), "node %u", p->node);
	if (item->part == DIGEST_LOADED && here)
		lines_add(p->l, "connection %.48s%s%.32s is loaded here and not on node %u: swanctl --load-all there", item->conn, child, item->child,
			  p->node);
	else if (item->part == DIGEST_LOADED)
		lines_add(p->l, "connection %.48s%s%.32s is loaded on node %u and not here: swanctl --load-all here", item->conn, child, item->child,
			  p->node);
	else
		lines_add(p->l, "connection %.48s%s%.32s does not stand in the swanctl.conf of %s, and cannot be compared whole: write it there", item->conn,
			  child, item->child, where);
}

static void settings_not_read(const struct pair *p, bool here)
{
	if (here)
		lines_add(p->l, "strongSwan: node %u cannot read its strongswan.conf, charon's settings are not compared: see espsyncd's log there",
			  p->node);
	else
		lines_add(p->l, "strongSwan: strongswan.conf cannot be read here, charon's settings are not compared with node %u: see espsyncd's log",
			  p->node);
}

static bool both(const struct pair *p, enum digest_part part, const char *conn, const char *child, const char *key)
{
	return digest_value(p->ours, part, conn, child, key) && digest_value(p->theirs, part, conn, child, key);
}

static bool is_setting(const struct digest_item *item)
{
	size_t n = strlen(FACTS_SETTINGS);

	return !strncmp(item->key, FACTS_SETTINGS, n) && item->key[n] == '.';
}

/* What it is in is there on both, so that it can be compared; else that is said, once. */
static bool is_comparable(const struct pair *p, const struct digest_item *item)
{
	if (item->part == DIGEST_NODE)
		return !is_setting(item) || both(p, DIGEST_NODE, "", "", FACTS_SETTINGS);
	if (item->part == DIGEST_WRITTEN && !(both(p, DIGEST_LOADED, item->conn, "", "") && both(p, DIGEST_LOADED, item->conn, item->child, "")))
		return false;
	if (!*item->key)
		return !*item->child || both(p, item->part, item->conn, "", "");
	return both(p, item->part, item->conn, "", "") && both(p, item->part, item->conn, item->child, "");
}

/* One of them, this node if @here, has it, and the other one has it not, or with another value. */
static void differs(const struct pair *p, const struct digest_item *item, bool here)
{
	if (!is_comparable(p, item))
		return;
	if (item->part == DIGEST_NODE && !strcmp(item->key, FACTS_SETTINGS))
		settings_not_read(p, here);
	else if (!*item->key)
		not_there(p, item, here);
	else
		not_equal(p, item);
}

void differ_check(const struct digest *ours, const struct digest *theirs, unsigned int node, struct lines *l)
{
	unsigned int i = 0, j = 0, n = digest_count(ours), m = digest_count(theirs);
	struct pair p = { ours, theirs, node, l };

	while (i < n || j < m) {
		struct digest_item one = { 0 }, two = { 0 };
		int r;

		if (i < n)
			one = digest_item(ours, i);
		if (j < m)
			two = digest_item(theirs, j);
		r = i == n ? 1 : j == m ? -1 : digest_order(&one, &two);
		if (r || strcmp(one.value, two.value))
			differs(&p, r <= 0 ? &one : &two, r <= 0);
		i += r <= 0;
		j += r >= 0;
	}
}
