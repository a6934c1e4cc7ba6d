#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: steer: the node that has an address hands on, unchanged, what belongs to groups of it that are active elsewhere
# WHERE: uml qemu
# SETS: timeout=300 named
"""
steer - `espsync steer`: ESP, ESP in UDP and IKE of some far ends of an address reach their owner by way of the node that has the address.

Node 1 has the address and group 0; group 1, the second client, is active on node 2. Each case leaves it so. That the network steers instead is
a case of the test groups.
"""
import os
import re
import signal
import socket

from esptest import *
from esptest.load import Receiver, Sender
from failover import promote
from grouped import *

FIRST, SECOND = CLIENTS
IKE, NAT_T = 500, 4500
INNERS = {1: inner(1), 2: inner(2)}
SECOND6, INNER6 = "2001:db8::101", "fd02::2"


class Steered(Grouped):
    """Group 1 is the second client of group 0's address. Tunnels 1 and 2 are its; 2 is ESP in UDP."""

    def __init__(self):
        super().__init__(nodes=(1, 2, 3), groups=(0,))
        self.steering = {}
        self.client.batch([f"addr add {SECOND}/24 dev out", *(f"addr add {i}/32 dev lo" for i in INNERS.values())])
        self.lan.batch([f"route add {i}/32 via 10.1.0.11" for i in INNERS.values()])
        for gw in self.gw.values():
            # As README says: the address is everybody's, but only who has it on a device answers for it, and nobody asks in its name.
            gw.sysctl({"ipv4/conf/all/arp_announce": 2})
            gw.batch([*(f"route add {i}/32 via {SECOND} dev out" for i in INNERS.values()),
                      f"neigh replace {SECOND} lladdr {self.client.mac('out')} dev out nud permanent"])
        self.nat_t = {ns: encap_socket(ns, self.VIP) for ns in self.gw.values()}
        self.nat_t[self.client] = encap_socket(self.client, SECOND)

    def configure(self, node, others=None):
        super().configure(node, others)
        self.group_one(node)

    def group_one(self, node, more=""):
        self.espsync(node, f"group set 1 addr {self.VIP} remote {SECOND}/32 {more}")

    def through(self, g, spi, inside_address=None, client=None):
        return super().through(0, spi, inner(g), CLIENTS[g])

    def take(self, g, node):
        """The second client's answers take their way back through the owner: a route for each on the router inside."""
        if not g:
            return super().take(g, node)
        doubtful = promote(self, node, g)
        self.lan.batch([f"route replace {i}/32 via 10.1.0.1{node}" for i in INNERS.values()])
        self.at[1] = self.at[2] = node
        return doubtful

    def move(self, g, node):
        equal(self.espsync(self.at[g], f"demote group {g}").strip(), "flushed", f"demote of group {g} on node {self.at[g]}")
        equal(self.take(g, node), 0, "SAs in doubt")

    def in_udp(self):
        """One more tunnel of the second client."""
        t = Tunnel(SECOND, self.VIP, inner=(f"{INNERS[2]}/32", "10.1.0.0/24"), spi=0x3000, esn=True, window=1024, encap=(NAT_T, NAT_T))
        t.install_client(self.client)
        for gw in self.gw.values():
            t.install(gw)
        return t

    def steer(self, node):
        way = [f"{n}@{address}" for n in self.gw for address in (self.SYNC[n], f"fd99::{n}")]
        self.steering[node] = spawn(["espsync", "-n", self.gw[node], "steer", "from", "out", "over", "sync", "to", *way])

    def rules(self, node):
        return self.gw[node].sh("nft list table netdev espsync_steer", ok=None)

    def steers_to(self, node):
        """Where a node's rules send the second client's packets; None: they stay."""
        found = re.search(rf"saddr {re.escape(SECOND)} .*fwd ip to 10\.99\.0\.(\d+) ", self.rules(node))
        return int(found[1]) if found else None

    def follows(self, nodes=(1, 2, 3)):
        """Each node hands group 1 to its owner, who keeps it."""
        for n in nodes:
            until(lambda n=n: self.rules(n) and self.steers_to(n) == (None if n == self.at[1] else self.at[1]), 20, f"node {n} steers to node {self.at[1]}")

    def spis(self):
        """What the second client sends."""
        return {self.tunnels[1].to_gw.spi, self.tunnels[2].to_gw.spi}


def prepared():
    module()
    c = Steered()
    c.begin({0: 1, 1: 2})
    c.tunnels[2] = c.in_udp()
    for n in c.gw:
        c.steer(n)
    c.follows()
    c.all_ready()
    return c


