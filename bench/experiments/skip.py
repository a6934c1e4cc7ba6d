#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: numbers that a takeover skips, against the most that it may, and never fewer than were used
# FIGURES: takeover_skip takeover_skip_least
# WHERE: uml-bench
# SETS: timeout=600 quick
"""
skip - the owner is cut off at some moment, every other time with a renewal under way, and what both nodes sent is looked at afterwards.

takeover_skip is what the worse SA of a takeover skipped, as a share of (nodes + 1) x (lease + lease_min), which must never be reached; takeover_skip_least how
far the lowest number of the heir is above the last one that the dead node sent, by its own capture.
"""
import time

from esptest import *
from failover import *
from measured import figure, runs


def skip(c):
    rng, load, lease, rounds = seeded(), Load(c, c.tunnels), {}, []
    caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
    load.flows("before the first takeover")
    for i in range(runs(20)):
        r = crash_under_load(c, rng, load, i % 2, lease)
        # The next one may move counters by hand: until then is what this one skipped.
        r.until = time.time()
        return_zombie(c, r.died)
        rounds.append(r)
    load.stop()
    for cap in caps.values():
        equal(cap.dropped, 0, f"packets that the capture at {cap.name} missed")
    found = [list(jumps(caps, r)) for r in rounds]
    for per_sa in found:
        note("; ".join(j.what for j in per_sa))
    figure("takeover_skip", "ratio", [max(j.skipped / j.bound for j in per_sa) for per_sa in found])
    figure("takeover_skip_least", "numbers", [min(j.first - j.last for j in per_sa) for per_sa in found])


main([skip], prepared)
