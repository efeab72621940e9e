"""An edition 边界版本: one complete, dated, immutable set of polygons, read from a city pack for the locator."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from geo import cache
from geo.divisions import LEVELS, Division, Divisions
from geo.layer import Layer, Progress
from geo.mistake import Mistake, Mistakes, did_you_mean
from geo.raster import Raster

SUFFIXES = (".geojson", ".gpkg")
FORMAT = "edition-5"
SHORT = 8  # digits of its hash that an edition's id shows


@dataclass(frozen=True, slots=True)
class Edition:
    """`layers` run from coarse to fine; `findings` are overlaps, gaps and strays that do not stop the edition."""

    id: str
    date: str
    crs: str
    nested: bool
    layers: Mapping[str, Layer]
    rasters: Mapping[str, Raster]
    findings: tuple[Mistake, ...] = ()

    @property
    def finest(self) -> Layer:
        return list(self.layers.values())[-1]


def load_edition(
    pack_dir: Path,
    divisions: Divisions,
    levels: Sequence[str],
    *,
    crs: str,
    cache_dir: Path,
    progress: Progress | None = None,
    generate_cells: bool = False,
    nested: bool = True,
    dated: str | None = None,
) -> Edition:
    """The edition of a pack's `boundaries/`, from the cache if the same inputs were compiled before.

    `crs` is the projected system for metres. `generate_cells` draws villages and cells where the pack has neither file.
    `dated` is the day the boundaries hold for (default: the newest file's day). Raises `Mistakes` with everything that
    makes the polygons unusable.
    """
    files, mistakes = _files(pack_dir / "boundaries", levels, generate_cells)
    if mistakes:
        raise Mistakes(mistakes)
    day = dated or _newest(files.values())
    digest = _digest(files, divisions, f"{FORMAT} {crs.lower()} {nested} {generate_cells} {' '.join(levels)}")
    path = cache_dir / f"{digest}.npz"
    known = cache.read(path)
    if known is None:
        from geo.compile import compile_layers  # geopandas takes half a second to import, and a warm start needs none

        compiled = compile_layers(files, divisions, levels, crs=crs, nested=nested, progress=progress)
        rows = [dataclasses.astuple(row) for level in LEVELS for row in divisions.level(level)]
        known = compiled, {"crs": crs, "nested": nested, "divisions": rows}
        cache.write(path, *known)
    return _edition(f"{day}-{digest[:SHORT]}", *known)


def stored_edition(cache_dir: Path, id_: str) -> tuple[Edition, Divisions] | None:
    """An edition that was in use here once, with the divisions it was made for; None when it is no longer there."""
    digest = id_.rpartition("-")[2]
    if not re.fullmatch(rf"[0-9a-f]{{{SHORT}}}", digest):
        return None
    for path in cache_dir.glob(f"{digest}*.npz"):
        if known := cache.read(path):
            return _edition(id_, *known), Divisions(Division(*row) for row in known[1]["divisions"])
    return None


def _edition(id_: str, compiled: cache.Compiled, head: cache.Head) -> Edition:
    layers, rasters = MappingProxyType(compiled.layers), MappingProxyType(compiled.rasters)
    return Edition(id_, id_.rpartition("-")[0], head["crs"], head["nested"], layers, rasters, compiled.findings)


def check_crs(crs: str) -> list[Mistake]:
    from geo.compile import wrong_crs

    return wrong_crs(crs)


def check_boundaries(
    pack_dir: Path, divisions: Divisions, levels: Sequence[str], *, generate_cells: bool = False
) -> list[Mistake]:
    """Every mistake in the pack's `boundaries/` at once: files, fields, codes and shapes."""
    folder = pack_dir / "boundaries"
    files, mistakes = _files(folder, levels, generate_cells)
    mistakes += _strangers(folder, levels)
    if len(divisions):  # without any, no polygon's code could be right
        from geo.compile import check_polygons

        for level, path in files.items():
            mistakes += check_polygons(path, level, divisions)
    return mistakes


def _strangers(folder: Path, levels: Sequence[str]) -> list[Mistake]:
    found = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES and path.stem not in levels)
    wanted = f"a level of city.toml ({', '.join(levels)})"
    return [
        Mistake(f"{folder.name}/{path.name}", "its name", wanted + did_you_mean(path.stem, levels)) for path in found
    ]


def _files(folder: Path, levels: Sequence[str], generate_cells: bool) -> tuple[dict[str, Path], list[Mistake]]:
    files: dict[str, Path] = {}
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
    drawn = {"village", "cell"} if generate_cells and "town" in files and "village" not in files else set()
    for level in missing:
        if level not in drawn:
            names = " or ".join(level + suffix for suffix in SUFFIXES)
            mistakes.append(
                Mistake(f"{folder.name}/{level}{SUFFIXES[0]}", "the file", f"{names} for this level of the city")
            )
    if not levels and not mistakes:
        mistakes.append(Mistake("city.toml", "levels", "at least one level"))
    return files, mistakes


def _newest(files: Any) -> str:
    newest = max(path.stat().st_mtime for path in files)
    return datetime.datetime.fromtimestamp(newest, datetime.UTC).date().isoformat()


def _digest(files: Mapping[str, Path], divisions: Divisions, settings: str) -> str:
    from geo.cells import GENERATOR

    digest = hashlib.sha256(f"{settings} {GENERATOR}\n".encode())
    for level, path in files.items():
        digest.update(f"{level} {path.suffix}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for level in LEVELS:
        for row in divisions.level(level):
            digest.update(f"{row.code},{row.name},{row.level},{row.parent_code}\n".encode())
    return digest.hexdigest()[:32]


def source_counts(layer: Layer) -> dict[str, int]:
    """How many polygons of each source, for reports."""
    values, counts = np.unique(layer.sources.astype(str), return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}
