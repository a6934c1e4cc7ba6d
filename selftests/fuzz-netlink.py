#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: every command of the family with random and mutated attributes, as root and as nobody
# WHERE: uml qemu
# SETS: timeout=1200 named
"""
fuzz-netlink - the genetlink family against whoever may open a socket.

Job: for FUZZ_S seconds (default 60; half as root, a quarter without a channel, a quarter as nobody) requests are sent whose attributes are
of the right type with likely values, or are then changed: cut, lengthened, doubled, moved, nested anew, filled with noise. The kernel's log is
the harness's to judge, and so are leaks. Here:
 - what comes back is well formed, and a refusal of a command that exists says a sentence;
 - root can raise numbers of an SA (`sa put`) and never lower one;
 - nobody gets neither an answer nor an effect;
 - afterwards the channel can be made anew, comes in sync and is flushed.

SEED repeats a run, for as long as what the other node says comes at the same moments.
"""
import collections
import errno
import json
import os
import socket
import struct
import time

import genlwire as gw
from channelnet import ADDR, CLIENT, GATEWAYS, KEY, VIP, anew, in_sync, make_channel, show, tool
from esptest import Ns, Tunnel, check, main, module, note, seeded, until, veth
from esptest.xfrm import states

SECONDS = float(os.environ.get("FUZZ_S") or 60)
NOBODY = 65534
SPIS = (0x1000, 0x1001, 0x2000, 0x2001)
ROUND = 400	# requests between two looks

header = gw.Header()
# What a command's nest is; the others take the one that they are called by.
NESTS = {"PROMOTE": "group", "DEMOTE": "group", "RESYNC": "peer", "READY": "group", "STATS": "stats", "EVENT": "event"}
DUMPS = ("PEER_GET", "GROUP_GET", "SA_GET", "READY")
# Numbers that may be long waits.
SHORT = {"GROUP_TIMEOUT_MS": (0, 1, 20, 60001, 1 << 31), "CHANNEL_DEAD_MS": (10, 300, 0, 9, 60001), "CHANNEL_TICK_US": (100, 1000, 99, 1000001),
         "CHANNEL_DETECT_MS": (10, 1000, 9, 60001), "CHANNEL_EVICT_MS": (2001, 5000, 600000, 600001, 0, 0xffffffff)}


