#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: groups: both gateways carry traffic and each stands by for the other; a group carved out of another moves alone
# WHERE: uml qemu
# SETS: timeout=240
"""
groups - roles, epochs, leases and the guard of one group do not touch another's (design 4.6).

Group 0 is active on node 1, group 1 on node 2. Each case leaves it so.
"""
import os
import time

from esptest import *
from failover import LEASE_MIN, promote, ready, sas, set_times
from grouped import *

CLIENT2, INNER3 = "192.0.2.101", "10.2.0.3"


def refused(c, node, words, sentence):
    """By the kernel, with its sentence, and nothing has changed."""
    before = c.show(node, "groups")
    done = c.espsync(node, words, ok=None)
    equal(done.status, 3, f"exit status of {words}: {done}")
    check(sentence in done.stderr, f"{words}: {done.stderr!r} says {sentence!r}")
    equal([(g["group"], g["addrs"], g["remotes"], g["role"]) for g in c.show(node, "groups")],
          [(g["group"], g["addrs"], g["remotes"], g["role"]) for g in before], f"groups after {words}")


def each_carries_one(c):
    judge, load = Judge(c), BothWays(c)
    load.flows("both active")
    for node, g in ((1, 0), (2, 1)):
        equal(judge.sent_by(node), {c.tunnels[g].to_client.spi}, f"SPIs that left node {node}")
        check(int(c.show(node, "stats")["refused"]) > 0, f"node {node}'s guard refused what it would have sent for the other group")
        equal((c.role(node, g), c.role(node, 1 - g)), ("active", "standby"), f"roles of node {node}")
        equal([(s["group"], s["owner"]) for s in sas(c, node).values() if s["dir"] != "in"], [(0, 1), (1, 2)], f"groups and owners on node {node}")
    load.stop()
    judge.no_number_twice()


def dies(c, rng, node):
    """A node dies with its groups; the other one takes them. When it has come back, it is standby for what it lost."""
    judge, load = Judge(c), BothWays(c)
    load.flows("before the crash")
    mine = [g for g in c.at if c.at[g] == node]
    time.sleep(rng.uniform(0, 0.3))
    c.crash(node)
    for g in mine:
        equal(c.take(g, 3 - node), 0, "SAs in doubt")
    load.flows(f"after node {node} died")
    c.revive(node, ("sync",))
    until(lambda: all(c.role(node, g) == "standby" for g in c.at), 30, f"node {node} steps down")
    for g in mine:
        c.has_address(g, node, add=False)
    back = time.time()
    c.revive(node, ("outside", "inside"))
    load.flows(f"with node {node} back")
    c.all_ready()
    equal(judge.sent_by(node, since=back), set(), f"SPIs that left node {node} since it is standby")
    load.stop()
    judge.no_number_twice()
    for g in mine:
        c.move(g, node)
    c.all_ready()


def one_crash_gives_the_other_both(c):
    rng = seeded()
    for node in (1, 2, rng.choice((1, 2))):
        dies(c, rng, node)


def planned_moves_are_their_own(c):
    """Moving one group changes neither epoch nor owner of the other."""
    judge, load = Judge(c), BothWays(c)
    for to in (2, 1):
        other = c.group(1, 1)
        c.move(0, to)
        load.flows(f"group 0 on node {to}")
        now = c.group(1, 1)
        equal((now["epoch"], now["owner"], now["role"]), (other["epoch"], other["owner"], other["role"]), "group 1 while group 0 moved")
        c.all_ready()
    load.stop()
    judge.no_number_twice()


def narrower(c, node):
    c.espsync(node, f"group set 2 addr {vip(0)} remote {CLIENT2}/32")


def steered(c):
    """The network brings the second client's packets to node 2, and its answers: a router with a next hop per client."""
    c.client.ip("route replace 192.0.2.1/32 via 192.0.2.12 dev out table 101")
    c.client.ip(f"rule add from {CLIENT2} lookup 101")
    c.lan.ip(f"route replace {INNER3}/32 via 10.1.0.12")


def steered_back(c):
    c.client.ip(f"rule del from {CLIENT2} lookup 101")
    c.lan.ip(f"route replace {INNER3}/32 via {inside(0)}")


