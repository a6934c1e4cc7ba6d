#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: leases under pressure: full rate, GSO, late acknowledgements, a standby that dies, both options, short lives, the end of 32 bits
# WHERE: uml-fast qemu
# SETS: named timeout=400
"""
leases - an owner that uses numbers as fast as the machine can, while something goes wrong between it and its standby.

Numbers are used by packets of 64 segments: each takes as many numbers as it has segments, before it is encrypted. Most of them are dropped behind xfrm,
because no capture keeps up with all; which number was the last one says the state itself. lossy-link has what takes long at little rate: lost
acknowledgements, a minute without link and then a crash, what was under way for long, doubt = hold.
"""
import socket
import struct
import subprocess
import time

from esptest import *
from esptest.netlink import nest
from failover import *

DETECT_MS, DEAD_MS, EVICT_MS = 2000, 1000, 5000
RATE = 100000           # numbers a second
THIN = 50               # of so many packets one leaves
CHANNEL_DEAD_MS, REASON_OVERRUN_GO_ON = 8, 13
LAST, ASKED_AT = (1 << 32) - 2, 1 << 26       # the last number of 32 bits that is granted; so many before it a rekey is asked for
SEGMENTS = 64
TOMB_S = 60


def setup():
    c = prepared(DETECT_MS, EVICT_MS)
    c.floods = []
    for node in c.gw:
        ask(c.gw[node], ESPSYNC_CMD_CHANNEL_SET, nest(ESPSYNC_A_CHANNEL, (CHANNEL_DEAD_MS, struct.pack("=I", DEAD_MS))))
        thinned(c, c.gw[node])
    c.sink = c.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
    c.sink.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    c.sink.bind(("0.0.0.0", 7000))      # never read: it keeps ICMP away
    defer(c.sink.close)
    return c


def thinned(c, gw):
    gw.sh(f"nft 'add table ip thin; add chain ip thin o {{ type filter hook output priority 0; }}; "
          f"add rule ip thin o ip saddr {c.VIP} ip protocol esp ip length > 400 numgen inc mod {THIN} != 0 drop'")


def flood(c, t, rate=None):
    c.floods.append(Flood(c.lan, t.inner[0].split("/")[0], rate=rate, segments=SEGMENTS))
    return c.floods[-1]


def oseq(c, t, node=None):
    return t.to_client.state(c.gw[node or c.active])["oseq"]


def ceiling(c, t, node=None):
    """As a node knows it; of the standby: what it has agreed to."""
    return int(sas(c, node or c.active)[t.to_client.spi]["ceiling"])


def stalls(c):
    return int(c.show(c.active, "stats")["stalls"])


def renewals(c):
    return int(c.show(c.active, "stats")["renewals"])


def options(c, words):
    for node in c.gw:
        c.espsync(node, f"group set 0 addr {c.VIP} {c.VIP6} {words}")


def anew(c):
    """New SAs in a cluster that is well, whatever a case before this one has left."""
    while c.floods:
        c.floods.pop().stop()
    for n in c.gw:
        c.espsync(n, f"peer add {3 - n} {c.SYNC[3 - n]}")
    mended(c)
    options(c, "overrun stop evict default")
    set_times(c, DETECT_MS, EVICT_MS)
    rekeyed(c)


def goes_on(c, t, what, seconds=2):
    before = oseq(c, t)
    until(lambda: oseq(c, t) > before + 10, seconds, f"{what}: numbers are used")


class Pace:
    """Looks at an SA's number again and again: how fast it rises, and for how long it did not."""

    def __init__(self, c, t):
        self.c, self.t = c, t
        self.begin = self.rose = time.monotonic()
        self.first = self.last = oseq(c, t)
        self.stood = 0.0

    def look(self, seconds, step=0.05):
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            number = oseq(self.c, self.t)
            if number != self.last:
                self.rose, self.last = now, number
            self.stood = max(self.stood, now - self.rose)
            time.sleep(step)
        return self

    @property
    def rate(self):
        return (self.last - self.first) / (self.rose - self.begin)


def crash_and_take_over(c, what):
    """Dies while numbers are used; I4 by what the states say: the dead one's last number, and the first of its heir."""
    died, heir = c.active, 3 - c.active
    lease = {t: sas(c, died)[t.to_client.spi]["lease"] for t in c.tunnels}
    c.crash(died)
    equal(take_over(c, heir), 0, f"{what}: SAs in doubt after a takeover in sync")
    c.active = heir
    for t in c.tunnels:
        skipped = oseq(c, t, heir) - oseq(c, t, died)
        bound = (NODES + 1) * (lease[t] + LEASE_MIN)
        check(0 <= skipped <= bound, f"{what}: {t.to_client.spi:#x} skipped {skipped} of {bound}")
    return died


