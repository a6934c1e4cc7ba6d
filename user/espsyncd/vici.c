// SPDX-License-Identifier: GPL-2.0-or-later
/* vici: asks this node's charon, without ever waiting for it. See vici.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"
#include "vici.h"
#include "vici_msg.h"

#define ANSWER_MS	10000
#define MAX_PACKET	(512 << 10)
#define MAX_REQUESTS	4096

enum packet {
	CMD_REQUEST,
	CMD_RESPONSE,
	CMD_UNKNOWN,
	EVENT_REGISTER,
	EVENT_UNREGISTER,
	EVENT_CONFIRM,
	EVENT_UNKNOWN,
	EVENT,
};

/* How far the first request is. One without an event is only answered. */
enum step {
	REGISTERING,
	ANSWERING,
	UNREGISTERING,
	COUNTING,	/* after a list of IKE SAs */
};

struct request {
	TAILQ_ENTRY(request) link;
	const char *command;
	const char *event;		/* answers come as this event, or NULL */
	struct bytes args;
	void (*each_sa)(void *ctx, const struct vici_sa *sa);
	void (*each_name)(void *ctx, const char *name, uint64_t sum);
	void (*each_child)(void *ctx, const char *conn, const char *child);
	void (*each)(void *ctx, const uint8_t *data, size_t len);
	void (*done)(void *ctx, bool ok);
	void *ctx;
	enum step step;
	bool refused;			/* charon has answered, with a no */
};

struct vici {
	struct event_base *base;
	char path[108];
	int fd;
	struct event *readable;
	struct event *writable;
	struct event *timeout;
	struct bytes in;
	struct bytes out;
	unsigned int listed;
	unsigned int unlisted;	/* of the last list that was whole */
	char why[128];		/* of what was refused last */
	unsigned int n;
	TAILQ_HEAD(, request) queue;	/* the first one is being answered if @fd is open */
};

static void start(struct vici *v);

static void request_free(struct vici *v, struct request *r)
{
	TAILQ_REMOVE(&v->queue, r, link);
	v->n--;
	bytes_free(&r->args);
	secret_free(r, sizeof(*r));
}

static void disconnect(struct vici *v)
{
	if (v->fd < 0)
		return;
	event_free(v->readable);
	event_free(v->writable);
	event_del(v->timeout);
	close(v->fd);
	v->fd = -1;
	bytes_free(&v->in);
	bytes_free(&v->out);
}

/* The first request is over; the next begins. */
static void finish(struct vici *v, bool ok)
{
	struct request *r = TAILQ_FIRST(&v->queue);
	void (*done)(void *, bool) = r->done;
	bool did = ok && !r->refused;
	void *ctx = r->ctx;

	event_del(v->timeout);
	request_free(v, r);
	if (!ok)
		disconnect(v);
	if (done)
		done(ctx, did);
	start(v);
}

static void send_packet(struct vici *v, enum packet type, const char *name, const struct bytes *args)
{
	size_t len = strlen(name), more = args ? bytes_left(args) : 0;

	bytes_add_u32(&v->out, 2 + len + more);
	bytes_add_u8(&v->out, type);
	bytes_add_u8(&v->out, len);
	bytes_add(&v->out, name, len);
	if (more)
		bytes_add(&v->out, bytes_at(args), more);
	event_add(v->writable, NULL);
}

static bool open_socket(struct vici *v);

static void start(struct vici *v)
{
	struct timeval tv = { ANSWER_MS / 1000, 0 };
	struct request *r = TAILQ_FIRST(&v->queue);

	if (!r || event_pending(v->timeout, EV_TIMEOUT, NULL))
		return;
	event_add(v->timeout, &tv);
	if (v->fd < 0 && !open_socket(v)) {
		/* Tell it from the event loop, not from within the caller's call. */
		tv.tv_sec = 0;
		event_add(v->timeout, &tv);
		return;
	}
	if (r->event)
		send_packet(v, EVENT_REGISTER, r->event, NULL);
	else
		send_packet(v, CMD_REQUEST, r->command, &r->args);
}

static uint64_t parse_hex(const char *s)
{
	return strtoull(s, NULL, 16);
}

static void put_spi(uint8_t spi[8], const char *s)
{
	uint64_t v = parse_hex(s);
	int i;

	for (i = 7; i >= 0; i--, v >>= 8)
		spi[i] = v;
}

static uint32_t nat_of(const char *name)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} bits[] = { { "any", HA_NAT_ANY }, { "local", HA_NAT_HERE }, { "remote", HA_NAT_THERE }, { "fake", HA_NAT_FAKE } };
	size_t i;

	for (i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		if (!strcmp(name, bits[i].name))
			return bits[i].bit;
	}
	return 0;
}

