#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a fault at each named point of the state machines: link cut, peer killed, SA or namespace deleted, module unloaded, no memory
# WHERE: uml
# SETS: timeout=3000 alone named uml-only
"""
faults - what happens exactly when peers, leases and roles turn, and whether the cluster is whole again afterwards.

A run is a point, an action and a seed. The point is a tracepoint of the module with a value; espsync_faults.ko stands still there for some milliseconds
and wakes a process that waits, which does the action with one system call. Around it flows traffic both ways, and the test does what
leads to the point. Then what is broken is made again, and it must hold: one node is active, both are ready, every tunnel
carries packets, no number left a gateway twice, nothing that was recorded before is taken again, the kernel has nothing to say.

FAULT_RUNS of them, from number FAULT_FROM on, in an order that FAULT_SEED makes: all points with all actions before any comes again.
The three repeat a run. FAULT_ONLY="point... action..." leaves the others out. `make check-faults` runs them in many boots.
"""
import ctypes
import os
import random
import select
import signal
import socket
import struct
import sys
import time
import traceback

import genlwire
from esptest import *
from esptest.net import master_message, rtnl
from esptest.netlink import NESTED, attr, message, nest
from esptest.system import Failed
from failover import *

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "harness"))
import kernlog  # noqa: E402

RUNS, FROM = int(os.environ.get("FAULT_RUNS") or 30), int(os.environ.get("FAULT_FROM") or 0)
ONLY = (os.environ.get("FAULT_ONLY") or "").split()
SEED = os.environ.get("FAULT_SEED") or str(random.SystemRandom().randrange(1 << 32))
DETECT_S, EVICT_S = 1.5, 4
REKEY_AFTER = 6         # runs: leases never shrink
ESPSYNC_CMD_CHANNEL_DEL, XFRM_MSG_DELSA = 3, 0x11
SYS_DELETE_MODULE, MNT_DETACH = 176, 2
libc = ctypes.CDLL(None, use_errno=True)


# -- activities: what leads to a point ---------------------------------------------
# Each may fail in any way that a fault in its middle brings about; the cluster is judged afterwards, whatever was reached.

def nothing(f):
    """Traffic flows."""
    time.sleep(0.1)


def standby_sends(f):
    """With the group's address, which keepalived gives it before anybody tells the module."""
    f.moved = True
    f.c.add_vip(f.standby)
    for _ in range(8):
        with f.c.gw[f.standby].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"10.1.0.1{f.standby}", 0))
            try:
                sock.sendto(b"x", (f.c.INNER, PORT))
            except OSError:
                pass


def renewal(f):
    near_renewal(f.c, f.rng)


def at_the_ceiling(f):
    """Nothing that the standby says is heard, so the owner stops; then it is."""
    c, t = f.c, f.c.tunnels[0]
    ceiling = int(sas(c, f.here)[t.to_client.spi]["ceiling"])
    f.cut(one_way=f.standby)
    t.to_client.set_oseq(c.gw[f.here], ceiling - GSO_MAX - 3)
    time.sleep(0.3)
    f.heal_sync()


def planned(f):
    heir = f.standby
    f.demote(f.here)
    f.traffic_to(heir)
    f.promote(heir)


def claimed(f):
    """The other one is promoted while the owner is heard."""
    heir = f.standby
    f.traffic_to(heir)
    f.promote(heir)


def refused(f):
    """The same, and the owner does not hear it."""
    f.cut(one_way=f.standby)
    try:
        f.promote(f.standby)
    finally:
        f.heal_sync()


def crash(f):
    died = f.here
    f.pull(died)
    time.sleep(0.35)        # it is not heard any more
    f.traffic_to(3 - died)
    f.promote(f.here)
    f.c.revive(died, ("sync",))


def rejoin(f):
    f.leave(f.standby)
    f.configure(f.standby)


def owner_anew(f):
    f.leave(f.here)
    f.configure(f.here)
    f.promote(f.here)


def cut(f):
    f.cut()
    f.wait(2)


