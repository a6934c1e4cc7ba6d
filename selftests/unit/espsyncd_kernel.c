// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_kernel.c - user/espsyncd's kernel: what it makes of the module's answers, also of those that are cut short.
 *
 * Job: a module of a few lines behind a socket that is none, which answers as generic netlink does, and once says that what it shows has changed.
 */
// SOURCES: ../../user/espsyncd/bytes.c ../../user/espsyncd/unprotected.c
// LIBS: -lmnl -levent_core
#include <libmnl/libmnl.h>
#include <string.h>

#define MESSAGES	8

struct fake {
	struct { char data[512]; size_t len; } queue[MESSAGES];
	unsigned int first, n;
};

static struct fake *fake_open(int unused);
static void fake_close(struct fake *f);
static int fake_number(const struct fake *f, int n);
static int fake_option(const struct fake *f, int type, const void *value, size_t len);
static ssize_t fake_send(struct fake *f, const struct nlmsghdr *nlh, size_t len);
static ssize_t fake_recv(struct fake *f, void *buf, size_t room);

#define mnl_socket					fake
#define mnl_socket_open2(bus, flags)			fake_open((bus) + (flags))
#define mnl_socket_bind(nl, groups, pid)		fake_number(nl, (groups) + (pid))
#define mnl_socket_setsockopt(nl, type, value, len)	fake_option(nl, type, value, len)
#define mnl_socket_get_portid(nl)			((unsigned int)fake_number(nl, 0))
#define mnl_socket_get_fd(nl)				fake_number(nl, -1)
#define mnl_socket_close(nl)				fake_close(nl)
#define mnl_socket_sendto(nl, nlh, len)			fake_send(nl, nlh, len)
#define mnl_socket_recvfrom(nl, buf, room)		fake_recv(nl, buf, room)
#include "../../user/espsyncd/kernel.c"
#include "espsyncd_quiet.h"
#include "ktap.h"

#define FAMILY	28

static unsigned int interruptions, seen[4], n_seen;
static unsigned int reports, drifts, tunnels;	/* and how many sentences were in the last one */
static bool older;				/* it does not know the attributes of sentences */
static char text[128];				/* of the last report */
static uint8_t why;
static int one_sa;				/* its group; -1: in none, -2: there is no such SA, -3: no channel */

static struct fake *fake_open(int unused)
{
	(void)unused;
	return calloc(1, sizeof(struct fake));
}

static void fake_close(struct fake *f)
{
	free(f);
}

static int fake_number(const struct fake *f, int n)
{
	return f ? n : 0;
}

static int fake_option(const struct fake *f, int type, const void *value, size_t len)
{
	(void)f, (void)type, (void)value, (void)len;
	return 0;
}

static struct nlmsghdr *answer(struct fake *f, const struct nlmsghdr *to, uint16_t type, uint16_t flags, size_t head)
{
	char *data = f->queue[(f->first + f->n) % MESSAGES].data;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(data);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_MULTI | flags;
	nlh->nlmsg_seq = to->nlmsg_seq;
	mnl_nlmsg_put_extra_header(nlh, head);
	return nlh;
}

static void queue(struct fake *f, const struct nlmsghdr *nlh)
{
	f->queue[(f->first + f->n++) % MESSAGES].len = nlh->nlmsg_len;
}

static void done(struct fake *f, const struct nlmsghdr *to, uint16_t flags)
{
	queue(f, answer(f, to, NLMSG_DONE, flags, sizeof(int)));
}

static void family(struct fake *f, const struct nlmsghdr *to)
{
	struct nlmsghdr *nlh = answer(f, to, GENL_ID_CTRL, 0, sizeof(struct genlmsghdr));

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, ESPSYNC_GENL_NAME);
	mnl_attr_put_u16(nlh, CTRL_ATTR_FAMILY_ID, FAMILY);
	queue(f, nlh);
	done(f, to, 0);
}

static void stale_sa(struct fake *f, const struct nlmsghdr *to, uint32_t spi, uint16_t flags)
{
	struct nlmsghdr *nlh = answer(f, to, FAMILY, flags, sizeof(struct genlmsghdr));
	struct nlattr *nest = mnl_attr_nest_start(nlh, ESPSYNC_A_SA);

	mnl_attr_put_u32(nlh, ESPSYNC_A_SA_SPI, htonl(spi));
	mnl_attr_put_u8(nlh, ESPSYNC_A_SA_STATE, ESPSYNC_SA_STALE);
	mnl_attr_nest_end(nlh, nest);
	queue(f, nlh);
}

/* Something came or went behind the first of them. */
static void sas(struct fake *f, const struct nlmsghdr *to)
{
	uint16_t flags = interruptions ? NLM_F_DUMP_INTR : 0;

	interruptions -= interruptions > 0;
	stale_sa(f, to, 7, 0);
	stale_sa(f, to, 8, flags);
	done(f, to, flags);
}

