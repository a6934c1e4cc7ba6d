# SPDX-License-Identifier: GPL-2.0
"""Many kinds of SA in one cluster, each a tunnel with an inner address of its own, taken over together.

What kinds there are, and how they are set up, is the tests' affair.
"""
from esptest import Capture, check, equal, until
from failover import Load, Player, lost_replay, ready, return_zombie, sent_twice, streamed, take_over


def crash(c, load):
    """The dead node, and by SPI the newest frames, 40 at most, that it had accepted; nobody sends when this returns."""
    died, heir, tunnels = c.active, 3 - c.active, list(c.tunnels.values())
    ready(c, died)
    arrived = Capture(c.gw[died], "out", keep=True)
    load.go_on()
    load.flows("before the crash", packets=40, timeout=90)
    load.pause(c.client)
    until(lambda: streamed(c, tunnels, died), 20, "all is streamed", step=0.2)
    c.crash(died)
    equal(take_over(c, heir), 0, "SAs in doubt")
    c.active = heir
    frames = {t.to_gw.spi: [arrived.bytes_of(p) for p in arrived.stop().esp(t.to_gw.spi, out=False)[-40:]] for t in tunnels}
    return died, frames


def fail_over_and_back(c, rate=12):
    """c.tunnels (name: Tunnel) from one node to the other and back: all go on, no number is repeated, nothing is refused, no replay is taken."""
    caps = {n: Capture(gw, "out") for n, gw in c.gw.items()}
    at_client = Capture(c.client, "out")
    replays, player, load = lost_replay(c), Player(c), Load(c, list(c.tunnels.values()), rate=rate)
    for _ in range(2):
        died, frames = crash(c, load)
        verdicts = player.play_all(c.active, frames)
        for name, t in c.tunnels.items():
            old = len(frames[t.to_gw.spi])
            check(old >= 30, f"{name}: {old} packets recorded")
            equal(verdicts[t.to_gw.spi], (0, old), f"{name}: (taken, refused) of what node {died} had accepted")
        load.go_on()
        load.flows(f"after the crash of node {died}")
        return_zombie(c, died)
    load.stop()
    for name, t in c.tunnels.items():
        for sa, what in ((t.to_client, "to the client"), (t.to_gw, "to the gateway")):
            check(all(cap.esp(sa.spi) for cap in caps.values()), f"{name}, {what}: seen at both gateways")
            equal({p.udp for p in at_client.esp(sa.spi)}, {sa.encap is not None}, f"{name}, {what}: in UDP")
    twice = sent_twice(c, caps.values())
    check(not twice, f"{len(twice)} numbers were sent twice, such as {next(iter(twice.items()), None)}")
    equal(lost_replay(c) - replays, 0, "packets that the client refused as replays")
