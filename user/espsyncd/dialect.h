/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dialect: a message of one wire version of strongSwan's ha plugin, said in another.
 *
 * Room: what the versions number differently, and what one of them has no words for. Pure: no I/O, no allocation, no state. Journals and helpers
 * keep each message as the charon that told it has said it; only who gives it to a charon says it in that one's version.
 *
 * Nothing is left out that an IKE SA or CHILD SA would be another one without: then there are no words for the message, and the tunnel is not
 * carried to that charon, which is named.
 */
#ifndef ESPSYNCD_DIALECT_H
#define ESPSYNCD_DIALECT_H

#include <stddef.h>
#include <stdint.h>

struct journal_sa;

/**
 * dialect_lacks() - what a wire version has no words for
 * @version: the version; 0: not known
 * @data: a message, readable
 * @len: its length
 *
 * Return: the first such thing that the message says; NULL if all of it can be said
 */
const char *dialect_lacks(uint8_t version, const uint8_t *data, size_t len);

/**
 * dialect_say() - a message in another wire version
 * @out: room for @len bytes
 * @version: the version
 * @data: a message, readable
 * @len: its length
 *
 * Return: length of @out, @len at most; 0 if that version has no words for the message
 */
size_t dialect_say(uint8_t *out, uint8_t version, const uint8_t *data, size_t len);

/**
 * dialect_lacks_keys() - whether an IKE SA can be told at all
 * @version: the version; 0: not known
 * @sa: an IKE SA; those that it has replaced, and CHILD SAs' keys depend on, must be told as well
 *
 * Return: what that version has no words for, or NULL
 */
const char *dialect_lacks_keys(uint8_t version, const struct journal_sa *sa);

#endif /* ESPSYNCD_DIALECT_H */
