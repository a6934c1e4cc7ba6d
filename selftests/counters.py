#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the counter group's stream, put into another node, replicates it; the wall clock may jump
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
import ctypes
import json
import os
import socket
import subprocess
import tempfile
import time

from esptest import kmod, ktap

KEY = "3c" * 32
SPI_IN, SPI_OUT = 0x1001, 0x2001  # as seen from the gateways
VIP, CLIENT = "192.0.2.1", "192.0.2.100"
WINDOW = 256
NETNS = ("client", "gwa", "gwb")


def sh(line):
    p = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert p.returncode == 0, f"{line}: {p.stdout}{p.stderr}"
    return p.stdout


def tool(ns, *args, stdin=None):
    p = subprocess.run(["espsync", "-n", ns, *args], capture_output=True, text=True, timeout=30, input=stdin, check=False)
    return p.returncode, p.stdout, p.stderr


def get(ns, spi):
    rc, out, err = tool(ns, "-j", "sa", "get", "dst", VIP if spi == SPI_IN else CLIENT, "spi", hex(spi))
    assert rc == 0, err
    return json.loads(out)


def until(what, check, seconds=10):
    """Poll a state."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)


def seq_errors(ns):
    for line in sh(f"ip netns exec {ns} cat /proc/net/xfrm_stat").splitlines():
        name, value = line.split()
        if name == "XfrmInStateSeqError":
            return int(value)
    raise AssertionError("no XfrmInStateSeqError")


def accepted(ns):
    """Packets that the inbound SA has let in, by xfrm's own count."""
    out = sh(f"ip -n {ns} -s xfrm state get src {CLIENT} dst {VIP} proto esp spi {SPI_IN:#x}")
    words = out[out.index("lifetime current:"):].split()
    return int(words[words.index("lifetime") + 3].strip("(packets),"))


def make_sas(ns, gateway):
    aead = "aead 'rfc4106(gcm(aes))' 0x" + "11" * 20 + " 128"
    for src, dst, spi in ((CLIENT, VIP, SPI_IN), (VIP, CLIENT, SPI_OUT)):
        sh(f"ip -n {ns} xfrm state add src {src} dst {dst} proto esp spi {spi:#x} reqid 1 mode transport "
           f"replay-window {WINDOW} flag esn {aead}")
        outbound = (src == VIP) == gateway
        sh(f"ip -n {ns} xfrm policy add src {src} dst {dst} dir {'out' if outbound else 'in'} tmpl proto esp reqid 1 mode transport")


def setup():
    for ns in NETNS:
        sh(f"ip netns add {ns} && ip -n {ns} link set lo up")
    for mine, ns in (("o0", "gwa"), ("o1", "gwb")):
        sh(f"ip link add {mine} netns client address 02:00:00:00:01:00 type veth peer name o0 netns {ns} address 02:00:00:00:02:00")
        sh(f"ip -n {ns} addr add {VIP}/24 dev o0 && ip -n {ns} link set o0 up && ip -n client link set {mine} up")
    sh(f"ip -n client addr add {CLIENT}/24 dev o0")
    sh("ip link add s0 netns gwa type veth peer name s0 netns gwb")
    with tempfile.NamedTemporaryFile("w") as key:
        key.write(KEY)
        key.flush()
        for node, ns in ((1, "gwa"), (2, "gwb")):
            sh(f"ip -n {ns} addr add 10.99.0.{node}/24 dev s0 && ip -n {ns} link set s0 up")
            rc, _, err = tool(ns, "channel", "set", "node", str(node), "local", f"10.99.0.{node}", "psk-file", key.name)
            assert rc == 0, err
    for ns in NETNS:
        make_sas(ns, ns != "client")
    for ns in NETNS[1:]:
        until(f"{ns} knows both SAs", lambda ns=ns: len(json.loads(tool(ns, "-j", "show", "sas")[1])) == 2)


def teardown():
    for ns in NETNS:
        subprocess.run(["ip", "netns", "del", ns], capture_output=True, check=False)


class Recorder:
    """Every ESP frame that leaves the client towards gwa."""

    def __init__(self):
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        with open("/run/netns/client", "rb") as ns:
            setns(ns.fileno())
            self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.tap.bind(("o0", 3))
            self.tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.out.bind(("o1", 0))
        setns(own)
        os.close(own)

    def frames(self):
        """What was recorded since the last call, as {number: frame}."""
        found = {}
        self.tap.setblocking(False)
        while True:
            try:
                frame, meta = self.tap.recvfrom(2048)
            except BlockingIOError:
                return found
            if meta[2] == socket.PACKET_OUTGOING and frame[12:14] == b"\x08\x00" and frame[23] == 50:
                found[int.from_bytes(frame[38:42], "big")] = frame

    def inject(self, frames):
        for frame in frames:
            self.out.send(frame)


