# SPDX-License-Identifier: GPL-2.0
"""Several machines on wires, each a process of its own: kill -9 of one is a crash.

Job: the wires (a learning switch per segment, which records every frame that a
machine sent before anybody else sees it), the machines, commands in them.
What is tested with it, and who is active, is not known here. No privilege of
the host is needed: QEMU's -netdev dgram carries each NIC's frames to a UDP
port of the loopback device.
"""
import collections
import ipaddress
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.environ.get("TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "selftests", "harness"))
import machine  # noqa: E402

from esptest.capture import parse  # noqa: E402

KIND = os.environ.get("ESPSYNC_KIND", "qemu-6.1")
SO_RCVBUFFORCE, SO_TIMESTAMPNS, SO_RXQ_OVFL = 33, 35, 40
PCAP_NS = 0xa1b23c4d

Frame = collections.namedtuple("Frame", "time sender kind udp a b src dst data")


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


def _free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Wires:
    """Segments by name, each with the machines on it: Wires({"outer": ["gw1", "gw2", "far"], ...})."""

    def __init__(self, segments):
        self.dir = tempfile.mkdtemp(prefix="wires-")
        self.segments = segments
        self.begin = 0.0
        self.ports = {}
        number = {name: i for i, name in enumerate(sorted({m for ms in segments.values() for m in ms}), 1)}
        for s, (segment, machines) in enumerate(segments.items(), 1):
            for name in machines:
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.bind(("127.0.0.1", 0))
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
                sock.setblocking(False)
                mac = f"52:54:00:{s:02x}:00:{number[name]:02x}"
                self.ports[segment, name] = sock, _free_port(), mac
        self.names = {bytes.fromhex(mac.replace(":", "")): name for (_, name), (_, _, mac) in self.ports.items()}
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                os.nice(-10)
                self._switch()
            except BaseException:
                import traceback
                traceback.print_exc()
            os._exit(1)
        self._here = {k: v[0].getsockname()[1] for k, v in self.ports.items()}
        for sock, _, _ in self.ports.values():
            sock.close()

    # -- the switching process ----------------------------------------------------

    def _switch(self):
        ending = []
        signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
        poll = select.epoll()
        by_fd, files, table, lost = {}, {}, {}, {}
        for (segment, name), (sock, port, _) in self.ports.items():
            by_fd[sock.fileno()] = segment, name, sock
            poll.register(sock, select.EPOLLIN)
        for segment in self.segments:
            files[segment] = open(self.pcap(segment), "wb", buffering=0)
            files[segment].write(struct.pack("<IHHiIII", PCAP_NS, 2, 4, 0, 0, 65535, 1))
            table[segment] = {}
        while not ending:
            for fd, _ in poll.poll(0.1):
                segment, name, sock = by_fd[fd]
                for _ in range(64):
                    try:
                        frame, anc, _, _ = sock.recvmsg(65536, 128)
                    except (BlockingIOError, InterruptedError):
                        break
                    for level, kind, data in anc:
                        if kind == SO_TIMESTAMPNS:
                            sec, nsec = struct.unpack("qq", data[:16])
                        elif kind == SO_RXQ_OVFL:
                            lost[segment, name], = struct.unpack("I", data[:4])
                            with open(self.pcap(segment) + ".drops", "w") as f:
                                f.write(f"{sum(lost.values())}\n")
                    files[segment].write(struct.pack("<IIII", sec, nsec, len(frame), len(frame)) + frame)
                    self._forward(segment, name, table[segment], frame)

    def _forward(self, segment, name, table, frame):
        table[frame[6:12]] = name
        to = table.get(frame[:6]) if not frame[0] & 1 else None
        for other in [to] if to else self.segments[segment]:
            if other != name:
                sock, port, _ = self.ports[segment, other]
                try:
                    sock.sendto(frame, ("127.0.0.1", port))
                except (BlockingIOError, ConnectionRefusedError):
                    pass                # as a wire into a machine that is off or deaf

    # -- for the test --------------------------------------------------------------

    def pcap(self, segment):
        return os.path.join(self.dir, f"{segment}.pcap")

    def arguments(self, name):
        """QEMU's words for a machine's NICs."""
        words = []
        for (segment, who), (_, port, mac) in self.ports.items():
            if who == name:
                words += ["-netdev", f"dgram,id={segment},local.type=inet,local.host=127.0.0.1,local.port={port},"
                          f"remote.type=inet,remote.host=127.0.0.1,remote.port={self._here[segment, name]}",
                          "-device", f"virtio-net-pci,netdev={segment},mac={mac}"]
        return words

    def macs(self, name):
        return {segment: mac for (segment, who), (_, _, mac) in self.ports.items() if who == name}

    def frames(self, segment, since=0.0):
        """All frames that machines sent: time, sender, and of ESP (kind 0) and IKE (kind 1) what capture.parse says."""
        if os.path.exists(self.pcap(segment) + ".drops"):
            raise AssertionError(f"the recording of {segment} lost packets, so it proves nothing")
        for when, frame in read_pcap(self.pcap(segment)):
            if when >= max(since, self.begin):
                seen = parse(frame) or (None, 0, 0, 0, b"", b"")
                yield Frame(when, self.names.get(frame[6:12]), *seen, frame)

    def esp(self, since=0.0, sender=None, segment="outer"):
        return [f for f in self.frames(segment, since) if f.kind == 0 and sender in (None, f.sender)]

    def repeats(self, segment="outer"):
        """{(spi, destination, number): [(sender, time)...]} of what was sent more than once."""
        seen = collections.defaultdict(list)
        for f in self.esp(segment=segment):
            seen[f.a, str(ipaddress.ip_address(f.dst)), f.b].append((f.sender, f.time))
        return {k: v for k, v in seen.items() if len(v) > 1}

    def clear(self):
        """What was recorded so far is of no interest any more."""
        self.begin = time.time()

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.dir, ignore_errors=True)


