#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: a bad module parameter refuses the load with a sentence in the log; good ones make the channel; xfrm_user may be missing
# WHERE: uml qemu
# SETS: timeout=240
"""
module-params - modprobe espsync node= local= peers= vip= ...

Job: what stands in parameters concerns the initial namespace. A load that is refused names the value and leaves nothing: no module, no
socket, no thread, xfrm's defaults as they were. A load that is not makes exactly the channel that was asked for. xfrm_user is a module
on most distributions and is not loaded before the first `ip xfrm`: loading must neither hang nor fail for that.
"""
import contextlib
import json
import os
import socket

from esptest import *
from esptest.system import unload

GOOD = {"node": "1", "local": "10.99.0.1", "peers": "2@10.99.0.2", "vip": "192.0.2.1"}
MANY = ",".join(f"{n}@10.99.0.{n}" for n in range(2, 18))

# what is changed in GOOD (None: left out), and what of the sentence must be there
BAD = [
    ({"node": None}, "node= (1-255) and local= are needed"),
    ({"node": "0"}, "node= (1-255)"),
    ({"node": "256"}, "node= (1-255)"),
    ({"node": "one"}, "`one' invalid for parameter `node'"),
    ({"local": None}, "local= are needed"),
    ({"local": ""}, 'local=: ""'),
    ({"local": "10.99.0"}, 'local=: "10.99.0"'),
    ({"local": "10.99.0.1:4520"}, 'local=: "10.99.0.1:4520"'),
    ({"local": "0.0.0.0"}, 'local=: "0.0.0.0"'),
    ({"local": "10.99.0.77"}, "10.99.0.77"),
    ({"peers": "10.99.0.2"}, 'peers=: "10.99.0.2" is not NODE@ADDR'),
    ({"peers": "0@10.99.0.2"}, 'peers=: "0" is not NODE@ADDR'),
    ({"peers": "2@"}, "is not NODE@ADDR"),
    ({"peers": "2@10.99.0.2:0"}, "is not NODE@ADDR"),
    ({"peers": "2@[fd99::2"}, "is not NODE@ADDR"),
    ({"peers": "2@fd99::2"}, "of the family of local="),
    ({"peers": "2@10.99.0.2,"}, "is not NODE@ADDR"),
    ({"peers": "1@10.99.0.2"}, "peers=: node 1 is named twice, or is this node"),
    ({"peers": "2@10.99.0.2,2@10.99.0.3"}, "peers=: node 2 is named twice"),
    ({"peers": MANY}, "at most 16"),
    ({"local": "10.99.0.1;"}, 'local=: "10.99.0.1;"'),
    ({"local": "10.99.0.1;10.98.0"}, 'local=: "10.99.0.1;10.98.0" is not'),
    ({"local": "10.99.0.1;10.98.0.1;10.97.0.1"}, "nor two such as ADDR;ADDR2"),
    ({"local": "10.99.0.1;10.99.0.1"}, "the second local address is the first one"),
    ({"local": "10.99.0.1;10.98.0.77"}, "10.98.0.77"),
    ({"peers": "2@10.99.0.2;10.98.0.2"}, "node 2: the peer has a second address and this node has none"),
    ({"local": "10.99.0.1;fd99::1", "peers": "2@10.99.0.2;10.98.0.2"}, "second address has not the family"),
    ({"local": "10.99.0.1;fd99::1", "peers": "2@fd99::2;10.99.0.2"}, "of the family of local="),
    ({"local": "10.99.0.1;10.98.0.1", "peers": "2@10.99.0.2;10.99.0.2"}, "the peer's second address is its first one"),
    ({"local": "10.99.0.1;10.98.0.1", "peers": "2@10.99.0.2;10.98.0.2;10.97.0.2"}, "NODE@ADDR;ADDR2"),
    ({"local": "10.99.0.1;10.98.0.1", "peers": "2@10.99.0.2;"}, "NODE@ADDR;ADDR2"),
    ({"local": "10.99.0.1;10.98.0.1", "peers": "2@10.99.0.2;10.98.0.2:0"}, "NODE@ADDR;ADDR2"),
    ({"vip": "192.0.2.1/24"}, 'vip=: "192.0.2.1/24"'),
    ({"vip": "192.0.2.1,nonsense"}, 'vip=: "nonsense"'),
    ({"vip": ",".join(f"192.0.2.{n}" for n in range(1, 66))}, 'vip=: "192.0.2.65"'),
    ({"port": "0"}, "port= is 1 to 65535"),
    ({"port": "65536"}, "port= is 1 to 65535"),
    ({"tick_us": "0"}, "tick"),
    ({"tick_us": "10001"}, "tick"),
    ({"records_per_s": "999"}, "records_per_s must be"),
    ({"records_per_s": "10000001"}, "records_per_s must be"),
    ({"rate_kbit": "63"}, "rate_kbit must be"),
    ({"rate_kbit": "10000001"}, "rate_kbit must be"),
    ({"dead_ms": "0"}, "dead"),
    ({"detect_ms": "0"}, "detect"),
    ({"detect_ms": "49"}, "detect"),
    ({"evict_ms": "2000", "detect_ms": "1000"}, "evict"),
    ({"evict_ms": "600001"}, "evict"),
    ({"evict_ms": "4294967296"}, "invalid for parameter `evict_ms'"),
]


