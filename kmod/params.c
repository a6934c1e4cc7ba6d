// SPDX-License-Identifier: GPL-2.0
/*
 * params.c - modprobe's parameters: the channel of the initial namespace.
 *
 * Job: read and check what modprobe was given, before anything is made; a bad value refuses the load with a sentence in the log.
 * What may not enter: the key (it is set over netlink, never on a command line).
 */
#include <linux/inet.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "channel.h"
#include "netlink.h"
#include "params.h"
#include "place.h"

static uint node;
static char *local;
static char *peers;
static char *vip;
static uint port = ESPSYNC_PORT;
static uint tick_us = ES_TICK_US;
static uint records_per_s = ES_RECORDS_PER_S;
static uint rate_kbit;
static uint dead_ms = ES_DEAD_MS;
static uint detect_ms = ES_DETECT_MS;
static uint evict_ms = ES_EVICT_MS;

module_param(node, uint, 0444);
MODULE_PARM_DESC(node, "this node's number, 1-255");
module_param(local, charp, 0444);
MODULE_PARM_DESC(local, "this node's sync address: ADDR[;ADDR2], the second on a link of its own");
module_param(peers, charp, 0444);
MODULE_PARM_DESC(peers, "other nodes: NODE@ADDR[;ADDR2][,NODE@ADDR[;ADDR2]]...");
module_param(vip, charp, 0444);
MODULE_PARM_DESC(vip, "addresses of group 0: ADDR[,ADDR]...");
module_param(port, uint, 0444);
MODULE_PARM_DESC(port, "UDP port of the channel (" __stringify(ESPSYNC_PORT) ")");
module_param(tick_us, uint, 0444);
MODULE_PARM_DESC(tick_us, "shortest sync interval in microseconds (" __stringify(ES_TICK_US) ")");
module_param(records_per_s, uint, 0444);
MODULE_PARM_DESC(records_per_s, "busy SAs looked at in a second, at most: the more there are, the longer the interval (" __stringify(ES_RECORDS_PER_S) ")");
module_param(rate_kbit, uint, 0444);
MODULE_PARM_DESC(rate_kbit, "what the channel's records may take of the sync links, in thousands of bits a second (0: no limit)");
module_param(dead_ms, uint, 0444);
MODULE_PARM_DESC(dead_ms, "a peer not heard for so long is down (" __stringify(ES_DEAD_MS) ")");
module_param(detect_ms, uint, 0444);
MODULE_PARM_DESC(detect_ms, "a pause longer than this may have been taken for a death: what failover detection takes at least (" __stringify(ES_DETECT_MS) ")");
module_param(evict_ms, uint, 0444);
MODULE_PARM_DESC(evict_ms, "how long \"in\" lasts (" __stringify(ES_EVICT_MS) ")");

struct param_peer {
	u8 node;
	struct es_addr addr[ES_LINKS];
};

static struct {
	struct es_config cfg;
	struct param_peer peer[ESPSYNC_MAX_PEERS];
	unsigned int n_peers;
	struct es_addr vip[ESPSYNC_MAX_ADDRS];
	unsigned int n_vips;
} want __initdata;

static bool __init read_addr(char *s, struct es_addr *a)
{
	u8 raw[16];
	const char *end;

	if (in4_pton(s, -1, raw, '\0', &end) && !*end)
		return !es_addr_set(a, raw, 4) && !es_addr_is_any(a);
	if (in6_pton(s, -1, raw, '\0', &end) && !*end)
		return !es_addr_set(a, raw, 16) && !es_addr_is_any(a);
	return false;
}

/* ADDR, ADDR:PORT of IPv4, [ADDR]:PORT of IPv6. Changes @s. */
static bool __init read_endpoint(char *s, struct es_addr *a)
{
	char *p = NULL, *close;
	u16 n = ESPSYNC_PORT;

	if (*s == '[') {
		close = strchr(++s, ']');
		if (!close)
			return false;
		*close = '\0';
		p = close[1] == ':' ? close + 2 : NULL;
		if (close[1] && !p)
			return false;
	} else if (strchr(s, ':') && strchr(s, ':') == strrchr(s, ':')) {
		p = strchr(s, ':');
		*p++ = '\0';
	}
	if ((p && (kstrtou16(p, 10, &n) || !n)) || !read_addr(s, a))
		return false;
	a->port = htons(n);
	return true;
}

/* X or X;X, for one link or two. Changes @s. */
static bool __init each_link(char *s, struct es_addr *to, bool (*read)(char *s, struct es_addr *a))
{
	unsigned int i;

	for (i = 0; s; i++) {
		char *one = strsep(&s, ";");

		if (i == ES_LINKS || !read(one, &to[i]))
			return false;
	}
	return true;
}

