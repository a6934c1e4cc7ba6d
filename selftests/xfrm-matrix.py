#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: whatever xfrm can hold fails over: AH, BEET, one family in the other, marks, if_id, IPTFS, SAs for each CPU, offload, update, flush
# WHERE: uml-fast
# SETS: timeout=500 cpus=2 named
"""
xfrm-matrix - kinds of SA that espsync must follow, mirror, fail over and silence as it does plain ESP.

All kinds but two are taken over together in one cluster, each with an inner address of its own. SAs for one CPU, and those behind a NIC, which are a
question of what the NIC is told, have cases of their own. What this Debian's `ip` cannot say (directions, IPTFS, CPUs) is said by hand.
What may not enter: anti-replay shapes, ciphers and encapsulations (algorithms.py), lifetimes, MIGRATE.
"""
import os

from esptest import *
from esptest.cluster import LAN_GW, LAN_GW6
from esptest.xfrm import XFRM_MODE_IPTFS, XFRMA_OFFLOAD_DEV, XFRMA_SA_PCPU
from failover import *
from variants import fail_over_and_back

VIP2, CLIENT2 = "192.0.2.2", "192.0.2.101"     # of the tunnel in transport mode, whose policies cover its whole addresses
COUNT = 10
MARK, IF_ID = 5, 7
OTHERS = range(40, 48)          # inner addresses of the other cases
OUTER = {False: (Cluster.CLIENT, Cluster.VIP), True: (Cluster.CLIENT6, Cluster.VIP6)}
KINDS = {
    "AH, legacy window": dict(proto="ah", alg="sha256"),
    "AH, ESN": dict(proto="ah", alg="sha256", esn=True, window=256),
    "AH, IPv6": dict(outer6=True, inner6=True, proto="ah", alg="sha256", esn=True, window=64),
    "AH, transport mode": dict(ends=(CLIENT2, VIP2), mode="transport", proto="ah", alg="sha256", window=128),
    "BEET": dict(mode="beet", esn=True, window=128),
    "BEET, IPv6 in IPv4": dict(mode="beet", inner6=True),
    "IPv4 in IPv6": dict(outer6=True, esn=True, window=128),
    "IPv6 in IPv4": dict(inner6=True, alg="cbc-sha256"),
    "a mark": dict(on_gateways=f"mark {MARK} mask 0xff", esn=True, window=128),
    "if_id and an xfrm interface": dict(on_gateways=f"if_id {IF_ID}"),
    "directions": dict(beyond={}, esn=True, window=256),
    "IPTFS": dict(beyond=dict(mode=XFRM_MODE_IPTFS)),
    "IPTFS, ESN, IPv6": dict(beyond=dict(mode=XFRM_MODE_IPTFS), outer6=True, inner6=True, esn=True, window=256),
}


def near(number, v6=False):
    return f"fd02::{number:x}" if v6 else f"10.2.0.{number}"


def whole(address):
    return f"{address}/{128 if ':' in address else 32}"


def made(number, outer6=False, inner6=False, ends=None, **kw):
    far = (Cluster.LAN6 if inner6 else Cluster.LAN) if kw.get("mode") == "beet" else "fd01::/64" if inner6 else "10.1.0.0/24"
    return Tunnel(*(ends or OUTER[outer6]), spi=0x1000 + 0x10 * number, inner=(whole(near(number, inner6)), far if "/" in far else whole(far)), **kw)


def installed(c, t):
    t.install_client(c.client)
    for gw in c.gw.values():
        t.install(gw)
    return t


def addresses(c, tunnels):
    """An inner address for each, and the way to it from whoever has the group's address."""
    inner = [t.inner[0] for t in tunnels if t.mode != "transport"] + [whole(near(i)) for i in OTHERS]
    c.client.batch([f"addr add {a} dev lo" + (" nodad" if ":" in a else "") for a in inner] + [f"addr add {CLIENT2}/32 dev lo"])
    c.client.ip(f"route add {VIP2} via {c.VIP} dev out src {CLIENT2}")
    for n, gw in c.gw.items():
        gw.batch([f"link add ipsec type xfrm dev out if_id {IF_ID}", "link set ipsec up"])
        by_if_id = {t.inner[0] for t in tunnels if "if_id" in t.on_gateways}
        gw.batch([f"route add {a} dev ipsec" if a in by_if_id else f"route add {a} via {c.CLIENT6 if ':' in a else c.CLIENT} dev out" for a in inner] +
                 [f"route add {CLIENT2}/32 via {c.CLIENT} dev out", f"addr add {VIP2}/32 dev lo"])
        marked = next(t for t in tunnels if "mark" in t.on_gateways)
        to = marked.inner[0].split("/")[0]
        gw.sh("nft 'table ip m { "
              f"chain p {{ type filter hook prerouting priority mangle; ip daddr {to} meta mark set {MARK}; esp spi {marked.to_gw.spi} meta mark set {MARK}; }}; "
              f"chain o {{ type route hook output priority mangle; ip daddr {to} meta mark set {MARK}; }}; }}'")
        c.espsync(n, f"group set 0 addr {c.VIP} {c.VIP6} {VIP2}")


