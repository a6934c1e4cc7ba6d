// SPDX-License-Identifier: GPL-2.0-or-later
/* kernel: the module, over generic netlink. See kernel.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bytes.h"
#include "kernel.h"
#include "log.h"

#define GROUP	0	/* the group this version serves */
#define BUFFER	32768	/* what one message of a dump may take */
#define DUMP_TRIES	20	/* of one that what it shows changes under */

struct kernel {
	const struct kernel_ops *ops;
	void *ctx;
	struct event_base *base;
	struct mnl_socket *request;
	struct mnl_socket *events;
	struct event *readable;
	uint16_t family;		/* 0: the module is not there */
	bool reading_ours;
	bool refused;			/* the kernel has answered the last request, with an error */
	uint32_t event_group;
	uint32_t seq;
	char why[160];
	int told;		/* error that was logged last */
	char buffer[BUFFER];
	char event_buffer[BUFFER];
};

/**
 * struct answer - what a request is waiting for
 * @k: whose
 * @nest: attribute to hand to @read, or 0
 * @read: takes each attribute in it
 * @data: for @read
 */
struct answer {
	struct kernel *k;
	uint16_t nest;
	void (*read)(const struct nlattr *a, void *data);
	void *data;
};

static struct nlmsghdr *message(struct kernel *k, uint16_t family, uint8_t cmd, uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(k->buffer);
	struct genlmsghdr *g;

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++k->seq;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->cmd = cmd;
	g->version = version;
	return nlh;
}

static void read_nest(const struct nlattr *nest, const struct answer *want)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
		want->read(a, want->data);
}

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	const struct answer *want = data;
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr)) {
		if (!want->read)
			break;
		if (!want->nest)
			want->read(a, want->data);
		else if (mnl_attr_get_type(a) == want->nest)
			read_nest(a, want);
	}
	return MNL_CB_OK;
}

/* The kernel's own words, if it said any. */
static int on_error(const struct nlmsghdr *nlh, void *data)
{
	const struct answer *want = data;
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*err);
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*err))
		return MNL_CB_ERROR;
	if (!err->error)
		return MNL_CB_STOP;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += mnl_nlmsg_get_payload_len(&err->msg);
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS) {
		mnl_attr_for_each(a, nlh, skip) {
			if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG && !mnl_attr_validate(a, MNL_TYPE_NUL_STRING))
				snprintf(want->k->why, sizeof(want->k->why), "%s", mnl_attr_get_str(a));
		}
	}
	want->k->refused = true;
	errno = -err->error;
	return MNL_CB_ERROR;
}

static int open_request(struct kernel *k)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	int on = 1, err;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID)) {
		err = -errno;
		mnl_socket_close(nl);
		return err;
	}
	mnl_socket_setsockopt(nl, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(nl, NETLINK_CAP_ACK, &on, sizeof(on));
	if (k->request)
		mnl_socket_close(k->request);
	k->request = nl;
	return 0;
}

static int ask(struct kernel *k, struct nlmsghdr *nlh, const struct answer *want)
{
	static mnl_cb_t control[] = { [NLMSG_ERROR] = on_error };	/* libmnl itself knows the others */
	uint32_t seq = nlh->nlmsg_seq;
	int r = MNL_CB_OK;

	k->why[0] = 0;
	k->refused = false;
	if (mnl_socket_sendto(k->request, nlh, nlh->nlmsg_len) < 0)
		r = MNL_CB_ERROR;
	while (r == MNL_CB_OK) {
		ssize_t n = mnl_socket_recvfrom(k->request, k->buffer, sizeof(k->buffer));

		r = n < 0 ? MNL_CB_ERROR : mnl_cb_run2(k->buffer, n, seq, mnl_socket_get_portid(k->request), on_message,
						       (void *)want, control, NLMSG_ERROR + 1);
	}
	if (r != MNL_CB_ERROR)
		return 0;
	r = errno ? errno : EIO;
	if (!k->why[0])
		snprintf(k->why, sizeof(k->why), "%s", strerror(r));
	/* The rest of an answer that was not read to its end would be taken for the next one's. */
	if (!k->refused)
		open_request(k);
	return -r;
}

static void read_group_of(const struct nlattr *group, struct kernel *k)
{
	const struct nlattr *a;
	const char *name = "";
	uint32_t id = 0;

	mnl_attr_for_each_nested(a, group) {
		if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_NAME)
			name = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_ID)
			id = mnl_attr_get_u32(a);
	}
	if (!strcmp(name, ESPSYNC_MCGRP_EVENT))
		k->event_group = id;
}

