#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: more than two nodes: crashes one after the other, leaving, coming back, one more that joins
# WHERE: uml-fast qemu
# SETS: timeout=300 named
"""
nodes - invariants I1 and I4 with four nodes and more (design 4.3: ranks, slots, rejoin).

Nodes that die here lose their wires and run on: what they and their heirs send is captured in front of the cut, so a number that two of them
use is found.
"""
import time

from esptest import *
from failover import *
from grouped import Judge
from many import *


def crashes_50_ms_apart(c):
    rng, judge = seeded(), Judge(c)
    for _ in range(3):
        two_die(c, judge, rng, [c.active, *rng.sample(c.others(c.active), 2)])


def who_leaves_stalls_nobody(c):
    """In order: at once, though evict_ms is 30 s. Then it comes back and is in again."""
    judge, load = Judge(c), Load(c, c.tunnels, rate=100)
    owner, leaver = c.active, c.others(c.active)[-1]
    stalls = int(c.show(owner, "stats")["stalls"])
    c.espsync(leaver, "channel del")
    until(lambda: c.peer_state(owner, leaver) == "down", 10, "its peers know that it left")
    near_renewal(c, seeded())
    ceilings = {s: int(x["ceiling"]) for s, x in sas(c, owner).items() if x["dir"] != "in"}
    for t in c.tunnels:
        t.to_client.set_oseq(c.gw[owner], ceilings[t.to_client.spi] - GSO_MAX - 30)
    load.flows("past the ceilings that it knew", packets=200)
    check(all(int(sas(c, owner)[s]["ceiling"]) > n for s, n in ceilings.items()), "ceilings have risen without it")
    equal(int(c.show(owner, "stats")["stalls"]) - stalls, 0, "times that an SA stood at its ceiling")
    c.configure(leaver)
    set_times(c, 2000, 30000, nodes=(leaver,))
    c.espsync(leaver, "demote")
    all_in(c)
    load.flows("with it back")
    load.stop()
    judge.no_number_twice()


def a_fifth_joins(c):
    """Named on the others while they work; then everything is its."""
    c.add_gateway(5)
    knows_the_way(c, c.gw5)
    c.configure(5)
    set_times(c, 2000, 30000, nodes=(5,))
    for t in c.tunnels:
        t.install(c.gw5)
    for n in c.others(5):
        c.espsync(n, f"peer add 5 {c.SYNC[5]}")
    c.espsync(5, "demote")
    all_in(c)
    judge, load = Judge(c), Load(c, c.tunnels, rate=100)
    load.flows("with five")
    c.crash(c.active)
    died = c.active
    equal(take_over(c, 5), 0, "SAs in doubt on the fifth")
    c.active = 5
    load.flows("on the fifth")
    return_zombie(c, died)
    all_in(c)
    load.stop()
    judge.no_number_twice()


def a_lower_one_joins(c):
    """
    Where a standby stands among them changes, and its owner has nothing new to say: what it was told before gives it another slot now. Two of them, that
    do not hear each other, are promoted within evict_ms; the second one's slot is below the first one's, so the client refuses what it sends.
    """
    low, stays, owner = 1, 2, 4
    c.fail_over(owner)
    c.active = owner
    all_in(c)
    c.espsync(low, "channel del")
    for n in c.others(low):
        c.espsync(n, f"peer del {low}")
    judge, load = Judge(c), Load(c, c.tunnels, rate=100)
    near_renewal(c, seeded())
    load.flows("without it", packets=200)
    load.stop()
    time.sleep(1)
    c.espsync(stays, f"peer add {low} {c.SYNC[low]}")
    c.crash(stays)
    c.configure(low)
    set_times(c, 2000, 30000, nodes=(low,))
    for n in c.others(low):
        if n != stays:
            c.espsync(n, f"peer add {low} {c.SYNC[low]}")
    c.espsync(low, "demote")
    until(lambda: group(c, low)["in"], 60, f"node {low} is in")
    c.revive(stays, ("outside", "inside"))      # it hears no node any more, so it cannot be told by the one that has joined
    load = Load(c, c.tunnels, rate=100)
    load.flows("with it in")
    began, spis = time.time(), {t.to_client.spi for t in c.tunnels}
    for heir in (stays, low):
        c.crash(c.active)
        equal(take_over(c, heir), 0, f"SAs in doubt on node {heir}")
        c.active = heir
        until(lambda n=heir: judge.sent_by(n, began) == spis, 10, f"node {heir} sends")
    load.stop()
    check(time.time() - began < 25, "neither has left its slot")
    equal(judge.no_number_twice(but=spis), {spi: [] for spi in spis}, "numbers that both have sent")


main([crashes_50_ms_apart, who_leaves_stalls_nobody, a_fifth_joins, a_lower_one_joins], four)
