#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: every command line's bad input is refused with a sentence and its exit code, and changes nothing
# WHERE: uml
# SETS: timeout=300
"""
usage - what the tool and the family refuse.

Job: for every command line, what may not be accepted: words, numbers, addresses, key files, JSON; the module absent; callers
without permission. Each refusal is judged by its exit code, by the form of its one sentence, and by what `espsync show` says
before and after. Nothing here needs a peer or a packet.
"""
import errno
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile

import genlwire
from esptest import defer, main, module, note, sh, until
from esptest.netlink import NESTED, attr, nest
from esptest.system import unload

NOBODY = 65534
GROUP_SET = 8
KEY = "5f" * 32


def tool(*args, user=None, stdin=None, wrap=()):
    """Run the tool; returns (exit code, stdout, stderr)."""
    who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    p = subprocess.run([*wrap, "espsync", *args], capture_output=True, text=True, timeout=30, check=False, **given, **who)
    return p.returncode, p.stdout, p.stderr


def state():
    """All that a refused command could have changed."""
    rc, out, err = tool("-j", "show")
    assert rc == 0, f"show: {rc} {err}"
    shown = json.loads(out)
    return {k: shown[k] for k in ("channel", "groups")}, [(p["node"], p["addr"], p["port"]) for p in shown["peers"]]


def refused(code, words, *args, **how):
    """The command exits so, with one sentence of the right form that holds these words, and prints nothing else."""
    rc, out, err = tool(*args, **how)
    line = " ".join(args)
    assert rc == code, f"{line}: exit {rc}, not {code}: {err}"
    assert out == "", f"{line}: printed {out!r}"
    assert re.fullmatch(r"espsync: [^:\n]+: [^\n]+\n", err), f"{line}: not one sentence: {err!r}"
    assert words in err, f"{line}: {words!r} is not in {err!r}"


