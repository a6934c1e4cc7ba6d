# SPDX-License-Identifier: GPL-2.0
"""A gateway that dies between two steps of an exchange.

Job: which steps an exchange of a gateway's charon has, and silence from behind one of them on. A step is an IKE packet that came or
went, or a message of the ha plugin to espsyncd. What becomes of the far end is killpoints.py's.

    steps = watched(gw, lambda: gw.swanctl("--rekey --child lan"))     # as it goes when nobody dies
    with Death(gw, steps, 2) as death:                                 # behind the third of them
        gw.swanctl("--rekey --child lan")
        death.wait()
"""
import collections
import select
import socket
import struct
import time

from esptest import Cluster, until
from esptest.capture import CREATE_CHILD_SA, INFORMATIONAL, PACKET_OUTGOING, SO_TIMESTAMPNS, parse

ETH_P_ALL = 3
HA_PORT = 4510
EXCHANGES = {CREATE_CHILD_SA: "CREATE_CHILD_SA", INFORMATIONAL: "INFORMATIONAL"}
MESSAGES = {1: "IKE_ADD", 2: "IKE_UPDATE", 3: "IKE_MID_INITIATOR", 4: "IKE_MID_RESPONDER", 5: "IKE_DELETE", 6: "CHILD_ADD", 7: "CHILD_DELETE"}

Step = collections.namedtuple("Step", "kind name time")     # "in" and "out": a packet, seen from the gateway; "ha": a message


def _message(frame):
    """The name of an ha plugin's message about an SA, or None."""
    if len(frame) < 44 or struct.unpack_from("!H", frame, 12)[0] != 0x0800 or frame[23] != 17 or struct.unpack_from("!H", frame, 36)[0] != HA_PORT \
            or frame[30:34] != socket.inet_aton("127.0.0.2"):
        return None
    return MESSAGES.get(frame[43])


def _packet(frame):
    """The name of an IKE packet, or None."""
    seen = parse(frame)
    if not seen or seen[0] != 1:
        return None
    exchange, flags = seen[3] & 0xff, seen[3] >> 8
    if exchange not in EXCHANGES:
        return None
    return f"{EXCHANGES[exchange]} {'response' if flags & 0x20 else 'request'}"


def watched(gw, begin, quiet=1.5, more=lambda steps: False, seconds=20):
    """The steps that follow from begin(), until nothing has come for so long; `more`: it is not over yet."""
    sock = gw.ns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    steps, deadline, last = [], time.monotonic() + seconds, None
    with sock:
        begin()
        while time.monotonic() < deadline and (last is None or more(steps) or time.monotonic() - last < quiet):
            if not select.select([sock], [], [], 0.1)[0]:
                continue
            frame, anc, _, (dev, _, where, *_) = sock.recvmsg(65536, 64)
            out = where == PACKET_OUTGOING
            kind = "ha" if dev == "lo" else "out" if out else "in"
            name = (_message(frame) if out else None) if dev == "lo" else _packet(frame) if dev == "out" else None
            if name:
                last = time.monotonic()
                sec, nsec = struct.unpack("qq", anc[0][2][:16])
                steps.append(Step(kind, name, sec + nsec / 1e9))
    return steps


class _Table:
    """Rules of nftables, for as long as it is entered; their set `dead` has an element from the moment of a step on."""

    def __init__(self, ns, name, text):
        self.ns, self.name = ns, name
        ns.sh("nft -f -", stdin=f"table {name} {{{text}}}\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ns.sh(f"nft delete table {self.name}")

    def wait(self, seconds=15):
        until(lambda: "elements" in self.ns.sh(f"nft list set {self.name} dead"), seconds, f"{self.ns}: the step at which it dies", step=0.02)


def _at(steps, at, mark):
    """The rule that marks the moment of a step: the packets and messages of its kind are counted."""
    return f"numgen inc mod 65536 == {[s.kind for s in steps[:at]].count(steps[at].kind)} add @{mark} {{ meta protocol }}"


class Departure(_Table):
    """A packet has left, or is about to if it is `lost`, and the gateway dies: what is on its way to other nodes then never arrives.

    The wires' other ends are where that is seen, so a sync link that is slow at the gateway's end has what it said last still before it.
    """

    def __init__(self, br, gw, steps, last, lost=False):
        super().__init__(br, "netdev departure", f"""
    set dead {{ type ether_type; size 4; flags dynamic; }}
    chain outside {{
        type filter hook ingress device "o-{gw}" priority 0; policy accept;
        meta protocol @dead drop
        ip saddr {Cluster.VIP} udp sport 500 {_at(steps, last, "dead")}
        {"meta protocol @dead drop" if lost else ""}
    }}
    chain sync {{
        type filter hook ingress device "s-{gw}" priority 0; policy accept;
        meta protocol @dead drop
    }}
""")


class Death(_Table):
    """From the moment of one of the steps on nothing of the gateway is heard, and it hears nothing.

    `mute_behind`: from behind an earlier one of them on (-1: at once) the sync link is silent, so that nobody learns what has happened since.
    """

    def __init__(self, gw, steps, last, mute_behind=None):
        rules = {kind: [] for kind in ("in", "out", "ha")}
        rules[steps[last].kind].append(_at(steps, last, "dead"))
        if mute_behind is not None and mute_behind >= 0:
            rules[steps[mute_behind].kind].append(_at(steps, mute_behind, "mute"))
        muted = "" if mute_behind == -1 else "meta protocol @mute"
        message = f'oifname "lo" ip daddr 127.0.0.2 udp dport {HA_PORT} @th,72,8 >= 1 @th,72,8 <= 7'
        # A set is what the chains can tell each other by: it has the one element that all packets look for, or none.
        super().__init__(gw.ns, "inet death", f"""
    set dead {{ type ether_type; size 4; flags dynamic; }}
    set mute {{ type ether_type; size 4; flags dynamic; }}
    chain in_steps {{
        {"; ".join(rules["in"])}
    }}
    chain out_steps {{
        {"; ".join(rules["out"])}
    }}
    chain ha_steps {{
        {"; ".join(rules["ha"])}
    }}
    chain in {{
        type filter hook prerouting priority -500; policy accept;
        iifname "out" meta protocol @dead drop
        iifname "out" ip daddr {Cluster.VIP} udp dport 500 jump in_steps
    }}
    chain ha {{
        type filter hook output priority -500; policy accept;
        {message} meta protocol @dead drop
        {message} jump ha_steps
    }}
    chain out {{
        type filter hook postrouting priority 400; policy accept;
        oifname "out" meta protocol @dead drop
        oifname "sync" {muted} drop
        oifname "out" ip saddr {Cluster.VIP} udp sport 500 jump out_steps
    }}
""")
