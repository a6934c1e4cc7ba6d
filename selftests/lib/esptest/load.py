# SPDX-License-Identifier: GPL-2.0
"""UDP packets with numbers and times: a sender and a receiver, each a process of its own."""
import os
import signal
import socket
import struct
import tempfile
import time

from .system import defer

_HEAD = struct.Struct("!4sQd")
_RECORD = struct.Struct("<Qdd")
_MAGIC = b"esps"


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class _Worker:
    """A forked process that works until it is told to stop."""

    def _start(self, work, *args):
        self._ending = False
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGTERM, self._end)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                work(*args)
                os._exit(0)
            except BaseException:
                import traceback
                traceback.print_exc()
            os._exit(1)
        defer(self.stop)

    def _end(self, *_):
        self._ending = True

    def stop(self):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.kill(self.pid, signal.SIGCONT)   # a test that failed may have left it stopped
            os.waitpid(self.pid, 0)
            self.pid = None
        return self

    def _file(self, prefix):
        path = tempfile.mktemp(prefix=prefix)
        defer(lambda: os.path.exists(path) and os.unlink(path))
        return path


class Sender(_Worker):
    """Sends `rate` packets a second from construction to stop(); what cannot be sent is counted, not retried.

    Held up for long (an emulated machine without a processor) it goes on at its rate and makes up for nothing, so `sent` tells
    whether the rate was kept.
    """
    BEHIND_S = 0.05

    def __init__(self, ns, destination, port=7000, rate=200, size=100, source=None):
        self.path = self._file("sent-")
        sock = ns.socket(_family(destination), socket.SOCK_DGRAM)
        if source:
            sock.bind((source, 0))
        self.rate, self.size = rate, size
        self._start(self._send, sock, (destination, port))
        sock.close()

    def _send(self, sock, to):
        number = refused = 0
        pad = bytes(max(0, self.size - _HEAD.size))
        begin = time.monotonic()
        while not self._ending:
            ahead = begin + number / self.rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -self.BEHIND_S:
                begin -= ahead
            try:
                sock.sendto(_HEAD.pack(_MAGIC, number, time.monotonic()) + pad, to)
            except OSError:
                refused += 1
            number += 1
        with open(self.path, "w") as f:
            f.write(f"{number} {refused}\n")

    def _counts(self):
        self.stop()
        with open(self.path) as f:
            return tuple(map(int, f.read().split()))

    @property
    def sent(self):
        """Packets attempted."""
        return self._counts()[0]

    @property
    def refused(self):
        """Of these, refused by the sender's own kernel."""
        return self._counts()[1]


class Flood(_Worker):
    """Numbers by the handful: UDP packets that leave as one and are cut up behind xfrm (GSO), so that each takes `segments` numbers at once.

    As many a second as the machine makes, or `rate` numbers. What happens to them is not noted.
    """
    UDP_SEGMENT, MTU_DISCOVER, DONT = 103, 10, 0
    REST = 0.005    # seconds: to sleep for each packet costs more than to send it

    def __init__(self, ns, destination, port=7000, rate=None, segments=64, size=8):
        sock = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_UDP, self.UDP_SEGMENT, size)
        # xfrm measures what must not be fragmented, and cannot measure this.
        sock.setsockopt(socket.IPPROTO_IP, self.MTU_DISCOVER, self.DONT)
        sock.connect((destination, port))
        self._start(self._send, sock, bytes(size * segments), segments, rate)
        sock.close()

    def _send(self, sock, data, segments, rate):
        due = time.monotonic()
        while not self._ending:
            try:
                sock.send(data)
            except OSError:
                pass
            if rate:
                due += segments / rate
                if due > time.monotonic():
                    time.sleep(max(self.REST, due - time.monotonic()))


class Receiver(_Worker):
    """Notes every packet that arrives at a port."""

    def __init__(self, ns, address, port=7000):
        self.path = self._file("received-")
        sock = ns.socket(_family(address), socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        sock.bind((address, port))
        self._start(self._receive, sock)
        sock.close()

    def _receive(self, sock):
        sock.settimeout(0.05)
        with open(self.path, "ab", buffering=0) as out:
            while True:
                try:
                    data = sock.recv(2048)
                except (TimeoutError, InterruptedError):
                    if self._ending:
                        return
                    continue
                magic, number, sent = _HEAD.unpack_from(data)
                if magic == _MAGIC:
                    out.write(_RECORD.pack(number, sent, time.monotonic()))

    @property
    def packets(self):
        """(number, time sent, time received), monotonic clock, in order of arrival, so far."""
        try:
            with open(self.path, "rb") as f:
                data = f.read()
        except FileNotFoundError:
            return []
        return list(_RECORD.iter_unpack(data[:len(data) - len(data) % _RECORD.size]))

    @property
    def count(self):
        try:
            return os.path.getsize(self.path) // _RECORD.size
        except FileNotFoundError:
            return 0

    def longest_gap(self, since=0.0):
        """Seconds between two arrivals, and when it began."""
        times = [r for _, _, r in self.packets if r >= since]
        return max(((b - a, a) for a, b in zip(times, times[1:])), default=(0.0, 0.0))

    def duplicates(self):
        numbers = [n for n, _, _ in self.packets]
        return len(numbers) - len(set(numbers))
