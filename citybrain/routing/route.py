"""The standard way of a batch of events to decisions: type, grade, limit, department, merge key, or triage.

A domain's handler calls it, with facts it derived from the events beside them; the case is made from its answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from citybrain.deadline import Limit
from citybrain.routing.catalogue import Catalogue, Condition, EventType
from citybrain.routing.condition import all_hold
from citybrain.routing.context import Context
from citybrain.routing.decision import LOWEST_GRADE, TRIAGE, Decision, Merge
from citybrain.routing.manifest import MergeRow
from citybrain.routing.reading import Reading, read
from citybrain.routing.record import decided_by
from citybrain.routing.report import LOCATED, Filed
from citybrain.routing.responsibility import Assignment
from citybrain.routing.rules import Finding, find_type

Facts = Mapping[str, Any]


class Terms(NamedTuple):
    """How grave and how urgent: the grade and the limit, each with where it came from; or why it is nothing to do."""

    grade: int
    limit: Limit | None
    assist: tuple[str, ...]
    explanation: dict[str, Any]
    void: str | None = None


def route(events: Sequence[Filed], context: Context, derived: Iterable[Facts] | None = None) -> list[Decision]:
    """One decision an event, in the same order. `derived` holds, event by event, what the handler worked out from
    it; rules see these facts beside the event's attributes, and they win over attributes of the same name."""
    facts: Iterable[Facts] = derived if derived is not None else ({} for _ in events)
    return [_decide(event, fact, context) for event, fact in zip(events, facts, strict=True)]


def _decide(event: Filed, facts: Facts, context: Context) -> Decision:
    attributes = {**event.attributes, **facts} if facts else event.attributes
    reading = read(event, context.catalogue)
    finding = find_type(event, attributes, reading, context.catalogue)
    terms = _terms(event, attributes, reading, finding, context.catalogue)
    assignment = _assign(event, finding, terms.assist, context)
    reasons = [] if terms.void else _triage(event, finding, assignment)
    kind = finding.type
    merges = tuple(_merge(event, attributes, kind, row) for row in kind.row.merge) if kind else ()
    return Decision(
        event_id=event.id,
        type=finding.type.code if finding.type else None,
        grade=terms.grade,
        lead=assignment.lead if assignment and not reasons and not terms.void else None,
        assist=assignment.assist if assignment and not reasons and not terms.void else (),
        limit=None if terms.void else terms.limit,
        triage=reasons[0] if reasons else None,
        explanation=_explanation(event, facts, finding, terms, assignment, reasons, merges, context),
        merges=merges,
        assist_limit=finding.type.assist_limit if finding.type else None,
        tells=bool(kind and any(row.tells for row in kind.row.merge)),
        void=terms.void,
    )


def _terms(event: Filed, attributes: Facts, reading: Reading, finding: Finding, catalogue: Catalogue) -> Terms:
    kind = finding.type
    posted = event.grade if event.grade is not None and 1 <= event.grade <= LOWEST_GRADE else None
    if kind is None:
        feared = {f"guess:{code}": int(catalogue.types[code].row.grade) for code in finding.guesses}
        feared |= {code: grade for code, grade, terms in catalogue.alarms if _one_occurs(terms, reading.text)}
        grade = _grade(posted, feared)
        return Terms(grade["value"], None, (), {"grade": grade, "limit": None, "conditions": []})
    raised = {f"type:{kind.code}": int(kind.row.grade)}
    if finding.rule and finding.rule.row.grade:
        raised[f"rule:{finding.rule.row.code}"] = finding.rule.row.grade
    limit, limit_from = kind.limit, f"type:{kind.code}"
    assist = dict.fromkeys(kind.row.assist)
    held = [one for one in kind.conditions if _condition_holds(one, attributes, reading.text)]
    for condition in held:
        if condition.row.grade:
            raised[f"condition:{condition.row.code}"] = condition.row.grade
        if condition.limit and limit_from.startswith("type:"):
            limit, limit_from = condition.limit, f"condition:{condition.row.code}"
        assist |= dict.fromkeys(condition.row.assist)
    grade = _grade(posted, raised)
    explanation = {
        "grade": grade,
        "limit": {"amount": limit.amount, "unit": limit.unit, "from": limit_from} | _assisting(kind.assist_limit),
        "conditions": [{"condition": one.row.code, "name": one.row.name} for one in held],
    }
    void = next((condition.row.void for condition in held if condition.row.void), None)
    return Terms(grade["value"], limit, tuple(assist), explanation, void)


