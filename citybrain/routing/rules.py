"""Which type an event has: the posted one if the domain knows it, else a rule on attributes, else terms.

Reads the words and attributes of one event; grade, department and limit come after it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from citybrain.routing.catalogue import Catalogue, EventType, Rule, pairs
from citybrain.routing.condition import holds, shown
from citybrain.routing.report import Filed
from citybrain.routing.wording import normalise, stands_alone

NEAR = 24  # letters within which the parts of one term stand; further apart they speak of different things
TITLE_WEIGHT = 2  # a term in the title counts as if it were twice as long
CLEARLY_MORE = 1.5  # times the letters in terms that the next type has, where the longest ones are equally long
GUESSES = 3
OFTEN = 20  # places of one part that are looked at

Span = tuple[int, int]


class Reading(NamedTuple):
    """An event's normalised words and the terms found in them; True marks a term that occurs in the title."""

    text: str
    terms: dict[str, bool]


@dataclass(slots=True)
class Finding:
    """`by` is posted, rule, terms or none; `matched` explains everything that matched, winner first; `unfired` has the
    rules that were tried and did not hold, each with `why_not`."""

    by: str = "none"
    type: EventType | None = None
    rule: Rule | None = None
    triage: str | None = None
    guesses: list[str] = field(default_factory=list)
    matched: list[dict[str, Any]] = field(default_factory=list)
    unfired: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Score:
    longest: int = 0
    total: int = 0
    terms: list[str] = field(default_factory=list)
    in_title: bool = False

    def rivals(self, best: "Score") -> bool:
        """Whether the best one is not clearly better: its longest term no longer, all its terms hardly more."""
        return self.longest == best.longest and self.total * CLEARLY_MORE > best.total


def read(event: Filed, catalogue: Catalogue) -> Reading:
    title = normalise(event.title)
    text = f"{title}\n{normalise(event.description)}" if event.description else title
    found: dict[str, bool] = {}
    spans: dict[str, list[Span]] = {}
    if not catalogue.longer:
        return Reading(text, found)
    end_of_title = len(title)
    for last, (term, length, latin) in catalogue.automaton.iter(text):
        start, end = last + 1 - length, last + 1
        if latin and not stands_alone(text, start, end):
            continue
        if term in spans:
            spans[term].append((start, end))
        else:  # the first place is the one in the title, if any is
            spans[term] = [(start, end)]
            found[term] = start < end_of_title
    for part in [part for part in spans if part in catalogue.together]:
        for term, rest in catalogue.together[part]:
            if rest[0] not in spans or not all(map(spans.__contains__, rest)):
                continue
            if _stand_near(spans[part], [spans[one] for one in rest]):
                found[term] = found[part] and all(found[one] for one in rest)
    return Reading(text, found)


def _stand_near(these: list[Span], others: list[list[Span]]) -> bool:
    """Whether some place of the one part has each of the others near it, and not inside it or round it."""
    for start, end in these[:OFTEN]:
        for spans in others:
            if not any(_near(start, end, *other) for other in spans[:OFTEN]):
                break
        else:
            return True
    return False


def _near(start: int, end: int, other_start: int, other_end: int) -> bool:
    return 0 <= other_start - end <= NEAR or 0 <= start - other_end <= NEAR


def find_type(event: Filed, attributes: Mapping[str, Any], reading: Reading, catalogue: Catalogue) -> Finding:
    rules: list[Rule] = []
    unfired: dict[str, str] = {}
    for rule in tried_rules(attributes, reading, catalogue):
        reason = why_not(rule, attributes, reading)
        if reason is None:
            rules.append(rule)
        else:
            unfired[rule.row.code] = reason
    posted = catalogue.types.get(event.type) if event.type else None
    overriding = next((rule for rule in rules if rule.row.overrides), None)
    finding = Finding()
    if posted is not None and overriding is None:
        finding = Finding("posted", posted)
    elif winner := overriding or (rules[0] if rules else None):
        finding = Finding("rule", catalogue.types[winner.row.type], winner)
    finding.unfired = unfired
    _explain_rules(finding, rules, attributes, reading)
    if reading.terms:
        _by_terms(finding, reading, catalogue)
    if finding.by == "none" and finding.triage is None:
        finding.triage, finding.guesses = "no_type", guess(reading, catalogue)
    return finding


def tried_rules(attributes: Mapping[str, Any], reading: Reading, catalogue: Catalogue) -> list[Rule]:
    """The rules for which something occurs that they ask for, first the one with the lowest priority, then in the
    order of the file. All others cannot hold."""
    tried: dict[int, Rule] = {rule.position: rule for rule in catalogue.rules_always}
    for name in attributes:
        for rule in catalogue.rules_of_attribute.get(name, ()):
            tried[rule.position] = rule
    for term in reading.terms:
        for rule in catalogue.rules_of_term.get(term, ()):
            tried[rule.position] = rule
    return [tried[position] for position in sorted(tried)]


