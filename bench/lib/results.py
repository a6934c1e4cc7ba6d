# SPDX-License-Identifier: GPL-2.0
"""What was measured, kept: a file with a line of JSON for each figure, in the order of their names.

Room: reading and writing it, so that a run that is ended loses nothing. What figures mean is not known here.
"""
import json
import os

import stats

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATH = os.path.join(BENCH, "results.json")


def load(path=PATH):
    """{name: figure}; none if there is no file."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def add(figures, path=PATH):
    """These replace those of the same names; the others stay."""
    known = {**load(path), **figures}
    lines = (f"{json.dumps(name)}: {json.dumps(known[name], ensure_ascii=False)}" for name in sorted(known))
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
    os.replace(path + ".new", path)


def figure(unit, samples, **about):
    """What is kept of a figure; about: command, kernel, machine and so on."""
    samples = [float(f"{s:.6g}") for s in samples]
    return {"unit": unit, "median": stats.median(samples), "interval": list(stats.interval(samples)), "runs": len(samples), **about, "samples": samples}
