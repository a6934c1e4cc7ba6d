#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the OCF agent's every answer, charon behind it, and three nodes of a Pacemaker cluster: moves, crashes, fencing, never two promoted
# WHERE: uml-fast
# SETS: timeout=900 mem=3072 packages=pacemaker named
#
# First the agent alone, called as Pacemaker calls it, with module, tool, espsyncd and charon as they are. Then corosync and pacemaker
# with the examples of etc/pacemaker/, as they are but for devices and the fence device. The tunnels there are made by hand.
import json
import os
import shutil
import tempfile
import threading
import time
import xml.etree.ElementTree

from esptest import *
from esptest_ike import IkeCluster
from esptest_pacemaker import Agent, Installed, Member, Said, Switch, corosync_conf, crm_example

SUCCESS, GENERIC, ARGS, UNIMPLEMENTED, INSTALLED, CONFIGURED, NOT_RUNNING, PROMOTED, FAILED_PROMOTED = 0, 1, 2, 3, 5, 6, 7, 8, 9
ACTIONS = ("start", "stop", "promote", "demote", "monitor", "validate-all")


class Test:
    """What the cases share; each of the two clusters is made when a case first asks for it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="pacemaker-")
        defer(shutil.rmtree, self.dir, True)
        self.installed = Installed(f"{self.dir}/usr")
        self._two = self._three = None

    @property
    def two(self):
        """Two gateways with IKE; nothing of it is started."""
        if not self._two:
            module()
            self._two = IkeCluster(module=True)
            self._two.agent = {n: Agent(self.installed, gw) for n, gw in self._two.ike.items()}
        return self._two

    @property
    def three(self):
        if not self._three:
            check(self._three is None, "there is a cluster: see why the first case that wanted one failed")
            self._three = False
            module()
            self._three = Three(self)
        return self._three


# -- the agent ---------------------------------------------------------------

def meta_data_says_what_there_is(t):
    agent = t.two.agent[1]
    equal(agent("meta-data"), SUCCESS, "status")
    root = xml.etree.ElementTree.fromstring(agent.said[agent.said.index("<resource-agent"):])
    equal((root.get("name"), root.findtext("version")), ("espsync", "1.1"), "name, and version of the standard")
    equal([p.get("name") for p in root.iter("parameter")], ["group"], "parameters")
    equal({a.get("name") for a in root.iter("action")}, {*ACTIONS, "meta-data"}, "actions")
    roles = {a.get("role"): a.get("interval") for a in root.iter("action") if a.get("name") == "monitor"}
    check(set(roles) == {"Promoted", "Unpromoted"} and len(set(roles.values())) == 2, f"a monitor for each role, with intervals of their own: {roles}")


def strange_actions_are_refused(t):
    for word in ("", "notify", "migrate_to", "restart"):
        equal(t.two.agent[1](word), UNIMPLEMENTED, f"{word!r}")


def a_strange_group_is_refused_everywhere(t):
    for group in ("one", "-1", "0x1", "1 2", "1;reboot", "123456", "0\n1"):
        for action in ACTIONS:
            equal(t.two.agent[1](action, group=group), CONFIGURED, f"{action} with group {group!r}")
            check("is not the number of a group" in t.two.agent[1].said, f"it says so: {t.two.agent[1].said}")


def nothing_is_there(t):
    """Neither channel nor tool nor module is ever a running resource."""
    agent = t.two.agent[1]
    wanted = {"monitor": NOT_RUNNING, "start": ARGS, "promote": ARGS, "stop": SUCCESS}
    equal({a: agent(a) for a in wanted}, wanted, "without a channel")
    t.installed.provide_tool(False)
    try:
        equal({a: agent(a) for a in ACTIONS}, dict.fromkeys(ACTIONS, INSTALLED), "without the tool")
        check("is not installed" in agent.said, f"it says so: {agent.said}")
        equal(agent("meta-data"), SUCCESS, "meta-data without the tool")
    finally:
        t.installed.provide_tool()
    # Whoever asks for its family has the kernel load it, where it is installed.
    modprobe = sh("cat /proc/sys/kernel/modprobe").strip()
    sh("echo /bin/false > /proc/sys/kernel/modprobe; rmmod espsync")
    try:
        wanted |= {"start": INSTALLED, "promote": INSTALLED}
        equal({a: agent(a) for a in wanted}, wanted, "without the module")
        equal(agent("promote"), INSTALLED, "promote")
        check("systemctl start espsync-channel" in agent.said, f"the remedy is named: {agent.said}")
    finally:
        sh(f"echo {modprobe} > /proc/sys/kernel/modprobe; modprobe espsync")


def fresh(t):
    """Both channels anew, with nobody's role, and agents that know of nothing."""
    c = t.two
    for n in c.gw:      # both, before either is there again: it would hear of a role
        c.espsync(n, "channel del --release", ok=None)
        c.ike[n].run("rm -rf /run/resource-agents")
    for n in c.gw:
        c.configure(n)
    until(lambda: all(c.peer_state(n) == "up" for n in c.gw), 10, "both peers up")
    return c


