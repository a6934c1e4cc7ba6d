# SPDX-License-Identifier: GPL-2.0
"""SAs and policies by hand, with ip xfrm, and what the kernel counts about them."""
import dataclasses
import errno
import re
import socket
import struct

from .netlink import ACK, DONE, DUMP, ERROR, REPLACE, REQUEST, attr, attributes, message, messages, request
from .net import Ns
from .system import defer, sh

ALGORITHMS = {
    "gcm": ["aead", "rfc4106(gcm(aes))", "0x" + "a1" * 20, "128"],
    "gcm256": ["aead", "rfc4106(gcm(aes))", "0x" + "a2" * 36, "128"],
    "chacha": ["aead", "rfc7539esp(chacha20,poly1305)", "0x" + "c3" * 36, "128"],
    "gmac": ["aead", "rfc4543(gcm(aes))", "0x" + "d8" * 20, "128"],
    "ctr": ["enc", "rfc3686(ctr(aes))", "0x" + "d6" * 20, "auth-trunc", "hmac(sha256)", "0x" + "d7" * 32, "128"],
    "cbc-sha256": ["enc", "cbc(aes)", "0x" + "b4" * 16, "auth-trunc", "hmac(sha256)", "0x" + "b5" * 32, "128"],
    "sha256": ["auth-trunc", "hmac(sha256)", "0x" + "b8" * 32, "128"],
    "cbc-sha512": ["enc", "cbc(aes)", "0x" + "b6" * 32, "auth-trunc", "hmac(sha512)", "0x" + "b7" * 64, "256"],
}
UDP_ENCAP, UDP_ENCAP_ESPINUDP = 100, 2
NETLINK_XFRM, XFRM_MSG_NEWAE, XFRMA_REPLAY_VAL, XFRMA_REPLAY_ESN_VAL, XFRM_MSG_GETSA = 6, 0x1e, 10, 23, 0x12


@dataclasses.dataclass
class Sa:
    """One direction. window 0 with esn False is what an outbound SA has by default."""
    src: str
    dst: str
    spi: int
    mode: str = "tunnel"
    alg: str = "gcm"
    window: int = 32
    esn: bool = False
    encap: tuple = None
    reqid: int = 1
    key: str = None
    proto: str = "esp"
    extra: tuple = ()

    def id(self):
        return ["src", self.src, "dst", self.dst, "proto", self.proto, "spi", f"{self.spi:#x}"]

    def words(self):
        """The words of ip xfrm state add."""
        alg = list(ALGORITHMS[self.alg])
        if self.key:
            alg[2] = self.key
        words = [*self.id(), "reqid", str(self.reqid), "mode", self.mode, "replay-window", str(self.window),
                 "flag", *(["af-unspec"] if self.mode == "tunnel" else []), *(["esn"] if self.esn else [])]
        if words[-1] == "flag":
            words.pop()
        words += alg
        if self.encap:
            words += ["encap", "espinudp", str(self.encap[0]), str(self.encap[1]), "::" if ":" in self.src else "0.0.0.0"]
        return [*words, *map(str, self.extra)]

    def add(self, ns):
        sh(["ip", "-n", ns, "xfrm", "state", "add", *self.words()])

    def update(self, ns):
        sh(["ip", "-n", ns, "xfrm", "state", "update", *self.words()])

    def delete(self, ns, ok=(0,)):
        sh(["ip", "-n", ns, "xfrm", "state", "delete", *self.id()], ok=ok)

    def state(self, ns):
        return state(ns, self.spi, self.dst)

    def set_oseq(self, ns, oseq):
        """Write an outbound SA's counter with XFRM_MSG_NEWAE: where much more traffic would have brought it."""
        if self.esn or self.window > 32:
            words = (self.window + 31) // 32
            value = struct.pack(f"=6I{4 * words}x", words, oseq & 0xffffffff, 0, oseq >> 32, 0, self.window)
            replay = attr(XFRMA_REPLAY_ESN_VAL, value)
        else:
            replay = attr(XFRMA_REPLAY_VAL, struct.pack("=III", oseq, 0, 0))
        family = socket.AF_INET6 if ":" in self.dst else socket.AF_INET
        dst, src = (socket.inet_pton(family, a).ljust(16, b"\0") for a in (self.dst, self.src))
        body = dst + struct.pack("!I", self.spi) + struct.pack("=HBx", family, socket.IPPROTO_ESP) + src + bytes(8) + replay
        with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as sock:
            request(sock, message(XFRM_MSG_NEWAE, body, REQUEST | ACK | REPLACE), f"[{ns}] spi {self.spi:#x}: set the counter to {oseq}")


def state(ns, spi, dst=None):
    """One state's counters as a dict, or None if it is not there."""
    return next((s for s in states(ns) if s["spi"] == spi and dst in (None, s["dst"])), None)


