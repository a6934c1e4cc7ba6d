// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * parse.c - command line to values. Pure: nothing is opened, nothing is asked; what is wrong gets its sentence.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <linux/espsync.h>

#include "cli.h"
#include "err.h"
#include "parse.h"
#include "word.h"

static struct opt *opt_find(struct opt *opts, const char *word)
{
	for (; opts->word; opts++)
		if (!strcmp(opts->word, word))
			return opts;
	return NULL;
}

static int opt_unknown(const char *what, const struct opt *opts, const char *word)
{
	const char *v[32];
	struct words words = { .v = v };

	for (; opts->word && words.n < sizeof(v) / sizeof(*v); opts++)
		v[words.n++] = opts->word;
	return word_unknown(what, &words, word);
}

/* More of an option's values, or is it a word that was misspelt? */
static bool opt_takes(const struct opt *opt, struct opt *opts, const char *word)
{
	if (opt->values >= 0)
		return opt->n < opt->values;
	if (opt->values == OPT_ADDRS && opt->n && !strpbrk(word, ".:"))
		return false;
	return !opt_find(opts, word);
}

int opts_parse(const char *what, struct opt *opts, int argc, char **argv)
{
	while (argc > 0) {
		struct opt *opt = opt_find(opts, *argv);

		if (!opt)
			return opt_unknown(what, opts, *argv);
		if (opt->seen)
			return fail(BAD, what, "say it once", "'%s' stands there twice", opt->word);
		opt->seen = true;
		opt->v = ++argv;
		argc--;
		while (argc > 0 && opt_takes(opt, opts, *argv)) {
			opt->n++;
			argv++;
			argc--;
		}
		if (opt->n < (opt->values < 0 ? 1 : opt->values))
			return fail(BAD, what, "see espsync help", "'%s' needs a value", opt->word);
	}
	return 0;
}

bool text_to_u64(const char *s, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return false;
	}
	*out = n;
	return true;
}

int parse_u32(const char *what, const char *name, const char *s, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t n;

	if (!text_to_u64(s, &n) || n < min || n > max)
		return fail(BAD, what, "see espsync help", "%s '%s' is not a number from %u to %u", name, s, min, max);
	*out = (uint32_t)n;
	return 0;
}

