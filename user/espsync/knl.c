// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * knl.c - the only file that talks to the kernel for requests (listen.c listens). Knows no object: what an answer carries is decoded
 * by the table that the caller names.
 *
 * A request's buffer is wiped before it is freed, and the kernel is asked not to quote requests in its errors, because one of
 * them carries the cluster key.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/espsync.h>

#include "err.h"
#include "knl.h"
#include "parse.h"

#define BUFFER_BYTES (1 << 16)
#define DUMP_TRIES 50

static const char be_root[] = "run it as root, or with CAP_NET_ADMIN in the namespace's owner";

static void keep_text(struct knl *nl, const struct nlmsghdr *hdr, const void *tlvs)
{
	const char *end = (const char *)hdr + hdr->nlmsg_len;
	struct nlattr *attr = (struct nlattr *)tlvs;
	int len = (int)(end - (const char *)tlvs);

	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	for (; nla_ok(attr, len); attr = nla_next(attr, &len))
		if (nla_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(nl->why, sizeof(nl->why), "%.*s", nla_len(attr), (const char *)nla_data(attr));
}

static void keep_error(struct knl *nl, const struct nlmsgerr *e)
{
	const struct nlmsghdr *hdr = (const void *)((const char *)e - NLMSG_HDRLEN);
	const char *tlvs = (const char *)(e + 1);

	if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		tlvs += NLMSG_ALIGN(e->msg.nlmsg_len) - NLMSG_HDRLEN;
	nl->err = e->error;
	nl->done = true;
	keep_text(nl, hdr, tlvs);
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	(void)from;
	keep_error(arg, e);
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	keep_error(arg, nlmsg_data(nlmsg_hdr(msg)));
	return NL_STOP;
}

/* The end of a dump, which carries its error. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct knl *nl = arg;

	nl->done = true;
	if (nlmsg_datalen(hdr) >= (int)sizeof(int)) {
		memcpy(&nl->err, nlmsg_data(hdr), sizeof(int));
		keep_text(nl, hdr, (const char *)nlmsg_data(hdr) + NLMSG_ALIGN(sizeof(int)));
	}
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct genlmsghdr *genl = nlmsg_data(nlmsg_hdr(msg));
	struct knl *nl = arg;

	if (nl->on_reply && genlmsg_valid_hdr(nlmsg_hdr(msg), 0))
		nl->on_reply(genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), nl->arg);
	return NL_OK;
}

static int enter_netns(const struct cli *cli)
{
	char path[300];
	int fd, err = 0;

	if (!cli->netns)
		return 0;
	snprintf(path, sizeof(path), "/run/netns/%s", cli->netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(errno == ENOENT ? BAD : REFUSED, "-n", "ip netns list shows what there is", "namespace '%s': %s",
			    cli->netns, strerror(errno));
	if (setns(fd, CLONE_NEWNET))
		err = fail(errno == EINVAL ? BAD : REFUSED, "-n", errno == EPERM ? be_root : NULL, "namespace '%s': %s",
			   cli->netns, strerror(errno));
	close(fd);
	return err;
}

static int find_family(struct knl *nl)
{
	nl->family = genl_ctrl_resolve(nl->sk, ESPSYNC_GENL_NAME);
	if (nl->family >= 0)
		return 0;
	if (nl->family == -NLE_OBJ_NOTFOUND)
		return fail(REFUSED, nl->what, "modprobe espsync", "the module is not loaded");
	return fail(REFUSED, nl->what, NULL, "cannot ask the kernel: %s", nl_geterror(nl->family));
}

int knl_open(struct knl *nl, const struct cli *cli, const char *what)
{
	int yes = 1, err;

	*nl = (struct knl){ .what = what };
	err = enter_netns(cli);
	if (err)
		return err;
	nl->sk = nl_socket_alloc();
	if (!nl->sk)
		return fail(REFUSED, what, NULL, "out of memory");
	err = genl_connect(nl->sk);
	if (err)
		return fail(REFUSED, what, NULL, "cannot open a netlink socket: %s", nl_geterror(err));
	setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof(yes));
	setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes));
	nl_socket_set_msg_buf_size(nl->sk, BUFFER_BYTES);
	err = find_family(nl);
	if (err)
		return err;
	nl_socket_modify_err_cb(nl->sk, NL_CB_CUSTOM, on_error, nl);
	nl_socket_modify_cb(nl->sk, NL_CB_ACK, NL_CB_CUSTOM, on_ack, nl);
	nl_socket_modify_cb(nl->sk, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, nl);
	nl_socket_modify_cb(nl->sk, NL_CB_VALID, NL_CB_CUSTOM, on_valid, nl);
	return 0;
}

void knl_close(struct knl *nl)
{
	if (nl->sk)
		nl_socket_free(nl->sk);
	nl->sk = NULL;
}

static void *must(void *memory)
{
	if (!memory)
		exit(fail(REFUSED, "netlink", NULL, "out of memory"));
	return memory;
}

struct nl_msg *knl_request(struct knl *nl, uint8_t cmd)
{
	struct nl_msg *msg = must(nlmsg_alloc());

	must(genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, NLM_F_REQUEST, cmd, ESPSYNC_GENL_VERSION));
	return msg;
}

struct nlattr *knl_nest(struct nl_msg *msg, int type)
{
	return must(nla_nest_start(msg, type | NLA_F_NESTED));
}

void knl_nest_end(struct nl_msg *msg, struct nlattr *nest)
{
	nla_nest_end_keep_empty(msg, nest);
}

static void wipe_and_free(struct nl_msg *msg)
{
	explicit_bzero(nlmsg_hdr(msg), nlmsg_get_max_size(msg));
	nlmsg_free(msg);
}

/* One round: libnl's own errors become an errno and its words. */
static int exchange(struct knl *nl, struct nl_msg *msg)
{
	int err;

	nl->err = 0;
	nl->done = false;
	nl->why[0] = '\0';
	nlmsg_hdr(msg)->nlmsg_seq = NL_AUTO_SEQ;
	err = nl_send_auto(nl->sk, msg);
	while (err >= 0 && !nl->done)
		err = nl_recvmsgs_default(nl->sk);
	if (err == -NLE_DUMP_INTR)
		return nl->err = -EAGAIN;
	if (err < 0 && !nl->err) {
		nl->err = -EIO;
		snprintf(nl->why, sizeof(nl->why), "%s", nl_geterror(err));
	}
	return nl->err;
}

struct collect {
	const struct object *object;
	json_t *array, *last;
};

static void on_object(struct nlattr *top, int len, void *arg)
{
	struct collect *c = arg;
	struct nlattr *nest = nla_find(top, len, c->object->nest);
	json_t *json;

	if (!nest)
		return;
	json = object_decode(c->object, nest);
	if (c->array) {
		json_array_append_new(c->array, json);
		return;
	}
	json_decref(c->last);
	c->last = json;
}

int knl_send_and_wait(struct knl *nl, struct nl_msg *msg, const struct object *object, json_t **out)
{
	struct collect c = { .object = object };
	int err;

	nl->on_reply = object ? on_object : NULL;
	nl->arg = &c;
	err = exchange(nl, msg);
	wipe_and_free(msg);
	nl->arg = NULL;
	if (out)
		*out = c.last;
	else
		json_decref(c.last);
	return err;
}

int knl_array(struct knl *nl, struct nl_msg *msg, const struct object *object, json_t **out)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	struct collect c = { .object = object, .array = json_array() };
	int err = -EAGAIN;

	nl->on_reply = on_object;
	nl->arg = &c;
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_DUMP;
	for (int i = 0; i < DUMP_TRIES && err == -EAGAIN; i++) {
		if (i)
			nanosleep(&pause, NULL);
		json_array_clear(c.array);
		err = exchange(nl, msg);
	}
	wipe_and_free(msg);
	nl->arg = NULL;
	if (err == -EAGAIN)
		snprintf(nl->why, sizeof(nl->why), "it changed during each of %d readings", DUMP_TRIES);
	*out = c.array;
	return err;
}

