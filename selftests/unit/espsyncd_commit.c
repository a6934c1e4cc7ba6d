// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_commit.c - user/espsyncd's commit: which packets wait, for what, how long; and what nft is given.
 *
 * Job: the kernel's queue, nft and the standbys' words are made up here; packets, acknowledgements and time come in any order.
 */
// SOURCES: ../../user/espsyncd/commit.c ../../user/espsyncd/bytes.c
// LIBS: -lmnl
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <string.h>

#include "../../user/espsyncd/commit.h"
#include "../../user/espsyncd/nft.h"
#include "../../user/espsyncd/relay.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

static struct config config = { .n_addrs = 2, .addrs = { { 4, { 192, 0, 2, 1 } }, { 16, { 0x20, 1, 0xd, 0xb8, [15] = 1 } } } };
static struct commit *it;

/* ---- what commit calls ---- */

/* In the order of commit_alloc(). */
static struct timer {
	event_callback_fn fn;
	bool armed;
	long us;
} timers[3], *const due = &timers[0], *const tell = &timers[1], *const readable = &timers[2];

static unsigned int n_timers;

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn fn, void *arg)
{
	(void)base, (void)fd, (void)what, (void)arg;
	timers[n_timers].fn = fn;
	return (struct event *)&timers[n_timers++];
}

int event_add(struct event *ev, const struct timeval *tv)
{
	struct timer *t = (struct timer *)ev;

	t->armed = true;
	t->us = tv ? tv->tv_sec * 1000000L + tv->tv_usec : -1;
	return 0;
}

int event_del(struct event *ev)
{
	((struct timer *)ev)->armed = false;
	return 0;
}

int event_pending(const struct event *ev, short what, struct timeval *tv)
{
	(void)what, (void)tv;
	return ((const struct timer *)ev)->armed;
}

void event_free(struct event *ev)
{
	event_del(ev);
}

int evutil_make_socket_nonblocking(evutil_socket_t fd)
{
	(void)fd;
	return 0;
}

static uint64_t newest, applied;	/* charon's record, and that of the standbys */
static unsigned int told;		/* times that the standbys were told */
static size_t told_len;			/* with a packet of this length */
static unsigned int unread;		/* messages of charon's */

void charon_read_all(struct charon *ch)
{
	(void)ch;
	newest += unread;
	unread = 0;
}

uint64_t relay_newest(const struct relay *r)
{
	(void)r;
	return newest;
}

bool relay_is_applied(const struct relay *r, uint64_t seq)
{
	(void)r;
	return seq <= applied;
}

void relay_leaves(struct relay *r, const uint8_t *packet, size_t len)
{
	(void)r, (void)packet;
	told++;
	told_len = len;
}

/* The kernel: messages that it has for us, and the packets that it was told to let go. */
static uint8_t pending[16][512];
static unsigned int n_pending, n_gone;
static uint32_t gone[64];
static int bind_error;

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	(void)flags;
	return bus == NETLINK_NETFILTER ? (struct mnl_socket *)&config : NULL;
}

int mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid)
{
	(void)nl, (void)groups, (void)pid;
	return 0;
}

int mnl_socket_setsockopt(const struct mnl_socket *nl, int type, void *buf, socklen_t len)
{
	(void)nl, (void)type, (void)buf, (void)len;
	return 0;
}

int mnl_socket_get_fd(const struct mnl_socket *nl)
{
	(void)nl;
	return -1;
}

int mnl_socket_close(struct mnl_socket *nl)
{
	(void)nl;
	return 0;
}

