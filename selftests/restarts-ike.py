#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: charons, helpers and nodes restart in any order, also in the middle of exchanges: same SPIs and keys, no IKE packet of the gateway's own
# WHERE: uml-fast
# SETS: timeout=600 named
#
# What a restart takes away is given back from a journal: the client's charon, its kernel and the wire are the judges. A gateway
# that repaired something by an exchange would have sent a request, and one that lost keys would have rekeyed; neither may be seen.
import re
import signal
import time

from esptest import *
from esptest_ike import IkeCluster, example, explained, replace

ROUNDS = 14
EXCHANGES = 16


def setup():
    module()
    c = IkeCluster(module=True)
    # A far end that says nothing for half a minute is asked whether it lives: not what is looked for here.
    for gw in c.ike.values():
        gw.swanctl_conf = lambda: replace(example("swanctl/road-warrior.conf"), (r"dpd_delay = 30s", "dpd_delay = 1h"))
    try:
        c.start_ike()
        for road in (c.road, c.road2):
            road.start_charon()
            road.connect()
        c.road.rekey("--ike home")      # a CHILD SA that was made under an IKE SA which is gone
        c.wait_mirrored(ikes=2)
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.random = seeded()
    c.active = 1
    c.wires = [Capture(road.ns, "out") for road in (c.road, c.road2)]
    return c


def charon_restarts(c, node):
    gw = c.ike[node]
    if c.random.choice((True, False)):
        gw.end("charon", signal.SIGKILL)
    elif not gw.stop_charon():
        note(f"{gw}: charon locked itself up and was killed")
    gw.start_charon()


def helper_restarts(c, node):
    gw = c.ike[node]
    gw.end("espsyncd", c.random.choice((signal.SIGTERM, signal.SIGKILL)))
    gw.start_helper()


def node_restarts(c, node):
    """Its namespace loses all; if it was active the other one takes over first."""
    c.power_off(node)
    if node == c.active:
        c.active = 3 - node
        c.take_over(c.active)
    c.power_on(node)


RESTARTS = {f"{what} {where}": (how, where) for what, how in (("charon", charon_restarts), ("helper", helper_restarts), ("node", node_restarts))
            for where in ("active", "standby")}


def restart(c, what):
    how, where = RESTARTS[what]
    how(c, c.active if where == "active" else 3 - c.active)


def keys(station):
    """{(SPI, key)} of the ESP states."""
    return set(re.findall(r"proto esp spi (0x[0-9a-f]{8}) .*?aead \S+ (0x[0-9a-f]+)", station.ns.ip("xfrm state"), re.S))


def tunnels(c):
    """What must not change: SPIs of IKE and CHILD SAs as the clients see them. (A client may be deleting a replaced IKE SA that nobody else has any more.)"""
    return [(road.ike("ESTABLISHED"), road.children()) for road in (c.road, c.road2)]


def asked_by_gateways(c):
    """Requests of the gateways' own among what the clients' wires carried."""
    return [p for cap in c.wires for p in cap.ike(requests=True) if p.src == c.VIP]


def whole(c, before=None):
    """Both clients' tunnels are where they were, on both nodes, with the same keys, and carry packets."""
    c.wait_mirrored(active=c.active, ikes=2)
    c.wait_ready(c.active)
    if before is not None:
        equal(tunnels(c), before, "SPIs that the clients have")
    until(lambda: keys(c.ike[1]) == keys(c.ike[2]) >= keys(c.road) | keys(c.road2), 10,     # a client keeps what it rekeyed for 5 s
          "both gateways have the keys that the clients have")
    equal(set().union(*(ikes for ikes, _ in tunnels(c))), c.ike[c.active].ike("ESTABLISHED"), "IKE SAs of the clients and the gateway's")
    for road in (c.road, c.road2):
        equal(road.ping(), 3, f"echos of {road}")
    equal(asked_by_gateways(c), [], "IKE requests of the gateways")


@explained
def each_alone(c):
    for what in RESTARTS:
        before = tunnels(c)
        note(what)
        restart(c, what)
        whole(c, before)


@explained
def two_at_once(c):
    """What one of them gives back the other has to have: not both nodes' memories at once."""
    for first, second in (("charon active", "charon standby"), ("charon active", "helper standby"), ("helper active", "charon standby"),
                          ("charon active", "helper active"), ("charon standby", "helper standby")):
        before = tunnels(c)
        note(f"{first} and {second}")
        ends = [(RESTARTS[w][0], c.active if w.endswith("active") else 3 - c.active, w.split()[0]) for w in (first, second)]
        for _, node, program in ends:
            c.ike[node].end({"helper": "espsyncd"}.get(program, program), signal.SIGKILL)
        for how, node, _ in c.random.sample(ends, 2):
            how(c, node)
        whole(c, before)


@explained
def in_any_order(c):
    """The next one begins whenever it likes, but finds the other node's memory whole."""
    before = tunnels(c)
    for _ in range(ROUNDS):
        what = c.random.choice(list(RESTARTS))
        note(what)
        restart(c, what)
        time.sleep(c.random.uniform(0, 1))
        if "charon" not in what:
            c.wait_mirrored(active=c.active, ikes=2)
    whole(c, before)


def settled(c):
    """The client and the owner agree: one IKE SA each, and of CHILD SAs at least the client's."""
    flip = {(out, into) for road in (c.road, c.road2) for into, out in road.children()}
    return (set().union(*(ikes for ikes, _ in tunnels(c))) == c.ike[c.active].ike("ESTABLISHED") and len(flip) == 2
            and flip <= c.ike[c.active].children())


@explained
def in_the_middle_of_exchanges(c):
    """The client has asked for a rekeying or for a sign of life when a charon or a helper dies; it asks again until it is answered."""
    for i in range(EXCHANGES):
        asked = ("--rekey --child lan", "--rekey --ike home")[i % 2]
        what = c.random.choice(("charon active", "charon active", "node active", "node active", "charon standby", "helper active", "helper standby"))
        before = tunnels(c)[1]
        c.road.swanctl(asked)
        delay = c.random.uniform(0, 0.03)
        time.sleep(delay)
        note(f"{asked}, {delay * 1000:.0f} ms later {what}")
        restart(c, what)
        until(lambda: settled(c), 30, "the client and the gateway agree")
        whole(c)
        equal(tunnels(c)[1], before, "SPIs of the client that asked for nothing")


@explained
def the_answer_never_left(c):
    """What the client asks is done, and charon dies with the answer: once of the first request of an IKE SA, which begins at 0, and once of a later one."""
    c.road.rekey("--ike home")
    for number in (0, 2):
        gw, before, other = c.ike[c.active], c.road.children(), tunnels(c)[1]
        impair(gw.ns, "out", "loss 100%")
        had = gw.children()
        c.road.swanctl("--rekey --child lan")
        until(lambda: gw.children() - had, 10, f"{gw} has made the new CHILD SA")
        gw.end("charon", signal.SIGKILL)
        unimpair(gw.ns, "out")
        gw.start_charon()
        until(lambda: len(c.road.children()) == 1 and not c.road.children() & before, 40, f"the client has its answer to request {number}")
        until(lambda: settled(c), 10, "the client and the gateway agree")
        whole(c)
        equal(tunnels(c)[1], other, "SPIs of the client that asked for nothing")


main([each_alone, two_at_once, in_any_order, the_answer_never_left, in_the_middle_of_exchanges], setup)
