"""The queue as a table to take along: what the list shows under the same filters and the same scope, as CSV or XLSX."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from fastapi import Request, Response

from citybrain.access import Here
from citybrain.casework import reading
from citybrain.console.countdown import countdown
from citybrain.console.door import Visitor, page_routes
from citybrain.console.rendering import domain_name, place_path, type_name
from citybrain.console.texts import t, word
from citybrain.console.workbench.filters import asked, filters_of, title
from citybrain.indicators.sheet import CSV, XLSX, Cell, csv_of, xlsx_of
from citybrain.installation import Installation
from citybrain.keys import Key, May

MOST = 20_000
AT_ONCE = 500
COLUMNS = ("number", "case", "domain", "type", "place", "cell", "grade", "status", "department", "due", "by", "reports",
           "opened")  # fmt: skip

routes = page_routes()


@routes.get("/exports/cases.csv")
def csv_file(request: Request, key: Visitor, here: Here) -> Response:
    key.require(May.READ_CASES)
    return attached(csv_of(_rows(request, key, here)), CSV, "cases.csv")


@routes.get("/exports/cases.xlsx")
def xlsx_file(request: Request, key: Visitor, here: Here) -> Response:
    key.require(May.READ_CASES)
    about: list[list[Cell]] = [[title(filters_of(request), here)], [_moment(here)]]
    return attached(xlsx_of({t("desk.cases"): _rows(request, key, here), t("export.about"): about}), XLSX, "cases.xlsx")


def attached(content: bytes, media_type: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, headers=headers, media_type=media_type)


def _moment(here: Installation) -> str:
    return datetime.fromtimestamp(here.clock() / 1000, here.city.zone).strftime("%Y-%m-%d %H:%M")


def _rows(request: Request, key: Key, here: Installation) -> Iterator[list[Cell]]:
    """The head, then every case; where there are more than fit, the last row says so."""
    yield [t(f"column.{name}") for name in COLUMNS]
    wanted, cursor, left = asked(filters_of(request)), None, MOST
    while left > 0:
        with here.store.read() as tx:
            found = reading.list_cases(tx, key, here, wanted | {"cursor": cursor, "limit": AT_ONCE})
        for case in found["items"]:
            yield _row(case, here)
        left -= AT_ONCE
        cursor = found["next"]
        if cursor is None:
            return
    yield [t("export.more", n=MOST)]


def _row(case: dict[str, Any], here: Installation) -> list[Cell]:
    left = countdown(case["deadline"], here.city, here.clock(), case["stage"])
    provisional = t("joint.aside", text=t("countdown.provisional")) if left.provisional else ""
    department = here.city.departments.get(case["department"] or "")
    return [
        case["number"],
        case["title"],
        domain_name(here, case["domain"]),
        type_name(here, case["domain"], case["type"]),
        place_path(case["place"]),
        (case["place"].get("cell") or {}).get("code"),
        word("grade", case["grade"]),
        word("status", case["status"]),
        department.name if department else case["department"],
        f"{left.shape} {left.text}{provisional}".strip(),
        left.due_at,
        case["event_count"],
        case["opened_at"],
    ]