static struct nlmsghdr *kernel_says(uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(memset(pending[n_pending++], 0, sizeof(pending[0])));

	nlh->nlmsg_type = type;
	return nlh;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *buf, size_t len)
{
	const struct nlmsghdr *nlh = buf;
	const struct nlattr *a;

	(void)nl;
	if (nlh->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG)) {
		struct nlmsgerr *e = mnl_nlmsg_put_extra_header(kernel_says(NLMSG_ERROR), sizeof(*e));

		e->error = -bind_error;
		return len;
	}
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg)) {
		const struct nfqnl_msg_verdict_hdr *v = mnl_attr_get_payload(a);

		if (mnl_attr_get_type(a) == NFQA_VERDICT_HDR && ntohl(v->verdict) == 1)
			gone[n_gone++] = ntohl(v->id);
	}
	return len;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t len)
{
	uint32_t n;

	(void)nl;
	if (!n_pending) {
		errno = EAGAIN;
		return -1;
	}
	n = ((struct nlmsghdr *)pending[0])->nlmsg_len;
	memcpy(buf, pending[0], n < len ? n : len);
	memmove(pending[0], pending[1], sizeof(pending) - sizeof(pending[0]));
	n_pending--;
	return n;
}

static char script[4096];	/* nft's last one */
static unsigned int scripts;
static bool nft_refuses;

bool nft_run(const uint8_t *text, size_t len)
{
	snprintf(script, sizeof(script), "%.*s", (int)len, (const char *)text);
	scripts++;
	return !nft_refuses;
}

/* ---- the cases' words ---- */

static void fresh(bool wanted)
{
	if (it)
		commit_free(it);
	memset(timers, 0, sizeof(timers));
	n_timers = n_pending = n_gone = told = scripts = unread = 0;
	newest = applied = 0;
	warning[0] = 0;
	clock_ms = 1000;
	config.commit = wanted;
	it = commit_alloc(NULL, &config, NULL, NULL);
}

static void packet(uint32_t id, size_t len)
{
	struct nfqnl_msg_packet_hdr head = { .packet_id = htonl(id) };
	uint8_t bytes[200] = { 0x45 };
	struct nlmsghdr *nlh = kernel_says(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET);

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	mnl_attr_put(nlh, NFQA_PACKET_HDR, sizeof(head), &head);
	if (len)
		mnl_attr_put(nlh, NFQA_PAYLOAD, len, bytes);
}

/* charon says so much, and then a packet is there. */
static void charon_sends(uint32_t id, unsigned int messages)
{
	unread += messages;
	packet(id, 100);
	readable->fn(-1, 0, it);
}

static void applies(uint64_t seq)
{
	applied = seq;
	commit_look(it);
}

