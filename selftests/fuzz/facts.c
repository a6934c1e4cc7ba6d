// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/facts.c ../../user/espsyncd/spis.c ../../user/espsyncd/lines.c ../../user/espsyncd/settings.c ../../user/espsyncd/digest.c ../../user/espsyncd/config.c
// SOURCES: ../../user/espsyncd/vici_msg.c ../../user/espsyncd/bytes.c
/*
 * facts.c - what a node's charon answers, and strongSwan's files say: a length u16, an answer over vici, and behind it a file.
 *
 * Job: a file is read, or refused with a sentence that names a line that it has; written down it is read as the same, and no secret of
 * swanctl.conf is in it. Whatever there is to say of both is a digest that a peer takes.
 */
#include <stdarg.h>
#include <stdbool.h>

#include "../../user/espsyncd/facts.h"
#include "fuzz.h"

#define ROOM	(1 << 20)

static const struct config config = { .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } } };
static char again[ROOM];
static size_t len;

static bool no_file(struct settings_reader *r, struct settings *into, const char *pattern)
{
	must(r && into && *pattern && strlen(pattern) < SETTINGS_NAME);
	return true;
}

static struct settings *parsed(const char *text, bool resolve, char error[SETTINGS_ERROR])
{
	struct settings_reader r = { .include = no_file, .room = ROOM };
	struct settings *s = settings_alloc();

	if (settings_parse(&r, s, "f", text) && (!resolve || settings_resolve(&r, s)))
		return s;
	must(memchr(r.error, 0, sizeof(r.error)) && strlen(r.error) > 8);
	memcpy(error, r.error, sizeof(r.error));
	settings_free(s);
	return NULL;
}

static void judge_sentence(const char *error, const char *text)
{
	unsigned int at = 0, lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	must(!strncmp(error, "the configuration is larger", 27) || (sscanf(error, "f:%u: ", &at) == 1 && at >= 1 && at <= lines));
}

static void put(const char *s)
{
	size_t n = strlen(s);

	if (len + n >= sizeof(again))
		n = 0;
	memcpy(again + len, s, n);
	len += n;
	again[len] = 0;
}

static void put_quoted(const char *s)
{
	char c[3] = "\\?";

	put("\"");
	for (; *s; s++) {
		c[1] = *s == '\n' ? 'n' : *s == '\r' ? 'r' : *s;
		put(*s == '\n' || *s == '\r' || *s == '"' || *s == '\\' ? c : c + 1);
	}
	put("\"\n");
}

static void write_down(const struct settings *s)
{
	for (const struct setting *v = s->values; v; v = v->next) {
		put(v->name);
		put(" = ");
		put_quoted(v->value);
	}
	for (const struct settings *sub = s->sections; sub; sub = sub->next) {
		put(sub->name);
		if (sub->like) {
			put(":");
			put(sub->like);
		}
		put(" {\n");
		write_down(sub);
		put("}\n");
	}
}

static bool same(const struct settings *a, const struct settings *b)
{
	const struct settings *x = a->sections, *y = b->sections;
	const struct setting *v = a->values, *w = b->values;

	if (strcmp(a->name, b->name) || !a->like != !b->like || (a->like && strcmp(a->like, b->like)))
		return false;
	for (; v && w; v = v->next, w = w->next) {
		if (strcmp(v->name, w->name) || strcmp(v->value, w->value))
			return false;
	}
	for (; x && y; x = x->next, y = y->next) {
		if (!same(x, y))
			return false;
	}
	return !v && !w && !x && !y;
}

static void syntax(const char *text)
{
	char error[SETTINGS_ERROR];
	struct settings *s = parsed(text, false, error), *t;

	if (!s) {
		judge_sentence(error, text);
		return;
	}
	must(!settings_section(s, "secrets"));
	len = 0;
	again[0] = 0;
	write_down(s);
	if (len < ROOM / 4) {
		t = parsed(again, false, error);
		must(t && same(s, t));
		settings_free(t);
	}
	settings_free(s);
}

static void a_peer_takes_it(struct digest *d)
{
	struct digest theirs;

	digest_sort(d);
	must(digest_read(&theirs, bytes_at(&d->text), bytes_left(&d->text)));
	digest_free(&theirs);
}

static void say(const uint8_t *answer, size_t n, const char *text)
{
	uint8_t *copy = exact(answer, n);
	char error[SETTINGS_ERROR];
	struct settings *s = parsed(text, true, error);

	for (int told = 0; told < 2; told++) {
		struct digest d = { 0 };

		facts_release(&d, copy, told ? n : 0);
		facts_pools(&d, copy, told ? n : 0);
		facts_conn(&d, &config, copy, told ? n : 0);
		if (s)
			facts_settings(&d, s);
		a_peer_takes_it(&d);
		if (s)
			facts_written(&d, &config, s, told ? s : NULL, told);
		a_peer_takes_it(&d);
		digest_free(&d);
	}
	settings_free(s);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t *answer;
	size_t n = take16(&in);
	char *text;

	answer = take(&in, n, &n);
	text = malloc(in.left + 1);
	memcpy(text, in.p, in.left);
	text[in.left] = 0;
	syntax(text);
	say(answer, n, text);
	free(text);
	return 0;
}