def evicted(f):
    f.cut()
    f.wait(EVICT_S + 3)


def out_of_sync(f):
    """The standby has forgotten what it was told, and is promoted."""
    heir = f.standby
    f.cut()
    f.leave(heir)
    f.configure(heir)
    f.pull(f.here)
    f.traffic_to(heir)
    f.promote(heir)


def new_sas(f):
    f.rekey()


def new_sas_later(f):
    """They begin on the owner: right after a promote they would be taken for mirrors that come late."""
    time.sleep(5.2)
    f.rekey()


# (name, tracepoint, value, on which node, what leads there, up to which time it is passed)
POINTS = [
    ("send-records", "send", 1, "owner", renewal, 3),
    ("send-alive", "send", 0, "standby", nothing, 5),
    ("believed-by-owner", "receive", -1, "owner", nothing, 9),
    ("believed-by-standby", "receive", -1, "standby", nothing, 9),
    ("sampled", "sample", "any", "owner", nothing, 9),
    ("window-merged", "merge", 1, "standby", nothing, 9),
    ("ceiling-merged", "merge", 2, "standby", renewal, 2),
    ("guard-drops", "refuse", "any", "standby", standby_sends, 3),
    ("promoted", "promote", "any", "standby", planned, 1),
    ("peer-down", "peer", 0, "standby", cut, 1),
    ("peer-joining", "peer", 1, "owner", rejoin, 1),
    ("peer-up", "peer", 2, "owner", rejoin, 1),
    ("peer-out", "peer", 3, "standby", rejoin, 1),
    ("session-of-owner", "peer", 4, "owner", rejoin, 1),
    ("session-of-standby", "peer", 4, "standby", rejoin, 1),
    ("peer-forgot", "peer", 5, "owner", rejoin, 1),
    ("owner-forgot", "peer", 5, "standby", owner_anew, 1),
    ("synced", "peer", 6, "owner", rejoin, 1),
    ("limits-first", "peer", 7, "owner", rejoin, 1),
    ("peer-in", "peer", 8, "owner", rejoin, 1),
    ("peer-not-in", "peer", 9, "owner", cut, 1),
    ("evicted", "peer", 10, "owner", evicted, 1),
    ("peer-left", "peer", 11, "owner", rejoin, 1),
    ("owner-left", "peer", 11, "standby", owner_anew, 1),
    ("adopted-by-owner", "lease", 0, "owner", new_sas, 2),
    ("adopted-by-standby", "lease", 0, "standby", new_sas, 2),
    ("created", "lease", 1, "owner", new_sas_later, 2),
    ("stored", "lease", 2, "standby", renewal, 2),
    ("begun", "lease", 3, "standby", planned, 2),
    ("asked", "lease", 4, "owner", renewal, 2),
    ("agreed", "lease", 5, "owner", renewal, 2),
    ("stopped", "lease", 6, "owner", at_the_ceiling, 1),
    ("goes-on", "lease", 7, "owner", at_the_ceiling, 1),
    ("in-doubt", "lease", 8, "standby", out_of_sync, 2),
    ("demoted", "lease", 9, "owner", planned, 2),
    ("lost-by-owner", "lease", 10, "owner", new_sas, 4),
    ("lost-by-standby", "lease", 10, "standby", new_sas, 4),
    ("entombed", "lease", 11, "any", new_sas, 2),
    ("undecided", "role", 0, "standby", rejoin, 2),
    ("standby", "role", 1, "owner", planned, 1),
    ("zombie-is-standby", "role", 1, "owner", crash, 1),
    ("active", "role", 2, "standby", crash, 1),
    ("claims", "role", 3, "standby", claimed, 1),
    ("claim-taken", "role", 4, "standby", claimed, 1),
    ("claim-refused", "role", 5, "standby", refused, 1),
]


# -- actions: one system call, prepared ----------------------------------------------

def netlink(ns, protocol, *messages):
    """A function that sends them at once."""
    sock = ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    return lambda: [sock.send(m) for m in messages]


