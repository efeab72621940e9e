"""Attachments 附件: photos from before and after, of an event or a case. Kept by their content beside the record; that
one was added stands in the case's ledger, with how far from the reported place it was taken."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from citybrain.casework.amendment import load
from citybrain.casework.joining import metres_between
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.intake.photo import Photo
from citybrain.keys import Key, May, any_of, cases_visible, events_visible
from citybrain.problem import FieldError, Problem, not_found
from citybrain.store.attachment_tables import SEEN_WITH, attachments, blobs
from citybrain.store.ids import new_id
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events
from citybrain.store.upsert import insert_or

KINDS = ("before", "after")
MOST = 50  # of one event or case
EVIDENCE = 12  # of each kind that a task of verification shows
FACTS = ("sha256", "media_type", "width", "height")


def owner_of(tx: Connection, event_id: str | None, case_id: str | None, key: Key, city: City) -> Row[Any]:
    """The event or case that it is added to, if the key may see it. Raises Problem 404."""
    columns: list[ColumnElement[Any]]
    if case_id is not None:
        columns = [cases.c.id, cases.c.place]
        mine = or_(cases.c.id == case_id, cases.c.number == case_id) & cases_visible(key, city)
    else:
        columns = [events.c.id, events.c.place, events.c.case_id]
        mine = (events.c.id == event_id) & events_visible(key, city)
    found = tx.execute(select(*columns).where(mine)).first()
    if found is None:
        raise not_found("event" if case_id is None else "case")
    return found


def attach(
    tx: Connection, owner: Row[Any], of: str, kind: str, photo: Photo, actor: str, city: City, now: int
) -> tuple[str, bool]:
    """Its id, and whether it is new: the same photo again is the same attachment. `of`: event_id or case_id."""
    mine = attachments.c[of] == owner.id
    case_id = owner.id if of == "case_id" else owner.case_id
    amendment = load(tx, case_id, actor, now) if case_id else None  # who adds one to a case waits for the other
    if of == "case_id" and amendment and amendment.case["merged_into"]:
        raise _merged_away(tx, amendment.case, city)
    same = mine & (attachments.c.kind == kind) & (attachments.c.original_sha256 == photo.original_sha256)
    if known := tx.execute(select(attachments.c.id).where(same)).scalar():
        return str(known), False
    if tx.execute(select(func.count()).select_from(attachments).where(mine)).scalar_one() >= MOST:
        raise Problem(409, f"there are {MOST} photos already, which is the most")
    columns = {name: getattr(photo, name) for name in ("sha256", "media_type", "width", "height", "content")}
    kept = insert_or(tx.dialect, blobs).values(**columns, thumbnail=photo.thumbnail)
    erased = func.length(blobs.c.content) == 0  # by the rules of retention, and now there is reason to keep it again
    content = {"content": photo.content, "thumbnail": photo.thumbnail}
    tx.execute(kept.on_conflict_do_update(index_elements=[blobs.c.sha256], set_=content, where=erased))
    told: dict[str, Any] = {"kind": kind, "sha256": photo.sha256, "original_sha256": photo.original_sha256}
    told["distance_m"] = _distance(photo, owner.place)
    row = told | {"id": new_id(), of: owner.id, "actor": actor, "received_at": now}
    tx.execute(insert(attachments).values(**row))
    if amendment is not None:
        about = {"event": owner.id} if of == "event_id" else {}
        amendment.note("attached", attachment=row["id"], **told, **about)
        write(tx, [amendment], city)
    return str(row["id"]), True


def _merged_away(tx: Connection, case: Mapping[str, Any], city: City) -> Problem:
    merging = (ledger.c.chain == case["id"]) & (ledger.c.action == "merged_into")
    entry = tx.execute(select(ledger.c.actor, ledger.c.at).where(merging)).one()
    first = f"{entry.actor} acted first (merged_into, {rfc3339(entry.at, city.zone)})"
    return Problem(409, f"{first}: this case was merged into {case['merged_into']}: add the photo there")


def _distance(photo: Photo, place: Mapping[str, Any]) -> int | None:
    """Metres between where it was taken and the reported place; None where either is not known."""
    point = place.get("wgs84")
    if photo.position is None or point is None:
        return None
    lng, lat = photo.position
    return round(metres_between({"lng": lng, "lat": lat}, point))


def visible(tx: Connection, attachment_id: str, key: Key, city: City, *columns: ColumnElement[Any]) -> Row[Any]:
    """Raises Problem 404 for what belongs to nothing that the key may see."""
    joined = attachments.join(blobs, blobs.c.sha256 == attachments.c.sha256)
    query = select(*columns).select_from(joined).where(attachments.c.id == attachment_id, _seen_by(key, city))
    row = tx.execute(query).first()
    if row is None:
        raise not_found("attachment")
    return row


def _seen_by(key: Key, city: City) -> ColumnElement[bool]:
    """Those of the events and cases that it sees, and those of the events in these cases."""
    seen = []
    if key.may(May.READ_EVENTS):
        seen.append(any_of(events, events.c.id == attachments.c.event_id, events_visible(key, city)))
    if key.may(May.READ_CASES):
        theirs = cases_visible(key, city)
        seen.append(any_of(cases, cases.c.id == attachments.c.case_id, theirs))
        of_event = any_of(cases, cases.c.id == events.c.case_id, theirs)
        seen.append(any_of(events, events.c.id == attachments.c.event_id, of_event))
    return or_(*seen)


def cases_of(tx: Connection, attachment_ids: Iterable[str]) -> dict[str, str]:
    """The case of each of them that has one: its own, or its event's. One query, and none for none."""
    wanted = sorted(set(attachment_ids))
    if not wanted:
        return {}
    joined = attachments.join(events, events.c.id == attachments.c.event_id, isouter=True)
    query = select(attachments.c.id, SEEN_WITH).select_from(joined)
    return {row[0]: row[1] for row in tx.execute(query.where(attachments.c.id.in_(wanted), SEEN_WITH.isnot(None)))}


