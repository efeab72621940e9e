"""Decisions recomputed from the record with the packs in use: each event as it was reported, at its recorded place, at
the moment of its decision. What comes out is compared with what was recorded; nothing is changed."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from citybrain.casework.handling_clock import due_moment
from citybrain.clock import rfc3339
from citybrain.installation import Installation
from citybrain.intake.placing import locate_again
from citybrain.intake.reading import whole_explanation
from citybrain.routing.comparison import Difference, changed, compare, compare_places
from citybrain.routing.decision import Decision
from citybrain.routing.record import Stamp
from citybrain.routing.report import Filed

log = logging.getLogger(__name__)


@dataclass
class Verdict:
    """Whether one event's decision comes out the same: None where it was not decided yet or cannot be recomputed,
    `obstacle` says why: `no_basis` (its moment and basis were not recorded then), `no_domain` (the domain is no longer
    at work here) or `handler_failed`. `edition_kept`: whether the edition of its place is still there."""

    then: dict[str, Any] | None
    now: dict[str, Any] | None = None
    others: list[str] = field(default_factory=list)
    edition_kept: bool = True
    differences: list[Difference] = field(default_factory=list)
    obstacle: str | None = None

    @property
    def same(self) -> bool | None:
        return None if self.now is None else not self.differences


def recompute(rows: Sequence[Row[Any]], here: Installation) -> list[Verdict]:
    """A verdict for each row of `events`, in order; handlers and the locator are asked for many at once."""
    verdicts = [Verdict(whole_explanation(row, here)) for row in rows]
    decided = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if verdict.then]
    for (domain, at), together in _by(decided, lambda row: (row.domain, row.explanation.get("at"))).items():
        _decide_again(domain, at, together, here)
    again = [(row, verdict) for row, verdict in decided if verdict.now]
    for edition, together in _by(again, lambda row: row.place["edition"]).items():
        _locate_again(edition, together, here)
    return verdicts


Together = list[tuple[Row[Any], Verdict]]


def _by(rows: Iterable[tuple[Row[Any], Verdict]], key: Any) -> dict[Any, Together]:
    found: dict[Any, Together] = defaultdict(list)
    for row, verdict in rows:
        found[key(row)].append((row, verdict))
    return found


def _decide_again(domain: str, at: int | None, together: Together, here: Installation) -> None:
    """Those decided at one moment were one batch, and are one again."""
    obstacle, decisions = None, list[Decision]()
    if at is None:
        obstacle = "no_basis"
    elif domain not in here.domains:
        obstacle = "no_domain"
    else:
        filed = [Filed.of_record(row, here.city.zone) for row, _ in together]
        try:
            decisions = here.domains[domain].decide(filed, here.context(domain, at))
        except Exception:  # a foreign handler's fault is an answer, not ours to fail of
            log.warning("recomputing events of %s failed", domain, exc_info=True)
            obstacle = "handler_failed"
    if obstacle is not None or at is None:
        for _, verdict in together:
            verdict.obstacle = obstacle
        return
    for (row, verdict), decision in zip(together, decisions, strict=True):
        stamp = Stamp.of(row.explanation)
        basis = here.basis(domain) | {"edition": here.locator.edition.id}
        due_at = None if stamp.joined else _due_at(decision, at, here)
        verdict.now = decision.explanation | {"basis": basis, "due_at": due_at}
        verdict.others = changed((verdict.then or {})["basis"], basis)
        verdict.differences = compare(verdict.then or {}, verdict.now, verdict.others)


def _due_at(decision: Decision, at: int, here: Installation) -> str | None:
    if decision.triage or decision.limit is None:
        return None
    return rfc3339(due_moment(here.city.calendar, at, decision.limit.amount, decision.limit.unit), here.city.zone)


def _locate_again(edition: str, together: Together, here: Installation) -> None:
    """In its own edition, where that is still there, and in the one in use."""
    own, in_use = here.locator_of(edition), here.locator
    locators = {"place": own, "place_in_use": in_use if own is not in_use else None}
    for name, locator in locators.items():
        if locator is None:
            continue
        places = locate_again([row.location for row, _ in together], here.city, locator)
        for (row, verdict), place in zip(together, places, strict=True):
            others = [each for each in verdict.others if each != "edition" or name == "place_in_use"]
            verdict.differences += compare_places(name, row.place, place.as_dict(), others)
    for _, verdict in together:
        verdict.edition_kept = own is not None
