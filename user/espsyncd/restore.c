// SPDX-License-Identifier: GPL-2.0-or-later
/* restore: puts the context of one VPN into this active node. See restore.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "differ.h"
#include "log.h"
#include "restore.h"
#include "states.h"
#include "still.h"
#include "xfrm_list.h"

#define STEP_MS		20
#define TAKES_MS	10000	/* charon, to process what it was given */

enum phase {
	IDLE,
	LOOKING,	/* is any of it here? */
	GIVING,		/* charon processes it */
	CHECKING,	/* has it come, with its numbers? */
	TELLING,	/* its far end, where it is now */
	BOUNCING,
	CONFIRMING,	/* is it established? */
	TAKING_BACK,	/* charon forgets it */
};

struct restore {
	struct restore_parts p;
	struct event *timer;
	struct xfrm_list *xfrm;
	enum phase phase;
	bool only_try;
	uint32_t collides;	/* an SPI of its that is another's here */
	bool kept;		/* journal and standbys have been told */
	struct hush *ike_still;	/* none of it leaves before that */
	struct hush *esp_still;
	struct context context;
	struct bytes sas;	/* struct vici_sa, what charon lists */
	uint64_t since_ms;
	unsigned int deaf_ms;
	bool moves;		/* to another address of its gateway */
	char why[RESTORE_WHY];
	void (*done)(void *ctx, const char *why, unsigned int deaf_ms);
	void *ctx;
};

static void arm(struct restore *r)
{
	struct timeval tv = { 0, STEP_MS * 1000 };

	event_add(r->timer, &tv);
}

static bool refuse(struct restore *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Return: false, for who checks. The first sentence counts. */
static bool refuse(struct restore *r, const char *fmt, ...)
{
	va_list ap;

	if (*r->why)
		return false;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	return false;
}

static void end_stillness(struct restore *r)
{
	hush_end(r->ike_still);
	hush_end(r->esp_still);
	r->ike_still = NULL;
	r->esp_still = NULL;
}

static void finish(struct restore *r)
{
	end_stillness(r);
	event_del(r->timer);
	r->done(r->ctx, *r->why ? r->why : NULL, r->deaf_ms);
	r->phase = IDLE;
	vici_sas_free(&r->sas);
	context_free(&r->context);
}

static void inject(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct restore *r = ctx;

	relay_inject(r->p.relay, m, data, len);
}

/* As if charon had said it: the journal and the standbys follow. */
static void tell(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct restore *r = ctx;

	relay_local_message(r->p.relay, m, data, len);
}

static void take_back(struct restore *r)
{
	const struct journal_sa *sa;
	uint8_t made[HA_MAX_MADE];
	struct ha_msg m;
	size_t len;

	for (sa = context_sa(&r->context); sa; sa = sa->prev) {
		len = ha_make_ike_delete(made, context_version(&r->context), &sa->id);
		if (ha_parse(&m, made, len) == HA_OK)
			inject(r, &m, made, len);
	}
	r->phase = TAKING_BACK;
	r->since_ms = now_ms();
	arm(r);
}

/* ---- what must be so ---- */

static bool may_begin(struct restore *r)
{
	enum espsync_role role;
	int err = kernel_role(r->p.kernel, &role);

	if (err)
		return refuse(r, "the module cannot be asked: %s (is it loaded, and the channel made?)", kernel_why(r->p.kernel));
	if (role != ESPSYNC_ROLE_ACTIVE)
		return refuse(r, "this node is not active (put it on the one that is: espsync show)");
	if (!relay_is_auditable(r->p.relay))
		return refuse(r, "this node's charon has not taken over yet, or its journal is not whole (try again)");
	if (charon_version(r->p.ch) != context_version(&r->context))
		return refuse(r, "strongSwan's ha plugin speaks version %u here, %u where it was got (run the same release)",
			      charon_version(r->p.ch), context_version(&r->context));
	return true;
}

static bool is_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += strcspn(list, ","), list += strspn(list, ", ")) {
		if (!strncmp(list, word, n) && (!list[n] || list[n] == ','))
			return true;
	}
	return false;
}

