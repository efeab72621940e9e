"""综合评价: how much of what was reported, dispatched and due was filed, handled and closed, and in time; each figure
as a fraction that leads to the cases behind it. The indicator computes; this page asks, sorts and shows."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from citybrain.access import Here
from citybrain.console.case.why import department_name
from citybrain.console.choices import place_name
from citybrain.console.door import Visitor, page_routes
from citybrain.console.rendering import domain_name, render
from citybrain.console.texts import named, section, t
from citybrain.indicators.performance_api import By, Kind, Part, RateCode, ask, evaluation, show_behind
from citybrain.installation import Installation
from citybrain.keys import UNLOCATED, May
from citybrain.listing import Cursor

AT_ONCE = 50

Text = Annotated[str, Field(max_length=100)]

routes = page_routes()


class Asked(BaseModel):
    """The page's address; what is as usual is left out of it. `sort`: a rate, or nothing for the name."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    by: By = "domain"
    level: Text = ""
    from_: Text = Field("", alias="from")
    to: Text = ""
    include_demo: bool = False
    sort: RateCode | None = None
    desc: bool = False

    def href(self, path: str = "/performance", **changes: Any) -> str:
        """The same question with some of it changed, and more of it."""
        given = self.model_copy(update=changes).model_dump(by_alias=True, exclude_defaults=True)
        more = {name: value for name, value in changes.items() if name not in type(self).model_fields}
        return path + (f"?{urlencode(given | more)}" if given | more else "")


class Behind(Asked):
    """Of a number of the page: whose, of which rate, and which of its four."""

    rate: RateCode = "filing"
    part: Part = "denominator"
    kind: Kind = "raw"
    of: Text = ""


@routes.get("/performance")
def performance_page(request: Request, key: Visitor, here: Here, asked: Annotated[Asked, Query()]) -> Response:
    key.require(May.INDICATORS)
    question = ask(key, here, asked.by, asked.level or None, asked.from_ or None, asked.to or None, asked.include_demo)
    told = evaluation(here, question)
    return render(
        request,
        "performance.html",
        asked=asked,
        told=told,
        items=_sorted(told["items"], asked),
        dimensions=section("dimension"),
        levels={level: named(table) for level, table in here.city.levels.items()},
        name_of=lambda code: name_of(here, asked.by, code),
        behind=lambda **which: asked.href("/performance/behind", **which),
        level=question.level,
        unlocated=UNLOCATED,
    )


@routes.get("/performance/behind")
def behind_page(
    request: Request, key: Visitor, here: Here, asked: Annotated[Behind, Query()], cursor: Cursor = None
) -> Response:
    found = show_behind(
        key, here, asked.rate, asked.part, asked.kind, asked.of or None, asked.by, asked.level or None,
        asked.from_ or None, asked.to or None, asked.include_demo, cursor, AT_ONCE,
    )  # fmt: skip
    page = Asked.model_validate(asked.model_dump(include=set(Asked.model_fields)))
    return render(
        request,
        "performance_behind.html",
        asked=asked,
        page=page,
        found=found,
        question=ask(key, here, asked.by, asked.level or None, asked.from_ or None, asked.to or None, False),
        whose=name_of(here, asked.by, None if asked.of == UNLOCATED else asked.of) if asked.of else t("evaluation.all"),
        place=lambda case: " ".join(place_name(here.city, case[level]) for level in ("county", "town") if case[level]),
        department=lambda code: department_name(here, code),
        next=asked.href("/performance/behind", cursor=found["next"]) if found["next"] else None,
    )


def name_of(here: Installation, by: str, code: str | None) -> str:
    if code is None:
        return t("evaluation.without")
    if by == "domain":
        return domain_name(here, code)
    if by == "department":
        return department_name(here, code)
    return place_name(here.city, code) if by == "division" else code


def _sorted(items: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    """By a rate, those without a figure last; else as the indicator has them."""
    if asked.sort is None:
        return items[::-1] if asked.desc else items
    rate = asked.sort

    def rank(item: Mapping[str, Any]) -> tuple[bool, float]:
        percent = item["raw"][rate]["percent"]
        return percent is None, 0 if percent is None else (-percent if asked.desc else percent)

    return sorted(items, key=rank)
