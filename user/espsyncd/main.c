// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main: espsyncd, the helper that carries IKE state between the strongSwan daemons of a cluster.
 *
 * Room: the command line, what makes the process safe to hold keys, and which part hears of what. One thread, one event loop;
 * nothing waits but the module's PROMOTE and DEMOTE, which are bounded.
 */
#include <event2/event.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "audit.h"
#include "bounce.h"
#include "bytes.h"
#include "charon.h"
#include "check.h"
#include "commit.h"
#include "config.h"
#include "drift.h"
#include "ferry.h"
#include "files.h"
#include "ike.h"
#include "initiate.h"
#include "kernel.h"
#include "link.h"
#include "log.h"
#include "move.h"
#include "parcel.h"
#include "rekey.h"
#include "relay.h"
#include "restore.h"
#include "retransmit.h"
#include "roles.h"
#include "sd.h"
#include "seal.h"
#include "segment.h"
#include "spis.h"
#include "start_action.h"
#include "stray.h"
#include "sync.h"
#include "vici.h"
#include "vici_events.h"
#include "vrrp.h"
#include "xfrm.h"

#define CONFIG_FILE	"/etc/espsync/espsyncd.conf"
#define FLUSH_MS	2000	/* for the records that peers have not got yet; from a peer that is slower they come back as rekeyings */

struct daemon {
	struct config config;
	struct event_base *base;
	struct charon *ch;
	struct links *links;
	struct vici *vici;
	struct kernel *kernel;
	struct sync *sync;
	struct relay *relay;
	struct segment *segment;
	struct vrrp *vrrp;
	struct rekey *rekey;
	struct retransmit *retransmit;
	struct vici_events *events;
	struct audit *audit;
	struct drift *drift;
	struct initiate *initiate;
	struct start_action *start_action;
	struct commit *commit;
	struct roles *roles;
	struct seal seal;
	struct bounce *bounce;
	struct restore *restore;
	struct announce *announce;
	struct parcels *parcels;
	struct ferry *ferry;
	struct move *move;
	struct stray *stray;
	struct ike *ike;
	struct event *signals[2];
};

/* charon */

static void on_message(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct daemon *d = ctx;

	relay_local_message(d->relay, m, data, len);
}

static void on_segment(void *ctx, enum charon_segment s, bool confirms)
{
	struct daemon *d = ctx;

	if (s == CHARON_ACTIVE && confirms)
		retransmit_listen(d->retransmit);
	else if (confirms)
		retransmit_stop(d->retransmit);
	segment_heard(d->segment, s, confirms);
	roles_charon(d->roles, s);
}

static void on_version(void *ctx, uint8_t version)
{
	struct daemon *d = ctx;

	relay_version(d->relay, version);
}

static void on_restarted(void *ctx, const char *why, bool anew)
{
	struct daemon *d = ctx;

	log_info("%s", why);
	if (anew) {
		rekey_forget(d->rekey);
		relay_charon_restarted(d->relay);
		drift_restarted(d->drift);
	}
	roles_charon_restarted(d->roles);
	sync_request(d->sync);
}

static void on_applied(void *ctx, uint64_t token)
{
	struct daemon *d = ctx;

	relay_applied(d->relay, token);
}

static void on_lost(void *ctx, bool from_charon)
{
	struct daemon *d = ctx;

	relay_lost(d->relay, from_charon);
}

static const struct charon_ops charon_ops = {
	.message = on_message,
	.segment = on_segment,
	.version = on_version,
	.restarted = on_restarted,
	.applied = on_applied,
	.lost = on_lost,
};

static void on_updated(void *ctx, uint32_t unique)
{
	struct daemon *d = ctx;

	audit_updated(d->audit, unique);
}

/* links */

static void on_up(void *ctx, unsigned int peer)
{
	struct daemon *d = ctx;

	relay_link_up(d->relay, peer);
}

static void on_down(void *ctx, unsigned int peer)
{
	struct daemon *d = ctx;

	relay_link_down(d->relay, peer);
	move_peer_down(d->move, peer);
}

static bool on_frame(void *ctx, unsigned int peer, uint8_t type, const uint8_t *data, size_t len)
{
	struct daemon *d = ctx;

	return relay_link_frame(d->relay, peer, type, data, len);
}

static void on_link_writable(void *ctx, unsigned int peer)
{
	struct daemon *d = ctx;

	relay_link_writable(d->relay, peer);
}

static void on_parcel(void *ctx, const struct parcel *p)
{
	struct daemon *d = ctx;

	if (p->kind == PARCEL_ANSWER)
		move_answer(d->move, p);
	else if (p->kind == PARCEL_FETCH)
		move_fetch(d->move, p);
	else
		ferry_question(d->ferry, p);
}

static const struct link_ops link_ops = {
	.up = on_up,
	.down = on_down,
	.frame = on_frame,
	.writable = on_link_writable,
};

/* the module */

static void on_role(void *ctx)
{
	struct daemon *d = ctx;

	roles_kernel(d->roles);
}

