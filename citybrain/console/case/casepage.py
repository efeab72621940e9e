"""One case: where it is, why it is routed so, what happened, and the actions that are legal now for who looks."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query, Request, Response

from citybrain.access import Here
from citybrain.casework.api import do_action
from citybrain.casework.case import STEPS
from citybrain.city import City
from citybrain.console.appearance import local
from citybrain.console.case import caseview
from citybrain.console.case.triage import location_of
from citybrain.console.door import Form, Posted, Visitor, one, page_routes, problem_page, see
from citybrain.console.problem_words import acted_first, in_words
from citybrain.console.rendering import render
from citybrain.dispatch.api import retry_delivery
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.problem import Problem, invalid

TEXTS = ("department", "type", "reason", "responsible", "text", "into", "work_order", "against", "appeal", "what")
PHOTOS_DONE = ("photos", "photos_known")  # new ones were added, or only what was there

routes = page_routes()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A form that did not go through: what was typed, what is wrong with it, and the cases that stand against it."""

    action: str
    fields: Form = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    against: list[dict[str, Any]] = field(default_factory=list)

    def typed(self, action: str, name: str) -> str:
        return (self.fields.get(name) or [""])[0] if action == self.action else ""

    def chose(self, action: str, name: str, code: str) -> bool:
        return action == self.action and code in self.fields.get(name, [])


@routes.get("/cases/{case_id}")
def show(request: Request, case_id: str, key: Visitor, here: Here, done: Annotated[str, Query()] = "") -> Response:
    key.require(May.READ_CASES)
    return page(request, key, here, case_id, Attempt(""), done=done)


@routes.get("/cases/{case_id}/{action}")
def reload_after_problem(case_id: str, action: str, _key: Visitor) -> Response:
    """Where a form stood that did not go through, when its address is opened again."""
    return see(f"/cases/{quote(case_id)}")


@routes.post("/cases/{case_id}/{action}")
def act(request: Request, case_id: str, action: str, key: Visitor, here: Here, fields: Posted) -> Response:
    back = local(one(fields, "back"), "")
    if one(fields, "preview"):
        return page(request, key, here, case_id, Attempt(action, fields))
    try:
        case = do_action(here, key, case_id, action, body_of(action, fields, here.city))
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        if back:
            return problem_page(request, problem)
        attempt = Attempt(action, fields, in_words(problem), problem.extra.get("open_cases", []))
        return page(request, key, here, case_id, attempt, problem.status)
    return see(back or f"/cases/{case['merged_into'] or case['id']}?done={action}")


@routes.post("/deliveries/{delivery_id}/retry")
def retry(request: Request, delivery_id: str, key: Visitor, here: Here, fields: Posted) -> Response:
    back = local(one(fields, "back"), "/deliveries")
    try:
        retry_delivery(delivery_id, key, here)
    except Problem as problem:
        _, of_case, case_id = back.partition("/cases/")
        if problem.status != 409 or not of_case:
            raise
        return page(request, key, here, case_id, Attempt("retry", said=in_words(problem)), 409)
    return see(back)


def body_of(action: str, fields: Form, city: City) -> dict[str, Any]:
    """The form as the API's body: texts as they are, times in the city's zone, a place from whatever was given."""
    version = one(fields, "version") or ""
    body: dict[str, Any] = {"version": int(version) if version.isdecimal() else 0}
    body |= {name: text for name in TEXTS if (text := one(fields, name))}
    body |= {name: fields[name] for name in ("assist", "events", "attachments") if name in fields}
    if until := one(fields, "until"):
        body["until"] = local_time(until, "until", city)
    if action == "verify":
        body["passed"] = one(fields, "passed") != "false"
    if action == "judge":
        body["upheld"] = one(fields, "upheld") == "true"
    if action == "grant":
        body["granted"] = one(fields, "granted") == "true"
    if action == "relocate" or (action in ("dispatch", "file") and location_of(fields)):
        body["location"] = location_of(fields)
    return body


def local_time(text: str, name: str, city: City) -> str:
    """What `datetime-local` gives, with the city's offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(name, "must be a time", "2026-11-22T08:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=city.zone)).isoformat()


def page(
    request: Request, key: Key, here: Installation, case_id: str, attempt: Attempt, status: int = 200, done: str = ""
) -> Response:
    shown = caseview.shown(here, key, case_id, attempt.fields)
    attempt = _told_who_acted(attempt, shown["case"])
    done = done if done in STEPS or done in PHOTOS_DONE else ""
    return render(request, "case.html", status, attempt=attempt, done=done, steps=STEPS, **shown)


def _told_who_acted(attempt: Attempt, case: dict[str, Any]) -> Attempt:
    """The forms of the page that comes back are about the case as it is now: whoever had another one in view is told
    who changed it, whatever else was wrong."""
    if one(attempt.fields, "version") in (None, str(case["version"])):
        return attempt
    first = acted_first(case)
    return replace(attempt, said=[first, *(line for line in attempt.said if line != first)])
