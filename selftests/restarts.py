#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: channels, module, namespaces, SAs and roles come and go under traffic: nothing crashes, leaks or repeats, and others pay nothing
# WHERE: uml +qemu
# SETS: timeout=420
"""
restarts - what may be taken away and brought back under a running tunnel, without IKE.

Job: traffic flows both ways through a tunnel made by hand while things are deleted and made anew. Judged are: the numbers captured at both
gateways' outer devices (none twice, but for the one that a re-added SA may repeat), what `ready` says meanwhile and in the
end, what is left of the module, and what namespaces pay that have nothing to do with it.
What may not enter: charon and espsyncd, whose restarts are another test's.
"""
import json
import os
import secrets
import select
import socket
import struct
import time

from esptest import *
from esptest.system import unload

SPI = 0x1000
LEASE_MIN = 1 << 20
READDS = 12
XFRM_MSG_NEWAE, XFRM_MSG_GETAE, XFRMGRP_AEVENTS = 0x1e, 0x1f, 1 << 4
XFRM_AE_RTHR, XFRM_AE_ETHR, XFRMA_REPLAY_THRESH, XFRMA_ETIMER_THRESH = 1, 8, 11, 12


def setup():
    module()
    c = Cluster()
    c.t = c.tunnel(spi=SPI)
    c.start(active=1)
    c.to_lan, c.to_client = Receiver(c.lan, c.LAN), Receiver(c.client, c.INNER)
    c.senders = [Sender(c.client, c.LAN, rate=40, source=c.INNER), Sender(c.lan, c.INNER, rate=40)]
    flowing(c)
    return c


def flowing(c, packets=20):
    """Both ways, from now on."""
    marks = [(r, r.count) for r in (c.to_lan, c.to_client)]
    until(lambda: all(r.count - n >= packets for r, n in marks), 10, "traffic both ways")


def reasons(c, node):
    return [r["reason"] for r in json.loads(c.espsync(node, "-j ready", ok=None))["reasons"]]


def ready(c):
    before = reasons(c, 1), reasons(c, 2)
    try:
        until(lambda: not reasons(c, 1) + reasons(c, 2), 15, "both nodes ready")
    except AssertionError as e:
        raise AssertionError(f"{e}: {before} before, {[c.espsync(n, '-j ready', ok=None) for n in (1, 2)]} now") from None


def role(c, node):
    return c.show(node, "groups")[0]["role"]


def threads():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as f:
                name = f.read().strip()
        except OSError:
            continue
        if name.startswith("espsync/"):
            found.append(name)
    return sorted(found)


class Recording:
    """Every number that leaves a gateway within the block; none may be there twice."""

    def __init__(self, c, allowed=lambda found: not found):
        self.c, self.allowed = c, allowed

    def __enter__(self):
        self.caps = [Capture(gw, "out") for gw in self.c.gw.values()]
        self.errors, self.readds = self.counted()
        return self

    def counted(self):
        """Refused by the client; and first packets of SAs added again that may have repeated a number, perhaps one of before this block."""
        shown = [self.c.espsync(n, "-j show stats", ok=None) for n in self.c.gw]
        return (xfrm_stat(self.c.client)["XfrmInStateSeqError"],
                sum(int(json.loads(s)["readd_window"]) for s in shown if s.status == 0))

    def __exit__(self, kind, *_):
        if kind:
            return
        for cap in self.caps:
            cap.stop()
        check(sum(len(cap.esp(SPI + 1, out=True)) for cap in self.caps) > 50, "there was traffic to judge")
        # A gateway without the address forwards what the client sends to it: those numbers are the client's.
        found = {k: v for k, v in repeats(self.caps).items() if k[0] == SPI + 1}
        check(self.allowed(found), f"numbers sent twice: {sorted(k[2] for k in found)[:20]} ({len(found)} in all)")
        errors, readds = self.counted()
        refused, may = errors - self.errors, max(0, readds - self.readds)
        check(refused <= len(found) + may, f"the client refused {refused} packets as replays, {may} by SAs added again")


