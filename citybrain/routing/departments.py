"""The city's departments and what each answers for, read from `departments.toml`; routing looks them up.

A row may stand for a series, one department for each county or town, so that no city lists hundreds of them.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from citybrain.mistakes import from_validation
from geo.divisions import LEVELS, Division, Divisions
from geo.mistake import Mistake, Mistakes, did_you_mean

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Level = Literal["city", "county", "town", "village", "cell"]
WORDS = ("{division}", "{name}", "{name_en}", "{parent}", "{parent_name}", "{domain}")


@dataclass(frozen=True, slots=True)
class Department:
    """`duties` are the functions it answers for in `divisions`; without its own list, those of its domains.
    `below` are the divisions directly under those: a place names its county, never the city itself."""

    code: str
    name: str
    name_en: str
    level: str
    divisions: tuple[str, ...]
    domains: tuple[str, ...]
    duties: tuple[str, ...]
    parent: str | None
    below: tuple[str, ...] = ()


Departments = Mapping[str, Department]


class DepartmentRow(BaseModel):
    """With `each`, code, names and parent are templates over `{division}`, `{name}`, `{name_en}`, `{parent}` (the
    division above), `{parent_name}` and `{domain}`; `only` and `skip` narrow the series."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Text
    name: Text
    name_en: Text
    level: Level
    divisions: list[Text] = []
    domains: list[Text] = []
    duties: list[Text] | None = None
    parent: Text | None = None
    each: Literal["county", "town", "village"] | None = None
    only: list[Text] = []
    skip: list[Text] = []

    @model_validator(mode="after")
    def stands_for_itself_or_a_series(self) -> Self:
        if bool(self.each) == bool(self.divisions):
            raise ValueError("either `divisions` or `each`")
        if (self.only or self.skip) and not self.each:
            raise ValueError("`only` and `skip` beside `each`")
        if not (self.domains or self.duties):
            raise ValueError("`domains` or `duties`")
        return self


class DepartmentsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    names_en: dict[str, Text] = {}
    department: list[DepartmentRow]


def load_departments(path: Path, divisions: Divisions) -> Departments:
    """The departments by code; raises `Mistakes` with everything that is wrong in the file."""
    departments, mistakes = check_departments(path, divisions)
    if mistakes:
        raise Mistakes(mistakes)
    return departments


