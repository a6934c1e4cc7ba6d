/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vrrp: what keepalived says on its notify_fifo, and what it is told through its track_file.
 *
 * Room: the FIFO, its lines, the file. A backlog collapses: only the newest state counts. What follows from it is roles'
 * business.
 */
#ifndef ESPSYNCD_VRRP_H
#define ESPSYNCD_VRRP_H

#include <event2/event.h>
#include <stdbool.h>

#include "config.h"

enum vrrp_state {
	VRRP_UNKNOWN,
	VRRP_MASTER,
	VRRP_NOT_MASTER,	/* BACKUP, FAULT, STOP */
};

struct vrrp;

/**
 * vrrp_open() - make the FIFO if it is not there, and listen
 * @base: event loop
 * @c: configuration
 * @newest: called with the newest state of those that had queued
 * @ctx: for @newest
 *
 * Return: the vrrp, or NULL; then the reason was logged
 */
struct vrrp *vrrp_open(struct event_base *base, const struct config *c,
		       void (*newest)(void *ctx, enum vrrp_state s), void *ctx);
void vrrp_close(struct vrrp *v);

/* Tell keepalived that this node should not be master, or that nothing speaks against it. */
void vrrp_stepped_down(struct vrrp *v, bool stepped_down);

/**
 * vrrp_parse_line() - one line of the FIFO: INSTANCE "name" STATE priority, or GROUP
 * @line: without its newline
 * @instance: name that counts, or "" for any instance
 *
 * Return: the state, VRRP_UNKNOWN if the line is not about a state of ours
 */
enum vrrp_state vrrp_parse_line(const char *line, const char *instance);

#endif /* ESPSYNCD_VRRP_H */
