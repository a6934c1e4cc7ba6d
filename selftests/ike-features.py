#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: inner addresses from a pool, EAP identities, 20 CHILD SAs under one IKE SA, 100 traffic selectors in one, several key exchanges: across failovers
# WHERE: uml-fast
# SETS: timeout=700 named sid
#
# What stock strongSwan can do beyond one tunnel of a road warrior. Each is set up at gw1, fails over to gw2, is rekeyed there, and comes
# back to gw1; the judge is the client, whose IKE SAs stay, and each packet of each selector. What cannot be carried is in `drift`.
import re
import socket
import time

from esptest import *
from esptest_ike import Charon, IkeCluster, Road, example, explained, replace

CHILDREN = range(7001, 7021)
SELECTORS = range(8001, 8101)
SMALL = "10.66.0.0/29"

# What the gateways have beyond the example, the same on both.
MORE = """
connections {
    eap {
        local_addrs = %(vip)s
        version = 2
        mobike = no
        proposals = aes128-sha256-x25519
        pools = espsync
        local {
            auth = psk
            id = eap.example.org
        }
        remote {
            auth = eap-md5
            eap_id = %%any
        }
        children {
            lan {
                local_ts = 10.1.0.0/24
                esp_proposals = aes128gcm16-x25519-esn
                replay_window = 1024
            }
        }
    }
    ports {
        local_addrs = %(vip)s
        version = 2
        mobike = no
        proposals = aes128-sha256-x25519
        pools = espsync
        local {
            auth = psk
            id = ports.example.org
        }
        remote {
            auth = psk
        }
        children {
%(children)s
        }
    }
}
secrets {
    eap-alice {
        id = alice
        secret = "wonderland"
    }
}
"""
CHILD = """            %s {
                %s = %s
                esp_proposals = aes128gcm16-x25519-esn
                replay_window = 1024
            }"""
CLIENT = """
connections {
    %(name)s {
        remote_addrs = %(vip)s
        version = 2
        mobike = no
        proposals = aes128-sha256-x25519
        vips = 0.0.0.0
        local {
            %(auth)s
            id = %(name)s@example.org
        }
        remote {
            auth = psk
            id = %(peer)s.example.org
        }
        children {
%(children)s
        }
    }
}
"""


def ts(ports):
    """By number: another suite's root has no names of protocols."""
    return ", ".join(f"{IkeCluster.LAN}[{socket.IPPROTO_UDP}/{port}]" for port in ports)


def children(side):
    """One for each port, and one for a hundred."""
    return "\n".join(CHILD % (name, f"{side}_ts", ts(ports)) for name, ports in [*((f"p{p}", [p]) for p in CHILDREN), ("wide", SELECTORS)])


def client(name, peer, auth="auth = psk", kids=CHILD % ("lan", "remote_ts", "10.1.0.0/24")):
    return CLIENT % {"name": name, "vip": IkeCluster.VIP, "peer": peer, "auth": auth, "children": kids.replace("lan {", f"{name} {{")}


class Listener:
    """The LAN's host: what arrives at the ports, by who sent it."""

    def __init__(self, c):
        self.sockets = {}
        for port in (*CHILDREN, *SELECTORS):
            sock = c.lan.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((c.LAN, port))
            sock.settimeout(5)
            self.sockets[port] = sock
            defer(sock.close)

    def hears(self, c, source, ports):
        """The ports at which a packet of the client's and its echo came through."""
        sock = c.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((source, 0))
        sock.settimeout(5)
        came = []
        with sock:
            for port in ports:
                sock.sendto(b"%d" % port, (c.LAN, port))
                try:
                    data, sender = self.sockets[port].recvfrom(64)
                    self.sockets[port].sendto(data, sender)
                    if sock.recv(64) == b"%d" % port:
                        came.append(port)
                except TimeoutError:
                    pass
        return came


def setup():
    module()
    c = IkeCluster(module=True)
    for gw in c.ike.values():
        gw.PLUGINS = Charon.PLUGINS + " eap-identity eap-md5"
        gw.swanctl_conf = lambda: example("swanctl/road-warrior.conf") + MORE % {"vip": c.VIP, "children": children("local")}
        conf = type(gw).strongswan_conf
        gw.strongswan_conf = lambda gw=gw: replace(conf(gw), (r"espsync = 10.66.0.0/24", f"espsync = {SMALL}"))
    c.road.PLUGINS = Charon.PLUGINS + " eap-identity eap-md5"
    c.road.swanctl_conf = lambda: Road.swanctl_conf(c.road) + client("ports", "ports", kids=children("remote")) + \
        client("eap", "eap", "auth = eap\n            eap_id = alice") + "".join(client(name, "gw") for name in MORE_CLIENTS) + \
        'secrets {\n    eap-alice {\n        id = alice\n        secret = "wonderland"\n    }\n}\n'
    # A route for each of a hundred selectors takes charon minutes here.
    c.road.strongswan_conf = lambda: c.road.charon_conf("", "kernel-netlink {\n roam_events = no\n}\n", "charon {\n install_routes = no\n}\n")
    c.active = 1
    c.listener = Listener(c)
    try:
        c.start_ike()
        c.road.start_charon()
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.capture = Capture(c.client, "out")
    c.own = [Capture(gw, "out") for gw in c.gw.values()]
    return c


