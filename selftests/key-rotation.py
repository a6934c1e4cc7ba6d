#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: cluster keys change under traffic: no peer goes down, nothing is refused; who has the old key only is named, and a deleted one is believed no more
# WHERE: uml
# SETS: named timeout=400
"""
key-rotation - `espsync key add | use | del` on two gateways with traffic through their tunnels.

Job: what both gateways count and tell while the key changes, which key is on the wire, and then a crash: the numbers captured at the far
end. Datagrams under keys that are loaded, and under one that was deleted, are made by channelwire, which shares nothing with the module.
"""
import json
import os
import secrets
import time

import channelwire as cw
from esptest import check, defer, equal, main, until
from failover import Events, Load, Watch, prepared, ready, return_zombie, sas, set_times, take_over
from synclink import SyncLink

PATIENT_MS = 3000       # dead_ms: a machine that is busy with other things is not a peer that is down


class Key:
    """A cluster key in a file; each has another number."""
    numbers = iter(range(1, 256))

    def __init__(self, path=None):
        self.number = next(Key.numbers)
        self.path = path or f"/tmp/rotated-{os.getpid()}-{self.number}"
        if not path:
            with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
                f.write(secrets.token_hex(32) + "\n")
            defer(os.unlink, self.path)
        with open(self.path) as f:
            self.text = f.read().strip()
        self.on_wire = cw.Keys(bytes.fromhex(self.text))
        self.id = self.on_wire.id.hex()

    def add(self, c, *nodes):
        for n in nodes:
            c.espsync(n, f"key add {self.number} psk-file {self.path}")

    def use(self, c, *nodes):
        for n in nodes:
            c.espsync(n, f"key use {self.number}")


def delete_others(c, *nodes):
    """All that a node does not use."""
    for n in nodes:
        for number, (_, used) in loaded(c, n).items():
            if not used:
                c.espsync(n, f"key del {number}")


def settings():
    """c.key: the one that both use."""
    c = prepared()
    for n in c.gw:
        c.espsync(n, f"channel set dead_ms {PATIENT_MS}")
    c.load = Load(c, c.tunnels)
    c.load.flows("before")
    c.key = Key(c.key_file())
    c.all_keys = [c.key]
    return c


def fresh(c):
    """(the key that is used, one that will be)"""
    old, c.key = c.key, Key()
    c.all_keys.append(c.key)
    return old, c.key


def reasons(c, node):
    return [(r["reason"], r["peer"]) for r in json.loads(c.espsync(node, "-j ready", ok=None))["reasons"]]


def refused(c):
    """Everything that either gateway counts as refused, by gateway and reason."""
    found = {}
    for n in c.gw:
        shown = c.show(n)
        for said in (*(p["dropped"] for p in shown["peers"]), shown["stats"]["dropped"]):
            for reason, number in said.items():
                found[n, reason] = found.get((n, reason), 0) + int(number)
    return found


def loaded(c, node):
    """{number: (id, used)}"""
    return {k["id"]: (k["key_id"], k["used"]) for k in c.show(node, "channel")["keys"]}


def sealed_with(c, node):
    """The id of the key under which a node and its peer speak, as it shows it."""
    return c.show(node, "peers")[0]["key_id"]


class Undisturbed:
    """Within the block no peer goes down or begins anew, nothing is refused, and the tunnels carry traffic."""

    def __init__(self, c, but=(), told=()):
        """but: what may be refused, by (node, reason); told: events that there may be."""
        self.c, self.but, self.told = c, but, ("sa", "stale", "rekey-needed", *told)

    def __enter__(self):
        self.events, self.refused = {n: Events(self.c, n) for n in self.c.gw}, refused(self.c)

    def __exit__(self, kind, *_):
        said = {n: [e for e in events.told() if e["event"] not in self.told] for n, events in self.events.items()}
        if kind:
            return
        equal(said, {n: [] for n in self.c.gw}, "events, by node")
        more = {k: v - self.refused[k] for k, v in refused(self.c).items() if v != self.refused[k] and k not in self.but}
        check(not more, f"datagrams were refused, by node and reason: {more}")
        self.c.load.flows("afterwards")


def rotated_under_traffic(c):
    """Add on both, use on both, delete on both: then a crash, and no number comes twice."""
    old, new = fresh(c)
    watch = Watch(c)
    before = {n: {spi: s["fingerprint"] for spi, s in sas(c, n).items()} for n in c.gw}
    with Undisturbed(c):
        new.add(c, 1, 2)
        equal([sealed_with(c, n) for n in c.gw], [old.id] * 2, "key ids on the wire after add")
        equal((reasons(c, 1), reasons(c, 2)), ([], []), "both are ready after add")
        c.load.flows("with both keys")
        new.use(c, 1)
        equal([sealed_with(c, n) for n in c.gw], [new.id] * 2, "key ids on the wire after use")
        new.use(c, 2)
        equal((reasons(c, 1), reasons(c, 2)), ([], []), "both are ready after use")
        c.load.flows("with the new key")
        delete_others(c, 1, 2)
        equal((reasons(c, 1), reasons(c, 2)), ([], []), "both are ready after del")
    equal([loaded(c, n) for n in c.gw], [{new.number: (new.id, True)}] * 2, "keys that are loaded")
    equal({n: {spi: s["fingerprint"] for spi, s in sas(c, n).items()} for n in c.gw}, before, "fingerprints")
    watch.look()
    c.crash(1)
    equal(take_over(c, 2), 0, "SAs in doubt after the crash")
    c.active = 2
    c.load.flows("after the crash")
    return_zombie(c, 1)
    ready(c, 2)
    watch.judge()


