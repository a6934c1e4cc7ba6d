#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a planned move under load: what the old owner may not send any more goes to the new one, or waits in vain and is counted
# WHERE: uml-fast
# SETS: timeout=120
"""
handover - a tunnel that moves on purpose, packets every fraction of a millisecond both ways.

What is lost is compared with what two plain routers lose to the same script, in the same run.
"""
import socket
import time

from esptest import *
from esptest.netlink import nest
from failover import ESPSYNC_A_GROUP, ESPSYNC_CMD_DEMOTE, ESPSYNC_CMD_PROMOTE, ask, lost_replay, ready, sent_twice

RATE = 1500     # both ways; python's senders do not do more here
SIZE = 300
HOLD_S = 0.09   # the guard waits for 0.1
MOVES = 4       # that take less than that


class Flow:
    """UDP both ways between two places, and what of it was lost."""

    def __init__(self, client, client_address, host, host_address):
        self.there, self.here = Receiver(host, host_address), Receiver(client, client_address)
        self.senders = [Sender(client, host_address, rate=RATE, size=SIZE, source=client_address),
                        Sender(host, client_address, rate=RATE, size=SIZE, source=host_address)]

    def flows(self):
        before = self.here.count, self.there.count
        until(lambda: self.here.count > before[0] + 100 and self.there.count > before[1] + 100, 20, "packets arrive both ways")

    def stop(self):
        """(lost at the client, lost at the host)"""
        for s in self.senders:
            s.stop()
        time.sleep(0.3)
        for r in (self.here, self.there):
            r.stop()
        note(f"{[s.sent for s in self.senders]} sent, {self.there.count} and {self.here.count} arrived, "
             f"longest gaps {self.there.longest_gap()[0] * 1000:.1f} and {self.here.longest_gap()[0] * 1000:.1f} ms")
        equal((self.here.duplicates(), self.there.duplicates()), (0, 0), "packets delivered twice")
        return self.senders[1].sent - self.senders[1].refused - self.here.count, self.senders[0].sent - self.senders[0].refused - self.there.count


def move(c, to, silent, active):
    """As keepalived does: the old one is told, the new one has the address before it is told, and the old one lets it go. How long nobody was active."""
    silent()
    began = time.monotonic()
    c.add_vip(to)
    c.announce(to)
    active()
    took = time.monotonic() - began
    c.drop_vip(3 - to)
    return took


def tell(c, node, command):
    """Without the tool, whose process costs more than the move here."""
    ask(c.gw[node], command, nest(ESPSYNC_A_GROUP))


def planned(c, to):
    return move(c, to, lambda: tell(c, 3 - to, ESPSYNC_CMD_DEMOTE), lambda: tell(c, to, ESPSYNC_CMD_PROMOTE))


def setup():
    c = Cluster()
    c.t = c.tunnel(esn=True, window=1024)
    c.start()
    c.plain, c.lost = Cluster("p"), 0
    c.plain.move_vip(1)
    for gw in c.plain.gw.values():
        gw.ip(f"route replace {c.INNER}/32 via {c.CLIENT} dev out")
    for to in (2, 1):       # what is looked up the first time
        move(c.plain, to, lambda: None, lambda: None)
        ready(c, 3 - to)
        planned(c, to)
    return c


def stats(c, node):
    return {k: int(v) for k, v in c.show(node, "stats").items() if k in ("handed", "taken", "unheld", "refused")}


def plain_routers(c):
    """What the same script costs without IPsec."""
    flow = Flow(c.plain.client, c.INNER, c.plain.lan, c.LAN)
    flow.flows()
    for to in (2, 1, 2, 1):
        move(c.plain, to, lambda: None, lambda: None)
        time.sleep(0.3)
    c.lost = sum(flow.stop())
    note(f"two plain routers lost {c.lost} packets in four moves")


