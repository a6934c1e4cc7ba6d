/* SPDX-License-Identifier: GPL-2.0 */
/*
 * leases.pml - the outbound lease protocol of one SA, for spin. README.md says what is modelled and how; model/check runs it.
 *
 * Job: every history of N nodes within the bounds. Its one assertion is I1: no number is sent twice. A node that is promoted while
 * out of sync names the SA as in doubt, and I1 says no more about it: such a promotion ends a history, so it is no transition here.
 * What may not enter: what the rules are not about (keys, windows, several SAs, how a decision to promote is made).
 *
 * Numbers are counted in blocks: a lease is one block, so is lease_min. Time is a count of ticks that everybody shares; a paused node
 * has none of its own. Only what is left of a time is kept, or an age, so histories have no end and the states still do.
 * -DNO_xxx leaves out rule xxx. -DFENCED: who was replaced by a node that runs does not send. I1 assumes no less; with all rules it
 * holds without, so that is for histories that are to show why a rule is needed.
 */
#ifndef N
#define N	3		/* nodes */
#endif
#ifndef D
#define D	1		/* datagrams that may be under way beside those that arrive at once */
#endif
#ifndef TOP
#define TOP	12		/* the highest block that is sent; below 31 */
#endif
#ifndef EVICT
#define EVICT	2		/* own ticks for which an owner is bound by the last "in" that it sent */
#endif
#ifndef NINE
#define NINE	EVICT		/* ticks that a standby takes it for; SKEW says why it should be less */
#endif
#ifndef DETECT
#define DETECT	1		/* ticks of a pause after which a node may be replaced */
#endif
#ifndef NOTICE
#define NOTICE	DETECT		/* ticks of a pause that the node itself notices: detect_ms */
#endif
#ifndef CRASHES
#define CRASHES	1
#endif
#ifndef RETURNS
#define RETURNS	0
#endif
#ifndef PAUSES
#define PAUSES	1
#endif
#ifndef PROMOTES
#define PROMOTES 2
#endif
#ifndef MOVES
#define MOVES	0		/* demotions by hand */
#endif
#ifndef READDS
#define READDS	0		/* the SA is deleted and added again */
#endif
#ifndef JUMPS
#define JUMPS	0		/* 1: who is not answered after a gap moves the SA up, which names it */
#endif
#ifndef LEAVES
#define LEAVES	0		/* a standby takes its owner out of its configuration, or the channel away, and says so */
#endif
#ifndef OWNER_LEAVES
#define OWNER_LEAVES 0		/* an owner does that with its standby */
#endif
#ifndef GROWS
#define GROWS	0		/* times that an owner asks for leases twice as big from then on */
#endif
#ifndef SKEW
#define SKEW	0		/* ticks by which standbys' clocks may be slow altogether */
#endif

#define LEASE	1
#define SLOT	1		/* lease_min */
#define SPAN(i)	(SLOTS_LEASE(i) + SLOT)
#define NONE	NINE		/* an age that proves nothing */
#define NOLIMIT	31
#define P(i, j)	((i) * N + (j))
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* Epoch = (counter, node), compared in that order. */
#define EPOCH(c, node)	((c) * 4 + (node))
#define OWNER(e)	((e) & 3)

#ifdef NO_rank
#define RANK(n, owner)	0
#else
#define RANK(n, owner)	((owner) == (n) -> N - 1 : (n) - ((owner) < (n) -> 1 : 0))
#endif

#define DEAD	0
#define STANDBY	1
#define ACTIVE	2

/* What a node knows. */
byte role[N];
byte pz[N];			/* paused: 1 + ticks since, as far as they matter; 0 runs */
byte ep[N];			/* highest epoch seen */
byte tg[N];			/* ceiling asked for, or known; 0: never told */
byte rk[N];			/* standby: its rank when that was stored */
byte said[N];			/* standby: what it acknowledges to the owner of this epoch; 0 nothing */
byte inl[N];			/* standby: ticks that it is in for */
byte os[N];			/* active: last block used */
byte st[N];			/* active: where it began */
byte ab[N];			/* active: above all slots; 0 for the creator */
byte lim[N];			/* active: limit when a pause began */
byte sett[N];			/* active: own ticks until it is settled */
byte life[N];			/* how often it lost its memory: the boot id */

