# SPDX-License-Identifier: GPL-2.0
"""What is on the wire, recorded by a process of its own: ESP, native and in UDP, AH, and IKE.

Job: be a judge that misses nothing. Every packet becomes a record in a file;
the kernel's own count of packets that it could not hand over is `dropped`, and
a checker refuses a capture where it is not 0.
"""
import collections
import os
import signal
import socket
import struct
import tempfile
import time

from .system import defer

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 263, 6, 4
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37

# kind (0 ESP or AH, 1 IKE), out, udp, time, spi or message id, seq or exchange | flags << 8, source and destination, length, offset of the frame
_RECORD = struct.Struct("<BBBxdII16s16sIQ")

Esp = collections.namedtuple("Esp", "time out udp spi seq src dst length frame")
Ike = collections.namedtuple("Ike", "time out udp exchange flags message_id src dst length frame")
Ike.response = property(lambda self: bool(self.flags & 0x20))


def parse(frame, link=14):
    """(kind, udp, spi or message id, seq or exchange | flags << 8, src, dst) of a frame, or None."""
    ethertype, = struct.unpack_from("!H", frame, link - 2) if link else (0x0800 if frame[0] >> 4 == 4 else 0x86dd,)
    if ethertype == 0x0800 and len(frame) >= link + 20:
        proto, src, dst = frame[link + 9], frame[link + 12:link + 16], frame[link + 16:link + 20]
        if struct.unpack_from("!H", frame, link + 6)[0] & 0x1fff:
            return None
        at = link + (frame[link] & 15) * 4
    elif ethertype == 0x86dd and len(frame) >= link + 40:
        proto, src, dst = frame[link + 6], frame[link + 8:link + 24], frame[link + 24:link + 40]
        at = link + 40
    else:
        return None
    if proto == 50 and len(frame) >= at + 8:
        return (0, 0, *struct.unpack_from("!II", frame, at), src, dst)
    if proto == 51 and len(frame) >= at + 12:
        return (0, 0, *struct.unpack_from("!II", frame, at + 4), src, dst)
    if proto != 17 or len(frame) < at + 16:
        return None
    sport, dport = struct.unpack_from("!HH", frame, at)
    at += 8
    if 4500 in (sport, dport) and frame[at:at + 4] != b"\0\0\0\0":
        return (0, 1, *struct.unpack_from("!II", frame, at), src, dst)
    if 4500 in (sport, dport):
        at += 4
    elif 500 not in (sport, dport):
        return None
    if len(frame) < at + 28:
        return None
    exchange, flags, message = struct.unpack_from("!BBI", frame, at + 18)
    return 1, at & 4, message, exchange | flags << 8, src, dst


