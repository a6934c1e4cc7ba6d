// SPDX-License-Identifier: GPL-2.0
/*
 * tool_steer.c - the rules that `espsync steer` makes of groups: whose packets go where, in which order, and what stays.
 */
// SOURCES: ../../user/espsync/steer.c
// LIBS: -ljansson
#include <stdlib.h>
#include <string.h>

#include "../../user/espsync/steer.h"
#include "ktap.h"

static const struct hop hops[] = {
	{ 1, { { 10, 99, 0, 1 }, 4 } },
	{ 2, { { 10, 99, 0, 2 }, 4 } },
	{ 2, { { 0xfd, 0x99, [15] = 2 }, 16 } },
};
static char outer[2][5] = { "wan0", "wan1" }, *const from[] = { outer[0], outer[1] };
static const struct steering way = { from, 2, "sync", hops, 3 };

#define GROUP(n, role, owner, addrs, remotes) \
	"{\"group\": " #n ", \"role\": \"" role "\", \"owner\": " #owner ", \"addrs\": " addrs ", \"remotes\": " remotes "}"

static char *rules(const char *groups)
{
	json_t *json = json_loads(groups, 0, NULL);
	char *text = json ? steer_rules(&way, json) : NULL;

	json_decref(json);
	return text ? text : strdup("");
}

/* Are these lines there, in this order, and nothing else between the first and the last? */
static bool in_order(const char *groups, const char *lines)
{
	char *text = rules(groups);
	bool there = strstr(text, lines);

	if (!there)
		ktap_diag("not in\n%s", text);
	free(text);
	return there;
}

static bool who_has_what(void)
{
	ktap_expect(in_order("[" GROUP(0, "active", 1, "[\"192.0.2.1\"]", "null") "," GROUP(1, "standby", 2, "[\"192.0.2.2\"]", "null") "]",
			     "\tchain owner {\n\t\tip daddr { 192.0.2.1 } accept\n"
			     "\t\tip daddr { 192.0.2.2 } counter fwd ip to 10.99.0.2 device \"sync\"\n\t}\n"));
	ktap_expect(in_order("[" GROUP(0, "undecided", null, "[\"192.0.2.1\"]", "null") "]", "\tchain owner {\n\t\tip daddr { 192.0.2.1 } accept\n\t}\n"));
	ktap_expect(in_order("[" GROUP(0, "standby", null, "[\"192.0.2.1\"]", "null") "]", "\tchain owner {\n\t\tip daddr { 192.0.2.1 } accept\n\t}\n"));
	ktap_expect(in_order("[" GROUP(0, "standby", 7, "[\"192.0.2.1\"]", "null") "]", "\tchain owner {\n\t\tip daddr { 192.0.2.1 } accept\n\t}\n"));
	ktap_expect(in_order("[" GROUP(0, "standby", 2, "null", "null") "]", "\tchain owner {\n\t}\n"));
	ktap_expect(in_order("[]", "\tchain owner {\n\t}\n"));
	return true;
}

/* As kmod/place.c has it: a prefix of no length is more specific than none, and of equal ones the first group counts. */
static bool the_most_specific_first(void)
{
	ktap_expect(in_order("[" GROUP(0, "standby", 1, "[\"192.0.2.1\", \"2001:db8::1\"]", "null") ","
			     GROUP(3, "standby", 2, "[\"192.0.2.1\"]", "[\"0.0.0.0/0\"]") ","
			     GROUP(1, "standby", 2, "[\"192.0.2.1\", \"2001:db8::1\"]", "[\"203.0.113.0/24\", \"198.51.100.7/32\", \"2001:db8:1::/48\"]") ","
			     GROUP(2, "active", 3, "[\"192.0.2.1\"]", "[\"203.0.113.0/25\", \"203.0.113.9/32\", \"203.0.113.0/24\"]") "]",
			     "\tchain owner {\n"
			     "\t\tip daddr { 192.0.2.1 } ip saddr { 198.51.100.7/32 } counter fwd ip to 10.99.0.2 device \"sync\"\n"
			     "\t\tip daddr { 192.0.2.1 } ip saddr { 203.0.113.9/32 } accept\n"
			     "\t\tip daddr { 192.0.2.1 } ip saddr { 203.0.113.0/25 } accept\n"
			     "\t\tip daddr { 192.0.2.1 } ip saddr { 203.0.113.0/24 } counter fwd ip to 10.99.0.2 device \"sync\"\n"
			     "\t\tip daddr { 192.0.2.1 } ip saddr { 203.0.113.0/24 } accept\n"
			     "\t\tip daddr { 192.0.2.1 } ip saddr { 0.0.0.0/0 } counter fwd ip to 10.99.0.2 device \"sync\"\n"
			     "\t\tip daddr { 192.0.2.1 } counter fwd ip to 10.99.0.1 device \"sync\"\n"
			     "\t\tip6 daddr { 2001:db8::1 } ip6 saddr { 2001:db8:1::/48 } counter fwd ip6 to fd99::2 device \"sync\"\n"
			     "\t\tip6 daddr { 2001:db8::1 } accept\n\t}\n"));
	return true;
}

/* What comes from the other nodes is looked at by no rule that forwards, and does not leave again. */
static bool no_way_back(void)
{
	const char *groups = "[" GROUP(0, "active", 1, "[\"192.0.2.1\", \"192.0.2.2\", \"2001:db8::1\"]", "null") "]";

	ktap_expect(in_order(groups, "type filter hook ingress devices = { \"wan0\", \"wan1\" } priority 0; policy accept;\n"));
	ktap_expect(in_order(groups, "type filter hook forward priority 0; policy accept;\n"
			     "\t\tiifname \"sync\" ip daddr { 192.0.2.1, 192.0.2.2 } meta l4proto { esp, ah, udp } counter drop\n"
			     "\t\tiifname \"sync\" ip6 daddr { 2001:db8::1 } meta l4proto { esp, ah, udp } counter drop\n"));
	return true;
}

static uint32_t lacks(const char *group, const char **family)
{
	json_t *json = json_loads(group, 0, NULL);
	uint32_t node = steer_lacks(&way, json, family);

	json_decref(json);
	return node;
}

static bool an_address_that_lacks_is_named(void)
{
	const char *family = NULL;

	ktap_expect(lacks(GROUP(1, "standby", 2, "[\"192.0.2.1\", \"2001:db8::1\"]", "null"), &family) == 0);
	ktap_expect(lacks(GROUP(1, "standby", 1, "[\"192.0.2.1\"]", "null"), &family) == 0);
	ktap_expect(lacks(GROUP(1, "standby", 1, "[\"192.0.2.1\", \"2001:db8::1\"]", "null"), &family) == 1 && !strcmp(family, "IPv6"));
	ktap_expect(lacks(GROUP(1, "standby", 7, "[\"192.0.2.1\"]", "null"), &family) == 7 && !strcmp(family, "IPv4"));
	ktap_expect(lacks(GROUP(1, "active", 7, "[\"192.0.2.1\"]", "null"), &family) == 0);
	return true;
}

static const struct ktap_case cases[] = {
	{ "who has what", who_has_what },
	{ "the most specific first", the_most_specific_first },
	{ "no way back", no_way_back },
	{ "an address that lacks is named", an_address_that_lacks_is_named },
};

KTAP_MAIN(cases)