class Maker:
    """Requests, from a generator of random numbers."""

    def __init__(self, rng, family, fingerprints):
        self.rng, self.family, self.fingerprints = rng, family, fingerprints

    def one_in(self, n):
        return self.rng.randrange(n) == 0

    def noise(self, most=40):
        return self.rng.randbytes(self.rng.randrange(most))

    def number(self, bits, name):
        known = {"CHANNEL_NODE": (1, 2, 0, 255), "PEER_NODE": (1, 2, 3, 0, 255), "GROUP_ID": (0, 0, 0, 1), "SA_PROTO": (50, 50, 50, 51),
                 "KEY_NUMBER": (0, 1, 2, 3), "SA_OSEQ": (5000, 1 << 31, 1 << 33), "SA_SEQ": (70, 5000, 1 << 33)}
        some = known.get(name) or SHORT.get(name)
        if some and not self.one_in(8 if name in known else 1 << 30):
            return self.rng.choice(some)
        return self.rng.choice((0, 1, 2, self.rng.randrange(1 << bits), (1 << bits) - 1, 1 << (bits - 1)))

    def address(self):
        some = [*(ADDR[n] for n in GATEWAYS), VIP, CLIENT, "fd99::1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "ff02::1"]
        text = self.rng.choice(some)
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)

    def binary(self, name, said):
        if "4|16" in said:
            return self.address()
        if name.endswith(("_KEY", "_SECRET")):
            return bytes.fromhex(KEY) if self.one_in(2) else self.rng.randbytes(32)
        if name == "SA_FINGERPRINT":
            return self.rng.choice(self.fingerprints) if not self.one_in(4) else self.rng.randbytes(8)
        return self.rng.randbytes(self.rng.choice((0, 1, 4, 8, 64, 511, 512, 513)))

    def value(self, name, said, depth=0):
        """Of the type that the header says."""
        if name.endswith("_SPI"):
            return struct.pack("!I", self.rng.choice((*SPIS, 0, 0xffffffff)))
        if name.endswith("_PORT"):
            return struct.pack("!H", self.rng.choice((4520, 4520, 4521, 0, 65535)))
        kind = said.split()[0].rstrip(":,") if said else ""
        if kind in ("u8", "u16", "u32", "u64", "s64"):
            bits = int(kind[1:])
            return struct.pack({8: "=B", 16: "=H", 32: "=I", 64: "=Q"}[bits], self.number(bits, name) % (1 << bits))
        if kind == "string":
            return self.rng.choice((b"lo", b"s0", b"", b"no-such-dev", self.rng.randbytes(200).replace(b"\0", b""))) + b"\0"
        if kind == "flag":
            return b""
        if kind == "nest" and depth < 3:
            inside = "addr" if name == "GROUP_ADDRS" else "drop" if "DROPPED" in name else "hist" if "LAG" in name else ""
            return self.nest(inside, depth + 1) if inside else self.noise()
        return self.binary(name, said)

    def attributes(self, attrs, depth):
        many = self.rng.choice((0, 1, 2, 2, 3, 3, 4, 6, len(attrs)))
        return [(n, self.value(*attrs[n], depth)) for n in self.rng.choices(list(attrs), k=many)] if attrs else []

    def nest(self, name, depth=1):
        if name == "addr":
            return b"".join(gw.attr(1, self.address()) for _ in range(self.rng.choice((0, 1, 2, 64, 65))))
        return b"".join(self.changed(n, v) for n, v in self.attributes(header.sets[name], depth))

    def wished(self, command, name):
        """A nest that a command may well take: what names its object is there."""
        must = {"sa": ("SA_DST", "SA_SPI", "SA_FINGERPRINT"), "peer": ("PEER_NODE", "PEER_ADDR"), "channel": (), "group": ("GROUP_ID",),
                "key": ("KEY_NUMBER", "KEY_SECRET")}.get(name, ())
        values = {"SA_DST": socket.inet_aton(self.rng.choice((VIP, CLIENT))), "PEER_ADDR": socket.inet_aton(ADDR["gw2"])}
        first = b""
        for want in must:
            n = header.number(want)
            first += gw.attr(n, values.get(want) or self.value(*header.sets[name][n]))
        if command == "DEMOTE":
            first += gw.attr(header.number("GROUP_TIMEOUT_MS"), struct.pack("=I", 20))
        return first + (self.nest(name) if name in header.sets else b"")

    def changed(self, number, value):
        """An attribute, one in six not as it should be."""
        if not self.one_in(6):
            return gw.attr(number, value)
        way = self.rng.randrange(8)
        if way == 0:
            return gw.attr(number, value[:self.rng.randrange(len(value) + 1)])
        if way == 1:
            return gw.attr(number, value + self.noise())
        if way == 2:
            return gw.attr(number | self.rng.choice((gw.NESTED, gw.NET_BYTEORDER)), value)
        if way == 3:
            return gw.attr(self.rng.choice((0, number + 1, 63, 0x3fff)), value)
        if way == 4:
            return gw.attr(number, value) * 2
        if way == 5:
            return struct.pack("=HH", self.rng.choice((0, 3, 4, 5, 0xffff, len(value) + 5)), number) + value
        if way == 6:
            for _ in range(self.rng.randrange(1, 40)):
                value = gw.attr(number, value)
            return gw.attr(number, value[:4000])
        return gw.attr(number, self.noise(len(value) + 8))

    def request(self):
        """(command, datagram)"""
        command = self.rng.choice(list(header.commands))
        own = NESTS.get(command) or NESTS.get(command.split("_")[0]) or command.split("_")[0].lower()
        name = own if not self.one_in(10) else self.rng.choice([s for s in header.sets if s])
        top = next((n for n, (called, _) in header.sets[""].items() if called == name.upper()), 1)
        attrs = self.changed(top | gw.NESTED, self.wished(command, name)) if not self.one_in(10) else b""
        if command == "READY" and self.one_in(2):
            attrs += gw.attr(header.number("LOCAL"))
        if self.one_in(20):
            attrs += self.noise(200)
        number = header.commands[command] if not self.one_in(40) else self.rng.choice((0, max(header.commands.values()) + 1, 255))
        # Deleting the channel ends what the others need: seldom.
        if command == "CHANNEL_DEL" and not self.one_in(8):
            number = header.commands["CHANNEL_GET"]
        flags = gw.DUMP if self.one_in(3) or (command in ("PEER_GET", "GROUP_GET", "READY") and not self.one_in(4)) else 0
        datagram = gw.message(self.family, number, attrs, flags, self.rng.randrange(1 << 32), self.rng.choice((1, 1, 1, 0, 2, 255)))
        return command, self.spoilt(datagram) if self.one_in(20) else datagram

    def spoilt(self, datagram):
        """The message itself."""
        way = self.rng.randrange(4)
        if way == 0:
            return datagram[:self.rng.randrange(len(datagram))]
        if way == 1:
            return struct.pack("=I", self.rng.choice((0, 15, 16, 19, 20, len(datagram) - 1, len(datagram) + 1, 0xffffffff))) + datagram[4:]
        if way == 2:
            return datagram + datagram
        spoilt = bytearray(datagram)
        for _ in range(self.rng.randrange(1, 5)):
            at = self.rng.randrange(16, len(spoilt))
            spoilt[at] ^= 1 << self.rng.randrange(8)
        return bytes(spoilt)


