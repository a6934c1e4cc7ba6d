# SPDX-License-Identifier: GPL-2.0
"""
channelnode - a node that is a program: it speaks the channel's protocol with the cluster key and says what a test wants said.

Job: be a peer that is heard, acknowledges everything and has nothing, so that what the module makes of a peer's word can be seen without
bringing a second module into that state. On channelwire, which shares no code with the module.
What may not enter: what the word means.
"""
import os
import socket
import struct
import threading
import time

import channelwire as cw

UNDECIDED, STANDBY = 0, 1
IN, SILENT, FULL, LEAVE, HELPER, IKE, STORE = 1, 2, 4, 8, 16, 32, 64
SYNCED = 5
EVERY_S = 0.02


def now_us():
    return time.monotonic_ns() // 1000


class Node:
    """In namespace ns, at address, as node `me` for node `peer` at peer_address. say() changes what it says of group 0."""

    def __init__(self, ns, me, address, peer, peer_address, key, port=4520):
        self.keys, self.me, self.peer, self.to = cw.Keys(key), me, peer, (peer_address, port)
        self.versions, self.role, self.flags, self.waiting = (cw.VERSION, cw.VERSION), STANDBY, SILENT | HELPER | IKE, 0
        self.sock = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, port))
        self.sock.settimeout(EVERY_S / 2)
        self._begin()
        self._ending = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def say(self, **what):
        """versions, role, flags, waiting; other versions begin a new session, which those that fit not do not get."""
        for name, value in what.items():
            setattr(self, name, value)
        if "versions" in what:
            self._begin()

    def stop(self):
        self._ending = True
        self.thread.join()
        self.sock.close()

    def _begin(self):
        self.fresh, self.session, self.seq, self.high, self.epoch, self.echo = os.urandom(16), None, 0, 0, (0, 0), (0, 0)
        self.boot, self.asked, self.spoke = int.from_bytes(os.urandom(8), "big"), 0, 0

    def _run(self):
        while not self._ending:
            try:
                self._take(self.sock.recv(2048))
            except (TimeoutError, ConnectionRefusedError):
                pass
            now = time.monotonic()
            if not self.session and now - self.asked > 0.1:
                self.asked = now
                self.sock.sendto(cw.hello(self.keys, self.me, self.peer, self.fresh, boot=self.boot, versions=self.versions), self.to)
            elif self.session and now - self.spoke > EVERY_S:
                self.spoke = now
                self._speak()

    def _take(self, datagram):
        if cw.kind(datagram) == cw.HELLO:
            self._agree(cw.open_hello(self.keys, datagram))
        elif self.session and datagram[16:20] == self.session.id and (payload := cw.open_data(self.session, datagram)):
            seq, = struct.unpack_from(">Q", datagram, 20)
            ts, = struct.unpack_from(">Q", payload)
            self.high, self.echo = max(self.high, seq), (ts, now_us())
            for i in range(payload[36]):
                group, _, _, node, epoch = struct.unpack_from(">HBBBQ", payload, 37 + 25 * i)
                if not group:
                    self.epoch = epoch, node

    def _agree(self, said):
        """The other's answer to this node's HELLO: with its nonce there is a session."""
        if not said or said[2] != self.fresh or self.session:
            return
        nonce = said[1]
        self.sock.sendto(cw.hello(self.keys, self.me, self.peer, os.urandom(16), self.fresh, nonce, boot=self.boot,
                                  versions=self.versions), self.to)
        if self.versions[0] > cw.VERSION:
            self.fresh = os.urandom(16)     # refused; it tries again, as a module would
        else:
            self.session = cw.Session(self.keys, self.me, self.peer, self.fresh, nonce)

    def _speak(self):
        self.seq += 1
        ts, at = self.echo
        head = struct.pack(">QQIQQBBBB", now_us(), ts, now_us() - at if ts else 0, self.high, (1 << 64) - 1, 1, 1, 0, 0)
        group = struct.pack(">HBBBQIII", 0, self.role, self.flags, self.epoch[1], self.epoch[0], self.waiting, 0, 5000)
        self.sock.sendto(cw.data(self.keys, self.session, self.me, self.peer, self.seq, head + group + struct.pack(">BI", SYNCED, 0)), self.to)
