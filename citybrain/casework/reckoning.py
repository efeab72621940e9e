"""How a case's due time came about, step by step, so that a person can check it by hand: its ledger says what moved the
clock, and the clock that computed the due time computes each step once more, with the days that it counts."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from citybrain.casework.handling_clock import due_again, due_moment, left_seconds
from citybrain.casework.supervision import moments_of
from citybrain.city import City
from citybrain.clock import rfc3339, to_datetime
from citybrain.deadline import Day, Limit, clock_of
from citybrain.store.ledger_tables import ledger

BEGINS, BEGINS_AGAIN = "dispatched", ("reworked", "reopened")
MOVES = ("extended", "suspended", "resumed")
STOPS = ("completed", "closed", "voided", "merged_into")
DAYS = 400  # of one step that are listed

Step = dict[str, Any]


def reckoning(tx: Connection, row: Row[Any], city: City) -> dict[str, Any] | None:
    """`steps` in their order: `started` with the whole limit (again after a rework), `extended`, `suspended`, `resumed`
    with what was left, `stopped`. Those that run have the `due_at` that they lead to and, in working time, `days`: each
    day's `kind` (`workday, makeup, weekend, holiday`) and the spans that count. `thresholds` say when supervision is
    raised and when it was. `agrees` is false where the calendar in use is not the one that it was reckoned by."""
    if row.limit_unit is None or row.started_at is None:
        return None
    entries = _entries(tx, row.id)
    steps, due_at = _steps(entries, row, city)
    if not steps:
        return None
    calendar, limit = city.calendar, Limit(row.limit_amount, row.limit_unit)
    began, until = to_datetime(row.started_at), to_datetime(row.due_at or due_at or row.started_at)
    return {
        "clock": limit.clock,
        "limit": {"amount": limit.amount, "unit": limit.unit},
        "limit_seconds": round(calendar.seconds_of(limit)),
        "day_seconds": calendar.day_seconds,
        "hours": calendar.hours,
        "steps": steps,
        "due_at": rfc3339(row.due_at, city.zone),
        "agrees": due_at == row.due_at,
        "thresholds": _thresholds(entries, row, city) if row.due_at else [],
        "unpublished_years": calendar.unpublished(began, until) if limit.clock == "working" else [],
    }


def _entries(tx: Connection, case_id: str) -> Sequence[Any]:
    wanted = (BEGINS, *BEGINS_AGAIN, *MOVES, *STOPS, "supervised")
    mine = (ledger.c.chain == case_id) & ledger.c.action.in_(wanted)
    return tx.execute(select(ledger.c.at, ledger.c.action, ledger.c.data).where(mine).order_by(ledger.c.seq)).all()


def _steps(entries: Sequence[Any], row: Row[Any], city: City) -> tuple[list[Step], int | None]:
    """With the due time that they lead to; None while the clock stands still."""
    steps: list[Step] = []
    due_at: int | None = None
    left: int | None = None
    unit = row.limit_unit
    for entry in entries:
        data, at = orjson.loads(entry.data), entry.at
        if entry.action in BEGINS_AGAIN or (entry.action == BEGINS and not steps):
            due_at = due_moment(city.calendar, at, row.limit_amount, unit)
            begun = {"step": "started", "because": entry.action, "seconds": _limit_seconds(row, city)}
            steps = [begun | _running(at, due_at, unit, city)]
        elif entry.action == "extended":
            steps.append(_extended(at, due_at, data, unit, city))
            due_at = data["until"]
        elif entry.action == "suspended":
            left, due_at = left_seconds(due_at, unit, at, city), None
            steps.append({"step": "suspended", "left_seconds": left} | _moments(city, at=at, until=data["until"]))
        elif entry.action == "resumed":
            due_at = due_again(left, unit, at, city)
            again = _running(at, due_at, unit, city) if due_at is not None else _moments(city, at=at)
            steps.append({"step": "resumed", "seconds": left} | again)
        elif entry.action in STOPS and steps:
            stopped = {"step": "stopped", "because": entry.action, "left_seconds": left_seconds(due_at, unit, at, city)}
            steps.append(stopped | _moments(city, at=at))
    return steps, due_at


def _limit_seconds(row: Row[Any], city: City) -> int:
    return round(city.calendar.seconds_of(Limit(row.limit_amount, row.limit_unit)))


def _running(at: int, due_at: int, unit: str, city: City) -> Step:
    first, last = sorted((to_datetime(at), to_datetime(due_at)))
    days = city.calendar.days(first, last) if clock_of(unit) == "working" else []
    listed = [_day(day) for day in days[:DAYS]]
    return _moments(city, at=at, due_at=due_at) | {"days": listed, "more_days": max(0, len(days) - DAYS)}


def _day(day: Day) -> dict[str, Any]:
    spans = [(begin.isoformat(), end.isoformat()) for begin, end in day.spans]
    seconds = sum((end - begin).total_seconds() for begin, end in day.spans)
    return {"date": day.on.isoformat(), "kind": day.kind, "spans": spans, "seconds": round(seconds)}


def _extended(at: int, due_at: int | None, data: dict[str, Any], unit: str, city: City) -> Step:
    adds = left_seconds(data["until"], unit, data["before"], city)
    moments = _moments(city, at=at, before=due_at, due_at=data["until"])
    return {"step": "extended", "seconds": adds, "reason": data.get("reason")} | moments


def _thresholds(entries: Sequence[Any], row: Row[Any], city: City) -> list[dict[str, Any]]:
    raised: dict[int, int] = {}
    for entry in entries:
        data = orjson.loads(entry.data)
        if entry.action in BEGINS_AGAIN:
            raised.clear()
        elif entry.action == "supervised" and data.get("level") and "work_order" not in data:
            raised[data["level"]] = entry.at
    rows = zip(city.practice.thresholds, moments_of(dict(row._mapping), city), strict=True)
    return [
        {"code": threshold.code, "name": threshold.name, "level": level}
        | _moments(city, at=at, raised_at=raised.get(level))
        for level, (threshold, at) in enumerate(rows, 1)
    ]


def _moments(city: City, **moments: int | None) -> dict[str, Any]:
    return {name: rfc3339(at, city.zone) for name, at in moments.items()}