/* What node i knows of node j, at P(i, j). */
byte ak[N * N];			/* ceiling acknowledged; 0 none in this epoch */
byte ev[N * N];			/* own ticks for which j binds: it may believe that it is in */
byte ag[N * N];			/* ticks since j sent the newest that has come from it, by j's clock */
byte gp[N * N];			/* since i's gap j has not been heard: 1; and cannot be any more, its memory is lost: 2 */
bit sy[N * N];			/* j has acknowledged this SA in its present session */
bit se[N * N];			/* i has a session with the j that there is now */
#if MOVES
byte hd[N * N];			/* ticks for which i takes j for heard */
bit rs[N];			/* the owner became silent while this standby was in */
bit my[N];			/* standby: the last owner was this node, and it remembers */
#endif
/* Active and not settled, and the owner before may have told others "in": of two nodes only if he was this node. */
#if N > 2
#define UNSETTLED(i)	sett[i]
#define AGAIN(i, was)	skip
#define SETTLED(i)	skip
#elif MOVES
bit again[N];			/* active, not settled: the owner before was this node */
#define UNSETTLED(i)	again[i]
#define AGAIN(i, was)	again[i] = was
#define SETTLED(i)	again[i] = again[i] && sett[i]
#else
#define UNSETTLED(i)	0
#define AGAIN(i, was)	skip
#define SETTLED(i)	skip
#endif
#if GROWS
byte ls[N];			/* what the lease that came with tg has grown by */
byte sl[N];			/* ... the one that slots are counted in */
byte wl[N];			/* active: ... the next one */
#define LEASE_OF(i)	(LEASE + ls[i])
#define SLOTS_LEASE(i)	(LEASE + sl[i])
#define NEXT(o, t, was, is)	(bound -> MIN(MIN(o, t) + is, t + was) : o + is)
#ifdef NO_grow_bound
#define GROWS_NOW(i)	wl[i]
#else
#define GROWS_NOW(i)	(wl[i] && bound)	/* while nobody binds a peer may join that knows an older one */
#endif
#ifdef NO_slots_before
#define SLOTS(was, is)	(is)
#else
#define SLOTS(was, is)	(was)
#endif
#else
#define SLOTS_LEASE(i)	LEASE
#endif
#if JUMPS
byte gt[N];			/* active: own ticks that are left to wait for words after a gap */
bit jp[N];			/* ... they are over: the SA is to move up before it goes on */
bit jd[N];			/* it has moved up for that gap. Nobody's knowledge: what is asserted */
bit gone[N];			/* active: the SA has no state here; its numbers are kept */
bit over;			/* the SA is named as in doubt: I1 says no more about it */
#define ABSENT(i)	gone[i]
#else
#define ABSENT(i)	0
#endif
#if LEAVES || OWNER_LEAVES
bit out[N];			/* it has said that it leaves, and talks to nobody */
#define TALKS(i)	(!out[i])
#else
#define TALKS(i)	1
#endif
#ifdef NO_store
byte pend[N];			/* acknowledged, not stored yet */
#endif
#ifdef NO_keep
bit has[N];			/* the SA is in its kernel */
#endif

/* Datagrams under way. */
#if D
#define WAY	D
#else
#define WAY	1		/* never filled */
#endif
#define FREE	0
#define GRANT	1		/* owner: a ceiling */
#define TELL_IN	2		/* owner: you are in */
#define ACK	3		/* to an active node: what was stored; also that the sender lives */
#define REST	4		/* standby to standby: silent */
#define LEAVE	5		/* who said this talks no more */
byte mk[WAY];
byte ms[WAY];			/* from */
byte md[WAY];			/* to */
byte me[WAY];			/* epoch */
byte mc[WAY];			/* ceiling */
byte ma[WAY];			/* age: of itself, or of what it echoes */
byte ml[WAY];			/* sender's life */
bit mf[WAY];			/* sent after the receiver's last gap */

/* The history. */
byte crashes, returns, pauses, promotes, moves, readds, leaves, grows, skew;
byte newest;			/* wall clock, as far as epochs go; 0 before the history begins */
int used;			/* blocks sent, a bit each */

#ifdef NO_epoch
#define DEAF(i)		(role[i] == ACTIVE)
#else
#define DEAF(i)		0
#endif
#define RUNS(i)		(role[i] && !pz[i])
#define REPLACEABLE(i)	(role[i] != ACTIVE || pz[i] > DETECT)
#define OUTRANKED(i, j)	(role[j] == ACTIVE && !pz[j] && ep[j] > ep[i])
#define HEARD(i, j)	(i == j || hd[P(i, j)])
#if N == 2
#define ALL_REPLACEABLE	(REPLACEABLE(0) && REPLACEABLE(1))
#define ALL_HEARD(i)	(HEARD(i, 0) && HEARD(i, 1))
#define WAITS(i)	(gp[P(i, 0)] || gp[P(i, 1)])
#define REPLACED(i)	(OUTRANKED(i, 0) || OUTRANKED(i, 1))
#else
#define ALL_REPLACEABLE	(REPLACEABLE(0) && REPLACEABLE(1) && REPLACEABLE(2))
#define ALL_HEARD(i)	(HEARD(i, 0) && HEARD(i, 1) && HEARD(i, 2))
#define WAITS(i)	(gp[P(i, 0)] || gp[P(i, 1)] || gp[P(i, 2)])
#define REPLACED(i)	(OUTRANKED(i, 0) || OUTRANKED(i, 1) || OUTRANKED(i, 2))
#endif
#if JUMPS
#define GOES_ON		!over
#else
#define GOES_ON		1
#endif
#ifdef FENCED
#define MAY_SEND(i)	(!REPLACED(i))
#else
#define MAY_SEND(i)	1
#endif