def check_departments(path: Path, divisions: Divisions) -> tuple[Departments, list[Mistake]]:
    """What could be read, and every mistake."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, [Mistake(path.name, "the file", f"a readable UTF-8 TOML file ({error})")]
    file, mistakes, broken = _readable(path.name, raw)
    series = Series(divisions, file.names_en)
    found: dict[str, Department] = {}
    mistakes += [
        Mistake(path.name, "names_en", f"divisions of this city, found {code}")
        for code in file.names_en
        if len(divisions) and code not in divisions
    ]
    for row in file.department:
        mistakes += _unknown_divisions(path.name, row, divisions)
        try:
            departments = list(series.departments(row))
        except (KeyError, IndexError, ValueError) as error:
            mistakes.append(Mistake(path.name, row.code, f"templates of {', '.join(WORDS)} only, found {error}"))
            continue
        for department in departments:
            if department.code in found:
                mistakes.append(Mistake(path.name, department.code, "each code only once"))
            found[department.code] = department
    mistakes += _wrong_parents(path.name, found, broken)
    mistakes += double_claims(path.name, found, divisions)
    return found, mistakes


def _readable(file: str, raw: dict[str, Any]) -> tuple[DepartmentsFile, list[Mistake], list[str]]:
    """The file without its broken rows, what is wrong with them, and their codes (or templates of codes): a broken row
    hides no other mistake, and makes none."""
    try:
        return DepartmentsFile.model_validate(raw), [], []
    except ValidationError as error:
        mistakes = from_validation(file, error, DepartmentsFile)
        wrong = {each["loc"][:2] for each in error.errors()}
    given = raw.get("department")
    rows = dict(enumerate(given if isinstance(given, list) else ()))
    broken = {number: _code_of(row) for number, row in rows.items() if ("department", number) in wrong}
    named = [replace(each, item=_by_code(each.item, broken)) for each in mistakes]
    good = [row for number, row in rows.items() if number not in broken]
    return DepartmentsFile.model_validate({"department": good}), named, list(broken.values())


def _code_of(row: Any) -> str:
    return str(row.get("code", "")) if isinstance(row, dict) else ""


def _by_code(item: str, codes: Mapping[int, str]) -> str:
    """`DPW: name` for `department[1].name`: nobody counts rows."""
    found = re.match(r"department\[(\d+)\]\.?", item)
    code = codes.get(int(found[1]) - 1) if found else None
    return f"{code}: {item[found.end() :] or 'the row'}" if found and code else item


@dataclass(frozen=True, slots=True)
class Series:
    """Makes departments of rows; one for each division where a row stands for a series."""

    divisions: Divisions
    names_en: Mapping[str, str]

    def departments(self, row: DepartmentRow) -> Iterator[Department]:
        if row.each is None:
            yield self._department(row, tuple(row.divisions), tuple(row.domains), {})
            return
        per_domain = any("{domain}" in text for text in (row.code, row.name, row.name_en, row.parent or ""))
        for division in self.divisions.level(row.each):
            if (row.only and division.code not in row.only) or division.code in row.skip:
                continue
            for domains in [(one,) for one in row.domains] if per_domain else [tuple(row.domains)]:
                words = self._words(division) | {"domain": domains[0] if domains else ""}
                yield self._department(row, (division.code,), domains, words)

    def _words(self, division: Division) -> dict[str, str]:
        above = self.divisions.get(division.parent_code)
        return {
            "division": division.code,
            "name": division.name,
            "name_en": self.names_en.get(division.code, division.code),
            "parent": division.parent_code,
            "parent_name": above.name if above else "",
        }

    def _department(
        self, row: DepartmentRow, divisions: tuple[str, ...], domains: tuple[str, ...], words: Mapping[str, str]
    ) -> Department:
        def fill(template: str) -> str:
            return template.format_map(words) if row.each else template

        return Department(
            code=fill(row.code),
            name=fill(row.name),
            name_en=fill(row.name_en),
            level=row.level,
            divisions=divisions,
            domains=domains,
            duties=domains if row.duties is None else tuple(row.duties),
            parent=fill(row.parent) if row.parent else None,
            below=tuple(child.code for code in divisions for child in self.divisions.children(code)),
        )


def _unknown_divisions(file: str, row: DepartmentRow, divisions: Divisions) -> Iterator[Mistake]:
    for code in [*row.divisions, *row.only, *row.skip]:
        division = divisions.get(code)
        if division is None:
            if len(divisions):  # an unreadable divisions.csv is a mistake of its own, not one of every row here
                yield Mistake(file, row.code, f"divisions of this city, found {code}{did_you_mean(code, divisions)}")
        elif LEVELS.index(division.level) < LEVELS.index(row.level):
            yield Mistake(file, row.code, f"divisions at level {row.level} or below, {code} is a {division.level}")


def _wrong_parents(file: str, departments: Departments, broken: Sequence[str]) -> Iterator[Mistake]:
    templates = any("{" in code for code in broken)
    for department in departments.values():
        parent = department.parent
        if parent in broken or (templates and parent not in departments):
            continue  # it may well be one of the broken rows
        if parent and parent not in departments:
            yield Mistake(
                file, department.code, f"a parent in this file, found {parent}{did_you_mean(parent, departments)}"
            )
        elif parent and _in_circle(department.code, departments):
            yield Mistake(file, department.code, f"a parent that is not below it, found {parent}")


def _in_circle(code: str, departments: Departments) -> bool:
    above, seen = departments[code].parent, set[str]()
    while above and above in departments and above not in seen:
        if above == code:
            return True
        seen.add(above)
        above = departments[above].parent
    return False


def double_claims(file: str, departments: Departments, divisions: Divisions) -> Iterator[Mistake]:
    """Where two departments of one level both answer for a duty at one place: routing could not tell which."""
    claims: dict[tuple[str, str, str], str] = {}
    for department in departments.values():
        for duty in department.duties:
            for code in department.divisions:
                other = claims.setdefault((duty, department.level, code), department.code)
                if other != department.code:
                    what = f"one department at level {department.level} for {duty} in {code}, {other} claims it too"
                    yield Mistake(file, department.code, what)
    for (duty, level, code), claimant in claims.items():
        for above in divisions.path(code).values():
            other = claims.get((duty, level, above), claimant)
            if other != claimant:
                what = f"one department at level {level} for {duty} in {code}, {other} claims it with {above}"
                yield Mistake(file, claimant, what)
