#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a full resync of 100,000 SAs, and a promote with so many in sync
# FIGURES: resync_100k_s promote_100k_ms
# WHERE: uml-bench
# SETS: timeout=900 mem=4096 quick
"""
join - two nodes with 100,000 SAs each, a processor each. A resync: the owner forgets its peer and learns of it anew, until each has told the other all it has.
A promote: the owner is cut off, and when the other one misses it, it is promoted; then all is as it was, with the roles changed.
"""
import time

from esptest import *
from failover import ESPSYNC_A_GROUP, ESPSYNC_CMD_PEER_GET, ESPSYNC_CMD_PROMOTE, ask, nest, role_of
from measured import figure, runs, wanted
from thousands import add, follow, in_sync, meet

NUMBER = 100000
PEER_STATE, PEER_SYNCED, UP = 4, 5, 2


def synced(c, node):
    """Whether a node's peer has all; asked without a process, for the clock is running."""
    peer = ask(c.gw[node], ESPSYNC_CMD_PEER_GET, dump=True)[0]
    return peer[PEER_STATE][0] == UP and int.from_bytes(peer[PEER_SYNCED], "little") == NUMBER


def resync(c):
    took = []
    for _ in range(runs(10)):
        c.espsync(1, "peer del 2")
        began = time.monotonic()
        c.espsync(1, f"peer add 2 {c.SYNC[2]}")
        until(lambda: synced(c, 1) and synced(c, 2), 60, "all is in sync", step=0.005)
        took.append(time.monotonic() - began)
        note(f"in sync within {took[-1]:.2f} s")
    figure("resync_100k_s", "s", took)


def promote(c):
    took, active = [], 1
    for _ in range(runs(10)):
        heir = 3 - active
        c.crash(active)
        until(lambda: c.peer_state(heir) == "down", 30, "the owner is missed")
        began = time.monotonic()
        ask(c.gw[heir], ESPSYNC_CMD_PROMOTE, nest(ESPSYNC_A_GROUP))
        took.append((time.monotonic() - began) * 1000)
        equal(role_of(c, heir), "active", "the heir's role")
        equal([s["spi"] for s in c.show(heir, "sas") if s["state"] == "stale"][:3], [], "SAs in doubt")
        note(f"promoted in {took[-1]:.2f} ms")
        c.revive(active)
        until(lambda: role_of(c, active) == "standby" and in_sync(c, NUMBER), 120, "the old owner is back, and in sync")
        active = heir
    figure("promote_100k_ms", "ms", took)


def setup():
    module()
    c = Cluster()
    for n in (1, 2):
        add(c, n, NUMBER)
        follow(c, n, NUMBER)
    meet(c, NUMBER)
    return c


main([case for case, name in ((resync, "resync_100k_s"), (promote, "promote_100k_ms")) if wanted(name)], setup)
