#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: every reason word is seen and goes again, and every event; lag histograms, packets/s, tracepoints; a dump survives change; README has them all
# WHERE: uml
# SETS: timeout=400 named
"""
ready - what an operator, and a program in his place, is told (design 4.7, 6).

Two gateways and two groups, both active on node 1. Each reason is brought about, is said with its group, peer and SA, in text and in JSON,
and goes when its remedy is applied. Where a second module cannot be brought to say something, a program speaks as node 2 (channelnode).
Monitors on both nodes run all the while: in the end each word of the header has been said.
"""
import json
import os
import re
import socket
import struct
import threading
import time

import bulk
import channelnode
from esptest import *
from esptest.netlink import nest
from failover import GSO_MAX, Events, ask, ready, sas
from grouped import Grouped, inner, vip

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRACING = "/sys/kernel/tracing/instances/espsync-ready"
ESPSYNC_CMD_HELPER_REPORT, ESPSYNC_A_HELPER, ESPSYNC_REASON_DRIFT = 18, 7, 9
KNOWN, APPLIED, MISSING, REASON, TEXT, DRIFT, TUNNEL = 1, 2, 3, 4, 5, 6, 7
MAX_SAID = 40
RATES = {0: 60, 1: 180}         # packets a second into each group's tunnel


def words(enum):
    """Those of the header, in its order."""
    with open(f"{TOP}/include/uapi/linux/espsync.h", encoding="utf-8") as f:
        body = re.search(rf"^enum {enum} {{(.*?)^}}", f.read(), re.S | re.M)[1]
    return re.findall(r'/\* "([a-z-]+)"', body)


# -- asking ------------------------------------------------------------------

def why(c, node, *how):
    """`espsync ready`: exit status, JSON and text say the same."""
    done = c.espsync(node, ["-j", "ready", *how], ok=(0, 1))
    said = json.loads(done)
    equal((done.status, said["ready"]), (1, False) if said["reasons"] else (0, True), "exit status and `ready`")
    return said["reasons"]


def says(c, node, reason, *how, peer=None, group=0, count=None, sa=None):
    """Until a node gives a reason, of this group and peer."""
    def given():
        return [r for r in why(c, node, *how) if (r["reason"], r["peer"], r["group"]) == (reason, peer, group)
                and (count is None or r["count"] == count) and (sa is None or r["sa"] == sa)]
    try:
        r = until(given, 15)[0]
    except AssertionError:
        raise AssertionError(f"node {node}: {reason} (peer {peer}, group {group}, count {count}, SA {sa}) is not among {why(c, node, *how)}") from None
    check(len(r["text"]) > 20, f"{reason}: a sentence: {r['text']!r}")
    c.reasons.add(reason)
    return r


def over(c, node, reason, *how):
    until(lambda: reason not in [r["reason"] for r in why(c, node, *how)], 20, f"node {node} does not say {reason} any more")


def ready_now(c, node, *how):
    try:
        until(lambda: not why(c, node, *how), 15)
    except AssertionError:
        raise AssertionError(f"node {node} is not ready: {why(c, node, *how)}; {c.show(node, 'peers')}") from None


# -- reasons -------------------------------------------------------------------

def before_there_is_anything(c):
    """One node, step by step as in the manual: each step takes a reason away."""
    c.espsync(1, f"channel set node 1 local {c.SYNC[1]}")
    for reason in ("no-key", "no-vip", "undecided"):
        says(c, 1, reason)
    c.espsync(1, f"channel set psk-file {c.key_file()}")
    over(c, 1, "no-key")
    c.espsync(1, f"group set 0 addr {vip(0)}")
    over(c, 1, "no-vip")
    check(c.espsync(1, "ready", ok=(1,)).startswith("undecided: this node was neither"), "text has the word first")
    equal(why(c, 1, "--local"), [], "reasons against being active")
    c.espsync(1, "promote")
    over(c, 1, "undecided")
    says(c, 1, "no-peer")
    c.espsync(1, f"peer add 2 {c.SYNC[2]}")
    says(c, 1, "no-peer", peer=2)
    equal(why(c, 1, "--local"), [], "reasons against being active, without a peer")


