# SPDX-License-Identifier: GPL-2.0
"""Messages of strongSwan's ha plugin, version 5, as long as its own: what a test says that is a charon.

Job: bytes. IKE SAs are told apart by a number. The secrets in them are random.
"""
import os
import struct

MID_I, MID_R, IKE_DELETE = 3, 4, 5
ACTIVE, PASSIVE = b"\x05\x0a\x24\0\x01", b"\x05\x0a"      # heartbeats


def name(attribute, n):
    return struct.pack("!BBQQB", attribute, 2, n, ~n & (1 << 64) - 1, 0)


def chunk(attribute, length):
    return struct.pack("!BH", attribute, length) + os.urandom(length)


def ike_add(n, old=0):
    """As long as strongSwan's, with x25519."""
    rekeyed = name(2, old) + b"\x15\0\x05" + chunk(19, 32) if old else b""
    algorithms = b"".join(struct.pack("!BH", a, 1) for a in (20, 22, 23, 24, 25))
    return b"\x05\x01" + name(1, n) + rekeyed + algorithms + chunk(15, 32) + chunk(16, 32) + chunk(17, 32)


def ike_update(n, conn):
    ids = b"".join(bytes((a, 2, 30)) + b"i" * 30 for a in (3, 4))
    hosts = b"\x06\x01\xf4\x02" + bytes((192, 0, 2, 1)) + b"\x07\x01\xf4\x02" + bytes((198, 51, 100, 1))
    return b"\x05\x02" + name(1, n) + ids + hosts + b"\x09\0\0\0\0\x0a\0\0\0\0" * 2 + b"\x08" + conn.encode() + b"\0"


def message_id(n, kind, value):
    return bytes((5, kind)) + name(1, n) + struct.pack("!BI", 35, value)


def child_add(n, spi):
    selectors = b"".join(bytes((a, 7, 0, 0, 0, 255, 255, 0, 10, 0, 0, 0, 10, 255, 255, 255)) for a in (33, 34))
    return b"\x05\x06" + name(1, n) + struct.pack("=BIBI", 29, spi, 30, spi) + b"\x08net\0" + chunk(15, 32) + chunk(16, 32) + selectors


def child_delete(n, spi):
    return b"\x05\x07" + name(1, n) + struct.pack("=BI", 29, spi)
