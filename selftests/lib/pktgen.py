# SPDX-License-Identifier: GPL-2.0
"""Load of the kernel's own: UDP packets that enter a namespace over a device, to be forwarded as what any host behind it sends."""
import os
import re
import subprocess

from esptest import module, spawn, until, veth

PORT = 7900


class Pktgen:
    """From construction to stop(). Counted is what entered the namespace; what comes out elsewhere is for count() and counted().

    Each processor generates a part: above some thousand a second pktgen does not sleep between two packets, and would leave no time for others.
    rate: None: as fast as it goes. last: all addresses from `to` to this one, in turn. number: so many and no more.
    """

    def __init__(self, ns, source, to, rate=None, size=300, last=None, number=0):
        module("pktgen")
        self.ns, self.cpus, self._sent = ns, range(os.cpu_count()), None
        ns.forward()
        there = {link["ifname"] for link in ns.ip_json("link show")}
        for cpu in self.cpus:
            if f"pg{cpu}" not in there:
                veth(ns, f"pg{cpu}", ns, f"pgr{cpu}")
            ns.sysctl({f"ipv4/conf/pgr{cpu}/accept_local": 1})
            self._tell(f"kpktgend_{cpu}", "rem_device_all", f"add_device pg{cpu}")
            self._tell(f"pg{cpu}", f"count {number // len(self.cpus)}", f"ratep {rate // len(self.cpus)}" if rate else "delay 0", f"pkt_size {size}",
                       f"src_min {source}", f"src_max {source}", f"dst_min {to}", f"dst_max {last or to}", f"dst_mac {ns.mac(f'pgr{cpu}')}",
                       f"udp_dst_min {PORT}", f"udp_dst_max {PORT}")
        count(ns, "pgr*", f"{to}-{last}" if last else to)
        self.proc = spawn(["sh", "-c", "echo start > /proc/net/pktgen/pgctrl"], ns=ns, stderr=subprocess.PIPE)
        until(lambda: self.sent() > 0, 10, f"pktgen of {ns} sends")

    def _tell(self, where, *lines):
        self.ns.sh("; ".join(f"echo '{line}' > /proc/net/pktgen/{where} || exit" for line in lines))

    def sent(self):
        return counted(self.ns, "pgr*") if self._sent is None else self._sent

    def took_us(self):
        """What the last packet's time is after the first one's, once all of `number` are sent: by its own clock, and of one processor."""
        self.proc.wait(600)
        return int(re.search(r"Result: OK: (\d+)", self.ns.sh(f"cat /proc/net/pktgen/pg{self.cpus[0]}"))[1])

    def stop(self):
        self._tell("pgctrl", "stop")
        self.proc.wait(10)
        self._sent = counted(self.ns, "pgr*")
        for cpu in self.cpus:
            self._tell(f"kpktgend_{cpu}", "rem_device_all")
        return self


def _name(dev):
    return "sent" if dev else "any"


def count(ns, dev, to):
    """Counts, from 0, what comes in over a device ("": any) for an address, before it is routed."""
    name, over = _name(dev), f'iifname "{dev}"' if dev else ""
    ns.sh(f"nft 'add table ip pktgen; add chain ip pktgen {name}; delete chain ip pktgen {name}; "
          f"add counter ip pktgen {name}; delete counter ip pktgen {name}'")
    ns.sh(f"nft 'add counter ip pktgen {name}; add chain ip pktgen {name} {{ type filter hook prerouting priority -300; }}; "
          f"add rule ip pktgen {name} {over} ip daddr {to} udp dport {PORT} counter name {name}'")


def counted(ns, dev):
    return int(re.search(r"packets (\d+)", ns.sh(f"nft list counter ip pktgen {_name(dev)}"))[1])
