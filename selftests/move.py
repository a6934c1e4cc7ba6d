#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: one VPN moves, under traffic, to a group that the other node is active in: that one alone carries it from then on, the others lose nothing
# WHERE: uml-fast
# SETS: timeout=1500 named
#
# Two groups with IKE of their own on the same two nodes: gw1 and gw2 are one, gw1 active; at1 and at2 are the other, at2 active. Both have the tunnel
# address. Each client's packets are steered by its own neighbour entry, those to it by a route. What counts is what both gateways'
# charons and kernels have, and what the clients see: no number twice, no packet refused, no IKE of theirs.
import json
import re
import signal
import socket
import struct
import subprocess
import time

from esptest import *
from esptest.net import master_message, neighbour_message, rtnl
from crowd import Crowd, counted, roomy
from esptest_ike import Gateway, IkeCluster, replace

LEASE_MIN = 1 << 20
LAN_GW2 = "10.1.0.2"
THERE = 2       # the node that is active in the second group
CROWD = 999     # beside the one that moves
BATCH = 111
POOL = "10.66.0.0/20"
LOOKS = 6       # seconds, until a helper has looked at its node's configuration


class Beside(IkeCluster):
    """A second group: gateways of its own on the first one's networks, but for the sync link, and with its address."""

    def __init__(self, first):
        self.first, self.psk, self.module, self.off = first, None, True, set()
        for name in ("client", "lan", "br", "client2", "road", "road2"):
            setattr(self, name, getattr(first, name))
        bridge(self.br, "sync2")
        self.gw = {}
        for n in (1, 2):
            self._gateway(n, f"at{n}")
            self._gateway_wires(n)
            self.br.ip(f"link set s-at{n} master sync2")
            self._gateway_addresses(n)
            self.gw[n].ip(f"route add {POOL} dev out")
        self.ike = {n: Gateway(gw, n, self.key_file()) for n, gw in self.gw.items()}

    def _gateway_addresses(self, n):
        super()._gateway_addresses(n)
        gw = self.gw[n]
        gw.batch([f"addr del 192.0.2.1{n}/24 dev out", f"addr add 192.0.2.2{n}/24 dev out", f"addr del 10.1.0.1{n}/24 dev in", f"addr add 10.1.0.2{n}/24 dev in"])

    def _plug(self, node, wires, in_):
        super()._plug(node, [w for w in wires if w != "sync"], in_)
        if "sync" in wires:
            rtnl(self.br, master_message(self.br.index(f"s-at{node}"), self.br.index("sync2") if in_ else 0))

    def add_vip(self, node, add=True):
        verb = "add" if add else "del"
        for dev, a in (("out", f"{self.VIP}/24"), ("in", f"{LAN_GW2}/24")):
            self.gw[node].ip(f"addr {verb} {a} dev {dev}", ok=None)

    def move_vip(self, node):
        for n in self.others(node):
            self.add_vip(n, add=False)
        self.add_vip(node)
        rtnl(self.lan, neighbour_message(self.lan.index("in"), LAN_GW2, self.gw[node].mac("in")))


def with_door(gw, other):
    """Its helper knows where that of the other group listens."""
    conf = gw.helper_conf
    gw.fetch = False
    gw.helper_conf = lambda: conf() + f"\n[move]\nto = {other.dir}/run/espsync/control\nfetch = {'yes' if gw.fetch else 'no'}\n"


def steer(c, road, group, node):
    """What the network does for a client that is moved: its packets, and those to it, go to another gateway."""
    road.ns.ip(f"neigh replace {c.VIP} lladdr {group.gw[node].mac('out')} dev out nud permanent")
    c.lan.ip(f"route replace {road.inner}/32 via {'10.1.0.1' if group is c else LAN_GW2}")


def setup():
    module()
    c = IkeCluster(module=True)
    c.beside = Beside(c)
    for gw in (*c.ike.values(), *c.beside.ike.values()):
        roomy(gw)
        gw.ns.ip(f"route replace {POOL} dev out")
    c.lan.ip(f"route add {POOL} via 10.1.0.1")
    try:
        for n in (1, 2):
            with_door(c.ike[n], c.beside.ike[n])
            with_door(c.beside.ike[n], c.ike[n])
        c.start_ike()
        c.beside.start_ike(active=THERE)
        for road in (c.road, c.road2):
            road.ns.ip(f"neigh replace {c.VIP} lladdr {c.gw1.mac('out')} dev out nud permanent")
            road.start_charon()
            road.connect()
            road.inner = road.inner_address()
            steer(c, road, c, 1)
        c.road.rekey("--ike home")      # its CHILD SA was made under an IKE SA that is gone
        c.wait_mirrored(ikes=2)
        c.wait_ready(1)
        time.sleep(LOOKS)
    except Exception:
        explain(c)
        raise
    c.wires, c.before = {road: Capture(road.ns, "out") for road in (c.road, c.road2)}, {c.road: [], c.road2: []}
    c.drops = {road: xfrm_stat(road.ns)["XfrmInStateSeqError"] for road in (c.road, c.road2)}
    return c


