#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: memory of 100,000 SAs beside xfrm's own, with one peer and with another
# FIGURES: bytes_per_sa bytes_per_sa_and_peer
# WHERE: uml-bench
# SETS: timeout=600 mem=2048 quick
"""
memory - how much less memory there is once a channel follows 100,000 SAs, and once it has another peer; and then it goes, and all begins anew.

What does not depend on the number of SAs (tables, the channel itself) is in it. Peers need not answer: what a node keeps for them it keeps at once.
"""
import time

from esptest import *
from measured import figure, runs
from thousands import add, follow, free_kib

NUMBER = 100000


def settled_kib():
    """Of what goes by and by, and of files, nothing is counted."""
    sh("sync; echo 3 > /proc/sys/vm/drop_caches")
    time.sleep(1)
    return free_kib()


def memory(c):
    one, another = [], []
    for _ in range(runs(10)):
        before = settled_kib()
        follow(c, 1, NUMBER)
        c.espsync(1, f"peer add 2 {c.SYNC[2]}")
        with_one = settled_kib()
        c.espsync(1, f"peer add 3 {c.SYNC[3]}")
        with_another = settled_kib()
        c.espsync(1, "channel del --release")
        one.append((before - with_one) * 1024 / NUMBER)
        another.append((with_one - with_another) * 1024 / NUMBER)
        note(f"{one[-1]:.1f} bytes for each SA, {another[-1]:.1f} for another peer")
    figure("bytes_per_sa", "bytes", one)
    figure("bytes_per_sa_and_peer", "bytes", another)


def setup():
    module()
    c = Cluster()
    add(c, 1, NUMBER)
    return c


main([memory], setup)
