// SPDX-License-Identifier: GPL-2.0-or-later
/* charon: this node's strongSwan daemon, seen through its ha plugin's socket. See charon.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "charon.h"
#include "dialect.h"
#include "log.h"

#define SOCKET_BUFFER	(64 << 20)
#define FEED_MS		1000	/* its watchdog may be as short as 2100 */
#define LOOK_MS		100
#define POLL_US		500
/*
 * A batch must fit charon's receive buffer with room to spare: stock 5.9.8 has 208 KiB, and each small datagram counts for
 * more than a kilobyte there.
 */
#define BATCH_BYTES	(32 << 10)
#define DATAGRAM_COST	1280

struct waiting {
	TAILQ_ENTRY(waiting) link;
	uint8_t *data;
	size_t len;
	uint64_t token;
};

/* A line of /proc/net/udp. */
struct udp_row {
	uint64_t inode;
	uint32_t queued;
	uint32_t uid;
	uint64_t drops;
};

struct charon {
	const struct charon_ops *ops;
	void *ctx;
	int fd;
	struct sockaddr_in local;
	struct sockaddr_in remote;
	struct event *readable;
	struct event *feed;
	struct event *look;
	struct event *pump;
	struct udp_row row;		/* inode 0: no charon */
	uint64_t stranger;		/* inode of another user's socket on charon's port */
	uint32_t overflow;
	uint8_t version;
	enum charon_segment segment;
	uint64_t heard_ms;
	bool paused;
	bool barrier;			/* a STATUS was sent behind a batch and is not known to be read */
	uint64_t batch_token;
	size_t backlog;
	TAILQ_HEAD(, waiting) queue;
	uint8_t buffer[65536];
};

static void arm(struct event *ev, long us)
{
	struct timeval tv = { us / 1000000, us % 1000000 };

	event_add(ev, &tv);
}

static void send_status(struct charon *ch)
{
	uint8_t made[HA_MAX_MADE];
	size_t n = ha_make_status(made, ch->version, ch->segment == CHARON_PASSIVE);

	/* Lost only if charon is gone, which look() finds. */
	(void)!send(ch->fd, made, n, MSG_DONTWAIT);
}

static bool parse_row(const struct charon *ch, const char *line, struct udp_row *row)
{
	unsigned int addr, port;

	return sscanf(line, " %*d: %x:%x %*x:%*x %*x %*x:%" SCNx32 " %*x:%*x %*x %" SCNu32 " %*d %" SCNu64 " %*d %*s %" SCNu64,
		      &addr, &port, &row->queued, &row->uid, &row->inode, &row->drops) == 6 &&
	       addr == ch->remote.sin_addr.s_addr && port == HA_PORT;
}

/*
 * charon's own socket in this network namespace. Anybody may bind the port while charon is not there; what is sent there are
 * IKE secrets, so a socket that is not root's is no charon.
 */
static void read_row(struct charon *ch, struct udp_row *row)
{
	FILE *f = fopen("/proc/self/net/udp", "re");
	struct udp_row here, other = { 0 };
	char line[512];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (parse_row(ch, line, &here))
			*(here.uid ? &other : row) = here;
	fclose(f);
	if (!other.inode) {
		ch->stranger = 0;
		return;
	}
	*row = (struct udp_row){ 0 };
	if (ch->stranger != other.inode)
		log_warn("UDP %s:%d belongs to user %u, not to root: nothing is sent there (end that user's process, then restart strongSwan)",
			 inet_ntoa(ch->remote.sin_addr), HA_PORT, other.uid);
	ch->stranger = other.inode;
}

static void restarted(struct charon *ch, const char *why)
{
	charon_drop_backlog(ch);
	ch->segment = CHARON_UNKNOWN;
	ch->ops->restarted(ch->ctx, why, true);
}

/* Return: true if charon is there and the same as before. */
static bool look(struct charon *ch)
{
	struct udp_row row = { 0 };
	uint64_t before = ch->row.inode, drops = ch->row.drops;

	read_row(ch, &row);
	ch->row = row;
	if (!row.inode) {
		if (before)
			restarted(ch, "charon is gone");
		return false;
	}
	if (row.inode != before) {
		restarted(ch, "charon has started");
		return false;
	}
	if (row.drops != drops)
		ch->ops->lost(ch->ctx, false);
	return true;
}