# Command line, words of the sentence. All of these are wrong whatever the kernel thinks: exit 2.
BAD = [
    ("sho", "did you mean 'show'?"),
    ("frobnicate", "unknown word"),
    ("show peer", "did you mean 'peers'?"),
    ("show peers sas", "'sas' is too much"),
    ("channel", "set or del"),
    ("channel get", "unknown word 'get'"),
    ("channel set", "nothing to set"),
    ("channel set node", "'node' needs a value"),
    ("channel set node 1", "'local' is missing"),
    ("channel set local 10.0.0.1", "'node' is missing"),
    ("channel set node 0 local 10.0.0.1", "1 to 255"),
    ("channel set node 256 local 10.0.0.1", "1 to 255"),
    ("channel set node -1 local 10.0.0.1", "1 to 255"),
    ("channel set node 1x local 10.0.0.1", "1 to 255"),
    ("channel set node 0x1 local 10.0.0.1", "1 to 255"),
    ("channel set node 99999999999999999999 local 10.0.0.1", "1 to 255"),
    ("channel set node 1 node 2 local 10.0.0.1", "twice"),
    ("channel set node 1 local 10.0.0", "not an address"),
    ("channel set node 1 local 10.0.0.256", "not an address"),
    ("channel set node 1 local 10.0.0.1/24", "not an address"),
    ("channel set node 1 local gw1.example", "not an address"),
    ("channel set node 1 local 0.0.0.0", "cannot be the address"),
    ("channel set node 1 local 224.0.0.1", "cannot be the address"),
    ("channel set node 1 local ff02::1", "cannot be the address"),
    ("channel set node 1 local ::", "cannot be the address"),
    ("channel set node 1 local fe80::1%eth0", "not an address"),
    ("channel set node 1 local 10.0.0.1 10.0.1", "not an address"),
    ("channel set node 1 local 10.0.0.1 0.0.0.0", "cannot be the address"),
    ("channel set node 1 local 10.0.0.1 10.0.0.1", "'10.0.0.1' stands there twice"),
    ("channel set node 1 local 10.0.0.1 10.1.0.1 10.2.0.1", "'10.2.0.1' is too much"),
    ("channel set node 1 local 10.0.0.1 port 0", "1 to 65535"),
    ("channel set node 1 local 10.0.0.1 port 65536", "1 to 65535"),
    ("channel set node 1 local 10.0.0.1 prot 4520", "did you mean 'port'?"),
    ("channel set node 1 local 10.0.0.1 dev a/b", "name of a device"),
    ("channel set node 1 local 10.0.0.1 dev sixteen-letters-", "name of a device"),
    ("channel set node 1 local 10.0.0.1 tick_us 99", "100 to 10000"),
    ("channel set node 1 local 10.0.0.1 tick_us 10001", "100 to 10000"),
    ("channel set node 1 local 10.0.0.1 records_per_s 999", "1000 to 10000000"),
    ("channel set node 1 local 10.0.0.1 rate_kbit 10000001", "0 to 10000000"),
    ("channel set node 1 local 10.0.0.1 detect_ms 49", "50 to 60000"),
    ("channel set node 1 local 10.0.0.1 dead_ms 49", "50 to 60000"),
    ("channel set node 1 local 10.0.0.1 detect_ms 1000 evict_ms 2000", "not more than twice"),
    ("channel del --relase", "did you mean '--release'?"),
    ("channel del now", "unknown word 'now'"),
    ("key", "add, use or del"),
    ("key set 1", "unknown word 'set'"),
    ("key add", "ID is missing"),
    ("key add one psk-file F", "0 to 255"),
    ("key add 256 psk-file F", "0 to 255"),
    ("key add -1 psk-file F", "0 to 255"),
    ("key add 1", "'psk-file' is missing"),
    ("key add 1 psk-file", "'psk-file' needs a value"),
    ("key add 1 psk-fil F", "did you mean 'psk-file'?"),
    ("key add 1 psk-file /proc/self/nonexistent", "No such file"),
    ("key add 1 psk-file /proc/self/nonexistent use", "unknown word 'use'"),
    ("key use", "ID is missing"),
    ("key use x", "0 to 255"),
    ("key use 1 2", "too many"),
    ("key del", "ID is missing"),
    ("key del 999", "0 to 255"),
    ("key del 1 2", "too many"),
    ("peer", "add or del"),
    ("peer ad 2 10.0.0.2", "did you mean 'add'?"),
    ("peer add", "missing"),
    ("peer add 2", "missing"),
    ("peer add 2 10.0.0.2 10.0.0.2:4521", "stands there twice"),
    ("peer add 2 10.0.0.2 10.1.0.2 10.2.0.2", "'10.2.0.2' is too much"),
    ("peer add 2 10.0.0.2 10.1.0", "not an address"),
    ("peer add 2 10.0.0.2 10.1.0.2:0", "1 to 65535"),
    ("peer add 0 10.0.0.2", "1 to 255"),
    ("peer add 256 10.0.0.2", "1 to 255"),
    ("peer add two 10.0.0.2", "1 to 255"),
    ("peer add 2 10.0.0.2:", "1 to 65535"),
    ("peer add 2 10.0.0.2:0", "1 to 65535"),
    ("peer add 2 10.0.0.2:65536", "1 to 65535"),
    ("peer add 2 10.0.0.2:http", "1 to 65535"),
    ("peer add 2 [fd00::2", "ADDR:PORT"),
    ("peer add 2 [fd00::2]4520", "ADDR:PORT"),
    ("peer add 2 [fd00::2]:", "1 to 65535"),
    ("peer add 2 []:4520", "not an address"),
    ("peer add 2 " + "1" * 300, "ADDR:PORT"),
    ("peer del", "missing"),
    ("peer del 0", "1 to 255"),
    ("peer del 2 3", "too many"),
    ("group", "set or del"),
    ("group set", "number is missing"),
    ("group set 0", "nothing to set"),
    ("group set one addr 192.0.2.1", "group 'one'"),
    ("group set -1 addr 192.0.2.1", "group '-1'"),
    ("group set 4294967296 addr 192.0.2.1", "group '4294967296'"),
    ("group set 0 addr", "'addr' needs a value"),
    ("group set 0 addr 192.0.2", "not an address"),
    ("group set 0 addr 192.0.2.1 192.0.2.1", "twice"),
    ("group set 0 addr none 192.0.2.1", "not an address"),
    ("group set 0 addr " + " ".join(f"192.0.2.{i}" for i in range(1, 66)), "at most 64"),
    ("group set 65536 addr 192.0.2.1", "0 to 65535"),
    ("group set 1 addr 192.0.2.1 remote", "'remote' needs a value"),
    ("group set 1 remote 203.0.113.0/24", "none is given"),
    ("group set 1 addr none remote 203.0.113.0/24", "none is given"),
    ("group set 1 addr 192.0.2.1 remote 203.0.113/24", "not a prefix"),
    ("group set 1 addr 192.0.2.1 remote 203.0.113.0/33", "0 to 32 bits"),
    ("group set 1 addr 192.0.2.1 remote 203.0.113.0/", "0 to 32 bits"),
    ("group set 1 addr 192.0.2.1 remote 203.0.113.7/24", "an address in a prefix"),
    ("group set 1 addr 2001:db8::1 remote 2001:db8:1::/129", "IPv6 0 to 128"),
    ("group set 1 addr 2001:db8::1 remote 2001:db8:1::1/64", "an address in a prefix"),
    ("group set 1 addr 192.0.2.1 remote /24", "not a prefix"),
    ("group set 1 addr 192.0.2.1 remote 203.0.113.0/24 203.0.113.0/24", "twice"),
    ("group set 1 addr 192.0.2.1 remote " + " ".join(f"203.0.113.{i}" for i in range(1, 66)), "at most 64"),
    ("group set 1 mark 5", "none is given"),
    ("group set 1 addr none reqid 5", "none is given"),
    ("group set 1 if_id 5", "none is given"),
    ("group set 1 addr 192.0.2.1 mark", "'mark' needs a value"),
    ("group set 1 addr 192.0.2.1 mark x", "mark 'x'"),
    ("group set 1 addr 192.0.2.1 mark 5/", "mark '5/'"),
    ("group set 1 addr 192.0.2.1 mark /5", "mark '/5'"),
    ("group set 1 addr 192.0.2.1 mark 5/0", "has no bits"),
    ("group set 1 addr 192.0.2.1 mark 0x15/0xf", "bits that its mask has not"),
    ("group set 1 addr 192.0.2.1 mark 4294967296", "0 to 0xffffffff"),
    ("group set 1 addr 192.0.2.1 mark 5 mark 6", "twice"),
    ("group set 1 addr 192.0.2.1 if_id 0x100000000", "0 to 0xffffffff"),
    ("group set 1 addr 192.0.2.1 if_id 1-2", "if_id '1-2'"),
    ("group set 1 addr 192.0.2.1 reqid 7-", "reqid '7-'"),
    ("group set 1 addr 192.0.2.1 reqid -7", "reqid '-7'"),
    ("group set 1 addr 192.0.2.1 reqid 7-6", "no range"),
    ("group set 1 addr 192.0.2.1 reqid 7-8-9", "reqid '7-8-9'"),
    ("group set 1 addr 192.0.2.1 reqid " + "1" * 300, "0 to 0xffffffff"),
    ("group set 1 reqd 7 addr 192.0.2.1", "did you mean 'reqid'?"),
    ("group set 0 doubt maybe", "words here: jump hold"),
    ("group set 0 overrun goon", "did you mean 'go-on'?"),
    ("group set 0 evict always", "words here: default never"),
    ("group set 0 role active", "words here: any store"),
    ("group set 0 inbound hard", "words here: lenient strict"),
    ("group set 0 doubt", "'doubt' needs a value"),
    ("group del", "number is missing"),
    ("group del 0 1", "too many"),
    ("promote group", "'group' needs a value"),
    ("promote 0", "unknown word '0'"),
    ("promote group x", "group 'x'"),
    ("demote group x", "group 'x'"),
    ("demote timeout", "'timeout' needs a value"),
    ("demote timeout 60001", "0 to 60000"),
    ("demote timeout -5", "0 to 60000"),
    ("demote now", "unknown word 'now'"),
    ("ready --locl", "did you mean '--local'?"),
    ("ready group", "'group' needs a value"),
    ("ready 0", "unknown word '0'"),
    ("sa", "get or put"),
    ("sa set", "unknown word 'set'"),
    ("sa get", "'dst' is missing"),
    ("sa get dst 192.0.2.1", "'spi' is missing"),
    ("sa get spi 0x1234", "'dst' is missing"),
    ("sa get dst 192.0.2.1 spi 0", "1 to 0xffffffff"),
    ("sa get dst 192.0.2.1 spi 4294967296", "1 to 0xffffffff"),
    ("sa get dst 192.0.2.1 spi 0x100000000", "1 to 0xffffffff"),
    ("sa get dst 192.0.2.1 spi 0x", "1 to 0xffffffff"),
    ("sa get dst 192.0.2.1 spi 12ab", "1 to 0xffffffff"),
    ("sa get dst 192.0.2.1 spi 1 proto comp", "words here: esp ah"),
    ("sa put file", "too much"),
    ("resync 0", "1 to 255"),
    ("resync 256", "1 to 255"),
    ("resync 1 2", "too many"),
    ("monitor event", "did you mean 'events'?"),
    ("monitor events counters", "too much"),
    ("steer", "'from' is missing"),
    ("steer from eth0", "'over' is missing"),
    ("steer from eth0 over eth1", "'to' is missing"),
    ("steer from over eth1", "'from' needs a value"),
    ("steer form eth0", "did you mean 'from'?"),
    ("steer from eth0 eth1 over eth1 to 2@10.0.0.2", "go round in circles"),
    ("steer from eth0 eth0 over eth1 to 2@10.0.0.2", "twice"),
    ("steer from eth0 over et/h1 to 2@10.0.0.2", "name of a device"),
    ('steer from eth"0 over eth1 to 2@10.0.0.2', "name of a device"),
    ("steer from " + " ".join(f"eth{i}" for i in range(17)) + " over sync to 2@10.0.0.2", "more than 16"),
    ("steer from eth0 over eth1 to 10.0.0.2", "not NODE@ADDR"),
    ("steer from eth0 over eth1 to 0@10.0.0.2", "1 to 255"),
    ("steer from eth0 over eth1 to 2@10.0.0", "not an address"),
    ("steer from eth0 over eth1 to 2@224.0.0.1", "cannot be the address"),
    ("steer from eth0 over eth1 to 2@10.0.0.2 2@fd00::2 2@10.0.0.3", "node 2 stands there twice"),
    ("-n no-such-namespace show", "No such file"),
    ("-n ../net show", "not the name of a namespace"),
]

