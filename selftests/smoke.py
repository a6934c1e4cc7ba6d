#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the test library itself: ESP by hand flows, is captured, and a repeated number does not go unseen
# WHERE: uml qemu
# SETS: timeout=120
#
# No espsync here. What the other tests conclude rests on this.
import threading

from esptest import *

VARIANTS = [
    ("gcm", {}), ("gcm", {"esn": True, "window": 1024}), ("gcm", {"window": 256}), ("chacha", {}), ("cbc-sha256", {}),
    ("gcm", {"mode": "transport"}), ("gcm", {"encap": (4500, 4500)}), ("gcm", {"v6": True, "esn": True, "window": 64}),
]


def ping(ns, address, count=3, source=None):
    return ns.sh(f"ping -q -c {count} -i 0.05 -W 2 {f'-I {source} ' if source else ''}{address}", ok=None).status == 0


def every_variant_carries_packets(c):
    c.move_vip(1)
    encap_socket(c.gw1), encap_socket(c.client)
    for i, (alg, how) in enumerate(VARIANTS):
        t = c.tunnel(alg=alg, spi=0x1000 + 2 * i, **how)
        cap = Capture(c.client, "out")
        far, near = (c.VIP, c.CLIENT) if how.get("mode") else (c.LAN6, c.INNER6) if how.get("v6") else (c.LAN, c.INNER)
        check(ping(c.client, far, source=near), f"{alg} {how}: an echo")
        until(lambda: len(cap.esp(t.to_client.spi, out=False)) >= 3, 5, f"{alg} {how}: three ESP packets of the answer")
        equal([p.seq for p in cap.esp(t.to_gw.spi, out=True)], [1, 2, 3], f"{alg} {how}: numbers sent")
        equal({p.udp for p in cap.esp()}, {"encap" in how}, f"{alg} {how}: encapsulation")
        equal(state(c.gw1, t.to_gw.spi)["seq"], 3, f"{alg} {how}: the window's edge")
        equal(state(c.client, t.to_gw.spi)["oseq"], 3, f"{alg} {how}: the counter")
        equal(cap.dropped, 0, "packets that the capture missed")
        for ns, gateway in ((c.client, False), (c.gw1, True), (c.gw2, True)):
            t.remove(ns, gateway)


def load_is_counted(c):
    t = c.tunnel(spi=0x2000)
    receiver = Receiver(c.lan, c.LAN)
    sender = Sender(c.client, c.LAN, rate=200, source=c.INNER)
    until(lambda: receiver.count >= 200, 20, "200 packets received")
    sender.stop()
    until(lambda: receiver.count >= sender.sent, 5, "all packets received")
    equal((sender.refused, receiver.duplicates()), (0, 0), "refused, duplicated")
    t.remove(c.client, False), t.remove(c.gw1), t.remove(c.gw2)


def a_repeat_is_found(c):
    """The other gateway begins at 1 again: what espsync is there to prevent."""
    t = c.tunnel(spi=0x3000)
    caps = [Capture(gw, "out") for gw in c.gw.values()]
    at_client = Capture(c.client, "out")
    before = xfrm_stat(c.client)["XfrmInStateSeqError"]
    check(ping(c.client, c.LAN, source=c.INNER), "an echo through gw1")
    c.move_vip(2)
    check(not ping(c.client, c.LAN, source=c.INNER), "no echo: gw2's numbers are replays to the client")
    until(lambda: len(at_client.esp(t.to_client.spi, out=False)) >= 6, 5, "six answers at the client")
    equal(sorted(repeats(caps)), [(t.to_client.spi, c.CLIENT, n) for n in (1, 2, 3)], "repeats seen at the gateways")
    equal(len(repeats([at_client], out=False)), 3, "repeats seen at the client")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"] - before, 3, "replay drops")
    equal(state(c.client, t.to_client.spi)["replay"], 3, "replays counted by the state")


def the_link_can_be_cut(c):
    c.cut_sync(one_way=1)
    check(not ping(c.gw1, "10.99.0.2", 1), "nothing comes back over a link cut one way")
    c.heal_sync()
    until(lambda: ping(c.gw1, "10.99.0.2", 1), 5, "an echo over the healed link")


def a_thread_starts_programs_while_others_are_forked(c):
    """What is forked meanwhile must not hold the pipes of a program that starts: its thread would wait for as long as that lives."""
    started, ending = [], []

    def programs():
        while not ending:
            sh(["true"])
            started.append(True)

    thread = threading.Thread(target=programs, daemon=True)
    thread.start()
    workers = [Sender(c.client, c.LAN, rate=1) for _ in range(25)]
    before = len(started)
    try:
        until(lambda: len(started) > before + 1, 20, "the thread goes on while they live")
    finally:
        ending.append(True)
        for worker in workers:
            worker.stop()
        thread.join()


main([every_variant_carries_packets, load_is_counted, a_repeat_is_found, the_link_can_be_cut,
      a_thread_starts_programs_while_others_are_forked], Cluster)
