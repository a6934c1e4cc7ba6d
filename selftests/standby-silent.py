#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a standby sends nothing from the group's addresses: guard, SNAT, IPComp, IKE, and also with the module gone
# WHERE: uml qemu
# SETS: timeout=300
"""
standby-silent - invariant I5.

Job: send gw2 what its policies would turn into ESP, in every way in which a packet can come to its bundle, and look at gw2's outer
device. First without the module: each way does leave ESP, so that silence afterwards means something. Silence is proved by counting: each
packet sent has to be found among those that the guard, or xfrm for want of a usable state, refused. The guard must drop before the
packet is numbered, so the SAs' counters may not move either.
What may not enter: what the numbers are after a takeover.
"""
import json
import os
import select
import socket
import struct

from esptest import *
from esptest.system import unload

COUNT = 10
GW2 = "192.0.2.12"
CLOSED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "systemd/espsync-closed")
SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 263, 6, 4

# way: source at the lan, destination, SPI that it leaves with
WAYS = {
    "plain": (Cluster.LAN, Cluster.INNER, 0x1001),
    "ipv6": (Cluster.LAN6, Cluster.INNER6, 0x2001),
    "in UDP": (Cluster.LAN, "10.2.0.2", 0x3001),
    "SNAT": ("10.9.0.5", Cluster.INNER, 0x1001),
    "masquerade": ("10.9.0.6", Cluster.INNER, 0x4001),
    "IPComp": (Cluster.LAN, "10.2.0.3", 0x5001),
}


class Watch:
    """Everything that leaves a device and is not the link's own business, as texts."""

    def __init__(self, ns, dev):
        self.sock = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
        self.sock.bind((dev, 3))
        self.sock.setblocking(False)
        defer(self.sock.close)

    def left(self):
        """Since the last call."""
        found = []
        while True:
            try:
                frame, meta = self.sock.recvfrom(2048)
            except BlockingIOError:
                break
            if meta[2] == PACKET_OUTGOING and (what := self._what(frame)):
                found.append(what)
        drops = struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        check(not drops, f"the capture lost {drops} packets, so it proves nothing")
        return found

    @staticmethod
    def _what(frame):
        kind, = struct.unpack_from("!H", frame, 12)
        if kind == 0x0800:
            proto, at, ends = frame[23], 14 + (frame[14] & 15) * 4, (frame[26:30], frame[30:34])
            family = socket.AF_INET
        elif kind == 0x86dd:
            proto, at, ends = frame[20], 54, (frame[22:38], frame[38:54])
            family = socket.AF_INET6
        else:
            return None
        if kind == 0x86dd and proto in (0, 58):
            return None     # neighbour discovery, multicast listeners
        src, dst = (socket.inet_ntop(family, e) for e in ends)
        if proto == 50:
            return f"ESP {struct.unpack_from('!I', frame, at)[0]:#x}"
        if proto == 17:
            sport, dport = struct.unpack_from("!HH", frame, at)
            if 4500 in (sport, dport) and len(frame) >= at + 16 and any(frame[at + 8:at + 12]):
                return f"ESP {struct.unpack_from('!I', frame, at + 8)[0]:#x}"
            return f"UDP {src}:{sport} -> {dst}:{dport}"
        return f"protocol {proto} {src} -> {dst}"


def send(c, way, count=COUNT):
    """Packets of one way from the lan towards gw2."""
    source, destination, _ = WAYS[way]
    sock = c.lan.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 0))
    for i in range(count):
        sock.sendto(b"%04d" % i * 100, (destination, 7000))
    sock.close()


def refusals(c):
    """Packets that gw2 would not send: by the guard, and by xfrm for want of a usable state or policy."""
    guard = int(c.show(2, "stats")["refused"]) if c.has_channel else 0
    return guard, sum(v for k, v in xfrm_stat(c.gw2).items() if k.startswith(("XfrmOut", "XfrmFwd")))


def oseqs(c):
    return {s["spi"]: s["oseq"] for s in states(c.gw2) if "oseq" in s and s["spi"] & 1}


