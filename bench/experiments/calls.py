#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: counters of one SA of 1,000, read and written over genetlink inside one process
# FIGURES: sa_get_us sa_put_us
# WHERE: uml-bench
# SETS: timeout=300 quick
"""
calls - what a program needs to read the counters of an SA, and to write them: each run is a call of progs/sa-calls.
"""
import os

import bulk
from esptest import *
from measured import figure, quick, ratio_note
from thousands import add, follow, spis

NUMBER, WARM_UP = 1000, 100
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../progs/sa-calls")


def calls(c):
    _, inbound = spis(NUMBER)
    number = WARM_UP + (200 if quick() else 2000)
    said = c.gw1.sh([PROGRAM, c.VIP, str(inbound[NUMBER // 4]), str(number)])
    for what in ("get", "put"):
        took = [float(line.split()[1]) for line in said.splitlines() if line.startswith(what)][WARM_UP:]
        equal(len(took), number - WARM_UP, f"calls of {what}")
        ratio_note(what, took, "us")
        figure(f"sa_{what}_us", "us", took)
    equal(bulk.edges(c.gw1, c.VIP, [inbound[NUMBER // 4]]), [number], "the number that was put last")


def setup():
    module()
    c = Cluster()
    add(c, 1, NUMBER)
    follow(c, 1, NUMBER)
    return c


main([calls], setup)
