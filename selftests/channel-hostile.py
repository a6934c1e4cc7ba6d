#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: wrong key, forged, replayed, cut, unknown version, a flood: nothing changes and each is counted; 0/0 policies do not swallow the channel
"""
channel-hostile - the channel trusts nobody (design, I6).

Job: somebody on the sync network records everything and sends what he likes from any address. First it is shown that he could do harm:
with the cluster key his datagrams, made by channelwire and not by the module, are believed. Without it he may not change anything
that `show` shows, cause an event, or end the session that is seen on the wire, and every datagram must be counted with its reason.

      gw1 10.99.0.1 ---p1   p2--- gw2 10.99.0.2        wire: a bridge
                       wire
      evil 10.99.0.66 ---p3
"""
import ctypes
import json
import os
import random
import socket
import struct
import subprocess
import tempfile
import time

import channelwire as cw
from esptest import kmod, ktap

PORT = 4520
KEY, OTHER = "a7" * 32, "b8" * 32
VIP, CLIENT = "192.0.2.1", "192.0.2.100"
NETNS = ("wire", "gw1", "gw2", "evil")
ADDR = {"gw1": "10.99.0.1", "gw2": "10.99.0.2", "evil": "10.99.0.66"}
ADDR6 = {"gw1": "fd99::1", "gw2": "fd99::2"}
NODE = {"gw1": 1, "gw2": 2, "evil": 3}
NAME = {1: "gw1", 2: "gw2", 3: "evil", 66: "evil"}	# last byte of the MAC and of the IP address
REASONS = ("auth", "replay", "truncated", "version", "key-id", "unknown-peer", "unknown-sa", "no-memory", "rate")

keys = cw.Keys(bytes.fromhex(KEY))


def sh(line):
    p = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert p.returncode == 0, f"{line}: {p.stdout}{p.stderr}"
    return p.stdout


def tool(ns, *args):
    p = subprocess.run(["espsync", "-n", ns, *args], capture_output=True, text=True, timeout=30, check=False)
    assert p.returncode == 0, f"{ns}: {' '.join(args)}: {p.returncode} {p.stderr}"
    return p.stdout


def show(ns, what):
    return json.loads(tool(ns, "-j", "show", what))


def until(what, check, seconds=15):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


# ---- the network ----

def socket_in(ns, *args):
    """A socket of another namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    with open(f"/run/netns/{ns}", "rb") as f:
        assert libc.setns(f.fileno(), 0x40000000) == 0, "setns"
    try:
        return socket.socket(*args)
    finally:
        assert libc.setns(own, 0x40000000) == 0, "setns back"
        os.close(own)


def make_network():
    for ns in NETNS:
        sh(f"ip netns add {ns} && ip -n {ns} link set lo up")
    sh("ip -n wire link add br0 type bridge && ip -n wire link set br0 up")
    for ns, addr in ADDR.items():
        n = NODE[ns]
        sh(f"ip link add p{n} netns wire type veth peer name s0 netns {ns} address 02:00:00:00:00:{n:02x}")
        sh(f"ip -n wire link set p{n} master br0 up && ip -n {ns} addr add {addr}/24 dev s0 && ip -n {ns} link set s0 up")
        if ns in ADDR6:
            sh(f"ip -n {ns} addr add {ADDR6[ns]}/64 dev s0 nodad && ip -n {ns} addr add {VIP}/32 dev lo")
    # Under ::/0 policies neighbours cannot be asked for.
    for ns, other in (("gw1", "gw2"), ("gw2", "gw1")):
        sh(f"ip -n {ns} neigh replace {ADDR6[other]} lladdr 02:00:00:00:00:{NODE[other]:02x} dev s0 nud permanent")


def make_sas(ns):
    aead = "aead 'rfc4106(gcm(aes))' 0x" + "11" * 20 + " 128"
    for src, dst, spi in ((CLIENT, VIP, 0x1001), (VIP, CLIENT, 0x2001)):
        sh(f"ip -n {ns} xfrm state add src {src} dst {dst} proto esp spi {spi:#x} reqid 1 mode tunnel replay-window 64 flag esn {aead}")


def teardown():
    for ns in NETNS:
        subprocess.run(["ip", "netns", "del", ns], capture_output=True, check=False)


def make_channel(ns, addrs):
    """A channel, its one peer, and its role."""
    peer = "gw2" if ns == "gw1" else "gw1"
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(KEY)
        f.flush()
        tool(ns, "channel", "set", "node", str(NODE[ns]), "local", addrs[ns], "psk-file", f.name)
    tool(ns, "group", "set", "0", "addr", VIP)
    tool(ns, "peer", "add", str(NODE[peer]), addrs[peer])


def in_sync():
    one, two = show("gw1", "peers"), show("gw2", "peers")
    return one[0]["state"] == two[0]["state"] == "up" and one[0]["sas_synced"] == 2 and show("gw2", "groups")[0]["in"]


def connect(addrs):
    for ns in ("gw1", "gw2"):
        make_channel(ns, addrs)
    tool("gw2", "demote")
    tool("gw1", "promote")
    until("gw1 and gw2 are in sync", in_sync)


class Tape:
    """Every datagram of the channel that gw2 sends or gets, as (from, to, datagram): from by its MAC address, to by its IP address."""

    def __init__(self):
        self.sock = socket_in("gw2", socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)	# SO_RCVBUFFORCE
        self.sock.bind(("s0", 3))
        self.sock.setblocking(False)
        self.all = []

    def read(self):
        """What came since the last time."""
        new = []
        while True:
            try:
                packet, (_, proto, _, _, mac) = self.sock.recvfrom(4096)
            except BlockingIOError:
                self.all += new
                return new
            if proto != 0x0800 or packet[9] != socket.IPPROTO_UDP or packet[22:24] != struct.pack(">H", PORT):
                continue
            length = struct.unpack(">H", packet[24:26])[0]
            new.append((NAME[mac[5]], NAME[packet[19]], packet[28:20 + length]))

    def wait(self, want, src, dst, seconds=5):
        """The next datagram of a kind between two."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for one, two, datagram in self.read():
                if (one, two) == (src, dst) and cw.kind(datagram) == want:
                    return datagram
            time.sleep(0.01)
        raise AssertionError(f"no datagram of kind {want} from {src} to {dst}")

    def kept(self, want, src, dst):
        self.read()
        return [d for one, two, d in self.all if (one, two) == (src, dst) and cw.kind(d) == want]


