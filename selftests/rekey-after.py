#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: after a takeover each CHILD SA is rekeyed where that is wanted, so many per second; after a restart of the helper none
# WHERE: uml-fast
#
# The clients and the wire are the judges: each client has other keys than before within the time that the pace gives, under the same IKE
# SA, and the gateway's requests are as far apart as it says.
import time

from esptest import *
from esptest_ike import IkeCluster, Road, explained, replace

CREATE_CHILD_SA = 36

PER_S, CHILDREN = 4, 6


class Many(Road):
    """A client with a CHILD SA for the network, and some for hosts in it."""

    def swanctl_conf(self):
        conf = super().swanctl_conf()
        lan = conf[conf.index("            lan {"):conf.index("        }\n    }\n}\nsecrets")]
        hosts = [replace(lan, ("lan {", f"host-{n} {{"), (r"10\.1\.0\.0/24", f"10.1.0.{n}/32")) for n in range(1, CHILDREN)]
        return conf.replace(lan, lan + "".join(hosts))

    def connect(self):
        super().connect()
        for n in range(1, CHILDREN):
            self.swanctl(f"--initiate --child host-{n} --timeout 20")


def setup():
    module()
    c = IkeCluster(module=True)
    c.road = Many(c.client)
    for gw in c.ike.values():
        conf = type(gw).helper_conf
        gw.helper_conf = lambda gw=gw, conf=conf: replace(conf(gw), (r"#rekey_after_takeover = 0", f"rekey_after_takeover = {PER_S}"))
    try:
        c.start_ike()
        c.road.start_charon()
        c.road.connect()
        until(lambda: len(c.road.children()) == CHILDREN, 10, "the client has its CHILD SAs")
        c.wait_mirrored()
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.wire = Capture(c.client, "out")
    return c


def asked(c, since):
    """When the gateways began a rekeying, as the client sees it."""
    return [p.time for p in c.wire.ike(CREATE_CHILD_SA, requests=True, since=since) if p.src == c.VIP]


@explained
def a_helper_that_restarts_rekeys_nothing(c):
    since, children = time.time(), c.road.children()
    c.ike[1].end("espsyncd")
    c.ike[1].start_helper()
    c.ike[1].said("gave the journal back")
    time.sleep(2 * CHILDREN / PER_S)
    equal((asked(c, since), c.road.children()), ([], children), "rekeyings")


@explained
def each_is_rekeyed_after_a_takeover(c):
    since, children, ike = time.time(), c.road.children(), c.road.ike()
    c.power_off(1)
    c.take_over(2)
    until(lambda: len(c.road.children()) == CHILDREN and not c.road.children() & children, 30 + CHILDREN / PER_S, "all CHILD SAs are new ones")
    equal(c.road.ike(), ike, "the client's IKE SA")
    time.sleep(2 * CHILDREN / PER_S)
    times = asked(c, since)
    equal(len(times), CHILDREN, "rekeyings that the gateway began")
    check(times[-1] - times[0] >= 0.9 * (CHILDREN - 1) / PER_S, f"not faster than {PER_S} per second: {[round(t - times[0], 2) for t in times]}")
    equal(c.road.ping(), 3, "echos")


@explained
def and_again_after_the_next(c):
    c.power_on(1)
    c.wait_mirrored(active=2)
    c.wait_ready(2)
    children = c.road.children()
    c.power_off(2)
    c.take_over(1)
    until(lambda: len(c.road.children()) == CHILDREN and not c.road.children() & children, 30 + CHILDREN / PER_S, "all CHILD SAs are new ones")
    equal(c.wire.sa_inits(), 0, "IKE_SA_INIT requests")


main([a_helper_that_restarts_rekeys_nothing, each_is_rekeyed_after_a_takeover, and_again_after_the_next], setup)
