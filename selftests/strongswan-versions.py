#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: gateways of two releases of strongSwan, whose wire versions differ, carry each other's tunnels, name what they cannot, and serve libreswan
# WHERE: uml-fast
# SETS: timeout=600 named trixie sid libreswan
"""
strongswan-versions - what the ha plugins of 5.9.8 (Debian 12), 6.0.1 (13) and 6.1.0 (sid) say differently is translated, or refused with a sentence.

gw1 has Debian 12's strongSwan, gw2 another one. The same tunnel goes there and back, is rekeyed by either, and by its client, with the same SPIs on
both and no packet that says more than it must. What 5.9.8 has no words for is named by both nodes, and nothing of it reaches its charon. At last
gw2's strongSwan is Debian 12's as well, and a client is libreswan.
"""
import json
import re

from esptest import *
from esptest_ike import IkeCluster, Station, example, explained

SENTENCE = "this strongSwan lacks additional key exchanges: run the same release"
SEVERAL = "-ke1_mlkem768"
ROAD2 = "192.0.2.101"


LIBEXEC = "/usr/libexec/ipsec"

# What the gateways have for libreswan: a site, whose addresses are its own.
SITE = f"""
connections {{
    site {{
        local_addrs = {IkeCluster.VIP}
        remote_addrs = {ROAD2}
        version = 2
        mobike = no
        proposals = aes128-sha256-x25519
        local {{
            auth = psk
            id = gw.example.org
        }}
        remote {{
            auth = psk
            id = libreswan.example.org
        }}
        children {{
            site {{
                local_ts = 10.1.0.0/24
                remote_ts = {ROAD2}/32
                esp_proposals = aes128gcm16-x25519-esn
                replay_window = 1024
            }}
        }}
    }}
}}
"""


class Libreswan(Station):
    """A client that is not strongSwan: a tunnel of its own address, for it asks for none."""

    CONF = f"""
config setup
    uniqueids=no
    dnssec-enable=no
conn home
    left={ROAD2}
    leftid=@libreswan.example.org
    leftsubnet={ROAD2}/32
    leftupdown=%disabled
    right={IkeCluster.VIP}
    rightid=@gw.example.org
    rightsubnet=10.1.0.0/24
    authby=secret
    ikev2=insist
    mobike=no
    ike=aes128-sha2_256-dh31
    esp=aes_gcm128
    esn=yes
    auto=ignore
"""

    def start(self):
        self.write("ipsec.conf", self.CONF)
        self.write("ipsec.secrets", '@libreswan.example.org @gw.example.org : PSK "replace this by a long random one"\n', 0o600)
        self.run(f"mkdir -p {self.dir}/nss /run/pluto")
        self.libreswan("certutil", "-N", "-d", f"sql:{self.dir}/nss", "--empty-password")
        self.spawn("pluto", [*self.chroot("LIBRESWAN"), f"{LIBEXEC}/pluto", "--nofork", "--stderrlog", "--config", f"{self.dir}/ipsec.conf",
                             "--secretsfile", f"{self.dir}/ipsec.secrets", "--nssdir", f"sql:{self.dir}/nss", "--rundir", "/run/pluto"])
        until(lambda: "loading secrets" in self.text("pluto.out"), 20, "pluto listens")
        self.libreswan(f"{LIBEXEC}/addconn", "--config", f"{self.dir}/ipsec.conf", "--ctlsocket", "/run/pluto/pluto.ctl", "home")

    def libreswan(self, *words, **kw):
        return self.run([*self.chroot("LIBRESWAN"), *words], **kw)

    def whack(self, *words):
        return self.libreswan(f"{LIBEXEC}/whack", "--ctlsocket", "/run/pluto/pluto.ctl", *words, ok=None)

    def sas(self):
        """SPIs in its kernel, by who sends: {(to the gateways, to it)}; of a rekeying for a moment more."""
        spis = re.findall(r"src (\S+) dst \S+\n\s+proto esp spi 0x([0-9a-f]{8}) reqid \d+ mode tunnel\n\s+replay-window", self.ns.ip("xfrm state"))
        return {spi for _, spi in spis}

    def ping(self):
        out = self.run(f"ping -n -i 0.05 -c 3 -w 10 -I {ROAD2} {IkeCluster.LAN}", ok=None)
        return int(re.search(r"(\d+) received", out).group(1))


def setup():
    c = IkeCluster(module=True)
    c.ike[1].suite = c.road.suite = c.road2.suite = None
    c.ike[2].suite = "trixie"
    try:
        c.start_ike()
        c.road.start_charon()
        c.road.connect()
        c.wait_mirrored()
    except Exception:
        c.explain()
        raise
    return c


def reasons(c, node):
    """What `ready` minds, in words."""
    return [r["text"] for r in json.loads(c.espsync(node, "-j ready", ok=(0, 1)))["reasons"]]


def wires(c):
    return [re.findall(r"charon's ha plugin speaks version (\d)", gw.log())[-1] for gw in c.ike.values()]


def fails_over(c, to, others=frozenset()):
    """The other node dies; the client goes on with the same SAs, and notices nothing. `others`: SPIs of another client's."""
    sas = c.road.ike(), c.road.children()
    cap = Capture(c.br, "outside")
    c.power_off(3 - to)
    c.take_over(to)
    equal(c.road.ping(), 3, f"echos through gw{to}")
    equal((c.road.ike(), c.road.children()), sas, "the client's SAs")
    equal(cap.stop().sa_inits(), 0, "IKE_SA_INIT requests")
    equal({pair for pair in c.ike[to].children() if not others & set(pair)}, {(o, i) for i, o in sas[1]}, f"gw{to}'s CHILD SAs")


