#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a planned move under load: what the old owner may not send any more goes to the new one, or waits in vain and is counted
# WHERE: uml-fast
# SETS: timeout=120
"""
handover - a tunnel that moves on purpose, packets every fraction of a millisecond both ways.

What is lost is compared with what two plain routers lose to the same script, in the same run.
"""
import socket
import threading
import time

import genlwire
import pktgen
from esptest import *
from esptest.netlink import nest, request
from failover import ESPSYNC_A_GROUP, ESPSYNC_CMD_DEMOTE, ESPSYNC_CMD_PROMOTE, lost_replay, ready, role_of, sent_twice
from pktgen import Pktgen, count, counted

RATE = 1500     # both ways; python's senders do not do more here
MANY = 10000    # both ways, by the kernel's generator, and counted only
SIZE = 300
HOLD_S = 0.09   # the guard waits for 0.1
MOVES = 4       # that take less than that


class Flow:
    """UDP both ways between two places, and what of it was lost."""

    def __init__(self, client, client_address, host, host_address):
        self.there, self.here = Receiver(host, host_address), Receiver(client, client_address)
        self.senders = [Sender(client, host_address, rate=RATE, size=SIZE, source=client_address),
                        Sender(host, client_address, rate=RATE, size=SIZE, source=host_address)]

    def flows(self):
        before = self.here.count, self.there.count
        until(lambda: self.here.count > before[0] + 100 and self.there.count > before[1] + 100, 20, "packets arrive both ways")

    def stop(self):
        """(lost at the client, lost at the host)"""
        for s in self.senders:
            s.stop()
        time.sleep(0.3)
        for r in (self.here, self.there):
            r.stop()
        note(f"{[s.sent for s in self.senders]} sent, {self.there.count} and {self.here.count} arrived, "
             f"longest gaps {self.there.longest_gap()[0] * 1000:.1f} and {self.here.longest_gap()[0] * 1000:.1f} ms")
        equal((self.here.duplicates(), self.there.duplicates()), (0, 0), "packets delivered twice")
        return self.senders[1].sent - self.senders[1].refused - self.here.count, self.senders[0].sent - self.senders[0].refused - self.there.count


class Hands:
    """What moves a cluster's address, ready to be sent: what it takes is the kernel's time, not the test's."""

    def __init__(self, c):
        self.rt = {str(ns): ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) for ns in (c.gw1, c.gw2, c.client, c.lan)}
        self.genl = {n: genlwire.Genl(gw.socket(socket.AF_NETLINK, socket.SOCK_RAW, genlwire.NETLINK_GENERIC)) for n, gw in c.gw.items()} if c.psk else {}
        self.steps = {}
        for n, gw in c.gw.items():
            self.steps[n, "add"] = [(str(gw), m) for m in c.vip_messages(n)]
            self.steps[n, "announce"] = [(str(ns), m) for ns, messages in c.announcements(n) for m in messages]
            self.steps[n, "drop"] = [(str(gw), m) for m in c.vip_messages(n, False)]
        for s in self.rt.values():
            defer(s.close)

    def do(self, node, *steps):
        for step in steps:
            for ns, m in self.steps[node, step]:
                request(self.rt[ns], m, f"[{ns}] {step}")

    def tell(self, node, command):
        """Without the tool, whose process costs more than the move here."""
        if self.genl:
            answer = self.genl[node].ask(genlwire.message(self.genl[node].family, command, nest(ESPSYNC_A_GROUP)))
            equal(answer.error, 0, f"answer to request {command} of node {node}")

    def move(self, to):
        """As keepalived does: the old one is told, the new one has the address before it is told, and the old one lets it go. How long packets had to wait."""
        began = time.monotonic()
        self.tell(3 - to, ESPSYNC_CMD_DEMOTE)
        self.do(to, "add", "announce")
        self.tell(to, ESPSYNC_CMD_PROMOTE)
        took = time.monotonic() - began
        self.do(3 - to, "drop")
        return took


def may_move(c, to):
    """The owner is ready, and the other one knows it, which is a datagram later."""
    ready(c, 3 - to)
    until(lambda: c.show(to, "groups")[0]["in"], 10, f"node {to} is in")


def back_to_node_1(c):
    if role_of(c, 1) != "active":
        may_move(c, 1)
        c.hands.move(1)


def setup():
    c = Cluster()
    c.t = c.tunnel(esn=True, window=1024)
    c.start()
    c.plain = Cluster("p")
    c.plain.move_vip(1)
    for gw in c.plain.gw.values():
        gw.ip(f"route replace {c.INNER}/32 via {c.CLIENT} dev out")
    c.hands, c.plain.hands = Hands(c), Hands(c.plain)
    for to in (2, 1):       # what is looked up the first time
        c.plain.hands.move(to)
        may_move(c, to)
        c.hands.move(to)
    return c