class Evil:
    """Sends from any address."""

    def __init__(self):
        self.sock = socket_in("evil", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, datagram, src="gw1", dst="gw2"):
        src = ADDR.get(src, src)
        udp = struct.pack(">HHHH", PORT, PORT, 8 + len(datagram), 0) + datagram
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
        self.sock.sendto(ip + socket.inet_aton(src) + socket.inet_aton(ADDR[dst]) + udp, (ADDR[dst], 0))


# ---- what may not change ----

def drops(ns):
    """Counted by reason, whoever is blamed."""
    shown = json.loads(tool(ns, "-j", "show"))
    said = [p["dropped"] for p in shown["peers"]] + [shown["stats"]["dropped"]]
    return {r: sum(int(d[r]) for d in said) for r in REASONS}


def rise(ns, before):
    return {r: n - before[r] for r, n in drops(ns).items() if n != before[r]}


def state():
    """All that a datagram could change, of both gateways."""
    found = []
    for ns in ("gw1", "gw2"):
        shown = json.loads(tool(ns, "-j", "show"))
        found += [{k: p[k] for k in ("node", "addr", "port", "state", "sas_synced", "sas_total", "version")} for p in shown["peers"]]
        found += shown["groups"]
        found += [{k: shown["stats"][k] for k in ("sas", "waiting", "tombstones", "merges", "renewals", "stalls")}]
        found += [{k: sa[k] for k in ("spi", "dir", "fingerprint", "oseq", "ceiling", "seq", "owner", "state")} for sa in show(ns, "sas")]
    return found


class Quiet:
    """Inside, neither gateway may change, tell an event, or leave its session."""

    def __init__(self, tape):
        self.tape = tape

    def session(self):
        return self.tape.wait(cw.DATA, "gw1", "gw2")[16:20]

    def __enter__(self):
        self.id, self.state = self.session(), state()
        self.events = [subprocess.Popen(["espsync", "-n", ns, "-j", "monitor"], stdout=subprocess.PIPE, text=True) for ns in ("gw1", "gw2")]

    def __exit__(self, kind, *_):
        told = []
        for p in self.events:
            p.terminate()
            told.append(p.communicate(timeout=10)[0])
        if kind:
            return
        assert told == ["", ""], f"events: {told}"
        assert state() == self.state, f"{state()} was {self.state}"
        assert self.session() == self.id, "another session is on the wire"


# ---- cases ----

