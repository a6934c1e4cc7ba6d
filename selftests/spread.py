#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: twelve groups on four nodes: who dies leaves one group more to each of the others
# WHERE: uml-fast qemu
# SETS: timeout=200 named
from esptest import *
from grouped import *

NODES, GROUPS = 4, 12


def spread():
    module()
    c = Grouped(nodes=tuple(range(1, NODES + 1)), groups=tuple(range(GROUPS)))
    c.begin({g: 1 + g % NODES for g in range(GROUPS)})
    return c


def each_survivor_gets_one_more(c):
    judge, load = Judge(c), BothWays(c, rate=20)
    load.flows("three each")
    died = 2
    heirs = dict(zip([g for g in c.at if c.at[g] == died], c.others(died)))
    c.crash(died)
    for g, heir in heirs.items():
        equal(c.take(g, heir), 0, "SAs in doubt")
    load.flows("four each")
    for n in c.others(died):
        equal(sum(x["role"] == "active" for x in c.show(n, "groups")), 4, f"groups that are active on node {n}")
    c.revive(died, ("sync",))
    until(lambda: all(x["role"] == "standby" for x in c.show(died, "groups")), 30, "the dead node steps down in all of its groups")
    for g in heirs:
        c.has_address(g, died, add=False)
    c.revive(died, ("outside", "inside"))
    c.all_ready()
    for g in heirs:
        c.move(g, died)
    load.flows("three each again")
    c.all_ready()
    load.stop()
    judge.no_number_twice()


main([each_survivor_gets_one_more], spread)
