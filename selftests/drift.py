#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: whatever two nodes' strongSwans have differently, and what cannot be carried, is a line of ready and of espsyncd -t, and goes when it is mended
# WHERE: uml-fast
# SETS: timeout=400 named
"""
drift - what `espsync ready` and `espsyncd -t` say of two configurations (README, "Nodes that are not alike").

Two gateways with stock charons, their helpers and the module. Node 2's files are changed and loaded, or its charon is started with them; both
nodes must say each difference with both values, in text and in JSON, and no other. That all is well in the end is the first case and the last.
"""
import json
import re
import signal

from esptest import *
from esptest_ike import IkeCluster, example, explained, replace, spi_example

WITHIN = 20     # seconds: charon is asked every 5 s, and a guest is slow
CONN, CHILD = "connection road-warrior", "connection road-warrior, child lan"

# Node 2's file, as it is changed; what is said of it, with node 1's value and node 2's.
ITEMS = [
    ("proposals = aes128-sha256-x25519", "proposals = aes256-sha256-x25519", CONN, "proposals", "aes128-sha256-x25519", "aes256-sha256-x25519"),
    ("rekey_time = 4h", "rekey_time = 2h", CONN, "rekey_time", "14400", "7200"),
    ("dpd_delay = 30s", "dpd_delay = 45s", CONN, "dpd_delay", "30", "45"),
    ("mobike = no", "mobike = yes", CONN, "mobike", "no", "yes"),
    ("pools = espsync", "pools = espsync, other", CONN, "pools", "espsync", "espsync, other"),
    ("local_ts = 10.1.0.0/24", "local_ts = 10.1.0.0/24, 10.3.0.0/24", CHILD, "local_ts", "10.1.0.0/24", "10.1.0.0/24, 10.3.0.0/24"),
    ("esp_proposals = aes128gcm16-x25519-esn", "esp_proposals = aes256gcm16-x25519-esn", CHILD, "esp_proposals", "aes128gcm16-x25519-esn",
     "aes256gcm16-x25519-esn"),
    ("rekey_time = 1h", "rekey_time = 30m", CHILD, "rekey_time", "3600", "1800"),
    ("replay_window = 1024\n", "\n", CHILD, "replay_window", "1024", "32"),
    ("start_action = none", "start_action = trap", CHILD, "start_action", "none", "trap"),
]

# Loaded by stock 5.9.8, and never to be carried: on both nodes the same.
ODD = """
connections {
    odd {
        local_addrs = %s
        ppk_id = somebody
        if_id_in = %%unique
        mobike = no
        pools = inner
        local {
            auth = psk
        }
        remote {
            auth = psk
        }
        children {
            net {
                local_ts = 10.4.0.0/24
                mark_out = %%unique
                updown = /bin/true
            }
        }
    }
}
pools {
    inner {
        addrs = 10.67.0.0/24
    }
}
"""
REFUSED = ["connection odd: IKEv1 is accepted, and is not carried", "connection odd: PPK (ppk_id) is not carried", "connection odd: if_id_in = %unique",
           "connection odd, child net: mark_out = %unique", "connection odd, child net: updown scripts", "pool inner: who has which"]


# -- asking ------------------------------------------------------------------

def drift(c, node):
    """The sentences of `ready`, which says the same in text and in JSON."""
    done = c.espsync(node, "-j ready", ok=(0, 1))
    reasons = json.loads(done)["reasons"]
    equal(done.status, 1 if reasons else 0, "exit status of ready")
    return [r["text"] for r in reasons if r["reason"] == "drift"]


def says(c, node, *sentences):
    """These and no others; each is what a sentence begins with. In the text of `ready`, too, and in espsyncd's log."""
    def now():
        said = drift(c, node)
        return len(said) == len(sentences) and all(any(s.startswith(w) for s in said) for w in sentences)
    try:
        until(now, WITHIN, "it")
    except AssertionError:
        raise AssertionError(f"node {node} says {drift(c, node)} and not {sentences}") from None
    text = c.espsync(node, "ready", ok=(1,) if sentences else (0, 1))
    for w in sentences:
        check(f"drift: {w}" in text, f"`ready` as text has {w!r}: {text}")
        check(w in c.ike[node].log(), f"espsyncd's log of node {node} has {w!r}")