def unplug(f, *ports):
    return netlink(f.c.br, 0, *(master_message(f.c.br.index(port), 0) for port in ports))


def link_cut(f, _):
    return unplug(f, "s-gw1", "s-gw2")


def peer_killed(f, node):
    """What is at the other end: all its wires are pulled, or its channel is deleted."""
    other = 3 - node
    if f.rng.random() < 0.5:
        f.pulled.add(other)
        return unplug(f, *(f"{w}-gw{other}" for w in "soi"))
    return netlink(f.c.gw[other], 16, genlwire.message(f.family(), ESPSYNC_CMD_CHANNEL_DEL, b""))


def sa_deleted(f, node):
    """One of those there, either direction, on either node."""
    sa = f.rng.choice([s for t in f.c.tunnels for s in (t.to_client, t.to_gw)])
    body = socket.inet_aton(sa.dst).ljust(16, b"\0") + struct.pack("!I", sa.spi) + struct.pack("=HBx", socket.AF_INET, socket.IPPROTO_ESP)
    return netlink(f.c.gw[f.rng.choice((node, node, 3 - node))], 6, message(XFRM_MSG_DELSA, body))


def netns_deleted(f, node):
    path = f"/run/netns/gw{f.rng.choice((node, node, 3 - node))}".encode()

    def act():
        libc.umount2(path, MNT_DETACH)
        os.unlink(path)
    return act


def module_unloaded(f, _):
    def act():
        until_s = time.monotonic() + 20
        while libc.syscall(SYS_DELETE_MODULE, b"espsync", os.O_NONBLOCK) and time.monotonic() < until_s:
            time.sleep(0.0005)      # a request that is under way holds it
    return act


def no_memory(f, _):
    return lambda: None


ACTIONS = [("link-cut", link_cut), ("peer-killed", peer_killed), ("sa-deleted", sa_deleted), ("netns-deleted", netns_deleted),
           ("module-unloaded", module_unloaded), ("no-memory", no_memory)]


class Bystander:
    """A process that waits for the point and acts, before everybody else."""

    def __init__(self, act):
        self.pipe, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
                fd = os.open(Knob.PATH, os.O_RDONLY)
                os.write(tell, b"w")
                os.read(fd, 64)
                begin = time.monotonic()
                act()
                os.write(tell, struct.pack("=d", time.monotonic() - begin))
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        os.close(tell)
        os.read(self.pipe, 1)

    def acted(self, timeout):
        """Seconds that the action took; None: the point was not reached."""
        if not select.select([self.pipe], [], [], timeout)[0]:
            return None
        data = os.read(self.pipe, 8)
        return struct.unpack("=d", data)[0] if len(data) == 8 else -1.0

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pipe)


# -- the field ------------------------------------------------------------------------

