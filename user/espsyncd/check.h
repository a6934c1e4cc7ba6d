/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check: espsyncd -t, behind the reading of the configuration.
 *
 * Room: what can be said of this node's strongSwan without being the helper: options that are not carried, as charon or else its files have
 * them, and how nodes differ, as a helper that runs here last reported it. It is printed, and is no error.
 */
#ifndef ESPSYNCD_CHECK_H
#define ESPSYNCD_CHECK_H

#include "config.h"

void check_print(const struct config *c);

#endif /* ESPSYNCD_CHECK_H */
