# SPDX-License-Identifier: GPL-2.0
"""What the tests of a failover share, on a Cluster with SAs made by hand.

Job: load both ways through every tunnel, a crash and the takeover after it, the zombie's return, and recorded packets played
to a gateway. Judging is the tests' affair, but for what any takeover has to do: traffic goes on.
"""
import collections
import errno
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

import genlwire
from esptest import Capture, Cluster, Sender, check, counts, defer, equal, module, repeats, sh, spawn, state, until, xfrm_stat
from esptest.load import _Worker
from esptest.netlink import DUMP, attributes, nest

LEASE_MIN, GSO_MAX, NODES = 1 << 20, 65535, 2
ESPSYNC_CMD_CHANNEL_SET, ESPSYNC_A_CHANNEL = 2, 1
ESPSYNC_CMD_CHANNEL_GET, ESPSYNC_CMD_PEER_GET, ESPSYNC_CMD_GROUP_GET = 1, 4, 7
ESPSYNC_CMD_PROMOTE, ESPSYNC_CMD_DEMOTE, ESPSYNC_CMD_READY = 10, 11, 12
ESPSYNC_A_GROUP, ESPSYNC_A_GROUP_ADDRS, ESPSYNC_A_GROUP_ROLE, ESPSYNC_A_GROUP_TIMEOUT_MS = 3, 2, 3, 15
ESPSYNC_A_REASON_CODE, ESPSYNC_A_REASON_TEXT, ESPSYNC_REASON_SA_STALE = 1, 6, 4
ESPSYNC_A_CHANNEL_DETECT_MS, ESPSYNC_A_CHANNEL_EVICT_MS = 9, 10


def ask(ns, command, attrs=b"", dump=False):
    """One request of the module by its number, without the tool, which costs a process: the nests of the answers, as {attribute: bytes}."""
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, genlwire.NETLINK_GENERIC) as sock:
        genl = genlwire.Genl(sock)
        answer = genl.ask(genlwire.message(genl.family, command, attrs, DUMP if dump else 0))
    if answer.error != 0:
        raise OSError(answer.error or errno.ENODATA, f"[{ns}] request {command}: {os.strerror(answer.error or errno.ENODATA)}")
    return [dict(attributes(value)) for _, top in answer.messages for _, value in top]


def role_of(c, node):
    return ["undecided", "standby", "active"][ask(c.gw[node], ESPSYNC_CMD_GROUP_GET, dump=True)[0][ESPSYNC_A_GROUP_ROLE][0]]


def reasons(c, node):
    """Why a node is not ready: sentences, by their numbers; empty if it is."""
    return {r[ESPSYNC_A_REASON_CODE][0]: r.get(ESPSYNC_A_REASON_TEXT, b"").decode().rstrip("\0")
            for r in ask(c.gw[node], ESPSYNC_CMD_READY, dump=True)}


def set_times(c, detect_ms, evict_ms, nodes=(1, 2)):
    """Times that modprobe sets for the first namespace only: a slow machine needs more, a short test less than the defaults."""
    for node in nodes:
        ask(c.gw[node], ESPSYNC_CMD_CHANNEL_SET, nest(ESPSYNC_A_CHANNEL, (ESPSYNC_A_CHANNEL_DETECT_MS, struct.pack("=I", detect_ms)),
                                                      (ESPSYNC_A_CHANNEL_EVICT_MS, struct.pack("=I", evict_ms))))
    for node in nodes:
        equal(c.show(node, "channel")["evict_ms"], evict_ms, "evict_ms")


def knows_the_way(c, gw):
    """A gateway's route to the second inner address."""
    gw.ip(f"route add 10.2.0.2/32 via {c.CLIENT} dev out")


def prepared(detect_ms=2000, evict_ms=30000, window=2048):
    """A cluster whose node 1 is active, with two tunnels, one with ESN; times as emulated and busy machines need them."""
    module()
    c = Cluster()
    c.start()
    set_times(c, detect_ms, evict_ms)
    c.client.ip("addr add 10.2.0.2/32 dev lo")
    for gw in c.gw.values():
        knows_the_way(c, gw)
    c.active, c.spi, c.tunnels, c.window = 1, 0x1000, [], window
    rekeyed(c)
    return c


def rekeyed(c):
    """New SAs in the place of the old, and the cluster is ready: it converges."""
    for t in c.tunnels:
        for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
            t.remove(ns, gateway)
    c.spi += 0x100
    c.tunnels = [c.tunnel(spi=c.spi, esn=True, window=c.window),
                 c.tunnel(spi=c.spi + 0x10, alg="cbc-sha256", inner=("10.2.0.2/32", "10.1.0.0/24"))]
    c.began = time.time()
    ready(c, c.active)


