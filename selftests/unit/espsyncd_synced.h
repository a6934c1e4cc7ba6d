/* SPDX-License-Identifier: GPL-2.0 */
/*
 * espsyncd_synced.h - a charon that has been told all that the journal knows, has nothing to say, and has answered whatever far ends asked, so that no packet
 * waits; a kernel that takes what it is told; and a peer whose configuration is nobody's business.
 */
#ifndef UNIT_ESPSYNCD_SYNCED_H
#define UNIT_ESPSYNCD_SYNCED_H

#include "../../user/espsyncd/charon.h"
#include "../../user/espsyncd/commit.h"
#include "../../user/espsyncd/drift.h"
#include "../../user/espsyncd/kernel.h"
#include "../../user/espsyncd/parcel.h"
#include "../../user/espsyncd/retransmit.h"
#include "../../user/espsyncd/sync.h"
#include "../../user/espsyncd/xfrm.h"

static bool far_end_uses_it;
static unsigned int listens, pieces;	/* peers said so, and frames came */

size_t charon_backlog(const struct charon *ch)
{
	(void)ch;
	return 0;
}

uint64_t charon_silence_ms(const struct charon *ch)
{
	(void)ch;
	return 0;
}

void charon_read_all(struct charon *ch)
{
	(void)ch;
}

bool commit_tells(struct commit *c)
{
	(void)c;
	return false;
}

int kernel_expect(struct kernel *k, const struct ha_addr *dst, uint32_t spi)
{
	(void)k, (void)dst, (void)spi;
	return 0;
}

void drift_listens(struct drift *d, unsigned int peer)
{
	(void)d, (void)peer;
	listens++;
}

void drift_peer_down(struct drift *d, unsigned int peer)
{
	(void)d, (void)peer;
}

void drift_writable(struct drift *d, unsigned int peer)
{
	(void)d, (void)peer;
}

bool drift_frame(struct drift *d, unsigned int peer, const uint8_t *data, size_t len)
{
	(void)d, (void)peer, (void)data;
	pieces++;
	return len >= 8;
}

void parcels_listens(struct parcels *ps, unsigned int peer)
{
	(void)ps, (void)peer;
}

void parcels_peer_down(struct parcels *ps, unsigned int peer)
{
	(void)ps, (void)peer;
}

bool parcels_frame(struct parcels *ps, unsigned int peer, const uint8_t *data, size_t len)
{
	(void)ps, (void)peer, (void)data, (void)len;
	return true;
}

bool xfrm_in_use(const struct ha_addr *dst, uint32_t spi)
{
	(void)dst, (void)spi;
	return far_end_uses_it;
}

void retransmit_first(struct retransmit *r, const struct ike_id *id)
{
	(void)r, (void)id;
}

bool retransmit_withholds(struct retransmit *r, const struct ike_id *id)
{
	(void)r, (void)id;
	return false;
}

bool sync_takes_live(struct sync *s)
{
	(void)s;
	return true;
}

bool sync_is_done(const struct sync *s)
{
	(void)s;
	return true;
}

unsigned int sync_missing(const struct sync *s, const char **why)
{
	(void)s;
	*why = "";
	return 0;
}

static struct unprotected in_charon;

const struct unprotected *sync_unprotected(const struct sync *s)
{
	(void)s;
	return &in_charon;
}

#endif /* UNIT_ESPSYNCD_SYNCED_H */
