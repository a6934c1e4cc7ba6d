// SPDX-License-Identifier: GPL-2.0-or-later
/* hush: this node hears no IKE for a moment, or one VPN is neither heard nor sent. See hush.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bytes.h"
#include "hush.h"

#define TABLE		"espsync_hush"
#define TABLE_NAME	32
#define PRIORITY	(-500)	/* before anybody else's rule */
#define IKE_PORT	500
#define NATT_PORT	4500
#define ESP		50
#define UDP		17
#define AT_PORT		2	/* in a UDP header */
#define AT_MARKER	8	/* RFC 3948 2.2: 0 before IKE, an SPI before ESP */
#define MARKER		4
#define BUFFER		8192
#define BUFFER_CHILD	4096	/* what the rules for one CHILD SA take at most */

struct hush {
	struct mnl_socket *nl;
};

/* One batch: nothing of it is there before all of it is. */
struct request {
	struct mnl_nlmsg_batch *batch;
	char table[TABLE_NAME];
	struct nlmsghdr *last;
	uint32_t seq;
};

struct direction {
	const char *chain;
	uint32_t hook;
	bool out;
};

static const struct direction in = { "in", NF_INET_LOCAL_IN, false }, out = { "out", NF_INET_LOCAL_OUT, true };

static struct nlmsghdr *message(struct request *r, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(r->batch));
	struct nfgenmsg *g;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = r->seq++;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(res_id);
	return nlh;
}

static struct nlmsghdr *nft_message(struct request *r, uint16_t type)
{
	r->last = message(r, NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_CREATE, NFPROTO_INET, 0);
	return r->last;
}

static void done(struct request *r)
{
	mnl_nlmsg_batch_next(r->batch);
}

static void put_be32(struct nlmsghdr *nlh, uint16_t type, uint32_t v)
{
	mnl_attr_put_u32(nlh, type, htonl(v));
}

static struct nlattr *begin_expr(struct nlmsghdr *nlh, const char *name, struct nlattr **data)
{
	struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, name);
	*data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	return elem;
}

static void end_expr(struct nlmsghdr *nlh, struct nlattr *elem, struct nlattr *data)
{
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, elem);
}

static void is_equal(struct nlmsghdr *nlh, const void *value, size_t len)
{
	struct nlattr *data, *elem = begin_expr(nlh, "cmp", &data), *v;

	put_be32(nlh, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(nlh, NFTA_CMP_OP, NFT_CMP_EQ);
	v = mnl_attr_nest_start(nlh, NFTA_CMP_DATA);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, len, value);
	mnl_attr_nest_end(nlh, v);
	end_expr(nlh, elem, data);
}

static void meta_is(struct nlmsghdr *nlh, uint32_t key, uint8_t value)
{
	struct nlattr *data, *elem = begin_expr(nlh, "meta", &data);

	put_be32(nlh, NFTA_META_KEY, key);
	put_be32(nlh, NFTA_META_DREG, NFT_REG_1);
	end_expr(nlh, elem, data);
	is_equal(nlh, &value, sizeof(value));
}

static void header_holds(struct nlmsghdr *nlh, uint32_t base, uint32_t offset, const void *value, size_t len)
{
	struct nlattr *data, *elem = begin_expr(nlh, "payload", &data);

	put_be32(nlh, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_be32(nlh, NFTA_PAYLOAD_BASE, base);
	put_be32(nlh, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(nlh, NFTA_PAYLOAD_LEN, len);
	end_expr(nlh, elem, data);
	is_equal(nlh, value, len);
}

static void holds(struct nlmsghdr *nlh, uint32_t offset, const void *value, size_t len)
{
	header_holds(nlh, NFT_PAYLOAD_TRANSPORT_HEADER, offset, value, len);
}

static void drop(struct nlmsghdr *nlh)
{
	struct nlattr *data, *elem = begin_expr(nlh, "immediate", &data), *v, *verdict;

	put_be32(nlh, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	v = mnl_attr_nest_start(nlh, NFTA_IMMEDIATE_DATA);
	verdict = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);
	put_be32(nlh, NFTA_VERDICT_CODE, NF_DROP);
	mnl_attr_nest_end(nlh, verdict);
	mnl_attr_nest_end(nlh, v);
	end_expr(nlh, elem, data);
}

static void add_table(struct request *r)
{
	struct nlmsghdr *nlh = nft_message(r, NFT_MSG_NEWTABLE);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, r->table);
	put_be32(nlh, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	done(r);
}

static void add_chain(struct request *r, const struct direction *d)
{
	struct nlmsghdr *nlh = nft_message(r, NFT_MSG_NEWCHAIN);
	struct nlattr *hook;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, r->table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, d->chain);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, "filter");
	hook = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	put_be32(nlh, NFTA_HOOK_HOOKNUM, d->hook);
	put_be32(nlh, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
	mnl_attr_nest_end(nlh, hook);
	done(r);
}

static struct nlattr *begin_rule(struct request *r, const struct direction *d)
{
	struct nlmsghdr *nlh = nft_message(r, NFT_MSG_NEWRULE);

	nlh->nlmsg_flags |= NLM_F_APPEND;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, r->table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, d->chain);
	return mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
}

static void end_rule(struct request *r, struct nlattr *exprs)
{
	drop(r->last);
	mnl_attr_nest_end(r->last, exprs);
	done(r);
}