def a_peer_that_joins(c):
    """It is heard and answers, but the datagrams that tell it everything do not come through: then they do, and it lacks SAs."""
    spis = range(0x9000, 0x9000 + 60)
    bulk.add(c.gw1, vip(0), spis)
    c.gw2.sh(["nft", "-f", "-"], stdin="table inet small { chain in { type filter hook input priority 0; udp dport 4520 udp length > 300 drop; }; }\n")
    Cluster.configure(c, 2)
    r = says(c, 1, "peer-joining", peer=2)
    check(r["count"] and 0 < r["count"] <= 60, f"how many it has not been told: {r}")
    equal(c.peer_state(1), "joining", "its state")
    c.gw2.sh("nft delete table inet small")
    over(c, 1, "peer-joining")
    says(c, 1, "sa-missing", peer=2, count=60)
    says(c, 2, "sa-missing", peer=1, count=60)
    bulk.add(c.gw2, vip(0), spis)
    ready(c, 1)
    ready(c, 2)
    for gw in c.gw.values():
        bulk.delete(gw, spis)


def both_groups(c):
    """From here on all that is told is collected."""
    c.begin({0: 1, 1: 1}, detect_ms=1000, evict_ms=3000)
    c.events = {n: Events(c, n) for n in c.gw}
    for n in c.gw:
        equal([why(c, n), why(c, n, "--local")], [[], []], f"reasons of node {n}")


def a_standby_that_is_out(c):
    c.cut_sync(one_way=2)
    says(c, 2, "peer-out", peer=1)
    says(c, 1, "no-peer", peer=2)
    c.cut_sync()
    says(c, 2, "no-peer", peer=1)
    check("no-peer" not in [r["reason"] for r in why(c, 2, "--local")], "a dead owner is no reason against a takeover")
    c.heal_sync()
    c.all_ready()


def a_peer_begins_anew(c):
    c.espsync(2, "channel del --release")
    c.configure(2)
    for g in c.at:
        c.espsync(2, f"demote group {g}")
    c.all_ready()


def a_missing_sa(c):
    sa = c.tunnels[1].to_client
    sa.delete(c.gw2)
    sa.add(c.gw2)
    c.all_ready()
    sa.delete(c.gw2)
    says(c, 1, "sa-missing", peer=2, group=1, count=1)
    says(c, 2, "sa-missing", peer=1, group=1, count=1)
    equal(why(c, 1, "group", "0"), [], "reasons of the other group")
    until(lambda: "SAs are missing in the peer's kernel" in sh("dmesg | grep 'espsync: not ready' | tail -n 3"), 15, "it lasts: the kernel log says so")
    sa.add(c.gw2)
    c.all_ready()


def an_sa_without_a_window(c):
    sa = Sa(c.CLIENT, vip(1), 0x7000, window=0)
    for gw in c.gw.values():
        sa.add(gw)
    for n in c.gw:
        says(c, n, "sa-unprotected", group=1, count=1, sa="0x00007000")
    for gw in c.gw.values():
        sa.delete(gw)
    c.all_ready()


def another_key(c):
    sa = c.tunnels[0].to_client
    sa.delete(c.gw2)
    key, sa.key = sa.key, "0x" + "66" * 20
    sa.add(c.gw2)
    says(c, 1, "key-mismatch", peer=2, count=1)
    says(c, 2, "key-mismatch", sa=f"0x{sa.spi:08x}")
    sa.delete(c.gw2)
    sa.key = key
    sa.add(c.gw2)
    c.all_ready()


