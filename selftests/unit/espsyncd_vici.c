// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_vici.c - user/espsyncd's vici: what charon lists, however much it is.
 *
 * Job: messages as charon writes them, by hand, and what is read from them, and asked. The socket is other tests'.
 */
// SOURCES: ../../user/espsyncd/bytes.c ../../user/espsyncd/vici_msg.c ../../user/espsyncd/vici_sas.c ../../user/espsyncd/journal.c
// SOURCES: ../../user/espsyncd/codec.c
#include "../../user/espsyncd/vici.c"
#include "../fuzz/noevents.h"
#include "espsyncd_quiet.h"
#include "ktap.h"

#define MANY	200

int event_del(struct event *ev)
{
	(void)ev;
	return 0;
}

int event_pending(const struct event *ev, short what, struct timeval *tv)
{
	(void)ev, (void)what, (void)tv;
	return 0;
}

static void begin_section(struct bytes *b, const char *name)
{
	bytes_add_u8(b, 1);
	bytes_add_u8(b, strlen(name));
	bytes_add(b, name, strlen(name));
}

static void end_section(struct bytes *b)
{
	bytes_add_u8(b, 2);
}

static struct bytes ike_sa_with(unsigned int n)
{
	struct bytes b = { 0 };
	char text[32];
	unsigned int i;

	begin_section(&b, "office");
	vici_put(&b, "state", "PASSIVE");
	begin_section(&b, "child-sas");
	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "net-%u", i);
		begin_section(&b, text);
		snprintf(text, sizeof(text), "%08x", 0x1000 + i);
		vici_put(&b, "spi-in", text);
		end_section(&b);
	}
	end_section(&b);
	end_section(&b);
	return b;
}

static bool every_child_sa_is_read(void)
{
	struct bytes message = ike_sa_with(MANY), children = { 0 }, kept = { 0 };
	const struct vici_sa *copy;
	struct vici_sa sa;
	unsigned int i;

	ktap_expect(read_sa(&sa, &children, bytes_at(&message), bytes_left(&message)));
	vici_sas_add(&kept, &sa);
	bytes_free(&message);
	bytes_free(&children);
	copy = (const struct vici_sa *)bytes_at(&kept);
	ktap_expect(!strcmp(copy->name, "office") && !strcmp(copy->state, "PASSIVE") && copy->n_children == MANY);
	for (i = 0; i < MANY; i++)
		ktap_expect(copy->children[i].spi_in == 0x1000 + i);
	vici_sas_free(&kept);
	return true;
}

