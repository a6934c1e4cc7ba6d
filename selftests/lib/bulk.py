# SPDX-License-Identifier: GPL-2.0
"""Many SAs, at the price of a message each: ESP without encryption, for what is about their number, or AES-GCM, for what is about packets. Each has a
far end of its own, by its SPI, for xfrm looks at all between two addresses whenever one is added, and so has its policy an inner address."""
import contextlib
import socket
import struct
import threading

from esptest import until
from esptest.netlink import ACK, CREATE, REQUEST, attr, attributes, message, messages

NETLINK_XFRM, XFRM_MSG_NEWSA, XFRM_MSG_DELSA, XFRM_MSG_GETSA, XFRM_MSG_NEWPOLICY = 6, 0x10, 0x11, 0x12, 0x13
XFRMA_ALG_AUTH, XFRMA_ALG_CRYPT, XFRMA_TMPL, XFRMA_REPLAY_VAL, XFRMA_ALG_AEAD = 1, 2, 5, 10, 18
OUT, FORWARDED = 1, 2
SA_INFO = 224
XFRM_MODE_TUNNEL, AF_UNSPEC_FLAG = 1, 32
BATCH = 64


def _algorithm(kind, name):
    return attr(kind, name.encode().ljust(64, b"\0") + struct.pack("=I", 0))


NULL = _algorithm(XFRMA_ALG_AUTH, "digest_null") + _algorithm(XFRMA_ALG_CRYPT, "ecb(cipher_null)")
# AES of 128 bits and 4 bytes of salt; a tag of 128 bits.
GCM = attr(XFRMA_ALG_AEAD, b"rfc4106(gcm(aes))".ljust(64, b"\0") + struct.pack("=II", 160, 128) + b"\xa1" * 20)


def _packed(address):
    return socket.inet_aton(address).ljust(16, b"\0")


def _far(spi):
    return (10 << 24 | spi & 0xffffff).to_bytes(4, "big").ljust(16, b"\0")


def _ends(local, spi, inbound):
    """(source, destination, destination of struct xfrm_usersa_id)"""
    return (_far(spi), _packed(local)) if inbound else (_packed(local), _far(spi))


def inner(spi):
    """The address behind its far end."""
    return socket.inet_ntoa((11 << 24 | spi & 0xffffff).to_bytes(4, "big"))


def _new(local, spi, inbound, algorithms):
    """struct xfrm_usersa_info: selector, id, source, limits, lifetime, statistics, seq, reqid, family, mode, window, flags."""
    src, dst = _ends(local, spi, inbound)
    body = bytes(56) + dst + struct.pack("!IB3x", spi, socket.IPPROTO_ESP) + src
    body += struct.pack("=8Q", *[(1 << 64) - 1] * 4, 0, 0, 0, 0) + bytes(32) + bytes(12)
    body += struct.pack("=IIHBBB7x", 0, 1, socket.AF_INET, XFRM_MODE_TUNNEL, 32, AF_UNSPEC_FLAG)
    return XFRM_MSG_NEWSA, body + algorithms, CREATE


def _policy(direction, src, dst, to):
    """struct xfrm_userpolicy_info and one template. to: the inner destination, b"": any."""
    selector = to.ljust(16, b"\0") + bytes(24) + struct.pack("=HBB4xiI", socket.AF_INET, 8 * len(to), 0, 0, 0)
    body = selector + struct.pack("=8Q", *[(1 << 64) - 1] * 4, 0, 0, 0, 0) + bytes(32) + struct.pack("=IIBBBB4x", 0, 0, direction, 0, 0, 0)
    tmpl = dst + struct.pack("!IB3x", 0, socket.IPPROTO_ESP) + struct.pack("=H2x", socket.AF_INET) + src
    tmpl += struct.pack("=IBBBx3I", 0, XFRM_MODE_TUNNEL, 0, 0, *[0xffffffff] * 3)
    return XFRM_MSG_NEWPOLICY, body + attr(XFRMA_TMPL, tmpl), CREATE


def packets(local, spis):
    """{SPI: an ESP packet for an inbound one of them, from its IP header on, whose number is its bytes 24 to 27}: what is in it goes nowhere."""
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20, 0, 0, 64, 59, 0, b"\xf0\0\0\2", b"\xf0\0\0\1")
    made = {}
    for spi in spis:
        esp = struct.pack("!II", spi, 0) + inner + struct.pack("BBBB", 1, 2, 2, 4)
        made[spi] = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(esp), 0, 0, 64, 50, 0, _far(spi)[:4], socket.inet_aton(local)) + esp)
    return made


def _id(dst, spi):
    """struct xfrm_usersa_id."""
    return dst + struct.pack("!I", spi) + struct.pack("=HBx", socket.AF_INET, socket.IPPROTO_ESP)


def _delete(spi):
    return XFRM_MSG_DELSA, _id(_far(spi), spi), 0


def edge(sock, local, spi):
    """Of an inbound one: the highest number that it has accepted, asked over a socket of its namespace."""
    sock.send(message(XFRM_MSG_GETSA, _id(_packed(local), spi), REQUEST))
    (kind, _, body), = messages(sock.recv(65536))
    if kind != XFRM_MSG_NEWSA:
        raise LookupError(f"no state {spi:#x}")
    return struct.unpack_from("=II", dict(attributes(body[SA_INFO:]))[XFRMA_REPLAY_VAL])[1]


def asking(ns):
    """A socket for edge()."""
    return ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM)


def edges(ns, local, spis):
    """The edges of some, in their order."""
    with asking(ns) as sock:
        return [edge(sock, local, spi) for spi in spis]


def _send(ns, requests):
    """Each must succeed; answers are read once in a while, for the socket holds only so many."""
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as sock:
        for at in range(0, len(requests), BATCH):
            some = requests[at:at + BATCH]
            sock.send(b"".join(message(kind, body, REQUEST | ACK | flags) for kind, body, flags in some))
            answers = 0
            while answers < len(some):
                for _, _, body in messages(sock.recv(1 << 18)):
                    error, = struct.unpack_from("=i", body)
                    if error:
                        raise OSError(-error, f"[{ns}] xfrm request {at + answers} of {len(requests)}")
                    answers += 1


def add(ns, local, spis, inbound=False, algorithms=NULL):
    """SAs that can carry packets; anti-replay window 32. The far end's own are the same, the other way: inbound ones for who sends."""
    _send(ns, [_new(local, spi, inbound, algorithms) for spi in spis])


def send_by(ns, local, spis, inbound=False):
    """What goes to inner(spi) takes the SA with that SPI, out of this namespace. inbound: as add()."""
    ends = ((spi, _ends(local, spi, inbound)) for spi in spis)
    _send(ns, [_policy(OUT, *pair, socket.inet_aton(inner(spi))) for spi, pair in ends])


def let_through(ns, local):
    """What came in by any SA of this address is forwarded."""
    _send(ns, [_policy(FORWARDED, bytes(16), _packed(local), b"")])


def delete(ns, spis):
    _send(ns, [_delete(spi) for spi in spis])


@contextlib.contextmanager
def coming_and_going(ns, local, spis):
    """SAs are added and deleted all the while; a list that grows by one each time."""
    ending, rounds = threading.Event(), []

    def churn():
        while not ending.is_set():
            add(ns, local, spis)
            delete(ns, spis)
            rounds.append(len(spis))
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        until(lambda: rounds, 10, "SAs come and go")
        yield rounds
    finally:
        ending.set()
        thread.join()
