# SPDX-License-Identifier: GPL-2.0
"""
channelsays - the content of the channel's DATA datagrams, as a peer of this version or of a newer one says it.

Job: bytes of head, groups and records, written from the format in kmod/wire.c, by code that shares nothing with it. What goes beyond this
version (a longer head, longer groups, records of new types) is what its receiver has to pass over.
What may not enter: sealing (channelwire), sockets.
"""
import socket
import struct

UNDECIDED, STANDBY, ACTIVE = range(3)
IN, SILENT, FULL, LEAVE = 1, 2, 4, 8
NAME, OUT, WINDOW, GONE, SYNCED, UNKNOWN = range(1, 7)
HELD, GRANT = 1, 1


def head(groups=(), ts=1, echo=0, hold_us=0, ack_seq=0, ack_bits=0, more=b"", group_more=0, number=None):
    """With its groups. @more: what a newer head has; @group_more: how much longer each of the groups is."""
    return struct.pack(">QQIQQBBBB", ts, echo, hold_us, ack_seq, ack_bits, 1, len(groups) if number is None else number, len(more), group_more) + \
        more + b"".join(groups)


def group(number=0, role=STANDBY, flags=0, node=0, epoch=0, waiting=0, mismatched=0, evict_ms=5000, more=b""):
    return struct.pack(">HBBBQIII", number, role, flags, node, epoch, waiting, mismatched, evict_ms) + more


def name(handle, spi, daddr, fingerprint, direction, flags=HELD, proto=50):
    return struct.pack(">BIBBBBHI", NAME, handle, flags, proto, direction, socket.AF_INET, 0, spi) + socket.inet_aton(daddr) + bytes(12) + fingerprint


def out(handle, ceiling, lease=1 << 20, flags=GRANT, used=(0, 0)):
    return struct.pack(">BIBQIQQ", OUT, handle, flags, ceiling, lease, *used)


def window(handle, seq, used=(0, 0)):
    """One that has seen @seq alone."""
    return struct.pack(">BIQQQHI", WINDOW, handle, *used, seq, 1, 1)


def bare(kind, handle=0):
    """GONE, SYNCED, UNKNOWN."""
    return struct.pack(">BI", kind, handle)


def newer(kind, body=b""):
    """A record of a type that only a newer version knows."""
    return struct.pack(">BH", kind, len(body)) + body