int knl_refused(const struct knl *nl, const char *name)
{
	int code = nl->err == -ENOENT ? NO : REFUSED;
	const char *remedy = NULL, *why = nl->why;

	if (nl->err == -EPERM || nl->err == -EACCES) {
		remedy = be_root;
		if (!*why)
			why = "no permission";
	}
	if (!*why)
		why = nl->err == -ENOENT ? "not found" : strerror(-nl->err);
	if (name)
		return fail(code, nl->what, remedy, "%s: %s", name, why);
	return fail(code, nl->what, remedy, "%s", why);
}

int knl_order(const struct cli *cli, const char *what, uint8_t cmd, int type, const char *name, knl_fill_t *fill, const void *arg)
{
	struct nlattr *nest;
	struct nl_msg *msg;
	struct knl nl;
	int err;

	err = knl_open(&nl, cli, what);
	if (!err) {
		msg = knl_request(&nl, cmd);
		nest = knl_nest(msg, type);
		fill(msg, arg);
		knl_nest_end(msg, nest);
		if (knl_send_and_wait(&nl, msg, NULL, NULL))
			err = knl_refused(&nl, name);
	}
	knl_close(&nl);
	return err;
}

void knl_put(struct nl_msg *msg, int type, const void *data, size_t len)
{
	if (nla_put(msg, type, (int)len, data))
		exit(fail(REFUSED, "netlink", NULL, "the request does not fit into a message"));
}

void knl_put_u8(struct nl_msg *msg, int type, uint8_t value)
{
	knl_put(msg, type, &value, sizeof(value));
}

void knl_put_u32(struct nl_msg *msg, int type, uint32_t value)
{
	knl_put(msg, type, &value, sizeof(value));
}

void knl_put_u64(struct nl_msg *msg, int type, uint64_t value)
{
	knl_put(msg, type, &value, sizeof(value));
}

void knl_put_be16(struct nl_msg *msg, int type, uint16_t value)
{
	uint16_t be = htons(value);

	knl_put(msg, type, &be, sizeof(be));
}

void knl_put_be32(struct nl_msg *msg, int type, uint32_t value)
{
	uint32_t be = htonl(value);

	knl_put(msg, type, &be, sizeof(be));
}

void knl_put_addr(struct nl_msg *msg, int type, const struct addr *addr)
{
	knl_put(msg, type, addr->b, addr->len);
}
