// SPDX-License-Identifier: GPL-2.0-or-later
/* hush: this node hears no IKE for a moment. See hush.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bytes.h"
#include "hush.h"

#define TABLE		"espsync_hush"
#define CHAIN		"in"
#define PRIORITY	(-500)	/* before anybody else's rule */
#define IKE_PORT	500
#define NATT_PORT	4500
#define UDP		17
#define AT_PORT		2	/* in a UDP header */
#define AT_MARKER	8	/* RFC 3948 2.2: 0 before IKE, an SPI before ESP */
#define BUFFER		8192

struct hush {
	struct mnl_socket *nl;
};

/* One batch: nothing of it is there before all of it is. */
struct request {
	struct mnl_nlmsg_batch *batch;
	uint32_t first;
	uint32_t seq;
};

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
	return message(r, NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_CREATE | NLM_F_ACK, NFPROTO_INET, 0);
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

static void is_udp(struct nlmsghdr *nlh)
{
	struct nlattr *data, *elem = begin_expr(nlh, "meta", &data);
	uint8_t udp = UDP;

	put_be32(nlh, NFTA_META_KEY, NFT_META_L4PROTO);
	put_be32(nlh, NFTA_META_DREG, NFT_REG_1);
	end_expr(nlh, elem, data);
	is_equal(nlh, &udp, sizeof(udp));
}

static void holds(struct nlmsghdr *nlh, uint32_t offset, const void *value, size_t len)
{
	struct nlattr *data, *elem = begin_expr(nlh, "payload", &data);

	put_be32(nlh, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_be32(nlh, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	put_be32(nlh, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(nlh, NFTA_PAYLOAD_LEN, len);
	end_expr(nlh, elem, data);
	is_equal(nlh, value, len);
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

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, TABLE);
	put_be32(nlh, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	done(r);
}

static void add_chain(struct request *r)
{
	struct nlmsghdr *nlh = nft_message(r, NFT_MSG_NEWCHAIN);
	struct nlattr *hook;

	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, TABLE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, CHAIN);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, "filter");
	hook = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	put_be32(nlh, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN);
	put_be32(nlh, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
	mnl_attr_nest_end(nlh, hook);
	done(r);
}

/* What comes to that port; to the other one also ESP does. */
static void add_rule(struct request *r, uint16_t port)
{
	struct nlmsghdr *nlh = nft_message(r, NFT_MSG_NEWRULE);
	static const uint8_t marker[4];
	struct nlattr *exprs;
	uint16_t to = htons(port);

	nlh->nlmsg_flags |= NLM_F_APPEND;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, CHAIN);
	exprs = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	is_udp(nlh);
	holds(nlh, AT_PORT, &to, sizeof(to));
	if (port == NATT_PORT)
		holds(nlh, AT_MARKER, marker, sizeof(marker));
	drop(nlh);
	mnl_attr_nest_end(nlh, exprs);
	done(r);
}

/* Every message but the two around them is answered, by the time that they are sent. */
static int answers(struct mnl_socket *nl, const struct request *r)
{
	uint32_t seq = r->first + 1;
	char buffer[BUFFER];
	ssize_t n;

	for (; seq + 1 < r->seq; seq++) {
		n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		if (n < 0 || mnl_cb_run(buffer, n, seq, mnl_socket_get_portid(nl), NULL, NULL) == MNL_CB_ERROR)
			return -errno;
	}
	return 0;
}

static int ask(struct mnl_socket *nl)
{
	char buffer[2 * BUFFER];
	struct request r = { .batch = mnl_nlmsg_batch_start(buffer, BUFFER), .seq = time(NULL) };
	int err = 0;

	if (!r.batch)
		return -ENOMEM;
	r.first = r.seq;
	message(&r, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	done(&r);
	add_table(&r);
	add_chain(&r);
	add_rule(&r, IKE_PORT);
	add_rule(&r, NATT_PORT);
	message(&r, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	done(&r);
	if (mnl_socket_sendto(nl, mnl_nlmsg_batch_head(r.batch), mnl_nlmsg_batch_size(r.batch)) < 0)
		err = -errno;
	mnl_nlmsg_batch_stop(r.batch);
	return err ? err : answers(nl, &r);
}

struct hush *hush_begin(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct hush *h;
	int err;

	if (!nl)
		return NULL;
	err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ? -errno : ask(nl);
	if (err) {
		mnl_socket_close(nl);
		errno = -err;
		return NULL;
	}
	h = secret_alloc(sizeof(*h));
	h->nl = nl;
	return h;
}

void hush_end(struct hush *h)
{
	if (!h)
		return;
	mnl_socket_close(h->nl);
	secret_free(h, sizeof(*h));
}
