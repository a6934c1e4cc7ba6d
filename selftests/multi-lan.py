#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: one VPN of several goes to a gateway with another address, announced by MOBIKE alone: the far end follows without a new authentication
# WHERE: uml-fast
# SETS: timeout=550 named
#
# gw1 and gw2 are a cluster with one address, gw3 and gw4 are another one, with another address and the same key. The clients
# are stock and judge: IKE SAs and CHILD SAs stay, no number comes twice, none is refused, and on the wire there is
# one exchange. Who was not moved hears nothing of it.
import json
import re
import subprocess
import time

from esptest import *
from esptest.capture import INFORMATIONAL
from esptest_ike import POOL, Gateway, IkeCluster, Road, example, explained, replace

B = "192.0.2.7"
AWAY = "192.0.2.150"
NAT = {True: "192.0.2.200", False: "192.0.2.201"}     # let in whom they have not sent to, or do not
SETTLE = 2      # seconds

HOST = """
    {name} {{
        {ends}
        version = 2
        mobike = yes
        proposals = aes128-sha256-x25519
        local {{
            auth = psk
            id = {local}
        }}
        remote {{
            auth = psk
            id = {remote}
        }}
        children {{
            host {{
                mode = transport
                esp_proposals = aes128gcm16-x25519-esn
                replay_window = 1024
            }}
        }}
    }}
"""


class Mobile(Road):
    """A client with MOBIKE."""

    def strongswan_conf(self):
        return self.charon_conf("", "kernel-netlink {\n roam_events = yes\n}\n", "")

    def swanctl_conf(self):
        return replace(super().swanctl_conf(), ("mobike = no", "mobike = yes"))


class Host(Mobile):
    """One whose own packets alone are protected, in transport mode."""

    def swanctl_conf(self):
        secrets = super().swanctl_conf().split("\nsecrets")[1]
        conn = HOST.format(name="home", ends=f"remote_addrs = {IkeCluster.VIP}", local="host@example.org", remote="gw.example.org")
        return f"connections {{{conn}}}\nsecrets{secrets}"


def swanctl_conf(gw):
    text = replace(example("swanctl/road-warrior.conf"), ("mobike = no", "mobike = yes"), (r"dpd_delay = 30s", "dpd_delay = 1h"),
                   (r"local_addrs = \S+", f"local_addrs = {gw.address}"))
    conn = HOST.format(name="host", ends=f"local_addrs = {gw.address}", local="gw.example.org", remote="host@example.org")
    return replace(text, (r"connections \{", f"connections {{{conn}"))


class Mover(Gateway):
    """A gateway that knows clients with MOBIKE."""

    address = IkeCluster.VIP

    def strongswan_conf(self):
        return replace(super().strongswan_conf(), (r"#interfaces_use = \S+", "interfaces_use = out"))

    def swanctl_conf(self):
        return swanctl_conf(self)

    def helper_conf(self):
        return replace(super().helper_conf(), (r"\naddresses = \S+", f"\naddresses = {self.address}"))


class Other(Mover):
    """The other cluster's."""

    address = B


class Elsewhere(IkeCluster):
    """The other cluster, on the first one's networks."""

    def __init__(self, first):
        self.psk, self.module, self.off, self.gw = first.key_file(), True, set(), {}
        for name in ("client", "client2", "lan", "br", "road", "road2"):
            setattr(self, name, getattr(first, name))
        for n in (3, 4):
            self._gateway(n, f"gw{n}")
            self._gateway_wires(n)
            self._gateway_addresses(n)
            only_what_moves(self.gw[n], n)
        self.ike = {n: Other(gw, n, self.psk, (3, 4)) for n, gw in self.gw.items()}

    def configure(self, node, others=None):
        self.espsync(node, f"channel set node {node} local {self.SYNC[node]} psk-file {self.psk}")
        for other in self.others(node):
            self.espsync(node, f"peer add {other} {self.SYNC[other]}")
        self.espsync(node, f"group set 0 addr {B}")

    def add_vip(self, node, add=True):
        self.gw[node].ip(f"addr {'add' if add else 'del'} {B}/24 dev out", ok=(0,) if add else None)

    def announce(self, node):
        for ns in (self.client, self.client2):
            ns.ip(f"neigh replace {B} lladdr {self.gw[node].mac('out')} dev out nud reachable")

    def move_vip(self, node):
        for n in self.others(node):
            self.drop_vip(n)
        self.add_vip(node)
        self.announce(node)