def true_session(tape):
    """The session on the wire as gw1 and as gw2 knows it, which only who has the key can tell."""
    current = tape.wait(cw.DATA, "gw1", "gw2")[16:20]
    for src, dst in (("gw1", "gw2"), ("gw2", "gw1")):
        for datagram in tape.kept(cw.HELLO, src, dst):
            _, mine, yours, flags = cw.open_hello(keys, datagram)
            views = {src: cw.Session(keys, NODE[src], NODE[dst], mine, yours), dst: cw.Session(keys, NODE[dst], NODE[src], yours, mine)}
            if not flags & cw.REPLY and views[src].id == current:
                return views
    raise AssertionError("no HELLO on tape makes the session that is on the wire")


def sealed(tape, _):
    """What a packet socket on gw2 sees is sealed, both ways, and opens with keys derived by other code: nothing is opened in place there."""
    views = true_session(tape)
    for src, dst in (("gw1", "gw2"), ("gw2", "gw1")):
        def of_session(src=src, dst=dst):
            return [d for d in tape.kept(cw.DATA, src, dst) if d[16:20] == views[src].id]
        until("ten datagrams of the session", lambda: len(of_session()) > 10)
        assert all(cw.open_data(views[dst], d) for d in of_session()), f"a DATA of {src} does not open"
        assert not any(cw.open_data(views[src], d) for d in of_session()), "both directions have one key"


def peer_three(field):
    return next(p for p in show("gw2", "peers") if p["node"] == 3)[field]


def believed(evil, datagram, size):
    """gw2 takes a DATA of node 3: it counts its bytes."""
    before = int(peer_three("rx_bytes"))
    evil.send(datagram, "evil")
    until(f"gw2 believes {size}", lambda: int(peer_three("rx_bytes")) >= before + len(datagram), 5)


def refused(evil, datagrams, reason, src="evil"):
    """gw2 counts each as what it is, and nothing else but HELLOs of gw1 that came too soon after another."""
    before, datagrams = drops("gw2"), [datagrams] if isinstance(datagrams, bytes) else datagrams
    for datagram in datagrams:
        evil.send(datagram, src)
    until(f"{len(datagrams)} counted as {reason}", lambda: rise("gw2", before).get(reason) == len(datagrams), 5)
    counted = rise("gw2", before)
    assert set(counted) <= {reason, "rate"}, f"{reason}: {counted}"


def insider(tape, evil):
    """With the key this test's datagrams are believed: handshake, DATA, window, versions. So what follows could fail."""
    tool("gw2", "peer", "add", "3", ADDR["evil"])
    try:
        a = os.urandom(16)
        tape.read()
        evil.send(cw.hello(keys, 3, 2, a), "evil")
        answer = None
        while not answer:	# gw2 asks too; what counts is its answer
            heard = cw.open_hello(keys, tape.wait(cw.HELLO, "gw2", "evil"))
            answer = heard if heard[3] & cw.REPLY and heard[2] == a else None
        newer = cw.hello(keys, 3, 2, os.urandom(16), a, answer[1], versions=(2, 3))
        refused(evil, newer, "version")
        evil.send(cw.hello(keys, 3, 2, os.urandom(16), a, answer[1]), "evil")
        session = cw.Session(keys, 3, 2, a, answer[1])
        assert cw.open_data(session, tape.wait(cw.DATA, "gw2", "evil")), "gw2's first DATA does not open"
        for seq, good in ((1, True), (1, False), (2000, True), (977, True), (976, False), (977, False), (1999, True), (2000, False)):
            datagram = cw.data(keys, session, 3, 2, seq, bytes(64))
            if good:
                believed(evil, datagram, f"number {seq}")
            else:
                refused(evil, datagram, "replay")
        forged = bytearray(cw.data(keys, session, 3, 2, 3000, bytes(64)))
        forged[60] ^= 1
        refused(evil, bytes(forged), "auth")
    finally:
        tool("gw2", "peer", "del", "3")


def flipped(datagram, at):
    return datagram[:at] + bytes((datagram[at] ^ 1,)) + datagram[at + 1:]


