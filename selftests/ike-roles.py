#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: espsyncd follows keepalived and the tool in every order, feeds charon's watchdog, fills a charon that restarts while active
# WHERE: uml-fast
# SETS: timeout=400
#
# Stock charons whose watchdog is short, espsyncd, the module; keepalived's lines are written by the test. The judge of every step
# is the client: its IKE SA is the first one to the end.
import os
import signal
import time

from esptest import *
from esptest_ike import IkeCluster, explained

IDLE = 10


def setup():
    module()
    c = IkeCluster(module=True)
    try:
        for gw in c.ike.values():
            gw.heartbeat_timeout = 3000
        c.start_ike()
        c.road.start_charon()
        c.road.connect()
        c.wait_mirrored()
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.capture = Capture(c.client, "out")
    c.first = c.road.ike()
    return c


def carries_on(c, active):
    equal(c.road.ping(10), 10, f"echos through gw{active}")
    c.wait_mirrored(active=active)
    c.wait_ready(active)
    equal(c.road.ike(), c.first, "the client's IKE SA")


@explained
def the_watchdog_is_fed(c):
    """With 3 s instead of 24 days both charons would become active now."""
    time.sleep(IDLE)
    for gw, times in ((c.ike[1], 1), (c.ike[2], 0)):
        equal(gw.text("charon.log").count("HA segment 1 activated"), times, f"activations of {gw}'s charon")
    carries_on(c, 1)


@explained
def a_passive_charon_ends(c):
    c.ike[2].end("charon", signal.SIGTERM)
    equal(len(c.capture.ike()), 0, "IKE messages of the client: no DELETE among them")
    c.ike[2].start_charon()
    carries_on(c, 1)


@explained
def an_active_charon_ends(c):
    """SIGTERM and SIGKILL: espsyncd gives it back all it had, and makes it active."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        c.ike[1].end("charon", sig)
        c.ike[1].start_charon()
        until(lambda: c.ike[1].ike("ESTABLISHED") == c.first, 15, "gw1's charon is as it was")
        carries_on(c, 1)
    equal(len(c.capture.ike()), 0, "IKE messages of the client")
    c.road.rekey("--child lan")
    carries_on(c, 1)


@explained
def a_move_by_hand(c):
    """With the tool, behind keepalived's back: charon follows, and keepalived is told in its file."""
    equal(c.ike[1].track(), "0", "gw1's track file")
    c.espsync(1, "demote")
    until(lambda: c.ike[1].role() == "standby" and c.ike[1].ike("PASSIVE"), 10, "gw1's charon is passive")
    until(lambda: c.ike[1].track() == "1", 5, "gw1's track file says 1")
    c.move_vip(2)
    c.espsync(2, "promote")
    until(lambda: c.ike[2].role() == "active" and c.ike[2].ike("ESTABLISHED"), 10, "gw2's charon is active")
    c.ike[1].vrrp("BACKUP")
    until(lambda: c.ike[1].track() == "0", 5, "gw1's track file says 0: keepalived has followed")
    carries_on(c, 2)


@explained
def a_higher_epoch(c):
    """gw1 is promoted while keepalived on gw2 believes to be master: gw2 steps down by itself."""
    c.ike[2].vrrp("MASTER")
    c.move_vip(1)
    c.espsync(1, "promote")
    until(lambda: c.ike[2].role() == "standby" and c.ike[2].track() == "1", 10, "gw2 has stepped down and says so")
    until(lambda: c.ike[1].role() == "active", 10, "gw1 is active")
    c.ike[2].vrrp("BACKUP")
    carries_on(c, 1)


@explained
def keepalived_makes_its_fifo_anew(c):
    """One that it has made itself it removes when it stops. What it writes to the next one is heard."""
    fifo = f"{c.ike[2].dir}/run/espsync/notify"
    os.unlink(fifo)
    os.mkfifo(fifo, 0o600)
    c.ike[2].said("is another one now")
    c.ike[1].become("BACKUP")
    c.move_vip(2)
    c.ike[2].become("MASTER")
    carries_on(c, 2)
    # And when there is none, it makes one.
    os.unlink(fifo)
    until(lambda: os.path.exists(fifo), 10, "a FIFO of espsyncd's own")
    c.ike[2].become("BACKUP")
    c.move_vip(1)
    c.ike[1].become("MASTER")
    carries_on(c, 1)


@explained
def many_role_changes(c):
    """It ends where keepalived ends."""
    rng = seeded()
    for _ in range(50):
        c.ike[2].vrrp(rng.choice(("MASTER", "BACKUP", "FAULT", "STOP")))
        time.sleep(rng.uniform(0, 0.3))
    c.ike[2].vrrp("BACKUP")
    c.ike[1].vrrp("BACKUP")
    c.ike[1].vrrp("MASTER")
    until(lambda: c.show(1, "groups")[0]["role"] == "active" and c.show(2, "groups")[0]["role"] == "standby", 10, "the module's roles")
    until(lambda: (c.ike[1].role(), c.ike[2].role()) == ("active", "standby"), 10, "the helpers' roles")
    carries_on(c, 1)
    c.road.rekey("--ike home")
    check(c.road.ping() == 3, "echos after an IKE rekeying")
    equal(c.capture.stop().sa_inits(), 0, "IKE_SA_INIT requests of the client")


main([the_watchdog_is_fed, a_passive_charon_ends, an_active_charon_ends, a_move_by_hand, a_higher_epoch, keepalived_makes_its_fifo_anew,
      many_role_changes], setup)
