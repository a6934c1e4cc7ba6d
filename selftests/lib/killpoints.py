# SPDX-License-Identifier: GPL-2.0
"""What a far end sees of a gateway that dies at some point of an exchange.

Job: the exchanges, a death at each of their points, the takeover, and the far end's view of it, row by row. Which points may cost it
something is for the tests to say.

The far end is the judge: its IKE SA, echos through the tunnel, and exchanges that either side begins afterwards.
"""
import collections
import os
import signal
import time

from deaths import watched
from esptest import Capture, check, equal, module, note, until
from esptest_ike import IkeCluster, example, replace

BACK_S = 1.0    # what traffic may take to be back
ASK_S = 40      # a far end asks again; a request that hangs is noticed after 10 s
# Of the far end: after 36 s. It asks again after 4 s, as it does by default: by then whoever takes over has done so, and what waits for that shows.
GIVE_UP = "charon {\n retransmit_timeout = 4\n retransmit_base = 1\n retransmit_tries = 8\n}\n"

Exchange = collections.namedtuple("Exchange", "who what begin more dpd far_dpd", defaults=(lambda steps: False, "1h", ""))


def _old_is_there(steps):
    """charon deletes a CHILD SA that was replaced some seconds later."""
    return not any(s.name == "CHILD_DELETE" for s in steps)


EXCHANGES = {
    "far child": Exchange("far end", "CHILD rekeying", lambda c: c.road.swanctl("--rekey --child lan"), _old_is_there),
    "gateway child": Exchange("gateway", "CHILD rekeying", lambda c: c.ike[c.active].swanctl("--rekey --child lan"), _old_is_there),
    "far ike": Exchange("far end", "IKE rekeying", lambda c: c.road.swanctl("--rekey --ike home")),
    "gateway ike": Exchange("gateway", "IKE rekeying", lambda c: c.ike[c.active].swanctl("--rekey --ike road-warrior")),
    "far dpd": Exchange("far end", "DPD", lambda c: None, far_dpd="dpd_delay = 2s"),
    "gateway dpd": Exchange("gateway", "DPD", lambda c: None, dpd="2s"),
}


def cluster():
    """An IkeCluster with one client, whose far end gives up within a test's patience."""
    module()
    c = IkeCluster(module=True)
    c.dpd = "1h"
    for gw in c.ike.values():
        gw.swanctl_conf = lambda: replace(example("swanctl/road-warrior.conf"), (r"dpd_delay = 30s", f"dpd_delay = {c.dpd}"))
    c.road.strongswan_conf = lambda: c.road.charon_conf("", "kernel-netlink {\n roam_events = no\n}\n", GIVE_UP)
    c.active = 1
    c.wire = Capture(c.client, "out")
    c.rows = []
    return c


def start(c):
    try:
        c.start_ike()
        c.road.start_charon()
    except Exception:
        c.explain()
        raise


def settle(c):
    c.wait_mirrored(active=c.active)
    c.wait_ready(c.active)


def begin_anew(c, exchange):
    """A new IKE SA, of connections as the exchange needs them."""
    c.dpd, c.road.dpd = exchange.dpd, exchange.far_dpd
    c.road.swanctl("--terminate --ike home --force", ok=None)
    for gw in c.ike.values():
        gw.swanctl("--terminate --ike road-warrior --force", ok=None)
    until(lambda: not c.road.ike() and not any(gw.ike() for gw in c.ike.values()), 20, "no IKE SA left")
    for s in (c.road, *c.ike.values()):
        s.write("swanctl.conf", s.swanctl_conf())
        s.load()
    c.road.connect()
    both_ask(c)


def both_ask(c):
    """Message IDs above 0 on both sides, which a new IKE SA has not: charon cannot be told of that one (README, "What it promises, and what not")."""
    settle(c)
    far_end_asks(c)
    settle(c)
    gateway_asks(c)
    settle(c)


def gateway_asks(c):
    """A CHILD rekeying that the gateway begins, with an answer."""
    before = c.road.children()
    c.ike[c.active].swanctl("--rekey --child lan", ok=None)
    until(lambda: c.road.children() - before, ASK_S, "the gateway's CHILD rekeying is answered")


def far_end_asks(c):
    before = c.road.children()
    c.road.swanctl("--rekey --child lan", ok=None)
    until(lambda: c.road.children() - before, ASK_S, "the far end's CHILD rekeying is answered")


def one_ike_sa(c):
    """The far end and the gateway have the same one."""
    until(lambda: len(c.road.ike("ESTABLISHED")) == 1 and c.road.ike("ESTABLISHED") == c.ike[c.active].ike("ESTABLISHED"), ASK_S, "one IKE SA")


def _takes(do, *args):
    """Seconds, or None if it came to nothing."""
    begin = time.monotonic()
    try:
        do(*args)
    except AssertionError:
        return None
    return time.monotonic() - begin