def a_channel_anew_on_either_node(c):
    with Recording(c):
        for node in (2, 1):
            c.espsync(node, "channel del")
            until(lambda: reasons(c, 3 - node), 5, f"ready on the other node says what is missing without node {node}")
            flowing(c)
            c.configure(node)
            if node == 1:       # the unit derives it from the address
                c.espsync(1, "promote")
            until(lambda: role(c, 2) == "standby", 5, "gw2 hears an active peer")
            ready(c)
            flowing(c)
        c.fail_over(2)
        flowing(c)
        c.fail_over(1)
        flowing(c)
        ready(c)


def the_key_is_given_again(c):
    """As the unit does when it is reloaded: nothing is let go of, no session begins anew."""
    def granted():
        return {s["spi"]: (s["ceiling"], s["state"]) for s in c.show(1, "sas") if s["dir"] == "out"}

    def refused():
        return [c.show(n, "peers")[0]["dropped"] for n in c.gw]

    with Recording(c):
        before, drops = granted(), refused()
        for _ in range(8):
            c.espsync(1, f"channel set node 1 local {c.SYNC[1]} psk-file {c.key_file()}")
            equal((granted(), c.peer_state(1), reasons(c, 1)), (before, "up", []), "ceilings, peer and readiness right after")
        flowing(c)
        equal(refused(), drops, "datagrams that either side refused")


def the_module_anew_for_both(c):
    with Recording(c):
        unload()
        flowing(c)
        sh("modprobe espsync")
        for node in (1, 2):
            c.configure(node)
        check(reasons(c, 2), "ready says that something is missing")
        c.espsync(1, "promote")
        until(lambda: role(c, 2) == "standby", 5, "gw2 hears an active peer")
        ready(c)
        c.fail_over(2)
        flowing(c)
        c.fail_over(1)
        flowing(c)


def out_and_in_quickly(c):
    """Eight times: away with peers up or half up, under traffic."""
    lines = ["set -e"]
    for i in range(8):
        lines += ["rmmod espsync", "modprobe espsync"]
        for node in (1, 2):
            lines += [f"espsync -n gw{node} channel set node {node} local 10.99.0.{node} psk-file {c.key_file()}",
                      f"espsync -n gw{node} peer add {3 - node} 10.99.0.{3 - node}",
                      f"espsync -n gw{node} group set 0 addr {c.VIP} {c.VIP6}"]
        lines += ["espsync -n gw1 promote >/dev/null"]
        if i % 4 == 0:
            lines += ["for i in $(seq 100); do espsync -n gw1 ready >/dev/null && break; sleep 0.05; done"]
        lines += ["read -r _ _ refs rest < <(grep ^espsync /proc/modules); [ $refs = 0 ] || { echo references: $refs >&2; exit 1; }"]
    with Recording(c):
        flowing(c)
        sh("\n".join(lines), timeout=240)
        equal(threads(), ["espsync/1", "espsync/2"], "threads")
        flowing(c)
    until(lambda: role(c, 2) == "standby", 5, "gw2 hears an active peer")
    ready(c)


def a_namespace_goes(_):
    """With its channel up and its traffic flowing, the standby's and then the active one's."""
    x = Cluster("x")
    x.tunnel(spi=0x7000)
    x.start(active=1)
    receiver = Receiver(x.lan, x.LAN)
    sender = Sender(x.client, x.LAN, rate=200, source=x.INNER)
    until(lambda: receiver.count > 20, 10, "traffic in the other cluster")
    equal(len(threads()), 4, "threads of two clusters")
    x.gw2.delete()
    until(lambda: len(threads()) == 3, 20, "the standby's thread goes with its namespace")
    until(lambda: reasons(x, 1), 5, "ready says what is missing")
    before = receiver.count
    until(lambda: receiver.count - before > 20, 10, "traffic in the other cluster")
    x.gw1.delete()
    until(lambda: len(threads()) == 2, 20, "the active one's thread goes with its namespace")
    until(lambda: "gw" not in x.br.ip("-o link show"), 20, "their devices are gone")
    sender.stop()
    receiver.stop()


