#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: two gateways under systemd, installed and configured as README says, step by step: start, failover, planned move, stop
# WHERE: host
# SETS: timeout=700 named
"""
units - what README's "Two real gateways" promises, on stock kernels with systemd, the installed units and the examples of etc/.

Job: systemd's part: who starts what and in which order, what stays closed while something is missing, what holds the sockets. What the programs
do once they run is other tests'. systemd is the first process of a PID namespace of its own: the guest's first one is the harness's.
"""
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo"))

from esptest.ktap import check, equal, main  # noqa: E402
from esptest.system import defer  # noqa: E402
from esptest_ike import example, helper_example, replace  # noqa: E402
from esptest_vm import TOP, dkms_install, until  # noqa: E402
from machines import VIP, Far, Gateway, wires  # noqa: E402

KEY = secrets.token_hex(32)
README_START = "systemctl enable --now espsync-channel espsync-open espsyncd.socket espsyncd strongswan keepalived"


def installed():
    """What `make install` and `make dkms-install` put on a machine, without the module: a directory that the guests see."""
    tree = tempfile.mkdtemp(prefix="installed-", dir=os.path.join(TOP, "build", "tmp"))
    defer(shutil.rmtree, tree, True)
    subprocess.run(["make", "-s", "-C", TOP, "install-user", f"DESTDIR={tree}"], check=True, stdout=subprocess.DEVNULL)
    return tree


class UnitGateway(Gateway):
    """Steps 2 to 7 of README, on one node."""

    def __init__(self, number, net, updates, tree):
        super().__init__(number, net, updates, advert_int=1)
        self.tree = tree

    def set_up(self):
        self.network()
        self.sh(f"rm /usr/local/sbin/espsync* /usr/local/lib/espsync -r; cp -r {self.tree}/. /; rm -f /etc/swanctl/conf.d/*")
        self.put("/etc/espsync/key", KEY + "\n", 0o600)
        env = example("channel.env")
        if self.number == 2:
            env = replace(env, (r"NODE=1", "NODE=2"), (r"LOCAL=10.99.0.1", "LOCAL=10.99.0.2"), (r"PEERS=2@10.99.0.2", "PEERS=1@10.99.0.1"))
        self.put("/etc/espsync/channel.env", env)
        self.put("/etc/espsync/espsyncd.conf", helper_example(self.number))
        self.sh("cp -r /usr/local/share/espsync/examples/strongswan.d/. /etc/strongswan.d; cp -r /usr/local/share/espsync/examples/keepalived/"
                "keepalived.service.d /etc/systemd/system; cp /usr/local/share/espsync/examples/swanctl/*.conf /etc/swanctl/conf.d")
        self.sh("/usr/local/sbin/espsyncd -s >/etc/strongswan.d/espsync-spi.conf")
        self.put("/etc/keepalived/keepalived.conf", self.keepalived_conf(helper=True))
        self.put("/etc/systemd/system.conf", "[Manager]\nDefaultTimeoutStartSec=120s\n"
                 "DefaultStartLimitIntervalSec=120s\n")      # an emulated machine does not start five times within the default, 10 s
        # systemd answers only those who are root in its own namespaces.
        for name in ("systemctl", "journalctl"):
            self.put(f"/usr/local/bin/{name}", f'#!/bin/sh\nexec nsenter -t "$(pgrep -o -x systemd)" -p -m -C /usr/bin/{name} "$@"\n', 0o755)

    def boot_systemd(self):
        self.sh("tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id; setsid unshare --pid --fork --mount --cgroup --mount-proc env container=test /lib/systemd/systemd --unit=basic.target "
                "</dev/null >/run/systemd.out 2>&1 & :")
        until(lambda: self.sh("systemctl is-active basic.target", ok=None).strip() == "active", 120, lambda: self.said())

    def systemctl(self, words, **kw):
        return self.sh(f"systemctl {words}", timeout=180, **kw)

    def active(self, unit):
        return self.systemctl(f"is-active {unit}", ok=None).strip() == "active"

    def closed(self):
        return self.sh("nft list table inet espsync_closed", ok=None).status == 0

    def said(self):
        return self.sh("systemctl --failed --no-pager; journalctl --no-pager -n 60 -o cat _TRANSPORT=stdout _TRANSPORT=syslog _TRANSPORT=journal; cat /run/systemd.out; espsync show; espsync ready", ok=None)


class Two:
    def __init__(self):
        tree = installed()
        updates = dkms_install()
        self.net = wires()
        defer(self.net.close)
        self.gw1, self.gw2 = self.gateways = [UnitGateway(n, self.net, updates, tree) for n in (1, 2)]
        self.far = Far(self.net)
        for vm in (*self.gateways, self.far):
            defer(vm.close)
            vm.start()
        for vm in (*self.gateways, self.far):
            vm.wait()
        self.far.network()
        for gw in self.gateways:
            gw.set_up()
            gw.boot_systemd()

    def explain(self):
        return "".join(f"--- {gw.name}\n{gw.said()}" for gw in self.gateways if gw.alive())

    def ready(self, gw, seconds=60):
        until(lambda: gw.ready().status == 0, seconds, lambda: f"{gw.name} ready: {gw.ready()}{self.explain()}")

    def roles(self, first, second, seconds=60):
        until(lambda: [gw.role() for gw in self.gateways if gw.alive()] == [r for r in (first, second) if r], seconds,
              lambda: f"roles {first}, {second}\n{self.explain()}")


