#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: with `commit` outgoing IKE waits until the standby has what charon said before, and no longer than 50 ms: a gateway that dies has said nothing in vain
# WHERE: uml-fast
# SETS: timeout=1500 named
#
# The sync link takes 5 ms each way, so that a packet that does not wait is always faster than what was said before it. The gateway dies
# in the moment at which a packet has left: what is on its way to the standby then never arrives (message-ids shows what that costs
# without). Then the ways in which nobody may be held up: a standby that is not heard, a helper that is dead or ends, and none at all.
import signal
import time

from deaths import Departure, watched
from esptest import *
from esptest_ike import explained, replace
from killpoints import EXCHANGES, begin_anew, cluster, far_end_asks, kills, leaving, start, table

# The one point at which the far end loses something, as it was measured: it has made a new IKE SA with a gateway that alone knew the secret
# of its own key exchange. At all others it carries on, and that is what is asked.
LOST = {"gateway ike": ("out CREATE_CHILD_SA request, in the moment in which that leaves",)}
LATE = r"packets of IKE have left before a standby had what came before them"
TABLE = "inet espsyncd_commit"


def setup():
    c = cluster()
    for gw in c.ike.values():
        gw.helper_conf = lambda gw=gw: replace(type(gw).helper_conf(gw), (r"\n#commit = no", "\ncommit = yes"))
    start(c)
    begin_anew(c, EXCHANGES["far child"])
    c.impair_sync("delay 5ms")
    return c


def waits(steps):
    """Milliseconds between a packet that left and what charon had said last before it."""
    return [(steps[at].time - steps[at - 1].time) * 1000 for at, _ in leaving(steps)]


def counted(gw):
    """Packets that the table has seen."""
    return sum(int(line.split("packets ")[1].split()[0]) for line in gw.ns.sh(f"nft list table {TABLE}").splitlines() if "packets " in line)


@explained
def it_waits_for_the_standby(c):
    """And for no longer than that: what waits until its time is over never leaves before 50 ms. On a busy machine other packets do not always, either."""
    gw = c.ike[c.active]
    for _ in range(20):
        before = counted(gw)
        steps = watched(gw, lambda: far_end_asks(c))
        note(f"packets waited for {', '.join(f'{ms:.1f} ms' for ms in waits(steps))}")
        check(waits(steps) and min(waits(steps)) >= 10, "each waits for one round trip at least")
        check(counted(gw) >= before + 2, "the table counts them")
        if max(waits(steps)) < 50:
            return
    check(False, "and none of one exchange in twenty for too long")


def departures(c, name):
    """It dies in the moment in which a packet leaves, and in that in which it was about to."""
    def points(steps):
        return [(at, words, lambda at=at, lost=lost: Departure(c.br, c.gw[c.active], steps, at, lost)) for at, _ in leaving(steps)
                for words, lost in ((", in the moment in which that leaves", False), (", right before that leaves", True))]
    kills(c, name, points, LOST.get(name, ()), lambda gw: LATE in gw.log())


@explained
def the_far_end_rekeys_a_child_sa(c):
    departures(c, "far child")


@explained
def the_gateway_rekeys_a_child_sa(c):
    departures(c, "gateway child")


@explained
def the_far_end_rekeys_the_ike_sa(c):
    departures(c, "far ike")


@explained
def the_gateway_rekeys_the_ike_sa(c):
    departures(c, "gateway ike")


@explained
def the_far_end_asks_for_a_sign_of_life(c):
    departures(c, "far dpd")


@explained
def the_gateway_asks_for_a_sign_of_life(c):
    departures(c, "gateway dpd")


@explained
def a_standby_that_is_not_heard_holds_nothing_up(c):
    begin_anew(c, EXCHANGES["far child"])
    gw = c.ike[c.active]
    c.cut_sync()
    steps = watched(gw, lambda: far_end_asks(c))
    c.impair_sync("delay 5ms")
    note(f"packets waited for {', '.join(f'{ms:.1f} ms' for ms in waits(steps))}")
    check(waits(steps) and 45 <= waits(steps)[0] < 1000, "the first one waits for 50 ms")
    gw.said(LATE)


@explained
def without_a_helper_nothing_waits(c):
    gw = c.ike[c.active]
    gw.end("espsyncd", signal.SIGKILL)
    steps = watched(gw, lambda: far_end_asks(c))
    note(f"packets waited for {', '.join(f'{ms:.1f} ms' for ms in waits(steps))}")
    check(waits(steps) and min(waits(steps)) < 10, "nothing waits for a helper that was killed")
    gw.start_helper()
    until(lambda: c.espsync(c.active, "ready", ok=None).status == 0, 30, "ready")
    check(min(waits(watched(gw, lambda: far_end_asks(c)))) >= 10, "with the next one it waits again")
    gw.end("espsyncd")
    check(gw.ns.sh(f"nft list table {TABLE}", ok=None).status != 0, "a helper that ends takes its table along")
    begin = time.monotonic()
    far_end_asks(c)
    check(time.monotonic() - begin < 5, "and IKE goes on")
    gw.start_helper()


@explained
def a_queue_can_tell_ike_from_counters(c):
    """What a sync link that has bands would send first."""
    gw = c.gw[c.active]
    gw.sh("nft -f -", stdin="""table inet bands {
    chain out {
        type filter hook postrouting priority 0
        oifname "sync" meta l4proto tcp meta priority 0:6 counter comment "first"
        oifname "sync" udp sport 4520 meta priority none counter comment "then"
    }
}
""")
    far_end_asks(c)
    rules = gw.sh("nft list table inet bands")
    gw.sh("nft delete table inet bands")
    note(rules)
    check(rules.count("counter packets") == 2 and "counter packets 0 " not in rules, "IKE is in the band for what is urgent, counters in none")


@explained
def it_is_off_unless_it_is_wanted(c):
    gw = c.ike[3 - c.active]
    gw.end("espsyncd")
    gw.helper_conf = lambda: type(gw).helper_conf(gw)
    gw.start_helper()
    check(gw.ns.sh(f"nft list table {TABLE}", ok=None).status != 0, "there is no table")


@explained
def the_table(c):
    table(c)
    equal(c.wire.dropped, 0, "packets that the capture has lost")


main([it_waits_for_the_standby, the_far_end_rekeys_a_child_sa, the_gateway_rekeys_a_child_sa, the_far_end_rekeys_the_ike_sa,
      the_gateway_rekeys_the_ike_sa, the_far_end_asks_for_a_sign_of_life, the_gateway_asks_for_a_sign_of_life,
      a_standby_that_is_not_heard_holds_nothing_up, without_a_helper_nothing_waits, a_queue_can_tell_ike_from_counters,
      it_is_off_unless_it_is_wanted, the_table], setup)
