// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/vrrp_line.c ../../user/espsyncd/bytes.c
/*
 * vrrp.c - what comes through keepalived's notify_fifo.
 *
 * Job: vrrp.c itself with the FIFO left out. However the bytes are cut into reads, the states told are those of its lines; what is half a
 * line or too long is none; a line counts only for the instance that is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "noevents.h"
#include "quiet.h"

static struct input fifo;
static size_t piece;

static ssize_t from_fifo(void *buf, size_t room)
{
	size_t n;
	const uint8_t *p = take(&fifo, piece && piece < room ? piece : room, &n);

	memcpy(buf, p, n);
	return n ? (ssize_t)n : -1;
}

#define read(fd, buf, room) ((void)(fd), from_fifo(buf, room))
#include "../../user/espsyncd/vrrp.c"
#undef read

static enum vrrp_state told;

static void newest(void *ctx, enum vrrp_state s)
{
	(void)ctx;
	must(s == VRRP_MASTER || s == VRRP_NOT_MASTER);
	told = s;
}

/* The lines, read straight. */
static enum vrrp_state expected(const uint8_t *data, size_t size, const char *instance)
{
	enum vrrp_state s = VRRP_UNKNOWN, one;
	const uint8_t *end;

	while (size && (end = memchr(data, '\n', size))) {
		size_t len = end - data;
		char *line = strndup((const char *)data, len);

		one = len < 256 ? vrrp_parse_line(line, instance) : VRRP_UNKNOWN;
		if (one != VRRP_UNKNOWN) {
			must(!*instance || strstr(line, instance));
			must(strstr(line, "INSTANCE \"") == line || strstr(line, "GROUP \"") == line);
			s = one;
		}
		free(line);
		size -= len + 1;
		data = end + 1;
	}
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config c;
	struct vrrp v = { .c = &c, .newest = newest };
	struct input in = { data, size };

	strcpy(c.instance, take8(&in) & 1 ? "espsync" : "");
	piece = take8(&in);
	fifo = in;
	told = VRRP_UNKNOWN;
	while (fifo.left) {
		on_readable(-1, 0, &v);
		must(v.len < sizeof(v.line));
	}
	must(told == expected(in.p, in.left, c.instance));
	return 0;
}