def explain(c):
    c.explain()
    for gw in c.beside.ike.values():
        gw.explain()


def told(case):
    """A case whose failure is followed by what both groups' programs have said."""
    def run(c):
        try:
            case(c)
        except Exception:
            explain(c)
            raise
    run.__name__ = case.__name__
    return run


def spi_of(road):
    spi, = road.ike("ESTABLISHED")
    return spi


def number_of(gw, road):
    return next(sa["uniqueid"] for sa in gw.sas() if sa["initiator-spi"] + " " + sa["responder-spi"] == spi_of(road))


def move(gw, which, node, words="-j", **kw):
    return gw.run(f"espsync {words} ike move {which} {node}", **kw)


def is_at(road, here, elsewhere):
    """A VPN is on that group's nodes, whole, and on none of the others."""
    spi, children = spi_of(road), road.children()
    flat = {s for pair in children for s in pair}
    mirrored = {(b, a) for a, b in children}
    for n, gw in here.ike.items():
        state = "ESTABLISHED" if gw.role() == "active" else "PASSIVE"
        until(lambda gw=gw, state=state: spi in gw.ike(state) and mirrored <= gw.children() and flat <= gw.in_kernel(), 10, f"{gw} has it, {state}")
    for gw in elsewhere.ike.values():
        until(lambda gw=gw: spi not in gw.ike() and not mirrored & gw.children() and not flat & gw.in_kernel(), 10, f"{gw} has forgotten it")


def unhurt(c):
    """What no client must see, whatever was moved, from the first packet on."""
    for road, wire in c.wires.items():
        c.before[road].append(wire.stop())
        equal(xfrm_stat(road.ns)["XfrmInStateSeqError"], c.drops[road], f"packets that {road} refused as replays")
        check(not repeats(c.before[road], out=False), f"no number comes twice to {road}")
        equal(wire.sa_inits(), 0, f"IKE_SA_INIT requests of {road}")
        c.wires[road] = Capture(road.ns, "out")


# -- nothing changes -----------------------------------------------------------


@told
def nonsense_changes_nothing(c):
    before = c.ike[1].ike("ESTABLISHED"), c.ike[1].children()
    one = number_of(c.ike[1], c.road)
    for words, status, sentence in (("ike move", 2, "which IKE SA, or the node, is missing"), (f"ike move {one}", 2, "which IKE SA, or the node, is missing"),
                                    (f"ike move {one} 2 3", 2, "too many words"), (f"ike move {one} two", 2, "node"), (f"ike move {one} 256", 2, "node"),
                                    (f"ike move {one} 0", 2, "node"), ("ike move nobody 2", 1, "no IKE SA is called 'nobody' (espsync ike list)"),
                                    (f"ike move {one} 1", 2, "this is node 1"), (f"ike move {one} 7", 2, "there is no node 7"),
                                    ("ike move road-warrior 2", 2, "2 IKE SAs are called 'road-warrior' (give one's number or SPI)")):
        out = c.ike[1].run(f"espsync {words}", ok=None)
        equal((out.status, sentence in out.stderr), (status, True), f"espsync {words}: {out.stderr}")
    check(all(a in out.stderr for a in (c.CLIENT, "192.0.2.101")), f"several matches are listed: {out.stderr}")
    out = move(c.ike[2], number_of(c.ike[2], c.road), 1, ok=None)
    equal((out.status, "this node is not active" in out.stderr), (3, True), f"on a standby: {out.stderr}")
    equal((c.ike[1].ike("ESTABLISHED"), c.ike[1].children()), before, "gw1's SAs")
    equal(c.road.ping(), 3, "echos")


