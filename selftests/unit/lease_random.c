// SPDX-License-Identifier: GPL-2.0
/*
 * lease_random.c - does kmod/lease.c keep its promise? Random histories of one SA.
 *
 * Job: nodes whose links lose, delay and reorder without bound, and which crash,
 * return empty and pause, hand one SA on to each other by the rules of the
 * design, 4.3, with every number computed by kmod/lease.c. No number may be
 * used twice as long as whoever is promoted believes itself in. It is the
 * design's lease-model again, with real sizes. With two nodes leases grow and
 * shrink with the rate. With three the rate stays so low that they do not: a
 * standby of rank 1 whose lease has changed does not yet keep clear of one that
 * missed the change, when both are promoted within evict_ms.
 *
 * A tick is 25 ms. A history ends without a verdict at a promotion in doubt, and
 * when a node that was replaced goes on unheard (that is fencing's business).
 *
 * UNIT_SEED=N repeats a run, UNIT_ROUNDS=N makes it longer.
 */
// SOURCES: ../../kmod/lease.c
#include "ktap.h"
#include "lease.h"

#define MAX_NODES	3
#define TICK_US		25000
#define EVICT		200	/* ticks: 5 s */
#define EVICT_MS	5000
#define MISS		30	/* an acknowledgement is missed after so many */
#define DETECT		40	/* somebody is promoted after so many without an active node */
#define TICKS		3000
#define WIRE		8192
#define RUNS		4096
#define NEVER		(-1000000000L)

struct peer {
	bool heard, is_in, after_gap, have_echo, have_session;
	u64 acked;
	long last_in_sent, heard_at, echo;
	int session, gap_session;
};

struct node {
	bool alive, active, told;
	long paused_until, resumed_at, tick, clock, in_until, promoted_at, renewed_at_tick;
	int epoch, session, rank;
	u64 oseq, ceiling, limit, renewed_at;
	u32 known_lease;
	struct es_lease l;
	struct peer peers[MAX_NODES];
};

struct msg {
	long due, clock, echo, sent;
	int from, to, epoch, session;
	enum { FREE, GRANT, ACK, EPOCH } kind;
	bool in, have_echo, have_session;
	u64 ceiling;
	u32 lease;
};

struct run {
	u64 from, to;
	int node, epoch;
};

static struct node nodes[MAX_NODES];
static bool link_up[MAX_NODES][MAX_NODES];
static struct msg wire[WIRE];
static struct run runs[RUNS];
static int n_nodes, n_wire, n_runs, loss, max_delay;
static long now;
static u64 rng, promotions, doubts, handed_on;
static u32 rate;

static u32 random_below(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 16) % n;
}

static bool runs_now(const struct node *n)
{
	return n->alive && !n->paused_until;
}

/* Whether one of [from, to] was used before; remembers them. */
static bool use(int node, u64 from, u64 to)
{
	struct run *last = n_runs ? &runs[n_runs - 1] : NULL;

	for (int i = 0; i < n_runs; i++)
		if (from <= runs[i].to && to >= runs[i].from) {
			ktap_diag("numbers %llu to %llu: node %d epoch %d, then node %d epoch %d, tick %ld",
				  max(from, runs[i].from), min(to, runs[i].to), runs[i].node, runs[i].epoch, node,
				  nodes[node].epoch, now);
			return false;
		}
	if (last && last->node == node && last->epoch == nodes[node].epoch && last->to + 1 == from)
		last->to = to;
	else if (n_runs < RUNS)
		runs[n_runs++] = (struct run){ from, to, node, nodes[node].epoch };
	return true;
}

static void send_to(int from, int to, struct msg m)
{
	if (!link_up[from][to] || (int)random_below(10) < loss || n_wire == WIRE)
		return;
	m.from = from;
	m.to = to;
	m.due = now + random_below(max_delay + 1);
	wire[n_wire++] = m;
}

static int rank_of(int owner, int node)
{
	return node - (owner < node);
}

