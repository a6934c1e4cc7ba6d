#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a client moves (MOBIKE) or its NAT gives it another port: the standby follows, and a failover right after finds it where it is
# WHERE: uml-fast
# SETS: timeout=400
#
# The ha plugin tells of a far end's address once, when the IKE SA is established. The judges are both gateways' charons and kernels, and
# the client: it must not begin anew, and not be asked anything by a gateway that takes over.
import re
import time

from esptest import *
from esptest_ike import POOL, IkeCluster, Road, example, explained, replace

AWAY, BACK = "192.0.2.150", "192.0.2.100"
NAT = ("192.0.2.200", "192.0.2.201")
QUIET = 3


class Mobile(Road):
    """A client with MOBIKE that sees its own addresses come and go."""

    def strongswan_conf(self):
        return self.charon_conf("", "kernel-netlink {\n roam_events = yes\n}\n", "")

    def swanctl_conf(self):
        return replace(super().swanctl_conf(), ("mobike = no", "mobike = yes"))


def mobile_class(gw):
    """The lines that the examples have as comments for clients that move."""
    conf = type(gw).strongswan_conf

    def strongswan_conf():
        return replace(conf(gw), (r"#interfaces_use = \S+", "interfaces_use = out"))

    gw.strongswan_conf = strongswan_conf
    gw.swanctl_conf = lambda: replace(example("swanctl/road-warrior.conf"), ("mobike = no", "mobike = yes"), (r"dpd_delay = 30s", "dpd_delay = 1h"))


def setup():
    module()
    c = IkeCluster(module=True)
    c.road = Mobile(c.client)
    for gw in c.ike.values():
        mobile_class(gw)
    c.active = 1
    for n, gw in c.gw.items():
        # No address on it but those that move; and a route into the tunnels that does not go with them.
        gw.batch([f"route replace {POOL} dev in", f"addr del 192.0.2.1{n}/24 dev out", f"addr del 2001:db8::1{n}/64 dev out"])
    c.client.ip(f"addr del {c.CLIENT6}/64 dev out")
    c.client.sysctl({"ipv4/conf/all/promote_secondaries": 1})      # its other address stays when the first one goes
    try:
        c.start_ike()
        c.road.start_charon()
        c.road.connect()
        c.wait_mirrored()
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.first = c.road.ike()
    c.wire = Capture(c.client, "out")
    return c


def far_end(gw):
    """Where a gateway's charon and its kernel believe that the far end is."""
    sa, = gw.sas()
    states = set(re.findall(r"^src (\S+) dst (\S+)", gw.ns.ip("xfrm state"), re.M))
    encap = set(re.findall(r"encap type espinudp sport (\d+) dport (\d+)", gw.ns.ip("xfrm state")))
    return sa["remote-host"], sa["remote-port"], {a for pair in states for a in pair} - {IkeCluster.VIP}, {p for pair in encap for p in pair} - {"4500"}


def follows(c, address, seconds=10):
    """Both gateways know it there, the standby as the active one does."""
    active, standby = c.ike[c.active], c.ike[3 - c.active]
    until(lambda: far_end(active)[0] == address and far_end(active)[2] == {address}, seconds, f"{active} knows the client at {address}")
    until(lambda: far_end(standby) == far_end(active), seconds, f"{standby} knows what {active} knows")
    c.wait_mirrored(active=c.active)
    c.wait_ready(c.active)


def fail_over(c):
    """The active node dies; nobody says a word to the client but its packets' answers."""
    since = time.time()
    frm, c.active = c.active, 3 - c.active
    c.power_off(frm)
    c.take_over(c.active)
    equal(c.road.ping(20), 20, f"echos through gw{c.active}")
    time.sleep(QUIET)
    equal([p for p in c.wire.ike(since=since) if p.src == c.VIP and not p.response], [], "IKE requests of the new owner")
    equal(c.road.ike(), c.first, "the client's IKE SA")
    c.power_on(frm)
    c.wait_mirrored(active=c.active)
    c.wait_ready(c.active)


def move(c, frm, to):
    c.client.batch([f"addr add {to}/24 dev out", f"addr del {frm}/24 dev out", f"route replace 10.1.0.0/24 via {c.VIP} dev out"])
    until(lambda: c.road.sas()[0]["local-host"] == to, 15, f"the client's IKE SA is at {to}")


