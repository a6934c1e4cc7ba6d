# SPDX-License-Identifier: GPL-2.0
"""Many SAs, at the price of a message each: ESP without encryption, for what is about their number. Each has a far end of its own, by its
SPI, for xfrm looks at all between two addresses whenever one is added."""
import socket
import struct

from esptest.netlink import ACK, CREATE, REQUEST, attr, message, messages

NETLINK_XFRM, XFRM_MSG_NEWSA, XFRM_MSG_DELSA = 6, 0x10, 0x11
XFRMA_ALG_AUTH, XFRMA_ALG_CRYPT = 1, 2
XFRM_MODE_TUNNEL, AF_UNSPEC_FLAG = 1, 32
BATCH = 64


def _algorithm(kind, name):
    return attr(kind, name.encode().ljust(64, b"\0") + struct.pack("=I", 0))


_ALGORITHMS = _algorithm(XFRMA_ALG_AUTH, "digest_null") + _algorithm(XFRMA_ALG_CRYPT, "ecb(cipher_null)")


def _packed(address):
    return socket.inet_aton(address).ljust(16, b"\0")


def _far(spi):
    return (10 << 24 | spi & 0xffffff).to_bytes(4, "big").ljust(16, b"\0")


def _new(src, spi):
    """struct xfrm_usersa_info: selector, id, source, limits, lifetime, statistics, seq, reqid, family, mode, window, flags."""
    body = bytes(56) + _far(spi) + struct.pack("!IB3x", spi, socket.IPPROTO_ESP) + _packed(src)
    body += struct.pack("=8Q", *[(1 << 64) - 1] * 4, 0, 0, 0, 0) + bytes(32) + bytes(12)
    body += struct.pack("=IIHBBB7x", 0, 1, socket.AF_INET, XFRM_MODE_TUNNEL, 32, AF_UNSPEC_FLAG)
    return XFRM_MSG_NEWSA, body + _ALGORITHMS, CREATE


def _delete(spi):
    """struct xfrm_usersa_id."""
    return XFRM_MSG_DELSA, _far(spi) + struct.pack("!I", spi) + struct.pack("=HBx", socket.AF_INET, socket.IPPROTO_ESP), 0


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


def add(ns, src, spis):
    """SAs that can carry packets; anti-replay window 32."""
    _send(ns, [_new(src, spi) for spi in spis])


def delete(ns, spis):
    _send(ns, [_delete(spi) for spi in spis])