static void read_sa_value(struct vici_sa *sa, const char *name, const char *value)
{
	if (!strcmp(name, "uniqueid")) {
		sa->unique = strtoul(value, NULL, 10);
	} else if (!strcmp(name, "version")) {
		sa->id.version = strtoul(value, NULL, 10);
	} else if (!strcmp(name, "initiator")) {
		sa->id.initiator = !strcmp(value, "yes");
	} else if (!strcmp(name, "initiator-spi")) {
		put_spi(sa->id.spi_i, value);
	} else if (!strcmp(name, "responder-spi")) {
		put_spi(sa->id.spi_r, value);
	} else if (!strcmp(name, "state")) {
		snprintf(sa->state, sizeof(sa->state), "%.31s", value);
	} else if (!strcmp(name, "local-host")) {
		snprintf(sa->local, sizeof(sa->local), "%.63s", value);
	} else if (!strcmp(name, "remote-host")) {
		snprintf(sa->remote, sizeof(sa->remote), "%.63s", value);
	} else if (!strcmp(name, "local-port")) {
		sa->local_port = strtoul(value, NULL, 10);
	} else if (!strcmp(name, "remote-port")) {
		sa->remote_port = strtoul(value, NULL, 10);
	} else if (!strncmp(name, "nat-", 4) && !strcmp(value, "yes")) {
		sa->nat |= nat_of(name + 4);
	} else if (!strcmp(name, "rekey-time")) {
		sa->has_rekey = true;
		sa->rekey_s = strtoll(value, NULL, 10);
	}
}

static bool is_leaving(const char *state)
{
	return !strcmp(state, "REKEYED") || !strcmp(state, "DELETING") || !strcmp(state, "DELETED") || !strcmp(state, "DESTROYING");
}

static void read_child_value(struct vici_child *c, const char *name, const char *value)
{
	if (!strcmp(name, "name")) {
		snprintf(c->name, sizeof(c->name), "%.79s", value);
	} else if (!strcmp(name, "uniqueid")) {
		c->unique = strtoul(value, NULL, 10);
	} else if (!strcmp(name, "spi-in")) {
		c->spi_in = parse_hex(value);
	} else if (!strcmp(name, "spi-out")) {
		c->spi_out = parse_hex(value);
	} else if (!strcmp(name, "state")) {
		c->installed = !strcmp(value, "INSTALLED");
		c->leaving = is_leaving(value);
	} else if (!strcmp(name, "rekey-time")) {
		c->has_rekey = true;
		c->rekey_s = strtoll(value, NULL, 10);
	} else if (!strcmp(name, "use-in")) {
		c->heard = true;
		c->heard_s = strtoul(value, NULL, 10);
	}
}

static struct vici_child *newest(struct bytes *children)
{
	return (struct vici_child *)(children->data + children->len - sizeof(struct vici_child));
}

/* conn { ... child-sas { name-1 { ... } } } */
static bool read_sa(struct vici_sa *sa, struct bytes *children, const uint8_t *data, size_t len)
{
	static const struct vici_child blank;
	struct vici_reader r;
	enum vici_element e;

	memset(sa, 0, sizeof(*sa));
	vici_read(&r, data, len);
	while ((e = vici_next(&r)) != VICI_END) {
		if (e == VICI_MALFORMED)
			return false;
		if (e == VICI_SECTION_START && r.depth == 1)
			memcpy(sa->name, r.name, sizeof(sa->name));
		if (e == VICI_SECTION_START && r.depth == 3)
			bytes_add(children, &blank, sizeof(blank));
		if (e == VICI_KEY_VALUE && r.depth == 1)
			read_sa_value(sa, r.name, r.value);
		if (e == VICI_LIST_ITEM && r.depth == 1 && !strncmp(r.name, "tasks-", 6) && !strcmp(r.value, "CHILD_CREATE"))
			sa->adding = true;
		if (e == VICI_LIST_START && r.depth == 1 && !strcmp(r.name, "tasks-active"))
			sa->asks = true;
		if (e == VICI_KEY_VALUE && r.depth == 3 && !strcmp(r.section[1], "child-sas"))
			read_child_value(newest(children), r.name, r.value);
	}
	sa->n_children = bytes_left(children) / sizeof(blank);
	sa->children = (struct vici_child *)children->data;
	return sa->name[0];
}

/* conn { ... children { child { ... } } } */
static void read_children(struct request *q, const uint8_t *data, size_t len)
{
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, data, len);
	while ((e = vici_next(&r)) > VICI_END) {
		if (e == VICI_SECTION_START && r.depth == 3 && !strcmp(r.section[1], "children"))
			q->each_child(q->ctx, r.section[0], r.name);
	}
}