/* Scratch: no part of a state. A search breadth first (-DSHORTEST) cannot hide variables, so there they are 0 between transitions. */
#ifdef SHORTEST
#define SCRATCH	byte
#else
#define SCRATCH	hidden byte
#endif
SCRATCH k, x, lm, base, r, un, bound, agreed, waits, had;

inline done()
{
#ifdef SHORTEST
	k = 0; x = 0; lm = 0; base = 0; r = 0; un = 0; bound = 0; agreed = 0; waits = 0; had = 0
#else
	skip
#endif
}

/* The datagram that is being said or heard; FREE between two transitions. */
byte m_k, m_s, m_d, m_e, m_c, m_a, m_l, m_f;
#if GROWS
byte m_z;
byte mz[WAY];			/* lease */
#define ALSO(to, from)	to = from;
#else
#define ALSO(to, from)
#endif

/* es_lease_limit(), and voices(): lm is what i may use now. */
inline limit_of(i)
{
	lm = NOLIMIT; un = 0; bound = 0; agreed = 1; waits = 0;
	for (k : 0 .. N - 1) {
		if
		:: k != i ->
			x = P(i, k);
			if
			:: ev[x] ->
				bound = 1;
				agreed = agreed && ak[x] >= tg[i];
				lm = MIN(lm, (ak[x] -> ak[x] : st[i]))
			:: else
			fi;
			un = un || !ak[x];
			waits = waits || gp[x]
		:: else
		fi
	}
#ifndef NO_settle
	if
	:: un && sett[i] -> lm = MIN(lm, st[i] + SLOT)
	:: else
	fi;
#endif
	if
	:: waits -> lm = MIN(lm, lim[i])
	:: else
	fi
}

/*
 * jump_gap() of out.c: how far it is moved up is an estimate, so it is named; what must not be is that it goes on without, or that it is moved up again
 * for the same gap.
 */
inline jump_if_due(i)
{
#if JUMPS
	if
	:: jp[i] && !gone[i] ->
		printf("node %d moves the SA up, and names it\n", i);
		assert(!jd[i]);			/* once */
		jd[i] = 1;
		over = 1;
#ifndef NO_jump_once
		jp[i] = 0
#endif
	:: else
	fi
#else
	skip
#endif
}

/* es_out_update(): the jump, the limit, the way out of the slot, the next ceiling. */
inline update(i)
{
	jump_if_due(i);
	limit_of(i);
	if
	:: os[i] < ab[i] && lm > ab[i] -> os[i] = ab[i]
	:: os[i] < ab[i] && lm <= ab[i] -> lm = MIN(lm, st[i] + SLOT)
	:: else
	fi;
	if
#ifdef NO_step
	:: agreed && os[i] >= tg[i] -> tg[i] = os[i] + 2 * LEASE
#elif GROWS
	/* es_lease_next(): a step is as big as the lease before. Who does not know of it yet counts slots in that one, and so does this node. */
	:: agreed && os[i] >= tg[i] && GROWS_NOW(i) ->
		sl[i] = SLOTS(ls[i], ls[i] + wl[i]);
		tg[i] = NEXT(os[i], tg[i], LEASE_OF(i), LEASE_OF(i) + wl[i]);
		ls[i] = ls[i] + wl[i];
		wl[i] = 0
	:: agreed && os[i] >= tg[i] && !GROWS_NOW(i) ->
		sl[i] = ls[i];
		tg[i] = NEXT(os[i], tg[i], LEASE_OF(i), LEASE_OF(i))
#else
	:: agreed && os[i] >= tg[i] -> tg[i] = (bound -> MIN(os[i], tg[i]) : os[i]) + LEASE
#endif
	:: else
	fi
#ifdef NO_stop
	; lm = NOLIMIT
#endif
}

/* A packet, or so many that they fill a block. xfrm asks nobody. */
inline send(i)
{
	update(i);
	if
	:: lm > os[i] && os[i] < TOP && GOES_ON ->
		os[i]++;
		printf("node %d sends block %d\n", i, os[i]);
		assert(!(used & (1 << os[i])));		/* I1 */
		used = used | (1 << os[i]);
		update(i)
	:: else
	fi
}

inline forget_peers(i)
{
	for (k : 0 .. N - 1) {
		x = P(i, k);
		ak[x] = 0; ev[x] = 0; sy[x] = 0; gp[x] = 0; ag[x] = NONE
	}
}

inline forget_gap(i)
{
#if JUMPS
	gt[i] = 0; jp[i] = 0; jd[i] = 0
#else
	skip
#endif
}

/* es_group_stand_down(), es_out_demoted() */
inline stand_down(i)
{
	forget_gap(i);
	ALSO(wl[i], 0) role[i] = STANDBY;
	tg[i] = MAX(tg[i], os[i]);
	rk[i] = RANK(i, i);
	os[i] = 0; st[i] = 0; ab[i] = 0; lim[i] = 0; sett[i] = 0; AGAIN(i, 0); said[i] = 0; inl[i] = 0;
	forget_peers(i)
}