def lost_replay(c):
    """Packets that the client refused as replays."""
    return xfrm_stat(c.client)["XfrmInStateSeqError"]


PORT = 7000


class _Spray(_Worker):
    """One process that sends, in turn, from and to each of many addresses; what is refused is tried again in its next turn."""

    def __init__(self, ns, pairs, rate):
        socks = []
        for source, to in pairs:
            sock = ns.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((source, 0))
            socks.append((sock, (to, PORT)))
        self._start(self._send, socks, 1 / rate)
        for sock, _ in socks:
            sock.close()

    def _send(self, socks, interval):
        due = time.monotonic()
        while not self._ending:
            for sock, to in socks:
                try:
                    sock.sendto(bytes(64), to)
                except OSError:
                    pass
            due = max(due + interval, time.monotonic() - interval)
            time.sleep(max(0, due - time.monotonic()))


class Load:
    """UDP through every tunnel, both ways; and from each gateway by itself, which is what a zombie would still send."""

    def __init__(self, c, tunnels, rate=15, zombies=True):
        self.c, self.tunnels = c, tunnels
        pairs = {ns: [] for ns in (c.client, c.lan, *c.gw.values())}
        for t in tunnels:
            near = t.inner[0].split("/")[0]
            far = t.gateway if t.mode == "transport" else c.LAN6 if ":" in near else c.LAN
            pairs[c.client].append((near, far))
            for ns in c.gw.values() if t.mode == "transport" else (c.lan,):
                pairs[ns].append((far, near))
        for n, gw in c.gw.items() if zombies else ():
            pairs[gw].append((f"10.1.0.1{n}", tunnels[0].inner[0].split("/")[0]))
        for ns, these in pairs.items():
            if not these:
                continue    # nor is a namespace held that nobody sends to
            sink = ns.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sink.bind(("::", PORT))
            defer(sink.close)   # never read: it only keeps ICMP away
        self.senders = {ns: _Spray(ns, these, rate) for ns, these in pairs.items() if these}

    def counts(self):
        """Packets accepted by the client and by the active gateway, a tunnel each."""
        client, gw = counts(self.c.client), counts(self.c.gw[self.c.active])
        return [n for t in self.tunnels for n in (client[t.to_client.spi][0], gw[t.to_gw.spi][0])]

    def flows(self, what, packets=5, timeout=60):
        """Every tunnel carries packets each way from now on."""
        before = self.counts()
        try:
            until(lambda: all(now >= then + packets for now, then in zip(self.counts(), before)), timeout,
                  f"{what}: every tunnel carries packets both ways", step=0.2)
        except AssertionError as e:
            here, more = self.c.gw[self.c.active], [now - then for now, then in zip(self.counts(), before)]
            by = [f"{t.to_client.spi:#x}: {a} to the client, {b} to {here}" for t, a, b in zip(self.tunnels, more[::2], more[1::2])]
            raise AssertionError(f"{e}; {', '.join(by)}; {here}'s drops {[(k, v) for k, v in xfrm_stat(here).items() if v]}, "
                                 f"the client's {[(k, v) for k, v in xfrm_stat(self.c.client).items() if v]}") from None

    def signal(self, sig, *where):
        for ns in where or self.senders:
            if ns in self.senders:
                os.kill(self.senders[ns].pid, sig)

    def pause(self, *where):
        self.signal(signal.SIGSTOP, *where)

    def go_on(self, *where):
        self.signal(signal.SIGCONT, *where)

    def stop(self):
        self.go_on()
        for sender in self.senders.values():
            sender.stop()


def ready(c, node, timeout=60):
    """Until a node says that a standby could take over: what `espsync ready` asks."""
    try:
        until(lambda: not reasons(c, node), timeout, f"ready on {node}", step=0.1)
    except AssertionError as e:
        said = [line for line in sh("dmesg").splitlines() if "espsync: " in line][-5:]
        raise AssertionError(f"{e}: {list(reasons(c, node).values())}; {said}") from None


def group(c, node):
    return c.show(node, "groups")[0]


def sas(c, node):
    """SAs of a node by SPI."""
    return {int(s["spi"], 16): s for s in c.show(node, "sas")}


def promote(c, node, group=0):
    """The number of SAs in doubt."""
    said = c.espsync(node, f"promote group {group}")
    check(said.startswith("active"), f"promote says {said!r}")
    number = re.search(r"(\d+) SAs? in doubt", said)
    return int(number[1]) if number else 0


