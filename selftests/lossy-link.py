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
SHORT_EVICT_MS = 10000  # ... but a settled owner is to be waited for, before what was delayed by 40 s arrives
CUT_S, CUT_RATE = 60, 100000
BAD = "delay 8ms 6ms loss 30% duplicate 30% reorder 25%"


def crash_and_take_over(c):
    """The dead node, and how many SAs are in doubt."""
    died = c.active
    c.crash(died)
    doubtful = take_over(c, 3 - died)
    c.active = 3 - died
    return died, doubtful


def module_anew(c, node):
    """The channel of an active node, as a restart of its unit makes it: the SAs that it finds are its own."""
    c.espsync(node, "channel del")
    c.configure(node)
    set_times(c, detect_ms=300, evict_ms=SHORT_EVICT_MS, nodes=(node,))
    c.espsync(node, "promote")


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


def heard(c, node):
    return int(c.show(node, "peers")[0]["rx_bytes"])


def moved_unheard(c, load, other):
    """The new owner of a planned move, of which the old one hears nothing, leaves its slots for the space that a later owner would use too, and dies."""
    c.move_vip(other)
    slots = {t: t.to_client.state(c.gw[other])["oseq"] for t in c.tunnels}
    equal(promote(c, other), 0, "SAs in doubt after a planned move")
    c.active = other
    load.flows("after the move")
    until(lambda: all(t.to_client.state(c.gw[other])["oseq"] > slots[t] + LEASE_MIN for t in c.tunnels), 25, "the new owner is settled")
    load.flows("beyond the slots", packets=10)
    c.crash(other)


def taken_back_in_doubt(c, load, watch, owner):
    """What the old owner knows of its SAs is of before the other's time: it says so, and repeats nothing also once it has left its own slots."""
    doubtful = take_over(c, owner)
    c.active = owner
    load.flows("after the second takeover", packets=10)
    time.sleep(SHORT_EVICT_MS / 1000 + 1)
    load.flows("after it has settled", packets=20)
    load.stop()
    watch.judge()
    equal(doubtful, len(c.tunnels), "SAs in doubt")


def what_was_under_way_for_long(c):
    """What a demoted owner hears now was said before the other node was promoted, sent, and died: no sign that it may go on as if nothing had been."""
    owner, other, delayed = c.active, 3 - c.active, f"s-{c.gw[c.active]}"
    set_times(c, detect_ms=300, evict_ms=SHORT_EVICT_MS)
    ready(c, owner)
    watch, load = Watch(c), Load(c, c.tunnels)
    load.flows("before the move")
    c.espsync(owner, "demote")
    impair(c.br, delayed, "delay 40s limit 100000")
    time.sleep(2)       # so much is under way then; the other is in for longer
    moved_unheard(c, load, other)
    before = heard(c, owner)
    until(lambda: heard(c, owner) > before, 60, "what was under way arrives", step=0.1)
    taken_back_in_doubt(c, load, watch, owner)
    unimpair(c.br, delayed)
    return_zombie(c, other)
    set_times(c, detect_ms=2000, evict_ms=1000 * EVICT_S)
    rekeyed(c)


def silenced_and_alone(c, owner, zombies=True):
    """A demoted owner hears no more of the other, which is in, and becomes active, and dies."""
    set_times(c, detect_ms=300, evict_ms=SHORT_EVICT_MS)
    ready(c, owner)
    watch, load = Watch(c), Load(c, c.tunnels, zombies=zombies)
    load.flows("before its channel is made anew")
    module_anew(c, owner)
    ready(c, owner)
    load.flows("before the move")
    c.espsync(owner, "demote")
    c.cut_sync()
    moved_unheard(c, load, 3 - owner)
    return watch, load


def a_peer_that_is_taken_away(c):
    """The operator takes the dead node out: nobody is left to ask, which is no proof that it did nothing."""
    owner, other = c.active, 3 - c.active
    watch, load = silenced_and_alone(c, owner)
    c.espsync(owner, f"peer del {other}")
    taken_back_in_doubt(c, load, watch, owner)
    c.heal_sync()
    c.espsync(owner, f"peer add {other} {c.SYNC[other]}")
    return_zombie(c, other)
    set_times(c, detect_ms=2000, evict_ms=1000 * EVICT_S)
    rekeyed(c)


