#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: inbound windows of any shape and size on each side, whole ones on join and demote, a stale ESN edge; lenient and strict takeovers, measured
# WHERE: uml
# SETS: timeout=300 named
"""
inbound - invariant I3 whatever the windows of two nodes look like, and what the group option `inbound` buys and costs (design 4.4).

Recorded packets are played to a gateway: what the node before it had accepted and streamed is refused, what it never saw is taken. What it had accepted and
not streamed is taken by a lenient heir, and refused by a strict one, which refuses some good packets too: both are counted where it matters, by the host
behind the gateway, which numbers them.
"""
import dataclasses
import json
import os
import signal
import socket
import struct
import time

from esptest import *
from esptest.netlink import ACK, REPLACE, REQUEST, attr, message, request
from esptest.xfrm import NETLINK_XFRM, XFRM_MSG_NEWAE, XFRMA_REPLAY_ESN_VAL
from failover import *

# (window on node 1, window on node 2, ESN, packets). Up to 32 without ESN is xfrm's legacy shape, above it a ring, also where the size is no power of two.
PAIRS = ((32, 4096, False, 300), (4096, 33, False, 300), (1000, 64, False, 300), (4096, 128, True, 300), (64, 4096, True, 300), (4096, 4096, True, 2500))
DROP_EACH, CLIENT_WINDOW = 11, 64


def cluster():
    module()
    c = Cluster()
    c.start()
    set_times(c, 2000, 30000)
    c.active, c.tunnels, c.spi = 1, [], 0x1000
    for i in range(2, 10):
        c.client.ip(f"addr add 10.2.0.{i}/32 dev lo")
        for gw in c.gw.values():
            gw.ip(f"route add 10.2.0.{i}/32 via {c.CLIENT} dev out")
    return c


def tunnel(c, sizes, esn=False):
    """SAs whose inbound window has a size of its own on each node. Never an SPI again: its numbers would go on."""
    c.spi += 0x10
    t = Tunnel(c.CLIENT, c.VIP, inner=(f"10.2.0.{len(c.tunnels) + 1}/32", "10.1.0.0/24"), spi=c.spi, esn=esn, window=CLIENT_WINDOW)
    t.install_client(c.client)
    for n, gw in c.gw.items():
        t.to_gw.window = sizes[n]
        t.install(gw)
    c.tunnels.append(t)
    return t


def emptied(c):
    for t in c.tunnels:
        for ns, gateway in ((c.client, False), *((gw, True) for gw in c.gw.values())):
            t.remove(ns, gateway)
    c.tunnels = []


def some_lost(c, t, number):
    """(frames that the active node accepted, frames that were lost on their way to it)."""
    c.br.sh("nft 'add table netdev t; add chain netdev t c { type filter hook ingress device o-client priority 0; }; "
            f"add rule netdev t c ip protocol esp numgen inc mod {DROP_EACH} == 5 drop'")
    try:
        return recorded(c, t, number)
    finally:
        c.br.sh("nft delete table netdev t")


def number_of(frame):
    return int.from_bytes(frame[38:42], "big")