def goes_on(c, active):
    """Keys that are derived from the ones that came over: of a CHILD SA, of an IKE SA, asked for by either end."""
    c.road.rekey()
    c.ike[active].swanctl("--rekey --child lan")
    c.road.rekey("--ike home")
    c.ike[active].swanctl("--rekey --ike road-warrior")
    until(lambda: len(c.road.ike("ESTABLISHED")) == 1 and len(c.road.children()) == 1, 20, "one tunnel")
    equal(c.road.ping(), 3, f"echos through gw{active}")


def there_and_back(c):
    """From the older one to the newer one and back, in between with what the newer one tells."""
    for to in (2, 1):
        fails_over(c, to)
        goes_on(c, to)
        c.power_on(3 - to)
        c.wait_mirrored(to)
        check(not any("this strongSwan lacks" in t for n in (1, 2) for t in reasons(c, n)), "nothing of it is named")


def exchange(c, suite):
    """gw2, a standby, comes back with another strongSwan."""
    c.power_off(2)
    c.ike[2].suite = suite
    c.power_on(2)


@explained
def between_5_9_8_and_6_0_1(c):
    equal(wires(c), ["3", "4"], "wire versions")
    there_and_back(c)


@explained
def between_5_9_8_and_6_1_0(c):
    exchange(c, "sid")
    c.wait_mirrored()
    equal(wires(c), ["3", "5"], "wire versions")
    there_and_back(c)


@explained
def only_the_release_is_minded(c):
    """By both, as long as it differs: all is there."""
    for node, theirs in ((1, "6.1.0 on node 2"), (2, "5.9.8 on node 1")):
        until(lambda: len(said := reasons(c, node)) == 1 and re.fullmatch(rf"strongSwan is [\d.]+ here, {theirs}: run the same release", said[0]), 20,
              f"node {node} minds nothing but the release")


@explained
def several_key_exchanges_are_named(c):
    """Another client's: gw2 negotiates them, gw1 does not have them, and is not told of them. The first client's tunnel is there all the same."""
    for s in (c.ike[2], c.road2):
        conf = s.swanctl_conf()
        s.swanctl_conf = lambda conf=conf: re.sub("proposals = aes128-sha256-x25519", f"\\g<0>{SEVERAL}, aes128-sha256-x25519", conf)
    c.road2.suite = "sid"
    c.ike[2].write("swanctl.conf", c.ike[2].swanctl_conf())
    c.ike[2].load()
    c.power_off(1)
    c.take_over(2)
    c.power_on(1)
    c.road2.start_charon()
    c.road2.connect()
    check("MLKEM" in c.road2.swanctl("--list-sas").upper().replace("_", ""), "several key exchanges were made")
    until(lambda: any(SENTENCE in t and t.startswith(f"node 1: road-warrior, {ROAD2}:") for t in reasons(c, 2)), 20, "gw2 names it")
    until(lambda: any(SENTENCE in t and t.startswith(f"road-warrior, {ROAD2}:") for t in reasons(c, 1)), 20, "gw1 names it")
    until(lambda: c.ike[1].ike("PASSIVE") == c.road.ike(), 20, "gw1 has the other client's IKE SA and nothing else")
    equal(c.ike[1].ike(), c.road.ike(), "IKE SAs of gw1's charon")
    check("derivation failed" not in c.ike[1].text("charon.log"), "gw1's charon never saw half of one")
    c.road2.swanctl("--terminate --ike home")
    until(lambda: not any(SENTENCE in t for n in (1, 2) for t in reasons(c, n)), 20, "it is named no more")
    fails_over(c, 1)
    for s in (c.ike[2], c.road2):
        del s.swanctl_conf
    c.power_on(2)
    c.wait_mirrored()


@explained
def libreswan_goes_on(c):
    """Behind two gateways of 5.9.8: its tunnel moves with the first client's, there and back, and it rekeys whatever it likes on either."""
    for gw in c.ike.values():
        gw.swanctl_conf = lambda: example("swanctl/road-warrior.conf") + SITE
    c.ike[1].write("swanctl.conf", c.ike[1].swanctl_conf())
    c.ike[1].load()
    exchange(c, None)
    c.wait_mirrored()
    c.lan.ip(f"route add {ROAD2} via 10.1.0.1")
    client = Libreswan(c.client2)
    try:
        client.start()
        client.whack("--name", "home", "--initiate")
        until(lambda: len(client.sas()) == 2, 20, "libreswan's tunnel")
        equal(client.ping(), 3, "echos of libreswan")
        c.wait_mirrored(ikes=2)
        for to in (2, 1):
            before = client.sas()
            cap = Capture(c.br, "outside")
            fails_over(c, to, before)
            equal(client.ping(), 3, f"libreswan's echos through gw{to}")
            equal((client.sas(), cap.stop().sa_inits()), (before, 0), "libreswan's SAs, and IKE_SA_INIT requests")
            for what in ("--rekey-ipsec", "--rekey-ike"):
                client.whack(what, "--name", "home")
                until(lambda: len(client.sas()) == 2, 20, "one pair of SAs")
                equal(client.ping(), 3, f"libreswan's echos after {what} with gw{to}")
            check(not client.sas() & before, "both were rekeyed")
            c.power_on(3 - to)
            c.wait_mirrored(to, ikes=2)
    except Exception:
        for line in client.text("pluto.out").splitlines()[-50:]:
            note(f"pluto: {line}")
        raise


main([between_5_9_8_and_6_0_1, between_5_9_8_and_6_1_0, only_the_release_is_minded, several_key_exchanges_are_named, libreswan_goes_on], setup)
