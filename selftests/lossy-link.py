#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: loss, duplication, reordering, a long cut, lost acknowledgements between the nodes: no number twice, doubt is named
# WHERE: uml-fast qemu
# SETS: timeout=400
"""
lossy-link - invariants I1 and I2 when the nodes hear little of each other, or nothing.

A takeover that was in sync leaves nothing in doubt; one that was not names every SA, and what it jumps over is enough. Afterwards the SAs in doubt
are replaced, as a rekey would, and the cluster is ready again.
"""
import time

from esptest import *
from failover import *

EVICT_S = 20        # more than the default, because a slow machine needs seconds for a takeover
CUT_S, CUT_RATE = 60, 100000
BAD = "delay 8ms 6ms loss 30% duplicate 30% reorder 25%"


def leases_move(c):
    """The next packets ask for new ceilings."""
    known = sas(c, c.active)
    for t in c.tunnels:
        sa = known[t.to_client.spi]
        to = int(sa["ceiling"]) - LEASE_MIN // 2 - 10
        if 1000 < to - int(sa["oseq"]) < LEASE_MIN:     # leases never shrink: once they are big, their middle is far away
            t.to_client.set_oseq(c.gw[c.active], to)


def loss_duplication_reordering(c):
    """Everything works over a bad link, only later: in sync before each crash, windows complete after silence."""
    watch, player, load = Watch(c), Player(c), Load(c, c.tunnels)
    c.impair_sync(BAD)
    for _ in range(2):
        ready(c, c.active, 40)
        leases_move(c)
        load.flows("over a bad link", packets=50)
        arrived = Capture(c.gw[c.active], "out", keep=True)
        load.flows("over a bad link", packets=50)
        watch.look()
        load.pause(c.client)
        until(lambda: streamed(c, c.tunnels, c.active), 20, "windows arrive over a bad link", step=0.2)
        ready(c, c.active, 40)
        died, doubtful = crash_and_take_over(c)
        equal(doubtful, 0, "SAs in doubt after a takeover in sync")
        for t in c.tunnels:
            frames = [arrived.bytes_of(p) for p in arrived.stop().esp(t.to_gw.spi, out=False)]
            equal(player.play(c.active, t.to_gw, frames), (0, len(frames)), f"{t.to_gw.spi:#x}: (taken, refused) of what was accepted")
        load.go_on()
        load.flows("after the takeover")
        return_zombie(c, died)
    c.heal_sync()
    ready(c, c.active, 40)
    load.stop()
    watch.judge()


def half_is_lost_at_the_crash(c):
    watch, load = Watch(c), Load(c, c.tunnels)
    for _ in range(3):
        ready(c, c.active, 40)
        load.flows("before the loss")
        c.impair_sync("loss 50%")
        leases_move(c)
        died, doubtful = crash_and_take_over(c)
        check(doubtful in (0, len(c.tunnels)), f"{doubtful} SAs in doubt")
        load.flows("after the takeover")
        watch.look()
        c.heal_sync()
        return_zombie(c, died)
        if doubtful:
            load.stop(), watch.judge()
            rekeyed(c)
            watch, load = Watch(c), Load(c, c.tunnels)
    load.stop()
    watch.judge()


def stalls(c, node):
    return int(c.show(node, "stats")["stalls"])


def acknowledgements_lost(c):
    """What the standby says is lost. The owner stops at the agreed ceiling, and passes it when evict_ms are over, not before."""
    rekeyed(c)
    owner, t = c.active, c.tunnels[0]
    watch, load = Watch(c), Load(c, c.tunnels)
    load.flows("before the cut")
    ceiling = int(sas(c, owner)[t.to_client.spi]["ceiling"])
    stopped = stalls(c, owner)
    c.cut_sync(one_way=3 - owner)
    cut = time.time()
    t.to_client.set_oseq(c.gw[owner], ceiling - GSO_MAX - 20)
    until(lambda: stalls(c, owner) > stopped, 10, "the owner stops at the ceiling that was agreed")
    until(lambda: not group(c, 3 - owner)["in"], 10, "the standby hears that it is out")
    check(c.espsync(owner, "ready", ok=None).status == 1, "ready says no while the standby is not heard")
    until(lambda: int(t.to_client.state(c.gw[owner])["oseq"]) > ceiling - GSO_MAX + 100, EVICT_S + 20, "the owner goes on after evict_ms")
    cap = watch.caps[owner]
    beyond = until(lambda: [p.time for p in cap.esp(t.to_client.spi, out=True) if p.seq > ceiling - GSO_MAX + 1], 10, "that is captured")
    note(f"the owner passed its ceiling {min(beyond) - cut:.1f} s after the last acknowledgement")
    check(min(beyond) - cut > EVICT_S - 2.5, "it went on before the standby's time was over")
    load.flows("while the standby is out")
    c.heal_sync()
    ready(c, owner, 40)
    # Once more, and now the owner dies while the standby is out.
    c.cut_sync(one_way=3 - owner)
    until(lambda: not group(c, 3 - owner)["in"], 10, "the standby hears that it is out")
    in_doubt(c, load, watch)


