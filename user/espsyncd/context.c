// SPDX-License-Identifier: GPL-2.0-or-later
/* context: the IKEv2/IPsec context of one VPN. Pure. See context.h. */
#include <string.h>

#include "context.h"
#include "facts.h"

#define OSEQ_MAX	(1ULL << 62)	/* the module takes none above */

/* Where reading stands. What goes beyond the end is marked, and reads as 0. */
struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	r->left -= len;
	return p;
}

static uint8_t take_u8(struct reader *r)
{
	const uint8_t *p = take(r, 1);

	return p ? *p : 0;
}

static uint16_t take_u16(struct reader *r)
{
	const uint8_t *p = take(r, 2);

	return p ? get_u16(p) : 0;
}

static uint32_t take_u32(struct reader *r)
{
	const uint8_t *p = take(r, 4);

	return p ? get_u32(p) : 0;
}

static uint64_t take_u64(struct reader *r)
{
	const uint8_t *p = take(r, 8);

	return p ? get_u64(p) : 0;
}

static void into_journal(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	journal_apply(ctx, m, data, len);
}

/* Of the whole node only what an IKE SA of this connection depends on. */
static bool concerns(const struct digest_item *item, const char *conn)
{
	if (item->part != DIGEST_NODE)
		return !strcmp(item->conn, conn);
	return !strcmp(item->key, FACTS_BYTE_ORDER) || !strncmp(item->key, FACTS_POOL, strlen(FACTS_POOL));
}

void context_config(struct digest *some, const struct digest *all, const char *conn)
{
	struct digest_item item;
	unsigned int i;

	memset(some, 0, sizeof(*some));
	for (i = 0; i < digest_count(all); i++) {
		item = digest_item(all, i);
		if (concerns(&item, conn))
			digest_add(some, &item);
	}
}

void context_take(struct context *c, const struct journal_sa *sa, const struct digest *config)
{
	memset(c, 0, sizeof(*c));
	c->journal = journal_alloc();
	journal_replay(sa, into_journal, c->journal);
	context_config(&c->config, config, journal_name(sa));
}

void context_free(struct context *c)
{
	journal_free(c->journal);
	bytes_free(&c->numbers);
	digest_free(&c->config);
	memset(c, 0, sizeof(*c));
}

struct journal_sa *context_sa(const struct context *c)
{
	return journal_next(c->journal, NULL);
}

/* Where it is to be, and what tells of it there. */
struct move {
	struct ha_addr from;
	struct ha_addr to;
	struct journal *journal;
	bool failed;
};

static void move_message(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	uint8_t *made = secret_alloc(len + HA_MOVE_MORE);
	struct move *move = ctx;
	struct ha_msg moved;
	size_t n = len;

	if (m->type == HA_IKE_UPDATE && m->local.len) {
		move->to.port = m->local.port;
		n = m->local.len == move->to.len ? ha_move(made, data, len, &move->to, &m->remote, m->nat) : 0;
	} else {
		memcpy(made, data, len);
		if (m->type == HA_CHILD_ADD)
			ha_move_selectors(made, len, &move->from, &move->to);
	}
	if (n && ha_parse(&moved, made, n) == HA_OK)
		into_journal(move->journal, &moved, made, n);
	else
		move->failed = true;
	secret_free(made, len + HA_MOVE_MORE);
}

bool context_move(struct context *c, const struct config_addr *local)
{
	struct numbers *n = (struct numbers *)(c->numbers.data + c->numbers.off);
	struct move move = { .from = context_sa(c)->local, .to.len = local->len, .journal = journal_alloc() };
	size_t left = bytes_left(&c->numbers) / sizeof(*n);

	memcpy(move.to.bytes, local->bytes, local->len);
	journal_replay(context_sa(c), move_message, &move);
	if (move.failed) {
		journal_free(move.journal);
		return false;
	}
	journal_free(c->journal);
	c->journal = move.journal;
	for (; left--; n++) {
		if (n->dir == ESPSYNC_DIR_IN)
			memcpy(n->dst.bytes, local->bytes, local->len);
	}
	return true;
}

uint8_t context_version(const struct context *c)
{
	return context_sa(c)->adds[0].data[0];
}

void context_each_spi(const struct journal_sa *sa, void (*each)(void *ctx, enum espsync_dir dir, const struct ha_addr *dst, uint32_t spi), void *ctx)
{
	const struct journal_sa *under;
	const struct journal_child *c;

	for (under = sa; under; under = under->prev) {
		TAILQ_FOREACH(c, &under->children, link) {
			each(ctx, ESPSYNC_DIR_IN, &sa->local, c->spi_in);
			each(ctx, ESPSYNC_DIR_OUT, &sa->remote, c->spi_out);
		}
	}
}

