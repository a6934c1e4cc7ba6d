#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: espsyncd carries a tunnel to the standby's charon, exactly once, whatever breaks between the helpers
# WHERE: uml-fast
# SETS: timeout=400
#
# The helper alone, without the module: real tunnels of real clients on gw1's charon must appear on gw2's, passive, with the same
# SPIs in charon and in the kernel, and stay there exactly once while links, helpers and charons come and go.
import os
import signal
import socket
import time

from esptest import *
from esptest_ike import IkeCluster, explained

TWICE = "a second IKE_ADD"


def setup():
    c = IkeCluster()
    try:
        c.start_ike()
        c.road.start_charon()
        c.road2.start_charon()
        c.road.connect()
        c.road2.connect()
        c.wait_mirrored(ikes=2)
    except Exception:
        c.explain()
        raise
    return c


@explained
def tunnels_are_mirrored(c):
    check(c.road.ping() == 3, "echos through gw1")
    equal(c.ike[2].mirrored_children(), 2, "CHILD SAs installed by gw2's charon: each client's once")


@explained
def what_was_sent_twice_arrives_once(c):
    """gw2's charon stands still, so that gw2 has records that it cannot acknowledge; then the link breaks and gw1 sends them again."""
    c.road2.swanctl("--terminate --ike home")
    c.wait_mirrored(ikes=1)
    before = c.ike[2].mirrored_children()
    c.ike[2].procs["charon"].send_signal(signal.SIGSTOP)
    c.road.rekey()
    until(lambda: c.gw2.sh("awk '$2 ~ /0100007F:119E/ { print $5 }' /proc/net/udp").strip() not in ("", "00000000:00000000"), 10,
          "datagrams wait for gw2's charon")
    c.road2.connect()       # an IKE SA whose every record comes behind them
    c.cut_sync()
    c.ike[1].said("peer 2: disconnected", 15)
    c.ike[2].said("peer 1: disconnected", 15)
    c.heal_sync()
    c.ike[1].said("peer 2 goes on behind record", 15)
    c.ike[2].procs["charon"].send_signal(signal.SIGCONT)
    c.wait_mirrored(ikes=2)
    equal(c.ike[2].mirrored_children() - before, 2, "CHILD SAs installed: road2's new one and road's")
    check(TWICE not in c.ike[2].log(), "no record is taken twice")


@explained
def a_standby_helper_restarts(c):
    before, children = c.ike[2].mirrored_children(), c.ike[2].children()
    c.ike[2].end("espsyncd", signal.SIGKILL)
    c.road.rekey()
    c.cut_sync()
    c.ike[2].start_helper()
    time.sleep(3)           # it looks at what charon has, and has no journal to compare it with
    equal(c.ike[2].children(), children, "what gw2's charon has")
    c.heal_sync()
    c.wait_mirrored(ikes=2)
    check(c.ike[2].children() != children, "the rekeying reached gw2")
    equal(c.ike[2].mirrored_children() - before, 1, "CHILD SAs installed: the new one alone, the others were left as they were")


@explained
def an_active_helper_restarts(c):
    """Its journal comes back from gw2, charon's messages of the meantime from the socket."""
    before = c.ike[2].mirrored_children()
    for sig in (signal.SIGKILL, signal.SIGTERM):
        c.ike[1].end("espsyncd", sig)
        c.road.rekey()
        c.ike[1].start_helper()
        c.ike[1].said("gave the journal back: 2 IKE SAs")
        c.wait_mirrored(ikes=2)
        check("rekeying it" not in c.ike[1].log(), "nothing was missing")
    equal(c.ike[2].mirrored_children() - before, 2, "CHILD SAs installed: one for each rekeying")


