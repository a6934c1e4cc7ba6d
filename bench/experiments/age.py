#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: how old the standby's windows are at 30,000 packets/s
# FIGURES: inbound_age_p99_ms
# WHERE: uml-bench
# SETS: timeout=300 quick
"""
age - 10 inbound SAs take 30,000 packets/s in turn. A look asks the standby's kernel for the edge of one of their windows, and the owner's for the same at once: so many
packets as the one is behind the other, so long ago it was up to date. A run is the age that 99 of 100 of its looks are below. Both nodes are in one machine, for
there is no moment at once for two.
"""
import random
import time

import bulk
from esptest import *
from gateway import VIP, Beside, Gateway
from measured import figure, ratio_note, runs
from slices import punctual

NUMBER, RATE, LOOKS = 10, 30000, 300


def look(owner, standby, spi):
    """Packets behind."""
    there = bulk.edge(standby, VIP, spi)
    return bulk.edge(owner, VIP, spi) - there


def age(g):
    g.carry(NUMBER, inbound=True, algorithms="NULL")
    g.replicate()
    load, carried, rng, found = g.load(RATE), g.carried(), random.Random(1), []
    with bulk.asking(g.ns) as owner, bulk.asking(g.peer.ns) as standby:
        until(lambda: look(owner, standby, g.spis[0]) < RATE // NUMBER, 20, "the standby follows")
        for _ in range(runs(20)):
            began, before, behind = time.monotonic(), carried(), []
            for _ in range(LOOKS):
                time.sleep(rng.uniform(0.001, 0.004))
                behind.append(look(owner, standby, rng.choice(g.spis)))
            each = (carried() - before) / NUMBER / (time.monotonic() - began)
            found.append(sorted(behind)[LOOKS * 99 // 100] / each * 1000)
            check(each * NUMBER > 0.9 * RATE, f"the load is {RATE} packets/s, not {each * NUMBER:.0f}")
    load.stop()
    ratio_note("99 of 100 looks are below", found, "ms")
    figure("inbound_age_p99_ms", "ms", found)


def setup():
    punctual()
    return Gateway(Beside())


main([age], setup)
