/* SPDX-License-Identifier: GPL-2.0 */
/*
 * groups.pml - an SA that changes its group, for spin. README.md says what is modelled and how; model/check runs it.
 *
 * Job: every history, within the bounds, of one SA and two groups, A and B. Node 0 is the owner of both, node 1 stands by in both. Each node
 * moves the SA from A to B when its own definitions change. Node 1 may take over either group. The one assertion is I1, as in leases.pml; so is how
 * numbers and time are counted, and what -DNO_xxx does.
 * What may not enter: what leases.pml says already (what is said of "in" arrives at once or never, nobody returns, one takeover), how groups are defined.
 *
 * Who sends the SA is fenced: not node 0 while node 1 runs and has taken over the group in which it counts the SA.
 */
#ifndef TOP
#define TOP	4
#endif
#ifndef EVICT
#define EVICT	1
#endif
#ifndef DETECT
#define DETECT	0		/* who stands still is replaced at once, and knows it */
#endif
#ifndef PAUSES
#define PAUSES	1		/* of the owner */
#endif
#ifndef CRASHES
#define CRASHES	2
#endif

#define LEASE	1
#define SLOT	1
#define SPAN	(LEASE + SLOT)
#define NOLIMIT	31
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define MAX(a, b) ((a) > (b) -> (a) : (b))

#define A	0
#define B	1
#define NOBODY	2		/* no name in this datagram, or none heard */

/* Both. */
bit dead[2];
byte group[2];			/* in which a node counts the SA */

/* The owner. */
bit yields[2];			/* it knows that node 1 has taken over this group */
byte pz;			/* paused: 1 + ticks since */
byte tg = SLOT;			/* ceiling asked for */
byte os;			/* last block used */
byte ak = SLOT;			/* ceiling that node 1 has acknowledged, or that needs nobody's word */
byte lim;			/* limit when a pause began */
bit is_in[2];			/* node 1 is in */
byte ev[2];			/* own ticks for which it may believe that it is in */
bit gp[2];			/* since a gap it has not been heard */
bit nm;				/* it has acknowledged the SA's name as it is now */
#ifdef NO_name_now
bit told[2];			/* a name with that group was said, and is not acknowledged */
#endif
bit sy;				/* it has acknowledged the SA */
bit strange;			/* it counts the SA to another group, as it says */

/* The standby. */
bit took[2];			/* it has taken over */
byte inl[2];			/* ticks that it is in for */
byte tg1;			/* ceiling that it knows; 0: never told */
byte said1;			/* what it acknowledges */
byte name1 = NOBODY;		/* to which group the owner counts the SA */
byte def1;			/* to which its own definitions do: that of the SA once it has its state */
bit x1;				/* it has the SA's state; without one it counts the SA as it was named */
bit astray;			/* not to the one to which it does, or that is not known */
bit begun;			/* it sends the SA */
byte os1, st1, ab1;
byte sett1;			/* own ticks until it is settled */

/* The datagram under way. */
#define FREE	0
#define GRANT	1		/* owner: a ceiling, and a name unless that is known */
#define ACK	2
byte mk, mc, mn = NOBODY;
bit ma, mb;			/* node 1 says that it is active in A, in B */
bit mf;				/* said after the owner's last gap */

byte pauses, crashes;
int used;

/* Scratch: no part of a state, see leases.pml. */
#ifdef SHORTEST
#define SCRATCH	byte
#else
#define SCRATCH	hidden byte
#endif
SCRATCH lm, c_, n_, bound, a_, b_, f_;

inline done()
{
#ifdef SHORTEST
	lm = 0; c_ = 0; n_ = 0; bound = 0; a_ = 0; b_ = 0; f_ = 0
#else
	skip
#endif
}

#define RUNS(i)		(!dead[i] && (i || !pz))
#define BELIEVES(g)	(is_in[g] || ev[g])
#define ANY_BELIEF	(BELIEVES(A) || BELIEVES(B))
#ifdef NO_misplaces
#define MISPLACES	0
#else
#define MISPLACES	(!nm && ANY_BELIEF)
#endif
#define REPLACEABLE(g)	(dead[0] || pz > DETECT || yields[g])
#define REPLACED	(RUNS(1) && begun)

