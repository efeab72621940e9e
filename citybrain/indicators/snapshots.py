"""Daily snapshots of coverage: each ended day once, by patrol, so that history is read and not computed; they can be
computed again at any time, and must be equal."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from citybrain.clock import rfc3339
from citybrain.indicators.activity import Observed
from citybrain.indicators.coverage import figures, share
from citybrain.indicators.days import day_of, days_between, end_of, state_of
from citybrain.indicators.evidence import evidence_at, read_evidence
from citybrain.indicators.kinds import record_begins
from citybrain.indicators.scope import Scope, levels_of
from citybrain.installation import Installation
from citybrain.store.coverage_tables import coverage_snapshots
from citybrain.store.upsert import insert_or

SETTLED_MS = 10 * 60 * 1000  # after midnight: what was answered before is committed by then
AT_ONCE = 31  # days: their evidence lies in memory

History = list[dict[str, Any]]


def take_due(here: Installation) -> int:
    """Takes the snapshots of every ended day that has none yet. Returns how many days."""
    with here.store.read() as tx:
        days = _days_due(tx, here)
        rows = [row for day in days for row in _computed(tx, here, [day])]  # alone, since its month lies in memory else
    if rows:
        with here.store.write() as tx:
            tx.execute(insert_or(tx.dialect, coverage_snapshots).on_conflict_do_nothing(), rows)
    return len(days)


def differing(tx: Connection, here: Observed, first: date, last: date) -> list[str]:
    """The snapshots that the record no longer gives, as `day level basis`."""
    kept = {(row.day, row.level, row.basis): row for row in _kept(tx, first, last)}
    if not kept:
        return []
    days = days_between(date.fromisoformat(min(day for day, _, _ in kept)), date.fromisoformat(max(kept)[0]))
    compared = ("total", "declared", "earned")
    return [
        f"{row['day']} {row['level']} {row['basis']}"
        for row in _computed(tx, here, days)
        if (was := kept.get((row["day"], row["level"], row["basis"])))
        and any(getattr(was, name) != row[name] for name in compared)
    ]


def history(
    tx: Connection, here: Observed, scope: Scope, first: date, last: date, include_demo: bool, recompute: bool
) -> History:
    """A figure a day. Where it was kept it is the snapshot's; `recompute` computes it anyway and says if it differs."""
    city, now = here.city, here.clock()
    days = days_between(first, last)
    whole = scope.all_of_level and not include_demo
    kept = _by_day(tx, scope, first, last) if whole else {}
    wanted = [day for day in days if recompute or day.isoformat() not in kept]
    moments = [state_of(day, now, city.zone) for day in wanted]
    computed: dict[date, dict[str, Any]] = {}
    if moments:
        found, _ = figures(tx, here, scope, moments, include_demo)
        computed = {day: found.at(index) for index, day in enumerate(wanted)}
    items = []
    for day in days:
        at = state_of(day, now, city.zone)
        item = {"day": day.isoformat(), "at": rfc3339(at, city.zone), "projected": at > now}
        snapshot = kept.get(day.isoformat())
        item |= computed[day] if day in computed else _shown(snapshot)
        item["source"] = "record" if day in computed else "snapshot"
        if day in computed and snapshot is not None:
            item["differs"] = _differs(snapshot, computed[day])
        items.append(item)
    return items


def _days_due(tx: Connection, here: Observed) -> list[date]:
    zone = here.city.zone
    begun = record_begins(tx)
    if begun is None:
        return []
    last = day_of(here.clock() - SETTLED_MS, zone) - timedelta(days=1)
    latest = tx.execute(select(func.max(coverage_snapshots.c.day))).scalar()
    first = date.fromisoformat(latest) + timedelta(days=1) if latest else day_of(begun, zone)
    first = max(first, here.city.registry.begins)
    return days_between(first, min(last, first + timedelta(days=AT_ONCE - 1)))


def _computed(tx: Connection, here: Observed, days: Sequence[date]) -> Iterator[dict[str, Any]]:
    """The row of each day, level and basis."""
    city, now = here.city, here.clock()
    if not days:
        return
    moments = [end_of(day, city.zone) for day in days]
    bases = list(city.registry.bases.values())
    scopes = [Scope(city, level, None, city.divisions.level(level), bases[0]) for level in levels_of(city)]
    if len(days) == 1:
        evidence = evidence_at(tx, scopes, moments, now)
    else:
        evidence = read_evidence(tx, scopes[-1], moments[0], moments[-1])
    for scope in scopes:
        found, _ = figures(tx, here, scope, moments, include_demo=False, evidence=evidence)
        for index, day in enumerate(days):
            for basis in bases:
                at = found.at(index, basis)
                yield {
                    "day": day.isoformat(),
                    "level": scope.level,
                    "basis": basis.code,
                    "divisions": len(scope.divisions),
                    "industries": len(basis.industries),
                    "total": at["total"],
                    "declared": at["declared"]["covered"],
                    "earned": at["earned"]["covered"],
                    "window_days": city.file.coverage.window_days,
                    "taken_at": now,
                }


def _kept(tx: Connection, first: date, last: date) -> Sequence[Row[Any]]:
    within = coverage_snapshots.c.day.between(first.isoformat(), last.isoformat())
    return tx.execute(select(coverage_snapshots).where(within).order_by(coverage_snapshots.c.day)).all()


def _by_day(tx: Connection, scope: Scope, first: date, last: date) -> dict[str, Row[Any]]:
    rows = _kept(tx, first, last)
    return {row.day: row for row in rows if row.level == scope.level and row.basis == scope.basis.code}


def _shown(row: Any) -> dict[str, Any]:
    return {"total": row.total, "declared": share(row.declared, row.total), "earned": share(row.earned, row.total)}


def _differs(row: Row[Any], computed: dict[str, Any]) -> bool:
    now = (computed["total"], computed["declared"]["covered"], computed["earned"]["covered"])
    return (row.total, row.declared, row.earned) != now
