// SPDX-License-Identifier: GPL-2.0-or-later
/* roles: who is active, carried out in the right order. See roles.h. */
#include <errno.h>
#include <stdio.h>

#include "bytes.h"
#include "log.h"
#include "roles.h"

#define TICK_MS		1000
#define STEP_MS		2
#define ASK_AGAIN_MS	20	/* the old owner is heard and has not answered */
#define REFUSED_MS	500
#define COMPLAIN_MS	3000
#define STALE_TICKS	10	/* to look again whether what was in doubt has been rekeyed */
#define DEMOTE_MS	300	/* to flush: keepalived has moved the address already */
/*
 * For charon to finish what it was answering when the address went. The ha plugin waits for IKE SAs that are in use with its mutex held, and
 * whoever uses one for a CHILD SA waits for that mutex: charon locks itself up if it drops its segment in the middle of an exchange.
 */
#define QUIET_MS	200

enum role { NO_ROLE, STANDBY, ACTIVE };

enum phase {
	SETTLED,
	PROMOTING,	/* the module */
	FILLING,	/* charon processes what the old owner sent */
	TAKING,		/* charon's segment */
	DEMOTING,
	QUIETING,	/* charon gets no more requests */
	DROPPING,
};

struct roles {
	struct roles_parts p;
	struct event *tick;
	struct event *step;
	enum role target;
	enum phase phase;
	enum vrrp_state vrrp;
	enum espsync_role in_kernel;	/* as last set or seen */
	bool module_seen;		/* absence was logged, or presence */
	bool module;
	bool started;
	int refused;			/* errno that was logged last */
	uint64_t since_ms;
	bool complained;
	bool took_over;			/* another charon was active */
	bool stale;			/* some SAs were, at the last look */
	unsigned int ticks;		/* since then */
};

static void step(struct roles *r);

static void arm(struct event *ev, unsigned int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(ev, &tv);
}

static void module_present(struct roles *r, bool present)
{
	if (r->module_seen && r->module == present)
		return;
	r->module_seen = true;
	r->module = present;
	r->in_kernel = ESPSYNC_ROLE_UNDECIDED;
	if (present)
		log_info("the module is there");
	else
		log_warn("the module espsync is not there: IKE is relayed, ESP counters are not (modprobe espsync)");
}

static void begin(struct roles *r, enum role target)
{
	r->target = target;
	r->phase = target == ACTIVE ? PROMOTING : DEMOTING;
	r->refused = 0;
	r->since_ms = now_ms();
	r->complained = false;
	event_del(r->step);
	bounce_cancel(r->p.bounce);
	step(r);
}

/* Return: true if the module has done it, or there is none; else it is asked again. */
static bool kernel_did(struct roles *r, int err, enum espsync_role role)
{
	if (!err || err == -ENOENT) {
		module_present(r, !err);
		if (!err)
			r->in_kernel = role;
		return true;
	}
	if (r->refused != err)
		log_warn("the module refuses to be %s: %s", role == ESPSYNC_ROLE_ACTIVE ? "active" : "standby",
			 kernel_why(r->p.kernel));
	r->refused = err;
	arm(r->step, err == -ETIMEDOUT ? ASK_AGAIN_MS : REFUSED_MS);
	return false;
}

static void promote(struct roles *r)
{
	uint32_t doubtful = 0;
	int err = kernel_promote(r->p.kernel, &doubtful);

	if (!kernel_did(r, err, ESPSYNC_ROLE_ACTIVE))
		return;
	if (doubtful)
		log_warn("%u SAs are in doubt: promoted out of sync", doubtful);
	r->took_over = charon_segment(r->p.ch) != CHARON_ACTIVE;
	segment_hold(r->p.segment, true);
	relay_activate(r->p.relay, false);
	sync_hurry(r->p.sync);
	r->phase = FILLING;
	step(r);
}

static void fill(struct roles *r)
{
	const char *why;

	if (!relay_is_complete(r->p.relay) || !sync_is_done(r->p.sync) || !charon_idle(r->p.ch)) {
		arm(r->step, STEP_MS);
		sync_missing(r->p.sync, &why);
		if (!r->complained && now_ms() - r->since_ms > COMPLAIN_MS) {
			log_warn("charon cannot take over yet: %s", *why ? why : "it is being filled");
			r->complained = true;
		}
		return;
	}
	r->phase = TAKING;
	segment_hold(r->p.segment, false);
	segment_want(r->p.segment, true);
}

static void drop(struct roles *r)
{
	r->phase = DROPPING;
	segment_want(r->p.segment, false);
}

static void demote(struct roles *r)
{
	bool flushed = true;

	if (!kernel_did(r, kernel_demote(r->p.kernel, DEMOTE_MS, &flushed), ESPSYNC_ROLE_STANDBY))
		return;
	if (!flushed)
		log_warn("standby, but the peers have not acknowledged the last numbers");
	rekey_stop(r->p.rekey);
	if (charon_segment(r->p.ch) != CHARON_ACTIVE) {
		drop(r);
		return;
	}
	r->phase = QUIETING;
	arm(r->step, QUIET_MS);
}

static void step(struct roles *r)
{
	switch (r->phase) {
	case PROMOTING:
		promote(r);
		break;
	case FILLING:
		fill(r);
		break;
	case DEMOTING:
		demote(r);
		break;
	case QUIETING:
		drop(r);
		break;
	default:
		break;
	}
}

static void on_stale(void *ctx, uint32_t spi)
{
	struct roles *r = ctx;

	r->stale = true;
	rekey_spi(r->p.rekey, spi);
}

/* Until none is left: charon may have refused, or been asked before it had them. */
static void look_for_stale(struct roles *r)
{
	r->ticks = 0;
	r->stale = false;
	if (kernel_stale(r->p.kernel, on_stale, r))
		r->stale = true;
}

