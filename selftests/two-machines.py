#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: gateways that are machines of their own: kill -9 of one, and one that sleeps for 10 s and wakes up still active
# WHERE: host
# SETS: timeout=900
"""
two-machines - stock kernels, the module as DKMS installs it, SAs by hand.

    far (client, and host in a namespace) --- outer --- gw1, gw2 --- inner --- host        gw1 --- sync --- gw2

Job: the module across real machine borders. The wires record what each machine
sent before anybody else gets it, so nothing is lost with a machine; their time
is the host's. Who is active is said by this test. In emulation a machine may
get no processor for a while: TCG_SLACK says how much of that is forgiven.
"""
import base64
import json
import os
import secrets
import shlex
import tempfile
import time

from esptest.ktap import check, equal, main, note, seeded
from esptest.system import defer
from esptest.xfrm import Sa
from esptest_vm import TOP, Vm, dkms_install, until
from esptest_wires import Wires, read_pcap

VIP, CLIENT, INNER, LAN_GW, HOST = "192.0.2.1", "192.0.2.100", "10.2.0.1", "10.1.0.1", "10.1.0.100"
SPI_IN, SPI_OUT = 0x1000, 0x1001
RATE = 100
PAUSE_S = 10
TCG_SLACK = 0.25
KEY = secrets.token_hex(32)


class Machines:
    def __init__(self):
        self.wires = Wires({"outer": ["gw1", "gw2", "far"], "inner": ["gw1", "gw2", "far"], "sync": ["gw1", "gw2"]})
        defer(self.wires.close)
        updates = dkms_install()
        self.vms = {n: Vm(n, self.wires, dkms=None if n == "far" else updates) for n in ("gw1", "gw2", "far")}
        self.far = self.vms["far"]
        self.to_gw = Sa(CLIENT, VIP, SPI_IN, window=1024, esn=True, key="0x" + secrets.token_hex(20))
        self.to_client = Sa(VIP, CLIENT, SPI_OUT, window=1024, esn=True, key="0x" + secrets.token_hex(20))
        for vm in self.vms.values():
            defer(vm.close)
            vm.start()
        for vm in self.vms.values():
            vm.wait()
        self.set_up_far()
        for n in (1, 2):
            self.set_up_gateway(n)

    def gw(self, n):
        return self.vms[f"gw{n}"]

    # -- what each machine is told ----------------------------------------------------

    def set_up_far(self):
        self.far.sh(f"""set -e
            ip netns add host; ip link set inner netns host; ip -n host link set lo up; ip -n host link set inner up
            ip -n host addr add {HOST}/24 dev inner; ip -n host route add 10.2.0.0/24 via {LAN_GW}
            ip link set outer up; ip addr add {CLIENT}/24 dev outer; ip addr add {INNER}/32 dev lo
            ip route add 10.1.0.0/24 via {VIP} dev outer src {INNER}
            sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.outer.rp_filter=0""")
        self.tunnel(self.far, gateway=False)

    def set_up_gateway(self, n):
        """As an administrator would: addresses, the module with its parameters, the key by the tool; SAs as charon would have them on both."""
        gw = self.gw(n)
        gw.sh(f"""set -e
            for d in outer inner sync; do ip link set $d up; done
            ip addr add 192.0.2.1{n}/24 dev outer; ip addr add 10.1.0.1{n}/24 dev inner; ip addr add 10.99.0.{n}/24 dev sync
            ip route add {INNER}/32 via {CLIENT}
            sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.outer.rp_filter=0 net.ipv4.conf.inner.rp_filter=0
            sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.inner.send_redirects=0""")
        gw.put("/etc/espsync/key", KEY + "\n", 0o600)
        gw.sh(f"modprobe espsync node={n} local=10.99.0.{n} peers={3 - n}@10.99.0.{3 - n} vip={VIP}")
        gw.sh(f"espsync channel set node {n} local 10.99.0.{n} psk-file /etc/espsync/key")

    def tunnel(self, vm, gateway=True):
        words = [["ip", "xfrm", "state", "add", *sa.words()] for sa in (self.to_gw, self.to_client)]
        client, lan = f"{INNER}/32", "10.1.0.0/24"
        for direction, src, dst, outer in (("out" if gateway else "in", lan, client, (VIP, CLIENT)),
                                           ("in" if gateway else "out", client, lan, (CLIENT, VIP)),
                                           *([("fwd", client, lan, (CLIENT, VIP))] if gateway else [])):
            words.append(f"ip xfrm policy add src {src} dst {dst} dir {direction} tmpl src {outer[0]} dst {outer[1]} "
                         f"proto esp reqid 1 mode tunnel".split())
        vm.sh("\n".join(["set -e", *map(shlex.join, words)]))

    def take_addresses(self, n):
        """What VRRP does at the new master, gratuitous ARP included."""
        self.gw(n).sh(f"""ip addr add {VIP}/24 dev outer; ip addr add {LAN_GW}/24 dev inner
            arping -q -A -c 2 -i 0.1 -I outer {VIP} || arping -q -A -c 1 -I outer {VIP}; arping -q -A -c 1 -I inner {LAN_GW}""", ok=None)

    def drop_addresses(self, n):
        self.gw(n).sh(f"ip addr del {VIP}/24 dev outer; ip addr del {LAN_GW}/24 dev inner", ok=None)

    # -- what they say ------------------------------------------------------------------

    def role(self, n):
        return self.gw(n).json("espsync -j show groups")[0]["role"]

    def peer_up(self, n):
        return any(p["state"] == "up" for p in self.gw(n).json("espsync -j show peers"))

    def ready(self, n):
        return self.gw(n).sh("espsync ready", ok=None)

    def outbound(self, n):
        return next(s for s in self.gw(n).json("espsync -j show sas") if s["spi"] == f"0x{SPI_OUT:08x}")

    def replays(self, vm):
        return int(vm.sh("awk '/XfrmInStateSeqError/ {print $2}' /proc/net/xfrm_stat"))

    def arrived(self):
        return [int(x) for x in self.far.sh("cat /tmp/arrived 2>/dev/null || echo 0 0").split()]

    def flows(self, timeout=30):
        before = self.arrived()
        until(lambda: all(b > a + 5 for a, b in zip(before, self.arrived())), timeout,
              lambda: f"packets arrive both ways, after {before}: {self.arrived()}\n{self.explain()}")

    def explain(self):
        said = []
        for vm in self.vms.values():
            if vm.alive():
                said.append(f"{vm.name}: " + vm.sh("ip -s xfrm state | grep -v -e auth -e aead -e enc; grep -v ' 0$' /proc/net/xfrm_stat; espsync show; "
                                                   "espsync show sas; ip neigh; ip -br a", ok=None))
        return "\n".join(said)


