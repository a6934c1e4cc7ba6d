#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a gateway that is put back to a snapshot stops when it is told, and what it sent again is named for a rekey
# WHERE: host
# SETS: timeout=600 named
"""
vmfork - a machine is saved, goes on, is killed and restored as it was saved, with another generation ID, as a hypervisor does it.

Job: what the wires show of its numbers then. To the restored machine no time has passed and nothing has happened; all that it is told is the
changed ID. What waited for it on the wires comes in before that: nothing in it can know better yet.
"""
import json
import os
import secrets
import time

from esptest.ktap import check, equal, main, note
from esptest.xfrm import Sa
from esptest_machines import CLIENT, SPI_IN, SPI_OUT, VIP, Machines
from esptest_vm import until

TOLD_S = 1      # emulated, until ACPI's event has made its way to the module; some 0.15 where nothing else runs


def sent(m, gw, since=0.0):
    return [f for f in m.wires.esp(sender=gw, since=since) if f.a == SPI_OUT]


def save(m, n):
    """Gateway n, active, is saved and goes on with some hundred packets. Where and when it was saved."""
    path = os.path.join(m.wires.dir, "snapshot")
    until(lambda: m.ready(n).status == 0, 15, lambda: m.ready(n) + m.ready(n).stderr)
    m.gw(n).sh("pkill -x espsync", ok=None)     # a monitor that runs from a share
    m.gw(n).save(path)
    saved = time.time()
    until(lambda: len(sent(m, f"gw{n}", saved)) > 300, 30, "300 packets since the snapshot")
    return path


def put_back(m, n, path):
    """It is restored, and becomes silent. What it sends again until then is counted."""
    before = {f.b for f in sent(m, f"gw{n}")}
    started = time.time()
    m.gw(n).restore(path)
    until(lambda: m.role(n) == "standby", 60, lambda: f"gw{n} is standby: {m.gw(n).output()}")
    time.sleep(TOLD_S)
    fresh = sent(m, f"gw{n}", started)
    again = [f for f in fresh if f.b in before]
    took = fresh[-1].time - fresh[0].time if fresh else 0
    note(f"gw{n} sent {len(fresh)} packets in {took * 1000:.0f} ms, {len(again)} of them with numbers of before")
    check(took < TOLD_S, f"it was silent {took:.2f} s after its first packet")
    return again


def goes_on_without(m, new, old, since):
    """The other node carries the tunnel with numbers of its own, and names the SA."""
    m.flows()
    mine = [f.b for f in sent(m, f"gw{new}", since)]
    his = [f.b for f in sent(m, f"gw{old}")]
    check(min(mine) > max(his), f"gw{new} sends from {min(mine)} on, gw{old} sent {max(his)}")
    until(lambda: m.outbound(new)["state"] == "stale", 10, lambda: f"the SA is named: {m.outbound(new)}")
    events = [json.loads(line) for line in m.gw(new).sh("cat /tmp/events").splitlines()]
    check(any(e["event"] == "rekey-needed" for e in events), f"a rekey is asked for: {events}")


def listen(m, n):
    m.gw(n).sh("pkill -x espsync; espsync -j monitor >/tmp/events 2>&1 & sleep 0.5")


def a_snapshot_is_restored_and_nobody_had_taken_over(m):
    path = save(m, 1)
    m.gw(1).kill()
    check(put_back(m, 1, path), "what waited for it on the wires went out as if nothing had happened")
    equal(m.role(2), "standby", "gw2's role")
    listen(m, 2)
    since = time.time()
    m.gw(2).sh("espsync promote", ok=(0, 3))
    m.take_addresses(2)
    m.drop_addresses(1)
    goes_on_without(m, 2, 1, since)


def a_snapshot_is_restored_after_a_takeover(m):
    fresh_sas(m)
    path = save(m, 2)
    m.gw(2).kill()
    killed = time.time()
    listen(m, 1)
    m.gw(1).sh("espsync promote", ok=(0, 3))
    m.take_addresses(1)
    m.flows()
    check(m.outbound(1)["state"] != "stale", "the takeover was in sync")
    put_back(m, 2, path)
    equal(m.role(1), "active", "gw1's role")
    m.drop_addresses(2)         # its keepalived was put back too, and hears gw1's now
    m.take_addresses(1)
    goes_on_without(m, 1, 2, killed)


def fresh_sas(m):
    """Rekeyed, first where it is negotiated."""
    m.to_gw = Sa(CLIENT, VIP, SPI_IN, window=1024, esn=True, key="0x" + secrets.token_hex(20))
    m.to_client = Sa(VIP, CLIENT, SPI_OUT, window=1024, esn=True, key="0x" + secrets.token_hex(20))
    for vm in (m.gw(2), m.gw(1), m.far):
        vm.sh("ip xfrm state flush; ip xfrm policy flush")
    m.wires.clear()
    for vm in (m.far, m.gw(2), m.gw(1)):
        m.tunnel(vm, gateway=vm is not m.far)
    m.flows()
    check(m.outbound(2)["state"] != "stale", "nothing is in doubt of the new SA")


main([a_snapshot_is_restored_and_nobody_had_taken_over, a_snapshot_is_restored_after_a_takeover], Machines)