def records_alone_are_lost(c):
    """Keepalives come through, as where only big datagrams are lost, or in a queue's other band: then the standby is out, and binds no longer than one unheard."""
    rekeyed(c)
    owner, t = c.active, c.tunnels[0]
    watch, load = Watch(c), Load(c, c.tunnels)
    load.flows("before the loss")
    ceiling, stopped = int(sas(c, owner)[t.to_client.spi]["ceiling"]), stalls(c, owner)
    c.gw[owner].sh(["nft", "-f", "-"], stdin="table inet records { chain out { type filter hook output priority 0; udp dport 4520 meta priority != 0:7 drop; }; }\n")
    t.to_client.set_oseq(c.gw[owner], ceiling - GSO_MAX - 20)
    until(lambda: stalls(c, owner) > stopped, 10, "the owner stops at the ceiling that was agreed")
    until(lambda: not group(c, 3 - owner)["in"], 20, "the standby hears that it is out")
    until(lambda: int(t.to_client.state(c.gw[owner])["oseq"]) > ceiling - GSO_MAX + 100, EVICT_S + 20, "the owner goes on after evict_ms")
    c.gw[owner].sh("nft delete table inet records")
    ready(c, owner, 40)
    load.flows("with all of it in again")
    load.stop()
    watch.judge()
    rekeyed(c)      # what they did here would be the next case's rate


def in_doubt(c, load, watch):
    """A crash while the standby is out: every SA is named, none repeats a number, and after a rekey all is well."""
    events = Events(c, 3 - c.active)
    died, doubtful = crash_and_take_over(c)
    equal(doubtful, len(c.tunnels), "SAs in doubt that promote prints")
    load.flows("after a takeover out of sync")
    told = events.stop()
    for t in c.tunnels:
        for event in ("stale", "rekey-needed"):
            check((event, t.to_client.spi) in told, f"no event {event} for {t.to_client.spi:#x} in {told}")
    reasons = c.espsync(c.active, "ready", ok=None)
    check(reasons.status == 1 and "sa-stale" in reasons, f"ready does not say sa-stale: {reasons}")
    c.heal_sync()
    return_zombie(c, died)
    load.stop()
    watch.judge()
    rekeyed(c)


def full_rate(c, seconds, ceilings=None):
    """Move the counters on as CUT_RATE would. While the peer binds, not beyond ceilings: there the module would have stopped real packets."""
    gw = c.gw[c.active]
    begin = last = time.monotonic()
    while last - begin < seconds:
        time.sleep(0.5)
        now = time.monotonic()
        for t in c.tunnels:
            oseq = t.to_client.state(gw)["oseq"]
            to = oseq + int(CUT_RATE * (now - last))
            if ceilings and now - begin < EVICT_S + 3:
                to = min(to, ceilings[t] - GSO_MAX - 5)
            if to > oseq:
                t.to_client.set_oseq(gw, to)
        last = now


def a_long_cut_at_full_rate(c):
    """The owner outlives its evicted standby and dies a minute later.

    Most of the numbers are taken by moving the counter, because no emulated machine sends so much.
    """
    ready(c, c.active)
    watch, load = Watch(c), Load(c, c.tunnels, rate=50)
    before = int(c.show(c.active, "stats")["renewals"])
    full_rate(c, 10)
    check(int(c.show(c.active, "stats")["renewals"]) >= before + len(c.tunnels), "full rate asks for new leases")
    ready(c, c.active)
    c.cut_sync()
    known = {t: int(sas(c, 3 - c.active)[t.to_client.spi]["ceiling"]) for t in c.tunnels}
    full_rate(c, CUT_S, known)
    for t, ceiling in known.items():
        gone = t.to_client.state(c.gw[c.active])["oseq"] - ceiling
        note(f"{t.to_client.spi:#x}: {gone} numbers beyond what the standby knows")
        check(gone > 2 * LEASE_MIN, "too few for this to show anything")
    load.flows("just before the crash", packets=20)
    in_doubt(c, load, watch)


main([loss_duplication_reordering, half_is_lost_at_the_crash, acknowledgements_lost, records_alone_are_lost, a_long_cut_at_full_rate],
     lambda: prepared(evict_ms=1000 * EVICT_S, window=1024))