static int __init read_peer(char *word)
{
	struct param_peer *p = &want.peer[want.n_peers];
	char *at = strchr(word, '@');
	const char *why;
	unsigned int i;

	if (want.n_peers == ESPSYNC_MAX_PEERS) {
		pr_err("espsync: peers=: more than 15 nodes: a cluster has at most 16\n");
		return -EINVAL;
	}
	if (at)
		*at++ = '\0';
	if (!at || kstrtou8(word, 10, &p->node) || !p->node || !each_link(at, p->addr, read_endpoint) ||
	    p->addr[0].family != want.cfg.local[0].family) {
		pr_err("espsync: peers=: \"%s\" is not NODE@ADDR or NODE@ADDR;ADDR2 with a node of 1 to 255 and an address of the family of local=\n", word);
		return -EINVAL;
	}
	why = es_link_why_not(&want.cfg, p->addr);
	if (why) {
		pr_err("espsync: peers=: node %u: %s\n", p->node, why);
		return -EINVAL;
	}
	for (i = 0; i < want.n_peers; i++)
		if (want.peer[i].node == p->node)
			goto twice;
	if (p->node == want.cfg.node)
		goto twice;
	want.n_peers++;
	return 0;
twice:
	pr_err("espsync: peers=: node %u is named twice, or is this node: give each its own number\n", p->node);
	return -EINVAL;
}

static int __init read_vip(char *word)
{
	if (want.n_vips < ESPSYNC_MAX_ADDRS && read_addr(word, &want.vip[want.n_vips])) {
		want.n_vips++;
		return 0;
	}
	pr_err("espsync: vip=: \"%s\" is not an address, or there are more than 64\n", word);
	return -EINVAL;
}

static int __init each_word(const char *list, int (*read)(char *word))
{
	char *copy, *rest, *word;
	int err = 0;

	if (!list)
		return 0;
	copy = kstrdup(list, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	rest = copy;
	while (!err && (word = strsep(&rest, ",")))
		err = read(word);
	kfree(copy);
	return err;
}

static int __init read_local(void)
{
	char *copy = kstrdup(local, GFP_KERNEL);	/* the parameter itself stays as it is: sysfs shows it */
	bool good;

	if (!copy)
		return -ENOMEM;
	good = each_link(copy, want.cfg.local, read_addr);
	kfree(copy);
	if (good)
		return 0;
	pr_err("espsync: local=: \"%s\" is not an IPv4 or IPv6 address of a host, nor two such as ADDR;ADDR2\n", local);
	return -EINVAL;
}

/**
 * es_params_check() - whether the load may go on
 * Return: 0, or -EINVAL with a sentence in the log
 */
int __init es_params_check(void)
{
	struct es_config *c = &want.cfg;
	const char *why;
	int err;

	es_config_defaults(c);
	if (!node && !local && !peers && !vip)
		return 0;	/* namespaces are set up over netlink */
	if (!node || !local || node > ESPSYNC_MAX_NODE || !port || port > 65535) {
		pr_err("espsync: node= (1-255) and local= are needed, and port= is 1 to 65535: modprobe espsync node=1 local=ADDR peers=2@ADDR vip=ADDR\n");
		return -EINVAL;
	}
	err = read_local();
	if (err)
		return err;
	c->node = node;
	es_config_port(c, htons(port));
	c->tick_us = tick_us;
	c->records_per_s = records_per_s;
	c->rate_kbit = rate_kbit;
	c->dead_ms = dead_ms;
	c->detect_ms = detect_ms;
	c->evict_ms = evict_ms;
	err = es_config_check(c, &why);
	if (err) {
		pr_err("espsync: %s\n", why);
		return -EINVAL;
	}
	err = each_word(peers, read_peer);
	return err ?: each_word(vip, read_vip);
}

static int __init set_vip(struct es_net *es)
{
	struct es_scope *s = kzalloc(struct_size(s, p, want.n_vips), GFP_KERNEL);
	unsigned int i;

	if (!s)
		return -ENOMEM;
	s->n_local = want.n_vips;
	for (i = 0; i < want.n_vips; i++) {
		s->p[i].a = want.vip[i];
		s->p[i].len = es_addr_len(&want.vip[i]) * 8;
	}
	return es_place_set(es, 0, s, NULL);
}

/**
 * es_params_apply() - make the initial namespace's channel as asked
 * @es: the initial namespace
 * Return: 0 or an error with a sentence in the log
 */
int __init es_params_apply(struct es_net *es)
{
	struct netlink_ext_ack extack = {};
	unsigned int i;
	int err;

	if (!want.cfg.node)
		return 0;
	mutex_lock(&es->lock);
	err = es_channel_start(es, &want.cfg, &extack);
	if (err)
		pr_err("espsync: no channel at %s (%d): %s\n", local, err,
		       extack._msg ?: "is the address on this machine and the port free?");
	for (i = 0; !err && i < want.n_peers; i++)
		err = es_peer_add(es, want.peer[i].node, want.peer[i].addr, NULL);
	if (!err && want.n_vips)
		err = set_vip(es);
	mutex_unlock(&es->lock);
	return err;
}