/* es_out_update() of the owner: lm is what it may use now. */
inline update()
{
	bound = BELIEVES(group[0]) || MISPLACES;
	lm = (bound -> ak : NOLIMIT);
	if
	:: gp[group[0]] -> lm = MIN(lm, lim)
	:: else
	fi;
	if
	:: (!bound || ak >= tg) && os >= tg -> tg = (bound -> MIN(os, tg) : os) + LEASE
	:: else
	fi
}

inline sent(node, n)
{
	printf("node %d sends block %d\n", node, n);
	assert(!(used & (1 << n)));		/* I1 */
	used = used | (1 << n)
}

/* What node 1 has heard: apply_name() and es_out_store(). An active node passes over what another one promises, but acknowledges it. */
inline hear_grant()
{
	if
	:: n_ != NOBODY ->
#ifndef NO_name_order
		n_ = (name1 == NOBODY -> n_ : MAX(name1, n_));	/* the owner moves it from A to B, not back */
#endif
		name1 = n_;
		if
		:: !x1 -> group[1] = name1
		:: else
		fi;
		astray = name1 != group[1]
	:: else
	fi;
	if
	:: name1 == NOBODY -> skip		/* a handle that means nothing here: not stored, not acknowledged */
	:: else ->
		if
		:: !begun -> tg1 = MAX(tg1, c_)
		:: else
		fi;
		said1 = MAX(said1, c_)
	fi
}

/* Who has been promoted, in whatever group, while the owner stood still may have sent what he has not heard of by its name as it is now. */
#ifdef NO_gap_misplaced
#define SENT_MEANWHILE	0
#else
#define SENT_MEANWHILE	(gp[group[0]] && !nm && ((a_ && !yields[A]) || (b_ && !yields[B])))
#endif

/* What the owner has heard: role and epoch, then the end of a gap, then acknowledgements. */
inline hear_ack()
{
	if
	:: SENT_MEANWHILE -> printf("node 0 names the SA as in doubt\n"); end0()
	:: else -> hear_rest()
	fi
}

inline hear_rest()
{
	if
	:: a_ && !yields[A] -> yields[A] = 1; printf("node 0 stands down in A\n")
	:: else
	fi;
	if
	:: b_ && !yields[B] -> yields[B] = 1; printf("node 0 stands down in B\n")
	:: else
	fi;
	if
	:: f_ -> gp[A] = 0; gp[B] = 0
	:: else
	fi;
	if
#ifdef NO_name_now
	:: n_ != NOBODY && told[n_] ->
#else
	:: n_ != NOBODY && n_ == group[0] ->
#endif
		nm = 1
	:: else
	fi;
#ifdef NO_name_now
	if
	:: n_ != NOBODY -> told[n_] = 0
	:: else
	fi;
#endif
	if
#ifdef NO_agreed
	:: c_ ->
#else
	:: c_ && !strange && !(group[0] == A && a_) && !(group[0] == B && b_) ->
#endif
		ak = MAX(ak, c_); sy = 1
	:: else
	fi;
	if
	:: !gp[A] && !gp[B] -> lim = 0
	:: else
	fi;
	update()
}

inline owner_says()
{
	c_ = tg; n_ = (nm -> NOBODY : group[0])
#ifdef NO_name_now
	;
	if
	:: !nm -> told[group[0]] = 1
	:: else
	fi
#endif
}

inline standby_says()
{
	c_ = said1; n_ = name1; a_ = took[A]; b_ = took[B]; f_ = 1
}

/* es_place_sa() on the owner. */
inline owner_moves()
{
	printf("node 0 moves the SA to B\n");
	group[0] = B; nm = 0; sy = 0;
#ifndef NO_carry
	ev[B] = MAX(ev[A], ev[B]);
#endif
	update()
}

inline begin1()
{
	begun = 1;
	st1 = (tg1 -> tg1 : SLOT);
	os1 = st1; ab1 = st1 + 2 * SPAN;
	sett1 = EVICT
}

#ifdef NO_astray
#define SURE(g)		1
#else
#define SURE(g)		(group[1] != g || !astray)
#endif

/* ... and on the standby: it is covered by "in" of B when it is named again. */
inline standby_moves()
{
	def1 = B;
	if
	:: x1 ->
		printf("node 1 moves the SA to B\n");
		group[1] = B;
#ifdef NO_astray_moved
		skip
#else
		astray = name1 != NOBODY
#endif
	:: else -> printf("node 1 will count the SA to B\n")
	fi
}

