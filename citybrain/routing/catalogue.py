"""A domain's manifest made ready for routing: its types, and one automaton over all the words of its terms.

Built once when the domain is loaded; `reading` and the rules use it for every event.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from operator import add
from typing import Any

import ahocorasick

from citybrain.deadline import Limit
from citybrain.routing.manifest import ConditionRow, LimitRow, Manifest, RuleRow, TypeRow, When
from citybrain.routing.wording import normalise

TOGETHER = "&"  # `河里&垃圾` is a term whose parts may stand apart, in any order
OR = "/"  # `河里/江里&垃圾` is short for `河里&垃圾` and `江里&垃圾`
TOLD_BY = 24  # types that a hint speaks for, those that have it oftenest

Groups = tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One word of each group must occur. A `thing` names an object, which may also be where something else is: it
    counts with a sign of what is wrong beside it, and not as a place."""

    groups: Groups
    thing: bool
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventType:
    row: TypeRow
    code: str
    duty: str
    limit: Limit
    assist_limit: Limit | None
    without: tuple[str, ...]
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Rule:
    row: RuleRow
    position: int
    terms: tuple[Term, ...]
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
        terms = _terms(manifest)
        rows = sorted(manifest.rule, key=lambda row: row.priority)
        self.rules = [
            Rule(row, i, tuple(terms[_groups(term), False] for term in row.terms), _all(row.without))
            for i, row in enumerate(rows)
        ]
        self.alarms = [(f"alarm:{row.code}", row.grade, _parts(row.terms)) for row in manifest.alarm]
        self.rules_of_term, self.rules_of_attribute, self.rules_always = _index_rules(self.rules)
        self.terms_of_word = _index_terms(terms.values())
        self.signs = frozenset(map(normalise, manifest.words.signs))
        self.after_place = tuple(map(normalise, manifest.words.after_place))
        self.before_place = tuple(map(normalise, manifest.words.before_place))
        self.automaton = _automaton(
            {word for term in terms.values() for group in term.groups for word in group} | self.signs
        )
        self.types_of_hint = _types_of_hint(manifest, terms.values())


def _event_type(row: TypeRow, manifest: Manifest) -> EventType:
    conditions = tuple(
        Condition(one, _parts(one.terms), _all(one.without), _limit(one.limit) if one.limit else None)
        for one in manifest.condition
        if row.code in one.types
    )
    duty = row.duty or manifest.domain.code
    own = _limit(row.assist_limit) if row.assist_limit else None
    return EventType(row, row.code, duty, _limit(row.limit), own, _all(row.without), conditions)


def _limit(row: LimitRow) -> Limit:
    return Limit(row.amount, row.unit)


def _all(terms: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for term in terms for one in _spelt_out(term)))


def _parts(terms: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(term.split(TOGETHER)) for term in _all(terms))


def _spelt_out(term: str) -> Iterator[str]:
    parts = (map(normalise, part.split(OR)) for part in term.split(TOGETHER))
    return (TOGETHER.join(one) for one in product(*parts) if len(set(one)) == len(one))


def _groups(term: str) -> Groups:
    return tuple(frozenset(map(normalise, part.split(OR))) for part in term.split(TOGETHER))


def _terms(manifest: Manifest) -> dict[tuple[Groups, bool], Term]:
    """Every term of the domain once, with the types that it speaks for; those of rules may speak for none."""
    found: dict[tuple[Groups, bool], list[str]] = defaultdict(list)
    for row in manifest.type:
        for term in row.terms:
            found[_groups(term), False].append(row.code)
        for thing in row.things:
            found[_groups(thing), True].append(row.code)
    for rule in manifest.rule:
        for term in rule.terms:
            found[_groups(term), False] += []
    return {(groups, thing): Term(groups, thing, tuple(codes)) for (groups, thing), codes in found.items()}


def _index_terms(terms: Iterable[Term]) -> dict[str, tuple[Term, ...]]:
    """The terms under the words of that group which the fewest terms have: `有人` is in hundreds."""
    terms = list(terms)
    common = Counter(word for term in terms for group in term.groups for word in group)
    found: dict[str, list[Term]] = defaultdict(list)
    for term in terms:
        for word in min(term.groups, key=lambda group: sum(common[word] for word in group)):
            found[word].append(term)
    return {word: tuple(rows) for word, rows in found.items()}


def _index_rules(rules: list[Rule]) -> tuple[dict[Term, list[Rule]], dict[str, list[Rule]], list[Rule]]:
    """Rules by the term or the attribute without which they cannot hold, and those that must always be tried."""
    by_term: dict[Term, list[Rule]] = defaultdict(list)
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


def _automaton(words: Iterable[str]) -> Any:
    """Finds every word in one pass: the word, its length, and whether it might be cut out of a longer Latin word."""
    automaton = ahocorasick.Automaton()
    for word in sorted(words):
        automaton.add_word(word, (word, len(word), word[0] < "\x80" or word[-1] < "\x80"))
    if len(automaton):
        automaton.make_automaton()
    return automaton


def _types_of_hint(manifest: Manifest, terms: Iterable[Term]) -> dict[str, tuple[tuple[str, float], ...]]:
    """Which types' names, terms or examples hold a pair of neighbouring letters or have it as a word of a term, and
    what it weighs for each, the more the oftener: for guesses, and as a second opinion of what the terms say."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in manifest.type:
        examples = [normalise(text) for one in row.examples for text in (one.title, one.description)]
        for text in [normalise(row.name), *examples]:
            for hint in pairs(text):
                found[hint][row.code] += 1
    for term in terms:
        for group in term.groups:
            for word in group:
                for hint in {*pairs(word), word}:
                    for code in term.types:
                        found[hint][code] += 1
    return {
        hint: tuple((code, len(hint) * math.sqrt(n / codes.total())) for code, n in codes.most_common(TOLD_BY))
        for hint, codes in found.items()
    }


def pairs(text: str) -> dict[str, None]:
    """The pairs of neighbouring letters in a text, each once and in its order; punctuation parts them."""
    return dict.fromkeys(filter(str.isalnum, map(add, text, text[1:])))