/* es_group_promote(), begin() of out.c */
inline promote(i)
{
	base = tg[i];
	r = rk[i];
	if
	:: !base ->
#ifndef NO_first
		base = SLOT;
#endif
		r = RANK(i, OWNER(ep[i]))
	:: else
	fi;
	role[i] = ACTIVE;
	st[i] = base + r * SPAN(i);
#ifdef NO_slot
	ab[i] = st[i];
#else
	ab[i] = base + N * SPAN(i);
#endif
	os[i] = st[i];
	tg[i] = ab[i] + LEASE;
	rk[i] = 0; said[i] = 0; inl[i] = 0;
	sett[i] = EVICT;
	forget_peers(i);
#ifdef NO_wall_clock
	ep[i] = EPOCH(ep[i] / 4 + 1, i);
#else
	newest++;
	ep[i] = EPOCH(newest, i);
#endif
#if MOVES
	AGAIN(i, my[i]);
	rs[i] = 0; my[i] = 0;
#endif
#ifdef NO_store
	pend[i] = 0;
#endif
	promotes++;
	printf("node %d is promoted: epoch %d of %d, goes on from %d, above all slots is %d\n", i, ep[i] / 4, OWNER(ep[i]), st[i], ab[i])
}

inline clear(s)
{
	ALSO(mz[s], 0) mk[s] = FREE; ms[s] = 0; md[s] = 0; me[s] = 0; mc[s] = 0; ma[s] = 0; ml[s] = 0; mf[s] = 0
}

/* Free slots are the last ones: no two states differ by their order alone. */
inline take_out(s)
{
	for (k : s + 1 .. WAY - 1) {
		ALSO(mz[k - 1], mz[k]) mk[k - 1] = mk[k]; ms[k - 1] = ms[k]; md[k - 1] = md[k]; me[k - 1] = me[k]; mc[k - 1] = mc[k]; ma[k - 1] = ma[k];
		ml[k - 1] = ml[k]; mf[k - 1] = mf[k]
	}
	clear(WAY - 1)
}

inline received_active(d)
{
	if
	:: gp[x] == 1 && m_f ->		/* note_echo() */
#ifdef NO_gap_all
		for (k : 0 .. N - 1) { gp[P(d, k)] = 0 }
#endif
		gp[x] = 0
	:: else
	fi;
	if
	:: m_k == ACK ->
		ag[x] = MIN(ag[x], m_a);
		if
		:: m_e == ep[d] && m_c -> ak[x] = MAX(ak[x], m_c); sy[x] = 1
		:: else
		fi
#ifndef NO_rejoin
	:: m_k == GRANT && m_c > tg[d] ->	/* es_out_store(): a grant that this owner does not know */
		os[d] = MAX(os[d], m_c);
		tg[d] = m_c
#endif
	:: else
	fi;
	waits = 0;
	for (k : 0 .. N - 1) { waits = waits || gp[P(d, k)] }
	if
	:: !waits -> lim[d] = 0
	:: else
	fi;
	update(d)
}

/* es_out_store(), heard_owner(), heard_rest() */
inline received_standby(d)
{
	if
	:: m_k == GRANT ->
#ifdef NO_store
		if
		:: m_c >= tg[d] -> pend[d] = MAX(pend[d], m_c)
		:: else
		fi;
#else
		if
#ifdef NO_keep
		:: m_c >= tg[d] && has[d] ->
#else
		:: m_c >= tg[d] ->
#endif
			tg[d] = m_c;
#if GROWS
			ls[d] = m_z; sl[d] = m_z;
#endif
			if
			:: m_e == ep[d] -> rk[d] = RANK(d, OWNER(m_e))
			:: else
			fi
		:: else
		fi;
#endif
		if
		:: m_e == ep[d] -> said[d] = MAX(said[d], m_c)
		:: else
		fi
	:: m_k == TELL_IN && m_e == ep[d] && m_a < NONE ->
#ifdef NO_echo
		inl[d] = NINE
#else
		inl[d] = MAX(inl[d], NINE - m_a)
#endif
#if MOVES
	:: m_k == REST && m_e == ep[d] && OWNER(m_e) == m_s && (inl[d] || (rs[d] && ALL_HEARD(d))) -> rs[d] = 1
#endif
	:: else
	fi
}

inline update_if_active(i)
{
	if
	:: role[i] == ACTIVE -> update(i)
	:: else
	fi
}

/* What was said to i before now, or is under way to it, is of before: es->echo_floor_us. */
inline raise_floor(i)
{
	for (k : 0 .. N - 1) { ag[P(k, i)] = NONE }
	for (k : 0 .. WAY - 1) {
		if
		:: mk[k] == TELL_IN && md[k] == i -> ma[k] = NONE
		:: mk[k] == ACK && ms[k] == i -> ma[k] = NONE
		:: else
		fi
	}
}

/* leaves() of rx.c. x is P(d, m_s). */
inline leaves_me(d)
{
	ev[x] = 0; sy[x] = 0;
#ifndef NO_leave_heard
	if
	:: OWNER(ep[d]) == m_s ->
		inl[d] = 0;
#if MOVES
		rs[d] = 0
#endif
	:: else
	fi;
#endif
#ifndef NO_leave_floor
	raise_floor(d);
	for (k : 0 .. WAY - 1) { mf[k] = mf[k] && md[k] != d }
#endif
	update_if_active(d)
}