/* What comes to that port; to the other one also ESP does. */
static void drop_port(struct request *r, uint16_t port)
{
	struct nlattr *exprs = begin_rule(r, &in);
	static const uint8_t marker[MARKER];
	uint16_t to = htons(port);

	meta_is(r->last, NFT_META_L4PROTO, UDP);
	holds(r->last, AT_PORT, &to, sizeof(to));
	if (port == NATT_PORT)
		holds(r->last, AT_MARKER, marker, sizeof(marker));
	end_rule(r, exprs);
}

static struct nlattr *begin_rule_of(struct request *r, const struct direction *d, const struct hush_whom *w, uint8_t proto)
{
	struct nlattr *exprs = begin_rule(r, d);
	bool v4 = w->remote.len == 4;

	meta_is(r->last, NFT_META_NFPROTO, v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	header_holds(r->last, NFT_PAYLOAD_NETWORK_HEADER, (v4 ? 12 : 8) + (d->out ? w->remote.len : 0), w->remote.bytes, w->remote.len);
	meta_is(r->last, NFT_META_L4PROTO, proto);
	return exprs;
}

/* To and from port 500, then 4500: it is the initiator's SPI that an IKE SA has from its first packet to its last. */
static void drop_ike(struct request *r, const struct direction *d, const struct hush_whom *w)
{
	uint8_t marked[MARKER + sizeof(w->spi_i)] = { 0 };
	struct nlattr *exprs = begin_rule_of(r, d, w, UDP);

	holds(r->last, AT_MARKER, w->spi_i, sizeof(w->spi_i));
	end_rule(r, exprs);
	memcpy(marked + MARKER, w->spi_i, sizeof(w->spi_i));
	exprs = begin_rule_of(r, d, w, UDP);
	holds(r->last, AT_MARKER, marked, sizeof(marked));
	end_rule(r, exprs);
}

static void drop_esp(struct request *r, const struct direction *d, const struct hush_whom *w, uint32_t spi)
{
	struct nlattr *exprs = begin_rule_of(r, d, w, ESP);
	uint32_t be = htonl(spi);

	holds(r->last, 0, &be, sizeof(be));
	end_rule(r, exprs);
	exprs = begin_rule_of(r, d, w, UDP);
	holds(r->last, AT_MARKER, &be, sizeof(be));
	end_rule(r, exprs);
}

static void add_rules(struct request *r, const struct hush_whom *w)
{
	unsigned int i;

	add_table(r);
	add_chain(r, &in);
	if (!w) {
		drop_port(r, IKE_PORT);
		drop_port(r, NATT_PORT);
		return;
	}
	add_chain(r, &out);
	if (w->ike) {
		drop_ike(r, &in, w);
		drop_ike(r, &out, w);
	}
	for (i = 0; i < w->n; i++) {
		drop_esp(r, &in, w, w->spis_in[i]);
		drop_esp(r, &out, w, w->spis_out[i]);
	}
}

/* The last message alone asks for an answer: the first one that comes is that, or says what is wrong with another. */
static int answer(struct mnl_socket *nl)
{
	char buffer[BUFFER];
	ssize_t n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));

	return n < 0 || mnl_cb_run(buffer, n, 0, mnl_socket_get_portid(nl), NULL, NULL) == MNL_CB_ERROR ? -errno : 0;
}

/* Tables of several VPNs, and the one for all, may be there at a time. */
static void name_table(struct request *r, const struct hush_whom *w)
{
	static unsigned int serial;

	if (w)
		snprintf(r->table, sizeof(r->table), TABLE "_%u", ++serial);
	else
		snprintf(r->table, sizeof(r->table), TABLE);
}

static int ask(struct mnl_socket *nl, const struct hush_whom *w)
{
	size_t limit = BUFFER + (w ? w->n * (size_t)BUFFER_CHILD : 0);
	char *buffer = secret_alloc(2 * limit);
	struct request r = { .batch = mnl_nlmsg_batch_start(buffer, limit), .seq = time(NULL) };
	int err = r.batch ? 0 : -ENOMEM;

	if (r.batch) {
		name_table(&r, w);
		message(&r, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
		done(&r);
		add_rules(&r, w);
		r.last->nlmsg_flags |= NLM_F_ACK;
		message(&r, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
		done(&r);
		if (mnl_socket_sendto(nl, mnl_nlmsg_batch_head(r.batch), mnl_nlmsg_batch_size(r.batch)) < 0)
			err = -errno;
		mnl_nlmsg_batch_stop(r.batch);
	}
	secret_free(buffer, 2 * limit);
	return err ? err : answer(nl);
}

static struct hush *begin(const struct hush_whom *w)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct hush *h;
	int err;

	if (!nl)
		return NULL;
	err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ? -errno : ask(nl, w);
	if (err) {
		mnl_socket_close(nl);
		errno = -err;
		return NULL;
	}
	h = secret_alloc(sizeof(*h));
	h->nl = nl;
	return h;
}

struct hush *hush_begin(void)
{
	return begin(NULL);
}

struct hush *hush_vpn(const struct hush_whom *whom)
{
	return begin(whom);
}

void hush_end(struct hush *h)
{
	if (!h)
		return;
	mnl_socket_close(h->nl);
	secret_free(h, sizeof(*h));
}
