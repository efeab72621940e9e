"""Why a unit is not covered: what the record lacks, in words a manager understands. Explains the figure, decides
nothing: a case is looked for where it is located now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, false, func, select, true

from citybrain.indicators.days import DAY_MS, day_of
from citybrain.indicators.kinds import VERIFIED_LEVEL
from citybrain.indicators.latest import ALONE, LOOKED_BACK_MS, Kind, Latest
from citybrain.indicators.scope import Scope
from citybrain.keys import located
from citybrain.store.dispatch_tables import FAILED, attempts, deliveries, endpoints
from citybrain.store.tables import cases


class Words(NamedTuple):
    zh: str
    en: str

    def then(self, zh: str, en: str) -> Words:
        return Words(self.zh + zh, self.en + en)


WORDS = {
    "no_domain": Words("没有业务领域覆盖该行业", "No domain covers this industry"),
    "domain_off": Words("业务领域已停用", "The domain is off"),
    "no_case": Words("窗口期内没有案件", "No case within the window"),
    "no_delivery": Words("窗口期内没有成功的签名推送", "No signed delivery that arrived within the window"),
    "no_feedback": Words("窗口期内没有办结反馈", "No feedback within the window that it is done"),
    "no_verification": Words("窗口期内没有网格员核查通过", "No check on site that passed within the window"),
    "not_one_case": Words(
        "推送、反馈、核查各有，但不在同一案件", "There are deliveries, feedback and checks, but never on the same case"
    ),
    "demo_only": Words("只有演示证据，不计入", "Only demonstration evidence, which is not counted"),
    "not_declared": Words("登记册中没有生效的申报", "No valid declaration in the registry"),
}
KINDS = {
    "no_case": Kind.OPENED,
    "no_delivery": Kind.DELIVERED,
    "no_feedback": Kind.COMPLETED,
    "no_verification": Kind.PASSED,
}
Where = tuple[str, str]  # division, domain


@dataclass(frozen=True)
class Record:
    """When each kind of evidence was last there, by kind and then by division and domain; the last failed attempt of
    a domain is told for one division only."""

    last: Mapping[str, Mapping[Where, int]]
    failed: Mapping[str, Words]
    window: int


def read_record(tx: Connection, scope: Scope, at: int, now: int, include_demo: bool) -> Record:
    since = at - (LOOKED_BACK_MS if scope.single else scope.window)
    latest = Latest.at(tx, at, now)
    last: dict[str, Mapping[Where, int]] = {}
    for code, kind in KINDS.items():
        if kind == Kind.PASSED and scope.level != VERIFIED_LEVEL:
            continue
        if latest:
            last[code] = latest.last(scope, kind, since, real=not include_demo)
        else:
            last[code] = _last(tx, scope, ALONE[kind](since, at), include_demo)
    return Record(last, _failed(tx, scope, since, at) if scope.single else {}, scope.window)


def why_not(record: Record, scope: Scope, division: str, domains: list[str], at: int) -> dict[str, Words]:
    """Codes with words for a unit with active domains that has earned nothing."""
    since = at - record.window
    last = {
        kind: max((found[(division, code)] for code in domains if (division, code) in found), default=None)
        for kind, found in record.last.items()
    }
    lacking = {kind: _since(WORDS[kind], when, when, scope) for kind, when in last.items() if not when or when <= since}
    if len(lacking) == len(last):
        return {"no_case": _nothing(last, scope)}
    lacking.pop("no_case", None)  # an older case may well be worked now
    for code in domains:
        if "no_delivery" in lacking and (failed := record.failed.get(code)):
            lacking["no_delivery"] = lacking["no_delivery"].then(f"；{failed.zh}", f"; {failed.en}")
    return lacking or {"not_one_case": WORDS["not_one_case"]}


def _nothing(last: Mapping[str, int | None], scope: Scope) -> Words:
    """Nothing of any kind: when it was last, and since when one of the kinds that prove is gone."""
    proving = [when for kind, when in last.items() if kind != "no_case"]
    gone = min(when for when in proving if when) if all(proving) else None
    return _since(WORDS["no_case"], max((when for when in last.values() if when), default=None), gone, scope)


def _since(words: Words, latest: int | None, gone: int | None, scope: Scope) -> Words:
    """`latest`: when it was last there; `gone`: what left the window then, so that nothing has counted since."""
    days, zone = scope.city.file.coverage.window_days, scope.city.zone
    words = Words(
        words.zh.replace("窗口期内", f"窗口期（{days} 天）内"),
        words.en.replace("the window", f"the window of {days} days"),
    )
    if latest:
        day = day_of(latest, zone)
        words = words.then(f"，最近一次在 {day}", f", the last on {day}")
    if gone:
        day = day_of(gone + days * DAY_MS, zone)
        words = words.then(f"，自 {day} 起不再计入", f", nothing counted since {day}")
    return words


def _last(tx: Connection, scope: Scope, query: Select[Any], include_demo: bool) -> dict[Where, int]:
    evidence = query.subquery()
    place = [] if scope.level == "city" else [cases.c[scope.level]]
    grouped = (
        select(func.max(evidence.c.at), cases.c.domain, *place)
        .join(cases, cases.c.id == evidence.c.case_id)
        .where(located(cases), _in_division(scope))
        .group_by(cases.c.domain, *place)
    )
    if not include_demo:
        grouped = grouped.where(cases.c.demo.is_(False), func.coalesce(evidence.c.demo, false()).is_(False))
    city = scope.city.file.city.code
    return {(row[2] if place else city, row[1]): row[0] for row in tx.execute(grouped)}


def _failed(tx: Connection, scope: Scope, since: int, at: int) -> dict[str, Words]:
    """By domain, the last attempt to reach somebody about a case in the one division that failed."""
    latest = func.row_number().over(partition_by=cases.c.domain, order_by=attempts.c.at.desc()).label("latest")
    ranked = (
        select(cases.c.domain, attempts.c.at, attempts.c.error, endpoints.c.name, latest)
        .select_from(attempts)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .join(cases, cases.c.id == deliveries.c.case_id)
        .where(FAILED, attempts.c.error.isnot(None), attempts.c.at > since, attempts.c.at <= at, _in_division(scope))
        .subquery()
    )
    zone = scope.city.zone
    failed: dict[str, Words] = {}
    for row in tx.execute(select(ranked).where(ranked.c.latest == 1)):
        day, name, error = day_of(row.at, zone), row.name, row.error
        zh, en = f"端点“{name}”最近一次失败在 {day}（{error}）", f"endpoint “{name}” failed last on {day} ({error})"
        failed[row.domain] = Words(zh, en)
    return failed


def _in_division(scope: Scope) -> ColumnElement[bool]:
    return cases.c[scope.asked.level] == scope.asked.code if scope.asked else true()
