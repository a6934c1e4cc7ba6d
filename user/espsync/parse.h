/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parse.h - what stands on a command line: words with values, numbers, addresses, SPIs.
 */
#ifndef ESPSYNC_PARSE_H
#define ESPSYNC_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct addr - an IP address in network order
 * @b: the bytes
 * @len: 4 or 16; 0 means none
 */
struct addr {
	uint8_t b[16];
	size_t len;
};

/**
 * struct opt - a word that may stand on a command line, in any order
 * @word: the word; a NULL ends the table
 * @values: how many values it takes: 0, 1, OPT_LIST for one or more, or OPT_ADDRS for one and more that look like addresses
 * @seen: set when it was there
 * @v: its values, inside argv
 * @n: how many
 */
struct opt {
	const char *word;
	int values;
	bool seen;
	char **v;
	int n;
};

#define OPT_LIST (-1)
#define OPT_ADDRS (-2)

/**
 * opts_parse() - find the words of a table on a command line
 * @what: the command, for the refusal
 * @opts: the table
 * @argc: how many arguments
 * @argv: the arguments
 *
 * Return: 0, or BAD after having said why: an unknown word, one twice, a missing value.
 */
int opts_parse(const char *what, struct opt *opts, int argc, char **argv);

/**
 * parse_u32() - a decimal number in a range
 * @what: the command, for the refusal
 * @name: what the number is
 * @s: the text
 * @min: least
 * @max: most
 * @out: the number
 *
 * Return: 0, or BAD after having said why.
 */
int parse_u32(const char *what, const char *name, const char *s, uint32_t min, uint32_t max, uint32_t *out);

/**
 * parse_two() - one or two numbers, decimal or 0x hexadecimal, with a character between them
 * @what: the command, for the refusal
 * @name: what they are
 * @s: the text
 * @between: the character
 * @first: the number
 * @second: the one behind @between; untouched without. NULL: there is none
 *
 * Return: 0, or BAD after having said why.
 */
int parse_two(const char *what, const char *name, const char *s, char between, uint32_t *first, uint32_t *second);

/**
 * parse_spi() - an SPI, decimal or 0x hexadecimal, not 0
 * @what: the command, for the refusal
 * @s: the text
 * @out: the SPI in host order
 *
 * Return: 0, or BAD after having said why.
 */
int parse_spi(const char *what, const char *s, uint32_t *out);

/**
 * parse_device() - the name of a network device
 * @what: the command, for the refusal
 * @s: the text
 *
 * Return: 0, or BAD after having said why.
 */
int parse_device(const char *what, const char *s);

/**
 * parse_addr() - an address that one host can have
 * @what: the command, for the refusal
 * @s: the text
 * @out: the address
 *
 * Return: 0, or BAD after having said why: not an address, or the unspecified one, or one of a multicast group.
 */
int parse_addr(const char *what, const char *s, struct addr *out);

/**
 * parse_addr_port() - ADDR, ADDR:PORT, [ADDR] or [ADDR]:PORT
 * @what: the command, for the refusal
 * @s: the text
 * @out: the address
 * @port: the port; untouched if none is given
 *
 * Return: 0, or BAD after having said why.
 */
int parse_addr_port(const char *what, const char *s, struct addr *out, uint32_t *port);

#define NODE_LINKS 2

/**
 * parse_links() - the addresses of a node, one for each link
 * @what: the command, for the refusal
 * @n: how many
 * @v: the texts
 * @addr: NODE_LINKS of them; those that are not there have no length
 * @port: the same of ports, 0 if there is none; NULL: they have none
 *
 * Return: 0, or BAD after having said why.
 */
int parse_links(const char *what, int n, char **v, struct addr *addr, uint32_t *port);

/**
 * parse_prefix() - ADDR/LEN, or ADDR for that one address
 * @what: the command, for the refusal
 * @s: the text
 * @out: the address
 * @bits: the length
 *
 * Return: 0, or BAD after having said why: not a prefix, or one with bits set behind its length.
 */
int parse_prefix(const char *what, const char *s, struct addr *out, uint8_t *bits);

/* The same two without a sentence, for readers that have their own: false if malformed. */
bool text_to_u64(const char *s, uint64_t *out);
bool text_to_addr(const char *s, struct addr *out);

#endif /* ESPSYNC_PARSE_H */
