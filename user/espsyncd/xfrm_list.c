// SPDX-License-Identifier: GPL-2.0-or-later
/* xfrm_list: asks the kernel for its SAs, without ever waiting for all of them. See xfrm_list.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "xfrm_list.h"

#define PIECE	32768

struct xfrm_list {
	struct event_base *base;
	const struct config *c;
	struct mnl_socket *nl;		/* NULL: nothing is asked for */
	struct event *readable;
	uint32_t seq;
	struct bytes states;
	void (*done)(void *ctx, const struct bytes *states);
	void *ctx;
	char piece[PIECE];
};

static struct ha_addr addr_of(const xfrm_address_t *a, uint16_t family)
{
	struct ha_addr addr = { .len = family == AF_INET ? 4 : 16 };

	memcpy(addr.bytes, a, addr.len);
	return addr;
}

static bool is_ours(const struct config *c, const struct ha_addr *a)
{
	return config_is_ours(c, a->bytes, a->len);
}

/* Return: false if it has no keys: its number is taken, and that is all. */
static bool read_attributes(const struct nlmsghdr *nlh, struct state *s)
{
	const struct xfrm_mark *mark;
	const struct nlattr *a;
	bool keyed = false;

	mnl_attr_for_each(a, nlh, sizeof(struct xfrm_usersa_info)) {
		switch (mnl_attr_get_type(a)) {
		case XFRMA_ALG_AEAD:
		case XFRMA_ALG_CRYPT:
		case XFRMA_ALG_AUTH:
			keyed = true;
			break;
		case XFRMA_MARK:
			mark = mnl_attr_get_payload(a);
			if (mnl_attr_get_payload_len(a) < sizeof(*mark))
				break;
			s->mark = mark->v;
			s->mask = mark->m;
			break;
		case XFRMA_IF_ID:
			if (mnl_attr_get_payload_len(a) >= sizeof(s->if_id))
				s->if_id = mnl_attr_get_u32(a);
			break;
		}
	}
	return keyed;
}

static int on_state(const struct nlmsghdr *nlh, void *data)
{
	struct xfrm_usersa_info sa;
	struct xfrm_list *l = data;
	struct state s;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(sa))
		return MNL_CB_OK;
	memcpy(&sa, mnl_nlmsg_get_payload(nlh), sizeof(sa));	/* it has 64-bit values, and messages are aligned to 32 */
	if (sa.id.proto != IPPROTO_ESP && sa.id.proto != IPPROTO_AH)
		return MNL_CB_OK;
	memset(&s, 0, sizeof(s));
	s.dst = addr_of(&sa.id.daddr, sa.family);
	s.src = addr_of(&sa.saddr, sa.family);
	s.spi = ntohl(sa.id.spi);
	s.proto = sa.id.proto;
	if ((is_ours(l->c, &s.dst) || is_ours(l->c, &s.src)) && read_attributes(nlh, &s))
		states_add(&l->states, &s);
	return MNL_CB_OK;
}

static void forget(struct xfrm_list *l)
{
	if (l->readable)
		event_free(l->readable);
	l->readable = NULL;
	if (l->nl)
		mnl_socket_close(l->nl);
	l->nl = NULL;
	bytes_free(&l->states);
}

static void finish(struct xfrm_list *l, bool ok)
{
	struct bytes states = l->states;

	memset(&l->states, 0, sizeof(l->states));
	forget(l);
	states_sort(&states);
	l->done(l->ctx, ok ? &states : NULL);
	bytes_free(&states);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct xfrm_list *l = arg;
	ssize_t n = recv(fd, l->piece, sizeof(l->piece), MSG_DONTWAIT);
	int r;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	r = n < (ssize_t)sizeof(struct nlmsghdr) ? MNL_CB_ERROR : mnl_cb_run(l->piece, n, l->seq, mnl_socket_get_portid(l->nl), on_state, l);
	explicit_bzero(l->piece, sizeof(l->piece));
	if (r != MNL_CB_OK)
		finish(l, r == MNL_CB_STOP);
}

/* Only states, for keys and counters go along with each; there is no filter for the cluster's addresses in either direction. */
static bool ask(struct xfrm_list *l)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(l->piece);

	l->nl = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!l->nl || mnl_socket_bind(l->nl, 0, MNL_SOCKET_AUTOPID))
		return false;
	nlh->nlmsg_type = XFRM_MSG_GETSA;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++l->seq;
	return mnl_socket_sendto(l->nl, nlh, nlh->nlmsg_len) >= 0;
}

void xfrm_list_states(struct xfrm_list *l, void (*done)(void *ctx, const struct bytes *states), void *ctx)
{
	l->done = done;
	l->ctx = ctx;
	if (!ask(l)) {
		finish(l, false);
		return;
	}
	l->readable = event_new(l->base, mnl_socket_get_fd(l->nl), EV_READ | EV_PERSIST, on_readable, l);
	event_add(l->readable, NULL);
}

struct xfrm_list *xfrm_list_alloc(struct event_base *base, const struct config *c)
{
	struct xfrm_list *l = secret_alloc(sizeof(*l));

	l->base = base;
	l->c = c;
	return l;
}

void xfrm_list_free(struct xfrm_list *l)
{
	forget(l);
	secret_free(l, sizeof(*l));
}
