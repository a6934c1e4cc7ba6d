#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: swanctl --redirect moves the clients that support it to a gateway elsewhere; who does not stays, and is named; the cluster forgets who left
# WHERE: uml-fast
# SETS: timeout=300 named
#
# The commands are those of README. The other gateway is a stock charon with an address and a pool of its own, and knows nothing of the
# cluster: what arrives there is a new IKE SA. The judges are the clients, and both nodes' charons and kernels.
import re
import shlex

from esptest import *
from esptest_ike import Charon, IkeCluster, Road, TOP, example, explained, replace

ELSEWHERE, POOL = "192.0.2.50", "10.67.0.0/24"


class Elsewhere(Charon):
    """Another site's gateway: the same connection, clients' addresses from a pool of its own."""

    def strongswan_conf(self):
        return self.charon_conf("", "kernel-netlink {\n roam_events = no\n}\n", "charon {\n install_routes = no\n}\n")

    def swanctl_conf(self):
        return replace(example("swanctl/road-warrior.conf"), (r"local_addrs = \S+", f"local_addrs = {ELSEWHERE}"), (r"pools = espsync", "pools = own"),
                       (r"secrets \{", f"pools {{\n own {{\n  addrs = {POOL}\n }}\n}}\nsecrets {{"))


class Stayer(Road):
    """A client that does not follow, and says so when it connects: it does not tell that it supports RFC 5685."""

    def strongswan_conf(self):
        return super().strongswan_conf() + "charon {\n follow_redirects = no\n}\n"


def commands():
    """README's, by their first words."""
    with open(f"{TOP}/README.md", encoding="utf-8") as f:
        section = f.read().split("### Sending clients to another gateway\n")[1].split("\n### ")[0]
    return [line.split("  #")[0].strip() for line in re.findall(r"^    (\S.*)$", section, re.M)]


def command(pattern, **values):
    """The one that matches, with this test's values."""
    found, = [line for line in commands() if re.search(pattern, line)]
    words = [values.get(w, w) for w in shlex.split(found)]
    check(words[0] == "swanctl", found)
    return shlex.join(words[1:])


def third_gateway(c):
    ns = Ns("elsewhere")
    veth(ns, "out", c.br, "o-elsewhere")
    c.br.ip("link set o-elsewhere master outside")
    ns.address("out", f"{ELSEWHERE}/24")
    ns.forward()
    ns.ip(f"route add {POOL} dev out")
    return Elsewhere(ns)


def setup():
    module()
    c = IkeCluster(module=True)
    c.elsewhere = third_gateway(c)
    c.road2 = Stayer(c.client2)
    try:
        c.elsewhere.start_charon()
        c.elsewhere.swanctl(f"--load-pools --file {c.elsewhere.dir}/swanctl.conf")
        c.start_ike()
        for road in (c.road, c.road2):
            road.start_charon()
            road.connect()
        c.wait_mirrored(ikes=2)
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.stays = c.road2.ike()
    return c


def remote_ids(gw):
    """Who is named by the command that lists who is left."""
    out = gw.swanctl(command("list-sas"))
    return set(re.findall(r"remote '(\S+?)'", out))


@explained
def all_are_there(c):
    equal(remote_ids(c.ike[1]), {"client@example.org", "client2@example.org"}, "clients that are named")


@explained
def who_supports_it_is_moved(c):
    first = c.road.ike()
    c.ike[1].swanctl(command("--redirect --peer-ip", **{"198.51.100.1": ELSEWHERE}), ok=None)
    until(lambda: c.elsewhere.ike("ESTABLISHED") and c.road.ike() == c.elsewhere.ike("ESTABLISHED"), 20, "the client has a new IKE SA there, and no other")
    check(not c.road.ike() & first, "it is another one")
    until(lambda: c.road.children() and c.road.children() == {(o, i) for i, o in c.elsewhere.children()}, 10, "with its CHILD SA")
    check(c.road.inner_address().startswith("10.67.0."), f"and an address from there: {c.road.inner_address()}")


@explained
def who_does_not_stays_and_is_named(c):
    equal(c.road2.ike(), c.stays, "its IKE SA")
    equal(c.road2.ping(), 3, "its echos")
    until(lambda: remote_ids(c.ike[1]) == {"client2@example.org"}, 10, "it is the only one that is named")
    check("client does not support IKE redirection" in c.ike[1].text("charon.log"), "charon says why")


@explained
def the_cluster_forgets_who_left(c):
    """In both charons and kernels, and a failover loses nothing of what is left."""
    c.wait_mirrored()
    for n, gw in c.ike.items():
        equal(gw.in_kernel(), {s for pair in c.ike[1].children() for s in pair}, f"states of gw{n}")
    c.wait_ready(1)
    c.power_off(1)
    c.take_over(2)
    equal(c.road2.ping(20), 20, "echos of who stayed")
    equal((c.ike[2].ike("ESTABLISHED"), c.road2.ike()), (c.stays, c.stays), "gw2's IKE SAs, and the client's")
    check(c.road.ike() == c.elsewhere.ike("ESTABLISHED"), "who was moved is where it was")


@explained
def the_next_owner_knows_who_supports_it(c):
    """It is mirrored with the IKE SA: who has taken over can go on with it."""
    c.power_on(1)
    c.ike[1].said("peer 2's journal has 1 IKE SAs")
    c.road.swanctl("--terminate --ike home")
    c.road.connect()
    c.wait_mirrored(active=2, ikes=2)
    c.wait_ready(2)
    first = c.road.ike()
    c.power_off(2)
    c.take_over(1)
    equal(c.road.ike(), first, "the client's IKE SA, mirrored")
    c.ike[1].swanctl(command("--redirect --peer-id", **{"198.51.100.1": ELSEWHERE}), ok=None)
    until(lambda: c.elsewhere.ike("ESTABLISHED") and c.road.ike() == c.elsewhere.ike("ESTABLISHED"), 20, "the client is moved")
    until(lambda: remote_ids(c.ike[1]) == {"client2@example.org"}, 10, "who stays is the only one that is named")


main([all_are_there, who_supports_it_is_moved, who_does_not_stays_and_is_named, the_cluster_forgets_who_left,
      the_next_owner_knows_who_supports_it], setup)
