// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sa-calls.c - how long it takes a process to read the counters of one SA, and to write them, over genetlink.
 *
 *	sa-calls DST SPI CALLS		prints a line "get US" and a line "put US" for each call
 *
 * Room: requests of the family and a clock around each: from the first byte that is put together to the last attribute that is taken apart. Each
 * put raises the SA's number by one, so that there is something to merge. What the figures come to is the experiment's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/espsync.h>

struct counters {
	uint8_t fingerprint[8];
	uint8_t bitmap[1024];
	int bitmap_len;
	uint32_t window;
	uint64_t oseq, seq, bytes, packets;
};

struct asked {
	struct nl_sock *sk;
	int family;
	struct in_addr dst;
	uint32_t spi;		/* big endian */
	struct counters got;
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "sa-calls: %s: %s\n", what, nl_geterror(err));
	exit(1);
}

static uint64_t number(struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

static int keep(struct nl_msg *msg, void *arg)
{
	struct nlattr *top[ESPSYNC_A_MAX + 1], *sa[ESPSYNC_A_SA_MAX + 1];
	struct counters *c = arg;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, top, ESPSYNC_A_MAX, NULL) || !top[ESPSYNC_A_SA] ||
	    nla_parse_nested(sa, ESPSYNC_A_SA_MAX, top[ESPSYNC_A_SA], NULL) || !sa[ESPSYNC_A_SA_FINGERPRINT])
		return NL_SKIP;
	memcpy(c->fingerprint, nla_data(sa[ESPSYNC_A_SA_FINGERPRINT]), sizeof(c->fingerprint));
	c->bitmap_len = sa[ESPSYNC_A_SA_BITMAP] ? nla_memcpy(c->bitmap, sa[ESPSYNC_A_SA_BITMAP], sizeof(c->bitmap)) : 0;
	c->window = sa[ESPSYNC_A_SA_WINDOW] ? nla_get_u32(sa[ESPSYNC_A_SA_WINDOW]) : 0;
	c->oseq = number(sa[ESPSYNC_A_SA_OSEQ]);
	c->seq = number(sa[ESPSYNC_A_SA_SEQ]);
	c->bytes = number(sa[ESPSYNC_A_SA_BYTES]);
	c->packets = number(sa[ESPSYNC_A_SA_PACKETS]);
	return NL_OK;
}

static struct nl_msg *request(struct asked *a, uint8_t cmd, struct nlattr **nest)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, a->family, 0, NLM_F_ACK, cmd, ESPSYNC_GENL_VERSION))
		die("no memory", -NLE_NOMEM);
	*nest = nla_nest_start(msg, ESPSYNC_A_SA | NLA_F_NESTED);
	nla_put(msg, ESPSYNC_A_SA_DST, sizeof(a->dst), &a->dst);
	nla_put_u32(msg, ESPSYNC_A_SA_SPI, a->spi);
	nla_put_u8(msg, ESPSYNC_A_SA_PROTO, IPPROTO_ESP);
	return msg;
}

/* Sends a request and takes what comes, the acknowledgement last. */
static void carry_out(struct asked *a, struct nl_msg *msg, const char *what)
{
	int err = nl_send_auto(a->sk, msg);

	nlmsg_free(msg);
	if (err >= 0)
		err = nl_wait_for_ack(a->sk);
	if (err < 0)
		die(what, err);
}

static void get(struct asked *a)
{
	struct nlattr *nest;
	struct nl_msg *msg = request(a, ESPSYNC_CMD_SA_GET, &nest);

	nla_nest_end(msg, nest);
	carry_out(a, msg, "get");
}

static void put(struct asked *a)
{
	const struct counters *c = &a->got;
	struct nlattr *nest;
	struct nl_msg *msg = request(a, ESPSYNC_CMD_SA_PUT, &nest);

	nla_put(msg, ESPSYNC_A_SA_FINGERPRINT, sizeof(c->fingerprint), c->fingerprint);
	nla_put_u64(msg, ESPSYNC_A_SA_SEQ, c->seq);
	nla_put_u64(msg, ESPSYNC_A_SA_BYTES, c->bytes);
	nla_put_u64(msg, ESPSYNC_A_SA_PACKETS, c->packets);
	nla_put_u32(msg, ESPSYNC_A_SA_WINDOW, c->window);
	nla_put(msg, ESPSYNC_A_SA_BITMAP, c->bitmap_len, c->bitmap);
	nla_nest_end(msg, nest);
	carry_out(a, msg, "put");
}

int main(int argc, char **argv)
{
	struct asked a = { .sk = nl_socket_alloc() };
	uint64_t before;
	long calls;
	int err;

	if (argc != 4 || !inet_aton(argv[1], &a.dst)) {
		fprintf(stderr, "usage: sa-calls DST SPI CALLS\n");
		return 2;
	}
	a.spi = htonl((uint32_t)strtoul(argv[2], NULL, 0));
	calls = strtol(argv[3], NULL, 10);
	err = genl_connect(a.sk);
	if (!err)
		a.family = genl_ctrl_resolve(a.sk, ESPSYNC_GENL_NAME);
	if (err || a.family < 0)
		die("the family", err ? err : a.family);
	nl_socket_modify_cb(a.sk, NL_CB_VALID, NL_CB_CUSTOM, keep, &a.got);
	get(&a);
	before = a.got.seq;
	for (long i = 0; i < calls; i++) {
		double at = now_us();

		get(&a);
		printf("get %.2f\n", now_us() - at);
		a.got.seq++;
		at = now_us();
		put(&a);
		printf("put %.2f\n", now_us() - at);
	}
	get(&a);
	if (a.got.seq != before + (uint64_t)calls) {
		fprintf(stderr, "sa-calls: %ld puts took the number from %llu to %llu\n", calls, (unsigned long long)before, (unsigned long long)a.got.seq);
		return 1;
	}
	nl_socket_free(a.sk);
	return 0;
}