static void group(struct fake *f, const struct nlmsghdr *to)
{
	struct nlmsghdr *nlh = answer(f, to, FAMILY, 0, sizeof(struct genlmsghdr));
	struct nlattr *nest = mnl_attr_nest_start(nlh, ESPSYNC_A_GROUP);

	mnl_attr_put_u32(nlh, ESPSYNC_A_GROUP_ID, 0);
	mnl_attr_put_u8(nlh, ESPSYNC_A_GROUP_ROLE, ESPSYNC_ROLE_ACTIVE);
	mnl_attr_nest_end(nlh, nest);
	queue(f, nlh);
	done(f, to, 0);
}

static void reason(struct fake *f, const struct nlmsghdr *to, uint8_t code, const char *sentence)
{
	struct nlmsghdr *nlh = answer(f, to, FAMILY, 0, sizeof(struct genlmsghdr));
	struct nlattr *nest = mnl_attr_nest_start(nlh, ESPSYNC_A_REASON);

	mnl_attr_put_u8(nlh, ESPSYNC_A_REASON_CODE, code);
	mnl_attr_put_strz(nlh, ESPSYNC_A_REASON_TEXT, sentence);
	mnl_attr_nest_end(nlh, nest);
	queue(f, nlh);
}

static void reasons(struct fake *f, const struct nlmsghdr *to)
{
	reason(f, to, ESPSYNC_REASON_NO_PEER, "not this one");
	reason(f, to, ESPSYNC_REASON_DRIFT, "this one");
	done(f, to, 0);
}

static void acknowledge(struct fake *f, const struct nlmsghdr *to, int error)
{
	struct nlmsghdr *nlh = answer(f, to, NLMSG_ERROR, 0, sizeof(struct nlmsgerr));
	struct nlmsgerr err = { .error = error };

	nlh->nlmsg_flags = NLM_F_CAPPED;
	memcpy(mnl_nlmsg_get_payload(nlh), &err, sizeof(err));
	queue(f, nlh);
}

static void one(struct fake *f, const struct nlmsghdr *to)
{
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	if (one_sa >= -1) {
		nlh = answer(f, to, FAMILY, 0, sizeof(struct genlmsghdr));
		nest = mnl_attr_nest_start(nlh, ESPSYNC_A_SA);
		mnl_attr_put_u8(nlh, ESPSYNC_A_SA_PROTO, IPPROTO_ESP);
		if (one_sa >= 0)
			mnl_attr_put_u32(nlh, ESPSYNC_A_SA_GROUP, one_sa);
		mnl_attr_nest_end(nlh, nest);
		queue(f, nlh);
	}
	acknowledge(f, to, one_sa == -2 ? -ENOENT : one_sa == -3 ? -ENOTCONN : 0);
}

static void take_report(struct fake *f, const struct nlmsghdr *to)
{
	const struct nlattr *nest, *a;

	reports++;
	drifts = 0;
	tunnels = 0;
	text[0] = 0;
	mnl_attr_for_each(nest, to, sizeof(struct genlmsghdr)) {
		mnl_attr_for_each_nested(a, nest) {
			drifts += mnl_attr_get_type(a) == ESPSYNC_A_HELPER_DRIFT;
			tunnels += mnl_attr_get_type(a) == ESPSYNC_A_HELPER_TUNNEL && !strcmp(mnl_attr_get_str(a), "office");
			if (mnl_attr_get_type(a) == ESPSYNC_A_HELPER_TEXT)
				snprintf(text, sizeof(text), "%s", mnl_attr_get_str(a));
			if (mnl_attr_get_type(a) == ESPSYNC_A_HELPER_REASON)
				why = mnl_attr_get_u8(a);
		}
	}
	acknowledge(f, to, older && (drifts || tunnels) ? -EINVAL : 0);
}

static ssize_t fake_send(struct fake *f, const struct nlmsghdr *nlh, size_t len)
{
	const struct genlmsghdr *g = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == GENL_ID_CTRL)
		family(f, nlh);
	else if (g->cmd == ESPSYNC_CMD_SA_GET && !(nlh->nlmsg_flags & NLM_F_DUMP))
		one(f, nlh);
	else if (g->cmd == ESPSYNC_CMD_SA_GET)
		sas(f, nlh);
	else if (g->cmd == ESPSYNC_CMD_GROUP_GET)
		group(f, nlh);
	else if (g->cmd == ESPSYNC_CMD_HELPER_REPORT)
		take_report(f, nlh);
	else if (g->cmd == ESPSYNC_CMD_READY)
		reasons(f, nlh);
	return len;
}

