"""What the three naive peers do alike: locate on the same polygons, keep, find a department, send one webhook.

As one writes it first: a transaction for each step, `requests.post` for each message. No cases, ledger, leases,
retries or merging, so an event costs them less than it costs citybrain.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import requests
import shapely
from fastapi import FastAPI
from pydantic import AwareDatetime, BaseModel, Field

from citybrain.city import City, load_city
from citybrain.config import BUILTIN_CITY
from geo.layer import Layer

FOLDER = Path(os.environ["BENCH_FOLDER"])
BROKER = os.environ["BENCH_BROKER"]
HOOK = os.environ["BENCH_HOOK"]
SECRET = os.environ["BENCH_SECRET"]
EDITIONS = Path(os.environ["BENCH_EDITIONS"])
TABLE = """CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, source_event_id TEXT UNIQUE, body TEXT, place TEXT,
           state TEXT, department TEXT)"""

_local = threading.local()


class Location(BaseModel):
    lng: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    datum: str = "wgs84"
    accuracy_m: float | None = None


class Event(BaseModel):
    source_event_id: str = Field(min_length=1, max_length=128)
    domain: str
    title: str = Field(max_length=200)
    description: str = ""
    occurred_at: AwareDatetime
    location: Location
    reporter: dict[str, str] | None = None
    attributes: dict[str, Any] = {}


def app_for(enqueue: Callable[[str], Any]) -> FastAPI:
    """The one route: validate, locate, commit, enqueue one job."""
    city_map()
    app = FastAPI()

    @app.post("/events", status_code=202)
    def post(event: Event) -> dict[str, Any]:
        place = locate(event.location.lng, event.location.lat)
        event_id = keep(event, place)
        enqueue(event_id)
        return {"id": event_id, "state": "received", "place": place}

    return app


@cache
def city() -> City:
    return load_city(BUILTIN_CITY)


@cache
def city_map() -> dict[str, tuple[shapely.STRtree, Layer]]:
    layers = city().edition(EDITIONS).layers
    return {level: (shapely.STRtree(layer.polygons), layer) for level, layer in layers.items()}


@cache
def departments() -> dict[str, str]:
    """One for each division; the real rules, by duty and level, cost more than this."""
    return {division: one.code for one in city().departments.values() for division in one.divisions}


def locate(lng: float, lat: float) -> dict[str, Any]:
    point, place = shapely.Point(lng, lat), {}
    for level, (tree, layer) in city_map().items():
        found = tree.query(point, predicate="intersects")
        if len(found):
            place[level] = {"code": layer.codes[found.min()], "name": layer.names[found.min()]}
    return place


def keep(event: Event, place: dict[str, Any]) -> str:
    event_id = uuid.uuid4().hex
    body, where = event.model_dump_json(), json.dumps(place, ensure_ascii=False)
    with database() as tx:
        tx.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, 'received', NULL)", (event_id, event.source_event_id, body, where)
        )
    return event_id


def dispatch(event_id: str) -> None:
    """The job: who is responsible, what to say, one signed webhook, done."""
    row = database().execute("SELECT body, place FROM events WHERE id = ?", (event_id,)).fetchone()
    event, place = json.loads(row[0]), json.loads(row[1])
    codes = [unit["code"] for unit in place.values()]
    department = next((departments()[code] for code in codes if code in departments()), None)
    del event["reporter"]
    data = {"event": {"id": event_id, **event}, "place": place, "department": department}
    body = json.dumps({"type": "work_order.dispatched", "data": data}, ensure_ascii=False).encode()
    requests.post(HOOK, data=body, headers=signed(f"msg_{event_id}", body), timeout=15).raise_for_status()
    with database() as tx:
        tx.execute("UPDATE events SET state = 'delivered', department = ? WHERE id = ?", (department, event_id))


def signed(message_id: str, body: bytes) -> dict[str, str]:
    """Standard Webhooks."""
    at = str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, b"%b.%b.%b" % (message_id.encode(), at.encode(), body), hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": signature}


def database() -> sqlite3.Connection:
    """One connection a thread and process, as durable as citybrain's."""
    if getattr(_local, "process", None) != os.getpid():
        _local.process = os.getpid()
        _local.connection = sqlite3.connect(FOLDER / "naive.db", timeout=30)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            _local.connection.execute(f"PRAGMA {pragma}")
        _local.connection.execute(TABLE)
    connection: sqlite3.Connection = _local.connection
    return connection
