"""The history of coverage as a drawing: a line that steps from day to day, declared and earned. A day without data is
a gap, never a zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 500, 200
LEFT, RIGHT, TOP, BOTTOM = 58, 494, 10, 172  # of the plot
LABELS = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One day across the plot."""

    x: float
    width: float
    item: dict[str, Any]
    label: str = ""  # its date, where the axis has room


@dataclass(frozen=True, slots=True)
class Chart:
    columns: list[Column]
    lines: list[tuple[int, int]]  # of every quarter: percent, y
    declared: str  # path data
    earned: str
    declared_days: list[dict[str, Any]]  # those that have a figure
    earned_days: list[dict[str, Any]]

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


def chart(items: Sequence[dict[str, Any]]) -> Chart:
    """Of the history's items, a day each, in order."""
    step = (RIGHT - LEFT) / len(items)
    every = -(-len(items) // LABELS)
    columns = [
        Column(round(LEFT + number * step, 1), round(step, 1), item, "" if number % every else item["day"][5:])
        for number, item in enumerate(items)
    ]
    return Chart(
        columns,
        [(percent, round(_y(percent))) for percent in (0, 25, 50, 75, 100)],
        _path([item["declared"]["percent"] for item in items], step),
        _path([item["earned"]["percent"] for item in items], step),
        [item for item in items if item["declared"]["percent"] is not None],
        [item for item in items if item["earned"]["percent"] is not None],
    )


def _path(percents: Sequence[float | None], step: float) -> str:
    parts: list[str] = []
    drawing = False
    for number, percent in enumerate(percents):
        if percent is not None:
            start, end = LEFT + number * step, LEFT + (number + 1) * step
            parts.append(f"{f'V{_y(percent):.1f}' if drawing else f'M{start:.1f} {_y(percent):.1f}'}H{end:.1f}")
        drawing = percent is not None
    return "".join(parts)


def _y(percent: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * percent / 100
