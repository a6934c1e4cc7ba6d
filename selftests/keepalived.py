#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: keepalived decides, espsyncd obeys: at most one node is active at any time, and one soon after
# WHERE: uml-fast
# SETS: timeout=400
#
# The example of etc/keepalived/, run as it is but for names of interfaces and what differs between the nodes, with stock charons:
# the way from VRRP to the role, when the nodes are cut off from each other and their programs are killed or overrun. Who is active is
# asked of both modules all the time. Whether ESP numbers repeat is other tests' affair.
#
# keepalived's track_process lives on the kernel's process events, which only the first namespace of a machine gets. Here it is
# read and has no effect; the demo has machines of their own.
import functools
import json
import os
import re
import signal
import threading
import time

from esptest import *
from esptest_ike import TOP, IkeCluster, example, replace

WITHIN = 5
TAKES_OVER = "no heartbeat received, taking all segments"

# 0.1 in the example. A guest that shares its processors may be stopped for longer than three adverts of that.
ADVERT_INT = os.environ.get("ADVERT_INT", "0.5")


class Watch(threading.Thread):
    """Both modules' roles, over and over. Between two looks at one node it was active all the time if its epoch is the same: each
    promote makes a new one."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.both, self.samples, self.ending, self.during = cluster, [], 0, False, "setup"
        self.start()

    def run(self):
        while not self.ending:
            first, between, last = (group(self.cluster, n) for n in (1, 2, 1))
            self.samples += 1
            if first and between and first == last and first[0] == between[0] == "active":
                self.both.append(f"{self.during}: {first}, {between}")

    def stop(self):
        self.ending = True
        if self.is_alive():
            self.join()


class Keepalived:
    """keepalived of one node, and what systemd would do for it."""

    def __init__(self, station, priority):
        self.station, self.priority, self.before = station, priority, 0

    def configuration(self):
        here = example("keepalived/keepalived.conf")
        here = replace(here, (r"router_id gw1", f"router_id gw{self.station.number}"), (r"priority 110", f"priority {self.priority}"),
                       (r"/usr/local/sbin/espsync ready", f"{TOP}/user/espsync/espsync ready"), (r"interface outer", "interface out"),
                       (r"advert_int 0.1", f"advert_int {ADVERT_INT}"))
        return addresses(here)

    def start(self):
        conf = self.station.write("keepalived.conf", self.configuration())
        self.before = len(self.station.text("keepalived.out"))
        self.station.spawn("keepalived", ["keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp", "-f", conf])

    def stop(self, sig=signal.SIGTERM):
        """Ended or killed, with its child as systemd does; then the unit's own ExecStopPost lines."""
        proc = self.station.procs["keepalived"]
        children = sh(f"pgrep -P {proc.pid}", ok=None).split()
        if sig == signal.SIGKILL:
            sh(f"kill -9 {proc.pid} {' '.join(children)}", ok=None)     # the parent first: it would start another child
        self.station.end("keepalived", sig)
        until(lambda: not any(running(pid) for pid in children), 10, "keepalived and its child are gone")
        unit = addresses(example("keepalived/keepalived.service.d/espsync.conf"))
        for line in re.findall(r"^ExecStopPost=-(.+)$", unit, re.M):
            self.station.run(line.replace("\\\\", "\\"), ok=None)

    def state(self):
        """The state it has said last, since it was started last."""
        said = re.findall(r"\(espsync\) Entering (\w+) STATE", self.station.text("keepalived.out")[self.before:])
        return said[-1] if said else None


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def addresses(text):
    """The example's devices and inner address, as this cluster has them."""
    check("192.0.2.1/24 dev outer" in text and "10.1.0.1/24 dev inner" in text, "the example's addresses")
    return text.replace(" dev outer", " dev out").replace(" dev inner", " dev in")


def told(case):
    """A case whose failure is followed by what the programs have said."""
    @functools.wraps(case)
    def run(c):
        c.watch.during = case.__name__
        try:
            case(c)
        except Exception:
            for n in (1, 2):
                for line in c.ike[n].text("keepalived.out").splitlines()[-60:]:
                    note(f"gw{n} keepalived: {line}")
                for line in c.ike[n].text("espsyncd.out").splitlines()[-30:]:
                    note(f"gw{n} {line}")
            raise
    return run


def group(c, n):
    """Role and epoch of group 0."""
    out = c.espsync(n, "-j show groups", ok=None)
    return (json.loads(out)[0]["role"], json.loads(out)[0]["epoch"]) if out.status == 0 else None


def role(c, n):
    return (group(c, n) or [None])[0]


def roles(c):
    return [role(c, n) for n in (1, 2)]


def has_address(c, n):
    return f" {c.VIP}/" in c.gw[n].ip("-4 addr show dev out")


def how(c):
    return f"roles {roles(c)}, address at {[n for n in (1, 2) if has_address(c, n)]}, VRRP {[c.vrrp[n].state() for n in (1, 2)]}"