static void on_feed(evutil_socket_t fd, short what, void *arg)
{
	struct charon *ch = arg;

	(void)fd;
	(void)what;
	/* Looked at just now, as before everything that is sent: the port may have become somebody else's. */
	if (ch->version && !ch->paused && look(ch))
		send_status(ch);
	arm(ch->feed, FEED_MS * 1000);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct charon *ch = arg;

	(void)fd;
	(void)what;
	look(ch);
	arm(ch->look, LOOK_MS * 1000);
}

static void waiting_free(struct charon *ch, struct waiting *w)
{
	TAILQ_REMOVE(&ch->queue, w, link);
	ch->backlog -= sizeof(*w) + w->len;
	secret_free(w->data, w->len);
	secret_free(w, sizeof(*w));
}

void charon_drop_backlog(struct charon *ch)
{
	while (!TAILQ_EMPTY(&ch->queue))
		waiting_free(ch, TAILQ_FIRST(&ch->queue));
	ch->barrier = false;
}

/* Return: false if charon is gone, which look() finds, or memory is short. What its version has no words for is left out: fill.h names it. */
static bool say(struct charon *ch, const struct waiting *w)
{
	size_t n = w->len <= HA_MAX_LEN ? dialect_say(ch->buffer, ch->version, w->data, w->len) : 0;
	bool done = !n || send(ch->fd, ch->buffer, n, MSG_DONTWAIT) >= 0 || errno == EMSGSIZE;

	explicit_bzero(ch->buffer, n);
	return done;
}

/* One batch, and a STATUS behind it: charon reads in order with one thread, so once that is read the batch is processed. */
static void send_batch(struct charon *ch)
{
	size_t cost = 0;
	struct waiting *w;

	while ((w = TAILQ_FIRST(&ch->queue)) && cost < BATCH_BYTES) {
		if (!say(ch, w))
			break;	/* later */
		cost += w->len + DATAGRAM_COST;
		ch->batch_token = w->token;
		waiting_free(ch, w);
	}
	if (!cost)
		return;
	send_status(ch);
	ch->barrier = true;
}

static void pump(struct charon *ch)
{
	if (ch->paused || !ch->version || (TAILQ_EMPTY(&ch->queue) && !ch->barrier))
		return;
	if (look(ch) && !ch->row.queued) {
		if (ch->barrier) {
			ch->barrier = false;
			ch->ops->applied(ch->ctx, ch->batch_token);
		}
		if (!ch->barrier && !ch->paused)
			send_batch(ch);
	}
	if (ch->barrier || !TAILQ_EMPTY(&ch->queue))
		arm(ch->pump, POLL_US);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

void charon_inject(struct charon *ch, const uint8_t *data, size_t len, uint64_t token)
{
	struct waiting *w = secret_alloc(sizeof(*w));

	w->data = secret_dup(data, len);
	w->len = len;
	w->token = token;
	TAILQ_INSERT_TAIL(&ch->queue, w, link);
	ch->backlog += sizeof(*w) + len;
	if (!event_pending(ch->pump, EV_TIMEOUT, NULL))
		arm(ch->pump, 0);
}

void charon_pause(struct charon *ch, bool paused)
{
	ch->paused = paused;
	if (!paused)
		arm(ch->pump, 0);
}

static void local_message(struct charon *ch, const struct ha_msg *m)
{
	switch (m->type) {
	case HA_SEGMENT_TAKE:
	case HA_SEGMENT_DROP:
		ch->segment = m->type == HA_SEGMENT_TAKE ? CHARON_ACTIVE : CHARON_PASSIVE;
		ch->ops->segment(ch->ctx, ch->segment, true);
		break;
	case HA_STATUS:
		ch->segment = m->segments & 2 ? CHARON_ACTIVE : CHARON_PASSIVE;
		ch->ops->segment(ch->ctx, ch->segment, false);
		break;
	case HA_RESYNC:
		ch->ops->restarted(ch->ctx, "charon asks for its IKE SAs", false);
		break;
	}
}

static void receive(struct charon *ch, const uint8_t *data, size_t len)
{
	struct ha_msg m;
	enum ha_error e = ha_parse(&m, data, len);

	ch->heard_ms = now_ms();
	if (len >= 2 && e != HA_BAD_VERSION && m.version != ch->version) {
		ch->version = m.version;
		ch->ops->version(ch->ctx, m.version);
	}
	if (e != HA_OK) {
		log_warn("charon sent a %s that cannot be read: %s (that IKE SA is not carried)", ha_type_name(m.type),
			 ha_error_text(e));
		return;
	}
	if (ha_is_state(m.type))
		ch->ops->message(ch->ctx, &m, data, len);
	else
		local_message(ch, &m);
	explicit_bzero(&m, sizeof(m));
}

static void check_overflow(struct charon *ch, struct msghdr *mh)
{
	struct cmsghdr *c;
	uint32_t n;

	for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
			continue;
		memcpy(&n, CMSG_DATA(c), sizeof(n));
		if (n != ch->overflow)
			ch->ops->lost(ch->ctx, true);
		ch->overflow = n;
	}
}

