# SPDX-License-Identifier: GPL-2.0
"""Gateways that all carry traffic: what the tests of groups share.

Job: a Cluster with an address (outside and inside) and a tunnel of SAs by hand for each group, load through all of them, and who is active
where. Group 0 has the Cluster's own address; the tunnel of group N is that of the inner address 10.2.0.N+1.
"""
import errno

from esptest import Capture, Cluster, Tunnel, check, counts, equal, module, repeats, until
from esptest.net import address_message, neighbour_message, rtnl
from failover import _Spray, lost_replay, promote, ready, set_times

CLIENTS = (Cluster.CLIENT, "192.0.2.101")


def vip(g):
    return f"192.0.2.{30 + g}" if g else Cluster.VIP


def inside(g):
    return f"10.1.0.{30 + g}" if g else "10.1.0.1"


def inner(g):
    return f"10.2.0.{1 + g}"


class Grouped(Cluster):
    """self.at: the node that is active in each group; self.tunnels: one for each."""

    def __init__(self, nodes=(1, 2), groups=(0, 1)):
        super().__init__(nodes=nodes)
        self.groups, self.at, self.tunnels = groups, {}, {}
        for gw in self.gw.values():
            self._grouped(gw)
        for g in filter(None, groups):
            self.client.ip(f"addr add {inner(g)}/32 dev lo")
            self.lan.ip(f"route add {inner(g)}/32 via {inside(g)}")

    def _grouped(self, gw):
        # Every node could send from every address: a standby is silent because it is guarded. Who answers for an address has it on its device.
        gw.sysctl({"ipv4/conf/all/arp_ignore": 1})
        gw.batch([*(f"addr add {vip(g)}/32 dev lo" for g in self.groups),
                  *(f"route add {inner(g)}/32 via {self.CLIENT} dev out" for g in self.groups if g)])

    def one_more(self, node, detect_ms, evict_ms):
        """A node that joins as standby of all groups."""
        self.add_gateway(node)
        self._grouped(self.gw[node])
        self.configure(node)
        set_times(self, detect_ms, evict_ms, nodes=(node,))
        for t in self.tunnels.values():
            t.install(self.gw[node])
        for n in self.others(node):
            self.espsync(n, f"peer add {node} {self.SYNC[node]}")
        for g in self.groups:
            self.espsync(node, f"demote group {g}")
        self.all_ready()

    def one_less(self, node):
        for n in self.others(node):
            self.espsync(n, f"peer del {node}")
        self.gw.pop(node).delete()

    def configure(self, node, others=None):
        super().configure(node, others)
        for g in self.groups:
            self.espsync(node, f"group set {g} addr {vip(g)}")

    def has_address(self, g, node, add=True):
        gw = self.gw[node]
        rtnl(gw, address_message(gw.index("out"), f"{vip(g)}/24", add), address_message(gw.index("in"), f"{inside(g)}/24", add),
             ok=() if add else (errno.EADDRNOTAVAIL,))

    def announce_group(self, g, node):
        for ns, dev, address in ((self.client, "out", vip(g)), (self.lan, "in", inside(g))):
            rtnl(ns, neighbour_message(ns.index(dev), address, self.gw[node].mac(dev)))

    def take(self, g, node):
        """Address and role of a group to a node; whoever had them may be dead. Returns how many SAs are in doubt."""
        self.has_address(g, node)
        doubtful = promote(self, node, g)
        self.announce_group(g, node)
        self.at[g] = node
        return doubtful

    def move(self, g, node):
        """A planned move."""
        was = self.at[g]
        equal(self.espsync(was, f"demote group {g}").strip(), "flushed", f"demote of group {g} on node {was}")
        self.has_address(g, was, add=False)
        return self.take(g, node)

    def group(self, node, g):
        return next((x for x in self.show(node, "groups") if x["group"] == g), None)

    def role(self, node, g):
        return self.group(node, g)["role"]

    def begin(self, owners, spi=0x1000, detect_ms=2000, evict_ms=30000):
        """Each group active on its node, a tunnel through each, all in sync."""
        for node in self.gw:
            self.configure(node)
        for g, node in owners.items():
            self.take(g, node)
            for other in self.others(node):
                self.espsync(other, f"demote group {g}")
        set_times(self, detect_ms, evict_ms, nodes=self.gw)
        for g in owners:
            self.tunnels[g] = self.through(g, spi + 0x10 * g)
        self.all_ready()

    def through(self, g, spi, inside_address=None, client=None):
        """A tunnel through the group's address, the same on all gateways."""
        t = Tunnel(client or self.CLIENT, vip(g), inner=(f"{inside_address or inner(g)}/32", "10.1.0.0/24"), spi=spi, esn=True, window=1024)
        t.install_client(self.client)
        for gw in self.gw.values():
            t.install(gw)
        return t

    def remove(self, g):
        for ns, gateway in ((self.client, False), *((gw, True) for gw in self.gw.values())):
            self.tunnels[g].remove(ns, gateway)

    def all_ready(self):
        for node in self.gw:
            ready(self, node)


class BothWays:
    """UDP both ways through each tunnel, and from each gateway by itself into each: what a standby must not let out."""

    def __init__(self, c, rate=50):
        self.c = c
        inners = [t.inner[0].split("/")[0] for t in c.tunnels.values()]
        pairs = {c.client: [(i, c.LAN) for i in inners], c.lan: [(c.LAN, i) for i in inners]}
        for n, gw in c.gw.items():
            pairs[gw] = [(f"10.1.0.1{n}", i) for i in inners]
        self.senders = [_Spray(ns, these, rate) for ns, these in pairs.items()]

    def _counts(self):
        client = counts(self.c.client)
        gw = {n: counts(ns) for n, ns in self.c.gw.items()}
        return {g: (client[t.to_client.spi][0], gw[self.c.at[g]][t.to_gw.spi][0]) for g, t in self.c.tunnels.items()}

    def flows(self, what, packets=10):
        before = self._counts()
        until(lambda: all(now[i] >= before[g][i] + packets for g, now in self._counts().items() for i in (0, 1)), 30,
              f"{what}: every tunnel carries packets both ways", step=0.1)

    def stop(self):
        for s in self.senders:
            s.stop()


class Judge:
    """I1 and I5 on what left the gateways for a client."""

    def __init__(self, c):
        self.c = c
        self.caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
        self.lost = lost_replay(c)

    def sent_by(self, node, since=0.0):
        """SPIs that left a node."""
        return {p.spi for p in self.caps[node].esp(out=True, since=since) if p.dst in CLIENTS}

    def no_number_twice(self, but=()):
        """Those of the SPIs in `but` are returned, by SPI."""
        twice = {k: v for k, v in repeats(self.caps.values()).items() if k[1] in CLIENTS}
        bad = {k: v for k, v in twice.items() if k[0] not in but}
        check(not bad, f"{len(bad)} numbers were sent twice, such as {next(iter(bad.items()), None)}")
        if not but:
            equal(lost_replay(self.c) - self.lost, 0, "packets that the client refused as replays")
        return {spi: sorted(k[2] for k in twice if k[0] == spi) for spi in but}


def prepared(**times):
    """Two gateways, group 0 active on the first, group 1 on the second."""
    module()
    c = Grouped()
    c.begin({0: 1, 1: 2}, **times)
    return c
