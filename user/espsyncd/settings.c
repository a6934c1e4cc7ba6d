// SPDX-License-Identifier: GPL-2.0-or-later
/* settings: strongSwan's configuration files, from text to sections and values. See settings.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "settings.h"

#define BLANKS	" \t\r\n"
#define NO_NAME	"#{}:.,=\"" BLANKS	/* what no name has in it */

/* Where the reading of a file stands. */
struct place {
	struct settings_reader *r;
	const char *file;
	const char *p;
	unsigned int line;
};

static bool __attribute__((format(printf, 2, 3))) fail(struct place *at, const char *fmt, ...)
{
	int n = snprintf(at->r->error, SETTINGS_ERROR, "%.160s:%u: ", at->file, at->line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(at->r->error + n, SETTINGS_ERROR - n, fmt, ap);
	va_end(ap);
	return false;
}

/* All that is kept is paid for, so that it ends. Return: false if the room is used up */
static bool pay(struct settings_reader *r, size_t len)
{
	len += sizeof(struct settings);
	if (r->room < len) {
		snprintf(r->error, sizeof(r->error), "the configuration is larger than can be read");
		return false;
	}
	r->room -= len;
	return true;
}

static char *copy(const char *s, size_t len)
{
	char *c = secret_alloc(len + 1);

	memcpy(c, s, len);
	return c;
}

static void forget(char *s)
{
	secret_free(s, s ? strlen(s) : 0);
}

struct settings *settings_alloc(void)
{
	struct settings *s = secret_alloc(sizeof(*s));

	s->name = copy("", 0);
	return s;
}

void settings_free(struct settings *s)
{
	struct settings *sub;
	struct setting *v;

	if (!s)
		return;
	while ((v = s->values)) {
		s->values = v->next;
		forget(v->name);
		forget(v->value);
		secret_free(v, sizeof(*v));
	}
	while ((sub = s->sections)) {
		s->sections = sub->next;
		settings_free(sub);
	}
	forget(s->name);
	forget(s->like);
	secret_free(s, sizeof(*s));
}

struct settings *settings_section(const struct settings *s, const char *name)
{
	struct settings *sub;

	for (sub = s ? s->sections : NULL; sub; sub = sub->next) {
		if (!strcmp(sub->name, name))
			return sub;
	}
	return NULL;
}

static struct setting *find(const struct settings *s, const char *name)
{
	struct setting *v;

	for (v = s ? s->values : NULL; v; v = v->next) {
		if (!strcmp(v->name, name))
			return v;
	}
	return NULL;
}

const char *settings_value(const struct settings *s, const char *name)
{
	const struct setting *v = find(s, name);

	return v ? v->value : NULL;
}

/* One that is written twice goes on where it was; those that are new come last, as they are written. */
static struct settings *open_section(struct settings_reader *r, struct settings *in, const char *name)
{
	struct settings *s = settings_section(in, name), **end = &in->sections;

	if (s || !pay(r, strlen(name)))
		return s;
	s = secret_alloc(sizeof(*s));
	s->name = copy(name, strlen(name));
	while (*end)
		end = &(*end)->next;
	return *end = s;
}

/* The last one counts. */
static bool set(struct settings_reader *r, struct settings *in, const char *name, const char *value)
{
	struct setting *v = find(in, name), **end = &in->values;

	if (!pay(r, strlen(name) + strlen(value)))
		return false;
	if (v) {
		forget(v->value);
		v->value = copy(value, strlen(value));
		return true;
	}
	v = secret_alloc(sizeof(*v));
	v->name = copy(name, strlen(name));
	v->value = copy(value, strlen(value));
	while (*end)
		end = &(*end)->next;
	*end = v;
	return true;
}

/* Over blanks and comments, to where something stands. */
static void skip(struct place *at)
{
	for (;; at->p++) {
		if (*at->p == '#')
			at->p += strcspn(at->p, "\n");
		if (!*at->p || !strchr(BLANKS, *at->p))
			return;
		at->line += *at->p == '\n';
	}
}

/* A growing word. */
struct word {
	char *to;
	size_t room;	/* with the NUL at its end */
	size_t n;
};

static bool put(struct place *at, struct word *w, char c)
{
	if (w->n + 1 >= w->room)
		return fail(at, "a value is longer than %zu bytes", w->room - 1);
	w->to[w->n++] = c;
	w->to[w->n] = 0;
	return true;
}

/* Behind a backslash in quotes: the end of a line goes with it. */
static bool escaped(struct place *at, struct word *w)
{
	static const char from[] = "nrt", to[] = "\n\r\t";
	const char *known;

	if (at->p[0] == '\r' && at->p[1] == '\n')
		at->p++;
	if (!*at->p)
		return fail(at, "the text ends within quotes (close them)");
	if (*at->p == '\n') {
		at->line++;
		at->p++;
		return true;
	}
	known = strchr(from, *at->p);
	return put(at, w, known ? to[known - from] : *at->p) && at->p++;
}

static bool quoted(struct place *at, struct word *w)
{
	for (at->p++; *at->p != '"';) {
		char c = *at->p++;

		if (!c) {
			at->p--;
			return fail(at, "the text ends within quotes (close them)");
		}
		at->line += c == '\n';
		if (c == '\\' ? !escaped(at, w) : c != '\r' && !put(at, w, c))
			return false;
	}
	at->p++;
	return true;
}

/* To the end of the line, a comment or the section: words and quoted strings, a blank between two of them. */
static bool value(struct place *at, struct settings *in, const char *name)
{
	char text[SETTINGS_VALUE];
	struct word w = { text, sizeof(text), 0 };
	bool ok = true;

	text[0] = 0;
	while (ok && *(at->p += strspn(at->p, " \t\r")) && !strchr("#}\n", *at->p)) {
		if (w.n)
			ok = put(at, &w, ' ');
		if (ok && *at->p == '"') {
			ok = quoted(at, &w);
			continue;
		}
		while (ok && *at->p && !strchr("#}\"" BLANKS, *at->p))
			ok = put(at, &w, *at->p++);
	}
	ok = ok && set(at->r, in, name, text);
	explicit_bzero(text, sizeof(text));
	return ok;
}

static bool include(struct place *at, struct settings *in)
{
	char pattern[SETTINGS_NAME];
	struct word w = { pattern, sizeof(pattern), 0 };

	pattern[0] = 0;
	at->p += strspn(at->p, " \t");
	if (*at->p == '"' && !quoted(at, &w))
		return false;
	while (*at->p && !strchr("#}" BLANKS, *at->p)) {
		if (*at->p == '\\' && at->p[1] && strchr("\"#} ", at->p[1]))
			at->p++;
		if (!put(at, &w, *at->p++))
			return false;
	}
	return !w.n || at->r->include(at->r, in, pattern);
}

static bool name_of(struct place *at, char name[SETTINGS_NAME], const char *until)
{
	size_t n = strcspn(at->p, until);

	if (!n)
		return *at->p ? fail(at, "'%c' where a name is expected", *at->p) : fail(at, "the text ends where a name is expected");
	if (n >= SETTINGS_NAME)
		return fail(at, "a name is longer than %d bytes", SETTINGS_NAME - 1);
	memcpy(name, at->p, n);
	name[n] = 0;
	at->p += n;
	return true;
}

/* `: one, two.three {` */
static bool like(struct place *at, struct settings *s)
{
	char list[SETTINGS_VALUE], name[SETTINGS_NAME];
	struct word w = { list, sizeof(list), 0 };
	const char *c;

	do {
		at->p++;
		skip(at);
		if (!name_of(at, name, "#{}:,=\"" BLANKS))
			return false;
		if (w.n && !put(at, &w, ','))
			return false;
		for (c = name; *c; c++) {
			if (!put(at, &w, *c))
				return false;
		}
		skip(at);
	} while (*at->p == ',');
	if (!pay(at->r, w.n))
		return false;
	forget(s->like);
	s->like = copy(list, w.n);
	return true;
}

static bool statements(struct place *at, struct settings *in, unsigned int depth);

/* swanctl.conf's own outermost section of that name, or one in it. */
static bool is_secret(const struct settings *in, const char *name)
{
	return !*in->name && !strcmp(name, "secrets");
}

static bool section(struct place *at, struct settings *in, const char *name, unsigned int depth)
{
	struct settings *s = is_secret(in, name) ? settings_alloc() : open_section(at->r, in, name);
	bool ok = s;

	if (ok && depth == SETTINGS_DEPTH)
		ok = fail(at, "sections in more than %d sections", SETTINGS_DEPTH);
	if (ok && *at->p == ':')
		ok = like(at, s);
	if (ok && *at->p != '{')
		ok = fail(at, "a section's name is followed by {");
	if (ok) {
		at->p++;
		ok = statements(at, s, depth + 1);
	}
	if (ok && *at->p != '}')
		ok = fail(at, "the text ends within section %.64s (close it with })", name);
	if (ok)
		at->p++;
	if (is_secret(in, name))
		settings_free(s);
	return ok;
}

static bool statement(struct place *at, struct settings *in, unsigned int depth)
{
	char name[SETTINGS_NAME];

	if (!name_of(at, name, NO_NAME))
		return false;
	if (!strcmp(name, "include") && (*at->p == ' ' || *at->p == '\t') && at->p[strspn(at->p, " \t")] != '=')
		return include(at, in);
	skip(at);
	if (*at->p == '{' || *at->p == ':')
		return section(at, in, name, depth);
	if (*at->p != '=')
		return fail(at, "%.64s is followed neither by = nor by {", name);
	at->p++;
	return value(at, in, name);
}

static bool statements(struct place *at, struct settings *in, unsigned int depth)
{
	for (;;) {
		skip(at);
		if (!*at->p || *at->p == '}')
			return true;
		if (!statement(at, in, depth))
			return false;
	}
}

bool settings_parse(struct settings_reader *r, struct settings *into, const char *file, const char *text)
{
	struct place at = { .r = r, .file = file, .p = text, .line = 1 };

	if (!statements(&at, into, 0))
		return false;
	return !*at.p || fail(&at, "} without {");
}

/* By its whole name, from the outermost section. */
static struct settings *by_path(struct settings *root, const char *path, size_t len)
{
	char name[SETTINGS_NAME];
	struct settings *s = root;
	size_t n;

	for (; s && len; len -= n, path += n) {
		n = strcspn(path, ".,");
		n = n < len ? n : len;
		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = 0;
		s = settings_section(s, name);
		n += n < len;
	}
	return s;
}

/* What it has not itself. One that has its settings from what it stands in would never end. */
static bool inherit(struct settings_reader *r, struct settings *s, const struct settings *from, unsigned int depth)
{
	const struct settings *sub;
	const struct setting *v;
	struct settings *own;

	for (v = from->values; v; v = v->next) {
		if (!find(s, v->name) && !set(r, s, v->name, v->value))
			return false;
	}
	for (sub = from->sections; sub; sub = sub->next) {
		own = depth < SETTINGS_DEPTH ? open_section(r, s, sub->name) : NULL;
		if (!own || !inherit(r, own, sub, depth + 1))
			return false;
	}
	return true;
}

static bool resolve(struct settings_reader *r, struct settings *root, struct settings *s)
{
	const char *p = s->like;
	struct settings *sub, *from;
	size_t n;

	if (s->resolving)
		return true;
	s->resolving = true;
	for (; p && *p; p += n + (p[n] == ',')) {
		n = strcspn(p, ",");
		from = by_path(root, p, n);
		if (!from || from == root || from == s)
			continue;
		if (!resolve(r, root, from) || !inherit(r, s, from, 0))
			return false;
	}
	for (sub = s->sections; sub; sub = sub->next) {
		if (!resolve(r, root, sub))
			return false;
	}
	s->resolving = false;
	return true;
}

bool settings_resolve(struct settings_reader *r, struct settings *root)
{
	r->error[0] = 0;
	if (resolve(r, root, root))
		return true;
	if (!r->error[0])
		snprintf(r->error, sizeof(r->error), "sections have their settings from each other");
	return false;
}
