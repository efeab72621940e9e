"""An edition 边界版本: a complete, dated, immutable set of polygons, of a city pack or of files that are loaded."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from geo import cache
from geo.divisions import LEVELS, Division, Divisions
from geo.fault import Fault
from geo.layer import Layer, Progress
from geo.mistake import Mistake, Mistakes, did_you_mean
from geo.raster import Raster
from geo.reading import Given, Scheme

SUFFIXES = (".geojson", ".gpkg", ".zip")
FORMAT = "edition-6"
SHORT = 8  # digits of its hash that an edition's id shows


@dataclass(frozen=True, slots=True)
class Edition:
    """`layers` run from coarse to fine; `findings` are the faults that do not stop it."""

    id: str
    date: str
    crs: str
    nested: bool
    layers: Mapping[str, Layer]
    rasters: Mapping[str, Raster]
    findings: tuple[Fault, ...] = ()

    @property
    def finest(self) -> Layer:
        return list(self.layers.values())[-1]


def load_edition(
    pack_dir: Path,
    divisions: Divisions,
    scheme: Scheme,
    *,
    cache_dir: Path,
    progress: Progress | None = None,
    dated: str | None = None,
) -> Edition:
    """The edition of a pack's `boundaries/`, from the cache if the same inputs were compiled before.

    `dated` is the day the boundaries hold for (default: the newest file's day). Raises `Mistakes` with everything that
    makes the polygons unusable.
    """
    given, mistakes = _files(pack_dir / "boundaries", scheme)
    if mistakes:
        raise Mistakes(mistakes)
    digest = digest_of(given, divisions, scheme)
    id_ = edition_id(dated or _newest(given), digest)
    if known := cache.read(cache_dir / f"{digest}.npz"):
        return _edition(id_, *known)
    from geo.compile import compile_files  # geopandas takes half a second to import, and a warm start needs none

    outcome = compile_files(given, divisions, scheme, progress=progress)
    if outcome.compiled is None:
        raise Mistakes(fault.as_mistake() for fault in outcome.faults if fault.error)
    return keep(outcome.compiled, divisions, scheme, id_, cache_dir / f"{digest}.npz")


def pack_edition_id(pack_dir: Path, divisions: Divisions, scheme: Scheme, dated: str) -> str:
    """Of the edition that the pack's files make, without reading them as polygons."""
    return edition_id(dated, digest_of(_files(pack_dir / "boundaries", scheme)[0], divisions, scheme))


def edition_id(dated: str, digest: str) -> str:
    return f"{dated}-{digest[:SHORT]}"


def file_of(id_: str) -> str:
    """What the file of an edition that was fetched from elsewhere is called."""
    return f"{id_.rpartition('-')[2]}.fetched.npz"


def keep(compiled: cache.Compiled, divisions: Divisions, scheme: Scheme, id_: str, path: Path) -> Edition:
    """Writes what was compiled into a file of its own."""
    rows = [dataclasses.astuple(row) for level in LEVELS for row in divisions.level(level)]
    head = {"crs": scheme.crs, "nested": scheme.nested, "divisions": rows}
    cache.write(path, compiled, head)
    return _edition(id_, compiled, head)


def edition_in(path: Path, id_: str) -> tuple[Edition, Divisions] | None:
    """The edition in a file, with the divisions it was made for; None when it is not there or not whole."""
    known = cache.read(path)
    return (_edition(id_, *known), Divisions(Division(*row) for row in known[1]["divisions"])) if known else None


def stored_edition(cache_dir: Path, id_: str) -> tuple[Edition, Divisions] | None:
    """An edition that was in use here once, with the divisions it was made for; None when it is no longer there."""
    path = stored_file(cache_dir, id_)
    return edition_in(path, id_) if path else None


def stored_file(cache_dir: Path, id_: str) -> Path | None:
    """The whole file with that edition, if there is one."""
    digest = id_.rpartition("-")[2]
    if not re.fullmatch(rf"[0-9a-f]{{{SHORT}}}", digest):
        return None
    return next((path for path in sorted(cache_dir.glob(f"{digest}*.npz")) if cache.is_whole(path)), None)


def _edition(id_: str, compiled: cache.Compiled, head: cache.Head) -> Edition:
    layers, rasters = MappingProxyType(compiled.layers), MappingProxyType(compiled.rasters)
    return Edition(id_, id_.rpartition("-")[0], head["crs"], head["nested"], layers, rasters, compiled.findings)


def check_crs(crs: str) -> list[Mistake]:
    from geo.compile import wrong_crs

    return wrong_crs(crs)


def check_boundaries(pack_dir: Path, divisions: Divisions, scheme: Scheme) -> list[Mistake]:
    """Every mistake that the files in the pack's `boundaries/` show at once: files, fields, codes and shapes."""
    folder = pack_dir / "boundaries"
    given, mistakes = _files(folder, scheme)
    mistakes += _strangers(folder, scheme.levels)
    if len(divisions):  # without any, no polygon's code could be right
        from geo.compile import check_files

        mistakes += check_files(given, divisions, scheme)
    return mistakes


def _strangers(folder: Path, levels: Sequence[str]) -> list[Mistake]:
    found = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES and path.stem not in levels)
    wanted = f"a level of city.toml ({', '.join(levels)})"
    return [
        Mistake(f"{folder.name}/{path.name}", "its name", wanted + did_you_mean(path.stem, levels)) for path in found
    ]