def setup():
    m = Machines()
    until(lambda: all(m.peer_up(n) for n in (1, 2)), 30, "both peers up")
    m.take_addresses(1)
    m.gw(2).sh("espsync demote")
    m.gw(1).sh("espsync promote")
    # As from charon: first where it was negotiated, then at the mirror.
    m.tunnel(m.gw(1))
    m.tunnel(m.gw(2))
    m.traffic = m.far.begin(f"exec python3 {TOP}/selftests/lib/vm_traffic.py {RATE} {INNER} {HOST}", timeout=600)
    m.flows()
    return m


def the_module_comes_from_dkms_and_modprobe(m):
    for n in (1, 2):
        check("/updates/dkms/espsync.ko" in m.gw(n).sh("modinfo -n espsync"), "modprobe takes what DKMS installed")
        equal(m.gw(n).sh("cat /sys/module/espsync/parameters/vip").strip(), VIP, f"gw{n}'s vip=")
    equal([m.role(1), m.role(2)], ["active", "standby"], "roles")
    until(lambda: m.ready(1).status == 0, 15, lambda: m.ready(1) + m.ready(1).stderr)


def disjoint(m, old_gw, new_gw, since):
    """What the new owner sends lies above all that the old one ever sent, and not further than a takeover in sync may skip."""
    old = [f.b for f in m.wires.esp(sender=old_gw) if f.a == SPI_OUT]
    fresh = [f.b for f in m.wires.esp(sender=new_gw, since=since) if f.a == SPI_OUT]
    check(old and fresh, f"both sent on the SA: {len(old)} and {len(fresh)} packets")
    check(min(fresh) > max(old), f"{new_gw} began at {min(fresh)}, {old_gw} sent {max(old)}")
    check(min(fresh) - max(old) <= 3 * 2 * 2 ** 20, f"it skipped {min(fresh) - max(old)}, more than I4 allows")


def nothing_repeats(m):
    equal(m.wires.repeats(), {}, "numbers sent more than once")
    equal(m.replays(m.far), 0, "packets that the client refused as replays")


def a_machine_is_killed(m):
    time.sleep(seeded().random())
    m.gw(1).kill()
    killed = time.time()
    said = m.gw(2).sh("espsync promote")
    m.take_addresses(2)
    m.flows()
    note(f"promote said: {said.strip()}")
    equal(m.role(2), "active", "gw2's role")
    disjoint(m, "gw1", "gw2", killed)
    nothing_repeats(m)
    equal(m.replays(m.gw(2)), 0, "packets that gw2 refused as replays")