/* A datagram has come to d, which runs: content() and datagram() of rx.c. What it says is in m_*. */
inline receive(d)
{
	x = P(d, m_s);
	if
#ifndef NO_session
#ifdef NO_leave_session
	:: m_l != life[m_s] && se[x] && m_k != LEAVE -> skip
#else
	:: m_l != life[m_s] && se[x] -> skip		/* of a session that is over */
#endif
#endif
	:: else ->
		if
		:: m_l == life[m_s] && !se[x] ->	/* new_memory() */
			se[x] = 1; sy[x] = 0; ag[x] = NONE;
#if MOVES
#ifdef NO_forgotten
			rs[d] = rs[d] && OWNER(ep[d]) != m_s
#else
			rs[d] = 0; my[d] = 0
#endif
#endif
		:: else
		fi;
		if
		:: m_e > ep[d] && !DEAF(d) ->
			if
			:: role[d] == ACTIVE ->
				stand_down(d);
				printf("node %d hears of a higher epoch and stands down\n", d)
			:: else
			fi;
			ep[d] = m_e; inl[d] = 0; said[d] = 0;
#if MOVES
			rs[d] = 0; my[d] = 0
#endif
		:: else
		fi;
		x = P(d, m_s);
#if MOVES
#ifdef NO_round_trip
		hd[x] = 1;
#else
		hd[x] = MAX(hd[x], (m_k != TELL_IN && m_k != LEAVE && m_a == 0 -> 1 : 0));
#endif
#endif
		if
#if LEAVES || OWNER_LEAVES
		:: m_k == LEAVE -> leaves_me(d)
#endif
		:: role[d] == ACTIVE && m_k != LEAVE -> received_active(d)
		:: else -> received_standby(d)
		fi
	fi
}

/* i says something to j: content into m_*. */
inline compose(i, j, kind)
{
	ALSO(m_z, ls[i]) m_k = kind; m_s = i; m_d = j; m_e = ep[i]; m_l = life[i]; m_f = 1;
	m_c = (kind == GRANT -> tg[i] : (kind == ACK -> said[i] : 0));
	m_a = (kind == TELL_IN -> ag[P(i, j)] : 0);
	if
	:: kind == TELL_IN -> ev[P(i, j)] = EVICT
	:: else
	fi;
	update_if_active(i)
}

inline print_message()
{
	if
	:: m_k == GRANT -> printf("node %d to %d: ceiling %d (epoch %d of %d)\n", m_s, m_d, m_c, m_e / 4, OWNER(m_e))
	:: m_k == TELL_IN -> printf("node %d to %d: in, echoes what was sent %d ticks ago (epoch %d of %d)\n", m_s, m_d, m_a, m_e / 4, OWNER(m_e))
	:: m_k == ACK -> printf("node %d to %d: has stored %d (epoch %d of %d)\n", m_s, m_d, m_c, m_e / 4, OWNER(m_e))
	:: m_k == LEAVE -> printf("node %d to %d: leaves\n", m_s, m_d)
	:: else -> printf("node %d to %d: standby and silent (epoch %d of %d)\n", m_s, m_d, m_e / 4, OWNER(m_e))
	fi
}

inline forget_message()
{
	ALSO(m_z, 0) m_k = FREE; m_s = 0; m_d = 0; m_e = 0; m_c = 0; m_a = 0; m_l = 0; m_f = 0
}

inline put_aside()
{
	for (k : 0 .. WAY - 1) {
		if
		:: mk[k] == FREE && m_k ->
			ALSO(mz[k], m_z) mk[k] = m_k; ms[k] = m_s; me[k] = m_e; mc[k] = m_c; ma[k] = m_a; ml[k] = m_l; mf[k] = m_f;
			md[k] = m_d;
			m_k = FREE
		:: else
		fi
	}
	forget_message()
}

inline deliver(s)
{
	ALSO(m_z, mz[s]) m_k = mk[s]; m_s = ms[s]; m_d = md[s]; m_e = me[s]; m_c = mc[s]; m_a = ma[s]; m_l = ml[s]; m_f = mf[s];
	take_out(s);
	printf("late, from ");
	print_message()
}

/* What was on its way to i is of a session that is over; nor can it read what echoes it. */
inline end_sessions(i)
{
	for (k : 0 .. N - 1) { ag[P(k, i)] = NONE }
	for (r : 0 .. WAY - 1) {
		if
		:: mk[WAY - 1 - r] && md[WAY - 1 - r] == i -> take_out(WAY - 1 - r)
		:: else
		fi
	}
}

