#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a peer of a newer version gets in and what this one knows of it is applied; the active gateway is upgraded in place within a second
# WHERE: uml
# SETS: named timeout=300
"""
upgrade - what a newer version may say to this one, and what an upgrade costs.

Job: a third node, made here of channelwire and channelsays, speaks as a newer release may: a higher version in its handshake, capabilities,
flags, a longer head, longer groups and records that this version does not know, between records that it knows. And the active gateway of a
running cluster is taken down and up again, in the order that the README says and in no order; judged is what the far end sees.
What cannot be had here: two releases of the module in one kernel, and a first tag to put beside this one.
"""
import json
import os
import struct
import time

import channelsays as says
import channelwire as cw
from esptest import Receiver, Sender, check, equal, main, note, until
from esptest.system import unload
from failover import ESPSYNC_CMD_DEMOTE, ESPSYNC_CMD_PROMOTE, Watch, ask, prepared, ready, set_times
from synclink import SyncLink

THIRD, SPI, FINGERPRINT = "10.99.0.3", 0x7770, bytes(range(8))
DIR_IN, DIR_OUT = 1, 2


def settings():
    c = prepared()
    with open(c.key_file()) as f:
        c.cluster_key = cw.Keys(bytes.fromhex(f.read().strip()))
    return c


class Newer:
    """Node 3, of another time, at gw2. Nobody has its address: what gw2 sends there is read on gw2's wire."""

    def __init__(self, c):
        self.c, self.link, self.keys, self.seq = c, SyncLink(c), c.cluster_key, 0
        c.gw2.ip(f"neigh replace {THIRD} lladdr {c.gw1.mac('sync')} dev sync nud permanent")
        c.espsync(2, f"peer add 3 {THIRD}")
        first = os.urandom(16)
        said = self.answer(lambda: self.hello(first), lambda d: cw.kind(d) == cw.HELLO and cw.open_hello(self.keys, d)[2] == first)
        theirs = cw.open_hello(self.keys, said)[1]
        self.session = cw.Session(self.keys, 3, 2, first, theirs)
        self.answer(lambda: self.hello(os.urandom(16), first, theirs), lambda d: cw.kind(d) == cw.DATA and cw.open_data(self.session, d))

    def hello(self, *nonces):
        self.link.send(cw.hello(self.keys, 3, 2, *nonces, versions=(1, 9), caps=0xffffffff, flags=0xfe), THIRD)

    def answer(self, ask, such):
        """A HELLO is answered once in 50 ms."""
        found = []

        def look():
            ask()
            time.sleep(0.1)
            found.extend(d for d in self.link.read("10.99.0.2") if d[3] == 3 and such(d))
            return found
        until(look, 10, "gw2 answers")
        return found[0]

    def say(self, *records, number=None, **head):
        """A datagram; returns its number."""
        self.seq += 1
        mine = says.group(role=says.STANDBY, flags=0x80, more=b"more")
        text = says.head([mine], more=b"a newer head", group_more=4, number=number, **head) + b"".join(records)
        self.link.send(cw.data(self.keys, self.session, 3, 2, self.seq, text), THIRD)
        return self.seq

    def acknowledged(self):
        """Numbers of its datagrams that gw2 says it has applied."""
        opened = [cw.open_data(self.session, d) for d in self.link.read("10.99.0.2") if d[3] == 3 and cw.kind(d) == cw.DATA]
        heads = [struct.unpack_from(">QQIQQ", o) for o in opened if o]
        return {high - i for _, _, _, high, bits in heads for i in range(64) if bits >> i & 1}

    def shown(self):
        return next(p for p in self.c.show(2, "peers") if p["node"] == 3)

    def sas(self):
        return {int(s["spi"], 16): s for s in self.c.show(2, "sas") if int(s["spi"], 16) in (SPI, SPI + 1)}


