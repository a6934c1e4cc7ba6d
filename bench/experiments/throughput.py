#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: what a loaded gateway carries while it replicates, against replication paused
# FIGURES: throughput_ratio_out_1sa throughput_ratio_out_1000sa throughput_ratio_in_1sa throughput_ratio_in_1000sa
# FIGURES: throughput_ratio_in_1sa_50kpps throughput_ratio_in_1000sa_50kpps
# WHERE: uml-bench
# SETS: timeout=1800 cpus=1 peer quick
"""
throughput - a gateway with one processor, whose standby has another. Packets of 300 bytes are encrypted with AES-GCM on their way out. On their way in they
come ciphered with nothing from a far end that shares the gateway's processor: what both do then costs about as much as a gateway alone that deciphers, so that the
module's share is no smaller than it would be there.
"""
from esptest import *
from gateway import Gateway
from measured import figure, ratio_note, runs, wanted
from slices import Held, punctual, ratios


def one(g, name, rate=None):
    if not wanted(name):
        return
    load = g.load(rate)
    until(lambda: g.show(1, "stats")["hot"] >= (g.number if g.inbound else 0), 20, "all of them are busy")
    found, with_it = ratios(g.carried(), Held(g.ns), runs(300, 20))
    load.stop()
    note(f"{with_it:.0f} packets/s while it replicates")
    ratio_note(name, found, "")
    figure(name, "ratio", found)


def case(number, inbound):
    way = f"{'in' if inbound else 'out'}_{number}sa"

    def measure(g):
        g.carry(number, inbound, "NULL" if inbound else "GCM")
        g.replicate()
        one(g, f"throughput_ratio_{way}")
        if inbound:
            one(g, f"throughput_ratio_{way}_50kpps", 50000)
        g.replicate_no_more()
    measure.__name__ = way
    return measure


def setup():
    punctual()
    return Gateway()


main([case(number, inbound) for inbound in (False, True) for number in (1, 1000)
      if wanted(*(f"throughput_ratio_{'in' if inbound else 'out'}_{number}sa{rate}" for rate in ("", "_50kpps")))], setup)