def it_comes_back_and_the_new_owner_is_ready(m):
    m.gw(1).start().wait()
    m.set_up_gateway(1)
    m.gw(1).sh("espsync demote")
    m.tunnel(m.gw(1))
    until(lambda: m.ready(2).status == 0, 30, lambda: f"gw2 says ready: {m.ready(2)}{m.ready(2).stderr}")
    equal(m.role(1), "standby", "gw1's role")


def an_active_machine_sleeps_and_wakes(m):
    gw1, gw2 = m.gw(1), m.gw(2)
    # Something of its own to send, so that it has every reason to go on at once.
    gw2.sh("tcpdump -Z root -U -s 0 -w /tmp/seen.pcap -i any 'esp or udp port 4520' >/tmp/tcpdump.out 2>&1 & ping -q -i 0.02 -I 10.1.0.12 "
           f"{INNER} >/dev/null 2>&1 & :")
    until(lambda: "listening" in gw2.sh("cat /tmp/tcpdump.out", ok=None), 20, "tcpdump listens in gw2")
    before = int(m.outbound(2)["ceiling"])
    gw2.pause()
    paused = time.time()
    gw1.sh("espsync promote", ok=(0, 3))
    until(lambda: m.role(1) == "active", 10, "gw1 active")
    active = time.time()
    m.take_addresses(1)
    m.flows()
    time.sleep(max(0, paused + PAUSE_S - time.time()))
    gw2.resume()
    resumed = time.time()
    until(lambda: m.role(2) == "standby", 30, "gw2 has stepped down")
    m.flows()
    gw2.sh("pkill ping; pkill tcpdump; sleep 0.3", ok=None)
    judge_zombie(m, before, active, resumed)
    disjoint(m, "gw2", "gw1", paused)
    nothing_repeats(m)


def judge_zombie(m, ceiling, active, resumed):
    sent = [f for f in m.wires.esp(since=resumed, sender="gw2") if f.a == SPI_OUT]
    note(f"gw2 sent {len(sent)} packets in the {(sent[-1].time - resumed) * 1000 if sent else 0:.0f} ms after it woke up")
    check(all(f.b < ceiling for f in sent), f"all under {ceiling}, its acknowledged ceiling: {max((f.b for f in sent), default=0)}")
    lowest = min(f.b for f in m.wires.esp(since=active, sender="gw1") if f.a == SPI_OUT)
    check(all(f.b < lowest for f in sent), "all under what gw1 uses")
    said_after = {f.data[42:] for f in m.wires.frames("sync", since=active) if f.sender == "gw1"}
    path = m.gw(2).sh("cat /tmp/seen.pcap | base64", timeout=60)
    heard, last = in_guest(path, said_after)
    check(heard, "gw2 got a datagram that gw1 sent after it became active")
    late = (last - heard) * 1000
    note(f"by gw2's own clock its last packet left {late:.0f} ms after it heard the higher epoch")
    check(late <= 20 + TCG_SLACK * 1000, f"{late:.0f} ms after the higher epoch, more than 20 and {TCG_SLACK * 1000:.0f} of TCG slack")


def in_guest(encoded, said_after):
    """Of gw2's capture (link type SLL or SLL2): when the first of these datagrams came in, and when its last ESP packet left."""
    with tempfile.NamedTemporaryFile(delete=False) as f:
        f.write(base64.b64decode(encoded))
    heard = last = None
    for when, frame in read_pcap(f.name):
        ip = frame[16:] if frame[14:16] == b"\x08\x00" else frame[20:]
        if ip[9] == 17 and heard is None and ip[28:] in said_after:
            heard = when
        if ip[9] == 50 and ip[12:16] == bytes(map(int, VIP.split("."))):
            last = when
    os.unlink(f.name)
    return heard, last or 0


def nothing_was_delivered_twice(m):
    m.far.sh("pkill -TERM -o -f lib/vm_traffic.py")
    told = json.loads(m.far.answer(m.traffic, 60)["out"])
    for way, got in told.items():
        if way.startswith("to_"):
            note(f"{way}: {got['received']} of {got['sent']} arrived")
            equal(got["twice"], 0, f"packets delivered twice {way}")
    nothing_repeats(m)


main([the_module_comes_from_dkms_and_modprobe, a_machine_is_killed, it_comes_back_and_the_new_owner_is_ready,
      an_active_machine_sleeps_and_wakes, nothing_was_delivered_twice], setup)
