# SPDX-License-Identifier: GPL-2.0
"""The demo's three machines and what an administrator would put on them.

Job: addresses, configuration (the examples of etc/, what differs between the
nodes replaced), and the programs, started in the order in which the units
require each other: no service manager runs in these guests. What is measured
is not known here.
"""
import os
import re
import shlex

from esptest_ike import example, helper_example, replace, strongswan_example
from esptest_vm import TOP, Vm, until
from esptest_wires import Wires

VIP, LAN_GW, CLIENT, HOST, POOL = "192.0.2.1", "10.1.0.1", "192.0.2.100", "10.1.0.100", "10.66.0.0/24"
PLUGINS = "random nonce openssl pem pkcs1 pubkey x509 hmac gcm kdf curve25519 kernel-netlink socket-default vici updown"
GATEWAYS = ("gw1", "gw2")

# strongSwan's documentation of the plugin, chapter "Configuration": each node the other's remote, heartbeats between them. Its
# default of 2.1 s without a heartbeat makes both nodes active when an emulated machine waits for a processor.
HEARTBEAT_TIMEOUT_MS = 10000
HA_ALONE = """
ha {
    load = yes
    local = 10.99.0.%d
    remote = 10.99.0.%d
    segment_count = 1
    fifo_interface = yes
    monitor = yes
    heartbeat_timeout = %d
    resync = yes
    pools {
        espsync = %s
    }
}
"""


def wires():
    return Wires({"outer": ["gw1", "gw2", "far"], "inner": ["gw1", "gw2", "far"], "sync": ["gw1", "gw2"]})


class Station(Vm):
    """A machine with a charon."""

    def charon(self, plugins, more_plugins="", top=""):
        self.put("/etc/strongswan.conf", f"charon {{\nload = {PLUGINS} {more_plugins}\nplugins {{\n{plugins}\n}}\nfilelog {{\nlog {{\n"
                 f"path = /run/charon.log\nflush_line = yes\ndefault = 1\n}}\n}}\n}}\nswanctl {{\nload = nonce\n}}\n{top}")
        self.daemon("charon", "/usr/sbin/charon-systemd")
        until(lambda: self.sh("swanctl --stats", ok=None).status == 0, 60, lambda: f"{self.name}: charon answers: {self.sh('cat /run/charon.out')}")
        self.sh("swanctl --load-all")

    def daemon(self, name, command):
        self.sh(f"setsid {command} </dev/null >>/run/{name}.out 2>&1 & :")

    def replays(self):
        """Refused as replays. With ESN a number below the window is taken for one of the next 2^32, and fails authentication."""
        return int(self.sh("awk '/XfrmInState(Seq|Proto)Error/ { n += $2 } END { print n }' /proc/net/xfrm_stat"))

    def said(self):
        return self.sh(f"tail -n 40 /run/*.log /run/*.out; ip -br addr; espsync show; espsync show sas", ok=None) if self.alive() else "it does not run\n"


