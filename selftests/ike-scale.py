#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: 1,500 tunnels are mirrored, lost by the standby and by the active node, and rebuilt each time; progress is shown, nothing is dropped on the loopback
# WHERE: uml-fast
# SETS: timeout=1500 named
#
# One client's charon has them all, each with an identity and an inner address of its own. What counts is what both gateways' charons
# and kernels have in the end, that the client never asks for anything, and that no datagram was dropped on the way from or to a charon.
import re
import signal
import time

from esptest import *
from crowd import Crowd, counted, roomy
from esptest_ike import IkeCluster, explained

TUNNELS = 1500
BATCH = 100


def set_up(c, n):
    return counted(c.crowd) >= n and len(c.ike[2].in_kernel()) >= 2 * n and c.espsync(1, "ready", ok=None).status == 0


def setup():
    module()
    c = IkeCluster(module=True)
    for gw in c.ike.values():
        roomy(gw)
        gw.ns.ip("route replace 10.66.0.0/20 dev out")
    c.lan.ip("route add 10.66.0.0/20 via 10.1.0.1")
    c.crowd = Crowd(c.client)
    try:
        c.start_ike()
        c.crowd.start_charon()
        began = time.monotonic()
        while c.crowd.n < TUNNELS:
            c.crowd.connect(min(c.crowd.n + BATCH, TUNNELS))
            until(lambda: set_up(c, c.crowd.n), 200, f"{c.crowd.n} tunnels", step=1)
        note(f"{TUNNELS} tunnels: set up and mirrored in {time.monotonic() - began:.1f} s")
    except Exception:
        c.explain()
        raise
    c.wire = Capture(c.client, "out")
    return c


def dropped(gw):
    """Datagrams that the kernel dropped at either end of charon's and its helper's sockets."""
    rows = [line.split() for line in gw.run("cat /proc/net/udp").splitlines()[1:]]
    return {r[1]: int(r[-1]) for r in rows if r[1].endswith(":119E") and int(r[-1])}


def whole(c, active):
    """Each tunnel, on both nodes, in charon and in the kernel, as the client has it."""
    c.wait_ready(active, 300)
    equal({n: counted(gw) for n, gw in c.ike.items()}, {1: TUNNELS, 2: TUNNELS}, "IKE SAs that the charons count")
    states = [gw.in_kernel() for gw in (*c.ike.values(), c.crowd)]
    equal([len(s) for s in states], [2 * TUNNELS] * 3, "states in the kernels of gw1, gw2 and the client")
    check(states[0] == states[1] == states[2], "the same SPIs")
    equal({n: dropped(gw) for n, gw in c.ike.items()}, {1: {}, 2: {}}, "datagrams dropped on the loopback")
    equal(len(c.wire.ike()), 0, "IKE messages of the client")


def rebuilt(c, gw, shown):
    """Seconds until a charon that was started anew has all; meanwhile `ready` of the active node says how far it is."""
    began, said = time.monotonic(), set()
    gw.start_charon()
    while counted(gw) < TUNNELS:        # what the kernel has is the former one's at first
        check(time.monotonic() < began + 300, f"{gw} is rebuilt within 300 s")
        said.update(re.findall(shown, c.espsync(1, "ready", ok=None)))
    note(f"{gw}: {TUNNELS} tunnels rebuilt in {time.monotonic() - began:.1f} s, `ready` showed {len(said)} different numbers meanwhile")
    return said


@explained
def all_are_mirrored(c):
    whole(c, 1)


@explained
def a_standby_charon_loses_them(c):
    gw = c.ike[2]
    gw.end("charon", signal.SIGKILL)
    said = rebuilt(c, gw, rf"node 2 has (\d+) of {TUNNELS} IKE SAs")
    check(said, "`ready` shows the progress")
    whole(c, 1)


@explained
def an_active_charon_loses_them(c):
    gw = c.ike[1]
    gw.end("charon", signal.SIGKILL)
    rebuilt(c, gw, r"charon .*")
    until(lambda: "HA segment 1 activated" in gw.text("charon.log").rsplit("requesting HA resync", 1)[-1] or counted(gw) == TUNNELS, 60, "gw1's charon is active")
    whole(c, 1)


@explained
def a_node_loses_them(c):
    """And the other one carries them on."""
    began = time.monotonic()
    c.power_off(1)
    c.take_over(2)
    note(f"gw2 took {TUNNELS} tunnels over in {time.monotonic() - began:.1f} s; {re.search(r'active, after .*', c.ike[2].log())[0]}")
    inner = re.findall(r"inet (10\.66\.\d+\.\d+)/32", c.client.ip("addr show dev out"))
    equal(len(inner), TUNNELS, "inner addresses of the client")
    for address in inner[::TUNNELS // 20]:
        check("1 received" in c.client.sh(f"ping -n -c 1 -w 5 -I {address} {c.LAN}", ok=None), f"an echo for {address}")
    began = time.monotonic()
    c.power_on(1)
    until(lambda: len(c.ike[1].in_kernel()) == 2 * TUNNELS, 300, "gw1 has all again")
    note(f"gw1 has {TUNNELS} tunnels {time.monotonic() - began:.1f} s after it has come back")
    whole(c, 2)


main([all_are_mirrored, a_standby_charon_loses_them, an_active_charon_loses_them, a_node_loses_them], setup)