/* Of all families; each begins with its name. */
static void read_family(const struct nlattr *a, void *data)
{
	struct kernel *k = data;
	const struct nlattr *group;

	if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_NAME)
		k->reading_ours = !strcmp(mnl_attr_get_str(a), ESPSYNC_GENL_NAME);
	if (!k->reading_ours)
		return;
	if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
		k->family = mnl_attr_get_u16(a);
	if (mnl_attr_get_type(a) != CTRL_ATTR_MCAST_GROUPS)
		return;
	mnl_attr_for_each_nested(group, a)
		read_group_of(group, k);
}

static void detach(struct kernel *k)
{
	k->family = 0;
	if (k->readable)
		event_free(k->readable);
	k->readable = NULL;
	if (k->events)
		mnl_socket_close(k->events);
	k->events = NULL;
}

struct event_values {
	uint8_t type;
	uint32_t group;
	uint32_t spi;
};

static void read_event(const struct nlattr *a, void *data)
{
	struct event_values *v = data;

	switch (mnl_attr_get_type(a)) {
	case ESPSYNC_A_EVENT_TYPE:
		v->type = mnl_attr_get_u8(a);
		break;
	case ESPSYNC_A_EVENT_GROUP:
		v->group = mnl_attr_get_u32(a);
		break;
	case ESPSYNC_A_EVENT_SPI:
		v->spi = ntohl(mnl_attr_get_u32(a));
		break;
	}
}

static int on_event(const struct nlmsghdr *nlh, void *data)
{
	struct event_values v = { .type = __ESPSYNC_EVENT_MAX };
	struct answer want = { .nest = ESPSYNC_A_EVENT, .read = read_event, .data = &v };
	struct kernel *k = data;

	on_message(nlh, &want);
	if (v.type == ESPSYNC_EVENT_ROLE && v.group == GROUP)
		k->ops->role(k->ctx);
	else if (v.type == ESPSYNC_EVENT_REKEY_NEEDED)
		k->ops->rekey_needed(k->ctx, v.spi);
	return MNL_CB_OK;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct kernel *k = arg;
	ssize_t n = recv(fd, k->event_buffer, sizeof(k->event_buffer), MSG_DONTWAIT);

	(void)what;
	if (n > 0)
		mnl_cb_run(k->event_buffer, n, 0, 0, on_event, k);
	else if (n < 0 && errno == ENOBUFS)
		k->ops->role(k->ctx);	/* events were lost: ask */
}

static bool subscribe(struct kernel *k)
{
	k->events = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!k->events || mnl_socket_bind(k->events, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_setsockopt(k->events, NETLINK_ADD_MEMBERSHIP, &k->event_group, sizeof(k->event_group))) {
		if (errno != k->told)	/* it is tried every second */
			log_warn("cannot listen to the module's events: %s%s", strerror(errno),
				 errno == EPERM ? " (run as root, with CAP_NET_ADMIN)" : "");
		k->told = errno;
		return false;
	}
	k->told = 0;
	k->readable = event_new(k->base, mnl_socket_get_fd(k->events), EV_READ | EV_PERSIST, on_readable, k);
	event_add(k->readable, NULL);
	return true;
}

