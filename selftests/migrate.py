#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: states are migrated, or deleted and added again, a thousand times under load on both nodes: no number twice, windows go on, failover after
# WHERE: uml +uml-bench
# SETS: timeout=600 named
"""
migrate - MIGRATE, MIGRATE_STATE, and delete and add again with what was read, which is how charon follows an address that has changed.

xfrm tells the module of none of the first two's states, and of the third's when it is live. Judged are the numbers that left the gateways (captured, whatever
address they went to), what the module counts as repeated (`readd_window`), replays of what was accepted before, and a takeover at the end.
The last case sends as fast as the guest goes, which is more than a capture can follow: there the client's own window judges. How fast that is depends on
what watches: uml-bench is the kernel in which nothing does.
"""
import os
import socket
import struct
import time

from esptest import *
from esptest.netlink import ACK, CREATE, REQUEST, attr, attributes, message, messages, request
from esptest.xfrm import NETLINK_XFRM, XFRM_MSG_GETSA
from failover import *
from pktgen import PORT, Pktgen

TIMES = int(os.environ.get("MIGRATE_TIMES", 1000))
XFRM_MSG_NEWSA, XFRM_MSG_DELSA, XFRM_MSG_MIGRATE, XFRM_MSG_MIGRATE_STATE, XFRMA_MIGRATE = 0x10, 0x11, 0x21, 0x29, 17
SA_INFO, TUNNEL, OUT, IN, FWD = 224, 1, 1, 0, 2
# What a dump says and NEWSA takes: algorithms, encapsulation, counters, mark, if_id, direction.
COPIED = {1, 2, 4, 10, 18, 20, 21, 23, 31, 33}
CLIENT2, XFRMA_REPLAY_ESN_VAL = "192.0.2.101", 23
RATE = 5000     # packets a second each way, of which the captures miss none


def raw(address):
    return socket.inet_aton(address).ljust(16, b"\0")


class Xfrm:
    """A node's xfrm, without a process for each request."""

    def __init__(self, ns):
        self.ns, self.sock = ns, ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM)
        defer(self.sock.close)

    def id(self, sa, dst=None):
        return raw(dst or sa.dst) + struct.pack("!I", sa.spi) + struct.pack("=HBx", socket.AF_INET, socket.IPPROTO_ESP)

    def read(self, sa):
        """What the kernel says of a state: struct xfrm_usersa_info, attributes."""
        self.sock.send(message(XFRM_MSG_GETSA, self.id(sa), REQUEST))
        (kind, _, body), = messages(self.sock.recv(65536))
        equal(kind, XFRM_MSG_NEWSA, f"[{self.ns}] answer about {sa.spi:#x}")
        return body[:SA_INFO], attributes(body[SA_INFO:])

    def edge(self, sa):
        """Of a state with ESN: highest number accepted."""
        _, _, seq, _, high, _ = struct.unpack_from("=6I", dict(self.read(sa)[1])[XFRMA_REPLAY_ESN_VAL])
        return high << 32 | seq

    def readd(self, sa):
        info, attrs = self.read(sa)
        request(self.sock, message(XFRM_MSG_DELSA, self.id(sa)), f"[{self.ns}] delete {sa.spi:#x}")
        request(self.sock, message(XFRM_MSG_NEWSA, info + b"".join(attr(k, v) for k, v in attrs if k in COPIED), REQUEST | ACK | CREATE),
                f"[{self.ns}] add {sa.spi:#x}")

    def migrate_state(self, sa):
        """To the same addresses: a new state all the same."""
        info, _ = self.read(sa)
        body = self.id(sa) + raw(sa.dst) + raw(sa.src) + bytes(8) + info[:56] + struct.pack("=IIHH", sa.reqid, 0, socket.AF_INET, 0)
        request(self.sock, message(XFRM_MSG_MIGRATE_STATE, body), f"[{self.ns}] migrate state {sa.spi:#x}")

    def migrate(self, t, old, new):
        """Policies and states of a tunnel, from one address of the client to another, as MOBIKE asks for."""
        there, here = t.inner
        for direction, src, dst, ends in ((OUT, here, there, (t.gateway, "%")), (IN, there, here, ("%", t.gateway)), (FWD, there, here, ("%", t.gateway))):
            selector = raw(dst.split("/")[0]) + raw(src.split("/")[0]) + bytes(8) + \
                struct.pack("=HBBB3xii", socket.AF_INET, int(dst.split("/")[1]), int(src.split("/")[1]), 0, 0, 0)
            (a, b), (x, y) = ([raw(e.replace("%", client)) for e in ends] for client in (old, new))
            move = b + a + y + x + struct.pack("=BBHIHH", socket.IPPROTO_ESP, TUNNEL, 0, t.reqid, socket.AF_INET, socket.AF_INET)
            body = selector + struct.pack("=IB3x", 0, direction)
            request(self.sock, message(XFRM_MSG_MIGRATE, body + attr(XFRMA_MIGRATE, move)), f"[{self.ns}] migrate policy {direction} of {t.to_gw.spi:#x}")