def read_pcap(path):
    """(time, frame) of a pcap in either resolution; a record that is still being written ends it."""
    with open(path, "rb") as f:
        head = f.read(24)
        if len(head) < 24:
            return
        scale = 1e-9 if struct.unpack("<I", head[:4])[0] == PCAP_NS else 1e-6
        while len(head := f.read(16)) == 16:
            sec, frac, caught, _ = struct.unpack("<IIII", head)
            frame = f.read(caught)
            if len(frame) < caught:
                return
            yield sec + frac * scale, frame


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

    def start(self):
        """Begin to boot; wait() for it."""
        if self.machine:
            self.machine.discard()
        self.boots = getattr(self, "boots", 0) + 1
        self.path = os.path.join(self.wires.dir, f"{self.name}.{self.boots}")
        self.machine = machine.Machine(
            self.kernel, self._job(), name=f"{self.name}-{os.getpid()}-{self.boots}", mem=self.mem, cpus=self.cpus,
            args=[*self.wires.arguments(self.name), "-chardev", f"socket,id=agent,path={self.path},server=on,wait=off",
                  "-device", "virtserialport,chardev=agent,name=agent", "-device", "virtio-rng-pci"])
        self.machine.start(stdout=open(os.path.join(self.machine.dir, "output"), "wb"))
        self.answers, self.arrived, self.last = {}, threading.Condition(), 0
        return self

    def wait(self, timeout=300):
        """Until it takes commands."""
        self.sock = socket.socket(socket.AF_UNIX)
        until(lambda: self.sock.connect_ex(self.path) == 0, 20, f"{self.name}: QEMU is there: {self.output()}")
        threading.Thread(target=self._listen, args=(self.sock,), daemon=True).start()
        self.answer(0, timeout)
        return self

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

    def alive(self):
        return self.machine is not None and self.machine.proc.poll() is None

    def pause(self):
        os.kill(self.machine.proc.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.machine.proc.pid, signal.SIGCONT)

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