const struct numbers *context_numbers(const struct context *c, enum espsync_dir dir, uint32_t spi)
{
	const struct numbers *n = (const struct numbers *)bytes_at(&c->numbers);
	size_t left = bytes_left(&c->numbers) / sizeof(*n);

	for (; left--; n++) {
		if (n->dir == dir && n->spi == spi)
			return n;
	}
	return NULL;
}

/* Numbers of what the IKE SA has, each once, and of nothing else. */
struct wanted {
	struct context *c;
	struct bytes ordered;
	bool missing;
};

static const struct journal_child *child_of(const struct journal_sa *sa, uint32_t spi, struct ike_id *id)
{
	const struct journal_child *child;

	for (; sa; sa = sa->prev) {
		TAILQ_FOREACH(child, &sa->children, link) {
			*id = sa->id;
			if (child->spi_in == spi || child->spi_out == spi)
				return child;
		}
	}
	return NULL;
}

static void keep_numbers(void *ctx, enum espsync_dir dir, const struct ha_addr *dst, uint32_t spi)
{
	struct wanted *w = ctx;
	const struct numbers *n = context_numbers(w->c, dir, spi);

	(void)dst;
	if (n)
		bytes_add(&w->ordered, n, sizeof(*n));
}

void context_leave_out(struct context *c, uint32_t spi)
{
	struct wanted w = { .c = c };
	struct ike_id id;
	const struct journal_child *child = child_of(context_sa(c), spi, &id);
	uint8_t made[HA_MAX_MADE];
	struct ha_msg m;
	size_t len;

	if (!child)
		return;
	len = ha_make_child_delete(made, context_version(c), &id, child->spi_in);
	if (ha_parse(&m, made, len) == HA_OK)
		journal_apply(c->journal, &m, made, len);
	context_each_spi(context_sa(c), keep_numbers, &w);
	bytes_free(&c->numbers);
	c->numbers = w.ordered;
}

/* ---- how it travels ---- */

struct writer {
	struct bytes *b;
	uint32_t n;
};

static void write_message(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct writer *w = ctx;

	(void)m;
	w->n++;
	bytes_add_u32(w->b, len);
	bytes_add(w->b, data, len);
}

/* Behind how many there are. */
static void write_messages(const struct context *c, struct bytes *b)
{
	struct bytes messages = { 0 };
	struct writer w = { .b = &messages };

	journal_replay(context_sa(c), write_message, &w);
	bytes_add_u32(b, w.n);
	bytes_add(b, bytes_at(&messages), bytes_left(&messages));
	bytes_free(&messages);
}

static void write_numbers(const struct numbers *n, struct bytes *b)
{
	bytes_add_u8(b, n->dir);
	bytes_add_u8(b, n->proto);
	bytes_add_u32(b, n->spi);
	bytes_add(b, n->fingerprint, sizeof(n->fingerprint));
	bytes_add_u64(b, n->oseq);
	bytes_add_u64(b, n->ceiling);
	bytes_add_u32(b, n->lease);
	bytes_add_u64(b, n->seq);
	bytes_add_u32(b, n->window);
	bytes_add_u64(b, n->bytes);
	bytes_add_u64(b, n->packets);
	bytes_add_u16(b, n->bitmap_len);
	bytes_add(b, n->bitmap, n->bitmap_len);
}

void context_write(const struct context *c, struct bytes *b)
{
	const struct numbers *n = (const struct numbers *)bytes_at(&c->numbers);
	size_t left = bytes_left(&c->numbers) / sizeof(*n);

	bytes_add_u8(b, c->node);
	bytes_add_u64(b, c->time_s);
	write_messages(c, b);
	bytes_add_u32(b, left);
	for (; left--; n++)
		write_numbers(n, b);
	bytes_add_u32(b, bytes_left(&c->config.text));
	bytes_add(b, bytes_at(&c->config.text), bytes_left(&c->config.text));
}

static bool read_message(struct journal *j, struct reader *r)
{
	uint32_t len = take_u32(r);
	const uint8_t *data = len <= HA_MAX_LEN ? take(r, len) : NULL;
	struct ha_msg m;
	bool ok;

	if (!data)
		return false;
	ok = ha_parse(&m, data, len) == HA_OK && ha_is_state(m.type);
	if (ok)
		journal_apply(j, &m, data, len);
	explicit_bzero(&m, sizeof(m));
	return ok;
}