def with_door(gw, other):
    """Its helper knows where that of the other cluster listens: it stands for another group of the same machine."""
    conf = gw.helper_conf
    gw.helper_conf = lambda: conf() + f"\n[move]\nto = {other.dir}/run/espsync/control\n"


def only_what_moves(gw, n):
    """No address on it but the cluster's; and a route into the tunnels that does not go with it."""
    gw.batch([f"route replace {POOL} dev in", f"addr del 192.0.2.1{n}/24 dev out", f"addr del 2001:db8::1{n}/64 dev out"])


def setup():
    module()
    c = IkeCluster(module=True)
    c.road, c.road2 = Mobile(c.client), Mobile(c.client2)
    for n, gw in c.gw.items():
        only_what_moves(gw, n)
        c.ike[n].__class__ = Mover
    c.client.ip(f"addr del {c.CLIENT6}/64 dev out")
    c.client.sysctl({"ipv4/conf/all/promote_secondaries": 1})
    try:
        c.there = Elsewhere(c)
        with_door(c.ike[2], c.there.ike[3])
        c.start_ike()
        c.there.start_ike(active=3)
    except Exception:
        c.explain()
        raise
    c.other, explain = c.there.ike[3], c.explain
    c.explain = lambda: (explain(), [gw.explain() for gw in c.there.ike.values()])
    return c


def connected(c, *roads):
    """The clients have VPNs with gw1, and nobody else has any."""
    for road in (c.road, c.road2):
        if road not in roads and road.running("charon"):
            road.swanctl("--terminate --ike home --force", ok=None)
    for road in roads:
        if not road.running("charon"):
            road.start_charon()
        if not is_at(road, c.VIP):
            road.swanctl("--terminate --ike home --force", ok=None)
            forget(c, road)
            road.connect()
    c.lan.ip("route flush via 10.1.0.13", ok=None)
    until(lambda: len(c.ike[1].ike()) == len(roads) and not c.other.ike(), 10, "gw1 has their VPNs alone")
    if roads:
        c.wait_mirrored(ikes=len(roads))
        c.wait_ready(1)


def forget(c, road):
    """The clusters' own ends, of a client that says nothing."""
    for gw in (c.ike[1], c.other):
        for sa in gw.sas():
            if sa["remote-id"] == f"{road}@example.org":
                gw.run(f"espsync ike drop {sa['uniqueid']}")
    until(lambda: all(sa["remote-id"] != f"{road}@example.org" for gw in (c.ike[1], c.other) for sa in gw.sas()), 10, f"nobody knows {road}")


def is_at(road, address):
    sas = road.sas() if road.running("charon") else []
    return len(sas) == 1 and (sas[0]["remote-host"], sas[0]["state"]) == (address, "ESTABLISHED") and road.children()


def number(c, road):
    """A client's IKE SA, as gw1's tool calls it."""
    return next(r for r in json.loads(c.ike[1].run("espsync -j ike list")) if f"{r['initiator_spi']} {r['responder_spi']}" in road.ike())["uniqueid"]


def got(c, road):
    path = f"{c.ike[1].dir}/vpn"
    c.ike[1].run(f"espsync ike get {number(c, road)} > {path}")
    return path


def put(c, path, **kw):
    return c.other.run(f"espsync -j ike put < {path}", **kw)


def moved(c, road):
    """As README says it. Return: what put reports."""
    path, which = got(c, road), number(c, road)
    report = json.loads(put(c, path))
    c.ike[1].run(f"espsync ike drop {which}")
    return report


def to_lan(c, road, on):
    """The network inside knows where the client is."""
    c.lan.ip(f"route {'replace' if on else 'del'} {road.inner_address()}/32" + (" via 10.1.0.13" if on else ""), ok=(0,) if on else None)