SA = {"dst": "192.0.2.1", "spi": "0x00001234"}

# What `sa put` reads, words of the sentence: exit 2.
BAD_JSON = [
    ("", "no SA"),
    ("{", "not JSON"),
    ("7", "not JSON"),
    ("{'dst': 1}", "not JSON"),
    ("[[]]", "an object"),
    (json.dumps({**SA, "osq": "1"}), "unknown key 'osq'"),
    (json.dumps({"dst": "192.0.2.1"}), "'spi' is missing"),
    (json.dumps({**SA, "spi": 0}), "'spi'"),
    (json.dumps({**SA, "dst": "here"}), "'dst'"),
    (json.dumps({**SA, "oseq": -1}), "'oseq'"),
    (json.dumps({**SA, "oseq": 1.5}), "'oseq'"),
    (json.dumps({**SA, "oseq": str(2**64)}), "'oseq'"),
    (json.dumps({**SA, "seq": "1", "bitmap": "0g"}), "'bitmap'"),
    (json.dumps({**SA, "seq": "1", "bitmap": "00" * 513}), "'bitmap'"),
    (json.dumps({**SA, "window": 4097}), "'window'"),
    (json.dumps({**SA, "fingerprint": "00"}), "'fingerprint'"),
    ('{"dst": "192.0.2.1", "dst": "192.0.2.2", "spi": 1}', "duplicate"),
    ('{"dst": "' + "1" * 20000, "longer than"),
    ("[" * 100000, "not JSON"),
]