def states(ns):
    """All states: src, dst, spi, seq, oseq (64 bits), window, bitmap (list of words), replay (packets refused), bytes, packets."""
    text = sh(["ip", "-n", ns, "-s", "xfrm", "state"])
    return [_state(block) for block in re.split(r"(?m)^(?=src )", text) if block.startswith("src ")]


def counts(ns):
    """{SPI: (packets, refused)} of all states, by one request: cheap enough to ask again and again."""
    found = {}
    for body in _dump(ns, XFRM_MSG_GETSA):
        # struct xfrm_usersa_info: the SPI at 72, packets at 168, statistics at 192
        spi, = struct.unpack_from("!I", body, 72)
        packets, = struct.unpack_from("=Q", body, 168)
        found[spi] = packets, sum(struct.unpack_from("=3I", body, 192))
    return found


def _state(block):
    s = {"text": block}
    s["src"], s["dst"] = re.match(r"src (\S+) dst (\S+)", block).groups()
    s["spi"] = int(re.search(r"spi (0x[0-9a-f]+)", block)[1], 16)
    if m := re.search(r"seq-hi 0x([0-9a-f]+), seq 0x([0-9a-f]+), oseq-hi 0x([0-9a-f]+), oseq 0x([0-9a-f]+)\s+"
                      r"replay_window (\d+), bitmap-length (\d+)\s+((?:[0-9a-f]{8}\s+)*)", block):
        hi, lo, ohi, olo = (int(x, 16) for x in m.groups()[:4])
        s.update(seq=hi << 32 | lo, oseq=ohi << 32 | olo, window=int(m[5]), bitmap=[int(w, 16) for w in m[7].split()])
    elif m := re.search(r"context: seq 0x([0-9a-f]+), oseq 0x([0-9a-f]+), bitmap 0x([0-9a-f]+)", block):
        seq, oseq, bits = (int(x, 16) for x in m.groups())
        s.update(seq=seq, oseq=oseq, window=int(re.search(r"replay-window (\d+)", block)[1]), bitmap=[bits])
    if m := re.search(r"stats:\s+replay-window (\d+) replay (\d+) failed (\d+)", block):
        s.update(replay_window=int(m[1]), replay=int(m[2]), failed=int(m[3]))
    if m := re.search(r"lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)", block):
        s.update(bytes=int(m[1]), packets=int(m[2]))
    return s


def xfrm_stat(ns):
    """/proc/net/xfrm_stat as a dict."""
    def read():
        with open("/proc/thread-self/net/xfrm_stat") as f:
            return {k: int(v) for k, v in map(str.split, f)}
    return ns.call(read)


XFRM_MSG_NEWSA, XFRM_MSG_NEWPOLICY, XFRM_MSG_GETPOLICY = 0x10, 0x13, 0x15
XFRMA_TMPL, XFRMA_LASTUSED, XFRMA_OFFLOAD_DEV, XFRMA_SA_DIR, XFRMA_SA_PCPU = 5, 15, 28, 33, 35
XFRM_MODE_IPTFS = 5
SA_SIZE, SA_SPI, SA_MODE, SA_WINDOW = 224, 72, 214, 215     # of struct xfrm_usersa_info
POLICY_SIZE, TMPL_SIZE, TMPL_MODE = 168, 64, 48             # of struct xfrm_userpolicy_info and xfrm_user_tmpl
_scratch = []


def _dump(ns, kind):
    found = []
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as sock:
        sock.send(message(kind, b"", REQUEST | DUMP))
        while True:
            for what, _, body in messages(sock.recv(65536)):
                if what in (ERROR, DONE):
                    return found
                found.append(body)


def _amended_state(body, outbound, mode, attrs):
    head, spi = bytearray(body[:SA_SIZE]), struct.unpack_from("!I", body, SA_SPI)[0]
    out = spi == outbound
    found = {k: v for k, v in attributes(body[SA_SIZE:]) if k != XFRMA_LASTUSED}
    if mode:
        head[SA_MODE] = mode
    if out:     # one that only sends has no window
        head[SA_WINDOW] = 0
    if esn := found.get(XFRMA_REPLAY_ESN_VAL):      # and one that only receives no number
        words, oseq, seq, oseq_hi, seq_hi, window = struct.unpack_from("=6I", esn)
        found[XFRMA_REPLAY_ESN_VAL] = struct.pack("=6I", 0, oseq, 0, oseq_hi, 0, 0) if out else \
            struct.pack("=6I", words, 0, seq, 0, seq_hi, window) + esn[24:]
    found[XFRMA_SA_DIR] = b"\2" if out else b"\1"
    found.update(attrs(spi, out) if attrs else {})
    return bytes(head) + b"".join(attr(k, v) for k, v in found.items())