def follows(c, road, before):
    """It is the same VPN, at the other address, and it works."""
    equal((road.ike("ESTABLISHED"), road.children()), before, "the client's SAs")
    equal(road.sas()[0]["remote-host"], B, "the gateway that its charon knows")
    states = set(re.findall(r"^src (\S+) dst (\S+)", road.ns.ip("xfrm state"), re.M))
    check(all(B in pair for pair in states) and states, f"and its kernel: {states}")
    equal(c.other.ike("ESTABLISHED"), before[0], "IKE SAs of gw3")
    equal(c.other.children(), {(o, i) for i, o in before[1]}, "CHILD SAs of gw3")


def exchange(wire, since):
    """IKE on a client's wire; what was said again, on a machine that is slow, once."""
    said = dict.fromkeys((p.response, p.exchange, p.src, p.dst, p.message_id) for p in wire.ike(since=since))
    return [("response" if response else "request", what, src, dst) for response, what, src, dst, _ in said]


def one_exchange(address):
    return [("request", INFORMATIONAL, B, address), ("response", INFORMATIONAL, address, B)]


# -- what is to happen ---------------------------------------------------------


@explained
def one_of_several_moves(c):
    """With packets under way; the other client hears nothing, and goes on with gw1."""
    connected(c, c.road, c.road2)
    inner, before, stays = c.road.inner_address(), (c.road.ike("ESTABLISHED"), c.road.children()), (c.road2.ike("ESTABLISHED"), c.road2.children())
    wire, wire2 = Capture(c.client, "out"), Capture(c.client2, "out")
    drops = xfrm_stat(c.client)["XfrmInStateSeqError"]
    equal(c.road.ping(20), 20, "echos before")
    since = time.time()
    report = moved(c, c.road)
    to_lan(c, c.road, True)
    equal(c.road.ping(20), 20, "echos through gw3")
    follows(c, c.road, before)
    time.sleep(SETTLE)
    equal(exchange(wire, since), one_exchange(c.CLIENT), "IKE of the client that moves")
    equal(exchange(wire2, since), [], "IKE of the one that stays")
    told, packets = report["announced"], wire.ike(since=since)
    equal(told["local"], B, "the address that was told")
    check(len(packets) > 2 or (told["messages"], told["bytes"]) == (2, sum(p.length - 14 for p in packets)), f"what put says was told: {told}")
    equal((c.road2.ike("ESTABLISHED"), c.road2.children()), stays, "SAs of the one that stays")
    equal(c.road2.ping(), 3, "its echos")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"], drops, "packets that the client refused as replays")
    check(not repeats([wire], out=False), "no number twice")
    equal(c.ike[1].ike(), stays[0], "IKE SAs of gw1")
    c.wait_mirrored(ikes=1)
    c.wait_ready(1)
    equal(inner, c.road.inner_address(), "the inner address")
    c.there.wait_mirrored(active=3)
    c.there.wait_ready(3)


@explained
def one_command_moves_it(c):
    """Its own cluster's other node hands it on, as to any other group: that this one has another address is what makes it an announcement."""
    connected(c, c.road, c.road2)
    before = c.road.ike("ESTABLISHED"), c.road.children()
    wire = Capture(c.client, "out")
    drops = xfrm_stat(c.client)["XfrmInStateSeqError"]
    equal(c.road.ping(20), 20, "echos before")
    since = time.time()
    report = json.loads(c.ike[1].run(f"espsync -j ike move {number(c, c.road)} 2"))
    to_lan(c, c.road, True)
    note(f"its ESP stood still for {report['silent_ms']} ms, gw3 heard no IKE for {report['deaf_ms']} ms")
    equal(c.road.ping(20), 20, "echos through gw3")
    follows(c, c.road, before)
    time.sleep(SETTLE)
    equal(exchange(wire, since), one_exchange(c.CLIENT), "IKE of the client")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"], drops, "packets that the client refused as replays")
    check(not repeats([wire], out=False), "no number twice")
    equal(c.road2.ping(), 3, "echos of the one that stays")
    c.wait_mirrored(ikes=1)
    c.wait_ready(1)