def options_and_definitions(c):
    c.espsync(1, "group set 0 overrun go-on")
    says(c, 1, "overrun-go-on")
    c.espsync(1, "group set 0 overrun stop")
    c.espsync(2, "group set 1 role store")
    says(c, 1, "store-only", peer=2, group=1)
    says(c, 2, "store-only", "--local", group=1)
    check("role store" in c.espsync(2, "promote group 1", ok=(3,)).stderr, "promote there is refused")
    c.espsync(2, "group set 1 role any")
    c.espsync(1, "group set 2 addr 198.51.100.1")
    says(c, 1, "undecided", group=2)
    c.espsync(1, "promote group 2")
    says(c, 1, "drift", peer=2, group=2)
    c.espsync(1, "group del 2")
    c.all_ready()


# -- events ------------------------------------------------------------------

def at_its_ceiling(c, go_on):
    """The standby's word does not come: the owner's SA stops at its ceiling, or passes it."""
    sa = c.tunnels[0].to_client
    ceiling, stalls = int(sas(c, 1)[sa.spi]["ceiling"]), int(c.show(1, "stats")["stalls"])
    if go_on:
        c.espsync(1, "group set 0 overrun go-on")
    c.cut_sync(one_way=2)
    sa.set_oseq(c.gw1, ceiling - GSO_MAX - 3)
    sender = Sender(c.lan, inner(0), rate=50)
    if go_on:
        until(lambda: int(sas(c, 1)[sa.spi]["oseq"]) > ceiling - GSO_MAX + 10, 20, "it goes on")
    else:
        until(lambda: int(c.show(1, "stats")["stalls"]) > stalls, 20, "it stops")
    sender.stop()
    c.heal_sync()
    if go_on:
        c.espsync(1, "group set 0 overrun stop")
    c.all_ready()


def ceilings(c):
    at_its_ceiling(c, go_on=False)
    at_its_ceiling(c, go_on=True)


def the_guard_refuses(c):
    """Node 2 would send what its policies turn into ESP."""
    until(lambda: c.role(2, 0) == "standby", 5, "node 2 is standby")
    before = int(c.show(2, "stats")["refused"])
    sender = Sender(c.gw2, inner(0), rate=50, source="10.1.0.12")
    until(lambda: int(c.show(2, "stats")["refused"]) > before + 5, 20, "the guard has dropped some")
    sender.stop()


def promoted_out_of_sync(c):
    """Node 1 dies, node 2 is out when it is promoted, and node 1 comes back as owner with a lower epoch."""
    c.crash(1)
    until(lambda: not c.group(2, 0)["in"], 20, "node 2 is out")
    check(c.take(0, 2) > 0, "SAs in doubt")
    says(c, 2, "sa-stale", group=0)
    c.revive(1, ("sync",))
    until(lambda: c.role(1, 0) == "standby", 20, "node 1 yields")
    c.has_address(0, 1, add=False)
    c.revive(1, ("outside", "inside"))
    c.remove(0)
    c.tunnels[0] = c.through(0, 0x2000)
    over(c, 2, "sa-stale")
    c.all_ready()
    c.move(0, 1)
    c.all_ready()


def every_event_was_told(c):
    told = {n: e.told() for n, e in c.events.items()}
    seen = {e["event"] for some in told.values() for e in some}
    equal(set(words("espsync_event")) - seen, {"link"}, "events that were not told: what there is with two links alone, in the test links")
    turns = [(e["reason"], e["group"], e["peer"]) for e in told[1] if e["event"] == "ready"]
    note(f"node 1 turned: {turns}")
    check(("sa-missing", 1, 2) in turns, "that an SA was missing")
    check(all((a[0] is None) != (b[0] is None) for a, b in zip(turns, turns[1:])), "ready and not ready take turns")
    check(turns[-1][0] is None, "in the end it is ready")


# -- figures -------------------------------------------------------------------

def carried(c):
    """Packets of each group's tunnel, at node 1."""
    now = counts(c.gw1)
    return {g: now[t.to_gw.spi][0] + now[t.to_client.spi][0] for g, t in c.tunnels.items()}


