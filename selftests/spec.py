#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the YNL spec fits the kernel's schema and the policies of the running module; the kernel's own Python client shows, refuses and hears what the tool does
# WHERE: uml
# SETS: timeout=200 source uml-only
"""
spec - Documentation/netlink/specs/espsync.yaml in the hands of the kernel's own client, tools/net/ynl of its source.

ynl-spec compares texts; here the module answers: its policies, as the controller of generic netlink tells them (CTRL_CMD_GETPOLICY), and its
messages, read with nothing but the spec. What the client shows must be what `espsync -j` shows.
"""
import json
import os
import re
import sys

from esptest import *
from failover import prepared, ready, sas

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SPEC = f"{TOP}/Documentation/netlink/specs/espsync.yaml"
# What the kernel calls the types, and the widest values of those that have no check.
KERNEL = {"string": "nul-string", "nest": "nested"}
WIDTH = {"u8": 8, "u16": 16, "u32": 32, "u64": 64}


class Second:
    """A cluster, and a client on node 1."""

    def __init__(self):
        tree = host_dir("KERNEL_SOURCE")
        self.cli, self.schema = f"{tree}/tools/net/ynl/pyynl/cli.py", f"{tree}/Documentation/netlink/genetlink.yaml"
        sys.path.insert(0, os.path.dirname(self.cli))
        import lib
        self.lib = lib
        self.c = prepared()
        self.ynl = self.client()

    def client(self):
        return self.c.gw1.call(self.lib.YnlFamily, SPEC, "")

    def call(self, op, attrs=None, dump=False):
        """What is inside the nests of the answers."""
        got = self.c.gw1.call(getattr(self.ynl, "dump" if dump else "do"), op, attrs or {})
        return [next(iter(m.values())) for m in got] if dump else got and next(iter(got.values()))


def the_schema(s):
    s.lib.SpecFamily(SPEC, s.schema)


# -- policies ------------------------------------------------------------------

def expected(ynl, space, attr):
    """What a policy says of an attribute of the spec, in the controller's words."""
    spec = ynl.attr_sets[space][attr].yaml
    checks, kind = spec.get("checks", {}), spec["type"]
    said = {"type": KERNEL.get(kind, kind)}
    if kind in WIDTH:
        entries = ynl.consts[spec["enum"]].yaml["entries"] if "enum" in spec else []
        said["min-value"] = checks.get("min", 0)
        said["max-value"] = checks.get("max", len(entries) - 1 if entries else (1 << WIDTH[kind]) - 1)
    elif kind in ("binary", "string"):
        low, high = (checks.get("exact-len", checks.get(k)) for k in ("min-len", "max-len"))
        said.update({k: v for k, v in (("min-length", low), ("max-length", high)) if v is not None})
    return said


def compare(s, space, policy, seen):
    for name in policy.keys():
        check(name in s.ynl.attr_sets[space], f"{space}: the module takes {name}, which the spec does not have")
        entry = policy[name]
        said = {k: v for k, v in entry.to_dict().items() if k != "policy"}
        equal(said, expected(s.ynl, space, name), f"policy of {space}/{name}, module and spec")
        seen.add((space, name))
        if said["type"] == "nested":
            inside = s.ynl.attr_sets[space][name].yaml["nested-attributes"]
            check(entry.keys(), f"{space}/{name}: the module says what may be in it")
            compare(s, inside, entry, seen)


def the_policies(s):
    """Of each request: what it takes, how long, between which values; and that what the spec gives a request is taken."""
    seen = set()
    for name, op in s.ynl.ops.items():
        if "event" in op.yaml:
            continue
        for mode in ("do", "dump"):
            if mode not in op.yaml:
                continue
            policy = s.ynl.get_policy(name, mode)
            check(policy is not None, f"{name}, {mode}: the module has it")
            for attr in op.yaml[mode].get("request", {}).get("attributes", []):
                check(attr in policy, f"{name}, {mode}: the module takes {attr}")
            compare(s, "espsync", policy, seen)
    # Of what is set, each is taken, or said not to be.
    for space in ("channel", "group", "helper"):
        for name, attr in s.ynl.attr_sets[space].attrs.items():
            told = re.search(r"read only|reply", attr.yaml.get("doc", "")) or attr.yaml["type"] == "pad"
            check(told or (space, name) in seen, f"{space}/{name}: neither taken by the module nor said to be read only")
    note(f"{len(seen)} attributes agree")


# -- a second client ---------------------------------------------------------------

def shown(c, what):
    return json.loads(c.espsync(1, f"-j show {what}"))


