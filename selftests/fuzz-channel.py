#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: mutated datagrams on a live channel, by a stranger and by somebody with the key: numbers never fall, each is counted, the channel works
# WHERE: uml qemu
# SETS: timeout=1200 named
"""
fuzz-channel - the live channel against whoever sends on its network.

Job: two gateways in sync, and a third end on their wire that sends from any address. For FUZZ_S seconds (default 60), half of them as a stranger:
datagrams that were on the wire, changed, cut, lengthened, joined, with true heads before noise. Nothing that `show` shows may change but the
counts of what was dropped, and those account for each. The other half as node 3, which has the key, made a session, and sends
content: groups and records as the format has them, with any values, and changed. He may say what he wants about what he owns; he may lower no
number of an SA, and un-see none. Afterwards he is forgotten, and the two make their channel anew and come in sync.

SEED repeats what is sent, not when.
"""
import os
import socket
import struct
import time

import channelwire as cw
from channelnet import ADDR, CLIENT, GATEWAYS, KEY, VIP, Evil, Tape, anew, drops, in_sync, make_network, show, state, tool
from esptest import check, defer, main, module, note, seeded, sh, until
from esptest.system import unload
from esptest.xfrm import states

SECONDS = float(os.environ.get("FUZZ_S") or 60)
ROUND = 50
SPIS = (0x1000, 0x1001)
NAMED, OUT, IN, GONE, SYNCED, UNKNOWN = range(1, 7)

keys = cw.Keys(bytes.fromhex(KEY))


def dropped():
    return sum(drops().values())


def answer(tape, want, such):
    """A datagram of gw2 to evil, from now on."""
    def look():
        return [d for src, dst, d in tape.read() if (src, dst) == ("gw2", "evil") and cw.kind(d) == want and such(d)]
    return until(look, 10, f"a datagram of kind {want} from gw2 to evil", step=0.01)[0]


# ---- what is judged ----