static ssize_t fake_recv(struct fake *f, void *buf, size_t room)
{
	size_t len = f->queue[f->first].len;

	if (!f->n || len > room) {
		errno = EAGAIN;		/* a true one would wait for ever */
		return -1;
	}
	memcpy(buf, f->queue[f->first].data, len);
	f->first = (f->first + 1) % MESSAGES;
	f->n--;
	return len;
}

static void found(void *ctx, uint32_t spi)
{
	(void)ctx;
	if (n_seen < 4)
		seen[n_seen++] = spi;
}

static struct kernel *fresh(unsigned int times)
{
	static const struct kernel_ops ops;
	static struct event_base *base;

	if (!base)
		base = event_base_new();
	interruptions = times;
	n_seen = 0;
	return kernel_alloc(base, &ops, NULL);
}

static bool role_is_known(struct kernel *k)
{
	enum espsync_role role = ESPSYNC_ROLE_UNDECIDED;
	int err = kernel_role(k, &role);

	if (err)
		ktap_diag("the role: %s", strerror(-err));
	return !err && role == ESPSYNC_ROLE_ACTIVE;
}

static bool what_is_stale_is_found(void)
{
	struct kernel *k = fresh(0);

	ktap_expect(!kernel_stale(k, found, NULL) && n_seen == 2 && seen[0] == 7 && seen[1] == 8);
	ktap_expect(role_is_known(k));
	kernel_free(k);
	return true;
}

static bool a_dump_that_was_changed_under_is_repeated(void)
{
	struct kernel *k = fresh(1);

	ktap_expect(!kernel_stale(k, found, NULL) && seen[n_seen - 1] == 8);
	ktap_expect(role_is_known(k));
	kernel_free(k);
	return true;
}

/* It gives up, and what was left of the last answer is nobody's. */
static bool nor_does_one_that_never_ends_spoil_what_follows(void)
{
	struct kernel *k = fresh(1000);

	ktap_expect(kernel_stale(k, found, NULL) == -EINTR);
	ktap_expect(role_is_known(k));
	kernel_free(k);
	return true;
}

/* An older module has room for one. */
static bool sentences_are_reported_each(void)
{
	static const struct lines lines = { .text = { "one", "two" }, .n = 2 };
	struct kernel_report r = { .known = 1, .lines = &lines };
	struct kernel *k = fresh(0);

	reports = 0;
	ktap_expect(!kernel_report(k, &r) && reports == 1 && drifts == 2 && !*text);
	older = true;
	ktap_expect(!kernel_report(k, &r) && reports == 3 && !drifts && !strcmp(text, "one") && why == ESPSYNC_REASON_DRIFT);
	unprotected_add(&r.unprotected, "office");
	ktap_expect(!kernel_report(k, &r) && !tunnels && !strcmp(text, "office") && why == ESPSYNC_REASON_IKE_MISSING);
	snprintf(r.text, sizeof(r.text), "charon is not running");
	ktap_expect(!kernel_report(k, &r) && !drifts && !strcmp(text, "charon is not running"));
	older = false;
	kernel_free(k);
	return true;
}

static void sentence(void *ctx, const char *s)
{
	snprintf(ctx, 64, "%.63s", s);
}

static bool what_differs_is_read_back(void)
{
	struct kernel *k = fresh(0);
	char said[64] = "";

	ktap_expect(!kernel_drift(k, sentence, said) && !strcmp(said, "this one"));
	kernel_free(k);
	return true;
}

/* What the module does not follow, or counts to another group, is not this helper's to touch. */
static bool an_sa_of_another_group_is_not_ours(void)
{
	static const struct ha_addr dst = { .len = 4, .bytes = { 192, 0, 2, 1 } };
	struct kernel *k = fresh(0);
	int n;

	for (n = -3; n <= 2; n++) {
		one_sa = n;
		ktap_expect(kernel_serves(k, &dst, 7, IPPROTO_ESP) == (n == 0 || n == -3));
	}
	kernel_free(k);
	return true;
}

static bool tunnels_are_named_one_by_one(void)
{
	static struct kernel_report r;
	struct kernel *k = fresh(0);
	unsigned int i;

	for (i = 0; i <= 12; i++) {
		ktap_expect(!kernel_report(k, &r) && tunnels == (i < 8 ? i : 8));
		unprotected_add(&r.unprotected, "office");
	}
	kernel_free(k);
	return true;
}

static const struct ktap_case cases[] = {
	{ "what is stale is found", what_is_stale_is_found },
	{ "a dump that was changed under is repeated", a_dump_that_was_changed_under_is_repeated },
	{ "nor does one that never ends spoil what follows", nor_does_one_that_never_ends_spoil_what_follows },
	{ "sentences are reported each", sentences_are_reported_each },
	{ "what differs is read back", what_differs_is_read_back },
	{ "an SA of another group is not ours", an_sa_of_another_group_is_not_ours },
	{ "tunnels are named one by one", tunnels_are_named_one_by_one },
};

KTAP_MAIN(cases)