/* An address of this cluster that the connection has, and that its far end can send to. */
static const struct config_addr *place(const struct restore *r, const struct journal_sa *sa, const struct digest *all)
{
	const char *addrs = digest_value(all, DIGEST_LOADED, journal_name(sa), "", "local_addrs");
	unsigned int i;

	for (i = 0; i < r->p.c->n_addrs; i++) {
		struct ha_addr a = { .len = r->p.c->addrs[i].len };
		char text[VICI_ADDR_TEXT];

		memcpy(a.bytes, r->p.c->addrs[i].bytes, a.len);
		if (a.len == sa->remote.len && (!addrs || is_in(addrs, vici_addr_text(&a, text))))
			return &r->p.c->addrs[i];
	}
	return NULL;
}

/* What a far end that cannot be told can do: it begins anew, there. */
static bool refuse_to_move(struct restore *r, const char *why)
{
	const struct journal_sa *sa = context_sa(&r->context);
	char far[VICI_ADDR_TEXT], here[VICI_ADDR_TEXT];

	return refuse(r, "%s: it cannot be told of this gateway's address (where it is, swanctl --redirect --peer-ip %s --gateway %s lets it begin anew here)",
		      why, vici_addr_text(&sa->remote, far), vici_addr_text(&sa->local, here));
}

/* Its gateway has an address of this cluster, or gets one. */
static bool has_place(struct restore *r)
{
	const struct journal_sa *sa = context_sa(&r->context);
	const struct digest *all = drift_own(r->p.drift);
	const struct config_addr *here;
	char why[SK_WHY];

	if (config_is_ours(r->p.c, sa->local.bytes, sa->local.len))
		return true;
	here = all ? place(r, sa, all) : NULL;
	if (!here)
		return refuse(r, "its address is none of this cluster's, and connection %.64s has none here that it could get (see [group 0] addresses)",
			      journal_name(sa));
	if (!context_move(&r->context, here))
		return refuse(r, "its IKE SA does not say where it is (get it anew)");
	r->moves = true;
	return announce_may(context_sa(&r->context), why) || refuse_to_move(r, why);
}

static void leave_out(struct digest *d, const char *key)
{
	struct digest kept = { 0 };
	unsigned int i;

	for (i = 0; i < digest_count(d); i++) {
		struct digest_item item = digest_item(d, i);

		if (strcmp(item.key, key))
			digest_add(&kept, &item);
	}
	digest_free(d);
	*d = kept;
}

/* Its policies and what charon knows of its far end are made here, of what this node's connection says. */
static bool is_configured(struct restore *r)
{
	const char *conn = journal_name(context_sa(&r->context));
	const struct digest *all = drift_own(r->p.drift);
	struct lines lines = { .n = 0 };
	struct digest ours;

	if (!all)
		return refuse(r, "charon has not said its configuration yet (try again)");
	if (!digest_value(all, DIGEST_LOADED, conn, "", ""))
		return refuse(r, "connection %.64s is not loaded here (swanctl --load-all)", conn);
	context_config(&ours, all, conn);
	if (r->moves) {
		leave_out(&ours, "local_addrs");
		leave_out(&r->context.config, "local_addrs");
	}
	differ_check(&ours, &r->context.config, r->context.node, &lines);
	digest_free(&ours);
	if (lines.n == 1)
		return refuse(r, "%s", lines.text[0]);
	if (lines.n)
		return refuse(r, "%s (%u more differ)", lines.text[0], lines.n - 1 + lines.more);
	return true;
}

static bool same_vips(const struct journal_raw *a, const struct journal_raw *b)
{
	return a->len > HA_IKE_ID_END && a->len == b->len && !memcmp(a->data + HA_IKE_ID_END, b->data + HA_IKE_ID_END, a->len - HA_IKE_ID_END);
}

static bool is_same_far_end(const struct journal_sa *a, const struct journal_sa *b)
{
	return !strcmp(journal_name(a), journal_name(b)) && ha_addr_equal(&a->remote, &b->remote);
}

