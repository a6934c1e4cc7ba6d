#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: both nodes active after a partition: seen when the link returns, the lower epoch yields, SAs that both may have used are named
# WHERE: uml qemu
# SETS: timeout=250 named
"""
split - what becomes of groups that two nodes were active in (design 4.6).

A partition here is: all wires of node 1 are pulled, and it goes on. Within evict_ms its leases keep it away from its successor's
numbers; after that nothing does, and the SAs that went so far are named for a rekey: those and no others.
"""
import time

from esptest import *
from failover import GSO_MAX, Events, sas, set_times
from grouped import *

DETECT_MS, EVICT_MS = 1000, 3000


def parted(c):
    """Node 1 is alone, and node 2 has taken group 0."""
    c.all_ready()
    c.crash(1)
    equal(c.take(0, 2), 0, "SAs in doubt")


def together(c, conflict_told=True):
    """The link first: node 1 hears the higher epoch before the outside hears it. What node 2 says meanwhile; node 1 tells the conflict if it hears
    of the higher epoch from the node that has it."""
    events, conflict = Events(c, 2), Events(c, 1)
    c.revive(1, ("sync",))
    until(lambda: c.role(1, 0) == "standby", 30, "node 1 steps down")
    c.has_address(0, 1, add=False)
    c.revive(1, ("outside", "inside"))
    time.sleep(1)       # more than what node 1 has to tell takes
    said = conflict.stop()
    check(("conflict", None) in said or not conflict_told, f"a conflict is told: {said}")
    return events.stop()


def named(said):
    return {e: {spi for event, spi in said if event == e} for e in ("stale", "rekey-needed")}


def runs_on(c, g):
    """Node 1, which knows nothing of its successor, comes to the end of its lease."""
    sa = c.tunnels[g].to_client
    ceiling = int(sas(c, 1)[sa.spi]["ceiling"])
    sa.set_oseq(c.gw1, ceiling - GSO_MAX - 3)
    return sa, ceiling


def anew(c, g):
    """What a rekey does."""
    old = c.tunnels[g]
    c.remove(g)
    c.tunnels[g] = c.through(g, old.to_gw.spi + 0x100)


def back(c):
    c.all_ready()
    c.move(0, 1)
    c.all_ready()


def within_its_lease_nothing_is_named(c):
    set_times(c, DETECT_MS, 30000)
    judge, load = Judge(c), BothWays(c)
    load.flows("before")
    parted(c)
    stalls = int(c.show(1, "stats")["stalls"])
    runs_on(c, 0)
    until(lambda: int(c.show(1, "stats")["stalls"]) > stalls, 10, "node 1 stops at its ceiling")
    load.flows("on node 2")
    said = together(c)
    equal(named(said), {"stale": set(), "rekey-needed": set()}, "SAs named")
    c.all_ready()
    load.stop()
    judge.no_number_twice()
    back(c)


def what_both_used_is_named(c):
    """The first case: evict_ms may be raised at any time, but who was told "in" goes by what he was told."""
    judge, load = Judge(c), BothWays(c)
    load.flows("before")
    parted(c)
    sa, ceiling = runs_on(c, 0)
    until(lambda: int(sa.state(c.gw1)["oseq"]) > ceiling - GSO_MAX + 10, 30, "node 1 goes on after evict_ms")
    sa.set_oseq(c.gw1, ceiling - 3)     # where much more traffic would have brought it
    until(lambda: int(sa.state(c.gw1)["oseq"]) > ceiling + 20, 10, "node 1 passes its ceiling")
    load.flows("on node 2")
    said = together(c)
    equal(named(said), {"stale": {sa.spi}, "rekey-needed": {sa.spi}}, "SAs named")
    equal({s for s, x in sas(c, 2).items() if x["state"] == "stale"}, {sa.spi}, "SAs in doubt")
    check("sa-stale" in c.espsync(2, "ready", ok=None), "ready says so")
    load.flows("in doubt")
    load.stop()
    twice = judge.no_number_twice(but=(sa.spi,))[sa.spi]
    check(len(twice) >= 10, f"both nodes used {len(twice)} numbers: else there was nothing to name")
    anew(c, 0)
    back(c)


def what_was_passed_is_told_once(c):
    """A third node that takes over in order later knows all numbers: nothing of it is in doubt, however often the first one is asked."""
    c.one_more(3, DETECT_MS, EVICT_MS)
    load = BothWays(c)
    load.flows("before")
    parted(c)
    sa, ceiling = runs_on(c, 0)
    until(lambda: int(sa.state(c.gw1)["oseq"]) > ceiling - GSO_MAX + 10, 30, "node 1 goes on after evict_ms")
    sa.set_oseq(c.gw1, ceiling - 3)
    until(lambda: int(sa.state(c.gw1)["oseq"]) > ceiling + 20, 10, "node 1 passes its ceiling")
    load.flows("on node 2")
    equal(named(together(c, conflict_told=False))["stale"], {sa.spi}, "SAs that node 2 names")
    until(lambda: all(c.peer_state(2, n) == "up" for n in (1, 3)), 30, "both are in")
    events = Events(c, 3)
    equal(c.move(0, 3), 0, "SAs in doubt")
    load.flows("on node 3")
    for n in (1, 2):
        c.espsync(n, "resync")
        until(lambda: c.peer_state(n, 3) == "up", 20, f"node {n} has told all again")
    equal(named(events.stop())["stale"], set(), "SAs that node 3 names")
    load.stop()
    anew(c, 0)
    c.all_ready()
    c.move(0, 1)
    c.one_less(3)
    c.all_ready()


def each_takes_the_others_group(c):
    """Both believe that the other is dead: in each group the one that was promoted last stays active."""
    set_times(c, DETECT_MS, 30000)
    judge, load = Judge(c), BothWays(c)
    load.flows("before")
    parted(c)
    time.sleep(1.1)     # epochs are seconds where nobody says otherwise
    c.espsync(1, "promote group 1")
    c.revive(1, ("sync",))
    until(lambda: [c.role(n, g) for n in (1, 2) for g in (0, 1)] == ["standby", "active", "active", "standby"], 30,
          "node 1 keeps group 1, node 2 group 0")
    c.has_address(0, 1, add=False), c.has_address(1, 2, add=False)
    c.take(1, 1)
    c.revive(1, ("outside", "inside"))
    load.flows("with one active node each")
    c.all_ready()
    c.move(1, 2)
    load.flows("group 1 on node 2 again")
    load.stop()
    judge.no_number_twice()
    back(c)


def short():
    return prepared(detect_ms=DETECT_MS, evict_ms=EVICT_MS)


main([what_both_used_is_named, what_was_passed_is_told_once, within_its_lease_nothing_is_named, each_takes_the_others_group], short)