class Echos:
    """Echo requests through the tunnel, and when they were answered."""

    def __init__(self, road, source):
        self.road, self.start = road, len(road.text("ping.out"))
        road.spawn("ping", ["ping", "-D", "-n", "-i", "0.05", "-I", source, IkeCluster.LAN])

    def first_since(self, when, seconds=20):
        """Seconds until one was answered, or None."""
        def answered():
            lines = self.road.text("ping.out")[self.start:].splitlines()
            times = [float(line[1:line.index("]")]) for line in lines if line.startswith("[") and "bytes from" in line and line.endswith("ms")]
            return next((t - when for t in times if t > when), None)
        try:
            return until(answered, seconds, "an echo")
        except AssertionError:
            return None

    def stop(self):
        self.road.end("ping", signal.SIGINT)


class Seen(collections.namedtuple("Seen", "back far_asks gateway_asks same anew echo")):
    """By the far end: seconds until traffic was back, and that exchanges took; None: never."""

    @property
    def late(self):
        """Nothing but traffic has taken longer than it may."""
        return (self.back is not None and self.back >= BACK_S and self.far_asks is not None and self.gateway_asks is not None
                and self.same and not self.anew and self.echo)

    @property
    def carried_on(self):
        return self.back is not None and self.back < BACK_S and self._replace(back=BACK_S).late

    def __str__(self):
        def s(value):
            return "never" if value is None else f"{value:.2f} s"
        return (f"{'carried on' if self.carried_on else 'LOST'} | traffic back after {s(self.back)} | {'same' if self.same else 'another or no'} IKE SA | "
                f"{self.anew} new authentications | its next rekeying {s(self.far_asks)}, the gateway's {s(self.gateway_asks)}")


def die(c, exchange, death):
    """The active gateway dies at that point, the other one takes over. Return: what the far end sees."""
    frm, source, ike, inits = c.active, c.road.inner_address(), c.road.ike("ESTABLISHED"), c.wire.sa_inits()
    with death:
        exchange.begin(c)
        death.wait()
        time.sleep(0.3)     # what was told is taken in
        c.power_off(frm)
    c.active = 3 - frm
    echos = Echos(c.road, source)
    c.move_vip(c.active)
    when = time.time()
    c.ike[c.active].become("MASTER")
    back, far, gateway = echos.first_since(when), _takes(far_end_asks, c), _takes(gateway_asks, c)
    same = _takes(one_ike_sa, c) is not None and (c.road.ike("ESTABLISHED") == ike or exchange.what == "IKE rekeying")
    echo = echos.first_since(time.time(), 5) is not None
    echos.stop()
    return Seen(back, far, gateway, same, c.wire.sa_inits() - inits, echo)


def _label(steps, at, words):
    """What a step is called, of several of that name the second, third..."""
    nth = [(s.kind, s.name) for s in steps[:at + 1]].count((steps[at].kind, steps[at].name))
    return f"{steps[at].kind} {steps[at].name}{f' {nth}' if nth > 1 else ''}{words}"


def kills(c, name, points, lost=None, says_nothing=lambda gw: False):
    """`points`: of the steps, (index, words, what makes the Death). POINT=3 in the environment: only that one.

    `lost`: the points at which the far end does not carry on, and at all others it does; None: that is only looked at.
    `says_nothing`: the gateway that died was not what the test is about. Such a loss is tried again, twice, and so is traffic that was
    back too late: on a busy machine it is now and then; what is late because of that point is so each time.
    """
    exchange, seen = EXCHANGES[name], {}
    begin_anew(c, exchange)
    steps = watched(c.ike[c.active], lambda: exchange.begin(c), more=exchange.more)
    what = f"{exchange.what}, begun by the {exchange.who}"
    note(f"{what}: {', '.join(f'{s.kind} {s.name}' for s in steps)}")
    check(steps, "the exchange was seen")
    both_ask(c)
    for at, words, make in points(steps):
        if os.environ.get("POINT", str(at + 1)) != str(at + 1):
            continue
        label = _label(steps, at, words)
        for _ in range(3):
            settle(c)
            dead = c.ike[c.active]
            seen[label] = die(c, exchange, make())
            note(f"{what}, {at + 1} of {len(steps)}, behind {label}: {seen[label]}")
            done = seen[label].carried_on or label in (lost or ()) or not (seen[label].late or says_nothing(dead))
            c.power_on(dead.number)
            if not seen[label].carried_on:
                begin_anew(c, exchange)
            if done:
                break
            note("once more, for that may say nothing")
        c.rows.append((f"{what}, {at + 1} of {len(steps)}, behind {label}", seen[label].carried_on))
    if lost is not None:
        equal({at for at in seen if not seen[at].carried_on}, set(lost) if "POINT" not in os.environ else set(lost) & set(seen),
              f"{what}: points at which the far end lost something")


def table(c):
    """What a note about this can say."""
    for row, well in c.rows:
        note(f"{'carried on' if well else 'lost      '} | {row}")
    note(f"{len(c.rows)} kill points, {sum(well for _, well in c.rows)} carried on")


def leaving(steps):
    """(a packet that left behind messages of charon's, the packet before them or -1)."""
    packets = [i for i, s in enumerate(steps) if s.kind != "ha"]
    return [(at, before) for before, at in zip([-1, *packets], packets) if steps[at].kind == "out" and at - before > 1]
