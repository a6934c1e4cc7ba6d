#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the YNL spec, and the description for syzkaller, say what the header and the module's tables say: names, numbers, types, permissions
# WHERE: host
# SETS: timeout=300 beside
"""
ynl-spec - Documentation/netlink/specs/espsync.yaml against include/uapi/linux/espsync.h, kmod/netlink.c and kmod/nl_scope.c

Job: read them all and compare. A number, a name, a type or an operation that only one of them has is a failure.
What may not enter: a kernel; whether the module behaves as it says is what the other tests are for.
"""
import os
import re

from esptest import check, equal, main

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TYPES = {"NLA_U8": "u8", "NLA_U16": "u16", "NLA_U32": "u32", "NLA_U64": "u64", "NLA_BINARY": "binary", "NLA_NUL_STRING": "string",
         "NLA_FLAG": "flag", "NLA_NESTED": "nest"}


def text_of(path):
    with open(f"{TOP}/{path}", encoding="utf-8") as f:
        return f.read()


def requests():
    """Where the module says what it takes."""
    return text_of("kmod/netlink.c") + text_of("kmod/nl_scope.c")


# The part of YAML that specs are written in: block maps and lists, [a, b], one-line and folded scalars.

def scalar(word):
    if word.startswith("["):
        check(word.endswith("]"), f"a list that ends on its line: {word}")
        return [scalar(w.strip()) for w in word[1:-1].split(",") if w.strip()]
    if word.startswith('"'):
        return word[1:-1]
    return {"true": True, "false": False}.get(word, int(word) if re.fullmatch(r"\d+", word) else word)


class Yaml:
    def __init__(self, text):
        lines = [line.rstrip() for line in text.splitlines()]
        self.lines = [(len(s) - len(s.lstrip()), s.strip()) for s in lines if s.strip() and s.strip() != "---" and s.strip()[0] != "#"]
        self.at = 0

    def peek(self):
        return self.lines[self.at] if self.at < len(self.lines) else (-1, "")

    def block(self, indent):
        return self.items(indent) if self.peek()[1] == "-" else self.map(indent)

    def items(self, indent):
        found = []
        while self.peek() == (indent, "-"):
            self.at += 1
            found.append(self.block(self.peek()[0]))
        return found

    def map(self, indent):
        found = {}
        while self.peek()[0] == indent and self.peek()[1] != "-":
            key, colon, rest = self.peek()[1].partition(":")
            check(colon and key not in found, f"one 'key: value' a line, each once: {self.peek()[1]}")
            self.at += 1
            found[key] = self.value(indent, rest.strip())
        return found

    def value(self, indent, rest):
        if rest == ">-":
            words = []
            while self.peek()[0] > indent:
                words.append(self.peek()[1])
                self.at += 1
            return " ".join(words)
        if rest:
            return scalar(rest)
        return self.block(self.peek()[0])


def read_spec():
    y = Yaml(text_of("Documentation/netlink/specs/espsync.yaml"))
    spec = y.map(0)
    equal(y.at, len(y.lines), "lines of the spec that were understood")
    return spec


def c_name(*parts):
    return "_".join(parts).upper().replace("-", "_")


def spec_numbers(spec):
    """Each constant of C that the spec implies, with its number."""
    found = {}
    for d in spec["definitions"]:
        if d["type"] == "const":
            found[c_name("espsync", d["name"])] = d["value"]
        for i, e in enumerate(d.get("entries", [])):
            found[c_name("espsync", d["name"], e["name"])] = i
    for s in spec["attribute-sets"]:
        for i, a in enumerate(s["attributes"], 1):
            found[c_name(s["name-prefix"].rstrip("-"), a["name"])] = i
    for i, o in enumerate(spec["operations"]["list"], 1):
        found[c_name("espsync-cmd", o["name"])] = i
    return found


def spec_types(spec):
    """Each attribute's type; big endian and what is in a nest belong to it."""
    found = {}
    for s in spec["attribute-sets"]:
        for a in s["attributes"]:
            end = " big endian" if a.get("byte-order") == "big-endian" else ""
            inside = f" of {a['nested-attributes']}" if a["type"] == "nest" else ""
            found[c_name(s["name-prefix"].rstrip("-"), a["name"])] = a["type"] + end + inside
    return found


class Header:
    """Constants with their numbers, and attributes with the types that their comments begin with."""

    def __init__(self):
        text = text_of("include/uapi/linux/espsync.h")
        self.strings = dict(re.findall(r'#define (ESPSYNC_\w+)\s+"(.*)"', text))
        self.numbers = {n: int(v.rstrip("U"), 0) for n, v in re.findall(r"#define (ESPSYNC_\w+)\s+(0x[0-9a-f]+U?|\d+)", text)}
        self.types = {}
        for name, body in re.findall(r"enum espsync_(\w+) \{(.*?)\n\}", text, re.S):
            self.enum(name, body)

    def enum(self, name, body):
        n, kind = 0, ""
        for entry, start, said in re.findall(r"^\t(\w+)(?: = (\d+))?,?[ \t]*(?:/\* (.*) \*/)?$", body, re.M):
            n = int(start) if start else n
            if not entry.startswith("__") and not entry.endswith("_UNSPEC"):
                self.numbers[entry] = n
                if name.endswith("attr"):
                    kind = kind if said.startswith("the same") else self.type_of(entry, said)
                    self.types[entry] = kind
            n += 1

    def type_of(self, entry, said):
        if entry.endswith("_PAD"):
            return "pad"
        kind = re.match(r"(u8|u16|u32|u64|s64|binary|string|flag|nest)\b", said)
        check(kind, f"{entry}: its comment begins with its type: {said}")
        if kind[1] == "nest":
            inside = re.search(r"enum espsync_(\w+?)_attr|of ESPSYNC_A_(HIST|ADDR|PREFIX)", said)
            check(inside, f"{entry}: its comment says what is in the nest: {said}")
            return f"nest of {(inside[1] or {'PREFIX': 'remote'}.get(inside[2], inside[2])).lower()}"
        return kind[1] + (" big endian" if "big endian" in said else "")