static bool receive_one(struct charon *ch)
{
	struct iovec iov = { ch->buffer, sizeof(ch->buffer) };
	char control[CMSG_SPACE(sizeof(uint32_t))];
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(ch->fd, &mh, MSG_DONTWAIT);

	if (n < 0)
		return errno == ECONNREFUSED || errno == EINTR;
	check_overflow(ch, &mh);
	receive(ch, ch->buffer, n);
	explicit_bzero(ch->buffer, n);
	return true;
}

void charon_read_all(struct charon *ch)
{
	while (receive_one(ch))
		;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct charon *ch = arg;
	int i;

	(void)fd;
	(void)what;
	for (i = 0; i < 256 && receive_one(ch); i++)
		;
}

bool charon_idle(const struct charon *ch)
{
	return !ch->barrier && TAILQ_EMPTY(&ch->queue);
}

size_t charon_backlog(const struct charon *ch)
{
	return ch->backlog;
}

uint8_t charon_version(const struct charon *ch)
{
	return ch->version;
}

enum charon_segment charon_segment(const struct charon *ch)
{
	return ch->segment;
}

bool charon_present(const struct charon *ch)
{
	return ch->row.inode;
}

uint64_t charon_silence_ms(const struct charon *ch)
{
	return now_ms() - ch->heard_ms;
}

static struct sockaddr_in at(const struct config_addr *a)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(HA_PORT) };

	memcpy(&sin.sin_addr, a->bytes, 4);
	return sin;
}

static bool open_socket(struct charon *ch, int inherited)
{
	int size = SOCKET_BUFFER, on = 1;

	ch->fd = inherited;
	if (ch->fd < 0) {
		ch->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (ch->fd < 0 || bind(ch->fd, (struct sockaddr *)&ch->local, sizeof(ch->local))) {
			log_warn("cannot bind UDP %s:%d: %s (is another espsyncd running?)", inet_ntoa(ch->local.sin_addr),
				 HA_PORT, strerror(errno));
			return false;
		}
	}
	/* Connected: what others send never reaches us. */
	if (connect(ch->fd, (struct sockaddr *)&ch->remote, sizeof(ch->remote))) {
		log_warn("cannot connect UDP to %s:%d: %s", inet_ntoa(ch->remote.sin_addr), HA_PORT, strerror(errno));
		return false;
	}
	if (setsockopt(ch->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		log_warn("cannot enlarge the receive buffer: %s (bursts of IKE messages may be lost)", strerror(errno));
	setsockopt(ch->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	return true;
}

struct charon *charon_open(struct event_base *base, const struct config *c, int inherited,
			   const struct charon_ops *ops, void *ctx)
{
	struct charon *ch = secret_alloc(sizeof(*ch));

	TAILQ_INIT(&ch->queue);
	ch->ops = ops;
	ch->ctx = ctx;
	ch->local = at(&c->ha_helper);
	ch->remote = at(&c->ha_charon);
	if (!open_socket(ch, inherited)) {
		secret_free(ch, sizeof(*ch));
		return NULL;
	}
	ch->heard_ms = now_ms();
	ch->readable = event_new(base, ch->fd, EV_READ | EV_PERSIST, on_readable, ch);
	ch->feed = evtimer_new(base, on_feed, ch);
	ch->look = evtimer_new(base, on_look, ch);
	ch->pump = evtimer_new(base, on_pump, ch);
	event_add(ch->readable, NULL);
	arm(ch->feed, FEED_MS * 1000);
	arm(ch->look, 0);
	return ch;
}

void charon_close(struct charon *ch)
{
	charon_drop_backlog(ch);
	event_free(ch->readable);
	event_free(ch->feed);
	event_free(ch->look);
	event_free(ch->pump);
	close(ch->fd);
	secret_free(ch, sizeof(*ch));
}
