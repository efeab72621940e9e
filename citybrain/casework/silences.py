"""Silences 静默: for a time, and for a reason that its author gives, events that match are kept and nobody is
dispatched. They end by themselves; each one stands in the ledger with its end."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import BindParameter, Connection, Row, bindparam, func, insert, select, update

from citybrain.casework.relations import look_again
from citybrain.city import City
from citybrain.clock import rfc3339, to_ms
from citybrain.installation import Installation
from citybrain.keys import Key
from citybrain.problem import Problem, invalid
from citybrain.store.ids import new_id
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.silence_tables import silences
from citybrain.store.tables import cases
from citybrain.words import Sentence

LONGEST = timedelta(days=31)
DEVICE = "device_id"
LEVELS = ("county", "town", "village", "cell")

Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]


class NewSilence(BaseModel):
    """`types`, `divisions` and `devices` (attribute `device_id`): empty for all; `begins_at`: now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: Code
    types: list[Code] = Field(default_factory=list, max_length=200)
    divisions: list[Code] = Field(default_factory=list, max_length=200)
    devices: list[Code] = Field(default_factory=list, max_length=1000)
    reason: Sentence
    begins_at: AwareDatetime | None = None
    ends_at: AwareDatetime


def silence(tx: Connection, given: NewSilence, key: Key, here: Installation, now: int) -> Row[Any]:
    """Sets one, inside the key's domains and divisions. Problems: 404, 422."""
    _check(given, key, here, now)
    begins_at = to_ms(given.begins_at) if given.begins_at else now
    chosen = {"domain": given.domain, "types": given.types, "divisions": given.divisions, "devices": given.devices}
    told = chosen | {"reason": given.reason, "begins_at": begins_at, "ends_at": to_ms(given.ends_at)}
    id_ = new_id()
    tx.execute(insert(silences).values(id=id_, author=key.name, created_at=now, **told))
    append_to_city(tx, Entry("silence.set", key.name, {"silence": id_, **told}), now)
    return tx.execute(select(silences).where(silences.c.id == id_)).one()


def _check(given: NewSilence, key: Key, here: Installation, now: int) -> None:
    domain = here.domains.get(given.domain)
    if domain is None or (key.domains and given.domain not in key.domains):
        raise invalid("domain", f"{given.domain!r} is no domain, or none of yours", "see GET /api/v1/domains")
    if unknown := [code for code in given.types if code not in domain.catalogue.types]:
        raise invalid("types", f"{unknown[0]!r} is no type of {given.domain}", "see GET /api/v1/types")
    if unknown := [code for code in given.divisions if here.city.level_of(code) is None]:
        raise invalid("divisions", f"no division {unknown[0]!r}", "see GET /api/v1/divisions")
    covers = here.city.divisions.covers
    if key.divisions and not (given.divisions and all(any(covers(own, c) for own in key.divisions)
                                                      for c in given.divisions)):  # fmt: skip
        raise invalid("divisions", "not all of it lies in your divisions", "name divisions that are yours")
    begins, ends = to_ms(given.begins_at) if given.begins_at else now, to_ms(given.ends_at)
    if ends <= max(now, begins):
        raise invalid("ends_at", "it is over before it begins", "a time later than now and than begins_at")
    if ends - begins > LONGEST.total_seconds() * 1000:
        raise invalid("ends_at", f"that is longer than {LONGEST.days} days", "an earlier end; it can be set again")


def end(tx: Connection, silence_id: str, reason: str, key: Key, now: int) -> None:
    """Before its time. Problem 409 if it has ended."""
    mine = (silences.c.id == silence_id) & (silences.c.ends_at > now)
    values = {"ends_at": now, "ended_by": key.name, "end_reason": reason}
    if not tx.execute(update(silences).where(mine).values(values)).rowcount:
        raise Problem(409, "this silence has ended already")
    look_again(tx, [silence_id], "silence_id", now)
    append_to_city(tx, Entry("silence.ended", key.name, {"silence": silence_id, "reason": reason}), now)


_AT: BindParameter[int] = bindparam("now")
_IN_FORCE = (
    select(silences)
    .where(silences.c.domain == bindparam("of"), silences.c.ends_at > _AT, silences.c.begins_at <= _AT)
    .order_by(silences.c.id)
)


def in_force(tx: Connection, domain: str, now: int) -> Sequence[Row[Any]]:
    return tx.execute(_IN_FORCE, {"of": domain, "now": now}).all()


def matches(row: Row[Any], type_: str | None, event: Row[Any], city: City) -> bool:
    if row.types and type_ not in row.types:
        return False
    if row.devices and str(event.attributes.get(DEVICE)) not in row.devices:
        return False
    return not row.divisions or any(_inside(code, event, city) for code in row.divisions)


def _inside(code: str, event: Row[Any], city: City) -> bool:
    level = city.level_of(code)
    return level == "city" or (level in LEVELS and getattr(event, level) == code)


def visible(row: Row[Any], key: Key, city: City) -> bool:
    """Whether it concerns anything in the key's scope."""
    if key.domains and row.domain not in key.domains:
        return False
    covers = city.divisions.covers
    return not key.divisions or not row.divisions or any(
        covers(own, code) or covers(code, own) for own in key.divisions for code in row.divisions
    )  # fmt: skip


def counted(tx: Connection, ids: list[str]) -> dict[str, tuple[int, int]]:
    """How many cases and events each has muted."""
    found = select(cases.c.silence_id, func.count(), func.sum(cases.c.event_count)).where(cases.c.silence_id.in_(ids))
    return {row[0]: (row[1], int(row[2])) for row in tx.execute(found.group_by(cases.c.silence_id))}


def silence_dict(row: Row[Any], count: tuple[int, int], city: City, now: int) -> dict[str, Any]:
    plain = ("id", "domain", "types", "divisions", "devices", "reason", "author", "ended_by", "end_reason")
    state = "ended" if row.ends_at <= now else "active" if row.begins_at <= now else "planned"
    return {name: getattr(row, name) for name in plain} | {
        "state": state,
        "begins_at": rfc3339(row.begins_at, city.zone),
        "ends_at": rfc3339(row.ends_at, city.zone),
        "created_at": rfc3339(row.created_at, city.zone),
        "cases": count[0],
        "events": count[1],
    }