def take_over(c, node):
    """What VRRP and keepalived do once the other is silent: address, role, gratuitous ARP. The zombie knows nothing and keeps the address."""
    c.add_vip(node)
    doubtful = promote(c, node)
    c.announce(node)
    return doubtful


def crash_and_take_over(c):
    """The dead node, and how many SAs are in doubt."""
    died = c.active
    c.crash(died)
    doubtful = take_over(c, 3 - died)
    c.active = 3 - died
    return died, doubtful


def return_zombie(c, node):
    """It hears the higher epoch and is standby before the outside hears it again; then its own VRRP takes its address away."""
    c.revive(node, ("sync",))
    until(lambda: role_of(c, node) == "standby", 30, f"node {node} hears the higher epoch and steps down")
    c.drop_vip(node)
    c.revive(node, ("outside", "inside"))
    return time.time()


def mended(c):
    """Wires, links, roles and address as they should be, whatever a case that failed has left."""
    for n in c.gw:
        c.revive(n)
    c.heal_sync()
    until(lambda: sorted(role_of(c, n) for n in c.gw) == ["active", "standby"], 10, "one node is active")
    c.active = next(n for n in c.gw if role_of(c, n) == "active")
    c.move_vip(c.active)


def sent_twice(c, captures):
    """What repeats() finds, but for the client's packets: while the address moves, a node without it forwards them, and another one once more."""
    return {k: v for k, v in repeats(captures).items() if k[1] not in (c.VIP, c.VIP6)}


class Watch:
    """Captures, the client's replay drops and both nodes' windows: what may never go wrong whatever the link does."""

    def __init__(self, c):
        self.c = c
        self.caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
        self.replays = lost_replay(c)
        self.lowest = {}

    def look(self):
        """I2: between two looks no edge and no counter fell."""
        for node in self.c.gw:
            for spi, sa in sas(self.c, node).items():
                now = int(sa["oseq"] or 0), int(sa["seq"] or 0)
                was = self.lowest.get((node, spi), (0, 0))
                check(now[0] >= was[0] and now[1] >= was[1], f"node {node}, spi {spi:#x}: (oseq, seq) fell from {was} to {now}")
                self.lowest[node, spi] = now

    def judge(self):
        self.look()
        twice = sent_twice(self.c, self.caps.values())
        check(not twice, f"{len(twice)} numbers were sent twice, such as {next(iter(twice.items()), None)}")
        equal(lost_replay(self.c) - self.replays, 0, "packets that the client refused as replays")


class Ledger:
    """The numbers that left with the group's address, read while captures go on: I1 after each of many failovers."""

    def __init__(self, c, captures, out):
        self.c, self.captures, self.out = c, list(captures), out
        self.seen, self.read = {}, [0] * len(self.captures)
        self.replays = lost_replay(c)

    def judge(self):
        twice = []
        for i, capture in enumerate(self.captures):
            packets = capture.packets
            for p in packets[self.read[i]:]:
                if not hasattr(p, "spi") or p.out != self.out or p.src != self.c.VIP:
                    continue
                if (p.spi, p.seq) in self.seen:
                    twice.append((hex(p.spi), p.seq, round(p.time - self.seen[p.spi, p.seq], 4)))
                self.seen[p.spi, p.seq] = p.time
            self.read[i] = len(packets)
        check(not twice, f"{len(twice)} numbers were sent twice, such as (SPI, number, seconds between) {twice[:3]}")
        equal(lost_replay(self.c) - self.replays, 0, "packets that the client refused as replays")


class Taster:
    """Takes some of what the client sends into each tunnel, which the active gateway accepts and streams."""

    def __init__(self, c):
        self.c = c

    def take(self, number=8):
        """Frames by SPI."""
        frames, end = {t.to_gw.spi: [] for t in self.c.tunnels}, time.monotonic() + 10
        sock = self.c.client.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.settimeout(0.5)
        sock.bind(("out", 3))
        while any(len(some) < number for some in frames.values()) and time.monotonic() < end:
            try:
                frame, address = sock.recvfrom(4096)
            except TimeoutError:
                continue
            spi = int.from_bytes(frame[34:38], "big")
            if address[2] == socket.PACKET_OUTGOING and frame[23] == socket.IPPROTO_ESP and len(frames.get(spi, [1] * number)) < number:
                frames[spi].append(frame)
        sock.close()
        time.sleep(0.15)        # more than ten intervals: it is streamed
        return frames

    def refused_by(self, node, frames, load):
        """I3: they are, however the node came to be active."""
        there = {t.to_gw.spi for t in self.c.tunnels}
        frames = {spi: some for spi, some in frames.items() if some and spi in there}
        if not frames:
            return      # their SAs are gone
        load.pause(self.c.client)
        time.sleep(0.1)
        verdicts = Player(self.c).play_all(node, frames)
        load.go_on(self.c.client)
        check(not any(taken for taken, _ in verdicts.values()), f"replays taken, by SPI (taken, refused): {verdicts}")