@explained
def only_the_tunnel_address_is_announced(c):
    """A client that looks for another way would choose a node's own one, and the tunnel would not move with the group."""
    said = re.findall(r"parsed IKE_AUTH response 1 \[(.*?)\]", c.road.text("charon.log"))
    equal(len(said), 1, "IKE_AUTH responses")
    check("MOBIKE_SUP" in said[0], f"MOBIKE is agreed on: {said[0]}")
    equal((said[0].count("ADD_4_ADDR"), said[0].count("ADD_6_ADDR")), (0, 1), "other addresses that the gateway announced: the group's IPv6 one")


@explained
def a_client_that_stays_is_not_told_of(c):
    time.sleep(6)
    for gw in c.ike.values():
        check("the far end is at" not in gw.log(), f"{gw} saw nobody move")


@explained
def a_client_moves(c):
    move(c, BACK, AWAY)
    follows(c, AWAY)
    equal(c.road.ping(), 3, "echos")
    fail_over(c)


@explained
def it_comes_back_and_moves_again(c):
    """Also while the standby's charon is away: what it is filled from is the address of now."""
    c.ike[3 - c.active].stop_charon()
    move(c, AWAY, BACK)
    c.ike[3 - c.active].start_charon()
    follows(c, BACK)
    c.road.rekey("--ike home")
    c.first = c.road.ike()
    c.wait_mirrored(active=c.active)
    move(c, BACK, AWAY)
    follows(c, AWAY)
    fail_over(c)
    equal(c.wire.sa_inits(), 0, "IKE_SA_INIT requests")


def behind_a_nat(c):
    """A client without MOBIKE in a network of its own, whose router has one address outside."""
    nat, inside = Ns("nat"), Ns("natted")
    veth(nat, "out", c.br, "o-nat")
    c.br.ip("link set o-nat master outside")
    veth(nat, "in", inside, "out")
    nat.address("out", f"{NAT[0]}/24")
    nat.address("in", "10.200.0.1/24")
    nat.forward()
    nat.sysctl({"ipv4/conf/all/promote_secondaries": 1})
    nat.sh("nft 'table ip t { chain c { type nat hook postrouting priority srcnat; oifname out masquerade; }; }'")
    inside.address("out", "10.200.0.2/24")
    inside.ip("route add default via 10.200.0.1 dev out")
    nat.ip(f"neigh replace {c.VIP} lladdr {c.gw[c.active].mac('out')} dev out nud permanent")
    return nat, Road(inside)


def natted(gw):
    """The address and the port that a gateway's charon and its kernel have for the client without MOBIKE."""
    sa, = (s for s in gw.sas() if "natted@" in s["remote-id"])
    ports = set(re.findall(r"^src \S+ dst \S+\n.*?(?:sport 4500 dport|sport) (\d+)", gw.ns.ip(f"xfrm state list dst {sa['remote-host']}"), re.M | re.S))
    return sa["remote-host"], sa["remote-port"], ports


@explained
def a_nat_gives_another_address(c):
    """What the gateway's kernel sees come from elsewhere, charon follows, and so must the standby."""
    nat, road = behind_a_nat(c)
    road.start_charon()
    road.connect()
    c.wait_mirrored(active=c.active, ikes=2)
    active, standby = c.ike[c.active], c.ike[3 - c.active]
    equal(natted(active)[0], NAT[0], "its address")
    equal(natted(standby), natted(active), "what the standby knows of it")
    first = road.ike()
    nat.batch([f"addr add {NAT[1]}/24 dev out", f"addr del {NAT[0]}/24 dev out"])
    until(lambda: road.ping(2, 2) and natted(active)[0] == NAT[1], 20, f"{active} follows it")
    until(lambda: natted(standby) == natted(active), 10, f"{standby} follows, too")
    c.wait_mirrored(active=c.active, ikes=2)
    c.wait_ready(c.active)
    c.power_off(c.active)
    c.active = 3 - c.active
    c.take_over(c.active)
    nat.ip(f"neigh replace {c.VIP} lladdr {c.gw[c.active].mac('out')} dev out nud permanent")
    equal(road.ping(10), 10, "echos through the NAT")
    equal(road.ike(), first, "its IKE SA")


main([only_the_tunnel_address_is_announced, a_client_that_stays_is_not_told_of, a_client_moves, it_comes_back_and_moves_again,
      a_nat_gives_another_address], setup)
