#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: wrong key, forged, replayed, cut, unknown version, a flood: nothing changes and each is counted; 0/0 policies do not swallow the channel
# WHERE: uml qemu
"""
channel-hostile - the channel trusts nobody (design, I6).

Job: somebody on the sync network records everything and sends what he likes from any address. First it is shown that he could do harm:
with the cluster key his datagrams, made by channelwire and not by the module, are believed. Without it he may not change anything
that `show` shows, cause an event, or end the session that is seen on the wire, and every datagram must be counted with its reason.
"""
import json
import os
import struct
import subprocess
import time

import channelwire as cw
from channelnet import (ADDR, ADDR6, GATEWAYS, KEY, NODE, VIP, Evil, Tape, connect, in_sync, make_channel, make_network, show, state, tool)
from channelnet import drops as count_drops
from esptest import check, defer, main, module, note, seeded, sh, spawn, until

OTHER = "b8" * 32
ESPSYNC_ROLE_ACTIVE, ES_GROUP_IN, ES_GROUP_LEAVE = 2, 0x01, 0x08

keys = cw.Keys(bytes.fromhex(KEY))


class Kept(Tape):
    """All of it."""

    def __init__(self, ns):
        super().__init__(ns)
        self.all = []

    def read(self):
        new = super().read()
        self.all += new
        return new

    def now(self):
        """For wait(): what comes after this moment."""
        self.read()
        return len(self.all)

    def wait(self, want, src, dst, since=None, such=lambda _: True):
        """The first datagram of a kind between two, from now on or since an earlier moment."""
        since = self.now() if since is None else since

        def look():
            self.read()
            return [d for one, two, d in self.all[since:] if (one, two) == (src, dst) and cw.kind(d) == want and such(d)]
        return until(look, 5, f"a datagram of kind {want} from {src} to {dst}", step=0.01)[0]

    def kept(self, want, src, dst):
        self.read()
        return [d for one, two, d in self.all if (one, two) == (src, dst) and cw.kind(d) == want]


# ---- what may not change ----

class Drops:
    """What gw2 counts from now on. To ask it takes long where memory is checked, so each answer serves twice."""

    def __init__(self):
        self.before = count_drops()

    def rise(self):
        now = count_drops()
        self.found = {r: n - self.before[r] for r, n in now.items() if n != self.before[r]}
        return self.found

    def expect(self, reason, n):
        """n more of this reason, and none of another; but HELLOs of gw1 may come too soon after one of ours."""
        try:
            until(lambda: self.rise().get(reason, 0) >= n, 10)
        finally:
            check({**self.found, "rate": 0} == {reason: n, "rate": 0}, f"counted as {n} of {reason}: {self.found}")
        for r, n in self.found.items():
            self.before[r] += n


class Quiet:
    """From strangers to flood neither gateway may change, tell an event, or leave its session. That a peer is not heard for a
    moment is not counted: on a slow machine that needs no attack, and what matters is that all is as it was afterwards."""

    def __init__(self, tape):
        self.tape = tape
        until(in_sync, 15, "gw1 and gw2 are in sync")
        self.id, self.state = self.session(), state()
        self.events = [spawn(["espsync", "-n", ns, "-j", "monitor"], stdout=subprocess.PIPE, text=True) for ns in GATEWAYS]

    def session(self):
        return self.tape.wait(cw.DATA, "gw1", "gw2")[16:20]

    def judge(self):
        told = []
        for p in self.events:
            p.terminate()
            told += [json.loads(line) for line in p.communicate(timeout=10)[0].splitlines()]
        told = [event for event in told if event["event"] != "peer"]
        check(not told, f"no event: {told}")
        until(in_sync, 15, "gw1 and gw2 are in sync")
        now = state()
        check(now == self.state, f"nothing changed: {now} was {self.state}")
        check(self.session() == self.id, "the session on the wire is the same")


# ---- cases ----

def true_session(tape):
    """The session on the wire as gw1 and as gw2 knows it, which only who has the key can tell."""
    current = tape.wait(cw.DATA, "gw1", "gw2")[16:20]
    for src, dst in (("gw1", "gw2"), ("gw2", "gw1")):
        for datagram in tape.kept(cw.HELLO, src, dst):
            _, mine, yours, flags = cw.open_hello(keys, datagram)
            views = {src: cw.Session(keys, NODE[src], NODE[dst], mine, yours), dst: cw.Session(keys, NODE[dst], NODE[src], yours, mine)}
            if not flags & cw.REPLY and views[src].id == current:
                return views
    raise AssertionError("no HELLO on tape makes the session that is on the wire")