def _assisting(limit: Limit | None) -> dict[str, Any]:
    return {"assist": {"amount": limit.amount, "unit": limit.unit}} if limit else {}


def _condition_holds(condition: Condition, attributes: Facts, text: str) -> bool:
    if condition.terms and not _one_occurs(condition.terms, text):
        return False
    return not any(word in text for word in condition.without) and all_hold(condition.row.when, attributes)


def _one_occurs(terms: Iterable[Sequence[str]], text: str) -> bool:
    return any(parts[0] in text and (len(parts) == 1 or all(part in text for part in parts)) for parts in terms)


def _grade(posted: int | None, found: dict[str, int]) -> dict[str, Any]:
    """The gravest of what type, rule, conditions and poster say: nobody can lower what another raised. Where the
    type is undecided, what it may be says it: a fire must not wait at the lowest grade for somebody to read it."""
    source = min(found, key=lambda name: found[name], default="none")
    gravest = found.get(source, LOWEST_GRADE)
    if posted is not None and (posted < gravest or not found):
        return {"value": posted, "from": "posted", "posted": posted, "rules": found}
    return {"value": gravest, "from": source, "posted": posted, "rules": found}


def _assign(event: Filed, finding: Finding, assist: Sequence[str], context: Context) -> Assignment | None:
    if finding.type is None:
        return None
    kind, domain = finding.type, context.catalogue.domain
    return context.responsibility.assign(kind.duty, assist, domain, kind.row.level, event.codes)


def _triage(event: Filed, finding: Finding, assignment: Assignment | None) -> list[str]:
    """Every reason to ask a person; without a place nothing else can be settled, so that comes first."""
    reasons: list[str] = []
    if event.method == "outside":
        reasons.append("outside")
    elif event.method == "none" or not any(event.codes.values()):
        reasons.append("no_place")
    if finding.triage:
        reasons.append(finding.triage)
    elif not reasons and assignment is not None and assignment.lead is None:
        reasons.append("no_department")
    return reasons


def _merge(event: Filed, attributes: Facts, kind: EventType, merge: MergeRow) -> Merge:
    asked = merge.attributes if merge.by == "device" else [_finest(event) if merge.within_m else "cell"]
    source = attributes if merge.by == "device" else event.codes
    parts = [source.get(name) for name in asked]
    if any(part is None or isinstance(part, list | dict) or part == "" for part in parts):
        return Merge(None)
    key = "|".join([kind.code, merge.by, *(str(part).strip() for part in parts)])
    return Merge(key, merge.within_minutes, merge.within_m)


def _finest(event: Filed) -> str:
    """The level of the smallest division that is known: where metres decide, it only says where to look."""
    return next((level for level in reversed(LOCATED) if event.codes.get(level)), LOCATED[-1])


def _merge_told(merges: Sequence[Merge]) -> dict[str, Any] | None:
    """The first that applies, and under `or` the next."""
    told: dict[str, Any] | None = None
    for merge in reversed([each for each in merges if each.key]):
        metres = {"within_m": merge.metres} if merge.metres else {}
        told = {"key": merge.key, "within_minutes": merge.minutes, **metres} | ({"or": told} if told else {})
    return told


def _explanation(
    event: Filed,
    facts: Facts,
    finding: Finding,
    terms: Terms,
    assignment: Assignment | None,
    reasons: Sequence[str],
    merges: Sequence[Merge],
    context: Context,
) -> dict[str, Any]:
    kind = {
        "by": finding.by,
        "winner": finding.type.code if finding.type else None,
        "rule": finding.rule.row.code if finding.rule else None,
        "posted": event.type,
        "guesses": finding.guesses,
        "matched": finding.matched,
        "unfired": finding.unfired,
    }
    explanation: dict[str, Any] = {
        "winner": decided_by(kind),
        "domain": context.catalogue.domain,
        "version": context.catalogue.manifest.domain.version,
        "type": kind,
        **terms.explanation,
        "department": assignment.explanation if assignment else None,
        "merge": _merge_told(merges),
        "triage": [{"reason": reason, "zh": TRIAGE[reason].zh, "en": TRIAGE[reason].en} for reason in reasons],
    }
    if facts:
        explanation["derived"] = dict(facts)
    if event.type and finding.by != "posted":
        known = event.type in context.catalogue.types
        explanation["type"]["posted_lost"] = "overridden" if known else "unknown"
    return explanation
