#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: rekeying under traffic and failovers around it: before it starts, after it is applied, inside it (counted); what is in doubt is rekeyed
# WHERE: uml-fast
# SETS: timeout=500
#
# Traffic flows all the time. What must hold: a rekeying right after a takeover works, a rekeying right before one is carried
# over, also of the IKE SA with CHILD SAs made before and after it; and no ESP number is sent twice, whenever a node dies. What a
# kill inside a rekeying costs is counted and reported: an exchange that only the dead node knew is nobody's any more.
import time

from esptest import *
from esptest_ike import IkeCluster, explained

KILLS_INSIDE = 4


def setup():
    module()
    c = IkeCluster(module=True)
    try:
        c.start_ike()
        c.road.start_charon()
        c.road.connect()
        c.wait_mirrored()
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.random = seeded()
    c.active = 1
    c.captures = [Capture(gw, "out") for gw in c.gw.values()]
    c.at_client = Capture(c.client, "out")
    c.replays = xfrm_stat(c.client)["XfrmInStateSeqError"]
    traffic(c)
    return c


def traffic(c):
    c.receiver = Receiver(c.lan, c.LAN)
    c.sender = Sender(c.client, c.LAN, rate=100, source=c.road.inner_address())
    flows(c)


def flows(c, seconds=10):
    """Packets go on arriving."""
    before = c.receiver.count
    until(lambda: c.receiver.count > before + 20, seconds, f"packets arrive through gw{c.active}")


def fail_over(c):
    """The active node dies, the other takes over."""
    frm, c.active = c.active, 3 - c.active
    c.power_off(frm)
    c.take_over(c.active)


def restore(c):
    """The dead node comes back as standby."""
    c.power_on(3 - c.active)
    c.wait_mirrored(active=c.active)
    c.wait_ready(c.active)


@explained
def a_failover_before_a_rekeying(c):
    fail_over(c)
    c.road.rekey("--child lan")
    flows(c)
    c.road.rekey("--ike home")
    flows(c)
    equal(c.road.ping(), 3, "echos")
    restore(c)


@explained
def a_failover_after_a_rekeying(c):
    c.road.rekey("--child lan")
    c.wait_mirrored(active=c.active)
    ike, children = c.road.ike(), c.road.children()
    fail_over(c)
    flows(c)
    equal((c.road.ike(), c.road.children()), (ike, children), "the client's SAs")
    equal(c.road.ping(), 3, "echos")
    restore(c)


@explained
def a_failover_after_an_ike_rekeying(c):
    """The CHILD SA was made under the IKE SA that is gone: both the live copy and the one rebuilt from the journal need the chain."""
    c.road.rekey("--ike home")
    c.wait_mirrored(active=c.active)
    restart = c.ike[3 - c.active]
    restart.end("charon")
    restart.start_charon()
    c.wait_mirrored(active=c.active)
    c.wait_ready(c.active)
    ike, children = c.road.ike(), c.road.children()
    fail_over(c)
    flows(c)
    equal((c.road.ike(), c.road.children()), (ike, children), "the client's SAs")
    c.road.rekey("--child lan")
    flows(c)
    restore(c)


def can_rekey(c):
    """The far end and the new owner still agree: about one IKE SA, and about what comes next."""
    try:
        until(lambda: len(c.road.children()) == 1 and c.road.ike() == c.ike[c.active].ike() and len(c.road.ike()) == 1, 8)
        c.road.rekey("--child lan", 8)
    except AssertionError:
        return False
    return True


def begin_anew(c):
    c.road.swanctl("--terminate --ike home --force", ok=None)
    c.ike[c.active].swanctl("--terminate --ike road-warrior --force", ok=None)
    until(lambda: not c.road.ike() and not c.ike[c.active].ike(), 10, "no IKE SA left")
    c.sender.stop()
    c.receiver.stop()
    c.road.connect()
    traffic(c)


@explained
def kills_inside_a_rekeying(c):
    carried_on = 0
    for i in range(KILLS_INSIDE):
        what = "--child lan" if i % 2 == 0 else "--ike home"
        inits = c.at_client.sa_inits()
        c.road.swanctl(f"--rekey {what}")
        delay = c.random.uniform(0, 0.06)
        time.sleep(delay)
        fail_over(c)
        esp = c.road.ping(20, 5) > 0 and c.at_client.sa_inits() == inits
        ike = esp and can_rekey(c)
        note(f"{what} killed {delay * 1000:.0f} ms after it was asked for: ESP {'carried on' if esp else 'was lost'}, "
             f"IKE {'carried on' if ike else 'was lost'}")
        carried_on += ike
        if not ike:
            begin_anew(c)
        restore(c)
        flows(c)
    note(f"{KILLS_INSIDE} kills inside a rekeying, {carried_on} times all carried on")


@explained
def a_takeover_in_doubt_is_rekeyed(c):
    """The standby was told nothing for so long that it is out; what it takes over is rekeyed by its charon, and nothing else is."""
    heir, inits = 3 - c.active, c.at_client.sa_inits()
    c.cut_sync()
    until(lambda: not c.show(heir, "groups")[0]["in"], 20, f"gw{heir} is out")
    ike, children = c.road.ike(), c.road.children()
    fail_over(c)
    c.heal_sync()
    until(lambda: c.road.children() and not c.road.children() & children, 20, "the client's CHILD SA is a new one")
    equal(c.road.ike(), ike, "the client's IKE SA")
    equal(c.at_client.sa_inits(), inits, "IKE_SA_INIT requests")
    flows(c)
    restore(c)


@explained
def no_number_was_sent_twice(c):
    c.sender.stop()
    equal(dict(list(repeats(c.captures).items())[:5]), {}, "numbers that the gateways sent twice")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"], c.replays, "packets that the client refused as replays")
    check(len(c.at_client.esp(out=False)) > 0, "the capture saw something")


main([a_failover_before_a_rekeying, a_failover_after_a_rekeying, a_failover_after_an_ike_rekeying, kills_inside_a_rekeying,
      a_takeover_in_doubt_is_rekeyed, no_number_was_sent_twice], setup)
