// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_xfrm_list.c - user/espsyncd's xfrm_list and states: which of the kernel's SAs are the cluster's, and how they differ from what charon lists.
 *
 * Job: a kernel behind a pair of sockets, whose dump comes in pieces, breaks off, or is no dump at all.
 */
// SOURCES: ../../user/espsyncd/states.c ../../user/espsyncd/vici_sas.c ../../user/espsyncd/bytes.c ../../user/espsyncd/config.c ../../user/espsyncd/journal.c
// SOURCES: ../../user/espsyncd/codec.c
// LIBS: -lmnl
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake {
	int fd[2];
};

static struct fake *fake_open(int bus);
static int fake_close(struct fake *f);
static ssize_t fake_send(struct fake *f, const struct nlmsghdr *nlh, size_t len);

#define mnl_socket			fake
#define mnl_socket_open2(bus, flags)	fake_open((bus) + 0 * (flags))
#define mnl_socket_bind(nl, groups, id)	(0 * ((groups) + (id)) - !(nl))
#define mnl_socket_get_portid(nl)	(0 * (nl)->fd[0])
#define mnl_socket_get_fd(nl)		((nl)->fd[0])
#define mnl_socket_close(nl)		fake_close(nl)
#define mnl_socket_sendto(nl, nlh, len)	fake_send(nl, nlh, len)
#include "../../user/espsyncd/xfrm_list.c"
#include "../fuzz/noevents.h"
#include "ktap.h"

static const struct config config = { .n_addrs = 2, .addrs = { { 4, { 192, 0, 2, 1 } }, { 16, { 0x20, 1, [15] = 1 } } } };
static struct xfrm_list *it;
static struct fake *kernel;	/* while it is asked */
static uint32_t seq;
static bool deaf;
static unsigned int answers, found;
static bool failed;
static struct state last;
static bool both_there;

static struct fake *fake_open(int bus)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (bus != NETLINK_XFRM || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, f->fd))
		abort();
	return kernel = f;
}

static int fake_close(struct fake *f)
{
	close(f->fd[0]);
	close(f->fd[1]);
	free(f);
	kernel = NULL;
	return 0;
}

static ssize_t fake_send(struct fake *f, const struct nlmsghdr *nlh, size_t len)
{
	(void)f;
	if (nlh->nlmsg_type != XFRM_MSG_GETSA || !(nlh->nlmsg_flags & NLM_F_DUMP))
		abort();
	seq = nlh->nlmsg_seq;
	return deaf ? -1 : (ssize_t)len;
}

/* ---- the kernel's words ---- */

static char piece[PIECE];
static size_t piece_len;

static struct nlmsghdr *message(uint16_t type, uint16_t flags, size_t head)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(piece + piece_len);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_MULTI | flags;
	nlh->nlmsg_seq = seq;
	mnl_nlmsg_put_extra_header(nlh, head);
	return nlh;
}

/* An SA of IPv4, from or to 192.0.2.1, or neither; without keys if @alg is 0. */
static void sa(const char *src, const char *dst, uint32_t spi, uint8_t proto, uint16_t alg)
{
	struct nlmsghdr *nlh = message(XFRM_MSG_NEWSA, 0, sizeof(struct xfrm_usersa_info));
	struct xfrm_usersa_info info = { .family = strchr(src, ':') ? AF_INET6 : AF_INET, .id.spi = htonl(spi), .id.proto = proto };
	struct xfrm_mark mark = { 5, 0xff };

	inet_pton(info.family, src, &info.saddr);
	inet_pton(info.family, dst, &info.id.daddr);
	memcpy(mnl_nlmsg_get_payload(nlh), &info, sizeof(info));
	if (alg)
		mnl_attr_put(nlh, alg, 4, "key");
	mnl_attr_put(nlh, XFRMA_MARK, sizeof(mark), &mark);
	mnl_attr_put_u32(nlh, XFRMA_IF_ID, 7);
	piece_len += nlh->nlmsg_len;
}

static void send_piece(void)
{
	if (send(kernel->fd[1], piece, piece_len, 0) < 0)
		abort();
	piece_len = 0;
	event_calls(kernel->fd[0], EV_READ, it);
}

static void end(uint16_t flags)
{
	piece_len += message(NLMSG_DONE, flags, sizeof(int))->nlmsg_len;
	send_piece();
}

/* ---- the cases' words ---- */

static const struct vici_child *asked_for;
static const struct vici_sa *of;

static void on_answer(void *ctx, const struct bytes *states)
{
	if (ctx != &answers)
		abort();
	answers++;
	failed = !states;
	found = states ? bytes_left(states) / sizeof(last) : 0;
	if (found)
		memcpy(&last, bytes_at(states), sizeof(last));
	both_there = asked_for && states_have(states, of, asked_for);
}

static void asks(void)
{
	if (!it)
		it = xfrm_list_alloc(NULL, &config);
	answers = 0;
	xfrm_list_states(it, on_answer, &answers);
}