/* Decimal, or 0x and hexadecimal. */
static bool text_to_u32(const char *s, uint32_t *out)
{
	uint64_t n = 0;
	size_t len;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		len = strlen(s + 2);
		if (!len || len > 8 || strspn(s + 2, "0123456789abcdefABCDEF") != len)
			return false;
		n = strtoull(s + 2, NULL, 16);
	} else if (!text_to_u64(s, &n) || n > UINT32_MAX) {
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

int parse_spi(const char *what, const char *s, uint32_t *out)
{
	uint32_t n;

	if (!text_to_u32(s, &n) || !n)
		return fail(BAD, what, "as ip xfrm state shows it", "spi '%s' is not a number from 1 to 0xffffffff", s);
	*out = n;
	return 0;
}

int parse_two(const char *what, const char *name, const char *s, char between, uint32_t *first, uint32_t *second)
{
	const char *at = second ? strchr(s, between) : NULL;
	size_t len = at ? (size_t)(at - s) : strlen(s);
	char text[16];

	if (len >= sizeof(text))
		len = 0;
	memcpy(text, s, len);
	text[len] = '\0';
	if (!text_to_u32(text, first) || (at && !text_to_u32(at + 1, second)))
		return fail(BAD, what, "as ip xfrm state shows it", "%s '%s' is not a number from 0 to 0xffffffff, or two with %c between", name, s, between);
	return 0;
}

/* Neither what the kernel refuses nor what would be more than a name to nft. */
int parse_device(const char *what, const char *s)
{
	if (!*s || strlen(s) >= IFNAMSIZ || strpbrk(s, "/ \t\n:\"*\\") || !strcmp(s, ".") || !strcmp(s, ".."))
		return fail(BAD, what, "ip link shows what there is", "'%s' cannot be the name of a device", s);
	return 0;
}

bool text_to_addr(const char *s, struct addr *out)
{
	struct addr a = { .len = 4 };

	if (inet_pton(AF_INET, s, a.b) != 1) {
		a.len = 16;
		if (inet_pton(AF_INET6, s, a.b) != 1)
			return false;
	}
	*out = a;
	return true;
}

/* 0.0.0.0, ::, 224.0.0.0/4, 255.255.255.255, ff00::/8: nobody's own address. */
static bool addr_is_nobody(const struct addr *a)
{
	static const uint8_t zero[16];

	if (!memcmp(a->b, zero, a->len))
		return true;
	return a->len == 4 ? a->b[0] >= 224 : a->b[0] == 0xff;
}

int parse_addr(const char *what, const char *s, struct addr *out)
{
	if (!text_to_addr(s, out))
		return fail(BAD, what, "give it as 192.0.2.1 or 2001:db8::1", "'%s' is not an address", s);
	if (addr_is_nobody(out))
		return fail(BAD, what, "give the address of one machine", "'%s' cannot be the address of a node", s);
	return 0;
}

static int bad_addr_port(const char *what, const char *s)
{
	return fail(BAD, what, "IPv6 with a port is [ADDR]:PORT", "'%s' is not ADDR or ADDR:PORT", s);
}

int parse_addr_port(const char *what, const char *s, struct addr *out, uint32_t *port)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *end = s + strlen(s), *colon = strchr(s, ':');
	int err;

	if (*s == '[') {
		end = strchr(++s, ']');
		if (!end || (end[1] && end[1] != ':'))
			return bad_addr_port(what, s - 1);
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && strchr(colon + 1, ':')) {
		colon = NULL; /* more than one: IPv6 without a port */
	} else if (colon) {
		end = colon;
	}
	if ((size_t)(end - s) >= sizeof(host))
		return bad_addr_port(what, s);
	memcpy(host, s, (size_t)(end - s));
	host[end - s] = '\0';
	err = parse_addr(what, host, out);
	if (err)
		return err;
	return colon ? parse_u32(what, "port", colon + 1, 1, 65535, port) : 0;
}

int parse_links(const char *what, int n, char **v, struct addr *addr, uint32_t *port)
{
	int err = 0;

	if (n > NODE_LINKS)
		return fail(BAD, what, "one address for each", "there are at most two links, so '%s' is too much", v[NODE_LINKS]);
	for (int i = 0; i < n && !err; i++)
		err = port ? parse_addr_port(what, v[i], &addr[i], &port[i]) : parse_addr(what, v[i], &addr[i]);
	if (!err && n > 1 && addr[0].len == addr[1].len && !memcmp(addr[0].b, addr[1].b, addr[0].len))
		err = fail(BAD, what, "give the one on the other link", "the address '%s' stands there twice", v[1]);
	return err;
}

static bool bits_behind(const struct addr *a, unsigned int bits)
{
	for (unsigned int i = bits; i < 8 * a->len; i++)
		if (a->b[i / 8] & 0x80 >> i % 8)
			return true;
	return false;
}

int parse_prefix(const char *what, const char *s, struct addr *out, uint8_t *bits)
{
	const char *slash = strchr(s, '/'), *end = slash ? slash : s + strlen(s);
	char host[INET6_ADDRSTRLEN + 1];
	uint64_t n;

	if ((size_t)(end - s) < sizeof(host)) {
		memcpy(host, s, (size_t)(end - s));
		host[end - s] = '\0';
	} else {
		host[0] = '\0';
	}
	if (!text_to_addr(host, out))
		return fail(BAD, what, "give it as 203.0.113.0/24 or 2001:db8:1::/48", "'%s' is not a prefix", s);
	n = 8 * out->len;
	if (slash && (!text_to_u64(slash + 1, &n) || n > 8 * out->len))
		return fail(BAD, what, "IPv4 has 0 to 32 bits, IPv6 0 to 128", "'%s' is not a prefix", s);
	if (bits_behind(out, (unsigned int)n))
		return fail(BAD, what, "clear the bits behind its length", "'%s' is an address in a prefix, not a prefix", s);
	*bits = (uint8_t)n;
	return 0;
}
