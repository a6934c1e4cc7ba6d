#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: with 100,000 SAs `show` answers within a second, in text and JSON, and a dump of them all is whole while others come and go
# WHERE: uml-fast
# SETS: timeout=900 mem=3072 alone named uml-only
"""
show-many - the third part of the point "ready": what is shown does not take longer than one waits for it.

`show` walks every SA for its counts; `show sas` tells them all, a message each. The second is timed too, against what xfrm's own tool takes to
list the same states, for it prints a hundred thousand objects.
"""
import json
import os
import time

import bulk
from esptest import *

NUMBER, FIRST = 100000, 0x100000
SECONDS = 1.0


def timed(fn, tries=3):
    """The shortest of some times, and what was answered last."""
    best = None
    for _ in range(tries):
        start = time.monotonic()
        answer = fn()
        took = time.monotonic() - start
        best = took if best is None else min(best, took)
    return best, answer


def they_are_followed(c):
    """Half of them are there before the channel, and found by its walk; the others are told of."""
    for half in range(2):
        start, spis = time.monotonic(), range(FIRST + half * NUMBER // 2, FIRST + (half + 1) * NUMBER // 2)
        bulk.add(c.gw1, c.VIP, spis)
        made = time.monotonic() - start
        if not half:
            open_channel(c)
        until(lambda: c.show(1, "stats")["sas"] == (half + 1) * NUMBER // 2, 120, "all are followed")
        note(f"{len(spis)} SAs made in {made:.1f} s, followed in {time.monotonic() - start:.1f} s")


def show_is_quick(c):
    for words in ("show", "-j show", "show groups", "show peers", "-j ready"):
        took, _ = timed(lambda: c.espsync(1, words, ok=(0, 1)))
        note(f"{words}: {took * 1000:.0f} ms")
        check(took < SECONDS, f"{words} takes {took:.2f} s")
    equal(c.show(1)["groups"][0]["sas_total"], NUMBER, "SAs of the group")


def ticks(name):
    """What a thread of the kernel has used, in hundredths of a second."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            text = f.read()
        if f"({name})" in text:
            fields = text.rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
    raise AssertionError(f"there is no thread {name}")


def at_rest(_):
    """The look at every SA, once a second, counts packets and asks whether the node is ready: that costs little."""
    before = ticks("espsync/1")
    time.sleep(10)
    used = ticks("espsync/1") - before
    note(f"the channel's thread uses {used / 10:.1f} % of a processor with {NUMBER} idle SAs")
    check(used < 500, f"less than half a processor at rest, where each access is checked: {used / 10} %")


def all_of_them(c):
    took, shown = timed(lambda: c.espsync(1, "-j show sas", timeout=120), 2)
    xfrm, _ = timed(lambda: c.gw1.sh("ip -s xfrm state | wc -c", timeout=120), 2)
    note(f"show sas: {took:.1f} s, ip -s xfrm state: {xfrm:.1f} s")
    equal(len({s["spi"] for s in json.loads(shown)}), NUMBER, "SAs that it lists")
    check(took < max(2 * xfrm, 2), f"show sas takes {took:.1f} s, ip xfrm {xfrm:.1f} s")


def while_others_come_and_go(c):
    keep, pass_by = range(FIRST, FIRST + NUMBER), range(0x10000, 0x10000 + 200)
    with bulk.coming_and_going(c.gw1, c.VIP, pass_by) as rounds:
        before = len(rounds)
        listed = [int(s["spi"], 16) for s in json.loads(c.espsync(1, "-j show sas", timeout=120))]
    note(f"{len(rounds) - before} times {len(pass_by)} SAs came and went meanwhile")
    there = [spi for spi in listed if spi in keep]
    equal((len(there), len(set(there))), (NUMBER, NUMBER), "SAs that were there all the time: listed, and different ones")


def open_channel(c):
    c.espsync(1, f"channel set node 1 local {c.SYNC[1]} psk-file {c.key_file()}")
    c.espsync(1, f"group set 0 addr {c.VIP}")
    c.espsync(1, f"peer add 2 {c.SYNC[2]}")
    c.espsync(1, "promote")


def setup():
    module()
    return Cluster(nodes=(1,))


main([they_are_followed, show_is_quick, at_rest, all_of_them, while_others_come_and_go], setup)