inline crash(i)
{
	printf("node %d crashes\n", i);
	ALSO(ls[i], 0) ALSO(sl[i], 0) ALSO(wl[i], 0) role[i] = DEAD; pz[i] = 0; ep[i] = 0; tg[i] = 0; rk[i] = 0; said[i] = 0; inl[i] = 0;
	os[i] = 0; st[i] = 0; ab[i] = 0; lim[i] = 0; sett[i] = 0; AGAIN(i, 0);
	forget_peers(i);
#if MOVES
	rs[i] = 0; my[i] = 0;
	for (k : 0 .. N - 1) { hd[P(i, k)] = 0 }
#endif
#ifdef NO_store
	pend[i] = 0;
#endif
	forget_gap(i);
#if JUMPS
	gone[i] = 0;
#endif
#ifndef NO_session
	end_sessions(i);
#endif
	crashes++
}

/* It has a boot id that its peers do not know yet. */
inline begin_sessions(i)
{
	life[i]++;
	for (k : 0 .. N - 1) {
		se[P(i, k)] = 1;
#ifndef NO_session
		se[P(k, i)] = (k == i);
#ifndef NO_gap_boot
		if
		:: gp[P(k, i)] == 1 -> gp[P(k, i)] = 2
		:: else
		fi
#endif
#endif
	}
}

inline come_back(i)
{
	printf("node %d is back and remembers nothing\n", i);
	role[i] = STANDBY;
#if LEAVES || OWNER_LEAVES
	out[i] = 0;
#endif
	returns++;
	begin_sessions(i)
}

#if LEAVES || OWNER_LEAVES
/*
 * es_peer_del(), of two nodes: the other one is in its configuration no more. It says so, and remembers what it knows. A channel that is taken away is
 * that and a crash.
 */
inline leave(i)
{
	printf("node %d leaves\n", i);
	leaves++;
	out[i] = 1;
#if MOVES
	rs[i] = 0; my[i] = 0;
#endif
	if
	:: role[i] == STANDBY ->
		said[i] = 0;
#ifndef NO_leave_out
		inl[i] = 0
#endif
	:: else ->
#ifdef NO_leave_binds
		ev[P(i, 1 - i)] = 0;
#endif
#ifdef NO_leave_gap
		gp[P(i, 1 - i)] = 0; lim[i] = 0;
#else
		if
		:: gp[P(i, 1 - i)] -> gp[P(i, 1 - i)] = 2
		:: else
		fi;
#endif
		sy[P(i, 1 - i)] = 0
	fi;
	end_sessions(i)
}

/* ... and is again: es_peer_add() makes a boot id of its own. */
inline join(i)
{
	printf("node %d joins again\n", i);
	out[i] = 0;
	returns++;
	begin_sessions(i)
}
#endif

inline pause(i)
{
	printf("node %d stands still\n", i);
	pz[i] = 1;
	pauses++;
	if
	:: role[i] == ACTIVE -> update(i); lim[i] = lm
	:: else
	fi
}

/* tick() and gap() of channel.c */
inline resume(i)
{
	printf("node %d goes on\n", i);
	had = 0;
	if
	:: pz[i] > NOTICE ->
		for (k : 0 .. N - 1) { had = had || ev[P(i, k)] }
#ifndef NO_gap_standby
		inl[i] = 0;
#if MOVES
		rs[i] = 0;
#endif
		for (k : 0 .. N - 1) { ag[P(k, i)] = NONE }
#endif
#ifndef NO_gap_settling
		had = had || UNSETTLED(i);
#endif
		for (k : 0 .. WAY - 1) {
#ifndef NO_gap_standby
			if
			:: mk[k] == TELL_IN && md[k] == i -> ma[k] = NONE
			:: mk[k] == ACK && ms[k] == i -> ma[k] = NONE
			:: else
			fi;
#endif
			mf[k] = mf[k] && md[k] != i
		}
		had = had && role[i] == ACTIVE;
#ifdef NO_gap
		had = 0;
#endif
		if
		:: had -> for (k : 0 .. N - 1) {
				if
				:: k != i && !gp[P(i, k)] -> gp[P(i, k)] = (se[P(i, k)] -> 1 : 2)
				:: else
				fi
			}
#if JUMPS
			gt[i] = EVICT
#endif
		:: else
		fi
	:: else
	fi;
	pz[i] = 0;
	waits = 0;
	for (k : 0 .. N - 1) { waits = waits || gp[P(i, k)] }
	if
	:: !waits -> lim[i] = 0
	:: else
	fi;
	update_if_active(i)
}

#ifdef NO_own_ticks
#define OWN_IS_CLOCK	1
#else
#define OWN_IS_CLOCK	0
#endif

#define LESS(v)	v = (v -> v - 1 : 0)
#define MORE(v)	v = (v < NONE -> v + 1 : NONE)

/* gap_over() of peer.c, es_out_gap_begins() of out.c: no word in time. The limit holds until the SA has moved up. */
inline gap_over(i)
{
#if JUMPS
	if
	:: gt[i] ->
		gt[i]--;
		waits = 0;
		for (k : 0 .. N - 1) { waits = waits || gp[P(i, k)] }
		if
		:: !waits -> gt[i] = 0
		:: waits && !gt[i] ->
			printf("node %d has no word since it stood still\n", i);
			for (k : 0 .. N - 1) { gp[P(i, k)] = 0 }
			lim[i] = 0;
			jd[i] = 0;
#ifndef NO_jump
			jp[i] = 1
#endif
		:: else
		fi
	:: else
	fi
#else
	skip
#endif
}

