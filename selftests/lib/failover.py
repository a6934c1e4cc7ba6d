# SPDX-License-Identifier: GPL-2.0
"""What the tests of a failover share, on a Cluster with SAs made by hand.

Job: load both ways through every tunnel, a crash and the takeover after it, the zombie's return, and recorded packets played
to a gateway. Judging is the tests' affair, but for what any takeover has to do: traffic goes on.
"""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

from esptest import check, defer, equal, spawn, states, until, xfrm_stat
from esptest.load import _Worker

LEASE_MIN, GSO_MAX = 1 << 20, 65535
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
NLA_F_NESTED, NLM_F_REQUEST_ACK = 0x8000, 5
ESPSYNC_CMD_CHANNEL_SET, ESPSYNC_A_CHANNEL = 2, 1
ESPSYNC_A_CHANNEL_DETECT_MS, ESPSYNC_A_CHANNEL_EVICT_MS = 9, 10


def _attr(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _genl(sock, family, command, attrs):
    """The attributes of the answer."""
    body = struct.pack("=BBH", command, 1, 0) + attrs
    sock.send(struct.pack("=IHHII", 16 + len(body), family, NLM_F_REQUEST_ACK, 1, 0) + body)
    answer = sock.recv(8192)
    if struct.unpack_from("=H", answer, 4)[0] == 2:     # NLMSG_ERROR
        equal(struct.unpack_from("=i", answer, 16)[0], 0, "errno of a generic netlink request")
    return answer[20:]


def set_times(c, detect_ms, evict_ms):
    """Times that modprobe sets for the first namespace only: a slow machine needs more, a short test less than the defaults."""
    for gw in c.gw.values():
        with gw.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as sock:
            found = _genl(sock, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, _attr(CTRL_ATTR_FAMILY_NAME, b"espsync\0"))
            at = found.index(struct.pack("=HH", 6, CTRL_ATTR_FAMILY_ID))
            sock.recv(8192)     # the acknowledgement
            times = _attr(ESPSYNC_A_CHANNEL_DETECT_MS, struct.pack("=I", detect_ms)) + \
                _attr(ESPSYNC_A_CHANNEL_EVICT_MS, struct.pack("=I", evict_ms))
            _genl(sock, struct.unpack_from("=H", found, at + 4)[0], ESPSYNC_CMD_CHANNEL_SET,
                  _attr(ESPSYNC_A_CHANNEL | NLA_F_NESTED, times))
    for node in c.gw:
        equal(c.show(node, "channel")["evict_ms"], evict_ms, "evict_ms")


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

    def __init__(self, c, tunnels, rate=30, zombies=True):
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
            sink = ns.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sink.bind(("::", PORT))
            defer(sink.close)   # never read: it only keeps ICMP away
        self.senders = {ns: _Spray(ns, these, rate) for ns, these in pairs.items() if these}

    def counts(self):
        """Packets accepted by the client and by the active gateway, a tunnel each."""
        ends = {ns: {s["spi"]: s["packets"] for s in states(ns)} for ns in (self.c.client, self.c.gw[self.c.active])}
        client, gw = ends.values()
        return [n for t in self.tunnels for n in (client[t.to_client.spi], gw[t.to_gw.spi])]

    def flows(self, what, packets=5, timeout=60):
        """Every tunnel carries packets each way from now on."""
        before = self.counts()
        until(lambda: all(now >= then + packets for now, then in zip(self.counts(), before)), timeout,
              f"{what}: every tunnel carries packets both ways", step=0.2)

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
    """Until `espsync ready` exits 0 on a node."""
    until(lambda: c.espsync(node, "ready", ok=None).status == 0, timeout, f"ready on {node}", step=0.2)


def group(c, node):
    return c.show(node, "groups")[0]


def sas(c, node):
    """SAs of a node by SPI."""
    return {int(s["spi"], 16): s for s in c.show(node, "sas")}


def promote(c, node):
    """The number of SAs in doubt."""
    said = c.espsync(node, "promote")
    check(said.startswith("active"), f"promote says {said!r}")
    number = re.search(r"(\d+) SAs? in doubt", said)
    return int(number[1]) if number else 0


def take_over(c, node):
    """What VRRP and keepalived do once the other is silent: address, role, gratuitous ARP. The zombie knows nothing and keeps the address."""
    c.gw[node].batch(c.vip_lines())
    doubtful = promote(c, node)
    c.announce(node)
    return doubtful


def return_zombie(c, node):
    """It hears the higher epoch and is standby before the outside hears it again; then its own VRRP takes its address away."""
    c.revive(node, ("sync",))
    until(lambda: group(c, node)["role"] == "standby", 30, f"node {node} hears the higher epoch and steps down")
    c.drop_vip(node)
    c.revive(node, ("outside", "inside"))
    return time.time()


class Events:
    """What a node says from now on."""

    def __init__(self, c, node):
        self.proc = spawn(["espsync", "-n", c.gw[node], "-j", "monitor", "events"], stdout=subprocess.PIPE, text=True)
        until(lambda: self._subscribed(c.gw[node]), 10, "monitor has subscribed")

    def _subscribed(self, gw):
        rows = (line.split() for line in gw.sh(["cat", "/proc/net/netlink"]).splitlines()[1:])
        return any(int(r[2]) & 0x3fffff == self.proc.pid & 0x3fffff and int(r[3], 16) for r in rows)

    def stop(self):
        """[(event, SPI or None)]"""
        self.proc.send_signal(signal.SIGTERM)
        said = [json.loads(line) for line in self.proc.communicate(timeout=10)[0].splitlines()]
        return [(e["event"], int(e["spi"], 16) if e.get("spi") else None) for e in said]


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
            until(lambda: sum(map(sum, judged().values())) >= sent, 30, f"{sent} played packets judged by node {node}", step=0.2)
        verdicts = judged()
        equal({spi: sum(v) for spi, v in verdicts.items()}, {spi: len(f) for spi, f in frames.items()}, "played packets judged, by SPI")
        return verdicts

    @staticmethod
    def _judged(gw):
        # With ESN a number below the window is taken for one of the next 2^32, and fails its integrity check.
        return {s["spi"]: (s["packets"], s["replay"] + s["replay_window"] + s["failed"]) for s in states(gw)}
