#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: lifetimes in packets and bytes are the cluster's: soft and hard expire where the SA is used now, when all nodes together have come so far
# WHERE: uml-fast qemu
# SETS: named timeout=120
"""
lifetimes - curlft is streamed along and merged, so a limit is hit on the node that is active when it is reached.

Judged by xfrm's own expires, as charon hears them, and by what was captured until then at both gateways. A new owner may know too little by what the
old one had used since it last said: inbound the sync interval, outbound a second. In order it knows all. Lifetimes in seconds are charon's.
"""
import select
import socket
import struct
import threading
import time

from esptest import *
from failover import *

RATE = 50               # packets a second each way
SOFT, HARD = 300, 400
SAID_S = 1              # how often an owner says how much of an SA with limits it has used
MOVE = 30               # packets of the client that come while no node has the address, and are captured but not taken
SLACK = 10              # packets between an expire and a look at the clock
XFRMGRP_EXPIRE, XFRM_MSG_EXPIRE = 1 << 1, 0x18


class Expires:
    """(time, node, SPI, hard) of every expire in the gateways, from now on."""

    def __init__(self, c):
        self.told, self.ending = [], False
        self.socks = {}
        for node, gw in c.gw.items():
            sock = gw.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_XFRM)
            sock.bind((0, XFRMGRP_EXPIRE))
            self.socks[sock] = node
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()
        defer(self.stop)

    def _listen(self):
        while not self.ending:
            for sock in select.select(list(self.socks), [], [], 0.1)[0]:
                data, now = sock.recv(8192), time.time()
                # struct xfrm_user_expire: xfrm_usersa_info, with the SPI at 72, then whether it is hard
                if struct.unpack_from("=H", data, 4)[0] == XFRM_MSG_EXPIRE:
                    self.told.append((now, self.socks[sock], struct.unpack_from("!I", data, 16 + 72)[0], bool(data[16 + 224])))

    def stop(self):
        self.ending = True
        self.thread.join()
        for sock in self.socks:
            sock.close()
        self.socks = {}

    def of(self, sa, hard):
        return [(when, node) for when, node, spi, how in self.told if (spi, how) == (sa.spi, hard)]


class Used:
    """How many packets of an SA the gateways had sent or been sent at a time. The first question ends the recording."""

    def __init__(self, c):
        self.c = c
        self.caps = [Capture(gw, "out") for gw in c.gw.values()]

    def at(self, sa, when=float("inf")):
        out = sa.src == self.c.VIP
        return sum(p.time <= when for cap in self.caps for p in cap.stop().esp(sa.spi, out=out) if p.dst == sa.dst)


def setup():
    c = prepared()
    c.senders, sinks = [], [ns.socket(socket.AF_INET, socket.SOCK_DGRAM) for ns in (c.client, c.lan)]
    for sock in sinks:
        sock.bind(("0.0.0.0", 7000))    # never read: it keeps ICMP away
        defer(sock.close)
    for t in c.tunnels:
        near = t.inner[0].split("/")[0]
        c.senders += [Sender(c.client, c.LAN, rate=RATE, source=near), Sender(c.lan, near, rate=RATE)]
    until(lambda: all(counts(c.gw1)[sa.spi][0] > 20 for t in c.tunnels for sa in (t.to_gw, t.to_client)), 10, "traffic")
    c.sizes = {sa.src: size_of(c.gw1, sa) for sa in (c.tunnels[1].to_gw, c.tunnels[1].to_client)}
    return c


def size_of(gw, sa):
    """Bytes that xfrm counts for one of these packets."""
    s = sa.state(gw)
    return s["bytes"] // s["packets"]


def limited(c, soft, hard):
    """New SAs, and both gateways have limits for them: of the first tunnel in packets, of the second in bytes. What is told and what is used from then on."""
    mended(c)
    expires, used = Expires(c), Used(c)
    for t in c.tunnels:
        for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
            t.remove(ns, gateway)
    c.spi += 0x100
    inners = [t.inner for t in c.tunnels]
    c.tunnels = [Tunnel(c.CLIENT, c.VIP, spi=c.spi, esn=True, window=c.window, inner=inners[0]),
                 Tunnel(c.CLIENT, c.VIP, spi=c.spi + 0x10, alg="cbc-sha256", inner=inners[1])]
    for t, what in zip(c.tunnels, ("packet", "byte")):
        for sa in (t.to_gw, t.to_client):
            unit = c.sizes[sa.src] if what == "byte" else 1
            sa.extra = ("limit", f"{what}-soft", soft * unit, "limit", f"{what}-hard", hard * unit)
        for gw in c.gw.values():
            t.install(gw)
        t.to_gw.extra = t.to_client.extra = ()
        t.install_client(c.client)
    ready(c, c.active)
    return expires, used