static bool went(const char *ids)
{
	char text[128] = "";
	unsigned int i;

	for (i = 0; i < n_gone; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u", i ? " " : "", gone[i]);
	if (strcmp(text, ids))
		ktap_diag("%s went, not %s", text, ids);
	return !strcmp(text, ids);
}

static bool it_goes_when_the_standbys_have_what_was_before_it(void)
{
	fresh(true);
	charon_sends(7, 0);
	ktap_expect(went("7"));			/* nothing was before it */
	charon_sends(8, 2);
	charon_sends(9, 1);
	ktap_expect(went("7") && due->armed && due->us == 50000);
	applies(1);
	ktap_expect(went("7"));
	applies(2);
	ktap_expect(went("7 8"));
	applies(3);
	ktap_expect(went("7 8 9") && !due->armed && !warning[0]);
	return true;
}

static bool it_does_not_wait_for_ever(void)
{
	fresh(true);
	charon_sends(8, 1);
	clock_ms += 30;
	charon_sends(9, 1);
	clock_ms += 19;
	due->fn(-1, 0, it);
	ktap_expect(went("") && due->us == 1000);
	clock_ms++;
	due->fn(-1, 0, it);
	ktap_expect(went("8") && due->armed && due->us == 30000);
	ktap_expect(!strncmp(warning, "1 packets of IKE have left before a standby had what came before them", 60));
	warning[0] = 0;
	clock_ms += 30;
	due->fn(-1, 0, it);
	ktap_expect(went("8 9") && !due->armed && !warning[0]);		/* once a minute will do */
	clock_ms += 60000;
	charon_sends(10, 1);
	clock_ms += 50;
	due->fn(-1, 0, it);
	ktap_expect(went("8 9 10") && !strncmp(warning, "3 packets", 9));
	return true;
}

/* So that they know either what the far end cannot know, or how to tell it. */
static bool the_standbys_are_told_when_the_packet_is_there(void)
{
	fresh(true);
	ktap_expect(commit_tells(it) && tell->armed && tell->us == 5000 && !told);
	charon_sends(1, 1);
	ktap_expect(told == 1 && told_len == 100 && !tell->armed);
	ktap_expect(commit_tells(it) && tell->armed);
	tell->fn(-1, 0, it);
	ktap_expect(told == 2 && !told_len);
	packet(2, 0);
	readable->fn(-1, 0, it);
	ktap_expect(told == 3 && !told_len);
	return true;
}

static bool the_table_has_the_addresses(void)
{
	fresh(true);
	ktap_expect(scripts == 1 && strstr(script, "delete table inet espsyncd_commit\ntable inet espsyncd_commit {"));
	ktap_expect(strstr(script, "\tip saddr 192.0.2.1 udp sport 500 counter queue num 4521 bypass\n"));
	ktap_expect(strstr(script, "\tip saddr 192.0.2.1 udp sport 4500 @th,64,32 0 counter queue num 4521 bypass\n"));
	ktap_expect(strstr(script, "\tip6 saddr 2001:db8::1 udp sport 500 counter queue num 4521 bypass\n"));
	ktap_expect(strstr(script, "\tip6 saddr 2001:db8::1 udp sport 4500 @th,64,32 0 counter queue num 4521 bypass\n"));
	return true;
}

static bool at_the_end_all_go(void)
{
	fresh(true);
	charon_sends(1, 1);
	charon_sends(2, 1);
	packet(3, 100);
	told = 0;
	commit_stop(it);
	ktap_expect(went("1 2 3") && told && !commit_tells(it));
	ktap_expect(scripts == 2 && !strcmp(script, "table inet espsyncd_commit\ndelete table inet espsyncd_commit\n"));
	commit_look(it);
	commit_stop(it);
	ktap_expect(scripts == 2);
	return true;
}

static bool unasked_it_does_nothing(void)
{
	fresh(false);
	ktap_expect(!scripts && !commit_tells(it) && n_timers == 2 && !warning[0]);
	commit_look(it);
	commit_stop(it);
	ktap_expect(!scripts);
	return true;
}

static bool what_is_missing_is_named(void)
{
	bind_error = EBUSY;
	fresh(true);
	bind_error = 0;
	ktap_expect(!scripts && !commit_tells(it));
	ktap_expect(!strncmp(warning, "commit: cannot have queue 4521 of the kernel's: Device or resource busy", 70));
	nft_refuses = true;
	fresh(true);
	nft_refuses = false;
	ktap_expect(scripts == 1 && !strncmp(warning, "commit: nft has not taken the table espsyncd_commit", 50) && !commit_tells(it));
	return true;
}

/* A table is there from before: its packets come before the kernel's answer. */
static bool packets_may_come_first(void)
{
	fresh(false);
	packet(5, 100);
	config.commit = true;
	commit_free(it);
	n_timers = 0;
	it = commit_alloc(NULL, &config, NULL, NULL);
	readable->fn(-1, 0, it);
	ktap_expect(went("5") && scripts == 1 && !warning[0]);
	commit_free(it), it = NULL;
	return true;
}

static const struct ktap_case cases[] = {
	{ "it goes when the standbys have what was before it", it_goes_when_the_standbys_have_what_was_before_it },
	{ "it does not wait for ever", it_does_not_wait_for_ever },
	{ "the standbys are told when the packet is there", the_standbys_are_told_when_the_packet_is_there },
	{ "the table has the addresses", the_table_has_the_addresses },
	{ "at the end all go", at_the_end_all_go },
	{ "unasked it does nothing", unasked_it_does_nothing },
	{ "what is missing is named", what_is_missing_is_named },
	{ "packets may come first", packets_may_come_first },
};

KTAP_MAIN(cases)