static void on_rekey_needed(void *ctx, uint32_t spi)
{
	struct daemon *d = ctx;

	rekey_spi(d->rekey, spi);
}

static const struct kernel_ops kernel_ops = {
	.role = on_role,
	.rekey_needed = on_rekey_needed,
};

/* sync, segment, keepalived */

static const struct journal *on_journal(void *ctx)
{
	struct daemon *d = ctx;

	return relay_truth(d->relay);
}

static void on_inject(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len)
{
	struct daemon *d = ctx;

	relay_inject(d->relay, m, data, len);
}

static bool on_remove(void *ctx, const struct state *state)
{
	struct daemon *d = ctx;

	if (!kernel_serves(d->kernel, &state->dst, state->spi, state->proto))
		return false;
	xfrm_remove(state);
	return true;
}

static void on_sync_done(void *ctx)
{
	struct daemon *d = ctx;

	roles_sync_done(d->roles);
}

static void on_charon_began(void *ctx, const struct vici_sa *sa)
{
	struct daemon *d = ctx;

	if (!initiate_left(d->initiate, sa->name))
		start_action_seen(d->start_action, sa);
}

static const struct sync_ops sync_ops = {
	.journal = on_journal,
	.inject = on_inject,
	.remove = on_remove,
	.begun = on_charon_began,
	.done = on_sync_done,
};

static void on_settled(void *ctx, bool active)
{
	struct daemon *d = ctx;

	if (bounce_settled(d->bounce, active))
		return;
	roles_segment_settled(d->roles, active);
	if (active)
		ferry_active(d->ferry);
	else
		move_cancel(d->move);
	initiate_look(d->initiate);
}

static bool on_may_initiate(void *ctx)
{
	struct daemon *d = ctx;

	return roles_is_active(d->roles);
}

static void on_vrrp(void *ctx, enum vrrp_state s)
{
	struct daemon *d = ctx;

	roles_vrrp(d->roles, s);
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)sig;
	(void)what;
	event_base_loopbreak(d->base);
}

/* No core file, no swap, no debugger that is not root. */
static void keep_secrets(void)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		log_warn("cannot lock memory: %s (keys may reach swap; set LimitMEMLOCK=infinity)", strerror(errno));
}

static bool open_parts(struct daemon *d, const uint8_t key[32])
{
	d->base = event_base_new();
	d->relay = relay_alloc(d->base, &d->config);
	d->roles = roles_alloc(d->base);
	d->kernel = kernel_alloc(d->base, &kernel_ops, d);
	d->vrrp = vrrp_open(d->base, &d->config, on_vrrp, d);
	d->ch = charon_open(d->base, &d->config, sd_inherited_socket(), &charon_ops, d);
	d->links = links_open(d->base, &d->config, key, &link_ops, d);
	if (!d->kernel || !d->vrrp || !d->ch || !d->links || !seal_init(&d->seal, key))
		return false;
	d->vici = vici_alloc(d->base, d->config.vici);
	d->rekey = rekey_alloc(d->base, d->vici, d->config.rekey_per_s);
	d->retransmit = retransmit_alloc(d->base, &d->config, d->ch, d->relay);
	d->events = vici_events_alloc(d->base, d->config.vici, on_updated, d);
	d->audit = audit_alloc(d->base, &d->config, d->vici, d->kernel, d->relay, d->rekey);
	d->drift = drift_alloc(d->base, &d->config, d->vici, d->links);
	d->initiate = initiate_alloc(d->base, &d->config, d->vici, d->relay, on_may_initiate, d);
	d->start_action = start_action_alloc(d->base, d->vici);
	d->parcels = parcels_alloc(&d->config, d->links, on_parcel, d);
	d->commit = commit_alloc(d->base, &d->config, d->ch, d->relay);
	d->segment = segment_alloc(d->base, d->config.fifo, d->ch, on_settled, d);
	d->bounce = bounce_alloc(d->base, d->segment);
	d->announce = announce_alloc(d->base, &d->config);
	d->sync = sync_alloc(d->base, &d->config, d->ch, d->vici, &sync_ops, d);
	return true;
}

static void open_ike(struct daemon *d)
{
	struct pick_parts pick = { .c = &d->config, .kernel = d->kernel, .relay = d->relay, .drift = d->drift };
	struct move_parts move = { .pick = pick, .ch = d->ch, .vici = d->vici, .rekey = d->rekey, .parcels = d->parcels };
	struct ferry_parts ferry = { .c = &d->config, .ch = d->ch, .relay = d->relay, .parcels = d->parcels };
	struct restore_parts restore = {
		.c = &d->config, .ch = d->ch, .vici = d->vici, .kernel = d->kernel, .relay = d->relay, .drift = d->drift, .bounce = d->bounce,
		.announce = d->announce,
	};
	struct ike_parts ike = {
		.c = &d->config, .ch = d->ch, .vici = d->vici, .relay = d->relay, .pick = pick, .parcels = d->parcels, .seal = d->seal,
	};

	d->restore = restore_alloc(d->base, &restore);
	d->move = move_alloc(d->base, &move);
	d->ferry = ferry_alloc(d->base, &ferry);
	d->stray = stray_alloc(d->base, &d->config, on_may_initiate, d);
	ike.restore = d->restore;
	ike.move = d->move;
	d->ike = ike_open(d->base, &ike);
	explicit_bzero(&ike.seal, sizeof(ike.seal));
}