def role(c, n):
    return c.show(n, "groups")[0]["role"]


def goes(c, n, *steps):
    """Each: action, its status, then monitor's and the module's role."""
    for action, status, monitored, now in steps:
        for time_ in ("once", "twice"):
            equal((c.agent[n](action), c.agent[n]("monitor"), role(c, n)), (status, monitored, now), f"gw{n}: {action}, {time_}: {c.agent[n].said}")


def a_life(t):
    c = fresh(t)
    equal((c.agent[1]("monitor"), role(c, 1)), (NOT_RUNNING, "undecided"), "before it is started")
    goes(c, 1, ("start", SUCCESS, SUCCESS, "standby"), ("promote", SUCCESS, PROMOTED, "active"), ("demote", SUCCESS, SUCCESS, "standby"),
         ("stop", SUCCESS, NOT_RUNNING, "standby"), ("start", SUCCESS, SUCCESS, "standby"), ("promote", SUCCESS, PROMOTED, "active"),
         ("stop", SUCCESS, NOT_RUNNING, "standby"))
    equal(c.agent[1]("start", group=7), ARGS, "start of a group that is not there")
    equal(c.agent[1]("monitor", group=7), NOT_RUNNING, "monitor of it")


def another_group(t):
    c = fresh(t)
    c.espsync(1, "group set 7 addr 192.0.2.77")
    equal([c.agent[1](a, group=7) for a in ("start", "promote", "monitor")], [SUCCESS, SUCCESS, PROMOTED], "group 7: start, promote, monitor")
    equal({g["group"]: g["role"] for g in c.show(1, "groups")}, {0: "undecided", 7: "active"}, "roles")
    equal((c.agent[1]("monitor"), c.agent[1]("monitor", group=7)), (NOT_RUNNING, PROMOTED), "monitor of each")
    equal(c.agent[1]("stop", group=7), SUCCESS, "stop")
    c.espsync(1, "group del 7")


def a_role_that_pacemaker_did_not_give(t):
    """The module steps down, because another node was promoted by hand: monitor says of both what they are."""
    c = fresh(t)
    for n in (1, 2):
        c.agent[n]("start")
    c.agent[1]("promote")
    c.espsync(2, "promote")
    until(lambda: role(c, 1) == "standby", 5, "gw1 has stepped down")
    equal([c.agent[n]("monitor") for n in (1, 2)], [SUCCESS, PROMOTED], "monitor at gw1, which the cluster has promoted, and at gw2")
    equal(c.agent[1]("demote"), SUCCESS, "demote of a node that has stepped down")
    # And one that pacemaker never started: active is active.
    c.agent[2]("demote")
    c.agent[2]("stop")
    c.espsync(2, "promote")
    equal(c.agent[2]("monitor"), PROMOTED, "monitor of a node that was promoted by hand")