def renewed(c):
    """Another SA towards the client, with the old one's SPI."""
    sa = c.t.to_client
    sa.key = "0x" + secrets.token_hex(20)
    for ns in (c.client, c.gw2, c.gw1):
        sa.delete(ns)
        sa.add(ns)


def a_reused_spi_starts_at_1(c):
    """The number belongs to the key, not to the SPI."""
    sa = c.t.to_client
    high = state(c.gw1, sa.spi)["oseq"]
    check(high > 100, f"the old SA has numbers to inherit ({high})")
    cap = Capture(c.gw1, "out")
    renewed(c)
    until(lambda: len([p for p in cap.esp(sa.spi, out=True) if p.seq < 1000]) > 20, 10, "packets of the new SA")
    numbers = [p.seq for p in cap.stop().esp(sa.spi, out=True)]
    first = next(i for i, (a, b) in enumerate(zip(numbers, numbers[1:])) if b < a) + 1
    equal(numbers[first:first + 10], list(range(1, 11)), "numbers of the new SA")
    flowing(c)
    ready(c)


def events_of(c, node):
    """A reader of a node's events; told() is what came so far."""
    proc = spawn(["espsync", "-n", str(c.gw[node]), "-j", "monitor", "events"], stdout=-1, bufsize=0)
    told = []

    def read():
        while select.select([proc.stdout], [], [], 0)[0] and (data := os.read(proc.stdout.fileno(), 65536)):
            told.append(data.decode())
        return [json.loads(line)["event"] for line in "".join(told).split("\n")[:-1]]

    return proc, read


def a_wrong_key_is_named(c):
    right, sa = c.t.to_client.key, c.t.to_client
    proc, told = events_of(c, 2)
    # Something that makes an event until the monitor is known to listen.
    until(lambda: c.espsync(2, "resync") is not None and c.espsync(1, "resync") is not None and (told() or True), 1)
    sa.delete(c.gw2)
    sa.key = "0x" + "66" * 20
    sa.add(c.gw2)
    until(lambda: "key-mismatch" in reasons(c, 1), 10, "ready on gw1 says key-mismatch")
    until(lambda: "key-mismatch" in told(), 5, f"gw2's event key-mismatch ({told()})")
    check("key-mismatch" in [s["state"] for s in c.show(2, "sas")], "show sas on gw2 says key-mismatch")
    check(c.espsync(2, "ready", ok=None).status == 1, "gw2 is not ready")
    flowing(c)
    sa.delete(c.gw2)
    sa.key = right
    sa.add(c.gw2)
    ready(c)
    check("key-mismatch" not in [s["state"] for n in (1, 2) for s in c.show(n, "sas")], "no key-mismatch any more")
    proc.terminate()


def readd(ns, sa):
    """As charon does when an address changes: read the counters, delete, add with what was read. Returns what was read."""
    s = state(ns, sa.spi, sa.dst)
    lines = [["delete", *sa.id()], ["add", *sa.words(), "replay-seq", s["seq"], "replay-oseq", s["oseq"]]]
    sh(["ip", "-n", ns, "-batch", "-"], stdin="".join(f"xfrm state {' '.join(map(str, line))}\n" for line in lines).replace(
        "rfc4106(gcm(aes))", '"rfc4106(gcm(aes))"'))
    return s