/*
 * Its state comes: it goes on from what it was told, in the group that it was named in, and is moved from there. Into one that it is active in: what is astray
 * would be named as in doubt.
 */
inline state_comes()
{
	x1 = 1;
	printf("node 1 has the SA, in group %d\n", def1);
#ifndef NO_astray_adopted
	astray = astray || (name1 != NOBODY && name1 != def1);
#endif
	group[1] = def1;
	if
	:: took[def1] && !SURE(def1) -> printf("node 1 names it as in doubt\n"); end1()
	:: took[def1] && SURE(def1) -> begin1()
	:: else
	fi
}

inline put_aside(kind)
{
	mk = kind; mc = c_; mn = n_;
	if
	:: kind == ACK -> ma = a_; mb = b_; mf = 1
	:: else
	fi
}

inline take_out()
{
	c_ = mc; n_ = mn; a_ = ma; b_ = mb; f_ = mf;
	mk = FREE; mc = 0; mn = NOBODY; ma = 0; mb = 0; mf = 0
}

/* What a dead node knew is no part of a state. */
inline end0()
{
	dead[0] = 1; pz = 0; tg = 0; os = 0; ak = 0; lim = 0; nm = 0; sy = 0; strange = 0; group[0] = A;
	is_in[A] = 0; is_in[B] = 0; ev[A] = 0; ev[B] = 0; gp[A] = 0; gp[B] = 0; yields[A] = 0; yields[B] = 0;
#ifdef NO_name_now
	told[A] = 0; told[B] = 0;
#endif
	if
	:: mk == ACK -> take_out()
	:: else
	fi
}

inline end1()
{
	dead[1] = 1; took[A] = 0; took[B] = 0; inl[A] = 0; inl[B] = 0; tg1 = 0; said1 = 0; name1 = NOBODY; astray = 0; begun = 0;
	os1 = 0; st1 = 0; ab1 = 0; sett1 = 0; group[1] = A; def1 = A; x1 = 0;
	if
	:: mk == GRANT -> take_out()
	:: else
	fi
}

inline pause()
{
	printf("node 0 stands still\n");
	pauses++; pz = 1;
	update();
	lim = lm
}

/* gap(): those who believe that they are in may have been promoted meanwhile, and also have sent what they count to another group than this node does. */
#ifdef NO_gap_groups
#define GAP(g)		(!yields[g] && BELIEVES(g))
#else
#define GAP(g)		(!yields[g] && ANY_BELIEF)
#endif

inline resume()
{
	printf("node 0 goes on\n");
	if
	:: pz > DETECT -> mf = 0; gp[A] = GAP(A); gp[B] = GAP(B)
	:: else
	fi;
	pz = 0;
	if
	:: !gp[A] && !gp[B] -> lim = 0
	:: else
	fi;
	update()
}

/* es_group_promote(); what is astray would be named as in doubt. */
inline promote(g)
{
	took[g] = 1; inl[g] = 0;
	printf("node 1 is promoted in group %d\n", g);
	if
	:: x1 && group[1] == g -> begin1()
	:: else
	fi
}

inline tick()
{
	printf("a tick\n");
	inl[A] = (inl[A] -> inl[A] - 1 : 0);
	inl[B] = (inl[B] -> inl[B] - 1 : 0);
	sett1 = (sett1 -> sett1 - 1 : 0);
	if
	:: pz -> pz = MIN(pz + 1, DETECT + 1)
	:: dead[0] -> skip
	:: else ->
		ev[A] = (ev[A] -> ev[A] - 1 : 0);
		ev[B] = (ev[B] -> ev[B] - 1 : 0);
		update()
	fi
}

inline send0()
{
	update();
	if
	:: lm > os && os < TOP -> os++; sent(0, os); update()
	:: else
	fi
}

/* Its own slot, then what is above all slots. */
inline send1()
{
	if
	:: sett1 && os1 >= st1 + SLOT -> skip
	:: else ->
		if
		:: !sett1 && os1 < ab1 -> os1 = ab1
		:: else
		fi;
		if
		:: os1 < TOP -> os1++; sent(1, os1)
		:: else
		fi
	fi
}