static bool promote(int i, bool first)
{
	struct node *n = &nodes[i];
	int newest = 0;

	promotions++;
	if (!first && !(n->told && n->clock <= n->in_until))
		return false;
	for (int k = 0; k < n_nodes; k++)
		newest = max(newest, nodes[k].epoch);
	n->epoch = newest + 1;
	n->active = true;
	n->promoted_at = n->renewed_at_tick = n->tick;
	n->l.start = first ? 0 : es_lease_slot(n->ceiling, n->known_lease, n->rank);
	n->l.above = first ? 0 : es_lease_slot(n->ceiling, n->known_lease, n_nodes);
	n->l.lease = ES_LEASE_MIN;
	n->l.target = n->l.above + ES_LEASE_MIN;
	n->oseq = max(n->oseq, n->l.start);
	n->renewed_at = n->oseq;
	memset(n->peers, 0, sizeof(n->peers));
	for (int k = 0; k < n_nodes; k++) {
		n->peers[k].last_in_sent = NEVER;
		n->peers[k].heard_at = n->tick;
	}
	return true;
}

static void receive_grant(struct node *n, const struct msg *m)
{
	int i = n - nodes;

	if (m->ceiling >= n->ceiling) {
		n->ceiling = m->ceiling;
		n->known_lease = m->lease;
		n->rank = rank_of(m->from, i);
		n->oseq = max(n->oseq, es_lease_slot(n->ceiling, n->known_lease, n->rank));
	}
	n->told = true;
	if (m->in && m->have_echo && m->have_session && m->session == n->session)
		n->in_until = max(n->in_until, m->echo + EVICT * 9 / 10);
	send_to(i, m->from, (struct msg){ .kind = ACK, .epoch = n->epoch, .ceiling = m->ceiling, .clock = n->clock,
					  .sent = now, .session = n->session });
}

static void receive_ack(struct node *n, const struct msg *m)
{
	struct peer *p = &n->peers[m->from];

	if (p->have_session && m->session < p->session)
		return;
	if (!p->have_session || m->session != p->session) {
		p->have_session = true;
		p->session = m->session;
		p->is_in = p->have_echo = false;
	}
	p->acked = p->heard ? max(p->acked, m->ceiling) : m->ceiling;
	p->heard = true;
	p->heard_at = n->tick;
	p->echo = p->have_echo ? max(p->echo, m->clock) : m->clock;
	p->have_echo = true;
	p->is_in |= m->ceiling >= n->l.target;
	if (m->sent >= n->resumed_at && m->session == p->gap_session)
		p->after_gap = false;
}

/* What it asked for as owner stays; the last slot is no other standby's. */
static void stand_down(struct node *n)
{
	n->ceiling = max(n->l.target, n->oseq);
	n->known_lease = n->l.lease;
	n->rank = n_nodes - 1;
	n->oseq = max(n->oseq, es_lease_slot(n->ceiling, n->known_lease, n->rank));
}

static void receive(const struct msg *m)
{
	struct node *n = &nodes[m->to];

	if (m->epoch < n->epoch) {
		send_to(m->to, m->from, (struct msg){ .kind = EPOCH, .epoch = n->epoch });
		return;
	}
	if (m->epoch > n->epoch) {
		if (n->active)
			stand_down(n);
		n->epoch = m->epoch;
		n->active = n->told = false;
		n->in_until = NEVER;
	}
	if (m->kind == GRANT && !n->active)
		receive_grant(n, m);
	else if (m->kind == ACK && n->active)
		receive_ack(n, m);
}