def an_sa_added_again_repeats_at_most_one_number(c):
    sender = Sender(c.lan, c.INNER, port=7001, rate=100)

    def few(found):
        numbers = sorted(k[2] for k in found)
        note(f"{len(numbers)} numbers repeated by {READDS} SAs added again")
        return len(numbers) <= READDS and all(len(v) == 2 for v in found.values()) and \
            all(b - a > 1 for a, b in zip(numbers, numbers[1:]))

    with Recording(c, few):
        stale = 0
        for i in range(READDS):
            stale += readd(c.gw1, c.t.to_client)["oseq"] < c_oseq(c, 1)
            if i % 10 == 0:
                edge = readd(c.gw1, c.t.to_gw)["seq"]
                check(state(c.gw1, SPI)["seq"] >= edge, "the window of an SA added again does not fall")
            if i % 5 == 0:
                before = readd(c.gw2, c.t.to_client)["oseq"]
                check(c_oseq(c, 2) >= before, f"the standby's number does not fall: {c_oseq(c, 2)} after {before}")
        check(stale > READDS // 2, f"numbers went on between read and add ({stale} of {READDS})")
        ready(c)
        c.fail_over(2)
        flowing(c)
        c.fail_over(1)
        flowing(c)
    sender.stop()


def c_oseq(c, node):
    return state(c.gw[node], SPI + 1)["oseq"]


def a_flush_on_either_node(c):
    sas = (c.t.to_gw, c.t.to_client)
    with Recording(c):
        flowing(c, 40)
        c.gw2.sh("ip xfrm state flush")
        until(lambda: "sa-missing" in reasons(c, 1), 5, "ready on gw1 says sa-missing")
        for sa in sas:
            sa.add(c.gw2)
        ready(c)
        before = c_oseq(c, 1)
        c.gw1.sh("ip xfrm state flush")
        for sa in sas:
            sa.add(c.gw1)
        flowing(c, 40)
        check(c_oseq(c, 1) > before, "an SA added again after a flush goes on above its numbers")
        ready(c)
        c.fail_over(2)
        flowing(c)
        c.fail_over(1)
        flowing(c)


def roles_change_quickly(c):
    with Recording(c):
        before = c_oseq(c, 1)
        sh("for i in $(seq 30); do espsync -n gw1 demote timeout 50 >/dev/null; espsync -n gw1 promote >/dev/null || exit 1; done",
           timeout=120)
        equal((role(c, 1), role(c, 2)), ("active", "standby"), "roles")
        flowing(c, 50)
        ready(c)
        skipped = c_oseq(c, 1) - before
        check(skipped < 30 * 3 * 3 * LEASE_MIN, f"{skipped} numbers skipped by 30 promotions: not without bound")
    # Both at once: whoever is last stays, and nobody else. Where neither heard the other in time, both were active for a moment: that is named.
    proc, told = events_of(c, 1)
    sh("for n in 1 2; do (for i in $(seq 10); do espsync -n gw$n promote >/dev/null; done; :) & done; wait", timeout=120)
    until(lambda: sorted((role(c, 1), role(c, 2))) == ["active", "standby"], 5, "exactly one active node")
    c.fail_over(1)
    flowing(c)
    if "stale" in told():
        note("both were active at a time, and it was told")
        renewed(c)
    proc.terminate()
    ready(c)


def thresholds(ns, sa):
    """(XFRMA_REPLAY_THRESH, XFRMA_ETIMER_THRESH) of a state, with XFRM_MSG_GETAE."""
    family = socket.AF_INET
    dst, src = (socket.inet_pton(family, a).ljust(16, b"\0") for a in (sa.dst, sa.src))
    body = dst + struct.pack("!I", sa.spi) + struct.pack("=HBx", family, 50) + src + struct.pack("=II", XFRM_AE_RTHR | XFRM_AE_ETHR, 0)
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), XFRM_MSG_GETAE, 1, 1, 0) + body)
        reply = sock.recv(4096)
    equal(struct.unpack_from("=H", reply, 4)[0], XFRM_MSG_NEWAE, "xfrm's answer")
    found, at = {}, 16 + len(body)
    while at + 8 <= len(reply):
        size, kind = struct.unpack_from("=HH", reply, at)
        found[kind] = struct.unpack_from("=I", reply, at + 4)[0]
        at += (size + 3) & ~3
    return found[XFRMA_REPLAY_THRESH], found[XFRMA_ETIMER_THRESH]


