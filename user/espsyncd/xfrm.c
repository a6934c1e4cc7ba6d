// SPDX-License-Identifier: GPL-2.0-or-later
/* xfrm: what the kernel has of a charon, also of one that died. See xfrm.h. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bytes.h"
#include "log.h"
#include "xfrm.h"

/* What is to be removed, gathered before anything is: a dump does not like to be changed. */
struct doomed {
	const struct config *c;
	struct bytes states;	/* struct victim */
	struct bytes policies;
};

/* One state or policy, by all that the kernel asks for to find it. */
struct victim {
	union {
		struct xfrm_usersa_id state;
		struct xfrm_userpolicy_id policy;
	} id;
	struct xfrm_mark mark;
	uint32_t if_id;
};

static bool is_ours(const struct config *c, const xfrm_address_t *a, uint16_t family)
{
	return config_is_ours(c, (const uint8_t *)a, family == AF_INET ? 4 : 16);
}

static void read_marks(const struct nlmsghdr *nlh, size_t head, struct victim *v)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh, head) {
		if (mnl_attr_get_type(a) == XFRMA_MARK && mnl_attr_get_payload_len(a) >= sizeof(v->mark))
			memcpy(&v->mark, mnl_attr_get_payload(a), sizeof(v->mark));
		else if (mnl_attr_get_type(a) == XFRMA_IF_ID && mnl_attr_get_payload_len(a) >= sizeof(v->if_id))
			v->if_id = mnl_attr_get_u32(a);
	}
}

static int on_state(const struct nlmsghdr *nlh, void *data)
{
	const struct xfrm_usersa_info *sa = mnl_nlmsg_get_payload(nlh);
	struct doomed *d = data;
	struct victim v = { .if_id = 0 };

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*sa))
		return MNL_CB_OK;
	if (!is_ours(d->c, &sa->id.daddr, sa->family) && !is_ours(d->c, &sa->saddr, sa->family))
		return MNL_CB_OK;
	v.id.state.daddr = sa->id.daddr;
	v.id.state.spi = sa->id.spi;
	v.id.state.family = sa->family;
	v.id.state.proto = sa->id.proto;
	read_marks(nlh, sizeof(*sa), &v);
	bytes_add(&d->states, &v, sizeof(v));
	return MNL_CB_OK;
}

static bool templates_ours(const struct config *c, const struct nlattr *a)
{
	const struct xfrm_user_tmpl *t = mnl_attr_get_payload(a);
	size_t n = mnl_attr_get_payload_len(a) / sizeof(*t);

	for (; n--; t++) {
		if (is_ours(c, &t->saddr, t->family) || is_ours(c, &t->id.daddr, t->family))
			return true;
	}
	return false;
}

static int on_policy(const struct nlmsghdr *nlh, void *data)
{
	const struct xfrm_userpolicy_info *p = mnl_nlmsg_get_payload(nlh);
	struct victim v = { .if_id = 0 };
	struct doomed *d = data;
	const struct nlattr *a;
	bool ours = false;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*p))
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*p)) {
		if (mnl_attr_get_type(a) == XFRMA_TMPL && templates_ours(d->c, a))
			ours = true;
	}
	if (!ours)
		return MNL_CB_OK;
	v.id.policy.sel = p->sel;
	v.id.policy.index = p->index;
	v.id.policy.dir = p->dir;
	read_marks(nlh, sizeof(*p), &v);
	bytes_add(&d->policies, &v, sizeof(v));
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, uint16_t type, mnl_cb_t cb, struct doomed *d)
{
	char buffer[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	uint32_t seq = time(NULL);
	ssize_t n;
	int r;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		r = n < 0 ? MNL_CB_ERROR : mnl_cb_run(buffer, n, seq, mnl_socket_get_portid(nl), cb, d);
	} while (r == MNL_CB_OK);
	explicit_bzero(buffer, sizeof(buffer));		/* it held keys */
	return r == MNL_CB_ERROR ? -errno : 0;
}

