# SPDX-License-Identifier: GPL-2.0
"""A whole cluster in one kernel, its address moved by hand.

    client --.                .-- gw1 --.                .-- lan
             +-- br: outside -+   sync  +-- br: inside --+
             '                '-- gw2 --'                '

Devices: `out` (client, gw1, gw2), `in` (gw1, gw2, lan), `sync` (gw1, gw2,
over a third bridge). With more nodes than two there is a gwN for each. Outside 192.0.2.0/24 and 2001:db8::/64, inside 10.1.0.0/24
and fd01::/64, the client's inner address 10.2.0.1 and fd02::1 on its lo.
Who is active is for the test to say: nothing here decides, elects or starts a daemon.
"""
import errno
import json
import os
import secrets

from .net import Ns, address_message, bridge, impair, master_message, neighbour_message, rtnl, unimpair, veth
from .system import defer, sh, until
from .xfrm import Tunnel

VIP, VIP6 = "192.0.2.1", "2001:db8::1"
CLIENT, CLIENT6 = "192.0.2.100", "2001:db8::100"
INNER, INNER6 = "10.2.0.1", "fd02::1"
LAN, LAN6 = "10.1.0.100", "fd01::100"
LAN_GW, LAN_GW6 = "10.1.0.1", "fd01::1"
SYNC = {n: f"10.99.0.{n}" for n in range(1, 17)}


