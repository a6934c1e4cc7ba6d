#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: what espsyncd.conf marks is initiated by the active node alone, once; what expired on a standby is rekeyed after it took over
# WHERE: uml-fast
# SETS: timeout=400 named
#
# Stock charons, espsyncd, the module; the far end is a branch that only answers. The judges are its charon, which must never have a second
# IKE SA, and captures at both gateways, which show who sends IKE.
import signal
import time

from esptest import *
from esptest_ike import Charon, IkeCluster, explained, replace

IKE_SA_INIT, CREATE_CHILD_SA = 34, 36
CHILDREN = {"net": "10.2.0.1/32", "net-2": "10.2.0.2/32"}
QUIET = 12      # two looks of the active node's helper, and one of the standby's
SECRET = 'secrets {\n ike-branch {\n  secret = "replace this by a long random one"\n }\n}\n'


def connection(local, remote, me, them, turned=False, own=None):
    """`branch`, as either side has it; `own`: further lines of each child."""
    def child(name, ts):
        here, there = (ts, "10.1.0.0/24") if turned else ("10.1.0.0/24", ts)
        return (f"{name} {{\n local_ts = {here}\n remote_ts = {there}\n esp_proposals = aes128gcm16-x25519-esn\n replay_window = 1024\n"
                f" {(own or {}).get(name, '')}\n}}\n")

    return (f"connections {{\nbranch {{\n local_addrs = {local}\n remote_addrs = {remote}\n version = 2\n mobike = no\n"
            f" proposals = aes128-sha256-x25519\n local {{\n  auth = psk\n  id = {me}\n }}\n remote {{\n  auth = psk\n  id = {them}\n }}\n"
            f" children {{\n{''.join(child(*c) for c in CHILDREN.items())} }}\n}}\n}}\n{SECRET}")


class Branch(Charon):
    """The far end: it answers, and begins nothing."""

    def swanctl_conf(self):
        return connection(IkeCluster.CLIENT, IkeCluster.VIP, "branch.example.org", "gw.example.org", turned=True)

    def ping(self, count=3):
        out = self.run(f"ping -n -i 0.05 -c {count} -w 10 -I {IkeCluster.INNER} {IkeCluster.LAN}", ok=None)
        return int(out.split(" received")[0].split()[-1])


def initiating(gw):
    """A gateway that has the connection, and whose helper is to initiate it. `own` of it may be changed."""
    conf, strongswan = type(gw).helper_conf, type(gw).strongswan_conf
    gw.own, gw.marked = {}, f"[initiate branch]\nchildren = {' '.join(CHILDREN)}\n"
    gw.swanctl_conf = lambda: connection(IkeCluster.VIP, IkeCluster.CLIENT, "gw.example.org", "branch.example.org", own=gw.own)
    gw.helper_conf = lambda: conf(gw) + gw.marked
    # A far end that does not answer is given up after 14 s.
    gw.strongswan_conf = lambda: strongswan(gw) + "charon {\n retransmit_timeout = 1\n retransmit_base = 1\n retransmit_tries = 13\n}\n"


def setup():
    module()
    c = IkeCluster(module=True)
    c.road = c.branch = Branch(c.client)
    c.client.ip("addr add 10.2.0.2/32 dev lo")
    for gw in c.ike.values():
        initiating(gw)
    c.outer = {n: Capture(gw, "out") for n, gw in c.gw.items()}
    c.active = 1
    try:
        c.branch.start_charon()
        c.start_ike()
        both_there(c)
        c.wait_mirrored()
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    return c


def both_there(c, seconds=20):
    """One IKE SA with both children, begun by the gateway."""
    until(lambda: len(c.branch.children()) == len(CHILDREN), seconds, "the branch has both CHILD SAs")
    equal(len(c.branch.ike()), 1, "IKE SAs of the branch")
    equal(c.branch.ike(), c.ike[c.active].ike("ESTABLISHED"), "the active node's IKE SA")
    equal(c.ike[c.active].sas()[0].get("initiator"), "yes", "the gateway has begun it")