@told
def who_cannot_take_it_says_why(c):
    """The other group is not active there, has another configuration, or there is none: the VPN has not stood still for it."""
    gw, other = c.ike[1], c.beside.ike[THERE]
    c.beside.ike[1].become("MASTER")
    other.become("BACKUP")
    out = move(gw, number_of(gw, c.road), THERE, ok=None)
    equal((out.status, "node 2: this node is not active" in out.stderr), (3, True), f"to a standby: {out.stderr}")
    c.beside.ike[1].become("BACKUP")
    other.become("MASTER")
    other.write("swanctl.conf", replace(other.swanctl_conf(), (r"replay_window = 1024", "replay_window = 64")))
    other.load()
    time.sleep(LOOKS)
    out = move(gw, number_of(gw, c.road), THERE, ok=None)
    equal((out.status, "node 2: child lan: replay_window is 64 here, 1024 on node 1" in out.stderr or "replay_window is 64 here" in out.stderr), (3, True), f"otherwise configured: {out.stderr}")
    other.write("swanctl.conf", other.swanctl_conf())
    other.load()
    time.sleep(LOOKS)
    is_at(c.road, c, c.beside)
    equal(c.road.ping(), 3, "echos")


@told
def without_another_helper_it_stays(c):
    gw, other = c.ike[1], c.beside.ike[THERE]
    other.end("espsyncd")
    out = move(gw, number_of(gw, c.road), THERE, ok=None)
    equal((out.status, "node 2: its other group's helper cannot be asked" in out.stderr), (3, True), f"no helper there: {out.stderr}")
    equal(c.road.ping(), 3, "echos")
    other.start_helper()
    other.said("this node is active already")
    until(lambda: c.beside.peer_state(THERE) == "up", 10, "peers")
    time.sleep(LOOKS)


@told
def what_fails_in_the_middle_stays(c):
    """Another's SA of that number, at at2, is charon's to stumble over once it is given the VPN: it is taken back there, and goes on here."""
    (into, out), = c.road.children()
    there = c.beside.ike[THERE]
    to_it, it = Sender(c.lan, c.road.inner, rate=200), Receiver(c.client, c.road.inner)
    there.ns.ip(f"xfrm state add src 198.51.100.9 dst {c.CLIENT} proto esp spi 0x{into} reqid 77 mode tunnel aead rfc4106(gcm(aes)) 0x{'42' * 20} 128")
    said = move(c.ike[1], number_of(c.ike[1], c.road), THERE, ok=None)
    there.ns.ip(f"xfrm state delete dst {c.CLIENT} proto esp spi 0x{into}", ok=None)   # charon may have done it
    equal((said.status, f"node 2: charon or the kernel does not take its CHILD SA {out}" in said.stderr), (3, True), f"what is said: {said.stderr}")
    time.sleep(0.5)
    check(it.packets and time.monotonic() - it.packets[-1][2] < 0.5, "packets to it arrive")
    to_it.stop(), it.stop()
    is_at(c.road, c, c.beside)
    c.road.rekey("--child lan")
    equal(c.road.ping(), 3, "echos")
    unhurt(c)


# -- who lacks it fetches it ---------------------------------------------------


def fetching(c, on):
    """at2's helper, restarted: it fetches what it lacks, or does not."""
    gw = c.beside.ike[THERE]
    gw.end("espsyncd")
    gw.fetch = on
    gw.start_helper()
    gw.said("this node is active already")
    until(lambda: c.beside.peer_state(THERE) == "up" and c.beside.espsync(THERE, "show").status == 0, 10, "peers")
    time.sleep(LOOKS)


def esp(ns, src, dst, spi, count):
    """Packets of nobody's SA, or that only look like somebody's."""
    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, 50) as s:
            s.bind((src, 0))
            for n in range(count):
                s.sendto(struct.pack("!II", spi + n, 1) + bytes(64), (dst, 0))
    ns.call(send)


@told
def nothing_is_fetched_for_strangers(c):
    """Other SPIs, and the SPI of a VPN from another address: nobody is asked to move anything."""
    come_home(c)
    fetching(c, True)
    (into, out), = c.road.children()
    lines = len(c.ike[2].log())
    steer(c, c.road2, c.beside, THERE)
    for _ in range(5):
        esp(c.client2, "192.0.2.101", c.VIP, 0x01abc000, 200)
        esp(c.client2, "192.0.2.101", c.VIP, int(out, 16), 1)
        time.sleep(1)
    steer(c, c.road2, c, 1)
    equal(c.ike[2].log()[lines:].count("asking for it"), 0, "fetches")
    is_at(c.road, c, c.beside)
    is_at(c.road2, c, c.beside)
    fetching(c, False)


