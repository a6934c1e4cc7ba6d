#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""vm_agent [ADDRESS PORT] - runs in a guest what the host, or another guest, asks for, several things at once.

Job: read requests, a line of JSON each, from the virtio port "agent", or from
who connects to that address, run each as a shell line, and answer with its
status and output. It knows nothing of what it runs. Ends when told to, or when
who had connected is gone, which ends the guest.
"""
import glob
import json
import os
import socket
import subprocess
import sys
import threading
import time


def find_port():
    for path in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(path) as f:
            if f.read().strip() == "agent":
                return "/dev/" + path.split("/")[4]
    sys.exit("vm_agent: this machine has no virtio port named agent")


def run(request):
    try:
        done = subprocess.run(["bash", "-c", request["command"]], input=request.get("stdin", ""), text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=request["timeout"])
        return {"status": done.returncode, "out": done.stdout, "err": done.stderr}
    except subprocess.TimeoutExpired as e:
        return {"status": 124, "out": (e.stdout or b"").decode(errors="replace"), "err": f"not within {request['timeout']} s"}
    except Exception as e:
        return {"status": 126, "out": "", "err": f"{type(e).__name__}: {e}"}


def connected(address, port):
    """The first connection."""
    with socket.create_server((address, int(port))) as listener:
        return listener.accept()[0].detach()


class Agent:
    def __init__(self, where):
        self.stays = not where
        self.fd = connected(*where) if where else os.open(find_port(), os.O_RDWR)
        self.lock = threading.Lock()

    def say(self, answer):
        data = json.dumps(answer).encode() + b"\n"
        with self.lock:
            while data:
                data = data[os.write(self.fd, data):]

    def work(self, request):
        self.say({"id": request["id"], **run(request)})

    def serve(self):
        self.say({"id": 0})
        rest = b""
        while True:
            data = os.read(self.fd, 65536)
            if not data and not self.stays:
                return
            if not data:                # nobody is connected
                time.sleep(0.1)
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                if request["command"] is None:
                    return
                threading.Thread(target=self.work, args=(request,), daemon=True).start()


Agent(sys.argv[1:]).serve()
os._exit(0)
