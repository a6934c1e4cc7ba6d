#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: instructions that the module adds to a packet sent, and that an inbound record costs, counted by QEMU
# FIGURES: instructions_added_out instructions_per_datagram_in instructions_per_record_in
# WHERE: qemu-6.1
# SETS: timeout=1800 cpus=1 icount mem=1024
"""
instructions - a machine whose clock is the number of instructions that it has carried out, a nanosecond each.

instructions_added_out is what a packet through a gateway with the module and a standby costs more than one without the module, as a share of it: pktgen's packets are
handled one after the other on one processor, so its clock counts all that happens meanwhile, the standby and the timer with it.
A record's are those of the owner's thread while 1,000 inbound SAs are busy: looking, sealing, sending, and what arrives for the standby's socket, which is delivered
within the same call.
"""
import json
import os
import time

from esptest import *
from gateway import Beside, Gateway, counter
from measured import figure, quick, ratio_note, runs, wanted

PACKETS = 20000


def per_packet(g):
    """Instructions; the first packets find caches cold and are not counted."""
    g.load(number=PACKETS // 10).took_us()
    return g.load(number=PACKETS).took_us() * 1000 / PACKETS


def added_out(g):
    found = []
    g.carry(1, inbound=False)
    for _ in range(runs(10)):
        g.replicate()
        loaded = per_packet(g)
        g.without_module()
        without = per_packet(g)
        found.append((loaded - without) / without)
        note(f"{loaded:.1f} with, {without:.1f} without: {found[-1]:.5f}")
    figure("instructions_added_out", "ratio", found)


def thread_ns(name):
    """What a kernel thread has used."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as f:
            if f.read().strip() != name:
                continue
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0])
    raise LookupError(f"no thread {name}")


def merged(g):
    """Records that told the standby something."""
    return int(json.loads(g.peer.sh("espsync -j show stats"))["merges"])


def records_in(g):
    per_datagram, per_record, sent = [], [], counter(g.ns, "sync", 9)
    g.carry(1000, inbound=True, algorithms="NULL")
    g.replicate()
    load = g.load(20000)
    until(lambda: g.show(1, "stats")["hot"] == 1000, 60, "all of them are busy")
    for _ in range(runs(10)):
        before = thread_ns("espsync/1"), sent(), merged(g)
        time.sleep(0.5 if quick() else 1)
        used, datagrams, records = (now - then for now, then in zip((thread_ns("espsync/1"), sent(), merged(g)), before))
        per_datagram.append(used / datagrams)
        per_record.append(used / records)
        note(f"{datagrams} datagrams, {records} records, {used} instructions of the owner's thread")
    load.stop()
    for name, found in (("datagram", per_datagram), ("record", per_record)):
        ratio_note(name, found, "instructions")
        figure(f"instructions_per_{name}_in", "instructions", found)


CASES = {added_out: ["instructions_added_out"], records_in: ["instructions_per_datagram_in", "instructions_per_record_in"]}

main([case for case, names in CASES.items() if wanted(*names)], lambda: Gateway(Beside()))
