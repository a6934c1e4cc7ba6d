// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * text.c - JSON values to text for people. What it prints is the JSON's values and nothing else.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

#define CELL 512
#define COLUMNS 20

const char *text_us(uint64_t us, char *buf, size_t size)
{
	if (us < 100000)
		snprintf(buf, size, "%.1f ms", (double)us / 1e3);
	else
		snprintf(buf, size, "%.1f s", (double)us / 1e6);
	return buf;
}

const char *text_clock(int64_t seconds, char *buf, size_t size)
{
	time_t then = (time_t)seconds, now = time(NULL);
	struct tm a, b;

	if (!localtime_r(&then, &a) || !localtime_r(&now, &b))
		snprintf(buf, size, "%" PRId64, seconds);
	else if (a.tm_year == b.tm_year && a.tm_yday == b.tm_yday)
		strftime(buf, size, "%H:%M:%S", &a);
	else
		strftime(buf, size, "%Y-%m-%d %H:%M:%S", &a);
	return buf;
}

static const char *text_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "kMGTPE";
	double value = (double)bytes;
	int unit = -1;

	while (value >= 1000 && unit < (int)sizeof(units) - 2) {
		value /= 1000;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, size, "%" PRIu64 " B", bytes);
	else
		snprintf(buf, size, "%.1f %cB", value, units[unit]);
	return buf;
}

static uint64_t number(const json_t *value)
{
	return json_is_integer(value) ? (uint64_t)json_integer_value(value) : json_u64(value);
}

/* "auth 3, replay 1": only what is not 0. */
static void text_object(const json_t *object, char *buf, size_t size)
{
	size_t used = 0;
	const char *key;
	json_t *value;

	snprintf(buf, size, "0");
	json_object_foreach((json_t *)object, key, value)
		if (json_u64(value) && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s %s", used ? ", " : "", key,
						 json_string_value(value));
}

/* An array's element: a string, or an object's values, "0 0123456789abcdef used": what is true by its name. */
static void text_element(const json_t *element, char *buf, size_t size)
{
	size_t used = 0;
	const char *key;
	json_t *value;

	*buf = '\0';
	if (json_is_string(element))
		snprintf(buf, size, "%s", json_string_value(element));
	json_object_foreach((json_t *)element, key, value) {
		if (used >= size || json_is_false(value))
			continue;
		if (json_is_integer(value))
			used += (size_t)snprintf(buf + used, size - used, "%s%" JSON_INTEGER_FORMAT, used ? " " : "", json_integer_value(value));
		else
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? " " : "", json_is_true(value) ? key : json_string_value(value));
	}
}

/* The columns of an object inside another one, as "10.99.0.2 up 0.3 ms". */
static void text_inner(const struct object *object, const json_t *json, char *buf, size_t size)
{
	size_t used = 0;
	char one[64];

	*buf = '\0';
	for (size_t a = 0; a < object->n; a++)
		if (object->attrs[a].column && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? " " : "",
						 text_value(&object->attrs[a], json_object_get(json, object->attrs[a].name), one, sizeof(one)));
}

static void text_array(const struct attr *attr, const json_t *array, char *buf, size_t size)
{
	bool links = attr->kind == ATTR_LINKS;
	size_t used = 0, i;
	char element[CELL];
	json_t *value;

	snprintf(buf, size, "-");
	json_array_foreach(array, i, value) {
		if (links)
			text_inner(&object_link, value, element, sizeof(element));
		else
			text_element(value, element, sizeof(element));
		if (used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", !used ? "" : links ? ", " : ",", element);
	}
}

const char *text_value(const struct attr *attr, const json_t *value, char *buf, size_t size)
{
	if (!value || json_is_null(value))
		snprintf(buf, size, "-");
	else if (json_is_object(value))
		text_object(value, buf, size);
	else if (json_is_array(value))
		text_array(attr, value, buf, size);
	else if (attr->style == STYLE_US)
		text_us(number(value), buf, size);
	else if (attr->style == STYLE_MS)
		text_us(number(value) * 1000, buf, size);
	else if (attr->style == STYLE_BYTES)
		text_bytes(number(value), buf, size);
	else if (attr->style == STYLE_CLOCK)
		text_clock(strtoll(json_string_value(value), NULL, 10), buf, size);
	else if (json_is_boolean(value))
		snprintf(buf, size, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_integer(value))
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(buf, size, "%s", *json_string_value(value) ? json_string_value(value) : "-");
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return buf;
}

struct column {
	const struct attr *attr;
	int width;
};

static bool anybody_has(const struct attr *attr, const json_t *array)
{
	json_t *row;
	size_t i;

	json_array_foreach(array, i, row)
		if (!json_is_null(json_object_get(row, attr->name)))
			return true;
	return false;
}

static size_t columns_fit(struct column *columns, const struct object *object, const json_t *array)
{
	char buf[CELL];
	size_t n = 0, i;
	json_t *row;

	for (size_t a = 0; a < object->n && n < COLUMNS; a++) {
		const struct attr *attr = &object->attrs[a];

		if (!attr->column || (attr->style == STYLE_RARE && !anybody_has(attr, array)))
			continue;
		columns[n] = (struct column){ attr, (int)strlen(attr->column) };
		json_array_foreach(array, i, row) {
			int len = (int)strlen(text_value(attr, json_object_get(row, attr->name), buf, sizeof(buf)));

			if (len > columns[n].width)
				columns[n].width = len;
		}
		n++;
	}
	return n;
}

/* A line without blanks at its end: the last column is not padded. */
static void cell(const char *text, int width, bool last)
{
	if (last)
		printf("%s\n", text);
	else
		printf("%-*s  ", width, text);
}

void text_table(const char *title, const struct object *object, const json_t *array)
{
	struct column columns[COLUMNS];
	size_t n = columns_fit(columns, object, array), i;
	char buf[CELL];
	json_t *row;

	if (title)
		printf("%-7s  ", title);
	for (size_t c = 0; c < n; c++)
		cell(columns[c].attr->column, columns[c].width, c == n - 1);
	json_array_foreach(array, i, row) {
		if (title)
			printf("%-7s  ", "");
		for (size_t c = 0; c < n; c++)
			cell(text_value(columns[c].attr, json_object_get(row, columns[c].attr->name), buf, sizeof(buf)),
			     columns[c].width, c == n - 1);
	}
}

void text_list(const struct object *object, const json_t *json)
{
	char buf[CELL];
	int width = 0;

	for (size_t a = 0; a < object->n; a++)
		if ((int)strlen(object->attrs[a].name) > width)
			width = (int)strlen(object->attrs[a].name);
	for (size_t a = 0; a < object->n; a++)
		printf("%-*s  %s\n", width, object->attrs[a].name,
		       text_value(&object->attrs[a], json_object_get(json, object->attrs[a].name), buf, sizeof(buf)));
}

void json_print(json_t *json, size_t flags)
{
	json_dumpf(json, stdout, flags | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(json);
}