def numbers(spec):
    header = Header().numbers
    equal(header.pop("ESPSYNC_GENL_VERSION"), 1, "the version that a spec without one has")
    equal(spec_numbers(spec), header, "constants and their numbers, spec and header")


def types(spec):
    equal(spec_types(spec), Header().types, "attributes and their types, spec and header")


def names(spec):
    strings = Header().strings
    equal(spec["name"], strings.pop("ESPSYNC_GENL_NAME"), "the family's name")
    groups = {c_name("espsync-mcgrp", g["name"]): g["name"] for g in spec["mcast-groups"]["list"]}
    equal(groups, strings, "multicast groups")


def enums_exist(spec):
    known = {d["name"] for d in spec["definitions"] if d["type"] == "enum"}
    sets = {s["name"] for s in spec["attribute-sets"]}
    for s in spec["attribute-sets"]:
        for a in s["attributes"]:
            check(a.get("enum", "role") in known, f"{s['name']}/{a['name']}: there is no enum {a.get('enum')}")
            check(a.get("nested-attributes", "sa") in sets, f"{s['name']}/{a['name']}: there is no set {a.get('nested-attributes')}")


def what_the_module_takes(spec):
    said = spec_types(spec)
    policies = re.findall(r"\[(ESPSYNC_A_\w+)\] = (.*),$", requests(), re.M)
    check(len(policies) > 30, "the module's policies")
    for attr, rule in policies:
        taken = re.search(r"NLA_(?:U8|U16|U32|U64|BINARY|NUL_STRING|FLAG|NESTED)\b", rule)
        kind = TYPES[taken[0]] if taken else "nest" if "POLICY_NESTED" in rule else "binary"
        equal(said[attr].split()[0], kind, f"type of {attr}, spec and policy")


def operations(spec):
    ops = re.findall(r"\tES_OP(_PERM|_START)?\((\w+), (\w+), (\w+)", text_of("kmod/netlink.c"))
    module = {cmd: (do != "NULL", dump != "NULL", "admin-perm" if perm == "_PERM" else "uns-admin-perm") for perm, cmd, do, dump in ops}
    listed = {c_name(o["name"]): ("do" in o, "dump" in o, o["flags"][0]) for o in spec["operations"]["list"] if "event" not in o}
    equal(listed, module, "operations (do, dump, permission), spec and module")


def attributes_of_operations_exist(spec):
    top = {a["name"] for a in spec["attribute-sets"][0]["attributes"]}
    for o in spec["operations"]["list"]:
        for how in ("do", "dump"):
            for part in o.get(how, {}).values():
                check(set(part["attributes"]) <= top, f"{o['name']}: {part['attributes']} are attributes of the top level")


# What syzkaller calls the types.
SYZ = {"u8": "int8", "u16": "int16", "u32": "int32", "u64": "int64", "flag": "void"}


def fits_syzkaller(kind, word):
    """Whether a type of the header may be called so there: of the same width, or bytes."""
    if kind in ("u16 big endian", "u32 big endian"):
        return word in ("sock_port", "int32be") and (word == "sock_port") == kind.startswith("u16")
    if kind.startswith("nest"):
        return word == "array"
    if kind in ("binary", "string"):
        return word in ("array", "espsync_addr", "string", "devname")
    return word == SYZ[kind] or (kind == "u8" and word == "bool8")


def for_syzkaller(spec):
    text, header = text_of("selftests/fuzz/espsync.txt"), Header().types
    calls = re.findall(r"^sendmsg\$(ESPSYNC_CMD_\w+)\(.*msghdr_espsync\[(\w+), (\w+)\]", text, re.M)
    equal([name for name, _, _ in calls], [c_name("espsync-cmd", o["name"]) for o in spec["operations"]["list"] if "event" not in o], "commands")
    entries = re.findall(r"^\t(ESPSYNC_A_\w+)\t(?:nlattr|nlnest)\[(\w+), (?:(?:const|flags)\[\w+, )?(\w+)", text, re.M)
    for name, number, word in entries:
        equal(number, name, "an attribute and its number")
        check(name in header and fits_syzkaller(header[name], word), f"{name} is {header.get(name)}, not {word}")
    taken = set(re.findall(r"\[(ESPSYNC_A_\w+)\] = ", requests()))
    equal({name for name, _, _ in entries}, taken, "attributes that the module takes")
    for name, number, top in calls:
        equal(number, name, "a command and its number")
        check(f"\n{top} [\n" in text, f"{name}: there is a {top}")


main([numbers, types, names, enums_exist, what_the_module_takes, operations, attributes_of_operations_exist,
      for_syzkaller], read_spec)