static void on_event(struct vici *v, const uint8_t *data, size_t len)
{
	struct request *r = TAILQ_FIRST(&v->queue);
	struct bytes children = { 0 };
	struct vici_reader reader;
	struct vici_sa sa;

	/* event name, then the message */
	if (!r || !len || len < 1U + data[0])
		return;
	len -= 1 + data[0];
	data += 1 + data[0];

	if (r->each_name) {
		vici_read(&reader, data, len);
		if (vici_next(&reader) == VICI_SECTION_START)
			r->each_name(r->ctx, reader.name, bytes_sum(BYTES_SUM_NOTHING, data, len));
		return;
	}
	if (r->each_child)
		read_children(r, data, len);
	if (r->each)
		r->each(r->ctx, data, len);
	if (!r->each_sa)
		return;
	if (read_sa(&sa, &children, data, len)) {
		v->listed++;
		r->each_sa(r->ctx, &sa);
	}
	bytes_free(&children);
}

/* ikesas { total ... }: those that are listed, and those that are not. */
static unsigned int read_total(const uint8_t *data, size_t len)
{
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, data, len);
	while ((e = vici_next(&r)) > VICI_END) {
		if (e == VICI_KEY_VALUE && r.depth == 1 && !strcmp(r.section[0], "ikesas") && !strcmp(r.name, "total"))
			return strtoul(r.value, NULL, 10);
	}
	return UINT_MAX;
}

/* success, and errmsg if it is no */
static void read_refusal(struct vici *v, struct request *q, const uint8_t *data, size_t len)
{
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, data, len);
	while ((e = vici_next(&r)) > VICI_END) {
		if (e == VICI_KEY_VALUE && !strcmp(r.name, "success"))
			q->refused = strcmp(r.value, "yes");
		else if (e == VICI_KEY_VALUE && !strcmp(r.name, "errmsg"))
			snprintf(v->why, sizeof(v->why), "%.127s", r.value);
	}
}

/* Return: false if there was nothing to confirm. */
static bool on_confirm(struct vici *v, struct request *r)
{
	if (r->event && r->step == REGISTERING) {
		r->step = ANSWERING;
		v->listed = 0;
		send_packet(v, CMD_REQUEST, r->command, &r->args);
	} else if (r->event && r->step == UNREGISTERING && r->each_sa && !bytes_left(&r->args)) {
		r->step = COUNTING;
		send_packet(v, CMD_REQUEST, "stats", NULL);
	} else if (r->event && r->step == UNREGISTERING) {
		finish(v, true);
	} else {
		return false;
	}
	return true;
}

/* Return: false if nothing was asked. */
static bool on_response(struct vici *v, struct request *r, const uint8_t *data, size_t len)
{
	unsigned int total;

	if (r->event && r->step == ANSWERING) {
		r->step = UNREGISTERING;
		send_packet(v, EVENT_UNREGISTER, r->event, NULL);
		return true;
	}
	if (r->event && r->step != COUNTING)
		return false;
	if (r->event) {
		total = read_total(data, len);
		v->unlisted = total > v->listed ? total - v->listed : 0;
	} else if (r->each) {
		r->each(r->ctx, data, len);
	} else {
		read_refusal(v, r, data, len);
	}
	finish(v, true);
	return true;
}

/* Return: false if charon says what it must not. */
static bool on_packet(struct vici *v, const uint8_t *data, size_t len)
{
	struct request *r = TAILQ_FIRST(&v->queue);

	if (!len || !r)
		return false;
	switch (data[0]) {
	case EVENT:
		on_event(v, data + 1, len - 1);
		return true;
	case EVENT_CONFIRM:
		return on_confirm(v, r);
	case CMD_RESPONSE:
		return on_response(v, r, data + 1, len - 1);
	}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct vici *v = arg;
	ssize_t n = recv(fd, bytes_room(&v->in, 65536), 65536, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		v->in.len += n;
	while (n > 0 && v->fd == fd && bytes_left(&v->in) >= 4) {
		uint32_t len = get_u32(bytes_at(&v->in));

		if (len > MAX_PACKET) {
			n = 0;
			break;
		}
		if (bytes_left(&v->in) < 4 + (size_t)len)
			break;
		if (!on_packet(v, bytes_at(&v->in) + 4, len))
			n = 0;
		else if (v->fd == fd)
			bytes_consume(&v->in, 4 + len);
	}
	if (n > 0)
		return;
	if (TAILQ_EMPTY(&v->queue))
		disconnect(v);
	else
		finish(v, false);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct vici *v = arg;
	ssize_t n = send(fd, bytes_at(&v->out), bytes_left(&v->out), MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)what;
	if (n > 0)
		bytes_consume(&v->out, n);
	else if (errno != EAGAIN && errno != EINTR)
		return;		/* reading will tell */
	if (bytes_left(&v->out))
		event_add(v->writable, NULL);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct vici *v = arg;

	(void)fd;
	(void)what;
	if (!TAILQ_EMPTY(&v->queue))
		finish(v, false);
}

static bool open_socket(struct vici *v)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", v->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	v->fd = fd;
	v->readable = event_new(v->base, fd, EV_READ | EV_PERSIST, on_readable, v);
	v->writable = event_new(v->base, fd, EV_WRITE, on_writable, v);
	event_add(v->readable, NULL);
	return true;
}