def it_shows_the_same(s):
    ready(s.c, 1)
    got, tool = s.call("channel-get"), shown(s.c, "channel")
    for name in ("node", "local", "port", "tick-us", "records-per-s", "rate-kbit", "dead-ms", "detect-ms", "evict-ms", "version"):
        equal(got[name], tool[name.replace("-", "_")], f"channel: {name}")
    equal(got["key-id"].replace(" ", ""), tool["key_id"], "channel: key id")
    (got,), (tool,) = s.call("peer-get", dump=True), shown(s.c, "peers")
    for name in ("node", "addr", "port", "state", "sas-synced", "sas-total", "version"):
        equal(got[name], tool[name.replace("-", "_")], f"peer: {name}")
    equal((len(got["lag-us"]["bucket"]), len(got["lag-packets"]["bucket"])), (len(tool["lag_us"]), len(tool["lag_packets"])), "buckets of lag")
    (got,), (tool,) = s.call("group-get", dump=True), shown(s.c, "groups")
    equal((got["id"], got["role"], got["addrs"]["addr"], str(got["epoch"]), got["sas-total"], got["sas-protected"]),
          (tool["group"], tool["role"], tool["addrs"], tool["epoch"], tool["sas_total"], tool["sas_protected"]), "group")


def it_shows_sas(s):
    got = {sa["spi"]: sa for sa in s.call("sa-get", dump=True)}
    tool = sas(s.c, 1)
    equal(sorted(got), sorted(tool), "SPIs")
    t = s.c.tunnels[0]
    one = s.call("sa-get", {"sa": {"dst": t.to_client.dst, "spi": t.to_client.spi, "proto": 50}})
    for sa in (got[t.to_client.spi], one):
        want = tool[t.to_client.spi]
        equal((sa["dst"], sa["dir"], sa["state"], str(sa["ceiling"]), sa["fingerprint"].replace(" ", "")),
              (want["dst"], want["dir"], want["state"], want["ceiling"], want["fingerprint"]), "an SA")


def it_asks_whether_a_node_is_ready(s):
    equal(s.call("ready", dump=True), [], "reasons")
    sa = s.c.tunnels[0].to_client
    sa.delete(s.c.gw2)
    got = until(lambda: s.call("ready", {"group": {"id": 0}}, dump=True), 15, "a reason")
    equal((got[0]["code"], got[0]["peer"], got[0]["count"]), ("sa-missing", 2, 1), "the reason")
    equal(s.call("ready", {"local": True}, dump=True), [], "reasons against being active")
    sa.add(s.c.gw2)
    ready(s.c, 1)


def refused(s, op, attrs, sentence):
    try:
        s.call(op, attrs)
    except s.lib.NlError as e:
        check(sentence in str(e), f"{op}: {e} says {sentence!r}")
        return
    raise AssertionError(f"{op} {attrs} is accepted")


def it_sets_and_is_refused(s):
    s.call("group-set", {"group": {"id": 3, "addrs": {"addr": ["198.51.100.3", "2001:db8::3"]},
                                   "remotes": {"prefix": [{"addr": "203.0.113.0", "len": 24}]}, "doubt": "hold"}})
    group = next(g for g in shown(s.c, "groups") if g["group"] == 3)
    equal((group["addrs"], group["remotes"], group["doubt"]), (["198.51.100.3", "2001:db8::3"], ["203.0.113.0/24"], "hold"), "the group")
    s.call("group-del", {"group": {"id": 3}})
    refused(s, "group-set", {"group": {"id": 3}}, "no such group")
    refused(s, "group-set", {"group": {"id": 65536}}, "out of range")
    refused(s, "peer-add", {"peer": {"node": 1, "addr": s.c.SYNC[2]}}, "own number")
    refused(s, "channel-set", {"channel": {"key": "00" * 31}}, "Numerical result out of range")
    equal([g["group"] for g in shown(s.c, "groups")], [0], "groups afterwards")


def it_hears_events(s):
    listener = s.client()
    s.c.gw1.call(listener.ntf_subscribe, "event")
    sa = s.c.tunnels[1].to_gw
    sa.delete(s.c.gw1)
    sa.add(s.c.gw1)
    told = []
    for m in listener.poll_ntf(10):
        told.append(m["msg"]["event"])
        if m["name"] == "event" and told[-1]["type"] == "sa" and "adopted" in told[-1]["text"]:
            break
    equal((told[-1]["type"], told[-1]["spi"], told[-1]["dst"]), ("sa", sa.spi, sa.dst), "the last event")
    ready(s.c, 1)
    listener.close()


def its_command_line(s):
    said = s.c.gw1.sh([sys.executable, s.cli, "--spec", SPEC, "--schema", s.schema, "--output-json", "--dump", "peer-get"])
    equal([p["peer"]["node"] for p in json.loads(said)], [2], "peers that cli.py prints")


main([the_schema, the_policies, it_shows_the_same, it_shows_sas, it_asks_whether_a_node_is_ready, it_sets_and_is_refused, it_hears_events,
      its_command_line], Second)
