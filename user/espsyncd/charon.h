/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * charon: this node's strongSwan daemon, seen through its ha plugin's socket.
 *
 * Room: the UDP socket on loopback: receiving, injecting at charon's pace, its watchdog, and noticing that it is another
 * process than before. What the messages mean for the cluster is relay's business; the FIFO is segment's.
 */
#ifndef ESPSYNCD_CHARON_H
#define ESPSYNCD_CHARON_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "config.h"

#define HA_PORT	4510	/* fixed in the plugin, both ends */

enum charon_segment {
	CHARON_UNKNOWN,
	CHARON_PASSIVE,
	CHARON_ACTIVE,
};

/**
 * struct charon_ops - whom to tell
 * @message: a message about an IKE or CHILD SA
 * @segment: what charon says its segment is; @confirms: it is the answer to a command, not its heartbeat
 * @version: charon's wire version is known, or another one than before
 * @restarted: it is another process, if @anew, or has asked for a resync; what was to be injected is gone
 * @applied: all that was injected up to @token has been processed
 * @lost: datagrams were lost, from charon if @from_charon, else to it
 */
struct charon_ops {
	void (*message)(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len);
	void (*segment)(void *ctx, enum charon_segment s, bool confirms);
	void (*version)(void *ctx, uint8_t version);
	void (*restarted)(void *ctx, const char *why, bool anew);
	void (*applied)(void *ctx, uint64_t token);
	void (*lost)(void *ctx, bool from_charon);
};

struct charon;

/**
 * charon_open() - take or make the socket, start listening
 * @base: event loop
 * @c: configuration
 * @inherited: a socket that systemd holds, or -1
 * @ops: whom to tell
 * @ctx: for @ops
 *
 * Return: the charon, or NULL; then the reason was logged
 */
struct charon *charon_open(struct event_base *base, const struct config *c, int inherited,
			   const struct charon_ops *ops, void *ctx);
void charon_close(struct charon *ch);

/**
 * charon_inject() - give charon a message, in order, at its pace
 * @ch: the charon
 * @data: the message
 * @len: its length
 * @token: passed to ops->applied once it is processed; never decreasing
 */
void charon_inject(struct charon *ch, const uint8_t *data, size_t len, uint64_t token);

/* Nothing waits for injection, and what was injected is processed. */
bool charon_idle(const struct charon *ch);

/* Memory that waiting messages take. */
size_t charon_backlog(const struct charon *ch);

/* Forget what was not injected yet. */
void charon_drop_backlog(struct charon *ch);

/* While a FIFO command is outstanding charon must get neither STATUS nor anything else. */
void charon_pause(struct charon *ch, bool paused);

uint8_t charon_version(const struct charon *ch);
enum charon_segment charon_segment(const struct charon *ch);

/* The process is there: its socket exists. */
bool charon_present(const struct charon *ch);

/* Milliseconds since it was last heard. */
uint64_t charon_silence_ms(const struct charon *ch);

/* Read all that is queued now: before a role changes. */
void charon_read_all(struct charon *ch);

#endif /* ESPSYNCD_CHARON_H */