/* A tick of everybody's; the standby slow's clock stands (N: nobody's). */
inline tick(slow)
{
	printf("a tick\n");
	for (r : 0 .. N - 1) {
		if
		:: r != slow ->
#ifndef NO_in_end
			LESS(inl[r]);
#endif
			for (k : 0 .. N - 1) { MORE(ag[P(k, r)]) }
		:: else
		fi;
		if
		:: pz[r] -> pz[r] = MIN(pz[r] + 1, MAX(DETECT, NOTICE) + 1)
		:: else
		fi;
		if
		:: !pz[r] || OWN_IS_CLOCK ->
			LESS(sett[r]);
			SETTLED(r);
			gap_over(r);
			for (k : 0 .. N - 1) { LESS(ev[P(r, k)]) }
		:: else
		fi;
#if MOVES
		for (k : 0 .. N - 1) { LESS(hd[P(r, k)]) }
#endif
	}
	for (r : 0 .. WAY - 1) {
		if
		:: mk[r] && !(mk[r] == TELL_IN && md[r] == slow) && !(mk[r] != TELL_IN && ms[r] == slow) -> MORE(ma[r])
		:: else
		fi
	}
	for (r : 0 .. N - 1) {
		if
		:: role[r] == ACTIVE && !pz[r] -> update(r)
		:: else
		fi
	}
}

/* es_group_in(), or still_mine(); else the SA is named as in doubt */
#ifdef NO_doubt
#define IN(i)	1
#elif MOVES
#define IN(i)	(inl[i] || (rs[i] && ALL_HEARD(i)) || (my[i] && ALL_HEARD(i)))
#else
#define IN(i)	(inl[i])
#endif

#ifdef NO_resync
#define SYNCED(i, j)	1
#else
#define SYNCED(i, j)	(sy[P(i, j)])
#endif
#ifdef NO_enforce
#define ENFORCED(i, j)	1
#else
#define ENFORCED(i, j)	(os[i] <= ak[P(i, j)])
#endif
#ifdef NO_gap_silent
#define MAY_TELL(i)	1
#else
#define MAY_TELL(i)	(!WAITS(i))
#endif

#define SAYS_GRANT(i, j) (role[i] == ACTIVE && role[j])
#define SAYS_IN(i, j)	(role[i] == ACTIVE && role[j] == STANDBY && ag[P(i, j)] < NONE && SYNCED(i, j) && ENFORCED(i, j) && MAY_TELL(i))
#define SAYS_ACK(i, j)	(role[i] && role[j] == ACTIVE)
#define SAYS_REST(i, j)	(MOVES && role[i] == STANDBY && role[j] == STANDBY)

/* lost() and inherit(): the numbers of a dead SA are kept */
inline readd(i)
{
	printf("node %d: the SA is deleted and added again\n", i);
#ifdef NO_tomb
	os[i] = 0; st[i] = 0; ab[i] = 0; tg[i] = SLOT;
#endif
	readds++;
	update(i)
}

inline begin()
{
	for (k : 0 .. N - 1) {
		role[k] = (k -> STANDBY : ACTIVE);
		ep[k] = EPOCH(1, 0);
		for (r : 0 .. N - 1) {
			x = P(k, r);
			se[x] = 1;
			ag[x] = NONE;
			sy[x] = (k == 0)	/* in may have been said before the SA came */
		}
	}
	tg[0] = SLOT;
	for (k : 1 .. N - 1) { ak[P(0, k)] = SLOT }	/* create() of out.c: a slot before anybody agreed */
}

#define I	_pid
#define MAY_LEAVE(i)	(GOES_ON && !pz[i] && !out[i] && leaves < LEAVES + OWNER_LEAVES && role[i] == (OWNER_LEAVES -> ACTIVE : STANDBY))
#define CAN(j, may)	(GOES_ON && TALKS(I) && TALKS(j) && I != j && !pz[I] && se[P(I, j)] && may(I, j))
#define NOW(j, may, kind)	:: d_step { CAN(j, may) && !pz[j] -> compose(I, j, kind); print_message(); done() }
#define LATER(j, may, kind)	:: d_step { CAN(j, may) && mk[WAY - 1] == FREE -> \
		compose(I, j, kind); printf("under way, from "); print_message(); put_aside(); done() }
#if MOVES
#define TO(j, how)	how(j, SAYS_GRANT, GRANT) how(j, SAYS_IN, TELL_IN) how(j, SAYS_ACK, ACK) how(j, SAYS_REST, REST)
#else
#define TO(j, how)	how(j, SAYS_GRANT, GRANT) how(j, SAYS_IN, TELL_IN) how(j, SAYS_ACK, ACK)
#endif
#if N > 2
#define TO_ALL(how)	TO(0, how) TO(1, how) TO(2, how)
#else
#define TO_ALL(how)	TO(0, how) TO(1, how)
#endif
#define HEAR	d_step { receive(m_d); forget_message(); done() }