static bool where_the_ends_are_is_read(void)
{
	struct bytes b = { 0 }, children = { 0 };
	struct ha_addr l, r;
	struct vici_sa sa;
	bool ok;

	begin_section(&b, "office");
	vici_put(&b, "local-host", "192.0.2.1");
	vici_put(&b, "local-port", "4500");
	vici_put(&b, "remote-host", "2001:db8::9");
	vici_put(&b, "remote-port", "4501");
	vici_put(&b, "nat-remote", "yes");
	vici_put(&b, "nat-any", "yes");
	end_section(&b);
	ok = read_sa(&sa, &children, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
	ktap_expect(ok && sa.nat == (HA_NAT_THERE | HA_NAT_ANY) && vici_ends(&l, &r, &sa));
	ktap_expect(l.len == 4 && l.port == 4500 && l.bytes[3] == 1 && r.len == 16 && r.port == 4501 && r.bytes[15] == 9);
	snprintf(sa.remote, sizeof(sa.remote), "%%any");
	ktap_expect(!vici_ends(&l, &r, &sa));
	return true;
}

static void task(struct bytes *b, const char *list, const char *name)
{
	bytes_add_u8(b, VICI_LIST_START);
	bytes_add_u8(b, strlen(list));
	bytes_add(b, list, strlen(list));
	bytes_add_u8(b, VICI_LIST_ITEM);
	bytes_add_u16(b, strlen(name));
	bytes_add(b, name, strlen(name));
	bytes_add_u8(b, VICI_LIST_END);
}

/* Return: is a CHILD SA being made, by that task in that list? */
static bool is_adding(const char *list, const char *name)
{
	struct bytes b = { 0 }, children = { 0 };
	struct vici_sa sa;
	bool ok;

	begin_section(&b, "office");
	task(&b, list, name);
	end_section(&b);
	ok = read_sa(&sa, &children, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
	return ok && sa.adding;
}

static bool what_is_being_made_is_read(void)
{
	ktap_expect(is_adding("tasks-active", "CHILD_CREATE") && is_adding("tasks-queued", "CHILD_CREATE"));
	ktap_expect(!is_adding("tasks-active", "IKE_DPD") && !is_adding("remote-vips", "CHILD_CREATE"));
	return true;
}

static bool child_is(const char *state, bool installed, bool leaving)
{
	struct bytes b = { 0 }, children = { 0 };
	struct vici_sa sa;
	bool ok;

	begin_section(&b, "office");
	begin_section(&b, "child-sas");
	begin_section(&b, "net-7");
	vici_put(&b, "name", "net");
	vici_put(&b, "state", state);
	end_section(&b);
	end_section(&b);
	end_section(&b);
	ok = read_sa(&sa, &children, bytes_at(&b), bytes_left(&b)) && sa.n_children == 1 && !strcmp(sa.children[0].name, "net") &&
		sa.children[0].installed == installed && sa.children[0].leaving == leaving;
	bytes_free(&b);
	bytes_free(&children);
	return ok;
}

static bool the_state_of_a_child_sa_is_read(void)
{
	ktap_expect(child_is("INSTALLED", true, false) && child_is("REKEYING", false, false) && child_is("INSTALLING", false, false));
	ktap_expect(child_is("REKEYED", false, true) && child_is("DELETING", false, true) && child_is("DELETED", false, true));
	return true;
}

static bool none_is_none(void)
{
	struct bytes message = ike_sa_with(0), children = { 0 };
	struct vici_sa sa;

	ktap_expect(read_sa(&sa, &children, bytes_at(&message), bytes_left(&message)) && !sa.n_children);
	bytes_free(&message);
	bytes_free(&children);
	return true;
}

static unsigned int ended, heard;

static void hears(void *ctx, const struct vici_sa *sa)
{
	(void)ctx, (void)sa;
	heard++;
}

static void ends(void *ctx, bool ok)
{
	(void)ctx;
	ended += ok;
}

/* What went out since the last time: one packet, and its name. */
static bool asks(struct vici *v, enum packet type, const char *name)
{
	const uint8_t *p = bytes_at(&v->out);
	bool same = bytes_left(&v->out) == 6 + strlen(name) && p[4] == type && p[5] == strlen(name) && !memcmp(p + 6, name, p[5]);

	bytes_free(&v->out);
	return same;
}

static bool says(struct vici *v, enum packet type, const char *name, const struct bytes *message)
{
	struct bytes b = { 0 };
	bool ok;

	bytes_add_u8(&b, type);
	if (name) {
		bytes_add_u8(&b, strlen(name));
		bytes_add(&b, name, strlen(name));
	}
	if (message)
		bytes_add(&b, bytes_at(message), bytes_left(message));
	ok = on_packet(v, bytes_at(&b), bytes_left(&b));
	bytes_free(&b);
	return ok;
}

static unsigned int refused;

static void is_begun(void *ctx, bool ok)
{
	(void)ctx;
	ended++;
	refused += !ok;
}

/* charon answers @success: what is refused has its words, and the next one is asked over the same connection. */
static bool begins(const char *success, unsigned int refusals)
{
	struct vici *v = vici_alloc(NULL, "/nowhere");
	struct bytes answer = { 0 };
	bool ok;

	ended = refused = 0;
	v->fd = 1000;
	vici_put(&answer, "success", success);
	if (refusals)
		vici_put(&answer, "errmsg", "CHILD_SA config 'net' not found");
	vici_initiate(v, "office", "net", is_begun, NULL);
	bytes_free(&v->out);
	ok = says(v, CMD_RESPONSE, NULL, &answer) && ended == 1 && refused == refusals && v->fd == 1000 &&
		!strcmp(vici_why(v), refusals ? "CHILD_SA config 'net' not found" : "");
	bytes_free(&answer);
	vici_free(v);
	return ok;
}

static bool a_refusal_has_its_words(void)
{
	ktap_expect(begins("yes", 0) && begins("no", 1));
	return true;
}

static char heard_of[64];

static void hears_of(void *ctx, const char *conn, const char *child)
{
	(void)ctx;
	snprintf(heard_of + strlen(heard_of), sizeof(heard_of) - strlen(heard_of), "%s/%s ", conn, child);
}

static bool children_are_heard_of(void)
{
	struct vici *v = vici_alloc(NULL, "/nowhere");
	struct bytes b = { 0 };

	heard_of[0] = 0;
	v->fd = 1000;
	begin_section(&b, "office");
	begin_section(&b, "local-1");
	begin_section(&b, "x");
	end_section(&b);
	end_section(&b);
	begin_section(&b, "children");
	begin_section(&b, "net");
	vici_put(&b, "mode", "TUNNEL");
	end_section(&b);
	begin_section(&b, "net-2");
	end_section(&b);
	end_section(&b);
	end_section(&b);
	vici_list_children(v, hears_of, ends, NULL);
	bytes_free(&v->out);
	ktap_expect(says(v, EVENT_CONFIRM, NULL, NULL) && says(v, EVENT, "list-conn", &b));
	ktap_expect(!strcmp(heard_of, "office/net office/net-2 "));
	vici_free(v);
	bytes_free(&b);
	return true;
}

static struct bytes stats(const char *total)
{
	struct bytes b = { 0 };

	begin_section(&b, "workers");
	vici_put(&b, "total", "16");
	end_section(&b);
	begin_section(&b, "ikesas");
	vici_put(&b, total ? "total" : "half-open", total ? total : "7");
	end_section(&b);
	return b;
}

/* Two are listed; charon counts @total. */
static unsigned int not_listed_of(const char *total)
{
	struct bytes one = ike_sa_with(1), count = stats(total);
	struct vici *v = vici_alloc(NULL, "/nowhere");
	unsigned int unlisted = 1234;

	ended = heard = 0;
	v->fd = 1000;
	vici_list_sas(v, hears, ends, NULL);
	if (asks(v, EVENT_REGISTER, "list-sa") && says(v, EVENT_CONFIRM, NULL, NULL) && asks(v, CMD_REQUEST, "list-sas") &&
	    says(v, EVENT, "list-sa", &one) && says(v, EVENT, "list-sa", &one) &&
	    says(v, CMD_RESPONSE, NULL, NULL) && asks(v, EVENT_UNREGISTER, "list-sa") &&
	    says(v, EVENT_CONFIRM, NULL, NULL) && asks(v, CMD_REQUEST, "stats") && !ended &&
	    says(v, CMD_RESPONSE, NULL, &count) && heard == 2 && ended == 1)
		unlisted = vici_unlisted(v);
	vici_free(v);
	bytes_free(&one);
	bytes_free(&count);
	return unlisted;
}

static bool what_is_not_listed_is_counted(void)
{
	ktap_expect(not_listed_of("2") == 0 && not_listed_of("5") == 3);
	ktap_expect(not_listed_of("1") == 0);			/* one has gone meanwhile */
	ktap_expect(not_listed_of(NULL) > 1000000);		/* nobody knows */
	return true;
}

static bool a_small_one_is_listed_for_certain(void)
{
	struct journal_sa newer = { .size = 20 << 10 }, older = { .size = 11 << 10, .next = &newer };

	newer.prev = &older;
	ktap_expect(!vici_may_omit(&newer));
	older.size = 13 << 10;		/* its CHILD SAs are listed under the newer */
	ktap_expect(vici_may_omit(&newer));
	older.size = 0;
	newer.crowded = JOURNAL_FULL;	/* there are more, that the journal has not */
	ktap_expect(vici_may_omit(&newer));
	return true;
}

static char answer[16];

static void answers(void *ctx, const uint8_t *data, size_t len)
{
	(void)ctx;
	snprintf(answer, sizeof(answer), "%.*s", (int)len, (const char *)data);
}

/* Once, or as events; who asked is handed the message as it is. */
static bool what_is_not_read_here_is_handed_on(void)
{
	struct vici *v = vici_alloc(NULL, "/nowhere");
	struct bytes message = { 0 };

	ended = 0;
	v->fd = 1000;
	bytes_add(&message, "5.9.8", 5);
	vici_ask(v, "version", NULL, answers, ends, NULL);
	ktap_expect(asks(v, CMD_REQUEST, "version") && says(v, CMD_RESPONSE, NULL, &message));
	ktap_expect(!strcmp(answer, "5.9.8") && ended == 1);
	vici_ask(v, "list-conns", "list-conn", answers, ends, NULL);
	ktap_expect(asks(v, EVENT_REGISTER, "list-conn") && says(v, EVENT_CONFIRM, NULL, NULL) && asks(v, CMD_REQUEST, "list-conns"));
	bytes_consume(&message, 2);
	ktap_expect(says(v, EVENT, "list-conn", &message) && !strcmp(answer, "9.8") && says(v, CMD_RESPONSE, NULL, NULL));
	ktap_expect(!strcmp(answer, "9.8") && asks(v, EVENT_UNREGISTER, "list-conn") && says(v, EVENT_CONFIRM, NULL, NULL) && ended == 2);
	bytes_free(&message);
	vici_free(v);
	return true;
}

static const struct ktap_case cases[] = {
	{ "every CHILD SA is read", every_child_sa_is_read },
	{ "where the ends are is read", where_the_ends_are_is_read },
	{ "none is none", none_is_none },
	{ "what is being made is read", what_is_being_made_is_read },
	{ "the state of a CHILD SA is read", the_state_of_a_child_sa_is_read },
	{ "a refusal has its words", a_refusal_has_its_words },
	{ "children are heard of", children_are_heard_of },
	{ "what is not listed is counted", what_is_not_listed_is_counted },
	{ "a small one is listed for certain", a_small_one_is_listed_for_certain },
	{ "what is not read here is handed on", what_is_not_read_here_is_handed_on },
};

KTAP_MAIN(cases)
