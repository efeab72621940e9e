"""Counting spans of time for many moments at once gives what looking at each moment gives."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from citybrain.indicators.spans import FOREVER, Spans, count, pairs, union

SPAN = st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 30))


def made(rows: list[tuple[int, int, int]]) -> Spans:
    columns = np.array(rows, np.int64).reshape(-1, 3)
    return Spans(columns[:, 0], columns[:, 1], columns[:, 2])


@given(st.lists(SPAN, max_size=30), st.lists(st.integers(0, 31), min_size=1, max_size=20))
def test_a_count_is_the_units_covered_at_each_moment(rows: list[tuple[int, int, int]], moments: list[int]) -> None:
    moments = sorted(moments)
    found = count(union(made(rows)), np.array(moments, np.int64), 3)
    for group in range(3):
        for index, at in enumerate(moments):
            covered = {unit for unit, start, end in rows if unit % 3 == group and start <= at < end}
            assert found[group, index] == len(covered)


@given(st.lists(SPAN, max_size=30))
def test_a_union_has_no_two_spans_that_touch(rows: list[tuple[int, int, int]]) -> None:
    spans = union(made(rows))
    for unit in range(6):
        mine = sorted(zip(spans.start[spans.unit == unit], spans.end[spans.unit == unit], strict=True))
        assert all(start < end for start, end in mine)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(mine))


def test_what_never_ends_is_counted_in_every_later_unit_alone() -> None:
    spans = union(made([(0, 5, FOREVER), (1, 3, 4), (24_958, 0, FOREVER + 10)]))
    assert count(spans, np.array([3, 2_000_000_000_000], np.int64), 24_959).sum(axis=0).tolist() == [2, 2]


@given(st.lists(st.integers(0, 6), max_size=20), st.lists(st.integers(0, 6), max_size=20))
def test_pairs_are_those_of_a_join(left: list[int], right: list[int]) -> None:
    found = pairs(np.array(left, np.int64), np.array(right, np.int64))
    expected = {(i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a == b}
    assert set(zip(found[0].tolist(), found[1].tolist(), strict=True)) == expected
    assert len(found[0]) == len(expected)
