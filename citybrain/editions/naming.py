"""What stands beside the files of an edition: which column has what, coordinate system, date. For API and commands."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from citybrain.clock import to_datetime
from citybrain.installation import Installation
from citybrain.problem import invalid
from geo.datum import check_datum
from geo.layer import SOURCES
from geo.mistake import did_you_mean
from geo.reading import FIELDS, Given

ALL = "all"  # a file with all levels
WORDS = ("name", "date", "fields", "crs", "encoding", "source")


def given_files(
    files: Mapping[str, tuple[Path, str]], texts: Mapping[str, str], fields: Mapping[str, Any]
) -> list[Given]:
    """Of files by level. Raises Problem 422, or `UnknownDatum` for the crs."""
    crs = check_datum(texts["crs"]) if texts.get("crs") else None
    source = texts.get("source") or "published"
    if source not in SOURCES:
        raise invalid(
            "source", f"{source[:50]!r} is none", f"one of {', '.join(SOURCES)}{did_you_mean(source, SOURCES)}"
        )
    usual = Given(Path(), "", "", {}, crs, texts.get("encoding") or None, source)
    return [
        replace(
            usual, path=path, level="" if level == ALL else level, name=name, fields=_fields_of(level, fields, files)
        )
        for level, (path, name) in files.items()
    ]


def _fields_of(level: str, fields: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, str]:
    """For all files, and then for that level."""
    found: dict[str, str] = {}
    own = fields.get(level)
    for name, column in [*fields.items(), *(own.items() if isinstance(own, dict) else ())]:
        if name in files and isinstance(column, dict):
            continue
        if name not in FIELDS or not isinstance(column, str) or not column:
            remedy = f"a column's name for {', '.join(FIELDS)}{did_you_mean(str(name), FIELDS)}"
            raise invalid("fields", f"{str(name)[:50]!r}: {str(column)[:50]!r}", remedy)
        found[name] = column
    return found


def day_of(text: str | None, here: Installation) -> str:
    """The day since when the boundaries hold: today in the city, unless it is said."""
    if not text:
        return to_datetime(here.clock()).astimezone(here.city.zone).date().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise invalid("date", f"{text[:50]!r} is no date", "a date such as 2027-01-01") from None
