#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: no data race is seen while packets flow both ways: sampler and merge, states deleted and added, takeovers, scopes, the module unloaded
# WHERE: qemu-kcsan
# SETS: timeout=350 named alone
"""
races - what the kernel's concurrency sanitizer (KCSAN) looks at. What it reports is judged by the harness, as is all that a kernel says.

It watches an access for a while, and sees a race if another processor comes to the same word meanwhile. Its own 80 us are nothing for processors that are
emulated: of all the kernel's races it saw none. So each watch is long here, and more accesses are watched, at the price of a guest in which nothing keeps
to time: all that is asked of the module's times is that they are long.
"""
import contextlib
import subprocess
import time

from esptest import *
from esptest.system import unload
from failover import *

WATCH = {"udelay_task": 3000, "udelay_interrupt": 3000, "skip_watch": 300}
SECONDS = 60


def watched():
    """How many accesses have been, since the boot."""
    with open("/sys/kernel/debug/kcsan", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("setup_watchpoints"))


@contextlib.contextmanager
def looked_at(c):
    """Packets flow, something happens, and it is looked at."""
    before = watched()
    yield
    c.load.flows("at the end")
    sets = watched() - before
    note(f"{sets} accesses watched")
    check(sets > 1000, f"{sets} accesses were watched")


def packets_are_counted_and_told(c):
    """The sampler and the merge, one who listens to every counter, and one who asks for all of them."""
    listener = spawn(["espsync", "-n", c.gw1, "-j", "monitor", "counters"], stdout=subprocess.DEVNULL)
    with looked_at(c):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for node in c.gw:
                sas(c, node)
            c.espsync(1, "resync")
    listener.terminate()
    listener.wait(10)


def states_come_and_go(c):
    with looked_at(c):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            rekeyed_at_once(c)


def rekeyed_at_once(c):
    """The pair with ESN is deleted and added on both nodes while packets ask for it."""
    t = c.tunnels[0]
    for sa in (t.to_client, t.to_gw):
        for gw in c.gw.values():
            sa.delete(gw)
            sa.add(gw)


def groups_change(c):
    with looked_at(c):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for node in c.gw:
                c.espsync(node, f"group set 0 addr {c.VIP}")
                c.espsync(node, f"group set 0 addr {c.VIP} {c.VIP6}")


def roles_change(c):
    with looked_at(c):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            c.active = 3 - c.active
            c.fail_over(c.active)


def it_is_unloaded(c):
    with looked_at(c):
        for _ in range(3):
            unload()
            module()
            for node in c.gw:
                c.configure(node)
            set_times(c, 5000, 60000)
            c.espsync(c.active, "promote")


def setup():
    c = prepared(5000, 60000)
    for name, value in WATCH.items():
        with open(f"/sys/module/kcsan/parameters/{name}", "w", encoding="ascii") as f:
            f.write(str(value))
    c.load = Load(c, c.tunnels, rate=100, zombies=False)
    c.load.flows("at the beginning")
    return c


main([packets_are_counted_and_told, states_come_and_go, groups_change, roles_change, it_is_unloaded], setup)
