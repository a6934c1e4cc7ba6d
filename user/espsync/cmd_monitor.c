// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_monitor.c - espsync monitor: print what the kernel multicasts, a line each, until interrupted.
 *
 * Reads only. What was lost because the reader is slow is said on stderr, so that a stream piped into `sa put` stays a stream.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "text.h"
#include "word.h"

#define RECEIVE_BYTES (4 << 20)

static const struct words streams = WORDS("events", "counters");

static const struct stream {
	const char *group;
	uint8_t cmd;
	const struct object *object;
} table[] = {
	{ ESPSYNC_MCGRP_EVENT, ESPSYNC_CMD_EVENT, &object_event },
	{ ESPSYNC_MCGRP_COUNTER, ESPSYNC_CMD_SA_GET, &object_counters },
};

struct monitor {
	const struct cli *cli;
	const struct stream *stream;
	int family;
	bool gone; /* the family was unregistered */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* "12:03:11.042 role group 0 role active epoch 5": the names and values of what is known; the first and the last without a name. */
static void print_line(const struct object *object, const json_t *json)
{
	char buf[512], clock[16];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	printf("%s.%03ld", clock, now.tv_nsec / 1000000);
	for (size_t i = 0; i < object->n; i++) {
		const struct attr *attr = &object->attrs[i];
		const json_t *value = json_object_get(json, attr->name);

		if (json_is_null(value))
			continue;
		text_value(attr, value, buf, sizeof(buf));
		if (attr->type == ESPSYNC_A_EVENT_TEXT && attr->kind == ATTR_STRING)
			printf(": %s", buf);
		else if (!i && attr->kind == ATTR_WORD)
			printf(" %s", buf);
		else
			printf(" %s %s", attr->name, buf);
	}
	putchar('\n');
}

static void on_family(struct monitor *m, struct genlmsghdr *genl)
{
	struct nlattr *id = nla_find(genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), CTRL_ATTR_FAMILY_ID);

	if (genl->cmd == CTRL_CMD_DELFAMILY && id && nla_get_u16(id) == m->family)
		m->gone = true;
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct genlmsghdr *genl = nlmsg_data(hdr);
	struct monitor *m = arg;
	struct nlattr *nest;
	json_t *json;

	if (!genlmsg_valid_hdr(hdr, 0))
		return NL_SKIP;
	if (hdr->nlmsg_type == GENL_ID_CTRL)
		on_family(m, genl);
	if (hdr->nlmsg_type != m->family || genl->cmd != m->stream->cmd)
		return NL_SKIP;
	nest = nla_find(genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), m->stream->object->nest);
	if (!nest)
		return NL_SKIP;
	json = object_decode(m->stream->object, nest);
	if (m->cli->json) {
		json_print(json, JSON_COMPACT);
	} else {
		print_line(m->stream->object, json);
		json_decref(json);
	}
	return NL_OK;
}

static int subscribe(struct knl *nl, const struct stream *stream)
{
	int group = genl_ctrl_resolve_grp(nl->sk, ESPSYNC_GENL_NAME, stream->group);
	int notify = genl_ctrl_resolve_grp(nl->sk, "nlctrl", "notify");

	if (group < 0)
		return fail(REFUSED, nl->what, "module and tool must be of one version", "the module has no group '%s'", stream->group);
	errno = 0;
	if (nl_socket_add_membership(nl->sk, group)) {
		nl->err = errno ? -errno : -EIO;
		return knl_refused(nl, stream->group);
	}
	if (notify >= 0)
		nl_socket_add_membership(nl->sk, notify);
	return 0;
}

static void lost(void)
{
	fail(DONE, "monitor", "espsync show tells how it is now", "overrun: some messages were lost, the reader is too slow");
}

/* Signals are blocked but in ppoll(), so that none is missed between the look at the flag and the sleep. */
static int listen_on(struct knl *nl, struct monitor *m, const sigset_t *unblocked)
{
	struct pollfd pfd = { .fd = nl_socket_get_fd(nl->sk), .events = POLLIN };
	int err;

	while (!interrupted && !m->gone) {
		if (ppoll(&pfd, 1, NULL, unblocked) < 0) {
			if (errno == EINTR)
				continue;
			return fail(REFUSED, nl->what, NULL, "poll: %s", strerror(errno));
		}
		err = nl_recvmsgs_default(nl->sk);
		if (err == -NLE_NOMEM)
			lost();
		else if (err < 0 && err != -NLE_AGAIN && err != -NLE_INTR)
			return fail(REFUSED, nl->what, NULL, "netlink: %s", nl_geterror(err));
		if (fflush(stdout))
			return DONE; /* nobody reads any more; main() says so */
	}
	if (m->gone)
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

int cmd_monitor(const struct cli *cli, int argc, char **argv)
{
	static const char what[] = "monitor";
	struct monitor m = { .cli = cli, .stream = table };
	sigset_t unblocked;
	struct knl nl;
	int which, err;

	if (argc > 0) {
		which = word_find(&streams, *argv);
		if (which < 0)
			return word_unknown(what, &streams, *argv);
		m.stream = &table[which];
	}
	if (argc > 1)
		return fail(BAD, what, "one thing at a time", "'%s' is too much", argv[1]);
	err = knl_open(&nl, cli, what);
	if (!err) {
		m.family = nl.family;
		catch_signals(&unblocked);
		nl_socket_set_buffer_size(nl.sk, RECEIVE_BYTES, 0);
		err = subscribe(&nl, m.stream);
	}
	if (!err) {
		nl_socket_disable_seq_check(nl.sk);
		nl_socket_modify_cb(nl.sk, NL_CB_VALID, NL_CB_CUSTOM, on_message, &m);
		nl_socket_set_nonblocking(nl.sk);
		err = listen_on(&nl, &m, &unblocked);
	}
	knl_close(&nl);
	return err;
}
