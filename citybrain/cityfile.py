"""What a city pack's `city.toml` may say, and whether it speaks of the same city as `divisions.csv`; the rest of the
pack is read by `citybrain.city`."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from citybrain.keys import UNLOCATED, WITHOUT
from citybrain.mistakes import from_validation
from citybrain.practice import Practice
from geo.datum import check_datum
from geo.divisions import Divisions
from geo.mistake import Mistake, did_you_mean

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


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("a date such as 2026-01-01") from None


def _interval(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d", text) or not text[:5] < text[6:] <= "24:00":
        raise ValueError("hours such as 08:30-17:00, from 00:00 to 24:00, the end after the start")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class PackTable(_Table):
    version: Literal[1] = 1


class CityTable(_Table):
    code: Text
    name: Text
    name_en: Text
    timezone: Annotated[str, AfterValidator(_zone)]
    default_datum: Annotated[str, AfterValidator(_datum)]
    crs: str = Field(description="projected, for metres")
    snap_m: Annotated[float, Field(ge=0, le=10_000)] = 50
    near_m: Annotated[float, Field(ge=0, le=1_000)] = 10
    envelope: Annotated[tuple[float, float, float, float], BeforeValidator(_four), AfterValidator(_degrees)]
    placeholders: list[Annotated[tuple[float, float], AfterValidator(_position)]] = []
    boundaries_date: Annotated[str, AfterValidator(_day)] = Field(description="they hold since then")


class LevelTable(_Table):
    name: Text
    name_en: Text
    generated: bool = False  # made from the level above, for demonstration, where a city has no ground of its own


class LevelsTable(_Table):
    nested: bool = True
    county: LevelTable | None = None
    town: LevelTable | None = None
    village: LevelTable | None = None
    cell: LevelTable | None = None


class WorkingTimeTable(_Table):
    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)]
    hours: Annotated[list[Annotated[str, AfterValidator(_interval)]], Field(min_length=1)]


Seconds = Annotated[float, Field(gt=0, le=86_400)]
WaitedMinutes = Annotated[int, Field(ge=1, le=10_080)]


class BreakerTable(_Table):
    """When an endpoint counts as unreachable, and how it is tried then."""

    failures: Annotated[int, Field(ge=1, le=1_000)] = 5  # in a row
    within_minutes: Annotated[float, Field(gt=0, le=1_440)] = 10  # each of the one before
    probe_seconds: Seconds = 5  # until the first probe; twice as long after each that fails
    longest_probe_seconds: Seconds = 600
    grave_probe_seconds: Seconds = 30  # while something of grade 1 or 2 waits, at most


class PatienceTable(_Table):
    """How long messages may wait for an endpoint before somebody is told."""

    unreachable_minutes: WaitedMinutes = 60
    disabled_minutes: WaitedMinutes = 240
    missing_endpoint_minutes: WaitedMinutes = 1_440
    grave_minutes: WaitedMinutes = 15  # as soon as something of grade 1 or 2 waits


class WebhooksTable(_Table):
    allow: list[str] = []
    breaker: BreakerTable = BreakerTable()
    patience: PatienceTable = PatienceTable()


class CoverageTable(_Table):
    window_days: Annotated[int, Field(ge=1, le=366)] = 30


class DomainsTable(_Table):
    off: list[str] = []  # installed, but not used by this city


Days = Annotated[int, Field(ge=1, le=36_500)]


class RetentionTable(_Table):
    """How many days what may be erased is kept; without a number, for ever. The first four count from when a case that
    is closed or void was touched last. Events, cases, orders and the ledger are never erased."""

    reporters_days: Days | None = None  # names and telephone numbers
    photos_days: Days | None = None
    messages_days: Days | None = None  # the bodies of delivered ones
    failed_attempts_days: Days | None = None  # those that were answered prove the coverage
    stream_days: Days = 7  # positions of the live stream


class CityFile(_Table):
    pack: PackTable = PackTable()
    city: CityTable
    levels: LevelsTable
    working_time: WorkingTimeTable
    webhooks: WebhooksTable = WebhooksTable()
    coverage: CoverageTable = CoverageTable()
    domains: DomainsTable = DomainsTable()
    retention: RetentionTable = RetentionTable()
    casework: Practice = Practice()


def read_toml(path: Path) -> tuple[dict[str, Any], list[Mistake]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig")), []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, [Mistake(path.name, "the file", f"a readable UTF-8 TOML file ({error})")]


def other_version(raw: Mapping[str, Any]) -> list[Mistake]:
    version = _table(raw, "pack").get("version", VERSION)
    if version == VERSION:
        return []
    what = f"{VERSION}, the version of packs that this software reads, found {version!r}; nothing else was checked"
    return [Mistake("city.toml", "pack.version", what)]


def check_file(raw: Mapping[str, Any]) -> tuple[CityFile | None, list[Mistake]]:
    try:
        return CityFile.model_validate(raw), []
    except ValidationError as error:
        return None, from_validation("city.toml", error, CityFile)


def misfits(raw: Mapping[str, Any], divisions: Divisions, domains: Collection[str] | None) -> Iterator[Mistake]:
    """Where city.toml names what is not there: a city, a level, an installed domain (if these are given). Told even
    where the file has other mistakes."""
    off = _table(raw, "domains").get("off")
    if isinstance(off, list) and domains is not None:
        for code in (code for code in off if isinstance(code, str) and code not in domains):
            what = f"installed domains, found {code}{did_you_mean(code, domains)}"
            yield Mistake("city.toml", "domains.off", what)
    if len(divisions):
        yield from _other_city(_table(raw, "city").get("code"), divisions)
        yield from _other_levels(_table(raw, "levels"), divisions)


def _other_city(code: Any, divisions: Divisions) -> Iterator[Mistake]:
    cities = [row.code for row in divisions.level("city")]
    if isinstance(code, str) and code.strip() not in cities:
        meant = did_you_mean(code, divisions) or (f"; there is {cities[0]}" if cities else "")
        yield Mistake("city.toml", "city.code", f"a city of divisions.csv, found {code}{meant}")
    elif len(cities) > 1:
        others = ", ".join(each for each in cities if each != code)
        yield Mistake("divisions.csv", "level city", f"one row, that of city.toml, found {others} too")
    for word in (UNLOCATED, *(WITHOUT + level for level in LEVELS)):
        if word in divisions:
            yield Mistake("divisions.csv", word, "another code: this word asks for what has no division")


def _other_levels(levels: Mapping[str, Any], divisions: Divisions) -> Iterator[Mistake]:
    above = ""
    for level in LEVELS:
        declared, rows = level in levels, divisions.level(level)
        if rows and not declared:
            what = f"{level} = {{ name = …, name_en = … }} in [levels]: divisions.csv has {len(rows)} of this level"
            yield Mistake("city.toml", f"levels.{level}", what)
        if declared and not rows and level != "cell":
            what = f"divisions of level {level}, which city.toml declares; without them its polygons have no names"
            yield Mistake("divisions.csv", "the file", what)
        alone = above and not any(above in divisions.path(row.code) for row in rows)
        if rows and alone and declared and levels.get("nested", True):
            what = f"false, or parents of level {above} in divisions.csv: no division of level {level} has one"
            yield Mistake("city.toml", "levels.nested", what)
        above = level if rows else above


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = raw.get(name)
    return table if isinstance(table, dict) else {}
