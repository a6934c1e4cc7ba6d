/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json: the little of JSON that is written here: objects and arrays of names, numbers and yes or no.
 *
 * Room: commas, quotes, and what must not stand in a string. Pure. Nothing here reads any.
 */
#ifndef ESPSYNCD_JSON_H
#define ESPSYNCD_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

/* @key: NULL in an array. */
void json_begin(struct bytes *b, const char *key, char bracket);
void json_end(struct bytes *b, char bracket);
void json_string(struct bytes *b, const char *key, const char *value);
void json_number(struct bytes *b, const char *key, uint32_t value);
void json_null(struct bytes *b, const char *key);
void json_bool(struct bytes *b, const char *key, bool value);

#endif /* ESPSYNCD_JSON_H */
