// SPDX-License-Identifier: GPL-2.0
/*
 * window_random.c - kmod/window.c against a slow and obvious model, at random.
 *
 * Job: three nodes with windows of random shape and size receive packets and
 * merge each other's windows in random order. Beside each stands a model, a
 * set of seen numbers and an edge, that knows nothing of bits. After every step
 * xfrm (xfrm_window.h) must accept exactly the numbers that the model does.
 *
 * UNIT_SEED=N repeats a run, UNIT_ROUNDS=N makes it longer.
 */
// SOURCES: ../../kmod/window.c
#include "ktap.h"
#include "xfrm_window.h"

#define G	(1ULL << 32)
#define RANGE	(3 * ES_WINDOW_MAX)
#define NODES	3

static u64 rng;

static u32 random_below(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 16) % n;
}

/* The set of seen numbers: one byte for each of the numbers base to base + RANGE - 1. */
struct model {
	u64 base;
	u64 edge;
	u32 size;
	u64 last;	/* the highest number that the shape can hold */
	u8 seen[RANGE];
};

struct node {
	struct xw x;
	struct model m;
};

static bool model_accepts(const struct model *m, u64 number)
{
	if (number > m->last)
		return false;
	if (!m->size || number > m->edge)
		return true;
	return m->edge - number < m->size && !m->seen[number - m->base];
}

static void model_receive(struct model *m, u64 number)
{
	if (!m->size)
		return;
	m->seen[number - m->base] = 1;
	m->edge = max(m->edge, number);
}

/* The merge rule, for what @from tells when it tells its newest @cut numbers. */
static bool model_merge(struct model *to, const struct model *from, u32 cut)
{
	u64 told = min_t(u64, min(cut, from->size), from->edge), number;
	u64 edge = max(to->edge, from->edge);
	bool changed = edge > to->edge;

	if (from->edge > to->last)
		return false;
	for (number = to->base + !to->base; number <= from->edge && to->size; number++) {
		bool covered = from->edge - number < told;

		if (covered ? !from->seen[number - to->base] : number <= to->edge)
			continue;
		changed |= !to->seen[number - to->base] && edge - number < to->size;
		to->seen[number - to->base] = 1;
	}
	to->edge = edge;
	return changed;
}

/*
 * Where the size is not a power of two xfrm itself loses its place when the low
 * half of the edge passes from 0 to 1 (see window.c). The model takes over what
 * xfrm checks from then on.
 */
static bool xfrm_lost_its_place(const struct xw *x, u64 before)
{
	u64 moved = xw_edge(x) - before;

	return x->shape != ES_LEGACY && x->size &&
	       (((u32)before - 1) % x->size + moved) % x->size != (x->seq - 1) % x->size;
}

static void model_learn(struct node *n)
{
	u64 number = n->m.edge >= n->m.size ? n->m.edge - n->m.size + 1 : 1;

	for (; number <= n->m.edge; number++)
		n->m.seen[number - n->m.base] = !xw_accepts(&n->x, number);
}

static bool node_agrees(const struct node *n)
{
	u64 number = n->m.edge > n->m.size + 20 ? n->m.edge - n->m.size - 20 : 1;

	if (xw_edge(&n->x) != n->m.edge)
		return false;
	for (; number <= n->m.edge + 5; number++)
		if (xw_accepts(&n->x, number) != model_accepts(&n->m, number)) {
			ktap_diag("shape %d size %u edge %llu: number %llu is %s", n->x.shape, n->x.size,
				  n->m.edge, number, xw_accepts(&n->x, number) ? "accepted" : "refused");
			return false;
		}
	return true;
}

static u32 random_size(enum es_shape shape, bool large)
{
	static const u32 sizes[] = { 1, 2, 31, 32, 33, 63, 64, 65, 96, 100, 128 };

	if (shape == ES_LEGACY)
		return random_below(4) ? 32 : random_below(33);
	if (large)
		return ES_WINDOW_MAX - random_below(2) * random_below(100);
	if (shape == ES_BMP && !random_below(20))
		return 0;
	return sizes[random_below(ARRAY_SIZE(sizes))];
}

static u64 random_start(u32 size)
{
	switch (random_below(6)) {
	case 0: return 0;
	case 1: return G - 1 - random_below(2 * size + 2);
	case 2: return G - 1 - size / 2;
	case 3: return G + random_below(2 * size + 2);
	case 4: return 5 * G - 1 - random_below(2 * size + 2);
	default: return random_below(3 * size + 3);
	}
}

static void nodes_init(struct node *nodes)
{
	bool large = !random_below(200);
	u64 start = random_start(large ? ES_WINDOW_MAX : 64);
	u64 base = start > RANGE / 2 ? start - RANGE / 2 : 0;

	memset(nodes, 0, NODES * sizeof(*nodes));
	for (struct node *n = nodes; n < nodes + NODES; n++) {
		n->x.shape = start > U32_MAX ? ES_ESN : random_below(3);
		n->x.size = n->m.size = random_size(n->x.shape, large);
		n->x.seq = (u32)start;
		n->x.seq_hi = start >> 32;
		n->m.base = base;
		n->m.edge = start;
		n->m.last = n->x.shape == ES_ESN ? U64_MAX : U32_MAX;
	}
}