def sent(c, node, since=0.0):
    """IKE that left a gateway."""
    return [p for p in c.outer[node].ike(since=since) if p.out]


def begun(c, node):
    return c.ike[node].log().count("initiating connection branch")


def crash(c):
    """The active node dies. Return: the one that takes over, and the dead one"""
    dead, c.active = c.active, 3 - c.active
    c.power_off(dead)
    c.take_over(c.active)
    return c.active, dead


@explained
def the_active_node_begins(c):
    equal(len([p for p in sent(c, 1) if p.exchange == IKE_SA_INIT]), 1, "IKE_SA_INIT requests of gw1")
    c.ike[1].said("child net-2 is up")
    equal(c.branch.ping(), 3, "echos")


@explained
def the_standby_does_not(c):
    time.sleep(QUIET)
    equal((begun(c, 2), sent(c, 2)), (0, []), "what gw2 began, and sent")


@explained
def a_takeover_begins_nothing(c):
    """What is mirrored is there."""
    ike, children, since = c.branch.ike(), c.branch.children(), time.time()
    new, dead = crash(c)
    time.sleep(QUIET)
    equal((begun(c, new), [p for p in sent(c, new, since) if not p.response]), (0, []), f"what gw{new} began, and asked")
    equal((c.branch.ike(), c.branch.children()), (ike, children), "the branch's SAs")
    equal(c.branch.ping(), 3, "echos")
    c.power_on(dead)
    c.wait_mirrored(active=new)
    c.wait_ready(new)


@explained
def a_charon_that_restarts_begins_nothing(c):
    """It has nothing at first, and is given all."""
    gw, ike, children, before = c.ike[c.active], c.branch.ike(), c.branch.children(), begun(c, c.active)
    gw.end("charon", signal.SIGKILL)
    gw.start_charon()
    until(lambda: gw.ike("ESTABLISHED") == ike, 20, f"{gw}'s charon is as it was")
    time.sleep(QUIET)
    equal(begun(c, c.active), before, "what it has begun since its helper started")
    equal((c.branch.ike(), c.branch.children()), (ike, children), "the branch's SAs")


@explained
def what_is_gone_is_begun_again(c):
    ike, since = c.branch.ike(), time.time()
    c.branch.swanctl("--terminate --ike branch")
    until(lambda: c.branch.ike() and c.branch.ike() != ike, 20, "another IKE SA")
    both_there(c)
    c.wait_mirrored(active=c.active)
    equal(sent(c, 3 - c.active, since), [], "what the standby sent")
    # One child alone: the IKE SA is taken for it.
    ike, children = c.branch.ike(), c.branch.children()
    c.branch.swanctl("--terminate --child net-2")
    until(lambda: c.branch.children() != children, 10, "net-2 is gone")
    both_there(c)
    equal(len(c.branch.children() & children), 1, "of the CHILD SAs one is another")
    equal(c.branch.ike(), ike, "the branch's IKE SA")


@explained
def a_far_end_that_does_not_answer_is_tried_again(c):
    gw, before = c.ike[c.active], begun(c, c.active)
    c.branch.end("charon", signal.SIGKILL)
    c.branch.ns.ip("xfrm state flush")
    c.branch.ns.ip("xfrm policy flush")
    gw.swanctl("--terminate --ike branch --force --timeout 1", ok=None)
    gw.said("the far end does not answer: connection branch, child net ", 40)
    until(lambda: begun(c, c.active) == before + 2, 40, f"{gw} has tried it again")
    c.wait_ready(c.active)     # there is nothing that a failover could lose