def _files(folder: Path, scheme: Scheme) -> tuple[list[Given], list[Mistake]]:
    files: dict[str, Path] = {}
    levels: Sequence[str] = scheme.levels
    mistakes = [
        Mistake("city.toml", f"level {level!r}", f"one of {', '.join(LEVELS[1:])}{did_you_mean(level, LEVELS[1:])}")
        for level in levels
        if level not in LEVELS[1:]
    ]
    levels = [level for level in LEVELS[1:] if level in levels]
    for level in levels:
        found = [folder / f"{level}{suffix}" for suffix in SUFFIXES if (folder / f"{level}{suffix}").is_file()]
        if len(found) > 1:
            mistakes.append(Mistake(found[0].name, level, f"one file a level, there is {found[1].name} too"))
        if found:
            files[level] = found[0]
    missing = [level for level in levels if level not in files]
    drawn = {"village", "cell"} if scheme.drawn and "town" in files and "village" not in files else set()
    for level in missing:
        if level not in drawn:
            names = " or ".join(level + suffix for suffix in SUFFIXES)
            mistakes.append(
                Mistake(f"{folder.name}/{level}{SUFFIXES[0]}", "the file", f"{names} for this level of the city")
            )
    if not levels and not mistakes:
        mistakes.append(Mistake("city.toml", "levels", "at least one level"))
    return [Given(path, level, path.name) for level, path in files.items()], mistakes


def _newest(given: Sequence[Given]) -> str:
    newest = max(file.path.stat().st_mtime for file in given)
    return datetime.datetime.fromtimestamp(newest, datetime.UTC).date().isoformat()


def digest_of(given: Sequence[Given], divisions: Divisions, scheme: Scheme, base: str = "") -> str:
    """The name of an edition by all that it is made from: the same again is the same edition."""
    from geo.cells import GENERATOR

    digest = hashlib.sha256(f"{FORMAT} {GENERATOR} {scheme} {base}\n".encode())
    for file in given:
        said = [sorted(file.fields.items()), file.crs, file.encoding, file.source]
        digest.update(f"{file.level} {said}\n".encode())
        with file.path.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    for level in LEVELS:
        for row in divisions.level(level):
            digest.update(f"{row.code},{row.name},{row.level},{row.parent_code}\n".encode())
    return digest.hexdigest()[:32]


def source_counts(layer: Layer) -> dict[str, int]:
    """How many polygons of each source, for reports."""
    values, counts = np.unique(layer.sources.astype(str), return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}