# -- rates ----------------------------------------------------------------------

def from_nothing_to_the_most(c):
    """No stall on the way up, and a takeover at the top."""
    ready(c, c.active)
    watch, t, before = Watch(c), c.tunnels[0], stalls(c)
    for rate in (0, 1000, 20000, None, 0, None):
        if rate == 0:
            Pace(c, t).look(1)
            continue
        load = flood(c, t, rate)
        pace = Pace(c, t).look(3)
        note(f"{rate or 'the most'}: {pace.rate:.0f} numbers/s, the longest rest {pace.stood * 1000:.0f} ms")
        check(pace.stood < 1, f"no number was used for {pace.stood:.1f} s")
        if rate:
            load.stop()
            continue
        equal(stalls(c) - before, 0, "SAs stopped while the standby answers")
        died = crash_and_take_over(c, "at the most")
        before = stalls(c)
        goes_on(c, t, "after the takeover")
        load.stop()
        return_zombie(c, died)
        ready(c, c.active)
    watch.judge()


def late_acknowledgements(c):
    """A renewal is agreed to 400 ms and more after it was asked for, and some of what is said is lost."""
    anew(c)
    watch, t = Watch(c), c.tunnels[0]
    c.impair_sync("delay 180ms 30ms loss 10%")
    ready(c, c.active)
    load, before, asked = flood(c, t, RATE), stalls(c), renewals(c)
    pace = Pace(c, t)
    while renewals(c) < asked + 2:
        pace.look(1)
    note(f"{pace.rate:.0f} numbers/s, the longest rest {pace.stood * 1000:.0f} ms")
    check(pace.stood < 1, f"no number was used for {pace.stood:.1f} s")
    equal(stalls(c) - before, 0, "SAs stopped by late acknowledgements")
    died = crash_and_take_over(c, "with acknowledgements under way")
    goes_on(c, t, "after the takeover")
    load.stop()
    c.heal_sync()
    return_zombie(c, died)
    ready(c, c.active)
    watch.judge()


