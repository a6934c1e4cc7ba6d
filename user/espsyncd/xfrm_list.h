/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xfrm_list: asks the kernel for its SAs, without ever waiting for all of them.
 *
 * Room: one dump at a time, read a piece at a time when the event loop has time for it, into the list of states.h. The pieces hold
 * keys, which go no further.
 */
#ifndef ESPSYNCD_XFRM_LIST_H
#define ESPSYNCD_XFRM_LIST_H

#include <event2/event.h>

#include "config.h"
#include "states.h"

struct xfrm_list;

struct xfrm_list *xfrm_list_alloc(struct event_base *base, const struct config *c);
void xfrm_list_free(struct xfrm_list *l);

/**
 * xfrm_list_states() - the ESP and AH SAs from and to the cluster's addresses
 * @l: which asks for nothing at the moment
 * @done: called once, with struct state, sorted; or with NULL if the kernel did not answer. They are gone when it returns
 * @ctx: for @done
 *
 * What has an SPI and no keys yet is left out.
 */
void xfrm_list_states(struct xfrm_list *l, void (*done)(void *ctx, const struct bytes *states), void *ctx);

#endif /* ESPSYNCD_XFRM_LIST_H */
