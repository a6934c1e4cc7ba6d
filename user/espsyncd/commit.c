// SPDX-License-Identifier: GPL-2.0-or-later
/* commit: outgoing IKE waits until the standbys have what charon said before it. See commit.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "bytes.h"
#include "commit.h"
#include "log.h"
#include "nft.h"
#include "relay.h"

#define QUEUE		4521	/* one of the network namespace's; as the helper's port, which is easily remembered */
#define BURST		64	/* messages, before others have their turn */
#define SAY_MS		60000

#define NO_TABLE	"table inet espsyncd_commit\ndelete table inet espsyncd_commit\n"

struct waiting {
	uint32_t id;		/* the kernel's */
	uint64_t seq;		/* the record before it */
	uint64_t due_ms;
};

struct commit {
	struct charon *ch;
	struct relay *relay;
	struct mnl_socket *nl;
	struct event *readable;
	struct event *due;
	struct event *tell;
	struct bytes waiting;	/* struct waiting */
	uint64_t late;		/* packets that have left before */
	uint64_t said_ms;	/* ... and when that was logged */
};

static struct nlmsghdr *begin(uint8_t *buf, uint8_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *head;

	nlh->nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));
	head->version = NFNETLINK_V0;
	head->res_id = htons(QUEUE);
	return nlh;
}

static void let_go(struct commit *c, uint32_t id)
{
	struct nfqnl_msg_verdict_hdr verdict = { htonl(NF_ACCEPT), htonl(id) };
	uint8_t buf[256];
	struct nlmsghdr *nlh = begin(buf, NFQNL_MSG_VERDICT, 0);

	mnl_attr_put(nlh, NFQA_VERDICT_HDR, sizeof(verdict), &verdict);
	/* It fails for a packet that is gone: with its device, say. */
	(void)!mnl_socket_sendto(c->nl, nlh, nlh->nlmsg_len);
}

static void say_late(struct commit *c)
{
	uint64_t now = now_ms();

	c->late++;
	if (c->said_ms && now - c->said_ms < SAY_MS)
		return;
	c->said_ms = now;
	log_warn("%llu packets of IKE have left before a standby had what came before them: it did not say so within %d ms (is the sync link slow?)",
		 (unsigned long long)c->late, COMMIT_MS);
}

static void arm(struct commit *c, uint64_t due_ms)
{
	uint64_t now = now_ms(), ms = due_ms > now ? due_ms - now : 0;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(c->due, &tv);
}

/* They came in order, so what the first one waits for all others wait for. */
void commit_look(struct commit *c)
{
	struct waiting w;

	while (bytes_left(&c->waiting)) {
		bool applied;

		memcpy(&w, bytes_at(&c->waiting), sizeof(w));
		applied = relay_is_applied(c->relay, w.seq);
		if (!applied && now_ms() < w.due_ms) {
			arm(c, w.due_ms);
			return;
		}
		if (!applied)
			say_late(c);
		bytes_consume(&c->waiting, sizeof(w));
		let_go(c, w.id);
	}
	event_del(c->due);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	commit_look(arg);
}

static void wait_with(struct commit *c, uint32_t id, const struct nlattr *payload)
{
	struct waiting w;

	charon_read_all(c->ch);
	event_del(c->tell);
	relay_leaves(c->relay, payload ? mnl_attr_get_payload(payload) : NULL, payload ? mnl_attr_get_payload_len(payload) : 0);
	memset(&w, 0, sizeof(w));
	w.id = id;
	w.seq = relay_newest(c->relay);
	w.due_ms = now_ms() + COMMIT_MS;
	bytes_add(&c->waiting, &w, sizeof(w));
}

bool commit_tells(struct commit *c)
{
	struct timeval tv = { 0, TELL_MS * 1000 };

	if (c->readable && !event_pending(c->tell, EV_TIMEOUT, NULL))
		event_add(c->tell, &tv);
	return c->readable;
}

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
	struct commit *c = arg;

	(void)fd;
	(void)what;
	relay_leaves(c->relay, NULL, 0);
}

static int on_packet(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *a, *head = NULL, *payload = NULL;

	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) == NFQA_PACKET_HDR && mnl_attr_get_payload_len(a) >= sizeof(struct nfqnl_msg_packet_hdr))
			head = a;
		else if (mnl_attr_get_type(a) == NFQA_PAYLOAD)
			payload = a;
	}
	if (head)
		wait_with(data, ntohl(((const struct nfqnl_msg_packet_hdr *)mnl_attr_get_payload(head))->packet_id), payload);
	return MNL_CB_OK;
}

/* Return: false if there was nothing. */
static bool receive(struct commit *c, int *result)
{
	uint8_t buf[16384];	/* what is known of a packet, and as much of it as makes an answer */
	ssize_t n = mnl_socket_recvfrom(c->nl, buf, sizeof(buf));

	if (n < 0)
		return false;
	*result = mnl_cb_run(buf, n, 0, 0, on_packet, c);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct commit *c = arg;
	int i, result;

	(void)fd;
	(void)what;
	for (i = 0; i < BURST && receive(c, &result); i++)
		;
	commit_look(c);
}

