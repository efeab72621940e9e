"""The city pack's model: all that makes one city different from another, read from a folder and checked whole."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from citybrain.cityfile import LEVELS, WEEKDAYS, CityFile, LevelTable, check_file, misfits, other_version, read_toml
from citybrain.deadline import Calendar
from citybrain.identity import identity
from citybrain.industries import COVERED_LEVELS, FILE, Registry, check_registry
from citybrain.practice import Practice
from citybrain.routing.departments import Department, Departments, check_departments
from geo.divisions import Divisions, check_divisions
from geo.edition import Edition, check_boundaries, check_crs, load_edition, pack_edition_id, stored_edition
from geo.locator import Locator
from geo.mistake import Mistake, Mistakes, did_you_mean
from geo.reading import Scheme


@dataclass(frozen=True)
class City:
    """One city. `public_url` is where departments reach this installation."""

    pack: Path
    file: CityFile
    divisions: Divisions
    departments: Departments
    calendar: Calendar
    public_url: str = ""
    registry: Registry = field(default_factory=Registry)
    _below: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.file.city.name

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.file.city.timezone)

    @property
    def practice(self) -> Practice:
        return self.file.casework

    @property
    def default_datum(self) -> str:
        return self.file.city.default_datum

    @property
    def envelope(self) -> tuple[float, float, float, float]:
        return self.file.city.envelope

    @property
    def placeholders(self) -> list[tuple[float, float]]:
        return self.file.city.placeholders

    @cached_property
    def levels(self) -> dict[str, LevelTable]:
        """The located levels that this city has, coarse to fine."""
        given = ((level, getattr(self.file.levels, level)) for level in LEVELS)
        return {level: table for level, table in given if table is not None}

    @property
    def first_level(self) -> str:
        """The coarsest: queues are told by it."""
        return next(iter(self.levels), LEVELS[0])

    def level_name(self, level: str) -> str:
        """As people here call it; the whole city where it is no level of the pack."""
        return self.levels[level].name if level in self.levels else "全市"

    def level_in_english(self, level: str) -> str:
        """`county (Council district)`: the word that files and requests use, and what it means here."""
        named = self.levels[level].name_en if level in self.levels else level
        return level if named.lower() == level else f"{level} ({named})"

    @cached_property
    def basis(self) -> dict[str, str]:
        """What a decision takes from this pack, each by a hash of its content; the boundaries have their edition."""
        head = self.file.city
        return {
            "departments": identity(list(self.departments.values())),
            "calendar": identity(self.calendar.content),
            "placing": identity([head.snap_m, head.near_m, head.placeholders]),
        }

    @property
    def scheme(self) -> Scheme:
        """How the city's ground is made up."""
        head, drawn = self.file.city, any(table.generated for table in self.levels.values())
        return Scheme(tuple(self.levels), head.crs, self.file.levels.nested, head.envelope, drawn)

    def level_of(self, code: str) -> str | None:
        division = self.divisions.get(code)
        return division.level if division else None

    def uses(self, domain: str) -> bool:
        return domain not in self.file.domains.off

    def departments_below(self, code: str) -> frozenset[str]:
        """The department and all below it; just the code itself when it is unknown."""
        if not self._below:
            self._below.update(_below(self.departments))
        return self._below.get(code, frozenset({code}))

    def department_named(self, text: str | None) -> str | None:
        """The code of the department that people mean by its code or name; None where several bear the name."""
        return self._named.get((text or "").strip())

    @cached_property
    def _named(self) -> dict[str, str | None]:
        known: dict[str, str | None] = {}
        for code, department in self.departments.items():
            for name in {department.name, department.name_en}:
                known[name] = None if name in known else code
        return known | {code: code for code in self.departments}

    def edition(self, cache: Path, progress: Any = None) -> Edition:
        """Reads the ground from the cache, or makes it first."""
        dated = self.file.city.boundaries_date
        return load_edition(self.pack, self.divisions, self.scheme, cache_dir=cache, progress=progress, dated=dated)

    @cached_property
    def own_edition(self) -> str:
        """The id of the pack's own edition."""
        return pack_edition_id(self.pack, self.divisions, self.scheme, self.file.city.boundaries_date)

    def locator(self, cache: Path) -> Locator:
        return self._locator(self.edition(cache), self.divisions)

    def stored_locator(self, cache: Path, edition: str) -> Locator | None:
        """The locator of an edition that was in use once, if it is still there."""
        stored = stored_edition(cache, edition)
        return self._locator(*stored) if stored else None

    def _locator(self, edition: Edition, divisions: Divisions) -> Locator:
        head = self.file.city
        return Locator(edition, divisions, crs=edition.crs, snap_m=head.snap_m, near_m=head.near_m)