def a_carved_group_moves_alone(c):
    """One client of an address that stays: its group begins with the role of the one that it is carved from, and goes to the other node."""
    c.client.batch([f"addr add {CLIENT2}/24 dev out", f"addr add {INNER3}/32 dev lo"])
    c.lan.ip(f"route add {INNER3}/32 via {inside(0)}")
    for gw in c.gw.values():
        gw.ip(f"route add {INNER3}/32 via {CLIENT2} dev out")
        gw.ip(f"neigh replace {CLIENT2} lladdr {c.client.mac('out')} dev out nud permanent")
    c.at[2] = 1
    c.tunnels[2] = c.through(0, 0x3000, INNER3, CLIENT2)
    judge, load = Judge(c), BothWays(c)
    load.flows("all in group 0")
    for node in c.gw:
        narrower(c, node)
    spi = c.tunnels[2].to_client.spi
    for node, role in ((1, "active"), (2, "standby")):
        equal((c.role(node, 2), c.group(node, 2)["epoch"]), (role, c.group(node, 0)["epoch"]), f"role and epoch that group 2 begins with on node {node}")
        equal((sas(c, node)[spi]["group"], sas(c, node)[c.tunnels[0].to_client.spi]["group"]), (2, 0), f"groups of SAs on node {node}")
    c.all_ready()
    load.flows("carved out")
    equal(c.espsync(1, "demote group 2").strip(), "flushed", "demote group 2")
    steered(c)
    equal(promote(c, 2, 2), 0, "SAs in doubt")
    c.at[2] = 2
    moved = time.time()
    load.flows("group 2 alone on node 2")
    c.all_ready()
    until(lambda: judge.sent_by(1, moved) and {spi} <= judge.sent_by(2, moved), 20, "the captures follow")
    equal((judge.sent_by(1, moved), judge.sent_by(2, moved)), ({c.tunnels[0].to_client.spi}, {c.tunnels[1].to_client.spi, spi}), "SPIs that leave nodes 1 and 2")
    refused(c, 1, "group del 2", "has another role")
    equal(c.espsync(2, "demote group 2").strip(), "flushed", "demote group 2")
    steered_back(c)
    equal(promote(c, 1, 2), 0, "SAs in doubt")
    c.at[2] = 1
    load.flows("back on node 1")
    for node in c.gw:
        c.espsync(node, "group del 2")
        equal(sas(c, node)[spi]["group"], 0, f"group of the SA on node {node}")
    c.all_ready()
    load.flows("in group 0 again")
    load.stop()
    judge.no_number_twice()


def definitions_differ(c):
    """A node that was told of a group alone: named on both, and what it counts elsewhere is in doubt after a takeover."""
    spi = c.tunnels[2].to_client.spi
    judge, load = Judge(c), BothWays(c)
    load.flows("before")
    narrower(c, 1)
    until(lambda: "drift: group 2: peer 2" in c.espsync(1, "ready", ok=None), 10, "node 1 says that its peer lacks the group")
    until(lambda: "drift: peer 1" in c.espsync(2, "ready", ok=None), 10, "node 2 says that node 1 counts SAs elsewhere")
    c.crash(1)
    equal(c.take(0, 2), 1, "SAs in doubt")
    c.at[2] = 2
    equal({s for s, sa in sas(c, 2).items() if sa["state"] == "stale"}, {spi}, "SAs in doubt")
    load.flows("after the takeover")
    c.revive(1, ("sync",))
    until(lambda: c.role(1, 0) == "standby", 30, "node 1 steps down in group 0")
    c.espsync(1, "demote group 2")
    c.espsync(1, "group del 2")
    c.has_address(0, 1, add=False)
    c.revive(1, ("outside", "inside"))
    load.stop()
    judge.no_number_twice()
    c.remove(2)
    del c.tunnels[2], c.at[2]
    c.all_ready()
    c.move(0, 1)
    c.all_ready()


def stands_still(seconds):
    """No thread of the channels runs meanwhile, on no CPU: something goes before them, and begins everywhere at once."""
    (go, begin), (waiting, waits) = os.pipe(), os.pipe()
    busy = []
    for cpu in os.sched_getaffinity(0):
        pid = os.fork()
        if not pid:
            os.close(begin)
            os.sched_setaffinity(0, {cpu})
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
            os.write(waits, b".")
            os.read(go, 1)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass
            os._exit(0)
        busy.append(pid)
    for _ in busy:
        os.read(waiting, 1)
    os.close(begin)
    for pid in busy:
        os.waitpid(pid, 0)
    for fd in (go, waiting, waits):
        os.close(fd)


