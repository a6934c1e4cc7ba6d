#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: who may have sent unheard puts what he may have sent in doubt: taken out, without a memory, news that was long under way
# WHERE: uml-fast qemu
# SETS: timeout=300 named
"""
doubt - invariant I1 when a node cannot know what another one has done.

Each case has a node become active, or go on, of which the other heard nothing: what it names is everything in doubt and nothing else, and no number
leaves twice. Afterwards the SAs in doubt are replaced, as a rekey would, and the cluster is ready again.
"""
import time

from esptest import *
from failover import *

EVICT_S = 20        # more than the default, because a slow machine needs seconds for a takeover
SHORT_EVICT_MS = 10000  # ... but a settled owner is to be waited for, before what was delayed by 40 s arrives


def module_anew(c, node):
    """The channel of an active node, as a restart of its unit makes it: the SAs that it finds are its own."""
    c.espsync(node, "channel del")
    c.configure(node)
    set_times(c, detect_ms=300, evict_ms=SHORT_EVICT_MS, nodes=(node,))
    c.espsync(node, "promote")


def all_is_well(c):
    """Times are those of before, and nothing is in doubt."""
    set_times(c, detect_ms=2000, evict_ms=1000 * EVICT_S)
    rekeyed(c)


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
    all_is_well(c)


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
    all_is_well(c)


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
    all_is_well(c)


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
    all_is_well(c)


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
    all_is_well(c)


# The first builds a namespace anew, which must not be held by anything of the others.
main([a_peer_that_lost_its_memory, what_was_under_way_for_long, a_peer_that_is_taken_away, an_owner_that_takes_its_standby_away,
      a_standby_that_takes_its_owner_away, what_is_in_doubt_is_held], lambda: prepared(evict_ms=1000 * EVICT_S, window=1024))