def rates_by_group(c):
    senders = [Sender(c.client, c.LAN, 7100 + g, rate=rate, source=inner(g)) for g, rate in RATES.items()]
    senders.append(Sender(c.lan, inner(1), 7200, rate=RATES[0]))
    shown, real = {}, {}

    def agree():
        before, start = carried(c), time.monotonic()
        time.sleep(2.5)
        seconds = time.monotonic() - start
        real.update({g: (n - before[g]) / seconds for g, n in carried(c).items()})
        shown.update({g["group"]: g["packets_per_s"] for g in c.show(1, "groups")})
        return all(abs(shown[g] - real[g]) < 10 + real[g] / 4 and real[g] > RATES[g] / 4 for g in real)
    until(agree, 30, f"packets/s shown {shown}, counted {real}")
    note(f"packets/s shown {shown}, counted {real}")
    check(shown[1] > 2 * shown[0], "the busier group is told from the other")
    equal({g["packets_per_s"] for g in c.show(2, "groups")}, {0}, "packets/s of the standby, whose counters follow")
    for s in senders:
        s.stop()
    until(lambda: not any(g["packets_per_s"] for g in c.show(1, "groups")), 10, "nothing is carried any more")
    equal([g["sas_total"] for g in c.show(1, "groups")], [2, 2], "SAs of each group")


def lag(c):
    peer = c.show(1, "peers")[0]
    return [[int(n) for n in peer[what]] for what in ("lag_packets", "lag_us")]


def risen(before, now):
    """The buckets that rose: lowest and highest values that they stand for, and by how much. But for a few: a guest may stand still at any time."""
    number = sum(now) - sum(before)
    found = [i for i, (a, b) in enumerate(zip(before, now)) if b - a > number / 10]
    return ((1 << found[0] >> 1, (1 << found[-1]) - 1) if found else None), number


def lag_histograms(c):
    """Over a link of 50 ms each way a peer is 100 ms behind, and what comes in a tenth of a second."""
    sender = Sender(c.client, c.LAN, rate=200, source=inner(0))
    start = lag(c)
    until(lambda: sum(lag(c)[0]) > sum(start[0]) + 20, 20, "windows are acknowledged")
    quick = lag(c)
    c.impair_sync("delay 50ms")
    time.sleep(2)           # until the round trip is known, what is under way counts as lost
    before = lag(c)
    until(lambda: sum(lag(c)[0]) > sum(before[0]) + 20, 30, "windows are acknowledged over the slow link")
    after = lag(c)
    sender.stop()
    c.heal_sync()
    (fast_packets, n), (fast_us, n_us) = (risen(a, b) for a, b in zip(start, quick))
    (packets, m), (us, m_us) = (risen(a, b) for a, b in zip(before, after))
    note(f"behind at first {fast_packets} packets, {fast_us} us; over the slow link {packets} packets, {us} us")
    equal((n, m), (n_us, m_us), "windows counted in both histograms")
    check(us[0] >= 1 << 16, f"at least 65 ms behind over the slow link: {us}")
    check(packets[1] >= 15, f"some 20 packets behind over the slow link: {packets}")
    check(fast_us[0] < 1 << 16, f"less than that before: {fast_us}")
    c.all_ready()


class Trace:
    """The module's tracepoints, in a buffer of their own."""

    def __init__(self):
        os.mkdir(TRACING)
        defer(os.rmdir, TRACING)
        defer(self.write, "events/espsync/enable", "0")
        self.write("events/espsync/enable", "1")

    @staticmethod
    def write(name, text):
        with open(f"{TRACING}/{name}", "w") as f:
            f.write(text)

    def lines(self, event, ns):
        inum = os.stat(f"/run/netns/{ns}").st_ino
        with open(f"{TRACING}/trace") as f:
            return re.findall(rf"espsync_{event}: netns={inum} (.*)", f.read())


