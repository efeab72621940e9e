"""Whether a recorded decision comes out the same with the packs in use, in sentences: what differs, and why."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from citybrain.console.case import why
from citybrain.console.indicators.coverage_ladder import level_name
from citybrain.console.rendering import moment, place_path, type_name
from citybrain.console.texts import listed, t, word
from citybrain.installation import Installation

Told = Mapping[str, Any]


class Verdict(NamedTuple):
    head: str
    lines: list[str]
    notes: list[str]


def of(told: Told, domain: str, here: Installation) -> Verdict | None:
    """`told` is what `explain_event` answers. None before there is a decision."""
    if told["explanation"] is None:
        return None
    if told["obstacle"]:
        return Verdict(t("verdict.obstacle"), [word("obstacle", told["obstacle"])], [])
    lines = [line for each in told["differences"] for line in _difference(each, domain, here)]
    number = len(told["differences"])
    head = t("verdict.same") if told["same"] else t("verdict.differs", n=number)
    return Verdict(head, lines, _notes(told))


def _notes(told: Told) -> list[str]:
    then, now = told["explanation"]["basis"], told["basis_in_use"]
    if told["changed"]:
        moved = t("joint.clause").join(f"{word('basis', name)} {then[name]} → {now[name]}" for name in told["changed"])
        notes = [t("verdict.changed", what=moved)]
    else:
        notes = [t("verdict.unchanged")]
    if not told["edition_kept"]:
        notes.append(t("verdict.no_edition", edition=then["edition"]))
    return notes


def _difference(each: Told, domain: str, here: Installation) -> list[str]:
    because = listed(word("basis", cause) for cause in each["because"])
    name, then, now = word("part", each["part"]), each["then"], each["now"]
    if each["part"] == "reasons":
        before, after = (
            [*why.found_type(side, domain, here), *why.unfired(side, domain, here)] for side in (then, now)
        )
        lines = [t("verdict.then", what=line) for line in before if line not in after]
        lines += [t("verdict.now", what=line) for line in after if line not in before]
        return [t("verdict.reasons", part=name, because=because), *lines]
    if each["part"] in ("place", "place_in_use"):
        return [t("verdict.place", part=name, what=_place(then, now), because=because)]
    show = _SHOWN[each["part"]]
    both = {"then": show(then, domain, here), "now": show(now, domain, here)}
    return [t("verdict.part", part=name, because=because, **both)]


def _place(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Both as paths where a unit differs, else what it is that differs."""
    paths = [" ".join(filter(None, [place_path(side), (side.get("cell") or {}).get("code")])) for side in (then, now)]
    if paths[0] != paths[1]:
        return t("verdict.paths", then=paths[0] or t("case.nowhere"), now=paths[1] or t("case.nowhere"))
    return t("verdict.of_place", what=listed(word("of_place", name) for name in then))


def _type(code: Any, domain: str, here: Installation) -> str:
    return t("joint.quoted", text=type_name(here, domain, code))


def _types(codes: Any, domain: str, here: Installation) -> str:
    return listed(_type(code, domain, here) for code in codes or ()) or t("verdict.none")


def _grade(found: Any, domain: str, here: Installation) -> str:
    return why.grade_text(found["value"]) + t("joint.aside", text=why.origin(found.get("from"), here, domain))


def _limit(found: Any, domain: str, here: Installation) -> str:
    if not found:
        return t("verdict.none")
    return why.limit_text(found) + t("joint.aside", text=why.origin(found.get("from"), here, domain))


def _conditions(codes: Any, domain: str, here: Installation) -> str:
    known = here.domains[domain].manifest.condition if domain in here.domains else []
    names = {row.code: row.name for row in known}
    return listed(t("joint.quoted", text=names.get(code, code)) for code in codes) or t("verdict.none")


def _duty(found: Any, _domain: str, here: Installation) -> str:
    asked = [found["duty"], *found["assist"]] if found["duty"] else []
    if not asked:
        return t("verdict.none")
    return listed(asked) + t("joint.aside", text=t("verdict.from_level", level=level_name(here.city, found["level"])))


def _lead(found: Any, _domain: str, here: Installation) -> str:
    return _department(found["lead"], here)


def _departments(codes: Any, _domain: str, here: Installation) -> str:
    return listed(_department(code, here) for code in codes) or t("verdict.none")


def _department(code: str | None, here: Installation) -> str:
    return t("joint.quoted", text=why.department_name(here, code)) if code else t("verdict.none")


def _merge(found: Any, _domain: str, _here: Installation) -> str:
    rules = why.merge_rules(found)
    told = [t(f"verdict.by_{why.merged_by(rule)}", within=why.merge_limits(rule)) for rule in rules]
    return t("verdict.or_else").join(told) or t("verdict.no_merge")


def _triage(codes: Any, _domain: str, _here: Installation) -> str:
    quoted = (t("joint.quoted", text=word("triage_reason", code)) for code in codes)
    return listed(quoted) or t("verdict.dispatched")


def _moment(text: Any, _domain: str, _here: Installation) -> str:
    return moment(text) or t("verdict.none")


_SHOWN: dict[str, Callable[[Any, str, Installation], str]] = {
    "type": _type,
    "guesses": _types,
    "grade": _grade,
    "conditions": _conditions,
    "limit": _limit,
    "duty": _duty,
    "department": _lead,
    "assist": _departments,
    "merge": _merge,
    "triage": _triage,
    "due_at": _moment,
}
