/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyfile.h - the cluster key's file.
 */
#ifndef ESPSYNC_KEYFILE_H
#define ESPSYNC_KEYFILE_H

#include <stdint.h>

#include <linux/espsync.h>

/**
 * keyfile_read() - read 64 hex digits
 * @what: the command, for the refusal
 * @path: the file
 * @key: the key; the caller wipes it with explicit_bzero()
 *
 * Return: 0, or BAD after having said why: no such file, readable or writable by others, malformed. The sentence never
 * quotes the content.
 */
int keyfile_read(const char *what, const char *path, uint8_t key[ESPSYNC_KEY_LEN]);

#endif /* ESPSYNC_KEYFILE_H */
