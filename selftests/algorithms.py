#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a failover with every anti-replay shape, mode, encapsulation and kind of algorithm; counters near their ends
# WHERE: uml-fast qemu
# SETS: timeout=400
"""
algorithms - what espsync does not look at must not matter to it.

All variants run at once in one cluster, each with an inner address of its own, and are taken over together. Each must go on both
ways, repeat no number, have nothing refused at the client, and refuse what its dead owner had accepted.
"""
from esptest import *
from failover import *
from variants import fail_over_and_back

VIP2, CLIENT2 = "192.0.2.2", "192.0.2.101"     # of the tunnels in transport mode, whose policies cover their whole addresses
VIP3, CLIENT3 = "192.0.2.3", "192.0.2.102"
NEAR_EDGE, NEAR_END = 8, 9      # inner addresses of the last two cases
VARIANTS = {
    "ESN, window 1024, AES-GCM": dict(esn=True, window=1024),
    "ESN, window 64, ChaCha20-Poly1305": dict(esn=True, window=64, alg="chacha"),
    "ESN, window 96 (no power of two), AES-CBC with SHA-512": dict(esn=True, window=96, alg="cbc-sha512"),
    "legacy window 32, AES-CBC with SHA-256": dict(alg="cbc-sha256"),
    "legacy window 32, ChaCha20-Poly1305": dict(alg="chacha"),
    "BMP, window 128 without ESN, AES-GCM": dict(window=128),
    "NAT traversal, legacy, AES-GCM-256": dict(alg="gcm256", encap=(4500, 4500)),
    "NAT traversal, ESN, ChaCha20-Poly1305": dict(esn=True, window=1024, alg="chacha", encap=(4500, 4500)),
    "IPv6, ESN, window 1024, AES-GCM": dict(v6=True, esn=True, window=1024),
    "IPv6, legacy window 32, AES-CBC with SHA-256": dict(v6=True, alg="cbc-sha256"),
    "transport mode, ESN, AES-GCM": dict(mode="transport", ends=(CLIENT2, VIP2), esn=True, window=256),
    "transport mode, legacy, AES-CBC with SHA-256": dict(mode="transport", ends=(CLIENT3, VIP3), alg="cbc-sha256"),
}


def inner(number, v6):
    return f"fd02::{number:x}" if v6 else f"10.2.0.{number}"


def more_addresses(c):
    """An inner address per variant, and the outer ones of transport mode, on whoever has the group's address."""
    lines = {v6: [inner(i, v6) for i, v in enumerate(VARIANTS.values(), 10) if bool(v.get("v6")) == v6] for v6 in (False, True)}
    lines[False] += [inner(NEAR_EDGE, False), inner(NEAR_END, False)]
    c.client.batch([f"addr add {a}/32 dev lo" for a in lines[False]] + [f"addr add {a}/128 dev lo nodad" for a in lines[True]] +
                   [f"addr add {a}/32 dev lo" for a in (CLIENT2, CLIENT3)])
    for gw in c.gw.values():
        gw.batch([f"route add {a}/32 via {c.CLIENT} dev out" for a in (*lines[False], CLIENT2, CLIENT3)] +
                 [f"route add {a}/128 via {c.CLIENT6} dev out" for a in lines[True]] +
                 # Only the active node is sent anything for these, so both may have them.
                 [f"addr add {a}/32 dev lo" for a in (VIP2, VIP3)])
    c.client.batch([f"route add {v}/32 via {c.VIP} dev out src {a}" for v, a in ((VIP2, CLIENT2), (VIP3, CLIENT3))])
    for n in c.gw:
        c.espsync(n, f"group set 0 addr {c.VIP} {c.VIP6} {VIP2} {VIP3}")


def tunnel(c, number, spi, v6=False, ends=None, **kw):
    if not ends:
        return c.tunnel(v6, spi=spi, inner=(f"{inner(number, v6)}/{128 if v6 else 32}", "fd01::/64" if v6 else "10.1.0.0/24"), **kw)
    t = Tunnel(*ends, spi=spi, **kw)
    t.install_client(c.client)
    for gw in c.gw.values():
        t.install(gw)
    return t


def failovers(c):
    fail_over_and_back(c)


