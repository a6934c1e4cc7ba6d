#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the counter group's stream, put into another node, replicates it; the wall clock may jump
# WHERE: uml
# SETS: timeout=300
"""
counters - replication over genetlink alone, and a wall clock set by an hour.

Job: gwa ends two SAs of a client that pings it. What gwa multicasts in `counter` goes through the tool into gwb, which has the same
SAs and never sees the traffic. gwb must then know what gwa knows: the same numbers, the same bits. The judge is not only what
gwb says: every ESP packet that the client sent is recorded and given to gwb, which must refuse those that gwa had accepted and
take those that gwa never got.

      client 192.0.2.100 ---o0   o0--- gwa 192.0.2.1 (some packets are dropped on the way, so that the window has holes)
                        \\---o1   o0--- gwb 192.0.2.1 (gets only what is injected)
                                     gwa, gwb: s0, 10.99.0.1 and .2
"""
import json
import os
import secrets
import signal
import socket
import subprocess
import time

from esptest import Ns, Tunnel, check, defer, equal, main, module, note, sh, spawn, state, until, veth, xfrm_stat

VIP, CLIENT = "192.0.2.1", "192.0.2.100"
WINDOW = 256
TUNNEL = Tunnel(CLIENT, VIP, mode="transport", window=WINDOW, esn=True)
IN, OUT = TUNNEL.to_gw, TUNNEL.to_client  # as seen from the gateways


def tool(ns, *args, stdin=None):
    return sh(["espsync", "-n", ns, *args], ok=None, stdin=stdin)


def done(ns, *args, stdin=None):
    """The output of a command that must succeed."""
    out = tool(ns, *args, stdin=stdin)
    equal((out.status, out.stderr), (0, ""), f"{ns}: espsync {' '.join(args)}")
    return out


def show(ns, what=""):
    return json.loads(done(ns, "-j", "show", *what.split()))


def get(ns, sa):
    return json.loads(done(ns, "-j", "sa", "get", "dst", sa.dst, "spi", hex(sa.spi)))


def accepted(ns):
    """Packets that the inbound SA has let in, by xfrm's own count."""
    return state(ns, IN.spi)["packets"]


def refused(ns):
    """Replays; with ESN what is older than the window is taken for a number 2^32 ahead, and fails authentication."""
    stat = xfrm_stat(ns)
    return stat["XfrmInStateSeqError"] + stat["XfrmInStateProtoError"]


class Lab:
    """The namespaces, what was recorded, and a way to play it to gwb."""

    def __init__(self):
        module()
        self.client, self.gwa, self.gwb = Ns("client"), Ns("gwa"), Ns("gwb")
        self.gateways = {1: self.gwa, 2: self.gwb}
        self.recorded = {}
        self._wires()
        self._channels()
        TUNNEL.install_client(self.client)
        for ns in self.gateways.values():
            TUNNEL.install(ns)
            until(lambda ns=ns: len(show(ns, "sas")) == 2, 10, f"{ns} knows both SAs")
        self.tap = self.client.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.tap.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        self.tap.bind(("o0", 3))
        self.out = self.client.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.out.bind(("o1", 0))

    def _wires(self):
        """Both gateways with one address and one MAC: a frame for the one is a frame for the other."""
        for dev, ns in (("o0", self.gwa), ("o1", self.gwb)):
            veth(self.client, dev, ns, "o0")
            ns.ip("link set o0 address 02:00:00:00:02:00")
            ns.address("o0", f"{VIP}/24")
        veth(self.gwa, "s0", self.gwb, "s0")
        self.client.address("o0", f"{CLIENT}/24")

    def _channels(self):
        key = f"/tmp/counters-key-{os.getpid()}"
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as f:
            f.write(secrets.token_hex(32))
        defer(os.unlink, key)
        for n, ns in self.gateways.items():
            ns.address("s0", f"10.99.0.{n}/24")
            # Slow clocks: what is looked for is an hour, not what a busy machine does to 300 ms.
            done(ns, "channel", "set", "node", str(n), "local", f"10.99.0.{n}", "psk-file", key, "dead_ms", "3000", "detect_ms", "3000",
                 "evict_ms", "10000")
            done(ns, "group", "set", "0", "addr", VIP)

    def record(self):
        """Every ESP frame that left the client for gwa since the last call, by its number."""
        self.tap.setblocking(False)
        while True:
            try:
                frame, meta = self.tap.recvfrom(2048)
            except BlockingIOError:
                return
            if meta[2] == socket.PACKET_OUTGOING and frame[12:14] == b"\x08\x00" and frame[23] == 50:
                self.recorded[int.from_bytes(frame[38:42], "big")] = frame

    def play(self, numbers):
        for n in numbers:
            self.out.send(self.recorded[n])

    def ping(self, count):
        """Answers may be missing: some requests are dropped on purpose."""
        self.client.sh(f"ping -q -i 0.002 -c {count} -W 1 {VIP}", ok=None)


