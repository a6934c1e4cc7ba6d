# SPDX-License-Identifier: GPL-2.0
"""A Cluster with so many SAs that each costs something: how they come to be there, packets for them, and what is counted of it."""
import os
import re
import socket
import struct
import threading

import bulk
from esptest import until

OUT_SPI, IN_SPI = 0x100000, 0x200000


class Hot:
    """Packets for inbound SAs, in turn, as fast as it goes; their numbers go on where the last ones ended."""
    number = 0

    def __init__(self, c, spis):
        self.packets, self.began, self._ending = bulk.packets(c.VIP, spis), Hot.number, threading.Event()
        self.sock = c.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.thread = threading.Thread(target=self._send, args=(c.VIP,))
        self.thread.start()

    def _send(self, to):
        while not self._ending.is_set():
            Hot.number += 1
            for packet in self.packets.values():
                struct.pack_into("!I", packet, 24, Hot.number)
                self.sock.sendto(packet, (to, 0))

    def stop(self):
        self._ending.set()
        self.thread.join()
        self.sock.close()


def spis(number):
    """(outbound ones, inbound ones), half each."""
    return range(OUT_SPI, OUT_SPI + number // 2), range(IN_SPI, IN_SPI + number // 2)


def add(c, node, number):
    outbound, inbound = spis(number)
    bulk.add(c.gw[node], c.VIP, outbound)
    bulk.add(c.gw[node], c.VIP, inbound, inbound=True)


def follow(c, node, number):
    """A channel, without a peer, that knows all of them; its times are for a node that is busy with them."""
    c.espsync(node, f"channel set node {node} local {c.SYNC[node]} psk-file {c.key_file()} dead_ms 2000 detect_ms 2000 evict_ms 30000")
    c.espsync(node, f"group set 0 addr {c.VIP}")
    until(lambda: c.show(node, "stats")["sas"] == number, 120, "all are followed")


def meet(c, number):
    """Node 1 is active, and node 2 has all."""
    c.move_vip(1)
    c.espsync(1, "promote")
    c.espsync(2, "demote")
    for n in (1, 2):
        c.espsync(n, f"peer add {3 - n} {c.SYNC[3 - n]}")
    until(lambda: in_sync(c, number), 120, "all is in sync")


def peer(c, node):
    return c.show(node, "peers")[0]


def in_sync(c, number):
    return all(p["state"] == "up" and p["sas_synced"] == p["sas_total"] == number for p in (peer(c, 1), peer(c, 2)))


def free_kib():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(r"MemAvailable: *(\d+)", f.read())[1])


def ticks(node=""):
    """What the channels' threads, or one node's, have used, in hundredths of a second."""
    used = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                text = f.read()
        except OSError:
            continue
        if f"(espsync/{node}" in text:
            used += sum(map(int, text.rsplit(")", 1)[1].split()[11:13]))
    return used
