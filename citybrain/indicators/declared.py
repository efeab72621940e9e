"""Declared coverage: the registry's rows, of the pack and of the record, and how they are changed at run time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, Row, insert, select, update

from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.indicators.days import begin_of, day_of
from citybrain.indicators.scope import Scope, levels_of
from citybrain.indicators.spans import FOREVER, Spans, union
from citybrain.industries import EVERYWHERE, DeclaredRow, wrong_declaration
from citybrain.problem import FieldError, Problem, field_errors, not_found
from citybrain.store.coverage_tables import declarations
from citybrain.store.ids import new_id
from citybrain.store.ledger import Entry, append_to_city, lock_city
from citybrain.words import Sentence
from geo.mistake import did_you_mean


@dataclass(frozen=True, slots=True)
class Declaration:
    """One row in force for some days; `id` only where it was declared at run time."""

    industry: str
    row: DeclaredRow
    id: str | None = None


class Ending(BaseModel):
    """`to` is the last day in force, today unless it says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approver: Sentence
    reason: Sentence
    to: date | None = None


def all_declarations(tx: Connection, city: City) -> list[Declaration]:
    found = [
        Declaration(industry.code, row) for industry in city.registry.industries.values() for row in industry.declared
    ]
    rows = tx.execute(select(declarations).order_by(declarations.c.id)).all()
    return found + [Declaration(row.industry, _as_row(row), row.id) for row in rows]


def declared_spans(known: Sequence[Declaration], scope: Scope) -> Spans:
    """When each unit of the scope is declared."""
    zone, width = scope.city.zone, len(scope.industries)
    parts: list[tuple[int, int, int]] = []
    for each in known:
        row = each.row
        if row.level != scope.level or each.industry not in scope.industries:
            continue
        start = begin_of(row.from_, zone)
        end = begin_of(row.to + timedelta(days=1), zone) if row.to else FOREVER
        codes = scope.position if row.divisions == EVERYWHERE else row.divisions
        at = scope.industries.index(each.industry)
        parts += [(scope.position[code] * width + at, start, end) for code in codes if code in scope.position]
    columns = np.array(parts, np.int64).reshape(-1, 3)
    return union(Spans(columns[:, 0], columns[:, 1], columns[:, 2]))


def declare(tx: Connection, city: City, industry: str, raw: Any, actor: str, now: int) -> Row[Any]:
    """Raises Problem 422 with every mistake, 409 where it is declared already."""
    if industry not in city.registry.industries:
        raise not_found(f"industry{did_you_mean(industry, city.registry.industries)}")
    row = _parse(DeclaredRow, raw)
    wrong = list(wrong_declaration(row, city.registry, city.divisions, levels_of(city)))
    if row.from_ < day_of(now, city.zone):
        wrong.append(f"from today on: what was is not declared afterwards, found {row.from_}")
    if wrong:
        raise _unprocessable([FieldError("declaration", each, "see GET /api/v1/industries") for each in wrong])
    lock_city(tx)
    for other in all_declarations(tx, city):
        if other.industry == industry and row.meets(other.row):
            raise Problem(409, "it is declared there already", declaration=declaration_dict(other, city, now))
    values = {
        "id": new_id(),
        "industry": industry,
        "level": row.level,
        "divisions": None if row.divisions == EVERYWHERE else list(row.divisions),
        "from_day": row.from_.isoformat(),
        "to_day": row.to.isoformat() if row.to else None,
        "approver": row.approver,
        "note": row.note,
    }
    tx.execute(insert(declarations).values(**values, recorded_at=now, recorded_by=actor))
    append_to_city(tx, Entry("registry.declared", actor, values), now)
    return find(tx, industry, values["id"])


def end(tx: Connection, city: City, industry: str, declaration_id: str, raw: Any, actor: str, now: int) -> Row[Any]:
    """Ends a row that was declared at run time, today at the earliest: what was in force stays so."""
    lock_city(tx)
    row = find(tx, industry, declaration_id)
    ending, today = _parse(Ending, raw), day_of(now, city.zone)
    last = ending.to or today
    if last < today:
        raise _unprocessable([FieldError("to", f"today ({today}) or later, found {last}", "leave it out to end today")])
    if row.to_day and row.to_day < last.isoformat():
        raise Problem(409, f"it ends on {row.to_day} already")
    values = {"to_day": last.isoformat(), "end_approver": ending.approver, "end_reason": ending.reason}
    mine = declarations.c.id == declaration_id
    tx.execute(update(declarations).where(mine).values(**values, ended_at=now, ended_by=actor))
    told = {"id": declaration_id, "industry": industry, "was": row.to_day, **values}
    append_to_city(tx, Entry("registry.ended", actor, told), now)
    return find(tx, industry, declaration_id)


def find(tx: Connection, industry: str, declaration_id: str) -> Row[Any]:
    mine = (declarations.c.id == declaration_id) & (declarations.c.industry == industry)
    row = tx.execute(select(declarations).where(mine)).first()
    if row is None:
        raise not_found("declaration")
    return row


def declaration_dict(each: Declaration, city: City, now: int) -> dict[str, Any]:
    today, row = day_of(now, city.zone), each.row
    return {
        "id": each.id,
        "level": row.level,
        "divisions": row.divisions,
        "from": row.from_.isoformat(),
        "to": row.to.isoformat() if row.to else None,
        "approver": row.approver,
        "note": row.note,
        "in_force": row.from_ <= today and (row.to is None or today <= row.to),
        "registered_in": "record" if each.id else "pack",
    }


def row_dict(row: Row[Any], city: City, now: int) -> dict[str, Any]:
    shown = declaration_dict(Declaration(row.industry, _as_row(row), row.id), city, now)
    return shown | {
        "industry": row.industry,
        "recorded_at": rfc3339(row.recorded_at, city.zone),
        "recorded_by": row.recorded_by,
        "ended_at": rfc3339(row.ended_at, city.zone),
        "ended_by": row.ended_by,
        "end_approver": row.end_approver,
        "end_reason": row.end_reason,
    }


def industries(tx: Connection, city: City, now: int, domains: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every industry with its rows; `active` are those of its domains that work here."""
    known = all_declarations(tx, city)
    for industry in city.registry.industries.values():
        shown = industry.model_dump(exclude={"declared"})
        active = [code for code in industry.domains if code in domains]
        rows = [declaration_dict(each, city, now) for each in known if each.industry == industry.code]
        yield shown | {"active_domains": active, "declared": rows}


def _as_row(row: Row[Any]) -> DeclaredRow:
    return DeclaredRow(
        level=row.level,
        divisions="all" if row.divisions is None else row.divisions,
        **{"from": date.fromisoformat(row.from_day)},
        to=date.fromisoformat(row.to_day) if row.to_day else None,
        approver=row.approver,
        note=row.note,
    )


def _parse(model: type[Any], raw: Any) -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise _unprocessable(field_errors(error.errors(include_url=False, include_context=False))) from None


def _unprocessable(errors: list[FieldError]) -> Problem:
    return Problem(422, "; ".join(f"{each.field}: {each.message}" for each in errors), errors=errors)