def a_newer_peer_gets_in(c):
    """It speaks this version's DATA with this node, whatever else it could; the records that this version knows are applied, all of them."""
    newer = Newer(c)
    newer.say()
    until(lambda: int(newer.shown()["rx_bytes"]), 10, "gw2 hears it")
    equal((newer.shown()["version"], newer.shown()["key_id"]), (1, c.cluster_key.id.hex()), "version and key of the session")
    n = newer.say(says.newer(10, bytes(10)), says.name(1, SPI, c.CLIENT, FINGERPRINT, DIR_OUT), says.newer(128), says.out(1, 5 << 20, flags=0),
                  says.newer(255, bytes(300)), says.name(2, SPI + 1, c.VIP, FINGERPRINT, DIR_IN), says.newer(8, b"x"), says.window(2, 1234),
                  says.newer(9), says.bare(says.SYNCED))
    acknowledged = set()
    until(lambda: acknowledged.update(newer.acknowledged()) or n in acknowledged, 10, "gw2 acknowledges the datagram")
    found = newer.sas()
    equal(sorted(found), [SPI, SPI + 1], "SAs that it named")
    equal((found[SPI]["state"], found[SPI]["dir"], found[SPI]["ceiling"]), ("waiting", "out", str(5 << 20)), "the one with a ceiling")
    equal((found[SPI + 1]["state"], found[SPI + 1]["dir"]), ("waiting", "in"), "the one with a window")
    shown = newer.shown()
    equal(shown["skipped"], "5", "records that are counted as passed over")
    equal({r: n for r, n in shown["dropped"].items() if n != "0"}, {}, "datagrams of it that were refused")
    reasons = [r["reason"] for node in c.gw for r in json.loads(c.espsync(node, "-j ready", ok=None))["reasons"]]
    check("module-version" not in reasons, f"module-version is not among the reasons: {reasons}")
    newer.say(says.newer(77), says.bare(says.GONE, 1), says.newer(77, bytes(3)), says.bare(says.GONE, 2))
    until(lambda: not newer.sas(), 10, "what it says behind a record that is passed over is done")
    c.espsync(2, "peer del 3")


def what_is_cut_is_refused_whole(c):
    """A record of a newer version that is longer than its datagram, groups that do not fit: nothing of it is applied."""
    newer = Newer(c)
    named = says.name(3, SPI, c.CLIENT, FINGERPRINT, DIR_OUT)
    before = int(newer.shown()["dropped"]["truncated"])
    cut = (says.newer(10, bytes(20))[:-1], b"\x0a", b"\x0a\x00", b"\xff\xff\xff")
    for last in cut:
        newer.say(named, says.out(3, 5 << 20, flags=0), last)
    newer.say(named, number=9)
    until(lambda: int(newer.shown()["dropped"]["truncated"]) == before + len(cut) + 1, 10, "each is counted")
    equal((newer.sas(), newer.shown()["skipped"]), ({}, "0"), "SAs that it named, records that were passed over")
    n = newer.say(named)
    acknowledged = set()
    until(lambda: acknowledged.update(newer.acknowledged()) or n in acknowledged, 10, "the next datagram is applied")
    equal(sorted(newer.sas()), [SPI], "SAs that it named")
    c.espsync(2, "peer del 3")


def loaded(c):
    """UDP both ways, with the arrivals at both ends."""
    c.ends = [Receiver(c.lan, c.LAN), Receiver(c.client, c.INNER)]
    c.senders = [Sender(c.client, c.LAN, rate=100, source=c.INNER), Sender(c.lan, c.INNER, rate=100)]
    flowing(c)


def flowing(c, packets=20):
    marks = [(end, end.count) for end in c.ends]
    until(lambda: all(end.count >= n + packets for end, n in marks), 20, "traffic both ways")


def interrupted(c, since):
    return max(end.longest_gap(since)[0] for end in c.ends)


def back(c, node):
    c.configure(node)
    set_times(c, 2000, 30000, nodes=(node,))


def move(c, old, new):
    """A planned move, without the tool, which costs a process each time."""
    ask(c.gw[old], ESPSYNC_CMD_DEMOTE)
    c.move_vip(new)
    ask(c.gw[new], ESPSYNC_CMD_PROMOTE)


def the_active_in_its_turn(c):
    """As the README says: the tunnels go to the standby, this node is taken down and up, and they come back. What a busy machine adds is
    not the module's: the shortest of a few counts."""
    loaded(c)
    watch, gaps = Watch(c), []
    for active, other in ((1, 2), (2, 1)) * 2:
        since = time.monotonic()
        move(c, active, other)
        flowing(c)
        gaps.append(interrupted(c, since))
        c.espsync(active, "channel del")
        flowing(c)
        back(c, active)
        ready(c, other)
        watch.look()
    note(f"interruptions of {', '.join(f'{1000 * g:.0f}' for g in gaps)} ms, 100 packets a second each way")
    check(min(gaps) < 1, f"less than a second: {gaps}")
    watch.judge()


def the_active_in_place(c):
    """No standby takes over: the module goes and comes back under the traffic. Both namespaces of this kernel lose it at once."""
    watch, since = Watch(c), time.monotonic()
    unload()
    flowing(c)
    for node in c.gw:
        back(c, node)
    c.espsync(1, "promote")
    flowing(c)
    ready(c, 1)
    gap = interrupted(c, since)
    note(f"interruption of {1000 * gap:.0f} ms while the module was replaced")
    check(gap < 1, f"less than a second: {gap}")
    watch.judge()


main([a_newer_peer_gets_in, what_is_cut_is_refused_whole, the_active_in_its_turn, the_active_in_place], settings)