def strangers(tape, evil):
    """Who has no key: another key, another key under the true key's name, other nodes, other addresses."""
    wrong, liar = cw.Keys(bytes.fromhex(OTHER)), cw.Keys(bytes.fromhex(OTHER), pretend=keys.id)
    session, live = (cw.Session(liar, 1, 2, os.urandom(16), os.urandom(16)) for _ in range(2))
    with Quiet(tape):
        live.id = tape.wait(cw.DATA, "gw1", "gw2")[16:20]
        later = range(1 << 40, (1 << 40) + 5)
        refused(evil, [cw.hello(wrong, 1, 2, os.urandom(16)) for _ in later], "key-id", "gw1")
        refused(evil, [cw.data(wrong, live, 1, 2, n, bytes(64)) for n in later], "key-id", "gw1")
        refused(evil, [cw.hello(liar, 1, 2, os.urandom(16)) for _ in later], "auth", "gw1")
        refused(evil, [cw.data(liar, live, 1, 2, n, bytes(64)) for n in later], "auth", "gw1")
        refused(evil, [cw.data(liar, session, 1, 2, n, bytes(64)) for n in later], "replay", "gw1")
        refused(evil, [cw.hello(keys, 9, 2, os.urandom(16)), cw.hello(keys, 1, 9, os.urandom(16))], "unknown-peer", "gw1")
        refused(evil, cw.hello(keys, 1, 2, os.urandom(16)), "unknown-peer", "evil")
        refused(evil, tape.wait(cw.DATA, "gw2", "gw1"), "unknown-peer", "gw2")	# its own, sent back


def flipped(datagram, at):
    return datagram[:at] + bytes((datagram[at] ^ 1,)) + datagram[at + 1:]


def forged(tape, evil):
    """A true datagram, changed, cut or made longer."""
    with Quiet(tape):
        for true in (tape.wait(cw.DATA, "gw1", "gw2"), tape.kept(cw.HELLO, "gw1", "gw2")[0]):
            at = cw.DATA_HEAD if cw.kind(true) == cw.DATA else 40
            refused(evil, [flipped(true, n) for n in (6, at - 24, at - 1, at, at + 9, len(true) - 16, len(true) - 1)], "auth", "gw1")
            refused(evil, [flipped(true, 0), true[:1] + b"\x07" + true[2:]], "version", "gw1")
            refused(evil, [flipped(true, n) for n in range(8, 16)], "key-id", "gw1")
            refused(evil, flipped(true, 3), "unknown-peer", "gw1")
            selfmade = true[:4] + struct.pack(">H", 60) + true[6:60]	# cut, and says so
            cuts = [true[:n] for n in range(len(true))] + [true + b"\0", selfmade]
            for some in (cuts[i:i + 60] for i in range(0, len(cuts), 60)):
                refused(evil, some, "truncated", "gw1")


def replayed(tape, evil):
    """DATA and HELLOs of this session, as recorded."""
    current = true_session(tape)["gw1"].id
    with Quiet(tape):
        refused(evil, tape.kept(cw.DATA, "gw1", "gw2")[-50:], "replay", "gw1")
        for true in tape.kept(cw.HELLO, "gw1", "gw2")[-20:]:
            _, mine, yours, _ = cw.open_hello(keys, true)
            before, answers = drops("gw2"), len(tape.kept(cw.HELLO, "gw2", "gw1"))
            evil.send(true)
            if cw.Session(keys, 1, 2, mine, yours).id == current:
                continue	# its answer is a DATA, like any other
            until("a HELLO is counted or answered",
                  lambda b=before, n=answers: rise("gw2", b) or len(tape.kept(cw.HELLO, "gw2", "gw1")) > n, 5)
            assert not set(rise("gw2", before)) - {"replay", "rate"}, rise("gw2", before)


def noise(tape, evil):
    """Random bytes, alone and behind a true head. Each is counted."""
    seed = int(os.environ.get("SEED", time.time_ns() % 10**9))
    print(f"# SEED={seed}")
    rng = random.Random(seed)
    with Quiet(tape):
        true = tape.wait(cw.DATA, "gw1", "gw2")
        for _ in range(20):
            before = drops("gw2")
            for i in range(100):
                body = rng.randbytes(rng.randrange(1400))
                evil.send(true[:rng.randrange(53)] + body if i % 2 else body)
            until("all noise is counted", lambda: sum(rise("gw2", before).values()) >= 100, 10)


def arrived():
    lines = [line.split() for line in sh("ip netns exec gw2 cat /proc/net/snmp").splitlines() if line.startswith("Udp:")]
    return int(dict(zip(*lines))["InDatagrams"])