/* A number near the edge, mostly new, sometimes late, sometimes far ahead. */
static u64 random_number(const struct model *m)
{
	u64 number = m->edge + 1;
	u32 back = random_below(m->size + 4);

	switch (random_below(6)) {
	case 0: number += random_below(8); break;
	case 1: number += random_below(m->size + 10); break;
	case 2: case 3: number = m->edge > back ? m->edge - back : 1; break;
	}
	return number - m->base < RANGE ? number : m->edge;
}

static u64 turns, packets, merges;

static bool step_receive(struct node *n)
{
	u64 number = random_number(&n->m), before = n->m.edge;
	bool accepts = number && xw_accepts(&n->x, number);

	ktap_expect(!number || accepts == model_accepts(&n->m, number));
	if (!accepts)
		return true;
	xw_advance(&n->x, number);
	model_receive(&n->m, number);
	packets++;
	if (xfrm_lost_its_place(&n->x, before)) {
		model_learn(n);
		turns++;
	}
	ktap_expect(node_agrees(n));
	return true;
}

static bool step_merge(struct node *to, struct node *from)
{
	u32 cut = random_below(3) ? ES_WINDOW_MAX : random_below(from->x.size + 2);
	struct es_replay r_from = xw_view(&from->x), r_to = xw_view(&to->x);
	struct xw was = to->x;
	struct es_window w;
	bool changed;

	merges++;
	es_window_read(&r_from, &w, cut);
	changed = es_window_merge(&r_to, &w);
	ktap_expect(xw_edge(&to->x) >= xw_edge(&was));
	ktap_expect(changed || !memcmp(&was, &to->x, sizeof(was)));
	ktap_expect(changed == model_merge(&to->m, &from->m, cut));
	ktap_expect(node_agrees(to));
	was = to->x;
	ktap_expect(!es_window_merge(&r_to, &w));
	ktap_expect(!memcmp(&was, &to->x, sizeof(was)));
	return true;
}

/*
 * Whole windows that no edge outruns may come in any order: what is told of
 * every number in the receiver's window does not depend on what came before.
 */
static bool order_does_not_matter(struct node *nodes)
{
	struct xw ab = nodes[0].x, ba = nodes[0].x;
	struct es_replay r_ab = xw_view(&ab), r_ba = xw_view(&ba);
	struct es_replay r1 = xw_view(&nodes[1].x), r2 = xw_view(&nodes[2].x);
	struct es_window w1, w2;

	if (nodes[1].x.size < ab.size || nodes[2].x.size < ab.size)
		return true;
	es_window_read(&r1, &w1, ES_WINDOW_MAX);
	es_window_read(&r2, &w2, ES_WINDOW_MAX);
	es_window_merge(&r_ab, &w1);
	es_window_merge(&r_ab, &w2);
	es_window_merge(&r_ba, &w2);
	es_window_merge(&r_ba, &w1);
	ktap_expect(!memcmp(&ab, &ba, sizeof(ab)));
	return true;
}

static bool history(struct node *nodes)
{
	int steps = nodes[0].x.size + nodes[1].x.size > 1000 ? 12 : 24;

	while (steps--) {
		u32 a = random_below(NODES), b = random_below(NODES);

		if (a == b || random_below(3))
			ktap_expect(step_receive(&nodes[a]));
		else
			ktap_expect(step_merge(&nodes[a], &nodes[b]));
	}
	return order_does_not_matter(nodes);
}

static bool histories_agree(void)
{
	u64 seed = ktap_seed(), count = ktap_rounds(20000), i;
	static struct node nodes[NODES];

	ktap_diag("UNIT_SEED=%llu", seed);
	rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	for (i = 0; i < count; i++) {
		nodes_init(nodes);
		if (!history(nodes)) {
			ktap_diag("in sequence %llu", i);
			return false;
		}
	}
	ktap_diag("%llu sequences, %llu packets, %llu merges, %llu turned rings", count, packets,
		  merges, turns);
	return packets && merges;
}

/*
 * I3 said plainly, without the model: what the old owner accepted and told in
 * whole, its heir refuses, as long as its window reaches that far.
 */
static bool replays_stay_refused(void)
{
	u64 accepted[64], number;

	for (u64 round = ktap_rounds(20000); round; round--) {
		struct xw old = { .shape = random_below(3), .size = 32 }, heir = { .shape = random_below(3) };
		struct es_replay r_old = xw_view(&old), r_heir = xw_view(&heir);
		struct es_window w;

		heir.size = heir.shape == ES_LEGACY ? 1 + random_below(32) : 1 + random_below(200);
		r_heir = xw_view(&heir);
		for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
			number = 1 + random_below(32 + i);
			accepted[i] = xw_accepts(&old, number) ? number : 0;
			if (accepted[i])
				xw_advance(&old, number);
		}
		es_window_read(&r_old, &w, ES_WINDOW_MAX);
		es_window_merge(&r_heir, &w);
		for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
			ktap_expect(!accepted[i] || !xw_accepts(&heir, accepted[i]));
		ktap_expect(xw_accepts(&heir, xw_edge(&old) + 1));
	}
	return true;
}

static const struct ktap_case cases[] = {
	{ "random histories: xfrm accepts what the model accepts", histories_agree },
	{ "random replays: the heir refuses what the old owner accepted", replays_stay_refused },
};

KTAP_MAIN(cases)
