"""Which domains were at work here and when, and which registry was in force: noted by patrol when it changes, so that
a past day's coverage does not depend on what is installed today."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import orjson
from sqlalchemy import Connection, insert, select, update

from citybrain.city import City
from citybrain.clock import Clock
from citybrain.indicators.spans import FOREVER, Ints
from citybrain.store.coverage_tables import domain_activity
from citybrain.store.ledger import Entry, append_to_city, lock_city
from citybrain.store.ledger_tables import MILESTONES, ledger

PATROL = "patrol"


class Observed(Protocol):
    """What the indicator needs to know of an installation."""

    @property
    def city(self) -> City: ...
    @property
    def domains(self) -> Mapping[str, Any]: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def opened_at(self) -> int: ...


def note_changes(tx: Connection, here: Observed) -> None:
    """Repeating it changes nothing, and two who do it at once do it once."""
    lock_city(tx)
    _note_domains(tx, here)
    _note_registry(tx, here.city, here.clock())


def _note_domains(tx: Connection, here: Observed) -> None:
    now = here.clock()
    rows = tx.execute(select(domain_activity)).all()
    working = {row.domain for row in rows if row.until_at is None}
    # The first note reaches back: what an older version of the service did, these domains did.
    since = now if rows else 0
    for code in sorted(set(here.domains) - working):
        tx.execute(insert(domain_activity).values(domain=code, from_at=since))
        append_to_city(tx, Entry("domain.activated", PATROL, {"domain": code}), now)
    for code in sorted(working - set(here.domains)):
        mine = (domain_activity.c.domain == code) & domain_activity.c.until_at.is_(None)
        tx.execute(update(domain_activity).where(mine).values(until_at=now))
        append_to_city(tx, Entry("domain.deactivated", PATROL, {"domain": code}), now)


def _note_registry(tx: Connection, city: City, now: int) -> None:
    industries = [each.model_dump(mode="json", by_alias=True) for each in city.registry.industries.values()]
    bases = {code: list(basis.industries) for code, basis in city.registry.bases.items()}
    whole = orjson.dumps([industries, bases], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(whole).hexdigest()
    loaded = select(ledger.c.data).where(MILESTONES, ledger.c.action == "registry.loaded")
    last = tx.execute(loaded.order_by(ledger.c.at.desc(), ledger.c.seq.desc()).limit(1)).scalar()
    if last is None or orjson.loads(last)["sha256"] != digest:
        declared = {each["code"]: each["declared"] for each in industries if each["declared"]}
        append_to_city(tx, Entry("registry.loaded", PATROL, {"sha256": digest, "declared": declared}), now)


def active_since_until(tx: Connection, here: Observed) -> dict[str, list[tuple[int, int]]]:
    """For each domain the spans in which it was at work. What is not noted yet changed when this process started."""
    rows = tx.execute(select(domain_activity).order_by(domain_activity.c.from_at)).all()
    if not rows:
        return {code: [(0, FOREVER)] for code in here.domains}
    changed = min(here.opened_at, here.clock())
    found: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        open_end = FOREVER if row.domain in here.domains else changed
        found.setdefault(row.domain, []).append((row.from_at, row.until_at if row.until_at is not None else open_end))
    for code in here.domains:
        spans = found.setdefault(code, [])
        if not any(end == FOREVER for _, end in spans):
            spans.append((changed, FOREVER))
    return found


def as_columns(active: Mapping[str, list[tuple[int, int]]], codes: Mapping[str, int]) -> tuple[Ints, Ints, Ints]:
    """(domain number, start, end) of every span, for the domains that have a number."""
    rows = [(codes[code], *span) for code, spans in active.items() if code in codes for span in spans]
    columns = np.array(rows, np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]
