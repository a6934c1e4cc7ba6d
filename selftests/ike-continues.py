#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: after a takeover rekeying and DPD work, the old owner comes back, the new one dies: one IKE SA throughout
# WHERE: uml-fast
# SETS: timeout=400
#
# Stock charons, espsyncd, the module; keepalived's part is played by the test. The judges are the client's charon, whose SPIs
# must not change unless it rekeys itself, and a capture on its wire, which must not show an IKE_SA_INIT.
from esptest import *
from esptest_ike import IkeCluster, explained

IKE_SA_INIT, CREATE_CHILD_SA, INFORMATIONAL = 34, 36, 37


def setup():
    module()
    c = IkeCluster(module=True)
    try:
        c.start_ike()
        c.road.dpd = "dpd_delay = 1s"
        c.road.start_charon()
        c.road2.start_charon()
        c.road.connect()
        c.wait_mirrored()
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.capture = Capture(c.client, "out")
    c.first_address = c.road.inner_address()
    check(c.road.ping(20) == 20, "echos through gw1")
    return c


def takeover(c, frm, to):
    """SPIs and the peer's replay counter are the same before and after."""
    ike, children, drops = c.road.ike(), c.road.children(), xfrm_stat(c.client)["XfrmInStateSeqError"]
    c.power_off(frm)
    c.take_over(to)
    check(c.road.ping(20) == 20, f"echos through gw{to}")
    equal((c.road.ike(), c.road.children()), (ike, children), "the client's SAs after the takeover")
    equal((c.ike[to].ike("ESTABLISHED"), len(c.ike[to].children())), (ike, 1), f"gw{to}'s IKE SAs")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"], drops, "packets that the client refused as replays")


def exchanges(c, gw):
    """DPD, a CHILD and an IKE rekeying, begun by the client, each answered."""
    before = len([p for p in c.capture.ike(INFORMATIONAL) if p.response and not p.out])
    until(lambda: len([p for p in c.capture.ike(INFORMATIONAL) if p.response and not p.out]) > before + 1, 20, "DPD is answered")
    c.road.rekey("--child lan")
    check(c.road.ping() == 3, f"echos through gw{gw} after a CHILD rekeying")
    c.road.rekey("--ike home")
    check(c.road.ping() == 3, f"echos through gw{gw} after an IKE rekeying")
    c.road.rekey("--child lan")
    check(c.road.ping() == 3, f"echos through gw{gw} after both")


@explained
def gw2_takes_over(c):
    takeover(c, 1, 2)


@explained
def it_goes_on_with_gw2(c):
    exchanges(c, 2)


@explained
def gw1_comes_back(c):
    """Empty, into a cluster in which the tunnel has been rekeyed: same SPIs, and traffic does not notice."""
    children = c.road.children()
    c.power_on(1)
    c.wait_mirrored(active=2)
    c.wait_ready(2)
    equal(c.road.children(), children, "the client's CHILD SAs")
    check(c.road.ping() == 3, "echos through gw2")


@explained
def gw1_takes_over_again(c):
    takeover(c, 2, 1)


@explained
def it_goes_on_with_gw1(c):
    exchanges(c, 1)


@explained
def a_new_client_gets_an_address_of_its_own(c):
    c.road2.connect()
    check(c.road2.inner_address() != c.first_address, "an inner address that nobody has")
    check(c.road.ping() == 3 and c.road2.ping() == 3, "echos of both clients")


@explained
def nobody_began_anew(c):
    equal(c.capture.stop().sa_inits(), 0, "IKE_SA_INIT requests of the client since the first crash")
    equal(c.road.inner_address(), c.first_address, "its inner address")


main([gw2_takes_over, it_goes_on_with_gw2, gw1_comes_back, gw1_takes_over_again, it_goes_on_with_gw1,
      a_new_client_gets_an_address_of_its_own, nobody_began_anew], setup)