def _amended_policy(body, mode):
    found = dict(attributes(body[POLICY_SIZE:]))
    tmpl = bytearray(found[XFRMA_TMPL])
    if mode:
        tmpl[TMPL_MODE::TMPL_SIZE] = bytes([mode] * (len(tmpl) // TMPL_SIZE))
    found[XFRMA_TMPL] = bytes(tmpl)
    return body[:POLICY_SIZE] + b"".join(attr(k, v) for k, v in found.items())


def amended(ns, lines, outbound, mode=None, attrs=None):
    """What `ip` makes of lines, with more than it can say: made in a namespace of its own, read back, changed and sent to ns.

    Each state gets its direction (outbound: the SPI of those that send). mode: another one. attrs(spi, out): more attributes, a dict.
    """
    if not _scratch:
        _scratch.append(Ns("scratch"))
    at = _scratch[0]
    at.batch(lines)
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as sock:
        for body in _dump(at, XFRM_MSG_GETSA):
            request(sock, message(XFRM_MSG_NEWSA, _amended_state(body, outbound, mode, attrs)), f"[{ns}] add a state")
        for body in _dump(at, XFRM_MSG_GETPOLICY):
            request(sock, message(XFRM_MSG_NEWPOLICY, _amended_policy(body, mode)), f"[{ns}] add a policy",
                    ok=(errno.EEXIST,))     # several SAs may serve one
    at.batch(["xfrm state flush", "xfrm policy flush"])


def encap_socket(ns, address="0.0.0.0", port=4500):
    """The socket that hands ESP in UDP to xfrm, as charon's would; open until the end."""
    sock = ns.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
    defer(sock.close)
    return sock


class Tunnel:
    """A pair of SAs and the policies of a client and a gateway; install() it on as many gateways as share the address.

    outer: client's and gateway's address. inner: the client's and the far network (mode transport: the outer addresses; mode beet: one address each).
    on_gateways: words for states and policies there alone, such as a mark. beyond: what this system's `ip` cannot say, see amended().
    """

    def __init__(self, client, gateway, inner=("10.2.0.1/32", "10.1.0.0/24"), spi=0x1000, mode="tunnel", on_gateways="", beyond=None, **sa):
        self.client, self.gateway, self.mode = client, gateway, mode
        self.on_gateways, self.beyond, self.proto = on_gateways, beyond, sa.get("proto", "esp")
        width = "128" if ":" in client else "32"
        self.inner = inner if mode != "transport" else (f"{client}/{width}", f"{gateway}/{width}")
        self.reqid = spi & 0x3fff or 1
        encap = sa.pop("encap", None)
        self.to_gw = Sa(client, gateway, spi, mode, encap=encap, reqid=self.reqid, **sa)
        self.to_client = Sa(gateway, client, spi + 1, mode, encap=encap and encap[::-1], reqid=self.reqid, **sa)
        if mode == "beet":
            self.to_gw.extra += ("sel", "src", self.inner[0], "dst", self.inner[1])
            self.to_client.extra += ("sel", "src", self.inner[1], "dst", self.inner[0])

    def outbound(self, gateway):
        """The SPI of the SA that such a node sends with."""
        return (self.to_client if gateway else self.to_gw).spi

    def _policies(self, gateway, verb):
        """Lines for ip -batch."""
        there, here = self.inner if gateway else self.inner[::-1]
        out = (self.gateway, self.client) if gateway else (self.client, self.gateway)
        sides = [("out", here, there, out), ("in", there, here, out[::-1])]
        if gateway and self.mode != "transport":
            sides.append(("fwd", there, here, out[::-1]))
        for direction, src, dst, ends in sides:
            line = f"xfrm policy {verb} src {src} dst {dst} dir {direction}" + (f" {self.on_gateways}" if gateway else "")
            if verb != "delete":
                line += f" tmpl src {ends[0]} dst {ends[1]} proto {self.proto} reqid {self.reqid} mode {self.mode}"
            yield line

    def states(self, gateway, verb="add"):
        """Lines for ip -batch."""
        for sa in (self.to_gw, self.to_client):
            words, named = (sa.id(), self.on_gateways.startswith("mark")) if verb == "delete" else (sa.words(), True)
            yield f"xfrm state {verb} {' '.join(words)}" + (f" {self.on_gateways}" if gateway and named else "")

    def install(self, ns, gateway=True):
        lines = [*self.states(gateway), *self._policies(gateway, "add")]
        if self.beyond is not None:
            amended(ns, lines, self.outbound(gateway), **self.beyond)
        else:
            ns.batch(lines)
        return self

    def install_client(self, ns):
        return self.install(ns, gateway=False)

    def remove(self, ns, gateway=True):
        """Whatever of it is there."""
        sh(["ip", "-n", ns, "-force", "-batch", "-"], ok=None, stdin="\n".join(
            [*self._policies(gateway, "delete"), *self.states(gateway, "delete")]) + "\n")
