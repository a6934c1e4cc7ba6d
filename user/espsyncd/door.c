// SPDX-License-Identifier: GPL-2.0-or-later
/* door: asks the helper of another group of this machine, where the tool would. See door.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "config.h"
#include "door.h"

#define ANSWER_S	30
#define ANSWER_MAX	4096
#define HEAD		5	/* length u32, exit code u8 */
#define PIECE		4096

struct door {
	struct event_base *base;
	char path[CONFIG_PATH];
	int fd;			/* -1: nothing is asked */
	struct event *readable;
	struct event *writable;
	struct event *timeout;
	struct bytes out;
	struct bytes in;
	void (*done)(void *ctx, const struct door_answer *a);
	void *ctx;
};

bool door_is_busy(const struct door *d)
{
	return d->fd >= 0;
}

static void close_it(struct door *d)
{
	event_free(d->readable);
	event_free(d->writable);
	event_del(d->timeout);
	close(d->fd);
	d->fd = -1;
	bytes_free(&d->out);
}

/* Whoever is told may ask again. */
static void finish(struct door *d, struct door_answer a)
{
	struct bytes in = d->in;

	memset(&d->in, 0, sizeof(d->in));
	close_it(d);
	d->done(d->ctx, &a);
	bytes_free(&in);
}

static void fail(struct door *d, const char *why)
{
	finish(d, (struct door_answer){ bytes_left(&d->out) ? DOOR_CLOSED : DOOR_SILENT, 0, (const uint8_t *)why, strlen(why) });
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fail(arg, "it has not answered");
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;
	ssize_t n = send(fd, bytes_at(&d->out), bytes_left(&d->out), MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)what;
	if (n > 0)
		bytes_consume(&d->out, n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail(d, strerror(errno));
	if (d->fd >= 0 && bytes_left(&d->out))
		event_add(d->writable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;
	ssize_t n = recv(fd, bytes_room(&d->in, PIECE), PIECE, MSG_DONTWAIT);
	const uint8_t *p;
	size_t len;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		d->in.len += n;
	p = bytes_at(&d->in);
	len = bytes_left(&d->in);
	if (n > 0 && len >= HEAD && len == 4 + (size_t)get_u32(p))
		finish(d, (struct door_answer){ DOOR_ANSWERED, p[4], p + HEAD, len - HEAD });
	else if (n <= 0 || len > ANSWER_MAX)
		fail(d, "it has hung up");
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fd;
	close(fd);
	return -1;
}

void door_ask(struct door *d, const char *word, const uint8_t *data, size_t len, void (*done)(void *ctx, const struct door_answer *a), void *ctx)
{
	struct timeval tv = { ANSWER_S, 0 };
	int fd = connect_to(d->path);

	if (fd < 0) {
		const char *why = strerror(errno);

		done(ctx, &(struct door_answer){ DOOR_CLOSED, 0, (const uint8_t *)why, strlen(why) });
		return;
	}
	d->fd = fd;
	d->done = done;
	d->ctx = ctx;
	bytes_add_u32(&d->out, strlen(word) + 1 + len);
	bytes_add(&d->out, word, strlen(word));
	bytes_add_u8(&d->out, ' ');
	bytes_add(&d->out, data, len);
	d->readable = event_new(d->base, fd, EV_READ | EV_PERSIST, on_readable, d);
	d->writable = event_new(d->base, fd, EV_WRITE, on_writable, d);
	event_add(d->readable, NULL);
	event_add(d->writable, NULL);
	event_add(d->timeout, &tv);
}

struct door *door_alloc(struct event_base *base, const char *path)
{
	struct door *d = secret_alloc(sizeof(*d));

	d->base = base;
	d->fd = -1;
	d->timeout = evtimer_new(base, on_timeout, d);
	snprintf(d->path, sizeof(d->path), "%s", path);
	return d;
}

void door_free(struct door *d)
{
	if (d->fd >= 0)
		close_it(d);
	bytes_free(&d->in);
	event_free(d->timeout);
	secret_free(d, sizeof(*d));
}
