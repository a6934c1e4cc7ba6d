# SPDX-License-Identifier: GPL-2.0
"""Stock charons and espsyncd in the namespaces of a Cluster.

Job: processes with a /run of their own, their configuration, and what can be asked of them. What must hold is for the tests to
say. Configuration comes from etc/, so that the examples are what is tested.

    from esptest import *
    from esptest_ike import IkeCluster

    c = IkeCluster()            # a Cluster with .ike[1], .ike[2] (gateways) and .road, .road2 (clients, 192.0.2.100 and .101)
    c.start_ike()               # helpers and charons of both gateways, gw1 active
    c.road.start_charon(); c.road.connect()
"""
import functools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile

from esptest import Cluster, Ns, check, defer, note, sh, until, veth

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POOL = "10.66.0.0/24"
CHARON = "/usr/sbin/charon-systemd"


def example(name):
    with open(f"{TOP}/etc/{name}", encoding="utf-8") as f:
        return f.read()


def replace(text, *pairs):
    """Each pattern must be there once: a test of an example that has changed under it would test nothing."""
    for was, now in pairs:
        text, n = re.subn(was, now, text)
        check(n == 1, f"the example has {n} times {was!r}")
    return text


def helper_example(number, nodes=(1, 2)):
    """espsyncd.conf as one of these nodes has it."""
    peers = "\n".join(f"[peer {n}]\naddress = 10.99.0.{n}" for n in nodes if n != number)
    return replace(example("espsyncd.conf"), (r"number = 1", f"number = {number}"), (r"local = 10.99.0.1", f"local = 10.99.0.{number}"),
                   (r"\[peer 2\]\naddress = 10.99.0.2", peers))


def spi_example(number):
    """strongswan.d/espsync-spi.conf as `espsyncd -s` prints it on that node; the example is node 1's."""
    return re.sub("= 0x01", f"= 0x{number:02x}", replace(example("strongswan.d/espsync-spi.conf"), ("node 1's", f"node {number}'s")))


def strongswan_example(number):
    """What goes to strongswan.d."""
    return example("strongswan.d/espsync.conf") + spi_example(number)


def parse_raw(text):
    """swanctl --raw: `name {key=value list=[a b] ...}`, nested."""
    stack, name, items = [{}], None, None
    for w in re.findall(r"[{}\]]|[^\s{}\[\]=]+=\[|[^\s{}\[\]=]+=[^\s{}\[\]]*|[^\s{}\[\]]+", text):
        if items is not None and w != "]":
            items.append(w)
        elif w == "]":
            items = None
        elif w == "{":
            stack.append(stack[-1].setdefault(name, {}))
        elif w == "}":
            stack.pop()
        elif w.endswith("=["):
            items = stack[-1][w[:-2]] = []
        elif "=" in w:
            key, value = w.split("=", 1)
            stack[-1][key] = value
        else:
            name = w
    return stack[0]


