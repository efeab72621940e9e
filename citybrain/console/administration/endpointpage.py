"""One endpoint: how it is, what it has not received, its deliveries with every attempt, and what may be done about it,
each with what it means in numbers before it is done. The API does it; this page asks and shows."""

from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from sqlalchemy import Connection

from citybrain.access import Here
from citybrain.clock import rfc3339, to_datetime
from citybrain.console.administration.endpointlist import SHAPES, host, left
from citybrain.console.case.casepage import Attempt, local_time
from citybrain.console.case.why import department_name
from citybrain.console.door import Form, Posted, Visitor, one, page_routes, see
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.console.texts import section
from citybrain.dispatch import api
from citybrain.dispatch.backlog import backlogs
from citybrain.dispatch.endpoint import OVERLAP_MS, find, sign_until
from citybrain.dispatch.pace import DAY_MS, HOUR_MS, Pace, paces
from citybrain.installation import Installation
from citybrain.keys import Key
from citybrain.listing import Cursor
from citybrain.problem import Problem, invalid

SPANS = {"hour": HOUR_MS, "day": DAY_MS}
AT_ONCE = 25  # deliveries on a page
DONE = ("enabled", "disabled", "changed", "tested", "replayed", "retried")  # what the address may say was done

routes = page_routes()


@dataclass(frozen=True, slots=True)
class Lately:
    """`since`: where not all of the time could be counted, from when on."""

    name: str
    pace: Pace | None
    since: str | None

    @classmethod
    def read(cls, tx: Connection, endpoint_id: str, name: str, now: int, zone: tzinfo) -> "Lately":
        found = paces(tx, now - SPANS[name], endpoint_id)
        since = rfc3339(found.since, zone) if found.since > now - SPANS[name] else None
        return cls(name, found.of.get(endpoint_id), since)


