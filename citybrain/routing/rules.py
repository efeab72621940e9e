"""Which type an event has: the posted one if the domain knows it, else a rule on attributes, else terms.

Reads the words and attributes of one event; grade, department and limit come after it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import add
from typing import Any

from citybrain.routing.catalogue import Catalogue, EventType, Rule
from citybrain.routing.condition import holds, shown
from citybrain.routing.reading import Reading, Span
from citybrain.routing.report import Filed

TITLE_WEIGHT = 2  # a letter in the title counts as if it were two
FEWEST = 4  # letters that a term must cover to decide: two in the title
CLEARLY = 1.25  # times as many letters as the next type: fewer, and a person chooses between them
SURE = 10  # letters in one term that need no second opinion: five in the title
SUPPORT = 0.9  # of what the likeliest type shares with all the words, that the one decided for must share
GUESSES = 3

Shares = defaultdict[str, float]  # by type


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
    """What the terms of one type cover: the letters of the longest and of all together, those in the title double."""

    longest: int = 0
    spans: list[Span] = field(default_factory=list)
    total: int = 0
    words: list[str] = field(default_factory=list)
    in_title: bool = False

    def rivals(self, best: "Score") -> bool:
        """Whether the best one is not clearly better, by its longest term or by all its terms."""
        return self.longest * CLEARLY >= best.longest and self.total * CLEARLY >= best.total


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
    if reading.matches:
        _by_terms(finding, reading, catalogue)
    if finding.by == "none" and finding.triage is None:
        finding.triage, finding.guesses = "no_type", guess(shared(reading, catalogue))
    return finding


def tried_rules(attributes: Mapping[str, Any], reading: Reading, catalogue: Catalogue) -> list[Rule]:
    """The rules for which something occurs that they ask for, first the one with the lowest priority, then in the
    order of the file. All others cannot hold."""
    tried: dict[int, Rule] = {rule.position: rule for rule in catalogue.rules_always}
    for name in attributes:
        for rule in catalogue.rules_of_attribute.get(name, ()):
            tried[rule.position] = rule
    for term in reading.matches:
        for rule in catalogue.rules_of_term.get(term, ()):
            tried[rule.position] = rule
    return [tried[position] for position in sorted(tried)]


def why_not(rule: Rule, attributes: Mapping[str, Any], reading: Reading) -> str | None:
    """None if the rule holds; else `terms`: none of its terms occurs, `without:WORD`: this word excludes it, or
    `when:N`: its N-th test does not hold."""
    if rule.terms and reading.matches.keys().isdisjoint(rule.terms):
        return "terms"
    for word in rule.without:
        if word in reading.text:
            return f"without:{word}"
    for number, test in enumerate(rule.row.when, start=1):
        if not holds(test, attributes):
            return f"when:{number}"
    return None


def rule_words(rule: Rule, reading: Reading) -> list[str]:
    return sorted({reading.matches[term].words for term in rule.terms if term in reading.matches})


def _explain_rules(finding: Finding, rules: list[Rule], attributes: Mapping[str, Any], reading: Reading) -> None:
    for rule in rules:
        entry: dict[str, Any] = {"kind": "rule", "rule": rule.row.code, "type": rule.row.type}
        entry["when"] = [shown(test, attributes) for test in rule.row.when]
        if rule.terms:
            entry["terms"] = rule_words(rule, reading)
        if rule is finding.rule:
            finding.matched.insert(0, entry)
            continue
        entry["lost"] = "posted_wins" if finding.by == "posted" else "priority"
        finding.matched.append(entry)


def _by_terms(finding: Finding, reading: Reading, catalogue: Catalogue) -> None:
    """Ranks the types whose terms occur; decides among them where neither the poster nor a rule has."""
    excluded = _excluded(reading, catalogue)
    scores, weak = _scores(reading, excluded)
    ranked = sorted(scores, key=lambda code: _order(scores[code], code))
    best = [code for code in ranked if scores[code].rivals(scores[ranked[0]])]
    doubt: str | None = "tied"
    if finding.by == "none" and best:
        doubt = "tied" if len(best) > 1 else _doubt(best[0], scores[best[0]], reading, catalogue)
        if doubt is None:
            finding.by, finding.type = "terms", catalogue.types[best[0]]
        else:
            likely = guess(shared(reading, catalogue))
            finding.triage, finding.guesses = "ambiguous_type", list(dict.fromkeys([*best, *likely]))[:GUESSES]
    for code in ranked:
        entry = _term_entry(code, scores[code])
        if reason := _lost(finding, code, best, doubt):
            entry["lost"] = reason
        finding.matched.append(entry)
    for code, word in excluded.items():
        finding.matched.append({"kind": "terms", "type": code, "lost": "excluded", "excluded_by": word})
    for (code, reason), words in weak.items():
        if code not in scores:
            finding.matched.append({"kind": "terms", "type": code, "terms": sorted(words), "lost": reason})


def _doubt(code: str, score: Score, reading: Reading, catalogue: Catalogue) -> str | None:
    """Why the only type left is not taken: too little speaks for it, or all the words together for another."""
    if score.longest < FEWEST:
        return "too_little"
    if score.longest >= SURE:
        return None
    shares = shared(reading, catalogue)
    return "words_differ" if shares[code] < SUPPORT * max(shares.values(), default=0) else None


def _excluded(reading: Reading, catalogue: Catalogue) -> dict[str, str]:
    """Types one of whose terms occurs, but an excluding one too, with the word that excludes."""
    named = dict.fromkeys(code for term in reading.matches for code in term.types)
    return {
        code: word
        for code in named
        if (word := next((word for word in catalogue.types[code].without if word in reading.text), None))
    }


def _scores(reading: Reading, excluded: Mapping[str, str]) -> tuple[dict[str, Score], dict[tuple[str, str], set[str]]]:
    """What speaks for each type, and by type and reason what would, but does not count."""
    scores: dict[str, Score] = {}
    weak: dict[tuple[str, str], set[str]] = {}
    claims = [
        (term, match, codes)
        for term, match in reading.matches.items()
        if (codes := [code for code in term.types if code not in excluded])
    ]
    counted = {span for _, match, _ in claims if not match.weak for span in match.places}
    for term, match, codes in claims:
        alone = len(term.groups) == 1
        if reason := match.weak or ("part_of_longer" if alone and _inside(match.places, counted) else None):
            for code in codes:
                weak.setdefault((code, reason), set()).add(match.words)
            continue
        once = (match.places[0], *match.sign) if alone else (*match.places, *match.sign)
        weight = _letters(once, reading.end_of_title)
        for code in codes:
            score = scores.setdefault(code, Score())
            score.longest = max(score.longest, weight)
            score.spans += (*match.places, *match.sign)
            score.words.append(match.words)
            score.in_title = score.in_title or match.places[0][0] < reading.end_of_title
    for score in scores.values():
        score.total = _letters(score.spans, reading.end_of_title)
    return scores, weak


def _inside(places: Iterable[Span], spans: Iterable[Span]) -> bool:
    return all(any(s <= start and end <= e and e - s > end - start for s, e in spans) for start, end in places)


def _letters(spans: Iterable[Span], end_of_title: int) -> int:
    """The letters that the spans cover together."""
    count = reached = 0
    for start, end in sorted(spans):
        if end > reached:
            new = end - max(start, reached)
            count += new * TITLE_WEIGHT if start < end_of_title else new
            reached = end
    return count


def _order(score: Score, code: str) -> tuple[int, int, str]:
    return -score.longest, -score.total, code


def _term_entry(code: str, score: Score) -> dict[str, Any]:
    return {
        "kind": "terms",
        "type": code,
        "terms": sorted(set(score.words)),
        "in": "title" if score.in_title else "description",
        "score": score.longest,
        "total": score.total,
    }


def _lost(finding: Finding, code: str, best: list[str], doubt: str | None) -> str | None:
    if finding.by == "posted":
        return None if finding.type and finding.type.code == code else "posted_wins"
    if finding.by == "rule":
        return None if finding.type and finding.type.code == code else "rule_wins"
    return doubt if code in best else "less_specific"


def shared(reading: Reading, catalogue: Catalogue) -> Shares:
    """How much each type shares with the words: pairs of neighbouring letters and words of terms, one that few types
    have counting more. What is named only as a place is left out."""
    found: Shares = defaultdict(float)
    text = reading.text
    for match in reading.matches.values():
        if match.weak == "place":
            for start, end in match.places:
                text = text[:start] + "\n" * (end - start) + text[end:]
    title = text[: reading.end_of_title]
    for hint in dict.fromkeys((*map(add, text, text[1:]), *reading.words)):
        if hint in catalogue.types_of_hint and hint in text:
            times = TITLE_WEIGHT if hint in title else 1
            for code, weight in catalogue.types_of_hint[hint]:
                found[code] += weight * times
    return found


def guess(shares: Shares) -> list[str]:
    """The types that share most; none where nothing is shared."""
    return [code for code, _ in sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:GUESSES]]