def move_with_events(tx: Connection, case_id: str, into: str) -> list[str]:
    """Before the case's events go to another: its own photos go with the first of them, and back with it if it is split
    off; where the case has no events, for good. Their ids."""
    own = (attachments.c.case_id == case_id) & attachments.c.event_id.is_(None)
    found = tx.execute(select(attachments.c.id).where(own).order_by(attachments.c.id)).scalars().all()
    first = tx.execute(select(func.min(events.c.id)).where(events.c.case_id == case_id)).scalar() if found else None
    if found:
        tx.execute(update(attachments).where(own).values({"event_id": first} if first else {"case_id": into}))
    return list(found)


def case_told(tx: Connection, attachment_id: str) -> dict[str, Any] | None:
    """To add a photo is an entry of the case's ledger: whoever acts with it next needs the version after it."""
    found = select(cases.c.id, cases.c.version).where(cases.c.id == cases_of(tx, [attachment_id]).get(attachment_id))
    row = tx.execute(found).first()
    return dict(row._mapping) if row else None


def check_named(attachment_ids: Sequence[str], case_id: str, of: Mapping[str, str]) -> None:
    """Evidence is of the case that it is given for: raises Problem 422 naming each that is not. `of` are `cases_of`."""
    remedy = f"add the photo first: POST /api/v1/cases/{case_id}/attachments answers its id"
    errors = [
        FieldError(f"attachments.{position}", f"{each!r} is no photo of this case or its events", remedy)
        for position, each in enumerate(attachment_ids)
        if of.get(each) != case_id
    ]
    if errors:
        raise Problem(422, f"{errors[0].field}: {errors[0].message}", errors=errors)


def listed(tx: Connection, owner: Row[Any], of: str, city: City) -> list[dict[str, Any]]:
    """In the order in which they came; a case's with those of its events."""
    mine = attachments.c[of] == owner.id
    if of == "case_id":
        mine |= attachments.c.event_id.in_(select(events.c.id).where(events.c.case_id == owner.id))
    return shown(tx, mine, city)


def evidence(tx: Connection, case_ids: Sequence[str], city: City) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By case and kind, before and after: the newest of both, newest first; its events' are among them."""
    case_id = SEEN_WITH.label("of_case")
    newest = func.row_number().over(partition_by=(case_id, attachments.c.kind), order_by=attachments.c.id.desc())
    joined = attachments.join(events, events.c.id == attachments.c.event_id, isouter=True)
    mine = or_(attachments.c.case_id.in_(case_ids), events.c.case_id.in_(case_ids))
    columns = (*attachments.c, case_id, newest.label("position"))
    ranked = select(*columns).select_from(joined).where(mine).subquery()
    query = select(ranked).where(ranked.c.position <= EVIDENCE).order_by(ranked.c.id.desc())
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in tx.execute(query):
        told = {name: getattr(row, name) for name in ("id", "event_id", "actor", "distance_m")} | _when(row, city)
        found.setdefault(row.of_case, {kind: [] for kind in KINDS})[row.kind].append(told)
    return found


def shown(tx: Connection, where: ColumnElement[bool], city: City) -> list[dict[str, Any]]:
    facts = [blobs.c[name] for name in FACTS if name != "sha256"]
    joined = attachments.join(blobs, blobs.c.sha256 == attachments.c.sha256)
    joined = joined.join(
        cases, (cases.c.id == attachments.c.case_id) & attachments.c.event_id.isnot(None), isouter=True
    )
    columns = (*attachments.c, *facts, func.length(blobs.c.content).label("bytes"), cases.c.number.label("came_from"))
    query = select(*columns).select_from(joined).where(where)
    return [_dict(row, city) for row in _all(tx, query)]


def _all(tx: Connection, query: Any) -> Sequence[Row[Any]]:
    return tx.execute(query.order_by(attachments.c.id)).all()


def _dict(row: Row[Any], city: City) -> dict[str, Any]:
    plain = (
        "id",
        "event_id",
        "case_id",
        "kind",
        *FACTS,
        "bytes",
        "original_sha256",
        "distance_m",
        "actor",
        "came_from",
    )
    return {name: getattr(row, name) for name in plain} | _when(row, city)


def _when(row: Row[Any], city: City) -> dict[str, Any]:
    at = f"/api/v1/attachments/{row.id}"
    return {
        "received_at": rfc3339(row.received_at, city.zone),
        "links": {"self": at, "thumbnail": f"{at}/thumbnail"},
    }