def a_planned_move_loses_no_more(c):
    caps = [Capture(gw, "out") for gw in c.gw.values()]
    flow = Flow(c.client, c.INNER, c.lan, c.LAN)
    flow.flows()
    replays, handed, fast, late, to = lost_replay(c), 0, 0, 0, 1
    began = time.monotonic()
    while fast < MOVES and time.monotonic() - began < 40:
        to = 3 - to
        ready(c, 3 - to)
        before = stats(c, 3 - to), stats(c, to)
        took = planned(c, to)
        time.sleep(0.3)
        after = stats(c, 3 - to), stats(c, to)
        old, new = ({k: a[k] - b[k] for k in a} for a, b in zip(after, before))
        note(f"to node {to} in {took * 1000:.0f} ms: the old one {old}, the new one {new}")
        equal(new["taken"], old["handed"], "packets taken of those handed over")
        handed += old["handed"]
        if took <= HOLD_S:
            fast += 1
        else:       # packets that nobody waits for so long: a machine that is busy with something else
            late += sum(x[k] for x in (old, new) for k in ("unheld", "refused"))
    lost = sum(flow.stop())
    if to == 2:
        planned(c, 1)
    for cap in caps:
        cap.stop()
    check(handed and fast == MOVES, f"packets were handed over, and {fast} moves of {MOVES} were fast enough to judge")
    check(lost - late <= c.lost, f"{lost} packets lost, {late} of them in slow moves; {c.lost} by two plain routers in four")
    check(not sent_twice(c, caps), "no number twice")
    equal(lost_replay(c) - replays, 0, "packets that the client refused as replays")


def a_move_that_fails_lets_them_go(c):
    """Demoted, nobody promoted, and active again within a moment."""
    flow = Flow(c.client, c.INNER, c.lan, c.LAN)
    flow.flows()
    before = stats(c, 1)
    tell(c, 1, ESPSYNC_CMD_DEMOTE)
    tell(c, 1, ESPSYNC_CMD_PROMOTE)
    flow.flows()
    after = stats(c, 1)
    lost = sum(flow.stop())
    note(f"lost {lost}: {before} {after}")
    equal((after["unheld"] - before["unheld"], after["refused"] - before["refused"], lost), (0, 0, 0), "packets dropped")


def nobody_is_promoted_and_they_are_dropped(c):
    """After 100 ms, and counted: neither encrypted by a standby nor kept."""
    flow = Flow(c.client, c.INNER, c.lan, c.LAN)
    flow.flows()
    before, cap = stats(c, 1), Capture(c.gw1, "out")
    c.espsync(1, "demote")
    silent = time.time()
    until(lambda: stats(c, 1)["refused"] > before["refused"] + 100, 10, "the guard drops what comes later")
    after = stats(c, 1)
    flow.stop()
    waited = after["unheld"] - before["unheld"]
    check(0 < waited < RATE * 0.4, f"some 100 ms of {RATE} packets/s have waited in vain: {waited}")
    check(not [p for p in cap.stop().esp(out=True, since=silent)], "nothing leaves a standby")
    c.espsync(1, "promote")


def big_ones_are_cut(c):
    """What TCP left to the device to cut, and to sum up, arrives whole."""
    data = bytes(range(256)) * 1024
    ready(c, 1)
    before = stats(c, 1)
    with c.lan.socket() as listener, c.client.socket() as s:
        listener.bind((c.LAN, 7100))
        listener.listen()
        s.bind((c.INNER, 0))
        s.settimeout(20)
        s.connect((c.LAN, 7100))
        conn, _ = listener.accept()
        conn.settimeout(20)

        def sends():
            tell(c, 1, ESPSYNC_CMD_DEMOTE)
            conn.sendall(data[:20000])      # less than what may be under way at first

        move(c, 2, sends, lambda: tell(c, 2, ESPSYNC_CMD_PROMOTE))
        conn.sendall(data[20000:])
        conn.shutdown(socket.SHUT_WR)
        got = b"".join(iter(lambda: s.recv(65536), b""))
        conn.close()
    check(got == data, f"{len(got)} of {len(data)} bytes arrive as they were")
    handed = stats(c, 1)["handed"] - before["handed"]
    check(handed >= 10, f"ten segments of 20000 bytes were handed over in pieces: {handed}")


main([plain_routers, a_planned_move_loses_no_more, a_move_that_fails_lets_them_go, nobody_is_promoted_and_they_are_dropped, big_ones_are_cut], setup)
