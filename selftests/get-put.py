#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the context of a VPN goes into a file and comes back after all nodes have lost it: the far end notices nothing; each bad file and place is refused
# WHERE: uml-fast
# SETS: timeout=500 named
#
# Both gateways lose their power at once, and with it all that a cluster knows. What is put back is compared item by item with what was there, in
# charon and in the kernel; the client is the judge of the rest: its SPIs stay, its tunnel goes on, no number comes to it twice, none is refused.
import json
import os
import pty
import re
import socket
import subprocess
import time

from esptest import *
from esptest_ike import IkeCluster, example, explained, replace

LEASE_MIN = 1 << 20
LOOKS = 6   # seconds, until a helper has looked at its node's configuration

# What charon and the kernel choose or count anew; all else is the same before and after.
NEW_IN_CHARON = ("uniqueid", "established", "rekey-time", "reauth-time", "reqid", "install-time", "life-time", "bytes-in", "bytes-out", "packets-in", "packets-out",
                 "use-in", "use-out", "child-sas")
NEW_IN_KERNEL = (r"reqid \d+", r"index \d+", r"\(0x[0-9a-f]+\)", r"seq(-hi)? 0x[0-9a-f]+, oseq(-hi)? 0x[0-9a-f]+", r"^\s+([0-9a-f]{8} ?)+$", r"limit: soft .*", r"expire add: .*",
                 r"expire use: .*", r"\d+\(bytes\), \d+\(packets\)", r"add .* use .*", r"stats:", r"lastused .*", r"seq-hi .*", r"replay \d+ failed \d+.*", r"oseq-hi .*")


def tool(gw, words, **kw):
    """The tool beside a gateway's espsyncd."""
    return gw.run(f"espsync {words}", **kw)


def path(gw, name="vpn"):
    return f"{gw.dir}/{name}"


def get(gw, which, name="vpn"):
    tool(gw, f"ike get {which} > {path(gw, name)}")
    with open(path(gw, name), "rb") as f:
        return f.read()


def put(gw, data, name="put", words="-j", **kw):
    with open(path(gw, name), "wb") as f:
        f.write(data)
    return tool(gw, f"{words} ike put < {path(gw, name)}", **kw)


def listed(gw):
    return json.loads(tool(gw, "-j ike list"))


def ike_sa(gw, road):
    """A client's IKE SA, as a gateway's charon has it."""
    spi, = road.ike("ESTABLISHED")
    return next((sa for sa in gw.sas() if sa["initiator-spi"] + " " + sa["responder-spi"] == spi), None)


def states_of(gw, road):
    """{SPI: what `ip xfrm state` says} of a client's SAs on a gateway."""
    spis = {s for pair in road.children() for s in pair}
    blocks = re.split(r"\n(?=src )", gw.ns.ip("-d -s xfrm state"))
    return {m[1]: b for b in blocks if (m := re.search(r"spi 0x([0-9a-f]{8})", b)) and m[1] in spis}


def policies_of(gw, inner):
    return [b for b in re.split(r"\n(?=src )", gw.ns.ip("-d xfrm policy")) if inner in b]


def lasting(text):
    """What of a dump must be the same before and after."""
    for was in NEW_IN_KERNEL:
        text = re.sub(was, "", text, flags=re.M)
    return [words for line in text.splitlines() if (words := " ".join(line.split()))]


def items(gw, road, inner):
    """All there is of a VPN on a gateway, but for what is counted or chosen anew."""
    sa = ike_sa(gw, road)
    children = {c["spi-in"]: {k: v for k, v in c.items() if k not in NEW_IN_CHARON} for c in sa["child-sas"].values()}
    return {"IKE SA": {k: v for k, v in sa.items() if k not in NEW_IN_CHARON}, "CHILD SAs": children,
            "SAD": {spi: lasting(text) for spi, text in states_of(gw, road).items()}, "SPD": sorted(lasting(b) for b in policies_of(gw, inner))}


def setup():
    module()
    c = IkeCluster(module=True)
    try:
        c.start_ike()
        for road in (c.road, c.road2):
            road.start_charon()
            road.connect()
        c.road.rekey("--ike home")      # its CHILD SA was made under an IKE SA that is gone
        c.wait_mirrored(ikes=2)
        c.wait_ready(1)
    except Exception:
        c.explain()
        raise
    c.inner = c.road.inner_address()
    c.wire = Capture(c.client, "out", keep=True)
    c.drops = xfrm_stat(c.client)["XfrmInStateSeqError"]
    c.report = c.file = c.file2 = None
    return c