# Every command that asks the kernel for something, well formed.
GOOD = ["show", "show channel", "show groups", "show peers", "show sas", "show stats", "channel set node 9 local 10.0.0.9",
        "channel set port 4521", "channel del", "key use 0", "key del 1", "peer add 3 10.0.0.3", "peer del 2", "group set 0 addr 192.0.2.9",
        "group set 0 role any", "group del 0", "group set 1 addr 192.0.2.1 remote 203.0.113.0/24",
        "group set 1 addr 192.0.2.1 mark 0x5/0xff if_id 0 reqid 1-0xffffffff", "group del 1", "promote",
        "demote", "promote group 0", "ready", "ready --local", "sa get dst 192.0.2.1 spi 1", "resync", "monitor events", "monitor counters",
        "steer from eth0 over eth1 to 2@10.0.0.2"]


def channel():
    """What the remaining cases may not change: node 1 with peer 2 and one address."""
    sh("ip addr add 10.0.0.1/32 dev lo")
    defer(sh, "ip addr del 10.0.0.1/32 dev lo")
    for line in ("channel set node 1 local 10.0.0.1", "peer add 2 10.0.0.2", "group set 0 addr 192.0.2.1"):
        rc, _, err = tool(*line.split())
        assert rc == 0, err


def words_and_numbers():
    channel()
    before = state()
    for line, words in BAD:
        refused(2, words, *line.split())
    assert state() == before, "a refused command changed something"