def kept_rate(c, t):
    """Numbers a second that the machine makes whatever else it does, and an evict_ms for which the least lease does not last at that rate."""
    load = flood(c, t)
    rate = min(RATE, Pace(c, t).look(3).rate / 3)
    load.stop()
    check(rate > RATE / 10, f"the machine is too slow: {rate:.0f} numbers/s")
    return rate, max(EVICT_MS, int(1600 * (LEASE_MIN // 2 - GSO_MAX) / rate) - DEAD_MS)


def about_to_renew(c, t, pace, rate):
    """Until 0.3 s before an SA asks for its next lease, which has become as big as its rate wants."""
    for _ in range(2):
        asked = renewals(c)
        while renewals(c) == asked:
            pace.look(0.5)
    due = ceiling(c, t) - sas(c, c.active)[t.to_client.spi]["lease"] // 2
    until(lambda: due - oseq(c, t) < 0.3 * rate, 60, "a renewal is near", step=0.02)


def a_standby_dies_at_full_rate(c):
    """Without a word, and an instant before it agrees to a new lease: what is left lasts until the owner may go on alone."""
    anew(c)
    rate, evict_ms = kept_rate(c, c.tunnels[0])
    set_times(c, DETECT_MS, evict_ms)
    rekeyed(c)
    watch, t = Watch(c), c.tunnels[0]
    load = flood(c, t, rate)
    pace = Pace(c, t)
    about_to_renew(c, t, pace, rate)
    before, standby = stalls(c), 3 - c.active
    c.crash(standby)
    left, dead = ceiling(c, t, standby) - oseq(c, t), Pace(c, t)
    check(pace.rate > 0.75 * rate, f"the machine is too slow: {pace.rate:.0f} numbers/s of {rate:.0f}")
    dead.look((evict_ms + 3 * DEAD_MS) / 1000)
    note(f"{dead.rate:.0f} numbers/s, {left} were left, the longest rest {dead.stood * 1000:.0f} ms")
    equal(stalls(c) - before, 0, "SAs stopped after the standby's death")
    until(lambda: oseq(c, t) > ceiling(c, t, standby), 10, "and it goes beyond what the standby had agreed to")
    load.stop()
    c.revive(standby)
    ready(c, c.active)
    watch.judge()


# -- the stop -------------------------------------------------------------------

SHAPES = (dict(), dict(window=128), dict(esn=True, window=256))


def shaped(c):
    """A tunnel for each shape of xfrm's counters, instead of the two that there were."""
    for t in c.tunnels:
        for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
            t.remove(ns, gateway)
    c.spi += 0x100
    c.tunnels = [c.tunnel(spi=c.spi + 0x10 * i, inner=(f"10.2.0.{1 + i}/32", "10.1.0.0/24"), **how) for i, how in enumerate(SHAPES)]
    ready(c, c.active)


def near_the_ceiling(c, t, known):
    """Where a few packets of 64 segments bring it to the stop."""
    t.to_client.set_oseq(c.gw[c.active], known - GSO_MAX - 5 * SEGMENTS)


def cut_off(c):
    """What the standby says is lost; the ceilings that it has agreed to."""
    c.cut_sync(one_way=3 - c.active)
    return {t: ceiling(c, t, 3 - c.active) for t in c.tunnels}


def gso_stops_in_time(c):
    """However many numbers a packet takes, none beyond the ceiling is used before evict_ms are over."""
    c.client.ip("addr add 10.2.0.3/32 dev lo")
    for gw in c.gw.values():
        gw.ip(f"route add 10.2.0.3/32 via {c.CLIENT} dev out")
    anew(c)
    shaped(c)
    watch = Watch(c)
    known, before, cut = cut_off(c), stalls(c), time.monotonic()
    loads = []
    for t in c.tunnels:
        near_the_ceiling(c, t, known[t])
        loads.append(flood(c, t, RATE // 4))
    until(lambda: stalls(c) - before >= len(c.tunnels), 4, "each stops")
    left = {t: known[t] - oseq(c, t) for t in c.tunnels}
    check(time.monotonic() - cut < EVICT_MS / 1000, "that was looked at while the standby binds")
    note(f"left below the ceilings: {sorted(left.values())}")
    for t in c.tunnels:
        check(GSO_MAX - SEGMENTS <= left[t] <= GSO_MAX, f"{t.to_client.spi:#x} stopped {left[t]} numbers before its ceiling, a packet may take {GSO_MAX}")
    until(lambda: all(oseq(c, t) > known[t] for t in c.tunnels), 20, "they go on after evict_ms")
    for load in loads:
        load.stop()
    c.heal_sync()
    ready(c, c.active)
    watch.judge()


def overrun_go_on(c):
    """Availability before I1: nothing stops, what passed is named, and ready says what was given up."""
    anew(c)
    options(c, "overrun go-on")
    t, events, before = c.tunnels[0], Events(c, c.active), stalls(c)
    known, cut = cut_off(c)[t], time.monotonic()
    t.to_client.set_oseq(c.gw[c.active], known - 5 * SEGMENTS)
    load = flood(c, t, RATE)
    until(lambda: oseq(c, t) > known, 4, "the ceiling is passed", step=0.02)
    pace = Pace(c, t).look(1)
    check(time.monotonic() - cut < EVICT_MS / 1000, "that was looked at while the standby binds")
    check(pace.stood < 0.5, f"no number was used for {pace.stood:.1f} s")
    equal(stalls(c) - before, 0, "SAs stopped")
    check(REASON_OVERRUN_GO_ON in reasons(c, c.active), "ready says overrun-go-on")
    check(("overrun", t.to_client.spi) in events.stop(), "the SA is named")
    c.heal_sync()
    options(c, "overrun stop")
    until(lambda: ceiling(c, t, 3 - c.active) > oseq(c, t), 20, "the standby's ceiling is above what is used again")
    ready(c, c.active)
    load.stop()


def stands_at_its_ceiling(c, t, known, before):
    near_the_ceiling(c, t, known)
    until(lambda: stalls(c) > before, 4, "the owner stops")
    stood = Pace(c, t).look((EVICT_MS + 2 * DEAD_MS) / 1000 + 1)
    equal(stood.last, stood.first, "the last number, long after evict_ms")
    check(stood.last <= known, f"{stood.last} is above the ceiling {known}")


def evict_never(c):
    """An owner never passes what its standby has agreed to: it goes on when that one is back, or taken out."""
    anew(c)
    options(c, "evict never")
    watch, t, owner, standby = Watch(c), c.tunnels[0], c.active, 3 - c.active
    known, before = cut_off(c)[t], stalls(c)
    load = flood(c, t, RATE)
    stands_at_its_ceiling(c, t, known, before)
    c.heal_sync()
    goes_on(c, t, "the standby is back", 10)
    ready(c, c.active)
    known, before = cut_off(c)[t], stalls(c)
    stands_at_its_ceiling(c, t, known, before)
    c.espsync(owner, f"peer del {standby}")
    goes_on(c, t, "the standby was taken out", 10)
    load.stop()
    watch.judge()


def evict_never_with_two_active(c):
    """Nobody is fenced, both send for long, and still no number is sent twice; who took over has a slot of its own, and stops at its end."""
    anew(c)
    options(c, "evict never")
    watch, load = Watch(c), Load(c, c.tunnels, rate=50)
    load.flows("before the cut")
    died, heir = c.active, 3 - c.active
    c.crash(died)
    equal(take_over(c, heir), 0, "SAs in doubt")
    c.active = heir
    load.flows("out of the heir's own slot")
    t, before = c.tunnels[0], stalls(c)
    more = flood(c, t, RATE)
    until(lambda: stalls(c) > before, 90, "the heir stops at the end of its slot")
    stood, others = Pace(c, t), oseq(c, t, died)
    stood.look((EVICT_MS + 2 * DEAD_MS) / 1000)
    equal(stood.last, stood.first, "the last number, long after evict_ms")
    check(oseq(c, t, died) > others + 100, "the other one has sent all the time")
    more.stop()
    return_zombie(c, died)
    goes_on(c, t, "the other one is back, and standby", 10)
    load.flows("with both")
    ready(c, c.active)
    load.stop()
    watch.judge()


# -- the end of 32 bits ---------------------------------------------------------

def at_number(c, number):
    """Instead of the second tunnel one without ESN whose numbers begin there."""
    for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
        c.tunnels[1].remove(ns, gateway)
    c.spi += 0x100
    t = Tunnel(c.CLIENT, c.VIP, inner=("10.2.0.2/32", "10.1.0.0/24"), spi=c.spi)
    t.to_client.extra = ("replay-oseq", number, "replay-seq", number)
    t.install_client(c.client)
    for gw in c.gw.values():
        t.install(gw)
    c.tunnels[1] = t
    until(lambda: t.to_client.spi in sas(c, c.active), 10, "the new SA is followed")
    return t


def a_rekey_is_asked_for_in_time(c):
    anew(c)
    begin = LAST - ASKED_AT - 10 * SEGMENTS
    events = Events(c, c.active)
    t = at_number(c, begin)
    ready(c, c.active)
    load = flood(c, t, RATE)
    until(lambda: oseq(c, t) > begin + 3 * LEASE_MIN // 4, 60, "a renewal")
    load.stop()
    told = events.stop()
    equal(told.count(("rekey-needed", t.to_client.spi)), 1, f"how often a rekey is asked for, with {LAST - oseq(c, t)} numbers left, in {told}")


def at_the_end(c, how):
    """Until no number is left; every number that was sent, and none below where it began."""
    begin = LAST - GSO_MAX - 1000 * SEGMENTS
    caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
    t = at_number(c, begin)
    load = flood(c, t, RATE)
    refused = lambda: sum(n for name, n in xfrm_stat(c.gw[c.active]).items() if name.startswith("XfrmOut"))  # noqa: E731
    until(lambda: oseq(c, t) > begin + 500 * SEGMENTS, 20, f"{how}: it is used")
    before = Pace(c, t).look(3)
    seen = refused()
    until(lambda: refused() > seen + 50, 60, f"{how}: sends that are refused: no number is left")
    load.stop()
    last = oseq(c, t)
    note(f"{how}: the last number is {last:#x}")
    check(before.last <= last <= LAST + 1, f"{how}: the last number is {last:#x}")
    sent = [p.seq for cap in caps.values() for p in cap.stop().esp(t.to_client.spi, out=True)]
    check(sent and min(sent) > begin, f"{how}: the counter wrapped: {min(sent, default=0)} was sent")
    equal(len(sent), len(set(sent)), f"{how}: numbers and different ones")


def no_counter_wraps(c):
    """In sync, where the ceiling stops it; alone and with overrun go-on, where nothing does but xfrm."""
    anew(c)
    at_the_end(c, "in sync")
    options(c, "overrun go-on")
    at_the_end(c, "overrun go-on")
    options(c, "overrun stop")
    c.espsync(c.active, f"peer del {3 - c.active}")
    at_the_end(c, "alone")


# -- short lives ----------------------------------------------------------------

SHORT, LAG, REQID = 0x20000, 3, 0x77


class Lines:
    """`ip -batch` that is told line by line; it ends at the first that fails."""

    def __init__(self, ns):
        self.proc = spawn(["ip", "-n", str(ns), "-batch", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def say(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def end(self):
        self.proc.stdin.close()
        self.proc.wait(20)


def short_sa(c, i):
    return Sa(c.VIP, c.CLIENT, SHORT + i, reqid=REQID, esn=bool(i % 2), window=64 if i % 2 else 32, key=f"0x{i:040x}")


def short_policy(c, inner):
    for gw in c.gw.values():
        gw.ip(f"route add {inner}/32 via {c.CLIENT} dev out")
        gw.ip(f"xfrm policy add src 10.1.0.0/24 dst {inner}/32 dir out tmpl src {c.VIP} dst {c.CLIENT} proto esp reqid {REQID} mode tunnel")


def churn(c, rng, first, number, mirrored=True):
    """SAs that come and go on the owner, and a little later on its standby; the number of the last one, which is still there."""
    here, there, has = Lines(c.gw[c.active]), Lines(c.gw[3 - c.active]), None
    for i in range(first, first + number):
        here.say(f"xfrm state add {' '.join(short_sa(c, i).words())}")
        if i > first:
            here.say(f"xfrm state delete {' '.join(short_sa(c, i - 1).id())}")
        if has:
            there.say(f"xfrm state delete {' '.join(short_sa(c, has).id())}")
            has = None
        if mirrored and i - LAG >= first and rng.random() < 0.9:
            has = i - LAG
            there.say(f"xfrm state add {' '.join(short_sa(c, has).words())}")
        time.sleep(rng.uniform(0, 0.006))
    here.end(), there.end()
    return first + number - 1


def late_mirrors(c, last):
    """What the dead owner had and its heir is told of only now, as charon would deliver it."""
    for i in range(last - LAG, last + 1):
        sa = short_sa(c, i)
        c.gw[c.active].sh(["ip", "xfrm", "state", "add", *sa.words()], ok=None)
        time.sleep(0.03)


def sas_that_live_for_milliseconds(c):
    """Through three crashes: none sends a number twice, and a minute later nothing is left of them."""
    rng, inner = seeded(), "10.2.0.4"
    anew(c)
    short_policy(c, inner)
    known = {n: c.show(n, "stats")["sas"] for n in c.gw}
    watch, first = Watch(c), 1
    senders = [Sender(ns, inner, rate=500, source=source) for ns, source in
               ((c.lan, c.LAN), *((gw, f"10.1.0.1{n}") for n, gw in c.gw.items()))]
    for _ in range(3):
        last = churn(c, rng, first, 300)
        first = last + 1
        died = c.active
        c.crash(died)
        take_over(c, 3 - died)
        c.active = 3 - died
        late_mirrors(c, last)
        churn(c, rng, last + 10, 20, mirrored=False)
        first = last + 50
        return_zombie(c, died)
        for gw in c.gw.values():
            gw.sh(f"ip xfrm state deleteall reqid {REQID}")
        ready(c, c.active)
    for s in senders:
        s.stop()
    for n, gw in c.gw.items():
        gw.ip(f"xfrm policy delete src 10.1.0.0/24 dst {inner}/32 dir out")
    watch.judge()
    sent = {n: {p.spi for p in watch.caps[n].esp(out=True) if SHORT <= p.spi < SHORT + first} for n in c.gw}
    note(f"{first} SAs, {len(sent[1] | sent[2])} of them sent something, {len(sent[1] & sent[2])} on both nodes")
    check(len(sent[1] | sent[2]) > 200 and sent[1] & sent[2], "they carried traffic, also after a crash")
    until(lambda: all(c.show(n, "stats")["sas"] <= known[n] for n in c.gw), TOMB_S + 30, "nothing is left of them", step=1)


main([from_nothing_to_the_most, late_acknowledgements, a_standby_dies_at_full_rate, gso_stops_in_time, overrun_go_on, evict_never,
      evict_never_with_two_active, a_rekey_is_asked_for_in_time, no_counter_wraps, sas_that_live_for_milliseconds], setup)