def bits(sa):
    """Numbers that the window knows as seen."""
    edge, raw = int(sa["seq"]), bytes.fromhex(sa["bitmap"] or "")
    return {edge - i for i in range(min(len(raw) * 8, WINDOW)) if edge > i and raw[i // 8] >> i % 8 & 1}


def same(a, b):
    """Does b know what a knows?"""
    return (a["fingerprint"], a["seq"], bits(a), a["packets"], a["bytes"]) == (b["fingerprint"], b["seq"], bits(b), b["packets"], b["bytes"]) \
        and int(b["oseq"]) >= int(a["oseq"])


def agree(lab, sa, timeout=10):
    try:
        until(lambda: same(get(lab.gwa, sa), get(lab.gwb, sa)), timeout, "gwb knows what gwa knows")
    except AssertionError:
        note(f"gwa: {get(lab.gwa, sa)}")
        note(f"gwb: {get(lab.gwb, sa)}")
        raise


def the_stream_replicates(lab):
    """gwa's stream through two tools; some packets are dropped on the way to gwa, so that its window has holes."""
    lab.gwa.sh("nft 'add table netdev t; add chain netdev t c { type filter hook ingress device o0 priority 0; }; "
               "add rule netdev t c ip protocol esp numgen inc mod 7 == 3 drop'")
    source = spawn(["espsync", "-n", "gwa", "-j", "monitor", "counters"], stdout=subprocess.PIPE)
    sink = spawn(["espsync", "-n", "gwb", "sa", "put"], stdin=source.stdout, stderr=subprocess.PIPE, text=True)
    source.stdout.close()
    until(lambda: lab.ping(3) or int(get(lab.gwb, IN)["seq"]), 10, "the stream has begun")
    lab.ping(600)
    lab.gwa.sh("nft delete table netdev t")
    for sa in (IN, OUT):
        agree(lab, sa)
    source.send_signal(signal.SIGTERM)
    equal(source.wait(10), 0, "the monitor's exit after SIGTERM")
    err = sink.communicate(timeout=10)[1]
    equal((sink.returncode, err), (0, ""), "sa put at the end of its input")
    lab.record()
    a = get(lab.gwa, IN)
    check(int(a["seq"]) >= 600 and int(get(lab.gwa, OUT)["oseq"]) >= 400, "there was traffic")
    check(len(bits(a)) < WINDOW - WINDOW // 10, "the window has holes, else what follows could not fail")


def recorded_packets_judge_it(lab):
    """All that the client sent, new to gwb: it refuses what gwa had accepted and what is too old, and takes what gwa never got."""
    sa = get(lab.gwb, IN)
    seen, edge = bits(sa), int(sa["seq"])
    missing = {n for n in lab.recorded if edge - WINDOW < n <= edge and n not in seen}
    numbers = sorted(n for n in lab.recorded if n <= edge)
    check(len(numbers) > 500 and len(missing) > 10, f"{len(numbers)} recorded, {len(missing)} of them never got to gwa")
    errors, before = refused(lab.gwb), accepted(lab.gwb)
    lab.play(numbers)
    until(lambda: refused(lab.gwb) - errors + accepted(lab.gwb) - before == len(numbers), 10, "all are judged")
    equal(accepted(lab.gwb) - before, len(missing), "recorded packets that gwb took")


def gwb_goes_on(lab):
    """What comes next it takes, so refusing everything would not pass; and it sends above gwa's numbers."""
    last, before = int(get(lab.gwa, OUT)["oseq"]), accepted(lab.gwb)
    lab.client.ip(f"route replace {VIP}/32 dev o1 src {CLIENT}")
    try:
        lab.ping(20)
    finally:
        lab.client.ip(f"route del {VIP}/32")
    equal(accepted(lab.gwb) - before, 20, "new packets that gwb took")
    check(int(get(lab.gwb, OUT)["oseq"]) >= last + 20, "gwb sends above gwa's numbers")


def never_backwards(lab):
    """Old values, alone and in an array, lower nothing and clear no bit; the same edge without bits neither."""
    new = [get(lab.gwb, sa) for sa in (IN, OUT)]
    clear = "00" * (WINDOW // 8)
    old = [{**sa, "seq": "1", "oseq": "1", "bitmap": clear, "packets": "0", "bytes": "0"} for sa in new]
    for text in ("\n".join(map(json.dumps, old)), json.dumps(old), json.dumps({**new[0], "bitmap": clear})):
        done(lab.gwb, "sa", "put", stdin=text)
    equal([get(lab.gwb, sa) for sa in (IN, OUT)], new, "after old values were put")


def what_is_refused(lab):
    """Unknown SA 1, other fingerprint 3; an array with one such changes nothing at all."""
    sa = get(lab.gwb, IN)
    more = {**sa, "seq": str(int(sa["seq"]) + 1000)}
    unknown, other = {**more, "spi": "0x7777"}, {**more, "fingerprint": "00" * 8}
    for text, want in (([unknown], 1), ([other], 3), ([more, unknown], 1), ([more, other], 3)):
        out = tool(lab.gwb, "sa", "put", stdin=json.dumps(text))
        check(out.status == want and out.stderr.startswith("espsync: sa put: "), f"exit {want}, not {out.status}: {out.stderr}")
        equal(get(lab.gwb, IN), sa, "after a refused put")


def settled(lab):
    """What may not change when the wall clock does."""
    found = []
    for ns in lab.gateways.values():
        found += [(g["role"], g["epoch"], g["owner"], g["takeover"], g["in"]) for g in show(ns, "groups")]
        found += [(p["node"], p["state"], p["sas_synced"]) for p in show(ns, "peers")]
        found.append([r["reason"] for r in json.loads(tool(ns, "-j", "ready"))["reasons"]])
    return found


def in_sync(lab):
    a, b = (show(ns, "peers")[0] for ns in lab.gateways.values())
    return a["state"] == b["state"] == "up" and a["sas_synced"] == a["sas_total"] > 0 and show(lab.gwb, "groups")[0]["in"]


def set_wall_clock(step):
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + step)


def the_wall_clock_jumps(lab):
    """Joined over the channel, under traffic: an hour forwards, two back and one forwards are nothing."""
    for n, ns in lab.gateways.items():
        done(ns, "peer", "add", str(3 - n), f"10.99.0.{3 - n}")
    done(lab.gwb, "demote")
    check(done(lab.gwa, "promote").startswith("active"), "promote says active")
    until(lambda: in_sync(lab), 20, "gwa and gwb are in sync")
    before, stalls = settled(lab), show(lab.gwa, "stats")["stalls"]
    for step in (3600, -7200, 3600):
        events = spawn(["espsync", "-n", "gwb", "-j", "monitor"], stdout=subprocess.PIPE, text=True)
        at = int(get(lab.gwa, IN)["seq"])
        set_wall_clock(step)
        lab.ping(300)
        check(int(get(lab.gwa, IN)["seq"]) >= at + 300, "traffic goes on")
        until(lambda: get(lab.gwb, IN)["seq"] == get(lab.gwa, IN)["seq"], 10, "gwb follows")
        events.send_signal(signal.SIGTERM)
        seen = map(json.loads, events.communicate(timeout=10)[0].splitlines())
        # That it has become ready is found once a second, so also a moment after it was so here.
        equal([e for e in seen if e["text"] != "a failover would lose nothing"], [], f"events when the clock is set by {step} s")
        equal(settled(lab), before, f"what the clock may not change, set by {step} s")
    equal(show(lab.gwa, "stats")["stalls"], stalls, "SAs that were stopped")


main([the_stream_replicates, recorded_packets_judge_it, gwb_goes_on, never_backwards, what_is_refused, the_wall_clock_jumps], Lab)
