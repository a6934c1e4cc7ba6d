#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""vm_traffic RATE CLIENT HOST [--seconds S] [--tcp]: traffic through the tunnel, in the machine that is both ends.

Job: numbered UDP packets both ways between the client's inner address, in the
namespace this runs in, and HOST in the namespace "host"; with --tcp also a
paced download by the client. Runs for S seconds, or until SIGTERM. Meanwhile
/tmp/arrived has how many packets came, to the host and to the client; at the
end a line of JSON has all that can be said of the run.
"""
import argparse
import collections
import json
import os
import signal
import socket
import sys
import tempfile
import time

from esptest.load import Receiver, Sender
from esptest.net import Ns
from esptest.system import cleanup

SIZE = 100
GRACE = 1.0             # for what is under way at the end


class Here:
    """The namespace that this runs in."""

    def socket(self, *args):
        return socket.socket(*args)


class Host(Ns):
    """One that is there already."""

    def __init__(self):
        self.name = "host"


class Download:
    """A child at each end: chunks at a pace, as far as the window allows; the times of their arrival."""

    def __init__(self, client, host, rate):
        self.path = tempfile.mktemp(prefix="download-")
        listener = Host().socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, 7002))
        listener.listen()
        self.pids = [self._child(self._serve, listener, rate), self._child(self._fetch, client, host)]
        listener.close()

    @staticmethod
    def _child(work, *args):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                work(*args)
            except OSError as e:
                print(f"vm_traffic: download: {e}", file=sys.stderr)
            os._exit(0)
        return pid

    @staticmethod
    def _serve(listener, rate):
        sock, _ = listener.accept()
        begin, chunks = time.monotonic(), 0
        while True:
            sock.sendall(bytes(SIZE))
            chunks += 1
            time.sleep(max(0, begin + chunks / rate - time.monotonic()))

    def _fetch(self, client, host):
        sock = socket.create_connection((host, 7002), 20, (client, 0))
        sock.settimeout(None)
        with open(self.path, "w") as f:
            while data := sock.recv(65536):
                f.write(f"{time.monotonic()} {len(data)}\n")
                f.flush()

    def stop(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def report(self, rate, end):
        """Longest silence in ms less the pace's own, and the bytes."""
        with open(self.path) as f:
            rows = [line.split() for line in f if line.endswith("\n")]
        times = [float(t) for t, _ in rows] + [end]
        gaps = [b - a for a, b in zip(times, times[1:])]
        return {"stalled_ms": max(0, round((max(gaps, default=0) - 1 / rate) * 1000)), "stalled_at_end": bool(gaps) and max(gaps) == gaps[-1],
                "bytes": sum(int(n) for _, n in rows)}


def direction(sender, receiver, rate, begin, end):
    """What became of one direction's packets, the first of which was sent at `begin` and the last at `end`."""
    packets = receiver.packets
    times = [t for _, _, t in packets]
    gaps = [b - a for a, b in zip(times, times[1:])]
    last = end - times[-1] if times else end
    longest = max([*gaps, last])
    lost = collections.Counter()
    arrived = sorted((n, sent) for n, sent, _ in packets)
    for (n, sent), (following, _) in zip(arrived, [*arrived[1:], (sender.sent, 0)]):
        lost[round(sent - begin)] += following - n - 1
    return {"sent": sender.sent, "refused": sender.refused, "received": len({n for n, _, _ in packets}), "twice": receiver.duplicates(), "lost_in_second": {second: n for second, n in sorted(lost.items()) if n > 0},
            "gap_ms": max(0, round((longest - 1 / rate) * 1000)), "gap_at_end": longest == last}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rate", type=int)
    parser.add_argument("client")
    parser.add_argument("host")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--tcp", action="store_true")
    o = parser.parse_args()
    done = []
    signal.signal(signal.SIGTERM, lambda *_: done.append(1))
    here, host = Here(), Host()
    to_host, to_client = Receiver(host, o.host), Receiver(here, o.client)
    download = Download(o.client, o.host, o.rate / 10) if o.tcp else None
    out = Sender(here, o.host, rate=o.rate, size=SIZE, source=o.client)
    back = Sender(host, o.client, rate=o.rate, size=SIZE)
    begin = time.monotonic()
    while not done and not (o.seconds and time.monotonic() > begin + o.seconds):
        time.sleep(0.2)
        with open("/tmp/arrived.new", "w") as f:
            f.write(f"{to_host.count} {to_client.count}\n")
        os.rename("/tmp/arrived.new", "/tmp/arrived")
    end = time.monotonic()
    out.stop()
    back.stop()
    time.sleep(GRACE)
    report = {"seconds": end - begin, "to_host": direction(out, to_host, o.rate, begin, end), "to_client": direction(back, to_client, o.rate, begin, end)}
    if download:
        download.stop()
        report["tcp"] = download.report(o.rate / 10, end)
    print(json.dumps(report), flush=True)
    cleanup()


main()
