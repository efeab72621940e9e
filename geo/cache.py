"""Keeps compiled layers in one file, written in one step and checked when read, so that a service is up in a moment."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geo.covering import Covering
from geo.fault import Fault
from geo.layer import Layer, objects
from geo.mapped import Mapped, save
from geo.raster import Raster

Head = Mapping[str, Any]  # JSON: what belongs to the edition besides its ground
_TEXTS = ("codes", "names", "sources", "parents")
_SHAPES = ("polygons", "projected")
_RASTER = tuple(field.name for field in dataclasses.fields(Raster))


@dataclasses.dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler makes of a pack's files: layers coarse to fine with their rasters, and what it found."""

    layers: Mapping[str, Layer]
    rasters: Mapping[str, Raster]
    findings: tuple[Fault, ...]


def write(path: Path, compiled: Compiled, head: Head) -> None:
    """Writes beside and renames, so that nobody ever reads half a file."""
    findings = [_row(fault) for fault in compiled.findings]
    about = {"levels": list(compiled.layers), "findings": findings, "head": head, "drawn_by": _drawing()}
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
    for level, layer in compiled.layers.items():
        for field in _TEXTS:
            arrays[f"{level}.{field}"] = getattr(layer, field).astype(str)
        for field in _SHAPES:
            shapes = shapely.to_wkb(getattr(layer, field))
            arrays[f"{level}.{field}"] = np.frombuffer(b"".join(shapes), dtype=np.uint8)
            arrays[f"{level}.{field}.sizes"] = np.array([len(shape) for shape in shapes], dtype=np.int64)
        for field in _RASTER:
            arrays[f"{level}.{field}"] = getattr(compiled.rasters[level], field)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            save(out, arrays)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _row(fault: Fault) -> dict[str, Any]:
    row = {field.name: getattr(fault, field.name) for field in dataclasses.fields(fault)}
    return row | {"spot": None if fault.spot is None else shapely.to_wkb(fault.spot, hex=True)}


def read(path: Path) -> tuple[Compiled, Head] | None:
    """What was written, or None if it is not there or not whole."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            layers = {level: _layer(level, arrays) for level in about["levels"]}
            current = about.get("drawn_by") == _drawing()
            rasters = _rasters(path, layers) if current else {}
            findings = tuple(Fault(**{**row, "spot": shapely.from_wkb(row["spot"])}) for row in about["findings"])
            compiled = Compiled(layers, rasters, findings)
        if not current:
            compiled = dataclasses.replace(compiled, rasters=redrawn(layers))
            write(path, compiled, about["head"])
        return compiled, about["head"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, shapely.GEOSException):
        return None


def redrawn(layers: Mapping[str, Layer]) -> dict[str, Raster]:
    """An edition outlives the code that drew its rasters, and they are not what it is."""
    from geo.rasterise import rasterise

    return {level: rasterise(Covering(layer.polygons)) for level, layer in layers.items()}


def _rasters(path: Path, layers: Iterable[str]) -> dict[str, Raster]:
    """A third of an edition's memory, and the same for every process that has it: none has its own."""
    arrays = Mapped(path)
    return {level: Raster(*(arrays[f"{level}.{field}"] for field in _RASTER)) for level in layers}


@functools.cache
def _drawing() -> str:
    """Which code draws rasters, lays them down and reads them."""
    here = Path(__file__).parent
    texts = [(here / name).read_bytes() for name in ("covering.py", "mapped.py", "raster.py", "rasterise.py")]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def is_whole(path: Path) -> bool:
    """Whether what was written is all there: a zip's directory is at its end, and has the sums of what is in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error):
        return False


def _layer(level: str, arrays: Any) -> Layer:
    texts = {field: arrays[f"{level}.{field}"].astype(object) for field in _TEXTS}
    shapes = {field: _shapes(arrays[f"{level}.{field}"], arrays[f"{level}.{field}.sizes"]) for field in _SHAPES}
    if len({len(array) for array in (*texts.values(), *shapes.values())}) != 1:
        raise ValueError("the arrays differ in length")
    return Layer(level, **texts, **shapes)


def _shapes(blob: Any, sizes: Any) -> Any:
    data, ends = blob.tobytes(), np.cumsum(sizes)
    return shapely.from_wkb(objects([data[end - size : end] for end, size in zip(ends, sizes, strict=True)]))
