# SPDX-License-Identifier: GPL-2.0
"""A Cluster with a second sync wire, `two`, over a bridge of its own: two links to each peer, the second one over IPv6.

Job: its wires, what they do to each link, and what nodes say of their links. Judging is the test's affair.
"""
import json
import threading

from esptest import Cluster, bridge, impair, module, unimpair, until, veth
from failover import Events, set_times
from many import mine

SYNC2 = {n: f"fd98::{n}" for n in range(1, 17)}
DEAD_MS = 1000      # emulated machines stand still for longer than gateways do
WIRES = ("sync", "two")


class Wired(Cluster):
    def _wires(self):
        bridge(self.br, "two")
        super()._wires()

    def _gateway_wires(self, n):
        super()._gateway_wires(n)
        veth(self.gw[n], "two", self.br, f"t-{self.gw[n]}")
        self.br.ip(f"link set t-{self.gw[n]} master two")

    def _gateway_addresses(self, n):
        super()._gateway_addresses(n)
        self.gw[n].address("two", f"{SYNC2[n]}/64")

    def know_each_other(self):
        """Nobody asks for a MAC, which no longer answers when what a node sends is lost: a link that works one way would end with its neighbour entry."""
        for n, gw in self.gw.items():
            gw.batch([f"neigh replace {where[o]} lladdr {self.gw[o].mac(dev)} dev {dev} nud permanent"
                      for o in self.others(n) for dev, where in (("sync", self.SYNC), ("two", SYNC2))])

    def configure(self, node, others=None):
        self.espsync(node, f"channel set node {node} local {self.SYNC[node]} {SYNC2[node]} dead_ms {DEAD_MS} psk-file {self.key_file()}")
        for other in others or self.others(node):
            self.espsync(node, f"peer add {other} {self.SYNC[other]} {SYNC2[other]}")
        self.espsync(node, f"group set 0 addr {self.VIP} {self.VIP6}")

    def crash(self, node):
        self._plug(node, (*WIRES, "outside", "inside"), False)

    def revive(self, node, wires=("sync", "outside", "inside")):
        super().revive(node, (*wires, "two") if "sync" in wires else wires)

    def unplug(self, *wires):
        """These links are cut, both ways."""
        for n in self.gw:
            self._plug(n, wires, False)

    def plug(self, *wires):
        for n in self.gw:
            self._plug(n, wires, True)

    def deafen(self, node, wire):
        """What a node sends over a link is lost."""
        impair(self.gw[node], wire, "loss 100%")

    def delay(self, rtt_ms, *wires):
        for gw in self.gw.values():
            for wire in wires:
                impair(gw, wire, f"delay {rtt_ms / 2}ms limit 10000")

    def undo(self):
        self.plug(*WIRES)
        for gw in self.gw.values():
            for wire in WIRES:
                unimpair(gw, wire)

    def links(self, node):
        return self.show(node, "peers")[0]["links"]

    def states(self, node):
        return [link["state"] for link in self.links(node)]

    def carrier(self, node):
        """The link that a node's data goes over."""
        return next(i for i, link in enumerate(self.links(node)) if link["data"])


class Told(Events):
    """What a node says from now on, as it says it."""

    def __init__(self, c, node):
        super().__init__(c, node)
        self.said = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in iter(self.proc.stdout.readline, ""):
            self.said.append(json.loads(line))

    def of(self, *kinds):
        return [e for e in list(self.said) if e["event"] in kinds]

    def links(self):
        """(address, state) of each link that changed."""
        return [(e["link"], e["link_state"]) for e in self.of("link")]

    def stop(self):
        self.proc.terminate()
        self._reader.join(10)
        self.proc.communicate()


def wired():
    module()
    c = Wired()
    c.know_each_other()
    c.start()
    set_times(c, 2000, 30000)
    mine(c)
    until(lambda: all(c.states(n) == ["up", "up"] for n in c.gw), 10, "both links are up on both nodes")
    return c
