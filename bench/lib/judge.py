# SPDX-License-Identifier: GPL-2.0
"""Whether figures are as good as they must be.

Room: the table of bounds (bench/bounds) against what was measured. How anything is measured, and where it is kept, is not known here.
"""
import collections
import math
import os

import stats

BOUNDS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bounds")
MET, MISSED, REPORTED = "met", "missed", "reported"

# sense: "<=" or ">=", or "" if the figure is only reported
Bound = collections.namedtuple("Bound", "name sense limit unit")
Row = collections.namedtuple("Row", "name value interval unit must verdict why")


class BadTable(ValueError):
    """The table of bounds cannot be read; the sentence says where."""


def _bound(number, words):
    if len(words) == 3 and words[1] == REPORTED:
        return Bound(words[0], "", None, words[2])
    try:
        name, sense, limit, unit = words
        limit = float(limit)
    except ValueError:
        sense = limit = None
    if sense not in ("<=", ">=") or not math.isfinite(limit):
        raise BadTable(f"line {number}: '{' '.join(words)}': write NAME <=|>= NUMBER UNIT, or NAME reported UNIT")
    return Bound(name, sense, limit, unit)


def bounds(text):
    """The table, in its order."""
    table = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        bound = _bound(number, words)
        if bound.name in table:
            raise BadTable(f"line {number}: {bound.name} has a line already")
        table[bound.name] = bound
    return list(table.values())


def _unsound(figure, bound):
    """Why a figure cannot be believed, or None."""
    runs = figure.get("samples") or []
    if figure.get("unit") != bound.unit:
        return f"its unit is {figure.get('unit')}, not {bound.unit}"
    if figure.get("runs") != len(runs):
        return f"it says {figure.get('runs')} runs and has {len(runs)}"
    if not all(isinstance(run, (int, float)) and math.isfinite(run) for run in runs):
        return "a run of it is no number"
    try:
        known = [*stats.interval(runs), stats.median(runs)]
    except stats.TooFew as e:
        return str(e)
    if [*figure.get("interval", []), figure.get("median")] != known:
        return "its median or interval is not that of its runs"
    return None


def _judged(bound, figure):
    """(verdict, why)"""
    if figure is None:
        return MISSED, "missing"
    if why := _unsound(figure, bound):
        return MISSED, why
    if not bound.sense:
        return REPORTED, ""
    low, high = figure["interval"]
    good, bad = (high, low) if bound.sense == "<=" else (low, high)
    within = (lambda x: x <= bound.limit) if bound.sense == "<=" else (lambda x: x >= bound.limit)
    if within(good):
        return MET, ""
    return MISSED, "its interval crosses the bound" if within(bad) else ""


def judge(table, figures):
    """A row for each bound; figures: {name: {unit, median, interval, runs, samples}}."""
    rows = []
    for bound in table:
        figure = figures.get(bound.name)
        verdict, why = _judged(bound, figure)
        must = f"{bound.sense} {bound.limit:g}" if bound.sense else REPORTED
        known = figure or {}
        rows.append(Row(bound.name, known.get("median"), known.get("interval"), bound.unit, must, verdict, why))
    return rows


def well(rows):
    return all(row.verdict != MISSED for row in rows)