@explained
def it_lives_on_there(c):
    """Either side begins exchanges: gw3's charon goes on behind the one that it knows nothing of."""
    connected(c, c.road)
    moved(c, c.road)
    to_lan(c, c.road, True)
    wire = Capture(c.client, "out")
    before = c.road.children()
    c.other.swanctl("--rekey --child lan")
    until(lambda: len(c.road.children()) == 1 and c.road.children() != before, 10, "gw3 has rekeyed the CHILD SA")
    c.road.rekey("--child lan")
    c.road.rekey("--ike home")
    before = c.road.ike("ESTABLISHED")
    c.other.swanctl("--rekey --ike road-warrior")
    until(lambda: len(c.road.ike("ESTABLISHED")) == 1 and c.road.ike("ESTABLISHED") != before, 10, "gw3 has rekeyed the IKE SA")
    equal(c.road.ping(), 3, "echos")
    equal(wire.stop().sa_inits(), 0, "IKE_SA_INIT requests")


@explained
def one_that_was_rekeyed_by_the_gateway_moves(c):
    """The IKE SA's initiator is the gateway then; who began the first one is still the client."""
    connected(c, c.road)
    before = c.road.ike("ESTABLISHED")
    c.ike[1].swanctl("--rekey --ike road-warrior")
    until(lambda: len(c.road.ike("ESTABLISHED")) == 1 and c.road.ike("ESTABLISHED") != before, 10, "gw1 has rekeyed the IKE SA")
    c.wait_mirrored()
    before = c.road.ike("ESTABLISHED"), c.road.children()
    moved(c, c.road)
    to_lan(c, c.road, True)
    equal(c.road.ping(20), 20, "echos through gw3")
    follows(c, c.road, before)


@explained
def transport_mode_moves(c):
    """The gateway's own address is the traffic selector."""
    connected(c)
    c.road2.end("charon")
    host = Host(c.client2)
    host.start_charon()
    host.swanctl("--initiate --child host --timeout 20")
    c.wait_mirrored()
    before = host.ike("ESTABLISHED"), host.children()
    wire = Capture(c.client2, "out")
    since = time.time()
    moved(c, host)
    follows(c, host, before)
    out = c.client2.sh(f"ping -n -i 0.05 -c 20 -w 10 {B}", ok=None)
    check("20 received" in out, f"echos: {out}")
    spis = {int(s, 16) for pair in before[1] for s in pair}
    equal({p.spi for p in wire.esp(since=since)}, spis, "SPIs of what is on the wire")
    equal(exchange(wire, since), one_exchange("192.0.2.101"), "IKE of the client")
    host.swanctl("--terminate --ike home")
    host.end_all()


@explained
def it_can_be_taken_over_there(c):
    connected(c, c.road)
    before = c.road.ike("ESTABLISHED"), c.road.children()
    moved(c, c.road)
    c.there.wait_mirrored(active=3)
    c.there.wait_ready(3)
    wire = Capture(c.client, "out")
    c.there.power_off(3)
    c.there.take_over(4)
    c.lan.ip(f"route replace {c.road.inner_address()}/32 via 10.1.0.14")
    equal(c.road.ping(20), 20, "echos through gw4")
    equal((c.road.ike("ESTABLISHED"), c.road.children()), before, "the client's SAs")
    c.road.rekey("--child lan")
    equal(wire.stop().sa_inits(), 0, "IKE_SA_INIT requests")
    c.there.power_on(3)
    c.there.wait_mirrored(active=4)
    c.there.ike[4].become("BACKUP")
    c.there.ike[3].become("MASTER")
    c.there.move_vip(3)
    c.there.wait_mirrored(active=3)
    to_lan(c, c.road, True)
    equal(c.road.ping(), 3, "echos through gw3 again")


@explained
def it_costs_less_than_a_new_authentication(c):
    """Messages, bytes, milliseconds: of the move, and of a re-authentication of the same client with the same gateway."""
    connected(c, c.road)
    wire = Capture(c.client, "out")
    since = time.time()
    report = moved(c, c.road)
    to_lan(c, c.road, True)
    time.sleep(SETTLE)
    move = [p for p in wire.ike(since=since)]
    since, before = time.time(), c.road.ike()
    c.road.swanctl("--rekey --ike home --reauth")
    until(lambda: c.road.children() and len(c.road.ike("ESTABLISHED")) == 1 and c.road.ike() != before, 20, "it has authenticated anew")
    time.sleep(SETTLE)
    reauth = [p for p in wire.ike(since=since)]
    for what, packets in (("move", move), ("re-authentication", reauth)):
        note(f"{what}: {len(packets)} messages, {sum(p.length - 14 for p in packets)} bytes, {(packets[-1].time - packets[0].time) * 1000:.0f} ms")
    note(f"put: {report['announced']['ms']} ms until the answer, {report['deaf_ms']} ms without IKE")
    check(len({(p.message_id, p.response) for p in move}) == 2 < len(reauth), f"{len(move)} messages, and {len(reauth)}")
    check(sum(p.length for p in move) < sum(p.length for p in reauth) / 2, "bytes")


