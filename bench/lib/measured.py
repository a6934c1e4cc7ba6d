# SPDX-License-Identifier: GPL-2.0
"""What experiments say to the harness, from inside a guest.

Room: a figure's runs on standard output, and how many of them. What is measured is the experiments' affair, what the runs come to the harness'.
"""
import os

from esptest import check, note


def quick():
    return "QUICK" in os.environ


def runs(full, few=6):
    """How often to measure: six times are the fewest that have an interval."""
    return few if quick() else full


def wanted(*figures):
    """Whether one of these is asked for; what nobody asked for need not be measured."""
    asked = os.environ.get("FIGURES", "").split()
    return not asked or any(f in asked for f in figures)


def figure(name, unit, samples):
    """A figure's runs, in the order in which they were made."""
    samples = list(samples)
    check(samples, f"{name} was measured")
    print("##bench figure", name, unit, *(f"{s:.9g}" for s in samples), flush=True)


def ratio_note(what, samples, unit):
    """For who watches: lowest, middle, highest."""
    ordered = sorted(samples)
    note(f"{what}: {ordered[0]:.4g}, {ordered[len(ordered) // 2]:.4g}, {ordered[-1]:.4g} {unit} (lowest, middle, highest of {len(ordered)})")