def hostile_json():
    before = tool("-j", "show", "sas")
    for text, words in BAD_JSON:
        refused(2, words, "sa", "put", stdin=text)
    assert tool("-j", "show", "sas") == before


def key_files():
    """Missing, malformed, a directory, a fifo, readable or writable by others; what is in them is not quoted."""
    before = state()
    with tempfile.TemporaryDirectory() as d:
        rows = [("short", KEY[:-1], 0o600, "64 hex digits"), ("long", KEY + "0", 0o600, "64 hex digits"),
                ("lines", KEY + "\n\n", 0o600, "64 hex digits"), ("letters", "zz" * 32, 0o600, "64 hex digits"),
                ("empty", "", 0o600, "64 hex digits"), ("world", KEY, 0o604, "chmod 600"), ("group", KEY, 0o640, "chmod 600"),
                ("written", KEY, 0o602, "chmod 600")]
        for name, text, mode, words in rows:
            path = os.path.join(d, name)
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
            os.chmod(path, mode)
            for command in (("channel", "set"), ("key", "add", "1")):
                refused(2, words, *command, "psk-file", path)
                assert not text or text not in tool(*command, "psk-file", path)[2], "the key was quoted"
        os.mkfifo(os.path.join(d, "fifo"), 0o600)
        for path, words in ((os.path.join(d, "none"), "No such file"), (d, "not a regular file"),
                            (os.path.join(d, "fifo"), "not a regular file")):
            refused(2, words, "channel", "set", "psk-file", path)
    assert state() == before, "a refused key changed something"


def the_key_is_taken_and_not_shown():
    """A good key is taken, changes the key id, and stands nowhere afterwards."""
    with tempfile.NamedTemporaryFile("w") as f:
        for text in (KEY, KEY.upper() + "\n"):
            f.seek(0)
            f.truncate()
            f.write(text)
            f.flush()
            rc, _, err = tool("channel", "set", "psk-file", f.name)
            assert rc == 0, err
    shown = tool("-j", "show")[1] + tool("show")[1] + subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout
    assert KEY not in shown.lower(), "the key is shown"
    assert re.fullmatch("[0-9a-f]{16}", json.loads(tool("-j", "show", "channel")[1])["key_id"]), "no key id is shown"


def keys_that_do_not_fit():
    """A number or a key that is there already, more keys than fit, the one that is used: refused, and what is loaded stays."""
    def loaded():
        channel = json.loads(tool("-j", "show", "channel")[1])
        return channel["key_id"], [(k["id"], k["key_id"], k["used"]) for k in channel["keys"]]

    with tempfile.TemporaryDirectory() as d:
        paths = [os.path.join(d, str(i)) for i in range(5)]
        for i, path in enumerate(paths):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
                f.write(f"{i + 1:064x}")
        for number, path in ((3, paths[0]), (255, paths[1]), (2, paths[2]), (3, paths[0])):
            rc, _, err = tool("key", "add", str(number), "psk-file", path)
            assert rc == 0, err
        before = loaded()
        assert [k[0] for k in before[1]] == [0, 3, 255, 2] and [k[2] for k in before[1]] == [True, False, False, False], before
        refused(3, "another key", "key", "add", "3", "psk-file", paths[3])
        refused(3, "another number", "key", "add", "4", "psk-file", paths[0])
        refused(3, "4 keys are loaded", "key", "add", "4", "psk-file", paths[3])
        refused(1, "no such key", "key", "use", "7")
        refused(1, "no such key", "key", "del", "7")
        refused(3, "in use", "key", "del", "0")
        assert loaded() == before, "a refused command changed a key"
        for line in ("key use 3", "key use 3", "key del 0", "key del 255", "key del 2"):
            rc, _, err = tool(*line.split())
            assert rc == 0, err
        refused(3, "in use", "key", "del", "3")
        assert loaded() == (before[1][1][1], [(3, before[1][1][1], True)]), loaded()
        rc, _, err = tool("channel", "set", "psk-file", paths[4])
        assert rc == 0 and [(k[0], k[2]) for k in loaded()[1]] == [(0, True)], (err, loaded())


