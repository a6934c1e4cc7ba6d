// SPDX-License-Identifier: GPL-2.0-or-later
/* control: the unix socket on which the tool asks this helper. See control.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "control.h"
#include "log.h"

#define ASK_S		10	/* to say what is asked, and to take the answer */
#define BACKLOG		8
#define PIECE		65536

struct control {
	struct event_base *base;
	void (*asked)(void *ctx, const uint8_t *data, size_t len);
	void *ctx;
	int listener;
	struct event *acceptable;
	int fd;			/* who asks, or -1 */
	struct event *readable;
	struct event *writable;
	struct event *timeout;
	struct bytes in;
	struct bytes out;
	bool answering;		/* the question was taken, and the answer is to come */
};

static void listen_again(struct control *c)
{
	if (c->acceptable)
		event_add(c->acceptable, NULL);
}

/* Whoever waits is next; while an answer is to come, its asker being gone, nobody is. */
static void hang_up(struct control *c)
{
	if (c->fd >= 0) {
		event_free(c->readable);
		event_free(c->writable);
		close(c->fd);
	}
	c->fd = -1;
	event_del(c->timeout);
	bytes_free(&c->in);
	bytes_free(&c->out);
	if (!c->answering)
		listen_again(c);
}

static void arm(struct control *c)
{
	struct timeval tv = { ASK_S, 0 };

	event_add(c->timeout, &tv);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	hang_up(arg);
}

static void ask(struct control *c, size_t len)
{
	struct bytes question = c->in;

	memset(&c->in, 0, sizeof(c->in));
	c->answering = true;
	event_del(c->timeout);
	c->asked(c->ctx, bytes_at(&question) + 4, len);
	bytes_free(&question);
}

/* A question, or the end of who asked; nothing else is said. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	ssize_t n = recv(fd, bytes_room(&c->in, PIECE), PIECE, MSG_DONTWAIT);
	size_t len;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || c->answering) {
		hang_up(c);
		return;
	}
	c->in.len += n;
	if (bytes_left(&c->in) < 4)
		return;
	len = get_u32(bytes_at(&c->in));
	if (len > CONTROL_MAX || bytes_left(&c->in) > 4 + len)
		hang_up(c);
	else if (bytes_left(&c->in) == 4 + len)
		ask(c, len);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	ssize_t n = send(fd, bytes_at(&c->out), bytes_left(&c->out), MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)what;
	if (n > 0)
		bytes_consume(&c->out, n);
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || !bytes_left(&c->out))
		hang_up(c);
	else
		event_add(c->writable, NULL);
}

void control_answer(struct control *c, enum control_code code, const void *data, size_t len)
{
	c->answering = false;
	if (c->fd < 0) {
		listen_again(c);
		return;
	}
	bytes_add_u32(&c->out, 1 + len);
	bytes_add_u8(&c->out, code);
	bytes_add(&c->out, data, len);
	event_add(c->writable, NULL);
	arm(c);
}

/* The file's mode says it, too: but a descriptor can be passed on. */
static bool is_root(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return false;
	if (who.uid)
		log_warn("user %u was refused at %s: it is for root", who.uid, CONTROL_SOCKET);
	return !who.uid;
}

static void on_acceptable(evutil_socket_t listener, short what, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control *c = arg;

	(void)what;
	if (fd < 0 || !is_root(fd)) {
		if (fd >= 0)
			close(fd);
		listen_again(c);
		return;
	}
	c->fd = fd;
	c->readable = event_new(c->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(c->base, fd, EV_WRITE, on_writable, c);
	event_add(c->readable, NULL);
	arm(c);
}

/* What a helper before this one left is in the way; no other one runs, for charon's port is ours by now. */
static void unlink_former(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;
	mode_t before = umask(0177);

	strcpy(sun.sun_path, CONTROL_SOCKET);
	unlink_former(path);
	err = fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, BACKLOG) ? errno : 0;
	umask(before);
	if (!err)
		return fd;
	log_warn("cannot listen at %s: %s (espsync ike will not work)", path, strerror(err));
	if (fd >= 0)
		close(fd);
	return -1;
}

struct control *control_open(struct event_base *base, void (*asked)(void *ctx, const uint8_t *data, size_t len), void *ctx)
{
	struct control *c = secret_alloc(sizeof(*c));

	c->base = base;
	c->asked = asked;
	c->ctx = ctx;
	c->fd = -1;
	c->timeout = evtimer_new(base, on_timeout, c);
	c->listener = listen_at(CONTROL_SOCKET);
	if (c->listener >= 0)
		c->acceptable = event_new(base, c->listener, EV_READ, on_acceptable, c);
	listen_again(c);
	return c;
}

void control_close(struct control *c)
{
	c->answering = true;	/* nobody is next */
	hang_up(c);
	if (c->listener >= 0) {
		event_free(c->acceptable);
		close(c->listener);
	}
	event_free(c->timeout);
	secret_free(c, sizeof(*c));
}