def between(c, node):
    """What reaches a node from the others."""
    return Capture(c.gw[node], "sync", keep=True)


def numbers(packets):
    return sorted((p.spi, p.seq) for p in packets)


def unchanged(sent, got):
    """But for the hop that it was: TTL and its checksum."""
    sent, got = bytearray(sent[14:]), bytearray(got[14:])
    equal(got[8], sent[8] - 1, "TTL")
    for packet in sent, got:
        packet[8], packet[10:12] = 0, b"\0\0"
    return sent == got


def what_another_owns_arrives_there_unchanged(c):
    judge, sent, there = Judge(c), Capture(c.client, "out", keep=True), {n: between(c, n) for n in c.gw}
    load = BothWays(c)
    load.flows("steered")
    load.stop()
    until(lambda: numbers(there[2].esp(out=False)) == numbers(p for p in sent.esp(out=True) if p.spi in c.spis()), 10,
          "all that the second client has sent, and nothing else, arrives at node 2 over the sync link, once")
    frames = {(p.spi, p.seq): sent.bytes_of(p) for p in sent.stop().esp(out=True)}
    for p in there[2].stop().esp(out=False):
        check(unchanged(frames[p.spi, p.seq], there[2].bytes_of(p)), f"spi {p.spi:#x} number {p.seq} is what the client sent")
    equal({(p.spi, p.udp) for p in there[2].esp(out=False)}, {(c.tunnels[1].to_gw.spi, False), (c.tunnels[2].to_gw.spi, True)}, "SPIs, in UDP or not")
    equal([there[n].stop().esp(out=False) for n in (1, 3)], [[], []], "ESP that reached nodes 1 and 3 over the sync link")
    equal([judge.sent_by(n) for n in c.gw], [{c.tunnels[0].to_client.spi}, {c.tunnels[g].to_client.spi for g in (1, 2)}, set()], "SPIs that left the nodes")
    judge.no_number_twice()


def received(socks):
    """What each socket has, without waiting for more."""
    got = {}
    for n, sock in socks.items():
        sock.setblocking(False)
        got[n] = []
        try:
            while True:
                got[n].append(sock.recv(65536))
        except BlockingIOError:
            pass
    return got


def ike_goes_the_same_way(c):
    """Whole, in fragments, and behind the marker; the first client's stays where the address is."""
    ike = {}
    for n, gw in c.gw.items():
        ike[n] = gw.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ike[n].bind((c.VIP, IKE))
        defer(ike[n].close)
    nat_t = {n: c.nat_t[gw] for n, gw in c.gw.items()}
    received(nat_t)
    for client, owner in ((FIRST, 1), (SECOND, 2)):
        messages = [os.urandom(300), os.urandom(4000), bytes(4) + os.urandom(300), bytes(4) + os.urandom(4000)]
        for port, some in ((IKE, messages[:2]), (NAT_T, messages[2:])):
            sock = c.nat_t[c.client] if (client, port) == (SECOND, NAT_T) else c.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if sock is not c.nat_t[c.client]:
                sock.bind((client, port))
            for m in some:
                sock.sendto(m, (c.VIP, port))
            if sock is not c.nat_t[c.client]:
                sock.close()
        got = {n: [] for n in c.gw}

        def all_there():
            for socks in ike, nat_t:
                for n, some in received(socks).items():
                    got[n] += some
            return len(got[owner]) >= len(messages)

        until(all_there, 10, f"IKE of {client} at node {owner}: {[[len(m) for m in some] for some in got.values()]}")
        equal({n: sorted(some) for n, some in got.items()}, {n: sorted(messages) if n == owner else [] for n in c.gw}, f"IKE of {client}")


