"""What differs between a decision as it was recorded and the same one recomputed, part by part, and why.

Pure: the record and the packs in use are read before; the API and the event's page show the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

Json = Mapping[str, Any]
UNKNOWN = "unknown"  # nothing that a decision rests on has changed, so the record or the handler's memory has
DIGITS = 7  # of degrees: a centimetre, while processors differ in the last bit of a sine


class Part(NamedTuple):
    """`of` takes it out of an explanation; `rests_on` names what it is based on, `follows` the parts it comes from."""

    of: Callable[[Json], Any]
    rests_on: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()


class Difference(NamedTuple):
    part: str
    then: Any
    now: Any
    because: list[str]


def _kind(told: Json) -> Json:
    found: Json = told.get("type") or {}
    return found


def _department(told: Json) -> Json:
    found: Json = told.get("department") or {}
    return found


def _of_type(told: Json, name: str) -> Json | None:
    """A part that says which type it comes from: another type is one difference, not one in each part."""
    part, own = told.get(name), f"type:{_kind(told).get('winner')}"
    if not part:
        return None
    found = {**part, "from": "type" if part.get("from") == own else part.get("from")}
    if "rules" in part:
        found["rules"] = {"type" if source == own else source: grade for source, grade in part["rules"].items()}
    return found


def _merge(told: Json) -> Json | None:
    return _without_type(told.get("merge"), f"{_kind(told).get('winner')}|")


def _without_type(merge: Json | None, prefix: str) -> Json | None:
    if not merge:
        return None
    others = {"or": _without_type(merge["or"], prefix)} if "or" in merge else {}
    return {**merge, "key": merge["key"].removeprefix(prefix), **others}


PARTS = {
    "type": Part(lambda told: _kind(told).get("winner"), ("rules",)),
    "reasons": Part(
        lambda told: (
            {name: each for name, each in _kind(told).items() if name not in ("winner", "guesses")}
            | {"derived": told.get("derived")}
        ),
        ("rules",),
    ),
    "guesses": Part(lambda told: _kind(told).get("guesses"), ("rules",)),
    "grade": Part(lambda told: _of_type(told, "grade"), ("rules",)),
    "conditions": Part(lambda told: [each["condition"] for each in told.get("conditions") or ()], ("rules",)),
    "limit": Part(lambda told: _of_type(told, "limit"), ("rules",)),
    "duty": Part(
        lambda told: (
            {name: _department(told).get(name) for name in ("duty", "level")}
            | {"assist": list(_department(told).get("assist") or ())}
        ),
        ("rules",),
    ),
    "department": Part(
        lambda told: {name: _department(told).get(name) for name in ("lead", "tried")}, ("departments",), ("duty",)
    ),
    "assist": Part(lambda told: list((_department(told).get("assist") or {}).values()), ("departments",), ("duty",)),
    "merge": Part(_merge, ("rules",)),
    "triage": Part(
        lambda told: [each["reason"] for each in told.get("triage") or ()], (), ("type", "reasons", "department")
    ),
    "due_at": Part(lambda told: told.get("due_at"), ("calendar",), ("limit", "triage")),
}


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Which of the things that the decision rested on are others today."""
    return [name for name in then if then[name] != now.get(name)]


def compare(then: Json, now: Json, others: list[str]) -> list[Difference]:
    """The parts of two whole explanations that differ; `others` is what `changed` found."""
    then, now = plain(then), plain(now)
    found: dict[str, Difference] = {}
    for name, part in PARTS.items():
        before, after = part.of(then), part.of(now)
        if before != after:
            causes = [cause for cause in part.rests_on if cause in others]
            causes += [cause for other in part.follows if other in found for cause in found[other].because]
            found[name] = Difference(name, before, after, _named(causes, others))
    return list(found.values())


def compare_places(name: str, then: Json, now: Json, others: list[str]) -> list[Difference]:
    """At most one: what of the place differs. The edition itself is no difference."""
    before, after = _rounded(then), _rounded(plain(now))
    other = [each for each in before if before[each] != after.get(each)]
    if not other:
        return []
    causes = [cause for cause in ("edition", "placing") if cause in others]
    then, now = ({each: side.get(each) for each in other} for side in (before, after))
    return [Difference(name, then, now, _named(causes, others))]


def plain(told: Json) -> Json:
    """As the record gives it back: NaN is null, a tuple is a list."""
    found: Json = orjson.loads(orjson.dumps(told))
    return found


def _named(causes: Sequence[str], others: Sequence[str]) -> list[str]:
    """The causes, each once; where none is known, a changed program may be one."""
    return list(dict.fromkeys(causes)) or [cause for cause in others if cause == "software"] or [UNKNOWN]


def _rounded(place: Json) -> dict[str, Any]:
    found = {name: value for name, value in place.items() if name != "edition"}
    if point := found.get("wgs84"):
        found["wgs84"] = {axis: round(degrees, DIGITS) for axis, degrees in point.items()}
    return found
