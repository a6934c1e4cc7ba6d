// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * listen.c - the only file that reads what the kernel multicasts. Knows no object, decides nothing: commands are told.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "listen.h"

struct listening {
	const struct listener *l;
	int family;
	bool gone; /* the family was unregistered */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void on_family(struct listening *s, struct genlmsghdr *genl)
{
	struct nlattr *id = nla_find(genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), CTRL_ATTR_FAMILY_ID);

	if (genl->cmd == CTRL_CMD_DELFAMILY && id && nla_get_u16(id) == s->family)
		s->gone = true;
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct genlmsghdr *genl = nlmsg_data(hdr);
	struct listening *s = arg;
	struct nlattr *nest;

	if (!genlmsg_valid_hdr(hdr, 0))
		return NL_SKIP;
	if (hdr->nlmsg_type == GENL_ID_CTRL)
		on_family(s, genl);
	if (hdr->nlmsg_type != s->family || genl->cmd != s->l->cmd)
		return NL_SKIP;
	nest = nla_find(genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), s->l->object->nest);
	if (!nest)
		return NL_SKIP;
	s->l->on_object(object_decode(s->l->object, nest), s->l->arg);
	return NL_OK;
}

static int subscribe(struct knl *nl, const char *name)
{
	int group = genl_ctrl_resolve_grp(nl->sk, ESPSYNC_GENL_NAME, name);
	int notify = genl_ctrl_resolve_grp(nl->sk, "nlctrl", "notify");

	if (group < 0)
		return fail(REFUSED, nl->what, "module and tool must be of one version", "the module has no group '%s'", name);
	errno = 0;
	if (nl_socket_add_membership(nl->sk, group)) {
		nl->err = errno ? -errno : -EIO;
		return knl_refused(nl, name);
	}
	if (notify >= 0)
		nl_socket_add_membership(nl->sk, notify);
	return 0;
}

/* Waits for something to read. Signals are blocked but here, so that none is missed between the look at the flag and the sleep. */
static int wait_for(struct knl *nl, const struct listener *l, const sigset_t *unblocked)
{
	const struct timespec limit = { .tv_sec = l->each_ms / 1000, .tv_nsec = l->each_ms % 1000 * 1000000L };
	struct pollfd pfd = { .fd = nl_socket_get_fd(nl->sk), .events = POLLIN };

	if (ppoll(&pfd, 1, l->each_ms ? &limit : NULL, unblocked) < 0 && errno != EINTR)
		return fail(REFUSED, nl->what, NULL, "poll: %s", strerror(errno));
	return 0;
}

static int listen_on(struct knl *nl, struct listening *s, const sigset_t *unblocked)
{
	int err;

	while (!interrupted && !s->gone) {
		err = s->l->on_pause(s->l->arg);
		if (!err)
			err = wait_for(nl, s->l, unblocked);
		if (err)
			return err;
		err = nl_recvmsgs_default(nl->sk);
		if (err == -NLE_NOMEM)
			s->l->on_lost(s->l->arg);
		else if (err < 0 && err != -NLE_AGAIN && err != -NLE_INTR)
			return fail(REFUSED, nl->what, NULL, "netlink: %s", nl_geterror(err));
	}
	if (s->gone)
		return fail(REFUSED, nl->what, "modprobe espsync", "the module was unloaded");
	return DONE;
}

static void catch_signals(sigset_t *unblocked)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, unblocked);
	sigdelset(unblocked, SIGINT);
	sigdelset(unblocked, SIGTERM);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int listen_until_signal(struct knl *nl, const struct listener *l)
{
	struct listening s = { .l = l, .family = nl->family };
	sigset_t unblocked;
	int err;

	catch_signals(&unblocked);
	if (l->buffer)
		nl_socket_set_buffer_size(nl->sk, l->buffer, 0);
	err = subscribe(nl, l->group);
	if (err)
		return err;
	nl_socket_disable_seq_check(nl->sk);
	nl_socket_modify_cb(nl->sk, NL_CB_VALID, NL_CB_CUSTOM, on_message, &s);
	nl_socket_set_nonblocking(nl->sk);
	return listen_on(nl, &s, &unblocked);
}