@explained
def a_standby_charon_restarts(c):
    """It is rebuilt with the same SPIs and without a word to the clients."""
    c.road.rekey("--ike home")
    c.wait_mirrored(ikes=2)
    children, ikes = c.ike[2].children(), c.ike[2].ike()
    cap = Capture(c.client, "out")
    c.ike[2].end("charon", signal.SIGKILL)
    check(c.ike[2].in_kernel(), "what it left in the kernel")
    said = len(c.ike[2].text("charon.log"))
    c.ike[2].start_charon()
    c.wait_mirrored(ikes=2)
    check("unable to add SAD entry" not in c.ike[2].text("charon.log")[said:], "nothing that a former charon left was in the way")
    equal((c.ike[2].children(), c.ike[2].ike()), (children, ikes), "SPIs after the restart")
    equal(len(cap.stop().ike()), 0, "IKE messages of the client")


@explained
def both_helpers_restart(c):
    """Nobody has a journal left: what gw1's charon has is rekeyed, and so told anew; the tunnels stay."""
    ikes = c.road.ike() | c.road2.ike()
    cap = Capture(c.br, "outside")
    for gw in c.ike.values():
        gw.end("espsyncd", signal.SIGKILL)
    for gw in c.ike.values():
        gw.start_helper()
    c.ike[1].said("rekeying it", 30)
    until(lambda: not (c.road.ike("ESTABLISHED") | c.road2.ike("ESTABLISHED")) & ikes, 30, "both clients have new IKE SAs")
    c.wait_mirrored(ikes=2, seconds=40)
    equal(cap.stop().sa_inits(), 0, "IKE_SA_INIT requests")
    check(c.road.ping() == 3 and c.road2.ping() == 3, "echos of both clients")


def charon_port(c, uid=0):
    """A socket on it, of one that is no charon."""
    s = c.gw2.socket(socket.AF_INET, socket.SOCK_DGRAM)
    os.fchown(s.fileno(), uid, uid)
    s.bind(("127.0.0.1", 4510))
    s.connect(("127.0.0.2", 4510))
    return s


def told(s, seconds):
    """What arrives there first, or nothing."""
    s.settimeout(seconds)
    try:
        return s.recv(65536)[:2]
    except TimeoutError:
        return None


@explained
def another_user_on_charons_port_is_told_nothing(c):
    """Not even the heartbeat that is due just after the port has changed hands."""
    c.ike[2].end("charon", signal.SIGKILL)
    for _ in range(6):
        with charon_port(c) as beaten:
            check(told(beaten, 5), "root's socket hears heartbeats")
            time.sleep(0.97)        # the next one is due in 30 ms
        with charon_port(c, uid=65534) as stranger:
            equal(told(stranger, 0.3), None, "what another user's socket hears")
    c.ike[2].said("belongs to user 65534, not to root")
    with charon_port(c, uid=65534) as stranger:
        c.road.rekey()
        equal(told(stranger, 2), None, "what another user's socket hears of a rekeying")
    c.ike[2].start_charon()
    c.wait_mirrored(ikes=2)


@explained
def only_the_cluster_key_opens_the_link(c):
    """Neither another key nor the cluster key as it is; and the link that is there stays."""
    with open(c.key_file(), encoding="ascii") as f:
        raw = f.read().strip()
    before = c.ike[2].log().count("disconnected")
    for psk in ("11" * 32, raw):
        out = c.gw1.sh(f"timeout 10 openssl s_client -tls1_3 -connect 10.99.0.2:4521 -psk_identity espsyncd-1 -psk {psk} </dev/null 2>&1", ok=None)
        check("Cipher is TLS" not in out, f"the handshake fails: {out}")
    equal(c.ike[2].log().count("disconnected"), before, "times that gw2's helper lost gw1's")


@explained
def a_tunnel_goes_everywhere(c):
    c.road2.swanctl("--terminate --ike home")
    c.wait_mirrored(ikes=1)
    equal(len(c.ike[2].in_kernel()), 2, "states in gw2's kernel")


main([tunnels_are_mirrored, what_was_sent_twice_arrives_once, a_standby_helper_restarts, an_active_helper_restarts,
      a_standby_charon_restarts, both_helpers_restart, another_user_on_charons_port_is_told_nothing,
      only_the_cluster_key_opens_the_link, a_tunnel_goes_everywhere], setup)