def not_found():
    """Exit 1, and nothing changes."""
    before = state()
    refused(1, "peer 9", "peer", "del", "9")
    refused(1, "SA 0x00001234", "sa", "get", "dst", "192.0.2.1", "spi", "0x1234")
    refused(1, "SA 0x00001234", "sa", "put", stdin=json.dumps({**SA, "oseq": "7"}))
    refused(1, "peer 9", "resync", "9")
    for line in ("group set 7 doubt hold", "group del 7", "promote group 7", "demote group 7"):
        refused(1, "group 7", *line.split())
    assert state() == before


def kernel_refuses():
    """What only the kernel can know: exit 3 with its own words."""
    before = state()
    for line, words in (("channel set node 2 local 10.0.0.1", ""), ("peer add 1 10.0.0.3", ""), ("peer add 3 fd00::3", ""),
                        ("channel set node 1 local 10.0.0.1 dev no-such-dev", ""),
                        ("channel set node 1 local 10.0.0.1 10.0.0.77", "not one of this machine's"),
                        ("peer add 2 10.0.0.2 10.1.0.2", "a second address and this node has none")):
        refused(3, words, *line.split())
    assert state() == before, "what the kernel refused changed something"


def good_words():
    """The same table's other side: words in any order, every form of an address. So that refusing everything would not pass."""
    for line in ("group set 0 overrun go-on addr 192.0.2.1 2001:db8::1 evict never doubt hold inbound strict", "peer add 2 10.0.0.2:4521",
                 "channel set psk-file /proc/self/nonexistent"):
        rc, _, err = tool(*line.split())
        assert rc == (2 if "nonexistent" in line else 0), err
    group = json.loads(tool("-j", "show", "groups")[1])[0]
    assert (group["overrun"], group["evict"], group["doubt"], group["inbound"]) == ("go-on", "never", "hold", "strict"), group
    assert set(group["addrs"]) == {"192.0.2.1", "2001:db8::1"}, group
    assert json.loads(tool("-j", "show", "peers")[1])[0]["port"] == 4521
    for line in ("group set 0 overrun stop evict default doubt jump inbound lenient addr 192.0.2.1", "peer add 2 10.0.0.2:4520"):
        rc, _, err = tool(*line.split())
        assert rc == 0, err


def narrowed(**attrs):
    """A GROUP_SET of group 1 with these attributes beside an address, or without one (addr=False), as the tool would never send it: (errno, sentence)."""
    number = genlwire.Header().number
    addrs = [(number("GROUP_ADDRS") | NESTED, attr(1, socket.inet_aton("192.0.2.7")))] if attrs.pop("addr", True) else []
    body = nest(number("GROUP"), (number("GROUP_ID"), struct.pack("=I", 1)), *addrs,
                *((number(f"GROUP_{k.upper()}"), struct.pack("=I", v)) for k, v in attrs.items()))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, genlwire.NETLINK_GENERIC) as sock:
        genl = genlwire.Genl(sock)
        answer = genl.ask(genlwire.message(genl.family, GROUP_SET, body))
    return answer.error, answer.errors[-1][1] or ""


def selections_that_fit_nothing():
    """What the kernel itself refuses, whoever asks."""
    before = state()
    for attrs, words in ((dict(mark_mask=5), "together with a mark"), (dict(mark=5, mark_mask=0), "no SA is as this mark says"), (dict(mark=16, mark_mask=15), "no SA is as this mark says"),
                         (dict(reqid_max=5), "together with the lowest"), (dict(reqid_min=6, reqid_max=5), "the lowest comes first"),
                         (dict(mark=5, addr=False), "given together with them"), (dict(if_id=5, addr=False), "given together with them"),
                         (dict(reqid_min=5, addr=False), "given together with them")):
        error, why = narrowed(**attrs)
        assert error == errno.EINVAL and words in why, f"{attrs}: {error} {why!r}"
    assert state() == before, "a selection that was refused changed something"
    for attrs in (dict(mark=0xffffffff), dict(mark=0, mark_mask=1), dict(if_id=0), dict(reqid_min=0xffffffff), dict(reqid_min=0, reqid_max=0xffffffff)):
        error, why = narrowed(**attrs)
        assert not error, f"{attrs}: {error} {why!r}"
    rc, _, err = tool("group", "del", "1")
    assert rc == 0, err