def seen(s):
    """Numbers below the edge that the kernel would refuse."""
    size = 32 * len(s["bitmap"])
    at = (s["seq"] - 1) % size if size > 32 else None
    return {s["seq"] - i for i in range(min(s["window"], s["seq"])) if at is not None and s["bitmap"][(at - i) % size // 32] >> (at - i) % size % 32 & 1}


def numbers(c):
    return {(ns, s["spi"]): (s["oseq"], s["seq"], s["window"], seen(s)) for ns in GATEWAYS for s in states(c.ns[ns]) if s["spi"] in SPIS}


def never_back(before, now):
    for key, (oseq, seq, window, had) in before.items():
        check(key in now, f"{key} is there")
        check(now[key][0] >= oseq and now[key][1] >= seq, f"no number falls: {key} {now[key][:2]} was {(oseq, seq)}")
        lost = {n for n in had if n > now[key][1] - window} - now[key][3]
        check(not lost, f"no number becomes unseen: {key} {lost}")


# ---- a stranger ----

def strange(rng, taped):
    """A datagram that nobody with the key has made."""
    true = rng.choice(taped)
    way = rng.randrange(7)
    if way == 0:
        return true[:rng.randrange(len(true))]
    if way == 1:
        return true + rng.randbytes(rng.randrange(1, 400))
    if way == 2:
        return true[:rng.randrange(53)] + rng.randbytes(rng.randrange(1, 1400))
    if way == 3:
        body = rng.randbytes(rng.randrange(1, 1400))
        return true[:4] + struct.pack(">H", 16 + len(body)) + true[6:16] + body
    if way == 4:
        return rng.randbytes(rng.randrange(1, 1400))
    if way == 5:
        other = rng.choice(taped)
        at = rng.randrange(16, min(len(true), len(other)))
        return true[:at] + other[at:] if other[at:] != true[at:] else true[:at]
    spoilt = bytearray(true)
    for _ in range(rng.randrange(1, 4)):
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt) if bytes(spoilt) != true else true[:-1]


def a_stranger(c):
    until(in_sync, 30, "gw1 and gw2 are in sync")
    before, count, sent, end = state(), dropped(), 0, time.monotonic() + SECONDS / 2
    c.tape.read()
    tape = until(lambda: [d for src, _, d in c.tape.read() if src == "gw1"], 10, "something of gw1's is on the wire")
    while time.monotonic() < end:
        tape = ([d for src, _, d in c.tape.read() if src == "gw1"] + tape)[:200]
        for _ in range(ROUND):
            c.evil.send(strange(c.rng, tape))
        sent += ROUND
        until(lambda: dropped() - count >= sent, 20, f"{sent} datagrams are counted ({dropped() - count} are)")
    note(f"{sent} sent, {dropped() - count} counted")
    until(in_sync, 30, "gw1 and gw2 are in sync")
    now = state()
    check(now == before, f"nothing changed: {now} was {before}")


# ---- one with the key ----

def u(rng, bits):
    return rng.choice((0, 1, 2, rng.randrange(1 << bits), rng.randrange(1 << bits // 2), (1 << bits) - 1))


def group(rng):
    return struct.pack(">HBBBQIII", rng.choice((0, 0, 0, 1, 65535)), rng.randrange(5), rng.randrange(64), u(rng, 8),
                       rng.choice((0, 1, u(rng, 64), int(time.time()))), u(rng, 32), u(rng, 32), u(rng, 32))


def record(rng, fingerprints):
    kind, handle = rng.choice((NAMED, NAMED, OUT, OUT, IN, IN, GONE, SYNCED, UNKNOWN, 0, 7, 255)), rng.choice((1, 2, 3, u(rng, 32)))
    head = struct.pack(">BI", kind, handle)
    if kind == NAMED:
        spi, fp = rng.choice((*zip(SPIS, fingerprints), (SPIS[0], rng.randbytes(8)), (u(rng, 32), rng.randbytes(8))))
        return head + struct.pack(">BBBBHI", rng.randrange(2), rng.choice((50, 50, 50, 51)), rng.randrange(4), rng.choice((2, 2, 10, 0)), 0, spi) + \
            socket.inet_aton(rng.choice((VIP, CLIENT))) + bytes(12) + fp
    if kind == OUT:
        return head + struct.pack(">BQIQQ", rng.randrange(3), rng.choice((u(rng, 64), u(rng, 33), rng.randrange(1 << 20))), u(rng, 32), u(rng, 64), u(rng, 64))
    if kind > UNKNOWN:	# of a newer version: its length, mostly
        body = rng.randbytes(rng.randrange(60))
        return struct.pack(">BH", kind, len(body) if rng.randrange(8) else u(rng, 16)) + body
    if kind == IN:
        bits = rng.choice((0, 1, 31, 32, 33, 64, 4096, 4097, 65535))
        words = (bits + 31) // 32 if not rng.randrange(4) == 0 else rng.randrange(140)
        return head + struct.pack(">QQQH", u(rng, 64), u(rng, 64), rng.choice((u(rng, 64), u(rng, 20), rng.randrange(200))), bits) + \
            rng.randbytes(4 * min(words, 200))
    return head


def content(rng, fingerprints):
    groups = [group(rng) for _ in range(rng.choice((0, 1, 1, 1, 2, 64)))]
    n = len(groups) if rng.randrange(20) else u(rng, 8)
    more, longer = (rng.randrange(5) if rng.randrange(3) == 0 else 0 for _ in range(2))	# as a newer version's
    head = struct.pack(">QQIQQBBBB", u(rng, 64), u(rng, 64), u(rng, 32), u(rng, 64), u(rng, 64), u(rng, 8), n, more, longer) + rng.randbytes(more)
    body = head + b"".join(g + rng.randbytes(longer) for g in groups) + b"".join(record(rng, fingerprints) for _ in range(rng.randrange(12)))
    if rng.randrange(10) == 0:
        body = body[:rng.randrange(len(body) + 1)]
    if rng.randrange(10) == 0:
        body += rng.randbytes(rng.randrange(60))
    return body[:1300]


class Insider:
    """Node 3 at gw2, in a session."""

    def __init__(self, c):
        self.tape, self.evil, self.rng, self.seq = c.tape, c.evil, c.rng, 0
        self.connect()

    def connect(self):
        self.tape.read()
        a = os.urandom(16)
        self.evil.send(cw.hello(keys, 3, 2, a), "evil")
        hello = answer(self.tape, cw.HELLO, lambda d: cw.open_hello(keys, d)[2] == a)
        b = cw.open_hello(keys, hello)[1]
        self.evil.send(cw.hello(keys, 3, 2, os.urandom(16), a, b, boot=self.rng.randrange(1 << 64)), "evil")
        self.session, self.seq = cw.Session(keys, 3, 2, a, b), 0

    def say(self, payload):
        self.seq += 1
        self.evil.send(cw.data(keys, self.session, 3, 2, self.seq, payload), "evil")


def three():
    return next((p for p in show("gw2", "peers") if p["node"] == 3), None)


def one_with_the_key(c):
    tool("gw2", "peer", "add", "3", ADDR["evil"])
    fingerprints = [bytes.fromhex(next(sa["fingerprint"] for sa in show("gw2", "sas") if int(sa["spi"], 0) == spi)) for spi in SPIS]
    insider, before, said, heard, end = Insider(c), numbers(c), 0, 0, time.monotonic() + SECONDS / 2
    while time.monotonic() < end:
        for _ in range(ROUND):
            insider.say(content(c.rng, fingerprints))
        said += ROUND
        if c.rng.randrange(4) == 0:
            tool(c.rng.choice(GATEWAYS), c.rng.choice(("promote", "demote")), ok=None)
        now = numbers(c)
        never_back(before, now)
        before, heard = now, max(heard, int(three()["rx_bytes"]))
        if c.rng.randrange(4) == 0:
            time.sleep(0.06)	# one answer in 50 ms
            insider.connect()
    never_back(before, numbers(c))
    note(f"{said} said; gw2 believed {heard} bytes, dropped {three()['dropped']}; {show('gw2', 'stats')}")
    check(heard > 0, "what he says is believed, else nothing was tried")
    tool("gw2", "peer", "del", "3")


def the_channel_works(_):
    """With the module loaded anew: the epochs that he claimed are higher than any that is left."""
    for ns in GATEWAYS:
        tool(ns, "channel", "del", "--release", ok=None)
    unload()
    sh(["modprobe", "espsync"])
    anew()
    check(tool("gw1", "demote", "timeout", "5000").strip() == "flushed", "demote is flushed")
    tool("gw1", "promote")
    until(in_sync, 30, "gw1 and gw2 are in sync")


class Context:
    def __init__(self):
        module()
        self.rng, self.ns = seeded(), make_network()
        self.tape, self.evil = Tape(self.ns), Evil(self.ns)
        defer(self.tape.sock.close)
        defer(self.evil.sock.close)
        anew()


main([a_stranger, one_with_the_key, the_channel_works], Context)
