#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: 100,000 SAs: a join, rest, a takeover; records_per_s and rate_kbit make intervals longer, not queues
# WHERE: uml-fast
# SETS: timeout=1200 mem=4096 alone named uml-only
"""
scale - what an operator with 100,000 SAs asks: how long a join takes, what rest costs, and whether the link stays free for others.

Figures are noted; what is judged are counts, and times against each other in this run. Half of the SAs are inbound; what is hot gets ESP packets
without encryption. Between two cases all SAs are in sync.
"""
import socket
import struct
import threading
import time

import bulk
import thousands
from esptest import *
from failover import ask, nest, ready, ESPSYNC_A_GROUP, ESPSYNC_CMD_PROMOTE
from thousands import Hot, add, follow, free_kib, in_sync, meet, peer, ticks

NUMBER, HOT = 100000, 2000
_, IN = thousands.spis(NUMBER)
RECORDS_PER_S = 1000
LINK_KBIT, RATE_KBIT = 2000, 1000


class Echo:
    """Somebody else on the sync link, as the relay of IKE is: how long its small messages take there and back, in ms."""

    def __init__(self, c):
        self.took, self._ending = [], threading.Event()
        listener = c.gw2.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((c.SYNC[2], 7300))
        listener.listen()
        self.here = c.gw1.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.here.connect((c.SYNC[2], 7300))
        self.there, _ = listener.accept()
        listener.close()
        for s in (self.here, self.there):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.threads = [threading.Thread(target=t) for t in (self._answer, self._ask)]
        for t in self.threads:
            t.start()

    def _answer(self):
        while got := self.there.recv(100):
            self.there.sendall(got)

    def _ask(self):
        while not self._ending.wait(0.02):
            began = time.monotonic()
            self.here.sendall(bytes(50))
            self.here.recv(100)
            self.took.append((time.monotonic() - began) * 1000)
        self.here.shutdown(socket.SHUT_WR)

    def stop(self):
        """(the median, what nine of ten are below)"""
        self._ending.set()
        for t in self.threads:
            t.join()
        for s in (self.here, self.there):
            s.close()
        took = sorted(self.took)
        return took[len(took) // 2], took[len(took) * 9 // 10]


def sent_kbit(c, seconds):
    """What gw1 sends over the sync link, in thousands of bits a second."""
    def count():
        return c.gw1.ip_json("-s link show sync")[0]["stats64"]["tx"]["bytes"]
    before, began = count(), time.monotonic()
    time.sleep(seconds)
    return (count() - before) * 8 / 1000 / (time.monotonic() - began)


def a_join(c):
    """Each node finds its own first, then they meet."""
    for n in (1, 2):
        began = time.monotonic()
        add(c, n, NUMBER)
        made, before = time.monotonic() - began, free_kib()
        follow(c, n, NUMBER)
        note(f"node {n}: {NUMBER} SAs made in {made:.1f} s, followed in {time.monotonic() - began - made:.1f} s, "
             f"{(before - free_kib()) * 1024 / NUMBER:.0f} bytes each")
    before, began = free_kib(), time.monotonic()
    meet(c, NUMBER)
    took, sent = time.monotonic() - began, [int(peer(c, n)["tx_bytes"]) for n in (1, 2)]
    note(f"in sync within {took:.1f} s, {[s // NUMBER for s in sent]} bytes of datagrams for each SA, "
         f"{(before - free_kib()) * 1024 / NUMBER / 2:.0f} bytes more of memory")
    ready(c, 1)


def rest_is_cheap(c):
    """Nothing moves: a walk a second on each node, and keepalives."""
    before, used = int(peer(c, 1)["tx_bytes"]), ticks()
    time.sleep(10)
    said, used = (int(peer(c, 1)["tx_bytes"]) - before) / 10, (ticks() - used) / 10
    note(f"{used:.1f} % of a processor for both nodes, {said:.0f} bytes/s")
    check(said < 20000, f"an idle SA says nothing: {said:.0f} bytes/s are told of {NUMBER}")


def told(c, spis, hot, seconds):
    """After so long under load: the sync interval, and how long after the last packet the standby knew all; it must be of the order of the interval."""
    time.sleep(seconds)
    interval, used = c.show(1, "channel")["interval_us"] / 1e6, ticks()
    busy = c.show(1, "stats")["hot"]
    kbit = sent_kbit(c, 5)
    used = (ticks() - used) / 5
    hot.stop()
    ended = time.monotonic()
    want = bulk.edges(c.gw1, c.VIP, spis)
    until(lambda: bulk.edges(c.gw2, c.VIP, spis) == want, 60, "the standby knows what was accepted")
    late = time.monotonic() - ended
    note(f"{len(spis)} SAs, {Hot.number - hot.began} packets each: interval {interval:.2f} s, {kbit:.0f} kbit/s, {used:.0f} % of a processor for both nodes; "
         f"known {late:.2f} s after the last packet")
    equal(busy, len(spis), "SAs that were busy")
    check(min(want) >= Hot.number - 1 > hot.began, "the packets are accepted")
    return interval, kbit, late


def hot_ones_within_records_per_s(c):
    """So many that each is told of every other second, and no later."""
    spis = IN[:HOT]
    c.espsync(1, f"channel set records_per_s {RECORDS_PER_S}")
    interval, _, late = told(c, spis, Hot(c, spis), 6)
    c.espsync(1, "channel set records_per_s 100000")
    check(interval > 0.8 * HOT / RECORDS_PER_S, f"{HOT} hot SAs at {RECORDS_PER_S} a second take {HOT / RECORDS_PER_S} s, not {interval}")
    check(late < 2.5 * interval, f"nothing is queued: all is known {late:.2f} s after the last packet, the interval is {interval:.2f} s")


def slow_link(c, kbit):
    for gw in c.gw.values():
        impair(gw, "sync", f"rate {kbit}kbit limit 10000")


def nobody_else_waits(c):
    """A whole resync and hot SAs over a link that is slow, half of it theirs."""
    spis = IN[:HOT]
    slow_link(c, LINK_KBIT)
    echo = Echo(c)
    time.sleep(3)
    alone = echo.stop()
    for n in (1, 2):
        c.espsync(n, f"channel set rate_kbit {RATE_KBIT}")
    c.espsync(1, "peer del 2")
    c.espsync(1, f"peer add 2 {c.SYNC[2]}")
    until(lambda: 0 < peer(c, 1)["sas_synced"] < NUMBER, 20, "a resync has begun")
    echo = Echo(c)
    kbit = sent_kbit(c, 5)
    check(not in_sync(c, NUMBER), "the resync has not ended yet")
    beside = echo.stop()
    note(f"a resync: {kbit:.0f} kbit/s; somebody else's message takes {beside[0]:.1f} ms, nine of ten {beside[1]:.1f}, {alone[0]:.1f} and {alone[1]:.1f} alone")
    for n in (1, 2):
        c.espsync(n, "channel set rate_kbit 0")
        unimpair(c.gw[n], "sync")
    until(lambda: in_sync(c, NUMBER), 120, "all is in sync")
    check(0.7 * RATE_KBIT < kbit < 1.25 * RATE_KBIT, f"of {LINK_KBIT} kbit/s the channel uses {RATE_KBIT}: {kbit:.0f}")
    # A datagram takes 6 ms, and 5 ms' worth may go at once; unlimited, all that may be under way is in front of it, 64 datagrams.
    check(beside[1] < alone[1] + 40, f"a message of somebody else takes no longer: nine of ten {beside[1]:.1f} ms, {alone[1]:.1f} alone")


def hot_ones_within_rate_kbit(c):
    """Half of the rate is theirs: they are told of less often, and still no later than that."""
    spis = IN[:HOT]
    c.espsync(1, f"channel set rate_kbit {RATE_KBIT}")
    interval, kbit, late = told(c, spis, Hot(c, spis), 6)
    c.espsync(1, "channel set rate_kbit 0")
    check(kbit < 0.75 * RATE_KBIT, f"half of {RATE_KBIT} kbit/s, and keepalives: {kbit:.0f}")
    check(interval > 0.5, f"the interval is longer: {interval:.2f} s")
    check(late < 2.5 * interval, f"nothing is queued: all is known {late:.2f} s after the last packet, the interval is {interval:.2f} s")


def a_takeover(c):
    """The owner dies. The other one answers at once, whatever it has to walk, and its first packets have their slot's numbers."""
    ready(c, 1)
    c.crash(1)
    until(lambda: peer(c, 2)["state"] == "down", 30, "node 2 misses its peer")
    c.add_vip(2)
    c.announce(2)
    spi, began = IN[0], time.monotonic()
    ask(c.gw[2], ESPSYNC_CMD_PROMOTE, nest(ESPSYNC_A_GROUP))
    took = time.monotonic() - began
    packet = next(iter(bulk.packets(c.VIP, [spi]).values()))
    struct.pack_into("!I", packet, 24, 1 << 20)
    with c.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(packet, (c.VIP, 0))
    until(lambda: bulk.edges(c.gw2, c.VIP, [spi]) == [1 << 20], 30, "it accepts")
    note(f"promoted in {took * 1000:.0f} ms")
    equal([s["spi"] for s in c.show(2, "sas") if s["state"] == "stale"], [], "SAs in doubt")
    check(took < 1, f"promote with {NUMBER} SAs takes {took:.2f} s")


def setup():
    module()
    return Cluster()


main([a_join, rest_is_cheap, hot_ones_within_records_per_s, nobody_else_waits, hot_ones_within_rate_kbit, a_takeover], setup)