@routes.get("/endpoints/{endpoint_id}")
def endpoint_page(
    request: Request,
    endpoint_id: str,
    key: Visitor,
    here: Here,
    status: Annotated[str, Query(max_length=20)] = "",
    cursor: Cursor = None,
    done: Annotated[str, Query(max_length=20)] = "",
    n: Annotated[int, Query(ge=0)] = 0,
    refused: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    told: dict[str, Any] = {"done": done if done in DONE else "", "number": n, "refused": refused}
    return _page(request, endpoint_id, key, here, Attempt(""), status=status, cursor=cursor, **told)


@routes.post("/endpoints/{endpoint_id}/test")
def test(endpoint_id: str, key: Visitor, here: Here, _form: Posted) -> Response:
    api.test_endpoint(endpoint_id, key, here)
    return see(f"/endpoints/{endpoint_id}?done=tested")


@routes.post("/endpoints/{endpoint_id}/enable")
def enable(endpoint_id: str, key: Visitor, here: Here, _form: Posted) -> Response:
    api.enable(endpoint_id, key, here)
    return see(f"/endpoints/{endpoint_id}?done=enabled")


@routes.post("/endpoints/{endpoint_id}/disable")
def disable(endpoint_id: str, key: Visitor, here: Here, _form: Posted) -> Response:
    api.disable(endpoint_id, key, here)
    return see(f"/endpoints/{endpoint_id}?done=disabled")


@routes.post("/endpoints/{endpoint_id}/delete")
def delete(endpoint_id: str, key: Visitor, here: Here, _form: Posted) -> Response:
    name = api.show_endpoint(endpoint_id, key, here)["name"]
    api.delete_endpoint(endpoint_id, key, here)
    return see(f"/endpoints?{_query(gone=name)}")


@routes.post("/endpoints/{endpoint_id}/rotate-secret")
def rotate(request: Request, endpoint_id: str, key: Visitor, here: Here, fields: Posted) -> Response:
    """Answers with the new secret, this once: it stands in no address, so that nothing keeps it."""
    seen = one(fields, "seen") or "0"
    try:
        made = api.rotate_as_seen(endpoint_id, key, here, int(seen) if seen.isdecimal() else 0)
    except Problem as problem:
        if problem.status != 409:
            raise
        return _page(request, endpoint_id, key, here, Attempt("rotate", fields, in_words(problem)), problem.status)
    until = rfc3339(here.clock() + OVERLAP_MS, here.city.zone)
    endpoint = api.show_endpoint(endpoint_id, key, here)
    return render(request, "endpoint_secret.html", endpoint=endpoint, secret=made["secret"], until=until)


@routes.post("/endpoints/{endpoint_id}/replay")
def replay(request: Request, endpoint_id: str, key: Visitor, here: Here, fields: Posted) -> Response:
    """First how many it would be, then, when asked again with the same form, it does it."""
    try:
        asked = _replay(fields, here) | {"dry_run": one(fields, "do") != "1"}
        told = api.replay(endpoint_id, key, here, asked)
    except Problem as problem:
        if problem.status != 422:
            raise
        return _page(request, endpoint_id, key, here, Attempt("replay", fields, in_words(problem)), problem.status)
    if "would_replay" in told:
        return _page(request, endpoint_id, key, here, Attempt("replay", fields), would_replay=told["would_replay"])
    return see(f"/endpoints/{endpoint_id}?{_query(done='replayed', n=told['replayed'])}")


@routes.post("/endpoints/{endpoint_id}/retry")
def retry(endpoint_id: str, key: Visitor, here: Here, fields: Posted) -> Response:
    if not fields.get("id"):
        raise invalid("ids", "requires it", "the deliveries to retry")
    results = api.retry_many(key, here, {"ids": fields["id"]})["results"]
    number = sum(each["outcome"] == "retried" for each in results)
    told = _query(status=one(fields, "status") or "", done="retried", n=number, refused=len(results) - number)
    return see(f"/endpoints/{endpoint_id}?{told}")


@routes.get("/endpoints/{endpoint_id}/{action}")
def reload_after_form(endpoint_id: str, action: str, _key: Visitor) -> Response:
    """Where a form or a secret stood, when its address is opened again."""
    return see(f"/endpoints/{endpoint_id}")


def _replay(fields: Form, here: Installation) -> dict[str, Any]:
    asked: dict[str, Any] = {
        name: local_time(text, name, here.city) for name in ("since", "until") if (text := one(fields, name))
    }
    asked |= {name: fields[name] for name in ("types", "status") if name in fields}
    return asked | ({"case": case} if (case := one(fields, "case")) else {})


def _query(**told: Any) -> str:
    return urlencode({name: value for name, value in told.items() if value})


def _page(
    request: Request,
    endpoint_id: str,
    key: Key,
    here: Installation,
    attempt: Attempt,
    code: int = 200,
    *,
    status: str = "",
    cursor: str | None = None,
    **told: Any,
) -> Response:
    endpoint = api.show_endpoint(endpoint_id, key, here)
    found = api.list_deliveries(key, here, endpoint_id, status or None, None, cursor, AT_ONCE)
    queues = [
        each for each in api.delivery_queues(key, here)["items"] if (each["endpoint"] or {}).get("id") == endpoint_id
    ]
    now, zone = here.clock(), here.city.zone
    with here.store.read() as tx:
        backlog = backlogs(tx, [endpoint_id], api.visible(key, here))[endpoint_id]
        lately = [Lately.read(tx, endpoint_id, name, now, zone) for name in SPANS]
        signing = sign_until(find(tx, endpoint_id), now)
    return render(
        request,
        "endpoint.html",
        code,
        endpoint=endpoint,
        found=found,
        status=status,
        host=host(endpoint["url"]),
        department=department_name(here, endpoint["department"]),
        department_of=lambda code: department_name(here, code),
        division_of=lambda code: division.name if (division := here.city.divisions.get(code)) else code,
        shapes=SHAPES,
        backlog=backlog,
        moment_of=lambda ms: rfc3339(ms, zone),
        lately=lately,
        stuck=[(each, left(each, now)) for each in queues],
        signing=signing,
        attempt=attempt,
        messages=section("message"),
        an_hour_ago=(to_datetime(now).astimezone(zone) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M"),
        patience=here.city.file.webhooks.patience,
        **{"done": "", "number": 0, "refused": 0, "would_replay": None} | told,
    )  # fmt: skip
