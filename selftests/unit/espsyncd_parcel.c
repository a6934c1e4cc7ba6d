// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_parcel.c - user/espsyncd's parcels: what is sent in pieces comes out whole, and what a peer makes up does not.
 *
 * Job: each length around a piece, two peers at a time, a connection that ends in between, frames by hand.
 */
// SOURCES: ../../user/espsyncd/bytes.c
#include <string.h>

#include "../../user/espsyncd/parcel.c"
#include "ktap.h"

#define FRAMES	64

static struct config config = { .n_peers = 2 };
static struct { uint8_t *data; size_t len; } sent[FRAMES];
static unsigned int n_sent, n_came;
static struct parcel came;
static struct bytes content;

void link_send(struct links *l, unsigned int peer, uint8_t type, const void *head, size_t head_len, const void *body, size_t body_len)
{
	(void)l, (void)peer;
	assert(type == PARCEL_FRAME && n_sent < FRAMES && head_len + body_len <= LINK_MAX_FRAME);
	sent[n_sent].len = head_len + body_len;
	sent[n_sent].data = secret_alloc(head_len + body_len);
	memcpy(sent[n_sent].data, head, head_len);
	memcpy(sent[n_sent++].data + head_len, body, body_len);
}

static void arrived(void *ctx, const struct parcel *p)
{
	(void)ctx;
	came = *p;
	n_came++;
	bytes_free(&content);
	bytes_add(&content, p->data, p->len);
}

static struct parcels *fresh(void)
{
	n_came = 0;
	return parcels_alloc(&config, NULL, arrived, NULL);
}

static void end(struct parcels *ps)
{
	while (n_sent) {
		n_sent--;
		secret_free(sent[n_sent].data, sent[n_sent].len);
	}
	bytes_free(&content);
	parcels_free(ps);
}

static bool give(struct parcels *ps, unsigned int peer, unsigned int i)
{
	return parcels_frame(ps, peer, sent[i].data, sent[i].len);
}

/* A frame by hand. */
static bool say(struct parcels *ps, uint32_t id, uint8_t kind, uint32_t left, size_t piece)
{
	static uint8_t frame[HEAD + LINK_MAX_FRAME];
	struct bytes b = { 0 };
	bool ok;

	bytes_add_u32(&b, id);
	bytes_add_u8(&b, kind);
	bytes_add_u32(&b, left);
	memcpy(frame, bytes_at(&b), HEAD);
	bytes_free(&b);
	ok = parcels_frame(ps, 0, frame, HEAD + piece);
	return ok;
}

static bool every_length_comes_out_whole(void)
{
	static const size_t lengths[] = { 0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, PARCEL_MAX };
	static uint8_t data[PARCEL_MAX];
	unsigned int i, n;

	for (i = 0; i < PARCEL_MAX; i++)
		data[i] = i * 7 + i / 251;
	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct parcels *ps = fresh();

		parcels_send(ps, 1, 70 + i, PARCEL_TAKE, data, lengths[i]);
		ktap_expect(n_sent == (lengths[i] + PIECE - 1) / PIECE + !lengths[i]);
		for (n = 0; n < n_sent; n++) {
			ktap_expect(!n_came);
			ktap_expect(give(ps, 1, n));
		}
		ktap_expect(n_came == 1 && came.peer == 1 && came.id == 70 + i && came.kind == PARCEL_TAKE && came.len == lengths[i]);
		ktap_expect(!memcmp(bytes_at(&content), data, lengths[i]));
		end(ps);
	}
	return true;
}

static bool peers_do_not_mix(void)
{
	static uint8_t data[2 * PIECE];
	struct parcels *ps = fresh();

	parcels_send(ps, 0, 1, PARCEL_TRY, data, sizeof(data));
	data[0] = 1;
	parcels_send(ps, 0, 1, PARCEL_TRY, data, sizeof(data));
	ktap_expect(give(ps, 0, 0) && give(ps, 1, 2) && give(ps, 0, 1));
	ktap_expect(n_came == 1 && came.peer == 0 && bytes_at(&content)[0] == 0);
	ktap_expect(give(ps, 1, 3) && n_came == 2 && came.peer == 1 && bytes_at(&content)[0] == 1);
	end(ps);
	return true;
}

static bool half_of_one_is_forgotten_with_its_peer(void)
{
	static uint8_t data[2 * PIECE];
	struct parcels *ps = fresh();

	parcels_send(ps, 0, 1, PARCEL_TRY, data, sizeof(data));
	parcels_listens(ps, 0);
	ktap_expect(parcels_can(ps, 0) && !parcels_can(ps, 1) && give(ps, 0, 0));
	parcels_peer_down(ps, 0);
	ktap_expect(!parcels_can(ps, 0) && give(ps, 0, 1) && n_came == 1 && came.len == PIECE);
	end(ps);
	return true;
}

static bool what_is_made_up_ends_the_connection(void)
{
	static const struct { uint32_t id; uint8_t kind; uint32_t left; size_t piece; } bad[] = {
		{ 1, 0, 0, 1 }, { 1, __PARCEL_MAX, 0, 1 }, { 1, 255, 0, 1 }, { 1, PARCEL_TRY, PARCEL_MAX, 1 }, { 1, PARCEL_TRY, 0xffffffff, 1 },
		{ 1, PARCEL_TRY, 5, 0 },
	};
	struct parcels *ps = fresh();
	uint8_t none[HEAD] = { 0 };
	unsigned int i;

	for (i = 0; i < HEAD; i++)
		ktap_expect(!parcels_frame(ps, 0, none, i));
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ktap_expect(!say(ps, bad[i].id, bad[i].kind, bad[i].left, bad[i].piece));
	ktap_expect(say(ps, 1, PARCEL_TRY, 10, 5) && !say(ps, 1, PARCEL_TRY, 6, 5));	/* of what it said to come */
	ktap_expect(say(ps, 2, PARCEL_TRY, 10, 5) && say(ps, 3, PARCEL_TRY, 0, 3));	/* another one begins */
	ktap_expect(n_came == 1 && came.id == 3 && came.len == 3);
	end(ps);
	return true;
}

static const struct ktap_case cases[] = {
	{ "every length comes out whole", every_length_comes_out_whole },
	{ "peers do not mix", peers_do_not_mix },
	{ "half of one is forgotten with its peer", half_of_one_is_forgotten_with_its_peer },
	{ "what is made up ends the connection", what_is_made_up_ends_the_connection },
};

KTAP_MAIN(cases)