def sealed(c):
    """What a packet socket on gw2 sees is sealed, both ways, and opens with keys derived by other code: nothing is opened in place there."""
    views = true_session(c.tape)
    for src, dst in (("gw1", "gw2"), ("gw2", "gw1")):
        def of_session(src=src, dst=dst):
            return [d for d in c.tape.kept(cw.DATA, src, dst) if d[16:20] == views[src].id]
        until(lambda: len(of_session()) > 10, 15, "ten datagrams of the session")
        check(all(cw.open_data(views[dst], d) for d in of_session()[-50:]), f"every DATA of {src} opens")
        check(not any(cw.open_data(views[src], d) for d in of_session()[-5:]), "each direction has its own key")


def peer_three(field):
    return next(p for p in show("gw2", "peers") if p["node"] == 3)[field]


def nonces(c):
    """Node 3's and gw2's, of the first HELLO and its answer."""
    a, start = os.urandom(16), c.tape.now()
    c.evil.send(cw.hello(keys, 3, 2, a), "evil")
    return a, cw.open_hello(keys, c.tape.wait(cw.HELLO, "gw2", "evil", start, lambda d: cw.open_hello(keys, d)[2] == a))[1]


def insider(c):
    """With the key this test's datagrams are believed: handshake, DATA, window, versions. So what follows could fail."""
    tool("gw2", "peer", "add", "3", ADDR["evil"])
    drops, start = Drops(), c.tape.now()
    a, b = nonces(c)
    c.evil.send(cw.hello(keys, 3, 2, os.urandom(16), a, b, versions=(2, 3)), "evil")
    drops.expect("version", 1)
    c.evil.send(cw.hello(keys, 3, 2, os.urandom(16), a, b), "evil")
    session = cw.Session(keys, 3, 2, a, b)
    check(cw.open_data(session, c.tape.wait(cw.DATA, "gw2", "evil", start)), "gw2's first DATA opens")
    heard = int(peer_three("rx_bytes"))
    for good, bad in (((1,), (1,)), ((2000, 977), (976, 977)), ((1999,), (2000, 1999))):
        for seq in good:
            datagram = cw.data(keys, session, 3, 2, seq, bytes(64))
            heard += len(datagram)
            c.evil.send(datagram, "evil")
        until(lambda: int(peer_three("rx_bytes")) >= heard, 10, f"gw2 believes {good}")
        for seq in bad:
            c.evil.send(cw.data(keys, session, 3, 2, seq, bytes(64)), "evil")
        drops.expect("replay", len(bad))
    c.evil.send(flipped(cw.data(keys, session, 3, 2, 3000, bytes(64)), 60), "evil")
    drops.expect("auth", 1)
    check(int(peer_three("rx_bytes")) == heard, "gw2 believes nothing else")
    tool("gw2", "peer", "del", "3")


def flipped(datagram, at):
    return datagram[:at] + bytes((datagram[at] ^ 1,)) + datagram[at + 1:]


def strangers(c):
    """Who has no key: another key, another key under the true key's name, other nodes, other addresses."""
    wrong, liar = cw.Keys(bytes.fromhex(OTHER)), cw.Keys(bytes.fromhex(OTHER), pretend=keys.id)
    session, live = (cw.Session(liar, 1, 2, os.urandom(16), os.urandom(16)) for _ in range(2))
    c.quiet = Quiet(c.tape)
    live.id = c.quiet.id
    later, drops = range(1 << 40, (1 << 40) + 5), Drops()
    for reason, datagrams in (
            ("key-id", [cw.hello(wrong, 1, 2, os.urandom(16)) for _ in later] + [cw.data(wrong, live, 1, 2, n, bytes(64)) for n in later]),
            ("auth", [cw.hello(liar, 1, 2, os.urandom(16)) for _ in later] + [cw.data(liar, live, 1, 2, n, bytes(64)) for n in later]),
            ("replay", [cw.data(liar, session, 1, 2, n, bytes(64)) for n in later]),	# of a session that gw2 does not have
            ("unknown-peer", [cw.hello(keys, 9, 2, os.urandom(16)), cw.hello(keys, 1, 9, os.urandom(16)),
                              c.tape.wait(cw.DATA, "gw2", "gw1")])):	# the last: its own, sent back
        for datagram in datagrams:
            c.evil.send(datagram)
        drops.expect(reason, len(datagrams))
    c.evil.send(cw.hello(keys, 1, 2, os.urandom(16)), "evil")
    drops.expect("unknown-peer", 1)


