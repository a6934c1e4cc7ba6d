#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: what 100,000 SAs cost a processor, idle, and with 10,000 of them busy both ways
# FIGURES: cpu_100k_idle cpu_100k_10k_hot cpu_100k_10k_hot_interval_ms cpu_100k_10k_hot_age_ms
# WHERE: uml-bench
# SETS: timeout=1500 mem=4096
"""
rest - the owner's thread, while its standby has all. Busy are 5,000 inbound SAs and 5,000 outbound ones, each with a packet whenever its turn comes, from
programs that send as fast as they can. The processor's time is the thread's own; what arrives for it costs others little, for a standby only acknowledges.
The age is how old the standby's newest record of a busy inbound SA is, the oldest one of a hundred; each run is a look at all of them.
"""
import json
import socket
import threading
import time

import bulk
from esptest import *
from failover import ready
from measured import figure, quick, runs, wanted
from thousands import Hot, add, follow, meet, spis, ticks

NUMBER, BUSY = 100000, 10000
HZ = 100        # of what /proc says
OUTBOUND, INBOUND = (some[:BUSY // 2] for some in spis(NUMBER))


class Outward:
    """Packets for outbound SAs, in turn, as fast as it goes: what a host behind the gateway sends."""

    def __init__(self, c, spis_of):
        bulk.send_by(c.gw1, c.VIP, spis_of)
        c.gw1.ip(f"route add default via {c.CLIENT} dev out")
        self.to = [(bulk.inner(spi), 7000) for spi in spis_of]
        self.sock, self._ending = c.gw1.socket(socket.AF_INET, socket.SOCK_DGRAM), threading.Event()
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        while not self._ending.is_set():
            for to in self.to:
                self.sock.sendto(bytes(64), to)

    def stop(self):
        self._ending.set()
        self.thread.join()
        self.sock.close()


def share(seconds):
    """Of a processor, that the owner's thread used in so many."""
    before, began = ticks(1), time.monotonic()
    time.sleep(seconds)
    return (ticks(1) - before) / HZ / (time.monotonic() - began)


def idle(c):
    ready(c, 1)
    used = []
    for _ in range(runs(12)):
        used.append(share(5 if quick() else 20))
        note(f"{used[-1]:.4f} of a processor")
    figure("cpu_100k_idle", "cores", used)


def ages_ms(c):
    """Of the busy inbound SAs' records at the standby."""
    here = {f"0x{spi:08x}" for spi in INBOUND}
    return sorted(s["age_us"] / 1000 for s in json.loads(c.espsync(2, "-j show sas", timeout=120)) if s["spi"] in here)


def hot(c):
    load = Hot(c, INBOUND), Outward(c, OUTBOUND)
    until(lambda: c.show(1, "stats")["hot"] >= BUSY // 2, 60, "all of them are busy")
    used, interval, age = [], [], []
    for _ in range(runs(12)):
        packets = Hot.number
        used.append(share(5 if quick() else 10))
        interval.append(c.show(1, "channel")["interval_us"] / 1000)
        ages = ages_ms(c)
        age.append(ages[len(ages) * 99 // 100])
        check(Hot.number - packets >= 3, "each SA had packets meanwhile")
        note(f"{used[-1]:.3f} of a processor, interval {interval[-1]:.1f} ms, age {age[-1]:.1f} ms, {Hot.number - packets} packets for each SA")
    for one in load:
        one.stop()
    figure("cpu_100k_10k_hot", "cores", used)
    figure("cpu_100k_10k_hot_interval_ms", "ms", interval)
    figure("cpu_100k_10k_hot_age_ms", "ms", age)


def setup():
    module()
    c = Cluster()
    for n in (1, 2):
        add(c, n, NUMBER)
        follow(c, n, NUMBER)
    meet(c, NUMBER)
    return c


main([case for case, name in ((idle, "cpu_100k_idle"), (hot, "cpu_100k_10k_hot")) if wanted(name)], setup)
