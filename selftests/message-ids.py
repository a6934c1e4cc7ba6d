#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the active gateway dies between any two steps of rekeyings, deletions and signs of life, begun by either side: what the far end sees
# WHERE: uml-fast
# SETS: timeout=1800 named
#
# A step is a packet that came or went, or a message of the ha plugin. The steps of each exchange are watched first, when nobody dies; then
# the gateway dies behind each of them, the other one having been told of all that charon had said: as a sync link without delay does it.
# Where a packet has left behind such messages it dies once more, and they are lost: it overtook them. That is what `commit` is for; without
# it, it is shown here, and nothing is asked of it. POINT=3 in the environment: only the third step of each exchange.
from deaths import Death
from esptest import *
from esptest_ike import explained
from killpoints import cluster, kills, leaving, start, table

# What the far end then does not get over, as it was measured, and nothing else.
LOST = {
    # The standby has the new CHILD SA, sends through it, and cannot answer: the far end has it only when it has asked twice more.
    "far child": ("ha CHILD_ADD",),
    # The standby has the new IKE SA alone, and nobody can answer in the old one, in which the far end asks.
    "far ike": ("ha IKE_UPDATE",),
    # The far end has a new IKE SA, of which the standby knows nothing yet, or not all.
    "gateway ike": ("out CREATE_CHILD_SA request", "in CREATE_CHILD_SA response", "ha IKE_ADD", "ha IKE_DELETE"),
}


def setup():
    c = cluster()
    start(c)
    return c


def told(c, name):
    kills(c, name, lambda steps: [(at, "", lambda at=at: Death(c.ike[c.active], steps, at)) for at in range(len(steps))], lost=LOST.get(name, ()))


@explained
def the_far_end_rekeys_a_child_sa(c):
    told(c, "far child")


@explained
def the_gateway_rekeys_a_child_sa(c):
    told(c, "gateway child")


@explained
def the_far_end_rekeys_the_ike_sa(c):
    told(c, "far ike")


@explained
def the_gateway_rekeys_the_ike_sa(c):
    told(c, "gateway ike")


@explained
def the_far_end_asks_for_a_sign_of_life(c):
    told(c, "far dpd")


@explained
def the_gateway_asks_for_a_sign_of_life(c):
    told(c, "gateway dpd")


@explained
def packets_that_overtake(c):
    for name in ("far child", "gateway child", "far ike", "gateway ike", "far dpd", "gateway dpd"):
        kills(c, name, lambda steps: [(at, ", which overtook what was said before it", lambda at=at, before=before: Death(c.ike[c.active], steps, at, before))
                                      for at, before in leaving(steps)])


@explained
def the_table(c):
    table(c)
    equal(c.wire.dropped, 0, "packets that the capture has lost")


main([the_far_end_rekeys_a_child_sa, the_gateway_rekeys_a_child_sa, the_far_end_rekeys_the_ike_sa, the_gateway_rekeys_the_ike_sa,
      the_far_end_asks_for_a_sign_of_life, the_gateway_asks_for_a_sign_of_life, packets_that_overtake, the_table], setup)