@told
def the_first_packets_fetch_it(c):
    """The network has begun to steer a client to at2, and nobody has said a word to the gateways."""
    come_home(c)
    fetching(c, True)
    lines = [len(c.ike[n].log()) for n in (1, 2)]
    from_it, lan = Sender(c.client, c.LAN, rate=100, port=7003, source=c.road.inner), Receiver(c.lan, c.LAN, port=7003)
    time.sleep(1)
    count = lan.count
    check(count > 0, "packets arrive through gw1")
    steer(c, c.road, c.beside, THERE)
    began = time.monotonic()
    is_at(c.road, c.beside, c)
    note(f"fetched within {time.monotonic() - began:.1f} s")
    until(lambda: lan.packets[-1][1] > began + 1, 10, "packets arrive through at2")
    from_it.stop(), lan.stop()
    equal(c.ike[2].log()[lines[1]:].count("asking for it"), 1, "fetches")
    equal(c.ike[1].log()[lines[0]:].count("and asks for it"), 1, "requests at gw1")
    equal(c.road.ping(), 3, "echos through at2")
    unhurt(c)
    fetching(c, False)
    come_home(c)


# -- another one's SPI ------------------------------------------------------------


STRANGER = "aead rfc4106(gcm(aes)) 0x" + "42" * 20 + " 128"


def occupy(c, spi):
    """Somebody else's SA has that number at at2, to the address that both groups have."""
    c.beside.gw[THERE].ip(f"xfrm state add src 203.0.113.9 dst {c.VIP} proto esp spi 0x{spi} reqid 77 mode tunnel {STRANGER}")


def vacate(c, spi):
    text = c.beside.gw[THERE].ip(f"xfrm state get dst {c.VIP} proto esp spi 0x{spi}")
    check("src 203.0.113.9" in text, f"the other one's SA is as it was: {text}")
    c.beside.gw[THERE].ip(f"xfrm state delete dst {c.VIP} proto esp spi 0x{spi}")


@told
def an_spi_that_is_anothers_is_rekeyed_first(c):
    (into, out), = c.road.children()
    occupy(c, out)
    c.road_report = json.loads(move(c.ike[1], number_of(c.ike[1], c.road), THERE))
    steer(c, c.road, c.beside, THERE)
    vacate(c, out)
    c.ike[1].said(f"SPI {out} is another one's on node 2: rekeying its CHILD SA")
    equal(c.ike[1].log().count("rekeying its CHILD SA"), 1, "rekeyings")
    equal([out in pair for pair in c.road.children()], [False], "it has another SPI")
    is_at(c.road, c.beside, c)
    equal(c.road.ping(), 3, "echos through at2")
    unhurt(c)
    time.sleep(LOOKS)
    move(c.beside.ike[THERE], number_of(c.beside.ike[THERE], c.road), 1)
    steer(c, c.road, c, 1)
    is_at(c.road, c, c.beside)


@told
def three_of_them_are_enough(c):
    """gw1's charon has few SPIs to choose from, and at2 has them all: the VPN stays, and neither is written over."""
    gw, few = c.ike[1], [f"0100000{n}" for n in range(1, 9)]
    conf = gw.text("strongswan.conf")
    gw.write("strongswan.conf", replace(conf, (r"spi_min = \S+", "spi_min = 0x01000001"), (r"spi_max = \S+", "spi_max = 0x01000008")))
    gw.swanctl("--reload-settings")
    c.road.rekey("--child lan")
    (into, out), = c.road.children()
    check(out in few, f"gw1 has chosen {out}")
    for spi in few:
        occupy(c, spi)
    lines = len(gw.log())
    began = time.monotonic()
    said = move(gw, number_of(gw, c.road), THERE, ok=None)
    check(time.monotonic() - began < 15, "within 10 s, and what a try takes")
    equal((said.status, re.search(r"node 2: an SA with its SPI 0100000\d is in the kernel already", said.stderr) is not None), (1, True), f"what is said: {said.stderr}")
    equal(gw.log()[lines:].count("rekeying its CHILD SA"), 3, "rekeyings")
    for spi in few:
        vacate(c, spi)
    gw.write("strongswan.conf", conf)
    gw.swanctl("--reload-settings")
    c.road.rekey("--child lan")
    is_at(c.road, c, c.beside)
    equal(c.road.ping(), 3, "echos")
    unhurt(c)


# -- it moves ------------------------------------------------------------------