static bool the_clusters_sas_are_listed(void)
{
	asks();
	sa("198.51.100.1", "192.0.2.1", 0xc0000002, IPPROTO_ESP, XFRMA_ALG_AEAD);
	sa("192.0.2.1", "198.51.100.1", 0xc0000001, IPPROTO_AH, XFRMA_ALG_AUTH);
	send_piece();
	ktap_expect(!answers);
	sa("192.0.2.2", "198.51.100.1", 3, IPPROTO_ESP, XFRMA_ALG_AEAD);	/* another's */
	sa("192.0.2.1", "198.51.100.1", 4, IPPROTO_ESP, 0);			/* only its number is taken */
	sa("192.0.2.1", "198.51.100.1", 5, IPPROTO_IPIP, XFRMA_ALG_CRYPT);
	sa("2001::1", "2001:db8::9", 0xc0000003, IPPROTO_ESP, XFRMA_ALG_CRYPT);
	end(0);
	ktap_expect(answers == 1 && !failed && found == 3 && !kernel);
	ktap_expect(last.spi == 0xc0000001 && last.proto == IPPROTO_AH && last.dst.len == 4 && last.dst.bytes[0] == 198 && last.src.bytes[0] == 192);
	ktap_expect(last.mark == 5 && last.mask == 0xff && last.if_id == 7);
	return true;
}

static bool a_kernel_that_does_not_answer_is_no_empty_one(void)
{
	asks();
	sa("198.51.100.1", "192.0.2.1", 1, IPPROTO_ESP, XFRMA_ALG_AEAD);
	end(NLM_F_DUMP_INTR);
	ktap_expect(answers == 1 && failed && !kernel);
	asks();
	piece_len = 7;
	send_piece();
	ktap_expect(answers == 1 && failed && !kernel);
	piece_len = 0;
	deaf = true;
	asks();
	ktap_expect(answers == 1 && failed && !kernel);
	deaf = false;
	/* And the next one is whole again. */
	asks();
	end(0);
	ktap_expect(answers == 1 && !failed && !found);
	/* It may go while it waits. */
	asks();
	sa("198.51.100.1", "192.0.2.1", 1, IPPROTO_ESP, XFRMA_ALG_AEAD);
	send_piece();
	xfrm_list_free(it);
	it = NULL;
	ktap_expect(!answers && !kernel);
	return true;
}

static bool has(uint32_t in, uint32_t out)
{
	asks();
	sa("198.51.100.1", "192.0.2.1", in, IPPROTO_ESP, XFRMA_ALG_AEAD);
	sa("192.0.2.1", "198.51.100.1", out, IPPROTO_ESP, XFRMA_ALG_AEAD);
	end(0);
	return both_there;
}

static bool both_sas_of_a_child_sa_are_asked_for(void)
{
	struct vici_child c[2] = { { .spi_in = 1, .spi_out = 2, .installed = true }, { .spi_in = 3, .spi_out = 4, .installed = true } };
	struct vici_sa s = { .local = "192.0.2.1", .remote = "198.51.100.1", .local_port = 500, .remote_port = 500, .n_children = 2, .children = c };

	asked_for = c;
	of = &s;
	ktap_expect(has(1, 2) && !has(3, 2) && !has(1, 3) && !has(2, 1));
	/* Another is being replaced: the outbound one comes when the far end uses it. */
	c[1].installed = false;
	ktap_expect(has(1, 2) && !has(3, 2) && has(1, 3));
	asked_for = &c[1];
	ktap_expect(has(1, 2));
	/* Nobody knows where they are. */
	asked_for = c;
	s.remote_port = 0;
	ktap_expect(has(7, 8));
	ktap_expect(states_have(NULL, &s, c));
	asked_for = NULL;
	xfrm_list_free(it);
	it = NULL;
	return true;
}

static unsigned int strangers;

static void on_strange(void *ctx, const struct state *s)
{
	(void)ctx;
	strangers = strangers * 10 + s->spi;
}

static bool what_charon_lists_is_not_strange(void)
{
	struct vici_child c[2] = { { .spi_in = 1, .spi_out = 2, .installed = true }, { .spi_in = 3, .spi_out = 4 } };
	struct vici_sa s = { .n_children = 2, .children = c };
	struct bytes states = { 0 }, sas = { 0 };

	for (uint32_t spi = 6; spi; spi--)
		states_add(&states, &(struct state){ .spi = spi });
	states_sort(&states);
	vici_sas_add(&sas, &s);
	states_strange(&states, &sas, on_strange, NULL);
	ktap_expect(strangers == 56);
	vici_sas_free(&sas);
	strangers = 0;
	states_strange(&states, &sas, on_strange, NULL);
	ktap_expect(strangers == 123456);
	bytes_free(&states);
	states_strange(&states, &sas, on_strange, NULL);
	ktap_expect(strangers == 123456);
	return true;
}

static const struct ktap_case cases[] = {
	{ "the cluster's SAs are listed", the_clusters_sas_are_listed },
	{ "a kernel that does not answer is no empty one", a_kernel_that_does_not_answer_is_no_empty_one },
	{ "both SAs of a CHILD SA are asked for", both_sas_of_a_child_sa_are_asked_for },
	{ "what charon lists is not strange", what_charon_lists_is_not_strange },
};

KTAP_MAIN(cases)
