#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: the module's pure sources against their models once more, in the kernel, as KUnit suites
# WHERE: uml
# SETS: uml-only
#
# The same tests as `unit` runs in userspace (selftests/unit), compiled by kbuild
# with the kernel's own primitives. KUNIT_SEED=N repeats a run. Debian's kernels
# have no KUnit.
import os
import re

from esptest import *

UNIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "unit")


def suites():
    """What Kbuild links into the module, but for the module's own file."""
    with open(f"{UNIT}/Kbuild", encoding="utf-8") as f:
        objects = re.search(r"^espsync_unit-y := (.*)$", f.read(), re.M)[1].split()
    return [o.removesuffix(".o") for o in objects if o != "kunit.o"]


def said(log, suite):
    """The suite's part of the log and its verdict: None if it did not come to its end."""
    part = re.search(rf"# Subtest: {suite}\n(.*?\n)(not ok|ok) \d+ {suite}\b", log, re.S)
    return (part[1], part[2]) if part else ("", None)


def load():
    seed = seeded("KUNIT_SEED").randrange(1, 1 << 32)
    module("espsync_unit", f"seed={seed}")
    return re.sub(r"(?m)^\[[ \d.]+\] ", "", sh("dmesg").rpartition("espsync-test: begin")[2])


def case(suite):
    def one(log):
        text, verdict = said(log, suite)
        for line in re.findall(r"(?m)^ *(?:# .*|not ok .*)", text):
            note(line.strip())
        names = re.findall(r"(?m)^ {8}ok \d+ (.*)", text)
        check(verdict == "ok" and names, f"{suite}: {verdict or 'not in the log'}, {len(names)} cases passed")
    one.__name__ = suite
    return one


main([case(s) for s in suites()], load)
