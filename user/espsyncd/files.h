/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * files: reading the configuration, the key and strongSwan's configuration from disk.
 *
 * Room: opening, permissions, which files a pattern names, the sentence when that fails. What is in them is config's and settings'
 * business.
 */
#ifndef ESPSYNCD_FILES_H
#define ESPSYNCD_FILES_H

#include <stdint.h>

#include "config.h"
#include "settings.h"

/* Return: 0, or -1 with the sentence in @error */
int files_config(struct config *c, const char *path, char error[CONFIG_ERROR]);
int files_key(uint8_t key[32], const char *path, char error[CONFIG_ERROR]);

/**
 * files_settings() - what strongSwan makes of a file of its configuration
 * @path: the file; those that it includes are read as strongSwan does
 * @error: one sentence, on failure; empty if there is no such file
 *
 * Return: its outermost section, or NULL with @error
 */
struct settings *files_settings(const char *path, char error[CONFIG_ERROR]);

#endif /* ESPSYNCD_FILES_H */
