#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: bytes on the sync link for each packet that the gateway carries, against a relay of xfrm's events at their default thresholds
# FIGURES: sync_bytes_ratio_out_1sa sync_bytes_ratio_out_1000sa sync_bytes_ratio_in_1sa sync_bytes_ratio_in_1000sa
# FIGURES: sync_bytes_ratio_out_1sa_1kpps sync_bytes_ratio_out_1000sa_1kpps sync_bytes_ratio_in_1sa_1kpps sync_bytes_ratio_in_1000sa_1kpps
# WHERE: uml-bench
# SETS: timeout=1800 cpus=1 peer
"""
sync-bytes - the same load twice: with the module, and with progs/aevent-relay and no module. Counted is what passes the gateway's sync device both ways,
Ethernet and IP with it, and taken for each packet carried, because a relay that does not keep up slows the gateway down. The relay ciphers, acknowledges and
sends again nothing.
"""
import time

from esptest import *
from gateway import Gateway, relayed
from measured import figure, ratio_note, runs, wanted

RATES = {"": 50000, "_1kpps": 1000}


def bytes_per_packet(g, rate, seconds):
    """One run after the other, while a load goes on."""
    load, link, packets, found = g.load(rate), g.on_the_link(), g.carried(), []
    time.sleep(2)
    for _ in range(runs(10)):
        began, before = time.monotonic(), (link(), packets())
        time.sleep(seconds)
        sent, carried = link() - before[0], packets() - before[1]
        found.append(sent / carried)
    load.stop()
    note(f"{carried / (time.monotonic() - began):.0f} packets/s, {sent / (time.monotonic() - began):.0f} bytes/s on the link")
    return found


def case(number, inbound):
    way = f"{'in' if inbound else 'out'}_{number}sa"

    def measure(g):
        asked = {name: rate for suffix, rate in RATES.items() if wanted(name := f"sync_bytes_ratio_{way}{suffix}")}
        g.carry(number, inbound)
        g.replicate()
        ours = {name: bytes_per_packet(g, rate, 5) for name, rate in asked.items()}
        g.without_module()
        g.carry(number, inbound)
        with relayed(g):
            theirs = {name: bytes_per_packet(g, rate, 5) for name, rate in asked.items()}
        for name in asked:
            found = [a / b for a, b in zip(ours[name], theirs[name])]
            ratio_note(name, found, "")
            figure(name, "ratio", found)
    measure.__name__ = way
    return measure


main([case(number, inbound) for inbound in (False, True) for number in (1, 1000)
      if wanted(*(f"sync_bytes_ratio_{'in' if inbound else 'out'}_{number}sa{suffix}" for suffix in RATES))], Gateway)
