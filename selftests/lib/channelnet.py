# SPDX-License-Identifier: GPL-2.0
"""Two gateways in sync, and a third end on their wire that sends what it likes.

      gw1 10.99.0.1 ---p1   p2--- gw2 10.99.0.2        wire: a bridge
                       wire
      evil 10.99.0.66 ---p3

Job: the network, the channels on it, what comes by and what can be sent, and what the gateways show. What must not change is for the tests
to say.
"""
import json
import socket
import struct
import tempfile

from esptest import Ns, Tunnel, bridge, sh, until, veth

PORT = 4520
KEY = "a7" * 32
VIP, CLIENT = "192.0.2.1", "192.0.2.100"
GATEWAYS = ("gw1", "gw2")
ADDR = {"gw1": "10.99.0.1", "gw2": "10.99.0.2", "evil": "10.99.0.66"}
ADDR6 = {"gw1": "fd99::1", "gw2": "fd99::2"}
NODE = {"gw1": 1, "gw2": 2, "evil": 3}
NAME = {1: "gw1", 2: "gw2", 3: "evil", 66: "evil"}	# last byte of the MAC and of the IP address
REASONS = ("auth", "replay", "truncated", "version", "key-id", "unknown-peer", "unknown-sa", "no-memory", "rate")
SO_RCVBUFFORCE = 33


def tool(ns, *args, ok=(0,)):
    return sh(["espsync", "-n", ns, *args], ok=ok)


def show(ns, *what):
    return json.loads(tool(ns, "-j", "show", *what))


def make_network():
    """One tunnel, SPIs 0x1000 and 0x1001."""
    wire, ns = Ns("wire"), {name: Ns(name) for name in ADDR}
    for name, n in NODE.items():
        veth(ns[name], "s0", wire, f"p{n}")
        ns[name].ip(f"link set s0 address 02:00:00:00:00:{n:02x}")
        ns[name].address("s0", ADDR[name] + "/24")
    bridge(wire, "br0", *(f"p{n}" for n in NODE.values()))
    for name, other in zip(GATEWAYS, GATEWAYS[::-1]):
        ns[name].address("s0", ADDR6[name] + "/64")
        ns[name].address("lo", VIP + "/32")
        # Under ::/0 policies neighbours cannot be asked for.
        ns[name].ip(f"neigh replace {ADDR6[other]} lladdr 02:00:00:00:00:{NODE[other]:02x} dev s0 nud permanent")
        Tunnel(CLIENT, VIP, spi=0x1000, esn=True, window=64).install(ns[name])
    return ns


def make_channel(ns, addrs=ADDR):
    """A channel, its one peer, and its group."""
    peer = "gw2" if ns == "gw1" else "gw1"
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(KEY)
        f.flush()
        tool(ns, "channel", "set", "node", str(NODE[ns]), "local", addrs[ns], "psk-file", f.name)
    tool(ns, "group", "set", "0", "addr", VIP)
    tool(ns, "peer", "add", str(NODE[peer]), addrs[peer])


def in_sync(sas=2):
    one, two = show("gw1"), show("gw2")
    return (len(one["peers"]) == len(two["peers"]) == 1 and one["peers"][0]["state"] == two["peers"][0]["state"] == "up" and
            one["peers"][0]["sas_synced"] == sas and two["groups"][0]["in"])


def connect(addrs=ADDR, sas=2, timeout=15):
    """gw1 active."""
    for ns in GATEWAYS:
        make_channel(ns, addrs)
    tool("gw2", "demote")
    tool("gw1", "promote")
    until(lambda: in_sync(sas), timeout, "gw1 and gw2 are in sync")


def anew(sas=2):
    """Both channels from the beginning."""
    for ns in GATEWAYS:
        tool(ns, "channel", "del", "--release", ok=None)
    connect(sas=sas, timeout=30)


class Tape:
    """Every datagram of the channel that gw2 sends or gets, as (from, to, datagram): from by its MAC address, to by its IP address."""

    def __init__(self, ns):
        self.sock = ns["gw2"].socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.sock.bind(("s0", 3))
        self.sock.setblocking(False)

    def read(self):
        """What came since the last time."""
        new = []
        while True:
            try:
                packet, (_, proto, _, _, mac) = self.sock.recvfrom(4096)
            except BlockingIOError:
                return new
            if proto != 0x0800 or packet[9] != socket.IPPROTO_UDP or packet[22:24] != struct.pack(">H", PORT):
                continue
            length = struct.unpack(">H", packet[24:26])[0]
            new.append((NAME[mac[5]], NAME[packet[19]], packet[28:20 + length]))


class Evil:
    """Sends from any address."""

    def __init__(self, ns):
        self.sock = ns["evil"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, datagram, src="gw1", dst="gw2"):
        src = ADDR.get(src, src)
        udp = struct.pack(">HHHH", PORT, PORT, 8 + len(datagram), 0) + datagram
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
        self.sock.sendto(ip + socket.inet_aton(src) + socket.inet_aton(ADDR[dst]) + udp, (ADDR[dst], 0))


def drops():
    """gw2's drops by reason, whoever is blamed."""
    shown = show("gw2")
    said = [p["dropped"] for p in shown["peers"]] + [shown["stats"]["dropped"]]
    return {r: sum(int(d[r]) for d in said) for r in REASONS}


def state():
    """All that a datagram could change, of both gateways. Whether a peer is heard at this moment is for in_sync()."""
    found = []
    for ns in GATEWAYS:
        shown = show(ns)
        found += [{k: p[k] for k in ("node", "addr", "port", "sas_synced", "sas_total", "version")} for p in shown["peers"]]
        found += shown["groups"]
        found += [{k: shown["stats"][k] for k in ("sas", "waiting", "tombstones", "merges", "stalls")}]
        found += [{k: sa[k] for k in ("spi", "dir", "fingerprint", "oseq", "ceiling", "seq", "owner", "state")} for sa in show(ns, "sas")]
    return found
