// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * steer.c - which packets of the far ends go on to which node, as rules of nft.
 *
 * Job: a group that this node is not active in belongs to its owner, and the far end's address decides, as in the module (kmod/place.c): the
 * most specific prefix wins, of equal ones the first group. What comes from the other nodes is never sent on: it is for this one, or nobody.
 * Pure: groups in, text out. What may not enter: processes, sockets, what nft says.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steer.h"

#define ANY (-1) /* the length of what has no prefix: less specific than 0.0.0.0/0 */

#define CLEAR                                                                                                          \
	"add table netdev espsync_steer\ndelete table netdev espsync_steer\n"                                          \
	"add table inet espsync_steer\ndelete table inet espsync_steer\n"

const char steer_nothing[] = CLEAR;

/* What the two families call things. Later fragments have no ports: they follow those that have. */
static const struct family {
	const char *name, *ip, *fragment;
	size_t len;
	int bits;
} families[] = {
	{ "IPv4", "ip", "ip frag-off & 0x1fff != 0", 4, 32 },
	{ "IPv6", "ip6", "frag frag-off != 0", 16, 128 },
};

#define N_FAMILIES (sizeof(families) / sizeof(*families))

static bool of_family(const char *text, const struct family *f)
{
	return !strchr(text, ':') == (f->len == 4);
}

static int length_of(const char *prefix)
{
	const char *slash = strchr(prefix, '/');

	return slash ? atoi(slash + 1) : ANY;
}

/* "ip daddr { A, B } ": those of a family, and of prefixes those of a length. Returns whether there was one. */
static bool put_set(FILE *out, const struct family *f, const char *field, const json_t *texts, int bits)
{
	const json_t *value;
	bool some = false;
	size_t i;

	json_array_foreach((json_t *)texts, i, value) {
		const char *text = json_string_value(value);

		if (!text || !of_family(text, f) || length_of(text) != bits)
			continue;
		if (some)
			fprintf(out, ", %s", text);
		else
			fprintf(out, "%s %s { %s", f->ip, field, text);
		some = true;
	}
	if (some)
		fputs(" } ", out);
	return some;
}

static bool has(const json_t *texts, const struct family *f, int bits)
{
	const json_t *value;
	size_t i;

	json_array_foreach((json_t *)texts, i, value)
		if (json_string_value(value) && of_family(json_string_value(value), f) && length_of(json_string_value(value)) == bits)
			return true;
	return false;
}

/* The node that has a group's packets, if it is another one. */
static uint32_t other_owner(const json_t *group)
{
	const char *role = json_string_value(json_object_get(group, "role"));

	return role && !strcmp(role, "standby") ? (uint32_t)json_integer_value(json_object_get(group, "owner")) : 0;
}

static const struct hop *hop_to(const struct steering *s, uint32_t node, const struct family *f)
{
	for (int i = 0; i < s->n_hops; i++)
		if (s->hops[i].node == node && s->hops[i].addr.len == f->len)
			return &s->hops[i];
	return NULL;
}

/* One rule: the group's far ends with a prefix of this length, or (ANY) all of them. */
static void put_group(FILE *out, const struct steering *s, const json_t *group, const struct family *f, int bits)
{
	const json_t *addrs = json_object_get(group, "addrs"), *remotes = json_object_get(group, "remotes");
	const struct hop *hop = hop_to(s, other_owner(group), f);
	char text[INET6_ADDRSTRLEN];

	if (!has(addrs, f, ANY) || (bits == ANY ? json_array_size(remotes) > 0 : !has(remotes, f, bits)))
		return;
	fputs("\t\t", out);
	put_set(out, f, "daddr", addrs, ANY);
	if (bits != ANY)
		put_set(out, f, "saddr", remotes, bits);
	if (hop)
		fprintf(out, "counter fwd %s to %s device \"%s\"\n", f->ip, inet_ntop(f->len == 4 ? AF_INET : AF_INET6, hop->addr.b, text, sizeof(text)),
			s->over);
	else
		fputs("accept\n", out);
}

/* Where a packet belongs; the first rule that matches decides. */
static void put_owners(FILE *out, const struct steering *s, const json_t *groups)
{
	const json_t *group;
	size_t i;

	fputs("\tchain owner {\n", out);
	for (const struct family *f = families; f < families + N_FAMILIES; f++)
		for (int bits = f->bits; bits >= ANY; bits--)
			json_array_foreach((json_t *)groups, i, group)
				put_group(out, s, group, f, bits);
	fputs("\t}\n", out);
}

/* What is steered at all. */
static void put_arrivals(FILE *out, const struct steering *s)
{
	fputs("\tchain arrivals {\n\t\ttype filter hook ingress devices = { ", out);
	for (int i = 0; i < s->n_from; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "", s->from[i]);
	fputs(" } priority 0; policy accept;\n\t\tmeta l4proto { esp, ah } goto owner\n\t\tudp dport { 500, 4500 } goto owner\n", out);
	for (const struct family *f = families; f < families + N_FAMILIES; f++)
		fprintf(out, "\t\t%s meta l4proto udp goto owner\n", f->fragment);
	fputs("\t}\n", out);
}

/* What another node sent here is not sent back, even if this node does not have the address. */
static void put_no_way_back(FILE *out, const struct steering *s, const json_t *groups)
{
	const json_t *group;
	size_t i;

	fputs("\tchain forward {\n\t\ttype filter hook forward priority 0; policy accept;\n", out);
	json_array_foreach((json_t *)groups, i, group)
		for (const struct family *f = families; f < families + N_FAMILIES; f++) {
			const json_t *addrs = json_object_get(group, "addrs");

			if (!has(addrs, f, ANY))
				continue;
			fprintf(out, "\t\tiifname \"%s\" ", s->over);
			put_set(out, f, "daddr", addrs, ANY);
			fputs("meta l4proto { esp, ah, udp } counter drop\n", out);
		}
	fputs("\t}\n", out);
}

char *steer_rules(const struct steering *s, const json_t *groups)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs(CLEAR "table netdev espsync_steer {\n", out);
	put_owners(out, s, groups);
	put_arrivals(out, s);
	fputs("}\ntable inet espsync_steer {\n", out);
	put_no_way_back(out, s, groups);
	fputs("}\n", out);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

uint32_t steer_lacks(const struct steering *s, const json_t *group, const char **family)
{
	uint32_t owner = other_owner(group);

	for (const struct family *f = families; owner && f < families + N_FAMILIES; f++) {
		*family = f->name;
		if (has(json_object_get(group, "addrs"), f, ANY) && !hop_to(s, owner, f))
			return owner;
	}
	return 0;
}