class Cluster:
    VIP, VIP6, CLIENT, CLIENT6, INNER, INNER6, LAN, LAN6, SYNC = VIP, VIP6, CLIENT, CLIENT6, INNER, INNER6, LAN, LAN6, SYNC

    def __init__(self, prefix="", nodes=(1, 2)):
        self.client, self.lan, self.br = (Ns(prefix + n) for n in ("client", "lan", "br"))
        self.gw = {}
        for n in nodes:
            self._gateway(n, f"{prefix}gw{n}")
        self.psk = None
        self._wires()
        self._addresses()

    def _gateway(self, n, name):
        self.gw[n] = Ns(name)
        setattr(self, f"gw{n}", self.gw[n])

    # -- the network ---------------------------------------------------------

    def _wires(self):
        veth(self.client, "out", self.br, f"o-{self.client}"[:15])
        veth(self.lan, "in", self.br, f"i-{self.lan}"[:15])
        bridge(self.br, "outside", f"o-{self.client}"[:15])
        bridge(self.br, "inside", f"i-{self.lan}"[:15])
        bridge(self.br, "sync")
        for n in self.gw:
            self._gateway_wires(n)

    def _gateway_wires(self, n):
        for dev, where in (("out", "outside"), ("in", "inside"), ("sync", "sync")):
            port = f"{dev[0]}-{self.gw[n]}"[:15]
            veth(self.gw[n], dev, self.br, port)
            self.br.ip(f"link set {port} master {where}")

    def _gateway_addresses(self, n):
        gw = self.gw[n]
        gw.forward()
        # The routes say where the far end is; xfrm policies decide what becomes of it. Nobody asks for its MAC: what waits for an answer
        # has its number already, and what a zombie asked for in vain would leave when its wires come back, whatever it is by then.
        gw.batch([f"addr add 192.0.2.1{n}/24 dev out", f"addr add 2001:db8::1{n}/64 dev out nodad",
                  f"addr add 10.1.0.1{n}/24 dev in", f"addr add fd01::1{n}/64 dev in nodad",
                  f"addr add {SYNC[n]}/24 dev sync", f"addr add fd99::{n}/64 dev sync nodad",
                  f"route add {INNER}/32 via {CLIENT} dev out", f"route add {INNER6}/128 via {CLIENT6} dev out",
                  *(f"neigh replace {a} lladdr {self.client.mac('out')} dev out nud permanent" for a in (CLIENT, CLIENT6))])

    def add_gateway(self, n):
        """One more, with its wires and addresses."""
        self._gateway(n, f"gw{n}")
        self._gateway_wires(n)
        self._gateway_addresses(n)

    def rebuild(self, n):
        """A gateway whose namespace is gone, with nothing but its wires and addresses."""
        self._gateway(n, str(self.gw[n]))
        self._gateway_wires(n)
        self._gateway_addresses(n)

    def _addresses(self):
        for n in self.gw:
            self._gateway_addresses(n)
        self.client.batch([f"addr add {CLIENT}/24 dev out", f"addr add {CLIENT6}/64 dev out nodad",
                           f"addr add {INNER}/32 dev lo", f"addr add {INNER6}/128 dev lo nodad",
                           f"route add 10.1.0.0/24 via {VIP} dev out src {INNER}",
                           f"route add fd01::/64 via {VIP6} dev out src {INNER6}"])
        self.lan.batch([f"addr add {LAN}/24 dev in", f"addr add {LAN6}/64 dev in nodad",
                        f"route add 10.2.0.0/24 via {LAN_GW}", f"route add fd02::/64 via {LAN_GW6}"])

    def vip_messages(self, node, add=True):
        """What gives a node the group's addresses, or takes them."""
        out, inside = map(self.gw[node].index, ("out", "in"))
        return [address_message(dev, a, add) for dev, a in ((out, f"{VIP}/24"), (out, f"{VIP6}/64"), (inside, f"{LAN_GW}/24"), (inside, f"{LAN_GW6}/64"))]

    def announcements(self, node):
        """What gratuitous ARP and neighbour advertisements tell: [(namespace, messages)]."""
        return [(ns, [neighbour_message(ns.index(dev), a, self.gw[node].mac(dev)) for a in addresses])
                for ns, dev, addresses in ((self.client, "out", (VIP, VIP6)), (self.lan, "in", (LAN_GW, LAN_GW6)))]

    def add_vip(self, node, add=True):
        """The group's addresses on the node that gets them."""
        rtnl(self.gw[node], *self.vip_messages(node, add), ok=() if add else (errno.EADDRNOTAVAIL,))

    def announce(self, node):
        for ns, messages in self.announcements(node):
            rtnl(ns, *messages)

    def drop_vip(self, node):
        self.add_vip(node, add=False)

    def move_vip(self, node):
        """The group's addresses, outside and inside, to node n (0: to none), as VRRP would."""
        for n in self.gw:
            if n != node:
                self.drop_vip(n)
        if node:
            self.add_vip(node)
            self.announce(node)

    def _plug(self, node, wires, in_):
        index = self.br.index
        rtnl(self.br, *(master_message(index(f"{wire[0]}-{self.gw[node]}"), index(wire) if in_ else 0) for wire in wires))

    def crash(self, node):
        """Pull a node's wires out of their bridges, all within a millisecond: what others see when it dies.

        It runs on and its devices keep their carrier: what it would still send shows in a capture on them.
        """
        self._plug(node, ("sync", "outside", "inside"), False)

    def revive(self, node, wires=("sync", "outside", "inside")):
        self._plug(node, wires, True)

    def cut_sync(self, one_way=None):
        """No datagram between the nodes; one_way=n: only what node n sends is lost."""
        for n in (one_way,) if one_way else self.gw:
            impair(self.gw[n], "sync", "loss 100%")

    def impair_sync(self, netem):
        for gw in self.gw.values():
            impair(gw, "sync", netem)

    def heal_sync(self):
        for gw in self.gw.values():
            unimpair(gw, "sync")

    # -- the tunnel ----------------------------------------------------------

    def tunnel(self, v6=False, **kw):
        """A tunnel by hand between the client and both gateways, the same SAs on each."""
        if kw.get("mode", "tunnel") == "tunnel":
            kw.setdefault("inner", (f"{INNER6}/128", "fd01::/64") if v6 else (f"{INNER}/32", "10.1.0.0/24"))
        t = Tunnel(CLIENT6 if v6 else CLIENT, VIP6 if v6 else VIP, **kw)
        t.install_client(self.client)
        for gw in self.gw.values():
            t.install(gw)
        return t

    # -- espsync -------------------------------------------------------------

    def espsync(self, node, words, **kw):
        """The tool in a node's namespace; words as on a command line."""
        return sh(["espsync", "-n", self.gw[node], *(words.split() if isinstance(words, str) else words)], **kw)

    def show(self, node, what=""):
        return json.loads(self.espsync(node, f"-j show {what}"))

    def key_file(self):
        """A fresh cluster key in a file that only root can read."""
        if not self.psk:
            self.psk = f"/tmp/cluster-key-{os.getpid()}-{id(self):x}"
            with open(os.open(self.psk, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
                f.write(secrets.token_hex(32) + "\n")
            defer(os.unlink, self.psk)
        return self.psk

    def others(self, node):
        return [n for n in self.gw if n != node]

    def configure(self, node, others=None):
        """Channel, peers and group 0 of one node, in the order of the contract."""
        self.espsync(node, f"channel set node {node} local {SYNC[node]} psk-file {self.key_file()}")
        for other in others or self.others(node):
            self.espsync(node, f"peer add {other} {SYNC[other]}")
        self.espsync(node, f"group set 0 addr {VIP} {VIP6}")

    def peer_state(self, node, peer=None):
        """What a node says of a peer, or of its only one."""
        return next((p["state"] for p in self.show(node, "peers") if peer in (None, p["node"])), None)

    def start(self, active=1):
        """All nodes configured, each other's peers, one active and the address on it."""
        for node in self.gw:
            self.configure(node)
        self.move_vip(active)
        self.espsync(active, "promote")
        for n in self.others(active):
            self.espsync(n, "demote")
        until(lambda: all(p["state"] == "up" for n in self.gw for p in self.show(n, "peers")), 10 * len(self.gw), "all peers up")

    def fail_over(self, to):
        """In order: the old one silent, the address moved, the new one active."""
        for n in self.others(to):
            self.espsync(n, "demote")
        self.move_vip(to)
        self.espsync(to, "promote")