void roles_segment_settled(struct roles *r, bool active)
{
	if (active && r->phase == TAKING) {
		r->phase = SETTLED;
		log_info("active, after %llu ms", (unsigned long long)(now_ms() - r->since_ms));
		vrrp_stepped_down(r->p.vrrp, false);
		look_for_stale(r);	/* what a helper before this one was told, too */
		if (r->took_over)
			rekey_taken_over(r->p.rekey);
		else
			rekey_overdue(r->p.rekey);
	} else if (!active && r->phase == DROPPING) {
		r->phase = SETTLED;
		relay_deactivate(r->p.relay);
		log_info("standby, after %llu ms", (unsigned long long)(now_ms() - r->since_ms));
	}
}

bool roles_is_active(const struct roles *r)
{
	return r->target == ACTIVE && r->phase == SETTLED && charon_segment(r->p.ch) == CHARON_ACTIVE && sync_is_done(r->p.sync);
}

void roles_vrrp(struct roles *r, enum vrrp_state s)
{
	enum role target = s == VRRP_MASTER ? ACTIVE : STANDBY;

	r->vrrp = s;
	if (s != VRRP_MASTER)
		vrrp_stepped_down(r->p.vrrp, false);	/* keepalived has followed, or went first */
	log_info("keepalived: %s", s == VRRP_MASTER ? "master" : "not master");
	if (target != r->target || r->phase == SETTLED)
		begin(r, target);
}

/* It happened without us: by hand, or the module heard a higher epoch. */
static void follow(struct roles *r, enum espsync_role role)
{
	if (role == ESPSYNC_ROLE_UNDECIDED) {
		if (r->target != NO_ROLE)
			begin(r, r->target);	/* it was loaded anew */
		return;
	}
	if ((role == ESPSYNC_ROLE_ACTIVE) == (r->target == ACTIVE) && r->target != NO_ROLE)
		return;
	log_info("the module has become %s; following", role == ESPSYNC_ROLE_ACTIVE ? "active" : "standby");
	if (role == ESPSYNC_ROLE_STANDBY && r->vrrp == VRRP_MASTER)
		vrrp_stepped_down(r->p.vrrp, true);
	begin(r, role == ESPSYNC_ROLE_ACTIVE ? ACTIVE : STANDBY);
}

void roles_kernel(struct roles *r)
{
	enum espsync_role role;

	if (!r->started || kernel_role(r->p.kernel, &role) || role == r->in_kernel)
		return;
	r->in_kernel = role;
	follow(r, role);
}

/* This helper is new, the node is active: charon and module have been at it all the time. */
static void adopt(struct roles *r)
{
	log_info("this node is active already");
	r->target = ACTIVE;
	r->phase = TAKING;
	r->took_over = false;
	r->since_ms = now_ms();
	relay_activate(r->p.relay, true);
	segment_want(r->p.segment, true);
}

void roles_charon(struct roles *r, enum charon_segment s)
{
	if (r->target == NO_ROLE && !r->module && r->started && s == CHARON_ACTIVE)
		adopt(r);
}

void roles_charon_restarted(struct roles *r)
{
	segment_hold(r->p.segment, true);
}

void roles_sync_done(struct roles *r)
{
	if (r->phase != FILLING)
		segment_hold(r->p.segment, false);
}

static void start(struct roles *r)
{
	enum espsync_role role = ESPSYNC_ROLE_UNDECIDED;

	r->started = true;
	if (r->target != NO_ROLE)
		return;			/* keepalived was faster */
	module_present(r, !kernel_role(r->p.kernel, &role));
	r->in_kernel = role;
	if (role == ESPSYNC_ROLE_ACTIVE)
		adopt(r);
	else if (role == ESPSYNC_ROLE_STANDBY)
		begin(r, STANDBY);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct kernel_report report;
	struct roles *r = arg;
	enum espsync_role role;
	unsigned int unknown;
	const char *why;
	int err;

	(void)fd;
	(void)what;
	arm(r->tick, TICK_MS);
	if (!r->started)
		start(r);
	err = kernel_role(r->p.kernel, &role);
	module_present(r, !err);
	if (err)
		return;
	if (role != r->in_kernel || (role == ESPSYNC_ROLE_UNDECIDED && r->target != NO_ROLE && r->phase == SETTLED)) {
		r->in_kernel = role;
		follow(r, role);
	}
	if (r->stale && r->target == ACTIVE && r->phase == SETTLED && ++r->ticks >= STALE_TICKS)
		look_for_stale(r);
	relay_report(r->p.relay, &report);
	unknown = audit_unknown(r->p.audit, &why);
	if (unknown) {
		report.missing += unknown;
		snprintf(report.text, sizeof(report.text), "%s", why);
	}
	if (!*report.text && initiate_not_loaded(r->p.initiate, &why)) {
		report.drift = true;
		snprintf(report.text, sizeof(report.text), "%s", why);
	}
	if (move_unknown(r->p.move))
		unprotected_add(&report.unprotected, "%s", move_unknown(r->p.move));
	report.lines = drift_lines(r->p.drift);
	kernel_report(r->p.kernel, &report);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	step(arg);
}

struct roles *roles_alloc(struct event_base *base)
{
	struct roles *r = secret_alloc(sizeof(*r));

	r->tick = evtimer_new(base, on_tick, r);
	r->step = evtimer_new(base, on_step, r);
	return r;
}

void roles_set_parts(struct roles *r, const struct roles_parts *parts)
{
	r->p = *parts;
	arm(r->tick, 0);
}

void roles_free(struct roles *r)
{
	event_free(r->tick);
	event_free(r->step);
	secret_free(r, sizeof(*r));
}