bool kernel_attach(struct kernel *k)
{
	struct answer want = { .k = k, .read = read_family, .data = k };
	struct nlmsghdr *nlh;

	if (k->family)
		return true;
	/* All families: asking for one by name would load the module, and that is the channel unit's business. */
	nlh = message(k, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (ask(k, nlh, &want) || !k->family)
		return false;
	if (!subscribe(k)) {
		detach(k);
		return false;
	}
	return true;
}

/* A request of the family; -ENOENT for a family that was there means that the module was unloaded. */
static int family_ask(struct kernel *k, struct nlmsghdr *nlh, const struct answer *want)
{
	int err = ask(k, nlh, want);
	uint16_t family = k->family;

	if (err != -ENOENT)
		return err;
	detach(k);
	if (kernel_attach(k) && k->family == family)
		return -ENODEV;		/* it is there, but has no such thing */
	return -ENOENT;
}

static struct nlmsghdr *group_message(struct kernel *k, uint8_t cmd, uint32_t timeout_ms)
{
	struct nlmsghdr *nlh = message(k, k->family, cmd, ESPSYNC_GENL_VERSION);
	struct nlattr *nest = mnl_attr_nest_start(nlh, ESPSYNC_A_GROUP);

	mnl_attr_put_u32(nlh, ESPSYNC_A_GROUP_ID, GROUP);
	if (timeout_ms)
		mnl_attr_put_u32(nlh, ESPSYNC_A_GROUP_TIMEOUT_MS, timeout_ms);
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

struct group_values {
	bool found;
	uint32_t id;
	uint8_t role;
	uint32_t doubtful;
	uint8_t flushed;
};

static void read_group(const struct nlattr *a, void *data)
{
	struct group_values *v = data;

	switch (mnl_attr_get_type(a)) {
	case ESPSYNC_A_GROUP_ID:
		v->id = mnl_attr_get_u32(a);
		break;
	case ESPSYNC_A_GROUP_ROLE:
		if (v->id != GROUP)
			break;
		v->role = mnl_attr_get_u8(a);
		v->found = true;
		break;
	case ESPSYNC_A_GROUP_DOUBTFUL:
		v->doubtful = mnl_attr_get_u32(a);
		break;
	case ESPSYNC_A_GROUP_FLUSHED:
		v->flushed = mnl_attr_get_u8(a);
		break;
	}
}

int kernel_promote(struct kernel *k, uint32_t *doubtful)
{
	struct group_values v = { 0 };
	struct answer want = { .k = k, .nest = ESPSYNC_A_GROUP, .read = read_group, .data = &v };
	int err;

	if (!kernel_attach(k))
		return -ENOENT;
	err = family_ask(k, group_message(k, ESPSYNC_CMD_PROMOTE, 0), &want);
	*doubtful = v.doubtful;
	return err;
}

int kernel_demote(struct kernel *k, uint32_t timeout_ms, bool *flushed)
{
	struct group_values v = { 0 };
	struct answer want = { .k = k, .nest = ESPSYNC_A_GROUP, .read = read_group, .data = &v };
	int err;

	if (!kernel_attach(k))
		return -ENOENT;
	err = family_ask(k, group_message(k, ESPSYNC_CMD_DEMOTE, timeout_ms), &want);
	*flushed = v.flushed;
	return err;
}

int kernel_role(struct kernel *k, enum espsync_role *role)
{
	struct group_values v = { 0 };
	struct answer want = { .k = k, .nest = ESPSYNC_A_GROUP, .read = read_group, .data = &v };
	struct nlmsghdr *nlh;
	int err;

	if (!kernel_attach(k))
		return -ENOENT;
	nlh = group_message(k, ESPSYNC_CMD_GROUP_GET, 0);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	err = family_ask(k, nlh, &want);
	if (err)
		return err;
	if (!v.found)
		return -ENODEV;
	*role = v.role;
	return 0;
}

struct stale_search {
	uint32_t spi;
	void (*found)(void *ctx, uint32_t spi);
	void *ctx;
};

/* Of one SA after another; the SPI comes before the state. */
static void read_sa(const struct nlattr *a, void *data)
{
	struct stale_search *s = data;

	if (mnl_attr_get_type(a) == ESPSYNC_A_SA_SPI)
		s->spi = ntohl(mnl_attr_get_u32(a));
	else if (mnl_attr_get_type(a) == ESPSYNC_A_SA_STATE && mnl_attr_get_u8(a) == ESPSYNC_SA_STALE)
		s->found(s->ctx, s->spi);
}

int kernel_stale(struct kernel *k, void (*found)(void *ctx, uint32_t spi), void *ctx)
{
	struct stale_search s = { .found = found, .ctx = ctx };
	struct answer want = { .k = k, .nest = ESPSYNC_A_SA, .read = read_sa, .data = &s };
	struct nlmsghdr *nlh;
	int tries, err = -EINTR;

	if (!kernel_attach(k))
		return -ENOENT;
	for (tries = 0; tries < DUMP_TRIES && err == -EINTR; tries++) {
		nlh = message(k, k->family, ESPSYNC_CMD_SA_GET, ESPSYNC_GENL_VERSION);
		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		err = family_ask(k, nlh, &want);
	}
	return err;
}

static struct nlattr *begin_sa(struct nlmsghdr *nlh, const struct ha_addr *dst, uint32_t spi, uint8_t proto)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, ESPSYNC_A_SA);

	mnl_attr_put(nlh, ESPSYNC_A_SA_DST, dst->len, dst->bytes);
	mnl_attr_put_u32(nlh, ESPSYNC_A_SA_SPI, htonl(spi));
	mnl_attr_put_u8(nlh, ESPSYNC_A_SA_PROTO, proto);
	return nest;
}

static struct nlmsghdr *sa_message(struct kernel *k, uint8_t cmd, const struct ha_addr *dst, uint32_t spi, uint8_t proto)
{
	struct nlmsghdr *nlh = message(k, k->family, cmd, ESPSYNC_GENL_VERSION);

	mnl_attr_nest_end(nlh, begin_sa(nlh, dst, spi, proto));
	return nlh;
}