def load_city(pack: Path, public_url: str = "") -> City:
    """Raises `Mistakes` with everything that is wrong in the pack."""
    city, mistakes = check_city(pack, public_url)
    if mistakes or city is None:
        raise Mistakes(mistakes)
    return city


def check_city(
    pack: Path, public_url: str = "", domains: Collection[str] | None = None
) -> tuple[City | None, list[Mistake]]:
    """The city as far as it could be read, and every mistake in its files, also where it names a domain that is none
    of the installed ones, if these are given; the ground's mistakes are `check_ground`'s."""
    if not pack.is_dir():
        return None, [Mistake(str(pack), "the pack", "a folder with city.toml, divisions.csv, departments.toml")]
    raw, mistakes = read_toml(pack / "city.toml")
    if not mistakes and (mistakes := other_version(raw)):
        return None, mistakes
    divisions, wrong_divisions = check_divisions(pack / "divisions.csv")
    file = None
    if not mistakes:
        file, mistakes = check_file(raw)
        mistakes += misfits(raw, divisions, domains)
    mistakes += wrong_divisions
    departments, wrong = check_departments(pack / "departments.toml", divisions)
    mistakes += wrong
    days, wrong = _read_calendar(pack / "calendar.csv")
    mistakes += wrong
    levels = [level for level in COVERED_LEVELS if level == "city" or file is None or getattr(file.levels, level)]
    registry, wrong = check_registry(pack / FILE, divisions, levels, domains)
    mistakes += wrong
    if file is None:
        return None, mistakes
    time = file.working_time
    intervals = [(hours[:5], hours[6:]) for hours in time.hours]
    weekdays = [WEEKDAYS.index(day) for day in time.days]
    try:
        calendar = Calendar(ZoneInfo(file.city.timezone), weekdays, intervals, days)
    except ValueError as error:
        return None, [*mistakes, Mistake("city.toml", "working_time", str(error))]
    return City(pack, file, divisions, departments, calendar, public_url, registry), mistakes


def check_ground(pack: Path) -> list[Mistake]:
    """What is wrong with the boundaries, told even where other files of the pack cannot be used yet."""
    raw, wrong = read_toml(pack / "city.toml")
    levels = raw.get("levels")
    if wrong or other_version(raw) or not isinstance(levels, dict):
        return []
    tables = {level: levels[level] for level in LEVELS if level in levels}
    generated = any(isinstance(table, dict) and table.get("generated") is True for table in tables.values())
    divisions, _ = check_divisions(pack / "divisions.csv")
    head = raw.get("city")
    crs = head.get("crs") if isinstance(head, dict) else None
    wrong = check_crs(crs) if isinstance(crs, str) else []
    metres = crs if isinstance(crs, str) and not wrong else "EPSG:3857"  # for the size of what is wrong, no more
    return wrong + check_boundaries(pack, divisions, Scheme(tuple(tables), metres, drawn=generated))


def _read_calendar(path: Path) -> tuple[dict[date, str], list[Mistake]]:
    """Days that differ from the week: `holiday` or `workday`."""
    if not path.exists():
        return {}, []
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        return {}, [Mistake(path.name, "the file", f"a readable UTF-8 CSV file ({error})")]
    lines = [(number, row) for number, row in enumerate(rows, start=1) if row and not row[0].startswith("#")]
    header = lines[0][1] if lines else []
    if header != ["date", "kind"]:
        return {}, [Mistake(path.name, "the header", f"date,kind, found {','.join(header) or 'nothing'}")]
    days: dict[date, str] = {}
    mistakes = []
    for number, row in lines[1:]:
        day, what = _calendar_day(row)
        if day in days:
            what.append(f"each date only once, {day} is there already")
        mistakes += [Mistake(path.name, f"line {number}", each) for each in what]
        if day:
            days[day] = row[1]
    return days, mistakes


def _calendar_day(row: list[str]) -> tuple[date | None, list[str]]:
    if len(row) != 2:
        return None, [f"2 columns, found {','.join(row)}"]
    wrong, day = [], None
    try:
        day = date.fromisoformat(row[0])
    except ValueError:
        wrong.append(f"a date like 2026-02-17, found {row[0]!r}")
    if row[1] not in ("holiday", "workday"):
        wrong.append(f"holiday or workday, found {row[1]!r}{did_you_mean(row[1], ('holiday', 'workday'))}")
    return day, wrong


def _below(departments: Mapping[str, Department]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {code: {code} for code in departments}
    for code, department in departments.items():
        above = department.parent
        while above and above in found:
            found[above].add(code)
            above = departments[above].parent
    return {code: frozenset(codes) for code, codes in found.items()}