#define OWNS(g)		(RUNS(0) && !yields[g])
#define JOINS(g)	:: d_step { OWNS(g) && !is_in[g] && sy && os <= ak && RUNS(1) && !took[g] -> is_in[g] = 1; printf("node 0: node 1 is in in group %d\n", g); done() } \
			:: d_step { is_in[g] -> is_in[g] = 0; printf("node 0: node 1 is out in group %d\n", g); update(); done() }
#define TELLS(g)	:: d_step { OWNS(g) && is_in[g] && !gp[g] -> ev[g] = EVICT; printf("node 0 says in for group %d", g); \
				if :: RUNS(1) && !took[g] -> inl[g] = EVICT; printf("\n") :: else -> printf(": lost\n") fi; done() } \
			:: d_step { OWNS(g) && is_in[g] && !gp[g] -> ev[g] = EVICT; printf("node 0 says in for group %d: lost\n", g); done() }

active proctype owner()
{
end:	do
	:: d_step { RUNS(0) && RUNS(1) -> owner_says(); printf("node 0 to 1: ceiling %d, name %d\n", c_, n_); hear_grant(); done() }
	:: d_step { RUNS(0) && mk == FREE -> owner_says(); printf("under way, from node 0 to 1: ceiling %d, name %d\n", c_, n_); put_aside(GRANT); done() }
	JOINS(A) JOINS(B)
	TELLS(A) TELLS(B)
	:: d_step { OWNS(group[0]) && !REPLACED -> send0(); done() }
#ifdef NO_stays
	:: d_step { OWNS(group[0]) && !yields[A] && !yields[B] && group[0] == A -> owner_moves(); done() }
#else
	:: d_step { OWNS(group[0]) && !yields[A] && !yields[B] && group[0] == A && !gp[A] -> owner_moves(); done() }
#endif
	:: d_step { RUNS(0) && pauses < PAUSES -> pause(); done() }
	:: d_step { pz -> resume(); done() }
	:: d_step { !dead[0] && crashes < CRASHES -> crashes++; printf("node 0 crashes\n"); end0(); done() }
	od
}

active proctype standby()
{
end:	do
	:: d_step { RUNS(0) && RUNS(1) -> standby_says(); printf("node 1 to 0: has stored %d, was told group %d\n", c_, n_); hear_ack(); done() }
	:: d_step { RUNS(1) && mk == FREE -> standby_says(); printf("under way, from node 1 to 0: has stored %d, was told group %d\n", c_, n_); put_aside(ACK); done() }
#ifdef NO_gap_first
	:: d_step { pz && RUNS(1) -> standby_says(); printf("node 1 to 0, which does not know yet that it stood still: has stored %d, was told group %d\n", c_, n_);
		    hear_ack(); done() }
#endif
	:: d_step { RUNS(0) && RUNS(1) -> strange = group[0] != group[1]; printf("node 1 to 0: counts it in group %d\n", group[1]); done() }
	:: d_step { RUNS(0) && RUNS(1) && astray -> nm = 0; printf("node 1 to 0: name it again\n"); update(); done() }
	:: d_step { RUNS(1) && def1 == A && took[A] == took[B] -> standby_moves(); done() }
	:: d_step { RUNS(1) && !x1 -> state_comes(); done() }
	:: d_step { RUNS(1) && !took[A] && inl[A] && REPLACEABLE(A) && SURE(A) -> promote(A); done() }
	:: d_step { RUNS(1) && !took[B] && inl[B] && REPLACEABLE(B) && SURE(B) -> promote(B); done() }
	:: d_step { RUNS(1) && begun && os1 < TOP -> send1(); done() }
	:: d_step { !dead[1] && crashes < CRASHES -> crashes++; printf("node 1 crashes\n"); end1(); done() }
	od
}

active proctype wire()
{
end:	do
	:: d_step { mk == GRANT && RUNS(1) -> take_out(); printf("late, to node 1: ceiling %d, name %d\n", c_, n_); hear_grant(); done() }
	:: d_step { mk == ACK && RUNS(0) -> take_out(); printf("late, to node 0: has stored %d, was told group %d\n", c_, n_); hear_ack(); done() }
	:: d_step { mk -> take_out(); printf("lost\n"); done() }
	:: d_step { tick(); done() }
	od
}