def setup():
    module()
    c = Cluster()
    c.start()
    set_times(c, detect_ms=2000, evict_ms=60000)
    c.tunnels = {name: made(number, **how) for number, (name, how) in enumerate(KINDS.items(), 10)}
    addresses(c, c.tunnels.values())
    for t in c.tunnels.values():
        installed(c, t)
    c.active = 1
    ready(c, 1)
    return c


def followed_both_ways(c):
    """By both nodes, with what tells them apart."""
    for node in c.gw:
        known = sas(c, node)
        for name, t in c.tunnels.items():
            for sa, direction in ((t.to_client, "out"), (t.to_gw, "in")):
                check(sa.spi in known, f"{name}: node {node} follows {sa.spi:#x}")
                s = known[sa.spi]
                equal((s["dir"], s["proto"], s["dst"], s["group"]), (direction, sa.proto, sa.dst, 0), f"{name}: what node {node} shows of {sa.spi:#x}")
                check(s["state"] in ("hot", "cold"), f"{name}: node {node} shows {sa.spi:#x} as {s['state']}")
    t = c.tunnels["AH, ESN"]
    said = json.loads(c.espsync(1, f"-j sa get dst {t.to_gw.dst} spi {t.to_gw.spi} proto ah"))
    equal((said["proto"], said["window"]), ("ah", 256), "sa get of an AH SA")


# -- the standby is silent --------------------------------------------------------

def refusals(c, node):
    return int(c.show(node, "stats")["refused"]) + sum(v for k, v in xfrm_stat(c.gw[node]).items() if k.startswith(("XfrmOut", "XfrmFwd")))


def send(c, node, t, count=COUNT):
    """Packets towards the tunnel's client, from behind a gateway or, in transport mode, from itself."""
    to = t.inner[0].split("/")[0]
    source = t.gateway if t.mode == "transport" else c.LAN6 if ":" in to else c.LAN
    sock = (c.gw[node] if t.mode == "transport" else c.lan).socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 0))
    for i in range(count):
        try:
            sock.sendto(b"%04d" % i * 20, (to, PORT))
        except OSError:
            pass        # so a sender is told that its packet was dropped
    sock.close()


def lan_sends_to(c, node):
    c.lan.batch([f"route replace 10.2.0.0/24 via 10.1.0.1{node}", f"route replace fd02::/64 via fd01::1{node}"])


def standby_is_silent(c):
    """Its lan sends it packets of every kind, as when VRRP moved the address and nobody told the module: none leaves, and none uses up a number."""
    standby = 3 - c.active
    gw = c.gw[standby]
    c.add_vip(standby)
    lan_sends_to(c, standby)
    left = Capture(gw, "out")
    for name, t in c.tunnels.items():
        number, before = t.to_client.state(gw)["oseq"], refusals(c, standby)
        send(c, standby, t)
        until(lambda: refusals(c, standby) >= before + COUNT, 10, f"{name}: {COUNT} packets refused; {len(left.esp(t.to_client.spi))} left")
        equal(t.to_client.state(gw)["oseq"], number, f"{name}: the standby's number")
    equal(len([p for p in left.stop().esp(out=True) if p.src in (c.VIP, c.VIP6, VIP2)]), 0, "packets that left the standby")
    c.drop_vip(standby)
    c.announce(c.active)
    c.lan.batch([f"route replace 10.2.0.0/24 via {LAN_GW}", f"route replace fd02::/64 via {LAN_GW6}"])


def failovers(c):
    fail_over_and_back(c)


# -- update, flush -----------------------------------------------------------------

def survives_a_crash(c, load, watch, what):
    """The last of a case: the active node dies, and all has flowed."""
    died = c.active
    ready(c, died)
    c.crash(died)
    equal(take_over(c, 3 - died), 0, "SAs in doubt")
    c.active = 3 - died
    load.flows(f"after {what} and a failover")
    return_zombie(c, died)
    load.stop()
    watch.judge()


