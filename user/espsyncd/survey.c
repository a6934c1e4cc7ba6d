// SPDX-License-Identifier: GPL-2.0-or-later
/* survey: asks this node's charon, and reads strongSwan's files, for the digest of this node's configuration. See survey.h. */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "facts.h"
#include "files.h"
#include "log.h"
#include "survey.h"

/* One question after the other. */
enum question { RELEASE, POOLS, CONNS, QUESTIONS };

struct survey {
	const struct config *c;
	struct vici *vici;
	void (*done)(void *ctx, struct digest *digest, bool told);
	void *ctx;
	bool asking;
	enum question question;
	struct digest digest;
	char complained[CONFIG_ERROR];	/* of a file, once until there is another reason */
};

/* What cannot be read is said; what is not there may be meant so. */
static struct settings *read_file(const char *path, char error[CONFIG_ERROR])
{
	char why[CONFIG_ERROR];
	struct settings *read = files_settings(path, why);

	if (!read && *why)
		snprintf(error, CONFIG_ERROR, "%s", why);
	return read;
}

static void read_files(struct survey *s, bool told)
{
	char error[CONFIG_ERROR] = "";
	struct settings *strongswan = read_file(s->c->strongswan, error);
	struct settings *swanctl = read_file(s->c->swanctl, error);

	if (*error && strcmp(error, s->complained))
		log_warn("what strongSwan's files say cannot be compared: %s", error);
	memcpy(s->complained, error, sizeof(error));
	if (strongswan)
		facts_settings(&s->digest, strongswan);
	digest_sort(&s->digest);
	if (swanctl)
		facts_written(&s->digest, s->c, swanctl, strongswan, told);
	digest_sort(&s->digest);
	settings_free(strongswan);
	settings_free(swanctl);
}

static void finish(struct survey *s, bool told)
{
	struct digest made;

	if (!told)
		digest_free(&s->digest);
	read_files(s, told);
	made = s->digest;
	memset(&s->digest, 0, sizeof(s->digest));
	s->asking = false;
	s->done(s->ctx, &made, told);
}

static void on_answer(void *ctx, const uint8_t *data, size_t len)
{
	struct survey *s = ctx;

	switch (s->question) {
	case RELEASE:
		facts_release(&s->digest, data, len);
		break;
	case POOLS:
		facts_pools(&s->digest, data, len);
		break;
	default:
		facts_conn(&s->digest, s->c, data, len);
	}
}

static void ask(struct survey *s);

static void on_done(void *ctx, bool ok)
{
	struct survey *s = ctx;

	s->question++;
	if (!ok || s->question == QUESTIONS)
		finish(s, ok);
	else
		ask(s);
}

static void ask(struct survey *s)
{
	static const struct { const char *command, *event; } questions[] = {
		[RELEASE] = { "version", NULL }, [POOLS] = { "get-pools", NULL }, [CONNS] = { "list-conns", "list-conn" },
	};

	vici_ask(s->vici, questions[s->question].command, questions[s->question].event, on_answer, on_done, s);
}

void survey_begin(struct survey *s)
{
	if (s->asking)
		return;
	s->asking = true;
	s->question = RELEASE;
	ask(s);
}

struct survey *survey_alloc(const struct config *c, struct vici *v, void (*done)(void *ctx, struct digest *digest, bool told), void *ctx)
{
	struct survey *s = secret_alloc(sizeof(*s));

	s->c = c;
	s->vici = v;
	s->done = done;
	s->ctx = ctx;
	return s;
}

void survey_free(struct survey *s)
{
	digest_free(&s->digest);
	secret_free(s, sizeof(*s));
}
