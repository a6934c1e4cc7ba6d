/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link: one TLS 1.3 connection to each other node's espsyncd.
 *
 * Room: TCP, TLS, who connects to whom, framing, reconnecting, keepalive. What the frames mean is relay's business.
 *
 * The node with the lower number connects. Authentication is a key derived from the cluster key, with ephemeral keys on top, so
 * that a cluster key that leaks later opens nothing that was recorded.
 */
#ifndef ESPSYNCD_LINK_H
#define ESPSYNCD_LINK_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define LINK_MAX_FRAME	(66 << 10)

/**
 * struct link_ops - whom to tell
 * @up: the peer is authenticated
 * @down: the connection is gone
 * @frame: a frame of the peer; false ends the connection
 * @writable: what was queued has left; more may come
 */
struct link_ops {
	void (*up)(void *ctx, unsigned int peer);
	void (*down)(void *ctx, unsigned int peer);
	bool (*frame)(void *ctx, unsigned int peer, uint8_t type, const uint8_t *data, size_t len);
	void (*writable)(void *ctx, unsigned int peer);
};

struct links;

/**
 * links_open() - listen, connect, and keep trying
 * @base: event loop
 * @c: configuration; peers are named by their index in it
 * @key: the cluster key, 32 bytes; not kept
 * @ops: whom to tell
 * @ctx: for @ops
 *
 * Return: the links, or NULL; then the reason was logged
 */
struct links *links_open(struct event_base *base, const struct config *c, const uint8_t key[32],
			 const struct link_ops *ops, void *ctx);
void links_close(struct links *l);

/* Queue a frame; without a connection it is dropped. */
void link_send(struct links *l, unsigned int peer, uint8_t type, const void *head, size_t head_len,
	       const void *body, size_t body_len);

bool link_is_up(const struct links *l, unsigned int peer);

/* Bytes queued and not yet sent. */
size_t link_queued(const struct links *l, unsigned int peer);

/* Read all that has arrived now: before a role changes. */
void links_read_all(struct links *l);

/* Send what is queued, and what ops->writable queues then, to all, for at most that long: before the program ends. */
void links_flush(struct links *l, unsigned int ms);

#endif /* ESPSYNCD_LINK_H */