def set_loader(path):
    with open("/proc/sys/kernel/modprobe", "w", encoding="ascii") as f:
        f.write(path + "\n")


def the_module_is_not_loaded():
    """Asking for the family would load it: while this runs nothing may load a module."""
    with open("/proc/sys/kernel/modprobe", encoding="ascii") as f:
        loader = f.read().strip()
    set_loader("/bin/false")
    try:
        without_module()
    finally:
        set_loader(loader)


def without_module():
    for line in GOOD:
        refused(3, "module is not loaded (modprobe espsync)", *line.split())
    refused(3, "module is not loaded", "sa", "put", stdin=json.dumps({**SA, "oseq": "7"}))
    for line, words in BAD[:20]:
        refused(2, words, *line.split())
    for text, words in BAD_JSON[:8]:
        refused(2, words, "sa", "put", stdin=text)


def no_channel():
    module()
    for line in ("show channel", "show stats", "channel del"):
        refused(1, "no channel", *line.split())
    for line in ("peer add 2 10.0.0.2", "promote", "demote", "ready", "resync", "sa get dst 192.0.2.1 spi 1", "key use 0", "key del 0"):
        refused(3, "no channel", *line.split())
    refused(2, "no channel yet", "channel", "set", "port", "4521")
    rc, out, err = tool("show")
    assert rc == 0 and out.startswith("no channel | "), (rc, out, err)


def no_permission():
    before = state()
    for line in GOOD:
        refused(3, "root", *line.split(), user=NOBODY)
    refused(3, "root", "sa", "put", user=NOBODY, stdin=json.dumps({**SA, "oseq": "7"}))
    assert state() == before, "somebody without permission changed something"


