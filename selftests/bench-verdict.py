#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# DESC: what bench/verdict makes of figures: intervals, bounds, and what is missing, wrong or between
# WHERE: host
# SETS: timeout=120 beside
"""
bench-verdict - the arithmetic of bench/, without a figure being measured.
"""
import os
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "bench", "lib"))

import judge  # noqa: E402
import results  # noqa: E402
import stats  # noqa: E402
from esptest.ktap import check, equal, main  # noqa: E402

TABLE = judge.bounds("""
fast    >= 0.99     ratio
small   <= 256      bytes   # of memory
known   reported    ms
""")
GOOD = {"fast": results.figure("ratio", [0.995, 0.996, 0.997, 0.998, 0.999, 1.0]), "small": results.figure("bytes", range(200, 210)),
        "known": results.figure("ms", [1e9] * 6)}


def verdicts(**changed):
    """Of GOOD with some figures changed; None: not measured."""
    figures = {name: figure for name, figure in {**GOOD, **changed}.items() if figure is not None}
    return {row.name: (row.verdict, row.why) for row in judge.judge(TABLE, figures)}


def refused(text):
    try:
        judge.bounds(text)
    except judge.BadTable as e:
        return str(e)
    return None


def the_median_is_between_two_of_the_runs():
    equal(stats.median([3, 1, 2]), 2, "of three")
    equal(stats.median([4, 1, 3, 2]), 2.5, "of four")
    # Ranks as any table of the sign test has them.
    for number, ranks in ((6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15)), (50, (18, 33)), (100, (40, 61))):
        runs = list(range(1, number + 1))
        random.Random(number).shuffle(runs)
        equal(stats.interval(runs), ranks, f"the interval of {number} runs")


def five_runs_have_none():
    for number in range(6):
        try:
            stats.interval(range(number))
        except stats.TooFew:
            continue
        check(False, f"{number} runs have no interval")


def the_true_median_is_within_it_as_often_as_it_says():
    rng, tries = random.Random(1), 2000
    for number in (6, 15, 40):
        hits = 0
        for _ in range(tries):
            low, high = stats.interval([rng.expovariate(1) for _ in range(number)])
            hits += low <= 0.6931 <= high
        check(hits > 0.94 * tries, f"of {number} runs each: {hits} of {tries}")


def good_figures_are_met():
    equal(verdicts(), {"fast": ("met", ""), "small": ("met", ""), "known": ("reported", "")}, "verdicts")
    at = results.figure("bytes", [256] * 6)
    equal(verdicts(small=at)["small"], ("met", ""), "what is just at its bound")


def what_is_beyond_its_bound_is_missed():
    equal(verdicts(small=results.figure("bytes", [300] * 6))["small"], ("missed", ""), "too much")
    equal(verdicts(fast=results.figure("ratio", [0.9] * 6))["fast"], ("missed", ""), "too slow")


def an_interval_that_crosses_the_bound_is_missed():
    crossing = ("missed", "its interval crosses the bound")
    equal(verdicts(small=results.figure("bytes", [200] * 5 + [257]))["small"], crossing, "from below")
    equal(verdicts(small=results.figure("bytes", [300] * 5 + [256]))["small"], crossing, "from above")
    equal(verdicts(fast=results.figure("ratio", [1.0] * 5 + [0.98]))["fast"], crossing, "at least")


def a_missing_figure_is_missed():
    for name in GOOD:
        equal(verdicts(**{name: None})[name], ("missed", "missing"), f"{name}, not measured")


def a_wrong_interval_is_missed():
    wrong = {"its median or interval is not that of its runs": [{"interval": [201, 208.5]}, {"interval": [208, 201]}, {"median": 1.0}, {"interval": []}],
             "its unit is kB, not bytes": [{"unit": "kB"}],
             "it says 500 runs and has 10": [{"runs": 500}],
             "5 runs have no interval of 95%: make at least 6": [{"samples": [200.0] * 5, "runs": 5}],
             "a run of it is no number": [{"samples": [float("nan")] * 10}, {"samples": ["200"] * 10}]}
    for why, changes in wrong.items():
        for change in changes:
            equal(verdicts(small={**GOOD["small"], **change})["small"], ("missed", why), f"with {change}")


def a_table_that_cannot_be_read_is_refused():
    for line, why in (("small < 256 bytes", "line 1: 'small < 256 bytes'"), ("small <= much bytes", "line 1"), ("small <= nan bytes", "line 1"),
                      ("small <= 256", "line 1"), ("a reported ms\na reported ms", "line 2: a has a line already")):
        check((refused(line) or "").startswith(why), f"{line!r} is refused with {why!r}, not {refused(line)!r}")


def figures_are_kept_one_by_one():
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "results.json")
        equal(results.load(path), {}, "before any")
        for name, figure in GOOD.items():
            results.add({name: figure}, path)
        equal(results.load(path), GOOD, "all of them")
        results.add({"small": GOOD["known"]}, path)
        equal(results.load(path), {**GOOD, "small": GOOD["known"]}, "one measured again")


def the_exit_status_says_it():
    with open(judge.BOUNDS, encoding="utf-8") as f:
        table = judge.bounds(f.read())
    every = {bound.name: results.figure(bound.unit, [bound.limit or 0] * 6) for bound in table}
    for left_out, status, words in ((None, 0, " 0 missed"), (table[0].name, 1, " 1 missed"), (table[-1].name, 1, "missing")):
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "results.json")
            results.add({name: figure for name, figure in every.items() if name != left_out}, path)
            done = subprocess.run([os.path.join(TOP, "bench", "verdict"), path], capture_output=True, text=True)
        equal(done.returncode, status, f"without {left_out}: {done.stdout}{done.stderr}")
        check(words in done.stdout, f"{words!r} is in {done.stdout}")


def every_figure_that_is_measured_has_a_bound():
    with open(judge.BOUNDS, encoding="utf-8") as f:
        known = {bound.name for bound in judge.bounds(f.read())}
    listed = subprocess.run([os.path.join(TOP, "bench", "run"), "-l"], capture_output=True, text=True, check=True).stdout
    measured = [line.split()[0] for line in listed.splitlines()]
    check(measured, "there are figures")
    equal([name for name in measured if name not in known], [], "figures without a line in bench/bounds")
    equal(len(measured), len(set(measured)), "figures, each measured by one experiment")


main([the_median_is_between_two_of_the_runs, five_runs_have_none, the_true_median_is_within_it_as_often_as_it_says, good_figures_are_met,
      what_is_beyond_its_bound_is_missed, an_interval_that_crosses_the_bound_is_missed, a_missing_figure_is_missed, a_wrong_interval_is_missed,
      a_table_that_cannot_be_read_is_refused, figures_are_kept_one_by_one, the_exit_status_says_it, every_figure_that_is_measured_has_a_bound])
