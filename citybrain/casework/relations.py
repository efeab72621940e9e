"""How cases belong together: parents and children of an area, what inhibits what, what came again after it was reported
done; and which open cases near one may be about the same thing."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select, true, update

from citybrain.casework.case import Status, is_muted
from citybrain.casework.joining import KEYS, METRES_A_DEGREE, metres_between
from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.keys import Key, cases_visible
from citybrain.store.silence_tables import silences
from citybrain.store.tables import IN_WORK, cases

SHOWN = 200
NEAR_M = 500.0
WITHIN_MS = 72 * 3600 * 1000
SUGGESTED = 20
LOOKED_AT = 2_000
KEPT = (cases.c.status == Status.FILED) & or_(cases.c.silence_id.isnot(None), cases.c.inhibited_by.isnot(None))
MUTED = KEPT & cases.c.stage_due_at.is_(None)
LINKS = {"related_to": "continued_by", "parent_id": "child", "inhibited_by": "inhibits"}  # and seen from the other end
NAMED = {"related_to": "related", "parent_id": "parent", "inhibited_by": "inhibited_by"}


def relations(tx: Connection, row: Row[Any], key: Key, city: City) -> list[dict[str, Any]]:
    """The cases that this one belongs with, as far as the key may see them; the oldest first."""
    columns = [cases.c[name] for name in ("id", "number", "status", "type", "title", "town", "event_count", *LINKS)]
    own = {getattr(row, name): kind for name, kind in NAMED.items() if getattr(row, name)}
    linked = or_(cases.c.id.in_(own), *(cases.c[name] == row.id for name in LINKS))
    found = select(*columns).where(linked, cases_visible(key, city)).order_by(cases.c.id).limit(SHOWN)
    return [
        {"kind": own.get(each.id) or next(kind for name, kind in LINKS.items() if getattr(each, name) == row.id)}
        | {name: getattr(each, name) for name in ("id", "number", "status", "type", "title", "event_count")}
        for each in tx.execute(found)
    ]


def muted_by(tx: Connection, row: Row[Any], city: City) -> dict[str, Any] | None:
    """Why nobody was dispatched, as long as nobody is."""
    if not is_muted(row._asdict()):
        return None
    if row.inhibited_by:
        return {"by": "warning", "case_id": row.inhibited_by}
    silence = tx.execute(select(silences).where(silences.c.id == row.silence_id)).one()
    until = rfc3339(silence.ends_at, city.zone)
    return {"by": "silence", "silence_id": silence.id, "reason": silence.reason, "until": until}


def look_again(tx: Connection, ended: Sequence[str], by: str, now: int) -> None:
    """What these silences, or warnings' cases, have muted (`by`: silence_id or inhibited_by) is looked at by patrol."""
    if ended:
        tx.execute(update(cases).where(cases.c[by].in_(ended), MUTED).values(look_at=now))


def suggestions(tx: Connection, row: Row[Any], key: Key, city: City) -> list[dict[str, Any]]:
    """Open cases of the same domain that may be about the same thing: the same device, or the same type or not decided
    which, within 500 m and three days. The likeliest first, each with why."""
    own = [key for key in (row.merge_key, row.second_key) if key]
    same = or_(*(cases.c[name].in_(own) for name in KEYS)) if own else cases.c.id.is_(None)
    near = _near(row)
    columns = [cases.c[name] for name in ("id", "number", "status", "type", "title", "grade", "event_count")]
    columns += [cases.c[name] for name in ("lng", "lat", *KEYS, "opened_at", "last_event_at", "version")]
    mine = (cases.c.domain == row.domain) & (cases.c.id != row.id) & IN_WORK & cases_visible(key, city)
    alike = or_(cases.c.type == row.type, cases.c.type.is_(None)) if row.type else true()
    found = tx.execute(select(*columns).where(mine, or_(same, near & alike)).limit(LOOKED_AT)).all()
    told = [_told(row, other, city) for other in found]
    best = sorted((each for each in told if each["why"]), key=lambda each: (-len(each["why"]), each["distance_m"] or 0))
    return best[:SUGGESTED]


def _near(row: Row[Any]) -> ColumnElement[bool]:
    if row.lng is None:
        return cases.c.id.is_(None)
    degrees = NEAR_M / METRES_A_DEGREE
    wide = degrees * 2.5  # of longitude, for cities up to 66 degrees north; the distance decides
    when = cases.c.last_event_at.between(row.opened_at - WITHIN_MS, (row.last_event_at or row.opened_at) + WITHIN_MS)
    return cases.c.lat.between(row.lat - degrees, row.lat + degrees) & cases.c.lng.between(
        row.lng - wide, row.lng + wide) & when  # fmt: skip


def _told(row: Row[Any], other: Row[Any], city: City) -> dict[str, Any]:
    away = None
    if row.lng is not None and other.lng is not None:
        away = round(metres_between({"lng": row.lng, "lat": row.lat}, {"lng": other.lng, "lat": other.lat}))
    apart = abs((other.last_event_at or other.opened_at) - row.opened_at) // 60_000
    own = {row.merge_key, row.second_key} - {None}
    why = ["same_thing"] if own & {other.merge_key, other.second_key} else []
    if away is not None and away <= NEAR_M:
        why += ["near", *(["same_type"] if row.type and other.type == row.type else [])]
    plain = ("id", "number", "status", "type", "title", "grade", "event_count", "version")
    return {name: getattr(other, name) for name in plain} | {
        "distance_m": away,
        "minutes_apart": apart,
        "opened_at": rfc3339(other.opened_at, city.zone),
        "why": why,
    }