def checks(c, node):
    """Lines of `espsyncd -t`, which is content with its own configuration."""
    gw = c.ike[node]
    return sorted(gw.run(f"espsyncd -t -c {gw.dir}/espsyncd.conf").splitlines())


def alike(c):
    for n in (1, 2):
        says(c, n)
        equal(checks(c, n), [], f"lines of -t on node {n}")
    c.wait_ready(1, WITHIN)


def load(c, node, text):
    c.ike[node].write("swanctl.conf", text)
    c.ike[node].load()


def swanctl(*pairs):
    return replace(example("swanctl/road-warrior.conf"), *((re.escape(a), b) for a, b in pairs))


# -- cases -------------------------------------------------------------------

def setup():
    module()
    c = IkeCluster(module=True)
    try:
        c.start_ike()
        alike(c)
    except Exception:
        c.explain()
        raise
    return c


@explained
def each_item_is_named_with_both_values(c):
    load(c, 2, swanctl(*((was, now) for was, now, *_ in ITEMS)))
    ours = [f"{where}: {key} is {one} here, {two} on node 2: " for _, _, where, key, one, two in ITEMS]
    theirs = [f"{where}: {key} is {two} here, {one} on node 1: " for _, _, where, key, one, two in ITEMS]
    says(c, 1, *ours)
    says(c, 2, *theirs, f"{CHILD}: start_action would make a standby initiate or trap")
    for n in (1, 2):
        equal(checks(c, n), sorted(drift(c, n)), f"lines of -t and of ready, node {n}")
    # Each helper tells all of it again to one that is new.
    c.ike[2].end("espsyncd", signal.SIGKILL)
    until(lambda: not drift(c, 1), WITHIN, "nobody knows what a helper that is gone would say")
    c.ike[2].start_helper()
    says(c, 1, *ours)
    load(c, 2, swanctl())
    alike(c)


@explained
def connections_and_children_that_one_node_lacks(c):
    more = swanctl((r"		children {", "		children {\n more {\n local_ts = 10.5.0.0/24\n }"))
    load(c, 2, more.replace("road-warrior {", "other {", 1) + example("swanctl/road-warrior.conf").replace("ike-road-warrior", "ike-two"))
    says(c, 1, "connection other is loaded on node 2 and not here: swanctl --load-all here")
    says(c, 2, "connection other is loaded here and not on node 1: swanctl --load-all there")
    load(c, 2, more)
    says(c, 1, "connection road-warrior, child more is loaded on node 2 and not here")
    says(c, 2, "connection road-warrior, child more is loaded here and not on node 1")
    # One of addresses that stay with the node is its own business.
    load(c, 2, swanctl() + ODD.replace("odd", "own") % c.SYNC[2])
    says(c, 1, "strongSwan: pool inner is not set here, 10.67.0.0, 254 addresses on node 2")
    load(c, 2, swanctl())
    c.ike[2].swanctl("--load-pools --file /dev/null", ok=None)
    alike(c)


@explained
def options_that_are_not_carried(c):
    for n in (1, 2):
        load(c, n, swanctl() + ODD % c.VIP)
    for n in (1, 2):
        says(c, n, *REFUSED)
        equal(checks(c, n), sorted(drift(c, n)), f"lines of -t and of ready, node {n}")
    # Without a charon and a helper -t looks at the files.
    for name in ("espsyncd", "charon"):
        c.ike[2].end(name, signal.SIGKILL)
    said = checks(c, 2)
    for w in REFUSED:
        check(any(line.startswith(w) for line in said), f"-t says {w!r}: {said}")
    c.ike[2].start_helper()
    c.ike[2].start_charon()
    load(c, 1, swanctl())
    alike(c)