def over_ipv6(c):
    """The second client's other address; no other family than that of the outer header decides."""
    c.client.batch([f"addr add {SECOND6}/64 dev out nodad", f"addr add {INNER6}/128 dev lo nodad"])
    neighbours = {c.client: f"neigh replace {c.VIP6} lladdr {c.gw1.mac('out')} dev out nud permanent"}
    for n, gw in c.gw.items():
        gw.batch([f"addr add {c.VIP6}/128 dev {'out' if n == 1 else 'lo'} nodad", f"route add {INNER6}/128 via {SECOND6} dev out"])
        neighbours[gw] = f"neigh replace {SECOND6} lladdr {c.client.mac('out')} dev out nud permanent"
    for ns, line in neighbours.items():
        ns.ip(line)
    c.lan.ip(f"route replace {INNER6}/128 via fd01::12")
    t = Tunnel(SECOND6, c.VIP6, inner=(f"{INNER6}/128", "fd01::/64"), spi=0x4000, esn=True, window=1024)
    t.install_client(c.client)
    for n, gw in c.gw.items():
        t.install(gw)
        c.espsync(n, f"group set 1 addr {c.VIP} {c.VIP6} remote {SECOND}/32 {SECOND6}/128")
    until(lambda: re.search(rf"saddr {SECOND6} .*fwd ip6 to fd99::2 ", c.rules(1)), 10, "node 1 knows the IPv6 far end")
    c.all_ready()
    ike = {n: gw.socket(socket.AF_INET6, socket.SOCK_DGRAM) for n, gw in c.gw.items()}
    for sock in ike.values():
        sock.bind((c.VIP6, IKE))
        defer(sock.close)
    there, sent = {n: between(c, n) for n in c.gw}, Capture(c.client, "out")
    at_client = Receiver(c.client, INNER6)
    senders = [Sender(c.client, c.LAN6, rate=50, source=INNER6), Sender(c.lan, INNER6, rate=50)]
    messages = [os.urandom(300), os.urandom(4000)]
    with c.client.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((SECOND6, IKE))
        for m in messages:
            sock.sendto(m, (c.VIP6, IKE))
    until(lambda: at_client.count > 50, 20, "answers reach the client")
    for sender in senders:
        sender.stop()
    spi = t.to_gw.spi
    until(lambda: numbers(there[2].esp(spi, out=False)) == numbers(sent.esp(spi, out=True)), 10, "all ESP of the client arrives at node 2 over the sync link, once")
    equal([there[n].esp(spi, out=False) for n in (1, 3)], [[], []], "ESP that reached nodes 1 and 3")
    equal({n: sorted(some) for n, some in received(ike).items()}, {n: sorted(messages) if n == 2 else [] for n in c.gw}, "IKE")
    for ns in (*c.gw.values(), c.client):
        t.remove(ns, gateway=ns is not c.client)
    for n in c.gw:
        c.group_one(n)
    c.all_ready()


def the_steering_follows_a_group(c):
    """To a third node, to the one that has the address, and back: no number twice, no packet refused, no SA in doubt."""
    judge, load = Judge(c), BothWays(c)
    for to in (3, 1, 2):
        load.flows(f"on node {c.at[1]}")
        c.move(1, to)
        c.follows()
        load.flows(f"on node {to}")
        c.all_ready()
    load.stop()
    judge.no_number_twice()


def definitions_are_followed(c):
    """A group's far ends, a group that is deleted, an owner that is no peer any more."""
    for n in c.gw:
        c.group_one(n, "203.0.113.0/24")
    for n, wanted in ((1, "fwd ip to 10.99.0.2"), (2, "accept")):
        until(lambda n=n, wanted=wanted: re.search(rf"203\.0\.113\.0/24 .*{wanted}", c.rules(n)), 10, f"node {n} knows the group's new far ends")
    for n in c.gw:
        c.group_one(n)
    until(lambda: "203.0.113.0" not in c.rules(1), 10, "node 1 knows that they are gone")
    c.espsync(3, "peer del 2")
    until(lambda: c.steers_to(3) is None, 10, "node 3 sends nothing to a node that is no peer")
    c.espsync(3, f"peer add 2 {c.SYNC[2]}")
    c.follows()
    c.all_ready()


def nobody_sends_it_on_twice(c):
    """Node 1 does not know yet that node 2 is not the owner any more: what it sends there stays there."""
    os.kill(c.steering[1].pid, signal.SIGSTOP)
    c.move(1, 3)
    c.follows(nodes=(2, 3))
    equal(c.steers_to(1), 2, "where node 1 still sends the second client's packets")
    there = {n: between(c, n) for n in c.gw}
    load = BothWays(c)
    until(lambda: len(there[2].esp(out=False)) > 20, 30, "packets arrive at node 2")
    equal([there[n].esp(out=False) for n in (1, 3)], [[], []], "packets that node 2 sent on")
    os.kill(c.steering[1].pid, signal.SIGCONT)
    c.follows()
    load.flows("on node 3")
    load.stop()
    c.move(1, 2)
    c.follows()
    c.all_ready()


