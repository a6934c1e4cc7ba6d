#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the kernel's own tests of xfrm and IPsec say the same with the module, replicating, as without
# WHERE: uml-fast
# SETS: timeout=1500 selftests iproute2 alone named uml-only
"""
kernel-selftests - the neighbours' tests, of the kernel's source package, twice: before the module is loaded, and then with it.

The second time a cluster of two gateways replicates a tunnel under traffic all the while, and each state that a test adds with `ip` is followed:
lib/kernel-selftests/ip stands before `ip`, and where a state is about to be added it makes the namespace a gateway, active, for the state's local
address. The program `ipsec` makes its states itself; it meets only what of the module is the whole machine's. What it wants of ciphers that the guest's
kernel lacks is `not ok` both times; and its processes write into each other's lines, so of a verdict only its beginning is compared.
"""
import os
import re

from esptest import *
from failover import ready, sent_twice

STAND_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "kernel-selftests")
NEWER = os.path.join(STAND_IN, "newer")
FOLLOWED = "/run/espsync-followed"
NETNS = "/run/netns"
# The command, how many verdicts there must be, and how many states that were followed.
TESTS = {
    "xfrm-policy": ("./xfrm_policy.sh", 10, 4),
    "xfrm-state": ("./xfrm_state.sh", 10, 20),
    "vrf-xfrm-tests": ("./vrf-xfrm-tests.sh", 10, 4),
    "pmtu": ("./pmtu.sh pmtu_vti4_exception pmtu_vti6_exception pmtu_vti4_default_mtu pmtu_vti6_default_mtu", 4, 4),
    "rtnetlink": ("./rtnetlink.sh -t 'kci_test_ipsec kci_test_ipsec_offload'", 2, 1),
    "ipsec": ("./ipsec", 90, 0),
}
VERDICT = re.compile(r"^(?:not )?ok \d+|.*\b(?:PASS|FAIL|SKIP|XFAIL|ERROR)\b.*|.*\[ *OK *\].*")


def run(program, env=f"PATH={NEWER}:$PATH"):
    """(exit status, the lines that judge, sorted) and all that was said."""
    sh("ip xfrm state flush; ip xfrm policy flush")
    before = set(os.listdir(NETNS))
    said = sh(f"cd /mnt/kernel_selftests/net && {env} {program} 2>&1", ok=None, timeout=1200)
    for ns in set(os.listdir(NETNS)) - before:
        sh(["ip", "netns", "del", ns])      # some leave theirs behind
    return (said.status, sorted(" ".join(m[0].split()) for m in map(VERDICT.match, said.splitlines()) if m)), said


def without_the_module(b):
    for name, (program, least, _) in TESTS.items():
        check(not os.path.exists("/sys/module/espsync"), "the module is not there")
        b.without[name], said = run(program)
        status, lines = b.without[name]
        note(f"{name}: exit {status}, {len(lines)} verdicts")
        check(len(lines) >= least, f"{name} judges {least} things at least, not {lines}: {said[-600:]}")


def a_cluster_replicates(b):
    module()
    b.c = c = Cluster()
    c.t = c.tunnel(esn=True, window=1024)
    c.start()
    b.caps = [Capture(gw, "out") for gw in c.gw.values()]
    b.there = Receiver(c.client, c.INNER)
    b.sender = Sender(c.lan, c.INNER, rate=100)
    ready(c, 1)


def with_it(name):
    def compare(b):
        open(FOLLOWED, "w", encoding="ascii").close()
        before = b.there.count
        got, said = run(TESTS[name][0], f"KEY={b.c.key_file()} FOLLOWED={FOLLOWED} PATH={STAND_IN}:$PATH")
        was, (status, lines) = b.without[name], got
        with open(FOLLOWED, encoding="ascii") as f:
            followed = sum(map(int, f))
        note(f"{name}: exit {status}, {len(lines)} verdicts, {followed} states followed, {b.there.count - before} packets of the cluster meanwhile")
        changed = [f"- {line}" for line in was[1] if line not in lines] + [f"+ {line}" for line in lines if line not in was[1]]
        check(got == was, f"{name}: exit {was[0]} without the module, {status} with it: {changed}: {said[-600:]}")
        check(followed >= TESTS[name][2], f"{name}: {followed} states were followed, not {TESTS[name][2]}")
    compare.__name__ = name
    return compare


def it_still_does(b):
    ready(b.c, 1)
    before = b.there.count
    b.c.fail_over(2)
    until(lambda: b.there.count > before + 100, 10, "packets after a takeover")
    b.sender.stop()
    for cap in b.caps:
        cap.stop()
    check(not sent_twice(b.c, b.caps), "no number twice")


class Both:
    """What was said without the module, and the cluster."""

    def __init__(self):
        host_dir("KERNEL_SELFTESTS")
        os.makedirs(NETNS, exist_ok=True)
        os.environ["IPROUTE2"] = host_dir("IPROUTE2")
        self.without = {}


main([without_the_module, a_cluster_replicates, *map(with_it, TESTS), it_still_does], Both)