def stats(c, node):
    return {k: int(v) for k, v in c.show(node, "stats").items() if k in ("handed", "taken", "unheld", "refused")}


class Many:
    """The kernel's packets both ways, counted only."""

    def __init__(self, client, client_address, host, host_address, rate):
        self.sinks = []     # never read: they only keep ICMP away
        for ns, address in ((client, client_address), (host, host_address)):
            count(ns, "", address)
            self.sinks.append(ns.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.sinks[-1].bind((address, pktgen.PORT))
        self.ends = client, host
        self.gens = Pktgen(client, client_address, host_address, rate), Pktgen(host, host_address, client_address, rate)

    def sent(self):
        return sum(g.sent() for g in self.gens)

    def arrived(self):
        return sum(counted(ns, "") for ns in self.ends)

    def flows(self):
        before = self.arrived()
        until(lambda: self.arrived() > before + 1000, 20, "packets arrive")

    def stop(self):
        for g in self.gens:
            g.stop()
        time.sleep(0.3)
        for sink in self.sinks:
            sink.close()
        note(f"{self.sent()} sent, {self.arrived()} arrived")
        return [self.sent() - self.arrived()]


def plainly(c, flow):
    """What four moves cost without IPsec."""
    flow.flows()
    for to in (2, 1, 2, 1):
        c.plain.hands.move(to)
        time.sleep(0.3)
    lost = sum(flow.stop())
    note(f"two plain routers lost {lost} packets in four moves")
    return lost


def moves(c, flow):
    """Until MOVES of them were fast enough: (lost, of these in slow ones)."""
    handed, fast, late, to = 0, 0, 0, 1
    began = time.monotonic()
    flow.flows()
    while fast < MOVES and time.monotonic() - began < 40:
        to = 3 - to
        may_move(c, to)
        before = stats(c, 3 - to), stats(c, to)
        took = c.hands.move(to)
        time.sleep(0.3)
        after = stats(c, 3 - to), stats(c, to)
        old, new = ({k: a[k] - b[k] for k in a} for a, b in zip(after, before))
        note(f"to node {to} in {took * 1000:.0f} ms: the old one {old}, the new one {new}")
        equal(new["taken"], old["handed"], "packets taken of those handed over")
        handed += old["handed"]
        if took <= HOLD_S:
            fast += 1
        else:       # packets that nobody waits for so long: a machine that is busy with something else
            late += sum(x[k] for x in (old, new) for k in ("unheld", "refused"))
    lost = sum(flow.stop())
    if to == 2:
        c.hands.move(1)
    check(handed and fast == MOVES, f"packets were handed over, and {fast} moves of {MOVES} were fast enough to judge")
    return lost, late


def a_planned_move_loses_no_more(c):
    plain = plainly(c, Flow(c.plain.client, c.INNER, c.plain.lan, c.LAN))
    caps, replays = [Capture(gw, "out") for gw in c.gw.values()], lost_replay(c)
    lost, late = moves(c, Flow(c.client, c.INNER, c.lan, c.LAN))
    for cap in caps:
        cap.stop()
    check(lost - late <= plain, f"{lost} packets lost, {late} of them in slow moves; {plain} by two plain routers in four")
    check(not sent_twice(c, caps), "no number twice")
    equal(lost_replay(c) - replays, 0, "packets that the client refused as replays")


def so_at_ten_thousand_a_second(c):
    """Both ways; or at as much as this machine carries without a move and without loss."""
    rate = MANY
    while True:
        flow = Many(c.client, c.INNER, c.lan, c.LAN, rate)
        time.sleep(2)
        if not sum(flow.stop()) or rate < RATE:
            break
        rate = rate * 2 // 3
    note(f"{rate} packets a second each way are carried without loss")
    plain = plainly(c, Many(c.plain.client, c.INNER, c.plain.lan, c.LAN, rate))
    replays = lost_replay(c)
    lost, late = moves(c, Many(c.client, c.INNER, c.lan, c.LAN, rate))
    check(lost - late <= plain, f"{lost} packets lost, {late} of them in slow moves; {plain} by two plain routers in four")
    equal(lost_replay(c) - replays, 0, "packets that the client refused as replays")


def a_move_that_fails_lets_them_go(c):
    """Demoted, nobody promoted, and active again within a moment."""
    flow = Flow(c.client, c.INNER, c.lan, c.LAN)
    flow.flows()
    before = stats(c, 1)
    c.hands.tell(1, ESPSYNC_CMD_DEMOTE)
    c.hands.tell(1, ESPSYNC_CMD_PROMOTE)
    flow.flows()
    after = stats(c, 1)
    lost = sum(flow.stop())
    note(f"lost {lost}: {before} {after}")
    equal((after["unheld"] - before["unheld"], after["refused"] - before["refused"], lost), (0, 0, 0), "packets dropped")


def what_is_under_way_leaves(c):
    """It has its number from an active one, and has not left when the role changes: there is a second processor. Often enough to meet one."""
    back_to_node_1(c)
    flow = Many(c.client, c.INNER, c.lan, c.LAN, MANY)
    flow.flows()
    rounds, dropped, before = 0, 0, stats(c, 1)
    began = time.monotonic()
    while rounds < 300 and time.monotonic() - began < 40:
        demoted = time.monotonic()
        c.hands.tell(1, ESPSYNC_CMD_DEMOTE)
        c.hands.tell(1, ESPSYNC_CMD_PROMOTE)
        held = time.monotonic() - demoted
        time.sleep(0.003)
        after = stats(c, 1)
        if held <= HOLD_S:      # what has to wait for longer, on a busy machine, is dropped
            rounds += 1
            dropped += sum(after[k] - before[k] for k in ("unheld", "refused"))
        before = after
    flow.stop()
    check(rounds > 100, f"only {rounds} changes were quick enough")
    equal(dropped, 0, f"packets dropped in {rounds} changes")


def nobody_is_promoted_and_they_are_dropped(c):
    """After 100 ms, and counted: neither encrypted by a standby nor kept."""
    flow = Flow(c.client, c.INNER, c.lan, c.LAN)
    flow.flows()
    before, cap = stats(c, 1), Capture(c.gw1, "out")
    c.espsync(1, "demote")
    silent = time.time()
    until(lambda: stats(c, 1)["refused"] > before["refused"] + 100, 10, "the guard drops what comes later")
    after = stats(c, 1)
    flow.stop()
    waited = after["unheld"] - before["unheld"]
    check(0 < waited < RATE * 0.4, f"some 100 ms of {RATE} packets/s have waited in vain: {waited}")
    check(not [p for p in cap.stop().esp(out=True, since=silent)], "nothing leaves a standby")
    c.espsync(1, "promote")


def big_ones_are_cut(c):
    """What TCP left to the device to cut, and to sum up, arrives whole."""
    data = bytes(range(256)) * 1024
    may_move(c, 2)
    before = stats(c, 1)
    with c.lan.socket() as listener, c.client.socket() as s:
        listener.bind((c.LAN, 7100))
        listener.listen()
        s.bind((c.INNER, 0))
        s.settimeout(20)
        s.connect((c.LAN, 7100))
        conn, _ = listener.accept()
        conn.settimeout(20)

        c.hands.tell(1, ESPSYNC_CMD_DEMOTE)
        conn.sendall(data[:20000])      # less than what may be under way at first
        c.hands.move(2)
        rest = threading.Thread(target=lambda: (conn.sendall(data[20000:]), conn.shutdown(socket.SHUT_WR)))
        rest.start()
        got = b"".join(iter(lambda: s.recv(65536), b""))
        rest.join()
        conn.close()
    check(got == data, f"{len(got)} of {len(data)} bytes arrive as they were")
    handed = stats(c, 1)["handed"] - before["handed"]
    check(handed >= 10, f"ten segments of 20000 bytes were handed over in pieces: {handed}")


def a_route_that_goes_meanwhile(c):
    """A socket of the gateway itself lends its packets their route. It takes another one while they wait, and they still have theirs."""
    back_to_node_1(c)
    near = "10.1.0.11"      # within the policies
    with c.client.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, c.gw1.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        listener.bind((c.INNER, 7200))
        listener.listen()
        s.bind((near, 0))
        s.settimeout(10)
        s.connect((c.INNER, 7200))
        conn, _ = listener.accept()
        conn.settimeout(10)
        for i in range(5):
            s.sendall(b"one")
            equal(conn.recv(100), b"one", "what was sent before")
            c.hands.tell(1, ESPSYNC_CMD_DEMOTE)
            s.sendall(b"two")
            c.gw1.batch([f"route add 10.77.{i}.0/24 dev in", f"route del 10.77.{i}.0/24 dev in"])    # every socket looks its route up again
            s.sendall(b"three")
            time.sleep(0.03)
            c.hands.tell(1, ESPSYNC_CMD_PROMOTE)
            got = b""
            while len(got) < 8:
                got += conn.recv(100)
            equal(got, b"twothree", "what was sent meanwhile")
        conn.close()


main([a_planned_move_loses_no_more, so_at_ten_thousand_a_second, a_move_that_fails_lets_them_go, what_is_under_way_leaves,
      nobody_is_promoted_and_they_are_dropped, big_ones_are_cut, a_route_that_goes_meanwhile], setup)