def who_has_the_old_key_only_is_named(c):
    """It goes on with the old one, in sync; and is named until it has and uses the new one."""
    old, new = fresh(c)
    active, idle = c.active, 3 - c.active
    with Undisturbed(c, but=((idle, "key-id"),), told=("ready",)):
        new.add(c, active)
        new.use(c, active)
        equal(reasons(c, active), [("no-key", idle)], "what the active node says")
        equal(c.espsync(active, "ready", ok=None).status, 1, "exit code of ready")
        equal(c.espsync(active, "ready --local", ok=None).status, 0, "exit code of ready --local")
        equal([sealed_with(c, n) for n in c.gw], [old.id] * 2, "key ids on the wire")
        check(c.peer_state(active) == c.peer_state(idle) == "up", "both are up")
        until(lambda: int(c.show(idle, "peers")[0]["dropped"]["key-id"]), 5, "the other one counts what it is asked under the new key")
        new.add(c, idle)
        until(lambda: not reasons(c, active), 5, "ready once it has the new key")
        equal([sealed_with(c, n) for n in c.gw], [new.id] * 2, "key ids on the wire")
        equal(reasons(c, idle), [("no-key", active)], "who still uses the old one says so himself")
        new.use(c, idle)
        equal(reasons(c, idle), [], "and is ready when he uses the new one")
        delete_others(c, 1, 2)


def a_node_restarted_in_the_middle_joins(c):
    """With the file as it was, or as it will be."""
    old, new = fresh(c)
    active, idle = c.active, 3 - c.active
    new.add(c, 1, 2)
    new.use(c, active)
    for key, named in ((old, [("no-key", idle)]), (new, [])):
        c.psk = key.path
        c.espsync(idle, "channel del")
        c.configure(idle)
        c.espsync(idle, f"channel set dead_ms {PATIENT_MS}")
        set_times(c, 2000, 30000, nodes=(idle,))
        until(lambda: c.peer_state(active) == c.peer_state(idle) == "up" and sealed_with(c, active) == key.id, 20, "it joins")
        until(lambda: reasons(c, active) == named, 10, f"what the active node says: {named}")
        c.load.flows("after the restart")
    delete_others(c, 1, 2)
    until(lambda: (reasons(c, 1), reasons(c, 2)) == ([], []), 10, "both are ready")


def a_deleted_key_is_believed_no_more(c):
    """While both keys are loaded both are answered; then the old one's datagrams, recorded and made, are counted and nothing else."""
    old, new = fresh(c)
    link = SyncLink(c)

    def answers(key):
        """One HELLO in 50 ms is answered."""
        nonce = os.urandom(16)
        link.send(cw.hello(key.on_wire, 1, 2, nonce))
        time.sleep(0.1)
        opened = (cw.open_hello(key.on_wire, d) for d in link.read(c.SYNC[2]) if cw.kind(d) == cw.HELLO)
        return any(o and o[2] == nonce for o in opened)

    new.add(c, 1, 2)
    for key in (old, new):
        until(lambda: answers(key), 5, f"key {key.number} is answered while both are loaded")
    link.read(c.SYNC[2])
    recorded = []
    until(lambda: recorded.extend(d for d in link.read(c.SYNC[1]) if cw.kind(d) == cw.DATA) or len(recorded) >= 20, 10, "datagrams to record")
    check(all(d[8:16] == old.on_wire.id for d in recorded), "gw1 seals with the old key")
    new.use(c, 1, 2)
    delete_others(c, 1, 2)
    before = refused(c)[2, "key-id"]
    for datagram in recorded[:20]:
        link.send(datagram)
    until(lambda: refused(c)[2, "key-id"] == before + 20, 5, "each recorded datagram is counted")
    check(not any(answers(old) for _ in range(10)), "nothing is answered under the deleted key")
    until(lambda: refused(c)[2, "key-id"] == before + 30, 5, "each HELLO under it is counted")
    until(lambda: answers(new), 5, "the key that is loaded is answered")
    check(c.peer_state(2) == c.peer_state(1) == "up", "both are up")


def a_key_for_all_at_once(c):
    """`channel set ... psk-file`: no overlap, but nothing is forgotten."""
    _, new = fresh(c)
    before = {n: {spi: s["ceiling"] for spi, s in sas(c, n).items()} for n in c.gw}
    for n in c.gw:
        c.espsync(n, f"channel set psk-file {new.path}")
    equal([loaded(c, n) for n in c.gw], [{0: (new.id, True)}] * 2, "keys that are loaded")
    until(lambda: c.peer_state(2) == c.peer_state(1) == "up" and sealed_with(c, 1) == new.id, 20, "both are up")
    ready(c, c.active)
    after = {n: {spi: s["ceiling"] for spi, s in sas(c, n).items()} for n in c.gw}
    check(all(int(after[n][spi] or 0) >= int(number or 0) for n in c.gw for spi, number in before[n].items()), f"ceilings: {after} were {before}")
    c.load.flows("under the key for all")


def no_key_is_shown(c):
    said = "".join(c.espsync(n, how) for n in c.gw for how in ("show", "-j show", "show channel", "show peers"))
    said += c.gw1.sh("dmesg")
    check(not [k.number for k in c.all_keys if k.text in said], "keys that are shown")


main([rotated_under_traffic, who_has_the_old_key_only_is_named, a_node_restarted_in_the_middle_joins, a_deleted_key_is_believed_no_more,
      a_key_for_all_at_once, no_key_is_shown], settings)
