/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * files: reading the configuration and the key from disk.
 *
 * Room: opening, permissions, the sentence when that fails. What is in them is config's business.
 */
#ifndef ESPSYNCD_FILES_H
#define ESPSYNCD_FILES_H

#include <stdint.h>

#include "config.h"

/* Return: 0, or -1 with the sentence in @error */
int files_config(struct config *c, const char *path, char error[CONFIG_ERROR]);
int files_key(uint8_t key[32], const char *path, char error[CONFIG_ERROR]);

#endif /* ESPSYNCD_FILES_H */
