"""Events as they came in: the waiting, the quarantined with their trace and a way back; of each what was decided and
whether it would be decided the same now."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Query, Request, Response

from citybrain.access import Here
from citybrain.casework.explaining import explain_event
from citybrain.casework.taking_in import Refusal, refuse, take_in
from citybrain.console.case import story, verdict, why
from citybrain.console.case.caseground import ground_of
from citybrain.console.choices import domains_of, queue_places
from citybrain.console.door import Posted, Visitor, one, page_routes, see
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.dispatch.api import list_deliveries
from citybrain.installation import Installation
from citybrain.intake.reading import list_events, replay_event, show_event
from citybrain.keys import Key, May
from citybrain.problem import Problem, invalid, not_found

PAGE = 50
Text = Annotated[str | None, Query(max_length=100)]
Cursor = Annotated[str | None, Query(max_length=500)]

routes = page_routes()


@routes.get("/events")
def event_list(
    request: Request, key: Visitor, here: Here, state: Text = None, domain: Text = None, division: Text = None,
    q: Text = None, cursor: Cursor = None,
) -> Response:  # fmt: skip
    found = list_events(key, here, state, domain, division, None, q, cursor, PAGE)
    filters = {"state": state, "domain": domain, "division": division, "q": q}
    return render(
        request,
        "events.html",
        found=found,
        filters={name: text for name, text in filters.items() if text},
        divisions=queue_places(here.city, key),
        own_domains=domains_of(key, here),
    )


@routes.get("/events/{event_id}")
def event_page(request: Request, event_id: str, key: Visitor, here: Here) -> Response:
    return _page(request, event_id, key, here)


def _page(
    request: Request, event_id: str, key: Key, here: Installation, problem: Problem | None = None, typed: str = ""
) -> Response:
    event = show_event(event_id, key, here)
    told = explain_event(event_id, key, here)
    return render(
        request,
        "event.html",
        problem.status if problem else 200,
        said=in_words(problem) if problem else [],
        typed=typed,
        event=event,
        ground=ground_of(event["place"], here),
        why=why.of(told["explanation"], event["domain"], here),
        again=verdict.of(told, event["domain"], here),
        since=story.timeline(told["afterwards"] or [], event["domain"], here),
        may_replay=event["state"] == "quarantined" and key.may(May.ACT),
    )


@routes.get("/events/{event_id}/{step}")
def reload_after_problem(event_id: str, step: str, _key: Visitor) -> Response:
    """Where a form stood that did not go through, when its address is opened again."""
    return see(f"/events/{quote(event_id)}")


@routes.post("/events/{event_id}/{step}")
def decide(request: Request, event_id: str, step: str, key: Visitor, here: Here, fields: Posted) -> Response:
    """Of a quarantined event: handled once more, taken in as a case for a person, or refused."""
    reason = one(fields, "reason") or ""
    try:
        match step:
            case "replay":
                replay_event(event_id, key, here)
            case "take-in":
                return see(f"/cases/{take_in(event_id, key, here)['id']}")
            case "refuse" if reason:
                refuse(event_id, key, here, Refusal(reason=reason))
            case "refuse":
                raise invalid("reason", "a refusal requires it", "say why it is no case")
            case _:
                raise not_found("page")
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        return _page(request, event_id, key, here, problem, reason)
    return see(f"/events/{event_id}")


@routes.get("/deliveries")
def delivery_list(
    request: Request, key: Visitor, here: Here, status: Text = None, endpoint: Text = None, cursor: Cursor = None
) -> Response:
    found = list_deliveries(key, here, endpoint, status, None, cursor, PAGE)
    return render(request, "deliveries.html", found=found, status=status, endpoint=endpoint)
