#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
select (../select.sh) - which SAs between a group's addresses are its (design 4.6).

Every tunnel goes through the same address; group 0 is active on node 1. Both gateways send into all of them by themselves: what a standby lets out is
nobody's.
"""
import re
import socket
import struct
import time

from esptest import *
from esptest.capture import Ike
from esptest.netlink import ACK, REPLACE, REQUEST, attr, attributes, message, messages, request
from esptest.xfrm import NETLINK_XFRM, XFRM_MSG_NEWAE
from failover import LEASE_MIN, PORT, _Spray, ready, sas
from grouped import *

SO_MARK = 36
XFRM_MSG_GETAE, XFRMA_MARK, XFRMA_ETIMER_THRESH, XFRMA_REPLAY_THRESH, XFRM_AE_RTHR, XFRM_AE_ETHR = 0x1f, 21, 12, 11, 1, 8


class Marked(Tunnel):
    """A gateway's side of a tunnel whose SAs and policies have more words: a mark, an interface."""

    def __init__(self, *args, words="", **kw):
        super().__init__(*args, extra=words.split(), **kw)
        self.words_of_policies = words

    def _policies(self, gateway, verb):
        for line in super()._policies(gateway, verb):
            yield re.sub(r" dir (\w+)", rf" dir \1 {self.words_of_policies}", line)


def through(c, number, words="", dev="out", mark=0):
    """A tunnel of the client's inner address 10.2.0.number; request id and SPI 0x1000 + 0x100 * number."""
    address, spi = f"10.2.0.{number}", 0x1000 + 0x100 * number
    shape = {"inner": (f"{address}/32", "10.1.0.0/24"), "spi": spi, "esn": True, "window": 1024}
    c.client.ip(f"addr add {address}/32 dev lo")
    Tunnel(c.CLIENT, c.VIP, **shape).install_client(c.client)
    t = Marked(c.CLIENT, c.VIP, words=words, **shape)
    t.address, t.mark, t.spi = address, mark, t.to_client.spi
    for gw in c.gw.values():
        gw.ip(f"route add {address}/32 " + (f"via {c.CLIENT} dev out" if dev == "out" else f"dev {dev}"))
        t.install(gw)
    return t


class FromGateways(_Spray):
    """UDP of one gateway into tunnels, each with its mark."""

    def __init__(self, gw, source, tunnels, rate=50):
        socks = []
        for t in tunnels:
            sock = gw.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, t.mark)
            sock.bind((source, 0))
            socks.append((sock, (t.address, PORT)))
        self._start(self._send, socks, 1 / rate)
        for sock, _ in socks:
            sock.close()


def threshold_message(kind, sa, mark, flags, rest=b""):
    """xfrm finds a state that has a mark only for one that fits it."""
    rest += attr(XFRMA_MARK, struct.pack("=II", mark, 0xffffffff))
    dst, src = (socket.inet_aton(a).ljust(16, b"\0") for a in (sa.dst, sa.src))
    body = dst + struct.pack("!I", sa.spi) + struct.pack("=HBx", socket.AF_INET, socket.IPPROTO_ESP) + src
    return message(kind, body + struct.pack("=II", XFRM_AE_RTHR | XFRM_AE_ETHR, 0) + rest, flags)


def set_thresholds(gw, sa, packets, mark=0):
    rest = attr(XFRMA_REPLAY_THRESH, struct.pack("=I", packets)) + attr(XFRMA_ETIMER_THRESH, struct.pack("=I", 0))
    with gw.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as sock:
        request(sock, threshold_message(XFRM_MSG_NEWAE, sa, mark, REQUEST | ACK | REPLACE, rest), f"[{gw}] thresholds of {sa.spi:#x}")


def thresholds(gw, sa, mark=0):
    """(packets, tenths of a second) of an SA."""
    with gw.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as sock:
        sock.send(threshold_message(XFRM_MSG_GETAE, sa, mark, REQUEST))
        kind, _, body = next(iter(messages(sock.recv(65536))))
        equal(kind, XFRM_MSG_NEWAE, "the answer to GETAE")
        said = dict(attributes(body[48:]))
    return tuple(struct.unpack("=I", said[a])[0] for a in (XFRMA_REPLAY_THRESH, XFRMA_ETIMER_THRESH))


def both(c, words):
    for n in c.gw:
        c.espsync(n, f"group set 0 addr {c.VIP} {words}")


def followed(c, *tunnels):
    spis = {sa.spi for t in tunnels for sa in (t.to_gw, t.to_client)}
    until(lambda: all(set(sas(c, n)) == spis for n in c.gw), 15, f"both nodes follow {sorted(map(hex, spis))} alone")
    c.all_ready()


def sending(c, *tunnels):
    return [FromGateways(gw, f"10.1.0.1{n}", tunnels) for n, gw in c.gw.items()]


def oseq(gw, t):
    return int(t.to_client.state(gw)["oseq"])


