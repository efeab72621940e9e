"""An endpoint's form: made and changed as the API does it, what was typed stays when something is wrong with it, and
the signing secret is shown once."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response

from citybrain.access import Here
from citybrain.console import choices
from citybrain.console.choices import Group, Option
from citybrain.console.door import Form, Posted, Visitor, one, page_routes, see
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.console.texts import named
from citybrain.dispatch import api
from citybrain.dispatch.signature import V1, sm3_is_here
from citybrain.installation import Installation
from citybrain.keys import May
from citybrain.listing import Word
from citybrain.problem import Problem, invalid

TEXTS = ("name", "department", "url")
LISTS = ("domains", "divisions", "types", "signatures")
NUMBERS = ("concurrency", "per_minute")

routes = page_routes()


@routes.get("/endpoints/new")
def ask(request: Request, key: Visitor, here: Here, department: Word = None) -> Response:
    key.require(May.MANAGE)
    return _page(request, here, {"signatures": [V1], "department": department})


@routes.post("/endpoints")
def create(request: Request, key: Visitor, here: Here, fields: Posted) -> Response:
    """Answers with the secret, this once: it stands in no address, so that nothing keeps it."""
    try:
        made = api.create_endpoint(key, here, _body(fields))
    except Problem as problem:
        return _again(request, here, fields, problem, None)
    return render(request, "endpoint_secret.html", endpoint=made, secret=made["secret"], until=None)


@routes.get("/endpoints/{endpoint_id}/edit")
def edit(request: Request, endpoint_id: str, key: Visitor, here: Here) -> Response:
    key.require(May.MANAGE)
    return _page(request, here, api.show_endpoint(endpoint_id, key, here), endpoint_id)


@routes.post("/endpoints/{endpoint_id}/edit")
def change(request: Request, endpoint_id: str, key: Visitor, here: Here, fields: Posted) -> Response:
    """Only what differs is changed: a new address closes the breaker."""
    present = api.show_endpoint(endpoint_id, key, here)
    try:
        body = {name: value for name, value in _body(fields).items() if value != present[name]}
        if body:
            api.patch_endpoint(endpoint_id, key, here, body)
    except Problem as problem:
        return _again(request, here, fields, problem, endpoint_id)
    return see(f"/endpoints/{endpoint_id}?done=changed")


def _body(fields: Form) -> dict[str, Any]:
    """The whole form as the API's body; what is left empty is nothing."""
    body: dict[str, Any] = {name: one(fields, name) for name in TEXTS}
    body |= {name: fields.get(name, []) for name in LISTS}
    return body | {name: _number(name, one(fields, name)) for name in NUMBERS} | {"unmasked": "unmasked" in fields}


def _number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise invalid(name, "must be a number", "a whole number, or nothing")
    return int(text)


def _again(request: Request, here: Installation, fields: Form, problem: Problem, endpoint_id: str | None) -> Response:
    if problem.status not in (409, 422):
        raise problem
    typed: dict[str, Any] = {name: one(fields, name) for name in (*TEXTS, *NUMBERS)} | {
        name: fields.get(name, []) for name in LISTS
    }
    return _page(request, here, typed | {"unmasked": "unmasked" in fields}, endpoint_id, problem)


def _page(
    request: Request,
    here: Installation,
    typed: Mapping[str, Any],
    endpoint_id: str | None = None,
    problem: Problem | None = None,
) -> Response:
    return render(
        request,
        "endpoint_form.html",
        problem.status if problem else 200,
        typed=typed,
        endpoint_id=endpoint_id,
        said=in_words(problem) if problem else [],
        wrong={error.field for error in problem.errors} if problem else set(),
        places=places(here, typed.get("divisions", [])),
        types=[
            Group(
                named(domain.manifest.domain), [each for group in choices.types(here, code) for each in group.options]
            )
            for code, domain in here.domains.items()
        ],
        sm3=sm3_is_here(),
    )


def places(here: Installation, chosen: Sequence[str]) -> list[Group]:
    """The divisions down to the second level, by the first: whole units first in each group; and what finer ones were
    chosen through the API."""
    city = here.city
    levels = [level for level in choices.REGIONS if level in city.levels][:2]
    groups = {each.code: Group(each.name, [Option(each.code, each.name)]) for each in city.divisions.level(levels[0])}
    beside = Group("", [])
    for each in city.divisions.level(levels[1]) if len(levels) > 1 else ():
        groups.get(each.parent_code, beside).options.append(Option(each.code, each.name))
    offered = {option.code for group in (*groups.values(), beside) for option in group.options}
    beside.options.extend(Option(code, choices.place_name(city, code)) for code in chosen if code not in offered)
    return [group for group in (*groups.values(), beside) if group.options]
