#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: sixteen nodes: all in sync, two crash 50 ms apart, then one after the other until half of them are gone, which come back at once
# WHERE: uml-fast
# SETS: timeout=400 mem=2048 named
"""
sixteen - invariants I1 and I4 with as many nodes as there may be (design 4.3: ranks, slots, rejoin).

Nodes that die here lose their wires and run on, as in nodes.py, which has what does not depend on how many they are.
"""
from esptest import *
from failover import *
from grouped import Judge
from many import *

NODES = 16
DEAD_MS = 5000      # 240 ways from node to node, on as many processors as the guest has


def sixteen():
    c = of(tuple(range(1, NODES + 1)))
    for n in c.gw:
        c.espsync(n, f"channel set dead_ms {DEAD_MS}")
    return c


def each_knows_all_others(c):
    for n in c.gw:
        equal(sorted(int(p["node"]) for p in c.show(n, "peers")), c.others(n), f"node {n}'s peers")
        until(lambda n=n: all(p["state"] == "up" for p in c.show(n, "peers")), 60, f"node {n}'s peers are up")


def two_crash_50_ms_apart(c):
    rng = seeded()
    two_die(c, Judge(c), rng, [c.active, *rng.sample(c.others(c.active), 2)])


def half_of_them_die(c):
    """Each while it is active. None of what a heir begins with is another one's; and who comes back is in again."""
    rng, judge = seeded(), Judge(c)
    load, dead = Load(c, c.tunnels, rate=50), []
    load.flows("with all of them")
    heirs = rng.sample(c.others(c.active), NODES // 2)
    for heir in heirs:
        dead.append(c.active)
        until(lambda h=heir: group(c, h)["in"], 60, f"node {heir} is in")
        near_renewal(c, rng)
        c.crash(c.active)
        equal(take_over(c, heir), 0, f"SAs in doubt on node {heir}")
        c.active = heir
        load.flows(f"on node {heir}, the {len(dead)}. heir")
    for n in dead:
        return_zombie(c, n)
    load.flows("with all of them back")
    load.stop()
    judge.no_number_twice()
    all_in(c)


main([each_knows_all_others, two_crash_50_ms_apart, half_of_them_die], sixteen)