def only_these(c, words, inside, outside):
    """inside is mirrored, and silent on the standby; outside counts on both nodes by itself, as if espsync were not there."""
    both(c, words)
    followed(c, inside)
    began = {n: oseq(gw, outside) for n, gw in c.gw.items()}
    judge, senders = Judge(c), sending(c, inside, outside)
    until(lambda: all(len(judge.caps[n].esp(t.spi, out=True)) > 20 for n, t in ((1, inside), (1, outside), (2, outside))), 20, "all that may send does")
    for s in senders:
        s.stop()
    equal([judge.sent_by(n) for n in c.gw], [{inside.spi, outside.spi}, {outside.spi}], "SPIs that left nodes 1 and 2")
    for n, gw in c.gw.items():
        judge.caps[n].stop()
        equal(oseq(gw, outside) - began[n], len(judge.caps[n].esp(outside.spi, out=True)), f"numbers that {outside.spi:#x} took on node {n}")
    stored = int(sas(c, 2)[inside.spi]["oseq"])
    check(stored >= LEASE_MIN and stored > oseq(c.gw1, inside), "the standby stores it ahead")
    check(judge.no_number_twice(but=(outside.spi,))[outside.spi] or began[1] != began[2], "both nodes used the same numbers: nobody's")


def by_reqid(c):
    t = c.made["reqid"]
    only_these(c, f"reqid {t.reqid - 3}-{t.reqid}", t, c.made["plain"])
    for n, gw in c.gw.items():
        equal(thresholds(gw, c.made["mark"].to_gw, c.made["mark"].mark), (1, 0), f"thresholds that an SA of nobody began with on node {n}")
        equal((c.group(n, 0)["reqid"], c.group(n, 0)["reqid_max"], c.group(n, 0)["mark"]), (t.reqid - 3, t.reqid, None), "what the group asks for")


def by_mark(c):
    other = c.made["another mark"]
    for gw in c.gw.values():
        set_thresholds(gw, other.to_client, 7, other.mark)
    only_these(c, "mark 0x5/0xff", c.made["mark"], other)
    equal([thresholds(gw, other.to_client, other.mark)[0] for gw in c.gw.values()], [7, 7], "thresholds that somebody else set")
    for gw in c.gw.values():
        set_thresholds(gw, other.to_client, 1, other.mark)      # as it began: it is followed later
    equal((c.group(1, 0)["mark"], c.group(1, 0)["mark_mask"], c.group(1, 0)["reqid"]), (5, 0xff, None), "what the group asks for")


def by_interface(c):
    only_these(c, "if_id 7", c.made["interface"], c.made["another interface"])
    equal(c.group(1, 0)["if_id"], 7, "what the group asks for")


def by_far_end(c):
    """What is another address needs no mark."""
    both(c, "remote 203.0.113.0/24")
    until(lambda: not any(sas(c, n) for n in c.gw), 15, "nothing is followed")
    both(c, f"remote {c.CLIENT}/32 reqid {c.made['plain'].reqid}")
    followed(c, c.made["plain"])


def all_that_is_asked_for(c):
    t = c.made["mark"]
    both(c, f"mark 5 reqid {t.reqid + 1}")
    until(lambda: not any(sas(c, n) for n in c.gw), 15, "nothing is followed: the mark is right, the request id is not")
    both(c, f"mark 5 reqid {t.reqid} if_id 0")
    followed(c, t)


def one_event_and_no_more(c):
    """A new SA that is nobody's is told once; after that its packets cost what they did without a channel."""
    both(c, f"reqid {c.made['reqid'].reqid}")
    followed(c, c.made["reqid"])
    t = c.made["late"] = through(c, 9)
    senders = sending(c, t)
    until(lambda: all(oseq(gw, t) > 50 for gw in c.gw.values()), 20, "it sends on both nodes")
    for s in senders:
        s.stop()
    equal([thresholds(gw, t.to_client) for gw in c.gw.values()], [(0, 0)] * 2, "its thresholds: no event any more")


def a_takeover_is_theirs_alone(c):
    """Node 1 dies: what was selected goes on above its numbers, the rest where it is."""
    inside, outside = c.made["reqid"], c.made["plain"]
    judge, senders = Judge(c), sending(c, inside, outside)
    until(lambda: len(judge.caps[1].esp(inside.spi, out=True)) > 20, 20, "node 1 sends")
    c.crash(1)
    before = oseq(c.gw2, outside)
    equal(c.take(0, 2), 0, "SAs in doubt")
    until(lambda: len(judge.caps[2].esp(inside.spi, out=True)) > 20, 20, "node 2 sends")
    check(oseq(c.gw2, outside) < before + 10000, "the other SA's number has not jumped")
    for s in senders:
        s.stop()
    judge.no_number_twice(but=(outside.spi,))
    c.revive(1, ("sync",))
    until(lambda: c.role(1, 0) == "standby", 30, "node 1 steps down")
    c.has_address(0, 1, add=False)
    c.revive(1, ("outside", "inside"))
    c.all_ready()
    c.move(0, 1)
    c.all_ready()


