#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: no key of cluster, IKE or CHILD SA is in a core, a log, a file, an event or on the sync link; the helper's capabilities are needed
# WHERE: uml-fast
# SETS: timeout=200
"""
no-secrets - what must not be found where an operator, a backup or a crash reporter would look.

The client's own charon tells the secrets: it derives the same ones. They are searched raw and as they would be printed, in everything that the
gateways' programs and kernels have left, after rekeys, a failover and a crash of the helper. The client's files, and the key file, hold them rightly.
"""
import base64
import os
import re
import signal
import socket
import threading
import time

from esptest import *
from esptest_ike import IkeCluster, explained

CORES = "/tmp/cores"
PART = 16       # of a secret that leaked, so many bytes at least
CAPS = {"net_admin": 12, "net_raw": 13}


class Wire(threading.Thread):
    """All that passes a device."""

    def __init__(self, ns, dev):
        super().__init__(daemon=True)
        self.sock = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind((dev, 3))
        self.sock.settimeout(0.2)
        self.frames, self.ending = [], False
        self.start()

    def run(self):
        while not self.ending:
            try:
                self.frames.append(self.sock.recv(65536))
            except TimeoutError:
                pass

    def stop(self):
        self.ending = True
        self.join()
        self.sock.close()
        return b"\0".join(self.frames)


def setup():
    module()
    c = IkeCluster(module=True)
    c.road.log_more = "ike = 4\n chd = 4"
    c.began = f"{c.road.dir}/began"
    open(c.began, "w").close()
    c.secrets = {}
    for gw in c.gw.values():
        for what in ("events", "counters"):
            path = f"{c.road.dir}/../{gw}-{what}.monitored"
            defer(os.unlink, path)
            with open(path, "wb") as out:
                spawn(["espsync", "-n", str(gw), "-j", "monitor", what], stdout=out)
    try:
        c.start_ike()
        c.road.start_charon()
    except Exception:
        c.explain()
        raise
    c.wire = Wire(c.gw[2], "sync")
    return c


def printed(text, label):
    """Blobs that charon prints at level 4: the label, how many bytes, then lines of 16."""
    found, blob = {}, None
    for line in text.splitlines():
        line = re.sub(r"^.*?\[\w+\] ", "", re.sub(r"^\S+\s+\d+\[\w+\] ?", "", line)) if "[" in line else line
        if m := re.match(r"(.*) => (\d+) bytes @", line):
            blob = (m[1].strip(), int(m[2])) if re.search(label, m[1]) else None
            if blob:
                found[blob] = bytearray()
        elif blob and (m := re.match(r"\s*\d+: ((?:[0-9A-F]{2} ?)+)", line)):
            found[blob] += bytes.fromhex(m[1])[:blob[1] - len(found[blob])]
        else:
            blob = None
    return found


def learn(c):
    """Secrets that the client has by now."""
    with open(c.key_file(), encoding="ascii") as f:
        c.secrets["cluster key"] = bytes.fromhex(f.read().strip())
    for (name, _), blob in printed(c.road.text("charon.log"), r"\w secret|SKEYSEED|initiator key|responder key").items():
        c.secrets[f"{name} {bytes(blob[:2]).hex()}"] = bytes(blob)
    for key in re.findall(r"(?:aead|enc|auth-trunc) \S+ 0x([0-9a-f]{32,})", c.client.ip("xfrm state")):
        c.secrets[f"CHILD SA's {key[:4]}"] = bytes.fromhex(key)


def needles(secret):
    """As it is, and as it would be printed."""
    part = secret[:PART]
    spaced = " ".join(f"{b:02X}" for b in part)
    return (part, part.hex().encode(), part.hex().upper().encode(), spaced.encode(), spaced.lower().encode(), ":".join(f"{b:02x}" for b in part).encode(),
            base64.b64encode(part)[:PART])


def absent(c, where, data):
    for name, secret in c.secrets.items():
        for needle in needles(secret):
            check(needle not in data, f"{name} is in {where}, as {needle!r}")


@explained
def a_tunnel_lives(c):
    """Everything that handles keys has done so: mirror, rekeys of both kinds, a failover with a helper that starts from the other's journal."""
    c.road.connect()
    c.wait_mirrored()
    c.road.rekey()
    learn(c)
    c.road.rekey("--ike home")
    c.wait_mirrored()
    learn(c)
    c.ike[2].end("espsyncd")
    c.ike[2].start_helper()
    c.ike[1].become("BACKUP")
    c.take_over(2)
    c.road.rekey()
    c.wait_mirrored(active=2)
    check(c.road.ping() == 3, "echos after the failover")
    learn(c)
    names = " ".join(c.secrets)
    for kind in ("cluster key", "shared Diffie Hellman secret", "Sk_d secret", "SKEYSEED", "initiator key", "CHILD SA's"):
        check(kind in names, f"no {kind} among the secrets: {names}")
    note(f"{len(c.secrets)} secrets")