def updated(c):
    """A state that is updated (as for a new address behind NAT) goes on where it was, also after a failover."""
    watch, load = Watch(c), Load(c, list(c.tunnels.values()), zombies=False)
    for name in ("AH, ESN", "BEET", "a mark", "if_id and an xfrm interface"):
        t = c.tunnels[name]
        was = t.to_client.state(c.gw[c.active])["oseq"]
        for gw in c.gw.values():
            gw.batch(t.states(True, "update"))
        check(t.to_client.state(c.gw[c.active])["oseq"] >= was, f"{name}: the number after an update")
    load.flows("after the update")
    survives_a_crash(c, load, watch, "the update")


def reinstalled(c, node):
    for t in c.tunnels.values():
        t.remove(c.gw[node])
        t.install(c.gw[node])


def flushed(c):
    """`ip xfrm state flush` on the standby is seen by the active; on the active, the same SAs that come again go on behind what was sent."""
    ready(c, c.active)
    standby = 3 - c.active
    watch, load = Watch(c), Load(c, list(c.tunnels.values()), zombies=False)
    load.flows("before the flush")
    c.gw[standby].ip("xfrm state flush")
    until(lambda: reasons(c, c.active), 10, "the active node says that SAs are missing")
    reinstalled(c, standby)
    ready(c, c.active)
    load.pause()        # the first packet of a state may be faster than who looks after it: a known limit
    c.gw[c.active].ip("xfrm state flush")
    reinstalled(c, c.active)
    load.go_on()
    load.flows("after the active's flush")
    survives_a_crash(c, load, watch, "both flushes")


def another_key(c):
    """What makes two states the same SA includes AH's key; what tells states of one kernel apart includes their marks."""
    t = made(40, proto="ah", alg="sha256")
    t.install(c.gw[1])
    t.to_gw.key = t.to_client.key = "0x" + "77" * 32
    t.install(c.gw[2])
    for node in c.gw:
        until(lambda: {sas(c, node)[s.spi]["state"] for s in (t.to_gw, t.to_client)} == {"key-mismatch"}, 10, f"node {node} sees that keys differ")
    for gw in c.gw.values():
        t.remove(gw)
    marked = [made(41, on_gateways="mark 1 mask 0xff"), made(41, on_gateways="mark 2 mask 0xff")]
    marked[1].to_gw.key = marked[1].to_client.key = "0x" + "99" * 20
    for gw in c.gw.values():
        for t in marked:
            t.install(gw)
    until(lambda: c.show(c.active, "sas") and len([s for s in c.show(c.active, "sas") if int(s["spi"], 16) == t.to_gw.spi]) == 2, 10, "both are followed")
    ready(c, c.active)
    for gw in c.gw.values():
        for t in marked:
            t.remove(gw)


# -- an SA for each CPU -------------------------------------------------------------

def for_each_cpu(c):
    """SAs with equal selectors (RFC 9611): which one a packet takes is the CPU's affair, each has numbers of its own, and all go on elsewhere."""
    cpus = range(os.cpu_count())
    tunnels = []
    for cpu in cpus:
        t = made(42, beyond=dict(attrs=lambda spi, out, cpu=cpu: {XFRMA_SA_PCPU: struct.pack("=I", cpu)} if out else {}), esn=True, window=128)
        t.to_gw.spi, t.to_client.spi = 0x2000 + 0x10 * cpu, 0x2001 + 0x10 * cpu
        t.to_gw.key = t.to_client.key = f"0x{cpu + 1:02x}" + "5c" * 19
        t.reqid = t.to_gw.reqid = t.to_client.reqid = 42
        tunnels.append(t)
    for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
        for t in tunnels:
            t.install(ns, gateway)
    until(lambda: all(t.to_client.spi in sas(c, n) for t in tunnels for n in c.gw), 10, "they are followed")
    watch = Watch(c)
    senders = [Sender(c.lan, near(42), PORT, rate=50, source=c.LAN) for _ in cpus]
    for sender, cpu in zip(senders, cpus):
        os.sched_setaffinity(sender.pid, {cpu})

    def flows(what):
        was = counts(c.client)
        until(lambda: all(counts(c.client)[t.to_client.spi][0] >= was[t.to_client.spi][0] + 20 for t in tunnels), 30, f"{what}: each CPU's SA carries packets")

    flows("before the crash")
    for _ in c.gw:
        died = c.active
        ready(c, died)
        c.crash(died)
        equal(take_over(c, 3 - died), 0, "SAs in doubt")
        c.active = 3 - died
        flows(f"after the crash of node {died}")
        return_zombie(c, died)
    for sender in senders:
        sender.stop()
    watch.judge()
    for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
        for t in tunnels:
            t.remove(ns, gateway)


