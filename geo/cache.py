"""Keeps compiled layers in one file, written in one step and checked when read, so that a service is up in a moment."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geo.layer import Layer, objects
from geo.mistake import Mistake

Compiled = tuple[Mapping[str, Layer], Sequence[Mistake]]
Head = Mapping[str, Any]  # JSON: what belongs to the edition besides its ground
_TEXTS = ("codes", "names", "sources", "parents")
_SHAPES = ("polygons", "projected")


def write(path: Path, layers: Mapping[str, Layer], findings: Sequence[Mistake], head: Head) -> None:
    """Writes beside and renames, so that nobody ever reads half a file."""
    told = [[m.file, m.item, m.expectation] for m in findings]
    about = {"levels": list(layers), "findings": told, "head": head}
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
    for level, layer in layers.items():
        for field in _TEXTS:
            arrays[f"{level}.{field}"] = getattr(layer, field).astype(str)
        for field in _SHAPES:
            shapes = shapely.to_wkb(getattr(layer, field))
            arrays[f"{level}.{field}"] = np.frombuffer(b"".join(shapes), dtype=np.uint8)
            arrays[f"{level}.{field}.sizes"] = np.array([len(shape) for shape in shapes], dtype=np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            np.savez(out, **arrays)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> tuple[Compiled, Head] | None:
    """What was written, or None if it is not there or not whole."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            layers = {level: _layer(level, arrays) for level in about["levels"]}
            return (layers, [Mistake(*finding) for finding in about["findings"]]), about["head"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, shapely.GEOSException):
        return None


def _layer(level: str, arrays: Any) -> Layer:
    texts = {field: arrays[f"{level}.{field}"].astype(object) for field in _TEXTS}
    shapes = {field: _shapes(arrays[f"{level}.{field}"], arrays[f"{level}.{field}.sizes"]) for field in _SHAPES}
    if len({len(array) for array in (*texts.values(), *shapes.values())}) != 1:
        raise ValueError("the arrays differ in length")
    return Layer(level, **texts, **shapes)


def _shapes(blob: Any, sizes: Any) -> Any:
    data, ends = blob.tobytes(), np.cumsum(sizes)
    return shapely.from_wkb(objects([data[end - size : end] for end, size in zip(ends, sizes, strict=True)]))
