"""Proves that every example of every domain reaches its own type, and no other domain claims it for one of theirs.

`citybrain check` calls it after the domains are loaded; it needs neither places nor departments.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from citybrain.routing.catalogue import Catalogue, EventType
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.manifest import Example
from citybrain.routing.report import Filed
from citybrain.routing.responsibility import Responsibility
from geo.mistake import Mistake, did_you_mean

THEN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class Decider(Protocol):
    """The part of a domain that the proof needs."""

    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def decide(self) -> Callable[[Sequence[Filed], Context], list[Decision]]: ...


@dataclass(frozen=True, slots=True)
class Case:
    kind: EventType
    number: int
    example: Example

    @property
    def item(self) -> str:
        words = self.example.title or self.example.description or ", ".join(self.example.attributes)
        return f"type {self.kind.code}, example {self.number} ({words[:40]})"


def prove_examples(domains: Mapping[str, Decider], off: Collection[str] = ()) -> list[Mistake]:
    """A type of another domain that an example may rightly reach too stands in its type's `also`. Domains that are
    `off` claim nothing."""
    mistakes: list[Mistake] = []
    known = {code for domain in domains.values() for code in domain.catalogue.types}
    domains = {code: domain for code, domain in domains.items() if code not in off}
    for code, domain in domains.items():
        cases = [
            Case(kind, number, example)
            for kind in domain.catalogue.types.values()
            for number, example in enumerate(kind.row.examples, start=1)
        ]
        mistakes += _unknown_also(domain.catalogue, known)
        for other in domains.values():
            decisions = _decide(other, cases)
            judge = _own if other.catalogue.domain == code else _foreign
            file_of = domain.catalogue.manifest.file_of
            judged = (judge(file_of(case.kind.code), case, got) for case, got in zip(cases, decisions, strict=True))
            mistakes += [found for found in judged if found]
    return mistakes


def _decide(domain: Decider, cases: Sequence[Case]) -> list[Decision]:
    context = Context(domain.catalogue, Responsibility(()), THEN)
    own = domain.catalogue.types
    events = [
        Filed(
            id=str(number),
            domain=domain.catalogue.domain,
            type=case.example.posted if case.kind.code in own else None,
            occurred_at=THEN,
            title=case.example.title,
            description=case.example.description,
            attributes=case.example.attributes,
        )
        for number, case in enumerate(cases)
    ]
    return domain.decide(events, context)


def _own(file: str, case: Case, decision: Decision) -> Mistake | None:
    if decision.type == case.kind.code:
        return None
    reached = decision.type or " or ".join(decision.explanation["type"]["guesses"]) or "nothing"
    how = decision.explanation["winner"] or decision.triage
    return Mistake(file, case.item, f"to reach its own type, it reaches {reached} ({how})")


def _foreign(file: str, case: Case, decision: Decision) -> Mistake | None:
    if decision.type is None or decision.type in case.kind.row.also:
        return None
    how = decision.explanation["winner"]
    return Mistake(
        file, case.item, f"to reach no other domain, it reaches {decision.type} ({how}); rightly so? then in `also`"
    )


def _unknown_also(catalogue: Catalogue, known: Set[str]) -> Iterator[Mistake]:
    for kind in catalogue.types.values():
        for code in kind.row.also:
            if code not in known:
                what = f"a type of some domain, found {code}{did_you_mean(code, known)}"
                yield Mistake(catalogue.manifest.file_of(kind.code), f"type {kind.code}, also", what)