class Knob:
    """espsync_faults.ko: holds a thread of the module up at a tracepoint."""
    PATH, FAILSLAB = "/sys/kernel/debug/espsync_faults", "/sys/kernel/debug/failslab"

    def __init__(self):
        for knob, value in (("ignore-gfp-wait", "N"), ("verbose", "0"), ("probability", "0")):
            with open(f"{self.FAILSLAB}/{knob}", "w") as f:
                f.write(value)
        module("espsync_faults")
        defer(self.off)

    def arm(self, point, value, ns, nth=1, delay_us=0, fail=0):
        """ns: None for any."""
        inum = os.stat(f"/run/netns/{ns}").st_ino if ns else 0
        with open(self.PATH, "w") as f:
            f.write(f"{point} {value} {inum} {nth} {delay_us} {fail}")

    def wait(self):
        with open(self.PATH) as f:
            return f.read()

    def off(self):
        """What came of it: hit or not, how often it was passed, refused if there was no memory."""
        with open(self.PATH, "w") as f:
            f.write("off")
        fd = os.open(self.PATH, os.O_RDONLY | os.O_NONBLOCK)
        said = os.read(fd, 64).decode()
        os.close(fd)
        return said


class Events:
    """What a node says from now on."""

    def __init__(self, c, node):
        self.proc = spawn(["espsync", "-n", c.gw[node], "-j", "monitor", "events"], stdout=subprocess.PIPE, text=True)
        until(lambda: self._subscribed(c.gw[node]), 10, "monitor has subscribed")

    def _subscribed(self, gw):
        rows = (line.split() for line in gw.sh(["cat", "/proc/net/netlink"]).splitlines()[1:])
        return any(int(r[2]) & 0x3fffff == self.proc.pid & 0x3fffff and int(r[3], 16) for r in rows)

    def told(self):
        """All of it, at the end."""
        self.proc.send_signal(signal.SIGTERM)
        return [json.loads(line) for line in self.proc.communicate(timeout=10)[0].splitlines()]

    def stop(self):
        """[(event, SPI or None)]"""
        return [(e["event"], int(e["spi"], 16) if e.get("spi") else None) for e in self.told()]


def streamed(c, tunnels, node):
    """Whether the other node knows of all that this one has accepted."""
    mine, others = sas(c, node), sas(c, 3 - node)
    return all(mine[t.to_gw.spi]["seq"] == others[t.to_gw.spi]["seq"] for t in tunnels)


class Player:
    """Plays recorded frames of the client to a gateway."""

    def __init__(self, c):
        self.c = c
        self.sock = c.client.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind(("out", 0))

    def play(self, node, sa, frames):
        """(accepted, refused) by a gateway that sees nothing else of this SA meanwhile."""
        return self.play_all(node, {sa.spi: frames})[sa.spi]

    def play_all(self, node, frames):
        """The same of many SAs at once, by SPI."""
        gw = self.c.gw[node]
        mac = bytes.fromhex(gw.mac("out").replace(":", ""))
        every = [f for some in frames.values() for f in some]
        begin = self._judged(gw)

        def judged():
            now = self._judged(gw)
            return {spi: tuple(b - a for a, b in zip(begin[spi], now[spi])) for spi in frames}

        for i in range(0, len(every), 200):
            for frame in every[i:i + 200]:
                self.sock.send(mac + frame[6:])
            sent = min(i + 200, len(every))
            until(lambda: sum(map(sum, judged().values())) >= sent, 90, f"{sent} played packets judged by node {node}", step=0.2)
        verdicts = judged()
        equal({spi: sum(v) for spi, v in verdicts.items()}, {spi: len(f) for spi, f in frames.items()}, "played packets judged, by SPI")
        return verdicts

    @staticmethod
    def _judged(gw):
        # With ESN a number below the window is taken for one of the next 2^32, and fails its integrity check.
        return counts(gw)


# -- leases --------------------------------------------------------------------

class Round:
    """One takeover: from whom, with which SAs, from where to where their counters had been moved by hand, how big leases may be."""

    def __init__(self, c, died, moved, lease):
        self.died, self.spis, self.moved, self.lease = died, [t.to_client.spi for t in c.tunnels], moved, lease
        self.at = time.time()
        self.until = None


