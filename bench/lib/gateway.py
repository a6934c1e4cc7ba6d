# SPDX-License-Identifier: GPL-2.0
"""A gateway under load, whose standby is a machine of its own, or a namespace of this one.

    far --out-- gw --in-- net        gw --sync-- the other machine

Room: the network, SAs at both nodes, channels, and the load: packets that pktgen makes behind the gateway and that it encrypts (out), or that the far end
has encrypted and the gateway decrypts (in). No program is on their way, and what comes out is dropped by the next device. What is measured is not known here.
"""
import contextlib
import json
import os
import secrets
import subprocess

import bulk
from esptest import Ns, defer, module, note, sh, spawn, until, veth
from esptest.system import unload
from failover import ready
from peer import Peer
from pktgen import Pktgen

VIP, FAR, NET, SYNC = "192.0.2.1", "192.0.2.100", "10.1.0.100", {1: "10.99.0.1", 2: "10.99.0.2"}
FIRST_SPI = 0x100000
# A next hop that is nobody: who gets its frames drops them before looking into them.
NOBODY = "02:00:00:00:00:99"
TIMES = "dead_ms 600 detect_ms 1000 evict_ms 30000"
HERE = os.path.dirname(os.path.abspath(__file__))
RELAY = os.path.join(os.path.dirname(HERE), "progs/aevent-relay")


class Beside:
    """The standby in this machine, where what it does is counted too."""

    def __init__(self):
        self.ns = Ns("standby")
        self.sh = self.ns.sh

    def wire(self, gw):
        veth(gw, "sync", self.ns, "sync")


class Gateway:
    """inbound: which way packets go. number: of SAs, in turn."""

    def __init__(self, peer=None):
        self.peer = peer or Peer()
        self.far, self.ns, self.net = Ns("far"), Ns("gw"), Ns("net")
        self.gw = {1: self.ns}
        veth(self.far, "out", self.ns, "out")
        veth(self.ns, "in", self.net, "in")
        self.peer.wire(self.ns)
        self.ns.batch([f"addr add {VIP}/24 dev out", "addr add 10.1.0.1/24 dev in", f"addr add {SYNC[1]}/24 dev sync",
                       f"neigh add {FAR} lladdr {NOBODY} dev out", f"neigh add {NET} lladdr {NOBODY} dev in"])
        self.far.batch([f"addr add {FAR}/24 dev out", f"neigh add {VIP} lladdr {self.ns.mac('out')} dev out", f"route add default via {VIP} dev out"])
        for ns in (self.far, self.ns):
            ns.forward()
            # What is behind a far end has a policy each: found by its address, as a gateway with so many would have it.
            ns.ip("xfrm policy set hthresh4 32 32")
        self.key = f"/tmp/bench-key-{os.getpid()}"
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as f:
            f.write(secrets.token_hex(32))
        defer(os.unlink, self.key)
        with open(self.key, encoding="ascii") as f:
            self.peer.sh(f"umask 077; echo {f.read()} > {self.key}; ip addr add {SYNC[2]}/24 dev sync")

    # -- SAs -----------------------------------------------------------------------

    def carry(self, number, inbound, algorithms="GCM"):
        """SAs at both nodes, and what leads packets to them; what was there before is gone."""
        for ns in (self.far, self.ns):
            ns.ip("xfrm state flush")
            ns.ip("xfrm policy flush")
            ns.ip("route flush 11.0.0.0/8", ok=None)
        self.number, self.inbound = number, inbound
        self.spis = range(FIRST_SPI, FIRST_SPI + number)
        kind = getattr(bulk, algorithms)
        bulk.add(self.ns, VIP, self.spis, inbound, kind)
        self.peer.sh(f"python3 {HERE}/standby.py {VIP} {FIRST_SPI} {number} {int(inbound)} {algorithms}")
        if inbound:
            bulk.add(self.far, VIP, self.spis, True, kind)
            bulk.send_by(self.far, VIP, self.spis, True)
            bulk.let_through(self.ns, VIP)
            self.ns.ip(f"route add 11.0.0.0/8 via {NET} dev in")
        else:
            bulk.send_by(self.ns, VIP, self.spis)
            self.ns.ip(f"route replace default via {FAR} dev out")

    def load(self, rate=None, number=0):
        """rate: packets/s, or as many as it makes. number: how many, or until it is stopped."""
        self.source = self.far if self.inbound else self.ns
        return Pktgen(self.source, "10.3.0.1", bulk.inner(self.spis[0]), rate, last=bulk.inner(self.spis[-1]), number=number)

    def carried(self):
        """A function that tells how many packets have come out of the gateway so far."""
        return counter(self.ns, "in" if self.inbound else "out", 9)

    def on_the_link(self):
        """A function that tells how many bytes have passed the sync device, both ways."""
        received, sent = counter(self.ns, "sync", 0), counter(self.ns, "sync", 8)
        return lambda: received() + sent()

    # -- replication ---------------------------------------------------------------

    def show(self, _, what):
        return json.loads(sh(["espsync", "-n", self.ns, "-j", "show", what]))

    def replicate(self):
        """The module at both nodes, all in sync."""
        module()
        self.peer.sh("modprobe espsync")
        for node, other, run in ((1, 2, lambda words: sh(f"espsync -n {self.ns} {words}")), (2, 1, lambda words: self.peer.sh(f"espsync {words}"))):
            run(f"channel set node {node} local {SYNC[node]} psk-file {self.key} {TIMES}")
            run(f"group set 0 addr {VIP}")
            run(f"peer add {other} {SYNC[other]}")
            run("promote" if node == 1 else "demote")
        self.settle()

    def settle(self):
        """Until the standby has all of them."""
        until(lambda: self.show(1, "peers")[0]["sas_synced"] == self.number, 60, "the standby has all")
        ready(self, 1)

    def replicate_no_more(self):
        sh(f"espsync -n {self.ns} channel del --release")
        self.peer.sh("espsync channel del --release")

    def without_module(self):
        """At both nodes."""
        self.replicate_no_more()
        unload()
        self.peer.sh("modprobe -r espsync")


@contextlib.contextmanager
def relayed(g, threshold=2):
    """Replication by userspace: the relay's process at the gateway, whose peer takes what it tells. SAs that are made within raise an event with so many packets."""
    for run in (lambda words: g.ns.sh(words), g.peer.sh):
        run(f"sysctl -qw net.core.xfrm_aevent_rseqth={threshold}")
    g.peer.sh(f"{RELAY} take {SYNC[2]} 7500 >/tmp/relay.log 2>&1 & echo $! >/tmp/relay.pid")
    relay = spawn([RELAY, "send", SYNC[2], "7500"], ns=g.ns, stdout=subprocess.PIPE, text=True)
    yield relay
    relay.terminate()
    said = relay.communicate()[0].splitlines()
    note(f"relay: {said[-1] if said else 'nothing'}; at the peer: {g.peer.sh('kill $(cat /tmp/relay.pid); tail -n 1 /tmp/relay.log').strip()}")


def counter(ns, dev, column):
    """A function that reads a column of a device's line in /proc/net/dev: 0 received bytes, 1 received packets, 8 sent bytes, 9 sent packets."""
    fd = ns.call(os.open, "/proc/thread-self/net/dev", os.O_RDONLY)
    defer(os.close, fd)

    def read():
        for line in os.pread(fd, 1 << 16, 0).decode().splitlines():
            name, _, counts = line.partition(":")
            if name.strip() == dev:
                return int(counts.split()[column])
        raise LookupError(f"[{ns}] no device {dev}")
    return read
