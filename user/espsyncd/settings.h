/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settings: strongSwan's configuration files, from text to sections and values.
 *
 * Room: their syntax, which strongswan.conf and swanctl.conf share: sections, values, quoting, `name : other` for what a section has from
 * others. Pure: no I/O; who includes a file is asked for it. What a setting means is the callers' business. Secrets of swanctl.conf are
 * passed over: nobody here has use for them.
 */
#ifndef ESPSYNCD_SETTINGS_H
#define ESPSYNCD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#define SETTINGS_NAME	256	/* of a section or a value */
#define SETTINGS_VALUE	8192
#define SETTINGS_DEPTH	16	/* sections in sections */
#define SETTINGS_ERROR	256

/**
 * struct setting - a value
 * @next: in its section
 * @name: left of the =
 * @value: right of it, blanks between words made one; empty takes away what would come from another section
 */
struct setting {
	struct setting *next;
	char *name;
	char *value;
};

/**
 * struct settings - a section
 * @next: the next one in the same section
 * @name: of the section, empty for the outermost
 * @values: them
 * @sections: in it
 * @like: names of those that it has the rest from, separated by commas, or NULL
 * @resolving: settings_resolve() is at it
 */
struct settings {
	struct settings *next;
	char *name;
	struct setting *values;
	struct settings *sections;
	char *like;
	bool resolving;
};

/**
 * struct settings_reader - who reads
 * @include: called at `include PATTERN`; may call settings_parse() with the same section. Return: false ends the reading
 * @ctx: for @include
 * @room: what may still be kept, in bytes: all files together
 * @depth: files that include each other, the first one being 0
 * @error: one sentence, on failure
 */
struct settings_reader {
	bool (*include)(struct settings_reader *r, struct settings *into, const char *pattern);
	void *ctx;
	size_t room;
	unsigned int depth;
	char error[SETTINGS_ERROR];
};

/* The outermost section, with nothing in it. */
struct settings *settings_alloc(void);
void settings_free(struct settings *s);

/**
 * settings_parse() - read a file
 * @r: the reader
 * @into: the section that its text stands in
 * @file: its name, for the sentence
 * @text: ends with NUL
 *
 * Return: true, or false with a sentence in @r->error
 */
bool settings_parse(struct settings_reader *r, struct settings *into, const char *file, const char *text);

/**
 * settings_resolve() - give each section what it has from others
 * @r: the reader; all files are read
 * @root: the outermost section
 *
 * Return: true, or false with a sentence in @r->error
 */
bool settings_resolve(struct settings_reader *r, struct settings *root);

/* The section or value of that name, or NULL. */
struct settings *settings_section(const struct settings *s, const char *name);
const char *settings_value(const struct settings *s, const char *name);

#endif /* ESPSYNCD_SETTINGS_H */