/* The far end has begun anew meanwhile, or another has what was its own. */
static bool has_no_rival(struct restore *r)
{
	const struct journal_sa *ours = context_sa(&r->context), *sa = NULL;
	const struct journal *j = relay_journal(r->p.relay);
	char far[VICI_ADDR_TEXT];

	while ((sa = journal_next(j, sa))) {
		vici_addr_text(&sa->remote, far);
		if (is_same_far_end(sa, ours))
			return refuse(r, "its far end %s has another IKE SA of connection %.64s here (it has begun anew)", far, journal_name(sa));
		if (same_vips(&sa->vips, &ours->vips))
			return refuse(r, "its inner address is that of an IKE SA of %s by now (it cannot be had twice)", far);
	}
	return true;
}

static bool is_new(struct restore *r)
{
	const struct journal *j = relay_journal(r->p.relay);
	const struct journal_sa *sa = context_sa(&r->context);

	for (; sa; sa = sa->prev) {
		if (journal_find(j, &sa->id) || relay_is_held(r->p.relay, &sa->id))
			return refuse(r, "its IKE SA is here already (espsync ike list)");
	}
	if (journal_room(j, NULL) != JOURNAL_ROOM)
		return refuse(r, "there is no room in the journal (raise journal_mib)");
	return has_no_rival(r);
}

static bool is_absent(struct restore *r, const struct bytes *states)
{
	const struct numbers *n = (const struct numbers *)bytes_at(&r->context.numbers);
	size_t left = bytes_left(&r->context.numbers) / sizeof(*n);
	const struct journal_sa *sa;
	char dst[VICI_ADDR_TEXT];

	for (sa = context_sa(&r->context); sa; sa = sa->prev) {
		if (vici_sas_find(&r->sas, &sa->id))
			return refuse(r, "charon has its IKE SA already (espsync ike list)");
	}
	for (; left--; n++) {
		if (!states_find(states, &n->dst, n->spi))
			continue;
		r->collides = n->spi;
		return refuse(r, "an SA with its SPI %08x is in the kernel already (ip xfrm state get dst %s proto esp spi 0x%08x)", n->spi,
			      vici_addr_text(&n->dst, dst), n->spi);
	}
	return true;
}

/* ---- what is done ---- */

static bool foretell(struct restore *r)
{
	const struct numbers *n = (const struct numbers *)bytes_at(&r->context.numbers);
	size_t left = bytes_left(&r->context.numbers) / sizeof(*n);

	for (; left--; n++) {
		if (kernel_foretell(r->p.kernel, n))
			return refuse(r, "the module does not take the numbers of SA %08x: %s", n->spi, kernel_why(r->p.kernel));
	}
	return true;
}

/* Who had it may have it still. */
static bool stand_still(struct restore *r)
{
	const struct journal_sa *sa = context_sa(&r->context);

	r->ike_still = still_ike(sa);
	r->esp_still = r->ike_still ? still_esp(sa) : NULL;
	if (!r->esp_still)
		return refuse(r, "its packets cannot be held back for a moment: %s (does the kernel have nf_tables?)", strerror(errno));
	return true;
}

static void give(struct restore *r, const struct bytes *states)
{
	if (!may_begin(r) || !is_new(r) || !is_absent(r, states) || r->only_try || !stand_still(r) || !foretell(r)) {
		finish(r);
		return;
	}
	journal_replay(context_sa(&r->context), inject, r);
	r->phase = GIVING;
	r->since_ms = now_ms();
	arm(r);
}

static bool has_children(struct restore *r, const struct vici_sa *listed, const struct bytes *states)
{
	const struct vici_child *there;
	const struct journal_child *c;
	const struct journal_sa *sa;

	for (sa = context_sa(&r->context); sa; sa = sa->prev) {
		TAILQ_FOREACH(c, &sa->children, link) {
			there = vici_child_of(listed, c->spi_in);
			if (!there || !there->installed || !states_have(states, listed, there))
				return refuse(r, "charon or the kernel does not take its CHILD SA %08x: look at charon's log (is swanctl.conf the same?)",
					      c->spi_in);
		}
	}
	return true;
}

