"""One action on the cases that were marked in the queue: as the API's bulk action does it, told item by item."""

from typing import Any

from fastapi import Request, Response
from sqlalchemy import select

from citybrain.access import Here
from citybrain.casework.bulk import act_on_many
from citybrain.console.door import Posted, Visitor, one, page_routes
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.keys import May, cases_visible
from citybrain.problem import FieldError, Problem, invalid
from citybrain.store.tables import cases

# What makes sense for several cases at once, and what the form asks for it.
ACTIONS: dict[str, tuple[str, ...]] = {
    "supervise": ("reason",),
    "note": ("reason",),
    "reassign": ("department", "reason"),
    "dispatch": ("department",),
    "return": ("reason",),
    "verify": (),
    "close": (),
    "resume": (),
    "void": ("reason",),
}

routes = page_routes()


@routes.post("/fragments/bulk")
def act(request: Request, key: Visitor, here: Here, fields: Posted) -> Response:
    """`item` is id:version, as often as there are cases."""
    key.require(May.ACT)
    action = one(fields, "action") or ""
    if action not in ACTIONS:
        raise invalid("action", f"{action!r} is no action for several cases", "one of " + ", ".join(ACTIONS))
    body = _body(action, one(fields, "reason"), one(fields, "department"))
    told = act_on_many(here, key, {"items": [_item(text) | body for text in fields.get("item", [])]})
    asked = [result["id"] for result in told["results"]]
    with here.store.read() as tx:
        mine = cases.c.id.in_(asked) & cases_visible(key, here.city)
        titles = {row.id: row.title for row in tx.execute(select(cases.c.id, cases.c.title).where(mine))}
    said = {each["index"]: in_words(_problem(each["problem"])) for each in told["results"] if "problem" in each}
    return render(request, "_bulk.html", told=told, titles=titles, said=said)


def _body(action: str, reason: str | None, department: str | None) -> dict[str, Any]:
    given = {"text" if action == "note" else "reason": reason, "department": department}
    body = {name: text for name, text in given.items() if text}
    return body | {"action": action} | ({"passed": True} if action == "verify" else {})


def _item(text: str) -> dict[str, Any]:
    case_id, _, version = text.rpartition(":")
    return {"id": case_id, "version": int(version) if version.isdecimal() and len(version) < 10 else 0}


def _problem(told: dict[str, Any]) -> Problem:
    """An item's problem, as if it stood alone."""
    errors = [FieldError(**each) for each in told.get("errors", [])]
    extra = {name: told[name] for name in ("legal", "case", "open_cases") if name in told}
    return Problem(told["status"], told["detail"], errors=errors, **extra)
