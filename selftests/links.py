#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: two links to one peer: either fails, also one way only, without a gap; RTTs of 0.1 to 200 ms
# WHERE: uml-fast qemu
# SETS: timeout=300 named
"""
links - invariants I1, I3 and I4 while links between two nodes fail, heal and are slow (issue: peers=2@ADDR;ADDR2).

Each case begins with new SAs and both links up, and leaves them so. While one link works in each direction nobody may count as down or out, and no
SA may stand still.
"""
from esptest import *
from failover import *
from wired import DEAD_MS, SYNC2, WIRES, Told, wired

LEFT = 300      # packets that an SA may still send when its lease is nearly used up: some seconds, at the load's rate
RATE = 100


def stat(c, node, name):
    return int(c.show(node, "stats")[name])


def whole(c):
    """Both links up on both nodes, and the first one carries."""
    until(lambda: all(c.states(n) == ["up", "up"] and c.carrier(n) == 0 for n in c.gw), 20, "both links are up, the first carries")
    ready(c, c.active)


class Scene:
    """Load over new SAs, what may never go wrong, and what both nodes say."""

    def __init__(self, c):
        self.c, self.owner, self.heir = c, c.active, 3 - c.active
        rekeyed(c)
        whole(c)
        self.watch, self.load, self.told = Watch(c), Load(c, c.tunnels, rate=RATE), {n: Told(c, n) for n in c.gw}
        self.load.flows("at the beginning")
        self.stalls = stat(c, self.owner, "stalls")

    def leases_run_out(self, what):
        """Every SA needs a new ceiling at once: its owner asks for it, and the other one's answer comes in time."""
        known = sas(self.c, self.owner)
        ceilings = {t: int(known[t.to_client.spi]["ceiling"]) for t in self.c.tunnels}
        for t, ceiling in ceilings.items():
            t.to_client.set_oseq(self.c.gw[self.owner], ceiling - GSO_MAX - LEFT)
        self.load.flows(what, packets=2 * LEFT)
        self.undisturbed(what)

    def undisturbed(self, what):
        """As far as the owner's SAs and the peers' states go, nothing has happened."""
        equal(stat(self.c, self.owner, "stalls") - self.stalls, 0, f"times that an SA stood still: {what}")
        said = {n: [e for e in t.of("peer", "resync", "overrun") if e["state"] != "up"] for n, t in self.told.items()}
        equal(said, {n: [] for n in self.c.gw}, f"events of peers: {what}")
        equal(reasons(self.c, self.owner), {}, f"reasons not to be ready: {what}")

    def links_are(self, states, what):
        """By node; and the events say it too, once."""
        c = self.c
        try:
            until(lambda: {n: c.states(n) for n in c.gw} == states, 10, f"{what}: states of links {states}")
        except AssertionError as e:
            raise AssertionError(f"{e}: {[c.links(n) for n in c.gw]}") from None
        for n, those in states.items():
            changed = [(a, s) for a, s in zip((c.SYNC[3 - n], SYNC2[3 - n]), those) if s != "up"]
            try:
                until(lambda n=n, changed=changed: sorted(self.told[n].links()) == sorted(changed), 10, f"{what}: node {n} tells {changed} and nothing else")
            except AssertionError as e:
                raise AssertionError(f"{e}: {self.told[n].said}") from None

    def carried_by(self, links, what):
        until(lambda: {n: self.c.carrier(n) for n in self.c.gw} == links, 10, f"{what}: by node, the link that carries: {links}")

    def forget(self):
        for t in self.told.values():
            t.said.clear()

    def crash(self):
        """The owner dies, the other one repeats nothing and takes no replay; then the dead one comes back."""
        c = self.c
        self.load.pause(c.client)
        until(lambda: streamed(c, c.tunnels, self.owner), 10, "windows are streamed", step=0.2)
        self.load.go_on(c.client)
        taster = Taster(c)
        frames = taster.take()
        c.crash(self.owner)
        equal(take_over(c, self.heir), 0, "SAs in doubt after a takeover in sync")
        c.active = self.heir
        self.load.flows("after the takeover")
        taster.refused_by(self.heir, frames, self.load)
        return_zombie(c, self.owner)
        c.undo()
        self.end()

    def end(self):
        self.load.flows("at the end")
        self.load.stop()
        self.watch.judge()
        for t in self.told.values():
            t.stop()
        whole(self.c)


def both(value):
    return {1: value, 2: value}


def the_first_link_fails_and_heals_and_fails(c):
    s = Scene(c)
    c.unplug("sync")
    s.leases_run_out("just after the cut")
    s.carried_by(both(1), "the first is cut")
    s.links_are(both(["down", "up"]), "the first is cut")
    check("1 of 2 links" in c.espsync(s.owner, "show"), "show's first line says that a link is missing")
    s.forget()
    c.plug("sync")
    s.carried_by(both(0), "the first is back")
    until(lambda: all(t.links() == [(c.SYNC[3 - n], "up")] for n, t in s.told.items()), 10, "both tell that it is back")
    s.leases_run_out("with the first back")
    s.forget()
    c.unplug("sync")
    s.carried_by(both(1), "the first is cut again")
    s.undisturbed("after the second cut")
    s.crash()


def the_second_link_fails(c):
    s = Scene(c)
    c.unplug("two")
    s.leases_run_out("just after the cut")
    s.links_are(both(["up", "down"]), "the second is cut")
    s.carried_by(both(0), "the second is cut")
    s.undisturbed("while it is cut")
    s.crash()