def silent(c, why, by=(0, 1)):
    """Nothing leaves, whichever way it comes; every packet is found among those refused by the guard (0) or by xfrm (1)."""
    for way in WAYS:
        before, numbers = refusals(c), oseqs(c)

        def refused():
            after = refusals(c)
            return sum(after[i] - before[i] for i in by)

        send(c, way)
        try:
            until(lambda: refused() >= COUNT, 5)
        except AssertionError:
            check(False, f"{why}, {way}: of {COUNT} packets {refused()} were refused; what left gw2: {c.watch.left()}")
        equal(c.watch.left(), [], f"{why}, {way}: what left gw2")
        equal(oseqs(c), numbers, f"{why}, {way}: numbers used up")


def flows(c, why):
    """Everything leaves, as ESP, every way."""
    for way, (_, _, spi) in WAYS.items():
        c.watch.left()
        send(c, way)
        seen = []
        try:
            until(lambda: seen.extend(c.watch.left()) or len(seen) >= COUNT, 5)
        except AssertionError:
            check(False, f"{why}, {way}: of {COUNT} packets left {seen}")
        equal(seen, [f"ESP {spi:#x}"] * COUNT, f"{why}, {way}: what left gw2")


def setup():
    c = Cluster()
    c.has_channel = False
    c.tunnel(spi=0x1000)
    c.tunnel(spi=0x2000, v6=True)
    c.tunnel(spi=0x3000, encap=(4500, 4500), inner=("10.2.0.2/32", "10.1.0.0/24"))
    c.tunnel(spi=0x4000, inner=(f"{c.INNER}/32", f"{GW2}/32"))
    ipcomp(c)
    # The lan's way to the client leads to gw2, whoever has the address; two of its hosts are hidden behind NAT.
    c.lan.ip("route replace 10.2.0.0/24 via 10.1.0.12")
    c.lan.ip("-6 route replace fd02::/64 via fd01::12")
    c.lan.address("in", "10.9.0.5/24", "10.9.0.6/24")
    c.gw2.ip("route add 10.9.0.0/24 dev in")
    for host in ("10.2.0.2", "10.2.0.3"):
        c.gw2.ip(f"route add {host}/32 via {c.CLIENT} dev out")
    c.gw2.sh("nft 'table ip t { chain c { type nat hook postrouting priority srcnat; "
             "ip saddr 10.9.0.5 snat to 10.1.0.77; ip saddr 10.9.0.6 masquerade; }; }'")
    c.watch = Watch(c.gw2, "out")
    # It is already here, as keepalived would have it; without the address a gateway sends nothing for want of a source.
    c.move_vip(2)
    return c


def ipcomp(c):
    """ESP in transport mode behind IPComp in tunnel mode: the guarded state is not the first of the bundle."""
    key = "aead 'rfc4106(gcm(aes))' 0x" + "d1" * 20 + " 128"
    ends = f"src {c.VIP} dst {c.CLIENT}"
    for line in (f"state add {ends} proto comp spi 0x5555 reqid 55 mode tunnel comp deflate",
                 f"state add {ends} proto esp spi 0x5001 reqid 55 mode transport replay-window 32 {key}",
                 f"policy add src 10.1.0.0/24 dst 10.2.0.3/32 dir out tmpl {ends} proto comp reqid 55 mode tunnel "
                 f"tmpl {ends} proto esp reqid 55 mode transport"):
        c.gw2.sh(f"ip xfrm {line}")


def without_the_module_all_of_it_leaves(c):
    """So there is something to silence; also what the unit's table is there to close until there is a role."""
    flows(c, "no module")
    closed(c, "close")
    shut(c, "never loaded, closed by the unit")
    module()
    c.configure(2)
    equal(c.show(2, "groups")[0]["role"], "undecided", "the role")
    shut(c, "undecided, closed by the unit")
    closed(c, "open")
    flows(c, "undecided, opened")


def closed(c, verb):
    c.gw2.sh([CLOSED, verb, c.VIP, c.VIP6])


def shut(c, why):
    """Without a guard there is no count: what is sent after it on an open way is the proof that it has passed through."""
    for way in WAYS:
        send(c, way)
        c.gw2.sh(f"ping -q -c 1 -W 2 -I {GW2} {c.CLIENT}")
        equal([p for p in c.watch.left() if not p.startswith("protocol 1 ")], [], f"{why}, {way}: what left gw2")


def standby_is_silent(c):
    c.configure(1)
    c.espsync(1, "promote")
    c.espsync(2, "demote")
    until(lambda: all(c.peer_state(n) == "up" for n in (1, 2)), 10, "both peers up")
    c.has_channel = True
    silent(c, "standby", by=(0,))
    with_event(c)