class Kernel:
    """What it says that it should not."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)
        self.known = kernlog.baseline()

    def reports(self):
        lines = []
        while True:
            try:
                lines.append(os.read(self.fd, 8192).decode(errors="replace").partition(";")[2].rstrip("\n"))
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue
        return kernlog.reports("\n".join(lines), self.known)


class Field:
    """The cluster, and what this test knows of it: where the traffic goes (here), whose wires it pulled."""

    def __init__(self, c):
        self.c, self.here, self.pulled, self.age, self.moved, self.impaired, self.rekeyed = c, 1, set(), 0, False, False, False
        self.kernel = Kernel()
        # All devices of the bridges' namespace: what enters there left a gateway once.
        self.capture = Capture(c.br, "")
        self.ledger, self.taster, self.knob = Ledger(c, [self.capture], out=False), Taster(c), Knob()
        self.load = Load(c, c.tunnels, rate=25, zombies=False)

    @property
    def standby(self):
        return 3 - self.here

    def traffic_to(self, node):
        """The addresses and all traffic go there. The other keeps them, as one that died does."""
        self.c.add_vip(node)
        self.c.announce(node)
        self.here = self.c.active = node
        self.moved = True

    def pull(self, node):
        self.pulled.add(node)
        self.c.crash(node)

    def cut(self, one_way=None):
        if one_way:
            self.impaired = True
            self.c.cut_sync(one_way)
        else:
            self.plug_sync(False)

    def plug_sync(self, in_):
        index = self.c.br.index
        rtnl(self.c.br, *(master_message(index(f"s-gw{n}"), index("sync") if in_ else 0) for n in self.c.gw))

    def heal_sync(self):
        if self.impaired:
            self.c.heal_sync()
        self.impaired = False

    def promote(self, node):
        ask(self.c.gw[node], ESPSYNC_CMD_PROMOTE)

    def demote(self, node, timeout_ms=300):
        ask(self.c.gw[node], ESPSYNC_CMD_DEMOTE,
            nest(ESPSYNC_A_GROUP, (ESPSYNC_A_GROUP_TIMEOUT_MS, struct.pack("=I", timeout_ms))))

    def leave(self, node):
        ask(self.c.gw[node], ESPSYNC_CMD_CHANNEL_DEL)

    def configure(self, node):
        """As Cluster.configure(), with this test's times."""
        gw, addr = self.c.gw[node], socket.inet_aton
        with open(self.c.key_file()) as f:
            key = bytes.fromhex(f.read().strip())
        ask(gw, ESPSYNC_CMD_CHANNEL_SET, nest(ESPSYNC_A_CHANNEL, (1, bytes([node])), (2, addr(f"10.99.0.{node}")), (5, key),
                                              (ESPSYNC_A_CHANNEL_DETECT_MS, struct.pack("=I", int(1000 * DETECT_S))),
                                              (ESPSYNC_A_CHANNEL_EVICT_MS, struct.pack("=I", 1000 * EVICT_S))))
        ask(gw, 5, nest(2, (1, bytes([3 - node])), (2, addr(f"10.99.0.{3 - node}"))))
        ask(gw, 8, nest(ESPSYNC_A_GROUP, (1, bytes(4)), (ESPSYNC_A_GROUP_ADDRS | NESTED, attr(1, addr(self.c.VIP)))))

    def family(self):
        with self.c.gw1.socket(socket.AF_NETLINK, socket.SOCK_RAW, genlwire.NETLINK_GENERIC) as sock:
            return genlwire.Genl(sock).family

    def rekey(self):
        """New SAs in the place of the old."""
        c = self.c
        old, c.spi, self.age, self.rekeyed = c.tunnels, c.spi + 0x100, 0, True
        c.tunnels = [Tunnel(c.CLIENT, c.VIP, spi=c.spi, esn=True, window=1024, inner=old[0].inner),
                     Tunnel(c.CLIENT, c.VIP, spi=c.spi + 0x10, alg="cbc-sha256", inner=old[1].inner)]
        self.load.tunnels = c.tunnels
        for ns, gateway in ((c.client, False), (c.gw1, True), (c.gw2, True)):
            if os.path.exists(f"/run/netns/{ns}"):
                sh(["ip", "-n", ns, "-force", "-batch", "-"], ok=None, stdin="\n".join([
                    *(f"xfrm state delete {' '.join(sa.id())}" for t in old for sa in (t.to_gw, t.to_client)),
                    *(f"xfrm state add {' '.join(sa.words())}" for t in c.tunnels for sa in (t.to_gw, t.to_client)),
                    *(line for t in c.tunnels for line in t._policies(gateway, "update"))]) + "\n")

    # -- the fault ----------------------------------------------------------------

    def wait(self, seconds):
        self.bystander_s = self.bystander.acted(seconds)

    def provoke(self, point, action, nth, delay_us, fail):
        """(reached, the seconds that the action took, what was refused)"""
        name, tracepoint, value, where, activity, _ = point
        node = self.here if where == "owner" else self.standby
        act = action(self, node)
        self.bystander, self.bystander_s = Bystander(act), None
        del act         # nor a socket that would keep a namespace
        self.knob.arm(tracepoint, value, None if where == "any" else self.c.gw[node], nth, delay_us, fail)
        try:
            activity(self)
        except (Failed, AssertionError, OSError, LookupError, TypeError, ValueError) as e:
            self.said = f"{activity.__name__}: {' '.join(str(e).split())[:100]}"
        if self.bystander_s is None:
            self.bystander_s = self.bystander.acted(4)
        if self.bystander_s is not None:
            time.sleep(self.rng.choice((0, 0, self.rng.uniform(0, 0.4))))
        self.bystander.end()
        return self.bystander_s, self.knob.off()

    # -- afterwards -----------------------------------------------------------------

    def there(self, node):
        return os.path.exists(f"/run/netns/gw{node}")

    def configured(self, node):
        """All three parts."""
        gw = self.c.gw[node]
        try:
            ask(gw, ESPSYNC_CMD_CHANNEL_GET)
        except OSError:
            return False
        return bool(ask(gw, ESPSYNC_CMD_PEER_GET, dump=True)) and bool(ask(gw, ESPSYNC_CMD_GROUP_GET, dump=True)[0].get(ESPSYNC_A_GROUP_ADDRS))

    def rebuild(self, node):
        self.c.rebuild(node)
        knows_the_way(self.c, self.c.gw[node])

    def reconcile(self, ns, gateway):
        """SAs and policies as they are to be, whatever a fault or half a rekeying made of them. Those that are there stay."""
        have, want = counts(ns), {s.spi: s for t in self.c.tunnels for s in (t.to_gw, t.to_client)}
        lines = [f"xfrm state delete dst {self.c.CLIENT if spi & 1 else self.c.VIP} proto esp spi {spi:#x}" for spi in have if spi not in want]
        lines += [f"xfrm state add {' '.join(sa.words())}" for spi, sa in want.items() if spi not in have]
        lines += [line for t in self.c.tunnels for line in t._policies(gateway, "update")]
        ns.batch(lines)

    def heal(self):
        """What an administrator, VRRP and charon would do: everything is there again, one node is active. Traffic goes to one all the time."""
        c = self.c
        if not os.path.exists("/sys/module/espsync"):
            sh("modprobe espsync")
        gone = [n for n in c.gw if not self.there(n)]
        if self.here in gone or self.here in self.pulled:
            if self.standby in self.pulled and self.standby not in gone:
                # It was heard by nobody while the other one may have been active. keepalived saw its interfaces go down: FAULT, so it is standby.
                self.succeeds(self.demote, self.standby)
            if self.standby in gone or self.standby in self.pulled:
                c.revive(self.standby)
                self.pulled.discard(self.standby)
            self.traffic_to(self.standby)
        for n in gone:
            self.rebuild(n)
            self.pulled.discard(n)
        self.heal_sync()
        self.plug_sync(True)
        for n in c.gw:
            if not self.configured(n):
                try:
                    self.leave(n)
                except OSError:
                    pass
                self.configure(n)
        want = {s.spi for t in c.tunnels for s in (t.to_gw, t.to_client)}
        # Half a rekeying may lack policies only.
        wrong = [ns for ns in (c.client, *c.gw.values()) if self.rekeyed or set(counts(ns)) != want]
        self.rekeyed = False
        if wrong:
            self.load.pause(c.lan)      # an SA that is added again may repeat one number of a packet that is under way
            time.sleep(0.05)
            for ns in wrong:
                self.reconcile(ns, ns is not c.client)
            self.load.go_on(c.lan)
        until(lambda: self.succeeds(self.promote, self.here), 15, "promote", step=0.2)
        until(lambda: role_of(c, self.standby) == "standby" or not self.succeeds(self.demote, self.standby), 15, "the other is standby", step=0.1)
        if self.pulled or self.moved:
            c.drop_vip(self.standby)
        for n in self.pulled:
            c.revive(n, ("outside", "inside"))
        self.pulled, self.moved = set(), False

    @staticmethod
    def succeeds(what, node):
        try:
            what(node)
        except OSError:
            return False
        return True

    def whole(self):
        """One active, both ready; SAs in doubt are replaced, as espsyncd would."""
        c = self.c
        deadline = time.monotonic() + 45
        while True:
            why = {n: reasons(c, n) for n in c.gw}
            if not any(why.values()):
                break
            if any(ESPSYNC_REASON_SA_STALE in w for w in why.values()):
                self.rekey()
            check(time.monotonic() < deadline, f"not ready: {why}")
            time.sleep(0.1)
        equal((role_of(c, self.here), role_of(c, self.standby)), ("active", "standby"), "roles")
        self.load.flows("healed", packets=3, timeout=20)

    def nothing_said(self):
        said = self.kernel.reports()
        check(not said, "the kernel says:\n" + "\n".join(said[:1]))

    def run(self, number, point, action):
        """One line about it; raises if anything was wrong."""
        self.rng, self.said = random.Random(f"{SEED}:{number}"), ""
        nth, delay = self.rng.randint(1, point[5]), self.rng.choice((0, 300, 1000, 3000, 5000))
        fail = self.rng.randint(1, 8) if action[0] == "no-memory" else 0
        frames = self.taster.take()
        begin = time.monotonic()
        took, came = self.provoke(point, action[1], nth, delay, fail)
        provoked = time.monotonic() - begin
        self.nothing_said()
        try:
            self.heal()
            self.whole()
            self.taster.refused_by(self.here, frames, self.load)
        finally:
            self.nothing_said()
        self.ledger.judge()
        self.age += 1
        if self.age >= REKEY_AFTER:
            self.rekey()
            self.whole()
        ends = "missed" if took is None else "ok"
        return ends, f"at {nth}, held {delay} us, acted {1000 * (took or 0):.1f} ms{', refused' if 'refused' in came else ''}, " \
            f"{provoked:.1f} + {time.monotonic() - begin - provoked:.1f} s{', ' + self.said if self.said else ''}"


