"""The reports that every contestant is sent: the domains' own examples at random places of the city.

Chosen so that each leads to exactly one work order in citybrain (no triage, no merging, no assistants): whoever is
measured has the same thing to do, one webhook an event.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from citybrain.city import City, load_city
from citybrain.config import BUILTIN_CITY
from citybrain.domain import load_domains
from citybrain.routing.context import Context
from citybrain.routing.report import Filed
from citybrain.routing.responsibility import Responsibility
from geo.place import PLACE_LEVELS

AT_ONCE = 5_000
NUMBER = "bench"  # the attribute by which a webhook is recognised
REPORTER = {"name": "张三", "phone": "13800001111"}


def make_reports(editions: Path, seed: int = 1, *, typed: bool = False) -> Iterator[bytes]:
    """JSON bodies without end, the n-th with the number n among its attributes. `typed`: they say their type, which is
    otherwise found by their words."""
    found = _single(load_city(BUILTIN_CITY), editions, random.Random(seed), typed)
    return (orjson.dumps(_numbered(report, number)) for number, report in enumerate(found))


def _single(city: City, editions: Path, rng: random.Random, typed: bool) -> Iterator[dict[str, Any]]:
    """Reports that make a case with one order each, none about the same thing as another."""
    domains = load_domains()
    responsibility = Responsibility(city.departments.values())
    examples = [
        (code, example)
        for code, domain in domains.items()
        for kind in domain.catalogue.types.values()
        for example in kind.row.examples
    ]
    seen: set[tuple[str, str]] = set()
    now = datetime.now(UTC)
    contexts = {code: Context(domain.catalogue, responsibility, now) for code, domain in domains.items()}
    for lng, lat, codes in _points(city, editions, rng):
        domain, example = rng.choice(examples)
        filed = Filed(
            id="", domain=domain, occurred_at=now, title=example.title[:200], description=example.description,
            attributes=example.attributes, codes=codes, method="contains",
        )  # fmt: skip
        decision = domains[domain].decide([filed], contexts[domain])[0]
        keys = {(domain, merge.key) for merge in decision.merges if merge.key}
        if decision.triage or decision.void or decision.assist or keys & seen:
            continue
        seen |= keys
        happened = now - timedelta(seconds=rng.randint(5, 600))
        yield ({"type": decision.type} if typed else {}) | {
            "domain": domain, "title": filed.title, "description": filed.description, "attributes": filed.attributes,
            "occurred_at": happened.isoformat(timespec="seconds"),
            "location": {"lng": round(lng, 6), "lat": round(lat, 6), "datum": "wgs84", "accuracy_m": 15},
        }  # fmt: skip


def _points(city: City, editions: Path, rng: random.Random) -> Iterator[tuple[float, float, dict[str, str]]]:
    """Points with a cell under them, without end."""
    locator = city.locator(editions)
    west, south, east, north = city.envelope
    chance = np.random.default_rng(rng.randrange(2**32))
    while True:
        lng, lat = chance.uniform(west, east, AT_ONCE), chance.uniform(south, north, AT_ONCE)
        codes = locator.codes(lng, lat)
        for index in (number for number, cell in enumerate(codes["cell"]) if cell is not None):
            yield float(lng[index]), float(lat[index]), {level: codes[level][index] for level in PLACE_LEVELS}


def _numbered(report: dict[str, Any], number: int) -> dict[str, Any]:
    """People report to the grid, devices to the others."""
    person = {"reporter": REPORTER} if report["domain"] == "grid" else {}
    attributes = {**report["attributes"], NUMBER: number}
    return {"source_event_id": f"bench-{number:08d}", **report, **person, "attributes": attributes}
