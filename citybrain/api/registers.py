"""What the city and its domains have declared: domains, event types, departments."""

from typing import Any

from fastapi import APIRouter

from citybrain.access import Asker, Here
from citybrain.deadline import Limit as Deadline
from citybrain.listing import Limit, Word
from citybrain.routing.catalogue import EventType
from citybrain.routing.manifest import LimitRow

FOUND = 50  # types that a search answers

routes = APIRouter(prefix="/api/v1", tags=["registers 目录"])


@routes.get("/city")
def city(_key: Asker, here: Here) -> dict[str, Any]:
    """What kind of city this is: its levels, its datum, where it lies."""
    head = here.city.file.city
    shown = {name: getattr(head, name) for name in ("code", "name", "name_en", "timezone", "default_datum", "envelope")}
    levels = {level: {"name": table.name, "name_en": table.name_en} for level, table in here.city.levels.items()}
    return shown | {"levels": levels, "edition": here.locator.edition.id}


@routes.get("/domains")
def domains(_key: Asker, here: Here) -> dict[str, Any]:
    items = []
    for domain in here.domains.values():
        head = domain.manifest.domain
        items.append(head.model_dump() | {"types": len(domain.catalogue.types), "queue": head.code})
    return {"items": items, "next": None}


@routes.get("/types")
def types(_key: Asker, here: Here, domain: Word = None, q: Word = None, limit: Limit | None = None) -> dict[str, Any]:
    """The catalogue of event types; with `q`, those found by Chinese words, pinyin or its initials, English or code,
    the best first, 50 unless `limit` says another number."""
    found = here.type_index.find(q or "", domain)
    most = limit or (FOUND if q else len(found))
    return {"items": [_type(code, kind) for code, kind in found[:most]], "next": None}


def _type(domain: str, kind: EventType) -> dict[str, Any]:
    row = kind.row
    shown = {"code": row.code, "domain": domain, "name": row.name, "name_en": row.name_en, "class": row.class_}
    shown |= {"standard": row.standard, "filing": row.filing, "closing": row.closing}
    limits = [
        {"filing": one.row.name, "closing": one.row.closing} | _limit(one.limit, one.row.limit)
        for one in kind.conditions
        if one.limit and one.row.limit
    ]
    limit = _limit(kind.limit, row.limit)
    return shown | {"grade": row.grade, "limit": limit, "limits": limits, "duty": kind.duty, "level": row.level}


def _limit(limit: Deadline, row: LimitRow) -> dict[str, Any]:
    return {"amount": limit.amount, "unit": limit.unit, "clock": limit.clock, "example": row.example}


@routes.get("/departments")
def departments(_key: Asker, here: Here, division: Word = None, domain: Word = None) -> dict[str, Any]:
    items = [
        {
            "code": each.code,
            "name": each.name,
            "name_en": each.name_en,
            "level": each.level,
            "divisions": list(each.divisions),
            "domains": list(each.domains),
            "duties": list(each.duties),
            "parent": each.parent,
        }
        for each in here.city.departments.values()
        if (not division or division in each.divisions) and (not domain or domain in each.domains)
    ]
    return {"items": items, "next": None}
