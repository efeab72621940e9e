"""From the form that somebody sends with files to the report of the edition they make. For API and console alike."""

import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from starlette.datastructures import UploadFile

from citybrain.editions.loading import load
from citybrain.editions.naming import ALL, WORDS, day_of, given_files
from citybrain.installation import Installation
from citybrain.intake.body import MIB
from citybrain.problem import Problem, invalid
from geo.datum import UnknownDatum

UPLOAD_BYTES = 256 * MIB
_loading = threading.Lock()

Parts = Iterable[tuple[str, UploadFile | str]]


def load_form(parts: Parts, actor: str, here: Installation) -> tuple[dict[str, Any], bool]:
    """The report, and whether the same files were loaded before. Raises Problem 422, or 429 when it is busy."""
    if not _loading.acquire(blocking=False):
        raise Problem(429, "another edition is being examined", retry_after=10)
    try:
        parts = list(parts)
        with tempfile.TemporaryDirectory(prefix="citybrain-") as folder:
            files = _files(parts, Path(folder), here)
            texts = {name: str(value) for name, value in parts if not isinstance(value, UploadFile)}
            for name in texts.keys() - set(WORDS):
                raise invalid(name, "no such part of an edition", f"one of {', '.join(WORDS)}, or a file a level")
            given = given_files(files, texts, _fields(texts.get("fields", "{}")))
            dated = day_of(texts.get("date"), here)
            report = load(here, given, name=texts.get("name", dated)[:200], dated=dated, actor=actor)
    except UnknownDatum as error:
        raise invalid("crs", str(error), "the coordinate system that the numbers really are in") from None
    finally:
        _loading.release()
    return report, bool(report.pop("known", False))


def _files(parts: Parts, folder: Path, here: Installation) -> dict[str, tuple[Path, str]]:
    files: dict[str, tuple[Path, str]] = {}
    for name, upload in parts:
        if not isinstance(upload, UploadFile):
            continue
        if name != ALL and name not in here.city.levels:
            known = ", ".join([*map(here.city.level_in_english, here.city.levels), ALL])
            raise invalid(name[:50], "no level of this city", f"call each file by its level: {known}")
        if name in files:
            raise invalid(name, "two files for one level", "one file a level")
        path = folder / name
        with path.open("wb") as out:
            shutil.copyfileobj(upload.file, out, MIB)
        files[name] = path, (upload.filename or name)[:100]
    if not files:
        raise invalid("body", "no file", f"a file for each level: {', '.join(here.city.levels)}")
    return files


def _fields(text: str) -> Mapping[str, Any]:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise invalid("fields", "no JSON object", 'as in {"code": "XZQDM", "name": "XZQMC"}, or that by level')
    return fields