@explained
def a_charon_that_starts_with_other_settings(c):
    """What it says of its connections is told before they are loaded, and when they are."""
    gw = c.ike[2]
    before = type(gw).strongswan_conf
    gw.strongswan_conf = lambda: replace(before(gw), (r"heartbeat_delay = 250", "heartbeat_delay = 500"), (r"install_routes = no", "replay_window = 64"))
    gw.end("charon", signal.SIGKILL)
    gw.start_charon(load=False)
    settings = ("charon.plugins.ha.heartbeat_delay is {} here, {} on node {}: ", "250", "500"), ("charon.install_routes is {} here, {} on node {}: ", "no", "not set")
    ours = ["strongSwan: " + s.format(one, two, 2) for s, one, two in settings]
    theirs = ["strongSwan: " + s.format(two, one, 1) for s, one, two in settings]
    says(c, 1, *ours, f"{CONN} is loaded here and not on node 2: swanctl --load-all there")
    says(c, 2, *theirs, f"{CONN} is loaded on node 1 and not here: swanctl --load-all here")
    gw.load()
    says(c, 1, *ours)
    # charon's own window is in force where a child has none.
    load(c, 2, swanctl(("replay_window = 1024\n", "\n")))
    says(c, 1, *ours, f"{CHILD}: replay_window is 1024 here, 64 on node 2: ")
    del gw.strongswan_conf
    gw.end("charon", signal.SIGKILL)
    gw.start_charon()
    alike(c)


@explained
def what_no_one_may_read_is_not_told(c):
    """Secrets, and what is each node's own: another one, and nothing is said."""
    gw = c.ike[2]
    before = gw.text("strongswan.conf")
    gw.write("strongswan.conf", replace(before, (r"spi_min = \S+", "spi_min = 0x02400000"), (r"monitor = yes", "monitor = yes\n secret = hush")))
    gw.write("swanctl.conf", swanctl(("replace this by a long random one", "hush")))
    load(c, 2, swanctl(("dpd_delay = 30s", "dpd_delay = 31s"), ("replace this by a long random one", "hush")))
    says(c, 1, f"{CONN}: dpd_delay is 30 here, 31 on node 2: ")
    check("hush" not in c.espsync(1, "-j ready", ok=(0, 1)) + c.ike[1].log() + gw.log(), "no secret is said")
    gw.write("strongswan.conf", before)
    load(c, 2, swanctl())
    alike(c)


@explained
def spis_that_two_nodes_choose_from_are_named(c):
    """Node 2 has node 1's file; then none. Each node's own is what espsyncd prints there, and the example is node 1's."""
    gw = c.ike[2]
    before = gw.text("strongswan.conf")
    for n in c.gw:
        own = c.ike[n].run(f"espsyncd -s -c {c.ike[n].dir}/espsyncd.conf")
        check(spi_example(n).endswith(own) and own in c.ike[n].text("strongswan.conf"), f"what node {n} prints: {own}")
    gw.write("strongswan.conf", before.replace("= 0x02", "= 0x01"))
    both = [("ESP SPIs 0x01000000 to 0x01ffffff (spi_min, spi_max)"), ("IKE SPIs like 0x0100000000000000 (spi_mask, spi_label)")]
    says(c, 1, *(f"strongSwan: {s} are node 2's too: put what `espsyncd -s` prints" for s in both))
    says(c, 2, *(f"strongSwan: {s} are node 1's too: put what `espsyncd -s` prints" for s in both))
    c.ike[1].end("espsyncd")        # what node 2 finds before it starts, too
    equal([x for x in checks(c, 2) if "too: " in x], [f"strongSwan: {s} are node 1's too: put what `espsyncd -s` prints into strongswan.d, restart strongSwan" for s in both],
          "lines of -t on node 2")
    c.ike[1].start_helper()
    gw.write("strongswan.conf", re.sub(r"spi_\w+ = \S+", "", before))
    not_set = [f"strongSwan: {a} are not set, and all nodes choose from the same {b} SPIs: " for a, b in (("spi_min and spi_max", "ESP"), ("spi_mask and spi_label", "IKE"))]
    says(c, 2, *not_set)
    gw.write("strongswan.conf", before)
    alike(c)


@explained
def a_file_that_cannot_be_read_is_named(c):
    gw = c.ike[2]
    before = gw.text("strongswan.conf")
    gw.write("strongswan.conf", before + "\ncharon {\n")
    gw.said("what strongSwan's files say cannot be compared: .*strongswan.conf:.*the text ends within section charon", WITHIN)
    says(c, 1, "strongSwan: node 2 cannot read its strongswan.conf")
    says(c, 2, "strongSwan: strongswan.conf cannot be read here")
    gw.write("strongswan.conf", before)
    alike(c)


main([each_item_is_named_with_both_values, connections_and_children_that_one_node_lacks, options_that_are_not_carried,
      a_charon_that_starts_with_other_settings, what_no_one_may_read_is_not_told, spis_that_two_nodes_choose_from_are_named, a_file_that_cannot_be_read_is_named], setup)