int kernel_expect(struct kernel *k, const struct ha_addr *dst, uint32_t spi)
{
	struct answer want = { .k = k };

	if (!dst->len || !kernel_attach(k))
		return -ENOENT;
	return family_ask(k, sa_message(k, ESPSYNC_CMD_SA_EXPECT, dst, spi, IPPROTO_ESP), &want);
}

static void read_bytes(const struct nlattr *a, void *to, size_t room, uint16_t *len)
{
	size_t n = mnl_attr_get_payload_len(a) < room ? mnl_attr_get_payload_len(a) : room;

	memcpy(to, mnl_attr_get_payload(a), n);
	if (len)
		*len = n;
}

static void read_numbers(const struct nlattr *a, void *data)
{
	struct numbers *n = data;

	switch (mnl_attr_get_type(a)) {
	case ESPSYNC_A_SA_FINGERPRINT:
		read_bytes(a, n->fingerprint, sizeof(n->fingerprint), NULL);
		break;
	case ESPSYNC_A_SA_DIR:
		n->dir = mnl_attr_get_u8(a);
		break;
	case ESPSYNC_A_SA_OSEQ:
		n->oseq = mnl_attr_get_u64(a);
		break;
	case ESPSYNC_A_SA_CEILING:
		n->ceiling = mnl_attr_get_u64(a);
		break;
	case ESPSYNC_A_SA_LEASE:
		n->lease = mnl_attr_get_u32(a);
		break;
	case ESPSYNC_A_SA_SEQ:
		n->seq = mnl_attr_get_u64(a);
		break;
	case ESPSYNC_A_SA_WINDOW:
		n->window = mnl_attr_get_u32(a);
		break;
	case ESPSYNC_A_SA_BITMAP:
		read_bytes(a, n->bitmap, sizeof(n->bitmap), &n->bitmap_len);
		break;
	case ESPSYNC_A_SA_BYTES:
		n->bytes = mnl_attr_get_u64(a);
		break;
	case ESPSYNC_A_SA_PACKETS:
		n->packets = mnl_attr_get_u64(a);
		break;
	}
}

int kernel_numbers(struct kernel *k, struct numbers *n)
{
	struct answer want = { .k = k, .nest = ESPSYNC_A_SA, .read = read_numbers, .data = n };

	if (!n->dst.len || !kernel_attach(k))
		return -ENOENT;
	return family_ask(k, sa_message(k, ESPSYNC_CMD_SA_GET, &n->dst, n->spi, n->proto), &want);
}

static void put_numbers(struct nlmsghdr *nlh, const struct numbers *n)
{
	mnl_attr_put(nlh, ESPSYNC_A_SA_FINGERPRINT, sizeof(n->fingerprint), n->fingerprint);
	mnl_attr_put_u8(nlh, ESPSYNC_A_SA_DIR, n->dir);
	if (n->dir == ESPSYNC_DIR_OUT) {
		mnl_attr_put_u64(nlh, ESPSYNC_A_SA_OSEQ, numbers_start(n));
	} else {
		mnl_attr_put_u64(nlh, ESPSYNC_A_SA_SEQ, n->seq);
		mnl_attr_put(nlh, ESPSYNC_A_SA_BITMAP, n->bitmap_len, n->bitmap);
	}
	mnl_attr_put_u64(nlh, ESPSYNC_A_SA_BYTES, n->bytes);
	mnl_attr_put_u64(nlh, ESPSYNC_A_SA_PACKETS, n->packets);
}

int kernel_foretell(struct kernel *k, const struct numbers *n)
{
	struct answer want = { .k = k };
	struct nlmsghdr *nlh;
	struct nlattr *nest;

	if (!n->dst.len || !kernel_attach(k))
		return -ENOENT;
	nlh = message(k, k->family, ESPSYNC_CMD_SA_EXPECT, ESPSYNC_GENL_VERSION);
	nest = begin_sa(nlh, &n->dst, n->spi, n->proto);
	put_numbers(nlh, n);
	mnl_attr_nest_end(nlh, nest);
	return family_ask(k, nlh, &want);
}

static void read_sa_group(const struct nlattr *a, void *data)
{
	uint32_t *group = data;

	if (mnl_attr_get_type(a) == ESPSYNC_A_SA_GROUP)
		*group = mnl_attr_get_u32(a);
}

bool kernel_serves(struct kernel *k, const struct ha_addr *dst, uint32_t spi, uint8_t proto)
{
	uint32_t group = UINT32_MAX;
	struct answer want = { .k = k, .nest = ESPSYNC_A_SA, .read = read_sa_group, .data = &group };
	int err;

	if (!kernel_attach(k))
		return true;
	err = family_ask(k, sa_message(k, ESPSYNC_CMD_SA_GET, dst, spi, proto), &want);
	return err == -ENOENT || err == -ENOTCONN || (!err && group == GROUP);
}