# ---- two gateways ----

def revive():
    """What a request has taken away from gw1's channel is given back."""
    good = ("channel set node 1 local " + ADDR["gw1"] + " port 4520 tick_us 1000 dead_ms 300 detect_ms 1000 evict_ms 5000",
            f"group set 0 addr {VIP} overrun stop evict default doubt jump", f"peer add 2 {ADDR['gw2']}", "promote")
    for line in good:
        tool("gw1", *line.split(), ok=None)
    if show("gw1")["channel"] is None or not show("gw1")["peers"]:
        tool("gw1", "channel", "del", ok=None)
        make_channel("gw1")


def numbers():
    """{spi: (number sent, number accepted)} of gw1's kernel."""
    return {s["spi"]: (s["oseq"], s["seq"]) for s in states(Context.ns["gw1"]) if s["spi"] in SPIS}


class Judge:
    """What came back, over a run."""

    def __init__(self):
        self.sent, self.errors, self.mute = 0, collections.Counter(), collections.Counter()

    @staticmethod
    def word(error):
        return errno.errorcode.get(error, str(error)) if error else "ok" if error == 0 else "none"

    def take(self, command, answer):
        self.sent += 1
        self.errors[self.word(answer.error)] += 1
        for error, text in answer.errors:
            if error and not text:
                self.mute[command, self.word(error)] += 1

    def say(self, who):
        note(f"{who}: {self.sent} requests: {dict(self.errors.most_common())}")
        note(f"refused without a sentence: {dict(self.mute)}")


