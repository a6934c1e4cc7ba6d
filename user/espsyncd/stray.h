/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stray: a far end's ESP comes to this node before its VPN does.
 *
 * Room: noticing that (the kernel counts ESP for which it has no SA), which SA it is for, and how often somebody is asked for it. Packets are looked
 * at for a moment only after that count has risen. Whether there is such a VPN is the other group's helper's to say: it is asked once for an SPI.
 */
#ifndef ESPSYNCD_STRAY_H
#define ESPSYNCD_STRAY_H

#include <event2/event.h>
#include <stdbool.h>

#include "config.h"

struct stray;

/* @active: is this node active, and its charon? */
struct stray *stray_alloc(struct event_base *base, const struct config *c, bool (*active)(void *ctx), void *ctx);
void stray_free(struct stray *s);

#endif /* ESPSYNCD_STRAY_H */
