// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/bytes.c ../../user/espsyncd/vici_msg.c
/*
 * vici.c - what charon, or whoever sits at its socket, answers over vici.
 *
 * Job: the encoding: every element lies within the message, and what was read is written to a message that is read as the same. And
 * vici.c itself, with the socket left out: packets answer requests; each request ends once, and lists are within their bounds.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../user/espsyncd/vici_msg.h"
#include "quiet.h"

static struct input wire;
static bool cut_short, armed;

static ssize_t from_wire(void *buf, size_t room)
{
	size_t n;
	const uint8_t *p = take(&wire, cut_short ? 1 + room % 7 : room, &n);

	memcpy(buf, p, n);
	return n;
}

#define event_add(ev, tv)			((void)(ev), (void)(tv), armed = true, 0)
#define event_del(ev)				((void)(ev), armed = false)
#define event_pending(ev, what, tv)		((void)(ev), armed)
#define event_new(base, fd, what, fn, arg)	((void)(base), (void)(fd), (void)(fn), (struct event *)(arg))
#undef evtimer_new
#define evtimer_new(base, fn, arg)		((void)(fn), (struct event *)(arg))
#define event_free(ev)				((void)(ev))
#define socket(family, type, proto)		9
#define connect(fd, addr, len)			((void)(addr), 0)
#define close(fd)				((void)(fd))
#define recv(fd, buf, room, flags)		((void)(fd), from_wire(buf, room))
#define send(fd, buf, n, flags)			((void)(fd), (void)(buf), (ssize_t)(n))
#include "../../user/espsyncd/vici.c"

#define BEGUN 5	/* lists, and what is initiated; a rekeying tells nobody that it is over */

static unsigned int ended;

static void each_sa(void *ctx, const struct vici_sa *sa)
{
	(void)ctx;
	must(sa->name[0] && memchr(sa->name, 0, sizeof(sa->name)) && memchr(sa->state, 0, sizeof(sa->state)));
	must(memchr(sa->local, 0, sizeof(sa->local)));
}

static void each_conn(void *ctx, const char *name, uint64_t sum)
{
	(void)ctx, (void)sum;
	must(strlen(name) < VICI_NAME);
}

static void each_child(void *ctx, const char *conn, const char *child)
{
	(void)ctx;
	must(strlen(conn) < VICI_NAME && strlen(child) < VICI_NAME);
}

static void done(void *ctx, bool ok)
{
	(void)ctx, (void)ok;
	ended++;
}

static void answers(const uint8_t *data, size_t size)
{
	struct vici *v;

	wire = (struct input){ data, size };
	cut_short = size % 2;
	armed = false;
	ended = 0;
	v = vici_alloc(NULL, "/run/charon.vici");
	vici_list_conns(v, each_conn, done, NULL);
	vici_list_sas(v, each_sa, done, NULL);
	vici_rekey_ike(v, 7);
	vici_list_sas(v, each_sa, done, NULL);
	vici_initiate(v, "a", "b", done, NULL);
	vici_list_children(v, each_child, done, NULL);
	for (int i = 0; i < 2000 && (wire.left || ended < BEGUN); i++) {
		if (v->fd >= 0) {
			on_readable(v->fd, 0, v);
			must(bytes_left(&v->in) <= 4 + MAX_PACKET + 65536);
		} else {
			on_timeout(-1, 0, v);
		}
		must(ended <= BEGUN);
	}
	must(wire.left || ended == BEGUN);
	vici_free(v);
}

static void put_named(struct bytes *b, enum vici_element e, const char *name)
{
	bytes_add_u8(b, e);
	bytes_add_u8(b, strlen(name));
	bytes_add(b, name, strlen(name));
}

/* Names and values end at their first NUL here; they are text. */
static void element(struct bytes *b, enum vici_element e, const struct vici_reader *r)
{
	switch (e) {
	case VICI_SECTION_START:
	case VICI_LIST_START:
		put_named(b, e, r->name);
		break;
	case VICI_KEY_VALUE:
		vici_put(b, r->name, r->value);
		break;
	case VICI_LIST_ITEM:
		bytes_add_u8(b, e);
		bytes_add_u16(b, strlen(r->value));
		bytes_add(b, r->value, strlen(r->value));
		break;
	default:
		bytes_add_u8(b, e);
	}
}

static void same_again(const struct bytes *b, const uint8_t *data, size_t size)
{
	struct vici_reader one, two;
	enum vici_element e;

	vici_read(&one, data, size);
	vici_read(&two, bytes_at(b), bytes_left(b));
	do {
		e = vici_next(&one);
		must(vici_next(&two) == e && one.depth == two.depth);
		must(!strcmp(one.name, two.name) && !strcmp(one.value, two.value));
	} while (e > VICI_END);
}

static void encoding(const uint8_t *data, size_t size)
{
	uint8_t *copy = exact(data, size);
	struct bytes again = { 0 };
	struct vici_reader r;
	enum vici_element e;

	vici_read(&r, copy, size);
	while ((e = vici_next(&r)) > VICI_END) {
		must(r.depth >= 0 && r.depth <= VICI_DEPTH && r.left < size);
		must(memchr(r.name, 0, sizeof(r.name)) && memchr(r.value, 0, sizeof(r.value)));
		element(&again, e, &r);
	}
	if (e == VICI_END)
		same_again(&again, copy, size);
	bytes_free(&again);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	encoding(data, size);
	answers(data, size);
	return 0;
}
