"""The city pack's model: all that makes one city different from another, read from a folder and checked whole."""

import csv
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from citybrain.deadline import Calendar
from citybrain.identity import identity
from citybrain.industries import COVERED_LEVELS, FILE, Registry, check_registry
from citybrain.mistakes import from_validation
from citybrain.routing.departments import Department, Departments, check_departments
from geo.datum import check_datum
from geo.divisions import Divisions, check_divisions
from geo.edition import Edition, check_boundaries, check_crs, load_edition, stored_edition
from geo.locator import Locator
from geo.mistake import Mistake, Mistakes, did_you_mean

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEVELS = ("county", "town", "village", "cell")
VERSION = 1  # of packs; another one is refused whole, because its keys may mean something else


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"a time zone such as Asia/Shanghai{did_you_mean(name, available_timezones())}")
    return name


def _datum(name: str) -> str:
    check_datum(name)
    return name


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _four(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError("four degrees: west, south, east, north")
    return value


def _degrees(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    west, south, east, north = box
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ValueError("west, south, east, north in degrees, such as [116.0, 24.0, 117.0, 25.0]")
    return box


def _position(point: tuple[float, float]) -> tuple[float, float]:
    if not (-180 <= point[0] <= 180 and -90 <= point[1] <= 90):
        raise ValueError("lng, lat in degrees, longitude first")
    return point


class PackTable(_Table):
    version: Literal[1] = 1


class CityTable(_Table):
    code: str
    name: str
    name_en: str
    timezone: Annotated[str, AfterValidator(_zone)]
    default_datum: Annotated[str, AfterValidator(_datum)]
    crs: str = Field(description="projected, for metres")
    snap_m: Annotated[float, Field(ge=0, le=10_000)] = 50
    near_m: Annotated[float, Field(ge=0, le=1_000)] = 10
    envelope: Annotated[tuple[float, float, float, float], BeforeValidator(_four), AfterValidator(_degrees)]
    placeholders: list[Annotated[tuple[float, float], AfterValidator(_position)]] = []
    boundaries_date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] = Field(description="they hold since then")


class LevelTable(_Table):
    name: str
    name_en: str
    generated: bool = False  # made from the level above, for demonstration, where a city has no ground of its own


class LevelsTable(_Table):
    nested: bool = True
    county: LevelTable | None = None
    town: LevelTable | None = None
    village: LevelTable | None = None
    cell: LevelTable | None = None


class WorkingTimeTable(_Table):
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    hours: list[Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$")]]


class WebhooksTable(_Table):
    allow: list[str] = []


class CoverageTable(_Table):
    window_days: Annotated[int, Field(ge=1, le=366)] = 30


class DomainsTable(_Table):
    off: list[str] = []  # installed, but not used by this city


class CityFile(_Table):
    pack: PackTable = PackTable()
    city: CityTable
    levels: LevelsTable
    working_time: WorkingTimeTable
    webhooks: WebhooksTable = WebhooksTable()
    coverage: CoverageTable = CoverageTable()
    domains: DomainsTable = DomainsTable()


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

    @cached_property
    def basis(self) -> dict[str, str]:
        """What a decision takes from this pack, each by a hash of its content; the boundaries have their edition."""
        head = self.file.city
        return {
            "departments": identity(list(self.departments.values())),
            "calendar": identity(self.calendar.content),
            "placing": identity([head.snap_m, head.near_m, head.placeholders]),
        }

    def level_of(self, code: str) -> str | None:
        division = self.divisions.get(code)
        return division.level if division else None

    def departments_below(self, code: str) -> frozenset[str]:
        """The department and all below it; just the code itself when it is unknown."""
        if not self._below:
            self._below.update(_below(self.departments))
        return self._below.get(code, frozenset({code}))

    def edition(self, cache: Path, progress: Any = None) -> Edition:
        """Reads the ground from the cache, or makes it first."""
        head = self.file.city
        return load_edition(
            self.pack,
            self.divisions,
            list(self.levels),
            crs=head.crs,
            cache_dir=cache,
            progress=progress,
            generate_cells=any(table.generated for table in self.levels.values()),
            nested=self.file.levels.nested,
            dated=head.boundaries_date,
        )

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
    raw, mistakes = _read_toml(pack / "city.toml")
    if not mistakes and (mistakes := _other_version(raw)):
        return None, mistakes
    file, wrong = _city_file(raw) if not mistakes else (None, [])
    mistakes += wrong
    divisions, wrong = check_divisions(pack / "divisions.csv")
    mistakes += wrong
    departments, wrong = check_departments(pack / "departments.toml", divisions)
    mistakes += wrong
    days, wrong = _read_calendar(pack / "calendar.csv")
    mistakes += wrong
    levels = [level for level in COVERED_LEVELS if level == "city" or file is None or getattr(file.levels, level)]
    registry, wrong = check_registry(pack / FILE, divisions, levels, domains)
    mistakes += wrong
    if file is None:
        return None, mistakes
    unknown = [code for code in file.domains.off if domains is not None and code not in domains]
    mistakes += [
        Mistake("city.toml", "domains.off", f"installed domains, found {code}{did_you_mean(code, domains or ())}")
        for code in unknown
    ]
    if len(divisions):
        mistakes += _misfits(file, divisions)
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
    raw, wrong = _read_toml(pack / "city.toml")
    levels = raw.get("levels")
    if wrong or _other_version(raw) or not isinstance(levels, dict):
        return []
    tables = {level: levels[level] for level in LEVELS if level in levels}
    generated = any(isinstance(table, dict) and table.get("generated") is True for table in tables.values())
    divisions, _ = check_divisions(pack / "divisions.csv")
    head = raw.get("city")
    crs = head.get("crs") if isinstance(head, dict) else None
    wrong = check_crs(crs) if isinstance(crs, str) else []
    return wrong + check_boundaries(pack, divisions, list(tables), generate_cells=generated)


def _read_toml(path: Path) -> tuple[dict[str, Any], list[Mistake]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, [Mistake(path.name, "the file", f"a readable UTF-8 TOML file ({error})")]


def _other_version(raw: Mapping[str, Any]) -> list[Mistake]:
    pack = raw.get("pack")
    version = pack.get("version", VERSION) if isinstance(pack, dict) else VERSION
    if version == VERSION:
        return []
    what = f"{VERSION}, the version of packs that this software reads, found {version!r}; nothing else was checked"
    return [Mistake("city.toml", "pack.version", what)]


def _city_file(raw: Mapping[str, Any]) -> tuple[CityFile | None, list[Mistake]]:
    try:
        return CityFile.model_validate(raw), []
    except ValidationError as error:
        return None, from_validation("city.toml", error, CityFile)


def _misfits(file: CityFile, divisions: Divisions) -> Iterator[Mistake]:
    """Where city.toml and divisions.csv speak of different cities or levels."""
    cities = [row.code for row in divisions.level("city")]
    if file.city.code not in cities:
        meant = did_you_mean(file.city.code, divisions) or (f"; there is {cities[0]}" if cities else "")
        yield Mistake("city.toml", "city.code", f"a city of divisions.csv, found {file.city.code}{meant}")
    for level in LEVELS:
        declared, rows = getattr(file.levels, level) is not None, divisions.level(level)
        if rows and not declared:
            what = f"{level} = {{ name = …, name_en = … }} in [levels]: divisions.csv has {len(rows)} of this level"
            yield Mistake("city.toml", f"levels.{level}", what)
        if declared and not rows and level != "cell":
            what = f"divisions of level {level}, which city.toml declares; without them its polygons have no names"
            yield Mistake("divisions.csv", "the file", what)


def _read_calendar(path: Path) -> tuple[dict[date, str], list[Mistake]]:
    """Days that differ from the week: `holiday` or `workday`."""
    if not path.exists():
        return {}, []
    days: dict[date, str] = {}
    mistakes: list[Mistake] = []
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(line for line in lines if not line.startswith("#"))
        if reader.fieldnames != ["date", "kind"]:
            return {}, [Mistake(path.name, "the header", f"date,kind, found {','.join(reader.fieldnames or ())}")]
        for number, line in enumerate(reader, start=2):
            try:
                day = date.fromisoformat(line["date"])
            except (TypeError, ValueError):
                mistakes.append(Mistake(path.name, f"line {number}", f"a date like 2026-02-17, found {line['date']!r}"))
                continue
            if line["kind"] not in ("holiday", "workday"):
                hint = did_you_mean(str(line["kind"]), ("holiday", "workday"))
                what = f"holiday or workday, found {line['kind']!r}{hint}"
                mistakes.append(Mistake(path.name, f"line {number}", what))
            if day in days:
                mistakes.append(Mistake(path.name, f"line {number}", f"each date only once, {day} is there already"))
            days[day] = line["kind"] or ""
    return days, mistakes


def _below(departments: Mapping[str, Department]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {code: {code} for code in departments}
    for code, department in departments.items():
        above = department.parent
        while above and above in found:
            found[above].add(code)
            above = departments[above].parent
    return {code: frozenset(codes) for code, codes in found.items()}
