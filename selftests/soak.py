#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: random failovers one after the other: crash, pause, planned, partition; invariants I1 to I4 after each
# WHERE: uml
# SETS: timeout=3000 alone named uml-only
"""
soak - many failovers, none of which may cost a number.

    crash      all wires of the active node are pulled; it goes on as a zombie, recorded, and comes back
    pause      its thread stands still too, longer than failover detection takes, and then goes on as if nothing had been
    planned    demote, the addresses, promote
    partition  the nodes hear nothing of each other for a while, shorter or longer than "in" lasts; then the active one dies

Judged after each: no number captured twice, nobody's counter fell, what the old owner had accepted is refused by the new one, no jump
beyond its bound; after one that was out of sync every SA is named, and replaced as espsyncd would.

SOAK_RUNS of them from number SOAK_FROM on, with SOAK_SEED; the three repeat a run. `make soak N=10000` runs them in many boots.
"""
import os
import random
import time

from esptest import *
from failover import *

RUNS, FROM = int(os.environ.get("SOAK_RUNS") or 20), int(os.environ.get("SOAK_FROM") or 0)
SEED = os.environ.get("SOAK_SEED") or str(random.SystemRandom().randrange(1 << 32))
DETECT_S, EVICT_S = 2, 8
GENERATION = 8          # failovers with the same SAs


class Generation:
    """Some failovers with the same SAs, captured from before the first to after the last."""

    def __init__(self, c):
        self.c, self.rounds, self.lease = c, [], {}
        rekeyed(c)
        self.watch = Watch(c)
        self.ledger, self.taster = Ledger(c, self.watch.caps.values(), out=True), Taster(c)
        self.load = Load(c, c.tunnels)
        self.load.flows("before a failover")

    def end(self):
        """The captures are complete now: none lost a packet, no jump was too far."""
        self.load.stop()
        now = time.time()
        for r, following in zip(self.rounds, [*self.rounds[1:], None]):
            r.until = following.at if following else now
        self.watch.judge()
        jumps_are_bounded(self.watch.caps, [r for r in self.rounds if r.bounded])


def silent_heir(g, died, rng):
    """The heir is active after it noticed. SAs in doubt."""
    time.sleep(rng.choice((0, rng.uniform(0, 0.5))))
    return take_over(g.c, 3 - died)


def crash(g, died, rng):
    g.c.crash(died)
    doubtful = silent_heir(g, died, rng)
    g.c.active = 3 - died
    g.load.flows("after a crash")
    return_zombie(g.c, died)
    return doubtful


def pause(g, died, rng):
    """Nothing of the node runs: neither its thread nor what it would send."""
    c, still = g.c, rng.uniform(1.2, 2) * DETECT_S
    c.knob.arm("send", "any", c.gw[died], delay_us=int(1e6 * still))
    c.knob.wait()
    until_s = time.monotonic() + still
    c.crash(died)
    g.load.pause(c.gw[died])
    doubtful = silent_heir(g, died, rng)
    c.active = 3 - died
    g.load.flows("while the old one stands still")
    time.sleep(max(0, until_s - time.monotonic()))
    g.load.go_on(c.gw[died])
    time.sleep(rng.uniform(0, 0.2))
    return_zombie(c, died)
    c.knob.off()
    return doubtful


def planned(g, died, rng):
    c = g.c
    said = c.espsync(died, "demote")
    check("flushed" in said and "not flushed" not in said, f"demote says {said!r}")
    c.move_vip(3 - died)
    doubtful = promote(c, 3 - died)
    c.active = 3 - died
    return doubtful


def partition(g, died, rng):
    c = g.c
    c.cut_sync()
    time.sleep(rng.choice((rng.uniform(0, 2), rng.uniform(0, 1.5 * EVICT_S))))
    c.crash(died)
    doubtful = silent_heir(g, died, rng)
    c.active = 3 - died
    g.load.flows("after a partition")
    c.heal_sync()
    return_zombie(c, died)
    return doubtful


KINDS = [crash, pause, planned, partition]


def one(g, number):
    """One failover, judged. (kind, how, whether its SAs are in doubt)"""
    c, rng = g.c, random.Random(f"{SEED}:{number}")
    kind, renew, died = rng.choice(KINDS), rng.random() < 0.4, c.active
    what = f"run {number} {kind.__name__} {died}>{3 - died}"
    try:
        ready(c, died)
        frames = g.taster.take()
        moved = near_renewal(c, rng) if renew else {}
        time.sleep(rng.uniform(0, 0.3))
        r = Round(c, died, moved, g.lease)
        begin = time.monotonic()
        doubtful = kind(g, died, rng)
        note_leases(c, 3 - died, g.lease)       # what it had been told, even if a renewal was under way
        r.lease = dict(g.lease)
        r.bounded = not doubtful
        check(doubtful in ((0, len(c.tunnels)) if kind is partition else (0,)), f"{doubtful} SAs in doubt")
        g.rounds.append(r)
        g.load.flows("after the takeover")
        g.watch.look()
        g.ledger.judge()
        g.taster.refused_by(c.active, frames, g.load)
        equal([role_of(c, n) for n in (c.active, 3 - c.active)], ["active", "standby"], "roles")
    except Exception as e:
        note(f"{what}: failed, {str(e).splitlines()[0][:160]} (SOAK_SEED={SEED} SOAK_FROM={number} SOAK_RUNS=1 repeats it)")
        note(sh("dmesg | tail -15"))
        raise
    note(f"{what}: ok{', a renewal under way' if renew else ''}{f', {doubtful} in doubt' if doubtful else ''}, {time.monotonic() - begin:.1f} s")
    return doubtful


def setup():
    c = prepared(1000 * DETECT_S, 1000 * EVICT_S)
    c.knob = Knob()
    note(f"seed {SEED}, runs {FROM} to {FROM + RUNS - 1}")
    return c


def soak(c):
    g = Generation(c)
    for number in range(FROM, FROM + RUNS):
        if len(g.rounds) == GENERATION:
            g.end()
            g = Generation(c)
        if one(g, number):
            g.end()
            g = Generation(c)
    g.end()


main([soak], setup)