def with_event(c):
    """The guard says, at most once a second, that it refuses."""
    events = spawn(["espsync", "-n", str(c.gw2), "-j", "monitor", "events"], stdout=-1, text=True)
    told = []
    until(lambda: send(c, "plain", 1) or readable(events.stdout) and told.append(json.loads(events.stdout.readline())["event"])
          or "refused" in told, 10, "the event 'refused'", step=0.2)
    events.terminate()


def readable(f):
    return select.select([f], [], [], 0)[0]


def its_own_packets_are_held_too(c):
    """keepalived moves the address before it tells anybody: IKE, NAT keepalives and ESP that gw2 itself would send from it."""
    c.watch.left()
    for address in (c.VIP, c.VIP6, GW2):
        far = c.CLIENT6 if ":" in address else c.CLIENT
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind, port, data in ((socket.SOCK_DGRAM, 500, bytes(28)), (socket.SOCK_DGRAM, 4500, bytes(32)),
                                 (socket.SOCK_DGRAM, 4500, b"\xff"), (socket.SOCK_RAW, 50, b"\0\0\x77\x77" + bytes(40))):
            sock = c.gw2.socket(family, kind, port if kind == socket.SOCK_RAW else 0)
            sock.bind((address, 0 if kind == socket.SOCK_RAW else port))
            try:
                sock.sendto(data, (far, 0 if kind == socket.SOCK_RAW else port))
            except PermissionError:
                pass    # so a sender is told that a hook dropped its packet
            sock.close()
    c.gw2.sh(f"ping -q -c 2 -i 0.05 -W 1 -I 10.1.0.1 {c.INNER}", ok=None)
    equal(c.watch.left(), [f"UDP {GW2}:500 -> {c.CLIENT}:500"] + [f"UDP {GW2}:4500 -> {c.CLIENT}:4500"] * 2 + ["ESP 0x7777"],
          "only what has gw2's own address leaves")


def a_tunnel_outside_the_group_works(c):
    t = Tunnel(c.CLIENT, GW2, spi=0x9000, mode="transport")
    t.install_client(c.client)
    t.install(c.gw2)
    c.watch.left()
    check(c.gw2.sh(f"ping -q -c 3 -i 0.05 -W 2 -I {GW2} {c.CLIENT}", ok=None).status == 0, "gw2's own tunnel carries an echo")
    equal(c.watch.left(), ["ESP 0x9001"] * 3, "what left gw2")
    t.remove(c.client, False), t.remove(c.gw2)


def it_is_silent_without_the_channel(c):
    c.espsync(2, "channel del")
    c.has_channel = False
    silent(c, "channel deleted", by=(1,))


def it_is_silent_without_the_module(c):
    unload()
    silent(c, "module unloaded", by=(1,))


def a_reload_opens_nothing(c):
    """Loaded anew nobody has decided yet, and no active node is heard: what was closed stays closed until this node is promoted."""
    module()
    silent(c, "module loaded anew", by=(1,))
    c.espsync(2, f"channel set node 2 local 10.99.0.2 psk-file {c.key_file()}")
    until(lambda: len(c.show(2, "sas")) >= 9, 5, "the SAs are followed")
    silent(c, "channel without a group", by=(1,))
    c.configure(2)
    c.has_channel = True
    until(lambda: all(s["dir"] for s in c.show(2, "sas")), 5, "every SA has a direction")
    equal(c.show(2, "groups")[0]["role"], "undecided", "the role")
    silent(c, "undecided after a reload", by=(1,))
    c.espsync(2, "demote")
    silent(c, "demoted after a reload")


def promoted_everything_flows_at_once(c):
    c.watch.left()
    c.espsync(2, "promote")
    flows(c, "promoted")


def released_it_is_open(c):
    """The other way out: what closes a standby without a module is what --release takes back."""
    c.espsync(2, "demote")
    silent(c, "demoted")
    c.espsync(2, "channel del --release")
    c.has_channel = False
    flows(c, "released")


main([without_the_module_all_of_it_leaves, standby_is_silent, its_own_packets_are_held_too, a_tunnel_outside_the_group_works,
      it_is_silent_without_the_channel, it_is_silent_without_the_module, a_reload_opens_nothing, promoted_everything_flows_at_once,
      released_it_is_open], setup)
