# SPDX-License-Identifier: GPL-2.0
"""
genlwire - the genetlink family on a raw socket: what include/uapi/linux/espsync.h says of it, requests made of that, answers taken apart.

Job: let a test send what no library would. Commands, attribute sets and types are read from the header and its comments, so that what
is added there is sent too.
What may not enter: what a request means, and whether an answer is right.
"""
import errno
import os
import re
import socket
import struct

from esptest import netlink
from esptest.netlink import ACK, DONE, DUMP, ERROR, NESTED, REQUEST, attr, attributes  # noqa: F401

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NETLINK_GENERIC, GENL_ID_CTRL, CTRL_GETFAMILY = 16, 16, 3
SOL_NETLINK, ADD_MEMBERSHIP, EXT_ACK = 270, 1, 11
CAPPED, ACK_TLVS = 0x100, 0x200
NET_BYTEORDER = 0x4000


class Header:
    """commands: {name: number}; sets: {"channel": {number: (name, type)}}, "" is the top level; types as their comments begin."""

    def __init__(self):
        with open(f"{TOP}/include/uapi/linux/espsync.h", encoding="utf-8") as f:
            text = f.read()
        enums = dict(re.findall(r"enum espsync_(\w+) \{(.*?)\n\}", text, re.S))
        self.commands = {n.removeprefix("ESPSYNC_CMD_"): i for i, (n, _) in self.entries(enums["cmd"], 1).items()}
        self.sets = {re.sub("_?attr$", "", name): self.attributes(body) for name, body in enums.items() if name.endswith("attr")}

    @staticmethod
    def entries(body, first=0):
        found = re.findall(r"^\t(\w+)(?: = \d+)?,?[ \t]*(?:/\* (.*) \*/)?$", body, re.M)
        return {i: entry for i, entry in enumerate(found, first) if not entry[0].startswith("__")}

    def attributes(self, body):
        found, said = {}, ""
        for number, (name, comment) in self.entries(body).items():
            if number and not name.endswith("_PAD"):
                said = said if comment.startswith("the same") else comment
                found[number] = (name.removeprefix("ESPSYNC_A_"), said)
        return found

    def number(self, attribute):
        return next(i for attrs in self.sets.values() for i, (name, _) in attrs.items() if name == attribute)


def message(family, command, attrs, flags=0, seq=1, version=1):
    return netlink.message(family, struct.pack("=BBH", command, version, 0) + attrs, REQUEST | ACK | flags, seq)


class Answer:
    """What one family says to a datagram. error: 0, or the errno; None: none came. messages: [(command, attributes)]. errors: [(error,
    the kernel's sentence)], for noise may be several messages; those of it that ask nothing, or another family, do not count."""

    def __init__(self, family):
        self.family, self.error, self.messages, self.errors = family, None, [], []

    def take(self, kind, flags, data):
        if kind == ERROR:
            asked, how = struct.unpack_from("=HH", data, 8)
            if asked != self.family or not how & REQUEST:
                return
        if kind == ERROR or (kind == DONE and len(data) >= 4):
            text, self.error = None, -struct.unpack("=i", data[:4])[0]
            at = 4 if kind == DONE else 20 if flags & CAPPED else 4 + (struct.unpack("=I", data[4:8])[0] + 3 & ~3)
            if flags & ACK_TLVS:
                for number, value in attributes(data[at:]):
                    text = value.rstrip(b"\0").decode() if number == 1 else text
            self.errors.append((self.error, text))
        elif kind == self.family:
            self.messages.append((data[0], attributes(data[4:])))


class Genl:
    """Over a socket that was made in some namespace, or one in the caller's. OSError if there is no such family."""

    def __init__(self, sock=None):
        self.sock = sock or socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.sock.bind((0, 0))
        self.sock.setsockopt(SOL_NETLINK, EXT_ACK, 1)
        self.family = GENL_ID_CTRL
        found = self.ask(message(GENL_ID_CTRL, CTRL_GETFAMILY, attr(2, b"espsync\0")))
        if not found.messages:
            raise OSError(found.error, f"the family espsync: {os.strerror(found.error)}")
        top = dict(found.messages[0][1])
        self.family = struct.unpack("=H", top[1])[0]
        self.groups = [struct.unpack("=I", dict(attributes(group))[2])[0] for _, group in attributes(top[7])]

    def ask(self, datagram):
        """One datagram of any bytes, and all that comes of it. A request is over when it was sent; only dumps go on while one reads."""
        answer = Answer(self.family)
        try:
            self.sock.send(datagram)
        except OSError as e:
            answer.error = e.errno
            return answer
        while True:
            try:
                data = self.sock.recv(1 << 18, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return answer
            except OSError as e:
                if e.errno != errno.ENOBUFS:
                    raise
                continue
            for one in netlink.messages(data):
                answer.take(*one)