def its_module_goes_while_it_is_active(t):
    """Nobody keeps its SAs silent any more: failed, and it cannot be stopped, so it is fenced."""
    c = fresh(t)
    c.agent[1]("start")
    c.agent[1]("promote")
    c.espsync(1, "channel del")
    wanted = {"monitor": FAILED_PROMOTED, "demote": GENERIC, "stop": GENERIC}
    equal({a: c.agent[1](a) for a in wanted}, wanted, "with the channel gone")
    check("fence this node" in c.agent[1].said, f"stop says why: {c.agent[1].said}")
    c.configure(1)
    equal((role(c, 1), c.agent[1]("monitor")), ("undecided", FAILED_PROMOTED), "role and monitor, the channel made anew")
    goes(c, 1, ("demote", SUCCESS, SUCCESS, "standby"), ("stop", SUCCESS, NOT_RUNNING, "standby"))
    # Of a standby nothing is to be feared.
    c.agent[1]("start")
    c.espsync(1, "channel del")
    equal((c.agent[1]("monitor"), c.agent[1]("stop")), (NOT_RUNNING, SUCCESS), "monitor and stop of a standby whose channel is gone")


def score_after(c, n, words=("monitor",)):
    for word in words:
        c.agent[n](word)
    return c.agent[n].score()


def comes_to(c, n, score, what):
    until(lambda: score_after(c, n) == score, 10, f"gw{n}'s score is {score}: {what} ({c.espsync(n, 'ready', ok=None)})")


def scores_say_who_could_take_over(t):
    c = fresh(t)
    equal([score_after(c, n, ("start", "monitor")) for n in (1, 2)], ["1", "1"], "scores before anybody is active")
    equal(score_after(c, 1, ("promote",)), "1000", "of the active node")
    comes_to(c, 2, "100", "it is in sync")
    tunnel = c.tunnel(spi=0x700)
    tunnel.remove(c.gw2)
    try:
        comes_to(c, 2, "1", "an SA is missing")
        equal(score_after(c, 1), "1000", "of the active node, whom nobody could follow without loss")
    finally:
        tunnel.install(c.gw2)
    comes_to(c, 2, "100", "it is there")
    tunnel.remove(c.gw1)
    tunnel.remove(c.gw2)
    tunnel.remove(c.client, gateway=False)
    equal(score_after(c, 2, ("stop",)), None, "of a node that is stopped")
    c.espsync(2, "group set 0 role store")
    try:
        equal(score_after(c, 2, ("start", "monitor")), "-INFINITY", "of a node that only stores")
    finally:
        c.espsync(2, "group set 0 role any")


def a_node_that_was_out_of_sync_stays_it(t):
    """The active node dies: what a standby was until then it remains, in the eyes of the cluster, until another one is active."""
    c = fresh(t)
    c.add_gateway(3)
    c.configure(3)
    for n in (1, 2):
        c.espsync(n, f"peer add 3 {c.SYNC[3]}")
    lacks = c.tunnel(spi=0x710)
    try:
        for n in (1, 2):
            c.agent[n]("start")
        c.espsync(3, "promote")
        for n in (1, 2):
            comes_to(c, n, "100", "in sync with gw3")
        lacks.remove(c.gw1)
        comes_to(c, 1, "1", "an SA is missing")
        c.crash(3)
        time.sleep(8)       # longer than evict_ms: nobody is in any more
        equal([score_after(c, n) for n in (1, 2)], ["1", "100"], "scores after the active node's death")
        c.revive(3)
        lacks.install(c.gw1)
        comes_to(c, 1, "100", "the active node is back")
        # The link of one standby alone: it does not know what it misses.
        c.crash(1)
        comes_to(c, 1, "1", "it hears nobody")
        equal(score_after(c, 2), "100", "gw2's score")
    finally:
        c.revive(1)
        for ns in c.gw.values():
            lacks.remove(ns)
        lacks.remove(c.client, gateway=False)
        c.espsync(3, "channel del --release")
        del c.gw[3]