def forged(c):
    """A true datagram, changed, cut, made longer, of another version."""
    drops = Drops()
    for true in (c.tape.wait(cw.DATA, "gw1", "gw2"), c.tape.kept(cw.HELLO, "gw1", "gw2")[0]):
        at = cw.DATA_HEAD if cw.kind(true) == cw.DATA else 40
        selfmade = true[:4] + struct.pack(">H", 60) + true[6:60]	# cut, and says so
        cuts = [true[:n] for n in range(len(true))] + [true + b"\0", selfmade]
        for reason, datagrams in (
                ("auth", [flipped(true, n) for n in (6, at - 24, at - 1, at, at + 9, len(true) - 16, len(true) - 1)]),
                ("version", [flipped(true, 0), true[:1] + b"\x07" + true[2:]]),
                ("key-id", [flipped(true, n) for n in range(8, 16)]),
                ("unknown-peer", [flipped(true, 3)]),
                ("truncated", cuts[0::2]), ("truncated", cuts[1::2])):
            for datagram in datagrams:
                c.evil.send(datagram)
            drops.expect(reason, len(datagrams))


def replayed(c):
    """DATA and HELLOs of this session, as recorded; and of HELLOs also those of both nodes to the other."""
    drops, datagrams = Drops(), c.tape.kept(cw.DATA, "gw1", "gw2")[-100:]
    for datagram in datagrams:
        c.evil.send(datagram)
    drops.expect("replay", len(datagrams))
    for src, dst in (("gw1", "gw2"), ("gw2", "gw1")):
        for datagram in c.tape.kept(cw.HELLO, src, dst)[:20]:
            c.evil.send(datagram, src, dst)
            time.sleep(0.06)	# they answer one in 50 ms
    check(not set(drops.rise()) - {"replay", "rate"}, f"counted as replay or rate: {drops.found}")


def noise(c):
    """Random bytes, alone and behind a true head. Each is counted."""
    rng, true = seeded(), c.tape.wait(cw.DATA, "gw1", "gw2")
    for _ in range(5):
        drops = Drops()
        for i in range(100):
            body = rng.randbytes(rng.randrange(1400))
            c.evil.send(true[:rng.randrange(53)] + body if i % 2 else body)
        until(lambda: sum(drops.rise().values()) >= 100, 10, "all noise is counted")


def udp_arrived():
    lines = [line.split() for line in sh("cat /proc/thread-self/net/snmp", ns="gw2").splitlines() if line.startswith("Udp:")]
    return int(dict(zip(*lines))["InDatagrams"])


def flood(c):
    """As many HELLOs as go out, true but old, forged, and large garbage: DATA of gw1 comes through, the queue is bounded, each is counted."""
    old = c.tape.kept(cw.HELLO, "gw1", "gw2")[0]
    load = [old] * 20 + [flipped(old, 50)] * 20 + [os.urandom(1400)] * 5
    heard, drops, came, sent, most = int(show("gw2", "peers")[0]["rx_bytes"]), Drops(), udp_arrived(), 0, 0
    since, start = c.tape.now(), time.monotonic()
    for second in range(1, 4):
        while time.monotonic() < start + second:
            for datagram in load:
                c.evil.send(datagram)
            sent += len(load)
        most = max(most, show("gw2", "stats")["rx_queue"])
    until(lambda: show("gw2", "stats")["rx_queue"] == 0, 10, "the queue is empty")
    counted, came, took = drops.rise(), udp_arrived() - came, time.monotonic() - start
    heard = int(show("gw2", "peers")[0]["rx_bytes"]) - heard
    c.tape.read()
    answers = sum(one == "gw2" and cw.kind(d) == cw.HELLO for one, _, d in c.tape.all[since:])
    note(f"{sent} sent, {came} arrived, counted {counted}, longest queue seen {most}, {answers} answers, {heard} bytes of gw1 believed")
    check(most <= 1024, f"at most 1024 datagrams wait: {most}")
    check(answers <= took * 1000 / 50 + 2, f"at most 20 answers a second: {answers} in {took:.1f} s")
    check(heard > 1000, f"DATA of gw1 comes through: {heard} bytes")
    # What gw1 itself sent came in between, and it does not send more than so often.
    check(sum(counted.values()) >= came - answers - 300 * took, f"all are counted: {counted}")
    check(counted.get("auth") and counted.get("rate"), f"forged and too many are counted: {counted}")


