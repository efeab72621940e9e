"""对接端点: every endpoint with how it is, what it has not received and how it answered lately; above them what waits
for an endpoint and does not move by itself. Each leads to the endpoint's own page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Query, Request, Response

from citybrain.access import Here
from citybrain.clock import rfc3339
from citybrain.console.case.why import department_name
from citybrain.console.countdown import Countdown, clock_face
from citybrain.console.door import Visitor, page_routes
from citybrain.console.rendering import render
from citybrain.console.texts import t
from citybrain.dispatch.api import delivery_queues, list_endpoints, visible, visible_endpoints
from citybrain.dispatch.backlog import Backlog, backlogs
from citybrain.dispatch.health import states
from citybrain.dispatch.pace import HOUR_MS, Pace, paces
from citybrain.dispatch.queues import QUEUES
from citybrain.installation import Installation
from citybrain.listing import Cursor, Word

AT_ONCE = 100  # endpoints on a page
SHAPES = {"well": "●", "failing": "◆", "unreachable": "▲", "disabled": "■", "untried": "○"}
SOON = 0.25  # of the time that something may wait is left

routes = page_routes()


@dataclass(frozen=True, slots=True)
class Shown:
    """An endpoint as the list shows it; `stuck` is its queue, if it has one."""

    it: dict[str, Any]
    department: str
    host: str
    backlog: Backlog
    oldest: str | None
    pace: Pace | None
    stuck: dict[str, Any] | None


@routes.get("/endpoints")
def endpoints_page(
    request: Request,
    key: Visitor,
    here: Here,
    state: Word = None,
    cursor: Cursor = None,
    gone: Annotated[str, Query()] = "",
) -> Response:
    found = list_endpoints(key, here, state, cursor, AT_ONCE)
    queues = delivery_queues(key, here)["items"]
    now = here.clock()
    with here.store.read() as tx:
        waiting = backlogs(tx, [each["id"] for each in found["items"]], visible(key, here))
        lately = paces(tx, now - HOUR_MS)
        numbers = states(tx, visible_endpoints(key, here))
    stuck = {each["endpoint"]["id"]: each for each in queues if each["endpoint"]}
    shown = [_shown(each, waiting[each["id"]], lately.of.get(each["id"]), stuck, here) for each in found["items"]]
    return render(
        request,
        "endpoints.html",
        endpoints=shown,
        next=found["next"],
        queues={name: [each for each in queues if each["queue"] == name] for name in QUEUES},
        numbers=numbers,
        shapes=SHAPES,
        state=state,
        minutes=-(-(now - lately.since) // 60_000),
        left=lambda each: left(each, now),
        department=lambda code: department_name(here, code),
        patience=here.city.file.webhooks.patience,
        gone=gone[:100],
    )  # fmt: skip


def _shown(it: dict[str, Any], backlog: Backlog, pace: Pace | None, stuck: dict[str, Any], here: Installation) -> Shown:
    oldest = rfc3339(backlog.oldest, here.city.zone)
    department = department_name(here, it["department"])
    return Shown(it, department, host(it["url"]), backlog, oldest, pace, stuck.get(it["id"]))


def host(url: str) -> str:
    """What of an address everybody may see: neither its path nor its query, which may be secret."""
    parts = urlsplit(url)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{name}" + (f":{parts.port}" if parts.port else "")


def left(stuck: dict[str, Any], now: int) -> Countdown:
    """How long somebody still has to do something about a queue."""
    since, due = (datetime.fromisoformat(stuck[name]).timestamp() for name in ("since", "due_at"))
    rest = due - now / 1000
    if rest < 0:
        return Countdown("overdue", "▲", t("countdown.overdue", span=clock_face(rest)), stuck["due_at"])
    soon = rest < SOON * (due - since)
    text = t("countdown.left", span=clock_face(rest))
    return Countdown("soon" if soon else "running", "◆" if soon else "●", text, stuck["due_at"])
