"""What of the queue is asked for: the filters that stand in an address, their names, and where a count leads."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from citybrain.casework.case import Status
from citybrain.console.choices import place_name
from citybrain.console.texts import named, t, table, word
from citybrain.installation import Installation

ASKED = ("domain", "division", "department", "status", "overdue", "soon", "q", "sort")
WORKING = [each.value for each in Status if each not in (Status.TRIAGE, Status.CLOSED, Status.VOID)]
_CHOICE = {"1": True, "true": True, "0": False, "false": False}
_COUNTED = {
    "triage": {"status": "triage"},
    "overdue": {"overdue": "1"},
    "soon": {"soon": "1"},
    "working": {"status": ",".join(WORKING)},
}

Filters = dict[str, str]


def filters_of(request: Request) -> Filters:
    given = request.query_params
    return {name: text for name in ASKED if (text := given.get(name, "").strip()[:100])}


def asked(filters: Mapping[str, str]) -> dict[str, Any]:
    """As `reading.list_cases` takes it: what is in work, the most pressing first, unless they say otherwise."""
    choices = {name: _CHOICE.get(filters.get(name, "")) for name in ("overdue", "soon")}
    return {"sort": "due", "status": "open", **filters, **choices}


def href(filters: Mapping[str, str], changes: Mapping[str, str | None], path: str = "/cases") -> str:
    """The same list with some filters changed; None takes one away."""
    kept = {name: text for name, text in {**filters, **changes}.items() if text}
    return path + (f"?{urlencode(kept)}" if kept else "")


def counted(count: str, domain: str = "", division: str = "") -> str:
    """Where a number leads: to exactly what it counts."""
    where = {name: code for name, code in (("domain", domain), ("division", division)) if code}
    if count in ("waiting", "quarantined"):
        return "/events?" + urlencode({"state": "received" if count == "waiting" else count, **where})
    return "/cases?" + urlencode({**where, **_COUNTED[count]})


def title(filters: Mapping[str, str], here: Installation) -> str:
    parts = []
    if domain := here.domains.get(filters.get("domain", "")):
        parts.append(named(domain.manifest.domain))
    if division := filters.get("division"):
        parts.append(place_name(here.city, division))
    if department := here.city.departments.get(filters.get("department", "")):
        parts.append(department.name)
    if (status := filters.get("status", "")) in table()["status"]:
        parts.append(word("status", status))
    parts += [t(f"desk.{name}") for name in ("overdue", "soon") if _CHOICE.get(filters.get(name, ""))]
    return " · ".join(parts) or t("desk.all")
