# SPDX-License-Identifier: GPL-2.0
"""The median of some runs, and how well it is known.

Room: arithmetic. Where the numbers come from, and whether they are good enough, is not known here.
"""
import math

CONFIDENCE = 0.95
FEWEST = 6      # of five runs not even the lowest and the highest enclose the median with that confidence


class TooFew(ValueError):
    """So few runs have no interval."""


def median(runs):
    runs = sorted(runs)
    middle = len(runs) // 2
    return runs[middle] if len(runs) % 2 else (runs[middle - 1] + runs[middle]) / 2


def interval(runs):
    """(lowest, highest) that the median is between with 95 %: two of the runs, by their order.

    Each run is above the true median as often as below, whatever their distribution: so how many are below it is a binomial number.
    """
    runs, number = sorted(runs), len(runs)
    if number < FEWEST:
        raise TooFew(f"{number} runs have no interval of {CONFIDENCE:.0%}: make at least {FEWEST}")
    outside, left = 0, 0
    while True:
        outside += math.comb(number, left)
        if 2 * outside > (1 - CONFIDENCE) * 2 ** number:
            return runs[left - 1], runs[number - left]
        left += 1
