# SPDX-License-Identifier: GPL-2.0
"""The sync link of a Cluster, as somebody on it sees it: what gw2 sends and gets, and datagrams sent to it from any address."""
import socket
import struct

from channelnet import Evil
from esptest import defer


class SyncLink:
    def __init__(self, c):
        self.sock = c.gw2.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.bind(("sync", 3))
        self.sock.setblocking(False)
        defer(self.sock.close)
        self.evil = Evil({"evil": c.gw1})
        defer(self.evil.sock.close)

    def read(self, src):
        """The channel's datagrams from an address that came since the last time."""
        found = []
        while True:
            try:
                packet = self.sock.recv(4096)
            except BlockingIOError:
                return found
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_UDP and packet[12:16] == socket.inet_aton(src):
                found.append(packet[28:20 + struct.unpack(">H", packet[24:26])[0]])

    def send(self, datagram, src="gw1"):
        self.evil.send(datagram, src, "gw2")