def setns(fd):
    assert ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) == 0, "setns"


def ping(count):
    """Answers may be missing: some requests are dropped on purpose."""
    subprocess.run(["ip", "netns", "exec", "client", "ping", "-q", "-i", "0.002", "-c", str(count), "-W", "1", VIP],
                   capture_output=True, timeout=60, check=False)


def bits(sa):
    """Numbers that the window knows as seen."""
    edge, raw = int(sa["seq"]), bytes.fromhex(sa["bitmap"] or "")
    return {edge - i for i in range(min(len(raw) * 8, WINDOW)) if edge > i and raw[i // 8] >> i % 8 & 1}


recorded = {}


class Process(subprocess.Popen):
    """Ends with its block, however that ends."""

    def __exit__(self, *failure):
        self.kill()
        super().__exit__(*failure)


def replicates(tap):
    """gwa's stream through two tools; in the end both say the same, and what they say is true."""
    sh("ip netns exec gwa nft 'add table netdev t; add chain netdev t c { type filter hook ingress device o0 priority 0; }; "
       "add rule netdev t c ip protocol esp numgen inc mod 7 == 3 drop'")
    with Process(["espsync", "-n", "gwa", "-j", "monitor", "counters"], stdout=subprocess.PIPE) as source, \
            Process(["espsync", "-n", "gwb", "sa", "put"], stdin=source.stdout, stderr=subprocess.PIPE, text=True) as sink:
        source.stdout.close()
        # Subscribed when the first change has come through.
        until("the stream has begun", lambda: ping(3) or int(get("gwb", SPI_IN)["seq"]) > 0)
        ping(600)
        sh("ip netns exec gwa nft delete table netdev t")
        for spi in (SPI_IN, SPI_OUT):
            until(lambda spi=spi: f"gwb equals gwa: {get('gwa', spi)} and {get('gwb', spi)}", lambda spi=spi: same(get("gwa", spi), get("gwb", spi)))
        source.terminate()
        err = sink.communicate(timeout=10)[1]
        assert source.wait(10) == 0, "monitor does not end well"
        assert sink.returncode == 0 and err == "", f"sa put: {sink.returncode} {err}"
    recorded.update(tap.frames())
    a = get("gwa", SPI_IN)
    assert int(a["seq"]) >= 600 and int(get("gwa", SPI_OUT)["oseq"]) >= 400, "there was no traffic"
    assert len(bits(a)) < min(WINDOW, int(a["seq"])) - WINDOW // 10, "the window has no holes: the test could not fail"


def same(a, b):
    return (a["fingerprint"], a["seq"], bits(a), a["packets"], a["bytes"]) == (b["fingerprint"], b["seq"], bits(b), b["packets"], b["bytes"]) \
        and int(b["oseq"] or 0) >= int(a["oseq"] or 0)


def judged(tap):
    """All recorded packets, new to gwb, in random order as far as numbers go: refused is what gwa had accepted, and what is too old."""
    sa = get("gwb", SPI_IN)
    seen, edge = bits(sa), int(sa["seq"])
    missing = {n for n in recorded if edge - WINDOW < n <= edge and n not in seen}
    assert len(recorded) > 500 and len(missing) > 10, (len(recorded), len(missing))
    before_errors, before = seq_errors("gwb"), accepted("gwb")
    tap.inject(recorded[n] for n in sorted(recorded) if n <= edge)
    sent = sum(n <= edge for n in recorded)
    until("gwb has judged all", lambda: seq_errors("gwb") - before_errors + accepted("gwb") - before == sent)
    assert accepted("gwb") - before == len(missing), \
        f"gwb took {accepted('gwb') - before} recorded packets; {len(missing)} were new to gwa"


def goes_on(tap):
    """What comes after is accepted by gwb, so refusing everything would not pass; and it sends above gwa's numbers."""
    last = int(get("gwa", SPI_OUT)["oseq"])
    before = accepted("gwb")
    sh(f"ip -n client route replace {VIP}/32 dev o1 src {CLIENT}")
    try:
        ping(20)
    finally:
        sh(f"ip -n client route del {VIP}/32")
    tap.frames()
    assert accepted("gwb") - before == 20, f"gwb took {accepted('gwb') - before} of 20 new packets"
    assert int(get("gwb", SPI_OUT)["oseq"]) >= last + 20, "gwb sent numbers that gwa had used"


def never_backwards(_):
    """Old values, alone and in an array, lower nothing and clear no bit; zeros neither."""
    new = [get("gwb", spi) for spi in (SPI_IN, SPI_OUT)]
    old = [{**sa, "seq": "1", "oseq": "1", "bitmap": "00" * (WINDOW // 8), "packets": "0", "bytes": "0"} for sa in new]
    hole = {**new[0], "bitmap": "00" * (WINDOW // 8)}
    for text in ("\n".join(map(json.dumps, old)), json.dumps(old), json.dumps(hole)):
        rc, _, err = tool("gwb", "sa", "put", stdin=text)
        assert rc == 0, err
    assert [get("gwb", spi) for spi in (SPI_IN, SPI_OUT)] == new, "sa put went backwards"


def refuses(_):
    """Unknown SA 1, other fingerprint 3; an array with one such changes nothing at all."""
    sa = get("gwb", SPI_IN)
    more = {**sa, "seq": str(int(sa["seq"]) + 1000)}
    unknown, other = {**more, "spi": "0x7777"}, {**more, "fingerprint": "00" * 8}
    for text, want in (([unknown], 1), ([other], 3), ([more, unknown], 1), ([more, other], 3)):
        rc, _, err = tool("gwb", "sa", "put", stdin=json.dumps(text))
        assert rc == want and err.startswith("espsync: sa put: "), (rc, err)
        assert get("gwb", SPI_IN) == sa, f"a refused put changed something: {text}"


def settled():
    """What may not change when the wall clock does."""
    found = []
    for ns in NETNS[1:]:
        shown = json.loads(tool(ns, "-j", "show")[1])
        found += [(g["role"], g["epoch"], g["owner"], g["takeover"], g["in"]) for g in shown["groups"]]
        found += [(p["node"], p["state"], p["sas_synced"]) for p in shown["peers"]]
        found.append(sorted(r["reason"] for r in json.loads(tool(ns, "-j", "ready")[1])["reasons"]))
    return found


def wall_clock(_):
    """Joined over the channel, under traffic: an hour forwards and an hour back are nothing."""
    for ns in NETNS[1:]:
        assert tool(ns, "group", "set", "0", "addr", VIP)[0] == 0
    for ns, node in (("gwa", 2), ("gwb", 1)):
        rc, _, err = tool(ns, "peer", "add", str(node), f"10.99.0.{node}")
        assert rc == 0, err
    assert tool("gwb", "demote")[0] == 0
    rc, out, err = tool("gwa", "promote")
    assert rc == 0 and out.startswith("active"), (out, err)

    def in_sync():
        peers = [json.loads(tool(ns, "-j", "show", "peers")[1])[0] for ns in NETNS[1:]]
        return all(p["state"] == "up" for p in peers) and peers[0]["sas_synced"] == peers[0]["sas_total"] > 0 \
            and json.loads(tool("gwb", "-j", "show", "groups")[1])[0]["in"]

    until("gwa and gwb are in sync", in_sync, 20)
    before, stalls = settled(), json.loads(tool("gwa", "-j", "show", "stats")[1])["stalls"]
    try:
        for step in (3600, -7200, 3600):
            with Process(["espsync", "-n", "gwb", "-j", "monitor"], stdout=subprocess.PIPE, text=True) as events:
                at = int(get("gwa", SPI_IN)["seq"])
                time.clock_settime(time.CLOCK_REALTIME, time.time() + step)
                ping(300)
                assert int(get("gwa", SPI_IN)["seq"]) >= at + 300, "traffic stopped"
                until("gwb follows", lambda: get("gwb", SPI_IN)["seq"] == get("gwa", SPI_IN)["seq"])
                events.terminate()
                told = events.communicate(timeout=10)[0]
            assert told == "", f"clock set by {step} s: {told}"
            assert settled() == before, f"clock set by {step} s: {settled()} was {before}"
    finally:
        assert json.loads(tool("gwa", "-j", "show", "stats")[1])["stalls"] == stalls, "an SA was stopped"


def main():
    kmod.load()
    teardown()
    setup()
    try:
        tap = Recorder()
        for name, run in (("the stream replicates", replicates), ("recorded packets judge it", judged), ("gwb goes on", goes_on),
                          ("never backwards", never_backwards), ("what is refused", refuses), ("the wall clock", wall_clock)):
            ktap.case(name, lambda run=run: run(tap))
    finally:
        teardown()
        kmod.unload()
    ktap.done()


main()