# -- what is there -------------------------------------------------------------


@explained
def list_says_what_charon_and_the_journal_have(c):
    for n, state in ((1, "ESTABLISHED"), (2, "PASSIVE")):
        gw = c.ike[n]
        rows = listed(gw)
        equal({(str(r["uniqueid"]), r["name"], r["state"], r["initiator_spi"] + " " + r["responder_spi"], r["remote"]) for r in rows},
              {(s["uniqueid"], s["conn"], s["state"], s["initiator-spi"] + " " + s["responder-spi"], s["remote-host"]) for s in gw.sas()}, f"IKE SAs of gw{n}")
        equal({(k["spi_in"][2:], k["spi_out"][2:]) for r in rows for k in r["children"]}, gw.children(), f"CHILD SAs of gw{n}")
        equal({r["state"] for r in rows}, {state}, f"state on gw{n}")
        check(all(r["journalled"] and all(k["journalled"] for k in r["children"]) for r in rows), "all is in the journal")
        lines = tool(gw, "ike list").splitlines()
        equal(len(lines), 3, "lines of the table")
        at = lines[0].index("remote")
        check(all(re.match(r"\S", line[at:]) and line[at - 1] == " " for line in lines), f"it is aligned: {lines}")


@explained
def get_knows_each_name(c):
    row = next(r for r in listed(c.ike[1]) if r["remote"] == c.CLIENT)
    sizes = {len(get(c.ike[1], which)) for which in (row["uniqueid"], row["initiator_spi"], "0x" + row["responder_spi"])}
    equal(len(sizes), 1, "lengths of what three names give")
    equal(os.stat(path(c.ike[1])).st_mode & 0o777, 0o600, "the file's mode")
    check(get(c.ike[1], row["uniqueid"]) != get(c.ike[1], row["uniqueid"], "other"), "no file is like another")
    for word in (b"road-warrior", b"example.org", bytes.fromhex(row["initiator_spi"]), bytes.fromhex(row["children"][0]["spi_in"][2:])):
        check(word not in get(c.ike[1], row["uniqueid"]), f"{word} is not to be read in it")


@explained
def get_refuses_what_it_cannot_find(c):
    for words, status, sentence in (("ike get", 2, "which IKE SA is missing"), ("ike get nobody", 1, "no IKE SA is called 'nobody' (espsync ike list)"),
                                    ("ike get a b", 2, "too many words"), ("ike fetch", 2, "unknown"), ("ike", 2, "list, get, put, move or drop"),
                                    ("ike list all", 2, "too many words"), ("-n x ike list", 2, "-n"),
                                    ("ike get road-warrior", 2, "2 IKE SAs are called 'road-warrior' (give one's number or SPI)")):
        out = tool(c.ike[1], f"{words} > {path(c.ike[1], 'nothing')}", ok=None)
        equal((out.status, sentence in out.stderr), (status, True), f"espsync {words}: {out.stderr}")
        equal(os.stat(path(c.ike[1], "nothing")).st_size, 0, f"output of espsync {words}")
    check(all(a in out.stderr for a in (c.CLIENT, "192.0.2.101")), f"several matches are listed: {out.stderr}")


@explained
def a_terminal_gets_and_gives_none(c):
    ours, theirs = pty.openpty()
    for words in ("ike get 1", "ike put"):
        proc = subprocess.run([*c.ike[1]._inside(), "espsync", *words.split()], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, timeout=30)
        equal((proc.returncode, b"a terminal" in proc.stderr), (2, True), f"espsync {words} at a terminal: {proc.stderr}")
    os.close(ours), os.close(theirs)


@explained
def only_root_may_ask(c):
    equal(os.stat(f"{c.ike[1].dir}/run/espsync/control").st_mode & 0o777, 0o600, "the socket's mode")
    out = c.ike[1].run("setpriv --reuid 65534 --clear-groups espsync ike list", ok=None)
    equal((out.status, "run it as root" in out.stderr), (3, True), f"another user: {out.stderr}")


