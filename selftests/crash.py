#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the active gateway crashes at 20 random moments under load: no number twice, no replay taken, jumps bounded
# WHERE: uml +qemu
# SETS: timeout=400
"""
crash - invariants I1, I3, I4 and I5 over many failovers of one cluster.

A crash here is: all wires of the active gateway are pulled at once. It runs on as a zombie, still sends (into nothing, but recorded),
comes back, hears the higher epoch and is standby. Captures stand before the cut, so a number that the zombie and its successor
both sent is found.
"""
import time

from esptest import *
from failover import *

GENERATIONS, CRASHES = 4, 5     # of SAs, and of the cluster with each


def zombie_runs_dry(c, node):
    """Bring the zombie close to its ceiling: it has to stop there, with packets waiting to be sent."""
    known = sas(c, node)
    stalls = int(c.show(node, "stats")["stalls"])
    for t in c.tunnels[:1]:
        ceiling = int(known[t.to_client.spi]["ceiling"])
        t.to_client.set_oseq(c.gw[node], ceiling - GSO_MAX - 3)
    until(lambda: int(c.show(node, "stats")["stalls"]) > stalls, 10, "the zombie stops before its ceiling")
    return {t.to_client.spi: int(known[t.to_client.spi]["ceiling"]) for t in c.tunnels}


def one_crash(c, rng, load, renew, dry, lease):
    """dry: bring the zombie to its ceiling; only the last one of these SAs, because what it asked for beyond would delay its own next turn."""
    r = crash_under_load(c, rng, load, renew, lease)
    r.ceilings = zombie_runs_dry(c, r.died) if dry else {}
    r.silent = return_zombie(c, r.died)
    return r


def no_number_twice(c, caps, at_client, replays):
    twice = sent_twice(c, caps.values())
    check(not twice, f"{len(twice)} numbers were sent twice, such as {next(iter(twice.items()), None)}")
    check(not repeats([at_client], out=False), "a number reached the client twice")
    equal(lost_replay(c) - replays, 0, "packets that the client refused as replays")


def zombies_behave(caps, rounds):
    """Under the ceiling while it believes that it is active, silent once it knows better."""
    for r in rounds:
        for spi, ceiling in r.ceilings.items():
            beyond = [p.seq for p in caps[r.died].esp(spi, out=True, since=r.at) if p.time < r.silent and p.seq > ceiling]
            check(not beyond, f"zombie {r.died} passed its ceiling {ceiling}: {beyond[:3]}")
        loud = [p for p in caps[r.died].esp(out=True, since=r.silent) if p.time < r.until]
        check(not loud, f"node {r.died} was standby and sent {loud[:3]}")


def twenty_crashes(c):
    rng = seeded()
    caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
    at_client = Capture(c.client, "out")
    replays, rounds = lost_replay(c), []
    for generation in range(GENERATIONS):
        if generation:
            rekeyed(c)
        load, lease, renewed = Load(c, c.tunnels), {}, rng.randrange(CRASHES - 1)
        load.flows("before the crash")
        for i in range(CRASHES):
            rounds.append(one_crash(c, rng, load, i == renewed, i == CRASHES - 1, lease))
        load.stop()
        rounds[-1].until = time.time()
    for r, following in zip(rounds, rounds[1:]):
        r.until = r.until or following.at
    renewals = sum(int(c.show(n, "stats")["renewals"]) for n in c.gw)
    note(f"{len(rounds)} crashes, {sum(len(cap.esp(out=True)) for cap in caps.values())} packets sent by the gateways, {renewals} renewals, "
         f"{sum(bool(r.ceilings) for r in rounds)} zombies ran dry")
    check(renewals > 0, "no lease was renewed: the moments were not random enough")
    no_number_twice(c, caps, at_client, replays)
    jumps_are_bounded(caps, rounds)
    zombies_behave(caps, rounds)


# -- I3 ------------------------------------------------------------------------

def replays_stay_rejected(c):
    """1000 and more that the dead node had accepted are refused by its heir; what it never saw, within the window, is not."""
    player = Player(c)
    for t, window in ((c.tunnels[0], 2048), (c.tunnels[1], 32)) * 2:
        died, heir = c.active, 3 - c.active
        ready(c, died)
        c.br.sh("nft 'add table netdev t; add chain netdev t c { type filter hook ingress device o-client priority 0; }; "
                "add rule netdev t c ip protocol esp numgen inc mod 11 == 5 drop'")
        accepted, never = recorded(c, t, 1200)
        c.br.sh("nft delete table netdev t")
        check(len(accepted) >= 1000 and len(never) > 50, f"{len(accepted)} accepted, {len(never)} dropped on the way")
        quiet(c)
        # Late ones move no edge, and wake an SA that had gone cold.
        late = never[-3:] if window > 1000 else []
        if late:
            equal(player.play(died, t.to_gw, late), (len(late), 0), "late packets taken by the node that will die")
            quiet(c)
        c.crash(died)
        equal(take_over(c, heir), 0, "SAs in doubt")
        c.active = heir
        what = f"{t.to_gw.spi:#x} from {died} to {heir}"
        equal(player.play(heir, t.to_gw, [accepted[-1]]), (0, 1), f"{what}: the newest")
        equal(player.play(heir, t.to_gw, accepted + late), (0, len(accepted) + len(late)), f"{what}: what was accepted before the crash")
        if window > 1000:
            fresh = [f for f in never if f not in late]
            equal(player.play(heir, t.to_gw, fresh), (len(fresh), 0), f"{what}: what never arrived and is within the window")
        return_zombie(c, died)


def without_streaming_they_are_taken(c):
    """The judge itself: a successor that was told nothing takes them, so being refused above was the stream's doing."""
    t = c.tunnels[0]
    died, heir = c.active, 3 - c.active
    ready(c, died)
    c.cut_sync()
    accepted, _ = recorded(c, t, 1000)
    c.crash(died)
    doubtful = take_over(c, heir)
    c.active = heir
    took, refused = Player(c).play(heir, t.to_gw, accepted)
    note(f"{took} of {len(accepted)} replayed packets taken, {doubtful} SAs in doubt")
    check(took >= 900, f"only {took} of {len(accepted)} taken: something else than the stream refuses them")


main([twenty_crashes, replays_stay_rejected, without_streaming_they_are_taken], prepared)
