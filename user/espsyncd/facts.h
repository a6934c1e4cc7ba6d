/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * facts: what there is to say of a node's configuration.
 *
 * Room: which of charon's answers over vici, and which of the settings in strongSwan's files, become items of a digest, in a form in which
 * the same means the same: numbers of seconds, yes and no, nothing that is what it would be anyway. Pure: answers and settings are passed
 * in. No secret becomes an item, nor what is meant to differ between nodes.
 *
 * charon tells over vici what follows from a connection's names, addresses, times and selectors, and nothing of proposals, windows, marks,
 * start actions and MOBIKE: those come from the file that it was loaded from.
 */
#ifndef ESPSYNCD_FACTS_H
#define ESPSYNCD_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "digest.h"
#include "settings.h"

#define FACTS_RELEASE	"strongSwan"	/* keys of DIGEST_NODE that others look at */
#define FACTS_BYTE_ORDER	"byte order"
#define FACTS_POOL	"pool "
#define FACTS_SETTINGS	"charon"	/* its settings could be read; they begin with this and a dot */

/* charon's answers to `version` and `get-pools`. */
void facts_release(struct digest *d, const uint8_t *data, size_t len);
void facts_pools(struct digest *d, const uint8_t *data, size_t len);

/**
 * facts_conn() - a connection
 * @d: the digest; nothing is added for a connection of addresses that do not move
 * @c: configuration
 * @data: charon's event `list-conn`
 * @len: its length
 */
void facts_conn(struct digest *d, const struct config *c, const uint8_t *data, size_t len);

/**
 * facts_settings() - charon's own settings
 * @d: the digest
 * @strongswan: what stands in strongswan.conf
 */
void facts_settings(struct digest *d, const struct settings *strongswan);

/**
 * facts_written() - what charon does not tell of its connections
 * @d: the digest, sorted; what charon told is in it
 * @c: configuration
 * @swanctl: what stands in swanctl.conf
 * @strongswan: what stands in strongswan.conf, or NULL
 * @told: charon has answered; else all connections in the file are taken, with all that is said of them
 */
void facts_written(struct digest *d, const struct config *c, const struct settings *swanctl, const struct settings *strongswan, bool told);

/* What an item that is not there means, or NULL. */
const char *facts_default(enum digest_part part, const char *key);

#endif /* ESPSYNCD_FACTS_H */