@explained
def nonsense_changes_nothing(c):
    """What the tool does not say: each ends, and the next one is answered."""
    where = f"{c.ike[1].dir}/run/espsync/control"
    for said in (b"", b"\0\0\0\4", b"\xff\xff\xff\xff", b"\0\0\0\5list x", b"\0\0\0\3put", b"\0\0\0\4get ", b"\0\0\0\x08get a\0bc", b"\0\0\0\5erase"):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(where)
            s.sendall(said)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(15)
            answer = s.recv(1024)
            check(not answer or answer[4] == 2, f"{said}: {answer}")
    equal(len(listed(c.ike[1])), 2, "IKE SAs")


@explained
def what_is_here_is_not_put(c):
    before = c.ike[1].ike("ESTABLISHED"), c.ike[1].children()
    for n, sentence in ((1, "its IKE SA is here already"), (2, "this node is not active")):
        out = put(c.ike[n], get(c.ike[n], ike_sa(c.ike[n], c.road)["uniqueid"]), ok=None)   # a standby's file is whole, too
        equal((out.status, sentence in out.stderr), (3, True), f"put on gw{n}: {out.stderr}")
    equal((c.ike[1].ike("ESTABLISHED"), c.ike[1].children()), before, "gw1's SAs")


# -- all of it is lost ------------------------------------------------------------


def lose_power(c, active):
    """Both gateways at once; they come back with nothing, gw1 active. Return: files of the clients' VPNs of the moment before."""
    files = [get(c.ike[active], ike_sa(c.ike[active], road)["uniqueid"]) for road in (c.road, c.road2)]
    for n in (1, 2):
        c.power_off(n)
    for n in (1, 2):
        c.revive(n)
        c.configure(n)
        c.ike[n].start_helper()
        c.ike[n].start_charon()
    c.ike[2].become("BACKUP")
    c.ike[1].become("MASTER")
    c.move_vip(1)
    until(lambda: c.peer_state(1) == "up", 10, "gw1 has its peer")
    has_nothing(c.ike[1])
    has_nothing(c.ike[2])
    time.sleep(LOOKS)
    return files


def lost(c):
    """The loss of which what follows is about: once."""
    if c.file:
        return
    equal(c.road.ping(40), 40, "echos before")
    c.before = items(c.ike[1], c.road, c.inner)
    equal({k: len(v) for k, v in c.before.items() if k != "IKE SA"}, {"CHILD SAs": 1, "SAD": 2, "SPD": 3}, "what there is of the VPN")
    c.numbers = {sa["spi"]: sa for sa in c.show(1, "sas")}
    c.sent, c.lost_at = max(p.seq for p in c.wire.esp(out=False)), time.time()
    c.file, c.file2 = lose_power(c, 1)


def has_nothing(gw):
    equal((gw.ike(), gw.in_kernel(), listed(gw)), (set(), set(), []), f"what {gw} has")


def restored(c):
    """And the first VPN is put back. Once."""
    lost(c)
    if not c.report:
        c.report = json.loads(put(c.ike[1], c.file))