/* The module has them, and at least so far on: what it does not have it does not protect. */
static bool has_numbers(struct restore *r)
{
	const struct numbers *n = (const struct numbers *)bytes_at(&r->context.numbers);
	size_t left = bytes_left(&r->context.numbers) / sizeof(*n);

	for (; left--; n++) {
		struct numbers here = { .dst = n->dst, .spi = n->spi, .proto = n->proto };

		if (kernel_numbers(r->p.kernel, &here) || memcmp(here.fingerprint, n->fingerprint, sizeof(here.fingerprint)))
			return refuse(r, "SA %08x has come out with another key, or the module does not follow it: look at charon's log", n->spi);
		if (n->dir == ESPSYNC_DIR_OUT ? here.oseq < numbers_start(n) : here.seq < n->seq)
			return refuse(r, "SA %08x cannot go on from its numbers: they are used up, or the module is an older one", n->spi);
	}
	return true;
}

static bool has_come(struct restore *r, const struct bytes *states)
{
	const struct vici_sa *listed = vici_sas_find(&r->sas, &context_sa(&r->context)->id);

	if (!relay_is_auditable(r->p.relay))
		return refuse(r, "this node's role has changed meanwhile");
	if (!listed || strcmp(listed->state, "PASSIVE"))
		return refuse(r, "charon does not take its IKE SA: look at its log");
	return has_children(r, listed, states) && has_numbers(r);
}

static void list(struct restore *r, enum phase phase);

static void on_bounced(void *ctx, const char *why, unsigned int deaf_ms)
{
	struct restore *r = ctx;

	r->deaf_ms = deaf_ms;
	if (!why) {
		list(r, CONFIRMING);
		return;
	}
	refuse(r, "it is here, but passive until this node takes over anew: %s", why);
	finish(r);
}

static void keep(struct restore *r)
{
	const struct journal_sa *sa = context_sa(&r->context);
	const char *why;

	journal_replay(sa, tell, r);
	if (!journal_find(relay_journal(r->p.relay), &sa->id)) {
		refuse(r, "there is no room in the journal (raise journal_mib)");
		take_back(r);
		return;
	}
	r->kept = true;
	end_stillness(r);
	r->phase = BOUNCING;
	why = bounce_begin(r->p.bounce, on_bounced, r);
	if (why)
		on_bounced(r, why, 0);
}

/* That message ID is used: charon's next request has the one behind it. */
static void count_request(struct restore *r)
{
	const struct journal_sa *sa = context_sa(&r->context);
	uint8_t made[HA_MAX_MADE];
	size_t len = ha_make_mid(made, context_version(&r->context), HA_IKE_MID_INITIATOR, &sa->id, announce_last(r->p.announce)->mid + 1);
	struct ha_msg m;

	if (ha_parse(&m, made, len) != HA_OK)
		return;
	journal_apply(r->context.journal, &m, made, len);
	inject(r, &m, made, len);
}

static void on_told(void *ctx, bool answered)
{
	struct restore *r = ctx;

	if (!answered)
		refuse_to_move(r, "its far end does not answer, as behind a NAT or firewall that lets in its former gateway alone");
	else if (!relay_is_auditable(r->p.relay))
		refuse(r, "this node's role has changed meanwhile");
	if (*r->why) {
		take_back(r);
		return;
	}
	count_request(r);
	keep(r);
}

static void check(struct restore *r, const struct bytes *states)
{
	const char *why;

	if (!has_come(r, states)) {
		take_back(r);
		return;
	}
	if (!r->moves) {
		keep(r);
		return;
	}
	hush_end(r->ike_still);	/* what is told is to leave, and its answer to come in; ESP waits for that */
	r->ike_still = NULL;
	r->phase = TELLING;
	why = announce_begin(r->p.announce, context_sa(&r->context), on_told, r);
	if (why) {
		refuse(r, "%s", why);
		take_back(r);
	}
}

