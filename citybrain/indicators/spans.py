"""Spans of time in which a unit (a division and an industry) is covered, counted for many moments at once.

Times are milliseconds, spans half-open: covered from `start` until just before `end`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
FOREVER = 2**42 - 1  # the year 2109; a unit's number and a time share 63 bits
_TIME_BITS = 42


@dataclass(frozen=True, slots=True)
class Spans:
    """Parallel arrays."""

    unit: Ints
    start: Ints
    end: Ints

    @classmethod
    def none(cls) -> Spans:
        return cls(*(np.empty(0, np.int64) for _ in range(3)))

    def only(self, rows: NDArray[np.bool_]) -> Spans:
        return Spans(self.unit[rows], self.start[rows], self.end[rows])


def union(spans: Spans) -> Spans:
    """The same time, each unit's spans apart from each other, by unit and start."""
    real = spans.start < spans.end
    unit, start, end = spans.unit[real], np.maximum(spans.start[real], 0), np.minimum(spans.end[real], FOREVER)
    if not len(unit):
        return Spans.none()
    order = np.lexsort((start, unit))
    unit, first, last = unit[order], start[order], end[order]
    begins, ends = (unit << _TIME_BITS) + first, (unit << _TIME_BITS) + last
    reached = np.maximum.accumulate(ends)  # a later unit begins above whatever an earlier one reached
    heads = np.flatnonzero(np.concatenate(([True], begins[1:] > reached[:-1])))
    return Spans(unit[heads], first[heads], np.maximum.reduceat(last, heads))


def count(spans: Spans, moments: Ints, groups: int) -> Ints:
    """How many units of each group (unit modulo `groups`) are covered at each of the ascending moments.

    `spans` is a union. Shape (groups, moments).
    """
    change = np.zeros((groups, len(moments) + 1), np.int64)
    group = spans.unit % groups
    np.add.at(change, (group, np.searchsorted(moments, spans.start)), 1)
    np.add.at(change, (group, np.searchsorted(moments, spans.end)), -1)
    return np.cumsum(change, axis=1)[:, :-1]


def pairs(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Indices of every pair with the same value, as a join of two columns gives them; values are 0 and above."""
    if not len(left) or not len(right):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    size = int(max(left.max(), right.max())) + 1
    order = np.argsort(right, kind="stable")
    found = np.bincount(right, minlength=size)
    first = np.cumsum(found) - found
    number = found[left]
    of_left = np.repeat(np.arange(len(left)), number)
    within = np.arange(len(of_left)) - np.repeat(np.cumsum(number) - number, number)
    return of_left, order[np.repeat(first[left], number) + within]
