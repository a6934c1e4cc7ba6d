# SPDX-License-Identifier: GPL-2.0
"""Netlink by hand: messages made and taken apart, for what no tool would send and what must not cost a process."""
import os
import struct

REQUEST, MULTI, ACK, REPLACE, CREATE, DUMP = 1, 2, 4, 0x100, 0x400, 0x300
ERROR, DONE = 2, 3      # kinds; an acknowledgement is an error of 0
NESTED = 0x8000


def attr(kind, value=b""):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind, *attrs):
    """attrs: (kind, value)."""
    return attr(kind | NESTED, b"".join(attr(k, v) for k, v in attrs))


def attributes(data):
    """[(kind, value)]; ValueError if what the kernel made is not well formed."""
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if not 4 <= length <= len(data):
            raise ValueError(f"attribute {kind & 0x3fff} of length {length} in {len(data)} bytes")
        found.append((kind & 0x3fff, data[4:length]))
        data = data[length + 3 & ~3:]
    if data:
        raise ValueError(f"{len(data)} bytes behind the last attribute")
    return found


def message(kind, body, flags=REQUEST | ACK, seq=1):
    return struct.pack("=IHHII", 16 + len(body), kind, flags, seq, 0) + body


def messages(data):
    """(kind, flags, body) of each message that one read brought."""
    while len(data) >= 16:
        length, kind, flags = struct.unpack_from("=IHH", data)
        yield kind, flags, data[16:length]
        data = data[length + 3 & ~3:]


def request(sock, m, what, ok=()):
    """Sends a message and waits for its acknowledgement; an error that is not in ok is an OSError that begins with what."""
    sock.send(m)
    error, = struct.unpack_from("=i", sock.recv(8192), 16)
    if error and -error not in ok:
        raise OSError(-error, f"{what}: {os.strerror(-error)}")
