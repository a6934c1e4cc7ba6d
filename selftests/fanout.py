#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: sixteen helpers: one tells the others all it has, in turn where that is much, and whoever takes over has it all
# WHERE: host
# SETS: timeout=300 named beside
"""
fanout - sixteen espsyncd, each with a TLS connection to each other one, in a network namespace without the module.

Job: what one process does for fifteen: that all come up at once, that each gets the journal, what memory that takes, and who follows whom when
helpers die and return. Their charons are this program's sockets: one says that it is active, and tells its tunnels. What sixteen relays say to
each other, frame by frame, is a unit program's (espsyncd_fanout), what charons make of it that of ike-nodes.
"""
import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from esptest import check, defer, equal, main, note
from hamessages import ACTIVE, PASSIVE, child_add, ike_add, ike_update

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLONE_NEWNET = 0x40000000
NODES = range(1, 17)
TUNNELS, CHILDREN = 2000, 8
MIB = 1 << 20


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"within {seconds} s: {what}")
        time.sleep(0.05)


class Node:
    """A helper, and beside it what it takes for a charon."""

    def __init__(self, number, top):
        self.number, self.dir = number, f"{top}/{number}"
        self.active, self.proc, self.n = False, None, 0
        os.mkdir(self.dir)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((f"127.0.2.{number}", 4510))
        self.sock.connect((f"127.0.1.{number}", 4510))
        self.sock.settimeout(0.2)
        with open(f"{self.dir}/conf", "w", encoding="ascii") as f:
            print("[node]", f"number = {number}", f"key_file = {top}/key", "[link]", f"local = 127.0.0.{number}", "dead_ms = 20000",
                  *(f"[peer {n}]\naddress = 127.0.0.{n}" for n in NODES if n != number),
                  "[charon]", f"helper = 127.0.1.{number}", f"charon = 127.0.2.{number}", f"fifo = {self.dir}/ha", f"vici = {self.dir}/vici",
                  "[group 0]", "addresses = 192.0.2.1", "[vrrp]", "instance = espsync", f"notify_fifo = {self.dir}/notify",
                  f"track_file = {self.dir}/track", "[limits]", "buffer_mib = 1", sep="\n", file=f)

    def start(self):
        with open(f"{self.dir}/log", "w", encoding="ascii") as out:
            self.proc = subprocess.Popen([f"{TOP}/user/espsyncd/espsyncd", "-f", "-c", f"{self.dir}/conf"], stdout=out, stderr=out)

    def kill(self):
        if self.proc:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait()
        self.proc, self.active = None, False

    def log(self):
        with open(f"{self.dir}/log", encoding="utf-8") as f:
            return f.read()

    def said(self, words, seconds=60):
        until(lambda: words in self.log(), seconds, f"node {self.number} says {words}; it said {self.log()[-600:]}")

    def master(self):
        """keepalived's word. A charon that is told to take its segment says that it has."""
        with open(os.open(f"{self.dir}/notify", os.O_WRONLY | os.O_NONBLOCK), "w", encoding="ascii") as f:
            f.write('INSTANCE "espsync" MASTER 100\n')
        self.active = True

    def beat(self):
        try:
            self.sock.send(ACTIVE if self.active else PASSIVE)
        except ConnectionRefusedError:
            pass    # the helper is not there

    def establish(self, tunnels):
        for _ in range(tunnels):
            self.n += 1
            for m in (ike_add(self.n), ike_update(self.n, f"office-{self.n}"), *(child_add(self.n, self.n * CHILDREN + i) for i in range(CHILDREN))):
                self.sock.send(m)
            if not self.n % 20:
                until(lambda: self.unread() < MIB // 8, 30, "the helper reads what its charon says")
        until(lambda: not self.unread(), 30, "it has read all")

    def unread(self):
        with open("/proc/self/net/udp", encoding="ascii") as f:
            row = next(line.split() for line in f if f" {self.number:02X}01007F:119E " in line)
        equal(row[12], "0", "datagrams lost")
        return int(row[4].split(":")[1], 16)

    def memory(self, what):
        """VmRSS, or VmHWM: the most that it was."""
        with open(f"/proc/{self.proc.pid}/status", encoding="ascii") as f:
            return int(re.search(rf"^{what}:\s+(\d+) kB", f.read(), re.M)[1]) << 10


class Nodes(dict):
    def __init__(self):
        super().__init__()
        self.top = tempfile.mkdtemp(prefix="espsync-fanout-")
        defer(shutil.rmtree, self.top, True)
        with open(os.open(f"{self.top}/key", os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write(secrets.token_hex(32))
        for n in NODES:
            self[n] = Node(n, self.top)
        self.over = threading.Event()
        threading.Thread(target=self.beats, daemon=True).start()
        defer(self.end)

    def beats(self):
        while not self.over.wait(0.25):
            for node in self.values():
                node.beat()
                try:
                    while node.sock.recv(65536, socket.MSG_DONTWAIT):
                        pass
                except (BlockingIOError, TimeoutError, ConnectionRefusedError):
                    pass

    def end(self):
        self.over.set()
        for node in self.values():
            node.kill()

    def others(self, *but):
        return [node for n, node in self.items() if n not in but and node.proc]


def setup():
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.unshare(CLONE_NEWNET) == 0, f"a network namespace of its own, as root: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    nodes = Nodes()
    owner = nodes[1]
    owner.active = True
    owner.start()
    owner.said("nobody gave the journal back")
    owner.establish(TUNNELS)
    nodes.tunnels, nodes.owner = TUNNELS, 1
    return nodes


def all_have_it(nodes, of):
    for node in nodes.others(of):
        node.said(f"peer {of}'s journal has {nodes.tunnels} IKE SAs")


def fifteen_come_at_once(nodes):
    """Each gets the journal over one connection, and not all of them are kept for them at a time."""
    owner = nodes[1]
    before = owner.memory("VmRSS")
    for n in NODES[1:]:
        nodes[n].start()
    all_have_it(nodes, 1)
    more = owner.memory("VmHWM") - before
    note(f"{before / MIB:.1f} MiB with the journal, {more / MIB:.1f} MiB more to tell it to fifteen")
    check(more < before, "less than the journal takes by itself")
    equal([w for w in owner.log().splitlines() if "behind" in w or "again" in w], [], "complaints of the owner")
    equal(sorted(owner.log().count(f"peer {n}: connected") for n in NODES[1:]), [1] * 15, "connections of each to the owner")


def the_last_one_takes_over_and_then_the_second(nodes):
    """What came meanwhile, too; and the first one returns."""
    if len(nodes.others()) == 1:
        fifteen_come_at_once(nodes)
    for heir in (16, 2):
        owner = nodes[nodes.owner]
        owner.establish(100)
        nodes.tunnels += 100
        time.sleep(2)
        n = owner.n
        dead, nodes.owner = nodes.owner, heir
        owner.kill()
        nodes[heir].n = n
        nodes[heir].master()
        all_have_it(nodes, heir)
        nodes[dead].start()
        nodes[dead].said(f"peer {heir}'s journal has {nodes.tunnels} IKE SAs")
    for node in nodes.others(2):
        check(f"peer {node.number}: more than" not in node.log(), "nobody is too slow")


main([fifteen_come_at_once, the_last_one_takes_over_and_then_the_second], setup)
