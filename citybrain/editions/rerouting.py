"""What another edition would make of what is recorded: open cases that would change owner, past events that would land
elsewhere. Everything is read, located again and compared; nothing is changed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from citybrain.casework.case import ENDED
from citybrain.installation import Installation
from citybrain.intake.placing import locate_again
from citybrain.store.tables import cases, events
from geo.locator import Locator
from geo.place import PLACE_LEVELS, Place

AT_ONCE = 2_000
MOST_ITEMS = 1_000  # listed; all are counted
MOST_PAIRS = 500
MOST_EVENTS = 200_000  # rerouted by one request; the command line has no limit

Codes = Mapping[str, str | None]


@dataclass
class DryRun:
    """Open cases that would have another division or department. Cells are counted apart: they are nobody's."""

    open: int = 0
    changed: int = 0
    other_cell_only: int = 0
    items: list[dict[str, Any]] = field(default_factory=list)
    departments: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    divisions: Counter[tuple[str, str | None, str | None]] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {
            "open": self.open,
            "changed": self.changed,
            "other_cell_only": self.other_cell_only,
            "departments": [
                {"before": a, "after": b, "cases": n} for (a, b), n in self.departments.most_common(MOST_PAIRS)
            ],
            "divisions": _pairs(self.divisions, "cases"),
            "items": self.items,
            "left_off": self.changed - len(self.items),
            "map": {"type": "FeatureCollection", "features": [_feature(item) for item in self.items if item["wgs84"]]},
        }


def dry_run(here: Installation, locator: Locator, scope: ColumnElement[bool]) -> DryRun:
    found = DryRun()
    for rows in _pages(here, select(cases), cases.c.id, scope & cases.c.status.not_in(ENDED)):
        with here.store.read() as tx:
            locations = _locations(tx, rows)
        places = locate_again(locations, here.city, locator)
        for row, location, place in zip(rows, locations, places, strict=True):
            _compare(found, row, location, place, here)
    return found


def _pages(
    here: Installation, query: Any, key: Any, where: ColumnElement[bool], after: str = ""
) -> Iterator[Sequence[Row[Any]]]:
    """By key, each page in a snapshot of its own: what comes meanwhile is no part of the question."""
    while True:
        with here.store.read() as tx:
            rows = tx.execute(query.where(where, key > after).order_by(key).limit(AT_ONCE)).all()
        if rows:
            yield rows
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].id