class Gateway(Station):
    def __init__(self, number, wires, updates, advert_int):
        super().__init__(f"gw{number}", wires, dkms=updates)
        self.number, self.other, self.advert_int = number, 3 - number, advert_int

    def network(self):
        n = self.number
        self.sh(f"""set -e
            for d in outer inner sync; do ip link set $d up; done
            ip addr add 192.0.2.1{n}/24 dev outer; ip addr add 10.1.0.1{n}/24 dev inner; ip addr add 10.99.0.{n}/24 dev sync
            ip route add {POOL} via {CLIENT}
            sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.inner.send_redirects=0
            for d in all outer inner sync; do sysctl -qw net.ipv4.conf.$d.rp_filter=0; done
            mkdir -p /run/espsync /usr/local/sbin /usr/local/lib/espsync
            install -m 755 {TOP}/user/espsync/espsync {TOP}/user/espsyncd/espsyncd /usr/local/sbin
            install -m 755 {TOP}/systemd/espsync-closed /usr/local/lib/espsync""")
        self.put("/etc/swanctl/conf.d/road-warrior.conf", example("swanctl/road-warrior.conf"))

    def keepalived_conf(self, helper):
        """The example; without the helper, what of it does not need one."""
        conf = replace(example("keepalived/keepalived.conf"), (r"router_id gw1", f"router_id {self.name}"),
                       (r"priority 110", f"priority {120 - 10 * self.number}"), (r"advert_int 0.1", f"advert_int {self.advert_int}"))
        if not helper:
            for block in (r"\tvrrp_notify_fifo .*\n", r"vrrp_track_process \w+ \{[^}]*\}\n", r"vrrp_script \w+ \{[^}]*\}\n", r"\ntrack_file \w+ \{[^}]*\}\n",
                          r"\ttrack_\w+ \{[^}]*\}\n"):
                conf, n = re.subn(block, "", conf)
                assert n, f"the example has no {block}"
        return conf

    def keepalived(self, helper):
        self.put("/etc/keepalived/keepalived.conf", self.keepalived_conf(helper))
        self.daemon("keepalived", "keepalived --dont-fork --log-console --log-detail --vrrp")

    def start_alone(self):
        """strongSwan with its ha plugin as that is documented, and keepalived."""
        self.network()
        self.charon(HA_ALONE % (self.number, self.other, HEARTBEAT_TIMEOUT_MS, POOL) + example("strongswan.d/charon/kernel-netlink.conf"), "ha", strongswan_example(self.number))
        self.keepalived(helper=False)

    def start_espsync(self, key):
        """espsync-channel.service, espsyncd.service, strongswan.service, keepalived.service, espsync-open.service."""
        n, other = self.number, self.other
        self.network()
        self.put("/etc/espsync/key", key + "\n", 0o600)
        self.put("/etc/espsync/espsyncd.conf", helper_example(n))
        self.sh(f"/usr/local/lib/espsync/espsync-closed close {VIP}")
        self.sh(f"modprobe espsync node={n} local=10.99.0.{n} peers={other}@10.99.0.{other} vip={VIP}")
        self.sh(f"espsync channel set node {n} local 10.99.0.{n} psk-file /etc/espsync/key")
        self.daemon("espsyncd", "/usr/local/sbin/espsyncd -f")
        until(lambda: "is up" in self.sh("cat /run/espsyncd.out", ok=None), 30, lambda: f"{self.name}: espsyncd: {self.sh('cat /run/espsyncd.out')}")
        self.charon(example("strongswan.d/charon/ha.conf") + example("strongswan.d/charon/kernel-netlink.conf"), "ha", strongswan_example(self.number))
        self.keepalived(helper=True)
        self.daemon("open", f"/usr/local/lib/espsync/espsync-closed watch {VIP}")

    def master(self):
        return f" {VIP}/" in self.sh("ip -4 addr show dev outer")

    def ready(self):
        return self.sh("espsync ready", ok=None)

    def role(self):
        return self.json("espsync -j show groups")[0]["role"]


class Far(Station):
    """The road warrior, and in a namespace the host behind the gateways."""

    def __init__(self, wires):
        super().__init__("far", wires)

    def network(self):
        self.sh(f"""set -e
            ip netns add host; ip link set inner netns host; ip -n host link set lo up; ip -n host link set inner up
            ip -n host addr add {HOST}/24 dev inner; ip -n host route add {POOL} via {LAN_GW}
            ip link set outer up; ip addr add {CLIENT}/24 dev outer
            sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.outer.rp_filter=0""")
        self.put("/etc/swanctl/conf.d/home.conf", f"""
connections {{
    home {{
        remote_addrs = {VIP}
        version = 2
        mobike = no
        proposals = aes128-sha256-x25519
        vips = 0.0.0.0
        local {{
            auth = psk
            id = road@example.org
        }}
        remote {{
            auth = psk
            id = gw.example.org
        }}
        children {{
            lan {{
                remote_ts = 10.1.0.0/24
                esp_proposals = aes128gcm16-x25519-esn
                replay_window = 1024
            }}
        }}
    }}
}}
secrets {{
    ike-gw {{
        secret = "replace this by a long random one"
    }}
}}
""")

    def start_charon(self):
        self.charon("kernel-netlink {\nroam_events = no\n}")

    def connect(self):
        self.sh("swanctl --initiate --child lan --timeout 60", timeout=90)
        return re.search(r"local-vips=\[([0-9.]+)\]", self.sh("swanctl --list-sas --raw"))[1]

    def forget(self):
        """As a client that is switched off: the gateways are not told."""
        self.sh("pkill -KILL charon-systemd; ip xfrm state flush; ip xfrm policy flush; ip addr flush dev outer; "
                f"ip addr add {CLIENT}/24 dev outer; ip route flush table 220; rm -f /run/charon.*", ok=None)

    def traffic(self, rate, client, seconds=None, timeout=900):
        """Begin it; far.answer(number) has the report."""
        words = [str(rate), client, HOST, "--tcp"] + (["--seconds", str(seconds)] if seconds else [])
        return self.begin(f"rm -f /tmp/arrived; exec python3 {TOP}/selftests/lib/vm_traffic.py {shlex.join(words)}", timeout=timeout)

    def stop_traffic(self):
        self.sh("pkill -TERM -o -f lib/vm_traffic.py")

    def counted(self):
        return [int(x) for x in self.sh("cat /tmp/arrived 2>/dev/null || echo 0 0").split()]