def cluster():
    module()
    c = Cluster()
    c.start()
    set_times(c, 2000, 30000)
    c.client.batch([f"addr add {CLIENT2}/24 dev out", "addr add 10.2.0.2/32 dev lo"])
    for gw in c.gw.values():
        knows_the_way(c, gw)
        gw.ip(f"neigh replace {CLIENT2} lladdr {c.client.mac('out')} dev out nud permanent")
    c.active, c.spi = 1, 0x1000
    c.xfrm = {n: Xfrm(gw) for n, gw in c.gw.items()}
    for ns in (c.client, c.lan):
        sink = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.bind(("0.0.0.0", PORT))
        defer(sink.close)       # never read: it only keeps ICMP away
    return c


def fresh(c, esn=True):
    c.spi += 0x10
    c.tunnels = [c.tunnel(spi=c.spi, esn=esn, window=2048 if esn else 32)]
    ready(c, c.active)
    return c.tunnels[0]


def gone(c):
    for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
        for t in c.tunnels:
            t.remove(ns, gateway)


def numbers_sent(c, caps, spi):
    """How often each number of an SPI left a gateway, to whatever address: {number: times}, of those that left more than once; and how many numbers."""
    times = {}
    for cap in caps:
        equal(cap.dropped, 0, f"packets that the capture at {cap.name} missed")
        for p in cap.esp(spi, out=True):
            times[p.seq] = times.get(p.seq, 0) + 1
    return {n: k for n, k in times.items() if k > 1}, len(times)


def readds(c):
    return sum(int(c.show(n, "stats")["readd_window"]) for n in c.gw)