active [N] proctype node()
{
	d_step {
		if
		:: newest == 0 -> newest = 1; begin()
		:: else
		fi;
		done()
	}
end:	do
	:: atomic { if TO_ALL(NOW) fi; HEAR }
#if D
	TO_ALL(LATER)
#endif
	:: d_step { role[I] == ACTIVE && !pz[I] && os[I] < TOP && MAY_SEND(I) && GOES_ON && !ABSENT(I) -> send(I); done() }
	:: d_step { GOES_ON && role[I] == STANDBY && !pz[I] && promotes < PROMOTES && ALL_REPLACEABLE && IN(I) -> promote(I); done() }
	:: d_step { GOES_ON && role[I] && crashes < CRASHES -> crash(I); done() }
	:: d_step { GOES_ON && RUNS(I) && pauses < PAUSES -> pause(I); done() }
	:: d_step { GOES_ON && pz[I] -> resume(I); done() }
#if RETURNS
	:: d_step { GOES_ON && !role[I] && returns < RETURNS -> come_back(I); done() }
#endif
#if MOVES
	:: d_step { role[I] == ACTIVE && !pz[I] && moves < MOVES -> moves++; stand_down(I); my[I] = 1; printf("node %d is demoted\n", I); done() }
#endif
#if READDS && JUMPS
	:: d_step { GOES_ON && role[I] == ACTIVE && !pz[I] && !gone[I] && readds < READDS -> readds++; gone[I] = 1; printf("node %d: the SA is deleted\n", I); done() }
	:: d_step { GOES_ON && role[I] == ACTIVE && !pz[I] && gone[I] -> gone[I] = 0; printf("node %d: the SA is added again\n", I); update(I); done() }
#elif READDS
	:: d_step { role[I] == ACTIVE && !pz[I] && readds < READDS -> readd(I); done() }
#endif
#if GROWS
	:: d_step { role[I] == ACTIVE && !pz[I] && !ls[I] && !wl[I] && grows < GROWS ->
		grows++; wl[I] = LEASE; printf("node %d asks for twice as much next\n", I); done() }
#endif
#if JUMPS
	:: d_step { over && jp[I] -> printf("node %d looks at the SA again\n", I); update(I); done() }
#ifdef NO_jump_absent
	:: d_step { jp[I] && gone[I] -> jp[I] = 0; printf("node %d has looked at all SAs\n", I); done() }
#endif
#endif
#if LEAVES || OWNER_LEAVES
	:: atomic { d_step { MAY_LEAVE(I) && se[P(I, 1 - I)] && RUNS(1 - I) && TALKS(1 - I) -> compose(I, 1 - I, LEAVE); print_message(); leave(I); done() } HEAR }
#ifndef LEAVE_ARRIVES
	:: d_step { MAY_LEAVE(I) -> leave(I); printf("and the other one is not told\n"); done() }
#if D
	:: d_step { MAY_LEAVE(I) && se[P(I, 1 - I)] && mk[WAY - 1] == FREE ->
		compose(I, 1 - I, LEAVE); printf("under way, from "); print_message(); put_aside(); leave(I); done() }
#endif
#endif
	:: d_step { GOES_ON && role[I] && !pz[I] && out[I] && returns < RETURNS -> join(I); done() }
#endif
#if SKEW
	:: d_step { role[I] == STANDBY && skew < SKEW -> skew++; printf("node %d's clock stands: ", I); tick(I); done() }
#endif
#ifdef NO_store
	:: d_step { pend[I] && !pz[I] -> printf("node %d stores %d\n", I, pend[I]); tg[I] = MAX(tg[I], pend[I]); pend[I] = 0; rk[I] = RANK(I, OWNER(ep[I])); done() }
#endif
#ifdef NO_keep
	:: d_step { !has[I] && role[I] == STANDBY -> has[I] = 1; printf("node %d has the SA\n", I); done() }
#endif
#ifdef NO_wait
	:: d_step { role[I] == ACTIVE && !pz[I] && (ev[P(I, 0)] || ev[P(I, 1)]) ->
		printf("node %d waits for nobody\n", I); ev[P(I, 0)] = 0; ev[P(I, 1)] = 0; update(I); done() }
#endif
	od
}

active proctype wire()
{
	newest;
end:	do
	:: atomic { if :: d_step { mk[0] && RUNS(md[0]) && GOES_ON -> deliver(0); done() }
#if D > 1
		       :: d_step { mk[1] && RUNS(md[1]) -> deliver(1); done() }
#endif
		    fi; HEAR }
	:: d_step { mk[0] -> printf("lost: from %d to %d\n", ms[0], md[0]); take_out(0); done() }
#if D > 1
	:: d_step { mk[1] -> printf("lost: from %d to %d\n", ms[1], md[1]); take_out(1); done() }
#endif
	:: d_step { newest && GOES_ON -> tick(N); done() }
	od
}