MORE_CLIENTS = [f"more{i}" for i in range(6)]


def connection(c, name, at=None):
    """The IKE SA of that name at the client, or at a gateway."""
    found = [s for s in (at or c.road).sas() if s["conn"] == name]
    return found[0] if len(found) == 1 else None


def begins(c, name, *kids):
    """charon has to install three policies for each selector, at both ends and on the standby, which takes its time."""
    for kid in kids or (name,):
        c.road.swanctl(f"--initiate --ike {name} --child {kid} --timeout 90", timeout=100)
    mirrored(c)


def mirrored(c):
    """The standby has what the active node has."""
    a, b = c.ike[c.active], c.ike[3 - c.active]

    def same():
        return a.ike("ESTABLISHED") == b.ike("PASSIVE") == a.ike() and a.children() == b.children() and b.in_kernel() == {s for p in a.children() for s in p}
    until(same, 30, f"gw{3 - c.active} has all SAs")
    c.wait_ready(c.active)


def fails_over(c):
    """The active node dies with all it knew; the other one carries on, and the client's IKE SAs are what they were."""
    mirrored(c)
    before, inits = (c.road.ike(), c.road.children()), c.capture.sa_inits()
    dead, c.active = c.active, 3 - c.active
    c.power_off(dead)
    c.take_over(c.active)
    return before, inits


def comes_back(c):
    c.power_on(3 - c.active)
    mirrored(c)


def carried_on(c, before, inits):
    equal((c.road.ike(), c.road.children()), before, "the client's SAs")
    equal(c.capture.sa_inits(), inits, "IKE_SA_INIT requests")


def rekeyed(c, what, name):
    """Begun by the client, done when the connection's IKE SA has another SPI, or that CHILD SA another one."""
    def now():
        sa = connection(c, name)
        if not sa or sa["state"] != "ESTABLISHED":
            return None
        if what.startswith("--ike"):
            return sa["initiator-spi"], sa["responder-spi"]
        spis = [k["spi-in"] for k in sa["child-sas"].values() if k["name"] == what.split()[1] and k["state"] == "INSTALLED"]
        return spis[0] if len(spis) == 1 else None
    before = now()
    c.road.swanctl(f"--rekey {what}")
    until(lambda: now() not in (None, before), 15, f"rekeyed {what} of {name}")


def inner(c, name):
    return connection(c, name)["local-vips"][0]


def all_pass(c, ports, when):
    equal([p for p in ports if p not in c.listener.hears(c, inner(c, "ports"), ports)], [], f"ports that nothing came through, {when}")


@explained
def an_eap_identity_is_carried(c):
    """What the gateway knows its client by, and would ask RADIUS and firewalls for."""
    begins(c, "eap")
    seen = connection(c, "eap", c.ike[1])
    equal((seen["remote-id"], seen["remote-eap-id"]), ("eap@example.org", "alice"), "identities at gw1")
    carried_on(c, *fails_over(c))
    seen = connection(c, "eap", c.ike[2])
    equal((seen["state"], seen["remote-id"], seen["remote-eap-id"]), ("ESTABLISHED", "eap@example.org", "alice"), "state and identities at gw2")
    rekeyed(c, "--ike eap", "eap")
    rekeyed(c, "--child eap", "eap")
    equal(connection(c, "eap", c.ike[2])["remote-eap-id"], "alice", "identity after a rekeying at gw2")
    comes_back(c)
    carried_on(c, *fails_over(c))
    equal(connection(c, "eap", c.ike[1])["remote-eap-id"], "alice", "identity at gw1 again, which knows it from gw2 alone")
    out = c.road.run(f"ping -n -i 0.05 -c 3 -w 10 -I {inner(c, 'eap')} {c.LAN}", ok=None)
    check("3 received" in out, f"echos: {out}")
    comes_back(c)


@explained
def twenty_child_sas_under_one_ike_sa(c):
    begins(c, "ports", *(f"p{p}" for p in CHILDREN))
    equal(len(connection(c, "ports")["child-sas"]), 20, "CHILD SAs")
    all_pass(c, CHILDREN, f"at gw{c.active}")
    carried_on(c, *fails_over(c))
    all_pass(c, CHILDREN, f"at gw{c.active}, after a failover")
    for port in CHILDREN:
        rekeyed(c, f"--child p{port}", "ports")
    rekeyed(c, "--ike ports", "ports")
    all_pass(c, CHILDREN, "rekeyed there")
    comes_back(c)
    carried_on(c, *fails_over(c))
    all_pass(c, CHILDREN, f"at gw{c.active} again")
    rekeyed(c, f"--child p{CHILDREN[0]}", "ports")
    comes_back(c)
    # charon is asked for its selectors by several at a time, and then now and then writes a wrong name of a port.
    for gw in c.ike.values():
        check(not re.search(r"_ts is .* here", gw.text("espsyncd.out")), f"{gw} never said that selectors differ")


