# SPDX-License-Identifier: GPL-2.0
"""More gateways than two: a Cluster of them with two tunnels by hand, all in sync."""
from esptest import Cluster, module, until
from failover import knows_the_way, ready, rekeyed, set_times

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
    until(lambda: all(c.peer_state(c.active, o) == "up" for o in c.others(c.active)), timeout, f"all of node {c.active}'s peers are in")


def four():
    module()
    c = Cluster(nodes=NODES)
    c.start()
    set_times(c, 2000, 30000, nodes=c.gw)
    mine(c)
    all_in(c)
    return c
