"""What happened to a case, in sentences, from its ledger."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from citybrain.clock import rfc3339
from citybrain.console.case.why import department_name, quoted
from citybrain.console.rendering import moment, place_path, type_name
from citybrain.console.texts import listed, section, t, word
from citybrain.installation import Installation

Told = Mapping[str, Any]


class Happened(NamedTuple):
    at: str
    actor: str
    what: str
    lines: list[str]


def timeline(entries: Iterable[Told], domain: str, here: Installation) -> list[Happened]:
    return [
        Happened(
            entry["at"],
            word("actor", entry["actor"]),
            word("done", entry["action"]),
            _told(entry["action"], entry["data"], domain, here),
        )
        for entry in entries
    ]


def of_orders(entries: Iterable[Told], domain: str, here: Installation) -> dict[str, list[Happened]]:
    """By work order, what its department answered and what was contested of it."""
    found: dict[str, list[Told]] = {}
    for entry in entries:
        if order := entry["data"].get("work_order"):
            found.setdefault(order, []).append(entry)
    return {order: timeline(mine, domain, here) for order, mine in found.items()}


def _told(action: str, data: Told, domain: str, here: Installation) -> list[str]:
    lines = [*_who(action, data, here), *_what(action, data, domain, here), *_because(action, data, here)]
    if action == "relocated":
        lines.append(t("story.place", place=place_path(data.get("place")) or t("case.nowhere")))
    lines += [t(f"story.{field}", at=moment(_time(data[field], here))) for field in _TIMES if data.get(field)]
    if data.get("level"):
        lines.append(t("story.level", level=data["level"], name=data.get("name", "")))
    if isinstance(data.get("distance_m"), int):
        lines.append(t("story.distance", metres=data["distance_m"]))
    if by := data.get("by"):
        lines.append(word("muted_by", by))
    if data.get("event_count"):
        lines.append(t("story.count", n=data["event_count"]))
    return lines + [t(f"story.{field}", case=data[field]) for field in ("into", "from") if data.get(field)]


_TIMES = ("due_at", "until")


def _who(action: str, data: Told, here: Installation) -> list[str]:
    name = department_name(here, data.get("department"))
    if action == "feedback":
        moved = "" if data.get("effect", True) else t("story.without_effect")
        return [t("joint.of", name=name, text=word("feedback", data.get("status")) + moved)]
    if action in ("appealed", "judged"):
        parts = [word("against", data["against"]), word("appeal_outcome", data.get("outcome"))]
        return [t("joint.of", name=name, text=listed(filter(None, parts)))]
    if action == "asked":
        return [t("story.asked_by", name=name) if name else t("story.asked_by_centre")]
    return [t("why.lead", name=name)] if name else []


def _what(action: str, data: Told, domain: str, here: Installation) -> list[str]:
    lines = []
    if what := data.get("what"):
        lines.append(t("story.what", what=word("action", what)))
    if assist := data.get("assist"):
        lines.append(t("why.assist", names=listed(department_name(here, code) for code in assist)))
    if action == "reassigned" and data.get("before"):
        lines.append(t("story.lead_before", name=department_name(here, data["before"])))
    if data.get("type"):
        lines.append(t("story.type", type=type_name(here, domain, data["type"])))
    if data.get("grade"):
        lines.append(t("story.grade", grade=word("grade", data["grade"])))
    if data.get("rule"):
        lines.append(t("story.basis", basis=_winner(str(data["rule"]))))
    return lines


def _because(action: str, data: Told, here: Installation) -> list[str]:
    lines = []
    if reason := data.get("reason"):
        automatic = section("supervised_because") | section("unmuted_because") | {"relocated": t("story.relocated")}
        known = section("lapsed_because") if action == "lapsed" else section("triage_reason") | automatic
        lines.append(t("story.reason", reason=known.get(reason, reason)))
    if data.get("responsible") and action in ("returned", "feedback"):
        lines.append(t("story.responsible", name=department_name(here, data["responsible"])))
    return lines + [t(f"story.{field}", text=data[field]) for field in ("text", "note") if data.get(field)]


def _time(ms: Any, here: Installation) -> str | None:
    return rfc3339(ms, here.city.zone) if isinstance(ms, int) else None


def _winner(rule: str) -> str:
    kind, _, rest = rule.partition(":")
    if kind == "terms":
        return t("story.by_terms", words=quoted(rest.split(",")))
    return t("why.by_rule", rule=rest) if kind == "rule" else t("why.by_posted") if kind == "posted" else rule
