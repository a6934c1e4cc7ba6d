#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a node that only stores: never promoted, and who joins after all others were lost is filled from it
# WHERE: uml-fast qemu
# SETS: timeout=120 named
"""
store - role store (design 4.3, "a ceiling is stored whether or not the SA exists yet").

Here to be lost is to be gone with all memory: the namespace is deleted, so nobody may hold it while that happens.
"""
import subprocess
import time

from esptest import *
from failover import *
from many import *


def told_to_store_while_it_is_promoted(c):
    """The old owner is heard, and does not hear: the promote waits. It is refused for what it is."""
    c.espsync(2, "channel set dead_ms 20000")
    before = c.show(2, "groups")[0]["epoch"]
    c.cut_sync(one_way=2)
    promoting = spawn(["espsync", "-n", str(c.gw2), "promote"], stderr=subprocess.PIPE, text=True)
    until(lambda: c.show(2, "groups")[0]["epoch"] != before, 10, "node 2 claims")
    c.espsync(2, "group set 0 role store")
    c.heal_sync()
    said = promoting.communicate(timeout=30)[1]
    check(promoting.returncode == 3 and "role store" in said, f"promote: {promoting.returncode} {said!r}")
    equal(role_of(c, 1), "standby", "node 1, which has heard of it")
    c.espsync(2, "group set 0 role any")
    c.espsync(2, "channel set dead_ms 300")
    promote(c, 1)
    rekeyed(c)      # another epoch than its own was the newest: its SAs are in doubt
    all_in(c)


def what_a_store_keeps(c):
    """All but node 4 are lost, with all that they knew. A new node is filled by it: its numbers lie above, and it takes no replay."""
    done = c.espsync(1, "group set 0 role store", ok=None)
    check(done.status == 3 and "demote it first" in done.stderr, f"an active node is not told to store: {done}")
    c.espsync(4, "group set 0 role store")
    for t in c.tunnels:
        t.remove(c.gw4)
    until(lambda: all(s["state"] == "waiting" for s in sas(c, 4).values()) and len(sas(c, 4)) == 4, 10, "node 4 has numbers and no SAs")
    done = c.espsync(4, "promote", ok=None)
    check(done.status == 3 and "role store" in done.stderr, f"a store is not promoted: {done}")
    check("store-only" in c.espsync(4, "ready --local", ok=None), "ready --local of a store says why not")
    frames = {t: recorded(c, t, 300)[0] for t in c.tunnels}
    sender = Sender(c.lan, c.INNER, PORT, rate=200, source=c.LAN)
    until(lambda: int(c.tunnels[0].to_client.state(c.gw1)["oseq"]) > 100, 20, "numbers are used")
    sender.stop()
    last = {t: int(t.to_client.state(c.gw1)["oseq"]) for t in c.tunnels}
    quiet(c)
    for n in c.others(4):
        c.gw[n].delete()
    c.rebuild(2)
    knows_the_way(c, c.gw2)
    c.configure(2)
    until(lambda: c.peer_state(2, 4) in ("up", "joining"), 20, "node 2 hears the store")
    time.sleep(2)       # looks at all SAs, which nobody has in his kernel
    for t in c.tunnels:
        t.install(c.gw2)
    c.add_vip(2), c.announce(2)
    equal(promote(c, 2), len(c.tunnels), "SAs in doubt: nobody who was active said that node 2 has everything")
    c.active = 2
    for t in c.tunnels:
        begins = int(t.to_client.state(c.gw2)["oseq"])
        check(last[t] <= begins < last[t] + 2**31, f"{t.to_client.spi:#x} goes on at {begins}, the last one was {last[t]}")
        equal(Player(c).play(2, t.to_gw, frames[t]), (0, len(frames[t])), f"{t.to_gw.spi:#x}: what node 1 had accepted, played to node 2")


main([told_to_store_while_it_is_promoted, what_a_store_keeps], four)