/* All parts know each other before the loop begins. */
static void wire_parts(struct daemon *d)
{
	struct relay_parts relay = {
		.c = &d->config, .ch = d->ch, .links = d->links, .kernel = d->kernel, .sync = d->sync,
		.retransmit = d->retransmit, .drift = d->drift, .commit = d->commit, .parcels = d->parcels,
	};
	struct roles_parts roles = {
		.ch = d->ch, .kernel = d->kernel, .relay = d->relay, .segment = d->segment, .sync = d->sync,
		.vrrp = d->vrrp, .rekey = d->rekey, .audit = d->audit, .initiate = d->initiate, .drift = d->drift,
		.bounce = d->bounce,
	};
	static const int signals[2] = { SIGTERM, SIGINT };
	int i;

	relay_set_parts(d->relay, &relay);
	open_ike(d);
	roles.move = d->move;
	roles_set_parts(d->roles, &roles);
	for (i = 0; i < 2; i++) {
		d->signals[i] = evsignal_new(d->base, signals[i], on_signal, d);
		event_add(d->signals[i], NULL);
	}
}

/* Nothing of what charon has said so far is lost; roles stay as they are, the next helper finds them. */
static void stop(struct daemon *d)
{
	int i;

	charon_read_all(d->ch);
	commit_stop(d->commit);
	links_flush(d->links, FLUSH_MS);
	for (i = 0; i < 2; i++)
		event_free(d->signals[i]);
	ike_close(d->ike);
	stray_free(d->stray);
	restore_free(d->restore);
	announce_free(d->announce);
	bounce_free(d->bounce);
	links_close(d->links);
	move_free(d->move);
	ferry_free(d->ferry);
	parcels_free(d->parcels);
	charon_close(d->ch);
	roles_free(d->roles);
	sync_free(d->sync);
	segment_free(d->segment);
	audit_free(d->audit);
	drift_free(d->drift);
	initiate_free(d->initiate);
	start_action_free(d->start_action);
	rekey_free(d->rekey);
	retransmit_free(d->retransmit);
	vici_events_free(d->events);
	vici_free(d->vici);
	vrrp_close(d->vrrp);
	kernel_free(d->kernel);
	relay_free(d->relay);
	commit_free(d->commit);
	event_base_free(d->base);
}

static int run(const struct config *c, uint8_t key[32], bool foreground)
{
	struct daemon *d;
	bool ok;

	log_open(foreground);
	if (!foreground && daemon(0, 0)) {
		log_warn("cannot go to the background: %s", strerror(errno));
		return 1;
	}
	keep_secrets();
	signal(SIGPIPE, SIG_IGN);
	d = secret_alloc(sizeof(*d));
	d->config = *c;
	ok = open_parts(d, key);
	explicit_bzero(key, 32);
	if (!ok)
		return 1;
	wire_parts(d);
	log_info("node %u is up", c->node);
	sd_tell("READY=1\n");
	event_base_dispatch(d->base);
	sd_tell("STOPPING=1\n");
	stop(d);
	secret_free(d, sizeof(*d));
	log_info("stopped");
	return 0;
}

static int usage(void)
{
	fputs("usage: espsyncd [-c FILE] [-f] [-t] [-s] [-V]\n"
	      "  -c FILE  configuration (" CONFIG_FILE ")\n"
	      "  -f       stay in the foreground, log to stderr\n"
	      "  -t       check the configuration, print what of strongSwan's is not carried or not alike, and exit\n"
	      "  -s       print which SPIs this node's strongSwan is to choose from, for its strongswan.d, and exit\n"
	      "  -V       show the version\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	bool foreground = false, check = false, spis = false;
	const char *file = CONFIG_FILE;
	char error[CONFIG_ERROR], text[SPIS_TEXT];
	static struct config c;
	uint8_t key[32];
	int opt;

	while ((opt = getopt(argc, argv, "c:ftsV")) != -1) {
		switch (opt) {
		case 'c':
			file = optarg;
			break;
		case 'f':
			foreground = true;
			break;
		case 't':
			check = true;
			break;
		case 's':
			spis = true;
			break;
		case 'V':
			puts("espsyncd " VERSION);
			return 0;
		default:
			return usage();
		}
	}
	if (optind != argc)
		return usage();
	if (files_config(&c, file, error) || (!spis && files_key(key, c.key_file, error))) {
		fprintf(stderr, "espsyncd: %s\n", error);
		return 2;
	}
	if (spis) {
		spis_write(text, c.node);
		fputs(text, stdout);
		return 0;
	}
	if (check) {
		explicit_bzero(key, sizeof(key));
		check_print(&c);
		return 0;
	}
	return run(&c, key, foreground);
}
