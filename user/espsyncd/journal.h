/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal: per IKE SA, the messages that rebuild it in an empty charon.
 *
 * Room: which messages are kept, for how long, and in which order they are told again. Pure: no I/O, no clock. It holds keys,
 * so all of it lives in memory of bytes.h. Only messages of complete IKE SAs may enter: transaction.h decides that.
 *
 * A chain is an IKE SA with those that it replaced by rekeying: a tunnel. An ancestor stays as long as a CHILD SA lives that was
 * made under it, because charon derives that CHILD SA's keys from the ancestor's SK_d. One without goes, wherever in the chain it
 * stands: its successor says from then on that it replaces the one before it, which moves that one's CHILD SAs on, and has its own
 * keys from OLD_SKD, which it carries. So a chain is never longer than the tunnel has CHILD SAs, and one.
 *
 * What a far end can ask of charon without end is bounded: struct journal_limits. What finds no room is refused, never taken in
 * the place of something else; the owner is told, and says so.
 */
#ifndef ESPSYNCD_JOURNAL_H
#define ESPSYNCD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "codec.h"

#define JOURNAL_MAX_ADDS	8	/* RFC 9370: one and up to seven additional key exchanges */
#define JOURNAL_TUNNEL		8192	/* what each tunnel may have, whatever the others have */

struct journal;

/**
 * struct journal_limits - how much memory may be taken
 * @tunnel: by one tunnel; it may be exceeded by one IKE SA, for a rekeying is not refused
 * @all: by all, so long as they have more than JOURNAL_TUNNEL each. There are never more tunnels than have room in it with so much
 *
 * With messages as long as charon's that makes twice @all at most: see journal_ceiling().
 */
struct journal_limits {
	size_t tunnel;
	size_t all;
};

/* Where the journal ends whatever comes, but for the rest of one IKE SA that had begun: for a peer that makes up its messages. */
size_t journal_ceiling(const struct journal_limits *limits);

enum journal_result {
	JOURNAL_IGNORED,	/* says nothing about an IKE SA that the journal knows, or repeats what it knows */
	JOURNAL_TAKEN,
	JOURNAL_REFUSED,	/* an IKE SA or a CHILD SA finds no room */
};

enum journal_room {
	JOURNAL_ROOM,
	JOURNAL_TUNNEL_FULL,	/* the tunnel's own limit */
	JOURNAL_FULL,		/* that of all */
};

/**
 * typedef journal_emit - takes one message of a walk
 * @ctx: the caller's
 * @m: the message, read
 * @data: the message, as it travels
 * @len: length of @data
 */
typedef void (*journal_emit)(void *ctx, const struct ha_msg *m, const uint8_t *data, size_t len);

struct journal_raw {
	uint8_t *data;
	size_t len;
};

/**
 * struct journal_child - a CHILD SA that lives
 * @link: among its IKE SA's
 * @spi_in: the gateway's inbound SPI
 * @spi_out: the gateway's outbound SPI
 * @raw: its CHILD_ADD
 */
struct journal_child {
	TAILQ_ENTRY(journal_child) link;
	uint32_t spi_in;
	uint32_t spi_out;
	struct journal_raw raw;
};

TAILQ_HEAD(journal_children, journal_child);

/**
 * struct journal_sa - an IKE SA, living or ancestor of a living one
 * @link: in the journal, in order of creation
 * @hash: in the journal's table
 * @id: its name
 * @deleted: its IKE_DELETE has been told
 * @skips: charon's newest request is its first, and a charon that is gone had made one shortly before
 * @crowded: it lives, and CHILD SAs of it were refused: for which limit (enum journal_room)
 * @asked_ms: when the far end's newest request was told of, see journal_asked(), of 49 days; 0: nobody here saw that
 * @asks_ms: the same of charon's newest request
 * @asks_life: charon's life in which it has made that
 * @prev: the IKE SA that it replaced, if that is still needed
 * @next: the IKE SA that replaced it; NULL: this one lives
 * @wanted: what the biggest of these would have taken
 * @size: memory that it takes, with its CHILD SAs
 * @name: of the connection; NULL: it is replaced, or not complete
 * @local: the gateway's address
 * @remote: the far end's
 * @adds: IKE_ADD, several with RFC 9370
 * @n_adds: how many
 * @asked_life: charon's life in which the far end has asked, see journal_inherit()
 * @asked_made: inbound SPI of the CHILD SA that this has made, or 0
 * @update: the IKE_UPDATE that names the connection
 * @vips: the IKE_UPDATE with inner addresses, if it lives
 * @mid_i: newest IKE_MID_INITIATOR, if it lives
 * @mid_r: newest IKE_MID_RESPONDER, if it lives
 * @iv: newest IKE_IV, if it lives
 * @children: CHILD SAs made under this IKE SA that live
 */
struct journal_sa {
	TAILQ_ENTRY(journal_sa) link;
	TAILQ_ENTRY(journal_sa) hash;
	struct ike_id id;
	bool deleted;
	bool skips;
	uint8_t crowded;
	uint16_t asks_life;
	uint32_t asked_ms;
	uint32_t asks_ms;
	struct journal_sa *prev;
	struct journal_sa *next;
	size_t wanted;
	size_t size;
	char *name;
	struct ha_addr local;
	struct ha_addr remote;
	struct journal_raw *adds;
	uint8_t n_adds;
	uint16_t asked_life;
	uint32_t asked_made;
	struct journal_raw update;
	struct journal_raw vips;
	struct journal_raw mid_i;
	struct journal_raw mid_r;
	struct journal_raw iv;
	struct journal_children children;
};

struct journal *journal_alloc(void);
void journal_free(struct journal *j);

