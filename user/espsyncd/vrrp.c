// SPDX-License-Identifier: GPL-2.0-or-later
/* vrrp: keepalived's notify_fifo and track_file. See vrrp.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"
#include "vrrp.h"

#define LOOK_MS		1000	/* whether the FIFO is still the one that was opened */

struct vrrp {
	const struct config *c;
	struct event_base *base;
	int fd;
	struct event *readable;
	struct event *look;
	struct stat st;		/* of what @fd is */
	void (*newest)(void *ctx, enum vrrp_state s);
	void *ctx;
	char line[256];
	size_t len;
	bool too_long;
};

/* Return: the state that the line carries, or @before. */
static enum vrrp_state end_of_line(struct vrrp *v, enum vrrp_state before)
{
	enum vrrp_state s = VRRP_UNKNOWN;

	v->line[v->len] = 0;
	if (!v->too_long)
		s = vrrp_parse_line(v->line, v->c->instance);
	v->len = 0;
	v->too_long = false;
	return s != VRRP_UNKNOWN ? s : before;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	enum vrrp_state s = VRRP_UNKNOWN;
	struct vrrp *v = arg;
	char buf[4096];
	ssize_t n, i;

	(void)what;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (i = 0; i < n; i++) {
			if (buf[i] == '\n')
				s = end_of_line(v, s);
			else if (v->len < sizeof(v->line) - 1)
				v->line[v->len++] = buf[i];
			else
				v->too_long = true;
		}
	}
	if (s != VRRP_UNKNOWN)
		v->newest(v->ctx, s);
}

static bool open_fifo(struct vrrp *v)
{
	const char *path = v->c->notify_fifo;

	if (mkfifo(path, 0600) && errno != EEXIST) {
		log_warn("cannot make %s: %s (does its directory exist?)", path, strerror(errno));
		return false;
	}
	/* For writing too, so that it never ends while keepalived restarts. */
	v->fd = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (v->fd < 0 || fstat(v->fd, &v->st)) {
		log_warn("cannot open %s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISFIFO(v->st.st_mode) || v->st.st_uid != geteuid() || v->st.st_mode & 022) {
		log_warn("%s is not a FIFO that only root can write to (remove it)", path);
		return false;
	}
	v->readable = event_new(v->base, v->fd, EV_READ | EV_PERSIST, on_readable, v);
	event_add(v->readable, NULL);
	return true;
}

static void close_fifo(struct vrrp *v)
{
	if (v->readable)
		event_free(v->readable);
	v->readable = NULL;
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
}

static void arm(struct vrrp *v)
{
	struct timeval tv = { LOOK_MS / 1000, 0 };

	event_add(v->look, &tv);
}

/* keepalived removes a FIFO that it has made itself when it stops, and makes another when it starts: nobody would be heard any more. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct vrrp *v = arg;
	struct stat st;

	(void)fd;
	arm(v);
	if (v->fd >= 0 && !lstat(v->c->notify_fifo, &st) && st.st_ino == v->st.st_ino && st.st_dev == v->st.st_dev)
		return;
	if (v->fd >= 0) {
		log_warn("%s is another one now: opening it", v->c->notify_fifo);
		on_readable(v->fd, what, v);	/* what the old one still has */
	}
	close_fifo(v);
	if (!open_fifo(v))
		close_fifo(v);		/* said why; tried again */
}

void vrrp_stepped_down(struct vrrp *v, bool stepped_down)
{
	int fd = open(v->c->track_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, stepped_down ? "1\n" : "0\n", 2) != 2)
		log_warn("cannot write %s: %s (keepalived will not follow)", v->c->track_file, strerror(errno));
	if (fd >= 0)
		close(fd);
}

struct vrrp *vrrp_open(struct event_base *base, const struct config *c,
		       void (*newest)(void *ctx, enum vrrp_state s), void *ctx)
{
	struct vrrp *v = secret_alloc(sizeof(*v));

	v->c = c;
	v->base = base;
	v->fd = -1;
	v->newest = newest;
	v->ctx = ctx;
	if (!open_fifo(v)) {
		close_fifo(v);
		secret_free(v, sizeof(*v));
		return NULL;
	}
	v->look = evtimer_new(base, on_look, v);
	arm(v);
	return v;
}

void vrrp_close(struct vrrp *v)
{
	event_free(v->look);
	close_fifo(v);
	secret_free(v, sizeof(*v));
}