# -- what cannot be ------------------------------------------------------------


def stays(c, road, before, out, sentence):
    """gw3 says why, and the VPN is where it was."""
    equal((out.status, sentence in out.stderr), (3, True), f"put: {out.stderr}")
    equal((c.other.ike() & before[0], c.other.in_kernel()), (set(), set()), "what gw3 has of it")
    equal((road.ike("ESTABLISHED"), road.children()), before, "the client's SAs")
    equal(road.ping(20), 20, "echos through gw1")


def redirect_of(out):
    """The command that a refusal offers."""
    return re.search(r"swanctl (--redirect --peer-ip \S+ --gateway \S+)", out.stderr)[1]


@explained
def without_mobike_it_is_refused_and_redirected(c):
    connected(c)
    c.road2.end("charon")
    c.road2 = Road(c.client2)
    connected(c, c.road2)
    before = c.road2.ike("ESTABLISHED"), c.road2.children()
    out = put(c, got(c, c.road2), ok=None)
    stays(c, c.road2, before, out, "its far end has no MOBIKE (RFC 4555)")
    out = c.ike[1].run(f"espsync ike move {number(c, c.road2)} 2", ok=None)
    stays(c, c.road2, before, out, "node 2: its far end has no MOBIKE (RFC 4555)")
    c.ike[1].swanctl(redirect_of(out), ok=None)
    until(lambda: is_at(c.road2, B), 20, "it has begun anew at gw3")
    to_lan(c, c.road2, True)
    equal(c.road2.ping(20), 20, "echos through gw3")
    until(lambda: not c.ike[1].ike(), 10, "gw1 has none of it")
    c.road2.swanctl("--terminate --ike home")
    c.road2.end("charon")
    c.road2 = Mobile(c.client2)


def behind_a_nat(c, open_to_all):
    """A client whose router lets in what comes to its port from anywhere (RFC 4787, endpoint-independent filtering), or from whom it has sent to."""
    nat, inside = Ns(f"nat{open_to_all:d}"), Ns(f"natted{open_to_all:d}")
    veth(nat, "out", c.br, f"o-{nat}")
    c.br.ip(f"link set o-{nat} master outside")
    veth(nat, "in", inside, "out")
    nat.address("out", f"{NAT[open_to_all]}/24")
    nat.address("in", "10.200.0.1/24")
    nat.forward()
    dnat = "chain d { type nat hook prerouting priority dstnat; iifname out udp dport { 500, 4500 } dnat to 10.200.0.2; };" if open_to_all else ""
    nat.sh(f"nft 'table ip t {{ chain c {{ type nat hook postrouting priority srcnat; oifname out masquerade; }}; {dnat} }}'")
    inside.address("out", "10.200.0.2/24")
    inside.ip("route add default via 10.200.0.1 dev out")
    nat.ip(f"neigh replace {c.VIP} lladdr {c.gw1.mac('out')} dev out nud permanent")
    road = Mobile(inside)
    road.start_charon()
    road.connect()
    c.wait_mirrored()
    return inside, road


def gone(c, road):
    road.swanctl("--terminate --ike home", ok=None)
    road.end_all()
    forget(c, road)


@explained
def behind_an_open_nat_it_moves(c):
    connected(c)
    inside, road = behind_a_nat(c, True)
    before = road.ike("ESTABLISHED"), road.children()
    wire = Capture(inside, "out")
    since = time.time()
    moved(c, road)
    to_lan(c, road, True)
    equal(road.ping(20), 20, "echos through the NAT and gw3")
    follows(c, road, before)
    equal(exchange(wire, since)[:2], one_exchange("10.200.0.2"), "IKE of the client")
    check(all(p.udp for p in wire.esp(since=since)) and wire.esp(since=since), "its ESP is in UDP")
    gone(c, road)