def why_not(rule: Rule, attributes: Mapping[str, Any], reading: Reading) -> str | None:
    """None if the rule holds; else `terms`: none of its terms occurs, `without:WORD`: this word excludes it, or
    `when:N`: its N-th test does not hold."""
    if rule.terms and rule.terms.isdisjoint(reading.terms):
        return "terms"
    for word in rule.without:
        if word in reading.text:
            return f"without:{word}"
    for number, test in enumerate(rule.row.when, start=1):
        if not holds(test, attributes):
            return f"when:{number}"
    return None


def _explain_rules(finding: Finding, rules: list[Rule], attributes: Mapping[str, Any], reading: Reading) -> None:
    for rule in rules:
        entry: dict[str, Any] = {"kind": "rule", "rule": rule.row.code, "type": rule.row.type}
        entry["when"] = [shown(test, attributes) for test in rule.row.when]
        if rule.terms:
            entry["terms"] = sorted(rule.terms.intersection(reading.terms))
        if rule is finding.rule:
            finding.matched.insert(0, entry)
            continue
        entry["lost"] = "posted_wins" if finding.by == "posted" else "priority"
        finding.matched.append(entry)


def _by_terms(finding: Finding, reading: Reading, catalogue: Catalogue) -> None:
    """Ranks the types whose terms occur; decides among them where neither the poster nor a rule has."""
    excluded = _excluded(reading, catalogue)
    scores, part_only = _scores(reading, catalogue, excluded)
    ranked = sorted(scores, key=lambda code: _order(scores[code], code))
    best = [code for code in ranked if scores[code].rivals(scores[ranked[0]])]
    if finding.by == "none" and len(best) == 1:
        finding.by, finding.type = "terms", catalogue.types[best[0]]
    elif finding.by == "none" and best:
        likely = dict.fromkeys([*ranked, *guess(reading, catalogue)])
        finding.triage, finding.guesses = "ambiguous_type", list(likely)[:GUESSES]
    for code in ranked:
        entry = _term_entry(code, scores[code])
        if reason := _lost(finding, code, best):
            entry["lost"] = reason
        finding.matched.append(entry)
    for code, word in excluded.items():
        finding.matched.append({"kind": "terms", "type": code, "lost": "excluded", "excluded_by": word})
    for code, terms in part_only.items():
        finding.matched.append({"kind": "terms", "type": code, "terms": sorted(terms), "lost": "part_of_longer"})


def _excluded(reading: Reading, catalogue: Catalogue) -> dict[str, str]:
    """Types one of whose terms occurs, but an excluding one too, with the word that excludes."""
    named = dict.fromkeys(code for term in reading.terms for code in catalogue.types_of_term.get(term, ()))
    return {
        code: word
        for code in named
        if (word := next((word for word in catalogue.types[code].without if word in reading.text), None))
    }


def _scores(
    reading: Reading, catalogue: Catalogue, excluded: Mapping[str, str]
) -> tuple[dict[str, Score], dict[str, set[str]]]:
    scores: dict[str, Score] = {}
    part_only: dict[str, set[str]] = {}
    claims = {
        term: codes
        for term in reading.terms
        if (codes := [code for code in catalogue.types_of_term.get(term, ()) if code not in excluded])
    }
    for term, codes in claims.items():
        in_title = reading.terms[term]
        if not catalogue.longer[term].isdisjoint(claims):
            for code in codes:
                part_only.setdefault(code, set()).add(term)
            continue
        weight = catalogue.weights[term] * (TITLE_WEIGHT if in_title else 1)
        for code in codes:
            score = scores.setdefault(code, Score())
            score.longest = max(score.longest, weight)
            score.total += weight
            score.terms.append(term)
            score.in_title = score.in_title or in_title
    return scores, {code: terms for code, terms in part_only.items() if code not in scores}


def _order(score: Score, code: str) -> tuple[int, int, str]:
    return -score.longest, -score.total, code


def _term_entry(code: str, score: Score) -> dict[str, Any]:
    return {
        "kind": "terms",
        "type": code,
        "terms": sorted(score.terms),
        "in": "title" if score.in_title else "description",
        "score": score.longest,
        "total": score.total,
    }


def _lost(finding: Finding, code: str, best: list[str]) -> str | None:
    if finding.by == "posted":
        return None if finding.type and finding.type.code == code else "posted_wins"
    if finding.by == "rule":
        return None if finding.type and finding.type.code == code else "rule_wins"
    if code not in best:
        return "less_specific"
    return "tied" if finding.triage else None


def guess(reading: Reading, catalogue: Catalogue) -> list[str]:
    """The types that share most with the words: pairs of neighbouring letters and parts of terms, one that few types
    have counting more; none where nothing is shared."""
    shared: dict[str, float] = defaultdict(float)
    for hint in sorted(pairs(reading.text) | reading.terms.keys()):
        for code in (codes := catalogue.types_of_hint.get(hint, frozenset())):
            shared[code] += len(hint) / len(codes)
    return [code for code, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:GUESSES]]