def tracepoints(c):
    trace, t = Trace(), c.tunnels[0]
    sender = Sender(c.client, c.LAN, rate=100, source=inner(0))
    spi = f"spi=0x{t.to_gw.spi:08x}"

    def shows(event, node, pattern):
        until(lambda: any(re.fullmatch(pattern, line) for line in trace.lines(event, c.gw[node])), 15,
              f"{event} on node {node} says {pattern!r}")

    shows("sample", 1, rf"{spi} packets=\d+ hot=\d+ interval_us=\d+")
    shows("send", 1, r"peer=2 seq=\d+ len=\d+ records=[1-9]\d*")
    shows("receive", 2, r"peer=1 seq=\d+ len=\d+ believed")
    shows("merge", 2, rf"{spi} edge=\d+")
    sender.stop()
    with c.gw2.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"\1\2\3", (c.SYNC[1], 4520))
    shows("receive", 1, r"peer=0 seq=0 len=3 truncated")
    the_guard_refuses(c)
    shows("refuse", 2, rf"family=2 spi=0x{t.to_client.spi:08x} len=\d+")
    c.move(0, 2)
    shows("promote", 2, r"group=0 epoch=\d+ sas=\d+ doubtful=0")
    shows("role", 1, r"group=0 standby epoch=\d+")
    shows("lease", 2, rf"spi=0x{t.to_client.spi:08x} begun value=\d+")
    shows("peer", 2, r"peer=1 in")
    c.all_ready()
    c.move(0, 1)
    c.all_ready()


# -- a dump while SAs come and go ----------------------------------------------------

def a_dump_survives_change(c):
    """No SA that is there all the time is missing or listed twice, however many come and go meanwhile; and it is one reading, not many tries."""
    keep, pass_by = range(0x10000, 0x10000 + 1200), range(0x20000, 0x20000 + 64)
    bulk.add(c.gw1, vip(0), keep)
    until(lambda: set(keep) <= set(sas(c, 1)), 20, "they are followed")
    with bulk.coming_and_going(c.gw1, vip(0), pass_by) as rounds:
        for _ in range(8):
            done = c.espsync(1, "-j show sas", ok=None)
            equal(done.status, 0, f"exit status of show sas: {done.stderr}")
            listed = [int(s["spi"], 16) for s in json.loads(done) if int(s["spi"], 16) in keep]
            equal((len(listed), len(set(listed))), (len(keep), len(keep)), "SAs that were there all the time: listed, and different ones")
    note(f"{len(rounds)} times {len(pass_by)} SAs came and went")
    bulk.delete(c.gw1, keep)
    c.all_ready()


# -- what only a peer's word brings about --------------------------------------------

def report(c, node, **what):
    numbers = {"known": (KNOWN, "=I"), "applied": (APPLIED, "=I"), "missing": (MISSING, "=I"), "reason": (REASON, "=B")}
    attrs = [(kind, struct.pack(form, what[name])) for name, (kind, form) in numbers.items() if name in what]
    if "text" in what:
        attrs.append((TEXT, what["text"].encode() + b"\0"))
    attrs += [(kind, s.encode() + b"\0") for name, kind in (("tunnels", TUNNEL), ("drift", DRIFT)) for s in what.get(name, ())]
    ask(c.gw[node], ESPSYNC_CMD_HELPER_REPORT, nest(ESPSYNC_A_HELPER, *attrs))


class Helpers:
    """espsyncd's report of each node, once a second, for as long as the node is in `what`."""

    def __init__(self, c):
        self.c, self.what, self._ending = c, {}, threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self._ending.wait(0.5):
            for node, what in list(self.what.items()):
                report(self.c, node, **what)

    def stop(self):
        self._ending.set()
        self.thread.join()


