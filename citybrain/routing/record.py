"""The explanation of a decision as the record keeps it: without what stands beside it in the event or in the pack by
code, or follows from the rest. Made whole again for those who ask.

`route` gives the whole one; the event's row keeps the short one, stamped with the moment and basis of the decision.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from citybrain.routing.catalogue import Catalogue
from citybrain.routing.decision import TRIAGE
from citybrain.routing.report import Filed

Json = dict[str, Any]
Part = Mapping[str, Any]
ABSENT: Json = {"limit": None, "conditions": [], "department": None, "merge": None, "triage": []}
FOLLOWING = ("winner", "domain", "version")


class Stamp(NamedTuple):
    """When it was decided (ms), on what basis, and what became of the event: when the case that it opened is due (ms),
    or which case it joined."""

    at: int | None
    basis: Mapping[str, str]
    due_at: int | None = None
    joined: str | None = None

    @classmethod
    def of(cls, short: Part) -> "Stamp":
        return cls(**{"at": None, "basis": {}} | {name: short[name] for name in cls._fields if name in short})

    def as_dict(self) -> Json:
        return {name: value for name, value in self._asdict().items() if value is not None}


def shorten(explanation: Part, event: Filed) -> Json:
    """What is kept of a whole explanation; `lengthen` gives it back."""
    short = {name: part for name, part in _less(explanation, ABSENT).items() if name not in FOLLOWING}
    winner = (explanation.get("type") or {}).get("winner")
    if kind := short.get("type"):
        short["type"] = _less(kind, _usual_type(event))
        if matched := kind.get("matched"):
            short["type"]["matched"] = [_less(each, _usual_match(each)) for each in matched]
    if grade := short.get("grade"):
        short["grade"] = _less(grade, _usual_grade(grade, winner, event))
    if limit := short.get("limit"):
        short["limit"] = _less(limit, _usual_limit(winner))
    if department := short.get("department"):
        short["department"] = _less(department, _usual_department(department))
        short["department"]["tried"] = [
            _less(each, _usual_try(each, department, event)) for each in department["tried"]
        ]
    if "conditions" in short:
        short["conditions"] = [each["condition"] for each in short["conditions"]]
    if "triage" in short:
        short["triage"] = [each["reason"] for each in short["triage"]]
    return short


def lengthen(short: Part, event: Filed, catalogue: Catalogue | None) -> Json:
    """The whole explanation without its stamp. Names come from the catalogue in use; what it no longer has is told by
    its code."""
    if "basis" not in short:
        return dict(short)  # it was kept whole once
    whole = ABSENT | {name: part for name, part in short.items() if name not in Stamp._fields}
    winner = (short.get("type") or {}).get("winner")
    if kind := short.get("type"):
        matched = [_usual_match(each) | each for each in kind.get("matched", ())]
        whole["type"] = _usual_type(event) | kind | {"matched": matched}
    if grade := short.get("grade"):
        whole["grade"] = _usual_grade(grade, winner, event) | grade
    if limit := short.get("limit"):
        whole["limit"] = _usual_limit(winner) | limit
    if department := short.get("department"):
        department = department | {
            "tried": [_usual_try(each, department, event) | each for each in department["tried"]]
        }
        whole["department"] = _usual_department(department) | department
    names = {row.code: row.name for row in catalogue.manifest.condition} if catalogue else {}
    whole["conditions"] = [{"condition": code, "name": names.get(code, code)} for code in whole["conditions"]]
    whole["triage"] = [{"reason": code, "zh": TRIAGE[code].zh, "en": TRIAGE[code].en} for code in whole["triage"]]
    version = short["basis"].get("rules", "").rpartition(" ")[0]
    return {"winner": decided_by(whole.get("type") or {}), "domain": event.domain, "version": version} | whole


def decided_by(kind: Part) -> str | None:
    """What decided the type, in a word for the ledger: `posted`, `rule:…` or `terms:…`."""
    if kind.get("by") == "rule":
        return f"rule:{kind['rule']}"
    if kind.get("by") == "terms":
        return "terms:" + ",".join(kind["matched"][0]["terms"])
    return kind["by"] if kind.get("winner") else None


def _less(part: Part, usual: Part) -> Json:
    return {name: value for name, value in part.items() if name not in usual or usual[name] != value}


def _usual_type(event: Filed) -> Json:
    return {"winner": None, "rule": None, "posted": event.type, "guesses": [], "matched": [], "unfired": {}}


def _usual_match(match: Part) -> Json:
    kind = {"kind": "rule" if "rule" in match else "terms"}
    return kind | {"total": match["score"]} if "score" in match else kind


def _usual_grade(grade: Part, winner: str | None, event: Filed) -> Json:
    origin = f"type:{winner}"
    return {"from": origin, "posted": event.grade, "rules": {grade.get("from", origin): grade["value"]}}


def _usual_limit(winner: str | None) -> Json:
    return {"from": f"type:{winner}"}


def _usual_department(department: Part) -> Json:
    return {"lead": department["tried"][-1]["department"] if department["tried"] else None, "assist": {}}


def _usual_try(tried: Part, department: Part, event: Filed) -> Json:
    return {"duty": department["duty"], "division": event.codes.get(tried["level"]), "department": None}