def send_for(seconds, genl, maker, judge, each_round=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(ROUND):
            command, datagram = maker.request()
            answer = genl.ask(datagram)
            judge.take(command, answer)
            if time.monotonic() > end:
                break
        if each_round:
            each_round()


def inside(ns, fn, *args):
    return Context.ns[ns].call(fn, *args)


# ---- cases ----

def as_root(c):
    genl = inside("gw1", gw.Genl)
    judge, before = Judge(), numbers()

    def look():
        nonlocal before
        now = numbers()
        for spi, (oseq, seq) in before.items():
            check(spi in now and now[spi][0] >= oseq and now[spi][1] >= seq, f"no number falls: {now.get(spi)} was {(oseq, seq)}, SPI {spi:#x}")
        before = now
        revive()
    send_for(SECONDS / 2, genl, Maker(c.rng, genl.family, c.fingerprints), judge, look)
    judge.say("root")
    c.mute = judge.mute
    check(judge.errors["ok"] > judge.sent / 50, "a fair part is taken, else nothing was tried")


def refusals_say_a_sentence(c):
    """Of commands that exist; what netlink itself refuses before it looks at a command has none."""
    before = {errno.errorcode[n] for n in (errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM)}	# one number has two names
    second = {(dump, errno.errorcode[errno.EBUSY]) for dump in DUMPS}	# while the first one is still read
    known = {key: n for key, n in c.mute.items() if key[1] not in before and key not in second}
    check(not known, f"each refusal says a sentence: {known}")


def the_channel_works(_):
    anew(len(SPIS))
    check(tool("gw1", "demote", "timeout", "5000").strip() == "flushed", "demote is flushed")
    tool("gw1", "promote")
    until(lambda: in_sync(len(SPIS)), 30, "gw1 and gw2 are in sync")


def without_a_channel(c):
    genl = inside("idle", gw.Genl)
    judge = Judge()
    send_for(SECONDS / 4, genl, Maker(c.rng, genl.family, c.fingerprints), judge)
    judge.say("no channel")
    tool("idle", "channel", "del", "--release", ok=None)


def drop_to_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def nobodys_child(c, genl, pipe):
    """In the child. A socket keeps the rights of whoever opened it, so it opens its own."""
    drop_to_nobody()
    genl = gw.Genl()
    judge, got = Judge(), []
    end = time.monotonic() + SECONDS / 4
    maker = Maker(c.rng, genl.family, c.fingerprints)
    while time.monotonic() < end:
        command, datagram = maker.request()
        answer = genl.ask(datagram)
        judge.take(command, answer)
        if answer.messages or any(error == 0 for error, _ in answer.errors):
            got.append((command, answer.error, datagram.hex()))
    for group in genl.groups:
        try:
            genl.sock.setsockopt(gw.SOL_NETLINK, gw.ADD_MEMBERSHIP, group)
            got.append(("membership", group, ""))
        except PermissionError:
            pass
    os.write(pipe, json.dumps([judge.sent, dict(judge.errors), got[:5]]).encode())


def settled():
    one = show("gw1")
    return one["channel"] and {k: one["channel"][k] for k in ("node", "local", "key_id")}, [p["addr"] for p in one["peers"]], \
        [(g["role"], g["epoch"], g["addrs"]) for g in one["groups"]], numbers()


def as_nobody(c):
    before = settled()
    read, write = os.pipe()

    def fork():
        pid = os.fork()
        if not pid:
            try:
                nobodys_child(c, None, write)
            except BaseException as e:
                os.write(write, json.dumps([0, {}, [["died", repr(e), ""]]]).encode())
            os._exit(0)
        return pid
    pid = inside("gw1", fork)
    os.close(write)
    with os.fdopen(read) as f:
        sent, errors, got = json.loads(f.read())
    os.waitpid(pid, 0)
    note(f"nobody: {sent} requests: {errors}")
    check(sent and not got, f"nobody gets nothing: {got}")
    check(settled() == before, f"nobody changes nothing: {settled()} was {before}")


class Context:
    ns = {}

    def __init__(self):
        module()
        self.rng, self.mute = seeded(), {}
        ns = Context.ns = {name: Ns(name) for name in (*GATEWAYS, "idle")}
        veth(ns["gw1"], "s0", ns["gw2"], "s0")
        for name in GATEWAYS:
            ns[name].address("s0", ADDR[name] + "/24")
            ns[name].address("lo", VIP + "/32")
            Tunnel(CLIENT, VIP, spi=SPIS[0], esn=True, window=64).install(ns[name])
            Tunnel(CLIENT, VIP, ("10.2.0.2/32", "10.1.0.0/24"), spi=SPIS[2], window=32).install(ns[name])
        anew(len(SPIS))
        self.fingerprints = [bytes.fromhex(sa["fingerprint"]) for sa in show("gw1", "sas")]


main([as_root, refusals_say_a_sentence, the_channel_works, without_a_channel, as_nobody, the_channel_works], Context)