def near_renewal(c, rng):
    """Bring the active node's counters to the middle of their leases: the next packets ask for a new one. SPI: (from, to)."""
    known = sas(c, c.active)
    moved = {}
    for t in c.tunnels:
        sa = t.to_client
        was = int(known[sa.spi]["oseq"])
        to = int(known[sa.spi]["ceiling"]) - LEASE_MIN // 2 - rng.randrange(30)
        sa.set_oseq(c.gw[c.active], to)
        moved[sa.spi] = was, to
    return moved


def note_leases(c, node, lease):
    """How many numbers each SA's owner asks for at a time; it never becomes less."""
    for spi, s in sas(c, node).items():
        lease[spi] = max(lease.get(spi, LEASE_MIN), s["lease"] or 0)


def crash_under_load(c, rng, load, renew, lease):
    """At some moment, and the other node goes on; the round, which lasts until the caller says so. renew: with new leases about to be asked for.

    Leases grow with the rate that this seems to be, and stay so: lease is changed.
    """
    died, heir = c.active, 3 - c.active
    ready(c, died)
    moved = {}
    if renew:
        moved = near_renewal(c, rng)
    time.sleep(rng.uniform(0, 0.4))
    c.crash(died)
    note_leases(c, died, lease)
    r = Round(c, died, moved, dict(lease))
    time.sleep(rng.choice((0, rng.uniform(0, 0.5))))
    c.began = time.time()
    equal(take_over(c, heir), 0, "SAs in doubt after a takeover in sync")
    c.active = heir
    load.flows(f"after the crash of node {died}")
    return r


Jump = collections.namedtuple("Jump", "last first skipped bound what")


def jumps(caps, r, following=None):
    """Of each SA: what a takeover skipped, on what was captured until the following one."""
    for spi in r.spis:
        bound = (NODES + 1) * (r.lease.get(spi, LEASE_MIN) + LEASE_MIN)
        last = max(p.seq for p in caps[r.died].esp(spi, out=True) if p.time <= r.at)
        last = max(last, r.moved.get(spi, (0, 0))[1])
        term = [p.seq for p in caps[3 - r.died].esp(spi, out=True, since=r.at) if p.time <= r.until]
        was, to = following.moved.get(spi, (0, 0)) if following else (0, 0)
        skipped = max(term) - last - len(term) - (to - was)
        yield Jump(last, min(term), skipped, bound, f"takeover from node {r.died}, spi {spi:#x}: last {last}, then {min(term)} to {max(term)}, "
                   f"skipped {skipped} of {bound:.0f}")


def jumps_are_bounded(caps, rounds):
    """I4"""
    for r, following in zip(rounds, [*rounds[1:], None]):
        for j in jumps(caps, r, following):
            check(j.last < j.first <= j.last + j.bound and j.skipped <= j.bound, j.what)


# -- windows -------------------------------------------------------------------

def client_sends(c, t, number, rate=1000):
    """So many packets of the client into a tunnel, and no more; nothing is answered."""
    before = state(c.client, t.to_gw.spi)["packets"]
    sender = Sender(c.client, c.LAN, 7500, rate=rate, source=t.inner[0].split("/")[0])
    until(lambda: state(c.client, t.to_gw.spi)["packets"] - before >= number, 60, f"{number} packets sent")
    sender.stop()


def recorded(c, t, number):
    """(frames that gw accepted, frames that never reached it) of one silenced client, oldest first."""
    spi, gw = t.to_gw.spi, c.gw[c.active]
    sent, arrived = Capture(c.client, "out", keep=True), Capture(gw, "out")
    was = state(gw, spi)
    client_sends(c, t, number)
    until(lambda: len(arrived.esp(spi, out=False)) > number // 2, 40, "the capture follows")
    until(lambda: len(arrived.esp(spi, out=False)) == state(gw, spi)["packets"] - was["packets"], 40, "all that arrived is accepted")
    equal(state(gw, spi)["replay"], was["replay"], "refused while recording")
    sent.stop(), arrived.stop()
    equal((sent.dropped, arrived.dropped), (0, 0), "packets that the captures missed")
    there = {p.seq for p in arrived.esp(spi, out=False)}
    packets = sent.esp(spi, out=True)
    frames = dict(zip((p.seq for p in packets), sent.frames_of(packets)))
    return [frames[n] for n in sorted(there)], [frames[n] for n in sorted(frames) if n not in there]


def quiet(c):
    """Long enough for twenty of the streaming intervals that `show` prints."""
    time.sleep(max(0.2, 20 * c.show(c.active, "channel")["interval_us"] / 1e6))