def setup():
    module()
    c = Cluster()
    for ns in (c.client, *c.gw.values()):
        encap_socket(ns)
    c.start()
    set_times(c, detect_ms=2000, evict_ms=60000)
    more_addresses(c)
    c.tunnels = {name: tunnel(c, i, 0x1000 + 0x10 * i, **how) for i, (name, how) in enumerate(VARIANTS.items(), 10)}
    c.active = 1
    ready(c, 1)
    return c


def cross_the_edge(c):
    """ESN: both directions a little below 2^32 before the failover, above it after; low halves alone would go backwards."""
    edge = 1 << 32
    t = Tunnel(c.CLIENT, c.VIP, inner=(f"{inner(NEAR_EDGE, False)}/32", "10.1.0.0/24"), spi=0x3000, esn=True, window=1024,
               extra=("replay-seq", edge - 1000, "replay-oseq", edge - 1000))
    ready(c, c.active)
    t.install_client(c.client)
    for gw in c.gw.values():
        t.install(gw)
    until(lambda: t.to_client.spi in sas(c, c.active), 10, "the new SA is followed")
    caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
    replays = lost_replay(c)
    load = Load(c, [t], rate=100, zombies=False)
    load.flows("below the edge", packets=50)
    died = c.active
    load.pause(c.client)
    low = t.to_gw.state(c.gw[died])["seq"]
    check(edge - 1000 < low < edge, f"the window's edge is at {low:#x} before the failover")
    until(lambda: streamed(c, [t], died), 20, "all is streamed", step=0.2)
    c.crash(died)
    equal(take_over(c, 3 - died), 0, "SAs in doubt")
    c.active = 3 - died
    load.go_on()
    load.flows("across the edge", packets=50)
    # The client's own numbers cross it with packets, the gateway's with the jump of the takeover.
    t.to_gw.set_oseq(c.client, edge - 3)
    load.flows("across the edge, both ways", packets=50)
    high = t.to_gw.state(c.gw[c.active])["seq"]
    check(high > edge, f"the window's edge is at {high:#x} after the client went across")
    until(lambda: int(sas(c, c.active)[t.to_client.spi]["oseq"]) > edge, 5, "the gateway's number is above the edge")
    return_zombie(c, died)
    ready(c, c.active)
    until(lambda: sas(c, died)[t.to_gw.spi]["seq"] is not None and int(sas(c, died)[t.to_gw.spi]["seq"]) > edge, 10,
          "the node that returned knows the upper half")
    load.stop()
    check(not sent_twice(c, caps.values()), "numbers were sent twice")
    equal(lost_replay(c) - replays, 0, "packets that the client refused as replays")


def refused_sends(c):
    return sum(n for name, n in xfrm_stat(c.gw[c.active]).items() if name.startswith("XfrmOut"))


def end_of_32_bits(c):
    """Without ESN: near its end espsync asks for a rekey and never wraps, whatever is sent and however often it is taken over."""
    last, left = (1 << 32) - 1, GSO_MAX + 250       # one packet may take GSO_MAX, so the last of them are never used
    t = Tunnel(c.CLIENT, c.VIP, inner=(f"{inner(NEAR_END, False)}/32", "10.1.0.0/24"), spi=0x4000)
    t.to_client.extra = ("replay-oseq", last - left, "replay-seq", last - left)
    ready(c, c.active)
    events = Events(c, c.active)
    caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
    t.install_client(c.client)
    for gw in c.gw.values():
        t.install(gw)
    until(lambda: t.to_client.spi in sas(c, c.active), 10, "the new SA is followed")
    load = Load(c, [t], rate=100, zombies=False)
    until(lambda: len(caps[c.active].esp(t.to_client.spi, out=True)) > 100, 20, "the last packets")
    died = c.active
    c.crash(died)
    take_over(c, 3 - died)
    c.active = 3 - died
    before = refused_sends(c)
    until(lambda: refused_sends(c) > before + 50, 20, "sends that the heir refuses: no number is left")
    return_zombie(c, died)
    load.stop()
    told = events.stop()
    check(("rekey-needed", t.to_client.spi) in told, f"no rekey-needed for {t.to_client.spi:#x} in {told}")
    sent = [p.seq for cap in caps.values() for p in cap.esp(t.to_client.spi, out=True)]
    note(f"{len(sent)} packets sent, the last number {max(sent, default=0):#x}")
    check(all(n > last - left for n in sent), "the counter wrapped")
    check(not sent_twice(c, caps.values()), "numbers were sent twice")


main([failovers, cross_the_edge, end_of_32_bits], setup)