def some_of_them_move_alone(c):
    """A group that asks for more is carved out, and both nodes send from the same address, each what is its."""
    both(c, "")
    carved, rest = c.made["reqid"], c.made["plain"]
    for n in c.gw:
        c.espsync(n, f"group set 2 addr {c.VIP} reqid {carved.reqid}")
        equal((c.role(n, 2), c.group(n, 2)["epoch"]), (c.role(n, 0), c.group(n, 0)["epoch"]), f"role and epoch that it begins with on node {n}")
    until(lambda: all(sas(c, n)[carved.spi]["group"] == 2 and sas(c, n)[rest.spi]["group"] == 0 for n in c.gw), 10, "each SA is in its group")
    c.all_ready()
    judge, senders = Judge(c), sending(c, carved, rest)
    equal(c.espsync(1, "demote group 2").strip(), "flushed", "demote group 2")
    equal(c.espsync(2, "promote group 2").splitlines()[0].startswith("active"), True, "promote group 2")
    moved = time.time()
    until(lambda: all(judge.caps[n].esp(t.spi, out=True, since=moved) for n, t in ((1, rest), (2, carved))), 20, "each node sends what is its")
    for s in senders:
        s.stop()
    equal([judge.sent_by(n, moved) for n in c.gw], [{rest.spi}, {carved.spi}], "SPIs that leave nodes 1 and 2")
    judge.no_number_twice()
    equal(c.espsync(2, "demote group 2").strip(), "flushed", "demote group 2")
    c.espsync(1, "promote group 2")
    for n in c.gw:
        c.espsync(n, "group del 2")
    c.all_ready()


def what_is_new_begins_as_its_address_is(c):
    """SAs that were nobody's come into a group of their own: where the address is standby they are silent from the first."""
    both(c, f"reqid {c.made['reqid'].reqid}")
    followed(c, c.made["reqid"])
    for n in c.gw:
        c.espsync(n, f"group set 2 addr {c.VIP} mark 6")
        equal(c.role(n, 2), c.role(n, 0), f"role that it begins with on node {n}")
    both(c, "")
    for n in c.gw:
        c.espsync(n, "group del 2")


def ike_is_closed_all_the_same(c):
    """It has neither mark nor request id: it goes with the address."""
    both(c, f"reqid {c.made['reqid'].reqid}")
    followed(c, c.made["reqid"])
    judge = Judge(c)
    for gw in c.gw.values():
        with gw.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((c.VIP, 500))
            for _ in range(5):
                try:
                    sock.sendto(bytes(64), (c.CLIENT, 500))
                except PermissionError:
                    pass
    until(lambda: any(isinstance(p, Ike) for p in judge.caps[1].packets), 10, "IKE of the active node")
    equal([p for p in judge.caps[2].packets if isinstance(p, Ike)], [], "IKE of the standby")


def what_becomes_another(c):
    """Userspace may change an SA's interface: then it is nobody's, and back. A standby's stays stopped meanwhile, for its owner may still send."""
    both(c, "if_id 7")
    t = c.made["interface"]
    followed(c, t)
    words = t.to_client.words()

    def update(gw, if_id, **kw):
        return sh(["ip", "-n", gw, "xfrm", "state", "update", *words[:-1], str(if_id)], **kw).status

    for if_id, there in ((9, False), (7, True)):
        update(c.gw1, if_id)
        if there:
            check(update(c.gw2, if_id, ok=None) != 0, "a standby's SA that left its group is stopped: xfrm updates no such state")
            t.to_client.delete(c.gw2)
            t.to_client.add(c.gw2)
        else:
            update(c.gw2, if_id)
        until(lambda: all((t.spi in sas(c, n)) == there for n in c.gw), 15, f"followed with if_id {if_id}: {there}")
    c.all_ready()


def prepared_tunnels():
    module()
    c = Grouped(groups=(0,))
    c.begin({0: 1})
    for gw in c.gw.values():
        for n, if_id in ((6, 7), (7, 8)):
            gw.batch([f"link add x{if_id} type xfrm dev out if_id {if_id}", f"link set x{if_id} up"])
    both(c, "reqid 1")
    c.remove(0)
    c.tunnels = {}
    c.made = {"reqid": through(c, 2), "plain": through(c, 3), "mark": through(c, 4, "mark 5", mark=5), "another mark": through(c, 5, "mark 6", mark=6),
              "interface": through(c, 6, "if_id 7", "x7"), "another interface": through(c, 7, "if_id 8", "x8")}
    return c


main([by_reqid, by_mark, by_interface, by_far_end, all_that_is_asked_for, one_event_and_no_more, a_takeover_is_theirs_alone, some_of_them_move_alone,
      what_is_new_begins_as_its_address_is, ike_is_closed_all_the_same, what_becomes_another], prepared_tunnels)