/**
 * journal_limit() - from now on the journal is bounded
 * @j: the journal
 * @limits: how much it may take
 *
 * Not before it has been filled with what another journal holds: that is bounded there, and comes in another order.
 */
void journal_limit(struct journal *j, const struct journal_limits *limits);

/**
 * journal_apply() - take a message in
 * @j: the journal
 * @m: the message, read
 * @data: the message, as it travels
 * @len: length of @data
 *
 * Where an IKE SA was refused, so is the IKE_UPDATE that names its connection.
 *
 * Return: what became of it
 */
enum journal_result journal_apply(struct journal *j, const struct ha_msg *m, const uint8_t *data, size_t len);

/**
 * journal_find() - an IKE SA by name
 * @j: the journal
 * @id: the name
 *
 * Return: it, also if it was replaced but is still needed; or NULL
 */
struct journal_sa *journal_find(const struct journal *j, const struct ike_id *id);

/**
 * journal_name() - of an IKE SA's connection
 * @sa: the IKE SA
 *
 * Return: "" while it is not told, and once it is replaced.
 */
static inline const char *journal_name(const struct journal_sa *sa)
{
	return sa->name ? sa->name : "";
}

/**
 * journal_next() - walk the IKE SAs that live, oldest first
 * @j: the journal
 * @sa: the one before, or NULL for the first
 *
 * Return: the next one, or NULL
 */
struct journal_sa *journal_next(const struct journal *j, const struct journal_sa *sa);

/* Memory that a tunnel takes, of which @sa is an IKE SA. */
size_t journal_chain_size(const struct journal_sa *sa);

/* How many IKE SAs live, how many CHILD SAs, and how much memory the journal takes for all, as malloc() counts. */
unsigned int journal_count(const struct journal *j);
unsigned int journal_children(const struct journal *j);
size_t journal_size(const struct journal *j);

/**
 * journal_room() - is there room for more
 * @j: the journal
 * @sa: an IKE SA that lives, for a CHILD SA; NULL: for one more tunnel
 *
 * Where something was refused there is room again only when a quarter is free, so that a rekeying for its sake is worth it.
 *
 * Return: JOURNAL_ROOM, or which limit it is
 */
enum journal_room journal_room(const struct journal *j, const struct journal_sa *sa);

/* An IKE SA that lives and is crowded, or NULL. */
const struct journal_sa *journal_crowded(const struct journal *j);

/* For want of which room something was refused, be it there again or not; JOURNAL_ROOM: nothing was, as far as is known. */
enum journal_room journal_refused(const struct journal *j);

/**
 * journal_replay() - tell all that rebuilds one IKE SA with its CHILD SAs, in an order that charon accepts
 * @sa: an IKE SA that lives
 * @emit: takes each message
 * @ctx: for @emit
 */
void journal_replay(const struct journal_sa *sa, journal_emit emit, void *ctx);

/* The same for all, oldest chain first. */
void journal_replay_all(const struct journal *j, journal_emit emit, void *ctx);

/* Only what charon takes twice without harm: newest addresses and message IDs. */
void journal_refresh(const struct journal_sa *sa, journal_emit emit, void *ctx);

/**
 * journal_asked() - take note of what a charon tells as it happens
 * @j: the journal, to which it was applied
 * @m: the message: an IKE_MID_RESPONDER or IKE_MID_INITIATOR, or the CHILD_ADD that follows from it
 * @now: milliseconds
 *
 * Not for what is told again later: that says nothing of when the far end asked.
 */
void journal_asked(struct journal *j, const struct ha_msg *m, uint64_t now);

/* What was told until @now was by a charon that is gone: another one, or another node's, takes its place. */
void journal_inherit(struct journal *j, uint64_t now);

/**
 * journal_unanswered() - may the far end's newest request have died with its charon
 * @j: the journal
 * @sa: an IKE SA that lives
 *
 * Return: true if it came to a charon that is gone, less than a minute before another took its place, and that one has not asked
 * anything itself
 */
bool journal_unanswered(const struct journal *j, const struct journal_sa *sa);

/**
 * journal_next_request() - the far end's request that charon expects
 * @sa: an IKE SA that lives
 * @mid: its message ID
 *
 * Return: false if that was not told
 */
bool journal_next_request(const struct journal_sa *sa, uint32_t *mid);

/**
 * journal_skipped() - the request that a far end may be waiting for
 * @sa: an IKE SA that lives
 * @mid: its message ID, never 0: charon cannot be told that
 *
 * A charon tells of its request before it makes it. If it died in between its successor makes the next one, and the far end ignores
 * all but the one that it has not got.
 *
 * Return: true if charon's newest request is its first one in this IKE SA, and may be such a next one
 */
bool journal_skipped(const struct journal_sa *sa, uint32_t *mid);

/* Milliseconds since charon made its newest request, of which there is one, and whether the far end has made one after it. */
uint32_t journal_asks_for(const struct journal_sa *sa, uint64_t now);
bool journal_asked_since(const struct journal_sa *sa);

/**
 * journal_made_in_vain() - a CHILD SA that the far end does not know
 * @j: the journal
 * @id: an IKE SA
 * @mid: of a request that the far end makes now
 *
 * Return: inbound SPI of the CHILD SA that a charon which is gone made for the same request, or 0
 */
uint32_t journal_made_in_vain(const struct journal *j, const struct ike_id *id, uint32_t mid);

/* The CHILD SA of @sa's chain with that inbound SPI; @under: the IKE SA that it was made under. */
struct journal_child *journal_child_find(struct journal_sa *sa, uint32_t spi_in, struct journal_sa **under);

#endif /* ESPSYNCD_JOURNAL_H */