@explained
def a_bad_file_is_refused(c):
    lost(c)
    gw, good = c.ike[1], c.file
    flipped = {f"byte {at}": good[:at] + bytes([good[at] ^ 1]) + good[at + 1:] for at in (30, 60, len(good) // 2, len(good) - 1)}
    bad = {"the file is empty": b"", "it is no file of espsync ike get": b"#!/bin/sh\nexit 0\n", "the file is of version 2, this espsyncd reads version 1": good[:8] + b"\2" + good[9:],
           "the file is cut off": good[:len(good) // 2], "the file is of another cluster key": good[:9] + bytes(8) + good[17:],
           "the file was changed, or damaged": good + b"x", "larger than any": good + bytes(17 << 20)}
    for sentence, data in [*bad.items(), *(("the file was changed, or damaged", data) for data in flipped.values()),
                           *(("the file is cut off", good[:n]) for n in (9, 20, 53, 68, len(good) - 1)), ("it is no file", good[:8])]:
        out = put(gw, data, ok=None)
        equal((out.status, sentence in out.stderr, out.stderr.count("\n")), (2, True, 1), f"{sentence}: {out.stderr}")
    has_nothing(gw)


@explained
def another_clusters_key_opens_none(c):
    lost(c)
    gw = c.ike[1]
    other = gw.write("other.key", "42" * 32 + "\n", 0o600)
    key, gw.key = gw.key, other
    gw.end("espsyncd")
    gw.start_helper()
    out = put(gw, c.file, ok=None)
    equal((out.status, "the file is of another cluster key: its id is " in out.stderr), (2, True), f"under another key: {out.stderr}")
    gw.key = key
    gw.end("espsyncd")
    gw.start_helper()
    gw.said("this node is active already")


def with_conf(c, *pairs):
    """gw1's connections, changed, until the helper has looked."""
    gw = c.ike[1]
    gw.write("swanctl.conf", replace(example("swanctl/road-warrior.conf"), *pairs))
    gw.load()
    time.sleep(LOOKS)


@explained
def another_configuration_is_refused(c):
    lost(c)
    gw = c.ike[1]
    for pairs, sentence in ((((r"replay_window = 1024", "replay_window = 64"),), "child lan: replay_window is 64 here, 1024 on node 1: make it the same"),
                            (((r"local_ts = 10.1.0.0/24", "local_ts = 10.3.0.0/24"),), "child lan: local_ts is 10.3.0.0/24 here, 10.1.0.0/24 on node 1"),
                            (((r"id = gw.example.org", "id = other.example.org"),), "id is other.example.org here, gw.example.org on node 1"),
                            (((r"rekey_time = 1h", "rekey_time = 2h"), (r"dpd_delay = 30s", "dpd_delay = 40s")), "(1 more differ)"),
                            (((r"\troad-warrior \{", "\tnomad {"),), "connection road-warrior is not loaded here (swanctl --load-all)")):
        with_conf(c, *pairs)
        out = put(gw, c.file, ok=None)
        equal((out.status, sentence in out.stderr), (3, True), f"{sentence}: {out.stderr}")
    has_nothing(gw)
    with_conf(c)


def occupied(c, src, dst, spi):
    """What put says while somebody's SA has that place in gw1's kernel."""
    c.ike[1].ns.ip(f"xfrm state add src {src} dst {dst} proto esp spi 0x{spi} reqid 77 mode tunnel aead rfc4106(gcm(aes)) 0x{'42' * 20} 128")
    said = put(c.ike[1], c.file, ok=None)
    c.ike[1].ns.ip(f"xfrm state delete dst {dst} proto esp spi 0x{spi}", ok=None)   # charon may have done it
    has_nothing(c.ike[1])
    return said.status, said.stderr


@explained
def what_does_not_come_out_whole_is_taken_back(c):
    """An SPI that is taken is seen before; one of others' addresses is charon's to stumble over."""
    lost(c)
    (into, out), = c.road.children()
    status, said = occupied(c, c.CLIENT, c.VIP, out)
    equal((status, f"an SA with its SPI {out} is in the kernel already" in said), (3, True), f"put: {said}")
    status, said = occupied(c, "198.51.100.9", c.CLIENT, into)
    equal((status, f"charon or the kernel does not take its CHILD SA {out}" in said), (3, True), f"put: {said}")


# -- and put back --------------------------------------------------------------------


@explained
def put_brings_it_back(c):
    lost(c)
    heard = len(c.wire.ike())
    restored(c)
    note(f"no IKE was heard for {c.report['deaf_ms']} ms")
    check(c.report["deaf_ms"] < 1000, f"deaf for {c.report['deaf_ms']} ms")
    equal(c.road.ping(20), 20, "echos afterwards")
    equal(items(c.ike[1], c.road, c.inner), c.before, "what gw1 has of it, before and after")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"], c.drops, "packets that the client refused as replays")
    equal(len(c.wire.ike()), heard, "IKE messages of the client meanwhile")


@explained
def numbers_go_on_above_the_ceiling(c):
    restored(c)
    equal(c.road.ping(20), 20, "echos")
    (into, out), = c.road.children()
    start = {s["spi"]: int(s["from"]) for s in c.report["sas"]}
    was = c.numbers[f"0x{into}"]
    equal(start[f"0x{into}"], max(int(was["oseq"]), int(was["ceiling"])) + LEASE_MIN, "what put says of the outbound SA")
    sent = [p.seq for p in c.wire.esp(spi=int(into, 16), out=False) if p.seq > c.sent]
    check(sent and min(sent) > start[f"0x{into}"], f"the first one behind {start[f'0x{into}']}: {sent[:3]}")
    check(max(sent) - c.sent < 1 << 31, "the far end can follow")


@explained
def recorded_packets_stay_refused(c):
    """What gw1 took before the loss of power is played to it again."""
    restored(c)
    (into, out), = c.road.children()
    spi = int(out, 16)
    frames = c.wire.stop().frames_of([p for p in c.wire.esp(spi=spi, out=True) if p.time < c.lost_at][-40:])
    begin = counts(c.gw1)[spi]
    mac = bytes.fromhex(c.gw1.mac("out").replace(":", ""))
    with c.client.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("out", 0))
        for frame in frames:
            s.send(mac + frame[6:])
    until(lambda: sum(counts(c.gw1)[spi]) - sum(begin) >= len(frames), 10, "all are judged")
    equal(counts(c.gw1)[spi][0] - begin[0], 0, "of them accepted")
    check(not repeats([c.wire], out=False), f"numbers sent twice to the client: {repeats([c.wire], out=False)}")
    c.wire = Capture(c.client, "out")


@explained
def the_standby_has_it(c):
    restored(c)
    c.wait_mirrored(ikes=1)
    c.wait_ready(1)
    check(listed(c.ike[1])[0]["journalled"], "it is in the journal")


@explained
def once_is_enough(c):
    restored(c)
    out = put(c.ike[1], c.file, ok=None)
    equal((out.status, "its IKE SA is here already" in out.stderr), (3, True), f"put again: {out.stderr}")
    equal(c.road.ping(), 3, "echos")


@explained
def another_ones_traffic_goes_on(c):
    """The second VPN is put while the first one is at work: packets and exchanges of that one come to no harm."""
    restored(c)
    receiver, sender = Receiver(c.client, c.inner), Sender(c.lan, c.inner, rate=100)
    time.sleep(1)
    put(c.ike[1], c.file2)
    c.road.rekey("--child lan")
    time.sleep(1)
    sent = sender.sent
    until(lambda: receiver.count >= sent, 5, f"all {sent} packets to the other VPN's client arrive")
    for road in (c.road, c.road2):
        equal(road.ping(), 3, f"echos of {road}")
    equal(c.ike[1].ike("ESTABLISHED"), c.road.ike() | c.road2.ike(), "gw1's IKE SAs")


@explained
def it_can_be_rekeyed_and_taken_over(c):
    restored(c)
    if not c.road2.ike("ESTABLISHED") <= c.ike[1].ike("ESTABLISHED"):
        put(c.ike[1], c.file2)
    for road in (c.road, c.road2):
        road.rekey("--child lan")
        road.rekey("--ike home")
    c.wait_mirrored(ikes=2)
    c.wait_ready(1)
    c.power_off(1)
    c.take_over(2)
    for road in (c.road, c.road2):
        equal(road.ping(), 3, f"echos of {road} through gw2")
        road.rekey("--child lan")
    c.power_on(1)
    c.wait_mirrored(active=2, ikes=2)
    equal(c.wire.stop().sa_inits(), 0, "IKE_SA_INIT requests of the client")
    equal(xfrm_stat(c.client)["XfrmInStateSeqError"], c.drops, "packets that the client refused as replays")
    check(not repeats([c.wire], out=False), "no number twice")


@explained
def a_rival_is_not_displaced(c):
    """A client that began anew after another loss; it has the inner address that was the other's."""
    restored(c)
    file, file2 = lose_power(c, next(n for n in (1, 2) if c.ike[n].role() == "active"))
    c.road2.swanctl("--terminate --ike home --force", ok=None)
    c.road2.connect()
    equal(c.road2.inner_address(), c.inner, "the inner address")
    for data, sentence in ((file, "its inner address is that of an IKE SA of 192.0.2.101 by now"),
                           (file2, "its far end 192.0.2.101 has another IKE SA of connection road-warrior here")):
        out = put(c.ike[1], data, ok=None)
        equal((out.status, sentence in out.stderr), (3, True), f"{sentence}: {out.stderr}")
    equal(c.ike[1].ike(), c.road2.ike("ESTABLISHED"), "IKE SAs of gw1")


main([list_says_what_charon_and_the_journal_have, get_knows_each_name, get_refuses_what_it_cannot_find, a_terminal_gets_and_gives_none, only_root_may_ask,
      nonsense_changes_nothing, what_is_here_is_not_put, a_bad_file_is_refused, another_clusters_key_opens_none,
      another_configuration_is_refused, what_does_not_come_out_whole_is_taken_back, put_brings_it_back, numbers_go_on_above_the_ceiling,
      recorded_packets_stay_refused, the_standby_has_it, once_is_enough, another_ones_traffic_goes_on, it_can_be_rekeyed_and_taken_over, a_rival_is_not_displaced], setup)