def a_gap_keeps_sas_where_they_are(c):
    """A node that stood still does not know yet whether it was replaced. Another group of its that it is active in knows nothing of that."""
    spi, taking = c.tunnels[0].to_client.spi, f"group set 2 addr 198.51.100.2 {vip(0)} remote {c.CLIENT}/32"
    c.espsync(1, "group set 2 addr 198.51.100.2")
    c.espsync(1, "promote group 2")
    set_times(c, 300, 30000)
    c.cut_sync()
    stands_still(0.8)
    refused(c, 1, taking, "ask again in a moment")
    refused(c, 1, "group set 0 addr 198.51.100.3", "ask again in a moment")
    c.heal_sync()
    until(lambda: c.espsync(1, taking, ok=None).status == 0, 10, "its peer has answered: the SA goes to its new group")
    equal(sas(c, 1)[spi]["group"], 2, "its group")
    c.espsync(1, "group set 2 addr 198.51.100.2")
    equal(sas(c, 1)[spi]["group"], 0, "its group")
    c.espsync(1, "group del 2")
    set_times(c, 2000, 30000)
    c.all_ready()


def second_client(spi):
    return Tunnel(CLIENT2, vip(0), inner=(f"{INNER3}/32", "10.1.0.0/24"), spi=spi, esn=True, window=1024)


def home_again(c, t):
    """Group 0 from node 2, which took it, to node 1; no group 2, and none of its SAs."""
    until(lambda: c.role(1, 0) == "standby", 30, "node 1 steps down in group 0")
    c.espsync(1, "demote group 2")
    for node, gw in c.gw.items():
        if c.group(node, 2):
            c.espsync(node, "group del 2")
        t.remove(gw)
    c.has_address(0, 1, add=False)
    c.revive(1)
    c.all_ready()
    c.move(0, 1)
    c.all_ready()


def a_state_that_comes_late_is_where_it_belongs(c):
    """A standby knows an SA by its name, of one group, and has it in another one: "in" of that group does not mean it."""
    t = second_client(0x4000)
    spi = t.to_client.spi
    for node, remote in ((1, f"{CLIENT2}/32"), (2, "198.51.100.0/24")):
        c.espsync(node, f"group set 2 addr {vip(0)} remote {remote}")
    t.install(c.gw[1])
    until(lambda: (sas(c, 2).get(spi) or {}).get("state") == "waiting", 10, "node 2 has heard of the SA")
    equal(sas(c, 2)[spi]["group"], 2, "its group as node 1 names it")
    t.install(c.gw[2])
    until(lambda: sas(c, 2)[spi]["group"] == 0, 10, "node 2 counts it to group 0")
    until(lambda: "drift: peer 1" in c.espsync(2, "ready", ok=None), 10, "node 2 says that node 1 does not")
    c.crash(1)
    equal(c.take(0, 2), 1, "SAs in doubt")
    equal({s for s, sa in sas(c, 2).items() if sa["state"] == "stale"}, {spi}, "SAs in doubt")
    c.revive(1, ("sync",))
    home_again(c, t)


def a_pause_in_the_midst_of_a_move(c):
    """A node moves an SA and stands still before its peer has heard of that, and that peer takes over the group that it was in."""
    t, kept = second_client(0x5000), c.tunnels[0].to_client.spi
    spi = t.to_client.spi
    for gw in c.gw.values():
        t.install(gw)
    c.all_ready()
    c.cut_sync()
    c.espsync(1, f"group set 2 addr {vip(0)} remote {CLIENT2}/32")
    equal((sas(c, 1)[spi]["group"], c.role(1, 2)), (2, "active"), "its group on node 1")
    set_times(c, 300, 30000)
    stands_still(0.8)
    c.take(0, 2)
    c.heal_sync()
    until(lambda: sas(c, 1)[spi]["state"] == "stale", 10, "node 1 names it as in doubt")
    check(sas(c, 1)[kept]["state"] != "stale", "and not what has gone to node 2")
    set_times(c, 2000, 30000)
    c.remove(0)
    c.tunnels[0] = c.through(0, c.tunnels[0].to_gw.spi + 0x100)
    home_again(c, t)


