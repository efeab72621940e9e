"""密钥: who may ask this installation for what: listed with when each was used last, made and shown once, ended. As the
API does it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query, Request, Response

from citybrain.access import Here
from citybrain.api import keys as api
from citybrain.console.administration.endpointform import places
from citybrain.console.case.why import department_name
from citybrain.console.choices import Group, Option, place_name
from citybrain.console.door import Form, Posted, Visitor, one, page_routes, problem_page, see
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.console.texts import named, section
from citybrain.installation import Installation
from citybrain.keys import May
from citybrain.listing import Cursor
from citybrain.problem import Problem, invalid

AT_ONCE = 100
TEXTS = ("role", "name", "datum")
LISTS = ("domains", "divisions", "departments", "duties")

routes = page_routes()


@routes.get("/keys")
def keys_page(
    request: Request,
    key: Visitor,
    here: Here,
    state: Annotated[str, Query(max_length=20)] = "valid",
    cursor: Cursor = None,
    ended: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    found = api.list_keys(key, here, state, cursor, AT_ONCE)
    return render(
        request, "keys.html", found=found, state=state, states=api.STATES, ended=ended, names=_names(found, here)
    )


@routes.get("/keys/new")
def ask(request: Request, key: Visitor, here: Here) -> Response:
    key.require(May.MANAGE)
    return _page(request, here, {})


@routes.post("/keys")
def create(request: Request, key: Visitor, here: Here, fields: Posted) -> Response:
    """Answers with the key, this once: it stands in no address, so that nothing keeps it."""
    try:
        made = api.create(key, here, _body(fields))
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        typed = {name: one(fields, name) for name in (*TEXTS, "days")} | {name: fields.get(name, []) for name in LISTS}
        return _page(request, here, typed, problem)
    return render(request, "key_secret.html", made=made)


@routes.post("/keys/{name}/end")
def end(request: Request, name: str, key: Visitor, here: Here, _form: Posted) -> Response:
    try:
        api.end(name, key, here)
    except Problem as problem:
        return problem_page(request, problem)
    return see(f"/keys?ended={name}")


def _names(found: dict[str, Any], here: Installation) -> dict[str, dict[str, str]]:
    """Of the codes of all scopes."""
    divisions, departments = ({code for each in found["items"] for code in each[kind]} for kind in LISTS[1:3])
    return {
        "domains": {code: named(domain.manifest.domain) for code, domain in here.domains.items()},
        "divisions": {code: place_name(here.city, code) for code in divisions},
        "departments": {code: department_name(here, code) for code in departments},
        "duties": {},
    }


def _body(fields: Form) -> dict[str, Any]:
    body: dict[str, Any] = {name: text for name in TEXTS if (text := one(fields, name))}
    body |= {name: fields[name] for name in LISTS if name in fields}
    if days := one(fields, "days"):
        if not days.isdecimal() or len(days) > 5:
            raise invalid("days", "must be a number", "a whole number, or nothing")
        body["days"] = int(days)
    return body


def _page(request: Request, here: Installation, typed: Mapping[str, Any], problem: Problem | None = None) -> Response:
    return render(
        request,
        "key_form.html",
        problem.status if problem else 200,
        typed=typed,
        said=in_words(problem) if problem else [],
        wrong={error.field for error in problem.errors} if problem else set(),
        roles=section("role"),
        places=places(here, typed.get("divisions", [])),
        by_place=_by_place(here),
        duties=here.city.practice.duties,
        datums={code: name for code, name in section("datum").items() if code},
    )


def _by_place(here: Installation) -> list[Group]:
    """Every department, by the coarsest division that it works in: the city's own ones first."""
    city = here.city
    groups: dict[str, Group] = {}
    for code, each in city.departments.items():
        own = each.divisions[0] if each.divisions else city.file.city.code
        above = city.divisions.path(own).get(city.first_level, own)
        groups.setdefault(above, Group(place_name(city, above), [])).options.append(Option(code, each.name))
    return list(groups.values())
