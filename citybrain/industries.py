"""The coverage registry: which industries 政府行业 there are, which domains cover them, what is declared and on whose
approval. Read from the city pack's `industries.toml` and checked whole; the indicator is computed from it."""

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from citybrain.mistakes import from_validation
from geo.divisions import Divisions
from geo.mistake import Mistake, did_you_mean

FILE = "industries.toml"
COVERED_LEVELS = ("city", "county", "town", "village")
EVERYWHERE = "all"
_SUGGESTED = 20  # comparing thousands of codes takes long when all are wrong

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegistryHead(_Row):
    begins: date = Field(description="nothing is declared before; the indicator has no data there")
    default_basis: Text


class DeclaredRow(_Row):
    """Declared coverage 申报 of one industry; `from` and `to` are whole days, both included."""

    level: Literal["city", "county", "town", "village"]
    divisions: Literal["all"] | list[Text]
    from_: date = Field(alias="from")
    to: date | None = None
    approver: Text
    note: str = ""

    def meets(self, other: "DeclaredRow") -> bool:
        """Whether both declare the same place on the same day."""
        if self.level != other.level or self.from_ > (other.to or date.max) or other.from_ > (self.to or date.max):
            return False
        if self.divisions == EVERYWHERE or other.divisions == EVERYWHERE:
            return True
        return bool(set(self.divisions) & set(other.divisions))


class IndustryRow(_Row):
    code: Text
    name: Text
    name_en: Text
    domains: list[Text] = []
    basis: Text = Field(description="the passage that makes it an industry")
    declared: list[DeclaredRow] = []


class BasisRow(_Row):
    """A denominator 口径: which industries count."""

    code: Text
    name: Text
    name_en: Text
    source: Text
    industries: Annotated[list[Text], Field(min_length=1)]


@dataclass(frozen=True)
class Registry:
    begins: date = date.min
    default: str = ""
    industries: Mapping[str, IndustryRow] = field(default_factory=dict)
    bases: Mapping[str, BasisRow] = field(default_factory=dict)


_Model = TypeVar("_Model", bound=BaseModel)