/* Highest number that the owner may use; moves it above all slots when it may. */
static u64 may_use(struct node *n, bool *agreed)
{
	struct es_voice v[MAX_NODES];
	bool settling = n->tick - n->promoted_at <= EVICT, unheard = false, gap = false;
	int count = 0;
	u64 limit;

	*agreed = true;
	for (int k = 0; k < n_nodes; k++) {
		struct peer *p = &n->peers[k];

		if (k == n - nodes)
			continue;
		if (p->is_in && n->tick - p->heard_at > MISS)
			p->is_in = false;
		v[count].binding = p->is_in || n->tick - p->last_in_sent <= EVICT;
		v[count].heard = p->heard;
		v[count].acked = p->acked;
		unheard |= !p->heard;
		gap |= p->after_gap;
		*agreed &= !v[count].binding || p->acked >= n->l.target;
		count++;
	}
	limit = es_lease_limit(&n->l, v, count, settling);
	if (gap)
		return min(limit, n->limit);
	n->limit = limit;
	n->oseq = es_lease_enter(&n->l, n->oseq, limit, unheard && settling);
	return n->oseq < n->l.above ? min_t(u64, limit, n->l.start + ES_LEASE_MIN) : limit;
}

static void renew(struct node *n)
{
	bool bound = false;
	u64 next;
	u32 lease;

	for (int k = 0; k < n_nodes; k++)
		bound |= n->peers[k].is_in || n->tick - n->peers[k].last_in_sent <= EVICT;
	lease = es_lease_size(n->oseq - n->renewed_at, (n->tick - n->renewed_at_tick) * TICK_US, EVICT_MS, true);
	next = es_lease_next(&n->l, n->oseq, lease, bound);
	n->l.lease = lease;
	if (next == n->l.target)
		return;
	n->l.target = next;
	n->renewed_at = n->oseq;
	n->renewed_at_tick = n->tick;
}

static void tell(struct node *n)
{
	bool doubtful = false;

	for (int k = 0; k < n_nodes; k++)
		doubtful |= n->peers[k].after_gap;
	for (int k = 0; k < n_nodes; k++) {
		struct peer *p = &n->peers[k];

		if (k == n - nodes)
			continue;
		if (p->is_in && !doubtful)
			p->last_in_sent = n->tick;
		send_to(n - nodes, k, (struct msg){ .kind = GRANT, .epoch = n->epoch, .ceiling = n->l.target,
			.lease = n->l.lease, .in = p->is_in && !doubtful, .have_echo = p->have_echo, .echo = p->echo,
			.have_session = p->have_session, .session = p->session });
	}
}

static bool own(struct node *n)
{
	bool agreed;
	u64 limit = may_use(n, &agreed);
	u64 wanted = random_below(4) ? random_below(2 * rate + 1) : 0;
	u64 first = n->oseq + 1;

	if (wanted && n->oseq < limit) {
		n->oseq += min(wanted, limit - n->oseq);
		if (!use(n - nodes, first, n->oseq))
			return false;
	}
	if (agreed && n->oseq + n->l.lease / 2 >= n->l.target)
		renew(n);
	if (now % 3 == 0)
		tell(n);
	return true;
}

static void node_disturb(struct node *n)
{
	if (runs_now(n) && !random_below(n->active ? 250 : 1000)) {
		n->alive = false;
	} else if (runs_now(n) && !random_below(1000)) {
		n->paused_until = now + 50 + random_below(550);
	} else if (!n->alive && !random_below(300)) {
		int session = n->session + 1;
		long clock = n->clock;

		*n = (struct node){ .alive = true, .in_until = NEVER, .resumed_at = NEVER, .clock = clock,
				    .session = session, .tick = n->tick };
	}
	n->clock += n->alive;
	if (!n->alive || !n->paused_until || now < n->paused_until)
		return;
	n->paused_until = 0;
	n->in_until = NEVER;
	n->resumed_at = now;
	for (int k = 0; n->active && k < n_nodes; k++) {
		struct peer *p = &n->peers[k];

		if (k == n - nodes || p->after_gap)
			continue;
		p->after_gap = true;
		p->gap_session = p->have_session ? p->session : -1;
	}
}