/* A request, which the kernel confirms; packets may come before that, if a table is there already. Return: false, with errno */
static bool ask(struct commit *c, struct nlmsghdr *nlh)
{
	int result = MNL_CB_OK;

	if (mnl_socket_sendto(c->nl, nlh, nlh->nlmsg_len) < 0)
		return false;
	while (result == MNL_CB_OK) {
		if (!receive(c, &result))
			return false;
	}
	return result == MNL_CB_STOP;
}

/* With more packets than it holds the kernel sends them on, too. */
static bool bind_queue(struct commit *c)
{
	struct nfqnl_msg_config_cmd bind = { .command = NFQNL_CFG_CMD_BIND };
	struct nfqnl_msg_config_params params = { .copy_range = htonl(ANSWERS_LEN + 1), .copy_mode = NFQNL_COPY_PACKET };
	uint8_t buf[256];
	struct nlmsghdr *nlh = begin(buf, NFQNL_MSG_CONFIG, NLM_F_ACK);

	mnl_attr_put(nlh, NFQA_CFG_CMD, sizeof(bind), &bind);
	mnl_attr_put(nlh, NFQA_CFG_PARAMS, sizeof(params), &params);
	mnl_attr_put_u32(nlh, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_FAIL_OPEN));
	mnl_attr_put_u32(nlh, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN));
	return ask(c, nlh);
}

static bool open_queue(struct commit *c)
{
	int on = 1;

	c->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (c->nl && !mnl_socket_bind(c->nl, 0, MNL_SOCKET_AUTOPID) && bind_queue(c)) {
		mnl_socket_setsockopt(c->nl, NETLINK_NO_ENOBUFS, &on, sizeof(on));
		return !evutil_make_socket_nonblocking(mnl_socket_get_fd(c->nl));
	}
	log_warn("commit: cannot have queue %d of the kernel's: %s (has another program taken it, is the kernel without nfnetlink_queue?): IKE does not wait",
		 QUEUE, strerror(errno));
	return false;
}

static void write_line(struct bytes *b, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && n < (int)sizeof(line))
		bytes_add(b, line, n);
}

/* IKE on port 4500 has four bytes of zero where ESP has its SPI (RFC 3948 2.2). */
static bool make_table(const struct config *config)
{
	struct bytes b = { 0 };
	unsigned int i;
	bool ok;

	write_line(&b, NO_TABLE "table inet espsyncd_commit {\n\tchain out {\n\t\ttype filter hook output priority 0; policy accept;\n");
	for (i = 0; i < config->n_addrs; i++) {
		const struct config_addr *a = &config->addrs[i];
		const char *ip = a->len == 4 ? "ip" : "ip6";
		char text[INET6_ADDRSTRLEN];

		inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->bytes, text, sizeof(text));
		write_line(&b, "\t\t%s saddr %s udp sport 500 counter queue num %d bypass\n", ip, text, QUEUE);
		write_line(&b, "\t\t%s saddr %s udp sport 4500 @th,64,32 0 counter queue num %d bypass\n", ip, text, QUEUE);
	}
	write_line(&b, "\t}\n}\n");
	ok = nft_run(bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
	return ok;
}

struct commit *commit_alloc(struct event_base *base, const struct config *config, struct charon *ch, struct relay *relay)
{
	struct commit *c = secret_alloc(sizeof(*c));

	c->ch = ch;
	c->relay = relay;
	c->due = evtimer_new(base, on_due, c);
	c->tell = evtimer_new(base, on_tell, c);
	if (!config->commit || !open_queue(c))
		return c;
	if (!make_table(config)) {
		log_warn("commit: nft has not taken the table espsyncd_commit (apt install nftables; its own words are above): IKE does not wait");
		return c;
	}
	c->readable = event_new(base, mnl_socket_get_fd(c->nl), EV_READ | EV_PERSIST, on_readable, c);
	event_add(c->readable, NULL);
	return c;
}

void commit_stop(struct commit *c)
{
	int result;

	if (!c->readable)
		return;
	nft_run((const uint8_t *)NO_TABLE, strlen(NO_TABLE));
	while (receive(c, &result))
		;
	for (; bytes_left(&c->waiting); bytes_consume(&c->waiting, sizeof(struct waiting)))
		let_go(c, ((const struct waiting *)bytes_at(&c->waiting))->id);
	event_free(c->readable);
	c->readable = NULL;
	on_tell(-1, 0, c);
}

void commit_free(struct commit *c)
{
	event_free(c->due);
	event_free(c->tell);
	if (c->nl)
		mnl_socket_close(c->nl);
	bytes_free(&c->waiting);
	secret_free(c, sizeof(*c));
}
