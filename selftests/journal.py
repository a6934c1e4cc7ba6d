#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the journal rebuilds a charon after any rekeyings, takes at most 8 KiB per tunnel, is bounded, locked and wiped, and says what has no room
# WHERE: host
# SETS: timeout=300 named beside
"""
journal - espsyncd's memory of what rebuilds an IKE SA with its CHILD SAs in an empty charon.

Job: the unit programs that judge it, each a case; and espsyncd itself, in a network namespace of its own, beside a charon that is this program:
a thousand tunnels that are rekeyed again and again in random order, with what the process takes for them as the kernel counts it.
What may not enter: what a real charon makes of it. ike-relay and rekey-failover show that.
"""
import ctypes
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time

from esptest import check, defer, equal, main, note, seeded
from hamessages import IKE_DELETE, MID_I, MID_R, child_add, child_delete, ike_add, ike_update, message_id, name

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLONE_NEWNET = 0x40000000
PER_TUNNEL = 8192       # bytes, at most
TUNNELS = 1000
ROUNDS = 20             # rekeyings of each
PORT = 4510


class Programs:
    """Unit programs, built in a directory of their own: a tree with a fault in it must not leave them to the next run of a good one."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="espsync-journal-")
        defer(shutil.rmtree, self.dir, True)

    def run(self, name):
        """What it printed. One that does not build, or does not say that all is well, ends the case."""
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
        for words in (["make", "-s", "-C", f"{TOP}/selftests/unit", f"OUTPUT={self.dir}", f"{self.dir}/{name}"], [f"{self.dir}/{name}"]):
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, env=env, check=False)
            said = done.stdout
            if done.returncode:
                note(said[-3000:])
            check(done.returncode == 0, f"{name}: status {done.returncode}: {''.join(re.findall(r'not ok.*', said)[:1]) or said[:200]}")
        for line in re.findall(r"^# (.*)", said, re.M):
            note(f"{name}: {line}")
        return said


def histories_by_hand(programs):
    programs.run("espsyncd_journal")


def random_histories_against_a_model(programs):
    programs.run("espsyncd_journal_random")


def bytes_per_tunnel_bounds_and_wiping(programs):
    said = programs.run("espsyncd_journal_memory")
    sizes = [int(n) for n in re.findall(r"bytes per tunnel: (\d+)", said)]
    check(len(sizes) == 3 and max(sizes) <= PER_TUNNEL, f"kinds of tunnels, each at most {PER_TUNNEL} bytes: {sizes}")


def a_charon_that_differs_is_filled(programs):
    programs.run("espsyncd_sync")


def what_has_no_room_is_said(programs):
    programs.run("espsyncd_relay")


def what_has_no_room_is_not_rekeyed(programs):
    programs.run("espsyncd_audit")


# ---- espsyncd, and a charon ----

class Charon:
    """Active, as its heartbeat says, with tunnels that it rekeys."""

    def __init__(self, rng):
        self.rng = rng
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", PORT))
        self.sock.connect(("127.0.0.2", PORT))
        defer(self.sock.close)
        self.n = self.spi = self.said = 0
        self.tunnels = []       # [IKE SA, [SPI, ...]]

    def beat(self):
        try:
            self.sock.send(b"\x05\x0a\x24\0\x01")
        except ConnectionRefusedError:
            pass    # the helper is not there yet

    def say(self, message):
        self.sock.send(message)
        self.said += 1
        if not self.said % 200:
            while waiting()[0] > 1 << 20:
                time.sleep(0.01)

    def new_ike(self, old=0):
        self.n += 1
        self.say(ike_add(self.n, old))
        if old:
            self.say(bytes((5, IKE_DELETE)) + name(1, old))
        self.say(ike_update(self.n, f"office-{self.n}"))
        for kind in (MID_I, MID_R):
            self.say(message_id(self.n, kind, self.rng.randrange(1, 99)))
        return self.n

    def new_child(self, ike):
        self.spi += 1
        self.say(child_add(ike, self.spi))
        return self.spi

    def establish(self, children):
        n = self.new_ike()
        self.tunnels.append([n, [self.new_child(n) for _ in range(children)]])

    def rekey(self, t):
        """The IKE SA, or one of the CHILD SAs."""
        if self.rng.random() < 0.5:
            t[0] = self.new_ike(t[0])
            return
        i = self.rng.randrange(len(t[1]))
        old, t[1][i] = t[1][i], self.new_child(t[0])
        self.say(child_delete(t[0], old))


def waiting():
    """(bytes that the helper has not read yet, datagrams that it has lost)"""
    with open("/proc/self/net/udp", encoding="ascii") as f:
        row = next((line.split() for line in f if f" 0200007F:{PORT:04X} " in line), None)
    check(row, "the helper listens on 127.0.0.2")
    return int(row[4].split(":")[1], 16), int(row[12])


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"within {seconds} s: {what}")
        time.sleep(0.05)


class Helper:
    """espsyncd, which finds no peer and no module, and may give each tunnel no more than it has in any case."""

    def __init__(self, charon):
        self.charon = charon
        self.dir = tempfile.mkdtemp(prefix="espsync-journal-")
        defer(shutil.rmtree, self.dir, True)
        key = f"{self.dir}/key"
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write(secrets.token_hex(32))
        with open(f"{self.dir}/conf", "w", encoding="ascii") as f:
            print("[node]", "number = 1", f"key_file = {key}", "[link]", "local = 127.0.0.1", "[peer 2]", "address = 127.0.0.3",
                  "[charon]", f"fifo = {self.dir}/ha", f"vici = {self.dir}/vici", "[group 0]", "addresses = 192.0.2.1",
                  "[vrrp]", f"notify_fifo = {self.dir}/notify", f"track_file = {self.dir}/track",
                  "[limits]", "buffer_mib = 1", "tunnel_kib = 8", sep="\n", file=f)
        with open(f"{self.dir}/log", "w", encoding="ascii") as out:
            self.proc = subprocess.Popen([f"{TOP}/user/espsyncd/espsyncd", "-f", "-c", f"{self.dir}/conf"], stdout=out, stderr=out)
        defer(self.end)

    def end(self):
        self.proc.terminate()
        equal(self.proc.wait(30), 0, "espsyncd's exit status")

    def log(self):
        with open(f"{self.dir}/log", encoding="utf-8") as f:
            return f.read()

    def said(self, words, seconds=10):
        def looked():
            check(self.proc.poll() is None, f"espsyncd runs: {self.log()[-500:]}")
            self.charon.beat()
            return words in self.log()
        until(looked, seconds, f"it says {words}; it said {self.log()[-500:]}")

    def has_read_all(self):
        until(lambda: waiting()[0] == 0, 60, "all is read")
        time.sleep(0.2)
        equal(waiting()[1], 0, "datagrams lost")

    def memory(self):
        """Bytes that it has. All that it can write to, and so may hold a key, is locked."""
        with open(f"/proc/{self.proc.pid}/smaps", encoding="ascii") as f:
            areas = re.findall(r"^[0-9a-f]+-[0-9a-f]+ (.w.. .*)$((?:\n\w+:.*)+)", f.read(), re.M)
        check(len(areas) > 5, f"areas of memory that it writes to: {areas}")
        for area, said in areas:
            check(re.search(r"^VmFlags:.* lo\b", said, re.M), f"locked: {area}")
            equal(re.findall(r"^Swap:\s+(\d+)", said, re.M), ["0"], f"in swap, of {area}")
        return sum(int(kb) << 10 for _, said in areas for kb in re.findall(r"^Rss:\s+(\d+)", said, re.M))


def own_network():
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.unshare(CLONE_NEWNET) == 0, f"a network namespace of its own, as root: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def espsyncd_with_a_thousand_tunnels(_):
    """Nothing but the tunnels comes between two looks: the stream of records, which nobody takes, is full from the first on."""
    rng = seeded()
    own_network()
    charon = Charon(rng)
    helper = Helper(charon)
    helper.said("nobody gave the journal back")
    charon.establish(4)
    for _ in range(4000):
        charon.rekey(charon.tunnels[0])
    helper.has_read_all()
    before = helper.memory()
    for _ in range(TUNNELS):
        charon.establish(4)
    for wave in (1, 2):
        for _ in range(TUNNELS * ROUNDS):
            charon.rekey(rng.choice(charon.tunnels))
        helper.has_read_all()
        took = (helper.memory() - before) // TUNNELS
        note(f"{took} bytes per tunnel with 4 CHILD SAs, after {wave * ROUNDS} rekeyings of each")
        check(took <= PER_TUNNEL, f"{took} bytes per tunnel, at most {PER_TUNNEL}")
    check("no room" not in helper.log(), helper.log()[-500:])
    # And one that asks for more than it may have.
    many = charon.tunnels[7][0]
    for _ in range(50000):
        charon.new_child(many)
    helper.has_read_all()
    grown = helper.memory() - before - TUNNELS * took
    check(grown < 1 << 20, f"grown by {grown} bytes for a tunnel that makes 50000 CHILD SAs")
    helper.said(f"no room in the journal for a CHILD SA of connection office-{many}, far end 198.51.100.1: not carried (raise tunnel_kib")


main([histories_by_hand, random_histories_against_a_model, bytes_per_tunnel_bounds_and_wiping, a_charon_that_differs_is_filled,
      what_has_no_room_is_said, what_has_no_room_is_not_rekeyed, espsyncd_with_a_thousand_tunnels], Programs)
