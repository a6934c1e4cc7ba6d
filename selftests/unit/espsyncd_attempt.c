// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_attempt.c - user/espsyncd's attempt: what is initiated when, and what is said of it.
 */
// SOURCES: ../../user/espsyncd/attempt.c
#include <stdio.h>
#include <string.h>

#include "../../user/espsyncd/attempt.h"
#include "ktap.h"

static struct attempt a;
static uint64_t now;

static void fresh(void)
{
	memset(&a, 0, sizeof(a));
	a.conn = "branch";
	a.child = "net";
	a.loaded = true;
	now = 1000000;
}

static struct vici_sa ike_sa(const char *state, bool answered)
{
	struct vici_sa sa = { .name = "branch", .id = { .initiator = 1, .spi_i = { 1 } } };

	snprintf(sa.state, sizeof(sa.state), "%s", state);
	sa.id.spi_r[7] = answered;
	return sa;
}

/* A look @ms later, at which charon lists @sa, if anything. */
static enum attempt_word look(uint64_t ms, const struct vici_sa *sa)
{
	now += ms;
	attempt_look(&a);
	if (sa)
		attempt_see(&a, sa);
	return attempt_judge(&a, now);
}

static enum attempt_word look_child(uint64_t ms, const char *name, bool leaving)
{
	struct vici_sa sa = ike_sa("ESTABLISHED", true);
	struct vici_child c = { .leaving = leaving };

	snprintf(c.name, sizeof(c.name), "%s", name);
	sa.n_children = 1;
	sa.children = &c;
	return look(ms, &sa);
}

static bool what_is_not_there_is_begun(void)
{
	struct vici_sa other = ike_sa("ESTABLISHED", true);

	fresh();
	ktap_expect(look(0, NULL) == ATTEMPT_GO);
	snprintf(other.name, sizeof(other.name), "branch-2");
	ktap_expect(look(0, &other) == ATTEMPT_GO);
	ktap_expect(look_child(0, "network", false) == ATTEMPT_GO);
	ktap_expect(look_child(0, "net", true) == ATTEMPT_GO);
	a.loaded = false;
	ktap_expect(look(0, NULL) == ATTEMPT_NOTHING);
	return true;
}

static bool what_is_there_is_let_be(void)
{
	fresh();
	ktap_expect(look_child(0, "net", false) == ATTEMPT_NOTHING && !a.tries);
	ktap_expect(look_child(5000, "net", false) == ATTEMPT_NOTHING);
	ktap_expect(look(5000, NULL) == ATTEMPT_GO);
	return true;
}

/* One that is not finished would be begun a second time. */
static bool a_connection_that_is_busy_is_waited_for(void)
{
	static const char * const states[] = { "CREATED", "CONNECTING", "PASSIVE", "REKEYING", "REKEYED", "DELETING" };
	struct vici_sa sa;
	size_t i;

	fresh();
	for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
		sa = ike_sa(states[i], true);
		ktap_expect(look(1000, &sa) == ATTEMPT_NOTHING);
	}
	sa = ike_sa("ESTABLISHED", true);
	sa.adding = true;
	ktap_expect(look(1000, &sa) == ATTEMPT_NOTHING);
	sa.adding = false;
	ktap_expect(look(1000, &sa) == ATTEMPT_GO);
	return true;
}

static bool silence_is_said_once(void)
{
	struct vici_sa sa = ike_sa("CONNECTING", false);

	fresh();
	ktap_expect(look(0, NULL) == ATTEMPT_GO);
	attempt_begun(&a, now);
	ktap_expect(look(9000, &sa) == ATTEMPT_NOTHING);
	ktap_expect(look(1000, &sa) == ATTEMPT_SILENT);
	ktap_expect(look(1000, &sa) == ATTEMPT_NOTHING);
	/* charon gives up: that is no news. */
	ktap_expect(look(150000, NULL) == ATTEMPT_NOTHING);
	ktap_expect(look(4999, NULL) == ATTEMPT_NOTHING && look(1, NULL) == ATTEMPT_GO);
	attempt_begun(&a, now);
	ktap_expect(look_child(1000, "net", false) == ATTEMPT_UP && !a.tries && !a.said);
	return true;
}

static bool one_that_answered_is_not_called_silent(void)
{
	struct vici_sa sa = ike_sa("CONNECTING", true);

	fresh();
	ktap_expect(look(0, NULL) == ATTEMPT_GO);
	attempt_begun(&a, now);
	ktap_expect(look(20000, &sa) == ATTEMPT_NOTHING);
	ktap_expect(look(1000, NULL) == ATTEMPT_FAILED);
	return true;
}

static bool each_pause_is_twice_as_long(void)
{
	static const unsigned int pauses[] = { 5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000, 300000 };
	size_t i;

	fresh();
	for (i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
		ktap_expect(look(0, NULL) == ATTEMPT_GO);
		attempt_begun(&a, now);
		ktap_expect(look(2999, NULL) == ATTEMPT_NOTHING);
		ktap_expect(look(1, NULL) == (i ? ATTEMPT_NOTHING : ATTEMPT_FAILED));
		ktap_expect(look(pauses[i] - 1, NULL) == ATTEMPT_NOTHING);
		now++;
	}
	return true;
}

static bool one_that_is_lost_at_once_is_not_begun_at_once(void)
{
	fresh();
	ktap_expect(look(0, NULL) == ATTEMPT_GO);
	attempt_begun(&a, now);
	ktap_expect(look_child(1000, "net", false) == ATTEMPT_UP);
	ktap_expect(look(4999, NULL) == ATTEMPT_NOTHING && look(1, NULL) == ATTEMPT_GO);
	attempt_begun(&a, now);
	attempt_forget(&a);
	ktap_expect(look(0, NULL) == ATTEMPT_GO);
	return true;
}

static const struct ktap_case cases[] = {
	{ "what is not there is begun", what_is_not_there_is_begun },
	{ "what is there is let be", what_is_there_is_let_be },
	{ "a connection that is busy is waited for", a_connection_that_is_busy_is_waited_for },
	{ "silence is said once", silence_is_said_once },
	{ "one that answered is not called silent", one_that_answered_is_not_called_silent },
	{ "each pause is twice as long", each_pause_is_twice_as_long },
	{ "one that is lost at once is not begun at once", one_that_is_lost_at_once_is_not_begun_at_once },
};

KTAP_MAIN(cases)
