// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * word.c - the words of the contract, each list in the order of its enum in linux/espsync.h, and the search in them.
 *
 * Pure: no netlink message, no output but the refusal.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <linux/espsync.h>

#include "cli.h"
#include "err.h"
#include "word.h"

const struct words words_peer_state = WORDS([ESPSYNC_PEER_DOWN] = "down", [ESPSYNC_PEER_JOINING] = "joining",
					    [ESPSYNC_PEER_UP] = "up", [ESPSYNC_PEER_OUT] = "out");

const struct words words_link_state = WORDS([ESPSYNC_LINK_DOWN] = "down", [ESPSYNC_LINK_ONE_WAY] = "one-way",
					    [ESPSYNC_LINK_UP] = "up");

const struct words words_drop =
	WORDS([ESPSYNC_DROP_AUTH] = "auth", [ESPSYNC_DROP_REPLAY] = "replay", [ESPSYNC_DROP_TRUNCATED] = "truncated",
	      [ESPSYNC_DROP_VERSION] = "version", [ESPSYNC_DROP_KEY_ID] = "key-id",
	      [ESPSYNC_DROP_UNKNOWN_PEER] = "unknown-peer", [ESPSYNC_DROP_UNKNOWN_SA] = "unknown-sa",
	      [ESPSYNC_DROP_NO_MEMORY] = "no-memory", [ESPSYNC_DROP_RATE] = "rate");
_Static_assert(__ESPSYNC_DROP_MAX == ESPSYNC_DROP_RATE + 1, "a drop reason has no word");

const struct words words_role = WORDS([ESPSYNC_ROLE_UNDECIDED] = "undecided", [ESPSYNC_ROLE_STANDBY] = "standby",
				      [ESPSYNC_ROLE_ACTIVE] = "active");

const struct words words_doubt = WORDS([ESPSYNC_DOUBT_JUMP] = "jump", [ESPSYNC_DOUBT_HOLD] = "hold");

const struct words words_overrun = WORDS("stop", "go-on");

const struct words words_evict = WORDS("default", "never");

const struct words words_store = WORDS("any", "store");

const struct words words_inbound = WORDS([ESPSYNC_INBOUND_LENIENT] = "lenient", [ESPSYNC_INBOUND_STRICT] = "strict");

const struct words words_sa_state =
	WORDS([ESPSYNC_SA_COLD] = "cold", [ESPSYNC_SA_HOT] = "hot", [ESPSYNC_SA_WAITING] = "waiting",
	      [ESPSYNC_SA_STALE] = "stale", [ESPSYNC_SA_UNPROTECTED] = "unprotected",
	      [ESPSYNC_SA_KEY_MISMATCH] = "key-mismatch");

const struct words words_dir = WORDS([ESPSYNC_DIR_UNKNOWN] = NULL, [ESPSYNC_DIR_IN] = "in", [ESPSYNC_DIR_OUT] = "out");

const struct words words_proto = WORDS([IPPROTO_ESP] = "esp", [IPPROTO_AH] = "ah");

const struct words words_reason =
	WORDS([ESPSYNC_REASON_NO_PEER] = "no-peer", [ESPSYNC_REASON_PEER_JOINING] = "peer-joining",
	      [ESPSYNC_REASON_PEER_OUT] = "peer-out", [ESPSYNC_REASON_SA_MISSING] = "sa-missing",
	      [ESPSYNC_REASON_SA_STALE] = "sa-stale", [ESPSYNC_REASON_SA_UNPROTECTED] = "sa-unprotected",
	      [ESPSYNC_REASON_KEY_MISMATCH] = "key-mismatch", [ESPSYNC_REASON_HELPER_SILENT] = "helper-silent",
	      [ESPSYNC_REASON_IKE_MISSING] = "ike-missing", [ESPSYNC_REASON_DRIFT] = "drift",
	      [ESPSYNC_REASON_NO_VIP] = "no-vip", [ESPSYNC_REASON_NO_KEY] = "no-key",
	      [ESPSYNC_REASON_UNDECIDED] = "undecided", [ESPSYNC_REASON_OVERRUN_GO_ON] = "overrun-go-on",
	      [ESPSYNC_REASON_MODULE_VERSION] = "module-version", [ESPSYNC_REASON_STORE_ONLY] = "store-only");
_Static_assert(__ESPSYNC_REASON_MAX == ESPSYNC_REASON_STORE_ONLY + 1, "a reason has no word");

const struct words words_event =
	WORDS([ESPSYNC_EVENT_ROLE] = "role", [ESPSYNC_EVENT_PEER] = "peer", [ESPSYNC_EVENT_SA] = "sa",
	      [ESPSYNC_EVENT_OVERRUN] = "overrun", [ESPSYNC_EVENT_STALE] = "stale",
	      [ESPSYNC_EVENT_REKEY_NEEDED] = "rekey-needed", [ESPSYNC_EVENT_KEY_MISMATCH] = "key-mismatch",
	      [ESPSYNC_EVENT_CONFLICT] = "conflict", [ESPSYNC_EVENT_RESYNC] = "resync",
	      [ESPSYNC_EVENT_UNPROTECTED] = "unprotected", [ESPSYNC_EVENT_REFUSED] = "refused",
	      [ESPSYNC_EVENT_STALLED] = "stalled", [ESPSYNC_EVENT_READY] = "ready", [ESPSYNC_EVENT_LINK] = "link");
_Static_assert(__ESPSYNC_EVENT_MAX == ESPSYNC_EVENT_LINK + 1, "an event has no word");

const char *word_name(const struct words *words, unsigned int value)
{
	return value < words->n ? words->v[value] : NULL;
}

int word_find(const struct words *words, const char *name)
{
	for (size_t i = 0; i < words->n; i++)
		if (words->v[i] && !strcmp(words->v[i], name))
			return (int)i;
	return -1;
}

#define LONGEST 31 /* no word is longer; what is, resembles none */

/* Levenshtein's distance, one row at a time. Both strings are at most LONGEST long. */
static unsigned int distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned int row[LONGEST + 1];

	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *word_nearest(const struct words *words, const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;
	unsigned int best = 3;

	if (!len || len > LONGEST)
		return NULL;
	for (size_t i = 0; i < words->n; i++) {
		unsigned int d;

		if (!words->v[i] || strlen(words->v[i]) > LONGEST)
			continue;
		d = distance(name, words->v[i]);
		if (len > 1 && !strncmp(words->v[i], name, len))
			d = 1;
		if (d < best && d < strlen(words->v[i])) {
			best = d;
			found = words->v[i];
		}
	}
	return found;
}

int word_unknown(const char *what, const struct words *words, const char *name)
{
	const char *near = word_nearest(words, name);
	char remedy[256] = "did you mean '";
	size_t used;

	if (near) {
		strncat(remedy, near, LONGEST);
		strcat(remedy, "'?");
		return fail(BAD, what, remedy, "unknown word '%s'", name);
	}
	used = (size_t)snprintf(remedy, sizeof(remedy), "words here:");
	for (size_t i = 0; i < words->n && used < sizeof(remedy); i++)
		if (words->v[i])
			used += (size_t)snprintf(remedy + used, sizeof(remedy) - used, " %s", words->v[i]);
	return fail(BAD, what, words->n ? remedy : "nothing may follow here", "unknown word '%s'", name);
}