@explained
def none_is_on_the_sync_link(c):
    data = c.wire.stop()
    check(len(c.wire.frames) > 100 and any(f[34:36] == (4520).to_bytes(2, "big") for f in c.wire.frames), "the link was captured")
    absent(c, "what passed the sync link", data)


@explained
def none_is_shown(c):
    for n in (1, 2):
        for words in ("show", "show sas", "show channel", "ready"):
            absent(c, f"gw{n}: {words}", c.espsync(n, f"-j {words}", ok=None).encode())
        for sa in c.show(n, "sas"):
            absent(c, "sa get", c.espsync(n, f"-j sa get dst {sa['dst']} spi {sa['spi']}", ok=None).encode())
        pid = helper(c, n)
        for what in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{what}", "rb") as f:
                absent(c, f"gw{n}: espsyncd's {what}", f.read())


def helper(c, n):
    """espsyncd's number: what was spawned may have become it by exec."""
    pid = c.ike[n].procs["espsyncd"].pid
    with open(f"/proc/{pid}/comm", encoding="ascii") as f:
        equal(f.read().strip(), "espsyncd", f"process {pid}")
    return pid


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


@explained
def its_memory_is_locked(c):
    for n in (1, 2):
        s = {k: int(v.split()[0]) for k, v in status(helper(c, n)).items() if k.startswith("Vm")}
        check(s["VmLck"] >= s["VmRSS"] > 0 and s["VmSwap"] == 0, f"gw{n}: locked {s['VmLck']} of {s['VmRSS']} kB, in swap {s['VmSwap']}")


def cores():
    return os.listdir(CORES)


@explained
def a_crash_leaves_no_core(c):
    os.makedirs(CORES, exist_ok=True)
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as f:
        was = f.read()
    sh(["sysctl", "-qw", f"kernel.core_pattern={CORES}/%e", "fs.suid_dumpable=0"])
    try:
        other = spawn(["bash", "-c", "ulimit -c unlimited; exec sleep 100"])
        until(lambda: open(f"/proc/{other.pid}/comm", encoding="ascii").read() == "sleep\n", 5, "sleep runs")
        other.send_signal(signal.SIGABRT)
        other.wait(10)
        until(lambda: cores() == ["sleep"], 5, "another program leaves one")
        for sig in (signal.SIGSEGV, signal.SIGABRT):
            c.ike[1].end("espsyncd", sig)
            equal(cores(), ["sleep"], f"cores after signal {sig}")
            c.ike[1].start_helper(within=["prlimit", "--core=unlimited"])
    finally:
        sh(["sysctl", "-qw", f"kernel.core_pattern={was.strip()}"])
    c.wait_mirrored(active=2)


@explained
def none_is_in_a_file_or_log(c):
    """All files that changed since the beginning, wherever they are; what the kernel has said."""
    out = sh(["find", "/", "-xdev", "-newer", c.began, "-type", "f", "-size", "-64M", "-not", "-path", f"{c.road.dir}/*", "-not", "-path", "/proc/*", "-not",
              "-path", "/sys/*"]) + sh(["find", "/run", "/tmp", "/var", "/dev/shm", "-newer", c.began, "-type", "f", "-size", "-64M", "-not", "-path", f"{c.road.dir}/*"], ok=None)
    files = sorted(set(out.split("\n")) - {"", c.key_file()})
    for n in (1, 2):
        check(f"{c.ike[n].dir}/espsyncd.out" in files, f"gw{n}'s log is searched")
    for name in files:
        try:
            with open(name, "rb") as f:
                data = f.read()
        except OSError:
            continue    # gone meanwhile
        absent(c, name, data)
    note(f"{len(files)} files searched")
    absent(c, "the kernel's log", sh("dmesg").encode())


@explained
def it_has_no_capability_that_it_does_not_need(c):
    """What the unit leaves it is what it runs with in these tests; without any of that it says what it lacks, once."""
    s = status(helper(c, 2))
    for which in ("CapPrm", "CapEff", "CapBnd"):
        equal(int(s[which], 16), sum(1 << CAPS[cap] for cap in c.ike[2].helper_caps()), which)
    equal(s["NoNewPrivs"], "1", "NoNewPrivs")
    for cap in c.ike[1].helper_caps():
        c.ike[1].end("espsyncd")
        c.ike[1].start_helper([k for k in c.ike[1].helper_caps() if k != cap])
        c.ike[1].said(f"CAP_{cap.upper()}")
        time.sleep(3)
        equal(c.ike[1].log().count(f"CAP_{cap.upper()}"), 1, "times that it says so")
    c.ike[1].end("espsyncd")
    c.ike[1].start_helper()
    c.wait_mirrored(active=2)


main([a_tunnel_lives, none_is_on_the_sync_link, none_is_shown, its_memory_is_locked, a_crash_leaves_no_core, none_is_in_a_file_or_log,
      it_has_no_capability_that_it_does_not_need], setup)
