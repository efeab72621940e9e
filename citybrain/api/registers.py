"""What the city and its domains have declared: domains, event types, departments."""

from typing import Any

from fastapi import APIRouter

from citybrain.access import Asker, Here
from citybrain.listing import Word

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
def types(_key: Asker, here: Here, domain: Word = None, q: Word = None) -> dict[str, Any]:
    """The catalogue of event types, by domain and by a word of name or code."""
    items = []
    for code, known in here.domains.items():
        if domain and code != domain:
            continue
        for kind in known.catalogue.types.values():
            row = kind.row
            if q and q.casefold() not in f"{row.code} {row.name} {row.name_en}".casefold():
                continue
            limit = {"amount": kind.limit.amount, "unit": kind.limit.unit, "clock": kind.limit.clock}
            shown = {"code": row.code, "domain": code, "name": row.name, "name_en": row.name_en, "class": row.class_}
            items.append(shown | {"grade": row.grade, "limit": limit, "duty": kind.duty, "level": row.level})
    return {"items": items, "next": None}


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
