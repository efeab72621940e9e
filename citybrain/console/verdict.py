"""Whether a recorded decision comes out the same with the packs in use, in sentences: what differs, and why."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from citybrain.console import story
from citybrain.console.rendering import moment, place_path, type_name
from citybrain.console.texts import word
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
        return Verdict("无法重算", [word("obstacle", told["obstacle"])], [])
    lines = [line for each in told["differences"] for line in _difference(each, domain, here)]
    number = len(told["differences"])
    head = "结果相同：用现行规则重算，与当时的决定一致。" if told["same"] else f"用现行规则重算，有 {number} 处不同。"
    return Verdict(head, lines, _notes(told))


def _notes(told: Told) -> list[str]:
    then, now = told["explanation"]["basis"], told["basis_in_use"]
    if told["changed"]:
        moved = "；".join(f"{word('basis', name)} {then[name]} → {now[name]}" for name in told["changed"])
        notes = [f"当时的依据已有变化：{moved}。"]
    else:
        notes = ["规则、部门、日历和边界与当时相同。"]
    if not told["edition_kept"]:
        notes.append(f"当时的边界版本 {then['edition']} 已不在数据目录，未能按它重新定位。")
    return notes


def _difference(each: Told, domain: str, here: Installation) -> list[str]:
    because = "、".join(word("basis", cause) for cause in each["because"])
    name, then, now = word("part", each["part"]), each["then"], each["now"]
    if each["part"] == "reasons":
        before, after = (
            [*story.found_type(side, domain, here), *story.unfired(side, domain, here)] for side in (then, now)
        )
        lines = [f"当时：{line}" for line in before if line not in after]
        lines += [f"现在：{line}" for line in after if line not in before]
        return [f"{name}不同（{because}）", *lines]
    if each["part"] in ("place", "place_in_use"):
        return [f"{name}：{_place(then, now)}（{because}）"]
    show = _SHOWN[each["part"]]
    return [f"{name}：当时{show(then, domain, here)}，现在{show(now, domain, here)}（{because}）"]


def _place(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Both as paths where a unit differs, else what it is that differs."""
    paths = [" ".join(filter(None, [place_path(side), (side.get("cell") or {}).get("code")])) for side in (then, now)]
    if paths[0] != paths[1]:
        return f"当时 {paths[0] or '未定位'}，现在 {paths[1] or '未定位'}"
    return "、".join(word("of_place", name) for name in then) + "不同"


def _type(code: Any, domain: str, here: Installation) -> str:
    return f"「{type_name(here, domain, code)}」"


def _types(codes: Any, domain: str, here: Installation) -> str:
    return "、".join(_type(code, domain, here) for code in codes or ()) or "无"


def _grade(found: Any, domain: str, here: Installation) -> str:
    origin = story.origin(found.get("from"), here, domain)
    return f" {word('grade', found['value'])} 级（{origin}）"


def _limit(found: Any, domain: str, here: Installation) -> str:
    return f" {story.limit_text(found)}（{story.origin(found.get('from'), here, domain)}）" if found else "没有"


def _conditions(codes: Any, domain: str, here: Installation) -> str:
    known = here.domains[domain].manifest.condition if domain in here.domains else []
    names = {row.code: row.name for row in known}
    return "、".join(f"「{names.get(code, code)}」" for code in codes) or "无"


def _duty(found: Any, _domain: str, here: Installation) -> str:
    asked = [found["duty"], *found["assist"]] if found["duty"] else []
    return f" {'、'.join(asked)}（{here.city.level_name(found['level'])}起）" if asked else "没有"


def _lead(found: Any, _domain: str, here: Installation) -> str:
    return f"「{story.department_name(here, found['lead'])}」" if found["lead"] else "没有"


def _departments(codes: Any, _domain: str, here: Installation) -> str:
    return "、".join(f"「{story.department_name(here, code)}」" if code else "没有" for code in codes) or "没有"


def _merge(found: Any, _domain: str, _here: Installation) -> str:
    if not found:
        return "不归并"
    by = {"device": "同一设备", "place": "同一位置"}.get(found["key"].partition("|")[0], "")
    return f"{by}{story.merge_limits(found)}归并"


def _triage(codes: Any, _domain: str, _here: Installation) -> str:
    return "、".join(f"「{word('triage_reason', code)}」" for code in codes) or "直接派遣"


def _moment(text: Any, _domain: str, _here: Installation) -> str:
    return f" {moment(text)}" if text else "没有"


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