def espsyncd_and_charon_follow(t):
    """No keepalived, and no word of its on any FIFO: the module's events are all that espsyncd hears."""
    c = fresh(t)
    try:
        for n, gw in c.ike.items():
            gw.start_helper()
            gw.start_charon()
            equal(c.agent[n]("start"), SUCCESS, f"gw{n}: start")
        moves(c, None, 1)
        c.road.start_charon()
        c.road.connect()
        c.wait_mirrored()
        capture = Capture(c.client, "out")
        equal(c.road.ping(), 3, "echos through gw1")
        moves(c, 1, 2)
        equal(c.road.ping(), 3, "echos through gw2")
        c.road.rekey()
        moves(c, 2, 1)
        equal(c.road.ping(), 3, "echos through gw1 again")
        # A crash, as far as the others can see.
        c.power_off(1)
        equal(c.agent[2]("promote"), SUCCESS, "promote")
        c.move_vip(2)
        until(lambda: c.ike[2].role() == "active", 10, "gw2's charon is active")
        equal(c.road.ping(), 3, "echos through gw2, after gw1's death")
        equal(capture.sa_inits(), 0, "IKE_SA_INIT requests")
        equal(repeats([capture], out=False), {}, "numbers that came twice")
    except Exception:
        c.explain()
        raise


def moves(c, from_, to):
    """In the order of the example's constraints: demoted, promoted, then the address; espsyncd follows each."""
    if from_:
        c.wait_mirrored(active=from_)
        equal(c.agent[from_]("demote"), SUCCESS, f"gw{from_}: demote: {c.agent[from_].said}")
        until(lambda: c.ike[from_].role() == "standby", 10, f"gw{from_}'s espsyncd has followed")
    equal(c.agent[to]("promote"), SUCCESS, f"gw{to}: promote: {c.agent[to].said}")
    c.move_vip(to)
    until(lambda: c.ike[to].role() == "active", 10, f"gw{to}'s espsyncd has followed")


# -- a cluster ---------------------------------------------------------------

class Three(Cluster):
    """Three nodes, a tunnel by hand with traffic both ways, corosync and pacemaker; whoever is fenced is dead."""

    def __init__(self, t):
        super().__init__(prefix="p", nodes=(1, 2, 3))
        # Whoever has the address says so, and is asked.
        self.switch = Switch(f"{t.dir}/switch", self.power_off)
        self.member = {n: Member(gw, n, t.installed, self.switch) for n, gw in self.gw.items()}
        self.tunnel_ = self.tunnel(spi=0x900)
        self.conf, self.key = f"{t.dir}/corosync.conf", f"{t.dir}/authkey"
        t.installed.write(self.conf, corosync_conf(self.gw), 0o644)
        with open(self.key, "wb") as f:
            f.write(os.urandom(256))
        defer(self.end)
        for n in self.gw:
            self.machine(n)
        for member in self.member.values():
            member.start_cluster()
        # Some twenty processes begin; pacemakerd begins those anew that are slow to answer.
        self.all_online(300)
        self.watch = Watch(self)    # before anything is promoted
        defer(self.watch.stop)
        t.installed.write(f"{t.dir}/espsync.crm", crm_example(), 0o644)
        self.member[1].run(f"crm -F configure load update {t.dir}/espsync.crm", timeout=180)
        self.capture = Capture(self.client, "out")
        self.own = {n: Capture(gw, "out") for n, gw in self.gw.items()}
        self.traffic = Traffic(self)

    def machine(self, n):
        """What systemd starts before pacemaker."""
        self.member[n].boot(self.conf, self.key)
        self.configure(n)

    def power_off(self, n):
        """Nothing of it is heard, and nothing that it knew is left."""
        self.watch.dead(n)
        self.crash(n)
        self.member[n].cut_power()
        self.espsync(n, "channel del --release", ok=None)
        self.tunnel_.remove(self.gw[n])
        self.drop_vip(n)

    def power_on(self, n):
        self.revive(n)
        self.tunnel_.install(self.gw[n])
        self.machine(n)
        self.member[n].start_cluster()

    def end(self):
        for member in self.member.values():
            member.cut_power()

    # -- what is said --

    def said(self):
        """By the first node that runs."""
        return Said(next(m for m in self.member.values() if m.alive()))

    def all_online(self, seconds=120):
        self.wait(lambda s: s.online() == {"gw1", "gw2", "gw3"}, seconds, "three nodes are online")

    def wait(self, condition, seconds, what):
        try:
            return until(lambda: condition(self.said()), seconds, what, step=0.3)
        except AssertionError:
            self.explain()
            raise

    def active(self, among=(1, 2, 3), seconds=180):
        """The promoted node's number, once cluster and module say the same of all nodes, and both addresses are there."""
        def one(s):
            at = s.at("espsync", "Promoted")
            n = int(at[0][2:]) if len(at) == 1 else 0
            return n in among and s.at("outer-address") == s.at("inner-address") == at and self.role(n) == "active" and n
        return self.wait(one, seconds, f"one of {among} is promoted, with the addresses")

    def role(self, n):
        return self.show(n, "groups")[0]["role"]

    def scores(self, wanted, seconds=180):
        self.wait(lambda s: s.scores() == wanted, seconds, f"scores {wanted}")

    def explain(self):
        s = self.said()
        note(f"online {s.online()}, promoted {s.at('espsync', 'Promoted')}, addresses {s.at('outer-address')} {s.at('inner-address')}, scores {s.scores()}, "
             f"failures {s.failures()}, cut {self.switch.cut}")
        for n, member in self.member.items():
            for line in member.explain():
                note(f"gw{n} {line}")