def moved(c):
    """c.road's VPN is on at2. Once."""
    if getattr(c, "report", None):
        return
    gw = c.ike[1]
    (into, out), = c.road.children()
    was = {sa["spi"]: sa for sa in c.show(1, "sas")}[f"0x{into}"]
    c.heard = {road: len(c.wires[road].ike()) for road in c.wires}
    c.report = json.loads(move(gw, number_of(gw, c.road), THERE))
    c.was = was
    steer(c, c.road, c.beside, THERE)


@told
def one_moves_under_traffic(c):
    to_other, other = Sender(c.lan, c.road2.inner, rate=200), Receiver(c.client2, c.road2.inner)
    from_other, lan = Sender(c.client2, c.LAN, rate=200, port=7001, source=c.road2.inner), Receiver(c.lan, c.LAN, port=7001)
    to_it, it = Sender(c.lan, c.road.inner, rate=200), Receiver(c.client, c.road.inner)
    from_it = Sender(c.client, c.LAN, rate=200, port=7002, source=c.road.inner)     # who is heard is not asked whether it lives
    time.sleep(1)
    moved(c)
    note(f"its ESP stood still for {c.report['silent_ms']} ms, no IKE was heard at gw2's for {c.report['deaf_ms']} ms")
    time.sleep(1)
    sent, back = to_other.sent, from_other.sent
    until(lambda: other.count >= sent and lan.count >= back, 5, f"the other VPN loses nothing: {other.count} of {sent}, {lan.count} of {back}")
    check(time.monotonic() - it.packets[-1][2] < 1, "packets to it arrive again")
    note(f"the longest gap between packets to it was {it.longest_gap()[0] * 1000:.0f} ms")
    equal((other.duplicates(), lan.duplicates(), it.duplicates()), (0, 0, 0), "packets that came twice")
    for worker in (to_other, other, from_other, lan, to_it, it, from_it):
        worker.stop()
    is_at(c.road, c.beside, c)
    is_at(c.road2, c, c.beside)
    equal(c.road.ping(20), 20, "echos through at2")
    equal({road: len(w.ike()) for road, w in c.wires.items()}, c.heard, "IKE messages of and to the clients")
    unhurt(c)


@told
def the_new_node_alone_answers(c):
    """The client's next exchanges are answered by at2; what still comes to gw1, be it ESP or IKE, nobody answers until it comes to at2."""
    moved(c)
    out = Capture(c.gw1, "out")
    c.road.rekey("--child lan")
    c.road.rekey("--ike home")
    is_at(c.road, c.beside, c)
    equal(c.road.ping(), 3, "echos")
    steer(c, c.road, c, 1)
    equal(c.road.ping(3, 3), 0, "echos through gw1")
    before = c.road.children()
    c.road.swanctl("--rekey --child lan")
    time.sleep(1)
    equal([p for p in out.packets if p.out and p.dst == c.CLIENT], [], "what gw1 sends to the client")
    check(out.ike(), "the client's request came to gw1")
    steer(c, c.road, c.beside, THERE)
    until(lambda: len(now := c.road.children()) == 1 and now != before, 15, "at2 answers when the client asks again")
    equal(c.road.ping(), 3, "echos through at2")


@told
def numbers_go_on_above_the_ceiling(c):
    moved(c)
    start = {s["spi"]: (s["dir"], int(s["from"])) for s in c.report["sas"]}
    equal(sorted(d for d, _ in start.values()), ["in", "out"], "its SAs")
    n, = [n for d, n in start.values() if d == "out"]
    check(n >= int(c.was["oseq"]) + LEASE_MIN, f"from {n}, was {c.was}")
    unhurt(c)


@told
def its_standby_takes_it_over(c):
    """at2 dies: at1 has it, and gw1 and gw2 still have nothing of it."""
    moved(c)
    c.beside.wait_ready(THERE)
    c.beside.power_off(THERE)
    c.beside.take_over(1)
    steer(c, c.road, c.beside, 1)
    equal(c.road.ping(), 3, "echos through at1")
    c.road.rekey("--child lan")
    unhurt(c)
    c.beside.power_on(THERE)
    c.beside.wait_mirrored(active=1)
    c.beside.ike[1].become("BACKUP")
    c.beside.take_over(THERE)
    steer(c, c.road, c.beside, THERE)
    is_at(c.road, c.beside, c)