def nothing_of_it_changed_anything(c):
    c.quiet.judge()


def restart(c):
    """gw2 begins anew: what was recorded before makes no session and says nothing."""
    c.tape.read()
    recorded = [d for one, two, d in c.tape.all if (one, two) == ("gw1", "gw2")]
    datagrams = [d for d in recorded if cw.kind(d) == cw.DATA][-200:]
    check(len(datagrams) == 200, "enough was recorded")
    tool("gw2", "channel", "del")
    make_channel("gw2", ADDR)
    tool("gw2", "demote")
    quiet, drops = Quiet(c.tape), Drops()
    for datagram in [d for d in recorded if cw.kind(d) == cw.HELLO][:20] + datagrams:
        c.evil.send(datagram)
    until(lambda: drops.rise().get("replay", 0) >= 200, 10, "all are counted")
    check(not set(drops.found) - {"replay", "rate"}, f"counted as replay or rate: {drops.found}")
    quiet.judge()


def says_as_owner(flags, echo, evict_ms=60000, epoch=1 << 40):
    """What node 3 says of group 0, active: the head and the group of kmod/wire.c, without records."""
    head = struct.pack(">QQIQQBB", 1, echo, 0, 0, 0, 1, 1)
    return head + struct.pack(">HBBBQIII", 0, ESPSYNC_ROLE_ACTIVE, flags, 3, epoch, 0, 0, evict_ms)


def older_news_does_not_undo_leaving(c):
    """An owner says that a standby is in, then that it goes away; what it had said before arrives last."""
    for ns in GATEWAYS:
        tool(ns, "channel", "del")
    connect(ADDR)
    tool("gw2", "peer", "add", "3", ADDR["evil"])
    start = c.tape.now()
    a, b = nonces(c)
    c.evil.send(cw.hello(keys, 3, 2, os.urandom(16), a, b), "evil")
    session = cw.Session(keys, 3, 2, a, b)
    c.tape.wait(cw.DATA, "gw2", "evil", start, lambda d: cw.open_data(session, d))

    def says(seq, flags):
        before = int(peer_three("rx_bytes"))
        c.evil.send(cw.data(keys, session, 3, 2, seq, says_as_owner(flags, echo)), "evil")
        until(lambda: int(peer_three("rx_bytes")) > before, 10, f"gw2 hears datagram {seq}")
        return show("gw2", "groups")[0]["in"]

    echo, = struct.unpack_from(">Q", cw.open_data(session, c.tape.wait(cw.DATA, "gw2", "evil")))
    check(says(10, ES_GROUP_IN), "in, for its owner says so")
    check(not says(12, ES_GROUP_LEAVE), "not in any more, for it goes away")
    check(not says(11, ES_GROUP_IN), "not in again by what was said before that")
    tool("gw2", "peer", "del", "3")


def refuse_all(any_addr, template, addrs):
    """Everything goes into a tunnel that has no SA, but for the channel."""
    for ns in GATEWAYS:
        tool(ns, "channel", "del")
        sh(["ip", "-n", ns, "-batch", "-"], stdin="".join(
            f"xfrm policy add src {any_addr} dst {any_addr} dir {way} priority 1 tmpl {template} proto esp mode tunnel\n"
            for way in ("out", "in", "fwd")))
    try:
        check(sh(f"ping -c 1 -W 1 {addrs['gw2']}", ns="gw1", ok=None).status, "the policies let no echo through")
        connect(addrs)
    finally:
        for ns in GATEWAYS:
            sh(["ip", "-n", ns, "-batch", "-"], stdin="".join(
                f"xfrm policy delete src {any_addr} dst {any_addr} dir {way}\n" for way in ("out", "in", "fwd")))


def under_ipv4_policies(_):
    refuse_all("0.0.0.0/0", f"src {VIP} dst 192.0.2.200", ADDR)


def over_ipv6_under_policies(_):
    refuse_all("::/0", "src fd00::1 dst fd00::2", ADDR6)


class Context:
    def __init__(self):
        module()
        ns = make_network()
        self.tape, self.evil, self.quiet = Kept(ns), Evil(ns), None
        for end in (self.tape, self.evil):
            defer(end.sock.close)
        connect(ADDR)


main([sealed, insider, strangers, forged, replayed, noise, flood, nothing_of_it_changed_anything, restart, under_ipv4_policies,
      over_ipv6_under_policies, older_news_does_not_undo_leaving], Context)