static void confirm(struct restore *r)
{
	const struct vici_sa *listed = vici_sas_find(&r->sas, &context_sa(&r->context)->id);

	if (!listed || strcmp(listed->state, "ESTABLISHED"))
		refuse(r, "it was put, and charon has it as %s: look at its log", listed ? listed->state : "nothing");
	finish(r);
}

static void on_states(void *ctx, const struct bytes *states)
{
	struct restore *r = ctx;

	if (!states)
		refuse(r, "the kernel does not list its SAs");
	if (r->phase == LOOKING && states)
		give(r, states);
	else if (r->phase == LOOKING)
		finish(r);
	else if (states)
		check(r, states);
	else
		take_back(r);
}

static void on_sa(void *ctx, const struct vici_sa *sa)
{
	struct restore *r = ctx;

	vici_sas_add(&r->sas, sa);
}

static void on_listed(void *ctx, bool ok)
{
	struct restore *r = ctx;

	vici_sas_sort(&r->sas);
	if (!ok)
		refuse(r, "charon does not answer over vici");
	if (ok && r->phase == CONFIRMING)
		confirm(r);
	else if (ok)
		xfrm_list_states(r->xfrm, on_states, r);
	else if (r->phase == CHECKING)
		take_back(r);
	else
		finish(r);
}

static void list(struct restore *r, enum phase phase)
{
	r->phase = phase;
	vici_sas_free(&r->sas);
	vici_list_sas(r->p.vici, on_sa, on_listed, r);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct restore *r = arg;
	bool idle = charon_idle(r->p.ch);

	(void)fd;
	(void)what;
	if (!idle && now_ms() - r->since_ms < TAKES_MS) {
		arm(r);
	} else if (r->phase == TAKING_BACK) {
		finish(r);
	} else if (idle) {
		list(r, CHECKING);
	} else {
		refuse(r, "charon does not read what it is given: does it hang?");
		take_back(r);
	}
}

void restore_begin(struct restore *r, struct context *context, bool only_try, void (*done)(void *ctx, const char *why, unsigned int deaf_ms), void *ctx)
{
	if (r->phase != IDLE) {
		context_free(context);
		done(ctx, "another one is being put (try again)", 0);
		return;
	}
	r->context = *context;
	r->only_try = only_try;
	r->kept = false;
	r->collides = 0;
	r->deaf_ms = 0;
	r->moves = false;
	r->why[0] = 0;
	r->done = done;
	r->ctx = ctx;
	if (may_begin(r) && has_place(r) && is_new(r) && is_configured(r))
		list(r, LOOKING);
	else
		finish(r);
}

uint32_t restore_collides(const struct restore *r)
{
	return r->collides;
}

bool restore_is_kept(const struct restore *r)
{
	return r->kept;
}

bool restore_has(const struct restore *r, const struct context *context)
{
	const struct journal_sa *theirs = context_sa(context), *sa = NULL;
	const struct journal *j = relay_journal(r->p.relay);

	if (journal_find(j, &theirs->id))
		return true;
	while ((sa = journal_next(j, sa))) {
		if (is_same_far_end(sa, theirs))
			return true;
	}
	return false;
}

const struct context *restore_context(const struct restore *r)
{
	return &r->context;
}

const struct announced *restore_announced(const struct restore *r)
{
	return r->moves ? announce_last(r->p.announce) : NULL;
}

struct restore *restore_alloc(struct event_base *base, const struct restore_parts *parts)
{
	struct restore *r = secret_alloc(sizeof(*r));

	r->p = *parts;
	r->xfrm = xfrm_list_alloc(base, parts->c);
	r->timer = evtimer_new(base, on_timer, r);
	return r;
}

void restore_free(struct restore *r)
{
	end_stillness(r);
	event_free(r->timer);
	xfrm_list_free(r->xfrm);
	vici_sas_free(&r->sas);
	context_free(&r->context);
	secret_free(r, sizeof(*r));
}