@explained
def the_next_node_goes_on_trying(c):
    """And who is active no more sends nothing, whatever its charon had begun."""
    old, new = c.active, 3 - c.active
    before = begun(c, new)
    c.ike[old].become("BACKUP")
    c.move_vip(new)
    since = time.time()
    c.ike[new].become("MASTER")
    c.active = new
    until(lambda: begun(c, new) > before, 20, f"gw{new} begins")
    time.sleep(QUIET)
    equal(sent(c, old, since), [], f"what gw{old} sent")
    until(lambda: not c.ike[old].ike(), 20, f"gw{old}'s charon has forgotten what it had begun")
    check("charon began" not in c.ike[old].log(), f"gw{old}'s charon is not blamed")
    c.branch.start_charon()
    both_there(c, 60)
    c.wait_mirrored(active=new)
    c.wait_ready(new)


@explained
def what_charon_does_not_know_is_named(c):
    node = 3 - c.active
    gw = c.ike[node]
    gw.marked += "[initiate nowhere]\nchildren = lan\n"
    gw.end("espsyncd")
    gw.start_helper()
    gw.said("charon does not know it: connection nowhere, child lan", 20)
    until(lambda: "connection nowhere, child lan is not loaded here" in c.espsync(node, "ready --local", ok=None), 10, "ready says so")
    gw.marked = gw.marked.split("[initiate nowhere]")[0]
    gw.end("espsyncd")
    gw.start_helper()
    c.wait_mirrored(active=c.active)
    c.wait_ready(c.active)


@explained
def charons_own_start_action_is_seen(c):
    node, since = 3 - c.active, time.time()
    gw = c.ike[node]
    check("charon began" not in gw.log(), f"{gw} blames nobody")
    for action, sentence in (("start", "charon began connection branch by itself"), ("trap", r"charon traps packets itself: 2 policies, one of them of \S*net")):
        gw.own = {name: f"start_action = {action}" for name in CHILDREN}
        gw.write("swanctl.conf", gw.swanctl_conf())
        gw.swanctl(f"--load-conns --file {gw.dir}/swanctl.conf")
        gw.said(sentence, 70)
    gw.own = {}
    gw.write("swanctl.conf", gw.swanctl_conf())
    gw.swanctl(f"--load-conns --file {gw.dir}/swanctl.conf")
    equal(sent(c, node, since), [], f"what {gw} sent")
    until(lambda: not any("CHILD_CREATE" in sa.get("tasks-queued", []) for sa in gw.sas()), 20, "nothing waits for a takeover")
    c.wait_mirrored(active=c.active)


@explained
def what_expired_while_passive_is_rekeyed(c):
    """net is due for long, net-2 has lost its states: charon's own timers did nothing, for it was passive."""
    gw, ike, children = c.ike[3 - c.active], c.branch.ike(), c.branch.children()
    mirrored = c.ike[c.active].children()
    gw.own = {"net": "rekey_time = 5s\n life_time = 1h\n rand_time = 0s", "net-2": "rekey_time = 5s\n life_time = 8s\n rand_time = 0s"}
    gw.stop_charon()
    gw.start_charon()
    until(lambda: gw.children() == mirrored, 20, f"{gw}'s charon has all SAs")
    until(lambda: len(gw.in_kernel()) == 2, 20, f"net-2's states are gone on {gw}")
    equal(c.branch.children(), children, "the branch's CHILD SAs")
    since = time.time()
    new, _ = crash(c)
    until(lambda: len(c.branch.children()) == 2 and not c.branch.children() & children, 15, "both are new ones")
    asked = [p.time for p in sent(c, new, since) if p.exchange == CREATE_CHILD_SA and not p.response]
    check(asked[1] - asked[0] > 0.05, f"one after the other: {[round(t - asked[0], 3) for t in asked]}")
    equal(c.branch.ike(), ike, "the branch's IKE SA")
    equal(c.branch.ping(), 3, "echos")


main([the_active_node_begins, the_standby_does_not, a_takeover_begins_nothing, a_charon_that_restarts_begins_nothing, what_is_gone_is_begun_again,
      a_far_end_that_does_not_answer_is_tried_again, the_next_node_goes_on_trying, what_charon_does_not_know_is_named,
      charons_own_start_action_is_seen, what_expired_while_passive_is_rekeyed], setup)
