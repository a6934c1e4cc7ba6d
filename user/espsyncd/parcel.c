// SPDX-License-Identifier: GPL-2.0-or-later
/* parcel: what helpers say to each other of a VPN that moves. See parcel.h. */
#include <string.h>

#include "bytes.h"
#include "parcel.h"

#define HEAD	9
#define PIECE	(32 << 10)

/* One of a peer that has not all come. */
struct arriving {
	bool listens;
	uint32_t id;
	uint8_t kind;
	uint32_t left;
	struct bytes data;
};

struct parcels {
	struct links *links;
	void (*arrived)(void *ctx, const struct parcel *p);
	void *ctx;
	unsigned int n;
	struct arriving peers[CONFIG_MAX_PEERS];
};

void parcels_listens(struct parcels *ps, unsigned int peer)
{
	ps->peers[peer].listens = true;
}

void parcels_peer_down(struct parcels *ps, unsigned int peer)
{
	struct arriving *a = &ps->peers[peer];

	bytes_free(&a->data);
	memset(a, 0, sizeof(*a));
}

bool parcels_can(const struct parcels *ps, unsigned int peer)
{
	return ps->peers[peer].listens;
}

void parcels_send(struct parcels *ps, unsigned int peer, uint32_t id, enum parcel_kind kind, const void *data, size_t len)
{
	const uint8_t *p = data;
	struct bytes head;
	size_t n;

	do {
		n = len < PIECE ? len : PIECE;
		len -= n;
		memset(&head, 0, sizeof(head));
		bytes_add_u32(&head, id);
		bytes_add_u8(&head, kind);
		bytes_add_u32(&head, len);
		link_send(ps->links, peer, PARCEL_FRAME, bytes_at(&head), bytes_left(&head), p, n);
		bytes_free(&head);
		p += n;
	} while (len);
}

/* The next piece of what is coming, or the first one of something. */
static bool fits(struct arriving *a, uint32_t id, uint8_t kind, uint32_t left, size_t piece)
{
	bool goes_on = bytes_left(&a->data) && a->id == id && a->kind == kind;

	if (!kind || kind >= __PARCEL_MAX || left > PARCEL_MAX || (left && !piece))
		return false;
	if (!goes_on)
		bytes_free(&a->data);
	if (goes_on ? a->left != left + piece : left + piece > PARCEL_MAX)
		return false;
	a->id = id;
	a->kind = kind;
	a->left = left;
	return true;
}

bool parcels_frame(struct parcels *ps, unsigned int peer, const uint8_t *data, size_t len)
{
	struct arriving *a = &ps->peers[peer];
	struct bytes whole;
	struct parcel p;

	if (len < HEAD || !fits(a, get_u32(data), data[4], get_u32(data + 5), len - HEAD))
		return false;
	bytes_add(&a->data, data + HEAD, len - HEAD);
	if (a->left)
		return true;
	whole = a->data;
	memset(&a->data, 0, sizeof(a->data));
	p = (struct parcel){ peer, a->id, a->kind, bytes_at(&whole), bytes_left(&whole) };
	ps->arrived(ps->ctx, &p);
	bytes_free(&whole);
	return true;
}

struct parcels *parcels_alloc(const struct config *c, struct links *l, void (*arrived)(void *ctx, const struct parcel *p), void *ctx)
{
	struct parcels *ps = secret_alloc(sizeof(*ps));

	ps->n = c->n_peers;
	ps->links = l;
	ps->arrived = arrived;
	ps->ctx = ctx;
	return ps;
}

void parcels_free(struct parcels *ps)
{
	unsigned int i;

	for (i = 0; i < ps->n; i++)
		bytes_free(&ps->peers[i].data);
	secret_free(ps, sizeof(*ps));
}