def a_group_that_is_new_is_no_promotion(c):
    """Both nodes stand still. What is new to the other one is not in doubt because that one has a group more, nor because it steps down."""
    t = Tunnel(CLIENT2, vip(1), inner=(f"{INNER3}/32", "10.1.0.0/24"), spi=0x6000, esn=True, window=1024)
    set_times(c, 300, 30000)
    c.cut_sync()
    for node in (2, 1):
        t.install(c.gw[node])
    c.espsync(1, f"group set 2 addr {vip(0)} remote {CLIENT2}/32")
    stands_still(0.8)
    c.take(0, 2)
    equal(sas(c, 2)[t.to_client.spi]["group"], 1, "its group")
    c.heal_sync()
    until(lambda: c.role(1, 0) == "standby", 30, "node 1 steps down in group 0")
    set_times(c, 2000, 30000)
    until(lambda: sas(c, 1)[t.to_client.spi]["owner"] == 2, 30, "node 1 has heard of it")
    equal([s for s, sa in sas(c, 2).items() if sa["group"] == 1 and sa["state"] == "stale"], [], "SAs of group 1 that are in doubt")
    c.remove(0)
    c.tunnels[0] = c.through(0, c.tunnels[0].to_gw.spi + 0x100)
    home_again(c, t)


def what_was_closed_stays_closed(c):
    """A standby's channel anew, of whose groups the first is named alone: the others' SAs are nobody's then, and as closed as they were left."""
    c.move(0, 2)
    c.all_ready()
    judge, load = Judge(c), BothWays(c)
    load.flows("both on node 2")
    c.espsync(1, "channel del")
    for g in (1, 0):
        c.espsync(1, f"group del {g}")
    c.espsync(1, f"channel set node 1 local {c.SYNC[1]} psk-file {c.key_file()}")
    equal({x["group"] for x in c.show(1, "sas")}, {0}, "groups of all SAs while none has an address")
    c.espsync(1, f"group set 0 addr {vip(0)}")
    load.flows("while node 1 begins anew", packets=50)
    equal(judge.sent_by(1), set(), "SPIs that left node 1")
    c.espsync(1, f"peer add 2 {c.SYNC[2]}")
    c.espsync(1, f"group set 1 addr {vip(1)}")
    set_times(c, 2000, 30000)
    for g in c.groups:
        c.espsync(1, f"demote group {g}")
    c.all_ready()
    load.stop()
    judge.no_number_twice()
    c.move(0, 1)
    c.all_ready()


def what_is_refused_changes_nothing(c):
    """Of a request with addresses and an option that cannot be had, neither is taken."""
    refused(c, 1, f"group set 0 addr {vip(0)} 198.51.100.1 role store", "demote it first")
    refused(c, 1, f"group set 2 addr {vip(0)} remote {CLIENT2}/32 role store", "demote it first")
    c.espsync(1, f"group set 2 addr {vip(1)} remote {CLIENT2}/32 role store")
    c.espsync(1, "group del 2")
    c.all_ready()


def what_would_move_a_right_to_send_is_refused(c):
    for node in c.gw:
        for g in (0, 1):
            refused(c, node, f"group set {g} addr {vip(0)} {vip(1)} remote {c.CLIENT}/32", "another role on this node")
    equal(c.espsync(1, "promote group 7", ok=None).status, 1, "exit status of a group that is not there")
    for n in range(2, 16):
        c.espsync(1, f"group set {n} addr 198.51.100.{n}")
    refused(c, 1, "group set 16 addr 198.51.100.16", "16 groups already")
    for n in range(2, 16):
        c.espsync(1, f"group del {n}")
    c.all_ready()


def a_rekey_is_where_its_group_is(c):
    """New SAs, on both nodes, come into their groups; each begins on its owner."""
    judge, load = Judge(c), BothWays(c)
    for g in (0, 1):
        old = c.tunnels[g]
        c.remove(g)
        c.tunnels[g] = c.through(g, old.to_gw.spi + 0x100)
        spi = c.tunnels[g].to_client.spi
        until(lambda: all(spi in sas(c, n) for n in c.gw), 5, "the new SA is followed")
        equal([sas(c, n)[spi]["group"] for n in c.gw], [g, g], "its group")
        ready(c, c.at[g])
        check(int(sas(c, 3 - c.at[g])[spi]["oseq"]) >= LEASE_MIN, "the standby stores it ahead")
    load.flows("with new SAs")
    load.stop()
    judge.no_number_twice()


main([each_carries_one, one_crash_gives_the_other_both, planned_moves_are_their_own, a_carved_group_moves_alone, definitions_differ,
      what_would_move_a_right_to_send_is_refused, a_gap_keeps_sas_where_they_are, a_state_that_comes_late_is_where_it_belongs,
      a_pause_in_the_midst_of_a_move, a_group_that_is_new_is_no_promotion, what_was_closed_stays_closed, what_is_refused_changes_nothing,
      a_rekey_is_where_its_group_is], prepared)