def policies(c, n):
    """Selectors of the policies with a template for the client."""
    return sorted(re.findall(r"^src (\S+ dst \S+ proto udp (?:sport|dport) 80\d\d|\S+ dst \S+ proto udp \S+ 8100) *\n\s+dir (\w+)", c.gw[n].ip("xfrm policy"), re.M))


@explained
def a_hundred_traffic_selectors_in_one_child_sa(c):
    begins(c, "ports", "wide")
    equal(len(policies(c, c.active)), 300, f"policies of gw{c.active}: in, fwd and out for each selector")
    equal(policies(c, 3 - c.active), policies(c, c.active), "policies of the standby")
    all_pass(c, SELECTORS, f"at gw{c.active}")
    carried_on(c, *fails_over(c))
    all_pass(c, SELECTORS, f"at gw{c.active}, after a failover")
    rekeyed(c, "--child wide", "ports")
    all_pass(c, SELECTORS, "rekeyed there")
    comes_back(c)
    equal(policies(c, 3 - c.active), policies(c, c.active), "policies of the standby, rebuilt from the journal")
    carried_on(c, *fails_over(c))
    all_pass(c, SELECTORS, f"at gw{c.active} again")
    comes_back(c)


@explained
def nobody_gets_an_address_that_is_in_use(c):
    """After a failover, from a pool with a handful of addresses: each new client another one, until there is none left."""
    if not connection(c, "eap"):
        begins(c, "eap")
    taken = {name: inner(c, name) for name in {s["conn"] for s in c.road.sas()}}
    begins(c, MORE_CLIENTS[0])
    begins(c, MORE_CLIENTS[1])
    taken |= {name: inner(c, name) for name in MORE_CLIENTS[:2]}
    # One that has left: its address is free, on both.
    c.road.swanctl(f"--terminate --ike {MORE_CLIENTS[0]}")
    free = taken.pop(MORE_CLIENTS[0])
    carried_on(c, *fails_over(c))
    comes_back(c)
    # To the one that has been told by another, not by charon as it happened.
    carried_on(c, *fails_over(c))
    for name in MORE_CLIENTS[2:]:
        if c.road.swanctl(f"--initiate --child {name} --timeout 20", ok=None).status:
            break
        taken[name] = inner(c, name)
    else:
        check(False, f"the pool {SMALL} never ends: {taken}")
    equal(len(set(taken.values())), len(taken), f"different addresses of {taken}")
    check(free in taken.values(), f"{free}, which nobody had any more, was given again: {taken}")
    for name, address in taken.items():
        equal(inner(c, name), address, f"address of {name}")


def begin_with(c, suite, more):
    """Both gateways and the client, anew, with another strongSwan and more key exchanges in each proposal."""
    c.road.end("charon")
    for n in {1, 2} - c.off:
        c.power_off(n)
    for s in (c.road, *c.ike.values()):
        s.suite = suite
        s.swanctl_conf = lambda conf=s.swanctl_conf: conf().replace("-x25519", f"-x25519{more}")
    for n in (1, 2):
        c.revive(n)
        c.configure(n)
        c.ike[n].start_helper()
        c.ike[n].start_charon()
        c.off.discard(n)
    c.active = 1
    c.ike[2].become("BACKUP")
    c.ike[1].become("MASTER")
    c.move_vip(1)
    c.road.start_charon()


@explained
def several_key_exchanges(c):
    """RFC 9370, which strongSwan has since 6.0. Each is part of the keys: of an IKE SA, of its CHILD SAs, and of all that are derived from them."""
    begin_with(c, "sid", "-ke1_mlkem768")
    begins(c, "home", "lan")
    for again in ("", " again"):
        carried_on(c, *fails_over(c))
        rekeyed(c, "--child lan", "home")
        rekeyed(c, "--ike home", "home")
        sa = connection(c, "home")
        kids = [k for k in sa["child-sas"].values() if k["state"] == "INSTALLED"]
        check(len(kids) == 1 and all("ML_KEM_768" in of.values() for of in (sa, *kids)),
              f"a second key exchange of the IKE SA and of its CHILD SA, rekeyed at gw{c.active}{again}: {sa}")
        equal(c.road.ping(), 3, f"echos through gw{c.active}{again}")
        comes_back(c)


@explained
def no_number_twice(c):
    time.sleep(0.2)
    equal(repeats([c.capture], out=False), {}, "numbers that came twice to the client")
    equal(repeats(c.own), {}, "numbers that gateways sent twice")


main([an_eap_identity_is_carried, twenty_child_sas_under_one_ike_sa, a_hundred_traffic_selectors_in_one_child_sa, nobody_gets_an_address_that_is_in_use,
      several_key_exchanges, no_number_twice], setup)
