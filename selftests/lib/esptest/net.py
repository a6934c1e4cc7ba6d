# SPDX-License-Identifier: GPL-2.0
"""Namespaces and the links between them."""
import json
import socket
import struct

from .netlink import ACK, CREATE, REPLACE, REQUEST, attr, message, request
from .system import call_in, defer, sh


class Ns:
    """A network namespace, deleted at the end. str() is its name."""

    def __init__(self, name):
        self.name = name
        self._macs = {}
        sh(["ip", "netns", "add", name])
        defer(self.delete)
        self.ip("link set lo up")
        # A router that answers for itself alone; duplicate address detection only costs time.
        self.sysctl({"ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0, "ipv6/conf/default/accept_dad": 0,
                     "ipv6/conf/all/accept_dad": 0, "ipv6/conf/default/accept_ra": 0, "ipv4/conf/all/send_redirects": 0,
                     "ipv4/conf/default/send_redirects": 0})

    def __str__(self):
        return self.name

    def delete(self):
        sh(["ip", "netns", "delete", self.name], ok=None)

    def sh(self, command, **kw):
        return sh(command, ns=self.name, **kw)

    def ip(self, words, **kw):
        return sh(["ip", "-n", self.name, *words.split()], **kw)

    def ip_json(self, words):
        return json.loads(sh(["ip", "-j", "-n", self.name, *words.split()]) or "[]")

    def sysctl(self, values):
        """Values under /proc/sys/net."""
        def write():
            for key, value in values.items():
                with open(f"/proc/sys/net/{key}", "w") as f:
                    f.write(f"{value}\n")
        self.call(write)

    def mac(self, dev):
        """Of a device; asked for once."""
        if dev not in self._macs:
            self._macs[dev] = self.ip_json(f"link show {dev}")[0]["address"]
        return self._macs[dev]

    def index(self, dev):
        return self.call(socket.if_nametoindex, dev)

    def forward(self):
        self.sysctl({"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1})

    def call(self, fn, *args):
        """fn(*args) by a thread that is in the namespace; sockets that it makes stay there."""
        return call_in(self.name, fn, *args)

    def batch(self, lines):
        """Many ip commands at the price of one."""
        sh(["ip", "-n", self.name, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def socket(self, *args):
        return self.call(socket.socket, *args)

    def address(self, dev, *addresses):
        self.batch([f"addr add {a} dev {dev}" + (" nodad" if ":" in a else "") for a in addresses])


# -- a few requests without a process for each: what a failover takes would mostly be that of its test ------------

RTM_SETLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWNEIGH = 19, 20, 21, 28
NUD_REACHABLE = 2


def rtnl(ns, *messages, ok=()):
    """Sends them in order; an error that is not in ok is an OSError."""
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        for m in messages:
            request(sock, m, f"[{ns}] rtnetlink request {struct.unpack_from('=H', m, 4)[0]}", ok)


def _packed(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def address_message(index, address, add=True):
    """address: with its prefix's length."""
    address, _, length = address.partition("/")
    family, packed = _packed(address)
    nodad = 2 if family == socket.AF_INET6 and add else 0
    body = struct.pack("=BBBBI", family, int(length), nodad, 0, index)
    return message(RTM_NEWADDR if add else RTM_DELADDR, body + attr(2, packed) + attr(1, packed),
                   REQUEST | ACK | (CREATE | REPLACE if add else 0))


def neighbour_message(index, address, mac):
    family, packed = _packed(address)
    body = struct.pack("=BxxxiHBB", family, index, NUD_REACHABLE, 0, 0)
    return message(RTM_NEWNEIGH, body + attr(1, packed) + attr(2, bytes.fromhex(mac.replace(":", ""))), REQUEST | ACK | CREATE | REPLACE)


def master_message(index, master):
    """master: index of a bridge, 0: none."""
    return message(RTM_SETLINK, struct.pack("=BxHiII", 0, 0, index, 0, 0) + attr(10, struct.pack("=i", master)))


def veth(a, dev_a, b, dev_b):
    """A link between two namespaces, up at both ends."""
    sh(["ip", "link", "add", dev_a, "netns", a, "type", "veth", "peer", "name", dev_b, "netns", b])
    a.ip(f"link set {dev_a} up")
    b.ip(f"link set {dev_b} up")


def bridge(ns, name, *ports):
    ns.ip(f"link add {name} type bridge forward_delay 0 mcast_snooping 0")
    ns.batch([*(f"link set {port} master {name}" for port in ports), f"link set {name} up"])


def impair(ns, dev, netem):
    """netem's own words: "loss 30%", "delay 10ms reorder 50%", "duplicate 20%"."""
    ns.ip("link show " + dev)
    sh(["tc", "-n", str(ns), "qdisc", "replace", "dev", dev, "root", "netem", *netem.split()])


def unimpair(ns, dev):
    sh(["tc", "-n", str(ns), "qdisc", "del", "dev", dev, "root"], ok=None)