def check_registry(
    path: Path, divisions: Divisions, levels: Collection[str], domains: Collection[str] | None = None
) -> tuple[Registry, list[Mistake]]:
    """What could be read, and every mistake. `domains`: those installed; without it they are not looked at, since a
    domain that was taken away must not keep the service from starting."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return Registry(), [Mistake(path.name, "the file", f"a readable UTF-8 TOML file ({error})")]
    reading = _Reading(path.name)
    registry = reading.registry(raw)
    mistakes = reading.mistakes
    for industry in registry.industries.values():
        for item, what in _wrong_declarations(reading.declared[industry.code], registry, divisions, levels):
            mistakes.append(Mistake(path.name, item, what))
        unknown = [code for code in industry.domains if domains is not None and code not in domains]
        for code in unknown:
            what = f"domains that are installed, found {code}{did_you_mean(code, domains or ())}"
            mistakes.append(Mistake(path.name, f"industry {industry.code}: domains", what))
    return registry, mistakes


class _Reading:
    """Reads piece by piece, so that one broken row hides no other mistake."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []
        self.declared: dict[str, list[tuple[str, DeclaredRow]]] = {}  # by industry, each with its name in the file

    def registry(self, raw: dict[str, Any]) -> Registry:
        known = ("registry", "industry", "basis")
        for key in set(raw) - set(known):
            self._wrong(key, f"one of {', '.join(known)}{did_you_mean(key, known)}")
        head = self._row("registry", raw.get("registry", {}), RegistryHead)
        industries = self._by_code("industry", self._industries(self._rows("industry", raw)))
        bases = self._by_code("basis", [
            row for name, each in self._rows("basis", raw) if (row := self._row(name, each, BasisRow))
        ])  # fmt: skip
        self._check_bases(bases, industries)
        if head and head.default_basis not in bases:
            near = did_you_mean(head.default_basis, bases)
            self._wrong("registry.default_basis", f"a basis of this file, found {head.default_basis}{near}")
        return Registry(head.begins if head else date.min, head.default_basis if head else "", industries, bases)

    def _industries(self, rows: Sequence[tuple[str, dict[str, Any]]]) -> list[IndustryRow]:
        found = []
        for name, each in rows:
            declared = [
                (part, row)
                for part, raw in self._rows("declared", each, f"{name}.")
                if (row := self._row(part, raw, DeclaredRow))
            ]
            plain = {key: value for key, value in each.items() if key != "declared"}
            if industry := self._row(name, plain, IndustryRow):
                self.declared.setdefault(industry.code, declared)
                found.append(industry.model_copy(update={"declared": [row for _, row in declared]}))
        return found

    def _rows(self, key: str, raw: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """The tables of an array with a name for each; its code where it has one, since nobody counts rows."""
        given = raw.get(key, [])
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            self._wrong(prefix + key, f"tables written [[{prefix and 'industry.'}{key}]]")
            return []
        if not given and not prefix:
            self._wrong(key, f"at least one [[{key}]]")
        return [(f"{prefix}{key} {each.get('code', f'[{i}]')}", each) for i, each in enumerate(given, start=1)]

    def _row(self, item: str, raw: Any, model: type[_Model]) -> _Model | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            wrong = from_validation(self.file, error, model)
            self.mistakes += [replace(each, item=f"{item}: {each.item}") for each in wrong]
            return None

    def _by_code(self, key: str, rows: Sequence[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for row in rows:
            if row.code in found:
                self._wrong(f"{key} {row.code}", f"each code only once, it is {found[row.code].name} already")
            found.setdefault(row.code, row)
        return found

    def _check_bases(self, bases: Mapping[str, BasisRow], industries: Mapping[str, IndustryRow]) -> None:
        for basis in bases.values():
            for position, code in enumerate(basis.industries):
                if code not in industries:
                    what = f"industries of this file, found {code}{did_you_mean(code, industries)}"
                    self._wrong(f"basis {basis.code}: industries", what)
                if code in basis.industries[:position]:
                    self._wrong(f"basis {basis.code}: industries", f"each industry only once, {code} is there twice")

    def _wrong(self, item: str, expectation: str) -> None:
        self.mistakes.append(Mistake(self.file, item, expectation))


def _wrong_declarations(
    rows: Sequence[tuple[str, DeclaredRow]], registry: Registry, divisions: Divisions, levels: Collection[str]
) -> Iterator[tuple[str, str]]:
    for number, (item, row) in enumerate(rows):
        for what in wrong_declaration(row, registry, divisions, levels):
            yield item, what
        for earlier, other in rows[:number]:
            if row.meets(other):
                yield item, f"rows that do not overlap, {earlier} declares {_period(other)} there too"


def wrong_declaration(
    row: DeclaredRow, registry: Registry, divisions: Divisions, levels: Collection[str]
) -> Iterator[str]:
    """What is wrong with one row, each as an expectation; also asked when one is declared at run time."""
    if row.level not in levels:
        yield f"a level of this city ({', '.join(levels)}), found {row.level}{did_you_mean(row.level, levels)}"
    if row.from_ < registry.begins:
        yield f"from {registry.begins} on, when the registry begins, found {row.from_}"
    if row.to is not None and row.to < row.from_:
        yield f"a `to` not before `from` ({row.from_}), found {row.to}"
    if row.divisions == EVERYWHERE:
        return
    if not row.divisions:
        yield 'divisions, or "all"'
    codes = [each.code for each in divisions.level(row.level)]
    for number, code in enumerate(row.divisions):
        division = divisions.get(code)
        if code in row.divisions[:number]:
            yield f"each division only once, {code} is there twice"
        elif division is None:
            yield f"divisions of this city, found {code}{did_you_mean(code, codes) if number < _SUGGESTED else ''}"
        elif division.level != row.level:
            yield f"divisions at level {row.level}, {code} is a {division.level}"


def _period(row: DeclaredRow) -> str:
    return f"{row.from_} to {row.to}" if row.to else f"from {row.from_} on"
