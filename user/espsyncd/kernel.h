/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel: the module, over generic netlink.
 *
 * Room: requests of the family espsync and its events, nothing of charon or peers. Requests wait for their answer: PROMOTE at
 * most dead_ms, DEMOTE at most what is asked for, all others not at all. A module that is not loaded is -ENOENT everywhere.
 */
#ifndef ESPSYNCD_KERNEL_H
#define ESPSYNCD_KERNEL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/espsync.h>

#include "codec.h"
#include "lines.h"
#include "numbers.h"
#include "unprotected.h"

/**
 * struct kernel_ops - what the module tells
 * @role: a role may have changed: ask with kernel_role()
 * @rekey_needed: that SA's numbers run out, or are in doubt
 */
struct kernel_ops {
	void (*role)(void *ctx);
	void (*rekey_needed)(void *ctx, uint32_t spi);
};

struct kernel;

struct kernel *kernel_alloc(struct event_base *base, const struct kernel_ops *ops, void *ctx);
void kernel_free(struct kernel *k);

/**
 * kernel_attach() - look for the module, if it is not known to be there
 * @k: the kernel
 *
 * Return: true if the family exists in this namespace
 */
bool kernel_attach(struct kernel *k);

/* All return 0 or a negative errno; kernel_why() then has the kernel's own sentence. */
int kernel_promote(struct kernel *k, uint32_t *doubtful);
int kernel_demote(struct kernel *k, uint32_t timeout_ms, bool *flushed);
int kernel_role(struct kernel *k, enum espsync_role *role);
/* Each SA whose number is in doubt. */
int kernel_stale(struct kernel *k, void (*found)(void *ctx, uint32_t spi), void *ctx);
int kernel_expect(struct kernel *k, const struct ha_addr *dst, uint32_t spi);
/* Is an SA up to the group that this version serves? So it is where there is no module, or no channel. */
bool kernel_serves(struct kernel *k, const struct ha_addr *dst, uint32_t spi, uint8_t proto);
/* What it counts with of one SA: @n has dst, spi and proto. -ENOENT: it follows none such. */
int kernel_numbers(struct kernel *k, struct numbers *n);
/**
 * kernel_foretell() - an SA that will be installed is a mirror of another one's, and goes on from its numbers
 * @k: the kernel
 * @n: what that one had; it goes on behind numbers_start()
 *
 * Return: 0 or a negative errno; an older module refuses it
 */
int kernel_foretell(struct kernel *k, const struct numbers *n);
const char *kernel_why(const struct kernel *k);

/**
 * struct kernel_report - what espsyncd knows of IKE
 * @known: IKE SAs of the cluster
 * @applied: of these, in this node's charon
 * @missing: of these, not there
 * @drift: the reason is that nodes differ, not that SAs are missing
 * @text: why not all is well, or ""
 * @lines: more of it, each about how nodes differ, or NULL
 * @unprotected: tunnels that a failover would lose
 */
struct kernel_report {
	uint32_t known;
	uint32_t applied;
	uint32_t missing;
	bool drift;
	char text[128];
	const struct lines *lines;
	struct unprotected unprotected;
};

int kernel_report(struct kernel *k, const struct kernel_report *r);

/* What espsync ready gives as reason `drift` in this moment, whoever reported it. */
int kernel_drift(struct kernel *k, void (*found)(void *ctx, const char *text), void *ctx);

#endif /* ESPSYNCD_KERNEL_H */
