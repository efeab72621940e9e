"""`citybrain locate --csv`: a CSV file of any size, line by line with its places, in constant memory. A line that
cannot be placed says why and stops nobody."""

import csv
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click
import numpy as np

from citybrain.installation import Installation
from citybrain.intake.placing import check_location
from citybrain.intake.report import Location
from citybrain.problem import Problem
from geo.datum import UnknownDatum, check_datum, to_wgs84
from geo.mistake import did_you_mean
from geo.place import Place

LINES = 20_000  # at a time
LNG, LAT = ("lng", "lon", "longitude", "x", "经度"), ("lat", "latitude", "y", "纬度")


class CsvRefused(click.ClickException):
    """The file as a whole cannot be located; the message says what to do."""


@dataclass(frozen=True)
class Table:
    """How to read a file: the columns are named, or those that are usually called so."""

    source: str
    target: str
    lng: str | None = None
    lat: str | None = None
    accuracy: str | None = None
    datum: str | None = None
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    prefix: str = "place_"


def locate_csv(table: Table, here: Installation) -> str:
    """Writes the located lines; the answer counts them. Raises `CsvRefused`, with the target untouched."""
    counted = _counted(table, here)
    found = ", ".join(f"{method} {count:,}" for method, count in counted.most_common()) or "none"
    return f"{counted.total():,} lines: {found}"


def _counted(table: Table, here: Installation) -> Counter[str]:
    if len(table.delimiter) != 1:
        raise CsvRefused(f"--delimiter {table.delimiter!r}: one character, or tab")
    try:
        datum = check_datum(table.datum or here.city.default_datum)
        with _reading(table) as (stream, advance), _writing(table.target) as out:
            return _located(stream, out, table, datum, here, advance)
    except UnicodeDecodeError as error:
        raise CsvRefused(
            f"{table.source} is not {table.encoding} ({error.reason}): name its --encoding, such as gb18030"
        ) from None
    except (UnknownDatum, LookupError) as error:
        raise CsvRefused(str(error)) from None


def _located(
    stream: IO[str], out: IO[str], table: Table, datum: str, here: Installation, advance: Callable[[], None]
) -> Counter[str]:
    counted: Counter[str] = Counter()
    reader = csv.reader(stream, delimiter=table.delimiter, strict=True)
    writer = csv.writer(out, delimiter=table.delimiter)
    try:
        header: list[str] = next(reader, [])
        columns = _columns(header, table)
        added = [*here.city.levels, "method", "near_edge", "problem"]
        if taken := sorted({table.prefix + name for name in added} & set(header)):
            raise CsvRefused(f"the file has a column {taken[0]} already: choose another --prefix")
        writer.writerow([*header, *(table.prefix + name for name in added)])
        while rows := list(islice(reader, LINES)):
            lines, methods = _answers(rows, len(header), columns, datum, here)
            writer.writerows(lines)
            out.flush()
            counted.update(methods)
            advance()
    except csv.Error as error:
        raise CsvRefused(f"{table.source}, line {reader.line_num}: {error}") from None
    return counted


def _columns(header: Sequence[str], table: Table) -> tuple[int, int, int | None]:
    """Where longitude, latitude and accuracy stand."""
    folded = {name.strip().casefold(): number for number, name in reversed(list(enumerate(header)))}

    def find(option: str, named: str | None, usual: Sequence[str]) -> int:
        for name in (named,) if named else usual:
            if (number := folded.get(name.strip().casefold())) is not None:
                return number
        wanted = f"column {named!r}" if named else "column " + ", ".join(usual)
        there = ", ".join(header)[:200] or "nothing"
        raise CsvRefused(
            f"no {wanted} in the first line ({there}): name it by {option}{did_you_mean(named or '', header)}"
        )

    accuracy = find("--accuracy-column", table.accuracy, ()) if table.accuracy else None
    return find("--lng", table.lng, LNG), find("--lat", table.lat, LAT), accuracy


def _answers(
    rows: Sequence[list[str]], width: int, columns: tuple[int, int, int | None], datum: str, here: Installation
) -> tuple[Iterator[list[str]], Sequence[str]]:
    """The rows with what was found, and each row's method, or `problem`."""
    problems: dict[int, str] = {
        number: f"{len(row)} fields, the first line has {width}" for number, row in enumerate(rows) if len(row) != width
    }
    x, y, radius = (_numbers(rows, column) for column in columns)
    lng, lat = to_wgs84(x, y, datum)
    good = np.isfinite(lng) & np.isfinite(lat)
    good[list(problems)] = False
    places: list[Place | None] = [None] * len(rows)
    located = np.flatnonzero(good)
    for number, found in zip(located.tolist(), here.locator.locate(lng[good], lat[good], radius[good]), strict=True):
        places[number] = found
    for number, place in enumerate(places):
        if number not in problems and (place is None or place.method == "outside"):
            problems |= _problem(number, x[number], y[number], datum, here)
    levels = list(here.city.levels)
    lines = (
        [*row[:width], *[""] * (width - len(row)), *_told(places[number], problems.get(number, ""), levels)]
        for number, row in enumerate(rows)
    )
    methods = [
        "problem" if number in problems else place.method if place else "" for number, place in enumerate(places)
    ]
    return lines, methods


def _told(place: Place | None, problem: str, levels: Sequence[str]) -> list[str]:
    if place is None or problem:
        return [*[""] * (len(levels) + 2), problem]
    codes = place.codes
    return [*(codes[level] or "" for level in levels), place.method, str(int(place.near_edge)), ""]


def _numbers(rows: Sequence[Sequence[str]], column: int | None) -> Any:
    """NaN where there is no number."""
    if column is None:
        return np.full(len(rows), np.nan)
    texts = [row[column] if column < len(row) else "" for row in rows]
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return np.array([_number(text) for text in texts])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _problem(number: int, x: float, y: float, datum: str, here: Installation) -> dict[int, str]:
    """What is wrong with a point that has no place, as reporting it would answer; nothing if it is outside."""
    if not (np.isfinite(x) and np.isfinite(y)):
        return {number: "no numbers where longitude and latitude should be"}
    try:
        spot = check_location(Location.model_validate({"lng": float(x), "lat": float(y)}), datum, here)
    except Problem as problem:
        return {number: "; ".join([problem.detail, *(each.remedy for each in problem.errors)])}
    return {} if spot.has_point else {number: "these coordinates stand for none in this city's data"}


@contextmanager
def _reading(table: Table) -> Iterator[tuple[IO[str], Callable[[], None]]]:
    """The text, and what moves the progress bar to as far as it was read."""
    if table.source == "-":
        yield TextIOWrapper(sys.stdin.buffer, table.encoding, newline=""), lambda: None
        return
    with Path(table.source).open("rb") as raw:
        size = os.fstat(raw.fileno()).st_size
        with click.progressbar(length=size, label=Path(table.source).name, file=sys.stderr) as bar:
            yield TextIOWrapper(raw, table.encoding, newline=""), lambda: bar.update(raw.tell() - bar.pos)


@contextmanager
def _writing(target: str) -> Iterator[IO[str]]:
    """Standard output, or a file that is there whole or not at all."""
    if target == "-":
        yield sys.stdout
        return
    path = Path(target)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            yield out
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
