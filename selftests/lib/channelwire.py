# SPDX-License-Identifier: GPL-2.0
"""
channelwire - the channel's datagrams, made and opened by code that shares nothing with the module.

Job: what an attacker who has the key, or only some key, can put on the wire; and what a test may want to read. Written from the
format at the top of kmod/session.c, on hashlib and plain integers, so that it also judges how the module uses the kernel's
primitives: if either side derived a key in another way, no datagram of one would be opened by the other.
What may not enter: sockets, namespaces, what a payload means.
"""
import hashlib
import os
import struct

VERSION, HELLO, DATA, URGENT, REPLY = 1, 1, 2, 0x80, 0x01
HEAD_LEN, NONCE_LEN, TAG_LEN = 16, 24, 16
HELLO_AD, DATA_AD, DATA_HEAD = 16, 28, 52
ZERO = bytes(16)


# ---- XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) ----

def _rounds(s):
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                s[x] = (s[x] + s[y]) & 0xffffffff
                v = s[z] ^ s[x]
                s[z] = (v << n | v >> 32 - n) & 0xffffffff
    return s


def _state(key, rest):
    return [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, *struct.unpack("<8I", key), *struct.unpack("<4I", rest)]


def _block(key, counter, nonce):
    first = _state(key, struct.pack("<I", counter) + nonce)
    return struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(first, _rounds(first[:]))))


def _subkey(key, nonce):
    s = _rounds(_state(key, nonce[:16]))
    return struct.pack("<8I", *s[:4], *s[12:]), bytes(4) + nonce[16:]


def _xor(key, nonce, text):
    stream = b"".join(_block(key, 1 + i, nonce) for i in range((len(text) + 63) // 64))
    return bytes(a ^ b for a, b in zip(text, stream))


def _tag(key, nonce, ad, text):
    once = _block(key, 0, nonce)
    r = int.from_bytes(once[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    acc, said = 0, ad + bytes(-len(ad) % 16) + text + bytes(-len(text) % 16) + struct.pack("<QQ", len(ad), len(text))
    for i in range(0, len(said), 16):
        acc = (acc + int.from_bytes(said[i:i + 16], "little") + (1 << 128)) * r % ((1 << 130) - 5)
    return ((acc + int.from_bytes(once[16:32], "little")) & ((1 << 128) - 1)).to_bytes(16, "little")


def seal(key, nonce, ad, text):
    """XChaCha20-Poly1305: sealed text and tag."""
    sub, rest = _subkey(key, nonce)
    text = _xor(sub, rest, text)
    return text + _tag(sub, rest, ad, text)


def unseal(key, nonce, ad, sealed):
    """The text, or None if anything is not as it was sealed."""
    sub, rest = _subkey(key, nonce)
    if len(sealed) < TAG_LEN or _tag(sub, rest, ad, sealed[:-TAG_LEN]) != sealed[-TAG_LEN:]:
        return None
    return _xor(sub, rest, sealed[:-TAG_LEN])


# ---- keys ----

def derive(key, length, label, *more):
    """BLAKE2s under the cluster key."""
    return hashlib.blake2s(label.encode() + b"\0" + b"".join(more), key=key, digest_size=length).digest()


class Keys:
    """What a cluster key is used as. @pretend: another key's id on the wire."""

    def __init__(self, key, pretend=None):
        self.key = key
        self.hello = derive(key, 32, "espsync v1 hello")
        self.id = pretend or derive(key, 8, "espsync v1 key id")


class Session:
    """Keys of one pair of nonces, seen from node @me."""

    def __init__(self, keys, me, peer, mine, yours):
        nonces = (mine, yours) if me < peer else (yours, mine)
        low, high = min(me, peer), max(me, peer)
        self.tx = derive(keys.key, 32, "espsync v1 session", bytes((low, high, me)), *nonces)
        self.rx = derive(keys.key, 32, "espsync v1 session", bytes((low, high, peer)), *nonces)
        self.id = derive(keys.key, 4, "espsync v1 session id", bytes((low, high, 0)), *nonces)


# ---- datagrams ----

def head(keys, kind, me, peer, length):
    return struct.pack(">BBBBHH", VERSION, kind, me, peer, length, 0) + keys.id


def hello(keys, me, peer, fresh, mine=ZERO, yours=ZERO, boot=1, versions=(VERSION, VERSION), flags=0, caps=0):
    """A HELLO. With @mine and @yours it is a third step; with @flags REPLY an answer."""
    ad = head(keys, HELLO, me, peer, 120)
    nonce = os.urandom(NONCE_LEN)
    body = fresh + mine + yours + struct.pack(">QIBBBB", boot, caps, *versions, flags, 0)
    return ad + nonce + seal(keys.hello, nonce, ad, body)


def open_hello(keys, datagram):
    """(fresh, mine, yours, flags) or None."""
    body = unseal(keys.hello, datagram[HELLO_AD:HELLO_AD + NONCE_LEN], datagram[:HELLO_AD], datagram[HELLO_AD + NONCE_LEN:])
    return body and (body[:16], body[16:32], body[32:48], body[62])


def data(keys, session, me, peer, seq, payload):
    """A DATA."""
    ad = head(keys, DATA, me, peer, DATA_HEAD + len(payload) + TAG_LEN) + session.id + struct.pack(">Q", seq)
    nonce = os.urandom(NONCE_LEN)
    return ad + nonce + seal(session.tx, nonce, ad, payload)


def open_data(session, datagram):
    """The payload or None."""
    return unseal(session.rx, datagram[DATA_AD:DATA_HEAD], datagram[:DATA_AD], datagram[DATA_HEAD:])


def kind(datagram):
    """HELLO, DATA or neither."""
    return datagram[1] & ~URGENT if len(datagram) >= HEAD_LEN else None
