"""A domain's manifest made ready for routing: its types, and one automaton over all the terms of the domain.

Built once when the domain is loaded; the rules read it for every event.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import ahocorasick

from citybrain.deadline import Limit
from citybrain.routing.manifest import ConditionRow, LimitRow, Manifest, RuleRow, TypeRow, When
from citybrain.routing.wording import normalise

TOGETHER = "&"  # `河里&垃圾` is a term whose parts may stand apart, in any order
OR = "/"  # `河里/江里&垃圾` is short for `河里&垃圾` and `江里&垃圾`


@dataclass(frozen=True, slots=True)
class EventType:
    row: TypeRow
    code: str
    duty: str
    limit: Limit
    without: tuple[str, ...]
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Rule:
    row: RuleRow
    position: int
    terms: frozenset[str]
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """`terms` are taken apart: each holds where all of its parts occur."""

    row: ConditionRow
    terms: tuple[tuple[str, ...], ...]
    without: tuple[str, ...]
    limit: Limit | None


class Catalogue:
    """The types of one domain by code, and what finds them."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.domain = manifest.domain.code
        self.settings = manifest.settings
        self.types = {row.code: _event_type(row, manifest) for row in manifest.type}
        rows = sorted(manifest.rule, key=lambda row: row.priority)
        self.rules = [Rule(row, i, frozenset(_all(row.terms)), _all(row.without)) for i, row in enumerate(rows)]
        self.alarms = [(f"alarm:{row.code}", row.grade, _parts(row.terms)) for row in manifest.alarm]
        self.types_of_term = _types_of_term(manifest)
        self.rules_of_term, self.rules_of_attribute, self.rules_always = _index_rules(self.rules)
        terms = {*self.types_of_term, *(term for rule in self.rules for term in rule.terms)}
        self.weights = {term: sum(map(len, term.split(TOGETHER))) for term in terms}
        self.together = _together(terms)
        self.automaton = _automaton({part for term in terms for part in term.split(TOGETHER)})
        self.longer = _longer(terms, self.automaton)
        self.types_of_hint = _types_of_hint(manifest)


def _event_type(row: TypeRow, manifest: Manifest) -> EventType:
    conditions = tuple(
        Condition(one, _parts(one.terms), _all(one.without), _limit(one.limit) if one.limit else None)
        for one in manifest.condition
        if row.code in one.types
    )
    duty = row.duty or manifest.domain.code
    return EventType(row, row.code, duty, _limit(row.limit), _all(row.without), conditions)


def _limit(row: LimitRow) -> Limit:
    return Limit(row.amount, row.unit)


def _all(terms: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for term in terms for one in _spelt_out(term)))


def _parts(terms: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(term.split(TOGETHER)) for term in _all(terms))


def _spelt_out(term: str) -> Iterator[str]:
    parts = (map(normalise, part.split(OR)) for part in term.split(TOGETHER))
    return (TOGETHER.join(one) for one in product(*parts) if len(set(one)) == len(one))


def _types_of_term(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in manifest.type:
        for term in _all(row.terms):
            found[term].append(row.code)
    return {term: tuple(codes) for term, codes in found.items()}


def _index_rules(rules: list[Rule]) -> tuple[dict[str, list[Rule]], dict[str, list[Rule]], list[Rule]]:
    """Rules by the term or the attribute without which they cannot hold, and those that must always be tried."""
    by_term: dict[str, list[Rule]] = defaultdict(list)
    by_attribute: dict[str, list[Rule]] = defaultdict(list)
    always: list[Rule] = []
    for rule in rules:
        needed = next((test.attribute for test in rule.row.when if _needs_presence(test)), None)
        if needed is not None:
            by_attribute[needed].append(rule)
        elif not rule.terms:
            always.append(rule)
        else:
            for term in rule.terms:
                by_term[term].append(rule)
    return dict(by_term), dict(by_attribute), always


def _needs_presence(test: When) -> bool:
    return test.op != "exists" or test.value is not False


def _automaton(terms: set[str]) -> Any:
    """Finds every term in one pass: the term, its length, and whether it might be cut out of a longer Latin word."""
    automaton = ahocorasick.Automaton()
    for term in sorted(terms):
        automaton.add_word(term, (term, len(term), term[0] < "\x80" or term[-1] < "\x80"))
    if terms:
        automaton.make_automaton()
    return automaton


def _longer(terms: Iterable[str], automaton: Any) -> dict[str, frozenset[str]]:
    """The longer terms that hold a term: found only as part of one that also matched, it says nothing of its own."""
    found: dict[str, set[str]] = {term: set() for term in terms}
    for longer in found:
        for part in longer.split(TOGETHER):
            for _, (held, _, _) in automaton.iter(part):
                if held != longer and held in found:
                    found[held].add(longer)
    return {term: frozenset(longer) for term, longer in found.items()}


def _together(terms: set[str]) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """The terms of several parts and their other parts, under the part that the fewest have: `有人` is in hundreds."""
    several = {term: frozenset(term.split(TOGETHER)) for term in sorted(terms) if TOGETHER in term}
    common = Counter(part for parts in several.values() for part in parts)
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for term, parts in several.items():
        rarest = min(sorted(parts), key=lambda part: common[part])
        found[rarest].append((term, tuple(sorted(parts - {rarest}))))
    return {part: tuple(rows) for part, rows in found.items()}


def _types_of_hint(manifest: Manifest) -> dict[str, frozenset[str]]:
    """Which types' names, terms or examples hold a pair of neighbouring letters or have it as a part of a term: for
    guesses where no whole term is found."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in manifest.type:
        examples = [normalise(text) for one in row.examples for text in (one.title, one.description)]
        for text in [normalise(row.name), *_all(row.terms), *examples]:
            for hint in pairs(text).union(text.split(TOGETHER)):
                found[hint].add(row.code)
    return {hint: frozenset(codes) for hint, codes in found.items()}


def pairs(text: str) -> set[str]:
    """The pairs of neighbouring letters in a text; punctuation parts them."""
    return {pair for start in range(len(text) - 1) if (pair := text[start : start + 2]).isalnum()}
