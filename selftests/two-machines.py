#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: gateways that are machines of their own: kill -9 of one, and one that sleeps for 10 s and wakes up still active
# WHERE: host
# SETS: timeout=900
"""
two-machines - stock kernels, the module as DKMS installs it, SAs by hand.

Job: the module across real machine borders. The wires record what each machine
sent before anybody else gets it, so nothing is lost with a machine; their time
is the host's. Who is active is said by this test. In emulation a machine may
get no processor for a while: TCG_SLACK says how much of that is forgiven.
"""
import base64
import json
import os
import tempfile
import time

from esptest.ktap import check, equal, main, note, seeded
from esptest_machines import INNER, SPI_OUT, VIP, Machines
from esptest_vm import until
from esptest_wires import read_pcap

PAUSE_S = 10
TCG_SLACK = 0.25


def the_module_comes_from_dkms_and_modprobe(m):
    for n in (1, 2):
        check("/updates/dkms/espsync.ko" in m.gw(n).sh("modinfo -n espsync"), "modprobe takes what DKMS installed")
        equal(m.gw(n).sh("cat /sys/module/espsync/parameters/vip").strip(), VIP, f"gw{n}'s vip=")
    equal([m.role(1), m.role(2)], ["active", "standby"], "roles")
    until(lambda: m.ready(1).status == 0, 15, lambda: m.ready(1) + m.ready(1).stderr)


def a_machine_is_killed(m):
    time.sleep(seeded().random())
    m.gw(1).kill()
    killed = time.time()
    said = m.gw(2).sh("espsync promote")
    m.take_addresses(2)
    m.flows()
    note(f"promote said: {said.strip()}")
    equal(m.role(2), "active", "gw2's role")
    m.disjoint("gw1", "gw2", killed)
    m.nothing_repeats()
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
    m.drop_addresses(2)     # as VRRP does; until then it answered ARP as well
    m.take_addresses(1)
    m.flows()
    gw2.sh("pkill ping; pkill tcpdump; sleep 0.3", ok=None)
    judge_zombie(m, before, active, resumed)
    m.disjoint("gw2", "gw1", paused)
    m.nothing_repeats()


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
    m.nothing_repeats()


main([the_module_comes_from_dkms_and_modprobe, a_machine_is_killed, it_comes_back_and_the_new_owner_is_ready,
      an_active_machine_sleeps_and_wakes, nothing_was_delivered_twice], Machines)