static bool same_version(const struct journal_raw *raw, uint8_t version)
{
	return !raw->len || raw->data[0] == version;
}

/* Whole, and of one version of the ha plugin: charon must never see half an IKE SA. */
static bool is_whole(const struct journal_sa *sa, uint8_t version)
{
	const struct journal_child *c;
	int i;

	for (i = 0; i < sa->n_adds; i++) {
		if (!same_version(&sa->adds[i], version))
			return false;
	}
	TAILQ_FOREACH(c, &sa->children, link) {
		if (!same_version(&c->raw, version))
			return false;
	}
	return sa->n_adds && sa->update.len && same_version(&sa->update, version) && same_version(&sa->vips, version) && same_version(&sa->mid_i, version) &&
		same_version(&sa->mid_r, version) && !sa->iv.len;
}

static const char *read_messages(struct context *c, struct reader *r)
{
	uint32_t n = take_u32(r);
	const struct journal_sa *sa;

	for (; n; n--) {
		if (!read_message(c->journal, r))
			return "one of its messages cannot be read";
	}
	sa = context_sa(c);
	if (!sa || journal_count(c->journal) != 1 || !sa->local.len || !sa->remote.len || sa->id.version != 2)
		return "it does not hold one IKE SA";
	for (; sa; sa = sa->prev) {
		if (!is_whole(sa, context_version(c)))
			return "its IKE SA is not whole";
	}
	return NULL;
}

static bool read_numbers(struct numbers *n, struct reader *r)
{
	const uint8_t *p;

	n->dir = take_u8(r);
	n->proto = take_u8(r);
	n->spi = take_u32(r);
	p = take(r, sizeof(n->fingerprint));
	if (p)
		memcpy(n->fingerprint, p, sizeof(n->fingerprint));
	n->oseq = take_u64(r);
	n->ceiling = take_u64(r);
	n->lease = take_u32(r);
	n->seq = take_u64(r);
	n->window = take_u32(r);
	n->bytes = take_u64(r);
	n->packets = take_u64(r);
	n->bitmap_len = take_u16(r);
	p = n->bitmap_len <= sizeof(n->bitmap) ? take(r, n->bitmap_len) : NULL;
	if (!p)
		return false;
	memcpy(n->bitmap, p, n->bitmap_len);
	return !r->bad && n->oseq < OSEQ_MAX && n->ceiling < OSEQ_MAX;
}

static void want(void *ctx, enum espsync_dir dir, const struct ha_addr *dst, uint32_t spi)
{
	struct wanted *w = ctx;
	const struct numbers *found = context_numbers(w->c, dir, spi);
	struct numbers n;

	if (!found) {
		w->missing = true;
		return;
	}
	n = *found;
	n.dst = *dst;
	bytes_add(&w->ordered, &n, sizeof(n));
}

static const char *read_all_numbers(struct context *c, struct reader *r)
{
	struct wanted w = { .c = c };
	uint32_t n = take_u32(r);
	bool wrong;

	for (; n; n--) {
		struct numbers one = { .spi = 0 };

		if (!read_numbers(&one, r))
			return "the numbers of one of its SAs cannot be read";
		bytes_add(&c->numbers, &one, sizeof(one));
	}
	context_each_spi(context_sa(c), want, &w);
	wrong = w.missing || bytes_left(&w.ordered) != bytes_left(&c->numbers);
	bytes_free(&c->numbers);
	c->numbers = w.ordered;
	return wrong ? "it has not the numbers of its SAs, or of others" : NULL;
}

static const char *read_all(struct context *c, struct reader *r)
{
	const uint8_t *config;
	const char *wrong;
	uint32_t len;

	c->node = take_u8(r);
	c->time_s = take_u64(r);
	wrong = read_messages(c, r);
	if (!wrong)
		wrong = read_all_numbers(c, r);
	if (wrong)
		return wrong;
	len = take_u32(r);
	config = len <= DIGEST_MAX ? take(r, len) : NULL;
	if (!config || r->left || !digest_read(&c->config, config, len))
		return "what it says of the configuration cannot be read";
	return NULL;
}

const char *context_read(struct context *c, const uint8_t *data, size_t len)
{
	struct reader r = { .p = data, .left = len };
	const char *wrong;

	memset(c, 0, sizeof(*c));
	if (len > CONTEXT_MAX)
		return "it is too large";
	c->journal = journal_alloc();
	wrong = read_all(c, &r);
	if (wrong)
		context_free(c);
	return wrong;
}
