/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vici: asks this node's charon, without ever waiting for it.
 *
 * Room: the unix socket, one request at a time, its answers read into the few values that the helper needs. What to do with
 * them is the callers' business.
 */
#ifndef ESPSYNCD_VICI_H
#define ESPSYNCD_VICI_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "vici_sas.h"

struct vici;

struct vici *vici_alloc(struct event_base *base, const char *path);
void vici_free(struct vici *v);

/**
 * vici_list_sas() - all IKE SAs
 * @v: the client
 * @each: called for each
 * @done: called once, with false if charon did not answer
 * @ctx: for both
 */
void vici_list_sas(struct vici *v, void (*each)(void *ctx, const struct vici_sa *sa),
		   void (*done)(void *ctx, bool ok), void *ctx);

/* The same for one IKE SA, by charon's number for it. */
void vici_list_sa(struct vici *v, uint32_t unique, void (*each)(void *ctx, const struct vici_sa *sa),
		  void (*done)(void *ctx, bool ok), void *ctx);

/* How many IKE SAs charon had when it had listed them last, beyond those that it did list: see vici_may_omit(). */
unsigned int vici_unlisted(const struct vici *v);

/* The same as vici_list_sas() for connections, by name; @sum is another one when anything of the connection is. */
void vici_list_conns(struct vici *v, void (*each)(void *ctx, const char *name, uint64_t sum),
		     void (*done)(void *ctx, bool ok), void *ctx);

/* The children of all connections, by their names. */
void vici_list_children(struct vici *v, void (*each)(void *ctx, const char *conn, const char *child),
			void (*done)(void *ctx, bool ok), void *ctx);

/* ... and for what charon traps: CONNECTION/CHILD, or how else this release names it. */
void vici_list_traps(struct vici *v, void (*each)(void *ctx, const char *name, uint64_t sum),
		     void (*done)(void *ctx, bool ok), void *ctx);

/**
 * vici_initiate() - begin a CHILD SA, and the IKE SA if there is none
 * @v: the client
 * @conn: connection
 * @child: of its children
 * @done: called once: false if charon refuses (vici_why()) or did not answer. What becomes of it shows in later lists
 * @ctx: for @done
 */
void vici_initiate(struct vici *v, const char *conn, const char *child, void (*done)(void *ctx, bool ok), void *ctx);

/* charon's own words for what it refused last, "" if it has not answered. */
const char *vici_why(const struct vici *v);

/**
 * vici_ask() - what is not read here
 * @v: the client
 * @command: charon's; not copied
 * @event: the answers come as this event, one by one; NULL: it is answered once. Not copied
 * @each: called for each answer, with the message
 * @done: called once, with false if charon did not answer
 * @ctx: for both
 */
void vici_ask(struct vici *v, const char *command, const char *event, void (*each)(void *ctx, const uint8_t *data, size_t len),
	      void (*done)(void *ctx, bool ok), void *ctx);

/* Ask for a rekeying; what becomes of it shows in charon's messages. */
void vici_rekey_ike(struct vici *v, uint32_t unique);
void vici_rekey_child(struct vici *v, uint32_t unique);

#endif /* ESPSYNCD_VICI_H */
