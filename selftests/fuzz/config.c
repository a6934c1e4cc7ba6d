// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/config.c
/*
 * config.c - the text of espsyncd.conf, and of a key file.
 *
 * Job: a text is taken or refused with one sentence that names the file and a line that the text has. What was taken is within its bounds,
 * and written down anew it is read as the same.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>

#include "../../user/espsyncd/config.h"
#include "fuzz.h"

static char text[65536];
static size_t len;

static void __attribute__((format(printf, 1, 2))) line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	len += vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
	must(len < sizeof(text));
}

static const char *addr(const struct config_addr *a)
{
	static char said[INET6_ADDRSTRLEN];

	must(a->len == 4 || a->len == 16);
	return inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->bytes, said, sizeof(said));
}

/* Return: false if it became too long for a line. */
static bool write_down(const struct config *c)
{
	size_t start;
	bool fits;

	len = 0;
	line("[node]\nnumber=%u\nkey_file=%s\n[link]\nlocal=%s\n", c->node, c->key_file, addr(&c->local));
	line("port=%u\nkeepalive_ms=%u\ndead_ms=%u\n", c->port, c->keepalive_ms, c->dead_ms);
	for (unsigned int i = 0; i < c->n_peers; i++)
		line("[peer %u]\naddress=%s\nport=%u\n", c->peers[i].node, addr(&c->peers[i].addr), c->peers[i].port);
	line("[charon]\nhelper=%s\n", addr(&c->ha_helper));
	line("strongswan=%s\nswanctl=%s\n", c->strongswan, c->swanctl);
	line("charon=%s\nfifo=%s\nvici=%s\nrekey_after_takeover=%u\n[group 0]\naddresses=", addr(&c->ha_charon), c->fifo, c->vici, c->rekey_per_s);
	start = len;
	for (unsigned int i = 0; i < c->n_addrs; i++)
		line(" %s", addr(&c->addrs[i]));
	fits = len - start < 1000;	/* ::2 of 1::2:3:4:5:6:7 becomes longer */
	line("\n[vrrp]\nnotify_fifo=%s\ntrack_file=%s\n", c->notify_fifo, c->track_file);
	if (c->instance[0])
		line("instance=%s\n", c->instance);
	for (unsigned int i = 0; i < c->n_initiate; i++) {
		line("[initiate %s]\n", c->initiate[i].conn);
		for (unsigned int j = 0; j < c->initiate[i].n_children; j++)
			line("children=%s\n", c->initiate[i].children[j]);
	}
	line("[limits]\nbuffer_mib=%u\nheld_groups=%u\nhold_s=%u\n", c->buffer_mib, c->held_groups, c->hold_s);
	line("tunnel_kib=%u\njournal_mib=%u\n", c->tunnel_kib, c->journal_mib);
	return fits;
}

static bool within(uint32_t v, uint32_t min, uint32_t max)
{
	return v >= min && v <= max;
}

static bool ends(const char *s, size_t size)
{
	return memchr(s, 0, size);
}

static void judge(const struct config *c)
{
	must(within(c->rekey_per_s, 0, 1000));
	must(within(c->node, 1, 255) && within(c->port, 1, 65535) && within(c->buffer_mib, 1, 4096));
	must(within(c->keepalive_ms, 50, 60000) && within(c->dead_ms, 2 * c->keepalive_ms, 600000));
	must(within(c->held_groups, 1, 65536) && within(c->hold_s, 1, 3600));
	must(within(c->n_peers, 1, CONFIG_MAX_PEERS) && within(c->n_addrs, 1, CONFIG_MAX_ADDRS));
	must(c->ha_helper.len == 4 && c->ha_charon.len == 4);
	must(ends(c->key_file, CONFIG_PATH) && ends(c->fifo, CONFIG_PATH) && ends(c->vici, CONFIG_PATH));
	must(ends(c->strongswan, CONFIG_PATH) && ends(c->swanctl, CONFIG_PATH));
	must(ends(c->notify_fifo, CONFIG_PATH) && ends(c->track_file, CONFIG_PATH) && ends(c->instance, CONFIG_NAME));
	for (unsigned int i = 0; i < c->n_peers; i++) {
		must(within(c->peers[i].node, 1, 255) && c->peers[i].node != c->node && within(c->peers[i].port, 1, 65535));
		must(c->peers[i].addr.len == c->local.len);
		for (unsigned int j = 0; j < i; j++)
			must(c->peers[i].node != c->peers[j].node);
	}
	must(c->n_initiate <= CONFIG_MAX_INITIATE);
	for (unsigned int i = 0; i < c->n_initiate; i++) {
		must(c->initiate[i].conn[0] && ends(c->initiate[i].conn, CONFIG_NAME) && within(c->initiate[i].n_children, 1, CONFIG_MAX_CHILDREN));
		for (unsigned int j = 0; j < c->initiate[i].n_children; j++)
			must(c->initiate[i].children[j][0] && ends(c->initiate[i].children[j], CONFIG_NAME));
	}
	for (unsigned int i = 0; i < c->n_addrs; i++)
		must(config_is_ours(c, c->addrs[i].bytes, c->addrs[i].len) && config_is_ours_text(c, addr(&c->addrs[i])));
}

static void forget_lines(struct config *c)
{
	for (unsigned int i = 0; i < c->n_peers; i++)
		c->peers[i].line = 0;
	for (unsigned int i = 0; i < c->n_initiate; i++)
		c->initiate[i].line = 0;
}

static void judge_sentence(const char *error, const char *given)
{
	unsigned int at = 0, lines = 1;
	const char *s;

	for (s = given; *s; s++)
		lines += *s == '\n';
	must(ends(error, CONFIG_ERROR) && sscanf(error, "f:%u: ", &at) == 1 && at <= lines);
	must(strlen(error) > 12);
}

static void same_again(struct config *c)
{
	static struct config again;
	char error[CONFIG_ERROR];

	must(!config_parse(&again, "f", text, error));
	forget_lines(c);
	forget_lines(&again);
	must(!memcmp(c, &again, sizeof(again)));
}

static void key_file(const uint8_t *data, size_t size)
{
	uint8_t key[32], before[32];
	char *given = (char *)exact(data, size);

	memset(key, 0x5a, sizeof(key));
	memcpy(before, key, sizeof(key));
	if (config_parse_key(key, given, size))
		must(!memcmp(key, before, sizeof(key)));
	else
		must(size >= 64);
	free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config c;
	char error[CONFIG_ERROR] = "", *given = malloc(size + 1);

	memcpy(given, data, size);
	given[size] = 0;
	memset(&c, 0x5a, sizeof(c));
	if (config_parse(&c, "f", given, error)) {
		judge_sentence(error, given);
	} else {
		must(!*error);
		judge(&c);
		if (write_down(&c))
			same_again(&c);
	}
	free(given);
	key_file(data, size);
	return 0;
}