class Watch(threading.Thread):
    """All modules' roles, over and over. Between two looks at one node it was active all the time if its epoch is the same."""

    def __init__(self, c):
        super().__init__(daemon=True)
        self.c, self.both, self.samples, self.ending, self.died = c, [], 0, False, dict.fromkeys(c.gw, 0)
        self.start()

    def dead(self, n):
        self.died[n] += 1

    def look(self, n):
        out = self.c.espsync(n, "-j show groups", ok=None)
        group = json.loads(out)[0] if out.status == 0 else {"role": None, "epoch": None}
        return group["role"], group["epoch"], self.died[n]

    def run(self):
        while not self.ending:
            first = {n: self.look(n) for n in self.c.gw}
            again = {n: self.look(n) for n, (role_, *_) in first.items() if role_ == "active"}
            self.samples += 1
            active = [n for n, seen in again.items() if seen == first[n]]
            if len(active) > 1:
                self.both.append((active, first))
            time.sleep(0.2)     # the cluster has few processors, and its programs count the seconds that they wait for each other

    def stop(self):
        self.ending = True
        if self.is_alive():
            self.join()


class Traffic:
    """Both ways through the tunnel; the LAN's end sends, too, so that the gateways' numbers move."""

    def __init__(self, c):
        self.c = c
        self.there, self.back = Receiver(c.lan, c.LAN), Receiver(c.client, c.INNER)
        self.senders = [Sender(c.client, c.LAN, source=c.INNER), Sender(c.lan, c.INNER)]

    def flows(self, what, seconds=20):
        was = self.there.count, self.back.count
        until(lambda: self.there.count > was[0] + 100 and self.back.count > was[1] + 100, seconds, f"packets both ways: {what}")

    def stop(self):
        for worker in (*self.senders, self.there, self.back):
            worker.stop()


def three_nodes_one_promoted(t):
    c = t.three
    n = c.active()
    c.scores({f"gw{m}": "1000" if m == n else "100" for m in c.gw})
    c.traffic.flows(f"through gw{n}")
    equal(c.said().failures(), [], "failed operations")


def a_planned_move(t):
    """crm node standby: demoted, flushed, promoted elsewhere; the tunnels' packets wait meanwhile."""
    c = t.three
    n = c.active()
    c.member[n].run(f"crm -F node standby gw{n}", timeout=120)
    try:
        m = c.active(among=set(c.gw) - {n})
        c.traffic.flows(f"through gw{m}")
    finally:
        c.member[n].run(f"crm -F node online gw{n}", timeout=120)
    c.scores({f"gw{k}": "1000" if k == m else "100" for k in c.gw})
    equal((c.said().failures(), c.switch.cut), ([], []), "failed operations, fenced nodes")


