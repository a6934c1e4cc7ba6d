#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: what a loaded gateway carries with a userspace relay of xfrm's events, against nobody listening
# FIGURES: aevent_throughput_ratio_2 aevent_throughput_ratio_32 aevent_throughput_ratio_1000
# WHERE: uml-bench
# SETS: timeout=900 cpus=1 peer
"""
aevents - the load of throughput's out_1sa without the module: progs/aevent-relay listens, or does not, by turns. A figure for each threshold: so many packets
of an SA raise one event.
"""
import signal

from esptest import *
from gateway import Gateway, relayed
from measured import figure, ratio_note, runs, wanted
from slices import Process, punctual, ratios

THRESHOLDS = 2, 32, 1000


def case(threshold):
    name = f"aevent_throughput_ratio_{threshold}"

    def measure(g):
        with relayed(g, threshold) as relay:
            g.carry(1, inbound=False)
            load = g.load()
            found, with_it = ratios(g.carried(), Process(relay.pid, signal.SIGUSR2, signal.SIGUSR1), runs(150, 20))
            load.stop()
        note(f"{with_it:.0f} packets/s with the relay")
        ratio_note(name, found, "")
        figure(name, "ratio", found)
    measure.__name__ = name
    return measure


def setup():
    punctual()
    return Gateway()


main([case(threshold) for threshold in THRESHOLDS if wanted(f"aevent_throughput_ratio_{threshold}")], setup)