class Station:
    """A namespace with its own /run, and programs in it whose output goes to files."""

    def __init__(self, ns):
        self.ns = ns
        self.dir = tempfile.mkdtemp(prefix=f"{ns}-")
        defer(shutil.rmtree, self.dir, True)
        os.makedirs(f"{self.dir}/run/espsync")
        self.procs, self.roots = {}, set()
        defer(self.end_all)
        self._hold()

    def _hold(self):
        """The process that has its mounts."""
        self.holder = self._start("holder", ["ip", "netns", "exec", str(self.ns), "unshare", "-m", "sh", "-c",
                                             f"mount --make-rprivate / && mount --bind {self.dir}/run /run && "
                                             "{ [ -L /var/run ] || mount --bind /run /var/run; } && exec sleep infinity"])
        until(lambda: self.run("test -d /run/espsync", ok=None).status == 0, 10, f"{self}: a /run of its own")

    def __str__(self):
        return str(self.ns)

    def _start(self, name, words, env=None, fd=None):
        """A program; `fd` becomes its descriptor 3, as systemd passes a socket."""
        if fd is not None:
            words = ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS=1; [ {fd} = 3 ] || exec 3<&{fd}; exec "$@"', "bash", *words]
        with open(f"{self.dir}/{name}.out", "ab") as out:
            self.procs[name] = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
                                                pass_fds=() if fd is None else (fd,))
        return self.procs[name]

    def _inside(self):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--"]

    def run(self, command, **kw):
        return sh([*self._inside(), *(["bash", "-c", command] if isinstance(command, str) else command)], **kw)

    def spawn(self, name, words, env=None, fd=None):
        return self._start(name, [*self._inside(), *words], env, fd)

    def end(self, name, sig=signal.SIGTERM, seconds=20):
        proc = self.procs.get(name)
        if proc:
            proc.send_signal(sig)
            proc.wait(seconds)
            del self.procs[name]

    def end_all(self):
        for name in list(self.procs):
            self.end(name, signal.SIGKILL)

    def chroot(self, variable):
        """Words that begin a program of another root, which the harness names in the environment (UML): it sees this station's processes and files."""
        root = f"/mnt/{variable.lower()}"
        if root not in self.roots:
            os.makedirs(root, exist_ok=True)
            self.run(f"mount -t hostfs -o ro,{os.environ[variable]} none {root} && for d in proc sys dev run tmp; do mount --rbind /$d {root}/$d; done")
            self.roots.add(root)
        return ["chroot", root]

    def running(self, name):
        return name in self.procs and self.procs[name].poll() is None

    def write(self, name, text, mode=0o644):
        path = f"{self.dir}/{name}"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def text(self, name):
        try:
            with open(f"{self.dir}/{name}", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def explain(self):
        for name in ("espsyncd.out", "charon.log", "charon.out"):
            for line in self.text(name).splitlines()[-50:]:
                note(f"{self} {name}: {line}")


class Charon(Station):
    """A stock charon, asked over vici."""

    suite = os.environ.get("S")     # of which Debian; None: the guest's own
    log_more = ""       # "ike = 4" prints keys too
    PLUGINS = "random nonce openssl pem pkcs1 pubkey x509 hmac gcm kdf curve25519 kernel-netlink socket-default vici updown"

    def strongswan(self, *words):
        """A command of its strongSwan."""
        return [*(self.chroot(f"STRONGSWAN_{self.suite.upper()}") if self.suite else []), *words]

    def strongswan_conf(self):
        return self.charon_conf("", "kernel-netlink {\n roam_events = no\n}\n", "")

    def charon_conf(self, more_plugins, plugins, top):
        return f"""
charon {{
    load = {self.PLUGINS} {more_plugins}
    plugins {{
{plugins}
    }}
    filelog {{
        log {{
            path = {self.dir}/charon.log
            flush_line = yes
            default = 1
            {self.log_more}
        }}
    }}
}}
{top}"""

    def start_charon(self, load=True):
        conf = self.write("strongswan.conf", self.strongswan_conf())
        self.write("swanctl.conf", self.swanctl_conf())
        self.write("swanctl-program.conf", "swanctl {\n load = nonce\n}\n")
        self.spawn("charon", self.strongswan(CHARON), {"STRONGSWAN_CONF": conf})
        until(lambda: self.swanctl("--stats", ok=None).status == 0, 20, f"{self}: charon answers")
        if load:
            self.load()

    def swanctl(self, words, **kw):
        """swanctl with one plugin: af-alg alone would ask the kernel for dozens of modules that a guest does not have."""
        return self.run(f"STRONGSWAN_CONF={self.dir}/swanctl-program.conf {shlex.join(self.strongswan('swanctl'))} {words}", **kw)

    def load(self):
        self.swanctl(f"--load-all --file {self.dir}/swanctl.conf")

    def sas(self):
        """IKE SAs as dictionaries; `child-sas` has CHILD SAs by name-number."""
        out = self.swanctl("--list-sas --raw", ok=None)
        return [{**sa, "conn": name} for line in out.splitlines() if line.startswith("list-sa event")
                for name, sa in parse_raw(line[len("list-sa event"):].strip()[1:-1]).items()]

    def ike(self, state=None):
        """{SPIi SPIr} of the IKE SAs, of one state or of all."""
        return {s["initiator-spi"] + " " + s["responder-spi"] for s in self.sas() if state in (None, s["state"])}

    def children(self, state="INSTALLED"):
        """{(SPI in, SPI out)} of the CHILD SAs."""
        return {(c["spi-in"], c["spi-out"]) for s in self.sas() for c in s.get("child-sas", {}).values() if c["state"] == state}

    def mirrored_children(self):
        """How many CHILD SAs charon has installed for the ha plugin: each once, if nobody tells it twice."""
        return len(re.findall(r"installed HA CHILD_SA", self.text("charon.log")))

    def in_kernel(self):
        """SPIs of the ESP states, larval ones left out."""
        out = self.ns.ip("xfrm state")
        return set(re.findall(r"proto esp spi 0x([0-9a-f]{8}) reqid \d+ mode (?:tunnel|transport)\n\s+replay-window", out))


class Road(Charon):
    """A road warrior: one connection, an inner address from the gateways' pool."""

    dpd = ""    # "dpd_delay = 1s" makes it ask when it hears nothing

    def swanctl_conf(self):
        return f"""
connections {{
    home {{
        {self.dpd}
        remote_addrs = {Cluster.VIP}
        version = 2
        mobike = no
        proposals = aes128-sha256-x25519
        vips = 0.0.0.0
        local {{
            auth = psk
            id = {self}@example.org
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
"""

    def rekey(self, what="--child lan", seconds=10):
        """CHILD or IKE SA, begun by the client; done when it has other SPIs."""
        before = self.children(), self.ike("ESTABLISHED")
        self.swanctl(f"--rekey {what}")
        which = 0 if "child" in what else 1
        until(lambda: len(now := (self.children(), self.ike("ESTABLISHED"))[which]) == 1 and now != before[which], seconds, f"{self}: rekeyed {what}")

    def connect(self):
        self.swanctl("--initiate --child lan --timeout 20")

    def inner_address(self):
        return self.sas()[0]["local-vips"][0]

    def ping(self, count=3, seconds=10):
        """How many of so many echos came back through the tunnel."""
        out = self.run(f"ping -n -i 0.05 -c {count} -w {seconds} -I {self.inner_address()} {Cluster.LAN}", ok=None)
        return int(re.search(r"(\d+) received", out).group(1))


class Gateway(Charon):
    """A gateway: charon with the ha plugin, espsyncd, and the FIFO on which keepalived would speak."""

    def __init__(self, ns, number, key, nodes=(1, 2)):
        super().__init__(ns)
        self.number, self.key, self.nodes = number, key, nodes
        self.heartbeat_timeout = None
        self.lines = 0
        self.socket = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.2", 4510))

    def strongswan_conf(self):
        ha = example("strongswan.d/charon/ha.conf")
        if self.heartbeat_timeout:
            ha = replace(ha, (r"heartbeat_timeout = \d+", f"heartbeat_timeout = {self.heartbeat_timeout}"))
        return self.charon_conf("ha", ha + example("strongswan.d/charon/kernel-netlink.conf"), strongswan_example(self.number))

    def swanctl_conf(self):
        return example("swanctl/road-warrior.conf")

    def helper_conf(self):
        return replace(helper_example(self.number, self.nodes), (r"\nkey_file = \S+", f"\nkey_file = {self.key}"),
                       (r"\n#strongswan = \S+", f"\nstrongswan = {self.dir}/strongswan.conf"), (r"\n#swanctl = \S+", f"\nswanctl = {self.dir}/swanctl.conf"))

    @staticmethod
    def unit_says(unit, name):
        with open(f"{TOP}/systemd/{unit}", encoding="ascii") as f:
            value, = re.findall(rf"^{name}=(.*)$", f.read(), re.M)
        return value

    def helper_caps(self):
        """What its unit leaves it."""
        return [cap.removeprefix("CAP_").lower() for cap in self.unit_says("espsyncd.service", "CapabilityBoundingSet").split()]

    def stop_charon(self):
        """As systemd does: asked, and killed if it does not follow. Return: whether it did."""
        try:
            self.end("charon", signal.SIGTERM, int(self.unit_says("strongswan.service.d/espsync.conf", "TimeoutStopSec")))
        except subprocess.TimeoutExpired:
            self.end("charon", signal.SIGKILL)
            return False
        return True

    def start_helper(self, caps=None, within=()):
        """With a socket that outlives it, as espsyncd.socket gives it one, and the capabilities that its unit leaves it."""
        bounding = ",".join(["-all", *(f"+{cap}" for cap in (self.helper_caps() if caps is None else caps))])
        conf = self.write("espsyncd.conf", self.helper_conf())
        self.lines = len(self.text("espsyncd.out"))
        self.spawn("espsyncd", [*within, "prlimit", "--memlock=unlimited", "setpriv", "--no-new-privs", "--inh-caps=-all",
                                f"--bounding-set={bounding}", "espsyncd", "-f", "-c", conf], fd=self.socket.fileno())
        until(lambda: "is up" in self.log(), 10, f"{self}: espsyncd is up")

    def log(self):
        """What espsyncd has said since it was started last."""
        return self.text("espsyncd.out")[self.lines:]

    def said(self, pattern, seconds=10):
        return until(lambda: re.search(pattern, self.log()), seconds, f"{self}: espsyncd says {pattern!r}")

    def vrrp(self, state, instance="espsync"):
        """A line as keepalived writes it."""
        with open(os.open(f"{self.dir}/run/espsync/notify", os.O_WRONLY | os.O_NONBLOCK), "w", encoding="ascii") as f:
            f.write(f'INSTANCE "{instance}" {state} 100\n')

    def track(self):
        return self.text("run/espsync/track").strip()

    def role(self):
        """What espsyncd carried out last: active, standby or None."""
        told = re.findall(r"espsyncd: (active|standby), after \d+ ms", self.log())
        return told[-1] if told else None

    def become(self, state):
        """keepalived's word, and its being carried out."""
        before = self.log().count(", after ")
        self.vrrp(state)
        wanted = "active" if state == "MASTER" else "standby"
        until(lambda: self.log().count(", after ") > before and self.role() == wanted, 20, f"{self}: {wanted}")


class IkeCluster(Cluster):
    """A Cluster in which IKE is negotiated."""

    def __init__(self, module=False, nodes=(1, 2)):
        super().__init__(nodes=nodes)
        self.module, self.off = module, set()
        self.client2 = Ns("client2")
        veth(self.client2, "out", self.br, "o-client2")
        self.br.ip("link set o-client2 master outside")
        self.client2.address("out", "192.0.2.101/24")
        self.client2.ip(f"route add 10.1.0.0/24 via {self.VIP} dev out")
        for gw in self.gw.values():
            gw.ip(f"route add {POOL} dev out")
        self.lan.ip(f"route add {POOL} via 10.1.0.1")
        self.ike = {n: Gateway(gw, n, self.key_file(), nodes) for n, gw in self.gw.items()}
        self.road, self.road2 = Road(self.client), Road(self.client2)

    def move_vip(self, node):
        super().move_vip(node)
        if node:
            mac = self.gw[node].ip_json("link show out")[0]["address"]
            self.client2.ip(f"neigh replace {self.VIP} lladdr {mac} dev out nud reachable")

    def start_ike(self, active=1):
        """What systemd and keepalived would start, in their order."""
        for n, gw in self.ike.items():
            if self.module:
                self.configure(n)
            gw.start_helper()
            gw.start_charon()
        for n in self.others(active):
            self.ike[n].become("BACKUP")
        self.ike[active].become("MASTER")
        self.move_vip(active)
        for n, gw in self.ike.items():
            for other in self.others(n):
                gw.said(f"peer {other}: connected")
        if self.module:
            until(lambda: all(self.peer_state(n, o) == "up" for n in self.gw for o in self.others(n)), 10, "all peers up")

    def power_off(self, node):
        """A node dies: nothing of it is heard any more, and nothing that it knew is left."""
        gw = self.ike[node]
        self.off.add(node)
        self.crash(node)
        for name in ("espsyncd", "charon"):
            gw.end(name, signal.SIGKILL)
        if self.module:
            self.espsync(node, "channel del --release")
        gw.ns.ip("xfrm state flush")
        gw.ns.ip("xfrm policy flush")
        self.drop_vip(node)

    def power_on(self, node):
        """It boots: keepalived finds a master and stays behind it."""
        self.revive(node)
        if self.module:
            self.configure(node)
        self.ike[node].start_helper()
        self.ike[node].start_charon()
        self.ike[node].become("BACKUP")
        self.off.discard(node)

    def take_over(self, node):
        """What keepalived does on the other node: the address first, then the word."""
        self.move_vip(node)
        self.ike[node].become("MASTER")

    def wait_ready(self, active, seconds=20):
        try:
            until(lambda: self.espsync(active, "ready", ok=None).status == 0, seconds, "ready")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.espsync(active, 'ready', ok=None)}") from None

    def standbys(self, active):
        """Those that are there."""
        return [self.ike[n] for n in self.others(active) if n not in self.off]

    def mirrored(self, active=1, ikes=1):
        """Each standby has the active node's IKE SAs, passive, and its CHILD SAs, in charon and in the kernel."""
        a = self.ike[active]
        children = a.children()
        flat = {s for pair in children for s in pair}
        return len(a.ike()) == ikes and children and all(
            a.ike("ESTABLISHED") == b.ike("PASSIVE") == b.ike() and children == b.children() and b.in_kernel() == flat for b in self.standbys(active))

    def wait_mirrored(self, active=1, ikes=1, seconds=20):
        try:
            until(lambda: self.mirrored(active, ikes), seconds, "each standby has all SAs")
        except AssertionError as e:
            a = self.ike[active]
            raise AssertionError(f"{e}: active {a.ike()} {a.children()}, " + ", ".join(
                f"standby {b.number} {[(s['state'], s['initiator-spi']) for s in b.sas()]} {b.children()} kernel {b.in_kernel()}"
                for b in self.standbys(active))) from None

    def explain(self):
        for s in (*self.ike.values(), self.road, self.road2):
            s.explain()


def explained(case):
    """A case whose failure is followed by what the programs have said."""
    @functools.wraps(case)
    def run(c):
        try:
            case(c)
        except Exception:
            c.explain()
            raise
    return run