def window_of(c, node, sa):
    """(edge, size, the numbers within the window that count as seen)"""
    s = sas(c, node)[sa.spi]
    got = json.loads(c.espsync(node, f"-j sa get dst {sa.dst} spi {sa.spi:#x}"))
    bits, edge = bytes.fromhex(got["bitmap"]), int(got["seq"])
    return edge, got["window"], {edge - i for i in range(min(got["window"], edge)) if bits[i // 8] >> i % 8 & 1}, s


def same_window(c, sa, what):
    """Node 2 knows of every number of node 1's window whether it was seen."""
    (e1, w1, seen1, _), (e2, w2, seen2, _) = (window_of(c, n, sa) for n in (1, 2))
    low = e1 - min(w1, w2)
    equal((e2, {n for n in seen2 if n > low}), (e1, {n for n in seen1 if n > low}), f"{what}: edge and seen numbers of {sa.spi:#x} on node 2, of {w2}, as on node 1, of {w1}")


def moved_over(c):
    """The active node dies, the other one takes over; returns (died, heir)."""
    died, heir = c.active, 3 - c.active
    ready(c, died)
    quiet(c)
    c.crash(died)
    equal(take_over(c, heir), 0, "SAs in doubt")
    c.active = heir
    return died, heir


# -- shapes and sizes -----------------------------------------------------------

def any_two_sizes(c):
    """Each pair both ways: node 1 dies, then node 2."""
    for one, two, esn, number in PAIRS:
        tunnel(c, {1: one, 2: two}, esn)
    player = Player(c)
    for _ in range(2):
        ready(c, c.active)
        said = [some_lost(c, t, number) for t, (_, _, _, number) in zip(c.tunnels, PAIRS)]
        died, heir = moved_over(c)
        refused = 0
        for t, (one, two, _, _), (accepted, lost) in zip(c.tunnels, PAIRS, said):
            what = f"{t.to_gw.spi:#x}, windows {one} and {two}, from node {died} to {heir}"
            edge = number_of(accepted[-1])
            equal(player.play(heir, t.to_gw, accepted), (0, len(accepted)), f"{what}: what was accepted")
            within = [f for f in lost if number_of(f) > edge - min(one, two)]
            check(within or min(one, two) < 3 * DROP_EACH, f"{what}: some were lost within the smaller window")
            taken, no = player.play(heir, t.to_gw, within)
            refused += no
            equal((taken, no), (len(within), 0), f"{what}: what was lost, and is within the smaller window")
        note(f"from node {died} to {heir}: {sum(len(a) for a, _ in said)} replays, none taken; {refused} good packets refused")
        return_zombie(c, died)
    emptied(c)


def replaced_with_another_shape(c):
    """Deleted and added again with another window, with no numbers at all: legacy to ring and back, on the active node, then on the standby."""
    t, player = tunnel(c, {1: 32, 2: 32}), Player(c)
    ready(c, c.active)
    accepted, lost = some_lost(c, t, 300)
    edge = number_of(accepted[-1])
    near = [f for f in lost if number_of(f) > edge - 32]
    quiet(c)
    for node in (c.active, 3 - c.active):
        for size in (1024, 32, 4096, 48, 32):
            sa = dataclasses.replace(t.to_gw, window=size)
            sa.delete(c.gw[node])
            sa.add(c.gw[node])
            until(lambda: sas(c, node)[sa.spi]["seq"] == str(edge), 5, f"node {node} goes on from its edge with a window of {size}")
            if node == c.active:
                equal(player.play(node, sa, accepted), (0, len(accepted)), f"replays to node {node} with a window of {size}")
        ready(c, c.active)
    died, heir = moved_over(c)
    equal(player.play(heir, t.to_gw, accepted), (0, len(accepted)), "replays to the heir")
    equal(player.play(heir, t.to_gw, near), (len(near), 0), "what was lost, within all of these windows")
    check(near, "some were lost there")
    return_zombie(c, died)
    emptied(c)


# -- whole windows ---------------------------------------------------------------

def a_whole_window_on_join_and_demote(c):
    if c.active == 2:
        c.fail_over(1)
        c.active = 1
    for size in (32, 1000, 4096):
        tunnel(c, {1: size, 2: size}, esn=size == 4096)
    ready(c, 1)
    for t, number in zip(c.tunnels, (100, 700, 2500)):
        some_lost(c, t, number)
    # Node 2 forgets everything, and comes while nothing moves.
    c.espsync(2, "channel del --release")
    for t in c.tunnels:
        t.to_gw.delete(c.gw2)
        t.to_gw.add(c.gw2)
    c.configure(2)
    set_times(c, 2000, 30000, nodes=(2,))
    ready(c, 1)
    for t in c.tunnels:
        same_window(c, t.to_gw, "after the join")
    load = Load(c, c.tunnels, rate=200, zombies=False)
    load.flows("before the demote")
    load.pause(c.client)
    equal(c.espsync(1, "demote").strip(), "flushed", "demote")
    for t in c.tunnels:
        same_window(c, t.to_gw, "once flushed")
    load.stop()
    c.move_vip(2)
    equal(promote(c, 2), 0, "SAs in doubt")
    c.active = 2
    ready(c, 2)
    emptied(c)


# -- ESN --------------------------------------------------------------------------

def set_edge(ns, sa, edge):
    """Write an inbound ESN window with XFRM_MSG_NEWAE: empty but for its edge."""
    words = (sa.window + 31) // 32
    value = struct.pack("=6I", words, 0, edge & 0xffffffff, 0, edge >> 32, sa.window) + bytes(4 * words)
    dst, src = (socket.inet_aton(a).ljust(16, b"\0") for a in (sa.dst, sa.src))
    body = dst + struct.pack("!I", sa.spi) + struct.pack("=HBx", socket.AF_INET, socket.IPPROTO_ESP) + src + bytes(8) + attr(XFRMA_REPLAY_ESN_VAL, value)
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as sock:
        request(sock, message(XFRM_MSG_NEWAE, body, REQUEST | ACK | REPLACE), f"[{ns}] set the edge to {edge:#x}")


def an_ESN_edge_that_is_2_32_too_low(c):
    """The standby's upper half is one too low, with the same lower half: it comes right with the next stream, and with the next resync."""
    t = tunnel(c, {1: 2048, 2: 2048}, esn=True)
    here, there = c.active, 3 - c.active
    ready(c, here)
    player = Player(c)
    for round_, start in enumerate(((5 << 32) + 1000, (8 << 32) - 200)):      # the second one passes a multiple of 2^32
        dataclasses.replace(t.to_gw, window=CLIENT_WINDOW).set_oseq(c.client, start)
        for node, edge in ((here, start), (there, start - (1 << 32))):
            set_edge(c.gw[node], t.to_gw, edge)
        if not round_:
            c.espsync(here, "resync")
            until(lambda: state(c.gw[there], t.to_gw.spi)["seq"] == start, 10, "a resync brings the standby's edge up")
            set_edge(c.gw[there], t.to_gw, start - (1 << 32))
        accepted, lost = some_lost(c, t, 400)
        until(lambda: streamed(c, [t], here), 10, "a stream brings the standby's edge up")
        check(int(sas(c, there)[t.to_gw.spi]["seq"]) > start, "to where the owner's is")
        if round_:
            equal(state(c.gw[there], t.to_gw.spi)["seq"] >> 32, 8, "upper half on the standby behind a multiple of 2^32")
        died, heir = moved_over(c)
        equal(player.play(heir, t.to_gw, accepted), (0, len(accepted)), "replays")
        equal(player.play(heir, t.to_gw, lost), (len(lost), 0), "what was lost")
        return_zombie(c, died)
        here, there = heir, died
    emptied(c)


# -- policies ---------------------------------------------------------------------

RATE, UNTOLD_S, ROUNDS = 500, 0.06, 3


def policy(c, word):
    for n in c.gw:
        c.espsync(n, f"group set 0 inbound {word}")
        equal(group(c, n)["inbound"], word, f"policy of node {n}")


class Numbered:
    """Packets of the client through a tunnel, as the host behind the gateways gets them: they carry numbers."""

    def __init__(self, c, t, port):
        self.receiver = Receiver(c.lan, c.LAN, port)
        self.sender = Sender(c.client, c.LAN, port, rate=RATE, source=t.inner[0].split("/")[0])

    def flows(self, packets=100, timeout=30):
        before = self.receiver.count
        until(lambda: self.receiver.count >= before + packets, timeout, "numbered packets arrive")

    def stop(self):
        self.sender.stop()
        self.receiver.stop()

    def numbers(self):
        return {number for number, _, _ in self.receiver.packets}


def play(c, node, frames):
    """Raw, at full speed, whatever becomes of them."""
    mac, sock = bytes.fromhex(c.gw[node].mac("out").replace(":", "")), Player(c).sock
    for frame in frames:
        sock.send(mac + frame[6:])
    sock.close()


def judged(c, node, t, at_least):
    """(taken, refused) by a node's SA, once nothing more comes."""
    seen = []

    def still():
        seen.append(counts(c.gw[node])[t.to_gw.spi])
        return sum(seen[-1]) >= at_least and seen[-1:] == seen[-2:-1]

    until(still, 20, f"node {node} has judged {at_least} packets", step=0.2)
    return seen[-1]


def one_takeover(c, t, rng, port, strict, paused):
    """(replays taken, good packets refused, seconds from the last stream to the takeover). paused: the client sends nothing while its gateway is dead."""
    died, heir = c.active, 3 - c.active
    ready(c, died)
    _, late = some_lost(c, t, 60)
    numbered, cap = Numbered(c, t, port), Capture(c.gw[died], "out", keep=True)
    numbered.flows()
    time.sleep(rng.uniform(0, 0.3))
    c.cut_sync(one_way=died)
    untold = time.monotonic()
    play(c, died, late)     # these move no edge
    time.sleep(UNTOLD_S)
    c.crash(died)
    if paused:
        os.kill(numbered.sender.pid, signal.SIGSTOP)
    cap.stop()
    replays = late + cap.frames_of(cap.esp(t.to_gw.spi, out=False)[-400:])
    c.heal_sync()
    before, arrived = counts(c.gw[heir])[t.to_gw.spi], numbered.numbers()
    c.add_vip(heir)
    if strict:      # VRRP has moved the address, and nobody has promoted the node yet
        invalid = xfrm_stat(c.gw[heir])["XfrmInStateInvalid"]
        play(c, heir, replays)
        until(lambda: xfrm_stat(c.gw[heir])["XfrmInStateInvalid"] >= invalid + len(replays), 10, "a strict standby refuses all")
        equal(counts(c.gw[heir])[t.to_gw.spi], before, "packets that it judged")
    equal(promote(c, heir), 0, "SAs in doubt")
    c.active, taken_over = heir, time.monotonic()
    play(c, heir, replays)
    c.announce(heir)
    os.kill(numbered.sender.pid, signal.SIGCONT)
    numbered.flows()
    numbered.stop()
    taken, refused = (now - then for now, then in zip(judged(c, heir, t, sum(before) + len(replays)), before))
    again = taken - len(numbered.numbers() - arrived)
    return_zombie(c, died)
    return again, refused - (len(replays) - again), taken_over - untold


def rounds_of(c, word):
    """Replays taken and good packets refused, in all."""
    rng, all_taken, all_refused = seeded(), 0, 0
    policy(c, word)
    for i in range(ROUNDS):
        t, paused = tunnel(c, {1: 2048, 2: 2048}, esn=i % 2), i == ROUNDS - 1
        taken, refused, s = one_takeover(c, t, rng, 7600 + i, word == "strict", paused)
        note(f"{word}: {taken} replays taken, {refused} good packets of {RATE}/s refused, {s:.2f} s after the last stream"
             f"{', the client was silent meanwhile' if paused else ''}")
        check(refused <= RATE * (1.5 * s + 0.2 if paused else 0.5 * s + 0.2), f"{refused} good packets refused: many more than what may have been accepted")
        all_taken, all_refused = all_taken + taken, all_refused + refused
        emptied(c)
    return all_taken, all_refused


def lenient_takes_what_was_not_streamed(c):
    """The judge itself, and what strict is measured against."""
    taken, refused = rounds_of(c, "lenient")
    check(taken > ROUNDS * 10, f"{taken} replays taken: nothing was left for strict to refuse")
    equal(refused, 0, "good packets refused")


def strict_takes_no_replay(c):
    taken, refused = rounds_of(c, "strict")
    equal(taken, 0, "replays taken")
    check(refused > 0, "good packets are refused, if only of a client that was silent: the edge moved on")


def a_planned_move_costs_strict_nothing(c):
    """The old owner is deaf before it says that it is silent, and has told all: no number is skipped."""
    policy(c, "strict")
    t = tunnel(c, {1: 2048, 2: 2048})
    ready(c, c.active)
    for _ in range(2):
        old, new = c.active, 3 - c.active
        some_lost(c, t, 60)
        quiet(c)
        edge = state(c.gw[old], t.to_gw.spi)["seq"]
        equal(c.espsync(old, "demote").strip(), "flushed", "demote")
        same_window(c, t.to_gw, "once flushed")
        time.sleep(0.1)     # longer than a lost datagram takes
        c.move_vip(new)
        equal(promote(c, new), 0, "SAs in doubt")
        c.active = new
        equal(state(c.gw[new], t.to_gw.spi)["seq"], edge, "the edge after the move")
        client_sends(c, t, 20)
        until(lambda: state(c.gw[new], t.to_gw.spi)["seq"] >= edge + 20, 10, "packets are taken")
        equal(state(c.gw[new], t.to_gw.spi)["replay"], 0, "packets refused")
        ready(c, new)
    emptied(c)


def strict_promotes_as_fast_as_it_can(c):
    """What the work for each SA costs, beside what lenient takes."""
    number = 300
    lines = [" ".join(["xfrm state add", *Sa(c.CLIENT, c.VIP, 0x9000 + i, window=128, key=f"0x{'b7' * 18}{i:04x}").words()]) for i in range(number)]
    for gw in c.gw.values():
        gw.batch(lines)
    until(lambda: all(group(c, n)["sas_total"] == number for n in c.gw), 20, "they are followed")
    took = {}
    for word in ("lenient", "strict"):
        policy(c, word)
        ready(c, c.active)
        c.crash(c.active)
        time.sleep(0.5)
        began = time.monotonic()
        ask(c.gw[3 - c.active], ESPSYNC_CMD_PROMOTE)
        took[word] = time.monotonic() - began
        return_zombie(c, c.active)
        c.active = 3 - c.active
        c.move_vip(c.active)
    note(f"promote with {number} inbound SAs: lenient {took['lenient'] * 1e3:.1f} ms, strict {took['strict'] * 1e3:.1f} ms, "
         f"{(took['strict'] - took['lenient']) / number * 1e6:.1f} us for each")
    check(took["strict"] < 1, "strict is promoted within a second")
    for gw in c.gw.values():
        gw.sh("ip xfrm state flush")
    policy(c, "lenient")


main([any_two_sizes, replaced_with_another_shape, a_whole_window_on_join_and_demote, an_ESN_edge_that_is_2_32_too_low,
      lenient_takes_what_was_not_streamed, strict_takes_no_replay, a_planned_move_costs_strict_nothing,
      strict_promotes_as_fast_as_it_can], cluster)
