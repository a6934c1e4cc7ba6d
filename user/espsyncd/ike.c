// SPDX-License-Identifier: GPL-2.0-or-later
/* ike: what the tool asks of IKE SAs. See ike.h. */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "context.h"
#include "control.h"
#include "forget.h"
#include "ike.h"
#include "json.h"
#include "log.h"

#define SPI_TEXT	17	/* of an IKE SA, and NUL */
#define SENTENCE	512
#define MAX_ID		255

enum question { NOTHING, LIST, GET, PUT, DROP, MOVE, TRY, TAKE, HAS, FETCH };

struct ike {
	struct ike_parts p;
	struct control *control;
	enum question question;
	char id[MAX_ID + 1];	/* which one is meant */
	uint32_t node;		/* where it is to be moved */
	struct bytes sas;	/* struct vici_sa, what charon lists */
};

/* An IKE SA as both know it: one of them may not. */
struct both {
	const struct vici_sa *listed;
	const struct journal_sa *known;
};

static void answer(struct ike *i, enum control_code code, const void *data, size_t len)
{
	i->question = NOTHING;
	vici_sas_free(&i->sas);
	control_answer(i->control, code, data, len);
}

static void say(struct ike *i, enum control_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct ike *i, enum control_code code, const char *fmt, ...)
{
	char text[SENTENCE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	answer(i, code, text, strlen(text));
}

/* ---- which there are ---- */

static void spi_text(char text[SPI_TEXT], const uint8_t spi[8])
{
	int n;

	for (n = 0; n < 8; n++)
		sprintf(text + 2 * n, "%02x", spi[n]);
}

static void put_spi(struct bytes *b, const char *key, const uint8_t spi[8])
{
	char text[SPI_TEXT];

	spi_text(text, spi);
	json_string(b, key, text);
}

static void put_child(struct bytes *b, uint32_t spi_in, uint32_t spi_out, bool known)
{
	char text[16];

	json_begin(b, NULL, '{');
	snprintf(text, sizeof(text), "0x%08x", spi_in);
	json_string(b, "spi_in", text);
	snprintf(text, sizeof(text), "0x%08x", spi_out);
	json_string(b, "spi_out", text);
	json_bool(b, "journalled", known);
	json_end(b, '}');
}

static void put_children(struct bytes *b, const struct both *sa)
{
	struct journal_sa *known = (struct journal_sa *)sa->known;
	const struct journal_sa *under;
	const struct journal_child *c;
	unsigned int n;

	json_begin(b, "children", '[');
	for (n = 0; sa->listed && n < sa->listed->n_children; n++) {
		const struct vici_child *child = &sa->listed->children[n];

		put_child(b, child->spi_in, child->spi_out, known && journal_child_find(known, child->spi_in, NULL));
	}
	for (under = sa->listed ? NULL : known; under; under = under->prev) {
		TAILQ_FOREACH(c, &under->children, link)
			put_child(b, c->spi_in, c->spi_out, true);
	}
	json_end(b, ']');
}

static const struct ike_id *id_of(const struct both *sa)
{
	return sa->listed ? &sa->listed->id : &sa->known->id;
}

static const char *name_of(const struct both *sa)
{
	return sa->listed ? sa->listed->name : journal_name(sa->known);
}

static void put_sa(struct bytes *b, const struct both *sa)
{
	char local[VICI_ADDR_TEXT], remote[VICI_ADDR_TEXT];

	json_begin(b, NULL, '{');
	if (sa->listed)
		json_number(b, "uniqueid", sa->listed->unique);
	else
		json_null(b, "uniqueid");
	json_string(b, "name", name_of(sa));
	put_spi(b, "initiator_spi", id_of(sa)->spi_i);
	put_spi(b, "responder_spi", id_of(sa)->spi_r);
	json_bool(b, "initiator", id_of(sa)->initiator);
	json_string(b, "local", sa->listed ? sa->listed->local : vici_addr_text(&sa->known->local, local));
	json_string(b, "remote", sa->listed ? sa->listed->remote : vici_addr_text(&sa->known->remote, remote));
	if (sa->listed)
		json_string(b, "state", sa->listed->state);
	else
		json_null(b, "state");
	json_bool(b, "journalled", sa->known);
	put_children(b, sa);
	json_end(b, '}');
}

/* Each of charon, then what only the journal has. */
static void each_sa(const struct ike *i, void (*each)(void *ctx, const struct both *sa), void *ctx)
{
	const struct vici_sa *listed = (const struct vici_sa *)bytes_at(&i->sas);
	size_t n = bytes_left(&i->sas) / sizeof(*listed);
	const struct journal *j = relay_journal(i->p.relay);
	struct both sa = { .known = NULL };

	for (; n--; listed++) {
		sa = (struct both){ listed, journal_find(j, &listed->id) };
		each(ctx, &sa);
	}
	sa = (struct both){ .known = NULL };
	while ((sa.known = journal_next(j, sa.known))) {
		if (!vici_sas_find(&i->sas, &sa.known->id))
			each(ctx, &sa);
	}
}

static void put_each(void *ctx, const struct both *sa)
{
	put_sa(ctx, sa);
}

static void list(struct ike *i)
{
	struct bytes b = { 0 };

	json_begin(&b, NULL, '[');
	each_sa(i, put_each, &b);
	json_end(&b, ']');
	answer(i, CONTROL_DONE, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
}

/* ---- the context of one ---- */

static bool is_called(const struct both *sa, const char *id)
{
	const char *spi = strncmp(id, "0x", 2) ? id : id + 2;
	char unique[16], i[SPI_TEXT], r[SPI_TEXT];

	snprintf(unique, sizeof(unique), "%u", sa->listed ? sa->listed->unique : 0);
	spi_text(i, id_of(sa)->spi_i);
	spi_text(r, id_of(sa)->spi_r);
	return !strcmp(name_of(sa), id) || (sa->listed && !strcmp(unique, id)) || !strcasecmp(i, spi) || !strcasecmp(r, spi);
}

struct search {
	const char *id;
	unsigned int n;
	struct both found;
	struct bytes json;
};

static void match(void *ctx, const struct both *sa)
{
	struct search *s = ctx;

	if (!is_called(sa, s->id))
		return;
	s->n++;
	s->found = *sa;
	put_sa(&s->json, sa);
}

static void seal(struct ike *i, const struct context *context)
{
	struct bytes plain = { 0 }, file;

	context_write(context, &plain);
	if (bytes_left(&plain) > CONTEXT_MAX)
		say(i, CONTROL_REFUSED, "its context is too large for a file");
	else if (!seal_close(&i->p.seal, bytes_at(&plain), bytes_left(&plain), &file))
		say(i, CONTROL_REFUSED, "GnuTLS does not seal it");
	else
		answer(i, CONTROL_DONE, bytes_at(&file), bytes_left(&file));
	bytes_free(&plain);
	bytes_free(&file);
}

static void get_one(struct ike *i, const struct both *sa)
{
	struct context context;
	char why[PICK_WHY];

	if (!pick(&i->p.pick, &context, sa->known, sa->listed, i->id, why)) {
		say(i, CONTROL_REFUSED, "%s", why);
		return;
	}
	seal(i, &context);
	context_free(&context);
}

/* ---- to move one ---- */

static void put_number(struct bytes *b, const struct numbers *n)
{
	char text[24];

	json_begin(b, NULL, '{');
	snprintf(text, sizeof(text), "0x%08x", n->spi);
	json_string(b, "spi", text);
	json_string(b, "dir", n->dir == ESPSYNC_DIR_OUT ? "out" : "in");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(n->dir == ESPSYNC_DIR_OUT ? numbers_start(n) : n->seq));
	json_string(b, "from", text);
	json_end(b, '}');
}

static void put_ike(struct bytes *b, const struct context *c)
{
	const struct journal_sa *sa = context_sa(c);

	json_string(b, "name", journal_name(sa));
	put_spi(b, "initiator_spi", sa->id.spi_i);
	put_spi(b, "responder_spi", sa->id.spi_r);
}

static void put_numbers(struct bytes *b, const struct context *c)
{
	const struct numbers *n = (const struct numbers *)bytes_at(&c->numbers);
	size_t left = bytes_left(&c->numbers) / sizeof(*n);

	json_begin(b, "sas", '[');
	for (; left--; n++)
		put_number(b, n);
	json_end(b, ']');
}

static void on_moved(void *ctx, const struct move_result *result)
{
	struct bytes b = { 0 };
	struct ike *i = ctx;

	if (result->code != CONTROL_DONE) {
		say(i, result->code, "%s", result->text);
		return;
	}
	json_begin(&b, NULL, '{');
	put_ike(&b, result->context);
	json_number(&b, "node", i->node);
	json_number(&b, "silent_ms", result->silent_ms);
	json_number(&b, "deaf_ms", result->deaf_ms);
	put_numbers(&b, result->context);
	json_end(&b, '}');
	answer(i, CONTROL_DONE, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
}

static void move_one(struct ike *i, const struct both *sa)
{
	move_begin(i->p.move, sa->known, sa->listed, i->id, i->node, on_moved, i);
}

/* Who has it now is silent no more; its far end is told nothing, for it is not to end it. */
static void drop_one(struct ike *i, const struct both *sa)
{
	struct ike_id id = *id_of(sa);

	if (!relay_is_auditable(i->p.relay)) {
		say(i, CONTROL_REFUSED, "this node is not active (drop it on the one that is: espsync show)");
		return;
	}
	log_info("an IKE SA of connection %.64s is dropped, and its far end is told nothing", name_of(sa));
	forget(i->p.relay, charon_version(i->p.ch), &id);
	answer(i, CONTROL_DONE, NULL, 0);
}

/* Several: the sentence, and a line behind it which. */
static void say_several(struct ike *i, const struct search *s)
{
	struct bytes b = { 0 };
	char text[SENTENCE];

	snprintf(text, sizeof(text), "%u IKE SAs are called '%.64s' (give one's number or SPI)\n", s->n, i->id);
	bytes_add(&b, text, strlen(text));
	bytes_add(&b, bytes_at(&s->json), bytes_left(&s->json));
	answer(i, CONTROL_BAD, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
}

/* The one that is meant. */
static void choose(struct ike *i, void (*use)(struct ike *i, const struct both *sa))
{
	struct search s = { .id = i->id };

	json_begin(&s.json, NULL, '[');
	each_sa(i, match, &s);
	json_end(&s.json, ']');
	if (!s.n)
		say(i, CONTROL_NO, "no IKE SA is called '%.64s' (espsync ike list)", i->id);
	else if (s.n > 1)
		say_several(i, &s);
	else
		use(i, &s.found);
	bytes_free(&s.json);
}

/* ---- to put one ---- */

static void put_announced(struct bytes *b, const struct journal_sa *sa, const struct announced *told)
{
	char text[VICI_ADDR_TEXT];

	json_begin(b, "announced", '{');
	json_string(b, "local", vici_addr_text(&sa->local, text));
	json_number(b, "messages", told->times + 1);
	json_number(b, "bytes", told->times * told->bytes + told->answer_bytes);
	json_number(b, "ms", told->ms);
	json_end(b, '}');
}

/* @told: of another address; NULL: nobody was */
static void put_report(struct bytes *b, const struct context *c, unsigned int deaf_ms, const struct announced *told)
{
	char text[24];

	json_begin(b, NULL, '{');
	put_ike(b, c);
	json_number(b, "node", c->node);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->time_s);
	json_string(b, "time", text);
	json_number(b, "deaf_ms", deaf_ms);
	put_numbers(b, c);
	if (told)
		put_announced(b, context_sa(c), told);
	json_end(b, '}');
}

static void on_put(void *ctx, const char *why, unsigned int deaf_ms)
{
	const struct context *c;
	struct bytes b = { 0 };
	struct ike *i = ctx;

	if (why) {
		say(i, CONTROL_REFUSED, "%s", why);
		return;
	}
	c = restore_context(i->p.restore);
	put_report(&b, c, deaf_ms, restore_announced(i->p.restore));
	log_info("an IKE SA of connection %.64s was put, which node %u had: no IKE was heard for %u ms", journal_name(context_sa(c)), c->node, deaf_ms);
	answer(i, CONTROL_DONE, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
}

static void put(struct ike *i, const uint8_t *file, size_t len)
{
	char error[SEAL_ERROR];
	struct context context;
	struct bytes plain;
	const char *wrong;

	if (!seal_open(&i->p.seal, file, len, &plain, error)) {
		say(i, CONTROL_BAD, "%s", error);
		return;
	}
	wrong = context_read(&context, bytes_at(&plain), bytes_left(&plain));
	bytes_free(&plain);
	if (wrong)
		say(i, CONTROL_BAD, "what is in the file cannot be used: %s (get it anew)", wrong);
	else
		restore_begin(i->p.restore, &context, false, on_put, i);
}

/* ---- what another group's helper moves here ---- */

static void on_taken(void *ctx, const char *why, unsigned int deaf_ms)
{
	struct ike *i = ctx;

	if (restore_collides(i->p.restore)) {
		say(i, CONTROL_NO, "%08x %s", restore_collides(i->p.restore), why);
		return;
	}
	if (!restore_is_kept(i->p.restore)) {
		say(i, why ? CONTROL_REFUSED : CONTROL_DONE, "%s", why ? why : "");
		return;
	}
	log_info("an IKE SA of connection %.64s was moved here, from node %u: no IKE was heard for %u ms",
		 journal_name(context_sa(restore_context(i->p.restore))), restore_context(i->p.restore)->node, deaf_ms);
	say(i, CONTROL_DONE, "%u%s%s", deaf_ms, why ? " " : "", why ? why : "");
}

/* An active node's journal is the truth once it is complete, a standby's once it came from one. */
static void has(struct ike *i, struct context *context)
{
	bool here = restore_has(i->p.restore, context);

	context_free(context);
	if (!relay_is_complete(i->p.relay) && !relay_truth(i->p.relay))
		say(i, CONTROL_REFUSED, "its journal is not here yet");
	else
		say(i, here ? CONTROL_DONE : CONTROL_NO, here ? "0" : "it has not been taken");
}

static void take_in(struct ike *i, const uint8_t *data, size_t len)
{
	struct context context;
	const char *wrong = context_read(&context, data, len);

	if (wrong)
		say(i, CONTROL_BAD, "its context cannot be used: %s (run the same version of espsync on all nodes)", wrong);
	else if (i->question == HAS)
		has(i, &context);
	else
		restore_begin(i->p.restore, &context, i->question == TRY, on_taken, i);
}

/* ---- what another group's helper would have ---- */

/* The IKE SA of an inbound SPI, whose far end is where a packet of it came from. */
static const struct journal_sa *whose(const struct ike *i, uint32_t spi, const uint8_t *dst, const uint8_t *src, uint8_t len)
{
	const struct journal *j = relay_journal(i->p.relay);
	struct journal_sa *sa = NULL;

	while ((sa = journal_next(j, sa))) {
		if (sa->local.len == len && sa->remote.len == len && !memcmp(sa->local.bytes, dst, len) && !memcmp(sa->remote.bytes, src, len) &&
		    journal_child_find(sa, spi, NULL))
			return sa;
	}
	return NULL;
}

/* A stranger's packet is nobody's business; else the active node is asked to move it to this node. */
static void fetch(struct ike *i, const uint8_t *data, size_t len)
{
	int owner = relay_source(i->p.relay);
	const struct journal_sa *sa = NULL;
	uint8_t name[16];

	if (len > 5 && (data[4] == 4 || data[4] == 16) && len == 5 + 2 * (size_t)data[4])
		sa = whose(i, get_u32(data), data + 5, data + 5 + data[4], data[4]);
	if (!sa || owner < 0 || !parcels_can(i->p.parcels, owner)) {
		say(i, CONTROL_NO, "there is none such, or nobody to ask for it");
		return;
	}
	memcpy(name, sa->id.spi_i, 8);
	memcpy(name + 8, sa->id.spi_r, 8);
	log_info("packets of connection %.64s come to this node's other group: asking for it to be moved there", journal_name(sa));
	parcels_send(i->p.parcels, owner, 0, PARCEL_FETCH, name, sizeof(name));
	say(i, CONTROL_DONE, "%s", "");
}

/* ---- questions ---- */

static void on_sa(void *ctx, const struct vici_sa *sa)
{
	struct ike *i = ctx;

	vici_sas_add(&i->sas, sa);
}

static void on_listed(void *ctx, bool ok)
{
	struct ike *i = ctx;

	vici_sas_sort(&i->sas);
	if (!ok)
		say(i, CONTROL_REFUSED, "charon does not answer over vici (is it running?)");
	else if (i->question == GET)
		choose(i, get_one);
	else if (i->question == DROP)
		choose(i, drop_one);
	else if (i->question == MOVE)
		choose(i, move_one);
	else
		list(i);
}

/* The word, and where what belongs to it begins. */
static enum question read_question(const uint8_t *data, size_t len, size_t *at)
{
	static const struct { const char *word; enum question question; } words[] = {
		{ "list ", LIST }, { "get ", GET }, { "put ", PUT }, { "drop ", DROP }, { "move ", MOVE }, { "try ", TRY }, { "take ", TAKE },
		{ "has ", HAS }, { "fetch ", FETCH },
	};
	size_t n;

	for (n = 0; n < sizeof(words) / sizeof(*words); n++) {
		*at = strlen(words[n].word);
		if (len >= *at && !memcmp(data, words[n].word, *at))
			return words[n].question;
	}
	return NOTHING;
}

static bool read_id(struct ike *i, const uint8_t *data, size_t len)
{
	if (!len || len > MAX_ID || memchr(data, 0, len))
		return false;
	memcpy(i->id, data, len);
	i->id[len] = 0;
	return true;
}

/* A number, a blank, which one. */
static bool read_move(struct ike *i, const uint8_t *data, size_t len)
{
	for (i->node = 0; len && *data >= '0' && *data <= '9' && i->node <= UINT8_MAX; data++, len--)
		i->node = 10 * i->node + *data - '0';
	return i->node && i->node <= UINT8_MAX && len && *data == ' ' && read_id(i, data + 1, len - 1);
}

static void on_asked(void *ctx, const uint8_t *data, size_t len)
{
	struct ike *i = ctx;
	size_t at;

	i->question = read_question(data, len, &at);
	if (i->question == NOTHING)
		say(i, CONTROL_BAD, "espsyncd does not know that question (run the same version of espsync)");
	else if (i->question == PUT)
		put(i, data + at, len - at);
	else if (i->question == FETCH)
		fetch(i, data + at, len - at);
	else if (i->question == TRY || i->question == TAKE || i->question == HAS)
		take_in(i, data + at, len - at);
	else if (((i->question == GET || i->question == DROP) && !read_id(i, data + at, len - at)) ||
		 (i->question == MOVE && !read_move(i, data + at, len - at)))
		say(i, CONTROL_BAD, "that is the name of no IKE SA (espsync ike list)");
	else
		vici_list_sas(i->p.vici, on_sa, on_listed, i);
}

struct ike *ike_open(struct event_base *base, const struct ike_parts *parts)
{
	struct ike *i = secret_alloc(sizeof(*i));

	i->p = *parts;
	i->control = control_open(base, on_asked, i);
	return i;
}

void ike_close(struct ike *i)
{
	control_close(i->control);
	vici_sas_free(&i->sas);
	secret_free(i, sizeof(*i));
}
