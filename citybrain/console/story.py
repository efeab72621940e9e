"""Why a case is where it is, and what happened to it, in sentences: from the decision's explanation and the ledger."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from citybrain.clock import rfc3339
from citybrain.console.rendering import moment, place_path, type_name
from citybrain.console.texts import section, word
from citybrain.installation import Installation

MATCHES = 6  # further matches that are told; the whole list is in the API


class Reason(NamedTuple):
    head: str
    lines: list[str]


class Happened(NamedTuple):
    at: str
    actor: str
    what: str
    lines: list[str]


def reasons(explanation: Mapping[str, Any] | None, domain: str, here: Installation) -> list[Reason]:
    """Nothing when nothing has been decided yet. Keys that are missing are left out, never guessed."""
    if not explanation:
        return []
    parts = [
        Reason("待分拨的原因", [each.get("zh") or each["reason"] for each in explanation.get("triage") or []]),
        Reason("类型", found_type(explanation.get("type") or {}, domain, here)),
        Reason("试过而不成立的规则", unfired(explanation.get("type") or {}, domain, here)[:MATCHES]),
        Reason("等级与时限", _terms(explanation, here, domain)),
        Reason("责任部门", _department(explanation.get("department"), here)),
        Reason("归并", _merge(explanation.get("merge"))),
        Reason("决定的依据", _basis(explanation)),
    ]
    return [part for part in parts if part.lines]


def found_type(found: Mapping[str, Any], domain: str, here: Installation) -> list[str]:
    winner, by = found.get("winner"), found.get("by")
    matched = found.get("matched") or []
    how = {"posted": "上报时已注明", "rule": f"由规则 {found.get('rule')} 判定", "terms": "由关键词判定"}.get(by or "")
    lines = [f"{type_name(here, domain, winner)}：{how}" if winner and how else "没有判定出类型"]
    lines += [_match(each, domain, here) for each in matched[:MATCHES]]
    if guesses := found.get("guesses"):
        lines.append("可能是：" + "、".join(type_name(here, domain, code) for code in guesses))
    if found.get("posted_lost"):
        why = "该领域没有这个类型" if found["posted_lost"] == "unknown" else "被优先规则改判"
        lines.append(f"上报注明的 {found.get('posted')} 未采用：{why}")
    return lines


def _match(each: Mapping[str, Any], domain: str, here: Installation) -> str:
    name = type_name(here, domain, each.get("type"))
    seen = "、".join(f"「{term}」" for term in each.get("terms") or [])
    if each.get("kind") == "rule":
        tests = "；".join(_test(test) for test in each.get("when") or [])
        text = f"规则 {each.get('rule')} → {name}" + (f"（{tests}）" if tests else "")
    else:
        text = f"关键词{seen} → {name}" if seen else name
    return text + (f"，未采用：{word('lost_because', each['lost'])}" if each.get("lost") else "，采用")


def unfired(found: Mapping[str, Any], domain: str, here: Installation) -> list[str]:
    return [_unfired(code, why, domain, here) for code, why in (found.get("unfired") or {}).items()]


def _unfired(code: str, why: str, domain: str, here: Installation) -> str:
    """A rule that was tried and did not hold; its tests stand in the domain's pack."""
    kind, _, rest = why.partition(":")
    if kind == "without":
        return f"规则 {code} 不成立：出现排除词「{rest}」"
    if kind == "terms":
        return f"规则 {code} 不成立：没有出现它的关键词"
    rules = here.domains[domain].catalogue.rules if domain in here.domains else []
    tests = next((rule.row.when for rule in rules if rule.row.code == code), [])
    shown = f"（{_test(tests[int(rest) - 1].model_dump(exclude_none=True))}）" if int(rest) <= len(tests) else ""
    return f"规则 {code} 不成立：第 {rest} 项条件不满足{shown}"


def _test(test: Mapping[str, Any]) -> str:
    parts = (test.get("attribute"), test.get("op"), test.get("value", test.get("other_attribute")))
    text = " ".join(_listed(part) for part in parts if part is not None)
    return f"{text}，实为 {_listed(test['was'])}" if test.get("was") is not None else text


def _listed(value: Any) -> str:
    return "、".join(map(str, value)) if isinstance(value, list) else str(value)


def _terms(explanation: Mapping[str, Any], here: Installation, domain: str) -> list[str]:
    lines = []
    if grade := explanation.get("grade"):
        value = grade["value"]
        name = f"{word('grade', value)} 级（{word('grade_name', value)}）"
        lines.append(f"{name}：{origin(grade.get('from'), here, domain)}")
    if limit := explanation.get("limit"):
        lines.append(f"处置时限 {limit_text(limit)}：{origin(limit.get('from'), here, domain)}")
    if conditions := explanation.get("conditions"):
        lines.append("符合条件：" + "、".join(each["name"] for each in conditions))
    return lines


def origin(source: str | None, here: Installation, domain: str) -> str:
    kind, _, code = (source or "").partition(":")
    if source == "type":
        return "按类型"
    if kind in ("type", "guess"):
        return f"按{'可能的' if kind == 'guess' else ''}类型「{type_name(here, domain, code)}」"
    if kind == "alarm":
        return f"按警示词 {code}"
    return {"rule": f"按规则 {code}", "condition": f"按条件 {code}", "posted": "按上报"}.get(kind, "默认最低等级")


