"""The responsibility map 责任地图: which event types find no department where, told before an event falls there."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import StreamingResponse

from citybrain.access import Asker, Here
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.listing import Limit, Word
from citybrain.problem import invalid, not_found
from citybrain.remedies import a_division
from citybrain.routing.vacancy import Mask, ResponsibilityMap, Vacancy
from geo.divisions import LEVELS
from geo.mistake import did_you_mean

GROUPED = ("type", "type_name", "domain", "duty", "level", "division", "division_name", "places")
EACH = ("type", "type_name", "domain", "duty", *LEVELS)
ROWS = 5_000  # of CSV at a time

routes = APIRouter(prefix="/api/v1", tags=["registers 目录"])


@dataclass(frozen=True)
class Part:
    """What somebody asks the map for, no more than is theirs."""

    map: ResponsibilityMap
    types: Sequence[str]
    mine: Mask
    here: Installation

    def grouped(self) -> Iterator[dict[str, Any]]:
        return (_row(each, self.here) for each in self.map.vacancies(self.types, self.mine))

    def lines(self, each: bool) -> Iterator[list[Any]]:
        """Rows of a table, its head first: each pair of type and place, or both grouped."""
        if not each:
            yield list(GROUPED)
            yield from ([row[name] for name in GROUPED] for row in self.grouped())
            return
        yield list(EACH)
        for type_, question, place in self.map.each(self.types, self.mine):
            named = [type_, _name(type_, question.domain, self.here), question.domain, question.duty]
            yield [*named, *(place.get(level, "") for level in LEVELS)]


def part(
    here: Installation, key: Key | None, *, domain: str | None = None, type_: str | None = None,
    division: str | None = None,
) -> Part:  # fmt: skip
    """Raises Problem: 422 for what does not exist, 404 for a division outside the key's. Without a key, everything."""
    found = here.responsibility_map()
    if domain is not None and domain not in here.domains:
        remedy = "one of " + ", ".join(here.domains) + did_you_mean(domain, here.domains)
        raise invalid("domain", f"no domain {domain!r}", remedy)
    if type_ is not None and type_ not in found.types:
        raise invalid("type", f"no type {type_!r}", "a code of /api/v1/types" + did_you_mean(type_, found.types))
    theirs = key.domains if key else ()
    types = [
        code
        for code, asked in found.types.items()
        if type_ in (None, code) and domain in (None, asked.domain) and (not theirs or asked.domain in theirs)
    ]
    mine = found.places_in([division] if division else None)
    if division and not mine.any():
        raise invalid("division", f"no division {division!r}", a_division(here.city))
    if key and key.divisions:
        mine &= found.places_in(key.divisions)
        if division and not mine.any():
            raise not_found("division")
    return Part(found, types, mine, here)


def _asked(key: Asker, here: Here, domain: Word = None, type: Word = None, division: Word = None) -> Part:
    key.require(May.QUEUES)
    return part(here, key, domain=domain, type_=type, division=division)


Asked = Annotated[Part, Depends(_asked)]


@routes.get("/responsibility")
def responsibility(
    asked: Asked, cursor: Annotated[int, Query(ge=0, le=10**9)] = 0, limit: Limit = 50
) -> dict[str, Any]:
    """Where no department answers, type by type: the coarsest divisions of which every place lacks one. `pairs` counts
    the single ones."""
    rows = list(islice(asked.grouped(), cursor, cursor + limit + 1))
    counted = {
        "places": int(asked.mine.sum()),
        "types": len(asked.types),
        "pairs": asked.map.pairs(asked.types, asked.mine),
    }
    return {**counted, "items": rows[:limit], "next": str(cursor + limit) if len(rows) > limit else None}


@routes.get("/responsibility.csv")
def responsibility_csv(asked: Asked, each: bool = False) -> StreamingResponse:
    """The same as a table; with `each=1` every pair of type and place, which may be millions of lines."""
    headers = {"Content-Disposition": 'attachment; filename="responsibility.csv"'}
    return StreamingResponse(_csv(asked.lines(each)), media_type="text/csv; charset=utf-8", headers=headers)


def _csv(lines: Iterable[list[Any]]) -> Iterator[str]:
    rows = iter(lines)
    while some := list(islice(rows, ROWS)):
        text = StringIO()
        csv.writer(text).writerows(some)
        yield text.getvalue()


def _row(each: Vacancy, here: Installation) -> dict[str, Any]:
    division = here.city.divisions.get(each.division)
    asked = each.question
    return {
        "type": each.type,
        "type_name": _name(each.type, asked.domain, here),
        "domain": asked.domain,
        "duty": asked.duty,
        "level": each.level,
        "division": each.division,
        "division_name": division.name if division else each.division,
        "places": each.places,
    }


def _name(type_: str, domain: str, here: Installation) -> str:
    return here.domains[domain].catalogue.types[type_].row.name
