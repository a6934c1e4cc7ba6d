# SPDX-License-Identifier: GPL-2.0
"""More gateways than two: a Cluster of them with two tunnels by hand, all in sync."""
import time

from esptest import Cluster, check, equal, module, note, until
from failover import Load, knows_the_way, near_renewal, ready, rekeyed, return_zombie, set_times, take_over

NODES = (1, 2, 3, 4)


def mine(c):
    """A cluster with the tunnels of failover.prepared(), for as many nodes."""
    c.client.ip("addr add 10.2.0.2/32 dev lo")
    for gw in c.gw.values():
        knows_the_way(c, gw)
    c.active, c.spi, c.tunnels, c.window = 1, 0x1000, [], 2048
    rekeyed(c)


def all_in(c, timeout=60):
    """Every node is ready, and the owner has all its peers."""
    for n in c.gw:
        ready(c, n, timeout)
    until(lambda: all(p["state"] == "up" for p in c.show(c.active, "peers")), timeout, f"all of node {c.active}'s peers are in")


def of(nodes):
    module()
    c = Cluster(nodes=nodes)
    c.start()
    set_times(c, 2000, 30000, nodes=c.gw)
    mine(c)
    all_in(c)
    return c


def four():
    return of(NODES)


def two_die(c, judge, rng, order):
    """order: the active node, which dies, its heir, which dies 50 ms after it was promoted, and the next one. That one may not be in again yet."""
    dead, heir, last = order
    load = Load(c, c.tunnels, rate=100)
    load.flows("before the crashes")
    near_renewal(c, rng)
    time.sleep(rng.uniform(0, 0.2))
    c.crash(dead)
    equal(take_over(c, heir), 0, f"SAs in doubt on node {heir}")
    time.sleep(0.05)
    c.crash(heir)
    doubtful = take_over(c, last)
    check(doubtful in (0, len(c.tunnels)), f"{doubtful} SAs in doubt on node {last}, the third")
    c.active = last
    load.flows(f"on node {last}")
    for n in (dead, heir):
        return_zombie(c, n)
    load.flows("with both back")
    load.stop()
    judge.no_number_twice()
    if doubtful:
        note(f"node {last} had heard of node {heir}, and was not in again after 50 ms")
        rekeyed(c)
    all_in(c)