def the_helpers_reports(c):
    helpers, fine = Helpers(c), {"known": 3, "applied": 3, "missing": 0}
    try:
        helpers.what[1] = fine
        says(c, 1, "helper-silent", peer=2)
        helpers.what[2] = {"known": 3, "applied": 1, "missing": 2}
        says(c, 1, "ike-missing", peer=2)
        says(c, 2, "ike-missing", count=2)
        helpers.what[2] = {"known": 3, "applied": 3, "missing": 1, "reason": ESPSYNC_REASON_DRIFT, "text": "a sentence of the helper itself"}
        equal(says(c, 2, "drift", count=1)["text"], "a sentence of the helper itself", "the text")
        # Each difference is a reason of its own, and all that is kept is said at once, however long.
        long = [f"{i:03} {'x' * 250}" for i in range(MAX_SAID + 3)]
        helpers.what[2] = {**helpers.what[2], "drift": long}
        until(lambda: [r["text"] for r in why(c, 2) if r["reason"] == "drift"] == [helpers.what[2]["text"], *long[:MAX_SAID]], 15, "all that is kept")
        equal([r["count"] for r in why(c, 2) if r["reason"] == "drift" and r["text"] in long], [None] * MAX_SAID, "counts")
        # One that is active rightly is not told to move by what its peers have otherwise, or do not protect.
        helpers.what[1] = {**fine, "tunnels": ["a tunnel that a peer does not take"], "drift": ["something that the nodes have differently"]}
        equal(says(c, 1, "sa-unprotected")["text"], "a tunnel that a peer does not take", "the text")
        says(c, 1, "drift")
        check(not {r["reason"] for r in why(c, 1, "--local")} & {"drift", "sa-unprotected"}, "they are no reasons against the active node")
        check("drift" in [r["reason"] for r in why(c, 2, "--local")], "but against a standby")
        helpers.what[1] = helpers.what[2] = fine
        c.all_ready()
        del helpers.what[2]
        says(c, 2, "helper-silent")
        helpers.what[2] = fine
        c.all_ready()
    finally:
        helpers.stop()


def what_a_peer_says(c):
    """A program in node 2's place."""
    for n in c.gw:
        c.espsync(n, "channel del --release")
    c.configure(1)
    c.espsync(1, "promote")
    with open(c.key_file(), encoding="ascii") as f:
        node = channelnode.Node(c.gw2, 2, c.SYNC[2], 1, c.SYNC[1], bytes.fromhex(f.read().strip()))
    fine, g = node.flags, ("group", "0")
    try:
        ready_now(c, 1, *g)
        node.say(flags=fine | channelnode.FULL)
        says(c, 1, "peer-out", *g, peer=2)
        equal(c.peer_state(1), "out", "its state")
        node.say(flags=fine, role=channelnode.UNDECIDED)
        says(c, 1, "undecided", *g, peer=2)
        node.say(role=channelnode.STANDBY, waiting=7)
        says(c, 1, "sa-missing", *g, peer=2, count=7)
        node.say(waiting=0, flags=fine | channelnode.STORE)
        says(c, 1, "store-only", *g, peer=2)
        node.say(flags=fine)
        ready_now(c, 1, *g)
        node.say(versions=(2, 3))
        says(c, 1, "module-version", *g, peer=2)
        node.say(versions=(1, 1))
        ready_now(c, 1, *g)
    finally:
        node.stop()


def every_word_was_seen(c):
    equal(sorted(set(words("espsync_reason")) - c.reasons), [], "reasons that were not seen")


def readme_names_them(_):
    """A row for each event, a word for each reason."""
    with open(f"{TOP}/README.md", encoding="utf-8") as f:
        text = f.read()
    rows = re.findall(r"^\| `([a-z-]+)` \|", text, re.M)
    equal(sorted(rows), sorted(words("espsync_event")), "events with a row")
    named = re.search(r"names reasons: `([a-z -]+)`", text)[1].split()
    equal(named, words("espsync_reason"), "reasons that README names, in the header's order")


def setup():
    module()
    c = Grouped()
    c.reasons, c.events = set(), {}
    return c


main([readme_names_them, before_there_is_anything, a_peer_that_joins, both_groups, a_standby_that_is_out, a_peer_begins_anew, a_missing_sa, an_sa_without_a_window,
      another_key, options_and_definitions, ceilings, the_guard_refuses, promoted_out_of_sync, every_event_was_told, rates_by_group,
      lag_histograms, tracepoints, a_dump_survives_change, the_helpers_reports, what_a_peer_says, every_word_was_seen], setup)
