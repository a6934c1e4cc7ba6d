#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: over 100 failovers no IV is used twice with a key, with each algorithm for which that would be the end
# WHERE: uml-fast qemu
# SETS: named timeout=200
"""
iv - invariant I1 as it matters to AES-GCM, AES-CTR, GMAC and ChaCha20-Poly1305.

Linux sends as IV the number XOR a salt of 8 bytes that each state draws for itself (crypto/seqiv.c). So a state that uses no number twice uses no IV
twice, however often its node becomes active again; and of two states, on two nodes, the salts differ. Both is looked at: every SA has a key of
its own, and every frame that leaves a gateway or the client is recorded.
"""
import collections

from esptest import *
from failover import *

FAILOVERS, CRASH_EVERY = 100, 10
ALGORITHMS = ("gcm", "ctr", "gmac", "chacha")
KEY_BYTES = {"gcm": 20, "ctr": 20, "gmac": 20, "chacha": 36}      # with the salt of the nonce


def tunnels(c, rng):
    """Of each algorithm one with ESN and one without."""
    for i, (alg, esn) in enumerate((alg, esn) for alg in ALGORITHMS for esn in (False, True)):
        inner = f"10.2.0.{10 + i}"
        c.client.ip(f"addr add {inner}/32 dev lo")
        for gw in c.gw.values():
            gw.ip(f"route add {inner}/32 via {c.CLIENT} dev out")
        t = Tunnel(c.CLIENT, c.VIP, inner=(f"{inner}/32", "10.1.0.0/24"), spi=0x1000 + 0x10 * i, alg=alg, esn=esn, window=256 if esn else 32)
        for sa in (t.to_gw, t.to_client):
            sa.key = "0x" + rng.randbytes(KEY_BYTES[alg]).hex()
        t.install_client(c.client)
        for gw in c.gw.values():
            t.install(gw)
        yield t


def setup():
    module()
    c = Cluster()
    c.start()
    set_times(c, detect_ms=2000, evict_ms=30000)
    c.tunnels = list(tunnels(c, seeded()))
    c.active = 1
    ready(c, 1)
    return c


class Seen:
    """IVs by key, and the salts of states: what a frame has where its IV is."""

    def __init__(self, c):
        self.keys = {sa.spi: (t.to_gw.alg, sa.key) for t in c.tunnels for sa in (t.to_gw, t.to_client)}
        self.ivs, self.salts = collections.Counter(), collections.defaultdict(set)

    def note(self, where, packet, frame):
        at = 14 + (frame[14] & 15) * 4 + 8
        iv = frame[at:at + 8]
        self.ivs[self.keys[packet.spi], iv] += 1
        # The upper half of an ESN is not sent; here it is 0.
        self.salts[where, packet.spi].add(int.from_bytes(iv, "big") ^ packet.seq)

    def capture(self, where, capture, source):
        for packet, frame in capture.frames(out=True):
            if packet.src == source and packet.spi in self.keys:
                self.note(where, packet, frame)

    def repeated(self):
        return {k: n for k, n in self.ivs.items() if n > 1}


def turn(c):
    """Every tunnel sends something from where it is active now."""
    gw, before = c.gw[c.active], counts(c.gw[c.active])
    until(lambda: all(counts(gw)[t.to_client.spi][0] >= before[t.to_client.spi][0] + 3 for t in c.tunnels), 20, f"node {c.active} sends", step=0.02)


def fail_over(c, crash):
    """In order, or by a crash from which the zombie returns."""
    was, c.active = c.active, 3 - c.active
    if not crash:
        c.fail_over(c.active)
        turn(c)
    else:
        c.crash(was)
        equal(take_over(c, c.active), 0, "SAs in doubt")
        turn(c)
        return_zombie(c, was)
    ready(c, c.active)


def no_iv_twice(c):
    caps = {n: Capture(gw, "out", keep=True) for n, gw in c.gw.items()}
    at_client = Capture(c.client, "out", keep=True)
    load = Load(c, c.tunnels, rate=25)
    turn(c)
    for i in range(1, FAILOVERS + 1):
        fail_over(c, i % CRASH_EVERY == 0)
    load.stop()
    seen = Seen(c)
    for where, cap, source in ((1, caps[1], c.VIP), (2, caps[2], c.VIP), ("client", at_client, c.CLIENT)):
        equal(cap.dropped, 0, f"packets that the capture of {where} lost")
        seen.capture(where, cap, source)
    c.seen, c.caps = seen, caps
    note(f"{FAILOVERS} failovers, {sum(seen.ivs.values())} packets with {len(seen.keys)} keys, {len(seen.salts)} states")
    check(not seen.repeated(), f"{len(seen.repeated())} IVs were used twice with a key, of {sorted({alg for (alg, _), _ in seen.repeated()})}")
    check(not sent_twice(c, caps.values()), "numbers were sent twice")


def each_state_has_a_salt_of_its_own(c):
    """What the argument rests on: IV = number XOR salt, the salt of a state stays, and no two states share one."""
    for t in c.tunnels:
        for where, sa in ((1, t.to_client), (2, t.to_client), ("client", t.to_gw)):
            equal(len(c.seen.salts[where, sa.spi]), 1, f"salts of {where}'s {sa.alg} state {sa.spi:#x}")
    every = [salt for salts in c.seen.salts.values() for salt in salts]
    equal(len(every), 3 * len(c.tunnels), "states")
    equal(len(set(every)), len(every), "different salts")


def the_judge_sees_an_iv_that_is_used_twice(c):
    """One packet of each algorithm, sent once more."""
    for t in c.tunnels:
        packet, frame = next((p, f) for p, f in c.caps[1].frames(spi=t.to_client.spi, out=True))
        c.seen.note(1, packet, frame)
    equal(len(c.seen.repeated()), len(c.tunnels), "IVs found that were used twice")


main([no_iv_twice, each_state_has_a_salt_of_its_own, the_judge_sees_an_iv_that_is_used_twice], setup)
