# SPDX-License-Identifier: GPL-2.0
"""Two gateways and a far end, machines of their own on wires that record everything.

    far (client, and host in a namespace) --- outer --- gw1, gw2 --- inner --- host        gw1 --- sync --- gw2

Job: the machines, the module in them as DKMS installs it, a tunnel by hand, traffic through it, and what must hold of the numbers on the wires. Who
is active is for the test to say.
"""
import secrets
import shlex

from esptest.ktap import check, equal
from esptest.system import defer
from esptest.xfrm import Sa
from esptest_vm import TOP, Vm, dkms_install, until
from esptest_wires import Wires

VIP, CLIENT, INNER, LAN_GW, HOST = "192.0.2.1", "192.0.2.100", "10.2.0.1", "10.1.0.1", "10.1.0.100"
SPI_IN, SPI_OUT = 0x1000, 0x1001
RATE = 100
KEY = secrets.token_hex(32)


class Machines:
    """gw1 active, gw2 standby, packets both ways."""

    def __init__(self):
        self.wires = Wires({"outer": ["gw1", "gw2", "far"], "inner": ["gw1", "gw2", "far"], "sync": ["gw1", "gw2"]})
        defer(self.wires.close)
        updates = dkms_install()
        self.vms = {n: Vm(n, self.wires, dkms=None if n == "far" else updates) for n in ("gw1", "gw2", "far")}
        self.far = self.vms["far"]
        self.to_gw = Sa(CLIENT, VIP, SPI_IN, window=1024, esn=True, key="0x" + secrets.token_hex(20))
        self.to_client = Sa(VIP, CLIENT, SPI_OUT, window=1024, esn=True, key="0x" + secrets.token_hex(20))
        for vm in self.vms.values():
            defer(vm.close)
            vm.start()
        for vm in self.vms.values():
            vm.wait()
        self.set_up_far()
        for n in (1, 2):
            self.set_up_gateway(n)
        self._begin()

    def _begin(self):
        until(lambda: all(self.peer_up(n) for n in (1, 2)), 30, "both peers up")
        self.take_addresses(1)
        self.gw(2).sh("espsync demote")
        self.gw(1).sh("espsync promote")
        # As from charon: first where it was negotiated, then at the mirror.
        self.tunnel(self.gw(1))
        self.tunnel(self.gw(2))
        self.traffic = self.far.begin(f"exec python3 {TOP}/selftests/lib/vm_traffic.py {RATE} {INNER} {HOST}", timeout=600)
        self.flows()

    def gw(self, n):
        return self.vms[f"gw{n}"]

    # -- what each machine is told ----------------------------------------------------

    def set_up_far(self):
        self.far.sh(f"""set -e
            ip netns add host; ip link set inner netns host; ip -n host link set lo up; ip -n host link set inner up
            ip -n host addr add {HOST}/24 dev inner; ip -n host route add 10.2.0.0/24 via {LAN_GW}
            ip link set outer up; ip addr add {CLIENT}/24 dev outer; ip addr add {INNER}/32 dev lo
            ip route add 10.1.0.0/24 via {VIP} dev outer src {INNER}
            sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.outer.rp_filter=0""")
        self.tunnel(self.far, gateway=False)

    def set_up_gateway(self, n):
        """As an administrator would: addresses, the module with its parameters, the key by the tool; SAs as charon would have them on both."""
        gw = self.gw(n)
        gw.sh(f"""set -e
            for d in outer inner sync; do ip link set $d up; done
            ip addr add 192.0.2.1{n}/24 dev outer; ip addr add 10.1.0.1{n}/24 dev inner; ip addr add 10.99.0.{n}/24 dev sync
            ip route add {INNER}/32 via {CLIENT}
            sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.outer.rp_filter=0 net.ipv4.conf.inner.rp_filter=0
            sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.inner.send_redirects=0""")
        gw.put("/etc/espsync/key", KEY + "\n", 0o600)
        gw.sh(f"modprobe espsync node={n} local=10.99.0.{n} peers={3 - n}@10.99.0.{3 - n} vip={VIP}")
        gw.sh(f"espsync channel set node {n} local 10.99.0.{n} psk-file /etc/espsync/key")

    def tunnel(self, vm, gateway=True):
        words = [["ip", "xfrm", "state", "add", *sa.words()] for sa in (self.to_gw, self.to_client)]
        client, lan = f"{INNER}/32", "10.1.0.0/24"
        for direction, src, dst, outer in (("out" if gateway else "in", lan, client, (VIP, CLIENT)),
                                           ("in" if gateway else "out", client, lan, (CLIENT, VIP)),
                                           *([("fwd", client, lan, (CLIENT, VIP))] if gateway else [])):
            words.append(f"ip xfrm policy add src {src} dst {dst} dir {direction} tmpl src {outer[0]} dst {outer[1]} "
                         f"proto esp reqid 1 mode tunnel".split())
        vm.sh("\n".join(["set -e", *map(shlex.join, words)]))

    def take_addresses(self, n):
        """What VRRP does at the new master, gratuitous ARP included."""
        self.gw(n).sh(f"""ip addr add {VIP}/24 dev outer; ip addr add {LAN_GW}/24 dev inner
            arping -q -A -c 2 -i 0.1 -I outer {VIP} || arping -q -A -c 1 -I outer {VIP}; arping -q -A -c 1 -I inner {LAN_GW}""", ok=None)

    def drop_addresses(self, n):
        self.gw(n).sh(f"ip addr del {VIP}/24 dev outer; ip addr del {LAN_GW}/24 dev inner", ok=None)

    # -- what they say ------------------------------------------------------------------

    def role(self, n):
        return self.gw(n).json("espsync -j show groups")[0]["role"]

    def peer_up(self, n):
        return any(p["state"] == "up" for p in self.gw(n).json("espsync -j show peers"))

    def ready(self, n):
        return self.gw(n).sh("espsync ready", ok=None)

    def outbound(self, n):
        return next(s for s in self.gw(n).json("espsync -j show sas") if s["spi"] == f"0x{SPI_OUT:08x}")

    def replays(self, vm):
        return int(vm.sh("awk '/XfrmInStateSeqError/ {print $2}' /proc/net/xfrm_stat"))

    def arrived(self):
        return [int(x) for x in self.far.sh("cat /tmp/arrived 2>/dev/null || echo 0 0").split()]

    def flows(self, timeout=30):
        before = self.arrived()
        until(lambda: all(b > a + 5 for a, b in zip(before, self.arrived())), timeout,
              lambda: f"packets arrive both ways, after {before}: {self.arrived()}\n{self.explain()}")

    def explain(self):
        said = []
        for vm in self.vms.values():
            if vm.alive():
                said.append(f"{vm.name}: " + vm.sh("ip -s xfrm state | grep -v -e auth -e aead -e enc; grep -v ' 0$' /proc/net/xfrm_stat; espsync show; "
                                                   "espsync show sas; ip neigh; ip -br a", ok=None))
        return "\n".join(said)

    # -- what must hold -----------------------------------------------------------------

    def disjoint(self, old_gw, new_gw, since):
        """What the new owner sends lies above all that the old one ever sent, and not further than a takeover in sync may skip."""
        old = [f.b for f in self.wires.esp(sender=old_gw) if f.a == SPI_OUT]
        fresh = [f.b for f in self.wires.esp(sender=new_gw, since=since) if f.a == SPI_OUT]
        check(old and fresh, f"both sent on the SA: {len(old)} and {len(fresh)} packets")
        check(min(fresh) > max(old), f"{new_gw} began at {min(fresh)}, {old_gw} sent {max(old)}")
        check(min(fresh) - max(old) <= 3 * 2 * 2 ** 20, f"it skipped {min(fresh) - max(old)}, more than I4 allows")

    def nothing_repeats(self):
        equal(self.wires.repeats(), {}, "numbers sent more than once")
        equal(self.replays(self.far), 0, "packets that the client refused as replays")