def nobody_else_is_told(gw):
    bound = gw.sh("setpriv --reuid 65534 --clear-groups python3 -c 'import socket; socket.socket(2, 2).bind((\"127.0.0.2\", 4510))' 2>&1", ok=None)
    check("Address already in use" in bound, f"nobody else binds the ha plugin's other end: {bound}")


def strongswan_brings_what_it_needs(t):
    """Alone it starts the channel and the socket before itself; the tunnel address is closed and the loopback address held."""
    gw = t.gw1
    equal([gw.active(u) for u in ("espsync-channel", "espsyncd.socket")], [False, False], "running before")
    gw.systemctl("start strongswan")
    check(gw.active("espsync-channel") and gw.active("espsyncd.socket"), "its channel and socket run")
    check(gw.closed() and gw.role() == "undecided", "nobody decided: the address is closed")
    nobody_else_is_told(gw)
    gw.systemctl("stop strongswan espsyncd.socket espsync-channel")
    check(gw.closed(), "stopped without a role: it stays closed")


def without_its_key_the_channel_refuses_and_strongswan_with_it(t):
    gw = t.gw1
    gw.sh("chmod 644 /etc/espsync/key")
    check(gw.systemctl("start strongswan", ok=None).status != 0 and not gw.active("strongswan"), "strongSwan does not start")
    check(gw.closed(), "the address is closed")
    check("espsync: " in gw.sh("journalctl --no-pager -o cat -u espsync-channel"), "the journal has the sentence")
    gw.sh("chmod 600 /etc/espsync/key")
    gw.systemctl("reset-failed")


def both_start_as_readme_says(t):
    readme = open(os.path.join(TOP, "README.md"), encoding="utf-8").read()
    check(README_START in readme, "README has this line")
    for gw in t.gateways:
        gw.systemctl(README_START.removeprefix("systemctl "))
    t.roles("active", "standby")
    for gw in t.gateways:
        until(lambda: not gw.closed(), 20, f"{gw.name} is open: the module guards")
        check(all(gw.active(u) for u in README_START.split()[3:]), f"all run on {gw.name}: {gw.said()}")
    t.far.start_charon()
    t.far.connect()
    t.ready(t.gw1)
    check("2 of 2 SAs protected" in t.gw1.sh("espsync show"), "both SAs are protected")


def a_helper_that_is_killed_comes_back(t):
    t.gw1.sh("pkill -KILL espsyncd")
    until(lambda: t.gw1.active("espsyncd") and t.gw1.ready().status == 0, 60, lambda: t.explain())
    t.roles("active", "standby")


def a_helper_that_cannot_start_goes_on_trying(t):
    """More often than systemd would let it by default; meanwhile nobody can sit at its address."""
    gw = t.gw2
    gw.sh("chmod 644 /etc/espsync/key; pkill -KILL espsyncd")
    until(lambda: int(gw.systemctl("show -P NRestarts espsyncd")) >= 8, 120, lambda: t.explain())
    check(gw.active("espsyncd.socket"), f"its socket is held: {gw.said()}")
    nobody_else_is_told(gw)
    gw.sh("chmod 600 /etc/espsync/key")
    until(lambda: gw.active("espsyncd"), 60, lambda: t.explain())
    t.ready(t.gw1)


def the_active_one_is_killed(t):
    t.gw1.kill()
    t.roles(None, "active")
    until(lambda: ping(t), 30, lambda: f"echos through gw2\n{t.explain()}")


def ping(t):
    return t.far.sh("ping -n -c 3 -i 0.2 -w 5 -I 10.66.0.1 10.1.0.100", ok=None).status == 0


def it_comes_back_and_is_moved_to_on_purpose(t):
    t.gw1.start().wait()
    t.gw1.set_up()
    t.gw1.boot_systemd()
    t.gw1.systemctl(README_START.removeprefix("systemctl "))
    t.ready(t.gw2)
    equal(t.gw2.sh("espsync demote").strip(), "flushed", "what demote says")
    t.gw2.systemctl("restart keepalived")
    t.roles("active", "standby")
    until(lambda: ping(t), 30, lambda: f"echos through gw1\n{t.explain()}")
    t.ready(t.gw1)


def a_standby_that_is_stopped_is_closed(t):
    """README's order of upgrade, on the standby."""
    t.gw2.systemctl("stop keepalived espsyncd strongswan espsync-channel")
    check(t.gw2.closed(), "the table is there")
    began = time.time()
    t.gw2.sh(f"ip addr add {VIP}/32 dev outer; ping -n -c 2 -i 0.2 -w 2 -I 10.1.0.12 10.66.0.1; ip addr del {VIP}/32 dev outer", ok=None)
    equal([f for f in t.net.esp(since=began) if f.sender == "gw2"], [], "ESP that it sent")
    t.gw2.systemctl("start espsync-channel espsync-open espsyncd strongswan keepalived")
    t.ready(t.gw1)
    equal(t.net.repeats(), {}, "numbers sent more than once")
    equal(t.far.replays(), 0, "packets that the client refused")


main([strongswan_brings_what_it_needs, without_its_key_the_channel_refuses_and_strongswan_with_it, both_start_as_readme_says,
      a_helper_that_is_killed_comes_back, a_helper_that_cannot_start_goes_on_trying, the_active_one_is_killed, it_comes_back_and_is_moved_to_on_purpose,
      a_standby_that_is_stopped_is_closed], Two)
