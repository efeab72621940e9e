"""Whose turn it is: how much of each lane a worker claims next, so that no endpoint, and behind one endpoint no domain
and no county, keeps another from its turn, and grades Ⅰ and Ⅱ overtake."""

from collections.abc import Callable, Iterable

from sqlalchemy import Row

from citybrain.dispatch.lane import GRAVE, rank
from citybrain.store.lanes import owner_of, shares

BEYOND = 200  # grave ones that a worker takes although it has its hands full
Room = Callable[[str, bool], int]  # of an endpoint: how many more, grave or not


def lane_of(endpoint_id: str, grade: int, domain: str | None, county: str | None) -> str:
    """The lane of a delivery: whoever has a turn of its own behind an endpoint."""
    return f"{endpoint_id}.{grade}.{domain or ''}.{county or ''}"


def grade_of(lane: str) -> int:
    return int(lane.split(".", 2)[1])


class Turns:
    """Remembers who had the last turns, where there are not enough for all."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._now = 0

    def choose(self, due: Iterable[Row[str, int]], room: Callable[[str], int], total: int) -> dict[str, int]:
        """How many of each lane: the gravest and those that had no turn for the longest time first, an equal part of
        `total` for each endpoint and of an endpoint's `room` for each of its lanes."""
        oldest = {row[0]: row[1] for row in due}
        lanes: dict[str, list[str]] = {}
        for lane in sorted(oldest, key=lambda lane: (rank(grade_of(lane)), self._last.get(lane, 0), oldest[lane])):
            lanes.setdefault(owner_of(lane), []).append(lane)
        takes: dict[str, int] = {}
        for number, (endpoint, its) in enumerate(lanes.items()):
            fair = max(total // (len(lanes) - number), min(total, 1))
            found = shares(its, min(room(endpoint), fair))
            total -= sum(found.values())
            takes |= found
        self._now += 1
        self._last |= dict.fromkeys(takes, self._now)
        return takes

    def forget(self, due: Iterable[Row[str, int]]) -> None:
        """All but those in which something waits: whoever comes back begins anew."""
        present = {row[0] for row in due}
        self._last = {lane: turn for lane, turn in self._last.items() if lane in present}


def is_grave(lane: str) -> bool:
    return grade_of(lane) <= GRAVE