def settled(c, active=None, seconds=WITHIN):
    """Exactly one is active, the other one standby, the address where the role is; its number."""
    def one():
        now = roles(c)
        n = now.index("active") + 1 if sorted(map(str, now)) == ["active", "standby"] else None
        return n if n and active in (None, n) and has_address(c, n) else None
    try:
        return until(one, seconds, "it")
    except AssertionError:
        raise AssertionError(f"one active node{f', gw{active}' if active else ''} within {seconds} s: {how(c)}") from None


def stays(c, n, seconds):
    """Nothing happens for some seconds; there is no event to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        equal(role(c, n), "active", f"gw{n}'s role")
        time.sleep(0.1)


def ready(c, n, seconds=20):
    try:
        until(lambda: c.espsync(n, "ready", ok=None).status == 0, seconds, "it")
    except AssertionError:
        raise AssertionError(f"gw{n} ready within {seconds} s: {c.espsync(n, 'ready', ok=None)}") from None


def end_keepalived(c):
    """Whatever cases were run: its child would outlive a killed parent."""
    for vrrp in c.vrrp.values():
        if vrrp.station.running("keepalived"):
            vrrp.stop()


def setup():
    module()
    c = IkeCluster(module=True)
    c.vrrp = {n: Keepalived(c.ike[n], 120 - 10 * n) for n in (1, 2)}
    try:
        for n, gw in c.ike.items():
            gw.heartbeat_timeout = 3000
            c.configure(n)
            gw.start_helper()
            gw.start_charon()
        until(lambda: all(c.peer_state(n) == "up" for n in c.gw), 10, "both peers up")
        c.watch = Watch(c)
        defer(c.watch.stop)
        defer(end_keepalived, c)
        c.vrrp[1].start()
        until(lambda: role(c, 1) == "active", 10, "gw1 active")
        c.vrrp[2].start()
        settled(c, active=1, seconds=10)
        c.outer = Capture(c.client, "out")
        c.road.start_charon()
        c.road.connect()
        c.wait_mirrored()
        ready(c, 1)
    except Exception:
        c.explain()
        raise
    return c


def cut_vrrp(c):
    for n in (1, 2):
        c.gw[n].sh("nft 'table ip cutvrrp { chain in { type filter hook input priority -300; ip protocol 112 drop; }; }'")


def heal_vrrp(c):
    for n in (1, 2):
        c.gw[n].sh("nft delete table ip cutvrrp", ok=None)


@told
def vrrp_is_cut_and_heals(c):
    settled(c, active=1)
    cut_vrrp(c)
    try:
        both_are_masters(c)
    finally:
        heal_vrrp(c)
    until(lambda: sorted(c.vrrp[n].state() for n in (1, 2)) == ["BACKUP", "MASTER"], WITHIN, "one master")
    n = settled(c)
    equal((c.vrrp[n].state(), c.vrrp[3 - n].state()), ("MASTER", "BACKUP"), f"VRRP at gw{n}, which is active, and at the other")
    until(lambda: not has_address(c, 3 - n), WITHIN, f"gw{3 - n} has the address no more")
    until(lambda: c.ike[3 - n].track() == "0", 2, "the track file is 0 again")
    equal(n, 2, "the active node, for all of gw1's higher priority")
    check(c.road.ping() == 3, "echos through gw2")
    ready(c, n)


def both_are_masters(c):
    """To themselves; the module knows better, the sync link being up."""
    until(lambda: all(c.vrrp[n].state() == "MASTER" for n in (1, 2)), WITHIN, "both believe to be master")
    settled(c, active=2)
    until(lambda: c.ike[1].track() == "1", 2, "gw1's track file says that it has stepped down")
    stays(c, 2, 2)


@told
def a_returning_node_with_the_higher_priority_takes_nothing(c):
    c.vrrp[1].stop()
    settled(c, active=2)
    c.vrrp[1].start()
    until(lambda: c.vrrp[1].state() == "BACKUP", WITHIN, "gw1 is back")
    stays(c, 2, 4)
    equal((settled(c), c.vrrp[2].state()), (2, "MASTER"), "gw2 stays")


@told
def keepalived_is_killed(c):
    """What it leaves behind goes, and the role with it."""
    c.vrrp[2].stop(signal.SIGKILL)
    check(not has_address(c, 2), "gw2's address went with keepalived")
    settled(c, active=1)
    c.vrrp[2].start()
    until(lambda: c.vrrp[2].state() == "BACKUP", WITHIN, "gw2 is back")
    equal(settled(c), 1, "the active node")
    check(c.road.ping() == 3, "echos through gw1")


@told
def the_only_standby_dies(c):
    n = settled(c)
    left, dead = c.ike[n], c.ike[3 - n]
    c.vrrp[dead.number].stop(signal.SIGKILL)
    for name in ("charon", "espsyncd"):
        dead.end(name, signal.SIGKILL)
    c.crash(dead.number)
    try:
        stays(c, n, 4)
        equal(c.vrrp[n].state(), "MASTER", "VRRP of the node that is left")
        alone = c.espsync(n, "ready --local", ok=None)
        equal(alone.status, 0, f"status of ready --local at the node that is left: {alone}{alone.stderr}")
        check(c.road.ping() == 3, f"echos through {left}")
    finally:
        c.revive(dead.number)
    dead.start_helper()
    dead.start_charon()
    c.vrrp[dead.number].start()
    settled(c, active=n)
    ready(c, n, 30)


def charon_ends_on_the_active_node(c, sig):
    n = settled(c)
    before, inits = c.ike[n].ike("ESTABLISHED"), c.outer.sa_inits()
    equal(len(before), 1, "IKE SAs")
    c.ike[n].end("charon", sig)
    c.ike[n].start_charon()
    until(lambda: c.ike[settled(c)].ike("ESTABLISHED") == before, 20, "the active node's charon has the IKE SA again")
    check(c.road.ping() == 3, "echos")
    equal(c.outer.sa_inits(), inits, "IKE_SA_INIT requests")
    ready(c, settled(c), 30)


@told
def charon_is_killed_on_the_active_node(c):
    charon_ends_on_the_active_node(c, signal.SIGKILL)


@told
def charon_is_restarted_on_the_active_node(c):
    charon_ends_on_the_active_node(c, signal.SIGTERM)


@told
def fifty_changes_end_where_keepalived_ends(c):
    """In 10 s, at both nodes: the newest word wins."""
    for last in (1, 2):
        for i in range(50):
            c.ike[1].vrrp("MASTER" if i % 2 else "BACKUP")
            c.ike[2].vrrp("BACKUP" if i % 2 else "MASTER")
            time.sleep(0.1)
        c.ike[3 - last].vrrp("BACKUP")
        c.ike[last].vrrp("MASTER")
        wanted = ["active", "standby"] if last == 1 else ["standby", "active"]
        until(lambda: roles(c) == wanted, WITHIN, f"roles {wanted}")
        stays(c, last, 1)


@told
def keepalived_has_the_last_word(c):
    """After that word for word: what keepalived itself says next is carried out."""
    master = next(n for n in (1, 2) if c.vrrp[n].state() == "MASTER")
    c.ike[3 - master].vrrp("BACKUP")
    c.ike[master].vrrp("MASTER")
    settled(c, active=master)
    check(c.road.ping() == 3, "echos, after it all")
    ready(c, master, 30)


def a_pause_that_keepalived_takes_for_a_death_is_noticed(c):
    """A master down interval is at least three adverts: no sooner is a node replaced that stands still. What it stood still must count from there on."""
    advert_s = float(re.search(r"^\s*advert_int (\S+)", example("keepalived/keepalived.conf"), re.M)[1])
    for n in (1, 2):
        noticed = c.show(n, "channel")["detect_ms"]
        check(noticed <= 3000 * advert_s, f"gw{n}: detect_ms {noticed}, the example's takeover after {3000 * advert_s:.0f} ms")


@told
def watchdog(c):
    """A charon that hears nothing for 3 s takes over; and a charon that is active deletes its tunnels when it is stopped."""
    n = settled(c)
    active, passive = c.ike[n], c.ike[3 - n]
    before = active.ike("ESTABLISHED")
    heard = passive.text("charon.log").count(TAKES_OVER)
    time.sleep(15)
    equal(passive.ike("PASSIVE"), before, "the passive charon's IKE SAs after 15 s")
    equal(passive.text("charon.log").count(TAKES_OVER), heard, "times that it took over for want of a heartbeat")
    said = len(c.outer.ike(37, requests=True))
    passive.end("charon", signal.SIGTERM)
    check(c.road.ping() == 3, "echos after the passive charon was stopped")
    equal(active.ike("ESTABLISHED"), before, "the active charon's IKE SAs")
    equal(c.road.ike("ESTABLISHED"), before, "the client's")
    equal(len(c.outer.ike(37, requests=True)), said, "INFORMATIONAL requests on the wire, as a DELETE is")
    passive.start_charon()
    ready(c, n, 30)


def never_two_were_active(c):
    c.watch.stop()
    note(f"{c.watch.samples} samples of both roles")
    equal(c.watch.both, [], "samples in which both were active")
    check(c.watch.samples > 200, "enough samples")


main([vrrp_is_cut_and_heals, a_returning_node_with_the_higher_priority_takes_nothing, keepalived_is_killed, the_only_standby_dies,
      charon_is_killed_on_the_active_node, charon_is_restarted_on_the_active_node, fifty_changes_end_where_keepalived_ends,
      keepalived_has_the_last_word, a_pause_that_keepalived_takes_for_a_death_is_noticed, watchdog, never_two_were_active], setup)