@explained
def behind_another_nat_it_stays(c):
    """Nothing comes in there from an address that the client has not sent to, and MOBIKE has no words to make it send. Until gw3 knows
    that, none of its ESP leaves, though packets for the client come to it already: gw1's numbers would be old ones after it."""
    connected(c)
    _, road = behind_a_nat(c, False)
    before, path = (road.ike("ESTABLISHED"), road.children()), got(c, road)
    wire = Capture(c.there.gw[3], "out")
    to_lan(c, road, True)
    echos = spawn(f"ping -n -q -i 0.05 {road.inner_address()}", c.lan, stdout=subprocess.DEVNULL)
    out = put(c, path, ok=None)
    echos.terminate()
    to_lan(c, road, False)
    stays(c, road, before, out, "its far end does not answer")
    check(wire.ike(INFORMATIONAL, requests=True), "gw3 has told it")
    equal(wire.stop().esp(out=True), [], "ESP of gw3 meanwhile")
    out = c.ike[1].run(f"espsync ike move {number(c, road)} 2", ok=None)
    stays(c, road, before, out, "node 2: its far end does not answer")
    c.ike[1].swanctl(redirect_of(out), ok=None)
    until(lambda: is_at(road, B), 20, "it has begun anew at gw3")
    gone(c, road)


@explained
def who_moves_itself_at_the_same_time_is_not_lost(c):
    """What gw3 tells the client's former address nobody hears: gw1 has the VPN as before, follows the client, and it can be moved then."""
    connected(c, c.road)
    before, path = (c.road.ike("ESTABLISHED"), c.road.children()), got(c, c.road)
    c.client.batch([f"addr add {AWAY}/24 dev out", f"addr del {c.CLIENT}/24 dev out", f"route replace 10.1.0.0/24 via {c.VIP} dev out"])
    out = put(c, path, ok=None)
    until(lambda: c.road.sas()[0]["local-host"] == AWAY, 20, "the client's IKE SA is at its new address")
    until(lambda: c.road.ping(2, 2) == 2, 20, "gw1 follows it")
    stays(c, c.road, before, out, "its far end does not answer")
    c.wait_ready(1)
    moved(c, c.road)
    to_lan(c, c.road, True)
    equal(c.road.ping(20), 20, "echos through gw3")
    follows(c, c.road, before)
    c.client.batch([f"addr add {c.CLIENT}/24 dev out", f"addr del {AWAY}/24 dev out", f"route replace 10.1.0.0/24 via {B} dev out"])
    until(lambda: c.road.sas()[0]["local-host"] == c.CLIENT and c.other.sas()[0]["remote-host"] == c.CLIENT, 20, "gw3 follows it when it moves again")
    equal(c.road.ping(20), 20, "echos")
    equal((c.road.ike("ESTABLISHED"), c.road.children()), before, "its SAs")


@explained
def nobody_drops_what_is_not_there(c):
    for n, words, status, sentence in ((1, "nobody", 1, "no IKE SA is called 'nobody'"), (1, "", 2, "which IKE SA is missing"), (1, "a b", 2, "too many words")):
        out = c.ike[n].run(f"espsync ike drop {words}", ok=None)
        equal((out.status, sentence in out.stderr), (status, True), f"espsync ike drop {words}: {out.stderr}")
    connected(c, c.road)
    out = c.ike[2].run(f"espsync ike drop {c.ike[2].sas()[0]['initiator-spi']}", ok=None)
    equal((out.status, "this node is not active" in out.stderr), (3, True), f"on the standby: {out.stderr}")
    equal(c.road.ping(), 3, "echos")


main([one_of_several_moves, one_command_moves_it, it_lives_on_there, one_that_was_rekeyed_by_the_gateway_moves, transport_mode_moves,
      it_can_be_taken_over_there, it_costs_less_than_a_new_authentication,
      without_mobike_it_is_refused_and_redirected, behind_an_open_nat_it_moves, behind_another_nat_it_stays,
      who_moves_itself_at_the_same_time_is_not_lost, nobody_drops_what_is_not_there], setup)