@told
def it_comes_back(c):
    moved(c)
    time.sleep(LOOKS)
    c.wait_ready(1)
    gw = c.beside.ike[THERE]
    out = move(gw, spi_of(c.road).split()[0], 1, words="", ok=None)
    note(out.stderr or out)
    equal(out.status, 0, f"back to gw1: {out.stderr}")
    check(re.match(r"IKE SA road-warrior \w+_\w+ is on node 1; its ESP stood still for \d+ ms", out), f"what the tool says: {out}")
    steer(c, c.road, c, 1)
    c.report = None
    is_at(c.road, c, c.beside)
    equal(c.road.ping(), 3, "echos through gw1")
    unhurt(c)


def come_home(c):
    """c.road's VPN is at gw1, wherever it was."""
    if spi_of(c.road) in c.beside.ike[THERE].ike():
        move(c.beside.ike[THERE], number_of(c.beside.ike[THERE], c.road), 1)
        steer(c, c.road, c, 1)
        is_at(c.road, c, c.beside)


def hushed(gw):
    return "espsync_hush" in gw.run("nft list tables", ok=None)


@told
def an_answer_that_is_lost_is_asked_for(c):
    """gw2's helper dies while at2 takes the VPN: nobody has it twice, gw1 names it, and knows as soon as gw2's is there again."""
    come_home(c)
    time.sleep(LOOKS)
    c.wait_ready(1)
    gw, there = c.ike[1], c.beside.ike[THERE]
    proc = subprocess.Popen([*gw._inside(), "espsync", "ike", "move", number_of(gw, c.road), str(THERE)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: hushed(there), 10, "at2 is at it", step=0.001)
    c.ike[2].end("espsyncd", signal.SIGKILL)
    gw.said("it stands still here until it does")
    until(lambda: "node 2 has not said whether it has it: silent until it does" in c.espsync(1, "ready", ok=None), 5, "gw1 names it")
    equal(c.road.ping(2, 1), 0, "echos through gw1 meanwhile")
    c.ike[2].start_helper()
    out, err = proc.communicate(timeout=30)
    equal((proc.returncode, "is on node 2" in out), (0, True), f"what the tool says at last: {out} {err}")
    steer(c, c.road, c.beside, THERE)
    is_at(c.road, c.beside, c)
    equal(c.road.ping(), 3, "echos through at2")
    c.wait_ready(1)
    unhurt(c)


@told
def one_among_a_thousand(c):
    """With 999 others at gw1: nothing of them is lost, and none of them asks for anything."""
    c.road2.end("charon")
    crowd = Crowd(c.client2)
    crowd.start_charon()
    while crowd.n < CROWD:
        crowd.connect(min(crowd.n + BATCH, CROWD))
        until(lambda: counted(crowd) >= crowd.n and c.espsync(1, "ready", ok=None).status == 0, 200, f"{crowd.n} others", step=1)
    come_home(c)
    time.sleep(LOOKS)
    c.wait_ready(1, 60)
    others = [sa["local-vips"][0] for sa in crowd.sas()[::CROWD // 9]]
    wire = Capture(c.client2, "out")
    senders, receivers = [Sender(c.lan, a, rate=50) for a in others], [Receiver(c.client2, a) for a in others]
    time.sleep(1)
    began = time.monotonic()
    report = json.loads(move(c.ike[1], number_of(c.ike[1], c.road), THERE))
    note(f"among {CROWD + 1}: moved in {time.monotonic() - began:.1f} s, its ESP stood still for {report['silent_ms']} ms")
    steer(c, c.road, c.beside, THERE)
    time.sleep(1)
    for sender, receiver, a in zip(senders, receivers, others):
        sent = sender.sent
        until(lambda r=receiver, n=sent: r.count >= n, 10, f"all {sent} packets to {a} arrive")
    equal(c.road.ping(), 3, "echos through at2")
    equal(len(wire.ike()), 0, "IKE messages of the others")
    equal((counted(c.ike[1]), counted(c.ike[2]), counted(c.beside.ike[THERE])), (CROWD, CROWD, 1), "IKE SAs that gw1, gw2 and at2 count")
    check(not repeats([wire], out=False), "no number twice")


main([nonsense_changes_nothing, who_cannot_take_it_says_why, without_another_helper_it_stays, what_fails_in_the_middle_stays,
      an_spi_that_is_anothers_is_rekeyed_first, three_of_them_are_enough, one_moves_under_traffic, the_new_node_alone_answers,
      numbers_go_on_above_the_ceiling, its_standby_takes_it_over, it_comes_back, an_answer_that_is_lost_is_asked_for,
      nothing_is_fetched_for_strangers, the_first_packets_fetch_it, one_among_a_thousand], setup)