def _record(sock, path, keep, ready):
    """The capturing process: until SIGTERM, then what the kernel still holds."""
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(time.monotonic()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock.settimeout(0.05)
    frames = open(path + ".frames", "wb")
    with open(path, "ab", buffering=0) as out:
        os.write(ready, b"1")
        offset = 0
        # What the kernel held when the end came is taken; traffic that never pauses is not waited for.
        while not ending or time.monotonic() < ending[0] + 0.5:
            try:
                frame, anc, _, addr = sock.recvmsg(65536 if keep else 256, 64)
            except (TimeoutError, InterruptedError):
                if ending:
                    break
                continue
            seen = parse(frame)
            if not seen:
                continue
            kind, udp, a, b, src, dst = seen
            sec, nsec = struct.unpack("qq", anc[0][2][:16]) if anc else (time.time(), 0)
            if keep:
                frames.write(struct.pack("<I", len(frame)) + frame)
            out.write(_RECORD.pack(kind, addr[2] == PACKET_OUTGOING, bool(udp), sec + nsec / 1e9, a, b,
                                   src.ljust(16, b"\0"), dst.ljust(16, b"\0"), len(src) << 16 | len(frame), offset))
            offset += 4 + len(frame)
    frames.close()
    packets, drops = struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    with open(path + ".drops", "w") as f:
        f.write(f"{drops}\n")


class Capture:
    """Records a device of a namespace, or all ("") that are there or will be, from construction to stop(). Times are the wall clock's."""

    def __init__(self, ns, dev, keep=False):
        self.name = f"{ns}:{dev}"
        self.path = tempfile.mktemp(prefix="capture-")
        self.keep = keep
        self._read, self._packets, self._dropped = 0, [], None
        sock = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0 if dev else socket.htons(ETH_P_ALL))
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if dev:
            sock.bind((dev, ETH_P_ALL))
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _record(sock, self.path, keep, tell)
                os._exit(0)
            except BaseException:
                import traceback
                traceback.print_exc()
            os._exit(1)
        sock.close()
        os.close(tell)
        os.read(ready, 1)
        os.close(ready)
        defer(self.stop)
        defer(self._remove)

    def _update(self):
        with open(self.path, "rb") as f:
            f.seek(self._read)
            data = f.read()
        whole = len(data) - len(data) % _RECORD.size
        self._read += whole
        for kind, out, udp, when, a, b, src, dst, lengths, offset in _RECORD.iter_unpack(data[:whole]):
            size = lengths >> 16
            family = socket.AF_INET if size == 4 else socket.AF_INET6
            ends = socket.inet_ntop(family, src[:size]), socket.inet_ntop(family, dst[:size])
            if kind == 0:
                self._packets.append(Esp(when, bool(out), bool(udp), a, b, *ends, lengths & 0xffff, offset))
            else:
                self._packets.append(Ike(when, bool(out), bool(udp), b & 0xff, b >> 8, a, *ends, lengths & 0xffff, offset))

    @property
    def packets(self):
        self._update()
        return self._packets

    def esp(self, spi=None, out=None, since=0.0):
        """ESP and AH packets, of one SPI, of one direction (as the device's own end sees it), from a time on."""
        return [p for p in self.packets if isinstance(p, Esp) and p.time >= since
                and (spi is None or p.spi == spi) and (out is None or p.out == out)]

    def ike(self, exchange=None, requests=None, since=0.0):
        return [p for p in self.packets if isinstance(p, Ike) and p.time >= since
                and (exchange is None or p.exchange == exchange) and (requests is None or p.response != requests)]

    def sa_inits(self, since=0.0):
        """IKE_SA_INIT requests: each is a far end that began anew."""
        return len(self.ike(IKE_SA_INIT, requests=True, since=since))

    def bytes_of(self, packet):
        """The frame, of a capture made with keep=True; stop() it first."""
        return self.frames_of([packet])[0]

    def frames_of(self, packets):
        """The same of many at once."""
        def frame(f, at):
            f.seek(at)
            return f.read(struct.unpack("<I", f.read(4))[0])

        with open(self.path + ".frames", "rb") as f:
            return [frame(f, p.frame) for p in packets]

    def frames(self, **which):
        """(packet, its frame) of every ESP packet that esp() names, in order; of a capture made with keep=True that was stopped."""
        with open(self.path + ".frames", "rb") as f:
            for packet in self.esp(**which):
                f.seek(packet.frame)
                yield packet, f.read(struct.unpack("<I", f.read(4))[0])

    def stop(self):
        """End the recording; packets and dropped are final."""
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
            self.pid = None
            self._update()
            with open(self.path + ".drops") as f:
                self._dropped = int(f.read())
        return self

    @property
    def dropped(self):
        self.stop()
        return self._dropped

    def _remove(self):
        self.stop()
        for end in ("", ".frames", ".drops"):
            if os.path.exists(self.path + end):
                os.unlink(self.path + end)


def repeats(captures, out=True):
    """Every (spi, destination, number) that was sent more than once, seen by captures that each see a packet once.

    For the gateways' outer devices out=True; for the client's alone out=False.
    A capture that lost packets is no evidence: that is an AssertionError.
    """
    seen = collections.defaultdict(list)
    for c in captures:
        if c.dropped:
            raise AssertionError(f"the capture at {c.name} lost {c.dropped} packets, so it proves nothing")
        for p in c.esp(out=out):
            seen[p.spi, p.dst, p.seq].append((c.name, p.time))
    return {k: v for k, v in seen.items() if len(v) > 1}
