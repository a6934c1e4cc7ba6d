#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: make demo: three machines, a strongSwan tunnel with traffic, both gateways killed in turn, beside the same without espsync
# WHERE: host
# SETS: timeout=900
"""
demo - the demonstration runs from beginning to end and its last lines are true to their form.

Job: what somebody reads who runs `make demo`, and its exit status, which says whether the tunnel survived. How it is measured is demo/run's.
"""
import os
import re
import subprocess

from esptest.ktap import check, equal, main, note

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo", "run")
TIMES = r"detection \d+ ms, takeover \d+ ms, TCP stalled \d+ ms"
LINE = r"%s: interruption (>?)(\d+) ms, lost (\d+) packets, replay drops (\d+), repeated numbers (\d+), new IKE SAs (\d+)"


def it_is_run(lines):
    proc = subprocess.Popen([RUN], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in proc.stdout:
        lines.append(line.rstrip())
        note(lines[-1])
    equal(proc.wait(), 0, "its exit status")


def the_tunnel_survives_both_kills(lines):
    check(re.fullmatch(TIMES, lines[-3]), f"the times: {lines[-3]}")
    with_it = re.fullmatch(LINE % "demo", lines[-1])
    check(with_it, f"the last line: {lines[-1]}")
    equal(with_it[1], "", "the interruption ends within the run")
    equal([int(with_it[i]) for i in (4, 5, 6)], [0, 0, 0], "replay drops, repeated numbers, new IKE SAs")


def without_espsync_it_does_not(lines):
    """Otherwise the demonstration shows nothing."""
    without = re.fullmatch(LINE % "without", lines[-2])
    check(without, f"the line before the last: {lines[-2]}")
    check(without[1] == ">" and int(without[4]) + int(without[5]) > 100, f"the tunnel stays dead: {lines[-2]}")


main([it_is_run, the_tunnel_survives_both_kills, without_espsync_it_does_not], lambda: [])
