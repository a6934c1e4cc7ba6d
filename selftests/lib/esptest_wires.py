# SPDX-License-Identifier: GPL-2.0
"""Wires between machines, each with a record of every frame that a machine sent before anybody else saw it.

Job: a learning switch per segment, and its recordings. QEMU's -netdev dgram
carries each NIC's frames over a pair of local sockets. These hold the sender
up instead of dropping, so that an emulated machine that waits for a processor
gets its packets late, as it would from a slow wire, and loses none. What the
packets mean is not known here.
"""
import collections
import ipaddress
import os
import select
import shutil
import signal
import socket
import struct
import tempfile
import time

from esptest.capture import parse

SO_SNDBUFFORCE = 32
PCAP_NS = 0xa1b23c4d
# Frames that wait for a machine that is deaf for a while: what a NIC's ring and a socket's buffer would hold.
BACKLOG = 2048
RETRY_S = 0.001

Frame = collections.namedtuple("Frame", "time sender kind udp a b src dst data")
Port = collections.namedtuple("Port", "here there mac")


class Wires:
    """Segments by name, each with the machines on it: Wires({"outer": ["gw1", "gw2", "far"], ...})."""

    def __init__(self, segments):
        self.dir = tempfile.mkdtemp(prefix="wires-")
        self.segments = segments
        self.begin = 0.0
        self.ports = {}
        number = {name: i for i, name in enumerate(sorted({m for ms in segments.values() for m in ms}), 1)}
        for s, (segment, machines) in enumerate(segments.items(), 1):
            for name in machines:
                self.ports[segment, name] = Port(f"{self.dir}/{segment}.{name}.switch", f"{self.dir}/{segment}.{name}.nic",
                                                 f"52:54:00:{s:02x}:00:{number[name]:02x}")
        self.names = {bytes.fromhex(port.mac.replace(":", "")): name for (_, name), port in self.ports.items()}
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                os.nice(-10)
                self._switch()
            except BaseException:
                import traceback
                traceback.print_exc()
            os._exit(1)

    # -- the switching process ----------------------------------------------------

    def _open(self, port):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(port.here)
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20)
        sock.setblocking(False)
        return sock

    def _switch(self):
        ending = []
        signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
        poll = select.epoll()
        self.socks = {key: self._open(port) for key, port in self.ports.items()}
        self.waiting = {key: collections.deque(maxlen=BACKLOG) for key in self.ports}
        by_fd, files, table = {}, {}, {}
        for key, sock in self.socks.items():
            by_fd[sock.fileno()] = *key, sock
            poll.register(sock, select.EPOLLIN)
        for segment in self.segments:
            files[segment] = open(self.pcap(segment), "wb", buffering=0)
            files[segment].write(struct.pack("<IHHiIII", PCAP_NS, 2, 4, 0, 0, 65535, 1))
            table[segment] = {}
        while not ending:
            for fd, _ in poll.poll(RETRY_S if any(self.waiting.values()) else 0.1):
                segment, name, sock = by_fd[fd]
                for _ in range(64):
                    try:
                        frame = sock.recv(65536)
                    except (BlockingIOError, InterruptedError):
                        break
                    sec, nsec = divmod(time.time_ns(), 10 ** 9)
                    files[segment].write(struct.pack("<IIII", sec, nsec, len(frame), len(frame)) + frame)
                    self._forward(segment, name, table[segment], frame)
            for key, queue in self.waiting.items():
                if queue:
                    self._deliver(key, queue)

    def _forward(self, segment, name, table, frame):
        table[frame[6:12]] = name
        to = table.get(frame[:6]) if not frame[0] & 1 else None
        for other in [to] if to else self.segments[segment]:
            if other != name:
                self.waiting[segment, other].append(frame)

    def _deliver(self, key, queue):
        while queue:
            try:
                self.socks[key].sendto(queue[0], self.ports[key].there)
            except BlockingIOError:
                return
            except (ConnectionRefusedError, FileNotFoundError):
                queue.clear()       # a wire into a machine that is off
                return
            queue.popleft()

    # -- for the test --------------------------------------------------------------

    def pcap(self, segment):
        return os.path.join(self.dir, f"{segment}.pcap")

    def arguments(self, name):
        """QEMU's words for a machine's NICs."""
        words = []
        for (segment, who), port in self.ports.items():
            if who == name:
                words += ["-netdev", f"dgram,id={segment},local.type=unix,local.path={port.there},remote.type=unix,remote.path={port.here}",
                          "-device", f"virtio-net-pci,netdev={segment},mac={port.mac}"]
        return words

    def macs(self, name):
        return {segment: port.mac for (segment, who), port in self.ports.items() if who == name}

    def frames(self, segment, since=0.0):
        """All frames that machines sent: time, sender, and of ESP (kind 0) and IKE (kind 1) what capture.parse says."""
        for when, frame in read_pcap(self.pcap(segment)):
            if when >= max(since, self.begin):
                seen = parse(frame) or (None, 0, 0, 0, b"", b"")
                yield Frame(when, self.names.get(frame[6:12]), *seen, frame)

    def esp(self, since=0.0, sender=None, segment="outer"):
        return [f for f in self.frames(segment, since) if f.kind == 0 and sender in (None, f.sender)]

    def repeats(self, segment="outer"):
        """{(spi, destination, number): [(sender, time)...]} of what was sent more than once."""
        seen = collections.defaultdict(list)
        for f in self.esp(segment=segment):
            seen[f.a, str(ipaddress.ip_address(f.dst)), f.b].append((f.sender, f.time))
        return {k: v for k, v in seen.items() if len(v) > 1}

    def clear(self):
        """What was recorded so far is of no interest any more."""
        self.begin = time.time()

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.dir, ignore_errors=True)


def read_pcap(path):
    """(time, frame) of a pcap in either resolution; a record that is still being written ends it."""
    with open(path, "rb") as f:
        head = f.read(24)
        if len(head) < 24:
            return
        scale = 1e-9 if struct.unpack("<I", head[:4])[0] == PCAP_NS else 1e-6
        while len(head := f.read(16)) == 16:
            sec, frac, caught, _ = struct.unpack("<IIII", head)
            frame = f.read(caught)
            if len(frame) < caught:
                return
            yield sec + frac * scale, frame
