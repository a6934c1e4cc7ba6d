/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.h - objects for people: aligned tables and lists; and JSON on stdout.
 */
#ifndef ESPSYNC_TEXT_H
#define ESPSYNC_TEXT_H

#include <jansson.h>
#include <stddef.h>

#include "attr.h"

/**
 * text_value() - one value as it reads in text
 * @attr: its row
 * @value: what object_decode() made of it
 * @buf: for the text
 * @size: of @buf
 *
 * Return: @buf; "-" for what is unknown.
 */
const char *text_value(const struct attr *attr, const json_t *value, char *buf, size_t size);

/**
 * text_us() - microseconds, with a unit that fits
 * @us: the time
 * @buf: for the text
 * @size: of @buf
 *
 * Return: @buf.
 */
const char *text_us(uint64_t us, char *buf, size_t size);

/**
 * text_clock() - when it was
 * @seconds: since 1970
 * @buf: for the text
 * @size: of @buf
 *
 * Return: @buf: the time, with the date unless it was today.
 */
const char *text_clock(int64_t seconds, char *buf, size_t size);

/**
 * text_table() - print objects as a table of the attributes that are columns
 * @title: stands before the headings, or NULL
 * @object: the table of attributes
 * @array: the objects
 */
void text_table(const char *title, const struct object *object, const json_t *array);

/**
 * text_list() - print one object, a line per attribute
 * @object: the table of attributes
 * @json: the object
 */
void text_list(const struct object *object, const json_t *json);

/**
 * json_print() - print a value as JSON, and let go of it
 * @json: the value
 * @flags: JSON_INDENT(2) or JSON_COMPACT
 */
void json_print(json_t *json, size_t flags);

#endif /* ESPSYNC_TEXT_H */