def returns(c, n):
    c.power_on(n)
    c.all_online()
    c.active()
    c.wait(lambda s: sorted(s.scores().values()) == ["100", "100", "1000"], 180, "all in sync")


def all_processes_of_the_promoted_node_die(t):
    """Its kernel goes on sending, which only fencing ends; and who is out of sync is not promoted, though it has the lower number."""
    c = t.three
    n = c.active()
    out, heir = sorted(set(c.gw) - {n})
    c.tunnel_.remove(c.gw[out])
    c.scores({f"gw{n}": "1000", f"gw{out}": "1", f"gw{heir}": "100"})
    c.member[n].cut_power()
    equal(c.role(n), "active", "role of the dead node's module")
    equal(c.active(among=(out, heir)), heir, "the node that took over")
    equal(c.switch.cut, [f"gw{n}"], "fenced nodes")
    c.traffic.flows(f"through gw{heir}")
    c.tunnel_.install(c.gw[out])
    returns(c, n)


def nobody_but_one_out_of_sync_is_left(t):
    """Then it is that one."""
    c = t.three
    n = c.active()
    gone, out = sorted(set(c.gw) - {n})
    c.member[gone].run(f"crm -F node standby gw{gone}", timeout=120)
    c.tunnel_.remove(c.gw[out])
    c.scores({f"gw{n}": "1000", f"gw{out}": "1"})
    before = len(c.switch.cut)
    c.power_off(n)
    equal(c.active(among=(gone, out)), out, "the node that took over")
    equal(c.switch.cut[before:], [f"gw{n}"], "fenced nodes: dead as it is, nobody else can know")
    c.tunnel_.install(c.gw[out])
    c.traffic.flows(f"through gw{out}")
    c.member[gone].run(f"crm -F node online gw{gone}", timeout=120)
    returns(c, n)


def the_module_steps_down(t):
    """Another node is promoted by hand: the cluster sees both, and ends with one that it has promoted."""
    c = t.three
    n = c.active()
    m = min(set(c.gw) - {n})
    c.espsync(m, "promote")
    until(lambda: c.role(n) == "standby", 5, f"gw{n} has stepped down")
    c.wait(lambda s: s.failures(), 30, "the cluster has noticed")
    k = c.active()
    c.traffic.flows(f"through gw{k}")
    c.member[k].run("crm_resource --cleanup", timeout=120)
    c.active()


def a_node_without_quorum_gives_up(t):
    """All links between the promoted node and the others are cut; it lives, and is not fenced until later."""
    c = t.three
    n = c.active()
    before = len(c.switch.cut)
    c.crash(n)
    m = c.active(among=set(c.gw) - {n})
    equal(c.switch.cut[before:], [f"gw{n}"], "fenced nodes")
    c.traffic.flows(f"through gw{m}")
    returns(c, n)


def never_two_and_no_number_twice(t):
    c = t.three
    c.traffic.stop()
    c.watch.stop()
    note(f"{c.watch.samples} samples of three roles")
    check(c.watch.samples > 50, "enough samples")
    equal(c.watch.both, [], "samples in which two were active")
    equal(repeats([c.capture], out=False), {}, "numbers that came twice to the client")
    equal(repeats(c.own.values()), {}, "numbers that gateways sent twice")


main([meta_data_says_what_there_is, strange_actions_are_refused, a_strange_group_is_refused_everywhere, nothing_is_there, a_life, another_group,
      a_role_that_pacemaker_did_not_give, its_module_goes_while_it_is_active, scores_say_who_could_take_over, a_node_that_was_out_of_sync_stays_it,
      espsyncd_and_charon_follow,
      three_nodes_one_promoted, a_planned_move, all_processes_of_the_promoted_node_die, nobody_but_one_out_of_sync_is_left, the_module_steps_down,
      a_node_without_quorum_gives_up, never_two_and_no_number_twice], Test)