static struct request *request_add(struct vici *v, const char *command, const char *event)
{
	struct request *r;

	if (v->n == MAX_REQUESTS)
		return NULL;
	r = secret_alloc(sizeof(*r));
	r->command = command;
	r->event = event;
	TAILQ_INSERT_TAIL(&v->queue, r, link);
	v->n++;
	return r;
}

/* A request of which @done says how it ends, also if there is none. */
static struct request *listing(struct vici *v, const char *command, const char *event, void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = request_add(v, command, event);

	if (r) {
		r->done = done;
		r->ctx = ctx;
	} else {
		done(ctx, false);
	}
	return r;
}

void vici_list_sas(struct vici *v, void (*each)(void *ctx, const struct vici_sa *sa),
		   void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = listing(v, "list-sas", "list-sa", done, ctx);

	if (!r)
		return;
	/* What is checked out by another thread is waited for: a list must be whole. What is too long for charon's message is counted. */
	r->each_sa = each;
	start(v);
}

void vici_list_sa(struct vici *v, uint32_t unique, void (*each)(void *ctx, const struct vici_sa *sa),
		  void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = listing(v, "list-sas", "list-sa", done, ctx);
	char number[16];

	if (!r)
		return;
	snprintf(number, sizeof(number), "%u", unique);
	vici_put(&r->args, "ike-id", number);
	r->each_sa = each;
	start(v);
}

unsigned int vici_unlisted(const struct vici *v)
{
	return v->unlisted;
}

void vici_list_conns(struct vici *v, void (*each)(void *ctx, const char *name, uint64_t sum),
		     void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = listing(v, "list-conns", "list-conn", done, ctx);

	if (!r)
		return;
	r->each_name = each;
	start(v);
}

void vici_ask(struct vici *v, const char *command, const char *event, void (*each)(void *ctx, const uint8_t *data, size_t len),
	      void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = listing(v, command, event, done, ctx);

	if (!r)
		return;
	r->each = each;
	start(v);
}

void vici_list_children(struct vici *v, void (*each)(void *ctx, const char *conn, const char *child),
			void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = listing(v, "list-conns", "list-conn", done, ctx);

	if (!r)
		return;
	r->each_child = each;
	start(v);
}

void vici_list_traps(struct vici *v, void (*each)(void *ctx, const char *name, uint64_t sum),
		     void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = listing(v, "list-policies", "list-policy", done, ctx);

	if (!r)
		return;
	vici_put(&r->args, "trap", "yes");
	r->each_name = each;
	start(v);
}

void vici_initiate(struct vici *v, const char *conn, const char *child, void (*done)(void *ctx, bool ok), void *ctx)
{
	struct request *r = listing(v, "initiate", NULL, done, ctx);

	if (!r)
		return;
	vici_put(&r->args, "ike", conn);
	vici_put(&r->args, "child", child);
	vici_put(&r->args, "timeout", "-1");	/* charon answers before it begins */
	start(v);
}

const char *vici_why(const struct vici *v)
{
	return v->why;
}

static void rekey(struct vici *v, const char *key, uint32_t unique)
{
	struct request *r = request_add(v, "rekey", NULL);
	char number[16];

	if (!r)
		return;
	snprintf(number, sizeof(number), "%u", unique);
	vici_put(&r->args, key, number);
	start(v);
}

void vici_rekey_ike(struct vici *v, uint32_t unique)
{
	rekey(v, "ike-id", unique);
}

void vici_rekey_child(struct vici *v, uint32_t unique)
{
	rekey(v, "child-id", unique);
}

struct vici *vici_alloc(struct event_base *base, const char *path)
{
	struct vici *v = secret_alloc(sizeof(*v));

	v->base = base;
	v->fd = -1;
	snprintf(v->path, sizeof(v->path), "%s", path);
	v->timeout = evtimer_new(base, on_timeout, v);
	TAILQ_INIT(&v->queue);
	return v;
}

void vici_free(struct vici *v)
{
	disconnect(v);
	while (!TAILQ_EMPTY(&v->queue))
		request_free(v, TAILQ_FIRST(&v->queue));
	event_free(v->timeout);
	secret_free(v, sizeof(*v));
}