def under_load(c, t, change, allowed):
    """change(xfrm, i) a thousand times on the active node, and every tenth time on the standby; then it dies. allowed(repeats, counted) judges."""
    died, heir = c.active, 3 - c.active
    caps = [Capture(gw, "out") for gw in c.gw.values()]
    near = t.inner[0].split("/")[0]
    floods = [Pktgen(c.lan, c.LAN, near, RATE), Pktgen(c.client, near, c.LAN, RATE)]
    before, counted = counts(c.gw[died]), readds(c)
    edge, ahead = state(c.gw[died], t.to_gw.spi)["seq"], state(c.gw[heir], t.to_client.spi)["oseq"]
    began = time.monotonic()
    for i in range(TIMES):
        change(c.xfrm[died], i)
        if i % 10 == 0:
            change(c.xfrm[heir], i // 10)
    took = time.monotonic() - began
    for flood in floods:
        flood.stop()
    check(state(c.gw[heir], t.to_client.spi)["oseq"] >= ahead, "the standby's number does not fall")
    check(state(c.gw[died], t.to_gw.spi)["seq"] > edge, "the active node's window goes on")
    until(lambda: len([s for s in states(c.gw[died]) if s["spi"] in (t.to_gw.spi, t.to_client.spi)]) == 2, 5, "one state for each SA")
    ready(c, died)
    until(lambda: streamed(c, [t], died), 10, "the standby knows of all that was accepted")
    accepted, _ = recorded(c, t, 200)
    change(c.xfrm[died], 0), change(c.xfrm[died], 1)
    equal(Player(c).play(died, t.to_gw, accepted), (0, len(accepted)), "replays, after one more")
    load = Load(c, [t], zombies=False)
    load.flows("before the crash")
    load.pause()
    quiet(c)
    c.crash(died)
    equal(take_over(c, heir), 0, "SAs in doubt")
    c.active = heir
    equal(Player(c).play(heir, t.to_gw, accepted), (0, len(accepted)), "replays, after the takeover")
    load.go_on()
    load.flows("after the takeover")
    load.stop()
    return_zombie(c, died)
    twice, number = numbers_sent(c, [cap.stop() for cap in caps], t.to_client.spi)
    counted = readds(c) - counted
    note(f"{TIMES} times in {took:.1f} s, {number} numbers sent ({number / took:.0f} a second), {len(twice)} of them twice, {counted} counted")
    check(number > TIMES, f"{number} numbers: there was no load to speak of")
    check(all(k == 2 for k in twice.values()), f"numbers sent more than twice: {[n for n, k in twice.items() if k > 2][:5]}")
    check(allowed(twice, counted), f"{len(twice)} numbers sent twice, {counted} counted: {sorted(twice)[:10]}")
    gone(c)


def migrate_state(c):
    """Linux 7.2 copies the numbers with the lock held: none repeats."""
    t = fresh(c)

    def change(xfrm, _):
        xfrm.migrate_state(t.to_client)
        xfrm.migrate_state(t.to_gw)

    under_load(c, t, change, lambda twice, counted: not twice)


def migrate(c):
    """xfrm copies the numbers and goes on with the old state for a moment: a named limit. The module goes on above what either had."""
    t = fresh(c)
    # Another state of the client takes what goes to its other address.
    other = Sa(c.VIP, CLIENT2, t.to_client.spi, esn=True, window=2048, reqid=t.reqid)
    other.add(c.client)
    ways = ((c.CLIENT, CLIENT2), (CLIENT2, c.CLIENT))
    at = {n: 0 for n in c.gw}

    def change(xfrm, i):
        node = next(n for n, x in c.xfrm.items() if x is xfrm)
        xfrm.migrate(t, *ways[at[node] % 2])
        at[node] += 1

    under_load(c, t, change, lambda twice, counted: len(twice) <= 2 * TIMES)
    other.delete(c.client)


def a_successor_is_streamed_at_once(c):
    """Nobody tells that a busy state was migrated, and its successor raises no event: it is looked for when the old one is seen dead, not a second later."""
    t, took = fresh(c), []
    here, there = c.xfrm[c.active], c.xfrm[3 - c.active]
    flood = Pktgen(c.client, t.inner[0].split("/")[0], c.LAN, RATE)
    until(lambda: there.edge(t.to_gw) > 100, 20, "the standby follows")
    for _ in range(9):
        time.sleep(0.2)
        here.migrate_state(t.to_gw)
        edge, began = here.edge(t.to_gw), time.monotonic()
        until(lambda: there.edge(t.to_gw) > edge, 5, "the standby follows the successor", step=0.005)
        took.append(time.monotonic() - began)
    flood.stop()
    note(f"streamed after {', '.join(f'{s * 1000:.0f}' for s in sorted(took))} ms")
    check(sorted(took)[len(took) // 2] < 0.25, "as soon as the old one is visited")
    gone(c)


def deleted_and_added_again(c):
    """At most one number each time, and counted; both shapes of counters."""
    for esn in (True, False):
        t = fresh(c, esn)

        def change(xfrm, i):
            xfrm.readd(t.to_client)
            if i % 5 == 0:
                xfrm.readd(t.to_gw)

        # Counted is at most one for each time; two numbers in a row may be of two times.
        under_load(c, t, change, lambda twice, counted: len(twice) <= counted <= TIMES + TIMES // 10)


def added_again_at_full_rate(c):
    """On every processor a sender that never waits. What the client refuses is what had been sent before."""
    t = fresh(c)
    gw = c.gw[c.active]
    flood = Pktgen(c.lan, c.LAN, t.inner[0].split("/")[0])
    refused, counted, sent, began = lost_replay(c), readds(c), state(gw, t.to_client.spi)["oseq"], time.monotonic()
    for _ in range(TIMES):
        c.xfrm[c.active].readd(t.to_client)
    took = time.monotonic() - began
    sent = state(gw, t.to_client.spi)["oseq"] - sent
    flood.stop()
    refused, counted = lost_replay(c) - refused, readds(c) - counted
    note(f"{TIMES} times in {took:.1f} s, {sent / took:.0f} packets a second from {os.cpu_count()} processors, {refused} refused as replays, {counted} counted")
    check(sent > TIMES, f"{sent} numbers: there was no load to speak of")
    # A state that is there and not raised yet may be used by each processor once.
    check(refused <= os.cpu_count() * counted and counted <= TIMES, f"{refused} packets refused as replays, {counted} counted")
    ready(c, c.active)
    gone(c)


main([migrate_state, migrate, a_successor_is_streamed_at_once, deleted_and_added_again, added_again_at_full_rate], cluster)
