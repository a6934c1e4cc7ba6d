/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config: espsyncd.conf, from text to values.
 *
 * Room: which sections and keys there are, their ranges and defaults, and the sentence for each mistake. Pure: the text is
 * passed in, no file is opened here, and nothing is logged.
 */
#ifndef ESPSYNCD_CONFIG_H
#define ESPSYNCD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_MAX_PEERS	15
#define CONFIG_MAX_ADDRS	64
#define CONFIG_MAX_INITIATE	256
#define CONFIG_MAX_CHILDREN	8	/* of each of them */
#define CONFIG_PATH		108	/* what fits a unix socket's address */
#define CONFIG_NAME		64
#define CONFIG_ERROR		256

/**
 * struct config_addr - an address
 * @len: 4 or 16; 0 if not given
 * @bytes: network order
 */
struct config_addr {
	uint8_t len;
	uint8_t bytes[16];
};

/**
 * struct config_peer - another node
 * @node: its number
 * @line: where it was named
 * @addr: where its espsyncd listens
 * @port: TCP port
 */
struct config_peer {
	uint32_t node;
	unsigned int line;
	struct config_addr addr;
	uint32_t port;
};

/**
 * struct config_initiate - a connection that the active gateway initiates
 * @line: where it was named
 * @conn: its name in swanctl.conf
 * @children: those of its children that are initiated
 * @n_children: how many
 */
struct config_initiate {
	unsigned int line;
	char conn[CONFIG_NAME];
	char children[CONFIG_MAX_CHILDREN][CONFIG_NAME];
	unsigned int n_children;
};

/**
 * struct config - all of it; see etc/espsyncd.conf for what each key means
 * @node: [node] number
 * @key_file: [node] key_file
 * @local: [link] local
 * @port: [link] port
 * @keepalive_ms: [link] keepalive_ms
 * @dead_ms: [link] dead_ms
 * @peers: the [peer N] sections
 * @n_peers: how many
 * @ha_helper: [charon] helper
 * @ha_charon: [charon] charon
 * @fifo: [charon] fifo
 * @vici: [charon] vici
 * @strongswan: [charon] strongswan
 * @swanctl: [charon] swanctl
 * @rekey_per_s: [charon] rekey_after_takeover
 * @initiate: the [initiate CONNECTION] sections
 * @n_initiate: how many
 * @commit: [charon] commit
 * @move_to: [move] to, empty: none
 * @fetch: [move] fetch
 * @addrs: [group 0] addresses
 * @n_addrs: how many
 * @notify_fifo: [vrrp] notify_fifo
 * @instance: [vrrp] instance, empty for any
 * @track_file: [vrrp] track_file
 * @buffer_mib: [limits] buffer_mib
 * @held_groups: [limits] held_groups
 * @hold_s: [limits] hold_s
 * @tunnel_kib: [limits] tunnel_kib
 * @journal_mib: [limits] journal_mib
 */
struct config {
	uint32_t node;
	char key_file[CONFIG_PATH];
	struct config_addr local;
	uint32_t port;
	uint32_t keepalive_ms;
	uint32_t dead_ms;
	struct config_peer peers[CONFIG_MAX_PEERS];
	unsigned int n_peers;
	struct config_addr ha_helper;
	struct config_addr ha_charon;
	char fifo[CONFIG_PATH];
	char vici[CONFIG_PATH];
	char strongswan[CONFIG_PATH];
	char swanctl[CONFIG_PATH];
	uint32_t rekey_per_s;
	struct config_initiate initiate[CONFIG_MAX_INITIATE];
	unsigned int n_initiate;
	bool commit;
	char move_to[CONFIG_PATH];
	bool fetch;
	struct config_addr addrs[CONFIG_MAX_ADDRS];
	unsigned int n_addrs;
	char notify_fifo[CONFIG_PATH];
	char instance[CONFIG_NAME];
	char track_file[CONFIG_PATH];
	uint32_t buffer_mib;
	uint32_t held_groups;
	uint32_t hold_s;
	uint32_t tunnel_kib;
	uint32_t journal_mib;
};

/**
 * config_parse() - read a configuration
 * @c: filled with defaults, then with what the text says
 * @file: its name, for messages
 * @text: ends with NUL
 * @error: one sentence, on failure
 *
 * Return: 0, or -1 with @error
 */
int config_parse(struct config *c, const char *file, const char *text, char error[CONFIG_ERROR]);

/* Is it an address of the group? @len is 4 or 16; @text is as charon writes it. */
bool config_is_ours(const struct config *c, const uint8_t *bytes, uint8_t len);
bool config_is_ours_text(const struct config *c, const char *text);

/* The same, or something else than one address: a range, a name, %any. */
bool config_may_be_ours(const struct config *c, const char *text);

/* 64 hex digits, and blanks around them. Return: 0, or -1 if it is anything else; then @key is not touched. */
int config_parse_key(uint8_t key[32], const char *text, size_t len);

#endif /* ESPSYNCD_CONFIG_H */
