# SPDX-License-Identifier: GPL-2.0
"""A load with something and without it, by turns, so that what changes slowly changes both.

Room: slices of 100 ms of one running load, their edges discarded, and the ratio of each pair. Whole runs of the same code differ by 20 %, neighbouring
slices by much less; which of a pair comes first alternates. What is switched on and off, and what is counted, is the caller's.
"""
import os
import time

from esptest import defer, module

SLICE_S, EDGE_S = 0.1, 0.02
FAULTS = "/sys/kernel/debug/espsync_faults"


def punctual():
    """Whoever measures comes first, for the load leaves no time to others."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    defer(os.sched_setscheduler, 0, os.SCHED_OTHER, os.sched_param(0))


def rate(count):
    """Of a counter over one slice."""
    first, began = count(), time.monotonic()
    time.sleep(SLICE_S)
    return (count() - first) / (time.monotonic() - began)


class Held:
    """Replication, or not: the channel's thread stands still at the first datagram that it wants to send, and nothing else of espsync runs
    while SAs are busy."""

    def __init__(self, ns):
        module("espsync_faults")
        self.netns = os.stat(f"/run/netns/{ns}").st_ino
        self.until = 0.0

    def on(self):
        time.sleep(max(0.0, self.until - time.monotonic()) + EDGE_S)
        self._tell("off")

    def off(self):
        self.on()
        held_s = SLICE_S + 2 * EDGE_S
        self._tell(f"send any {self.netns} 1 {int(held_s * 1e6)} 0")
        with open(FAULTS, encoding="ascii") as f:
            f.read()        # waits until it stands still
        self.until = time.monotonic() + held_s
        time.sleep(EDGE_S)

    @staticmethod
    def _tell(words):
        with open(FAULTS, "w", encoding="ascii") as f:
            f.write(words)


class Process:
    """A process that is told by signals to work or not to."""

    def __init__(self, pid, on, off):
        self.pid, self.signals = pid, (on, off)

    def on(self):
        os.kill(self.pid, self.signals[0])
        time.sleep(EDGE_S)

    def off(self):
        os.kill(self.pid, self.signals[1])
        time.sleep(EDGE_S)


def ratios(count, switch, pairs):
    """[with / without] of so many pairs, and the median rate with it."""
    found, with_it = [], []
    for i in range(pairs):
        got = {}
        for on in (True, False) if i % 2 else (False, True):
            switch.on() if on else switch.off()
            got[on] = rate(count)
        found.append(got[True] / got[False])
        with_it.append(got[True])
    switch.on()
    return found, sorted(with_it)[pairs // 2]
