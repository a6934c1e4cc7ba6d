# SPDX-License-Identifier: GPL-2.0
"""The other machine of an experiment: commands there.

Room: the connection to its agent (selftests/lib/vm_agent.py). What runs there is the experiments' affair.
"""
import json
import socket
import threading

from esptest import sh, until

ADDRESS = "10.98.0.2", 7400


class Peer:
    def __init__(self):
        self.sock, self.lock, self.last = None, threading.Lock(), 0
        until(self._connect, 60, "the peer's machine is up", step=0.2)
        self.lines = self.sock.makefile("r", encoding="utf-8")
        self._answer()

    def _connect(self):
        try:
            self.sock = socket.create_connection(ADDRESS, timeout=120)
        except OSError:
            return False
        return True

    @staticmethod
    def wire(gw):
        """The sync link's end becomes the gateway's."""
        sh(["ip", "link", "set", "sync", "netns", str(gw)])
        gw.ip("link set sync up")

    def _answer(self):
        return json.loads(self.lines.readline())

    def sh(self, command, timeout=60):
        """A shell line's standard output."""
        with self.lock:
            self.last += 1
            self.sock.sendall(json.dumps({"id": self.last, "command": command, "timeout": timeout}).encode() + b"\n")
            got = self._answer()
        if got["status"]:
            raise RuntimeError(f"[peer] {command}: status {got['status']}: {got['err'].strip() or got['out'].strip()}")
        return got["out"]
