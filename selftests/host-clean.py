#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a run changes nothing on the host: no process, address, route, xfrm state, rule, table, module or namespace
# WHERE: host
# SETS: timeout=300 last
#
# `host-clean --before` writes down how the host is to $ESPSYNC_BEFORE, which
# the runner does before all other tests. Run alone, it runs another test itself.
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

from esptest import check, equal, main, note

SELFTESTS = os.path.dirname(os.path.abspath(__file__))
FACTS = {
    "addresses": "ip -o addr", "routes": "ip route show table all", "routes6": "ip -6 route show table all", "rules": "ip rule",
    "rules6": "ip -6 rule", "links": "ip -o link", "namespaces": "ip netns list", "xfrm states": "ip xfrm state",
    "xfrm policies": "ip xfrm policy", "nft": "nft list ruleset", "mounts": "cat /proc/self/mounts",
    "units": "ls /etc/systemd/system /run/systemd/system", "packages": "dpkg-query -W charon-systemd strongswan keepalived",
}
# What only a guest needs; on the host it may not even run.
DAEMONS = {"charon", "charon-systemd", "keepalived", "espsyncd", "starter"}


def daemons():
    """Running, by process id, outside of guests."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(path) as f:
                if (name := f.read().strip()) in DAEMONS:
                    found[path.split("/")[2]] = name
        except OSError:
            continue
    return found


def of_this_run(run):
    """Processes that the run started, other than those above us."""
    ours, pid = set(), os.getpid()
    while pid > 1:
        ours.add(pid)
        with open(f"/proc/{pid}/stat") as f:
            pid = int(f.read().rsplit(")", 1)[1].split()[1])
    found = {}
    for path in glob.glob("/proc/[0-9]*/environ"):
        other = int(path.split("/")[2])
        try:
            with open(path, "rb") as f:
                if other in ours or f"ESPSYNC_RUN={run}\0".encode() not in f.read() + b"\0":
                    continue
            with open(f"/proc/{other}/cmdline") as f:
                found[other] = f.read().replace("\0", " ")[:200]
        except OSError:
            continue
    return found


def modules():
    """None on a kernel that loads none."""
    if not os.path.exists("/proc/modules"):
        return []
    with open("/proc/modules") as f:
        return sorted(line.split()[0] for line in f)


def stable(text):
    """Lines without what changes by itself: ages and lifetimes, and the order of tables."""
    text = re.sub(r"\b(expires|valid_lft|preferred_lft|age|cache) \S+", "", text)
    return sorted(line for line in text.splitlines() if line.strip())


def facts():
    seen = {}
    for name, command in FACTS.items():
        done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        seen[name] = stable(done.stdout)
    return {**seen, "modules": modules(), "daemons": daemons()}


def write_down(path):
    with open(path, "w") as f:
        json.dump(facts(), f)


def before():
    """The runner's note; without one, a note of now and a run of smoke in a guest since."""
    path = os.environ.get("ESPSYNC_BEFORE")
    if path:
        with open(path) as f:
            return os.environ["ESPSYNC_RUN"], json.load(f)
    with tempfile.NamedTemporaryFile() as f:
        write_down(f.name)
        os.environ["ESPSYNC_RUN"] = f"host-clean-{os.getpid()}"
        for kind in ("uml", "qemu-6.1"):
            note(f"a guest makes namespaces and states: {kind}")
            subprocess.run([f"{SELFTESTS}/harness/vm", kind, "--no-module", "--timeout", "120", "--",
                            "ip netns add x && ip link add name dummy9 type dummy && ip addr add 192.0.2.9/32 dev dummy9 && modprobe xfrm_user && "
                            "ip xfrm state add src 192.0.2.9 dst 192.0.2.8 proto esp spi 9 mode tunnel aead 'rfc4106(gcm(aes))' "
                            "0x0102030405060708090a0b0c0d0e0f1011121314 128"], check=True, stdout=subprocess.DEVNULL)
        return os.environ["ESPSYNC_RUN"], json.load(f)


def nothing_changed(context):
    _, was = context
    now = facts()
    for name in was:
        if name != "daemons":
            gone, new = [x for x in was[name] if x not in now[name]], [x for x in now[name] if x not in was[name]]
            check(not gone and not new, f"{name} changed: gone {gone}, new {new}")


def no_process_is_left(context):
    run, was = context
    equal({p: n for p, n in daemons().items() if p not in was["daemons"]}, {}, "daemons that only a guest may run")
    equal(of_this_run(run), {}, "processes of this run")


if __name__ == "__main__":
    if "--before" in sys.argv:
        write_down(os.environ["ESPSYNC_BEFORE"])
    else:
        main([nothing_changed, no_process_is_left], before)
