#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: four nodes with a charon each: who takes over has all tunnels, whoever is left follows it, and who returns gets them back
# WHERE: uml-fast
# SETS: timeout=550 mem=3072 named
"""
ike-nodes - IKE state of one owner on three standbys (README, "More than two nodes").

Stock charons, espsyncd, the module; keepalived's part is played by the test. One client's tunnel must live through all of it: its SPIs change when
it rekeys, and never otherwise; no IKE_SA_INIT leaves it, no packet is refused as a replay, and no number is sent twice by any two nodes. Another
client begins anew after each takeover.
"""
from esptest import *
from esptest_ike import IkeCluster, explained
from grouped import Judge

NODES = (1, 2, 3, 4)
INFORMATIONAL = 37


def setup():
    module()
    c = IkeCluster(module=True, nodes=NODES)
    c.active = 1
    try:
        c.start_ike(active=1)
        for road in (c.road, c.road2):
            road.start_charon()
        c.road.connect()
        c.wait_mirrored(1)
        settled(c)
    except Exception:
        c.explain()
        raise
    c.capture, c.judge = Capture(c.client, "out"), Judge(c)
    check(c.road.ping(20) == 20, "echos through gw1")
    return c


def settled(c):
    """Owner and standbys say that each of these could take over."""
    c.wait_ready(c.active, 60)
    for b in c.standbys(c.active):
        c.wait_ready(b.number, 60)


def others(c):
    return [b.number for b in c.standbys(c.active)]


def has_all(c):
    """Each standby has what the owner has: both clients' tunnels, or the first one's alone."""
    c.wait_mirrored(c.active, 1 + len(c.road2.ike()), 40)


def goes_on(c, to, what):
    """`what` makes that node the owner; the first client does not notice."""
    ike, children, drops = c.road.ike(), c.road.children(), xfrm_stat(c.client)["XfrmInStateSeqError"]
    what()
    c.active = to
    check(c.road.ping(20) == 20, f"echos through gw{to}")
    equal((c.road.ike(), c.road.children()), (ike, children), "the client's SAs after the takeover")
    check(ike <= c.ike[to].ike("ESTABLISHED"), f"gw{to} has the client's IKE SA")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"], drops, "packets that the client refused as replays")
    has_all(c)


def dies(c, to):
    """The owner dies, and that one takes over."""
    def crash():
        c.power_off(c.active)
        c.take_over(to)
    goes_on(c, to, crash)


def begins_anew(c):
    """The second client; the owner chooses from SPIs of its own."""
    if c.road2.ike():
        c.road2.swanctl("--terminate --ike home")
        until(lambda: not c.road2.ike(), 10, "the second client's tunnel has ended")
    c.road2.connect()
    check(c.road2.ping() == 3, f"echos of the second client through gw{c.active}")
    sa, = c.road2.sas()
    child, = sa["child-sas"].values()
    equal((sa["responder-spi"][:2], child["spi-out"][:2]), (f"{c.active:02x}",) * 2, "the first bytes of the SPIs that the owner chose")
    has_all(c)


def returns(c):
    """All that died come back, and have everything without a word to the clients, but that the owner may ask whether they are there."""
    roads = c.road, c.road2
    caps, children = [Capture(road.ns, "out") for road in roads], [road.children() for road in roads]
    back = sorted(c.off)
    for n in back:
        c.power_on(n)
    has_all(c)
    settled(c)
    equal([len([p for p in cap.stop().ike() if p.exchange != INFORMATIONAL]) for cap in caps], [0, 0], f"exchanges of the clients while {back} returned")
    equal([road.children() for road in roads], children, "their CHILD SAs")
    return back


@explained
def a_tunnel_is_mirrored_to_three(c):
    for b in c.standbys(c.active):
        equal(b.mirrored_children(), 1, f"CHILD SAs installed by {b}'s charon")
    begins_anew(c)
    c.road.rekey()
    has_all(c)
    settled(c)


@explained
def the_owner_dies_and_then_the_next_one(c):
    for _ in range(2):
        dies(c, others(c)[0])
        begins_anew(c)
        settled(c)      # though a node is dead, or two
    check(c.road.ping() == 3, "echos of the first client")
    returns(c)


@explained
def the_first_one_returns_and_takes_over_again(c):
    first = c.active
    dies(c, others(c)[-1])
    c.road.rekey("--ike home")
    c.road.rekey()
    begins_anew(c)
    equal(returns(c), [first], "nodes that returned")
    dies(c, first)
    begins_anew(c)
    returns(c)


@explained
def one_that_was_away_for_long(c):
    """Meanwhile all has been rekeyed, the owner is another one, and the one before is dead too."""
    away = others(c)[-1]
    c.power_off(away)
    c.road.rekey()
    begins_anew(c)
    settled(c)
    dies(c, others(c)[0])
    c.road.rekey("--ike home")
    c.road.rekey()
    begins_anew(c)
    equal(len(returns(c)), 2, "nodes that returned")
    dies(c, away)
    begins_anew(c)
    returns(c)


@explained
def one_moves_to_another_on_purpose(c):
    frm, to = c.active, others(c)[1]

    def move():
        c.ike[frm].become("BACKUP")
        c.take_over(to)
    goes_on(c, to, move)
    begins_anew(c)
    settled(c)


@explained
def one_that_was_cut_off_is_not_followed(c):
    """It runs on, and believes that it is active until it hears of the new owner."""
    old, new = c.active, others(c)[0]

    def cut_off():
        c.crash(old)
        c.off.add(old)
        c.take_over(new)
    goes_on(c, new, cut_off)
    c.road.rekey()
    begins_anew(c)
    c.revive(old)
    c.off.discard(old)
    c.ike[old].said("the module has become standby; following", 20)
    has_all(c)
    settled(c)
    dies(c, old)
    begins_anew(c)
    returns(c)


@explained
def nobody_began_anew(c):
    equal(c.capture.stop().sa_inits(), 0, "IKE_SA_INIT requests of the first client")
    c.judge.no_number_twice()


main([a_tunnel_is_mirrored_to_three, the_owner_dies_and_then_the_next_one, the_first_one_returns_and_takes_over_again, one_that_was_away_for_long,
      one_moves_to_another_on_purpose, one_that_was_cut_off_is_not_followed, nobody_began_anew], setup)