static int report(struct kernel *k, const struct kernel_report *r)
{
	struct answer want = { .k = k };
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	unsigned int i;

	nlh = message(k, k->family, ESPSYNC_CMD_HELPER_REPORT, ESPSYNC_GENL_VERSION);
	nest = mnl_attr_nest_start(nlh, ESPSYNC_A_HELPER);
	mnl_attr_put_u32(nlh, ESPSYNC_A_HELPER_KNOWN, r->known);
	mnl_attr_put_u32(nlh, ESPSYNC_A_HELPER_APPLIED, r->applied);
	mnl_attr_put_u32(nlh, ESPSYNC_A_HELPER_MISSING, r->missing);
	if (r->text[0]) {
		mnl_attr_put_u8(nlh, ESPSYNC_A_HELPER_REASON,
				r->drift ? ESPSYNC_REASON_DRIFT : ESPSYNC_REASON_IKE_MISSING);
		mnl_attr_put_strz(nlh, ESPSYNC_A_HELPER_TEXT, r->text);
	}
	for (i = 0; i < unprotected_shown(&r->unprotected); i++)
		mnl_attr_put_strz(nlh, ESPSYNC_A_HELPER_TUNNEL, r->unprotected.text[i]);
	for (i = 0; r->lines && i < r->lines->n; i++)
		mnl_attr_put_strz(nlh, ESPSYNC_A_HELPER_DRIFT, r->lines->text[i]);
	mnl_attr_nest_end(nlh, nest);
	return family_ask(k, nlh, &want);
}

/* An older module takes one sentence. Return: false if there is no other one */
static bool keep_one(struct kernel_report *r)
{
	const char *tunnel = unprotected_shown(&r->unprotected) ? r->unprotected.text[0] : NULL;
	const char *line = r->lines && r->lines->n ? r->lines->text[0] : NULL;

	if (!tunnel && !line)
		return false;
	if (!r->text[0]) {
		snprintf(r->text, sizeof(r->text), "%.*s", (int)sizeof(r->text) - 1, tunnel ? tunnel : line);
		r->drift = !tunnel;
	}
	r->unprotected.n = 0;
	r->lines = NULL;
	return true;
}

int kernel_report(struct kernel *k, const struct kernel_report *r)
{
	struct kernel_report one = *r;
	int err;

	if (!kernel_attach(k))
		return -ENOENT;
	err = report(k, r);
	return err == -EINVAL && keep_one(&one) ? report(k, &one) : err;
}

struct drift_search {
	bool drift;
	void (*found)(void *ctx, const char *text);
	void *ctx;
};

/* Of one reason after another; its word comes before its text. */
static void read_reason(const struct nlattr *a, void *data)
{
	struct drift_search *s = data;

	if (mnl_attr_get_type(a) == ESPSYNC_A_REASON_CODE)
		s->drift = mnl_attr_get_u8(a) == ESPSYNC_REASON_DRIFT;
	else if (mnl_attr_get_type(a) == ESPSYNC_A_REASON_TEXT && s->drift)
		s->found(s->ctx, mnl_attr_get_str(a));
}

int kernel_drift(struct kernel *k, void (*found)(void *ctx, const char *text), void *ctx)
{
	struct drift_search s = { .found = found, .ctx = ctx };
	struct answer want = { .k = k, .nest = ESPSYNC_A_REASON, .read = read_reason, .data = &s };
	struct nlmsghdr *nlh;

	if (!kernel_attach(k))
		return -ENOENT;
	nlh = message(k, k->family, ESPSYNC_CMD_READY, ESPSYNC_GENL_VERSION);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	return family_ask(k, nlh, &want);
}

const char *kernel_why(const struct kernel *k)
{
	return k->why;
}

struct kernel *kernel_alloc(struct event_base *base, const struct kernel_ops *ops, void *ctx)
{
	struct kernel *k = secret_alloc(sizeof(*k));
	int err;

	k->base = base;
	k->ops = ops;
	k->ctx = ctx;
	k->seq = time(NULL);
	err = open_request(k);
	if (err) {
		log_warn("cannot open a generic netlink socket: %s", strerror(-err));
		secret_free(k, sizeof(*k));
		return NULL;
	}
	return k;
}

void kernel_free(struct kernel *k)
{
	detach(k);
	mnl_socket_close(k->request);
	secret_free(k, sizeof(*k));
}