# -- behind a NIC --------------------------------------------------------------------

def told(gw):
    """What its NIC was told: (number, how often, how often wrongly) of inbound and of outbound states."""
    stats = json.loads(sh(["ip", "-n", gw, "-s", "-j", "link", "show", "nic"]))[0]["stats64"]
    return tuple((stats[d]["bytes"], stats[d]["packets"], stats[d]["errors"]) for d in ("rx", "tx"))


def nics(c):
    module("espsync_nic")
    for gw in c.gw.values():
        gw.batch(["link add nic type espsync_nic", "link set nic up"])


def offloaded(c, number, packet=False, **kw):
    """On the gateways alone: a tunnel behind their NICs."""
    def attrs(ns):
        return lambda spi, out: {XFRMA_OFFLOAD_DEV: struct.pack("=iB3x", ns.index("nic"), (0 if out else 2) | (4 if packet else 0))}

    t = made(number, **kw)
    for gw in c.gw.values():
        t.beyond = dict(attrs=attrs(gw))
        t.install(gw)
    t.beyond = None
    return t


def behind_a_nic_that_ciphers(c):
    """Whatever moves an ESN counter but a packet is told to the NIC, which would go on in the old 2^32; a state without ESN is never told."""
    nics(c)
    near_edge = (1 << 32) - 2000
    t, plain = offloaded(c, 43, esn=True, window=256, extra=("replay-oseq", near_edge)), offloaded(c, 44)
    for some in (t, plain):
        some.install_client(c.client)
    active, standby = c.active, 3 - c.active
    ready(c, active)
    check(all("unprotected" != sas(c, n)[sa.spi]["state"] for n in c.gw for sa in (t.to_gw, t.to_client)), "crypto offload is protected")
    watch, load = Watch(c), Load(c, [t, plain], zombies=False)
    load.flows("behind NICs", packets=20)
    load.pause()
    until(lambda: streamed(c, [t, plain], active), 20, "all is streamed", step=0.2)

    def knows():
        (seq, merged, _), (oseq, raised, _) = told(c.gw[standby])
        return merged and raised and (seq, oseq) == (t.to_gw.state(c.gw[standby])["seq"], t.to_client.state(c.gw[standby])["oseq"])

    until(knows, 10, "the standby's NIC knows both numbers")
    numbers = told(c.gw[standby])[1][0], t.to_client.state(c.gw[active])["oseq"]
    check(numbers[0] > 1 << 32 > numbers[1], f"the standby's number, {numbers[0]:#x}, is in the next 2^32, the active's, {numbers[1]:#x}, is not")
    load.go_on()
    c.crash(active)
    equal(take_over(c, standby), 0, "SAs in doubt")
    c.active = standby
    load.flows("after the crash")
    return_zombie(c, active)
    load.stop()
    watch.judge()
    equal([wrong for gw in c.gw.values() for _, _, wrong in told(gw)], [0] * 4, "states that a NIC should not have been told of")
    for some in (t, plain):
        some.remove(c.client, False)
        for gw in c.gw.values():
            some.remove(gw)


def behind_a_nic_that_numbers(c):
    """xfrm has no way to read or write such a NIC's numbers: it is said that they are not protected, and the NIC is told nothing of what others count."""
    before = [told(gw) for gw in c.gw.values()]
    t = offloaded(c, 45, packet=True, esn=True, window=256)
    for node in c.gw:
        until(lambda: {sas(c, node).get(sa.spi, {}).get("state") for sa in (t.to_gw, t.to_client)} == {"unprotected"}, 10, f"node {node} shows them as unprotected")
    until(lambda: any("offloaded" in text for text in reasons(c, c.active).values()), 10, "ready says why")
    equal([told(gw) for gw in c.gw.values()], before, "what NICs were told")
    for gw in c.gw.values():
        t.remove(gw)
    ready(c, c.active)


main([followed_both_ways, standby_is_silent, failovers, updated, flushed, another_key, for_each_cpu, behind_a_nic_that_ciphers, behind_a_nic_that_numbers],
     setup)
