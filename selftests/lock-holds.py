#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: no spin lock is held while many SAs are walked: how long each is held at most, as the kernel's lock statistics tell
# WHERE: uml
# SETS: timeout=300 mem=2048 named uml-only
"""
lock-holds - all that walks every SA (a new scope, a promotion, a join, the look once a second), under CONFIG_LOCK_STAT.

UML's clock of locks ticks once a millisecond. So the longest hold, which catches a walk of so many under one, is judged coarsely, and by the best of some
tries, for this machine may stand still at any time; the mean, whose ticks even out, is judged too.
"""
import time

import bulk
from esptest import *

NUMBER = 20000
LOCKS = ("xfrm_state_lock", "&x->lock", "&es->sa_lock")
LONGEST_US, MEAN_US = 5000, 60


def walked(c):
    """Once by everything that walks. The other node has none of them, and is told all."""
    c.espsync(1, f"group set 0 addr {c.VIP}")
    c.espsync(1, "demote timeout 50")
    c.espsync(1, "promote")
    c.espsync(1, "resync")
    time.sleep(3)


def held(c):
    """{lock: (longest, mean) hold in microseconds}"""
    sh("echo 0 > /proc/lock_stat; sysctl -q kernel.lock_stat=1")
    walked(c)
    sh("sysctl -q kernel.lock_stat=0")
    holds = {}
    with open("/proc/lock_stat", encoding="ascii") as f:
        for line in f:
            name, colon, figures = line.rpartition(": ")
            for lock in LOCKS:
                if colon and lock in name and len(words := figures.split()) >= 12:
                    holds[lock] = max(holds.get(lock, (0, 0)), (float(words[9]), float(words[10]) / int(words[7])))
    return holds


def no_lock_is_held_for_a_walk(c):
    good = False
    for _ in range(5):
        holds = held(c)
        note(", ".join(f"{lock} {longest:.0f} us, {mean:.1f} in the mean" for lock, (longest, mean) in holds.items()))
        equal(set(holds), set(LOCKS), "locks that were taken")
        good = all(longest < LONGEST_US and mean < MEAN_US for longest, mean in holds.values())
        if good:
            break
    check(good, f"in each of five tries a lock was held for too long while {NUMBER} SAs were walked")


def setup():
    module()
    c = Cluster()
    bulk.add(c.gw1, c.VIP, range(0x100000, 0x100000 + NUMBER // 2))
    bulk.add(c.gw1, c.VIP, range(0x200000, 0x200000 + NUMBER // 2), inbound=True)
    for node in c.gw:
        c.configure(node)
    c.espsync(1, "promote")
    c.espsync(2, "demote")
    until(lambda: c.show(1, "stats")["sas"] == NUMBER, 60, "all are followed")
    return c


main([no_lock_is_held_for_a_walk], setup)
