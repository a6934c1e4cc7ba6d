# SPDX-License-Identifier: GPL-2.0
"""standby VIP FIRST NUMBER INBOUND ALGORITHMS: in the standby's machine, the SAs that the gateway has, and no others.

Room: xfrm's states there. The channel is gateway.py's.
"""
import socket
import subprocess
import sys

import bulk


class Here:
    """The first namespace, as bulk wants one."""

    def __str__(self):
        return "standby"

    def socket(self, *args):
        return socket.socket(*args)


vip, first, number, inbound, algorithms = sys.argv[1:]
subprocess.run(["ip", "xfrm", "state", "flush"], check=True)
bulk.add(Here(), vip, range(int(first), int(first) + int(number)), inbound == "1", getattr(bulk, algorithms))