def root_of_another_user_namespace():
    """Root of a user namespace of one's own, but in the network namespace outside."""
    before = state()
    wrap = ("unshare", "-Ur")
    if subprocess.run([*wrap, "true"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False).returncode:
        note("this kernel makes no user namespaces for an unprivileged user, so there is no such root")
        return
    for line in GOOD:
        refused(3, "root", *line.split(), user=NOBODY, wrap=wrap)
    assert state() == before, "the root of a user namespace changed something"


def family():
    """(id, {multicast group: id}) by the controller's answer, which anybody may ask for; no library between."""
    attrs = struct.pack("=HH", 4 + len("espsync") + 1, 2) + b"espsync\0"
    body = struct.pack("=BBH", 3, 1, 0) + attrs  # CTRL_CMD_GETFAMILY
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    s.send(struct.pack("=IHHII", 16 + len(body), 16, 1, 1, 0) + body)
    reply = s.recv(65536)
    s.close()

    def parse(data):
        out = []
        while len(data) >= 4:
            length, kind = struct.unpack("=HH", data[:4])
            out.append((kind & 0x3fff, data[4:length]))
            data = data[(length + 3) & ~3:]
        return out

    top = dict(parse(reply[20:]))
    groups = {}
    for _, group in parse(top[7]):  # CTRL_ATTR_MCAST_GROUPS
        g = dict(parse(group))
        groups[g[1].rstrip(b"\0").decode()] = struct.unpack("=I", g[2])[0]
    return struct.unpack("=H", top[1])[0], groups


def subscribe(group, fd):
    """In the child: 0 if the kernel lets us in, else the errno, by both ways that there are; told through fd."""
    found = []
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    try:
        s.setsockopt(270, 1, group)  # SOL_NETLINK, NETLINK_ADD_MEMBERSHIP
        found.append(0)
    except OSError as e:
        found.append(e.errno)
    if group <= 32:
        t = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        try:
            t.bind((0, 1 << (group - 1)))
            found.append(0)
        except OSError as e:
            found.append(e.errno)
    os.write(fd, json.dumps(found).encode())


def subscribe_as(user, group):
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        subscribe(group, w)
        os._exit(0)
    os.close(w)
    os.waitpid(pid, 0)
    with os.fdopen(r) as f:
        return json.loads(f.read())


def multicast_groups():
    """Both groups, by raw sockets: whoever is not admin is refused, root is not."""
    _, groups = family()
    assert set(groups) == {"event", "counter"}, groups
    for name, number in groups.items():
        assert subscribe_as(0, number)[0] == 0, f"root is refused {name}"
        found = subscribe_as(NOBODY, number)
        assert set(found) <= {errno.EPERM, errno.EACCES}, f"an unprivileged subscriber to {name} got {found}"


AS_NOBODY = """
import json, socket, sys
host, port = sys.argv[1], int(sys.argv[2])
def tried(act):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        act(s)
        return 0
    except OSError as e:
        return e.errno
def bind(s, *options, at=host):
    for o in options:
        s.setsockopt(socket.SOL_SOCKET, o, 1)
    s.bind((at, port))
def write(s, to):
    s.connect((to, port))
    s.send(b"nobody")
    s.settimeout(0.2)
    s.recv(1)  # the refusal comes as an error of the socket
print(json.dumps({
    "bind": tried(bind),
    "bind, address and port reused": tried(lambda s: bind(s, socket.SO_REUSEADDR, socket.SO_REUSEPORT)),
    "bind to all addresses": tried(lambda s: bind(s, socket.SO_REUSEADDR, socket.SO_REUSEPORT, at="0.0.0.0")),
    "write to the helper": tried(lambda s: write(s, host)),
    "write to charon": tried(lambda s: write(s, "127.0.0.1"))}))
"""


def read(path):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", path), encoding="ascii") as f:
        return f.read()


def the_ha_plugins_port():
    """What the socket unit holds and its rules close: nobody but root sits there, and nobody but root is heard there."""
    host, port = re.search(r"^ListenDatagram=([0-9.]+):(\d+)$", read("systemd/espsyncd.socket"), re.M).groups()
    helper, charon = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    helper.bind((host, int(port)))
    charon.bind(("127.0.0.1", int(port)))
    sh(["nft", "-f", "-"], stdin=read("systemd/espsyncd.nft"))
    defer(sh, "nft delete table inet espsyncd")
    p = subprocess.run([sys.executable, "-c", AS_NOBODY, host, port], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
                       text=True, timeout=30, check=True)
    for what, got in json.loads(p.stdout).items():
        if what.startswith("bind"):
            assert got == errno.EADDRINUSE, f"{what}: {errno.errorcode.get(got, got)}"
        else:
            assert got in (errno.EPERM, errno.EACCES, errno.EHOSTUNREACH), f"{what}: {errno.errorcode.get(got, got)}"
    # Root's datagram is the first that arrives, so none was before it.
    for to, sock, sender in ((host, helper, charon), ("127.0.0.1", charon, helper)):
        sender.sendto(b"root", (to, int(port)))
        sock.settimeout(5)
        heard = sock.recv(100)
        assert heard == b"root", f"{to} heard {heard}"
    helper.close()
    charon.close()


def output_that_is_lost():
    """What could not be printed is not exit 0."""
    with open("/dev/full", "w", encoding="ascii") as full:
        p = subprocess.run(["espsync", "show"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert p.returncode == 3 and p.stderr.startswith("espsync: output: "), (p.returncode, p.stderr)


def the_module_goes():
    """Whoever listens is told, instead of waiting for ever."""
    with subprocess.Popen(["espsync", "monitor"], stderr=subprocess.PIPE, text=True) as p:
        try:
            # Subscribed is when the kernel counts a socket of the process in a group.
            until(lambda: any(int(f[2]) & 0x3fffff == p.pid and int(f[3], 16) for f in netlink_sockets()), 10, "the monitor has subscribed")
            unload()
            err = p.communicate(timeout=10)[1]
        finally:
            p.kill()
    assert (p.returncode, err) == (3, "espsync: monitor: the module was unloaded (modprobe espsync)\n"), (p.returncode, err)


def netlink_sockets():
    with open("/proc/net/netlink", encoding="ascii") as f:
        return [line.split() for line in f][1:]


main([the_module_is_not_loaded, no_channel, words_and_numbers, hostile_json, key_files, the_key_is_taken_and_not_shown, keys_that_do_not_fit, not_found,
      kernel_refuses, selections_that_fit_nothing, good_words, no_permission, root_of_another_user_namespace, multicast_groups, the_ha_plugins_port,
      output_that_is_lost, the_module_goes])