def _locations(tx: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Where each case was reported to be; where somebody has moved it, the place it was moved to."""
    ids = [row.id for row in rows]
    first = select(func.min(events.c.id)).where(events.c.case_id.in_(ids)).group_by(events.c.case_id)
    reports = tx.execute(select(events.c.case_id, events.c.location, events.c.place).where(events.c.id.in_(first)))
    reported: dict[str, Any] = {row.case_id: row for row in reports}
    return [_location(row, reported.get(row.id)) for row in rows]


def _location(row: Row[Any], report: Row[Any] | None) -> dict[str, Any]:
    if report is not None and _spot(report.place) == _spot(row.place):
        return dict(report.location)
    if point := row.place["wgs84"]:
        return {**point, "datum": "wgs84"}
    finest = next((code for level in reversed(PLACE_LEVELS) if (code := getattr(row, level))), None)
    return {"division_code": finest, "datum": "wgs84"} if finest else {"address": "-", "datum": "wgs84"}


def _spot(place: Mapping[str, Any]) -> Any:
    return place["wgs84"] or [(place[level] or {}).get("code") for level in PLACE_LEVELS]


def _compare(found: DryRun, row: Row[Any], location: Mapping[str, Any], place: Place, here: Installation) -> None:
    found.open += 1
    before, after = {level: getattr(row, level) for level in PLACE_LEVELS}, place.codes
    owners = [here.responsible(row.domain, row.type, codes) for codes in (before, after)]
    changed = [level for level in PLACE_LEVELS if before[level] != after[level] and level != "cell"]
    if not changed and owners[0] == owners[1]:
        found.other_cell_only += before["cell"] != after["cell"]
        return
    found.changed += 1
    for level in changed:
        found.divisions[level, before[level], after[level]] += 1
    if owners[0] != owners[1]:
        changed.append("department")
        found.departments[owners[0], owners[1]] += 1
    if len(found.items) < MOST_ITEMS:
        found.items.append(
            {
                **{name: getattr(row, name) for name in ("id", "number", "domain", "type", "grade", "status", "title")},
                "lead": row.lead,
                "changed": changed,
                "before": {"codes": before, "department": owners[0]},
                "after": {"codes": after, "department": owners[1], "method": place.method},
                "wgs84": row.place["wgs84"],
            }
        )


def _feature(item: Mapping[str, Any]) -> dict[str, Any]:
    point = item["wgs84"]
    properties = {name: value for name, value in item.items() if name != "wgs84"}
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Point", "coordinates": [point["lng"], point["lat"]]},
    }


@dataclass
class Rerouted:
    """Events since a moment, as recorded and as another edition would place them."""

    events: int = 0
    elsewhere: int = 0
    other_owner: int = 0
    complete: bool = True
    seen: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    moved: Counter[tuple[str, str | None, str | None]] = field(default_factory=Counter)
    owners: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "elsewhere": self.elsewhere,
            "other_owner": self.other_owner,
            "complete": self.complete,
            "by_division": self._by_division(),
            "moved": _pairs(self.moved, "events"),
            "departments": [
                {"before": a, "after": b, "events": n} for (a, b), n in self.owners.most_common(MOST_PAIRS)
            ],
        }

    def _by_division(self) -> list[dict[str, Any]]:
        leave: Counter[tuple[str, str | None]] = Counter()
        arrive: Counter[tuple[str, str | None]] = Counter()
        for (level, before, after), number in self.moved.items():
            leave[level, before] += number
            arrive[level, after] += number
        every = sorted({*self.seen, *arrive}, key=lambda at: (PLACE_LEVELS.index(at[0]), at[1] or ""))
        return [
            {
                "level": level,
                "code": code,
                "events": self.seen[level, code],
                "leave": leave[level, code],
                "arrive": arrive[level, code],
            }
            for level, code in every
        ]


def reroute(
    here: Installation,
    locator: Locator,
    scope: ColumnElement[bool],
    since: int,
    until: int,
    most: int | None = None,
    told: Callable[[int], None] | None = None,
) -> Rerouted:
    """Events received from `since` to `until`, in ms; the first `most` of them, oldest first. Cells do not count."""
    found = Rerouted()
    typed = select(events, cases.c.type.label("case_type")).join(cases, cases.c.id == events.c.case_id, isouter=True)
    where = scope & (events.c.id < f"{until:012x}")
    for rows in _pages(here, typed, events.c.id, where, after=f"{since:012x}"):
        places = locate_again([row.location for row in rows], here.city, locator)
        for row, place in zip(rows, places, strict=True):
            _count(found, row, place, here)
        if told:
            told(found.events)
        if most is not None and found.events >= most:
            found.complete = False
            break
    return found


def _count(found: Rerouted, row: Row[Any], place: Place, here: Installation) -> None:
    found.events += 1
    before, after = {level: getattr(row, level) for level in PLACE_LEVELS}, place.codes
    divided = [level for level in here.city.levels if level != "cell"]
    for level in divided:
        found.seen[level, before[level]] += 1
    changed = [level for level in divided if before[level] != after[level]]
    for level in changed:
        found.moved[level, before[level], after[level]] += 1
    found.elsewhere += bool(changed)
    owners = [here.responsible(row.domain, row.case_type, codes) for codes in (before, after)]
    if owners[0] != owners[1]:
        found.other_owner += 1
        found.owners[owners[0], owners[1]] += 1


def _pairs(counted: Counter[tuple[str, str | None, str | None]], what: str) -> list[dict[str, Any]]:
    return [{"level": level, "before": a, "after": b, what: n} for (level, a, b), n in counted.most_common(MOST_PAIRS)]