def every(c):
    return [(sa, f"{'inbound' if sa is t.to_gw else 'outbound'}, in {what}") for t, what in zip(c.tunnels, ("packets", "bytes"))
            for sa in (t.to_gw, t.to_client)]


def heard(c, expires, hard=False, times=1):
    until(lambda: all(len(expires.of(sa, hard)) >= times for sa, _ in every(c)), 15, f"{'hard' if hard else 'soft'} expires of all SAs, {times} of each")


def expired(c, expires, used, hard, limit, late):
    """Each SA once, on the active node, at its limit or so many packets behind it: late, by direction."""
    for sa, what in every(c):
        told = [(node, used.at(sa, when)) for when, node in expires.of(sa, hard)]
        equal([node for node, _ in told], [c.active], f"{what}: who says so, of (node, packets) {told}")
        count = told[0][1]
        check(limit <= count <= limit + late[sa.src == c.VIP] + SLACK, f"{what}: at {count} packets, the limit is {limit}")
        note(f"{what}: {'hard' if hard else 'soft'} at {count} of {limit}")


def until_used(c, number):
    """As the active node counts."""
    def least():
        packets = counts(c.gw[c.active])
        return min(packets[sa.spi][0] for sa, _ in every(c))

    until(lambda: least() >= number, 30, f"{number} packets of each SA")


def in_order_all_is_known(c):
    """Moved at half of it, and back: the soft limit counts what each has used."""
    expires, used = limited(c, SOFT, 1000 * HARD)
    for number in (80, 160):
        until_used(c, number)
        c.active = 3 - c.active
        c.fail_over(c.active)
        ready(c, c.active)
    heard(c, expires)
    expires.stop()
    expired(c, expires, used, False, SOFT, (2 * MOVE, 0))


def after_a_crash_what_was_said(c):
    """The dead node's packets count, but for the last second's. Behind the hard limit nothing is sent or taken, and nobody but the active node says so."""
    expires, used = limited(c, SOFT, HARD)
    until_used(c, 150)
    died = c.active
    c.crash(died)
    equal(take_over(c, 3 - died), 0, "SAs in doubt")
    c.active = 3 - died
    heard(c, expires)
    heard(c, expires, hard=True)
    time.sleep(0.5)
    late = (MOVE, RATE * SAID_S)
    expired(c, expires, used, False, SOFT, late)
    expired(c, expires, used, True, HARD, late)
    for sa, what in every(c):
        equal(sa.state(c.gw[c.active]), None, f"{what}: its state behind the hard limit")
        if sa.src == c.VIP:
            check(used.at(sa) <= HARD + late[True] + SLACK, f"{what}: {used.at(sa)} packets were sent")
    return_zombie(c, died)
    expires.stop()
    equal([e for e in expires.told if e[1] == died], [], "expires on the node that died")


def a_limit_passed_before_is_said_again(c):
    """A standby says nothing while others use the SA; it does with the first packet of its own, for its charon has not heard of it."""
    soft = SOFT // 4
    expires, used = limited(c, soft, 1000 * HARD)
    heard(c, expires)
    time.sleep(1.5 * SAID_S)
    expired(c, expires, used, False, soft, (0, 0))
    standby = 3 - c.active
    for sa, what in every(c):
        s = sa.state(c.gw[standby])
        check(s["packets"] >= soft, f"{what}: the standby knows of {s['packets']} packets")
        equal(len(expires.of(sa, False)), 1, f"{what}: expires before the move")
    c.active = standby
    c.fail_over(standby)
    heard(c, expires, times=2)
    expires.stop()
    check(all(node == standby for when, node, *_ in expires.told[len(every(c)):]), "and nobody else")
    ready(c, c.active)


def an_sa_added_again_goes_on(c):
    """As charon does when an address changes: what has been used of its lifetime is not forgotten."""
    expires, used = limited(c, SOFT, 1000 * HARD)
    until_used(c, 100)
    gw, t = c.gw[c.active], c.tunnels[0]
    t.to_gw.extra = t.to_client.extra = ("limit", "packet-soft", SOFT)
    for sa in (t.to_gw, t.to_client):
        before = sa.state(gw)["packets"]
        gw.batch([f"xfrm state delete {' '.join(sa.id())}", f"xfrm state add {' '.join(sa.words())}"])
        after = sa.state(gw)["packets"]
        check(after >= before, f"{sa.spi:#x} goes on at {after}, {before} were used")
    heard(c, expires)
    expires.stop()
    expired(c, expires, used, False, SOFT, (SLACK, SLACK))


main([in_order_all_is_known, after_a_crash_what_was_said, a_limit_passed_before_is_said_again, an_sa_added_again_goes_on], setup)