def flood(tape, evil):
    """For three seconds as many HELLOs as go out, true but old, and large garbage: the channel lives, the queue is bounded, each is counted."""
    old = tape.kept(cw.HELLO, "gw1", "gw2")[0]
    load = [old] * 20 + [flipped(old, 50)] * 20 + [os.urandom(1400)] * 5
    with Quiet(tape):
        tape.read()
        before, came, sent, most = drops("gw2"), arrived(), 0, 0
        rx = int(show("gw2", "peers")[0]["rx_bytes"])
        start = time.monotonic()
        while time.monotonic() < start + 3:
            for _ in range(40):
                for datagram in load:
                    evil.send(datagram)
                sent += len(load)
            most = max(most, show("gw2", "stats")["rx_queue"])
            assert show("gw2", "peers")[0]["state"] == show("gw1", "peers")[0]["state"] == "up", "the flood ends the channel"
        until("the queue is empty", lambda: show("gw2", "stats")["rx_queue"] == 0)
        took = time.monotonic() - start
        came = arrived() - came
        answers = [d for one, _, d in tape.read() if one == "gw2" and cw.kind(d) == cw.HELLO]
        counted = rise("gw2", before)
        ktap.note(f"{sent} sent, {came} arrived, counted {counted}, longest queue seen {most}, {len(answers)} answers")
        assert most <= 1024, f"{most} datagrams queued"
        assert len(answers) <= took * 1000 / 50 + 2, f"{len(answers)} answers in {took:.1f} s"
        assert int(show("gw2", "peers")[0]["rx_bytes"]) > rx, "nothing of gw1 came through"
        # What gw1 itself sent came in between, and it does not send more than so often.
        assert sum(counted.values()) >= came - len(answers) - 300 * took, "not all were counted"
        assert counted.get("auth") and counted.get("rate"), counted


def restart(tape, evil):
    """gw2 begins anew: what was recorded before makes no session and says nothing."""
    tape.read()
    recorded = [d for one, two, d in tape.all if (one, two) == ("gw1", "gw2")][-400:]
    tool("gw2", "channel", "del")
    make_channel("gw2", ADDR)
    tool("gw2", "demote")
    until("gw1 and gw2 are in sync again", in_sync)
    hellos = [d for d in recorded if cw.kind(d) == cw.HELLO] + tape.kept(cw.HELLO, "gw1", "gw2")[:5]
    with Quiet(tape):
        for datagram in hellos:
            evil.send(datagram)
        datagrams = [d for d in recorded if cw.kind(d) == cw.DATA]
        assert len(datagrams) > 50, "too little was recorded"
        before = drops("gw2")
        for datagram in datagrams:
            evil.send(datagram)
        until("all are counted", lambda: rise("gw2", before).get("replay", 0) >= len(datagrams))
        assert not set(rise("gw2", before)) - {"replay", "rate"}, rise("gw2", before)


def policies(family, any_addr, addrs):
    """Everything goes into a tunnel that has no SA, but for the channel."""
    def case(tape, _):
        for ns in ("gw1", "gw2"):
            tool(ns, "channel", "del")
            tmpl = {"-4": f"src {VIP} dst 192.0.2.200", "-6": "src fd00::1 dst fd00::2"}[family]
            for way, ends in (("out", tmpl), ("in", tmpl), ("fwd", tmpl)):
                sh(f"ip -n {ns} xfrm policy add src {any_addr} dst {any_addr} dir {way} tmpl {ends} proto esp mode tunnel")
        try:
            ping = ["ip", "netns", "exec", "gw1", "ping", "-c", "1", "-W", "1", addrs["gw2"]]
            assert subprocess.run(ping, capture_output=True, check=False).returncode, "the policies do nothing"
            connect(addrs)
        finally:
            for ns in ("gw1", "gw2"):
                sh(f"ip -n {ns} xfrm policy flush")
    return case


def main():
    kmod.load()
    teardown()
    make_network()
    try:
        tape, evil = Tape(), Evil()
        for ns in ("gw1", "gw2"):
            make_sas(ns)
        connect(ADDR)
        for name, run in (("what is on the wire is sealed, and opens with the key", sealed), ("with the key he is believed", insider),
                          ("strangers", strangers), ("forged, cut, made longer, another version", forged), ("replayed", replayed),
                          ("noise", noise), ("a flood", flood), ("recorded before a restart", restart),
                          ("under 0.0.0.0/0 policies", policies("-4", "0.0.0.0/0", ADDR)),
                          ("over IPv6 under ::/0 policies", policies("-6", "::/0", ADDR6))):
            ktap.case(name, lambda run=run: run(tape, evil))
    finally:
        teardown()
        kmod.unload()
    ktap.done()


main()