static void disturb(void)
{
	static const u32 rates[] = { 100, 3000, 20000, 40000, 80000, 200000, 2000000 };
	int a = random_below(n_nodes), b = random_below(n_nodes);

	if (!random_below(50))
		rate = rates[random_below(n_nodes == 2 ? ARRAY_SIZE(rates) : 2)];
	if (!random_below(250)) {
		link_up[a][b] = random_below(2);
		if (random_below(2))
			link_up[b][a] = link_up[a][b];
	}
	for (int k = 0; k < n_nodes; k++)
		node_disturb(&nodes[k]);
}

static void deliver(void)
{
	int kept = 0, n = n_wire;

	for (int i = 0; i < n; i++) {
		struct msg m = wire[i];

		if (m.due <= now && !nodes[m.to].alive)
			continue;
		if (m.due > now || nodes[m.to].paused_until) {
			wire[kept++] = m;
			continue;
		}
		receive(&m);	/* may append behind n */
	}
	memmove(&wire[kept], &wire[n], (n_wire - n) * sizeof(wire[0]));
	n_wire = kept + n_wire - n;
}

/* Outside decides. Returns false when the history is over. */
static bool decide(int *without)
{
	int newest = 0, ready[MAX_NODES], n_ready = 0, active = 0;

	for (int k = 0; k < n_nodes; k++) {
		newest = max(newest, nodes[k].epoch);
		active += runs_now(&nodes[k]) && nodes[k].active;
		if (runs_now(&nodes[k]) && !nodes[k].active)
			ready[n_ready++] = k;
	}
	*without = active ? 0 : *without + 1;
	if (*without > DETECT && n_ready) {
		if (!promote(ready[random_below(n_ready)], false)) {
			doubts++;
			return false;
		}
		handed_on++;
		*without = 0;
	}
	for (int k = 0; k < n_nodes && active > 1; k++)
		if (runs_now(&nodes[k]) && nodes[k].active && nodes[k].epoch < newest &&
		    now - nodes[k].resumed_at > EVICT / 2)
			return false;
	return true;
}

static bool history(void)
{
	static const int losses[] = { 0, 1, 3, 6 }, delays[] = { 2, 10, 60, 400 };
	int without = 0;

	n_nodes = 2 + random_below(MAX_NODES - 1);
	n_wire = n_runs = 0;
	rate = 1000;
	loss = losses[random_below(4)];
	max_delay = delays[random_below(4)];
	memset(nodes, 0, sizeof(nodes));
	for (int k = 0; k < n_nodes; k++) {
		nodes[k].alive = true;
		nodes[k].in_until = nodes[k].resumed_at = NEVER;
		for (int j = 0; j < n_nodes; j++)
			link_up[k][j] = true;
	}
	promote(0, true);
	for (now = 0; now < TICKS; now++) {
		disturb();
		deliver();
		for (int k = 0; k < n_nodes; k++) {
			if (!runs_now(&nodes[k]))
				continue;
			nodes[k].tick++;
			if (nodes[k].active && !own(&nodes[k]))
				return false;
		}
		if (!decide(&without))
			return true;
	}
	return true;
}

static bool no_number_twice(void)
{
	u64 seed = ktap_seed(), count = ktap_rounds(2000), i;

	ktap_diag("UNIT_SEED=%llu", seed);
	for (i = 0; i < count; i++) {
		rng = (seed + i) * 0x9e3779b97f4a7c15ULL + 1;
		if (!history()) {
			ktap_diag("in history %llu, %d nodes, loss %d0 %%, delay up to %d ticks (UNIT_SEED=%llu UNIT_ROUNDS=1)",
				  i, n_nodes, loss, max_delay, seed + i);
			return false;
		}
	}
	ktap_diag("%llu histories, %llu takeovers in sync, %llu in doubt", count, handed_on, doubts);
	return handed_on > count / 20;
}

static const struct ktap_case cases[] = {
	{ "random histories: no number twice, whatever is lost, late, paused or crashed", no_number_twice },
};

KTAP_MAIN(cases)