def order():
    """(number, point, action): every combination once in an order that the seed makes, then in another."""
    number = 0
    while True:
        every = [(p, a) for p in POINTS for a in ACTIONS if not ONLY or p[0] in ONLY and a[0] in ONLY]
        random.Random(f"{SEED}/{number}").shuffle(every)
        for p, a in every:
            yield number, p, a
            number += 1


def setup():
    note(f"seed {SEED}, runs {FROM} to {FROM + RUNS - 1}, {len(POINTS)} points x {len(ACTIONS)} actions")
    f = Field(prepared(int(1000 * DETECT_S), 1000 * EVICT_S, window=1024))
    f.load.flows("before any fault")
    return f


def faults(f):
    for number, point, action in order():
        if number < FROM:
            continue
        if number >= FROM + RUNS:
            break
        what = f"run {number} {point[0]} {action[0]}"
        try:
            ends, how = f.run(number, point, action)
        except Exception as e:
            note(f"{what}: failed, {str(e).splitlines()[0][:160]} (FAULT_SEED={SEED} FAULT_FROM={number} FAULT_RUNS=1 repeats it): {f.said}")
            explain(f)
            if not isinstance(e, AssertionError):
                note(traceback.format_exc())
            raise AssertionError(f"{what}: {e}") from e
        note(f"{what}: {ends}, {how}")
    f.load.stop()
    equal(f.capture.dropped, 0, "packets that the capture missed")


def explain(f):
    for n in f.c.gw:
        if f.there(n):
            for words in ("ready", "show", "show peers", "show sas"):
                said = f.c.espsync(n, words, ok=None)
                note(f"gw{n} {words}: {said.strip() or said.stderr.strip()}")
    for ns, dev in ((f.c.client, "out"), (f.c.lan, "in")):
        note(f"{ns}: {ns.ip(f'neigh show dev {dev}')} {[(n, gw.mac('out'), gw.mac('in')) for n, gw in f.c.gw.items() if f.there(n)]}")
    note(sh("dmesg | tail -25"))


main([faults], setup)
