# SPDX-License-Identifier: GPL-2.0
"""Several machines on wires, each a process of its own: kill -9 of one is a crash.

Job: the machines, and commands in them. What is tested with it, and who is
active, is not known here; the wires are esptest_wires.py's.
"""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

TOP = os.environ.get("TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "selftests", "harness"))
import machine  # noqa: E402

KIND = os.environ.get("ESPSYNC_KIND", "qemu-6.1")

def until(condition, timeout, what, step=0.2):
    """Poll until condition() is true and return its value; what may be a function that tells how it is."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(step)


class Failed(Exception):
    """A command in a machine ended with a status that was not asked for."""


class Vm:
    """One machine on the wires. Commands run at once and side by side."""

    _kernels = {}

    def __init__(self, name, wires, kind=KIND, dkms=None, mem=384, cpus=1):
        if kind not in Vm._kernels:
            Vm._kernels[kind] = machine.Kernel(kind, module=False)
        self.name, self.wires = name, wires
        self.kernel, self.dkms, self.mem, self.cpus = Vm._kernels[kind], dkms, mem, cpus
        self.machine = None

    def _job(self):
        lines = ["set -e", f"hostname {self.name}"]
        for segment, mac in self.wires.macs(self.name).items():
            lines.append(f"for d in /sys/class/net/*; do [ $(cat $d/address) != {mac} ] || ip link set ${{d##*/}} name {segment}; done")
        if self.dkms:
            lines.append(f"cp -r {self.dkms}/. /lib/modules/$(uname -r)/")
        lines += ["modprobe virtio_console", f"exec python3 {TOP}/selftests/lib/vm_agent.py"]
        return "modprobe virtio_net\n" + "\n".join(lines)

    def start(self, *args):
        """Begin to boot; wait() for it. args: more words for QEMU, this once."""
        if self.machine:
            self.machine.discard()
        self.boots = getattr(self, "boots", 0) + 1
        self.path = os.path.join(self.wires.dir, f"{self.name}.{self.boots}")
        self.machine = machine.Machine(
            self.kernel, self._job(), name=f"{self.name}-{os.getpid()}-{self.boots}", mem=self.mem, cpus=self.cpus,
            args=[*self.wires.arguments(self.name), "-chardev", f"socket,id=agent,path={self.path},server=on,wait=off",
                  "-device", "virtserialport,chardev=agent,name=agent", "-device", "virtio-rng-pci",
                  "-monitor", f"unix:{self.path}.monitor,server=on,wait=off",
                  "-device", f"vmgenid,guid={uuid.uuid4()}", *args])
        self.machine.start(stdout=open(os.path.join(self.machine.dir, "output"), "wb"))
        self.answers, self.arrived, self.last = {}, threading.Condition(), 0
        return self

    def wait(self, timeout=300):
        """Until it takes commands."""
        self.attach()
        self.answer(0, timeout)
        return self

    def attach(self):
        self.sock = socket.socket(socket.AF_UNIX)
        until(lambda: self.sock.connect_ex(self.path) == 0, 20, f"{self.name}: QEMU is there: {self.output()}")
        threading.Thread(target=self._listen, args=(self.sock,), daemon=True).start()

    def _listen(self, sock):
        rest = b""
        try:
            while data := sock.recv(65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    answer = json.loads(line)
                    with self.arrived:
                        self.answers[answer["id"]] = answer
                        self.arrived.notify_all()
        except OSError:
            pass

    def answer(self, number, timeout):
        """What begin() began has come to: status, out, err."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: number in self.answers, timeout):
                raise AssertionError(f"{self.name} did not answer within {timeout} s: {self.output()[-2000:]}")
            return self.answers.pop(number)

    def begin(self, command, timeout=60, stdin=""):
        """Start a shell line; answer() of the number returned waits for it."""
        self.last += 1
        self.sock.sendall(json.dumps({"id": self.last, "command": command, "timeout": timeout, "stdin": stdin}).encode() + b"\n")
        return self.last

    def sh(self, command, ok=(0,), timeout=60, stdin=""):
        """A shell line's standard output, a str with .status and .stderr; ok=None takes any status."""
        got = self.answer(self.begin(command, timeout, stdin), timeout + 30)
        if ok is not None and got["status"] not in ok:
            raise Failed(f"[{self.name}] {command}: status {got['status']}: {got['err'].strip() or got['out'].strip()}")
        out = Output(got["out"])
        out.status, out.stderr = got["status"], got["err"]
        return out

    def json(self, command):
        return json.loads(self.sh(command))

    def put(self, path, text, mode=0o644):
        self.sh(f"mkdir -p {os.path.dirname(path)} && umask 077 && cat > {path} && chmod {mode:o} {path}", stdin=text)

    def output(self):
        try:
            with open(os.path.join(self.machine.dir, "output"), errors="replace") as f:
                return f.read() + "\n".join(self.machine.kernel_log().splitlines()[-15:])
        except OSError:
            return ""

    # -- what happens to machines ---------------------------------------------------

    def kill(self):
        """The plug is pulled."""
        if self.machine:
            self.machine.kill()

    def priority(self, nice):
        """Of its processors among the host's processes, -20 to 19."""
        pid = self.machine.proc.pid
        os.setpriority(os.PRIO_PGRP, pid, nice)
        # Where the host groups processes by session only this counts.
        with contextlib.suppress(OSError), open(f"/proc/{pid}/autogroup", "w") as f:
            f.write(str(nice))
        return self

    def alive(self):
        return self.machine is not None and self.machine.proc.poll() is None

    def pause(self):
        os.kill(self.machine.proc.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.machine.proc.pid, signal.SIGCONT)

    def monitor(self, command, timeout=60):
        """A line for QEMU's monitor, and what it answers."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(f"{self.path}.monitor")
            said = self._prompt(s)
            s.sendall(command.encode() + b"\n")
            said = self._prompt(s)
        return said

    @staticmethod
    def _prompt(s):
        said = b""
        while not said.endswith(b"(qemu) "):
            said += s.recv(65536)
        return said.decode(errors="replace")

    def save(self, path):
        """All that the machine is, into a file; it goes on. QEMU refuses while a share of the host is mounted."""
        self.sh("set -e; cp $(command -v espsync) /usr/bin/; cd /; awk '$3 == \"9p\" { print $2 }' /proc/mounts | sort -r | xargs -r umount")
        self.monitor(f'migrate "exec:cat > {path}"', 120)
        until(lambda: "completed" in self.monitor("info migrate"), 60, lambda: self.monitor("info migrate"))
        self.monitor("cont")

    def restore(self, path):
        """The machine as it was saved, in a new QEMU, which says so by another generation ID. What was asked of the old one is never answered."""
        self.kill()
        self.start("-incoming", f"exec:cat {path}")
        self.attach()
        return self

    def close(self):
        self.kill()
        if self.machine:
            self.machine.discard()


class Output(str):
    status = 0
    stderr = ""


def dkms_install(kind=KIND):
    """The module as DKMS installs it, from the tree that `make dkms-install` makes: what belongs into /lib/modules/VERSION."""
    done = subprocess.run([os.path.join(TOP, "selftests", "harness", "dkms-tree"), kind.removeprefix("qemu-")],
                          stdout=subprocess.PIPE, text=True, env=dict(os.environ, TOP=TOP))
    if done.returncode:
        raise AssertionError("the DKMS package does not build")
    return done.stdout.strip().splitlines()[-1]
