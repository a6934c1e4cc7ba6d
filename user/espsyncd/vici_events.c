// SPDX-License-Identifier: GPL-2.0-or-later
/* vici_events: what this node's charon tells unasked. See vici_events.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "vici_events.h"
#include "vici_msg.h"

#define RETRY_S		1
#define MAX_PACKET	(512 << 10)
#define UPDATE		"ike-update"

enum packet { EVENT_REGISTER = 3, EVENT = 7 };

struct vici_events {
	struct event_base *base;
	char path[108];
	void (*updated)(void *ctx, uint32_t unique);
	void *ctx;
	int fd;
	struct event *readable;
	struct event *retry;
	struct bytes in;
};

static void disconnect(struct vici_events *v)
{
	struct timeval tv = { RETRY_S, 0 };

	if (v->fd >= 0) {
		event_free(v->readable);
		close(v->fd);
	}
	v->fd = -1;
	bytes_free(&v->in);
	event_add(v->retry, &tv);
}

/* local-host, remote-host, ... and then CONNECTION { uniqueid ... } */
static void on_update(struct vici_events *v, const uint8_t *data, size_t len)
{
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, data, len);
	while ((e = vici_next(&r)) > VICI_END) {
		if (e != VICI_KEY_VALUE || r.depth != 1 || strcmp(r.name, "uniqueid"))
			continue;
		v->updated(v->ctx, strtoul(r.value, NULL, 10));
		return;
	}
}

static void on_packet(struct vici_events *v, const uint8_t *data, size_t len)
{
	size_t name = strlen(UPDATE);

	if (len >= 2 + name && data[0] == EVENT && data[1] == name && !memcmp(data + 2, UPDATE, name))
		on_update(v, data + 2 + name, len - 2 - name);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct vici_events *v = arg;
	ssize_t n = recv(fd, bytes_room(&v->in, 65536), 65536, MSG_DONTWAIT);
	uint32_t len;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		disconnect(v);
		return;
	}
	v->in.len += n;
	while (bytes_left(&v->in) >= 4) {
		len = get_u32(bytes_at(&v->in));
		if (len > MAX_PACKET) {
			disconnect(v);
			return;
		}
		if (bytes_left(&v->in) < 4 + (size_t)len)
			return;
		on_packet(v, bytes_at(&v->in) + 4, len);
		bytes_consume(&v->in, 4 + len);
	}
}

/* So short that it fits, whatever else the socket holds. */
static bool ask(int fd)
{
	struct bytes b = { 0 };
	ssize_t n;

	bytes_add_u32(&b, 2 + strlen(UPDATE));
	bytes_add_u8(&b, EVENT_REGISTER);
	bytes_add_u8(&b, strlen(UPDATE));
	bytes_add(&b, UPDATE, strlen(UPDATE));
	n = send(fd, bytes_at(&b), bytes_left(&b), MSG_DONTWAIT | MSG_NOSIGNAL) - (ssize_t)bytes_left(&b);
	bytes_free(&b);
	return !n;
}

static void on_retry(evutil_socket_t unused, short what, void *arg)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct timeval tv = { RETRY_S, 0 };
	struct vici_events *v = arg;

	(void)unused;
	(void)what;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", v->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) || !ask(fd)) {
		if (fd >= 0)
			close(fd);
		event_add(v->retry, &tv);
		return;
	}
	v->fd = fd;
	v->readable = event_new(v->base, fd, EV_READ | EV_PERSIST, on_readable, v);
	event_add(v->readable, NULL);
}

struct vici_events *vici_events_alloc(struct event_base *base, const char *path, void (*updated)(void *ctx, uint32_t unique), void *ctx)
{
	struct vici_events *v = secret_alloc(sizeof(*v));
	struct timeval now = { 0, 0 };

	v->base = base;
	snprintf(v->path, sizeof(v->path), "%s", path);
	v->updated = updated;
	v->ctx = ctx;
	v->fd = -1;
	v->retry = evtimer_new(base, on_retry, v);
	event_add(v->retry, &now);
	return v;
}

void vici_events_free(struct vici_events *v)
{
	disconnect(v);
	event_free(v->retry);
	secret_free(v, sizeof(*v));
}