def words(change):
    return [f"{k}={v}" for k, v in {**GOOD, **change}.items() if v is not None]


def load(change, timeout=30):
    """(the command, what the kernel said meanwhile)"""
    if os.path.exists("/sys/module/espsync"):
        unload()    # of a case that failed
    with open("/dev/kmsg", "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as log:
        os.lseek(log.fileno(), 0, os.SEEK_END)
        done = sh(["modprobe", "espsync", *words(change)], ok=None, timeout=timeout)
        said = []
        while record := log.read(8192):
            said.append(record.decode(errors="replace").partition(";")[2].split("\n")[0])
    return done, [line for line in said if "espsync" in line]


def nothing_left(why):
    """No trace of the module but the log."""
    check(not os.path.exists("/sys/module/espsync"), f"{why}: no module")
    equal((sysctl("xfrm_aevent_rseqth"), sysctl("xfrm_aevent_etime")), (2, 10), f"{why}: xfrm's defaults")
    with open("/proc/net/udp") as f:
        check(":11A8 " not in f.read(), f"{why}: no socket at port 4520")
    equal([c for c in map(comm, filter(str.isdigit, os.listdir("/proc"))) if c.startswith("espsync/")], [], f"{why}: threads")


def sysctl(name):
    with open(f"/proc/sys/net/core/{name}") as f:
        return int(f.read())


def comm(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as f:
        return f.read().strip()
    return ""


def show(what=""):
    return json.loads(sh(f"espsync -j show {what}"))


def setup():
    if os.path.exists("/sys/module/espsync"):
        unload()
    sh("ip link add sync type dummy && ip link set sync up && ip addr add 10.99.0.1/24 dev sync && "
       "ip addr add 10.98.0.1/24 dev sync && ip addr add fd99::1/64 dev sync nodad")
    defer(lambda: sh("ip link del sync"))
    defer(lambda: os.path.exists("/sys/module/espsync") and unload())


def bad_ones_refuse_the_load():
    for change, sentence in BAD:
        done, log = load(change)
        what = " ".join(words(change))[:100]
        check(done.status, f"{what}: the load is refused")
        check(any(sentence in line for line in log), f"{what}: the log says {sentence!r}, not {log}")
        nothing_left(what)


def a_port_in_use_refuses_the_load():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("10.99.0.1", 4520))
        done, log = load({})
        check(done.status, "the load is refused")
        check(any("10.99.0.1" in line and "port" in line for line in log), f"the log names address and port, not {log}")
    nothing_left("port in use")


def without_parameters_there_is_no_channel():
    sh("modprobe espsync")
    done = sh("espsync show channel", ok=None)
    check(done.status == 1 and "no channel" in done.stderr, f"show says that there is none: {done.status} {done.stderr}")
    equal(sysctl("xfrm_aevent_rseqth"), 2, "xfrm's default")
    unload()
    nothing_left("no parameters")


def good_ones_make_the_channel():
    done, log = load({"peers": "2@10.99.0.2,7@10.99.0.7:4600", "vip": "192.0.2.1,2001:db8::1", "tick_us": "2000", "dead_ms": "400",
                      "detect_ms": "1500", "evict_ms": "6000", "records_per_s": "5000", "rate_kbit": "64"})
    equal((done.status, done.stderr), (0, ""), f"the load; the log: {log}")
    all_of_it = show()
    channel = all_of_it["channel"]
    equal((channel["node"], channel["local"], channel["port"], channel["tick_us"], channel["dead_ms"], channel["detect_ms"],
           channel["evict_ms"], channel["records_per_s"], channel["rate_kbit"]), (1, "10.99.0.1", 4520, 2000, 400, 1500, 6000, 5000, 64), "the channel")
    equal([p["node"] for p in all_of_it["peers"]], [2, 7], "the peers")
    check("10.99.0.7" in json.dumps(all_of_it["peers"][1]) and "4600" in json.dumps(all_of_it["peers"][1]), "the peer's port")
    equal(sorted(all_of_it["groups"][0]["addrs"]), ["192.0.2.1", "2001:db8::1"], "the group's addresses")
    equal(all_of_it["groups"][0]["role"], "undecided", "the role")
    # The key does not come by parameter: until it is set nothing is followed, and ready says what to do.
    ready = json.loads(sh("espsync -j ready", ok=None))
    check("no-key" in [r["reason"] for r in ready["reasons"]], f"ready says no-key: {ready}")
    unload()
    nothing_left("after a good load")


def ipv6_makes_the_channel():
    done, log = load({"local": "fd99::1", "peers": "2@[fd99::2]:4521,3@fd99::3", "port": "4521"})
    equal((done.status, done.stderr), (0, ""), f"the load; the log: {log}")
    equal((show("channel")["local"], show("channel")["port"]), ("fd99::1", 4521), "the channel")
    unload()


def two_links_make_the_channel():
    done, log = load({"local": "10.99.0.1;fd99::1", "peers": "2@10.99.0.2;[fd99::2]:4521,3@10.99.0.3"})
    equal((done.status, done.stderr), (0, ""), f"the load; the log: {log}")
    equal((show("channel")["local"], show("channel")["local2"]), ("10.99.0.1", "fd99::1"), "the channel")
    equal([[(link["addr"], link["port"]) for link in p["links"]] for p in show("peers")],
          [[("10.99.0.2", 4520), ("fd99::2", 4521)], [("10.99.0.3", 4520)]], "the peers' links")
    unload()
    nothing_left("two links")


def without_xfrm_user():
    """A pernet init that made the netlink socket would wait for itself here."""
    sh("rmmod xfrm_user", ok=None)
    if loaded("xfrm_user"):
        raise Skip("xfrm_user is in use or built in")
    check(not loaded("xfrm_user"), "xfrm_user is away")
    done, log = load({})
    equal((done.status, done.stderr), (0, ""), f"the load; the log: {log}")
    equal(show("channel")["node"], 1, "the channel's node")
    check(loaded("xfrm_user"), "xfrm_user came with it")
    check(sh("rmmod xfrm_user", ok=None).status, "and is held while there is a channel")
    sh("espsync channel del")
    # Taken away afterwards by hand, a channel says what it lacks.
    sh("rmmod xfrm_user")
    done = sh("espsync channel set node 1 local 10.99.0.1", ok=None, timeout=30)
    check(done.status == 0 or done.status == 3 and "xfrm_user" in done.stderr, f"channel set works or names xfrm_user: {done.stderr}")
    unload()
    nothing_left("after a load without xfrm_user")


def loaded(name):
    with open("/proc/modules") as f:
        return any(line.split()[0] == name for line in f)


def xfrm_user_that_does_not_come():
    """A kernel without it: refused with a sentence that says so, not one about addresses."""
    sh("rmmod xfrm_user", ok=None)
    if loaded("xfrm_user"):
        raise Skip("xfrm_user is in use or built in")
    modprobe = sh("sysctl -n kernel.modprobe").strip()
    sh("sysctl -qw kernel.modprobe=/bin/false")
    try:
        done, log = load({})
    finally:
        sh(f"sysctl -qw kernel.modprobe={modprobe}")
    check(done.status, "the load is refused")
    check(any("xfrm_user" in line for line in log), f"the log says that xfrm_user is missing, not {log}")
    nothing_left("no xfrm_user")


main([bad_ones_refuse_the_load, a_port_in_use_refuses_the_load, without_parameters_there_is_no_channel, good_ones_make_the_channel,
      ipv6_makes_the_channel, two_links_make_the_channel, without_xfrm_user, xfrm_user_that_does_not_come], setup)