def a_node_without_the_address_sends_nothing_back(c):
    c.gw[2].ip(f"addr del {c.VIP}/32 dev lo")
    sent, there, back = Capture(c.client, "out"), between(c, 2), Capture(c.gw[1], "out")
    load = BothWays(c)
    until(lambda: len(there.esp(out=False)) > 20, 30, "packets arrive at node 2")
    load.stop()
    theirs = numbers(p for p in sent.stop().esp(out=True) if p.spi in c.spis())
    for what, cap in (("come to node 2 over the sync link", there), ("come to node 1", back)):
        until(lambda cap=cap: numbers(p for p in cap.esp(out=False) if p.spi in c.spis()) == theirs, 10, f"all of the second client's packets, and no more, {what}")
    c.gw[2].ip(f"addr add {c.VIP}/32 dev lo")
    load = BothWays(c)
    load.flows("with the address again")
    load.stop()
    c.all_ready()


def the_owner_asks_in_its_own_name(c):
    """It sends from an address that another node answers for: its ARP must not take that over."""
    c.gw[2].ip(f"neigh del {SECOND} dev out")
    load = BothWays(c)
    load.flows("with ARP")
    load.stop()
    equal(c.client.ip_json(f"neigh show {c.VIP} dev out")[0]["lladdr"], c.gw[1].mac("out"), "who has the address, as the client knows")
    c.gw[2].ip(f"neigh replace {SECOND} lladdr {c.client.mac('out')} dev out nud permanent")


def the_rules_outlive_a_crash(c):
    """And the next start makes them anew."""
    judge, load = Judge(c), BothWays(c)
    c.steering[1].kill()
    c.steering[1].wait()
    load.flows("with the rules that were left")
    c.move(1, 3)
    equal(c.steers_to(1), 2, "where the rules of the dead still send packets")
    c.steer(1)
    c.follows()
    load.flows("after the restart")
    load.stop()
    judge.no_number_twice()
    c.move(1, 2)
    c.follows()
    c.all_ready()


def without_it_the_holder_takes_them(c):
    """An orderly end takes the rules away. The standby's SAs accept what arrives, and let nothing out; the owner knows what was accepted."""
    judge, there = Judge(c), between(c, 2)
    c.steering[1].terminate()
    equal(c.steering[1].wait(10), 0, "exit status")
    equal((c.rules(1), c.gw[1].sh("nft list table inet espsync_steer", ok=None)), ("", ""), "rules that are left")
    inside, sender = Receiver(c.lan, c.LAN), Sender(c.client, c.LAN, rate=50, source=INNERS[1])
    until(lambda: inside.count > 20, 20, "packets arrive inside")
    sender.stop()
    equal(there.stop().esp(out=False), [], "ESP that reached node 2")
    inside.stop()
    c.steer(1)
    c.follows()
    load = BothWays(c)
    load.flows("steered again")
    load.stop()
    equal([judge.sent_by(n) & {c.tunnels[1].to_client.spi} for n in (1, 3)], [set(), set()], "what left nodes 1 and 3 for the second client")
    judge.no_number_twice()
    c.all_ready()


def drops(c, node):
    """Messages that the steering's socket had no room for."""
    rows = (line.split() for line in c.gw[node].sh(["cat", "/proc/net/netlink"]).splitlines()[1:])
    return sum(int(r[8]) for r in rows if int(r[2]) & 0x3fffff == c.steering[node].pid & 0x3fffff)


def lost_events_are_made_up_for(c):
    os.kill(c.steering[1].pid, signal.SIGSTOP)
    lines = [" ".join(Sa("198.51.100.1", c.VIP, 0x8000 + i).words()) for i in range(200)]
    ids = [" ".join(Sa("198.51.100.1", c.VIP, 0x8000 + i).id()) for i in range(200)]

    def full():
        c.gw[1].batch([f"xfrm state add {line}" for line in lines] + [f"xfrm state delete {i}" for i in ids])
        return drops(c, 1)

    until(full, 60, "events are lost")
    c.move(1, 3)
    os.kill(c.steering[1].pid, signal.SIGCONT)
    c.follows()
    c.move(1, 2)
    c.follows()
    c.all_ready()


main([what_another_owns_arrives_there_unchanged, ike_goes_the_same_way, over_ipv6, the_steering_follows_a_group, definitions_are_followed,
      nobody_sends_it_on_twice, a_node_without_the_address_sends_nothing_back, the_owner_asks_in_its_own_name, the_rules_outlive_a_crash, without_it_the_holder_takes_them,
      lost_events_are_made_up_for], prepared)