def an_owner_that_takes_its_standby_away(c):
    """Its farewell is lost: for as long as the standby may believe to be in, and be promoted, the owner keeps to what both had agreed to."""
    owner, other = c.active, 3 - c.active
    set_times(c, detect_ms=300, evict_ms=SHORT_EVICT_MS)
    ready(c, owner)
    load = Load(c, c.tunnels)
    load.flows("before the standby is taken away")
    c.cut_sync()
    c.espsync(owner, f"peer del {other}")
    began, known = time.monotonic(), sas(c, owner)
    for t in c.tunnels:
        t.to_client.set_oseq(c.gw[owner], int(known[t.to_client.spi]["ceiling"]) - GSO_MAX + 10)
    time.sleep(0.5)
    sent = Capture(c.gw[owner], "out")
    time.sleep(SHORT_EVICT_MS / 1000 - 3 - (time.monotonic() - began))
    equal(len(sent.stop().esp(out=True)), 0, "packets beyond the last ceiling that the standby agreed to")
    load.flows("once the standby cannot believe to be in any more")
    load.stop()
    c.heal_sync()
    c.espsync(owner, f"peer add {other} {c.SYNC[other]}")
    set_times(c, detect_ms=2000, evict_ms=1000 * EVICT_S)
    rekeyed(c)


def a_standby_that_takes_its_owner_away(c):
    """It has told its owner so, which keeps to no ceiling of its any more: what it was told before makes it in sync no longer."""
    owner, other = c.active, 3 - c.active
    ready(c, owner)
    watch, load = Watch(c), Load(c, c.tunnels)
    load.flows("before the owner is taken away")
    c.espsync(other, f"peer del {owner}")
    died, doubtful = crash_and_take_over(c)
    equal(doubtful, len(c.tunnels), "SAs in doubt")
    load.flows("after the takeover")
    c.espsync(other, f"peer add {owner} {c.SYNC[owner]}")
    return_zombie(c, died)
    load.stop()
    watch.judge()
    rekeyed(c)


def booted_anew(c, node, watch):
    """A dead node's machine, started again: nothing of what it was is left but its configuration and, as charon would have it, its SAs."""
    watch.caps[node].stop()
    watch.lowest = {(n, spi): was for (n, spi), was in watch.lowest.items() if n != node}
    c.gw[node].delete()
    until(lambda: f"s-{c.gw[node]}" not in c.br.ip("-br link"), 20, f"node {node} and its wires are gone", step=0.2)
    c.rebuild(node)
    knows_the_way(c, c.gw[node])
    for t in c.tunnels:
        t.install(c.gw[node])
    c.configure(node)
    set_times(c, detect_ms=300, evict_ms=SHORT_EVICT_MS, nodes=(node,))


def a_peer_that_lost_its_memory(c):
    """The node that was active last comes back and knows nothing: that it has heard of no other owner proves nothing, nor does it that an SA was in use here."""
    owner, other = c.active, 3 - c.active
    watch, load = silenced_and_alone(c, owner, zombies=False)
    booted_anew(c, other, watch)
    c.heal_sync()
    until(lambda: c.peer_state(owner) != "down" and c.peer_state(other) != "down", 20, "they hear each other")
    time.sleep(1)       # answers that are of now
    taken_back_in_doubt(c, load, watch, owner)
    set_times(c, detect_ms=2000, evict_ms=1000 * EVICT_S)
    rekeyed(c)


def what_is_in_doubt_is_held(c):
    """With doubt = hold nothing leaves until it is rekeyed, not even when the module lets go of it."""
    owner, heir = c.active, 3 - c.active
    set_times(c, detect_ms=300, evict_ms=SHORT_EVICT_MS)
    ready(c, owner)
    c.espsync(heir, f"group set 0 addr {c.VIP} {c.VIP6} doubt hold")
    load = Load(c, c.tunnels)
    load.flows("before the link is cut")
    c.cut_sync()
    until(lambda: not group(c, heir)["in"], 2 * EVICT_S, "the heir is out")
    c.crash(owner)
    sent = Capture(c.gw[heir], "out")
    equal(take_over(c, heir), len(c.tunnels), "SAs in doubt")
    c.active = heir
    arrived = [counts(c.gw[heir])[t.to_gw.spi][0] for t in c.tunnels]
    until(lambda: all(counts(c.gw[heir])[t.to_gw.spi][0] > n + 10 for t, n in zip(c.tunnels, arrived)), 20, "what comes in is not held")
    c.espsync(heir, "channel del")
    time.sleep(1)
    equal([p for p in sent.stop().esp(out=True) if p.src == c.VIP], [], "packets of SAs that are held")
    load.stop()
    c.configure(heir)
    c.espsync(heir, "promote")
    c.heal_sync()
    return_zombie(c, owner)
    set_times(c, detect_ms=2000, evict_ms=1000 * EVICT_S)
    rekeyed(c)


# The first builds a namespace anew, which must not be held by anything of the others.
main([a_peer_that_lost_its_memory, loss_duplication_reordering, half_is_lost_at_the_crash, acknowledgements_lost, a_long_cut_at_full_rate,
      what_was_under_way_for_long, a_peer_that_is_taken_away, an_owner_that_takes_its_standby_away,
      a_standby_that_takes_its_owner_away, what_is_in_doubt_is_held], lambda: prepared(evict_ms=1000 * EVICT_S, window=1024))
