"""An endpoint's health as its attempts leave it: how long it is given time, when it counts as unreachable, how it is
tried then, and what happens when it is back. Called with the transaction that records the attempts."""

import random
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Row, bindparam, select, update

from citybrain.cityfile import BreakerTable
from citybrain.dispatch import switching
from citybrain.dispatch.sender import Outcome
from citybrain.store.dispatch_tables import endpoints
from citybrain.store.ledger import Entry, append_to_city

DISPATCH = "dispatch"  # the actor
# Whatever was the matter with an endpoint before: it is tried at once.
ANEW = {"failures": 0, "opened_at": None, "probes": 0, "probe_at": 0, "grave_probe_at": 0, "not_before": 0}
_HEALTH = ("enabled", "failures", "succeeded_at", "failed_at", "opened_at", "probes", "not_before")
_LOCKED = (
    select(endpoints.c.id, *(endpoints.c[name] for name in _HEALTH))
    .where(endpoints.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(endpoints.c.id)
    .with_for_update(key_share=True)
)
_SUCCEEDED = update(endpoints).where(endpoints.c.id == bindparam("of")).values(succeeded_at=bindparam("at"))
Health = Row[Any, Any, Any]


class Ended(Protocol):
    """An attempt; `at` is when it began."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def at(self) -> int: ...


def lock_health(tx: Connection, endpoint_ids: Sequence[str]) -> dict[str, Health]:
    """As it was before the attempts; nobody else changes it until the transaction has ended."""
    return {row.id: row for row in tx.execute(_LOCKED, {"ids": endpoint_ids})}


def record_health(
    tx: Connection, before: Health, ended: Sequence[Ended], now: int, rules: BreakerTable, rng: random.Random
) -> None:
    """One endpoint after all its attempts of a batch: one that answered is well, whatever else failed beside."""
    if any(each.outcome.kind == "delivered" for each in ended):
        _praise(tx, before, now)
    else:
        _blame(tx, before, ended, now, rules, rng)
    asked = max((each.outcome.retry_after or 0 for each in ended), default=0)
    if asked and now + 1000 * asked > before.not_before:
        _set(tx, before.id, not_before=now + int(1000 * asked))


def _praise(tx: Connection, before: Health, now: int) -> None:
    tx.execute(_SUCCEEDED, {"of": before.id, "at": now})
    if before.failures or before.opened_at is not None:
        _set(tx, before.id, **ANEW, state_since=now)
        switching.begin(tx, before.id, now, before.succeeded_at or 0)
    if before.opened_at is not None:
        told = {"endpoint": before.id, "unreachable_since": before.opened_at, "probes": before.probes}
        append_to_city(tx, Entry("endpoint.reachable", DISPATCH, told), now)


def _blame(
    tx: Connection, before: Health, failed: Sequence[Ended], now: int, rules: BreakerTable, rng: random.Random
) -> None:
    told: dict[str, Any] = {"failed_at": now, "last_error": failed[-1].outcome.error}
    if not before.failures:
        told["state_since"] = now
    # Whoever says that it is too much is there, and no message that fails alone through the hours speaks for all.
    silent = sum(each.outcome.status != 429 for each in failed)
    recent = before.failed_at is not None and now - before.failed_at <= rules.within_minutes * 60_000
    told["failures"] = silent + (before.failures if recent or before.opened_at is not None else 0)
    if any(each.outcome.kind == "gone" for each in failed) and before.enabled:
        _disable(tx, before.id, told, now)
    elif before.enabled and before.opened_at is None and told["failures"] >= rules.failures:
        told |= {"opened_at": now, "state_since": now} | _next_probe(0, now, rules, rng)
        entry = {"endpoint": before.id, "failures": told["failures"], "error": told["last_error"]}
        append_to_city(tx, Entry("endpoint.unreachable", DISPATCH, entry), now)
    elif before.opened_at is not None and any(each.at >= before.opened_at for each in failed):  # else it is a latecomer
        told |= {"probes": before.probes + 1} | _next_probe(before.probes + 1, now, rules, rng)
    _set(tx, before.id, **told)
    if told.get("enabled") is False:
        switching.begin(tx, before.id, now)


def _disable(tx: Connection, endpoint_id: str, told: dict[str, Any], now: int) -> None:
    told |= {"enabled": False, "disabled_because": "gone", "state_since": now, "opened_at": None, "probes": 0}
    append_to_city(tx, Entry("endpoint.disabled", DISPATCH, {"endpoint": endpoint_id, "reason": "410"}), now)


def _next_probe(probes: int, now: int, rules: BreakerTable, rng: random.Random) -> dict[str, int]:
    """Twice as far away as the last one, give or take a fifth."""
    wait = min(rules.probe_seconds * 2 ** min(probes, 30), rules.longest_probe_seconds) * rng.uniform(0.8, 1.2)
    return {
        "probe_at": now + int(1000 * wait),
        "grave_probe_at": now + int(1000 * min(wait, rules.grave_probe_seconds)),
    }


def _set(tx: Connection, endpoint_id: str, **values: Any) -> None:
    tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))