/* Return: 1 if it was removed. */
static int remove_one(struct mnl_socket *nl, uint16_t type, const struct victim *v)
{
	size_t len = type == XFRM_MSG_DELSA ? sizeof(v->id.state) : sizeof(v->id.policy);
	char buffer[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	ssize_t n;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	memcpy(mnl_nlmsg_put_extra_header(nlh, len), &v->id, len);
	if (v->mark.m)
		mnl_attr_put(nlh, XFRMA_MARK, sizeof(v->mark), &v->mark);
	if (v->if_id)
		mnl_attr_put_u32(nlh, XFRMA_IF_ID, v->if_id);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return 0;
	n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
	return n > 0 && mnl_cb_run(buffer, n, 1, mnl_socket_get_portid(nl), NULL, NULL) != MNL_CB_ERROR;
}

static int remove_all(struct mnl_socket *nl, uint16_t type, struct bytes *victims)
{
	int n = 0, left = 0;

	for (; bytes_left(victims) >= sizeof(struct victim); bytes_consume(victims, sizeof(struct victim))) {
		if (remove_one(nl, type, (const struct victim *)bytes_at(victims)))
			n++;
		else
			left++;
	}
	bytes_free(victims);
	if (left)
		log_warn("%d %s of a charon that is gone could not be removed, and are in the way of the next one's", left,
			 type == XFRM_MSG_DELSA ? "states" : "policies");
	return n;
}

int xfrm_flush(const struct config *c)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC);
	struct doomed d = { .c = c };
	int err = 0, n;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID))
		err = -errno;
	if (!err)
		err = dump(nl, XFRM_MSG_GETSA, on_state, &d);
	if (!err)
		err = dump(nl, XFRM_MSG_GETPOLICY, on_policy, &d);
	n = remove_all(nl, XFRM_MSG_DELPOLICY, &d.policies);
	n += remove_all(nl, XFRM_MSG_DELSA, &d.states);
	mnl_socket_close(nl);
	return err ? err : n;
}

bool xfrm_remove(const struct state *state)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC);
	struct victim v = { .mark = { state->mark, state->mask }, .if_id = state->if_id };
	bool removed = false;

	if (!nl)
		return false;
	memcpy(&v.id.state.daddr, state->dst.bytes, state->dst.len);
	v.id.state.spi = htonl(state->spi);
	v.id.state.family = state->dst.len == 4 ? AF_INET : AF_INET6;
	v.id.state.proto = state->proto;
	if (!mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID))
		removed = remove_one(nl, XFRM_MSG_DELSA, &v);
	mnl_socket_close(nl);
	return removed;
}

/* The newest number that was accepted, in whichever shape. */
static int on_numbers(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *a;
	bool *used = data;

	if (nlh->nlmsg_type != XFRM_MSG_NEWAE || mnl_nlmsg_get_payload_len(nlh) < sizeof(struct xfrm_aevent_id))
		return MNL_CB_STOP;
	mnl_attr_for_each(a, nlh, sizeof(struct xfrm_aevent_id)) {
		const struct xfrm_replay_state_esn *esn = mnl_attr_get_payload(a);
		const struct xfrm_replay_state *old = mnl_attr_get_payload(a);

		if (mnl_attr_get_type(a) == XFRMA_REPLAY_ESN_VAL && mnl_attr_get_payload_len(a) >= sizeof(*esn))
			*used |= esn->seq || esn->seq_hi;
		else if (mnl_attr_get_type(a) == XFRMA_REPLAY_VAL && mnl_attr_get_payload_len(a) >= sizeof(*old))
			*used |= old->seq;
	}
	return MNL_CB_STOP;
}

/* Of an inbound SA. Return: false if the kernel does not have it, or says nothing */
static bool read_numbers(const struct ha_addr *dst, uint32_t spi, mnl_cb_t cb, void *data)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC);
	char buffer[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct xfrm_aevent_id *id = mnl_nlmsg_put_extra_header(nlh, sizeof(*id));
	ssize_t n = -1;

	if (!nl)
		return false;
	nlh->nlmsg_type = XFRM_MSG_GETAE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	memcpy(&id->sa_id.daddr, dst->bytes, dst->len);
	id->sa_id.spi = htonl(spi);
	id->sa_id.family = dst->len == 4 ? AF_INET : AF_INET6;
	id->sa_id.proto = IPPROTO_ESP;
	if (!mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) && mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) >= 0)
		n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
	if (n > 0)
		n = mnl_cb_run(buffer, n, 1, mnl_socket_get_portid(nl), cb, data) == MNL_CB_ERROR ? -1 : n;
	mnl_socket_close(nl);
	return n > 0;
}

bool xfrm_in_use(const struct ha_addr *dst, uint32_t spi)
{
	bool used = false;

	read_numbers(dst, spi, on_numbers, &used);
	return used;
}

bool xfrm_has(const struct ha_addr *dst, uint32_t spi)
{
	bool used;

	return read_numbers(dst, spi, on_numbers, &used);
}

int xfrm_bypass(int fd, int family)
{
	struct xfrm_userpolicy_info p = { .action = XFRM_POLICY_ALLOW, .sel.family = family };
	int level = family == AF_INET ? SOL_IP : SOL_IPV6;
	int name = family == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY;

	p.dir = XFRM_POLICY_OUT;
	if (setsockopt(fd, level, name, &p, sizeof(p)))
		return -errno;
	p.dir = XFRM_POLICY_IN;
	if (setsockopt(fd, level, name, &p, sizeof(p)))
		return -errno;
	return 0;
}