def cut_one_way_only(c):
    """Who is not heard hears nothing wrong: the other one tells him."""
    for of_owner in (True, False):
        s = Scene(c)
        mute, other = (s.owner, s.heir) if of_owner else (s.heir, s.owner)
        c.deafen(mute, "sync")
        s.leases_run_out("just after the cut")
        s.carried_by(both(1), f"what node {mute} sends over the first is lost")
        s.links_are({mute: ["one-way", "up"], other: ["down", "up"]}, f"what node {mute} sends over the first is lost")
        s.undisturbed("while it is cut one way")
        if of_owner:
            c.undo()
            s.end()
        else:
            s.crash()


def each_link_works_one_way_only(c):
    """One in each direction: still both hear each other."""
    s = Scene(c)
    c.deafen(s.owner, "sync")
    c.deafen(s.heir, "two")
    s.leases_run_out("just after the cuts")
    s.carried_by({s.owner: 1, s.heir: 0}, "each works one way")
    s.links_are({s.owner: ["one-way", "down"], s.heir: ["down", "one-way"]}, "each works one way")
    s.undisturbed("while each works one way")
    c.undo()
    s.end()


def both_are_cut(c):
    """Then the peer is down, and that says it all."""
    s = Scene(c)
    c.unplug(*WIRES)
    until(lambda: [c.peer_state(n) for n in c.gw] == ["down", "down"], 10, "peers are down")
    equal({n: c.states(n) for n in c.gw}, both(["down", "down"]), "states of links")
    check(c.espsync(s.owner, "ready", ok=None).status == 1, "ready says no")
    c.plug(*WIRES)
    whole(c)
    for n, t in s.told.items():
        check("down" in [e["state"] for e in t.of("peer")], f"node {n} tells that its peer is down")
        equal(t.links(), [], f"links of which node {n} tells")
    s.end()


def anew(c, node):
    """A standby that lost its memory."""
    c.espsync(node, "channel del")
    c.configure(node)
    set_times(c, 2000, 30000, nodes=(node,))
    c.espsync(node, "demote")


def a_peer_comes_back_over_one_link(c):
    """The handshake takes the link that there is, while the other side still holds a session from before."""
    for wire in WIRES:
        s = Scene(c)
        c.unplug(wire)
        anew(c, s.heir)
        ready(c, s.owner)
        s.stalls = stat(c, s.owner, "stalls")
        s.forget()
        s.leases_run_out(f"with a peer that is new, without {wire}")
        c.plug(wire)
        s.end()


def links_are_taken_and_given(c):
    """A channel with one address and one with two, while it works."""
    n, o = c.active, 3 - c.active
    refused = c.espsync(n, f"channel set node {n} local {c.SYNC[n]}", ok=None)
    check(refused.status == 3 and "second address" in refused.stderr, f"an address that a peer's second needs is kept: {refused.stderr}")
    for node, peer in ((n, o), (o, n)):
        c.espsync(node, f"peer add {peer} {c.SYNC[peer]}")
        c.espsync(node, f"channel set node {node} local {c.SYNC[node]}")
        refused = c.espsync(node, f"peer add {peer} {c.SYNC[peer]} {SYNC2[peer]}", ok=None)
        check(refused.status == 3 and "this node has none" in refused.stderr, f"a second address alone is refused: {refused.stderr}")
    until(lambda: all(c.states(x) == ["up"] for x in c.gw), 10, "one link is up")
    equal([c.show(x, "channel")["local2"] for x in c.gw], [None, None], "second addresses")
    ready(c, n)
    for node, peer in ((n, o), (o, n)):
        c.espsync(node, f"channel set node {node} local {c.SYNC[node]} {SYNC2[node]}")
        c.espsync(node, f"peer add {peer} {c.SYNC[peer]} {SYNC2[peer]}")
    whole(c)


def shown(c):
    """Milliseconds of each link, on both nodes."""
    return [link["rtt_us"] / 1000 for n in c.gw for link in c.links(n)]


def round_trips(c):
    """A peer gets in over links that take so long, stays in, and takes over; the leases last while answers are under way."""
    for rtt_ms in (0.1, 20, 100, 200):
        if rtt_ms >= 1:
            c.delay(rtt_ms, *WIRES)
        anew(c, 3 - c.active)
        s = Scene(c)
        until(lambda: all(0.9 * rtt_ms < x < rtt_ms + 80 or rtt_ms < 1 and x < 80 for x in shown(c)), 20, f"round trips are shown as {rtt_ms} ms")
        note(f"round trips of {rtt_ms} ms are shown as {', '.join(f'{x:.1f}' for x in shown(c))} ms")
        s.leases_run_out(f"at {rtt_ms} ms")
        s.undisturbed(f"at {rtt_ms} ms")
        s.crash()


def links_that_differ(c):
    """Each has its own round trip, and answers may come over the slower one."""
    s = Scene(c)
    c.delay(100, "sync")
    until(lambda: all(c.links(n)[0]["rtt_us"] > 90000 > 50000 > c.links(n)[1]["rtt_us"] for n in c.gw), 20, "each link's round trip is its own")
    s.leases_run_out("with a slow first link")
    c.unplug("sync")
    s.leases_run_out("over the fast second")
    s.crash()


main([the_first_link_fails_and_heals_and_fails, the_second_link_fails, cut_one_way_only, each_link_works_one_way_only, both_are_cut,
      a_peer_comes_back_over_one_link, links_are_taken_and_given, round_trips, links_that_differ], wired)
