"""Industry coverage 行业覆盖率: covered units over all units of a basis, declared and earned side by side, at one
moment with the evidence and what is missing, or over many days as figures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sqlalchemy import Connection

from citybrain.clock import rfc3339
from citybrain.indicators.activity import Observed, active_since_until
from citybrain.indicators.days import begin_of, day_of
from citybrain.indicators.declared import all_declarations, declared_spans
from citybrain.indicators.evidence import Evidence, evidence_at, read_evidence
from citybrain.indicators.kinds import record_begins
from citybrain.indicators.missing import WORDS, Record, Words, read_record, why_not
from citybrain.indicators.proofs import Proofs, newest, proofs_of
from citybrain.indicators.scope import Scope
from citybrain.indicators.spans import Ints, Spans, count, union
from citybrain.industries import BasisRow, IndustryRow
from citybrain.store.coverage_tables import domain_activity

FEW = 2  # moments of which each is asked about alone: more of them lie in memory with all that counts
Active = Mapping[str, list[tuple[int, int]]]


@dataclass(frozen=True)
class Figures:
    """What was covered at each of the ascending moments, and since when there is anything to count."""

    scope: Scope
    moments: Ints
    declared_spans: Spans
    earned_spans: Spans
    registry_begins: int
    record_begins: int

    @cached_property
    def declared(self) -> Ints:
        """Covered units, shape (industries of the registry, moments)."""
        return count(self.declared_spans, self.moments, len(self.scope.industries))

    @cached_property
    def earned(self) -> Ints:
        return count(self.earned_spans, self.moments, len(self.scope.industries))

    def at(self, index: int, basis: BasisRow | None = None) -> dict[str, Any]:
        basis = basis or self.scope.basis
        rows = [self.scope.industries.index(code) for code in basis.industries]
        covered = (int(each[rows, index].sum()) for each in (self.declared, self.earned))
        return self._shown(index, len(self.scope.divisions) * len(rows), *covered)

    def by_division(self, index: int) -> list[dict[str, Any]]:
        """The figures of each of the scope's divisions."""
        width, size = len(self.scope.industries), len(self.scope.divisions)
        counts = np.isin(self.scope.industries, self.scope.basis.industries)
        at = self.moments[index]

        def covered(spans: Spans) -> list[int]:
            units = spans.unit[(spans.start <= at) & (at < spans.end)]
            found: list[int] = np.bincount(units[counts[units % width]] // width, minlength=size).tolist()
            return found

        total = len(self.scope.basis.industries)
        each_covered = zip(covered(self.declared_spans), covered(self.earned_spans), strict=True)
        return [self._shown(index, total, declared, earned) for declared, earned in each_covered]

    def _shown(self, index: int, total: int, declared: int, earned: int) -> dict[str, Any]:
        begun = int(self.moments[index]) >= self.registry_begins
        recorded = begun and int(self.moments[index]) >= self.record_begins
        return {
            "total": total if begun else 0,
            "declared": share(declared if begun else 0, total if begun else 0),
            "earned": share(earned if begun else 0, total if recorded else 0),
        }


def share(covered: int, total: int) -> dict[str, Any]:
    """`percent` is null where there is nothing to divide by, or no record to count in."""
    return {"covered": covered, "percent": round(100 * covered / total, 1) if total else None}


def figures(
    tx: Connection,
    here: Observed,
    scope: Scope,
    moments: Sequence[int],
    include_demo: bool,
    evidence: Evidence | None = None,
) -> tuple[Figures, Proofs]:
    """Also the proofs that they were counted from; `evidence` of these moments where it was read already."""
    at = np.array(moments, np.int64)
    begun = record_begins(tx)
    if evidence is None:
        recorded = [each for each in moments if begun is not None and each >= begun]
        evidence = _evidence(tx, scope, recorded or moments[-1:], here.clock())
    proofs = proofs_of(evidence, scope, active_since_until(tx, here))
    registry_begins = begin_of(here.city.registry.begins, here.city.zone)
    declared = declared_spans(all_declarations(tx, here.city), scope)
    earned = union(proofs.spans(include_demo))
    return Figures(scope, at, declared, earned, registry_begins, here.clock() if begun is None else begun), proofs


def _evidence(tx: Connection, scope: Scope, moments: Sequence[int], now: int) -> Evidence:
    if len(moments) <= FEW:
        return evidence_at(tx, [scope], moments, now)
    return read_evidence(tx, scope, moments[0], moments[-1])


def coverage(tx: Connection, here: Observed, scope: Scope, at: int, include_demo: bool) -> dict[str, Any]:
    """The contract's answer for one moment."""
    return answer(tx, here, *figures(tx, here, scope, [at], include_demo), include_demo)


def answer(tx: Connection, here: Observed, found: Figures, proofs: Proofs, include_demo: bool) -> dict[str, Any]:
    """The same from the figures of one moment."""
    city, scope, at = here.city, found.scope, int(found.moments[0])
    view = _View(tx, here, found, proofs, include_demo)
    return {
        "level": scope.level,
        "division": scope.division.code if scope.division else None,
        "division_name": scope.division.name if scope.division else None,
        "divisions": len(scope.divisions),
        "at": rfc3339(at, city.zone),
        "projected": at > here.clock(),  # what will be left if nothing more happens
        "window_days": city.file.coverage.window_days,
        "include_demo": include_demo,
        "basis": scope.basis_dict(),
        **found.at(0),
        "industries": [view.industry(city.registry.industries[code]) for code in scope.basis.industries],
        "alternatives": [
            {"basis": basis.code, "name": basis.name, "name_en": basis.name_en}
            | {"industries": len(basis.industries), **found.at(0, basis)}
            for basis in city.registry.bases.values()
        ],
        "registry_begins": city.registry.begins.isoformat(),
        "record_begins": rfc3339(found.record_begins, city.zone),
    }


class _View:
    """Shows the industries of one scope at one moment; for one division as yes and no, for several as numbers."""

    def __init__(self, tx: Connection, here: Observed, found: Figures, proofs: Proofs, include_demo: bool) -> None:
        self.here, self.scope, self.at = here, found.scope, int(found.moments[0])
        self._tx, self._include_demo = tx, include_demo
        self.proofs, at, spans = proofs, self.at, found.declared_spans
        self.declared = set(spans.unit[(spans.start <= at) & (at < spans.end)].tolist())
        over = spans.only(spans.end <= at)
        self.declared_until = dict(zip(over.unit.tolist(), over.end.tolist(), strict=True))  # the last of each unit
        self.real, self.shown_only = newest(proofs, at, demo=False), newest(proofs, at, demo=True)
        self.counted = {**self.shown_only, **self.real} if include_demo else self.real
        active = active_since_until(tx, here)
        self.active = {code for code, spans in active.items() if any(start <= at < end for start, end in spans)}
        rows = tx.execute(domain_activity.select().where(domain_activity.c.until_at.isnot(None))).all()
        self.stopped = {row.domain: row.until_at for row in rows if row.until_at <= at}

    @cached_property
    def record(self) -> Record:
        """Read only where something with a domain at work is not covered."""
        return read_record(self._tx, self.scope, self.at, self.here.clock(), self._include_demo)

    def industry(self, industry: IndustryRow) -> dict[str, Any]:
        width, number = len(self.scope.industries), self.scope.industries.index(industry.code)
        units = [place * width + number for place in range(len(self.scope.divisions))]
        declared = [unit in self.declared for unit in units]
        earned = [unit in self.counted for unit in units]
        one = self.scope.single
        return {
            "code": industry.code,
            "name": industry.name,
            "name_en": industry.name_en,
            "domains": list(industry.domains),
            "declared": declared[0] if one else sum(declared),
            "earned": earned[0] if one else sum(earned),
            "evidence": self._evidence(industry, units),
            "missing": self._missing(industry, units, declared, earned),
        }

    def _evidence(self, industry: IndustryRow, units: list[int]) -> dict[str, Any]:
        """The proof that holds longest; one of the demonstration only where there is no other."""
        for found in (self.real, self.shown_only):
            held = [found[unit] for unit in units if unit in found]
            if held:
                return self._proof(max(held, key=lambda index: int(self.proofs.end[index])))
        return {}

    def _proof(self, index: int) -> dict[str, Any]:
        proofs, of, zone = self.proofs, self.proofs.of, self.here.city.zone
        case = of.cases[proofs.case[index]]
        if self.scope.domains and case.domain not in self.scope.domains:
            return {"withheld": "a case of a domain outside what this key may see"}
        division = self.scope.divisions[int(proofs.unit[index]) // len(self.scope.industries)]
        delivery, told = of.deliveries[proofs.delivery[index]], of.feedbacks[proofs.feedback[index]]
        shown: dict[str, Any] = {
            "division": {"code": division.code, "name": division.name},
            "case": {"id": case.id, "number": case.number, "domain": case.domain},
            "delivery": {"id": delivery.id, "endpoint": delivery.endpoint, "at": rfc3339(delivery.at, zone)},
            "feedback": {
                "id": told.feedback_id,
                "work_order": told.work_order_id,
                "by": told.actor,
                "at": rfc3339(told.at, zone),
            },
            "verification": None,
            "since": rfc3339(int(proofs.start[index]), zone),
            "until": rfc3339(int(proofs.end[index]), zone),  # it leaves the window then
            "demo": bool(proofs.demo[index]),
        }
        if proofs.verification[index] >= 0:
            passed = of.verifications[proofs.verification[index]]
            shown["verification"] = {"by": passed.actor, "at": rfc3339(passed.at, zone)}
        return shown

    def _missing(
        self, industry: IndustryRow, units: list[int], declared: Sequence[bool], earned: Sequence[bool]
    ) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}

        def lacks(code: str, words: Words) -> None:
            zh, en = words if self.scope.single else WORDS[code]
            each = found.setdefault(code, {"code": code, "text": zh, "text_en": en})
            each["divisions"] = each.get("divisions", 0) + 1

        active = [code for code in industry.domains if code in self.active]
        off = self._off(industry)
        for division, unit, is_declared, is_earned in zip(self.scope.divisions, units, declared, earned, strict=True):
            if not is_declared:
                lacks("not_declared", self._undeclared(unit))
            if is_earned:
                continue
            if not industry.domains:
                lacks("no_domain", WORDS["no_domain"])
            elif not active:
                lacks("domain_off", off)
            elif unit in self.shown_only:
                lacks("demo_only", WORDS["demo_only"])
            else:
                for code, words in why_not(self.record, self.scope, division.code, active, self.at).items():
                    lacks(code, words)
        return list(found.values())

    def _undeclared(self, unit: int) -> Words:
        words, over = WORDS["not_declared"], self.declared_until.get(unit)
        day = day_of(over, self.here.city.zone) if over else None
        return words.then(f"，自 {day} 起", f", since {day}") if day else words

    def _off(self, industry: IndustryRow) -> Words:
        zone = self.here.city.zone
        days = {code: day_of(self.stopped[code], zone) for code in industry.domains if code in self.stopped}
        zh = "，".join([f"{code} 自 {day}" for code, day in days.items()] or industry.domains)
        en = ", ".join([f"{code} since {day}" for code, day in days.items()] or industry.domains)
        return WORDS["domain_off"].then(f"（{zh}）", f" ({en})")