def defaults(ns):
    return tuple(map(int, ns.sh("sysctl -n net.core.xfrm_aevent_rseqth net.core.xfrm_aevent_etime").split()))


def others_pay_nothing(c):
    """The client is such another: SAs of its own and no channel. xfrm's listeners are machine-wide, so it would raise an event per packet."""
    late = Sa("10.2.0.1", "10.2.0.99", 0x8001)
    with c.client.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6) as events:
        events.bind((0, XFRMGRP_AEVENTS))
        events.setblocking(False)
        late.add(c.client)
        fresh = Ns("fresh")
        equal((thresholds(c.client, c.t.to_gw), thresholds(c.client, c.t.to_client), thresholds(c.client, late)), ((0, 0),) * 3,
              "thresholds of the client's SAs while there are channels")
        equal((defaults(c.client), defaults(fresh)), ((0, 0),) * 2, "defaults elsewhere while there are channels")
        count(events)
        flowing(c, 100)
        equal(count(events), 0, "events that the client's SAs raised")
        # One of two channels goes: its SAs are others' too from now on.
        c.espsync(1, "channel del")
        equal(thresholds(c.gw1, c.t.to_client), (0, 0), "thresholds of gw1's SA while gw2 has a channel")
        equal(defaults(c.gw1), (0, 0), "defaults of gw1 while gw2 has a channel")
        flowing(c, 50)
        equal(count(events), 0, "events that the client's SAs raised")
        c.espsync(2, "channel del --release")
        for ns, sa in ((c.client, c.t.to_gw), (c.client, late), (c.gw1, c.t.to_client), (c.gw1, c.t.to_gw), (c.gw2, c.t.to_client)):
            equal(thresholds(ns, sa), (2, 10), f"thresholds of {ns}'s SA {sa.spi:#x} after the last channel")
        for ns in (c.client, c.gw1, c.gw2, fresh):
            equal(defaults(ns), (2, 10), f"defaults of {ns} after the last channel")
        flowing(c, 20)
        check(count(events) > 10, "and then it raises events again")
        late.delete(c.client)


def count(events):
    n = 0
    while True:
        try:
            data = events.recv(65536)
        except BlockingIOError:
            return n
        n += struct.unpack_from("=H", data, 4)[0] == XFRM_MSG_NEWAE


def nothing_leaks(c):
    """After all that: everything made once more, taken away, and looked for."""
    c.configure(1), c.configure(2)
    c.espsync(1, "promote")
    ready(c)
    for s in c.senders:
        s.stop()
    unload()
    equal(threads(), [], "threads")
    c.t.remove(c.gw1), c.t.remove(c.gw2)
    leaks = "/sys/kernel/debug/kmemleak"
    if not os.access(leaks, os.W_OK):
        note("no kmemleak in this kernel: the module could be unloaded, its threads are gone, more is not judged")
        return
    for wait in (6, 0):     # kmemleak reports nothing younger than 5 s
        with open(leaks, "w") as f:
            f.write("scan\n")
        time.sleep(wait)
    with open(leaks) as f:
        text = f.read()
    found = [b for b in text.split("unreferenced object")[1:] if "espsync" in b or "xfrm" in b or "es_" in b]
    check(not found, f"{len(found)} leaked objects, the first: {found[:1]}")


main([a_channel_anew_on_either_node, the_key_is_given_again, the_module_anew_for_both, out_and_in_quickly, a_namespace_goes, a_reused_spi_starts_at_1,
      a_wrong_key_is_named, an_sa_added_again_repeats_at_most_one_number, a_flush_on_either_node, roles_change_quickly,
      others_pay_nothing, nothing_leaks], setup)