def limit_text(limit: Mapping[str, Any]) -> str:
    return f"{limit['amount']:g} {word('unit', limit['unit'])}"


def _department(found: Mapping[str, Any] | None, here: Installation) -> list[str]:
    if not found:
        return []
    lines = []
    for tried in found.get("tried") or []:
        division = here.city.divisions.get(tried.get("division") or "")
        where = division.name if division else here.city.level_name(tried.get("level") or "")
        department = tried.get("department")
        lines.append(f"{where}：{department_name(here, department) if department else '没有登记承担此职责的部门'}")
    lead = found.get("lead")
    lines.append(f"主办：{department_name(here, lead)}" if lead else "没有找到主办部门")
    helpers = [department_name(here, code) for code in (found.get("assist") or {}).values() if code and code != lead]
    if helpers:
        lines.append("协办：" + "、".join(dict.fromkeys(helpers)))
    return lines


def _merge(found: Mapping[str, Any] | None) -> list[str]:
    return [f"同一事物{merge_limits(found)}再次上报时并入本案件"] if found else []


def merge_limits(found: Mapping[str, Any]) -> str:
    """Within what time and distance reports are one thing."""
    metres = f"、{found['within_m']:g} 米以内" if found.get("within_m") else ""
    minutes = found["within_minutes"]
    return (f" {minutes} 分钟内" if minutes else "在处置完成前") + metres


def _basis(explanation: Mapping[str, Any]) -> list[str]:
    basis = explanation.get("basis") or {}
    lines = [f"{name}：{basis[code]}" for code, name in section("basis").items() if code in basis]
    return [f"决定时间：{moment(explanation['decided_at'])}", *lines] if explanation.get("decided_at") else lines


def department_name(here: Installation, code: str | None) -> str:
    department = here.city.departments.get(code or "")
    return department.name if department else (code or "")


def timeline(entries: list[dict[str, Any]], domain: str, here: Installation) -> list[Happened]:
    return [
        Happened(
            entry["at"],
            word("actor", entry["actor"]),
            word("done", entry["action"]),
            _told(entry["action"], entry["data"], domain, here),
        )
        for entry in entries
    ]


def _told(action: str, data: Mapping[str, Any], domain: str, here: Installation) -> list[str]:
    lines: list[str] = []
    if action == "feedback":
        moved = "" if data.get("effect", True) else "（已记录，未改变状态）"
        who, answer = department_name(here, data.get("department")), word("feedback", data.get("status"))
        lines.append(f"{who}：{answer}{moved}")
    elif action in ("appealed", "judged"):
        outcome = f"，{word('appeal_outcome', data['outcome'])}" if data.get("outcome") else ""
        lines.append(f"{department_name(here, data.get('department'))}：{word('against', data['against'])}{outcome}")
    elif action == "asked":
        asking = data.get("department")
        lines.append("申请部门：" + department_name(here, asking) if asking else "由中心人员提出")
    elif department := data.get("department"):
        lines.append("主办：" + department_name(here, department))
    if what := data.get("what"):
        lines.append("申请事项：" + word("action", what))
    if assist := data.get("assist"):
        lines.append("协办：" + "、".join(department_name(here, code) for code in assist))
    if action == "reassigned" and data.get("before"):
        lines.append("原主办：" + department_name(here, data["before"]))
    if data.get("type"):
        lines.append("类型：" + type_name(here, domain, data["type"]))
    if data.get("grade"):
        lines.append(f"等级：{word('grade', data['grade'])} 级")
    if data.get("rule"):
        lines.append("依据：" + _winner(str(data["rule"])))
    if reason := data.get("reason"):
        automatic = section("supervised_because") | section("unmuted_because") | {"relocated": "位置更正后责任部门改变"}
        known = section("lapsed_because") if action == "lapsed" else section("triage_reason") | automatic
        lines.append("原因：" + known.get(reason, reason))
    if data.get("responsible") and action in ("returned", "feedback"):
        lines.append("认为应由：" + str(data["responsible"]))
    lines += [f"{name}：{data[field]}" for field, name in (("text", "内容"), ("note", "说明")) if data.get(field)]
    if action == "relocated":
        lines.append("新位置：" + (place_path(data.get("place")) or "未定位"))
    lines += [f"{name}：{moment(_time(data[field], here))}" for field, name in _TIMES if data.get(field)]
    if data.get("level"):
        lines.append(f"第 {data['level']} 级：{data.get('name', '')}")
    if isinstance(data.get("distance_m"), int):
        lines.append(f"拍摄地点距上报位置 {data['distance_m']} 米")
    if by := data.get("by"):
        lines.append({"silence": "处于静默期", "warning": "所在区域已有预警案件"}.get(by, by))
    if data.get("event_count"):
        lines.append(f"共 {data['event_count']} 条上报")
    lines += [f"{name}：{data[field]}" for field, name in (("into", "去向"), ("from", "来自")) if data.get(field)]
    return lines


_TIMES = (("due_at", "时限"), ("until", "截止"))


def _time(ms: Any, here: Installation) -> str | None:
    return rfc3339(ms, here.city.zone) if isinstance(ms, int) else None


def _winner(rule: str) -> str:
    kind, _, rest = rule.partition(":")
    if kind == "terms":
        return "关键词" + "、".join(f"「{term}」" for term in rest.split(","))
    return f"规则 {rest}" if kind == "rule" else {"posted": "上报时注明的类型"}.get(kind, rule)
