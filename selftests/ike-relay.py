#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: espsyncd carries a tunnel to the standby's charon, exactly once, whatever breaks between the helpers
# WHERE: uml
# SETS: timeout=300
#
# The helper alone, without the module: a real tunnel of a real client on gw1's charon must appear on gw2's, passive, with the
# same SPIs in charon and in the kernel, and stay there exactly once while connections and helpers come and go.
from esptest import *
from esptest_ike import IkeCluster, explained


def setup():
    c = IkeCluster()
    try:
        c.start_ike()
        c.road.start_charon()
    except Exception:
        c.explain()
        raise
    return c


@explained
def a_tunnel_is_mirrored(c):
    c.road.connect()
    c.wait_mirrored()
    check(c.road.ping() == 3, "echos through gw1")


main([a_tunnel_is_mirrored], setup)
